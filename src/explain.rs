//! What every code that twotick shows means, who has to act and how to fix it. One table: the command line, the
//! console, problem documents and the classing of Meta's errors all read it.

mod meta;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::verification::values::ErrorClass;

/// One entry of the table.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    pub codes: Codes,
    /// A few words, as a heading.
    pub title: &'static str,
    pub cause: &'static str,
    pub who: Actor,
    pub fix: &'static str,
}

/// Which codes an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// One of ours.
    Named(&'static str),
    /// Meta's, `first` to `last`, and what a message that was refused with one of them needs next.
    Meta { first: u32, last: u32, class: ErrorClass },
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The person who waits for the code.
    Customer,
    /// Whoever runs twotick and the WhatsApp business account.
    Operator,
    /// Whoever writes the app that calls twotick.
    App,
    Meta,
    Carrier,
    Nobody,
}

impl Actor {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "the customer",
            Self::Operator => "you, the operator",
            Self::App => "the app's developers",
            Self::Meta => "Meta",
            Self::Carrier => "the SMS carrier",
            Self::Nobody => "nobody",
        }
    }
}

impl Explanation {
    /// As it is written in errors and timelines; `200-299` for a range.
    pub fn code(&self) -> String {
        match self.codes {
            Codes::Named(name) => name.to_owned(),
            Codes::Meta { first, last, .. } if first == last => first.to_string(),
            Codes::Meta { first, last, .. } => format!("{first}-{last}"),
        }
    }

    /// The next move after a refusal with this code, where it is one of Meta's.
    pub fn class(&self) -> Option<ErrorClass> {
        match self.codes {
            Codes::Named(_) => None,
            Codes::Meta { class, .. } => Some(class),
        }
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Explanation", 6)?;
        object.serialize_field("code", &self.code())?;
        object.serialize_field("title", self.title)?;
        object.serialize_field("cause", self.cause)?;
        object.serialize_field("who", self.who.as_str())?;
        object.serialize_field("fix", self.fix)?;
        object.serialize_field("class", &self.class())?;
        object.end()
    }
}

/// The entry of a code, in whatever way a person copies it: `131026`, `(#131026)`, `Resend_Too_Early`.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    let code = code.trim().trim_matches(['(', ')', '#']).to_ascii_lowercase();
    if let Ok(number) = code.parse() {
        return meta_code(number);
    }
    let named = |name: &str| all().find(|entry| entry.code() == name);
    named(&code).or_else(|| named("http_400").filter(|_| is_client_error(&code)))
}

/// `http_400` to `http_499`.
fn is_client_error(code: &str) -> bool {
    code.strip_prefix("http_").is_some_and(|status| matches!(status.parse(), Ok(400..=499_u16)))
}

/// The entry of one of Meta's numbers. One number beats a range that holds it.
pub fn meta_code(number: u32) -> Option<&'static Explanation> {
    let width = |entry: &&Explanation| match entry.codes {
        Codes::Named(_) => u32::MAX,
        Codes::Meta { first, last, .. } => last - first,
    };
    meta::TABLE
        .iter()
        .filter(|entry| {
            matches!(entry.codes, Codes::Meta { first, last, .. } if (first..=last).contains(&number))
        })
        .min_by_key(width)
}

/// Every entry: ours, then Meta's.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    OURS.iter().chain(meta::TABLE)
}

/// The known code that looks most like `code`, if any does.
pub fn nearest(code: &str) -> Option<String> {
    let code = scrap(code);
    all()
        .map(|entry| (strsim::damerau_levenshtein(&code, &entry.code()), entry))
        .filter(|(distance, entry)| *distance <= entry.code().len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry.code())
}

/// No code is longer, and the distance of two strings takes time by the product of their lengths.
fn scrap(code: &str) -> String {
    code.trim().chars().take(64).collect::<String>().to_ascii_lowercase()
}

const fn ours(
    code: &'static str,
    who: Actor,
    title: &'static str,
    cause: &'static str,
    fix: &'static str,
) -> Explanation {
    Explanation { codes: Codes::Named(code), title, cause, who, fix }
}

use Actor::{App, Carrier, Customer, Nobody, Operator};

/// What the API answers, what an attempt ended with, and what an operator is alerted of.
static OURS: &[Explanation] = &[
    // Problems of the API
    ours(
        "unauthorized",
        App,
        "No valid API key",
        "The request has no `Authorization: Bearer` header, or its key is none of the configured ones.",
        "Send one of the keys under `[[apps]] api_keys`. After a rotation, make sure the app uses the new one.",
    ),
    ours(
        "not_found",
        App,
        "Nothing there",
        "The address is not one of the API's, or it names a verification that does not exist or belongs to another app.",
        "Check the path and the id; ids start with `ver_`. An app sees only its own verifications.",
    ),
    ours(
        "method_not_allowed",
        App,
        "Wrong method",
        "The address exists, but not for this HTTP method.",
        "Use a method that the `Allow` header of the answer lists.",
    ),
    ours(
        "unsupported_media_type",
        App,
        "Body is not JSON",
        "The request has a body whose `Content-Type` is not `application/json`.",
        "Send `Content-Type: application/json`.",
    ),
    ours(
        "body_too_large",
        App,
        "Body too large",
        "A body of the API may have 64 KiB, one of a webhook 3 MiB.",
        "Send less; large `metadata` belongs into the app's own database, with its key in `client_ref`.",
    ),
    ours(
        "malformed_body",
        App,
        "Body cannot be read",
        "The body is not JSON, or it ended early.",
        "Write the body with a JSON library and check that all of it is sent.",
    ),
    ours(
        "invalid_request",
        App,
        "A field is wrong",
        "A field is missing, unknown, of the wrong type or out of its range; `errors` names each.",
        "Correct the fields that `errors` points at.",
    ),
    ours(
        "unknown_profile",
        App,
        "No such profile",
        "`profile` is none of the configured ones, or there are several and none was named.",
        "Name one of the `[profiles]` of the configuration.",
    ),
    ours(
        "invalid_number",
        Customer,
        "Not a phone number",
        "`to` is not a possible number in E.164 form, with `+` and country code.",
        "Ask the customer for the number with its country, and send it as `+4915228817386`.",
    ),
    ours(
        "resend_too_early",
        Customer,
        "Too early to send again",
        "The pause between two sends (`resend_after`) is not over.",
        "Wait as long as `Retry-After` says; show the customer a countdown.",
    ),
    ours(
        "resend_limit",
        Customer,
        "No more resends",
        "The code was sent as often as the profile's `resend_after` allows.",
        "Let the verification expire and start a new one; check that the number is right.",
    ),
    ours(
        "not_pending",
        App,
        "Already ended",
        "The verification is approved, expired, canceled or exhausted, so nothing can be sent for it any more.",
        "Start a new verification.",
    ),
    ours(
        "no_next_step",
        App,
        "No further step",
        "The verification is at the last step of its profile.",
        "Use resend, or add a step to the profile.",
    ),
    ours(
        "idempotency_key_reused",
        App,
        "Idempotency key used for another request",
        "The same `Idempotency-Key` came within 24 h with a different body.",
        "Make a new key for each new request; repeat a key only with exactly the same body.",
    ),
    ours(
        "idempotency_key_in_use",
        App,
        "The same request is under way",
        "A request with this `Idempotency-Key` has not been answered yet.",
        "Wait a moment and repeat it; it will get the first one's answer.",
    ),
    ours(
        "store_full",
        Operator,
        "Disk full",
        "The store cannot write. Nothing was accepted; reading still works.",
        "Make room on the disk that holds `[store] path`. twotick goes on by itself.",
    ),
    ours(
        "store_busy",
        Operator,
        "Too much at once",
        "The queue to the store is full. Nothing was accepted; callers may try again as `Retry-After` says.",
        "If it lasts, look at the disk's `fdatasync` time and at who sends so much.",
    ),
    ours(
        "draining",
        App,
        "Shutting down",
        "The server is about to stop and takes nothing new.",
        "Repeat the request; another instance, or this one after its restart, will take it.",
    ),
    ours(
        "record_damaged",
        Operator,
        "A stored record is damaged",
        "A record's checksum or form is wrong: the disk, or somebody else, changed the data folder.",
        "Keep a copy of the folder, check the disk, and restore the last backup.",
    ),
    ours(
        "internal",
        Operator,
        "A fault of twotick",
        "Something happened that should not. The log has a line with the same request id.",
        "Please report it with that line.",
    ),
    ours(
        "bad_signature",
        Operator,
        "Webhook not signed by the provider",
        "The signature header is missing, doubled, of the wrong form, or made with another secret. Nothing was read.",
        "Compare `app_secrets` with the app's secret at Meta (for an SMS carrier: `report_secret`). A proxy must \
         pass the body on unchanged. If the secret is right, somebody else sent it.",
    ),
    // What an attempt ended with
    ours(
        "connection_failed",
        Operator,
        "Provider not reached",
        "No connection came about: the name did not resolve, nobody listened, or TLS failed. Nothing was sent, \
         and it is tried again.",
        "Check DNS, firewall and CA certificates of the machine, and `graph_url` or `url`.",
    ),
    ours(
        "no_answer",
        Nobody,
        "Sent, but unanswered",
        "The request went out and the answer did not come in time, or the connection broke. It may have been \
         delivered, so it is not blindly sent again; a report settles it, or the next step follows.",
        "If it happens often, ask the provider, and compare `timeout` with how long it usually takes.",
    ),
    ours(
        "unreadable_answer",
        Operator,
        "Answer not understood",
        "The provider's answer is not what it documents: an HTML page, nothing, no message id, too large. The \
         message may have been delivered all the same.",
        "Check that the address is the provider's, that no proxy answers in its place, and `id_pointer`.",
    ),
    ours(
        "interrupted",
        Nobody,
        "Stopped while sending",
        "twotick ended after it began a request and before it noted the answer, so nobody knows whether it was sent.",
        "Nothing: a report settles it, or the next step follows.",
    ),
    ours(
        "expired_before_send",
        Nobody,
        "Expired before it could be sent",
        "The message's turn came when the code had expired already, so nothing was sent.",
        "If it happens often, the channel's `messages_per_second` is too low for what is asked of it.",
    ),
    ours(
        "unknown_channel",
        Operator,
        "Channel not configured any more",
        "A verification began under a configuration that had this channel; now there is none of that name.",
        "Keep a channel in the configuration until the codes that may still use it have expired (10 minutes).",
    ),
    ours(
        "no_wording",
        Operator,
        "No wording in this language",
        "The step has neither the app's locale nor the profile's default one.",
        "Add the profile's `default_locale` to the template's `locales` or to the text.",
    ),
    ours(
        "redirected",
        Operator,
        "Provider redirects",
        "The provider's address answered with a redirect. twotick does not follow any, so that codes go only \
         where the configuration says.",
        "Put the final address into `graph_url` or `url`.",
    ),
    ours(
        "wrong_content",
        Operator,
        "Step does not fit its channel",
        "A step names a text on a WhatsApp channel or a template on an SMS channel.",
        "Give the step a `template` for kind `meta`, a `text` for kind `http`.",
    ),
    ours(
        "no_reason",
        Carrier,
        "Failed without a reason",
        "The provider reported a failure and did not say why.",
        "Ask the provider, with its message id from the timeline.",
    ),
    ours(
        "http_400",
        Operator,
        "Carrier refused the request",
        "The carrier's HTTP status says that the request was wrong (any 4xx that has no entry of its own).",
        "Compare what it documents with `{to, from, text, reference}`; check the sender name in `from`.",
    ),
    ours(
        "http_401",
        Operator,
        "Provider does not know us",
        "The provider refused the token.",
        "Renew `bearer` (SMS) or `access_token` (WhatsApp).",
    ),
    ours(
        "http_403",
        Operator,
        "Provider forbids it",
        "The token is known but may not do this: no balance, a country not enabled, a sender not registered.",
        "Look into the provider's account.",
    ),
    ours(
        "http_404",
        Operator,
        "No such address at the provider",
        "The address of the configuration does not exist at the provider.",
        "Check `url`, or `graph_url`, `graph_version` and `phone_number_id`.",
    ),
    ours(
        "http_429",
        Carrier,
        "Provider wants fewer messages",
        "The provider's rate limit was reached. It is tried again while the step has time.",
        "Lower `messages_per_second`, or ask the provider for more.",
    ),
    ours(
        "http_503",
        Carrier,
        "Provider not available",
        "The provider is overloaded or under maintenance. It is tried again while the step has time.",
        "Nothing, unless it lasts; then look at its status page.",
    ),
    // What an operator is alerted of
    ours(
        "template_missing",
        Operator,
        "Template does not exist",
        "A profile names a template, or a language of it, that the WhatsApp business account does not have.",
        "Create it in WhatsApp Manager, or correct `[templates]`. Until then its messages are refused and go by SMS.",
    ),
    ours(
        "template_not_approved",
        Operator,
        "Template not approved",
        "A template that a profile needs is there, but Meta does not let it be sent now.",
        "Look at its state in WhatsApp Manager. Until then its messages are refused and go by SMS.",
    ),
    ours(
        "template_approved",
        Nobody,
        "Template approved",
        "Meta approved the template, or put it back into use.",
        "Nothing.",
    ),
    ours(
        "template_paused",
        Operator,
        "Template paused",
        "Meta paused the template because of poor feedback: 3 hours the first time, 6 the second, then for good.",
        "Look at its quality in WhatsApp Manager. Until it is back, codes go by the next step.",
    ),
    ours(
        "template_disabled",
        Operator,
        "Template disabled",
        "Meta disabled the template for good.",
        "Create a new one and name it in the profile. Until then codes go by the next step.",
    ),
    ours(
        "template_rejected",
        Operator,
        "Template rejected",
        "Meta did not approve the template; the alert names its reason.",
        "Correct it in WhatsApp Manager and submit it again.",
    ),
    ours(
        "template_deleted",
        Operator,
        "Template deleted",
        "The template was deleted, archived or locked, or soon will be.",
        "If a profile uses it, name another one there.",
    ),
    ours(
        "template_flagged",
        Operator,
        "Template at risk",
        "The template's quality is low; Meta may pause it.",
        "Find out who gets codes without asking for them.",
    ),
    ours(
        "template_changed",
        Nobody,
        "Template changed",
        "The template's review state or contents changed in a way that stops nothing.",
        "Nothing, if it was you.",
    ),
    ours(
        "template_quality",
        Operator,
        "Template quality changed",
        "Meta's quality score of the template is another one: GREEN, YELLOW or RED.",
        "On YELLOW or RED, find out who gets codes without asking for them.",
    ),
    ours(
        "template_category",
        Operator,
        "Template gets another category",
        "Meta moves the template to another category. That also forgets how long a message of it stays valid.",
        "Appeal in WhatsApp Manager, or set the validity (`message_send_ttl_seconds`) again.",
    ),
    ours(
        "account_disabled",
        Operator,
        "Business account disabled or deleted",
        "Meta disabled the WhatsApp business account, or will, or it was deleted. Nothing goes out by WhatsApp.",
        "Appeal in Meta Business Support. Codes go by the next step.",
    ),
    ours(
        "account_restricted",
        Operator,
        "Business account restricted",
        "Meta limits what the account may do, because of its policies; the alert names the restriction.",
        "Read the violation in Business Support and appeal or correct it.",
    ),
    ours(
        "account_violation",
        Operator,
        "Policy violation",
        "Meta found that the account broke a policy. Restrictions may follow.",
        "Read the violation in Business Support and act on it.",
    ),
    ours(
        "account_reinstated",
        Nobody,
        "Business account back in use",
        "Meta lifted what it had imposed on the account.",
        "Nothing.",
    ),
    ours(
        "account_price",
        Operator,
        "Prices change",
        "Meta changes what the account pays: authentication-international rates or a volume tier.",
        "Compare the date in the alert with your budget.",
    ),
    ours(
        "account_changed",
        Nobody,
        "Business account changed",
        "A partner, an app or a setting of the account changed.",
        "Nothing, if it was you.",
    ),
    ours(
        "account_review",
        Operator,
        "Business account reviewed",
        "Meta decided on the review of the account.",
        "If it was not approved, read why in Business Support.",
    ),
    ours(
        "account_alert",
        Operator,
        "Alert of the business account",
        "Meta has something to say about the account; the alert names it.",
        "Read it in WhatsApp Manager.",
    ),
    ours(
        "phone_number_name",
        Operator,
        "Display name reviewed",
        "Meta decided on the display name of the phone number.",
        "If it was not approved, choose another name in WhatsApp Manager.",
    ),
    ours(
        "phone_number_quality",
        Operator,
        "Limit of the phone number changed",
        "The phone number's limit or throughput is another one.",
        "After an upgrade `messages_per_second` may be raised; after a downgrade look at the quality rating.",
    ),
    ours(
        "capability_changed",
        Operator,
        "Limits of the business changed",
        "How many people the business may write to, or how many numbers it may have, is another number.",
        "Compare it with how many codes you send a day.",
    ),
    ours(
        "security_pin",
        Operator,
        "Two-step PIN touched",
        "Somebody changed, or asked to reset, the two-step verification PIN of the phone number.",
        "If it was not you, secure the business account at once.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_is_found_in_the_ways_people_copy_it() {
        for text in ["131026", "(#131026)", "#131026", " 131026 "] {
            assert_eq!(explain(text).map(Explanation::code).as_deref(), Some("131026"), "{text}");
        }
        for (text, entry) in [
            ("resend_too_early", "resend_too_early"),
            ("Resend_Too_Early", "resend_too_early"),
            ("200", "200-299"),
            ("299", "200-299"),
            ("200-299", "200-299"),
            ("131201", "131200-131299"),
            ("http_422", "http_400"),
            ("http_403", "http_403"),
        ] {
            assert_eq!(explain(text).map(Explanation::code).as_deref(), Some(entry), "{text}");
        }
        for text in ["", "300", "-1", "99999999999999999999", "resend", "é"] {
            assert!(explain(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_code_finds_its_neighbour() {
        assert_eq!(nearest("resend_to_early").as_deref(), Some("resend_too_early"));
        assert_eq!(nearest("store_ful").as_deref(), Some("store_full"));
        assert_eq!(nearest("131206").as_deref(), Some("131026"));
        assert_eq!(nearest("completely different"), None);
        assert_eq!(nearest(&"x".repeat(1_000_000)), None);
    }

    #[test]
    fn every_entry_is_whole_and_has_its_code_alone() {
        let mut codes = HashSet::new();
        for entry in all() {
            assert!(codes.insert(entry.code()), "{} stands twice", entry.code());
            for text in [entry.title, entry.cause, entry.fix] {
                assert!(!text.is_empty() && !text.contains("  "), "{}: {text}", entry.code());
            }
            assert!(entry.cause.ends_with('.') && entry.fix.ends_with('.'), "{}", entry.code());
            assert!(explain(&entry.code()).is_some(), "{}", entry.code());
        }
        assert!(codes.len() > 130, "{}", codes.len());
    }
}

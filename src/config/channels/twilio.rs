//! Kind `twilio`: SMS, WhatsApp and RCS through Twilio.

use std::collections::BTreeMap;

use super::Details;
use crate::channel::twilio::{self, ApiKey, Sender, Via};
use crate::channel::{Carries, Settings};
use crate::config::reader::{Section, Slot};
use crate::config::sections::{locales, secrets};
use crate::config::values::{Address, SecretRule};

/// A sid is two letters and 32 hexadecimal digits.
const LONGEST_SID: usize = 34;

pub(super) fn read(section: &mut Section<'_>) -> Details {
    let base_url = section.optional("base_url");
    let base_url =
        if base_url.is_set() { base_url.url(Address::Base) } else { Some(twilio::ADDRESS.to_owned()) };
    let account_sid = section.required("account_sid").sid("AC");
    let auth_tokens = secrets(&section.required("auth_tokens"), SecretRule::PROVIDER_TOKEN, |_, _| {});
    let api_key = api_key(section);
    let via =
        section.required("via").choice(&[("sms", Via::Sms), ("whatsapp", Via::WhatsApp), ("rcs", Via::Rcs)]);
    let sender = sender(section, via);
    let contents = section.optional("content_sids");
    let carries = if contents.is_set() { Carries::ById } else { Carries::Text };
    let content_sids = content_sids(&contents, via);
    let settings = || {
        Some(Settings::Twilio(twilio::Settings {
            base_url: base_url?,
            account_sid: account_sid?,
            auth_tokens: auth_tokens?,
            api_key: api_key?,
            sender: sender?,
            via: via?,
            content_sids: content_sids?,
        }))
    };
    Details { carries: Some(carries), settings: settings() }
}

/// `None` if one of the two keys is invalid or missing.
fn api_key(section: &mut Section<'_>) -> Option<Option<ApiKey>> {
    let (sid_slot, secret_slot) = (section.optional("api_key_sid"), section.optional("api_key_secret"));
    let sid = sid_slot.sid("SK");
    let secret = secret_slot.is_set().then(|| secret_slot.secret(SecretRule::PROVIDER_TOKEN)).flatten();
    match (sid_slot.is_set(), secret_slot.is_set()) {
        (false, false) => Some(None),
        (true, true) => Some(Some(ApiKey { sid: sid?, secret: secret? })),
        (true, false) => {
            secret_slot.problem("missing; api_key_sid and api_key_secret belong together");
            None
        }
        (false, true) => {
            sid_slot.problem("missing; api_key_sid and api_key_secret belong together");
            None
        }
    }
}

fn sender(section: &mut Section<'_>, via: Option<Via>) -> Option<Sender> {
    let (from_slot, service_slot) = (section.optional("from"), section.optional("messaging_service_sid"));
    let from = from_slot.line(100).filter(|from| {
        let network = ["whatsapp:", "rcs:"].into_iter().find(|network| from.starts_with(network));
        if let Some(network) = network {
            from_slot.problem(format!("must be the bare number or sender: twotick puts {network} before it"));
        }
        network.is_none()
    });
    let service = service_slot.sid("MG");
    match (from_slot.is_set(), service_slot.is_set()) {
        (true, false) => from.map(Sender::From),
        (false, true) if via == Some(Via::Rcs) => {
            service_slot
                .problem("not allowed with via = \"rcs\": Twilio would fall back to SMS itself; use from");
            None
        }
        (false, true) => service.map(Sender::MessagingService),
        (true, true) => {
            service_slot.problem("not allowed together with from: only one of them can be the sender");
            None
        }
        (false, false) => {
            from_slot.problem("missing; needs from or messaging_service_sid");
            None
        }
    }
}

fn content_sids(slot: &Slot<'_>, via: Option<Via>) -> Option<Option<BTreeMap<String, String>>> {
    if !slot.is_set() {
        return Some(None);
    }
    let table = slot.table("a table of content sids by locale, such as { en = \"HX…\" }")?;
    let sids = locales(&table, |slot| slot.sid("HX"));
    if via.is_some_and(|via| via != Via::WhatsApp) {
        slot.problem("only allowed with via = \"whatsapp\"");
        return None;
    }
    sids.map(Some)
}

impl Slot<'_> {
    /// Letters and digits only, because it becomes part of a URL or a form.
    fn sid(&self, prefix: &str) -> Option<String> {
        self.text(&format!("the sid that Twilio shows, {prefix} and 32 letters or digits"), |text| {
            let rest = text.strip_prefix(prefix)?;
            let fits = !rest.is_empty() && text.len() <= LONGEST_SID;
            (fits && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| text.to_owned())
        })
    }
}

//! `[channels.NAME.report]`: authentication and format of a carrier's reports.

use std::time::Duration;

use reqwest::header::HeaderName;
use secrecy::SecretString;

use super::{is_json_pointer, or, unknown_placeholder, user_and_password};
use crate::channel::http_sms::{
    Encoding, FieldPath, Fields, Format, Hash, Prefix, Proof, ReportFormat, SIGNATURE_HEADER,
    SIGNED_PLACEHOLDERS, Signature, SignedContent, StatusWords, TOLERANCE, TimestampHeader,
    derived_path_secret,
};
use crate::channel::status;
use crate::config::reader::{Section, Slot};
use crate::config::values::SecretRule;
use crate::verification::values::ReportStatus;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Hmac,
    Basic,
    PathSecret,
}

const SCHEMES: [(&str, Scheme); 3] =
    [("hmac", Scheme::Hmac), ("basic", Scheme::Basic), ("path-secret", Scheme::PathSecret)];

/// `credential` is a secret that the carrier knows from our requests.
pub(super) fn read(
    channel: &mut Section<'_>,
    credential: Option<SecretString>,
) -> Option<(Proof, ReportFormat)> {
    let secret_slot = channel.optional("report_secret");
    let report_slot = channel.optional("report");
    if !report_slot.is_set() {
        let secret = signing_secret(&secret_slot)?;
        return Some((Proof::Hmac(Signature::documented(secret)), ReportFormat::default()));
    }
    let mut section = report_slot.table("a table: [channels.NAME.report]")?;
    let scheme = or(&section.optional("scheme"), Scheme::Hmac, |slot| slot.choice(&SCHEMES));
    let inner = section.optional("report_secret");
    if inner.is_set() && secret_slot.is_set() {
        inner.problem("is in [channels.NAME] too; set only one of them");
    }
    let secret_slot = if inner.is_set() { inner } else { secret_slot };
    let form = signature_form(&mut section, scheme);
    let proof = match scheme {
        Some(Scheme::Hmac) => {
            let secret = signing_secret(&secret_slot);
            form.and_then(|form| Some(Proof::Hmac(form.with(secret?))))
        }
        Some(Scheme::Basic) => {
            if secret_slot.is_set() {
                secret_slot.warning("is not used if the scheme of the reports is \"basic\"");
            }
            let (user, password) = user_and_password(&mut section);
            user.and_then(|user| Some(Proof::Basic { user, password: password? }))
        }
        Some(Scheme::PathSecret) => path_secret(&secret_slot, credential).map(Proof::PathSecret),
        None => None,
    };
    if scheme != Some(Scheme::Basic) {
        only_for(&mut section, &["user", "password"], "basic", scheme);
    }
    let reading = reading(&mut section);
    section.end();
    Some((proof?, reading?))
}

const SECRET: &str = "missing; must be a secret of at least 16 bytes that signs the carrier's reports: \"text\", \
                      { env = \"NAME\" } or { file = \"path\" }";

fn signing_secret(slot: &Slot<'_>) -> Option<SecretString> {
    if !slot.is_set() {
        slot.problem(SECRET);
    }
    slot.secret(SecretRule::SIGNING)
}

fn path_secret(slot: &Slot<'_>, credential: Option<SecretString>) -> Option<SecretString> {
    if slot.is_set() {
        return slot.secret(SecretRule::SIGNING);
    }
    if credential.is_none() {
        slot.problem("missing; must be a secret of at least 16 bytes for the address of the reports, because there is no bearer or basic to derive it from");
    }
    credential.as_ref().map(derived_path_secret)
}

/// Rejects keys of another scheme.
fn only_for(section: &mut Section<'_>, keys: &[&'static str], scheme: &str, chosen: Option<Scheme>) {
    for key in keys {
        let slot = section.optional(key);
        if chosen.is_some() && slot.is_set() {
            slot.problem(format!("is only for scheme = \"{scheme}\""));
        }
    }
}

/// A signature without its secret.
struct SignatureForm {
    header: String,
    hash: Hash,
    encoding: Encoding,
    prefix: Prefix,
    signed: SignedContent,
    timestamp: Option<TimestampHeader>,
}

impl SignatureForm {
    fn with(self, secret: SecretString) -> Signature {
        let Self { header, hash, encoding, prefix, signed, timestamp } = self;
        Signature { secret, header, hash, encoding, prefix, signed, timestamp }
    }
}

fn signature_form(section: &mut Section<'_>, scheme: Option<Scheme>) -> Option<SignatureForm> {
    const KEYS: [&str; 7] =
        ["header", "hash", "encoding", "prefix", "signed", "timestamp_header", "tolerance"];
    if scheme != Some(Scheme::Hmac) {
        only_for(section, &KEYS, "hmac", scheme);
        return None;
    }
    let header_slot = section.optional("header");
    let header = or(&header_slot, SIGNATURE_HEADER.to_owned(), header_name);
    let hash_slot = section.optional("hash");
    let hashes = [Hash::Sha1, Hash::Sha256, Hash::Sha512].map(|hash| (hash.as_str(), hash));
    let hash = or(&hash_slot, Hash::Sha256, |slot| slot.choice(&hashes));
    let encoding_slot = section.optional("encoding");
    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    let encoding = or(&encoding_slot, Encoding::Hex, |slot| slot.choice(&encodings));
    let prefix_slot = section.optional("prefix");
    let is_own = header_slot.is_set() || hash_slot.is_set() || encoding_slot.is_set();
    let usual = format!("{}=", hash.unwrap_or(Hash::Sha256).as_str());
    let usual = if is_own { Prefix::Maybe(usual) } else { Prefix::Always(usual) };
    let prefix = or(&prefix_slot, usual, |slot| {
        slot.text("up to 32 visible ASCII characters and spaces; \"\" for none", |text| {
            let fits = text.len() <= 32 && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            fits.then(|| Prefix::Always(text.to_owned()))
        })
    });
    let signed_slot = section.optional("signed");
    let signed = or(&signed_slot, SignedContent::body(), signed);
    let timestamp_slot = section.optional("timestamp_header");
    let timestamp_header = or(&timestamp_slot, None, |slot| header_name(slot).map(Some));
    let tolerance_slot = section.optional("tolerance");
    let tolerance = or(&tolerance_slot, TOLERANCE, |slot| slot.duration(SECOND..=86_400 * SECOND));
    if let Some(signed) = &signed {
        match (signed.has_timestamp(), timestamp_slot.is_set()) {
            (true, false) => {
                timestamp_slot.problem("missing; {timestamp} in signed comes from this header");
                return None;
            }
            (false, true) => timestamp_slot.warning(
                "has no effect without {timestamp} in signed: a replayed report could have any time",
            ),
            (true, true) | (false, false) => {}
        }
    }
    if tolerance_slot.is_set() && !timestamp_slot.is_set() {
        tolerance_slot.problem("requires timestamp_header");
    }
    let timestamp =
        timestamp_header?.zip(tolerance).map(|(header, tolerance)| TimestampHeader { header, tolerance });
    tolerance?;
    Some(SignatureForm {
        header: header?,
        hash: hash?,
        encoding: encoding?,
        prefix: prefix?,
        signed: signed?,
        timestamp,
    })
}

fn header_name(slot: &Slot<'_>) -> Option<String> {
    slot.text("the name of an HTTP header, such as \"X-Signature\"", |text| {
        HeaderName::from_bytes(text.as_bytes()).ok().map(|name| name.as_str().to_owned())
    })
}

fn signed(slot: &Slot<'_>) -> Option<SignedContent> {
    const ALLOWED: &str = "text with {body} in it, such as \"{timestamp}.{body}\"";
    let text = slot.raw_text(ALLOWED)?;
    match SignedContent::parse(text) {
        Ok(signed) if signed.has_body() => {
            slot.show(text.into());
            Some(signed)
        }
        Ok(_) => {
            slot.problem(format!("must be {ALLOWED}"));
            None
        }
        Err(unknown) => {
            slot.problem(unknown_placeholder(unknown.0, &SIGNED_PLACEHOLDERS));
            None
        }
    }
}

fn reading(section: &mut Section<'_>) -> Option<ReportFormat> {
    let formats = [("json", Format::Json), ("form", Format::Form), ("query", Format::Query)];
    let format = or(&section.optional("format"), Format::Json, |slot| slot.choice(&formats));
    let usual = Fields::default();
    let in_format = |slot: &Slot<'_>| place(slot, format.unwrap_or(Format::Json));
    let id = or(&section.optional("id"), usual.id, in_format);
    let reference = or(&section.optional("reference"), usual.reference, in_format);
    let status_slot = section.optional("status");
    let status = or(&status_slot, Some(usual.status), in_format);
    let error_code = or(&section.optional("error_code"), usual.error_code, in_format);
    let at = or(&section.optional("at"), usual.at, in_format);
    if matches!(status, Some(None)) {
        status_slot.problem("must not be empty: every report must have a status");
        return None;
    }
    let words = or(&section.optional("words"), StatusWords::default(), words);
    Some(ReportFormat {
        format: format?,
        fields: Fields { id: id?, reference: reference?, status: status??, error_code: error_code?, at: at? },
        words: words?,
    })
}

/// `Some(None)` if the carrier does not report this.
fn place(slot: &Slot<'_>, format: Format) -> Option<Option<FieldPath>> {
    let allowed = match format {
        Format::Json => "a JSON pointer, such as \"/message/id\", or a field name; \"\" for none",
        Format::Form | Format::Query => "a field name; \"\" for none",
    };
    slot.text(allowed, |text| match text {
        "" => Some(None),
        // For a form, the name is the only part.
        pointer if pointer.starts_with('/') => is_json_pointer(pointer).then(|| Some(FieldPath::at(pointer))),
        name => (name.len() <= 256).then(|| Some(FieldPath::named(name))),
    })
}

fn words(slot: &Slot<'_>) -> Option<StatusWords> {
    let meanings = [
        ("delivered", &ReportStatus::Delivered),
        ("failed", &status::FAILED),
        ("sent", &ReportStatus::Sent),
        ("read", &ReportStatus::Read),
    ];
    let mut words = StatusWords::default();
    let mut complete = true;
    for (word, slot) in slot.table("a table, such as { DELIVRD = \"delivered\" }")?.entries() {
        match slot.choice(&meanings) {
            Some(meaning) if words.add(&word, meaning.clone()).is_err() => {
                slot.problem("conflicts with another word that differs only in case or separators");
                complete = false;
            }
            Some(_) => {}
            None => complete = false,
        }
    }
    complete.then_some(words)
}

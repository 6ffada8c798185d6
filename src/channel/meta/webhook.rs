//! Parses Meta's webhooks (Meta, webhook reference pages, October 2025 to May 2026). Every entry, change and item is
//! visited; an unreadable one is counted and does not affect the others.

mod account;
mod message;

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::errors::{MetaError, class_of};
use super::owners::{Owners, Sorted};
use crate::channel::status;
use crate::channel::webhook::SignedDelivery;
use crate::channel::wire::Text;
use crate::channel::{Alert, Delivery, Inbound, Readable, Severity, Unknown, lenient};
use crate::hex;
use crate::verification::values::{Alias, DeliveryError, ErrorClass, Report, Timestamp};
use message::Message;

/// Parses a delivery. Statuses arrive in thousands, so a delivery that holds only messages and statuses is deserialized
/// in one pass, borrowing from the body. Any other delivery is parsed piece by piece.
pub(super) fn parse(body: &[u8], owners: Owners<'_>) -> SignedDelivery {
    let mut sorted = read_strictly(body, owners);
    if let Readable::No(_) = sorted.own.readable
        && let Some(repaired) = lenient::repaired(body)
    {
        sorted = read_strictly(repaired.as_bytes(), sorted.into_owners());
    }
    if sorted.is_all_own() && sorted.own.nothing_was_read() {
        sorted.own.readable =
            Readable::No("it looks like a webhook from Meta, but contains nothing readable");
    }
    let mut signed = sorted.into_signed();
    number_equal_alerts(&mut signed.own.alerts);
    signed.of_others.iter_mut().for_each(|(_, delivery)| number_equal_alerts(&mut delivery.alerts));
    signed
}

/// Equal items within one webhook are distinct events; an equal item in another webhook is a redelivery.
fn number_equal_alerts(alerts: &mut [Alert]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for fingerprint in alerts.iter_mut().filter_map(|alert| alert.fingerprint.as_mut()) {
        let before = seen.entry(fingerprint.clone()).or_default();
        if *before > 0 {
            fingerprint.push_str(&format!("-{before}"));
        }
        *before += 1;
    }
}

/// A 128-bit hash of `parts`, in hexadecimal.
fn fingerprint(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
        hasher.update([0]);
    }
    hex::encode(&hasher.finalize()[..16])
}

fn read_strictly<'a>(body: &[u8], owners: Owners<'a>) -> Sorted<'a> {
    match serde_json::from_slice::<Envelope<'_>>(body) {
        Ok(envelope) if envelope.is_plain() => in_one_pass(envelope, owners),
        Ok(_) | Err(_) => piece_by_piece(body, owners),
    }
}

#[cfg(fuzzing)]
pub(super) fn both_ways(body: &[u8], one: Owners<'_>, other: Owners<'_>) -> Option<[Delivery; 2]> {
    let envelope = serde_json::from_slice::<Envelope<'_>>(body).ok().filter(Envelope::is_plain)?;
    Some([in_one_pass(envelope, one).own, piece_by_piece(body, other).own])
}

impl Delivery {
    fn nothing_was_read(&self) -> bool {
        let something = !self.reports.is_empty() || !self.inbound.is_empty() || !self.alerts.is_empty();
        !something && self.ignored.is_empty() && self.unknown.contains_key(&Unknown::Item)
    }
}

const OBJECT: &str = "whatsapp_business_account";
const MESSAGES: &str = "messages";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    entry: Vec<Entry<'a>>,
}

impl Envelope<'_> {
    fn is_plain(&self) -> bool {
        let mut changes = self.entry.iter().flat_map(|entry| &entry.changes);
        self.object.is(OBJECT) && changes.all(|change| change.field.is(MESSAGES))
    }
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    time: Text<'a>,
    #[serde(borrow, default)]
    changes: Vec<Change<'a>>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow)]
    value: Messages<'a>,
}

/// The value of a change of the field `messages`.
#[derive(Deserialize, Default)]
struct Messages<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Items<Message<'a>>,
    #[serde(borrow, default)]
    statuses: Items<Status<'a>>,
    #[serde(default)]
    errors: Vec<Value>,
}

#[derive(Deserialize, Default)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    phone_number_id: Text<'a>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
    #[serde(borrow, default)]
    biz_opaque_callback_data: Text<'a>,
    #[serde(borrow, default)]
    recipient_id: Text<'a>,
    #[serde(borrow, default)]
    recipient_user_id: Text<'a>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

/// An item that may lack everything that identifies it.
trait Identifiable {
    fn is_identifiable(&self) -> bool;
}

impl Identifiable for Status<'_> {
    fn is_identifiable(&self) -> bool {
        self.id.get().is_some() || self.biz_opaque_callback_data.get().is_some()
    }
}

impl Identifiable for Message<'_> {
    fn is_identifiable(&self) -> bool {
        self.id.get().is_some()
    }
}

/// The identifiable items of a list, and the number of others. These are dropped at once: 3 MB of `{}` would otherwise
/// grow a hundredfold in memory.
struct Items<T> {
    kept: Vec<T>,
    broken: usize,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), broken: 0 }
    }
}

impl<T: Identifiable> Items<T> {
    fn add(&mut self, item: Option<T>) {
        match item.filter(T::is_identifiable) {
            Some(item) => self.kept.push(item),
            None => self.broken += 1,
        }
    }
}

impl<'de, T: Identifiable + Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneByOne<T>(PhantomData<T>);

        impl<'de, T: Identifiable + Deserialize<'de>> Visitor<'de> for OneByOne<T> {
            type Value = Items<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<T>, A::Error> {
                let mut items = Items::default();
                while let Some(item) = list.next_element()? {
                    items.add(Some(item));
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(OneByOne(PhantomData))
    }
}

fn in_one_pass<'a>(envelope: Envelope<'_>, owners: Owners<'a>) -> Sorted<'a> {
    let mut sorted = Sorted::new(owners);
    for entry in envelope.entry {
        let at = entry.time.unix_seconds();
        for change in entry.changes {
            sorted.take_messages(change.value, &entry.id, at);
        }
    }
    sorted
}

#[derive(Deserialize)]
struct LooseEnvelope<'a> {
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct LooseEntry<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    time: Text<'a>,
    #[serde(borrow, default)]
    changes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LooseChange<'a> {
    #[serde(borrow, default)]
    field: Text<'a>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LooseMessages<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    statuses: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

fn piece_by_piece<'a>(body: &[u8], owners: Owners<'a>) -> Sorted<'a> {
    let mut sorted = Sorted::new(owners);
    let Ok(envelope) = serde_json::from_slice::<LooseEnvelope<'_>>(body) else {
        sorted.own = Delivery::unreadable("it is not JSON with a list `entry`");
        return sorted;
    };
    // Some of Meta's own samples lack `object`.
    if !envelope.object.is_absent() && !envelope.object.is(OBJECT) {
        sorted.own = Delivery::unreadable("its `object` is not `whatsapp_business_account`");
        return sorted;
    }
    for raw in envelope.entry {
        let Some(entry) = read::<LooseEntry<'_>>(raw) else {
            sorted.own.count(Unknown::Item);
            continue;
        };
        let at = entry.time.unix_seconds();
        for change in sorted.own.list(entry.changes) {
            match read::<LooseChange<'_>>(change) {
                Some(LooseChange { field, value: Some(value) }) => {
                    sorted.take_change(&field, value, &entry.id, at);
                }
                Some(LooseChange { value: None, .. }) | None => sorted.own.count(Unknown::Item),
            }
        }
    }
    sorted
}

/// Like [`read`], but repairs truncated or wrongly escaped JSON.
fn read_leniently<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    read_owned(raw.get()).or_else(|| read_owned(&lenient::repaired(raw.get().as_bytes())?))
}

fn read_owned<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// `None` if the JSON is not a `T`.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

impl Sorted<'_> {
    fn take_change(&mut self, field: &Text<'_>, value: &RawValue, account: &Text<'_>, at: Option<Timestamp>) {
        // Some copies of webhooks lack the field; only messages parse as messages.
        if let Some(field) = field.get().filter(|field| *field != MESSAGES) {
            self.take_account(field, value, account, at);
            return;
        }
        let Some(value) = read::<LooseMessages<'_>>(value) else {
            return self.own.count(Unknown::Item);
        };
        let mut messages = Messages {
            metadata: value.metadata.and_then(read).unwrap_or_default(),
            contacts: value.contacts,
            ..Messages::default()
        };
        self.own.list(value.messages).into_iter().for_each(|raw| messages.messages.add(read(raw)));
        self.own.list(value.statuses).into_iter().for_each(|raw| messages.statuses.add(read(raw)));
        messages.errors = self.own.list(value.errors).into_iter().filter_map(read_leniently).collect();
        self.take_messages(messages, account, at);
    }

    fn take_messages(&mut self, value: Messages<'_>, account: &Text<'_>, at: Option<Timestamp>) {
        let number = value.metadata.phone_number_id.get();
        match self.owners().for_messages(number, account.get()) {
            Ok(owner) => self.of(owner).take_messages(value, at),
            Err(_) if is_sample(number, account.get()) => self.own.take_sample(MESSAGES),
            Err(reason) => {
                let updates = value.messages.kept.len() + value.statuses.kept.len() + value.errors.len();
                self.own.ignore(number.or(account.get()), reason, updates.max(1));
            }
        }
    }
}

impl Delivery {
    /// The elements of an optional list. A value that is not a list counts as a broken item.
    fn list<'a>(&mut self, raw: Option<&'a RawValue>) -> Vec<&'a RawValue> {
        let Some(raw) = raw else { return Vec::new() };
        read(raw).unwrap_or_else(|| {
            self.count(Unknown::Item);
            Vec::new()
        })
    }

    fn take_messages(&mut self, value: Messages<'_>, at: Option<Timestamp>) {
        let broken = value.messages.broken + value.statuses.broken;
        if broken > 0 {
            *self.unknown.entry(Unknown::Item).or_default() += broken;
        }
        self.reports.reserve(value.statuses.kept.len());
        for status in &value.statuses.kept {
            self.take_status(status);
        }
        self.take_inbound(&value.messages.kept, value.contacts);
        for error in &value.errors {
            self.take_error(error, at);
        }
    }

    fn take_status(&mut self, item: &Status<'_>) {
        let provider_ref = item.id.provider_ref();
        let reference = item.biz_opaque_callback_data.message_id();
        if provider_ref.is_none() && reference.is_none() {
            return self.count(Unknown::Item);
        }
        let Some(word) = item.status.get() else {
            return self.count(Unknown::Item);
        };
        let status = status::report(word, || failure(item.errors, word)).or_else(|| {
            self.count(Unknown::Status);
            status::unknown(word)
        });
        let reported_at = item.timestamp.unix_seconds();
        let aliases = aliases(item.recipient_id.get(), item.recipient_user_id.get());
        self.reports.extend(status.map(|status| Report {
            status,
            reported_at,
            provider_ref,
            reference,
            aliases,
        }));
    }

    /// Records an error of the account or number, as opposed to one message.
    fn take_error(&mut self, object: &Value, at: Option<Timestamp>) {
        let Some(error) = MetaError::read(object) else {
            return self.count(Unknown::Item);
        };
        let severity = match class_of(error.code) {
            ErrorClass::Sender | ErrorClass::Configuration => Severity::Critical,
            ErrorClass::Retry | ErrorClass::Fallback | ErrorClass::Recipient | ErrorClass::InDoubt => {
                Severity::Warning
            }
        };
        let title = error.title(&[]);
        let fingerprint = Some(fingerprint(&[MESSAGES, &object.to_string()]));
        let code = error.code.to_string();
        self.alerts.push(Alert { code, title, subject: None, severity, at, fingerprint });
    }
}

/// Meta's ids for a person: the number, unless a group id takes its place, and the business-scoped user id.
pub(super) fn aliases(number: Option<&str>, user_id: Option<&str>) -> Vec<Alias> {
    let user_id = user_id.filter(|id| id.len() <= Inbound::MAX_NAME_CHARS).and_then(Alias::user);
    number.and_then(Alias::number).into_iter().chain(user_id).collect()
}

fn failure(errors: Option<&RawValue>, word: &str) -> DeliveryError {
    let errors: Vec<Value> = errors.and_then(read_leniently).unwrap_or_default();
    match errors.first().and_then(MetaError::read) {
        Some(error) => {
            let class = class_of(error.code);
            error.into_delivery_error(class, &[])
        }
        None => DeliveryError {
            code: "no_reason".to_owned(),
            title: status::no_reason("Meta", word),
            class: ErrorClass::Fallback,
        },
    }
}

/// The ids in the sample webhooks of Meta's dashboard; never real ones (seen from 2022 to 2026).
const SAMPLE_ACCOUNT: &str = "0";
const SAMPLE_PHONE_NUMBER_ID: &str = "123456123";

/// Whether an update without an owner is a sample, as sent by the "Test" buttons on the dashboard's webhook page.
fn is_sample(number: Option<&str>, account: Option<&str>) -> bool {
    number == Some(SAMPLE_PHONE_NUMBER_ID) || account == Some(SAMPLE_ACCOUNT)
}

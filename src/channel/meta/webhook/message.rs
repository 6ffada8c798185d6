//! Parses messages from people to the business number.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::read;
use crate::channel::wire::{LossyText, Text};
use crate::channel::{Delivery, Inbound, Intent, Unknown, scrub};
use crate::excerpt;
use crate::verification::values::{Alias, ProviderRef};

/// An interactive message that carries a decision instead of a chosen text; the decision is shown after this word.
const CALL_PERMISSION: &str = "call_permission_reply";

/// The payload of Meta's button "I didn't request a code"; the button's text is localized.
const DID_NOT_REQUEST_CODE: &str = "DID_NOT_REQUEST_CODE";

/// Parts whose structure depends on the type stay raw, so that a broken one does not fail the message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    from: Text<'a>,
    #[serde(borrow, default)]
    from_user_id: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    button: Option<&'a RawValue>,
    #[serde(borrow, default)]
    interactive: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reaction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
    #[serde(borrow, default)]
    video: Option<&'a RawValue>,
    #[serde(borrow, default)]
    document: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    location: Option<&'a RawValue>,
    #[serde(borrow, default)]
    order: Option<&'a RawValue>,
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    edit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    revoke: Option<&'a RawValue>,
}

/// The content of a message of any type.
#[derive(Default)]
struct MessageContent {
    text: Option<String>,
    /// The message that this one refers to, for types with a field for it.
    about: Option<ProviderRef>,
    disowns: bool,
}

impl Delivery {
    pub(super) fn take_inbound(&mut self, messages: &[Message<'_>], contacts: Option<&RawValue>) {
        if messages.is_empty() {
            return;
        }
        let contacts: Vec<&RawValue> = contacts.and_then(read).unwrap_or_default();
        let people = People::new(contacts.into_iter().filter_map(read).collect());
        for message in messages {
            match message.id.provider_ref() {
                Some(provider_ref) => self.take_message(message, provider_ref, &people),
                None => self.count(Unknown::Item),
            }
        }
    }

    fn take_message(&mut self, message: &Message<'_>, provider_ref: ProviderRef, people: &People<'_>) {
        let kind = message.kind.get().unwrap_or("unknown");
        let content = content(message, kind).unwrap_or_else(|| {
            tracing::debug!(kind = scrub::unknown_word(kind), "unknown type of message");
            self.count(Unknown::MessageType);
            MessageContent::default()
        });
        let (from, hidden_in_from) = sender(&message.from);
        let user_id = message.from_user_id.get().map(str::to_owned).or(hidden_in_from);
        let contact = people.find(&message.from, user_id.as_deref());
        let user_id = user_id.or_else(|| contact?.user_id.get().map(str::to_owned));
        let from = from.or_else(|| sender(&contact?.wa_id).0);
        self.inbound.push(Inbound {
            provider_ref,
            from,
            user_id: user_id.map(|user_id| scrub::cut(&user_id, Inbound::MAX_NAME_CHARS)),
            profile_name: contact.and_then(Contact::name),
            at: message.timestamp.unix_seconds(),
            kind: scrub::token(kind).unwrap_or_else(|| "unknown".to_owned()),
            text: content.text.map(|text| excerpt::of_chars(&text, Inbound::MAX_TEXT_CHARS)),
            in_reply_to: content.about.or_else(|| context_id(message)),
            intent: if content.disowns { Intent::CodeDisowned } else { Intent::Reply },
        });
    }
}

/// `None` for an unknown type.
fn content(message: &Message<'_>, kind: &str) -> Option<MessageContent> {
    let words = |raw: Option<&RawValue>, field: &str| raw.and_then(|raw| string(raw, &[field]));
    let text = match kind {
        "text" => words(message.text, "body"),
        "button" => return Some(pressed(message.button)),
        "interactive" => message.interactive.and_then(chosen),
        "reaction" => {
            let about = message.reaction.and_then(|raw| reference(raw, "message_id"));
            return Some(MessageContent { text: words(message.reaction, "emoji"), about, disowns: false });
        }
        "edit" => {
            let about = message.edit.and_then(|raw| reference(raw, "original_message_id"));
            return Some(MessageContent { text: message.edit.and_then(edited), about, disowns: false });
        }
        "revoke" => {
            let about = message.revoke.and_then(|raw| reference(raw, "original_message_id"));
            return Some(MessageContent { about, ..MessageContent::default() });
        }
        "image" => words(message.image, "caption"),
        "video" => words(message.video, "caption"),
        "document" => words(message.document, "caption").or_else(|| words(message.document, "filename")),
        "audio" => words(message.audio, "caption"),
        "location" => message.location.and_then(place),
        "order" => message.order.and_then(ordered),
        "contacts" => message.contacts.and_then(shared),
        "system" => words(message.system, "body"),
        "sticker" | "unsupported" | "request_welcome" => None,
        _ => return None,
    };
    Some(MessageContent { text, ..MessageContent::default() })
}

fn pressed(button: Option<&RawValue>) -> MessageContent {
    let Some(button) = button else { return MessageContent::default() };
    MessageContent {
        text: string(button, &["text"]),
        about: None,
        disowns: string(button, &["payload"]).as_deref() == Some(DID_NOT_REQUEST_CODE),
    }
}

/// The edited message: its new text or caption.
fn edited(edit: &RawValue) -> Option<String> {
    let message: Message<'_> = read(member(edit, "message")?)?;
    let kind = message.kind.get().unwrap_or("text");
    // Nested edits would recurse without bound.
    (kind != "edit").then(|| content(&message, kind)).flatten()?.text
}

/// The name or address of a location, else its coordinates.
fn place(location: &RawValue) -> Option<String> {
    let name = string(location, &["name"]).filter(|name| !name.trim().is_empty());
    let address = string(location, &["address"]).filter(|address| !address.trim().is_empty());
    let degrees = || Some(format!("{}, {}", number(location, "latitude")?, number(location, "longitude")?));
    name.or(address).or_else(degrees).or_else(|| string(location, &["url"]))
}

/// A number exactly as written, so that no digit is lost.
fn number(object: &RawValue, field: &str) -> Option<String> {
    let raw = member(object, field)?.get().trim().trim_matches('"');
    raw.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| raw.to_owned())
}

/// The text sent with an order, else a list of its items.
fn ordered(order: &RawValue) -> Option<String> {
    if let Some(text) = string(order, &["text"]).filter(|text| !text.trim().is_empty()) {
        return Some(text);
    }
    let items: Vec<&RawValue> = read(member(order, "product_items")?)?;
    let item = |item: &&RawValue| {
        let id: Text<'_> = read(member(item, "product_retailer_id")?)?;
        let count = number(item, "quantity").unwrap_or_else(|| "1".to_owned());
        Some(format!("{count} × {}", id.get()?))
    };
    listed(items.iter().filter_map(item))
}

/// The names of shared contacts; for one without a name its company, else a phone number.
fn shared(contacts: &RawValue) -> Option<String> {
    let contacts: Vec<&RawValue> = read(contacts)?;
    let name = |contact: &&RawValue| {
        let named = |field| string(contact, &["name", field]).filter(|name| !name.trim().is_empty());
        let parts = || {
            let parts: Vec<_> = ["first_name", "last_name"].into_iter().filter_map(named).collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty())
        };
        let phone = || {
            let phones: Vec<&RawValue> = read(member(contact, "phones")?)?;
            string(phones.first()?, &["phone"])
        };
        named("formatted_name").or_else(parts).or_else(|| string(contact, &["org", "company"])).or_else(phone)
    };
    listed(contacts.iter().filter_map(name))
}

/// A comma-separated list, truncated after 10 items.
fn listed(items: impl Iterator<Item = String>) -> Option<String> {
    const MAX: usize = 10;
    let mut items: Vec<_> = items.take(MAX + 1).collect();
    if items.len() > MAX {
        items[MAX] = "…".to_owned();
    }
    Some(items.join(", ")).filter(|text| !text.is_empty())
}

/// The title of a chosen button or list row, the text of a flow's response, or the decision on a call permission.
fn chosen(interactive: &RawValue) -> Option<String> {
    let kind = string(interactive, &["type"])?;
    match kind.as_str() {
        "button_reply" | "list_reply" => string(interactive, &[&kind, "title"]),
        "nfm_reply" => {
            string(interactive, &[&kind, "body"]).or_else(|| string(interactive, &[&kind, "name"]))
        }
        CALL_PERMISSION => {
            string(interactive, &[&kind, "response"]).map(|response| format!("{kind}: {response}"))
        }
        // Future types will probably have one of these fields.
        _ => ["title", "body", "text"].into_iter().find_map(|field| string(interactive, &[&kind, field])),
    }
}

fn context_id(message: &Message<'_>) -> Option<ProviderRef> {
    reference(message.context?, "id")
}

fn reference(object: &RawValue, field: &str) -> Option<ProviderRef> {
    let id: Text<'_> = read(member(object, field)?)?;
    id.provider_ref()
}

/// The string at `path`.
fn string(object: &RawValue, path: &[&str]) -> Option<String> {
    let value = path.iter().try_fold(object, |object, field| member(object, field))?;
    read::<LossyText>(value).map(|words| words.0)
}

fn member<'a>(object: &'a RawValue, field: &str) -> Option<&'a RawValue> {
    let members: HashMap<Text<'a>, &'a RawValue> = read(object)?;
    members.into_iter().find(|(name, _)| name.is(field)).map(|(_, value)| value)
}

/// The phone number in `from`, or the user id that some deliveries hold there instead.
fn sender(from: &Text<'_>) -> (Option<String>, Option<String>) {
    let Some(from) = from.get() else { return (None, None) };
    match Alias::number(from) {
        Some(Alias::Number(e164)) => (Some(e164.into()), None),
        Some(Alias::User(_)) | None => (None, Some(from.to_owned())),
    }
}

#[derive(Deserialize)]
struct Contact<'a> {
    #[serde(borrow, default)]
    wa_id: Text<'a>,
    #[serde(borrow, default)]
    user_id: Text<'a>,
    #[serde(borrow, default)]
    profile: Option<&'a RawValue>,
}

impl Contact<'_> {
    fn name(&self) -> Option<String> {
        let name = string(self.profile?, &["name"])?;
        Some(excerpt::of_chars(&name, Inbound::MAX_NAME_CHARS)).filter(|name| !name.is_empty())
    }
}

/// The contacts of a change, indexed by phone number and user id: a linear search for each message would take quadratic
/// time.
struct People<'a> {
    contacts: Vec<Contact<'a>>,
    by_id: HashMap<String, usize>,
}

impl<'a> People<'a> {
    fn new(contacts: Vec<Contact<'a>>) -> Self {
        let mut by_id = HashMap::new();
        for (index, contact) in contacts.iter().enumerate() {
            for id in [contact.wa_id.get(), contact.user_id.get()].into_iter().flatten() {
                by_id.insert(id.to_owned(), index);
            }
        }
        Self { contacts, by_id }
    }

    fn find(&self, from: &Text<'_>, user_id: Option<&str>) -> Option<&Contact<'a>> {
        let index = [from.get(), user_id].into_iter().flatten().find_map(|id| self.by_id.get(id))?;
        self.contacts.get(*index)
    }
}

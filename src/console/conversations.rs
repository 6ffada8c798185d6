//! Inbound messages, grouped by person, next to the person's verifications.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use askama::Template;
use secrecy::SecretString;

use super::alerts::{position, sixteen_bytes};
use super::masking::Masker;
use super::plain::plain;
use super::words::conversations::Words;
use super::{Action, Console, CurrentUser, Frame, Refusal, Tab};
use crate::hex;
use crate::phone::Phone;
use crate::store::{self, DeliveryState, Filter, Intent, Person, Snapshot};
use crate::vault::CannotOpen;
use crate::vault::webhook::{InboundContent, inbound_place};
use crate::verification::values::{ChannelName, NumberIndex, Timestamp, VerificationId};

const MESSAGES_PER_PAGE: usize = 100;
/// The maximum shown on a person's page.
const VERIFICATIONS_SHOWN: usize = 20;
/// The length of an excerpt in the list.
const EXCERPT_CHARS: usize = 200;

#[derive(Template)]
#[template(path = "conversations.html")]
struct PeoplePage {
    frame: Frame,
    words: &'static Words,
    people: Vec<PersonRow>,
    is_further: bool,
    next: Option<String>,
}

/// A person with the latest message.
struct PersonRow {
    /// Equal for all identifiers of a person.
    key: Option<NumberIndex>,
    /// The link to the conversation; `None` if the provider gives no identifier.
    url: Option<String>,
    who: Sender,
    last: ConversationMessage,
    /// The number of messages on this page.
    count: usize,
    has_disowned: bool,
}

/// The sender of a message.
struct Sender {
    /// Masked, or a note that it is hidden.
    number: String,
    /// The profile name.
    name: Option<String>,
}

struct ConversationMessage {
    at: Timestamp,
    channel: ChannelName,
    /// The message type, unless it is a plain text.
    label: Option<String>,
    text: Option<String>,
    is_disowned: bool,
    verification: Option<VerificationId>,
}

#[get("/conversations")]
pub async fn list(
    console: web::Data<Console>,
    request: HttpRequest,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ReadConversations)?;
    let before = position(request.query_string())?;
    let kept = console.store.inbound(None, None, MESSAGES_PER_PAGE, before).await?;
    let words = Words::of(signed.preferences.language);
    let mut people: Vec<PersonRow> = Vec::new();
    let mut persons: HashMap<NumberIndex, Person> = HashMap::new();
    for message in visible_messages(&console, &signed, kept.items).await? {
        let number = message.writer();
        let key = match number {
            Some(name) if let Some(person) = persons.get(&name) => Some(person.key()),
            Some(name) => {
                let person = console.store.person(name).await?;
                Some(persons.entry(name).or_insert(person).key())
            }
            None => None,
        };
        let codes = codes(&console, number, message.verification).await?;
        let (mut who, message) = decrypted(&console, words, message, &codes);
        let known = people.iter_mut().find(|person| person.key.is_some() && person.key == key);
        match known {
            Some(person) => {
                person.count += 1;
                person.has_disowned |= message.is_disowned;
            }
            None => {
                let has_disowned = message.is_disowned;
                if who.number == words.hidden_number
                    && let Some(name) = number
                    && let Some(known) = known_number(&console, &signed, name, words).await?
                {
                    who.number = known;
                }
                let url = number.map(|name| format!("/console/conversations/{}", hex::encode(&name.0)));
                people.push(PersonRow { key, url, who, last: message, count: 1, has_disowned });
            }
        }
    }
    super::page(&PeoplePage {
        frame: Frame::of(&console, &request, &signed, Tab::Conversations, words.title),
        words,
        people,
        is_further: before.is_some(),
        next: kept.next.map(|next| hex::encode(&next)),
    })
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct PersonPage {
    frame: Frame,
    words: &'static Words,
    path: String,
    who: Option<Sender>,
    messages: Vec<ConversationMessage>,
    has_disowned: bool,
    verifications: Vec<VerificationRow>,
    has_more_verifications: bool,
    is_further: bool,
    next: Option<String>,
}

struct VerificationRow {
    id: VerificationId,
    created_at: Timestamp,
    status: &'static str,
    delivery: &'static str,
    channel: String,
    class: &'static str,
}

/// The conversation of one person, identified by the blind index of any of their numbers or ids.
#[get("/conversations/{number}")]
pub async fn of_person(
    console: web::Data<Console>,
    request: HttpRequest,
    number: web::Path<String>,
    signed: CurrentUser,
) -> Result<HttpResponse, Refusal> {
    signed.require(Action::ReadConversations)?;
    let number = sixteen_bytes(&number).map(NumberIndex).ok_or(Refusal::NotFound)?;
    let before = position(request.query_string())?;
    let words = Words::of(signed.preferences.language);
    let kept = console.store.inbound(None, Some(number), MESSAGES_PER_PAGE, before).await?;
    let filter = Filter { number: Some(number), apps: signed.apps.clone(), ..Filter::default() };
    let page = console.store.list(filter, VERIFICATIONS_SHOWN, None).await?;
    let codes = codes(&console, Some(number), None).await?;
    let mut who = None;
    let mut messages = Vec::new();
    for message in visible_messages(&console, &signed, kept.items).await? {
        let (writer, message) = decrypted(&console, words, message, &codes);
        who.get_or_insert(writer);
        messages.push(message);
    }
    let who = match (who, page.items.first().map(|snapshot| recipient_of(&console, snapshot, words))) {
        (None, addressed) => addressed,
        (Some(writer), Some(addressed)) if writer.number == words.hidden_number => {
            Some(Sender { number: addressed.number, ..writer })
        }
        (Some(writer), _) => Some(writer),
    };
    if who.is_none() && before.is_none() {
        return Err(Refusal::NotFound);
    }
    let title = who.as_ref().map_or(words.title, |who| &who.number).to_owned();
    super::page(&PersonPage {
        frame: Frame::of(&console, &request, &signed, Tab::Conversations, title),
        words,
        path: format!("/console/conversations/{}", hex::encode(&number.0)),
        who,
        has_disowned: messages.iter().any(|message| message.is_disowned),
        messages,
        verifications: page.items.iter().map(|snapshot| VerificationRow::of(snapshot, words)).collect(),
        has_more_verifications: page.next.is_some(),
        is_further: before.is_some(),
        next: kept.next.map(|next| hex::encode(&next)),
    })
}

/// The messages visible to the user. Users restricted to apps see replies to their apps' verifications; of other
/// messages, only those from people whose verifications all belong to their apps.
async fn visible_messages(
    console: &Console,
    signed: &CurrentUser,
    messages: Vec<store::Inbound>,
) -> Result<Vec<store::Inbound>, Refusal> {
    let mut people: HashMap<NumberIndex, bool> = HashMap::new();
    let mut seen = Vec::with_capacity(messages.len());
    for message in messages {
        let is_seen = match (&message.app, message.writer()) {
            (Some(app), _) => signed.sees(app),
            (None, _) if signed.apps.is_none() => true,
            (None, None) => false,
            (None, Some(number)) => match people.get(&number) {
                Some(is_theirs) => *is_theirs,
                None => {
                    let is_theirs = is_of_their_apps(console, signed, number).await?;
                    people.insert(number, is_theirs);
                    is_theirs
                }
            },
        };
        if is_seen {
            seen.push(message);
        }
    }
    Ok(seen)
}

async fn is_of_their_apps(
    console: &Console,
    signed: &CurrentUser,
    number: NumberIndex,
) -> Result<bool, Refusal> {
    let filter = Filter { number: Some(number), ..Filter::default() };
    let page = console.store.list(filter, VERIFICATIONS_SHOWN, None).await?;
    let mut apps = page.items.iter().map(|snapshot| &snapshot.verification.request.app);
    Ok(!page.items.is_empty() && apps.all(|app| signed.sees(app)))
}

fn decrypted(
    console: &Console,
    words: &'static Words,
    message: store::Inbound,
    codes: &[SecretString],
) -> (Sender, ConversationMessage) {
    let place = inbound_place(&message.channel, &message.provider_ref);
    let content = InboundContent::open(&console.vault, &place, &message.content);
    let (content, trouble) = match content {
        Ok(content) => (content, None),
        Err(CannotOpen::Removed) => (InboundContent::default(), Some(words.removed.to_owned())),
        Err(CannotOpen::Damaged) => (InboundContent::default(), Some(words.cannot_open.to_owned())),
    };
    let phone = content.from.as_deref().and_then(Phone::reported);
    let masker = phone.iter().fold(Masker::default(), Masker::with_number).with_codes(codes);
    let shown = |text: &str| masker.hide(&plain(text));
    let writer = Sender {
        number: phone.map_or_else(|| words.hidden_number.to_owned(), |phone| phone.masked()),
        name: content.profile_name.as_deref().map(shown),
    };
    let (label, text) = words.said(&message.kind, content.text.as_deref());
    let message = ConversationMessage {
        at: message.at,
        channel: message.channel,
        label: label.filter(|_| trouble.is_none()),
        text: trouble.or_else(|| text.map(shown)),
        is_disowned: message.intent == Intent::CodeDisowned,
        verification: message.verification,
    };
    (writer, message)
}

/// The recent codes of this number, and that of the verification replied to. People quote codes, and no page may show
/// one.
async fn codes(
    console: &Console,
    number: Option<NumberIndex>,
    answered: Option<VerificationId>,
) -> Result<Vec<SecretString>, Refusal> {
    let mut snapshots = Vec::new();
    if number.is_some() {
        let filter = Filter { number, ..Filter::default() };
        snapshots = console.store.list(filter, VERIFICATIONS_SHOWN, None).await?.items;
    }
    if let Some(id) = answered.filter(|id| snapshots.iter().all(|known| known.verification.id() != *id)) {
        snapshots.extend(console.store.read(id).await?);
    }
    let code = |snapshot: &Arc<Snapshot>| {
        console.vault.code(&snapshot.verification.request, snapshot.policy.code_length).ok()
    };
    Ok(snapshots.iter().filter_map(code).collect())
}

/// The masked number of a sender whose number the provider hides, if a code was sent to it.
async fn known_number(
    console: &Console,
    signed: &CurrentUser,
    name: NumberIndex,
    words: &'static Words,
) -> Result<Option<String>, Refusal> {
    let filter = Filter { number: Some(name), apps: signed.apps.clone(), ..Filter::default() };
    let page = console.store.list(filter, 1, None).await?;
    Ok(page.items.first().map(|snapshot| recipient_of(console, snapshot, words).number))
}

/// The recipient of a verification, who has not written.
fn recipient_of(console: &Console, snapshot: &Arc<Snapshot>, words: &'static Words) -> Sender {
    let person = console.vault.person(&snapshot.verification).ok();
    let phone = person.and_then(|person| Phone::parse(&person.to).ok());
    Sender {
        number: phone.map_or_else(|| words.hidden_number.to_owned(), |phone| phone.masked()),
        name: None,
    }
}

impl ConversationMessage {
    /// The beginning of the text, for the list.
    fn excerpt(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        let cut = text.char_indices().nth(EXCERPT_CHARS).map(|(at, _)| at);
        Some(cut.map_or_else(|| text.to_owned(), |at| format!("{}…", &text[..at])))
    }
}

impl VerificationRow {
    fn of(snapshot: &Arc<Snapshot>, words: &'static Words) -> Self {
        let (state, channel) = snapshot.delivery();
        Self {
            id: snapshot.verification.id(),
            created_at: snapshot.verification.created_at,
            status: words.status(snapshot.verification.status()),
            delivery: words.delivery(state),
            channel: channel.map(ToString::to_string).unwrap_or_default(),
            class: class(state),
        }
    }
}

/// The class of a badge.
fn class(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Undelivered => "bad",
        DeliveryState::Queued
        | DeliveryState::Sending
        | DeliveryState::InDoubt
        | DeliveryState::Accepted
        | DeliveryState::Sent => "waiting",
        DeliveryState::Delivered | DeliveryState::Read => "good",
    }
}

//! The parts of the page that change while it is open. The page contains all of them; the stream sends updates.

use askama::Template;

use super::Detail;
use super::bar::{self, Segment};
use super::rows::{self, TimelineRow};
use crate::console::list::reference;
use crate::console::plain::plain;
use crate::console::preferences::Preferences;
use crate::console::spans::span;
use crate::console::words::case::Words;
use crate::console::{Action, Console, CurrentUser, Refusal};
use crate::timeline::{self, Mood, Verdict, hops, lines};
use crate::verification::values::{ChannelName, Timestamp, VerificationId};
use crate::verification::{Event, Fact};

/// The API's limit.
const MAX_REFERENCE: usize = 128;

/// Each part as HTML.
pub struct Parts {
    pub verdict: String,
    pub bar: String,
    /// Only the rows that the page lacks.
    pub rows: String,
    pub facts: String,
    pub actions: String,
}

/// The state of the page in the browser.
#[derive(Clone, Copy)]
pub struct PageState<'a> {
    pub rows: u32,
    /// The content of the reason field.
    pub reason: &'a str,
}

impl Parts {
    pub fn of(
        console: &Console,
        signed: &CurrentUser,
        detail: &Detail,
        known: PageState<'_>,
    ) -> Result<Self, Refusal> {
        let preferences = &signed.preferences;
        let words = Words::of(preferences.language);
        let now = console.clock.now();
        Ok(Self {
            verdict: verdict(detail, now, preferences, words)?,
            bar: bar(detail, now, preferences, words)?,
            rows: RowsPart { words, rows: table(console, signed, detail, words, known.rows) }.render()?,
            facts: facts(console, detail, preferences, words)?,
            actions: actions(signed, detail, known.reason, words)?,
        })
    }
}

#[derive(Template)]
#[template(path = "detail_verdict.html")]
struct VerdictPart {
    words: &'static Words,
    icon: &'static str,
    class: &'static str,
    mood: &'static str,
    verdict: Verdict,
}

fn verdict(
    detail: &Detail,
    now: Timestamp,
    preferences: &Preferences,
    words: &'static Words,
) -> Result<String, Refusal> {
    let clock = |at| preferences.clock(at);
    let verdict = timeline::verdict(&detail.snapshot, &detail.events, now, preferences.language, &clock);
    // The sentence may contain a provider's text.
    let verdict = Verdict { sentence: plain(&verdict.sentence), ..verdict };
    let (icon, class) = match verdict.mood {
        Mood::Good => ("i-double", "good"),
        Mood::Waiting => ("i-waiting", "waiting"),
        Mood::Trouble => ("i-trouble", "bad"),
        Mood::Over => ("i-over", "over"),
    };
    Ok(VerdictPart { words, icon, class, mood: words.mood(verdict.mood), verdict }.render()?)
}

#[derive(Template)]
#[template(path = "detail_bar.html")]
struct BarPart<'a> {
    words: &'static Words,
    preferences: &'a Preferences,
    segments: Vec<Segment>,
    total: String,
}

fn bar(
    detail: &Detail,
    now: Timestamp,
    preferences: &Preferences,
    words: &'static Words,
) -> Result<String, Refusal> {
    let hops = hops(&detail.snapshot, &detail.events);
    let total = span(bar::total(&hops, now), preferences.language);
    let segments = bar::segments(&hops, now, preferences.language);
    Ok(BarPart { words, preferences, segments, total }.render()?)
}

#[derive(Template)]
#[template(path = "detail_rows.html")]
struct RowsPart {
    words: &'static Words,
    rows: Vec<TimelineRow>,
}

fn table(
    console: &Console,
    signed: &CurrentUser,
    detail: &Detail,
    words: &'static Words,
    known: u32,
) -> Vec<TimelineRow> {
    let preferences = &signed.preferences;
    let lines = lines(&detail.snapshot, &detail.events, preferences.language);
    let start = detail.snapshot.verification.created_at;
    let before = std::iter::once(start).chain(lines.iter().map(|line| line.at));
    lines
        .iter()
        .zip(before)
        .filter(|(line, _)| line.seq > known)
        .map(|(line, before)| {
            let event = detail.events.get(line.seq as usize - 1);
            let reason = event.and_then(|event| reason(console, signed, detail, event));
            rows::row(line, start, before, reason, preferences, words)
        })
        .collect()
}

/// Reasons are visible to users who have to give them too.
fn reason(console: &Console, signed: &CurrentUser, detail: &Detail, event: &Event) -> Option<String> {
    let Fact::OperatorActed { reason: Some(reason), .. } = &event.fact else { return None };
    let id = detail.snapshot.verification.id();
    let may = signed.may(Action::Reveal) && !detail.snapshot.verification.erased;
    may.then(|| console.vault.open_reason(id, reason).ok()).flatten()
}

#[derive(Template)]
#[template(path = "detail_facts.html")]
struct FactsPart<'a> {
    /// The app's reference, if any.
    client_ref: Option<String>,
    words: &'static Words,
    preferences: &'a Preferences,
    detail: &'a Detail,
    status: &'static str,
    messages: Vec<MessageFacts>,
    tries_left: u8,
}

impl FactsPart<'_> {
    fn plain(&self, text: &str) -> String {
        plain(text)
    }
}

struct MessageFacts {
    id: String,
    channel: ChannelName,
    /// The provider's message id, shortened so that it cannot identify the person.
    provider_ref: Option<String>,
}

fn facts(
    console: &Console,
    detail: &Detail,
    preferences: &Preferences,
    words: &'static Words,
) -> Result<String, Refusal> {
    let verification = &detail.snapshot.verification;
    let messages = verification.messages.iter().map(|message| MessageFacts {
        id: verification.message_id(message.ordinal).to_string(),
        channel: message.channel.clone(),
        provider_ref: message
            .provider_ref
            .as_ref()
            .filter(|_| !verification.erased)
            .and_then(|reference| console.vault.shown_ref(verification.id(), reference))
            .map(|reference| rows::shortened(&reference)),
    });
    let client_ref = reference(console, &detail.snapshot, MAX_REFERENCE);
    let piece = FactsPart {
        client_ref: Some(client_ref).filter(|reference| !reference.is_empty()),
        words,
        preferences,
        detail,
        status: words.status(verification.status()),
        messages: messages.collect(),
        tries_left: detail.snapshot.policy.max_checks.saturating_sub(verification.failed_checks),
    };
    Ok(piece.render()?)
}

#[derive(Template)]
#[template(path = "detail_actions.html")]
struct ActionsPart<'a> {
    words: &'static Words,
    csrf: &'a str,
    reason: &'a str,
    id: VerificationId,
    may_reveal: bool,
    may_resend: bool,
    may_next: bool,
    may_cancel: bool,
    is_pending: bool,
    channels: Vec<ChannelName>,
}

fn actions(
    signed: &CurrentUser,
    detail: &Detail,
    reason: &str,
    words: &'static Words,
) -> Result<String, Refusal> {
    let verification = &detail.snapshot.verification;
    let mut channels: Vec<_> = detail.snapshot.policy.steps.iter().map(|step| step.channel.clone()).collect();
    channels.dedup();
    let piece = ActionsPart {
        words,
        csrf: &signed.csrf,
        reason,
        id: verification.id(),
        may_reveal: signed.may(Action::Reveal),
        may_resend: signed.may(Action::Resend),
        may_next: signed.may(Action::Next),
        may_cancel: signed.may(Action::Cancel),
        is_pending: verification.is_pending(),
        channels,
    };
    Ok(piece.render()?)
}

//! The parts of the page that change while it is open. The page contains all of them; the stream sends updates.

use askama::Template;

use super::Case;
use super::bar::{self, Segment};
use super::rows::{self, Row};
use crate::console::list::reference;
use crate::console::look::Look;
use crate::console::plain::plain;
use crate::console::spans::span;
use crate::console::words::case::Words;
use crate::console::{Action, Console, Refusal, Signed};
use crate::timeline::{self, Mood, Verdict, hops, lines};
use crate::verification::values::{ChannelName, Timestamp, VerificationId};
use crate::verification::{Event, Fact};

/// The API's limit.
const LONGEST_REFERENCE: usize = 128;

/// Each part as HTML.
pub struct Pieces {
    pub verdict: String,
    pub bar: String,
    /// Only the rows that the page lacks.
    pub rows: String,
    pub facts: String,
    pub actions: String,
}

/// The state of the page in the browser.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub rows: u32,
    /// The content of the reason field.
    pub reason: &'a str,
}

impl Pieces {
    pub fn of(console: &Console, signed: &Signed, case: &Case, known: Known<'_>) -> Result<Self, Refusal> {
        let look = &signed.look;
        let words = Words::of(look.language);
        let now = console.clock.now();
        Ok(Self {
            verdict: verdict(case, now, look, words)?,
            bar: bar(case, now, look, words)?,
            rows: TimelineRows { words, rows: table(console, signed, case, words, known.rows) }.render()?,
            facts: facts(console, case, look, words)?,
            actions: actions(signed, case, known.reason, words)?,
        })
    }
}

#[derive(Template)]
#[template(path = "case_verdict.html")]
struct VerdictPiece {
    words: &'static Words,
    icon: &'static str,
    class: &'static str,
    mood: &'static str,
    verdict: Verdict,
}

fn verdict(case: &Case, now: Timestamp, look: &Look, words: &'static Words) -> Result<String, Refusal> {
    let clock = |at| look.clock(at);
    let verdict = timeline::verdict(&case.snapshot, &case.events, now, look.language, &clock);
    // The sentence may contain a provider's text.
    let verdict = Verdict { sentence: plain(&verdict.sentence), ..verdict };
    let (icon, class) = match verdict.mood {
        Mood::Good => ("i-double", "good"),
        Mood::Waiting => ("i-waiting", "waiting"),
        Mood::Trouble => ("i-trouble", "bad"),
        Mood::Over => ("i-over", "over"),
    };
    Ok(VerdictPiece { words, icon, class, mood: words.mood(verdict.mood), verdict }.render()?)
}

#[derive(Template)]
#[template(path = "case_bar.html")]
struct BarPiece<'a> {
    words: &'static Words,
    look: &'a Look,
    segments: Vec<Segment>,
    total: String,
}

fn bar(case: &Case, now: Timestamp, look: &Look, words: &'static Words) -> Result<String, Refusal> {
    let hops = hops(&case.snapshot, &case.events);
    let total = span(bar::total(&hops, now), look.language);
    let segments = bar::segments(&hops, now, look.language);
    Ok(BarPiece { words, look, segments, total }.render()?)
}

#[derive(Template)]
#[template(path = "case_rows.html")]
struct TimelineRows {
    words: &'static Words,
    rows: Vec<Row>,
}

fn table(console: &Console, signed: &Signed, case: &Case, words: &'static Words, known: u32) -> Vec<Row> {
    let look = &signed.look;
    let lines = lines(&case.snapshot, &case.events, look.language);
    let start = case.snapshot.verification.created_at;
    let before = std::iter::once(start).chain(lines.iter().map(|line| line.at));
    lines
        .iter()
        .zip(before)
        .filter(|(line, _)| line.seq > known)
        .map(|(line, before)| {
            let event = case.events.get(line.seq as usize - 1);
            let reason = event.and_then(|event| reason(console, signed, case, event));
            rows::row(line, start, before, reason, look, words)
        })
        .collect()
}

/// Reasons are visible to users who have to give them too.
fn reason(console: &Console, signed: &Signed, case: &Case, event: &Event) -> Option<String> {
    let Fact::OperatorActed { reason: Some(reason), .. } = &event.fact else { return None };
    let id = case.snapshot.verification.id();
    let may = signed.may(Action::Reveal) && !case.snapshot.verification.erased;
    may.then(|| console.vault.open_reason(id, reason).ok()).flatten()
}

#[derive(Template)]
#[template(path = "case_facts.html")]
struct FactsPiece<'a> {
    /// The app's reference, if any.
    client_ref: Option<String>,
    words: &'static Words,
    look: &'a Look,
    case: &'a Case,
    status: &'static str,
    messages: Vec<MessageFacts>,
    tries_left: u8,
}

impl FactsPiece<'_> {
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

fn facts(console: &Console, case: &Case, look: &Look, words: &'static Words) -> Result<String, Refusal> {
    let verification = &case.snapshot.verification;
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
    let client_ref = reference(console, &case.snapshot, LONGEST_REFERENCE);
    let piece = FactsPiece {
        client_ref: Some(client_ref).filter(|reference| !reference.is_empty()),
        words,
        look,
        case,
        status: words.status(verification.status()),
        messages: messages.collect(),
        tries_left: case.snapshot.policy.max_checks.saturating_sub(verification.failed_checks),
    };
    Ok(piece.render()?)
}

#[derive(Template)]
#[template(path = "case_actions.html")]
struct ActionsPiece<'a> {
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

fn actions(signed: &Signed, case: &Case, reason: &str, words: &'static Words) -> Result<String, Refusal> {
    let verification = &case.snapshot.verification;
    let mut channels: Vec<_> = case.snapshot.policy.steps.iter().map(|step| step.channel.clone()).collect();
    channels.dedup();
    let piece = ActionsPiece {
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

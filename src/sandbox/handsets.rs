//! The phones: messages on their screens, and the activity of the networks.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use super::scenario::{self, OUTAGES, Scenario, Status};

/// Limit of phones; the one idle the longest is dropped.
const HANDSETS: usize = 500;
/// Limit of messages and of activity lines per phone.
const ENTRIES: usize = 50;
/// Changes that a live page may miss before it has to reload everything.
const NEWS: usize = 256;

/// The digits of a phone number, with country code and without `+`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(String);

impl Number {
    /// Parses as Meta does: ignores `+`, spaces, hyphens and brackets. E.164 allows 15 digits at most.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 || text.chars().any(|c| !c.is_ascii_digit() && !"+-() ".contains(c)) {
            return None;
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        ((7..=15).contains(&digits.len()) && !digits.starts_with('0')).then_some(Self(digits))
    }

    pub(super) fn digits(&self) -> &str {
        &self.0
    }

    pub(super) fn scenario(&self) -> &'static Scenario {
        scenario::of(&self.0)
    }
}

/// E.164 with `+`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Whatsapp,
    Sms,
}

/// A message on a phone.
#[derive(Clone, Serialize)]
pub struct HandsetEntry {
    pub channel: Channel,
    /// As a person sees it; `*…*` is bold in WhatsApp.
    pub text: String,
    /// The code in the text; null if none is found.
    pub code: Option<String>,
    #[serde(serialize_with = "super::rfc3339")]
    pub at: Timestamp,
}

/// Omits text and code: an entry may end up in a test log.
impl fmt::Debug for HandsetEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("channel", &self.channel).field("at", &self.at).finish_non_exhaustive()
    }
}

/// A line of network activity of a phone, for the page.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Activity {
    pub(super) channel: Channel,
    pub(super) what: Happening,
    #[serde(serialize_with = "super::rfc3339")]
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Happening {
    Accepted,
    AcceptedUnheard,
    Refused,
    Unavailable,
    Sent,
    Delivered,
    Read,
    Failed,
    Disowned,
    ReportNotTaken,
}

impl From<Status> for Happening {
    fn from(status: Status) -> Self {
        match status {
            Status::Sent => Self::Sent,
            Status::Delivered => Self::Delivered,
            Status::Read => Self::Read,
            Status::Failed => Self::Failed,
        }
    }
}

impl Happening {
    fn answers_a_request(self) -> bool {
        match self {
            Self::Accepted | Self::AcceptedUnheard | Self::Refused | Self::Unavailable => true,
            Self::Sent
            | Self::Delivered
            | Self::Read
            | Self::Failed
            | Self::Disowned
            | Self::ReportNotTaken => false,
        }
    }
}

/// A phone in the list.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    number: String,
    plays: &'static str,
    ends: &'static str,
    messages: usize,
    /// Sender of the last SMS.
    sms_from: Option<String>,
    #[serde(serialize_with = "super::rfc3339")]
    at: Timestamp,
}

#[derive(Default)]
struct Handset {
    entries: VecDeque<HandsetEntry>,
    activity: VecDeque<Activity>,
    sms_from: Option<String>,
    outages: u8,
    /// Time of the last message. Reports do not count, so that the list does not reorder all the time.
    at: Timestamp,
}

/// All phones. Live pages are notified of every change.
pub(super) struct Handsets {
    by_number: Mutex<BTreeMap<Number, Handset>>,
    news: broadcast::Sender<String>,
}

impl fmt::Debug for Handsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handsets").field("known", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Handsets {
    pub(super) fn new() -> Self {
        Self { by_number: Mutex::default(), news: broadcast::Sender::new(NEWS) }
    }

    /// Adds a message to the phone.
    pub(super) fn receive(&self, number: &Number, entry: HandsetEntry) {
        self.change(number, |handset| push(&mut handset.entries, entry));
    }

    pub(super) fn note(&self, number: &Number, channel: Channel, what: Happening) {
        let at = super::now();
        self.change(number, |handset| {
            if what.answers_a_request() {
                handset.at = at;
            }
            push(&mut handset.activity, Activity { channel, what, at });
        });
    }

    pub(super) fn note_sms_from(&self, number: &Number, from: String) {
        self.change(number, |handset| handset.sms_from = Some(from));
    }

    /// Counts an outage of this number; false once after every [`OUTAGES`] outages.
    pub(super) fn take_outage(&self, number: &Number) -> bool {
        self.change(number, |handset| {
            let happens = handset.outages < OUTAGES;
            handset.outages = if happens { handset.outages + 1 } else { 0 };
            happens
        })
    }

    pub(super) fn entries(&self, number: &str) -> Vec<HandsetEntry> {
        self.look(number, |handset| handset.entries.iter().cloned().collect())
    }

    pub(super) fn activity(&self, number: &str) -> Vec<Activity> {
        self.look(number, |handset| handset.activity.iter().cloned().collect())
    }

    /// Newest first.
    pub(super) fn list(&self) -> Vec<Summary> {
        let by_number = self.lock();
        let mut list: Vec<Summary> =
            by_number.iter().map(|(number, handset)| handset.summary(number)).collect();
        list.sort_by_key(|summary| std::cmp::Reverse(summary.at));
        list
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
        self.notify(String::new());
    }

    /// Numbers of changed phones; an empty one means all.
    pub(super) fn follow(&self) -> broadcast::Receiver<String> {
        self.news.subscribe()
    }

    fn change<T>(&self, number: &Number, change: impl FnOnce(&mut Handset) -> T) -> T {
        let mut by_number = self.lock();
        if by_number.len() >= HANDSETS && !by_number.contains_key(number) {
            forget_quietest(&mut by_number);
        }
        let new = || Handset { at: super::now(), ..Handset::default() };
        let answer = change(by_number.entry(number.clone()).or_insert_with(new));
        drop(by_number);
        self.notify(number.to_string());
        answer
    }

    fn look<T: Default>(&self, number: &str, look: impl FnOnce(&Handset) -> T) -> T {
        Number::parse(number).and_then(|number| self.lock().get(&number).map(look)).unwrap_or_default()
    }

    fn notify(&self, number: String) {
        // Fails if no page is open.
        let _ = self.news.send(number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Number, Handset>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handset {
    fn summary(&self, number: &Number) -> Summary {
        let scenario = number.scenario();
        Summary {
            number: number.to_string(),
            plays: scenario.plays,
            ends: scenario.ends,
            messages: self.entries.len(),
            sms_from: self.sms_from.clone(),
            at: self.at,
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == ENTRIES {
        list.pop_front();
    }
    list.push_back(item);
}

fn forget_quietest(by_number: &mut BTreeMap<Number, Handset>) {
    let quietest = by_number.iter().min_by_key(|(_, handset)| handset.at).map(|(number, _)| number.clone());
    if let Some(number) = quietest {
        by_number.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> HandsetEntry {
        HandsetEntry { channel: Channel::Sms, text: text.to_owned(), code: None, at: super::super::now() }
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let number = Number::parse("+1 (202) 555-0100").expect("a number");
        assert_eq!(number.to_string(), "+12025550100");
        for text in ["12025550100", "+12025550100"] {
            assert!(Number::parse(text) == Some(number.clone()), "{text}");
        }
        for text in ["", "+", "abc", "+1202555", "1234567890123456", "+0123456789", "１２０２５５５０１００"]
        {
            let allowed = text == "+1202555";
            assert_eq!(Number::parse(text).is_some(), allowed, "{text}");
        }
        assert!(Number::parse(&"9".repeat(10_000)).is_none());
    }

    #[test]
    fn handsets_and_messages_are_bounded_and_the_idlest_is_dropped() {
        let handsets = Handsets::new();
        for n in 0..HANDSETS + 10 {
            let number = Number::parse(&format!("+1202{n:07}")).expect("a number");
            handsets.receive(&number, entry("x"));
        }
        assert_eq!(handsets.list().len(), HANDSETS);
        assert!(handsets.entries("+12020000509").len() == 1 && handsets.entries("+12020000000").is_empty());

        let number = Number::parse("+4915228817386").expect("a number");
        for n in 0..ENTRIES + 5 {
            handsets.receive(&number, entry(&n.to_string()));
        }
        let kept = handsets.entries("4915228817386");
        assert_eq!((kept.len(), kept[0].text.as_str()), (ENTRIES, "5"));
    }

    #[test]
    fn two_outages_precede_each_success() {
        let handsets = Handsets::new();
        let number = Number::parse("+12025550107").expect("a number");
        let taken: Vec<bool> = (0..6).map(|_| handsets.take_outage(&number)).collect();
        assert_eq!(taken, [true, true, false, true, true, false]);
    }
}

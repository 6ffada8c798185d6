//! Reports that match nothing yet: they came before the answer to the send that they are about, or they are about a
//! message that is not ours. Nobody can tell which, so they are kept for a while, and no more than so many of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::verification::values::{ChannelName, ProviderRef, Report, ReportStatus, Timestamp};

/// The answer to a send takes a minute at most; after that nothing can match by the provider's id alone.
const PARKED_FOR: Duration = Duration::from_secs(60 * 60);
/// Where a number also sends what is not ours, its reports never match. At 300 of them a second a report of ours still
/// waits a minute for its send.
pub const MOST_PARKED: usize = 20_000;
/// Most reports take 200 bytes; a long title of an error must not multiply that.
const MOST_PARKED_BYTES: usize = 8 * 1024 * 1024;
/// What a report takes beside its texts.
const PLAIN_BYTES: usize = 128;

/// A report that matches nothing yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parked {
    pub at: Timestamp,
    pub channel: ChannelName,
    pub provider_ref: ProviderRef,
    pub report: Report,
}

impl Parked {
    fn bytes(&self) -> usize {
        let error = match &self.report.status {
            ReportStatus::Failed(error) => error.code.len() + error.title.len(),
            ReportStatus::Unknown(word) => word.len(),
            ReportStatus::Sent | ReportStatus::Delivered | ReportStatus::Read => 0,
        };
        PLAIN_BYTES + 2 * self.provider_ref.as_str().len() + error
    }
}

#[derive(Default)]
pub struct ParkedReports {
    /// In the order in which they came.
    reports: BTreeMap<u64, Parked>,
    of_message: HashMap<(ChannelName, ProviderRef), Vec<u64>>,
    next: u64,
    bytes: usize,
}

impl ParkedReports {
    /// As they were found, in the order in which they came. More than there may be are dropped later, as new ones come.
    pub fn found(reports: impl IntoIterator<Item = Parked>) -> Self {
        let mut parked = Self::default();
        reports.into_iter().for_each(|report| parked.add(report));
        parked
    }

    /// The oldest ones beyond what may be kept, at most `limit`.
    pub fn surplus(&self, most: usize, limit: usize) -> Vec<Parked> {
        let (mut count, mut bytes) = (self.reports.len(), self.bytes);
        let is_surplus = |report: &&Parked| {
            let is_surplus = count > most || bytes > MOST_PARKED_BYTES;
            (count, bytes) = (count - 1, bytes - report.bytes());
            is_surplus
        };
        self.reports.values().take_while(is_surplus).take(limit).cloned().collect()
    }

    /// Whether the same report waits already.
    pub fn holds(&self, report: &Parked) -> bool {
        let waiting = self.of_message.get(&(report.channel.clone(), report.provider_ref.clone()));
        let word = report.report.status.word();
        waiting
            .into_iter()
            .flatten()
            .any(|number| self.reports.get(number).is_some_and(|other| other.report.status.word() == word))
    }

    /// The reports that wait for this message, in the order in which they came.
    pub fn of(&self, channel: &ChannelName, provider_ref: &ProviderRef) -> Vec<Parked> {
        let waiting = self.of_message.get(&(channel.clone(), provider_ref.clone()));
        waiting.into_iter().flatten().filter_map(|number| self.reports.get(number)).cloned().collect()
    }

    /// Those that are too old to match, and those beyond `most`: the oldest first, at most `limit`.
    pub fn old(&self, now: Timestamp, most: usize, limit: usize) -> Vec<Parked> {
        let old =
            self.reports.values().take_while(|report| now.since(report.at + PARKED_FOR) > Duration::ZERO);
        let old: Vec<_> = old.take(limit).cloned().collect();
        let surplus = self.surplus(most, limit);
        if old.len() >= surplus.len() { old } else { surplus }
    }

    pub fn remove(&mut self, report: &Parked) {
        let key = (report.channel.clone(), report.provider_ref.clone());
        let word = report.report.status.word();
        let Some(waiting) = self.of_message.get_mut(&key) else { return };
        let reports = &self.reports;
        let is_it = |number: &u64| reports.get(number).is_some_and(|one| one.report.status.word() == word);
        let Some(place) = waiting.iter().position(is_it) else { return };
        let removed = self.reports.remove(&waiting.remove(place));
        self.bytes -= removed.as_ref().map_or(0, Parked::bytes);
        if waiting.is_empty() {
            self.of_message.remove(&key);
        }
    }

    /// For how long the oldest should have been gone.
    pub fn overdue(&self, now: Timestamp) -> Duration {
        let oldest = self.reports.first_key_value();
        oldest.map_or(Duration::ZERO, |(_, oldest)| now.since(oldest.at + PARKED_FOR))
    }

    pub fn count(&self) -> usize {
        self.reports.len()
    }

    pub fn add(&mut self, report: Parked) {
        let key = (report.channel.clone(), report.provider_ref.clone());
        self.of_message.entry(key).or_default().push(self.next);
        self.bytes += report.bytes();
        self.reports.insert(self.next, report);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::values::{DeliveryError, ErrorClass};

    fn parked(n: usize, at: i64, status: ReportStatus) -> Parked {
        let provider_ref = ProviderRef::parse(&format!("wamid.{n}")).unwrap();
        let report =
            Report { status, reported_at: None, provider_ref: None, reference: None, aliases: Vec::new() };
        let (at, channel) = (Timestamp::from_millis(at), ChannelName::new("whatsapp"));
        Parked { at, channel, provider_ref, report }
    }

    fn name(n: usize) -> (ChannelName, ProviderRef) {
        (ChannelName::new("whatsapp"), ProviderRef::parse(&format!("wamid.{n}")).unwrap())
    }

    fn is_empty(reports: &ParkedReports) -> bool {
        reports.reports.is_empty() && reports.of_message.is_empty() && reports.bytes == 0
    }

    const MOST: usize = 2_000;

    /// Keeps one more, and drops the oldest that make room for it.
    fn put(reports: &mut ParkedReports, report: Parked) -> usize {
        reports.add(report);
        let surplus = reports.surplus(MOST, 64);
        surplus.iter().for_each(|report| reports.remove(report));
        surplus.len()
    }

    #[test]
    fn the_oldest_make_room_and_nothing_is_left_behind() {
        let mut reports = ParkedReports::default();
        let mut dropped = 0;
        for n in 0..2 * MOST {
            dropped += put(&mut reports, parked(n, 0, ReportStatus::Sent));
            assert!(reports.count() <= MOST);
        }
        assert_eq!((dropped, reports.count()), (MOST, MOST));
        let (channel, newest) = name(2 * MOST - 1);
        assert!(!reports.holds(&parked(0, 0, ReportStatus::Sent)));
        assert_eq!(reports.of(&channel, &newest).len(), 1);
        let now = Timestamp::from_millis(0) + PARKED_FOR;
        assert_eq!(reports.old(now, MOST, 5).len(), 0, "not yet");
        let now = now + Duration::from_secs(1);
        assert_eq!(reports.overdue(now), Duration::from_secs(1));
        let old = reports.old(now, MOST, usize::MAX);
        assert_eq!(old.len(), MOST);
        old.iter().for_each(|report| reports.remove(report));
        assert!(is_empty(&reports));
    }

    #[test]
    fn long_texts_count_by_their_bytes() {
        let error = |n: usize| DeliveryError {
            code: n.to_string(),
            title: "x".repeat(8_000),
            class: ErrorClass::Fallback,
        };
        let mut reports = ParkedReports::default();
        for n in 0..5_000 {
            put(&mut reports, parked(n, 0, ReportStatus::Failed(error(n))));
        }
        assert!(reports.bytes <= MOST_PARKED_BYTES && reports.count() > 900, "{}", reports.count());
    }

    #[test]
    fn reports_of_one_message_keep_their_order_and_a_double_is_known() {
        let mut reports = ParkedReports::found([
            parked(1, 0, ReportStatus::Delivered),
            parked(2, 0, ReportStatus::Sent),
            parked(1, 1, ReportStatus::Sent),
        ]);
        assert!(reports.holds(&parked(1, 5, ReportStatus::Sent)));
        assert!(!reports.holds(&parked(1, 5, ReportStatus::Read)));
        let (channel, first) = name(1);
        let order = |reports: &ParkedReports| -> Vec<_> {
            reports.of(&channel, &first).into_iter().map(|one| one.report.status.name()).collect()
        };
        assert_eq!(order(&reports), ["delivered", "sent"]);
        reports.remove(&parked(1, 0, ReportStatus::Delivered));
        assert_eq!((order(&reports), reports.count()), (vec!["sent"], 2));
    }
}

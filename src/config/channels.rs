//! `[channels.NAME]`: the keys of all kinds here, the keys of each kind in its own file.

mod http;
mod meta;
mod sinch_conversation;
mod sinch_sms;
mod twilio;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Channel;
use super::reader::{Section, Slot, as_table};
use super::tree::Table;
use crate::channel::{Carries, Kind, Settings, Timeouts};
use crate::verification::policy::OnDoubt;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Above the highest rate of any provider.
const RATES: RangeInclusive<i64> = 1..=1000;

/// Reads the keys that only this kind has.
fn details(kind: Kind, section: &mut Section<'_>) -> Details {
    match kind {
        Kind::Meta => meta::read(section),
        Kind::Http => http::read(section),
        Kind::Twilio => twilio::read(section),
        Kind::SinchConversation => sinch_conversation::read(section),
        Kind::SinchSms => sinch_sms::read(section),
    }
}

/// The kind's settings, as far as they are valid.
struct Details {
    /// Known even if other keys are invalid, so that a mistake is reported once.
    carries: Option<Carries>,
    settings: Option<Settings>,
}

/// A channel that steps may refer to.
pub(super) struct KnownChannel {
    /// `None` if it is invalid.
    pub(super) content: Option<(Kind, Carries)>,
    pub(super) read: Option<Channel>,
}

pub(super) fn channels(section: Section<'_>, built_in: &Table) -> BTreeMap<String, KnownChannel> {
    let entries = section.entries();
    if entries.is_empty() {
        section.problem("must have at least one [channels.NAME]");
    }
    let known = entries.into_iter().map(|(name, slot)| {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !(1..=32).contains(&name.len()) || !name.bytes().all(lower) {
            slot.problem("a channel's name must be 1 to 32 of a-z, 0-9, _ and -");
        }
        (name, channel(&slot, built_in))
    });
    known.collect()
}

fn channel(slot: &Slot<'_>, built_in: &Table) -> KnownChannel {
    const UNKNOWN: KnownChannel = KnownChannel { content: None, read: None };
    let Some(mut section) = slot.table("a table: [channels.NAME] with kind") else { return UNKNOWN };
    let Some(kind) = section.required("kind").choice(&Kind::ALL.map(|kind| (kind.as_str(), kind))) else {
        return UNKNOWN;
    };
    // Keys of all kinds have the same defaults; the built-in file need not contain a channel of each kind.
    section.default_to(default_channel(built_in, kind).or_else(|| default_channel(built_in, Kind::Http)));
    let messages_per_second = section.maybe_defaulted("messages_per_second");
    let has_rate = messages_per_second.is_set();
    let messages_per_second = messages_per_second.integer(RATES);
    let timeouts = timeouts(&mut section);
    let in_doubt_wait = section.defaulted("in_doubt_wait").duration(Duration::ZERO..=300 * SECOND);
    let on_doubt = section
        .defaulted("on_doubt")
        .choice(&[("resend_once", OnDoubt::ResendOnce), ("hold", OnDoubt::Hold)]);
    let Details { carries, settings } = details(kind, &mut section);
    section.end();
    let read = || {
        Some(Channel {
            messages_per_second: if has_rate { Some(messages_per_second?) } else { None },
            timeouts: timeouts?,
            in_doubt_wait: in_doubt_wait?,
            on_doubt: on_doubt?,
            kind: settings?,
        })
    };
    KnownChannel { content: carries.map(|carries| (kind, carries)), read: read() }
}

/// The built-in file's channel of that kind, whose optional keys are the defaults. For kinds without an example there,
/// the common keys have the defaults of kind `http`.
fn default_channel(built_in: &Table, kind: Kind) -> Option<&Table> {
    let channels = as_table(&built_in.0.get("channels")?.node)?;
    let of_kind = |kind: Kind| {
        let mut tables = channels.0.values().filter_map(|entry| as_table(&entry.node));
        tables.find(|table| table.0.get("kind").is_some_and(|entry| entry.node.is_text(kind.as_str())))
    };
    of_kind(kind).or_else(|| of_kind(Kind::Http))
}

/// `connect_timeout` and `timeout`; the first is part of the second.
fn timeouts(section: &mut Section<'_>) -> Option<Timeouts> {
    let range = 100 * MILLISECOND..=60 * SECOND;
    let whole = section.defaulted("timeout").duration(range.clone());
    let connect = section.defaulted("connect_timeout").duration_at_most(range, whole, "timeout");
    Some(Timeouts { connect: connect?, whole: whole? })
}

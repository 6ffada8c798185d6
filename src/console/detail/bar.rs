//! The time bar: widths and labels of its segments.

use std::time::Duration;

use crate::console::spans::span;
use crate::language::Language;
use crate::timeline::{Hop, HopKind};
use crate::verification::values::Timestamp;

/// The bar's width in its own units; the page scales it.
pub const WIDTH: u64 = 1_000;
/// The minimum width of a segment, if there are few enough.
const MIN_WIDTH: u64 = 8;

/// One stretch of time.
pub struct Segment {
    pub x: u64,
    pub width: u64,
    /// Selects colour and pattern in the style sheet.
    pub class: &'static str,
    pub label: &'static str,
    /// The channel's name, or empty.
    pub channel: String,
    pub lasted: String,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

/// The segments from left to right, without gaps.
pub fn segments(hops: &[Hop], now: Timestamp, language: Language) -> Vec<Segment> {
    let mut x = 0;
    let widths = widths(hops, now);
    let segment = |(hop, width): (&Hop, u64)| {
        let segment = Segment {
            x,
            width,
            class: class(hop.kind),
            label: hop.kind.as_str(language),
            channel: hop.channel.as_ref().map(ToString::to_string).unwrap_or_default(),
            lasted: span(hop.lasted(now), language),
            from: hop.from,
            until: hop.until,
        };
        x += width;
        segment
    };
    hops.iter().zip(widths).map(segment).collect()
}

/// The sum of all durations.
pub fn total(hops: &[Hop], now: Timestamp) -> Duration {
    hops.iter().map(|hop| hop.lasted(now)).sum()
}

/// Gives each segment the minimum width, and distributes the rest in proportion. Waiting for the customer is drawn no
/// longer than the longest other segment, as it would dwarf the others.
fn widths(hops: &[Hop], now: Timestamp) -> Vec<u64> {
    let millis = |hop: &Hop| u64::try_from(hop.lasted(now).as_millis()).unwrap_or(u64::MAX / 1_000_000);
    let longest = hops.iter().filter(|hop| hop.kind != HopKind::Customer).map(millis).max();
    let drawn: Vec<_> = hops
        .iter()
        .map(|hop| match hop.kind {
            HopKind::Customer => millis(hop).min(longest.unwrap_or(1)),
            HopKind::Queue | HopKind::Provider | HopKind::Delivery | HopKind::Carrier | HopKind::Deadline => {
                millis(hop)
            }
        })
        .collect();
    let count = hops.len() as u64;
    let least = MIN_WIDTH.min(WIDTH / 2 / count.max(1));
    let (rest, all) = (WIDTH - least * count, drawn.iter().sum::<u64>().max(1));
    let mut end = 0;
    let edge = |millis: u64| {
        end += millis;
        (u128::from(rest) * u128::from(end) / u128::from(all)) as u64
    };
    let edges: Vec<_> = drawn.into_iter().map(edge).collect();
    let begins = std::iter::once(0).chain(edges.iter().copied());
    begins.zip(&edges).map(|(begin, end)| least + end - begin).collect()
}

fn class(kind: HopKind) -> &'static str {
    match kind {
        HopKind::Queue => "queue",
        HopKind::Provider => "provider",
        HopKind::Delivery => "delivery",
        HopKind::Carrier => "carrier",
        HopKind::Deadline => "deadline",
        HopKind::Customer => "customer",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [HopKind; 6] = [
        HopKind::Queue,
        HopKind::Provider,
        HopKind::Delivery,
        HopKind::Carrier,
        HopKind::Deadline,
        HopKind::Customer,
    ];

    fn hops(lengths: &[(usize, u64)]) -> (Vec<Hop>, Timestamp) {
        let mut at = Timestamp::from_millis(1_795_000_000_000);
        let hop = |&(kind, millis): &(usize, u64)| {
            let from = at;
            at = at + Duration::from_millis(millis);
            Hop { kind: KINDS[kind], channel: None, from, until: Some(at) }
        };
        (lengths.iter().map(hop).collect(), at)
    }

    proptest! {
        #[test]
        fn segments_are_contiguous_and_visible(
            lengths in prop::collection::vec((0..KINDS.len(), 0..100_000_000_u64), 1..200)
        ) {
            let (hops, now) = hops(&lengths);
            let segments = segments(&hops, now, Language::English);
            let mut end = 0;
            for segment in &segments {
                prop_assert_eq!(segment.x, end);
                prop_assert!(segment.width >= 1);
                end += segment.width;
            }
            prop_assert!(end <= WIDTH);
            let some = lengths.iter().any(|&(kind, millis)| KINDS[kind] != HopKind::Customer && millis > 0);
            prop_assert!(!some || end == WIDTH);
        }
    }

    #[test]
    fn segments_are_proportional_and_the_customers_is_capped() {
        let (hops, now) = hops(&[(0, 1_000), (2, 4_000), (5, 600_000)]);
        let widths: Vec<_> =
            segments(&hops, now, Language::German).iter().map(|segment| segment.width).collect();
        assert_eq!(widths, [116, 442, 442]);
        assert_eq!(total(&hops, now), Duration::from_secs(605));
    }
}

//! Every order of {sent, delivered, read, failed}, each report missing, once or twice, with the deadline at every
//! position: before, at the same moment as, and after each.

use std::collections::{BTreeMap, BTreeSet};

use twotick::verification::policy::OnDoubt;
use twotick::verification::state::{Phase, Progress, Stage};
use twotick::verification::values::ReportStatus;
use twotick::verification::{Fact, Readiness};

use crate::story::*;

const KINDS: usize = 4;
const TWICE: usize = 2;

/// A report by its kind, or the tick of the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    Report(usize),
    Deadline,
}

/// The times of the reports relative to the deadline; their order in the log is given.
#[derive(Clone, Copy, Debug)]
enum Spacing {
    /// A second between any two.
    Apart,
    /// All at the moment of the deadline.
    SameMoment,
}

#[test]
fn every_order_of_the_reports_around_the_deadline_ends_the_same() {
    let mut cases = 0_usize;
    let mut ends = BTreeMap::new();
    for times in multiplicities() {
        for order in orders(times) {
            for spacing in [Spacing::Apart, Spacing::SameMoment] {
                cases += 1;
                let story = play(&order, spacing);
                let set = times.map(|times| times > 0);
                let progress = story.message(1).progress;
                let first = *ends.entry(set).or_insert(progress);
                assert_eq!(first, progress, "the same reports in another order, {order:?}, end otherwise");
                assert_eq!(progress, highest(set), "{order:?}");
                check(&story, &order);
            }
        }
    }
    println!("orders of reports around the deadline: {cases}");
    assert_eq!(cases, 2 * number_of_orders(), "some orders were left out");
    assert_eq!(ends.len(), 1 << KINDS);
}

/// The number of reports of each kind: 0 to 2.
fn multiplicities() -> impl Iterator<Item = [usize; KINDS]> {
    let each = TWICE + 1;
    (0..each.pow(KINDS as u32))
        .map(move |number| std::array::from_fn(|kind| number / each.pow(kind as u32) % each))
}

/// All distinct orders of the reports and one deadline.
fn orders(times: [usize; KINDS]) -> Vec<Vec<Happening>> {
    let mut orders = Vec::new();
    extend(&mut Vec::new(), times, 1, &mut orders);
    orders
}

fn extend(
    begun: &mut Vec<Happening>,
    times: [usize; KINDS],
    deadlines: usize,
    orders: &mut Vec<Vec<Happening>>,
) {
    if times == [0; KINDS] && deadlines == 0 {
        orders.push(begun.clone());
        return;
    }
    for kind in (0..KINDS).filter(|&kind| times[kind] > 0) {
        let mut left = times;
        left[kind] -= 1;
        begun.push(Happening::Report(kind));
        extend(begun, left, deadlines, orders);
        begun.pop();
    }
    if deadlines > 0 {
        begun.push(Happening::Deadline);
        extend(begun, times, deadlines - 1, orders);
        begun.pop();
    }
}

/// The sum of the multinomial coefficients.
fn number_of_orders() -> usize {
    let factorial = |n: usize| (1..=n).product::<usize>();
    multiplicities()
        .map(|times| {
            factorial(times.iter().sum::<usize>() + 1)
                / times.iter().map(|&n| factorial(n)).product::<usize>()
        })
        .sum()
}

fn status(kind: usize) -> ReportStatus {
    [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Read, failed()][kind].clone()
}

const DELIVERED: usize = 1;
const READ: usize = 2;
const FAILED: usize = 3;

fn highest([sent, delivered, read, failed]: [bool; KINDS]) -> Progress {
    if read {
        Progress::Read
    } else if delivered {
        Progress::Delivered
    } else if failed {
        Progress::Failed
    } else if sent {
        Progress::Sent
    } else {
        Progress::Accepted
    }
}

/// Ticks at every moment, which includes early and double ticks.
fn play(order: &[Happening], spacing: Spacing) -> Story {
    let deadline =
        order.iter().position(|happening| *happening == Happening::Deadline).expect("there is one") as i64;
    let policy = policy_of(&[(WHATSAPP, Some(DEADLINE)), (SMS, None)], OnDoubt::ResendOnce);
    let mut story = requested_under(policy).accepted();
    for (place, happening) in order.iter().enumerate() {
        let offset = match spacing {
            Spacing::Apart => (place as i64 - deadline) * 1_000,
            Spacing::SameMoment => 0,
        };
        story = story.at(DEADLINE + offset);
        story = match happening {
            Happening::Deadline => story.ticked(Readiness::Ready).given(tick()),
            Happening::Report(kind) => story.given(report(1, status(*kind))),
        };
        // Effects of a report happen immediately, those of the deadline do not.
        if story.verification().messages.len() > 1 {
            story = story.given(tick()).given(tick());
        }
    }
    story.at(EXPIRY - 1).ticked(Readiness::Ready)
}

fn check(story: &Story, order: &[Happening]) {
    let place = |which: &[usize]| {
        order
            .iter()
            .position(|happening| matches!(happening, Happening::Report(kind) if which.contains(kind)))
    };
    let deadline = order.iter().position(|happening| *happening == Happening::Deadline);
    let delivered = place(&[DELIVERED, READ]);
    let gone_wrong = match (place(&[FAILED]), deadline) {
        (Some(failed), Some(deadline)) => failed.min(deadline),
        (None, Some(deadline)) => deadline,
        (_, None) => unreachable!("there is a deadline in every order"),
    };
    let in_time = delivered.is_some_and(|delivered| delivered < gone_wrong);
    let messages = story.verification().messages.len();
    let requests = story.count(|fact| matches!(fact, Fact::SendStarted { .. }));
    let expected = if in_time { 1 } else { 2 };
    assert_eq!((messages, requests), (expected, expected), "messages and requests after {order:?}");
    assert_eq!(story.message(1).late, delivered.is_some() && !in_time, "late after {order:?}");
    assert_eq!(story.count(|fact| matches!(fact, Fact::FellBack { .. })), expected - 1);

    let applied: BTreeSet<_> = story.facts().filter_map(applied_status).collect();
    assert_eq!(
        applied.len(),
        story.facts().filter_map(applied_status).count(),
        "one acted twice in {order:?}"
    );
    let reports = order.len() - 1;
    assert_eq!(
        story.count(|fact| matches!(fact, Fact::Reported { .. })),
        reports,
        "one was lost in {order:?}"
    );
    let settled = story.verification().phase == Phase::Pending(Stage::Delivered);
    assert_eq!(settled, delivered.is_some(), "{order:?}");
    assert_eq!(story.verification().delivered_by.is_some(), delivered.is_some());
}

fn applied_status(fact: &Fact) -> Option<&'static str> {
    use twotick::verification::event::Standing;
    let Fact::Reported { status, standing: Standing::Applied, .. } = fact else { return None };
    Some(status.name())
}

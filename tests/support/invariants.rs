//! I1 to I12 as functions on one verification: its event log, compared with what was visible outside. The model test
//! checks them after every step; crash and fault tests fill the same [`Witness`] from answers and from requests at the
//! stand-ins.

use std::collections::{BTreeMap, BTreeSet};

use twotick::verification::event::{Occasion, Standing};
use twotick::verification::state::{Progress, STALE_REPORTS_KEPT};
use twotick::verification::values::{Ordinal, ReportStatus, Timestamp};
use twotick::verification::{Event, Fact, Policy, State};

/// Durable events of one verification and its policy.
pub struct Log<'a> {
    pub policy: &'a Policy,
    pub events: &'a [Event],
}

/// What was visible outside while the log grew.
#[derive(Default)]
pub struct Witness {
    /// Events that were answered for, and the length of the log then. No events: "already so".
    pub answered: Vec<Answered>,
    /// Requests that reached a provider.
    pub requests: Vec<SeenRequest>,
    /// Reports that were acknowledged to the provider.
    pub acked_reports: Vec<(Ordinal, ReportStatus)>,
    /// Comparisons with a known result.
    pub tries_answered: usize,
    /// States shown to a reader, each with its version.
    pub read: Vec<State>,
    /// Everything due until then was done.
    pub ticked_until: Option<Timestamp>,
}

pub struct Answered {
    pub events: Vec<Event>,
    pub log_length: usize,
}

pub struct SeenRequest {
    pub message: Ordinal,
    pub attempt: u16,
    /// Number of durable events when it was sent.
    pub durable: usize,
}

type Invariant = fn(&Log, &Witness) -> Result<(), String>;

pub const ALL: [(&str, Invariant); 12] = [
    ("I1 what was answered is durable", i1_what_was_answered_is_durable),
    ("I2 one attempt is at most one request", i2_one_attempt_is_at_most_one_request),
    ("I3 the intent is durable before the request", i3_the_intent_is_durable_before_the_request),
    ("I4 approved at most once", i4_approved_at_most_once),
    ("I5 tries compared are at most max_checks", i5_tries_are_at_most_max_checks),
    ("I6 nothing is sent after the end or past the expiry", i6_nothing_is_sent_after_the_end),
    ("I7 every verification ends by its expiry", i7_it_ends_by_its_expiry),
    ("I8 the fold of the log is the state", i8_the_fold_of_the_log_is_the_state),
    ("I9 the timeline shows every request", i9_the_timeline_shows_every_request),
    ("I10 no acked report is lost", i10_no_acked_report_is_lost),
    ("I11 one message a step unless asked or in doubt", i11_one_message_a_step),
    ("I12 a reader sees only durable states", i12_readers_see_only_durable_states),
];

/// The first violated invariant, by name, with the reason.
pub fn broken(log: &Log, witness: &Witness) -> Option<String> {
    ALL.iter().find_map(|(name, holds)| holds(log, witness).err().map(|why| format!("{name}: {why}")))
}

pub fn i1_what_was_answered_is_durable(log: &Log, witness: &Witness) -> Result<(), String> {
    let lost = witness.answered.iter().find(|answer| {
        let from = answer.log_length.saturating_sub(answer.events.len());
        log.events.get(from..answer.log_length) != Some(&answer.events[..])
    });
    lost.map_or(Ok(()), |answer| Err(format!("{:?} was answered at {}", answer.events, answer.log_length)))
}

pub fn i2_one_attempt_is_at_most_one_request(log: &Log, witness: &Witness) -> Result<(), String> {
    let mut requests = BTreeSet::new();
    let twice = witness.requests.iter().find(|seen| !requests.insert((seen.message, seen.attempt)));
    if let Some(seen) = twice {
        return Err(format!("attempt {} of {:?} went out twice", seen.attempt, seen.message));
    }
    let mut attempts = BTreeMap::new();
    for (message, attempt) in starts(log) {
        let before = attempts.insert(message, attempt).unwrap_or(0);
        if attempt != before + 1 {
            return Err(format!("attempt {attempt} of {message:?} follows {before}"));
        }
    }
    Ok(())
}

pub fn i3_the_intent_is_durable_before_the_request(log: &Log, witness: &Witness) -> Result<(), String> {
    let unannounced = witness.requests.iter().find(|seen| {
        let durable = Log { policy: log.policy, events: &log.events[..seen.durable.min(log.events.len())] };
        !starts(&durable).any(|start| start == (seen.message, seen.attempt))
    });
    unannounced.map_or(Ok(()), |seen| Err(format!("attempt {} of {:?}", seen.attempt, seen.message)))
}

pub fn i4_approved_at_most_once(log: &Log, _: &Witness) -> Result<(), String> {
    match count(log, |fact| matches!(fact, Fact::CheckPassed)) {
        0 | 1 => Ok(()),
        more => Err(format!("{more} times")),
    }
}

pub fn i5_tries_are_at_most_max_checks(log: &Log, witness: &Witness) -> Result<(), String> {
    let wrong = count(log, |fact| matches!(fact, Fact::CheckFailed));
    let passed = log.events.iter().position(|event| matches!(event.fact, Fact::CheckPassed));
    let tries = wrong + usize::from(passed.is_some());
    let max = usize::from(log.policy.max_checks);
    let exhausted = count(log, |fact| matches!(fact, Fact::ChecksExhausted)) == 1;
    let before = Log { policy: log.policy, events: &log.events[..passed.unwrap_or(0)] };
    let wrong_before = count(&before, |fact| matches!(fact, Fact::CheckFailed));
    if wrong > max || wrong_before >= max || witness.tries_answered > tries {
        Err(format!("{tries} of {max} are in the log, {} were answered", witness.tries_answered))
    } else if exhausted != (wrong == max && passed.is_none()) {
        Err(format!("{wrong} wrong codes of {max}, exhausted: {exhausted}"))
    } else {
        Ok(())
    }
}

pub fn i6_nothing_is_sent_after_the_end(log: &Log, _: &Witness) -> Result<(), String> {
    let sends = |fact: &Fact| matches!(fact, Fact::SendStarted { .. } | Fact::MessageQueued { .. });
    let end = log.events.iter().position(|event| ends(&event.fact)).unwrap_or(log.events.len());
    let late = log
        .events
        .iter()
        .enumerate()
        .find(|(at, event)| sends(&event.fact) && (*at > end || Some(event.at) >= expiry(log)));
    late.map_or(Ok(()), |(at, event)| Err(format!("{event:?}, the {at}th event, ended at {end}")))
}

pub fn i7_it_ends_by_its_expiry(log: &Log, witness: &Witness) -> Result<(), String> {
    let endings: Vec<_> = log.events.iter().filter(|event| ends(&event.fact)).collect();
    let Some(expiry) = expiry(log) else { return Ok(()) };
    match endings[..] {
        [] if witness.ticked_until >= Some(expiry) => Err("it is still pending".to_owned()),
        [] => Ok(()),
        [Event { at, fact }] if (*at >= expiry) == (*fact == Fact::Expired) => Ok(()),
        _ => Err(format!("it ended by {endings:?}, the expiry is {expiry}")),
    }
}

pub fn i8_the_fold_of_the_log_is_the_state(log: &Log, witness: &Witness) -> Result<(), String> {
    let Some(shown) = witness.read.last() else { return Ok(()) };
    let fold = State::fold(log.events.iter().take(version(shown)));
    if fold == *shown { Ok(()) } else { Err(format!("the fold is {fold:?}, the state {shown:?}")) }
}

pub fn i9_the_timeline_shows_every_request(log: &Log, witness: &Witness) -> Result<(), String> {
    let started: BTreeSet<_> = starts(log).collect();
    if let Some(seen) = witness.requests.iter().find(|seen| !started.contains(&(seen.message, seen.attempt)))
    {
        return Err(format!("attempt {} of {:?} is not in it", seen.attempt, seen.message));
    }
    let mut open = BTreeSet::new();
    for event in log.events {
        if let Fact::SendStarted { message, attempt, .. } = event.fact {
            open.insert((message, attempt));
        } else if let Fact::SendAccepted { message, attempt, .. }
        | Fact::SendRefused { message, attempt, .. }
        | Fact::SendInDoubt { message, attempt, .. } = event.fact
            && !open.remove(&(message, attempt))
        {
            return Err(format!("{:?} is the outcome of nothing under way", event.fact));
        }
    }
    Ok(())
}

pub fn i10_no_acked_report_is_lost(log: &Log, witness: &Witness) -> Result<(), String> {
    let written = |message: Ordinal, status: &ReportStatus, which: Option<Standing>| {
        count(log, |fact| {
            matches!(fact, Fact::Reported { message: of, status: is, standing, .. }
            if *of == message && is == status && which.is_none_or(|which| which == *standing))
        })
    };
    let stale_of = |message: Ordinal| {
        count(
            log,
            |fact| matches!(fact, Fact::Reported { message: of, standing: Standing::Stale, .. } if *of == message),
        )
    };
    let state = State::fold(log.events);
    for (message, status) in &witness.acked_reports {
        let acked = witness.acked_reports.iter().filter(|of| (&of.0, &of.1) == (message, status)).count();
        let full = stale_of(*message) >= usize::from(STALE_REPORTS_KEPT);
        if written(*message, status, None) < acked && !full {
            return Err(format!("{status:?} of {message:?}"));
        }
        if written(*message, status, Some(Standing::Applied)) > 1 {
            return Err(format!("{status:?} of {message:?} acted twice"));
        }
        if stale_of(*message) > usize::from(STALE_REPORTS_KEPT) {
            return Err(format!("more stale reports of {message:?} were written down than are kept"));
        }
        if let State::Known(verification) = &state {
            let progress = verification.message(*message).map(|message| message.progress);
            let shown = match status {
                ReportStatus::Read => matches!(progress, Some(Progress::Read)),
                ReportStatus::Delivered => matches!(progress, Some(Progress::Delivered | Progress::Read)),
                ReportStatus::Unknown(_) => true,
                ReportStatus::Sent | ReportStatus::Failed(_) => matches!(
                    progress,
                    Some(
                        Progress::Sent
                            | Progress::Failed
                            | Progress::Dropped
                            | Progress::Delivered
                            | Progress::Read
                    )
                ),
            };
            if !shown {
                return Err(format!("{status:?} of {message:?} shows as {progress:?}"));
            }
        }
    }
    Ok(())
}

pub fn i11_one_message_a_step(log: &Log, _: &Witness) -> Result<(), String> {
    let mut asked = 0;
    let mut by_step = BTreeMap::<u8, usize>::new();
    let mut doubted = BTreeSet::new();
    let mut last_doubt = None;
    for event in log.events {
        if let Fact::SendInDoubt { message, settle_by: Some(_), .. } = event.fact {
            last_doubt = Some(message);
        }
        let Fact::MessageQueued { message, step, occasion, .. } = event.fact else {
            asked += usize::from(matches!(event.fact, Fact::ResendRequested { .. }));
            continue;
        };
        match occasion {
            Occasion::Resend => {}
            Occasion::Step => {
                let queued = by_step.entry(step).or_default();
                *queued += 1;
                if *queued > 1 + asked {
                    return Err(format!("{queued} messages of step {step}, {asked} resends"));
                }
            }
            Occasion::Doubt => {
                let of: Ordinal =
                    last_doubt.take().ok_or(format!("{message:?} was queued without a doubt"))?;
                if !doubted.insert(of) {
                    return Err(format!("the doubt about {of:?} queued two messages"));
                }
            }
        }
    }
    let resent = count(log, |fact| matches!(fact, Fact::MessageQueued { occasion: Occasion::Resend, .. }));
    if resent == asked { Ok(()) } else { Err(format!("{resent} messages for {asked} resends")) }
}

pub fn i12_readers_see_only_durable_states(log: &Log, witness: &Witness) -> Result<(), String> {
    let ghost = witness.read.iter().find(|shown| {
        let version = version(shown);
        version > log.events.len() || State::fold(&log.events[..version]) != **shown
    });
    ghost.map_or(Ok(()), |shown| Err(format!("{shown:?}")))
}

fn starts(log: &Log) -> impl Iterator<Item = (Ordinal, u16)> {
    log.events.iter().filter_map(|event| match event.fact {
        Fact::SendStarted { message, attempt, .. } => Some((message, attempt)),
        _ => None,
    })
}

fn count(log: &Log, which: impl Fn(&Fact) -> bool) -> usize {
    log.events.iter().filter(|event| which(&event.fact)).count()
}

fn ends(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::CheckPassed | Fact::ChecksExhausted | Fact::Expired | Fact::Canceled | Fact::Abandoned { .. }
    )
}

fn expiry(log: &Log) -> Option<Timestamp> {
    log.events.iter().find_map(|event| match event.fact {
        Fact::Requested { expires_at, .. } => Some(expires_at),
        _ => None,
    })
}

fn version(state: &State) -> usize {
    match state {
        State::New => 0,
        State::Known(verification) => verification.version as usize,
    }
}

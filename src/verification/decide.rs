//! The rules: which events follow from a state, its policy, a command and the time. An empty `Ok` means "already so";
//! `Err` means that the caller was wrong.

use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, Comparison, Jitter, OperatorAct, Readiness, Rejection, Request};
use super::due::{Why, ripe};
use super::event::{AbandonReason, Aim, Event, Fact, FallbackReason, Occasion, OperatorAction, Standing};
use super::policy::{OnDoubt, Policy};
use super::state::{
    ALIASES_KEPT, Ending, Message, OpenAttempt, Phase, Progress, REPLIES_KEPT, STALE_REPORTS_KEPT, Stage,
    State, Verification,
};
use super::values::{
    ChannelName, DeliveryError, ErrorClass, KnownAs, NumberIndex, Ordinal, Outcome, ProviderRef, Report,
    ReportStatus, Runner, Sealed, Timestamp, UserName,
};

/// The wait before the first retry of a message; it doubles with each further one.
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(500);
/// The longest wait, unless the provider asks for a longer one: a code is worth little after a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

pub fn decide(
    state: &State,
    policy: &Policy,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Event>, Rejection> {
    let facts = match state {
        State::New => match command {
            Command::Request(request) => request_facts(request, policy, now),
            Command::Tick { .. }
            | Command::SendReported { .. }
            | Command::Interrupt { .. }
            | Command::Report { .. }
            | Command::Check(_)
            | Command::Resend { .. }
            | Command::Next
            | Command::Cancel
            | Command::Abandon(_)
            | Command::Erase
            | Command::ByOperator { .. }
            | Command::Reply { .. }
            | Command::Disown { .. } => return Err(Rejection::Unknown),
        },
        State::Known(verification) => Rules { state, verification, policy, now }.facts(command)?,
    };
    Ok(facts.into_iter().map(|fact| Event { at: now, fact }).collect())
}

fn request_facts(request: &Arc<Request>, policy: &Policy, now: Timestamp) -> Vec<Fact> {
    let expires_at = now + policy.code_ttl;
    let requested = Fact::Requested { request: Arc::clone(request), expires_at };
    match queued(policy, Ordinal::FIRST, 0, Occasion::Step, now, expires_at) {
        Some(message) => vec![requested, message],
        None => vec![requested, Fact::GaveUp],
    }
}

fn queued(
    policy: &Policy,
    message: Ordinal,
    step: usize,
    occasion: Occasion,
    now: Timestamp,
    expires_at: Timestamp,
) -> Option<Fact> {
    let chosen = policy.steps.get(step)?;
    Some(Fact::MessageQueued {
        message,
        step: u8::try_from(step).ok()?,
        channel: chosen.channel.clone(),
        occasion,
        // The verification ends before a deadline past its expiry.
        fallback_at: chosen.deliver_within.map(|within| now + within).filter(|&at| at < expires_at),
    })
}

struct Rules<'a> {
    state: &'a State,
    verification: &'a Verification,
    policy: &'a Policy,
    now: Timestamp,
}

impl Rules<'_> {
    fn facts(&self, command: &Command) -> Result<Vec<Fact>, Rejection> {
        match command {
            Command::Request(_) => Err(Rejection::AlreadyRequested),
            Command::Tick { readiness, runner } => Ok(self.tick(*readiness, *runner)),
            Command::SendReported { message, attempt, outcome, aliases, jitter } => {
                self.send_reported(*message, *attempt, outcome, aliases, *jitter)
            }
            Command::Interrupt { gone } => Ok(self.interrupt(|_, open| open.runner == *gone)),
            Command::Report { message, channel, report } => self.report(*message, channel, report),
            Command::Check(comparison) => Ok(self.check(*comparison)),
            Command::Resend { channel } => self.resend(channel.as_ref()),
            Command::Next => self.next(),
            Command::Cancel => self.cancel(),
            Command::Abandon(reason) => Ok(self.abandon(*reason)),
            Command::Erase => Ok(self.erase()),
            Command::ByOperator { by, reason, act } => self.by_operator(by, reason.as_ref(), act),
            Command::Reply { message, kind, standing } => Ok(self.reply(*message, kind, *standing)),
            Command::Disown { message, standing, aim } => Ok(self.disown(*message, *standing, *aim)),
        }
    }

    /// Handles one deadline that has passed, if any. A tick that comes too early, too late or twice changes nothing.
    fn tick(&self, readiness: Readiness, runner: Runner) -> Vec<Fact> {
        match ripe(self.state, readiness, self.now) {
            Some((_, Why::Expiry)) => vec![Fact::Expired],
            Some((_, Why::Deadline)) => self.fall_back(self.deadline_reason()),
            Some((_, Why::Doubt(_))) => self.send_again_in_doubt(),
            Some((_, Why::Send(message))) => self.start(message, readiness, runner),
            Some((_, Why::Answer(message))) => self.interrupt(|of, _| of.ordinal == message),
            None => Vec::new(),
        }
    }

    /// A message in doubt may not have been sent at all, so its deadline has a reason of its own.
    fn deadline_reason(&self) -> FallbackReason {
        match self.verification.current().map(|message| message.progress) {
            Some(Progress::InDoubt { .. }) => FallbackReason::InDoubt,
            Some(
                Progress::Queued { .. }
                | Progress::Sending
                | Progress::Accepted
                | Progress::Sent
                | Progress::Failed
                | Progress::Delivered
                | Progress::Read
                | Progress::Dropped,
            )
            | None => FallbackReason::Deadline,
        }
    }

    fn start(&self, ordinal: Ordinal, readiness: Readiness, runner: Runner) -> Vec<Fact> {
        let Some(message) = self.verification.message(ordinal) else { return Vec::new() };
        match readiness {
            Readiness::Ready => {
                let attempt = message.attempts.saturating_add(1);
                vec![Fact::SendStarted { message: ordinal, attempt, runner }]
            }
            Readiness::Throttled => Vec::new(),
            Readiness::BreakerOpen => {
                let mut facts = vec![Fact::StepSkipped { message: ordinal }];
                if self.decides_the_step(message) {
                    facts.push(self.queue(self.step_after(message), Occasion::Step).unwrap_or(Fact::GaveUp));
                }
                facts
            }
        }
    }

    fn send_reported(
        &self,
        ordinal: Ordinal,
        attempt: u16,
        outcome: &Outcome,
        aliases: &[KnownAs],
        jitter: Jitter,
    ) -> Result<Vec<Fact>, Rejection> {
        let message = self.verification.message(ordinal).ok_or(Rejection::UnknownMessage)?;
        if message.open_attempt.is_none() || message.attempts != attempt {
            return Ok(Vec::new());
        }
        let accepted = |provider_ref: &Option<ProviderRef>| Fact::SendAccepted {
            message: ordinal,
            attempt,
            provider_ref: provider_ref.clone(),
            aliases: self.new_aliases(aliases),
        };
        Ok(match outcome {
            Outcome::Accepted { provider_ref } => vec![accepted(provider_ref)],
            Outcome::Held { provider_ref } => {
                let mut facts = vec![accepted(&Some(provider_ref.clone()))];
                if self.hangs_on_the_outcome(message) {
                    facts.extend(self.fall_back(FallbackReason::Refused));
                }
                facts
            }
            Outcome::Refused { error, retry_after } => {
                self.refused(message, attempt, error, self.retry_at(message, error, *retry_after, jitter))
            }
            Outcome::InDoubt { error } => vec![self.in_doubt(message, error.clone())],
        })
    }

    fn refused(
        &self,
        message: &Message,
        attempt: u16,
        error: &DeliveryError,
        retry_at: Option<Timestamp>,
    ) -> Vec<Fact> {
        let mut facts =
            vec![Fact::SendRefused { message: message.ordinal, attempt, error: error.clone(), retry_at }];
        if retry_at.is_none() && self.hangs_on_the_outcome(message) {
            facts.extend(self.fall_back(FallbackReason::Refused));
        }
        facts
    }

    /// When a message with a temporary error is retried; `None`: not in time.
    fn retry_at(
        &self,
        message: &Message,
        error: &DeliveryError,
        retry_after: Option<Duration>,
        jitter: Jitter,
    ) -> Option<Timestamp> {
        let Phase::Pending(stage) = self.verification.phase else { return None };
        if error.class != ErrorClass::Retry
            || !self.is_current(message)
            || message.progress != Progress::Sending
        {
            return None;
        }
        let limit = match stage {
            Stage::Waiting { fallback_at: Some(at) } => at.min(self.verification.expires_at),
            Stage::Waiting { fallback_at: None } | Stage::Delivered | Stage::GaveUp => {
                self.verification.expires_at
            }
        };
        // A provider that asks for no wait must not cause a busy loop.
        let wait = retry_after
            .map_or_else(|| backoff(message.attempts, jitter), |wished| wished.max(FIRST_RETRY_AFTER));
        let at = self.now + wait;
        (at < limit).then_some(at)
    }

    fn in_doubt(&self, message: &Message, error: DeliveryError) -> Fact {
        let step = self.policy.steps.get(usize::from(message.step));
        let settle_by = step
            .filter(|step| {
                step.on_doubt == OnDoubt::ResendOnce
                    && self.step_after(message) >= self.policy.steps.len()
                    && message.occasion != Occasion::Doubt
                    && self.hangs_on_the_outcome(message)
            })
            .map(|step| self.now + step.in_doubt_wait);
        Fact::SendInDoubt { message: message.ordinal, attempt: message.attempts, error, settle_by }
    }

    /// Puts the chosen attempts in progress in doubt: their outcome never arrives.
    fn interrupt(&self, which: impl Fn(&Message, OpenAttempt) -> bool) -> Vec<Fact> {
        let interrupted = DeliveryError {
            code: "interrupted".to_owned(),
            title: "twotick stopped while the request was under way".to_owned(),
            class: ErrorClass::InDoubt,
        };
        let messages = self.verification.messages.iter();
        messages
            .filter(|message| message.open_attempt.is_some_and(|open| which(message, open)))
            .map(|message| self.in_doubt(message, interrupted.clone()))
            .collect()
    }

    fn report(
        &self,
        ordinal: Ordinal,
        channel: &ChannelName,
        report: &Report,
    ) -> Result<Vec<Fact>, Rejection> {
        let message = self
            .verification
            .message(ordinal)
            .filter(|message| message.channel == *channel)
            .ok_or(Rejection::UnknownMessage)?;
        let moves = message.is_moved_by(&report.status);
        if !moves && message.stale_reports >= STALE_REPORTS_KEPT {
            return Ok(Vec::new());
        }
        let mut facts = vec![Fact::Reported {
            message: ordinal,
            status: report.status.clone(),
            standing: if moves { Standing::Applied } else { Standing::Stale },
            reported_at: report.reported_at,
            provider_ref: report.provider_ref.clone().filter(|_| message.provider_ref.is_none()),
            aliases: self.new_aliases(&report.aliases),
        }];
        if moves && matches!(report.status, ReportStatus::Failed(_)) && self.decides_the_step(message) {
            facts.extend(self.fall_back(FallbackReason::Failed));
        }
        Ok(facts)
    }

    /// The aliases that are not known yet. A number with another end than the number from the app is an error of the
    /// provider and is left out, or it would merge two people.
    fn new_aliases(&self, reported: &[KnownAs]) -> Vec<NumberIndex> {
        let request = &self.verification.request;
        let mut new: Vec<NumberIndex> = Vec::new();
        for &KnownAs { index, tail } in reported {
            let is_theirs = tail.zip(request.tail).is_none_or(|(reported, requested)| reported == requested);
            let known = &self.verification.aliases;
            let is_new = index != request.number && !known.contains(&index) && !new.contains(&index);
            if is_theirs && is_new && known.len() + new.len() < ALIASES_KEPT {
                new.push(index);
            }
        }
        new
    }

    /// After an approval wrong codes still count, so that trying does not find the right one. From `max_checks` on
    /// nothing is compared ([`Verification::may_compare`]).
    fn check(&self, comparison: Comparison) -> Vec<Fact> {
        match self.verification.phase {
            Phase::Pending(_) => {}
            Phase::Ended { ending: Ending::Approved, .. } => {
                let wrong = comparison == Comparison::Differ && self.verification.may_compare(self.policy);
                return if wrong { vec![Fact::CheckFailed] } else { Vec::new() };
            }
            Phase::Ended { ending: Ending::Expired | Ending::Canceled | Ending::Exhausted, .. } => {
                return Vec::new();
            }
        }
        if self.now >= self.verification.expires_at {
            return vec![Fact::Expired];
        }
        match comparison {
            Comparison::Match => vec![Fact::CheckPassed],
            Comparison::Differ if self.verification.failed_checks + 1 < self.policy.max_checks => {
                vec![Fact::CheckFailed]
            }
            Comparison::Differ => vec![Fact::CheckFailed, Fact::ChecksExhausted],
        }
    }

    fn resend(&self, channel: Option<&ChannelName>) -> Result<Vec<Fact>, Rejection> {
        self.require_pending()?;
        let step = match channel {
            Some(channel) => self.policy.step_on(channel).ok_or(Rejection::NoStepOnChannel)?,
            None => self.verification.current().map_or(0, |message| usize::from(message.step)),
        };
        let wait =
            self.policy.resend_wait(usize::from(self.verification.resends)).ok_or(Rejection::ResendLimit)?;
        let until = self.verification.last_send_at + wait;
        if self.now < until {
            return Err(Rejection::ResendTooEarly { until });
        }
        let message = self.queue(step, Occasion::Resend).ok_or(Rejection::ResendLimit)?;
        Ok(vec![Fact::ResendRequested { channel: channel.cloned() }, message])
    }

    fn next(&self) -> Result<Vec<Fact>, Rejection> {
        self.require_pending()?;
        let facts = self.fall_back(FallbackReason::Requested);
        match facts.first() {
            Some(Fact::FellBack { .. }) => Ok(facts),
            Some(_) | None => Err(Rejection::NoNextStep),
        }
    }

    fn cancel(&self) -> Result<Vec<Fact>, Rejection> {
        match self.verification.phase {
            Phase::Pending(_) => self.require_pending().map(|()| vec![Fact::Canceled]),
            Phase::Ended { ending: Ending::Canceled, .. } => Ok(Vec::new()),
            Phase::Ended {
                ending: ending @ (Ending::Approved | Ending::Expired | Ending::Exhausted),
                ..
            } => Err(Rejection::NotPending(ending)),
        }
    }

    fn abandon(&self, reason: AbandonReason) -> Vec<Fact> {
        match self.verification.phase {
            Phase::Pending(_) if self.now >= self.verification.expires_at => vec![Fact::Expired],
            Phase::Pending(_) => vec![Fact::Abandoned { reason }],
            Phase::Ended { .. } => Vec::new(),
        }
    }

    fn erase(&self) -> Vec<Fact> {
        match self.verification.phase {
            _ if self.verification.erased => Vec::new(),
            Phase::Pending(_) if self.now >= self.verification.expires_at => {
                vec![Fact::Erased, Fact::Expired]
            }
            Phase::Pending(_) => vec![Fact::Erased, Fact::Canceled],
            Phase::Ended { .. } => vec![Fact::Erased],
        }
    }

    /// An action without an effect is not recorded as an action.
    fn by_operator(
        &self,
        by: &UserName,
        reason: Option<&Sealed>,
        act: &OperatorAct,
    ) -> Result<Vec<Fact>, Rejection> {
        let (action, followed_by) = match act {
            OperatorAct::Reveal => (OperatorAction::Reveal, Vec::new()),
            OperatorAct::Resend { channel } => (OperatorAction::Resend, self.resend(channel.as_ref())?),
            OperatorAct::Next => (OperatorAction::Next, self.next()?),
            OperatorAct::Cancel => match self.cancel()? {
                already if already.is_empty() => return Ok(already),
                canceled => (OperatorAction::Cancel, canceled),
            },
        };
        let mut facts = vec![Fact::OperatorActed { by: by.clone(), action, reason: reason.cloned() }];
        facts.extend(followed_by);
        Ok(facts)
    }

    fn reply(&self, message: Option<Ordinal>, kind: &str, standing: Standing) -> Vec<Fact> {
        if self.verification.replies >= REPLIES_KEPT {
            return Vec::new();
        }
        vec![Fact::ReplyReceived { message, kind: kind.to_owned(), standing }]
    }

    fn disown(&self, message: Option<Ordinal>, standing: Standing, aim: Aim) -> Vec<Fact> {
        let disowned = Fact::CodeDisowned { message, standing, aim };
        if self.verification.is_pending() && standing == Standing::Applied && aim == Aim::This {
            let over = self.now >= self.verification.expires_at;
            vec![disowned, if over { Fact::Expired } else { Fact::Canceled }]
        } else if self.verification.replies < REPLIES_KEPT {
            vec![disowned]
        } else {
            Vec::new()
        }
    }

    /// Starts the step after the current one, or gives up after the last.
    fn fall_back(&self, reason: FallbackReason) -> Vec<Fact> {
        let Some(current) = self.verification.current() else { return vec![Fact::GaveUp] };
        let step = self.step_after(current);
        match self.queue(step, Occasion::Step) {
            Some(message) => vec![fell_back(current, step, reason), message],
            None => vec![Fact::GaveUp],
        }
    }

    fn send_again_in_doubt(&self) -> Vec<Fact> {
        let Some(current) = self.verification.current() else { return Vec::new() };
        let step = usize::from(current.step);
        match self.queue(step, Occasion::Doubt) {
            Some(message) => vec![fell_back(current, step, FallbackReason::InDoubt), message],
            None => vec![Fact::GaveUp],
        }
    }

    fn queue(&self, step: usize, occasion: Occasion) -> Option<Fact> {
        let ordinal = Ordinal::nth(self.verification.messages.len() + 1)?;
        queued(self.policy, ordinal, step, occasion, self.now, self.verification.expires_at)
    }

    fn step_after(&self, message: &Message) -> usize {
        usize::from(message.step) + 1
    }

    fn is_current(&self, message: &Message) -> bool {
        self.verification.current().is_some_and(|current| current.ordinal == message.ordinal)
    }

    /// Whether a failure of this message starts the next step.
    fn decides_the_step(&self, message: &Message) -> bool {
        self.is_current(message)
            && matches!(self.verification.phase, Phase::Pending(Stage::Waiting { .. }))
            && self.now < self.verification.expires_at
    }

    /// As [`Rules::decides_the_step`], and no report came before the outcome: a report is more reliable.
    fn hangs_on_the_outcome(&self, message: &Message) -> bool {
        self.decides_the_step(message) && message.progress == Progress::Sending
    }

    fn require_pending(&self) -> Result<(), Rejection> {
        match self.verification.phase {
            Phase::Pending(_) if self.now < self.verification.expires_at => Ok(()),
            Phase::Pending(_) => Err(Rejection::NotPending(Ending::Expired)),
            Phase::Ended { ending, .. } => Err(Rejection::NotPending(ending)),
        }
    }
}

fn fell_back(from: &Message, to_step: usize, reason: FallbackReason) -> Fact {
    // A policy has at most 8 steps, so the step fits.
    Fact::FellBack { message: from.ordinal, to_step: u8::try_from(to_step).unwrap_or(u8::MAX), reason }
}

/// 0.5 s · 2ⁿ, shortened by up to a fifth by the jitter.
fn backoff(attempts: u16, jitter: Jitter) -> Duration {
    let doublings = u32::from(attempts.saturating_sub(1)).min(16);
    let wait = (FIRST_RETRY_AFTER * 2_u32.pow(doublings)).min(LONGEST_RETRY);
    wait - wait * u32::from(jitter.get()) / 5_000
}

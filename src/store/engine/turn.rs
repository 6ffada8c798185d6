//! The state of a turn: the verifications that it touched, and what is due.

use std::sync::Arc;

use super::gate::{Finished, Gate};
use super::process::{Agenda, Process};
use super::{Change, EngineLimits, Grown, Known, Lookup, Next, Unknown};
use crate::store::by_id::ById;
use crate::store::transitions::{Transition, transitions};
use crate::store::{Alert, Errand, Snapshot, StoreError, step};
use crate::verification::due::{due, due_while_throttled, ripe};
use crate::verification::event::Standing;
use crate::verification::values::{
    ChannelName, ErrorClass, MessageId, Ordinal, ProviderRef, ReportStatus, Timestamp, VerificationId,
};
use crate::verification::{
    Command, Effect, Event, Fact, Policy, Readiness, Rejection, State, Verification, Why, effect,
};

/// Dues that one verification may have served in one turn: an expired step, its successor, and its start.
const DUES_IN_A_ROW: usize = 4;
/// Old alerts that make room for a new one: more than one only after a start with more than there may be.
const DROPPED_AT_ONCE: usize = 64;
/// Verifications for which a turn has room from the start.
const USUAL_SIZE: usize = 64;

pub struct Turn<'a, L> {
    pub(super) lookup: &'a mut L,
    pub(super) process: &'a mut Process,
    pub(super) limits: EngineLimits,
    pub(super) now: Timestamp,
    agenda: Agenda,
    pub(super) working: ById<Working>,
    /// The verification that was called from a gate's queue.
    called: Option<VerificationId>,
    /// Verifications that changed and that the backend was not given yet.
    touched: Vec<VerificationId>,
    errands: Vec<(VerificationId, Ordinal, u16)>,
    deadlines: Vec<Timestamp>,
    transitions: Vec<Transition>,
    failed: Option<StoreError>,
}

/// What a turn asks for beside its changes, to be carried out once they are durable.
#[derive(Default)]
pub struct Made {
    pub errands: Vec<Errand>,
    /// When the deadlines that were served had been due.
    pub deadlines: Vec<Timestamp>,
    pub transitions: Vec<Transition>,
}

/// A verification that this turn touched.
pub(super) struct Working {
    pub(super) state: State,
    pub(super) policy: Arc<Policy>,
    /// Those that the backend was not given yet.
    events: Vec<Event>,
    before: Before,
    /// Whether this turn added events.
    is_served: bool,
}

/// How the verification was before the turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Absent,
    Live { due: Timestamp },
    Settled,
}

impl Before {
    fn due(self) -> Option<Timestamp> {
        match self {
            Self::Live { due } => Some(due),
            Self::Absent | Self::Settled => None,
        }
    }
}

impl Working {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Self { state: State::New, policy, events: Vec::new(), before: Before::Absent, is_served: false }
    }

    pub(super) fn is_of_somebody(&self) -> bool {
        matches!(&self.state, State::Known(verification) if !verification.erased)
    }
}

pub(super) type Decided = Known<Result<Vec<Event>, Rejection>>;

impl<'a, L: Lookup> Turn<'a, L> {
    pub fn new(
        lookup: &'a mut L,
        process: &'a mut Process,
        limits: EngineLimits,
        agenda: Agenda,
        now: Timestamp,
    ) -> Self {
        Self {
            lookup,
            process,
            limits,
            now,
            agenda,
            working: ById::with_capacity_and_hasher(USUAL_SIZE, Default::default()),
            called: None,
            touched: Vec::new(),
            errands: Vec::new(),
            deadlines: Vec::new(),
            transitions: Vec::new(),
            failed: None,
        }
    }

    /// Records what opening the store found, before anything new begins.
    pub fn record_found(&mut self, found: &[(VerificationId, Command)]) {
        for (id, command) in found {
            if let Err(error) = self.run(*id, command) {
                tracing::error!(verification = %id, ?error, "what was found at the start cannot be recorded");
            }
            self.hand_over();
        }
    }

    /// Serves at most `limit` verifications that are due, and as many that may pass a gate now.
    pub fn attend_due(&mut self, limit: usize) {
        for id in self.process.due_by(self.now, limit) {
            self.attend(id);
            self.hand_over();
        }
        for _ in 0..limit {
            let Some(id) = self.process.next_through_gate(self.now) else { break };
            self.called = Some(id);
            self.attend(id);
            self.hand_over();
            self.called = None;
        }
    }

    /// Serves those that the sweep found overdue. How many of them the agenda had lost.
    pub fn attend_overdue(&mut self, overdue: &[VerificationId]) -> usize {
        let mut lost = 0;
        for &id in overdue {
            let in_agenda = match self.lookup.stream(id) {
                Ok(Some(stream)) => stream.due.is_some_and(|due| self.process.is_in_agenda(id, due)),
                Ok(None) | Err(_) => false,
            };
            self.attend(id);
            self.hand_over();
            let served = self.working.get(&id).is_some_and(|working| working.is_served);
            lost += usize::from(served && !in_agenda);
        }
        lost
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// Where a change could not be written: nothing of the turn counts then.
    pub fn finish(mut self) -> Result<Made, StoreError> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => {
                Ok(Made { errands: self.errands(), deadlines: self.deadlines, transitions: self.transitions })
            }
        }
    }

    /// Gives the backend every verification that changed since the last call, so that later look-ups see it.
    pub(super) fn hand_over(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            if let Some(grown) = self.grown(id)
                && let Err(error) = self.lookup.make(Change::Stream(Box::new(grown)))
            {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// `None`: neither its events nor its due changed.
    fn grown(&mut self, id: VerificationId) -> Option<Grown> {
        let working = self.working.get_mut(&id)?;
        let at = match self.process.is_throttled(&working.state) {
            true => due_while_throttled(&working.state),
            false => due(&working.state),
        };
        let next = match at.filter(|_| due(&working.state).is_some()) {
            Some((at, _)) => Next::Due(at),
            None => Next::Settled,
        };
        let State::Known(verification) = &working.state else { return None };
        let is_same = match next {
            Next::Due(due) => working.before == Before::Live { due },
            Next::Settled => working.before.due().is_none(),
        };
        let events = std::mem::take(&mut working.events);
        if events.is_empty() && is_same {
            return None;
        }
        working.is_served |= !events.is_empty();
        self.transitions.extend(transitions(verification, &events));
        let after = match next {
            Next::Due(due) => Before::Live { due },
            Next::Settled => Before::Settled,
        };
        self.process.move_due(id, working.before.due(), after.due());
        working.before = after;
        let (verification, policy) = ((**verification).clone(), Arc::clone(&working.policy));
        Some(Grown { snapshot: Snapshot { verification, policy }, events, next })
    }

    fn errands(&mut self) -> Vec<Errand> {
        let asked = std::mem::take(&mut self.errands);
        let errand = |(id, message, attempt)| {
            let snapshot = self.snapshot_of(id)?;
            Some(Errand { snapshot, message, attempt })
        };
        asked.into_iter().filter_map(errand).collect()
    }

    /// Does what is due for it now, as far as its channels let it.
    pub(super) fn attend(&mut self, id: VerificationId) {
        if self.agenda == Agenda::Rested {
            return;
        }
        for _ in 0..DUES_IN_A_ROW {
            match self.serve_one(id) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(verification = %id, ?error, "what is due cannot be done");
                    return;
                }
            }
        }
    }

    fn serve_one(&mut self, id: VerificationId) -> Known<bool> {
        let now = self.now;
        let Some(working) = self.load(id)? else { return Ok(false) };
        let Some((at, why)) = ripe(&working.state, Readiness::Ready, now) else { return Ok(false) };
        let readiness = match why {
            Why::Send(ordinal) => match self.channel_of(id, ordinal) {
                Some(channel) => self.pass_gate(id, &channel),
                None => return Ok(false),
            },
            Why::Expiry | Why::Deadline | Why::Doubt(_) | Why::Answer(_) => Readiness::Ready,
        };
        let tick = Command::Tick { readiness, runner: self.process.runner };
        let served = self.run(id, &tick)?.is_ok_and(|events| !events.is_empty());
        if served && why == Why::Deadline {
            self.deadlines.push(at);
        }
        Ok(served)
    }

    fn pass_gate(&mut self, id: VerificationId, channel: &ChannelName) -> Readiness {
        if self.process.waits_for(id, channel) {
            return Readiness::Throttled;
        }
        let gate = self.process.gates.of(channel);
        let readiness = match gate.readiness(self.now) {
            // First come, first served.
            Readiness::Ready if gate.has_waiting() && self.called != Some(id) => Readiness::Throttled,
            readiness => readiness,
        };
        if readiness == Readiness::Throttled
            && let Some(app) = self.verification(id).map(|verification| verification.request.app.clone())
        {
            self.process.throttle(&app, id, channel);
        }
        readiness
    }

    pub(super) fn channel_of(&self, id: VerificationId, ordinal: Ordinal) -> Option<ChannelName> {
        self.verification(id)?.message(ordinal).map(|message| message.channel.clone())
    }

    /// Runs the machine, and records what its events ask for beside the state.
    pub(super) fn run(&mut self, id: VerificationId, command: &Command) -> Decided {
        let now = self.now;
        let Some(working) = self.load(id)? else { return Ok(Err(Rejection::Unknown)) };
        let policy = Arc::clone(&working.policy);
        let events = match step(&mut working.state, &policy, command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Err(rejection)),
        };
        working.events.extend_from_slice(&events);
        self.touched.push(id);
        for event in &events {
            self.follow(id, event)?;
        }
        Ok(Ok(events))
    }

    fn follow(&mut self, id: VerificationId, event: &Event) -> Known<()> {
        let now = self.now;
        match effect(event) {
            Some(Effect::Submit { message, attempt }) => self.errands.push((id, message, attempt)),
            Some(Effect::Alert { message, error }) => {
                if let Some(channel) = self.channel_of(id, message)
                    && self.process.is_news(&channel, &error.code, now)
                {
                    let (code, title) = (error.code, error.title);
                    tracing::warn!(%channel, code, title, "an operator has to act");
                    let subject = Some(id.message(message).to_string());
                    self.alert(&Alert {
                        at: now,
                        channel,
                        code,
                        title,
                        subject,
                        evidence: None,
                        fingerprint: None,
                    });
                }
            }
            None => {}
        }
        match &event.fact {
            Fact::SendStarted { message, .. } => {
                self.with_gate(id, *message, |gate| gate.started(now));
            }
            Fact::SendAccepted { message, provider_ref, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::Accepted, now));
                if let Some(provider_ref) = provider_ref {
                    self.unpark(id.message(*message), provider_ref)?;
                }
            }
            Fact::SendRefused { message, error, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::Refused(error.class), now));
            }
            Fact::SendInDoubt { message, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::InDoubt, now));
            }
            Fact::Reported { message, status, standing, provider_ref, .. } => {
                if let (ReportStatus::Failed(error), Standing::Applied) = (status, standing)
                    && error.class == ErrorClass::Sender
                {
                    self.with_gate(id, *message, |gate| gate.open_breaker(now));
                }
                if let Some(provider_ref) = provider_ref {
                    self.unpark(id.message(*message), provider_ref)?;
                }
            }
            Fact::Requested { .. }
            | Fact::MessageQueued { .. }
            | Fact::FellBack { .. }
            | Fact::StepSkipped { .. }
            | Fact::GaveUp
            | Fact::CheckPassed
            | Fact::CheckFailed
            | Fact::ChecksExhausted
            | Fact::ResendRequested { .. }
            | Fact::ReplyReceived { .. }
            | Fact::CodeDisowned { .. }
            | Fact::Expired
            | Fact::Canceled
            | Fact::Abandoned { .. }
            | Fact::Erased
            | Fact::OperatorActed { .. } => {}
        }
        Ok(())
    }

    fn with_gate(&mut self, id: VerificationId, message: Ordinal, change: impl FnOnce(&mut Gate)) {
        if let Some(channel) = self.channel_of(id, message) {
            change(self.process.gates.of(&channel));
        }
    }

    /// Applies the reports that waited for this message, now that its name is known.
    fn unpark(&mut self, message: MessageId, provider_ref: &ProviderRef) -> Known<()> {
        let Some(channel) = self.channel_of(message.verification(), message.ordinal()) else { return Ok(()) };
        for parked in self.lookup.parked().of(&channel, provider_ref) {
            let report = parked.report.clone();
            self.lookup.make(Change::ParkedRemoved(Box::new(parked)))?;
            let command = Command::Report { message: message.ordinal(), channel: channel.clone(), report };
            // Rejected only if the message is not of this channel.
            let _ = self.run(message.verification(), &command)?;
        }
        Ok(())
    }

    pub(super) fn alert(&mut self, alert: &Alert) {
        if let Some(fingerprint) = &alert.fingerprint
            && !self.process.alerts_told.is_first(&alert.channel, fingerprint, self.now)
        {
            return;
        }
        if let Err(error) = self.lookup.make(Change::Alert(Box::new(alert.clone()))) {
            return tracing::error!(%error, code = alert.code, "an alert is too large to be kept");
        }
        for oldest in self.lookup.surplus_alerts(self.limits.alerts, DROPPED_AT_ONCE) {
            metrics::counter!("twotick_alerts_dropped_total").increment(1);
            // A removal always fits.
            let _ = self.lookup.make(Change::AlertRemoved(oldest));
        }
    }

    /// The verification as this turn has made it so far; loaded on the first touch.
    pub(super) fn load(&mut self, id: VerificationId) -> Known<Option<&mut Working>> {
        if !self.working.contains_key(&id) {
            let Some(stream) = self.lookup.stream(id)? else { return Ok(None) };
            let before = match stream.due {
                Some(due) => Before::Live { due },
                None => Before::Settled,
            };
            let (state, policy) = (stream.state, stream.policy);
            self.working.insert(id, Working { state, policy, events: Vec::new(), before, is_served: false });
        }
        Ok(self.working.get_mut(&id))
    }

    pub(super) fn verification(&self, id: VerificationId) -> Option<&Verification> {
        match &self.working.get(&id)?.state {
            State::New => None,
            State::Known(verification) => Some(verification),
        }
    }

    pub(super) fn snapshot_of(&self, id: VerificationId) -> Option<Arc<Snapshot>> {
        let verification = self.verification(id)?.clone();
        let policy = Arc::clone(&self.working.get(&id)?.policy);
        Some(Arc::new(Snapshot { verification, policy }))
    }
}

/// A verification that was loaded a moment ago and has no state.
pub(super) fn without_state(id: VerificationId) -> Unknown {
    let reason = "it has no state".to_owned();
    Unknown::Failed(StoreError::Damaged { key: id.to_string(), reason })
}

//! One turn: what each order and each due makes of its verification, collected until it is written as one.

mod leaving;
mod people;
mod sweeping;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shared;
use super::super::by_id::ById;
use super::super::chain;
use super::super::index;
use super::super::keys;
use super::super::live::{Live, policy_of};
use super::super::record;
use super::super::rows::Rows;
use super::Agenda;
use super::ledger::Ledger;
use super::memory::Memory;
use crate::store::changes::Change;
use crate::store::gate::{Finished, Gate};
use crate::store::inflow::MOST_ALERTS;
use crate::store::parked::Parked;
use crate::store::{
    Alert, Answer, Audit, AuditAction, FirstAnswer, FirstOccasion, Idempotency, Link, Match, Order, Snapshot,
    StoreError, step,
};
use crate::verification::due::ripe;
use crate::verification::event::Standing;
use crate::verification::values::{
    AppName, ChannelName, ErrorClass, MessageId, NumberIndex, Ordinal, ProviderRef, Report, ReportStatus,
    Sealed, Timestamp, UserName, VerificationId,
};
use crate::verification::{
    Command, Effect, Event, Fact, OperatorAct, Policy, Readiness, Rejection, Request, State, Verification,
    Why, effect,
};

pub use leaving::Written;

/// How long an idempotency key is remembered.
const IDEMPOTENCY_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Dues that one verification may have served in one turn: an expired step, its successor, and its start.
const DUES_IN_A_ROW: usize = 4;
/// Old alerts that make room for a new one: more than one only after a start with more than there may be.
const DROPPED_AT_ONCE: usize = 64;
/// Verifications for which a turn has room from the start.
const USUAL_SIZE: usize = 64;
/// The sealed parts of a request, written in base 64 with the rest of it, stay under the size of a record.
const MOST_SEALED_BYTES: usize = 9_000;
/// Of a reason, sealed: eight of them, all in one row, stay under the size of a record.
const MOST_REASON_BYTES: usize = 1_024;

pub struct Turn<'a> {
    /// Its place among all turns of this process.
    number: u64,
    ledger: &'a mut Ledger,
    memory: &'a mut Memory,
    shared: &'a Shared,
    agenda: Agenda,
    now: Timestamp,
    working: ById<Working>,
    rows: Rows,
    /// What this turn writes and a later order of it must find.
    new_refs: HashMap<(ChannelName, ProviderRef), MessageId>,
    new_keys: HashMap<[u8; 16], Idempotency>,
    new_inbound: HashMap<Vec<u8>, Option<VerificationId>>,
    new_arrivals: HashMap<Timestamp, u32>,
    new_links: HashMap<NumberIndex, Vec<Link>>,
    /// Who was called from before a gate.
    called: Option<VerificationId>,
    errands: Vec<(VerificationId, Ordinal, u16)>,
    /// When the deadlines served in this turn should have been.
    deadlines: Vec<Timestamp>,
    /// Changes of state that this turn made.
    changes: Vec<Change>,
}

/// A verification that this turn touched.
struct Working {
    state: State,
    policy: Arc<Policy>,
    events: Vec<Event>,
    stored: Stored,
}

/// What is durable of a verification before the turn.
enum Stored {
    Nowhere,
    Live(Live),
    Kept(Arc<Snapshot>),
}

impl Working {
    fn is_of_somebody(&self) -> bool {
        matches!(&self.state, State::Known(verification) if !verification.erased)
    }
}

type Decided = Result<Result<Vec<Event>, Rejection>, StoreError>;

impl<'a> Turn<'a> {
    pub fn new(
        number: u64,
        ledger: &'a mut Ledger,
        memory: &'a mut Memory,
        shared: &'a Shared,
        agenda: Agenda,
        now: Timestamp,
    ) -> Self {
        Self {
            number,
            ledger,
            memory,
            shared,
            agenda,
            now,
            working: ById::with_capacity_and_hasher(USUAL_SIZE, Default::default()),
            rows: Rows::default(),
            new_refs: HashMap::new(),
            new_keys: HashMap::new(),
            new_inbound: HashMap::new(),
            new_arrivals: HashMap::new(),
            new_links: HashMap::new(),
            called: None,
            errands: Vec::new(),
            deadlines: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Whether sled is open, or nothing that only sled knows is needed for it.
    pub fn can_carry_out(&mut self, order: &Order) -> bool {
        if self.ledger.sled().is_ok() {
            return true;
        }
        match order {
            Order::Command { id, .. } => self.memory.live(*id).is_some(),
            Order::Report { channel, report } => self.is_named_by_both(channel, report),
            Order::Alert(_) | Order::Audit(_) => true,
            Order::Create { .. } | Order::Inbound(_) | Order::Forget(_) => false,
        }
    }

    pub fn carry_out(&mut self, order: Order) -> Result<Answer, StoreError> {
        match order {
            Order::Create { request, policy, idempotency } => self.create(request, policy, idempotency),
            Order::Command { id, app, command } => self.command(id, app.as_ref(), &command),
            Order::Report { channel, report } => self.report(&channel, report),
            Order::Inbound(message) => self.inbound(&message),
            Order::Alert(alert) => {
                self.alert(&alert);
                Ok(Answer::Kept)
            }
            Order::Audit(entry) => {
                self.audit(&entry)?;
                Ok(Answer::Kept)
            }
            Order::Forget(number) => self.forget(number),
        }
    }

    /// Notes what opening the store has found, before anything new begins.
    pub fn note_what_was_found(&mut self, found: &[(VerificationId, Command)]) {
        for (id, command) in found {
            // It was read a moment ago, on opening.
            if let Err(error) = self.run(*id, command) {
                tracing::error!(verification = %id, %error, "what was found at the start could not be noted");
            }
        }
    }

    /// Serves what is due by the agenda, and who may now pass a gate.
    pub fn attend_due(&mut self, limit: usize) {
        for id in self.memory.due_by(self.now, limit) {
            self.attend(id);
        }
        for _ in 0..limit {
            let Some(id) = self.memory.next_through_gate(self.now) else { break };
            self.called = Some(id);
            self.attend(id);
            self.called = None;
        }
    }

    /// Serves those that the sweep found overdue; how many of them the agenda had lost.
    pub fn attend_overdue(&mut self, overdue: &[VerificationId]) -> usize {
        let mut lost = 0;
        for &id in overdue {
            let in_agenda = self.memory.is_in_agenda(id);
            self.attend(id);
            let served = self.working.get(&id).is_some_and(|working| !working.events.is_empty());
            lost += usize::from(served && !in_agenda);
        }
        lost
    }

    fn create(
        &mut self,
        request: Arc<Request>,
        policy: Arc<Policy>,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, StoreError> {
        if request.person.0.len() > MOST_SEALED_BYTES {
            return Err(StoreError::TooLarge);
        }
        if let Some(key) = &idempotency
            && let Some(known) = self.known_key(key)?
        {
            return Ok(Answer::Replayed(known));
        }
        let (id, answer, occasion) = match self.pending_like(&request, &policy)? {
            Some(id) => match self.run(id, &Command::Resend { channel: None })? {
                Ok(_) => (id, Answer::Resent(self.snapshot_of(id)?), FirstOccasion::Resent),
                Err(rejection) => return Ok(Answer::Rejected { rejection, id: Some(id) }),
            },
            None => {
                let id = request.id;
                if let Err(rejection) = self.begin(request, policy)? {
                    return Ok(Answer::Rejected { rejection, id: Some(id) });
                }
                (id, Answer::Created(self.snapshot_of(id)?), FirstOccasion::Created)
            }
        };
        if let (Some(key), Answer::Created(snapshot) | Answer::Resent(snapshot)) = (idempotency, &answer) {
            self.remember(key, FirstAnswer { id, version: snapshot.verification.version, occasion })?;
        }
        self.attend(id);
        Ok(answer)
    }

    fn begin(
        &mut self,
        request: Arc<Request>,
        policy: Arc<Policy>,
    ) -> Result<Result<(), Rejection>, StoreError> {
        let (id, number) = (request.id, request.number);
        if self.working(id)?.is_some() {
            return Ok(Err(Rejection::AlreadyRequested));
        }
        let hash = request.policy;
        let is_known = self.shared.policies().contains_key(&hash);
        if !is_known {
            let key = keys::policy(hash);
            let row = record::encode(&key, &*policy)?;
            self.insert(&key, row);
            self.shared.add_policy(hash, Arc::clone(&policy));
        }
        for (key, row) in index::found_by(&request) {
            self.insert(&key, row);
        }
        let fresh = Working { state: State::New, policy, events: Vec::new(), stored: Stored::Nowhere };
        self.working.insert(id, fresh);
        self.memory.note_pending(number, id);
        Ok(self.run(id, &Command::Request(request))?.map(|_| ()))
    }

    /// The verification that is pending for the same app, profile and person.
    fn pending_like(
        &mut self,
        request: &Request,
        policy: &Policy,
    ) -> Result<Option<VerificationId>, StoreError> {
        let person = self.person(request.number)?;
        let pending: Vec<_> = person.names().flat_map(|name| self.memory.pending_of(name)).collect();
        for id in pending {
            let Some(working) = self.working(id)? else { continue };
            let State::Known(verification) = &working.state else { continue };
            let same = verification.request.app == request.app && working.policy.profile == policy.profile;
            if !same || !verification.is_pending() {
                continue;
            }
            // One whose time is over only waits for the turn in which it is served.
            self.attend(id);
            if self.verification(id).is_some_and(Verification::is_pending) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn known_key(&self, key: &Idempotency) -> Result<Option<Idempotency>, StoreError> {
        if let Some(known) = self.new_keys.get(&key.key) {
            return Ok(Some(known.clone()));
        }
        Ok(self.ledger.sled()?.idempotency(key.key)?.filter(|known| known.at >= idempotency_limit(self.now)))
    }

    /// Whether a key was used again after it had been forgotten.
    fn is_remembered(&self, key: [u8; 16]) -> Result<bool, StoreError> {
        let limit = idempotency_limit(self.now);
        Ok(self.new_keys.contains_key(&key)
            || self.ledger.sled()?.idempotency(key)?.is_some_and(|known| known.at >= limit))
    }

    fn remember(&mut self, key: Idempotency, answer: FirstAnswer) -> Result<(), StoreError> {
        let known = Idempotency { answer: Some(answer), ..key };
        let row_key = keys::idempotency(known.key);
        let row = record::encode(&row_key, &known)?;
        self.insert(&row_key, row);
        self.insert(&keys::idempotency_by_time(known.at, known.key), Vec::new());
        self.new_keys.insert(known.key, known);
        Ok(())
    }

    fn command(
        &mut self,
        id: VerificationId,
        app: Option<&AppName>,
        command: &Command,
    ) -> Result<Answer, StoreError> {
        let unknown = Answer::Rejected { rejection: Rejection::Unknown, id: None };
        if self.working(id)?.is_none() {
            return Ok(unknown);
        }
        if let (Some(app), Some(verification)) = (app, self.verification(id))
            && verification.request.app != *app
        {
            return Ok(unknown);
        }
        if let Command::ByOperator { reason: Some(reason), .. } = command
            && reason.0.len() > MOST_REASON_BYTES
        {
            return Err(StoreError::TooLarge);
        }
        match self.run(id, command)? {
            Ok(events) => {
                if let Command::ByOperator { by, reason, act } = command
                    && !events.is_empty()
                {
                    self.audit(&acted(self.now, id, by, reason.as_ref(), act))?;
                }
                let snapshot = self.snapshot_of(id)?;
                self.attend(id);
                Ok(Answer::Done { snapshot, events })
            }
            Err(rejection) => Ok(Answer::Rejected { rejection, id: Some(id) }),
        }
    }

    fn report(&mut self, channel: &ChannelName, report: Report) -> Result<Answer, StoreError> {
        if let Some(message) = self.message_of(channel, &report)? {
            let command = Command::Report { message: message.ordinal(), channel: channel.clone(), report };
            match self.run(message.verification(), &command)? {
                Ok(events) => {
                    self.attend(message.verification());
                    return Ok(Answer::Reported(if events.iter().any(is_applied) {
                        Match::Applied
                    } else {
                        Match::Stale
                    }));
                }
                Err(_) => return Ok(Answer::Reported(Match::Unmatched)),
            }
        }
        match report.provider_ref.clone() {
            Some(provider_ref) => self.park(channel, provider_ref, report),
            None => Ok(Answer::Reported(Match::Unmatched)),
        }
    }

    /// By the provider's id, else by ours.
    fn message_of(
        &mut self,
        channel: &ChannelName,
        report: &Report,
    ) -> Result<Option<MessageId>, StoreError> {
        let by_ours = match report.reference {
            Some(message) => self.known_message(message, channel)?,
            None => None,
        };
        let Some(provider_ref) = &report.provider_ref else { return Ok(by_ours.map(|(message, _)| message)) };
        match by_ours {
            // What both ids say need not be looked up.
            Some((message, Some(known))) if known == *provider_ref => Ok(Some(message)),
            Some((message, _)) => Ok(self.by_provider_ref(channel, provider_ref)?.or(Some(message))),
            None => self.by_provider_ref(channel, provider_ref),
        }
    }

    /// Whether it is of a live verification, and says nothing of its message that we do not know.
    fn is_named_by_both(&mut self, channel: &ChannelName, report: &Report) -> bool {
        let Some(message) = report.reference else { return false };
        if self.memory.live(message.verification()).is_none() {
            return false;
        }
        let known = self.known_message(message, channel).ok().flatten();
        known.is_some_and(|(_, name)| report.provider_ref.is_none() || report.provider_ref == name)
    }

    /// The message, if we have it on this channel, and what the provider calls it as far as we know.
    fn known_message(
        &mut self,
        message: MessageId,
        channel: &ChannelName,
    ) -> Result<Option<(MessageId, Option<ProviderRef>)>, StoreError> {
        if self.working(message.verification())?.is_none() {
            return Ok(None);
        }
        let known =
            self.verification(message.verification()).and_then(|known| known.message(message.ordinal()));
        Ok(known.filter(|known| known.channel == *channel).map(|known| (message, known.provider_ref.clone())))
    }

    fn by_provider_ref(
        &self,
        channel: &ChannelName,
        provider_ref: &ProviderRef,
    ) -> Result<Option<MessageId>, StoreError> {
        if let Some(&message) = self.new_refs.get(&(channel.clone(), provider_ref.clone())) {
            return Ok(Some(message));
        }
        self.ledger.sled()?.message(channel, provider_ref.name())
    }

    fn park(
        &mut self,
        channel: &ChannelName,
        provider_ref: ProviderRef,
        report: Report,
    ) -> Result<Answer, StoreError> {
        let key = keys::parked(channel, provider_ref.name(), report.status.word());
        let parked = Parked { at: self.now, channel: channel.clone(), provider_ref, report };
        if !self.memory.parked.holds(&parked) {
            let row = record::encode(&key, &parked)?;
            self.insert(&key, row);
            let dropped = self.memory.parked.put(parked);
            metrics::counter!("twotick_parked_reports_dropped_total").increment(dropped.len() as u64);
            dropped.iter().for_each(|parked| self.remove(&key_of(parked)));
        }
        Ok(Answer::Reported(Match::Parked))
    }

    /// What waited for this message is applied now that it is known by this name.
    fn unpark(
        &mut self,
        message: MessageId,
        channel: &ChannelName,
        provider_ref: &ProviderRef,
    ) -> Result<(), StoreError> {
        for parked in self.memory.parked.take(channel, provider_ref) {
            self.remove(&key_of(&parked));
            let command = Command::Report {
                message: message.ordinal(),
                channel: channel.clone(),
                report: parked.report,
            };
            // A rejection says that it is not of this channel, and then there is nothing to tell.
            let _ = self.run(message.verification(), &command)?;
        }
        Ok(())
    }

    fn alert(&mut self, alert: &Alert) {
        if let Some(fingerprint) = &alert.fingerprint
            && !self.memory.alerts_told.is_first(&alert.channel, fingerprint, self.now)
        {
            return;
        }
        let position = keys::position_of_alert(alert);
        let key = keys::alert(position);
        match record::encode(&key, alert) {
            Ok(row) => self.insert(&key, row),
            Err(error) => {
                return tracing::error!(%error, code = alert.code, "an alert is too large to be kept");
            }
        }
        self.memory.alerts.insert(position);
        for _ in 0..self.memory.alerts.len().saturating_sub(MOST_ALERTS).min(DROPPED_AT_ONCE) {
            if let Some(oldest) = self.memory.alerts.pop_first() {
                metrics::counter!("twotick_alerts_dropped_total").increment(1);
                self.remove(&keys::alert(oldest));
            }
        }
    }

    fn audit(&mut self, entry: &Audit) -> Result<(), StoreError> {
        let (head, row) = chain::append(self.memory.audit, entry)?;
        self.insert(&keys::audit(head.seq), row);
        let row = record::encode(&keys::AUDIT_HEAD, &head)?;
        self.insert(&keys::AUDIT_HEAD, row);
        self.memory.audit = head;
        Ok(())
    }

    /// Does what is due for it now, as far as its channels let it.
    fn attend(&mut self, id: VerificationId) {
        if self.agenda == Agenda::Rested {
            return;
        }
        for _ in 0..DUES_IN_A_ROW {
            match self.serve_one(id) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(verification = %id, %error, "what is due cannot be done");
                    return;
                }
            }
        }
    }

    fn serve_one(&mut self, id: VerificationId) -> Result<bool, StoreError> {
        let now = self.now;
        let Some(working) = self.working(id)? else { return Ok(false) };
        let Some((at, why)) = ripe(&working.state, Readiness::Ready, now) else { return Ok(false) };
        let readiness = match why {
            Why::Send(ordinal) => match self.channel_of(id, ordinal) {
                Some(channel) => self.pass_gate(id, &channel),
                None => return Ok(false),
            },
            Why::Expiry | Why::Deadline | Why::Doubt(_) | Why::Answer(_) => Readiness::Ready,
        };
        let served = self
            .run(id, &Command::Tick { readiness, runner: self.memory.runner })?
            .is_ok_and(|events| !events.is_empty());
        if served && why == Why::Deadline {
            self.deadlines.push(at);
        }
        Ok(served)
    }

    fn pass_gate(&mut self, id: VerificationId, channel: &ChannelName) -> Readiness {
        if self.memory.throttled.get(&id) == Some(channel) {
            return Readiness::Throttled;
        }
        let gate = self.memory.gates.of(channel);
        let readiness = match gate.readiness(self.now) {
            // Who comes later may not pass those who stand there.
            Readiness::Ready if gate.has_waiting() && self.called != Some(id) => Readiness::Throttled,
            readiness => readiness,
        };
        if readiness == Readiness::Throttled
            && let Some(app) = self.verification(id).map(|verification| verification.request.app.clone())
        {
            self.memory.throttle(&app, id, channel);
        }
        readiness
    }

    fn channel_of(&self, id: VerificationId, ordinal: Ordinal) -> Option<ChannelName> {
        self.verification(id)?.message(ordinal).map(|message| message.channel.clone())
    }

    /// The machine runs; what its events ask for beside the state is noted.
    fn run(&mut self, id: VerificationId, command: &Command) -> Decided {
        let now = self.now;
        let Some(working) = self.working(id)? else { return Ok(Err(Rejection::Unknown)) };
        let policy = Arc::clone(&working.policy);
        let events = match step(&mut working.state, &policy, command, now) {
            Ok(events) => events,
            Err(rejection) => return Ok(Err(rejection)),
        };
        working.events.extend_from_slice(&events);
        for event in &events {
            self.note(id, event)?;
        }
        Ok(Ok(events))
    }

    fn note(&mut self, id: VerificationId, event: &Event) -> Result<(), StoreError> {
        let now = self.now;
        match effect(event) {
            Some(Effect::Submit { message, attempt }) => self.errands.push((id, message, attempt)),
            Some(Effect::Alert { message, error }) => {
                if let Some(channel) = self.channel_of(id, message)
                    && self.memory.is_news(&channel, &error.code, now)
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
            Fact::SendAccepted { message, provider_ref, aliases, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::Accepted, now));
                self.learn(id, aliases)?;
                if let Some(provider_ref) = provider_ref {
                    self.name_message(id.message(*message), provider_ref)?;
                }
            }
            Fact::SendRefused { message, error, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::Refused(error.class), now));
            }
            Fact::SendInDoubt { message, .. } => {
                self.with_gate(id, *message, |gate| gate.finished(Finished::InDoubt, now));
            }
            Fact::Reported { message, status, standing, provider_ref, aliases, .. } => {
                self.learn(id, aliases)?;
                if let (ReportStatus::Failed(error), Standing::Applied) = (status, standing)
                    && error.class == ErrorClass::Sender
                {
                    self.with_gate(id, *message, |gate| gate.open_breaker(now));
                }
                if let Some(provider_ref) = provider_ref {
                    self.name_message(id.message(*message), provider_ref)?;
                }
            }
            Fact::Erased => {
                let Some(verification) = self.verification(id) else { return Ok(()) };
                let request = &verification.request;
                let rows = [index::found_by(request), index::taught_by(request, &verification.aliases)?];
                rows.concat().iter().for_each(|(key, _)| self.remove(key));
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
            | Fact::OperatorActed { .. } => {}
        }
        Ok(())
    }

    fn with_gate(&mut self, id: VerificationId, message: Ordinal, tell: impl FnOnce(&mut Gate)) {
        if let Some(channel) = self.channel_of(id, message) {
            tell(self.memory.gates.of(&channel));
        }
    }

    fn name_message(&mut self, message: MessageId, provider_ref: &ProviderRef) -> Result<(), StoreError> {
        let Some(channel) = self.channel_of(message.verification(), message.ordinal()) else { return Ok(()) };
        let key = keys::provider_ref(&channel, provider_ref.name());
        self.insert(&key, record::encode_small(&key, &message)?);
        self.new_refs.insert((channel.clone(), provider_ref.clone()), message);
        self.unpark(message, &channel, provider_ref)
    }

    /// The verification as this turn has made it so far; loaded where it was not touched yet.
    fn working(&mut self, id: VerificationId) -> Result<Option<&mut Working>, StoreError> {
        if !self.working.contains_key(&id) {
            let working = match self.memory.live(id) {
                Some(live) => {
                    let state = live.state(id)?;
                    let State::Known(verification) = &state else { return Ok(None) };
                    let policy = policy_of(verification, &self.shared.policies())?;
                    Working { state, policy, events: Vec::new(), stored: Stored::Live(live) }
                }
                None => {
                    let kept = self.ledger.sled()?.snapshot(id, u32::MAX, &self.shared.policies())?;
                    let Some(snapshot) = kept else { return Ok(None) };
                    Working {
                        state: State::Known(Box::new(snapshot.verification.clone())),
                        policy: Arc::clone(&snapshot.policy),
                        events: Vec::new(),
                        stored: Stored::Kept(snapshot),
                    }
                }
            };
            self.working.insert(id, working);
        }
        Ok(self.working.get_mut(&id))
    }

    fn verification(&self, id: VerificationId) -> Option<&Verification> {
        match &self.working.get(&id)?.state {
            State::New => None,
            State::Known(verification) => Some(verification),
        }
    }

    fn snapshot_of(&self, id: VerificationId) -> Result<Arc<Snapshot>, StoreError> {
        match (self.verification(id), self.working.get(&id)) {
            (Some(verification), Some(working)) => Ok(Arc::new(Snapshot {
                verification: verification.clone(),
                policy: Arc::clone(&working.policy),
            })),
            (None, _) | (_, None) => Err(record::damaged(&keys::events_of(id), "it has no state")),
        }
    }

    fn insert_all(&mut self, rows: Vec<index::Entry>) {
        rows.into_iter().for_each(|(key, row)| self.insert(&key, row));
    }

    fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        self.ledger.changes(key);
        self.rows.insert(key, value);
    }

    fn remove(&mut self, key: &[u8]) {
        self.ledger.changes(key);
        self.rows.remove(key);
    }
}

fn acted(
    at: Timestamp,
    id: VerificationId,
    by: &UserName,
    reason: Option<&Sealed>,
    act: &OperatorAct,
) -> Audit {
    let detail = match act {
        OperatorAct::Resend { channel } => channel.as_ref().map(ChannelName::to_string),
        OperatorAct::Reveal | OperatorAct::Next | OperatorAct::Cancel => None,
    };
    let (by, reason) = (by.clone(), reason.cloned());
    Audit { at, by, action: AuditAction::from(act), verification: Some(id), reason, detail }
}

fn key_of(parked: &Parked) -> Vec<u8> {
    keys::parked(&parked.channel, parked.provider_ref.name(), parked.report.status.word())
}

/// Idempotency keys that are older are forgotten.
pub fn idempotency_limit(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - i64::try_from(IDEMPOTENCY_FOR.as_millis()).unwrap_or(i64::MAX))
}

fn is_applied(event: &Event) -> bool {
    matches!(event.fact, Fact::Reported { standing: Standing::Applied, .. })
}

//! What each order makes of its verification. Every order asks first and changes afterwards.

use std::sync::Arc;
use std::time::Duration;

use super::turn::{Turn, Working, without_state};
use super::{Change, Known, Lookup, Parked};
use crate::store::{
    Answer, Audit, AuditAction, AuditLink, FirstAnswer, FirstOccasion, Idempotency, Match, Order, StoreError,
};
use crate::verification::event::Standing;
use crate::verification::values::{
    AppName, ChannelName, MessageId, ProviderRef, Report, Sealed, Timestamp, UserName, VerificationId,
};
use crate::verification::{
    Command, Event, Fact, OperatorAct, Policy, Rejection, Request, State, Verification,
};

/// How long an idempotency key is remembered.
const IDEMPOTENCY_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The sealed parts of a request, which are written in base 64 with the rest of it: what every backend takes.
const MOST_SEALED_BYTES: usize = 9_000;
/// The same for a sealed reason: eight of them may come in one turn.
const MOST_REASON_BYTES: usize = 1_024;
/// How many parked reports make room for a new one: more than one only after a start with more than there may be.
const DROPPED_AT_ONCE: usize = 64;

/// Idempotency keys that were used before are forgotten.
pub fn idempotency_limit(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - i64::try_from(IDEMPOTENCY_FOR.as_millis()).unwrap_or(i64::MAX))
}

impl<L: Lookup> Turn<'_, L> {
    /// The answer counts once the turn is durable.
    ///
    /// # Errors
    /// [`super::Unknown::Missing`]: nothing was changed, and the order has to be carried out again.
    pub fn carry_out(&mut self, order: &Order) -> Known<Answer> {
        let answer = self.decide(order);
        self.hand_over();
        answer
    }

    fn decide(&mut self, order: &Order) -> Known<Answer> {
        match order {
            Order::Create { request, policy, idempotency } => {
                self.create(request, policy, idempotency.as_ref())
            }
            Order::Command { id, app, command } => self.command(*id, app.as_ref(), command),
            Order::Report { channel, report } => self.report(channel, report),
            Order::Inbound(message) => self.inbound(message),
            Order::Alert(alert) => {
                self.alert(alert);
                Ok(Answer::Kept)
            }
            Order::Audit(entry) => {
                self.audit(entry)?;
                Ok(Answer::Kept)
            }
            Order::Forget(number) => self.forget(*number),
        }
    }

    fn create(
        &mut self,
        request: &Arc<Request>,
        policy: &Arc<Policy>,
        idempotency: Option<&Idempotency>,
    ) -> Known<Answer> {
        if request.person.0.len() > MOST_SEALED_BYTES {
            return Err(StoreError::TooLarge.into());
        }
        if let Some(key) = idempotency {
            let limit = idempotency_limit(self.now);
            if let Some(known) = self.lookup.idempotency(key.key)?.filter(|known| known.at >= limit) {
                return Ok(Answer::Replayed(known));
            }
        }
        let (id, answer, occasion) = match self.pending_like(request, policy)? {
            Some(id) => match self.run(id, &Command::Resend { channel: None })? {
                Ok(_) => (id, Answer::Resent(self.snapshot(id)?), FirstOccasion::Resent),
                Err(rejection) => return Ok(Answer::Rejected { rejection, id: Some(id) }),
            },
            None => {
                let id = request.id;
                if let Err(rejection) = self.begin(request, policy)? {
                    return Ok(Answer::Rejected { rejection, id: Some(id) });
                }
                (id, Answer::Created(self.snapshot(id)?), FirstOccasion::Created)
            }
        };
        if let (Some(key), Answer::Created(snapshot) | Answer::Resent(snapshot)) = (idempotency, &answer) {
            let version = snapshot.verification.version;
            let answer = Some(FirstAnswer { id, version, occasion });
            self.lookup.make(Change::Idempotency(Idempotency { answer, ..key.clone() }))?;
        }
        self.attend(id);
        Ok(answer)
    }

    fn begin(&mut self, request: &Arc<Request>, policy: &Arc<Policy>) -> Known<Result<(), Rejection>> {
        let id = request.id;
        // Of the 64 random bits of a new id a look beyond the live ones would tell nothing.
        if self.working.contains_key(&id) || self.lookup.is_live(id) {
            return Ok(Err(Rejection::AlreadyRequested));
        }
        if !self.lookup.has_policy(request.policy) {
            self.lookup.make(Change::Policy(request.policy, Arc::clone(policy)))?;
        }
        self.working.insert(id, Working::new(Arc::clone(policy)));
        Ok(self.run(id, &Command::Request(Arc::clone(request)))?.map(|_| ()))
    }

    /// The verification that is pending for the same app, profile and person.
    fn pending_like(&mut self, request: &Request, policy: &Policy) -> Known<Option<VerificationId>> {
        let person = self.person(request.number)?;
        let mut alike = Vec::new();
        for name in person.names() {
            for id in self.lookup.live_of(name) {
                let Some(working) = self.load(id)? else { continue };
                let State::Known(verification) = &working.state else { continue };
                let is_same =
                    verification.request.app == request.app && working.policy.profile == policy.profile;
                if is_same && verification.is_pending() {
                    alike.push(id);
                }
            }
        }
        for id in alike {
            // If its time is over, it only waits for the turn in which it is served.
            self.attend(id);
            if self.verification(id).is_some_and(Verification::is_pending) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    fn command(&mut self, id: VerificationId, app: Option<&AppName>, command: &Command) -> Known<Answer> {
        let unknown = Answer::Rejected { rejection: Rejection::Unknown, id: None };
        if self.load(id)?.is_none() {
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
            return Err(StoreError::TooLarge.into());
        }
        match self.run(id, command)? {
            Ok(events) => {
                if let Command::ByOperator { by, reason, act } = command
                    && !events.is_empty()
                {
                    self.audit(&acted(self.now, id, by, reason.as_ref(), act))?;
                }
                let snapshot = self.snapshot(id)?;
                self.attend(id);
                Ok(Answer::Done { snapshot, events })
            }
            Err(rejection) => Ok(Answer::Rejected { rejection, id: Some(id) }),
        }
    }

    fn report(&mut self, channel: &ChannelName, report: &Report) -> Known<Answer> {
        if let Some(message) = self.message_of(channel, report)? {
            let (ordinal, channel, report) = (message.ordinal(), channel.clone(), report.clone());
            let command = Command::Report { message: ordinal, channel, report };
            return Ok(Answer::Reported(match self.run(message.verification(), &command)? {
                Ok(events) => {
                    self.attend(message.verification());
                    if events.iter().any(is_applied) { Match::Applied } else { Match::Stale }
                }
                Err(_) => Match::Unmatched,
            }));
        }
        match report.provider_ref.clone() {
            Some(provider_ref) => self.park(channel, provider_ref, report),
            None => Ok(Answer::Reported(Match::Unmatched)),
        }
    }

    /// By the provider's id, else by ours.
    fn message_of(&mut self, channel: &ChannelName, report: &Report) -> Known<Option<MessageId>> {
        let by_ours = match report.reference {
            Some(message) => self.known_message(message, channel)?,
            None => None,
        };
        let Some(provider_ref) = &report.provider_ref else { return Ok(by_ours.map(|(message, _)| message)) };
        match by_ours {
            // What both ids say need not be looked up.
            Some((message, Some(known))) if known == *provider_ref => Ok(Some(message)),
            Some((message, _)) => Ok(self.lookup.message(channel, provider_ref)?.or(Some(message))),
            None => self.lookup.message(channel, provider_ref),
        }
    }

    /// The message, if we have it on this channel, and what the provider calls it as far as we know.
    fn known_message(
        &mut self,
        message: MessageId,
        channel: &ChannelName,
    ) -> Known<Option<(MessageId, Option<ProviderRef>)>> {
        if self.load(message.verification())?.is_none() {
            return Ok(None);
        }
        let known =
            self.verification(message.verification()).and_then(|known| known.message(message.ordinal()));
        Ok(known.filter(|known| known.channel == *channel).map(|known| (message, known.provider_ref.clone())))
    }

    fn park(&mut self, channel: &ChannelName, provider_ref: ProviderRef, report: &Report) -> Known<Answer> {
        let parked = Parked { at: self.now, channel: channel.clone(), provider_ref, report: report.clone() };
        if !self.lookup.parked().holds(&parked) {
            self.lookup.make(Change::Parked(Box::new(parked)))?;
            let surplus = self.lookup.parked().surplus(self.limits.parked, DROPPED_AT_ONCE);
            metrics::counter!("twotick_parked_reports_dropped_total").increment(surplus.len() as u64);
            for parked in surplus {
                self.lookup.make(Change::ParkedRemoved(Box::new(parked)))?;
            }
        }
        Ok(Answer::Reported(Match::Parked))
    }

    fn audit(&mut self, entry: &Audit) -> Result<(), StoreError> {
        let (head, link) = AuditLink::behind(self.lookup.audit_head(), entry)?;
        self.lookup.make(Change::Audit(head, link))
    }

    fn snapshot(&self, id: VerificationId) -> Known<Arc<crate::store::Snapshot>> {
        self.snapshot_of(id).ok_or_else(|| without_state(id))
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

fn is_applied(event: &Event) -> bool {
    matches!(event.fact, Fact::Reported { standing: Standing::Applied, .. })
}

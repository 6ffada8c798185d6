//! Who people are, and what they write back: which verification an inbound message is about, if that is certain.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::turn::Turn;
use super::{Change, Known, Lookup};
use crate::store::{Answer, Inbound, Intent, Person};
use crate::verification::event::{Aim, Standing};
use crate::verification::values::{MessageId, NumberIndex, Ordinal, ProviderRef, Timestamp, VerificationId};
use crate::verification::{Command, Verification};

/// A message that quotes nothing cannot be about an older verification.
const ANSWERS_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Verifications of one person that are looked at to find the one that a message is about. Among more of them it is never
/// certain.
const MOST_LOOKED_AT: usize = 64;

/// What an inbound message is about.
#[derive(Default)]
struct About {
    /// The verification whose it is, and the message of it that is answered.
    this: Option<(VerificationId, Option<Ordinal>)>,
    /// Verifications of which it may disown one.
    perhaps: Vec<VerificationId>,
}

impl About {
    fn this(id: VerificationId, message: Option<Ordinal>) -> Self {
        Self { this: Some((id, message)), perhaps: Vec::new() }
    }
}

impl<L: Lookup> Turn<'_, L> {
    /// The person with this name, and their other names.
    pub(super) fn person(&mut self, name: NumberIndex) -> Known<Person> {
        Person::of(name, |name| self.lookup.links(name))
    }

    pub(super) fn inbound(&mut self, message: &Inbound) -> Known<Answer> {
        if let Some(answered) = self.lookup.known_inbound(&message.channel, &message.provider_ref)? {
            self.record_again(message, answered)?;
            return Ok(Answer::Kept);
        }
        let last_arrival = self.lookup.last_arrival(message.received_at)?;
        let about = self.about(message)?;
        let is_kept = self.process.writers.admit(message.number, self.now);
        for &id in &about.perhaps {
            self.record(id, message, None, Standing::Applied, Aim::Perhaps)?;
        }
        let arrival = last_arrival.map_or(0, |last| last.saturating_add(1));
        let mut kept = Inbound { arrival, ..message.clone() };
        if let Some((id, answered)) = about.this {
            if !about.perhaps.contains(&id) {
                self.record(id, message, answered, Standing::Applied, Aim::This)?;
            }
            kept.verification = Some(id);
            kept.app = self.verification(id).map(|verification| verification.request.app.clone());
        }
        if !is_kept {
            metrics::counter!("twotick_inbound_dropped_total").increment(1);
            return Ok(Answer::Kept);
        }
        if let Err(error) = self.lookup.make(Change::Inbound(Box::new(kept))) {
            tracing::error!(%error, "an inbound message is too large to be kept");
        }
        Ok(Answer::Kept)
    }

    /// It belongs to what it answered when it came first.
    fn record_again(&mut self, message: &Inbound, answered: Option<VerificationId>) -> Known<()> {
        let Some(id) = answered else { return Ok(()) };
        let quoted = self.quoted(message)?.filter(|quoted| quoted.verification() == id);
        if self.load(id)?.is_none() {
            return Ok(());
        }
        let ordinal = quoted.map(MessageId::ordinal).or_else(|| self.last_sent(id, message));
        self.record(id, message, ordinal, Standing::Stale, Aim::This)
    }

    fn record(
        &mut self,
        id: VerificationId,
        message: &Inbound,
        answered: Option<Ordinal>,
        standing: Standing,
        aim: Aim,
    ) -> Known<()> {
        let command = match message.intent {
            Intent::Reply => Command::Reply { message: answered, kind: message.kind.clone(), standing },
            Intent::CodeDisowned => Command::Disown { message: answered, standing, aim },
        };
        // Both are possible in every state of a verification that exists.
        let _ = self.run(id, &command)?;
        Ok(())
    }

    fn about(&mut self, message: &Inbound) -> Known<About> {
        if let Some(quoted) = self.quoted(message)? {
            let id = quoted.verification();
            return Ok(match self.may_have_written(message, id)? {
                true => About::this(id, Some(quoted.ordinal())),
                false => About::default(),
            });
        }
        let Some(writer) = message.writer() else { return Ok(About::default()) };
        let person = self.person(writer)?;
        let Some(lately) = self.lately(&person)? else { return Ok(About::default()) };
        Ok(match message.intent {
            Intent::Reply => self.replied_to(message, &lately),
            Intent::CodeDisowned => self.disowned(message, &lately),
        })
    }

    /// The message of ours that it quotes.
    fn quoted(&mut self, message: &Inbound) -> Known<Option<MessageId>> {
        let quoted = message.in_reply_to.as_deref().and_then(|text| ProviderRef::parse(text).ok());
        let Some(quoted) = quoted else { return Ok(None) };
        let Some(found) = self.lookup.message(&message.channel, &quoted)? else { return Ok(None) };
        Ok(self.load(found.verification())?.is_some().then_some(found))
    }

    /// Whether nothing says that the writer is somebody else than the person of this verification.
    fn may_have_written(&mut self, message: &Inbound, id: VerificationId) -> Known<bool> {
        let Some(number) = self.verification(id).map(|verification| verification.request.number) else {
            return Ok(false);
        };
        let mut is_known = message.number.is_some();
        for name in [message.number, message.user].into_iter().flatten() {
            let person = self.person(name)?;
            if person.is_called(number) {
                return Ok(true);
            }
            is_known |= person.names().count() > 1;
        }
        Ok(!is_known)
    }

    /// Verifications of the last day, the newest first. `None`: too many.
    fn lately(&mut self, person: &Person) -> Known<Option<Vec<VerificationId>>> {
        let day = i64::try_from(ANSWERS_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let since = VerificationId::first_at(Timestamp::from_millis(self.now.as_millis() - day));
        let mut ids = BTreeSet::new();
        for name in person.names() {
            ids.extend(self.lookup.verifications_of(name, since, MOST_LOOKED_AT + 1)?);
        }
        if ids.len() > MOST_LOOKED_AT {
            return Ok(None);
        }
        let mut known = Vec::with_capacity(ids.len());
        for id in ids.into_iter().rev() {
            if self.load(id)?.is_some_and(|working| working.is_of_somebody()) {
                known.push(id);
            }
        }
        Ok(Some(known))
    }

    /// An app that asks a code for another app's person draws no reply of theirs to itself.
    fn replied_to(&self, message: &Inbound, lately: &[VerificationId]) -> About {
        if self.apps(lately) != 1 {
            return About::default();
        }
        let pending = lately.iter().find(|&&id| self.is_pending(id));
        match pending.or_else(|| lately.first()) {
            Some(&id) => About::this(id, self.last_sent(id, message)),
            None => About::default(),
        }
    }

    /// The button is under a message of this channel. It is certain which code is meant only where one alone can be.
    fn disowned(&self, message: &Inbound, lately: &[VerificationId]) -> About {
        let sent: Vec<_> =
            lately.iter().copied().filter(|&id| self.last_sent(id, message).is_some()).collect();
        let pending: Vec<_> = sent.iter().copied().filter(|&id| self.is_pending(id)).collect();
        let apps = self.apps(&sent);
        match (&pending[..], sent.first()) {
            (&[id], _) if apps == 1 => About::this(id, self.last_sent(id, message)),
            (&[], Some(&id)) if apps == 1 => About::this(id, self.last_sent(id, message)),
            (&[newest, ..], _) if apps == 1 => {
                About { perhaps: pending.clone(), ..About::this(newest, self.last_sent(newest, message)) }
            }
            _ => About { this: None, perhaps: pending },
        }
    }

    fn apps(&self, ids: &[VerificationId]) -> usize {
        let apps = ids.iter().filter_map(|&id| Some(&self.verification(id)?.request.app));
        apps.collect::<HashSet<_>>().len()
    }

    /// Whether its code is still valid.
    fn is_pending(&self, id: VerificationId) -> bool {
        let is_valid = |known: &Verification| known.is_pending() && self.now < known.expires_at;
        self.verification(id).is_some_and(is_valid)
    }

    /// Its last message that went out on the channel of this inbound message.
    fn last_sent(&self, id: VerificationId, message: &Inbound) -> Option<Ordinal> {
        let messages = self.verification(id).map_or(&[][..], |verification| &verification.messages);
        let sent = messages.iter().rev().find(|sent| sent.channel == message.channel && sent.attempts > 0);
        sent.map(|sent| sent.ordinal)
    }
}

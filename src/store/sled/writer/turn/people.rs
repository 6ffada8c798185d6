//! Who people are, and what they write back: which verification an inbound message is about, if that is certain.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::super::super::index;
use super::super::super::keys;
use super::super::super::record;
use super::Turn;
use crate::store::{Answer, Inbound, Intent, Link, Person, StoreError};
use crate::verification::event::{Aim, Standing};
use crate::verification::values::{MessageId, NumberIndex, Ordinal, ProviderRef, Timestamp, VerificationId};
use crate::verification::{Command, Verification};

/// What quotes nothing can be about a verification that is not older.
const ANSWERS_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Verifications of one person that are looked at to find out whose a message is. Where there are more, nobody can say.
const MOST_LOOKED_AT: usize = 64;

/// What an inbound message is about.
#[derive(Default)]
struct About {
    /// The verification whose it is, and the message of it that is answered.
    this: Option<(VerificationId, Option<Ordinal>)>,
    /// Those of which it may disown one.
    perhaps: Vec<VerificationId>,
}

impl About {
    fn this(id: VerificationId, message: Option<Ordinal>) -> Self {
        Self { this: Some((id, message)), perhaps: Vec::new() }
    }
}

impl Turn<'_> {
    /// Whose name it is, as the turns before this one and this one know.
    pub(super) fn person(&self, name: NumberIndex) -> Result<Person, StoreError> {
        let disk = self.ledger.sled()?;
        Person::of(name, |name| {
            let mut links = disk.links(name)?;
            for link in self.new_links.get(&name).into_iter().flatten() {
                if links.iter().all(|known| known.to != link.to) {
                    links.push(*link);
                }
            }
            Ok(links)
        })
    }

    /// Other names of the person whom this verification is for.
    pub(super) fn learn(&mut self, id: VerificationId, aliases: &[NumberIndex]) -> Result<(), StoreError> {
        if aliases.is_empty() {
            return Ok(());
        }
        let Some(verification) = self.verification(id).filter(|verification| !verification.erased) else {
            return Ok(());
        };
        let (number, tail) = (verification.request.number, verification.request.tail);
        let rows = index::taught_by(&verification.request, aliases)?;
        for &alias in aliases {
            self.new_links.entry(number).or_default().push(Link { to: alias, tail });
            self.new_links.entry(alias).or_default().push(Link { to: number, tail });
        }
        self.insert_all(rows);
        Ok(())
    }

    pub(super) fn inbound(&mut self, message: &Inbound) -> Result<Answer, StoreError> {
        let by_ref = keys::inbound_by_ref(message);
        if let Some(answered) = self.known_inbound(&by_ref)? {
            self.tell_again(message, answered)?;
            return Ok(Answer::Kept);
        }
        let is_kept = self.memory.writers.admit(message.number, self.now);
        let about = self.about(message)?;
        for &id in &about.perhaps {
            self.tell(id, message, None, Standing::Applied, Aim::Perhaps)?;
        }
        let arrival = self.next_arrival(message.received_at)?;
        let mut kept = Inbound { arrival, ..message.clone() };
        if let Some((id, answered)) = about.this {
            if !about.perhaps.contains(&id) {
                self.tell(id, message, answered, Standing::Applied, Aim::This)?;
            }
            kept.verification = Some(id);
            kept.app = self.verification(id).map(|verification| verification.request.app.clone());
        }
        if !is_kept {
            metrics::counter!("twotick_inbound_dropped_total").increment(1);
            return Ok(Answer::Kept);
        }
        self.new_inbound.insert(by_ref, kept.verification);
        let position = keys::position_of(&kept);
        let key = keys::inbound(position);
        match record::encode(&key, &kept) {
            Ok(row) => {
                self.insert(&key, row);
                self.insert_all(index::inbound_of(position, &kept)?);
                if let (Some(number), Some(user)) = (kept.number, kept.user) {
                    self.new_links.entry(number).or_default().push(Link { to: user, tail: kept.tail });
                    self.new_links.entry(user).or_default().push(Link { to: number, tail: kept.tail });
                }
            }
            Err(error) => tracing::error!(%error, "an inbound message is too large to be kept"),
        }
        Ok(Answer::Kept)
    }

    /// Of one that came before: the verification whose it was taken for, if any.
    fn known_inbound(&self, by_ref: &[u8]) -> Result<Option<Option<VerificationId>>, StoreError> {
        if let Some(&answered) = self.new_inbound.get(by_ref) {
            return Ok(Some(answered));
        }
        let disk = self.ledger.sled()?;
        let Some(position) = disk.inbound_by_ref(by_ref)? else { return Ok(None) };
        let key = keys::inbound(position);
        let row = disk.get(&key)?.ok_or_else(|| record::damaged(&key, "the message is missing"))?;
        let known: Inbound = record::decode(&key, &row)?;
        Ok(Some(known.verification))
    }

    /// It belongs to what it answered when it came first.
    fn tell_again(&mut self, message: &Inbound, answered: Option<VerificationId>) -> Result<(), StoreError> {
        let Some(id) = answered else { return Ok(()) };
        let quoted = self.quoted(message)?.filter(|quoted| quoted.verification() == id);
        if self.working(id)?.is_none() {
            return Ok(());
        }
        let ordinal = quoted.map(MessageId::ordinal).or_else(|| self.last_sent(id, message));
        self.tell(id, message, ordinal, Standing::Stale, Aim::This)
    }

    fn tell(
        &mut self,
        id: VerificationId,
        message: &Inbound,
        answered: Option<Ordinal>,
        standing: Standing,
        aim: Aim,
    ) -> Result<(), StoreError> {
        let command = match message.intent {
            Intent::Reply => Command::Reply { message: answered, kind: message.kind.clone(), standing },
            Intent::CodeDisowned => Command::Disown { message: answered, standing, aim },
        };
        // Both are possible in every state of a verification that exists.
        let _ = self.run(id, &command)?;
        Ok(())
    }

    fn next_arrival(&mut self, at: Timestamp) -> Result<u32, StoreError> {
        if let Some(last) = self.new_arrivals.get_mut(&at) {
            *last = last.saturating_add(1);
            return Ok(*last);
        }
        let last = self.ledger.sled()?.scan(&keys::inbounds_arrived(at)).next_back().transpose()?;
        let last = last.and_then(|(key, _)| keys::arrived(&key));
        let next = last.map_or(0, |(_, place)| place.saturating_add(1));
        self.new_arrivals.insert(at, next);
        Ok(next)
    }

    fn about(&mut self, message: &Inbound) -> Result<About, StoreError> {
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
    fn quoted(&mut self, message: &Inbound) -> Result<Option<MessageId>, StoreError> {
        let quoted = message.in_reply_to.as_deref().and_then(|text| ProviderRef::parse(text).ok());
        let Some(quoted) = quoted else { return Ok(None) };
        let Some(found) = self.by_provider_ref(&message.channel, &quoted)? else { return Ok(None) };
        Ok(self.working(found.verification())?.is_some().then_some(found))
    }

    /// Whether nothing says that the writer is somebody else than the person of this verification.
    fn may_have_written(&self, message: &Inbound, id: VerificationId) -> Result<bool, StoreError> {
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
    fn lately(&mut self, person: &Person) -> Result<Option<Vec<VerificationId>>, StoreError> {
        let day = i64::try_from(ANSWERS_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let since = VerificationId::first_at(Timestamp::from_millis(self.now.as_millis() - day));
        let mut ids = BTreeSet::new();
        for name in person.names() {
            ids.extend(self.memory.pending_of(name).into_iter().filter(|&id| id >= since));
            let rows = self
                .ledger
                .sled()?
                .range(keys::number(name, since), keys::number(name, VerificationId::LAST));
            for row in rows.rev().take(MOST_LOOKED_AT + 1) {
                ids.insert(keys::named(&row?.0)?);
            }
        }
        if ids.len() > MOST_LOOKED_AT {
            return Ok(None);
        }
        let mut known = Vec::with_capacity(ids.len());
        for id in ids.into_iter().rev() {
            if self.working(id)?.is_some_and(|working| working.is_of_somebody()) {
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

    /// The button stands under a message of this channel. Only where one code alone can be meant is it certain which.
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

    /// Whether its code is still good.
    fn is_pending(&self, id: VerificationId) -> bool {
        let is_good = |known: &Verification| known.is_pending() && self.now < known.expires_at;
        self.verification(id).is_some_and(is_good)
    }

    /// Its last message that went out by the channel of this one.
    fn last_sent(&self, id: VerificationId, message: &Inbound) -> Option<Ordinal> {
        let messages = self.verification(id).map_or(&[][..], |verification| &verification.messages);
        let sent = messages.iter().rev().find(|sent| sent.channel == message.channel && sent.attempts > 0);
        sent.map(|sent| sent.ordinal)
    }
}

//! Finds the channel that an update is for. Meta delivers all updates of an app to one URL, and several channels may
//! share an app.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::channel::signature::{BadSignature, Keys};
use crate::channel::webhook::{Reply, SignedDelivery};
use crate::channel::{Delivery, IgnoreReason};
use crate::verification::values::ChannelName;

/// The part of a channel's settings that matters for Meta's webhooks.
pub struct Member {
    pub name: ChannelName,
    pub phone_number_id: String,
    pub business_account_id: String,
    pub keys: Keys,
}

/// Another channel of this kind.
pub struct Other {
    member: Arc<Member>,
    /// Whether the secrets are equal, as for channels of one app. Then the signature is not computed again.
    same_keys: bool,
}

impl Other {
    pub fn new(me: &Member, member: Arc<Member>) -> Self {
        Self { same_keys: me.keys.same_as(&member.keys), member }
    }
}

/// The channels that may receive updates of a delivery: those whose secret signed it.
pub struct Owners<'a> {
    me: &'a Member,
    signed_by_me: bool,
    others: &'a [Other],
    /// Computed only when an update names the other channel, which is rare.
    signed_by_others: Vec<OnceCell<bool>>,
    header: &'a [u8],
    body: &'a [u8],
}

/// The recipient of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The channel whose URL was called.
    Me,
    Other(usize),
}

impl<'a> Owners<'a> {
    /// Fails if no channel's secret signed the delivery.
    pub fn verify(
        me: &'a Member,
        others: &'a [Other],
        header: &'a [u8],
        body: &'a [u8],
    ) -> Result<Self, BadSignature> {
        let mine = me.keys.verify(header, body);
        let signed_by_others = others.iter().map(|_| OnceCell::new()).collect();
        let owners = Self { me, signed_by_me: mine.is_ok(), others, signed_by_others, header, body };
        match mine {
            Err(BadSignature::Wrong) if owners.find(|_| true).is_ok() => Ok(owners),
            Err(bad) => Err(bad),
            Ok(()) => Ok(owners),
        }
    }

    /// Finds the channel by phone number, or by account if there is none.
    pub fn for_messages(&self, number: Option<&str>, account: Option<&str>) -> Result<Owner, IgnoreReason> {
        match number {
            Some(number) => self.find(|member| member.phone_number_id == number),
            None => self.for_account(account),
        }
    }

    /// Finds the channel by account. Without one, the first channel that signed gets the update.
    pub fn for_account(&self, account: Option<&str>) -> Result<Owner, IgnoreReason> {
        self.find(|member| account.is_none_or(|account| member.business_account_id == account))
    }

    fn find(&self, is_meant: impl Fn(&Member) -> bool) -> Result<Owner, IgnoreReason> {
        let mut reason = IgnoreReason::Unknown;
        if is_meant(self.me) {
            if self.signed_by_me {
                return Ok(Owner::Me);
            }
            reason = IgnoreReason::NotSigned;
        }
        for (place, other) in self.others.iter().enumerate().filter(|(_, other)| is_meant(&other.member)) {
            if self.signed_by(place, other) {
                return Ok(Owner::Other(place));
            }
            reason = IgnoreReason::NotSigned;
        }
        Err(reason)
    }

    fn signed_by(&self, place: usize, other: &Other) -> bool {
        if other.same_keys {
            return self.signed_by_me;
        }
        *self.signed_by_others[place].get_or_init(|| other.member.keys.verify(self.header, self.body).is_ok())
    }
}

/// The parsed updates of a delivery by channel.
pub struct Sorted<'a> {
    owners: Owners<'a>,
    pub own: Delivery,
    of_others: BTreeMap<usize, Delivery>,
}

impl<'a> Sorted<'a> {
    pub fn new(owners: Owners<'a>) -> Self {
        Self { owners, own: Delivery::default(), of_others: BTreeMap::new() }
    }

    pub fn owners(&self) -> &Owners<'a> {
        &self.owners
    }

    /// Discards the result, to parse the delivery again.
    pub fn into_owners(self) -> Owners<'a> {
        self.owners
    }

    /// The delivery being collected for `owner`.
    pub fn of(&mut self, owner: Owner) -> &mut Delivery {
        match owner {
            Owner::Me => &mut self.own,
            Owner::Other(place) => self.of_others.entry(place).or_default(),
        }
    }

    /// Whether no other channel received an update.
    pub fn is_all_own(&self) -> bool {
        self.of_others.is_empty()
    }

    pub fn into_signed(self) -> SignedDelivery {
        let others = self.owners.others;
        let of_others = self.of_others.into_iter();
        let of_others = of_others.map(|(place, delivery)| (others[place].member.name.clone(), delivery));
        SignedDelivery { own: self.own, of_others: of_others.collect(), reply: Reply::EMPTY, receipt: None }
    }
}

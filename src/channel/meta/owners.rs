//! Whose an update is. Meta sends everything about an app to one address, and several channels may share an app.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::channel::signature::{BadSignature, Keys};
use crate::channel::webhook::{Reply, Told};
use crate::channel::{Delivery, Stray};
use crate::verification::values::ChannelName;

/// A channel as Meta's webhooks know it.
pub struct Member {
    pub name: ChannelName,
    pub phone_number_id: String,
    pub business_account_id: String,
    pub keys: Keys,
}

/// Another channel of this kind.
pub struct Other {
    member: Arc<Member>,
    /// Whether it has the same secrets, as channels of one app do: then a signature need not be computed again.
    same_keys: bool,
}

impl Other {
    pub fn of(me: &Member, member: Arc<Member>) -> Self {
        Self { same_keys: me.keys.same_as(&member.keys), member }
    }
}

/// The channels that may have updates of one delivery: those whose secret signed it.
pub struct Owners<'a> {
    me: &'a Member,
    signed_by_me: bool,
    others: &'a [Other],
    /// Computed when an update names the other channel, which is seldom.
    signed_by_others: Vec<OnceCell<bool>>,
    header: &'a [u8],
    body: &'a [u8],
}

/// One of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Whose address the delivery came to.
    Me,
    Other(usize),
}

impl<'a> Owners<'a> {
    /// `Err` where none of the channels has a secret that signed.
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

    /// By the phone number, else by the account.
    pub fn of_messages(&self, number: Option<&str>, account: Option<&str>) -> Result<Owner, Stray> {
        match number {
            Some(number) => self.find(|member| member.phone_number_id == number),
            None => self.of_account(account),
        }
    }

    /// An update that names nothing is the first channel's that signed.
    pub fn of_account(&self, account: Option<&str>) -> Result<Owner, Stray> {
        self.find(|member| account.is_none_or(|account| member.business_account_id == account))
    }

    fn find(&self, is_meant: impl Fn(&Member) -> bool) -> Result<Owner, Stray> {
        let mut reason = Stray::Unknown;
        if is_meant(self.me) {
            if self.signed_by_me {
                return Ok(Owner::Me);
            }
            reason = Stray::NotSigned;
        }
        for (place, other) in self.others.iter().enumerate().filter(|(_, other)| is_meant(&other.member)) {
            if self.signed_by(place, other) {
                return Ok(Owner::Other(place));
            }
            reason = Stray::NotSigned;
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

/// What was read of a delivery, channel by channel.
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

    /// To read the delivery once more.
    pub fn into_owners(self) -> Owners<'a> {
        self.owners
    }

    /// What has been read for one of them.
    pub fn of(&mut self, owner: Owner) -> &mut Delivery {
        match owner {
            Owner::Me => &mut self.own,
            Owner::Other(place) => self.of_others.entry(place).or_default(),
        }
    }

    /// Whether there was nothing for anybody but the channel whose address it came to.
    pub fn is_all_own(&self) -> bool {
        self.of_others.is_empty()
    }

    pub fn into_told(self) -> Told {
        let others = self.owners.others;
        let of_others = self.of_others.into_iter();
        let of_others = of_others.map(|(place, delivery)| (others[place].member.name.clone(), delivery));
        Told { own: self.own, of_others: of_others.collect(), reply: Reply::EMPTY, receipt: None }
    }
}

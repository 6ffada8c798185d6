//! What finds the live verifications: they have no rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{index, keys};
use crate::store::Link;
use crate::verification::values::{MessageId, NumberIndex, NumberTail, VerificationId};
use crate::verification::{Event, Verification};

#[derive(Default)]
pub struct LiveIndex {
    pub in_order: BTreeSet<VerificationId>,
    pub numbers: BTreeSet<(NumberIndex, VerificationId)>,
    pub client_refs: BTreeSet<([u8; 16], VerificationId)>,
    /// By a digest of channel and provider's id.
    pub names: HashMap<[u8; 16], MessageId>,
    /// Links that a live verification taught.
    pub links: BTreeMap<NumberIndex, Vec<(Link, VerificationId)>>,
}

impl LiveIndex {
    /// `added` are the last events of it, which may be all.
    pub fn add(&mut self, verification: &Verification, added: &[Event]) {
        let (id, request) = (verification.id(), &verification.request);
        self.in_order.insert(id);
        for (channel, name, message) in index::names(verification, added) {
            self.names.insert(keys::digest(&[channel.as_str(), name]), message);
        }
        if verification.erased {
            return self.remove_person(verification);
        }
        self.numbers.insert((request.number, id));
        if let Some(client_ref) = &request.client_ref {
            self.client_refs.insert((keys::digest(&[client_ref]), id));
        }
        for &alias in &verification.aliases {
            self.link(request.number, alias, request.tail, id);
            self.link(alias, request.number, request.tail, id);
        }
    }

    fn link(&mut self, name: NumberIndex, to: NumberIndex, tail: Option<NumberTail>, id: VerificationId) {
        let links = self.links.entry(name).or_default();
        if links.iter().all(|(link, by)| link.to != to || *by != id) {
            links.push((Link { to, tail }, id));
        }
    }

    /// It is settled; `events` are all of it.
    pub fn remove(&mut self, verification: &Verification, events: &[Event]) {
        self.in_order.remove(&verification.id());
        for (channel, name, message) in index::names(verification, events) {
            let digest = keys::digest(&[channel.as_str(), name]);
            if self.names.get(&digest) == Some(&message) {
                self.names.remove(&digest);
            }
        }
        self.remove_person(verification);
    }

    fn remove_person(&mut self, verification: &Verification) {
        let (id, request) = (verification.id(), &verification.request);
        self.numbers.remove(&(request.number, id));
        if let Some(client_ref) = &request.client_ref {
            self.client_refs.remove(&(keys::digest(&[client_ref]), id));
        }
        for name in verification.aliases.iter().copied().chain([request.number]) {
            if let Some(links) = self.links.get_mut(&name) {
                links.retain(|(_, by)| *by != id);
                if links.is_empty() {
                    self.links.remove(&name);
                }
            }
        }
    }
}

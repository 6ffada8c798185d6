//! Every provider request that came in, so that a test can count them: one attempt is at most one request.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::handsets::Channel;

/// A few minutes at the fastest number WhatsApp allows by default (80 a second); about 2 MB.
const KEPT: usize = 10_000;

/// One send that reached the Graph API or the carrier and could be read. Never the code or the text.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    pub channel: Channel,
    /// The provider's id, given to what was accepted.
    pub id: Option<String>,
    /// `biz_opaque_callback_data` or `reference`: the sender's own message id.
    pub reference: Option<String>,
    /// E.164 with `+`.
    pub to: String,
    pub outcome: Outcome,
    #[serde(serialize_with = "super::rfc3339")]
    pub at: Timestamp,
}

/// What the provider made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Accepted,
    /// Accepted, but the answer was cut off.
    Unheard,
    Refused,
    Unavailable,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    requests: Mutex<VecDeque<Request>>,
}

impl Journal {
    pub(super) fn write(&self, request: Request) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() == KEPT {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

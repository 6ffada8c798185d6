//! Log of all provider requests, so that tests can count them: one attempt is at most one request.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::handsets::Channel;

/// Minutes at WhatsApp's default maximum rate (80 a second); about 2 MB.
const KEPT: usize = 10_000;

/// A valid send at the Graph API or a carrier. Contains neither code nor text.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    pub channel: Channel,
    /// The provider's id, if accepted.
    pub id: Option<String>,
    /// The sender's message id: `biz_opaque_callback_data` or `reference`.
    pub reference: Option<String>,
    /// E.164 with `+`.
    pub to: String,
    pub outcome: Outcome,
    #[serde(serialize_with = "super::rfc3339")]
    pub at: Timestamp,
}

/// The provider's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Accepted,
    /// Accepted, but the answer was truncated.
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

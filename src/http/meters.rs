//! Metric handles of each request, looked up once: finding a metric by name and labels costs more than parsing a
//! webhook. A metric is registered when it first changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use actix_web::http::StatusCode;
use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

use super::capacity::Capacity;
use super::metrics as names;
use super::observe::Measured;
use super::routes::{Route, Routes};
use crate::store::Match;
use crate::verification::values::{ChannelName, ReportStatus};

/// The routes of a listener with their metrics.
pub struct Listener {
    pub routes: &'static Routes,
    pub capacity: Arc<Capacity>,
    /// Indexed by route number.
    meters: Vec<RouteMeters>,
}

impl Listener {
    pub fn new(routes: &'static Routes, connections: usize) -> Self {
        let capacity = Arc::new(Capacity::new(connections));
        Self { routes, capacity, meters: routes.all().map(|_| RouteMeters::default()).collect() }
    }

    pub fn meters(&self, route: &Route) -> Option<&RouteMeters> {
        self.meters.get(route.number)
    }
}

const METHODS: [&str; 2] = ["POST", "GET"];
const STATUSES: [StatusCode; 5] = [
    StatusCode::OK,
    StatusCode::CREATED,
    StatusCode::ACCEPTED,
    StatusCode::NOT_MODIFIED,
    StatusCode::UNAUTHORIZED,
];

/// Frequent combinations are cached; others are looked up.
#[derive(Default)]
pub struct RouteMeters {
    requests: [[OnceLock<Counter>; STATUSES.len()]; METHODS.len()],
    duration: OnceLock<Histogram>,
    /// Separate, because the duration of a held request does not measure the server.
    wait: OnceLock<Histogram>,
}

impl RouteMeters {
    pub fn count(
        &self,
        route: &'static str,
        method: &'static str,
        status: StatusCode,
        measured: Measured,
        seconds: f64,
    ) {
        let place = METHODS.iter().position(|&known| known == method);
        let place = place.zip(STATUSES.iter().position(|&known| known == status));
        match place {
            Some((method_at, status_at)) => self.requests[method_at][status_at]
                .get_or_init(|| request_counter(route.into(), method, status))
                .increment(1),
            None => request_counter(route.into(), method, status).increment(1),
        }
        let meter = match measured {
            Measured::Work => self.duration.get_or_init(|| duration(route.into())),
            Measured::Wait => self.wait.get_or_init(|| histogram!(names::WAIT_DURATION, "route" => route)),
        };
        meter.record(seconds);
    }
}

/// For a route without a description.
pub fn count_undescribed(route: &SharedString, method: &'static str, status: StatusCode, seconds: f64) {
    request_counter(route.clone(), method, status).increment(1);
    duration(route.clone()).record(seconds);
}

fn request_counter(route: SharedString, method: &'static str, status: StatusCode) -> Counter {
    let status = status.as_str().to_owned();
    counter!(names::REQUESTS, "route" => route, "method" => method, "status" => status)
}

fn duration(route: SharedString) -> Histogram {
    histogram!(names::REQUEST_DURATION, "route" => route)
}

/// Webhook metrics by channel.
pub type Channels = BTreeMap<String, ChannelMeters>;

pub struct ChannelMeters {
    channel: SharedString,
    webhooks: [OnceLock<Counter>; 5],
    last_received: OnceLock<Gauge>,
    refused_in_a_row: OnceLock<Gauge>,
    reports: [[OnceLock<Counter>; 4]; ReportStatus::NAMES.len()],
}

/// Result of a webhook.
#[derive(Clone, Copy)]
pub enum Received {
    Stored,
    Unreadable,
    SignatureRefused,
    NotStored,
    NotRead,
}

impl Received {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Unreadable => "unreadable",
            Self::SignatureRefused => "signature_refused",
            Self::NotStored => "not_stored",
            Self::NotRead => "not_read",
        }
    }
}

impl ChannelMeters {
    pub fn new(channel: &ChannelName) -> Self {
        Self {
            channel: channel.as_str().to_owned().into(),
            webhooks: Default::default(),
            last_received: OnceLock::new(),
            refused_in_a_row: OnceLock::new(),
            reports: Default::default(),
        }
    }

    pub fn webhook(&self, received: Received) {
        let counter = self.webhooks[received as usize].get_or_init(
            || counter!(names::WEBHOOKS, "channel" => self.channel.clone(), "result" => received.as_str()),
        );
        counter.increment(1);
    }

    /// Unix time in seconds.
    pub fn received_at(&self, seconds: f64) {
        let gauge = self
            .last_received
            .get_or_init(|| gauge!(names::WEBHOOK_LAST_RECEIVED, "channel" => self.channel.clone()));
        gauge.set(seconds);
    }

    /// Refused signatures since the last valid one.
    pub fn refused_in_a_row(&self, times: u64) {
        let gauge = self
            .refused_in_a_row
            .get_or_init(|| gauge!(names::WEBHOOKS_REFUSED_IN_A_ROW, "channel" => self.channel.clone()));
        gauge.set(times as f64);
    }

    /// `status` is the name of a [`ReportStatus`].
    pub fn report(&self, status: &'static str, matched: Match) {
        let (place, standing) = match matched {
            Match::Applied => (0, "applied"),
            Match::Stale => (1, "stale"),
            Match::Parked => (2, "parked"),
            Match::Unmatched => (3, "unmatched"),
        };
        let register = || {
            let channel = self.channel.clone();
            counter!(names::REPORTS, "channel" => channel, "status" => status, "standing" => standing)
        };
        match ReportStatus::NAMES.iter().position(|&name| name == status) {
            Some(at) => self.reports[at][place].get_or_init(register).increment(1),
            None => register().increment(1),
        }
    }
}

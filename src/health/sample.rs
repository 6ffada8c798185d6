//! A snapshot of our own metrics, parsed from the Prometheus text format.

use std::collections::BTreeMap;

use crate::verification::values::{ChannelName, Timestamp};

/// Metrics at the time `at`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub at: Timestamp,
    pub channels: BTreeMap<ChannelName, ChannelSample>,
    /// Histogram of deadline lateness: upper bound in seconds and cumulative count, ascending; the last bound is
    /// infinite.
    pub lateness: Vec<(f64, u64)>,
    /// Live verifications.
    pub live: Option<u64>,
    /// Free bytes on the store's disk.
    pub disk_free: Option<u64>,
    pub templates_not_approved: u64,
}

/// Metrics of one channel; counters since the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelSample {
    pub accepted: u64,
    /// Refused or in doubt, without `unreached`.
    pub failed: u64,
    /// Refused because of the recipient, which says nothing about the channel.
    pub unreached: u64,
    /// Valid and stored.
    pub webhooks: u64,
    pub signatures_refused: u64,
    pub last_webhook: Option<Timestamp>,
    pub breaker: Breaker,
    /// Messages waiting for the channel's rate limit.
    pub waiting: u64,
    /// Seconds that the system clock is ahead of the provider's.
    pub clock_ahead: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    #[default]
    Closed,
    /// The provider refused the sender; after a pause one message probes the channel.
    Open,
}

impl Sample {
    /// Parses a rendering; ignores unknown lines.
    pub fn read(text: &str, at: Timestamp) -> Self {
        let mut sample = Self {
            at,
            channels: BTreeMap::new(),
            lateness: Vec::new(),
            live: None,
            disk_free: None,
            templates_not_approved: 0,
        };
        text.lines().filter_map(MetricLine::parse).for_each(|line| sample.take(&line));
        sample.lateness.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        sample
    }

    fn take(&mut self, line: &MetricLine<'_>) {
        match line.name {
            "verifications_live" => self.live = Some(line.count()),
            "disk_free_bytes" => self.disk_free = Some(line.count()),
            "templates_not_approved" => self.templates_not_approved = line.count(),
            "deadline_lateness_seconds_bucket" => {
                let bound = line.label("le").and_then(|bound| match bound {
                    "+Inf" => Some(f64::INFINITY),
                    bound => bound.parse().ok(),
                });
                self.lateness.extend(bound.map(|bound| (bound, line.count())));
            }
            name => {
                if let Some(channel) = line.label("channel") {
                    self.channels.entry(ChannelName::new(channel)).or_default().take(name, line);
                }
            }
        }
    }
}

impl ChannelSample {
    fn take(&mut self, name: &str, line: &MetricLine<'_>) {
        match (name, line.label("outcome").or(line.label("result"))) {
            ("sends_total", Some("accepted" | "held")) => self.accepted += line.count(),
            ("sends_total", Some("refused")) if line.label("class") == Some("recipient") => {
                self.unreached += line.count();
            }
            ("sends_total", Some(_)) => self.failed += line.count(),
            ("webhooks_received_total", Some("stored" | "unreadable")) => self.webhooks += line.count(),
            ("webhooks_received_total", Some("signature_refused")) => self.signatures_refused = line.count(),
            ("webhook_last_received_timestamp_seconds", _) => {
                self.last_webhook = Some(Timestamp::from_millis((line.value * 1_000.0) as i64));
            }
            ("breaker_open", _) => {
                self.breaker = if line.value > 0.0 { Breaker::Open } else { Breaker::Closed }
            }
            ("messages_waiting", _) => self.waiting = line.count(),
            ("clock_ahead_seconds", _) => self.clock_ahead = Some(line.value),
            _ => {}
        }
    }
}

/// `twotick_sends_total{channel="sms",outcome="accepted",class="none"} 3`
struct MetricLine<'a> {
    /// Without our prefix.
    name: &'a str,
    /// The text between the braces.
    labels: &'a str,
    value: f64,
}

impl<'a> MetricLine<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (series, value) = text.strip_prefix("twotick_")?.rsplit_once(' ')?;
        let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Self { name, labels, value })
    }

    /// Relevant labels contain our own names, which need no escaping.
    fn label(&self, name: &str) -> Option<&'a str> {
        let before = format!("{name}=\"");
        let begins = |rest: &&str| rest.starts_with(&before);
        let pair = self.labels.split("\",").find(begins)?;
        Some(pair[before.len()..].trim_end_matches('"'))
    }

    fn count(&self) -> u64 {
        self.value as u64
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram};
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

    use super::*;

    #[test]
    fn the_recorders_output_is_parsed() {
        let name = Matcher::Full("twotick_deadline_lateness_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(name, &[0.002, 0.05, 10.0]).unwrap();
        let recorder = builder.build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for (outcome, class, times) in [
                ("accepted", "none", 7),
                ("held", "none", 1),
                ("refused", "configuration", 2),
                ("refused", "recipient", 4),
                ("in_doubt", "none", 1),
            ] {
                counter!("twotick_sends_total", "channel" => "whatsapp", "outcome" => outcome, "class" => class)
                    .increment(times);
            }
            counter!("twotick_sends_total", "channel" => "sms", "outcome" => "accepted", "class" => "none")
                .increment(3);
            for (result, times) in [("stored", 9), ("signature_refused", 4), ("not_read", 1)] {
                counter!("twotick_webhooks_received_total", "channel" => "whatsapp", "result" => result)
                    .increment(times);
            }
            gauge!("twotick_webhook_last_received_timestamp_seconds", "channel" => "whatsapp")
                .set(1_795_000_000.25);
            gauge!("twotick_breaker_open", "channel" => "whatsapp").set(1.0);
            gauge!("twotick_messages_waiting", "channel" => "whatsapp").set(5.0);
            gauge!("twotick_clock_ahead_seconds", "channel" => "sms").set(-2.5);
            gauge!("twotick_disk_free_bytes").set(5e12);
            gauge!("twotick_verifications_live").set(12.0);
            [0.001, 0.001, 0.03, 99.0]
                .iter()
                .for_each(|&late| histogram!("twotick_deadline_lateness_seconds").record(late));
            counter!("twotick_http_requests_total", "route" => "/{id}", "method" => "GET", "status" => "200")
                .increment(1);
        });
        let at = Timestamp::from_millis(1);
        let sample = Sample::read(&recorder.handle().render(), at);
        let whatsapp = ChannelSample {
            accepted: 8,
            failed: 3,
            unreached: 4,
            webhooks: 9,
            signatures_refused: 4,
            last_webhook: Some(Timestamp::from_millis(1_795_000_000_250)),
            breaker: Breaker::Open,
            waiting: 5,
            clock_ahead: None,
        };
        let sms = ChannelSample { accepted: 3, clock_ahead: Some(-2.5), ..ChannelSample::default() };
        let expected = Sample {
            at,
            channels: BTreeMap::from([
                (ChannelName::new("whatsapp"), whatsapp),
                (ChannelName::new("sms"), sms),
            ]),
            lateness: vec![(0.002, 2), (0.05, 3), (10.0, 3), (f64::INFINITY, 4)],
            live: Some(12),
            disk_free: Some(5_000_000_000_000),
            templates_not_approved: 0,
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn foreign_metrics_are_ignored() {
        for text in [
            "",
            "# HELP twotick_sends_total {",
            "twotick_sends_total",
            "twotick_sends_total{ 1",
            "twotick_disk_free_bytes NaN",
            "twotick_ 1",
            "other_disk_free_bytes 1",
        ] {
            let sample = Sample::read(text, Timestamp::default());
            assert!(sample.channels.is_empty() && sample.disk_free.is_none(), "{text}");
        }
    }
}

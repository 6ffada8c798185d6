use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000 + seconds * 1_000)
}

fn whatsapp() -> ChannelName {
    ChannelName::new("whatsapp")
}

fn seen() -> Seen {
    Seen::of(BTreeMap::from([(whatsapp(), Unheard::default())]))
}

impl Seen {
    fn take_next(&mut self, sample: Sample) {
        self.take(sample, Cadence::OnBeat, store::Health::Ready);
    }
}

fn sample(seconds: i64, channel: ChannelSample) -> Sample {
    let mut sample = Sample::read("", at(seconds));
    sample.channels.insert(whatsapp(), channel);
    sample
}

fn counts(accepted: u64, failed: u64, webhooks: u64) -> ChannelSample {
    ChannelSample { accepted, failed, webhooks, ..ChannelSample::default() }
}

#[test]
fn sends_without_a_webhook_raise_an_alarm_until_one_arrives() {
    let mut seen = seen();
    let mut alarms = |seconds, accepted, webhooks| {
        seen.take_next(sample(seconds, counts(accepted, 0, webhooks)));
        seen.vitals(at(seconds), store::Health::Ready).alarms
    };
    assert_eq!(alarms(0, 0, 0), []);
    assert_eq!(alarms(10, 2, 0), []);
    assert_eq!(alarms(69, 3, 0), [], "a minute is not over");
    let stopped = |sends| Alarm::WebhooksStopped { channel: whatsapp(), sends, since: at(10) };
    assert_eq!(alarms(70, 3, 0), [stopped(3)]);
    assert_eq!(alarms(1_000, 4, 0), [stopped(4)], "longer ago than the window, and still silent");
    assert_eq!(alarms(1_010, 5, 1), []);
    assert_eq!(alarms(1_200, 7, 1), []);
    assert_eq!(alarms(1_300, 7, 1), [], "two are too few to tell");
}

#[test]
fn failed_sends_need_no_webhook() {
    let mut seen = seen();
    seen.take_next(sample(0, counts(0, 0, 0)));
    seen.take_next(sample(10, counts(0, 4, 0)));
    assert_eq!(seen.vitals(at(500), store::Health::Ready).alarms, []);
}

#[test]
fn rates_cover_only_the_window() {
    let mut seen = seen();
    for beat in 0..40_u32 {
        // The first 5 fail, then one in ten.
        let failed = if beat < 5 { beat } else { 5 + (beat - 5) / 10 };
        let channel = counts(u64::from(beat * 10).saturating_sub(50), u64::from(failed) * 10, beat.into());
        seen.take_next(sample(i64::from(beat) * 10, channel));
    }
    assert_eq!(seen.samples.len(), SAMPLES);
    let vitals = seen.vitals(at(400), store::Health::Ready);
    assert_eq!(vitals.channels[0].sends, 330);
    assert_eq!(vitals.channels[0].error_rate, Some(30.0 / 330.0));
    assert_eq!(vitals.alarms, []);
}

#[test]
fn a_failure_rate_of_a_tenth_raises_an_alarm_without_recipient_errors() {
    for (accepted, failed, unreached, rate, alarms) in [
        (9, 0, 5, Some(0.0), 0),
        (0, 0, 14, None, 0),
        (91, 9, 0, Some(0.09), 0),
        (905, 95, 0, Some(0.095), 1),
        (90, 10, 0, Some(0.1), 1),
        (10, 3, 1, Some(3.0 / 13.0), 1),
        (10, 4, 0, Some(4.0 / 14.0), 1),
        (5, 4, 0, Some(4.0 / 9.0), 0),
    ] {
        let mut seen = seen();
        seen.take_next(sample(0, counts(0, 0, 0)));
        let newest = ChannelSample { unreached, ..counts(accepted, failed, 1) };
        seen.take_next(sample(10, newest));
        let vitals = seen.vitals(at(10), store::Health::Ready);
        let channel = &vitals.channels[0];
        assert_eq!(
            (channel.error_rate, vitals.alarms.len()),
            (rate, alarms),
            "{accepted} {failed} {unreached}"
        );
        assert_eq!(
            channel.is_fine(),
            rate.is_none_or(|rate| rate < 0.095),
            "{accepted} {failed} {unreached}"
        );
        assert!(vitals.alarms.iter().all(|alarm| !alarm.is_severe()), "amber");
    }
}

#[test]
fn alarms_are_sorted_worst_first() {
    let mut seen = seen();
    seen.take_next(sample(0, counts(0, 0, 0)));
    let mut worse = sample(
        10,
        ChannelSample {
            signatures_refused: 2,
            breaker: Breaker::Open,
            clock_ahead: Some(-7.0),
            ..counts(5, 15, 0)
        },
    );
    worse.lateness = vec![(0.1, 98), (1.0, 99), (f64::INFINITY, 100)];
    worse.disk_free = Some(1_000);
    worse.templates_not_approved = 1;
    seen.take_next(worse);
    let channel = whatsapp;
    assert_eq!(
        seen.vitals(at(100), store::Health::Full).alarms,
        [
            Alarm::WebhooksStopped { channel: channel(), sends: 5, since: at(10) },
            Alarm::StoreNotReady(store::Health::Full),
            Alarm::BreakerOpen(channel()),
            Alarm::SignaturesRefused { channel: channel(), times: 2, fitting: 0 },
            Alarm::ErrorRate { channel: channel(), share: 0.75, sends: 20 },
            Alarm::Late { seconds: 1.0 },
            Alarm::LittleRoom { bytes: 1_000 },
            Alarm::ClockWrong { ahead: -7.0 },
            Alarm::TemplatesNotApproved { count: 1 },
        ]
    );
}

#[test]
fn the_clock_is_compared_with_the_provider_that_agrees_most() {
    let mut seen = seen();
    let mut newest = sample(0, ChannelSample { clock_ahead: Some(300.0), ..counts(0, 0, 0) });
    let right = ChannelSample { clock_ahead: Some(-0.2), ..counts(0, 0, 0) };
    newest.channels.insert(ChannelName::new("sms"), right);
    seen.take_next(newest);
    let vitals = seen.vitals(at(0), store::Health::Ready);
    assert_eq!((vitals.clock_ahead, vitals.alarms), (Some(-0.2), Vec::new()));
}

#[test]
fn lateness_is_the_99th_percentile_since_the_oldest_sample() {
    let oldest = [(0.01, 1_000), (1.0, 1_000), (f64::INFINITY, 1_000)];
    let newest = |counts: [u64; 3]| [(0.01, counts[0]), (1.0, counts[1]), (f64::INFINITY, counts[2])];
    for (counts, expected) in [
        ([1_000, 1_000, 1_000], None),
        ([1_099, 1_100, 1_100], Some(0.01)),
        ([1_098, 1_100, 1_100], Some(1.0)),
        ([1_000, 1_000, 1_001], Some(f64::INFINITY)),
    ] {
        assert_eq!(p99(&oldest, &newest(counts)), expected, "{counts:?}");
    }
}

#[test]
fn an_alarm_keeps_its_start_until_it_ends() {
    let mut seen = seen();
    let mut began = |seconds, refused| {
        let channel = ChannelSample { signatures_refused: refused, ..counts(0, 0, 0) };
        seen.take_next(sample(seconds, channel));
        seen.began.get(&("signatures_refused", Some(whatsapp()))).copied()
    };
    assert_eq!(began(0, 0), None);
    assert_eq!(began(10, 1), Some(at(10)));
    assert_eq!(began(20, 2), Some(at(10)));
    for seconds in (30..=400).step_by(10) {
        began(seconds, 2);
    }
    assert_eq!(began(410, 2), None, "it was longer ago than the window");
    assert_eq!(began(420, 3), Some(at(420)));
}

/// Requests of `/alerts` every second must neither shorten the window nor count a send twice.
#[test]
fn an_extra_sample_does_not_shorten_the_window() {
    let mut seen = seen();
    for beat in 0..100_i64 {
        let sent = u64::try_from(beat).unwrap();
        seen.take_next(sample(beat * 10, counts(sent * 2, 0, 0)));
        for second in 1..10 {
            let asked = sample(beat * 10 + second, counts(sent * 2 + 1, 0, 0));
            seen.take(asked, Cadence::Between, store::Health::Ready);
        }
    }
    assert_eq!(seen.samples.len(), SAMPLES);
    // 299 s before the newest, which was taken at 999 s.
    assert_eq!(seen.samples.front().map(|oldest| oldest.at), Some(at(700)));
    assert_eq!(seen.channels[&whatsapp()].sends, 199);
}

#[test]
fn wrong_signatures_are_severe_without_valid_ones() {
    let refused = |fitting| Alarm::SignaturesRefused { channel: whatsapp(), times: 3, fitting };
    assert!(refused(0).is_severe());
    assert!(!refused(5).is_severe(), "a stranger's");
}

#[test]
fn every_alarm_has_a_unique_code_and_a_text() {
    let channel = whatsapp;
    let alarms = [
        Alarm::WebhooksStopped { channel: channel(), sends: 5, since: at(0) },
        Alarm::StoreNotReady(store::Health::Full),
        Alarm::BreakerOpen(channel()),
        Alarm::SignaturesRefused { channel: channel(), times: 2, fitting: 0 },
        Alarm::ErrorRate { channel: channel(), share: 0.75, sends: 20 },
        Alarm::Late { seconds: f64::INFINITY },
        Alarm::LittleRoom { bytes: 4_000_000 },
        Alarm::ClockWrong { ahead: -9.0 },
        Alarm::TemplatesNotApproved { count: 2 },
    ];
    let codes: std::collections::BTreeSet<_> = alarms.iter().map(Alarm::code).collect();
    assert_eq!(codes.len(), alarms.len());
    let lines: Vec<_> = alarms.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], format!("whatsapp accepted 5 messages, but no webhook has come since {}", at(0)));
    assert_eq!(lines[4], "whatsapp: 75 % of the last 20 requests failed");
    assert_eq!(lines[7], "the system clock is 9 s behind");
    assert!(lines.iter().all(|line| !line.contains("inf")));
}

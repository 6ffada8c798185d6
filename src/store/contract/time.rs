//! Restarts, deadlines, rates, retention, and what stays the same over them.

use super::*;

impl<B: Backend> World<B> {
    pub(super) fn reopen_closed(&mut self) {
        let clock = Clock::Manual(Arc::clone(&self.time));
        (self.store, self.errands) = B::open(self.folder.path(), self.rates.clone(), clock);
    }
}

pub async fn a_deadline_falls_back_and_an_expiry_ends<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    assert_eq!((channel_of(&errand), errand.attempt), ("whatsapp", 1));
    world.accepted(&errand, "wamid.1").await;
    world.time.advance(Duration::from_millis(29_999));
    world.settle().await;
    world.no_errand().await;
    world.time.advance(Duration::from_millis(1));
    world.settle().await;
    let errand = world.errand().await;
    assert_eq!(channel_of(&errand), "sms");
    assert!(world.facts(id).await.contains(&Fact::FellBack {
        message: Ordinal::FIRST,
        to_step: 1,
        reason: FallbackReason::Deadline
    }));
    world.accepted(&errand, "sms.1").await;
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.1"), None)).await,
        Match::Applied
    );
    assert!(world.snapshot(id).await.verification.messages[0].late);
    world.pass(600).await;
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Expired));
    world.no_errand().await;
}

pub async fn deadlines_that_pass_while_closed_fire_once_after_opening<B: Backend>() {
    let mut world = World::<B>::new();
    let falls_back = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.pass(20).await;
    world.store.close().await.unwrap();
    world.time.advance(Duration::from_secs(60));
    world.reopen_closed();
    world.settle().await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    world.no_errand().await;

    let expires = world.created("+12025550101").await;
    world.errand().await;
    world.store.close().await.unwrap();
    world.time.advance(Duration::from_secs(3_600));
    world.reopen_closed();
    world.settle().await;
    world.no_errand().await;
    for id in [falls_back, expires] {
        assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Expired));
    }
}

pub async fn a_channel_keeps_its_rate_and_a_fallback_does_not_wait_for_it<B: Backend>() {
    let mut world = World::<B>::with_rates(BTreeMap::from([(whatsapp(), 1)]));
    for n in 0..50 {
        world.created(&format!("+120255501{n:02}")).await;
    }
    let first = world.errand().await;
    world.accepted(&first, "wamid.0").await;
    world.no_errand().await;
    for second in 1..30 {
        world.pass(1).await;
        let errand = world.errand().await;
        assert_eq!(channel_of(&errand), "whatsapp");
        world.accepted(&errand, &format!("wamid.{second}")).await;
        world.no_errand().await;
    }
    // Whose deadline passes while they still wait, with no slot free, go on to the SMS at once, which has no rate.
    world.time.advance(Duration::from_millis(990));
    world.settle().await;
    assert_eq!(channel_of(&world.errand().await), "whatsapp");
    world.time.advance(Duration::from_millis(10));
    world.settle().await;
    let mut sent = Vec::new();
    while let Ok(errand) = world.errands.try_recv() {
        sent.push(channel_of(&errand).to_owned());
    }
    let by_sms = sent.iter().filter(|channel| *channel == "sms").count();
    assert_eq!(by_sms, 50, "{sent:?}");
    let newer = world.created("+12025550199").await;
    world.pass(1).await;
    let errand = world.errand().await;
    assert_eq!(errand.snapshot.verification.id(), newer, "nobody who has left stands before it");
    assert_eq!(channel_of(&errand), "whatsapp");
}

pub async fn a_refused_sender_lets_steps_be_skipped<B: Backend>() {
    let mut world = World::<B>::new();
    world.created("+12025550100").await;
    let errand = world.errand().await;
    let refused = Outcome::Refused { error: error(ErrorClass::Sender), retry_after: None };
    world.outcome(&errand, refused).await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    let alerts = world.store.alerts(5, None).await.unwrap();
    assert_eq!((alerts.items.len(), alerts.items[0].code.as_str()), (1, "131031"));

    let skipped = world.created("+12025550101").await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    assert!(world.facts(skipped).await.contains(&Fact::StepSkipped { message: Ordinal::FIRST }));
    assert_eq!(world.progress(skipped).await[0], Progress::Dropped);

    world.pass(60).await;
    world.created("+12025550102").await;
    assert_eq!(channel_of(&world.errand().await), "whatsapp", "after a minute one message probes");
    world.created("+12025550103").await;
    assert_eq!(channel_of(&world.errand().await), "sms", "and only one");
}

pub async fn old_verifications_go_and_live_ones_stay<B: Backend>() {
    let mut world = World::<B>::new();
    let request =
        Request { client_ref: Some("order-17".to_owned()), ..world.request("+12025550100", &policy()) };
    let old = request.id;
    world.create(request, policy()).await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.execute(Order::Inbound(Arc::new(inbound("in.1", world.time.now())))).await;
    world.report(whatsapp(), said(ReportStatus::Sent, Some("never.matches"), None)).await;
    world.pass(3_600).await;
    let young = world.created("+12025550100").await;

    let now = world.time.now();
    let before = Retention { verifications: now, inbound: now, audit: now };
    let mut removed = 0;
    for _ in 0..10 {
        let swept = world.store.sweep_old(before).await.unwrap();
        removed += swept.removed;
        if !swept.more {
            break;
        }
    }
    assert_eq!(removed, 1);
    assert!(world.store.read(old).await.unwrap().is_none());
    assert_eq!(world.store.timeline(old).await.unwrap(), []);
    assert_eq!(world.store.find(whatsapp(), "wamid.1".to_owned()).await.unwrap(), None);
    assert!(world.store.inbound(None, None, 5, None).await.unwrap().items.is_empty());
    assert_eq!(world.listed(Filter::default(), 5).await, [young]);
    let of_ref = Filter {
        client_ref: Some("order-17".to_owned()),
        apps: Some([AppName::new("shop")].into()),
        ..Filter::default()
    };
    assert!(world.listed(of_ref, 5).await.is_empty());
    let late = said(ReportStatus::Read, None, Some(old.message(Ordinal::FIRST)));
    assert_eq!(world.report(whatsapp(), late).await, Match::Unmatched);
    world.reopen().await;
    assert_eq!(world.listed(Filter::default(), 5).await, [young]);
}

pub async fn alerts_are_listed_newest_first<B: Backend>() {
    let world = World::<B>::new();
    let alert = |code: &str, seconds| Alert {
        at: Timestamp::from_millis(START) + Duration::from_secs(seconds),
        channel: whatsapp(),
        code: code.to_owned(),
        title: "Template paused".to_owned(),
        subject: None,
        evidence: None,
        fingerprint: None,
    };
    for alert in [alert("a", 1), alert("c", 3), alert("b", 2), alert("a", 1)] {
        assert!(matches!(world.execute(Order::Alert(alert)).await, Answer::Kept));
    }
    let page = world.store.alerts(2, None).await.unwrap();
    assert_eq!(page.items.iter().map(|alert| &*alert.code).collect::<Vec<_>>(), ["c", "b"]);
    let rest = world.store.alerts(2, page.next).await.unwrap();
    assert_eq!(rest.items.iter().map(|alert| &*alert.code).collect::<Vec<_>>(), ["a"]);
    assert_eq!(rest.next, None);
    assert_eq!(world.store.alerts(3, None).await.unwrap().next, None);
}

/// Two of one code and second are two; what a provider says again is one, also where it does not say when.
pub async fn alerts_that_look_alike_are_all_kept<B: Backend>() {
    let mut world = World::<B>::new();
    let alert = |title: &str, fingerprint: Option<&str>, seconds| Alert {
        at: Timestamp::from_millis(START) + Duration::from_secs(seconds),
        channel: whatsapp(),
        code: "account_disabled".to_owned(),
        title: title.to_owned(),
        subject: None,
        evidence: None,
        fingerprint: fingerprint.map(str::to_owned),
    };
    let first = [
        alert("DISABLED_UPDATE", Some("a"), 1),
        alert("ACCOUNT_DELETED", Some("b"), 1),
        alert("ACCOUNT_DELETED", Some("b-1"), 1),
        alert("of ours", None, 1),
        alert("of ours too", None, 1),
    ];
    for alert in &first {
        world.execute(Order::Alert(alert.clone())).await;
    }
    world.execute(Order::Alert(first[0].clone())).await;
    world.execute(Order::Alert(alert("ACCOUNT_DELETED", Some("b"), 9))).await;
    assert_eq!(world.store.alerts(10, None).await.unwrap().items.len(), first.len());

    world.reopen().await;
    world.execute(Order::Alert(first[0].clone())).await;
    assert_eq!(
        world.store.alerts(10, None).await.unwrap().items.len(),
        first.len(),
        "its place is known by its time"
    );
}

/// A carrier that gives no id is known by our reference, and by its id from the first report on that brings one.
pub async fn a_message_without_a_name_learns_it_from_a_report<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.outcome(&errand, Outcome::Accepted { provider_ref: None }).await;
    assert_eq!(world.progress(id).await, [Progress::Accepted]);
    let message = message_of(&errand);
    let unheard = said(ReportStatus::Unknown("WARNING".to_owned()), None, Some(message));
    assert_eq!(world.report(whatsapp(), unheard).await, Match::Stale);
    for word in ["ODD", "ODDER"] {
        let early = said(ReportStatus::Unknown(word.to_owned()), Some("wamid.7"), None);
        assert_eq!(world.report(whatsapp(), early).await, Match::Parked);
    }
    let sent = said(ReportStatus::Sent, Some("wamid.7"), Some(message));
    assert_eq!(world.report(whatsapp(), sent).await, Match::Applied);
    world.reopen().await;
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.7"), None)).await,
        Match::Applied
    );
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
    let facts = world.facts(id).await;
    let words: Vec<_> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Reported { status: ReportStatus::Unknown(word), standing: Standing::Stale, .. } => {
                Some(word.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(words, ["WARNING", "ODD", "ODDER"], "they waited for its name");
}

pub async fn a_late_report_reaches_a_verification_that_has_ended<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.command(id, Command::Check(Comparison::Match)).await;
    world.reopen().await;
    world.pass(7 * 24 * 60 * 60).await;
    for (status, expected) in [
        (ReportStatus::Delivered, Match::Applied),
        (ReportStatus::Sent, Match::Stale),
        (ReportStatus::Read, Match::Applied),
    ] {
        assert_eq!(world.report(whatsapp(), said(status, Some("wamid.1"), None)).await, expected);
    }
    assert_eq!(world.progress(id).await, [Progress::Read]);
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Approved));
    world.no_errand().await;
    world.reopen().await;
    assert_eq!(world.progress(id).await, [Progress::Read]);
    let answer = world.command(id, Command::Check(Comparison::Match)).await;
    assert!(matches!(&answer, Answer::Done { events, .. } if events.is_empty()), "{answer:?}");
}

pub async fn a_thousand_reports_are_answered_in_their_order<B: Backend>() {
    let mut world = World::<B>::new();
    let mut orders = Vec::new();
    for n in 0..250 {
        world.created(&format!("+1202555{n:04}")).await;
        let errand = world.errand().await;
        let name = format!("wamid.{n}");
        world.accepted(&errand, &name).await;
        for status in [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Sent, ReportStatus::Read] {
            orders.push(Order::Report { channel: whatsapp(), report: said(status, Some(&name), None) });
        }
    }
    let answers = world.store.execute(orders).await.unwrap();
    assert_eq!(answers.len(), 1_000);
    for (n, answer) in answers.iter().enumerate() {
        let expected = if n % 4 == 2 { Match::Stale } else { Match::Applied };
        assert!(matches!(answer, Answer::Reported(matched) if *matched == expected), "{n}: {answer:?}");
    }
}

/// Everything a reader can see.
async fn everything<B: Backend>(world: &World<B>) -> Vec<(Snapshot, Vec<Event>)> {
    let mut seen = Vec::new();
    for id in world.listed(Filter::default(), 3).await {
        let snapshot = Snapshot::clone(&*world.snapshot(id).await);
        let timeline = world.store.timeline(id).await.unwrap();
        let folded = crate::verification::State::fold(&timeline);
        assert_eq!(
            folded,
            crate::verification::State::Known(Box::new(snapshot.verification.clone())),
            "the fold of the log is the state"
        );
        seen.push((snapshot, timeline));
    }
    seen
}

pub async fn closing_and_opening_changes_nothing<B: Backend>() {
    let mut world = World::<B>::new();
    for n in 0..20 {
        let id = world.created(&format!("+120255501{n:02}")).await;
        let errand = world.errand().await;
        let name = format!("wamid.{n}");
        match n % 5 {
            0 => world.accepted(&errand, &name).await,
            1 => {
                world.accepted(&errand, &name).await;
                world.report(whatsapp(), said(ReportStatus::Delivered, Some(&name), None)).await;
            }
            2 => {
                world.accepted(&errand, &name).await;
                world.command(id, Command::Check(Comparison::Match)).await;
            }
            3 => {
                let error = error(ErrorClass::Recipient);
                world.outcome(&errand, Outcome::Refused { error, retry_after: None }).await;
                let errand = world.errand().await;
                world.accepted(&errand, &format!("sms.{n}")).await;
            }
            _ => {
                let error = error(ErrorClass::InDoubt);
                world.outcome(&errand, Outcome::InDoubt { error }).await;
            }
        }
    }
    let before = everything(&world).await;
    assert_eq!(before.len(), 20);
    let old = Arc::clone(&world.store);
    world.reopen().await;
    let after = everything(&world).await;
    for ((before, timeline), (after, again)) in before.iter().zip(&after) {
        assert_eq!(before.verification, after.verification);
        assert_eq!(before.policy, after.policy);
        assert_eq!(timeline, again);
    }
    assert!(matches!(old.execute(Vec::new()).await, Err(StoreError::Closed)), "what is closed takes no more");
}

pub async fn wrong_codes_count_across_restarts<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    for wrong in 1..=3 {
        world.command(id, Command::Check(Comparison::Differ)).await;
        world.reopen().await;
        assert_eq!(world.snapshot(id).await.verification.failed_checks, wrong);
    }
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Exhausted));
    world.command(id, Command::Check(Comparison::Match)).await;
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Exhausted));
    let facts = world.facts(id).await;
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::CheckPassed)), 0);
    let doubts = count(&facts, |fact| matches!(fact, Fact::MessageQueued { occasion: Occasion::Doubt, .. }));
    assert_eq!(doubts, 0);
}

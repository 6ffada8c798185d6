//! What grows with what comes from outside stays bounded, and no kind of it and no app starves another.

use super::matching::key;
use super::*;
use crate::store::contract::LIMITS;

fn bank() -> AppName {
    AppName::new("bank")
}

pub async fn a_backlog_of_one_app_pushes_no_message_of_another_past_its_deadline<B: Backend>() {
    let mut world = World::<B>::with_rates(BTreeMap::from([(whatsapp(), 2)]));
    for n in 0..200 {
        world.created(&format!("+12025550{n:03}")).await;
    }
    let mut theirs = std::collections::BTreeSet::new();
    for n in 0..20 {
        let request = Request { app: bank(), ..world.request(&format!("+12025551{n:03}"), &policy()) };
        theirs.insert(request.id);
        assert!(matches!(world.create(request, policy()).await, Answer::Created(_)));
    }
    // At 2 a second the 200 before them take 100 s, and each has a deadline of 30 s.
    let (mut by_whatsapp, mut of_shop) = (Vec::new(), 0);
    for half_second in 0..58 {
        world.time.advance(Duration::from_millis(500));
        world.settle().await;
        let second = half_second / 2;
        while let Ok(errand) = world.errands.try_recv() {
            assert_eq!(channel_of(&errand), "whatsapp", "after {second} s");
            let id = errand.snapshot.verification.id();
            if theirs.contains(&id) {
                by_whatsapp.push(second);
            } else {
                of_shop += 1;
            }
            world.accepted(&errand, &format!("wamid.{id}")).await;
        }
    }
    assert_eq!(by_whatsapp.len(), 20, "all of the other app's: {by_whatsapp:?}");
    assert!(by_whatsapp.last() <= Some(&20), "every second turn is theirs: {by_whatsapp:?}");
    assert!((36..=40).contains(&of_shop), "the rate is used to the full: {of_shop}");
}

pub async fn reports_that_match_nothing_make_room_for_newer_ones<B: Backend>() {
    let mut world = World::<B>::new();
    world.created("+12025550100").await;
    let errand = world.errand().await;
    let report = |name: &str| Order::Report {
        channel: whatsapp(),
        report: said(ReportStatus::Delivered, Some(name), None),
    };
    world.execute(report("wamid.early")).await;
    let foreign: Vec<_> = (0..LIMITS.parked + 500).map(|n| report(&format!("foreign.{n}"))).collect();
    for some in foreign.chunks(1_000) {
        let answers = world.store.execute(some.to_vec()).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Reported(Match::Parked))));
    }
    world.execute(report("wamid.late")).await;
    world.reopen().await;
    // The process before is gone, so a report with both names says which message it is.
    let both = |name: &str| Order::Report {
        channel: whatsapp(),
        report: said(ReportStatus::Sent, Some(name), Some(message_of(&errand))),
    };
    let id = errand.snapshot.verification.id();
    world.execute(both("wamid.early")).await;
    assert_eq!(world.progress(id).await, [Progress::Sent], "the oldest made room");
    world.execute(both("wamid.late")).await;
    assert_eq!(world.progress(id).await, [Progress::Sent], "it is called so already");

    world.created("+12025550101").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.late").await;
    let id = errand.snapshot.verification.id();
    assert_eq!(world.progress(id).await, [Progress::Delivered], "the newest waited for its send");
}

pub async fn alerts_are_bounded_and_the_newest_stay<B: Backend>() {
    let mut world = World::<B>::new();
    let alert = |n: usize| {
        Order::Alert(Alert {
            at: Timestamp::from_millis(START) + Duration::from_millis(n as u64),
            channel: whatsapp(),
            code: n.to_string(),
            title: "Template paused".to_owned(),
            subject: None,
            fingerprint: None,
            evidence: None,
        })
    };
    let all: Vec<_> = (0..LIMITS.alerts + 100).map(alert).collect();
    for some in all.chunks(500) {
        world.store.execute(some.to_vec()).await.unwrap();
    }
    for _ in 0..2 {
        let (mut kept, mut before) = (Vec::new(), None);
        loop {
            let page = world.store.alerts(500, before).await.unwrap();
            kept.extend(page.items.into_iter().map(|alert| alert.code));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (LIMITS.alerts, "100"));
        world.reopen().await;
    }
}

pub async fn each_kind_has_its_share_of_a_sweep<B: Backend>() {
    let world = World::<B>::new();
    for n in 0..200_u8 {
        let mut orders = vec![
            Order::Report {
                channel: whatsapp(),
                report: said(ReportStatus::Sent, Some(&format!("foreign.{n}")), None),
            },
            Order::Inbound(Arc::new(inbound(&format!("in.{n}"), world.time.now()))),
            Order::Alert(Alert {
                at: world.time.now(),
                channel: whatsapp(),
                code: n.to_string(),
                title: "Template paused".to_owned(),
                subject: None,
                fingerprint: None,
                evidence: None,
            }),
        ];
        let request = world.request(&format!("+12025550{n:03}"), &policy());
        let id = request.id;
        orders.push(Order::Create {
            request: Arc::new(request),
            policy: Arc::new(policy()),
            idempotency: Some(key(n, world.time.now())),
        });
        orders.push(Order::Command { id, app: None, command: Command::Cancel });
        world.store.execute(orders).await.unwrap();
    }
    world.pass(2 * 24 * 60 * 60).await;
    let now = world.time.now();
    let before = Retention { verifications: now, inbound: now, audit: now };
    let counts = async || {
        [
            world.store.inbound(None, None, 500, None).await.unwrap().items.len(),
            world.store.alerts(500, None).await.unwrap().items.len(),
            world.store.list(Filter::default(), 500, None).await.unwrap().items.len(),
        ]
    };
    let all = counts().await;
    assert_eq!(all, [200; 3]);
    let swept = world.store.sweep_old(before).await.unwrap();
    assert!(swept.removed > 0 && swept.more);
    let left = counts().await;
    assert!(left.iter().all(|&left| left < 200), "each kind shrinks with each visit: {left:?}");
    let mut visits = 1;
    while world.store.sweep_old(before).await.unwrap().more {
        visits += 1;
        assert!(visits < 100);
    }
    assert_eq!(counts().await, [0; 3]);
}

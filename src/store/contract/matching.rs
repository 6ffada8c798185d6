//! Creates and their keys, which app reaches what, and which verification a report or an inbound message is about.

use super::*;

pub async fn a_second_create_while_one_is_pending_sends_its_code_again<B: Backend>() {
    let mut world = World::<B>::new();
    let first = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let again = world.create(world.request("+12025550100", &policy()), policy()).await;
    let Answer::Rejected { rejection: Rejection::ResendTooEarly { until }, id } = again else {
        panic!("{again:?}")
    };
    assert_eq!((until.as_millis(), id), (START + 20_000, Some(first)));
    world.no_errand().await;

    world.pass(20).await;
    match world.create(world.request("+12025550100", &policy()), policy()).await {
        Answer::Resent(snapshot) => {
            assert_eq!(snapshot.verification.id(), first);
            assert_eq!(snapshot.verification.resends, 1);
        }
        other => panic!("{other:?}"),
    }
    let errand = world.errand().await;
    assert_eq!((errand.snapshot.verification.id(), errand.message.index()), (first, 1));

    // Another number, another profile and another app are something else.
    assert_ne!(world.created("+12025550101").await, first);
    let other = Policy { profile: "payment".to_owned(), ..policy() };
    let answer = world.create(world.request("+12025550100", &other), other).await;
    assert!(matches!(answer, Answer::Created(_)), "{answer:?}");
    let request = Request { app: AppName::new("bank"), ..world.request("+12025550100", &policy()) };
    let answer = world.create(request, policy()).await;
    assert!(matches!(answer, Answer::Created(_)), "{answer:?}");
}

pub async fn a_create_after_the_expiry_of_a_pending_one_is_new<B: Backend>() {
    let mut world = World::<B>::new();
    let first = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.1"), None)).await;
    world.pass(599).await;
    assert!(matches!(
        world.create(world.request("+12025550100", &policy()), policy()).await,
        Answer::Resent(snapshot) if snapshot.verification.id() == first
    ));
    world.pass(1).await;
    assert_ne!(world.created("+12025550100").await, first);
    assert_eq!(world.snapshot(first).await.verification.status(), Status::Ended(Ending::Expired));
}

pub(super) fn key(byte: u8, at: Timestamp) -> Idempotency {
    Idempotency { key: [byte; 16], fingerprint: [9; 16], at, answer: None }
}

pub async fn an_idempotency_key_gets_its_first_answer_for_a_day<B: Backend>() {
    let mut world = World::<B>::new();
    let order = |world: &World<B>, phone: &str| Order::Create {
        request: Arc::new(world.request(phone, &policy())),
        policy: Arc::new(policy()),
        idempotency: Some(key(1, world.time.now())),
    };
    // Twice in one turn, too.
    let orders = vec![order(&world, "+12025550100"), order(&world, "+12025550101")];
    let answers = world.store.execute(orders).await.unwrap();
    let [Answer::Created(first), Answer::Replayed(replayed)] = &answers[..] else { panic!("{answers:?}") };
    let answer = replayed.answer.unwrap();
    assert_eq!((answer.id, answer.occasion), (first.verification.id(), FirstOccasion::Created));
    assert_eq!(replayed.fingerprint, [9; 16]);
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;

    world.reopen().await;
    assert!(matches!(world.execute(order(&world, "+12025550101")).await, Answer::Replayed(_)));
    let then = world.store.read_at(answer.id, answer.version).await.unwrap().unwrap();
    assert_eq!(then.verification, first.verification, "the first answer can be given again");
    assert_eq!(world.store.idempotency([1; 16]).await.unwrap().unwrap().answer, Some(answer));

    world.pass(24 * 60 * 60 + 1).await;
    assert_eq!(world.store.idempotency([1; 16]).await.unwrap(), None);
    assert!(matches!(world.execute(order(&world, "+12025550101")).await, Answer::Created(_)));
}

pub async fn a_key_that_is_used_again_after_a_day_outlives_the_sweep_of_its_first_use<B: Backend>() {
    let world = World::<B>::new();
    let order = |world: &World<B>| Order::Create {
        request: Arc::new(world.request("+12025550100", &policy())),
        policy: Arc::new(policy()),
        idempotency: Some(key(1, world.time.now())),
    };
    world.execute(order(&world)).await;
    world.pass(24 * 60 * 60 + 1).await;
    world.execute(order(&world)).await;
    let nothing = Timestamp::from_millis(0);
    world
        .store
        .sweep_old(Retention { verifications: nothing, inbound: nothing, audit: nothing })
        .await
        .unwrap();
    assert!(matches!(world.execute(order(&world)).await, Answer::Replayed(_)));
    assert!(world.store.idempotency([1; 16]).await.unwrap().is_some());
}

pub async fn an_app_reaches_only_its_own<B: Backend>() {
    let world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let foreign = Some(AppName::new("bank"));
    for command in [Command::Cancel, Command::Check(Comparison::Match), Command::Next] {
        let answer = world.execute(Order::Command { id, app: foreign.clone(), command }).await;
        assert!(matches!(answer, Answer::Rejected { rejection: Rejection::Unknown, id: None }), "{answer:?}");
    }
    let own = &world.snapshot(id).await.verification;
    assert_eq!(world.store.version(id, &own.request.app).await.unwrap(), Some(own.version));
    assert_eq!(world.store.version(id, &AppName::new("bank")).await.unwrap(), None);
    let unknown = VerificationId::new(world.time.now(), id.bucket(), 1);
    assert_eq!(world.store.version(unknown, &own.request.app).await.unwrap(), None);
    let answer = world.command(unknown, Command::Cancel).await;
    assert!(matches!(answer, Answer::Rejected { rejection: Rejection::Unknown, id: None }), "{answer:?}");
    assert_eq!(world.store.read(unknown).await.unwrap().map(|_| ()), None);
    assert_eq!(world.store.timeline(unknown).await.unwrap(), []);
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Pending);
    assert!(
        world
            .listed(Filter { apps: foreign.map(|app| [app].into()), ..Filter::default() }, 5)
            .await
            .is_empty()
    );
}

pub async fn a_report_is_matched_by_the_providers_id_or_by_ours<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    let message = message_of(&errand);
    world.accepted(&errand, "wamid.1").await;
    assert_eq!(world.store.find(whatsapp(), "wamid.1".to_owned()).await.unwrap(), Some(message));
    assert_eq!(world.store.find(sms(), "wamid.1".to_owned()).await.unwrap(), None);

    let sent = said(ReportStatus::Sent, Some("wamid.1"), None);
    assert_eq!(world.report(whatsapp(), sent.clone()).await, Match::Applied);
    assert_eq!(world.report(whatsapp(), sent).await, Match::Stale);
    let wrong_channel = said(ReportStatus::Delivered, None, Some(message));
    assert_eq!(world.report(sms(), wrong_channel).await, Match::Unmatched);
    assert_eq!(world.progress(id).await, [Progress::Sent]);
    let by_ours = said(ReportStatus::Delivered, None, Some(message));
    assert_eq!(world.report(whatsapp(), by_ours).await, Match::Applied);
    let foreign = id.message(Ordinal::LAST);
    let of_nothing = said(ReportStatus::Read, None, Some(foreign));
    assert_eq!(world.report(whatsapp(), of_nothing).await, Match::Unmatched);
    let both = said(ReportStatus::Read, Some("wamid.1"), Some(foreign));
    assert_eq!(world.report(whatsapp(), both).await, Match::Applied, "the provider's id is enough");
    assert_eq!(world.progress(id).await, [Progress::Read]);
}

pub async fn a_report_that_comes_first_waits_for_the_send_to_be_recorded<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    for status in [ReportStatus::Delivered, ReportStatus::Sent, ReportStatus::Delivered] {
        assert_eq!(world.report(whatsapp(), said(status, Some("wamid.1"), None)).await, Match::Parked);
    }
    assert_eq!(world.report(sms(), said(ReportStatus::Read, Some("wamid.1"), None)).await, Match::Parked);
    assert_eq!(world.progress(id).await, [Progress::Sending]);
    world.accepted(&errand, "wamid.1").await;
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
    let facts = world.facts(id).await;
    let reports = count(&facts, |fact| matches!(fact, Fact::Reported { .. }));
    assert_eq!(reports, 2, "one that is doubled while it waits is kept once: {facts:?}");
}

pub async fn a_parked_report_outlives_a_restart<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let message = message_of(&world.errand().await);
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Read, Some("wamid.1"), None)).await,
        Match::Parked
    );
    world.reopen().await;
    // The answer to the send is lost; a report with both ids says which message that was.
    let sent = said(ReportStatus::Sent, Some("wamid.1"), Some(message));
    assert_eq!(world.report(whatsapp(), sent).await, Match::Applied);
    assert_eq!(world.progress(id).await, [Progress::Read]);
    world.reopen().await;
    assert_eq!(world.progress(id).await, [Progress::Read]);
}

pub async fn an_inbound_message_finds_what_it_answers_and_is_kept_once<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let now = world.time.now();
    let later = |seconds| now + Duration::from_secs(seconds);
    let by_reference = Inbound { in_reply_to: Some("wamid.1".to_owned()), ..inbound("in.1", later(1)) };
    let by_number = Inbound { number: Some(world.number("+12025550100")), ..inbound("in.2", later(2)) };
    let by_nothing = Inbound { number: Some(world.number("+12025550177")), ..inbound("in.3", later(3)) };
    let orders = [&by_reference, &by_number, &by_nothing, &by_reference];
    let orders = orders.map(|message| Order::Inbound(Arc::new(message.clone()))).to_vec();
    world.store.execute(orders.clone()).await.unwrap();
    world.reopen().await;
    world.store.execute(orders).await.unwrap();

    let facts = world.facts(id).await;
    let replies = |wanted| {
        count(&facts, |fact| matches!(fact, Fact::ReplyReceived { standing, .. } if *standing == wanted))
    };
    assert_eq!(replies(Standing::Applied), 2);
    assert_eq!(replies(Standing::Stale), 4, "a message that comes again is told as stale");
    let first = Some(Ordinal::FIRST);
    let to_first = |fact: &Fact| matches!(fact, Fact::ReplyReceived { message, .. } if *message == first);
    assert_eq!(count(&facts, to_first), 6, "who names no message answers the last one by that channel");
    let page = world.store.inbound(None, None, 2, None).await.unwrap();
    let refs: Vec<_> = page.items.iter().map(|message| message.provider_ref.as_str()).collect();
    assert_eq!(refs, ["in.3", "in.2"]);
    assert_eq!((page.items[0].verification, page.items[1].verification), (None, Some(id)));
    let rest = world.store.inbound(None, None, 2, page.next).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let whole = world.store.inbound(None, None, 3, None).await.unwrap();
    assert_eq!((whole.items.len(), whole.next), (3, None), "a page that holds all has none after it");
    let of_number = world.store.inbound(None, by_number.number, 5, None).await.unwrap();
    assert_eq!(of_number.items.len(), 1);
    let foreign = world.store.inbound(Some(AppName::new("bank")), None, 1, None).await.unwrap();
    assert_eq!(foreign.items[0].provider_ref, "in.3", "what answers nobody is for all");
    assert_eq!(foreign.next, None, "and the rest is not theirs");
}

pub async fn a_disowned_code_cancels<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let message = Inbound {
        in_reply_to: Some("wamid.1".to_owned()),
        intent: Intent::CodeDisowned,
        ..inbound("in.1", world.time.now())
    };
    assert!(matches!(world.execute(Order::Inbound(Arc::new(message))).await, Answer::Kept));
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Canceled));
    assert!(world.facts(id).await.contains(&Fact::CodeDisowned {
        message: Some(Ordinal::FIRST),
        standing: Standing::Applied,
        aim: Aim::This
    }));
    world.pass(60).await;
    world.no_errand().await;
}

pub async fn lists_are_filtered_and_paged_newest_first<B: Backend>() {
    let world = World::<B>::new();
    let mut ids = Vec::new();
    for n in 0..7_usize {
        world.pass(1).await;
        let phone = format!("+1202555010{n}");
        let app = AppName::new(if n % 2 == 0 { "shop" } else { "bank" });
        let client_ref = (n % 3 == 0).then(|| "order-17".to_owned());
        let request = Request { app, client_ref, ..world.request(&phone, &policy()) };
        ids.insert(0, request.id);
        world.create(request, policy()).await;
    }
    let app = |name: &str| Filter { apps: Some([AppName::new(name)].into()), ..Filter::default() };
    let some = |wanted: &[usize]| wanted.iter().map(|&n| ids[6 - n]).collect::<Vec<_>>();
    for limit in [1, 2, 3, 7, 50] {
        assert_eq!(world.listed(Filter::default(), limit).await, ids);
        assert_eq!(world.listed(app("shop"), limit).await, some(&[6, 4, 2, 0]));
        let of_ref = Filter { client_ref: Some("order-17".to_owned()), ..app("shop") };
        assert_eq!(world.listed(of_ref, limit).await, some(&[6, 0]));
        let of_number = Filter { number: Some(world.number("+12025550103")), ..Filter::default() };
        assert_eq!(world.listed(of_number.clone(), limit).await, some(&[3]));
        assert!(
            world
                .listed(Filter { apps: Some([AppName::new("shop")].into()), ..of_number }, limit)
                .await
                .is_empty()
        );
    }
    world.command(ids[0], Command::Cancel).await;
    world.command(ids[4], Command::Cancel).await;
    let canceled = Filter { status: Some(Status::Ended(Ending::Canceled)), ..Filter::default() };
    assert_eq!(world.listed(canceled, 1).await, [ids[0], ids[4]]);
    let pending = Filter { status: Some(Status::Pending), ..app("shop") };
    assert_eq!(world.listed(pending, 1).await, some(&[4, 0]));
}

pub async fn a_timeline_grows_and_an_old_version_can_be_read<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let before = world.store.timeline(id).await.unwrap();
    let versions: Vec<_> = (1..=before.len()).map(|n| u32::try_from(n).unwrap()).collect();
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.command(id, Command::Check(Comparison::Match)).await;
    let after = world.store.timeline(id).await.unwrap();
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.last().map(|event| &event.fact), Some(&Fact::CheckPassed));
    for version in versions {
        let then = world.store.read_at(id, version).await.unwrap().unwrap();
        assert_eq!(then.verification.version, version);
    }
    assert!(world.store.read_at(id, 0).await.unwrap().is_none());
    let now = world.store.read_at(id, u32::MAX).await.unwrap().unwrap();
    assert_eq!(now.verification, world.snapshot(id).await.verification);
}

pub async fn watchers_hear_of_versions<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let mut watcher = world.store.watch(id);
    let before = *watcher.borrow_and_update();
    assert_eq!(before, world.snapshot(id).await.verification.version);
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    assert!(watcher.has_changed().unwrap());
    assert_eq!(*watcher.borrow_and_update(), before + 1);
    world.command(id, Command::Cancel).await;
    assert_eq!(*watcher.borrow_and_update(), before + 2, "the end is heard of, too");
    let ended = &world.snapshot(id).await.verification;
    assert_eq!(world.store.version(id, &ended.request.app).await.unwrap(), Some(before + 2));
    let unknown = VerificationId::new(world.time.now(), id.bucket(), 1);
    assert_eq!(*world.store.watch(unknown).borrow(), 0);
}

pub async fn an_attempt_under_way_is_in_doubt_once_after_a_restart<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let lost = world.errand().await;
    for _ in 0..3 {
        world.reopen().await;
        world.settle().await;
        world.no_errand().await;
    }
    let facts = world.facts(id).await;
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendInDoubt { .. })), 1, "{facts:?}");
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendStarted { .. })), 1, "{facts:?}");
    // A report settles it, and then nothing is sent again.
    let delivered = said(ReportStatus::Delivered, Some("wamid.1"), Some(message_of(&lost)));
    assert_eq!(world.report(whatsapp(), delivered).await, Match::Applied);
    world.pass(120).await;
    world.no_errand().await;
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
}

pub async fn many_interrupted_attempts_are_noted_before_anything_new_starts<B: Backend>() {
    let mut world = World::<B>::new();
    let mut ids = Vec::new();
    for n in 0..150 {
        ids.push(world.created(&format!("+1202555{n:04}")).await);
    }
    world.store.close().await.unwrap();
    // While nothing runs, all their deadlines pass: each falls back as soon as the store is open again.
    world.time.advance(Duration::from_secs(31));
    world.reopen_closed();
    for _ in 0..10 {
        world.settle().await;
    }
    for id in ids {
        let facts = world.facts(id).await;
        let in_doubt: Vec<_> = facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::SendInDoubt { message, .. } => Some(*message),
                _ => None,
            })
            .collect();
        assert_eq!(in_doubt, [Ordinal::FIRST], "only what was interrupted is in doubt: {facts:?}");
        assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendStarted { .. })), 2, "{facts:?}");
    }
}

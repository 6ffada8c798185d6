//! Whose number it is, and which verification is meant by what a person writes back.

use super::*;
use crate::verification::values::{Alias, KnownAs};

const BANK: &str = "bank";

/// What the app gave, and what WhatsApp says instead.
const RENAMED: [(&str, &str); 10] = [
    ("+525512340123", "5215512340123"),
    ("+5511987654321", "551187654321"),
    ("+551133334444", "5511933334444"),
    ("+541123456789", "5491123456789"),
    // From before a change of the country's numbers: Ivory Coast 2021, Benin 2024, Vietnam 2018.
    ("+2250707123456", "22507123456"),
    ("+2290197123456", "22997123456"),
    ("+84397654321", "841697654321"),
    ("+4915228817386", "15228817386"),
    // No table knows it at all.
    ("+12025550100", "9990100"),
    ("+447700900123", "+999999999990123"),
];

impl<B: Backend> World<B> {
    fn number_as(&self, provider: &str) -> KnownAs {
        self.vault.known_as(&Alias::number(provider).unwrap())
    }

    fn user(&self, id: &str) -> KnownAs {
        self.vault.known_as(&Alias::user(id).unwrap())
    }

    async fn created_by(&self, app: &str, phone: &str) -> VerificationId {
        let tail = Some(self.vault.number_tail(&phone[phone.len() - 4..]));
        let request = Request { app: AppName::new(app), tail, ..self.request(phone, &policy()) };
        match self.create(request, policy()).await {
            Answer::Created(snapshot) => snapshot.verification.id(),
            other => panic!("{other:?}"),
        }
    }

    /// The provider takes the next send, and its answer calls the person so.
    async fn accepted_as(&mut self, provider_ref: &str, aliases: Vec<KnownAs>) {
        let errand = self.errand().await;
        let provider_ref = ProviderRef::parse(provider_ref).unwrap();
        let command = Command::SendReported {
            message: errand.message,
            attempt: errand.attempt,
            outcome: Outcome::Accepted { provider_ref: Some(provider_ref) },
            aliases,
            jitter: Jitter::thousandths(0),
        };
        self.execute(Order::Command { id: errand.snapshot.verification.id(), app: None, command }).await;
    }

    async fn writes(&self, message: Inbound) {
        self.execute(Order::Inbound(Arc::new(message))).await;
    }

    /// A message of nobody who is named, that quotes nothing.
    fn message(&self, provider_ref: &str, intent: Intent) -> Inbound {
        Inbound { intent, ..inbound(provider_ref, self.time.now()) }
    }

    fn by_number(&self, provider_ref: &str, number: &str, intent: Intent) -> Inbound {
        let KnownAs { index, tail } = self.number_as(number);
        Inbound { number: Some(index), tail, ..self.message(provider_ref, intent) }
    }

    async fn by_name(&self, name: NumberIndex) -> (Vec<VerificationId>, Vec<String>) {
        let filter = Filter { number: Some(name), ..Filter::default() };
        let messages = self.store.inbound(None, Some(name), 50, None).await.unwrap().items;
        let refs = messages.into_iter().map(|message| message.provider_ref).collect();
        (self.listed(filter, 1).await, refs)
    }

    async fn kept(&self, provider_ref: &str) -> Inbound {
        let kept = self.store.inbound(None, None, 100, None).await.unwrap().items;
        kept.into_iter().find(|message| message.provider_ref == provider_ref).expect("it was kept")
    }

    async fn disowned(&self, id: VerificationId) -> (Vec<Aim>, bool) {
        let facts = self.facts(id).await;
        let aims = facts.iter().filter_map(|fact| match fact {
            Fact::CodeDisowned { aim, .. } => Some(*aim),
            _ => None,
        });
        (aims.collect(), facts.contains(&Fact::Canceled))
    }

    async fn erased(&self, name: NumberIndex) -> usize {
        let mut erased = 0;
        loop {
            match self.execute(Order::Forget(name)).await {
                Answer::Forgotten(0) => return erased,
                Answer::Forgotten(some) => erased += some,
                other => panic!("{other:?}"),
            }
        }
    }
}

pub async fn a_person_is_found_by_every_name<B: Backend>() {
    for (n, (asked, told)) in RENAMED.into_iter().enumerate() {
        let mut world = World::<B>::new();
        let id = world.created_by("shop", asked).await;
        let (by_number, user) = (world.number_as(told), world.user("MX.1"));
        let status = |provider_ref, aliases| Report {
            aliases,
            ..said(ReportStatus::Sent, Some(provider_ref), Some(id.message(Ordinal::FIRST)))
        };
        match n % 3 {
            // By the answer to the send, …
            0 => world.accepted_as("wamid.1", vec![by_number]).await,
            // … by a status, …
            1 => {
                world.accepted_as("wamid.1", Vec::new()).await;
                world.report(whatsapp(), status("wamid.1", vec![by_number])).await;
            }
            // … and by one that came before the answer.
            _ => {
                let early = Report { reference: None, ..status("wamid.1", vec![by_number]) };
                assert_eq!(world.report(whatsapp(), early).await, Match::Parked);
                world.accepted_as("wamid.1", Vec::new()).await;
            }
        }
        let seen = Report { aliases: vec![user], ..said(ReportStatus::Delivered, Some("wamid.1"), None) };
        let by_user = Inbound { user: Some(user.index), ..world.message("in.2", Intent::Reply) };
        // The status and the message come in one turn.
        let orders = vec![
            Order::Report { channel: whatsapp(), report: seen },
            Order::Inbound(Arc::new(by_user)),
            Order::Inbound(Arc::new(world.by_number("in.1", told, Intent::Reply))),
        ];
        world.store.execute(orders).await.unwrap();
        assert_eq!(world.kept("in.1").await.verification, Some(id), "{told} is {asked}");
        assert_eq!(world.kept("in.2").await.verification, Some(id), "the user id is of {asked}");
        for round in ["at once", "after opening again"] {
            let names = [world.number(asked), by_number.index, user.index];
            for name in names {
                let found = world.by_name(name).await;
                assert_eq!(found, (vec![id], vec!["in.1".to_owned(), "in.2".to_owned()]), "{asked} {round}");
                let person = world.store.person(name).await.unwrap();
                let known: std::collections::BTreeSet<_> = person.names().collect();
                assert_eq!((known, person.key()), (names.into(), *names.iter().min().unwrap()));
            }
            world.reopen().await;
        }
        let forgotten = world.erased(by_number.index).await;
        assert_eq!(forgotten, 3, "{asked} is erased by the other name");
        for name in [world.number(asked), by_number.index, user.index] {
            assert_eq!(world.by_name(name).await, (Vec::new(), Vec::new()), "{asked}");
            assert_eq!(world.store.person(name).await.unwrap().names().count(), 1);
        }
    }
}

pub async fn a_create_for_another_name_sends_the_pending_code_again<B: Backend>() {
    let mut world = World::<B>::new();
    // The number is known by its other name since a verification that has ended.
    let ended = world.created_by("shop", "+541123456789").await;
    world.accepted_as("wamid.1", vec![world.number_as("5491123456789")]).await;
    world.command(ended, Command::Check(Comparison::Match)).await;
    let pending = world.created_by("shop", "+5491123456789").await;
    world.accepted_as("wamid.2", Vec::new()).await;
    for phone in ["+541123456789", "+5491123456789"] {
        let again = world.create(world.request(phone, &policy()), policy()).await;
        let Answer::Rejected { rejection: Rejection::ResendTooEarly { .. }, id } = again else {
            panic!("{again:?}")
        };
        assert_eq!(id, Some(pending));
    }
    world.pass(20).await;
    let again = world.create(world.request("+541123456789", &policy()), policy()).await;
    let Answer::Resent(snapshot) = again else { panic!("{again:?}") };
    assert_eq!(snapshot.verification.id(), pending);
    let others = world.created_by(BANK, "+541123456789").await;
    assert_ne!(others, pending, "another app has codes of its own");
}

/// Some stand-ins for Meta call everybody the same.
pub async fn a_name_that_a_provider_gives_to_two_people_makes_them_no_one_person<B: Backend>() {
    let mut world = World::<B>::new();
    let everybody = vec![world.number_as("16505551234"), world.user("US.1")];
    let mut ids = Vec::new();
    for phone in ["+12025550101", "+12025550102", "+12025550103"] {
        ids.push((world.created_by("shop", phone).await, phone));
        world.accepted_as(&format!("wamid.{phone}"), everybody.clone()).await;
    }
    for (id, phone) in ids {
        assert_eq!(world.by_name(world.number(phone)).await.0, [id]);
    }
    assert_eq!(world.by_name(everybody[0].index).await.0, []);
    assert_eq!(world.by_name(everybody[1].index).await.0, []);
    let whose = Inbound { user: Some(everybody[1].index), ..world.message("in.1", Intent::CodeDisowned) };
    world.writes(whose).await;
    assert_eq!(world.kept("in.1").await.verification, None);
}

pub async fn a_writer_who_is_named_twice_is_known_by_both_names<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created_by("shop", "+525512340123").await;
    world.accepted_as("wamid.1", vec![world.number_as("5215512340123")]).await;
    let user = world.user("MX.1").index;
    let both = Inbound { user: Some(user), ..world.by_number("in.1", "5215512340123", Intent::Reply) };
    let hidden = Inbound { user: Some(user), ..world.message("in.2", Intent::Reply) };
    for message in [both, hidden] {
        world.writes(message).await;
    }
    assert_eq!(world.kept("in.2").await.verification, Some(id));
    for name in [world.number("+525512340123"), user] {
        assert_eq!(world.by_name(name).await, (vec![id], vec!["in.2".to_owned(), "in.1".to_owned()]));
    }
}

pub async fn what_quotes_nothing_is_answered_only_where_one_app_alone_can_be_meant<B: Backend>() {
    // Which apps sent a code, how many hours before the reply; whose it is.
    for (apps, owner) in [
        (&[("shop", 0)][..], Some("shop")),
        (&[("shop", 2), ("shop", 0)], Some("shop")),
        (&[("shop", 0), (BANK, 0)], None),
        (&[(BANK, 0), ("shop", 0)], None),
        (&[("shop", 23), (BANK, 0)], None),
        (&[("shop", 25), (BANK, 0)], Some(BANK)),
        (&[("shop", 25)], None),
    ] {
        let mut world = World::<B>::new();
        let first = apps.iter().map(|(_, hours)| *hours).max().unwrap_or_default();
        let mut ids = Vec::new();
        let mut passed = 0;
        for (n, (app, before)) in apps.iter().enumerate() {
            world.pass((first - before - passed) * 3_600).await;
            passed = first - before;
            while world.errands.try_recv().is_ok() {}
            ids.push((*app, world.created_by(app, "+525512340123").await));
            world.accepted_as(&format!("wamid.{n}"), vec![world.number_as("5215512340123")]).await;
        }
        world.pass((first - passed) * 3_600).await;
        world.writes(world.by_number("in.1", "5215512340123", Intent::Reply)).await;
        let kept = world.kept("in.1").await;
        assert_eq!(kept.app, owner.map(AppName::new), "{apps:?}");
        let newest = ids.iter().rev().find(|(app, _)| owner == Some(*app)).map(|(_, id)| *id);
        assert_eq!(kept.verification, newest, "{apps:?}");
        for (_, id) in ids {
            let replied = count(&world.facts(id).await, |fact| matches!(fact, Fact::ReplyReceived { .. }));
            assert_eq!(replied, usize::from(Some(id) == newest), "{apps:?}");
        }
    }
}

/// However many codes another app asks for to be the only one that is looked at.
pub async fn no_app_crowds_another_one_out<B: Backend>() {
    let world = World::<B>::new();
    world.created_by("shop", "+12025550100").await;
    for _ in 0..80 {
        world.time.advance(Duration::from_secs(1));
        let id = world.created_by(BANK, "+12025550100").await;
        world.execute(Order::Command { id, app: None, command: Command::Cancel }).await;
    }
    world.writes(world.by_number("in.1", "12025550100", Intent::Reply)).await;
    assert_eq!(world.kept("in.1").await.app, None);
}

pub async fn a_disowned_code_is_canceled_only_where_it_is_certain_which<B: Backend>() {
    use Aim::{Perhaps, This};
    const HERS: &str = "5215512340123";
    let told_nothing = || (Vec::new(), false);
    let canceled = || (vec![This], true);
    let perhaps = || (vec![Perhaps], false);
    // Apps of the codes, who presses, what is quoted, and what becomes of the first and the second.
    for (apps, from, quoted, first, second) in [
        (&["shop", BANK][..], HERS, Some("wamid.0"), canceled(), told_nothing()),
        (&["shop", BANK], HERS, Some("wamid.unknown"), perhaps(), perhaps()),
        (&["shop", BANK], HERS, None, perhaps(), perhaps()),
        (&["shop"], HERS, Some("wamid.unknown"), canceled(), told_nothing()),
        (&["shop"], HERS, None, canceled(), told_nothing()),
        (&["shop"], "525512340123", None, canceled(), told_nothing()),
        (&["shop"], "12025550123", None, told_nothing(), told_nothing()),
        (&["shop"], "12025550123", Some("wamid.0"), told_nothing(), told_nothing()),
        (&["shop", BANK], "12025550123", Some("wamid.1"), told_nothing(), told_nothing()),
        (&["shop", BANK], "525512340123", Some("wamid.1"), told_nothing(), canceled()),
    ] {
        let case = format!("{apps:?} {from} {quoted:?}");
        let mut world = World::<B>::new();
        let mut ids = Vec::new();
        for (n, app) in apps.iter().enumerate() {
            ids.push(world.created_by(app, "+525512340123").await);
            world.accepted_as(&format!("wamid.{n}"), vec![world.number_as(HERS)]).await;
        }
        let in_reply_to = quoted.map(str::to_owned);
        let message = Inbound { in_reply_to, ..world.by_number("in.1", from, Intent::CodeDisowned) };
        world.writes(message.clone()).await;
        for round in ["at once", "when it comes again"] {
            for (id, expected) in ids.iter().zip([&first, &second]) {
                let (mut aims, is_canceled) = world.disowned(*id).await;
                aims.truncate(expected.0.len().max(1));
                assert_eq!(&(aims, is_canceled), expected, "{case} {round}");
            }
            world.writes(message.clone()).await;
        }
        world.reopen().await;
        assert_eq!(world.disowned(ids[0]).await.1, first.1, "{case}");
    }
}

/// The button of WhatsApp stands under no SMS, and a code that the same app sent twice is two codes.
pub async fn the_button_is_of_its_channel_and_of_one_code<B: Backend>() {
    let mut world = World::<B>::new();
    let by_whatsapp = world.created_by("shop", "+12025550100").await;
    world.accepted_as("wamid.1", Vec::new()).await;
    let payment = Policy { profile: "payment".to_owned(), ..policy() };
    let only_sms = Policy { steps: policy().steps.split_off(1), ..payment.clone() };
    let request = Request { app: AppName::new(BANK), ..world.request("+12025550100", &only_sms) };
    let by_sms = request.id;
    world.create(request, only_sms).await;
    world.accepted_as("sms.1", Vec::new()).await;
    world.writes(world.by_number("in.1", "12025550100", Intent::CodeDisowned)).await;
    assert_eq!(world.disowned(by_whatsapp).await, (vec![Aim::This], true));
    assert_eq!(world.disowned(by_sms).await, (vec![], false));

    let login = world.created_by("shop", "+12025550177").await;
    world.accepted_as("wamid.2", Vec::new()).await;
    let request = world.request("+12025550177", &payment);
    let pays = request.id;
    world.create(request, payment).await;
    world.accepted_as("wamid.3", Vec::new()).await;
    world.writes(world.by_number("in.2", "12025550177", Intent::CodeDisowned)).await;
    for id in [login, pays] {
        assert_eq!(world.disowned(id).await, (vec![Aim::Perhaps], false));
    }
    assert_eq!(world.kept("in.2").await.app, Some(AppName::new("shop")), "no other app sees it");
}

pub async fn messages_of_one_second_stay_in_the_order_in_which_they_came<B: Backend>() {
    let mut world = World::<B>::new();
    let second = world.time.now();
    let number = world.number("+12025550100");
    let mut expected = Vec::new();
    for n in 0..24_u32 {
        // Some in one turn, some in one millisecond, some after opening again.
        match n % 6 {
            2 => world.time.advance(Duration::from_millis(3)),
            4 => world.reopen().await,
            _ => {}
        }
        let message = |name: &str| {
            Order::Inbound(Arc::new(Inbound {
                at: second,
                received_at: world.time.now(),
                number: Some(number),
                ..inbound(name, second)
            }))
        };
        let names = [format!("in.{n}.a"), format!("in.{n}.b")];
        world.store.execute(names.iter().map(|name| message(name)).collect()).await.unwrap();
        expected.splice(0..0, names.into_iter().rev());
    }
    for from in [None, Some(number)] {
        for limit in [1, 7, 100] {
            let (mut listed, mut before) = (Vec::new(), None);
            loop {
                let page = world.store.inbound(None, from, limit, before).await.unwrap();
                listed.extend(page.items.into_iter().map(|message| message.provider_ref));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(listed, expected);
        }
        world.reopen().await;
    }
}

pub async fn a_message_that_comes_again_is_kept_once_whatever_its_time<B: Backend>() {
    let mut world = World::<B>::new();
    for n in 0..6 {
        world.pass(7).await;
        // Without a time of the provider's each has the time of its coming.
        let message = Order::Inbound(Arc::new(inbound("in.1", world.time.now())));
        world.store.execute(vec![message.clone(), message]).await.unwrap();
        if n == 3 {
            world.reopen().await;
        }
    }
    let other = Inbound { channel: sms(), ..inbound("in.1", world.time.now()) };
    world.writes(other).await;
    let kept = world.store.inbound(None, None, 10, None).await.unwrap().items;
    assert_eq!(kept.len(), 2, "the other channel's is another one");
    assert_eq!(kept[1].at, Timestamp::from_millis(START) + Duration::from_secs(7), "the first stays");
}

pub async fn messages_are_kept_from_their_arrival_on<B: Backend>() {
    let world = World::<B>::new();
    let start = world.time.now();
    let written = |name: &str, at| Inbound { at, received_at: world.time.now(), ..inbound(name, at) };
    world.writes(written("in.fast", start + Duration::from_secs(80_000))).await;
    world.pass(100).await;
    world.writes(written("in.slow", Timestamp::from_millis(START - 900_000_000))).await;
    world.writes(written("in.exact", world.time.now())).await;
    let sweep = |inbound| {
        let nothing = Timestamp::default();
        world.store.sweep_old(Retention { verifications: nothing, inbound, audit: nothing })
    };
    let left = async || {
        let kept = world.store.inbound(None, None, 10, None).await.unwrap().items;
        kept.into_iter().map(|message| message.provider_ref).collect::<Vec<_>>()
    };
    sweep(start).await.unwrap();
    assert_eq!(left().await, ["in.fast", "in.exact", "in.slow"]);
    sweep(start + Duration::from_secs(100)).await.unwrap();
    assert_eq!(left().await, ["in.exact", "in.slow"], "a fast clock keeps nothing longer");
    sweep(start + Duration::from_secs(101)).await.unwrap();
    assert!(left().await.is_empty(), "and a slow one nothing shorter");
}

pub async fn names_go_with_what_taught_them<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created_by("shop", "+525512340123").await;
    let alias = world.number_as("5215512340123");
    world.accepted_as("wamid.1", vec![alias, world.user("MX.1")]).await;
    world.command(id, Command::Cancel).await;
    let names = async || world.store.person(alias.index).await.unwrap().names().count();
    assert_eq!(names().await, 3);
    let nothing = Timestamp::default();
    world.time.advance(Duration::from_secs(3_600));
    let verifications = world.time.now();
    let swept = world.store.sweep_old(Retention { verifications, inbound: nothing, audit: nothing }).await;
    assert_eq!(swept.unwrap().removed, 1);
    assert_eq!(names().await, 1);
}

/// More than one turn forgets, under names that lead from one to the next; and it may be asked by any of them.
pub async fn a_person_of_many_records_is_erased_by_any_name<B: Backend>() {
    for asked in 0..3 {
        let mut world = World::<B>::new();
        let (one, other) = ("+525512340123", "+5215512340123");
        let (alias, user) = (world.number_as(other), world.user("MX.1"));
        let tail = alias.tail;
        for n in 0..50_u32 {
            world.pass(700).await;
            while world.errands.try_recv().is_ok() {}
            let id = world.created_by("shop", one).await;
            let aliases = match n {
                3 => vec![alias],
                40 => vec![user],
                _ => Vec::new(),
            };
            world.accepted_as(&format!("wamid.{n}"), aliases).await;
            world.command(id, Command::Cancel).await;
            let number = (n % 2 == 0).then_some(alias.index);
            let user = (n % 2 == 1 || n == 0).then_some(user.index);
            let message = Inbound { number, tail, user, ..world.message(&format!("in.{n}"), Intent::Reply) };
            world.writes(message).await;
        }
        let stranger = world.created_by("shop", "+12025550123").await;
        world.pass(700).await;
        let names = [world.number(one), alias.index, user.index];
        let mut erased = 0;
        loop {
            match world.execute(Order::Forget(names[asked])).await {
                Answer::Forgotten(0) => break,
                Answer::Forgotten(some) => erased += some,
                other => panic!("{other:?}"),
            }
            world.reopen().await;
        }
        assert_eq!(erased, 100, "asked by the name {asked}");
        for name in names {
            assert_eq!(world.by_name(name).await, (Vec::new(), Vec::new()));
        }
        assert_eq!(world.by_name(world.number("+12025550123")).await.0, [stranger]);
    }
}

//! How verifications are listed: by every filter, live or not, whole or in pages.

use std::collections::BTreeSet;

use super::*;
use crate::store::DeliveryState;
use crate::verification::values::NumberTail;

/// Verifications of every fate, an hour's worth; some are live, most have ended. The ids in order of time.
async fn of_every_fate<B: Backend>(world: &mut World<B>) -> Vec<VerificationId> {
    let mut ids = Vec::new();
    for n in 0..24_u16 {
        world.pass(60).await;
        let payment = Policy { profile: "payment".to_owned(), ..policy() };
        let policy = if n % 5 == 0 { payment } else { policy() };
        let phone = format!("+12025550{:03}", 100 + n);
        let request = Request {
            app: AppName::new(["shop", "bank", "club"][usize::from(n % 3)]),
            country: [Some("US"), Some("DE"), None][usize::from(n % 7 % 3)].map(str::to_owned),
            client_ref: (n % 4 == 0).then(|| "order-17".to_owned()),
            tail: (n % 6 != 0).then(|| world.vault.number_tail(&phone[phone.len() - 4..])),
            ..world.request(&phone, &policy)
        };
        ids.push(request.id);
        let id = request.id;
        world.create(request, policy).await;
        let errand = world.errand().await;
        let wamid = format!("wamid.{n}");
        match n % 8 {
            0 => world.accepted(&errand, &wamid).await,
            1 => {
                world.accepted(&errand, &wamid).await;
                world.report(whatsapp(), said(ReportStatus::Delivered, Some(&wamid), None)).await;
                world.command(id, Command::Check(Comparison::Match)).await;
                // Late, of one that is no longer live.
                world.report(whatsapp(), said(ReportStatus::Read, Some(&wamid), None)).await;
            }
            2 => {
                let error = error(ErrorClass::Recipient);
                world.outcome(&errand, Outcome::Refused { error, retry_after: None }).await;
                let errand = world.errand().await;
                world.accepted(&errand, &format!("sms.{n}")).await;
                world.report(sms(), said(ReportStatus::Delivered, Some(&format!("sms.{n}")), None)).await;
            }
            3 => {
                world.accepted(&errand, &wamid).await;
                world.command(id, Command::Next).await;
                let errand = world.errand().await;
                let error = DeliveryError { code: "http_403".to_owned(), ..error(ErrorClass::Fallback) };
                world.outcome(&errand, Outcome::Refused { error, retry_after: None }).await;
                world.command(id, Command::Cancel).await;
            }
            4 => {
                world.outcome(&errand, Outcome::InDoubt { error: error(ErrorClass::InDoubt) }).await;
                world.pass(30).await;
                let errand = world.errand().await;
                world.accepted(&errand, &format!("sms.{n}")).await;
            }
            5 => {
                world.accepted(&errand, &wamid).await;
                for _ in 0..3 {
                    world.command(id, Command::Check(Comparison::Differ)).await;
                }
            }
            6 => {
                world.accepted(&errand, &wamid).await;
                world.pass(30).await;
                let errand = world.errand().await;
                world.accepted(&errand, &format!("sms.{n}")).await;
            }
            _ => {}
        }
    }
    // Those that were never answered are in doubt, sent by SMS, and sent again.
    while world.errands.try_recv().is_ok() {}
    ids
}

/// What the filter asks for, said once more and without haste.
fn is_asked_for(filter: &Filter, snapshot: &Snapshot, events: &[Event]) -> bool {
    let (verification, request) = (&snapshot.verification, &snapshot.verification.request);
    let errors = events.iter().filter_map(|event| match &event.fact {
        Fact::SendRefused { error, .. } | Fact::SendInDoubt { error, .. } => Some(&error.code),
        Fact::Reported { status: ReportStatus::Failed(error), standing: Standing::Applied, .. } => {
            Some(&error.code)
        }
        _ => None,
    });
    let reasons = events.iter().filter_map(|event| match event.fact {
        Fact::FellBack { reason, .. } => Some(reason),
        _ => None,
    });
    let channels = events.iter().filter_map(|event| match &event.fact {
        Fact::MessageQueued { channel, .. } => Some(channel),
        _ => None,
    });
    let (mut errors, mut reasons, mut channels) = (errors, reasons, channels);
    filter.apps.as_ref().is_none_or(|apps| apps.iter().any(|app| *app == request.app))
        && filter.number.is_none_or(|number| number == request.number)
        && filter.tail.is_none_or(|tail| request.tail == Some(tail))
        && filter.client_ref.as_ref().is_none_or(|wanted| request.client_ref.as_ref() == Some(wanted))
        && filter.status.is_none_or(|status| status == verification.status())
        && filter.delivery.is_none_or(|delivery| delivery == snapshot.delivery().0)
        && filter.channel.as_ref().is_none_or(|wanted| channels.any(|channel| channel == wanted))
        && filter.fallback.is_none_or(|wanted| reasons.any(|reason| reason == wanted))
        && filter.error.as_ref().is_none_or(|wanted| errors.any(|code| code == wanted))
        && filter.country.as_ref().is_none_or(|country| request.country.as_ref() == Some(country))
        && filter.profile.as_ref().is_none_or(|profile| *profile == snapshot.policy.profile)
        && filter.since.is_none_or(|since| request.id.created_at() >= since)
        && filter.until.is_none_or(|until| request.id.created_at() < until)
}

fn filters<B: Backend>(world: &World<B>, ids: &[VerificationId]) -> Vec<Filter> {
    let all = Filter::default;
    let apps = |names: &[&str]| Some(names.iter().map(|name| AppName::new(name)).collect::<BTreeSet<_>>());
    let mut filters = vec![
        all(),
        Filter { apps: apps(&["shop"]), ..all() },
        Filter { apps: apps(&["bank", "club"]), ..all() },
        Filter { number: Some(world.number("+12025550110")), ..all() },
        Filter { tail: Some(world.vault.number_tail("0110")), ..all() },
        Filter { client_ref: Some("order-17".to_owned()), ..all() },
        Filter { client_ref: Some("order-17".to_owned()), apps: apps(&["bank"]), ..all() },
        Filter { channel: Some(whatsapp()), ..all() },
        Filter { channel: Some(sms()), ..all() },
        Filter { error: Some("131031".to_owned()), ..all() },
        Filter { error: Some("http_403".to_owned()), ..all() },
        Filter { country: Some("DE".to_owned()), ..all() },
        Filter { profile: Some("payment".to_owned()), ..all() },
        Filter { since: Some(ids[15].created_at()), ..all() },
        Filter { until: Some(ids[15].created_at()), ..all() },
        Filter { since: Some(ids[3].created_at()), until: Some(ids[20].created_at()), ..all() },
        Filter { client_ref: Some("order-17".to_owned()), since: Some(ids[8].created_at()), ..all() },
        Filter { channel: Some(sms()), status: Some(Status::Pending), apps: apps(&["shop"]), ..all() },
    ];
    filters.extend(Status::ALL.map(|status| Filter { status: Some(status), ..all() }));
    filters.extend(DeliveryState::ALL.map(|state| Filter { delivery: Some(state), ..all() }));
    filters.extend(FallbackReason::ALL.map(|reason| Filter { fallback: Some(reason), ..all() }));
    filters
}

pub async fn every_filter_finds_all_it_asks_for_and_nothing_else<B: Backend>() {
    let mut world = World::<B>::new();
    let ids = of_every_fate(&mut world).await;
    let mut found_by_some = 0;
    for round in ["while it ran", "after opening again"] {
        let mut known = Vec::new();
        for &id in ids.iter().rev() {
            known.push((world.snapshot(id).await, world.store.timeline(id).await.unwrap()));
        }
        for filter in filters(&world, &ids) {
            let expected: Vec<_> = known
                .iter()
                .filter(|(snapshot, events)| is_asked_for(&filter, snapshot, events))
                .map(|(snapshot, _)| snapshot.verification.id())
                .collect();
            for limit in [1, 3, 50] {
                assert_eq!(world.listed(filter.clone(), limit).await, expected, "{round}: {filter:?}");
            }
            found_by_some += usize::from(!expected.is_empty() && expected.len() < ids.len());
        }
        world.reopen().await;
        world.settle().await;
        while world.errands.try_recv().is_ok() {}
    }
    assert!(found_by_some > 40, "only {found_by_some} filters told some from others");
}

pub async fn what_no_app_or_no_time_admits_is_an_empty_list<B: Backend>() {
    let world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let at = id.created_at();
    let all = Filter::default;
    for filter in [
        Filter { apps: Some(BTreeSet::new()), ..all() },
        Filter { since: Some(at), until: Some(at), ..all() },
        Filter { since: Some(at + Duration::from_millis(1)), ..all() },
        Filter { since: Some(Timestamp::MAX), until: Some(Timestamp::from_millis(0)), ..all() },
        Filter { tail: Some(NumberTail(1)), ..all() },
    ] {
        assert_eq!(world.listed(filter.clone(), 5).await, [], "{filter:?}");
    }
    assert_eq!(world.listed(Filter { since: Some(at), ..all() }, 5).await, [id]);
}

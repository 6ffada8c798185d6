//! What the staff do: under the rules of apps, and written down with it.

use super::*;
use crate::store::audit::{CHAIN_START, chain_hash};
use crate::store::{Audit, AuditAction, AuditRecord};
use crate::verification::values::{Sealed, UserName};
use crate::verification::{OperatorAct, OperatorAction};

fn anna() -> UserName {
    UserName::parse("anna").unwrap()
}

impl<B: Backend> World<B> {
    async fn by_anna(&self, id: VerificationId, act: OperatorAct) -> Answer {
        let (number, now) = (NumberIndex([5; 16]), self.time.now());
        let reason = Some(self.vault.seal_reason(id, number, now, "she called").unwrap());
        let command = Command::ByOperator { by: anna(), reason, act };
        self.execute(Order::Command { id, app: None, command }).await
    }

    /// The whole log, newest first, read in pages of `limit`.
    async fn audited(&self, limit: usize) -> Vec<AuditRecord> {
        let (mut records, mut before) = (Vec::new(), None);
        loop {
            let page = self.store.audit(limit, before).await.unwrap();
            assert!(page.items.len() <= limit);
            records.extend(page.items);
            before = page.next;
            if before.is_none() {
                return records;
            }
        }
    }
}

fn signed_in(at: Timestamp) -> Audit {
    Audit {
        at,
        by: anna(),
        action: AuditAction::SignedIn,
        verification: None,
        reason: None,
        detail: Some("from \"here\"".to_owned()),
    }
}

pub async fn what_the_staff_do_stands_in_timeline_and_audit_log<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;

    let answer = world.by_anna(id, OperatorAct::Reveal).await;
    let Answer::Done { events, .. } = answer else { panic!("{answer:?}") };
    assert!(matches!(
        &events[..],
        [Event { fact: Fact::OperatorActed { action: OperatorAction::Reveal, .. }, .. }]
    ));
    let channel = Some(sms());
    let too_early = world.by_anna(id, OperatorAct::Resend { channel: channel.clone() }).await;
    assert!(
        matches!(too_early, Answer::Rejected { rejection: Rejection::ResendTooEarly { .. }, .. }),
        "{too_early:?}"
    );
    world.pass(20).await;
    assert!(matches!(world.by_anna(id, OperatorAct::Resend { channel }).await, Answer::Done { .. }));
    let errand = world.errand().await;
    assert_eq!(channel_of(&errand), "sms");
    world.accepted(&errand, "sms.1").await;
    let no_next = world.by_anna(id, OperatorAct::Next).await;
    assert!(matches!(no_next, Answer::Rejected { rejection: Rejection::NoNextStep, .. }), "{no_next:?}");
    assert!(matches!(world.by_anna(id, OperatorAct::Cancel).await, Answer::Done { .. }));
    assert!(matches!(world.by_anna(id, OperatorAct::Cancel).await, Answer::Done { .. }));
    world.execute(Order::Audit(signed_in(world.time.now()))).await;

    let facts = world.facts(id).await;
    let acted = |fact: &Fact| matches!(fact, Fact::OperatorActed { by, .. } if *by == anna());
    assert_eq!(count(&facts, acted), 3, "what was refused or already so leaves nothing");
    let resend = facts.iter().position(|fact| matches!(fact, Fact::ResendRequested { .. })).unwrap();
    assert!(acted(&facts[resend - 1]), "it stands before what follows from it");
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Canceled));

    let records = world.audited(50).await;
    let told: Vec<_> = records.iter().map(|record| (record.seq, record.entry.action)).collect();
    use AuditAction::{Canceled, Resent, Revealed, SignedIn};
    assert_eq!(told, [(4, SignedIn), (3, Canceled), (2, Resent), (1, Revealed)]);
    let resent = &records[2].entry;
    assert_eq!((resent.verification, resent.detail.as_deref()), (Some(id), Some("sms")));
    let reason = world.vault.open_reason(id, resent.reason.as_ref().unwrap());
    assert_eq!(reason.as_deref(), Ok("she called"));
    assert_eq!(records[0].entry, signed_in(world.time.now()));
    for limit in [1, 3, 4] {
        assert_eq!(world.audited(limit).await, records);
    }
}

pub async fn each_audit_record_seals_the_one_before_it_across_restarts<B: Backend>() {
    let mut world = World::<B>::new();
    for round in 0..3 {
        // Several of one turn, too.
        let orders = (0..3).map(|_| Order::Audit(signed_in(world.time.now()))).collect();
        world.store.execute(orders).await.unwrap();
        world.reopen().await;
        let mut previous = CHAIN_START;
        let mut records = world.audited(2).await;
        records.reverse();
        assert_eq!(records.len(), 3 * (round + 1));
        for (seq, record) in (1..).zip(&records) {
            let entry = serde_json::to_vec(&record.entry).unwrap();
            assert_eq!((record.seq, record.hash), (seq, chain_hash(previous, seq, &entry)));
            previous = record.hash;
        }
    }
}

pub async fn the_audit_log_outlives_every_sweep<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.by_anna(id, OperatorAct::Cancel).await;
    world.pass(3_600).await;
    let before =
        Retention { verifications: Timestamp::MAX, inbound: Timestamp::MAX, audit: Timestamp::default() };
    assert_eq!(world.store.sweep_old(before).await.unwrap().removed, 1);
    assert!(world.store.read(id).await.unwrap().is_none());
    let records = world.audited(5).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].entry.verification, Some(id));
}

pub async fn a_reason_too_long_for_a_record_is_refused_and_leaves_nothing<B: Backend>() {
    let world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let version = world.snapshot(id).await.verification.version;
    let reason = Some(Sealed(vec![7; 1_025].into()));
    let command = Command::ByOperator { by: anna(), reason, act: OperatorAct::Reveal };
    let refused = world.store.execute(vec![Order::Command { id, app: None, command }]).await;
    assert_eq!(refused.err(), Some(StoreError::TooLarge));
    let huge = Audit { detail: Some("x".repeat(20_000)), ..signed_in(world.time.now()) };
    assert_eq!(world.store.execute(vec![Order::Audit(huge)]).await.err(), Some(StoreError::TooLarge));
    assert_eq!(world.snapshot(id).await.verification.version, version);
    assert!(world.audited(5).await.is_empty());

    // As many at once as ever are written into one record.
    let reason = Some(Sealed(vec![7; 1_024].into()));
    let reveal = Command::ByOperator { by: anna(), reason, act: OperatorAct::Reveal };
    let orders = (0..20).map(|_| Order::Command { id, app: None, command: reveal.clone() }).collect();
    world.store.execute(orders).await.unwrap();
    assert_eq!(world.audited(50).await.len(), 20);
    assert_eq!(world.snapshot(id).await.verification.version, version + 20);
}

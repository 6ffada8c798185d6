//! Work on a store offline: rebuilt derived rows equal those that were kept, an interrupted rebuilding is
//! noticed, and whatever is done to the audit log behind its back is named.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::damage::{Sled, limits, tamper};
use super::keys::{self, Row};
use super::open::Folder;
use super::table::Table;
use super::{Chain, OpenError, Reindexed, Settings, index, open, record, reindex, verify_audit};
use crate::clock::Clock;
use crate::store::contract::{World, policy};
use crate::store::{
    Audit, AuditAction, AuditLink, Errand, Filter, Inbound, Intent, Order, Retention, StoreError,
};
use crate::vault::Vault;
use crate::verification::command::{Jitter, Request};
use crate::verification::values::{
    AppName, ChannelName, DeliveryError, ErrorClass, KnownAs, NumberIndex, Outcome, ProviderRef, Report,
    ReportStatus, Timestamp, UserName, VerificationId,
};
use crate::verification::{Command, Comparison, OperatorAct};

pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn key_id() -> [u8; 4] {
    Vault::new(&[7; 32]).key_id()
}

/// Gives every live verification rows for all its events, as work offline does first.
fn save(folder: &Path) {
    Folder::open_existing(&folder.join("data"), key_id()).unwrap().saved().unwrap();
}

/// All rows that follow from others, and all others but the counts of turns.
pub fn rows(folder: &Path) -> (Rows, Rows) {
    save(folder);
    let mut rows = (Rows::new(), Rows::new());
    tamper(folder, |db| {
        for row in db.iter() {
            let (key, value) = row.unwrap();
            let derived = index::DERIVED.iter().any(|&kind| kind as u8 == key[0]);
            if ![keys::TURN, keys::LOG_FROM].iter().any(|own| key == own) {
                let part = if derived { &mut rows.0 } else { &mut rows.1 };
                part.insert(key.to_vec(), value.to_vec());
            }
        }
    });
    rows
}

fn other_name(number: NumberIndex, which: u8) -> NumberIndex {
    let mut name = number;
    name.0[15] ^= which + 1;
    name
}

/// A life of many verifications, by chance.
pub struct Life {
    pub world: World<Sled>,
    rng: StdRng,
    /// By chance of its own, so that the rest goes as it would without names.
    naming: StdRng,
    pub ids: Vec<VerificationId>,
    open: Vec<Errand>,
    named: u32,
}

impl Life {
    pub fn new(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let naming = StdRng::seed_from_u64(!seed);
        Self { world: World::new(), rng, naming, ids: Vec::new(), open: Vec::new(), named: 0 }
    }

    pub async fn goes_on(&mut self) {
        let dice = self.rng.random_range(0..100);
        self.happens(dice).await;
    }

    /// The same, and the store stays open.
    pub async fn goes_on_open(&mut self) {
        let dice = self.rng.random_range(0..99);
        self.happens(dice).await;
    }

    async fn happens(&mut self, dice: u32) {
        match dice {
            0..25 => self.create().await,
            25..55 => self.outcome().await,
            55..75 => self.report().await,
            75..90 => self.command().await,
            90..95 => self.inbound().await,
            95..98 => self.world.time.advance(Duration::from_secs(self.rng.random_range(1..120))),
            98 => {
                let verifications = self.moment_ago(1_800);
                let before = Retention { verifications, inbound: verifications, audit: verifications };
                self.world.store.sweep_old(before).await.unwrap();
            }
            _ => self.world.reopen().await,
        }
        self.world.store.alerts(1, None).await.unwrap();
        while let Ok(errand) = self.world.errands.try_recv() {
            self.open.push(errand);
        }
    }

    async fn create(&mut self) {
        let phone = format!("+120255501{:02}", self.rng.random_range(0..40));
        let client_ref = self.rng.random_bool(0.5).then(|| format!("order-{}", self.rng.random_range(0..5)));
        let app = AppName::new(if self.rng.random_bool(0.5) { "shop" } else { "bank" });
        let request = Request { app, client_ref, ..self.world.request(&phone, &policy()) };
        self.ids.push(request.id);
        let (request, policy) = (Arc::new(request), Arc::new(policy()));
        self.world.execute(Order::Create { request, policy, idempotency: None }).await;
    }

    async fn outcome(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.open.len());
        let errand = self.open.swap_remove(at);
        let error = |class| DeliveryError { code: "131026".to_owned(), title: "No".to_owned(), class };
        let outcome = match self.rng.random_range(0..10) {
            0 => Outcome::InDoubt { error: error(ErrorClass::InDoubt) },
            1 => Outcome::Refused { error: error(ErrorClass::Retry), retry_after: None },
            2 => Outcome::Refused { error: error(ErrorClass::Recipient), retry_after: None },
            3 => Outcome::Held { provider_ref: self.name() },
            4 => Outcome::Accepted { provider_ref: None },
            _ => Outcome::Accepted { provider_ref: Some(self.name()) },
        };
        let (message, attempt, jitter) = (errand.message, errand.attempt, Jitter::thousandths(0));
        let request = &errand.snapshot.verification.request;
        let (id, aliases) = (request.id, self.aliases(request.number));
        let command = Command::SendReported { message, attempt, outcome, aliases, jitter };
        self.world.execute(Order::Command { id, app: None, command }).await;
    }

    /// By our id, by the provider's, by a name that is new, or one that is not heard of yet.
    async fn report(&mut self) {
        let Some(id) = self.one() else { return };
        let Some(snapshot) = self.world.store.read(id).await.unwrap() else { return };
        let messages = &snapshot.verification.messages;
        let message = &messages[self.rng.random_range(0..messages.len())];
        let failed =
            DeliveryError { code: "131049".to_owned(), title: "No".to_owned(), class: ErrorClass::Fallback };
        let status = match self.rng.random_range(0..5) {
            0 => ReportStatus::Sent,
            1 => ReportStatus::Delivered,
            2 => ReportStatus::Read,
            3 => ReportStatus::Unknown("WARNING".to_owned()),
            _ => ReportStatus::Failed(failed),
        };
        let (reference, provider_ref) = match self.rng.random_range(0..4) {
            0 => (Some(snapshot.verification.message_id(message.ordinal)), None),
            1 => (Some(snapshot.verification.message_id(message.ordinal)), Some(self.name())),
            2 => (None, Some(ProviderRef::parse(&format!("ref.{}", self.named + 2)).unwrap())),
            _ => (None, message.provider_ref.clone()),
        };
        let aliases = self.aliases(snapshot.verification.request.number);
        let report = Report { status, reported_at: None, provider_ref, reference, aliases };
        self.world.execute(Order::Report { channel: message.channel.clone(), report }).await;
    }

    async fn command(&mut self) {
        let Some(id) = self.one() else { return };
        let by_operator = |act| {
            let by = UserName::parse("anna").unwrap();
            Command::ByOperator { by, reason: None, act }
        };
        let command = match self.rng.random_range(0..8) {
            0 => Command::Check(Comparison::Match),
            1 | 2 => Command::Check(Comparison::Differ),
            3 => Command::Resend { channel: None },
            4 => Command::Next,
            5 => Command::Cancel,
            6 => by_operator(OperatorAct::Reveal),
            _ => by_operator(OperatorAct::Next),
        };
        self.world.execute(Order::Command { id, app: None, command }).await;
    }

    async fn inbound(&mut self) {
        let phone = format!("+120255501{:02}", self.rng.random_range(0..40));
        let number = self.world.request(&phone, &policy()).number;
        self.named += 1;
        let at = self.world.time.now();
        let message = Inbound {
            provider_ref: format!("in.{}", self.named),
            channel: ChannelName::new("whatsapp"),
            received_at: at,
            at,
            kind: "text".to_owned(),
            arrival: 0,
            number: self.rng.random_bool(0.8).then_some(number),
            tail: None,
            user: self.naming.random_bool(0.4).then_some(other_name(number, 1)),
            in_reply_to: None,
            intent: if self.rng.random_bool(0.2) { Intent::CodeDisowned } else { Intent::Reply },
            content: self.world.vault.seal(b"place", b"hello"),
            verification: None,
            app: None,
        };
        self.world.execute(Order::Inbound(Arc::new(message))).await;
    }

    /// What a provider may call the person with this number.
    fn aliases(&mut self, number: NumberIndex) -> Vec<KnownAs> {
        let known_as = |which| KnownAs { index: other_name(number, which), tail: None };
        (0..2).filter(|_| self.naming.random_bool(0.3)).map(known_as).collect()
    }

    fn name(&mut self) -> ProviderRef {
        self.named += 1;
        ProviderRef::parse(&format!("ref.{}", self.named)).unwrap()
    }

    fn one(&mut self) -> Option<VerificationId> {
        // Mostly a young one.
        let back = self.rng.random_range(0..self.ids.len().clamp(1, 30));
        self.ids.iter().rev().nth(back).copied()
    }

    fn moment_ago(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(self.world.time.now().as_millis() - seconds * 1_000)
    }
}

#[tokio::test]
async fn rebuilt_rows_equal_those_that_were_kept() {
    let mut seen = BTreeMap::<u8, usize>::new();
    for seed in 0..4 {
        let mut life = Life::new(seed);
        for _ in 0..700 {
            life.goes_on().await;
        }
        life.world.store.close().await.unwrap();
        let folder = life.world.folder.path();
        let (kept, others) = rows(folder);
        kept.keys().for_each(|key| *seen.entry(key[0]).or_default() += 1);
        let mut told = Vec::new();
        let done = reindex(&folder.join("data"), key_id(), &mut |progress| told.push(progress)).unwrap();
        let is_listed = |key: &&Vec<u8>| [Row::Facets as u8, Row::Live as u8].contains(&key[0]);
        let verifications = kept.keys().filter(is_listed).count();
        assert_eq!(done.verifications, verifications as u64, "each is live or settled");
        let (rebuilt, untouched) = rows(folder);
        let shown = |rows: &Rows| -> Vec<String> {
            rows.iter()
                .map(|(key, row)| format!("{} {}", record::hex(key), String::from_utf8_lossy(row)))
                .collect()
        };
        assert_eq!(shown(&rebuilt), shown(&kept), "seed {seed}");
        assert_eq!(untouched, others, "seed {seed}: events and all else stay as they are");
        assert!(told.len() >= 2, "{told:?}");

        let before = life.world.store.list(Filter::default(), 5, None).await;
        assert_eq!(before.err(), Some(StoreError::Closed));
        life.world.open_again();
        assert!(!life.world.store.list(Filter::default(), 5, None).await.unwrap().items.is_empty());
    }
    for kind in index::DERIVED {
        let rows = seen.get(&(kind as u8)).copied().unwrap_or(0);
        assert!(rows > 20, "{kind:?}: only {rows} rows were compared");
    }
}

#[tokio::test]
async fn a_store_without_these_rows_or_with_half_of_them_is_refused_until_they_are_made() {
    let mut life = Life::new(1);
    for _ in 0..200 {
        life.goes_on().await;
    }
    life.world.store.close().await.unwrap();
    let folder = life.world.folder.path().to_owned();
    let (whole, _) = rows(&folder);
    let try_open = || {
        let settings = Settings {
            path: folder.join("data"),
            rates: BTreeMap::new(),
            key_id: key_id(),
            limits: limits(),
        };
        open(settings, Clock::Manual(Arc::clone(&life.world.time))).map(|_| ())
    };
    // As an earlier version left it, as a version with another layout would, and as one that was cut short would.
    let of_another_layout = record::encode(&keys::INDEX, &(index::INDEX_VERSION + 1)).unwrap();
    let cut_short = |db: &::sled::Db| {
        for (key, _) in db.scan_prefix([Row::Number as u8]).map(Result::unwrap) {
            db.remove(key).unwrap();
        }
        db.insert(keys::facets(life.ids[0]), b"half").unwrap();
        db.remove(keys::INDEX).unwrap();
    };
    let changes: [&dyn Fn(&::sled::Db); 3] = [
        &|db| drop(db.remove(keys::INDEX).unwrap()),
        &|db| drop(db.insert(keys::INDEX, of_another_layout.clone()).unwrap()),
        &cut_short,
    ];
    for change in changes {
        tamper(&folder, change);
        let refused = try_open().expect_err("it must be read first");
        assert!(matches!(refused, OpenError::Unindexed { .. }), "{refused}");
        assert!(refused.to_string().contains("twotick reindex"), "{refused}");
        reindex(&folder.join("data"), key_id(), &mut |_| {}).unwrap();
        assert_eq!(rows(&folder).0, whole);
    }
    try_open().unwrap();
}

#[tokio::test]
async fn one_that_is_interrupted_anywhere_is_noticed_and_finished() {
    let mut life = Life::new(3);
    for _ in 0..600 {
        life.goes_on().await;
    }
    life.world.store.close().await.unwrap();
    let folder = life.world.folder.path().to_owned();
    let (whole, _) = rows(&folder);
    let path = folder.join("data");
    let mut interrupted = 0;
    loop {
        let mut calls = 0;
        let mut dies = |_| {
            assert!(calls < interrupted, "the process dies here");
            calls += 1;
        };
        if reindex(&path, key_id(), &mut dies).is_ok() {
            break;
        }
        interrupted += 1;
        let settings =
            Settings { path: path.clone(), rates: BTreeMap::new(), key_id: key_id(), limits: limits() };
        let refused = open(settings, Clock::Manual(Arc::clone(&life.world.time))).map(|_| ());
        assert!(
            matches!(refused, Err(OpenError::Unindexed { .. })),
            "after {interrupted} steps: {refused:?}"
        );
    }
    assert!(interrupted >= 5, "only {interrupted} steps");
    assert_eq!(rows(&folder).0, whole);
}

#[tokio::test]
async fn what_cannot_be_read_stops_the_making_and_where_nothing_is_nothing_is_made() {
    let mut life = Life::new(2);
    for _ in 0..50 {
        life.goes_on().await;
    }
    life.world.store.close().await.unwrap();
    let folder = life.world.folder.path();
    save(folder);
    let key = keys::events(life.ids[0], 1);
    tamper(folder, |db| {
        db.insert(&key[..], b"gone").unwrap();
    });
    let stopped = reindex(&folder.join("data"), key_id(), &mut |_| {}).unwrap_err();
    assert!(stopped.to_string().contains(&record::hex(&key)), "{stopped}");

    let nowhere = folder.join("elsewhere");
    let missing = reindex(&nowhere, key_id(), &mut |_| {}).unwrap_err();
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing}");
    assert!(matches!(verify_audit(&nowhere, key_id()), Err(OpenError::Missing { .. })));
    assert!(!nowhere.exists());
    let other = Vault::new(&[8; 32]).key_id();
    assert!(matches!(reindex(&folder.join("data"), other, &mut |_| {}), Err(OpenError::OtherKey { .. })));
}

#[tokio::test]
async fn a_store_in_use_is_left_alone() {
    let world = World::<Sled>::new();
    let path = world.folder.path().join("data");
    assert!(matches!(reindex(&path, key_id(), &mut |_| {}), Err(OpenError::InUse { .. })));
    assert!(matches!(verify_audit(&path, key_id()), Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn an_empty_store_is_rebuilt_too() {
    let world = World::<Sled>::new();
    world.store.close().await.unwrap();
    let path = world.folder.path().join("data");
    assert_eq!(reindex(&path, key_id(), &mut |_| {}).unwrap(), Reindexed::default());
    assert!(matches!(verify_audit(&path, key_id()), Ok(Chain::Whole { records: 0, .. })));
}

/// A closed store with ten records in its audit log.
async fn audited() -> World<Sled> {
    let world = World::<Sled>::new();
    for n in 0..10 {
        let entry = Audit {
            at: world.time.now(),
            by: UserName::parse("anna").unwrap(),
            action: AuditAction::SignedIn,
            verification: None,
            reason: None,
            detail: Some(format!("{n}")),
        };
        world.execute(Order::Audit(entry)).await;
    }
    world.store.close().await.unwrap();
    world
}

/// The text of a record, changed, under a checksum that is right again.
fn rewritten(db: &::sled::Db, seq: u64, change: impl FnOnce(&str) -> String) {
    let key = keys::audit(seq);
    let row = db.get(&key).unwrap().unwrap();
    let content: Box<serde_json::value::RawValue> = record::decode(&key, &row).unwrap();
    let content = serde_json::value::RawValue::from_string(change(content.get())).unwrap();
    db.insert(&key[..], record::encode(&key, &content).unwrap()).unwrap();
}

#[tokio::test]
async fn every_change_to_the_audit_log_is_named_by_its_first_broken_link() {
    type Change = Box<dyn FnOnce(&::sled::Db)>;
    let changes: [(&str, Option<u64>, Change); 9] = [
        ("nothing", None, Box::new(|_| {})),
        ("an entry", Some(4), Box::new(|db| rewritten(db, 4, |text| text.replace("anna", "ben")))),
        ("a checksum", Some(4), Box::new(|db| super::damage::flip(db, &keys::audit(4)))),
        ("one is gone", Some(4), Box::new(|db| drop(db.remove(keys::audit(4)).unwrap()))),
        ("the first is gone", Some(1), Box::new(|db| drop(db.remove(keys::audit(1)).unwrap()))),
        (
            "the end is cut off",
            Some(9),
            Box::new(|db| {
                for seq in [9, 10] {
                    db.remove(keys::audit(seq)).unwrap();
                }
            }),
        ),
        (
            "one is put in another's place",
            Some(5),
            Box::new(|db| {
                let row: serde_json::Value =
                    record::decode(&keys::audit(4), &db.get(keys::audit(4)).unwrap().unwrap()).unwrap();
                db.insert(keys::audit(5), record::encode(&keys::audit(5), &row).unwrap()).unwrap();
            }),
        ),
        (
            "one is added",
            Some(11),
            Box::new(|db| {
                let last = record::decode(&keys::AUDIT_HEAD, &db.get(keys::AUDIT_HEAD).unwrap().unwrap());
                let tenth = db.get(keys::audit(10)).unwrap().unwrap();
                let (_, tenth) = Table::audit_link(&keys::audit(10), &tenth).unwrap();
                let entry = tenth.record(10).unwrap().entry;
                let (_, link) = AuditLink::behind(last.unwrap(), &entry).unwrap();
                let row = record::encode(&keys::audit(11), &link).unwrap();
                db.insert(keys::audit(11), row).unwrap();
            }),
        ),
        (
            "all is gone",
            Some(1),
            Box::new(|db| {
                for seq in 1..=10 {
                    db.remove(keys::audit(seq)).unwrap();
                }
            }),
        ),
    ];
    for (what, broken, change) in changes {
        let world = audited().await;
        tamper(world.folder.path(), change);
        let found = verify_audit(&world.folder.path().join("data"), key_id()).unwrap();
        match (&found, broken) {
            (Chain::Whole { records: 10, .. }, None) => {}
            (Chain::Broken { seq, reason }, Some(first)) => {
                assert_eq!(*seq, first, "{what}: {reason}");
            }
            (Chain::Whole { .. } | Chain::Broken { .. }, _) => panic!("{what}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_goes_on_behind_a_damaged_audit_log_and_does_not_hide_it() {
    let mut world = audited().await;
    tamper(world.folder.path(), |db| super::damage::flip(db, &keys::audit(10)));
    world.open_again();
    let entry = Audit {
        at: world.time.now(),
        by: UserName::parse("anna").unwrap(),
        action: AuditAction::SignedOut,
        verification: None,
        reason: None,
        detail: None,
    };
    world.execute(Order::Audit(entry)).await;
    let newest = world.store.audit(1, None).await.unwrap();
    assert_eq!(newest.items[0].seq, 11);
    assert!(matches!(world.store.audit(5, None).await, Err(StoreError::Damaged { .. })));
    world.store.close().await.unwrap();
    let found = verify_audit(&world.folder.path().join("data"), key_id()).unwrap();
    assert!(matches!(found, Chain::Broken { seq: 10, .. }), "{found:?}");
}

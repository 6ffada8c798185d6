//! What the handle and the thread do together.

use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::phone::Phone;
use crate::store::Order;
use crate::vault::{Person, Vault, id_bits};
use crate::verification::command::Request;
use crate::verification::event::Fact;
use crate::verification::policy::{Content, OnDoubt, Policy, Step};

fn policy() -> Policy {
    let step = |channel: &str, deliver_within| Step {
        channel: ChannelName::new(channel),
        content: Content::Text { by_locale: BTreeMap::from([("en".to_owned(), "{code}".to_owned())]) },
        deliver_within,
        in_doubt_wait: Duration::from_secs(15),
        on_doubt: OnDoubt::ResendOnce,
    };
    Policy {
        profile: "login".to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: Duration::from_secs(600),
        max_checks: 5,
        resend_after_ms: vec![30_000],
        default_locale: "en".to_owned(),
        steps: vec![step("whatsapp", Some(Duration::from_secs(30))), step("sms", None)],
    }
}

fn create(vault: &Vault, now: Timestamp) -> (VerificationId, Order) {
    create_for("+12025550101", vault, now)
}

fn create_for(phone: &str, vault: &Vault, now: Timestamp) -> (VerificationId, Order) {
    let (policy, phone) = (policy(), Phone::parse(phone).unwrap());
    let number = vault.number_index(&phone);
    let id = VerificationId::new(now, number.bucket(), id_bits());
    let person = Person { to: phone.as_e164().to_owned(), metadata: BTreeMap::new() };
    let request = Arc::new(Request {
        id,
        app: AppName::new("shop"),
        policy: policy.hash(),
        number,
        tail: None,
        person: vault.seal_person(id, &person).unwrap(),
        country: None,
        locale: Some("en".to_owned()),
        client_ref: None,
        code: vault.new_code(id).unwrap(),
    });
    (id, Order::Create { request, policy: Arc::new(policy), idempotency: None })
}

fn settings(path: &std::path::Path, vault: &Vault) -> Settings {
    let (path, rates, limits) = (path.to_owned(), BTreeMap::new(), Limits::short_log());
    Settings { path, rates, key_id: vault.key_id(), limits }
}

#[tokio::test]
async fn a_fallback_whose_timer_was_lost_is_found_by_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(&[7; 32]);
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let settings = settings(folder.path(), &vault);
    let (store, mut errands) = open(settings, Clock::Manual(Arc::clone(&time))).unwrap();
    let (id, order) = create(&vault, time.now());
    store.execute(vec![order]).await.unwrap();
    assert_eq!(errands.recv().await.unwrap().snapshot.verification.id(), id, "WhatsApp goes out");

    store.lose_timers().await.unwrap();
    time.advance(Duration::from_secs(32));
    assert!(!has_fallen_back(&store, id).await, "without a timer nothing happens by itself");
    assert_eq!(store.sweep_missed().await.unwrap(), 1);
    assert!(has_fallen_back(&store, id).await);
    let errand = errands.recv().await.unwrap();
    assert_eq!(errand.snapshot.verification.messages[errand.message.index()].channel.as_str(), "sms");
    assert_eq!(store.sweep_missed().await.unwrap(), 0, "and it is found once");
}

#[tokio::test]
async fn a_visit_for_a_list_stops_and_says_where_although_it_found_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(&[7; 32]);
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let settings = settings(folder.path(), &vault);
    let (store, _errands) = open(settings, Clock::Manual(Arc::clone(&time))).unwrap();
    let mut ids = Vec::new();
    for _ in 0..6 {
        time.advance(Duration::from_secs(700));
        let (id, order) = create(&vault, time.now());
        store.execute(vec![order]).await.unwrap();
        ids.insert(0, id);
    }
    let nobodys = Filter { country: Some("XX".to_owned()), ..Filter::default() };
    for effort in 1..6 {
        let (filter, mut before, mut visits) = (nobodys.clone(), None, 0);
        loop {
            let filter = filter.clone();
            let page = store.look(move |reader| reader.list(&filter, 5, effort, before)).await.unwrap();
            assert!(page.items.is_empty());
            visits += 1;
            match page.next {
                Some(next) => assert_eq!(ids[visits * effort - 1], next, "it has looked at {effort}"),
                None => break,
            }
            before = page.next;
        }
        assert_eq!(visits, ids.len().div_ceil(effort));
    }
}

#[tokio::test]
async fn a_sled_with_a_long_log_is_opened_again_and_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(&[7; 32]);
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let settings = settings(folder.path(), &vault);
    let notes = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        files.filter(|name| name.to_string_lossy().starts_with("snap.")).collect::<Vec<_>>()
    };
    let (store, mut errands) = open(settings, Clock::Manual(Arc::clone(&time))).unwrap();
    let (mut ids, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for _ in 0..600 {
        time.advance(Duration::from_secs(700));
        let (id, order) = create(&vault, time.now());
        store.execute(vec![order]).await.unwrap();
        ids.push(id);
        seen.extend(notes());
    }
    assert!(seen.len() > 2, "sled noted where everything is {} times", seen.len());
    for &id in &ids {
        assert_eq!(store.read(id).await.unwrap().unwrap().verification.id(), id);
    }
    let mut handed_out = 0;
    while errands.try_recv().is_ok() {
        handed_out += 1;
    }
    assert!(handed_out >= ids.len(), "only {handed_out} were handed out");
}

#[tokio::test]
async fn checkpoints_keep_the_log_short_while_live_verifications_grow_in_number() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::new(&[7; 32]);
    let time = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
    let (store, _errands) = open(settings(folder.path(), &vault), Clock::Manual(Arc::clone(&time))).unwrap();
    let mut most = 0;
    for n in 0..800 {
        let (_, order) = create_for(&format!("+1202555{n:04}"), &vault, time.now());
        store.execute(vec![order]).await.unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        most = most.max(files.filter(|name| name.to_string_lossy().starts_with(log::PREFIX)).count());
    }
    assert!((4..=6).contains(&most), "{most} files");
    store.close().await.unwrap();
    let bytes = std::fs::metadata(folder.path().join("db")).unwrap().len();
    assert!(bytes > 400_000, "the oldest have rows: {bytes} bytes");
}

async fn has_fallen_back(store: &SledStore, id: VerificationId) -> bool {
    store.timeline(id).await.unwrap().iter().any(|event| matches!(event.fact, Fact::FellBack { .. }))
}

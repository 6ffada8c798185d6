//! The scheduled jobs on a real store, with Meta as an HTTP server.

#[path = "support/spy.rs"]
mod spy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use spy::Spy;
use twotick::changing::Changing;
use twotick::channel::webhook::Callback;
use twotick::channel::{self, Basis, Settings, Timeouts, meta};
use twotick::clock::{Clock, ManualClock, Stopwatch};
use twotick::retention::Retention;
use twotick::store::sled::{self, SledStore};
use twotick::store::{self, Alert, Order, Store};
use twotick::sweeps::{Keep, NeededTemplate, Sweeps, start};
use twotick::vault::{KeyFiles, Vault};
use twotick::verification::values::{Bucket, ChannelName, NumberIndex, Timestamp, VerificationId};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const DAY: Duration = Duration::from_secs(86_400);

struct House {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: SledStore,
    vault: Arc<Vault>,
    meta: MockServer,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(Timestamp::from_millis(1_795_000_000_000));
        let path = folder.path().join("data");
        let settings =
            sled::Settings { path, rates: BTreeMap::new(), key_id: [0; 4], limits: sled::Limits::default() };
        let (store, _errands) = sled::open(settings, Clock::Manual(Arc::clone(&clock))).unwrap();
        let vault = Arc::new(Vault::new(&[7; 32]));
        Self { _folder: folder, clock, store, vault, meta: MockServer::start().await }
    }

    fn sweeps(&self, languages: &[&str]) -> Sweeps {
        let name = ChannelName::new("whatsapp");
        let meta = Settings::Meta(meta::Settings {
            graph_url: self.meta.uri(),
            graph_version: "v25.0".to_owned(),
            phone_number_id: "1".to_owned(),
            business_account_id: "2".to_owned(),
            access_token: "token".into(),
            app_secrets: vec!["0123456789abcdef".into()],
            verify_token: "verify-me".into(),
        });
        let basis = Basis {
            callback: Callback::new("https://otp.example.com", &name),
            name: name.clone(),
            timeouts: Timeouts { connect: Duration::from_secs(2), whole: Duration::from_secs(5) },
        };
        let needed = |language: &&str| NeededTemplate {
            channel: name.clone(),
            name: "login_code".to_owned(),
            language: (*language).to_owned(),
        };
        Sweeps::new(
            Arc::new(self.store.clone()),
            Arc::clone(&self.vault),
            Arc::new(Changing::new(channel::all([(basis, meta)]).unwrap())),
            Clock::Manual(Arc::clone(&self.clock)),
            Keep {
                retention: Retention { personal: DAY, timelines: 3 * DAY, audit: 5 * DAY },
                alarm_bytes: u64::MAX,
            },
            languages.iter().map(needed).collect(),
            PrometheusBuilder::new().build_recorder().handle(),
        )
    }

    /// Sets the templates at Meta.
    async fn meta_has(&self, templates: serde_json::Value) {
        self.meta.reset().await;
        let route = Mock::given(method("GET"))
            .and(path("/v25.0/2/message_templates"))
            .and(query_param("name", "login_code"))
            .and(query_param("fields", "name,language,status"))
            .and(header("authorization", "Bearer token"));
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "data": templates }));
        route.respond_with(answer).mount(&self.meta).await;
    }

    async fn alerts(&self) -> Vec<(String, String)> {
        let alerts = self.store.alerts(100, None).await.unwrap().items;
        let told = |alert: Alert| (alert.code, alert.subject.unwrap_or_default());
        let mut told: Vec<_> = alerts.into_iter().map(told).collect();
        told.sort();
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unapproved_template_raises_one_alert_per_change() {
    let house = House::new().await;
    let sweeps = house.sweeps(&["en_US", "de", "fr"]);
    let template = |name: &str, language: &str, status: &str| json!({ "name": name, "language": language, "status": status });
    let paused = json!([
        template("login_code", "en_US", "APPROVED"),
        template("login_code", "de", "PAUSED"),
        template("login_code_old", "fr", "APPROVED"),
    ]);
    house.meta_has(paused.clone()).await;
    assert_eq!(sweeps.templates().await, Some(2));
    let first = [
        ("template_missing".to_owned(), "login_code/fr".to_owned()),
        ("template_not_approved".to_owned(), "login_code/de".to_owned()),
    ];
    assert_eq!(house.alerts().await, first);
    house.clock.advance(Duration::from_secs(3600));
    assert_eq!(sweeps.templates().await, Some(2));
    assert_eq!(house.alerts().await, first, "what is known is not said again");

    let all = ["en_US", "de", "fr"].map(|language| template("login_code", language, "APPROVED"));
    house.meta_has(json!(all)).await;
    assert_eq!(sweeps.templates().await, Some(0));
    house.clock.advance(Duration::from_secs(3600));
    house.meta_has(paused).await;
    assert_eq!(sweeps.templates().await, Some(2));
    assert_eq!(house.alerts().await.len(), 4, "what came back is said again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_meta_raises_no_alert() {
    let house = House::new().await;
    let sweeps = house.sweeps(&["en_US"]);
    for answer in [
        ResponseTemplate::new(500).set_body_string("<html>"),
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(401).set_body_json(json!({ "error": { "code": 190, "message": "token" } })),
        ResponseTemplate::new(200).set_body_string("x".repeat(1024 * 1024)),
    ] {
        house.meta.reset().await;
        Mock::given(method("GET")).respond_with(answer).mount(&house.meta).await;
        assert_eq!(sweeps.templates().await, None);
    }
    assert!(house.alerts().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_data_is_removed() {
    let house = House::new().await;
    let sweeps = house.sweeps(&[]);
    let alert = Alert {
        at: house.clock.now(),
        channel: ChannelName::new("whatsapp"),
        code: "131026".to_owned(),
        title: "undeliverable".to_owned(),
        subject: None,
        fingerprint: None,
        evidence: None,
    };
    house.store.execute(vec![Order::Alert(alert)]).await.unwrap();
    sweeps.retention().await.unwrap();
    assert_eq!(house.alerts().await.len(), 1);
    house.clock.advance(DAY + Duration::from_secs(1));
    sweeps.retention().await.unwrap();
    assert!(house.alerts().await.is_empty());
    assert_eq!(sweeps.missed_dues().await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_retention_is_a_metric() {
    let house = House::new().await;
    let metrics = twotick::app::metrics::recorder().unwrap();
    let behind = || {
        let text = metrics.render();
        let line = "twotick_retention_behind_seconds{kind=\"alerts\"} ";
        text.split_once(line).map(|(_, rest)| rest.lines().next().unwrap().parse::<f64>().unwrap())
    };
    let alert = |n: u32| {
        Order::Alert(Alert {
            at: house.clock.now() + Duration::from_secs(n.into()),
            channel: ChannelName::new("whatsapp"),
            code: n.to_string(),
            title: "undeliverable".to_owned(),
            subject: None,
            fingerprint: None,
            evidence: None,
        })
    };
    house.store.execute((0..500).map(alert).collect()).await.unwrap();
    house.clock.advance(DAY + Duration::from_secs(1_000));
    let day_ago = Timestamp::from_millis(house.clock.now().as_millis() - 86_400_000);
    let before = store::Retention { verifications: day_ago, inbound: day_ago, audit: day_ago };
    assert!(house.store.sweep_old(before).await.unwrap().more);
    let first = behind().unwrap();
    assert!((900.0..=1_000.0).contains(&first), "{first}");
    house.sweeps(&[]).retention().await.unwrap();
    assert_eq!(behind(), Some(0.0), "one run does all of it");
    assert!(house.alerts().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_dues_are_swept_every_second_until_the_sweeps_stop() {
    let house = House::new().await;
    let spy = Arc::new(Spy::counting(house.store.clone()));
    let mut sweeps = house.sweeps(&[]);
    sweeps.store = spy.clone();
    let running = start(Arc::new(sweeps)).await.unwrap();
    let waiting = Stopwatch::start();
    while spy.sweeps() < 2 {
        assert!(waiting.elapsed() < Duration::from_secs(15), "no sweep came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(waiting.elapsed() > Duration::from_millis(500), "two sweeps are a second apart");
    running.stop(Duration::from_secs(1)).await;
    let after = spy.sweeps();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(spy.sweeps(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_destroyed_on_time_unless_the_clock_jumped_far_ahead() {
    let house = House::new().await;
    let sweeps = house.sweeps(&[]);
    let id = VerificationId::new(house.clock.now(), Bucket::new(1), 7);
    let sealed = |at| house.vault.seal_reason(id, NumberIndex([1; 16]), at, "she called").unwrap();
    let reason = sealed(house.clock.now());
    house.vault.new_code(id).unwrap();
    assert_eq!(sweeps.keys().await.unwrap(), 0);
    house.clock.advance(Duration::from_secs(13 * 60));
    assert!(sweeps.keys().await.unwrap() > 0, "what codes of that minute came from");
    house.clock.advance(2 * DAY);
    assert_eq!(house.vault.open_reason(id, &reason).as_deref(), Ok("she called"));
    let young = sealed(house.clock.now());
    assert_eq!(sweeps.keys().await.unwrap(), 1, "a day after the end of its day");
    assert!(house.vault.open_reason(id, &reason).is_err() && house.vault.open_reason(id, &young).is_ok());

    // A server that starts with a clock that is years ahead applies no retention for a day.
    house.clock.advance(3650 * DAY);
    let sweeps = house.sweeps(&[]);
    house.clock.advance(Duration::from_secs(23 * 3_600));
    assert_eq!(sweeps.keys().await.unwrap(), 0);
    assert_eq!(sweeps.retention().await, Ok(0));
    assert!(house.vault.open_reason(id, &young).is_ok());
    house.clock.advance(Duration::from_secs(2 * 3_600));
    assert_eq!(sweeps.keys().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_codes_are_destroyed_on_time_when_idle() {
    let mut house = House::new().await;
    let keys = tempfile::tempdir().unwrap();
    house.vault = Arc::new(Vault::with_keys(&[7; 32], Arc::new(KeyFiles::in_folder(keys.path()))).unwrap());
    let sweeps = house.sweeps(&[]);
    let id = VerificationId::new(house.clock.now(), Bucket::new(1), 7);
    let sealed = |at| house.vault.seal_reason(id, NumberIndex([1; 16]), at, "she called").unwrap();
    let reason = sealed(house.clock.now());
    house.vault.new_code(id).unwrap();
    assert_eq!(sweeps.keys().await.unwrap(), 0);

    // The server is off for ten days. Retention waits, because the clock may be wrong.
    house.clock.advance(10 * DAY);
    let sweeps = house.sweeps(&[]);
    assert!(sweeps.keys().await.unwrap() > 0, "what codes came from ten days ago");
    assert_eq!(house.vault.forget_codes(house.clock.now()).unwrap(), 0);
    assert_eq!(house.vault.open_reason(id, &reason).as_deref(), Ok("she called"));

    // The server is up but idle for ten days: that is no absence, and retention does not wait after the next start.
    for _ in 0..10 {
        house.clock.advance(DAY);
        sweeps.keys().await.unwrap();
    }
    let sweeps = house.sweeps(&[]);
    let reason = sealed(Timestamp::from_millis(house.clock.now().as_millis() - 3 * 86_400_000));
    house.vault.new_code(VerificationId::new(house.clock.now(), Bucket::new(1), 8)).unwrap();
    assert_eq!(sweeps.keys().await.unwrap(), 1, "the key of three days ago");
    assert!(house.vault.open_reason(id, &reason).is_err());
    house.clock.advance(Duration::from_secs(12 * 60));
    assert!(sweeps.keys().await.unwrap() > 0, "what the code of twelve minutes ago came from");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_maintained_as_soon_as_the_sweeps_start() {
    let house = House::new().await;
    house.vault.new_code(VerificationId::new(house.clock.now(), Bucket::new(1), 7)).unwrap();
    house.clock.advance(Duration::from_secs(13 * 60));
    let running = start(Arc::new(house.sweeps(&[]))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.stop(Duration::from_secs(1)).await;
    assert_eq!(house.vault.forget_codes(house.clock.now()).unwrap(), 0, "it went with the start");
}

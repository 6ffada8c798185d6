//! Providers that are slow or silent, break off, send garbage or too much, redirect, ask for patience, or fail to
//! authenticate. A proxy before the real binary does all of this. Nobody gets a message twice, every doubt ends without
//! intervention, requested delays are kept, and a response of 100 MB costs no memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use twotick::clock::Stopwatch;

use crate::chaos::{Chaos, FAULTS, Greeting, Met, secure};
use crate::checker::{Acked, Answers, Asked, Created, Moment, Seen, Shown, violations};
use crate::privilege::alone;
use crate::proof::{figure, long_seconds, seed};
use crate::server::{ServerSetup, created, home, peak_memory, report};
use crate::world::{Chance, Home, Providers};

/// The duration of the creates in the short form, and their rate.
const SHORT: u64 = 5;
const CREATES_A_SECOND: u64 = 40;
/// The minimum of a profile.
const CODE_TTL: Duration = Duration::from_secs(30);
/// The additional memory for some twenty concurrent responses of 100 MB. Reading one completely would exceed it.
const MOST_MEMORY: u64 = 64;
/// The proxy records when the head of a 429 starts to leave, so a delay may seem shorter by the duration of that.
const SLACK: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread")]
async fn no_provider_makes_it_send_twice_or_leaves_a_doubt_behind() {
    let _alone = alone().await;
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    let chaos = Chaos::start(seed, providers.addr).await;
    let setup =
        ServerSetup { providers: chaos.addr, deliver_within: "4s", code_ttl: "30s", more: String::new() };
    let home = home(folder.path(), &setup);
    let server = home.start().await;
    let idle = peak_memory(&server);
    let answers = Arc::new(Mutex::new(Answers::default()));
    let telling = tokio::spawn(tell(home.clone(), providers.clone(), Arc::clone(&answers), Chance(seed)));

    let seconds = long_seconds().unwrap_or(SHORT);
    create(&home, &answers, seconds).await;
    tokio::time::sleep(CODE_TTL).await;
    until_all_ended(&home, &answers).await;
    telling.abort();
    let _ = telling.await;

    let shown = home.everything().await;
    let (requests, met) = (providers.requests(), chaos.met());
    let answers = answers.lock().unwrap().clone();
    let wrong = violations(&answers, &requests, &shown);
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    no_redirect_was_followed(&chaos);
    assert_eq!(sent_twice(&requests), BTreeSet::new(), "the same message arrived twice");
    let waits = waits_kept(&met);
    let doubts = Doubts::of(&shown);
    let peak = peak_memory(&server);
    let faults: Vec<_> =
        FAULTS.iter().map(|fault| met.iter().filter(|met| met.fault == *fault).count()).collect();
    figure(
        "providers",
        &[
            ("seed", seed.to_string()),
            ("verifications", shown.len().to_string()),
            ("requests", met.len().to_string()),
            ("disturbed", faults.iter().sum::<usize>().to_string()),
            ("arrived", requests.len().to_string()),
            ("sent_twice", "0".to_owned()),
            ("in_doubt", doubts.all.to_string()),
            ("settled_by_report", doubts.by_report.to_string()),
            ("settled_by_next_step", doubts.by_next_step.to_string()),
            ("settled_by_sending_once_more", doubts.by_resend.to_string()),
            ("settled_by_the_end", doubts.by_end.to_string()),
            ("retry_after_kept", waits.to_string()),
            ("retry_after_violated", "0".to_owned()),
            ("answers_of_100_mb", faults[7].to_string()),
            ("memory_idle_mib", idle.to_string()),
            ("memory_peak_mib", peak.to_string()),
            ("seconds", seconds.to_string()),
        ],
    );
    let told = doubts.by_report + doubts.by_next_step + doubts.by_resend + doubts.by_end;
    assert_eq!(told, doubts.all, "doubts that nothing settled");
    assert!(doubts.all > 20 && waits > 3, "there was too little trouble to tell anything");
    assert!(faults.iter().all(|&times| times > 0), "{FAULTS:?} came {faults:?} times");
    assert!(peak <= idle + MOST_MEMORY, "{peak} MiB at the peak, {idle} MiB before");
}

/// At a fixed rate, regardless of the others.
async fn create(home: &Home, answers: &Arc<Mutex<Answers>>, seconds: u64) {
    let mut creating = JoinSet::new();
    let mut every = tokio::time::interval(Duration::from_millis(1_000 / CREATES_A_SECOND));
    for n in 0..seconds * CREATES_A_SECOND {
        every.tick().await;
        let (home, answers) = (home.clone(), Arc::clone(answers));
        creating.spawn(async move {
            let (to, client_ref) = (format!("+491522{n:07}"), format!("ref-{n}"));
            let body = json!({ "to": to, "client_ref": client_ref });
            let asked = Asked { client_ref: client_ref.clone(), at: Moment::now() };
            answers.lock().unwrap().asked.push(asked);
            let created = created(&home, &body, &client_ref).await;
            let (id, version) =
                (created["id"].as_str().unwrap().to_owned(), created["version"].as_u64().unwrap());
            answers.lock().unwrap().created.push(Created { id, client_ref, to, version, at: Moment::now() });
        });
    }
    while let Some(created) = creating.join_next().await {
        created.unwrap();
    }
}

/// The providers' reports: many messages are reported delivered, some not at all.
async fn tell(home: Home, providers: Providers, answers: Arc<Mutex<Answers>>, mut chance: Chance) {
    let mut known = 0;
    let mut telling = JoinSet::new();
    loop {
        let requests = providers.requests();
        for seen in &requests[known..] {
            let statuses: &[&str] = match chance.below(10) {
                0..=3 => &["sent", "delivered"],
                4 => &["delivered", "sent", "delivered"],
                5 => &["sent", "failed"],
                6 => &["sent"],
                _ => &[],
            };
            let (home, answers, seen) = (home.clone(), Arc::clone(&answers), seen.clone());
            let pause = Duration::from_millis(chance.below(1_200));
            telling.spawn(async move {
                for status in statuses {
                    tokio::time::sleep(pause).await;
                    assert_eq!(report(&home, &seen, status).await, 200);
                    let acked = Acked {
                        reference: seen.reference.clone(),
                        status: (*status).to_owned(),
                        named_ours: true,
                        at: Moment::now(),
                    };
                    answers.lock().unwrap().acked.push(acked);
                }
            });
        }
        known = requests.len();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_all_ended(home: &Home, answers: &Arc<Mutex<Answers>>) {
    let created = answers.lock().unwrap().created.clone();
    let waiting = Stopwatch::start();
    for created in created {
        while home.get(&format!("/v1/verifications/{}", created.id)).await["status"] == "pending" {
            assert!(waiting.elapsed() < CODE_TTL, "{} is still pending", created.id);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn no_redirect_was_followed(chaos: &Chaos) {
    assert_eq!(chaos.trapped(), 0, "a redirect was followed");
}

/// Messages that reached a provider more than once. Our id identifies the message, not the attempt.
fn sent_twice(requests: &[Seen]) -> BTreeSet<&str> {
    let mut known = BTreeSet::new();
    requests.iter().map(|seen| &*seen.reference).filter(|reference| !known.insert(*reference)).collect()
}

/// The number of requested delays followed by a retry, none of which came too early.
fn waits_kept(met: &[Met]) -> usize {
    let mut kept = 0;
    for (place, first) in met.iter().enumerate() {
        let Some((asked, wait)) = first.retry_after else { continue };
        let again = met[place + 1..].iter().find(|later| later.reference == first.reference);
        let Some(again) = again else { continue };
        let waited = again.at.saturating_sub(asked);
        assert!(waited + SLACK >= wait, "{} was to wait {wait:?} and waited {waited:?}", first.reference);
        kept += 1;
    }
    kept
}

/// The resolution of each attempt with an unknown outcome.
#[derive(Default)]
struct Doubts {
    all: usize,
    /// By a provider's report.
    by_report: usize,
    /// By the next step, sent now or before.
    by_next_step: usize,
    /// By resending the last step.
    by_resend: usize,
    /// By expiry: a doubt left after the one resend, or after another delivery.
    by_end: usize,
}

impl Doubts {
    fn of(shown: &BTreeMap<String, Shown>) -> Self {
        let mut doubts = Self::default();
        for shown in shown.values() {
            for (place, event) in shown.events.iter().enumerate() {
                if event["type"] == "send_in_doubt" {
                    doubts.all += 1;
                    doubts.settle(shown, place, &event["message_id"]);
                }
            }
        }
        doubts
    }

    fn settle(&mut self, shown: &Shown, place: usize, message: &Value) {
        let of = |event: &&Value| event["message_id"] == *message;
        let reported = |event: &Value| event["type"].as_str().is_some_and(|kind| kind.starts_with("status_"));
        let fell_back = |event: &Value| event["type"] == "fell_back";
        let queued = shown.events[place..].iter().find(|event| event["type"] == "message_queued");
        if shown.events.iter().filter(of).any(reported) {
            self.by_report += 1;
        } else if !shown.events.iter().filter(of).any(fell_back) {
            let ended = shown.verification["status"] != "pending";
            self.by_end += usize::from(ended);
        } else if queued.is_some_and(|queued| queued["data"]["occasion"] == "doubt") {
            self.by_resend += 1;
        } else {
            self.by_next_step += 1;
        }
    }
}

/// The identity that a provider presents, and whether it is acceptable.
struct Identity {
    name: &'static str,
    greeting: Greeting,
    good: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_prove_who_it_is_gets_nothing() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    let authority = authority();
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let identities = identities(&authority);
    let mut more = String::new();
    let names: Vec<_> = identities.iter().map(|identity| (identity.name, identity.good)).collect();
    for Identity { name, greeting, .. } in identities {
        let addr = secure(greeting, providers.addr).await;
        more += &channel(name, &format!("https://{addr}/sms/send"));
    }
    let setup = ServerSetup { providers: providers.addr, deliver_within: "4s", code_ttl: "30s", more };
    let home = home(folder.path(), &setup);
    let mut server = home.spawn(&[], &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    home.ready(&mut server).await;

    let mut answers = Answers::default();
    for (n, (name, _)) in names.iter().enumerate() {
        let (to, client_ref) = (format!("+491522{n:07}"), format!("ref-{n}"));
        let body = json!({ "to": to, "client_ref": client_ref, "profile": name });
        let asked = Asked { client_ref: client_ref.clone(), at: Moment::now() };
        answers.asked.push(asked);
        let (status, created) = home.post("/v1/verifications", &body, None).await.unwrap();
        assert_eq!(status, 201, "{created}");
        let (id, version) =
            (created["id"].as_str().unwrap().to_owned(), created["version"].as_u64().unwrap());
        answers.created.push(Created { id, client_ref, to, version, at: Moment::now() });
    }
    let mut turned_away = 0;
    let mut refused_ids = BTreeSet::new();
    for ((name, good), created) in names.iter().zip(&answers.created) {
        let path = format!("/v1/verifications/{}", created.id);
        let accepted = if *good { "/messages/0/state" } else { "/messages/1/state" };
        let now = until(&home, &path, |now| now.pointer(accepted) == Some(&json!("accepted"))).await;
        let timeline = home.get(&format!("{path}/timeline")).await;
        let refused = timeline["events"].as_array().unwrap().iter();
        let refused = refused.filter(|event| event["type"] == "send_refused").collect::<Vec<_>>();
        assert_eq!(refused.is_empty(), *good, "{name}: {timeline}");
        let why = |event: &&Value| event["data"]["error"]["code"] == "connection_failed";
        assert!(refused.iter().all(why), "{name}: {timeline}");
        turned_away += refused.len();
        if !good {
            refused_ids.insert(now["messages"][0]["id"].as_str().unwrap().to_owned());
        }
    }
    let requests = providers.requests();
    let shown = home.everything().await;
    let wrong = violations(&answers, &requests, &shown);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let left = requests.iter().filter(|seen| refused_ids.contains(&seen.reference)).count();
    assert_eq!(left, 0, "something was sent to whoever could not prove who it is");
    figure(
        "bad_tls",
        &[
            ("kinds", (names.len() - 1).to_string()),
            ("attempts", turned_away.to_string()),
            ("requests_that_left", "0".to_owned()),
            ("fell_back", (names.len() - 1).to_string()),
            ("good_one_accepted", "1".to_owned()),
        ],
    );
}

async fn until(home: &Home, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let waiting = Stopwatch::start();
    loop {
        let now = home.get(path).await;
        if so(&now) {
            return now;
        }
        assert!(waiting.elapsed() < Duration::from_secs(10), "it never became so: {now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A channel of this name, and a profile of the same name that starts with it.
fn channel(name: &str, url: &str) -> String {
    format!(
        r#"
[channels.{name}]
kind = "http"
url = "{url}"
from = "Acme"
bearer = "test-carrier-token"
report_secret = "test-report-secret-0123"
connect_timeout = "500ms"
timeout = "1s"
[profiles.{name}]
brand = "Acme"
steps = [
  {{ channel = "{name}", text = "otp", deliver_within = "1500ms" }},
  {{ channel = "sms", text = "otp" }},
]
"#
    )
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identities(authority: &Authority) -> Vec<Identity> {
    let usual = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let until = |year| {
        let mut params = usual();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 1, 1));
        params
    };
    let mut early = usual();
    (early.not_before, early.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    let stranger = CertificateParams::new(vec!["graph.facebook.test".to_owned()]).unwrap();
    let shows = |params| Greeting::Certificate(certified(params, authority));
    let bad = |name, greeting| Identity { name, greeting, good: false };
    vec![
        Identity { name: "good", greeting: shows(usual()), good: true },
        bad("expired", shows(until(2024))),
        bad("early", shows(early)),
        bad("stranger", shows(stranger)),
        bad("unknown", Greeting::Certificate(certified(usual(), &self::authority()))),
        bad("silence", Greeting::Silence),
        bad("plain", Greeting::Plain),
        bad("hangup", Greeting::HangUp),
    ]
}

fn certified(params: CertificateParams, authority: &Authority) -> Arc<rustls::ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
}

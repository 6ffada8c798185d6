//! After two hours of downtime Meta redelivers everything at ten times the usual rate, while apps continue to create
//! and check. Each report is answered with 200, or with 503 and repeated; none is lost. The latency of the apps is
//! compared with quiet times.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use twotick::clock::Stopwatch;

use crate::checker::{Acked, Answers, Asked, CheckAnswer, Created, Moment, Seen, Try, Typed, violations};
use crate::privilege::alone;
use crate::proof::{figure, long_seconds, seed};
use crate::server::{ServerSetup, created, home, report};
use crate::world::{Chance, Home, Providers};

/// Verifications per second in quiet times, each with three reports.
const USUAL: u64 = 10;
const STATUSES: [&str; 3] = ["sent", "delivered", "read"];
const TIMES: u64 = 10;
/// The duration of the backlog in the short form. Two hours at a tenth of the rate are 720 s.
const SHORT: u64 = 6;
const QUIET: Duration = Duration::from_secs(3);
/// Meta's delay before a retry after 503.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const CREATING_AT_ONCE: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_at_ten_times_the_usual_rate_is_taken_in_stride() {
    let _alone = alone().await;
    let seed = seed();
    let seconds = long_seconds().unwrap_or(SHORT);
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    providers.answer_within(Duration::ZERO);
    let setup =
        ServerSetup { providers: providers.addr, deliver_within: "1s", code_ttl: "30s", more: String::new() };
    let home = home(folder.path(), &setup);
    let mut server = home.start().await;
    let house = House {
        home: home.clone(),
        providers: providers.clone(),
        answers: Arc::default(),
        numbers: Arc::default(),
    };

    house.create_many(seconds * USUAL * TIMES).await;
    house.until_all_sent().await;
    let queue = backlog(&providers.requests(), Chance(seed));
    server.signal("-TERM");
    assert!(server.ended_within(Duration::from_secs(10)).await.is_some_and(|status| status.success()));
    drop(server);
    let _server = home.start().await;

    let (quiet, _) = house.beside(async { tokio::time::sleep(QUIET).await }).await;
    let reports = queue.len();
    let running = Stopwatch::start();
    let (busy, told) = house.beside(house.deliver(queue)).await;
    let took = running.elapsed();

    // Later requests do not concern the checker.
    let requests = providers.requests();
    let shown = home.everything().await;
    let answers = house.answers.lock().unwrap().clone();
    let wrong = violations(&answers, &requests, &shown);
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert_eq!(answers.acked.len(), reports, "a report was not answered for");
    let ms = |waits: &Histogram<u64>, quantile: f64| {
        format!("{:.1}", waits.value_at_quantile(quantile) as f64 / 1e3)
    };
    figure(
        "backlog",
        &[
            ("seed", seed.to_string()),
            ("reports", reports.to_string()),
            ("a_second", format!("{:.0}", reports as f64 / took.as_secs_f64())),
            ("usual_a_second", (USUAL * STATUSES.len() as u64).to_string()),
            ("answered_503_and_repeated", told.repeated.to_string()),
            ("lost", "0".to_owned()),
            ("webhook_p50_ms", ms(&told.waits, 0.5)),
            ("webhook_p99_ms", ms(&told.waits, 0.99)),
            ("creates", busy.creates.len().to_string()),
            ("create_p50_ms", ms(&busy.creates, 0.5)),
            ("create_p99_ms", ms(&busy.creates, 0.99)),
            ("create_quiet_p50_ms", ms(&quiet.creates, 0.5)),
            ("create_quiet_p99_ms", ms(&quiet.creates, 0.99)),
            ("check_p99_ms", ms(&busy.checks, 0.99)),
            ("check_quiet_p99_ms", ms(&quiet.checks, 0.99)),
            ("seconds", took.as_secs().to_string()),
        ],
    );
    assert!(busy.creates.len() > 10 && busy.checks.len() > 10, "the apps did too little to tell anything");
}

/// All reports of Meta, in approximate order, one in ten of them twice.
fn backlog(requests: &[Seen], mut chance: Chance) -> Vec<(Seen, &'static str)> {
    let mut queue: Vec<_> = Vec::new();
    for (place, seen) in requests.iter().filter(|seen| seen.channel == "whatsapp").enumerate() {
        for status in STATUSES {
            let times = if chance.below(10) == 0 { 2 } else { 1 };
            // Shifted by up to a hundred messages.
            queue.extend((0..times).map(|_| (place as u64 + chance.below(100), seen.clone(), status)));
        }
    }
    queue.sort_by_key(|(place, ..)| *place);
    queue.into_iter().map(|(_, seen, status)| (seen, status)).collect()
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

/// In microseconds from the scheduled time of the request.
struct Apps {
    creates: Histogram<u64>,
    checks: Histogram<u64>,
}

struct Told {
    waits: Histogram<u64>,
    repeated: usize,
}

#[derive(Clone)]
struct House {
    home: Home,
    providers: Providers,
    answers: Arc<Mutex<Answers>>,
    numbers: Arc<AtomicUsize>,
}

impl House {
    async fn create(&self) -> Created {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (to, client_ref) = (format!("+491522{n:07}"), format!("ref-{n}"));
        let body = json!({ "to": to, "client_ref": client_ref });
        let asked = Asked { client_ref: client_ref.clone(), at: Moment::now() };
        self.answers.lock().unwrap().asked.push(asked);
        let created = created(&self.home, &body, &client_ref).await;
        let (id, version) =
            (created["id"].as_str().unwrap().to_owned(), created["version"].as_u64().unwrap());
        let created = Created { id, client_ref, to, version, at: Moment::now() };
        self.answers.lock().unwrap().created.push(created.clone());
        created
    }

    /// As fast as possible.
    async fn create_many(&self, number: u64) {
        let at_once = Arc::new(Semaphore::new(CREATING_AT_ONCE));
        let mut creating = JoinSet::new();
        for _ in 0..number {
            let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
            let house = self.clone();
            creating.spawn(async move {
                house.create().await;
                drop(place);
            });
        }
        while let Some(created) = creating.join_next().await {
            created.unwrap();
        }
    }

    async fn until_all_sent(&self) {
        let wanted = self.answers.lock().unwrap().created.len();
        let waiting = Stopwatch::start();
        let sent = || self.providers.requests().iter().filter(|seen| seen.channel == "whatsapp").count();
        while sent() < wanted {
            assert!(waiting.elapsed() < Duration::from_secs(120), "{} of {wanted} were sent", sent());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Apps that create and check at the usual rate beside `what`, and their latencies.
    async fn beside<T>(&self, what: impl Future<Output = T>) -> (Apps, T) {
        let go_on = Arc::new(AtomicBool::new(true));
        let apps = tokio::spawn(self.clone().live(Arc::clone(&go_on)));
        let came = what.await;
        go_on.store(false, Ordering::Relaxed);
        (apps.await.unwrap(), came)
    }

    async fn live(self, go_on: Arc<AtomicBool>) -> Apps {
        let apps = Arc::new(Mutex::new(Apps { creates: histogram(), checks: histogram() }));
        let interval = Duration::from_micros(1_000_000 / USUAL);
        let (running, mut asking, mut n) = (Stopwatch::start(), JoinSet::new(), 0);
        while go_on.load(Ordering::Relaxed) {
            let due = interval * n;
            tokio::time::sleep(due.saturating_sub(running.elapsed())).await;
            let (house, apps) = (self.clone(), Arc::clone(&apps));
            asking.spawn(async move {
                let created = house.create().await;
                let took = wait(running, due);
                apps.lock().unwrap().creates.saturating_record(took);
                let due = running.elapsed();
                house.check(&created).await;
                apps.lock().unwrap().checks.saturating_record(wait(running, due));
            });
            n += 1;
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
        }
        Arc::into_inner(apps).unwrap().into_inner().unwrap()
    }

    /// Checks a wrong code; only this task knows the verification.
    async fn check(&self, of: &Created) {
        let path = format!("/v1/verifications/{}/check", of.id);
        let asked_at = Moment::now();
        let (status, answer) = self.home.post(&path, &json!({ "code": "000000" }), None).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer = Some(CheckAnswer {
            result: answer["result"].as_str().unwrap().to_owned(),
            checks_left: answer["checks_left"].as_u64().unwrap(),
            at: Moment::now(),
        });
        let tried = Try { typed: Typed::Wrong, asked_at, answer };
        self.answers.lock().unwrap().tries.entry(of.id.clone()).or_default().push(tried);
    }

    /// At ten times the rate, regardless of earlier responses.
    async fn deliver(&self, queue: Vec<(Seen, &'static str)>) -> Told {
        let told = Arc::new(Mutex::new(Told { waits: histogram(), repeated: 0 }));
        let interval = Duration::from_micros(1_000_000 / (USUAL * TIMES * STATUSES.len() as u64));
        let (running, mut telling) = (Stopwatch::start(), JoinSet::new());
        for (n, (seen, status)) in queue.into_iter().enumerate() {
            let due = interval * u32::try_from(n).unwrap();
            tokio::time::sleep(due.saturating_sub(running.elapsed())).await;
            let (house, told) = (self.clone(), Arc::clone(&told));
            telling.spawn(async move { house.report(&seen, status, running, due, &told).await });
            while let Some(ended) = telling.try_join_next() {
                ended.unwrap();
            }
        }
        while let Some(ended) = telling.join_next().await {
            ended.unwrap();
        }
        Arc::into_inner(told).unwrap().into_inner().unwrap()
    }

    /// Repeats until it is accepted; the latency of each request counts.
    async fn report(&self, seen: &Seen, status: &str, running: Stopwatch, due: Duration, told: &Mutex<Told>) {
        let mut due = due;
        loop {
            let answered = report(&self.home, seen, status).await;
            told.lock().unwrap().waits.saturating_record(wait(running, due));
            match answered {
                200 => break,
                503 => told.lock().unwrap().repeated += 1,
                other => panic!("a report was answered with {other}"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
            due = running.elapsed();
        }
        let (reference, status) = (seen.reference.clone(), status.to_owned());
        self.answers.lock().unwrap().acked.push(Acked {
            reference,
            status,
            named_ours: true,
            at: Moment::now(),
        });
    }
}

fn wait(running: Stopwatch, due: Duration) -> u64 {
    u64::try_from(running.elapsed().saturating_sub(due).as_micros()).unwrap_or(u64::MAX)
}

//! Changes of the machine's clock while codes and deadlines are pending. No message is sent because of it, no deadline
//! moves, and no code lives longer than permitted.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::json;
use twotick::clock::Stopwatch;

use crate::checker::{Moment, Seen, violations};
use crate::load::Load;
use crate::privilege::{alone, can_run};
use crate::proof::{figure, long_seconds, seed};
use crate::world::{Home, Providers, Server, Times};

const DELIVER_WITHIN_MILLIS: i64 = 3_000;
const CODE_TTL_MILLIS: i64 = 30_000;
/// The possible slowdown of the server's time while it drifts towards a clock that was set back: 500 ppm.
const DRIFT_MILLIS: i64 = CODE_TTL_MILLIS / 2_000;
const TIMES: Times = Times { deliver_within: "3s", code_ttl: "30s" };
/// Clock changes in the syntax of `man faketime`.
const JUMPS: [&str; 3] = ["+1h", "-1h", "+10y"];
/// Numbers besides the load; WhatsApp never delivers to every second one.
const NUMBERS: usize = 40;
/// The interval between creates, so that deadlines lie before, at and after the jump.
const PACE: Duration = Duration::from_millis(100);
/// A generous limit for a machine under load; the measured value is published.
const LATE_MILLIS: i64 = 5_000;
/// The tolerance for an early deadline: 30 ms for the drift of the server's time within a minute, and for clock
/// readings in two processes.
const EARLY_MILLIS: i64 = 60;
/// The maximum time between an event and the response that shows it, on a machine under load.
const TOLD_WITHIN_MILLIS: i64 = 5_000;

struct Mine {
    id: String,
    to: String,
    created_at: Moment,
    /// According to the server's time.
    queued_at: Moment,
    delivered: bool,
}

/// The results of one jump.
struct Jumped {
    extra: usize,
    lateness: Vec<i64>,
    /// The greatest age at which a correct code was accepted, and the least at which it was refused.
    taken_at: i64,
    refused_at: i64,
}

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_sends_nothing_moves_no_deadline_and_prolongs_no_code() {
    let _alone = alone().await;
    if !can_run("jumps of the clock", &["faketime"]) {
        return;
    }
    let seed = seed();
    let library = library().expect("the package faketime brings its library");
    let began = Stopwatch::start();
    loop {
        let jumps = JUMPS.map(|jump| tokio::spawn(jumped(library.clone(), jump, seed)));
        for (jump, jumped) in JUMPS.iter().zip(jumps) {
            publish(jump, seed, jumped.await.unwrap());
        }
        if long_seconds().is_none_or(|seconds| began.elapsed() >= Duration::from_secs(seconds)) {
            return;
        }
    }
}

fn publish(jump: &str, seed: u64, mut jumped: Jumped) {
    jumped.lateness.sort_unstable();
    let at = |of: usize| jumped.lateness[(jumped.lateness.len() * of).div_ceil(100).max(1) - 1].to_string();
    figure(
        "clock",
        &[
            ("seed", seed.to_string()),
            ("jump", jump.to_owned()),
            ("deadlines", jumped.lateness.len().to_string()),
            ("extra_sms", jumped.extra.to_string()),
            ("lateness_p50_ms", at(50)),
            ("lateness_p99_ms", at(99)),
            ("lateness_max_ms", at(100)),
            ("code_limit_ms", CODE_TTL_MILLIS.to_string()),
            ("code_taken_at_ms", jumped.taken_at.to_string()),
            ("code_refused_at_ms", jumped.refused_at.to_string()),
        ],
    );
}

async fn jumped(library: PathBuf, jump: &'static str, seed: u64) -> Jumped {
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
    let setting = folder.path().join("clock");
    fs::write(&setting, "+0\n").unwrap();
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", setting.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut server = home.spawn(&[], &environment);
    home.ready(&mut server).await;
    let load = Load::of(1, &home, &providers, seed, &Arc::new(AtomicU64::new(0)));

    let mut mine = Vec::new();
    for n in 0..NUMBERS {
        mine.push(create(&home, &providers, n).await);
        if n == NUMBERS / 2 {
            // Written atomically: an empty file would cause a jump back.
            let beside = folder.path().join("clock.new");
            fs::write(&beside, format!("{jump}\n")).unwrap();
            fs::rename(beside, &setting).unwrap();
        }
        tokio::time::sleep(PACE).await;
    }
    // Waits until well after the last deadline.
    wait_until(mine.last().unwrap().created_at.plus_millis(DELIVER_WITHIN_MILLIS + 2_000)).await;
    let (taken_at, refused_at) = lives(&home, &providers, &mine).await;
    let (answers, requests) = (load.stop().await, providers.requests());
    let (extra, lateness) = sms(&mine, &requests);
    assert_eq!(extra, 0, "{jump}: SMS that nobody needed, of {}", lateness.len());
    let wrong = violations(&answers, &requests, &home.everything().await);
    assert!(wrong.is_empty(), "{jump}: {} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert_eq!(sees_the_jump(&server), 1, "{jump}: the server did not see its clock jump: {}", server.log());
    assert!(lateness.len() >= NUMBERS / 2, "{jump}: {} of the SMS came", lateness.len());
    let worst = lateness.iter().max().unwrap();
    assert!(*worst < LATE_MILLIS, "{jump}: an SMS came {worst} ms late");
    assert!(
        taken_at < CODE_TTL_MILLIS + DRIFT_MILLIS,
        "{jump}: a code was taken {taken_at} ms after it was made"
    );
    Jumped { extra, lateness, taken_at, refused_at }
}

fn sees_the_jump(server: &Server) -> usize {
    server.log().matches("the system clock was set while twotick is running").count()
}

async fn create(home: &Home, providers: &Providers, n: usize) -> Mine {
    let to = format!("+491511{n:07}");
    let (status, created) = home.post("/v1/verifications", &json!({ "to": to }), None).await.unwrap();
    assert_eq!(status, 201, "{created}");
    let created_at = Moment::now();
    let queued_at = created["messages"][0]["queued_at"].as_str().and_then(Moment::parse).unwrap();
    let off = created_at.millis_since(queued_at);
    assert!((-EARLY_MILLIS..TOLD_WITHIN_MILLIS).contains(&off), "the server's time is off by {off} ms");
    let delivered = n.is_multiple_of(2);
    if delivered {
        let seen = seen(providers, &to).await;
        let told = home.statuses(&[(&seen.provider_ref, "delivered", Some(&seen.reference))]).await;
        assert_eq!(told.unwrap().status(), 200);
    }
    // On a starved machine the report may arrive after the SMS was started; then the SMS is justified.
    let delivered = delivered && Moment::now() < queued_at.plus_millis(DELIVER_WITHIN_MILLIS);
    Mine { id: created["id"].as_str().unwrap().to_owned(), to, created_at, queued_at, delivered }
}

async fn seen(providers: &Providers, to: &str) -> Seen {
    loop {
        match providers.request_to(to) {
            Some(seen) => return seen,
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

async fn wait_until(moment: Moment) {
    let left = moment.millis_since(Moment::now()).max(0);
    tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
}

/// SMS that were needless, duplicate or early; and the lateness of the others.
fn sms(mine: &[Mine], requests: &[Seen]) -> (usize, Vec<i64>) {
    let (mut extra, mut lateness) = (0, Vec::new());
    for one in mine {
        let mut sms: Vec<_> = requests
            .iter()
            .filter(|seen| seen.channel == "sms" && seen.to == one.to)
            .map(|seen| seen.at)
            .collect();
        sms.sort_unstable();
        let late = |at: &Moment| at.millis_since(one.queued_at.plus_millis(DELIVER_WITHIN_MILLIS));
        let wanted = usize::from(!one.delivered);
        extra += sms.len().saturating_sub(wanted);
        if let Some(late) = sms.first().map(late).filter(|_| wanted == 1) {
            extra += usize::from(late < -EARLY_MILLIS);
            lateness.push(late);
        }
    }
    (extra, lateness)
}

/// Checks correct codes shortly before and after their expiry.
async fn lives(home: &Home, providers: &Providers, mine: &[Mine]) -> (i64, i64) {
    let (mut taken, mut refused) = (0, i64::MAX);
    for (n, one) in mine.iter().enumerate() {
        // The first half shortly before the expiry, the others right after it.
        let before = n < mine.len() / 2;
        let age = if before { CODE_TTL_MILLIS - 1_500 } else { CODE_TTL_MILLIS + DRIFT_MILLIS + 5 };
        wait_until(one.created_at.plus_millis(age)).await;
        let code = seen(providers, &one.to).await.code;
        let path = format!("/v1/verifications/{}/check", one.id);
        let asked_at = Moment::now();
        let (status, answer) = home.post(&path, &json!({ "code": code }), None).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        let age = asked_at.millis_since(one.created_at);
        match answer["result"].as_str() {
            Some("approved") => taken = taken.max(age),
            Some("expired") => refused = refused.min(age),
            other => panic!("{other:?}"),
        }
    }
    (taken, refused)
}

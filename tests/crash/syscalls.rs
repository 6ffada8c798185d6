//! The order of system calls: no answer before its `fdatasync`, and none after a failed one.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::privilege::{alone, can_run};
use crate::proof::{self, figure};
use crate::trace;
use crate::world::{Home, Providers, Times};

/// Some calls come before the server is ready, so the first failing one is later.
const FIRST_FAILURE: usize = 6;
/// More than it takes to meet a failure: strace counts the calls of each thread, and sled's threads share a few dozen.
const CREATES: usize = 950;
const TIMES: Times = Times { deliver_within: "50s", code_ttl: "60s" };

/// A client's request as seen in a trace; it waits for each response before the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Arrived,
    /// An `fdatasync` of the write-ahead log has ended.
    Synced,
    Answered,
}

fn steps(trace: &str) -> Vec<Step> {
    let mut unfinished = Vec::new();
    let step = |line: &str, unfinished: &mut Vec<String>| {
        let thread = line.split_whitespace().next().unwrap_or_default().to_owned();
        if line.contains("\"POST /v1/verifications") || line.contains("\"POST /webhooks/") {
            return Some(Step::Arrived);
        }
        if line.contains("\"HTTP/1.1 20") {
            return Some(Step::Answered);
        }
        if line.contains("fdatasync(") && line.contains("/wal.") {
            if line.contains("unfinished") {
                unfinished.push(thread);
                return None;
            }
            return line.contains("= 0").then_some(Step::Synced);
        }
        if line.contains("fdatasync resumed") && unfinished.contains(&thread) {
            unfinished.retain(|other| *other != thread);
            return line.contains("= 0").then_some(Step::Synced);
        }
        None
    };
    trace.lines().filter_map(|line| step(line, &mut unfinished)).collect()
}

/// The number of answers, or the index of the first that was not durable.
fn answered_after_their_sync(steps: &[Step]) -> Result<usize, usize> {
    let (mut waiting, mut synced, mut answered) = (false, false, 0);
    for step in steps {
        match step {
            Step::Arrived => (waiting, synced) = (true, false),
            Step::Synced => synced = true,
            Step::Answered if waiting && !synced => return Err(answered),
            Step::Answered => {
                answered += usize::from(waiting);
                waiting = false;
            }
        }
    }
    Ok(answered)
}

#[test]
fn an_answer_before_its_sync_would_be_seen() {
    let before = r#"
7 recvfrom(9<socket:[1]>, "POST /v1/verifications HTTP/1.1"..., 64, 0, NULL, NULL) = 60
8 fdatasync(5</tmp/x/data/wal.0> <unfinished ...>
7 sendto(9<socket:[1]>, "HTTP/1.1 201 Created"..., 64, 0, NULL, 0) = 60
8 <... fdatasync resumed>) = 0
"#;
    assert_eq!(answered_after_their_sync(&steps(before)), Err(0));
    let lines: Vec<_> = before.trim().lines().collect();
    let after = [lines[0], lines[1], lines[3], lines[2]].join("\n");
    assert_eq!(answered_after_their_sync(&steps(&after)), Ok(1));
    let failed = after.replace("= 0", "= -1 EIO (Input/output error)");
    assert_eq!(answered_after_their_sync(&steps(&failed)), Err(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_fdatasync() {
    let _alone = alone().await;
    if !can_run("the order of system calls", &["strace"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    // No outcome of a send may cause a sync in between: every number ends in 9, for the longest delay.
    providers.answer_within(Duration::from_secs(60));
    let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
    let file = folder.path().join("trace");
    let calls = "trace=fdatasync,sync_file_range,read,recvfrom,write,writev,sendto,sendmsg";
    let strace = ["strace", "-D", "-f", "-y", "-s", "48", "-e", calls, "-o", file.to_str().unwrap()];
    let mut server = home.spawn(&strace, &[]);
    home.ready(&mut server).await;
    let mut asked = 0;
    for n in 0..20 {
        let body = json!({ "to": format!("+491522000{n:03}9") });
        let (status, created) = home.post("/v1/verifications", &body, None).await.unwrap();
        assert_eq!(status, 201, "{created}");
        let id = created["id"].as_str().unwrap();
        let check = format!("/v1/verifications/{id}/check");
        assert_eq!(home.post(&check, &json!({ "code": "000000" }), None).await.unwrap().0, 200);
        let message = created["messages"][0]["id"].as_str().unwrap();
        let name = format!("wamid.{n}");
        let told = home.statuses(&[(&name, "delivered", Some(message))]).await.unwrap();
        assert_eq!(told.status(), 200);
        let unknown = home.statuses(&[(&format!("{name}.of-nobody"), "sent", None)]).await.unwrap();
        assert_eq!(unknown.status(), 200, "what is parked is durable, too");
        asked += 4;
    }
    let before = fs::read_to_string(&file).unwrap();
    let many: Vec<_> = (0..1_000).map(|n| format!("wamid.many.{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "sent", None)).collect();
    assert_eq!(home.statuses(&many).await.unwrap().status(), 200);
    asked += 1;
    server.kill();
    let trace = trace::whole(&file).await;
    let of_many = steps(&trace[before.len()..]).iter().filter(|step| **step == Step::Synced).count();
    // 16 turns, and a few more syncs whenever the log is shortened, which is every few turns here.
    assert!((1..=50).contains(&of_many), "1,000 statuses took {of_many} syncs");
    match answered_after_their_sync(&steps(&trace)) {
        Ok(answered) => assert_eq!(answered, asked, "every answer is seen in the trace"),
        Err(after) => panic!("after {after} that were durable one was answered before its fdatasync"),
    }
    println!("{asked} answers, each after its fdatasync; 1,000 statuses in one delivery took {of_many}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_the_server_without_another_answer() {
    let _alone = alone().await;
    if !can_run("a failed sync", &["strace"]) {
        return;
    }
    for call in ["fdatasync", "sync_file_range", "pwrite64"] {
        let failures = proof::count(1);
        let mut answered = 0;
        for failure in 0..failures {
            answered += fails_from(call, FIRST_FAILURE + failure % 3).await;
        }
        figure(
            "eio_under_load",
            &[
                ("call", call.to_owned()),
                ("failures", failures.to_string()),
                ("answered_before", answered.to_string()),
                ("answered_after", 0.to_string()),
                ("lost", 0.to_string()),
                ("exit", "1".to_owned()),
            ],
        );
    }
}

/// Makes all such calls fail from the n-th on. Returns the number of creates answered before.
async fn fails_from(call: &str, nth: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let providers = Providers::start().await;
    providers.answer_within(Duration::from_secs(60));
    let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
    // The first start creates the folder, the second one hits the fault.
    home.start().await.kill();
    let (traced, inject) = (format!("trace={call}"), format!("inject={call}:error=EIO:when={nth}+"));
    let file = folder.path().join("trace");
    let strace = ["strace", "-D", "-f", "-e", &traced, "-e", &inject, "-o", file.to_str().unwrap()];
    let mut server = home.spawn(&strace, &[]);
    home.ready(&mut server).await;
    let mut answered = Vec::new();
    for n in 0..CREATES {
        let body = json!({ "to": format!("+491522000{n:03}9") });
        match home.post("/v1/verifications", &body, None).await {
            Ok((201, created)) => answered.push(created["id"].as_str().unwrap().to_owned()),
            Ok((status, answer)) => panic!("{call} {nth}: answered with {status}: {answer}"),
            Err(_) => break,
        }
    }
    assert!((1..CREATES).contains(&answered.len()), "{call} {nth}: {} were answered", answered.len());
    let status = server.ended_within(Duration::from_secs(5)).await;
    let status = status.expect("a server that cannot sync ends");
    assert_eq!(status.code(), Some(1), "{call} {nth}");
    let log = server.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("the store failed") && last.contains("\"level\":\"ERROR\""), "{call} {nth}: {log}");
    assert_eq!(log.matches("the store failed").count(), 1, "{call} {nth}: {log}");
    assert!(!log.contains("panicked"), "{call} {nth}: {log}");

    let _server = home.start().await;
    for id in &answered {
        home.get(&format!("/v1/verifications/{id}")).await;
    }
    println!("the last line: {last}");
    answered.len()
}

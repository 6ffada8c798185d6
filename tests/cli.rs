//! The real binary: what it prints where, and how it ends.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{KEY, Server, config, free_address, run, sandbox, stderr, stdout, twotick};
use twotick::sandbox::Sandbox;

const DONE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);
const UNREACHABLE: Option<i32> = Some(3);
const UNKNOWN_ID: &str = "ver_01m8289whhenmbm21m17khh1w0";

/// A server with the sandbox, and a folder that outlives both.
struct House {
    server: Server,
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let sandbox = sandbox(address).await;
        let server = Server::start(&config(address, &sandbox.url(), folder.path()), folder.path());
        Self { server, sandbox, folder }
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        let url = self.server.url();
        run(&[args, &["--url", &url, "--key", KEY]].concat())
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&stdout(&output)).expect("JSON and nothing else on stdout")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_followed_and_checked_from_the_shell() {
    let house = House::new().await;
    let sent = house.run(&["send", "+12025550100", "--profile", "login", "--locale", "en", "--wait"]);
    assert_eq!(sent.status.code(), DONE, "{}", stderr(&sent));
    let line = stdout(&sent);
    assert!(line.lines().count() == 1 && line.contains("by whatsapp"), "{line}");
    let id = line.split_whitespace().next().unwrap().to_owned();

    let status = house.json(&["status", &id]);
    assert_eq!((&status["id"], &status["to"]), (&id.as_str().into(), &"+12025550100".into()));
    let status = house.run(&["status", &id]);
    assert!(stdout(&status).starts_with(&id) && stdout(&status).contains("\n  msg_"), "{}", stdout(&status));

    let code = house.sandbox.handset("+12025550100")[0].code.clone().expect("a code on the phone");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let checked = house.run(&["check", &id, wrong]);
    assert_eq!((checked.status.code(), stdout(&checked).as_str()), (FAILED, "wrong code, 4 tries left\n"));
    let checked = house.run(&["check", &id, &code]);
    assert_eq!((checked.status.code(), stdout(&checked).as_str()), (DONE, "approved\n"));
    assert_eq!(house.json(&["check", &id, &code])["result"], "already_approved");

    let timeline = house.run(&["timeline", &id]);
    let lines = stdout(&timeline);
    assert!(lines.starts_with("   +0.00 s app "), "{lines}");
    assert!(lines.contains("WhatsApp") && !lines.contains(&code) && !lines.contains('\x1b'), "{lines}");
    assert_eq!(house.json(&["timeline", &id])["verification_id"], id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_refuses_is_told_in_words_and_fails() {
    let house = House::new().await;
    let refused = house.run(&["send", "49152"]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (FAILED, ""));
    assert!(stderr(&refused).contains("/to"), "{}", stderr(&refused));
    let refused = house.run(&["send", "49152", "--json"]);
    assert_eq!(refused.status.code(), FAILED);
    let problem: Value = serde_json::from_str(&stdout(&refused)).unwrap();
    assert_eq!(problem["status"], 422);

    assert_eq!(house.run(&["status", UNKNOWN_ID]).status.code(), FAILED);
    assert_eq!(house.run(&["check", UNKNOWN_ID, "123456"]).status.code(), FAILED);
    let url = house.server.url();
    let stranger = run(&["status", UNKNOWN_ID, "--url", &url, "--key", "another-key-0123456789"]);
    assert_eq!(stranger.status.code(), FAILED);
    assert!(!stderr(&stranger).contains("another-key"), "{}", stderr(&stranger));
}

#[tokio::test(flavor = "multi_thread")]
async fn address_and_key_come_from_the_configuration_too() {
    let house = House::new().await;
    let config = house.folder.path().join("config.toml");
    let sent = run(&["--config", config.to_str().unwrap(), "send", "+12025550100"]);
    assert_eq!(sent.status.code(), DONE, "{}", stderr(&sent));
    let alive = run(&["--config", config.to_str().unwrap(), "healthcheck"]);
    assert_eq!((alive.status.code(), stdout(&alive).as_str()), (DONE, "alive\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_what_happens_until_it_is_interrupted() {
    let house = House::new().await;
    let url = house.server.url();
    let mut tail = twotick()
        .args(["tail", "--url", &url, "--key", KEY])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("following"));
    let id = house.json(&["send", "+12025550100"])["id"].as_str().unwrap().to_owned();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with(&id) && first.contains("+0.00 s app"), "{first}");
    assert!(lines.any(|line| line.unwrap().contains("WhatsApp")));
    assert!(Command::new("kill").args(["-INT", &tail.id().to_string()]).status().unwrap().success());
    assert_eq!(tail.wait().unwrap().code(), DONE);
}

/// The lines of several verifications are mixed, so each says whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn tail_says_in_json_whose_event_it_is() {
    let house = House::new().await;
    let url = house.server.url();
    let mut tail = twotick()
        .args(["tail", "--json", "--url", &url, "--key", KEY])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("following"));
    let id = house.json(&["send", "+12025550100"])["id"].clone();
    let first = BufReader::new(tail.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["verification_id"], first["type"].as_str()), (&id, Some("requested")));
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn a_server_that_does_not_answer_is_code_3() {
    let nobody = format!("http://{}", free_address());
    for command in [
        vec!["send", "+12025550100"],
        vec!["status", UNKNOWN_ID],
        vec!["check", UNKNOWN_ID, "123456"],
        vec!["timeline", UNKNOWN_ID],
        vec!["tail"],
        vec!["healthcheck"],
    ] {
        let output = run(&[&command[..], &["--url", &nobody, "--key", KEY]].concat());
        assert_eq!((output.status.code(), stdout(&output).as_str()), (UNREACHABLE, ""), "{command:?}");
        assert!(stderr(&output).contains("cannot be reached"), "{}", stderr(&output));
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for command in [
        vec!["sevre"],
        vec!["send"],
        vec!["serve", "--config", "/nowhere/config.toml"],
        vec!["status", UNKNOWN_ID, "--config", "/nowhere/config.toml"],
        vec!["status", UNKNOWN_ID, "--url", "not a url", "--key", KEY],
        vec!["demo", "--listen", "here"],
    ] {
        let output = run(&command);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (USAGE, ""), "{command:?}");
        assert!(!stderr(&output).is_empty());
    }
}

#[test]
fn codes_are_explained() {
    let known = run(&["explain", "131026"]);
    assert_eq!(known.status.code(), DONE);
    assert!(stdout(&known).starts_with("131026"), "{}", stdout(&known));
    let json: Value = serde_json::from_str(&stdout(&run(&["explain", "131026", "--json"]))).unwrap();
    assert_eq!(json["code"], "131026");
    let unknown = run(&["explain", "resend_to_early"]);
    assert_eq!((unknown.status.code(), stdout(&unknown).as_str()), (FAILED, ""));
    assert!(stderr(&unknown).contains("resend_too_early"), "{}", stderr(&unknown));
    // Every code that an attempt can end with here has its explanation.
    for code in [
        "expired_before_send",
        "record_damaged",
        "unknown_channel",
        "no_wording",
        "template_missing",
        "template_not_approved",
    ] {
        assert_eq!(run(&["explain", code]).status.code(), DONE, "{code}");
    }
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_written() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config(address, "http://127.0.0.1:9", folder.path())).unwrap();
    let output = run(&["--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), FAILED);
    let told = stderr(&output);
    assert!(told.contains("server.listen") && told.contains(&address.port().to_string()), "{told}");
    assert!(!folder.path().join("data").exists() && !folder.path().join("master.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_has_one_server() {
    let house = House::new().await;
    let second = config("127.0.0.1:0".parse().unwrap(), &house.sandbox.url(), house.folder.path());
    let path = house.folder.path().join("second.toml");
    std::fs::write(&path, second).unwrap();
    let output = run(&["--config", path.to_str().unwrap(), "serve"]);
    assert_eq!(output.status.code(), FAILED);
    assert!(stderr(&output).contains("another process"), "{}", stderr(&output));
}

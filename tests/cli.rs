//! The command line of the real binary: output and exit codes.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{KEY, Server, config, free_address, run, sandbox, stderr, stdout, twotick};
use twotick::sandbox::{self as sandbox_of, Options, Sandbox};

const DONE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);
const UNREACHABLE: Option<i32> = Some(3);
/// Upper bound for events, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
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
async fn a_refusal_by_the_api_is_explained_and_fails() {
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
async fn tail_prints_events_until_interrupted() {
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

/// Lines of several verifications are mixed, so each names its verification.
#[tokio::test(flavor = "multi_thread")]
async fn tails_json_names_the_verification() {
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

/// Parsed output of `tail --json`: verification and sequence number of each event.
struct Tail {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<(String, u64, String)>,
    told: std::sync::mpsc::Receiver<String>,
}

impl Tail {
    fn start(url: &str) -> Self {
        let mut child = twotick()
            .args(["tail", "--json", "--url", url, "--key", KEY])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, lines) = std::sync::mpsc::channel();
        let (word, told) = std::sync::mpsc::channel();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&text).expect("JSON and nothing else on stdout");
                let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let _ = line.send((field("verification_id"), event["seq"].as_u64().unwrap(), field("type")));
            }
        });
        std::thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = word.send(text);
            }
        });
        let tail = Self { child, lines, told };
        tail.tells("following");
        tail
    }

    fn tells(&self, wanted: &str) {
        while !self.told.recv_timeout(PATIENCE).expect("it is told in time").contains(wanted) {}
    }

    /// Reads until `count` events of this type were printed.
    fn read(&self, kind: &str, count: usize) -> Vec<(String, u64)> {
        let (mut seen, mut events) = (0, Vec::new());
        while seen < count {
            let (id, seq, found) = self.lines.recv_timeout(PATIENCE).expect("every event is printed");
            seen += usize::from(found == kind);
            events.push((id, seq));
        }
        events
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// More verifications than one page of the list, within half a second, while each of them progresses.
#[tokio::test(flavor = "multi_thread")]
async fn tail_prints_every_event_once() {
    const MANY: usize = 250;
    let house = House::new().await;
    let tail = Tail::start(&house.server.url());
    let client = support::http_client();
    let create = |number: usize| {
        let body = format!("{{\"to\": \"+1202{:05}00\"}}", 55_000 + number);
        let asked = client.post(format!("{}/v1/verifications", house.server.url())).bearer_auth(KEY);
        asked.header("content-type", "application/json").body(body).send()
    };
    let created = futures_util::future::join_all((0..MANY).map(create)).await;
    assert!(created.into_iter().all(|answer| answer.unwrap().status() == reqwest::StatusCode::CREATED));
    // `status_read` is the last event of each.
    let mut printed = tail.read("status_read", MANY);
    let mut expected = Vec::new();
    let mut ids: Vec<_> = printed.iter().map(|(id, _)| id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), MANY);
    for id in ids {
        let address = format!("{}/v1/verifications/{id}/timeline", house.server.url());
        let timeline = client.get(address).bearer_auth(KEY).send().await.unwrap().bytes().await.unwrap();
        let timeline: Value = serde_json::from_slice(&timeline).unwrap();
        let events = timeline["events"].as_array().unwrap();
        expected.extend(events.iter().map(|event| (id.clone(), event["seq"].as_u64().unwrap())));
    }
    printed.sort();
    expected.sort();
    assert_eq!(printed.len(), expected.len());
    assert!(printed == expected, "each event stands there once");
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_continues_after_a_restart() {
    let mut house = House::new().await;
    let tail = Tail::start(&house.server.url());
    house.json(&["send", "+12025550100"]);
    let before = tail.read("status_read", 1);
    let text = std::fs::read_to_string(house.folder.path().join("config.toml")).unwrap();
    house.server.signal("-TERM");
    house.server.ended();
    tail.tells("retrying");
    house.server = Server::start(&text, house.folder.path());
    tail.tells("the server is back");
    let id = house.json(&["send", "+12025560100"])["id"].as_str().unwrap().to_owned();
    let after = tail.read("status_read", 1);
    assert!(after.iter().all(|(other, _)| *other == id), "{after:?} repeats {before:?}");
}

#[test]
fn tail_ends_with_its_pipe() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(House::new());
    let url = house.server.url();
    let mut tail = twotick()
        .args(["tail", "--url", &url, "--key", KEY])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(tail.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().starts_with("following"));
    drop(tail.stdout.take());
    house.json(&["send", "+12025550100"]);
    assert_eq!(tail.wait().unwrap().code(), DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_without_delivery_fails() {
    let house = House::new().await;
    let sent = house.run(&["send", "+12025550109", "--wait"]);
    assert_eq!(sent.status.code(), FAILED, "{}", stderr(&sent));
    assert!(stdout(&sent).contains("undelivered"), "{}", stdout(&sent));
    let sent = house.run(&["send", "+12025560109", "--wait", "--json"]);
    assert_eq!(sent.status.code(), FAILED, "{}", stderr(&sent));
    let view: Value = serde_json::from_str(&stdout(&sent)).unwrap();
    assert_eq!(view["delivery"]["state"], "undelivered");
    // Sent, never delivered: nothing changes within the deadline of 30 s.
    let sent = house.run(&["send", "+12025550101", "--wait", "--timeout", "2"]);
    assert_eq!(sent.status.code(), FAILED, "{}", stderr(&sent));
    assert!(stderr(&sent).contains("stopped waiting after 2 s"), "{}", stderr(&sent));
    assert!(!stderr(&sent).contains("no webhook"), "a webhook said that it was sent: {}", stderr(&sent));
    assert_eq!(house.run(&["send", "+12025550100", "--timeout", "2"]).status.code(), USAGE);
}

/// The most common mistake: the secret of another app.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_app_secret_shows_in_every_tool() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let sandbox = sandbox_of::start(Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        webhook_url: format!("http://{address}/webhooks/whatsapp"),
        app_secret: "another-app-secret-0123".into(),
        report_url: format!("http://{address}/webhooks/sms"),
        report_secret: "another-report-secret-0123".into(),
        pace: Duration::from_millis(20),
        late_after: Duration::from_secs(60),
    })
    .await
    .unwrap();
    let text = config(address, &sandbox.url(), folder.path()).replace("\"30s\"", "\"1s\"");
    let server = Server::start(&text, folder.path());
    let sent =
        run(&["send", "+12025550100", "--wait", "--timeout", "4", "--url", &server.url(), "--key", KEY]);
    assert_eq!(sent.status.code(), FAILED, "{}", stderr(&sent));
    let told = stderr(&sent);
    for (what, times) in [
        ("whatsapp accepted the message, but no webhook came", 1),
        ("sms accepted the message, but no webhook came", 1),
        ("app_secrets", 2),
        ("/webhooks/whatsapp", 1),
        ("subscribed", 2),
    ] {
        assert_eq!(told.matches(what).count(), times, "{what}: {told}");
    }

    let alerts =
        support::http_client().get(format!("http://{}/alerts", server.admin_addr)).send().await.unwrap();
    let alerts: Value = serde_json::from_slice(&alerts.bytes().await.unwrap()).unwrap();
    let of = |channel: &str| {
        let alerts = alerts["data"].as_array().unwrap();
        let alert = alerts.iter().find(|alert| alert["channel"] == channel && alert["ongoing"] == true);
        alert.unwrap_or_else(|| panic!("no alarm of {channel}: {alerts:?}")).clone()
    };
    for channel in ["whatsapp", "sms"] {
        let alert = of(channel);
        assert_eq!(
            (&alert["code"], &alert["severe"]),
            (&"signatures_refused".into(), &true.into()),
            "{alert}"
        );
    }

    let config = folder.path().join("config.toml");
    let doctor = run(&["--config", config.to_str().unwrap(), "doctor", "--json"]);
    assert_eq!(doctor.status.code(), FAILED);
    let report: Value = serde_json::from_str(&stdout(&doctor)).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let alarm = findings.iter().find(|finding| finding["what"] == "alarm of channel whatsapp");
    let alarm = alarm.unwrap_or_else(|| panic!("{findings:?}"));
    assert_eq!(alarm["health"], "wrong");
    assert!(alarm["text"].as_str().unwrap().contains("wrong signature"), "{alarm}");
}

/// One command each, and only the environment that the sandbox prints. Free ports, because tests run in parallel.
#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_configuration_works() {
    let folder = tempfile::tempdir().unwrap();
    let written =
        twotick().args(["config", "init", "--sandbox"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(written.status.code(), DONE, "{}", stderr(&written));
    let checked = twotick().args(["config", "check"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(checked.status.code(), DONE, "{}", stderr(&checked));

    let address = free_address();
    let mut sandbox = twotick()
        .args(["sandbox", "--listen", "127.0.0.1:0"])
        .args(["--webhook-url", &format!("http://{address}/webhooks/whatsapp")])
        .args(["--report-url", &format!("http://{address}/webhooks/sms")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while printed.last().is_none_or(|line: &String| !line.contains("SMS_REPORT_SECRET")) {
        printed.push(lines.next().unwrap().unwrap());
    }
    assert!(printed.iter().all(|line| line.len() <= 100), "{printed:?}");
    let variables: Vec<(String, String)> = printed
        .iter()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect();
    let sandbox_url = printed[0].strip_prefix("Phones    ").unwrap().trim_end_matches('/').to_owned();
    let text = std::fs::read_to_string(folder.path().join("config.toml")).unwrap();
    let (listen, data, key) =
        (address.to_string(), folder.path().join("data"), folder.path().join("master.key"));
    let mut set: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    set.extend([
        ("TWOTICK__SERVER__LISTEN", listen.as_str()),
        ("TWOTICK__SERVER__ADMIN_LISTEN", "127.0.0.1:0"),
        ("TWOTICK__STORE__PATH", data.to_str().unwrap()),
        ("TWOTICK__KEYS__MASTER__FILE", key.to_str().unwrap()),
    ]);
    let server = Server::start_with(&text, folder.path(), &set);
    let config = folder.path().join("config.toml");
    let sent = twotick()
        .args([
            "--config",
            config.to_str().unwrap(),
            "send",
            "+12025550100",
            "--wait",
            "--url",
            &server.url(),
        ])
        .output()
        .unwrap();
    assert_eq!(sent.status.code(), DONE, "{}", stderr(&sent));
    let phone =
        support::http_client().get(format!("{sandbox_url}/handsets/+12025550100")).send().await.unwrap();
    let phone: Value = serde_json::from_slice(&phone.bytes().await.unwrap()).unwrap();
    assert_eq!(phone[0]["code"].as_str().map(str::len), Some(6), "the code is on the phone");
    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
}

/// The README's section "In your tests" in a shell. Free ports, because tests run in parallel.
#[test]
fn the_readmes_ten_lines_work() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, section) = readme.split_once("## In your tests").unwrap();
    let (_, script) = section.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    assert!(script.lines().count() <= 10, "{script}");
    let (server, phones) = (free_address(), free_address());
    let sandbox = format!(
        "twotick sandbox --listen {phones} --webhook-url http://{server}/webhooks/whatsapp \
         --report-url http://{server}/webhooks/sms &"
    );
    let script = script
        .replace("twotick sandbox &", &sandbox)
        .replace("127.0.0.1:8080", &server.to_string())
        .replace("127.0.0.1:8090", &phones.to_string());
    let folder = tempfile::tempdir().unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_twotick")).parent().unwrap();
    let script = format!("PATH=\"{}:$PATH\"\ntrap 'kill $(jobs -p)' EXIT\nset -e\n{script}", bin.display());
    let mut shell = Command::new("timeout");
    shell.args(["60", "bash", "-c", &script]).current_dir(folder.path());
    for (name, value) in [
        ("TWOTICK__SERVER__LISTEN", server.to_string()),
        ("TWOTICK__SERVER__ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("TWOTICK__CHANNELS__WHATSAPP__GRAPH_URL", format!("http://{phones}")),
        ("TWOTICK__CHANNELS__SMS__URL", format!("http://{phones}/sms/send")),
    ] {
        shell.env(name, value);
    }
    let output = shell.output().unwrap();
    assert_eq!(stdout(&output).lines().last(), Some("approved"), "{}{}", stdout(&output), stderr(&output));
}

#[test]
fn codes_completions_and_manual_are_printed() {
    let listed = run(&["explain"]);
    assert_eq!(listed.status.code(), DONE);
    assert!(stdout(&listed).lines().count() > 130 && stdout(&listed).contains("131026"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.status.code(), DONE, "{shell}");
        for command in ["twotick", "timeline", "doctor"] {
            assert!(stdout(&script).contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(run(&["completions", "tcsh-of-old"]).status.code(), USAGE);
    let page = run(&["man"]);
    assert_eq!(page.status.code(), DONE);
    assert!(stdout(&page).contains(".TH") && stdout(&page).contains("TWOTICK_LOG"), "{}", stdout(&page));
    let folder = tempfile::tempdir().unwrap();
    let pages = run(&["man", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(pages.status.code(), DONE, "{}", stderr(&pages));
    for name in ["twotick.1", "twotick-send.1", "twotick-config-init.1"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    assert_eq!(run(&["man", "--dir", "/nowhere/at/all"]).status.code(), FAILED);
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
    // Every code that can end an attempt has an explanation.
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
fn a_port_in_use_is_reported_before_anything_is_written() {
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

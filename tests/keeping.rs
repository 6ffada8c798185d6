//! Retention and access to stored data: the real binary on real files.

#[path = "support/proof.rs"]
mod proof;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use support::{KEY, Server, config, free_address, http_client, run, sandbox, stderr, stdout, twotick};
use twotick::clock::Clock;
use twotick::vault::{CannotOpen, KeyFiles, Vault};
use twotick::verification::Request;

const DONE: Option<i32> = Some(0);
const FAILED: Option<i32> = Some(1);
/// App secret of the stand-in for Meta, as `support` configures it.
const APP_SECRET: &str = "test-app-secret-0123";
const PHONE_NUMBER_ID: &str = "106540352242922";
const PASSWORD: &str = "a long password of a test";

fn offline(folder: &Path, command: &[&str]) -> Output {
    let path = folder.join("config.toml");
    run(&[&["--config", path.to_str().unwrap()], command].concat())
}

fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), DONE, "{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn send(server: &Server, number: &str) -> String {
    let output = run(&["send", number, "--url", &server.url(), "--key", KEY]);
    done(&output).split_whitespace().next().unwrap().to_owned()
}

fn status(server: &Server, id: &str) -> Value {
    let output = run(&["status", id, "--url", &server.url(), "--key", KEY, "--json"]);
    serde_json::from_str(&done(&output)).unwrap()
}

async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = found().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come within 30 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_restores_everything_and_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path());
    let mut server = Server::start(&text, folder.path());
    // One is delivered, the other waits 30 s for a delivery that never comes.
    let (delivered, waiting) = (send(&server, "+12025550100"), send(&server, "+12025550101"));
    until(async || (status(&server, &delivered)["delivery"]["state"] == "read").then_some(())).await;
    until(async || (status(&server, &waiting)["delivery"]["state"] == "sent").then_some(())).await;

    let backup = folder.path().join("twotick.backup");
    let told = done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    assert!(told.starts_with("backed up and verified; a backup of 20"), "{told}");
    let running = folder.path().join("running.ndjson");
    let told = offline(folder.path(), &["export", running.to_str().unwrap()]);
    assert_eq!(done(&told), "");
    assert!(stderr(&told).starts_with("exported; verifications: 2, "), "{}", stderr(&told));
    assert!(status(&server, &waiting)["status"] == "pending", "the server goes on");
    server.signal("-TERM");
    assert!(server.ended().0.success());
    let export = folder.path().join("export.ndjson");
    done(&offline(folder.path(), &["export", export.to_str().unwrap()]));
    let to_stdout = offline(folder.path(), &["export"]);
    assert_eq!(done(&to_stdout).lines().count(), fs::read_to_string(&export).unwrap().lines().count());
    for file in [&backup, &export, &running] {
        let whole = done(&run(&["verify", file.to_str().unwrap()]));
        assert!(whole.starts_with("whole; "), "{whole}");
    }
    assert!(done(&offline(folder.path(), &["verify"])).contains("verifications: 2"));
    let taken = offline(folder.path(), &["import", export.to_str().unwrap()]);
    assert_eq!(taken.status.code(), FAILED);
    assert!(stderr(&taken).contains("in use already"), "{}", stderr(&taken));
    phones.stop().await;

    for (command, file) in [("import", &export), ("restore", &backup), ("import", &running)] {
        let other = tempfile::tempdir().unwrap();
        let address = free_address();
        let phones = sandbox(address).await;
        let text = config(address, &phones.url(), other.path());
        fs::copy(folder.path().join("master.key"), other.path().join("master.key")).unwrap();
        fs::create_dir(other.path().join("data")).unwrap();
        copy_folder(&folder.path().join("data/keys"), &other.path().join("data/keys"));
        fs::write(other.path().join("config.toml"), &text).unwrap();
        for _ in 0..2 {
            let told = done(&offline(other.path(), &[command, file.to_str().unwrap()]));
            assert!(
                told.contains("verifications: 2") && told.contains("canceled: 2; nothing is sent"),
                "{told}"
            );
        }
        let server = Server::start(&text, other.path());
        let there = status(&server, &delivered);
        assert_eq!((&there["to"], &there["delivery"]["state"]), (&"+12025550100".into(), &"read".into()));
        assert_eq!(status(&server, &waiting)["status"], "canceled");
        // Longer than anything due at once takes.
        tokio::time::sleep(Duration::from_millis(700)).await;
        for number in ["+12025550100", "+12025550101"] {
            assert_eq!(phones.handset(number).len(), 0, "{command}: sent 0");
        }
        proof::figure(
            "keeping.restore_of_an_old_copy",
            &[("by", command.to_owned()), ("sent", "0".to_owned())],
        );
        phones.stop().await;
    }
    let stranger = tempfile::tempdir().unwrap();
    let text = config(address, "http://127.0.0.1:9", stranger.path());
    fs::write(stranger.path().join("config.toml"), &text).unwrap();
    // A copy, to keep the mode that a key must have.
    fs::copy(folder.path().join("master.key"), stranger.path().join("master.key")).unwrap();
    fs::write(stranger.path().join("master.key"), STANDARD.encode([7; 32])).unwrap();
    for (command, file) in [("import", &export), ("restore", &backup)] {
        let refused = offline(stranger.path(), &[command, file.to_str().unwrap(), "--accept-lost-keys"]);
        assert_eq!(refused.status.code(), FAILED);
        assert!(stderr(&refused).contains("another master key"), "{}", stderr(&refused));
    }
}

/// Codes are requested one after the other, so the ids that an export holds say at which moment it was taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_server_under_load_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path());
    let server = Server::start(&text, folder.path());
    let made = Arc::new(Mutex::new(Vec::<String>::new()));
    let load = tokio::spawn({
        let (api, made) = (format!("http://{}/v1/verifications", server.addr), Arc::clone(&made));
        async move {
            let client = http_client();
            for number in 0_u32.. {
                let body = json!({ "to": format!("+1202555{:04}", number % 10_000) }).to_string();
                let asked = client.post(&api).bearer_auth(KEY).header("content-type", "application/json");
                let answer = asked.body(body).send().await.unwrap().text().await.unwrap();
                let answer: Value = serde_json::from_str(&answer).unwrap();
                made.lock().unwrap().push(answer["id"].as_str().expect("it was made").to_owned());
            }
        }
    });
    until(async || (made.lock().unwrap().len() > 50).then_some(())).await;
    for round in 0..3 {
        let file = folder.path().join(format!("{round}.dump"));
        let command = if round == 1 { "backup" } else { "export" };
        let before = made.lock().unwrap().len();
        let (path, at) = (folder.path().to_owned(), file.clone());
        let output =
            tokio::task::spawn_blocking(move || offline(&path, &[command, at.to_str().unwrap()])).await;
        done(&output.unwrap());
        // What was asked for when the export ended has its answer soon.
        let after = made.lock().unwrap().len() + 1;
        until(async || (made.lock().unwrap().len() > after).then_some(())).await;
        let bytes = fs::read(&file).unwrap();
        let bytes = if command == "backup" { zstd::decode_all(&bytes[..]).unwrap() } else { bytes };
        let held: BTreeSet<String> = String::from_utf8(bytes)
            .unwrap()
            .lines()
            .filter_map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["line"]["verification"]["id"].as_str().map(str::to_owned)
            })
            .collect();
        let made = made.lock().unwrap().clone();
        let whole = made.iter().take_while(|id| held.contains(*id)).count();
        assert_eq!(whole, held.len(), "{command}: a verification without one that came before it");
        assert!((before..=after).contains(&whole), "{command}: {before} {whole} {after}");
        let told = done(&run(&["verify", file.to_str().unwrap()]));
        assert!(told.contains(&format!("verifications: {whole},")), "{told}");
    }
    load.abort();
    phones.stop().await;
}

/// WhatsApp's number of this person differs from the app's, and is invalid by the metadata.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_the_apps_number_and_by_whatsapps() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path());
    let mut server = Server::start(&text, folder.path());
    let written = async |server: &Server, from: &str| {
        let message = json!({ "from": from, "id": format!("wamid.{from}"), "timestamp": now_in_seconds(),
            "type": "text", "text": { "body": "hello" } });
        tell(server, &change(json!({ "messages": [message] }))).await;
    };
    for (number, erased) in [
        ("+525512340100", "+525512340100"),
        ("+525512340200", "+5215512340200"),
        ("+525512340400", "MX.525512340400"),
    ] {
        let whatsapps = number.replacen("+52", "521", 1);
        let id = send(&server, number);
        let sent = until(async || {
            let now = status(&server, &id);
            (now["delivery"]["state"] == "read").then_some(now)
        })
        .await;
        let told = json!({ "id": sent["messages"][0]["provider_ref"], "status": "read",
            "timestamp": now_in_seconds(), "recipient_id": whatsapps,
            "recipient_user_id": format!("MX.{}", &number[1..]) });
        tell(&server, &change(json!({ "statuses": [told] }))).await;
        written(&server, &whatsapps).await;
        let told = done(&offline(folder.path(), &["erase", erased, "--now"]));
        assert!(told.starts_with("erased; records: 2, days of keys: 1"), "{erased}: {told}");
        assert_eq!(status(&server, &id)["to"], Value::Null);
        let listed = format!("http://{}/v1/inbound?from=%2B{whatsapps}", server.addr);
        let found = http_client().get(listed).bearer_auth(KEY).send().await.unwrap().text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["data"], json!([]));
    }
    written(&server, "5215512340300").await;
    server.signal("-TERM");
    assert!(server.ended().0.success());
    assert!(done(&offline(folder.path(), &["erase", "+5215512340300"])).contains("records: 1"));
    for wrong in ["5215512340300", "+521551", "+5215512340300123"] {
        assert_eq!(offline(folder.path(), &["erase", wrong]).status.code(), Some(2), "{wrong}");
    }
    phones.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_erased_with_and_without_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path());
    let mut server = Server::start(&text, folder.path());
    let (hers, his) = (send(&server, "+12025550100"), send(&server, "+12025550200"));
    for id in [&hers, &his] {
        until(async || (status(&server, id)["delivery"]["state"] == "read").then_some(())).await;
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(folder.path().join("data/operator")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let stranger = http_client().post(format!("http://{}/operator/dump", server.admin_addr)).send().await;
    assert_eq!(stranger.unwrap().status(), 401);

    let told = done(&offline(folder.path(), &["erase", "+12025550100", "--now"]));
    assert!(told.starts_with("erased; records: 1, days of keys: 1"), "{told}");
    let erased = status(&server, &hers);
    assert_eq!((&erased["to"], &erased["status"]), (&Value::Null, &"canceled".into()));
    assert_eq!(erased["messages"][0]["provider_ref"], Value::Null);
    assert_eq!(status(&server, &his)["to"], "+12025550200");
    let listed = format!("http://{}/v1/verifications?to=%2B12025550100", server.addr);
    let found = http_client().get(listed).bearer_auth(KEY).send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["data"], json!([]));
    let timeline = done(&run(&["timeline", &hers, "--url", &server.url(), "--key", KEY]));
    assert!(timeline.contains("erased") && !timeline.contains("2025550100"), "{timeline}");
    assert!(send(&server, "+12025550100") != hers, "who comes back is welcome");

    server.signal("-TERM");
    assert!(server.ended().0.success());
    assert!(!folder.path().join("data/operator").exists());
    let told = done(&offline(folder.path(), &["erase", "+12025550200"]));
    assert!(told.contains("records: 1; unreadable once"), "{told}");
    assert!(done(&offline(folder.path(), &["erase", "+12025550200"])).contains("records: 0"));
    assert_eq!(offline(folder.path(), &["erase", "0151 2345"]).status.code(), Some(2));
    let server = Server::start(&text, folder.path());
    assert_eq!(status(&server, &his)["to"], Value::Null);
    assert!(send(&server, "+12025550200") != his);
    phones.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_reports_good_and_bad() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path());
    fs::write(folder.path().join("config.toml"), &text).unwrap();
    let well = |output: &Output| {
        let answer: Value = serde_json::from_str(&stdout(output)).expect("JSON and nothing else");
        let health: BTreeMap<String, String> = answer["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["what"].as_str().unwrap().into(), one["health"].as_str().unwrap().into()))
            .collect();
        (answer["well"].as_bool().unwrap(), health)
    };
    let (_, health) = well(&offline(folder.path(), &["doctor", "--json"]));
    assert_eq!(health["store"], "doubtful", "there is none yet");
    assert!(!folder.path().join("data").exists() && !folder.path().join("master.key").exists());

    let server = Server::start(&text, folder.path());
    let (_, health) = well(&offline(folder.path(), &["doctor", "--json"]));
    for what in ["config", "keys", "clock", "store", "channel whatsapp", "channel sms"] {
        assert_eq!(health[what], "good", "{what}: {health:?}");
    }
    phones.stop().await;
    let output = offline(folder.path(), &["doctor", "--json"]);
    let (is_well, health) = well(&output);
    assert_eq!((output.status.code(), is_well, &*health["channel sms"]), (FAILED, false, "wrong"));
    assert_eq!(health["template login_code/en_US"], "wrong");
    let lines = stdout(&offline(folder.path(), &["doctor"]));
    assert!(
        lines.contains("wrong  channel sms: ") && lines.contains("ok     store: a server is running"),
        "{lines}"
    );
    drop(server);
    fs::write(folder.path().join("config.toml"), text.replace("[store]", "[sotre]")).unwrap();
    let output = offline(folder.path(), &["doctor"]);
    assert_eq!(output.status.code(), FAILED);
    assert!(stdout(&output).contains("did you mean \"store\""), "{}", stdout(&output));
    let (is_well, health) = well(&offline(folder.path(), &["doctor", "--json"]));
    assert_eq!((is_well, &*health["config"]), (false, "wrong"), "that is a finding too");
}

/// Strings that must not occur anywhere.
const CANARIES: [&str; 9] = [
    "+12025550100",
    "12025550100",
    "2025550100",
    "CNRY471142",
    "Zoe of the metadata 8811",
    "a text of a canary 7722",
    "Profile Canary 6633",
    "evidence of a canary 5544",
    "reason of a canary 4455",
];

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_nowhere_in_clear_and_destroyed_keys_decrypt_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let phones = sandbox(address).await;
    let text = config(address, &phones.url(), folder.path())
        .replace("brand = \"Acme\"", "brand = \"Acme\"\nallow_custom_code = true")
        + &format!("[[console.users]]\nname = \"ada\"\nrole = \"operator\"\npassword_hash = '{}'\n", hash());
    let mut server = Server::start(&text, folder.path());
    let id = live_through(&server).await;
    until(async || (status(&server, &id)["delivery"]["state"] == "read").then_some(())).await;
    let metrics = http_client().get(format!("http://{}/metrics", server.admin_addr)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let backup = folder.path().join("twotick.backup");
    done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    server.signal("-TERM");
    assert!(server.ended().0.success());
    let export = folder.path().join("export.ndjson");
    done(&offline(folder.path(), &["export", export.to_str().unwrap()]));

    let mut places: Vec<(String, Vec<u8>)> = files(folder.path())
        .into_iter()
        .filter(|path| !path.ends_with("config.toml"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    let mut unpacked = Vec::new();
    zstd::Decoder::new(&fs::read(&backup).unwrap()[..]).unwrap().read_to_end(&mut unpacked).unwrap();
    places.push(("the backup, unpacked".to_owned(), unpacked));
    places.push(("the log".to_owned(), server.log.lock().unwrap().clone().into_bytes()));
    places.push(("the metrics".to_owned(), metrics.into_bytes()));
    let bytes: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes > 500_000, "only {bytes} bytes were looked at");
    let mut hits = Vec::new();
    for (place, bytes) in &places {
        for (canary, form) in CANARIES.iter().flat_map(|canary| forms(canary)) {
            if holds(bytes, &form) {
                hits.push(format!("{place}: {canary} as {}", String::from_utf8_lossy(&form)));
            }
        }
    }
    assert_eq!(hits, Vec::<String>::new());
    let forms_each = forms(CANARIES[0]).len();
    proof::figure(
        "keeping.canaries",
        &[
            ("canaries", CANARIES.len().to_string()),
            ("forms", forms_each.to_string()),
            ("places", places.len().to_string()),
            ("bytes", bytes.to_string()),
            ("hits", hits.len().to_string()),
        ],
    );
    let planted = [&b"something "[..], STANDARD.encode("x+12025550100y").as_bytes()].concat();
    let (_, form) = &forms(CANARIES[0])[4];
    assert!(holds(&planted, form) || forms(CANARIES[0]).iter().any(|(_, form)| holds(&planted, form)));

    // With the master key and all files, including an old export, nothing can be decrypted once the day's key is
    // destroyed.
    let master =
        STANDARD.decode(fs::read_to_string(folder.path().join("master.key")).unwrap().trim()).unwrap();
    let master: [u8; 32] = master.try_into().unwrap();
    let vault =
        Vault::with_keys(&master, Arc::new(KeyFiles::in_folder(&folder.path().join("data/keys")))).unwrap();
    let requests = requests(&export);
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| vault.open_person(request).is_ok()));
    let now = Clock::System.now();
    assert_eq!(vault.forget_days(now + Duration::from_secs(2 * 86_400)).unwrap(), 1);
    assert!(vault.forget_codes(now + Duration::from_secs(3_600)).unwrap() > 0);
    let later =
        Vault::with_keys(&master, Arc::new(KeyFiles::in_folder(&folder.path().join("data/keys")))).unwrap();
    for request in &requests {
        assert_eq!(later.open_person(request).err(), Some(CannotOpen::Removed));
        assert_eq!(later.code(request, 6).err(), Some(CannotOpen::Removed));
    }
    proof::figure(
        "keeping.dead_keys",
        &[("opened", "0".to_owned()), ("of", (2 * requests.len()).to_string())],
    );
    assert!(done(&offline(folder.path(), &["audit", "verify"])).starts_with("intact: "));
    let server = Server::start(&text, folder.path());
    let shown = status(&server, &id);
    assert_eq!(
        (&shown["to"], &shown["metadata"], &shown["delivery"]["state"]),
        (&Value::Null, &json!({}), &"read".into())
    );
    let pages = Staff::signed_in(&server).await;
    for page in [
        format!("/console/verifications/{id}"),
        "/console".to_owned(),
        "/console/conversations".to_owned(),
        "/console/alerts".to_owned(),
        "/console/audit".to_owned(),
    ] {
        let shown = pages.get(&page).await;
        assert!(shown.contains("removed"), "{page} says so: {shown}");
    }
    phones.stop().await;
}

/// Creates one of each kind of personal data; returns the verification's id.
async fn live_through(server: &Server) -> String {
    let client = http_client();
    let api = format!("http://{}/v1/verifications", server.addr);
    let post = async |body: Value| {
        let asked = client.post(&api).bearer_auth(KEY).header("content-type", "application/json");
        asked.body(body.to_string()).send().await.unwrap().text().await.unwrap()
    };
    let body = json!({ "to": CANARIES[0], "code": CANARIES[3], "metadata": { "name": CANARIES[4] } });
    let made: Value = serde_json::from_str(&post(body).await).unwrap();
    let id = made["id"].as_str().expect("it was made").to_owned();
    post(json!({ "to": "+12025550111" })).await;
    for wrong in [json!({ "to": "+12025550100x" }), json!({ "to": CANARIES[0], "code": "!", "metadata": 5 })]
    {
        assert!(post(wrong).await.contains("invalid"));
    }
    let check =
        client.post(format!("{api}/{id}/check")).bearer_auth(KEY).header("content-type", "application/json");
    let checked = check.body(json!({ "code": "CNRY471143" }).to_string()).send().await.unwrap();
    assert!(checked.status().is_success());

    // Two more identifiers of the person, stored only as keyed hashes.
    let written = change(json!({
        "contacts": [{ "wa_id": CANARIES[1], "user_id": CANARIES[2], "profile": { "name": CANARIES[6] } }],
        "messages": [{ "from": CANARIES[1], "from_user_id": CANARIES[2], "id": wamid(),
            "timestamp": now_in_seconds(), "type": "text", "text": { "body": CANARIES[5] } }] }));
    for body in [written, format!("no JSON, but {}", CANARIES[7])] {
        tell(server, &body).await;
    }
    let staff = Staff::signed_in(server).await;
    let page = format!("/console/verifications/{id}");
    staff.post(&format!("{page}/reveal"), &page, &[("reason", CANARIES[8])]).await;
    id
}

/// Sends a webhook as Meta does.
async fn tell(server: &Server, body: &str) {
    let mut tag = Hmac::<sha2::Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
    tag.update(body.as_bytes());
    let tag: String = tag.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let hook = http_client().post(format!("http://{}/webhooks/whatsapp", server.addr));
    let hook = hook.header("x-hub-signature-256", format!("sha256={tag}"));
    assert_eq!(hook.body(body.to_owned()).send().await.unwrap().status(), 200);
}

fn change(mut value: Value) -> String {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID });
    json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{ "field": "messages", "value": value }] }] })
    .to_string()
}

fn wamid() -> String {
    format!("wamid.{}", STANDARD.encode(format!("..{}..and what makes it unique", CANARIES[1])))
}

fn now_in_seconds() -> String {
    (Clock::System.now().as_millis() / 1_000).to_string()
}

/// A staff member with a browser that keeps cookies.
struct Staff {
    client: reqwest::Client,
    admin: String,
    cookies: String,
}

impl Staff {
    async fn signed_in(server: &Server) -> Self {
        let admin = format!("http://{}", server.admin_addr);
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut staff = Self { client, admin, cookies: String::new() };
        let form = staff.client.get(format!("{}/console/sign-in", staff.admin)).send().await.unwrap();
        staff.keep_cookies(&form);
        let csrf = csrf(&form.text().await.unwrap());
        let fields = [("csrf", csrf.as_str()), ("name", "ada"), ("password", PASSWORD)];
        let answer = staff.send("/console/sign-in", &fields).await;
        assert!(answer.status().is_redirection() || answer.status().is_success(), "{}", answer.status());
        staff.keep_cookies(&answer);
        staff
    }

    fn keep_cookies(&mut self, answer: &reqwest::Response) {
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let name = pair.split('=').next().unwrap();
            let kept = self.cookies.split("; ").filter(|kept| !kept.is_empty() && !kept.starts_with(name));
            self.cookies = kept.chain([pair]).collect::<Vec<_>>().join("; ");
        }
    }

    async fn get(&self, path: &str) -> String {
        let asked = self.client.get(format!("{}{path}", self.admin)).header("cookie", &self.cookies);
        asked.header("accept", "text/html").send().await.unwrap().text().await.unwrap()
    }

    /// Submits the form on `page` to `path`.
    async fn post(&self, path: &str, page: &str, fields: &[(&str, &str)]) {
        let csrf = csrf(&self.get(page).await);
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        let answer = self.send(path, &fields).await;
        assert!(answer.status().is_success() || answer.status().is_redirection(), "{}", answer.status());
    }

    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::Response {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let asked = self.client.post(format!("{}{path}", self.admin)).header("cookie", &self.cookies);
        let asked = asked.header("origin", &self.admin).header("sec-fetch-site", "same-origin");
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        asked.body(body.join("&")).send().await.unwrap()
    }
}

fn csrf(page: &str) -> String {
    let (_, after) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    after.split('"').next().unwrap().to_owned()
}

/// Hash of [`PASSWORD`].
fn hash() -> String {
    let mut child =
        twotick().args(["user", "hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    stdout(&child.wait_with_output().unwrap()).trim().to_owned()
}

fn requests(export: &Path) -> Vec<Request> {
    let text = fs::read_to_string(export).unwrap();
    let request = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = &line["line"]["verification"]["commits"][0]["facts"][0]["requested"]["request"];
        serde_json::from_value(request.clone()).ok()
    };
    text.lines().filter_map(request).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Encodings of a canary: plain, hexadecimal, UTF-16, and base64 at each of its three offsets.
fn forms(canary: &'static str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = canary.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let wide = |order: fn(u16) -> [u8; 2]| canary.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let mut forms = vec![
        bytes.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        wide(u16::to_le_bytes),
        wide(u16::to_be_bytes),
    ];
    for before in 0..3 {
        let encoded = STANDARD_NO_PAD.encode([&vec![0; before][..], bytes].concat());
        // The characters at both ends depend on the neighbours.
        let (start, end) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
        let form = encoded[start..end].to_owned();
        forms.push(form.replace('+', "-").replace('/', "_").into_bytes());
        forms.push(form.into_bytes());
    }
    forms.into_iter().map(|form| (canary, form)).collect()
}

fn holds(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

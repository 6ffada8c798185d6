//! Starts with other keys or another configuration than before: pending verifications have a defined outcome.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::{KEY, Server, config, http_client, run, stderr};
use twotick::channel::signature::sign;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Meta and a carrier that accept everything and report nothing.
async fn providers() -> MockServer {
    let providers = MockServer::start().await;
    let accepted = json!({
        "messaging_product": "whatsapp",
        "messages": [{ "id": "wamid.1", "message_status": "accepted" }],
    });
    Mock::given(method("POST"))
        .and(path("/sms/send"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "id": "sms-1" })))
        .mount(&providers)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(accepted))
        .mount(&providers)
        .await;
    providers
}

async fn sms_sent(providers: &MockServer) -> usize {
    let requests = providers.received_requests().await.unwrap();
    requests.iter().filter(|request| request.url.path() == "/sms/send").count()
}

struct Client {
    url: String,
    key: &'static str,
}

impl Client {
    fn of(server: &Server) -> Self {
        Self { url: server.url(), key: KEY }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.bearer_auth(self.key).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(http_client().get(format!("{}/v1/verifications/{path}", self.url))).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = http_client().post(format!("{}/v1/verifications{path}", self.url));
        self.ask(request.header("content-type", "application/json").body(body.to_string())).await
    }

    async fn create(&self, number: &str) -> String {
        let (status, created) = self.post("", &json!({ "to": number })).await;
        assert_eq!(status, 201, "{created}");
        created["id"].as_str().unwrap().to_owned()
    }

    /// Polls until `is_so`; the matching answer.
    async fn once(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let (_, verification) = self.get(id).await;
            if is_so(&verification) {
                return verification;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not come within 12 s: {:?}", self.timeline(id).await);
    }

    /// Type and data of the events, oldest first.
    async fn timeline(&self, id: &str) -> Vec<(String, Value)> {
        let (_, timeline) = self.get(&format!("{id}/timeline")).await;
        let events = timeline["events"].as_array().unwrap().iter();
        events.map(|event| (event["type"].as_str().unwrap().to_owned(), event["data"].clone())).collect()
    }
}

fn stopped(mut server: Server) {
    server.signal("-TERM");
    assert!(server.ended().0.success());
}

fn is_accepted(verification: &Value) -> bool {
    verification["messages"][0]["state"] == "accepted"
}

/// Log of a server that refuses to start.
fn refusal(folder: &Path, text: &str) -> String {
    let file = folder.join("config.toml");
    fs::write(&file, text).unwrap();
    let output = run(&["--config", file.to_str().unwrap(), "serve"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    stderr(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_prevent_a_start_until_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let providers = providers().await;
    let text = config("127.0.0.1:0".parse().unwrap(), &providers.uri(), folder.path());
    let server = Server::start(&text, folder.path());
    let client = Client::of(&server);
    let (ended, pending) = (client.create("+12025550101").await, client.create("+12025550102").await);
    client.once(&ended, is_accepted).await;
    client.once(&pending, is_accepted).await;
    assert_eq!(client.post(&format!("/{ended}/cancel"), &json!({})).await.0, 200);
    stopped(server);

    let (keys, aside) = (folder.path().join("data/keys"), folder.path().join("aside"));
    fs::rename(&keys, &aside).unwrap();
    let told = refusal(folder.path(), &text);
    for part in ["keys are missing in", "2 verifications", "1 pending", "twotick serve --accept-lost-keys"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!keys.exists(), "a start that is refused makes no keys");

    // A copy without the newest key does not help.
    fs::create_dir(&keys).unwrap();
    fs::copy(aside.join("days"), keys.join("days")).unwrap();
    let told = refusal(folder.path(), &text);
    assert!(told.contains("0 verifications") && told.contains("1 pending"), "{told}");
    fs::remove_dir_all(&keys).unwrap();

    let server = Server::start_args(&text, folder.path(), &["--accept-lost-keys"]);
    let client = Client::of(&server);
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("loss of keys accepted") && log.contains("\"verifications\":2"), "{log}");
    let verification = client.once(&pending, |known| known["status"] == "canceled").await;
    assert_eq!(verification["to"], Value::Null);
    let timeline = client.timeline(&pending).await;
    assert_eq!(timeline.last().unwrap(), &("canceled".to_owned(), json!({ "reason": "key_lost" })));
    assert_eq!(client.get(&ended).await.1["status"], "canceled");
    stopped(server);

    // Accepted once, the loss is not reported again, whether or not new data was encrypted since.
    let server = Server::start(&text, folder.path());
    let client = Client::of(&server);
    let new = client.create("+12025550103").await;
    client.once(&new, is_accepted).await;
    stopped(server);
    let server = Server::start(&text, folder.path());
    assert_eq!(Client::of(&server).get(&new).await.1["to"], "+12025550103");
    assert_eq!(Client::of(&server).get(&new).await.1["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_with_a_removed_channel_falls_back() {
    let folder = tempfile::tempdir().unwrap();
    let providers = providers().await;
    // The channel refuses for now, so that its message is queued again.
    let text = config("127.0.0.1:0".parse().unwrap(), &providers.uri(), folder.path());
    let busy = MockServer::start().await;
    let for_now = ResponseTemplate::new(429).insert_header("retry-after", "5").set_body_json(json!({
        "error": { "message": "slow down", "code": 130_429 },
    }));
    Mock::given(method("POST")).respond_with(for_now).mount(&busy).await;
    let server = Server::start(&text.replacen(&providers.uri(), &busy.uri(), 1), folder.path());
    let client = Client::of(&server);
    let id = client.create("+12025550101").await;
    client.once(&id, |known| known["messages"][0]["state"] == "queued" && known["version"] == 4).await;
    stopped(server);

    // Renamed: the old name is gone, and no pending verification knows the new one.
    let renamed = text.replace("[channels.whatsapp]", "[channels.meta]");
    let renamed = renamed.replace("channel = \"whatsapp\"", "channel = \"meta\"");
    let server = Server::start(&renamed, folder.path());
    let client = Client::of(&server);
    let verification = client.once(&id, |known| known["messages"][1]["state"] == "accepted").await;
    assert_eq!(verification["messages"][0]["error"]["code"], "unknown_channel");
    let timeline = client.timeline(&id).await;
    let refused = timeline.iter().rfind(|(kind, _)| kind == "send_refused").unwrap();
    assert_eq!(refused.1["error"]["code"], "unknown_channel");
    let fell_back = timeline.iter().find(|(kind, _)| kind == "fell_back").unwrap();
    assert_eq!(fell_back.1["reason"], "refused");
    assert_eq!(sms_sent(&providers).await, 1);

    let report = json!({ "object": "whatsapp_business_account", "entry": [] }).to_string();
    for (channel, expected) in [("whatsapp", 404), ("meta", 200)] {
        let address = format!("{}/webhooks/{channel}", server.url());
        let signature = sign(&"test-app-secret-0123".into(), report.as_bytes());
        let request = http_client().post(address).header("x-hub-signature-256", signature);
        let status = request.body(report.clone()).send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_keeps_the_profile_with_which_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let providers = providers().await;
    let text = config("127.0.0.1:0".parse().unwrap(), &providers.uri(), folder.path());
    let server = Server::start(&text, folder.path());
    let client = Client::of(&server);
    let id = client.create("+12025550101").await;
    client.once(&id, is_accepted).await;
    stopped(server);

    let renamed =
        text.replace("[profiles.login]", "[profiles.signup]").replace("text = \"otp\"", "text = \"new\"");
    let renamed = renamed.replace("[texts.otp]", "[texts.new]").replace("is your {brand} code.", "is new.");
    let server = Server::start(&renamed, folder.path());
    let client = Client::of(&server);
    assert_eq!(client.post(&format!("/{id}/next"), &json!({})).await.0, 202);
    let verification = client.once(&id, |known| known["messages"][1]["state"] == "accepted").await;
    assert_eq!((&verification["profile"], &verification["status"]), (&json!("login"), &json!("pending")));
    let requests = providers.received_requests().await.unwrap();
    let sms: Value = requests.iter().find(|one| one.url.path() == "/sms/send").unwrap().body_json().unwrap();
    assert!(sms["text"].as_str().unwrap().ends_with(" is your Acme code."), "{sms}");
    assert_eq!(client.timeline(&id).await[0].1["profile"], "login");
    let (status, again) = client.post("", &json!({ "to": "+12025550101" })).await;
    assert_eq!(
        (status, &again["profile"]),
        (201, &json!("signup")),
        "another profile is another verification"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications_of_a_removed_app_are_canceled() {
    let folder = tempfile::tempdir().unwrap();
    let providers = providers().await;
    let text = config("127.0.0.1:0".parse().unwrap(), &providers.uri(), folder.path())
        .replace("deliver_within = \"30s\"", "deliver_within = \"1s\"")
        + "[[apps]]\nname = \"bank\"\napi_keys = [\"bank-key-0123456789\"]\n";
    let server = Server::start(&text, folder.path());
    let bank = Client { url: server.url(), key: "bank-key-0123456789" };
    let id = bank.create("+12025550101").await;
    bank.once(&id, is_accepted).await;
    stopped(server);
    let (without, _) = text.split_once("[[apps]]\nname = \"bank\"").unwrap();
    let server = Server::start(without, folder.path());
    let bank = Client { url: server.url(), key: "bank-key-0123456789" };
    assert_eq!(bank.get(&id).await.0, 401);
    // Longer than its deadline.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(sms_sent(&providers).await, 0);
    stopped(server);

    let server = Server::start(&text, folder.path());
    let bank = Client { url: server.url(), key: "bank-key-0123456789" };
    assert_eq!(bank.get(&id).await.1["status"], "canceled");
    let timeline = bank.timeline(&id).await;
    assert_eq!(timeline.last().unwrap(), &("canceled".to_owned(), json!({ "reason": "app_removed" })));
}

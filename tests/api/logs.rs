use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{KEY, Server, change, server, statuses};

/// The log of all tests in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn install() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let ours = EnvFilter::new("twotick=debug");
            let subscriber = tracing_subscriber::fmt().json().with_env_filter(ours).with_writer(log.clone());
            subscriber.init();
            log
        })
        .clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines of one request.
    fn of(&self, request_id: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(&format!("\"{request_id}\"")));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

async fn ask(server: &Server, request_id: &str, method: Method, path: &str, body: Option<Value>) -> Value {
    let request = server.request(method, path).header("x-request-id", request_id);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    let text = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_with_ids_and_never_a_number_a_code_or_a_key() {
    let log = Log::install();
    let mut server = server().await;
    // No other test uses this number or this code.
    let (number, code) = ("+12025550177", "Zq8Wx7Vu");
    let wanted = json!({ "to": number, "profile": "bring", "code": code, "client_ref": "ref-only-here" });
    let body = ask(&server, "log-create", Method::POST, "/v1/verifications", Some(wanted)).await;
    let id = body["id"].as_str().unwrap();
    let message = server.accept().await;
    server.webhook("whatsapp", &statuses(&[(&message, "delivered")])).await;
    let path = format!("/v1/verifications/{id}/check");
    ask(&server, "log-check", Method::POST, &path, Some(json!({ "code": code }))).await;
    ask(&server, "log-list", Method::GET, "/v1/verifications?to=%2B12025550177", None).await;
    ask(&server, "log-wrong", Method::POST, "/v1/verifications", Some(json!({ "to": "+120255501770000" })))
        .await;
    ask(&server, "log-lost", Method::GET, "/nowhere/+12025550177", None).await;

    for (request_id, route, status, verification) in [
        ("log-create", "/v1/verifications", 201, Some(id)),
        ("log-check", "/v1/verifications/{id}/check", 200, Some(id)),
        ("log-list", "/v1/verifications", 200, None),
        ("log-wrong", "/v1/verifications", 422, None),
        ("log-lost", "none", 404, None),
    ] {
        let lines = log.of(request_id);
        assert_eq!(lines.len(), 1, "{request_id}: {lines:?}");
        let fields = &lines[0]["fields"];
        assert_eq!((&fields["route"], &fields["status"]), (&json!(route), &json!(status)), "{fields}");
        assert_eq!(fields["verification"].as_str(), verification, "{fields}");
        assert!(fields["ms"].is_number(), "{fields}");
    }
    let text = log.text();
    for secret in ["12025550177", code, KEY, "ref-only-here"] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
}

/// Anybody can send any number of them.
#[tokio::test(flavor = "multi_thread")]
async fn refused_webhooks_are_one_line_per_reason_with_the_key_to_compare() {
    let log = Log::install();
    let server = server().await;
    let before = log.text().len();
    let lines = |wanted: &str| {
        let text = log.text()[before..].to_owned();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let fits = |line: &Value| {
            line["fields"]["message"].as_str().is_some_and(|message| message.contains("were refused"))
                && line["fields"]["channel"] == "second"
                && line["fields"]["reason"] == wanted
        };
        lines.into_iter().filter(fits).collect::<Vec<_>>()
    };
    let body = statuses(&[("wamid.x", "sent")]);
    let post = |signature: Option<String>| {
        let request = server.plain(Method::POST, "/webhooks/second").body(body.clone());
        let request = match signature {
            Some(signature) => request.header("x-hub-signature-256", signature),
            None => request,
        };
        async move { assert_eq!(request.send().await.unwrap().status(), 401) }
    };
    let wrong = || Some(format!("sha256={}", "0".repeat(64)));
    for _ in 0..20 {
        post(None).await;
        post(wrong()).await;
    }
    let (missing, refused) = (lines("missing"), lines("wrong"));
    assert_eq!((missing.len(), refused.len()), (1, 1), "{missing:?} {refused:?}");
    assert_eq!(refused[0]["fields"]["times"], 1);
    let text = refused[0]["fields"]["message"].as_str().unwrap();
    assert!(text.contains("`[channels.second] app_secrets`"), "{text}");
    assert!(!missing[0]["fields"]["message"].as_str().unwrap().contains("app_secrets"), "nothing to compare");

    server.clock.advance(std::time::Duration::from_secs(60));
    post(wrong()).await;
    let refused = lines("wrong");
    assert_eq!((refused.len(), &refused[1]["fields"]["times"]), (2, &json!(20)));
    assert_eq!(refused[1]["fields"]["in_a_row"], 41);
    assert_eq!(in_a_row(&server).await, 41.0);
    assert_eq!(server.webhook("second", &body).await.status(), 200);
    assert_eq!(in_a_row(&server).await, 0.0, "one that is right ends it");
}

async fn in_a_row(server: &Server) -> f64 {
    let metrics = server.admin("/metrics").send().await.unwrap().text().await.unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("twotick_webhooks_refused_in_a_row{channel=\"second\"} "));
    line.unwrap().parse().unwrap()
}

/// A provider's texts may contain anything, including a number.
#[tokio::test(flavor = "multi_thread")]
async fn provider_texts_are_truncated_and_sanitized_in_debug_logs() {
    let log = Log::install();
    let server = server().await;
    let strange = format!("call +12025550166 with 735201 {}", "or so ".repeat(200));
    let items = json!({
        "statuses": [{ "id": "wamid.x", "status": strange, "timestamp": "1795011201" }],
        "messages": [{ "id": "wamid.y", "from": "12025550165", "type": strange, "timestamp": "1795011201" }],
    });
    let mut of_account: Value = serde_json::from_str(&change(json!({}))).unwrap();
    of_account["entry"][0]["changes"][0]["field"] = json!(strange);
    for body in [change(items), of_account.to_string()] {
        assert_eq!(server.webhook("whatsapp", &body).await.status(), 200);
    }
    let report = json!({ "id": "x", "status": strange }).to_string();
    assert_eq!(server.webhook("sms", &report).await.status(), 200);
    let text = log.text();
    for (field, line) in [("kind", "unknown type of message"), ("field", "unknown field of a webhook")] {
        let lines: Vec<Value> = text
            .lines()
            .filter(|shown| shown.contains(line))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let shown = lines.iter().filter_map(|line| line["fields"][field].as_str());
        let shown: Vec<_> = shown.filter(|word| word.starts_with("call +…")).collect();
        assert!(
            !shown.is_empty() && shown.iter().all(|word| word.chars().count() <= 64),
            "{line}: {shown:?}"
        );
    }
    for hidden in ["12025550166", "735201"] {
        assert!(!text.contains(hidden), "{hidden} stands in the log");
    }
}

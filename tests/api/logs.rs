use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{KEY, Server, server, statuses};

/// What the server logs, of all tests of this process together.
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

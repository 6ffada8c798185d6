//! Malformed and hostile requests: each has a defined answer, bounded memory and bounded time.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use twotick::clock::Stopwatch;

use crate::support::{KEY, NUMBER, OTHER_APPS_KEY, SECOND_KEY, pointers, problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn only_a_valid_key_is_accepted() {
    let server = server().await;
    let get = |headers: Vec<String>| {
        let request = server.plain(Method::GET, "/v1/verifications");
        headers.into_iter().fold(request, |request, value| request.header("authorization", value)).send()
    };
    for right in [format!("Bearer {KEY}"), format!("bearer {KEY}"), format!("Bearer {SECOND_KEY}")] {
        assert_eq!(get(vec![right]).await.unwrap().status(), StatusCode::OK);
    }
    for wrong in [
        vec![],
        vec![String::new()],
        vec!["Bearer".to_owned()],
        vec!["Bearer ".to_owned()],
        vec![KEY.to_owned()],
        vec![format!("Basic {KEY}")],
        vec![format!("Bearer {}", &KEY[1..])],
        vec![format!("Bearer {KEY}x")],
        vec![format!("Bearer {}", KEY.to_uppercase())],
        vec![format!("Bearer {KEY}"), format!("Bearer {KEY}")],
        vec![format!("Bearer {KEY}, Bearer {OTHER_APPS_KEY}")],
        vec![format!("Bearer {}", "k".repeat(4_000))],
    ] {
        let response = get(wrong).await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"twotick\"");
        let refused = problem(response, 401, "unauthorized").await;
        assert!(!refused.to_string().contains(KEY), "a key is never repeated");
    }
    for path in
        ["/v1/verifications", "/v1/inbound", "/v1/verifications/ver_x", "/v1/verifications/x/timeline"]
    {
        problem(server.plain(Method::GET, path).send().await.unwrap(), 401, "unauthorized").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_unknown_methods_differ() {
    let server = server().await;
    for path in [
        "/",
        "/v1",
        "/v2/verifications",
        "/v1/verifications/",
        "/v1/verifications/a/b",
        "/metrics",
        "/docs",
        "/console",
        "/alerts",
        "/..%2f",
        "/%ff",
        "//",
    ] {
        problem(server.get(path).send().await.unwrap(), 404, "not_found").await;
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/verifications", "GET, POST"),
        (Method::PUT, "/v1/verifications/ver_x", "GET"),
        (Method::GET, "/v1/verifications/ver_x/check", "POST"),
        (Method::PATCH, "/webhooks/whatsapp", "GET, POST"),
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), "/readyz", "GET, HEAD"),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow);
        problem(response, 405, "method_not_allowed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_have_a_valid_type_form_and_size() {
    let server = server().await;
    let post = |kind: Option<&str>, body: Vec<u8>| {
        let request = server.request(Method::POST, "/v1/verifications");
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        request.body(body).send()
    };
    let good = json!({ "to": NUMBER, "profile": "login" }).to_string().into_bytes();
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some(""),
    ] {
        problem(post(kind, good.clone()).await.unwrap(), 415, "unsupported_media_type").await;
    }
    let encoded = server.post("/v1/verifications", &json!({})).header("content-encoding", "gzip");
    problem(encoded.send().await.unwrap(), 415, "unsupported_media_type").await;
    let json = Some("application/json");
    for broken in [
        b"".to_vec(),
        b"{".to_vec(),
        b"{\"to\":\"+1202555\"".to_vec(),
        b"{\"to\":\"+12025550100\"} trailing".to_vec(),
        b"{\"to\":\"\xff\xfe\"}".to_vec(),
        b"{\"to\":\"\\ud800\"}".to_vec(),
        b"{'to':1}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        format!("{{\"metadata\":{}", "[".repeat(50_000)).into_bytes(),
        format!("{{\"to\":1{}}}", "0".repeat(400)).into_bytes(),
    ] {
        let refused = problem(post(json, broken).await.unwrap(), 400, "malformed_body").await;
        assert!(!refused.to_string().contains("1202555"), "{refused}");
    }
    let twice = b"{\"to\":\"+12025550100\",\"to\":\"+12025550101\",\"profile\":\"login\"}".to_vec();
    problem(post(json, twice).await.unwrap(), 422, "invalid_request").await;
    for (twice, pointer) in [
        (r#"{"to":"+12025550100","profile":"login","metadata":{"a":"1","b":"2","a":"3"}}"#, "/metadata/a"),
        (r#"{"to":"+12025550100","profile":"login","metadata":{"a":"1","\u0061":"1"}}"#, "/metadata/a"),
        (r#"{"to":"+12025550100","profile":"login","metadata":{},"metadata":{}}"#, "/metadata"),
        (r#"{"to":"+12025550100","profile":"login","other":[{"x/y":1,"x/y":1}]}"#, "/other/0/x~1y"),
    ] {
        let refused = problem(post(json, twice.into()).await.unwrap(), 422, "invalid_request").await;
        assert_eq!(pointers(&refused), [pointer], "{twice}");
    }
    let limit = 64 * 1024;
    let exactly = format!("{}{}", " ".repeat(limit - good.len()), String::from_utf8(good.clone()).unwrap());
    let utf8 = Some("Application/JSON; charset=utf-8");
    assert_eq!(post(utf8, exactly.clone().into_bytes()).await.unwrap().status(), StatusCode::CREATED);
    problem(post(json, format!(" {exactly}").into_bytes()).await.unwrap(), 413, "body_too_large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_unknown_fields_get_a_short_answer() {
    let server = server().await;
    let many: serde_json::Map<_, _> = (0..4_000).map(|n| (format!("f{n}"), json!(1))).collect();
    let response = server.post("/v1/verifications", &json!(many)).send().await.unwrap();
    let text = problem(response, 422, "invalid_request").await.to_string();
    assert!(text.len() < 8 * 1024, "{} bytes", text.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_cut_off_at_its_limit() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let head = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut answer = vec![0; 64];
    // The answer arrives long before a gigabyte is sent.
    for _ in 0..64 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..read.unwrap()]).starts_with("HTTP/1.1 413"));
}

/// Slow bodies and heads, in real time, because a socket's timeout is tested.
#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_are_cut_off_after_10_s() {
    let server = server().await;
    let slow_body = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let began = Stopwatch::start();
    let patience = Duration::from_secs(14);
    let (body, head) = tokio::join!(
        server.raw(slow_body.as_bytes(), patience),
        server.raw(b"GET /v1/verifications HTTP/1.1\r\nHost: x\r\nX-Slow: ", patience)
    );
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("\"request_timeout\""), "{body}");
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    assert!(began.elapsed() >= Duration::from_secs(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id_and_caching_headers() {
    let server = server().await;
    for path in ["/healthz", "/v1/verifications", "/nowhere", "/openapi.json"] {
        let response = server.get(path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-request-id"].len(), 16);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    }
    let given = server.get("/healthz").header("x-request-id", "a-Good_one.17").send().await.unwrap();
    assert_eq!(given.headers()["x-request-id"], "a-Good_one.17");
    for strange in ["a b", "<script>", "", &"a".repeat(129), "+12025550100"] {
        let response = server.get("/healthz").header("x-request-id", strange).send().await.unwrap();
        assert_ne!(response.headers()["x-request-id"], strange);
    }
}

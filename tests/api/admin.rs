//! Access to the admin listener, and its time limits.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, problem, server};

/// The answer to these bytes, read until the connection closes.
async fn answer(server: &Server, request: &str) -> String {
    let mut connection = TcpStream::connect(server.admin_addr).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("it ends").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_host_names_are_answered() {
    let server = server().await;
    let port = server.admin_addr.port();
    for ours in
        ["localhost", &format!("localhost:{port}"), &format!("127.0.0.1:{port}"), "[::1]:1", "LocalHost."]
    {
        let answer = server.admin("/metrics").header("host", ours).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{ours}");
    }
    for path in ["/metrics", "/alerts", "/docs/", "/openapi.json", "/nothing"] {
        for foreign in
            ["evil.example", &format!("evil.example:{port}"), "10.0.0.1", "127.0.0.1.evil.example", "0.0.0.0"]
        {
            let answer = server.admin(path).header("host", foreign).send().await.unwrap();
            problem(answer, 421, "host_not_allowed").await;
        }
    }
    let closing = "Connection: close\r\n\r\n";
    for (what, request) in [
        ("two of them", format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n{closing}")),
        ("none", "GET /metrics HTTP/1.0\r\n\r\n".to_owned()),
        ("an empty one", format!("GET /metrics HTTP/1.1\r\nHost:\r\n{closing}")),
        (
            "another in the line",
            format!("GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n{closing}"),
        ),
    ] {
        let answer = answer(&server, &request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "421"), "{what}: {answer}");
        assert!(!answer.contains("twotick_"), "{what}");
    }
    let public = server.get("/v1/inbound").header("host", "otp.example.com").send().await.unwrap();
    assert_eq!(public.status(), StatusCode::OK, "the public listener has the names that its proxy gives it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_does_not_hold_a_connection() {
    let server = server().await;
    let slow = |head: &'static str| {
        let request = format!("POST /slow HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
        answer(&server, request.leak())
    };
    // A test route reads its body to the end, as sign-in does.
    let (with_length, in_chunks) =
        tokio::join!(slow("Content-Length: 100"), slow("Transfer-Encoding: chunked"));
    for answer in [with_length, in_chunks] {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("\"request_timeout\""), "{answer}");
    }
}

//! The operator API, and another program in the place of a killed server.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{KEY, Server, run, stdout};
use crate::world::{NUMBER, done, failed, offline, send, text};

/// A program that answers 200 to everything; returns what it received.
fn yes(port: u16) -> Arc<Mutex<String>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&heard);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            connection.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut bytes = [0; 4096];
            let read = connection.read(&mut bytes).unwrap_or_default();
            *told.lock().unwrap() += &String::from_utf8_lossy(&bytes[..read]);
            let body = "{\"records\":1,\"days\":1}";
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = connection.write_all((head + body).as_bytes());
        }
    });
    heard
}

/// A server that sent one code and was killed, and another program on the port of its admin listener.
fn replaced(folder: &Path) -> (String, Arc<Mutex<String>>) {
    let mut server = Server::start(&text(folder), folder);
    let id = send(&server);
    server.signal("-KILL");
    server.ended();
    let endpoint = fs::read_to_string(folder.join("data/operator")).unwrap();
    let port = endpoint.split(' ').next().and_then(|url| url.rsplit(':').next()).unwrap().parse().unwrap();
    (id, yes(port))
}

#[test]
fn the_endpoint_file_of_a_killed_server_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (id, heard) = replaced(folder.path());
    let looked = stdout(&offline(folder.path(), &["doctor"]));
    assert!(looked.contains("no server is running"), "{looked}");
    let backup = folder.path().join("backup.zst");
    let told = done(&offline(folder.path(), &["backup", backup.to_str().unwrap()]));
    assert!(told.starts_with("backed up and verified"), "{told}");
    let told = done(&offline(folder.path(), &["erase", NUMBER, "--now"]));
    assert!(told.contains("records: 1, days of keys: 1"), "{told}");
    assert_eq!(*heard.lock().unwrap(), "", "the other program is not asked at all");
    let server = Server::start(&text(folder.path()), folder.path());
    let erased = done(&run(&["status", &id, "--url", &server.url(), "--key", KEY, "--json"]));
    assert!(erased.contains("\"to\":null"), "it has happened: {erased}");
}

#[test]
fn an_unauthenticated_server_receives_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let (_, heard) = replaced(folder.path());
    let lock = File::options().write(true).open(folder.path().join("data/lock")).unwrap();
    lock.lock().unwrap();
    let endpoint = fs::read_to_string(folder.path().join("data/operator")).unwrap();
    let secret = endpoint.trim().split(' ').nth(1).unwrap();
    let backup = folder.path().join("backup.zst");
    for command in [&["erase", NUMBER, "--now"][..], &["backup", backup.to_str().unwrap()], &["export"]] {
        let output = offline(folder.path(), command);
        let told = failed(&output);
        assert!(told.contains("is not the server that uses it. Nothing was done"), "{told}");
        assert_eq!(stdout(&output), "");
    }
    assert!(!backup.exists());
    let heard = heard.lock().unwrap();
    assert!(heard.contains("/operator/hello"), "{heard}");
    assert!(!heard.contains(secret) && !heard.contains(&NUMBER[1..]), "neither secret nor number is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_api_authenticates_before_it_reads_a_body_and_the_listener_checks_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = text(folder.path())
        .replace("admin_listen =", "admin_hosts = [\"twotick.internal\"]\nadmin_listen =")
        .replace("[store]", "[console]\npublic_url = \"https://Console.example.com\"\n[store]");
    let server = Server::start(&config, folder.path());
    let admin = server.admin_addr;
    let answer = move |request: String| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut connection = tokio::net::TcpStream::connect(admin).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), connection.read(&mut answer)).await;
        String::from_utf8_lossy(&answer[..read.expect("at once").unwrap()]).into_owned()
    };
    let erase = "POST /operator/erase HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let refused = answer(format!("{erase}Authorization: Bearer wrong\r\nContent-Length: 60\r\n\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "without waiting for the body: {refused}");
    let hello = "GET /operator/hello HTTP/1.1\r\nHost: localhost\r\n";
    let asked = answer(format!("{hello}x-twotick-nonce: 12345\r\n\r\n")).await;
    assert!(asked.starts_with("HTTP/1.1 200") && asked.contains("sha256="), "{asked}");
    let again = answer(format!("{hello}x-twotick-nonce: 12346\r\n\r\n")).await;
    assert_ne!(asked.split("\r\n\r\n").nth(1), again.split("\r\n\r\n").nth(1), "each question has its proof");
    assert!(answer(format!("{hello}\r\n")).await.starts_with("HTTP/1.1 400"));

    for (host, status) in [
        ("localhost", 303),
        ("twotick.internal:8081", 303),
        ("console.example.com", 303),
        ("evil.example", 421),
        ("example.com", 421),
    ] {
        let front = answer(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(front.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {front}");
        assert_eq!(front.contains("location: /console\r\n"), status == 303, "{front}");
    }
    let evil = answer(format!("{}Host: evil.example\r\n\r\n", "GET /operator/hello HTTP/1.1\r\n")).await;
    assert!(evil.starts_with("HTTP/1.1 421"), "{evil}");
}

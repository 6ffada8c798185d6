//! Malformed requests.

use crate::world::KEY;

const MIB: usize = 1024 * 1024;

/// Requests that no honest client sends. None may succeed, nor may a request hidden in one.
pub fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let hidden = "GET /healthz HTTP/1.1\r\nhost: twotick\r\n\r\n";
    let framed = |headers: &str, body: &str| {
        format!("POST /webhooks/whatsapp HTTP/1.1\r\nhost: twotick\r\n{headers}\r\n{body}{hidden}")
            .into_bytes()
    };
    let api = |headers: &str, body: &str| {
        let bearer = format!("authorization: Bearer {KEY}\r\ncontent-type: application/json\r\n");
        let length = format!("content-length: {}\r\nconnection: close\r\n", body.len());
        format!("POST /v1/verifications HTTP/1.1\r\nhost: twotick\r\n{bearer}{length}{headers}\r\n{body}")
            .into_bytes()
    };
    let head = |line: &str| format!("{line}\r\nhost: twotick\r\n\r\n").into_bytes();
    let chunked = "transfer-encoding: chunked\r\n";
    vec![
        ("chunked and a length", framed(&format!("{chunked}content-length: 4\r\n"), "0\r\n\r\n")),
        ("a length and chunked", framed(&format!("content-length: 4\r\n{chunked}"), "0\r\n\r\n")),
        ("two lengths", framed("content-length: 0\r\ncontent-length: 44\r\n", "")),
        ("a list of lengths", framed("content-length: 0, 44\r\n", "")),
        ("a signed length", framed("content-length: +44\r\n", "")),
        ("a negative length", framed("content-length: -1\r\n", "")),
        ("a length in hexadecimal", framed("content-length: 0x2c\r\n", "")),
        ("a length past all bounds", framed("content-length: 99999999999999999999\r\n", "")),
        ("a length of 1 GB", framed("content-length: 1000000000\r\n", "")),
        ("chunked in disguise", framed("transfer-encoding: xchunked\r\n", "0\r\n\r\n")),
        ("chunked twice", framed("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        ("chunked and more", framed("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("chunked behind a tab", framed("transfer-encoding:\tx\tchunked\r\n", "0\r\n\r\n")),
        ("a space before the colon", framed("content-length : 44\r\n", "")),
        ("a folded header", framed("x-a: b\r\n content-length: 44\r\n", "")),
        ("a header without a name", framed(": b\r\n", "")),
        ("a zero in a header", framed("x-a: \0\r\n", "")),
        ("a chunk past all bounds", framed(chunked, "fffffffffffffffff\r\n")),
        ("a negative chunk", framed(chunked, "-1\r\n")),
        ("a chunk of letters", framed(chunked, "zz\r\n")),
        ("a chunk that lies", framed(chunked, "1\r\nabc\r\n0\r\n\r\n")),
        ("a header of 1 MB", head(&format!("GET /healthz HTTP/1.1\r\nx-a: {}", "a".repeat(MIB)))),
        ("ten thousand headers", head(&format!("GET /healthz HTTP/1.1{}", "\r\nx-a: b".repeat(10_000)))),
        ("an address of 1 MB", head(&format!("GET /{} HTTP/1.1", "a".repeat(MIB)))),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(40)),
        ("HTTP of tomorrow", head("GET /healthz HTTP/9.9")),
        ("HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a method of blanks", head("    /healthz HTTP/1.1")),
        ("zeros", vec![0; 4096]),
        ("garbage behind garbage", b"\x00\xff\r\n\r\n".repeat(1_000)),
        ("deep lists", api("", &format!("{{\"to\":{}", "[".repeat(60_000)))),
        ("deep objects", api("", &"{\"a\":".repeat(12_000))),
        ("a body of another kind", api("content-encoding: gzip\r\n", "{}")),
        ("more than the API takes", api("", &" ".repeat(65 * 1024))),
    ]
}

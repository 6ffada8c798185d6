//! The server of these tests as a separate process, with providers that may be behind a proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::checker::Seen;
use crate::setup::{Setup, free_address};
use crate::world::{Home, Server};

/// The delay before a retry.
const A_MOMENT: Duration = Duration::from_millis(50);

/// The settings that differ between the tests.
pub struct ServerSetup {
    /// The address of Meta's and the carrier's stand-ins.
    pub providers: SocketAddr,
    pub deliver_within: &'static str,
    pub code_ttl: &'static str,
    /// Appended to the configuration.
    pub more: String,
}

/// Short time-outs for providers; many clients, patient with a server under attack.
pub fn home(folder: &Path, setup: &ServerSetup) -> Home {
    let ServerSetup { providers, deliver_within, code_ttl, more } = setup;
    let setup = Setup {
        listen: free_address(),
        providers: &format!("http://{providers}"),
        folder,
        deliver_within,
        code_ttl,
        channels: "connect_timeout = \"500ms\"\ntimeout = \"1s\"",
    };
    Home::with(folder, setup.listen, &(setup.text() + more), Duration::from_secs(30))
}

/// Creates a verification. Retries if a pooled connection was closed as idle.
pub async fn created(home: &Home, body: &Value, key: &str) -> Value {
    loop {
        match home.post("/v1/verifications", body, Some(key)).await {
            Ok((201, created)) => return created,
            Ok((408, _)) | Err(_) => tokio::time::sleep(A_MOMENT).await,
            Ok((status, answer)) => panic!("a create was answered with {status}: {answer}"),
        }
    }
}

/// Sends a provider's report until it is answered, and returns the status.
pub async fn report(home: &Home, seen: &Seen, status: &str) -> u16 {
    loop {
        let answer = match &*seen.channel {
            "sms" => home.sms_report(&seen.reference, status).await,
            _ => home.statuses(&[(&seen.provider_ref, status, Some(&seen.reference))]).await,
        };
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(408) | Err(_) => tokio::time::sleep(A_MOMENT).await,
            Ok(status) => return status,
        }
    }
}

/// The peak memory of the process in MiB (`VmHWM`).
pub fn peak_memory(server: &Server) -> u64 {
    memory(server, "VmHWM:")
}

/// The current memory in MiB (`VmRSS`).
pub fn memory_now(server: &Server) -> u64 {
    memory(server, "VmRSS:")
}

/// Resets [`peak_memory`].
pub fn forget_peak(server: &Server) {
    fs::write(format!("/proc/{}/clear_refs", server.child.id()), "5").unwrap();
}

fn memory(server: &Server, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024
}

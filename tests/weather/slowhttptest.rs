//! Uses slowhttptest (from Debian's package) to check whether the server withstands slow clients.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use twotick::clock::Stopwatch;

use crate::attacks::{End, Ended, LIMIT};
use crate::connections::{ports_of, still_connected};
use crate::privilege::can_run;
use crate::proof::figure;

/// Connections per mode, opened within a second.
const CONNECTIONS: usize = 200;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The time-out for opening all connections, on a machine under load.
const CONNECTS_WITHIN: Duration = Duration::from_secs(6);

struct Way {
    name: &'static str,
    path: &'static str,
    options: &'static [&'static str],
}

const WAYS: [Way; 3] = [
    // A header every two seconds.
    Way { name: "slowhttptest -H", path: "/healthz", options: &["-H", "-i", "2"] },
    // A few bytes of 8 KiB every two seconds.
    Way { name: "slowhttptest -B", path: "/webhooks/whatsapp", options: &["-B", "-s", "8192", "-i", "2"] },
    // Requests 150 KB and reads 32 bytes every five seconds.
    Way {
        name: "slowhttptest -X",
        path: "/openapi.json",
        options: &["-X", "-k", "3", "-w", "10", "-y", "20", "-n", "5", "-z", "32"],
    },
];

/// Runs all modes concurrently. Returns the end of each connection as seen by the server.
pub async fn attack(addr: SocketAddr) -> Vec<Ended> {
    if !can_run("slowhttptest", &["slowhttptest"]) {
        return Vec::new();
    }
    let attacks = WAYS.map(|way| tokio::spawn(one(addr, way)));
    let mut ended = Vec::new();
    for attack in attacks {
        ended.extend(attack.await.unwrap());
    }
    ended
}

async fn one(addr: SocketAddr, way: Way) -> Vec<Ended> {
    let took = Stopwatch::start();
    let attacker = Attacker::start(addr, &way);
    let (mut most, mut left) = (0, 0);
    while took.elapsed() < CONNECTS_WITHIN + LIMIT && (most == 0 || left > 0) {
        tokio::time::sleep(LOOK_EVERY).await;
        let process = attacker.0.id();
        let look = move || still_connected(addr.port(), &ports_of(process, addr.port()));
        left = tokio::task::spawn_blocking(look).await.unwrap();
        most = most.max(left);
    }
    figure(
        "slowhttptest",
        &[
            ("way", way.options[0].to_owned()),
            ("connections", most.to_string()),
            ("left", left.to_string()),
            ("slowest_end_ms", took.elapsed().as_millis().to_string()),
        ],
    );
    assert!(most * 10 >= CONNECTIONS * 9, "{} made {most} of {CONNECTIONS} connections", way.name);
    let end = |n| if n < left { End::Open } else { End::Closed };
    (0..most).map(|n| (end(n), took.elapsed(), way.name)).collect()
}

struct Attacker(Child);

impl Attacker {
    fn start(addr: SocketAddr, way: &Way) -> Self {
        let (many, url) = (CONNECTIONS.to_string(), format!("http://{addr}{}", way.path));
        let seconds = (2 * LIMIT.as_secs()).to_string();
        let mut command = Command::new("slowhttptest");
        command.args(way.options).args(["-c", &many, "-r", &many, "-l", &seconds, "-u", &url]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("slowhttptest runs"))
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

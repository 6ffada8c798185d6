//! Debian's chromedriver, which starts and stops the browsers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use twotick::clock::Stopwatch;

/// The time-out for starting, and for stopping all browsers, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stops itself and all its browsers when dropped.
pub struct Driver {
    child: Child,
    port: u16,
    /// Profiles and sockets of the browsers.
    folder: TempDir,
}

impl Driver {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver cannot be started ({error}); tests/run installs it")
            });
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (told, port) = mpsc::channel();
        // Drains the pipe, so that the driver never blocks on it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
                    let _ = told.send(port.trim_end_matches('.').parse::<u16>());
                }
            }
        });
        let port = port.recv_timeout(PATIENCE).expect("the driver starts").expect("a port");
        Self { child, port, folder }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new folder for a browser's profile.
    pub fn profile(&self) -> TempDir {
        TempDir::new_in(self.folder.path()).expect("a folder")
    }

    /// Requests a shutdown that closes every browser.
    fn ask_to_end(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let asked = self.ask_to_end();
        let waiting = Stopwatch::start();
        while asked.is_ok() && waiting.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! SIGTERM and SIGINT: the first requests an orderly stop, the second ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Exit;

/// SIGHUP, the request to reload. From this call on it does not end the process. Needs a runtime.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Listens from its creation until it is dropped.
pub(super) struct Signals {
    first: CancellationToken,
    listening: JoinHandle<()>,
}

impl Signals {
    /// Needs a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let first = CancellationToken::new();
        let token = first.clone();
        let listening = tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            next().await;
            token.cancel();
            next().await;
            tracing::warn!("second signal: exiting at once");
            std::process::exit(Exit::Failed as i32);
        });
        Ok(Self { first, listening })
    }

    /// Waits for the first signal.
    pub(super) async fn stop_asked(&self) {
        self.first.cancelled().await;
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

//! SIGTERM and ctrl-c: the first asks for an orderly stop, the second ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Exit;

/// SIGHUP, which asks for the configuration to be read again. From here on it does not end the process. Needs a runtime.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Listens from its making on. Dropping it stops listening.
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
        let told = first.clone();
        let listening = tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            next().await;
            told.cancel();
            next().await;
            tracing::warn!("a second signal: ending at once");
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

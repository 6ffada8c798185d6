//! Whether the server takes requests, and the signal that it stops, which ends everything that waits.

use tokio::sync::watch;

/// The phase that a server is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    Serving,
    /// Stopping: not ready for more; long polls and streams end, every other request is finished.
    Draining,
}

/// Ready when the server begins to stop, at once if it already has. Cancel-safe.
pub async fn draining(lifecycle: &mut watch::Receiver<Lifecycle>) {
    // An error means that the server is gone, and there is nothing to wait for.
    let _ = lifecycle.wait_for(|phase| *phase == Lifecycle::Draining).await;
}

//! File descriptors: every connection needs one, and the default limit of a process is often 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reserve for the store, the log, provider connections and the admin listener.
const BESIDE_CONNECTIONS: u64 = 1_024;

/// Lower bound, however few descriptors are allowed.
const FEWEST_CONNECTIONS: u64 = 64;

/// Raises the soft limit to fit `connections`, within the hard limit. Returns for how many connections the limit
/// suffices, and warns if that is fewer.
pub fn allow(connections: usize) -> usize {
    let wanted = connections as u64 + BESIDE_CONNECTIONS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let granted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(granted), maximum });
    if raised.is_err() || granted < wanted {
        tracing::warn!(wanted, granted, "too few file descriptors for `server.max_connections`");
    }
    let possible = if raised.is_ok() { Some(granted) } else { current };
    let room = possible.unwrap_or(wanted).saturating_sub(BESIDE_CONNECTIONS).max(FEWEST_CONNECTIONS);
    connections.min(usize::try_from(room).unwrap_or(usize::MAX))
}

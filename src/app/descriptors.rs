//! File descriptors: each connection takes one, and where nobody asks for more a process gets 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the store, the log, the calls to providers and the admin listener.
const BESIDE_CONNECTIONS: u64 = 1_024;

/// However few descriptors are allowed.
const FEWEST_CONNECTIONS: u64 = 64;

/// Asks for as many as `connections` need, within what this process may ask for. How many connections that is room for;
/// where it is less, the log says so.
pub fn allow(connections: usize) -> usize {
    let wanted = connections as u64 + BESIDE_CONNECTIONS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let granted = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(granted), maximum });
    if raised.is_err() || granted < wanted {
        tracing::warn!(
            wanted,
            granted,
            "there are fewer file descriptors than `server.max_connections` needs"
        );
    }
    let possible = if raised.is_ok() { Some(granted) } else { current };
    let room = possible.unwrap_or(wanted).saturating_sub(BESIDE_CONNECTIONS).max(FEWEST_CONNECTIONS);
    connections.min(usize::try_from(room).unwrap_or(usize::MAX))
}

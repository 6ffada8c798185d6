//! Connections as listed by the kernel, which closes some without notifying the peer.

use std::fs;

/// The number of `remote` ports to which `local` still has a connection.
pub fn still_connected(local: u16, remote: &[u16]) -> usize {
    let is_one = |(_, from, to): &&(String, u16, u16)| *from == local && remote.contains(to);
    established().iter().filter(is_one).count()
}

/// The ports of a process connected to `remote`. Empty if it has ended.
pub fn ports_of(process: u32, remote: u16) -> Vec<u16> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().filter_map(Result::ok);
    let links = files.filter_map(|file| fs::read_link(file.path()).ok());
    let sockets: Vec<_> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let mut all = established();
    all.retain(|(inode, _, to)| *to == remote && sockets.contains(&format!("socket:[{inode}]")));
    all.into_iter().map(|(_, port, _)| port).collect()
}

/// Inode, local and remote port.
fn established() -> Vec<(String, u16, u16)> {
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let one = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // 01 is established; closing sockets belong to the kernel alone.
        let found = (fields.get(9)?.to_string(), port(fields[1])?, port(fields[2])?);
        (fields[3] == "01").then_some(found)
    };
    table.lines().skip(1).filter_map(one).collect()
}

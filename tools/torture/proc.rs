//! What /proc tells of nginx's processes.

use std::collections::BTreeSet;
use std::fs;

use fixture::process;

/// All children of the master, those too that have not told yet what they are.
pub fn children(master: u32) -> BTreeSet<u32> {
    process::children(master).into_iter().map(|(pid, _)| pid).collect()
}

/// Children that are neither workers nor just forked, and whom the master replaces: nginx's helper.
pub fn helpers(master: u32) -> BTreeSet<u32> {
    const OTHERS: [&str; 4] = ["worker process", "master process", "cache loader process", "shutting down"];
    let is_helper = |line: &str| !OTHERS.iter().any(|other| line.contains(other));
    process::children(master).into_iter().filter(|(_, line)| is_helper(line)).map(|(pid, _)| pid).collect()
}

/// Whether a process is there and not just waiting to be reaped.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|fields| !fields.is_empty() && !fields.starts_with('Z'))
}

/// Kilobytes of a process's own memory, without what it shares.
pub fn own_memory_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

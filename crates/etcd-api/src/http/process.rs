//! What the operating system tells about this process, under Prometheus' usual names.

use std::fs;

/// Name, help text, value.
pub(super) type ProcessMetric = (&'static str, &'static str, f64);

/// Linux reports processor time in ticks of 10 ms and memory in pages of 4 KiB to user programs on
/// every platform we build for.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

/// 2^64.
const UNLIMITED: f64 = 18_446_744_073_709_551_616.0;

/// Gathered anew on every call; what cannot be read is left out.
pub(super) fn metrics() -> Vec<ProcessMetric> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let traffic = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).ok().map(count);
    let open_max = limit(&limits, "Max open files");
    let cpu = stat_field(&stat, 14).zip(stat_field(&stat, 15));
    let started_ticks = stat_field(&stat, 22).zip(boot_time_s());
    let metrics = [
        (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            cpu.map(|(user, system)| (user + system) / TICKS_PER_SECOND),
        ),
        ("process_open_fds", "Number of open file descriptors.", open),
        ("process_max_fds", "Maximum number of open file descriptors.", open_max),
        ("os_fd_used", "The number of used file descriptors.", open),
        ("os_fd_limit", "The file descriptor limit.", open_max),
        (
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            limit(&limits, "Max address space"),
        ),
        (
            "process_network_receive_bytes_total",
            "Number of bytes received by the process over the network.",
            octets(&traffic, "InOctets"),
        ),
        (
            "process_network_transmit_bytes_total",
            "Number of bytes sent by the process over the network.",
            octets(&traffic, "OutOctets"),
        ),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", stat_field(&stat, 23)),
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            stat_field(&stat, 24).map(|pages| pages * PAGE_BYTES),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started_ticks.map(|(ticks, boot)| boot + ticks / TICKS_PER_SECOND),
        ),
    ];
    metrics.into_iter().filter_map(|(name, help, value)| Some((name, help, value?))).collect()
}

/// A field of `/proc/self/stat` by its number in proc(5); the second, the name, may hold spaces.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// The soft limit of that name.
fn limit(limits: &str, name: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_ascii_whitespace().next()? {
        // As Prometheus' own client tells it.
        "unlimited" => Some(UNLIMITED),
        bound => bound.parse().ok(),
    }
}

/// Of the network namespace, which is what Prometheus' own client tells too: a line of names, and
/// one of numbers in the same order.
fn octets(netstat: &str, name: &str) -> Option<f64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let place = lines.next()?.split(' ').position(|field| field == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
}

fn boot_time_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a count of descriptors is far below 2^52")]
fn count(files: usize) -> f64 {
    files as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_with_spaces_and_brackets() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 31 12";
        assert_eq!(stat_field(stat, 4), Some(1.0));
        assert_eq!(stat_field(stat, 14), Some(31.0));
        assert_eq!(stat_field(stat, 99), None);
    }

    #[test]
    fn limits_and_traffic_are_found_by_their_names() {
        let limits = "Max open files            1024   4096   files\n\
                      Max address space         unlimited unlimited bytes\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(limit(limits, "Max address space"), Some(UNLIMITED));
        assert_eq!(limit(limits, "Max cpu time"), None);
        let netstat = "TcpExt: A InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets\nIpExt: 3 4\n";
        assert_eq!(octets(netstat, "InOctets"), Some(4.0));
        assert_eq!(octets(netstat, "OutOctets"), None);
    }
}

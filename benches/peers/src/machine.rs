//! What a figure was measured on, as far as the machine tells.

use std::fs;

/// Describes processor and kernel in one line.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |it| {
        it.trim_start_matches([' ', '\t', ':'])
    });
    // Not `available_parallelism`, which tells of the cores that this thread is kept on.
    let cores = cpu.lines().filter(|line| line.starts_with("processor"));
    let cores = cores.count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

/// Returns how many processes were ready to run, on average over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Returns the version of a package that this program was built with.
pub(crate) fn version_of(package: &str) -> &'static str {
    // A lock file has a package's version in the line behind its name.
    const LOCK: &str = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name);
    let version = lines.nth(1).and_then(|it| it.strip_prefix("version = \""));
    version.map_or("?", |it| it.trim_end_matches('"'))
}

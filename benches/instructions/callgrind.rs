//! Counting: this program runs a row once more, under callgrind.
//!
//! It does so twice, for two numbers of batches: what the longer run takes more has neither set-up
//! nor warm-up in it.

use std::env;
use std::process::Command;

use super::Row;

/// The instructions of one operation.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) instructions: f64,
}

pub(super) fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

pub(super) fn count(row: &Row) -> Figure {
    let more = collect(&row.name, WARM_UP + BATCHES) - collect(&row.name, WARM_UP);
    Figure {
        name: row.name.clone(),
        instructions: more as f64 / (BATCHES * row.operations) as f64,
    }
}

/// Returns the instructions of a whole process that runs batches of a row.
fn collect(name: &str, batches: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this program has a path"))
        .args([RUN, name, &batches.to_string()])
        .env("GLIBC_TUNABLES", NO_REP)
        .output()
        .expect("valgrind is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    match collected.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() => count,
        _ => panic!("callgrind did not count {name}:\n{log}"),
    }
}

/// Has this program run batches of a row: `--run ROW BATCHES`.
pub(super) const RUN: &str = "--run";

/// So many that buffers have grown to their lengths.
const WARM_UP: usize = 50;

/// So many that what happens once in a while, such as new masking keys, has its share.
const BATCHES: usize = 1000;

/// Keeps the C library from `rep movsb`, of which callgrind counts every byte.
const NO_REP: &str = "glibc.cpu.x86_rep_movsb_threshold=1000000000:\
    glibc.cpu.x86_rep_stosb_threshold=1000000000";

//! What the two processes hold, and whether that is flat.

use std::error::Error;
use std::fmt::{self, Write};
use std::fs;
use std::time::Duration;

/// Reads how many bytes of a process are in memory.
pub(crate) fn resident_len(pid: u32) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|it| it.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.ok_or("status has no VmRSS")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

/// What server and clients held, and when.
#[derive(Debug)]
pub(crate) struct Samples {
    lasts: Duration,
    samples: Vec<(Duration, [u64; 2])>,
}

impl Samples {
    pub(crate) const fn new(lasts: Duration) -> Self {
        Self {
            lasts,
            samples: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, at: Duration, resident: [u64; 2]) {
        self.samples.push((at, resident));
    }

    /// Says which process grew, if one did: by more than a tenth, and 16 MiB, in the second half of
    /// the time. In the first the allocator still learns what it will need.
    pub(crate) fn growth(&self) -> Option<String> {
        let [_, _, middle, end] = self.marks();
        let grown = (0..2).find(|&who| end[who] > middle[who] / 10 * 11 + (16 << 20))?;
        Some(format!("{} grew", NAMES[grown]))
    }

    pub(crate) fn table(&self) -> String {
        let mut table = "RSS in MiB   start   at 1/4   middle      end\n".to_owned();
        let marks = self.marks();
        for (who, name) in NAMES.iter().enumerate() {
            let [start, settled, middle, end] = marks.map(|mark| mark[who] >> 20);
            // Writing into a `String` cannot fail.
            let _ = writeln!(
                table,
                "{name:<10} {start:>7}  {settled:>7}  {middle:>7}  {end:>7}"
            );
        }
        table
    }

    /// The first sample, those at a quarter and at half of the time, and the last.
    fn marks(&self) -> [[u64; 2]; 4] {
        [
            Duration::ZERO,
            self.lasts / 4,
            self.lasts / 2,
            Duration::MAX,
        ]
        .map(|time| {
            let later = self.samples.iter().find(|(at, _)| *at >= time);
            let sample = later.or(self.samples.last());
            sample.map_or([0, 0], |(_, resident)| *resident)
        })
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [server, clients] = self
            .samples
            .last()
            .map_or([0, 0], |(_, resident)| *resident);
        write!(f, "RSS {} + {} MiB", server >> 20, clients >> 20)
    }
}

const NAMES: [&str; 2] = ["server", "clients"];

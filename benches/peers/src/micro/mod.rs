//! What a library takes in process, without a kernel: decoding, encoding, masking, the handshake.
//!
//! Each measures nanoseconds per message (or call) beside a hand-written floor, over a stream in
//! memory that is always ready. Every answer is compared byte for byte before anything is measured.
//! README.md has the method.

mod decode;
mod encode;
mod frames;
mod handshake;
mod kernels;
mod mask;
mod sockets;
mod stream;

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::figures::{Figures, Judged, Sample, Subject};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Once, in short samples: a look, not a figure.
    #[arg(long, conflicts_with = "reps")]
    pub(crate) quick: bool,

    /// How often everything is measured; the best counts.
    #[arg(long, value_name = "N", default_value_t = REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// Only these groups of rows.
    #[arg(long, value_name = "GROUP", value_delimiter = ',', value_parser = group_names())]
    pub(crate) groups: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figures>, Box<dyn Error>> {
    // Some ask tokio for a timer before they are polled; nothing is ever run on it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _context = runtime.enter();
    let (repetitions, interval) = match options.quick {
        true => (1, INTERVAL / 4),
        false => (options.reps, INTERVAL),
    };
    let groups = (GROUPS.iter())
        .filter(|it| options.groups.is_empty() || options.groups.iter().any(|name| name == it.name))
        .map(|group| group.measure(repetitions, interval));
    groups.collect()
}

/// Rows that are measured with the same subjects.
struct Group {
    name: &'static str,
    title: &'static str,
    rows: &'static [&'static str],
    subjects: fn() -> Vec<Subject>,
    /// Everything is done in multiples of this.
    unit: usize,
    /// Prepares a row (by its number) with a subject, and checks its answers.
    prepare: fn(usize, usize) -> Result<Run, Failure>,
}

/// Does what is measured so many times.
type Run = Box<dyn FnMut(usize) -> Result<(), Failure>>;

type Failure = Box<dyn Error>;

const GROUPS: &[Group] = &[
    decode::BINARY,
    decode::TEXT,
    encode::EACH,
    encode::BATCHES,
    encode::CLIENT,
    mask::ALIGNED,
    mask::MISALIGNED,
    handshake::HANDSHAKE,
];

fn group_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        GROUPS
            .iter()
            .map(|it| PossibleValue::new(it.name).help(it.title)),
    )
}

/// What is measured, and how often in one sample.
struct Case {
    run: Run,
    unit: usize,
    count: usize,
}

impl Group {
    fn measure(&self, repetitions: u32, interval: Duration) -> Result<Figures, Failure> {
        let mut figures = Figures::new(
            self.name,
            self.title.into(),
            "ns",
            Judged::ByBest,
            self.rows.iter().map(|row| (*row).into()).collect(),
            (self.subjects)(),
        );
        let mut cases = HashMap::new();
        for _ in 0..repetitions {
            figures.repeat(repetitions, |row, subject| {
                let mut case = match cases.remove(&(row, subject)) {
                    Some(case) => case,
                    None => Case::new((self.prepare)(row, subject)?, self.unit, interval)?,
                };
                let cost = case.measure()?;
                cases.insert((row, subject), case);
                Ok(Sample {
                    cost,
                    notes: Vec::new(),
                })
            })?;
        }
        Ok(figures)
    }
}

impl Case {
    /// Finds out how many fill a sample.
    fn new(mut run: Run, unit: usize, interval: Duration) -> Result<Self, Failure> {
        let mut count = unit;
        loop {
            let started = Instant::now();
            run(black_box(count))?;
            let elapsed = started.elapsed();
            if elapsed >= interval / 4 {
                let units = interval.as_secs_f64() / elapsed.as_secs_f64();
                let units = units * (count / unit) as f64;
                // Positive, and far from what would not fit.
                let count = (units.ceil() as usize).max(1) * unit;
                return Ok(Self { run, unit, count });
            }
            count *= 2;
        }
    }

    /// Returns the median of some samples, in nanoseconds for one.
    fn measure(&mut self) -> Result<f64, Failure> {
        // What was last used is another case: this one is brought back to the caches.
        (self.run)((self.count / self.unit / 8).max(1) * self.unit)?;
        let mut samples = [0.0; SAMPLES];
        for sample in &mut samples {
            let started = Instant::now();
            (self.run)(black_box(self.count))?;
            *sample = started.elapsed().as_secs_f64() * 1e9 / self.count as f64;
        }
        samples.sort_by(f64::total_cmp);
        Ok(samples[SAMPLES / 2])
    }
}

/// How many messages share a flush.
const BATCH: usize = 64;

/// How often everything is measured, unless told otherwise.
pub(crate) const REPETITIONS: u32 = 11;

const SAMPLES: usize = 9;

/// How long a sample takes: less than the turn of another process on the same core.
const INTERVAL: Duration = Duration::from_millis(1);

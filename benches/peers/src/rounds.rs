//! Rounds of a measurement of servers: each round starts them all anew, and measures them in turn.
//!
//! Servers run on one core and the load on another. What the load is, it does not know.

use std::error::Error;
use std::time::Instant;

use crate::figures::{Figures, Sample};
use crate::process::{self, ServerProcess};
use crate::servers::Server;

/// Keeps this thread on the core of the load, and raises its limits.
pub(crate) fn prepare() -> Result<(), Box<dyn Error>> {
    process::raise_file_limit()?;
    // Whoever measured before may have kept this thread on a core: that there are two shows here.
    let pinned = process::pin_to_core(SERVER_CORE).and_then(|()| process::pin_to_core(LOAD_CORE));
    pinned.map_err(|error| {
        format!("it takes a core for the server and another for the load: {error}").into()
    })
}

/// Measures the rows of `figures` with all servers, which are its subjects, so many times.
pub(crate) fn measure(
    figures: &mut Figures,
    servers: &[&'static Server],
    repetitions: u32,
    mut measure: impl FnMut(usize, &Server, &ServerProcess) -> Result<Sample, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let core = SERVER_CORE.to_string();
    let options = ["--workers", "none", "--core", &core];
    for _ in 0..repetitions {
        let processes: Result<Vec<_>, _> = (servers.iter())
            .map(|server| ServerProcess::start(server, &options))
            .collect();
        let processes = processes?;
        figures.repeat(repetitions, |row, place| {
            measure(row, servers[place], &processes[place])
        })?;
    }
    Ok(())
}

/// The time that a server takes, from when this is made.
pub(crate) struct Stopwatch<'a> {
    process: &'a ServerProcess,
    cpu_seconds: f64,
    started: Instant,
}

impl<'a> Stopwatch<'a> {
    pub(crate) fn start(process: &'a ServerProcess) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            process,
            cpu_seconds: process.cpu_time()?.as_secs_f64(),
            started: Instant::now(),
        })
    }

    /// Divides the time of processors since then by what was done in it.
    pub(crate) fn stop(self, done: f64) -> Result<Sample, Box<dyn Error>> {
        let cpu = self.process.cpu_time()?.as_secs_f64() - self.cpu_seconds;
        let elapsed = self.started.elapsed().as_secs_f64();
        Ok(Sample {
            cost: cpu * 1e9 / done,
            notes: vec![
                ("busy", cpu / elapsed),
                ("done", done),
                ("per_second", done / elapsed),
            ],
        })
    }
}

/// How often everything is measured, unless told otherwise.
pub(crate) const REPETITIONS: u32 = 5;

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

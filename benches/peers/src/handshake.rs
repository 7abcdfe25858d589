//! The time of a processor that a server takes for a connection: connect, upgrade, close.
//!
//! A load on one core opens connections in batches, asks for the upgrade on all of a batch, closes
//! all of them, and the kernel says how much time the server's process took. README.md has the
//! method.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::figures::{Figures, Judged, Sample};
use crate::process::ServerProcess;
use crate::rounds::{self, Stopwatch};
use crate::servers::{self, Measured, Server};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Once: a look, not a figure.
    #[arg(long, conflicts_with = "reps")]
    pub(crate) quick: bool,

    /// How often everything is measured, each time with new servers.
    #[arg(long, value_name = "N", default_value_t = rounds::REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// Only this server, and the floors; may be given more than once.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', value_parser = crate::names_measured_by(Measured::Handshake))]
    pub(crate) only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figures>, Box<dyn Error>> {
    rounds::prepare()?;
    let repetitions = if options.quick { 1 } else { options.reps };
    let servers = servers::with_floors(Measured::Handshake, &options.only);
    let mut figures = Figures::new(
        "handshake",
        "Server CPU time of a connection: connect, upgrade, close".into(),
        "ns",
        Judged::ByMedianRatio,
        vec!["handshake".into()],
        servers.iter().map(|server| (*server).into()).collect(),
    );
    rounds::measure(&mut figures, &servers, repetitions, |_, server, process| {
        measure_once(server, process)
    })?;
    Ok(vec![figures])
}

/// Measures a server once.
fn measure_once(server: &Server, process: &ServerProcess) -> Result<Sample, Box<dyn Error>> {
    run_for(WARM_UP, server, process)?;
    let stopwatch = Stopwatch::start(process)?;
    let connections = run_for(INTERVAL, server, process)?;
    stopwatch.stop(connections)
}

/// Opens and closes connections, and returns how many. Every answer is checked.
fn run_for(
    interval: Duration,
    server: &Server,
    process: &ServerProcess,
) -> Result<f64, Box<dyn Error>> {
    let until = Instant::now() + interval;
    let mut batches = 0;
    while Instant::now() < until {
        let mut clients = Client::open(process.address(), server.protocol, 0..BATCH)?;
        clients.iter_mut().try_for_each(Client::send_close)?;
        clients.iter_mut().try_for_each(Client::receive_close)?;
        batches += 1;
    }
    Ok(f64::from(batches * BATCH))
}

/// How many connections are opened together: fewer than the shortest backlog, which is 128.
const BATCH: u32 = 64;

const WARM_UP: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(400);

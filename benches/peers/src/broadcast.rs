//! The time of a processor that a server takes to deliver a message to one of a thousand receivers.
//!
//! One connection sends, and the server sends what comes to all others. A load on another core
//! sends the next messages when all receivers have the last ones. README.md has the method.

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::figures::{Figures, Judged, Sample};
use crate::load::{Load, Waiting};
use crate::process::ServerProcess;
use crate::rounds::{self, Stopwatch};
use crate::servers::{self, Measured, Server};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Once, with 200 receivers: a look, not a figure.
    #[arg(long, conflicts_with_all = ["reps", "receivers"])]
    pub(crate) quick: bool,

    /// How often everything is measured, each time with new servers.
    #[arg(long, value_name = "N", default_value_t = rounds::REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// How many connections receive what one sends.
    #[arg(long, value_name = "N", default_value_t = RECEIVERS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) receivers: u32,

    /// Only this server, and the floors; may be given more than once.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', value_parser = crate::names_measured_by(Measured::Broadcast))]
    pub(crate) only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figures>, Box<dyn Error>> {
    rounds::prepare()?;
    let (repetitions, receivers) = match options.quick {
        true => (1, 200),
        false => (options.reps, options.receivers),
    };
    let servers = servers::with_floors(Measured::Broadcast, &options.only);
    let mut figures = Figures::new(
        "broadcast",
        format!("Server CPU time of a broadcast to {receivers}, per delivery"),
        "ns",
        Judged::ByMedianRatio,
        IN_FLIGHT.map(|it| format!("{it} in flight")).to_vec(),
        servers.iter().map(|server| (*server).into()).collect(),
    );
    rounds::measure(
        &mut figures,
        &servers,
        repetitions,
        |row, server, process| measure_once(IN_FLIGHT[row], receivers, server, process),
    )?;
    Ok(vec![figures])
}

/// Measures a server in a row once.
fn measure_once(
    in_flight: u64,
    receivers: u32,
    server: &Server,
    process: &ServerProcess,
) -> Result<Sample, Box<dyn Error>> {
    let mut load = open(in_flight, receivers, server, process)?;
    let run_for = |load: &mut Load, interval| -> Result<f64, Box<dyn Error>> {
        let (until, before) = (Instant::now() + interval, load.replies());
        while Instant::now() < until {
            load.send(SENDER, in_flight, in_flight * u64::from(receivers))?;
            load.drain()?;
        }
        Ok(load.replies() - before)
    };
    run_for(&mut load, WARM_UP)?;
    let stopwatch = Stopwatch::start(process)?;
    let deliveries = run_for(&mut load, INTERVAL)?;
    stopwatch.stop(deliveries)
}

/// Opens the connections, and compares the first message at each receiver byte for byte.
fn open(
    in_flight: u64,
    receivers: u32,
    server: &Server,
    process: &ServerProcess,
) -> Result<Load, Box<dyn Error>> {
    let mut clients = Client::open(process.address(), server.protocol, 0..receivers + 1)?;
    // Who has the answer to its request is not in the group for certain, and whoever left with the
    // measurement before may still be.
    thread::sleep(SETTLE);
    let (sender, receivers) = clients.split_first_mut().ok_or("nobody sends")?;
    sender.send_message(MESSAGE_LEN)?;
    for receiver in receivers {
        receiver.receive_from(sender, MESSAGE_LEN)?;
    }
    let message = sender.message(MESSAGE_LEN);
    let delivery_len = sender.echo(MESSAGE_LEN).len();
    // Asleep or not when the next delivery comes, which is chance, would be half of the figure.
    Load::new(clients, &message, delivery_len, in_flight, Waiting::Spin)
}

/// How many receive what one sends, unless told otherwise.
pub(crate) const RECEIVERS: u32 = 1_000;

/// How many messages leave in one write, each time that all have the last ones.
const IN_FLIGHT: [u64; 2] = [1, 8];

const MESSAGE_LEN: usize = 125;

/// The connection that sends.
const SENDER: usize = 0;

const SETTLE: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(500);

//! The time of a processor that a server takes for a message.
//!
//! A load generator on one core keeps a number of messages in flight on each connection, a server
//! on another sends them back, and the kernel says how much time the server's process took.
//! README.md has the method.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::client::Client;
use crate::figures::{Figures, Judged, Sample};
use crate::load::{Load, Waiting};
use crate::process::ServerProcess;
use crate::rounds::{self, Stopwatch};
use crate::servers::{self, Measured, Server};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A few rows, once: a look, not a figure.
    #[arg(long, conflicts_with_all = ["reps", "rows"])]
    pub(crate) quick: bool,

    /// How often everything is measured, each time with new servers.
    #[arg(long, value_name = "N", default_value_t = rounds::REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// Only these rows: connections, messages in flight on each, and their size.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = row_names())]
    pub(crate) rows: Vec<String>,

    /// Only this server, and the floors; may be given more than once.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', value_parser = crate::names_measured_by(Measured::Echo))]
    pub(crate) only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figures>, Box<dyn Error>> {
    rounds::prepare()?;
    let (repetitions, interval) = match options.quick {
        true => (1, INTERVAL / 2),
        false => (options.reps, INTERVAL),
    };
    let rows: Vec<_> = (ROWS.iter())
        .filter(|row| match options.quick {
            true => row.is_quick,
            false => options.rows.is_empty() || options.rows.iter().any(|name| name == row.name),
        })
        .collect();
    let servers = servers::with_floors(Measured::Echo, &options.only);
    let mut figures = Figures::new(
        "echo",
        "Server CPU time of an echo: connections × in flight × length".into(),
        "ns",
        Judged::ByMedianRatio,
        rows.iter().map(|row| row.name.into()).collect(),
        servers.iter().map(|server| (*server).into()).collect(),
    );
    rounds::measure(
        &mut figures,
        &servers,
        repetitions,
        |row, server, process| measure_once(rows[row], server, process, interval),
    )?;
    Ok(vec![figures])
}

/// What is exchanged.
#[derive(Debug)]
struct Row {
    name: &'static str,
    connections: u32,
    /// How many messages are under way on each connection.
    in_flight: u64,
    message_len: usize,
    is_quick: bool,
}

const fn row(name: &'static str, connections: u32, in_flight: u64, message_len: usize) -> Row {
    Row {
        name,
        connections,
        in_flight,
        message_len,
        is_quick: false,
    }
}

const fn quick(row: Row) -> Row {
    Row {
        is_quick: true,
        ..row
    }
}

const ROWS: &[Row] = &[
    row("1x1x16B", 1, 1, 16),
    quick(row("32x1x16B", 32, 1, 16)),
    row("32x1x1KiB", 32, 1, 1 << 10),
    row("256x1x16B", 256, 1, 16),
    quick(row("32x64x16B", 32, 64, 16)),
    row("32x64x125B", 32, 64, 125),
    quick(row("32x64x1KiB", 32, 64, 1 << 10)),
    quick(row("32x64x16KiB", 32, 64, 16 << 10)),
    quick(row("1x1x1MiB", 1, 1, 1 << 20)),
    row("1x1x16MiB", 1, 1, 16 << 20),
];

fn row_names() -> PossibleValuesParser {
    PossibleValuesParser::new(ROWS.iter().map(|it| PossibleValue::new(it.name)))
}

/// Measures a server in a row once.
fn measure_once(
    row: &Row,
    server: &Server,
    process: &ServerProcess,
    interval: Duration,
) -> Result<Sample, Box<dyn Error>> {
    let mut load = open(row, server, process)?;
    load.run_for(WARM_UP)?;
    let interval = match row.message_len {
        LONG_MESSAGE.. => 2 * interval,
        _ => interval,
    };
    let (before, stopwatch) = (load.replies(), Stopwatch::start(process)?);
    load.run_for(interval)?;
    let sample = stopwatch.stop(load.replies() - before)?;
    load.drain()?;
    Ok(sample)
}

/// Opens the connections, compares the first echo on each byte for byte, and puts the messages
/// under way.
fn open(row: &Row, server: &Server, process: &ServerProcess) -> Result<Load, Box<dyn Error>> {
    let mut clients = Client::open(process.address(), server.protocol, 0..row.connections)?;
    for client in &mut clients {
        // One after the other, and a long one beside the thread that receives it.
        client.exchange(row.message_len)?;
    }
    let first = clients.first().ok_or("a row without connections")?;
    let message = first.message(row.message_len);
    let echo_len = first.echo(row.message_len).len();
    let mut load = Load::new(clients, &message, echo_len, row.in_flight, Waiting::Sleep)?;
    for link in 0..row.connections as usize {
        load.send(link, row.in_flight, row.in_flight)?;
    }
    Ok(load)
}

const WARM_UP: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(400);

/// From here on there are few messages in an interval, so it is twice as long.
const LONG_MESSAGE: usize = 1 << 20;

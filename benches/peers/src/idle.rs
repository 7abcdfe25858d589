//! The memory that a server holds for an idle connection.
//!
//! A warm-up of connections that stay open puts the server's pools, arenas and per-thread buffers
//! in place; what the others add, divided by their number, is the figure. README.md has the method.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::figures::{Figures, Judged, Sample};
use crate::process::{self, Memory, ServerProcess};
use crate::servers::{self, Measured, Server};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many connections are open in the end.
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS)]
    pub(crate) connections: u32,

    /// 1,000 connections, once: a look, not a figure.
    #[arg(long, conflicts_with_all = ["connections", "reps"])]
    pub(crate) quick: bool,

    /// How often each server is measured, each time as a new process.
    #[arg(long, value_name = "N", default_value_t = REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reps: u32,

    /// Only this server; may be given more than once.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', value_parser = crate::names_measured_by(Measured::Idle))]
    pub(crate) only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Figures>, Box<dyn Error>> {
    process::disable_huge_pages()?;
    let (wanted, repetitions) = match options.quick {
        true => (1_000, 1),
        false => (options.connections, options.reps),
    };
    let connections = limit_connections(wanted)?;
    if connections < 2 * WARM_UP {
        return Err(format!("{connections} connections are too few for a figure").into());
    }
    let servers = servers::measured_by(Measured::Idle, &options.only);
    let mut figures = Figures::new(
        "idle",
        format!(
            "Memory of an idle connection: {connections} connections, {MESSAGE_LEN} bytes exchanged on each"
        ),
        "bytes",
        Judged::ByMedianRatio,
        vec!["idle".into()],
        servers.iter().map(|server| (*server).into()).collect(),
    );
    for _ in 0..repetitions {
        figures.repeat(repetitions, |_, place| {
            measure_once(servers[place], connections)
        })?;
    }
    Ok(vec![figures])
}

/// Lowers a number of connections to what the limit of open files allows, and says so.
fn limit_connections(wanted: u32) -> Result<u32, Box<dyn Error>> {
    let files = process::raise_file_limit()?;
    let allowed = u32::try_from(files).unwrap_or(u32::MAX);
    let allowed = allowed.saturating_sub(FILES_BESIDE);
    if wanted > allowed {
        eprintln!(
            "WARNING: NOT {wanted} BUT {allowed} CONNECTIONS: at most {files} open files are \
             allowed here. The figures are not comparable with those of {wanted}."
        );
    }
    Ok(wanted.min(allowed))
}

/// Measures a server once.
fn measure_once(server: &Server, connections: u32) -> Result<Sample, Box<dyn Error>> {
    let process = ServerProcess::start(server, &["--workers", "two"])?;
    let mut clients = Vec::new();
    let mut progress = Progress::new(server.name, connections);
    open(&mut clients, WARM_UP, server, &process)?;
    let before = settle(&process)?;
    let files_before = process.count_files()?;
    while clients.len() < connections as usize {
        let count = BATCH.min(connections - u32::try_from(clients.len())?);
        open(&mut clients, count, server, &process)?;
        progress.show(clients.len());
    }
    let after = settle(&process)?;
    let added = clients.len() - WARM_UP as usize;
    let still_open = process.count_files()? - files_before;
    if still_open != added {
        return Err(format!("of {added} connections, the server holds {still_open}").into());
    }
    let per_connection = |before: u64, after: u64| (after as f64 - before as f64) / added as f64;
    Ok(Sample {
        cost: per_connection(before.anonymous, after.anonymous),
        notes: vec![("resident", per_connection(before.resident, after.resident))],
    })
}

/// Opens `count` more connections, and exchanges a message on each.
fn open(
    clients: &mut Vec<Client>,
    count: u32,
    server: &Server,
    process: &ServerProcess,
) -> Result<(), Box<dyn Error>> {
    let first = u32::try_from(clients.len())?;
    let mut new = Client::open(process.address(), server.protocol, first..first + count)?;
    new.iter_mut()
        .try_for_each(|it| it.send_message(MESSAGE_LEN))?;
    new.iter_mut()
        .try_for_each(|it| it.receive_echo(MESSAGE_LEN))?;
    clients.append(&mut new);
    Ok(())
}

/// Waits until the memory of the server does not change any more, and returns it.
fn settle(process: &ServerProcess) -> Result<Memory, Box<dyn Error>> {
    let started = Instant::now();
    let mut memory = process.memory()?;
    let mut last_change = started;
    while last_change.elapsed() < STABLE_FOR {
        thread::sleep(Duration::from_millis(100));
        let latest = process.memory()?;
        if latest.anonymous != memory.anonymous {
            last_change = Instant::now();
        }
        memory = latest;
        if started.elapsed() > SETTLE_TIMEOUT {
            return Err("the memory of the server does not settle".into());
        }
    }
    Ok(memory)
}

/// How far a repetition has come, on standard error, while it lasts.
struct Progress<'a> {
    title: &'a str,
    total: u32,
    is_drawn: bool,
}

impl<'a> Progress<'a> {
    fn new(title: &'a str, total: u32) -> Self {
        let is_drawn = io::stderr().is_terminal();
        Self {
            title,
            total,
            is_drawn,
        }
    }

    fn show(&mut self, open: usize) {
        if self.is_drawn {
            eprint!("\r{}: {open} of {} open", self.title, self.total);
            // It is only a sign of life.
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.is_drawn {
            eprint!("\r\x1b[K");
        }
    }
}

/// How many connections are open in the end, unless told otherwise.
pub(crate) const CONNECTIONS: u32 = 10_000;

/// How often each server is measured, unless told otherwise.
pub(crate) const REPETITIONS: u32 = 3;

/// Connections that stay open and are in place before the first look at the memory.
const WARM_UP: u32 = 100;

/// After how many connections progress is shown.
const BATCH: u32 = 100;

const MESSAGE_LEN: usize = 1024;

/// Files that a process needs beside its connections.
const FILES_BESIDE: u32 = 64;

/// How long the memory must not change to be taken for stable.
const STABLE_FOR: Duration = Duration::from_secs(1);

/// Less than the 20 s after which a framewright server sends Pings.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

//! The memory that a server holds for an idle connection.
//!
//! A warm-up of connections that stay open puts the server's pools, arenas and per-thread buffers in
//! place; what the others add, divided by their number, is the figure. README.md has the method.

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::machine;
use crate::process::{self, Memory, ServerProcess};
use crate::servers::{self, Kind, Measured, Server};
use crate::table;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many connections are open in the end.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    connections: u32,

    /// 1,000 connections, once: a look, not a figure.
    #[arg(long, conflicts_with_all = ["connections", "repeat"])]
    quick: bool,

    /// How often each server is measured, each time as a new process.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Only this server; may be given more than once.
    #[arg(long, value_name = "SERVER", value_parser = crate::names_measured_by(Measured::Idle))]
    only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    process::disable_huge_pages()?;
    let (wanted, repeat) = match options.quick {
        true => (1_000, 1),
        false => (options.connections, options.repeat),
    };
    let connections = limit_connections(wanted)?;
    if connections < 2 * WARM_UP {
        return Err(format!("{connections} connections are too few for a figure").into());
    }
    let measured = servers::measured_by(Measured::Idle, &options.only);
    let mut rows: Vec<_> = measured.into_iter().map(Row::new).collect();
    // Repetitions outside, servers inside, so that a change of the machine shows in all of them.
    for round in 1..=repeat {
        for row in &mut rows {
            let title = format!("{} {round}/{repeat}", row.server.name);
            let figure = measure(row.server, connections, &title)
                .map_err(|error| format!("{}: {error}", row.server.name))?;
            row.figures.push(figure);
        }
    }
    println!(
        "Memory per idle connection: {connections} connections, one message of {MESSAGE_LEN} bytes \
         exchanged on each, median of {repeat}.\n{}\n",
        machine::describe()
    );
    print!("{}", table(&rows));
    if let Some(path) = &options.json {
        fs::write(path, json(&rows, connections))?;
    }
    Ok(())
}

/// What one server came to.
struct Row {
    server: &'static Server,
    figures: Vec<Figure>,
}

/// What one repetition came to, in bytes per connection.
#[derive(Debug, Clone, Copy)]
struct Figure {
    anonymous: f64,
    resident: f64,
}

impl Row {
    const fn new(server: &'static Server) -> Self {
        Self {
            server,
            figures: Vec::new(),
        }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut bytes: Vec<_> = self.figures.iter().map(|it| it.anonymous).collect();
        bytes.sort_by(f64::total_cmp);
        bytes
    }

    fn median(&self) -> f64 {
        let bytes = self.sorted();
        f64::midpoint(bytes[(bytes.len() - 1) / 2], bytes[bytes.len() / 2])
    }
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
fn measure(server: &Server, connections: u32, title: &str) -> Result<Figure, Box<dyn Error>> {
    let process = ServerProcess::start(server, &["--workers", "two"])?;
    let mut clients = Vec::new();
    let mut progress = Progress::new(title, connections);
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
    let figure = Figure {
        anonymous: per_connection(before.anonymous, after.anonymous),
        resident: per_connection(before.resident, after.resident),
    };
    progress.finish(&format!("{:.0} bytes", figure.anonymous));
    Ok(figure)
}

/// Opens `count` more connections, and exchanges a message on each.
///
/// They take every step together, so that many handshakes are under way at once; and there are
/// never more of them than the backlog of a listener takes.
fn open(
    clients: &mut Vec<Client>,
    count: u32,
    server: &Server,
    process: &ServerProcess,
) -> Result<(), Box<dyn Error>> {
    let first = clients.len();
    for number in (u32::try_from(first)?..).take(count as usize) {
        clients.push(Client::connect(process.address(), server.protocol, number)?);
    }
    let new = &mut clients[first..];
    new.iter_mut().try_for_each(Client::send_request)?;
    new.iter_mut().try_for_each(Client::receive_response)?;
    new.iter_mut()
        .try_for_each(|it| it.send_message(MESSAGE_LEN))?;
    new.iter_mut()
        .try_for_each(|it| it.receive_echo(MESSAGE_LEN))
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

/// Draws the table, as Markdown, with a column of ratios for each of our own servers.
fn table(rows: &[Row]) -> String {
    let ours: Vec<_> = (rows.iter())
        .filter(|row| row.server.kind == Kind::Framewright)
        .collect();
    let mut head = vec!["server".into(), "version".into()];
    head.extend([
        "bytes per idle connection".into(),
        "lowest to highest".into(),
    ]);
    head.extend(
        ours.iter()
            .map(|own| format!("ratio to {}", own.server.name)),
    );
    let mut lines = vec![head];
    for row in rows {
        let bytes = row.sorted();
        let (lowest, highest) = (bytes[0], bytes[bytes.len() - 1]);
        let mut line = vec![
            row.server.name.to_owned(),
            machine::version_of(row.server.package).to_owned(),
            format!("{:.0}", row.median()),
            format!("{lowest:.0} to {highest:.0}"),
        ];
        let ratios = ours.iter().map(|own| row.median() / own.median());
        line.extend(ratios.map(|ratio| format!("{ratio:.2}")));
        lines.push(line);
    }
    table::draw(&lines, 2)
}

fn json(rows: &[Row], connections: u32) -> String {
    let servers: Vec<_> = (rows.iter())
        .map(|row| {
            let anonymous: Vec<_> = row.figures.iter().map(|it| it.anonymous).collect();
            let resident: Vec<_> = row.figures.iter().map(|it| it.resident).collect();
            json!({
                "server": row.server.name,
                "version": machine::version_of(row.server.package),
                "bytes_per_connection": row.median(),
                "anonymous": anonymous,
                "resident": resident,
            })
        })
        .collect();
    let figures = json!({
        "measurement": "idle",
        "machine": machine::describe(),
        "connections": connections,
        "warm_up": WARM_UP,
        "message_len": MESSAGE_LEN,
        "servers": servers,
    });
    format!("{figures:#}\n")
}

/// How far a repetition has come, on standard error.
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

    fn finish(self, result: &str) {
        let start = if self.is_drawn { "\r\x1b[K" } else { "" };
        eprintln!("{start}{}: {result}", self.title);
    }
}

/// Connections that stay open and are in place before the first look at the memory.
const WARM_UP: u32 = 100;

/// How many connections are opened together: fewer than the shortest backlog, which is 128.
const BATCH: u32 = 100;

const MESSAGE_LEN: usize = 1024;

/// Files that a process needs beside its connections.
const FILES_BESIDE: u32 = 64;

/// How long the memory must not change to be taken for stable.
const STABLE_FOR: Duration = Duration::from_secs(1);

/// Less than the 20 s after which a framewright server sends Pings.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

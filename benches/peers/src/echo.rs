//! The time of a processor that a server takes for a message.
//!
//! A load generator on one core keeps a number of messages in flight on each connection, a server
//! on another sends them back, and the kernel says how much time the server's process took.
//! README.md has the method.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValue, PossibleValuesParser};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};
use serde_json::json;

use crate::client::Client;
use crate::process::{self, ServerProcess};
use crate::servers::{self, Kind, Measured, Server};
use crate::{machine, table};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A few rows, once: a look, not a figure.
    #[arg(long, conflicts_with_all = ["reps", "rows"])]
    quick: bool,

    /// How often everything is measured, each time with new servers.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    reps: u32,

    /// Only these rows: connections, messages in flight on each, and their size.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = row_names())]
    rows: Vec<String>,

    /// Only this server, and the floors; may be given more than once.
    #[arg(long, value_name = "SERVER", value_delimiter = ',', value_parser = crate::names_measured_by(Measured::Echo))]
    only: Vec<String>,

    /// Where to write the figures, each repetition of them, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if thread::available_parallelism()?.get() < 2 {
        return Err("it takes a core for the server and another for the load".into());
    }
    process::raise_file_limit()?;
    process::pin_to_core(LOAD_CORE)?;
    let (repeat, interval) = match options.quick {
        true => (1, INTERVAL / 2),
        false => (options.reps, INTERVAL),
    };
    let rows: Vec<_> = (ROWS.iter())
        .filter(|row| match options.quick {
            true => row.is_quick,
            false => options.rows.is_empty() || options.rows.iter().any(|name| name == row.name),
        })
        .collect();
    let mut servers = servers::measured_by(Measured::Echo, &[]);
    servers.retain(|it| {
        let only = &options.only;
        it.kind == Kind::Floor || only.is_empty() || only.iter().any(|name| name == it.name)
    });
    let mut figures = Figures {
        samples: Vec::new(),
        rows,
        servers,
    };
    for round in 1..=repeat {
        let samples = figures.measure(round, repeat, interval)?;
        figures.samples.push(samples);
    }
    println!(
        "Server CPU time per message as a multiple of the limit: median of {repeat}, and in brackets \
         (highest - lowest) / median.\n{}, load {}\n",
        machine::describe(),
        machine::load(),
    );
    println!("{}", figures.table());
    print!("{}", figures.summary());
    if let Some(path) = &options.json {
        fs::write(path, figures.json())?;
    }
    Ok(())
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

/// All that was measured.
struct Figures {
    rows: Vec<&'static Row>,
    servers: Vec<&'static Server>,
    /// For each repetition, row and server.
    samples: Vec<Vec<Vec<Sample>>>,
}

/// What one server came to in one row of one repetition.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Time of processors per message, in nanoseconds.
    ns: f64,
    /// The part of the interval for which the server ran.
    busy: f64,
    messages: f64,
}

impl Sample {
    /// A peer that failed.
    const NONE: Self = Self {
        ns: f64::NAN,
        busy: f64::NAN,
        messages: 0.0,
    };
}

/// A ratio to the limit, over the repetitions.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    median: f64,
    dispersion: f64,
}

impl Figures {
    /// Measures everything once, with servers that are all started before and end after.
    fn measure(
        &self,
        round: u32,
        repeat: u32,
        interval: Duration,
    ) -> Result<Vec<Vec<Sample>>, Box<dyn Error>> {
        let core = SERVER_CORE.to_string();
        let options = ["--workers", "none", "--core", &core];
        let processes: Result<Vec<_>, _> = (self.servers.iter())
            .map(|server| ServerProcess::start(server, &options))
            .collect();
        let processes = processes?;
        let mut samples = Vec::new();
        for (row_number, row) in self.rows.iter().enumerate() {
            let mut line = vec![None; self.servers.len()];
            for turn in 0..line.len() {
                // Who goes first in one row goes later in the next, and in the next repetition.
                let place = (turn + row_number + round as usize * 5) % line.len();
                let server = self.servers[place];
                eprint!("{round}/{repeat} {:<12} {:<23}", row.name, server.name);
                let sample = match measure(row, server, &processes[place], interval) {
                    Ok(sample) => sample,
                    Err(error) if server.kind == Kind::Peer => {
                        eprintln!("FAILED: {error}");
                        line[place] = Some(Sample::NONE);
                        continue;
                    }
                    Err(error) => {
                        return Err(format!("{} with {}: {error}", row.name, server.name).into());
                    }
                };
                eprintln!(
                    "{:>12.0} ns, {:>3.0} % busy",
                    sample.ns,
                    100.0 * sample.busy
                );
                line[place] = Some(sample);
            }
            samples.push(line.into_iter().flatten().collect());
        }
        Ok(samples)
    }

    /// The limit of a row in each repetition: the fastest floor, and its time.
    fn limits(&self, row: usize) -> Vec<(&'static str, f64)> {
        let limit = |samples: &Vec<Vec<Sample>>| {
            let floors = self.servers.iter().zip(&samples[row]);
            floors
                .filter(|(server, _)| server.kind == Kind::Floor)
                .map(|(server, sample)| (server.name, sample.ns))
                .min_by(|one, other| one.1.total_cmp(&other.1))
        };
        self.samples.iter().filter_map(limit).collect()
    }

    /// The ratio of a server to the limit, formed within each repetition.
    fn ratio(&self, row: usize, server: usize) -> Ratio {
        let limits = self.limits(row);
        let samples = self.samples.iter().zip(limits);
        let ratios = samples.map(|(it, (_, limit))| it[row][server].ns / limit);
        let mut ratios: Vec<_> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let median = median(&ratios);
        Ratio {
            median,
            dispersion: (ratios[ratios.len() - 1] - ratios[0]) / median,
        }
    }

    fn table(&self) -> String {
        let mut head = vec!["server".to_owned(), "version".to_owned()];
        head.extend(self.rows.iter().map(|row| row.name.to_owned()));
        let mut lines = vec![head];
        let mut limits = vec!["limit, ns".to_owned(), String::new()];
        for row in 0..self.rows.len() {
            let mut times: Vec<_> = self.limits(row).iter().map(|limit| limit.1).collect();
            times.sort_by(f64::total_cmp);
            limits.push(format!("{:.0}", median(&times)));
        }
        lines.push(limits);
        for (place, server) in self.servers.iter().enumerate() {
            let version = machine::version_of(server.package);
            let mut line = vec![server.name.to_owned(), version.to_owned()];
            for row in 0..self.rows.len() {
                let ratio = self.ratio(row, place);
                let spread = 100.0 * ratio.dispersion;
                line.push(if spread.is_nan() {
                    "failed".to_owned()
                } else {
                    format!("{:.2} ({spread:.0} %)", ratio.median)
                });
            }
            lines.push(line);
        }
        table::draw(&lines, 2)
    }

    /// Says for each row which floor is the limit, and who is ahead.
    fn summary(&self) -> String {
        let mut summary = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let floors: HashSet<_> = self.limits(number).iter().map(|it| it.0).collect();
            let mut floors: Vec<_> = floors.into_iter().collect();
            floors.sort_unstable();
            let mut ratios: Vec<_> = (self.servers.iter().enumerate())
                .filter(|(_, server)| server.kind != Kind::Floor)
                .map(|(place, server)| (server.name, self.ratio(number, place).median))
                .collect();
            ratios.sort_by(|one, other| one.1.total_cmp(&other.1));
            let places: Vec<_> = (ratios.iter().take(4))
                .map(|(name, ratio)| format!("{name} {ratio:.2}"))
                .collect();
            summary += &format!(
                "{:<12} limit: {}; ahead: {}\n",
                row.name,
                floors.join(" or "),
                places.join(", ")
            );
        }
        summary
    }

    fn json(&self) -> String {
        let rows = self.rows.iter().enumerate().map(|(row_number, row)| {
            let servers = self.servers.iter().enumerate().map(|(place, server)| {
                let of = |part: fn(&Sample) -> f64| -> Vec<f64> {
                    let samples = self.samples.iter();
                    samples.map(|it| part(&it[row_number][place])).collect()
                };
                let ratio = self.ratio(row_number, place);
                json!({
                    "server": server.name,
                    "version": machine::version_of(server.package),
                    "ratio": ratio.median,
                    "dispersion": ratio.dispersion,
                    "ns_per_message": of(|it| it.ns),
                    "busy": of(|it| it.busy),
                    "messages": of(|it| it.messages),
                })
            });
            let limits = self.limits(row_number).into_iter();
            json!({
                "row": row.name,
                "connections": row.connections,
                "in_flight": row.in_flight,
                "message_len": row.message_len,
                "limits": limits.map(|(name, ns)| json!({"server": name, "ns": ns})).collect::<Vec<_>>(),
                "servers": servers.collect::<Vec<_>>(),
            })
        });
        let figures = json!({
            "measurement": "echo",
            "machine": machine::describe(),
            "rows": rows.collect::<Vec<_>>(),
        });
        format!("{figures:#}\n")
    }
}

fn median(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// Measures a server in a row once.
fn measure(
    row: &Row,
    server: &Server,
    process: &ServerProcess,
    interval: Duration,
) -> Result<Sample, Box<dyn Error>> {
    let mut load = Load::open(row, server, process)?;
    load.run_for(WARM_UP)?;
    let interval = match row.message_len {
        LONG_MESSAGE.. => 2 * interval,
        _ => interval,
    };
    let (received, cpu, started) = (load.received, process.cpu_time()?, Instant::now());
    load.run_for(interval)?;
    let messages = (load.received - received) as f64 / load.echo_len as f64;
    let cpu = (process.cpu_time()? - cpu).as_secs_f64();
    let elapsed = started.elapsed().as_secs_f64();
    load.drain()?;
    Ok(Sample {
        ns: cpu * 1e9 / messages,
        busy: cpu / elapsed,
        messages,
    })
}

/// Connections on each of which a number of messages is under way.
struct Load {
    epoll: rustix::fd::OwnedFd,
    links: Vec<Link>,
    /// A message many times over, so that many leave in one write.
    batch: Vec<u8>,
    message_len: u64,
    echo_len: u64,
    /// How many bytes came back.
    received: u64,
    /// How many bytes must have come back in the end.
    expected: u64,
    /// Where the kernel would put what it drops.
    room: Vec<u8>,
    events: Vec<epoll::Event>,
}

/// A connection.
struct Link {
    stream: TcpStream,
    /// How many bytes are to be sent, from `offset` in the batch on, and over again.
    owed: u64,
    offset: usize,
    /// How much came back of an echo that is not complete.
    partial: u64,
}

impl Load {
    /// Opens the connections, compares the first echo on each byte for byte, and puts the messages
    /// under way.
    fn open(row: &Row, server: &Server, process: &ServerProcess) -> Result<Self, Box<dyn Error>> {
        let clients = (0..row.connections)
            .map(|number| Client::connect(process.address(), server.protocol, number));
        let mut clients: Vec<_> = clients.collect::<Result<_, _>>()?;
        clients.iter_mut().try_for_each(Client::send_request)?;
        clients.iter_mut().try_for_each(Client::receive_response)?;
        for client in &mut clients {
            // One after the other, and a long one beside the thread that receives it.
            client.exchange(row.message_len)?;
        }
        let first = clients.first().ok_or("a row without connections")?;
        let message = first.message(row.message_len);
        let (message_len, echo_len) = (message.len(), first.echo(row.message_len).len());
        let copies = usize::try_from(row.in_flight)?.min((BATCH_LEN / message_len).max(1));
        let mut load = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            links: Vec::new(),
            batch: message.repeat(copies),
            message_len: message_len as u64,
            echo_len: echo_len as u64,
            received: 0,
            expected: u64::from(row.connections) * row.in_flight * echo_len as u64,
            room: vec![0; ROOM_LEN],
            events: Vec::with_capacity(1024),
        };
        for client in clients {
            let stream = client.into_stream();
            stream.set_nonblocking(true)?;
            let token = EventData::new_u64(load.links.len() as u64);
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&load.epoll, &stream, token, flags)?;
            load.links.push(Link {
                stream,
                owed: row.in_flight * message_len as u64,
                offset: 0,
                partial: 0,
            });
        }
        for link in &mut load.links {
            link.send(&load.batch)?;
        }
        Ok(load)
    }

    /// Sends a message for each that comes back.
    fn run_for(&mut self, interval: Duration) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + interval;
        while Instant::now() < until {
            self.turn(Replace::Each)?;
        }
        Ok(())
    }

    /// Sends no more, and waits for what is under way: nothing may be lost, nor come twice.
    fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        while self.received < self.expected {
            self.turn(Replace::None)?;
        }
        if self.received > self.expected {
            return Err("more came back than was sent".into());
        }
        Ok(())
    }

    /// Waits once, and does what can be done.
    fn turn(&mut self, replace: Replace) -> Result<(), Box<dyn Error>> {
        self.events.clear();
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&PATIENCE),
        )?;
        if self.events.is_empty() {
            return Err(format!(
                "nothing came back for {} s, {} bytes are missing",
                PATIENCE.tv_sec,
                self.expected - self.received
            )
            .into());
        }
        for event in &self.events {
            let link = &mut self.links[usize::try_from(event.data.u64())?];
            link.send(&self.batch)?;
            loop {
                // What is to be dropped is not copied out of the kernel.
                let len = match recv(&link.stream, &mut *self.room, RecvFlags::TRUNC) {
                    Ok((_, 0)) => return Err("the server closed a connection".into()),
                    Ok((_, len)) => len,
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(error) => return Err(error.into()),
                };
                self.received += len as u64;
                link.partial += len as u64;
                let echoes = link.partial / self.echo_len;
                link.partial %= self.echo_len;
                if replace == Replace::Each && echoes > 0 {
                    self.expected += echoes * self.echo_len;
                    link.owed += echoes * self.message_len;
                    link.send(&self.batch)?;
                }
                // Whatever comes from here on is another event.
                if len < self.room.len() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// What becomes of a message that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replace {
    /// Another is sent.
    Each,
    None,
}

impl Link {
    /// Sends what is owed, as far as the socket takes it.
    fn send(&mut self, batch: &[u8]) -> Result<(), Box<dyn Error>> {
        while self.owed > 0 {
            let rest = &batch[self.offset..];
            let len = usize::try_from(self.owed).map_or(rest.len(), |it| it.min(rest.len()));
            match self.stream.write(&rest[..len]) {
                Ok(written) => {
                    self.owed -= written as u64;
                    self.offset = (self.offset + written) % batch.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

const WARM_UP: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(400);

/// From here on there are few messages in an interval, so it is twice as long.
const LONG_MESSAGE: usize = 1 << 20;

/// How much one write sends at most, unless a message is longer.
const BATCH_LEN: usize = 256 << 10;

/// How much is received at once.
const ROOM_LEN: usize = 1 << 20;

/// No server takes so long for anything.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

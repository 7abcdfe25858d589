//! Load for an echo server of yours: many connections, and how long answers take.
//!
//! ```text
//! cargo run --release --example echo_server --features tokio -- --adapter tokio
//! cargo run --release --example bench_client --features tokio -- ws://127.0.0.1:9001
//! ```
//!
//! It opens `--connections`, and then each of them sends `--size` bytes and waits for the echo, for
//! `--seconds`. At a terminal it shows how far it is; at the end it prints, for one run where
//! client, server and other programs shared two cores:
//!
//! ```text
//! connections      100, opened in 6.7ms
//! messages         151472 in 5.0 s, 30194/s, 3.9 MB/s each way
//! round trip       p50 1.47ms, p99 15.87ms, max 87.23ms
//! ```
//!
//! Client and server need cores of their own before such numbers say anything about either. With
//! `--in-flight 16` each connection has so many messages under way, which measures throughput, and
//! the round trips then hold the time in the queue. It exits with 1 if a connection failed.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::{Parser, value_parser};
use framewright::handshake::ClientRequest;
use framewright::tokio::{Client, Error, MaybeTlsStream, WebSocket};
use framewright::{CloseCode, Config, Event, Message};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::interval;

#[derive(Parser)]
#[command(about = "Load for an echo server: connections, messages per second, round trips.")]
struct Args {
    /// An echo server of yours.
    #[arg(value_name = "URL")]
    url: String,

    /// How many connections.
    #[arg(
        short, long, default_value_t = 100,
        value_parser = value_parser!(u32).range(1..=50_000)
    )]
    connections: u32,

    /// How many bytes a message has.
    #[arg(
        short, long, default_value_t = 128,
        value_parser = value_parser!(u32).range(..=16 << 20)
    )]
    size: u32,

    /// How long.
    #[arg(
        short = 't', long, default_value_t = 5,
        value_parser = value_parser!(u64).range(1..=3600)
    )]
    seconds: u64,

    /// How many messages a connection has under way.
    #[arg(
        long, default_value_t = 1,
        value_parser = value_parser!(u32).range(1..=1024)
    )]
    in_flight: u32,
}

type Socket = WebSocket<MaybeTlsStream>;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn StdError>> {
    let args = Args::parse();
    let mut config = Config::default();
    // All that is under way has room.
    config.write_high_water = 1 << 20;
    let client = Client::new(ClientRequest::new(&args.url)?).config(config);

    let begun = Instant::now();
    let (sockets, failures) = open(&client, args.connections).await;
    let mut failed = report(failures);
    if sockets.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "connections      {}, opened in {:.1?}",
        sockets.len(),
        begun.elapsed()
    );

    let payload = Bytes::from(vec![b'x'; usize::try_from(args.size)?]);
    let duration = Duration::from_secs(args.seconds);
    let begun = Instant::now();
    let (times, failures) = load(sockets, &payload, args.in_flight, duration).await;
    let seconds = begun.elapsed().as_secs_f64();
    failed |= report(failures);

    let rate = times.count() as f64 / seconds;
    let megabytes = rate * f64::from(args.size) / 1e6;
    println!(
        "messages         {} in {seconds:.1} s, {rate:.0}/s, {megabytes:.1} MB/s each way",
        times.count()
    );
    println!(
        "round trip       p50 {:.2?}, p99 {:.2?}, max {:.2?}",
        times.percentile(50),
        times.percentile(99),
        times.max
    );
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Prints one error of many that are mostly the same, and says whether there is one.
fn report(failures: Vec<Error>) -> bool {
    if let Some(first) = failures.first() {
        eprintln!("{} connections failed, the first: {first}", failures.len());
    }
    !failures.is_empty()
}

/// Opens all connections, a few at a time: more than a server's queue holds would be dropped.
async fn open(client: &Client, connections: u32) -> (Vec<Socket>, Vec<Error>) {
    let bar =
        ProgressBar::new(connections.into()).with_style(style("opening {bar:40} {pos}/{len}"));
    let (mut sockets, mut failures) = (Vec::new(), Vec::new());
    let mut opening = JoinSet::new();
    let mut left = connections;
    loop {
        while left > 0 && opening.len() < OPENING_AT_ONCE {
            opening.spawn(client.connect());
            left -= 1;
        }
        match opening.join_next().await {
            Some(Ok(Ok((socket, _)))) => sockets.push(socket),
            Some(Ok(Err(error))) => failures.push(error),
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => break,
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    (sockets, failures)
}

/// Has all connections talk for `duration`.
async fn load(
    sockets: Vec<Socket>,
    payload: &Bytes,
    in_flight: u32,
    duration: Duration,
) -> (Times, Vec<Error>) {
    let answered = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + duration;
    let mut talking = JoinSet::new();
    for socket in sockets {
        let (payload, answered) = (payload.clone(), Arc::clone(&answered));
        talking.spawn(async move { talk(socket, payload, in_flight, until, &answered).await });
    }

    let bar = ProgressBar::new(duration.as_secs())
        .with_style(style("{bar:40} {pos}/{len} s, {msg} messages/s"));
    let (mut times, mut failures) = (Times::default(), Vec::new());
    let mut tick = interval(Duration::from_secs(1));
    let mut before = 0;
    loop {
        tokio::select! {
            ended = talking.join_next() => match ended {
                Some(Ok(Ok(own))) => times.add(&own),
                Some(Ok(Err(error))) => failures.push(error),
                Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                None => break,
            },
            _ = tick.tick() => {
                let now = answered.load(Ordering::Relaxed);
                bar.set_message((now - before).to_string());
                bar.inc(1);
                before = now;
            }
        }
    }
    bar.finish_and_clear();
    (times, failures)
}

/// Sends, and times the echoes, until the time is over.
async fn talk(
    mut socket: Socket,
    payload: Bytes,
    in_flight: u32,
    until: Instant,
    answered: &AtomicU64,
) -> Result<Times, Error> {
    let mut times = Times::default();
    let mut sent = VecDeque::new();
    for _ in 0..in_flight {
        sent.push_back(Instant::now());
        socket.feed(Message::Binary(payload.clone())).await?;
    }
    // An echo answers in order, so the next answer is to the oldest message.
    while let Some(begun) = sent.pop_front() {
        // What is fed here leaves when the input is exhausted, with the others that are.
        let now = loop {
            let Some((event, mut outbox)) = socket.recv_event().await? else {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            };
            if let Event::Binary(_) | Event::Text(_) = event {
                let now = Instant::now();
                if now < until {
                    outbox.feed_binary(&payload)?;
                    sent.push_back(now);
                }
                break now;
            }
        };
        times.record(now - begun);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
    Ok(times)
}

fn style(template: &str) -> ProgressStyle {
    // The templates are those of this file.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// More would overflow the queue of a listening socket.
const OPENING_AT_ONCE: usize = 64;

// -- Times ----------------------------------------------------------------------------------------

/// How often a time was measured, in as many bytes for an hour as for a second.
struct Times {
    /// Of times in microseconds, 16 to each power of two: within 6 %.
    counts: [u64; 512],
    max: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: [0; 512],
            max: Duration::ZERO,
        }
    }
}

impl Times {
    fn record(&mut self, time: Duration) {
        self.counts[bucket(time)] += 1;
        self.max = self.max.max(time);
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.max = self.max.max(other.max);
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the time that so many per cent stay below.
    fn percentile(&self, percent: u64) -> Duration {
        let rank = self.count() * percent / 100;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        bucket.map_or(Duration::ZERO, |bucket| end_of(bucket).min(self.max))
    }
}

/// Below 32 µs a bucket is a microsecond; above, a sixteenth of a power of two.
fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let shift = micros.max(1).ilog2().saturating_sub(4);
    // The five leading bits, 16 to 31 where anything was shifted out.
    let leading = usize::try_from(micros >> shift).unwrap_or(0);
    let bucket = leading + 16 * usize::try_from(shift).unwrap_or(0);
    bucket.min(511)
}

fn end_of(bucket: usize) -> Duration {
    let shift = (bucket / 16).saturating_sub(1);
    let leading = bucket - 16 * shift;
    Duration::from_micros(((leading as u64) + 1) << shift)
}

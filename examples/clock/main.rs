//! A countdown, pushed to each client on a timer of its own.
//!
//! ```text
//! cargo run --example clock --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9011/`; the page there asks for a number of seconds and shows
//! how many are left. Two windows count on their own. The button that freezes a window makes it a
//! slow client: it misses ticks, says how many, and is never behind. Ctrl-C sends every client a
//! Close with code 1001 and ends the program.

#[path = "../support/mod.rs"]
mod support;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use framewright::tokio::{Error, Server};
use framewright::{CloseCode, Config};
use serde::{Deserialize, Serialize};
use support::{Client, Page, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

#[derive(Parser)]
#[command(about = "A countdown, pushed to each client on a timer of its own.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9011")]
    listen: SocketAddr,
}

/// What a client says: `{"start":10}`, `"stop"`, or `"seen"`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Command {
    /// Counts down from so many seconds, and forgets the countdown before.
    Start(u32),
    Stop,
    /// It has shown the last tick, and takes another.
    Seen,
}

/// What it is told.
#[derive(Serialize)]
struct Tick {
    seconds_left: u64,
    /// How many ticks of this countdown it has missed.
    skipped: u32,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 1 << 10;
    let page = Page {
        html: include_str!("page.html"),
        script: include_str!("page.js"),
    };
    support::serve(args.listen, page, Server::new().config(config), count_down).await
}

async fn count_down(client: Client) -> Result<(), Error> {
    let Client {
        mut reader,
        mut writer,
    } = client;
    let mut deadline = None;
    let mut ticks = interval(SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut skipped = 0;
    // One tick at most is on its way: a client that is slow misses some, and nothing is queued for
    // it, neither here nor in the network.
    let mut is_seen = true;
    loop {
        tokio::select! {
            received = reader.recv() => {
                let Some(message) = received? else {
                    return Ok(());
                };
                match serde_json::from_slice(message.payload()) {
                    Ok(Command::Start(seconds)) => {
                        deadline = Some(Instant::now() + SECOND * seconds);
                        skipped = 0;
                        ticks.reset_immediately();
                    }
                    Ok(Command::Stop) => deadline = None,
                    Ok(Command::Seen) => is_seen = true,
                    Err(_) => {
                        let reason = "not a command";
                        writer.send_close(CloseCode::POLICY_VIOLATION, reason).await?;
                    }
                }
            }
            _ = ticks.tick(), if deadline.is_some() => {
                let Some(end) = deadline else { continue };
                if !is_seen {
                    skipped += 1;
                    continue;
                }
                let left = end.saturating_duration_since(Instant::now());
                // A tick comes a little late, never early.
                let seconds_left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
                // What is wrong with the connection, the reader learns.
                let _ = writer.try_feed(json(&Tick { seconds_left, skipped }));
                is_seen = false;
                if seconds_left == 0 {
                    deadline = None;
                }
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

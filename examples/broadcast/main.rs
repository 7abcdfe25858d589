//! One sender and many receivers: every line of standard input goes to every window.
//!
//! ```text
//! cargo run --example broadcast --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9013/`; open it in as many windows as you like, and type a line
//! where the server runs: all of them show it, and the server prints how far it came. The line is
//! encoded once, whoever is there, and nobody is waited for. A window that reads too slowly to have
//! room for it is sent away with Close 1013 and comes back; with `--slow skip` it stays and misses
//! the line. Ctrl-C sends every client a Close with code 1001 and ends the program.

#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::{io, thread};

use clap::{Parser, ValueEnum};
use framewright::tokio::{Broadcast, Error, Server, SlowPolicy};
use framewright::{Config, PreparedMessage};
use support::{Client, Page, json};
use tokio::net::TcpStream;

#[derive(Parser)]
#[command(about = "Every line of standard input goes to every window.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9013")]
    listen: SocketAddr,

    /// What becomes of a client that has no room for a line.
    #[arg(long, value_enum, default_value_t = Slow::Drop)]
    slow: Slow,
}

#[derive(Clone, Copy, ValueEnum)]
enum Slow {
    /// It is closed with 1013, so that it knows.
    Drop,
    /// It misses the line.
    Skip,
}

impl From<Slow> for SlowPolicy {
    fn from(slow: Slow) -> Self {
        match slow {
            Slow::Drop => Self::Drop,
            Slow::Skip => Self::Skip,
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut config = Config::default();
    // The receivers have nothing to say.
    config.max_message_len = 0;
    // How far a client may lag: so much is kept for each of them at most, and one line.
    config.write_high_water = 1 << 20;
    let page = Page {
        html: include_str!("page.html"),
        script: include_str!("page.js"),
    };
    let group = Broadcast::with_slow_policy(args.slow.into());
    let sender = group.clone();
    // Sending waits for nobody, so it may be done on any thread.
    thread::spawn(move || send_lines(&sender));
    support::serve(
        args.listen,
        page,
        Server::new().config(config),
        move |client| receive(client, group.clone()),
    )
    .await
}

fn send_lines(group: &Broadcast<TcpStream>) {
    for line in io::stdin().lines().map_while(Result::ok) {
        let reach = group.send(&PreparedMessage::text(json(&line)));
        println!(
            "to {}, skipped by {}, too slow: {}",
            reach.queued, reach.skipped, reach.dropped
        );
    }
}

/// Keeps a client in the group for as long as it is there. It is the reader that writes what is
/// queued.
async fn receive(client: Client, group: Broadcast<TcpStream>) -> Result<(), Error> {
    let Client { mut reader, writer } = client;
    let _membership = group.join(writer);
    while reader.recv().await?.is_some() {}
    Ok(())
}

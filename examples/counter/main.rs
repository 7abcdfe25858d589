//! Numbers come in, and the running total and how many are here go out to all.
//!
//! ```text
//! cargo run --example counter --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9012/`; open it in two windows. Each shows that there are two,
//! and what one of them adds both see. Ctrl-C sends every client a Close with code 1001 and ends
//! the program.

#[path = "../support/mod.rs"]
mod support;

use std::future;
use std::io;
use std::net::SocketAddr;

use clap::Parser;
use framewright::tokio::{Error, Reader, Server, Writer};
use framewright::{CloseCode, Config};
use serde::{Deserialize, Serialize};
use support::{Client, Page, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

#[derive(Parser)]
#[command(about = "A running total that everybody adds to.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9012")]
    listen: SocketAddr,
}

/// What a client says: `{"add":5}`.
#[derive(Deserialize)]
struct Command {
    add: i32,
}

/// What all share, and are told: `{"total":5,"users":2}`.
#[derive(Clone, Copy, Serialize)]
struct Count {
    total: i64,
    users: u32,
}

/// It keeps the newest count only: a client that is slow misses some in between, and nothing is
/// queued for it.
type Counter = watch::Sender<Count>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 1 << 10;
    let page = Page {
        html: include_str!("page.html"),
        script: include_str!("page.js"),
    };
    let counter = Counter::new(Count { total: 0, users: 0 });
    support::serve(
        args.listen,
        page,
        Server::new().config(config),
        move |client| count(client, counter.clone()),
    )
    .await
}

async fn count(client: Client, counter: Counter) -> Result<(), Error> {
    let _user = User::new(&counter);
    tokio::select! {
        consumed = consume(client.reader, client.writer.clone(), &counter) => consumed,
        () = produce(client.writer, counter.subscribe()) => Ok(()),
    }
}

/// Adds what comes in.
async fn consume(
    mut reader: Reader<TcpStream>,
    mut writer: Writer<TcpStream>,
    counter: &Counter,
) -> Result<(), Error> {
    while let Some(message) = reader.recv().await? {
        match serde_json::from_slice(message.payload()) {
            Ok(Command { add }) => counter.send_modify(|count| {
                count.total = count.total.saturating_add(add.into());
            }),
            Err(_) => {
                let reason = "not a number to add";
                writer
                    .send_close(CloseCode::POLICY_VIOLATION, reason)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Sends the count now, and whenever it has changed.
async fn produce(mut writer: Writer<TcpStream>, mut counts: watch::Receiver<Count>) {
    counts.mark_changed();
    while counts.changed().await.is_ok() {
        let count = *counts.borrow_and_update();
        if writer.send(json(&count)).await.is_err() {
            break;
        }
    }
    // Why nothing can be sent, such as a Close, the reader learns: it is for the consumer to end.
    future::pending().await
}

/// Somebody who is here until this is dropped.
struct User<'a> {
    counter: &'a Counter,
}

impl<'a> User<'a> {
    fn new(counter: &'a Counter) -> Self {
        counter.send_modify(|count| count.users += 1);
        Self { counter }
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.counter.send_modify(|count| count.users -= 1);
    }
}

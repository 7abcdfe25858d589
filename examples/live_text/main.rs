//! One text that everybody edits, live in every window.
//!
//! ```text
//! cargo run --example live_text --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9015/`; open it in two windows and type in both. Each shows
//! what the other does, also where both type at once, and keeps its cursor. What is typed while
//! there is no connection is merged when it is back. Ctrl-C sends every client a Close with code
//! 1001 and ends the program.
//!
//! An edit is the whole text and the version that it was made of, and counts only if that is still
//! the newest. Who was too late has been sent a newer text by then, merges, and tries again: that
//! is done by `page.js`, so that what two people write at once is all there. A long document would
//! take splices instead.

#[path = "../support/mod.rs"]
mod support;

use std::collections::VecDeque;
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
#[command(about = "One text that everybody edits, live in every window.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9015")]
    listen: SocketAddr,
}

/// What a client says: `{"hello":7}` first, then `{"edit":{"base":3,"text":"…"}}`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Command {
    /// The number of an author, which is any that the client has thought of, and keeps.
    Hello(u64),
    Edit {
        base: u64,
        text: String,
    },
}

/// What it is told: the newest text, whenever there is one.
#[derive(Serialize)]
struct Update<'a> {
    version: u64,
    text: &'a str,
    /// The version that the client's own latest edit became, if that is not long ago. So it knows,
    /// also after a reconnect, whether its edit counted.
    yours: Option<u64>,
}

#[derive(Default)]
struct Document {
    version: u64,
    text: String,
    /// Who made the latest versions, the last being this one.
    authors: VecDeque<u64>,
}

/// It keeps the newest document only: a client that is slow misses versions in between, and nothing
/// is queued for it.
type Shared = watch::Sender<Document>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 64 << 10;
    let page = Page {
        html: include_str!("page.html"),
        script: include_str!("page.js"),
    };
    let document = Shared::default();
    support::serve(
        args.listen,
        page,
        Server::new().config(config),
        move |client| edit(client, document.clone()),
    )
    .await
}

async fn edit(client: Client, document: Shared) -> Result<(), Error> {
    let Client {
        mut reader,
        mut writer,
    } = client;
    let Some(message) = reader.recv().await? else {
        return Ok(());
    };
    let Ok(Command::Hello(author)) = serde_json::from_slice(message.payload()) else {
        let reason = "say hello first";
        writer
            .send_close(CloseCode::POLICY_VIOLATION, reason)
            .await?;
        while reader.recv().await?.is_some() {}
        return Ok(());
    };
    tokio::select! {
        consumed = consume(reader, writer.clone(), author, &document) => consumed,
        () = produce(writer, author, document.subscribe()) => Ok(()),
    }
}

/// Takes the edits that come in.
async fn consume(
    mut reader: Reader<TcpStream>,
    mut writer: Writer<TcpStream>,
    author: u64,
    document: &Shared,
) -> Result<(), Error> {
    while let Some(message) = reader.recv().await? {
        match serde_json::from_slice(message.payload()) {
            Ok(Command::Edit { base, text }) if text.len() <= MAX_TEXT => {
                document.send_if_modified(|document| document.take(base, text, author));
            }
            Ok(Command::Hello(_) | Command::Edit { .. }) | Err(_) => {
                let reason = "not an edit, or too long";
                writer
                    .send_close(CloseCode::POLICY_VIOLATION, reason)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Sends the document now, and whenever it has changed.
async fn produce(
    mut writer: Writer<TcpStream>,
    author: u64,
    mut documents: watch::Receiver<Document>,
) {
    documents.mark_changed();
    while documents.changed().await.is_ok() {
        let update = documents.borrow_and_update().update_for(author);
        if writer.send(update).await.is_err() {
            break;
        }
    }
    // Why nothing can be sent, such as a Close, the reader learns: it is for the consumer to end.
    future::pending().await
}

impl Document {
    /// Takes an edit of the newest version, and says whether it was one.
    fn take(&mut self, base: u64, text: String, author: u64) -> bool {
        if base != self.version {
            return false;
        }
        self.version += 1;
        self.text = text;
        self.authors.push_back(author);
        if self.authors.len() > MAX_AUTHORS {
            self.authors.pop_front();
        }
        true
    }

    fn update_for(&self, author: u64) -> String {
        let since = self.authors.iter().rev().position(|other| *other == author);
        json(&Update {
            version: self.version,
            text: &self.text,
            yours: since.map(|since| self.version - since as u64),
        })
    }
}

/// In bytes: the page allows 3,000 characters, of at most three each, and JSON may take six for
/// one.
const MAX_TEXT: usize = 10_000;
/// How many versions back an author is remembered.
const MAX_AUTHORS: usize = 1000;

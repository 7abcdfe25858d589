//! A chat: names, rooms, who is here, private messages, who is typing, and what was said before.
//!
//! ```text
//! cargo run --example chat --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9014/`; open it in two windows and give each a name. Both are
//! in the room `lobby`, and may join others. Stop the server and start it again: the pages come
//! back by themselves, into the rooms that they were in. Ctrl-C sends every client a Close with
//! code 1001 and ends the program.
//!
//! A client speaks first: `{"hello":{"name":"Ada","key":"…"}}`. What may follow is in `wire.rs`;
//! who hears of it is in `lobby.rs`.

mod lobby;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use framewright::tokio::{Error, Server};
use framewright::{CloseCode, Config};
use lobby::Lobby;
use support::{Client, Page};
use tokio::time::Instant;
use wire::{Command, Event};

#[derive(Parser)]
#[command(about = "A chat with names, rooms and private messages.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9014")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 4 << 10;
    // A name is held until its connection is known to be gone.
    config.ping_interval = Some(Duration::from_secs(10));
    config.pong_timeout = Some(Duration::from_secs(10));
    let page = Page {
        html: include_str!("page.html"),
        script: include_str!("page.js"),
    };
    let lobby = Lobby::new();
    support::serve(
        args.listen,
        page,
        Server::new().config(config),
        move |client| chat(client, lobby.clone()),
    )
    .await
}

async fn chat(client: Client, lobby: Lobby) -> Result<(), Error> {
    let Client {
        mut reader,
        mut writer,
    } = client;
    let mut allowance = Allowance::new();
    // Dropped, it tells the rooms that its person has left.
    let mut seat = None;
    while let Some(message) = reader.recv().await? {
        let command = serde_json::from_slice::<Command>(message.payload());
        // What is not said is given back, so that nobody has to type it again.
        let unsaid = command.as_ref().ok().and_then(Command::words);
        let notice = |text| lobby::tell(&writer, &Event::Notice { text, unsaid });
        if !allowance.take() {
            notice("You are too fast: that was not sent.");
            continue;
        }
        match (&command, &seat) {
            (Ok(Command::Hello { name, key }), None) => {
                match lobby.enter(name, key.clone(), &writer) {
                    Ok(taken) => seat = Some(taken),
                    Err(why) => lobby::tell(&writer, &Event::Refused { why }),
                }
            }
            (Ok(command), Some(seat)) => {
                if let Err(text) = seat.obey(command) {
                    notice(text);
                }
            }
            (Ok(_), None) | (Err(_), _) => {
                let reason = "not a command, or none before hello";
                writer
                    .send_close(CloseCode::POLICY_VIOLATION, reason)
                    .await?;
            }
        }
    }
    Ok(())
}

/// How much one may say: a burst, and then so many commands a second.
struct Allowance {
    left: f64,
    counted: Instant,
}

impl Allowance {
    const BURST: f64 = 20.0;
    const A_SECOND: f64 = 4.0;

    fn new() -> Self {
        Self {
            left: Self::BURST,
            counted: Instant::now(),
        }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.counted).as_secs_f64() * Self::A_SECOND;
        self.left = (self.left + earned).min(Self::BURST);
        self.counted = now;
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

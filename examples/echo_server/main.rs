//! A server that sends back every message that it gets.
//!
//! ```text
//! cargo run --release --example echo_server
//! ```
//!
//! It prints `listening on ws://127.0.0.1:9001` once it accepts connections; any WebSocket client
//! can talk to it, also from a web page of any origin. With `--features deflate` there is the flag
//! `--deflate`, which compresses messages for clients that offer it. Ctrl-C sends every client a Close with code
//! 1001 and ends the program.

use std::collections::HashMap;
use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use framewright::blocking::{self, Server, Writer};
use framewright::handshake::OriginPolicy;
use framewright::{CloseCode, Config, Event};

#[derive(Parser)]
#[command(about = "A WebSocket server that sends back every message that it gets.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,

    /// Which adapter of the library serves the connections.
    #[arg(long, value_enum, default_value_t = Adapter::Blocking)]
    adapter: Adapter,

    /// The longest message that is accepted; a longer one is refused with Close 1009.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_message_len)]
    max_message: u64,

    /// Use permessage-deflate with clients that offer it.
    #[cfg(feature = "deflate")]
    #[arg(long)]
    deflate: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    /// A thread per connection.
    Blocking,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = args.max_message;
    config.max_frame_len = args.max_message;
    // An echo has no secrets and no cookies, so every page may connect.
    let server = Server::new()
        .config(config)
        .origin_policy(OriginPolicy::Any);
    #[cfg(feature = "deflate")]
    let server = if args.deflate {
        server.deflate(framewright::DeflateConfig::default())
    } else {
        server
    };
    let served = match args.adapter {
        Adapter::Blocking => serve_blocking(args.listen, server),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

fn serve_blocking(listen: SocketAddr, server: Server) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen)?;
    let clients = Clients::default();
    let leaving = clients.clone();
    ctrlc::set_handler(move || {
        leaving.send_away();
        std::process::exit(0);
    })?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Most often too many open files: connections that end give some back.
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let (server, clients) = (server.clone(), clients.clone());
        let thread = thread::Builder::new().spawn(move || {
            let peer = stream.peer_addr();
            if let Err(error) = echo(&server, &clients, stream)
                && let Ok(peer) = peer
            {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = thread {
            eprintln!("thread: {error}");
        }
    }
    Ok(())
}

/// Serves one client. It is split so that another thread can send it away.
fn echo(server: &Server, clients: &Clients, stream: TcpStream) -> Result<(), blocking::Error> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = server.accept(stream)?.split()?;
    let _registered = clients.register(writer.clone());
    while let Some(event) = reader.recv_event()? {
        // What is fed leaves before the reader waits, so a burst is answered in one write.
        let echoed = match event {
            Event::Text(text) => writer.feed_text(text),
            Event::Binary(data) => writer.feed_binary(data),
            // Pings and the Close are answered already.
            Event::Chunk(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => Ok(()),
        };
        match echoed {
            // The server is leaving: what still comes is not answered any more.
            Err(blocking::Error::Send(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The clients that are connected.
#[derive(Clone, Default)]
struct Clients {
    list: Arc<Mutex<ClientList>>,
}

#[derive(Default)]
struct ClientList {
    registered: u64,
    writers: HashMap<u64, Writer<TcpStream>>,
}

impl Clients {
    /// Adds a client, until what this returns is dropped.
    fn register(&self, writer: Writer<TcpStream>) -> Registered {
        let mut list = self.lock();
        list.registered += 1;
        let number = list.registered;
        list.writers.insert(number, writer);
        Registered {
            clients: self.clone(),
            number,
        }
    }

    /// Sends every client a Close, and waits for all of them at once.
    fn send_away(&self) {
        let writers: Vec<_> = self.lock().writers.values().cloned().collect();
        thread::scope(|scope| {
            for writer in &writers {
                scope.spawn(|| writer.close(CloseCode::GOING_AWAY, "server is leaving"));
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, ClientList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Registered {
    clients: Clients,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.clients.lock().writers.remove(&self.number);
    }
}

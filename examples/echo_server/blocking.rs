//! A thread per connection.

use std::collections::HashMap;
use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

#[cfg(feature = "rustls")]
use framewright::blocking::TlsStream;
use framewright::blocking::{self, MaybeTlsStream, Server, Writer};
use framewright::handshake::OriginPolicy;
use framewright::{CloseCode, Config, Event};

use crate::{Args, Security};

pub(crate) fn serve(args: &Args, config: Config, security: Security) -> Result<(), Box<dyn Error>> {
    // An echo has no secrets and no cookies, so every page may connect.
    let server = Server::new()
        .config(config)
        .origin_policy(OriginPolicy::Any);
    let server = args.subprotocol.iter().fold(server, Server::subprotocol);
    #[cfg(feature = "deflate")]
    let server = if args.deflate {
        server.deflate(framewright::DeflateConfig::default())
    } else {
        server
    };
    let bound = TcpListener::bind(args.listen);
    let listener = bound.map_err(|error| format!("{}: {error}", args.listen))?;
    let clients = Clients::default();
    let leaving = clients.clone();
    ctrlc::set_handler(move || {
        leaving.send_away();
        std::process::exit(0);
    })?;
    let address = listener.local_addr()?;
    println!("listening on {}://{address}", security.scheme());
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
        let (server, security, clients) = (server.clone(), security.clone(), clients.clone());
        let thread = thread::Builder::new().spawn(move || {
            let peer = stream.peer_addr();
            if let Err(error) = echo(&server, &security, &clients, stream)
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
fn echo(
    server: &Server,
    security: &Security,
    clients: &Clients,
    stream: TcpStream,
) -> Result<(), blocking::Error> {
    stream.set_nodelay(true)?;
    let stream = secure(security, stream)?;
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

fn secure(security: &Security, stream: TcpStream) -> Result<MaybeTlsStream, blocking::Error> {
    Ok(match security {
        Security::None => stream.into(),
        #[cfg(feature = "rustls")]
        Security::Tls(acceptor) => TlsStream::server(stream, acceptor)?.into(),
    })
}

/// The clients that are connected.
#[derive(Clone, Default)]
struct Clients {
    list: Arc<Mutex<ClientList>>,
}

#[derive(Default)]
struct ClientList {
    registered: u64,
    writers: HashMap<u64, Writer<MaybeTlsStream>>,
}

impl Clients {
    /// Adds a client, until what this returns is dropped.
    fn register(&self, writer: Writer<MaybeTlsStream>) -> Registered {
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

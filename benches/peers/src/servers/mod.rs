//! The servers, one a file, and the list of them.
//!
//! Each sends back every message, written as its library's own example shows it, with that
//! library's defaults. All run on the allocator of the C library; those on tokio run on `runtime`,
//! those that block on `threads`. The floors share `floor`. Those of `broadcast`, which send a
//! message to all others, are in a folder of their own. A new one is a file here and a line in
//! [`list::SERVERS`].

mod broadcast;
mod fastwebsockets;
mod floor;
mod floor_epoll;
mod floor_tokio;
mod framewright_blocking;
mod framewright_mio;
mod framewright_tokio;
mod framewright_tokio_send;
mod list;
mod plain_tcp_tokio;
mod plain_tcp_tokio_4k;
mod runtime;
mod sockudo_ws;
mod threads;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite;
#[cfg(feature = "uwebsockets")]
mod uwebsockets;
mod yawc;

use std::io;
use std::net::SocketAddr;

pub(crate) use list::SERVERS;

/// A server that can be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The crate whose version is reported.
    pub(crate) package: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) kind: Kind,
    pub(crate) measured: &'static [Measured],
    /// Prints `listening on ADDR` once it accepts connections, and serves until it is killed.
    pub(crate) run: fn(Serving) -> io::Result<()>,
}

/// How a server is to serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving {
    pub(crate) listen: SocketAddr,
    pub(crate) workers: Workers,
}

/// The threads of tokio's runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workers {
    /// None: the thread that starts it does all.
    None,
    /// Two.
    Two,
}

/// What a client has to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// No protocol: bytes come back as they are.
    Bytes,
    WebSocket,
}

/// What a server is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the others are held against.
    Floor,
    Framewright,
    Peer,
}

impl Kind {
    /// Its name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Framewright => "framewright",
            Self::Peer => "peer",
        }
    }
}

/// By which subcommands a server is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    Idle,
    Echo,
    Broadcast,
    Handshake,
}

/// Finds a server by its name.
pub(crate) fn find(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|server| server.name == name)
}

/// The servers that a subcommand measures, in the order of the tables: those with a name in `only`,
/// or all if there is none.
pub(crate) fn measured_by(subcommand: Measured, only: &[String]) -> Vec<&'static Server> {
    (SERVERS.iter())
        .filter(|it| it.measured.contains(&subcommand))
        .filter(|it| only.is_empty() || only.iter().any(|name| name == it.name))
        .collect()
}

/// Those with a name in `only`, and the floors, without which there is no ratio.
pub(crate) fn with_floors(subcommand: Measured, only: &[String]) -> Vec<&'static Server> {
    let mut servers = measured_by(subcommand, &[]);
    servers.retain(|it| {
        it.kind == Kind::Floor || only.is_empty() || only.iter().any(|name| name == it.name)
    });
    servers
}

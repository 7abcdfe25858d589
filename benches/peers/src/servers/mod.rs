//! The servers, one a file, and the list of them.
//!
//! Each sends back every message, written as its library's own example shows it, with that library's
//! defaults. All run on the allocator of the C library; those on tokio run on `runtime`, those that
//! block on `threads`. The floors of `echo` share `floor`. A new one is a file here and a line in
//! [`SERVERS`].

mod fastwebsockets;
mod floor;
mod floor_epoll;
mod floor_tokio;
mod framewright_blocking;
mod framewright_mio;
mod framewright_tokio;
mod framewright_tokio_send;
mod plain_tcp_tokio;
mod plain_tcp_tokio_4k;
mod runtime;
mod sockudo_ws;
mod threads;
mod tokio_tungstenite;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::io;
use std::net::SocketAddr;

/// A server that can be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The crate whose version is reported.
    pub(crate) package: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) kind: Kind,
    pub(crate) measured: Measured,
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

/// By which subcommands a server is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    Idle,
    Echo,
    Both,
}

/// Every server, in the order of the tables.
pub(crate) const SERVERS: &[Server] = &[
    Server {
        name: "raw-epoll",
        about: "no WebSocket: bytes come back, on epoll itself",
        package: "rustix",
        protocol: Protocol::Bytes,
        kind: Kind::Floor,
        measured: Measured::Echo,
        run: floor_epoll::serve_raw,
    },
    Server {
        name: "raw-tokio",
        about: "no WebSocket: bytes come back, on tokio",
        package: "tokio",
        protocol: Protocol::Bytes,
        kind: Kind::Floor,
        measured: Measured::Echo,
        run: floor_tokio::serve_raw,
    },
    Server {
        name: "floor-epoll",
        about: "a hand-written minimal WebSocket on epoll itself",
        package: "rustix",
        protocol: Protocol::WebSocket,
        kind: Kind::Floor,
        measured: Measured::Echo,
        run: floor_epoll::serve_minimal,
    },
    Server {
        name: "floor-tokio",
        about: "a hand-written minimal WebSocket on tokio",
        package: "tokio",
        protocol: Protocol::WebSocket,
        kind: Kind::Floor,
        measured: Measured::Echo,
        run: floor_tokio::serve_minimal,
    },
    Server {
        name: "plain-tcp-tokio",
        about: "no WebSocket: bytes through a buffer on the stack; the floor of tokio",
        package: "tokio",
        protocol: Protocol::Bytes,
        kind: Kind::Floor,
        measured: Measured::Idle,
        run: plain_tcp_tokio::serve,
    },
    Server {
        name: "plain-tcp-tokio-4k",
        about: "no WebSocket: bytes through a buffer of 4 KiB in the task, as most write it",
        package: "tokio",
        protocol: Protocol::Bytes,
        kind: Kind::Floor,
        measured: Measured::Idle,
        run: plain_tcp_tokio_4k::serve,
    },
    Server {
        name: "framewright-mio",
        about: "the bare core on an event loop: examples/mio_server.rs",
        package: "framewright",
        protocol: Protocol::WebSocket,
        kind: Kind::Framewright,
        measured: Measured::Both,
        run: framewright_mio::serve,
    },
    Server {
        name: "framewright-tokio",
        about: "the tokio adapter with its default configuration",
        package: "framewright",
        protocol: Protocol::WebSocket,
        kind: Kind::Framewright,
        measured: Measured::Both,
        run: framewright_tokio::serve,
    },
    Server {
        name: "framewright-tokio-send",
        about: "the same, with a flush for each message",
        package: "framewright",
        protocol: Protocol::WebSocket,
        kind: Kind::Framewright,
        measured: Measured::Echo,
        run: framewright_tokio_send::serve,
    },
    Server {
        name: "framewright-blocking",
        about: "the blocking adapter with its default configuration, a thread per connection",
        package: "framewright",
        protocol: Protocol::WebSocket,
        kind: Kind::Framewright,
        measured: Measured::Echo,
        run: framewright_blocking::serve,
    },
    Server {
        name: "fastwebsockets",
        about: "fastwebsockets over hyper's upgrade",
        package: "fastwebsockets",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Both,
        run: fastwebsockets::serve,
    },
    Server {
        name: "sockudo-ws",
        about: "sockudo-ws with its default configuration",
        package: "sockudo-ws",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Both,
        run: sockudo_ws::serve,
    },
    Server {
        name: "tokio-tungstenite",
        about: "tokio-tungstenite with its default configuration",
        package: "tokio-tungstenite",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Both,
        run: tokio_tungstenite::serve,
    },
    Server {
        name: "tokio-websockets",
        about: "tokio-websockets with its default configuration",
        package: "tokio-websockets",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Both,
        run: tokio_websockets::serve,
    },
    Server {
        name: "tungstenite",
        about: "tungstenite with its default configuration, a thread per connection",
        package: "tungstenite",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Echo,
        run: tungstenite::serve,
    },
    Server {
        name: "yawc",
        about: "yawc over hyper's upgrade, its limit raised from 1 MiB",
        package: "yawc",
        protocol: Protocol::WebSocket,
        kind: Kind::Peer,
        measured: Measured::Both,
        run: yawc::serve,
    },
];

/// Finds a server by its name.
pub(crate) fn find(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|server| server.name == name)
}

/// The servers that a subcommand measures, in the order of the tables: those with a name in `only`,
/// or all if there is none.
pub(crate) fn measured_by(subcommand: Measured, only: &[String]) -> Vec<&'static Server> {
    (SERVERS.iter())
        .filter(|it| it.measured == subcommand || it.measured == Measured::Both)
        .filter(|it| only.is_empty() || only.iter().any(|name| name == it.name))
        .collect()
}

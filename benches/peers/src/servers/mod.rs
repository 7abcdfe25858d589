//! The servers, one a file, and the list of them.
//!
//! Each sends back every message, written as its library's own example shows it, with that library's
//! defaults. All run on the allocator of the C library; those on tokio run on `runtime`. A new one
//! is a file here and a line in [`SERVERS`].

mod fastwebsockets;
mod framewright_mio;
mod framewright_tokio;
mod plain_tcp_tokio;
mod plain_tcp_tokio_4k;
mod runtime;
mod tokio_tungstenite;
mod tokio_websockets;

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
    /// Prints `listening on ADDR` once it accepts connections, and serves until it is killed.
    pub(crate) run: fn(SocketAddr) -> io::Result<()>,
}

/// What a client has to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// No protocol: bytes come back as they are.
    Bytes,
    WebSocket,
}

/// Every server, in the order of the tables.
pub(crate) const SERVERS: &[Server] = &[
    Server {
        name: "plain-tcp-tokio",
        about: "no WebSocket: bytes through a buffer on the stack; the floor of tokio",
        package: "tokio",
        protocol: Protocol::Bytes,
        run: plain_tcp_tokio::serve,
    },
    Server {
        name: "plain-tcp-tokio-4k",
        about: "no WebSocket: bytes through a buffer of 4 KiB in the task, as most write it",
        package: "tokio",
        protocol: Protocol::Bytes,
        run: plain_tcp_tokio_4k::serve,
    },
    Server {
        name: "framewright-mio",
        about: "the bare core on an event loop: examples/mio_server.rs",
        package: "framewright",
        protocol: Protocol::WebSocket,
        run: framewright_mio::serve,
    },
    Server {
        name: "framewright-tokio",
        about: "the tokio adapter with its default configuration",
        package: "framewright",
        protocol: Protocol::WebSocket,
        run: framewright_tokio::serve,
    },
    Server {
        name: "fastwebsockets",
        about: "fastwebsockets over hyper's upgrade",
        package: "fastwebsockets",
        protocol: Protocol::WebSocket,
        run: fastwebsockets::serve,
    },
    Server {
        name: "tokio-tungstenite",
        about: "tokio-tungstenite with its default configuration",
        package: "tokio-tungstenite",
        protocol: Protocol::WebSocket,
        run: tokio_tungstenite::serve,
    },
    Server {
        name: "tokio-websockets",
        about: "tokio-websockets with its default configuration",
        package: "tokio-websockets",
        protocol: Protocol::WebSocket,
        run: tokio_websockets::serve,
    },
];

/// Finds a server by its name.
pub(crate) fn find(name: &str) -> Option<&'static Server> {
    SERVERS.iter().find(|server| server.name == name)
}

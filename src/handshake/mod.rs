//! The opening handshake of both roles, without a stream under it.
//!
//! Each phase is a type that consumes the one before it: [`ClientHandshake`] becomes an
//! [`UpgradeResponse`] becomes a [`Connection`](crate::Connection), [`ServerHandshake`] becomes an
//! [`UpgradeRequest`] becomes one. Holding an [`UpgradeRequest`] proves that section 4.2.1 was
//! checked, and what is not yet open cannot be sent to. It knows nothing of sockets and frames.
//!
//! RFC 6455, section 4.
//!
//! ```
//! use framewright::handshake::{
//!     Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake,
//! };
//! use framewright::{Config, RecvBuffer, SendBuffer};
//! use std::sync::Arc;
//!
//! let config = Arc::new(Config::default());
//! let (mut to_server, mut to_client) = (SendBuffer::new(), SendBuffer::new());
//!
//! let request = ClientRequest::new("ws://example.com/chat")?.subprotocol("chat.v1")?;
//! let nonce = rand::random();
//! let mut client = ClientHandshake::start(&request, config.clone(), nonce, &mut to_server);
//!
//! let mut received = RecvBuffer::from(&to_server.to_vec()[..]);
//! let mut server = ServerHandshake::new(config.clone());
//! let Some(Request::Upgrade(upgrade)) = server.receive(&mut received)? else {
//!     panic!("the request is whole, and asks for an upgrade");
//! };
//! assert_eq!(upgrade.resource_name(), "/chat");
//! let acceptance = Acceptance::new().subprotocol("chat.v1");
//! let server_connection = upgrade.accept(acceptance, config, &mut to_client)?;
//!
//! let mut received = RecvBuffer::from(&to_client.to_vec()[..]);
//! let response = client.receive(&mut received)?.expect("the response is whole");
//! assert_eq!(response.subprotocol(), Some("chat.v1"));
//! let client_connection = response.into_connection();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod authority;
mod body;
mod client;
mod head;
mod headers;
#[cfg(feature = "http")]
mod http;
mod key;
mod origin;
mod proxy;
mod redirect;
mod refusal;
mod request;
mod response;
mod scanner;
mod server;
mod target;
mod upgrade;
mod uri;

use std::time::{Duration, Instant};

pub use client::{ClientHandshake, UpgradeResponse};
pub use headers::Headers;
pub use key::accept_key;
pub use origin::OriginPolicy;
pub use proxy::{Proxy, ProxyHandshake};
pub use request::ClientRequest;
pub use response::Response;
pub use server::{PlainRequest, Request, ServerHandshake};
pub use upgrade::{Acceptance, UpgradeRequest};
pub use uri::Uri;

#[cfg(feature = "deflate")]
pub use crate::extension::DeflateConfig;
pub use crate::extension::ExtensionOffer;

/// The absolute deadline of a handshake, which no byte extends.
#[derive(Debug, Default)]
struct Patience {
    deadline: Option<Instant>,
    started: bool,
}

impl Patience {
    /// Starts the clock at the first call.
    fn set_now(&mut self, timeout: Option<Duration>, now: Instant) {
        if !self.started {
            self.started = true;
            self.deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// The header lines that the handshake writes itself, or that would say where it ends.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "host",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

//! The adapter over streams that block.
//!
//! A stream, a [`Connection`](crate::Connection), two buffers and the clock: reading, writing,
//! waiting. Opcodes, masks, lengths and close codes are the core's.

mod client;
mod connect;
mod maybe_tls;
mod queue;
mod server;
mod split;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod websocket;

pub use crate::adapter::{Error, Outbox, Parts};
pub use client::{Client, connect};
pub use maybe_tls::MaybeTlsStream;
pub use server::{Incoming, PendingUpgrade, PlainExchange, Server, accept};
pub use split::{Reader, Writer};
pub use stream::{Plain, SplitStream, Stream};
#[cfg(feature = "rustls")]
pub use tls::TlsStream;
pub use websocket::WebSocket;

//! The adapter over streams that block.
//!
//! A stream, a [`Connection`](crate::Connection), two buffers and the clock: reading, writing,
//! waiting. Opcodes, masks, lengths and close codes are the core's.

mod client;
mod queue;
mod server;
mod split;
mod stream;
mod websocket;

pub use crate::adapter::{Error, Outbox, Parts};
pub use client::{Client, connect};
pub use server::{Incoming, PendingUpgrade, PlainExchange, Server, accept};
pub use split::{Reader, Writer};
pub use stream::{Plain, SplitStream, Stream};
pub use websocket::WebSocket;

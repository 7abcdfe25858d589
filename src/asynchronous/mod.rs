//! The async adapter, whatever the runtime.
//!
//! A [`Transport`], a [`Connection`](crate::Connection) and the buffers of the thread: reading,
//! writing, waiting. [`tokio`](crate::tokio) and [`futures_io`](crate::futures_io) name its types
//! for their streams, and are what most programs use. Opcodes, masks, lengths and close codes are
//! the core's.

mod alarm;
mod broadcast;
mod byte_stream;
mod client;
mod driver;
mod pool;
mod server;
#[cfg(feature = "futures")]
mod sink;
mod split;
mod tasks;
mod transport;
mod websocket;

pub use crate::adapter::{Error, Fed, Outbox, Parts};
pub use broadcast::{Broadcast, Membership, Reach, SlowPolicy};
pub use byte_stream::ByteStream;
pub use client::Client;
#[cfg(feature = "tokio")]
pub(crate) use client::{handshake, open_tunnel};
pub use server::{Incoming, PendingUpgrade, PlainExchange, Server};
pub use split::{Reader, Writer};
pub use transport::{Runtime, Timer, Transport};
pub use websocket::WebSocket;

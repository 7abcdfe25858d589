//! The adapter over tokio's streams.
//!
//! Names the types of [`asynchronous`] for anything that is `AsyncRead` and `AsyncWrite`, with
//! tokio's clock; resolves and connects. How a WebSocket is driven it does not know.
//!
//! It needs a runtime with timers (`enable_time`), as everything of tokio that has deadlines does;
//! elsewhere its futures panic.
//!
//! ```no_run
//! use framewright::Event;
//! use framewright::tokio::{Error, accept};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # async fn run() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     stream.set_nodelay(true)?;
//!     tokio::spawn(echo(stream));
//! }
//! # }
//!
//! async fn echo(stream: TcpStream) -> Result<(), Error> {
//!     let mut socket = accept(stream).await?; // Pages of other origins are refused with 403.
//!     while let Some((event, mut outbox)) = socket.recv_event().await? {
//!         match event {
//!             Event::Text(text) => outbox.feed_text(text)?,
//!             Event::Binary(data) => outbox.feed_binary(data)?,
//!             _ => {} // Pings and the Close are answered already.
//!         }
//!     }
//!     Ok(())
//! }
//! ```

mod client;
mod maybe_tls;
#[cfg(feature = "tokio-rustls")]
mod tls;
mod transport;

use std::future::Future;

use ::tokio::io::{AsyncRead, AsyncWrite};

use crate::asynchronous;

pub use crate::adapter::{Error, Fed, Outbox, Parts};
pub use crate::asynchronous::{Reach, SlowPolicy};
pub use client::connect;
pub use maybe_tls::MaybeTlsStream;
#[cfg(feature = "tokio-rustls")]
pub use tls::{ClientTlsStream, ServerTlsStream};
pub use transport::{Tokio, TokioTimer, TokioTransport};

/// A WebSocket over a stream of tokio.
#[doc(alias = "WebSocketStream")]
pub type WebSocket<S> = asynchronous::WebSocket<TokioTransport<S>>;
/// The receiving half of a WebSocket over a stream of tokio.
#[doc(alias = "SplitStream")]
pub type Reader<S> = asynchronous::Reader<TokioTransport<S>>;
/// The sending half of a WebSocket over a stream of tokio.
#[doc(alias = "SplitSink")]
pub type Writer<S> = asynchronous::Writer<TokioTransport<S>>;
/// The writers of many WebSockets over streams of tokio, for messages to all of them.
pub type Broadcast<S> = asynchronous::Broadcast<TokioTransport<S>>;
/// A place in a [`Broadcast`].
pub type Membership<S> = asynchronous::Membership<TokioTransport<S>>;
/// A stream of bytes over a WebSocket, which is `AsyncRead` and `AsyncWrite`.
pub type ByteStream<S> = asynchronous::ByteStream<TokioTransport<S>>;
/// A server for streams of tokio.
pub type Server = asynchronous::Server<Tokio>;
/// A client for streams of tokio.
pub type Client = asynchronous::Client<Tokio>;
/// A request that waits for its answer.
pub type Incoming<S> = asynchronous::Incoming<TokioTransport<S>>;
/// A request for a WebSocket that waits for its answer.
pub type PendingUpgrade<S> = asynchronous::PendingUpgrade<TokioTransport<S>>;
/// A plain HTTP request that waits for its answer.
pub type PlainExchange<S> = asynchronous::PlainExchange<TokioTransport<S>>;

/// Accepts a WebSocket over a stream, with the default limits, and only for pages of the same
/// origin.
///
/// # Errors
///
/// As those of [`Server::accept`].
///
/// # Cancel safety
///
/// Dropped, it drops the stream.
#[doc(alias = "accept_async")]
pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> impl Future<Output = Result<WebSocket<S>, Error>> {
    Server::new().accept(stream)
}

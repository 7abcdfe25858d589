//! The adapter over the streams of `futures-io`: smol, async-std and others.
//!
//! Names the types of [`asynchronous`] for anything that is `AsyncRead` and `AsyncWrite` of
//! `futures-io`. How a WebSocket is driven it does not know, and it does not connect: open a stream
//! with your runtime and pass it to [`Client::handshake`] or [`accept`].
//!
//! ```no_run
//! use framewright::futures_io::{Client, Error};
//! use framewright::handshake::ClientRequest;
//! use framewright::{CloseCode, Message};
//! use smol::net::TcpStream;
//!
//! async fn ask() -> Result<(), Error> {
//!     let stream = TcpStream::connect("127.0.0.1:9001").await?;
//!     stream.set_nodelay(true)?;
//!     let client = Client::new(ClientRequest::new("ws://127.0.0.1:9001/")?);
//!     let (mut socket, _headers) = client.handshake(stream).await?;
//!     socket.send("hello").await?;
//!     assert_eq!(socket.recv().await?, Some(Message::text("hello")));
//!     socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
//!     Ok(())
//! }
//! ```
//!
//! # The stream
//!
//! Its `poll_close` shuts down the direction of writing, as that of `smol::net`, async-std and
//! futures-rustls does. That of `async_io::Async<TcpStream>` does nothing, and a peer that waits
//! for the end of the stream, as section 7.1.1 wants it, waits until it is dropped or
//! [`close_timeout`](crate::Config::close_timeout) has passed.
//!
//! # The clock
//!
//! It is async-io's, which works on every runtime. One with a clock of its own gives it as the
//! parameter `T`, a [`Timer`](crate::asynchronous::Timer):
//!
//! ```
//! use framewright::asynchronous;
//! use framewright::futures_io::FuturesIo;
//!
//! type Server<T> = asynchronous::Server<FuturesIo<T>>;
//! type Client<T> = asynchronous::Client<FuturesIo<T>>;
//! ```

mod transport;

use std::future::Future;

use ::futures_io::{AsyncRead, AsyncWrite};

use crate::asynchronous;

pub use crate::adapter::{Error, Fed, Outbox, Parts};
pub use crate::asynchronous::{Reach, SlowPolicy};
pub use transport::{AsyncIoTimer, FuturesIo, FuturesIoTransport};

/// A WebSocket over a stream of `futures-io`.
#[doc(alias = "WebSocketStream")]
pub type WebSocket<S, T = AsyncIoTimer> = asynchronous::WebSocket<FuturesIoTransport<S, T>>;
/// The receiving half of a WebSocket over a stream of `futures-io`.
pub type Reader<S, T = AsyncIoTimer> = asynchronous::Reader<FuturesIoTransport<S, T>>;
/// The sending half of a WebSocket over a stream of `futures-io`.
pub type Writer<S, T = AsyncIoTimer> = asynchronous::Writer<FuturesIoTransport<S, T>>;
/// The writers of many WebSockets over streams of `futures-io`, for messages to all of them.
pub type Broadcast<S, T = AsyncIoTimer> = asynchronous::Broadcast<FuturesIoTransport<S, T>>;
/// A place in a [`Broadcast`].
pub type Membership<S, T = AsyncIoTimer> = asynchronous::Membership<FuturesIoTransport<S, T>>;
/// A stream of bytes over a WebSocket, which is `AsyncRead` and `AsyncWrite`.
pub type ByteStream<S, T = AsyncIoTimer> = asynchronous::ByteStream<FuturesIoTransport<S, T>>;
/// A server for streams of `futures-io`, with async-io's clock.
pub type Server = asynchronous::Server<FuturesIo<AsyncIoTimer>>;
/// A client for streams of `futures-io`, with async-io's clock.
pub type Client = asynchronous::Client<FuturesIo<AsyncIoTimer>>;
/// A request that waits for its answer.
pub type Incoming<S, T = AsyncIoTimer> = asynchronous::Incoming<FuturesIoTransport<S, T>>;
/// A request for a WebSocket that waits for its answer.
pub type PendingUpgrade<S, T = AsyncIoTimer> =
    asynchronous::PendingUpgrade<FuturesIoTransport<S, T>>;
/// A plain HTTP request that waits for its answer.
pub type PlainExchange<S, T = AsyncIoTimer> = asynchronous::PlainExchange<FuturesIoTransport<S, T>>;

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

//! A WebSocket library (RFC 6455) whose core does no I/O.
//!
//! The core does the opening handshake of both roles, frames, masking, fragmentation, UTF-8, ping
//! and pong, the closing handshake and deadlines, over buffers that the caller owns. It reads no
//! socket and no clock, and spawns nothing. Adapters put a stream and a clock under it.
//!
//! # Choose your layer
//!
//! | you have | use |
//! |---|---|
//! | a tokio program | `tokio`: `accept`, `connect`, `split` |
//! | a hyper or axum server | `hyper::upgrade`, `axum::WebSocketUpgrade` |
//! | smol, async-std, another runtime | `futures_io`, or a `Transport` of `asynchronous` |
//! | a thread per connection | `blocking`: `accept`, `connect` |
//! | an event loop, or a transport of your own | [`handshake`], then [`Connection`] with [`RecvBuffer`] and [`SendBuffer`] |
//! | another HTTP server that has upgraded a request | `handshake::Request::from_http`, or [`handshake::accept_key`] and `Connection::new` |
//! | tests of any of these | `test_util` |
//! | bytes of frames | [`frame::FrameHeader`], [`frame::mask()`] |
//!
//! New here: the [`manual`] has a tutorial, from hello to chat, and how-tos: [`manual::limits`],
//! [`manual::backpressure`], [`manual::closing`], [`manual::keepalive`] and proxies,
//! [`manual::authentication`], [`manual::compression`], [`manual::testing`], [`manual::observing`],
//! [`manual::adapters`], and [`manual::migrating`] from other crates.
//!
//! # The core in a loop
//!
//! Events are lent: they borrow the input, so the connection and the output stay free for the
//! reply, and an echo copies nothing but its output.
//!
//! ```
//! use framewright::{Connection, Event, ProtocolError, RecvBuffer, SendBuffer};
//!
//! fn on_readable(
//!     connection: &mut Connection,
//!     input: &mut RecvBuffer, // what was read is in here
//!     output: &mut SendBuffer,
//! ) -> Result<(), ProtocolError> {
//!     let outcome = loop {
//!         match connection.receive(input, output) {
//!             Ok(Some(Event::Text(text))) => drop(connection.send_text(text, output)),
//!             Ok(Some(_)) => {}
//!             Ok(None) => break Ok(()),
//!             Err(error) => break Err(error),
//!         }
//!     };
//!     // Write the output here, also on an error: the Close frame that we owe is in there.
//!     outcome
//! }
//! ```
//!
//! # The layers
//!
//! Imports go down this list, never up.
//!
//! | layer | module | holds |
//! |---|---|---|
//! | tests | `test_util`: both ends in memory, faults, a clock, illegal bytes | a stream, a clock |
//! | adapters | `axum`, `hyper`: requests that others received | nothing |
//! | | `tokio`, `futures_io`: names of a runtime for `asynchronous` | a stream, a clock |
//! | | `blocking`, `asynchronous`: how a stream is driven | a stream, a clock |
//! | | `adapter`: what they share; `tls`: whom to trust | values |
//! | protocol | [`handshake`]: heads, keys, URIs, origins | state |
//! | | `connection`: [`Connection`], [`RecvBuffer`], [`SendBuffer`], [`PreparedMessage`], [`Config`], [`End`] | state |
//! | | `extension`: the seam, the grammar of offers, permessage-deflate | state |
//! | | `message`: [`Message`], [`Utf8Bytes`] | a value |
//! | wire | [`frame`]: headers, opcodes, masks, close codes; `utf8` | nothing |
//! | leaf | [`error`]: [`ProtocolError`], [`SendError`], [`HandshakeError`], and a table of all | a value |
//!
//! # What holds, whatever the peer does
//!
//! 1. The core performs no I/O, reads no clock, spawns nothing.
//! 2. The same bytes in any split give the same messages, errors and output; only
//!    [`Delivery::Chunks`] shows how they came.
//! 3. Memory follows the bytes received, never the lengths claimed, and every resource has a limit
//!    with a name and a default: [`Config`].
//! 4. One call finds at most one event and appends at most one reply.
//! 5. On the first [`ProtocolError`] the Close frame that is owed is in the output, and the error
//!    stays.
//! 6. Messages that the peer sent before its Close are delivered, also while we are closing;
//!    nothing is delivered after it. An adapter whose write fails, because the peer is gone, gives
//!    up what it has not delivered by then.
//! 7. Text is UTF-8, and what is not fails at the first byte that shows it.
//! 8. No public call panics, whatever the bytes and whatever the order of calls.
//!
//! # An idle connection
//!
//! [`Connection`], [`RecvBuffer`] and [`SendBuffer`] are 200, 232 and 96 bytes on a 64-bit target,
//! and own no memory while nothing is under way: [`RecvBuffer::park`] takes the window back, and an
//! idle buffer can be exchanged for any other ([`RecvBuffer::is_idle`]), so that all connections of
//! an event loop share one. The async adapters do so: while one of their connections waits it has
//! neither.
//!
//! # Features
//!
//! - `blocking` (default): the adapter over `std::io` streams.
//! - `os-rng` (default, and with every adapter): masking keys and nonces from the operating
//!   system's entropy; without it a client says where its keys come from: [`MaskSource`].
//! - `simdutf8` (default): validation of text with the vectors of the machine.
//! - `tokio`: the async adapter over tokio's streams.
//! - `futures-io`: the async adapter over the streams of `futures-io`, with async-io's clock.
//! - `futures`: `Stream` and `Sink` of messages, for both.
//! - `deflate`: compression of messages, permessage-deflate of RFC 7692. It is used only where it
//!   is asked for: `ClientRequest::deflate`, `Server::deflate`, `Acceptance::deflate`.
//! - `rustls`: TLS with a configuration of your own, for `blocking`; `tokio-rustls`: likewise for
//!   `tokio`.
//! - `rustls-platform-verifier`, `rustls-webpki-roots`: whom a client trusts by default.
//! - `ring`, `aws-lc-rs`: the cryptography of TLS.
//! - `http`: conversions from and to the types of the `http` crate.
//! - `hyper`: upgrades of requests that hyper received; `http2`: also in HTTP/2, RFC 8441.
//! - `axum`: an extractor.
//! - `tracing`: handshakes, closes and frames as events, without their payloads.
//! - `test-util`: what the tests of a program need, `test_util`.
//!
//! Without features there is the core alone.
//!
//! The words are those of [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455).

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures-io"))]
mod adapter;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
pub mod asynchronous;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "blocking")]
pub mod blocking;
mod connection;
pub mod error;
mod extension;
pub mod frame;
#[cfg(feature = "futures-io")]
pub mod futures_io;
pub mod handshake;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(doc)]
pub mod manual;
mod message;
#[cfg(feature = "test-util")]
pub mod test_util;
#[cfg(feature = "rustls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
mod utf8;

pub use connection::{
    Chunk, Chunks, Compression, Config, Connection, Counters, Delivery, End, EndCause, Event,
    Initiator, MaskSource, PreparedMessage, RecvBuffer, Role, SendBuffer, State, Teardown, Traffic,
};
pub use error::{Fault, HandshakeError, ProtocolError, RefusedResponse, SendError};
pub use frame::{CloseCode, CloseFrame};
#[cfg(feature = "deflate")]
pub use handshake::DeflateConfig;
pub use message::{Message, MessageKind, Utf8Bytes};

/// The examples of the README, which run as tests of the documentation.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../README.md")]
struct Readme;

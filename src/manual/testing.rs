//! Testing a program that talks WebSocket: in memory, with faults, without waiting.
//!
//! The feature `test-util` has what this crate's own tests use. It is for `dev-dependencies`:
//!
//! ```text
//! cargo add --dev framewright --features test-util
//! cargo add --dev tokio --features test-util,macros,rt
//! ```
//!
//! | to test | take |
//! |---|---|
//! | a handler that is generic over its stream | a [`stream_pair`](crate::test_util::stream_pair) |
//! | how it takes a bad network | its [`Wire`](crate::test_util::Wire)s and their [`Control`](crate::test_util::Control) |
//! | deadlines | tokio's paused clock, or a [`VirtualTimer`](crate::test_util::VirtualTimer) |
//! | code over the core | a [`Pair`](crate::test_util::Pair) or an [`Endpoint`](crate::test_util::Endpoint) |
//! | that bad peers are refused | [`illegal_frames`](crate::test_util::illegal_frames) and its kin |
//!
//! # A handler
//!
//! Let the handler be generic over the stream, and no socket is needed. With the clock paused,
//! nothing waits: when all tasks are idle, the time jumps to the next deadline.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # mod tests {
//! use framewright::handshake::ClientRequest;
//! use framewright::test_util::{Wire, stream_pair};
//! use framewright::tokio::{Client, Error, WebSocket, accept};
//! use framewright::{CloseCode, Message};
//! use tokio::io::{AsyncRead, AsyncWrite};
//!
//! async fn shout<S>(mut socket: WebSocket<S>) -> Result<(), Error>
//! where
//!     S: AsyncRead + AsyncWrite + Unpin,
//! {
//!     while let Some(message) = socket.recv().await? {
//!         if let Some(text) = message.as_text() {
//!             socket.send(text.to_uppercase()).await?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! # const TEST: &str = stringify!(
//! #[tokio::test(start_paused = true)]
//! # );
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # pub
//! async fn it_shouts() -> Result<(), Box<dyn std::error::Error>> {
//!     let (here, there) = stream_pair(Wire::dripping(), Wire::dripping());
//!     let server = tokio::spawn(async { shout(accept(there).await?).await });
//!     let client = Client::new(ClientRequest::new("ws://localhost/")?);
//!     let (mut client, _headers) = client.handshake(here).await?;
//!     client.send("hello").await?;
//!     assert_eq!(client.recv().await?, Some(Message::text("HELLO")));
//!     let end = client.close(CloseCode::NORMAL_CLOSURE, "").await?;
//!     assert!(end.is_clean());
//!     server.await??;
//!     Ok(())
//! }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(all(feature = "tokio", feature = "test-util"))]
//! #     tests::it_shouts()?;
//! #     Ok(())
//! # }
//! ```
//!
//! # A bad network
//!
//! A [`Wire`](crate::test_util::Wire) is one direction of the stream, and how it behaves:
//!
//! | | |
//! |---|---|
//! | `reads`, `writes` | cut into pieces, by a [`Split`](crate::test_util::Split): every byte alone, by sevens, at random from a seed |
//! | `capacity` | how much the network holds |
//! | `fail_reads_at`, `fail_writes_at` | after so many bytes an error, the end, or silence: a [`Fault`](crate::test_util::Fault) |
//! | `reluctant` | every operation waits once first, so that each await is one at which futures can be dropped |
//! | `dripping()` | one byte at a time, reluctantly |
//!
//! [`MemoryStream::control`](crate::test_util::MemoryStream::control) does it from the test, at any
//! moment: `reset`, `stall`, `resume`.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use framewright::handshake::ClientRequest;
//! # use framewright::test_util::{Wire, stream_pair};
//! # use framewright::tokio::{Client, Error, accept};
//! # use framewright::EndCause;
//! # use std::time::Duration;
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let (client, server) = tokio::join!(client.handshake(here), accept(there));
//! # let ((client, _), mut server) = (client?, server?);
//! // An hour in which the client is silent, and alive: its task answers Pings.
//! let control = client.stream().control();
//! # let mut client = client;
//! let client = tokio::spawn(async move { client.recv().await });
//! let waited = tokio::time::timeout(Duration::from_secs(3600), server.recv()).await;
//! assert!(waited.is_err(), "the connection is still there");
//!
//! // Then somebody pulls the plug.
//! control.stall();
//! assert!(server.recv().await?.is_none());
//! assert_eq!(server.end().map(|end| end.cause), Some(EndCause::KeepaliveTimeout));
//! # client.abort();
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! # The core
//!
//! A [`Pair`](crate::test_util::Pair) is a client and a server of the core with a clock of their
//! own. Every run has the same bytes, masks included.
//!
//! ```
//! # #[cfg(feature = "test-util")]
//! # fn main() -> Result<(), framewright::SendError> {
//! use framewright::test_util::{Pair, Split};
//! use framewright::{Config, Message};
//! use std::time::Duration;
//!
//! for split in Split::ALL {
//!     let mut pair = Pair::new(&Config::default()).with_split(split);
//!     pair.client.send("Hello")?;
//!     pair.pump();
//!     assert_eq!(pair.server.take_received(), [Message::text("Hello")]);
//!     pair.fall_silent(); // The network loses all from here on.
//!     pair.advance(Duration::from_secs(60));
//!     assert_eq!(pair.server.end().map(|end| end.code()), Some(1006));
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "test-util"))]
//! # fn main() {}
//! ```
//!
//! # Peers that break the rules
//!
//! [`illegal_frames`](crate::test_util::illegal_frames),
//! [`illegal_requests`](crate::test_util::illegal_requests) and
//! [`illegal_responses`](crate::test_util::illegal_responses) are lists of bytes, each with the
//! error that it must earn. A program over the core runs them to see that it writes the Close,
//! gives the answer, and goes on to serve others:
//!
//! ```
//! # #[cfg(feature = "test-util")]
//! # fn main() {
//! use framewright::test_util::{Endpoint, Split, illegal_frames};
//!
//! for case in illegal_frames() {
//!     let mut victim = Endpoint::new(case.connection());
//!     victim.receive(&case.bytes, Split::Every(3));
//!     assert_eq!(victim.error(), Some(case.error), "{}", case.name);
//!     let code = victim.end().and_then(|end| end.sent_code());
//!     assert_eq!(code, Some(case.close_code()), "{}", case.name);
//! }
//! # }
//! # #[cfg(not(feature = "test-util"))]
//! # fn main() {}
//! ```
//!
//! # Other clocks, and none
//!
//! - On smol or async-std the clock is async-io's, which cannot be paused. In tests take
//!   `FuturesIo<VirtualTimer>` for the runtime of [`asynchronous`](crate::asynchronous): its time
//!   moves with [`VirtualTimer::advance`](crate::test_util::VirtualTimer::advance), and each thread
//!   has its own.
//! - The blocking adapter waits in the operating system. Give it timeouts of a few milliseconds,
//!   and run both ends on threads; a `MemoryStream` blocks, too.
//! - A real socket on port 0 of `127.0.0.1` is fine where the listener is what is tested. Do not
//!   pause the clock then: tokio takes a task that waits for the kernel for idle, and every
//!   deadline passes at once.

//! How to end a connection without losing anything, and how to tell how it ended.
//!
//! A WebSocket ends with a handshake of its own: one side sends a Close, the other answers with
//! one, and then the transport is closed, by the server first (7.1.1). What the peer had sent
//! before its Close is delivered; what comes after is not.
//!
//! # To close
//!
//! | call | what it does |
//! |---|---|
//! | `close(code, reason)` | sends a Close, waits for the peer's, tears the transport down, and returns the [`End`](crate::End) |
//! | `send_close(code, reason)` | sends a Close and returns: go on receiving until `None` |
//! | nothing | the peer's Close is answered while you receive; `recv` then returns `None` |
//! | dropping it | no Close: the peer sees 1006 |
//!
//! `close` drops messages that come before the peer's Close. Where they count, send the Close and
//! receive on:
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::{CloseCode, Initiator};
//! # use framewright::handshake::ClientRequest;
//! # use framewright::test_util::{Wire, stream_pair};
//! # use framewright::tokio::{Client, accept};
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let (client, server) = tokio::join!(client.handshake(here), accept(there));
//! # let ((mut socket, _), mut server) = (client?, server?);
//! # server.send("the last word").await?;
//! # let server = tokio::spawn(async move { while let Ok(Some(_)) = server.recv().await {} });
//!
//! socket.send_close(CloseCode::NORMAL_CLOSURE, "that is all").await?;
//! let mut late = 0;
//! while let Some(_message) = socket.recv().await? {
//!     late += 1; // Sent by the peer before it read our Close.
//! }
//! let end = socket.end().expect("recv has returned None");
//! assert!(end.is_clean());
//! assert_eq!(end.initiator, Some(Initiator::Local));
//! # assert_eq!(late, 1);
//! # server.await?;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! - After a Close nothing more can be sent: [`SendError::Closing`](crate::SendError::Closing).
//!   That also holds once the peer's Close has come.
//! - All of it takes at most [`close_timeout`](crate::Config::close_timeout), 5 s by default. Then
//!   the transport is dropped and the end is unclean. `close` always returns.
//! - `close` may be called again, and by whoever likes: it returns the same end.
//! - A reason is at most 123 bytes. A longer one is
//!   [`ReasonTooLong`](crate::SendError::ReasonTooLong), and never cut; the connection stays open.
//! - What was queued before the Close leaves before it.
//!
//! # Codes
//!
//! [`CloseCode`](crate::CloseCode) holds only what may be on the wire. The ones that programs send:
//!
//! | code | constant | for |
//! |---|---|---|
//! | 1000 | `NORMAL_CLOSURE` | done |
//! | 1001 | `GOING_AWAY` | the server stops; the page is left |
//! | 1003 | `UNSUPPORTED_DATA` | binary where only text is read, or the reverse |
//! | 1008 | `POLICY_VIOLATION` | not allowed, and nothing else fits |
//! | 1011 | `INTERNAL_ERROR` | it is our fault |
//! | 1012 | `SERVICE_RESTART` | come back, after a random delay |
//! | 1013 | `TRY_AGAIN_LATER` | overloaded, or the peer reads too slowly |
//! | 4000 to 4999 | `CloseCode::new(4000)` | whatever you and your client agree on |
//!
//! The library itself sends 1002, 1007, 1008 and 1009 for a [`ProtocolError`](crate::ProtocolError)
//! (each has [one code](crate::ProtocolError::close_code)), 1001 after `idle_timeout`, and 1011
//! after `pong_timeout`. To a peer's Close it answers with the code that it received.
//!
//! # How it ended
//!
//! `recv` returns `None` after any end that breaks no rule: a Close, the end of the stream, a
//! keepalive that nobody answered. It returns `Err` where the peer broke a rule, or the transport
//! failed. In both cases `end()` has the value:
//!
//! | [`End`](crate::End) | says |
//! |---|---|
//! | `is_clean()` | both Close frames passed, whatever they said |
//! | `code()` | the code received; 1005 if the Close had none; 1006 if there was no Close |
//! | `reason()` | the reason received |
//! | `sent`, `received` | the two frames |
//! | `initiator` | who sent the first |
//! | `cause` | one of the [`EndCause`](crate::EndCause)s below |
//!
//! | cause | what happened | worth another try? |
//! |---|---|---|
//! | `ClosingHandshake` | one of the two wanted to close | look at `code()`: 1001, 1012 and 1013 say yes |
//! | `EndOfStream` | the transport ended without a Close, as when a process dies | yes |
//! | `Transport` | it failed, or took no bytes within `write_timeout` | yes |
//! | `KeepaliveTimeout` | no byte came within `pong_timeout` of a Ping | yes |
//! | `IdleTimeout` | no message passed within `idle_timeout` | if there is something to say |
//! | `CloseTimeout` | our Close was not answered | we wanted to leave |
//! | `Protocol(error)` | the peer broke this rule | not before the peer is mended |
//!
//! Whoever comes back waits before, longer each time, and for a random part of it: a server that
//! restarts has all its clients knock at once. `examples/support/connect.js` does so in a page.
//!
//! # Split halves
//!
//! `close` of a [`Writer`](crate::tokio::Writer) sends the Close and waits until the reader has
//! seen the end, so the reader must be receiving on another task or thread. In one task the two are
//! polled together; awaiting `close` first would wait for `close_timeout`, because nobody reads the
//! answer.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::CloseCode;
//! # use framewright::handshake::ClientRequest;
//! # use framewright::test_util::{Wire, stream_pair};
//! # use framewright::tokio::{Client, accept};
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let (client, server) = tokio::join!(client.handshake(here), accept(there));
//! # let ((socket, _), mut server) = (client?, server?);
//! # let server = tokio::spawn(async move { while let Ok(Some(_)) = server.recv().await {} });
//!
//! let (mut reader, mut writer) = socket.split();
//! let rest = async move { while let Ok(Some(_message)) = reader.recv().await {} };
//! let (end, ()) = tokio::join!(writer.close(CloseCode::GOING_AWAY, ""), rest);
//! assert!(end?.is_clean());
//! # server.await?;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! # A server that stops
//!
//! Stop accepting; tell every task; have each close with 1001; wait, but not for ever. With one
//! `watch` channel whose receiver each task has, dropping the sender tells all of them:
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # mod server {
//! use framewright::CloseCode;
//! use framewright::tokio::{Error, WebSocket};
//! use tokio::net::TcpStream;
//! use tokio::sync::watch;
//!
//! async fn echo(
//!     mut socket: WebSocket<TcpStream>,
//!     mut leaving: watch::Receiver<()>,
//! ) -> Result<(), Error> {
//!     loop {
//!         tokio::select! {
//!             message = socket.recv() => match message? {
//!                 Some(message) => socket.feed(message).await?,
//!                 None => return Ok(()),
//!             },
//!             _ = leaving.changed() => {
//!                 socket.close(CloseCode::GOING_AWAY, "the server stops").await?;
//!                 return Ok(());
//!             }
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! `examples/graceful.rs` is the whole program, with a deadline and a health check.
//!
//! # Why a Close can get lost
//!
//! A socket that is closed while bytes wait to be read sends a reset, and a reset drops what the
//! peer has not read yet: the Close that said why. Therefore, after a failure and after both
//! Closes, the adapters shut down writing and read on, dropping what comes, until the peer closes,
//! `close_timeout` is over, or [`max_drain_len`](crate::Config::max_drain_len) bytes have come.
//! That happens within `recv` and `close`; a program that drops the socket as soon as it sees an
//! error it did not get from them loses it again.

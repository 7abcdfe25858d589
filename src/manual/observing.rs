//! What can be counted and traced.
//!
//! Nothing here is on by default, because each costs something for each connection. None of it sees
//! a payload.
//!
//! # Counters
//!
//! With [`Config::counters`](crate::Config::counters) a connection counts what passes:
//! [`Counters`](crate::Counters), for the price of one allocation.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::Config;
//! use framewright::tokio::Server;
//! # use framewright::handshake::ClientRequest;
//! # use framewright::test_util::{Wire, stream_pair};
//! # use framewright::tokio::Client;
//!
//! let mut config = Config::default();
//! config.counters = true;
//! let server = Server::new().config(config);
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let (client, socket) = tokio::join!(client.handshake(here), server.accept(there));
//! # let ((mut client, _), mut socket) = (client?, socket?);
//! # client.send("Hello").await?;
//! socket.recv().await?; // "Hello"
//! let counters = socket.connection().counters().expect("the config asks for them");
//! assert_eq!(counters.received.messages, 1);
//! assert_eq!(counters.received.payload_bytes, 5);
//! assert_eq!(counters.received.wire_bytes, 11); // A header, a masking key, five bytes.
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! | | |
//! |---|---|
//! | `received`, `sent` | [`Traffic`](crate::Traffic) in each direction: `messages`, `frames`, `pings`, `pongs`, `payload_bytes`, `wire_bytes` |
//! | `peak_buffered` | the most bytes that waited to be written: how near a peer came to `write_high_water` |
//!
//! `payload_bytes` are those of the program, `wire_bytes` those of the stream, so that their
//! quotient is what compression does. A fragmented message counts once it is whole. What is sent
//! counts when it is queued.
//!
//! Both halves of a WebSocket that is split have `counters`, which are the same; a task that
//! reports keeps a clone of the writer. They stay after the end.
//!
//! # Without counters
//!
//! | what | where |
//! |---|---|
//! | how it ended, and why | `end()`: [`End`](crate::End) |
//! | how many bytes wait | `buffered()` |
//! | the round trip of the latest answered keepalive Ping | [`round_trip_time`](crate::Connection::round_trip_time) |
//! | whether compression was agreed on | [`is_compressing`](crate::Connection::is_compressing) |
//! | how far a broadcast came | [`Reach`](crate::tokio::Reach) |
//!
//! A server that wants one number wants `end()`: count the [`EndCause`](crate::EndCause)s and
//! codes. Many `KeepaliveTimeout`s are a network, many `EndOfStream`s after a round number of
//! seconds a proxy, many 1009s a limit that is too low, many 1013s a broadcast that is too fast.
//!
//! # Tracing
//!
//! With the feature `tracing` there are events of the crate of that name. A connection is a span,
//! `websocket`, with its `role`; its parent is the span that it was opened in, so that a span of
//! your own with the peer's address is in every line.
//!
//! | level | events |
//! |---|---|
//! | debug | `upgrade requested`, `plain request`, `request refused`, `upgrade accepted`, `upgrade rejected`; a client: `upgrade accepted by the server`, `answer refused` |
//! | debug | `the peer broke a rule`, `close received`, `close sent`, `ended`, with codes and causes |
//! | trace | `received` and `sent`, for each message and control frame, with lengths |
//!
//! - No payload, no reason of a Close, no target, header or token is in any of them.
//! - Whether a connection has trace events is decided when it is made: a subscriber that lowers its
//!   level later sees those of new connections. One that is not watched pays for none.
//! - They are of the targets `framewright::handshake` and `framewright::connection`, by module.
//!
//! ```
//! # #[cfg(feature = "tracing")]
//! # mod subscriber {
//! use tracing::span::{Attributes, Id, Record};
//! use tracing::{Event, Level, Metadata, Subscriber};
//!
//! /// Counts closes that peers sent. Most programs take `tracing-subscriber` instead.
//! struct Closes(std::sync::atomic::AtomicUsize);
//!
//! impl Subscriber for Closes {
//!     fn enabled(&self, metadata: &Metadata<'_>) -> bool {
//!         metadata.target().starts_with("framewright") && *metadata.level() <= Level::DEBUG
//!     }
//!     fn event(&self, event: &Event<'_>) {
//!         // Fields are visited: `message` is "close received", `code` its code.
//! #       struct Message(bool);
//! #       impl tracing::field::Visit for Message {
//! #           fn record_debug(
//! #               &mut self,
//! #               field: &tracing::field::Field,
//! #               value: &dyn std::fmt::Debug,
//! #           ) {
//! #               self.0 |= field.name() == "message" && format!("{value:?}") == "close received";
//! #           }
//! #       }
//! #       let mut message = Message(false);
//! #       event.record(&mut message);
//! #       self.0.fetch_add(message.0.into(), std::sync::atomic::Ordering::Relaxed);
//!     }
//!     fn new_span(&self, _: &Attributes<'_>) -> Id {
//!         Id::from_u64(1)
//!     }
//!     fn record(&self, _: &Id, _: &Record<'_>) {}
//!     fn record_follows_from(&self, _: &Id, _: &Id) {}
//!     fn enter(&self, _: &Id) {}
//!     fn exit(&self, _: &Id) {}
//! }
//! #
//! # pub fn run() {
//! #     use framewright::{Config, Connection, RecvBuffer, Role, SendBuffer};
//! #     let closes = std::sync::Arc::new(Closes(0.into()));
//! #     tracing::subscriber::with_default(closes.clone(), || {
//! #         let mut server = Connection::new(Role::Server, Config::default().into());
//! #         let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
//! #         input.extend(b"\x88\x80\x00\x00\x00\x00");
//! #         assert!(server.receive(&mut input, &mut output).unwrap().is_some());
//! #     });
//! #     assert_eq!(closes.0.load(std::sync::atomic::Ordering::Relaxed), 1);
//! # }
//! # }
//! # fn main() {
//! #     #[cfg(feature = "tracing")]
//! #     subscriber::run();
//! # }
//! ```

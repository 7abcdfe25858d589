//! A peer that reads slowly, or sends too much.
//!
//! Bytes that a program makes faster than the network takes them wait somewhere. Here they wait in
//! one place that has a bound, and every method says what it does at the bound: it waits, or it
//! says so. Nothing is dropped behind the caller's back.
//!
//! # What is queued
//!
//! `feed` queues a message; `send` queues it and writes all that is queued. The bound is
//! [`Config::write_high_water`](crate::Config::write_high_water), 128 KiB by default. A message
//! that is begun below it is queued whole, so a connection holds at most that and one message.
//!
//! | method | while more than `write_high_water` bytes wait |
//! |---|---|
//! | `feed`, `send`, and their kin | waits until there is room |
//! | `try_feed`, `try_send` (async) | [`Fed::Full`](crate::tokio::Fed::Full), with the message |
//! | those of an [`Outbox`](crate::tokio::Outbox) | [`SendError::BufferFull`](crate::SendError::BufferFull) |
//! | [`Broadcast::send`](crate::tokio::Broadcast) and `send_batch` | as its [`SlowPolicy`](crate::tokio::SlowPolicy) says |
//! | `close`, `send_close` | a Close does not wait for room: it is what ends the waiting |
//! | the core's `send_*` | queues all the same: the bound is the adapter's |
//!
//! Automatic Pongs take no room: of those that wait only the newest is kept, which 5.5.3 allows.
//!
//! What is queued with `feed` leaves when 64 KiB are there, or before the next receive waits. So a
//! burst that is answered message by message costs one read and one write.
//!
//! # Waiting is right
//!
//! ...where the task has nothing better to do, such as one that copies a file, or a producer that
//! should slow down. `feed(..).await` in a loop runs as fast as the peer reads, and holds 128 KiB.
//!
//! # Skipping is right
//!
//! ...where the next message replaces the last: positions, prices, a clock.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::test_util::{Wire, stream_pair};
//! use framewright::tokio::{Fed, WebSocket};
//! # use framewright::tokio::{Client, Server, Error};
//! # use framewright::handshake::ClientRequest;
//! # use framewright::Config;
//!
//! /// Shows a price, unless this client has not yet taken the ones before.
//! fn show<S>(socket: &mut WebSocket<S>, price: u32) -> Result<bool, Error>
//! # where S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin
//! {
//!     match socket.try_send(price.to_string())? {
//!         Fed::Sent | Fed::Queued(_) => Ok(true),
//!         Fed::Full(_) => Ok(false), // The next one will do.
//!     }
//! }
//!
//! // A network that holds 16 bytes, and a client that reads none of them.
//! let (here, there) = stream_pair(Wire::new(), Wire::new().capacity(16));
//! # let mut config = Config::default();
//! # config.write_high_water = 32;
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let server = Server::new().config(config);
//! # let (client, server) = tokio::join!(client.handshake(here), server.accept(there));
//! # let (_client, mut server) = (client?, server?);
//! assert!(show(&mut server, 1)?);
//! let mut shown = 1;
//! while show(&mut server, shown + 1)? {
//!     shown += 1;
//! }
//! assert!(shown < 50, "{shown} prices are queued, and no more");
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! # Sending away is right
//!
//! ...where nobody may miss a message and nobody may hold the others up: a chat.
//! [`Broadcast`](crate::tokio::Broadcast) does so by default: whoever has no room is closed with
//! 1013, and can come back and ask for what it missed.
//! [`SlowPolicy::Skip`](crate::tokio::SlowPolicy) has it miss messages instead.
//! [`Reach`](crate::tokio::Reach) says how many it was each time. Raise `write_high_water` where
//! bursts are longer than 128 KiB.
//!
//! Do not write this with a channel per client that has no bound. It only moves the bytes to where
//! nobody counts them.
//!
//! # A peer that never reads
//!
//! A write that waits and makes no progress for
//! [`Config::write_timeout`](crate::Config::write_timeout), 30 s by default, ends the connection
//! with `WriteTimeout`; one byte is progress. While bytes wait, a peer that takes some is alive,
//! whether its Pong has come or not.
//!
//! # Two that only write
//!
//! `flush`, and so `send`, reads nothing on a WebSocket that is not split. If both ends flush more
//! than the network holds, and neither reads, both wait until `write_timeout`. Where that can
//! happen, `split`: the reader reads on while the writer waits. The reader is a task, or a thread,
//! of its own, or the two are polled together:
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::handshake::ClientRequest;
//! use framewright::test_util::{Wire, stream_pair};
//! use framewright::tokio::{Client, Error, WebSocket, accept};
//! # use tokio::io::{AsyncRead, AsyncWrite};
//!
//! async fn exchange<S>(socket: WebSocket<S>) -> Result<(), Error>
//! # where S: AsyncRead + AsyncWrite + Unpin
//! {
//!     let (mut reader, mut writer) = socket.split();
//!     let send = async move { writer.send(vec![0_u8; 1 << 20]).await };
//!     let receive = async move { reader.recv().await };
//!     let (sent, received) = tokio::join!(send, receive);
//!     sent?;
//!     assert_eq!(received?.map(|message| message.payload().len()), Some(1 << 20));
//!     Ok(())
//! }
//!
//! let (here, there) = stream_pair(Wire::new(), Wire::new());
//! let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! let (client, server) = tokio::join!(client.handshake(here), accept(there));
//! let (one, other) = tokio::join!(exchange(client?.0), exchange(server?));
//! one?;
//! other?;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! # What is received
//!
//! Nothing is read ahead of the program beyond one buffer: who does not `recv` leaves the bytes to
//! TCP, whose window closes, and the peer's writes wait. But nobody answers Pings meanwhile, and
//! deadlines are not kept. A handler that may take long receives on, and passes the work to a
//! channel with a bound.
//!
//! `recv_event`, whose replies do not wait, holds back the next event while its output is above
//! `write_high_water`: a peer that asks and does not read the answers is not read from either.
//!
//! # Messages longer than memory
//!
//! With [`Delivery::Chunks`](crate::Delivery::Chunks) a message comes in pieces as its bytes
//! arrive, and [`max_message_len`](crate::Config::max_message_len) may be
//! [`UNLIMITED`](crate::Config::UNLIMITED). The other way, `feed_fragment` sends a message in
//! pieces: each waits for room like any message.

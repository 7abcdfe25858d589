//! permessage-deflate: what it saves, costs, and gives away.
//!
//! RFC 7692 compresses each message with DEFLATE. Of the messages of a market feed it leaves a
//! fifth; images and what is encrypted do not shrink at all. It takes time and memory on both ends,
//! and it can leak secrets. Hence it is off unless both ends ask for it.
//!
//! # To use it
//!
//! With the feature `deflate`, a client offers it and a server accepts what is offered:
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "deflate", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::handshake::{ClientRequest, DeflateConfig};
//! use framewright::tokio::{Client, Server};
//! # use framewright::test_util::{Wire, stream_pair};
//!
//! let server = Server::new().deflate(DeflateConfig::default());
//! let request = ClientRequest::new("ws://localhost/")?.deflate(DeflateConfig::default());
//! let client = Client::new(request);
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let (client, server) = tokio::join!(client.handshake(here), server.accept(there));
//! # let ((client, _), server) = (client?, server?);
//! assert!(client.connection().is_compressing() && server.connection().is_compressing());
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "deflate", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! Where one of them does not, the connection opens without. Nothing else changes: payloads, limits
//! and events are those of the message as it was before. With
//! [`Server::receive`](crate::tokio::Server) the answer is yours, and so is the choice:
//! [`Acceptance::deflate`](crate::handshake::Acceptance).
//!
//! # What to choose
//!
//! Each direction has a window, of which a message may refer to what was sent before: the
//! *context*. Kept from one message to the next, it makes short messages that are alike very short,
//! and takes memory for as long as the connection lives.
//!
//! | field of [`DeflateConfig`](crate::handshake::DeflateConfig) | default | |
//! |---|---|---|
//! | `level` | 1 | from 0 to 9; on JSON of 1 KiB, 6 takes ten times as long as 1 and saves a quarter |
//! | `min_len` | 64 | shorter messages are sent as they are |
//! | `server_no_context_takeover` | false | the server forgets its window after each message |
//! | `client_no_context_takeover` | false | the client does |
//! | `server_max_window_bits` | 15 | the server's window as a power of two, from 9 to 15 |
//! | `client_max_window_bits` | 15 | the client's |
//!
//! | memory of a connection | with context takeover | without |
//! |---|---|---|
//! | before the first compressed message | none | none |
//! | receiving | 79 KiB | none between messages |
//! | sending, window of 15 / 12 / 9 bits | 371 / 259 / 245 KiB | none between messages |
//!
//! - A server of a few hundred clients takes the defaults: 450 KiB for each that both sends and
//!   receives compressed messages.
//! - A server of many takes `server_no_context_takeover` and `client_no_context_takeover`. Its
//!   contexts belong to the thread, and a connection has none between messages. A smaller window
//!   saves less than one would think: most of the compressor's memory is not its window.
//! - A [`PreparedMessage`](crate::PreparedMessage) is compressed once for all connections that
//!   agreed on the same. It refers to no message before it, so a broadcast needs no takeover.
//! - Where the network is fast and near, leave it off: a message of 1 KiB takes about a microsecond
//!   at each end.
//!
//! # For each message
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "deflate", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::Compression;
//! # use framewright::handshake::{ClientRequest, DeflateConfig};
//! # use framewright::tokio::{Client, Server};
//! # use framewright::test_util::{Wire, stream_pair};
//! # let server = Server::new().deflate(DeflateConfig::default());
//! # let request = ClientRequest::new("ws://localhost/")?.deflate(DeflateConfig::default());
//! # let client = Client::new(request);
//! # let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let (client, server) = tokio::join!(client.handshake(here), server.accept(there));
//! # let ((_client, _), mut socket) = (client?, server?);
//!
//! socket.feed("a".repeat(10_000)).await?; // Compressed: it is long, and shrinks.
//! assert!(socket.buffered() < 200);
//! socket.flush().await?;
//!
//! let image = vec![0x5a_u8; 10_000]; // Say it is compressed already.
//! socket.feed_with(image, Compression::Never).await?;
//! assert!(socket.buffered() > 10_000);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "deflate", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! [`Compression::Auto`](crate::Compression::Auto), the default, compresses what is at least
//! `min_len` long and shrinks; [`Always`](crate::Compression::Always) compresses in any case,
//! [`Never`](crate::Compression::Never) in none. A `PreparedMessage` has
//! [`with_compression`](crate::PreparedMessage::with_compression).
//!
//! # What it gives away
//!
//! TLS hides what a message says, and not how long it is. DEFLATE makes a message shorter where it
//! repeats itself. So if a secret and text that an attacker chooses are compressed in one window,
//! the attacker tries texts, watches the lengths on the wire, and the shortest is the one that
//! repeats the secret. Character by character, it is out. CRIME did that to TLS, BREACH to HTTP; a
//! WebSocket with context takeover has the same weakness across messages: what one message says
//! shortens the next.
//!
//! It takes three things: a secret that the server sends, text of somebody else's in the same
//! window, and somebody who can read lengths on the network. A chat that echoes what a stranger
//! wrote, into a connection that also carries a token, has all three.
//!
//! - Send secrets with `Compression::Never`. Such a message is not in the window either: it neither
//!   shortens others nor is shortened.
//! - Or keep them apart: another connection, or no context takeover and no secret in a message
//!   beside somebody else's text.
//! - Random padding makes it slower, and does not stop it.
//!
//! # What a peer can do with it
//!
//! - **A bomb.** Inflating stops at [`max_message_len`](crate::Config::max_message_len) of
//!   *inflated* bytes, while inflating: Close 1009. [`max_frame_len`](crate::Config::max_frame_len)
//!   bounds what comes in, and lets a compressed frame be a thousandth and 1 KiB longer, because
//!   what cannot be compressed grows.
//! - **Nonsense.** What is no DEFLATE is
//!   [`CompressedDataInvalid`](crate::ProtocolError::CompressedDataInvalid), Close 1007; so is a
//!   message of more than 128 DEFLATE streams.
//! - **A compressed frame that nobody agreed on** is
//!   [`ReservedBitSet`](crate::ProtocolError::ReservedBitSet), Close 1002.
//! - **A window of 256 bytes**, which zlib cannot compress with: such a connection receives
//!   compressed messages, and sends none.

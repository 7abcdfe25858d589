//! Every limit and timeout: what it bounds, what happens past it, what to choose.
//!
//! They are the fields of [`Config`](crate::Config).
//!
//! Whatever a peer can make grow has a limit with a name and a default, and is judged before
//! anything is kept for it. The defaults suit a server on the open internet that does not know what
//! it will be used for. Who knows more should lower them.
//!
//! ```
//! use framewright::Config;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! let mut config = Config::default();
//! config.max_message_len = 64 * 1024;
//! config.idle_timeout = Some(Duration::from_secs(15 * 60));
//! let config = Arc::new(config); // All connections share one.
//! ```
//!
//! `Server`, `Client`, `Upgrader` and the extractor for axum take it with `config`. A limit that is
//! not wanted is lifted by name: [`Config::UNLIMITED`](crate::Config::UNLIMITED) where it is a
//! length or a count of frames, `None` where it is a time.
//!
//! # Messages
//!
//! | field | default | bounds | past it |
//! |---|---|---|---|
//! | `max_message_len` | 16 MiB | a message, all its fragments, inflated | [`MessageTooLong`](crate::ProtocolError::MessageTooLong), Close 1009 |
//! | `max_frame_len` | 16 MiB | one frame | [`FrameTooLong`](crate::ProtocolError::FrameTooLong), Close 1009 |
//! | `max_fragments` | 131,072 | the frames of a message, empty ones counted | [`TooManyFragments`](crate::ProtocolError::TooManyFragments), Close 1008 |
//! | `delivery` | `Messages` | whether a message is gathered, or comes in [chunks](crate::Delivery::Chunks) | |
//!
//! - `max_message_len` is the one to set: it is what one peer can make you hold. A chat needs
//!   4 KiB, JSON of an application rarely 64 KiB. Times the number of connections, it is the most
//!   memory that all of them can take together; but memory follows the bytes that came, never the
//!   length that was claimed.
//! - It is judged at a frame's header, so that nothing is kept of the frame that would make a
//!   message too long. The peer sees 1009, not a reset: see `max_drain_len`.
//! - `max_frame_len` is for peers that are known to cut their messages. Where both are set, a
//!   message in one frame has the smaller of the two. A compressed frame may be a thousandth and
//!   1 KiB longer.
//! - `max_fragments` bounds work. Peers that send a message in more frames than a few hundred are
//!   rare.
//! - What *you* send has no limit of length but memory.
//!
//! # The opening handshake
//!
//! | field | default | bounds | past it |
//! |---|---|---|---|
//! | `max_head_len` | 16 KiB | the head of a request or an answer | [`HeadTooLong`](crate::HandshakeError::HeadTooLong), 431 |
//! | `max_request_line_len` | 8 KiB | the first line of a request, and so the URI | [`RequestLineTooLong`](crate::HandshakeError::RequestLineTooLong), 414 |
//! | `max_headers` | 100 | its header lines | [`TooManyHeaders`](crate::HandshakeError::TooManyHeaders), 431 |
//! | `max_refused_body_len` | 4 KiB | how much a client keeps of the body of a refusal | it is cut: [`body_truncated`](crate::RefusedResponse::body_truncated) |
//! | `handshake_timeout` | 10 s | all of it, from the first wait to the last byte of the head | [`TimedOut`](crate::HandshakeError::TimedOut), 408 |
//!
//! - The statuses are what a server answers. A client has the error.
//! - Large cookies are why one raises `max_head_len`.
//! - More than 64 KiB of a refusal are never kept.
//! - `handshake_timeout` is not extended by bytes, so whoever sends one byte a second is gone in
//!   10 s as well. Count connections that are not open yet: it is what they hold, times their
//!   number.
//! - Behind hyper and axum the head is hyper's, with limits of its own.
//!
//! # Silence
//!
//! | field | default | bounds | past it |
//! |---|---|---|---|
//! | `ping_interval` | 20 s | how long nothing may be received | a Ping is sent |
//! | `pong_timeout` | 20 s | how long then still nothing | Close 1011, [`KeepaliveTimeout`](crate::EndCause::KeepaliveTimeout) |
//! | `idle_timeout` | none | how long no message may pass | Close 1001, [`IdleTimeout`](crate::EndCause::IdleTimeout) |
//!
//! [`keepalive`](super::keepalive) says how they go together, and how proxies come in. Phones spend
//! energy on each Ping: a minute is a fair interval there, if no proxy on the way is less patient.
//!
//! # The end
//!
//! | field | default | bounds | past it |
//! |---|---|---|---|
//! | `close_timeout` | 5 s | the closing handshake and the tear-down, from the Close on | the transport is dropped; without the peer's Close the end is unclean |
//! | `max_drain_len` | 32 MiB | what is read and dropped after a failure, or both Closes | the transport is dropped |
//!
//! Lower `max_drain_len` together with `max_message_len`: it lets a peer finish what it is sending,
//! so that it reads why it was refused. With zero such peers may see a reset in its place.
//!
//! # Writing
//!
//! | field | default | bounds | past it |
//! |---|---|---|---|
//! | `write_high_water` | 128 KiB | what is queued | waiting, or `Full`: [`backpressure`](super::backpressure) |
//! | `write_timeout` | 30 s | a write that makes no progress | `WriteTimeout`, the end |
//! | `connect_timeout` | 10 s | each step of a client's connecting: TCP, the proxy, TLS | `ConnectTimeout`, [`ProxyTimedOut`](crate::HandshakeError::ProxyTimedOut), `TlsTimeout` |
//!
//! A connection holds `write_high_water` and one message for a peer that does not read. With many
//! connections and short messages, lower it; for a broadcast of long ones, raise it.
//!
//! # Counting
//!
//! `counters` is no limit: whether a connection counts what passes.
//! [`observing`](super::observing).
//!
//! # Without a name
//!
//! Some bounds are the protocol's, or such that nobody needs another:
//!
//! | what | bound | past it |
//! |---|---|---|
//! | payload of a control frame | 125 bytes, as 5.5 says | [`ControlTooLong`](crate::ProtocolError::ControlTooLong), Close 1002 |
//! | automatic Pongs that wait | 1, the newest | the older is replaced |
//! | extensions offered | 16 | [`ExtensionsInvalid`](crate::HandshakeError::ExtensionsInvalid), 400 |
//! | subprotocols offered | 64 | [`SubprotocolsInvalid`](crate::HandshakeError::SubprotocolsInvalid), 400 |
//! | interim 1xx answers that a client reads | 8 | [`TooManyInterimResponses`](crate::HandshakeError::TooManyInterimResponses) |
//! | DEFLATE streams in a message | 128 | [`CompressedDataInvalid`](crate::ProtocolError::CompressedDataInvalid), Close 1007 |
//!
//! # What is yours to bound
//!
//! How many connections there are, from whom, and what each may ask for in a second. A semaphore
//! around `accept` does the first; the example `chat` counts the last.
//!
//! # Timeouts need a clock
//!
//! The adapters tell the core the time, and wait for its deadlines while somebody receives. A core
//! that is never told has none: [`Connection::set_now`](crate::Connection::set_now). A blocking
//! stream without timeouts has none either.

//! Limits and timeouts, each with a name and a default.
//!
//! A value that is shared by many connections behind an `Arc`. It knows no rule: the code that
//! obeys a limit is where its resource is.

use std::time::Duration;

/// Every limit and timeout of a connection, the opening handshake included.
///
/// The defaults suit a server on the open internet. No limit is absent by default; where one is
/// not wanted, say so by name with [`UNLIMITED`](Self::UNLIMITED), or `None` for a timeout.
/// Timeouts bind only where somebody tells the time: the adapters do, and a bare core does with
/// [`Connection::set_now`](crate::Connection::set_now).
///
/// ```
/// use framewright::Config;
///
/// let mut config = Config::default();
/// config.max_message_len = 64 * 1024; // A chat needs no more.
/// ```
#[doc(alias("WebSocketConfig", "Limits"))]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The longest message in bytes, all its fragments together. Default: 16 MiB.
    ///
    /// Judged at a frame's header, before its payload is buffered; a compressed message is judged
    /// while it is inflated, by its inflated bytes. Past it:
    /// [`MessageTooLong`](crate::ProtocolError::MessageTooLong), Close 1009. With
    /// [`Delivery::Chunks`] it bounds the total, and may well be [`UNLIMITED`](Self::UNLIMITED).
    #[doc(alias("max_message_size", "max_payload_len"))]
    pub max_message_len: u64,
    /// The longest frame in bytes. Default: 16 MiB, so that a message may be one frame.
    ///
    /// Judged at the header; a compressed frame may be longer by a thousandth and 1 KiB, because
    /// what cannot be compressed grows. Past it:
    /// [`FrameTooLong`](crate::ProtocolError::FrameTooLong), Close 1009.
    #[doc(alias = "max_frame_size")]
    pub max_frame_len: u64,
    /// The most frames in a message, empty ones counted. Default: 131,072.
    ///
    /// Reassembly is contiguous, so the count bounds work, not memory; Autobahn's case 9.3.1
    /// sends 65,536. Past it: [`TooManyFragments`](crate::ProtocolError::TooManyFragments), Close
    /// 1008.
    pub max_fragments: u64,
    /// How a message is delivered: whole, or in chunks as it arrives. Default: whole.
    pub delivery: Delivery,

    /// The longest head of a request or response in bytes. Default: 16 KiB.
    pub max_head_len: usize,
    /// The longest request line in bytes. Default: 8 KiB, as most HTTP servers have it.
    pub max_request_line_len: usize,
    /// The most header lines of a head. Default: 100.
    pub max_headers: usize,
    /// How many bytes of a refused handshake's body a client keeps. Default: 4 KiB.
    ///
    /// More than 64 KiB are never kept.
    pub max_refused_body_len: usize,
    /// The time for the whole opening handshake, not extended by bytes. Default: 10 s.
    pub handshake_timeout: Option<Duration>,

    /// How long nothing may be received before a Ping asks for a sign of life. Default: 20 s.
    ///
    /// Any inbound byte is a sign of life. Proxies drop connections that are silent for long,
    /// nginx after 60 s.
    #[doc(alias("heartbeat", "keepalive", "ping_pong"))]
    pub ping_interval: Option<Duration>,
    /// How long after such a Ping a byte must arrive. Default: 20 s.
    ///
    /// Past it: Close 1011, and the connection has failed.
    #[doc(alias("ping_timeout", "heartbeat"))]
    pub pong_timeout: Option<Duration>,
    /// How long no message may pass in either direction. Default: `None`.
    ///
    /// Past it: Close 1001, and the closing handshake begins.
    pub idle_timeout: Option<Duration>,
    /// The time for the whole closing handshake. Default: 5 s.
    ///
    /// Past it the transport is dropped, and the end is unclean.
    pub close_timeout: Option<Duration>,
    /// How many bytes are drained after the connection has failed, or after both Close frames.
    /// Default: 32 MiB, twice the longest message.
    ///
    /// A transport that is dropped with unread bytes resets the connection, and our Close frame
    /// is lost with it: a client that is still sending a message which was refused at its header
    /// would see 1006, not 1009. Hence they are read and dropped, within this bound and
    /// [`close_timeout`](Self::close_timeout).
    pub max_drain_len: u64,

    /// How long bytes may wait without the transport taking any. Default: 30 s.
    #[doc(alias = "send_timeout")]
    pub write_timeout: Option<Duration>,
    /// How many queued bytes make the adapters wait, or say that the buffer is full. Default:
    /// 128 KiB, twice what they write at once.
    #[doc(alias("max_write_buffer_size", "backpressure"))]
    pub write_high_water: usize,
    /// The time for each step of connecting: TCP, the tunnel of a proxy, TLS. Default: 10 s.
    pub connect_timeout: Option<Duration>,

    /// Whether a connection counts what passes, for
    /// [`Connection::counters`](crate::Connection::counters). Default: no, because that is an
    /// allocation for each.
    #[doc(alias = "metrics")]
    pub counters: bool,
}

impl Config {
    /// The value of a limit that is none: for `max_message_len`, `max_frame_len`,
    /// `max_fragments` and `max_drain_len`.
    pub const UNLIMITED: u64 = u64::MAX;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_len: 16 << 20,
            max_frame_len: 16 << 20,
            max_fragments: 131_072,
            delivery: Delivery::Messages,
            max_head_len: 16 << 10,
            max_request_line_len: 8 << 10,
            max_headers: 100,
            max_refused_body_len: 4 << 10,
            handshake_timeout: Some(Duration::from_secs(10)),
            ping_interval: Some(Duration::from_secs(20)),
            pong_timeout: Some(Duration::from_secs(20)),
            idle_timeout: None,
            close_timeout: Some(Duration::from_secs(5)),
            max_drain_len: 32 << 20,
            write_timeout: Some(Duration::from_secs(30)),
            write_high_water: 128 << 10,
            connect_timeout: Some(Duration::from_secs(10)),
            counters: false,
        }
    }
}

/// How the payload of messages is delivered.
#[doc(alias("streaming", "FragmentCollector"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Whole messages, as [`Event::Text`](crate::Event::Text) and
    /// [`Event::Binary`](crate::Event::Binary).
    #[default]
    Messages,
    /// Pieces as they arrive, as [`Event::Chunk`](crate::Event::Chunk), so that a message may be
    /// longer than memory. Where a piece ends depends on how the bytes came.
    Chunks,
}

//! What passes through a connection, counted and traced.
//!
//! Knows opcodes and lengths, and never a payload. It decides nothing: a connection behaves the
//! same with it and without.

#[cfg(feature = "tracing")]
use tracing::Span;

use super::config::Config;
use super::recv_buffer::What;
use crate::frame::Opcode;
use crate::message::MessageKind;

/// What has passed through a connection, where [`Config::counters`](crate::Config::counters) asks
/// for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// What was received.
    pub received: Traffic,
    /// What was sent, or waits to be written.
    pub sent: Traffic,
    /// The most bytes that waited to be written.
    pub peak_buffered: usize,
}

/// What has passed in one direction.
///
/// A fragmented message counts once it is whole. So do the frames of one that is received, and,
/// unless it comes in chunks, its bytes; what is sent counts frame by frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Text and binary messages.
    pub messages: u64,
    /// Frames of any kind.
    pub frames: u64,
    /// Pings among the frames.
    pub pings: u64,
    /// Pongs among the frames.
    pub pongs: u64,
    /// The bytes of the messages as the program has them: unmasked, and not compressed.
    pub payload_bytes: u64,
    /// The bytes as they are in the stream: headers, control frames and compression are in it, and
    /// of what is received also that which is not whole. The opening handshake is not.
    pub wire_bytes: u64,
}

/// What watches a connection, if anybody wants to know.
#[derive(Debug)]
pub(super) struct Observer {
    counters: Counters,
    #[cfg(feature = "tracing")]
    span: Span,
}

impl Observer {
    /// Makes one if `config` asks for it, or a subscriber of `tracing` wants frames: a connection
    /// that nobody watches has none.
    pub(super) fn new(
        config: &Config,
        #[cfg(feature = "tracing")] span: &Span,
    ) -> Option<Box<Self>> {
        #[cfg(feature = "tracing")]
        let is_traced = tracing::enabled!(tracing::Level::TRACE);
        #[cfg(not(feature = "tracing"))]
        let is_traced = false;
        (config.counters || is_traced).then(|| {
            Box::new(Self {
                counters: Counters::default(),
                #[cfg(feature = "tracing")]
                span: span.clone(),
            })
        })
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Notes bytes that arrived.
    pub(super) const fn arrived(&mut self, len: usize) {
        let received = &mut self.counters.received;
        received.wire_bytes = received.wire_bytes.saturating_add(len as u64);
    }

    /// Notes an event, its payload of `payload_len` bytes, and of how many frames its message was.
    pub(super) fn received(&mut self, what: What, payload_len: usize, frames: u64) {
        #[cfg(feature = "tracing")]
        tracing::trace!(parent: &self.span, ?what, payload_len, frames, "received");
        let received = &mut self.counters.received;
        match what {
            What::Text | What::Binary => received.message(payload_len, true, frames),
            What::Chunk { fin, .. } => {
                received.message(payload_len, fin, if fin { frames } else { 0 });
            }
            What::Ping => received.control(Opcode::Ping),
            What::Pong => received.control(Opcode::Pong),
            What::Close => received.control(Opcode::Close),
        }
    }

    /// Notes a frame that made the output grow from `before` to `after` bytes.
    ///
    /// It shrinks where a Pong takes the place of a longer one of which no byte is out.
    pub(super) fn sent(&mut self, frame: SentFrame, before: usize, after: usize) {
        #[cfg(feature = "tracing")]
        tracing::trace!(
            parent: &self.span,
            opcode = ?frame.opcode,
            fin = frame.fin,
            payload_len = frame.payload_len,
            buffered = after,
            "sent"
        );
        let sent = &mut self.counters.sent;
        let SentFrame {
            opcode,
            fin,
            payload_len,
        } = frame;
        if opcode.is_control() {
            sent.control(opcode);
        } else {
            sent.message(payload_len, fin, 1);
        }
        sent.wire_bytes =
            (sent.wire_bytes.saturating_add(after as u64)).saturating_sub(before as u64);
        self.counters.peak_buffered = self.counters.peak_buffered.max(after);
    }
}

/// What an observer is told of a frame that is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentFrame {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) payload_len: usize,
}

impl SentFrame {
    /// A message in one frame.
    pub(super) const fn whole(kind: MessageKind, payload_len: usize) -> Self {
        Self {
            opcode: kind.opcode(),
            fin: true,
            payload_len,
        }
    }

    pub(super) const fn control(opcode: Opcode, payload_len: usize) -> Self {
        Self {
            opcode,
            fin: true,
            payload_len,
        }
    }
}

impl Traffic {
    /// Counts a part of a message, the last if `fin`, and the frames that came with it.
    const fn message(&mut self, payload_len: usize, fin: bool, frames: u64) {
        self.payload_bytes = self.payload_bytes.saturating_add(payload_len as u64);
        self.frames = self.frames.saturating_add(frames);
        if fin {
            self.messages = self.messages.saturating_add(1);
        }
    }

    /// Counts a control frame.
    const fn control(&mut self, opcode: Opcode) {
        self.frames = self.frames.saturating_add(1);
        match opcode {
            Opcode::Ping => self.pings = self.pings.saturating_add(1),
            Opcode::Pong => self.pongs = self.pongs.saturating_add(1),
            Opcode::Close | Opcode::Text | Opcode::Binary | Opcode::Continuation => {}
        }
    }
}

//! Opcodes: what a frame's payload is.
//!
//! Knows the registry's numbers and the line between data and control; not the order in which
//! frames may come.
//!
//! RFC 6455, sections 5.2 and 11.8.

/// What the payload of a frame is.
///
/// Reserved opcodes cannot be written down: a header that carries one does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of the message that an earlier frame began (5.4).
    Continuation = 0x0,
    /// The first frame of a text message, UTF-8 as a whole (5.6).
    Text = 0x1,
    /// The first frame of a binary message (5.6).
    Binary = 0x2,
    /// The closing handshake (5.5.1).
    Close = 0x8,
    /// A question that a Pong answers (5.5.2).
    Ping = 0x9,
    /// The answer to a Ping, or an unasked sign of life (5.5.3).
    Pong = 0xA,
}

impl Opcode {
    /// Returns the opcode of four bits, or `None` for a reserved one.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Returns the four bits on the wire.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether this is a control frame: its most significant bit is 1 (5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 0b1000 != 0
    }
}

//! Frame headers, as bytes and as values.
//!
//! The only module that reads or writes header bits. It judges what a header alone can show;
//! rules that need a role, a limit or a history are in `connection::receiver`.
//!
//! RFC 6455, section 5.2.

use core::fmt;
use core::ops::BitOr;

use super::mask::MaskingKey;
use super::opcode::Opcode;
use crate::error::ProtocolError;

/// The header of one frame: everything before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// FIN: this is the last frame of its message.
    pub fin: bool,
    /// The reserved bits, all zero unless an extension claims one.
    pub rsv: Rsv,
    /// What the payload is.
    pub opcode: Opcode,
    /// The masking key, present exactly where the MASK bit is set.
    pub mask: Option<MaskingKey>,
    /// The number of payload bytes, at most 2^63 - 1.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header: two bytes, eight of extended length and a masking key.
    pub const MAX_LEN: usize = 14;

    /// The room that [`encode`](Self::encode) takes at most: it writes more than it keeps.
    pub(crate) const STORED_LEN: usize = 16;

    /// Decodes a header from the front of `bytes`; `None` if it needs more of them.
    ///
    /// A rule is judged as soon as the byte that breaks it is there. On success the header took
    /// [`encoded_len`](Self::encoded_len) bytes.
    ///
    /// # Errors
    ///
    /// [`ReservedOpcode`](ProtocolError::ReservedOpcode),
    /// [`ControlFragmented`](ProtocolError::ControlFragmented),
    /// [`ControlTooLong`](ProtocolError::ControlTooLong),
    /// [`LengthNotMinimal`](ProtocolError::LengthNotMinimal) and
    /// [`LengthTooLarge`](ProtocolError::LengthTooLarge).
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        // "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
        // Connection_."
        let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
            return Err(ProtocolError::ReservedOpcode(first & OPCODE));
        };
        let fin = first & FIN != 0;
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT
        // be fragmented."
        if opcode.is_control() && !fin {
            return Err(ProtocolError::ControlFragmented);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short_len = second & PAYLOAD_LEN;
        if opcode.is_control() && u64::from(short_len) > MAX_CONTROL_PAYLOAD_LEN {
            return Err(ProtocolError::ControlTooLong);
        }
        let (payload_len, rest) = match short_len {
            LEN_16 => {
                let Some((extended, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*extended)), rest)
            }
            LEN_64 => {
                let Some((extended, rest)) = rest.split_first_chunk() else {
                    return judge_partial_length(rest);
                };
                let payload_len = u64::from_be_bytes(*extended);
                // "the most significant bit MUST be 0"
                if payload_len > i64::MAX.unsigned_abs() {
                    return Err(ProtocolError::LengthTooLarge);
                }
                (payload_len, rest)
            }
            _ => (u64::from(short_len), rest),
        };
        // "in all cases, the minimal number of bytes MUST be used to encode the length", which
        // seven bits always are.
        if short_len >= LEN_16 && short_len_for(payload_len) != short_len {
            return Err(ProtocolError::LengthNotMinimal);
        }
        let mask = if second & MASK == 0 {
            None
        } else {
            let Some((key, _)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            Some(MaskingKey::new(*key))
        };
        Ok(Some(Self {
            fin,
            rsv: Rsv(first & RSV),
            opcode,
            mask,
            payload_len,
        }))
    }

    /// Appends the header to `output`.
    ///
    /// It writes what it is told, so that tests can write what no peer should; a `payload_len`
    /// beyond 2^63 - 1 is written as it is, and no endpoint accepts it.
    #[inline]
    pub fn encode(&self, output: &mut Vec<u8>) {
        let (bytes, len) = self.to_bytes();
        // All of them and then less, because copying a slice of any length is a call.
        output.extend_from_slice(&bytes);
        output.truncate(output.len() - bytes.len() + len);
    }

    /// Returns the number of bytes that the header takes: 2 to 14.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        let extended = match short_len_for(self.payload_len) {
            LEN_16 => 2,
            LEN_64 => 8,
            _ => 0,
        };
        2 + extended + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Returns the header's bytes, and how many of them count.
    ///
    /// They are put together in a register, because stores of a byte or two that are loaded as a
    /// whole right after hold the processor up.
    #[inline]
    pub(crate) const fn to_bytes(self) -> ([u8; Self::STORED_LEN], usize) {
        let fin = if self.fin { FIN } else { 0 };
        let mask = if self.mask.is_some() { MASK } else { 0 };
        let short_len = short_len_for(self.payload_len);
        let first = [fin | self.rsv.0 | self.opcode.bits(), mask | short_len];
        let extended_len = self.payload_len.swap_bytes();
        let (extended_len, mut len) = match short_len {
            LEN_16 => (extended_len >> 48, 4),
            LEN_64 => (extended_len, 10),
            _ => (0, 2),
        };
        let mut bits = u16::from_le_bytes(first) as u128 | (extended_len as u128) << 16;
        if let Some(key) = self.mask {
            bits |= (u32::from_le_bytes(key.bytes()) as u128) << (8 * len);
            len += 4;
        }
        (bits.to_le_bytes(), len)
    }
}

/// The header of a message in one frame of less than 64 KiB without reserved bits, as most are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainHeader {
    pub(crate) is_text: bool,
    pub(crate) mask: Option<MaskingKey>,
    /// The number of bytes that the header takes.
    pub(crate) len: usize,
    pub(crate) payload_len: u16,
}

impl PlainHeader {
    /// The longest of them.
    pub(crate) const MAX_LEN: usize = 8;

    /// Reads a header, of which no more is looked at than is its own; `None` if it is another,
    /// which [`FrameHeader::decode`] judges, or is not masked as is expected.
    ///
    /// All bytes are loaded at once.
    #[inline]
    pub(crate) fn read(bytes: [u8; Self::MAX_LEN], is_masked: bool) -> Option<Self> {
        let bits = u64::from_le_bytes(bytes);
        let [first, second, third, fourth, ..] = bytes;
        if first != FIN_TEXT && first != FIN_BINARY {
            return None;
        }
        // Where the bit is not as is expected, what is left is too long for seven bits.
        let (payload_len, key, len) = match second ^ if is_masked { MASK } else { 0 } {
            payload_len @ ..LEN_16 => (u16::from(payload_len), bits >> 16, 2),
            LEN_16 => {
                let payload_len = u16::from_be_bytes([third, fourth]);
                if u64::from(payload_len) <= MAX_CONTROL_PAYLOAD_LEN {
                    return None;
                }
                (payload_len, bits >> 32, 4)
            }
            _ => return None,
        };
        let [key @ .., _, _, _, _] = key.to_le_bytes();
        Some(Self {
            is_text: first == FIN_TEXT,
            mask: is_masked.then_some(MaskingKey::new(key)),
            len: len + 4 * usize::from(is_masked),
            payload_len,
        })
    }
}

/// The three reserved bits of a header, which only an extension may set (5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit set: what every frame carries where no extension was negotiated.
    pub const NONE: Self = Self(0);
    /// The first bit, which RFC 7692 uses for "this message is compressed".
    pub const RSV1: Self = Self(0b0100_0000);
    /// The second bit, which no registered extension uses.
    pub const RSV2: Self = Self(0b0010_0000);
    /// The third bit, which no registered extension uses.
    pub const RSV3: Self = Self(0b0001_0000);

    /// Whether every bit of `other` is set here.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no bit is set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Rsv {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Rsv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rsv({:03b})", self.0 >> 4)
    }
}

/// Judges what of a 64-bit length is there: its first bytes can break a rule already.
#[cold]
fn judge_partial_length(bytes: &[u8]) -> Result<Option<FrameHeader>, ProtocolError> {
    match bytes {
        [0b1000_0000..=0b1111_1111, ..] => Err(ProtocolError::LengthTooLarge),
        [0, 0, 0, 0, 0, 0, ..] => Err(ProtocolError::LengthNotMinimal),
        _ => Ok(None),
    }
}

/// Returns the seven bits that announce a payload of `payload_len` bytes.
#[inline]
const fn short_len_for(payload_len: u64) -> u8 {
    if payload_len > u16::MAX as u64 {
        LEN_64
    } else if payload_len > MAX_CONTROL_PAYLOAD_LEN {
        LEN_16
    } else {
        payload_len.to_le_bytes()[0]
    }
}

/// 5.5: the payload of a control frame, which is also the longest that seven bits can say.
pub(crate) const MAX_CONTROL_PAYLOAD_LEN: u64 = 125;

const FIN: u8 = 0b1000_0000;
const FIN_TEXT: u8 = FIN | Opcode::Text.bits();
const FIN_BINARY: u8 = FIN | Opcode::Binary.bits();
const RSV: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASK: u8 = 0b1000_0000;
const PAYLOAD_LEN: u8 = 0b0111_1111;
/// The short length that says: the next 16 bits are the length.
const LEN_16: u8 = 126;
/// The short length that says: the next 64 bits are the length.
const LEN_64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every first two bytes, with lengths around each bound behind them.
    #[test]
    fn a_plain_header_is_read_as_it_is_decoded_and_no_other_is() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for extended_len in [0, 1, 125, 126, 127, 0x0100, 0x7fff, u16::MAX] {
                    let [third, fourth] = extended_len.to_be_bytes();
                    let bytes = [first, second, third, fourth, 0x15, 0x26, 0x37, 0x48];
                    let is_plain = |header: &FrameHeader| {
                        matches!(header.opcode, Opcode::Text | Opcode::Binary)
                            && header.fin
                            && header.rsv.is_empty()
                            && second & PAYLOAD_LEN != LEN_64
                    };
                    let decoded = FrameHeader::decode(&bytes).ok().flatten();
                    for is_masked in [false, true] {
                        let read = PlainHeader::read(bytes, is_masked);
                        let expected = decoded
                            .filter(is_plain)
                            .filter(|header| header.mask.is_some() == is_masked);
                        let as_decoded = read.map(|header| FrameHeader {
                            fin: true,
                            rsv: Rsv::NONE,
                            opcode: match header.is_text {
                                true => Opcode::Text,
                                false => Opcode::Binary,
                            },
                            mask: header.mask,
                            payload_len: header.payload_len.into(),
                        });
                        assert_eq!(as_decoded, expected, "{bytes:02x?}");
                        let len = expected.map(|header| header.encoded_len());
                        assert_eq!(read.map(|header| header.len), len, "{bytes:02x?}");
                    }
                }
            }
        }
    }
}

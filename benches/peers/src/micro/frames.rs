//! Frames as bytes: what is decoded, and a look at what was encoded.
//!
//! RFC 6455, section 5.2.

use std::sync::Arc;

use super::Failure;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

impl Kind {
    pub(super) const fn opcode(self) -> u8 {
        match self {
            Self::Text => 0x1,
            Self::Binary => 0x2,
        }
    }
}

/// Returns the payload of a message, which differs from that of its neighbours: letters and digits.
pub(super) fn payload(number: usize, len: usize) -> Vec<u8> {
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyz -".iter().copied();
    letters.cycle().skip(number % 37).take(len).collect()
}

/// How many messages of a length are decoded before they come again: about 64 KiB of them.
pub(super) fn batch_count(len: usize) -> usize {
    ((64 << 10) / (len + 6)).max(1)
}

/// Encodes a batch of masked messages.
pub(super) fn batch(kind: Kind, len: usize) -> Arc<[u8]> {
    let mut batch = Vec::new();
    for number in 0..batch_count(len) {
        let key = (number as u32).wrapping_mul(0x9e37_79b9).to_be_bytes();
        header(kind, len, Some(key), &mut batch);
        let payload = payload(number, len);
        batch.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    }
    batch.into()
}

/// Appends a header.
#[inline]
pub(super) fn header(kind: Kind, len: usize, key: Option<[u8; 4]>, output: &mut Vec<u8>) {
    let first = 0b1000_0000 | kind.opcode();
    let mask_bit = if key.is_some() { 0b1000_0000 } else { 0 };
    // Arrays of a fixed length are stored without a call.
    match len {
        0..126 => output.extend_from_slice(&[first, mask_bit | len as u8]),
        126..=0xffff => {
            let [high, low] = (len as u16).to_be_bytes();
            output.extend_from_slice(&[first, mask_bit | 126, high, low]);
        }
        _ => {
            output.extend_from_slice(&[first, mask_bit | 127]);
            output.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if let Some(key) = key {
        output.extend_from_slice(&key);
    }
}

/// A header as it was decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) len: usize,
    pub(super) payload_len: usize,
    pub(super) key: Option<[u8; 4]>,
}

impl Header {
    /// Decodes the header of a whole message at the front of `bytes`, if all of it is there.
    ///
    /// # Panics
    ///
    /// If it is anything else.
    #[inline]
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let kind = match first {
            0b1000_0001 => Kind::Text,
            0b1000_0010 => Kind::Binary,
            other => panic!("a frame begins with {other:#010b}"),
        };
        let (payload_len, rest) = match second & 0b0111_1111 {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*len), rest)
            }
            len => (u64::from(len), rest),
        };
        let (key, rest) = match second & 0b1000_0000 {
            0 => (None, rest),
            _ => {
                let (key, rest) = rest.split_first_chunk()?;
                (Some(*key), rest)
            }
        };
        Some(Self {
            kind,
            len: bytes.len() - rest.len(),
            payload_len: usize::try_from(payload_len).ok()?,
            key,
        })
    }
}

/// Looks whether `bytes` are nothing but `count` binary messages with this payload.
pub(super) fn check(
    mut bytes: &[u8],
    count: usize,
    expected: &[u8],
    is_masked: IsMasked,
) -> Result<(), Failure> {
    for number in 0..count {
        if bytes.first() != Some(&(0b1000_0000 | Kind::Binary.opcode())) {
            return Err(format!("message {number} begins with {:x?}", bytes.first()).into());
        }
        let header = Header::decode(bytes).ok_or(format!("{number} messages are there"))?;
        if header.payload_len != expected.len()
            || header.key.is_some() != (is_masked == IsMasked::Yes)
        {
            return Err(format!("message {number} has the header {header:?}").into());
        }
        let key = header.key.unwrap_or_default();
        let frame_len = header.len + header.payload_len;
        let payload = bytes.get(header.len..frame_len);
        let payload = payload.ok_or(format!("message {number} is cut"))?;
        let payload = payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k);
        if !payload.eq(expected.iter().copied()) {
            return Err(format!("message {number} is not what was sent").into());
        }
        bytes = &bytes[frame_len..];
    }
    match bytes.len() {
        0 => Ok(()),
        len => Err(format!("{len} bytes too many were written").into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsMasked {
    Yes,
    No,
}

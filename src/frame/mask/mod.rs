//! Masking: payload bytes XORed with a repeating four-byte key.
//!
//! Knows a key, an offset and a slice, and which kernel is the fastest; not why something is masked,
//! nor where keys come from. Short payloads never leave this file's callers: no call, no pointer.
//!
//! RFC 6455, section 5.3.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use core::fmt;

use portable::{SHORT_LEN, mask_short};

/// The four bytes that a payload is masked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// Makes a key of four bytes, in the order of the wire.
    ///
    /// A key that a client sends with must come from a strong source of entropy (10.3), as those
    /// of [`Connection`](crate::Connection) do.
    #[inline]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Returns the four bytes, in the order of the wire.
    #[inline]
    pub const fn bytes(self) -> [u8; 4] {
        self.0
    }

    /// Returns the key as it stands `offset` bytes into a payload.
    #[inline]
    const fn rotated(self, offset: usize) -> Self {
        let [a, b, c, d] = self.0;
        match offset % 4 {
            0 => Self([a, b, c, d]),
            1 => Self([b, c, d, a]),
            2 => Self([c, d, a, b]),
            _ => Self([d, a, b, c]),
        }
    }
}

impl fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MaskingKey({:08x})", u32::from_be_bytes(self.0))
    }
}

/// Masks or unmasks `payload` in place; the two are one operation.
///
/// `offset` is the place of `payload[0]` in the whole payload of the frame, so that a payload can
/// be unmasked piece by piece as it arrives.
#[inline]
pub fn mask(payload: &mut [u8], key: MaskingKey, offset: usize) {
    let key = key.rotated(offset).0;
    if payload.len() <= SHORT_LEN {
        mask_short(payload, key);
    } else {
        mask_long(payload, key);
    }
}

/// Appends `payload` to `output`, masked.
#[inline]
pub fn mask_into(output: &mut Vec<u8>, payload: &[u8], key: MaskingKey) {
    #[cfg(target_arch = "x86_64")]
    if payload.len() > SHORT_LEN && x86_64::append(output, payload, key.0) {
        return;
    }
    // A copy and a pass over what is in the cache: one loop that does both through an iterator
    // takes twice as long.
    let start = output.len();
    output.extend_from_slice(payload);
    mask(&mut output[start..], key, 0);
}

/// Masks with the best kernel of the machine.
#[cfg(target_arch = "x86_64")]
fn mask_long(payload: &mut [u8], key: [u8; 4]) {
    x86_64::mask(payload, key);
}

/// Masks with what the compiler knows of the machine.
#[cfg(not(target_arch = "x86_64"))]
fn mask_long(payload: &mut [u8], key: [u8; 4]) {
    portable::mask_words(payload, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 5.3 to the letter: octet i is XORed with octet (i MOD 4) of the key.
    fn mask_by_the_letter(payload: &mut [u8], key: [u8; 4], offset: usize) {
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[(index + offset) % 4];
        }
    }

    #[test]
    fn every_length_offset_and_alignment_agrees_with_the_rfc() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let source: Vec<u8> = (0..=u8::MAX).cycle().take(257 + 64).collect();
        for alignment in 0..64 {
            for len in 0..=257 {
                for offset in 0..4 {
                    let mut ours = source.clone();
                    let mut letter = source.clone();
                    let range = alignment..alignment + len;
                    mask(&mut ours[range.clone()], MaskingKey::new(key), offset);
                    mask_by_the_letter(&mut letter[range], key, offset);
                    assert_eq!(ours, letter, "{len} bytes, offset {offset}, at {alignment}");
                }
            }
        }
    }

    #[test]
    fn masking_while_copying_is_copying_and_masking() {
        let key = MaskingKey::new([1, 2, 3, 4]);
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(600).collect();
        for len in 0..=payload.len() {
            let mut copied = b"before".to_vec();
            mask_into(&mut copied, &payload[..len], key);
            let mut masked = payload[..len].to_vec();
            mask(&mut masked, key, 0);
            assert_eq!(copied, [b"before".as_slice(), &masked].concat());
        }
    }
}

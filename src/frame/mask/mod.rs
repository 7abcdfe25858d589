//! Masking: payload bytes XORed with a repeating four-byte key.
//!
//! Knows a key, an offset and a slice, and which kernel is the fastest; not why something is
//! masked, nor where keys come from. Short payloads are masked where the call stands: no call, no
//! pointer.
//!
//! Only x86-64 has kernels of its own, because only there vectors that a machine may lack are worth
//! asking for. Elsewhere, aarch64 with its NEON included, the compiler knows the vectors, and makes
//! of the portable words what would be written by hand.
//!
//! RFC 6455, section 5.3.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use core::fmt;

pub(crate) use portable::SHORT_LEN;
use portable::{doubled, turned};

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
#[doc(alias("unmask", "apply_mask"))]
#[inline]
pub fn mask(payload: &mut [u8], key: MaskingKey, offset: usize) {
    let key = turned(doubled(key.0), offset);
    if payload.len() <= SHORT_LEN {
        portable::mask_short(payload, key);
    } else {
        #[cfg(target_arch = "x86_64")]
        x86_64::mask(payload, key);
        #[cfg(not(target_arch = "x86_64"))]
        portable::mask_long(payload, key);
    }
}

/// Masks or unmasks `payload` in place, and returns whether the outcome is ASCII.
///
/// It costs next to nothing while the bytes are in registers; to read them back would wait until
/// they are written. Unchecked conversions rely on a `true`.
// By force: the call alone was 10 of the 161 instructions that receiving a short text takes.
#[inline(always)]
pub(crate) fn mask_and_look(payload: &mut [u8], key: MaskingKey, offset: usize) -> bool {
    let key = turned(doubled(key.0), offset);
    if payload.len() <= SHORT_LEN {
        portable::mask_short(payload, key)
    } else {
        #[cfg(target_arch = "x86_64")]
        {
            x86_64::mask_and_look(payload, key)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            portable::mask_long(payload, key)
        }
    }
}

/// Appends `payload` to `output`, masked.
#[inline]
pub fn mask_into(output: &mut Vec<u8>, payload: &[u8], key: MaskingKey) {
    mask_piece_into(output, payload, key, 0);
}

/// Appends a piece of a payload to `output`, masked or unmasked; `offset` is as that of [`mask`].
#[inline]
pub(crate) fn mask_piece_into(output: &mut Vec<u8>, piece: &[u8], key: MaskingKey, offset: usize) {
    let key = turned(doubled(key.0), offset);
    if piece.len() <= SHORT_LEN {
        portable::append_short(output, piece, key);
    } else {
        #[cfg(target_arch = "x86_64")]
        x86_64::append(output, piece, key);
        #[cfg(not(target_arch = "x86_64"))]
        portable::append_long(output, piece, key);
    }
}

/// Writes at most [`SHORT_LEN`] bytes to the front of `room` without a call, masked; what follows
/// them there is any.
#[inline]
pub(crate) fn mask_short_into(room: &mut [u8; SHORT_LEN], payload: &[u8], key: MaskingKey) {
    portable::write_short(room, payload, doubled(key.0));
}

/// Copies what [`mask_short_into`] would mask: a key of zeros changes nothing.
#[inline]
pub(crate) fn copy_short(room: &mut [u8; SHORT_LEN], payload: &[u8]) {
    portable::write_short(room, payload, 0);
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

    /// Compares masking in place with the letter, for every offset and alignment, and what it says
    /// of ASCII.
    pub(super) fn compare_in_place(
        name: &str,
        lens: impl IntoIterator<Item = usize>,
        mask: impl Fn(&mut [u8], u64) -> bool,
    ) {
        for len in lens {
            let source = bytes(len + 128);
            for alignment in (0..64).step_by(STEP) {
                for offset in 0..4 {
                    let range = alignment..alignment + len;
                    let mut letter = source.clone();
                    mask_by_the_letter(&mut letter[range.clone()], KEY, offset);
                    let mut ours = source.clone();
                    let is_ascii = mask(&mut ours[range.clone()], turned(doubled(KEY), offset));
                    assert!(
                        ours == letter,
                        "{name}: {len} bytes, offset {offset}, at {alignment}"
                    );
                    assert_eq!(is_ascii, letter[range].is_ascii(), "{name}: {len} bytes");
                }
            }
            find_a_byte(name, len, &mask);
        }
    }

    /// Has ASCII come out, and ASCII but for one byte, at every place where that may be.
    fn find_a_byte(name: &str, len: usize, mask: &impl Fn(&mut [u8], u64) -> bool) {
        let mut text: Vec<u8> = bytes(len).iter().map(|byte| byte & 0x7f).collect();
        mask_by_the_letter(&mut text, KEY, 0);
        let says_ascii = |text: &[u8]| mask(&mut text.to_vec(), doubled(KEY));
        assert!(says_ascii(&text), "{name}: {len} bytes of ASCII");
        // In a long one not every place is another one, and 37 comes to each of a vector.
        for place in (0..len).step_by(if len < 600 { STEP } else { 37 * STEP }) {
            text[place] ^= 0x80;
            assert!(
                !says_ascii(&text),
                "{name}: {len} bytes, not ASCII at {place}"
            );
            text[place] ^= 0x80;
        }
    }

    /// Compares appending with the letter, from every alignment to every alignment modulo eight.
    pub(super) fn compare_appending(
        name: &str,
        lens: impl IntoIterator<Item = usize>,
        append: impl Fn(&mut Vec<u8>, &[u8], u64),
    ) {
        for len in lens {
            let source = bytes(len + 64);
            for alignment in (0..64).step_by(STEP) {
                let payload = &source[alignment..alignment + len];
                let mut letter = bytes(alignment % 8);
                let start = letter.len();
                let mut ours = letter.clone();
                letter.extend_from_slice(payload);
                mask_by_the_letter(&mut letter[start..], KEY, 0);
                append(&mut ours, payload, doubled(KEY));
                assert!(ours == letter, "{name}: {len} bytes from {alignment}");
            }
        }
    }

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Lengths on both sides of every branch and loop of the kernels, and of the aligned stores.
    pub(super) fn long_lens() -> impl Iterator<Item = usize> + Clone {
        let longer = [
            319, 320, 321, 511, 512, 513, 575, 576, 577, 4095, 4096, 4097, 4161, 4400,
        ];
        (SHORT_LEN + 1..=257).chain(longer).step_by(STEP)
    }

    /// Miri, which looks at every access where others see what comes out, takes ten thousand times
    /// as long, and is shown some of the cases.
    const STEP: usize = if cfg!(miri) { 47 } else { 1 };

    fn bytes(len: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(len).collect()
    }

    #[test]
    fn every_length_offset_and_alignment_agrees_with_the_rfc() {
        let lens = || (0..=257).step_by(STEP).chain(long_lens());
        for offset in (0..4).step_by(STEP) {
            let key = |key| {
                let [a, b, c, d, ..] = turned(key, 4 - offset).to_le_bytes();
                MaskingKey::new([a, b, c, d])
            };
            compare_in_place("mask", lens(), |payload, turned| {
                mask(payload, key(turned), offset);
                payload.is_ascii()
            });
            compare_in_place("look", lens(), |payload, turned| {
                mask_and_look(payload, key(turned), offset)
            });
        }
        compare_appending("mask_into", lens(), |output, payload, _| {
            mask_into(output, payload, MaskingKey::new(KEY));
        });
        // From the third byte of a payload on, whose key begins two bytes earlier.
        let [a, b, c, d] = KEY;
        let earlier = MaskingKey::new([c, d, a, b]);
        compare_appending("mask_piece_into", lens(), |output, payload, _| {
            mask_piece_into(output, payload, earlier, 2);
        });
    }

    #[test]
    fn appending_takes_no_more_room_than_the_payload_has() {
        for len in 0..=SHORT_LEN + 1 {
            for spare in 0..=SHORT_LEN {
                let payload = bytes(len);
                let mut output = Vec::with_capacity(len + spare);
                let capacity = output.capacity();
                mask_into(&mut output, &payload, MaskingKey::new([0; 4]));
                assert_eq!((&output, output.capacity()), (&payload, capacity));
            }
        }
    }

    #[test]
    fn a_short_payload_is_written_to_the_front() {
        for len in 0..=SHORT_LEN {
            let mut room = [0; SHORT_LEN];
            let mut payload = bytes(len);
            copy_short(&mut room, &payload);
            assert_eq!(room[..len], payload);
            mask_short_into(&mut room, &payload, MaskingKey::new(KEY));
            mask_by_the_letter(&mut payload, KEY, 0);
            assert_eq!(room[..len], payload);
        }
    }

    #[test]
    fn the_portable_kernel_agrees_with_the_rfc() {
        compare_in_place("words", long_lens(), portable::mask_long);
        compare_appending("words", long_lens(), portable::append_long);
    }
}

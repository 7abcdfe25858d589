//! Masking with plain words, for every machine.
//!
//! The short payloads, which are the commonest, in two words that overlap; the others in a loop that
//! the compiler turns into the vectors of the target, NEON among them. Safe throughout, and what the
//! other kernels are compared with.

/// Masks at most [`SHORT_LEN`] bytes: the first and the last word of them, which overlap.
#[inline]
pub(super) fn mask_short(payload: &mut [u8], key: [u8; 4]) {
    debug_assert!(payload.len() <= SHORT_LEN);
    match payload.len() {
        0..4 => {
            for (byte, key) in payload.iter_mut().zip(key) {
                *byte ^= key;
            }
        }
        4..8 => {
            let key = u32::from_ne_bytes(key);
            ends::<4>(payload, |word, shift| {
                (u32::from_ne_bytes(word) ^ turned(key, shift)).to_ne_bytes()
            });
        }
        8..=16 => {
            let key = u32::from_ne_bytes(key);
            ends::<8>(payload, |word, shift| {
                let key = u64::from(turned(key, shift));
                (u64::from_ne_bytes(word) ^ (key << 32 | key)).to_ne_bytes()
            });
        }
        _ => {
            let key = u32::from_ne_bytes(key);
            ends::<16>(payload, |word, shift| {
                let key = u128::from(turned(key, shift));
                let key = key << 32 | key;
                (u128::from_ne_bytes(word) ^ (key << 64 | key)).to_ne_bytes()
            });
        }
    }
}

/// Masks any number of bytes.
#[inline]
pub(super) fn mask_words(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let key = [a, b, c, d, a, b, c, d];
    let word = u64::from_ne_bytes(key);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Replaces the first and the last `N` of between `N` and `2 * N` bytes, both as they were.
///
/// `mask` is told how far from the front the word stands.
#[inline]
fn ends<const N: usize>(payload: &mut [u8], mask: impl Fn([u8; N], usize) -> [u8; N]) {
    let shift = payload.len() - N;
    let (Some(first), Some(last)) = (payload.first_chunk::<N>(), payload.last_chunk::<N>()) else {
        return;
    };
    let (first, last) = (mask(*first, 0), mask(*last, shift));
    if let Some(bytes) = payload.first_chunk_mut::<N>() {
        *bytes = first;
    }
    if let Some(bytes) = payload.last_chunk_mut::<N>() {
        *bytes = last;
    }
}

/// Returns a key in memory order as it stands `shift` bytes further on.
#[inline]
pub(super) const fn turned(key: u32, shift: usize) -> u32 {
    let bits = match shift % 4 {
        0 => 0,
        1 => 8,
        2 => 16,
        _ => 24,
    };
    if cfg!(target_endian = "little") {
        key.rotate_right(bits)
    } else {
        key.rotate_left(bits)
    }
}

/// The longest payload for [`mask_short`].
pub(super) const SHORT_LEN: usize = 32;

//! Masking with plain words, for every machine.
//!
//! Words that overlap at the end of the payload, so that no length needs a loop over single bytes,
//! in blocks that the compiler turns into the vectors of the target, NEON among them. Safe
//! throughout, and what the other kernels are compared with.
//!
//! What masks in place also says whether the outcome is ASCII.

/// Masks at most [`SHORT_LEN`] bytes.
#[inline]
pub(super) fn mask_short(payload: &mut [u8], key: u64) -> bool {
    debug_assert!(payload.len() <= SHORT_LEN);
    match payload.len() {
        17.. => mask_ends::<16>(payload, key),
        8.. => mask_ends::<8>(payload, key),
        4.. => mask_ends::<4>(payload, key),
        0.. => {
            let mut seen = [0];
            for (byte, key) in payload.iter_mut().zip(key.to_le_bytes()) {
                *byte ^= key;
                seen = either(seen, [*byte]);
            }
            is_ascii(seen)
        }
    }
}

/// Appends at most [`SHORT_LEN`] bytes, masked.
#[inline]
pub(super) fn append_short(output: &mut Vec<u8>, payload: &[u8], key: u64) {
    if output.capacity() - output.len() < SHORT_LEN {
        return append_short_at_the_end(output, payload, key);
    }
    // Room for the longest: stores of a known length, where the payload's own would be a call.
    output.extend_from_slice(&[0; SHORT_LEN]);
    if let Some(room) = output.last_chunk_mut() {
        write_short(room, payload, key);
    }
    output.truncate(output.len() - SHORT_LEN + payload.len());
}

/// Appends at most [`SHORT_LEN`] bytes, masked, where there may be room for no more than they take.
#[cold]
fn append_short_at_the_end(output: &mut Vec<u8>, payload: &[u8], key: u64) {
    let mut room = [0; SHORT_LEN];
    write_short(&mut room, payload, key);
    output.extend_from_slice(&room[..payload.len()]);
}

/// Writes at most [`SHORT_LEN`] bytes to the front of `room`, masked; what follows them is any.
#[inline]
pub(super) fn write_short(room: &mut [u8; SHORT_LEN], payload: &[u8], key: u64) {
    debug_assert!(payload.len() <= SHORT_LEN);
    match payload.len() {
        17.. => write_ends::<16>(room, payload, key),
        8.. => write_ends::<8>(room, payload, key),
        4.. => write_ends::<4>(room, payload, key),
        0.. => {
            for ((target, byte), key) in room.iter_mut().zip(payload).zip(key.to_le_bytes()) {
                *target = byte ^ key;
            }
        }
    }
}

/// Masks more than [`SHORT_LEN`] bytes.
#[cfg_attr(target_arch = "x86_64", cold)]
pub(super) fn mask_long(payload: &mut [u8], key: u64) -> bool {
    let Some(last) = payload.last_chunk::<BLOCK_LEN>() else {
        return mask_ends::<{ BLOCK_LEN / 2 }>(payload, key);
    };
    // Read before anything is written, and written last: it overlaps the whole blocks.
    let last = masked(*last, turned(key, payload.len()));
    let mut seen = last;
    for block in payload.as_chunks_mut::<BLOCK_LEN>().0 {
        *block = masked(*block, key);
        seen = either(seen, *block);
    }
    if let Some(bytes) = payload.last_chunk_mut() {
        *bytes = last;
    }
    is_ascii(seen)
}

/// Appends more than [`SHORT_LEN`] bytes, masked, in one pass.
#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn append_long(output: &mut Vec<u8>, payload: &[u8], key: u64) {
    let Some(last) = payload.last_chunk::<BLOCK_LEN>() else {
        return append_ends::<{ BLOCK_LEN / 2 }>(output, payload, key);
    };
    let start = output.len();
    output.reserve(payload.len());
    for block in payload.as_chunks::<BLOCK_LEN>().0 {
        output.extend_from_slice(&masked(*block, key));
    }
    output.truncate(start + payload.len() - BLOCK_LEN);
    output.extend_from_slice(&masked(*last, turned(key, payload.len())));
}

/// Masks between `N` and `2 * N` bytes.
#[inline]
fn mask_ends<const N: usize>(payload: &mut [u8], key: u64) -> bool {
    let Some((first, last)) = ends::<N>(payload, key) else {
        return false;
    };
    if let Some(bytes) = payload.first_chunk_mut() {
        *bytes = first;
    }
    if let Some(bytes) = payload.last_chunk_mut() {
        *bytes = last;
    }
    is_ascii(either(first, last))
}

/// Writes between `N` and `2 * N` bytes to the front of `room`, masked.
#[inline]
fn write_ends<const N: usize>(room: &mut [u8; SHORT_LEN], payload: &[u8], key: u64) {
    let Some((first, last)) = ends::<N>(payload, key) else {
        return;
    };
    if let Some(front) = room.first_chunk_mut() {
        *front = first;
    }
    if let Some(back) = room
        .get_mut(..payload.len())
        .and_then(<[u8]>::last_chunk_mut)
    {
        *back = last;
    }
}

/// Appends between `N` and `2 * N` bytes, masked.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn append_ends<const N: usize>(output: &mut Vec<u8>, payload: &[u8], key: u64) {
    let Some((first, last)) = ends::<N>(payload, key) else {
        return;
    };
    let start = output.len();
    // Two words of a known length are two stores; the payload's own length would be a call.
    output.extend_from_slice(&first);
    output.truncate(start + payload.len() - N);
    output.extend_from_slice(&last);
}

/// Returns the first and the last `N` bytes of a payload, masked; they may overlap.
#[inline]
fn ends<const N: usize>(payload: &[u8], key: u64) -> Option<([u8; N], [u8; N])> {
    const {
        assert!(
            N.is_multiple_of(4),
            "the key stands at the last bytes as behind them"
        )
    };
    let first = masked(*payload.first_chunk()?, key);
    let last = masked(*payload.last_chunk()?, turned(key, payload.len()));
    Some((first, last))
}

/// Returns a block, masked.
#[inline]
fn masked<const N: usize>(mut block: [u8; N], key: u64) -> [u8; N] {
    let (words, rest) = block.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
    }
    block
}

/// Returns the bits that are in either of two blocks, byte by byte.
#[inline]
fn either<const N: usize>(mut block: [u8; N], other: [u8; N]) -> [u8; N] {
    for (byte, other) in block.iter_mut().zip(other) {
        *byte |= other;
    }
    block
}

/// Whether no byte of a block has its highest bit, without a branch.
#[inline]
fn is_ascii<const N: usize>(block: [u8; N]) -> bool {
    let (words, rest) = block.as_chunks();
    let words = words
        .iter()
        .fold(0, |all, word| all | u64::from_le_bytes(*word));
    let rest = rest.iter().fold(0, |all, byte| all | byte);
    (words | u64::from(rest)) & u64::from_le_bytes([0b1000_0000; 8]) == 0
}

/// Returns the four bytes of a key twice, the first one lowest.
#[inline]
pub(super) const fn doubled(key: [u8; 4]) -> u64 {
    let key = u32::from_le_bytes(key) as u64;
    key << 32 | key
}

/// Returns a doubled key as it stands `offset` bytes further on.
#[inline]
pub(super) const fn turned(key: u64, offset: usize) -> u64 {
    // The key is the same after four bytes and after eight, and eight need no instruction.
    #[expect(clippy::cast_possible_truncation, reason = "less than 64")]
    let bits = (offset % 8 * 8) as u32;
    key.rotate_right(bits)
}

/// The longest payload that is masked without a call.
pub(crate) const SHORT_LEN: usize = 32;

/// How much is masked in one go.
const BLOCK_LEN: usize = 64;

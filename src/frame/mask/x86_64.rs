//! Masking with the vectors of x86-64: AVX-512 or AVX2, whichever the machine has.
//!
//! Pointers into two slices of one length, which may be the same slice. It knows nothing of frames.

#![allow(unsafe_code, reason = "vectors are read and written through pointers")]

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256, _mm256_xor_si256,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512,
};
use core::sync::atomic::{AtomicU8, Ordering};

use super::portable::{mask_words, turned};

/// Masks more than 32 bytes in place.
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    let (bytes, len) = (payload.as_mut_ptr(), payload.len());
    match vectors() {
        // SAFETY: the machine has the features, and both pointers are to `len` bytes of `payload`.
        Vectors::Avx512 if len >= 64 => unsafe { avx512(bytes, bytes, len, key) },
        // SAFETY: likewise.
        Vectors::Avx512 | Vectors::Avx2 if len >= 32 => unsafe { avx2(bytes, bytes, len, key) },
        Vectors::Avx512 | Vectors::Avx2 | Vectors::None => mask_words(payload, key),
    }
}

/// Appends more than 32 bytes, masked, in one pass; `false` if the machine has no vectors for it.
pub(super) fn append(output: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) -> bool {
    let len = payload.len();
    let vectors = vectors();
    if len < 32 || vectors == Vectors::None {
        return false;
    }
    output.reserve(len);
    let start = output.len();
    let target = output.spare_capacity_mut().as_mut_ptr().cast::<u8>();
    let source = payload.as_ptr();
    // SAFETY: the machine has the features. `source` is to the `len` bytes of `payload`, at least 32,
    // and `target` to as many that `output` has reserved; they are borrowed apart, so that they do
    // not overlap. Afterwards all of them are initialised.
    unsafe {
        if vectors == Vectors::Avx512 && len >= 64 {
            avx512(source, target, len, key);
        } else {
            avx2(source, target, len, key);
        }
        output.set_len(start + len);
    }
    true
}

/// What the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vectors {
    None,
    Avx2,
    /// Which is never without AVX2.
    Avx512,
}

/// Finds out once, and is one load from then on.
#[inline]
fn vectors() -> Vectors {
    static FOUND: AtomicU8 = AtomicU8::new(UNKNOWN);
    match FOUND.load(Ordering::Relaxed) {
        AVX512 => Vectors::Avx512,
        AVX2 => Vectors::Avx2,
        NONE => Vectors::None,
        _ => {
            let (found, vectors) = find_out();
            FOUND.store(found, Ordering::Relaxed);
            vectors
        }
    }
}

#[cold]
fn find_out() -> (u8, Vectors) {
    let has_avx2 = is_x86_feature_detected!("avx2");
    if has_avx2 && is_x86_feature_detected!("avx512f") {
        (AVX512, Vectors::Avx512)
    } else if has_avx2 {
        (AVX2, Vectors::Avx2)
    } else {
        (NONE, Vectors::None)
    }
}

const UNKNOWN: u8 = 0;
const NONE: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;

/// Masks `len` bytes, at least 64, from `source` to `target`.
///
/// # Safety
///
/// `source` is valid for reads of `len` bytes and `target` for writes; they are equal or do not
/// overlap.
#[target_feature(enable = "avx512f")]
unsafe fn avx512(source: *const u8, target: *mut u8, len: usize, key: [u8; 4]) {
    let key = u32::from_ne_bytes(key);
    // SAFETY: each access is to 64 bytes that end at `len` at the latest.
    unsafe {
        // The ends are read before anything is written, and written last: they overlap the rest.
        let last = len - 64;
        let back = masked(source.add(last), vector(turned(key, last)));
        if len >= ALIGNED_LEN {
            let front = masked(source, vector(key));
            let done = target.align_offset(64);
            rest(source, target, done, len, vector(turned(key, done)));
            _mm512_storeu_si512(target.cast(), front);
        } else {
            rest(source, target, 0, len, vector(key));
        }
        _mm512_storeu_si512(target.add(last).cast(), back);
    }

    #[target_feature(enable = "avx512f")]
    fn vector(key: u32) -> __m512i {
        _mm512_set1_epi32(key.cast_signed())
    }

    /// # Safety
    ///
    /// `source` is valid for reads of 64 bytes.
    #[target_feature(enable = "avx512f")]
    unsafe fn masked(source: *const u8, key: __m512i) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_xor_si512(_mm512_loadu_si512(source.cast()), key) }
    }

    /// Masks whole vectors from `done` on.
    ///
    /// # Safety
    ///
    /// As that of `avx512`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn rest(source: *const u8, target: *mut u8, mut done: usize, len: usize, key: __m512i) {
        // SAFETY: each access is to 64 bytes between `done` and `len`.
        unsafe {
            while len - done >= 256 {
                let vectors = [
                    masked(source.add(done), key),
                    masked(source.add(done + 64), key),
                    masked(source.add(done + 128), key),
                    masked(source.add(done + 192), key),
                ];
                for vector in vectors {
                    _mm512_storeu_si512(target.add(done).cast(), vector);
                    done += 64;
                }
            }
            while len - done >= 64 {
                _mm512_storeu_si512(target.add(done).cast(), masked(source.add(done), key));
                done += 64;
            }
        }
    }
}

/// Masks `len` bytes, at least 32, from `source` to `target`.
///
/// # Safety
///
/// As that of [`avx512`].
#[target_feature(enable = "avx2")]
unsafe fn avx2(source: *const u8, target: *mut u8, len: usize, key: [u8; 4]) {
    let key = u32::from_ne_bytes(key);
    // SAFETY: each access is to 32 bytes that end at `len` at the latest.
    unsafe {
        // The ends are read before anything is written, and written last: they overlap the rest.
        let last = len - 32;
        let front = masked(source, vector(key));
        let back = masked(source.add(last), vector(turned(key, last)));
        let mut done = 0;
        if len >= ALIGNED_LEN {
            done = target.align_offset(32);
        }
        let key = vector(turned(key, done));
        while len - done >= 128 {
            let vectors = [
                masked(source.add(done), key),
                masked(source.add(done + 32), key),
                masked(source.add(done + 64), key),
                masked(source.add(done + 96), key),
            ];
            for vector in vectors {
                _mm256_storeu_si256(target.add(done).cast(), vector);
                done += 32;
            }
        }
        while len - done >= 32 {
            _mm256_storeu_si256(target.add(done).cast(), masked(source.add(done), key));
            done += 32;
        }
        _mm256_storeu_si256(target.cast(), front);
        _mm256_storeu_si256(target.add(last).cast(), back);
    }

    #[target_feature(enable = "avx2")]
    fn vector(key: u32) -> __m256i {
        _mm256_set1_epi32(key.cast_signed())
    }

    /// # Safety
    ///
    /// `source` is valid for reads of 32 bytes.
    #[target_feature(enable = "avx2")]
    unsafe fn masked(source: *const u8, key: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_xor_si256(_mm256_loadu_si256(source.cast()), key) }
    }
}

/// From here on it pays that no store crosses a line of the cache.
const ALIGNED_LEN: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths on both sides of every loop, and of the alignment.
    fn lengths() -> impl Iterator<Item = usize> {
        (33..=257).chain([511, 512, 513, 4095, 4096, 4097, 4099, 5000, 8192, 10_001])
    }

    /// Runs a kernel from bytes at `alignment` to others, and on bytes in place.
    fn compare(name: &str, least: usize, kernel: impl Fn(*const u8, *mut u8, usize, [u8; 4])) {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in lengths().filter(|len| *len >= least) {
            for alignment in 0..64 {
                let source: Vec<u8> = (0..=u8::MAX).cycle().take(len + 128).collect();
                let range = alignment..alignment + len;
                let mut expected = source.clone();
                mask_words(&mut expected[range.clone()], key);

                let mut in_place = source.clone();
                let bytes = in_place[range.clone()].as_mut_ptr();
                kernel(bytes, bytes, len, key);
                assert!(in_place == expected, "{name}: {len} bytes at {alignment}");

                // The target stands otherwise than the source.
                let mut copied = vec![0; len + 3];
                let target = copied[3..].as_mut_ptr();
                kernel(source[range.clone()].as_ptr(), target, len, key);
                assert!(
                    copied[3..] == expected[range],
                    "{name}: copying {len} bytes"
                );
            }
        }
    }

    #[test]
    fn avx512_agrees_with_the_portable_kernel() {
        if vectors() == Vectors::Avx512 {
            compare("AVX-512", 64, |source, target, len, key| {
                // SAFETY: the machine has the feature, and both pointers are to `len` bytes, at least 64.
                unsafe { avx512(source, target, len, key) }
            });
        }
    }

    #[test]
    fn avx2_agrees_with_the_portable_kernel() {
        if vectors() != Vectors::None {
            compare("AVX2", 33, |source, target, len, key| {
                // SAFETY: the machine has the feature, and both pointers are to `len` bytes, which are
                // more than 32.
                unsafe { avx2(source, target, len, key) }
            });
        }
    }
}

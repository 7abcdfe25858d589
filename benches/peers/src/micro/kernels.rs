//! The best hand-written masks: what the floors do, and what the masks of libraries are held
//! against.

use std::sync::LazyLock;

/// Masks in place, with a key that begins at the first byte.
pub(super) type Kernel = fn(&mut [u8], [u8; 4]);

/// Every kernel that this processor has, the best last.
pub(super) fn all() -> Vec<(&'static str, Kernel)> {
    let mut kernels: Vec<(&'static str, Kernel)> = vec![("floor-portable", portable)];
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx2") {
            kernels.push(("floor-avx2", x86_64::avx2));
        }
        if x86_64::has_avx512() {
            kernels.push(("floor-avx512", x86_64::avx512));
        }
    }
    kernels
}

/// Masks in place, with the best kernel.
#[inline]
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    static BEST: LazyLock<Kernel> =
        LazyLock::new(|| all().last().map_or(portable as Kernel, |it| it.1));
    BEST(payload, key);
}

/// Appends the payload, masked.
#[inline]
pub(super) fn append(payload: &[u8], key: [u8; 4], output: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    {
        static HAS_AVX512: LazyLock<bool> = LazyLock::new(x86_64::has_avx512);
        if *HAS_AVX512 {
            return x86_64::append(payload, key, output);
        }
    }
    let start = output.len();
    output.extend_from_slice(payload);
    mask(&mut output[start..], key);
}

#[inline(always)]
fn portable(payload: &mut [u8], key: [u8; 4]) {
    let word = u128::from_ne_bytes([key; 4].as_flattened().try_into().unwrap_or_default());
    let (words, rest) = payload.as_chunks_mut::<16>();
    for bytes in words {
        *bytes = (u128::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that not every processor has")]
mod x86_64 {
    use std::arch::x86_64::{
        __m512i, _bzhi_u64, _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
        _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512,
    };

    pub(super) fn has_avx512() -> bool {
        std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("bmi2")
    }

    pub(super) fn avx2(payload: &mut [u8], key: [u8; 4]) {
        #[target_feature(enable = "avx2")]
        fn kernel(payload: &mut [u8], key: [u8; 4]) {
            super::portable(payload, key);
        }
        // SAFETY: in the list of kernels only where the processor has it.
        unsafe { kernel(payload, key) }
    }

    pub(super) fn avx512(payload: &mut [u8], key: [u8; 4]) {
        let (to, len) = (payload.as_mut_ptr(), payload.len());
        // SAFETY: in the list of kernels only where the processor has it; `to` is valid for `len`.
        unsafe { kernel(to, to, len, key) }
    }

    pub(super) fn append(payload: &[u8], key: [u8; 4], output: &mut Vec<u8>) {
        output.reserve(payload.len());
        let start = output.len();
        // SAFETY: called where the processor has it; the output has room for the payload, all of
        // which is written before the length says so, and a vector that is borrowed for writing
        // overlaps nothing.
        unsafe {
            kernel(
                payload.as_ptr(),
                output.as_mut_ptr().add(start),
                payload.len(),
                key,
            );
            output.set_len(start + payload.len());
        }
    }

    /// Masks `len` bytes from `from` to `to`, which are the same or do not overlap.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `len` bytes, `to` for writes.
    #[target_feature(enable = "avx512f,avx512bw,bmi2")]
    unsafe fn kernel(mut from: *const u8, mut to: *mut u8, mut len: usize, key: [u8; 4]) {
        let mut key = u32::from_le_bytes(key);
        // SAFETY: every whole vector is within what is left, and masked ones touch nothing beyond.
        unsafe {
            if len >= ALIGNED_LEN {
                // Stores that cross no line are worth a turned key.
                let head = to.align_offset(64);
                part(from, to, head, _mm512_set1_epi32(key.cast_signed()));
                (from, to, len) = (from.add(head), to.add(head), len - head);
                key = key.rotate_right(8 * (head as u32 % 4));
            }
            let key = _mm512_set1_epi32(key.cast_signed());
            while len >= 256 {
                for at in [0, 64, 128, 192] {
                    let vector = _mm512_loadu_si512(from.add(at).cast());
                    _mm512_storeu_si512(to.add(at).cast(), _mm512_xor_si512(vector, key));
                }
                (from, to, len) = (from.add(256), to.add(256), len - 256);
            }
            while len >= 64 {
                let vector = _mm512_loadu_si512(from.cast());
                _mm512_storeu_si512(to.cast(), _mm512_xor_si512(vector, key));
                (from, to, len) = (from.add(64), to.add(64), len - 64);
            }
            // A store of nothing is slow.
            if len > 0 {
                part(from, to, len, key);
            }
        }
    }

    /// Masks fewer than 64 bytes.
    ///
    /// # Safety
    ///
    /// As that of `kernel`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi2")]
    unsafe fn part(from: *const u8, to: *mut u8, len: usize, key: __m512i) {
        let bytes = _bzhi_u64(u64::MAX, len as u32);
        // SAFETY: bytes that are masked off are not touched.
        unsafe {
            let vector = _mm512_maskz_loadu_epi8(bytes, from.cast());
            _mm512_mask_storeu_epi8(to.cast(), bytes, _mm512_xor_si512(vector, key));
        }
    }

    /// From here on it pays to align.
    const ALIGNED_LEN: usize = 4 << 10;
}

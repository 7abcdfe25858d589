//! Masking with the vectors of x86-64: AVX-512 or AVX2, whichever the machine has.
//!
//! One kernel over pointers to two slices of one length, which may be the same slice, for vectors
//! of either width. Where it is to look, it also says whether the outcome is ASCII, because every
//! byte passes through a vector, where one instruction sees many. It knows nothing of frames.

#![allow(unsafe_code, reason = "vectors are read and written through pointers")]

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi64x, _mm256_storeu_si256, _mm256_xor_si256, _mm512_loadu_si512, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_set1_epi64, _mm512_storeu_si512, _mm512_test_epi64_mask,
    _mm512_xor_si512,
};
use core::sync::atomic::{AtomicPtr, Ordering};
use core::{mem, ptr, slice};

use super::portable::{SHORT_LEN, mask_long, turned};

/// Masks more than [`SHORT_LEN`] bytes in place.
#[inline]
pub(super) fn mask(payload: &mut [u8], key: u64) {
    // SAFETY: the kernel is for this machine.
    unsafe { mask_with(kernel::<false>(), payload, key) };
}

/// Masks more than [`SHORT_LEN`] bytes in place, and returns whether the outcome is ASCII.
#[inline]
pub(super) fn mask_and_look(payload: &mut [u8], key: u64) -> bool {
    // SAFETY: the kernel is for this machine.
    unsafe { mask_with(kernel::<true>(), payload, key) }
}

/// Appends more than [`SHORT_LEN`] bytes, masked, in one pass.
#[inline]
pub(super) fn append(output: &mut Vec<u8>, payload: &[u8], key: u64) {
    // SAFETY: the kernel is for this machine.
    unsafe { append_with(kernel::<false>(), output, payload, key) }
}

/// # Safety
///
/// The machine has the vectors of `kernel`.
#[inline]
unsafe fn mask_with(kernel: Kernel, payload: &mut [u8], key: u64) -> bool {
    assert!(
        payload.len() > SHORT_LEN,
        "the shorter ones are `mask_short`'s"
    );
    let bytes = payload.as_mut_ptr();
    // SAFETY: both pointers are to all bytes of `payload`.
    unsafe { kernel(bytes, bytes, payload.len(), key) }
}

/// # Safety
///
/// The machine has the vectors of `kernel`.
#[inline]
unsafe fn append_with(kernel: Kernel, output: &mut Vec<u8>, payload: &[u8], key: u64) {
    let len = payload.len();
    assert!(len > SHORT_LEN, "the shorter ones are `append_short`'s");
    output.reserve(len);
    let target = output.spare_capacity_mut().as_mut_ptr().cast();
    // SAFETY: the pointers are to the `len` bytes of `payload`, and to as many that `output` has
    // reserved; they are borrowed apart, so that they do not overlap. Afterwards all of them are
    // initialised.
    unsafe {
        kernel(payload.as_ptr(), target, len, key);
        output.set_len(output.len() + len);
    }
}

/// Masks `len` bytes, more than [`SHORT_LEN`], from one place to another, and returns whether the
/// outcome is known to be ASCII, which it never is to a kernel that does not look.
///
/// # Safety
///
/// The machine has the vectors of the kernel. The first pointer is valid for reads of `len` bytes
/// and the second for writes; they are equal or what they point to does not overlap.
type Kernel = unsafe fn(*const u8, *mut u8, usize, u64) -> bool;

/// Returns the best kernel for this machine, which is one load.
#[inline]
fn kernel<const LOOK: bool>() -> Kernel {
    let kernel = chosen(LOOK).load(Ordering::Relaxed);
    // SAFETY: nothing but kernels is ever stored there.
    unsafe { mem::transmute::<*mut (), Kernel>(kernel) }
}

/// Returns the place of the kernel that was chosen.
#[inline]
const fn chosen(look: bool) -> &'static AtomicPtr<()> {
    static PLAIN: AtomicPtr<()> = AtomicPtr::new(find_out::<false> as *mut ());
    static LOOKING: AtomicPtr<()> = AtomicPtr::new(find_out::<true> as *mut ());
    if look { &LOOKING } else { &PLAIN }
}

/// Finds out what the machine has, and does what the kernel for it does.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[cold]
unsafe fn find_out<const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: u64,
) -> bool {
    let kernel: Kernel = if has_avx512() {
        avx512::<LOOK>
    } else if is_x86_feature_detected!("avx2") {
        avx2::<LOOK>
    } else {
        words
    };
    chosen(LOOK).store(kernel as *mut (), Ordering::Relaxed);
    // SAFETY: the machine has what the kernel needs; the rest is the caller's.
    unsafe { kernel(source, target, len, key) }
}

/// Whether the machine has AVX-512, which with VL serves the narrower vectors too.
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

/// The kernel for machines with AVX-512.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn avx512<const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: u64,
) -> bool {
    // SAFETY: the caller's; each branch has the bytes that it needs.
    unsafe {
        // The longer ones are not asked last, since each question that jumps takes a cycle.
        if len <= 64 {
            two::<__m256i, LOOK>(source, target, len, key)
        } else if len > 256 {
            many::<__m512i, LOOK>(source, target, len, key)
        } else if len <= 128 {
            two::<__m512i, LOOK>(source, target, len, key)
        } else {
            four::<__m512i, LOOK>(source, target, len, key)
        }
    }
}

/// The kernel for machines with AVX2.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[target_feature(enable = "avx2")]
unsafe fn avx2<const LOOK: bool>(source: *const u8, target: *mut u8, len: usize, key: u64) -> bool {
    // SAFETY: the caller's; each branch has the bytes that it needs.
    unsafe {
        if len <= 64 {
            two::<__m256i, LOOK>(source, target, len, key)
        } else if len <= 128 {
            four::<__m256i, LOOK>(source, target, len, key)
        } else {
            many::<__m256i, LOOK>(source, target, len, key)
        }
    }
}

/// The kernel for machines with neither.
///
/// # Safety
///
/// As that of a [`Kernel`].
unsafe fn words(source: *const u8, target: *mut u8, len: usize, key: u64) -> bool {
    // SAFETY: the caller's: the bytes are there, and after they were copied they are initialised.
    let payload = unsafe {
        if !ptr::eq(source, target) {
            ptr::copy_nonoverlapping(source, target, len);
        }
        slice::from_raw_parts_mut(target, len)
    };
    mask_long(payload, key)
}

/// Masks between one and two vectors, which overlap.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[inline(always)]
unsafe fn two<V: Vector, const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: u64,
) -> bool {
    let last = len - V::LEN;
    // SAFETY: each access is to a vector that ends at `len` at the latest.
    unsafe {
        // Both are read before anything is written.
        let front = V::load(source).xor(V::splat(key));
        let back = V::load(source.add(last)).xor(V::splat(turned(key, len)));
        front.store(target);
        back.store(target.add(last));
        LOOK && front.or(back).is_ascii()
    }
}

/// Masks between two and four vectors: two from the front and two from the end, which overlap.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[inline(always)]
unsafe fn four<V: Vector, const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: u64,
) -> bool {
    let places = [0, V::LEN, len - 2 * V::LEN, len - V::LEN];
    // SAFETY: each access is to a vector that ends at `len` at the latest.
    unsafe {
        let (front, back) = (V::splat(key), V::splat(turned(key, len)));
        // All are read before anything is written.
        let vectors = [
            V::load(source.add(places[0])).xor(front),
            V::load(source.add(places[1])).xor(front),
            V::load(source.add(places[2])).xor(back),
            V::load(source.add(places[3])).xor(back),
        ];
        for (vector, place) in vectors.into_iter().zip(places) {
            vector.store(target.add(place));
        }
        LOOK && or(vectors).is_ascii()
    }
}

/// Masks at least two vectors.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[inline(always)]
unsafe fn many<V: Vector, const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: u64,
) -> bool {
    let last = len - V::LEN;
    // SAFETY: each access is to a vector that ends at `len` at the latest.
    unsafe {
        // The ends are read before anything is written, and written last: they overlap the rest.
        let back = V::load(source.add(last)).xor(V::splat(turned(key, len)));
        let (done, seen) = if len < ALIGNED_LEN {
            whole::<V, LOOK>(source, target, 0, len, V::splat(key), back)
        } else {
            let front = V::load(source).xor(V::splat(key));
            let start = target.align_offset(V::LEN);
            let key = V::splat(turned(key, start));
            let outcome = whole::<V, LOOK>(source, target, start, len, key, front.or(back));
            front.store(target);
            outcome
        };
        if done < len {
            back.store(target.add(last));
        }
        LOOK && seen.is_ascii()
    }
}

/// Masks from `done` on as long as there is a whole vector, and returns where it ended, and the
/// bits that were `seen` in any vector.
///
/// # Safety
///
/// As that of a [`Kernel`].
#[inline(always)]
unsafe fn whole<V: Vector, const LOOK: bool>(
    source: *const u8,
    target: *mut u8,
    mut done: usize,
    len: usize,
    key: V,
    mut seen: V,
) -> (usize, V) {
    // SAFETY: each access is to a vector that ends at `len` at the latest.
    unsafe {
        while done + 4 * V::LEN <= len {
            let vectors = [
                V::load(source.add(done)).xor(key),
                V::load(source.add(done + V::LEN)).xor(key),
                V::load(source.add(done + 2 * V::LEN)).xor(key),
                V::load(source.add(done + 3 * V::LEN)).xor(key),
            ];
            for vector in vectors {
                vector.store(target.add(done));
                done += V::LEN;
            }
            if LOOK {
                seen = seen.or(or(vectors));
            }
        }
        while done + V::LEN <= len {
            let vector = V::load(source.add(done)).xor(key);
            vector.store(target.add(done));
            if LOOK {
                seen = seen.or(vector);
            }
            done += V::LEN;
        }
    }
    (done, seen)
}

/// Returns the bits that are in any of four vectors.
///
/// # Safety
///
/// The machine has such vectors.
#[inline(always)]
unsafe fn or<V: Vector>([a, b, c, d]: [V; 4]) -> V {
    // SAFETY: the caller's.
    unsafe { a.or(b).or(c.or(d)) }
}

/// From here on it pays that no store crosses a line of the cache.
const ALIGNED_LEN: usize = 4 << 10;

/// A vector of bytes, at any alignment in memory.
trait Vector: Copy {
    const LEN: usize;

    /// Repeats the eight bytes of a key.
    ///
    /// # Safety
    ///
    /// The machine has such vectors.
    unsafe fn splat(key: u64) -> Self;

    /// # Safety
    ///
    /// The machine has such vectors, and `source` is valid for reads of one.
    unsafe fn load(source: *const u8) -> Self;

    /// # Safety
    ///
    /// The machine has such vectors.
    unsafe fn xor(self, other: Self) -> Self;

    /// # Safety
    ///
    /// The machine has such vectors.
    unsafe fn or(self, other: Self) -> Self;

    /// Whether no byte has its highest bit.
    ///
    /// # Safety
    ///
    /// The machine has such vectors.
    unsafe fn is_ascii(self) -> bool;

    /// # Safety
    ///
    /// The machine has such vectors, and `target` is valid for writes of one.
    unsafe fn store(self, target: *mut u8);
}

/// Makes a vector of the processor's type and its instructions.
macro_rules! vector {
    ($vector:ty, $splat:ident, $load:ident, $xor:ident, $or:ident, $is_ascii:ident, $store:ident) => {
        impl Vector for $vector {
            const LEN: usize = size_of::<Self>();

            // SAFETY: the caller's, as of all six. They are inlined into the kernels, where the
            // compiler may use the instruction.
            #[inline(always)]
            unsafe fn splat(key: u64) -> Self {
                // SAFETY: the caller's.
                unsafe { $splat(key.cast_signed()) }
            }

            // SAFETY: the caller's.
            #[inline(always)]
            unsafe fn load(source: *const u8) -> Self {
                // SAFETY: the caller's.
                unsafe { $load(source.cast()) }
            }

            // SAFETY: the caller's.
            #[inline(always)]
            unsafe fn xor(self, other: Self) -> Self {
                // SAFETY: the caller's.
                unsafe { $xor(self, other) }
            }

            // SAFETY: the caller's.
            #[inline(always)]
            unsafe fn or(self, other: Self) -> Self {
                // SAFETY: the caller's.
                unsafe { $or(self, other) }
            }

            // SAFETY: the caller's.
            #[inline(always)]
            unsafe fn is_ascii(self) -> bool {
                // SAFETY: the caller's.
                unsafe { $is_ascii(self) }
            }

            // SAFETY: the caller's.
            #[inline(always)]
            unsafe fn store(self, target: *mut u8) {
                // SAFETY: the caller's.
                unsafe { $store(target.cast(), self) }
            }
        }
    };
}

vector!(
    __m256i,
    _mm256_set1_epi64x,
    _mm256_loadu_si256,
    _mm256_xor_si256,
    _mm256_or_si256,
    is_ascii_256,
    _mm256_storeu_si256
);
vector!(
    __m512i,
    _mm512_set1_epi64,
    _mm512_loadu_si512,
    _mm512_xor_si512,
    _mm512_or_si512,
    is_ascii_512,
    _mm512_storeu_si512
);

/// # Safety
///
/// The machine has AVX2.
#[inline(always)]
unsafe fn is_ascii_256(vector: __m256i) -> bool {
    // SAFETY: the caller's.
    unsafe { _mm256_movemask_epi8(vector) == 0 }
}

/// # Safety
///
/// The machine has AVX-512.
#[inline(always)]
unsafe fn is_ascii_512(vector: __m512i) -> bool {
    // SAFETY: the caller's.
    unsafe { _mm512_test_epi64_mask(vector, _mm512_set1_epi8(i8::MIN)) == 0 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{compare_appending, compare_in_place, long_lens};
    use super::*;

    /// Compares a kernel that the machine has the vectors for: one that looks, and one that does
    /// not.
    fn compare(name: &str, looking: Kernel, plain: Kernel) {
        // SAFETY: the kernel is for this machine, by the caller's word.
        compare_in_place(name, long_lens(), |payload, key| unsafe {
            mask_with(looking, payload, key)
        });
        // SAFETY: likewise. What is not looked at is looked at here.
        compare_in_place(name, long_lens(), |payload, key| unsafe {
            mask_with(plain, payload, key);
            payload.is_ascii()
        });
        // SAFETY: likewise.
        compare_appending(name, long_lens(), |output, payload, key| unsafe {
            append_with(plain, output, payload, key);
        });
    }

    #[test]
    fn avx512_agrees_with_the_rfc() {
        if has_avx512() {
            compare("AVX-512", avx512::<true>, avx512::<false>);
        }
    }

    #[test]
    fn avx2_agrees_with_the_rfc() {
        if is_x86_feature_detected!("avx2") {
            compare("AVX2", avx2::<true>, avx2::<false>);
        }
    }

    #[test]
    fn words_behind_pointers_agree_with_the_rfc() {
        compare("words", words, words);
    }

    #[test]
    fn the_first_call_finds_out() {
        compare("find out", find_out::<true>, find_out::<false>);
    }
}

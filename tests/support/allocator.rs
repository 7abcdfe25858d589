//! An allocator that counts what each thread holds, and what a piece of code did with it.
#![allow(
    unsafe_code,
    reason = "allocations cannot be counted but by an allocator"
)]
#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// What a piece of code did with memory on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// How many bytes more it holds at its end than at its beginning.
    pub(crate) held: isize,
    /// How many it held at most.
    pub(crate) peak: usize,
    /// How often it allocated, or changed the size of an allocation.
    pub(crate) calls: usize,
    /// How many bytes were in allocations whose size it changed.
    pub(crate) moved: usize,
}

/// Counts what `code` does with memory.
pub(crate) fn measure(code: impl FnOnce()) -> Usage {
    let outer = COUNTED.replace(Usage::default());
    code();
    COUNTED.replace(outer)
}

/// Returns how many bytes all threads hold together.
pub(crate) fn held_by_all() -> isize {
    HELD_BY_ALL.load(Ordering::SeqCst)
}

static HELD_BY_ALL: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Constant and without a destructor, so that the allocator can use it at any time.
    static COUNTED: Cell<Usage> = const {
        Cell::new(Usage { held: 0, peak: 0, calls: 0, moved: 0 })
    };
}

/// The system's allocator, counted.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn count(freed: usize, allocated: usize) {
        let mut usage = COUNTED.get();
        usage.held = usage
            .held
            .wrapping_add_unsigned(allocated)
            .wrapping_sub_unsigned(freed);
        usage.peak = usage.peak.max(usize::try_from(usage.held).unwrap_or(0));
        usage.calls += usize::from(allocated > 0);
        if freed > 0 && allocated > 0 {
            usage.moved += freed.min(allocated);
        }
        COUNTED.set(usage);
        let more = allocated.cast_signed() - freed.cast_signed();
        HELD_BY_ALL.fetch_add(more, Ordering::SeqCst);
    }
}

// SAFETY: every method does what the system's allocator does; counting allocates nothing and does
// not unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(0, layout.size());
        // SAFETY: the caller keeps the contract of this method, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(0, layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(layout.size(), size);
        // SAFETY: as in `alloc`; `place` came from the system's allocator, as all do.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        Self::count(layout.size(), 0);
        // SAFETY: as in `realloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

//! Where the engine gets its memory: the C library's heap, and a look at the clock on the way.
//!
//! The engine asks whether it may go on once in ten thousand steps of its own, and one step can be `s.toUpperCase()` of a
//! megabyte. Nearly all such steps need memory, so what is past its time is given none. The script gets an error and may
//! catch it; it gets no further.

use std::rc::Rc;

use rquickjs::allocator::Allocator;

use super::native::SharedState;

/// Memory that is given between two looks at the clock, in bytes: to fill it takes well below a millisecond.
const LOOK_BYTES: usize = 128 * 1024;

/// Beyond what may be had, for the error that says so and where: without it the engine throws null. In bytes.
const RESERVE_BYTES: usize = 16 * 1024;

/// For tests of debug builds, which allocation of an instance is refused that there is memory for: of the first that the process
/// loads this one, of each later one the next so many further. Zero: none.
#[cfg(debug_assertions)]
pub(super) static REFUSED: [std::sync::atomic::AtomicU64; 2] = [const { std::sync::atomic::AtomicU64::new(0) }; 2];

/// The heap of one instance.
pub(super) struct Heap {
    shared: Rc<SharedState>,
    /// Bytes given since the last look.
    since_look: usize,
    /// Bytes that may be had when the time is over, all of them before.
    reserve: usize,
    /// Bytes that the engine has.
    used: usize,
    /// The most that it may have.
    limit: usize,
    /// Allocations until one is refused for a test; 0 when none is.
    #[cfg(debug_assertions)]
    until_refused: u64,
}

impl Heap {
    /// A heap of `limit` bytes. The limit is kept here and not by the engine, whose errors a script can make up.
    pub(super) fn new(shared: Rc<SharedState>, limit: usize) -> Heap {
        Heap {
            shared,
            since_look: 0,
            reserve: RESERVE_BYTES,
            used: 0,
            limit,
            #[cfg(debug_assertions)]
            until_refused: {
                use std::sync::atomic::Ordering::Relaxed;
                let [next, step] = &REFUSED;
                next.fetch_add(step.load(Relaxed), Relaxed)
            },
        }
    }

    /// Whether a test wants this allocation refused.
    #[cfg(debug_assertions)]
    fn is_refused(&mut self) -> bool {
        let was = self.until_refused;
        self.until_refused = was.saturating_sub(1);
        was == 1
    }

    #[cfg(not(debug_assertions))]
    fn is_refused(&self) -> bool {
        false
    }

    /// `bytes` more may be had.
    fn grants(&mut self, bytes: usize) -> bool {
        let is_refused = self.is_refused();
        if !is_refused && self.shared.takes_for_interrupt(bytes) {
            return true;
        }
        let reserve = if self.shared.is_out_of_memory() { RESERVE_BYTES } else { 0 };
        if self.used.saturating_add(bytes) > self.limit.saturating_add(reserve) || is_refused {
            self.shared.out_of_memory();
            return false;
        }
        self.since_look = self.since_look.saturating_add(bytes);
        if self.since_look < LOOK_BYTES {
            return true;
        }
        if !self.shared.must_stop() {
            (self.since_look, self.reserve) = (0, RESERVE_BYTES);
            return true;
        }
        // The first is refused whatever it is; what follows may be the error.
        let granted = self.reserve < RESERVE_BYTES && bytes < self.reserve;
        self.reserve = if granted { self.reserve - bytes } else { self.reserve.min(RESERVE_BYTES - 1) };
        granted
    }

    /// Counts what the C library gave, which may be more than was asked for.
    fn given(&mut self, pointer: *mut u8) -> *mut u8 {
        self.used += usable(pointer);
        pointer
    }
}

/// Bytes behind a pointer of the C library's heap; 0 for null.
fn usable(pointer: *mut u8) -> usize {
    // SAFETY: callers have `pointer` from the C library's heap, and have not given it back; null is allowed.
    unsafe { libc::malloc_usable_size(pointer.cast()) }
}

// SAFETY: memory comes from the C library and goes back to it; it is aligned for every type of C's.
unsafe impl Allocator for Heap {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.grants(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: any size may be asked for.
        self.given(unsafe { libc::malloc(size).cast() })
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !self.grants(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        // SAFETY: any sizes may be asked for; the product is checked there.
        self.given(unsafe { libc::calloc(count, size).cast() })
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8) {
        self.used -= usable(ptr);
        // SAFETY: the caller gives back what one of these functions gave.
        unsafe { libc::free(ptr.cast()) }
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, new_size: usize) -> *mut u8 {
        let before = usable(ptr);
        if new_size > before && !self.grants(new_size - before) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller has `ptr` from one of these functions, or it is null.
        let pointer: *mut u8 = unsafe { libc::realloc(ptr.cast(), new_size).cast() };
        if new_size == 0 || !pointer.is_null() {
            self.used -= before;
        }
        self.given(pointer)
    }

    unsafe fn usable_size(ptr: *mut u8) -> usize {
        usable(ptr)
    }
}

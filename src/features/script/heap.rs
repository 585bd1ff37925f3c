//! Where the engine gets its memory: the C library's heap, and a look at the clock on the way.
//!
//! The engine asks whether it may go on once in ten thousand steps of its own, and one step can be `s.toUpperCase()` of a
//! megabyte. Nearly all such steps need memory, so what is past its time is given none. The script gets an error and may
//! catch it; it gets no further.

use std::rc::Rc;

use rquickjs::allocator::Allocator;

use super::native::Shared;

/// Memory that is given between two looks at the clock, in bytes: to fill it takes well below a millisecond.
const LOOK_BYTES: usize = 128 * 1024;

/// The heap of one instance.
pub(super) struct Heap {
    pub(super) shared: Rc<Shared>,
    /// Bytes given since the last look.
    pub(super) since_look: usize,
}

impl Heap {
    fn refuses(&mut self, bytes: usize) -> bool {
        self.since_look = self.since_look.saturating_add(bytes);
        if self.since_look < LOOK_BYTES {
            return false;
        }
        let refuses = self.shared.must_stop();
        // Refused once, the next is, too.
        if !refuses {
            self.since_look = 0;
        }
        refuses
    }
}

// SAFETY: memory comes from the C library and goes back to it; it is aligned for every type of C's.
unsafe impl Allocator for Heap {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if self.refuses(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: any size may be asked for.
        unsafe { libc::malloc(size).cast() }
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if self.refuses(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        // SAFETY: any sizes may be asked for; the product is checked there.
        unsafe { libc::calloc(count, size).cast() }
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8) {
        // SAFETY: the caller gives back what one of these functions gave.
        unsafe { libc::free(ptr.cast()) }
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, new_size: usize) -> *mut u8 {
        // SAFETY: the caller has `ptr` from one of these functions, or it is null.
        let grows = new_size > unsafe { libc::malloc_usable_size(ptr.cast()) };
        if grows && self.refuses(new_size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { libc::realloc(ptr.cast(), new_size).cast() }
    }

    unsafe fn usable_size(ptr: *mut u8) -> usize {
        // SAFETY: the caller has `ptr` from one of these functions.
        unsafe { libc::malloc_usable_size(ptr.cast()) }
    }
}

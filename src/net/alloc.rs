//! A global allocator that counts. It proves that a started server does not touch the heap, in tests and in the field.
//!
//! The binary installs it: `#[global_allocator] static ALLOCATOR: Counting = Counting;`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use crate::account;

/// The system's allocator, counted.
pub struct Counting;

/// Allocations since the process started, without those of [`account::spend`]; growing one counts as well. Zero means
/// that [`Counting`] is not installed, because no program gets to `main` without one.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// What [`ALLOCATIONS`] was when [`seal`] was called; [`OPEN`] before that.
static SEALED_AT: AtomicUsize = AtomicUsize::new(OPEN);

/// Bytes that TLS has now, and the most that it had ([`account::protect`]).
static TLS_BYTES: AtomicIsize = AtomicIsize::new(0);
static TLS_BYTES_MOST: AtomicIsize = AtomicIsize::new(0);

const OPEN: usize = usize::MAX;

/// Everything that is needed has been obtained: from now on the count should stay zero.
pub fn seal() {
    SEALED_AT.store(ALLOCATIONS.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// Allocations since [`seal`]; `None` before it, and when another allocator is installed.
pub fn since_sealed() -> Option<usize> {
    let sealed_at = SEALED_AT.load(Ordering::Relaxed);
    let now = ALLOCATIONS.load(Ordering::Relaxed);
    (sealed_at != OPEN && now > 0).then(|| now.wrapping_sub(sealed_at))
}

/// Whether the system would give this process `rings` pieces of `ring_bytes` and one of `rest_bytes` now, beside what it has:
/// address space may be limited (`ulimit -v`, `RLIMIT_AS`), 32 bits are not many, and some systems promise no more than
/// there is (`vm.overcommit_memory=2`).
pub fn fits(rings: u32, ring_bytes: u64, rest_bytes: u64) -> bool {
    let pieces = std::iter::repeat_n(ring_bytes, rings as usize).chain([rest_bytes]);
    let mut held = Vec::with_capacity(rings as usize + 1);
    let mut all = true;
    for bytes in pieces {
        let Ok(bytes) = usize::try_from(bytes) else { return release(&held, false) };
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping where the system likes, that nothing else refers to.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
        all = place != libc::MAP_FAILED;
        if !all {
            break;
        }
        held.push((place, bytes));
    }
    release(&held, all)
}

fn release(held: &[(*mut libc::c_void, usize)], fits: bool) -> bool {
    for &(place, bytes) in held {
        // SAFETY: it was mapped above, with this length, and nothing refers to it.
        unsafe { libc::munmap(place, bytes) };
    }
    fits
}

/// What TLS has of the heap now, and the most that it had, in bytes; 0 when another allocator is installed.
pub fn tls_bytes() -> (usize, usize) {
    let bytes = |count: &AtomicIsize| usize::try_from(count.load(Ordering::Relaxed)).unwrap_or(0);
    (bytes(&TLS_BYTES), bytes(&TLS_BYTES_MOST))
}

/// So many bytes more are allocated, or less.
fn count_tls(bytes: isize) {
    if account::is_protecting() {
        let now = TLS_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
        TLS_BYTES_MOST.fetch_max(now, Ordering::Relaxed);
    }
}

fn count() {
    if account::is_spending() {
        return;
    }
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator with the caller's own arguments, so its guarantees are ours.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        count_tls(layout.size().cast_signed());
        // SAFETY: the caller promises what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        count_tls(layout.size().cast_signed());
        // SAFETY: the caller promises what `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        count_tls(new_size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller promises what `System` asks for; `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count_tls(-layout.size().cast_signed());
        // SAFETY: the caller promises what `System` asks for; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

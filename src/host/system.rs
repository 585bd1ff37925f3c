//! What a host asks the operating system for: processor time, a page that it shares with the server, waiting with an end.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::wire::script_link::Doing;

/// Processor time that the thread has taken, in microseconds. A host has one. Time in which a busy machine runs something else is
/// not the script's, and must not be what stops it.
pub(super) fn processor_time_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and gets a pointer to one.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    debug_assert_eq!(result, 0, "every kernel has this clock");
    // Both are never negative, and differ in width between targets.
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// The first [`Doing::BYTES`] of a file in memory, which others see as they are written. It stays for good. `None` when
/// `file` is none.
pub(super) fn shared_page(file: BorrowedFd<'_>) -> Option<&'static Doing> {
    // SAFETY: the kernel chooses the place and maps nothing that is there already.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            Doing::BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: it is as long as a `Doing`, aligned as pages are, is never unmapped, and any bytes are one: it is made of
    // atomics.
    Some(unsafe { &*page.cast::<Doing>() })
}

/// Gives back the pages of the program that its start alone has needed: most of those that there are, for the kernel brings sixteen
/// when one is missed. Those that are needed come back, from the server's memory.
pub(super) fn forget_start() {
    unsafe extern "C" {
        /// Where the program begins in memory.
        static __executable_start: u8;
        /// Where its code ends.
        static etext: u8;
    }
    // SAFETY: it takes a number alone.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let (begin, end) = ((&raw const __executable_start).addr(), (&raw const etext).addr());
    let begin = begin.next_multiple_of(page);
    let length = (end / page * page).saturating_sub(begin);
    // SAFETY: nobody can write there, so that what is read again from the file is what was there.
    unsafe { libc::madvise(ptr::without_provenance_mut(begin), length, libc::MADV_DONTNEED) };
}

/// Waits until `socket` can be read, or is closed, for at most `wait_ms` milliseconds. Whether it can.
pub(super) fn wait_readable(socket: BorrowedFd<'_>, wait_ms: u64) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let wait_ms = i32::try_from(wait_ms).unwrap_or(i32::MAX);
    // SAFETY: one pollfd, as the count says.
    unsafe { libc::poll(&raw mut poll, 1, wait_ms) > 0 }
}

/// A crash of the engine ends the process. Rust's own handlers would look for a full stack first and then ask the kernel to have the
/// signal end the process, which the sandbox refuses: they would be called for ever.
pub(super) fn crash_at_once() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: no handler of ours is there to be lost.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The kernel ends this process when the server's does, whatever runs then.
pub(super) fn end_with_parent() {
    // SAFETY: it takes numbers alone. Where it is refused the end of the link ends the process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::processor_time_us;

    #[test]
    fn the_clock_of_scripts_counts_computing_and_not_waiting() {
        let begin = processor_time_us();
        std::thread::sleep(Duration::from_millis(60));
        let waited = processor_time_us() - begin;
        assert!(waited < 30_000, "{waited}");
        let until = processor_time_us() + 5_000;
        while processor_time_us() < until {}
        assert!(processor_time_us() >= until);
    }
}

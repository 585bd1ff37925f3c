//! Script processes (`rill script-host`): started, told to end, timed and reaped, and never waited for.
//!
//! A process has its end of a socket pair as its standard input, a page of shared memory in which it says what it is about
//! ([`Doing`]) as its standard output, and the server's own standard error, for what it may have to say when it ends. It has no
//! other file, nothing of the environment but the time zone, and handles no signal as the server does.
//!
//! It is made by `posix_spawn(3)`, which copies no page tables: a fork of a server with hundreds of megabytes would hold up its
//! streams. Nothing here uses the heap of a server that runs.

use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream as StdStream;
use std::ptr::{self, NonNull};

use log::warn;
use mio::net::UnixStream;

use crate::wire::script_link::{Doing, Entered};

/// The program that runs: this one, whatever has become of its file since.
const PROGRAM: &CStr = c"/proc/self/exe";

/// How many processes may be on their way out beside those in the places. For one more the oldest is waited for, which is not long:
/// it was killed.
const KILLED: usize = 16;

/// The processes, by their places.
pub struct Hosts {
    processes: Box<[Process]>,
    /// Killed, not reaped, and not in their places any more.
    killed: heapless::Vec<libc::pid_t, KILLED>,
    /// `TZ=...`, if that is set.
    time_zone: Option<CString>,
}

/// A process, and what is left of one that has ended.
#[derive(Default)]
struct Process {
    /// `None` when there is none, or it was reaped.
    pid: Option<libc::pid_t>,
    /// It was ended by us.
    killed: bool,
    /// What it says it does, or did last.
    page: Option<Page>,
}

/// Bytes of one of them.
pub const PROCESS_BYTES: usize = size_of::<Process>();

impl Hosts {
    /// Places for so many.
    pub fn new(count: usize) -> Hosts {
        let time_zone = std::env::var_os("TZ").and_then(|zone| CString::new([b"TZ=", zone.as_bytes()].concat()).ok());
        let processes = core::iter::repeat_with(Process::default).take(count).collect();
        Hosts { processes, killed: heapless::Vec::new(), time_zone }
    }

    /// Starts a process in a place where there is none, or one that was killed. `memory_bytes` is what its scripts may have
    /// together. Returns the server's end of its socket.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn start(&mut self, place: usize, memory_bytes: u64) -> io::Result<UnixStream> {
        self.reap_at(place);
        if let Some(pid) = self.processes[place].pid.take()
            && self.killed.push(pid).is_err()
        {
            wait(self.killed.remove(0));
            let _ = self.killed.push(pid);
        }
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let (page, shared) = Page::new()?;
        let mut memory = heapless::String::<24>::new();
        // It fits: 20 digits are the most. The zero ends it for C.
        let _ = write!(memory, "{memory_bytes}\0");
        let memory = CStr::from_bytes_with_nul(memory.as_bytes()).unwrap_or_default();
        let pid = spawn(memory, self.time_zone.as_deref(), theirs.as_raw_fd(), shared.as_raw_fd())?;
        self.processes[place] = Process { pid: Some(pid), killed: false, page: Some(page) };
        Ok(UnixStream::from_std(ours))
    }

    /// Ends a process, whatever it does.
    pub fn kill(&mut self, place: usize) {
        let process = &mut self.processes[place];
        process.killed = true;
        if let Some(pid) = process.pid {
            kill(pid);
        }
    }

    /// What the process has computed so far, in microseconds; `None` when there is none.
    pub fn time_us(&self, place: usize) -> Option<u64> {
        let pid = self.processes[place].pid?;
        let (mut clock, mut time) = (MaybeUninit::uninit(), MaybeUninit::<libc::timespec>::uninit());
        // SAFETY: the pointers are to places that live through the calls, and are read when they were written.
        let time = unsafe {
            if libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) != 0
                || libc::clock_gettime(clock.assume_init(), time.as_mut_ptr()) != 0
            {
                return None;
            }
            time.assume_init()
        };
        // Both are never negative, and differ in width between targets.
        Some(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
    }

    /// What the process is about, or was about when it ended.
    pub fn doing(&self, place: usize) -> Option<Entered> {
        self.processes[place].page.as_ref()?.doing().now()
    }

    /// Takes what is left of processes that have ended, and says in the log how they did.
    pub fn reap(&mut self) {
        for place in 0..self.processes.len() {
            self.reap_at(place);
        }
        self.killed.retain(|&pid| is_running(pid));
    }

    fn reap_at(&mut self, place: usize) {
        let process = &mut self.processes[place];
        let Some(pid) = process.pid else { return };
        let mut status = 0;
        // SAFETY: the pointer is to a place that lives through the call.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == 0 {
            return;
        }
        process.pid = None;
        match (libc::WIFSIGNALED(status), libc::WEXITSTATUS(status)) {
            (true, _) if process.killed => {}
            (true, _) => warn!("rill script process ended pid={pid} signal={}", libc::WTERMSIG(status)),
            (false, 0) => {}
            (false, code) => warn!("rill script process ended pid={pid} exit={code}"),
        }
    }
}

impl Drop for Hosts {
    /// No process outlives the server.
    fn drop(&mut self) {
        for place in 0..self.processes.len() {
            self.kill(place);
            if let Some(pid) = self.processes[place].pid {
                wait(pid);
            }
        }
        self.killed.iter().for_each(|&pid| wait(pid));
    }
}

/// Ends a process and waits for its end, which is not long. For one that no [`Hosts`] has.
pub(super) fn end(pid: libc::pid_t) {
    kill(pid);
    wait(pid);
}

/// Ends a process of ours that was not reaped.
fn kill(pid: libc::pid_t) {
    // SAFETY: the call takes no pointer. The process was not reaped, so that its number is no other's.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits for the end of a process that was killed.
fn wait(pid: libc::pid_t) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}

/// Whether a process runs; if not, it was reaped.
fn is_running(pid: libc::pid_t) -> bool {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, ptr::null_mut(), libc::WNOHANG) == 0 }
}

/// Runs `rill script-host MEMORY` with these two files as its standard input and output.
///
/// # Errors
///
/// The operating system's own.
pub(super) fn spawn(memory: &CStr, time_zone: Option<&CStr>, input: RawFd, output: RawFd) -> io::Result<libc::pid_t> {
    let arguments = [c"rill".as_ptr(), c"script-host".as_ptr(), memory.as_ptr(), ptr::null()];
    let environment = [time_zone.map_or(ptr::null(), |zone| zone.as_ptr()), ptr::null()];
    let check = |code: libc::c_int| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    let mut files = MaybeUninit::uninit();
    let mut attributes = MaybeUninit::uninit();
    let mut signals = MaybeUninit::uninit();
    let mut pid = 0;
    // SAFETY: each value is initialised before it is used, and destroyed after its last use; strings and lists end with a zero.
    unsafe {
        check(libc::posix_spawn_file_actions_init(files.as_mut_ptr()))?;
        let result = check(libc::posix_spawnattr_init(attributes.as_mut_ptr())).and_then(|()| {
            let spawned = check(libc::posix_spawn_file_actions_adddup2(files.as_mut_ptr(), input, 0))
                .and_then(|()| check(libc::posix_spawn_file_actions_adddup2(files.as_mut_ptr(), output, 1)))
                .and_then(|()| {
                    // Handlers of the server are none of its business.
                    let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
                    check(libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags as libc::c_short))
                })
                .and_then(|()| {
                    libc::sigfillset(signals.as_mut_ptr());
                    check(libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), signals.as_ptr()))
                })
                .and_then(|()| {
                    libc::sigemptyset(signals.as_mut_ptr());
                    check(libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), signals.as_ptr()))
                })
                .and_then(|()| {
                    check(libc::posix_spawn(
                        &raw mut pid,
                        PROGRAM.as_ptr(),
                        files.as_ptr(),
                        attributes.as_ptr(),
                        arguments.as_ptr().cast(),
                        environment.as_ptr().cast(),
                    ))
                });
            libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
            spawned
        });
        libc::posix_spawn_file_actions_destroy(files.as_mut_ptr());
        result?;
    }
    Ok(pid)
}

/// Memory that a process and the server see.
struct Page {
    at: NonNull<Doing>,
}

impl Page {
    /// A page of zeros, and the file by which a process maps it.
    fn new() -> io::Result<(Page, OwnedFd)> {
        // SAFETY: the name is a string with its end.
        let file = unsafe { libc::memfd_create(c"rill-script".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened above, and is nobody else's.
        let file = unsafe { OwnedFd::from_raw_fd(file) };
        // A process that made it shorter would end the server, which reads it.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: the calls take no pointer.
        let is_fixed = unsafe {
            libc::ftruncate(file.as_raw_fd(), Doing::BYTES as libc::off_t) == 0
                && libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) == 0
        };
        if !is_fixed {
            return Err(io::Error::last_os_error());
        }
        // Only to be read: what the process writes there is all that there is to know.
        // SAFETY: a new mapping where the system likes, that nothing else refers to.
        let at = unsafe {
            libc::mmap(ptr::null_mut(), Doing::BYTES, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((Page { at }, file))
    }

    fn doing(&self) -> &Doing {
        // SAFETY: the mapping is as long and lives as long as this; its words are atomic, and any bits are one.
        unsafe { self.at.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), Doing::BYTES) };
    }
}

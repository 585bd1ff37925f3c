//! What a script process gives up before the first script runs: files, sockets, other processes, and more of the memory and
//! the processor than is its share. Whatever gets out of the engine is still in here.
//!
//! Each wall is put up alone, and a kernel that lacks one (landlock came with 5.13, and none of them is in a kernel that
//! was built without) gets the others. What is missing is told, and done without.

use std::fs;
use std::io;
use std::mem::offset_of;
use std::ptr;

/// Address space beside the scripts' memory and what the process has at its start, in bytes: texts while they come, messages,
/// holes in the heap.
const SLACK_BYTES: u64 = 12 << 20;
/// The address space of a process at its start where nothing tells it, in bytes.
const START_BYTES: u64 = 24 << 20;
/// How much nicer it is than the server that has started it: a third of what the server's loop is given when both want the processor.
const NICER: i32 = 5;

/// Puts up the walls, for good: of address space it has `memory_bytes` beside what it needs itself. The names of those that this kernel does not have come back.
pub fn confine(memory_bytes: u64) -> Vec<&'static str> {
    // While a file can be read. The engine asks the C library for local time, which reads a file at the first time.
    let start_bytes = address_space_bytes().unwrap_or(START_BYTES);
    // The server has a low one. Where memory ends it is scripts that go.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    read_time_zone();
    let walls: [(&str, io::Result<()>); 5] = [
        ("nice", lower_priority()),
        ("no_new_privs", no_new_privileges()),
        ("landlock", landlock()),
        // Behind it no file is opened, and landlock's rules are one.
        ("rlimit", limit(memory_bytes.saturating_add(start_bytes).saturating_add(SLACK_BYTES))),
        // The others are not among the calls that it lets through.
        ("seccomp", filter_calls()),
    ];
    walls.into_iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name).collect()
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The first number of `statm` is pages of address space (proc(5)).
fn address_space_bytes() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
    // SAFETY: it takes a number alone.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages.checked_mul(u64::try_from(page_bytes).ok()?)
}

fn read_time_zone() {
    let now = 0;
    let mut local = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are to what the call takes, and what it writes is not read.
    unsafe { libc::localtime_r(&raw const now, local.as_mut_ptr()) };
}

/// Closes everything but standard input, output and error. For the first thing that a process does: what it has opened itself is
/// closed, too. A kernel before 5.9 leaves open what the server has left open, which is nothing.
pub(super) fn close_others() {
    // SAFETY: nothing in this process has opened a file yet.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
}

fn lower_priority() -> io::Result<()> {
    // SAFETY: both take numbers alone. -1 is a priority, too; should it mean that there is none to be had, what is set is still a lower one.
    done(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::getpriority(libc::PRIO_PROCESS, 0) + NICER) }.into())
}

fn limit(address_space_bytes: u64) -> io::Result<()> {
    let address_space = libc::rlim_t::try_from(address_space_bytes).unwrap_or(libc::RLIM_INFINITY);
    // No file is opened: the only number that is left is taken, and a poll may wait for one.
    for (resource, most) in
        [(libc::RLIMIT_AS, address_space), (libc::RLIMIT_NOFILE, 1), (libc::RLIMIT_NPROC, 0), (libc::RLIMIT_CORE, 0)]
    {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: it reads the one limit that it gets a pointer to.
        done(unsafe { libc::setrlimit(resource, &raw const limit) }.into())?;
    }
    Ok(())
}

/// No program that is run gains rights by it; what landlock and seccomp ask of who is not root.
fn no_new_privileges() -> io::Result<()> {
    // SAFETY: it takes numbers alone.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())
}

/// `struct landlock_ruleset_attr`, as long as version 6 has it.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// Every right to a file that the kernel knows, to a TCP port, and to what other processes have opened: asked for, and none
/// granted (landlock(7)).
fn landlock() -> io::Result<()> {
    const VERSION: u32 = 1;
    // SAFETY: with this flag nothing is read.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Ruleset>(), 0usize, VERSION) };
    done(version)?;
    // A right is a bit, and each version has brought some.
    let (file_rights, bytes) = match version {
        1 => (13, offset_of!(Ruleset, handled_access_net)),
        2 => (14, offset_of!(Ruleset, handled_access_net)),
        3 => (15, offset_of!(Ruleset, handled_access_net)),
        4 => (15, offset_of!(Ruleset, scoped)),
        5 => (16, offset_of!(Ruleset, scoped)),
        _ => (16, size_of::<Ruleset>()),
    };
    let rules = Ruleset { handled_access_fs: (1 << file_rights) - 1, handled_access_net: 0b11, scoped: 0b11 };
    // SAFETY: so many bytes of `rules` are read.
    let file = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, bytes, 0u32) };
    done(file)?;
    // SAFETY: the number is that of the file that has just been opened, and nobody else knows it.
    unsafe {
        let restricted = done(libc::syscall(libc::SYS_landlock_restrict_self, file, 0u32));
        libc::close(file as libc::c_int);
        restricted
    }
}

/// This machine's name in a filter (`linux/audit.h`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(target_arch = "arm")]
const ARCHITECTURE: Option<u32> = Some(0x4000_0028);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")))]
const ARCHITECTURE: Option<u32> = None;

/// What a script process calls: the link, the page's owner needs none; the time; its heap; its end.
const CALLS: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// And what some machines have beside it.
#[cfg(target_arch = "x86_64")]
const MORE_CALLS: &[libc::c_long] = &[libc::SYS_poll, libc::SYS_time];
/// The last three are those of 64-bit time, which the C library may not have a name for.
#[cfg(target_arch = "arm")]
const MORE_CALLS: &[libc::c_long] =
    &[libc::SYS_poll, libc::SYS_recv, libc::SYS_send, libc::SYS_sigreturn, 403, 414, 422];
#[cfg(not(any(target_arch = "x86_64", target_arch = "arm")))]
const MORE_CALLS: &[libc::c_long] = &[];

/// What is let through unless it makes memory executable: its third argument has the rights.
#[cfg(target_arch = "arm")]
const MAPPING_CALLS: &[libc::c_long] = &[libc::SYS_mmap2, libc::SYS_mprotect];
#[cfg(not(target_arch = "arm"))]
const MAPPING_CALLS: &[libc::c_long] = &[libc::SYS_mmap, libc::SYS_mprotect];

/// Where the filter finds what it looks at: `struct seccomp_data`, on machines that begin with the lower half.
const AT_CALL: u32 = 0;
const AT_ARCHITECTURE: u32 = 4;
const AT_THIRD_ARGUMENT: u32 = 32;

/// The rules as a program of the kernel's filter machine. Whatever is not let through fails, as if it were not permitted.
fn filter(architecture: u32) -> Vec<libc::sock_filter> {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    // Skips so many steps if it is `value`, or if it is not.
    let equals = |value, jt, jf| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, jt, jf);
    let has_bits = |bits, jt, jf| step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, jt, jf);
    let answer = |answer| step(libc::BPF_RET | libc::BPF_K, answer, 0, 0);
    let (allow, refuse) = (answer(libc::SECCOMP_RET_ALLOW), answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));

    let mut steps = vec![load(AT_ARCHITECTURE), equals(architecture, 1, 0), refuse, load(AT_CALL)];
    for call in CALLS.iter().chain(MORE_CALLS) {
        steps.extend([equals(*call as u32, 0, 1), allow]);
    }
    for call in MAPPING_CALLS {
        steps.extend([
            equals(*call as u32, 0, 4),
            load(AT_THIRD_ARGUMENT),
            has_bits(libc::PROT_EXEC as u32, 1, 0),
            allow,
            refuse,
        ]);
    }
    steps.push(refuse);
    steps
}

fn filter_calls() -> io::Result<()> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    let mut steps = filter(architecture);
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the kernel copies the program, whose steps live through the call.
    done(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }.into())
}

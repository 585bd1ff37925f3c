//! Socket options that neither the standard library nor mio knows.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, RawFd};

/// Connections that the kernel keeps for us until we accept them. It cuts this down to its own limit
/// (`net.core.somaxconn`); the usual 128 is overrun by a hall of players that come back at once.
const BACKLOG: libc::c_int = 4096;

/// Lets clients arrive at a socket that has an address.
///
/// # Errors
///
/// The operating system's own.
pub fn listen(socket: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    let result = unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets the socket have an address at which connections are only waiting for their end (`SO_REUSEADDR`).
///
/// # Errors
///
/// The operating system's own.
pub fn set_reuse_address(socket: &impl AsRawFd) -> io::Result<()> {
    set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
}

/// Bytes that the kernel takes of a socket beyond those it has sent (`TCP_NOTSENT_LOWAT`).
///
/// # Errors
///
/// The operating system's own; systems without the option (and qemu-user) say `ENOPROTOOPT`.
pub fn set_notsent_lowat(socket: &impl AsRawFd, bytes: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    return set(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = (socket, bytes);
        Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT))
    }
}

/// The kernel's send buffer (`SO_SNDBUF`). Linux doubles the number for its own needs.
///
/// # Errors
///
/// The operating system's own.
pub fn set_send_buffer(socket: &impl AsRawFd, bytes: u64) -> io::Result<()> {
    set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)
}

/// Bytes that must wait before the poll says that a socket is readable (`SO_RCVLOWAT`).
///
/// # Errors
///
/// The operating system's own.
pub fn set_receive_lowat(socket: &impl AsRawFd, bytes: u64) -> io::Result<()> {
    set(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}

/// Acknowledges what was received without waiting for an answer to send it with (`TCP_QUICKACK`). It holds only until
/// the kernel finds that the connection answers; other systems than Linux do not have it.
pub fn acknowledge_now(socket: &impl AsRawFd) {
    // Should it fail, the acknowledgement comes later.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = set(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = socket;
}

/// The kernel's smoothed measure of the time to the peer and back, in microseconds (`TCP_INFO`). `None` before it has
/// one, and on other systems than Linux.
pub fn round_trip_us(socket: &impl AsRawFd) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it is integers only, for which zero is a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
        let place = (&raw mut info).cast();
        // SAFETY: the pointer and length are those of `info`, which lives through the call.
        let result =
            unsafe { libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
        (result == 0 && info.tcpi_rtt > 0).then_some(info.tcpi_rtt)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        None
    }
}

/// Bytes that were written and that the peer's system has not acknowledged, the end of the stream counted as one
/// (`SIOCOUTQ`). `None` when the kernel does not say, and on other systems than Linux.
pub fn unacknowledged(socket: &impl AsRawFd) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the request writes an int to the pointer, which is that of `bytes`. `SIOCOUTQ` is the number of `TIOCOUTQ`.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        u32::try_from(bytes).ok().filter(|_| result == 0)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        None
    }
}

/// Sets an option that is a C `int`; what does not fit becomes the largest one.
fn set(socket: RawFd, level: libc::c_int, option: libc::c_int, value: u64) -> io::Result<()> {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and length are those of `value`, which lives through the call.
    let result =
        unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), size_of::<libc::c_int>() as _) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

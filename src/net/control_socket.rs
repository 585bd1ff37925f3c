//! The file through which `rill ctl` reaches the server: a Unix socket at a path.
//!
//! Write permission on the file is the right to all control commands. It is made with mode 0660: for the server's own
//! user and group, and root; in a directory with the set-group-ID bit the
//! group is the directory's.
//!
//! Without a configured path it is in the service's directory. A server started by hand has none: then it is in the
//! user's own runtime directory, with mode 0600 ([`bind_usual`]), where `rill ctl` looks, too ([`usual`]).

use std::env;
use std::ffi::CString;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::config::CONTROL_SOCKET;

/// Everything but reading and writing for user and group.
const FOR_GROUP: libc::mode_t = 0o117;
/// Everything but reading and writing for the user.
const FOR_USER: libc::mode_t = 0o177;
/// What `RuntimeDirectory=rill` of a systemd unit makes.
const RUN: &str = "/run/rill";
/// How often a directory that another server has locked is tried again, and how long it is waited in between.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A socket that listens at a path. The file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    /// Device and inode: another server's file of the same name is not ours to remove.
    identity: (u64, u64),
    pub(super) listener: UnixListener,
}

/// Why there can be no control socket. It is displayed as one line that says what to do.
#[derive(Debug)]
pub struct ControlSocketError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    /// A server answers there.
    InUse,
    /// Something else has the name.
    NotASocket,
    /// It is unknown whether a server answers there.
    CannotAsk(io::Error),
    /// The stale file cannot be removed.
    CannotRemove(io::Error),
    CannotCreate(io::Error),
}

/// Makes the socket file and listens. A stale socket, left behind by a killed server, is replaced; anything else of
/// that name is left as it is.
///
/// It changes the process's file mode mask for a moment: no other thread may be making files meanwhile.
///
/// # Errors
///
/// When a server answers there, when something that is no socket has the name, and the operating system's own.
pub fn bind(path: &Path) -> Result<ControlSocket, ControlSocketError> {
    bind_for(path, FOR_GROUP)
}

/// Makes the socket where it is without a configured path: in the service's directory if this process may write to it, else
/// in the user's own. `None` when there is neither.
///
/// # Errors
///
/// Those of [`bind`].
pub fn bind_usual() -> Option<Result<ControlSocket, ControlSocketError>> {
    if may_write(Path::new(RUN)) {
        return Some(bind(&Path::new(RUN).join(CONTROL_SOCKET)));
    }
    let own = own_directory(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), user());
    if own.is_made_by_us() {
        // It may be there already.
        let _ = DirBuilder::new().mode(0o700).create(own.path());
    }
    own.is_private(user()).then(|| bind_for(&own.path().join(CONTROL_SOCKET), FOR_USER))
}

/// Where a server may be asked that was told no path: the user's own, then the service's.
pub fn usual() -> Vec<PathBuf> {
    let own = own_directory(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), user());
    let own = own.is_private(user()).then(|| own.path().join(CONTROL_SOCKET));
    own.into_iter().chain([Path::new(RUN).join(CONTROL_SOCKET)]).collect()
}

/// The user's own directory for what lives as long as processes do.
#[derive(Debug, PartialEq, Eq)]
enum OwnDirectory {
    /// The system made it for the user (XDG Base Directory Specification: `$XDG_RUNTIME_DIR`).
    Given(PathBuf),
    /// There is none, and this is ours to make.
    Made(PathBuf),
}

/// `given` is `$XDG_RUNTIME_DIR`.
fn own_directory(given: Option<PathBuf>, user: u32) -> OwnDirectory {
    if let Some(given) = given.filter(|given| !given.as_os_str().is_empty()) {
        return OwnDirectory::Given(given);
    }
    // What a session has in that variable, for processes that are in none.
    let usual = OwnDirectory::Given(format!("/run/user/{user}").into());
    if usual.is_private(user) { usual } else { OwnDirectory::Made(format!("/tmp/rill-{user}").into()) }
}

impl OwnDirectory {
    fn path(&self) -> &Path {
        match self {
            OwnDirectory::Given(path) | OwnDirectory::Made(path) => path,
        }
    }

    fn is_made_by_us(&self) -> bool {
        matches!(self, OwnDirectory::Made(_))
    }

    /// It belongs to `user`, and no other user can write there: in a shared directory another user may have created it first.
    fn is_private(&self, user: u32) -> bool {
        let ours = |file: fs::Metadata| file.is_dir() && file.uid() == user && file.mode() & 0o022 == 0;
        fs::symlink_metadata(self.path()).is_ok_and(ours)
    }
}

/// The user as whom the process runs.
fn user() -> u32 {
    // SAFETY: the call takes no pointer and cannot fail.
    unsafe { libc::geteuid() }
}

/// Files can be made in the directory.
fn may_write(directory: &Path) -> bool {
    let Ok(path) = CString::new(directory.as_os_str().as_bytes()) else { return false };
    // SAFETY: the pointer is to a string with its end that lives through the call.
    directory.is_dir() && unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } == 0
}

fn bind_for(path: &Path, mask: libc::mode_t) -> Result<ControlSocket, ControlSocketError> {
    let made = || -> Result<ControlSocket, Problem> {
        // Otherwise of two servers that start at once each could take the other's file for a dead one's.
        let _lock = lock_directory(path);
        remove_stale(path)?;
        let listener = bind_private(path, mask).map_err(Problem::CannotCreate)?;
        let file = fs::symlink_metadata(path).map_err(Problem::CannotCreate)?;
        let identity = (file.dev(), file.ino());
        Ok(ControlSocket { path: path.to_owned(), identity, listener: UnixListener::from_std(listener) })
    };
    made().map_err(|problem| ControlSocketError { path: path.to_owned(), problem })
}

impl ControlSocket {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets clients wake the poll.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub(super) fn listen(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.listener, token, Interest::READABLE)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = |file: fs::Metadata| (file.dev(), file.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // What stays behind is replaced by the next server.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Keeps other servers out of the directory until it is dropped. Without it, as on a file system that knows no locks, all
/// goes on: only two servers that start in the same millisecond miss it.
fn lock_directory(path: &Path) -> Option<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent).ok()?;
    for _ in 0..LOCK_TRIES {
        match directory.try_lock() {
            Ok(()) => return Some(directory),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// Makes room for a new socket.
fn remove_stale(path: &Path) -> Result<(), Problem> {
    // Not followed: a link is not ours to replace, wherever it leads.
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Problem::CannotAsk(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(Problem::NotASocket),
        Ok(_) => {}
    }
    // mio's does not wait, not even for a server that is too busy to accept.
    match UnixStream::connect(path) {
        Ok(_) => Err(Problem::InUse),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Err(Problem::InUse),
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(Problem::CannotRemove),
            _ => Err(Problem::CannotAsk(error)),
        },
    }
}

/// Binds and listens; the file has its mode from its first moment on.
fn bind_private(path: &Path, mask: libc::mode_t) -> io::Result<StdListener> {
    // SAFETY: the call takes no pointer and cannot fail.
    let before = unsafe { libc::umask(mask) };
    let listener = StdListener::bind(path);
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl fmt::Display for ControlSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no control socket at {}: ", self.path.display())?;
        match &self.problem {
            Problem::InUse => write!(f, "a server that runs answers there; stop it, or name another path")?,
            Problem::NotASocket => {
                write!(f, "something that is not a socket has that name; remove it, or name another path")?
            }
            Problem::CannotAsk(error) => {
                write!(f, "whether a server answers there cannot be told ({error}); name another path")?;
            }
            Problem::CannotRemove(error) => {
                write!(f, "a server that is gone left it, and it cannot be removed ({error}); remove it")?;
            }
            Problem::CannotCreate(error) => match error.kind() {
                io::ErrorKind::NotFound => write!(f, "there is no such directory; make it, or name another path")?,
                io::ErrorKind::PermissionDenied => {
                    write!(f, "this user may not write to that directory; name another path")?;
                }
                io::ErrorKind::InvalidInput => {
                    write!(f, "the path is longer than a socket's may be; name a shorter one")?
                }
                _ => write!(f, "{error}; name another path")?,
            },
        }
        write!(f, " (server.control, \"\" for none)")
    }
}

impl std::error::Error for ControlSocketError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// A directory of its own, short enough for a socket's path. One test has one at a time: the mask that `bind` sets
    /// holds for the directories of others, too.
    struct Place(PathBuf, #[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>);

    static ALONE: Mutex<()> = Mutex::new(());

    impl Place {
        fn new() -> Place {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("rill-{}-{count}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Place(path, alone)
        }

        fn path(&self) -> PathBuf {
            self.0.join("rill.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_file_is_for_user_and_group_and_goes_with_the_server() {
        let place = Place::new();
        let socket = bind(&place.path()).unwrap();
        assert_eq!(fs::metadata(socket.path()).unwrap().permissions().mode() & 0o7777, 0o660);
        drop(socket);
        assert!(!place.path().exists());
    }

    #[test]
    fn the_users_own_directory_is_the_one_given_or_made_and_nobody_elses() {
        let place = Place::new();
        let given = own_directory(Some(place.0.clone()), user());
        assert!(given == OwnDirectory::Given(place.0.clone()) && given.is_private(user()));
        assert!(!given.is_private(user() + 1), "it is another user's");
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!given.is_private(user()), "anybody can put something there");
        fs::set_permissions(&place.0, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&place.0, place.0.join("link")).unwrap();
        assert!(!OwnDirectory::Made(place.0.join("link")).is_private(user()));
        // A user who has no session.
        let nobodys = own_directory(None, 4_000_000_000);
        assert_eq!(nobodys, OwnDirectory::Made("/tmp/rill-4000000000".into()));
        assert_eq!(own_directory(Some(PathBuf::new()), 4_000_000_000), nobodys);
        let socket = bind_for(&place.path(), FOR_USER).unwrap();
        assert_eq!(fs::metadata(socket.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_and_a_living_ones_is_not() {
        let place = Place::new();
        drop(StdListener::bind(place.path()).unwrap());
        assert!(place.path().exists(), "closing leaves the file, as a crash does");
        let living = bind(&place.path()).unwrap();
        let error = bind(&place.path()).unwrap_err().to_string();
        assert!(error.contains("a server that runs answers there"), "{error}");
        // What took its place meanwhile stays when it ends.
        fs::remove_file(place.path()).unwrap();
        fs::write(place.path(), "").unwrap();
        drop(living);
        assert!(place.path().exists());
    }

    #[test]
    fn what_is_not_a_socket_is_never_touched() {
        let place = Place::new();
        let other = place.0.join("other");
        drop(StdListener::bind(&other).unwrap());
        symlink(&other, place.path()).unwrap();
        assert!(bind(&place.path()).unwrap_err().to_string().contains("not a socket"));
        fs::remove_file(place.path()).unwrap();
        fs::write(place.path(), "precious").unwrap();
        let error = bind(&place.path()).unwrap_err().to_string();
        assert!(error.ends_with("(server.control, \"\" for none)"), "{error}");
        assert_eq!(fs::read_to_string(place.path()).unwrap(), "precious");
        fs::remove_file(place.path()).unwrap();
        fs::create_dir(place.path()).unwrap();
        assert!(bind(&place.path()).is_err() && place.path().is_dir());
    }

    #[test]
    fn errors_say_what_is_wrong_with_the_path() {
        let error = bind(Path::new("/nonexistent/rill.sock")).unwrap_err().to_string();
        assert!(error.contains("there is no such directory"), "{error}");
        let error = bind(&Path::new("/tmp").join("x".repeat(120))).unwrap_err().to_string();
        assert!(error.contains("longer than a socket's may be"), "{error}");
    }
}

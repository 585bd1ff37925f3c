//! Whom connections of ours believe: public authorities, which are compiled in, and those of a file besides. It is read when the server
//! starts, and again on a disk thread when the configuration is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{info, warn};

use crate::account;

use super::identity::TlsOffer;
use super::records::{self, Believed};

/// The longest file of authorities in bytes: room for some twenty. A longer one is refused.
const FILE_BYTES: u64 = 32 << 10;
/// What all of them take of the heap, in bytes: a hundred and fifty public ones by reference, and the file's.
pub(super) const AUTHORITIES_BYTES: usize = (16 << 10) + FILE_BYTES as usize;

/// The file of `server.tls.ca`, if there is one.
pub struct TlsAuthorities {
    path: Option<PathBuf>,
    offer: TlsOffer,
}

impl TlsAuthorities {
    /// Reads the file, and offers who stands in it with the public authorities.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in a line.
    pub fn open(path: Option<&Path>, offer: TlsOffer) -> Result<TlsAuthorities, String> {
        if cfg!(feature = "tls") {
            let (believed, _) = believed_by(path)?;
            offer.lock().believed = Some(believed);
        }
        Ok(TlsAuthorities { path: path.map(Path::to_owned), offer })
    }

    /// Reads the file again. One that is broken leaves those before in their place; the log says so.
    pub fn read_again(&mut self) {
        let Some(path) = &self.path else { return };
        match believed_by(Some(path)) {
            Err(problem) => warn!("rill authorities not taken {problem}: those before go on"),
            Ok((believed, count)) => {
                info!("rill authorities taken count={count}");
                let before = self.offer.lock().believed.replace(believed);
                account::protect(|| drop(before));
            }
        }
    }
}

/// Reads a file of authorities, and says how many there are.
fn believed_by(path: Option<&Path>) -> Result<(Arc<Believed>, usize), String> {
    let said = |problem: &dyn std::fmt::Display| match path {
        Some(path) => format!("{}: {problem}", path.display()),
        None => problem.to_string(),
    };
    let mut text = Vec::new();
    if let Some(path) = path {
        let file = File::open(path).map_err(|error| said(&error))?;
        file.take(FILE_BYTES + 1).read_to_end(&mut text).map_err(|error| said(&error))?;
        if text.len() as u64 > FILE_BYTES {
            return Err(said(&"is longer than 32 KiB: public authorities need not stand there"));
        }
        if text.is_empty() {
            return Err(said(&"is empty"));
        }
    }
    account::protect(|| records::believe(&text)).map_err(|problem| said(&problem))
}

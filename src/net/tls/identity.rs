//! Which certificate is shown: read from its files when the server starts, and again on a disk thread when the configuration is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use crate::account;
use crate::config::TlsPlaces;
use crate::time::ClockTime;

use super::records::{self, Believed, ServerKeys};

/// A certificate with its key, as connections show it.
#[derive(Clone)]
pub struct TlsIdentity {
    pub(super) keys: Arc<ServerKeys>,
    /// From when it counts, and until when, in seconds since 1970.
    pub valid_s: (u64, u64),
}

impl TlsIdentity {
    /// Reads a chain of certificates and a private key, both as PEM.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them, as a line ends that begins with its path; `(true, _)` is of the key.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<TlsIdentity, (bool, &'static str)> {
        account::protect(|| records::read(chain, key).map(|(keys, valid_s)| TlsIdentity { keys, valid_s }))
    }
}

/// The place where a disk thread leaves a certificate and whom to believe, and the loop finds both. Neither waits for the other's work.
#[derive(Clone, Default)]
pub struct TlsOffer(Arc<Mutex<Offered>>);

/// What was offered since it was asked last.
#[derive(Default)]
pub(super) struct Offered {
    /// What connections that begin from now on show.
    pub(super) identity: Option<TlsIdentity>,
    /// Whom those believe that we make.
    pub(super) believed: Option<Arc<Believed>>,
}

impl TlsOffer {
    pub(super) fn lock(&self) -> MutexGuard<'_, Offered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of the certificate, and what of them is shown.
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    offer: TlsOffer,
    /// From when that counts which is shown, and until when, in seconds since 1970.
    shown_s: (u64, u64),
}

impl TlsFiles {
    /// Reads the certificate that the configuration names, and offers it. `None` when it names none.
    ///
    /// # Errors
    ///
    /// What is wrong with one of the files, in a line.
    pub fn open(places: &TlsPlaces, offer: TlsOffer) -> Result<Option<TlsFiles>, String> {
        places.check()?;
        let TlsPlaces { certificate: Some(certificate), key: Some(key), .. } = places else { return Ok(None) };
        let identity = identity_of(certificate, key)?;
        let shown_s = identity.valid_s;
        offer.lock().identity = Some(identity);
        Ok(Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), offer, shown_s }))
    }

    /// From when that counts which is shown, and until when, in seconds since 1970.
    pub fn shown_s(&self) -> (u64, u64) {
        self.shown_s
    }

    /// Reads the files again. A pair that is broken, or does not count now, leaves the one that is shown in its place, as long as that
    /// counts; the log says so. `now_s` is what the clock shows, in seconds since 1970; `None` while it is not set.
    pub fn read_again(&mut self, now_s: Option<u64>) {
        let counts = |(from, until): (u64, u64)| now_s.is_none_or(|now| (from..=until).contains(&now));
        let shown = ClockTime(self.shown_s.1.cast_signed() * 1000);
        match identity_of(&self.certificate, &self.key) {
            Err(problem) => warn!("rill certificate not taken {problem}: the one before goes on, until={shown}"),
            Ok(identity) if !counts(identity.valid_s) && counts(self.shown_s) => {
                let [from, until] =
                    [identity.valid_s.0, identity.valid_s.1].map(|at| ClockTime(at.cast_signed() * 1000));
                warn!(
                    "rill certificate not taken {}: counts from {from} until {until}, which is not now: the one before \
                     goes on, until={shown}",
                    self.certificate.display()
                );
            }
            Ok(identity) => {
                self.shown_s = identity.valid_s;
                info!("rill certificate taken until={}", ClockTime(self.shown_s.1.cast_signed() * 1000));
                self.offer.lock().identity = Some(identity);
            }
        }
    }
}

/// Reads a certificate and its key.
fn identity_of(certificate: &Path, key: &Path) -> Result<TlsIdentity, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let (chain, secret) = (read(certificate)?, read(key)?);
    TlsIdentity::new(&chain, &secret).map_err(|(of_key, words)| {
        let path = if of_key { key } else { certificate };
        format!("{}: {words}", path.display())
    })
}

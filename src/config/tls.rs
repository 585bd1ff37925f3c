//! Where TLS is spoken, and with which certificate.

use std::path::PathBuf;

/// What `server.tls` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPlaces {
    /// Addresses and ports for RTMP that were set; empty for none.
    pub listen: Option<Vec<String>>,
    /// Addresses and ports for HTTP that were set; empty for none.
    pub http: Option<Vec<String>>,
    /// The certificate, and those that sign it.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Who is believed besides, where the server makes the connection.
    pub ca: Option<PathBuf>,
}

impl TlsPlaces {
    /// Whether all that belongs together is there.
    ///
    /// # Errors
    ///
    /// What is missing, in a line.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_set = |set: &Option<Vec<String>>| set.as_ref().is_some_and(|list| !list.is_empty());
        let problem = match (&self.certificate, &self.key) {
            (Some(_), None) => {
                "server.tls.key: is missing: server.tls.certificate is of no use without its private key"
            }
            (None, Some(_)) => "server.tls.certificate: is missing: server.tls.key is of no use without it",
            (Some(_), Some(_)) if !cfg!(feature = "tls") => "server.tls.certificate: this build has no TLS",
            _ if self.ca.is_some() && !cfg!(feature = "tls") => "server.tls.ca: this build has no TLS",
            (None, None) if is_set(&self.listen) => {
                "server.tls.listen: needs server.tls.certificate and server.tls.key; `rill init --tls` makes both"
            }
            (None, None) if is_set(&self.http) => {
                "server.tls.http: needs server.tls.certificate and server.tls.key; `rill init --tls` makes both"
            }
            _ => return Ok(()),
        };
        Err(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_missed() {
        let set = |listen: Option<&str>, http: Option<&str>, certificate: bool, key: bool| {
            let list = |address: Option<&str>| address.map(|address| vec![address.to_owned()]);
            let path = |is_set: bool| is_set.then(|| PathBuf::from("/x"));
            TlsPlaces {
                listen: list(listen),
                http: list(http),
                certificate: path(certificate),
                key: path(key),
                ca: None,
            }
        };
        assert_eq!(set(None, None, false, false).check(), Ok(()));
        assert_eq!(set(Some("[::]:1936"), None, true, true).check().is_ok(), cfg!(feature = "tls"));
        for (places, named) in [
            (set(None, None, true, false), "server.tls.key: is missing"),
            (set(None, None, false, true), "server.tls.certificate: is missing"),
            (set(Some("[::]:1936"), None, false, false), "server.tls.listen: needs"),
            (set(None, Some("[::]:8443"), false, false), "server.tls.http: needs"),
        ] {
            assert!(places.check().unwrap_err().starts_with(named));
        }
        let none = TlsPlaces { listen: Some(Vec::new()), ..TlsPlaces::default() };
        assert_eq!(none.check(), Ok(()));
    }
}

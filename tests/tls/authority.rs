//! A certificate authority, and a server whose certificate it has signed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Scratch;
use crate::support::process::output_of;
use crate::support::server::{Server, address_in};

/// A certificate and its key, both in files.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes an authority in the directory of the test.
pub fn authority(scratch: &Scratch) -> Pair {
    let pair = Pair { certificate: scratch.path("ca.pem"), key: scratch.path("ca-key.pem") };
    openssl(
        &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"],
        &["-subj", "/CN=The test's own authority", "-addext", "basicConstraints=critical,CA:TRUE"],
        &[("-keyout", &pair.key), ("-out", &pair.certificate)],
    );
    pair
}

/// A certificate for this machine, signed by `authority`, with a key of this kind: `ec` or `rsa:2048`.
pub fn signed_by(authority: &Pair, scratch: &Scratch, name: &str, kind: &str, days: i32) -> Pair {
    signed_for("DNS:localhost,DNS:rill.local,IP:127.0.0.1", authority, scratch, name, kind, days)
}

/// Likewise for hosts of these names.
pub fn signed_for(hosts: &str, authority: &Pair, scratch: &Scratch, name: &str, kind: &str, days: i32) -> Pair {
    let [request, extensions] = ["csr", "ext"].map(|end| scratch.path(&format!("{name}.{end}")));
    let pair =
        Pair { certificate: scratch.path(&format!("{name}.pem")), key: scratch.path(&format!("{name}-key.pem")) };
    let curve: &[&str] = if kind == "ec" { &["-pkeyopt", "ec_paramgen_curve:P-256"] } else { &[] };
    openssl(
        &["req", "-newkey", kind, "-nodes", "-subj", "/CN=localhost"],
        curve,
        &[("-keyout", &pair.key), ("-out", &request)],
    );
    std::fs::write(&extensions, format!("subjectAltName={hosts}\n")).unwrap();
    openssl(
        &["x509", "-req", "-days", &days.to_string(), "-CAcreateserial"],
        &[],
        &[
            ("-in", &request),
            ("-CA", &authority.certificate),
            ("-CAkey", &authority.key),
            ("-extfile", &extensions),
            ("-out", &pair.certificate),
        ],
    );
    pair
}

fn openssl(words: &[&str], more: &[&str], files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.args(words).args(more);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    output_of(&mut command);
}

/// A server with TLS.
pub struct Secured {
    pub server: Server,
    pub scratch: Scratch,
    /// Who signed its certificate.
    pub authority: Pair,
    /// What it shows.
    pub pair: Pair,
    pub rtmps: SocketAddr,
    pub https: SocketAddr,
}

impl Secured {
    pub fn start(name: &str, settings: &[&str]) -> Secured {
        Secured::with_key(name, "ec", settings)
    }

    pub fn with_key(name: &str, kind: &str, settings: &[&str]) -> Secured {
        Secured::beside(Scratch::new(name), kind, settings)
    }

    /// The same with what lies in the directory of the test already.
    pub fn beside(scratch: Scratch, kind: &str, settings: &[&str]) -> Secured {
        let authority = authority(&scratch);
        let pair = signed_by(&authority, &scratch, "server", kind, 20);
        let server = serve(&scratch, &pair, settings);
        let log = server.process.log();
        let [rtmps, https] = ["rill rtmps addr=", "rill https addr="].map(|words| address_in(&log, words).unwrap());
        Secured { server, scratch, authority, pair, rtmps, https }
    }

    /// The URL of a stream of the application `live`, by a name that stands in the certificate.
    pub fn url(&self, name: &str) -> String {
        format!("rtmps://localhost:{}/live/{name}", self.rtmps.port())
    }
}

/// A server that shows this certificate.
pub fn serve(scratch: &Scratch, pair: &Pair, settings: &[&str]) -> Server {
    let own = [
        format!("server.tls.certificate={}", pair.certificate.display()),
        format!("server.tls.key={}", pair.key.display()),
        "server.tls.listen=127.0.0.1:0".to_owned(),
        "server.tls.http=127.0.0.1:0".to_owned(),
    ];
    let all: Vec<&str> = own.iter().map(String::as_str).chain(settings.iter().copied()).collect();
    let server = Server::start(scratch, &all);
    server.wait_for_log(&["rill https addr="]);
    server
}

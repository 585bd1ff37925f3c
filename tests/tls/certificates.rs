//! Certificates are taken when they are right, and what was right goes on when they are not.

use std::fs;
use std::process::Command;

use crate::authority::{Pair, Secured, serve, signed_by};
use crate::support::Scratch;
use crate::support::process::output_of;
use crate::support::server::address_in;

fn replace(own: &Pair, by: &Pair) {
    fs::copy(&by.certificate, &own.certificate).unwrap();
    fs::copy(&by.key, &own.key).unwrap();
}

/// The name of the certificate's file tells which one is shown, by its serial number.
fn serial(pair: &Pair) -> String {
    let mut command = Command::new("openssl");
    String::from_utf8(output_of(command.args(["x509", "-noout", "-serial", "-in"]).arg(&pair.certificate))).unwrap()
}

fn shown(secured: &Secured) -> String {
    let mut command = Command::new("sh");
    let address = secured.https;
    let text = format!("openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -serial");
    String::from_utf8(output_of(command.args(["-c", &text]))).unwrap()
}

#[test]
fn a_reload_takes_a_new_pair_and_keeps_the_old_one_when_that_is_broken() {
    let secured = Secured::start("tls-reload", &[]);
    let (server, own) = (&secured.server, &secured.pair);
    let first = serial(own);
    assert_eq!(shown(&secured), first);
    let other = signed_by(&secured.authority, &secured.scratch, "other", "ec", 20);
    let reload = |times: usize| {
        server.process.signal(libc::SIGHUP);
        server.wait_for_logs(times, &["rill configuration reloaded"]);
    };
    // The certificate is there, its key is not yet.
    fs::copy(&other.certificate, &own.certificate).unwrap();
    reload(1);
    server.wait_for_log(&["certificate not taken", "is not the key of the certificate", "the one before goes on"]);
    assert_eq!(shown(&secured), first);
    // Half of it.
    replace(own, &other);
    let whole = fs::read(&other.certificate).unwrap();
    fs::write(&own.certificate, &whole[..whole.len() / 2]).unwrap();
    reload(2);
    server.wait_for_log(&["certificate not taken", "is not PEM, or is cut off"]);
    assert_eq!(shown(&secured), first);
    replace(own, &other);
    reload(3);
    server.wait_for_log(&["rill certificate taken until="]);
    assert_eq!(shown(&secured), serial(&other));
}

#[test]
fn a_root_with_a_certificate_that_signs_itself_is_served_and_believed_by_who_has_it() {
    let scratch = Scratch::new("tls-init");
    let root = scratch.path("root");
    let rill = env!("CARGO_BIN_EXE_rill");
    let said = output_of(Command::new(rill).args(["init", "--tls"]).arg(&root));
    assert!(String::from_utf8_lossy(&said).contains("tls/certificate.pem"));
    let pair = Pair { certificate: root.join("tls/certificate.pem"), key: root.join("tls/key.pem") };
    let text = fs::read_to_string(root.join("rill.toml")).unwrap();
    assert!(text.contains(&format!("\ntls.certificate = {:?}\n", pair.certificate.display().to_string())), "{text}");
    output_of(Command::new(rill).args(["-t", "--root"]).arg(&root));
    let mut command = Command::new("openssl");
    let shown = output_of(command.args(["x509", "-noout", "-text", "-in"]).arg(&pair.certificate));
    let shown = String::from_utf8(shown).unwrap();
    for part in [
        "Not Before: Jan  1 00:00:00 2020",
        "Not After : Dec 31 23:59:59 2049",
        "DNS:rill.local",
        "IP Address:127.0.0.1",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let server = serve(&scratch, &pair, &[]);
    let https = address_in(&server.process.log(), "rill https addr=").unwrap();
    for name in ["rill.local", "127.0.0.1"] {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--cacert"]).arg(&pair.certificate);
        command.args(["--resolve", &format!("rill.local:{}:127.0.0.1", https.port())]);
        output_of(command.arg(format!("https://{name}:{}/healthz", https.port())));
    }
    let again = Command::new(rill).args(["init", "--tls"]).arg(&root).output().unwrap();
    assert!(!again.status.success(), "others may believe the one that is there");
}

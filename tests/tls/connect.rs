//! `rill connect` over TLS.

use std::process::{Command, Output};

use crate::authority::Secured;

/// `rill connect` to that URL: what it printed, and whether it was connected.
fn connect(url: &str, more: &[&str]) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rill"));
    let Output { stdout, stderr, status } = command.args(["connect", url]).args(more).output().unwrap();
    (String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap(), status.success())
}

#[test]
fn the_sample_client_connects_in_tls_to_whom_it_believes_and_says_why_not() {
    let far = Secured::start("tls-connect", &[]);
    let ca = ["--ca", far.authority.certificate.to_str().unwrap()];
    let url = |host: &str, port: u16| format!("rtmps://{host}:{port}/live");
    let (said, is_done) = connect(&url("localhost", far.rtmps.port()), &ca);
    assert!(is_done && said.contains("event.info.code: NetConnection.Connect.Success"), "{said}");
    assert!(said.ends_with("The connection was closed successfully - goodbye\n"), "{said}");
    let plain = far.server.address.port();
    for (host, port, more, words) in [
        ("localhost", far.rtmps.port(), &[][..], "its certificate is signed by nobody who is believed: --ca FILE"),
        ("localhost", plain, &ca, "it closed the connection before TLS was agreed on: its port may be one without TLS"),
        ("localhost", far.rtmps.port(), &["--ca", "/nowhere.pem"], "/nowhere.pem: No such file"),
    ] {
        let (said, is_done) = connect(&url(host, port), more);
        assert!(!is_done && said.contains("NetConnection.Connect.Failed") && said.contains(words), "{words}: {said}");
    }
}

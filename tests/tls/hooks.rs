//! A hook in TLS: the real server asks a back end whose certificate an authority of the test's has signed, and no other.

use std::process::Command;

use crate::authority::{Pair, authority, signed_by};
use crate::support::process::Process;
use crate::support::publisher;
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// The back end of docs/hooks.md, with a certificate before its door.
const IN_TLS: &str = "import ssl, sys
text = open(sys.argv[2]).read()
begin, end = text.split('server.serve_forever()')
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
exec(begin + 'server.socket = context.wrap_socket(server.socket, server_side=True)\\nserver.serve_forever()' + end)";

fn back_end(scratch: &Scratch, pair: &Pair) -> (Process, u16) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hooks/back_end.py");
    let mut command = Command::new("python3");
    command.args(["-c", IN_TLS, "0", page]).arg(&pair.certificate).arg(&pair.key);
    let mut process = Process::spawn(scratch, "back-end", &mut command);
    let mut port = None;
    wait_until(patience(10.0), || {
        port = process.log().lines().find_map(|line| line.strip_prefix("port ")?.parse().ok());
        port.is_some() || !process.is_running()
    });
    let port = port.unwrap_or_else(|| panic!("{}", process.log()));
    (process, port)
}

#[test]
fn a_back_end_is_asked_in_tls_if_its_certificate_can_be_believed() {
    let scratch = Scratch::new("hooks-tls");
    let known = authority(&scratch);
    let pair = signed_by(&known, &scratch, "back-end", "ec", 30);
    let (_back_end, port) = back_end(&scratch, &pair);
    let hook = |host: &str| format!("hooks.on_publish=https://{host}:{port}/");
    let ca = format!("server.tls.ca={}", known.certificate.display());
    let server = Server::start(&scratch, &[&hook("localhost"), &ca, "server.trust_clock=true"]);
    let _right = publisher::begin(server.address, "cam?token=s3cret");
    server.wait_for_publisher("cam");
    let _wrong = publisher::begin(server.address, "other?token=x");
    server.wait_for_log(&["publish refused", "The application's hook refused it."]);
    drop(server);
    // Nobody knows the authority: the log says so, and nobody publishes.
    let server = Server::start(&scratch, &[&hook("localhost"), "server.trust_clock=true"]);
    let _refused = publisher::begin(server.address, "cam?token=s3cret");
    server.wait_for_log(&["hook down", "hook=on_publish", "certificate"]);
    server.wait_for_log(&["publish refused", "The application's hook did not answer."]);
}

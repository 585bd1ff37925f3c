//! What server-side code, and a session of the page, are told of a connection in TLS.

use std::fs;
use std::process::Command;

use crate::authority::Secured;
use crate::support::clients::{camera, ffmpeg_play};
use crate::support::process::{Process, output_of};
use crate::support::{Scratch, patience};

/// Says how its clients came, and sends who wants to go elsewhere to the address that its argument names.
const DOOR: &str = r#"
application.onConnect = function(client, where) {
	trace(client.protocol + " " + client.secure + " " + client.uri);
	if (where) application.redirectConnection(client, where, "Not here.");
	else return true;
};
"#;

/// A server whose application `door` has that script.
fn secured(name: &str) -> Secured {
    let scratch = Scratch::new(name);
    let root = scratch.path("root");
    let application = root.join("applications/door");
    fs::create_dir_all(&application).unwrap();
    fs::write(application.join("main.asc"), DOOR).unwrap();
    Secured::beside(scratch, "ec", &[&format!("server.root={}", root.display())])
}

#[test]
fn a_script_is_told_the_truth_of_each_way_in() {
    let secured = secured("tls-script");
    let nowhere = secured.scratch.path("nowhere.flv");
    // Who asks for a stream over HTTP is a client only when it is there.
    let url = secured.server.url_in("door", "cam");
    let _camera = Process::spawn(&secured.scratch, "camera", &mut camera(&url));
    secured.server.wait_for_publisher("cam");
    let https = format!("https://localhost:{}", secured.https.port());
    let rtmps = format!("rtmps://localhost:{}", secured.rtmps.port());
    for (url, words) in [
        (format!("{rtmps}/door/cam"), format!("rtmps true {rtmps}/door")),
        (secured.server.url_in("door", "cam"), format!("rtmp false rtmp://{}/door", secured.server.address)),
    ] {
        let mut player = Process::spawn(&secured.scratch, "player", &mut ffmpeg_play(&url, &nowhere));
        secured.server.wait_for_log(&[" trace=", &words]);
        player.kill();
    }
    let http = secured.server.http;
    for (base, words) in [(https, "https true "), (format!("http://{http}"), "http false ")] {
        let mut viewer = Command::new("curl");
        viewer.args(["--silent", "--no-buffer", "--output", "/dev/null", "--cacert"]);
        viewer.arg(&secured.authority.certificate).arg(format!("{base}/door/cam.flv"));
        let mut viewer = Process::spawn(&secured.scratch, "viewer", &mut viewer);
        secured.server.wait_for_log(&[" trace=", words]);
        viewer.kill();
    }
}

#[test]
fn who_is_sent_elsewhere_is_given_the_address_as_the_script_says_it() {
    let secured = secured("tls-redirect");
    let elsewhere = format!("rtmps://localhost:{}/live", secured.rtmps.port());
    let url = format!("rtmps://localhost:{}/door", secured.rtmps.port());
    // librtmp says what the information object of a rejection holds.
    let mut client = Command::new("rtmpdump");
    client.args(["--debug", "--live", "--flv", "/dev/null", "--rtmp", &url, "--playpath", "cam"]);
    client.args(["-C", &format!("S:{elsewhere}")]);
    let mut client = Process::spawn(&secured.scratch, "client", &mut client);
    let status = client.wait(patience(20.0));
    assert!(!status.success() && client.log().contains(&elsewhere), "{}", client.log());
}

#[test]
fn the_cookie_of_a_session_goes_over_tls_alone_when_it_was_given_over_tls() {
    const KEY: &str = "a-key-of-at-least-16";
    let secured = Secured::start("tls-cookie", &[&format!("web.admin_key={KEY}")]);
    let log_in = |base: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--include", "--header", "Content-Type: application/json"]);
        curl.args(["--data", &format!("{{\"key\":\"{KEY}\"}}"), "--cacert"]).arg(&secured.authority.certificate);
        let said = String::from_utf8(output_of(curl.arg(format!("{base}/api/login")))).unwrap();
        said.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).unwrap().to_owned()
    };
    let cookie = log_in(&format!("https://localhost:{}", secured.https.port()));
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let cookie = log_in(&format!("http://{}", secured.server.http));
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
}

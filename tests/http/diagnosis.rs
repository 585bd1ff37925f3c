//! What is wrong, of what encoders really send.

use std::process::Command;

use serde_json::Value;

use crate::client::Client;
use crate::support::process::Process;
use crate::support::server::Server;
use crate::support::{Scratch, patience, wait_until};

/// A camera whose pictures are of this form.
fn camera(scratch: &Scratch, server: &Server, pixels: &str) -> Process {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25"]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", pixels, "-f", "flv"]);
    Process::spawn(scratch, pixels, command.arg(server.url("cam1")))
}

#[test]
fn a_picture_that_phones_may_not_show_is_told_until_one_comes_that_they_do() {
    let scratch = Scratch::new("http-not-for-phones");
    let server = Server::start(&scratch, &["live.unpublish_grace_ms=0"]);
    let mut client = Client::new(server.http);
    let mut shown = |path: &str| {
        let whole: Value = serde_json::from_str(client.get(path).text()).unwrap();
        let found = whole["findings"].as_array().unwrap().iter().find(|row| row["kind"] == "not_for_phones").cloned();
        // What is live has been looked at.
        let is_live = whole["streams"].as_array().is_some_and(|all| all.iter().any(|row| row["video"].is_string()));
        (is_live, found)
    };
    let mut studio = camera(&scratch, &server, "yuv444p");
    assert!(wait_until(patience(20.0), || shown("/api/diagnosis").1.is_some()));
    for path in ["/api/diagnosis", "/api/status"] {
        let finding = shown(path).1.unwrap();
        assert_eq!((&finding["stream"], &finding["figures"][0]), (&"live/cam1".into(), &"H.264 High 4:4:4".into()));
        assert!(finding["remedy"].as_str().unwrap().contains("4:2:0"), "{finding}");
    }
    studio.kill();
    let _phone = camera(&scratch, &server, "yuv420p");
    server.wait_for_logs(2, &[" publish start "]);
    assert!(wait_until(patience(20.0), || shown("/api/status") == (true, None)));
}

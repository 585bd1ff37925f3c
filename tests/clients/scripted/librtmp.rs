//! rtmpdump: the connect arguments of every kind that it knows, its bandwidth check, and its answer to `ping`.

use super::stage::{Stage, end};
use crate::support::patience;
use crate::support::wait_until;

/// What rtmpdump is given, and what the script must see: JSON tells all the types of it apart.
const ARGUMENTS: [(&[&str], &str); 15] = [
    (&[], "[]"),
    (&["B:1"], "[true]"),
    (&["B:0"], "[false]"),
    (&["S:text"], r#"["text"]"#),
    (&["S:"], r#"[""]"#),
    (&["S:a:b \"c\" \\ ä 1"], r#"["a:b \"c\" \\ ä 1"]"#),
    (&["N:1.5"], "[1.5]"),
    (&["N:-2e3"], "[-2000]"),
    (&["N:0"], "[0]"),
    (&["Z:"], "[null]"),
    (&["O:1", "O:0"], "[{}]"),
    (&["O:1", "NS:name:value", "O:0"], r#"[{"name":"value"}]"#),
    (
        &["O:1", "NB:yes:1", "NB:no:0", "NN:code:1.23", "NS:flag:", "O:0"],
        r#"[{"yes":true,"no":false,"code":1.23,"flag":""}]"#,
    ),
    (&["O:1", "NO:inner:1", "NS:deep:er", "O:0", "NN:after:3", "O:0"], r#"[{"inner":{"deep":"er"},"after":3}]"#),
    (
        &["B:1", "S:text", "N:1.5", "Z:", "O:1", "NS:name:value", "O:0", "S:last"],
        r#"[true,"text",1.5,null,{"name":"value"},"last"]"#,
    ),
];

#[test]
fn a_script_gets_rtmpdump_s_connect_arguments_with_their_types_and_decides_by_them() {
    let script = r#"
application.onConnect = function(client) {
	var given = Array.prototype.slice.call(arguments, 1);
	trace(JSON.stringify(given));
	if (given[0] === true && given[4] && given[4].name == "value") {
		application.acceptConnection(client);
	} else {
		application.rejectConnection(client, { given: given });
	}
};
"#;
    let stage = Stage::new("arguments", &[("args", script)], &[]);
    // Each in an instance of its own: a script that traces much at once is cut short.
    let mut clients: Vec<_> = ARGUMENTS
        .iter()
        .enumerate()
        .map(|(index, (arguments, _))| {
            stage.rtmpdump(&format!("client-{index}"), &format!("args/{}/cam", index % 3), arguments)
        })
        .collect();
    for (index, (_, expected)) in ARGUMENTS.iter().enumerate() {
        stage.wait_for_trace(&format!("args/{}", index % 3), expected);
    }
    let accepted = clients.len() - 1;
    stage.server.wait_for_players(&format!("{}/cam", accepted % 3), 1);
    for client in &mut clients[..accepted] {
        let status = client.wait(end());
        assert!(!status.success() && client.log().contains("server invoking <_error>"), "{}", client.log());
    }
    assert!(clients[accepted].is_running(), "{}", clients[accepted].log());
    stage.finish();
}

#[test]
fn a_script_has_rtmpdump_s_bandwidth_measured_by_the_names_that_rtmpdump_knows() {
    let script = r#"
application.onConnect = function(client, told) {
	application.acceptConnection(client);
	if (told) {
		// As in the script of Adobe's own applications. librtmp answers it with _checkbw.
		client.call("onBWDone");
	}
	client.checkBandwidth();
};
"#;
    let stage = Stage::new("bandwidth", &[("bw", script)], &["bandwidth.max_wait_ms=1000"]);
    let clients = [("plain", "B:0"), ("told", "B:1")].map(|(name, told)| stage.rtmpdump(name, "bw/cam", &[told]));
    stage.server.wait_for_logs(2, &[" bandwidth kbit="]);
    for client in &clients {
        let done = wait_until(patience(5.0), || client.log().contains("server invoking <_onbwdone>"));
        assert!(done && client.log().contains("server invoking <_onbwcheck>"), "{}", client.log());
    }
    assert!(clients[1].log().contains("Invoking _checkbw"), "{}", clients[1].log());
    for line in stage.server.process.log().lines().filter(|line| line.contains(" bandwidth kbit=")) {
        let kbit: f64 = line.split("kbit=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(kbit > 1000.0, "the loopback interface is faster than that: {line}");
        eprintln!("{line}");
    }
    stage.finish();
}

#[test]
fn librtmp_answers_the_ping_of_a_script_and_the_ping_of_the_protocol() {
    let script = r#"
application.onConnect = function(client) {
	var pongs = 0;
	client.pong = function() {
		trace("pong " + ++pongs);
		if (pongs < 3) {
			client.call("ping");
		}
	};
	var seconds = 0;
	setInterval(function() {
		if (++seconds == 2) {
			client.ping();
		}
		if (client.getStats().ping_rtt >= 200) {
			trace("a round trip of 200 ms or more");
		}
	}, 1000);
	application.acceptConnection(client);
	client.call("ping");
};
"#;
    let stage = Stage::new("ping", &[("ping", script)], &[]);
    let client = stage.rtmpdump("client", "ping/cam", &[]);
    // The call `ping` is librtmp's own invention: it calls `pong` in answer.
    stage.wait_for_trace("ping/_definst_", "pong 3");
    // Stopped until some time after the ping.
    client.signal(libc::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(2600));
    client.signal(libc::SIGCONT);
    stage.wait_for_trace("ping/_definst_", "a round trip of 200 ms or more");
    stage.finish();
}

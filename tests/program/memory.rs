//! The whole process keeps its memory: what it obtained at start is all it ever has.

use std::io::ErrorKind::WouldBlock;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::binary::{Server, number};
use rill::bench::{Milestone, Plan, run_observed};

/// A server with a small board's table, so that a test can fill it.
fn small(name: &str, more: &[&str]) -> Server {
    let mut arguments = vec!["--board", "rpi-zero", "--set", "limits.connections=24", "--set", "limits.streams=2"];
    arguments.extend(["--set", "limits.ring_bytes=512KiB"]);
    arguments.extend(more);
    Server::start(name, &arguments)
}

/// Heap allocations that the process says it made since it started to serve.
/// The line in which the server says how it is.
fn status(server: &Server) -> String {
    server.signal("USR1");
    server.wait_for_log("rill status")
}

fn allocations(server: &Server) -> i64 {
    number(&status(server), "heap_allocations")
}

#[test]
fn misbehaving_clients_by_the_hundred_leave_memory_as_it_was() {
    let mut server = small("memory-misbehaving", &["--log", "debug"]);
    let before = server.resident_kib();
    let first_bytes: [&[u8]; 6] =
        [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n", &[3; 1537], b"", &[3; 5000]];
    for round in 0..8 {
        // More than the table holds.
        let mut clients: Vec<TcpStream> = Vec::new();
        for index in 0..48 {
            let mut client = TcpStream::connect(server.address).unwrap();
            client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            // The server may have closed it already.
            let _ = client.write_all(first_bytes[(index + round) % first_bytes.len()]);
            clients.push(client);
        }
        for mut client in clients {
            let _ = client.read(&mut [0; 4096]);
        }
    }
    assert_eq!(allocations(&server), 0);
    let after = server.resident_kib();
    assert!(after * 100 <= before * 102, "{before} KiB became {after} KiB");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    let farewell = server.wait_for_log("rill stopped");
    assert_eq!((number(&farewell, "heap_allocations"), number(&farewell, "accepted")), (0, 8 * 48), "{farewell}");
}

#[test]
fn five_hundred_players_come_and_go_in_the_memory_that_was_there_before_them() {
    let players = if cfg!(target_os = "linux") { 500 } else { 100 };
    let connections = format!("limits.connections={}", players + 20);
    // Small rings, so that two per cent is little.
    let ring = ["--set", "limits.streams=2", "--set", "limits.ring_bytes=512KiB"];
    let server = Server::start("memory-players", &[&["--board", "host", "--set", &connections][..], &ring].concat());
    let start = server.resident_kib();
    let plan = Plan {
        players,
        bitrate_bps: 300_000,
        duration: Duration::from_secs(2),
        ..Plan::new(format!("rtmp://{}/live/crowd", server.address))
    };
    let mut crowded = 0;
    let report = run_observed(&plan, &mut |moment| {
        if moment == Milestone::Steady {
            crowded = server.resident_kib();
        }
    });
    let report = report.unwrap();
    assert_eq!(report.served, players, "{report}");
    server.wait_for_log("play stop");
    let after = server.resident_kib();
    println!("resident: {start} KiB at start, {crowded} KiB with {players} players, {after} KiB after them");
    let range = start * 98 / 100..=start * 102 / 100;
    assert!(range.contains(&crowded) && range.contains(&after), "{start} KiB, {crowded} KiB, {after} KiB");
    assert_eq!(allocations(&server), 0);
}

#[test]
fn without_a_file_descriptor_clients_are_turned_away_and_others_are_served_later() {
    let server = small("memory-descriptors", &[]);
    server.limit_open_files(16);
    let connect = || {
        let client = TcpStream::connect(server.address).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        client
    };
    let is_open = |mut client: &TcpStream| client.read(&mut [0; 1]).is_err_and(|error| error.kind() == WouldBlock);
    let clients: Vec<TcpStream> = (0..12).map(|_| connect()).collect();
    // It may come before anybody was turned away, for the disk threads take descriptors, too: the status says how many were.
    server.wait_for_log("warn rill cannot accept connections errno=24");
    assert!(clients.iter().any(|client| !is_open(client)));
    drop(clients);
    // Its accepting rests for a quarter of a second, and a busy machine for longer.
    assert!((0..20).any(|_| {
        std::thread::sleep(Duration::from_millis(300));
        is_open(&connect())
    }));
    let status = status(&server);
    assert!(number(&status, "turned_away") > 0, "{status}");
    assert_eq!(number(&status, "heap_allocations"), 0, "{status}");
}

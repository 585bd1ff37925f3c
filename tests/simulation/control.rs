//! The control protocol over a line that cuts anything anywhere, beside clients that come and go.

use proptest::prelude::*;
use rill::server::control::{Conn, PATIENCE_MS, Process};
use rill::time::Millis;
use serde_json::Value;

use crate::sim::ledger::Kind::{Audio, Key};
use crate::sim::world::World;

const PROCESS: Process<'static> =
    Process { round_trip_us: &|_| Some(1500), turned_away: 0, load_permille: 10, heap_allocations: None };

/// Sends `requests` in pieces of `cut` bytes and takes answers in pieces of `taken`; what was answered.
fn ask(world: &mut World, conn: &mut Conn, requests: &[u8], cut: usize, taken: usize) -> String {
    let (mut left, mut answers) = (requests, Vec::new());
    let mut rests = 0;
    while rests < 2 && !conn.is_over() {
        let room = left.len().min(conn.room()).min(cut);
        conn.read(&left[..room]);
        left = &left[room..];
        conn.turn(&mut world.server, &PROCESS, Millis(world.now));
        let piece = conn.pending().len().min(taken);
        answers.extend_from_slice(&conn.pending()[..piece]);
        conn.sent(piece, Millis(world.now));
        rests = if room == 0 && piece == 0 && !conn.has_work() { rests + 1 } else { 0 };
    }
    String::from_utf8(answers).unwrap()
}

fn crowd() -> World {
    let (mut world, publisher) = World::live();
    world.send_all(publisher, 100, &[Key, Audio, Audio]);
    for _ in 0..8 {
        world.player("cam");
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_cut_where_every_request_has_its_one_answer(cut in 1usize..600, taken in 1usize..5000) {
        // More than there is room for at once.
        let requests = "clients\nstreams\nnonsense\napps\nstats\ndisconnect c99.0\ndisconnect\nunload nothing\n".repeat(9);
        let mut world = crowd();
        let mut conn = Conn::new();
        conn.begin(Millis(world.now));
        let whole = ask(&mut world, &mut conn, requests.as_bytes(), 512, 1 << 20);
        prop_assert_eq!(ask(&mut world, &mut conn, requests.as_bytes(), cut, taken), whole.as_str());
        let rows: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(rows.iter().filter(|row| row["ok"] == true).count(), 9 * 4);
        prop_assert_eq!(rows.iter().filter(|row| row["error"].is_string()).count(), 9 * 4);
        prop_assert_eq!(rows.iter().filter(|row| row["does"] == "plays").count(), 9 * 8);
        world.end();
    }
}

#[test]
fn an_operator_who_ends_clients_is_told_and_so_are_they() {
    let mut world = crowd();
    let mut conn = Conn::new();
    conn.begin(Millis(world.now));
    let player = world.player("cam");
    let id = world.conn(player).unwrap().to_string();
    assert_eq!(ask(&mut world, &mut conn, format!("disconnect {id}\n").as_bytes(), 3, 5), "{\"ok\":true}\n");
    world.settle();
    assert!(world.conn(player).is_none(), "it was told and has gone");
    assert!(ask(&mut world, &mut conn, format!("disconnect {id}\n").as_bytes(), 3, 5).contains("there is no client"));
    let answer = ask(&mut world, &mut conn, b"shutdown-app live\n", 512, 4096);
    assert_eq!(answer, "{\"disconnected\":9}\n{\"ok\":true}\n");
    world.end();
}

#[test]
fn a_request_without_end_is_an_error_and_the_end() {
    let mut world = World::new();
    let mut conn = Conn::new();
    conn.begin(Millis(world.now));
    let answer = ask(&mut world, &mut conn, &[b'x'; 600], 100, 4096);
    assert_eq!(answer, "{\"error\":\"the request is longer than 512 bytes\"}\n");
    assert!(conn.is_over());
    // The place serves the next client, who has its own time.
    world.advance(PATIENCE_MS);
    conn.begin(Millis(world.now));
    assert!(conn.deadline() > Millis(world.now) && !conn.is_over());
    assert!(ask(&mut world, &mut conn, b"apps\n", 2, 7).ends_with("{\"ok\":true}\n"));
    world.end();
}

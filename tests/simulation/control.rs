//! The operator's connections in the server's own loop, over a line that cuts anything anywhere, beside clients that come
//! and go.

use proptest::prelude::*;
use rill::limits::CONTROL_CLIENTS;
use rill::live::settings::Settings;
use rill::server::control::PATIENCE_MS;
use rill::server::peer::Peer;
use rill::server::speaks::Door;
use rill::server::transport::Arrival;
use serde_json::Value;

use crate::http::is_empty;
use crate::sim::browser::Browser;
use crate::sim::card::Stored;
use crate::sim::ledger::Kind::{Audio, Key};
use crate::sim::world::{World, settings};

/// One of the operator's connections.
pub struct Operator {
    pub link: usize,
    heard: Vec<u8>,
}

impl Operator {
    /// Connects; its system holds so many bytes for it.
    pub fn new(world: &mut World, window: usize) -> Operator {
        let arrival = Arrival { peer: Peer::Local, door: Door::Control, is_secure: false };
        Operator { link: world.net.connect(arrival, window, 0), heard: Vec::new() }
    }

    fn send(&self, world: &mut World, bytes: &[u8]) {
        world.net.send(self.link, bytes);
        world.settle();
    }

    /// Takes what has come. False when there was nothing.
    fn take(&mut self, world: &mut World) -> bool {
        let to_client = &mut world.net.links[self.link].to_client;
        let before = self.heard.len();
        self.heard.extend(to_client.drain(..));
        let any = self.heard.len() > before;
        world.settle();
        any
    }

    /// Sends requests in pieces of `cut` bytes; what was answered.
    pub fn ask(&mut self, world: &mut World, requests: &[u8], cut: usize) -> String {
        for piece in requests.chunks(cut) {
            self.send(world, piece);
            self.take(world);
        }
        while self.take(world) {}
        String::from_utf8(std::mem::take(&mut self.heard)).unwrap()
    }

    fn is_closed(&self, world: &World) -> bool {
        world.net.links[self.link].server_closed
    }
}

fn crowd() -> World {
    let (mut world, publisher) = World::live();
    world.send_all(publisher, 100, &[Key, Audio, Audio]);
    for _ in 0..8 {
        world.player("cam");
    }
    world
}

/// More recordings than a page of their list has.
fn recordings_of_a_day() -> World {
    let world = World::with(Settings { recordings: 2, ..settings() }, 1);
    for n in 1..=40 {
        let path = format!("/apps/live/recordings/cam/{n:06}-nodate.flv");
        world.recorder.card.borrow_mut().files.insert(path.into(), Stored::of(b"film".to_vec()));
    }
    world
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_cut_where_every_request_has_its_one_answer(cut in 1usize..600, window in 10usize..5000) {
        // More than there is room for at once.
        let requests = "clients\nstreams\nnonsense\napps\nstats\ndisconnect c99.0\ndisconnect\nunload nothing\n".repeat(9);
        let mut world = crowd();
        let whole = Operator::new(&mut world, 1 << 20).ask(&mut world, requests.as_bytes(), 512);
        let mut narrow = Operator::new(&mut world, window);
        prop_assert_eq!(narrow.ask(&mut world, requests.as_bytes(), cut), whole.as_str());
        let rows = rows(&whole);
        prop_assert_eq!(rows.iter().filter(|row| row["ok"] == true).count(), 9 * 4);
        prop_assert_eq!(rows.iter().filter(|row| row["error"].is_string()).count(), 9 * 4);
        prop_assert_eq!(rows.iter().filter(|row| row["does"] == "plays").count(), 9 * 8);
        world.end();
    }
}

#[test]
fn an_operator_who_ends_clients_is_told_and_so_are_they() {
    let mut world = crowd();
    let mut operator = Operator::new(&mut world, 5);
    let player = world.player("cam");
    let id = world.conn(player).unwrap().to_string();
    let request = format!("disconnect {id}\n");
    assert_eq!(operator.ask(&mut world, request.as_bytes(), 3), "{\"ok\":true}\n");
    assert!(world.conn(player).is_none(), "it was told and has gone");
    assert!(operator.ask(&mut world, request.as_bytes(), 3).contains("there is no client"));
    let answer = operator.ask(&mut world, b"shutdown-app live\n", 512);
    assert_eq!(answer, "{\"disconnected\":9}\n{\"ok\":true}\n");
    world.end();
}

#[test]
fn a_request_without_end_is_an_error_and_the_end() {
    let mut world = World::new();
    let mut operator = Operator::new(&mut world, 4096);
    let answer = operator.ask(&mut world, &[b'x'; 600], 100);
    assert_eq!(answer, "{\"error\":\"the request is longer than 512 bytes\"}\n");
    assert!(operator.is_closed(&world));
    // The place serves the next client, who has its own time.
    world.advance(PATIENCE_MS);
    let mut next = Operator::new(&mut world, 7);
    assert!(next.ask(&mut world, b"apps\n", 2).ends_with("{\"ok\":true}\n"));
    assert!(!next.is_closed(&world));
    world.end();
}

#[test]
fn a_list_that_is_taken_in_small_pieces_has_every_client_that_stayed_once() {
    let mut world = World::with(Settings { connections: 300, handshake_timeout_ms: 120_000, ..settings() }, 1);
    let clients: Vec<usize> = (0..300).map(|_| world.dial()).collect();
    world.settle();
    let gone = |index: usize| index.is_multiple_of(3) && index > 150;
    let mut operator = Operator::new(&mut world, 700);
    operator.send(&mut world, b"clients\n");
    for _ in 0..5 {
        assert!(operator.take(&mut world));
    }
    for &c in clients.iter().filter(|&&c| gone(c)) {
        world.hang_up(c);
    }
    world.settle();
    assert_eq!(world.server.slots().taken(), (0..300).filter(|&index| !gone(index)).count());
    // A list that is being taken, however long it takes as a whole, is not given up on.
    let mut turns = 5;
    while operator.take(&mut world) {
        world.advance(PATIENCE_MS / 20);
        turns += 1;
    }
    assert!(!operator.is_closed(&world), "it was given up on after {turns} turns");
    assert!(turns > 20, "{turns} turns: a row may have to look at every connection, so a few are written in one");
    let text = String::from_utf8(operator.heard.clone()).unwrap();
    assert!(text.ends_with("{\"ok\":true}\n"));
    let ids: Vec<String> = rows(&text).iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    let stayed: Vec<String> = (0..300).filter(|&index| !gone(index)).map(|index| format!("c{index}.0")).collect();
    assert_eq!(ids, stayed);
}

#[test]
fn no_number_of_clients_keeps_the_operator_out_and_no_operator_a_client() {
    let mut world = World::new();
    let players: Vec<usize> = (0..16).map(|_| world.player("cam")).collect();
    // And those who are not let in, in every place that is left.
    let late: Vec<usize> = (0..20).map(|_| world.dial()).collect();
    world.settle();
    let mut operators: Vec<Operator> = (0..CONTROL_CLIENTS).map(|_| Operator::new(&mut world, 4096)).collect();
    for operator in &mut operators {
        let answer = operator.ask(&mut world, b"clients\n", 512);
        assert_eq!(rows(&answer).iter().filter(|row| row["does"] == "plays").count(), players.len());
    }
    let mut one_more = Operator::new(&mut world, 4096);
    world.settle();
    let busy = "{\"error\":\"busy: as many clients as the control socket serves at once (CONTROL_CLIENTS)\"}\n";
    assert_eq!(one_more.ask(&mut world, b"", 1), busy);
    assert!(one_more.is_closed(&world));
    assert!(players.iter().all(|&player| !world.clients[player].ended), "players stay");
    late.iter().for_each(|&c| world.hang_up(c));
    world.settle();
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    world.end();
}

#[test]
fn who_does_not_take_its_answers_is_closed_in_time_and_costs_nobody_anything() {
    let mut world = crowd();
    let stuck = Operator::new(&mut world, 100);
    stuck.send(&mut world, &b"clients\n".repeat(500));
    let half = Operator::new(&mut world, 4096);
    half.send(&mut world, b"clie");
    let turned = world.net.links[stuck.link].bytes_written;
    let mut other = Operator::new(&mut world, 4096);
    assert!(other.ask(&mut world, b"streams\n", 512).contains("\"state\":\"live\""));
    assert!(world.server.wait_ms(rill::time::Millis(world.now)) > Some(0), "nothing spins");
    world.advance(PATIENCE_MS - 1);
    assert!(!stuck.is_closed(&world) && !half.is_closed(&world), "each has the whole of its time");
    // One byte now and then buys no time.
    world.net.links[stuck.link].to_client.pop_front();
    half.send(&mut world, b"n");
    world.advance(1000);
    assert!(stuck.is_closed(&world) && half.is_closed(&world));
    assert_eq!(world.net.links[stuck.link].bytes_written, turned + 1);
    world.end();
}

#[test]
fn a_viewer_who_does_not_take_its_list_of_recordings_gives_way_to_the_operator_and_in_time_to_the_next() {
    let mut world = recordings_of_a_day();
    let list = b"GET /api/recordings HTTP/1.1\r\nHost: a\r\n\r\n";
    let slow = Browser::new(&mut world, 300);
    slow.send(&mut world, list);
    world.advance(100);
    let next = Browser::new(&mut world, 1 << 20);
    next.send(&mut world, list);
    world.advance(1000);
    assert!(next.read_all(&mut world).is_empty(), "the disk is asked for one after the other");
    let mut operator = Operator::new(&mut world, 10_000);
    let rows = operator.ask(&mut world, b"recordings\n", 100);
    assert!(rows.ends_with("{\"ok\":true}\n") && rows.lines().count() > 16, "{rows}");
    world.advance(1000);
    let answer = String::from_utf8(next.read_all(&mut world)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    assert_eq!(answer.matches("\"file\"").count(), rows.lines().count() - 1);
    slow.read_all(&mut world);
    world.advance(2000);
    assert!(slow.has_ended(&world), "its list is not the whole");
    next.hang_up(&mut world);
    slow.hang_up(&mut world);
    world.net.fin(operator.link);
    is_empty(&mut world);
}

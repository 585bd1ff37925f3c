//! The whole server on the fake network: a publisher and its player, whom the ledger of tests/sim watches, among strangers
//! who say anything at all. Nothing of what they say may reach these two, or stay when they have left.

use crate::sim::ledger::Kind;
use crate::sim::world::World;

/// More than this and the server has no place for them, which is another subject.
const STRANGERS: usize = 8;

/// What they do, one thing after the other: a byte says who does what, the next how much, and what is said follows.
pub fn run(bytes: &[u8]) {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_start(publisher);
    let mut strangers = Vec::new();
    let mut rest = bytes;
    let mut time = 100;
    while let [what, how, more @ ..] = rest {
        rest = more;
        if strangers.is_empty() || (what % 8 == 0 && strangers.len() < STRANGERS) {
            let c = world.dial();
            world.clients[c].lenient = true;
            strangers.push(c);
        }
        let c = strangers[usize::from(what >> 3) % strangers.len()];
        let link = world.clients[c].link;
        match what % 8 {
            0 => world.net.links[link].short = usize::from(*how),
            1 => world.clients[c].handshake(),
            2 => {
                let client = &mut world.clients[c];
                client.connect("live");
                client.create_stream();
                let name = ["cam", "other", "noise"][usize::from(*how) % 3];
                match how % 2 {
                    0 => client.play(1, name),
                    _ => client.publish(1, name),
                }
            }
            3..6 => {
                let (said, more) = rest.split_at(rest.len().min(usize::from(*how)));
                rest = more;
                world.clients[c].out.extend(said);
            }
            6 => {
                for _ in 0..how % 16 {
                    world.advance(100);
                    time += 100;
                    world.send(publisher, 1, Kind::Audio, time, 60);
                }
            }
            _ => match how % 4 {
                0 => world.reset(c),
                1 => world.hang_up(c),
                2 => world.slow(c, usize::from(how >> 2)),
                _ => world.clients[c].rate = None,
            },
        }
        time += 20;
        world.send(publisher, 1, [Kind::Inter, Kind::Audio, Kind::Key][usize::from(*how) % 3], time, 60);
        world.settle();
    }
    assert!(world.clients[publisher].publication(1).is_some(), "the publisher still publishes");
    assert!(world.clients[player].watch(1).started, "the player plays");
    for c in strangers {
        world.clients[c].rate = None;
    }
    world.end();
}

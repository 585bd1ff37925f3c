//! What a publisher's media is like, and what players make of it: its time, its pictures, and where they begin.

use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::world::World;

#[test]
fn a_clip_that_begins_again_within_one_publish_goes_on_for_its_players() {
    for clip_ms in [1_000_u32, 4_000, 14_000] {
        let mut world = World::new();
        let publisher = world.publisher("cam");
        world.ledger.of(0).jumps = true;
        let player = world.player("cam");
        for _ in 0..3 {
            for time in (0..clip_ms).step_by(200) {
                world.send(publisher, 1, if time == 0 { Key } else { Inter }, time, 60);
                world.send(publisher, 1, Audio, time, 60);
                world.advance(200);
            }
        }
        let frames = &world.clients[player].watch(1).frames;
        for kind in [8, 9] {
            let times: Vec<u32> = frames.iter().filter(|frame| frame.0 == kind).map(|frame| frame.1).collect();
            let steps: Vec<u32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let round = clip_ms as usize / 200;
            let expected: Vec<u32> = (1..3 * round).map(|i| if i % round == 0 { 40 } else { 200 }).collect();
            assert_eq!(steps, expected, "{clip_ms} ms, message type {kind}");
        }
        world.end();
    }
}

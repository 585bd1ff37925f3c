//! What a publisher's media is like, and what players make of it: its time, its pictures, and where they begin.

use rill::live::settings::Settings;

use super::ends::{logged, world_with};
use super::sim::ledger::Kind::{Audio, AudioHeader, Inter, Key, Metadata, VideoHeader};
use super::sim::world::{World, settings};

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

#[test]
fn a_still_picture_is_begun_at_its_key_frame_as_long_as_that_is_there() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    world.send_all(publisher, 0, &[AudioHeader, VideoHeader]);
    world.send(publisher, 1, Key, 40, 60);
    let mut players = Vec::new();
    for i in 1..=600_u32 {
        // Sound without a gap, and a picture every 3 s.
        world.send(publisher, 1, Audio, 40 + i * 20, 60);
        if i % 150 == 0 {
            world.send(publisher, 1, Inter, 40 + i * 20, 60);
        }
        world.advance(20);
        if i % 50 == 0 {
            let player = world.player("cam");
            assert_eq!(world.heard(player)[6..9], ["0.0 audio header", "0.1 video header", "0.2 key"], "{i}");
            players.push(player);
        }
    }
    assert!(players.iter().all(|&player| world.clients[player].watch(1).next == 607));
    assert_eq!(world.server.counters().skips, 0);
    world.end();
}

/// A thousand bytes of pictures and sound, and the 40 ms that they last.
fn send_picture(world: &mut World, publisher: usize, number: u32) {
    world.send(publisher, 1, Inter, number * 40, 940);
    world.send(publisher, 1, Audio, number * 40, 60);
    world.advance(40);
}

#[test]
fn who_begins_at_a_key_frame_that_is_soon_overwritten_and_is_not_slow_misses_nothing() {
    // How many streams the client plays, the most bytes of one write, and the room in the kernel.
    for (plays, short, window) in
        [(1, 0, 1 << 20), (2, 0, 1 << 20), (1, 100, 1 << 20), (2, 100, 1 << 20), (1, 0, 3000), (2, 0, 3000)]
    {
        let mut world = World::new();
        world.window = window;
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        // The ring is full to a hundredth, and the key frame older than anybody may lag.
        (1..=62).for_each(|number| send_picture(&mut world, publisher, number));
        let player = world.join();
        world.net.links[world.clients[player].link].short = short;
        for stream in 1..=plays {
            world.clients[player].create_stream();
            world.clients[player].play(stream, ["cam", "other"][stream as usize - 1]);
        }
        world.settle();
        assert_eq!(world.clients[player].watch(1).next, 4 + 2 * 62);
        assert_eq!(world.clients[player].watch(1).frames.len(), 1 + 2 * 62, "from the key frame on");
        assert_eq!(world.server.counters().skips, 0);
        world.end();
    }
}

#[test]
fn who_begins_at_a_key_frame_that_is_soon_overwritten_keeps_the_picture_if_it_takes_more_than_is_published() {
    // The publisher sends 25 bytes in a millisecond.
    for (rate, is_slow) in [(10, true), (15, true), (20, true), (30, false), (40, false)] {
        for (plays, pictures) in [(1, 56), (1, 62), (2, 58), (2, 62)] {
            let mut world = World::new();
            world.window = 3000;
            let publisher = world.publisher("cam");
            world.send_start(publisher);
            (1..=pictures).for_each(|number| send_picture(&mut world, publisher, number));
            let player = world.join();
            (0..plays).for_each(|_| world.clients[player].create_stream());
            // Whether there is a file of the other's name is asked of the disk before it plays the one that is published.
            for stream in (1..=plays).rev() {
                world.clients[player].play(stream, ["cam", "other"][stream as usize - 1]);
            }
            world.slow(player, rate);
            (1..=200).for_each(|number| send_picture(&mut world, publisher, pictures + number));
            let frames = &world.clients[player].watch(1).frames;
            let inters = frames.iter().filter(|(kind, _)| *kind == 9).count();
            assert_eq!(world.server.counters().skips, u64::from(is_slow), "{rate} {plays} {pictures}");
            assert!(if is_slow { inters < 30 } else { inters > 230 }, "{rate} {plays} {pictures}: {inters}");
            let sound = frames.iter().filter(|(kind, _)| *kind == 8).count();
            assert!(sound > 190, "nobody is closed, and all hear it: {sound}");
            world.end();
        }
    }
}

#[test]
fn who_is_about_to_be_overtaken_and_takes_enough_keeps_the_picture_while_the_disk_is_asked_for_another_name() {
    // The publisher sends 25 bytes in a millisecond.
    for rate in [30, 40, 1000] {
        for stall_ms in [0, 40, 120, 400, 5_000] {
            for pictures in [58, 62] {
                let mut world = World::new();
                world.window = 3000;
                let publisher = world.publisher("cam");
                world.send_start(publisher);
                (1..=pictures).for_each(|number| send_picture(&mut world, publisher, number));
                world.films.thread.stalled_until = world.now + stall_ms;
                let player = world.join();
                for (stream, name) in [(1, "cam"), (2, "other")] {
                    world.clients[player].create_stream();
                    world.clients[player].play(stream, name);
                }
                world.slow(player, rate);
                (1..=200).for_each(|number| send_picture(&mut world, publisher, pictures + number));
                let inters = world.clients[player].watch(1).frames.iter().filter(|(kind, _)| *kind == 9).count();
                assert_eq!(world.server.counters().skips, 0, "{rate} {stall_ms} {pictures}");
                assert!(inters > 230, "{rate} {stall_ms} {pictures}: {inters}");
                assert_eq!(world.clients[player].watch(2).name, "other", "waits for a publisher");
                world.end();
            }
        }
    }
}

#[test]
fn when_the_last_key_frame_has_left_the_ring_there_is_sound_at_once_and_a_picture_with_the_next() {
    // P frames that fill the ring's bytes, and so many small messages that they fill its index.
    for (inters, inter_bytes, audios_a_frame) in [(600, 15_000, 4), (250, 60, 9)] {
        for gop_cache in [true, false] {
            let mut world = World::with(Settings { ring_bytes: 4 << 20, gop_cache, ..settings() }, 1);
            let publisher = world.publisher("cam");
            world.send_all(publisher, 0, &[AudioHeader, VideoHeader]);
            world.send(publisher, 1, Key, 40, 60);
            let early = world.player("cam");
            let mut time = 40;
            let mut frame = |world: &mut World| {
                time += 40;
                world.send(publisher, 1, Inter, time, inter_bytes);
                for i in 0..audios_a_frame {
                    world.send(publisher, 1, Audio, time + i, 20);
                }
                world.advance(40);
                time
            };
            for _ in 0..inters {
                frame(&mut world);
            }
            let player = world.player("cam");
            world.heard(player);
            for _ in 0..75 {
                frame(&mut world);
            }
            let time = frame(&mut world) + 40;
            let frames = &world.clients[player].watch(1).frames;
            let sound = frames.iter().filter(|(kind, _)| *kind == 8).count() as u32;
            assert_eq!(sound, frames.len() as u32, "no picture that cannot be decoded");
            assert!(sound > 75 * audios_a_frame, "{sound}");
            world.send(publisher, 1, Key, time, 60);
            world.settle();
            assert_eq!(world.clients[player].watch(1).frames.last().unwrap().0, 9);
            world.send_all(publisher, time + 40, &[Inter, Audio]);
            let next = world.clients[early].watch(1).next;
            assert_eq!(world.clients[player].watch(1).next, next, "and all from there on");
            world.end();
        }
    }
}

#[test]
fn a_picture_in_several_messages_is_joined_skipped_and_unpaused_at_its_first() {
    let (mut world, publisher) = World::live();
    let picture = |world: &mut World, kinds: &[_], time: u32| {
        for &kind in kinds {
            world.send(publisher, 1, kind, time, 60);
        }
        world.settle();
    };
    let paused = world.player("cam");
    world.clients[paused].flag(1, "pause", true);
    world.settle();
    world.heard(paused);
    picture(&mut world, &[Inter, Inter, Inter], 100);
    picture(&mut world, &[Key, Key, Key], 140);
    picture(&mut world, &[Inter, Inter], 180);
    let player = world.player("cam");
    let slices = ["0.7 key", "0.8 key", "0.9 key", "0.10 inter", "0.11 inter"];
    assert_eq!(world.heard(player)[9..], slices);
    world.clients[paused].watch(1).may_skip = true;
    world.clients[paused].flag(1, "pause", false);
    world.settle();
    assert_eq!(world.heard(paused)[4..], slices);
    // The first says what the picture is made of, and only the others are a key frame; or the other way round.
    picture(&mut world, &[Inter, Key, Key], 220);
    let player = world.player("cam");
    assert_eq!(world.heard(player)[9..], ["0.12 inter", "0.13 key", "0.14 key"]);
    picture(&mut world, &[Key, Inter, Inter], 260);
    let player = world.player("cam");
    assert_eq!(world.heard(player)[9..], ["0.15 key", "0.16 inter", "0.17 inter"]);
    world.end();
}

#[test]
fn headers_come_to_who_joins_later_in_the_order_in_which_the_publisher_sent_them() {
    for order in [[AudioHeader, Metadata, VideoHeader], [VideoHeader, AudioHeader, Metadata]] {
        let mut world = World::new();
        let early = world.player("cam");
        world.heard(early);
        let publisher = world.publisher("cam");
        world.send_all(publisher, 0, &order);
        world.send_all(publisher, 60, &[Key]);
        let late = world.player("cam");
        let heard = world.heard(early)[1..].to_vec();
        assert_eq!(world.heard(late)[6..], heard);
        world.end();
    }
}

#[test]
fn behind_a_picture_that_was_lost_there_is_sound_alone_until_the_next_key_frame() {
    let (mut world, publisher, player) = World::watched();
    world.send(publisher, 1, Key, 100, 40_000);
    world.ledger.of(0).sent[4].dropped = true;
    world.send_all(publisher, 140, &[Audio, Inter, Audio, Inter]);
    assert_eq!(world.heard(player), ["1: Play.InsufficientBW", "0.5 audio", "0.7 audio"]);
    let late = world.player("cam");
    let heard = world.heard(late);
    assert_eq!(heard[6], "1: Play.InsufficientBW");
    assert_eq!(heard[10..], ["0.3 key", "0.5 audio", "0.7 audio"]);
    world.send_all(publisher, 300, &[Key, Inter]);
    for player in [player, late] {
        assert_eq!(world.heard(player), ["0.9 key", "0.10 inter"]);
    }
    world.end();
}

#[test]
fn while_frames_are_too_large_the_log_says_each_minute_what_to_change_and_players_are_told_once() {
    let mut world = world_with(|_| {});
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    world.send_all(publisher, 0, &[AudioHeader, VideoHeader]);
    world.heard(player);
    logged("");
    let mut told = 0;
    for second in 0..150_u32 {
        world.send(publisher, 1, Key, 40 + second * 1000, 50_000);
        world.ledger.of(0).sent.last_mut().unwrap().dropped = true;
        world.send(publisher, 1, Inter, 80 + second * 1000, 500);
        world.send(publisher, 1, Audio, 100 + second * 1000, 60);
        world.advance(1000);
        let heard = world.heard(player);
        told += heard.iter().filter(|line| *line == "1: Play.InsufficientBW").count();
        assert!(heard.last().unwrap().ends_with(" audio"), "sound goes on: {heard:?}");
    }
    assert_eq!(told, 1);
    let late = world.player("cam");
    let told = world.heard(late).iter().filter(|line| *line == "1: Play.InsufficientBW").count();
    assert_eq!(told, 1, "who comes while it lasts is told as well");
    let lines = logged(" s0 ");
    let advice = "a ring of 65536 bytes takes half of that at most; raise limits.ring_bytes to 1MiB or lower the encoder's \
                  bitrate to 65 % of what it is";
    let said: Vec<&String> = lines.iter().filter(|line| line.contains(advice)).collect();
    assert_eq!(said.len(), 3, "{lines:?}");
    assert!(said[0].contains("name=\"cam\" frames are too large for memory: 1 frame of 50012 bytes"), "{}", said[0]);
    assert!(said[1].contains(" frames of up to 50012 bytes"), "{}", said[1]);
    assert!(!lines.iter().any(|line| line.contains("key frame in")), "{lines:?}");
    world.end();
}

#[test]
fn key_frames_far_apart_are_a_warning_and_one_that_is_lost_is_the_only_one() {
    let said = |gop_cache: bool, ring_bytes: u64, inter_bytes: usize| {
        let mut world = world_with(|settings| {
            settings.gop_cache = gop_cache;
            settings.ring_bytes = ring_bytes;
        });
        let publisher = world.publisher("cam");
        world.send_all(publisher, 0, &[VideoHeader, Key]);
        for i in 0..1_300_u32 {
            world.send(publisher, 1, if i % 300 == 299 { Key } else { Inter }, 60 + i * 40, inter_bytes);
            world.advance(40);
        }
        world.end();
        logged("key frame")
    };
    for gop_cache in [true, false] {
        let rare = said(gop_cache, 1 << 20, 200);
        assert!(rare.len() == 1 && rare[0].contains("s0 name=\"cam\" a key frame comes only every 10 s"), "{rare:?}");
    }
    let lost = said(true, 64 << 10, 2_000);
    assert!(lost.len() == 1 && lost[0].contains("s0 name=\"cam\" the newest key frame has left the ring"), "{lost:?}");
}

#[test]
fn a_viewer_who_skips_and_an_uplink_that_does_not_keep_up_have_a_line_a_minute() {
    let mut world = world_with(|_| {});
    world.window = 3000;
    let publisher = world.publisher("cam");
    let viewer = world.player("cam");
    world.slow(viewer, 5);
    world.send_start(publisher);
    let run = |world: &mut World, seconds: u32, step_ms: u64| {
        for _ in 0..seconds * 25 {
            let sent = &world.ledger.of(0).sent;
            let (at, kind) =
                (sent.last().unwrap().timestamp + 40, if sent.len().is_multiple_of(25) { Key } else { Inter });
            world.send(publisher, 1, kind, at, 400);
            world.advance(step_ms);
        }
    };
    run(&mut world, 100, 40);
    assert!(world.server.counters().skips > 10);
    let lines = logged("s0 name=\"cam\"");
    let skipped = |line: &String| line.contains(" viewers too slow: ") && line.contains(" skipped ");
    assert_eq!(lines.iter().filter(|line| skipped(line)).count(), 2, "{lines:?}");
    world.clients[viewer].rate = None;
    world.advance(1_000);
    run(&mut world, 60, 40);
    // Nine tenths of real time, and then a stall.
    logged("");
    run(&mut world, 100, 44);
    let lines = logged(" s0 name=\"cam\" uplink too slow: media comes ");
    assert_eq!(lines.len(), 2, "{lines:?}");
    run(&mut world, 60, 40);
    logged("");
    world.advance(5_000);
    run(&mut world, 1, 40);
    assert_eq!(logged(" s0 name=\"cam\" uplink too slow: media comes 5.0 s later than it did").len(), 1);
    world.end();
}

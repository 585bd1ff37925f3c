//! Publishers and players who behave.

use rill::live::settings::Settings;
use rill::server::close::CloseReason;

use super::sim::ledger::Kind::{Audio, AudioHeader, Cue, Inter, Key, Metadata, VideoHeader};
use super::sim::world::{World, settings};

#[test]
fn connect_publish_and_play_are_answered_in_the_documented_order() {
    let mut world = World::new();
    let publisher = world.dial();
    world.clients[publisher].handshake();
    world.clients[publisher].connect("live");
    world.settle();
    let answer = ["window", "bandwidth", "begin 0", "chunk size", "_result Connect.Success", "onBWDone"];
    assert_eq!(world.heard(publisher), answer);
    world.clients[publisher].create_stream();
    world.clients[publisher].publish(1, "cam");
    world.settle();
    assert_eq!(world.heard(publisher), ["created 1", "begin 1", "1: Publish.Start"]);
    world.send_start(publisher);
    let player = world.player("cam");
    assert_eq!(
        world.heard(player),
        [
            "created 1",
            "begin 1",
            "1: Play.Reset",
            "1: Play.Start",
            "sample access",
            "1: Play.PublishNotify",
            "0.0 metadata",
            "0.1 video header",
            "0.2 audio header",
            "0.3 key",
        ]
    );
    world.send_all(publisher, 200, &[Audio, Inter, Cue]);
    assert_eq!(world.heard(player), ["0.4 audio", "0.5 inter", "0.6 cue"]);
    world.clients[publisher].close_stream(1);
    world.settle();
    assert_eq!(world.heard(publisher), ["1: Unpublish.Success"]);
    assert_eq!(world.heard(player), ["1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn a_late_joiner_starts_at_the_newest_key_frame_after_the_headers_in_force() {
    let (mut world, publisher) = World::live();
    world.send_all(
        publisher,
        200,
        &[Inter, Audio, Metadata, VideoHeader, AudioHeader, Key, Inter, Audio, Key, Audio, Inter],
    );
    let player = world.player("cam");
    assert_eq!(
        world.heard(player)[6..],
        ["0.6 metadata", "0.7 video header", "0.8 audio header", "0.12 key", "0.13 audio", "0.14 inter"]
    );
    world.end();
}

#[test]
fn a_player_who_came_first_gets_all_from_the_first_and_goes_on_when_the_publisher_returns() {
    let mut world = World::new();
    let player = world.player("cam");
    assert_eq!(world.heard(player), ["created 1", "begin 1", "1: Play.Reset", "1: Play.Start", "sample access"]);
    let publisher = world.publisher("cam");
    assert_eq!(world.heard(player), ["1: Play.PublishNotify"]);
    world.send_all(publisher, 5000, &[Metadata, VideoHeader, AudioHeader, Audio, Key, Inter]);
    let first = ["0.0 metadata", "0.1 video header", "0.2 audio header", "0.3 audio", "0.4 key", "0.5 inter"];
    assert_eq!(world.heard(player), first);
    assert_eq!(world.clients[player].watch(1).first_timestamp, Some(0), "stream time begins at 0");
    world.hang_up(publisher);
    world.advance(1000);
    assert_eq!(world.heard(player), ["1: Play.UnpublishNotify"]);
    let publisher = world.publisher("cam");
    world.send_all(publisher, 77, &[VideoHeader, AudioHeader, Inter, Key, Inter]);
    // What comes before the first key frame cannot be decoded.
    let second = ["1: Play.PublishNotify", "1.0 video header", "1.1 audio header", "1.3 key", "1.4 inter"];
    assert_eq!(world.heard(player), second);
    world.end();
}

#[test]
fn who_waited_for_sound_alone_is_sent_it_as_it_lies_in_the_ring() {
    let mut world = World::new();
    let listener = world.player("radio");
    let is_plain =
        |world: &World| world.server.slots().look_client(world.conn(listener).unwrap()).unwrap().1.plays_plainly();
    for _ in 0..2 {
        let radio = world.publisher("radio");
        world.send_all(radio, 0, &[AudioHeader, Audio, Audio]);
        assert!(world.heard(listener).last().unwrap().ends_with(" audio"));
        assert!(is_plain(&world), "several tags at once, for ever so many listeners");
        world.hang_up(radio);
        world.settle();
    }
    world.end();
}

/// The player takes nothing from now on, of which the publisher sends more than its line holds.
fn fill_line(world: &mut World, player: usize, publisher: usize) {
    world.heard(player);
    world.slow(player, 0);
    world.send_start(publisher);
    for i in 0..20 {
        world.send(publisher, 1, Inter, 100 + i, 500);
    }
}

#[test]
fn the_end_is_told_after_the_last_frame_even_to_a_player_with_a_full_line() {
    let mut world = World::new();
    world.window = 2000;
    let player = world.player("cam");
    let publisher = world.publisher("cam");
    fill_line(&mut world, player, publisher);
    world.settle();
    world.clients[publisher].close_stream(1);
    world.advance(100);
    world.clients[player].rate = None;
    world.advance(100);
    let heard = world.heard(player);
    assert_eq!(heard.len(), 25, "{heard:?}");
    assert_eq!(heard[23..], ["0.23 inter", "1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn the_end_is_told_to_who_wants_no_sound_although_sound_came_last() {
    let mut world = World::new();
    world.window = 2000;
    let player = world.player("cam");
    world.clients[player].flag(1, "receiveAudio", false);
    let publisher = world.publisher("cam");
    fill_line(&mut world, player, publisher);
    world.send(publisher, 1, Audio, 120, 90);
    world.settle();
    world.clients[publisher].close_stream(1);
    world.advance(100);
    world.clients[player].watch(1).may_skip = true;
    world.clients[player].rate = None;
    world.advance(100);
    let heard = world.heard(player);
    assert_eq!(heard[heard.len() - 2..], ["0.23 inter", "1: Play.UnpublishNotify"]);
    world.end();
}

#[test]
fn audio_alone_starts_at_the_newest_tag_and_video_alone_at_its_key_frame() {
    let mut world = World::new();
    let radio = world.publisher("radio");
    world.send_all(radio, 0, &[AudioHeader, Audio, Audio, Audio]);
    let silent = world.publisher("silent");
    world.send_all(silent, 0, &[VideoHeader, Key, Inter, Inter]);
    let listener = world.player("radio");
    let viewer = world.player("silent");
    assert_eq!(world.heard(listener)[6..], ["0.0 audio header", "0.3 audio"]);
    assert_eq!(world.heard(viewer)[6..], ["1.0 video header", "1.1 key", "1.2 inter", "1.3 inter"]);
    world.send_all(radio, 80, &[Audio]);
    world.send_all(silent, 80, &[Inter]);
    assert_eq!(world.heard(listener), ["0.4 audio"]);
    assert_eq!(world.heard(viewer), ["1.4 inter"]);
    world.end();
}

#[test]
fn a_player_between_headers_and_key_frame_has_sound_at_once_and_waits_for_the_key_frame_alone() {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    world.send_all(publisher, 0, &[VideoHeader, AudioHeader, Inter, Audio]);
    let player = world.player("cam");
    assert_eq!(world.heard(player)[6..], ["0.0 video header", "0.1 audio header", "0.3 audio"]);
    world.send_all(publisher, 80, &[Inter, Audio]);
    assert_eq!(world.heard(player), ["0.5 audio"]);
    world.send_all(publisher, 120, &[Key, Audio, Inter]);
    assert_eq!(world.heard(player), ["0.6 key", "0.7 audio", "0.8 inter"]);
    world.end();
}

#[test]
fn two_plays_on_one_connection_take_turns_at_message_boundaries() {
    let mut world = World::with(Settings { ring_bytes: 512 << 10, ..settings() }, 1);
    world.window = 700;
    let (a, b) = (world.publisher("a"), world.publisher("b"));
    let player = world.join();
    for stream in [1, 2] {
        world.clients[player].create_stream();
        world.clients[player].play(stream, ["a", "b"][stream as usize - 1]);
    }
    world.settle();
    world.net.links[world.clients[player].link].short = 90;
    for i in 0..10 {
        for publisher in [a, b] {
            let kind = if i == 0 { Key } else { Inter };
            world.send(publisher, 1, kind, i * 40, if i % 4 == 0 { 130_000 } else { 700 });
        }
        world.settle();
    }
    let (a, b) = (world.clients[player].watch(1).next, world.clients[player].watch(2).next);
    assert_eq!((a, b), (10, 10));
    world.end();
}

#[test]
fn a_connection_can_publish_one_stream_and_play_another() {
    let mut world = World::new();
    let other = world.publisher("there");
    let both = world.publisher("here");
    world.clients[both].create_stream();
    world.clients[both].play(2, "there");
    world.settle();
    world.heard(both);
    let player = world.player("here");
    world.heard(player);
    for i in 0..5 {
        let kind = if i == 0 { Key } else { Inter };
        world.send(other, 1, kind, i * 40, 3000);
        world.send(both, 1, kind, i * 40, 3000);
        world.settle();
    }
    assert_eq!(world.heard(both), ["0.0 key", "0.1 inter", "0.2 inter", "0.3 inter", "0.4 inter"]);
    assert_eq!(world.heard(player), ["1.0 key", "1.1 inter", "1.2 inter", "1.3 inter", "1.4 inter"]);
    world.end();
}

#[test]
fn pause_stops_the_bytes_and_who_goes_on_does_so_where_it_was() {
    let (mut world, publisher, player) = World::watched();
    world.clients[player].flag(1, "pause", true);
    world.settle();
    world.send_all(publisher, 100, &[Inter, Key, Inter]);
    assert_eq!(world.heard(player), ["1: Pause.Notify"]);
    world.clients[player].watch(1).may_skip = true;
    world.clients[player].flag(1, "pause", false);
    world.settle();
    let heard = world.heard(player);
    assert_eq!(heard, ["1: Unpause.Notify", "0.4 inter", "0.5 key", "0.6 inter"]);
    assert_eq!(world.server.counters().skips, 0, "a pause is not slowness");
    for flag in [true, false] {
        world.clients[player].flag(1, "pause", flag);
        world.settle();
        world.send_all(publisher, 220 - u32::from(flag) * 20, &[Inter]);
    }
    let heard = world.heard(player);
    assert_eq!(
        heard,
        ["1: Pause.Notify", "1: Unpause.Notify", "0.7 inter", "0.8 inter"],
        "nothing was missed or repeated"
    );
    world.end();
}

/// A player that has been sent a part of a frame and takes no more, and its publisher.
fn in_the_middle_of_a_frame() -> (World, usize, usize) {
    let (mut world, publisher, player) = World::stalled(4000);
    world.send_start(publisher);
    world.send(publisher, 1, Inter, 100, 10_000);
    world.settle();
    (world, player, publisher)
}

#[test]
fn pausing_and_going_on_in_the_middle_of_a_frame_completes_the_frame() {
    let (mut world, player, publisher) = in_the_middle_of_a_frame();
    world.send_all(publisher, 200, &[Key, Inter]);
    for flag in [true, false] {
        world.clients[player].flag(1, "pause", flag);
        world.settle();
    }
    world.clients[player].rate = None;
    world.advance(10);
    let heard = world.heard(player);
    assert_eq!(heard[heard.len() - 2..], ["0.5 key", "0.6 inter"], "{heard:?}");
    assert!(heard.contains(&"0.4 inter".to_string()), "{heard:?}");
    world.end();
}

#[test]
fn video_switched_off_and_on_again_resumes_at_a_key_frame_with_headers() {
    let (mut world, publisher, player) = World::watched();
    world.clients[player].watch(1).video_optional = true;
    world.clients[player].flag(1, "receiveVideo", false);
    world.settle();
    world.send_all(publisher, 100, &[Inter, Audio, VideoHeader, Key, Audio]);
    assert_eq!(world.heard(player), ["0.5 audio", "0.8 audio"]);
    world.clients[player].flag(1, "receiveVideo", true);
    world.settle();
    world.send_all(publisher, 200, &[Inter, Audio, Inter]);
    assert_eq!(world.heard(player), ["0.0 metadata", "0.6 video header", "0.2 audio header", "0.10 audio"]);
    world.send_all(publisher, 300, &[Key, Inter]);
    assert_eq!(world.heard(player), ["0.12 key", "0.13 inter"]);
    world.clients[player].watch(1).audio_optional = true;
    world.clients[player].flag(1, "receiveAudio", false);
    world.settle();
    world.send_all(publisher, 400, &[Audio, Inter, Audio]);
    assert_eq!(world.heard(player), ["0.15 inter"]);
    world.clients[player].flag(1, "receiveAudio", true);
    world.settle();
    world.send_all(publisher, 500, &[Audio, Inter]);
    assert_eq!(world.heard(player), ["0.17 audio", "0.18 inter"]);
    world.end();
}

#[test]
fn play2_switches_and_says_so_before_and_when_the_new_stream_begins() {
    let mut world = World::new();
    let (low, high) = (world.publisher("low"), world.publisher("high"));
    world.send_start(low);
    world.send_start(high);
    let player = world.player("low");
    world.heard(player);
    world.clients[player].play2(1, "high");
    world.settle();
    let heard = world.heard(player);
    assert_eq!(heard[0], "1: Play.Transition", "{heard:?}");
    assert!(heard.contains(&"Play.TransitionComplete".to_string()), "{heard:?}");
    assert_eq!(heard.last().unwrap(), "1.3 key");
    assert!(!heard.iter().any(|line| line.contains("Play.Start")), "{heard:?}");
    world.send_all(low, 200, &[Inter]);
    world.send_all(high, 200, &[Inter]);
    assert_eq!(world.heard(player), ["1.4 inter"]);
    world.end();
}

#[test]
fn playing_the_same_name_again_begins_again_whether_or_not_it_is_published() {
    let mut world = World::new();
    let player = world.player("cam");
    world.clients[player].play(1, "cam");
    world.settle();
    assert_eq!(world.server.names().streams().count(), 1, "the name is still waited for");
    world.heard(player);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    assert_eq!(world.heard(player).len(), 5);
    world.clients[player].play(1, "cam");
    world.settle();
    let heard = world.heard(player);
    assert_eq!(heard[1..3], ["1: Play.Reset", "1: Play.Start"]);
    assert_eq!(heard.last().unwrap(), "0.3 key");
    world.end();
}

#[test]
fn closing_in_the_middle_of_a_frame_completes_it_before_anything_else() {
    let mut world = World::new();
    world.window = 4000;
    let (a, b) = (world.publisher("a"), world.publisher("b"));
    let player = world.player("a");
    world.slow(player, 0);
    world.send(a, 1, Key, 0, 20_000);
    world.settle();
    world.send_start(b);
    world.clients[player].close_stream(1);
    world.settle();
    world.clients[player].rate = None;
    world.heard(player);
    world.clients[player].play(1, "b");
    world.advance(10);
    let heard = world.heard(player);
    assert_eq!(heard[0], "0.0 key", "{heard:?}");
    assert_eq!(heard.last().unwrap(), "1.3 key");
    assert_eq!(world.server.names().streams().count(), 2);
    world.end();
}

#[test]
fn a_deleted_net_stream_can_be_created_again_for_ever() {
    let mut world = World::new();
    let client = world.join();
    for round in 0..20 {
        world.clients[client].create_stream();
        if round % 2 == 0 {
            world.clients[client].publish(1, "cam");
        } else {
            world.clients[client].play(1, "cam");
        }
        world.settle();
        assert_eq!(world.heard(client)[0], "created 1", "round {round}");
        world.clients[client].delete_stream(1);
        world.settle();
        world.heard(client);
        assert_eq!(world.server.names().streams().count(), 0);
    }
    world.end();
}

#[test]
fn stream_time_goes_past_the_extended_timestamp_and_past_the_end_of_the_publishers_clock() {
    let mut world = World::with(Settings { ring_bytes: 512 << 10, ..settings() }, 1);
    let publisher = world.publisher("cam");
    let player = world.player("cam");
    let mut time = 0u32.wrapping_sub(9_000_000);
    world.send_all(publisher, time, &[VideoHeader, Key]);
    for _ in 0..3 {
        world.advance(8_000_000);
        time = time.wrapping_add(8_000_000);
        world.send(publisher, 1, Key, time, 130_000);
        world.send(publisher, 1, Inter, time.wrapping_add(40), 300);
        world.settle();
    }
    world.check_delivered();
    assert_eq!(world.clients[player].watch(1).next, 8);
    let (second, joiner) = (world.join(), world.player("cam"));
    world.clients[second].create_stream();
    world.clients[second].create_stream();
    world.clients[second].play(2, "cam");
    world.send_all(publisher, time.wrapping_add(80), &[Inter, Key]);
    assert_eq!(world.clients[joiner].watch(1).next, 10);
    assert_eq!(world.clients[second].watch(2).next, 10);
    world.end();
}

#[test]
fn audio_switched_on_again_has_the_header_that_came_meanwhile() {
    let (mut world, publisher, player) = World::watched();
    world.clients[player].watch(1).audio_optional = true;
    world.clients[player].flag(1, "receiveAudio", false);
    world.settle();
    world.send_all(publisher, 100, &[Audio, AudioHeader, Audio]);
    world.clients[player].flag(1, "receiveAudio", true);
    world.settle();
    world.send_all(publisher, 200, &[Audio, Inter]);
    let heard = world.heard(player);
    assert_eq!(heard, ["0.5 audio header", "0.7 audio", "0.8 inter"]);
    world.end();
}

#[test]
fn what_is_said_behind_a_play_is_of_that_even_if_what_played_before_ends_meanwhile() {
    let mut world = World::with(Settings { streams: 2, ..settings() }, 1);
    let waiting: Vec<usize> = ["a", "b", "c", "d", "e", "f"].map(|name| world.player(name)).into();
    let (first, second) = (world.publisher("x"), world.publisher("y"));
    world.player("x");
    world.hang_up(first);
    world.films.thread.stalled_until = world.now + 100;
    let player = waiting[0];
    world.heard(player);
    world.clients[player].play(1, "b");
    world.clients[player].watch(1).audio_optional = true;
    world.clients[player].flag(1, "receiveAudio", false);
    world.settle();
    // Its name's place is needed for another.
    world.publisher("z");
    assert_eq!(world.heard(player), ["1: Play.Stop"]);
    world.advance(100);
    assert_eq!(world.heard(player)[..3], ["begin 1", "1: Play.Reset", "1: Play.Start"]);
    world.hang_up(second);
    let publisher = world.publisher("b");
    world.send_start(publisher);
    world.heard(player);
    world.send_all(publisher, 100, &[Audio, Inter, Audio, Inter]);
    let heard: Vec<String> = world.heard(player).iter().map(|line| line[2..].to_owned()).collect();
    assert_eq!(heard, ["5 inter", "7 inter"]);
    world.end();
}

#[test]
fn headers_that_change_while_a_player_joins_or_resumes_are_never_used_for_frames_before_them() {
    for resumes in [false, true] {
        let mut world = World::new();
        world.window = 1000;
        let publisher = world.publisher("cam");
        world.send_start(publisher);
        let player = world.player("cam");
        // The answers and the cached headers do not fit the line, so that it is not done when the headers change.
        world.slow(player, 0);
        world.send(publisher, 1, Inter, 90, 3000);
        world.settle();
        if resumes {
            world.clients[player].watch(1).video_optional = true;
            for flag in [false, true] {
                world.clients[player].flag(1, "receiveVideo", flag);
            }
        } else {
            world.clients[player].play(1, "cam");
        }
        world.settle();
        world.send_all(publisher, 100, &[Inter, Key, VideoHeader, Inter, AudioHeader, Audio, Inter]);
        world.send_all(publisher, 300, &[Key, Audio, Inter]);
        world.clients[player].rate = None;
        world.advance(10);
        let heard = world.heard(player);
        assert_eq!(world.clients[player].watch(1).next, 15, "{heard:?}");
        world.end();
    }
}

#[test]
fn without_the_gop_cache_a_player_has_sound_at_once_and_a_picture_from_the_next_key_frame_on() {
    let mut world = World::with(Settings { gop_cache: false, ..settings() }, 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let player = world.player("cam");
    world.heard(player);
    world.send_all(publisher, 100, &[Inter]);
    assert_eq!(world.heard(player), [""; 0]);
    world.send_all(publisher, 120, &[Audio]);
    world.send_all(publisher, 140, &[Inter, Audio]);
    let expected = ["0.0 metadata", "0.1 video header", "0.2 audio header", "0.5 audio", "0.7 audio"];
    assert_eq!(world.heard(player), expected);
    world.send_all(publisher, 200, &[Key, Inter]);
    assert_eq!(world.heard(player), ["0.8 key", "0.9 inter"]);
    world.end();
}

#[test]
fn seek_to_the_end_of_a_live_stream_goes_on_from_headers_and_key_frame_and_says_where_that_is() {
    let (mut world, publisher) = World::live();
    world.send_all(publisher, 200, &[Key, Inter, Audio]);
    let player = world.player("cam");
    let joined = ["0.0 metadata", "0.1 video header", "0.2 audio header", "0.4 key", "0.5 inter", "0.6 audio"];
    assert_eq!(world.heard(player)[6..], joined);
    for to in [1000.0, 0.0] {
        world.clients[player].command(1, "seek", |amf| {
            amf.null().unwrap();
            amf.number(to).unwrap();
        });
        world.settle();
        let heard = world.heard(player);
        assert_eq!(heard[0], "1: Seek.Notify");
        assert_eq!(heard[1..], joined);
        assert_eq!(world.clients[player].description, "Seeking 180 (stream ID: 1).");
    }
    world.send_all(publisher, 260, &[Inter]);
    assert_eq!(world.heard(player), ["0.7 inter"]);
    // While it is paused, only the answer comes.
    world.clients[player].flag(1, "pause", true);
    world.clients[player].command(1, "seek", |amf| amf.null().unwrap());
    world.settle();
    assert_eq!(world.heard(player), ["1: Pause.Notify", "1: Seek.Notify"]);
    world.clients[player].flag(1, "pause", false);
    world.settle();
    assert_eq!(world.heard(player)[..4], ["1: Unpause.Notify", joined[0], joined[1], joined[2]]);
    // Who waits for a publisher goes on waiting.
    world.hang_up(publisher);
    world.advance(60_000);
    world.heard(player);
    world.clients[player].command(1, "seek", |amf| amf.null().unwrap());
    world.settle();
    assert_eq!(world.heard(player), ["1: Seek.Notify"]);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    assert_eq!(world.heard(player).last().unwrap(), "1.3 key");
    world.end();
}

/// A stream of four pictures a second and as much sound, with a key frame each second, for so long from then on.
fn goes_on(world: &mut World, publisher: usize, from_ms: u32, ms: u32) {
    for ms in (from_ms..from_ms + ms).step_by(250) {
        world.send(publisher, 1, if ms.is_multiple_of(1000) { Key } else { Inter }, ms, 900);
        world.send(publisher, 1, Audio, ms, 100);
        world.advance(250);
    }
}

/// The frames that a player has been sent since, by their number.
fn frames(world: &mut World, player: usize) -> Vec<u32> {
    let heard = world.heard(player);
    let frames =
        heard.iter().filter(|word| word.ends_with("key") || word.ends_with("inter") || word.ends_with("audio"));
    frames.map(|word| word[2..].split(' ').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_live_stream_is_gone_back_in_played_as_fast_as_it_came_and_live_again_at_its_end() {
    let (mut world, publisher, player) = World::watched();
    goes_on(&mut world, publisher, 1000, 10_000);
    let live = frames(&mut world, player);
    world.clients[player].watch(1).may_skip = true;
    world.clients[player].seek(1, 4600.0);
    world.settle();
    assert_eq!(world.clients[player].description, "Seeking 3980 (stream ID: 1).");
    let heard = world.heard(player);
    assert_eq!(heard[..4], ["1: Seek.Notify", "0.0 metadata", "0.1 video header", "0.2 audio header"]);
    assert!(heard[4].ends_with("key"), "{heard:?}");
    let sent_at_once = heard.len() - 4;
    assert!((12..=16).contains(&sent_at_once), "from the key frame on, and a second beyond what was wanted: {heard:?}");
    goes_on(&mut world, publisher, 11_000, 5000);
    let since = frames(&mut world, player);
    assert!((38..=40).contains(&since.len()), "as fast as it came: {since:?}");
    assert!(since.is_sorted() && *since.last().unwrap() < *live.last().unwrap() + 10, "behind on purpose: {since:?}");
    assert_eq!((world.server.counters().skips, world.closed(CloseReason::TooSlow)), (0, 0));
    // On pause it falls behind further, and goes on with the next frame.
    world.clients[player].flag(1, "pause", true);
    goes_on(&mut world, publisher, 16_000, 2000);
    world.clients[player].flag(1, "pause", false);
    goes_on(&mut world, publisher, 18_000, 250);
    assert_eq!(frames(&mut world, player).first(), Some(&(since.last().unwrap() + 1)));
    world.clients[player].seek(1, 60_000.0);
    world.settle();
    let newest = frames(&mut world, player);
    assert_eq!(newest.len(), 2, "the newest key frame and its sound");
    // The rest of a publish that is over comes at once.
    world.clients[player].seek(1, 10_000.0);
    world.settle();
    world.heard(player);
    world.hang_up(publisher);
    world.advance(300);
    assert_eq!(frames(&mut world, player).last(), newest.last(), "all up to the end");
    world.end();
}

#[test]
fn seek_in_the_middle_of_a_frame_completes_the_frame() {
    let (mut world, player, _) = in_the_middle_of_a_frame();
    world.clients[player].command(1, "seek", |amf| amf.null().unwrap());
    world.settle();
    world.clients[player].rate = None;
    world.advance(10);
    let heard = world.heard(player);
    let end =
        ["0.4 inter", "1: Seek.Notify", "0.0 metadata", "0.1 video header", "0.2 audio header", "0.3 key", "0.4 inter"];
    assert_eq!(heard[heard.len() - 7..], end, "{heard:?}");
    world.end();
}

#[test]
fn who_wants_no_sound_and_begins_with_it_gets_the_data_behind_it_and_the_picture_from_the_next_key_frame() {
    let mut world = World::with(Settings { gop_cache: false, ..settings() }, 1);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let player = world.player("cam");
    world.clients[player].watch(1).audio_optional = true;
    world.clients[player].flag(1, "receiveAudio", false);
    world.settle();
    world.heard(player);
    world.send_all(publisher, 40, &[Inter, Audio, Inter, Cue, Inter]);
    assert_eq!(world.heard(player), ["0.0 metadata", "0.1 video header", "0.2 audio header", "0.7 cue"]);
    world.send_all(publisher, 80, &[Audio, Key, Inter, Cue]);
    assert_eq!(world.heard(player), ["0.10 key", "0.11 inter", "0.12 cue"]);
    world.end();
}

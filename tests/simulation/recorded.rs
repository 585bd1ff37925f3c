//! Recorded streams: what players are told and sent, in which order and when.

use rill::live::settings::Settings;

use crate::sim::Random;
use crate::sim::client::Doing;
use crate::sim::films::{FilmTag, flv};
use crate::sim::world::{World, scripted, settings};

/// A film of pictures and sound, 25 of each in a second, with a key frame each second.
#[derive(Clone)]
struct Film {
    frames: Vec<FilmTag>,
}

impl Film {
    /// So many seconds, with key frames of so many bytes.
    fn new(seconds: u32, key_bytes: usize) -> Film {
        let frame = |ms: u32| match (ms % 40, ms % 1000) {
            (_, 0) => FilmTag::picture(ms, true, key_bytes),
            (0, _) => FilmTag::picture(ms, false, 400),
            _ => FilmTag::sound(ms, 100),
        };
        Film { frames: (0..seconds * 1000).step_by(20).map(frame).collect() }
    }

    fn file(&self) -> Vec<u8> {
        flv(&[&FilmTag::headers()[..], &self.frames].concat())
    }
}

/// A world with the film `film.flv` and a client of `vod` that has created a net stream.
fn world_with(film: &Film) -> (World, usize) {
    world_of(settings(), film)
}

fn world_of(settings: Settings, film: &Film) -> (World, usize) {
    let mut world = World::with(settings, 1);
    world.films.put("vod/film.flv", film.file());
    let c = viewer(&mut world);
    (world, c)
}

fn viewer(world: &mut World) -> usize {
    viewer_of(world, "vod")
}

fn viewer_of(world: &mut World, app: &str) -> usize {
    let c = world.join_at(app);
    world.clients[c].create_stream();
    world.settle();
    world.heard(c);
    c
}

fn film(seconds: u32) -> Film {
    Film::new(seconds, 3000)
}

/// A frame as it is sent: type, time, and a hash of its bytes.
type Seen = (u8, u32, u32);

fn seen(type_id: u8, ms: u32, payload: &[u8]) -> Seen {
    let hash = payload.iter().fold(0x811C_9DC5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (type_id, ms, hash)
}

/// What is sent of frames, if the time of the film `start_ms` is that of the player `base_ms`.
fn sent(frames: &[FilmTag], start_ms: u32, base_ms: u32) -> Vec<Seen> {
    let time = |frame: &FilmTag| frame.time_ms.saturating_sub(start_ms) + base_ms;
    frames.iter().map(|frame| seen(frame.message_type, time(frame), &frame.payload)).collect()
}

/// The media of what was viewed, without metadata and headers.
fn media(world: &mut World, c: usize) -> Vec<Seen> {
    let viewed = world.clients[c].viewed(1);
    let media = viewed.iter().filter(|(type_id, _, payload)| *type_id != 18 && payload[1] != 0);
    media.map(|(type_id, ms, payload)| seen(*type_id, *ms, payload)).collect()
}

const BEGINS: [&str; 5] = ["recorded 1", "begin 1", "1: Play.Reset", "1: Play.Start", "sample access"];
const ENDS: [&str; 3] = ["Play.Complete", "eof 1", "1: Play.Stop"];

#[test]
fn a_film_begins_with_its_headers_and_ends_behind_its_last_frame() {
    let (mut world, c) = world_with(&film(3));
    world.clients[c].play(1, "film.flv");
    world.advance(10_000);
    let heard = world.heard(c);
    assert_eq!(heard[..5], BEGINS);
    assert_eq!(heard[5..9], ["metadata 0", "video header 0", "audio header 0", "key 0"]);
    assert_eq!(heard[heard.len() - 4..], [&["audio 2980"][..], &ENDS].concat());
    let frames = film(3).frames;
    assert_eq!(media(&mut world, c), sent(&frames, 0, 0));
    assert_eq!(world.films.card().open, 1, "the client may go back");
    world.clients[c].close_stream(1);
    world.settle();
    assert_eq!(world.films.card().open, 0);
    world.end();
}

#[test]
fn a_burst_fills_the_buffer_and_then_it_goes_as_fast_as_it_is_played() {
    let (mut world, c) = world_with(&film(60));
    world.clients[c].buffer(1, 4000);
    world.clients[c].play(1, "film.flv");
    world.settle();
    let last = |world: &mut World| media(world, c).last().unwrap().1;
    let ahead = 4000 + 1000;
    assert!((ahead..=ahead + 1000).contains(&last(&mut world)));
    for second in 1..20_u32 {
        world.advance(1000);
        let ahead = ahead + second * 1000;
        let last = last(&mut world);
        assert!((ahead..=ahead + 1000).contains(&last), "after {second} s: {last}");
    }
    // A greater buffer is filled at once.
    world.clients[c].buffer(1, 20_000);
    world.advance(20);
    let last = last(&mut world);
    assert!((40_000..=41_100).contains(&last), "{last}");
}

#[test]
fn a_film_that_is_wanted_at_once_is_sent_to_its_end_though_turns_end_within_its_messages() {
    // Blocks end within messages: each has no room for a picture.
    let film = Film::new(6, 100_000);
    let (mut world, c) = world_with(&film);
    // The client takes whatever there is: nothing but the server's own turns holds it up.
    let link = world.clients[c].link;
    world.net.links[link].window = 1 << 20;
    world.clients[c].buffer(1, 36_000_000);
    world.clients[c].play(1, "film.flv");
    world.advance(100);
    let heard = world.heard(c);
    assert_eq!(heard[heard.len() - 3..], ENDS);
    assert_eq!(media(&mut world, c), sent(&film.frames, 0, 0));
    world.end();
}

#[test]
fn a_film_whose_frames_lie_across_blocks_goes_as_fast_as_it_is_played() {
    let mut world = World::with(settings(), 1);
    world.films.put("vod/film.flv", flv(&FilmTag::film(60)));
    let c = viewer(&mut world);
    world.clients[c].buffer(1, 4000);
    world.clients[c].play(1, "film.flv");
    for second in 0..20 {
        world.settle();
        let last = media(&mut world, c).last().unwrap().1;
        let ahead = 5000 + second * 1000;
        assert!((ahead - 100..=ahead + 1000).contains(&last), "after {second} s: {last}");
        world.advance(1000);
    }
}

#[test]
fn a_part_of_a_film_has_times_of_its_own() {
    let (mut world, c) = world_with(&film(20));
    world.clients[c].play_part(1, "film.flv", 4500.0, 2000.0, true);
    world.advance(10_000);
    let frames = film(20).frames;
    let (from, to) = (4000 / 20, 6500 / 20);
    assert_eq!(media(&mut world, c), sent(&frames[from..to], 4500, 0), "what lies before the start has its time");
    let heard = world.heard(c);
    assert_eq!(heard[heard.len() - 4..], [&["inter 1980"][..], &ENDS].concat());
}

#[test]
fn of_no_length_is_one_picture_and_behind_the_end_is_nothing() {
    let (mut world, c) = world_with(&film(5));
    world.clients[c].play_part(1, "film.flv", 2500.0, 0.0, true);
    world.advance(1000);
    assert_eq!(media(&mut world, c), sent(&film(5).frames[100..101], 2500, 0));
    assert_eq!(world.heard(c)[9..], ENDS);
    world.clients[c].play_part(1, "film.flv", 5000.0, -1.0, true);
    world.advance(1000);
    assert_eq!(world.heard(c), [&BEGINS[..], &ENDS].concat());
}

#[test]
fn a_seek_goes_on_from_the_key_frame_before_with_true_times_and_headers() {
    let (mut world, c) = world_with(&film(60));
    world.clients[c].play(1, "film.flv");
    world.advance(1000);
    world.heard(c);
    media(&mut world, c);
    world.clients[c].seek(1, 41_300.0);
    world.settle();
    let heard = world.heard(c);
    let seeks = ["eof 1", "recorded 1", "begin 1", "1: Seek.Notify", "1: Play.Start", "sample access", "metadata 0"];
    assert_eq!(heard[..7], seeks);
    assert_eq!(heard[7..10], ["video header 41000", "audio header 41000", "key 41000"]);
    let viewed = media(&mut world, c);
    assert_eq!(viewed[..], sent(&film(60).frames[2050..2050 + viewed.len()], 0, 0));
    assert!((43_300..=44_300).contains(&viewed.last().unwrap().1), "a burst from where it wanted to be");
    // Beyond the end is the last key frame, and then the end, once.
    world.clients[c].seek(1, 100_000.0);
    world.advance(5000);
    assert_eq!(media(&mut world, c), sent(&film(60).frames[2950..], 0, 0));
    assert_eq!(world.heard(c).iter().filter(|line| *line == "1: Play.Stop").count(), 1);
    // And back from there.
    world.clients[c].seek(1, 0.0);
    world.settle();
    assert_eq!(media(&mut world, c)[0].1, 0);
}

#[test]
fn nothing_that_was_queued_before_a_seek_follows_it_and_a_message_is_sent_to_its_end() {
    // Key frames of several blocks, on a line that takes a little at a time.
    let long = Film::new(30, 300_000);
    for stop in [20, 50, 90, 200, 400] {
        let (mut world, c) = world_with(&long);
        world.slow(c, 700);
        world.clients[c].play(1, "film.flv");
        world.advance(stop);
        let before = if world.clients[c].media_bytes > 0 { media(&mut world, c) } else { Vec::new() };
        world.clients[c].seek(1, 20_000.0);
        world.clients[c].seek(1, 10_500.0);
        world.advance(3000);
        let heard = world.heard(c);
        assert_eq!(heard.iter().filter(|line| *line == "1: Seek.Notify").count(), 2, "{stop}");
        let last = heard.iter().rposition(|line| line == "1: Seek.Notify").unwrap();
        let behind: Vec<_> = heard[last..].iter().filter(|line| line.starts_with("key")).collect();
        assert_eq!(behind[0], "key 10000", "{stop}");
        let viewed = media(&mut world, c);
        let at = viewed.iter().position(|frame| frame.1 == 10_000).unwrap();
        let all = [&before[..], &viewed[..at]].concat();
        assert_eq!(all, sent(&long.frames[..all.len()], 0, 0), "{stop}");
        assert_eq!(viewed[at..], sent(&long.frames[500..500 + viewed.len() - at], 0, 0), "{stop}");
        world.hang_up(c);
        world.end();
    }
}

#[test]
fn a_pause_stops_and_goes_on_where_the_client_is() {
    let (mut world, c) = world_with(&film(60));
    world.clients[c].play(1, "film.flv");
    world.advance(2000);
    world.heard(c);
    media(&mut world, c);
    world.clients[c].pause(1, true, 2000.0);
    world.settle();
    assert_eq!(world.heard(c), ["eof 1", "1: Pause.Notify"]);
    world.advance(30_000);
    assert_eq!(world.heard(c), [""; 0]);
    world.clients[c].pause(1, false, 2000.0);
    world.settle();
    let heard = world.heard(c);
    let goes_on = ["recorded 1", "begin 1", "1: Unpause.Notify", "1: Play.Start", "sample access", "metadata 0"];
    assert_eq!(heard[..6], goes_on);
    assert_eq!(heard[6..9], ["video header 2000", "audio header 2000", "key 2000"]);
    let viewed = media(&mut world, c);
    assert_eq!(viewed[..], sent(&film(60).frames[100..100 + viewed.len()], 0, 0));
}

#[test]
fn a_seek_on_pause_shows_a_picture_and_stays_on_pause() {
    let (mut world, c) = world_with(&film(60));
    world.clients[c].play(1, "film.flv");
    world.advance(2000);
    world.clients[c].pause(1, true, 2000.0);
    world.settle();
    world.heard(c);
    media(&mut world, c);
    world.clients[c].seek(1, 30_700.0);
    world.advance(20_000);
    assert_eq!(media(&mut world, c), sent(&film(60).frames[1500..1501], 0, 0));
    assert!(!world.heard(c).contains(&"Play.Complete".to_owned()), "a picture is no end");
    world.clients[c].pause(1, false, 30_700.0);
    world.settle();
    let viewed = media(&mut world, c);
    assert_eq!(viewed[..], sent(&film(60).frames[1500..1500 + viewed.len()], 0, 0));
}

#[test]
fn a_playlist_goes_on_in_time_and_ends_once() {
    let (mut world, c) = world_with(&film(3));
    world.films.put("vod/b", film(2).file());
    let client = &mut world.clients[c];
    client.play(1, "film.flv");
    client.play_part(1, "nothing", 0.0, -1.0, false);
    client.play_part(1, "b", 1000.0, -1.0, false);
    world.advance(10_000);
    let first = film(3).frames;
    let second = film(2).frames;
    let last = 2980;
    let expected = [sent(&first, 0, 0), sent(&second[50..], 1000, last)].concat();
    assert_eq!(media(&mut world, c), expected);
    let heard = world.heard(c);
    let told: Vec<&str> = heard.iter().map(String::as_str).filter(|line| line.contains("Play.")).collect();
    let all =
        ["1: Play.Reset", "1: Play.Start", "1: Play.StreamNotFound", "Play.Switch", "1: Play.Start", "Play.Complete"];
    assert_eq!(told, [&all[..], &["1: Play.Stop"]].concat());
    // One more begins at once.
    world.clients[c].play_part(1, "b", 0.0, -1.0, false);
    world.advance(1000);
    let heard = world.heard(c);
    assert_eq!(heard[..3], ["Play.Switch", "1: Play.Start", "sample access"]);
}

#[test]
fn play2_goes_on_in_another_film_at_its_next_key_frame_and_nothing_is_missing_or_twice() {
    for stall_ms in [0, 1500] {
        let (mut world, c) = world_with(&film(20));
        let other = Film::new(20, 5000);
        world.films.put("vod/other.flv", other.file());
        world.clients[c].play(1, "film.flv");
        world.advance(3300);
        assert_eq!(world.heard(c)[..5], BEGINS);
        world.films.thread.stalled_until = world.now + stall_ms;
        world.clients[c].play2_recorded(1, "other.flv");
        world.advance(stall_ms + 100);
        assert!(world.heard(c).contains(&"1: Play.Transition".to_owned()), "at once");
        world.advance(30_000);
        let viewed = media(&mut world, c);
        let (first, second) = (sent(&film(20).frames, 0, 0), sent(&other.frames, 0, 0));
        let from = viewed.iter().zip(&first).position(|(viewed, first)| viewed != first).unwrap();
        assert!(viewed[from].1.is_multiple_of(1000) && viewed[from].1 < 12_000, "{:?}", viewed[from]);
        assert_eq!((&viewed[..from], &viewed[from..]), (&first[..from], &second[from..]));
        let heard = world.heard(c);
        let told = |what: &str| heard.iter().filter(|heard| heard.contains(what)).count();
        assert_eq!((told("Play.TransitionComplete"), told("Play.Complete")), (1, 1), "{heard:?}");
        assert_eq!(heard[heard.len() - 3..], ENDS);
        world.hang_up(c);
        world.end();
    }
}

#[test]
fn play2_to_a_film_without_a_key_frame_ahead_begins_with_the_last_and_a_seek_does_not_wait_for_one() {
    let (mut world, c) = world_with(&film(20));
    world.films.put("vod/other.flv", Film::new(4, 5000).file());
    world.clients[c].play(1, "film.flv");
    world.advance(3300);
    world.clients[c].play2_recorded(1, "other.flv");
    world.advance(5000);
    let viewed = media(&mut world, c);
    assert_eq!(viewed.last(), sent(&Film::new(4, 5000).frames, 0, 0).last());
    assert_eq!(world.heard(c).last().unwrap(), ENDS[2]);
    // While the disk looks for the key frame.
    world.clients[c].play(1, "film.flv");
    world.advance(3300);
    media(&mut world, c);
    world.clients[c].play2_recorded(1, "other.flv");
    world.settle();
    world.films.thread.stalled_until = world.now + 500;
    world.clients[c].seek(1, 1000.0);
    world.advance(1000);
    let viewed = media(&mut world, c);
    assert_eq!(viewed.last(), sent(&Film::new(4, 5000).frames, 0, 0).last());
    world.hang_up(c);
    world.end();
    assert_eq!(world.films.card().open, 0);
}

#[test]
fn what_cannot_be_played_is_answered_with_the_reason() {
    let nothing = flv(&[FilmTag { message_type: 9, time_ms: 0, payload: vec![0x1F, 1, 2, 3] }]);
    let opus = |at: u8, time_ms: u32| FilmTag {
        message_type: 8,
        time_ms,
        payload: [&[0x90 | at][..], b"Opus", b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0"].concat(),
    };
    let enhanced = flv(&[opus(0, 0), opus(1, 0), opus(1, 20), opus(1, 40)]);
    let cases: [(Option<Vec<u8>>, bool, &str); 5] = [
        (None, false, "1: Play.StreamNotFound"),
        (Some(film(1).file()), true, "1: Play.Failed"),
        (Some(b"no film at all, but a text".to_vec()), false, "1: Play.FileStructureInvalid"),
        (Some(nothing), false, "1: Play.NoSupportedTrackFound"),
        // The client has not said that it knows Enhanced RTMP.
        (Some(enhanced), false, "1: Play.NoSupportedTrackFound"),
    ];
    for (file, fails, answer) in cases {
        let mut world = World::new();
        if let Some(file) = file {
            world.films.put("vod/film.flv", file);
        }
        world.films.card().fails = fails.then_some((0, u64::MAX));
        let c = viewer(&mut world);
        world.clients[c].play(1, "film.flv");
        world.settle();
        assert_eq!(world.heard(c), [answer]);
        assert_eq!(world.films.card().open, 0);
        // The net stream can be used for another.
        world.films.card().fails = None;
        world.films.put("vod/film.flv", film(1).file());
        world.clients[c].play(1, "film.flv");
        world.settle();
        assert_eq!(world.heard(c)[..5], BEGINS);
    }
}

#[test]
fn a_live_name_wins_over_a_file_and_a_start_within_it_does_not() {
    let mut world = World::with(settings(), 1);
    world.films.put("live/cam", film(5).file());
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    for start in [-2000.0, -2.0, -1.0, 0.0] {
        let c = world.join();
        world.clients[c].create_stream();
        world.clients[c].play_from(1, "cam", start);
        world.settle();
        assert!(world.heard(c).contains(&"1: Play.PublishNotify".to_owned()), "{start}");
        world.hang_up(c);
    }
    let c = world.join();
    world.clients[c].create_stream();
    world.clients[c].play_from(1, "cam", 1000.0);
    world.settle();
    assert!(world.heard(c).contains(&"recorded 1".to_owned()));
    // Without a publisher the file is what is played.
    world.hang_up(publisher);
    world.advance(100);
    for start in [-2000.0, 0.0] {
        let c = world.join();
        world.clients[c].create_stream();
        world.clients[c].play_from(1, "cam", start);
        world.settle();
        assert!(world.heard(c).contains(&"recorded 1".to_owned()), "{start}");
        world.hang_up(c);
        world.settle();
    }
}

#[test]
fn who_would_wait_for_a_publisher_is_not_kept_from_one_by_a_disk_that_stalls() {
    let mut world = World::with(settings(), 1);
    world.films.thread.stalled_until = u64::MAX;
    let c = world.player("cam");
    assert_eq!(world.heard(c), ["created 1"]);
    world.advance(1500);
    assert_eq!(world.heard(c)[..3], ["begin 1", "1: Play.Reset", "1: Play.Start"]);
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    world.advance(100);
    assert!(world.heard(c).contains(&"1: Play.PublishNotify".to_owned()));
    world.films.thread.stalled_until = 0;
    world.advance(100);
    assert_eq!(world.films.card().open, 0);
}

#[test]
fn a_disk_that_stalls_for_seven_seconds_makes_a_player_late_and_loses_nothing() {
    let (mut world, c) = world_with(&film(30));
    world.clients[c].play(1, "film.flv");
    world.advance(5000);
    world.films.thread.stalled_until = u64::MAX;
    world.advance(7000);
    world.films.thread.stalled_until = 0;
    world.advance(30_000);
    assert_eq!(media(&mut world, c), sent(&film(30).frames, 0, 0));
    assert!(!world.heard(c).contains(&"1: Play.InsufficientBW".to_owned()), "the client is not slow");
}

#[test]
fn a_disk_that_fails_ends_the_play_with_the_reason() {
    let (mut world, c) = world_with(&film(30));
    world.clients[c].play(1, "film.flv");
    world.advance(5000);
    world.films.card().fails = Some((0, u64::MAX));
    world.advance(10_000);
    assert_eq!(world.heard(c).last().unwrap(), "1: Play.Failed");
    let viewed = media(&mut world, c);
    assert_eq!(viewed[..], sent(&film(30).frames[..viewed.len()], 0, 0));
    // In the middle of a message it is the same behind it.
    let (mut world, c) = world_with(&Film::new(30, 900_000));
    world.slow(c, 1000);
    world.clients[c].play(1, "film.flv");
    world.advance(100);
    world.films.card().fails = Some((0, u64::MAX));
    world.advance(10_000);
    assert_eq!(world.heard(c)[8..], ["key 0", "1: Play.Failed"]);
    world.hang_up(c);
    world.end();
}

#[test]
fn who_is_slow_is_late_and_told_so_once_and_misses_nothing() {
    let (mut world, c) = world_with(&film(20));
    // A fifth of what it takes.
    world.window = 4096;
    let slow = viewer(&mut world);
    world.slow(slow, 4);
    world.clients[slow].play(1, "film.flv");
    world.advance(150_000);
    assert_eq!(media(&mut world, slow), sent(&film(20).frames, 0, 0));
    let heard = world.heard(slow);
    assert_eq!(heard.iter().filter(|line| *line == "1: Play.InsufficientBW").count(), 1);
    assert_eq!(world.heard(c), [""; 0]);
}

#[test]
fn a_client_that_wants_more_than_it_may_have_is_told_when_there_is_no_more() {
    let (mut world, c) = world_with(&film(120));
    world.clients[c].buffer(1, 36_000_000);
    world.clients[c].play(1, "film.flv");
    world.settle();
    let heard = world.heard(c);
    assert_eq!(heard.last().unwrap(), "full 1");
    let last = media(&mut world, c).last().unwrap().1;
    assert!((30_000..=31_000).contains(&last), "{last}");
    // librtmp pauses and goes on at once, which is how it gets the next buffer.
    let mut passes = 1;
    let mut at = last;
    while !world.clients[c].log.contains(&"1: Play.Stop".to_owned()) {
        world.clients[c].pause(1, true, at.into());
        world.clients[c].pause(1, false, at.into());
        world.settle();
        at = media(&mut world, c).last().unwrap().1;
        passes += 1;
        assert!(passes < 10);
    }
    assert_eq!(at, 119_980);
    assert_eq!(world.now, 0, "in no time");
}

#[test]
fn a_buffer_counts_whenever_the_client_says_it() {
    // With the request, while the file is looked for, before its first block is there, and while it plays.
    for (said, late_ms) in [(0, 0), (0, 10), (5, 10), (15, 10), (25, 10), (1000, 0), (1007, 3)] {
        let (mut world, c) = world_with(&film(120));
        world.films.thread.late_ms = late_ms;
        world.clients[c].buffer(0, 300);
        world.clients[c].play_from(1, "film.flv", 0.0);
        if said > 0 {
            world.advance(said);
        }
        world.clients[c].buffer(1, 36_000_000);
        world.advance(1000);
        let heard = world.heard(c);
        let last = media(&mut world, c).last().unwrap().1;
        assert!((30_000..=33_000).contains(&last), "said after {said} ms, disk {late_ms} ms: {last}");
        assert!(heard.contains(&"full 1".to_owned()), "said after {said} ms");
    }
}

#[test]
fn who_stops_reading_is_kept_until_another_needs_the_place_or_for_ten_minutes() {
    let few = Settings { recorded_players: 1, ..settings() };
    let (mut world, c) = world_of(few.clone(), &film(600));
    world.slow(c, 0);
    world.clients[c].play(1, "film.flv");
    world.advance(50_000);
    let second = viewer(&mut world);
    world.clients[second].play(1, "film.flv");
    world.settle();
    assert_eq!(world.heard(second), ["1: Play.Failed"]);
    assert!(world.clients[second].description.contains("limits.recorded_players"));
    world.advance(20_000);
    assert!(!world.clients[c].ended);
    world.clients[second].play(1, "film.flv");
    world.settle();
    assert_eq!(world.heard(second)[..5], BEGINS);
    world.hang_up(c);
    world.hang_up(second);
    world.end();
    // One who is on pause goes on after nine minutes, and is told that it is over after ten.
    let (mut world, c) = world_of(few, &film(600));
    world.clients[c].play(1, "film.flv");
    world.advance(1000);
    for minutes in [9, 11] {
        world.clients[c].pause(1, true, 1000.0);
        world.settle();
        world.heard(c);
        world.advance(minutes * 60_000);
        let over = world.heard(c).contains(&"1: Play.Stop".to_owned());
        assert_eq!(over, minutes == 11);
        world.clients[c].pause(1, false, 1000.0);
        world.settle();
        assert_eq!(world.heard(c).contains(&"1: Unpause.Notify".to_owned()), minutes == 9);
    }
    assert_eq!(world.films.card().open, 0);
}

#[test]
fn a_film_that_is_paused_by_not_reading_goes_on_where_it_was() {
    let (mut world, c) = world_with(&film(60));
    world.clients[c].play(1, "film.flv");
    world.advance(2000);
    world.slow(c, 0);
    world.advance(300_000);
    assert!(!world.clients[c].ended);
    world.clients[c].rate = None;
    world.advance(60_000);
    assert_eq!(media(&mut world, c), sent(&film(60).frames, 0, 0));
    assert!(!world.heard(c).contains(&"1: Play.InsufficientBW".to_owned()));
}

#[test]
fn a_storm_of_plays_leaves_nothing_behind() {
    let (mut world, c) = world_with(&film(60));
    for round in 0..200 {
        world.clients[c].play(1, "film.flv");
        world.advance(round % 7);
        if round % 3 == 0 {
            world.clients[c].close_stream(1);
        }
    }
    world.advance(100);
    assert!(world.films.card().open <= 1);
    world.hang_up(c);
    world.end();
    assert_eq!(world.films.card().open, 0);
}

#[test]
fn the_length_of_a_film_is_told_and_that_of_what_is_live_is_not_known() {
    let (mut world, c) = world_with(&film(7));
    let asked = |world: &mut World, c: usize, name: &str| {
        world.clients[c].tape = Some(Vec::new());
        world.clients[c].command(0, "getStreamLength", |amf| {
            amf.null().unwrap();
            amf.string(name).unwrap();
        });
        world.settle();
        let tape = world.clients[c].tape.take().unwrap();
        let body = &tape[0].2;
        f64::from_be_bytes(body[body.len() - 8..].try_into().unwrap())
    };
    assert_eq!(asked(&mut world, c, "film.flv"), 6.98);
    assert_eq!(asked(&mut world, c, "nothing"), 0.0);
    world.films.put("live/cam", film(5).file());
    let publisher = world.publisher("cam");
    world.send_start(publisher);
    let live = world.join();
    assert_eq!(asked(&mut world, live, "cam"), 0.0);
}

#[test]
fn a_script_is_told_at_once_what_there_is_and_what_has_changed_the_next_time() {
    let text = "Client.prototype.ask = function (name) { return [Stream.length(name), Stream.size(name), this.getStreamLength(name)].join(); };
        application.onConnect = function () { return true; };";
    let mut world = World::on_disk(settings(), vec![scripted("live", text)]);
    let file = film(7).file();
    world.films.put("live/film.flv", file.clone());
    let c = world.join_at("live");
    let ask = |world: &mut World, name: &str| {
        world.clients[c].command(0, "ask", |amf| {
            amf.null().unwrap();
            amf.string(name).unwrap();
        });
        world.settle();
        assert_eq!(world.heard(c).last().map(String::as_str), Some("_result"));
        std::mem::take(&mut world.clients[c].result)
    };
    let known = format!("6.98,{},6.98", file.len());
    world.films.thread.stalled_until = world.now + 7000;
    for name in ["film.flv", "film", "flv:film"] {
        assert_eq!(ask(&mut world, name), known, "what there was when it began is known");
    }
    for name in ["nothing", "../film.flv"] {
        assert_eq!(ask(&mut world, name), "0,0,0", "it waits for no disk");
    }
    world.advance(7100);
    // What has come since is known before anybody asks.
    world.films.put("live/later.flv", file.clone());
    world.advance(6000);
    assert_eq!(ask(&mut world, "later"), known);
    assert_eq!(ask(&mut world, "nothing"), "0,0,0");
    // A file that is written over is looked up again, and meanwhile what was known is said.
    world.advance(5000);
    world.films.thread.late_ms = 50;
    let longer = film(9).file();
    world.films.put("live/film.flv", longer.clone());
    assert_eq!(ask(&mut world, "film.flv"), known);
    world.advance(200);
    assert_eq!(ask(&mut world, "film.flv"), format!("8.98,{},8.98", longer.len()));
    // What somebody plays is known.
    world.films.put("live/other.flv", file);
    world.clients[c].create_stream();
    world.settle();
    world.clients[c].play(1, "other.flv");
    world.advance(200);
    assert_eq!(ask(&mut world, "other.flv"), known);
    world.end();
}

/// An application whose clients call `play(stream, what, start, length, reset)`, and `heard()` for what its streams have heard.
pub const BROADCASTS: &str = "
    application.onConnect = function () { return true; };
    var heard = [];
    Client.prototype.broadcast = function (name, what, start, length, reset) {
        var stream = Stream.get(name);
        stream.onStatus = function (info) { heard.push(info.code.replace('NetStream.', '') + (info.code.indexOf('Play') > 0 ? ' ' + info.details : '')); };
        return String(stream.play(what, start, length, reset));
    };
    Client.prototype.heard = function () { return heard.splice(0).join(); };";

/// A world with that application, and a client of it that plays `channel`.
fn broadcasting() -> (World, usize) {
    let mut world = World::on_disk(settings(), vec![scripted("live", BROADCASTS)]);
    world.films.put("live/one.flv", film(3).file());
    world.films.put("live/two.flv", film(4).file());
    let c = world.join_at("live");
    world.clients[c].create_stream();
    world.settle();
    (world, c)
}

fn broadcast(world: &mut World, c: usize, what: &str, start: f64, length: f64, reset: bool) {
    broadcast_as(world, c, "channel", what, start, length, reset);
}

pub fn broadcast_as(world: &mut World, c: usize, name: &str, what: &str, start: f64, length: f64, reset: bool) {
    world.clients[c].command(0, "broadcast", |amf| {
        amf.null().unwrap();
        amf.string(name).unwrap();
        match what {
            "" => amf.boolean(false).unwrap(),
            what => amf.string(what).unwrap(),
        }
        amf.number(start).unwrap();
        amf.number(length).unwrap();
        amf.boolean(reset).unwrap();
    });
    world.settle();
    assert_eq!(std::mem::take(&mut world.clients[c].result), "true");
}

pub fn heard_by_script(world: &mut World, c: usize) -> String {
    world.clients[c].command(0, "heard", |amf| amf.null().unwrap());
    world.settle();
    std::mem::take(&mut world.clients[c].result)
}

#[test]
fn a_script_has_the_server_publish_recordings_one_after_the_other() {
    let (mut world, c) = broadcasting();
    broadcast(&mut world, c, "one.flv", 0.0, -1.0, true);
    broadcast(&mut world, c, "nothing", -2.0, -1.0, false);
    broadcast(&mut world, c, "two.flv", 1.0, 2.0, false);
    let viewer = viewer_of(&mut world, "live");
    world.clients[viewer].play_broadcast(1, "channel");
    world.advance(1000);
    let first = media(&mut world, viewer);
    let last_ms = first.last().unwrap().1;
    assert!((900..=1100).contains(&last_ms), "as fast as it is played: {last_ms}");
    assert_eq!(first, sent(&film(3).frames[..first.len()], 0, 0), "from the beginning");
    world.advance(10_000);
    let seen = [first, media(&mut world, viewer)].concat();
    let times: Vec<u32> = seen.iter().map(|(_, ms, _)| *ms).collect();
    assert!(times.is_sorted(), "time goes on from one to the next");
    let without_time =
        |frames: Vec<Seen>| -> Vec<(u8, u32)> { frames.iter().map(|frame| (frame.0, frame.2)).collect() };
    let part = &film(4).frames[50..150];
    assert!(without_time(seen) == without_time([sent(&film(3).frames, 0, 0), sent(part, 0, 0)].concat()));
    let heard =
        "Play.Start one.flv,Play.StreamNotFound nothing,Play.Switch two.flv,Play.Start two.flv,Play.Stop two.flv";
    assert_eq!(heard_by_script(&mut world, c), heard);
    assert_eq!(world.films.card().open, 0);
    world.hang_up(viewer);
    world.hang_up(c);
    world.end();
}

#[test]
fn what_a_script_plays_goes_before_what_a_client_publishes_until_it_ends_it() {
    let (mut world, c) = broadcasting();
    world.films.put("live/long.flv", film(60).file());
    let publisher = world.publisher_at("live", "channel");
    world.send_start(publisher);
    broadcast(&mut world, c, "long.flv", 0.0, -1.0, true);
    world.advance(100);
    assert!(world.clients[publisher].ended, "it is sent away");
    let other = world.join_at("live");
    world.clients[other].create_stream();
    world.settle();
    world.clients[other].publish(1, "channel");
    world.settle();
    assert!(world.heard(other).contains(&"1: Publish.BadName".to_owned()));
    // Something else in its place, and then nothing.
    broadcast(&mut world, c, "one.flv", 0.0, -1.0, true);
    world.advance(500);
    broadcast(&mut world, c, "", 0.0, -1.0, true);
    let heard = heard_by_script(&mut world, c);
    assert!(heard.ends_with("Play.Start long.flv,Play.Start one.flv,Play.Stop one.flv"), "{heard}");
    assert_eq!(world.films.card().open, 0);
    let publisher = world.publisher_at("live", "channel");
    world.send_start(publisher);
    world.hang_up(publisher);
    world.hang_up(c);
    world.end();
}

#[test]
fn a_script_has_the_server_publish_what_is_live_and_nothing_that_plays_itself() {
    let (mut world, c) = broadcasting();
    let publisher = world.publisher_at("live", "cam");
    world.send_start(publisher);
    broadcast(&mut world, c, "cam", -2.0, -1.0, true);
    let viewer = viewer_of(&mut world, "live");
    world.clients[viewer].play_broadcast(1, "channel");
    world.settle();
    world.heard(viewer);
    for n in 0..50_u32 {
        let kind = if n.is_multiple_of(25) { crate::sim::ledger::Kind::Key } else { crate::sim::ledger::Kind::Inter };
        // Longer than what is copied at once.
        world.send(publisher, 1, kind, 40 + n * 40, 9000);
        world.advance(40);
    }
    let seen = world.clients[viewer].viewed(1);
    let frames: Vec<u32> =
        seen.iter().filter(|(kind, _, body)| *kind == 9 && body[1] != 0).map(|frame| frame.1).collect();
    assert!(frames.len() >= 50 && frames.is_sorted(), "{frames:?}");
    broadcast(&mut world, c, "channel", -1.0, -1.0, true);
    let heard = heard_by_script(&mut world, c);
    assert!(heard.ends_with("Play.Start cam,Play.Failed channel"), "{heard}");
    broadcast(&mut world, c, "", 0.0, -1.0, true);
    world.hang_up(publisher);
    world.hang_up(viewer);
    world.hang_up(c);
    world.end();
}

#[test]
fn live_players_notice_nothing_of_recorded_ones() {
    let run = |films: bool| {
        let (mut world, publisher, player) = World::watched();
        world.films.put("vod/film.flv", Film::new(30, 200_000).file());
        let viewers: Vec<usize> = if films { (0..4).map(|_| viewer(&mut world)).collect() } else { Vec::new() };
        for (at, &c) in viewers.iter().enumerate() {
            world.slow(c, 50 + 100 * at);
            world.clients[c].play(1, "film.flv");
        }
        for n in 0..200_u32 {
            let kind =
                if n.is_multiple_of(25) { crate::sim::ledger::Kind::Key } else { crate::sim::ledger::Kind::Inter };
            world.send(publisher, 1, kind, 40 + n * 40, 500);
            if let Some(&c) = viewers.get(n as usize % 4) {
                world.clients[c].seek(1, f64::from(n * 131 % 29_000));
            }
            world.films.thread.late_ms = if n.is_multiple_of(50) { 700 } else { 0 };
            world.advance(40);
        }
        let link = world.clients[player].link;
        (world.net.links[link].written.value(), world.net.links[link].bytes_written)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_storm_of_plays_and_a_disk_that_stands_still_delay_no_frame_of_a_live_stream() {
    let run = |storm: bool| {
        let (mut world, publisher, player) = World::watched();
        world.films.put("vod/film.flv", Film::new(30, 200_000).file());
        let viewers: Vec<usize> = if storm { (0..10).map(|_| viewer(&mut world)).collect() } else { Vec::new() };
        world.films.thread.stalled_until = world.now + 7000;
        let link = world.clients[player].link;
        // 500 plays in half a minute; how much the live player has 1 ms behind each frame.
        (0..750_u32)
            .map(|n| {
                let is_key = n.is_multiple_of(25);
                let kind = if is_key { crate::sim::ledger::Kind::Key } else { crate::sim::ledger::Kind::Inter };
                if let Some(&c) = viewers.get(n as usize % 15) {
                    world.clients[c].play(1, "film.flv");
                }
                world.send(publisher, 1, kind, 40 + n * 40, 500);
                world.advance(1);
                let has = world.net.links[link].bytes_written;
                world.advance(39);
                has
            })
            .collect::<Vec<_>>()
    };
    assert!(run(true) == run(false));
}

/// What a client has of a film: from each metadata on, headers, and frames of the film without a gap from a key frame on.
fn check_viewed(film: &Film, viewed: &[(u8, u32, Vec<u8>)], seed: u64) -> usize {
    let mut checked = 0;
    for part in viewed.split(|(type_id, ..)| *type_id == 18) {
        let mut frames = part.iter().filter(|(.., payload)| payload[1] != 0).peekable();
        let Some((_, first_ms, _)) = frames.peek() else { continue };
        let begin = film.frames.iter().position(|frame| frame.time_ms == *first_ms).unwrap();
        assert_eq!(film.frames[begin].payload[0], 0x17, "seed {seed}: it begins at a key frame");
        for ((type_id, ms, payload), frame) in frames.zip(&film.frames[begin..]) {
            assert_eq!((*type_id, *ms), (frame.message_type, frame.time_ms), "seed {seed}");
            assert!(*payload == frame.payload, "seed {seed}: other bytes at {ms}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn whatever_clients_disk_and_lines_do_players_get_exactly_the_frames_of_the_film_in_order() {
    let film = Film::new(40, 90_000);
    let mut checked = 0;
    // `RILL_SIM_SEEDS=40` for more of it.
    let seeds = std::env::var("RILL_SIM_SEEDS").ok().and_then(|value| value.parse().ok()).unwrap_or(6);
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let few = Settings { recorded_players: 3, ..settings() };
        let mut world = World::with(few, seed);
        world.films.put("vod/film.flv", film.file());
        let clients: Vec<usize> = (0..4).map(|_| viewer(&mut world)).collect();
        for &c in &clients {
            world.net.links[world.clients[c].link].short = [0, 300, 5000, 30_000][random.below(4)];
        }
        for _ in 0..40 {
            let c = clients[random.below(clients.len())];
            let ms = random.below(42_000) as f64;
            let client = &mut world.clients[c];
            match random.below(12) {
                0..=2 => client.play(1, "film.flv"),
                3..=5 => client.seek(1, ms),
                6 => client.pause(1, true, ms),
                7 => client.pause(1, false, ms),
                8 => client.close_stream(1),
                9 => client.buffer(1, [0, 3000, 40_000][random.below(3)]),
                10 => client.rate = [None, Some(0), Some(60), Some(900)][random.below(4)],
                _ => world.films.thread.stalled_until = world.now + random.below(7000) as u64,
            }
            world.films.thread.late_ms = [0, 3, 40, 700][random.below(4)];
            world.advance(random.below(900) as u64);
        }
        for &c in &clients {
            world.clients[c].rate = None;
        }
        world.advance(45_000);
        for &c in &clients {
            if let Doing::Viewing(viewed) = &world.clients[c].doing[1] {
                checked += check_viewed(&film, viewed, seed);
            }
            world.hang_up(c);
        }
        world.end();
        assert_eq!(world.films.card().open, 0, "seed {seed}");
    }
    assert!(checked > 2000 * seeds as usize, "{checked}");
}

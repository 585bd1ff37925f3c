//! Recordings that are played while they are made: from their beginning or from anywhere, and on to their end.

use rill::live::record_settings::{RecordContainer, RecordSettings};
use rill::time::Millis;
use rill::wire::amf0::Decoder;

use crate::recordings::{CONTAINERS, film, publish, read, record_as, world};
use crate::sim::films::{FilmTag, flv};
use crate::sim::world::World;

const ENDS: [&str; 3] = ["Play.Complete", "eof 1", "1: Play.Stop"];

fn viewer(world: &mut World) -> usize {
    let c = world.join();
    world.clients[c].create_stream();
    world.settle();
    world.heard(c);
    c
}

/// Pictures that it was sent since this was asked last: their times and what is in them.
fn pictures(world: &mut World, c: usize) -> Vec<(u32, Vec<u8>)> {
    let viewed = world.clients[c].viewed(1);
    let frames = viewed.iter().filter(|(type_id, _, payload)| *type_id == 9 && payload[1] != 0);
    frames.map(|(_, ms, payload)| (*ms, payload.clone())).collect()
}

/// Those of a film from a time on, as a player that began at `start_ms` sees them.
fn wanted(film: &[FilmTag], from_ms: u32, start_ms: u32) -> Vec<(u32, Vec<u8>)> {
    let pictures = film[2..].iter().filter(|tag| tag.message_type == 9 && tag.time_ms >= from_ms);
    pictures.map(|tag| (tag.time_ms.saturating_sub(start_ms), tag.payload.clone())).collect()
}

fn parts(film: &[FilmTag], at_ms: u32) -> (&[FilmTag], &[FilmTag]) {
    film.split_at(film.iter().position(|tag| tag.time_ms > at_ms).unwrap())
}

#[test]
fn what_is_recorded_is_played_from_where_one_likes_and_followed_to_its_end() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(24);
        let (first, rest) = parts(&film, 9000);
        publish(&mut world, publisher, first, 0);
        // From the key frame at or before its start, with that as time 0; and beyond what is recorded, from the last there is.
        let players = [(3500, 2000), (20_000, 6000)].map(|(start_ms, from_ms)| {
            let c = viewer(&mut world);
            world.clients[c].play_from(1, "cam", f64::from(start_ms));
            (c, start_ms, from_ms)
        });
        let (follow, end) = parts(rest, 17_000);
        publish(&mut world, publisher, follow, 0);
        let mut begun = Vec::new();
        for (c, start_ms, from_ms) in players {
            let heard = world.heard(c);
            assert!(
                heard.contains(&"recorded 1".to_owned()) && !heard.iter().any(|line| ENDS.contains(&&line[..])),
                "{heard:?}"
            );
            let (seen, all) = (pictures(&mut world, c), wanted(&film, from_ms, start_ms));
            assert!(all.starts_with(&seen), "{container:?} from {start_ms}");
            // It began when 9 s were recorded, and has had 8 s since then.
            assert!(seen.len() >= 8 * 25 - 50, "{container:?} {}", seen.len());
            begun.push(seen);
        }
        publish(&mut world, publisher, end, 0);
        world.hang_up(publisher);
        world.advance(40_000);
        for ((c, start_ms, from_ms), mut seen) in players.into_iter().zip(begun) {
            let heard = world.heard(c);
            assert_eq!(heard[heard.len() - 3..], ENDS, "{container:?} from {start_ms}");
            seen.extend(pictures(&mut world, c));
            assert!(seen == wanted(&film, from_ms, start_ms), "{container:?} from {start_ms}");
        }
        world.end();
    }
}

#[test]
fn a_start_of_0_is_what_is_live_unless_the_application_says_that_it_is_the_beginning() {
    for (dvr, start, is_recorded) in
        [(false, 0.0, false), (false, 1.0, true), (true, 0.0, true), (true, -2000.0, false), (true, -1000.0, false)]
    {
        let mut world = world(RecordSettings { dvr, ..record_as(RecordContainer::Mp4) });
        let publisher = world.publisher("cam");
        let film = film(7);
        publish(&mut world, publisher, &film, 0);
        let c = viewer(&mut world);
        // The ledger knows nothing of this publisher's media.
        world.clients[c].is_recorded[1] = true;
        world.clients[c].play_from(1, "cam", start);
        world.advance(500);
        assert_eq!(world.heard(c).contains(&"recorded 1".to_owned()), is_recorded, "{dvr} {start}");
        if is_recorded {
            assert!(wanted(&film, 0, start as u32).starts_with(&pictures(&mut world, c)));
        }
    }
}

#[test]
fn a_recording_is_followed_by_its_own_name_too_and_an_item_of_a_length_ends_at_it() {
    let mut world = world(record_as(RecordContainer::Mp4));
    let publisher = world.publisher("cam");
    let film = film(20);
    let (first, rest) = parts(&film, 7000);
    publish(&mut world, publisher, first, 0);
    let whole = viewer(&mut world);
    world.clients[whole].play_from(1, "mp4:cam/000001-2026-11-26-221503.mp4", 0.0);
    let part = viewer(&mut world);
    world.clients[part].play_part(1, "cam/000001-2026-11-26-221503", 2000.0, 8000.0, true);
    publish(&mut world, publisher, rest, 0);
    assert_eq!(world.heard(part).last().map(String::as_str), Some("1: Play.Stop"), "before the recording ends");
    assert_eq!(pictures(&mut world, part).len(), 8 * 25);
    world.hang_up(publisher);
    world.advance(40_000);
    assert_eq!(world.heard(whole).last().map(String::as_str), Some("1: Play.Stop"));
    assert!(pictures(&mut world, whole) == wanted(&film, 0, 0));
    world.end();
}

#[test]
fn a_seek_and_a_pause_at_the_edge_of_what_is_recorded_go_on_with_it() {
    let mut world = world(record_as(RecordContainer::Mp4));
    let publisher = world.publisher("cam");
    let film = film(40);
    let (first, rest) = parts(&film, 9000);
    publish(&mut world, publisher, first, 0);
    let c = viewer(&mut world);
    world.clients[c].play_from(1, "cam", 1.0);
    let (one, rest) = parts(rest, 16_000);
    publish(&mut world, publisher, one, 0);
    world.clients[c].pause(1, true, 6000.0);
    let (two, rest) = parts(rest, 22_000);
    publish(&mut world, publisher, two, 0);
    pictures(&mut world, c);
    world.clients[c].pause(1, false, 6000.0);
    let (three, four) = parts(rest, 30_000);
    publish(&mut world, publisher, three, 0);
    assert!(pictures(&mut world, c).len() > 50);
    // Back to the beginning, and to the edge.
    world.clients[c].seek(1, 0.0);
    world.settle();
    assert_eq!(pictures(&mut world, c)[0].1, wanted(&film, 0, 0)[0].1);
    world.clients[c].seek(1, 100_000.0);
    publish(&mut world, publisher, four, 0);
    world.hang_up(publisher);
    world.advance(40_000);
    assert_eq!(world.heard(c).last().map(String::as_str), Some("1: Play.Stop"));
    let last = film.last().unwrap();
    assert_eq!(pictures(&mut world, c).last().unwrap().1, last.payload);
    world.end();
}

#[test]
fn what_is_written_over_because_the_card_stalled_was_sent_to_nobody() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(60);
        let (before, rest) = parts(&film, 8000);
        publish(&mut world, publisher, before, 0);
        let c = viewer(&mut world);
        world.clients[c].play_from(1, "cam", 1.0);
        world.recorder.thread.stalled_until = world.now + 40_000;
        publish(&mut world, publisher, rest, 0);
        world.hang_up(publisher);
        world.advance(60_000);
        assert_eq!(world.server.recordings().counts().gaps, 1);
        let file = read(&world.recorder.stored().remove(0).1);
        let recorded = file.tags.iter().filter(|tag| tag.message_type == 9 && tag.payload[1] == 1);
        let recorded: Vec<_> = recorded.map(|tag| (tag.time_ms.saturating_sub(1), tag.payload.clone())).collect();
        assert!(pictures(&mut world, c) == recorded, "{container:?}");
        world.end();
    }
}

/// What a client is told of a recording: the code's last word, and of what there is the length in milliseconds and whether it is being made.
fn told(world: &mut World, c: usize, name: &str) -> (String, Option<(u32, bool)>) {
    world.clients[c].tape = Some(Vec::new());
    world.clients[c].command(0, "DVRGetStreamInfo", |amf| {
        amf.null().unwrap();
        amf.string(name).unwrap();
    });
    world.settle();
    let tape = world.clients[c].tape.take().unwrap();
    let mut values = Decoder::new(&tape[0].2);
    let mut next = || values.value().unwrap();
    assert_eq!(next().as_str(), Some("_result"));
    next();
    next();
    let info = next();
    let code =
        info.get("code").and_then(|code| code.as_str()).and_then(|code| code.strip_prefix("NetStream.DVRStreamInfo."));
    let data = info.get("data").unwrap();
    let seconds = data.get("currLen").and_then(|length| length.as_number());
    let made = data.get("isRec").and_then(|made| made.as_bool());
    assert!(data.get("streamName").is_none_or(|said| said.as_str() == Some(name)));
    (code.unwrap().to_owned(), seconds.zip(made).map(|(seconds, made)| ((seconds * 1000.0).round() as u32, made)))
}

#[test]
fn who_asks_is_told_how_long_a_recording_is_while_it_is_made_and_later_and_that_there_is_none() {
    for container in CONTAINERS {
        let mut world = world(RecordSettings { container, ..RecordSettings::default() });
        let c = world.join();
        let none = ("Failed".to_owned(), None);
        assert_eq!(told(&mut world, c, "cam"), none, "there is no such stream");
        let publisher = world.publisher("cam");
        let film = film(13);
        let (first, rest) = parts(&film, 3000);
        publish(&mut world, publisher, first, 0);
        assert_eq!(told(&mut world, c, "cam"), none, "it is not recorded");
        assert_eq!(told(&mut world, c, "../cam"), none, "it can be none");
        world.recorder.thread.stalled_until = world.now + 1000;
        assert_eq!(world.server.record("live", "cam", true, Millis(world.now)), Ok(()));
        assert_eq!(told(&mut world, c, "cam").0, "Retry", "nothing is written yet");
        publish(&mut world, publisher, rest, 0);
        let (code, grown) = told(&mut world, c, "cam");
        assert!(code == "Success" && matches!(grown, Some((8000..=11_000, true))), "{grown:?}");
        let file = format!("cam/000001-2026-11-26-221503{}", container.ending());
        assert_eq!(told(&mut world, c, &file), ("Success".to_owned(), grown), "by the file's name it is the same");
        world.hang_up(publisher);
        world.advance(40_000);
        assert_eq!(told(&mut world, c, "cam"), none, "it is called otherwise now");
        world.films.put("live/old.flv", flv(&film));
        assert_eq!(told(&mut world, c, "old.flv"), ("Success".to_owned(), Some((12_960, false))));
        world.end();
    }
}

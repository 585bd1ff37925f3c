//! Recordings of live streams: what is in the files, whatever publishers, the card and the power do.

use std::io::ErrorKind;

use proptest::prelude::*;
use rill::live::app::{AppDefinition, AppKind};
use rill::live::record_settings::{RecordContainer, RecordOn, RecordSettings};
use rill::live::settings::Settings;
use rill::time::Millis;
use rill::wire::codec::synthetic::AVC_RECORD;
use rill::wire::flv_file::FlvFile;
use rill::wire::flv_front::{FRONT_BYTES, SIZE_BYTES, size_in};
use rill::wire::mp4::hybrid::{Hybrid, HybridState};
use rill::wire::recorded::{MessageKind, Recorded};
use rill::wire::windows::{File, Windows};

use crate::sim::card::Stored;
use crate::sim::films::FilmTag;
use crate::sim::world::{World, scripted, settings};

pub const CONTAINERS: [RecordContainer; 2] = [RecordContainer::Mp4, RecordContainer::Flv];

fn record() -> RecordSettings {
    RecordSettings { on: RecordOn::All, ..RecordSettings::default() }
}

pub fn record_as(container: RecordContainer) -> RecordSettings {
    RecordSettings { container, ..record() }
}

fn recording(record: RecordSettings) -> Settings {
    Settings { ring_bytes: 2 << 20, recordings: 2, record, ..settings() }
}

pub fn world(record: RecordSettings) -> World {
    World::with(recording(record), 1)
}

/// A film that begins with its key frame, as what is recorded of it.
pub fn film(seconds: u32) -> Vec<FilmTag> {
    let mut film = FilmTag::film(seconds);
    film.remove(2);
    film
}

/// Sends a film as it is played: each message when it is due. `shift_ms` is added to the publisher's times.
pub fn publish(world: &mut World, c: usize, film: &[FilmTag], shift_ms: u32) {
    let mut sent_ms = film[0].time_ms;
    for tag in film {
        if tag.time_ms > sent_ms {
            world.advance(u64::from(tag.time_ms - sent_ms));
            sent_ms = tag.time_ms;
        }
        let chunk_stream = if tag.message_type == 8 { 4 } else { 6 };
        world.clients[c].message(chunk_stream, tag.message_type, 1, tag.time_ms + shift_ms, &tag.payload);
    }
    world.settle();
}

/// What is read back of a file.
pub struct Read {
    pub duration_ms: u32,
    /// Without metadata. Of MP4 those of sound have the times of the file's grid.
    pub tags: Vec<FilmTag>,
    pub complete: bool,
    keys: usize,
}

pub fn read(bytes: &[u8]) -> Read {
    let (mut source, mut windows) = (bytes, Windows::new());
    let mut file = File::new(&mut source, &mut windows);
    if !bytes.starts_with(b"FLV") {
        return read_mp4(bytes, &mut file);
    }
    let flv = FlvFile::open(&mut file).expect("every file that is left opens");
    let complete = size_in(&bytes[..SIZE_BYTES]) == Some(bytes.len() as u64) && flv.end == bytes.len() as u64;
    let (mut tags, mut at) = (Vec::new(), flv.first);
    while let Some(tag) = flv.tag(&mut file, at).unwrap() {
        at = tag.end();
        let payload = tag.payload();
        let payload = bytes[payload.at as usize..][..payload.bytes as usize].to_vec();
        let (message_type, time_ms) = (tag.header.message_type, tag.header.timestamp_ms);
        if message_type != 18 {
            tags.push(FilmTag { message_type, time_ms, payload });
        }
    }
    let keys = bytes[..FRONT_BYTES].windows(9).filter(|name| name == b"keyframes").count();
    Read { duration_ms: flv.duration_ms(), tags, complete, keys }
}

fn read_mp4(bytes: &[u8], file: &mut File<'_, &[u8]>) -> Read {
    let found = Hybrid::look(file).unwrap().expect("it is one of ours");
    let complete = matches!(found.state, HybridState::Closed { moov_at } if {
        let moov = &bytes[moov_at as usize..];
        moov[4..8] == *b"moov" && u32::from_be_bytes(*moov.first_chunk().unwrap()) as usize == moov.len()
    });
    let recorded = Recorded::open(file, Default::default()).expect("every file that is left opens");
    let mut place = recorded.begin(file).unwrap();
    let mut tags = Vec::new();
    while let Some(message) = recorded.next(file, &mut place).unwrap() {
        let message_type = if message.kind == MessageKind::Video { 9 } else { 8 };
        let mut payload = message.front.to_vec();
        payload.extend(&bytes[message.body.at as usize..][..message.body.bytes as usize]);
        tags.push(FilmTag { message_type, time_ms: message.time_ms, payload });
    }
    let duration_ms = recorded.duration_ms(file).unwrap() as u32;
    Read { duration_ms, tags, complete, keys: usize::from(complete) }
}

/// Asserts that these are the tags of a film, which begin where the film is at `from_ms`. A frame of sound of 1024 samples lies in
/// MP4 where the last one ends.
fn assert_tags(container: RecordContainer, tags: &[FilmTag], film: &[FilmTag], from_ms: u32) {
    for kind in [9, 8] {
        let of_kind =
            |tags: &[FilmTag]| tags.iter().filter(|tag| tag.message_type == kind).cloned().collect::<Vec<_>>();
        let (tags, film) = (of_kind(tags), of_kind(film));
        assert_eq!(tags.len(), film.len(), "of kind {kind}");
        for (tag, wanted) in tags.iter().zip(&film) {
            assert_eq!(tag.payload, wanted.payload, "of kind {kind} at {}", tag.time_ms);
            let apart_ms = tag.time_ms.abs_diff(wanted.time_ms.saturating_sub(from_ms));
            let allowed_ms = if container == RecordContainer::Mp4 && kind == 8 { 13 } else { 0 };
            let is_header = tag.payload[1] == 0;
            assert!(is_header || apart_ms <= allowed_ms, "of kind {kind} at {}, not {}", tag.time_ms, wanted.time_ms);
        }
    }
    assert!(container == RecordContainer::Mp4 || from_ms > 0 || tags == film);
}

/// The only file there is.
fn only(world: &World) -> (String, Read) {
    let mut stored = world.recorder.stored();
    assert_eq!(stored.len(), 1, "{:?}", stored.iter().map(|(path, _)| path).collect::<Vec<_>>());
    let (path, bytes) = stored.remove(0);
    (path, read(&bytes))
}

#[test]
fn a_recording_is_what_was_published_byte_for_byte_and_complete_when_the_publisher_does_not_come_back() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(9);
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let (path, read) = only(&world);
        assert_eq!(path, format!("/apps/live/recordings/cam/000001-2026-11-26-221503{}", container.ending()));
        assert!(read.complete && read.keys > 0);
        assert_tags(container, &read.tags, &film, 0);
        let last_ms = film.last().unwrap().time_ms;
        assert!((last_ms..last_ms + 50).contains(&read.duration_ms), "{}", read.duration_ms);
        let counts = world.server.recordings().counts();
        assert_eq!((counts.files, counts.gaps, counts.faults), (1, 0, 0));
        world.end();
    }
}

#[test]
fn nothing_is_recorded_that_nobody_asked_for_and_names_are_those_of_the_list() {
    let only_hall = RecordSettings { on: RecordOn::Named(vec!["hall/*".to_owned()]), ..record() };
    let mut world = world(only_hall);
    for (name, files) in [("cam", 0), ("hall/left", 1)] {
        let publisher = world.publisher(name);
        publish(&mut world, publisher, &film(5), 0);
        world.hang_up(publisher);
        world.advance(20_000);
        assert_eq!(world.recorder.stored().len(), files, "{name}");
    }
    world.end();
}

#[test]
fn a_publisher_who_is_back_in_time_goes_on_in_the_file_with_the_true_gap_and_another_header_begins_a_new_one() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let film = film(4);
        let publisher = world.publisher("cam");
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(5000);
        let publisher = world.publisher("cam");
        publish(&mut world, publisher, &film, 77_000);
        world.hang_up(publisher);
        world.advance(1000);
        let mut other = film.clone();
        other[1].payload = vec![0xAF, 0, 0x11, 0x90];
        let publisher = world.publisher("cam");
        publish(&mut world, publisher, &other, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let stored = world.recorder.stored();
        assert_eq!(stored.len(), 2);
        let (first, second) = (read(&stored[0].1), read(&stored[1].1));
        let pictures: Vec<u32> =
            first.tags.iter().filter(|tag| tag.message_type == 9).map(|tag| tag.time_ms).skip(1).collect();
        let frames = pictures.len() / 2;
        assert_eq!(first.tags.len(), 2 + 2 * (film.len() - 2), "the second time without headers");
        let gap_ms = pictures[frames] - pictures[frames - 1];
        assert!((5000..5100).contains(&gap_ms), "{gap_ms}");
        assert_tags(container, &second.tags, &other, 0);
        assert!(first.complete && second.complete);
        world.end();
    }
}

#[test]
fn a_file_ends_at_the_first_key_frame_behind_its_length_and_the_next_one_misses_nothing() {
    for container in CONTAINERS {
        let mut world = world(RecordSettings { segment_s: 5, ..record_as(container) });
        let publisher = world.publisher("cam");
        let film = film(20);
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let stored = world.recorder.stored();
        assert_eq!(stored.len(), 4);
        let mut frames: [Vec<Vec<u8>>; 2] = Default::default();
        for (_, bytes) in &stored {
            let read = read(bytes);
            assert!(read.complete);
            let headers: Vec<_> = read.tags.iter().filter(|tag| tag.payload[1] == 0).collect();
            assert!(
                headers.len() == 2
                    && headers.iter().all(|header| film[..2].iter().any(|own| own.payload == header.payload))
            );
            let pictures = read.tags.iter().find(|tag| tag.message_type == 9 && tag.payload[1] == 1);
            assert_eq!(pictures.unwrap().time_ms, 0);
            for tag in read.tags.into_iter().filter(|tag| tag.payload[1] != 0) {
                frames[usize::from(tag.message_type - 8)].push(tag.payload);
            }
        }
        for (kind, frames) in (8..).zip(frames) {
            let wanted = film[2..].iter().filter(|tag| tag.message_type == kind).map(|tag| tag.payload.clone());
            assert!(frames.into_iter().eq(wanted), "kind {kind}");
        }
        world.end();
    }
}

#[test]
fn a_card_that_stalls_costs_whole_fragments_of_the_recording_and_nothing_of_the_stream() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(60);
        let (before, rest) = film.split_at(2 + 50 * 4);
        publish(&mut world, publisher, before, 0);
        world.recorder.thread.stalled_until = world.now + 40_000;
        publish(&mut world, publisher, rest, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let (_, read) = only(&world);
        assert!(read.complete);
        let counts = *world.server.recordings().counts();
        assert!(counts.gaps == 1 && (10_000..60_000).contains(&counts.lost_ms), "{counts:?}");
        // Each is one of the film's, at its time, and behind the gap comes a key frame.
        let pictures: Vec<_> = read.tags.iter().filter(|tag| tag.message_type == 9).collect();
        let mut sent = film.iter();
        for tag in &pictures {
            assert!(sent.any(|sent| sent == *tag), "at {}", tag.time_ms);
        }
        let gap = pictures.windows(2).find(|pair| pair[1].time_ms - pair[0].time_ms > 2000).unwrap();
        assert_eq!(gap[1].time_ms % 2000, 0);
        // The last frame before it is one of sound.
        assert_eq!(u64::from(gap[1].time_ms - gap[0].time_ms), counts.lost_ms + 40);
        let mut sounds = film.iter().filter(|tag| tag.message_type == 8);
        for tag in read.tags.iter().filter(|tag| tag.message_type == 8 && tag.payload[1] == 1) {
            let is_it = |sent: &&FilmTag| sent.payload == tag.payload && sent.time_ms.abs_diff(tag.time_ms) <= 13;
            assert!(sounds.any(|sent| is_it(&sent)), "at {}", tag.time_ms);
        }
        world.end();
    }
}

#[test]
fn a_full_card_closes_what_is_whole_and_is_tried_again_and_the_stream_goes_on() {
    let mut world = world(record_as(RecordContainer::Flv));
    world.recorder.card.borrow_mut().room = 1_000_000;
    world.recorder.set(&["record.keep_free=0"]);
    let publisher = world.publisher("cam");
    let film = film(30);
    publish(&mut world, publisher, &film, 0);
    let counts = *world.server.recordings().counts();
    assert_eq!(counts.faults, 1, "{counts:?}");
    let (_, first) = only(&world);
    assert!(first.tags.len() > 100 && film.starts_with(&first.tags));
    // Somebody makes room.
    world.recorder.card.borrow_mut().room = 100_000_000;
    world.advance(5000);
    publish(&mut world, publisher, &FilmTag::film(60), 31_000);
    world.hang_up(publisher);
    world.advance(20_000);
    let stored = world.recorder.stored();
    assert_eq!(stored.len(), 2);
    assert!(read(&stored[1].1).complete);
    world.end();
}

#[test]
fn the_card_may_fail_at_any_call_and_live_goes_on_and_every_place_comes_free() {
    let kinds = [ErrorKind::Other, ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied, ErrorKind::StorageFull];
    let film = film(5);
    let each = (1..50).zip(kinds.into_iter().cycle()).flat_map(|call| CONTAINERS.map(|container| (call, container)));
    for ((fails, kind), container) in each {
        let mut world = world(record_as(container));
        world.recorder.card.borrow_mut().fails = Some((fails, 1, kind));
        let publisher = world.publisher("cam");
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(90_000);
        assert!(world.server.recordings().is_idle(), "{kind:?} at call {fails}");
        for (_, bytes) in world.recorder.stored() {
            if bytes.len() > FRONT_BYTES {
                let read = read(&bytes);
                assert!(!read.tags.is_empty(), "{kind:?} at call {fails}");
            }
        }
        world.end();
    }
}

#[test]
fn an_application_s_own_file_says_what_of_it_is_recorded() {
    let app = |name: &str, on| {
        let record = RecordSettings { on, ..RecordSettings::default() };
        AppDefinition { record, ..AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live) }
    };
    let apps = vec![app("live", RecordOn::None), app("studio", RecordOn::All)];
    let mut world = World::on_disk(recording(RecordSettings::default()), apps);
    for app in ["live", "studio"] {
        let publisher = world.publisher_at(app, "cam");
        publish(&mut world, publisher, &film(5), 0);
        world.hang_up(publisher);
    }
    world.advance(20_000);
    assert!(only(&world).0.starts_with("/apps/studio/recordings/cam/"));
}

#[test]
fn a_publisher_may_ask_for_a_recording_by_its_name_and_go_on_behind_it() {
    for (name, container) in
        [("cam", RecordContainer::Flv), ("mp4:cam", RecordContainer::Mp4), ("mp4:cam.mp4", RecordContainer::Mp4)]
    {
        let mut world = world(RecordSettings::default());
        let film = film(5);
        for mode in ["record", "append", "append", "record"] {
            let c = world.join();
            world.clients[c].create_stream();
            world.clients[c].publish_as(1, name, mode);
            world.settle();
            publish(&mut world, c, &film, 0);
            world.hang_up(c);
            world.advance(5000);
            let (path, read) = only(&world);
            assert_eq!(path, format!("/apps/live/streams/_definst_/cam{}", container.ending()));
            assert!(read.complete, "{name} {mode}");
            let frames = |tags: &[FilmTag]| tags.iter().filter(|tag| tag.payload[1] == 1).count();
            let times = frames(&read.tags) / frames(&film);
            assert_eq!(frames(&read.tags) % frames(&film), 0);
            assert!(if mode == "append" { times > 1 } else { times == 1 }, "{name} {mode} {times}");
            let last_ms = film.last().unwrap().time_ms;
            let end_ms = read.tags.last().unwrap().time_ms;
            let wanted_ms = times as u32 * last_ms + (times as u32 - 1) * 40;
            assert!((wanted_ms..wanted_ms + 150).contains(&end_ms), "{name} {mode} {end_ms}");
        }
        assert_eq!(world.server.recordings().counts().faults, 0);
        world.end();
    }
}

#[test]
fn an_mp4_recording_with_other_headers_is_not_gone_on_with_and_stays_as_it_is() {
    let mut world = world(RecordSettings::default());
    record_once(&mut world, "mp4:cam", "record", 4);
    let before = world.recorder.stored();
    let c = world.join();
    world.clients[c].create_stream();
    world.clients[c].publish_as(1, "mp4:cam", "append");
    let mut film = film(4);
    film[1].payload = vec![0xAF, 0, 0x11, 0x90];
    publish(&mut world, c, &film, 0);
    world.hang_up(c);
    world.advance(15_000);
    assert_eq!(world.recorder.stored(), before);
    assert_eq!(world.server.recordings().counts().faults, 1);
    world.end();
}

#[test]
fn who_goes_on_with_a_gap_has_it_as_long_as_it_was_if_there_is_a_clock() {
    for (clock, gap_ms) in [(true, 3_600_000), (false, 0)] {
        let mut world = world(RecordSettings::default());
        record_once(&mut world, "cam", "record", 4);
        {
            let mut card = world.recorder.card.borrow_mut();
            card.seconds += 3600;
            card.clock = card.clock.filter(|_| clock);
        }
        record_once(&mut world, "cam", "appendWithGap", 4);
        let (_, read) = only(&world);
        let last_ms = film(4).last().unwrap().time_ms;
        assert!(read.complete);
        assert_eq!(read.tags.last().unwrap().time_ms, 2 * last_ms + 40 + gap_ms);
        world.end();
    }
}

#[test]
fn what_lies_unfinished_on_a_medium_that_is_plugged_in_later_is_finished_too() {
    let mut world = world(record());
    let publisher = world.publisher("cam");
    publish(&mut world, publisher, &film(9), 0);
    world.advance(40_000);
    // As it was before it was complete, on another one.
    let torn = world.recorder.stored().remove(0).1;
    assert!(!read(&torn).complete);
    let path = "/apps/live/recordings/other/000001-nodate.mp4";
    {
        let mut card = world.recorder.card.borrow_mut();
        card.files.insert(path.into(), Stored::of(torn));
        card.medium = 1;
    }
    world.advance(40_000);
    let stored = world.recorder.stored();
    let (_, bytes) = stored.iter().find(|(stored, _)| stored == path).unwrap();
    assert!(read(bytes).complete);
    world.end();
}

#[test]
fn what_a_medium_has_that_was_away_for_a_moment_is_finished_when_it_is_back() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(9);
        publish(&mut world, publisher, &film, 0);
        {
            let mut card = world.recorder.card.borrow_mut();
            card.fails = Some((card.calls, u64::MAX, ErrorKind::Other));
        }
        publish(&mut world, publisher, &film[2..], 9000);
        world.recorder.card.borrow_mut().fails = None;
        world.advance(60_000);
        publish(&mut world, publisher, &film[2..], 80_000);
        world.hang_up(publisher);
        world.advance(60_000);
        let stored = world.recorder.stored();
        assert!(stored.len() > 1, "{container:?}");
        assert!(stored.iter().all(|(_, bytes)| read(bytes).complete), "{container:?}");
        world.end();
    }
}

#[test]
fn what_mp4_does_not_carry_is_recorded_as_flv_and_a_track_that_comes_late_begins_a_new_file() {
    // Speex from the beginning; G.711 after three seconds; MP3 after three seconds.
    for (sound, from_ms, endings) in
        [(0xB2, 0, &[".flv"][..]), (0x7E, 3000, &[".mp4", ".flv"]), (0x2F, 3000, &[".mp4", ".mp4"])]
    {
        let mut world = world(record());
        let publisher = world.publisher("cam");
        let mut film = film(9);
        film.remove(1);
        film.retain(|tag| tag.message_type == 9 || tag.time_ms >= from_ms);
        for tag in film.iter_mut().filter(|tag| tag.message_type == 8) {
            // A frame of MPEG-1 layer III, where it is one.
            tag.payload[..5].copy_from_slice(&[sound, 0xFF, 0xFB, 0x90, 0x64]);
        }
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let stored = world.recorder.stored();
        let names: Vec<_> = stored.iter().map(|(path, _)| &path[path.len() - 4..]).collect();
        assert_eq!(names, endings, "{sound:x}");
        let last = read(&stored.last().unwrap().1);
        assert!(last.complete);
        assert!(last.tags.iter().any(|tag| tag.message_type == 8) && last.tags.iter().any(|tag| tag.message_type == 9));
        assert!(last.duration_ms > 3500, "{}", last.duration_ms);
        world.end();
    }
}

#[test]
fn each_picture_of_an_mp4_file_lasts_and_is_shown_when_its_encoder_said() {
    let pairs: Vec<u32> = (0..400).map(|number| number / 2 * 1000 / 60).collect();
    // Groups of four that are stamped with the times at which they are shown.
    let presented: Vec<u32> =
        (0..100).map(|number| (number / 4 * 4 + [0, 3, 1, 2][number as usize % 4]) * 40).collect();
    for (name, times, allowed_ms) in [("pairs", pairs, 1), ("times of presentation", presented, 0)] {
        let mut world = world(record_as(RecordContainer::Mp4));
        let publisher = world.publisher("cam");
        let header = [&[0x17, 0, 0, 0, 0], &AVC_RECORD[..]].concat();
        let mut film = vec![FilmTag { message_type: 9, time_ms: 0, payload: header }];
        for (number, &time_ms) in times.iter().enumerate() {
            let first = if number % 100 == 0 { 0x17 } else { 0x27 };
            let payload = [&[first, 1, 0, 0, 0], &b"\0\0\0\x03\x41\x9A\0"[..]].concat();
            film.push(FilmTag { message_type: 9, time_ms, payload });
        }
        publish(&mut world, publisher, &film, 0);
        world.hang_up(publisher);
        world.advance(20_000);
        let (_, read) = only(&world);
        let pictures = &read.tags[1..];
        assert_eq!(
            pictures.len(),
            times.len(),
            "{name}: all are there, also those of the time that sound was waited for"
        );
        assert!(pictures.is_sorted_by(|before, after| before.time_ms < after.time_ms), "{name}: each lasts");
        let shown_ms = |picture: &FilmTag| {
            let offset = picture.payload[2..5].iter().fold(0, |bits, &byte| bits << 8 | i32::from(byte)) << 8 >> 8;
            picture.time_ms.saturating_add_signed(offset)
        };
        // A picture that is shown before it would be decoded is played later, and all others with it.
        let later_ms = shown_ms(&pictures[0]) - times[0];
        for (picture, &wanted_ms) in pictures.iter().zip(&times) {
            let shown_ms = shown_ms(picture) - later_ms;
            assert!(shown_ms.abs_diff(wanted_ms) <= allowed_ms, "{name}: {wanted_ms} is shown at {shown_ms}");
        }
        world.end();
    }
}

/// What was recorded, file behind file, without headers: pictures, and frames of sound.
fn frames(world: &World) -> [Vec<Vec<u8>>; 2] {
    let mut frames: [Vec<Vec<u8>>; 2] = Default::default();
    for (path, bytes) in world.recorder.stored() {
        let read = read(&bytes);
        assert!(read.complete, "{path}");
        for tag in read.tags.into_iter().filter(|tag| tag.payload[1] != 0) {
            frames[usize::from(9 - tag.message_type)].push(tag.payload);
        }
    }
    frames
}

fn frames_of(film: &[FilmTag]) -> [Vec<Vec<u8>>; 2] {
    [9, 8].map(|kind| {
        let of_kind = film.iter().filter(|tag| tag.message_type == kind && tag.payload[1] != 0);
        of_kind.map(|tag| tag.payload.clone()).collect()
    })
}

#[test]
fn a_pause_begins_another_file_and_a_clock_that_jumps_goes_on_in_the_same_and_nothing_is_missing() {
    for container in CONTAINERS {
        // By how much the publisher's clock jumps, and how long it sends nothing.
        for (before_ms, behind_ms, pause_ms, files) in
            [(0, 60_000, 0, 1), (90_000, 0, 0, 1), (0, 17_000, 12_000, 2), (0, 11_000, 6000, 1)]
        {
            let mut world = world(record_as(container));
            let publisher = world.publisher("cam");
            let (first, second) = (film(5), &film(5)[2..]);
            publish(&mut world, publisher, &first, before_ms);
            world.advance(pause_ms);
            publish(&mut world, publisher, second, behind_ms);
            world.hang_up(publisher);
            world.advance(20_000);
            let stored = world.recorder.stored();
            let durations: Vec<u32> = stored.iter().map(|(_, bytes)| read(bytes).duration_ms).collect();
            let wanted: &[u32] = match (files, pause_ms) {
                (2, _) => &[5000, 5000],
                (_, 0) => &[10_000],
                _ => &[16_000],
            };
            assert_eq!(durations.len(), files, "{container:?} {behind_ms}");
            // A picture before a pause is shown for a second at most.
            let fits = |(is, wanted): (&u32, &u32)| (wanted - 60..wanted + 1000).contains(is);
            assert!(durations.iter().zip(wanted).all(fits), "{container:?} {behind_ms} {durations:?}");
            assert!(frames(&world) == frames_of(&[&first[..], second].concat()), "{container:?} {behind_ms}");
            world.end();
        }
    }
}

#[test]
fn sound_alone_is_recorded_and_so_are_pictures_without_a_key_frame_for_a_minute() {
    for container in CONTAINERS {
        for (has_pictures, segment_s, files) in [(false, 3600, 1), (true, 3600, 1), (true, 20, 2)] {
            let mut world = world(RecordSettings { segment_s, ..record_as(container) });
            let publisher = world.publisher("cam");
            let mut film = film(70);
            film.retain(|tag| has_pictures || tag.message_type == 8);
            for tag in film.iter_mut().skip(3).filter(|tag| tag.message_type == 9 && tag.payload[0] == 0x17) {
                tag.payload.truncate(4000);
                tag.payload[0] = 0x27;
            }
            publish(&mut world, publisher, &film, 0);
            // What a pulled plug would leave: all but what is under way.
            let stored = world.recorder.stored();
            let last = read(&stored.last().unwrap().1);
            let begin_ms = if files == 2 { 40_000 } else { 0 };
            assert!(last.duration_ms + begin_ms > 65_000, "{container:?} {has_pictures} {}", last.duration_ms);
            world.hang_up(publisher);
            world.advance(20_000);
            assert_eq!(world.recorder.stored().len(), files, "{container:?} {segment_s}");
            assert!(frames(&world) == frames_of(&film), "{container:?} {has_pictures} {segment_s}");
            assert_eq!(world.server.recordings().counts().gaps, 0);
            world.end();
        }
    }
}

/// Records a film of so many seconds of `cam`, asked for as `mode` says.
fn record_once(world: &mut World, name: &str, mode: &str, seconds: u32) {
    let c = world.join();
    world.clients[c].create_stream();
    world.clients[c].publish_as(1, name, mode);
    world.settle();
    publish(world, c, &film(seconds), 0);
    world.hang_up(c);
    world.advance(15_000);
}

#[test]
fn what_is_to_be_replaced_stays_until_its_successor_has_its_name_whatever_call_fails() {
    // The last of these calls gives it its name.
    for fails in 1..=6 {
        let mut world = world(RecordSettings::default());
        record_once(&mut world, "cam", "record", 4);
        {
            let mut card = world.recorder.card.borrow_mut();
            card.fails = Some((card.calls + fails, 1, ErrorKind::Other));
        }
        record_once(&mut world, "cam", "record", 4);
        let (path, read) = only(&world);
        assert_eq!(path, "/apps/live/streams/_definst_/cam.flv", "call {fails}");
        assert!(read.complete, "call {fails}");
        world.end();
    }
}

#[test]
fn where_room_is_to_be_kept_free_the_oldest_goes_that_nobody_asked_for_by_its_name() {
    let mut world = world(record());
    world.recorder.card.borrow_mut().room = 2_600_000;
    world.recorder.set(&["record.keep_free=1000000"]);
    record_once(&mut world, "kept", "record", 4);
    for _ in 0..4 {
        record_once(&mut world, "cam", "live", 4);
    }
    let names: Vec<String> = world.recorder.stored().into_iter().map(|(path, _)| path).collect();
    assert!(names.contains(&"/apps/live/streams/_definst_/kept.flv".to_owned()), "{names:?}");
    assert!(names.iter().any(|name| name.contains("/000004-")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("/000001-")), "{names:?}");
    assert_eq!(world.server.recordings().counts().faults, 0);
    world.end();
}

#[test]
fn where_nothing_may_go_recordings_stop_and_what_is_there_stays() {
    let mut world = world(record());
    world.recorder.card.borrow_mut().room = 2_600_000;
    world.recorder.set(&["record.keep_free=1000000", "record.when_full=stop"]);
    for _ in 0..5 {
        record_once(&mut world, "cam", "live", 4);
    }
    let stored = world.recorder.stored();
    assert!((2..5).contains(&stored.len()), "{}", stored.len());
    assert!(stored[0].0.contains("/000001-") && stored.iter().all(|(_, bytes)| read(bytes).complete));
    assert!(world.server.recordings().counts().faults > 0);
    world.end();
}

#[test]
fn recordings_go_when_they_are_too_old_or_too_many_but_without_a_clock_none_is_old() {
    for (set, clock, left) in [
        ("record.keep_days=2", true, 0),
        ("record.keep_days=2", false, 2),
        ("record.keep_total_bytes=700000", true, 1),
        ("record.keep_days=0", true, 2),
    ] {
        let mut world = world(record());
        world.recorder.set(&[set]);
        let count = if left == 0 { 1 } else { 2 };
        for _ in 0..count {
            record_once(&mut world, "cam", "live", 4);
        }
        {
            let mut card = world.recorder.card.borrow_mut();
            card.seconds = if clock { card.seconds + 3 * 86_400 } else { 0 };
        }
        world.advance(70_000);
        assert_eq!(world.recorder.stored().len(), left, "{set} {clock}");
        world.end();
    }
}

#[test]
fn the_operator_begins_and_ends_a_recording_of_what_is_published() {
    for container in CONTAINERS {
        let mut world = world(RecordSettings { container, ..RecordSettings::default() });
        assert!(world.server.record("live", "cam", true, Millis(world.now)).is_err());
        let publisher = world.publisher("cam");
        let film = film(13);
        let at = |ms: u32| film.iter().position(|tag| tag.time_ms > ms).unwrap();
        let (begin, end) = (at(3000), at(11_000));
        publish(&mut world, publisher, &film[..begin], 0);
        assert_eq!(world.server.record("live", "cam", true, Millis(world.now)), Ok(()));
        assert!(world.server.record("live", "cam", true, Millis(world.now)).is_err(), "once is enough");
        publish(&mut world, publisher, &film[begin..end], 0);
        assert_eq!(world.server.record("live", "cam", false, Millis(world.now)), Ok(()));
        publish(&mut world, publisher, &film[end..], 0);
        let (_, read) = only(&world);
        assert!(read.complete);
        // From the key frame before its start to what came last before its end, in the middle of a group of pictures.
        let key = film.iter().rposition(|tag| tag.time_ms < 3000 && tag.message_type == 9 && tag.payload[0] == 0x17);
        let key = key.unwrap();
        let recorded = [&film[..2], &film[key..end]].concat();
        assert_tags(container, &read.tags, &recorded, film[key].time_ms);
        assert!(world.server.recordings().is_idle());
        world.end();
    }
}

#[test]
fn a_server_that_is_told_to_stop_writes_what_was_published_until_then() {
    for container in CONTAINERS {
        let mut world = world(record_as(container));
        let publisher = world.publisher("cam");
        let film = film(9);
        let sent = &film[..film.iter().position(|tag| tag.time_ms > 7100).unwrap()];
        publish(&mut world, publisher, sent, 0);
        world.server.stop(Millis(world.now));
        // It is given 1.8 s, whoever does not go.
        world.advance(1000);
        assert!(world.server.is_empty(), "{container:?}");
        let (_, read) = only(&world);
        assert_tags(container, &read.tags, sent, 0);
        world.check_empty();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The law of a pulled plug: at most `sync_ms`, a fragment and what is under way are lost, and every file that is left opens.
    #[test]
    fn whenever_the_power_is_lost_every_file_is_whole_after_the_next_start(
        container in prop::sample::select(&CONTAINERS[..]),
        lost_ms in 3000u32..14_000,
        late_ms in 0u64..60,
        parts in proptest::collection::vec(any::<u64>(), 24),
    ) {
        let mut world = world(RecordSettings { segment_s: 10, ..record_as(container) });
        world.recorder.thread.late_ms = late_ms;
        let publisher = world.publisher("cam");
        let film = film(14);
        let sent = film.iter().take_while(|tag| tag.time_ms <= lost_ms).count();
        publish(&mut world, publisher, &film[..sent], 0);
        let mut parts = parts.into_iter().cycle();
        world.recorder.lose_power(|below| parts.next().unwrap() % below);
        let pictures: Vec<_> = film[2..].iter().filter(|tag| tag.message_type == 9).collect();
        let (mut end_ms, mut next) = (0, 0);
        for (path, bytes) in world.recorder.stored() {
            let read = read(&bytes);
            prop_assert!(read.complete, "{path}");
            let frames: Vec<_> = read.tags.iter().filter(|tag| tag.message_type == 9 && tag.payload[1] == 1).collect();
            let wanted = &pictures[next..][..frames.len()];
            prop_assert!(frames.iter().zip(wanted).all(|(frame, wanted)| frame.payload == wanted.payload), "{path}");
            next += frames.len();
            end_ms = pictures[next - 1].time_ms;
        }
        // What grows is a fragment and a frame; what is complete is synced when it is written, or within the time for it. And each of
        // the card's calls takes its time.
        let at_most_ms = 2000 + 2000 + 40 + 4 * late_ms as u32;
        prop_assert!(end_ms + at_most_ms >= lost_ms, "{end_ms} of {lost_ms} ms are left");
    }
}

/// As a third party writes it for Adobe's server: what is published is recorded, at most so long, and what became of it is noted.
const RECORDER: &str = "
    application.onAppStart = function () { this.heard = []; };
    application.onConnect = function (client) { this.acceptConnection(client); };
    application.onPublish = function (client, stream) {
        var app = this;
        stream.onStatus = function (info) { app.heard.push(info.level + ' ' + info.code.replace('NetStream.', '')); };
        if (stream.name.indexOf('rec_') == 0)
            app.heard.push(String(stream.record('record', 5)));
    };
    Client.prototype.run = function (what, name) {
        var stream = Stream.get(name);
        stream.onStatus = function (info) { application.heard.push(info.level + ' ' + info.code.replace('NetStream.', '')); };
        switch (what) {
        case 'append': return String(stream.record('append'));
        case 'stop': return String(stream.record(false));
        case 'small': return String(stream.record('record', -1, 600));
        case 'flush': return String(stream.flush());
        case 'sync': stream.syncWrite = true; return String(stream.syncWrite);
        case 'clear': return String(stream.clear());
        case 'clearAll': return String(application.clearStreams(name));
        case 'meta': var meta = Stream.getOnMetaData(name); return meta ? String(meta.width || meta.duration) : 'none';
        }
    };
    Client.prototype.heard = function () { return application.heard.splice(0).join(); };";

fn script_recording() -> (World, usize) {
    let settings = Settings { recordings: 2, ring_bytes: 2 << 20, ..settings() };
    let mut world = World::on_disk(settings, vec![scripted("live", RECORDER)]);
    let c = world.join_at("live");
    (world, c)
}

/// What a method of the script returns.
fn run(world: &mut World, c: usize, what: &str, name: &str) -> String {
    world.clients[c].command(0, "run", |amf| {
        amf.null().unwrap();
        amf.string(what).unwrap();
        amf.string(name).unwrap();
    });
    world.settle();
    std::mem::take(&mut world.clients[c].result)
}

#[test]
fn a_script_records_what_is_published_as_long_as_it_wants_and_hears_what_became_of_it() {
    let (mut world, c) = script_recording();
    let publisher = world.publisher_at("live", "rec_cam");
    let film = film(14);
    publish(&mut world, publisher, &film, 0);
    assert_eq!(heard_by_script(&mut world, c), "true,status Publish.Start,status Record.Start,status Record.Stop");
    let (path, read) = only(&world);
    assert_eq!(path, "/apps/live/streams/_definst_/rec_cam.flv");
    assert!(read.complete && (5000..8000).contains(&read.duration_ms), "{}", read.duration_ms);
    assert!(film.starts_with(&read.tags));
    // Behind what is there, until it says so.
    assert_eq!(run(&mut world, c, "append", "rec_cam"), "true");
    publish(&mut world, publisher, &film, 14_000);
    assert_eq!(run(&mut world, c, "flush", "rec_cam"), "true");
    assert_eq!(run(&mut world, c, "sync", "rec_cam"), "true");
    assert_eq!(run(&mut world, c, "clear", "rec_cam"), "true");
    assert_eq!(run(&mut world, c, "stop", "rec_cam"), "true");
    world.advance(3000);
    assert_eq!(run(&mut world, c, "stop", "rec_cam"), "false");
    let heard = heard_by_script(&mut world, c);
    assert_eq!(
        heard, "status Record.Start,error Clear.Failed,status Record.Stop",
        "nothing is deleted that is being made"
    );
    let longer = only(&world).1;
    assert!(longer.complete && longer.duration_ms > read.duration_ms + 10_000, "{}", longer.duration_ms);
    // No larger than that, in place of it.
    assert_eq!(run(&mut world, c, "small", "rec_cam"), "true");
    publish(&mut world, publisher, &film, 30_000);
    world.advance(1000);
    let small = world.recorder.stored()[0].1.len();
    assert!((100 * 1024..600 * 1024).contains(&small), "{small}");
    world.end();
}

#[test]
fn a_script_deletes_recordings_by_name_and_all_of_a_folder_and_none_of_another_instance() {
    let (mut world, c) = script_recording();
    for name in ["rec_a", "rec_b", "dir/c"] {
        let publisher = world.publisher_at("live", name);
        if name == "dir/c" {
            assert_eq!(run(&mut world, c, "append", name), "true");
        }
        publish(&mut world, publisher, &film(4), 0);
        world.hang_up(publisher);
        world.advance(15_000);
    }
    assert_eq!(world.recorder.stored().len(), 3);
    heard_by_script(&mut world, c);
    let left = |world: &World| -> Vec<String> {
        let strip = |path: String| path.trim_start_matches("/apps/live/streams/").to_owned();
        world.recorder.stored().into_iter().map(|(path, _)| strip(path)).collect()
    };
    for (what, name, said, files, heard) in [
        ("clear", "rec_a", "true", &["_definst_/dir/c.flv", "_definst_/rec_b.flv"][..], "status Clear.Success"),
        ("clear", "rec_a", "true", &["_definst_/dir/c.flv", "_definst_/rec_b.flv"], "error Clear.Failed"),
        ("clearAll", "rec_b", "false", &["_definst_/dir/c.flv", "_definst_/rec_b.flv"], ""),
        ("clearAll", "/../x", "true", &["_definst_/dir/c.flv", "_definst_/rec_b.flv"], ""),
        ("clearAll", "/dir/*", "true", &["_definst_/rec_b.flv"], ""),
        ("clearAll", "/", "true", &[], ""),
    ] {
        assert_eq!(run(&mut world, c, what, name), said, "{what} {name}");
        world.advance(100);
        assert_eq!(left(&world), files, "{what} {name}");
        assert_eq!(heard_by_script(&mut world, c), heard, "{what} {name}");
    }
    world.end();
}

#[test]
fn a_script_has_the_metadata_of_what_is_live_and_of_nothing_else() {
    let (mut world, c) = script_recording();
    let publisher = world.publisher_at("live", "cam");
    world.send_start(publisher);
    assert_ne!(run(&mut world, c, "meta", "cam"), "none");
    assert_eq!(run(&mut world, c, "meta", "nothing"), "none");
    // Nobody publishes it: it cannot be recorded.
    assert_eq!(run(&mut world, c, "append", "nothing"), "false");
    world.end();
}

fn heard_by_script(world: &mut World, c: usize) -> String {
    world.clients[c].command(0, "heard", |amf| amf.null().unwrap());
    world.settle();
    std::mem::take(&mut world.clients[c].result)
}

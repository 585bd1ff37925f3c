//! What a reader is due, without a server and without a protocol.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::media::{Head, HeaderSlot, MediaStream, TagFlags, TagMeta};

const MOST_LAG_MS: u64 = 3000;
const STREAM: StreamId = StreamId(3);

/// A stream that is published.
struct Stage {
    media: Media,
    published: bool,
    now: Millis,
}

impl Stage {
    fn new() -> Stage {
        let index = vec![TagMeta::EMPTY; 64].into_boxed_slice();
        Stage { media: MediaStream::new(vec![0; 4096].into_boxed_slice(), index), published: true, now: Millis(0) }
    }

    fn with(words: &str) -> Stage {
        let mut stage = Stage::new();
        stage.put(words);
        stage
    }

    fn source(&self) -> StreamView<'_> {
        StreamView { media: Some(&self.media), published: self.published }
    }

    fn reader(&self) -> Reader {
        Reader::new(STREAM, self.source(), true)
    }

    /// Messages by their kind (`H` video header, `K` key frame, `v` another picture, `h` audio header, `a` sound, `d` data) and time.
    /// The word is the payload, so that a header with another time is another header.
    fn put(&mut self, words: &str) {
        for word in words.split_whitespace() {
            self.put_payload(word, word.as_bytes(), false);
        }
    }

    fn put_payload(&mut self, word: &str, payload: &[u8], enhanced: bool) {
        let time = word[1..].parse().unwrap();
        self.now = Millis(u64::from(time));
        let (kind, key, header) = match &word[..1] {
            "H" => (TagKind::Video, false, true),
            "K" => (TagKind::Video, true, false),
            "v" => (TagKind::Video, false, false),
            "h" => (TagKind::Audio, false, true),
            "a" => (TagKind::Audio, false, false),
            _ => {
                self.media.data(time, payload, None, self.now).1.unwrap();
                return;
            }
        };
        let seq = self.media.begin_media(kind, time, payload.len() as u32, self.now).unwrap();
        self.media.append(seq, payload).unwrap();
        let slot = header.then_some(HeaderSlot { kind, class: 0, track: 0 });
        self.media.finish(seq, TagFlags { key, header, droppable: false, enhanced }, slot, self.now).unwrap();
    }

    /// The publisher leaves, and its players are to hear it.
    fn end(&mut self, readers: &mut [&mut Reader]) {
        self.media.unpublish(self.now);
        self.published = false;
        readers.iter_mut().for_each(|reader| reader.end());
    }

    /// A publisher comes. Returns what of the readers' receivers are to hear it.
    fn publish(&mut self, readers: &mut [&mut Reader]) -> Vec<bool> {
        self.media.republish(self.now);
        self.published = true;
        let first = Cursor::at(self.media.ring().readable_head());
        readers.iter_mut().map(|reader| reader.published(Some(first))).collect()
    }

    /// What a reader is given until nothing is due, tag by tag: headers as `0@40`, tags as in [`Stage::put`], and words.
    fn drain(&self, reader: &mut Reader) -> String {
        let mut terms =
            Terms { now: self.now, most_lag_ms: Some(MOST_LAG_MS), form: Form::Framed, knows: Announced::NOTHING };
        let mut given = Vec::new();
        loop {
            let due = reader.due(self.source(), &terms);
            given.push(match due {
                Due::Nothing => return given.join(" "),
                Due::Header(index, time) => format!("{index}@{time}"),
                Due::Bytes(_) => panic!("it was not asked for"),
                Due::Tag(tag, 0) => {
                    terms.most_lag_ms = None;
                    reader.sent_framed(&Bare, &self.media, tag.length as usize);
                    word(&tag)
                }
                Due::Tag(tag, offset) => {
                    reader.sent_framed(&Bare, &self.media, (tag.length - offset) as usize);
                    format!("rest:{}", word(&tag))
                }
                Due::Switched => "switched".to_string(),
                Due::Ended => "ended".to_string(),
                Due::LeftOut(codec) => format!("left-out:{}", codec.map_or("?", Codec::name)),
                Due::Skipped => "skipped".to_string(),
                Due::TooSlow => {
                    given.push("too-slow".to_string());
                    return given.join(" ");
                }
            });
            reader.taken(&due);
        }
    }

    /// Gives the reader so many bytes of the tag that is due.
    fn begin_tag(&self, reader: &mut Reader, bytes: usize) {
        let terms = Terms { now: self.now, most_lag_ms: None, form: Form::Framed, knows: Announced::NOTHING };
        assert!(matches!(reader.due(self.source(), &terms), Due::Tag(_, 0)));
        reader.sent_framed(&Bare, &self.media, bytes);
        assert!(reader.rest().is_some());
    }

    /// What is due as the ring holds it.
    fn stored(&self, reader: &mut Reader, most: usize, most_lag_ms: Option<u64>) -> Due<'_> {
        reader.due(
            self.source(),
            &Terms { now: self.now, most_lag_ms, form: Form::Stored { most }, knows: Announced::NOTHING },
        )
    }
}

fn word(tag: &Tag) -> String {
    let kind = match (tag.kind, tag.flags.header, tag.flags.key) {
        (TagKind::Video, true, _) => "H",
        (TagKind::Video, _, true) => "K",
        (TagKind::Video, ..) => "v",
        (TagKind::Audio, true, _) => "h",
        (TagKind::Audio, ..) => "a",
        (TagKind::Data, ..) => "d",
    };
    format!("{kind}{}", tag.timestamp)
}

/// A tag's payload and nothing else.
struct Bare;

impl Frame for Bare {
    fn head(&self, _tag: &Tag) -> Head {
        Head::EMPTY
    }
}

#[test]
fn who_joins_is_sent_the_headers_and_then_the_newest_key_frame() {
    let steps: [(bool, &[(&str, &str)]); 6] = [
        (true, &[("H0 h0 K0 v40 K80 a90 v120", "0@80 1@80 K80 a90 v120"), ("v160", "v160")]),
        (true, &[("h0 a0 a23", "0@23 a23"), ("a46 a69", "a46 a69")]),
        (true, &[("", ""), ("H0", ""), ("K0 v40", "0@0 K0 v40")]),
        (true, &[("H0 a10 d20", "0@10 a10 d20"), ("v30 K40", "K40")]),
        (false, &[("H0 h0 K0 v40 a50", ""), ("v80 a90", "0@90 1@90 a90"), ("v120 a120 K160 v200", "a120 K160 v200")]),
        (false, &[("h0 a0 a23", ""), ("a46 a69", "0@69 a69")]),
    ];
    for (gop_cache, steps) in steps {
        let mut stage = Stage::with(steps[0].0);
        let mut reader = Reader::new(STREAM, stage.source(), gop_cache);
        assert_eq!(stage.drain(&mut reader), steps[0].1, "{steps:?}");
        for (sent, expected) in &steps[1..] {
            stage.put(sent);
            assert_eq!(stage.drain(&mut reader), *expected, "{sent} of {steps:?}");
        }
    }
}

#[test]
fn who_comes_when_nobody_publishes_begins_with_the_next_publish() {
    let mut stage = Stage::with("H0 K0 v40");
    stage.end(&mut []);
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "");
    stage.end(&mut [&mut reader]);
    assert_eq!(stage.drain(&mut reader), "", "who has heard of no publish does not hear of its end");
    assert_eq!(stage.publish(&mut [&mut reader]), [true]);
    stage.put("H100 K100 v140");
    assert_eq!(stage.drain(&mut reader), "H80 K80 v120", "in the stream's own time, and without headers of before");
    // Whatever it wanted before: a publish begins with a key frame.
    let mut resuming = Reader::new(STREAM, StreamView { media: None, published: false }, true);
    resuming.receive_video(false);
    resuming.receive_video(true);
    stage.end(&mut []);
    stage.publish(&mut [&mut resuming]);
    stage.put("H200 a200 K210");
    assert_eq!(stage.drain(&mut resuming), "H160 a160 K170");
}

#[test]
fn who_falls_behind_goes_on_at_the_newest_key_frame_and_only_between_two_tags() {
    let mut stage = Stage::with("H0 K0 v40");
    let (mut at_boundary, mut in_tag, mut needs_headers) = (stage.reader(), stage.reader(), stage.reader());
    for reader in [&mut at_boundary, &mut in_tag, &mut needs_headers] {
        assert_eq!(stage.drain(reader), "0@0 K0 v40");
    }
    stage.put("v80 v120 K2000 v2040");
    stage.begin_tag(&mut in_tag, 1);
    stage.now = Millis(80 + MOST_LAG_MS);
    let mut on_time = at_boundary;
    assert_eq!(stage.drain(&mut on_time), "v80 v120 K2000 v2040");
    assert_eq!(on_time.skips(), 0);
    stage.now = Millis(81 + MOST_LAG_MS);
    assert_eq!(stage.drain(&mut at_boundary), "skipped K2000 v2040");
    assert_eq!(stage.drain(&mut in_tag), "rest:v80 v120 K2000 v2040", "it is asked at the next write");
    stage.put("H4000 K4010");
    stage.now = Millis(9000);
    assert_eq!(stage.drain(&mut needs_headers), "skipped 0@4010 K4010", "headers came in what it missed");
    assert_eq!([at_boundary.skips(), in_tag.skips(), needs_headers.skips()], [1, 0, 1]);
}

#[test]
fn who_is_asked_once_in_a_write_is_not_slow_in_the_midst_of_it() {
    let mut stage = Stage::with("K0 v40");
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "K0 v40");
    stage.put("v80 K120");
    stage.now = Millis(60_000);
    assert!(matches!(stage.stored(&mut reader, 1000, None), Due::Bytes(_)));
    assert_eq!(stage.stored(&mut reader, 1000, Some(MOST_LAG_MS)), Due::Skipped);
}

#[test]
fn who_is_overtaken_skips_and_inside_a_tag_cannot_go_on() {
    let mut stage = Stage::with("H0 K0 v40");
    let (mut at_boundary, mut paused, mut in_tag) = (stage.reader(), stage.reader(), stage.reader());
    for reader in [&mut at_boundary, &mut paused] {
        assert_eq!(stage.drain(reader), "0@0 K0 v40");
    }
    assert_eq!(stage.stored(&mut in_tag, 0, None), Due::Header(0, 0));
    in_tag.taken(&Due::Header(0, 0));
    stage.begin_tag(&mut in_tag, 1);
    assert_eq!(paused.pause(true, stage.source(), stage.now), None);
    for i in 2..80 {
        stage.put(&format!("v{}", 40 * i));
    }
    stage.put("K3200 v3240");
    assert_eq!(stage.drain(&mut at_boundary), "skipped 0@3200 K3200 v3240");
    assert_eq!(stage.drain(&mut in_tag), "too-slow");
    assert_eq!(stage.stored(&mut in_tag, 1000, None), Due::TooSlow);
    assert_eq!(stage.drain(&mut paused), "");
    assert_eq!(paused.pause(false, stage.source(), stage.now), None);
    assert_eq!(stage.drain(&mut paused), "0@3200 K3200 v3240");
    assert_eq!([at_boundary.skips(), paused.skips()], [1, 0], "who pauses is not slow");
}

#[test]
fn who_pauses_goes_on_where_it_was() {
    let mut stage = Stage::with("H0 K0 v40");
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "0@0 K0 v40");
    // Nothing was missed but a picture that what follows is built on.
    assert_eq!(reader.pause(true, stage.source(), stage.now), None);
    stage.put("v80");
    assert_eq!(stage.drain(&mut reader), "");
    assert_eq!(reader.pause(false, stage.source(), stage.now), None);
    assert_eq!(stage.drain(&mut reader), "v80");
    // In the midst of a tag: its rest is due while it pauses.
    stage.put("v120");
    stage.begin_tag(&mut reader, 2);
    let at = reader.cursor().unwrap();
    assert_eq!(reader.pause(true, stage.source(), stage.now), None);
    let mut overtaken = reader;
    assert_eq!(stage.drain(&mut reader), "rest:v120");
    stage.put("v160 v200 K9000 v9040");
    assert_eq!(stage.drain(&mut reader), "", "for however long");
    assert_eq!(reader.pause(false, stage.source(), stage.now), None);
    // It is as far behind as it has paused, and is not slow.
    let behind_ms = 9040 - 160;
    assert_eq!((reader.shift_ms(), stage.drain(&mut reader)), (behind_ms, "v160".to_string()));
    stage.now = Millis(u64::from(behind_ms) + 199);
    assert_eq!(stage.drain(&mut reader), "");
    stage.put("v9080");
    assert_eq!(stage.drain(&mut reader), "v200");
    assert_eq!(reader.lag_ms(&stage.media, stage.now), Some(0), "none but that");
    // Going on twice is going on.
    stage.now = Millis(u64::from(behind_ms) + 9000);
    assert_eq!(reader.pause(false, stage.source(), stage.now), None);
    assert_eq!(stage.drain(&mut reader), "K9000");
    assert_eq!(reader.skips(), 0);
    // What is about to be overwritten is no place to go on at; the rest of its tag is its owner's.
    for i in 0..54 {
        stage.put(&format!("v{}", 18_000 + i));
    }
    stage.put("K19000");
    assert_eq!(overtaken.pause(false, stage.source(), stage.now), Some(Rest { cursor: at, legacy: false }));
    assert_eq!(stage.drain(&mut overtaken), "0@19000 K19000");
}

/// A stream of 40 pictures and as much sound, a key frame each second from 0 to 5 s.
fn six_seconds() -> Stage {
    let mut stage = Stage::with("H0 h0");
    for ms in (0..6000).step_by(250) {
        stage.put(&format!("{}{ms} a{ms}", if ms % 1000 == 0 { "K" } else { "v" }));
    }
    stage
}

#[test]
fn who_goes_back_begins_at_the_key_frame_before_and_stays_as_far_behind() {
    for (to, time_ms, given, shift_ms) in [
        (SeekTo::Time(3600), 3000, "K3000 a3000 v3250 a3250 v3500 a3500 v3750 a3750", 1000),
        (SeekTo::Time(3000), 3000, "K3000 a3000", 1750),
        (SeekTo::Back(2900), 2000, "K2000 a2000 v2250 a2250 v2500 a2500 v2750 a2750 K3000 a3000", 1750),
        (SeekTo::Time(0), 0, "K0 a0", 4750),
        (SeekTo::Back(60_000), 0, "K0 a0", 4750),
    ] {
        let mut stage = six_seconds();
        let mut reader = stage.reader();
        assert!(stage.drain(&mut reader).ends_with("v5750 a5750"));
        let sought = reader.seek(to, stage.source(), true, stage.now);
        assert_eq!(sought, Sought { rest: None, time_ms: Some(time_ms) }, "{to:?}");
        assert_eq!(reader.shift_ms(), shift_ms, "{to:?}");
        let headers = format!("0@{time_ms} 1@{time_ms} ");
        let first = stage.drain(&mut reader);
        // A second more than the time itself, so that there is something to hold.
        assert!(first.starts_with(&format!("{headers}{given}")), "{to:?}: {first}");
        let last_ms: u32 = first.rsplit('a').next().unwrap().parse().unwrap();
        assert_eq!(last_ms, (5750 - shift_ms) / 250 * 250, "{to:?}: {first}");
        for (n, ms) in (6000..6750).step_by(250).enumerate() {
            stage.put(&format!("v{ms} a{ms}"));
            let due = last_ms + 250 * (n as u32 + 1);
            assert!(stage.drain(&mut reader).ends_with(&format!("{due} a{due}")), "{to:?}: as fast as it came");
        }
        assert_eq!(reader.skips(), 0);
    }
}

#[test]
fn who_goes_to_the_end_is_live_again_and_so_who_goes_where_it_never_was() {
    for to in [SeekTo::Live, SeekTo::Time(5000), SeekTo::Time(60_000), SeekTo::Back(0)] {
        let stage = six_seconds();
        let mut reader = stage.reader();
        let _ = reader.seek(SeekTo::Time(1000), stage.source(), true, stage.now);
        stage.drain(&mut reader);
        let from = if to == SeekTo::Back(0) {
            reader = stage.reader();
            SeekTo::Live
        } else {
            to
        };
        let sought = reader.seek(from, stage.source(), true, stage.now);
        assert_eq!((sought.time_ms, reader.shift_ms()), (Some(5000), 0), "{to:?}");
        assert_eq!(stage.drain(&mut reader), "0@5000 1@5000 K5000 a5000 v5250 a5250 v5500 a5500 v5750 a5750");
        assert!(reader.wants_everything());
    }
}

#[test]
fn who_is_behind_on_purpose_goes_on_at_the_newest_key_frame_when_the_ring_does_not_hold_it() {
    let mut stage = six_seconds();
    let mut reader = stage.reader();
    let _ = reader.seek(SeekTo::Time(0), stage.source(), true, stage.now);
    assert_eq!(stage.drain(&mut reader), "0@0 1@0 K0 a0 v250 a250 v500 a500 v750 a750 K1000 a1000");
    // Many small ones, in no time.
    for i in 0..46 {
        stage.put(&format!("a{}", 5760 + i));
    }
    assert_eq!(stage.drain(&mut reader).split(' ').next(), Some("skipped"));
    assert_eq!((reader.skips(), reader.shift_ms()), (1, 0));
    // What is nearly overwritten is not gone back to.
    let sought = reader.seek(SeekTo::Time(0), stage.source(), true, stage.now);
    let oldest = stage.media.ring().tag(stage.media.ring().oldest()).unwrap().timestamp;
    assert!(sought.time_ms.unwrap() > oldest, "{sought:?} {oldest}");
}

#[test]
fn nobody_goes_back_behind_other_headers_or_another_publish() {
    let mut stage = six_seconds();
    stage.put("H6000 K6000 v6100 v9000");
    let mut reader = stage.reader();
    assert_eq!(reader.seek(SeekTo::Time(2000), stage.source(), true, stage.now).time_ms, Some(6000));
    assert_eq!(reader.shift_ms(), 2000);
    stage.end(&mut [&mut reader]);
    stage.drain(&mut reader);
    stage.publish(&mut [&mut reader]);
    assert_eq!(reader.seek(SeekTo::Time(2000), stage.source(), true, stage.now).time_ms, None);
}

#[test]
fn what_is_left_of_a_publish_that_is_over_waits_for_nothing() {
    let mut stage = six_seconds();
    let mut reader = stage.reader();
    let _ = reader.seek(SeekTo::Time(3000), stage.source(), true, stage.now);
    stage.drain(&mut reader);
    stage.end(&mut [&mut reader]);
    let rest = stage.drain(&mut reader);
    assert!(rest.ends_with("v5750 a5750 ended"), "{rest}");
}

#[test]
fn sound_alone_is_gone_back_to_as_exactly_as_it_is_there() {
    let mut stage = Stage::with("h0");
    for ms in (0..6000).step_by(250) {
        stage.put(&format!("a{ms}"));
    }
    let mut reader = stage.reader();
    assert_eq!(reader.seek(SeekTo::Time(2400), stage.source(), true, stage.now).time_ms, Some(2250));
    assert_eq!(stage.drain(&mut reader), "0@2250 a2250 a2500 a2750 a3000 a3250 a3500");
}

#[test]
fn headers_that_change_while_they_are_sent_are_not_used_for_frames_before_them() {
    let mut stage = Stage::with("H0 h0 K0 v40");
    let mut reader = stage.reader();
    let first = stage.stored(&mut reader, 1000, None);
    assert_eq!(first, Due::Header(0, 0));
    reader.taken(&Due::Header(0, 0));
    stage.put("H50 v80");
    assert_eq!(stage.drain(&mut reader), "", "there is no picture yet that they are for");
    stage.put("a100 K120 v160");
    assert_eq!(stage.drain(&mut reader), "0@120 1@120 K120 v160");
}

#[test]
fn who_is_about_to_be_overtaken_gives_up_the_picture_unless_it_gains() {
    // One who began at an old key frame has been given that in so many milliseconds.
    let given_after = |ms: u32| {
        let mut stage = Stage::with("H0 K0");
        for i in 1..56 {
            stage.put(&format!("v{}", 100 * i));
        }
        stage.put("a5600");
        let mut reader = stage.reader();
        let terms = Terms { now: stage.now, most_lag_ms: None, form: Form::Framed, knows: Announced::NOTHING };
        assert_eq!(reader.due(stage.source(), &terms), Due::Header(0, 0));
        reader.taken(&Due::Header(0, 0));
        assert!(matches!(reader.due(stage.source(), &terms), Due::Tag(_, 0)));
        reader.sent_framed(&Bare, &stage.media, 2);
        stage.put(&format!("v{}", 5600 + ms));
        stage.drain(&mut reader)
    };
    assert!(given_after(100 + LOSS_MS).starts_with("v100 v200"));
    assert_eq!(given_after(101 + LOSS_MS), "skipped a5600");
}

#[test]
fn who_seeks_begins_as_who_comes_now() {
    for (gop_cache, expected) in [(true, "0@0 K0 v40 v80"), (false, "")] {
        let mut stage = Stage::with("H0 K0 v40");
        let mut reader = stage.reader();
        assert_eq!(stage.drain(&mut reader), "0@0 K0 v40");
        stage.put("v80");
        stage.begin_tag(&mut reader, 1);
        let rest = reader.rest();
        assert!(rest.is_some());
        assert_eq!(reader.restart(stage.source(), gop_cache), rest);
        assert_eq!(reader.restart(stage.source(), gop_cache), None);
        let mut seeks = reader;
        assert_eq!(stage.drain(&mut seeks), expected);
        // Who waits goes on waiting for the same.
        assert_eq!(reader.pause(true, stage.source(), stage.now), None);
        stage.put("a100");
        assert_eq!(reader.restart(stage.source(), gop_cache), None);
        assert_eq!(reader.pause(false, stage.source(), stage.now), None);
        let expected = if gop_cache { "0@0 K0 v40 v80 a100" } else { "0@100 a100" };
        assert_eq!(stage.drain(&mut reader), expected);
    }
}

#[test]
fn who_wants_no_sound_has_its_headers_for_when_it_wants_it_again() {
    let mut stage = Stage::with("h0 H0 K0 a10");
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "0@0 1@0 K0 a10");
    reader.receive_audio(false);
    assert!(!reader.wants_everything());
    stage.put("a33 v40 h56 a56 v80 d90 a100");
    assert_eq!(stage.drain(&mut reader), "v40 h56 v80 d90");
    reader.receive_audio(true);
    stage.put("a123");
    assert_eq!(stage.drain(&mut reader), "a123");
    assert!(reader.wants_everything());
}

#[test]
fn who_wants_pictures_again_has_the_headers_and_then_waits_for_a_key_frame() {
    let mut stage = Stage::with("H0 h0 K0 a10");
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "0@0 1@0 K0 a10");
    reader.receive_video(false);
    stage.put("v40 a50 H60 K80 a90 v120");
    assert_eq!(stage.drain(&mut reader), "a50 a90");
    reader.receive_video(true);
    reader.receive_video(true);
    // Data has no time that headers could have.
    stage.put("d125");
    assert_eq!(stage.drain(&mut reader), "d125");
    stage.put("a130 v160 a170");
    assert_eq!(stage.drain(&mut reader), "0@130 1@130 a130 a170");
    assert!(!reader.wants_everything());
    reader.receive_video(true);
    stage.put("H180 v190 K200 v240 a250");
    assert_eq!(stage.drain(&mut reader), "H180 K200 v240 a250");
    assert!(reader.wants_everything());
    // What is due comes before headers that are newer.
    reader.receive_video(false);
    reader.receive_video(true);
    stage.put("a280 H290 a300 K320");
    assert_eq!(stage.drain(&mut reader), "0@320 1@320 K320");
    // Without pictures none is waited for.
    let mut sound = Stage::with("h0 a0");
    let mut reader = sound.reader();
    reader.receive_video(false);
    assert_eq!(sound.drain(&mut reader), "0@0 a0");
    reader.receive_video(true);
    sound.put("a23");
    assert_eq!(sound.drain(&mut reader), "0@23 a23");
    assert!(reader.wants_everything());
}

#[test]
fn who_switches_hears_it_before_the_first_frame() {
    let mut stage = Stage::with("H0 K0 v40");
    let mut reader = stage.reader().switching(true);
    assert_eq!(stage.drain(&mut reader), "0@0 switched K0 v40");
    // To a stream that is not there yet: behind its headers, nevertheless.
    stage.end(&mut []);
    let mut reader = stage.reader().switching(true);
    assert_eq!(stage.drain(&mut reader), "");
    stage.publish(&mut [&mut reader]);
    stage.put("H100");
    assert_eq!(stage.drain(&mut reader), "");
    stage.put("K100 v140");
    assert_eq!(stage.drain(&mut reader), "0@80 switched K80 v120");
}

#[test]
fn the_end_is_due_behind_the_last_tag_and_never_in_its_midst() {
    let mut stage = Stage::with("H0 K0 v40");
    let (mut reader, mut in_tag, mut silent) = (stage.reader(), stage.reader(), stage.reader());
    for reader in [&mut reader, &mut in_tag, &mut silent] {
        assert_eq!(stage.drain(reader), "0@0 K0 v40");
    }
    silent.receive_audio(false);
    stage.put("v80 a90");
    stage.begin_tag(&mut in_tag, 1);
    stage.end(&mut [&mut reader, &mut in_tag, &mut silent]);
    assert!(reader.knows_of_publish());
    assert_eq!(stage.drain(&mut reader), "v80 a90 ended");
    assert!(!reader.knows_of_publish());
    assert_eq!(stage.drain(&mut in_tag), "rest:v80 a90 ended");
    assert_eq!(stage.drain(&mut silent), "v80 ended", "what it does not want does not stand before it");
    assert_eq!(stage.drain(&mut reader), "", "once");
    assert_eq!(stage.publish(&mut [&mut reader]), [true]);
    stage.put("K100");
    assert_eq!(stage.drain(&mut reader), "K130");
}

#[test]
fn who_has_not_come_to_the_end_flows_over_into_the_next_publish_and_hears_of_neither() {
    let mut stage = Stage::with("H0 K0 v40");
    let mut reader = stage.reader();
    assert_eq!(stage.drain(&mut reader), "0@0 K0 v40");
    stage.put("v80");
    stage.end(&mut [&mut reader]);
    assert_eq!(stage.publish(&mut [&mut reader]), [false]);
    stage.put("H100 K100");
    assert_eq!(stage.drain(&mut reader), "v80 H120 K120");
}

#[test]
fn who_loses_the_ring_waits_for_the_next_and_inside_a_tag_cannot_go_on() {
    let mut stage = Stage::with("K0 v40");
    let (mut reader, mut ends, mut in_tag) = (stage.reader(), stage.reader(), stage.reader());
    for reader in [&mut reader, &mut ends, &mut in_tag] {
        assert_eq!(stage.drain(reader), "K0 v40");
    }
    stage.put("v80");
    stage.begin_tag(&mut in_tag, 1);
    ends.end();
    let terms = Terms { now: stage.now, most_lag_ms: None, form: Form::Framed, knows: Announced::NOTHING };
    let nowhere = StreamView { media: None, published: false };
    assert_eq!(in_tag.due(nowhere, &terms), Due::TooSlow);
    assert_eq!(ends.due(nowhere, &terms), Due::Ended);
    assert_eq!(reader.due(nowhere, &terms), Due::Nothing);
    assert!(reader.is_waiting());
    let mut other = Stage::with("K0");
    let head = Cursor::at(other.media.ring().readable_head());
    let rest = in_tag.rest();
    assert_eq!([reader.begin_with(head), in_tag.begin_with(head)], [None, rest]);
    other.put("v40");
    assert_eq!([other.drain(&mut reader), other.drain(&mut in_tag)], ["v40", "v40"]);
}

#[test]
fn bytes_are_as_many_as_are_asked_for_and_the_rest_of_a_tag_always() {
    let mut stage = Stage::with("K0");
    let mut reader = stage.reader();
    fn bytes(due: Due<'_>) -> usize {
        match due {
            Due::Bytes([first, second]) => first.len() + second.len(),
            Due::Nothing => 0,
            other => panic!("{other:?}"),
        }
    }
    let tag_bytes = bytes(stage.stored(&mut reader, 1000, None));
    assert_eq!(reader.flows_from(), Some(reader.cursor().unwrap().seq));
    stage.put("v4");
    assert_eq!(bytes(stage.stored(&mut reader, 0, None)), 0);
    assert_eq!(bytes(stage.stored(&mut reader, 1000, None)), 2 * tag_bytes);
    reader.sent(&stage.media, 5);
    assert_eq!(reader.flows_from(), None);
    for (most, expected) in [(0, tag_bytes - 5), (3, 3), (1000, 2 * tag_bytes - 5)] {
        assert_eq!(bytes(stage.stored(&mut reader, most, None)), expected);
    }
    // Who pauses, or lags, stops behind it; and so who wants something else now, who is given the tag.
    let mut paused = reader;
    assert_eq!(paused.pause(true, stage.source(), stage.now), None);
    assert_eq!(bytes(stage.stored(&mut paused, 1000, None)), tag_bytes - 5);
    stage.put("K8");
    stage.now = Millis(9000);
    assert_eq!(bytes(stage.stored(&mut reader, 1000, Some(MOST_LAG_MS))), tag_bytes - 5);
    reader.receive_audio(false);
    assert!(matches!(stage.stored(&mut reader, 1000, None), Due::Tag(_, 5)));
    reader.receive_audio(true);
    reader.sent(&stage.media, 3 * tag_bytes - 5);
    assert!(reader.has_everything(&stage.media));
    assert_eq!(reader.lag_ms(&stage.media, stage.now), Some(0));
    stage.end(&mut [&mut reader]);
    assert!(!reader.has_everything(&stage.media) && reader.flows_from().is_none());
}

#[test]
fn who_knows_no_enhanced_rtmp_is_given_what_has_a_legacy_form_and_hears_once_that_something_is_left_out() {
    let mut stage = Stage::with("h0 a10");
    stage.put_payload("H20", b"\x90hvc1record", true);
    let (mut legacy, mut modern) = (stage.reader().legacy(true), stage.reader());
    assert_eq!(stage.drain(&mut modern), "0@10 1@10 a10 H20");
    stage.put_payload("K30", b"\x91hvc1\0\0\0data", true);
    assert_eq!(stage.drain(&mut modern), "K30");
    assert_eq!(stage.drain(&mut legacy), "0@30 1@30 left-out:HEVC");
    assert!(legacy.is_legacy());
    stage.put_payload("v40", b"\xA1hvc1\0\0\0data", true);
    stage.put("a50");
    assert_eq!(stage.drain(&mut legacy), "a50");
    assert!(legacy.wants_everything(), "until there is Enhanced RTMP again");
    assert!(legacy.flows_from().is_some());
    // H.264 has a legacy form, which is for the tag's frame to make.
    stage.put_payload("v60", b"\xA1avc1\0\0\0data", true);
    assert_eq!(stage.drain(&mut legacy), "v60");
    // Metadata is edited where it is kept.
    let name = b"\x02\x00\x0AonMetaData\x03\x00\x0Cvideocodecid\x00";
    let fourcc = f64::from(u32::from_be_bytes(*b"hvc1")).to_be_bytes();
    let metadata = [&name[..], &fourcc, b"\0\0\x09"].concat();
    stage.media.data(70, &metadata, Some(b"onMetaData"), stage.now).1.unwrap();
    stage.put("a80");
    let index = stage.media.metadata_index().unwrap();
    assert_eq!(stage.drain(&mut legacy), format!("{index}@0 a80"));
    assert_eq!(stage.drain(&mut modern), "v40 a50 v60 d0 a80");
    // Of metadata that is kept no more nothing is sent.
    stage.media.data(90, &metadata, Some(b"onMetaData"), stage.now).1.unwrap();
    assert!(stage.media.clear_data(b"onMetaData"));
    stage.put("a100");
    assert_eq!(stage.drain(&mut legacy), "a100");
}

#[test]
fn readers_of_a_stream_do_not_affect_each_other() {
    let mut stage = Stage::with("H0 K0 v40");
    let (mut one, mut other) = (stage.reader(), stage.reader());
    assert_eq!(stage.drain(&mut one), "0@0 K0 v40");
    other.receive_audio(false);
    assert_eq!(other.pause(true, stage.source(), stage.now), None);
    assert_eq!(stage.drain(&mut other), "");
    stage.put("a50 v80");
    stage.begin_tag(&mut one, 1);
    assert_eq!(other.pause(false, stage.source(), stage.now), None);
    assert_eq!(stage.drain(&mut other), "0@0 K0 v40 v80");
    assert_eq!(stage.drain(&mut one), "rest:a50 v80");
    stage.end(&mut [&mut other]);
    assert_eq!([stage.drain(&mut other), stage.drain(&mut one)], ["ended", ""]);
    assert_eq!(stage.publish(&mut [&mut one, &mut other]), [false, true]);
}

/// A tag as an FLV file has it: a header of 11 bytes, and its length behind it (FLV 10.1, annex E.4.1).
struct Flv;

impl Flv {
    fn header(kind: TagKind, timestamp: u32, length: u32) -> Head {
        let [upper, time @ ..] = timestamp.to_be_bytes();
        Head::new(&[kind.message_type()]).then(&length.to_be_bytes()[1..]).then(&time).then(&[upper, 0, 0, 0])
    }
}

impl Frame for Flv {
    fn head(&self, tag: &Tag) -> Head {
        Flv::header(tag.kind, tag.timestamp, tag.length)
    }

    fn tail(&self, tag: &Tag) -> Head {
        Head::new(&(11 + tag.length).to_be_bytes())
    }
}

/// What an HTTP viewer is: somewhere that takes so many bytes of what it is due, and a reader.
fn write_flv(stage: &Stage, reader: &mut Reader, out: &mut Vec<u8>, mut room: usize) {
    let terms = Terms { now: stage.now, most_lag_ms: Some(MOST_LAG_MS), form: Form::Framed, knows: Announced::NOTHING };
    loop {
        let due = reader.due(stage.source(), &terms);
        match due {
            Due::Header(index, time) => {
                let header = stage.media.headers().at(index).unwrap();
                out.extend(Flv::header(header.kind, time, header.payload.len() as u32).as_slice());
                out.extend(header.payload);
                out.extend((11 + header.payload.len() as u32).to_be_bytes());
                reader.taken(&due);
            }
            Due::Tag(_, _) if room == 0 => return,
            Due::Tag(tag, offset) => {
                let piece = frame::piece(&Flv, stage.media.ring(), tag.seq, offset).unwrap();
                let bytes = &piece.bytes()[..piece.bytes().len().min(room)];
                out.extend(bytes);
                room -= bytes.len();
                reader.sent_framed(&Flv, &stage.media, bytes.len());
            }
            _ => return,
        }
    }
}

#[test]
fn another_way_of_watching_needs_a_frame_and_no_more() {
    let mut stage = Stage::with("H0 h0 K0 v40");
    let mut reader = stage.reader();
    let mut out = Vec::new();
    for room in [0, 3, 1, 30, 0, 7, 100] {
        write_flv(&stage, &mut reader, &mut out, room);
    }
    stage.put("a50 v80");
    write_flv(&stage, &mut reader, &mut out, 1000);
    let mut tags = Vec::new();
    let mut rest = &out[..];
    while let Some((header, more)) = rest.split_first_chunk::<11>() {
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let (payload, more) = more.split_at(length as usize);
        let (behind, more) = more.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*behind), 11 + length);
        let time = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        tags.push((header[0], time, std::str::from_utf8(payload).unwrap()));
        rest = more;
    }
    assert!(rest.is_empty());
    assert_eq!(tags, [(9, 0, "H0"), (8, 0, "h0"), (9, 0, "K0"), (9, 40, "v40"), (8, 50, "a50"), (9, 80, "v80")]);
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Sends(&'static str, usize),
    /// A message is never completed, and another one came meanwhile.
    Lost,
    /// So much time passes in which nothing comes.
    Passes(u64),
    /// The reader is given at most so many bytes of what is due.
    Takes(usize),
    Pauses(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        1 => (1_usize..600).prop_map(|length| Happens::Sends("K", length)),
        6 => (1_usize..300).prop_map(|length| Happens::Sends("v", length)),
        6 => (1_usize..100).prop_map(|length| Happens::Sends("a", length)),
        1 => (1_usize..20).prop_map(|length| Happens::Sends("H", length)),
        1 => Just(Happens::Lost),
        1 => (0_u64..2000).prop_map(Happens::Passes),
        8 => (0_usize..900).prop_map(Happens::Takes),
        1 => any::<bool>().prop_map(Happens::Pauses),
    ]
}

proptest! {
    #[test]
    fn who_wants_everything_is_given_the_rings_bytes_in_order_without_a_gap_but_at_skips(
        script in prop::collection::vec(happens(), 1..150),
    ) {
        let mut stage = Stage::with("H0 K0");
        let mut reader = stage.reader();
        // Every tag's bytes as they were when it came, and what of them the reader is to be given next.
        let mut archive = BTreeMap::<TagSeq, Vec<u8>>::new();
        let mut next: Option<Cursor> = None;
        let mut archived = TagSeq::default();
        let mut time = 0;
        for happened in script {
            let mut cursor = Cursor::at(archived.max(stage.media.ring().oldest()));
            while let Ok(Some(tag)) = stage.media.ring().tag_at(&mut cursor) {
                let bytes = stage.media.ring().rest_of_tag(cursor);
                archive.insert(tag.seq, stage.media.ring().slices(&mut cursor, bytes).unwrap().concat());
                cursor = Cursor::behind(tag.seq);
            }
            archived = archived.max(stage.media.ring().readable_head());
            match happened {
                Happens::Sends(kind, length) => {
                    time += 20;
                    stage.put_payload(&format!("{kind}{time}"), &vec![time as u8; length], false);
                }
                Happens::Lost => {
                    let lost = stage.media.begin_media(TagKind::Audio, time, 50, stage.now).unwrap();
                    stage.put(&format!("a{time}"));
                    stage.media.abort(lost, stage.now).unwrap();
                }
                Happens::Passes(ms) => {
                    time += ms as u32;
                    stage.now = Millis(time.into());
                }
                Happens::Pauses(paused) => {
                    // Who would go on elsewhere inside a tag would be owed its rest.
                    if reader.rest().is_none() {
                        prop_assert_eq!(reader.pause(paused, stage.source(), stage.now), None);
                        next = next.filter(|_| reader.cursor().is_some());
                    }
                }
                Happens::Takes(most) => {
                    let mut most_lag_ms = Some(500);
                    let mut room = most;
                    loop {
                        let due = stage.stored(&mut reader, room, most_lag_ms);
                        match due {
                            Due::Bytes(slices) => {
                                most_lag_ms = None;
                                let given = slices.concat();
                                prop_assert!(!given.is_empty());
                                let from = reader.cursor().unwrap();
                                let mut at = next.unwrap_or(from);
                                prop_assert!(next.is_some() || from.at_tag_boundary());
                                // Some of it, as networks are.
                                let taken = given.len().div_ceil(2);
                                let mut rest = &given[..taken];
                                while !rest.is_empty() {
                                    let (&seq, tag) = archive.range(at.seq..).next().unwrap();
                                    prop_assert!(seq == at.seq || at.offset == 0, "the rest of a tag is passed over");
                                    let tag = &tag[at.offset as usize..];
                                    let (same, behind) = rest.split_at(rest.len().min(tag.len()));
                                    prop_assert_eq!(same, &tag[..same.len()]);
                                    rest = behind;
                                    at = match same.len() < tag.len() {
                                        true => Cursor { seq, offset: at.offset + same.len() as u32 },
                                        false => Cursor::behind(seq),
                                    };
                                }
                                next = Some(at);
                                room = room.saturating_sub(taken);
                                reader.sent(&stage.media, taken);
                                if room == 0 {
                                    break;
                                }
                            }
                            Due::Header(..) => {
                                next = None;
                                reader.taken(&due);
                            }
                            Due::Skipped => {
                                prop_assert!(next.is_none_or(Cursor::at_tag_boundary));
                                next = None;
                            }
                            // Sound until there is a picture.
                            Due::Tag(tag, offset) => {
                                let from = reader.cursor().unwrap();
                                prop_assert_eq!(from, Cursor { seq: tag.seq, offset });
                                reader.sent(&stage.media, stage.media.ring().rest_of_tag(from));
                                next = None;
                            }
                            Due::TooSlow => {
                                let next = next.unwrap();
                                prop_assert!(!next.at_tag_boundary() && next.seq < stage.media.ring().oldest());
                                return Ok(());
                            }
                            Due::Nothing => break,
                            other => prop_assert!(false, "{:?}", other),
                        }
                    }
                }
            }
        }
    }
}

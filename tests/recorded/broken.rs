//! Files that are not what they should be: each has an answer, and none takes more reads than a sound one of its size could.

use std::fs;

use rill::live::recorded::{Fill, Follows, NotPlayed};

use crate::disk::Disk;
use crate::film::{Film, Index, Layout, boxed, full};
use crate::long::Scratch;

/// What comes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is not opened.
    No(NotPlayed),
    /// It is played, so many messages of audio and video, to its end.
    Whole(usize),
    /// It is played until something cannot be.
    Until(usize),
}
use NotPlayed::{NoTrack, Structure};
use Outcome::{No, Until, Whole};

/// Reads that a file of this size may take, played from its front to its end and asked for its middle.
const READS: u64 = 3000;

fn film(layout: Layout) -> Vec<u8> {
    let scratch = Scratch::new(&format!("broken-{layout:?}").replace([' ', '{', '}', ':'], ""));
    let path = scratch.0.join("film");
    Film { seconds: 8, picture_bytes: 500, sound_bytes: 100, layout }.write(&path);
    fs::read(path).unwrap()
}

/// Pictures and sound of that film.
const PICTURES: usize = 240;
const SOUNDS: usize = 375;
const HEADERS: usize = 2;
const ALL: usize = PICTURES + SOUNDS + HEADERS;

/// Where the `nth` box of a kind begins, wherever it lies.
fn find(bytes: &[u8], kind: &[u8; 4], nth: usize) -> usize {
    bytes.windows(4).enumerate().filter(|(_, four)| *four == kind).nth(nth).unwrap().0 - 4
}

/// The same film with a number of a box changed: `at` counts from the box's first byte.
fn with(bytes: &[u8], kind: &[u8; 4], nth: usize, at: usize, value: u32) -> Vec<u8> {
    let place = find(bytes, kind, nth) + at;
    let mut changed = bytes.to_vec();
    changed[place..place + 4].copy_from_slice(&value.to_be_bytes());
    changed
}

/// The same film with a box called otherwise.
fn called(bytes: &[u8], kind: &[u8; 4], nth: usize, other: &[u8; 4]) -> Vec<u8> {
    with(bytes, kind, nth, 4, u32::from_be_bytes(*other))
}

fn play(name: &str, bytes: &[u8]) -> Outcome {
    let scratch = Scratch::new(&format!("play-{}", name.replace([' ', '/'], "-")));
    fs::write(scratch.0.join("film"), bytes).unwrap();
    let mut disk = Disk::new(scratch.0.clone());
    let outcome = match disk.open("film") {
        Err(why) => No(why),
        Ok(_) => {
            let (mut messages, mut fill) = (0, Fill::From(0));
            loop {
                let (_, next) = disk.fill(fill);
                let block = disk.block();
                let mut at = block.first();
                while let Some(message) = block.message(at) {
                    messages += 1;
                    at = message.end;
                }
                fill = Fill::On;
                // Without the metadata.
                match next {
                    Follows::More => {}
                    Follows::End => break Whole(messages - 1),
                    Follows::Fault => break Until(messages.saturating_sub(1)),
                }
            }
        }
    };
    if let Whole(_) | Until(_) = outcome {
        disk.fill(Fill::From(4000));
        disk.fill(Fill::Picture(4000));
    }
    let reads = disk.reads().calls;
    assert!(reads <= READS, "{name}: {reads} reads");
    outcome
}

#[track_caller]
fn check(files: &[(&str, Vec<u8>, Outcome)]) {
    let wrong: Vec<_> = files
        .iter()
        .map(|(name, bytes, expected)| (name, play(name, bytes), expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_of_boxes_that_lie_have_an_answer() {
    let first = film(Layout::TableFirst);
    let last = film(Layout::TableLast);
    let moov = find(&first, b"moov", 0);
    let mdat = find(&first, b"mdat", 0);
    let many_boxes = [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"free", &[]).repeat(200_000), first.clone()].concat();
    let deep = (0..200).fold(Vec::new(), |inner, _| boxed(b"moov", &inner));
    check(&[
        ("sound", first.clone(), Whole(ALL)),
        ("sound at the end", last.clone(), Whole(ALL)),
        ("nothing", Vec::new(), No(Structure)),
        ("a few bytes", first[..7].to_vec(), No(Structure)),
        ("a text", b"It was a dark and stormy night; the rain fell in torrents.".to_vec(), No(Structure)),
        ("cut off before its table", last[..last.len() * 73 / 100].to_vec(), No(Structure)),
        ("cut off in its table", first[..mdat - 100].to_vec(), No(Structure)),
        ("cut off in its media", first[..first.len() * 73 / 100].to_vec(), Whole(437)),
        ("a box shorter than its header", with(&first, b"ftyp", 0, 0, 7), No(Structure)),
        ("a box longer than its parent", with(&first, b"mvhd", 0, 0, 1 << 30), No(Structure)),
        ("a table longer than its box", with(&first, b"stsz", 0, 16, 1 << 30), No(Structure)),
        ("a box of 64 bits beyond all files", with(&first, b"ftyp", 0, 0, 1), No(Structure)),
        ("too many boxes", many_boxes, No(Structure)),
        ("boxes in boxes", deep, No(NoTrack)),
        ("no tracks", [&first[..moov], &boxed(b"moov", &full(b"mvhd", 0, &[0, 0, 1000, 0]))].concat(), No(NoTrack)),
        ("encrypted pictures", called(&first, b"avc1", 0, b"encv"), Whole(SOUNDS + 1)),
        ("encrypted", called(&called(&first, b"avc1", 0, b"encv"), b"mp4a", 0, b"enca"), No(NoTrack)),
        ("no configuration of pictures", called(&first, b"avcC", 0, b"free"), No(Structure)),
        ("no configuration of sound", called(&first, b"esds", 0, b"free"), Whole(PICTURES + 1)),
        ("a timescale of 0", with(&first, b"mdhd", 0, 20, 0), No(Structure)),
        ("no durations", with(&first, b"stts", 0, 12, 0), Whole(SOUNDS + 1)),
        ("chunks that do not follow", with(&first, b"stsc", 0, 16, 7), No(Structure)),
        ("no samples in a chunk", with(&first, b"stsc", 0, 20, 0), Whole(SOUNDS + 1)),
        ("a chunk behind the end", with(&first, b"co64", 0, 16, 1 << 30), Whole(SOUNDS + 1)),
        ("a sample of 4 GiB", with(&first, b"stsz", 0, 20, u32::MAX), Whole(SOUNDS + 1)),
        ("samples of 16 MiB", with(&with(&first, b"stsz", 0, 12, 0x100_0000), b"stsz", 0, 16, 240), Whole(SOUNDS + 1)),
        ("a composition of years", with(&first, b"ctts", 0, 20, i32::MAX.cast_unsigned()), Whole(ALL)),
        ("key frames that fall", with(&first, b"stss", 0, 16, 200), Whole(ALL)),
        ("a descriptor that is cut off", with(&first, b"esds", 0, 12, 0x03FF_FFFF), Whole(PICTURES + 1)),
    ]);
}

#[test]
fn fragments_that_lie_have_an_answer() {
    let plain = film(Layout::Fragments { index: Index::None });
    let at_end = film(Layout::Fragments { index: Index::AtEnd });
    let in_front = film(Layout::Fragments { index: Index::InFront });
    let second = find(&plain, b"moof", 1);
    check(&[
        ("sound", plain.clone(), Whole(ALL)),
        ("sound with an index at the end", at_end.clone(), Whole(ALL)),
        ("sound with an index in front", in_front.clone(), Whole(ALL)),
        ("torn in the second head", plain[..second + 10].to_vec(), Whole(HEADERS + 60 + 94)),
        ("torn and followed by zeros", [&plain[..second], &[0; 4096]].concat(), Whole(HEADERS + 60 + 94)),
        ("an index that leads nowhere", with(&at_end, b"tfra", 0, 40, u32::MAX), Whole(ALL)),
        ("an index that leads into media", with(&at_end, b"tfra", 0, 40, 3000), Whole(ALL)),
        ("an index longer than its box", with(&at_end, b"tfra", 0, 20, 1 << 30), Whole(ALL)),
        ("an index longer than the file", with(&at_end, b"mfro", 0, 12, u32::MAX), Whole(ALL)),
        ("pieces that lead nowhere", with(&in_front, b"sidx", 0, 32, u32::MAX >> 1), Whole(ALL)),
        ("more pieces than there is room for", with(&in_front, b"sidx", 0, 28, 0xFFFF), Whole(ALL)),
        ("an index of indexes", with(&in_front, b"sidx", 0, 32, 1 << 31), Whole(ALL)),
        ("a run with more samples than room", with(&plain, b"trun", 0, 12, 1 << 30), No(Structure)),
        ("a fragment without a header", called(&plain, b"tfhd", 0, b"free"), No(Structure)),
        ("fragments of another track", with(&plain, b"tfhd", 0, 12, 9), Whole(ALL - 60)),
        ("media behind the end", with(&plain, b"trun", 0, 16, 1 << 30), Whole(SOUNDS + 1)),
    ]);
}

/// A tag of an FLV file, and the link behind it.
fn tag(kind: u8, time: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let time = time.to_be_bytes();
    let head = [kind, length[1], length[2], length[3], time[1], time[2], time[3], time[0], 0, 0, 0];
    [&head[..], payload, &(payload.len() as u32 + 11).to_be_bytes()].concat()
}

fn flv(tags: &[Vec<u8>]) -> Vec<u8> {
    [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tags.concat()].concat()
}

#[test]
fn flv_and_mp3_files_that_lie_have_an_answer() {
    let picture = |number: u32| {
        let payload = [&[if number.is_multiple_of(10) { 0x17 } else { 0x27 }, 1, 0, 0, 0][..], &[7; 700]].concat();
        tag(9, number * 100, &payload)
    };
    let header = || tag(9, 0, b"\x17\0\0\0\0\x01\x42\0\x1E\xFF");
    let tags: Vec<Vec<u8>> = std::iter::once(header()).chain((0..100).map(picture)).collect();
    let sound = flv(&tags);
    let numbers = |numbers: &[f64]| {
        let each = numbers.iter().flat_map(|number| [&[0][..], &number.to_be_bytes()].concat());
        [&[10][..], &(numbers.len() as u32).to_be_bytes(), &each.collect::<Vec<u8>>()].concat()
    };
    let key = |name: &str| [&(name.len() as u16).to_be_bytes()[..], name.as_bytes()].concat();
    let metadata = |times: &[f64], places: &[f64]| {
        let index = [&[3][..], &key("times"), &numbers(times), &key("filepositions"), &numbers(places), &[0, 0, 9]];
        let named = [&[2][..], &key("onMetaData"), &[8, 0, 0, 0, 1], &key("keyframes"), &index.concat(), &[0, 0, 9]];
        tag(18, 0, &named.concat())
    };
    let indexed = |metadata: Vec<u8>| flv(&[&[metadata][..], &tags].concat());
    let mp3 = |frames: usize| [&[0xFF, 0xFB, 0x90, 0x00][..], &[0; 413]].concat().repeat(frames);
    check(&[
        ("sound", sound.clone(), Whole(101)),
        ("nothing but its head", sound[..13].to_vec(), No(Structure)),
        ("no frame", flv(&[header()]), No(Structure)),
        ("cut off", sound[..sound.len() * 73 / 100].to_vec(), Whole(73)),
        ("cut off and followed by zeros", [&sound[..sound.len() * 73 / 100], &[0; 300_000]].concat(), Whole(73)),
        ("a tag beyond the end", [&sound[..], &[9, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1]].concat(), Whole(101)),
        ("times that fall", flv(&[tags[..50].to_vec(), tags[..50].to_vec()].concat()), Whole(100)),
        ("an index that leads nowhere", indexed(metadata(&[0.0, 4.0], &[1e300, f64::NAN])), Whole(101)),
        ("an index that leads into media", indexed(metadata(&[0.0, 1.0], &[100.0, 12_345.0])), Whole(101)),
        ("an index of two lengths", indexed(metadata(&[0.0, 1.0], &[100.0])), Whole(101)),
        ("a codec of nobody", flv(&[tag(9, 0, &[0x1F; 20]), tag(9, 40, &[0x2F; 20])]), No(NoTrack)),
        ("mp3", mp3(50), Whole(50)),
        ("mp3 with zeros in between", [mp3(20), vec![0; 5000], mp3(20)].concat(), Whole(40)),
        ("mp3 behind a tag beyond the end", [&b"ID3\x04\0\0\x7F\x7F\x7F\x7F"[..], &mp3(20)].concat(), No(Structure)),
    ]);
}

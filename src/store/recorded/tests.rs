//! Blocks of files in memory.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::handles::{ConnId, SlotIndex};
use crate::limits::{OUT_CHUNK_BYTES, RECORDED_BLOCK_BYTES};
use crate::live::download::FileName;
use crate::live::jobs::{AskedBy, AskedFor};
use crate::media::{Framing, TagKind};
use crate::wire::amf0::{Decoder, Value};
use crate::wire::flv::{Codec, SubTagHeader};

/// Files in memory, by their paths.
#[derive(Default)]
struct Memory(HashMap<String, Vec<u8>>);

/// One of them, of which reads fail from a place on.
struct InMemory {
    bytes: Vec<u8>,
    fails_at: Option<u64>,
}

impl ReadAt for InMemory {
    type Error = &'static str;

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, &'static str> {
        if self.fails_at.is_some_and(|fails_at| at + out.len() as u64 > fails_at) {
            return Err("the card is gone");
        }
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl Files for Memory {
    type Open = InMemory;

    fn find(&mut self, name: &RecordedName) -> Result<InMemory, NotPlayed> {
        let bytes = self.0.get(name.path.as_str()).ok_or(NotPlayed::Missing)?.clone();
        let fails_at = name.path.strip_prefix("fails/").and_then(|at| at.parse().ok());
        Ok(InMemory { bytes, fails_at })
    }

    fn find_file(&mut self, _: &FileName) -> Result<(Self::Open, u64), NotPlayed> {
        Err(NotPlayed::Missing)
    }

    fn look(&mut self, _: &mut InMemory, _: Option<u64>) {}

    fn next(&mut self, _: &RecordedName) -> FileStep {
        FileStep::default()
    }
}

const ID: RecordedId = RecordedId { place: 1, generation: 7 };

fn disk(files: &[(&str, &[u8])]) -> RecordedFiles<Memory> {
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
    RecordedFiles::new(Memory(files.collect()), 2)
}

fn open(disk: &mut RecordedFiles<Memory>, id: RecordedId, name: &str) -> Result<RecordedFacts, NotPlayed> {
    let name = RecordedName::new("vod", "_definst_", false, name.as_bytes()).unwrap();
    match disk.work(Job::Open { id, name, growing: None }) {
        Done::Opened { id: same, found, .. } if same == id => found,
        done => panic!("{done:?}"),
    }
}

fn fill(
    disk: &mut RecordedFiles<Memory>,
    fill: Fill,
    terms: RecordedTerms,
    block: Block,
) -> (Block, Option<u32>, Follows) {
    match disk.work(Job::Fill { id: ID, fill, terms, block }) {
        Done::Filled { id: ID, block: Some(block), from_ms, next } => (block, from_ms, next),
        done => panic!("{done:?}"),
    }
}

/// A message as it is received.
#[derive(Clone, Debug, PartialEq)]
struct Received {
    kind: TagKind,
    time_ms: u32,
    payload: Vec<u8>,
}

/// Takes whole messages off the front of what was sent.
fn receive(wire: &[u8]) -> Vec<Received> {
    let mut received = Vec::new();
    let mut at = 0;
    while let Some(header) = crate::wire::chunk::MessageHeader::parse_type0(&wire[at..]) {
        let framing = Framing::<OUT_CHUNK_BYTES> { timestamp: header.timestamp, length: header.length };
        let kind = TagKind::of_message_type(header.type_id).unwrap();
        assert_eq!(framing.header(kind, header.stream_id).as_slice()[0], wire[at]);
        let mut payload = Vec::new();
        let mut from = at + framing.header_bytes() as usize;
        while payload.len() < header.length as usize {
            if !payload.is_empty() {
                let again = framing.continuation(kind);
                assert_eq!(&wire[from..from + again.as_slice().len()], again.as_slice());
                from += again.as_slice().len();
            }
            let count = OUT_CHUNK_BYTES.min(header.length as usize - payload.len());
            payload.extend(&wire[from..from + count]);
            from += count;
        }
        at = from;
        received.push(Received { kind, time_ms: header.timestamp, payload });
    }
    assert_eq!(at, wire.len());
    received
}

/// All that is sent from a place of the file on. Each block is looked at as a player does.
fn all(disk: &mut RecordedFiles<Memory>, first: Fill, terms: RecordedTerms) -> (Vec<Received>, Follows) {
    let mut wire = Vec::new();
    let mut block = Block::new();
    let mut next_fill = first;
    loop {
        let (filled, _, next) = fill(disk, next_fill, terms, block);
        let begun = wire.len();
        wire.extend(filled.bytes());
        let mut at = filled.first();
        let mut times = Vec::new();
        while let Some(message) = filled.message(at) {
            times.push(message.time_ms);
            at = message.end;
        }
        assert!(next != Follows::More || wire.len() > begun, "a block without anything, and more to come");
        assert!(next == Follows::More || at == filled.bytes().len(), "nothing follows, and a message has no end");
        let media = times.iter().skip_while(|time| **time == 0);
        let span = media.clone().max().unwrap_or(&0) - media.min().unwrap_or(&0);
        assert!(span <= 1000, "{times:?}");
        if next != Follows::More {
            return (receive(&wire), next);
        }
        block = filled;
        // A picture is all.
        next_fill = if matches!(first, Fill::Picture(_)) { Fill::Rest } else { Fill::On };
    }
}

/// A tag of a file: its type, time and payload.
type Tag = (u8, u32, Vec<u8>);

fn flv(tags: &[Tag]) -> Vec<u8> {
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for (message_type, timestamp_ms, payload) in tags {
        let length = payload.len() as u32;
        file.extend(SubTagHeader { message_type: *message_type, length, timestamp_ms: *timestamp_ms }.emit());
        file.extend(payload);
        file.extend((length + 11).to_be_bytes());
    }
    file
}

fn avc(key: bool, bytes: usize) -> Vec<u8> {
    let mut payload = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    payload.extend((0..bytes).map(|at| (at * 7 % 251) as u8));
    payload
}

fn aac(bytes: usize) -> Vec<u8> {
    let mut payload = vec![0xAF, 1];
    payload.extend((0..bytes).map(|at| (at * 3 % 241) as u8));
    payload
}

const AVC_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x42, 0, 0x1E, 0xFF, 0xE0];
const AAC_HEADER: &[u8] = &[0xAF, 0, 0x12, 0x10];

/// Two seconds with a key frame in each.
fn film() -> Vec<Tag> {
    let mut tags = vec![(9, 0, AVC_HEADER.to_vec()), (8, 0, AAC_HEADER.to_vec())];
    for number in 0..50 {
        tags.push((8, number * 40, aac(40)));
        tags.push((9, number * 40, avc(number % 25 == 0, if number % 25 == 0 { 140_000 } else { 3000 })));
    }
    tags
}

/// What a player of the whole file receives behind the metadata.
fn as_received(tags: &[Tag]) -> Vec<Received> {
    let begin = tags.iter().find(|tag| tag.2 != AVC_HEADER && tag.2 != AAC_HEADER).map_or(0, |tag| tag.1);
    let received = tags.iter().map(|(message_type, time, payload)| Received {
        kind: TagKind::of_message_type(*message_type).unwrap(),
        time_ms: time.saturating_sub(begin),
        payload: payload.clone(),
    });
    received.collect()
}

#[test]
fn a_film_is_sent_as_it_is_behind_its_metadata() {
    let tags = film();
    let mut disk = disk(&[("film", &flv(&tags))]);
    let facts = open(&mut disk, ID, "film").unwrap();
    assert_eq!((facts.duration_ms, facts.video, facts.audio), (1960, Some(Codec::Avc), Some(Codec::Aac)));
    let (received, next) = all(&mut disk, Fill::From(0), RecordedTerms::whole(1));
    assert_eq!(next, Follows::End);
    let mut metadata = Decoder::new(&received[0].payload);
    assert_eq!((received[0].kind, received[0].time_ms, metadata.string()), (TagKind::Data, 0, Ok(&b"onMetaData"[..])));
    let Ok(Value::EcmaArray(said)) = metadata.value() else { panic!("{received:?}") };
    let number = |name: &str| said.get(name).and_then(|value| value.as_number());
    assert_eq!(
        (number("duration"), number("videocodecid"), number("audiocodecid")),
        (Some(1.96), Some(7.0), Some(10.0))
    );
    assert_eq!((number("audiosamplerate"), number("filesize")), (Some(44_100.0), Some(facts.bytes as f64)));
    // What the file does not say is seen: a picture and 42 bytes of sound each 40 ms.
    let video_kbits = (facts.bytes as f64 * 8.0 / 1960.0 - 42.0 * 8.0 / 40.0).round();
    assert_eq!(
        (number("framerate"), number("audiodatarate"), number("videodatarate")),
        (Some(25.0), Some(8.0), Some(video_kbits))
    );
    assert!(received[1..] == as_received(&tags));
}

#[test]
fn a_seek_begins_at_the_key_frame_before_with_the_headers_and_leaves_out_what_was_begun() {
    let tags = film();
    let mut disk = disk(&[("film", &flv(&tags))]);
    open(&mut disk, ID, "film").unwrap();
    // In the midst of the first key frame.
    let (block, from_ms, next) = fill(&mut disk, Fill::From(0), RecordedTerms::whole(1), Block::new());
    assert_eq!((block.bytes().len(), from_ms, next), (RECORDED_BLOCK_BYTES, Some(0), Follows::More));
    let (block, from_ms, next) = fill(&mut disk, Fill::From(1500), RecordedTerms::whole(1), block);
    assert_eq!((block.first(), from_ms, next), (0, Some(1000), Follows::More));
    let (received, _) = all(&mut disk, Fill::From(1500), RecordedTerms::whole(1));
    let times: Vec<_> = received[..4].iter().map(|message| (message.kind, message.time_ms)).collect();
    let [data, video, audio] = [TagKind::Data, TagKind::Video, TagKind::Audio];
    assert_eq!(times, [(data, 0), (video, 1000), (audio, 1000), (video, 1000)]);
    assert!(received[3..] == as_received(&tags)[2 + 25 * 2 + 1..]);
}

#[test]
fn the_rest_of_a_message_is_all_that_is_sent_when_that_is_asked() {
    let mut disk = disk(&[("film", &flv(&film()))]);
    open(&mut disk, ID, "film").unwrap();
    let (block, _, _) = fill(&mut disk, Fill::From(0), RecordedTerms::whole(1), Block::new());
    let mut wire = block.bytes().to_vec();
    let (block, _, next) = fill(&mut disk, Fill::Rest, RecordedTerms::whole(1), block);
    assert_eq!((block.first(), next), (RECORDED_BLOCK_BYTES, Follows::More));
    wire.extend(block.bytes());
    let (block, _, next) = fill(&mut disk, Fill::Rest, RecordedTerms::whole(1), block);
    assert_eq!((block.first(), next), (block.bytes().len(), Follows::End));
    wire.extend(block.bytes());
    assert_eq!(receive(&wire).last().unwrap().payload, avc(true, 140_000));
    let (block, _, next) = fill(&mut disk, Fill::Rest, RecordedTerms::whole(1), block);
    assert_eq!((block.bytes(), next), (&[][..], Follows::End));
}

#[test]
fn a_picture_is_sent_alone() {
    let mut disk = disk(&[("film", &flv(&film()))]);
    open(&mut disk, ID, "film").unwrap();
    let (received, next) = all(&mut disk, Fill::Picture(1700), RecordedTerms::whole(1));
    assert_eq!((received.len(), next), (4, Follows::End));
    assert_eq!((&received[1].payload[..], &received[2].payload[..]), (AVC_HEADER, AAC_HEADER));
    assert_eq!((received[3].time_ms, &received[3].payload), (1000, &avc(true, 140_000)));
}

#[test]
fn an_item_has_times_of_its_own_and_an_end() {
    let mut disk = disk(&[("film", &flv(&film()))]);
    open(&mut disk, ID, "film").unwrap();
    let terms = RecordedTerms { start_ms: 1200, base_ms: 500, end_ms: Some(1400), ..RecordedTerms::whole(3) };
    let (received, next) = all(&mut disk, Fill::From(1200), terms);
    assert_eq!(next, Follows::End);
    let times = |kind| received[1..].iter().filter(move |message| message.kind == kind).map(|message| message.time_ms);
    let expected = [500, 500, 500, 500, 500, 500, 540, 580, 620, 660];
    // A header, and before the item's beginning the frames from the key frame on.
    assert_eq!(times(TagKind::Video).collect::<Vec<_>>(), [&[500][..], &expected].concat());
    let terms = RecordedTerms { audio: false, ..RecordedTerms::whole(1) };
    let (received, _) = all(&mut disk, Fill::From(0), terms);
    assert!(received.iter().all(|message| message.kind != TagKind::Audio));
    assert_eq!(received.len(), 1 + 1 + 50);
}

#[test]
fn who_knows_no_enhanced_rtmp_is_sent_legacy_messages() {
    let enhanced = |kind: u8, body: &[u8]| [&[0x80 | kind][..], b"avc1", body].concat();
    let tags = [
        (9, 0, enhanced(0x10, AVC_HEADER)),
        (9, 0, enhanced(0x13, b"key")),
        (9, 40, [&[0xA3][..], b"hvc1", b"not this"].concat()),
        (9, 80, enhanced(0x23, b"inter")),
    ];
    let mut disk = disk(&[("film", &flv(&tags))]);
    open(&mut disk, ID, "film").unwrap();
    let terms = RecordedTerms { legacy: true, ..RecordedTerms::whole(1) };
    let (received, _) = all(&mut disk, Fill::From(0), terms);
    let payloads: Vec<_> = received[1..].iter().map(|message| (message.time_ms, &message.payload[..])).collect();
    let header = [&[0x17, 0, 0, 0, 0][..], AVC_HEADER].concat();
    assert_eq!(payloads, [(0, &header[..]), (0, b"\x17\x01\0\0\0key"), (80, b"\x27\x01\0\0\0inter")]);
}

#[test]
fn a_disk_that_fails_in_a_frame_ends_it_with_zeros_and_then_the_stream() {
    let file = flv(&film());
    let fails_at = file.len() - 200_000;
    let name = format!("fails/{fails_at}");
    let mut disk = disk(&[(&name, &file)]);
    assert_eq!(open(&mut disk, ID, &name), Err(NotPlayed::Unreadable), "its end cannot be read");
    // Cut off while it is played: the end was there when it was opened.
    let mut disk = super::tests::disk(&[("film", &file)]);
    open(&mut disk, ID, "film").unwrap();
    let (block, _, _) = fill(&mut disk, Fill::From(0), RecordedTerms::whole(1), Block::new());
    let mut wire = block.bytes().to_vec();
    disk.open[1].as_mut().unwrap().file.bytes.truncate(100_000);
    let (block, _, next) = fill(&mut disk, Fill::On, RecordedTerms::whole(1), block);
    wire.extend(block.bytes());
    assert_eq!(next, Follows::More);
    let (block, _, next) = fill(&mut disk, Fill::On, RecordedTerms::whole(1), block);
    wire.extend(block.bytes());
    assert_eq!(next, Follows::Fault);
    let received = receive(&wire);
    let last = &received.last().unwrap().payload;
    assert_eq!(last.len(), 140_005);
    assert!(last[..90_000] == avc(true, 140_000)[..90_000] && last[120_000..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_that_grows_while_it_is_played_is_played_as_far_as_it_is_whole() {
    let tags = film();
    let whole = flv(&tags);
    let cut = flv(&tags[..60]).len() + 7;
    let mut disk = disk(&[("film", &whole[..cut])]);
    open(&mut disk, ID, "film").unwrap();
    let (first, next) = all(&mut disk, Fill::From(0), RecordedTerms::whole(1));
    assert_eq!(next, Follows::End);
    disk.open[1].as_mut().unwrap().file.bytes.clone_from(&whole);
    let (second, next) = all(&mut disk, Fill::On, RecordedTerms::whole(1));
    assert_eq!(next, Follows::End);
    assert!([&first[1..], &second].concat() == as_received(&tags));
}

#[test]
fn what_is_asked_for_a_place_of_another_gives_the_block_back_and_nothing_else() {
    let mut disk = disk(&[("film", &flv(&film()))]);
    let other = RecordedId { generation: 8, ..ID };
    open(&mut disk, other, "film").unwrap();
    let (block, from_ms, next) = fill(&mut disk, Fill::From(0), RecordedTerms::whole(1), Block::new());
    assert_eq!((block.bytes(), from_ms, next), (&[][..], None, Follows::Fault));
    // Closing what is not open any more closes nothing.
    assert_eq!(disk.work(Job::Close { id: ID }), Done::Closed { id: ID });
    assert!(disk.open[1].is_some());
    assert_eq!(disk.work(Job::Close { id: other }), Done::Closed { id: other });
    assert!(disk.open[1].is_none());
    assert_eq!(open(&mut disk, RecordedId { place: 2, generation: 0 }, "film"), Err(NotPlayed::Unreadable));
}

#[test]
fn what_cannot_be_played_says_why() {
    let nothing = flv(&[(9, 0, vec![0x1F, 1, 2]), (9, 40, vec![0x1F, 1, 2])]);
    let mut disk = disk(&[("text", b"Hello, this is no film at all."), ("nothing", &nothing), ("empty", b"")]);
    assert_eq!(open(&mut disk, ID, "none"), Err(NotPlayed::Missing));
    assert_eq!(open(&mut disk, ID, "text"), Err(NotPlayed::Structure));
    assert_eq!(open(&mut disk, ID, "empty"), Err(NotPlayed::Structure));
    assert_eq!(open(&mut disk, ID, "nothing"), Err(NotPlayed::NoTrack));
    let asked =
        Some(AskedBy { conn: ConnId { slot: SlotIndex(3), generation: 1 }, transaction: 4.0, what: AskedFor::Length });
    let name = RecordedName::new("vod", "_definst_", false, b"none").unwrap();
    assert_eq!(
        disk.work(Job::Facts { asked, name: name.clone() }),
        Done::Facts { asked, name, found: Err(NotPlayed::Missing) }
    );
}

/// A file whose bytes say where they lie.
struct Places;

impl ReadAt for Places {
    type Error = ();

    fn size(&self) -> u64 {
        5000
    }

    fn read_at(&mut self, at: u64, out: &mut [u8]) -> Result<usize, ()> {
        let count = out.len().min(5000_usize.saturating_sub(at as usize));
        out[..count].iter_mut().zip(at..).for_each(|(byte, at)| *byte = (at * 7 % 253) as u8);
        Ok(count)
    }
}

proptest! {
    /// However pieces lie in the file, each is where it was wanted, and what is not there is said.
    #[test]
    fn what_is_gathered_is_what_lies_there(
        pieces in prop::collection::vec((0_usize..2, prop_oneof![Just(None), (0_u64..5200).prop_map(Some)], 1_u32..90), 1..200),
    ) {
        let (mut block, mut gather, mut ends) = (Block::new(), gather::Gather::default(), [0, 2000]);
        let mut wanted = Vec::new();
        for (run, from, count) in pieces {
            let at = from.unwrap_or(ends[run]);
            ends[run] = at + u64::from(count);
            block.put(1);
            let begin = block.bytes().len() as u32;
            block.put(count as usize);
            gather.put(&mut Places, run, at, begin..begin + count, &mut block);
            wanted.push((at, begin as usize, count as usize));
        }
        gather.read(&mut Places, &mut block);
        prop_assert_eq!(gather.failed, wanted.iter().any(|(at, _, count)| at + *count as u64 > 5000));
        for (at, begin, count) in wanted.into_iter().filter(|_| !gather.failed) {
            let mut bytes = vec![0; count];
            Places.read_at(at, &mut bytes).unwrap();
            prop_assert_eq!(&block.bytes()[begin..begin + count], &bytes[..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Blocks have exactly the messages of a file, in their order, wherever they are cut.
    #[test]
    fn blocks_are_the_file(
        frames in prop::collection::vec((0_u32..700, 1_usize..3, prop_oneof![1_usize..400, 60_000_usize..140_000]), 1..40),
        begin in prop_oneof![Just(0), Just(0xFF_FF00_u32)],
    ) {
        let mut time = begin;
        let mut tags = vec![(9, begin, AVC_HEADER.to_vec()), (8, begin, AAC_HEADER.to_vec())];
        for (number, (later, kind, bytes)) in frames.into_iter().enumerate() {
            time += if number == 0 { 0 } else { later };
            tags.push(if kind == 1 { (8, time, aac(bytes)) } else { (9, time, avc(number == 0, bytes)) });
        }
        let mut disk = disk(&[("film", &flv(&tags))]);
        open(&mut disk, ID, "film").unwrap();
        let (received, next) = all(&mut disk, Fill::From(0), RecordedTerms::whole(1));
        prop_assert_eq!(next, Follows::End);
        prop_assert!(received[1..] == as_received(&tags));
    }
}

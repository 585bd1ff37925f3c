//! Laws of a session: cutting its input anywhere changes nothing, and no input breaks it.

use std::collections::{BTreeMap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use rill::limits::TX_BYTES;
use rill::rtmp::event::SessionError;
use rill::rtmp::session::Session;
use rill::rtmp::status::{Code, Status};
use rill::rtmp::tx::TxBuf;
use rill::time::Millis;

use crate::rtmp::*;

/// All that can be told of a session from outside.
type Outcome = (Vec<Seen>, Bytes, Result<(), SessionError>);

/// Feeds `bytes` cut at `cuts` to a new session.
fn run(bytes: &[u8], cuts: &[usize], takes: Option<usize>, refuse: bool) -> Outcome {
    let mut peer = Peer::new();
    peer.takes = takes;
    peer.refuse = refuse.then_some(Status::new(Code::StreamFailed, "cam"));
    let mut result = Ok(());
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let end = end.clamp(start, bytes.len());
        result = peer.feed(&bytes[start..end]);
        if result.is_err() {
            break;
        }
        start = end;
    }
    peer.drain();
    (peer.seen, peer.sent, result)
}

/// Whether sessions whose replies are taken whenever they are taken are the same: an acknowledgement for which there was no
/// room is not sent later, as the next one says all that it would have said.
fn difference_but_for_acknowledgements(a: Outcome, b: Outcome) -> Option<String> {
    let others = |(seen, sent, result): Outcome| (seen, without_acknowledgements(&sent), result);
    difference(&others(a), &others(b))
}

fn without_acknowledgements(sent: &[u8]) -> Bytes {
    let (greeting, mut rest) = sent.split_at(sent.len().min(1 + 2 * 1536));
    let mut others = greeting.to_vec();
    // Each message is one chunk with a whole header.
    while let Some(&[_, _, _, _, a, b, c, type_id, ..]) = rest.first_chunk::<12>() {
        let (message, behind) = rest.split_at(12 + u32::from_be_bytes([0, a, b, c]) as usize);
        if type_id != 3 {
            others.extend(message);
        }
        rest = behind;
    }
    assert!(rest.is_empty());
    others
}

/// The first thing in which two sessions differ, in words.
fn difference(a: &Outcome, b: &Outcome) -> Option<String> {
    let events =
        a.0.iter().zip(&b.0).position(|(a, b)| a != b).or((a.0.len() != b.0.len()).then_some(a.0.len().min(b.0.len())));
    if let Some(at) = events {
        return Some(format!("event {at}: {:?} or {:?}", a.0.get(at), b.0.get(at)));
    }
    if a.1 != b.1 {
        let at = a.1.iter().zip(&b.1).take_while(|(a, b)| a == b).count();
        return Some(format!("replies from byte {at} on, of {} or {}", a.1.len(), b.1.len()));
    }
    (a.2 != b.2).then(|| format!("{:?} and {:?}", a.2, b.2))
}

/// A message, with the chunk stream it goes out on.
#[derive(Clone, Debug)]
struct Message {
    chunk_stream: u8,
    time: u32,
    type_id: u8,
    stream: u32,
    body: Bytes,
}

#[derive(Clone, Copy)]
struct Header {
    time: u32,
    delta: u32,
    length: usize,
    type_id: u8,
    stream: u32,
    /// Timestamp field of the last header: type-3 chunks repeat it when it was extended.
    field: u32,
    after_full: bool,
}

/// Sends messages chunk by chunk, from a chunk stream picked anew each time, with the shortest header that is allowed when
/// the pick says so.
fn interleave(messages: &[Message], picks: &[u8]) -> Bytes {
    let mut lanes = BTreeMap::<u8, VecDeque<&Message>>::new();
    for message in messages {
        lanes.entry(message.chunk_stream).or_default().push_back(message);
    }
    let (mut out, mut chunk_bytes) = (Bytes::new(), 128);
    let mut headers = BTreeMap::<u8, Header>::new();
    let mut sent = BTreeMap::<u8, usize>::new();
    for pick in picks.iter().cycle() {
        let Some((&id, _)) = lanes.iter().nth(usize::from(*pick) % lanes.len().max(1)) else { return out };
        let message = lanes[&id][0];
        let at = sent.get(&id).copied();
        chunk_header(&mut out, message, at, &mut headers, pick & 0x80 != 0);
        let end = message.body.len().min(at.unwrap_or(0) + chunk_bytes);
        out.extend(&message.body[at.unwrap_or(0)..end]);
        if end < message.body.len() {
            sent.insert(id, end);
            continue;
        }
        sent.remove(&id);
        finish(&mut lanes, id);
        let value = message.body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match (message.type_id, value) {
            (1, Some(bytes)) if bytes > 0 => chunk_bytes = bytes as usize,
            (2, Some(aborted)) if sent.remove(&(aborted as u8)).is_some() => finish(&mut lanes, aborted as u8),
            _ => {}
        }
    }
    out
}

fn finish(lanes: &mut BTreeMap<u8, VecDeque<&Message>>, id: u8) {
    let lane = lanes.get_mut(&id).unwrap();
    lane.pop_front();
    if lane.is_empty() {
        lanes.remove(&id);
    }
}

fn chunk_header(
    out: &mut Bytes,
    message: &Message,
    at: Option<usize>,
    headers: &mut BTreeMap<u8, Header>,
    shortest: bool,
) {
    let id = message.chunk_stream;
    let last = headers.get(&id).copied();
    let extended = |out: &mut Bytes, field: u32| {
        if field >= 0xFF_FFFF {
            out.extend(field.to_be_bytes());
        }
    };
    if let (Some(_), Some(last)) = (at, last) {
        out.push(0xC0 | id);
        return extended(out, last.field);
    }
    let last = last.filter(|last| shortest && last.stream == message.stream);
    let delta = message.time.wrapping_sub(last.map_or(0, |last| last.time));
    let format = match last {
        None => 0,
        Some(last) if last.length != message.body.len() || last.type_id != message.type_id => 1,
        Some(last) if last.delta != delta || last.after_full => 2,
        Some(_) => 3,
    };
    let field = if format == 0 { message.time } else { delta };
    out.push(format << 6 | id);
    if format < 3 {
        out.extend(&field.min(0xFF_FFFF).to_be_bytes()[1..]);
    }
    if format < 2 {
        out.extend(&(message.body.len() as u32).to_be_bytes()[1..]);
        out.push(message.type_id);
    }
    if format == 0 {
        out.extend(message.stream.to_le_bytes());
    }
    extended(out, field);
    let &Message { time, type_id, stream, .. } = message;
    let length = message.body.len();
    headers.insert(id, Header { time, delta, length, type_id, stream, field, after_full: format == 0 });
}

/// A message of an encoder or player that is at work.
fn at_work() -> impl Strategy<Value = Message> {
    let time = prop_oneof![4 => 0..100_000_u32, 1 => 0xFF_FF00..0x100_0100_u32, 1 => any::<u32>()];
    let stream = prop_oneof![8 => Just(1_u32), 1 => 0..4_u32, 1 => any::<u32>()];
    let media = || vec(any::<u8>(), 0..700);
    let body = prop_oneof![
        6 => media().prop_map(|body| (6, 9, body)),
        6 => media().prop_map(|body| (4, 8, body)),
        3 => data().prop_map(|body| (5, 18, body)),
        1 => data().prop_map(|body| (5, 15, [vec![0], body].concat())),
        3 => aggregate().prop_map(|body| (7, 22, body)),
        1 => command().prop_map(|body| (5, 20, body)),
        2 => command().prop_map(|body| (3, 20, body)),
        1 => command().prop_map(|body| (3, 17, [vec![0], body].concat())),
        2 => any::<u32>().prop_map(|stamp| (2, 4, [&[0, 6][..], &stamp.to_be_bytes()].concat())),
        1 => (1..5000_u32).prop_map(|bytes| (2, 1, bytes.to_be_bytes().to_vec())),
        1 => (3..8_u32).prop_map(|id| (2, 2, id.to_be_bytes().to_vec())),
        1 => (0..9000_u32).prop_map(|bytes| (2, 5, bytes.to_be_bytes().to_vec())),
        1 => (any::<u32>(), 0..3_u8).prop_map(|(bytes, limit)| (2, 6, [&bytes.to_be_bytes()[..], &[limit]].concat())),
        1 => media().prop_map(|body| (8, 19, body)),
    ];
    (body, time, stream).prop_map(|((chunk_stream, type_id, body), time, stream)| Message {
        chunk_stream,
        time,
        type_id,
        stream,
        body,
    })
}

fn data() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just([string("@setDataFrame"), string("onMetaData"), object(&[("width", number(640.0))])].concat()),
        Just([string("onMetaData"), ecma_array(&[("a", string(&"x".repeat(300)))])].concat()),
        Just([string("onCuePoint"), amf3_object(&[("a", "b")])].concat()),
        Just(vec![0, 0, 1, 2]),
        Just([string("onTextData"), string(&"x".repeat(5000))].concat()),
        Just([string("onMetaData"), amf3_object(&[("width", "640"), ("title", &"x".repeat(5000))])].concat()),
        (0..6000_usize, 0..300_usize).prop_map(|(long, short)| {
            let of = [("a", string(&"x".repeat(long))), ("width", number(640.0)), ("b", string(&"x".repeat(short)))];
            let members = properties(&of);
            let all = members[..members.len() - 3].repeat(1 + short % 20);
            [string("@setDataFrame"), string("onMetaData"), vec![3], all, vec![0, 0, 9]].concat()
        }),
        vec(any::<u8>(), 0..40),
    ]
}

fn aggregate() -> impl Strategy<Value = Bytes> {
    let part = (prop_oneof![Just(8_u8), Just(9), Just(18), any::<u8>()], any::<u32>(), vec(any::<u8>(), 0..200));
    let parts = vec(part.prop_map(|(type_id, time, body)| tag(type_id, time, &body)), 0..5);
    let cut = prop_oneof![3 => Just(usize::MAX), 1 => 0..300_usize];
    (parts, cut).prop_map(|(parts, cut)| {
        let mut body = parts.concat();
        body.truncate(cut);
        body
    })
}

fn command() -> impl Strategy<Value = Bytes> {
    let names = [
        "createStream",
        "deleteStream",
        "closeStream",
        "publish",
        "publish",
        "play",
        "play2",
        "pause",
        "seek",
        "receiveAudio",
        "receiveVideo",
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "releaseStream",
        "getStreamLength",
        "DVRGetStreamInfo",
        "_checkbw",
        "checkBandwidth",
        "ping",
        "_result",
        "anything",
    ];
    let argument = prop_oneof![
        6 => Just(string("cam")),
        1 => Just(number(1.0)),
        1 => any::<bool>().prop_map(boolean),
        1 => Just(object(&[("streamName", string("cam2"))])),
        1 => Just(null()),
    ];
    (proptest::sample::select(names.to_vec()), 0..4_u8, vec(argument, 0..3)).prop_map(
        |(name, transaction, arguments)| {
            command_body(name, f64::from(transaction), &[&[null()][..], &arguments].concat())
        },
    )
}

/// A whole session: it connects, publishes or plays, and then works.
fn session() -> impl Strategy<Value = Bytes> {
    (any::<bool>(), any::<bool>(), vec(at_work(), 0..40), vec(any::<u8>(), 1..60)).prop_map(
        |(plays, window, messages, picks)| {
            let opening = [
                handshake(),
                if window { control(5, &[0, 0, 2, 0]) } else { Bytes::new() },
                connect(1.0, &[("app", string("live")), ("tcUrl", string("rtmp://h/live")), ("capsEx", number(15.0))]),
                call(0, "releaseStream", 2.0, &[null(), string("cam")]),
                call(0, "FCPublish", 3.0, &[null(), string("cam")]),
                call(0, "createStream", 4.0, &[null()]),
                if plays { play(1, "cam") } else { publish(1, "cam") },
            ];
            [opening.concat(), interleave(&messages, &picks)].concat()
        },
    )
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0..6000_usize, 3000..4000_usize, 0..30_000_usize], 0..40).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

fn takes() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), Just(Some(usize::MAX)), (1..400_usize).prop_map(Some)]
}

#[test]
fn a_session_fed_byte_by_byte_is_the_session_fed_whole() {
    let messages: Vec<Message> = (0..30_u32)
        .map(|i| Message {
            chunk_stream: [4, 6, 7, 5][i as usize % 4],
            time: 0xFF_FFF0 + i,
            type_id: [8, 9, 22, 18][i as usize % 4],
            stream: 1,
            body: match i % 4 {
                2 => {
                    [tag(9, i, &[0x27; 150]), tag(18, i, &[string("onMetaData"), object(&[])].concat()), tag(8, i, b"")]
                        .concat()
                }
                3 => [string("onMetaData"), object(&[("i", number(f64::from(i)))])].concat(),
                _ => vec![i as u8; 20 * i as usize],
            },
        })
        .collect();
    let picks: Bytes = (0..97_u32).map(|i| ((i * i * 31) >> 2) as u8).collect();
    let bytes = [
        handshake(),
        connect(1.0, &[("app", string("live"))]),
        control(5, &[0, 0, 1, 0]),
        publish(1, "cam"),
        interleave(&messages, &picks),
        call(0, "deleteStream", 5.0, &[null(), number(1.0)]),
    ]
    .concat();
    let whole = run(&bytes, &[], None, false);
    assert_eq!(whole.2, Ok(()));
    let ends = whole.0.iter().filter(|seen| matches!(seen, Seen::End { .. } | Seen::Data { .. })).count();
    assert_eq!(ends, 30 + 2 * 7, "the other two parts of each aggregate are messages too");
    let every: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(run(&bytes, &every, None, false), whole);
    assert_eq!(run(&bytes, &every, Some(7), false), whole);
    // Every third place for one cut.
    for cut in (3000..bytes.len()).step_by(3) {
        assert_eq!(run(&bytes, &[cut], None, false), whole, "cut at {cut}");
    }
}

#[test]
fn a_session_knows_how_much_of_its_handshake_is_to_come_and_takes_all_of_it() {
    let bytes = handshake();
    for step in [1, 500, 1536, 1537, bytes.len()] {
        let (mut session, mut tx) = (Session::new(1), TxBuf::default());
        let mut left = bytes.len();
        for mut part in bytes.chunks(step) {
            assert_eq!(session.handshake_bytes(), left, "in steps of {step}");
            left -= part.len();
            assert!(session.next(&mut part, &mut tx, Millis(0)).unwrap().is_none());
            assert!(part.is_empty());
        }
        assert_eq!((session.handshake_bytes(), session.is_open()), (0, true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_the_same_however_they_are_cut_and_whenever_their_replies_are_taken(
        bytes in session(), cuts in cuts(), takes in takes(), refuse in prop::bool::weighted(0.1),
    ) {
        let (cut, whole) = (run(&bytes, &cuts, takes, refuse), run(&bytes, &[], None, refuse));
        prop_assert_eq!(difference_but_for_acknowledgements(cut, whole), None);
        let (cut, whole) = (run(&bytes, &cuts, None, refuse), run(&bytes, &[], None, refuse));
        // One call may take more than there is room to acknowledge.
        if whole.1.len() - without_acknowledgements(&whole.1).len() < TX_BYTES / 2 {
            prop_assert_eq!(difference(&cut, &whole), None);
        } else {
            prop_assert_eq!(difference_but_for_acknowledgements(cut, whole), None);
        }
    }

    #[test]
    fn sessions_with_bytes_changed_lost_and_repeated_break_nothing_and_keep_the_law(
        mut bytes in session(),
        changes in vec((0..20_000_usize, any::<u8>(), 0..8_u8, 1..40_usize), 1..8),
        cuts in cuts(),
        takes in takes(),
    ) {
        for (at, byte, how, length) in changes {
            // The handshake takes anything: change what comes behind it.
            let at = 3073 + at % (bytes.len() - 3073).max(1);
            let end = bytes.len().min(at + length);
            match how {
                0 => drop(bytes.drain(at.min(end)..end)),
                1 => {
                    let again = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at.min(end)..at.min(end), again);
                }
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        let (cut, whole) = (run(&bytes, &cuts, takes, false), run(&bytes, &[], None, false));
        prop_assert_eq!(difference_but_for_acknowledgements(cut, whole), None);
    }

    #[test]
    fn any_bytes_at_all_break_nothing_and_keep_the_law(
        hello in prop_oneof![Just(Bytes::new()), Just(handshake())],
        connected in any::<bool>(),
        noise in vec(prop_oneof![
            any::<u8>(), Just(0_u8), Just(2), Just(4), Just(8), Just(20), Just(0xC3), Just(0xFF), Just(1),
        ], 0..500),
        cuts in cuts(),
        takes in takes(),
    ) {
        let opening = [connect(1.0, &[("app", string("live"))]), publish(1, "cam")].concat();
        let opening = if connected && !hello.is_empty() { opening } else { Bytes::new() };
        let bytes = [hello, opening, noise].concat();
        let (cut, whole) = (run(&bytes, &cuts, takes, false), run(&bytes, &[], None, false));
        prop_assert_eq!(difference_but_for_acknowledgements(cut, whole), None);
    }
}

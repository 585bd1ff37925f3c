//! What a session does, by section of RTMP 1.0 and by client: literal bytes in, replies and events out.

use rill::limits::{ASSEMBLY_BYTES, CHUNK_STREAMS, NET_STREAMS};
use rill::rtmp::data::DataAction;
use rill::rtmp::event::{
    Decision, Event, Limit, MediaKind, Misbehaviour, NetStreamId, PlayHow, PlayLength, PlayStart, PublishMode,
    SessionError,
};
use rill::rtmp::recorded::{Played, Told};
use rill::rtmp::session::{REPLY_BYTES, Session};
use rill::rtmp::status::{Code, Status};
use rill::rtmp::tx::TxBuf;
use rill::time::Millis;
use rill::wire::handshake::{self, FirstByte, Scheme};

use crate::rtmp::{self, *};

/// Handshake (RTMP 1.0, section 5.2).
mod handshake_5_2 {
    use super::*;

    #[test]
    fn s0_s1_and_s2_come_in_one_go_when_c1_is_complete_and_not_before() {
        let mut peer = Peer::new();
        let bytes = rtmp::handshake();
        peer.feed(&bytes[..1536]).unwrap();
        assert!(peer.sent.is_empty());
        peer.feed(&bytes[1536..1537]).unwrap();
        assert_eq!(peer.sent.len(), 1 + 2 * 1536);
        let (s1, s2) = peer.sent[1..].split_at(1536);
        assert_eq!(peer.sent[0], 3);
        assert_eq!(s1[4..8], [0; 4], "librtmp gives up on anything else in the simple form");
        assert_eq!(s2, &bytes[1..1537], "librtmp compares all of it with C1");
        assert!(!peer.session.is_open());
        peer.feed(&bytes[1537..]).unwrap();
        assert!(peer.session.is_open());
        assert_eq!(peer.sent.len(), 3073);
    }

    #[test]
    fn both_digest_schemes_are_answered_in_kind() {
        for scheme in [Scheme::DigestFirst, Scheme::DigestSecond] {
            let mut request = [0; 1537];
            let mut next = 0_u8;
            let mut random = |bytes: &mut [u8]| {
                for byte in bytes {
                    next = next.wrapping_mul(29).wrapping_add(17);
                    *byte = next;
                }
            };
            handshake::request_digest(scheme, 5, &mut random, &mut request);
            let mut peer = Peer::new();
            peer.feed(&request).unwrap();
            let part = |at: usize| <[u8; 1536]>::try_from(&peer.sent[at..at + 1536]).unwrap();
            let c1 = request[1..].try_into().unwrap();
            assert!(handshake::verify_response(&c1, &part(1), &part(1537)), "{scheme:?}");
        }
    }

    #[test]
    fn what_c2_says_does_not_matter_and_a_command_may_be_glued_to_it() {
        let mut peer = Peer::new();
        let mut bytes = rtmp::handshake();
        bytes[1537..].fill(0xEE);
        bytes.extend(connect(1.0, &[("app", string("live"))]));
        peer.feed(&bytes).unwrap();
        assert_eq!(peer.seen, [Seen::Connect]);
        assert_eq!(replies(&peer.sent[3073..]).len(), 6);
    }

    #[test]
    fn unknown_versions_are_answered_with_3_and_other_protocols_not_at_all() {
        for version in [3, 4, 5, 7, 10, 31] {
            let mut peer = Peer::new();
            let mut bytes = rtmp::handshake();
            bytes[0] = version;
            peer.feed(&bytes).unwrap();
            assert_eq!((peer.sent[0], peer.session.is_open()), (3, true));
        }
        for (hello, kind) in [
            (b"\x06".as_slice(), FirstByte::Encrypted),
            (b"\x08", FirstByte::Encrypted),
            (b"\x09", FirstByte::Encrypted),
            (b"\x16\x03\x01\x02\x00\x01", FirstByte::Tls),
            (b"GET / HTTP/1.1\r\n", FirstByte::Http),
            (b"POST /open/1 HTTP/1.1\r\n", FirstByte::Http),
            (b"SSH-2.0-x\r\n", FirstByte::Ssh),
            (b"\x20", FirstByte::Other),
            (b"\x00", FirstByte::Other),
            (b"\x02", FirstByte::Other),
        ] {
            let mut peer = Peer::new();
            assert_eq!(peer.feed(hello), Err(SessionError::NotRtmp(kind)));
            assert!(peer.sent.is_empty());
        }
    }
}

/// Chunks (section 5.3).
mod chunks_5_3 {
    use super::*;

    #[test]
    fn librtmp_answers_a_ping_with_type_1_on_a_fresh_chunk_stream_2() {
        assert!(Peer::connected().ignores(&[0x42, 0, 0, 0, 0, 0, 6, 4, 0, 7, 0, 0, 0, 9]));
    }

    #[test]
    fn types_2_and_3_on_a_fresh_chunk_stream_end_the_session() {
        for bytes in [&[0x85, 0, 0, 0][..], &[0xC5]] {
            let error = Err(SessionError::PeerMisbehaved(Misbehaviour::Chunk));
            assert_eq!(Peer::connected().feed(bytes), error);
        }
    }

    #[test]
    fn as_many_chunk_streams_as_the_limit_says_and_no_more() {
        let mut peer = Peer::open();
        // 64 and up take the two-byte form; every message is an empty one of a type nobody knows.
        for id in 0..CHUNK_STREAMS as u8 {
            assert!(peer.ignores(&[0, id, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0]));
        }
        let error = Err(SessionError::LimitExceeded(Limit::ChunkStreams));
        assert_eq!(peer.feed(&[1, 0, 9, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0]), error);
    }

    #[test]
    fn fmle_and_gstreamer_both_keep_their_clock_with_type_3_behind_type_0() {
        let times = |bytes: &[u8]| {
            let seen = Peer::publishing().seen(bytes);
            seen.iter()
                .filter_map(|seen| match seen {
                    Seen::Begin { time, .. } => Some(*time),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        let fmle = [4, 0, 0, 26, 0, 0, 1, 8, 1, 0, 0, 0, 0xAF, 0xC4, 0xAF, 0xC4, 0xAF];
        assert_eq!(times(&fmle), [26, 52, 78]);
        let gstreamer = [4, 0, 0x4E, 0x20, 0, 0, 1, 8, 1, 0, 0, 0, 0xAF, 0xC4, 0xAF];
        assert_eq!(times(&gstreamer), [20_000, 20_000]);
    }

    #[test]
    fn a_new_message_in_the_middle_of_one_gives_the_first_up() {
        let mut peer = Peer::publishing();
        let half = &message(6, 0, 9, 1, &[0x17; 200])[..12 + 128];
        let seen = peer.seen(&[half, &message(6, 40, 9, 1, b"\x27x")].concat());
        assert_eq!(
            seen[1..],
            [
                Seen::Abort { lane: 1, payload: vec![0x17; 128] },
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Video, time: 40, length: 2 },
                Seen::End { lane: 1, payload: b"\x27x".to_vec() },
            ]
        );
    }

    #[test]
    fn a_command_in_the_middle_of_a_command_on_its_chunk_stream_replaces_it() {
        let mut peer = Peer::connected();
        let half = &call(0, "call", 2.0, &[null(), string(&"x".repeat(200))])[..12 + 128];
        let whole = call(0, "createStream", 3.0, &[null()]);
        assert_eq!(peer.replies(&[half, &whole].concat()), [Reply::result(3.0, number(1.0))]);
    }
}

/// Protocol control messages (section 5.4).
mod control_5_4 {
    use super::*;

    #[test]
    fn a_chunk_size_holds_from_the_next_chunk_header_on_and_also_inside_another_message() {
        let mut peer = Peer::publishing();
        let body = [0xAF; 300];
        let first = &message(4, 0, 8, 1, &body)[..12 + 128];
        let bytes = [first, &control(1, &[0, 0, 0, 200]), &[0xC4], &body[128..]].concat();
        let seen = peer.seen(&bytes);
        assert_eq!(seen[1], Seen::End { lane: 1, payload: body.to_vec() });
    }

    #[test]
    fn chunk_sizes_of_1_and_of_2_31_minus_1_are_allowed() {
        let mut peer = Peer::connected();
        let body = command_body("createStream", 2.0, &[null()]);
        let bytes = [control(1, &[0, 0, 0, 1]), chunked(1, 3, 0, 20, 0, &body).concat()].concat();
        assert_eq!(peer.replies(&bytes), [Reply::result(2.0, number(1.0))]);
        // The message that sets it comes in chunks of one byte itself.
        let bytes = chunked(1, 2, 0, 1, 0, &[0x7F, 0xFF, 0xFF, 0xFF]).concat();
        assert!(peer.ignores(&bytes));
        let body = command_body("x", 3.0, &[null(), string(&"x".repeat(3000))]);
        let replies = peer.replies(&chunked(usize::MAX, 3, 0, 20, 0, &body).concat());
        assert_eq!(replies[0].name(), "_error");
    }

    #[test]
    fn a_chunk_size_of_zero_with_the_top_bit_or_cut_short_ends_the_session() {
        for body in [&[0, 0, 0, 0][..], &[0x80, 0, 0x10, 0], &[0, 16]] {
            let error = Err(SessionError::PeerMisbehaved(Misbehaviour::ChunkSize));
            assert_eq!(Peer::open().feed(&control(1, body)), error);
        }
    }

    #[test]
    fn obs_sets_its_chunk_size_before_connect() {
        let mut peer = Peer::open();
        let body = command_body("connect", 1.0, &[object(&[("app", string("live")), ("x", string(&"y".repeat(900)))])]);
        let bytes = [control(1, &[0, 0, 0x10, 0]), chunked(4096, 3, 0, 20, 0, &body).concat()].concat();
        assert_eq!(peer.answer(&bytes).0, [Seen::Connect]);
    }

    #[test]
    fn control_messages_may_travel_on_any_chunk_stream_and_message_stream() {
        let mut peer = Peer::publishing();
        let bytes = [message(9, 50, 1, 1, &[0, 0, 1, 0]), chunked(256, 4, 0, 8, 1, &[1; 256]).concat()].concat();
        assert_eq!(peer.seen(&bytes)[1], Seen::End { lane: 2, payload: vec![1; 256] });
    }

    #[test]
    fn abort_drops_a_half_sent_message_and_only_that() {
        let mut peer = Peer::publishing();
        let half = &message(6, 0, 9, 1, &[0x17; 200])[..12 + 128];
        let abort = |id: u8| control(2, &[0, 0, 0, id]);
        let seen = peer.seen(&[half, &abort(5), &abort(6), &abort(6), &message(6, 9, 9, 1, b"\x27")].concat());
        assert_eq!(seen[1], Seen::Abort { lane: 1, payload: vec![0x17; 128] });
        assert_eq!(seen[3], Seen::End { lane: 1, payload: b"\x27".to_vec() });
        // Of a command and of a data message as well.
        let half_data = &message(5, 0, 18, 1, &[0; 200])[..12 + 128];
        let half_call = &call(0, "createStream", 2.0, &[null(), string(&"x".repeat(200))])[..12 + 128];
        for _ in 0..9 {
            assert!(peer.ignores(&[half_data, &abort(5), half_call, &abort(3)].concat()));
        }
        assert_eq!(peer.replies(&call(0, "ping", 5.0, &[null()])).len(), 2);
    }

    #[test]
    fn half_the_window_is_acknowledged_with_what_came_since_the_first_byte() {
        let mut peer = Peer::publishing();
        peer.feed(&control(1, &[0, 0x10, 0, 0])).unwrap();
        let so_far = peer_bytes();
        let big = chunked(0x10_0000, 6, 0, 9, 1, &vec![0x27; 0x10_0000]).concat();
        peer.feed(&big).unwrap();
        assert_eq!(peer.taken(), [], "{so_far} and a mebibyte are less than 1 250 000");
        peer.feed(&big).unwrap();
        assert_eq!(peer.taken(), [Reply::control(3, &1_250_000_u32.to_be_bytes())]);
    }

    /// What [`Peer::publishing`] and a Set Chunk Size have sent.
    fn peer_bytes() -> usize {
        rtmp::handshake().len()
            + connect(1.0, &[("app", string("live"))]).len()
            + call(0, "createStream", 2.0, &[null()]).len()
            + publish(1, "cam").len()
            + 16
    }

    #[test]
    fn a_window_is_adopted_at_once() {
        let mut peer = Peer::publishing();
        let mut sent = peer_bytes();
        // Half of it has long passed.
        let replies = peer.replies(&control(5, &1000_u32.to_be_bytes()));
        assert_eq!(replies, [Reply::control(3, &(sent as u32).to_be_bytes())]);
        sent += 500;
        let ignored = message(8, 0, 99, 0, &[0; 487]);
        assert_eq!(ignored.len(), 502);
        assert_eq!(peer.replies(&ignored), [Reply::control(3, &(sent as u32).to_be_bytes())]);
    }

    #[test]
    fn a_window_of_one_byte_does_not_drown_the_client_in_acknowledgements() {
        let mut peer = Peer::connected();
        peer.feed(&control(5, &[0, 0, 0, 1])).unwrap();
        peer.sent.clear();
        let acknowledgements = peer.replies(&message(8, 0, 99, 0, &[0; 10_000])).len();
        // One is 16 bytes long: if each called for another, there would be no end.
        assert!((1..=10_000 / 32).contains(&acknowledgements), "{acknowledgements}");
    }

    #[test]
    fn a_window_of_zero_changes_nothing() {
        let mut peer = Peer::connected();
        assert!(peer.ignores(&control(5, &[0, 0, 0, 0])));
        assert!(peer.ignores(&message(8, 0, 99, 0, &[0; 10_000])));
    }

    #[test]
    fn a_peer_bandwidth_other_than_our_window_is_answered_with_a_window() {
        let mut peer = Peer::connected();
        let window = |bytes: u32| Reply::control(5, &bytes.to_be_bytes());
        assert!(peer.ignores(&control(6, &[&2_500_000_u32.to_be_bytes()[..], &[0]].concat())), "as announced");
        assert_eq!(peer.replies(&control(6, &[0, 0x10, 0, 0, 0])), [window(0x10_0000)], "hard");
        assert!(peer.ignores(&control(6, &[0, 0x20, 0, 0, 1])), "soft takes the smaller");
        assert_eq!(peer.replies(&control(6, &[0, 0x0F, 0, 0, 1])), [window(0x0F_0000)]);
        assert!(peer.ignores(&control(6, &[0, 0x10, 0, 0, 2])), "dynamic behind soft means nothing");
        assert_eq!(peer.replies(&control(6, &[0, 0x10, 0, 0, 0])), [window(0x10_0000)]);
        assert_eq!(peer.replies(&control(6, &[0, 0x11, 0, 0, 2])), [window(0x11_0000)], "dynamic behind hard");
        assert!(peer.ignores(&control(6, &[0, 0x11, 0, 0])), "cut short");
    }

    #[test]
    fn acknowledgements_and_overlong_or_short_control_messages_are_ignored() {
        let mut peer = Peer::connected();
        for body in [&[0, 0, 0, 9][..], &[0xFF; 4], &[1], &[], &[7; 65]] {
            for type_id in [2, 3, 6] {
                assert!(peer.ignores(&control(type_id, body)));
            }
        }
        assert!(peer.ignores(&control(5, &[1])));
        assert!(peer.ignores(&control(1, &[7; 65])));
    }
}

/// Message types (section 7.1).
mod messages_7_1 {
    use super::*;

    #[test]
    fn a_ping_is_answered_with_its_own_bytes() {
        let mut peer = Peer::open();
        let reply = Reply::control(4, &[0, 7, 0xDE, 0xAD, 0xBE, 0xEF]);
        assert_eq!(peer.replies(&user_control(6, &[0xDE, 0xAD, 0xBE, 0xEF])), [reply]);
    }

    #[test]
    fn we_ping_with_our_clock() {
        let mut tx = TxBuf::default();
        Session::new(1).ping(Millis(0x1_0203_0405), &mut tx).unwrap();
        assert_eq!(tx.pending(), [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 2, 3, 4, 5]);
    }

    #[test]
    fn every_other_user_control_event_is_ignored_however_long() {
        let mut peer = Peer::connected();
        let swf_verification = [[1, 1].as_slice(), &[0; 40]].concat();
        for event in (0..=41).chain([0x7FFF, 0xFFFF]).filter(|&event| event != 6) {
            for body in [&[][..], &[0], &[0; 4], &[0, 0, 0, 0, 0, 0, 0x0B, 0xB8], &swf_verification] {
                assert!(peer.ignores(&user_control(event, body)), "event {event}");
            }
        }
        assert!(peer.ignores(&user_control(6, &[1, 2, 3])), "a ping cut short");
        assert!(peer.ignores(&control(4, &[0])));
        assert!(peer.ignores(&control(4, &[])));
    }

    #[test]
    fn shared_objects_and_unknown_types_are_skipped_whole() {
        let mut peer = Peer::publishing();
        let shared = b"\x00\x02so\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00";
        for type_id in [0, 7, 10, 11, 12, 13, 14, 16, 19, 21, 23, 99, 255] {
            assert!(peer.ignores(&message(3, 0, type_id, 0, shared)), "type {type_id}");
            assert!(peer.ignores(&message(3, 0, type_id, 1, &vec![0; 5 * ASSEMBLY_BYTES])), "type {type_id}");
        }
    }

    #[test]
    fn audio_may_be_empty_and_empty_video_is_dropped() {
        let mut peer = Peer::publishing();
        let seen = peer.seen(&[message(4, 10, 8, 1, &[]), message(6, 10, 9, 1, &[])].concat());
        assert_eq!(
            seen,
            [
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Audio, time: 10, length: 0 },
                Seen::End { lane: 1, payload: vec![] },
            ]
        );
    }

    #[test]
    fn media_nobody_publishes_is_skipped() {
        let media = [message(4, 0, 8, 1, &[0xAF; 300]), message(6, 0, 9, 1, &[0x17; 300])].concat();
        assert!(Peer::open().ignores(&media), "before connect");
        assert!(Peer::connected().ignores(&media), "before publish");
        assert!(Peer::playing().ignores(&media), "on a stream that plays");
    }

    #[test]
    fn media_that_began_before_its_publish_was_granted_stays_skipped() {
        let mut peer = Peer::connected();
        let media = message(6, 0, 9, 1, &[0x17; 200]);
        let bytes = [&media[..140], &publish(1, "cam"), &media[140..], &message(6, 1, 9, 1, b"\x17")].concat();
        let (seen, _) = peer.answer(&bytes);
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2], Seen::End { lane: 1, payload: b"\x17".to_vec() });
    }

    #[test]
    fn media_on_a_message_stream_nobody_created_belongs_to_the_only_publisher() {
        let mut peer = Peer::publishing();
        for stream in [0, 5, 77, u32::MAX] {
            let seen = peer.seen(&message(4, 0, 8, stream, b"\xAF"));
            assert!(matches!(seen[0], Seen::Begin { stream: 1, .. }), "{stream}");
        }
        peer.answer(&call(0, "createStream", 3.0, &[null()]));
        assert!(peer.ignores(&message(4, 0, 8, 2, b"\xAF")), "a stream that exists and does not publish");
        peer.answer(&publish(2, "cam2"));
        assert!(peer.ignores(&message(4, 0, 8, 5, b"\xAF")), "two publish: it may be either");
        let seen = peer.seen(&message(4, 0, 8, 2, b"\xAF"));
        assert!(matches!(seen[0], Seen::Begin { stream: 2, .. }));
    }

    #[test]
    fn media_and_data_are_taken_while_there_is_no_room_for_replies_and_what_is_answered_waits() {
        let mut peer = Peer::publishing();
        let media = [
            message(4, 0, 8, 1, b"\xAF"),
            message(6, 0, 9, 1, &[0x27; 300]),
            message(5, 0, 18, 1, &[string("onTextData"), string("x")].concat()),
            user_control(7, &[0; 4]),
            control(3, &[0; 4]),
        ]
        .concat();
        for answered in
            [call(0, "createStream", 5.0, &[null()]), user_control(6, &[0; 4]), control(6, &[0, 0, 9, 9, 0])]
        {
            peer.answer(&message(4, 0, 8, 1, b"\xAF"));
            while peer.tx.user_control(rill::wire::message::UserControl::PingRequest(0)).is_ok() {}
            let bytes = [&media[..], &answered, &media].concat();
            let mut input = &bytes[..];
            let mut ends = 0;
            while let Some(event) = peer.session.next(&mut input, &mut peer.tx, Millis(0)).unwrap() {
                ends += usize::from(matches!(event, Event::MediaEnd(_) | Event::Data(..)));
            }
            assert_eq!((ends, input.len(), peer.session.waits_for_room()), (3, media.len(), true));
            assert_eq!(peer.session.next(&mut &b""[..], &mut peer.tx, Millis(0)), Ok(None));
            assert!(peer.session.waits_for_room());
            // With room it is answered, although no more input comes.
            peer.tx.clear();
            assert_eq!(peer.session.next(&mut &b""[..], &mut peer.tx, Millis(0)), Ok(None));
            assert_eq!((peer.tx.is_empty(), peer.session.waits_for_room()), (false, false));
            peer.tx.clear();
            peer.feed(input).unwrap();
        }
    }

    #[test]
    fn a_client_that_was_asked_for_a_sign_of_life_is_not_asked_again_before_it_answers() {
        let mut peer = Peer::publishing();
        for _ in 0..2 {
            for now in 0..5000 {
                peer.session.ping(Millis(now), &mut peer.tx).unwrap();
            }
            assert_eq!(peer.tx.pending().len(), 18);
            peer.tx.clear();
            peer.feed(&user_control(7, &[0; 4])).unwrap();
        }
    }

    #[test]
    fn audio_and_video_interleave() {
        let mut peer = Peer::publishing();
        let video = chunked(128, 6, 40, 9, 1, &[0x27; 300]);
        let audio = chunked(128, 4, 41, 8, 1, &[0xAF; 200]);
        let bytes = [&video[0], &audio[0], &video[1], &audio[1], &video[2]].map(|chunk| &chunk[..]).concat();
        assert_eq!(
            peer.seen(&bytes),
            [
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Video, time: 40, length: 300 },
                Seen::Begin { lane: 2, stream: 1, kind: MediaKind::Audio, time: 41, length: 200 },
                Seen::End { lane: 2, payload: vec![0xAF; 200] },
                Seen::End { lane: 1, payload: vec![0x27; 300] },
            ]
        );
    }

    #[test]
    fn the_client_closing_a_stream_gives_its_messages_under_way_up() {
        let mut peer = Peer::publishing();
        let video = chunked(128, 6, 40, 9, 1, &[0x27; 300]);
        let bytes = [&video[0], &call(1, "closeStream", 0.0, &[null()]), &video[1], &video[2]].map(|b| &b[..]).concat();
        assert_eq!(peer.seen(&bytes)[1..], [Seen::Closed(1)]);
    }
}

/// Aggregate messages (section 7.1.6).
mod aggregate_7_1_6 {
    use super::*;

    fn metadata() -> Bytes {
        [string("onMetaData"), ecma_array(&[("width", number(640.0))])].concat()
    }

    #[test]
    fn parts_take_the_time_of_the_message_and_their_distance_to_the_first() {
        let mut peer = Peer::publishing();
        let body = [
            tag(9, 0x0100_0000, b"\x17abc"),
            tag(8, 0x0100_0017, b""),
            tag(9, 0x0100_0018, b""),
            tag(18, 0x0100_0019, &metadata()),
            tag(99, 0x0100_0020, b"whatever"),
            tag(8, 0x00FF_FFFF, b"\xAF\x01z"),
        ]
        .concat();
        assert_eq!(
            peer.seen(&message(7, 5000, 22, 1, &body)),
            [
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Video, time: 5000, length: 4 },
                Seen::End { lane: 1, payload: b"\x17abc".to_vec() },
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Audio, time: 5023, length: 0 },
                Seen::End { lane: 1, payload: vec![] },
                Seen::Data {
                    stream: 1,
                    time: 5025,
                    message: Some((
                        "onMetaData".into(),
                        DataAction::Keep,
                        [string("onMetaData"), vec![8, 0, 0, 0, 1]]
                            .concat()
                            .into_iter()
                            .chain(metadata()[18..].iter().copied())
                            .collect()
                    ))
                },
                Seen::Begin { lane: 1, stream: 1, kind: MediaKind::Audio, time: 4999, length: 3 },
                Seen::End { lane: 1, payload: b"\xAF\x01z".to_vec() },
            ]
        );
    }

    #[test]
    fn other_messages_may_come_between_its_chunks() {
        let mut peer = Peer::publishing();
        let body = [tag(9, 0, &[0x17; 200]), tag(8, 5, &[0xAF; 90])].concat();
        let chunks = chunked(128, 7, 100, 22, 1, &body);
        let audio = message(4, 101, 8, 1, b"\xAF\x01");
        let seen = peer.seen(&[&chunks[0][..], &audio, &chunks[1], &audio, &chunks[2..].concat()].concat());
        let ends: Vec<_> = seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::End { payload, .. } => Some(payload.len()),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [2, 200, 2, 90]);
    }

    #[test]
    fn a_part_cut_short_is_given_up_and_the_next_message_is_read() {
        for cut in [3, 11, 15, 11 + 200, 11 + 200 + 2] {
            let mut peer = Peer::publishing();
            let body = [tag(8, 0, b"\xAF"), tag(9, 1, &[0x17; 200])].concat();
            let body = &body[..16 + cut];
            let seen = peer.seen(&[message(7, 0, 22, 1, body), message(4, 9, 8, 1, b"\xAE")].concat());
            let given_up = seen.iter().any(|seen| matches!(seen, Seen::Abort { .. }));
            assert_eq!(given_up, (11..211).contains(&cut), "cut at {cut}");
            assert_eq!(seen.last(), Some(&Seen::End { lane: 2, payload: b"\xAE".to_vec() }));
        }
    }

    #[test]
    fn one_that_nobody_publishes_is_skipped() {
        assert!(Peer::connected().ignores(&message(7, 0, 22, 1, &tag(8, 0, b"\xAF"))));
    }

    #[test]
    fn data_half_received_in_it_when_the_stream_closes_takes_no_room_for_ever() {
        let mut peer = Peer::publishing();
        for _ in 0..10 {
            let chunks = chunked(128, 7, 0, 22, 1, &tag(18, 0, &[0x02; 300]));
            let close = call(1, "closeStream", 0.0, &[null()]);
            let bytes = [&chunks[0], &close, &chunks[1], &chunks[2], &publish(1, "cam")].map(|b| &b[..]).concat();
            assert_eq!(peer.answer(&bytes).0[0], Seen::Closed(1));
        }
    }

    #[test]
    fn one_of_another_stream_goes_on_when_a_stream_closes() {
        let mut peer = Peer::publishing();
        peer.answer(&[call(0, "createStream", 3.0, &[null()]), publish(2, "cam2")].concat());
        let chunks = chunked(128, 7, 0, 22, 2, &tag(9, 0, &[0x17; 200]));
        let close = call(1, "closeStream", 0.0, &[null()]);
        let seen = peer.seen(&[&chunks[0][..], &close, &chunks[1]].concat());
        assert_eq!(seen[1..], [Seen::Closed(1), Seen::End { lane: 1, payload: vec![0x17; 200] }]);
    }
}

/// Data messages (section 7.1.2), and what Adobe's encoders made of them.
mod data_7_1_2 {
    use super::*;

    fn kept(sent: &[u8], type_id: u8) -> Bytes {
        match &Peer::publishing().seen(&message(5, 30, type_id, 1, sent))[..] {
            [Seen::Data { stream: 1, time: 30, message: Some((handler, DataAction::Keep, body)) }] => {
                assert_eq!(handler, "onMetaData");
                body.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn metadata_becomes_an_ecma_array_under_its_name_however_it_was_sent() {
        let members = [("width", number(640.0)), ("encoder", string("x"))];
        let (name, set) = (string("onMetaData"), string("@setDataFrame"));
        let mut expected = [name.clone(), ecma_array(&members)].concat();
        assert_eq!(kept(&[set.clone(), expected.clone()].concat(), 18), expected, "kept as it is");
        assert_eq!(kept(&expected, 18), expected);
        expected[name.len() + 4] = 0;
        let plain = [name.clone(), object(&members)].concat();
        assert_eq!(kept(&plain, 18), expected);
        assert_eq!(kept(&[vec![0], plain.clone()].concat(), 15), expected, "type 15 has a format byte");
        assert_eq!(kept(&[undefined(), plain.clone()].concat(), 18), expected);
        assert_eq!(kept(&[set.clone(), plain].concat(), 18), expected);
        assert_eq!(kept(&object(&members), 18), expected, "no name before it");
    }

    #[test]
    fn other_handlers_are_relayed_as_they_are_and_kept_only_when_the_encoder_says_so() {
        for handler in ["onTextData", "onCuePoint", "onFI"] {
            let body =
                [string(handler), object(&[("a", object(&[("b", strict_array(&[null(), number(1.0)]))]))])].concat();
            let seen = Peer::publishing().seen(&message(5, 0, 18, 1, &body));
            let message = Some((handler.to_string(), DataAction::Relay, body.clone()));
            assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }]);
            let set = [string("@setDataFrame"), body.clone()].concat();
            let seen = Peer::publishing().seen(&rtmp::message(5, 0, 18, 1, &set));
            let message = Some((handler.to_string(), DataAction::Keep, body));
            assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }]);
        }
    }

    #[test]
    fn clearing_names_the_handler() {
        let body = [string("@clearDataFrame"), string("onTextData")].concat();
        let seen = Peer::publishing().seen(&message(5, 0, 18, 1, &body));
        let message = Some(("onTextData".to_string(), DataAction::Clear, vec![]));
        assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }]);
    }

    #[test]
    fn what_players_could_not_read_is_dropped_and_said() {
        let mut peer = Peer::publishing();
        for (type_id, body) in [
            (18, vec![0, 0, 1, 2]),
            (18, vec![]),
            (15, vec![]),
            (15, [vec![3], string("onTextData")].concat()),
            (18, number(1.0)),
            (18, string("@setDataFrame")),
            (18, string("@clearDataFrame")),
            (18, [string("onTextData"), vec![0x11, 0x0A, 0x07, 0x07, b'D', b'S', b'K', 0]].concat()),
            (18, [string("onTextData"), vec![3, 0, 1, b'a']].concat()),
        ] {
            let seen = peer.seen(&message(5, 0, type_id, 1, &body));
            assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message: None }], "{body:x?}");
        }
        let long = [string("onTextData"), string(&"x".repeat(ASSEMBLY_BYTES))].concat();
        let too_long = Seen::DataTooLong { stream: 1, length: long.len() as u32 };
        assert_eq!(peer.seen(&message(5, 0, 18, 1, &long)), [too_long]);
        assert!(Peer::connected().ignores(&message(5, 0, 18, 1, &long)), "nobody publishes");
    }

    #[test]
    fn amf3_in_data_messages_becomes_amf0() {
        let member = || amf3_object(&[("a", "b")]);
        let plain = || object(&[("a", string("b"))]);
        for (sent, relayed) in [
            (member(), plain()),
            (object(&[("a", member())]), object(&[("a", plain())])),
            (strict_array(&[object(&[("a", amf3_object(&[]))])]), strict_array(&[object(&[("a", object(&[]))])])),
        ] {
            for (type_id, format) in [(18, &[][..]), (15, &[0])] {
                let body = [format, &string("onTextData"), &sent].concat();
                let seen = Peer::publishing().seen(&message(5, 0, type_id, 1, &body));
                let relayed = [string("onTextData"), relayed.clone()].concat();
                let message = Some(("onTextData".to_string(), DataAction::Relay, relayed));
                assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }]);
            }
        }
    }

    #[test]
    fn of_metadata_longer_than_the_assembly_what_fits_is_kept() {
        let members = |long: usize| {
            object(&[
                ("width", number(320.0)),
                ("description", string(&"x".repeat(long))),
                ("videocodecid", string("avc1")),
                ("encoder", string("Lavf")),
            ])
        };
        // The count of an ECMA array is a hint, and not one that we give.
        let kept = |of: &[(&str, Bytes)]| {
            let array = ecma_array(of);
            [string("onMetaData"), vec![8, 0, 0, 0, 0], array[5..].to_vec()].concat()
        };
        let known = kept(&[("width", number(320.0)), ("videocodecid", string("avc1")), ("encoder", string("Lavf"))]);
        for name in [[string("@setDataFrame"), string("onMetaData")].concat(), string("onMetaData")] {
            for long in [3500, 5000, 60_000] {
                let mut peer = Peer::publishing();
                let sent = [name.clone(), members(long)].concat();
                // A command of some length has its place meanwhile.
                let command =
                    call(0, "createStream", 7.0, &[null(), string(&"y".repeat(if long < 4000 { 0 } else { 800 }))]);
                let chunks = message(5, 0, 18, 1, &sent);
                let (begun, rest) = chunks.split_at(12 + 128);
                let (mut seen, replies) = peer.answer(&[begun, &command].concat());
                assert_eq!((seen.len(), replies.len()), (0, 1));
                seen.extend(peer.seen(rest));
                let message = Some(("onMetaData".to_string(), DataAction::Keep, known.clone()));
                assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }], "{long} bytes");
            }
        }
        // AMF 3 is read as far as it came.
        let amf3 = amf3_object(&[("width", "320"), ("description", &"x".repeat(6000)), ("height", "240")]);
        let body = [vec![0], string("onMetaData"), amf3].concat();
        let seen = Peer::publishing().seen(&message(5, 0, 15, 1, &body));
        let message = Some(("onMetaData".to_string(), DataAction::Keep, kept(&[("width", string("320"))])));
        assert_eq!(seen, [Seen::Data { stream: 1, time: 0, message }]);
    }

    #[test]
    fn data_on_message_stream_0_belongs_to_the_only_publisher() {
        let body = [string("onTextData"), null()].concat();
        assert!(matches!(&Peer::publishing().seen(&message(5, 0, 18, 0, &body))[..], [Seen::Data { stream: 1, .. }]));
    }

    #[test]
    fn data_nobody_publishes_is_skipped() {
        let body = [string("onMetaData"), object(&[])].concat();
        assert!(Peer::connected().ignores(&message(5, 0, 18, 1, &body)));
        assert!(Peer::playing().ignores(&message(5, 0, 18, 1, &body)));
    }
}

/// The connection's commands (section 7.2.1).
mod connection_7_2_1 {
    use super::*;

    /// The information object of an accepted connect, without Enhanced RTMP's keys.
    fn success(object_encoding: f64, enhanced: &[(&str, Bytes)]) -> Bytes {
        let mut of = vec![
            ("level", string("status")),
            ("code", string("NetConnection.Connect.Success")),
            ("description", string("Connection succeeded.")),
            ("objectEncoding", number(object_encoding)),
            ("data", ecma_array(&[("version", string("5,0,15,5004"))])),
        ];
        of.extend(enhanced.iter().cloned());
        object(&of)
    }

    fn accepted(transaction: f64, info: Bytes) -> [Reply; 6] {
        let properties =
            object(&[("fmsVer", string("FMS/5,0,15,5004")), ("capabilities", number(255.0)), ("mode", number(1.0))]);
        [
            Reply::control(5, &2_500_000_u32.to_be_bytes()),
            Reply::control(6, &[0, 0x26, 0x25, 0xA0, 2]),
            Reply::begin(0),
            Reply::control(1, &60_000_u32.to_be_bytes()),
            Reply::command(0, "_result", transaction, &[properties, info]),
            Reply::command(0, "onBWDone", 0.0, &[null()]),
        ]
    }

    fn connected_by(bytes: &[u8]) -> (Peer, Vec<Reply>) {
        let mut peer = Peer::open();
        let (seen, replies) = peer.answer(bytes);
        assert_eq!(seen, [Seen::Connect]);
        assert!(peer.session.is_connected());
        (peer, replies)
    }

    #[test]
    fn the_answer_to_connect_is_this_byte_for_byte() {
        let mut peer = Peer::open();
        peer.feed(&connect(1.0, &[("app", string("live"))])).unwrap();
        let expected = [
            b"\x02\0\0\0\0\0\x04\x05\0\0\0\0\x00\x26\x25\xA0".as_slice(),
            b"\x02\0\0\0\0\0\x05\x06\0\0\0\0\x00\x26\x25\xA0\x02",
            b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\0\0\0\0\0",
            b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\xEA\x60",
            b"\x03\0\0\0\0\0\xF4\x14\0\0\0\0",
            b"\x02\0\x07_result\0\x3F\xF0\0\0\0\0\0\0",
            b"\x03\0\x06fmsVer\x02\0\x0FFMS/5,0,15,5004\0\x0Ccapabilities\0\x40\x6F\xE0\0\0\0\0\0",
            b"\0\x04mode\0\x3F\xF0\0\0\0\0\0\0\0\0\x09",
            b"\x03\0\x05level\x02\0\x06status\0\x04code\x02\0\x1DNetConnection.Connect.Success",
            b"\0\x0Bdescription\x02\0\x15Connection succeeded.\0\x0EobjectEncoding\0\0\0\0\0\0\0\0\0",
            b"\0\x04data\x08\0\0\0\x01\0\x07version\x02\0\x0B5,0,15,5004\0\0\x09\0\0\x09",
            b"\x03\0\0\0\0\0\x15\x14\0\0\0\0\x02\0\x08onBWDone\0\0\0\0\0\0\0\0\0\x05",
        ]
        .concat();
        assert_eq!(peer.sent.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[test]
    fn the_transaction_id_is_copied_whatever_it_is() {
        for transaction in [0.0, 1.0, 2.0, 7.5, -3.0, 1e300] {
            let (_, replies) = connected_by(&connect(transaction, &[("app", string("live"))]));
            assert_eq!(replies, accepted(transaction, success(0.0, &[])));
        }
        // It may be no number; nothing follows then, and the application comes from nowhere.
        let body = [string("connect"), null(), object(&[("app", string("live"))])].concat();
        let (_, replies) = connected_by(&message(3, 0, 20, 0, &body));
        assert_eq!(replies, accepted(0.0, success(0.0, &[])));
    }

    #[test]
    fn connect_may_come_in_type_17_and_its_object_in_any_form() {
        let members = [("app", string("live")), ("flashVer", string("FMLE/3.0 (compatible; x)"))];
        let call = |value: Bytes| command_body("connect", 1.0, &[value]);
        let typed = [vec![0x10], key("Object"), object(&members)[1..].to_vec()].concat();
        let mut messages = vec![
            message(3, 0, 20, 0, &call(object(&members))),
            message(3, 0, 20, 0, &call(ecma_array(&members))),
            message(3, 0, 20, 0, &call(typed)),
            message(3, 0, 17, 0, &[vec![0], call(object(&members))].concat()),
        ];
        let amf3 = amf3_object(&[("app", "live"), ("flashVer", "FMLE/3.0 (compatible; x)")]);
        messages.push(message(3, 0, 17, 0, &[vec![0], call(amf3.clone())].concat()));
        messages.push(message(3, 0, 20, 0, &call(amf3)));
        for bytes in messages {
            let (peer, replies) = connected_by(&bytes);
            assert_eq!(replies.len(), 6);
            let client = peer.session.connect_info();
            assert_eq!((&*client.path.app, &*client.agent), ("live", "FMLE/3.0 (compatible; x)"));
        }
    }

    #[test]
    fn object_encoding_is_the_smaller_of_both() {
        for (asked, agreed) in [(0.0, 0.0), (1.0, 0.0), (3.0, 3.0), (4.0, 3.0), (f64::NAN, 0.0)] {
            let bytes = connect(1.0, &[("app", string("live")), ("objectEncoding", number(asked))]);
            assert_eq!(connected_by(&bytes).1, accepted(1.0, success(agreed, &[])));
        }
    }

    #[test]
    fn user_arguments_of_any_type_may_follow() {
        let arguments = [
            object(&[("app", string("live"))]),
            string("user"),
            number(1.0),
            null(),
            undefined(),
            boolean(true),
            strict_array(&[number(1.0), object(&[])]),
            vec![0x0B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            vec![0x0D],
            vec![0x07, 0, 0],
            amf3_object(&[("a", "b")]),
            [vec![0x0F, 0, 0, 0, 2], b"<>".to_vec()].concat(),
        ];
        assert_eq!(connected_by(&call(0, "connect", 1.0, &arguments)).1, accepted(1.0, success(0.0, &[])));
        // Even what is no AMF, behind the object.
        let body = [command_body("connect", 1.0, &arguments[..1]), vec![0xEE; 5]].concat();
        connected_by(&message(3, 0, 20, 0, &body));
    }

    #[test]
    fn every_property_may_be_null_or_of_another_type() {
        let keys = [
            "tcUrl",
            "flashVer",
            "objectEncoding",
            "fourCcList",
            "capsEx",
            "videoFourCcInfoMap",
            "audioFourCcInfoMap",
            "swfUrl",
            "fpad",
        ];
        for value in [null(), undefined(), boolean(true), string("x"), strict_array(&[])] {
            let mut of = vec![("app", string("live"))];
            // A list is what `fourCcList` is.
            of.extend(
                keys.map(|key| (key, value.clone()))
                    .into_iter()
                    .filter(|(key, _)| value[0] != 10 || *key != "fourCcList"),
            );
            assert_eq!(connected_by(&connect(1.0, &of)).1, accepted(1.0, success(0.0, &[])));
        }
    }

    #[test]
    fn enhanced_rtmp_is_answered_only_to_those_who_spoke_of_it_and_arrays_only_to_those_who_sent_one() {
        let any = || ("app", string("live"));
        let list = || strict_array(&[string("av01"), string("hvc1")]);
        let forward = || object(&[("*", number(4.0))]);
        let answer = |of: &[(&str, Bytes)]| connected_by(&connect(1.0, of)).1;
        let v1 = [("fourCcList", strict_array(&[string("*")]))];
        assert_eq!(answer(&[any(), ("fourCcList", list())]), accepted(1.0, success(0.0, &v1)));
        let maps = || [("videoFourCcInfoMap", forward()), ("audioFourCcInfoMap", forward())];
        let map = || object(&[("hvc1", number(2.0))]);
        assert_eq!(answer(&[any(), ("videoFourCcInfoMap", map())]), accepted(1.0, success(0.0, &maps())));
        assert_eq!(answer(&[any(), ("audioFourCcInfoMap", map())]), accepted(1.0, success(0.0, &maps())));
        for key in ["capsEx", "CapsEx"] {
            let caps = [("capsEx", number(15.0))];
            assert_eq!(answer(&[any(), (key, number(31.0))]), accepted(1.0, success(0.0, &caps)));
        }
        let all = [v1.as_slice(), &maps(), &[("capsEx", number(5.0))]].concat();
        let of = [any(), ("fourCcList", list()), ("videoFourCcInfoMap", map()), ("capsEx", number(21.0))];
        assert_eq!(answer(&of), accepted(1.0, success(0.0, &all)));
    }

    #[test]
    fn the_application_is_found_however_app_and_tc_url_spell_it() {
        let named = |of: &[(&str, Bytes)]| {
            let peer = connected_by(&connect(1.0, of)).0;
            let path = &peer.session.connect_info().path;
            assert_eq!(peer.session.connect_info().path_error, None);
            (path.app.to_string(), path.instance.to_string())
        };
        let is = |app: &str, instance: &str| (app.into(), instance.into());
        let url = |url: &str| ("tcUrl", string(url));
        for app in ["live", "live/", "/live", "live/_definst_", " live ", "live//"] {
            assert_eq!(named(&[("app", string(app))]), is("live", "_definst_"), "{app:?}");
        }
        assert_eq!(named(&[("app", string("live//room/"))]), is("live", "room"));
        assert_eq!(named(&[("app", string("live?token=x%2F/y"))]), is("live", "_definst_"));
        assert_eq!(named(&[("app", string("live/?authmod=adobe&user=u"))]), is("live", "_definst_"));
        assert_eq!(named(&[("app", string("?authmod=adobe")), url("rtmp://h/live")]), is("live", "_definst_"));
        assert_eq!(named(&[url("rtmp://h:1935/live/room?k=1")]), is("live", "room"));
        assert_eq!(named(&[("tcurl", string("rtmp://h/live"))]), is("live", "_definst_"));
        assert_eq!(named(&[("app", null()), url("\"rtmp://h/live\"")]), is("live", "_definst_"), "quoted");
        assert_eq!(named(&[("app", string("live")), url("")]), is("live", "_definst_"));
        assert_eq!(named(&[("app", string("live")), url("rtmp://h/other/x")]), is("live", "_definst_"));
    }

    #[test]
    fn an_application_name_that_cannot_be_is_left_to_the_server_with_the_reason() {
        let x65 = "x".repeat(65);
        for of in [
            vec![],
            vec![("app", string("/")), ("tcUrl", string("rtmp://h"))],
            vec![("app", string("a/../b"))],
            vec![("app", string("a\0b"))],
            vec![("app", string(&x65))],
            vec![("app", string(&format!("{x65}?key")))],
        ] {
            assert!(connected_by(&connect(1.0, &of)).0.session.connect_info().path_error.is_some());
        }
        for body in [command_body("connect", 1.0, &[null()]), command_body("connect", 1.0, &[]), string("connect")] {
            assert!(connected_by(&message(3, 0, 20, 0, &body)).0.session.connect_info().path_error.is_some());
        }
    }

    #[test]
    fn a_very_long_flash_ver_is_cut_at_a_character() {
        let agent = "é".repeat(500);
        let (peer, _) = connected_by(&connect(1.0, &[("app", string("live")), ("flashVer", string(&agent))]));
        assert_eq!(&*peer.session.connect_info().agent, "é".repeat(32));
    }

    #[test]
    fn a_refusal_is_an_error_behind_a_null_and_then_close() {
        let mut peer = Peer::open();
        let text = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (x) is not defined.";
        peer.refuse = Some(Status::new(Code::ConnectRejected, "").described(text));
        let (_, replies) = peer.answer(&connect(4.0, &[("app", string("x"))]));
        assert_eq!(replies[4..], [Reply::error(4.0, "NetConnection.Connect.Rejected", text)]);
        assert!(!peer.session.is_connected());
        peer.session.close(&mut peer.tx).unwrap();
        peer.drain();
        assert_eq!(peer.taken(), [Reply::command(0, "close", 0.0, &[null()])]);
    }

    #[test]
    fn everything_behind_close_is_thrown_away() {
        let mut peer = Peer::publishing();
        peer.session.close(&mut peer.tx).unwrap();
        peer.drain();
        peer.sent.clear();
        assert!(peer.ignores(&[0xFF; 10_000]));
        assert!(peer.ignores(&call(0, "ping", 1.0, &[null()])));
        peer.session.close(&mut peer.tx).unwrap();
        assert!(peer.tx.is_empty(), "said once");
    }

    #[test]
    fn a_second_connect_ends_the_session() {
        let error = Err(SessionError::PeerMisbehaved(Misbehaviour::ConnectedTwice));
        assert_eq!(Peer::connected().feed(&connect(1.0, &[("app", string("live"))])), error);
    }

    #[test]
    fn a_command_before_connect_is_told_so_and_ends_the_session() {
        for name in ["createStream", "publish", "play", "_checkbw", "anything"] {
            let mut peer = Peer::open();
            let error = Err(SessionError::PeerMisbehaved(Misbehaviour::NotConnected));
            assert_eq!(peer.feed(&call(0, name, 2.0, &[null(), string("x")])), error);
            assert_eq!(replies(&peer.sent), [Reply::error(2.0, "NetConnection.Connect.Failed", "Connect first.")]);
        }
    }

    #[test]
    fn nothing_is_read_while_a_request_waits() {
        let mut session = Session::new(1);
        let (mut tx, now) = (TxBuf::default(), Millis(0));
        let bytes =
            [rtmp::handshake(), connect(1.0, &[("app", string("live"))]), call(0, "createStream", 2.0, &[null()])]
                .concat();
        let mut input = &bytes[..];
        while session.request().is_none() {
            session.next(&mut input, &mut tx, now).unwrap();
            tx.clear();
        }
        let left = input.len();
        for _ in 0..3 {
            assert_eq!(session.next(&mut input, &mut tx, now), Ok(None));
            assert_eq!((input.len(), tx.is_empty()), (left, true));
        }
        session.decide(Decision::Accept, &mut tx).unwrap();
        tx.clear();
        assert_eq!(session.next(&mut input, &mut tx, now), Ok(None));
        assert_eq!(replies(tx.pending()), [Reply::result(2.0, number(1.0))]);
        tx.clear();
        session.decide(Decision::Accept, &mut tx).unwrap();
        assert!(tx.is_empty(), "nothing to decide");
    }

    #[test]
    fn a_command_that_is_no_amf_ends_the_session() {
        for body in [&[][..], &[0], &[5], &[2, 0, 9, b'x'], &[3, 0, 0, 9]] {
            let error = Err(SessionError::PeerMisbehaved(Misbehaviour::Command));
            assert_eq!(Peer::open().feed(&message(3, 0, 20, 0, body)), error, "{body:?}");
        }
        let long = call(0, "x", 1.0, &[null(), string(&"x".repeat(ASSEMBLY_BYTES))]);
        let error = Err(SessionError::LimitExceeded(Limit::CommandBytes));
        assert_eq!(Peer::connected().feed(&long), error);
    }

    #[test]
    fn net_streams_count_from_1_and_a_deleted_one_is_given_again() {
        let mut peer = Peer::connected();
        let create = |transaction: f64| call(0, "createStream", transaction, &[null()]);
        for id in 1..=NET_STREAMS {
            assert_eq!(peer.replies(&create(id as f64)), [Reply::result(id as f64, number(id as f64))]);
        }
        let refused = Reply::error(9.0, "NetConnection.Call.Failed", "Too many streams on this connection.");
        assert_eq!(peer.replies(&create(9.0)), [refused]);
        assert!(peer.ignores(&call(0, "deleteStream", 0.0, &[null(), number(3.0)])));
        assert_eq!(peer.replies(&create(10.0)), [Reply::result(10.0, number(3.0))]);
        // No object, no transaction.
        let mut peer = Peer::connected();
        assert_eq!(
            peer.replies(&message(3, 0, 20, 0, &command_body("createStream", 4.0, &[]))),
            [Reply::result(4.0, number(1.0))]
        );
        assert_eq!(peer.replies(&message(3, 0, 20, 0, &string("createStream"))), [Reply::result(0.0, number(2.0))]);
    }

    #[test]
    fn the_calls_of_encoders_are_answered_with_a_null_and_their_companions() {
        let mut peer = Peer::connected();
        let mut call_ = |name: &str| peer.replies(&call(0, name, 5.0, &[null(), string("cam?key=secret")]));
        let done = || Reply::result(5.0, null());
        let told = |method: &str, code: &str| {
            let info = object(&[("level", string("status")), ("code", string(code)), ("description", string("cam"))]);
            Reply::command(0, method, 0.0, &[null(), info])
        };
        assert_eq!(call_("releaseStream"), [done()]);
        assert_eq!(call_("FCPublish"), [done(), told("onFCPublish", "NetStream.Publish.Start")]);
        assert_eq!(call_("FCUnpublish"), [done(), told("onFCUnpublish", "NetStream.Unpublish.Success")]);
        assert_eq!(call_("FCSubscribe"), [done(), told("onFCSubscribe", "NetStream.Play.Start")]);
        assert_eq!(call_("FCUnsubscribe"), [done()]);
        assert_eq!(call_("DVRSubscribe"), [done(), told("onDVRSubscribe", "NetStream.Play.Start")]);
        assert_eq!(call_("DVRUnsubscribe"), [done(), told("onDVRUnsubscribe", "NetStream.Play.Stop")]);
        assert_eq!(call_("_checkbw"), [done()]);
        assert_eq!(call_("getStreamLength"), [Reply::result(5.0, number(0.0))]);
        assert_eq!(call_("ping"), [done(), Reply::command(0, "pong", 0.0, &[null()])]);
        assert_eq!(call_("deleteStream"), [done()]);
        // The server measures, and says when it is done.
        let asked = peer.answer(&call(0, "checkBandwidth", 5.0, &[null()]));
        assert_eq!(asked, (vec![Seen::CheckBandwidth], vec![done()]));
    }

    #[test]
    fn calls_without_transaction_are_not_answered_but_their_companions_come() {
        let mut peer = Peer::connected();
        for name in [
            "releaseStream",
            "FCUnsubscribe",
            "_checkbw",
            "getStreamLength",
            "DVRGetStreamInfo",
            "DVRSetStreamInfo",
            "deleteStream",
            "anything",
        ] {
            assert!(peer.ignores(&call(0, name, 0.0, &[null(), string("cam")])), "{name}");
            assert!(peer.ignores(&message(3, 0, 20, 0, &string(name))), "{name} alone");
        }
        for name in ["FCPublish", "FCUnpublish", "FCSubscribe", "DVRSubscribe", "DVRUnsubscribe"] {
            assert_eq!(peer.replies(&call(0, name, 0.0, &[null(), string("cam")])).len(), 1, "{name}");
            assert_eq!(peer.replies(&message(3, 0, 20, 0, &string(name))).len(), 1, "{name} alone");
        }
    }

    #[test]
    fn methods_are_offered_to_the_code_of_an_application_that_has_some() {
        let mut peer = Peer::connected();
        peer.session.set_scripted();
        let arguments = [string("a"), number(2.0)].concat();
        let mine = || call(0, "mine", 3.0, &[null(), arguments.clone()]);
        let seen = [Seen::Call("mine".into(), arguments.clone())];
        let failed = Reply::error(3.0, "NetConnection.Call.Failed", "No.");
        assert_eq!(peer.answer(&mine()), (seen.to_vec(), vec![failed]));
        peer.method = Some(&[1, 1]);
        assert_eq!(peer.answer(&mine()), (seen.to_vec(), vec![Reply::result(3.0, boolean(true))]));
        let (_, replies) = peer.answer(&call(0, "mine", 0.0, &[null()]));
        assert_eq!(replies, [], "transaction 0 asks for no answer");
        // What it does not have is done as for any other application.
        for name in [
            "releaseStream",
            "FCPublish",
            "FCUnpublish",
            "FCSubscribe",
            "getStreamLength",
            "DVRGetStreamInfo",
            "DVRSetStreamInfo",
            "DVRSubscribe",
            "DVRUnsubscribe",
            "other",
        ] {
            let body = call(0, name, 4.0, &[null(), string("cam")]);
            let (seen, replies) = peer.answer(&body);
            assert_eq!(seen[0], Seen::Call(name.into(), string("cam")));
            assert_eq!(replies, Peer::connected().replies(&body), "{name}");
        }
        // What is the server's own is not offered.
        assert_eq!(peer.answer(&call(0, "createStream", 5.0, &[null()])).0, []);
    }

    #[test]
    fn answers_to_our_own_calls_come_with_what_they_say() {
        let mut peer = Peer::connected();
        peer.session.command("hello", 7.0, &string("you"), &mut peer.tx).unwrap();
        peer.drain();
        assert_eq!(peer.taken(), [Reply::command(0, "hello", 7.0, &[null(), string("you")])]);
        let answer = |name: &str, id: f64| call(0, name, id, &[null(), number(1.0)]);
        assert_eq!(peer.seen(&answer("_result", 7.0)), [Seen::Answer(7, true, number(1.0))]);
        assert_eq!(peer.seen(&answer("_error", 7.0)), [Seen::Answer(7, false, number(1.0))]);
        assert!(peer.ignores(&answer("_result", 0.0)));
    }

    #[test]
    fn what_a_client_says_of_itself_can_be_read_until_it_is_decided() {
        let mut peer = Peer::open();
        let object = object(&[("app", string("live")), ("pageUrl", string("http://x/")), ("fpad", boolean(false))]);
        let body = call(0, "connect", 1.0, &[object, string("user"), number(5.0)]);
        let mut input = body.as_slice();
        assert_eq!(peer.session.next(&mut input, &mut peer.tx, peer.now), Ok(Some(Event::Request)));
        assert_eq!(peer.session.connect_property("pageUrl"), "http://x/");
        assert_eq!((peer.session.connect_property("fpad"), peer.session.connect_property("x")), ("", ""));
        assert_eq!(peer.session.arguments(), [string("user"), number(5.0)].concat());
        peer.session.decide(Decision::Accept, &mut peer.tx).unwrap();
        let mut input = publish(1, "cam?key=a?b ").leak() as &[u8];
        assert_eq!(peer.session.next(&mut input, &mut peer.tx, peer.now), Ok(Some(Event::Request)));
        assert_eq!(peer.session.stream_query(), "key=a?b");
    }

    #[test]
    fn unknown_calls_fail_by_name_and_answers_are_not_answered() {
        let mut peer = Peer::connected();
        let failed =
            |name: &str| Reply::error(3.0, "NetConnection.Call.Failed", &format!("Method not found ({name})."));
        for stream in [0, 1, 99] {
            assert_eq!(peer.replies(&call(stream, "setPeerInfo", 3.0, &[null()])), [failed("setPeerInfo")]);
        }
        assert_eq!(peer.replies(&call(0, &"x".repeat(300), 3.0, &[null()])), [failed("?")]);
        assert_eq!(peer.replies(&call(0, "", 3.0, &[null()])), [failed("")]);
        for name in ["_result", "_error", "onStatus", "pong"] {
            assert_eq!(peer.answer(&call(0, name, 3.0, &[null(), null()])).1, []);
        }
    }

    #[test]
    fn arguments_that_are_no_amf_count_as_missing() {
        let mut peer = Peer::connected();
        let body = [command_body("createStream", 2.0, &[]), vec![0xEE, 1, 2]].concat();
        assert_eq!(peer.replies(&message(3, 0, 20, 0, &body)), [Reply::result(2.0, number(1.0))]);
    }
}

/// Publishing (section 7.2.2.6).
mod publish_7_2_2_6 {
    use super::*;

    fn asked(values: &[Bytes]) -> Seen {
        let mut peer = Peer::connected();
        let (mut seen, replies) = peer.answer(&call(1, "publish", 5.0, &[&[null()], values].concat()));
        assert_eq!(replies.len(), 2);
        seen.remove(0)
    }

    fn request(name: &str, mode: PublishMode) -> Seen {
        Seen::Publish { stream: 1, name: name.into(), mode }
    }

    #[test]
    fn the_stream_begins_and_then_the_publish() {
        let mut peer = Peer::connected();
        peer.answer(&call(0, "createStream", 4.0, &[null()]));
        let (_, replies) = peer.answer(&publish(1, "cam?key=secret"));
        let start = Reply::status(1, "status", "NetStream.Publish.Start", "cam is now published.", "cam");
        assert_eq!(replies, [Reply::begin(1), start]);
    }

    #[test]
    fn the_type_is_read_in_any_case_and_may_be_missing() {
        for (kind, mode) in [
            ("live", PublishMode::Live),
            ("LIVE", PublishMode::Live),
            ("", PublishMode::Live),
            ("other", PublishMode::Live),
            ("record", PublishMode::Record),
            ("RECORD", PublishMode::Record),
            ("append", PublishMode::Append),
            ("Append", PublishMode::Append),
            ("appendWithGap", PublishMode::AppendWithGap),
        ] {
            assert_eq!(asked(&[string("cam"), string(kind)]), request("cam", mode));
        }
        assert_eq!(asked(&[string("cam")]), request("cam", PublishMode::Live));
        assert_eq!(asked(&[string("cam"), null()]), request("cam", PublishMode::Live));
    }

    #[test]
    fn a_name_loses_its_query_its_format_and_its_blanks() {
        for (sent, name) in [
            ("cam?clientConfigId=1&k=a?b/c", "cam"),
            ("mp4:cam.f4v", "cam.f4v"),
            ("flv:cam?x", "cam"),
            (&format!("cam?{}", "x".repeat(1000)), "cam"),
            ("f4v:cam", "cam"),
            (" cam ", "cam"),
            ("room/cam", "room/cam"),
            ("room//cam/", "room/cam"),
            ("Kamera-äöü", "Kamera-äöü"),
        ] {
            assert_eq!(asked(&[string(sent)]), request(name, PublishMode::Live), "{sent}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_is_refused_with_the_reason_and_the_connection_ends() {
        let bad = |description: &str| Reply::status(1, "error", "NetStream.Publish.BadName", description, "");
        let empty = "The stream name (in OBS: the stream key) is empty.";
        let illegal = "The name has a character that names must not have.";
        let long = "x".repeat(rill::limits::PATH_BYTES + 1);
        for (name, description) in [
            ("", empty),
            (" ", empty),
            ("?key", empty),
            ("mp4:", empty),
            ("/cam", illegal),
            ("a/../b", illegal),
            ("a:b", illegal),
            ("a\\b", illegal),
            ("a\0", illegal),
            (&*long, "The name is too long."),
            (&*format!("{long}?key"), "The name is too long."),
        ] {
            let mut peer = Peer::connected();
            // OBS goes on waiting behind BadName until the connection is closed.
            let error = Err(SessionError::PeerMisbehaved(Misbehaviour::StreamName));
            assert_eq!(peer.feed(&publish(1, name)), error, "{name}");
            assert_eq!(peer.taken(), [bad(description)], "{name}");
        }
    }

    #[test]
    fn a_refusal_stands_on_the_net_stream_and_leaves_it_idle() {
        let mut peer = Peer::connected();
        peer.refuse = Some(Status::new(Code::PublishBadName, "cam"));
        let (_, replies) = peer.answer(&publish(1, "cam"));
        let bad = Reply::status(1, "error", "NetStream.Publish.BadName", "cam is already published.", "cam");
        assert_eq!(replies, [bad]);
        assert!(peer.ignores(&message(4, 0, 8, 1, b"\xAF")));
    }

    #[test]
    fn it_may_be_said_twice() {
        let mut peer = Peer::publishing();
        assert_eq!(peer.answer(&publish(1, "cam")).0, [request("cam", PublishMode::Live)]);
        assert_eq!(peer.seen(&message(4, 0, 8, 1, b"\xAF")).len(), 2);
    }

    #[test]
    fn without_a_name_it_means_the_end() {
        let unnamed =
            [vec![null()], vec![null(), boolean(false)], vec![], vec![null(), null()], vec![null(), string("false")]];
        for values in unnamed.iter().chain([&vec![null(), string("")]]) {
            let mut peer = Peer::publishing();
            assert_eq!(peer.seen(&call(1, "publish", 0.0, values)), [Seen::Closed(1)]);
            assert!(peer.ignores(&message(4, 0, 8, 1, b"\xAF")));
        }
        for values in &unnamed {
            assert!(Peer::connected().ignores(&call(1, "publish", 0.0, values)), "there was none");
        }
    }

    #[test]
    fn a_net_stream_plays_or_publishes() {
        let fails = "This stream plays already; it cannot publish too.";
        let bad = Reply::status(1, "error", "NetStream.Publish.BadName", fails, "");
        assert_eq!(Peer::playing().replies(&publish(1, "cam")), [bad]);
        let fails = "This stream publishes already; it cannot play too.";
        let failed = Reply::status(1, "error", "NetStream.Play.Failed", fails, "");
        assert_eq!(Peer::publishing().replies(&play(1, "cam")), [failed]);
    }

    #[test]
    fn on_the_connection_or_one_stream_too_many_it_fails() {
        for stream in [0, NET_STREAMS as u32 + 1, u32::MAX] {
            let mut failed = Reply::status(stream, "error", "NetStream.Failed", "There is no such stream.", "");
            if stream == 0 {
                failed.chunk_stream = 3;
            }
            assert_eq!(Peer::connected().replies(&publish(stream, "cam")), [failed]);
        }
    }

    #[test]
    fn on_the_connection_it_means_the_only_net_stream_that_was_created() {
        let created = || {
            let mut peer = Peer::connected();
            peer.answer(&call(0, "createStream", 2.0, &[null()]));
            peer
        };
        for command in [publish as fn(u32, &str) -> Vec<u8>, play] {
            let mut peer = created();
            assert_eq!(peer.answer(&command(0, "cam")), created().answer(&command(1, "cam")));
            assert_eq!(peer.answer(&command(0, "cam")), peer.answer(&command(1, "cam")), "and once more");
            // Code of the application comes first, and when it has no such method the same is done.
            let mut scripted = created();
            scripted.session.set_scripted();
            let (seen, replies) = scripted.answer(&command(0, "cam"));
            let (plain, answers) = created().answer(&command(1, "cam"));
            assert!(matches!(seen[0], Seen::Call(..)), "{seen:?}");
            assert_eq!((&seen[1..], replies), (&plain[..], answers));
            // Of two it is not known which.
            let mut peer = created();
            peer.answer(&call(0, "createStream", 3.0, &[null()]));
            let failed = peer.replies(&command(0, "cam"));
            assert_eq!(failed, Peer::connected().replies(&command(0, "cam")));
        }
        let mut peer = Peer::publishing();
        assert_eq!(peer.seen(&message(4, 0, 8, 0, b"\xAF")).len(), 2, "as media do");
    }

    #[test]
    fn createstream_may_be_left_out() {
        assert!(matches!(asked(&[string("cam")]), Seen::Publish { stream: 1, .. }));
        let mut peer = Peer::publishing();
        assert_eq!(peer.replies(&call(0, "createStream", 2.0, &[null()])), [Reply::result(2.0, number(2.0))]);
    }

    #[test]
    fn every_way_encoders_stop_ends_the_publish_once_and_the_connection_may_publish_again() {
        let close = call(1, "closeStream", 0.0, &[null()]);
        let fc = call(0, "FCUnpublish", 0.0, &[null(), string("cam")]);
        let delete = call(0, "deleteStream", 0.0, &[null(), number(1.0)]);
        let delete_there = call(1, "deleteStream", 0.0, &[null()]);
        for stop in [
            close.clone(),
            fc.clone(),
            delete.clone(),
            delete_there,
            [fc.clone(), delete.clone()].concat(),
            [delete.clone(), fc].concat(),
            [close.clone(), delete].concat(),
            message(3, 0, 20, 1, &string("closeStream")),
        ] {
            let mut peer = Peer::publishing();
            assert_eq!(peer.answer(&stop).0, [Seen::Closed(1)]);
            assert_eq!(peer.answer(&publish(1, "cam")).0, [request("cam", PublishMode::Live)]);
        }
    }

    #[test]
    fn fcunpublish_ends_the_publish_that_it_names_and_no_other() {
        let fc = |name: &str| call(0, "FCUnpublish", 0.0, &[null(), string(name)]);
        let mut peer = Peer::publishing();
        assert_eq!(peer.answer(&fc("other")).0, []);
        for name in ["flv:cam?key=1", ""] {
            assert_eq!(Peer::publishing().answer(&fc(name)).0, [Seen::Closed(1)], "{name:?}");
        }
        peer.answer(&[call(0, "createStream", 2.0, &[null()]), publish(2, "second")].concat());
        assert_eq!(peer.answer(&fc("")).0, [], "which of the two?");
        assert_eq!(peer.answer(&fc("second")).0, [Seen::Closed(2)]);
        assert_eq!(peer.answer(&fc("cam")).0, [Seen::Closed(1)]);
    }

    #[test]
    fn a_net_stream_deleted_while_it_published_is_free() {
        let mut peer = Peer::publishing();
        for _ in 0..=NET_STREAMS {
            assert_eq!(peer.seen(&call(0, "deleteStream", 0.0, &[null(), number(1.0)])), [Seen::Closed(1)]);
            assert_eq!(peer.replies(&call(0, "createStream", 2.0, &[null()])), [Reply::result(2.0, number(1.0))]);
            assert_eq!(peer.answer(&publish(1, "cam")).0.len(), 1);
        }
    }

    #[test]
    fn what_is_refused_leaves_what_the_net_stream_does_alone() {
        let mut peer = Peer::publishing();
        peer.refuse = Some(Status::new(Code::RecordNoAccess, "other"));
        peer.answer(&publish(1, "other"));
        assert_eq!(peer.seen(&message(4, 0, 8, 1, b"\xAF")).len(), 2);
        let mut peer = Peer::playing();
        peer.refuse = Some(Status::new(Code::PlayStreamNotFound, "other"));
        peer.answer(&play(1, "other"));
        assert_eq!(peer.seen(&call(1, "seek", 0.0, &[null(), number(0.0)])), [Seen::Seek(1, 0)]);
    }

    #[test]
    fn closing_and_deleting_what_is_not_there_does_nothing() {
        let mut peer = Peer::publishing();
        for id in [0.0, -1.0, 2.0, 9.0, 1e300, f64::NAN, f64::INFINITY] {
            assert!(peer.ignores(&call(0, "deleteStream", 0.0, &[null(), number(id)])), "{id}");
        }
        assert!(peer.ignores(&call(0, "deleteStream", 0.0, &[])));
        assert!(peer.ignores(&call(0, "deleteStream", 0.0, &[null(), string("1")])));
        for stream in [0, 2, 8, 9, u32::MAX] {
            assert!(peer.ignores(&call(stream, "closeStream", 0.0, &[null()])), "{stream}");
        }
        assert_eq!(peer.seen(&message(4, 0, 8, 1, b"\xAF")).len(), 2, "it still publishes");
    }
}

/// Playing (sections 7.2.2.1 to 7.2.2.9).
mod play_7_2_2_1 {
    use super::*;

    fn asked(values: &[Bytes]) -> Seen {
        let (mut seen, replies) = Peer::connected().answer(&call(1, "play", 5.0, &[&[null()], values].concat()));
        assert!(replies.len() >= 3);
        seen.remove(0)
    }

    fn request(start: PlayStart, how: PlayHow) -> Seen {
        Seen::Play { stream: 1, name: "cam".into(), start, length: PlayLength::Whole, how }
    }

    #[test]
    fn the_stream_begins_resets_starts_and_may_be_sampled() {
        let (_, replies) = Peer::connected().answer(&play(1, "cam"));
        let reset = Reply::status(1, "status", "NetStream.Play.Reset", "Playing and resetting cam.", "cam");
        let start = Reply::status(1, "status", "NetStream.Play.Start", "Started playing cam.", "cam");
        assert_eq!(replies, [Reply::begin(1), reset, start.clone(), Reply::sample_access(1)]);
        let append = [null(), string("cam"), number(-2.0), number(-1.0), boolean(false)];
        let (_, replies) = Peer::connected().answer(&call(1, "play", 0.0, &append));
        assert_eq!(replies, [Reply::begin(1), start, Reply::sample_access(1)]);
    }

    #[test]
    fn the_longest_name_still_fits_every_answer() {
        let name = "n".repeat(128);
        let mut peer = Peer::connected();
        peer.feed(&play(1, &name)).unwrap();
        // The server adds one more status, and acknowledgement and ping may come between.
        assert!(peer.sent.len() + 400 + 16 + 18 < REPLY_BYTES);
        let start = Reply::status(1, "status", "NetStream.Play.Start", &format!("Started playing {name}."), &name);
        assert_eq!(peer.taken()[2], start);
    }

    #[test]
    fn start_is_read_in_milliseconds_and_its_meanings_in_both_units() {
        for (start, meaning) in [
            (-2.0, PlayStart::LiveOrRecorded),
            (-2000.0, PlayStart::LiveOrRecorded),
            (-3.0, PlayStart::LiveOrRecorded),
            (f64::NAN, PlayStart::LiveOrRecorded),
            (-1.0, PlayStart::Live),
            (-1000.0, PlayStart::Live),
            (0.0, PlayStart::Recorded(0)),
            (1500.0, PlayStart::Recorded(1500)),
            (1e300, PlayStart::Recorded(u32::MAX)),
        ] {
            assert_eq!(asked(&[string("cam"), number(start)]), request(meaning, PlayHow::Reset), "{start}");
        }
        for values in [vec![string("cam")], vec![string("cam"), null()], vec![string("cam?k=v"), string("0")]] {
            assert_eq!(asked(&values), request(PlayStart::LiveOrRecorded, PlayHow::Reset));
        }
    }

    #[test]
    fn reset_is_a_flag_or_a_number() {
        for (reset, how) in [
            (boolean(true), PlayHow::Reset),
            (boolean(false), PlayHow::Append),
            (number(0.0), PlayHow::Append),
            (number(1.0), PlayHow::Reset),
            (number(2.0), PlayHow::Append),
            (number(3.0), PlayHow::Reset),
            (null(), PlayHow::Reset),
        ] {
            let values = [string("mp4:cam"), number(-2.0), number(-1.0), reset];
            assert_eq!(asked(&values), request(PlayStart::LiveOrRecorded, how));
        }
    }

    #[test]
    fn a_refusal_stands_on_the_net_stream() {
        let mut peer = Peer::connected();
        peer.refuse = Some(Status::new(Code::PlayStreamNotFound, "cam"));
        let (_, replies) = peer.answer(&play(1, "cam"));
        let text = "Failed to play cam; stream not found.";
        assert_eq!(replies, [Reply::status(1, "error", "NetStream.Play.StreamNotFound", text, "cam")]);
        let failed = Reply::status(1, "error", "NetStream.Play.Failed", "The name is empty.", "");
        assert_eq!(Peer::connected().replies(&play(1, "?x")), [failed]);
    }

    #[test]
    fn a_second_play_asks_again() {
        let mut peer = Peer::playing();
        let (seen, replies) = peer.answer(&play(1, "cam2"));
        assert!(matches!(&seen[..], [Seen::Play { name, .. }] if name == "cam2"));
        assert_eq!(replies.len(), 4);
    }

    #[test]
    fn false_for_a_name_means_stop() {
        for values in [vec![null(), boolean(false)], vec![null()], vec![]] {
            let mut peer = Peer::playing();
            assert_eq!(peer.seen(&call(1, "play", 0.0, &values)), [Seen::Closed(1)]);
            assert!(peer.ignores(&call(1, "play", 0.0, &values)));
        }
    }

    #[test]
    fn play2_switches_with_a_transition_and_starts_what_does_not_play() {
        let options = |transition: Option<&str>| {
            let mut of =
                vec![("streamName", string("cam2")), ("oldStreamName", string("cam")), ("start", number(-2.0))];
            of.extend(transition.map(|transition| ("transition", string(transition))));
            call(1, "play2", 0.0, &[null(), object(&of)])
        };
        let switched = Reply::status(1, "status", "NetStream.Play.Transition", "Switching to cam2.", "cam2");
        for transition in [None, Some("switch"), Some("swap"), Some("resume")] {
            let (seen, replies) = Peer::playing().answer(&options(transition));
            assert!(matches!(seen[0], Seen::Play { how: PlayHow::Switch, .. }));
            assert_eq!(replies, std::slice::from_ref(&switched), "{transition:?}");
            let (_, replies) = Peer::connected().answer(&options(transition));
            assert_eq!(replies.len(), 3, "Play.Start, as nothing played");
        }
        let (seen, replies) = Peer::playing().answer(&options(Some("reset")));
        assert!(matches!(seen[0], Seen::Play { how: PlayHow::Reset, .. }));
        assert_eq!(replies.len(), 4);
        assert_eq!(Peer::playing().seen(&options(Some("stop"))), [Seen::Closed(1)]);
        for transition in ["append", "appendAndWait", "nonsense"] {
            let text = "This transition is not available for live streams.";
            let failed = Reply::status(1, "error", "NetStream.Failed", text, "");
            assert_eq!(Peer::playing().replies(&options(Some(transition))), [failed]);
        }
        let failed = Reply::status(1, "error", "NetStream.Play.Failed", "The name is empty.", "");
        assert_eq!(Peer::playing().replies(&call(1, "play2", 0.0, &[null()])), [failed]);
    }

    #[test]
    fn pause_seek_and_receive_are_for_those_who_play() {
        let commands = [
            (call(1, "pause", 0.0, &[null(), boolean(true), number(0.0)]), Seen::Pause(1, Some(true), 0)),
            (call(1, "pause", 0.0, &[null(), boolean(false), number(9.0)]), Seen::Pause(1, Some(false), 9)),
            (call(1, "pause", 0.0, &[null()]), Seen::Pause(1, None, 0)),
            (call(1, "pauseRaw", 0.0, &[null(), boolean(true)]), Seen::Pause(1, Some(true), 0)),
            (call(1, "seek", 0.0, &[null(), number(1000.0)]), Seen::Seek(1, 1000)),
            (call(1, "seek", 0.0, &[]), Seen::Seek(1, 0)),
            (call(1, "receiveAudio", 0.0, &[null(), boolean(false)]), Seen::ReceiveAudio(1, false)),
            (call(1, "receiveAudio", 0.0, &[null()]), Seen::ReceiveAudio(1, true)),
            (call(1, "receiveVideo", 0.0, &[null(), boolean(false)]), Seen::ReceiveVideo(1, false)),
            (call(1, "receiveVideo", 0.0, &[null(), boolean(true)]), Seen::ReceiveVideo(1, true)),
        ];
        let mut playing = Peer::playing();
        for (bytes, expected) in commands {
            assert_eq!(playing.seen(&bytes), [expected]);
            assert!(Peer::connected().ignores(&bytes));
            assert!(Peer::publishing().ignores(&bytes));
        }
        assert!(playing.ignores(&call(1, "receiveVideoFPS", 0.0, &[null(), number(5.0)])));
    }

    #[test]
    fn an_argument_of_the_wrong_type_is_named_and_what_the_net_stream_does_goes_on() {
        let wrong = [
            ("publish", vec![number(5.0), boolean(true), object(&[]), strict_array(&[])]),
            ("play", vec![number(5.0), boolean(true), object(&[])]),
            ("play2", vec![string("cam"), number(1.0), boolean(false)]),
            ("pause", vec![number(1.0), string("true")]),
            ("pauseRaw", vec![number(1.0)]),
            ("seek", vec![string("10"), boolean(true), object(&[])]),
            ("receiveAudio", vec![number(0.0), string("false")]),
            ("receiveVideo", vec![number(0.0), object(&[])]),
        ];
        for (name, values) in wrong {
            for value in values {
                let bytes = call(1, name, 3.0, &[null(), value]);
                let text = format!("Invalid argument of {name}.");
                let invalid = Reply::status(1, "error", "NetStream.InvalidArg", &text, "");
                for mut peer in [Peer::connected(), Peer::publishing(), Peer::playing()] {
                    assert_eq!(peer.replies(&bytes), std::slice::from_ref(&invalid));
                }
                let failed = Reply {
                    chunk_stream: 3,
                    ..Reply::status(0, "error", "NetStream.Failed", "There is no such stream.", "")
                };
                assert_eq!(Peer::connected().replies(&call(0, name, 3.0, &[null(), string("x")])), [failed]);
            }
            for missing in [null(), undefined(), vec![0x11, 0], vec![0x11, 1]] {
                let (_, replies) = Peer::playing().answer(&call(1, name, 3.0, &[null(), missing]));
                assert!(!replies.iter().any(|reply| reply.body.windows(10).any(|part| part == b"InvalidArg")));
            }
        }
    }

    #[test]
    fn ffmpeg_and_librtmp_players_are_answered_in_the_order_they_ask() {
        let mut peer = Peer::connected();
        let bytes = [
            control(5, &2_500_000_u32.to_be_bytes()),
            call(0, "createStream", 2.0, &[null()]),
            call(0, "_checkbw", 3.0, &[null()]),
            call(0, "FCSubscribe", 4.0, &[null(), string("cam")]),
            call(0, "getStreamLength", 5.0, &[null(), string("cam")]),
            message(8, 0, 20, 1, &command_body("play", 6.0, &[null(), string("cam"), number(-2000.0)])),
            user_control(3, &[0, 0, 0, 1, 0, 0, 0x0B, 0xB8]),
        ]
        .concat();
        let (seen, replies) = peer.answer(&bytes);
        assert_eq!(seen, [request(PlayStart::LiveOrRecorded, PlayHow::Reset)]);
        let names: Vec<_> = replies.iter().filter(|reply| reply.type_id != 4).map(Reply::name).collect();
        assert_eq!(
            names,
            ["_result", "_result", "_result", "onFCSubscribe", "_result", "onStatus", "onStatus", "|RtmpSampleAccess"]
        );
    }

    #[test]
    fn every_way_players_stop_ends_the_play_once() {
        for stop in [
            call(1, "closeStream", 0.0, &[null()]),
            call(0, "deleteStream", 7.0, &[null(), number(1.0)]),
            call(1, "deleteStream", 7.0, &[null(), number(1.0)]),
        ] {
            let mut peer = Peer::playing();
            assert_eq!(peer.answer(&[stop.clone(), stop].concat()).0, [Seen::Closed(1)]);
        }
    }
}

/// Status events (NetStatusEvent tables).
mod statuses {
    use super::*;

    fn sent(status: Status<'_>) -> Reply {
        let mut tx = TxBuf::default();
        status.send(1, &mut tx).unwrap();
        // Longer than a chunk of the size that holds before connect.
        let announced = [control(1, &[0, 0, 0xEA, 0x60]), tx.pending().to_vec()].concat();
        replies(&announced).remove(1)
    }

    #[test]
    fn every_code_has_its_level_and_words() {
        for (code, level, name, description) in [
            (Code::RecordNoAccess, "error", "NetStream.Record.NoAccess", "cam cannot be recorded."),
            (Code::PublishStart, "status", "NetStream.Publish.Start", "cam is now published."),
            (Code::PublishBadName, "error", "NetStream.Publish.BadName", "cam is already published."),
            (Code::UnpublishSuccess, "status", "NetStream.Unpublish.Success", "cam is now unpublished."),
            (Code::PlayReset, "status", "NetStream.Play.Reset", "Playing and resetting cam."),
            (Code::PlayStart, "status", "NetStream.Play.Start", "Started playing cam."),
            (Code::PlayStop, "status", "NetStream.Play.Stop", "Stopped playing cam."),
            (
                Code::PlayStreamNotFound,
                "error",
                "NetStream.Play.StreamNotFound",
                "Failed to play cam; stream not found.",
            ),
            (Code::PlayFailed, "error", "NetStream.Play.Failed", "Failed to play cam."),
            (Code::PlayPublishNotify, "status", "NetStream.Play.PublishNotify", "cam is now published."),
            (Code::PlayUnpublishNotify, "status", "NetStream.Play.UnpublishNotify", "cam is now unpublished."),
            (Code::PlayTransition, "status", "NetStream.Play.Transition", "Switching to cam."),
            (Code::PauseNotify, "status", "NetStream.Pause.Notify", "Pausing cam."),
            (Code::UnpauseNotify, "status", "NetStream.Unpause.Notify", "Unpausing cam."),
            (Code::SeekNotify, "status", "NetStream.Seek.Notify", "Seeking cam."),
        ] {
            assert_eq!(sent(Status::new(code, "cam")), Reply::status(1, level, name, description, "cam"));
        }
        for (code, level, name) in [
            (Code::ConnectSuccess, "status", "NetConnection.Connect.Success"),
            (Code::ConnectRejected, "error", "NetConnection.Connect.Rejected"),
            (Code::ConnectInvalidApp, "error", "NetConnection.Connect.InvalidApp"),
            (Code::ConnectFailed, "error", "NetConnection.Connect.Failed"),
            (Code::ConnectAppShutdown, "error", "NetConnection.Connect.AppShutdown"),
            (Code::ConnectIdleTimeout, "status", "NetConnection.Connect.IdleTimeout"),
            (Code::CallFailed, "error", "NetConnection.Call.Failed"),
        ] {
            let status = Status::new(code, "cam").described("Words.");
            assert_eq!(sent(status), Reply::status(1, level, name, "Words.", ""), "no details of a connection");
        }
    }

    #[test]
    fn the_end_of_a_switch_is_a_data_message() {
        let mut tx = TxBuf::default();
        Status::new(Code::PlayTransitionComplete, "cam").send_play_status(1, &mut tx).unwrap();
        let info = info("status", "NetStream.Play.TransitionComplete", "Switched to cam.", "cam");
        let body = [string("onPlayStatus"), info].concat();
        let announced = [control(1, &[0, 0, 0xEA, 0x60]), tx.pending().to_vec()].concat();
        assert_eq!(replies(&announced)[1], Reply { chunk_stream: 5, type_id: 18, stream: 1, body });
    }

    #[test]
    fn statuses_of_the_connection_stand_on_message_stream_0() {
        let mut peer = Peer::connected();
        peer.session.status(None, Status::new(Code::ConnectIdleTimeout, ""), &mut peer.tx).unwrap();
        peer.drain();
        let idle = Reply::status(0, "status", "NetConnection.Connect.IdleTimeout", "Idle for too long.", "");
        assert_eq!(peer.taken(), [idle]);
    }

    #[test]
    fn a_status_that_does_not_fit_is_left_out_whole() {
        let mut tx = TxBuf::default();
        let status = Status::new(Code::PlayStart, "cam");
        status.send(1, &mut tx).unwrap();
        let one = tx.pending().len();
        while status.send(1, &mut tx).is_ok() {}
        let whole = tx.pending().len();
        assert_eq!(whole % one, 0);
        assert!(status.send(1, &mut tx).is_err());
        assert_eq!(tx.pending().len(), whole);
    }
}

/// Whole openings as clients send them, in the order and with the habits the field knows.
mod clients {
    use super::*;

    fn starts(peer: &mut Peer, bytes: &[u8]) -> Vec<String> {
        let (seen, replies) = peer.answer(bytes);
        assert!(seen.iter().any(|seen| matches!(seen, Seen::Publish { name, .. } if name == "cam")), "{seen:?}");
        replies.iter().filter(|reply| reply.type_id == 20).map(|reply| reply.name().to_string()).collect()
    }

    #[test]
    fn obs_and_fmle() {
        let mut peer = Peer::open();
        let bytes = [
            connect(
                1.0,
                &[
                    ("app", string("live")),
                    ("type", string("nonprivate")),
                    ("flashVer", string("FMLE/3.0 (compatible; FMSc/1.0)")),
                    ("swfUrl", string("rtmp://h/live")),
                    ("tcUrl", string("rtmp://h/live")),
                ],
            ),
            call(0, "_checkbw", 2.0, &[null()]),
            call(0, "releaseStream", 3.0, &[null(), string("cam")]),
            call(0, "FCPublish", 4.0, &[null(), string("cam")]),
            call(0, "createStream", 5.0, &[null()]),
            message(4, 0, 20, 1, &command_body("publish", 6.0, &[null(), string("cam"), string("live")])),
        ]
        .concat();
        let names = ["_result", "onBWDone", "_result", "_result", "_result", "onFCPublish", "_result", "onStatus"];
        assert_eq!(starts(&mut peer, &bytes), names);
        // At the end it says both, in either order.
        let stop = [
            call(0, "deleteStream", 7.0, &[null(), number(1.0)]),
            call(0, "FCUnpublish", 8.0, &[null(), string("cam")]),
        ];
        assert_eq!(peer.answer(&stop.concat()).0, [Seen::Closed(1)]);
    }

    #[test]
    fn haivision_asks_for_bandwidth_first_and_fc_publish_behind_create_stream() {
        let bytes = [
            call(0, "_checkbw", 2.0, &[null()]),
            call(0, "createStream", 3.0, &[null()]),
            call(0, "FCPublish", 4.0, &[null(), string("cam")]),
            publish(1, "cam"),
        ]
        .concat();
        assert_eq!(
            starts(&mut Peer::connected(), &bytes),
            ["_result", "_result", "_result", "onFCPublish", "onStatus"]
        );
    }

    #[test]
    fn wirecast_publishes_in_capitals_and_needs_level_before_code() {
        let bytes = call(1, "publish", 0.0, &[null(), string("cam"), string("LIVE")]);
        let (_, replies) = Peer::connected().answer(&bytes);
        let body = &replies[1].body;
        let at = |text: &[u8]| body.windows(text.len()).position(|window| window == text).unwrap();
        assert!(at(b"level") < at(b"code"));
    }

    #[test]
    fn red5_sends_nulls_and_dahua_metadata_has_no_codec() {
        let mut peer = Peer::open();
        let nulls = ["swfUrl", "pageUrl", "tcUrl", "flashVer"].map(|key| (key, null()));
        peer.feed(&connect(1.0, &[&[("app", string("live"))], &nulls[..]].concat())).unwrap();
        peer.answer(&publish(1, "cam"));
        let body = [string("@setDataFrame"), string("onMetaData"), ecma_array(&[("width", number(1.0))])].concat();
        assert!(matches!(&peer.seen(&message(5, 0, 18, 1, &body))[..], [Seen::Data { message: Some(_), .. }]));
    }

    #[test]
    fn djis_empty_access_units_and_empty_codec_configurations_pass() {
        let mut peer = Peer::publishing();
        for body in [&b"\x17\x01\0\0\0"[..], b"\x27\x01\0\0\0\0\0\0\0", b"\x17\x00\0\0\0"] {
            assert_eq!(peer.seen(&message(6, 0, 9, 1, body)).len(), 2);
        }
        for body in [&b"\xAF\x00"[..], b"\xAF\x01", b"\xAF"] {
            assert_eq!(peer.seen(&message(4, 0, 8, 1, body)).len(), 2);
        }
    }

    #[test]
    fn an_encoder_of_zeros_for_transactions_is_served() {
        let bytes = [
            call(0, "releaseStream", 0.0, &[null(), string("cam")]),
            call(0, "createStream", 0.0, &[null()]),
            publish(1, "cam"),
        ]
        .concat();
        assert_eq!(starts(&mut Peer::connected(), &bytes), ["_result", "onStatus"]);
    }

    #[test]
    fn joy4_announces_128_mebibyte_chunks() {
        let mut peer = Peer::publishing();
        let video = vec![0x17; 100_000];
        let bytes = [control(1, &[8, 0, 0, 0]), chunked(usize::MAX, 6, 0, 9, 1, &video).concat()].concat();
        let seen = peer.seen(&bytes);
        assert!(matches!(&seen[1], Seen::End { payload, .. } if *payload == video));
    }
}

/// Playing recordings: the orders of Adobe's servers, on which clients depend.
mod recorded {
    use super::*;

    const NAME: &str = "film.mp4";

    fn is_recorded() -> Reply {
        Reply::control(4, &[0, 4, 0, 0, 0, 1])
    }

    fn eof() -> Reply {
        Reply::control(4, &[0, 1, 0, 0, 0, 1])
    }

    fn status(code: &str, text: &str) -> Reply {
        Reply::status(1, "status", &format!("NetStream.{code}"), text, NAME)
    }

    fn start() -> Reply {
        status("Play.Start", "Started playing film.mp4.")
    }

    /// `onPlayStatus` of what lasted 1.5 s and 7000 bytes.
    fn play_status(code: &str, text: &str) -> Reply {
        let of = [
            ("level", string("status")),
            ("code", string(&format!("NetStream.Play.{code}"))),
            ("description", string(text)),
            ("details", string(NAME)),
            ("duration", number(1.5)),
            ("bytes", number(7000.0)),
        ];
        Reply { chunk_stream: 5, type_id: 18, stream: 1, body: [string("onPlayStatus"), object(&of)].concat() }
    }

    const PLAYED: Played = Played { ms: 1500, bytes: 7000 };

    #[test]
    fn it_is_recorded_before_it_begins_and_resets_only_with_the_flag() {
        let mut peer = Peer::connected();
        peer.recorded = true;
        let reset = status("Play.Reset", "Playing and resetting film.mp4.");
        let begins = [is_recorded(), Reply::begin(1), reset, start(), Reply::sample_access(1)];
        let (_, replies) = peer.answer(&play(1, "mp4:film.mp4?key=secret"));
        assert_eq!(replies, begins, "neither prefix nor query is a part of the name");
        let append = [null(), string(NAME), number(0.0), number(-1.0), boolean(false)];
        let mut peer = Peer::connected();
        peer.recorded = true;
        let (_, replies) = peer.answer(&call(1, "play", 0.0, &append));
        assert_eq!(replies, [is_recorded(), Reply::begin(1), start(), Reply::sample_access(1)]);
    }

    #[test]
    fn a_seek_ends_what_was_and_begins_anew() {
        let told = Peer::playing_recorded().told(Told::Seeks { name: NAME, ms: 15_000 });
        let notify = status("Seek.Notify", "Seeking 15000 (stream ID: 1).");
        assert_eq!(told, [eof(), is_recorded(), Reply::begin(1), notify, start(), Reply::sample_access(1)]);
    }

    #[test]
    fn a_pause_ends_what_was_and_what_goes_on_begins_anew() {
        let mut peer = Peer::playing_recorded();
        let told = peer.told(Told::Pauses { name: NAME });
        assert_eq!(told, [eof(), status("Pause.Notify", "Pausing film.mp4.")]);
        let told = peer.told(Told::GoesOn { name: NAME });
        let notify = status("Unpause.Notify", "Unpausing film.mp4.");
        assert_eq!(told, [is_recorded(), Reply::begin(1), notify, start(), Reply::sample_access(1)]);
    }

    #[test]
    fn the_next_of_a_playlist_follows_a_switch_and_the_end_a_complete() {
        let mut peer = Peer::playing_recorded();
        let told = peer.told(Told::Switches { name: NAME, played: PLAYED });
        let switch = play_status("Switch", "Going on with film.mp4.");
        assert_eq!(told, [switch, start(), Reply::sample_access(1)]);
        let told = peer.told(Told::Ends { name: NAME, played: PLAYED });
        let complete = play_status("Complete", "Played all of film.mp4.");
        assert_eq!(told, [complete, eof(), status("Play.Stop", "Stopped playing film.mp4.")]);
    }

    #[test]
    fn everything_it_is_told_fits_at_once_with_the_longest_name() {
        let name = "n".repeat(rill::limits::PATH_BYTES);
        let mut peer = Peer::connected();
        peer.recorded = true;
        peer.feed(&play(1, &name)).unwrap();
        assert!(peer.sent.len() < REPLY_BYTES, "{}", peer.sent.len());
        for told in [
            Told::Seeks { name: &name, ms: u32::MAX },
            Told::GoesOn { name: &name },
            Told::Switches { name: &name, played: PLAYED },
            Told::Ends { name: &name, played: PLAYED },
        ] {
            peer.sent.clear();
            peer.session.tell_recorded(NetStreamId::from_index(0), told, &mut peer.tx).unwrap();
            assert!(peer.tx.pending().len() < REPLY_BYTES, "{told:?}");
            peer.drain();
        }
    }

    #[test]
    fn the_length_is_read_in_milliseconds() {
        for (length, meaning) in [
            (-1.0, PlayLength::Whole),
            (-1000.0, PlayLength::Whole),
            (f64::NAN, PlayLength::Whole),
            (0.0, PlayLength::Picture),
            (2500.0, PlayLength::Ms(2500)),
            (1e300, PlayLength::Ms(u32::MAX)),
        ] {
            let values = [null(), string("a"), number(0.0), number(length)];
            let (seen, _) = Peer::connected().answer(&call(1, "play", 0.0, &values));
            assert!(matches!(seen[..], [Seen::Play { length, .. }] if length == meaning), "{length}: {seen:?}");
        }
    }

    #[test]
    fn the_length_of_a_stream_is_told_when_it_is_known() {
        let mut peer = Peer::connected();
        let asked = call(0, "getStreamLength", 5.0, &[null(), string("film7")]);
        assert_eq!(peer.replies(&asked), [Reply::result(5.0, number(7.5))]);
        let asked = call(0, "getStreamLength", 6.0, &[null()]);
        assert_eq!(peer.replies(&asked), [Reply::result(6.0, number(0.0))]);
        assert!(peer.ignores(&call(0, "getStreamLength", 0.0, &[null(), string("film7")])));
    }

    /// As OSMF, JW Player and FLVPlayback read it: lengths in seconds, and dates or nulls.
    #[test]
    fn players_are_told_how_long_a_recording_is_and_encoders_that_they_do_not_set_it() {
        let mut peer = Peer::connected();
        let info = |code: &str, data: Bytes| {
            object(&[("code", string(&format!("NetStream.DVRStreamInfo.{code}"))), ("data", data)])
        };
        let asked = call(0, "DVRGetStreamInfo", 5.0, &[null(), string("film7")]);
        let data = object(&[
            ("streamName", string("film7")),
            ("currLen", number(7.5)),
            ("maxLen", number(0.0)),
            ("begOffset", number(0.0)),
            ("endOffset", number(0.0)),
            ("isRec", boolean(true)),
            ("offline", boolean(false)),
            ("append", boolean(false)),
            ("callTime", null()),
            ("startRec", null()),
            ("stopRec", null()),
            ("retry", number(5.0)),
        ]);
        assert_eq!(peer.replies(&asked), [Reply::result(5.0, info("Success", data))]);
        let failed = [Reply::result(6.0, info("Failed", null()))];
        assert_eq!(peer.replies(&call(0, "DVRGetStreamInfo", 6.0, &[null()])), failed);
        let set = object(&[("streamName", string("cam")), ("maxLen", number(60.0))]);
        assert_eq!(peer.replies(&call(0, "DVRSetStreamInfo", 6.0, &[null(), set])), failed);
    }

    #[test]
    fn play2_speaks_of_seconds_and_appends_to_recordings() {
        let options = |transition: &str, of: &[(&str, f64)]| {
            let mut all = vec![("streamName", string("b.mp4")), ("transition", string(transition))];
            all.extend(of.iter().map(|(key, value)| (*key, number(*value))));
            call(1, "play2", 0.0, &[null(), object(&all)])
        };
        let asked = |start, length, how| Seen::Play { stream: 1, name: "b.mp4".into(), start, length, how };
        let (whole, any) = (PlayLength::Whole, PlayStart::LiveOrRecorded);
        for (transition, of, seen) in [
            ("append", vec![], asked(any, whole, PlayHow::Append)),
            ("appendAndWait", vec![("start", 1.5)], asked(PlayStart::Recorded(1500), whole, PlayHow::Append)),
            ("switch", vec![("len", 2.0)], asked(any, PlayLength::Ms(2000), PlayHow::Switch)),
            ("resume", vec![("offset", 7.25)], asked(PlayStart::Recorded(7250), whole, PlayHow::Switch)),
            ("reset", vec![("start", -2.0), ("len", -1.0)], asked(any, whole, PlayHow::Reset)),
        ] {
            assert_eq!(Peer::playing_recorded().answer(&options(transition, &of)).0, [seen], "{transition}");
        }
    }

    #[test]
    fn a_buffer_is_known_whenever_it_is_said_and_the_connections_is_that_of_all_streams() {
        let mut peer = Peer::connected();
        let buffer = |stream: u8, ms: u16| {
            let [high, low] = ms.to_be_bytes();
            user_control(3, &[0, 0, 0, stream, 0, 0, high, low])
        };
        let of_first = |peer: &Peer| peer.session.buffer_ms(NetStreamId::from_index(0));
        assert!(peer.ignores(&buffer(0, 300)));
        assert_eq!(of_first(&peer), 300);
        assert!(peer.ignores(&buffer(1, 3000)), "nothing recorded plays");
        assert_eq!(of_first(&peer), 3000);
        assert!(peer.ignores(&buffer(200, 1)));
        let mut peer = Peer::playing_recorded();
        assert_eq!((peer.seen(&buffer(1, 9000)), of_first(&peer)), (vec![Seen::BufferLength], 9000));
        assert!(Peer::playing().ignores(&buffer(1, 9000)), "of what is live nothing is sent ahead");
    }

    #[test]
    fn where_the_client_is_comes_with_its_pause_and_its_seek() {
        let mut peer = Peer::playing_recorded();
        let pause = call(1, "pause", 0.0, &[null(), boolean(false), number(61_000.5)]);
        assert_eq!(peer.seen(&pause), [Seen::Pause(1, Some(false), 61_000)]);
        assert_eq!(peer.seen(&call(1, "seek", 0.0, &[null(), number(-5.0)])), [Seen::Seek(1, 0)]);
    }
}

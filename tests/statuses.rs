//! Every status code, by driving a real connection into it: what the client is told, byte for byte.
//!
//! A code without a case here fails [`every_code_is_driven`]; so does a field or a carrier that a row promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot drive its connection has failed")]

mod binary;
mod rtmp;
mod sim;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rill::proto::session::{Decision, Request};
use rill::proto::status::{Code, Extra, NOT_SENT, Status, TABLE};
use rill::server::settings::Settings;
use rill::time::Millis;

use rtmp::{
    Bytes, Peer, Reply, boolean, call, command_body, connect, ecma_array, info, key, null, number, object, play,
    publish, replies, strict_array, string,
};
use sim::ledger::Kind::Key;
use sim::world::{World, settings};

/// A message that a client was sent: type, message stream, body.
type Told = (u8, u32, Bytes);

/// How to come to hear a code.
struct Case {
    code: Code,
    /// What carries it.
    via: &'static str,
    /// The one message that has it.
    expected: Reply,
    /// Makes it happen; everything that the client was told.
    drive: fn() -> Vec<Told>,
}

/// A client that looks at nothing itself, and has shaken hands.
fn stranger(world: &mut World) -> usize {
    let c = world.dial();
    let client = &mut world.clients[c];
    (client.lenient, client.tape) = (true, Some(Vec::new()));
    client.handshake();
    c
}

fn say(world: &mut World, c: usize, bytes: &[Bytes]) {
    world.clients[c].out.extend(bytes.concat());
    world.settle();
}

fn told(world: &mut World, c: usize) -> Vec<Told> {
    world.settle();
    world.clients[c].tape.take().unwrap()
}

/// A client that joined an application as `of` says, and created a net stream.
fn joined(world: &mut World, of: &[(&str, Bytes)]) -> usize {
    let c = stranger(world);
    say(world, c, &[connect(1.0, of), call(0, "createStream", 2.0, &[null()])]);
    c
}

fn live(world: &mut World) -> usize {
    joined(world, &[("app", string("live"))])
}

/// What a client of `live` is told that says `bytes`.
fn said(bytes: &[Bytes]) -> Vec<Told> {
    let mut world = World::new();
    let c = live(&mut world);
    say(&mut world, c, bytes);
    told(&mut world, c)
}

/// What a player of `cam` is told that says `bytes`; somebody publishes it.
fn player_said(bytes: &[Bytes]) -> Vec<Told> {
    let mut world = World::new();
    let publisher = world.publisher("cam");
    let c = live(&mut world);
    say(&mut world, c, &[play(1, "cam")]);
    world.send_start(publisher);
    say(&mut world, c, bytes);
    told(&mut world, c)
}

fn status(code: Code, stream: u32, description: &str, details: &str) -> Reply {
    Reply::status(stream, code.level().name(), code.name(), description, details)
}

fn on_cam(code: Code, description: &str) -> Reply {
    status(code, 1, description, "cam")
}

/// `onFCPublish` and its like: the description is the name.
fn companion(method: &str, code: Code) -> Reply {
    Reply::command(0, method, 0.0, &[null(), info("status", code.name(), "cam", "")])
}

fn success(of: &[(&str, Bytes)]) -> Reply {
    let properties =
        object(&[("fmsVer", string("FMS/5,0,15,5004")), ("capabilities", number(255.0)), ("mode", number(1.0))]);
    let mut fields = vec![
        ("level", string("status")),
        ("code", string("NetConnection.Connect.Success")),
        ("description", string("Connection succeeded.")),
        ("objectEncoding", number(0.0)),
        ("data", ecma_array(&[("version", string("5,0,15,5004"))])),
    ];
    fields.extend(of.iter().cloned());
    Reply::command(0, "_result", 1.0, &[properties, object(&fields)])
}

fn play_options(name: &str, transition: &str) -> Bytes {
    let options = object(&[("streamName", string(name)), ("transition", string(transition))]);
    call(1, "play2", 0.0, &[null(), options])
}

/// Every code that this server sends by itself.
fn cases() -> Vec<Case> {
    let case = |code, via, expected, drive| Case { code, via, expected, drive };
    let forward = || object(&[("*", number(4.0))]);
    let full = "[ Resource.Limit.Exceeded ] : This server has no connection left.";
    let unknown = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (x) is not defined.";
    vec![
        case(Code::ConnectSuccess, "_result", success(&[]), || said(&[])),
        case(
            Code::ConnectSuccess,
            "_result",
            success(&[
                ("fourCcList", strict_array(&[string("*")])),
                ("videoFourCcInfoMap", forward()),
                ("audioFourCcInfoMap", forward()),
                ("capsEx", number(3.0)),
            ]),
            || {
                let mut world = World::new();
                let of = [
                    ("app", string("live")),
                    ("fourCcList", strict_array(&[string("hvc1")])),
                    ("videoFourCcInfoMap", object(&[])),
                    ("capsEx", number(19.0)),
                ];
                let c = joined(&mut world, &of);
                told(&mut world, c)
            },
        ),
        case(Code::ConnectRejected, "_error", Reply::error(1.0, "NetConnection.Connect.Rejected", unknown), || {
            let mut world = World::new();
            let c = stranger(&mut world);
            say(&mut world, c, &[connect(1.0, &[("app", string("x"))])]);
            told(&mut world, c)
        }),
        case(Code::ConnectRejected, "_error", Reply::error(1.0, "NetConnection.Connect.Rejected", full), || {
            let mut world = World::with(Settings { connections: 1, ..settings() }, 1);
            world.join();
            let c = live(&mut world);
            told(&mut world, c)
        }),
        case(
            Code::ConnectInvalidApp,
            "_error",
            Reply::error(1.0, "NetConnection.Connect.InvalidApp", "[ Server.Reject ] : The name is empty."),
            || {
                let mut world = World::new();
                let c = joined(&mut world, &[]);
                told(&mut world, c)
            },
        ),
        case(
            Code::ConnectFailed,
            "_error",
            Reply::error(7.0, "NetConnection.Connect.Failed", "Connect first."),
            || {
                let mut world = World::new();
                let c = stranger(&mut world);
                say(&mut world, c, &[call(0, "createStream", 7.0, &[null()])]);
                told(&mut world, c)
            },
        ),
        case(
            Code::ConnectAppShutdown,
            "onStatus",
            status(Code::ConnectAppShutdown, 0, "The application is shutting down.", ""),
            || {
                let mut world = World::new();
                let c = live(&mut world);
                world.stop();
                told(&mut world, c)
            },
        ),
        case(
            Code::ConnectIdleTimeout,
            "onStatus",
            status(Code::ConnectIdleTimeout, 0, "Idle for too long.", ""),
            || {
                let mut world = World::with(Settings { idle_timeout_ms: 3000, ..settings() }, 1);
                let c = live(&mut world);
                world.advance(3500);
                told(&mut world, c)
            },
        ),
        case(
            Code::ConnectReconnectRequest,
            "onStatus",
            status(Code::ConnectReconnectRequest, 0, "Please connect again.", ""),
            || {
                let mut world = World::new();
                let c = joined(&mut world, &[("app", string("live")), ("capsEx", number(1.0))]);
                world.stop();
                let told = told(&mut world, c);
                assert!(of_code(&told, Code::ConnectAppShutdown).is_empty(), "one of both");
                told
            },
        ),
        case(
            Code::CallFailed,
            "_error",
            Reply::error(3.0, "NetConnection.Call.Failed", "Method not found (setPeerInfo)."),
            || said(&[call(0, "setPeerInfo", 3.0, &[null()]), call(0, "setPeerInfo", 0.0, &[null()])]),
        ),
        case(
            Code::CallFailed,
            "_error",
            Reply::error(9.0, "NetConnection.Call.Failed", "Too many streams on this connection."),
            || said(&(2..10).map(|n| call(0, "createStream", f64::from(n), &[null()])).collect::<Vec<_>>()),
        ),
        case(Code::PublishStart, "onStatus", on_cam(Code::PublishStart, "cam is now published."), || {
            said(&[publish(1, "cam?key=secret")])
        }),
        case(Code::PublishStart, "onFCPublish", companion("onFCPublish", Code::PublishStart), || {
            said(&[call(0, "FCPublish", 3.0, &[null(), string("cam")])])
        }),
        case(Code::PublishBadName, "onStatus", on_cam(Code::PublishBadName, "cam is already published."), || {
            let mut world = World::new();
            let _holder = world.publisher("cam");
            let c = live(&mut world);
            say(&mut world, c, &[publish(1, "cam")]);
            let told = told(&mut world, c);
            assert!(world.clients[c].ended);
            told
        }),
        case(
            Code::PublishBadName,
            "onStatus",
            status(Code::PublishBadName, 1, "The name has a character that names must not have.", ""),
            || said(&[publish(1, "a:b")]),
        ),
        case(
            Code::PublishBadName,
            "onStatus",
            status(Code::PublishBadName, 1, "The stream name (in OBS: the stream key) is empty.", ""),
            || said(&[publish(1, "?key")]),
        ),
        case(
            Code::PublishBadName,
            "onStatus",
            on_cam(Code::PublishBadName, "This application plays recordings; publish to another one, such as live."),
            || {
                let mut world = World::new();
                let c = joined(&mut world, &[("app", string("vod"))]);
                say(&mut world, c, &[publish(1, "cam")]);
                told(&mut world, c)
            },
        ),
        case(
            Code::PublishBadName,
            "onStatus",
            on_cam(Code::PublishBadName, "Every stream is in use (limits.streams)."),
            || {
                let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
                let _other = world.publisher("other");
                let c = live(&mut world);
                say(&mut world, c, &[publish(1, "cam")]);
                told(&mut world, c)
            },
        ),
        case(
            Code::PublishBadName,
            "onStatus",
            status(Code::PublishBadName, 1, "This stream plays already; it cannot publish too.", ""),
            || player_said(&[publish(1, "x")]),
        ),
        case(Code::PublishIdle, "onStatus", on_cam(Code::PublishIdle, "cam is idle."), || {
            let mut world = World::with(Settings { publish_idle_ms: 2000, ..settings() }, 1);
            let c = live(&mut world);
            say(&mut world, c, &[publish(1, "cam")]);
            world.advance(5000);
            told(&mut world, c)
        }),
        case(Code::PublishIdle, "onStatus", on_cam(Code::PublishIdle, "cam is idle."), || {
            let mut world = World::with(Settings { publish_idle_ms: 2000, ..settings() }, 1);
            let publisher = world.publisher("cam");
            let c = live(&mut world);
            say(&mut world, c, &[play(1, "cam")]);
            world.send_start(publisher);
            world.advance(1900);
            world.send(publisher, 1, Key, 1900, 60);
            world.advance(1900);
            assert!(of_code(world.clients[c].tape.as_ref().unwrap(), Code::PublishIdle).is_empty());
            world.advance(5000);
            told(&mut world, c)
        }),
        case(Code::UnpublishSuccess, "onStatus", on_cam(Code::UnpublishSuccess, "cam is now unpublished."), || {
            said(&[publish(1, "cam"), call(1, "closeStream", 0.0, &[null()])])
        }),
        case(Code::UnpublishSuccess, "onStatus", on_cam(Code::UnpublishSuccess, "cam is now unpublished."), || {
            let mut world = World::new();
            let c = live(&mut world);
            say(&mut world, c, &[publish(1, "cam")]);
            world.stop();
            told(&mut world, c)
        }),
        case(Code::UnpublishSuccess, "onFCUnpublish", companion("onFCUnpublish", Code::UnpublishSuccess), || {
            said(&[call(0, "FCUnpublish", 3.0, &[null(), string("cam")])])
        }),
        case(Code::PlayPublishNotify, "onStatus", on_cam(Code::PlayPublishNotify, "cam is now published."), || {
            let mut world = World::new();
            let c = live(&mut world);
            say(&mut world, c, &[play(1, "cam")]);
            let _publisher = world.publisher("cam");
            told(&mut world, c)
        }),
        case(Code::PlayPublishNotify, "onStatus", on_cam(Code::PlayPublishNotify, "cam is now published."), || {
            player_said(&[])
        }),
        case(
            Code::PlayUnpublishNotify,
            "onStatus",
            on_cam(Code::PlayUnpublishNotify, "cam is now unpublished."),
            || {
                let mut world = World::new();
                let publisher = world.publisher("cam");
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "cam")]);
                world.hang_up(publisher);
                told(&mut world, c)
            },
        ),
        case(
            Code::RecordNoAccess,
            "onStatus",
            on_cam(Code::RecordNoAccess, "Recording is not available; publish with type live."),
            || said(&[call(1, "publish", 0.0, &[null(), string("cam"), string("record")])]),
        ),
        case(Code::PlayReset, "onStatus", on_cam(Code::PlayReset, "Playing and resetting cam."), || player_said(&[])),
        case(Code::PlayStart, "onStatus", on_cam(Code::PlayStart, "Started playing cam."), || said(&[play(1, "cam")])),
        case(Code::PlayStart, "onFCSubscribe", companion("onFCSubscribe", Code::PlayStart), || {
            said(&[call(0, "FCSubscribe", 3.0, &[null(), string("cam")])])
        }),
        case(Code::PlayStop, "onStatus", on_cam(Code::PlayStop, "Stopped playing cam."), || {
            let mut world = World::new();
            let c = live(&mut world);
            say(&mut world, c, &[play(1, "cam")]);
            world.stop();
            told(&mut world, c)
        }),
        case(
            Code::PlayStop,
            "onStatus",
            on_cam(Code::PlayStop, "Every stream name is in use (limits.streams)."),
            || {
                let mut world = World::with(Settings { streams: 2, ..settings() }, 1);
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "cam")]);
                world.advance(10);
                for name in ["b", "c", "d", "e", "f"] {
                    world.player(name);
                }
                let (x, _y) = (world.publisher("x"), world.publisher("y"));
                let _viewer = world.player("x");
                world.hang_up(x);
                world.settle();
                let _z = world.publisher("z");
                told(&mut world, c)
            },
        ),
        case(
            Code::PlayStreamNotFound,
            "onStatus",
            on_cam(Code::PlayStreamNotFound, "Failed to play cam; stream not found."),
            || said(&[call(1, "play", 0.0, &[null(), string("cam"), number(0.0)])]),
        ),
        case(
            Code::PlayStreamNotFound,
            "onStatus",
            on_cam(Code::PlayStreamNotFound, "Failed to play cam; stream not found."),
            || {
                let mut world = World::new();
                let c = joined(&mut world, &[("app", string("vod"))]);
                say(&mut world, c, &[play(1, "cam")]);
                told(&mut world, c)
            },
        ),
        case(
            Code::PlayFailed,
            "onStatus",
            on_cam(Code::PlayFailed, "Every stream name is in use (limits.streams)."),
            || {
                let mut world = World::with(Settings { streams: 1, ..settings() }, 1);
                for name in ["a", "b", "c"] {
                    world.player(name);
                }
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "cam")]);
                told(&mut world, c)
            },
        ),
        case(
            Code::PlayFailed,
            "onStatus",
            status(Code::PlayFailed, 1, "The name has a character that names must not have.", ""),
            || said(&[play(1, "a|b")]),
        ),
        case(
            Code::PlayFailed,
            "onStatus",
            status(Code::PlayFailed, 1, "This stream publishes already; it cannot play too.", ""),
            || said(&[publish(1, "cam"), play(1, "cam")]),
        ),
        case(Code::PlayTransition, "onStatus", status(Code::PlayTransition, 1, "Switching to b.", "b"), || {
            player_said(&[play_options("b", "switch")])
        }),
        case(
            Code::PlayTransitionComplete,
            "onPlayStatus",
            Reply {
                chunk_stream: 5,
                type_id: 18,
                stream: 1,
                body: [
                    string("onPlayStatus"),
                    info("status", "NetStream.Play.TransitionComplete", "Switched to b.", "b"),
                ]
                .concat(),
            },
            || {
                let mut world = World::new();
                let (a, b) = (world.publisher("a"), world.publisher("b"));
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "a")]);
                world.send_start(a);
                say(&mut world, c, &[play_options("b", "switch")]);
                world.send_start(b);
                told(&mut world, c)
            },
        ),
        case(Code::SeekFailed, "onStatus", on_cam(Code::SeekFailed, "cam is live and cannot be sought."), || {
            player_said(&[call(1, "seek", 0.0, &[null(), number(1000.0)])])
        }),
        case(Code::PauseNotify, "onStatus", on_cam(Code::PauseNotify, "Pausing cam."), || {
            player_said(&[call(1, "pause", 0.0, &[null(), boolean(true), number(0.0)])])
        }),
        case(Code::UnpauseNotify, "onStatus", on_cam(Code::UnpauseNotify, "Unpausing cam."), || {
            let pause = |on| call(1, "pause", 0.0, &[null(), boolean(on), number(0.0)]);
            player_said(&[pause(true), pause(false)])
        }),
        case(Code::StreamFailed, "onStatus", status(Code::StreamFailed, 0, "There is no such stream.", ""), || {
            said(&[publish(0, "cam")])
        }),
        case(
            Code::StreamFailed,
            "onStatus",
            status(Code::StreamFailed, 1, "This transition is not available for live streams.", ""),
            || player_said(&[play_options("b", "appendAndWait")]),
        ),
        case(
            Code::StreamInvalidArg,
            "onStatus",
            status(Code::StreamInvalidArg, 1, "Invalid argument of play.", ""),
            || said(&[call(1, "play", 0.0, &[null(), number(5.0)])]),
        ),
    ]
}

/// What only server-side code or an operator brings about.
struct ByOthers {
    /// What must happen.
    what: &'static str,
    code: Code,
    via: &'static str,
    /// The field of the row that it adds, or nothing.
    field: &'static str,
    /// How the session puts it.
    session: fn() -> Reply,
    /// The same, byte for byte.
    expected: Reply,
}

/// **The place for cases that server-side code causes.** Here the session is asked for them; whatever drives them through a
/// whole server with a script stands beside the scripts' tests.
fn by_others() -> Vec<ByOthers> {
    let rejected = |description: &str, more: &[(&str, Bytes)]| {
        let mut of = vec![
            ("level", string("error")),
            ("code", string("NetConnection.Connect.Rejected")),
            ("description", string(description)),
        ];
        of.extend(more.iter().cloned());
        Reply::command(0, "_error", 1.0, &[null(), object(&of)])
    };
    let ex = || ("ex", object(&[("code", number(302.0)), ("redirect", string("rtmp://b/live"))]));
    // {message: "no"}, an object of the script's.
    const OBJECT: &[u8] = b"\x03\0\x07message\x02\0\x02no\0\0\x09";
    vec![
        ByOthers {
            what: "a script rejects with a value",
            code: Code::ConnectRejected,
            via: "_error",
            field: "application",
            session: || {
                let extra = Extra::Rejected { application: Some(OBJECT), redirect: None };
                refused(Status::new(Code::ConnectRejected, "").with(extra))
            },
            expected: rejected("Connection failed.", &[("application", OBJECT.to_vec())]),
        },
        ByOthers {
            what: "a script redirects",
            code: Code::ConnectRejected,
            via: "_error",
            field: "ex",
            session: || {
                let extra = Extra::Rejected { application: None, redirect: Some("rtmp://b/live") };
                refused(Status::new(Code::ConnectRejected, "").with(extra))
            },
            expected: rejected("Connection failed.", &[ex()]),
        },
        ByOthers {
            what: "a script redirects, with its own words and a value",
            code: Code::ConnectRejected,
            via: "_error",
            field: "ex",
            session: || {
                let extra = Extra::Rejected { application: Some(b"\x01\x01"), redirect: Some("rtmp://b/live") };
                refused(Status::new(Code::ConnectRejected, "").described("Full.").with(extra))
            },
            expected: rejected("Full.", &[("application", boolean(true)), ex()]),
        },
        ByOthers {
            what: "the application is shut down while a script thinks about a client",
            code: Code::ConnectAppShutdown,
            via: "_error",
            field: "",
            session: || refused(Status::new(Code::ConnectAppShutdown, "")),
            expected: Reply::error(1.0, "NetConnection.Connect.AppShutdown", "The application is shutting down."),
        },
        ByOthers {
            what: "a method of a script throws",
            code: Code::CallFailed,
            via: "_error",
            field: "",
            session: || {
                let mut peer = Peer::connected();
                Status::new(Code::CallFailed, "m").described("Error: x").send_error(4.0, &mut peer.tx).unwrap();
                peer.drain();
                peer.taken().remove(0)
            },
            expected: Reply::error(4.0, "NetConnection.Call.Failed", "Error: x"),
        },
        ByOthers {
            what: "a client is asked to go to another server",
            code: Code::ConnectReconnectRequest,
            via: "onStatus",
            field: "tcUrl",
            session: || {
                let mut peer = Peer::connected();
                let status = Status::new(Code::ConnectReconnectRequest, "").with(Extra::ReconnectTo("rtmp://b/live"));
                peer.session.status(None, status, &mut peer.tx).unwrap();
                peer.drain();
                peer.taken().remove(0)
            },
            expected: Reply::command(
                0,
                "onStatus",
                0.0,
                &[
                    null(),
                    object(&[
                        ("level", string("status")),
                        ("code", string("NetConnection.Connect.ReconnectRequest")),
                        ("description", string("Please connect again.")),
                        ("tcUrl", string("rtmp://b/live")),
                    ]),
                ],
            ),
        },
    ]
}

/// The answer of a session whose connect is refused.
fn refused(status: Status<'_>) -> Reply {
    let mut peer = Peer::open();
    let bytes = connect(1.0, &[("app", string("live"))]);
    let mut input = &bytes[..];
    while peer.session.request().is_none() {
        peer.session.next(&mut input, &mut peer.tx, Millis(0)).unwrap();
    }
    assert_eq!(peer.session.request(), Some(&Request::Connect));
    peer.session.decide(Decision::Reject(status), &mut peer.tx).unwrap();
    peer.drain();
    peer.taken().pop().unwrap()
}

/// Those messages that carry the code.
fn of_code(told: &[Told], code: Code) -> Vec<Told> {
    let has = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|window| window == part);
    told.iter().filter(|(_, _, body)| has(body, &key(code.name()))).cloned().collect()
}

#[test]
fn every_code_says_what_the_table_says_once_and_where_it_belongs() {
    for Case { code, via, expected, drive } in cases() {
        let told = drive();
        // A companion is told beside the status itself, or without it.
        let carried: Vec<Told> =
            of_code(&told, code).into_iter().filter(|(.., body)| body.starts_with(&string(via))).collect();
        let names: Vec<&str> = told.iter().map(|(.., body)| name_of(body)).collect();
        assert_eq!(carried, [(expected.type_id, expected.stream, expected.body.clone())], "{code:?} in {names:?}");
        assert_eq!(expected.name(), via);
    }
}

fn name_of(body: &[u8]) -> &str {
    let length = usize::from(u16::from_be_bytes([body[1], body[2]]));
    std::str::from_utf8(&body[3..3 + length]).unwrap()
}

#[test]
fn what_server_side_code_and_operators_bring_about_is_put_as_documented() {
    for ByOthers { what, session, expected, .. } in by_others() {
        assert_eq!(session(), expected, "{what}");
    }
}

#[test]
fn every_code_is_driven() {
    let (cases, others) = (cases(), by_others());
    let has = |reply: &Reply, field: &str| reply.body.windows(field.len() + 2).any(|part| part == key(field));
    for row in &TABLE {
        let replies = || {
            let own = cases.iter().filter(|case| case.code == row.code).map(|case| (case.via, &case.expected));
            own.chain(others.iter().filter(|case| case.code == row.code).map(|case| (case.via, &case.expected)))
        };
        assert!(cases.iter().any(|case| case.code == row.code), "no case drives {}", row.name);
        for via in row.via.split(", ") {
            assert!(replies().any(|(carrier, _)| carrier == via), "no case has {} in {via}", row.name);
        }
        assert!(replies().all(|(carrier, _)| row.via.split(", ").any(|via| via == carrier)), "{}", row.via);
        for field in row.extra {
            assert!(replies().any(|(_, reply)| has(reply, field)), "no case has {} with {field}", row.name);
        }
        assert_eq!(replies().any(|(_, reply)| has(reply, "details")), row.details, "{}", row.name);
        assert!(!NOT_SENT.iter().any(|not_sent| not_sent.name == row.name), "{} is sent", row.name);
        // The code's own sentence is heard somewhere, unless there is always a reason to give instead.
        let (before, after) = row.description;
        let own = replies().any(|(_, reply)| {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            text.contains(before) && text.contains(after)
        });
        let reason_given = matches!(row.code, Code::ConnectInvalidApp | Code::RecordNoAccess | Code::PlayFailed);
        assert!(own || reason_given, "{} never says what its row says", row.name);
    }
    for other in &others {
        let row = other.code.row();
        assert!(other.field.is_empty() || row.extra.contains(&other.field), "{}", other.what);
    }
}

#[test]
fn a_publisher_is_called_idle_once_and_again_only_when_media_came_back() {
    let mut world = World::with(Settings { publish_idle_ms: 2000, ping_interval_ms: 1_000_000, ..settings() }, 1);
    let (publisher, player) = (world.publisher("cam"), world.player("cam"));
    let never = World::with(Settings { publish_idle_ms: 0, ..settings() }, 1);
    world.send_start(publisher);
    world.heard(publisher);
    world.heard(player);
    world.advance(30_000);
    assert_eq!(world.heard(publisher), ["1: Publish.Idle"]);
    assert_eq!(world.heard(player), ["1: Publish.Idle"]);
    // A player who comes meanwhile is told nothing; data is no media.
    let late = world.player("cam");
    assert!(!world.heard(late).contains(&"1: Publish.Idle".to_owned()));
    world.send(publisher, 1, Key, 30_000, 60);
    world.advance(1500);
    assert_eq!(world.heard(player), ["0.4 key"]);
    world.advance(1500);
    assert_eq!(world.heard(player), ["1: Publish.Idle"]);
    world.end();
    let mut world = never;
    let publisher = world.publisher("cam");
    world.heard(publisher);
    world.advance(3_600_000);
    assert_eq!(world.heard(publisher), [""; 0]);
    world.end();
}

/// What becomes of a connect.
enum Fate {
    /// It joins this application and instance.
    Joins(&'static str, &'static str),
    /// NetConnection.Connect.InvalidApp with this reason, then the end.
    Invalid(&'static str),
    /// NetConnection.Connect.Rejected: there is no application of this name. Then the end.
    Unknown(&'static str),
}

#[test]
fn every_way_to_spell_an_application_has_its_answer_its_words_and_its_end() {
    use Fate::{Invalid, Joins, Unknown};
    const ILLEGAL: &str = "The name has a character that names must not have.";
    const TOO_LONG: &str = "The name is too long.";
    const EMPTY: &str = "The name is empty.";
    let (x64, x65) = ("x".repeat(64), "x".repeat(65));
    let (instance_64, instance_65) = (format!("live/{x64}"), format!("live/{x65}"));
    let deep = format!("live/{}/{}", "a".repeat(40), "b".repeat(40));
    let x64: &'static str = x64.leak();
    let rows: Vec<(Option<&str>, &str, Fate)> = vec![
        (Some("live"), "", Joins("live", "_definst_")),
        (Some("live/"), "rtmp://h/live/", Joins("live", "_definst_")),
        (Some("/live"), "", Joins("live", "_definst_")),
        (Some("//live//"), "", Joins("live", "_definst_")),
        (Some(" live "), "", Joins("live", "_definst_")),
        (Some("live/_definst_"), "", Joins("live", "_definst_")),
        (Some("live/_definst_/"), "", Joins("live", "_definst_")),
        (Some("live/room"), "", Joins("live", "room")),
        (Some("live//room//"), "", Joins("live", "room")),
        (Some("live/a/b/c"), "", Joins("live", "a/b/c")),
        (Some("live?token=a/b"), "", Joins("live", "_definst_")),
        (Some("live/?token=1"), "", Joins("live", "_definst_")),
        (Some("live/room?a=1?b=2"), "", Joins("live", "room")),
        (Some("vod"), "", Joins("vod", "_definst_")),
        (Some("?authmod=adobe&user=u"), "rtmp://h/live", Joins("live", "_definst_")),
        (Some(""), "rtmp://h:1935/live/room?k=1", Joins("live", "room")),
        (Some("/"), "rtmp://h/live", Joins("live", "_definst_")),
        (None, "rtmp://h/live", Joins("live", "_definst_")),
        (None, "rtmps://h:443/live/", Joins("live", "_definst_")),
        (None, "'rtmp://h/live'", Joins("live", "_definst_")),
        (Some("\"live\""), "", Joins("live", "_definst_")),
        (Some(instance_64.as_str()), "", Joins("live", x64)),
        (Some("x"), "", Unknown("x")),
        (Some("Live"), "", Unknown("Live")),
        (Some("live2"), "rtmp://h/live", Unknown("live2")),
        (Some("x/live"), "", Unknown("x")),
        (Some("_definst_"), "", Unknown("_definst_")),
        (Some("приложение"), "", Unknown("приложение")),
        (None, "rtmp://h/x/live", Unknown("x")),
        (Some(x64), "", Unknown(x64)),
        (None, "", Invalid(EMPTY)),
        (Some(""), "rtmp://h", Invalid(EMPTY)),
        (Some("/"), "rtmp://h/", Invalid(EMPTY)),
        (Some(" "), "live", Invalid(EMPTY)),
        (Some("?k=v"), "", Invalid(EMPTY)),
        (Some("live/../etc"), "", Invalid(ILLEGAL)),
        (Some("../live"), "", Invalid(ILLEGAL)),
        (Some("./live"), "", Invalid(ILLEGAL)),
        (Some("live/."), "", Invalid(ILLEGAL)),
        (Some("li\0ve"), "", Invalid(ILLEGAL)),
        (Some("live\n"), "", Joins("live", "_definst_")),
        (Some("li\nve"), "", Invalid(ILLEGAL)),
        (Some("a:b"), "", Invalid(ILLEGAL)),
        (Some("live\\room"), "", Invalid(ILLEGAL)),
        (Some("live/a*"), "", Invalid(ILLEGAL)),
        (Some("<live>"), "", Invalid(ILLEGAL)),
        (Some("a|b"), "", Invalid(ILLEGAL)),
        (Some(x65.as_str()), "", Invalid(TOO_LONG)),
        (Some(instance_65.as_str()), "", Invalid(TOO_LONG)),
        (Some(deep.as_str()), "", Invalid(TOO_LONG)),
    ];
    for (app, tc_url, fate) in rows {
        let mut world = World::new();
        let c = stranger(&mut world);
        let mut of = Vec::new();
        of.extend(app.map(|app| ("app", string(app))));
        if !tc_url.is_empty() {
            of.push(("tcUrl", string(tc_url)));
        }
        say(&mut world, c, &[connect(1.0, &of)]);
        let spelled = format!("app {app:?}, tcUrl {tc_url:?}");
        let told = told(&mut world, c);
        let refused = |code: &str, text: &str| {
            let close = Reply::command(0, "close", 0.0, &[null()]);
            [Reply::error(1.0, code, text), close].map(|reply| (reply.type_id, reply.stream, reply.body))
        };
        match fate {
            Fate::Joins(app, instance) => {
                assert_eq!(name_of(&told[0].2), "_result", "{spelled}");
                let slot = world.server.slots().next_taken(0).unwrap();
                let path = &world.server.slots().peek(slot).session.client().path;
                assert_eq!((&*path.app, &*path.instance), (app, instance), "{spelled}");
                continue;
            }
            Fate::Invalid(reason) => {
                let text = format!("[ Server.Reject ] : {reason}");
                assert_eq!(told, refused("NetConnection.Connect.InvalidApp", &text), "{spelled}");
            }
            Fate::Unknown(name) => {
                let text = format!(
                    "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application ({name}) is not defined."
                );
                assert_eq!(told, refused("NetConnection.Connect.Rejected", &text), "{spelled}");
            }
        }
        assert!(world.clients[c].ended, "{spelled}: it is closed");
        world.advance(1000);
        world.check_empty();
    }
}

/// Connects over loopback: handshake, then `bytes`.
fn dial(server: &binary::Server, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(&[rtmp::handshake(), bytes.to_vec()].concat()).unwrap();
    socket
}

/// Everything up to the end, which must be an orderly one.
fn read_out(socket: &mut TcpStream) -> Vec<Reply> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("the server ends its side; it does not reset");
    replies(&bytes[3073..])
}

const UNKNOWN: &str = "[ Server.Reject ] : (_defaultRoot_, _defaultVHost_) : Application (x) is not defined.";

fn turned_away() -> [Reply; 2] {
    [Reply::error(1.0, "NetConnection.Connect.Rejected", UNKNOWN), Reply::command(0, "close", 0.0, &[null()])]
}

#[test]
fn a_refused_client_reads_the_error_and_the_close_up_to_the_end_whatever_it_sends_meanwhile() {
    let server = binary::Server::start("statuses-refused", &[]);
    let refused = connect(1.0, &[("app", string("x"))]);
    let more = |bytes: usize| {
        let one = call(0, "createStream", 2.0, &[null()]);
        one.repeat(bytes / one.len() + 1)
    };
    // It reads at once.
    assert_eq!(read_out(&mut dial(&server, &refused))[4..], turned_away());
    // 100 kB of commands behind the connect, in one go and in two.
    let mut socket = dial(&server, &[refused.clone(), more(100_000)].concat());
    assert_eq!(read_out(&mut socket)[4..], turned_away());
    let mut socket = dial(&server, &refused);
    socket.write_all(&more(100_000)).unwrap();
    assert_eq!(read_out(&mut socket)[4..], turned_away());
    // It sends for two seconds before it reads a byte.
    let mut socket = dial(&server, &refused);
    for _ in 0..20 {
        socket.write_all(&more(5000)).expect("the server reads what it does not want");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(read_out(&mut socket)[4..], turned_away());
    // It reads after the server has long given up waiting.
    let mut socket = dial(&server, &refused);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(read_out(&mut socket)[4..], turned_away());
    // It ended its own side right behind the connect.
    let mut socket = dial(&server, &refused);
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_out(&mut socket)[4..], turned_away());
    // A publisher that is refused while it sends: OBS.
    let bytes = [
        connect(1.0, &[("app", string("vod"))]),
        call(0, "createStream", 2.0, &[null()]),
        publish(1, "cam"),
        rtmp::message(6, 0, 9, 1, &[0x17; 100_000]),
    ];
    let heard = read_out(&mut dial(&server, &bytes.concat()));
    assert_eq!(heard.last(), Some(&Reply::command(0, "close", 0.0, &[null()])));
    assert_eq!(heard[heard.len() - 2].body, {
        let text = "This application plays recordings; publish to another one, such as live.";
        Reply::status(1, "error", "NetStream.Publish.BadName", text, "cam").body
    });
    let line = server.wait_for_log("connect refused app=\"x\"");
    assert!(line.contains(" x_status=404 "), "{line}");
    let closed = server.log().lines().filter(|line| line.contains(" closed ")).count();
    assert_eq!(closed, 7, "one line each:\n{}", server.log());
}

#[test]
fn whoever_never_stops_sending_is_cut_off() {
    let server = binary::Server::start("statuses-endless", &[]);
    let mut socket = dial(&server, &connect(1.0, &[("app", string("x"))]));
    socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let start = Instant::now();
    while socket.write_all(&[0; 1000]).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(15), "it is read for ever");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn the_real_server_says_the_same_when_it_stops() {
    let mut server = binary::Server::start("statuses-stop", &[]);
    let join = |caps: &[(&str, Bytes)]| {
        let of = [&[("app", string("live"))], caps].concat();
        dial(&server, &[connect(1.0, &of), call(0, "createStream", 2.0, &[null()]), publish(1, "cam")].concat())
    };
    let mut publisher = join(&[]);
    server.wait_for_log("publish start");
    let mut patient = dial(
        &server,
        &[
            connect(1.0, &[("app", string("live")), ("capsEx", number(1.0))]),
            call(0, "createStream", 2.0, &[null()]),
            play(1, "cam"),
        ]
        .concat(),
    );
    server.wait_for_log("play start");
    server.signal("TERM");
    let close = || Reply::command(0, "close", 0.0, &[null()]);
    let heard = read_out(&mut publisher);
    let unpublished = on_cam(Code::UnpublishSuccess, "cam is now unpublished.");
    let shutdown = status(Code::ConnectAppShutdown, 0, "The application is shutting down.", "");
    assert_eq!(heard[heard.len() - 3..], [unpublished, shutdown, close()]);
    let heard = read_out(&mut patient);
    let gone = on_cam(Code::PlayUnpublishNotify, "cam is now unpublished.");
    let request = status(Code::ConnectReconnectRequest, 0, "Please connect again.", "");
    assert_eq!(heard[heard.len() - 3..], [gone, request, close()]);
    drop((publisher, patient));
    let (status, took) = server.wait();
    assert!(status.success() && took < Duration::from_secs(2), "{status} after {took:?}");
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.contains(" x_status=302 ")).count(), 2, "{log}");
    assert_eq!(log.lines().filter(|line| line.contains(" x_status=200 ")).count(), 2, "{log}");
}

#[test]
fn the_body_of_a_status_is_this_byte_for_byte() {
    // Once without any builder: what NetStream.Publish.Start looks like on the wire.
    let told = said(&[publish(1, "cam")]);
    let expected = [
        b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x03\0\x05level\x02\0\x06status".as_slice(),
        b"\0\x04code\x02\0\x17NetStream.Publish.Start",
        b"\0\x0Bdescription\x02\0\x15cam is now published.\0\x07details\x02\0\x03cam\0\0\x09",
    ];
    let start = of_code(&told, Code::PublishStart).remove(0);
    assert_eq!(start.2.escape_ascii().to_string(), expected.concat().escape_ascii().to_string());
    assert_eq!(command_body("onStatus", 0.0, &[null()])[..20], start.2[..20]);
}

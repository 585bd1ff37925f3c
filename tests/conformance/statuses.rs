//! Every status code, by driving a real connection into it: what the client is told, byte for byte.
//!
//! A code without a case here fails [`every_code_is_driven`]; so does a field or a carrier that a row promises.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rill::live::app::{AddressList, AppDefinition, AppKind, ScriptDefinition, ScriptLimits};
use rill::live::settings::Settings;
use rill::rtmp::status::{Code, Extra, NOT_SENT, Status, TABLE};
use rill::time::Millis;

use crate::binary;
use crate::rtmp::{
    self, Bytes, Peer, Reply, boolean, call, command_body, connect, ecma_array, info, key, null, number, object, play,
    publish, replies, strict_array, string,
};
use crate::sim::films::{FilmTag, flv};
use crate::sim::ledger::Kind::Key;
use crate::sim::texts::script;
use crate::sim::world::{Directory, World, settings};

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

/// Bytes of the film as messages, those around them included.
const FILM_BYTES: f64 = 171_076.0;

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

/// A client that publishes `cam` with type record, some seconds long, behind what is done to the world before.
fn recording(before: impl Fn(&mut World)) -> (World, usize) {
    let settings = Settings { recordings: 1, ring_bytes: 1 << 20, ..settings() };
    let mut world = World::with(settings, 1);
    before(&mut world);
    let c = live(&mut world);
    say(&mut world, c, &[call(1, "publish", 0.0, &[null(), string("cam"), string("record")])]);
    for tag in FilmTag::film(5) {
        world.clients[c].message(
            if tag.message_type == 8 { 4 } else { 6 },
            tag.message_type,
            1,
            tag.time_ms,
            &tag.payload,
        );
    }
    world.advance(1500);
    (world, c)
}

/// What it is told.
fn recorded(before: impl Fn(&mut World)) -> Vec<Told> {
    let (mut world, c) = recording(before);
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

fn on_film(code: Code, description: &str) -> Reply {
    status(code, 1, description, "film")
}

/// `onPlayStatus` of the film of [`FilmTag::film`]`(1)`: 1 s less than a frame, and what it takes as messages with the metadata.
fn played(code: Code, description: &str) -> Reply {
    let of = [
        ("level", string("status")),
        ("code", string(code.name())),
        ("description", string(description)),
        ("details", string("film")),
        ("duration", number(0.96)),
        ("bytes", number(FILM_BYTES)),
    ];
    Reply { chunk_stream: 5, type_id: 18, stream: 1, body: [string("onPlayStatus"), object(&of)].concat() }
}

/// What a client of `vod` is told that plays `film`, and says `bytes`, when the file is this.
fn film_said(file: Option<&[u8]>, bytes: &[Bytes]) -> Vec<Told> {
    let mut world = World::new();
    if let Some(file) = file {
        world.films.put("vod/film", file.to_vec());
    }
    let c = joined(&mut world, &[("app", string("vod"))]);
    say(&mut world, c, &[&[play(1, "film")], bytes].concat());
    world.clients[c].lenient = true;
    told(&mut world, c)
}

fn play_options(name: &str, transition: &str) -> Bytes {
    let options = object(&[("streamName", string(name)), ("transition", string(transition))]);
    call(1, "play2", 0.0, &[null(), options])
}

/// What a client of an application with these rules is told that says `bytes`.
fn said_in(app: AppDefinition, bytes: &[Bytes]) -> Vec<Told> {
    let mut world = World::on_disk(settings(), vec![app]);
    let c = live(&mut world);
    say(&mut world, c, bytes);
    told(&mut world, c)
}

fn live_with(change: impl FnOnce(&mut AppDefinition)) -> AppDefinition {
    let mut app = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    change(&mut app);
    app
}

fn nobody() -> AddressList {
    AddressList::parse(["deny all"]).unwrap()
}

/// A client whose application's files take their time.
fn waiting() -> (World, usize) {
    let mut world = World::on_disk(settings(), vec![live_with(|_| {})]);
    world.disk_stalls = true;
    let c = live(&mut world);
    assert_eq!(world.clients[c].tape, Some(Vec::new()));
    (world, c)
}

/// Every code that this server sends by itself.
fn cases() -> Vec<Case> {
    let case = |code, via, expected, drive| Case { code, via, expected, drive };
    let rejected_for = |text: &str, drive| {
        case(Code::ConnectRejected, "_error", Reply::error(1.0, "NetConnection.Connect.Rejected", text), drive)
    };
    let shut_down = || Reply::error(1.0, "NetConnection.Connect.AppShutdown", "The application is shutting down.");
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
            let mut world = World::with(Settings { connections: 1, streams: 1, ..settings() }, 1);
            world.join();
            world.join();
            let c = live(&mut world);
            told(&mut world, c)
        }),
        rejected_for(
            "[ Server.Reject ] : The application's configuration is wrong; the server's log says where.",
            || {
                let mut world = World::on_disk(settings(), Vec::new());
                world.disk.insert("live".into(), Directory::Broken);
                let c = live(&mut world);
                told(&mut world, c)
            },
        ),
        rejected_for("[ Server.Reject ] : The application's files could not be read in time.", || {
            let (mut world, c) = waiting();
            world.advance(2500);
            told(&mut world, c)
        }),
        rejected_for("[ AccessManager.Reject ] : This address may not connect to this application.", || {
            said_in(live_with(|app| app.rules.set_connect(nobody())), &[])
        }),
        rejected_for("[ Resource.Limit.Exceeded ] : This application has no connection left.", || {
            let app = live_with(|app| app.limits.connections = 1);
            let mut world = World::on_disk(settings(), vec![app]);
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
        // By an operator.
        case(
            Code::ConnectAppShutdown,
            "onStatus",
            status(Code::ConnectAppShutdown, 0, "The application is shutting down.", ""),
            || {
                let mut world = World::new();
                let c = live(&mut world);
                assert_eq!(world.server.unload("live", None, Millis(world.now)), Some(1));
                told(&mut world, c)
            },
        ),
        // To those who are not in yet.
        case(Code::ConnectAppShutdown, "_error", shut_down(), || {
            let (mut world, c) = waiting();
            world.stop();
            told(&mut world, c)
        }),
        case(Code::ConnectAppShutdown, "_error", shut_down(), || {
            let (mut world, c) = waiting();
            world.server.unload("live", None, Millis(world.now));
            told(&mut world, c)
        }),
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
            Code::ConnectReconnectRequest,
            "onStatus",
            status(Code::ConnectReconnectRequest, 0, "Please connect again.", ""),
            || {
                let mut world = World::new();
                let c = joined(&mut world, &[("app", string("live")), ("capsEx", number(15.0))]);
                world.server.unload("live", None, Millis(world.now));
                told(&mut world, c)
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
                let other = world.publisher("other");
                world.send_start(other);
                let c = live(&mut world);
                say(&mut world, c, &[publish(1, "cam")]);
                told(&mut world, c)
            },
        ),
        // A name that may be a secret is not repeated.
        case(
            Code::PublishBadName,
            "onStatus",
            status(Code::PublishBadName, 1, "This application needs a stream key, and this is none for that name.", ""),
            || said_in(live_with(|app| app.rules.add_key("cam", "s3cret").unwrap()), &[publish(1, "cam")]),
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
        case(Code::RecordStart, "onStatus", on_cam(Code::RecordStart, "cam is now recorded."), || recorded(|_| {})),
        case(Code::RecordStop, "onStatus", on_cam(Code::RecordStop, "cam is no longer recorded."), || {
            let (mut world, c) = recording(|_| {});
            say(&mut world, c, &[call(1, "closeStream", 0.0, &[null()])]);
            world.advance(1000);
            told(&mut world, c)
        }),
        case(Code::RecordFailed, "onStatus", on_cam(Code::RecordFailed, "the medium does not answer"), || {
            recorded(|world| world.recorder.card.borrow_mut().fails = Some((1, 1000, ErrorKind::Other)))
        }),
        case(
            Code::RecordAlreadyExists,
            "onStatus",
            on_cam(Code::RecordAlreadyExists, "cam is being recorded already."),
            || {
                let (mut world, c) = recording(|world| world.recorder.thread.late_ms = 5000);
                say(&mut world, c, &[call(1, "closeStream", 0.0, &[null()])]);
                say(&mut world, c, &[call(1, "publish", 0.0, &[null(), string("cam"), string("append")])]);
                told(&mut world, c)
            },
        ),
        case(
            Code::RecordNoAccess,
            "onStatus",
            on_cam(Code::RecordNoAccess, "Recording is not available; publish with type live."),
            || said(&[call(1, "publish", 0.0, &[null(), string("cam"), string("record")])]),
        ),
        case(
            Code::RecordNoAccess,
            "onStatus",
            on_cam(Code::RecordNoAccess, "the folder or the file must not be written"),
            || recorded(|world| world.recorder.card.borrow_mut().fails = Some((1, 1000, ErrorKind::PermissionDenied))),
        ),
        case(
            Code::RecordNoAccess,
            "onStatus",
            on_cam(Code::RecordNoAccess, "the file system is mounted read-only"),
            || {
                recorded(|world| {
                    world.recorder.card.borrow_mut().fails = Some((1, 1000, ErrorKind::ReadOnlyFilesystem))
                })
            },
        ),
        case(
            Code::RecordFailed,
            "onStatus",
            on_cam(Code::RecordFailed, "there is no room left (record.keep_free)"),
            || recorded(|world| world.recorder.card.borrow_mut().fails = Some((1, 1000, ErrorKind::StorageFull))),
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
            on_cam(Code::PlayFailed, "This address may not play in this application."),
            || said_in(live_with(|app| app.rules.set_play(nobody())), &[play(1, "cam")]),
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
        case(
            Code::PlayStreamNotFound,
            "onStatus",
            on_film(Code::PlayStreamNotFound, "Failed to play film; stream not found."),
            || film_said(None, &[]),
        ),
        case(
            Code::PlayFileStructureInvalid,
            "onStatus",
            on_film(Code::PlayFileStructureInvalid, "Failed to play film; the file is none that can be played."),
            || film_said(Some(b"a text and no film"), &[]),
        ),
        case(
            Code::PlayNoSupportedTrackFound,
            "onStatus",
            Reply::status(
                1,
                "error",
                "NetStream.Play.NoSupportedTrackFound",
                "Nothing in the recording can be sent.",
                "film",
            ),
            || {
                let unknown = FilmTag { message_type: 9, time_ms: 0, payload: vec![0x1F, 1, 2, 3] };
                film_said(Some(&flv(&[unknown])), &[])
            },
        ),
        case(Code::PlayStart, "onStatus", on_film(Code::PlayStart, "Started playing film."), || {
            film_said(Some(&flv(&FilmTag::film(1))), &[])
        }),
        case(Code::PlayComplete, "onPlayStatus", played(Code::PlayComplete, "Played all of film."), || {
            film_said(Some(&flv(&FilmTag::film(1))), &[])
        }),
        case(Code::PlayStop, "onStatus", on_film(Code::PlayStop, "Stopped playing film."), || {
            film_said(Some(&flv(&FilmTag::film(1))), &[])
        }),
        case(Code::PlaySwitch, "onPlayStatus", played(Code::PlaySwitch, "Going on with film."), || {
            let append = [null(), string("film"), number(0.0), number(-1.0), boolean(false)];
            film_said(Some(&flv(&FilmTag::film(1))), &[call(1, "play", 0.0, &append)])
        }),
        case(Code::SeekNotify, "onStatus", on_film(Code::SeekNotify, "Seeking 500 (stream ID: 1)."), || {
            film_said(Some(&flv(&FilmTag::film(1))), &[call(1, "seek", 0.0, &[null(), number(500.0)])])
        }),
        case(
            Code::PlayFailed,
            "onStatus",
            on_film(Code::PlayFailed, "This server has no player of recordings left (limits.recorded_players)."),
            || {
                let mut world = World::with(Settings { recorded_players: 1, ..settings() }, 1);
                world.films.put("vod/film", flv(&FilmTag::film(60)));
                let first = joined(&mut world, &[("app", string("vod"))]);
                say(&mut world, first, &[play(1, "film")]);
                let c = joined(&mut world, &[("app", string("vod"))]);
                say(&mut world, c, &[play(1, "film")]);
                told(&mut world, c)
            },
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
        case(
            Code::PlayInsufficientBandwidth,
            "onStatus",
            on_cam(
                Code::PlayInsufficientBandwidth,
                "cam has pictures that are too large for this server: they are left out.",
            ),
            || {
                let mut world = World::new();
                let publisher = world.publisher("cam");
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "cam")]);
                world.send(publisher, 1, Key, 0, 40_000);
                world.settle();
                told(&mut world, c)
            },
        ),
        case(
            Code::PlayNoSupportedTrackFound,
            "onStatus",
            on_cam(
                Code::PlayNoSupportedTrackFound,
                "cam has a codec that needs Enhanced RTMP, which this client did not announce: it is left out.",
            ),
            || {
                let mut world = World::new();
                let publisher = world.publisher("cam");
                let c = live(&mut world);
                say(&mut world, c, &[play(1, "cam")]);
                // Once, however often.
                for time in [0, 40, 80] {
                    world.clients[publisher].message(6, 9, 1, time, b"\x91hvc1\0\0\0data");
                    world.settle();
                }
                told(&mut world, c)
            },
        ),
        case(Code::SeekNotify, "onStatus", on_cam(Code::SeekNotify, "Seeking 40 (stream ID: 1)."), || {
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
            // With two net streams nobody knows which of them the connection stands for.
            said(&[call(0, "createStream", 0.0, &[null()]), publish(0, "cam")])
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

/// What a client of an application with this `main.asc` is told that says `bytes`.
fn scripted(text: &str, bytes: &[Bytes]) -> (World, usize) {
    let limits = ScriptLimits { pending_ms: 3000, ..ScriptLimits::default() };
    let app = live_with(|app| app.script = Some(ScriptDefinition { limits, ..script(text) }));
    let mut world = World::on_disk(settings(), vec![app]);
    let c = live(&mut world);
    say(&mut world, c, bytes);
    (world, c)
}

fn said_to_script(text: &str, bytes: &[Bytes]) -> Vec<Told> {
    let (mut world, c) = scripted(text, bytes);
    told(&mut world, c)
}

/// What server-side code brings about: **new codes and fields that only scripts cause belong here.**
fn cases_by_scripts() -> Vec<Case> {
    let case = |code, via, expected, drive| Case { code, via, expected, drive };
    let rejected = |description: &str, more: &[(&str, Bytes)], drive| {
        let mut of = vec![
            ("level", string("error")),
            ("code", string("NetConnection.Connect.Rejected")),
            ("description", string(description)),
        ];
        of.extend(more.iter().cloned());
        let expected = Reply::command(0, "_error", 1.0, &[null(), object(&of)]);
        case(Code::ConnectRejected, "_error", expected, drive)
    };
    let error =
        |code: Code, description: &str, drive| case(code, "_error", Reply::error(1.0, code.name(), description), drive);
    let redirect = || ("ex", object(&[("code", number(302.0)), ("redirect", string("rtmp://b/live"))]));
    vec![
        rejected("Connection failed.", &[], || {
            said_to_script("application.onConnect = function(client) { return false; };", &[])
        }),
        rejected("Connection failed.", &[("application", object(&[("message", string("no"))]))], || {
            said_to_script(
                "application.onConnect = function(client) { application.rejectConnection(client, {message: 'no'}); };",
                &[],
            )
        }),
        // Without the full stop: so it stands in Adobe's reference, of redirections alone.
        rejected("Connection failed", &[redirect()], || {
            said_to_script(
                "application.onConnect = function(client) {
                     application.redirectConnection(client, 'rtmp://b/live');
                 };",
                &[],
            )
        }),
        rejected("Full.", &[("application", boolean(true)), redirect()], || {
            said_to_script(
                "application.onConnect = function(client) {
                     application.redirectConnection(client, 'rtmp://b/live', 'Full.', true);
                 };",
                &[],
            )
        }),
        rejected("[ Server.Reject ] : The application did not decide in time.", &[], || {
            let (mut world, c) = scripted("application.onConnect = function(client) {};", &[]);
            world.advance(3500);
            told(&mut world, c)
        }),
        error(
            Code::ConnectFailed,
            "[ Server.Reject ] : The application's script cannot be loaded; the server's log says why.",
            || said_to_script("this is no JavaScript", &[]),
        ),
        error(
            Code::ConnectFailed,
            "[ Server.Reject ] : The application's script was stopped; the server's log says why.",
            || said_to_script("application.onConnect = function(client) { while (true) {} };", &[]),
        ),
        // While the script thinks about the client.
        error(Code::ConnectAppShutdown, "The application is shutting down.", || {
            let (mut world, c) = scripted("application.onConnect = function(client) {};", &[]);
            world.server.unload("live", None, Millis(world.now));
            told(&mut world, c)
        }),
        case(
            Code::ConnectAppShutdown,
            "onStatus",
            status(Code::ConnectAppShutdown, 0, "The application is shutting down.", ""),
            || {
                said_to_script(
                    "Client.prototype.end = function() { application.shutdown(); };",
                    &[call(0, "end", 0.0, &[null()])],
                )
            },
        ),
        case(Code::CallFailed, "_error", Reply::error(4.0, "NetConnection.Call.Failed", "Error: no"), || {
            said_to_script(
                "Client.prototype.m = function() { throw new Error('no'); };",
                &[call(0, "m", 4.0, &[null()])],
            )
        }),
        case(
            Code::CallFailed,
            "_error",
            Reply::error(4.0, "NetConnection.Call.Failed", "Method not found (toString)."),
            || said_to_script("", &[call(0, "toString", 4.0, &[null()])]),
        ),
        case(
            Code::PublishBadName,
            "onStatus",
            on_cam(Code::PublishBadName, "The application gives this client no write access."),
            || {
                said_to_script(
                    "application.onConnect = function(client) { client.writeAccess = ''; return true; };",
                    &[publish(1, "cam")],
                )
            },
        ),
        case(
            Code::PlayFailed,
            "onStatus",
            on_cam(Code::PlayFailed, "The application gives this client no read access."),
            || {
                said_to_script(
                    "application.onConnect = function(client) { client.readAccess = ''; return true; };",
                    &[play(1, "cam")],
                )
            },
        ),
    ]
}

/// What nothing sends yet: there is no way to name another server to go to.
fn only_encoded() -> Vec<(&'static str, Reply, Reply)> {
    let mut peer = Peer::connected();
    let status = Status::new(Code::ConnectReconnectRequest, "").with(Extra::ReconnectTo("rtmp://b/live"));
    peer.session.status(None, status, &mut peer.tx).unwrap();
    peer.drain();
    let info = object(&[
        ("level", string("status")),
        ("code", string("NetConnection.Connect.ReconnectRequest")),
        ("description", string("Please connect again.")),
        ("tcUrl", string("rtmp://b/live")),
    ]);
    vec![("tcUrl", peer.taken().remove(0), Reply::command(0, "onStatus", 0.0, &[null(), info]))]
}

fn all_cases() -> Vec<Case> {
    cases().into_iter().chain(cases_by_scripts()).collect()
}

/// Those messages that carry the code.
fn of_code(told: &[Told], code: Code) -> Vec<Told> {
    let has = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|window| window == part);
    told.iter().filter(|(_, _, body)| has(body, &key(code.name()))).cloned().collect()
}

#[test]
fn every_code_says_what_the_table_says_once_and_where_it_belongs() {
    let text = |body: &[u8]| body.escape_ascii().to_string();
    let mut wrong = String::new();
    for Case { code, via, expected, drive } in all_cases() {
        let told = drive();
        // A companion is told beside the status itself, or without it.
        let carried: Vec<Told> =
            of_code(&told, code).into_iter().filter(|(.., body)| body.starts_with(&string(via))).collect();
        if carried != [(expected.type_id, expected.stream, expected.body.clone())] {
            wrong += &format!("\n{code:?} was to be told on {}\n  {}", expected.stream, text(&expected.body));
            for (_, stream, body) in &told {
                wrong += &format!("\n  on {stream}: {}", text(body));
            }
        }
        assert_eq!(expected.name(), via);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn name_of(body: &[u8]) -> &str {
    let length = usize::from(u16::from_be_bytes([body[1], body[2]]));
    std::str::from_utf8(&body[3..3 + length]).unwrap()
}

#[test]
fn every_code_is_driven() {
    let (cases, only_encoded) = (all_cases(), only_encoded());
    for (field, encoded, expected) in &only_encoded {
        assert_eq!(encoded, expected, "{field}");
    }
    let has = |reply: &Reply, field: &str| reply.body.windows(field.len() + 2).any(|part| part == key(field));
    for row in &TABLE {
        let replies = || cases.iter().filter(|case| case.code == row.code).map(|case| (case.via, &case.expected));
        assert!(cases.iter().any(|case| case.code == row.code), "no case drives {}", row.name);
        for via in row.via.split(", ") {
            assert!(replies().any(|(carrier, _)| carrier == via), "no case has {} in {via}", row.name);
        }
        assert!(replies().all(|(carrier, _)| row.via.split(", ").any(|via| via == carrier)), "{}", row.via);
        for field in row.extra {
            let driven = replies().any(|(_, reply)| has(reply, field));
            let encoded = only_encoded.iter().any(|(only, ..)| only == field);
            assert!(driven != encoded, "a case has {} with {field}, or it stands in only_encoded", row.name);
        }
        assert_eq!(replies().any(|(_, reply)| has(reply, "details")), row.details, "{}", row.name);
        assert!(!NOT_SENT.iter().any(|not_sent| not_sent.name == row.name), "{} is sent", row.name);
        // The code's own sentence is heard somewhere, unless there is always a reason to give instead.
        let (before, after) = row.description;
        let own = replies().any(|(_, reply)| {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            text.contains(before) && text.contains(after)
        });
        let reason_given =
            matches!(row.code, Code::ConnectInvalidApp | Code::RecordNoAccess | Code::RecordFailed | Code::PlayFailed);
        assert!(own || reason_given, "{} never says what its row says", row.name);
    }
}

#[test]
fn a_script_may_have_methods_called_as_commands_of_net_streams_are() {
    let script = "Client.prototype.seek = function(to) { return 'sought ' + to; };";
    let commands = [
        call(0, "createStream", 2.0, &[null()]),
        call(0, "seek", 3.0, &[null(), string("there")]),
        call(0, "pause", 4.0, &[null(), boolean(true)]),
        call(1, "seek", 0.0, &[null(), string("there")]),
    ];
    let told = said_to_script(script, &commands);
    let answers: Vec<Bytes> =
        told.into_iter().skip_while(|(.., body)| name_of(body) != "_result").map(|told| told.2).collect();
    let expected = [
        Reply::result(3.0, string("sought there")),
        status(Code::StreamFailed, 0, "There is no such stream.", ""),
        status(Code::StreamInvalidArg, 1, "Invalid argument of seek.", ""),
    ];
    assert_eq!(answers[answers.len() - 3..], expected.map(|reply| reply.body));
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
    let x192: &'static str = "x".repeat(192).leak();
    let (instance_192, instance_193) = (format!("live/{x192}"), format!("live/{x192}x"));
    let deep = format!("live/{}/{}", "a".repeat(96), "b".repeat(96));
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
        (Some(instance_192.as_str()), "", Joins("live", x192)),
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
        (Some(instance_193.as_str()), "", Invalid(TOO_LONG)),
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
                let path = &world.server.slots().peek_client(slot).unwrap().1.session.connect_info().path;
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
    // It ended its own side right behind the connect, which needs no look at the disk.
    let mut socket = dial(&server, &connect(1.0, &[("app", string("a|b"))]));
    socket.shutdown(Shutdown::Write).unwrap();
    let illegal = "[ Server.Reject ] : The name has a character that names must not have.";
    let expected = [Reply::error(1.0, "NetConnection.Connect.InvalidApp", illegal), turned_away()[1].clone()];
    assert_eq!(read_out(&mut socket)[4..], expected);
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

/// The codes of the statuses that a client was told on a net stream, in their order.
fn statuses_of(told: &[Told]) -> Vec<&'static str> {
    let codes = |(_, stream, body): &Told| {
        let is_in =
            |row: &&rill::rtmp::status::StatusRow| body.windows(row.name.len()).any(|part| part == row.name.as_bytes());
        TABLE.iter().filter(|_| *stream > 0).find(is_in).map(|row| row.name)
    };
    told.iter().filter_map(codes).collect()
}

#[test]
fn who_ends_a_publish_hears_that_when_its_recording_is_complete_or_when_it_publishes_again() {
    let close = || call(1, "closeStream", 0.0, &[null()]);
    let (start, stop) = ("NetStream.Record.Start", "NetStream.Record.Stop");
    let (published, unpublished) = ("NetStream.Publish.Start", "NetStream.Unpublish.Success");
    let (mut world, c) = recording(|world| world.recorder.thread.late_ms = 300);
    say(&mut world, c, &[close()]);
    let mut heard = world.clients[c].tape.clone().unwrap();
    assert_eq!(statuses_of(&heard), [published, start], "the disk is at it");
    world.advance(3000);
    heard = told(&mut world, c);
    assert_eq!(statuses_of(&heard), [published, start, stop, unpublished]);
    // Nothing was recorded: there is nothing to wait for.
    let mut world = World::with(Settings { recordings: 1, ring_bytes: 1 << 20, ..settings() }, 1);
    let c = live(&mut world);
    say(&mut world, c, &[call(1, "publish", 0.0, &[null(), string("cam"), string("record")]), close()]);
    world.advance(100);
    assert_eq!(statuses_of(&told(&mut world, c)), [published, unpublished]);
    // It does not wait itself.
    let (mut world, c) = recording(|world| world.recorder.thread.late_ms = 5000);
    say(&mut world, c, &[close(), publish(1, "other")]);
    assert_eq!(statuses_of(&told(&mut world, c)), [published, unpublished, published]);
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

//! What a host says to what it is told.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::super::tests::{ME, clock, facts};
use super::*;
use crate::wire::bytes::Writer;
use crate::wire::script_link::{ApplicationStats, ClientStats, Doing, FileRole, StopReason, StreamFacts};

/// A server that says what it has been given, piece by piece, and then closes the link.
#[derive(Default)]
struct Server {
    to_say: RefCell<VecDeque<Vec<u8>>>,
    heard: RefCell<Vec<u8>>,
    now: RefCell<Millis>,
    /// So much time passes whenever it is asked for.
    busy_ms: u64,
    doing: Doing,
}

impl Line for Server {
    fn send(&self, bytes: &[u8]) -> Result<(), Ended> {
        self.heard.borrow_mut().extend_from_slice(bytes);
        let answer = match ToServer::read(bytes) {
            Ok(Some((ToServer::AskClientStats { .. }, _))) => {
                ToHost::TellClientStats { stats: ClientStats { bytes_in: 77, ..ClientStats::default() } }
            }
            Ok(Some((ToServer::AskApplicationStats { .. }, _))) => {
                ToHost::TellApplicationStats { stats: ApplicationStats { total_connects: 5, ..Default::default() } }
            }
            Ok(Some((ToServer::AskLength { stream: "mp4:film?vindex=1", .. }, _))) => ToHost::TellNumber { value: 6.5 },
            Ok(Some((ToServer::AskSize { stream: "film", .. }, _))) => ToHost::TellNumber { value: 77.0 },
            _ => return Ok(()),
        };
        // Behind what it had said before it read the question.
        let next = self.to_say.borrow_mut().pop_front().unwrap_or_default();
        self.to_say.borrow_mut().push_front([next, bytes_of(&answer)].concat());
        Ok(())
    }

    fn receive(&self, into: &mut Vec<u8>, wait_ms: Option<u64>) -> Result<(), Ended> {
        if let Some(bytes) = self.to_say.borrow_mut().pop_front() {
            into.extend(bytes);
            return Ok(());
        }
        let wait_ms = wait_ms.filter(|_| self.now.borrow().0 < 1000).ok_or(Ended::Closed)?;
        let now = *self.now.borrow() + wait_ms;
        *self.now.borrow_mut() = now;
        Ok(())
    }

    fn now(&self) -> Millis {
        let now = *self.now.borrow() + self.busy_ms;
        *self.now.borrow_mut() = now;
        now
    }

    fn doing(&self) -> &Doing {
        &self.doing
    }
}

const HALL: InstanceId = InstanceId(3);

fn bytes_of(message: &ToHost<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 100_000];
    let mut out = Writer::new(&mut buffer);
    message.put(&mut out).unwrap();
    out.written().to_vec()
}

fn asked(number: u32) -> Question {
    Question { client: ME, number, transaction: 2.0 }
}

fn loading<'a>(instance: InstanceId, text: &'a str) -> Vec<ToHost<'a>> {
    let (first, second) = text.as_bytes().split_at(text.len() / 2);
    let file = |piece, last| ToHost::File { instance, role: FileRole::Main, name: "main.asc", piece, last };
    vec![
        ToHost::Load {
            instance,
            app: "chat",
            name: "hall",
            hostname: "_defaultVHost_",
            server: "Rill",
            budget: Budget { call_ms: 1, ..Budget::default() },
        },
        file(first, false),
        file(second, true),
        ToHost::File { instance, role: FileRole::Config, name: "", piece: br#"{"most":2}"#, last: true },
        ToHost::Start { instance },
    ]
}

fn connecting(instance: InstanceId) -> ToHost<'static> {
    ToHost::Connect { instance, client: ME, facts: facts(), arguments: &[] }
}

fn called(instance: InstanceId, number: u32, name: &'static str) -> ToHost<'static> {
    ToHost::Call { instance, question: asked(number), name, arguments: &[] }
}

/// What a host says to these messages, without what is always the same: its greeting, and that each message is through.
fn said(messages: &[ToHost<'_>]) -> Vec<String> {
    said_by_busy(messages, 0)
}

/// The same, while time passes.
fn said_by_busy(messages: &[ToHost<'_>], busy_ms: u64) -> Vec<String> {
    let bytes: Vec<u8> = messages.iter().flat_map(bytes_of).collect();
    let to_say = bytes.chunks(97).map(<[u8]>::to_vec).collect::<VecDeque<_>>();
    let (said, through) = conversation(Server { to_say: to_say.into(), busy_ms, ..Server::default() });
    assert_eq!(through as usize, messages.len(), "each message is through: {said:#?}");
    said
}

fn conversation(server: Server) -> (Vec<String>, u32) {
    let server = Rc::new(server);
    assert_eq!(Host::new(server.clone(), clock).run(""), Ended::Closed);
    assert_eq!(server.doing.now(), None);
    let (mut lines, mut through) = (Vec::new(), 0);
    let heard = server.heard.borrow();
    let mut rest = &heard[..];
    while let Some((message, length)) = ToServer::read(rest).unwrap() {
        match message {
            ToServer::Hello { version, .. } => assert_eq!(version, VERSION),
            ToServer::Done { count } => {
                assert_eq!(count, through + 1);
                through = count;
            }
            message => {
                let text = format!("{message:?}").replace("instance: InstanceId(3)", "hall");
                lines.push(text.replace("client: ClientId(7)", "me"));
            }
        }
        rest = &rest[length..];
    }
    (lines, through)
}

#[test]
fn a_client_is_let_in_calls_and_leaves() {
    let text = "application.onConnect = function (client) { this.acceptConnection(client); client.call('hi'); };
        Client.prototype.twice = function () { trace('here'); return 'ok'; };
        application.onDisconnect = function (client) { trace('gone with ' + client.getStats().bytes_in); };";
    let mut messages = loading(HALL, text);
    let stats = ClientStats { bytes_in: 900, ..ClientStats::default() };
    messages.extend([
        connecting(HALL),
        called(HALL, 1, "twice"),
        called(HALL, 2, "thrice"),
        ToHost::Gone { instance: HALL, client: ME, stats },
        ToHost::Stop { instance: HALL, reason: StopReason::Idle },
        ToHost::Unload { instance: HALL },
        ToHost::Knock {},
    ]);
    assert_eq!(
        said(&messages),
        [
            "Loaded { hall }",
            "Accept { hall, me }",
            "Call { hall, me, name: \"hi\", transaction: 0, arguments: [] }",
            "Log { hall, level: Info, text: \"trace=\\\"here\\\"\" }",
            "Result { hall, question: Question { me, number: 1, transaction: 2.0 }, value: [2, 0, 2, 111, 107] }",
            "NotFound { hall, question: Question { me, number: 2, transaction: 2.0 } }",
            "Log { hall, level: Info, text: \"trace=\\\"gone with 900\\\"\" }",
            "MayGo { hall, yes: true }",
        ]
    );
}

#[test]
fn a_script_that_asks_waits_in_its_handler_and_what_comes_meanwhile_is_handled_after_it() {
    let text = "application.onConnect = function () { return true; };
        Client.prototype.ask = function () { return this.getStats().bytes_in + application.getStats().total_connects; };
        Client.prototype.other = function () { return 1; };";
    let mut messages = loading(HALL, text);
    messages.extend([connecting(HALL), called(HALL, 1, "ask"), called(HALL, 2, "other"), called(HALL, 3, "other")]);
    let said = said(&messages);
    let at =
        |part: &str| said.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {said:#?}"));
    assert!(at("AskClientStats") < at("AskApplicationStats"));
    // 82 as a double.
    assert!(at("AskApplicationStats") < at("number: 1, transaction: 2.0 }, value: [0, 64, 84, 128,"));
    assert!(at("number: 1") < at("number: 2") && at("number: 2") < at("number: 3"));
}

#[test]
fn length_and_size_of_a_stream_are_asked_for_as_the_script_says_its_name() {
    let text = "application.onConnect = function () { return true; };
        Client.prototype.ask = function () {
            return [Stream.length('mp4:film?vindex=1'), Stream.size('film'), Stream.length(new Array(400).join('x'))].join();
        };";
    let mut messages = loading(HALL, text);
    messages.extend([connecting(HALL), called(HALL, 1, "ask")]);
    let answer: Vec<u8> = [&[2, 0, 8][..], b"6.5,77,0"].concat();
    let said = said(&messages);
    assert!(said.iter().any(|line| line.contains(&format!("value: {answer:?}"))), "{said:#?}");
}

#[test]
fn access_lists_are_asked_for_together() {
    let text = "application.onConnect = function (client) { client.readAccess = 'news'; client.videoSampleAccess = ''; return true; };";
    let mut messages = loading(HALL, text);
    let play = AccessSet::of(&[Access::Read, Access::AudioSample, Access::VideoSample]);
    let access = |number, wanted, stream| ToHost::Access { instance: HALL, question: asked(number), wanted, stream };
    messages.extend([
        connecting(HALL),
        access(1, play, "news/today"),
        access(2, AccessSet::of(&[Access::Read]), "cam"),
    ]);
    let said = said(&messages);
    let allowed = |number, lists: &[Access]| {
        format!(
            "Allowed {{ hall, question: Question {{ me, number: {number}, transaction: 2.0 }}, allowed: {:?} }}",
            AccessSet::of(lists)
        )
    };
    assert_eq!(said[2..], [allowed(1, &[Access::Read, Access::AudioSample]), allowed(2, &[])]);
}

#[test]
fn who_exceeds_a_limit_is_forgotten_and_the_others_go_on() {
    let other = InstanceId(4);
    let mut messages = loading(HALL, "application.onConnect = function () { trace('in'); for (;;) ; };");
    messages.extend(loading(other, "application.onConnect = function () { return true; };"));
    messages.extend([connecting(HALL), called(HALL, 1, "more"), connecting(other), ToHost::Unload { instance: HALL }]);
    assert_eq!(
        said(&messages),
        [
            "Loaded { hall }",
            "Loaded { instance: InstanceId(4) }",
            "Log { hall, level: Info, text: \"trace=\\\"in\\\"\" }",
            "Log { hall, level: Warn, text: \"file=\\\"main.asc\\\" line=1 error=\\\"time limit exceeded\\\" stopped=yes\" }",
            "Exhausted { hall, which: Time }",
            "Accept { instance: InstanceId(4), me }",
        ]
    );
}

#[test]
fn what_cannot_be_loaded_is_said_and_forgotten() {
    let mut messages = loading(HALL, "function (");
    messages.push(connecting(HALL));
    messages.extend(loading(InstanceId(4), "x"));
    let said = said(&messages);
    assert_eq!(said[0], "NotLoaded { hall, reason: \"main.asc:1: SyntaxError: function name expected\" }");
    assert_eq!(
        said[1],
        "NotLoaded { instance: InstanceId(4), reason: \"main.asc:1: ReferenceError: x is not defined\" }"
    );
}

#[test]
fn a_check_compiles_and_runs_nothing() {
    let check = |instance, text| {
        let mut messages = loading(instance, text);
        messages.pop();
        messages.push(ToHost::Check { instance });
        messages
    };
    let mut messages = check(HALL, "trace('no'); nothing.is.here();");
    messages.extend(check(InstanceId(4), "let a = ;"));
    let said = said(&messages);
    assert_eq!(said[0], "Loaded { hall }");
    assert!(said[1].starts_with("NotLoaded { instance: InstanceId(4), reason: \"main.asc:1: SyntaxError"), "{said:?}");
}

#[test]
fn intervals_run_while_the_server_says_nothing() {
    let messages = loading(HALL, "setInterval(function () { trace('tick'); }, 300);");
    let ticks = said(&messages).iter().filter(|line| line.contains("tick")).count();
    assert_eq!(ticks, 4, "the server closes the link when a second is over and nothing is due");
}

#[test]
fn who_exceeds_a_limit_while_the_server_says_nothing_is_told_at_once() {
    let text = "setInterval(function () { for (;;) ; }, 300); setInterval(function () { trace('tick'); }, 500);";
    let messages = loading(HALL, text);
    let said = said(&messages);
    assert_eq!(said.last().unwrap(), "Exhausted { hall, which: Time }", "{said:#?}");
}

#[test]
fn the_server_is_heard_though_there_is_always_something_due() {
    let mut messages = loading(HALL, "setInterval(function () {}, 10);");
    messages.push(ToHost::Stop { instance: HALL, reason: StopReason::Shutdown });
    assert!(said_by_busy(&messages, 20).contains(&"MayGo { hall, yes: true }".to_owned()));
}

#[test]
fn a_broadcast_is_said_once_and_a_name_that_is_too_long_throws() {
    let text = "application.onConnect = function () { return true; };
        Client.prototype.all = function () { application.broadcastMsg('hello', 1); };
        Client.prototype.long = function () { application.broadcastMsg('x'.repeat(1025)); };";
    let mut messages = loading(HALL, text);
    messages.extend([
        connecting(HALL),
        ToHost::Publish {
            instance: HALL,
            client: ME,
            stream: StreamFacts { name: "cam", publish_query_string: "", kind: "live" },
        },
        called(HALL, 1, "all"),
        called(HALL, 2, "long"),
    ]);
    let said = said(&messages);
    assert!(said[2].starts_with("Broadcast { hall, name: \"hello\""), "{said:#?}");
    assert!(said.last().unwrap().contains("Failed") && said.last().unwrap().contains("longer than 1024"), "{said:#?}");
}

#[test]
fn bytes_that_are_no_message_end_the_host() {
    let server = Rc::new(Server { to_say: VecDeque::from([vec![0; 8]]).into(), ..Server::default() });
    assert!(matches!(Host::new(server, clock).run(""), Ended::Broken(_)));
}

//! What a script may do, and what it may not.

#![allow(clippy::unwrap_used, reason = "a test whose own bytes do not fit has failed")]

use std::cell::Cell;

use super::check::{CHECK_STACK_BYTES, check};
use super::engine::Scripts;
use super::facts::*;
use crate::limits::{
    SCRIPT_CHECK_BYTES, SCRIPT_CLIENT_CALLS, SCRIPT_ERROR_BYTES, SCRIPT_INTERVALS, SCRIPT_QUEUED_CALLS,
    SCRIPT_TRACE_BYTES,
};
use crate::live::app::{Budget, Source, SourceFile};
use crate::time::Millis;
use crate::wire::amf0::{self, Encoder};
use crate::wire::bytes::Writer;

thread_local! {
    /// The clock of the time limit, in microseconds: every look at it takes as long as [`STEP`] says.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static STEP: Cell<u64> = const { Cell::new(1) };
}

pub(super) fn clock() -> u64 {
    CLOCK.set(CLOCK.get() + STEP.get());
    CLOCK.get()
}

pub(super) const NOW: Millis = Millis(1000);
pub(super) const ME: ClientId = ClientId(7);
const YOU: ClientId = ClientId(8);

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

pub(super) fn source(text: &str) -> Source {
    Source { secure: None, main: file("main.asc", text), others: Vec::new() }
}

pub(super) fn identity() -> Identity<'static> {
    Identity {
        app: "chat",
        instance: "_definst_",
        hostname: "_defaultVHost_",
        server: "Rill/0.1.0 LNX",
        config_json: r#"{"rooms":["a","b"],"limit":3}"#,
    }
}

pub(super) fn facts() -> ClientFacts<'static> {
    ClientFacts {
        ip: "10.0.0.5",
        agent: "WIN 9,0,45,0",
        referrer: "http://x/y.swf",
        page_url: "http://x/",
        uri: "rtmp://host/chat",
        id: "c7.2",
        protocol: "rtmp",
        secure: false,
        to_client_bytes_s: 900,
        to_server_bytes_s: 60,
    }
}

/// What the only instance is called.
pub(super) const HALL: InstanceId = InstanceId(7);

/// A loaded script and what it has asked for.
struct Stage {
    scripts: Scripts,
    id: InstanceId,
}

impl Stage {
    fn try_load(source: &Source) -> Result<Stage, LoadError> {
        let mut scripts = Scripts::new(2, clock);
        scripts.load(HALL, source, &identity(), Budget::default(), NOW)?;
        Ok(Stage { scripts, id: HALL })
    }

    fn new(text: &str) -> Stage {
        Self::try_load(&source(text)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn connect(&mut self, client: ClientId, arguments: &[u8]) -> Result<(), CallFault> {
        self.scripts.connect(self.id, client, &facts(), arguments, NOW)
    }

    fn actions(&mut self) -> Vec<ScriptAction> {
        std::iter::from_fn(|| self.scripts.next_action())
            .map(|(id, action)| {
                assert_eq!(id, self.id);
                action
            })
            .collect()
    }

    /// The client is in, and nothing of that is left to see.
    fn accepted(text: &str) -> Stage {
        let mut stage = Stage::new(text);
        stage.connect(ME, &[]).unwrap();
        assert!(stage.actions().contains(&ScriptAction::Accept(ME)), "not accepted");
        stage
    }

    fn call(&mut self, name: &str, arguments: &[u8]) -> CallOutcome {
        self.scripts.call(self.id, ME, name, arguments, NOW)
    }

    /// What the client gets for calling `f`, as the test would write it in JavaScript.
    fn f(&mut self) -> String {
        match self.call("f", &[]) {
            CallOutcome::Result(bytes) => show(&bytes),
            outcome => format!("{outcome:?}"),
        }
    }
}

/// The result of a client's call to a method with this body.
fn result(body: &str) -> String {
    Stage::accepted(&format!("Client.prototype.f = function () {{ {body} }}")).f()
}

fn reject(client: ClientId) -> ScriptAction {
    ScriptAction::Reject { client, description: None, application: None, redirect: None }
}

fn amf(write: impl FnOnce(&mut Encoder<'_, '_>)) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer);
    write(&mut Encoder::new(&mut writer));
    writer.written().to_vec()
}

fn strings(values: &[&str]) -> Vec<u8> {
    amf(|encoder| values.iter().for_each(|value| encoder.string(value).unwrap()))
}

/// AMF 0 values in a form for reading.
fn show(bytes: &[u8]) -> String {
    let mut decoder = amf0::Decoder::new(bytes);
    let mut shown = Vec::new();
    while !decoder.is_empty() {
        shown.push(show_value(&decoder.value().unwrap()));
    }
    shown.join(" ")
}

fn show_value(value: &amf0::Value<'_>) -> String {
    let members = |properties: &amf0::Properties<'_>| {
        let members =
            properties.iter().map(|(name, of)| format!("{}:{}", String::from_utf8_lossy(name), show_value(&of)));
        members.collect::<Vec<_>>().join(",")
    };
    match value {
        amf0::Value::Number(number) => number.to_string(),
        amf0::Value::Boolean(value) => value.to_string(),
        amf0::Value::String(text) => format!("'{}'", String::from_utf8_lossy(text)),
        amf0::Value::Null => "null".into(),
        amf0::Value::Object(properties) => format!("{{{}}}", members(properties)),
        amf0::Value::EcmaArray(properties) => format!("ecma[{}]", members(properties)),
        amf0::Value::StrictArray(elements) => {
            format!("[{}]", elements.iter().map(|element| show_value(&element)).collect::<Vec<_>>().join(","))
        }
        amf0::Value::Date { ms, .. } => format!("date({ms})"),
        amf0::Value::Reference(index) => format!("@{index}"),
        value => panic!("{value:?} is not for clients"),
    }
}

#[test]
fn a_client_is_accepted_rejected_or_waits_as_on_connect_says() {
    let decide = |text: &str| {
        let mut stage = Stage::new(text);
        stage.connect(ME, &strings(&["bob"])).unwrap();
        stage.actions()
    };
    assert_eq!(decide(""), [ScriptAction::Accept(ME)]);
    assert_eq!(
        decide("application.onConnect = function (c, name) { return name == 'bob' }"),
        [ScriptAction::Accept(ME)]
    );
    assert_eq!(decide("application.onConnect = function (c, name) { return name != 'bob' }"), [reject(ME)]);
    assert_eq!(
        decide("application.onConnect = function (c) { application.acceptConnection(c); return false }"),
        [ScriptAction::Accept(ME)]
    );
    assert_eq!(decide("application.onConnect = function () { }"), []);
    assert_eq!(decide("application.onConnect = function () { return null }"), []);
    assert_eq!(decide("application.onConnect = function () { return 1 }"), [ScriptAction::Accept(ME)]);
    assert_eq!(decide("application.onConnect = function () { return '' }"), [reject(ME)]);
    assert_eq!(
        decide("application.onConnect = async function () { await null; return true }"),
        [ScriptAction::Accept(ME)]
    );
}

#[test]
fn a_decision_may_come_later_and_counts_once() {
    let mut stage = Stage::new(
        "application.onConnect = function (client) { waiting = client };
         setInterval(function () { application.acceptConnection(waiting); application.rejectConnection(waiting) }, 5)",
    );
    stage.connect(ME, &[]).unwrap();
    assert_eq!(stage.actions(), []);
    // A period below the shortest is lengthened.
    assert_eq!(stage.scripts.next_timer(), Some(NOW + 10));
    assert_eq!(stage.scripts.tick(NOW + 10), None);
    assert_eq!(stage.actions(), [ScriptAction::Accept(ME)]);
}

#[test]
fn a_rejection_carries_its_description_object_and_redirect() {
    let decide = |text: &str| {
        let mut stage = Stage::new(&format!("application.onConnect = function (client) {{ {text} }}"));
        stage.connect(ME, &[]).unwrap();
        match stage.actions().as_slice() {
            [ScriptAction::Reject { client: ME, description, application, redirect }] => {
                let application = application.as_deref().map(show).unwrap_or_default();
                [description.clone().unwrap_or_default(), application, redirect.clone().unwrap_or_default()].join("|")
            }
            actions => panic!("{actions:?}"),
        }
    };
    assert_eq!(decide("application.rejectConnection(client)"), "||");
    assert_eq!(decide("application.rejectConnection(client, {reason: 'full', n: [1]})"), "|{reason:'full',n:[1]}|");
    // It is sent inside of the status object, which is number 0.
    assert_eq!(decide("var o = {}; o.o = o; application.rejectConnection(client, o)"), "|{o:@1}|");
    assert_eq!(
        decide("application.rejectConnection(client, 'No\\nentry', 'x')"),
        "No\\n\u{6e}entry|'x'|".replace("\\n\u{6e}", "\\n")
    );
    assert_eq!(decide("application.redirectConnection(client, 'rtmp://b/live')"), "Connection failed||rtmp://b/live");
    assert_eq!(decide("application.redirectConnection(client, 'rtmp://b/live', 'moved', 7)"), "moved|7|rtmp://b/live");
    assert_eq!(decide("application.redirectConnection(client)"), "Connection failed||");
    assert_eq!(decide("application.disconnect(client)"), "||");
}

#[test]
fn what_is_said_to_a_client_before_its_accept_waits_for_it() {
    let mut stage = Stage::new(
        "application.onConnect = function (client) {
             client.call('early', null, 1); client.ping(); client.setBandwidthLimit(1000, 0);
             for (var i = 0; i < 40; i++) try { client.call('more', null, i) } catch (e) { stopped = i; break }
             application.acceptConnection(client); client.call('late', null, stopped) }",
    );
    stage.connect(ME, &[]).unwrap();
    let actions = stage.actions();
    assert_eq!(actions[0], ScriptAction::Accept(ME));
    assert_eq!(actions[2], ScriptAction::Ping(ME));
    assert_eq!(actions[3], ScriptAction::LimitBandwidth { client: ME, to_client: Some(1000), to_server: None });
    assert_eq!(actions.len(), 1 + SCRIPT_QUEUED_CALLS + 1);
    let Some(ScriptAction::Call { name, arguments, transaction: 0, .. }) = actions.last() else {
        panic!("{actions:?}")
    };
    assert_eq!((name.as_str(), show(arguments).as_str()), ("late", "29"));
}

#[test]
fn a_throwing_on_connect_rejects_even_after_its_accept() {
    for text in ["throw 1", "application.acceptConnection(client); client.call('x'); none()"] {
        let mut stage = Stage::new(&format!(
            "application.onConnect = function (client) {{ {text} }};
             application.onStatus = function (info) {{ seen = info.level + info.code + info.lineno + info.filename + info.linebuf }};
             application.onDisconnect = function () {{ trace('must not be told') }}"
        ));
        assert_eq!(stage.connect(ME, &[]), Err(CallFault::Thrown), "{text}");
        assert_eq!(stage.actions(), [reject(ME)], "{text}");
        assert_eq!(stage.scripts.disconnect(stage.id, ME, NOW), Ok(()));
        assert_eq!(stage.scripts.disconnect(stage.id, ME, NOW), Err(CallFault::Gone));
    }
}

#[test]
fn a_client_calls_methods_of_the_script_by_name() {
    assert_eq!(result("return 'hello ' + this.ip"), "'hello 10.0.0.5'");
    let mut stage = Stage::accepted(
        "Client.prototype.add = function (a, b) { return a + b };
         application.onConnect = function (client) { client.mine = function () { return this.id }; return true }",
    );
    assert_eq!(stage.call("add", &strings(&["ä", "\u{1F600}"])), CallOutcome::Result(strings(&["ä\u{1F600}"])));
    assert_eq!(stage.call("mine", &[]), CallOutcome::Result(strings(&["c7.2"])));
    assert_eq!(stage.call("none", &[]), CallOutcome::NotFound);
    assert_eq!(stage.call("add", b"\x02\0"), CallOutcome::Failed("The arguments are malformed.".into()));
    assert_eq!(stage.scripts.call(stage.id, YOU, "add", &[], NOW), CallOutcome::Gone);
}

#[test]
fn a_client_cannot_call_what_the_script_has_not_defined() {
    let mut stage = Stage::accepted(
        "Client.prototype._hidden = function () { return 1 }; Client.prototype.alias = Client.prototype.ping;
         Client.prototype.text = 'x'; Client.prototype.__resolve = function (name) { return undefined }",
    );
    for name in [
        "call",
        "ping",
        "getStats",
        "getStreamLength",
        "setBandwidthLimit",
        "getBandwidthLimit",
        "constructor",
        "toString",
        "hasOwnProperty",
        "valueOf",
        "__proto__",
        "__defineGetter__",
        "__resolve",
        "_hidden",
        "alias",
        "text",
        "ip",
        "",
        "readAccess",
        "isPrototypeOf",
        "prototype",
        "length",
        "\0",
        "toLocaleString",
    ] {
        assert_eq!(stage.call(name, &[]), CallOutcome::NotFound, "{name}");
    }
    assert_eq!(stage.actions(), []);
    assert_eq!(stage.call("checkBandwidth", &[]), CallOutcome::Result(vec![5]));
    assert_eq!(stage.actions(), [ScriptAction::CheckBandwidth(ME)]);
}

#[test]
fn a_method_of_an_object_of_the_client_is_called_by_its_path() {
    let mut stage = Stage::accepted(
        "application.onConnect = function (client) {
             client.chat = new Chat(client);
             client.rooms = { hall: { say: function (text) { return 'hall heard ' + text } }, list: [{ n: function () { return 7 } }] };
             client.made = new Made; client.app = application; client.cam = Stream.get('cam'); client.all = globalThis;
             return true;
         };
         function Chat(client) { this.client = client; this.lines = []; this.trace = client.ping }
         Chat.prototype.send = function (text) { this.lines.push(text); return text + ' (' + this.lines.length + ')' };
         Chat.prototype._hidden = function () { return 1 };
         Client.prototype.shared = { f: function () { return 'shared' } };
         class Made { #secret = 5; tell() { return this.#secret } get member() { return function () { return 1 } } }
         Client.prototype.plain = function () { return 'plain' }",
    );
    for (path, result) in [
        ("plain", "'plain'"),
        ("chat/send", "'hi (1)'"),
        ("chat/send", "'hi (2)'"),
        ("rooms/hall/say", "'hall heard hi'"),
        ("rooms/list/0/n", "7"),
        ("made/tell", "5"),
        ("shared/f", "'shared'"),
    ] {
        let CallOutcome::Result(bytes) = stage.call(path, &strings(&["hi"])) else { panic!("{path}") };
        assert_eq!(show(&bytes), result, "{path}");
    }
    for path in [
        "chat/constructor",
        "chat/toString",
        "chat/none",
        "chat/_hidden",
        "chat/lines/push",
        "chat/trace",
        "chat/client/plain",
        "chat/client/call",
        "rooms/hall",
        "rooms/hall/say/call",
        "rooms/hall/say/",
        "rooms//say",
        "constructor/constructor",
        "made/member",
        "made/constructor/call",
        "prototype/plain",
        "__proto__/plain",
        "/plain/",
        "/plain",
        "plain/",
        "/",
        "app/disconnect",
        "app/shutdown",
        "cam/send",
        "all/trace",
        "ip/trim",
    ] {
        assert_eq!(stage.call(path, &[]), CallOutcome::NotFound, "{path}");
    }
    assert_eq!(stage.actions(), []);
}

#[test]
fn resolve_answers_for_methods_and_members_that_are_not_there() {
    let mut stage = Stage::accepted(
        "Client.prototype.__resolve = function (name) {
             if (name == 'any') return function (a) { return 'any ' + a + this.ip };
             if (name == 'member') return 42 };
         Client.prototype.f = function () { return [this.member, this.other, typeof this.any, this.toString === Object.prototype.toString] }",
    );
    assert_eq!(stage.call("any", &strings(&["x"])), CallOutcome::Result(strings(&["any x10.0.0.5"])));
    assert_eq!(stage.call("member", &[]), CallOutcome::NotFound);
    assert_eq!(stage.call("_any", &[]), CallOutcome::NotFound);
    assert_eq!(stage.f(), "[42,null,'function',true]");
}

#[test]
fn an_error_reaches_the_caller_bounded_and_the_script_s_on_status_with_its_place() {
    let mut stage = Stage::accepted(
        "var seen;
application.onStatus = function (info) { seen = info; throw new Error('again') };
Client.prototype.bad = function () {
    return none.x;
};
Client.prototype.rude = function (text) { throw text };
Client.prototype.f = function () { return [seen.code, seen.level, seen.description, seen.details, seen.filename, seen.lineno, seen.linebuf] };",
    );
    assert_eq!(stage.call("bad", &[]), CallOutcome::Failed("ReferenceError: none is not defined".into()));
    assert_eq!(
        stage.f(),
        "['Application.Script.Error','error','ReferenceError: none is not defined','ReferenceError: none is not defined',\
         'main.asc',4,'    return none.x;']"
    );
    let long = format!("a\n\u{1B}{}", "x".repeat(2000));
    let CallOutcome::Failed(text) = stage.call("rude", &strings(&[&long])) else { panic!() };
    assert!(text.starts_with("a\\n\\u{1b}xx") && text.len() <= SCRIPT_ERROR_BYTES, "{text}");
}

#[test]
fn the_client_knows_its_connection_and_nothing_changes_that() {
    assert_eq!(
        result(
            "return [this.ip, this.agent, this.referrer, this.pageUrl, this.uri, this.protocol, this.secure, this.id]"
        ),
        "['10.0.0.5','WIN 9,0,45,0','http://x/y.swf','http://x/','rtmp://host/chat','rtmp',false,'c7.2']"
    );
    assert_eq!(
        result(
            "this.ip = 'x'; this.secure = true; delete this.id; this.user = 'bob'; return [this.ip, this.secure, this.id, this.user]"
        ),
        "['10.0.0.5',false,'c7.2','bob']"
    );
    assert_eq!(
        result("var names = []; this.user = 1; for (var i in this) names.push(i); return names.join()"),
        "'user,f'"
    );
    assert_eq!(
        result(
            "return [this.readAccess, this.writeAccess, this.audioSampleAccess, this.videoSampleAccess, typeof this.protocolVersion, typeof this.virtualKey, this instanceof Client]"
        ),
        "['/','/','/','/','string','string',true]"
    );
    assert_eq!(result("try { new Client() } catch (e) { return e.message }"), "'only the server makes Client objects'");
    assert_eq!(
        result(
            "return [this.getBandwidthLimit(0), (this.setBandwidthLimit(500, 70), this.setBandwidthLimit(0, 80), this.getBandwidthLimit(0)), this.getBandwidthLimit(1), this.getStreamLength('x')]"
        ),
        "[60,80,500,0]"
    );
    assert_eq!(result("try { this.ping.call({}) } catch (e) { return e.message }"), "'not a Client'");
}

#[test]
fn statistics_are_what_the_server_said() {
    let mut stage =
        Stage::accepted("Client.prototype.f = function () { return [this.getStats(), application.getStats()] }");
    let client = ClientStats { bytes_in: 1, bytes_out: 2, msg_in: 3, msg_out: 4, msg_dropped: 5, ping_rtt_ms: 6 };
    stage.scripts.set_client_stats(stage.id, ME, &client);
    stage.scripts.set_application_stats(
        stage.id,
        &ApplicationStats { bw_in: 1 << 40, total_disconnects: 9, ..ApplicationStats::default() },
    );
    assert_eq!(
        stage.f(),
        "[{bytes_in:1,bytes_out:2,msg_in:3,msg_out:4,msg_dropped:5,ping_rtt:6},{bw_in:1099511627776,bw_out:0,bytes_in:0,\
         bytes_out:0,msg_in:0,msg_out:0,msg_dropped:0,total_connects:0,total_disconnects:9}]"
    );
}

#[test]
fn the_application_knows_its_name_and_its_accepted_clients() {
    assert_eq!(
        result(
            "application.name = 'x'; application.clients = []; return [application.name, application.hostname, application.server, application.config, application.allowDebug]"
        ),
        "['chat/_definst_','_defaultVHost_','Rill/0.1.0 LNX',{rooms:['a','b'],limit:3},false]"
    );
    assert_eq!(result("application.allowDebug = true; return application.allowDebug"), "true");
    let list = "var seen = []; for (var i in application.clients) seen.push(i, application.clients[i] === this);
        application.clients[0] = 1; application.clients.length = 0; application.clients.push && 0;
        return [seen, application.clients.length, typeof application.clients[0], application.clients[1] === undefined]";
    assert_eq!(result(list), "[['0',true],1,'object',true]");
    let mut stage = Stage::new(
        "application.onConnect = function (client, wait) { return wait ? undefined : true };
         application.onDisconnect = function (client) { for (var i in application.clients) application.clients[i].call('left', null, client.id, application.clients.length) };",
    );
    stage.connect(ME, &[]).unwrap();
    stage.connect(YOU, &amf(|encoder| encoder.boolean(true).unwrap())).unwrap();
    assert_eq!(stage.connect(ME, &[]), Err(CallFault::Gone), "connected twice");
    stage.actions();
    stage.scripts.disconnect(stage.id, YOU, NOW).unwrap();
    let actions = stage.actions();
    let [ScriptAction::Call { client: ME, name, arguments, .. }] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((name.as_str(), show(arguments).as_str()), ("left", "'c7.2' 1"));
    stage.scripts.disconnect(stage.id, ME, NOW).unwrap();
    assert_eq!(stage.actions(), [], "whoever is gone is not called");
}

#[test]
fn a_broadcast_is_asked_for_once_and_in_its_order() {
    let mut stage = Stage::new(
        "application.onConnect = function (client, go) { if (go) application.broadcastMsg('news', {a: 1}, go); return !go }",
    );
    stage.connect(ME, &[]).unwrap();
    stage.connect(YOU, &[]).unwrap();
    stage.actions();
    stage.connect(ClientId(9), &amf(|encoder| encoder.number(5.0).unwrap())).unwrap();
    let arguments = amf(|encoder| {
        encoder.object_begin().unwrap();
        encoder.property_number("a", 1.0).unwrap();
        encoder.object_end().unwrap();
        encoder.number(5.0).unwrap();
    });
    // Whom it reaches is known to the server.
    assert_eq!(stage.actions(), [ScriptAction::Broadcast { name: "news".into(), arguments }, reject(ClientId(9))]);
}

#[test]
fn answers_of_a_client_reach_the_result_object_and_those_that_wait_are_bounded() {
    let mut stage = Stage::accepted(
        "var got = [], result = {onResult: function (v) { got.push(this === result, v) }, onStatus: function (info) { got.push(info.code) }};
         Client.prototype.ask = function () { return [this.call('q', result, 'x'), this.call('q', result), this.call('q', {})] };
         Client.prototype.many = function () { for (var i = 0; ; i++) try { this.call('q', result) } catch (e) { return [i, e.name] } };
         Client.prototype.f = function () { return got }",
    );
    let CallOutcome::Result(_) = stage.call("ask", &[]) else { panic!() };
    let transactions: Vec<u32> = stage
        .actions()
        .iter()
        .map(|action| match action {
            ScriptAction::Call { transaction, .. } => *transaction,
            action => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(transactions, [SCRIPT_FIRST_TRANSACTION, SCRIPT_FIRST_TRANSACTION + 1, SCRIPT_FIRST_TRANSACTION + 2]);
    let mut answer = |transaction, is_result, arguments: &[u8]| {
        stage.scripts.answer(stage.id, ME, transaction, is_result, arguments, NOW)
    };
    answer(transactions[0], true, &strings(&["yes"])).unwrap();
    answer(transactions[0], true, &strings(&["twice"])).unwrap();
    answer(transactions[1], false, b"\x03\0\x04code\x02\0\x01E\0\0\x09").unwrap();
    answer(transactions[2], true, &[]).unwrap();
    answer(5, true, &[]).unwrap();
    answer(transactions[2], true, b"\xFF").unwrap();
    assert_eq!(stage.f(), "[true,'yes','E']");
    let CallOutcome::Result(many) = stage.call("many", &[]) else { panic!() };
    assert_eq!(show(&many), format!("[{SCRIPT_CLIENT_CALLS},'RangeError']"));
}

#[test]
fn streams_are_announced_to_the_application_and_to_their_object() {
    let mut stage = Stage::accepted(
        "var seen = [];
         var cam = Stream.get('mp4:cam?key=1'); cam.onStatus = function (info) { seen.push(this === cam, info.code, info.description, info.level, info.details) };
         application.onPublish = function (client, stream) { seen.push('on', client.id, stream.name, stream.publishQueryString, stream.type, stream === cam) };
         application.onUnpublish = function (client, stream) { seen.push('off', stream.name); throw 'on purpose' };
         Client.prototype.f = function () { var was = seen; seen = []; return was };
         Client.prototype.same = function () { return [Stream.get('cam') === Stream.get('flv:cam'), Stream.get(''), Stream.get('a') === Stream.get('b'), Stream.get('x') instanceof Stream, cam.send('onX', 1, {a: 'b'})] }",
    );
    let facts = StreamFacts { name: "cam", publish_query_string: "key=1", kind: "live" };
    stage.scripts.publish(stage.id, ME, &facts, NOW).unwrap();
    assert_eq!(
        stage.f(),
        "['on','c7.2','cam','key=1','live',true,true,'NetStream.Publish.Start','cam is now published.','status','cam']"
    );
    assert_eq!(stage.scripts.unpublish(stage.id, ME, &facts, NOW), Err(CallFault::Thrown));
    assert_eq!(stage.f(), "['off','cam',true,'NetStream.Unpublish.Success','cam is now unpublished.','status','cam']");
    let other = StreamFacts { name: "other", publish_query_string: "", kind: "live" };
    stage.scripts.publish(stage.id, ME, &other, NOW).unwrap();
    assert_eq!(stage.f(), "['on','c7.2','other','','live',false]");
    let CallOutcome::Result(same) = stage.call("same", &[]) else { panic!() };
    assert_eq!(show(&same), "[true,null,false,true,true]");
    let actions = stage.actions();
    let [ScriptAction::Send { stream, body }] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((stream.as_str(), show(body).as_str()), ("cam", "'onX' 1 {a:'b'}"));
}

#[test]
fn access_lists_cover_directories_and_all_below() {
    let mut stage = Stage::accepted(
        "application.onConnect = function (client) { client.readAccess = 'public; rooms/a/'; client.writeAccess = ''; client.audioSampleAccess = null; return true }",
    );
    let mut allows = |access, stream| stage.scripts.allows(stage.id, ME, access, stream);
    for (stream, allowed) in [
        ("public/x", true),
        ("public", true),
        ("publicity", false),
        ("rooms/a/b", true),
        ("rooms/b", false),
        ("", false),
    ] {
        assert_eq!(allows(Access::Read, stream), allowed, "{stream}");
    }
    assert!(!allows(Access::Write, "x"));
    assert!(!allows(Access::AudioSample, "x"));
    assert!(allows(Access::VideoSample, "x"));
    assert!(!stage.scripts.allows(stage.id, YOU, Access::Read, "public/x"));
}

#[test]
fn intervals_call_functions_and_methods_until_they_are_cleared() {
    let mut stage = Stage::accepted(
        "var seen = [], o = {name: 'o', tell: function (a) { seen.push(this.name + a) }};
         var a = setInterval(function (x, y) { seen.push(x + y); if (seen.length > 3) clearInterval(a) }, 100, 1, 2);
         var b = setInterval(o, 'tell', 250, '!');
         Client.prototype.f = function () { return seen };
         Client.prototype.many = function () { for (var i = 0; ; i++) try { setInterval(trace, 1000) } catch (e) { return i } };
         Client.prototype.bad = function () { setInterval('trace(1)', 100) }",
    );
    for ms in 0..=500 {
        assert_eq!(stage.scripts.tick(NOW + ms), None);
    }
    assert_eq!(stage.f(), "[3,3,'o!',3,3,'o!']".replace("3,3,'o!',3,3,'o!'", "3,3,'o!',3,'o!'"));
    let CallOutcome::Result(many) = stage.call("many", &[]) else { panic!() };
    assert_eq!(show(&many), (SCRIPT_INTERVALS - 1).to_string());
    assert!(matches!(stage.call("bad", &[]), CallOutcome::Failed(_)));
}

#[test]
fn stopping_asks_when_idle_and_tells_why() {
    let stop = |text: &str, reason| {
        let mut stage = Stage::new(text);
        (stage.scripts.stopping(stage.id, reason, NOW), stage.actions())
    };
    assert_eq!(stop("", StopReason::Idle), (Ok(true), vec![]));
    assert_eq!(stop("application.onAppStop = function () { return false }", StopReason::Idle), (Ok(false), vec![]));
    assert_eq!(stop("application.onAppStop = function () { return 0 }", StopReason::Idle), (Ok(true), vec![]));
    assert_eq!(stop("application.onAppStop = function () { throw 1 }", StopReason::Idle), (Ok(true), vec![]));
    let (_, actions) = stop(
        "application.onAppStop = function (info) { if (info.code == 'Application.Shutdown' && info.level == 'status') application.shutdown() }",
        StopReason::Shutdown,
    );
    assert_eq!(actions, [ScriptAction::Shutdown]);
}

#[test]
fn files_run_in_adobe_s_order() {
    let mut source = Source {
        secure: Some(file("scripts/secure.asc", "order = ['secure']; var g = getGlobal(); g.safe = protectObject({add: function (n) { return this.n += n }, n: 40}); load('late.asc')")),
        main: file("scripts/main.asc", "load('a.asc'); load('./sub/../a.asc'); load('lib.asc'); order.push('main', typeof getGlobal, typeof protectObject, safe.n, safe.add(2));
            application.onAppStart = function () { order.push('start') }"),
        others: vec![
            file("scripts/a.asc", "order.push('a'); load('main.asc'); load('b.asc')"),
            file("scripts/b.asc", "order.push('b'); Client.prototype.f = function () { try { load('a.asc') } catch (e) { order.push(e.message) } return order }"),
            file("scripts/late.asc", "order.push('late')"),
            file("lib.asc", "order.push('lib')"),
        ],
    };
    let mut stage = Stage::try_load(&source).unwrap();
    stage.connect(ME, &[]).unwrap();
    assert_eq!(
        stage.f(),
        "['secure','main','undefined','undefined',null,42,'late','a','lib','b','start','load() is possible only while the script is loaded']"
    );
    source.others.clear();
    let missing = Stage::try_load(&source).err().unwrap();
    assert_eq!(
        missing.to_string(),
        "scripts/secure.asc:1: load(\"late.asc\"): no such file beside the main script or in the library path"
    );
}

#[test]
fn a_script_that_does_not_load_says_where() {
    let error = |text: &str| Stage::try_load(&source(text)).err().map(|error| error.to_string()).unwrap_or_default();
    STEP.set(10_000);
    // The engine knows the line of the last call or operator; an empty loop has none.
    assert_eq!(error("while (true) { Math.abs(1) }"), "main.asc:1: time limit exceeded");
    STEP.set(1);
    assert_eq!(error("var a;\nvar b = ;\n"), "main.asc:2: SyntaxError: unexpected token in expression: ';'");
    assert_eq!(error("\n\nnone();"), "main.asc:3: ReferenceError: none is not defined");
    assert_eq!(error("\nthrow 'x'"), "main.asc: x");
    assert_eq!(
        error("load('x' + '.asc')"),
        "main.asc:1: load(\"x.asc\"): no such file beside the main script or in the library path"
    );
    assert_eq!(error("function f() { f() } f()"), "main.asc:1: stack limit exceeded");
    assert_eq!(error("application.onAppStart = function () { throw 1 }"), "");
    assert_eq!(error("\u{FEFF}var a"), "");
    assert!(error("var a\0").contains("main.asc"));
    let mut scripts = Scripts::new(1, clock);
    let broken = Identity { config_json: "[1]", ..identity() };
    assert_eq!(
        scripts.load(HALL, &source(""), &broken, Budget::default(), NOW),
        Err(LoadError::Config("not a JSON object".into()))
    );
    let load = |scripts: &mut Scripts, id| scripts.load(id, &source(""), &identity(), Budget::default(), NOW);
    assert_eq!(load(&mut scripts, HALL), Ok(()));
    assert_eq!(load(&mut scripts, InstanceId(2)), Err(LoadError::Full));
    scripts.unload(HALL);
    assert_eq!(load(&mut scripts, InstanceId(2)), Ok(()));
    assert_eq!(scripts.stopping(HALL, StopReason::Idle, NOW), Err(CallFault::Gone));
}

#[test]
fn members_that_are_missing_refuse_a_script_that_uses_them_as_it_is_loaded_and_a_call_that_does() {
    let error = |text: &str| Stage::try_load(&source(text)).err().map(|error| error.to_string()).unwrap_or_default();
    let missing = |line: u32, name: &str| format!("main.asc:{line}: {name} is not available in this server");
    for name in
        ["NetConnection", "NetStream", "SharedObject", "File", "LoadVars", "XML", "XMLSocket", "WebService", "SOAPCall"]
    {
        assert_eq!(error(&format!("function now() {{\n  return new {name}() }}\nnow()")), missing(2, name));
        assert_eq!(
            result(&format!("return new {name}()")),
            format!("Failed(\"Error: {name} is not available in this server\")")
        );
        // By another way it throws the same words.
        assert_eq!(error(&format!("var name = '{name}';\n\nthis[name]")), missing(3, name));
        assert_eq!(
            error(&format!(
                "// {name}\n/* {name} */ var a = '{name}', b = {{{name}: 1}}, c = /{name}/, d = `{name}`, e = a.{name}"
            )),
            ""
        );
        assert_eq!(error(&format!("function {name}() {{}} new {name}()")), "");
        assert_eq!(error(&format!("var {name} = 5; if ({name} != 5) throw 1")), "");
        assert_eq!(
            error(&format!("{name} = function () {{}}; new {name}; (function ({name}) {{ return {name} }})(1)")),
            ""
        );
    }
    assert_eq!(error("application.registerClass('a', b)"), missing(1, "application.registerClass"));
    assert_eq!(error("application . gc ( )"), missing(1, "application.gc"));
    assert_eq!(error("application['g' + 'c']()"), missing(1, "application.gc"));
    assert_eq!(error("application.gc = function () {}; application.gc()"), "");
    assert_eq!(error("application.onPeerLookup = function () {}"), "");
    assert_eq!(error("Stream.destroy(1)"), missing(1, "Stream.destroy"));
    assert_eq!(error("function go(s) { s.setBufferTime(1) }"), "");
    assert_eq!(error("function go(s) { s.setBufferTime(1) } go(Stream.get('x'))"), missing(1, "Stream.setBufferTime"));
    assert_eq!(error("function go() { load('none.asc') }"), "");
    assert_eq!(error("Stream.get('x').publish('y')"), missing(1, "Stream.publish"));
    assert_eq!(error("Stream.get('x')['buffer' + 'Time']"), missing(1, "Stream.bufferTime"));
    assert_eq!(error("var game = {play: function () { }}; game.play()"), "");
    assert_eq!(error("class Game { play(a, b) { } } new Game().play()"), "");
    assert_eq!(error("Game = function () {}; Game.prototype['play'] = function () {}; new Game().play()"), "");
    assert_eq!(error("Stream.prototype.play = function () { return 1 }; if (Stream.get('x').play() != 1) throw 1"), "");
    assert_eq!(error("x = 4 / 2; y = x / 1; 'a'.replace(/[/'\"]NetStream/, ''); `${ x }NetStream${ `${ x }` }`"), "");
    assert_eq!(error("`${ new NetStream }`"), missing(1, "NetStream"));
    assert_eq!(error("var a = 12n"), missing(1, "BigInt"));
    assert_eq!(error("this['Big' + 'Int'](1)"), missing(1, "BigInt"));
    assert_eq!(error("function later() { return 12n }"), missing(1, "BigInt"), "nothing would refuse it then");
    assert_eq!(error("application.onConnect = function (c) {\n trace(c.farID) }"), "");
    assert_eq!(result("return this.farID"), "Failed(\"Error: Client.farID is not available in this server\")");
    assert_eq!(
        result("try { return this['far' + 'ID'] } catch (e) { return e.message }"),
        "'Client.farID is not available in this server'"
    );
    assert_eq!(error("var m = new Map; m.clear(); m.size; [].length; application.flush; new Set().clear()"), "");
}

#[test]
fn without_a_server_streams_have_neither_length_nor_size() {
    // As Adobe's documentation has players ask for it.
    let mut stage = Stage::accepted(
        "Client.prototype.getStreamLength = function (name) { return Stream.length(name) };
         Client.prototype.getStreamSize = function (name) { return Stream.size(name) }",
    );
    let facts = StreamFacts { name: "cam", publish_query_string: "", kind: "live" };
    stage.scripts.publish(stage.id, ME, &facts, NOW).unwrap();
    for (method, name) in [("getStreamLength", "cam"), ("getStreamLength", "none"), ("getStreamSize", "cam")] {
        let zero = amf(|encoder| encoder.number(0.0).unwrap());
        assert_eq!(stage.call(method, &strings(&[name])), CallOutcome::Result(zero), "{method} {name}");
    }
}

#[test]
fn set_attributes_hides_and_protects() {
    assert_eq!(
        result(
            "var o = {a: 1, b: 2}; setAttributes(o, 'a', false, true, true); o.a = 5; delete o.a; var n = []; for (var i in o) n.push(i); return [o.a, n.join()]"
        ),
        "[1,'b']"
    );
}

#[test]
fn there_is_no_way_out_of_the_engine() {
    for name in [
        "require",
        "process",
        "std",
        "os",
        "print",
        "console",
        "Worker",
        "WebAssembly",
        "setTimeout",
        "fetch",
        "scriptArgs",
        "gc",
        "performance",
        "SharedArrayBuffer",
        "Atomics",
    ] {
        assert_eq!(result(&format!("return typeof {name}")), "'undefined'", "{name}");
    }
    assert_eq!(
        result("return typeof JSON + typeof RegExp + typeof Date + typeof Map + typeof Promise + eval('1 + 1')"),
        "'objectfunctionfunctionfunctionfunction2'"
    );
    let mut stage = Stage::accepted(
        "var seen = 'none'; Client.prototype.go = function () { import('os').then(function () { seen = 'imported' }, function (e) { seen = e.name }) };
         Client.prototype.f = function () { return seen }",
    );
    stage.call("go", &[]);
    assert_ne!(stage.f(), "'imported'");
    assert_ne!(stage.f(), "'none'");
    // Nothing of the prelude can be reached by walking what a script can see.
    assert_eq!(
        result(
            "var names = Object.getOwnPropertyNames(globalThis).filter(function (n) { return /native|prelude|root|fallback/.test(n) }); return names"
        ),
        "[]"
    );
}

/// Runs `body` as a client's method with a clock that goes on with every look at it.
fn stopped(step_us: u64, body: &str) -> CallOutcome {
    let mut stage = Stage::accepted(&format!("Client.prototype.f = function () {{ {body} }}"));
    STEP.set(step_us);
    let outcome = stage.call("f", &[]);
    STEP.set(1);
    if let CallOutcome::Stopped(exhausted) = outcome {
        // Nothing of it runs any more.
        let fault = Err(CallFault::Exhausted(exhausted));
        assert_eq!(stage.scripts.disconnect(stage.id, ME, NOW), fault);
        assert_eq!(stage.connect(YOU, &[]), fault);
        assert_eq!(stage.scripts.stopping(stage.id, StopReason::Idle, NOW), fault.map(|()| true));
        assert_eq!(stage.scripts.tick(NOW + 100_000), None);
        assert_eq!(stage.scripts.next_timer(), None);
        assert!(!stage.scripts.allows(stage.id, ME, Access::Read, "x"));
        assert_eq!(stage.actions(), []);
        stage.scripts.unload(stage.id);
        assert_eq!(stage.connect(ME, &[]), Err(CallFault::Gone));
    }
    outcome
}

const TIME: CallOutcome = CallOutcome::Stopped(Exhausted::Time);

#[test]
fn no_script_outruns_its_time_whatever_it_does_about_it() {
    for body in [
        "while (true) { }",
        "try { while (true) { } } catch (e) { } return 1",
        "try { while (true) { } } finally { return 1 }",
        "for (;;) try { while (true) { } } catch (e) { }",
        "function g() { try { while (true) { } } catch (e) { g() } } g()",
        "return {get x() { while (true) { } }}",
        "return [{toString: function () { while (true) { } }}].join()",
        "this.call('x', null, {get x() { for (;;) { } }})",
        "throw {toString: function () { while (true) { } }}",
        "var e = new Error('x'); Object.defineProperty(e, 'message', {get: function () { while (true) { } }}); throw e",
        "Promise.resolve().then(function () { while (true) { } })",
        "Promise.resolve().then(function () { try { while (true) { } } catch (e) { } })",
        "function again() { return Promise.resolve().then(again) } again()",
        "(async function () { try { for (;;) await null } catch (e) { } })()",
        "(async function () { try { for (;;) { } } catch (e) { return 1 } })()",
        "function* all() { try { for (;;) yield 1 } finally { } } for (var i of all()) { }",
        "/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'.replace(/^(a+)+$/, '')",
        "[3, 2, 1].sort(function () { while (true) { } })",
        "JSON.stringify({toJSON: function () { while (true) { } }})",
        "Array.prototype.indexOf.call({length: 1e15}, 1)",
        "Array.prototype.forEach.call({length: 1e15}, function () { })",
        "eval('for (;;) { }')",
        "new Function('for (;;) { }')()",
        "application.onStatus = function () { while (true) { } }; throw 1",
    ] {
        assert_eq!(stopped(13_000, body), TIME, "{body}");
    }
    for text in [
        "application.onDisconnect = function () { for (;;) { } }",
        "application.onAppStop = function () { for (;;) { } }",
        "setInterval(function () { try { for (;;) { } } catch (e) { } }, 10)",
        "Client.prototype.__resolve = function () { for (;;) { } }",
        "application.onPublish = function () { for (;;) { } }",
        "application.onConnect = function (c) { Object.defineProperty(c, 'readAccess', {get: function () { for (;;) { } }}); return true }",
        "application.onConnect = function (c) { c.call('x', {get onResult() { for (;;) { } }}); return true }",
    ] {
        let mut stage = Stage::accepted(text);
        STEP.set(13_000);
        let facts = StreamFacts { name: "s", publish_query_string: "", kind: "live" };
        let ticked = stage.scripts.tick(NOW + 10);
        stage.scripts.allows(stage.id, ME, Access::Read, "x");
        let _ = stage.scripts.publish(stage.id, ME, &facts, NOW);
        let _ = stage.call("none", &[]);
        let _ = stage.scripts.answer(stage.id, ME, SCRIPT_FIRST_TRANSACTION, true, &[], NOW);
        let _ = stage.scripts.disconnect(stage.id, ME, NOW);
        let stopping = stage.scripts.stopping(stage.id, StopReason::Idle, NOW);
        STEP.set(1);
        assert_eq!(stopping, Err(CallFault::Exhausted(Exhausted::Time)), "{text}");
        assert_eq!(ticked.is_some(), text.starts_with("setInterval"), "{text}");
    }
}

#[test]
fn no_script_outgrows_its_memory() {
    for body in [
        "var all = []; while (true) all.push(new Array(1000).join('x'))",
        "'x'.repeat(1e9)",
        "new Array(1e5).fill().join('xxxxxxxxxxxxxxxxxxxxxxxxx')",
        "Array(5e6).fill().map(String)",
        "var o = {}; for (var i = 0; ; i++) o['k' + i] = i",
        "var m = new Map; for (var i = 0; ; i++) m.set(i, i)",
        "JSON.stringify(new Array(1e7))",
        "'x'.padStart(1e9)",
        "throw 'x'.repeat(1e9)",
        "return 'x'.repeat(1.5e6).split('')",
        "setInterval(trace, 1000, (function () { var a = []; for (;;) a.push({a: 1}) })())",
        "Promise.resolve().then(function () { 'x'.repeat(1e9) })",
    ] {
        assert_eq!(stopped(100, body), CallOutcome::Stopped(Exhausted::Memory), "{body}");
    }
    // What the script catches is its affair: the limit holds all the same.
    assert_eq!(result("try { 'x'.repeat(1e9) } catch (e) { return e.message }"), "'out of memory'");
}

#[test]
fn built_in_functions_that_are_not_interrupted_refuse_what_is_too_long() {
    for body in [
        "new Array(1e9).join('x')",
        "String(new Array(1e9))",
        "new Array(1e9).reverse()",
        "new Array(1e9).sort()",
        "new Array(1e9).slice()",
        "new Array(1e9).shift()",
        "new Array(1e9).splice(1, 1)",
        "var n = 0; Array.prototype.join.call({get length() { return n++ ? 1e15 : 1 }})",
        "var n = 0; Array.prototype.sort.call({length: {valueOf: function () { return n++ ? 1e15 : 1 }}})",
        "Array.prototype.reverse.call(Object.create({length: 1e15}))",
        "var o = Object.create({}, {length: {get: function () { return 1e15 }}}); Object.prototype.value = 1; Array.prototype.shift.call(o)",
        "new Array(4e9).toLocaleString()",
        "new RegExp(new Array(1e4).join('a')).test('a')",
        "Array.prototype.unshift.call({length: 1e15}, 1)",
        "'a'.repeat(5e5).indexOf('a'.repeat(2.5e5) + 'b')",
        "'a'.repeat(5e5).split('a'.repeat(2.5e5) + 'b')",
        "'a'.repeat(5e5).replaceAll('a'.repeat(2e5) + 'b', '')",
        "'a'.repeat(5e5).indexOf({toString: function () { return 'a'.repeat(2.5e5) + 'b' }})",
        "String.prototype.split.call({length: 1, toString: function () { return 'a'.repeat(5e5) }}, 'a'.repeat(2.5e5) + 'b')",
    ] {
        let refused = CallOutcome::Failed("RangeError: too long for this function".into());
        assert_eq!(stopped(1, body), refused, "{body}");
    }
    for body in [
        "var s = 'a'.repeat(3e5); for (;;) try { JSON.stringify(s) } catch (e) { }",
        "var s = 'a'.repeat(5e5); for (;;) try { s.indexOf('b') } catch (e) { }",
        "var a = []; for (i = 0; i < 2e4; i++) a.push(i); for (;;) a.join()",
        "var o = {}; for (i = 0; i < 1e3; i++) o['k' + i] = 1; for (;;) Object.keys(o)",
        "[].concat(new Array(4e9))",
        "var o = new Array(4e9); o[Symbol.isConcatSpreadable] = true; [].concat(o)",
        "var a = [], b = []; Object.defineProperty(a, 'constructor', {get: function () { b.length = 4e9 }}); b = new Array(4e9); a.concat(b)",
        "[new Array(4e9)].flat()",
        "new Array(4e9).flatMap(String)",
        "var a = new Array(5e4); for (;;) try { a.fill(0) } catch (e) { }",
        "var s = 'ab'.repeat(2e5); for (;;) try { s.toUpperCase() } catch (e) { }",
        "var s = ' '.repeat(5e5); for (;;) try { s.trim() } catch (e) { }",
        "var s = 'a'.repeat(5e5), t = s + 'b'; for (;;) try { t.startsWith(s) } catch (e) { }",
        "var s = 'a'.repeat(4e5), t = s + 'b'; for (;;) try { t.localeCompare(s + 'c') } catch (e) { }",
        "var s = 'a'.repeat(5e5), m = new Map; for (;;) try { m.get(s) } catch (e) { }",
        "var s = 'a'.repeat(5e5), m = new Set; for (;;) try { m.has(s) } catch (e) { }",
        "var o = {}; for (i = 0; i < 1e3; i++) o['k' + i] = 1; for (;;) try { ({...o}) } catch (e) { }",
    ] {
        assert_eq!(stopped(1000, body), TIME, "{body}");
    }
    assert_eq!(
        result(
            "return [[3, 1, 2].sort().concat([4], 5).reverse().join('-'), 'a-b'.split('-'), 'aba'.replace('a', 'c').indexOf('a'), JSON.parse(JSON.stringify({a: [1]})), [].slice.call({length: 1, 0: 'x'})]"
        ),
        "['5-4-3-2-1',['a','b'],2,{a:[1]},['x']]"
    );
    assert_eq!(
        result(
            "return [[1, [2, [3]]].flat(), [1, [2, [3]]].flat(Infinity), [1, 2].flatMap(function (x) { return [x, x] }), [1].concat('a', [[2]]), ['a', , 'b'].concat([]).length, 'a,b'.split(/,/), 'a-b'.split(), 'x1'.replace(/\\d/, function (d) { return d + d }), 'abc'.indexOf('c'), [1, 2].toLocaleString(), (function () { return [].slice.call(arguments, 1) })(1, 2), application.clients.slice().length, /b+/.exec('abb')[0], [3, 4].includes(4)]"
        ),
        "[[1,2,[3]],[1,2,3],[1,1,2,2],[1,'a',[2]],3,['a','b'],['a-b'],'x11',2,'1,2',[2],1,'bb',true]"
    );
}

#[test]
fn endless_recursion_is_an_error_that_the_script_may_catch() {
    for body in [
        "function g() { g() } g()",
        "var o = {get x() { return o.x }}; return o.x",
        "function g() { return [1].map(g) } g()",
        "var o = {toString: function () { return '' + o }}; return '' + o",
        "this.f()",
        "var a = []; for (var i = 0; i < 1e4; i++) a = [a]; return JSON.stringify(a)",
        "eval(new Array(1e4).join('('))",
        "new RegExp(new Array(1e4).join('('))",
    ] {
        let outcome = stopped(100, body);
        let is_syntax = matches!(&outcome, CallOutcome::Failed(text) if text.starts_with("SyntaxError"));
        assert!(outcome == CallOutcome::Stopped(Exhausted::Stack) || is_syntax, "{body}: {outcome:?}");
    }
    assert_eq!(result("function g() { g() } try { g() } catch (e) { return e.name }"), "'RangeError'");
}

#[test]
fn no_script_asks_for_more_than_one_call_may() {
    for body in [
        "for (;;) this.call('x')",
        "for (;;) try { this.ping() } catch (e) { }",
        "var s = 'x'.repeat(60000); for (;;) this.call('x', null, s)",
        "var s = Stream.get('s'), t = 'x'.repeat(60000); for (;;) try { s.send(t) } catch (e) { }",
    ] {
        assert_eq!(stopped(100, body), CallOutcome::Stopped(Exhausted::Actions), "{body}");
    }
}

#[test]
fn every_handler_may_throw_and_the_instance_goes_on() {
    let text = "function bad() { throw new Error('bad') }
        application.onStatus = application.onDisconnect = application.onPublish = application.onUnpublish = application.onAppStop = application.onAppStart = bad;
        application.onConnect = function (client, wait) { if (wait) bad(); return true };
        Client.prototype.f = bad; setInterval(bad, 10); Promise.reject(new Error('nobody'));
        Client.prototype.ok = function () { return 1 };
        Stream.get('s').onStatus = bad";
    let mut stage = Stage::accepted(text);
    let facts = StreamFacts { name: "s", publish_query_string: "", kind: "live" };
    for _ in 0..200 {
        assert_eq!(stage.connect(YOU, &[1, 1]), Err(CallFault::Thrown));
        assert_eq!(stage.scripts.disconnect(stage.id, YOU, NOW), Ok(()));
        assert_eq!(stage.connect(YOU, &[]), Ok(()));
        assert_eq!(stage.scripts.publish(stage.id, YOU, &facts, NOW), Err(CallFault::Thrown));
        assert_eq!(stage.scripts.unpublish(stage.id, YOU, &facts, NOW), Err(CallFault::Thrown));
        assert_eq!(stage.scripts.disconnect(stage.id, YOU, NOW), Err(CallFault::Thrown));
        assert_eq!(stage.call("f", &[]), CallOutcome::Failed("Error: bad".into()));
        assert_eq!(stage.scripts.tick(NOW + 10), None);
        assert_eq!(stage.scripts.stopping(stage.id, StopReason::Idle, NOW), Ok(true));
        stage.actions();
    }
    assert_eq!(stage.call("ok", &[]), CallOutcome::Result(amf(|encoder| encoder.number(1.0).unwrap())));
}

#[test]
fn the_same_events_at_the_same_times_give_the_same_actions() {
    let run = || {
        let mut stage = Stage::new(
            "var n = 0; setInterval(function () { application.broadcastMsg('tick', ++n, Object.keys({b: 1, a: 2})) }, 30);
             application.onConnect = function (client, name) { client.name = name; application.broadcastMsg('joined', name); return true };
             application.onDisconnect = function (client) { application.broadcastMsg('left', client.name) }",
        );
        let mut seen = Vec::new();
        for ms in 0..300 {
            if ms % 7 == 0 {
                stage.scripts.connect(stage.id, ClientId(ms), &facts(), &strings(&["x"]), NOW + ms).unwrap();
            }
            if ms % 31 == 0 && ms > 0 {
                let _ = stage.scripts.disconnect(stage.id, ClientId(ms / 31 * 7), NOW + ms);
            }
            assert_eq!(stage.scripts.tick(NOW + ms), None);
            seen.extend(stage.actions());
        }
        seen
    };
    assert_eq!(run(), run());
    assert!(run().len() > 100);
}

mod values {
    //! AMF values on their way to a script and back.

    use proptest::prelude::*;

    use super::*;

    /// The value that comes back from a method which returns what it is given, and what the script sees of it.
    fn there_and_back(stage: &mut Stage, bytes: &[u8]) -> String {
        match stage.call("same", bytes) {
            CallOutcome::Result(bytes) => show(&bytes),
            outcome => format!("{outcome:?}"),
        }
    }

    fn stage() -> Stage {
        Stage::accepted(
            "Client.prototype.same = function (v) { return v };
             Client.prototype.sees = function (v) { return [typeof v, Object.prototype.toString.call(v), String(v)].join(' ') }",
        )
    }

    #[test]
    fn every_type_of_amf_reaches_the_script_and_comes_back() {
        let mut stage = stage();
        for (bytes, same, sees) in [
            (&b"\x00\x3F\xF8\0\0\0\0\0\0"[..], "1.5", "number [object Number] 1.5"),
            (b"\x01\x01", "true", "boolean [object Boolean] true"),
            (b"\x02\0\x02\xC3\xA4", "'ä'", "string [object String] ä"),
            (b"\x02\0\x01\xFF", "'\u{FFFD}'", "string [object String] \u{FFFD}"),
            (b"\x03\0\x01a\x05\0\0\x09", "{a:null}", "object [object Object] [object Object]"),
            (b"\x05", "null", "object [object Null] null"),
            (b"\x06", "null", "undefined [object Undefined] undefined"),
            (
                b"\x0A\0\0\0\x02\x03\0\0\x09\x07\0\x01",
                "[{},@1]",
                "object [object Array] [object Object],[object Object]",
            ),
            (b"\x08\0\0\0\x09\0\x01a\x01\0\0\x010\x05\0\0\x09", "ecma[0:null,a:false]", "object [object Array] "),
            (b"\x0A\0\0\0\x01\x05", "[null]", "object [object Array] "),
            (b"\x0B\x42\x77\x44\x47\xB2\0\0\0\0\x3C", "date(1598876753920)", "object [object Date]"),
            (b"\x0C\0\0\0\x01x", "'x'", "string [object String] x"),
            (b"\x0D", "null", "undefined [object Undefined] undefined"),
            (b"\x0F\0\0\0\x04<a/>", "'<a/>'", "string [object String] <a/>"),
            (b"\x10\0\x01C\0\x01a\x01\x01\0\0\x09", "{a:true}", "object [object Object] [object Object]"),
            (b"\x11\x00", "null", "undefined [object Undefined] undefined"),
            (b"\x11\x01", "null", "object [object Null] null"),
            (b"\x11\x03", "true", "boolean [object Boolean] true"),
            (b"\x11\x04\xFF\xFF\xFF\xFF", "-1", "number [object Number] -1"),
            (b"\x11\x05\x3F\xF8\0\0\0\0\0\0", "1.5", "number [object Number] 1.5"),
            (b"\x11\x06\x03x", "'x'", "string [object String] x"),
            (b"\x11\x07\x09<a/>", "'<a/>'", "string [object String] <a/>"),
            (b"\x11\x0B\x09<a/>", "'<a/>'", "string [object String] <a/>"),
            (b"\x11\x08\x01\x42\x77\x44\x47\xB2\0\0\0", "date(1598876753920)", "object [object Date]"),
            (b"\x11\x09\x05\x01\x04\x01\x04\x02", "[1,2]", "object [object Array] 1,2"),
            (b"\x11\x09\x03\x03a\x04\x05\x01\x04\x01", "ecma[0:1,a:5]", "object [object Array] 1"),
            (b"\x11\x0A\x23\x0BPoint\x03x\x03y\x04\x01\x04\x02", "{x:1,y:2}", "object [object Object] [object Object]"),
            (b"\x11\x0C\x05\x01\xFF", "[1,255]", "object [object Array] 1,255"),
            (b"\x11\x0D\x03\0\xFF\xFF\xFF\xFF", "[-1]", "object [object Array] -1"),
            (b"\x11\x0E\x03\0\xFF\xFF\xFF\xFF", "[4294967295]", "object [object Array] 4294967295"),
            (b"\x11\x11\x03\0\x06\x03k\x04\x01", "{k:1}", "object [object Object] [object Object]"),
            (b"\x11\x09\x05\x01\x09\x01\x01\x09\x02", "[[],[[],[]]]", ""),
        ] {
            if !sees.is_empty() {
                assert_eq!(there_and_back(&mut stage, bytes), same, "{bytes:02X?}");
                let CallOutcome::Result(seen) = stage.call("sees", bytes) else { panic!("{bytes:02X?}") };
                assert!(show(&seen).starts_with(&format!("'{sees}")), "{} for {sees}", show(&seen));
            }
        }
        // Values that contain themselves, stand for too many, or refer to nothing.
        for bytes in [&b"\x07\0\x05"[..], b"\x11\x09\x03\x01\x09\x00", b"\x03\0\x01a"] {
            assert_eq!(there_and_back(&mut stage, bytes), "Failed(\"The arguments are malformed.\")", "{bytes:02X?}");
        }
        // Those of AMF 0 come back as they were.
        for bytes in [
            &b"\x03\0\x01a\x07\0\0\0\0\x09"[..],
            b"\x0A\0\0\0\x03\x03\0\0\x09\x07\0\x01\x07\0\0",
            b"\x08\0\0\0\x01\0\x01a\x0A\0\0\0\x02\x07\0\0\x07\0\x01\0\0\x09",
        ] {
            assert_eq!(stage.call("same", bytes), CallOutcome::Result(bytes.to_vec()), "{bytes:02X?}");
        }
        // A member's name is only a name.
        assert_eq!(
            there_and_back(&mut stage, b"\x03\0\x09__proto__\x05\0\x08toString\x05\0\0\x09"),
            "{__proto__:null,toString:null}"
        );
    }

    #[test]
    fn what_a_script_makes_is_sent_as_what_every_client_reads() {
        for (body, sent) in [
            ("", "null"),
            ("return {a: undefined, f: function () { }, s: Symbol()}", "{a:null,s:null}"),
            ("return [1,,3]", "[1,null,3]"),
            ("var a = [1]; a.name = 'x'; return a", "ecma[0:1,name:'x']"),
            ("return 'a\\uD800b'", "'a\u{FFFD}b'"),
            ("var o = {}; o['\\uD800'] = 1; return o", "{\u{FFFD}:1}"),
            (
                "return [-0, 1e308, 2147483648, true, null]",
                "[-0,inf,2147483648,true,null]".replace("inf", &1e308.to_string()).leak(),
            ),
            ("return new Date(5)", "date(5)"),
            ("return Promise.resolve([1])", "[1]"),
            ("return new Promise(function () { })", "Failed(\"The method did not answer at once.\")"),
            ("return (async function () { throw new Error('no') })()", "Failed(\"Error: no\")"),
            ("return new Map", "{}"),
            ("return function () { }", "null"),
            (
                "var room = {name: 'hall', people: []}; room.people.push({name: 'ann', room: room}); return room",
                "{name:'hall',people:[{name:'ann',room:@0}]}",
            ),
            ("var point = {x: 1}; return {from: point, to: point}", "{from:{x:1},to:@1}"),
            ("var list = [1]; list.name = list; return [list, {}, list, {}]", "[ecma[0:1,name:@1],{},@1,{}]"),
            ("var at = new Date(5); return [at, at]", "[date(5),date(5)]"),
        ] {
            assert_eq!(result(body), sent, "{body}");
        }
        for (body, error) in [
            ("var o = {}; for (var i = 0; i < 100; i++) o = {o: o}; return o", "nested deeper"),
            ("return {get x() { return {get x() { return this.f.f.f } } } }", "TypeError"),
            ("return 'x'.repeat(70000)", "too long"),
            ("return new Array(1e6)", "too long"),
            ("var a = []; a.length = 2147483648; return {a: a}", "too long"),
            ("return new Array(4294967295)", "too long"),
            ("return {get x() { throw new Error('getter') }}", "getter"),
        ] {
            assert!(result(body).contains(error), "{body}: {}", result(body));
        }
        assert_eq!(result("return 'x'.repeat(65530)").len(), 65532);
    }

    fn tree() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            any::<f64>()
                .prop_map(|number| if number.is_nan() { f64::NAN } else { number })
                .prop_map(|number| amf(|encoder| encoder.number(number).unwrap())),
            any::<bool>().prop_map(|value| amf(|encoder| encoder.boolean(value).unwrap())),
            "\\PC{0,9}".prop_map(|text| amf(|encoder| encoder.string(&text).unwrap())),
            Just(vec![5]),
            (0_u32..2_000_000_000).prop_map(|ms| amf(|encoder| encoder.date(ms.into()).unwrap())),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            // Names that are numbers would be sorted, and the same name twice is one member.
            let members = |least| prop::collection::btree_map("[a-zA-Z_\u{e4} ]{1,5}", inner.clone(), least..4);
            let object = |marker: Vec<u8>, members: std::collections::BTreeMap<String, Vec<u8>>| {
                let mut bytes = marker;
                for (name, value) in members {
                    bytes.extend((name.len() as u16).to_be_bytes());
                    bytes.extend(name.bytes());
                    bytes.extend(value);
                }
                bytes.extend([0, 0, 9]);
                bytes
            };
            prop_oneof![
                members(0).prop_map(move |members| object(vec![3], members)),
                members(1).prop_map(move |members| {
                    let mut marker = vec![8];
                    marker.extend((members.len() as u32).to_be_bytes());
                    object(marker, members)
                }),
                prop::collection::vec(inner, 0..4).prop_map(|elements| {
                    let mut bytes = vec![10];
                    bytes.extend((elements.len() as u32).to_be_bytes());
                    elements.iter().for_each(|element| bytes.extend(element));
                    bytes
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn what_a_client_sends_comes_back_as_it_was(trees in prop::collection::vec(tree(), 1..8)) {
            let mut stage = stage();
            for bytes in trees {
                prop_assert_eq!(stage.call("same", &bytes), CallOutcome::Result(bytes));
            }
        }

        #[test]
        fn no_bytes_of_a_client_harm_the_instance(
            messages in prop::collection::vec(prop::collection::vec(prop_oneof![6 => 0..0x12_u8, 1 => any::<u8>()], 0..100), 1..20),
        ) {
            let mut stage = stage();
            for bytes in &messages {
                let outcome = stage.call("same", bytes);
                prop_assert!(matches!(outcome, CallOutcome::Result(_) | CallOutcome::Failed(_)), "{:?}", outcome);
            }
            prop_assert_eq!(stage.call("same", &[1, 1]), CallOutcome::Result(vec![1, 1]));
        }
    }
}

mod log_lines {
    //! What scripts write into the log.

    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    }

    /// Keeps the lines of threads that ask for them.
    struct Keeper;

    impl log::Log for Keeper {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.push(record.args().to_string())));
        }

        fn flush(&self) {}
    }

    fn lines(work: impl FnOnce()) -> Vec<String> {
        // Another test may have set it already.
        if log::set_logger(&Keeper).is_ok() {
            log::set_max_level(log::LevelFilter::Info);
        }
        LINES.set(Some(Vec::new()));
        work();
        LINES.take().unwrap()
    }

    #[test]
    fn what_clients_say_stays_on_one_bounded_line() {
        let mut stage = Stage::accepted(
            "Client.prototype.say = function (text) { trace(text, this) }; Client.prototype.f = function (text) { throw new Error(text) }",
        );
        let evil = format!("hi\r\nlevel=error \u{1B}[31m\u{2028}{}", "ä".repeat(2000));
        let found = lines(|| {
            stage.call("say", &strings(&[&evil]));
            stage.call("f", &strings(&["a\nb"]));
        });
        assert_eq!(found.len(), 2);
        assert!(
            found[0].starts_with("script chat/_definst_ trace=\"hi\\r\\nlevel=error \\u{1b}[31m\\u{2028}ä"),
            "{}",
            found[0]
        );
        assert!(found[0].len() < SCRIPT_TRACE_BYTES + 100);
        assert_eq!(found[1], "script chat/_definst_ file=\"main.asc\" line=1 error=\"Error: a\\\\nb\"");
        assert!(found.iter().all(|line| !line.chars().any(char::is_control)));
    }

    #[test]
    fn a_loop_does_not_flood_the_log_and_the_rest_is_counted() {
        let mut stage = Stage::accepted(
            "Client.prototype.f = function () { for (var i = 0; i < 1000; i++) trace(i) }; Client.prototype.bad = function () { none() }",
        );
        let found = lines(|| {
            stage.f();
            stage.scripts.call(stage.id, ME, "bad", &[], NOW + 2000);
            for _ in 0..50 {
                stage.scripts.call(stage.id, ME, "bad", &[], NOW + 2500);
            }
            stage.scripts.call(stage.id, ME, "bad", &[], NOW + 4000);
        });
        let error = "script chat/_definst_ file=\"main.asc\" line=1 error=\"ReferenceError: none is not defined\"";
        assert_eq!(found.len(), SCRIPT_LINES_PER_SECOND as usize + 4);
        assert_eq!(
            found[SCRIPT_LINES_PER_SECOND as usize..],
            [
                "script chat/_definst_ lines_left_out=980 error_repeated=0",
                error,
                "script chat/_definst_ lines_left_out=0 error_repeated=50",
                error,
            ]
        );
    }

    #[test]
    fn what_a_script_mentions_that_is_missing_is_told_when_it_is_loaded() {
        let found = lines(|| {
            Stage::new("var a = 1;\nfunction f() { new XML; new XML }\nfunction g(c) { c.farID; Stream.length('x') }");
        });
        let line = |line: u32, name: &str| {
            format!("script chat/_definst_ file=\"main.asc\" line={line} missing=\"{name}\": what uses it fails")
        };
        assert_eq!(found, [line(2, "XML"), line(3, "Client.farID")]);
    }

    #[test]
    fn a_stopped_script_is_logged_once_with_its_place() {
        let mut stage = Stage::accepted("Client.prototype.f = function () {\n var a;\n for (;;) Math.abs(a)\n}");
        let found = lines(|| {
            STEP.set(13_000);
            assert_eq!(stage.call("f", &[]), TIME);
            assert_eq!(stage.call("f", &[]), TIME);
            STEP.set(1);
        });
        assert_eq!(found, ["script chat/_definst_ file=\"main.asc\" line=3 error=\"time limit exceeded\" stopped=yes"]);
    }
}

/// What is wrong with a script whose text is all that is looked at.
fn wrong(source: &Source) -> Result<(), String> {
    check(source, Budget::default()).map_err(|error| error.to_string())
}

/// Loading ends with the same.
fn wrong_as_loaded(source: &Source) -> Result<(), String> {
    let found = wrong(source);
    assert_eq!(Stage::try_load(source).map(drop).map_err(|error| error.to_string()), found);
    found
}

#[test]
fn a_check_finds_what_loading_would_with_file_and_line_and_runs_nothing() {
    assert_eq!(wrong_as_loaded(&source("")), Ok(()));
    let syntax = "main.asc:2: SyntaxError: unexpected token in expression: ';'";
    assert_eq!(wrong_as_loaded(&source("var a;\nvar b = ;\n")).unwrap_err(), syntax);
    assert_eq!(wrong_as_loaded(&source("\u{FEFF}var a;\r\nvar b = ;\r\n")).unwrap_err(), syntax);
    let error = wrong_as_loaded(&source("application.onConnect = function (\n")).unwrap_err();
    assert!(error.starts_with("main.asc:2: SyntaxError: "), "{error}");
    let error = wrong_as_loaded(&source("'use strict';\nvar a;\n\ndelete a;")).unwrap_err();
    assert!(error.starts_with("main.asc:4: SyntaxError: "), "{error}");
    assert_eq!(
        wrong_as_loaded(&source("var a = 1;\nvar b = 2n;\n")).unwrap_err(),
        "main.asc:2: BigInt is not available in this server"
    );
    // What is wrong only as it runs is told when it runs; that a script never ends is no matter of its text.
    assert_eq!(wrong(&source("with (Math) { sqrt(nothing); }\nthrow 7;")), Ok(()));
    assert_eq!(wrong(&source("application.shutdown(); while (true) { }")), Ok(()));
}

#[test]
fn a_check_reads_secure_asc_and_what_is_loaded_by_name_and_no_more() {
    let main = file("main.asc", "load(\"a.asc\");\nif (application.x) load('b.js');\nload(which);\n");
    let whole = Source {
        secure: Some(file("secure.asc", "var s;")),
        main,
        others: vec![
            file("a.asc", "load('main.asc');"),
            file("b.js", "load('c.js')"),
            file("c.js", ""),
            file("d.js", "{"),
        ],
    };
    assert_eq!(wrong(&whole), Ok(()));
    let broken = |name: &str| {
        let mut source = whole.clone();
        let files = source.secure.iter_mut().chain(&mut source.others);
        files.filter(|file| file.name == name).for_each(|file| file.text.push_str("\n}"));
        wrong(&source)
    };
    for name in ["secure.asc", "a.asc", "b.js", "c.js"] {
        assert_eq!(broken(name).unwrap_err(), format!("{name}:2: SyntaxError: unexpected token in expression: '}}'"));
    }
    assert_eq!(broken("d.js"), Ok(()));
}

#[test]
fn no_text_is_too_much_for_the_thread_that_checks_it() {
    let most = crate::limits::SCRIPT_TEXT_BYTES;
    // As long as can be, where looking ahead could take for ever; the others are deep enough by far.
    let long = ["(", "a(", "function(", "catch("].map(|part| part.repeat(most / part.len()));
    let deep = [
        "[",
        "{",
        "a[",
        "!",
        "-",
        "({a:",
        "x=>",
        "a?",
        "a?b:",
        "if(a)",
        "else if",
        "`${",
        "new ",
        "a=>{",
        "for(;;)",
        "x:",
        "async ",
        "[...",
        "{a:{",
        "/(?:(",
        "function a(){",
        "class a{b(){",
    ]
    .map(|part| part.repeat(most / 16 / part.len()));
    let expressions = ["(", "(?:", "(?=", "(?<=", "[", "a|(", "a{2}", "(a*"];
    let expressions = expressions.map(|part| format!("/{}/", part.repeat(most / 16 / part.len())));
    let closed = [("(", ")"), ("[", "]"), ("{", "}"), ("if(a){}else ", "")].map(|(open, close)| {
        let count = most / 32 / open.len();
        format!("{}{}", open.repeat(count), close.repeat(count))
    });
    // Less room than the disk's thread has.
    let thread = std::thread::Builder::new().stack_size(CHECK_STACK_BYTES as usize + 64 * 1024);
    let checks = thread.spawn(move || {
        for text in long.iter().chain(&deep).chain(&expressions).chain(&closed) {
            // Some of it is JavaScript.
            let error = wrong(&source(text)).err().unwrap_or("main.asc:".to_owned());
            assert!(error.starts_with("main.asc:") && error.len() < 400, "{}: {error}", &text[..20]);
        }
    });
    checks.unwrap().join().unwrap();
    assert_eq!(wrong(&source(&"(".repeat(most))).unwrap_err(), "main.asc: stack limit exceeded");
}

#[test]
fn a_zero_byte_is_told_with_its_line() {
    for text in ["\0", "\n\0", "var a;\n\n\"a\0b\";\n\0", "// \0"] {
        let line = 1 + text.split('\0').next().unwrap().matches('\n').count();
        assert_eq!(wrong_as_loaded(&source(text)).unwrap_err(), format!("main.asc:{line}: SyntaxError: a zero byte"));
    }
}

#[test]
fn what_is_only_too_much_for_the_check_is_not_called_wrong() {
    let deep = source(&format!("var a = {}1{};", "(".repeat(5000), ")".repeat(5000)));
    assert_eq!(wrong(&deep).unwrap_err(), "main.asc: stack limit exceeded");
    let roomy = Budget { stack_bytes: 1024 * 1024, memory_bytes: 64 * 1024 * 1024, ..Budget::default() };
    assert_eq!(check(&deep, roomy), Ok(()));
    let large = source(&"function a(b) { return b + 1; }\n".repeat(8000));
    let small = Budget { memory_bytes: SCRIPT_CHECK_BYTES as u64, ..roomy };
    assert_eq!(check(&large, small).unwrap_err().to_string(), "main.asc: memory limit exceeded");
    assert_eq!(check(&large, roomy), Ok(()));
}

//! What a script may do, and what it may not.

use std::cell::Cell;

use super::*;
use crate::time::Millis;
use crate::wire::amf0::{self, Encoder};
use crate::wire::bytes::Writer;

thread_local! {
    /// The clock of the time limit, in microseconds: every look at it takes as long as [`STEP`] says.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static STEP: Cell<u64> = const { Cell::new(1) };
}

fn clock() -> u64 {
    CLOCK.set(CLOCK.get() + STEP.get());
    CLOCK.get()
}

const NOW: Millis = Millis(1000);
const ME: ClientId = ClientId(7);
const YOU: ClientId = ClientId(8);

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

fn source(text: &str) -> Source {
    Source { secure: None, main: file("main.asc", text), others: Vec::new() }
}

fn identity() -> Identity<'static> {
    Identity {
        app: "chat",
        instance: "_definst_",
        hostname: "_defaultVHost_",
        server: "Rill/0.1.0 LNX",
        config_json: r#"{"rooms":["a","b"],"limit":3}"#,
    }
}

fn facts() -> ClientFacts<'static> {
    ClientFacts {
        ip: "10.0.0.5",
        agent: "WIN 9,0,45,0",
        referrer: "http://x/y.swf",
        page_url: "http://x/",
        uri: "rtmp://host/chat",
        id: "c7.2",
        protocol: "rtmp",
        secure: false,
    }
}

/// A loaded script and what it has asked for.
struct Stage {
    scripts: Scripts,
    id: InstanceId,
}

impl Stage {
    fn try_load(source: &Source) -> Result<Stage, LoadError> {
        let mut scripts = Scripts::new(2, clock);
        let id = scripts.load(source, &identity(), Budget::default(), NOW)?;
        Ok(Stage { scripts, id })
    }

    fn new(text: &str) -> Stage {
        Self::try_load(&source(text)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn connect(&mut self, client: ClientId, arguments: &[u8]) -> Result<(), Fault> {
        self.scripts.connect(self.id, client, &facts(), arguments, NOW)
    }

    fn actions(&mut self) -> Vec<Action> {
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
        assert!(stage.actions().contains(&Action::Accept(ME)), "not accepted");
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

fn reject(client: ClientId) -> Action {
    Action::Reject { client, description: None, application: None, redirect: None }
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
    assert_eq!(decide(""), [Action::Accept(ME)]);
    assert_eq!(decide("application.onConnect = function (c, name) { return name == 'bob' }"), [Action::Accept(ME)]);
    assert_eq!(decide("application.onConnect = function (c, name) { return name != 'bob' }"), [reject(ME)]);
    assert_eq!(
        decide("application.onConnect = function (c) { application.acceptConnection(c); return false }"),
        [Action::Accept(ME)]
    );
    assert_eq!(decide("application.onConnect = function () { }"), []);
    assert_eq!(decide("application.onConnect = function () { return null }"), []);
    assert_eq!(decide("application.onConnect = function () { return 1 }"), [Action::Accept(ME)]);
    assert_eq!(decide("application.onConnect = function () { return '' }"), [reject(ME)]);
    assert_eq!(decide("application.onConnect = async function () { await null; return true }"), [Action::Accept(ME)]);
}

#[test]
fn a_client_calls_methods_of_the_script_by_name() {
    assert_eq!(result("return 'hello ' + this.ip"), "'hello 10.0.0.5'");
}

//! ActionScript's `NetConnection` without its socket: `connect`, net status events, and calls in both directions
//! (RTMP 1.0, section 7.2.1).

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

use crate::client::line::ClientLine;
use crate::client::send;
use crate::rtmp::chunk_reader::Lane;
use crate::rtmp::outbound::{OutboundError, OutboundEvent, command_values};
use crate::wire::amf0::{Decoder, Encoder};
use crate::wire::bytes::Full;
use crate::wire::chunk::MessageHeader;

use super::json;

const CONNECT: u32 = 1;
/// Bytes kept of a command; more are dropped. What a server measures bandwidth with is longer.
const COMMAND_BYTES: usize = 64 * 1024;

/// What to say to the server.
#[derive(Clone, Debug, Default)]
pub struct ConnectRequest {
    /// `app`: application, instance and query.
    pub app: String,
    /// `tcUrl`: the whole URL.
    pub tc_url: String,
    /// `flashVer`.
    pub flash_ver: String,
    /// `pageUrl`.
    pub page_url: Option<String>,
    /// `swfUrl`.
    pub swf_url: Option<String>,
    /// `objectEncoding`: 0 or 3.
    pub object_encoding: u8,
    /// What follows the connect object.
    pub arguments: Vec<Json>,
    /// Methods to call once connected, one after the other.
    pub calls: Vec<(String, Vec<Json>)>,
    /// What to answer when the server calls these names.
    pub answers: Vec<(String, Json)>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// A net status event.
    Status(NetStatus),
    /// The server called a method.
    Called {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<Json>,
        /// What it was answered, or why not; `None` when no answer was wanted.
        answer: Option<Result<Json, String>>,
    },
    /// The result of one of our calls.
    Result(Json),
    /// Nothing is left to ask.
    Done,
    /// The server said `close`.
    CloseAsked,
}

/// A net status event: the information object that a server sends, or one that a client makes itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetStatus {
    /// `status`, `warning` or `error`.
    pub level: String,
    /// The dotted code.
    pub code: String,
    /// Text for a person.
    pub description: Option<String>,
    /// Everything else in it, by name.
    pub others: Vec<(String, Json)>,
}

/// What the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The handshake's answer.
    Handshake,
    /// The answer to `connect`: a script may take its time.
    Connect,
    /// The answer to the call with this transaction id.
    Call(u32),
    /// Nothing: what comes now comes by itself.
    Nothing,
}

/// Why the connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server does not speak RTMP.
    Session(OutboundError),
    /// It sent a command that is none.
    Command,
    /// Something to send is longer than commands may be.
    TooLong,
}

/// See the module's documentation.
pub struct NetConnection {
    line: ClientLine,
    /// Long commands that are being received.
    long: Vec<(Lane, MessageHeader, Vec<u8>)>,
    request: ConnectRequest,
    waiting: Waiting,
    connected: bool,
    /// Commands go in the envelope of AMF 3.
    amf3: bool,
    next_call: usize,
    next_transaction: u32,
    bandwidth_checks: u32,
    events: VecDeque<ClientEvent>,
}

impl NetConnection {
    /// A connection that begins; what is to be sent first is appended to `out`.
    pub fn new(request: ConnectRequest, seed: u64, out: &mut Vec<u8>) -> NetConnection {
        NetConnection {
            line: ClientLine::new(seed, out),
            long: Vec::new(),
            request,
            waiting: Waiting::Handshake,
            connected: false,
            amf3: false,
            next_call: 0,
            next_transaction: CONNECT + 1,
            bandwidth_checks: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes `input` whole and appends answers to `out`. Take the events until there is none after each call, also when
    /// it failed.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub fn receive(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        while let Some(event) = self.line.next(&mut input, out).map_err(Failure::Session)? {
            match event {
                OutboundEvent::Open => self.connect(out)?,
                OutboundEvent::Command => {
                    let (stream_id, values) = self.line.session().command();
                    // What comes of it is said by the line that it stands in.
                    let values = values.to_vec();
                    self.command(stream_id, &values, out)?;
                }
                OutboundEvent::LongCommand(lane, header) => self.long.push((lane, header, Vec::new())),
                OutboundEvent::MediaData(lane, bytes) => {
                    if let Some((.., body)) = self.long.iter_mut().find(|long| long.0 == lane) {
                        let room = COMMAND_BYTES - body.len();
                        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                }
                OutboundEvent::MediaEnd(lane) => {
                    if let Some((_, header, body)) = self.take_long(lane) {
                        self.command(header.stream_id, command_values(header.type_id, &body), out)?;
                    }
                }
                OutboundEvent::MediaAbort(lane) => drop(self.take_long(lane)),
                // Nothing is played, so this is a server's mistake that does no harm.
                OutboundEvent::MediaBegin { .. } | OutboundEvent::Data(_) => {}
            }
        }
        Ok(())
    }

    fn take_long(&mut self, lane: Lane) -> Option<(Lane, MessageHeader, Vec<u8>)> {
        let at = self.long.iter().position(|long| long.0 == lane)?;
        Some(self.long.swap_remove(at))
    }

    /// What happened, oldest first.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        let event = self.events.pop_front()?;
        // The events before this one were about a connection that stood as it stood then.
        if let ClientEvent::Status(status) = &event {
            match status.code.as_str() {
                "NetConnection.Connect.Success" => self.connected = true,
                code if code.starts_with("NetConnection.Connect.") && status.level == "error" => self.connected = false,
                _ => {}
            }
        }
        Some(event)
    }

    /// `nc.connected` as of the last event taken.
    pub fn connected(&self) -> bool {
        self.connected
    }

    /// What it waits for. One deadline a value.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// The call that is waited for will not be answered: it fails, and the next one begins.
    ///
    /// # Errors
    ///
    /// As [`NetConnection::receive`].
    pub fn give_up_call(&mut self, reason: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.events.push_back(ClientEvent::Status(NetStatus::error("NetConnection.Call.Failed", reason)));
        self.call_next(out)
    }

    fn connect(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let request = &self.request;
        send::chunk_size(out);
        send::command(out, 0, "connect", f64::from(CONNECT), |amf| {
            amf.object_begin()?;
            amf.property_string("app", &request.app)?;
            amf.property_string("flashVer", &request.flash_ver)?;
            for (key, value) in [("swfUrl", &request.swf_url), ("pageUrl", &request.page_url)] {
                if let Some(value) = value {
                    amf.property_string(key, value)?;
                }
            }
            amf.property_string("tcUrl", &request.tc_url)?;
            amf.property_boolean("fpad", false)?;
            // What Flash Player says: every codec it had.
            amf.property_number("capabilities", 239.0)?;
            amf.property_number("audioCodecs", 3575.0)?;
            amf.property_number("videoCodecs", 252.0)?;
            amf.property_number("videoFunction", 1.0)?;
            amf.property_number("objectEncoding", f64::from(request.object_encoding))?;
            amf.object_end()?;
            request.arguments.iter().try_for_each(|argument| json::encode(argument, amf))
        })?;
        self.waiting = Waiting::Connect;
        Ok(())
    }

    fn command(&mut self, stream_id: u32, body: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut amf = Decoder::new(body);
        let name = amf.string().map_err(|_| Failure::Command)?;
        // nginx-rtmp is not alone in leaving out what it does not need.
        let transaction = amf.number().unwrap_or(0.0);
        let mut values = json::values(body, amf.position()).into_iter();
        let first = values.next().unwrap_or(Json::Null);
        match name {
            b"_result" | b"_error" => {
                let result = values.next_back().unwrap_or(first);
                self.answered(name == b"_result", transaction, result, out)
            }
            b"onStatus" => {
                let info = values.next_back().unwrap_or(first);
                self.status(stream_id, NetStatus::from_info(info), out)
            }
            b"close" if stream_id == 0 => {
                self.events.push_back(ClientEvent::CloseAsked);
                Ok(())
            }
            _ => self.called(String::from_utf8_lossy(name).into_owned(), transaction, values.collect(), out),
        }
    }

    fn answered(&mut self, good: bool, transaction: f64, result: Json, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self.waiting {
            Waiting::Connect if transaction == f64::from(CONNECT) => {
                let mut status = NetStatus::from_info(result);
                if status.code.is_empty() {
                    // Some servers say nothing, and mean it by the command alone.
                    let code = if good { "NetConnection.Connect.Success" } else { "NetConnection.Connect.Rejected" };
                    (status.code, status.level) = (code.into(), if good { "status" } else { "error" }.into());
                }
                self.status(0, status, out)
            }
            Waiting::Call(waited) if transaction == f64::from(waited) => {
                let own = self.next_call <= self.request.calls.len();
                match (own, good) {
                    (true, true) => self.events.push_back(ClientEvent::Result(result)),
                    (false, true) => {}
                    (_, false) => {
                        let mut status = NetStatus::from_info(result);
                        if status.code.is_empty() {
                            status.code = "NetConnection.Call.Failed".into();
                        }
                        self.events.push_back(ClientEvent::Status(status));
                    }
                }
                self.call_next(out)
            }
            // An answer that comes after it was given up.
            _ => Ok(()),
        }
    }

    /// A status of the connection is the answer to `connect` as well: some servers reject that way.
    fn status(&mut self, stream_id: u32, status: NetStatus, out: &mut Vec<u8>) -> Result<(), Failure> {
        let decides = stream_id == 0
            && self.waiting == Waiting::Connect
            && (status.level == "error" || status.code == "NetConnection.Connect.Success");
        let succeeded = status.code == "NetConnection.Connect.Success";
        if decides && succeeded {
            self.amf3 = status.others.iter().any(|(key, value)| key == "objectEncoding" && *value == json!(3));
        }
        self.events.push_back(ClientEvent::Status(status));
        match (decides, succeeded) {
            (false, _) => Ok(()),
            (true, true) => self.call_next(out),
            (true, false) => {
                self.waiting = Waiting::Nothing;
                Ok(())
            }
        }
    }

    /// The next of the calls; after the last one `createStream`, as every client does that goes on to publish or play. Its
    /// answer comes behind everything that the application did at once.
    fn call_next(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let index = self.next_call;
        if index > self.request.calls.len() {
            self.waiting = Waiting::Nothing;
            self.events.push_back(ClientEvent::Done);
            return Ok(());
        }
        let transaction = self.next_transaction;
        self.next_call += 1;
        self.next_transaction += 1;
        self.waiting = Waiting::Call(transaction);
        let none = ("createStream".to_owned(), Vec::new());
        let (name, arguments) = self.request.calls.get(index).unwrap_or(&none);
        self.send(name, f64::from(transaction), arguments, out)
    }

    fn called(
        &mut self,
        name: String,
        transaction: f64,
        arguments: Vec<Json>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let known = self.request.answers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let answer = known.or_else(|| match name.as_str() {
            // librtmp's spelling, too.
            "onBWCheck" | "_onbwcheck" => {
                self.bandwidth_checks += 1;
                Some(json!(self.bandwidth_checks - 1))
            }
            "onBWDone" | "_onbwdone" => Some(Json::Null),
            _ => None,
        });
        let answer = answer.ok_or_else(|| format!("Method not found ({name})."));
        if transaction != 0.0 {
            match &answer {
                Ok(value) => self.send("_result", transaction, std::slice::from_ref(value), out)?,
                Err(description) => {
                    let info = NetStatus::error("NetConnection.Call.Failed", description).to_info();
                    self.send("_error", transaction, &[info], out)?;
                }
            }
        }
        let is_payload = matches!(name.as_str(), "onBWCheck" | "_onbwcheck");
        let says_nothing = matches!(name.as_str(), "onBWDone" | "_onbwdone") && arguments.is_empty();
        if !is_payload && !says_nothing {
            let answer = (transaction != 0.0).then_some(answer);
            self.events.push_back(ClientEvent::Called { name, arguments, answer });
        }
        Ok(())
    }

    /// A command on the connection: null stands where `connect` has its object.
    fn send(&self, name: &str, transaction: f64, values: &[Json], out: &mut Vec<u8>) -> Result<(), Failure> {
        let body = |amf: &mut Encoder<'_, '_>| {
            amf.null()?;
            values.iter().try_for_each(|value| json::encode(value, amf))
        };
        match self.amf3 {
            false => send::command(out, 0, name, transaction, body)?,
            true => send::command_amf3(out, 0, name, transaction, body)?,
        }
        Ok(())
    }
}

impl NetStatus {
    /// One that the client makes.
    pub fn error(code: &str, description: &str) -> NetStatus {
        NetStatus {
            level: "error".into(),
            code: code.into(),
            description: Some(description.into()),
            others: Vec::new(),
        }
    }

    fn from_info(info: Json) -> NetStatus {
        let mut status = NetStatus::default();
        let Json::Object(members) = info else { return status };
        for (key, value) in members {
            match (key.as_str(), value) {
                ("level", Json::String(level)) => status.level = level,
                ("code", Json::String(code)) => status.code = code,
                ("description", Json::String(description)) => status.description = Some(description),
                (_, value) => status.others.push((key, value)),
            }
        }
        status
    }

    fn to_info(&self) -> Json {
        json!({"level": self.level, "code": self.code, "description": self.description})
    }
}

impl From<Full> for Failure {
    fn from(_: Full) -> Failure {
        Failure::TooLong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HANDSHAKE_BYTES;
    use crate::rtmp::outbound::tests::greeting;

    /// A connection whose handshake is done, and what it has sent since.
    fn opened(request: ConnectRequest) -> (NetConnection, Vec<u8>) {
        let mut out = Vec::new();
        let mut connection = NetConnection::new(request, 1, &mut out);
        out.clear();
        connection.receive(&greeting(), &mut out).unwrap();
        (connection, out.split_off(HANDSHAKE_BYTES))
    }

    fn events(connection: &mut NetConnection) -> Vec<ClientEvent> {
        std::iter::from_fn(|| connection.next_event()).collect()
    }

    /// A command on chunk stream 3, of fewer than 128 bytes.
    fn command(values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![3, 0, 0, 0, 0, 0, values.len() as u8, 20, 0, 0, 0, 0];
        bytes.extend(values);
        bytes
    }

    const SUCCESS: &[u8] = b"\x02\0\x07_result\0\x3F\xF0\0\0\0\0\0\0\x05\
        \x03\0\x05level\x02\0\x06status\0\x04code\x02\0\x1DNetConnection.Connect.Success\0\0\x09";

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn connect_names_the_application_and_is_followed_by_the_arguments() {
        let request = ConnectRequest {
            app: "a/b".into(),
            tc_url: "rtmp://h/a/b".into(),
            arguments: vec![json!("x"), json!(true)],
            ..ConnectRequest::default()
        };
        let (connection, sent) = opened(request);
        assert_eq!(connection.waiting(), Waiting::Connect);
        assert!(sent.starts_with(b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\x10\0\x03\0\0\0"), "chunk size, then a command");
        assert!(contains(&sent, b"\x02\0\x07connect\0\x3F\xF0\0\0\0\0\0\0\x03\0\x03app\x02\0\x03a/b"));
        assert!(contains(&sent, b"\0\x05tcUrl\x02\0\x0Crtmp://h/a/b"));
        assert!(sent.ends_with(b"\0\0\x09\x02\0\x01x\x01\x01"));
    }

    #[test]
    fn after_success_come_the_calls_and_a_stream_in_that_order() {
        let calls = vec![("f".to_owned(), vec![json!(1)]), ("g".to_owned(), vec![])];
        let (mut connection, _) = opened(ConnectRequest { calls, ..ConnectRequest::default() });
        let mut sent = Vec::new();
        connection.receive(&command(SUCCESS), &mut sent).unwrap();
        assert_eq!(sent, command(b"\x02\0\x01f\0\x40\0\0\0\0\0\0\0\x05\0\x3F\xF0\0\0\0\0\0\0"));
        let [ClientEvent::Status(status)] = &events(&mut connection)[..] else { panic!("one event") };
        assert_eq!((status.level.as_str(), status.code.as_str()), ("status", "NetConnection.Connect.Success"));
        assert!(connection.connected());

        sent.clear();
        // The answer to another transaction is not ours.
        connection.receive(&command(b"\x02\0\x07_result\0\x40\x22\0\0\0\0\0\0\x05\x02\0\x01n"), &mut sent).unwrap();
        connection.receive(&command(b"\x02\0\x07_result\0\x40\0\0\0\0\0\0\0\x05\x02\0\x01y"), &mut sent).unwrap();
        assert_eq!(sent, command(b"\x02\0\x01g\0\x40\x08\0\0\0\0\0\0\x05"));
        assert_eq!(events(&mut connection), [ClientEvent::Result(json!("y"))]);

        sent.clear();
        let error =
            b"\x02\0\x06_error\0\x40\x08\0\0\0\0\0\0\x05\x03\0\x04code\x02\0\x01c\0\x0Bdescription\x02\0\x01d\0\0\x09";
        connection.receive(&command(error), &mut sent).unwrap();
        assert_eq!(sent, command(b"\x02\0\x0CcreateStream\0\x40\x10\0\0\0\0\0\0\x05"));
        let mut failed = NetStatus::error("c", "d");
        failed.level.clear();
        assert_eq!(events(&mut connection), [ClientEvent::Status(failed)]);
        connection
            .receive(&command(b"\x02\0\x07_result\0\x40\x10\0\0\0\0\0\0\x05\0\x3F\xF0\0\0\0\0\0\0"), &mut sent)
            .unwrap();
        assert_eq!((events(&mut connection), connection.waiting()), (vec![ClientEvent::Done], Waiting::Nothing));
    }

    #[test]
    fn calls_of_the_server_are_answered_when_it_wants_an_answer() {
        let answers = vec![("sum".to_owned(), json!(3))];
        let (mut connection, _) = opened(ConnectRequest { answers, ..ConnectRequest::default() });
        let mut sent = Vec::new();
        connection.receive(&command(b"\x02\0\x03sum\0\x40\0\0\0\0\0\0\0\x05\x01\x01"), &mut sent).unwrap();
        assert_eq!(sent, command(b"\x02\0\x07_result\0\x40\0\0\0\0\0\0\0\x05\0\x40\x08\0\0\0\0\0\0"));
        sent.clear();
        connection.receive(&command(b"\x02\0\x01x\0\0\0\0\0\0\0\0\0\x05\x05"), &mut sent).unwrap();
        assert!(sent.is_empty(), "nobody asked");
        connection.receive(&command(b"\x02\0\x01x\0\x3F\xF0\0\0\0\0\0\0\x05"), &mut sent).unwrap();
        assert!(contains(&sent, b"\x02\0\x06_error\0\x3F\xF0") && contains(&sent, b"\x02\0\x15Method not found (x)."));
        let called = |name: &str, arguments, answer| ClientEvent::Called { name: name.into(), arguments, answer };
        let expected = [
            called("sum", vec![json!(true)], Some(Ok(json!(3)))),
            called("x", vec![json!(null)], None),
            called("x", vec![], Some(Err("Method not found (x).".into()))),
        ];
        assert_eq!(events(&mut connection), expected);
        // Bandwidth detection: a counter each time, and nothing to see.
        for counter in [b"\0\0\0\0\0\0\0\0\0", b"\0\x3F\xF0\0\0\0\0\0\0"] {
            sent.clear();
            connection.receive(&command(b"\x02\0\x09onBWCheck\0\x3F\xF0\0\0\0\0\0\0\x05"), &mut sent).unwrap();
            assert!(sent.ends_with(counter));
        }
        assert_eq!(events(&mut connection), []);
    }

    #[test]
    fn a_rejection_is_one_whichever_command_it_comes_by() {
        for (name, transaction) in [(&b"\0\x06_error"[..], &b"\x3F\xF0"[..]), (b"\0\x08onStatus", b"\0\0")] {
            let (mut connection, _) = opened(ConnectRequest::default());
            let mut sent = Vec::new();
            let values = [
                &b"\x02"[..],
                name,
                b"\0",
                transaction,
                b"\0\0\0\0\0\0\x05\x03\0\x05level\x02\0\x05error",
                b"\0\x04code\x02\0\x1ENetConnection.Connect.Rejected\0\x0Bapplication\0\x40\0\0\0\0\0\0\0\0\0\x09",
            ];
            connection.receive(&command(&values.concat()), &mut sent).unwrap();
            connection.receive(&command(b"\x02\0\x05close\0\0\0\0\0\0\0\0\0\x05"), &mut sent).unwrap();
            let found = events(&mut connection);
            let [ClientEvent::Status(status), ClientEvent::CloseAsked] = &found[..] else { panic!("{found:?}") };
            assert_eq!(status.code, "NetConnection.Connect.Rejected");
            assert_eq!(status.others, [("application".to_owned(), json!(2))]);
            assert!(sent.is_empty() && !connection.connected() && connection.waiting() == Waiting::Nothing);
        }
    }

    #[test]
    fn a_call_of_the_server_may_be_long_and_one_that_is_longer_is_cut() {
        for (length, shown) in [(5000, Json::from("x".repeat(5000))), (70_000, Json::Null)] {
            let (mut connection, mut sent) = opened(ConnectRequest::default());
            let mut values = b"\x02\0\x01f\0\0\0\0\0\0\0\0\0\x05\x0C".to_vec();
            values.extend((length as u32).to_be_bytes());
            values.extend(vec![b'x'; length]);
            // Chunks of 65 535 bytes.
            let mut bytes = b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\xFF\xFF\x03\0\0\0".to_vec();
            bytes.extend(&(values.len() as u32).to_be_bytes()[1..]);
            bytes.extend(b"\x14\0\0\0\0");
            bytes.extend(values.chunks(0xFFFF).collect::<Vec<_>>().join(&0xC3));
            for part in bytes.chunks(1000) {
                connection.receive(part, &mut sent).unwrap();
            }
            let found = events(&mut connection);
            let [ClientEvent::Called { name, arguments, .. }] = &found[..] else { panic!("{found:?}") };
            assert_eq!(name, "f");
            match shown {
                Json::Null => assert!(arguments[0].as_str().unwrap().contains("cannot be read"), "{:?}", arguments[0]),
                shown => assert_eq!(arguments[..], [shown]),
            }
        }
    }

    #[test]
    fn with_amf_3_agreed_commands_have_its_envelope() {
        let (mut connection, sent) = opened(ConnectRequest { object_encoding: 3, ..ConnectRequest::default() });
        assert!(contains(&sent, b"\0\x0EobjectEncoding\0\x40\x08\0\0\0\0\0\0"));
        let mut success = SUCCESS[..SUCCESS.len() - 3].to_vec();
        success.extend(b"\0\x0EobjectEncoding\0\x40\x08\0\0\0\0\0\0\0\0\x09");
        let mut bytes = command(&[b"\0", &success[..]].concat());
        bytes[7] = 17;
        let mut sent = Vec::new();
        // Longer than a chunk of 128 bytes: the rest follows a type-3 header.
        if bytes.len() > 12 + 128 {
            bytes.insert(12 + 128, 0xC3);
        }
        connection.receive(&bytes, &mut sent).unwrap();
        assert_eq!(sent[7], 17);
        assert!(sent[12..].starts_with(b"\0\x02\0\x0CcreateStream"));
    }
}

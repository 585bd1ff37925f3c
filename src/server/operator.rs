//! What the operator asks over the control protocol ([`super::control`]), answered from what the server knows.

use core::fmt::{self, Write as _};

use log::info;

use crate::handles::ConnId;
use crate::limits::{
    ADMIN_KEY_BYTES, AGENT_BYTES, APP_NAME_BYTES, CONTROL_REQUEST_BYTES, PATH_BYTES, RECORDING_FILE_BYTES, TX_BYTES,
};
use crate::live::jobs::KeyKept;
use crate::live::recording::{NotDeleted, RecordJob, RecordingFileName};
use crate::live::secret::{AdminKey, LEAST_ADMIN_KEY_BYTES};
use crate::text::Quoted;
use crate::time::Millis;

use super::Server;
use super::control::{Answering, List};
use super::describe::{AUDIO_BYTES, VIDEO_BYTES};
use super::diagnosis::FindingJson;
use super::json::{EXPANSION, OrNull, Text};
use super::relay_rows::RelayJson;
use super::rows::{AppJson, ClientJson, ClosedJson, MembersJson, RecordingJson, StreamJson};
use super::speaks::Speaks;
use super::transport::{Counted, Net};

/// Rows written for a client in one turn of the loop: a row may have to look at every connection.
const ROWS_PER_TURN: usize = 16;
/// Longest text of an error in bytes; what is more is cut.
const ERROR_BYTES: usize = 400;

/// Members, numbers and punctuation of the longest row.
const ROW_FRAME_BYTES: usize = 512;
const _: () = assert!(
    ROW_FRAME_BYTES + EXPANSION * (APP_NAME_BYTES + PATH_BYTES + PATH_BYTES + AGENT_BYTES) <= TX_BYTES,
    "a client's row fits an empty answer"
);
const _: () = assert!(
    // Instance and name are one path.
    ROW_FRAME_BYTES + EXPANSION * (APP_NAME_BYTES + PATH_BYTES + VIDEO_BYTES + AUDIO_BYTES) <= TX_BYTES,
    "a stream's row fits an empty answer"
);
const _: () = assert!(
    // The sentences of a finding are two of them.
    2 * ROW_FRAME_BYTES + EXPANSION * (APP_NAME_BYTES + PATH_BYTES) <= TX_BYTES,
    "a finding's row fits an empty answer"
);
const _: () = assert!(ROW_FRAME_BYTES + EXPANSION * ERROR_BYTES <= TX_BYTES, "an error fits an empty answer");
const _: () =
    assert!(ROW_FRAME_BYTES + EXPANSION * RECORDING_FILE_BYTES <= TX_BYTES, "a recording's row fits an empty answer");

impl Server {
    /// The key is another, or nobody is shown anything any more: who was let in has to show that again.
    pub(super) fn end_admin_sessions(&mut self) {
        self.life.admin.end_sessions();
        self.end_events();
    }

    /// The disk has kept the administrator's key, or has not.
    pub(super) fn key_kept(&mut self, kept: KeyKept) {
        let Some(by) = self.life.admin.kept() else { return };
        if let Some((_, Speaks::Control(control))) = self.slots.open_both(by)
            && control.answering == Answering::Disk
        {
            control.answering = Answering::Keyed(kept);
            self.wakes.send(by.slot);
        }
    }

    /// Answers the operator's request, or goes on with a list.
    pub(super) fn answer_operator<N: Net>(&mut self, net: &N, conn: ConnId, now: Millis) {
        let Some((_, Speaks::Control(control))) = self.slots.open_both(conn) else { return };
        let mut reply = Reply::default();
        let answering = match control.answering {
            Answering::Request => {
                let request = core::mem::take(&mut control.request);
                reply.answer(self, net, conn, &request, now)
            }
            Answering::List(List::Recordings, from) => reply.recordings(self, conn, from),
            Answering::List(list, from) => reply.list(self, net, list, from, now),
            Answering::Deleted(result) => {
                match result {
                    Ok(()) => reply.ok(),
                    Err(why) => reply.error(format_args!("{}", why.words())),
                }
                Answering::None
            }
            Answering::Keyed(kept) => {
                reply.keyed(kept);
                Answering::None
            }
            Answering::None | Answering::Last | Answering::Disk => return,
        };
        let Some((slot, Speaks::Control(control))) = self.slots.open_both(conn) else { return };
        let written = slot.tx.write_with(|free| {
            free.get_mut(..reply.text.len())?.copy_from_slice(reply.text.as_bytes());
            Some(reply.text.len())
        });
        debug_assert!(written.is_ok(), "nothing is answered before the last answer was taken");
        (control.answering, control.is_told) = (answering, true);
        self.wakes.send(conn.slot);
    }
}

/// What is said next. It fits an empty buffer.
#[derive(Default)]
struct Reply {
    text: heapless::String<TX_BYTES>,
}

impl Reply {
    /// Answers a request, or begins to.
    fn answer<N: Net>(&mut self, server: &mut Server, net: &N, conn: ConnId, request: &[u8], now: Millis) -> Answering {
        let Some(line) = request.strip_suffix(b"\n") else {
            self.error(format_args!("the request is longer than {CONTROL_REQUEST_BYTES} bytes"));
            return Answering::Last;
        };
        let Ok(line) = core::str::from_utf8(line) else {
            self.error(format_args!("the request is not UTF-8"));
            return Answering::None;
        };
        let (command, argument) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let argument = argument.trim();
        let wants_argument = matches!(
            command,
            "disconnect" | "unload" | "shutdown-app" | "record" | "delete-recording" | "push" | "admin-key"
        );
        let takes_none = matches!(command, "clients" | "streams" | "apps" | "stats" | "diagnose" | "reload");
        let known = wants_argument || takes_none || command == "recordings";
        if !known {
            self.error(format_args!("unknown command {command:?}"));
            return Answering::None;
        }
        if wants_argument && argument.is_empty() || takes_none && !argument.is_empty() {
            let wants = if wants_argument { "needs an argument" } else { "takes no argument" };
            self.error(format_args!("{command} {wants}"));
            return Answering::None;
        }
        match command {
            "clients" => return Answering::List(List::Clients, 0),
            "streams" => return Answering::List(List::Streams, 0),
            "apps" => return Answering::List(List::Apps, 0),
            "diagnose" => return Answering::List(List::Findings, 0),
            "stats" => self.stats(server, net.counted(), now),
            "disconnect" => self.disconnect(server, argument, now),
            "record" => self.record(server, argument, now),
            "push" if argument == "list" => return Answering::List(List::Relays, 0),
            "push" => self.push(server, argument, now),
            "recordings" => return self.ask_disk(server, conn, argument, |of| RecordJob::List { of, films: false }),
            "delete-recording" => {
                info!("rill control request=\"delete-recording\" file={}", Quoted(argument));
                return self.ask_disk(server, conn, argument, |file| RecordJob::Delete { file });
            }
            "admin-key" => return self.admin_key(server, conn, argument),
            "reload" => {
                info!("rill control request=\"reload\"");
                server.reload();
                self.ok();
            }
            _ => self.send_away(server, command == "unload", argument, now),
        }
        Answering::None
    }

    /// Another key of the administrator's, or none.
    fn admin_key(&mut self, server: &mut Server, conn: ConnId, argument: &str) -> Answering {
        let key = AdminKey::parse(argument);
        if key.is_none() && argument != "off" {
            self.error(format_args!(
                "a key has {LEAST_ADMIN_KEY_BYTES} to {ADMIN_KEY_BYTES} letters, digits and signs, without \" and \\"
            ));
            return Answering::None;
        }
        if !server.life.admin.want_key(conn, key) {
            self.error(format_args!("another key is being written: try again"));
            return Answering::None;
        }
        info!("rill control request=\"admin-key\"");
        Answering::Disk
    }

    fn keyed(&mut self, kept: KeyKept) {
        match kept {
            KeyKept::InFile | KeyKept::InMemory => {
                self.row(format_args!("{{\"stored\":{}}}", kept == KeyKept::InFile));
                self.ok();
            }
            KeyKept::Configured => self.error(format_args!("the configuration has web.admin_key: change it there")),
            KeyKept::Fault => self.error(format_args!("the key could not be written: the log says why")),
        }
    }

    fn disconnect(&mut self, server: &mut Server, id: &str, now: Millis) {
        match id.parse() {
            Err(_) => self.error(format_args!("{id:?} is not the id of a client, like c7.2: see clients")),
            Ok(conn) if server.disconnect(conn, now) => {
                info!("{conn} control request=\"disconnect\"");
                self.ok();
            }
            Ok(conn) => self.error(format_args!("there is no client {conn} (any more): see clients")),
        }
    }

    fn record(&mut self, server: &mut Server, argument: &str, now: Millis) {
        let (verb, stream) = argument.split_once(' ').unwrap_or((argument, ""));
        let (Some((app, path)), "start" | "stop") = (stream.trim().split_once('/'), verb) else {
            return self.error(format_args!("record takes start or stop, and a stream: APP/NAME"));
        };
        match server.record(app, path, verb == "start", now) {
            Ok(()) => {
                info!("rill control request=\"record {verb}\" app={app:?} name={path:?}");
                self.ok();
            }
            Err(why) => self.error(format_args!("{app}/{path}: {why}")),
        }
    }

    fn push(&mut self, server: &mut Server, argument: &str, now: Millis) {
        let (verb, push) = argument.split_once(' ').unwrap_or((argument, ""));
        let push = push.trim();
        if !matches!(verb, "start" | "stop" | "test") || push.is_empty() {
            return self.error(format_args!("push takes list, or start, stop or test and a push: APP/NUMBER"));
        }
        match server.switch_push(verb, push, now) {
            Ok(()) => {
                info!("rill control request=\"push {verb}\" push={push:?}");
                self.ok();
            }
            Err(why) => self.error(format_args!("{push}: {why}")),
        }
    }

    /// Has the disk asked something of recordings, which are named by the argument.
    fn ask_disk(
        &mut self,
        server: &mut Server,
        conn: ConnId,
        argument: &str,
        job: impl Fn(RecordingFileName) -> RecordJob,
    ) -> Answering {
        let Ok(file) = RecordingFileName::try_from(argument) else {
            self.error(format_args!("{}", NotDeleted::Name.words()));
            return Answering::None;
        };
        if server.ask_of_recordings(conn, job(file)) {
            return Answering::Disk;
        }
        self.error(format_args!("the disk is being asked for another client: try again"));
        Answering::None
    }

    /// The rest of a page of the list of recordings.
    fn recordings(&mut self, server: &mut Server, conn: ConnId, mut from: usize) -> Answering {
        while let Some(row) = server.features.recordings.desk.row(conn, from) {
            if !self.row(format_args!("{}", RecordingJson(row))) {
                return Answering::List(List::Recordings, from);
            }
            from += 1;
        }
        if server.features.recordings.desk.page_is_taken(conn) {
            return Answering::Disk;
        }
        // The page is gone, so that nothing comes before this the next time.
        match self.row(format_args!("{OK}")) {
            true => Answering::None,
            false => Answering::List(List::Recordings, 0),
        }
    }

    fn send_away(&mut self, server: &mut Server, unload: bool, argument: &str, now: Millis) {
        let (app, instance) = match argument.split_once('/') {
            Some((app, instance)) if unload => (app, Some(instance)),
            _ => (argument, None),
        };
        let Some(count) = server.unload(app, instance, now) else {
            return match instance {
                Some(name) => {
                    self.error(format_args!("there is no instance {name:?} of an application {app:?}: see clients"))
                }
                None => self.error(format_args!("there is no application {app:?}: see apps")),
            };
        };
        let request = if unload { "unload" } else { "shutdown-app" };
        info!("rill control request=\"{request}\" app={app:?} instance={:?} clients={count}", instance.unwrap_or("*"));
        self.row(format_args!("{{\"disconnected\":{count}}}"));
        self.ok();
    }

    /// Rows of a list from place `from` on, and its end, while there is room. Returns where it goes on.
    fn list<N: Net>(&mut self, server: &Server, net: &N, list: List, mut from: usize, now: Millis) -> Answering {
        for _ in 0..ROWS_PER_TURN {
            let written = match list {
                List::Recordings => None,
                List::Clients => server.next_client(from, now).map(|row| {
                    let at = row.id.slot;
                    (self.row(format_args!("{}", ClientJson(&row, net.round_trip_us(at)))), at.at())
                }),
                List::Streams => server
                    .next_stream(from, now)
                    .map(|row| (self.row(format_args!("{}", StreamJson(&row))), usize::from(row.id.0))),
                List::Apps => server
                    .next_app(from)
                    .map(|row| (self.row(format_args!("{}", AppJson(&row))), usize::from(row.id.0))),
                List::Relays => {
                    server.next_relay(from, now).map(|row| (self.row(format_args!("{}", RelayJson(&row))), row.at))
                }
                List::Findings => server
                    .next_finding(from, now)
                    .map(|row| (self.row(format_args!("{}", FindingJson(&row))), row.place)),
            };
            match written {
                Some((true, at)) => from = at + 1,
                // For the next time: it fits when the client has taken what there is.
                Some((false, _)) => return Answering::List(list, from),
                None if self.row(format_args!("{OK}")) => return Answering::None,
                None => return Answering::List(list, from),
            }
        }
        Answering::List(list, from)
    }

    fn stats(&mut self, server: &Server, counted: Counted, now: Millis) {
        let totals = server.totals(now);
        let counters = totals.counters;
        self.row(format_args!(
            "{{\"version\":\"{}\",\"uptime_s\":{},\"connections\":{},\"connection_limit\":{},\"streams\":{},\
             \"published_now\":{},\"load_percent\":{},\"accepted\":{},\"turned_away\":{},{}{}\
             \"heap_allocations\":{},\"closed\":{}}}",
            env!("CARGO_PKG_VERSION"),
            totals.uptime_s,
            totals.connections,
            totals.connection_limit,
            totals.streams,
            totals.published,
            totals.load_permille / 10,
            counters.accepted,
            counted.turned_away,
            MembersJson(&counters.named()),
            MembersJson(&server.recordings().counts().named()),
            OrNull(counted.heap_allocations),
            ClosedJson(&counters.closed),
        ));
        self.ok();
    }

    fn ok(&mut self) {
        self.row(format_args!("{OK}"));
    }

    fn error(&mut self, text: fmt::Arguments<'_>) {
        let mut fitting = heapless::String::<ERROR_BYTES>::new();
        // What does not fit is cut: a request that holds so much is not one of ours.
        let _ = fitting.write_fmt(text);
        self.row(format_args!("{{\"error\":{}}}", Text(&fitting)));
    }

    /// Writes a line whole, or nothing of it when there is no room.
    fn row(&mut self, row: fmt::Arguments<'_>) -> bool {
        let before = self.text.len();
        let whole = self.text.write_fmt(row).and_then(|()| self.text.write_char('\n')).is_ok();
        if !whole {
            debug_assert!(before > 0, "every row fits an empty answer");
            self.text.truncate(before);
        }
        whole
    }
}

/// The end of an answer.
const OK: &str = "{\"ok\":true}";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::live::applications::AppSource;
    use crate::live::settings::Settings;
    use crate::server::Start;
    use crate::server::inspect::longest;
    use crate::server::transport::Counted;

    #[test]
    fn the_longest_rows_fit_an_empty_answer() {
        let worst = |bytes: usize| "\u{1}".repeat(bytes);
        let (app, instance) = (worst(APP_NAME_BYTES), worst(PATH_BYTES));
        let (name, agent) = (worst(PATH_BYTES), worst(AGENT_BYTES));
        let row = longest::client(&app, &instance, &name, &agent);
        let mut reply = Reply::default();
        assert!(reply.row(format_args!("{}", ClientJson(&row, Some(u32::MAX)))));
        let read: Value = serde_json::from_slice(reply.text.as_bytes()).unwrap();
        assert_eq!((&read["stream"], &read["agent"]), (&name.clone().into(), &agent.clone().into()));
        let row = longest::stream(&app, &name, [&worst(VIDEO_BYTES), &worst(AUDIO_BYTES)]);
        let mut reply = Reply::default();
        assert!(reply.row(format_args!("{}", StreamJson(&row))));
        let read: Value = serde_json::from_slice(reply.text.as_bytes()).unwrap();
        assert_eq!((read["fps"].as_f64(), &read["name"]), (Some(29.97), &name.into()));
        let start = Start { apps: Vec::new(), source: AppSource::Fixed, seed: 1, now: Millis(0) };
        let settings = Settings { connections: 1, streams: 1, ring_bytes: 256 << 10, ..Settings::default() };
        let server = Server::new(settings, start);
        let mut reply = Reply::default();
        reply.stats(&server, Counted { turned_away: u64::MAX, heap_allocations: Some(usize::MAX) }, Millis(u64::MAX));
        assert!(reply.text.len() < TX_BYTES / 2, "{}", reply.text.len());
    }
}

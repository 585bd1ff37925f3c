//! What the server's tables hold, as plain rows: for the report in the log, and for the control socket.
//!
//! Each table is walked by place: a row says where it stands, and the next one is asked for from behind it. So a walk
//! can rest in the middle while rows come and go; it sees each that stays once.

use crate::handles::{AppId, ConnId, SlotIndex, StreamId};
use crate::live::app::AppKind;
use crate::live::applications::{AppState, Application};
use crate::live::holder::Holder;
use crate::live::names::Media;
use crate::live::reader::Reader;
use crate::media::{Arrived, Cursor};
use crate::rtmp::event::Request;
use crate::time::Millis;

use super::describe::Description;
use super::http::Http;
use super::instances::InstanceState;
use super::peer::Peer;
use super::rtmp::{Role, Rtmp};
use super::slot::{Slot, SlotState};
use super::speaks::Speaks;
use super::{Counters, Server};

/// The time over which [`StreamRow::bitrate_bps`] is measured, in milliseconds: two or three groups of pictures.
const BITRATE_WINDOW_MS: u64 = 5000;
/// A viewer is behind from here on, in milliseconds, unless it skips before twice as much.
const BEHIND_MS: u32 = 1000;

/// A connection.
#[derive(Clone, Debug)]
pub struct ClientRow<'a> {
    /// Which.
    pub id: ConnId,
    /// Who it is.
    pub peer: Peer,
    /// The application that it joined, or asked for; empty before that.
    pub app: &'a str,
    /// The application's instance.
    pub instance: &'a str,
    /// What software it says it is (`flashVer`); empty when it did not say.
    pub agent: &'a str,
    /// What it speaks: `rtmp`, `http`, or of a viewer over HTTP its format, with `ws-` in front over a WebSocket.
    pub speaks: &'static str,
    /// What it does.
    pub activity: Activity,
    /// What it publishes or plays, with its path in the application; the first, when its net streams do several things. A recorded
    /// stream has no handle.
    pub stream: Option<(Option<StreamId>, &'a str)>,
    /// Since it was accepted, in seconds.
    pub seconds: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// How far a player is behind, in milliseconds: the worst, when it plays several streams.
    pub lag_ms: Option<u32>,
    /// How often it was too slow and went on at a later key frame.
    pub skips: u32,
    /// Bytes that wait for it.
    pub queue_bytes: u64,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It has not asked for an application.
    Connecting,
    /// It waits for the decision about a request.
    Pending,
    /// It publishes.
    Publishes,
    /// It plays, or waits for what it wants to play.
    Plays,
    /// Nothing.
    Idle,
    /// It was told that its connection ends.
    Leaving,
}

impl Activity {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Activity::Connecting => "connecting",
            Activity::Pending => "pending",
            Activity::Publishes => "publishes",
            Activity::Plays => "plays",
            Activity::Idle => "idle",
            Activity::Leaving => "leaving",
        }
    }
}

/// Whether a stream name has a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// It is published, by this one.
    Live(Holder),
    /// Its publisher left and may still come back before players are told (`live.unpublish_grace_ms`).
    Away,
    /// It has no publisher; players wait for one.
    Waiting,
}

impl StreamState {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            StreamState::Live(_) => "live",
            StreamState::Away => "away",
            StreamState::Waiting => "waiting",
        }
    }

    /// Who publishes it.
    pub const fn publisher(self) -> Option<Holder> {
        match self {
            StreamState::Live(publisher) => Some(publisher),
            StreamState::Away | StreamState::Waiting => None,
        }
    }
}

/// A stream name in use.
#[derive(Clone, Debug)]
pub struct StreamRow<'a> {
    /// Which.
    pub id: StreamId,
    /// Its application.
    pub app: &'a str,
    /// The instance that it belongs to, where instances are kept apart; else the default one's name.
    pub instance: &'a str,
    /// Its name, behind that instance.
    pub name: &'a str,
    /// Its path in its application: both, as URLs have them.
    pub path: &'a str,
    /// Whether it is published, and by whom.
    pub state: StreamState,
    /// Since the present publish began, or the last one ended, in seconds.
    pub seconds: u64,
    /// Who plays it.
    pub viewers: Viewers,
    /// How often viewers of the publish went on at a later key frame.
    pub skips: u32,
    /// What arrived of it lately, in bits per second; 0 without a publisher.
    pub bitrate_bps: u64,
    /// It is being recorded.
    pub recorded: bool,
    /// Of a stream that is made of several inputs, what is on air.
    pub programme: Option<ProgrammeRow>,
    /// What it is; nothing is known without a publisher.
    pub description: Description,
}

/// What is on air of a stream that is made of several inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgrammeRow {
    /// Which input: `main`, `backup`, `slate` or `nothing`.
    pub input: &'static str,
    /// For how long, in seconds.
    pub seconds: u64,
    /// How often something else went on air since the server knows of it.
    pub switches: u32,
}

/// Who watches a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewers {
    /// Net streams that play it, ...
    pub rtmp: u32,
    /// ... and viewers over HTTP who have it as fragmented MP4, ...
    pub mp4: u32,
    /// ... as FLV, ...
    pub flv: u32,
    /// ... and as HLS.
    pub hls: u32,
    /// How far the slowest of them is behind, in milliseconds.
    pub worst_lag_ms: u32,
    /// How many of them are behind further than is usual.
    pub behind: u32,
}

impl Viewers {
    fn lags(&mut self, lag_ms: u32, most_ms: u32) {
        self.worst_lag_ms = self.worst_lag_ms.max(lag_ms);
        self.behind += u32::from(lag_ms >= most_ms);
    }

    /// How many there are.
    pub const fn all(self) -> u32 {
        self.rtmp + self.mp4 + self.flv + self.hls
    }

    /// How many there are of each kind, by the name of that.
    pub const fn by_output(self) -> [(&'static str, u32); 4] {
        [("rtmp", self.rtmp), ("ws", self.mp4), ("flv", self.flv), ("hls", self.hls)]
    }
}

/// A registered application.
#[derive(Clone, Debug)]
pub struct AppRow<'a> {
    /// Which.
    pub id: AppId,
    /// Its name.
    pub name: &'a str,
    /// What it is for.
    pub kind: AppKind,
    /// Whether it can be joined.
    pub state: AppState,
    /// Clients that joined it.
    pub clients: u32,
    /// Its instances whose server-side code is loaded, or was stopped.
    pub instances: u32,
    /// Of these, those whose script could not be loaded or had to be stopped.
    pub stopped: u32,
    /// Its streams that are published.
    pub streams: u32,
}

/// What there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Totals<'a> {
    /// Since the server started, in seconds.
    pub uptime_s: u64,
    /// Connections, those that have not joined an application included.
    pub connections: u32,
    /// How many may have joined one.
    pub connection_limit: u32,
    /// Stream names in use.
    pub streams: u32,
    /// How many of them are published.
    pub published: u32,
    /// How much of its time the loop is at work, in thousandths.
    pub load_permille: u32,
    /// What happened since the start.
    pub counters: &'a Counters,
}

impl Server {
    /// The first connection in slot `from` or behind it.
    pub fn next_client(&self, from: usize, now: Millis) -> Option<ClientRow<'_>> {
        match self.slots.next_taken(from) {
            Some(index) => self.client_at(index, now),
            None => self.next_hls_viewer(from, now),
        }
    }

    /// The connection of a slot.
    pub(super) fn client_at(&self, index: SlotIndex, now: Millis) -> Option<ClientRow<'_>> {
        match self.slots.peek_both(index) {
            (slot, Speaks::Rtmp(rtmp)) => Some(self.client_row(index, slot, rtmp, now)),
            (slot, Speaks::Http(http)) => Some(self.http_row(index, slot, http, now)),
            _ => None,
        }
    }

    /// The first stream at place `from` or behind it.
    pub fn next_stream(&self, from: usize, now: Millis) -> Option<StreamRow<'_>> {
        self.live.names.next_stream(from).map(|id| self.stream_row(id, now))
    }

    /// The first application at place `from` or behind it.
    pub fn next_app(&self, from: usize) -> Option<AppRow<'_>> {
        let (id, app) = self.live.apps.iter().find(|(id, _)| usize::from(id.0) >= from)?;
        Some(self.app_row(id, app))
    }

    /// What there is of everything.
    pub fn totals(&self, now: Millis) -> Totals<'_> {
        let published = self.live.names.streams().filter(|(_, stream)| stream.publisher().is_some()).count();
        Totals {
            uptime_s: now.0 / 1000,
            connections: self.slots.taken() as u32,
            connection_limit: self.settings.connections,
            streams: self.live.names.streams().count() as u32,
            published: published as u32,
            load_permille: self.gathering.load_permille(),
            counters: &self.counters,
        }
    }

    fn client_row<'a>(&'a self, index: SlotIndex, slot: &Slot, rtmp: &'a Rtmp, now: Millis) -> ClientRow<'a> {
        let info = rtmp.session.connect_info();
        let mut row = ClientRow {
            id: self.slots.id(index),
            peer: slot.peer,
            app: &info.path.app,
            instance: if info.path.app.is_empty() { "" } else { &info.path.instance },
            agent: &info.agent,
            speaks: "rtmp",
            activity: activity(slot, rtmp),
            stream: None,
            seconds: now.since(slot.accepted) / 1000,
            bytes_in: slot.bytes_in,
            bytes_out: slot.bytes_out + self.slots.ahead(index).bytes,
            lag_ms: None,
            skips: 0,
            queue_bytes: (slot.tx.pending().len() + rtmp.outbox.bytes()) as u64,
        };
        for role in &rtmp.roles {
            let stream = match role {
                Role::Idle => continue,
                Role::Recorded(id) => {
                    let name = self.features.recorded.item(*id).map(|item| item.name.path.as_str());
                    row.stream = row.stream.or(name.map(|name| (None, name)));
                    continue;
                }
                Role::Publishing(stream) | Role::Challenging(stream) => *stream,
                Role::Playing(reader) => {
                    row.skips += reader.skips();
                    row.lag_ms = row.lag_ms.max(self.lag_ms(index, reader, now));
                    row.queue_bytes += self.waiting_bytes(index, reader);
                    reader.stream()
                }
            };
            row.stream = row.stream.or(Some((Some(stream), self.live.names.stream(stream).path.as_str())));
        }
        row
    }

    fn http_row<'a>(&'a self, index: SlotIndex, slot: &'a Slot, http: &'a Http, now: Millis) -> ClientRow<'a> {
        let reader = http.reader().filter(|_| slot.playing > 0);
        let stream = reader.map(|reader| (reader.stream(), self.live.names.stream(reader.stream())));
        ClientRow {
            id: self.slots.id(index),
            peer: slot.peer,
            app: slot.app.map_or("", |app| self.live.apps.name(app)),
            instance: stream.map_or("", |(_, stream)| stream.path.instance()),
            agent: http.agent(),
            speaks: http.name(),
            activity: match (slot.state, reader) {
                (SlotState::Open, Some(_)) => Activity::Plays,
                (SlotState::Open, None) => Activity::Connecting,
                _ => Activity::Leaving,
            },
            stream: stream.map(|(id, stream)| (Some(id), stream.path.as_str())),
            seconds: now.since(slot.accepted) / 1000,
            bytes_in: slot.bytes_in,
            bytes_out: slot.bytes_out,
            lag_ms: reader.and_then(|reader| self.lag_ms(index, reader, now)),
            skips: reader.map_or(0, Reader::skips),
            queue_bytes: slot.tx.pending().len() as u64 + reader.map_or(0, |reader| self.waiting_bytes(index, reader)),
        }
    }

    fn stream_row(&self, id: StreamId, now: Millis) -> StreamRow<'_> {
        let stream = self.live.names.stream(id);
        let live = stream.ring.filter(|_| stream.publisher().is_some()).map(|ring| self.live.names.media(ring));
        StreamRow {
            id,
            app: self.live.apps.name(stream.app),
            instance: stream.path.instance(),
            name: stream.path.name(),
            path: stream.path.as_str(),
            state: match (stream.publisher(), stream.is_away()) {
                (Some(publisher), _) => StreamState::Live(publisher.by),
                (None, true) => StreamState::Away,
                (None, false) => StreamState::Waiting,
            },
            seconds: now.since(stream.since) / 1000,
            viewers: self.viewers(id, now),
            skips: stream.trouble.skips(),
            recorded: self.features.recordings.is_recorded(id),
            programme: self.programme_row(id, now),
            bitrate_bps: live.map_or(0, |media| {
                let arrived = arrived(media, now.since(stream.since), now);
                arrived.bits_per_second(arrived.bytes())
            }),
            description: live.map_or_else(Description::default, Description::of),
        }
    }

    /// Who watches a stream. Of players who are express, which nearly all are, a line is looked at, and no slot.
    pub(super) fn viewers(&self, id: StreamId, now: Millis) -> Viewers {
        let mut viewers = Viewers { hls: self.slots.hls.count(id), ..Viewers::default() };
        let most_ms = BEHIND_MS.min(self.settings.player_lag_ms as u32 / 2);
        let stream = self.live.names.stream(id);
        let ring = stream.ring.map(|ring| self.live.names.media(ring).ring());
        let mut from = 0;
        while let Some(at) = stream.players.next_from(from) {
            from = at + 1;
            let index = SlotIndex(at as u32);
            let ahead = self.slots.ahead(index);
            if ahead.stream == Some(id) {
                viewers.rtmp += 1;
                let lag_ms = ring.zip(ahead.cursor()).map_or(0, |(ring, cursor)| ring.lag_ms(cursor, now));
                viewers.lags(lag_ms, most_ms);
                continue;
            }
            let lag_ms = |reader| self.lag_ms(index, reader, now).unwrap_or(0);
            match self.slots.peek_both(index).1 {
                Speaks::Rtmp(rtmp) => {
                    for role in &rtmp.roles {
                        let Role::Playing(reader) = role else { continue };
                        if reader.stream() == id {
                            viewers.rtmp += 1;
                            viewers.lags(lag_ms(reader), most_ms);
                        }
                    }
                }
                Speaks::Http(http) => {
                    let Some(reader) = http.reader() else { continue };
                    *(if http.watches_flv() { &mut viewers.flv } else { &mut viewers.mp4 }) += 1;
                    viewers.lags(lag_ms(reader), most_ms);
                }
                _ => {}
            }
        }
        viewers
    }

    fn app_row<'a>(&self, id: AppId, app: &'a Application) -> AppRow<'a> {
        let of_it = |stream: &crate::live::names::Stream| stream.app == id && stream.publisher().is_some();
        let instances =
            || self.scripting.instances.iter().map(|(_, instance)| instance).filter(|instance| instance.app == id);
        AppRow {
            id,
            name: &app.name,
            kind: app.definition.as_deref().map_or(AppKind::Live, |definition| definition.kind),
            state: app.state,
            clients: app.connected,
            instances: instances().count() as u32,
            stopped: instances().filter(|instance| matches!(instance.state, InstanceState::Stopped { .. })).count()
                as u32,
            streams: self.live.names.streams().filter(|(_, stream)| of_it(stream)).count() as u32,
        }
    }

    /// Where a player is in its stream.
    fn position(&self, index: SlotIndex, reader: &Reader) -> Option<(&Media, Cursor)> {
        let cursor = reader.cursor()?;
        // Who is express has one player.
        let cursor = self.slots.ahead(index).cursor().unwrap_or(cursor);
        let ring = self.live.names.stream(reader.stream()).ring?;
        Some((self.live.names.media(ring), cursor))
    }

    fn lag_ms(&self, index: SlotIndex, reader: &Reader, now: Millis) -> Option<u32> {
        let (media, cursor) = self.position(index, reader)?;
        Some(media.ring().lag_ms(cursor, now).saturating_sub(reader.shift_ms()))
    }

    fn waiting_bytes(&self, index: SlotIndex, reader: &Reader) -> u64 {
        self.position(index, reader).map_or(0, |(media, cursor)| media.ring().waiting_bytes(cursor))
    }
}

fn activity(slot: &Slot, rtmp: &Rtmp) -> Activity {
    if slot.state != SlotState::Open {
        return Activity::Leaving;
    }
    match rtmp.session.request() {
        _ if slot.publishing > 0 => Activity::Publishes,
        _ if slot.playing > 0 => Activity::Plays,
        Some(Request::Connect | Request::Publish { .. } | Request::Play { .. }) => Activity::Pending,
        None if rtmp.session.is_connected() => Activity::Idle,
        None => Activity::Connecting,
    }
}

/// What arrived within the last [`BITRATE_WINDOW_MS`], or since the publish began `age_ms` ago, or as far back as the
/// ring goes.
pub(super) fn arrived(media: &Media, age_ms: u64, now: Millis) -> Arrived {
    media.ring().arrived_within(BITRATE_WINDOW_MS.min(age_ms) as u32, now)
}

/// Rows that are as long as they can be, for tests of what has to hold them.
#[cfg(test)]
pub(super) mod longest {
    use super::*;

    const ID: ConnId = ConnId { slot: SlotIndex(u32::MAX), generation: u32::MAX };

    pub(in crate::server) fn client<'a>(
        app: &'a str,
        instance: &'a str,
        path: &'a str,
        agent: &'a str,
    ) -> ClientRow<'a> {
        ClientRow {
            id: ID,
            peer: Peer::Ip("[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535".parse().unwrap()),
            app,
            instance,
            agent,
            speaks: "ws-flv",
            activity: Activity::Connecting,
            stream: Some((Some(StreamId(u16::MAX)), path)),
            seconds: u64::MAX,
            bytes_in: u64::MAX,
            bytes_out: u64::MAX,
            lag_ms: Some(u32::MAX),
            skips: u32::MAX,
            queue_bytes: u64::MAX,
        }
    }

    pub(in crate::server) fn stream<'a>(app: &'a str, path: &'a str, [video, audio]: [&str; 2]) -> StreamRow<'a> {
        StreamRow {
            id: StreamId(u16::MAX),
            app,
            instance: "_definst_",
            name: path,
            path,
            state: StreamState::Live(Holder::Conn(ID, 0)),
            seconds: u64::MAX,
            viewers: Viewers { hls: u32::MAX, worst_lag_ms: u32::MAX, ..Viewers::default() },
            skips: u32::MAX,
            bitrate_bps: u64::MAX,
            recorded: false,
            programme: Some(ProgrammeRow { input: "nothing", seconds: u64::MAX, switches: u32::MAX }),
            description: Description {
                video: Some(heapless::String::try_from(video).unwrap()),
                audio: Some(heapless::String::try_from(audio).unwrap()),
                frame_rate_milli: Some(29_970),
                key_frame_interval_ms: Some(u32::MAX),
            },
        }
    }
}

//! Recordings that publishers and the operator ask for, and what publishers hear of them.

use crate::handles::StreamId;
use crate::live::holder::Holder;
use crate::live::record_settings::RecordContainer;
use crate::live::recorded::Prefix;
use crate::live::recording::{RecordFault, RecordSaid, RecordedFor, RecordingKind};
use crate::rtmp::event::{NetStreamId, PublishMode};
use crate::rtmp::status::{Code, Status};
use crate::time::Millis;

use super::Server;

impl Server {
    /// The stream is published from now on, with this type.
    pub(super) fn record_for_publisher(&mut self, by: Holder, id: StreamId, mode: PublishMode, now: Millis) {
        let kind = match mode {
            PublishMode::Live => return,
            PublishMode::Record => RecordingKind::InPlaceOf,
            PublishMode::Append => RecordingKind::Behind,
            PublishMode::AppendWithGap => RecordingKind::BehindWithGap,
        };
        let (container, wanted) = (self.container_of(by), RecordedFor::Publisher(by));
        if let Err(fault) = self.features.recordings.start(&self.live, id, kind, Some(container), wanted, now) {
            self.say_of_recording(wanted, id, RecordSaid::Refused(fault), now);
        }
    }

    /// What kind of file a publisher asks for with the name that it says: `mp4:` is MP4, and a name alone FLV.
    fn container_of(&self, by: Holder) -> RecordContainer {
        let client = by.conn().and_then(|conn| self.slots.look_client(conn));
        match client.map(|(_, rtmp)| Prefix::of(rtmp.session.said_name())) {
            Some(Prefix::Mp4) => RecordContainer::Mp4,
            _ => RecordContainer::Flv,
        }
    }

    /// Says something of the recording of a stream to who wanted it.
    pub(super) fn say_of_recording(&mut self, by: RecordedFor, id: StreamId, said: RecordSaid, now: Millis) {
        let (code, words) = match said {
            RecordSaid::Started => (Code::RecordStart, None),
            RecordSaid::Stopped => (Code::RecordStop, None),
            RecordSaid::Unpublished => (Code::UnpublishSuccess, None),
            RecordSaid::Refused(RecordFault::AlreadyExists) => (Code::RecordAlreadyExists, None),
            RecordSaid::Refused(
                fault @ (RecordFault::NoAccess | RecordFault::ReadOnly | RecordFault::NoPlace | RecordFault::Name),
            ) => (Code::RecordNoAccess, Some(fault.words())),
            RecordSaid::Refused(fault) | RecordSaid::Failed(fault) => (Code::RecordFailed, Some(fault.words())),
        };
        let (conn, lane) = match by {
            RecordedFor::Publisher(Holder::Conn(conn, lane)) => (conn, lane),
            RecordedFor::Script(script) => return self.tell_script_of_recording(script, id, code, now),
            RecordedFor::Publisher(Holder::Feature(..)) | RecordedFor::Configuration | RecordedFor::Operator => return,
        };
        let Some((slot, rtmp)) = self.slots.client(conn) else { return };
        let name = rtmp.session.own_name(&self.live.names.stream(id).path);
        let status = Status::new(code, name);
        let status = words.map_or(status, |words| status.described(words));
        rtmp.tell(Some(NetStreamId::from_index(lane.into())), status, &mut slot.tx);
        self.wakes.send(conn.slot);
    }

    /// The operator wants a stream, by its path, to be recorded from now on, or no more.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn record(&mut self, app: &str, path: &str, start: bool, now: Millis) -> Result<(), &'static str> {
        const NOT_LIVE: &str = "no such stream is published: see streams";
        self.now = now;
        let app = self.live.apps.find(app).ok_or(NOT_LIVE)?;
        let path = self.live.apps.path(app, path);
        let id = path.and_then(|path| self.live.names.find(app, &path)).ok_or(NOT_LIVE)?;
        if !start {
            return if self.features.recordings.stop(id, now) { Ok(()) } else { Err("it is not being recorded") };
        }
        self.live.names.stream(id).publisher().ok_or(NOT_LIVE)?;
        let started =
            self.features.recordings.start(&self.live, id, RecordingKind::Automatic, None, RecordedFor::Operator, now);
        started.map_err(RecordFault::words)
    }
}

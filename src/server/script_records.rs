//! What scripts have recorded, and deleted of what was: `record`, `flush`, `syncWrite` and `clear` of Adobe's class `Stream`,
//! `Stream.getOnMetaData` and `application.clearStreams`.

use log::info;

use crate::features::recordings::RecordMost;
use crate::features::recordings::desk::ClearWish;
use crate::handles::StreamId;
use crate::limits::PATH_BYTES;
use crate::live::record_settings::RecordContainer;
use crate::live::recording::{NotDeleted, RecordFault, RecordSaid, RecordedFor, RecordingKind, RecordingName};
use crate::media::TagKind;
use crate::name::StreamName;
use crate::rtmp::status::Code;
use crate::time::Millis;
use crate::wire::amf0::Encoder;
use crate::wire::bytes::{Full, Writer};
use crate::wire::script_link::{FlushWhen, InstanceId, RecordHow, ToHost};

use super::Server;
use super::instances::InstanceIndex;

/// A recorded stream is deleted for a script; said to scripts alone.
const CLEARED: &str = "NetStream.Clear.Success";
const NOT_CLEARED: &str = "NetStream.Clear.Failed";
/// The name of the message that metadata comes in, as an AMF 0 string.
const METADATA_NAME: &[u8] = b"\x02\0\x0AonMetaData";

impl Server {
    /// A script wants a stream of its instance recorded, or no more. False when that cannot be.
    pub(super) fn record_for_script(
        &mut self,
        index: InstanceIndex,
        stream: &str,
        how: RecordHow,
        most_s: f64,
        most_kb: f64,
        now: Millis,
    ) -> bool {
        let Some((id, script)) = self.stream_of_script(index, stream) else { return false };
        let kind = match how {
            RecordHow::Stop => return self.features.recordings.stop(id, now),
            RecordHow::Record => RecordingKind::InPlaceOf,
            RecordHow::Append => RecordingKind::Behind,
            RecordHow::AppendWithGap => RecordingKind::BehindWithGap,
        };
        // The casts saturate.
        let most = RecordMost {
            ms: if most_s > 0.0 { (most_s * 1000.0) as u32 } else { u32::MAX },
            bytes: if most_kb > 0.0 { (most_kb * 1024.0) as u64 } else { u64::MAX },
        };
        let begun = match self.live.names.stream(id).publisher() {
            Some(_) => self.features.recordings.start_within(&self.live, id, kind, script, most, now),
            None => Err(RecordFault::Name),
        };
        if let Err(fault) = begun {
            self.say_of_recording(RecordedFor::Script(script), id, RecordSaid::Refused(fault), now);
        }
        begun.is_ok()
    }

    /// A script wants what is recorded of a stream on the medium.
    pub(super) fn flush_for_script(&mut self, index: InstanceIndex, stream: &str, when: FlushWhen) {
        if let Some((id, _)) = self.stream_of_script(index, stream) {
            self.features.recordings.flush(&self.live, id, when);
        }
    }

    /// A script wants recordings deleted: that of a stream, or with a `*` at the end all that lie there.
    pub(super) fn clear_for_script(&mut self, index: InstanceIndex, stream: &str, now: Millis) {
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let (app, own, script) = (instance.app, instance.name.clone(), instance.script);
        let folder = stream.strip_suffix('*');
        let all = folder.is_some();
        let Ok(said) = StreamName::parse(stream.trim_end_matches('*').as_bytes()).or_else(|_| StreamName::parse(b"x"))
        else {
            return;
        };
        let named = || {
            let definition = self.live.apps.definition(app)?;
            // Any name in the folder.
            let mut name = heapless::String::<PATH_BYTES>::new();
            match folder {
                Some(folder) => name.push_str(folder).and_then(|()| name.push('x')).ok()?,
                None => name.push_str(&said.name).ok()?,
            }
            let path = definition.path(&own, &name).ok()?;
            let app = self.live.apps.name(app);
            RecordingName::new(app, &path, RecordingKind::InPlaceOf, RecordContainer::Flv).ok()
        };
        let wish = named().map(|name| ClearWish { script, stream: said.name.clone(), name, all });
        info!("rill script request=\"clear\" app={:?} instance={own:?} name={stream:?}", self.live.apps.name(app));
        if !wish.is_some_and(|wish| self.features.recordings.desk.clear(wish)) {
            self.tell_script_code(index, &said.name, NOT_CLEARED, now);
        }
    }

    /// The disk has deleted what was first to go, or has not.
    pub(super) fn cleared(&mut self, result: Result<(), NotDeleted>, now: Millis) {
        let Some(ClearWish { script, stream, .. }) = self.features.recordings.desk.cleared() else { return };
        if let Some(index) = self.instance_of_script(script) {
            self.tell_script_code(index, &stream, if result.is_ok() { CLEARED } else { NOT_CLEARED }, now);
        }
    }

    /// Tells a script what became of a recording that it wanted.
    pub(super) fn tell_script_of_recording(&mut self, script: InstanceId, id: StreamId, code: Code, now: Millis) {
        let Some(index) = self.instance_of_script(script) else { return };
        let Some(instance) = self.scripting.instances.instance(index) else { return };
        let Ok(name) = StreamName::parse(self.live.names.stream(id).path.within(&instance.name).as_bytes()) else {
            return;
        };
        if code != Code::UnpublishSuccess {
            self.tell_script_code(index, &name.name, code.name(), now);
        }
    }

    /// Writes the metadata of a stream: that of its publisher, or what there is to be said of a recorded one. Returns its length.
    pub(super) fn metadata_for_script(
        &mut self,
        index: InstanceIndex,
        said: &str,
        now: Millis,
        out: &mut [u8],
    ) -> Option<usize> {
        let live = StreamName::parse(said.as_bytes()).ok().and_then(|name| self.stream_of_script(index, &name.name));
        if let Some((id, _)) = live
            && let Some(ring) = self.live.names.stream(id).ring
        {
            let headers = self.live.names.media(ring).headers();
            let is_it = |payload: &&[u8]| payload.starts_with(METADATA_NAME);
            let mut payloads =
                headers.iter().filter(|header| header.kind == TagKind::Data).map(|header| header.payload);
            if let Some(value) = payloads.find(is_it).map(|payload| &payload[METADATA_NAME.len()..]) {
                out.get_mut(..value.len())?.copy_from_slice(value);
                return Some(value.len());
            }
        }
        let facts = self.known_facts(index, said, now)?;
        let mut writer = Writer::new(out);
        let mut put = || -> Result<(), Full> {
            let mut amf = Encoder::new(&mut writer);
            amf.object_begin()?;
            amf.property_number("duration", facts.duration_ms as f64 / 1000.0)?;
            amf.property_number("filesize", facts.bytes as f64)?;
            amf.property_boolean("hasVideo", facts.video.is_some())?;
            amf.property_boolean("hasAudio", facts.audio.is_some())?;
            amf.object_end()
        };
        put().ok()?;
        Some(writer.len())
    }

    /// `stream.onStatus` with this code.
    fn tell_script_code(&mut self, index: InstanceIndex, name: &str, code: &str, now: Millis) {
        let Some(instance) = self.scripting.running(index) else { return };
        let status = ToHost::PlayStatus { instance, stream: name, code, item: name };
        self.scripting.must_tell(index, &status, now);
    }

    /// The stream that a script calls so, and how its process calls it.
    fn stream_of_script(&self, index: InstanceIndex, stream: &str) -> Option<(StreamId, InstanceId)> {
        let instance = self.scripting.instances.instance(index)?;
        let path = self.live.apps.definition(instance.app)?.path(&instance.name, stream).ok()?;
        Some((self.live.names.find(instance.app, &path)?, instance.script))
    }

    fn instance_of_script(&self, script: InstanceId) -> Option<InstanceIndex> {
        let mut instances = self.scripting.instances.iter();
        instances.find(|(_, instance)| instance.script == script).map(|(index, _)| index)
    }
}

//! Rows of the server's tables as JSON objects, one a line: what `rill ctl` shows, and passes on with `--json`.

use core::fmt::{self, Write as _};

use crate::live::app::AppKind;
use crate::live::applications::AppState;
use crate::live::recording::ListedRecording;

use super::close::Counter;
use super::inspect::{AppRow, ClientRow, ProgrammeRow, StreamRow};
use super::json::{OrNull, Text};

/// A connection, with the time to it and back in microseconds.
pub(super) struct ClientJson<'a>(pub &'a ClientRow<'a>, pub Option<u32>);

impl fmt::Display for ClientJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientJson(row, round_trip_us) = self;
        write!(
            f,
            "{{\"id\":\"{}\",\"address\":\"{}\",\"app\":{},\"instance\":{},\"agent\":{},\"speaks\":\"{}\",\"does\":\"{}\",\"stream\":{},",
            row.id,
            row.peer,
            Text(row.app),
            Text(row.instance),
            Text(row.agent),
            row.speaks,
            row.activity.name(),
            OrNull(row.stream.map(|(_, name)| Text(name))),
        )?;
        match row.stream.and_then(|(id, _)| id) {
            Some(id) => write!(f, "\"stream_id\":\"{id}\",")?,
            None => f.write_str("\"stream_id\":null,")?,
        }
        write!(
            f,
            "\"seconds\":{},\"bytes_in\":{},\"bytes_out\":{},\"lag_ms\":{},\"skips\":{},\"queue_bytes\":{},\"round_trip_us\":{}}}",
            row.seconds,
            row.bytes_in,
            row.bytes_out,
            OrNull(row.lag_ms),
            row.skips,
            row.queue_bytes,
            OrNull(*round_trip_us),
        )
    }
}

/// A stream name in use.
pub(super) struct StreamJson<'a>(pub &'a StreamRow<'a>);

impl fmt::Display for StreamJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamJson(row) = self;
        let description = &row.description;
        let (app, instance, name) = (Text(row.app), Text(row.instance), Text(row.name));
        write!(f, "{{\"id\":\"{}\",\"app\":{app},\"instance\":{instance},\"name\":{name},", row.id)?;
        write!(f, "\"state\":\"{}\",", row.state.name())?;
        match row.state.publisher() {
            Some(id) => write!(f, "\"publisher\":\"{id}\",")?,
            None => f.write_str("\"publisher\":null,")?,
        }
        write!(
            f,
            "\"seconds\":{},\"players\":{},\"skips\":{},\"worst_lag_ms\":{},\"bitrate_bps\":{},\"recorded\":{},\"video\":{},\
             \"audio\":{},",
            row.seconds,
            row.viewers.all(),
            row.skips,
            row.viewers.worst_lag_ms,
            row.bitrate_bps,
            row.recorded,
            OrNull(description.video.as_deref().map(Text)),
            OrNull(description.audio.as_deref().map(Text)),
        )?;
        if let Some(ProgrammeRow { input, seconds, switches }) = row.programme {
            write!(f, "\"input\":\"{input}\",\"input_seconds\":{seconds},\"switches\":{switches},")?;
        }
        match description.frame_rate_milli {
            Some(rate) => write!(f, "\"fps\":{}.{:03},", rate / 1000, rate % 1000)?,
            None => f.write_str("\"fps\":null,")?,
        }
        write!(f, "\"key_frame_ms\":{}}}", OrNull(description.key_frame_interval_ms))
    }
}

/// An application.
pub(super) struct AppJson<'a>(pub &'a AppRow<'a>);

impl fmt::Display for AppJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AppJson(row) = self;
        let kind = match row.kind {
            AppKind::Live => "live",
            AppKind::Vod => "vod",
        };
        let state = match row.state {
            AppState::Reading => "reading",
            // No client can join, so nothing else matters.
            AppState::Ready if row.stopped > 0 => "stopped",
            AppState::Ready => "ready",
            AppState::Broken => "broken",
            AppState::Leaving => "leaving",
        };
        let AppRow { instances, clients, streams, .. } = row;
        write!(
            f,
            "{{\"name\":{},\"kind\":\"{kind}\",\"state\":\"{state}\",\"instances\":{instances},\
             \"clients\":{clients},\"streams\":{streams}}}",
            Text(row.name),
        )
    }
}

/// A recording of the list.
pub(super) struct RecordingJson<'a>(pub &'a ListedRecording);

impl fmt::Display for RecordingJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListedRecording { file, bytes, written_s, state, is_named: _ } = self.0;
        let (file, state) = (Text(file), state.name());
        write!(f, "{{\"file\":{file},\"bytes\":{bytes},\"written\":{written_s},\"state\":\"{state}\"}}")
    }
}

/// Members of an object with a comma behind each.
pub(super) struct MembersJson<'a>(pub &'a [(&'static str, u64)]);

impl fmt::Display for MembersJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| write!(f, "\"{name}\":{count},"))
    }
}

/// How many connections ended, by reason.
pub(super) struct ClosedJson<'a>(pub &'a [u64; Counter::COUNT]);

impl fmt::Display for ClosedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '{';
        for (name, count) in Counter::NAMES.iter().zip(self.0) {
            write!(f, "{separator}\"{name}\":{count}")?;
            separator = ',';
        }
        f.write_char('}')
    }
}

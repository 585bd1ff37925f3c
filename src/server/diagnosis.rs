//! What is wrong, for who asks: what findings are found by ([`crate::live::trouble`], [`crate::live::health`]), and a list of them.

use core::fmt;

use crate::handles::StreamId;
use crate::live::finding::{Figures, Finding, FindingKind, FullTable, PictureFlaw, Remedy};
use crate::live::names::Stream;
use crate::live::trouble::{Audience, Seen};
use crate::time::Millis;
use crate::wire::codec::{Level, Size, VideoInfo};
use crate::wire::flv::Codec;

use super::Server;
use super::close::{CloseReason, TlsFault};
use super::describe::TrackInfo;
use super::json::Joined;

/// The largest picture that phones decode: what is called 4K.
const MOST_PIXELS: Size = Size { width: 4096, height: 2304 };
/// The highest level of H.264 that they know.
const MOST_LEVEL: (u8, u8) = (5, 2);

/// Something that is wrong.
#[derive(Clone, Copy, Debug)]
pub struct ListedFinding<'a> {
    /// Its place in the list.
    pub place: usize,
    /// What.
    pub finding: Finding,
    /// The application and the path of the stream that it is of; `None` is the whole server.
    pub stream: Option<(StreamId, &'a str, &'a str)>,
    /// For how long, in seconds.
    pub seconds: u64,
}

impl Server {
    /// Looks at everything, when it is time for that.
    pub(super) fn diagnose(&mut self, now: Millis) {
        if !self.live.health.is_due(now) {
            return;
        }
        let next =
            |server: &Server, from| server.live.names.next_stream_that(from, |stream| stream.publisher().is_some());
        let (mut from, mut behind, mut viewers) = (0, 0, 0);
        while let Some(id) = next(self, from) {
            from = usize::from(id.0) + 1;
            let of_it = self.viewers(id, now);
            let audience = Audience { behind: of_it.behind, viewers: of_it.all() - of_it.hls };
            self.live.names.stream_mut(id).trouble.audience = audience;
            behind += audience.behind;
            viewers += audience.viewers;
        }
        self.live.health.hooks_down = self.features.hooks.down();
        self.live.health.look((behind, viewers), self.full_counts(), now);
        let network_full = self.live.health.shown(FindingKind::NetworkFull, 0).is_some();
        let (mut from, mut all, mut count) = (0, 0, 0);
        while let Some(id) = next(self, from) {
            from = usize::from(id.0) + 1;
            let seen = self.seen(id, network_full, now);
            self.live.names.look(id, &seen, now);
            let kinds = self.live.names.stream(id).trouble.kinds();
            (all, count) = (all | kinds, count + kinds.count_ones());
        }
        (self.live.health.stream_kinds, self.live.health.stream_findings) = (all, count);
    }

    /// How often there was no place in each table, since the start.
    fn full_counts(&self) -> [u64; FullTable::ALL.len()] {
        let closed = |reason: CloseReason| self.counters.closed[reason.index()];
        FullTable::ALL.map(|table| match table {
            FullTable::Connections => closed(CloseReason::TableFull),
            FullTable::Address => closed(CloseReason::AddressLimit),
            FullTable::Streams => self.counters.streams_exhausted,
            FullTable::Applications => self.counters.applications_exhausted,
            FullTable::Recordings => self.recordings().counts().no_place,
            FullTable::RecordedPlayers => self.counters.recorded_exhausted,
            FullTable::TlsConnections => closed(CloseReason::Tls(TlsFault::Full)),
        })
    }

    fn seen(&self, id: StreamId, network_full: bool, now: Millis) -> Seen {
        let stream = self.live.names.stream(id);
        let Audience { behind, viewers } = stream.trouble.audience;
        let seen = Seen {
            age_ms: now.since(stream.since),
            silent_ms: stream.has_media().then(|| stream.silent_ms(now)),
            behind,
            viewers,
            network_full,
            ..Seen::default()
        };
        let Some(media) = stream.ring.map(|ring| self.live.names.media(ring)) else { return seen };
        let tracks = TrackInfo::of(media);
        Seen {
            late_ms: media.late_ms(),
            has_video: media.has_video(),
            has_key_frame: media.has_key_frame(),
            lost_key_frame: media.has_lost_key_frame(),
            key_frame_ms: media.facts().newest_interval_ms,
            since_key_frame_ms: media.since_key_frame_ms(),
            promises_sound: tracks.promises_sound,
            has_sound: media.has_audio(),
            picture: tracks.video.filter(|_| media.has_video()).and_then(not_for_phones),
            ..seen
        }
    }

    /// What is wrong, the gravest first: the first at place `from` or behind it.
    pub fn next_finding(&self, from: usize, now: Millis) -> Option<ListedFinding<'_>> {
        // Of each kind as many as there may be of one: names, or tables.
        let each = self.live.names.name_count().max(FullTable::ALL.len());
        let row = |index: usize, at: usize, stream, (finding, since)| ListedFinding {
            place: index * each + at,
            finding,
            stream,
            seconds: now.since(since) / 1000,
        };
        for (index, &kind) in FindingKind::ALL.iter().enumerate().skip(from / each) {
            let from = from.saturating_sub(index * each);
            let health = &self.live.health;
            let shown = (from..FullTable::ALL.len()).find_map(|at| health.shown(kind, at).map(|shown| (at, shown)));
            if let Some((at, shown)) = shown {
                return Some(row(index, at, None, shown));
            }
            if health.stream_kinds & 1 << index == 0 {
                continue;
            }
            let shown = |id| self.live.names.stream(id).trouble.shown(kind);
            let is_shown = |stream: &Stream| stream.publisher().is_some() && stream.trouble.shown(kind).is_some();
            if let Some(id) = self.live.names.next_stream_that(from, is_shown) {
                let stream = self.live.names.stream(id);
                let of = (id, self.live.apps.name(stream.app), stream.path.as_str());
                return shown(id).map(|shown| row(index, usize::from(id.0), Some(of), shown));
            }
        }
        None
    }
}

/// Why not every phone can show such a picture.
fn not_for_phones(video: VideoInfo) -> Option<PictureFlaw> {
    if video.codec != Codec::Avc {
        return Some(PictureFlaw::Codec(video.codec));
    }
    // Those of more than 8 bits, and of other colours than 4:2:0.
    if let Some(profile) = video.profile.filter(|profile| profile.contains(['1', '4']) || *profile == "Extended") {
        return Some(PictureFlaw::Profile(profile));
    }
    let is_large = |size: &Size| {
        size.width.max(size.height) > MOST_PIXELS.width || size.width.min(size.height) > MOST_PIXELS.height
    };
    if let Some(size) = video.size.filter(is_large) {
        return Some(PictureFlaw::Size(size));
    }
    let is_high = |level: &Level| (level.major, level.minor) > MOST_LEVEL;
    video.level.filter(is_high).map(PictureFlaw::Level)
}

/// A row as JSON.
pub(super) struct FindingJson<'a>(pub &'a ListedFinding<'a>);

impl fmt::Display for FindingJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListedFinding { finding, stream, seconds, .. } = *self.0;
        write!(f, "{{\"kind\":\"{}\",\"stream\":", finding.kind().row().name)?;
        match stream {
            Some((_, app, path)) => Joined(app, path).fmt(f)?,
            None => f.write_str("null")?,
        }
        // No text of others is in what follows: it needs no escapes.
        write!(
            f,
            ",\"seconds\":{seconds},\"what\":\"{finding}\",\"remedy\":\"{}\",\"figures\":[{}]}}",
            Remedy(finding),
            Figures(finding)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_phones_may_not_show_is_told_from_what_all_of_them_do() {
        let avc = |profile, width, height, major, minor| VideoInfo {
            size: Some(Size { width, height }),
            profile: Some(profile),
            level: Some(Level { major, minor }),
            ..VideoInfo::unknown(Codec::Avc)
        };
        for fine in [
            avc("Constrained Baseline", 640, 360, 3, 0),
            avc("High", 1920, 1080, 4, 2),
            avc("Main", 1080, 1920, 4, 0),
            avc("High", 3840, 2160, 5, 2),
            VideoInfo::unknown(Codec::Avc),
        ] {
            assert_eq!(not_for_phones(fine), None, "{fine}");
        }
        for (video, said) in [
            (avc("High 4:2:2", 1920, 1080, 4, 1), "H.264 High 4:2:2"),
            (avc("High 10", 1920, 1080, 4, 1), "H.264 High 10"),
            (avc("High 4:4:4", 1920, 1080, 4, 1), "H.264 High 4:4:4"),
            (avc("High", 7680, 4320, 6, 0), "7680x4320 H.264"),
            (avc("High", 3840, 2160, 6, 1), "H.264 level 6.1"),
            (VideoInfo::unknown(Codec::Hevc), "HEVC"),
            (VideoInfo::unknown(Codec::Av1), "AV1"),
        ] {
            assert_eq!(not_for_phones(video).unwrap().to_string(), said);
        }
    }
}

//! What of a stream's messages a file of certain tracks can have.

use crate::live::names::Media;
use crate::media::{FragmentTracks, Tag, TagKind};
use crate::wire::flv::{self, CLASSIFY_BYTES, Codec};
use crate::wire::sample::SamplePart;

/// Whether a file of these tracks can have what is in the tag.
pub(super) fn carries(tracks: &FragmentTracks, media: &Media, tag: &Tag) -> bool {
    if tag.kind == TagKind::Data || sample(tracks, media, tag).is_some() {
        return true;
    }
    if media.ring().sample(tag).is_some() {
        return false;
    }
    // Neither a header nor nothing at all, but a frame that is in no MP4 file.
    let mut begin = [0; CLASSIFY_BYTES];
    let read = media.ring().payload_prefix(tag.seq, &mut begin);
    let class = match tag.kind {
        TagKind::Video => flv::video(&begin[..read], tag.length),
        _ => flv::audio(&begin[..read], tag.length),
    };
    class.header.is_some() || class.empty || class.end || class.codec.is_none_or(has_form)
}

/// Whether MP4 has a form for it ([`TrackDescription`](crate::wire::mp4::description::TrackDescription)).
fn has_form(codec: Codec) -> bool {
    use Codec::{Aac, Ac3, Av1, Avc, Eac3, Flac, Hevc, Mp3, Opus, Vp9};
    matches!(codec, Avc | Hevc | Av1 | Vp9 | Aac | Opus | Flac | Mp3 | Ac3 | Eac3)
}

/// The sample in a tag, if it is one of these tracks.
pub(super) fn sample(tracks: &FragmentTracks, media: &Media, tag: &Tag) -> Option<SamplePart> {
    let part = media.ring().sample(tag)?;
    let is_own = match tag.kind {
        TagKind::Video => tracks.video == Some(part.codec),
        TagKind::Audio => tracks.audio.is_some_and(|sound| sound.codec == part.codec),
        TagKind::Data => false,
    };
    is_own.then_some(part)
}

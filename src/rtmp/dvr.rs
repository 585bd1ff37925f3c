//! What players of a stream that is being recorded are told of its recording: the calls of Adobe's DVRCast application, which OSMF, JW
//! Player and FLVPlayback make before they play, and repeat to know how long it is by now.

use crate::wire::amf0::Encoder;
use crate::wire::bytes::Full;

/// The answer to `DVRGetStreamInfo(name)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DvrInfo {
    /// There is a recording.
    Success {
        /// How long it is now, in milliseconds.
        ms: u64,
        /// It is being made.
        is_recording: bool,
    },
    /// Nothing of it can be played yet, or known: the client asks again, after two seconds or three.
    Retry,
    /// There is none.
    Failed,
}

/// So often a client is to ask again.
const RETRIES: f64 = 5.0;

impl DvrInfo {
    const fn code(self) -> &'static str {
        match self {
            DvrInfo::Success { .. } => "NetStream.DVRStreamInfo.Success",
            DvrInfo::Retry => "NetStream.DVRStreamInfo.Retry",
            DvrInfo::Failed => "NetStream.DVRStreamInfo.Failed",
        }
    }

    /// Writes it for what the client calls `name`. Lengths are seconds. A recording has no limit here and is played from its
    /// beginning: what an encoder would have set by `DVRSetStreamInfo` is 0. When it began is not said, as there may be no clock.
    pub(super) fn emit(self, name: &str, amf: &mut Encoder<'_, '_>) -> Result<(), Full> {
        amf.object_begin()?;
        amf.property_string("code", self.code())?;
        amf.key("data")?;
        let (ms, is_recording) = match self {
            DvrInfo::Success { ms, is_recording } => (ms, is_recording),
            DvrInfo::Retry => (0, true),
            DvrInfo::Failed => {
                amf.null()?;
                return amf.object_end();
            }
        };
        amf.object_begin()?;
        amf.property_string("streamName", name)?;
        amf.property_number("currLen", ms as f64 / 1000.0)?;
        for key in ["maxLen", "begOffset", "endOffset"] {
            amf.property_number(key, 0.0)?;
        }
        amf.property_boolean("isRec", is_recording)?;
        for key in ["offline", "append"] {
            amf.property_boolean(key, false)?;
        }
        for key in ["callTime", "startRec", "stopRec"] {
            amf.key(key)?;
            amf.null()?;
        }
        amf.property_number("retry", RETRIES)?;
        amf.object_end()?;
        amf.object_end()
    }
}

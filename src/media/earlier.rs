//! What the headers were before they changed, as far as segments need it that are still listed: an init segment that is ready, and what
//! fragments behind it depend on.

use super::fragment::FragmentTracks;
use super::tracks::StreamTracks;

/// Longest init segment that is kept, in bytes: that of a stream of two tracks has about 1100.
pub const EARLIER_INIT_BYTES: usize = 2048;

/// The init segment of earlier headers, or none.
#[derive(Clone, Debug, Default)]
pub struct EarlierInit {
    mark: u32,
    tracks: FragmentTracks,
    bytes: heapless::Vec<u8, EARLIER_INIT_BYTES>,
}

impl EarlierInit {
    /// That of headers of this mark. None when it is longer than [`EARLIER_INIT_BYTES`].
    pub fn of(mark: u32, found: &StreamTracks<'_>) -> EarlierInit {
        let mut bytes = heapless::Vec::new();
        if found.init.bytes() as usize <= EARLIER_INIT_BYTES
            && bytes.resize_default(found.init.bytes() as usize).is_ok()
        {
            found.init.read_at(0, &mut bytes);
        }
        EarlierInit { mark, tracks: found.tracks, bytes }
    }

    /// The init segment, and what fragments behind it depend on, if it is of headers of this mark.
    pub fn find(&self, mark: u32) -> Option<(&[u8], &FragmentTracks)> {
        (self.mark == mark && !self.bytes.is_empty()).then_some((&self.bytes[..], &self.tracks))
    }
}

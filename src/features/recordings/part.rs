//! What files of all kinds have in common: a time of their own, and blocks that parts of them are put into.

/// What became of a fragment of which a block was to have as much as it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The block is full.
    Part,
    /// All of it is in blocks.
    Whole,
    /// It is gone from the ring.
    Lost,
}

/// The time of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileClock {
    /// The stream's time at the file's time 0, in milliseconds.
    base_ms: u32,
}

impl FileClock {
    /// At this time of the stream it is that time of the file, both in milliseconds.
    pub(super) fn new(stream_ms: u32, file_ms: u32) -> FileClock {
        FileClock { base_ms: stream_ms.wrapping_sub(file_ms) }
    }

    /// The file's time of one of the stream's, in milliseconds.
    pub(super) fn file_ms(self, stream_ms: u32) -> u32 {
        // What lies a little before the first frame has its time.
        u32::try_from(self.signed_ms(stream_ms)).unwrap_or(0)
    }

    /// The same, which is less than 0 a little before the first frame.
    pub(super) fn signed_ms(self, stream_ms: u32) -> i64 {
        i64::from(stream_ms.wrapping_sub(self.base_ms).cast_signed())
    }

    /// There is a pause of so many milliseconds that the stream does not have.
    pub(super) fn pause(&mut self, gap_ms: u32) {
        self.base_ms = self.base_ms.wrapping_sub(gap_ms);
    }
}

//! What is recorded, and how: what the configuration says for all applications, and each application's own file for it.

/// What is recorded of an application, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// Which of its streams are recorded without being asked for.
    pub on: RecordOn,
    /// What files are made, unless a publisher asks for another. What MP4 cannot carry is recorded as FLV.
    pub container: RecordContainer,
    /// Who plays a live stream from its beginning (a start of 0) is sent what was recorded of it, and follows. Clients that mean what is
    /// live send 0, too.
    pub dvr: bool,
    /// How long a file is, in seconds: 10 to 86 400. It ends at the first key frame from then on, without key frames at twice that.
    pub segment_s: u32,
    /// The largest file, in bytes: 16 MiB to 3993 MiB, as a FAT file system ends a file at 4 GiB.
    pub max_segment_bytes: u64,
    /// A publisher who is back within so many milliseconds with equal headers goes on in the same file: 0 (never) to 600 000.
    pub join_ms: u64,
    /// What is written is on the medium after so many milliseconds at most, and a fragment: 250 to 60 000.
    pub sync_ms: u64,
    /// A program with its arguments that is run when a file is complete; empty for none. Its file comes behind them.
    pub on_complete: Vec<String>,
}

impl Default for RecordSettings {
    fn default() -> RecordSettings {
        RecordSettings {
            on: RecordOn::None,
            container: RecordContainer::Mp4,
            dvr: false,
            segment_s: 1800,
            max_segment_bytes: 3990 << 20,
            join_ms: 10_000,
            sync_ms: 2000,
            on_complete: Vec::new(),
        }
    }
}

/// A kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordContainer {
    /// MP4: of fragments while it is written, so that it can be played at every moment, and an ordinary file when it is complete.
    #[default]
    Mp4,
    /// FLV, which carries everything that RTMP does.
    Flv,
}

impl RecordContainer {
    /// Each, by its name in the configuration.
    pub const ALL: [(&'static str, RecordContainer); 2] =
        [("mp4", RecordContainer::Mp4), ("flv", RecordContainer::Flv)];

    /// What a file of it is called at its end.
    pub const fn ending(self) -> &'static str {
        match self {
            RecordContainer::Mp4 => ".mp4",
            RecordContainer::Flv => ".flv",
        }
    }
}

/// Which streams are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordOn {
    /// None, unless somebody asks.
    #[default]
    None,
    /// All.
    All,
    /// Those with these names. A `*` at the end of one stands for anything.
    Named(Vec<String>),
}

impl RecordOn {
    /// Whether it holds for the stream of this path. An input of a programme (`is_input`) has to be named itself.
    pub fn includes(&self, path: &str, is_input: bool) -> bool {
        match self {
            RecordOn::None => false,
            RecordOn::All => !is_input,
            RecordOn::Named(names) => names.iter().any(|name| is_named(name, path, is_input)),
        }
    }
}

/// Whether a stream's path is the one that `name` says, at the end of which a `*` stands for anything but an input of a programme.
pub fn is_named(name: &str, path: &str, is_input: bool) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => !is_input && path.starts_with(beginning),
        None => path == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_list_and_a_star_stands_for_the_rest() {
        let on = RecordOn::Named(vec!["cam1".to_owned(), "hall/*".to_owned()]);
        for (path, is) in [("cam1", true), ("cam10", false), ("hall/left", true), ("hall/a/b", true), ("hall", false)] {
            assert_eq!(on.includes(path, false), is, "{path}");
        }
        assert!(RecordOn::All.includes("x", false) && !RecordOn::None.includes("x", false));
        // An input is meant by its own name alone.
        assert!(on.includes("cam1", true) && !on.includes("hall/left", true) && !RecordOn::All.includes("x", true));
    }
}

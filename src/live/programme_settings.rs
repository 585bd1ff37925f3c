//! Streams that the server makes of several inputs: `[[stream]]` of an `app.toml`, as plain data.

/// What the main input of a programme is called: this behind the programme's name.
pub const MAIN_INPUT: &str = ".main";

/// A `[[stream]]`: what viewers watch under one name comes from the encoder that publishes that name, or when it has nothing from
/// another stream, or in the end from a recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgrammeSettings {
    /// What viewers watch: its path in the application.
    pub name: String,
    /// Another stream of the application, by its path.
    pub backup: Option<String>,
    /// A recorded stream of the application, as a player would name it.
    pub slate: Option<String>,
    /// After so long without audio and video an input counts as silent, in milliseconds: 500 to 60 000.
    pub silent_ms: u64,
    /// The main input has to be back for so long without being silent before it takes over from the backup, in milliseconds: 0 to
    /// 600 000.
    pub steady_ms: u64,
    /// So long the slate is shown at most, in seconds: up to 86 400, and 0 is for ever.
    pub slate_s: u32,
}

impl ProgrammeSettings {
    /// Whether a stream of that path is its main input.
    pub fn has_main(&self, path: &str) -> bool {
        path.strip_suffix(MAIN_INPUT) == Some(self.name.as_str())
    }

    /// Whether a stream of that path is one of its inputs.
    pub fn has_input(&self, path: &str) -> bool {
        self.has_main(path) || self.backup.as_deref() == Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_encoders_stream_under_another_name_and_the_backup() {
        let of = |backup: Option<&str>| ProgrammeSettings {
            name: "cam1".to_owned(),
            backup: backup.map(str::to_owned),
            slate: None,
            silent_ms: 2000,
            steady_ms: 5000,
            slate_s: 0,
        };
        for (path, main, input) in
            [("cam1", false, false), ("cam1.main", true, true), ("b", false, true), ("x/cam1.main", false, false)]
        {
            let programme = of(Some("b"));
            assert_eq!((programme.has_main(path), programme.has_input(path)), (main, input), "{path}");
        }
        assert!(!of(None).has_input("b"));
    }
}

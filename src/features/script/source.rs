//! What a script is made of and what it may use: plain data, read from disk by whoever composes the server.

/// The text of a script with everything that it may `load()`. Names are relative to the application's directory
/// (`main.asc`, `scripts/x.asc`); files of the library path follow under their bare names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `secure.asc` beside the main file, which runs first.
    pub secure: Option<SourceFile>,
    /// The main file.
    pub main: SourceFile,
    /// What `load()` finds, in the order in which it looks.
    pub others: Vec<SourceFile>,
}

/// One file of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as messages show it and `load()` asks for it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What one instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Heap of the script in bytes.
    pub memory_bytes: u64,
    /// Its stack in bytes.
    pub stack_bytes: u64,
    /// Time of one call into it, in milliseconds.
    pub call_ms: u32,
    /// Time in which it is loaded and `onAppStart` runs, in milliseconds.
    pub load_ms: u32,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { memory_bytes: 2 << 20, stack_bytes: 128 << 10, call_ms: 25, load_ms: 250 }
    }
}

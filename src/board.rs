//! Board profiles: what is known of a kind of board, and how much the server takes on it by default.
//!
//! A profile is a file in `boards/`; the binary carries them all. Adding a board is adding a file and its line in
//! [`PROFILES`]. The build scripts read the same files, so that a fact stands in one place.

use std::ops::Range;
use std::sync::OnceLock;

use toml::de::{DeTable, DeValue};

/// A kind of board, or of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// The file's name without its ending; what `--board` takes.
    pub name: &'static str,
    /// One line for people.
    pub description: String,
    /// Rust target triple of its static binary.
    pub target: String,
    /// The CPU that qemu-user emulates to test that binary.
    pub cpu: String,
    /// Memory of the smallest such board, in bytes.
    pub ram_bytes: u64,
    /// Beginnings of `/proc/device-tree/model` that mean this board. Empty: it is only chosen by name.
    pub models: Vec<String>,
    /// How much the server takes on it unless the configuration says otherwise.
    pub limits: Counts,
}

/// The counts that size the server's memory. They are fixed when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Connections at once, of whatever kind.
    pub connections: u32,
    /// Streams at once, and so rings.
    pub streams: u32,
    /// Size of each stream's ring, in bytes.
    pub ring_bytes: u64,
    /// The most that the memory table may come to, in bytes.
    pub ram_budget_bytes: u64,
    /// Application instances with a script at once.
    pub script_instances: u32,
}

/// Every profile: its name and its file.
const PROFILES: [(&str, &str); 6] = [
    (GENERIC, include_str!("../boards/generic.toml")),
    ("host", include_str!("../boards/host.toml")),
    ("rpi-zero", include_str!("../boards/rpi-zero.toml")),
    ("rpi-2", include_str!("../boards/rpi-2.toml")),
    ("rpi-64", include_str!("../boards/rpi-64.toml")),
    ("rpi-5", include_str!("../boards/rpi-5.toml")),
];

/// The board that is assumed when nothing is known.
const GENERIC: &str = "generic";

/// Every board there is a profile for; `generic` is the first.
pub fn all() -> &'static [Board] {
    static BOARDS: OnceLock<Vec<Board>> = OnceLock::new();
    BOARDS.get_or_init(|| {
        let parsed: Result<_, String> = PROFILES.iter().map(|&(name, text)| parse(name, text)).collect();
        // The files are part of the binary, and a test parses them all.
        parsed.expect("an embedded board profile is valid")
    })
}

/// The board called `name`.
pub fn by_name(name: &str) -> Option<&'static Board> {
    all().iter().find(|board| board.name == name)
}

/// The board that this machine is, by the text of `/proc/device-tree/model`: the longest matching beginning wins.
/// `generic` when there is no such text or nobody claims it.
pub fn detect(model: Option<&str>) -> &'static Board {
    // The kernel ends the text with a zero byte.
    let model = model.unwrap_or("").trim_end_matches('\0').trim();
    let claims = all().iter().flat_map(|board| board.models.iter().map(move |prefix| (prefix, board)));
    claims
        .filter(|(prefix, _)| model.starts_with(prefix.as_str()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(&all()[0], |(_, board)| board)
}

/// The line of `text` that byte `offset` is in, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

/// A number of bytes: an integer, or an integer and `KiB`, `MiB` or `GiB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) =
        units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift))).unwrap_or((text, 0));
    let number: u64 = digits.trim_end().parse().ok()?;
    number.checked_mul(1 << shift)
}

/// A number of bytes as [`parse_bytes`] reads it, in the largest unit that divides it.
pub fn format_bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|&&(_, shift)| bytes >= 1 << shift && bytes.trailing_zeros() >= shift) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// The value of a TOML integer; `None` when it does not fit.
pub fn integer(value: &DeValue) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Reads the profile `name` from `text`. The error names file, line and key.
fn parse(name: &'static str, text: &str) -> Result<Board, String> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        format!("boards/{name}.toml:{line}: {}", error.message())
    })?;
    let mut profile = Section { name, text, path: "", span: table.span(), table: table.into_inner() };
    let limits = profile.take("limits", "a table", |value| match value {
        DeValue::Table(table) => Some(std::mem::take(table)),
        _ => None,
    })?;
    let mut limits = Section { path: "limits.", table: limits, span: profile.span.clone(), ..profile };
    let counts = Counts {
        connections: limits.count("connections")?,
        streams: limits.count("streams")?,
        ring_bytes: limits.bytes("ring_bytes")?,
        ram_budget_bytes: limits.bytes("ram_budget_bytes")?,
        script_instances: limits.count("script_instances")?,
    };
    limits.finish()?;
    let board = Board {
        name,
        description: profile.string("description")?,
        target: profile.string("target")?,
        cpu: profile.string("cpu")?,
        ram_bytes: profile.bytes("ram_bytes")?,
        models: profile.take("models", "a list of strings", |value| {
            value.as_array()?.iter().map(|model| model.get_ref().as_str().map(str::to_owned)).collect()
        })?,
        limits: counts,
    };
    profile.finish()?;
    Ok(board)
}

/// A table of a profile whose keys are taken out one by one, so that what is left is unknown.
struct Section<'i> {
    name: &'static str,
    text: &'i str,
    /// What stands before a key's name in messages.
    path: &'static str,
    span: Range<usize>,
    table: DeTable<'i>,
}

impl<'i> Section<'i> {
    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&mut DeValue<'i>) -> Option<T>,
    ) -> Result<T, String> {
        let Some(mut value) = self.table.remove(key) else {
            return Err(self.error(&self.span, key, "is missing"));
        };
        let span = value.span();
        read(value.get_mut()).ok_or_else(|| self.error(&span, key, &format!("must be {expected}")))
    }

    fn string(&mut self, key: &str) -> Result<String, String> {
        self.take(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn count(&mut self, key: &str) -> Result<u32, String> {
        self.take(key, "a positive integer", |value| u32::try_from(integer(value)?).ok().filter(|&count| count > 0))
    }

    fn bytes(&mut self, key: &str) -> Result<u64, String> {
        self.take(key, "bytes, like \"4MiB\"", |value| parse_bytes(value.as_str()?))
    }

    fn finish(&self) -> Result<(), String> {
        match self.table.keys().next() {
            Some(key) => Err(self.error(&key.span(), key.get_ref(), "is not known")),
            None => Ok(()),
        }
    }

    fn error(&self, span: &Range<usize>, key: &str, problem: &str) -> String {
        format!("boards/{}.toml:{}: {}{key} {problem}", self.name, line_of(self.text, span.start), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_profile_parses() {
        for (name, text) in PROFILES {
            assert_eq!(parse(name, text).map(|board| board.name), Ok(name));
        }
    }

    #[test]
    fn every_file_in_boards_is_embedded() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/boards")).unwrap();
        for file in files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|e| e == "toml"))
        {
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert!(by_name(name).is_some(), "boards/{name}.toml is not in PROFILES");
        }
    }

    #[test]
    fn every_profile_fits_its_budget_and_half_its_memory() {
        for board in all() {
            let counts = board.limits;
            // 12 KiB is the most a connection may cost; 128 KiB covers a stream's tag index and cached headers.
            let need = u64::from(counts.connections) * (12 << 10)
                + u64::from(counts.streams) * (counts.ring_bytes + (128 << 10));
            assert!(need <= counts.ram_budget_bytes, "{} needs {need} bytes", board.name);
            assert!(counts.ram_budget_bytes <= board.ram_bytes / 2, "{}", board.name);
        }
    }

    #[test]
    fn the_longest_beginning_of_the_model_decides() {
        for (model, name) in [
            ("Raspberry Pi Zero W Rev 1.1\0", "rpi-zero"),
            ("Raspberry Pi Model B Plus Rev 1.2", "rpi-zero"),
            ("Raspberry Pi Compute Module Rev 1.0", "rpi-zero"),
            ("Raspberry Pi Zero 2 W Rev 1.0\0", "rpi-64"),
            ("Raspberry Pi Compute Module 3 Plus Rev 1.0", "rpi-64"),
            ("Raspberry Pi 400 Rev 1.0", "rpi-64"),
            ("Raspberry Pi 2 Model B Rev 1.1", "rpi-2"),
            ("Raspberry Pi 500 Rev 1.0", "rpi-5"),
            ("Raspberry Pi Compute Module 5 Rev 1.0", "rpi-5"),
            ("Xunlong Orange Pi Zero", "generic"),
        ] {
            assert_eq!(detect(Some(model)).name, name, "{model}");
        }
        assert_eq!(detect(None).name, "generic");
    }

    #[test]
    fn a_wrong_profile_is_an_error_with_file_line_and_key() {
        let good = PROFILES[0].1;
        let unknown = format!("{good}colour = \"red\"\n");
        let line = good.lines().count() + 1;
        assert_eq!(parse("x", &unknown).unwrap_err(), format!("boards/x.toml:{line}: limits.colour is not known"));
        let wrong = format!("cpu = 7\n{}", good.replace("cpu =", "cpu2 ="));
        assert_eq!(parse("x", &wrong).unwrap_err(), "boards/x.toml:1: cpu must be a string");
        assert_eq!(
            parse("x", &good.replace("streams = 8", "")).unwrap_err(),
            "boards/x.toml:1: limits.streams is missing"
        );
        assert!(parse("x", "models = [").unwrap_err().starts_with("boards/x.toml:1: "));
    }

    #[test]
    fn byte_sizes_are_read_as_they_are_written() {
        for (text, bytes) in [("0", 0), ("1000", 1000), ("512KiB", 512 << 10), ("4 MiB", 4 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(parse_bytes(text), Some(bytes));
            assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
        }
        assert_eq!(format_bytes(1536 << 10), "1536KiB");
        for text in ["", "MiB", "4MB", "-1", "1.5MiB", "17179869184GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}

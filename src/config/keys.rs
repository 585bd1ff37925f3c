//! Reading a TOML file by a table of its keys. The configuration and the applications' own files are read by it, so that
//! both say alike what is wrong: file, line, key, value and what is allowed.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use toml::de::{DeTable, DeValue};

use crate::board::{format_bytes, integer, line_of, parse_bytes};
use crate::text::Plain;

/// One key of a file that is read into a `C`.
pub struct Key<C: 'static> {
    /// The key's path, like `live.merge_ms`.
    pub path: &'static str,
    /// When a value that is written while the server runs takes effect.
    pub takes_effect: TakesEffect,
    /// What the key means, in one line.
    pub help: &'static str,
    /// Where its value goes.
    pub key_type: KeyType<C>,
}

/// When the value of a key that is changed while the server runs takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// When its file is read again.
    AtOnce,
    /// When the server is started again: memory, sockets or paths were obtained by it.
    AtStart,
}

/// Where a key's value goes, which is also its type, and what it may be.
pub enum KeyType<C: 'static> {
    /// A number.
    Count(fn(&mut C) -> &mut u32, RangeInclusive<u32>),
    /// A time in milliseconds.
    Millis(fn(&mut C) -> &mut u64, RangeInclusive<u64>),
    /// Bytes, also with a unit.
    Bytes(fn(&mut C) -> &mut u64, RangeInclusive<u64>),
    /// Yes or no.
    Switch(fn(&mut C) -> &mut bool),
    /// Anything else.
    Value(CustomValue<C>),
    /// A table with keys of the user's own choice. The value is put in once for each, or once as a whole.
    Table(Table<C>),
}

/// A value that has a form of its own.
pub struct CustomValue<C: 'static> {
    /// Puts it in its place.
    pub put: fn(&mut C, &DeValue<'_>) -> Result<(), Wrong>,
    /// Takes the value over from another `C`; `None` where that is never done key by key.
    pub carry: Option<fn(&mut C, &C)>,
    /// The value in force.
    pub show: fn(&mut C) -> String,
    /// What may be put there, for messages that begin with "must be".
    pub allowed: fn() -> String,
    /// Its values are words, which need no quotes on the command line.
    pub is_text: bool,
    /// It must not be shown.
    pub is_secret: bool,
}

/// A table with keys of the user's own choice.
pub struct Table<C: 'static> {
    /// Puts one entry in its place, with its key.
    pub put: fn(&mut C, &str, &DeValue<'_>) -> Result<(), Wrong>,
    /// What may be put there.
    pub allowed: &'static str,
    /// Its values must not be shown.
    pub is_secret: bool,
}

/// Why a value cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not what is allowed.
    NotAllowed,
    /// It is wrong for this reason, with which the message ends.
    Because(String),
}

/// A key of the file as a line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The key's path, like `live.merge_ms`.
    pub key: &'static str,
    /// The value in force, as it could be written after `--set`.
    pub value: String,
    /// The value is written in quotes in a file.
    pub quoted: bool,
    /// Where the value comes from.
    pub origin: Origin,
    /// When another value takes effect.
    pub takes_effect: TakesEffect,
    /// What the key means, in one line.
    pub help: &'static str,
    /// What may be set.
    pub allowed: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server's own default.
    Default,
    /// The profile of this board.
    Board(&'static str),
    /// This line of this file.
    File {
        /// The file's name as it was given.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// The command line.
    Set,
}

/// Something wrong in a file or on the command line. It is displayed as one line that says where, which key and what is
/// allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(super) String);

/// What is read, while it is read.
pub struct Reading<C: 'static> {
    target: C,
    keys: &'static [Key<C>],
    origins: Vec<Origin>,
    errors: Vec<ConfigError>,
    /// Values of unknown keys are not shown: one may be a secret under a misspelt name.
    discreet: bool,
    /// What to say of a key that is like no other.
    hint: &'static str,
}

/// A value as somebody wrote it, for messages.
struct Written<'a> {
    origin: Origin,
    /// Its own text.
    text: &'a str,
}

impl<C> KeyType<C> {
    /// Puts `value` in its place.
    fn put(&self, target: &mut C, value: &DeValue<'_>) -> Result<(), Wrong> {
        match self {
            KeyType::Count(place, range) => *place(target) = within(value, range)?,
            KeyType::Millis(place, range) => *place(target) = within(value, range)?,
            KeyType::Bytes(place, range) => {
                let bytes = match value.as_str() {
                    Some(text) => parse_bytes(text),
                    None => integer(value).and_then(|bytes| u64::try_from(bytes).ok()),
                };
                *place(target) = bytes.filter(|bytes| range.contains(bytes)).ok_or(Wrong::NotAllowed)?;
            }
            KeyType::Switch(place) => *place(target) = value.as_bool().ok_or(Wrong::NotAllowed)?,
            KeyType::Value(own) => (own.put)(target, value)?,
            // Only reached when something else stands where the table belongs.
            KeyType::Table(_) => return Err(Wrong::Because("must be a table".to_owned())),
        }
        Ok(())
    }

    /// Takes the value over from `other`.
    fn carry(&self, target: &mut C, other: &mut C) {
        match self {
            KeyType::Count(place, _) => *place(target) = *place(other),
            KeyType::Millis(place, _) | KeyType::Bytes(place, _) => *place(target) = *place(other),
            KeyType::Switch(place) => *place(target) = *place(other),
            KeyType::Value(own) => own.carry.into_iter().for_each(|carry| carry(target, other)),
            KeyType::Table(_) => {}
        }
    }

    /// The value in force.
    fn show(&self, target: &mut C) -> String {
        match self {
            KeyType::Count(place, _) => place(target).to_string(),
            KeyType::Millis(place, _) => place(target).to_string(),
            KeyType::Bytes(place, _) => format_bytes(*place(target)),
            KeyType::Switch(place) => place(target).to_string(),
            KeyType::Value(own) => (own.show)(target),
            KeyType::Table(_) => String::new(),
        }
    }

    /// What may be put there, for messages that begin with "must be".
    pub fn allowed(&self) -> String {
        match self {
            KeyType::Count(_, range) => format!("{}..={}", range.start(), range.end()),
            KeyType::Millis(_, range) => format!("{}..={}", range.start(), range.end()),
            KeyType::Bytes(_, range) => {
                format!("bytes, {}..={}", format_bytes(*range.start()), format_bytes(*range.end()))
            }
            KeyType::Switch(_) => "true or false".to_owned(),
            KeyType::Value(own) => (own.allowed)(),
            KeyType::Table(table) => table.allowed.to_owned(),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, KeyType::Value(CustomValue { is_text: true, .. }))
    }

    fn is_secret(&self) -> bool {
        matches!(
            self,
            KeyType::Value(CustomValue { is_secret: true, .. }) | KeyType::Table(Table { is_secret: true, .. })
        )
    }
}

/// Takes over from `wanted` what takes effect at once.
pub(super) fn carry_over<C>(keys: &[Key<C>], target: &mut C, wanted: &mut C) {
    for key in keys.iter().filter(|key| key.takes_effect == TakesEffect::AtOnce) {
        key.key_type.carry(target, wanted);
    }
}

/// Whether each key that takes effect at once can be taken over. It is asked when the program is built.
pub(super) const fn can_be_carried<C>(keys: &[Key<C>]) -> bool {
    let mut at = 0;
    while at < keys.len() {
        let key = &keys[at];
        let carried = !matches!(key.key_type, KeyType::Value(CustomValue { carry: None, .. }) | KeyType::Table(_));
        if !carried && matches!(key.takes_effect, TakesEffect::AtOnce) {
            return false;
        }
        at += 1;
    }
    true
}

/// The integer `value`, if it is one of the range.
pub fn within<T: TryFrom<i64> + PartialOrd>(value: &DeValue<'_>, range: &RangeInclusive<T>) -> Result<T, Wrong> {
    let number = integer(value).and_then(|number| T::try_from(number).ok());
    number.filter(|number| range.contains(number)).ok_or(Wrong::NotAllowed)
}

impl<C> Reading<C> {
    /// Reads over the defaults in `target`. `hint` is said of a key that is like no other.
    pub fn new(target: C, keys: &'static [Key<C>], hint: &'static str) -> Reading<C> {
        Reading { target, keys, origins: vec![Origin::Default; keys.len()], errors: Vec::new(), discreet: false, hint }
    }

    /// Shows no values of unknown keys, because the file holds secrets.
    pub fn discreet(self) -> Reading<C> {
        Reading { discreet: true, ..self }
    }

    /// Says where the default of a key comes from.
    pub fn set_origin(&mut self, path: &str, origin: Origin) {
        if let Some(index) = self.find(path) {
            self.origins[index] = origin;
        }
    }

    /// Lays a file over what was read so far.
    pub fn file(&mut self, name: &str, text: &str) {
        let (table, syntax_errors) = DeTable::parse_recoverable(text);
        for error in syntax_errors {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let problem = if error.message() == "duplicate key" { said_before(text, line) } else { None };
            let problem = problem.unwrap_or_else(|| error.message().to_owned());
            self.errors.push(ConfigError(format!("{name}:{line}: {problem}")));
        }
        // The tables are ordered by name; people read a file by line.
        let mut leaves = Vec::new();
        self.flatten("", table.get_ref(), &mut leaves);
        leaves.sort_by_key(|leaf| leaf.start);
        for leaf in leaves {
            let line = line_of(text, leaf.start);
            if let (DeValue::Table(_), None) = (leaf.value, &leaf.table)
                && let Some(problem) = self.unknown_table(&leaf.path)
            {
                self.errors.push(ConfigError(format!("{name}:{line}: [{}]: {problem}", leaf.path)));
                continue;
            }
            let origin = Origin::File { name: name.to_owned(), line };
            let written = Written { origin, text: text.get(leaf.value_span).unwrap_or("") };
            match leaf.table {
                Some((index, key)) => self.put_entry(index, &leaf.path, &key, leaf.value, &written),
                None => self.put(&leaf.path, leaf.value, &written),
            }
        }
    }

    /// Lays `key.path=value` over what was read so far.
    pub fn set(&mut self, set: &str) {
        let Some((path, written)) = set.split_once('=') else {
            self.errors.push(ConfigError(format!("--set {set}: must be key.path=value")));
            return;
        };
        let (path, written) = (path.trim(), written.trim());
        // What is not TOML is taken as text, so that a word needs no quotes within the shell's own.
        let text = || DeValue::String(written.into());
        let value = match DeValue::parse(written).map(|value| value.into_inner()) {
            Ok(value)
                if value.is_str() || !self.find(path).is_some_and(|index| self.keys[index].key_type.is_text()) =>
            {
                value
            }
            _ => text(),
        };
        self.put(path, &value, &Written { origin: Origin::Set, text: written });
    }

    /// What was read, and a row for each key.
    ///
    /// # Errors
    ///
    /// Every unknown key, wrong type and value out of range, in the order they were written.
    pub fn finish(mut self) -> Result<(C, Vec<KeyRow>), Vec<ConfigError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let rows = self.keys.iter().zip(self.origins).map(|(key, origin)| {
            let value = key.key_type.show(&mut self.target);
            KeyRow {
                key: key.path,
                quoted: is_quoted(&key.key_type, &value),
                value,
                origin,
                takes_effect: key.takes_effect,
                help: key.help,
                allowed: key.key_type.allowed(),
            }
        });
        let rows = rows.collect();
        Ok((self.target, rows))
    }

    fn put(&mut self, path: &str, value: &DeValue<'_>, written: &Written<'_>) {
        let Some(index) = self.find(path) else {
            let is_table = self.keys.iter().any(|key| key.path.split('.').next() == Some(path));
            let problem = if is_table { "must be a table".to_owned() } else { self.unknown(path) };
            return self.error(path, written, self.discreet, &problem);
        };
        let key_type = &self.keys[index].key_type;
        let result = key_type.put(&mut self.target, value);
        self.took(index, path, written, result);
    }

    fn put_entry(&mut self, index: usize, path: &str, key: &str, value: &DeValue<'_>, written: &Written<'_>) {
        let KeyType::Table(table) = &self.keys[index].key_type else { return };
        let result = (table.put)(&mut self.target, key, value);
        self.took(index, path, written, result);
    }

    fn took(&mut self, index: usize, path: &str, written: &Written<'_>, result: Result<(), Wrong>) {
        let key_type = &self.keys[index].key_type;
        let problem = match result {
            Ok(()) => return self.origins[index] = written.origin.clone(),
            Err(Wrong::NotAllowed) => format!("must be {}", key_type.allowed()),
            Err(Wrong::Because(problem)) => problem,
        };
        self.error(path, written, key_type.is_secret(), &problem);
    }

    fn error(&mut self, path: &str, written: &Written<'_>, is_secret: bool, problem: &str) {
        let text = if is_secret { "…".to_owned() } else { shorten(written.text) };
        self.errors.push(ConfigError(match &written.origin {
            Origin::File { name, line } => format!("{name}:{line}: {path} = {text}: {problem}"),
            _ => format!("--set {path}={text}: {problem}"),
        }));
    }

    /// Collects what is not a table, and tables that stand where a value belongs.
    fn flatten<'a, 'i>(&self, prefix: &str, table: &'a DeTable<'i>, leaves: &mut Vec<Leaf<'a, 'i>>) {
        for (key, value) in table {
            let name = key.get_ref();
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
            let found = self.find(&path);
            let own = found.filter(|&index| matches!(self.keys[index].key_type, KeyType::Table(_)));
            match value.get_ref() {
                DeValue::Table(entries) if let Some(index) = own => {
                    leaves.extend(entries.iter().map(|(key, value)| Leaf {
                        path: format!("{path}.{}", key.get_ref()),
                        table: Some((index, key.get_ref().to_string())),
                        start: key.span().start,
                        value: value.get_ref(),
                        value_span: value.span(),
                    }));
                }
                // One error for a table is enough, if that says what was meant; and one that is empty has nothing else.
                DeValue::Table(inner)
                    if found.is_none()
                        && (!self.is_table(&path) && (inner.is_empty() || self.near_table(&path).is_some())) =>
                {
                    leaves.push(Leaf {
                        path,
                        table: None,
                        start: key.span().start,
                        value: value.get_ref(),
                        value_span: value.span(),
                    });
                }
                DeValue::Table(inner) if found.is_none() => self.flatten(&path, inner, leaves),
                inner => leaves.push(Leaf {
                    path,
                    table: None,
                    start: key.span().start,
                    value: inner,
                    value_span: value.span(),
                }),
            }
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.keys.iter().position(|key| key.path == path)
    }

    /// The names of tables, as often as they have keys.
    fn tables(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter_map(|key| match key.key_type {
            KeyType::Table(_) => Some(key.path),
            _ => key.path.rsplit_once('.').map(|(table, _)| table),
        })
    }

    fn is_table(&self, path: &str) -> bool {
        self.tables().any(|table| table == path)
    }

    /// The table that may have been meant.
    fn near_table(&self, path: &str) -> Option<&'static str> {
        let (distance, nearest) = self.tables().map(|table| (edits(table, path), table)).min()?;
        (distance <= 1 + path.len() / 3).then_some(nearest)
    }

    /// What is wrong with a table, if there is to be none of that name.
    fn unknown_table(&self, path: &str) -> Option<String> {
        if self.is_table(path) || self.find(path).is_some() {
            return None;
        }
        Some(match self.near_table(path) {
            Some(near) => format!("unknown table, did you mean [{near}]?"),
            None => format!("unknown table, {}", self.hint),
        })
    }

    fn unknown(&self, path: &str) -> String {
        let name = |path: &str| path.rsplit('.').next().unwrap_or("").to_owned();
        // The right name in the wrong table is the likeliest mistake, and looks far off.
        let distance = |key: &Key<C>| if name(key.path) == name(path) { 0 } else { edits(key.path, path) };
        match self.keys.iter().map(|key| (distance(key), key.path)).min() {
            Some((distance, nearest)) if distance <= path.len() / 3 => {
                format!("unknown key, did you mean {nearest}?")
            }
            _ => format!("unknown key, {}", self.hint),
        }
    }
}

/// What to do about a table or key of `line` that an earlier line has, too. It is for people: a line that only looks like
/// one, within a text of several lines, misleads it.
fn said_before(text: &str, line: usize) -> Option<String> {
    let mut header = String::new();
    // A header of a table, or a key with the header that it stands under.
    let mut said = |line: &str| {
        let line = line.trim();
        if line.starts_with('[') {
            // Without the second bracket and the spaces that some write.
            header = line.split(']').next()?.replace(' ', "") + "]";
            return Some((header.clone(), None));
        }
        let key = line.split_once('=')?.0.trim();
        (!key.starts_with('#')).then(|| (header.clone(), Some(key.to_owned())))
    };
    let lines: Vec<_> = text.lines().take(line).map(&mut said).collect();
    let again = lines.last()?.as_ref()?;
    let first = 1 + lines[..line - 1].iter().position(|said| said.as_ref() == Some(again))?;
    Some(match again {
        (header, None) => {
            format!(
                "{header} is there already, at line {first}: put the keys below this line there, and remove this line"
            )
        }
        (_, Some(key)) => format!("{key} is there already, at line {first}: remove one of the two"),
    })
}

/// A value of the file with its whole path.
struct Leaf<'a, 'i> {
    path: String,
    /// The table of the user's own keys that it stands in, and its key there.
    table: Option<(usize, String)>,
    /// Where its key begins.
    start: usize,
    value: &'a DeValue<'i>,
    value_span: Range<usize>,
}

/// Whether a value is written in quotes in a file: words are, and bytes with a unit.
fn is_quoted<C>(key_type: &KeyType<C>, value: &str) -> bool {
    match key_type {
        KeyType::Bytes(..) => value.parse::<u64>().is_err(),
        KeyType::Value(own) => own.is_text || DeValue::parse(value).is_err(),
        _ => false,
    }
}

/// How many bytes have to be inserted, removed or replaced to make `a` into `b` (Levenshtein).
pub(crate) fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The value as it was written, on one line of bearable length.
fn shorten(written: &str) -> String {
    let line = written.lines().next().unwrap_or("");
    match line.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if line.len() < written.trim_end().len() => format!("{line}…"),
        None => line.to_owned(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Board(name) => write!(f, "board {name}"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Set => f.write_str("--set"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // Keys and values are untrusted text.
        Plain(&self.0).fmt(f)
    }
}

impl std::error::Error for ConfigError {}

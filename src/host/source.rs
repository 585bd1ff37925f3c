//! The text of a script before it runs: which file a `load()` means, and which members it mentions that this server does
//! not have. Those throw when they are used: while the script is loaded that refuses it, with file and line; in a handler or
//! method, which may never be called, it does not, and the log tells of them when the script is loaded.
//!
//! The scan reads tokens, not a syntax tree: comments, strings and regular expressions are skipped, and computed names and
//! `eval` are not seen.

use std::collections::BTreeSet;

use super::facts::{LoadError, SourcePlace};
use crate::live::app::{Source, SourceFile};

/// How an error says that a member is missing.
pub(super) const NOT_AVAILABLE: &str = " is not available in this server";

/// Global classes of Adobe's server that this one does not have; and `BigInt`, which no script of Adobe's knows and whose
/// arithmetic the time limit does not reach.
pub(super) const GLOBALS: &[&str] = &[
    "BigInt",
    "NetConnection",
    "NetStream",
    "SharedObject",
    "File",
    "LoadVars",
    "XML",
    "XMLSocket",
    "XMLStreams",
    "WebService",
    "SOAPCall",
    "SOAPFault",
    "ProxyStream",
    "ByteArray",
    "NetGroup",
    "GroupSpecifier",
];
/// Members of `application`.
const APPLICATION: &[&str] = &[
    "registerClass",
    "registerProxy",
    "clearSharedObjects",
    "gc",
    "denyPeerLookup",
    "sendPeerRedirect",
    "onPeerLookup",
];
/// Members of the class `Stream`.
const STREAM_CLASS: &[&str] = &["destroy"];
/// Methods of a stream. Found at a call on whatever object, so none may be called as something that JavaScript has.
const STREAM_CALLS: &[&str] = &["publish", "setVirtualPath", "setBufferTime"];
/// Further members of a stream, known only when the script runs.
const STREAM_MEMBERS: &[&str] = &["bufferTime", "maxQueueDelay", "maxQueueSize", "publishAccess"];
/// Members of a client.
const CLIENT: &[&str] = &[
    "farID",
    "nearID",
    "farNonce",
    "nearNonce",
    "farAddress",
    "nearAddress",
    "potentialNearAddresses",
    "isGroupMember",
    "remoteMethods",
];

/// How far the end of a function's parameters is looked for, in tokens. What is beyond it is a call, or a text that was made
/// to be read again and again.
const PARAMETER_TOKENS: usize = 256;

/// Whether `kind.name` is a member of Adobe's that this server does not have.
pub(super) fn is_missing(kind: &str, name: &str) -> bool {
    match kind {
        "application" => APPLICATION.contains(&name),
        "Stream" => STREAM_CALLS.contains(&name) || STREAM_MEMBERS.contains(&name),
        "Client" => CLIENT.contains(&name),
        _ => false,
    }
}

/// The file that `load(name)` means: relative to the main script's directory, then a bare name of the library path.
pub(super) fn resolve<'s>(source: &'s Source, name: &str) -> Option<&'s SourceFile> {
    let directory = source.main.name.rsplit_once('/').map(|(directory, _)| directory);
    let mut parts: Vec<&str> = directory.map(|directory| directory.split('/').collect()).unwrap_or_default();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let files = || [&source.main].into_iter().chain(&source.others);
    files().find(|file| file.name == path).or_else(|| files().find(|file| file.name == name))
}

/// What the engine is given of a file: without the mark that some editors begin it with.
///
/// # Errors
///
/// It has a byte in it that no editor shows and that ends a text in C.
pub(super) fn text(file: &SourceFile) -> Result<&str, LoadError> {
    match file.text.split_once('\0') {
        None => Ok(file.text.strip_prefix('\u{FEFF}').unwrap_or(&file.text)),
        Some((before, _)) => {
            let line = 1 + before.matches('\n').count() as u32;
            let place = SourcePlace { file: file.name.clone(), line };
            Err(LoadError::Syntax(place, "SyntaxError: a zero byte".to_owned()))
        }
    }
}

/// `secure.asc`, the main script, and what they load by a name that stands in the text. A file that is not there is told
/// when it is wanted.
pub(super) fn files(source: &Source) -> Vec<&SourceFile> {
    let mut files: Vec<&SourceFile> = source.secure.iter().chain([&source.main]).collect();
    let mut next = 0;
    while let Some(file) = files.get(next).copied() {
        for loaded in loads(&tokens(&file.text)).filter_map(|name| resolve(source, name)) {
            if !files.iter().any(|known| known.name == loaded.name) {
                files.push(loaded);
            }
        }
        next += 1;
    }
    files
}

/// What the files of a script define and use.
pub(super) struct Scan {
    /// Names of variables, functions and classes.
    globals: BTreeSet<String>,
    /// Names of methods and other members.
    members: BTreeSet<String>,
}

impl Scan {
    /// Reads the files that a script surely consists of.
    pub(super) fn of(source: &Source) -> Result<Self, LoadError> {
        let files = files(source);
        let mut scan = Scan { globals: BTreeSet::new(), members: BTreeSet::new() };
        files.iter().for_each(|file| scan.define(&tokens(&file.text)));
        files.into_iter().try_for_each(|file| scan.check(file))?;
        Ok(scan)
    }

    /// Whether `file` has no literal that nothing could refuse when it runs.
    pub(super) fn check(&self, file: &SourceFile) -> Result<(), LoadError> {
        match tokens(&file.text).iter().find(|token| token.kind == Kind::BigInt) {
            None => Ok(()),
            Some(token) => {
                let place = SourcePlace { file: file.name.clone(), line: token.line };
                Err(LoadError::Unsupported(place, "BigInt".to_owned()))
            }
        }
    }

    /// What `file` mentions that is missing, but for what the script defines itself: each name once, with its first line.
    pub(super) fn missing(&self, file: &SourceFile) -> Vec<(String, u32)> {
        let tokens = tokens(&file.text);
        let mut missing: Vec<(String, u32)> = Vec::new();
        for (name, line) in (0..tokens.len()).filter_map(|index| self.missing_at(&tokens, index)) {
            if !missing.iter().any(|(known, _)| *known == name) {
                missing.push((name, line));
            }
        }
        missing
    }

    /// The global names that are to throw.
    pub(super) fn missing_globals(&self) -> impl Iterator<Item = &'static str> {
        GLOBALS.iter().copied().filter(|name| !self.globals.contains(*name))
    }

    fn define(&mut self, tokens: &[Token<'_>]) {
        for (index, token) in tokens.iter().enumerate() {
            let at = |offset: usize| tokens.get(index + offset).map(|token| token.kind);
            let before = index.checked_sub(1).map(|index| tokens[index].kind);
            match token.kind {
                Kind::Name("function") => {
                    let open = (1..=3).find(|offset| at(*offset) == Some(Kind::Sign('(')));
                    if let Some(Kind::Name(name)) = at(1) {
                        self.globals.insert(name.to_owned());
                    }
                    if let Some(open) = open {
                        self.parameters(&tokens[index + open..]);
                    }
                }
                Kind::Name("catch") => self.parameters(&tokens[index + 1..]),
                Kind::Name("class" | "var" | "let" | "const") => {
                    if let Some(Kind::Name(name)) = at(1) {
                        self.globals.insert(name.to_owned());
                    }
                }
                Kind::Name("defineProperty") => {
                    let name = tokens[index..].iter().take(10).find_map(|token| token.text());
                    self.members.extend(name.map(str::to_owned));
                }
                Kind::Text(name) if at(1) == Some(Kind::Sign(']')) && is_assigned(tokens, index + 2) => {
                    self.members.insert(name.to_owned());
                }
                Kind::Text(name) if at(1) == Some(Kind::Sign(':')) => {
                    self.members.insert(name.to_owned());
                }
                Kind::Name(name) => {
                    let is_member = before == Some(Kind::Sign('.'));
                    if is_assigned(tokens, index + 1) {
                        let names = if is_member { &mut self.members } else { &mut self.globals };
                        names.insert(name.to_owned());
                    }
                    if !is_member && at(1) == Some(Kind::Sign(':')) && before != Some(Kind::Sign('?')) {
                        self.members.insert(name.to_owned());
                    }
                    if !is_member && at(1) == Some(Kind::Sign('(')) && is_method(tokens, index + 1) {
                        self.members.insert(name.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    /// The names in the parentheses that `tokens` begins with.
    fn parameters(&mut self, tokens: &[Token<'_>]) {
        let tokens = tokens.iter().take(PARAMETER_TOKENS);
        for token in tokens.take_while(|token| token.kind != Kind::Sign(')')) {
            if let Kind::Name(name) = token.kind {
                self.globals.insert(name.to_owned());
            }
        }
    }

    fn missing_at(&self, tokens: &[Token<'_>], index: usize) -> Option<(String, u32)> {
        let Kind::Name(name) = tokens[index].kind else { return None };
        let before = |offset: usize| index.checked_sub(offset).map(|index| tokens[index].kind);
        let after = tokens.get(index + 1).map(|token| token.kind);
        let line = tokens[index].line;
        if before(1) != Some(Kind::Sign('.')) {
            let is_key = after == Some(Kind::Sign(':')) && before(1) != Some(Kind::Sign('?'));
            let is_missing = GLOBALS.contains(&name) && !is_key && !self.globals.contains(name);
            return is_missing.then(|| (name.to_owned(), line));
        }
        if self.members.contains(name) && name != "onPeerLookup" {
            return None;
        }
        let of = match before(2) {
            Some(Kind::Name("application")) if APPLICATION.contains(&name) => "application",
            Some(Kind::Name("Stream")) if STREAM_CLASS.contains(&name) => "Stream",
            _ if STREAM_CALLS.contains(&name) && after == Some(Kind::Sign('(')) => "Stream",
            _ if CLIENT.contains(&name) => "Client",
            _ => return None,
        };
        Some((format!("{of}.{name}"), line))
    }
}

/// Whether an assignment stands at `index`: one equals sign that is not a comparison; an arrow counts, before it stands a
/// parameter.
fn is_assigned(tokens: &[Token<'_>], index: usize) -> bool {
    let at = |offset: usize| tokens.get(index + offset).map(|token| token.kind);
    at(0) == Some(Kind::Sign('=')) && at(1) != Some(Kind::Sign('='))
}

/// Whether the parentheses that begin at `index` are followed by a body, as a method's are.
fn is_method(tokens: &[Token<'_>], index: usize) -> bool {
    let mut depth = 0;
    for (offset, token) in tokens[index..].iter().enumerate().take(PARAMETER_TOKENS) {
        match token.kind {
            Kind::Sign('(') => depth += 1,
            Kind::Sign(')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return tokens.get(index + offset + 1).is_some_and(|token| token.kind == Kind::Sign('{'));
        }
    }
    false
}

/// What the calls `load("name")` name.
fn loads<'t>(tokens: &[Token<'t>]) -> impl Iterator<Item = &'t str> {
    tokens.windows(4).enumerate().filter_map(|(index, window)| {
        let [Kind::Name("load"), Kind::Sign('('), Kind::Text(name), Kind::Sign(')')] =
            [0, 1, 2, 3].map(|at| window[at].kind)
        else {
            return None;
        };
        let before = index.checked_sub(1).map(|index| tokens[index].kind);
        (before != Some(Kind::Sign('.'))).then_some(name)
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'t> {
    /// A name or keyword.
    Name(&'t str),
    /// What stands between quotes, as written. Of a template only its expressions are tokens.
    Text(&'t str),
    /// A number or regular expression.
    Literal,
    /// A number that ends in `n`.
    BigInt,
    Sign(char),
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    kind: Kind<'t>,
    line: u32,
}

impl<'t> Token<'t> {
    fn text(&self) -> Option<&'t str> {
        match self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut line = 1;
    let mut rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    // Depth of braces at which each open template goes on.
    let mut templates: Vec<usize> = Vec::new();
    let mut braces = 0;
    while let Some(c) = rest.chars().next() {
        let (length, kind) = if c.is_whitespace() {
            (c.len_utf8(), None)
        } else if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            (comment.find("*/").map_or(rest.len(), |end| end + 4), None)
        } else if c == '"' || c == '\'' {
            let end = closing(&rest[1..], c);
            (1 + end.1, Some(Kind::Text(&rest[1..1 + end.0])))
        } else if c == '`' || (c == '}' && templates.last() == Some(&braces)) {
            if c == '}' {
                templates.pop();
            }
            let (length, is_open) = template(&rest[1..]);
            if is_open {
                templates.push(braces);
            }
            (1 + length, Some(Kind::Literal))
        } else if c == '/' && begins_regular_expression(tokens.last()) {
            (regular_expression(rest), Some(Kind::Literal))
        } else if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
            let end = end.unwrap_or(rest.len());
            (end, Some(if rest[..end].ends_with('n') { Kind::BigInt } else { Kind::Literal }))
        } else if is_of_name(c) {
            let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
            (end, Some(Kind::Name(&rest[..end])))
        } else {
            match c {
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                _ => {}
            }
            (c.len_utf8(), Some(Kind::Sign(c)))
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..length].matches('\n').count() as u32;
        rest = &rest[length..];
    }
    tokens
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#')
}

/// Where the string that `text` is inside of ends, and where what follows its quote begins.
fn closing(text: &str, quote: char) -> (usize, usize) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // A string that is not closed is an error that the engine reports better.
            '\n' => return (at, at),
            c if c == quote => return (at, at + c.len_utf8()),
            _ => {}
        }
    }
    (text.len(), text.len())
}

/// The length of a template's text up to its end or the next expression, and whether an expression follows.
fn template(text: &str) -> (usize, bool) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '`' => return (at + 1, false),
            '$' if text[at..].starts_with("${") => return (at + 2, true),
            _ => {}
        }
    }
    (text.len(), false)
}

/// Whether a slash after this token begins a regular expression and does not divide.
fn begins_regular_expression(before: Option<&Token<'_>>) -> bool {
    match before.map(|token| token.kind) {
        None => true,
        Some(Kind::Text(_) | Kind::Literal | Kind::BigInt) => false,
        Some(Kind::Sign(sign)) => !matches!(sign, ')' | ']' | '}'),
        Some(Kind::Name(name)) => matches!(
            name,
            "return"
                | "typeof"
                | "case"
                | "in"
                | "of"
                | "delete"
                | "void"
                | "throw"
                | "new"
                | "instanceof"
                | "else"
                | "do"
        ),
    }
}

fn regular_expression(text: &str) -> usize {
    let mut escaped = false;
    let mut is_in_class = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => is_in_class = true,
            ']' => is_in_class = false,
            '/' if !is_in_class => return at + 1,
            _ => {}
        }
    }
    text.len()
}

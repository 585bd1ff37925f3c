//! Keeps the layers: a module imports only from the rows below its own.
//!
//! The table is [`LAYERS`]; why it is so stands at the top of `src/lib.rs`. The other rules here are those that no
//! compiler checks: what a file begins with, how long it may be, where `unsafe` may stand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row of modules, and the modules they may name beside themselves. The modules of one row do not see each other
/// unless the row says so.
struct Layer {
    modules: &'static [&'static str],
    may_use: &'static [&'static str],
    no_std: bool,
}

/// The whole architecture, from below. What composes the program (the last row) may use everything.
const LAYERS: [Layer; 15] = [
    Layer { modules: &["limits", "time", "bitset", "token_bucket", "text", "handles"], may_use: &[], no_std: true },
    Layer { modules: &["wire", "name"], may_use: &["limits", "time"], no_std: true },
    Layer { modules: &["rtmp", "media"], may_use: &["wire", "name", "limits", "time"], no_std: true },
    Layer { modules: &["account", "board"], may_use: &[], no_std: false },
    Layer { modules: &["client"], may_use: &["rtmp", "wire", "limits"], no_std: false },
    Layer {
        modules: &["live"],
        may_use: &["media", "wire", "name", "limits", "time", "bitset", "token_bucket", "account", "text", "handles"],
        no_std: false,
    },
    Layer {
        modules: &["features"],
        may_use: &[
            "live",
            "media",
            "wire",
            "name",
            "limits",
            "time",
            "bitset",
            "token_bucket",
            "account",
            "text",
            "handles",
        ],
        no_std: false,
    },
    Layer {
        modules: &["server"],
        may_use: &[
            "features",
            "live",
            "rtmp",
            "media",
            "wire",
            "name",
            "limits",
            "time",
            "bitset",
            "token_bucket",
            "account",
            "text",
            "handles",
        ],
        no_std: false,
    },
    Layer { modules: &["config"], may_use: &["live", "board", "text"], no_std: false },
    Layer { modules: &["apps"], may_use: &["config", "live", "board", "name", "limits"], no_std: false },
    Layer {
        modules: &["store"],
        may_use: &["apps", "config", "live", "board", "media", "wire", "name", "limits", "text", "handles"],
        no_std: false,
    },
    Layer {
        modules: &["net"],
        may_use: &[
            "store",
            "config",
            "server",
            "live",
            "wire",
            "features",
            "limits",
            "time",
            "token_bucket",
            "account",
            "text",
            "handles",
        ],
        no_std: false,
    },
    // Nobody below names it: it runs in a process of its own.
    Layer { modules: &["host"], may_use: &["live", "wire", "limits", "time", "account", "text"], no_std: false },
    Layer { modules: &["bench"], may_use: &["net", "client", "rtmp", "wire"], no_std: false },
    Layer { modules: &["main", "cli", "lib"], may_use: &["*"], no_std: false },
];

/// The one layer that talks to an operating system, and so the one that may need `unsafe`.
const UNSAFE_IN: &str = "net";
/// And what runs scripts, in the files where it cannot be had without: a heap for the engine, a script that is compiled and
/// not run, and what the script process asks the system for, and gives up.
const UNSAFE_FILES: [&str; 4] = ["host/heap.rs", "host/compile.rs", "host/system.rs", "host/sandbox.rs"];

/// A file that is longer than this has more than one subject.
const LINES: usize = 1500;

/// Fields of the server, which is made of parts that own what they know: one more is a part's, or a part.
const SERVER_FIELDS: usize = 14;

#[test]
fn every_source_file_keeps_the_rules() {
    let found: Vec<String> = sources().iter().flat_map(|(file, text)| problems(file, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_module_the_rules_name_exists_and_every_module_has_its_row() {
    let present: BTreeSet<String> = sources().iter().map(|(file, _)| module(file).to_owned()).collect();
    let named: BTreeSet<&str> = LAYERS.iter().flat_map(|layer| layer.modules.iter().copied()).collect();
    for module in &named {
        assert!(present.contains(*module), "LAYERS names {module}, which does not exist");
    }
    for module in &present {
        assert!(named.contains(module.as_str()), "src/{module} has no row in LAYERS");
    }
    for (row, layer) in LAYERS.iter().enumerate() {
        for module in layer.may_use {
            let is_below = LAYERS[..row].iter().any(|below| below.modules.contains(module));
            assert!(*module == "*" || is_below, "LAYERS allows {:?} {module}, which has no row below", layer.modules);
        }
    }
}

#[test]
fn the_server_is_made_of_few_parts() {
    let server = sources().into_iter().find(|(file, _)| file == "server/mod.rs").unwrap().1;
    let code = code_of(&server);
    let body = code.split("pub struct Server {").nth(1).unwrap().split("\n}").next().unwrap();
    let fields = body.lines().filter(|line| line.trim_end().ends_with(',')).count();
    assert!(fields > 0 && fields <= SERVER_FIELDS, "it has {fields} fields, of {SERVER_FIELDS}");
}

#[test]
fn the_checker_sees_each_kind_of_broken_rule() {
    let broken = |file: &str, text: &str| problems(file, &format!("//! Text.\n{text}"));
    assert_eq!(broken("wire/chunk.rs", "use crate::limits::X;\nuse crate::{time::Millis, wire::Y};\n"), [""; 0]);
    assert_eq!(broken("wire/chunk.rs", "use crate::rtmp::Session;\n"), ["src/wire/chunk.rs:2: wire names crate::rtmp"]);
    assert_eq!(
        broken(
            "rtmp/session.rs",
            "use crate::{\n    wire::{self, chunk},\n    media::{ring, x::{y}},\n    server,\n};\n"
        ),
        ["src/rtmp/session.rs:2: rtmp names crate::media", "src/rtmp/session.rs:2: rtmp names crate::server"]
    );
    assert_eq!(
        broken("media/ring.rs", "fn f() -> crate::rtmp::X {}\n"),
        ["src/media/ring.rs:2: media names crate::rtmp"]
    );
    assert_eq!(broken("server/turn.rs", "pub(crate) use crate::net::Tcp as crate_net;\n").len(), 1);
    assert_eq!(broken("time.rs", "use crate::limits;\n").len(), 1, "the leaves do not see each other");
    assert_eq!(broken("main.rs", "use rill::net;\nuse crate::anything;\n"), [""; 0]);
    assert_eq!(broken("wire/flv.rs", "use std::io;\nextern crate alloc;\nlet x = alloc::vec![];\n").len(), 3);
    assert_eq!(
        broken("wire/flv.rs", "// std::io is not for us\n#[cfg(test)]\nmod tests {\n    use std::io;\n}\n"),
        [""; 0]
    );
    assert_eq!(broken("wire/flv.rs", "let text = \"use crate::net;\";\nlet c = '\"';\nuse crate::net;\n").len(), 1);
    assert_eq!(broken("server/turn.rs", "unsafe { f() }\n").len(), 1);
    assert_eq!(broken("net/tcp.rs", "unsafe { f() }\n"), [""; 0]);
    assert_eq!(broken("server/turn.rs", &"\n".repeat(LINES)).len(), 1);
    assert_eq!(problems("server/turn.rs", "use core::fmt;\n").len(), 1);
}

/// Everything that is wrong with one file of `src/`, named by its path in there.
fn problems(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let module = module(file);
    let Some(layer) = LAYERS.iter().find(|layer| layer.modules.contains(&module)) else {
        return vec![format!("src/{file}: {module} has no row in LAYERS")];
    };
    if !text.starts_with("//!") {
        found.push(format!("src/{file}:1: does not begin with //!"));
    }
    if text.lines().count() > LINES {
        found.push(format!("src/{file}: more than {LINES} lines"));
    }
    let code = code_of(text);
    for (line, name) in crate_paths(&code) {
        if name != module && !layer.may_use.contains(&name.as_str()) && layer.may_use != ["*"] {
            found.push(format!("src/{file}:{line}: {module} names crate::{name}"));
        }
    }
    // Tests run on a machine that has everything; they stand last in a file, or in one of their own.
    let shipped = match code.find("#[cfg(test)]") {
        _ if file.ends_with("/tests.rs") => "",
        Some(tests) => &code[..tests],
        None => code.as_str(),
    };
    for (number, line) in shipped.lines().enumerate() {
        if layer.no_std && ["std", "alloc"].iter().any(|name| paths_into(line, name)) {
            found.push(format!("src/{file}:{}: {module} is no_std without alloc", number + 1));
        }
    }
    for (number, line) in code.lines().enumerate() {
        if module != UNSAFE_IN && !UNSAFE_FILES.contains(&file) && words(line).any(|word| word == "unsafe") {
            found.push(format!("src/{file}:{}: unsafe outside of src/{UNSAFE_IN}", number + 1));
        }
    }
    found
}

/// The module at the top of the crate that a file belongs to.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// Whether a line names a path that begins with `name::`.
fn paths_into(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
        || line.trim_start().starts_with("extern crate ")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The first name after each `crate::`, with its line. `crate::{a, b::{c}}` names `a` and `b`.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let rest = code[at + path.len()..].trim_start();
        let names = match rest.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![head(rest)],
        };
        paths.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    paths
}

/// The first names of a group's members, given the text after its opening brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut start = 0;
    let mut heads = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(head(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The text with comments and the contents of string and character literals blanked, so that only code is read. Lines
/// stay where they are.
pub(super) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest, &code) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len())
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            0
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The number of hashes of the raw string that `rest` begins with, after the `code` before it.
fn raw_string(rest: &str, code: &str) -> Option<usize> {
    let after =
        rest.strip_prefix('r').filter(|_| !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_'))?;
    let hashes = after.chars().take_while(|&c| c == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of the literal that `rest` begins with, up to its unescaped closing `quote`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Every file of `src/`: its path in there, with `/`, and its text.
pub(super) fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut directories: Vec<PathBuf> = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((inside, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

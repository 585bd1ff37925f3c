//! No circle of imports: a file and those that it is built on are read, changed and tested one after the other.
//!
//! Nodes are files, edges what `crate::`, `super::` and `self::` paths and the names of a module's own children lead to. A
//! path belongs to the file of the longest module in it, so what a `mod.rs` exports for a child of its own is the
//! `mod.rs`'s: children name each other by where they are.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{code_of, sources};

/// A value of AMF0 may be one of AMF3, and one of AMF3 is written within AMF0 (AMF 0, section 3.1): each needs the other.
const MUTUAL: [[&str; 2]; 1] = [["wire/amf0.rs", "wire/amf3.rs"]];

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let circles = circles(&sources());
    let is_known = |circle: &Vec<String>| MUTUAL.iter().any(|pair| circle == pair);
    let new: Vec<String> =
        circles.iter().filter(|circle| !is_known(circle)).map(|circle| circle.join(" <-> ")).collect();
    assert!(new.is_empty(), "\n{}", new.join("\n"));
}

#[test]
fn the_checker_sees_each_way_to_name_another_file() {
    let found = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        circles(&files)
    };
    let circle = |a: &str, b: &str| vec![vec![a.to_owned(), b.to_owned()]];
    let lib = ("lib.rs", "pub mod a;\npub mod b;\n");
    assert_eq!(
        found(&[lib, ("a.rs", "use crate::b::X;\n"), ("b.rs", "fn f() -> crate::a::X {}\n")]),
        circle("a.rs", "b.rs")
    );
    assert!(
        found(&[
            lib,
            ("a.rs", "use crate::b::X;\n"),
            ("b.rs", "// crate::a::X\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n")
        ])
        .is_empty()
    );
    // Groups within groups, and modules within modules.
    let (x, y) = ("a/x.rs", "a/y.rs");
    for to_y in [
        "use super::y::Y;",
        "use super::{z, y::{self, Y}};",
        "use crate::{b, a::{z::Z, y}};",
        "fn f() { super::y::f() }",
    ] {
        let files = [lib, ("a/mod.rs", "mod x;\nmod y;\n"), (x, to_y), (y, "use super::x::X;\n"), ("b.rs", "")];
        assert_eq!(found(&files), circle(x, y), "{to_y}");
    }
    // What stands in the parent is the parent's, whoever made it.
    for from_parent in ["pub use x::X;", "use self::x::X;", "fn f() { x::f() }"] {
        let files = [lib, ("a/mod.rs", from_parent), (x, "use super::X;\n"), (y, "use super::x::X;\n")];
        assert_eq!(found(&files), circle("a/mod.rs", x), "{from_parent}");
    }
    let long = [lib, ("a.rs", "use crate::b::X;\n"), ("b.rs", "use crate::c;\n"), ("c.rs", "use crate::a;\n")];
    assert_eq!(found(&long), [["a.rs", "b.rs", "c.rs"]]);
}

/// The sets of files of which each leads to every other, in order.
fn circles(files: &[(String, String)]) -> Vec<Vec<String>> {
    let modules: BTreeMap<Vec<String>, &str> = files.iter().map(|(file, _)| (module(file), file.as_str())).collect();
    let edges: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .filter(|(file, _)| !file.ends_with("/tests.rs"))
        .map(|(file, text)| (file.as_str(), imports(file, text, &modules)))
        .collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|file| (*file, reach(file, &edges))).collect();
    let mut circles = BTreeSet::new();
    for (file, from_here) in &reached {
        let circle: Vec<String> = from_here
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)))
            .map(|other| (*other).to_owned())
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// All that can be reached from a file, by one step or more.
fn reach<'a>(from: &str, edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = vec![from];
    while let Some(file) = next.pop() {
        for other in edges.get(file).into_iter().flatten() {
            if reached.insert(*other) {
                next.push(other);
            }
        }
    }
    reached
}

/// The module that a file is: `server/slots.rs` is `server::slots`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let path = if ["lib", "main"].contains(&path) { "" } else { path };
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The files that a file names, itself and the root of the crate aside.
fn imports<'a>(file: &str, text: &str, modules: &BTreeMap<Vec<String>, &'a str>) -> BTreeSet<&'a str> {
    let code = code_of(text);
    let shipped = code.find("#[cfg(test)]\nmod ").map_or(code.as_str(), |tests| &code[..tests]);
    let own = module(file);
    let children = modules.keys().filter(|path| path.len() == own.len() + 1 && path.starts_with(&own));
    let children = children.map(|path| path[own.len()].as_str());
    let mut found = BTreeSet::new();
    for first in ["crate", "super", "self"].into_iter().chain(children) {
        for path in paths(shipped, first) {
            let mut whole = own.clone();
            let mut rest = path.as_slice();
            match first {
                "crate" => (whole, rest) = (Vec::new(), &rest[1..]),
                "self" => rest = &rest[1..],
                _ => {}
            }
            while let Some((up, further)) = rest.split_first()
                && up == "super"
            {
                whole.pop();
                rest = further;
            }
            whole.extend_from_slice(rest);
            while !whole.is_empty() && !modules.contains_key(&whole) {
                whole.pop();
            }
            found.extend(modules.get(&whole).copied().filter(|other| *other != file && !whole.is_empty()));
        }
    }
    found
}

/// Every path that begins with `first::`, one for each member of a group.
fn paths(code: &str, first: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(&format!("{first}::")) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            tree(&code[at..], &mut Vec::new(), &mut paths);
        }
    }
    paths
}

/// Reads a path or a tree of `use` at the beginning of `code`, and returns what follows it.
fn tree<'a>(code: &'a str, before: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = tree(rest, before, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => rest = next,
                next => return next.unwrap_or(rest).trim_start().trim_start_matches('}'),
            }
        }
    }
    let name: String = code.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*')).collect();
    let rest = &code[name.len()..];
    before.push(name);
    let rest = match rest.strip_prefix("::") {
        Some(further) => tree(further, before, paths),
        None => {
            paths.push(
                before
                    .iter()
                    .filter(|part| !["self", "*"].contains(&part.as_str()) || before[0] == **part)
                    .cloned()
                    .collect(),
            );
            rest.trim_start()
                .strip_prefix("as ")
                .map_or(rest, |name| name.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    };
    before.pop();
    rest
}

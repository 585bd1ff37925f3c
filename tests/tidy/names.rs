//! A name means one thing: a type that other files can name is declared once.
//!
//! A private type is its file's own matter, and may be called as another file's: `Phase` is how far a file's own machine is.

use std::collections::BTreeMap;

use super::layers::{code_of, sources};

/// Names that are declared more than once, and why that is right.
const SHARED: [(&str, &str); 4] = [
    ("Decoder", "AMF 0 and AMF 3 are siblings, and their modules say which"),
    ("Elements", "likewise"),
    ("Properties", "likewise"),
    ("Value", "likewise"),
];

const KEYWORDS: [&str; 5] = ["struct", "enum", "trait", "union", "type"];

#[test]
fn a_type_that_others_can_name_is_declared_once() {
    let sources = sources();
    let found = declared_twice(sources.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let strangers: Vec<_> = found.iter().filter(|(name, _)| SHARED.iter().all(|(shared, _)| shared != name)).collect();
    assert!(strangers.is_empty(), "these names mean more than one thing: {strangers:#?}");
    for (name, reason) in SHARED {
        assert!(found.contains_key(name), "{name} is declared once, so that it needs no reason ({reason})");
    }
}

#[test]
fn the_reader_of_names_sees_what_is_declared_and_for_whom() {
    let twice = |one: &str, two: &str| declared_twice([("a.rs", one), ("b.rs", two)]).into_keys().collect::<Vec<_>>();
    assert_eq!(twice("pub struct A;", "pub(super) enum A {}"), ["A"]);
    assert_eq!(twice("pub struct A<T>(T);", "struct A;"), ["A"], "a private type has no public one's name");
    assert_eq!(twice("struct A;", "struct A;"), [""; 0], "private types are their file's own");
    assert_eq!(twice("pub type A = u8;", "pub trait A {}"), ["A"]);
    assert_eq!(
        twice("pub struct A;", "impl X for Y {\n    type A = u8;\n}"),
        [""; 0],
        "an associated type has no choice"
    );
    assert_eq!(twice("pub struct A;", "#[cfg(test)]\nmod tests {\n    pub struct A;\n}"), [""; 0]);
    assert_eq!(twice("pub struct A;", "// struct A;\nlet x = \"struct A;\";"), [""; 0]);
    assert_eq!(twice("macro_rules! m {\n    pub enum A {}\n}", "pub(crate) struct A;"), ["A"]);
}

/// The names of types that stand in more than one place, at least one of which others can name, with the places.
fn declared_twice<'t>(sources: impl IntoIterator<Item = (&'t str, &'t str)>) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
    for (file, text) in sources {
        if file.ends_with("/tests.rs") {
            continue;
        }
        let code = code_of(text);
        let shipped = code.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in shipped.lines().enumerate() {
            let Some((name, public)) = declared(line) else { continue };
            let (is_public, of) = places.entry(name.to_owned()).or_default();
            *is_public |= public;
            of.push(format!("src/{file}:{}", number + 1));
        }
    }
    places.retain(|_, (is_public, of)| *is_public && of.len() > 1);
    places.into_iter().map(|(name, (_, of))| (name, of)).collect()
}

/// The type that a line declares, and whether other files can name it.
fn declared(line: &str) -> Option<(&str, bool)> {
    let text = line.trim_start();
    let (text, public) = match text.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => (rest.split_once(')')?.1, true),
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (keyword, rest) = text.trim_start().split_once(' ')?;
    let is_associated = keyword == "type" && line.starts_with(' ');
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (KEYWORDS.contains(&keyword) && !is_associated && name.starts_with(char::is_uppercase)).then_some((name, public))
}

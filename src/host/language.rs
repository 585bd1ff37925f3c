//! The language that scripts have: what stands in a table, and nothing else.

/// What of it stays: an object by its path, and the names of its members. It stands in the documentation, too.
pub(super) const LANGUAGE: &str = include_str!("language.txt");
/// Takes the rest away.
pub(super) const LANGUAGE_TEXT: &str = include_str!("language.js");

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::{HALL, ME, NOW, clock, facts, identity, source};
    use super::super::{CallOutcome, engine::Scripts, source::GLOBALS};
    use super::LANGUAGE;
    use crate::wire::amf0;
    use crate::wire::script_link::Budget;

    /// Everything that a script can reach: a line for each object, its path and the names of its members.
    const REACHABLE: &str = "
        function reachable(named) {
            var seen = new Set, names = new Map, lines = [];
            function show(key) { return typeof key == 'symbol' ? key.description.replace('Symbol.', '@@') : key; }
            function keys(object) { return Object.getOwnPropertyNames(object).concat(Object.getOwnPropertySymbols(object)); }
            function walk(path, object) {
                if (object === null || typeof object != 'object' && typeof object != 'function' || seen.has(object)) return;
                seen.add(object);
                path = names.get(object) || path;
                lines.push(path + ': ' + keys(object).map(show).join(' '));
                keys(object).forEach(function (key) {
                    var member = Object.getOwnPropertyDescriptor(object, key), name = path + '.' + show(key);
                    walk(name, member.value); walk(name + ' get', member.get); walk(name + ' set', member.set);
                });
                walk(path + ' above', Object.getPrototypeOf(object));
            }
            named.forEach(function (path) {
                var object = globalThis;
                path.split('.').forEach(function (part) { object = object[part]; });
                names.set(object, path);
            });
            names.set(Object.getPrototypeOf(Object.getPrototypeOf([].values())), '(iterator)');
            names.set(Object.getPrototypeOf(Object.getPrototypeOf((async function* () {}).prototype)), '(async iterator)');
            walk('global', globalThis);
            [[].values(), new Map().keys(), new Set().keys(), ''[Symbol.iterator](), ''.matchAll(/a/g), function* () {},
                async function () {}, async function* () {}, /a/, new Date, Symbol(), Promise.resolve(), new Error].forEach(function (value, index) {
                walk('value ' + index, Object.getPrototypeOf(value)); walk('value ' + index, value);
            });
            return lines.join('\\n');
        }
    ";

    #[test]
    fn the_documentation_has_the_table() {
        assert!(include_str!("../../docs/connections.md").contains(&format!("```text\n{LANGUAGE}```\n")));
    }

    #[test]
    fn every_member_of_the_language_that_a_script_can_reach_is_there_on_purpose() {
        let kept: HashMap<&str, Vec<&str>> = LANGUAGE
            .lines()
            .map(|line| line.split_once(':').unwrap())
            .map(|(path, names)| (path, names.split_whitespace().collect()))
            .collect();
        let named: Vec<&str> =
            kept.keys().copied().filter(|path| !path.starts_with('(') && *path != "global").collect();
        let text = format!("{REACHABLE} Client.prototype.list = function () {{ return reachable({named:?}); }};");
        let mut scripts = Scripts::new(1, clock);
        let budget = Budget { call_ms: 10_000, memory_bytes: 8 << 20, ..Budget::default() };
        scripts.load(HALL, &source(&text), &identity(), budget, NOW).unwrap();
        scripts.connect(HALL, ME, &facts(), &[], NOW).unwrap();
        let CallOutcome::Result(value) = scripts.call(HALL, ME, "list", &[], NOW) else {
            panic!("it lists what there is")
        };
        let listed = match amf0::Decoder::new(&value).value().unwrap() {
            amf0::Value::String(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        // What every function and class has, what iterators and generators are, and what only the server puts there.
        let always = [
            "length",
            "name",
            "prototype",
            "constructor",
            "@@toStringTag",
            "next",
            "return",
            "throw",
            "lastIndex",
            "message",
        ];
        let ours = ["reachable"];
        let mut wrong = Vec::new();
        for line in listed.lines() {
            let (path, names) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            let is_ours =
                ["global.application", "global.Client", "global.Stream"].iter().any(|own| path.starts_with(own));
            if is_ours || path.ends_with("@@unscopables") {
                continue;
            }
            let known = kept.get(path).map_or(&[][..], Vec::as_slice);
            let missing = GLOBALS;
            let extra: Vec<&str> = names
                .split(' ')
                .filter(|name| !name.is_empty() && !always.contains(name) && !known.contains(name))
                .filter(|name| !(path == "global" && (ours.contains(name) || missing.contains(name))))
                .collect();
            if !extra.is_empty() {
                wrong.push(format!("{path}: {}", extra.join(" ")));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for (path, names) in &kept {
            let line = listed.lines().find_map(|line| line.strip_prefix(path)?.strip_prefix(':'));
            let line = line.unwrap_or_else(|| panic!("{path} is in the table and not there"));
            for name in names {
                // Only secure.asc has these.
                let secured = ["getGlobal", "protectObject"].contains(name);
                assert!(secured || line.split(' ').any(|found| found == *name), "{path}.{name} is not there");
            }
        }
    }
}

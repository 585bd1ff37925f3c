//! README and the pages in `docs/` against the program: what they print, name and link to is there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::binary::{rill, run, scratch};

/// Longer than this it is no page for a newcomer.
const README_LINES: usize = 200;

/// The sections of the configuration, as keys begin.
const SECTIONS: [&str; 10] =
    ["server.", "limits.", "live.", "vod.", "web.", "hooks.", "timeouts.", "scripts.", "bandwidth.", "socket."];

#[test]
fn every_link_leads_to_a_heading_of_a_file_that_is_there() {
    let mut links = 0;
    for page in pages() {
        let text = read(&page);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            assert!(heading.is_empty() || anchors(&read(&target)).contains(&heading.to_owned()), "no heading: {link}");
        }
    }
    assert!(links > 10);
}

#[test]
fn the_readme_is_short_and_lists_every_page() {
    let readme = read(&top("README.md"));
    assert!(readme.lines().count() <= README_LINES);
    for page in pages() {
        let name = page.strip_prefix(top("")).unwrap().to_str().unwrap().to_owned();
        assert!(name == "README.md" || readme.contains(&format!("]({name})")), "README.md does not list {name}");
    }
}

#[test]
fn the_readme_shows_what_the_server_prints() {
    let mut command =
        rill(&["--listen", "127.0.0.1:0", "--set", "server.http=127.0.0.1:0", "--set", "server.control="]);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    let mut screen = server.stdout.take().unwrap();
    let mut bytes = [0; 512];
    // The table's last line ends with the key of its budget.
    while !printed.contains("limits.ram_budget_bytes") {
        let read = screen.read(&mut bytes).unwrap();
        assert!(read > 0, "it ended after\n{printed}");
        printed += str::from_utf8(&bytes[..read]).unwrap();
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let readme = read(&top("README.md"));
    let shown = blocks(&readme, "").into_iter().find(|block| block.starts_with("Rill ")).unwrap();
    assert!(shown.starts_with(&format!("Rill {} ", env!("CARGO_PKG_VERSION"))), "{shown}");
    // Machines differ in board, address and numbers; the words between them do not.
    let mut rest = printed.lines().map(words);
    for line in shown.lines().filter(|line| line.trim() != "...") {
        assert!(rest.any(|printed| printed == words(line)), "not printed, or not there: {line}\n{printed}");
    }
}

#[test]
fn the_page_of_status_codes_is_what_the_program_lists() {
    let (status, listed, _) = run(&["statuses"]);
    assert_eq!(status, 0);
    let page = read(&top("docs/statuses.md"));
    assert!(
        blocks(&page, "").contains(&listed.as_str()),
        "docs/statuses.md: put in what `rill statuses` prints:\n{listed}"
    );
}

#[test]
fn every_key_and_every_make_target_that_pages_name_is_there() {
    let (status, limits, _) = run(&["limits"]);
    assert_eq!(status, 0);
    let keys: Vec<&str> = limits.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let makefile = read(&top("Makefile"));
    for page in pages().iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        let text = read(page);
        for code in text.split('`').skip(1).step_by(2) {
            let word = code.split([' ', '=']).next().unwrap();
            if SECTIONS.iter().any(|section| word.starts_with(section)) && !word.ends_with(".*") {
                assert!(keys.contains(&word), "{}: there is no key {word}", page.display());
            }
        }
        for line in text.split(['\n', '`']) {
            let Some(target) = line.trim_start().strip_prefix("make ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            let rule = format!("\n{target}:");
            // A line of prose may begin with the word.
            let prose = !target.chars().all(|c| c.is_ascii_lowercase() || c == '-') || target.is_empty();
            assert!(prose || makefile.contains(&rule), "{}: there is no make {target}", page.display());
        }
    }
}

#[test]
fn the_samples_of_settings_are_right() {
    let root = scratch("docs-settings");
    let pages = ["docs/configuration.md", "docs/recorded.md"].map(|page| read(&top(page)));
    let samples: Vec<&str> = pages.iter().flat_map(|page| blocks(page, "toml")).collect();
    let (applications, servers): (Vec<&str>, Vec<&str>) = samples.iter().partition(|text| text.contains("kind ="));
    assert!(!applications.is_empty() && !servers.is_empty());
    for (number, text) in applications.iter().enumerate() {
        let directory = root.join(format!("applications/sample{number}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("app.toml"), text).unwrap();
    }
    for text in servers {
        let file = root.join("rill.toml");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let (status, _, errors) = run(&["-t", "--board", "rpi-64", "--root", root.to_str().unwrap(), "-c", file]);
        assert_eq!((status, errors.contains("warn")), (0, false), "{errors}");
    }
}

fn top(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Every page that people read.
fn pages() -> Vec<PathBuf> {
    let pages = ["", "docs"].into_iter().flat_map(|directory| fs::read_dir(top(directory)).unwrap());
    let pages = pages.map(|entry| entry.unwrap().path());
    pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect()
}

/// What stands between fences of the language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let mut blocks = Vec::new();
    // Every second fence ends a block.
    for fenced in text.split("```").skip(1).step_by(2) {
        let (first, block) = fenced.split_once('\n').unwrap();
        if first == language {
            blocks.push(block);
        }
    }
    blocks
}

/// The names by which browsers find the headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let plain = |c: char| (c.is_alphanumeric() || c == '-' || c == '_').then_some(c).or((c == ' ').then_some('-'));
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter_map(plain).collect())
        .collect()
}

/// The words of a line that are the same on every machine.
fn words(line: &str) -> Vec<String> {
    let parts = line.split_whitespace().filter(|part| !part.starts_with("rtmp://"));
    let parts = parts.filter(|part| part.chars().all(|c| c.is_alphabetic() || "_.>`();:,".contains(c)));
    // Units go with the numbers, and board names with the machine.
    parts.filter(|part| !["B", "KiB", "MiB", "GiB", "generic)", "host)"].contains(part)).map(str::to_owned).collect()
}

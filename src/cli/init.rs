//! `rill init DIR`: a root with applications and a configuration file in which every key stands with what it means; with `--tls` with
//! a certificate that signs itself.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::apps::STOCK;
use crate::config::{Config, Origin, TakesEffect};
use crate::store::{self, APPLICATIONS, Options, ROOT_CONFIG};

use super::certificate;

/// Where the certificate lies in the root, and its key.
const CERTIFICATE: &str = "tls/certificate.pem";
const KEY: &str = "tls/key.pem";

/// Makes the root, and returns what to tell the user. In one that is there already `tls` makes a certificate.
///
/// # Errors
///
/// Something of it is there already, which is left as it is; and the operating system's own.
pub fn init(directory: &Path, tls: bool) -> Result<String, Vec<String>> {
    let one = |path: &Path, error: &dyn std::fmt::Display| vec![format!("{}: {error}", path.display())];
    let directory = std::path::absolute(directory).map_err(|error| one(directory, &error))?;
    let Some(root) = directory.to_str() else { return Err(one(&directory, &"is not UTF-8")) };
    let file = directory.join(ROOT_CONFIG);
    let apps: Vec<PathBuf> = STOCK.iter().map(|name| directory.join(APPLICATIONS).join(name)).collect();
    let made = if tls { Some(certificate::make().map_err(|error| vec![error])?) } else { None };
    let [certificate, key] = [CERTIFICATE, KEY].map(|name| directory.join(name));
    // A dangling link counts as existing: it may be wanted.
    let is_there = |path: &&PathBuf| path.symlink_metadata().is_ok();
    if let Some(made) = &made
        && is_there(&&file)
    {
        write_certificate(made, &certificate, &key).map_err(|error| one(&certificate, &error))?;
        return Ok(format!(
            "Made\n  {}\n  {}\n\nNext: these lines in {}, and a restart\n  [server.tls]\n  certificate = {}\n  key = {}",
            certificate.display(),
            key.display(),
            file.display(),
            quote(&certificate.display().to_string()),
            quote(&key.display().to_string()),
        ));
    }
    let taken: Vec<&PathBuf> = apps.iter().chain([&file]).filter(is_there).collect();
    if !taken.is_empty() {
        return Err(taken.into_iter().flat_map(|path| one(path, &"is there already; nothing was made")).collect());
    }
    // As it would be served, but for the files of this machine: their keys would become defaults.
    let options = Options { config: Some("/dev/null".into()), sets: vec![format!("server.root={root}")] };
    let config = store::configuration(&options)?;
    for app in &apps {
        fs::create_dir_all(app).map_err(|error| one(app, &error))?;
    }
    let mut text = text(&config);
    if let Some(made) = &made {
        write_certificate(made, &certificate, &key).map_err(|error| one(&certificate, &error))?;
        for (name, path) in [("certificate", &certificate), ("key", &key)] {
            let line = format!("tls.{name} = {}\n", quote(&path.display().to_string()));
            text = text.replace(&format!("#tls.{name} = \"\"\n"), &line);
        }
    }
    write_new(&file, &text, 0o666).map_err(|error| one(&file, &error))?;
    let mut said = String::from("Made\n");
    for app in &apps {
        let _ = writeln!(said, "  {}", app.display());
    }
    for path in [&certificate, &key].into_iter().filter(|_| tls) {
        let _ = writeln!(said, "  {}", path.display());
    }
    let _ = write!(
        said,
        "  {}\n\nEach directory in there is an application: make another one, and clients can connect to it.\n\
         Next: rill --root {}",
        file.display(),
        in_shell(root)
    );
    Ok(said)
}

/// Neither of the two may be there: others may believe it.
fn write_certificate([made, made_key]: &[String; 2], certificate: &Path, key: &Path) -> io::Result<()> {
    certificate.parent().map_or(Ok(()), fs::create_dir_all)?;
    write_new(key, made_key, 0o600)?;
    write_new(certificate, made, 0o666)
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

/// The file of a root: every key as a comment, with its default.
fn text(config: &Config) -> String {
    let head = "\
# The configuration of Rill. A line that begins with # and a key shows the key's default; take the # away to
# change it. `rill -t --root DIR` says whether the file is right, and `rill limits --root DIR` what follows from
# it. SIGHUP makes a server that runs read it again.
";
    keys(head, config, |name| format!("; board {name}"))
}

/// The file of a package, which is the same for every board. `config` is what holds on the least of them.
pub(super) fn package_text(config: &Config) -> String {
    let head = "\
# The configuration of Rill. A line that begins with # and a key shows the key's default; take the # away to
# change it. `rill -t` says whether the file is right, and `rill limits` what follows from it.
# `systemctl reload rill` makes the server read it again. See rill.toml(5).
";
    keys(head, config, |_| "; the board and its memory decide, this is the least".to_owned())
}

/// `head`, and every key as a comment with its default; `of_board` is what is said when that comes from a board.
fn keys(head: &str, config: &Config, of_board: impl Fn(&str) -> String) -> String {
    let mut text = head.to_owned();
    let mut section = "";
    for row in config.rows() {
        // Every key has a section.
        let (table, name) = row.key.split_once('.').unwrap_or(("", row.key));
        if table != section {
            section = table;
            let _ = writeln!(text, "\n[{table}]");
        }
        let restart = if row.takes_effect == TakesEffect::AtStart { "; needs a restart" } else { "" };
        let board = if let Origin::Board(name) = row.origin { of_board(name) } else { String::new() };
        let value = if row.quoted { quote(&row.value) } else { row.value.clone() };
        let _ = writeln!(text, "# {}; {}{restart}{board}\n#{name} = {value}", row.help, row.allowed);
    }
    text
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            c if c.is_control() => write!(quoted, "\\u{:04X}", u32::from(c)),
            c => write!(quoted, "{c}"),
        };
    }
    quoted + "\""
}

/// A word as a shell takes it.
fn in_shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,=@%".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{board, config};

    #[test]
    fn the_file_says_nothing_but_the_defaults_and_names_every_key() {
        let sets = ["server.root=/srv/a \"b\" \\c".to_owned()];
        for board in board::all() {
            let defaults = config::load(board, None, &sets).unwrap();
            let text = text(&defaults);
            let same = |text: &str, origin: fn(&Origin) -> bool| {
                let loaded = config::load(board, Some(("rill.toml", text)), &sets).unwrap();
                for (row, default) in loaded.rows().iter().zip(defaults.rows()) {
                    assert_eq!((row.key, &row.value), (default.key, &default.value));
                    assert!(row.origin == Origin::Set || origin(&row.origin), "{}", row.key);
                }
                assert_eq!(loaded.control_place(), defaults.control_place());
                assert_eq!(loaded.settings, defaults.settings);
            };
            same(&text, |origin| !matches!(origin, Origin::File { .. }));
            let uncommented: String = text
                .lines()
                .map(|line| match line.strip_prefix('#') {
                    Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                    _ => format!("{line}\n"),
                })
                .collect();
            same(&uncommented, |origin| matches!(origin, Origin::File { .. }));
        }
    }
}

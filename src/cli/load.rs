//! What a server starts from: configuration, applications, and the promise that its memory is there.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::board;
use crate::config::{self, Config, Origin};
use crate::limits::APP_NAME_BYTES;
use crate::proto::name::AppPath;
use crate::server::app::{AppDefinition, AppKind};

use super::Options;

/// The configuration file that is read when none is named.
const CONFIG_FILE: &str = "/etc/rill/rill.toml";
/// The root that is used when none is named.
const ROOT: &str = "/var/lib/rill";
/// What Linux on a board with a device tree says it is.
const MODEL_FILE: &str = "/proc/device-tree/model";

/// Applications that a server without files has.
const STOCK: [(&str, AppKind); 2] = [("live", AppKind::Live), ("vod", AppKind::Vod)];

/// The configuration in force.
///
/// # Errors
///
/// Every problem of the file and of the command line, one line each.
pub fn configuration(options: &Options) -> Result<Config, Vec<String>> {
    let path = options.config.clone().or_else(|| Some(PathBuf::from(CONFIG_FILE)).filter(|path| path.exists()));
    let file = match &path {
        Some(path) => Some((path.display().to_string(), read(path).map_err(|problem| vec![problem])?)),
        None => None,
    };
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let model = fs::read_to_string(MODEL_FILE).ok();
    let board = config::chosen_board(file, &options.sets).unwrap_or_else(|| board::detect(model.as_deref()));
    let config = config::load(board, file, &options.sets)
        .map_err(|errors| errors.iter().map(|error| as_typed(&error.to_string())).collect::<Vec<_>>())?;
    match taken_twice(&config.listen) {
        Some((one, other)) => {
            let origin = config.rows().iter().find(|row| row.key == "server.listen").map(|row| &row.origin);
            let place = match origin {
                Some(origin @ Origin::File { .. }) => format!("{origin}: server.listen"),
                _ => "--listen".to_owned(),
            };
            Err(vec![format!("{place}: {other} is taken by {one} already; each address may be listened on once")])
        }
        None => Ok(config),
    }
}

/// Two addresses on which one server cannot listen, because they are the same or one is every address of the other's
/// kind. Port 0 is another port each time.
fn taken_twice(listen: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let addresses: Vec<SocketAddr> = listen.iter().filter_map(|address| address.parse().ok()).collect();
    let clash = |one: &SocketAddr, other: &SocketAddr| {
        let every = one.ip().is_unspecified() || other.ip().is_unspecified();
        let overlap = one.ip() == other.ip() || (every && one.is_ipv4() == other.is_ipv4());
        one.port() == other.port() && one.port() != 0 && overlap
    };
    let mut pairs =
        addresses.iter().enumerate().flat_map(|(at, one)| addresses[at + 1..].iter().map(move |other| (*one, *other)));
    pairs.find(|(one, other)| clash(one, other))
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        format!("{}:{line}: is not UTF-8", path.display())
    })
}

/// Names the option that was typed instead of the key that it stands for.
fn as_typed(error: &str) -> String {
    for option in ["root", "board", "log", "listen"] {
        if let Some(rest) = error.strip_prefix(&format!("--set server.{option}=")) {
            return format!("--{option} {rest}");
        }
    }
    error.to_owned()
}

/// The applications, and a line for each directory that cannot be one.
///
/// # Errors
///
/// When the root that was named has none.
pub fn applications(config: &Config) -> Result<(Vec<AppDefinition>, Vec<String>), String> {
    let directory = match &config.root {
        Some(root) => root.join("applications"),
        None => match Path::new(ROOT).join("applications") {
            usual if usual.is_dir() => usual,
            _ => return Ok((STOCK.iter().filter_map(|&(name, kind)| app(name, kind)).collect(), Vec::new())),
        },
    };
    let (apps, skipped) = in_directory(&directory).map_err(|error| {
        format!("{}: {error}; each directory in there is an application (server.root, --root)", directory.display())
    })?;
    if apps.is_empty() {
        return Err(format!(
            "{}: no application in there; make a directory for each, like {}",
            directory.display(),
            directory.join("live").display()
        ));
    }
    Ok((apps, skipped))
}

fn in_directory(directory: &Path) -> io::Result<(Vec<AppDefinition>, Vec<String>)> {
    let mut names: Vec<_> = fs::read_dir(directory)?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    let (mut apps, mut skipped) = (Vec::new(), Vec::new());
    for name in names {
        let kind = if name == "vod" { AppKind::Vod } else { AppKind::Live };
        match name.to_str().and_then(|name| app(name, kind)) {
            Some(app) => apps.push(app),
            None => skipped.push(format!(
                "{}: no client can connect to an application of that name (at most {APP_NAME_BYTES} bytes, no `?`, quotes or the like); skipped",
                directory.join(&name).display()
            )),
        }
    }
    Ok((apps, skipped))
}

/// The application, if clients can name it so.
fn app(name: &str, kind: AppKind) -> Option<AppDefinition> {
    let path = AppPath::parse(name, "").ok()?;
    (path.app == name && !name.starts_with('.')).then(|| AppDefinition::stock(path.app, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_was_typed_is_named() {
        assert_eq!(as_typed("--set server.log=x: must be y"), "--log x: must be y");
        assert_eq!(as_typed("--set live.merge_ms=x: must be y"), "--set live.merge_ms=x: must be y");
    }

    #[test]
    fn an_address_can_be_taken_once() {
        let clash = |listen: &[&str]| {
            let listen: Vec<String> = listen.iter().map(|address| address.to_string()).collect();
            taken_twice(&listen).map(|(one, other)| format!("{one} {other}"))
        };
        assert_eq!(clash(&["[::]:1", "10.0.0.5:7", "[::1]:7", "10.0.0.5:8", "127.0.0.1:0", "127.0.0.1:0"]), None);
        assert_eq!(clash(&["10.0.0.6:7", "10.0.0.5:7", "10.0.0.5:7"]).unwrap(), "10.0.0.5:7 10.0.0.5:7");
        assert_eq!(clash(&["10.0.0.5:7", "0.0.0.0:7"]).unwrap(), "10.0.0.5:7 0.0.0.0:7");
    }

    #[test]
    fn applications_have_names_that_clients_can_send() {
        assert_eq!(app("vod", AppKind::Vod).unwrap().name, "vod");
        let long = "x".repeat(APP_NAME_BYTES + 1);
        for name in ["", ".git", "a?b", " live", long.as_str()] {
            assert!(app(name, AppKind::Live).is_none(), "{name}");
        }
    }
}

//! What a server starts from: configuration, applications, and the promise that its memory is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::board;
use crate::config::{self, Config};
use crate::limits::APP_NAME_BYTES;
use crate::proto::name::AppPath;
use crate::server::registry::{App, AppKind};

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
    config::load(board, file, &options.sets)
        .map_err(|errors| errors.iter().map(|error| as_typed(&error.to_string())).collect())
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
pub fn applications(config: &Config) -> Result<(Vec<App>, Vec<String>), String> {
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

fn in_directory(directory: &Path) -> io::Result<(Vec<App>, Vec<String>)> {
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
fn app(name: &str, kind: AppKind) -> Option<App> {
    let path = AppPath::parse(name, "").ok()?;
    (path.app == name && !name.starts_with('.')).then_some(App { name: path.app, kind })
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
    fn applications_have_names_that_clients_can_send() {
        assert_eq!(app("vod", AppKind::Vod).unwrap().name, "vod");
        let long = "x".repeat(APP_NAME_BYTES + 1);
        for name in ["", ".git", "a?b", " live", long.as_str()] {
            assert!(app(name, AppKind::Live).is_none(), "{name}");
        }
    }
}

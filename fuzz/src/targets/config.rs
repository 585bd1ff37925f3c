//! `rill.toml`, `--set` and `app.toml`: whatever stands in them is a configuration, or an error that says where.

use rill::apps;
use rill::board;
use rill::config;
use rill::live::app::{AppDefinition, AppKind};
use rill::server::memory;

/// Which file, and its text.
pub fn run(bytes: &[u8]) {
    let [which, text @ ..] = bytes else { return };
    let Ok(text) = core::str::from_utf8(text) else { return };
    let boards = board::all();
    let board = &boards[usize::from(which >> 2) % boards.len()];
    match which % 4 {
        0 | 1 => {
            config::chosen_board(Some(("rill.toml", text)), &[]);
            check(config::load(board, Some(("rill.toml", text)), &[]), "rill.toml");
        }
        2 => {
            let sets: Vec<String> = text.lines().map(str::to_owned).collect();
            config::chosen_board(None, &sets);
            check(config::load(board, None, &sets), "");
        }
        _ => {
            let name = heapless::String::try_from("live").expect("it fits");
            let stock = AppDefinition::stock(name, AppKind::Live);
            let scripts = config::load(board, None, &[]).expect("what is built in").settings.scripts;
            match apps::parse("app.toml", text, stock, scripts) {
                Ok((app, limits, _)) => {
                    assert!(limits.budget.memory_bytes <= scripts.budget.memory_bytes, "the memory table counts on it");
                    let peer = "10.0.0.1".parse().expect("an address");
                    let _ = (app.rules.connect(peer), app.rules.publish(peer, "cam", "key=x"));
                    let _ = app.rules.play(peer, "cam", "");
                }
                Err(errors) => {
                    assert!(!errors.is_empty());
                    errors.iter().for_each(|error| assert!(error.starts_with("app.toml"), "{error}"));
                }
            }
        }
    }
}

fn check(loaded: Result<config::Config, Vec<config::ConfigError>>, file: &str) {
    match loaded {
        Ok(config) => {
            assert!(!config.rows().is_empty());
            memory::table(&config.settings).iter().for_each(|row| {
                let _ = row.total();
            });
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            errors.iter().for_each(|error| assert!(error.to_string().starts_with(file), "{error}"));
        }
    }
}

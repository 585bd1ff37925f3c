//! The build script, on directories of profiles: what it embeds, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../build.rs"]
#[allow(dead_code, reason = "cargo calls its main")]
mod build;

/// A directory of its own with the profiles of this checkout.
struct Boards(PathBuf);

impl Boards {
    fn new(name: &str) -> Boards {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profiles-{name}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/boards")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                fs::copy(&path, directory.join(path.file_name().unwrap())).unwrap();
            }
        }
        Boards(directory)
    }

    fn change(&self, from: &str, to: &str, change: impl Fn(String) -> String) {
        let text = fs::read_to_string(self.0.join(from)).unwrap();
        fs::write(self.0.join(to), change(text)).unwrap();
    }
}

impl Drop for Boards {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_new_board_is_one_file() {
    let boards = Boards::new("new");
    let names = |boards: &Boards| -> Vec<String> {
        let list = build::list(&boards.0).unwrap();
        list.lines().filter_map(|line| Some(line.split_once("name: \"")?.1.split_once('"')?.0.to_owned())).collect()
    };
    let embedded: Vec<_> = rill::board::all().iter().map(|board| board.name).collect();
    assert_eq!(names(&boards), embedded);
    boards.change("rpi-2.toml", "banana-pi.toml", |text| text);
    assert_eq!(names(&boards)[..3], ["generic", "banana-pi", "host"], "generic stays the first");
}

#[test]
fn a_wrong_profile_fails_the_build_and_says_where() {
    let boards = Boards::new("wrong");
    let line = |file: &str, beginning: &str| {
        let text = fs::read_to_string(boards.0.join(file)).unwrap();
        1 + text.lines().position(|line| line.starts_with(beginning)).unwrap()
    };
    let console = line("rpi-64.toml", "console =");
    let size = line("rpi-zero.toml", "boot_bytes =");
    boards.change("rpi-64.toml", "rpi-64.toml", |text| text.replace("\nconsole =", "\nconsole = \"\"\nconsol_speed ="));
    boards.change("rpi-zero.toml", "rpi-zero.toml", |text| text.replace("\nboot_bytes = \"", "\nboot_bytes = \"x"));
    fs::remove_file(boards.0.join("generic.toml")).unwrap();
    assert_eq!(
        build::list(&boards.0).unwrap_err(),
        [
            "boards/generic.toml is missing".to_owned(),
            format!("boards/rpi-64.toml:{}: image.consol_speed is not known", console + 1),
            format!("boards/rpi-zero.toml:{size}: image.boot_bytes must be bytes, like \"4MiB\""),
        ]
    );
}

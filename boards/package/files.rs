//! Writes what packages carry beside the program into a directory: manual pages, completions, the configuration file.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> std::io::Result<()> {
    let directory = PathBuf::from(env::args_os().nth(1).ok_or_else(|| std::io::Error::other("which directory?"))?);
    fs::create_dir_all(&directory)?;
    rill::cli::pages::all().into_iter().try_for_each(|(name, text)| fs::write(directory.join(name), text))
}

//! The corpus of the fuzz targets (`make fuzz`), as an ordinary test: what was found once stays found.

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// Inputs of a target, in the same order everywhere.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut found: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    found.sort();
    found
}

/// The target and its corpus.
fn replay(name: &str) {
    let (_, run) = targets::ALL.iter().find(|(target, _)| *target == name).unwrap();
    let inputs = corpus(name);
    assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
    for (file, bytes) in inputs {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&bytes))) {
            println!("fuzz/corpus/{name}/{file} fails");
            resume_unwind(panic);
        }
    }
}

#[test]
fn the_corpus_of_session_holds() {
    replay("session");
}

#[test]
fn the_corpus_of_outbound_holds() {
    replay("outbound");
}

#[test]
fn the_corpus_of_answers_holds() {
    replay("answers");
}

#[test]
fn the_corpus_of_chunks_holds() {
    replay("chunks");
}

#[test]
fn the_corpus_of_amf_holds() {
    replay("amf");
}

#[test]
fn the_corpus_of_formats_holds() {
    replay("formats");
}

#[test]
fn the_corpus_of_http_holds() {
    replay("http");
}

#[test]
fn the_corpus_of_movies_holds() {
    replay("movies");
}

#[test]
fn the_corpus_of_finishes_holds() {
    replay("finishes");
}

#[test]
fn the_corpus_of_repairs_holds() {
    replay("repairs");
}

#[test]
fn the_corpus_of_names_holds() {
    replay("names");
}

#[test]
fn the_corpus_of_config_holds() {
    replay("config");
}

#[test]
fn the_corpus_of_script_link_holds() {
    replay("script_link");
}

#[test]
fn the_corpus_of_server_holds() {
    replay("server");
}

#[test]
fn the_corpus_of_strangers_holds() {
    replay("strangers");
}

#[test]
fn the_corpus_of_tls_holds() {
    replay("tls");
}

#[test]
fn every_corpus_has_its_target_and_every_target_is_run_by_libfuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |directory: &str| {
        let entries = fs::read_dir(root.join(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| Path::new(&entry.unwrap().file_name()).file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = targets::ALL.iter().map(|(name, _)| name.to_string()).collect();
    targets.sort();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
}

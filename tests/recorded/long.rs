//! Films of three hours: opening one and seeking in it take few reads and no memory, wherever its table lies.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use rill::live::recorded::{Fill, Follows};
use rill::wire::flv::Codec;

use crate::disk::{Disk, Reads};
use crate::film::{Film, Index, Layout};

/// A directory of the test's own, which goes with it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("rill-recorded-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const HOURS_3: u32 = 3 * 3600;

fn film(layout: Layout) -> Film {
    match layout {
        // It is written as it is, and few bytes make many tags for a search to step over.
        Layout::Flv { .. } => Film { seconds: HOURS_3, picture_bytes: 60, sound_bytes: 20, layout },
        _ => Film { seconds: HOURS_3, picture_bytes: 6000, sound_bytes: 340, layout },
    }
}

/// Opens a film of three hours, plays its beginning and seeks in it; each may take so many reads.
fn open_and_seek(name: &str, layout: Layout, opens: u64, seeks: u64) {
    let scratch = Scratch::new(name);
    film(layout).write(&scratch.0.join("film"));
    let mut disk = Disk::new(scratch.0.clone());
    let took = |disk: &mut Disk, what: &str, most: u64, work: &mut dyn FnMut(&mut Disk)| {
        let begin = Instant::now();
        work(disk);
        let Reads { calls, bytes } = disk.reads();
        println!("{name}: {what} in {:?}, {calls} reads of {} KiB", begin.elapsed(), bytes >> 10);
        assert!(calls <= most, "{what}: {calls} reads");
    };
    took(&mut disk, "opened", opens, &mut |disk| {
        let facts = disk.open("film").unwrap();
        assert_eq!((facts.video, facts.audio), (Some(Codec::Avc), Some(Codec::Aac)));
        assert!(facts.duration_ms.abs_diff(u64::from(HOURS_3) * 1000) < 40, "{facts:?}");
    });
    took(&mut disk, "first block", 40, &mut |disk| {
        assert_eq!(disk.fill(Fill::From(0)), (Some(0), Follows::More));
    });
    for second in [1, 59, 3600, 7201, HOURS_3 - 1, HOURS_3 + 100] {
        let key = second.min(HOURS_3 - 1) / 2 * 2000;
        took(&mut disk, &format!("seek to {second} s"), seeks, &mut |disk| {
            assert_eq!(disk.fill(Fill::From(second * 1000)), (Some(key), Follows::More), "{second}");
        });
    }
    // As it goes on at the end.
    let mut fill = Fill::From((HOURS_3 - 2) * 1000);
    let (mut bytes, mut blocks) = (0, 0);
    while disk.fill(fill).1 == Follows::More {
        fill = Fill::On;
        (bytes, blocks) = (bytes + disk.block().bytes().len(), blocks + 1);
        assert!(blocks < 20);
    }
    assert!(bytes > 2 * 30 * film(layout).picture_bytes as usize, "{bytes}");
}

#[test]
fn a_film_whose_length_was_asked_for_is_not_read_again_unless_it_was_written() {
    let scratch = Scratch::new("twice");
    let path = scratch.0.join("film");
    let short = Film { seconds: 60, ..film(Layout::TableLast) };
    short.write(&path);
    let mut disk = Disk::new(scratch.0.clone());
    let facts = disk.facts("film").unwrap();
    assert!(disk.reads().calls > 0);
    assert_eq!(disk.open("film"), Ok(facts));
    assert_eq!(disk.reads().calls, 0, "clients ask for the length, and then play");
    assert_eq!(disk.fill(Fill::From(0)), (Some(0), Follows::More));
    // Another one of the same name.
    fs::remove_file(&path).unwrap();
    Film { seconds: 61, ..short }.write(&path);
    assert!(disk.open("film").unwrap().duration_ms >= 60_900);
    assert!(disk.reads().calls > 0);
}

#[test]
fn a_film_of_three_hours_with_its_table_in_front_takes_few_reads() {
    open_and_seek("first", Layout::TableFirst, 700, 1600);
}

#[test]
fn a_film_of_three_hours_with_its_table_at_the_end_takes_few_reads() {
    open_and_seek("last", Layout::TableLast, 700, 1600);
}

#[test]
fn a_film_of_three_hours_in_fragments_without_an_index_is_hopped_through_once() {
    open_and_seek("hops", Layout::Fragments { index: Index::None }, 7000, 1200);
}

#[test]
fn a_film_of_three_hours_in_fragments_with_an_index_takes_few_reads() {
    open_and_seek("at the end", Layout::Fragments { index: Index::AtEnd }, 60, 60);
    open_and_seek("in front", Layout::Fragments { index: Index::InFront }, 100, 100);
}

#[test]
fn an_flv_film_of_three_hours_takes_few_reads_with_an_index_or_without() {
    open_and_seek("indexed", Layout::Flv { indexed: true }, 200, 100);
    open_and_seek("searched", Layout::Flv { indexed: false }, 200, 1500);
}

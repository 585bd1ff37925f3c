//! The disk of recorded streams by itself: what a player is sent is the file, whatever the card does.

use rill::handles::{ConnId, SlotIndex};
use rill::live::jobs::{AskedBy, AskedFor, Done, Job};
use rill::live::recorded::{Block, Fill, Follows, NotPlayed, RecordedId, RecordedName, RecordedTerms};

use crate::sim::films::{FilmTag, Films, flv};

fn id(place: u16, generation: u32) -> RecordedId {
    RecordedId { place, generation }
}

fn name(said: &str) -> RecordedName {
    RecordedName::new("vod", "_definst_", false, said.as_bytes()).unwrap()
}

fn open(films: &mut Films, id: RecordedId, said: &str) -> Result<u64, NotPlayed> {
    films.thread.ask(Job::Open { id, name: name(said), growing: None }, 0);
    match films.thread.done(u64::MAX) {
        Some(Done::Opened { id: same, found, .. }) if same == id => found.map(|facts| facts.duration_ms),
        done => panic!("{done:?}"),
    }
}

#[test]
fn a_card_that_stands_still_answers_late_and_in_order() {
    let mut films = Films::new(2);
    films.put("vod/film", flv(&FilmTag::film(3)));
    films.thread.late_ms = 10;
    films.thread.stalled_until = 7000;
    films.thread.ask(Job::Open { id: id(0, 1), name: name("film"), growing: None }, 100);
    let terms = RecordedTerms::whole(1);
    films.thread.ask(Job::Fill { id: id(0, 1), fill: Fill::From(0), terms, block: Block::new() }, 120);
    assert_eq!((films.thread.done(6999), films.thread.next(120)), (None, Some(7000)));
    assert!(films.thread.done(7000).is_none());
    assert!(matches!(films.thread.done(7010), Some(Done::Opened { found: Ok(_), .. })));
    assert_eq!((films.thread.done(7019), films.thread.next(7010)), (None, Some(7020)));
    assert!(matches!(films.thread.done(7020), Some(Done::Filled { next: Follows::More, .. })));
}

#[test]
fn a_card_may_fail_at_any_call_and_every_job_is_answered_and_every_block_comes_back() {
    let file = flv(&FilmTag::film(3));
    let calls = |films: &Films| films.card().calls;
    let mut whole = Films::new(1);
    whole.put("vod/film", file.clone());
    let play = |films: &mut Films| {
        if open(films, id(0, 1), "film").is_err() {
            return (0, Follows::Fault);
        }
        let mut block = Block::new();
        let (mut fill, mut sent) = (Fill::From(0), 0);
        loop {
            films.thread.ask(Job::Fill { id: id(0, 1), fill, terms: RecordedTerms::whole(1), block }, 0);
            let Some(Done::Filled { block: Some(filled), next, .. }) = films.thread.done(u64::MAX) else {
                panic!("a block is lost");
            };
            sent += filled.bytes().len();
            block = filled;
            if next != Follows::More {
                return (sent, next);
            }
            fill = Fill::On;
        }
    };
    let (sent, next) = play(&mut whole);
    assert_eq!(next, Follows::End);
    for fails in 1..=calls(&whole) {
        let mut films = Films::new(1);
        films.put("vod/film", file.clone());
        films.card().fails = Some((fails, 1));
        let (less, next) = play(&mut films);
        // What only metadata says is left out of it.
        let is_played = next == Follows::End && sent - less < 100;
        assert!(next == Follows::Fault && less <= sent || is_played, "call {fails}");
        films.thread.ask(Job::Close { id: id(0, 1) }, 0);
        assert_eq!(films.thread.done(u64::MAX), Some(Done::Closed { id: id(0, 1) }));
        assert_eq!(films.card().open, 0, "call {fails}");
    }
}

#[test]
fn no_more_files_are_open_than_there_are_places() {
    let mut films = Films::new(2);
    films.put("vod/film", flv(&FilmTag::film(1)));
    for generation in 0..10 {
        for place in 0..2 {
            assert_eq!(open(&mut films, id(place, generation), "film"), Ok(960));
            assert!(films.card().open <= 2);
        }
    }
    assert_eq!(open(&mut films, id(0, 10), "none"), Err(NotPlayed::Missing));
    assert_eq!(films.card().open, 1, "what was open in the place is closed");
    let asked =
        Some(AskedBy { conn: ConnId { slot: SlotIndex(0), generation: 0 }, transaction: 2.0, what: AskedFor::Length });
    films.thread.ask(Job::Facts { asked, name: name("film") }, 0);
    assert!(matches!(films.thread.done(0), Some(Done::Facts { found: Ok(facts), .. }) if facts.duration_ms == 960));
    assert_eq!(films.card().open, 1);
}

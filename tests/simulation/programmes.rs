//! Streams that are made of several inputs: who watches one sees the encoder, or the backup, or the slate, with one time, whatever becomes of
//! them.

use rill::live::app::{AppDefinition, AppKind};
use rill::live::programme_settings::ProgrammeSettings;
use rill::live::settings::Settings;

use super::ends::{keep_log, logged};
use super::recorded::{BROADCASTS, broadcast_as, heard_by_script};
use super::sim::Random;
use super::sim::films::{FilmTag, flv};
use super::sim::ledger::{Kind, Stamp, identify, payload};
use super::sim::world::{Directory, World, scripted, settings};

/// Between two pictures, in milliseconds.
const FRAME_MS: u32 = 40;
/// Pictures from key frame to key frame.
const GOP: u32 = 25;

fn programme(backup: Option<&str>, slate: Option<&str>) -> ProgrammeSettings {
    ProgrammeSettings {
        name: "cam".to_owned(),
        backup: backup.map(str::to_owned),
        slate: slate.map(str::to_owned),
        silent_ms: 1000,
        steady_ms: 3000,
        slate_s: 0,
    }
}

fn app(programmes: Vec<ProgrammeSettings>) -> AppDefinition {
    AppDefinition { programmes, ..AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live) }
}

fn with_grace(grace_ms: u64) -> Settings {
    Settings { unpublish_grace_ms: grace_ms, ..settings() }
}

/// An encoder that sends sound and pictures as long as it does.
struct Encoder {
    c: usize,
    sends: bool,
    frames: u32,
    /// From key frame to key frame.
    gop: u32,
}

/// What a viewer was sent.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kind: Kind,
    publication: u32,
    ms: u32,
}

/// A server with encoders and a viewer of `cam`.
struct Studio {
    world: World,
    encoders: Vec<Encoder>,
    viewer: Option<usize>,
    seen: Vec<Seen>,
    /// So much of it was asked for.
    told: usize,
}

impl Studio {
    fn new(world: World) -> Studio {
        Studio { world, encoders: Vec::new(), viewer: None, seen: Vec::new(), told: 0 }
    }

    fn of(programme: ProgrammeSettings) -> Studio {
        Studio::new(World::fixed(with_grace(2000), vec![app(vec![programme])], 1))
    }

    /// One that begins to publish that name.
    fn encoder(&mut self, name: &str) -> usize {
        let c = self.world.publisher_at("live", name);
        self.encoders.push(Encoder { c, sends: true, frames: 0, gop: GOP });
        self.encoders.len() - 1
    }

    fn leaves(&mut self, e: usize) {
        self.encoders[e].sends = false;
        self.world.hang_up(self.encoders[e].c);
        self.world.settle();
    }

    /// The application's file is another one.
    fn reload(&mut self, definition: &mut AppDefinition, programmes: Vec<ProgrammeSettings>) {
        definition.programmes = programmes;
        definition.stamp += 1;
        self.world.disk.insert("live".to_owned(), Directory::Good(Box::new(definition.clone())));
        self.run(6000);
    }

    /// What the ledger calls what it publishes.
    fn publication(&self, e: usize) -> u32 {
        self.world.clients[self.encoders[e].c].publication(1).expect("it publishes")
    }

    fn watches(&mut self) {
        let c = self.world.join_at("live");
        self.world.clients[c].create_stream();
        self.world.settle();
        self.world.clients[c].play_broadcast(1, "cam");
        self.world.settle();
        self.viewer = Some(c);
    }

    fn run(&mut self, ms: u64) {
        let end = self.world.now + ms;
        while self.world.now < end {
            for encoder in self.encoders.iter_mut().filter(|encoder| encoder.sends) {
                let (c, n) = (encoder.c, encoder.frames);
                if n == 0 {
                    self.world.send_all(c, 0, &[Kind::Metadata]);
                    self.world.send(c, 1, Kind::VideoHeader, 0, 60);
                    self.world.send(c, 1, Kind::AudioHeader, 0, 20);
                }
                let kind = if n.is_multiple_of(encoder.gop) { Kind::Key } else { Kind::Inter };
                self.world.send(c, 1, kind, n * FRAME_MS, 300);
                self.world.send(c, 1, Kind::Audio, n * FRAME_MS + 10, 60);
                encoder.frames += 1;
            }
            self.world.settle();
            self.world.advance(u64::from(FRAME_MS));
            self.look();
        }
    }

    /// What the viewer got: its time goes on, and another input begins with its headers and a key frame.
    fn look(&mut self) {
        let Some(viewer) = self.viewer else { return };
        for (type_id, ms, payload) in self.world.clients[viewer].viewed(1) {
            if type_id == 18 {
                continue;
            }
            let (kind, stamp) = identify(type_id, &payload).expect("an encoder has sent it");
            let now = Seen { kind, publication: stamp.publication, ms };
            if let Some(last) = self.seen.last() {
                // Sound and pictures of one encoder are a little apart.
                assert!(ms + 50 >= last.ms, "time goes back: {last:?} {now:?}");
                let of_kind = self.seen.iter().rev().find(|seen| seen.kind.is_video() == kind.is_video());
                assert!(of_kind.is_none_or(|last| ms >= last.ms), "time goes back: {of_kind:?} {now:?}");
                let gap_ms = ms.saturating_sub(last.ms);
                assert!(gap_ms <= 1100, "time jumps: {last:?} {now:?}");
            }
            let own = self.seen.iter().rev().take_while(|seen| seen.publication == stamp.publication);
            let own: Vec<Kind> = own.map(|seen| seen.kind).collect();
            match kind {
                Kind::Inter => assert!(own.contains(&Kind::Key), "{now:?} cannot be decoded"),
                Kind::Key => assert!(own.contains(&Kind::VideoHeader), "{now:?} has no header"),
                Kind::Audio => assert!(own.contains(&Kind::AudioHeader), "{now:?} has no header"),
                _ => {}
            }
            self.seen.push(now);
        }
    }

    /// Whose pictures were seen since this was asked, one after the other.
    fn pictures(&mut self) -> Vec<u32> {
        let is_picture = |seen: &&Seen| matches!(seen.kind, Kind::Key | Kind::Inter);
        let mut pictures: Vec<u32> =
            self.seen[self.told..].iter().filter(is_picture).map(|seen| seen.publication).collect();
        pictures.dedup();
        self.told = self.seen.len();
        pictures
    }

    /// What the viewer was told since this was asked.
    fn heard(&mut self) -> Vec<String> {
        let heard = self.viewer.map(|viewer| self.world.heard(viewer)).unwrap_or_default();
        heard.into_iter().filter(|line| line.contains("Play.")).collect()
    }

    fn end(mut self) {
        for e in 0..self.encoders.len() {
            self.world.hang_up(self.encoders[e].c);
        }
        if let Some(viewer) = self.viewer {
            self.world.hang_up(viewer);
        }
        self.world.advance(10_000);
        self.world.end();
    }
}

#[test]
fn viewers_go_on_with_the_backup_when_the_encoder_falls_silent_and_back_when_it_is_steady() {
    let mut studio = Studio::of(programme(Some("other"), None));
    let main = studio.encoder("cam");
    let backup = studio.encoder("other");
    studio.run(2000);
    studio.watches();
    studio.run(2000);
    let (of_main, of_backup) = (studio.publication(main), studio.publication(backup));
    assert_eq!(studio.pictures(), [of_main]);
    studio.encoders[main].sends = false;
    studio.run(900);
    assert!(studio.pictures().is_empty(), "it is not silent for long enough");
    studio.run(1200);
    assert_eq!(studio.pictures(), [of_backup]);
    studio.encoders[main].sends = true;
    studio.run(2500);
    // It stands still once more before it is steady.
    studio.encoders[main].sends = false;
    studio.run(1200);
    studio.encoders[main].sends = true;
    studio.run(2800);
    assert_eq!(studio.pictures(), [of_backup], "it is not steady");
    studio.run(1300);
    assert_eq!(studio.pictures(), [of_backup, of_main]);
    assert_eq!(
        studio.heard(),
        ["1: Play.Reset", "1: Play.Start", "1: Play.PublishNotify"],
        "viewers hear of nothing but their play"
    );
    studio.end();
}

#[test]
fn an_encoder_that_leaves_or_is_reset_is_replaced_at_once_and_comes_back_to_the_same_name() {
    let mut studio = Studio::of(programme(Some("other"), None));
    let main = studio.encoder("cam");
    let backup = studio.encoder("other");
    let (of_main, of_backup) = (studio.publication(main), studio.publication(backup));
    studio.run(1000);
    studio.watches();
    studio.run(1000);
    studio.leaves(main);
    studio.run(1100);
    assert_eq!(studio.pictures(), [of_main, of_backup]);
    let again = studio.encoder("cam");
    let of_again = studio.publication(again);
    studio.run(4500);
    assert_eq!(studio.pictures(), [of_backup, of_again]);
    studio.encoders[again].sends = false;
    studio.world.reset(studio.encoders[again].c);
    studio.run(1100);
    assert_eq!(studio.pictures(), [of_backup]);
    studio.end();
}

#[test]
fn without_a_backup_the_encoder_is_waited_for_as_ever_and_then_it_is_over() {
    let mut studio = Studio::of(programme(Some("other"), None));
    let main = studio.encoder("cam");
    studio.run(1000);
    studio.watches();
    studio.run(1000);
    studio.heard();
    studio.leaves(main);
    studio.run(1500);
    assert!(studio.heard().is_empty(), "it may come back");
    let again = studio.encoder("cam");
    let of_again = studio.publication(again);
    studio.run(1000);
    assert_eq!(studio.pictures().last(), Some(&of_again));
    assert!(studio.heard().is_empty());
    studio.leaves(again);
    studio.run(2500);
    assert_eq!(studio.heard(), ["1: Play.UnpublishNotify"]);
    studio.end();
}

#[test]
fn a_backup_alone_is_shown_when_the_encoder_had_its_time() {
    let mut studio = Studio::of(programme(Some("other"), None));
    let backup = studio.encoder("other");
    let of_backup = studio.publication(backup);
    studio.watches();
    studio.run(800);
    assert!(studio.pictures().is_empty());
    studio.run(1500);
    assert_eq!(studio.pictures(), [of_backup]);
    let main = studio.encoder("cam");
    let of_main = studio.publication(main);
    studio.run(4500);
    assert_eq!(studio.pictures(), [of_backup, of_main]);
    // And it is late: no key frame, and then one.
    studio.leaves(backup);
    let late = studio.encoder("other");
    studio.encoders[late].gop = 75;
    studio.run(2000);
    studio.leaves(main);
    studio.run(900);
    assert_eq!(studio.pictures(), [of_main]);
    let of_late = studio.publication(late);
    studio.run(1000);
    assert_eq!(studio.pictures(), [of_late]);
    studio.end();
}

/// What the ledger would call a slate.
const SLATE: u32 = 999;

/// A slate of so many milliseconds, of pictures with sound or without, as an encoder would send it.
fn slate(duration_ms: u32, with_sound: bool) -> Vec<u8> {
    let mut tags = Vec::new();
    let mut put = |kind: Kind, time_ms: u32| {
        let stamp = Stamp { publication: SLATE, seq: tags.len() as u32 };
        tags.push(FilmTag { message_type: kind.type_id(), time_ms, payload: payload(kind, stamp, 200) });
    };
    put(Kind::VideoHeader, 0);
    if with_sound {
        put(Kind::AudioHeader, 0);
    }
    for ms in (0..duration_ms).step_by(FRAME_MS as usize) {
        put(if ms.is_multiple_of(1000) { Kind::Key } else { Kind::Inter }, ms);
        if with_sound {
            put(Kind::Audio, ms + 10);
        }
    }
    flv(&tags)
}

#[test]
fn when_all_fails_the_slate_is_shown_again_and_again_until_an_encoder_is_back() {
    for ms in [600, 3000] {
        let mut studio = Studio::of(programme(Some("other"), Some("soon.flv")));
        studio.world.films.put("live/soon.flv", slate(ms, true));
        let main = studio.encoder("cam");
        let backup = studio.encoder("other");
        let (of_main, of_backup) = (studio.publication(main), studio.publication(backup));
        studio.run(1000);
        studio.watches();
        studio.run(1000);
        studio.leaves(main);
        studio.run(1100);
        studio.leaves(backup);
        studio.run(9000);
        assert_eq!(studio.pictures(), [of_main, of_backup, SLATE]);
        let shown = studio.seen.iter().filter(|seen| seen.publication == SLATE && seen.kind == Kind::Inter).count();
        assert!((180..=230).contains(&shown), "as fast as it is: {shown}");
        let again = studio.encoder("cam");
        let of_again = studio.publication(again);
        studio.run(400);
        assert_eq!(studio.pictures(), [of_again], "at once");
        studio.run(2000);
        assert_eq!(studio.pictures(), [of_again]);
        assert_eq!(studio.world.films.card().open, 0);
        // It falls silent, which is no other matter.
        studio.encoders[again].sends = false;
        studio.run(3000);
        assert_eq!(studio.pictures(), [SLATE]);
        studio.encoders[again].sends = true;
        studio.run(1400);
        assert_eq!(studio.pictures(), [SLATE, of_again]);
        studio.leaves(again);
        studio.run(2000);
        studio.world.films.card().files.clear();
        studio.run(5000);
        studio.end();
    }
}

#[test]
fn a_slate_that_is_not_like_the_stream_or_not_there_is_not_shown() {
    for file in [None, Some(slate(1000, false)), Some(b"FLV?".to_vec())] {
        let mut studio = Studio::of(programme(None, Some("soon.flv")));
        if let Some(file) = file {
            studio.world.films.put("live/soon.flv", file);
        }
        let main = studio.encoder("cam");
        let of_main = studio.publication(main);
        studio.run(1000);
        studio.watches();
        studio.run(500);
        studio.encoders[main].sends = false;
        studio.run(4000);
        studio.encoders[main].sends = true;
        studio.run(1400);
        assert_eq!(studio.pictures(), [of_main], "the encoder goes on");
        studio.leaves(main);
        studio.heard();
        studio.run(2500);
        assert_eq!(studio.heard(), ["1: Play.UnpublishNotify"], "it ends as ever");
        assert_eq!(studio.world.films.card().open, 0);
        studio.end();
    }
}

#[test]
fn a_slate_ends_when_it_was_shown_for_as_long_as_it_may_be_and_begins_nothing() {
    let mut studio = Studio::of(ProgrammeSettings { slate_s: 3, ..programme(None, Some("soon.flv")) });
    studio.world.films.put("live/soon.flv", slate(1000, true));
    studio.watches();
    studio.run(3000);
    assert!(studio.pictures().is_empty(), "a slate alone is no programme");
    let main = studio.encoder("cam");
    let of_main = studio.publication(main);
    studio.run(1000);
    studio.heard();
    studio.leaves(main);
    studio.run(2900);
    assert_eq!(studio.pictures(), [of_main, SLATE]);
    studio.run(2500);
    assert_eq!(studio.heard(), ["1: Play.UnpublishNotify"]);
    studio.pictures();
    studio.run(3000);
    assert!(studio.pictures().is_empty());
    studio.end();
}

#[test]
fn an_input_is_seen_under_its_own_name_and_not_published_there() {
    let mut studio = Studio::of(programme(Some("other"), None));
    let main = studio.encoder("cam");
    studio.run(1000);
    let c = studio.world.join_at("live");
    studio.world.clients[c].create_stream();
    studio.world.settle();
    studio.world.clients[c].play_broadcast(1, "cam.main");
    studio.world.settle();
    studio.run(200);
    let seen = studio.world.clients[c].viewed(1);
    assert!(seen.iter().any(|(type_id, ..)| *type_id == 9), "it can be looked at");
    let other = studio.world.join_at("live");
    studio.world.clients[other].create_stream();
    studio.world.clients[other].publish(1, "cam.main");
    studio.world.settle();
    assert!(studio.world.heard(other).contains(&"1: Publish.BadName".to_owned()));
    assert!(studio.world.clients[other].description.contains("the input of another stream"));
    // Who wants the name of the programme wants it of its encoder.
    let rival = studio.world.publisher_at("live", "cam");
    studio.run(300);
    assert!(studio.world.heard(rival).contains(&"1: Publish.BadName".to_owned()));
    studio.world.hang_up(c);
    let _ = main;
    studio.end();
}

#[test]
fn a_file_that_changes_makes_a_programme_of_what_is_published_next_and_leaves_what_is_on_air() {
    let mut definition = app(Vec::new());
    let mut studio = Studio::new(World::on_disk(with_grace(2000), vec![definition.clone()]));
    let first = studio.encoder("cam");
    let backup = studio.encoder("other");
    let (of_first, of_backup) = (studio.publication(first), studio.publication(backup));
    studio.run(1000);
    studio.watches();
    studio.reload(&mut definition, vec![programme(Some("other"), None)]);
    assert_eq!(studio.pictures(), [of_first], "it goes on as it began");
    studio.leaves(first);
    studio.run(100);
    let again = studio.encoder("cam");
    let of_again = studio.publication(again);
    studio.run(1000);
    assert_eq!(studio.pictures().last(), Some(&of_again));
    studio.encoders[again].sends = false;
    studio.run(2500);
    assert_eq!(studio.pictures().last(), Some(&of_backup), "it is a programme now");
    studio.encoders[again].sends = true;
    studio.run(6000);
    studio.pictures();
    studio.reload(&mut definition, Vec::new());
    assert_eq!(studio.pictures(), [of_again], "what is on air stays");
    studio.leaves(again);
    studio.run(500);
    let last = studio.encoder("cam");
    let of_last = studio.publication(last);
    studio.run(1000);
    assert_eq!(studio.pictures(), [of_last], "and is an ordinary stream from then on");
    studio.run(2000);
    let names: Vec<String> =
        studio.world.server.names().streams().map(|(_, stream)| stream.path.as_str().to_owned()).collect();
    assert!(!names.iter().any(|name| name == "cam.main"), "{names:?}");
    studio.end();
}

#[test]
fn a_programme_whose_backup_is_another_one_hears_at_once_that_this_has_ended() {
    let other = ProgrammeSettings { name: "b".to_owned(), ..programme(Some("other"), None) };
    let settings = Settings { streams: 5, ..with_grace(2000) };
    let programmes = vec![programme(Some("b"), Some("soon.flv")), other];
    let mut studio = Studio::new(World::fixed(settings, vec![app(programmes)], 1));
    studio.world.films.put("live/soon.flv", slate(1000, true));
    let main = studio.encoder("cam");
    let backup = studio.encoder("b");
    let (of_main, of_backup) = (studio.publication(main), studio.publication(backup));
    studio.run(1000);
    studio.watches();
    studio.run(1000);
    studio.leaves(main);
    studio.run(1500);
    assert_eq!(studio.pictures(), [of_main, of_backup]);
    studio.leaves(backup);
    studio.run(400);
    assert_eq!(studio.pictures().last(), Some(&SLATE));
    studio.world.films.card().files.clear();
    studio.run(5000);
    studio.end();
}

#[test]
fn a_slate_that_a_reload_names_is_looked_for_and_has_to_fit_as_well() {
    keep_log();
    let slated = |file: &str| vec![programme(None, Some(file))];
    let mut definition = app(slated("soon.flv"));
    let mut studio = Studio::new(World::on_disk(with_grace(2000), vec![definition.clone()]));
    studio.world.films.put("live/soon.flv", slate(1000, true));
    studio.world.films.put("live/mute.flv", slate(1000, false));
    let main = studio.encoder("cam");
    let of_main = studio.publication(main);
    studio.run(1000);
    studio.watches();
    assert!(logged("slate refused").is_empty());
    studio.reload(&mut definition, slated("none.flv"));
    let lines = logged("slate refused");
    assert!(lines.len() == 1 && lines[0].contains("\"none.flv\""), "while the encoder is on air: {lines:?}");
    studio.reload(&mut definition, slated("soon.flv"));
    studio.leaves(main);
    studio.run(2000);
    assert_eq!(studio.pictures(), [of_main, SLATE]);
    assert!(logged("slate refused").is_empty());
    studio.heard();
    studio.reload(&mut definition, slated("mute.flv"));
    studio.run(3000);
    let lines = logged("slate refused");
    assert!(lines.len() == 1 && lines[0].contains("alone, and viewers had"), "{lines:?}");
    assert_eq!(studio.heard(), ["1: Play.UnpublishNotify"]);
    let sound = studio.seen.iter().rposition(|seen| seen.kind == Kind::Audio).unwrap();
    assert!(studio.seen.len() - sound <= 2, "no picture of the other one was shown");
    assert_eq!(studio.world.films.card().open, 0);
    studio.end();
}

#[test]
fn a_slate_for_which_there_is_no_player_is_shown_when_there_is_one() {
    let settings = Settings { recorded_players: 1, ..with_grace(2000) };
    let definition = app(vec![programme(None, Some("soon.flv"))]);
    let mut studio = Studio::new(World::fixed(settings, vec![definition], 1));
    studio.world.films.put("live/soon.flv", slate(1000, true));
    studio.world.films.put("live/film.flv", slate(60_000, true));
    let main = studio.encoder("cam");
    let of_main = studio.publication(main);
    studio.run(1000);
    studio.watches();
    let other = studio.world.join_at("live");
    studio.world.clients[other].create_stream();
    studio.world.settle();
    studio.world.clients[other].play_broadcast(1, "film.flv");
    studio.world.settle();
    studio.leaves(main);
    studio.run(7000);
    assert_eq!(studio.pictures(), [of_main]);
    studio.world.hang_up(other);
    // Its time goes on where it was.
    studio.run(6000);
    assert_eq!(studio.pictures(), [SLATE]);
    studio.world.films.card().files.clear();
    studio.run(5000);
    studio.end();
}

#[test]
fn no_input_goes_on_air_while_the_server_stops() {
    keep_log();
    let mut studio = Studio::of(programme(Some("other"), None));
    studio.encoder("cam");
    studio.encoder("other");
    studio.run(2000);
    assert_eq!(logged(" on air ").len(), 1);
    for encoder in &mut studio.encoders {
        encoder.sends = false;
    }
    studio.world.stop();
    studio.world.advance(6000);
    assert_eq!(logged(" on air "), Vec::<String>::new());
    studio.world.end();
}

#[test]
fn a_backup_that_a_script_makes_of_the_programme_is_gone_round_once() {
    let mut definition = scripted("live", BROADCASTS);
    let mut studio = Studio::new(World::on_disk(with_grace(2000), vec![definition.clone()]));
    let c = studio.world.join_at("live");
    broadcast_as(&mut studio.world, c, "channel", "cam", -1.0, -1.0, true);
    studio.reload(&mut definition, vec![programme(Some("channel"), None)]);
    let main = studio.encoder("cam");
    let of_main = studio.publication(main);
    studio.run(2000);
    studio.watches();
    studio.run(1200);
    assert_eq!(studio.pictures(), [of_main]);
    keep_log();
    studio.leaves(main);
    studio.run(100);
    assert_eq!(logged("input=backup").len(), 1);
    studio.run(4000);
    assert!(studio.pictures().len() <= 1, "the same, and no more of it");
    let again = studio.encoder("cam");
    let of_again = studio.publication(again);
    studio.run(3000);
    assert_eq!(studio.pictures(), [of_again]);
    broadcast_as(&mut studio.world, c, "channel", "", 0.0, -1.0, true);
    studio.world.hang_up(c);
    studio.end();
}

#[test]
fn a_script_does_not_play_a_programme_on_its_backup_nor_publish_its_main_input() {
    let definition = AppDefinition { programmes: vec![programme(Some("b"), None)], ..scripted("live", BROADCASTS) };
    let settings = Settings { streams: 6, ..with_grace(2000) };
    let mut studio = Studio::new(World::on_disk(settings, vec![definition]));
    studio.world.films.put("live/one.flv", slate(1000, true));
    let main = studio.encoder("cam");
    studio.run(500);
    let c = studio.world.join_at("live");
    for (name, what, start, code) in [
        ("b", "cam", -1.0, "Play.Failed cam"),
        ("between", "cam", -1.0, "Play.Start cam"),
        ("b", "between", -1.0, "Play.Failed between"),
        ("cam", "between", -1.0, "Play.Failed between"),
        ("cam.main", "one.flv", 0.0, "Play.Failed one.flv"),
    ] {
        broadcast_as(&mut studio.world, c, name, what, start, -1.0, true);
        studio.run(300);
        let heard = heard_by_script(&mut studio.world, c);
        assert!(
            heard.split(',').any(|said| said == code) && heard.matches("Play.").count() == 1,
            "{name} {what}: {heard}"
        );
    }
    assert!(!studio.world.clients[studio.encoders[main].c].ended);
    broadcast_as(&mut studio.world, c, "between", "", 0.0, -1.0, true);
    studio.world.hang_up(c);
    studio.end();
}

#[test]
fn whatever_becomes_of_the_inputs_time_goes_on_and_each_begins_with_a_key_frame() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let with_slate = random.chance(50);
        let of = programme(Some("other"), with_slate.then_some("soon.flv"));
        let mut studio = Studio::of(ProgrammeSettings { slate_s: 5, ..of });
        studio.world.films.put("live/soon.flv", slate(800 + random.below(3000) as u32, true));
        let names = ["cam", "other"];
        let mut at: [Option<usize>; 2] = [None; 2];
        at[0] = Some(studio.encoder("cam"));
        studio.run(500);
        studio.watches();
        for _ in 0..25 {
            let input = random.below(2);
            match (at[input], random.below(4)) {
                (None, _) => {
                    let e = studio.encoder(names[input]);
                    studio.encoders[e].gop = 10 + random.below(50) as u32;
                    at[input] = Some(e);
                }
                (Some(e), 0) => {
                    studio.leaves(e);
                    at[input] = None;
                }
                (Some(e), 1) => {
                    studio.encoders[e].sends = false;
                    studio.world.reset(studio.encoders[e].c);
                    at[input] = None;
                }
                (Some(e), _) => studio.encoders[e].sends = !studio.encoders[e].sends,
            }
            studio.run(100 + random.below(3000) as u64);
        }
        studio.end();
    }
}

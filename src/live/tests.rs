//! What [`Live`] decides, without a server.

use core::net::IpAddr;

use crate::handles::{AppId, ConnId, FeatureId, SlotIndex, StreamId};
use crate::limits::NAMES_PER_RING;
use crate::media::{TagFlags, TagKind};
use crate::name::{DEFAULT_INSTANCE, StreamPath};
use crate::time::Millis;

use super::Live;
use super::app::{AddressList, AppDefinition, AppKind};
use super::applications::{AppSource, Applications};
use super::gate::{Verdict, Wish};
use super::holder::{Holder, Household, Publisher, Who};
use super::links::LinkClock;
use super::names::Names;
use super::news::News;
use super::publish::Published;
use super::refusal::{NoStream, Refusal};
use super::settings::Settings;
use super::users::Users;

const APP: AppId = AppId(0);
const RING_BYTES: usize = 64 * 1024;

/// The names of `rings` streams, and one application as `change` has it.
fn live(rings: usize, change: impl FnOnce(&mut AppDefinition)) -> Live {
    let mut app = AppDefinition::stock(heapless::String::try_from("live").unwrap(), AppKind::Live);
    change(&mut app);
    let apps = Applications::new(vec![app], AppSource::Fixed, 1, Millis(0));
    Live::new(apps, Names::new(rings, RING_BYTES, 8))
}

fn settings() -> Settings {
    Settings { publish_timeout_ms: 100, unpublish_grace_ms: 1000, publish_idle_ms: 500, ..Settings::default() }
}

fn conn(slot: u32) -> Holder {
    Holder::Conn(ConnId { slot: SlotIndex(slot), generation: 0 }, 0)
}

/// A connection in `slot`, of the household with that number.
fn client(slot: u32, home: u64) -> Publisher {
    Publisher { by: conn(slot), home: Some(Household(home)) }
}

fn feature(stream: u16) -> Publisher {
    Publisher { by: Holder::Feature(FeatureId(1), stream), home: None }
}

fn path(name: &str) -> StreamPath {
    StreamPath::new(DEFAULT_INSTANCE, name, false).unwrap()
}

fn publish(live: &mut Live, who: Publisher, name: &str, at: u64) -> Result<Published, Refusal> {
    live.publish(who, APP, &path(name), &settings(), Millis(at))
}

/// It publishes at once, and hears so.
fn begun(live: &mut Live, who: Publisher, name: &str, at: u64) -> StreamId {
    match publish(live, who, name, at) {
        Ok(Published::Begun(id)) => {
            assert_eq!(news(live), [(id, News::Began)]);
            id
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn leave(live: &mut Live, by: Holder, id: StreamId, at: u64) {
    live.leave(by, id, &settings(), false, Millis(at));
}

/// All that is to be heard, with nothing done about it but what everybody does who hears.
fn news(live: &mut Live) -> Vec<(StreamId, News)> {
    let next = || {
        let (id, news) = live.next_news()?;
        live.names.release_if_unused(id);
        Some((id, news))
    };
    core::iter::from_fn(next).collect()
}

/// A key frame, as it comes from whoever publishes.
fn send(live: &mut Live, id: StreamId, at: u64) -> bool {
    if live.names.stream(id).ring.is_none() && live.bind_ring(id, &settings(), Millis(at)).is_err() {
        return false;
    }
    let (stream, media) = live.names.with_media(id).unwrap();
    stream.media_comes(Millis(at));
    let seq = media.begin_media(TagKind::Video, at as u32, 3, Millis(at)).unwrap();
    media.append(seq, &[0x17, 1, 2]).unwrap();
    let flags = TagFlags { key: true, ..TagFlags::default() };
    media.finish(seq, flags, None, Millis(at)).is_ok()
}

#[test]
fn a_part_of_the_server_publishes_like_a_client_and_its_players_hear_when_it_is_gone_for_good() {
    let mut live = live(1, |_| {});
    let id = begun(&mut live, feature(0), "slate", 0);
    assert_eq!(publish(&mut live, feature(0), "slate", 0), Ok(Published::Already(id)));
    assert_eq!(publish(&mut live, feature(1), "slate", 0), Err(Refusal::Own));
    assert!(send(&mut live, id, 10));
    let player = live.play(conn(3), APP, &path("slate"), &settings(), Millis(20)).unwrap();
    assert_eq!((player.stream(), player.knows_of_publish()), (id, true));
    assert_eq!(live.names.stream(id).players.len(), 1);
    let media = live.names.media(live.names.stream(id).ring.unwrap());
    assert!(media.join(None).is_some(), "there is a picture to begin with");
    leave(&mut live, feature(0).by, id, 30);
    assert_eq!(news(&mut live), [(id, News::Ended(feature(0).by))]);
    assert_eq!(live.expire_grace(0, Millis(1029)), None);
    begun(&mut live, feature(0), "slate", 1029);
    leave(&mut live, feature(0).by, id, 1100);
    assert_eq!(news(&mut live), [(id, News::Ended(feature(0).by))], "players notice nothing while it may come back");
    assert_eq!(live.expire_grace(0, Millis(2100)), Some(id));
    assert_eq!(news(&mut live), [(id, News::Left)]);
    live.stop(conn(3), id);
    assert_eq!((live.names.streams().count(), live.names.publishers()), (0, 0));
}

#[test]
fn a_part_of_the_server_plays_what_nobody_may_take_from_it() {
    let mut live = live(1, |app| app.limits.players = 1);
    let player = live.play(feature(0).by, APP, &path("cam"), &settings(), Millis(0)).unwrap();
    live.names.release_if_unused(player.stream());
    assert_eq!(live.by_limits(APP, conn(0), Wish::Play { name: "cam" }), Ok(()), "it is no client");
    for at in 1..NAMES_PER_RING as u64 {
        live.names.add(APP, &path(&format!("other{at}")), Millis(at)).unwrap();
    }
    let goes = live.must_make_way(client(0, 0), APP, &path("new"), &settings(), Millis(9));
    assert_eq!(goes, live.names.find(APP, &path("other1")), "the next oldest goes");
    live.stop(feature(0).by, player.stream());
    assert_eq!(live.names.find(APP, &path("cam")), None);
}

#[test]
fn who_waits_for_a_name_is_decided_by_household() {
    // The household of the holder is 1.
    for (waiting, newcomer, replaces) in [(2, 2, true), (2, 1, true), (2, 3, false), (1, 3, false), (1, 1, true)] {
        let mut live = live(1, |_| {});
        let id = begun(&mut live, client(0, 1), "cam", 0);
        assert_eq!(publish(&mut live, client(1, waiting), "cam", 10), Ok(Published::Waits(id)));
        assert_eq!(news(&mut live), [(id, News::Asked)]);
        let second = publish(&mut live, client(2, newcomer), "cam", 50);
        assert_eq!(second, if replaces { Ok(Published::Waits(id)) } else { Err(Refusal::Taken) });
        assert_eq!(live.next_challenge(), Some(Millis(110)), "nobody has more time than the first");
        let told =
            if replaces { vec![(id, News::Refused(conn(1), Refusal::Taken)), (id, News::Asked)] } else { Vec::new() };
        assert_eq!(news(&mut live), told, "{waiting} {newcomer}");
    }
}

#[test]
fn a_name_goes_to_who_waits_when_its_holder_is_silent_and_not_when_it_is_alive() {
    for (has_spoken, timeout_ms) in [(true, 100), (false, 100), (false, 0)] {
        let mut live = live(1, |_| {});
        let settings = Settings { publish_timeout_ms: timeout_ms, ..settings() };
        let id = begun(&mut live, client(0, 1), "cam", 0);
        live.publish(client(1, 2), APP, &path("cam"), &settings, Millis(10)).unwrap();
        if timeout_ms > 0 {
            news(&mut live);
            assert_eq!(live.expire_challenge(0, Millis(109), |_| false), None);
            assert_eq!(live.expire_challenge(0, Millis(110), |_| has_spoken), Some(id));
        }
        if has_spoken {
            assert_eq!(news(&mut live), [(id, News::Refused(conn(1), Refusal::Taken))]);
            assert_eq!((live.next_challenge(), live.names.stream(id).publisher()), (None, Some(client(0, 1))));
            continue;
        }
        assert_eq!(news(&mut live), [(id, News::Silent)]);
        leave(&mut live, conn(0), id, 110);
        assert_eq!(news(&mut live), [(id, News::Ended(conn(0))), (id, News::Began)]);
        assert_eq!(live.names.stream(id).publisher(), Some(client(1, 2)));
        assert_eq!((live.names.publishers(), live.next_challenge()), (1, None));
    }
}

#[test]
fn nobody_takes_a_name_from_a_part_of_the_server_and_it_waits_for_one_like_a_client() {
    let mut live = live(2, |_| {});
    let slate = begun(&mut live, feature(0), "slate", 0);
    assert_eq!(publish(&mut live, client(0, 1), "slate", 0), Err(Refusal::Taken));
    let cam = begun(&mut live, client(0, 1), "cam", 0);
    assert_eq!(publish(&mut live, feature(1), "cam", 0), Ok(Published::Waits(cam)));
    assert_eq!(news(&mut live), [(cam, News::Asked)]);
    live.is_alive(conn(0));
    assert_eq!(news(&mut live), [(cam, News::Refused(feature(1).by, Refusal::Taken))]);
    assert_eq!(live.names.stream(slate).publisher(), Some(feature(0)));
}

#[test]
fn who_leaves_before_it_hears_has_neither_published_nor_been_refused() {
    let mut live = live(1, |_| {});
    let id = begun(&mut live, client(0, 1), "cam", 0);
    publish(&mut live, client(1, 2), "cam", 10).unwrap();
    // The newcomer goes, and the holder need not hear that it was there.
    leave(&mut live, conn(1), id, 20);
    assert_eq!((news(&mut live), live.next_challenge()), (Vec::new(), None));
    publish(&mut live, client(1, 2), "cam", 30).unwrap();
    // It goes after the name became its own: nobody has heard of that publish.
    leave(&mut live, conn(0), id, 40);
    leave(&mut live, conn(1), id, 40);
    assert_eq!(news(&mut live), [(id, News::Ended(conn(0)))]);
    assert_eq!(live.names.stream(id).grace_until, Some(Millis(1040)));
    // It goes after it was refused.
    let id = begun(&mut live, client(0, 1), "cam", 50);
    publish(&mut live, client(1, 2), "cam", 60).unwrap();
    live.is_alive(conn(0));
    leave(&mut live, conn(1), id, 60);
    assert_eq!(news(&mut live), []);
}

#[test]
fn a_ring_goes_to_media_and_of_silent_publishers_those_of_the_same_household_lose_theirs_first() {
    let mut live = live(2, |_| {});
    let stranger = begun(&mut live, client(0, 1), "stranger", 0);
    let own = begun(&mut live, client(1, 2), "own", 1);
    assert!(send(&mut live, stranger, 10) && send(&mut live, own, 11));
    // Both have sent media lately.
    assert_eq!(publish(&mut live, client(2, 2), "new", 20), Err(Refusal::NoStream(NoStream::Rings)));
    assert_eq!(live.names.find(APP, &path("new")), None);
    // Both are silent.
    let new = begun(&mut live, client(2, 2), "new", 1000);
    assert!(send(&mut live, new, 1001));
    assert_eq!(news(&mut live), [(own, News::Robbed { to: new, anew: true })]);
    assert!(live.names.stream(own).ring.is_none() && live.names.stream(stranger).ring.is_some());
    // Who has been robbed finds the other ring, unless that is in use again.
    assert!(send(&mut live, stranger, 1100) && !send(&mut live, own, 1101));
}

#[test]
fn a_publisher_without_media_is_idle_once_until_media_comes_back() {
    let mut live = live(1, |_| {});
    let id = begun(&mut live, feature(0), "cam", 0);
    let idle = |live: &mut Live, at| live.expire_media(0, &settings(), Millis(at));
    assert_eq!((idle(&mut live, 500), idle(&mut live, 501), idle(&mut live, 502)), (None, Some(id), None));
    assert_eq!(news(&mut live), [(id, News::Idle)]);
    assert!(send(&mut live, id, 600));
    assert_eq!((idle(&mut live, 1100), idle(&mut live, 1101)), (None, Some(id)));
}

#[test]
fn a_server_that_stops_waits_for_nobody() {
    let mut live = live(1, |_| {});
    let id = begun(&mut live, client(0, 1), "cam", 0);
    live.play(conn(1), APP, &path("cam"), &settings(), Millis(0)).unwrap();
    live.leave(conn(0), id, &settings(), true, Millis(10));
    assert_eq!(news(&mut live), [(id, News::Ended(conn(0))), (id, News::Left)]);
    assert_eq!(live.names.stream(id).grace_until, None);
}

#[test]
fn rules_say_who_may_and_what_a_name_means() {
    type Case = (fn(&mut AppDefinition), Wish<'static>, &'static str, Result<&'static str, Refusal>);
    const PUBLISH: Wish<'_> = Wish::Publish { name: "cam" };
    const PLAY: Wish<'_> = Wish::Play { name: "cam" };
    fn nobody() -> AddressList {
        AddressList::parse(["deny all"]).unwrap()
    }
    fn recordings(app: &mut AppDefinition) {
        app.kind = AppKind::Vod;
        app.rules.set_publish(nobody());
    }
    fn key(app: &mut AppDefinition) {
        app.rules.add_key("hall/cam", "s3cret").unwrap();
    }
    fn users(app: &mut AppDefinition) {
        app.log_in.users = Some(Users::default());
    }
    let cases: [Case; 13] = [
        (|_| {}, Wish::Connect, "", Ok("")),
        (|_| {}, PUBLISH, "", Ok("hall/cam")),
        (|_| {}, PLAY, "", Ok("hall/cam")),
        (|app| app.rules.set_connect(nobody()), Wish::Connect, "", Err(Refusal::ConnectAddress)),
        (recordings, PUBLISH, "", Err(Refusal::NotLive)),
        (recordings, PLAY, "", Ok("hall/cam")),
        (|app| app.rules.set_publish(nobody()), PUBLISH, "", Err(Refusal::PublishAddress)),
        (users, PUBLISH, "", Err(Refusal::PublishUser)),
        (users, PLAY, "", Ok("hall/cam")),
        (key, PUBLISH, "key=wrong", Err(Refusal::PublishKey)),
        (key, Wish::Publish { name: "s3cret" }, "", Ok("hall/cam")),
        (|app| app.rules.set_play(nobody()), PLAY, "", Err(Refusal::PlayAddress)),
        (|app| app.rules.set_play_key("v1ew").unwrap(), PLAY, "key=s3cret", Err(Refusal::PlayKey)),
    ];
    for (change, wish, query, expected) in cases {
        let who = Who {
            peer: IpAddr::from([192, 0, 2, 1]),
            instance: "hall",
            query,
            has_logged_in: false,
            clock: LinkClock::default(),
        };
        let meant = live(1, change).by_rules(APP, &who, wish);
        assert_eq!(meant.as_ref().map(StreamPath::as_str), expected.as_ref().copied(), "{wish:?} {query}");
        assert_eq!(Verdict::from(meant.map(drop)), expected.map_or_else(Verdict::No, |_| Verdict::Yes));
    }
}

#[test]
fn limits_count_others_and_each_client_once() {
    let mut live = live(2, |app| {
        (app.limits.connections, app.limits.publishers, app.limits.players) = (2, 1, 1);
    });
    let publish_new = Wish::Publish { name: "new" };
    let play = Wish::Play { name: "cam" };
    begun(&mut live, feature(0), "slate", 0);
    assert_eq!(live.by_limits(APP, conn(0), publish_new), Ok(()), "what the server publishes counts for nobody");
    begun(&mut live, client(0, 1), "cam", 0);
    live.play(conn(1), APP, &path("cam"), &settings(), Millis(0)).unwrap();
    live.play(conn(1), APP, &path("cam"), &settings(), Millis(0)).unwrap();
    live.apps.app_mut(APP).unwrap().connected = 1;
    for (by, wish, expected) in [
        (conn(0), publish_new, Ok(())),
        (conn(1), publish_new, Err(Refusal::Publishers)),
        (conn(1), play, Ok(())),
        (conn(2), play, Err(Refusal::Players)),
        (conn(2), Wish::Connect, Ok(())),
    ] {
        assert_eq!(live.by_limits(APP, by, wish), expected, "{by} {wish:?}");
    }
    live.apps.app_mut(APP).unwrap().connected = 2;
    assert_eq!(live.by_limits(APP, conn(2), Wish::Connect), Err(Refusal::Connections));
}

#[test]
fn a_stream_is_published_until_its_publisher_has_had_its_time_to_come_back() {
    let mut live = live(1, |_| {});
    let is_published = |live: &Live| live.is_published(APP, &path("cam"));
    assert!(!is_published(&live));
    let id = begun(&mut live, client(0, 1), "cam", 0);
    assert!(is_published(&live));
    leave(&mut live, conn(0), id, 10);
    assert!(is_published(&live));
    live.expire_grace(0, Millis(1010));
    news(&mut live);
    assert!(!is_published(&live));
}

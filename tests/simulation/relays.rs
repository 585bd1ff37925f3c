//! Streams that are sent to other servers and fetched from them. The far end is the server itself, in another application: what it
//! dials is carried to its own door, and what is on the way can be cut, held up and broken.

use std::net::SocketAddr;

use rill::live::app::{AppDefinition, AppKind};
use rill::live::relay_settings::{FarUrl, PullSettings, PullWhen, PushSettings};
use rill::live::settings::Settings;
use rill::server::peer::Peer;
use rill::server::speaks::Door;
use rill::server::transport::Arrival;

use super::sim::browser::Browser;
use super::sim::ledger::Kind::{Audio, Inter, Key};
use super::sim::net::Answer;
use super::sim::world::{Directory, World, settings};

pub const FAR: &str = "192.0.2.1:1935";
/// Another address at which it can be reached.
pub const OTHER: &str = "192.0.2.2:1935";

/// A world whose other end is itself.
pub struct Bridged {
    pub world: World,
    /// Links that were dialled, and those by which they arrive.
    pub carried: Vec<(usize, usize)>,
    /// The next one is reset when so many bytes have gone to the far end.
    reset_after: Option<usize>,
    /// So many bytes go to the far end until the time goes on, and then that many again; `None` is as many as there are.
    uplink: Option<(usize, usize)>,
}

pub fn push(url: &str, names: &[&str]) -> PushSettings {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    PushSettings { url: FarUrl::parse(url).unwrap(), names, key_from: None, key: String::new() }
}

fn pull(url: &str, name: &str, when: PullWhen) -> PullSettings {
    PullSettings { url: FarUrl::parse(url).unwrap(), name: name.to_owned(), when, linger_s: 5 }
}

/// Application `live` with these relays, and `far` without.
fn bridged(pushes: Vec<PushSettings>, pulls: Vec<PullSettings>) -> Bridged {
    bridged_with(settings(), pushes, pulls)
}

fn bridged_with(settings: Settings, pushes: Vec<PushSettings>, pulls: Vec<PullSettings>) -> Bridged {
    let app = |name: &str, kind| AppDefinition::stock(heapless::String::try_from(name).unwrap(), kind);
    let mut live = app("live", AppKind::Live);
    (live.relays.pushes, live.relays.pulls) = (pushes, pulls);
    Bridged::with(settings, vec![live, app("far", AppKind::Live), app("vod", AppKind::Vod)])
}

impl Bridged {
    /// These applications, which reach each other by two addresses.
    pub fn with(settings: Settings, apps: Vec<AppDefinition>) -> Bridged {
        let mut world = World::fixed(settings, apps, 1);
        for address in [FAR, OTHER] {
            world.net.hosts.insert(address.parse().unwrap(), Answer::Taken);
        }
        Bridged { world, carried: Vec::new(), reset_after: None, uplink: None }
    }

    /// Carries bytes until none are left.
    pub fn settle(&mut self) {
        loop {
            self.world.settle();
            if !self.carry() {
                return;
            }
        }
    }

    pub fn advance(&mut self, ms: u64) {
        let end = self.world.now + ms;
        while self.world.now < end {
            self.settle();
            self.world.advance(50.min(end - self.world.now));
            self.uplink = self.uplink.map(|(each, _)| (each, each));
        }
        self.settle();
    }

    fn carry(&mut self) -> bool {
        let net = &mut self.world.net;
        let mut moved = false;
        for near in 0..net.links.len() {
            let link = &net.links[near];
            let is_new = self.carried.iter().all(|(known, arrived)| *known != near && *arrived != near);
            let is_far = [FAR, OTHER].iter().any(|far| link.arrival.peer == Peer::Ip(far.parse().unwrap()));
            if is_new && is_far && !link.to_client.is_empty() {
                let address = SocketAddr::new([10, 9, 9, 9].into(), 2000 + near as u16);
                let arrival = Arrival { peer: Peer::Ip(address), door: Door::Rtmp, is_secure: false };
                let far = net.connect(arrival, 64 << 10, 0);
                self.world.browsers += 1;
                self.carried.push((near, far));
            }
        }
        for at in 0..self.carried.len() {
            let (near, far) = self.carried[at];
            if net.links[near].unplugged {
                continue;
            }
            let waiting = net.links[near].to_client.len();
            let most = self.uplink.as_ref().map_or(waiting, |(_, left)| waiting.min(*left));
            if let Some((_, left)) = &mut self.uplink {
                *left -= most;
            }
            let mut gone: Vec<u8> = net.links[near].to_client.drain(..most).collect();
            if let Some(left) = &mut self.reset_after {
                gone.truncate(*left);
                *left -= gone.len();
            }
            let come: Vec<u8> = net.links[far].to_client.drain(..).collect();
            moved |= !gone.is_empty() || !come.is_empty();
            net.send(far, &gone);
            if !net.links[near].server_closed {
                net.send(near, &come);
            }
            if self.reset_after == Some(0) {
                self.reset_after = None;
                net.reset(near);
                net.reset(far);
                moved = true;
            }
            if net.links[near].server_closed && !net.links[far].client_fin {
                net.fin(far);
                moved = true;
            }
            let is_over = net.links[far].server_fin || net.links[far].server_closed;
            if is_over && !net.links[near].client_fin && !net.links[near].client_reset {
                net.fin(near);
                moved = true;
            }
        }
        moved
    }

    /// Somebody watches `cam` of `live` over HTTP, and has what that publisher sends.
    pub fn watch_over_http(&mut self, publisher: usize) -> Browser {
        let viewer = Browser::new(&mut self.world, 1 << 20);
        viewer.get(&mut self.world, "/live/cam.flv");
        self.advance(1000);
        self.sends(publisher, 80, &[Inter, Audio, Key]);
        self.advance(1000);
        let came = viewer.read(&mut self.world, 1 << 20);
        assert!(came.starts_with(b"HTTP/1.1 200") && came.windows(3).any(|bytes| bytes == b"FLV"), "{came:?}");
        viewer
    }

    /// What the operator sees: does, stream, state and error of each.
    pub fn list(&mut self) -> Vec<String> {
        let now = rill::time::Millis(self.world.now);
        self.world.server.relays(now).iter().map(|row| format!("{} {} {} {}", row.0, row.1, row.2, row.3)).collect()
    }

    pub fn sends(&mut self, c: usize, from: u32, kinds: &[super::sim::ledger::Kind]) {
        self.world.send_all(c, from, kinds);
        self.settle();
    }
}

#[test]
fn a_stream_is_published_at_the_far_end_with_headers_and_a_key_frame_first() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["cam"])], Vec::new());
    let player = bridged.world.player_at("far", "cam");
    let other = bridged.world.publisher("other");
    bridged.world.send_start(other);
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    bridged.sends(publisher, 80, &[Inter, Audio, Key]);
    let heard = bridged.world.heard(player);
    let media: Vec<&String> = heard.iter().filter(|line| line.starts_with("2.") || line.starts_with("1.")).collect();
    assert_eq!(heard.iter().filter(|line| line.as_str() == "1: Play.PublishNotify").count(), 1, "{heard:?}");
    assert!(media.len() >= 7, "{heard:?}");
    assert_eq!(bridged.list(), ["push cam running "], "the other stream is not sent");
    // It ends there as it ends here.
    bridged.world.hang_up(publisher);
    bridged.advance(2000);
    let heard = bridged.world.heard(player);
    assert_eq!(heard.last().map(String::as_str), Some("1: Play.UnpublishNotify"), "{heard:?}");
    assert_eq!(bridged.list(), ["push - idle "]);
}

#[test]
fn a_far_end_that_refuses_is_told_of_in_words_and_asked_again_a_minute_later_at_most() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/vod/s3cret", &["cam"])], Vec::new());
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    let list = bridged.list();
    assert!(list[0].starts_with("push cam waiting it says that the stream key is wrong or in use"), "{list:?}");
    assert!(!list[0].contains("s3cret"), "{list:?}");
    assert_eq!(bridged.carried.len(), 1);
    bridged.advance(60_000);
    assert!((2..4).contains(&bridged.carried.len()), "{}", bridged.carried.len());
}

#[test]
fn it_is_tried_again_when_nobody_is_there_when_nobody_answers_and_when_the_name_is_not_known() {
    for (answer, url, words) in [
        (Answer::Refused, "rtmp://192.0.2.1/far/", "it refuses the connection"),
        (Answer::Nothing, "rtmp://192.0.2.1/far/", "it does not answer"),
        (Answer::Taken, "rtmp://unknown.example/far/", "the host's name is not known (DNS)"),
    ] {
        let mut bridged = bridged(vec![push(url, &["cam"])], Vec::new());
        bridged.world.net.hosts.insert(FAR.parse().unwrap(), answer);
        let publisher = bridged.world.publisher("cam");
        bridged.world.send_start(publisher);
        bridged.advance(11_000);
        assert!(bridged.list()[0].ends_with(words), "{:?}", bridged.list());
        bridged.world.net.hosts.insert(FAR.parse().unwrap(), Answer::Taken);
        bridged.world.hosts.insert("unknown.example".to_owned(), vec![FAR.parse().unwrap()]);
        for _ in 0..20 {
            bridged.sends(publisher, 1000, &[Key]);
            bridged.advance(2000);
        }
        assert_eq!(bridged.list(), ["push cam running "], "{words}");
    }
}

#[test]
fn addresses_of_a_host_are_tried_one_after_the_other() {
    let mut bridged = bridged(vec![push("rtmp://far.example/far/", &["cam"])], Vec::new());
    bridged.world.hosts.insert("far.example".to_owned(), vec!["192.0.2.7:1935".parse().unwrap(), FAR.parse().unwrap()]);
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    assert_eq!(bridged.list(), ["push cam running "]);
}

#[test]
fn a_connection_that_breaks_anywhere_is_made_anew_and_the_stream_begins_again() {
    for bytes in (1..8000).step_by(61) {
        let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["*"])], Vec::new());
        bridged.reset_after = Some(bytes);
        let publisher = bridged.world.publisher("cam");
        bridged.world.send_start(publisher);
        bridged.settle();
        for at in 0..8 {
            bridged.sends(publisher, 1000 * (at + 1), &[Key, Inter, Audio]);
            bridged.advance(500);
        }
        bridged.reset_after = None;
        bridged.advance(3000);
        let player = bridged.world.player_at("far", "cam");
        bridged.sends(publisher, 9000, &[Key]);
        let heard = bridged.world.heard(player);
        assert!(heard.iter().any(|line| line.ends_with(" key")), "{bytes}: {heard:?} {:?}", bridged.list());
        assert_eq!(bridged.list(), ["push cam running "], "{bytes}");
    }
}

#[test]
fn the_operator_stops_and_starts_a_push() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["*"])], Vec::new());
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    let now = |bridged: &Bridged| rill::time::Millis(bridged.world.now);
    assert_eq!(bridged.world.server.switch_push("stop", "live/1", now(&bridged)), Ok(()));
    bridged.settle();
    assert_eq!(bridged.list(), ["push - stopped "]);
    assert!(bridged.world.server.switch_push("stop", "live/1", now(&bridged)).is_err());
    assert!(bridged.world.server.switch_push("start", "live/2", now(&bridged)).is_err());
    assert_eq!(bridged.world.server.switch_push("start", "live/1", now(&bridged)), Ok(()));
    bridged.settle();
    bridged.sends(publisher, 1000, &[Key]);
    assert_eq!(bridged.list(), ["push cam running "]);
}

#[test]
fn a_test_says_whether_the_far_end_takes_it() {
    for (url, state) in [("rtmp://192.0.2.1/far/", "taken"), ("rtmp://192.0.2.1/vod/x", "refused")] {
        let mut bridged = bridged(vec![push(url, &["*"])], Vec::new());
        let now = rill::time::Millis(bridged.world.now);
        assert_eq!(bridged.world.server.switch_push("test", "live/1", now), Ok(()));
        bridged.settle();
        let list = bridged.list();
        assert!(list[0].starts_with(&format!("test - {state}")), "{list:?}");
        bridged.advance(61_000);
        assert_eq!(bridged.list(), ["push - idle "]);
    }
}

#[test]
fn a_test_of_a_push_that_runs_does_not_publish_a_second_time() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["*"])], Vec::new());
    let publisher = bridged.world.publisher("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    let (now, connections) = (rill::time::Millis(bridged.world.now), bridged.carried.len());
    assert_eq!(bridged.world.server.switch_push("test", "live/1", now), Ok(()));
    bridged.advance(500);
    assert_eq!(bridged.list(), ["push cam running ", "test - taken "]);
    assert_eq!(bridged.carried.len(), connections);
}

#[test]
fn an_application_that_is_removed_fetches_nothing_more_and_can_come_back() {
    let app = |name: &str| AppDefinition::stock(heapless::String::try_from(name).unwrap(), AppKind::Live);
    let mut live = app("live");
    live.relays.pulls = vec![pull("rtmp://192.0.2.1/far/cam", "cam", PullWhen::Always)];
    let mut bridged = bridged(Vec::new(), Vec::new());
    bridged.world = World::on_disk(settings(), vec![live.clone(), app("far")]);
    bridged.world.net.hosts.insert(FAR.parse().unwrap(), Answer::Taken);
    let publisher = bridged.world.publisher_at("far", "cam");
    bridged.world.send_start(publisher);
    for _ in 0..2 {
        bridged.world.player("cam");
        bridged.advance(1500);
        assert_eq!(bridged.list(), ["pull cam running "]);
        bridged.world.disk.remove("live");
        bridged.advance(3000);
        assert_eq!(bridged.list(), [""; 0]);
        bridged.world.disk.insert("live".into(), Directory::Good(Box::new(live.clone())));
    }
}

#[test]
fn what_is_fetched_on_demand_is_fetched_while_somebody_watches() {
    let pulls = vec![pull("rtmp://192.0.2.1/far/cam", "cam", PullWhen::Demand)];
    let mut bridged = bridged(Vec::new(), pulls);
    let publisher = bridged.world.publisher_at("far", "cam");
    bridged.world.send_start(publisher);
    bridged.advance(1000);
    assert_eq!(bridged.list(), ["pull cam idle "]);
    let viewer = bridged.world.player("cam");
    bridged.advance(500);
    bridged.sends(publisher, 80, &[Inter, Audio, Key]);
    let heard = bridged.world.heard(viewer);
    assert!(heard.iter().any(|line| line.ends_with("key")), "{heard:?}");
    assert_eq!(bridged.list(), ["pull cam running "]);
    bridged.world.hang_up(viewer);
    bridged.advance(3000);
    assert_eq!(bridged.list(), ["pull cam running "]);
    bridged.advance(4000);
    assert_eq!(bridged.list(), ["pull cam idle "]);
}

#[test]
fn what_is_always_fetched_comes_back_when_its_origin_does() {
    let pulls = vec![pull("rtmp://192.0.2.1/far/cam", "cam", PullWhen::Always)];
    let mut bridged = bridged(Vec::new(), pulls);
    let publisher = bridged.world.publisher_at("far", "cam");
    bridged.world.send_start(publisher);
    bridged.advance(1000);
    assert_eq!(bridged.list(), ["pull cam running "]);
    let connections = bridged.world.net.links.len();
    bridged.world.hang_up(publisher);
    bridged.advance(1000);
    assert_eq!(bridged.list(), ["pull cam running "], "it stays connected");
    let viewer = bridged.world.player("cam");
    assert!(bridged.world.heard(viewer).iter().all(|line| !line.contains("PublishNotify")), "nobody publishes it");
    let publisher = bridged.world.publisher_at("far", "cam");
    bridged.world.send_start(publisher);
    bridged.advance(1000);
    assert_eq!(bridged.list(), ["pull cam running "]);
    assert_eq!(bridged.world.net.links.len(), connections + 2, "a viewer and a publisher, and no other connection");
    bridged.sends(publisher, 1000, &[Key]);
    assert!(bridged.world.heard(viewer).iter().any(|line| line.ends_with("key")));
}

#[test]
fn a_viewer_over_http_has_what_is_fetched_on_demand_brought_too() {
    let pulls = vec![PullSettings { linger_s: 0, ..pull("rtmp://192.0.2.1/far/cam", "cam", PullWhen::Demand) }];
    let mut bridged = bridged(Vec::new(), pulls);
    let publisher = bridged.world.publisher_at("far", "cam");
    bridged.world.send_start(publisher);
    let viewer = bridged.watch_over_http(publisher);
    viewer.hang_up(&mut bridged.world);
    bridged.advance(3000);
    assert_eq!(bridged.list(), ["pull cam idle "]);
}

#[test]
fn a_slow_uplink_loses_groups_of_pictures_and_who_watches_here_loses_nothing() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["*"])], Vec::new());
    let publisher = bridged.world.publisher("cam");
    let player = bridged.world.player("cam");
    let far = bridged.world.player_at("far", "cam");
    // Its publisher, as it sees it, leaves out what it may.
    bridged.world.slow(far, 1 << 20);
    bridged.world.send_start(publisher);
    bridged.settle();
    // 22 kB a second, of which 10 get through.
    bridged.uplink = Some((500, 500));
    for second in 1..=60 {
        for n in 0..10 {
            let (kind, bytes) = if n == 0 { (Key, 4000) } else { (Inter, 2000) };
            bridged.world.send(publisher, 1, kind, second * 1000 + n * 100, bytes);
            bridged.advance(100);
        }
    }
    let count =
        |heard: &[String]| [" key", " inter"].map(|kind| heard.iter().filter(|line| line.ends_with(kind)).count());
    let (here, there) = (bridged.world.heard(player), bridged.world.heard(far));
    assert_eq!(count(&here), [61, 540]);
    let [keys, inter] = count(&there);
    assert!(keys > 10 && (50..400).contains(&inter), "{keys} key frames and {inter} others arrive");
    assert_eq!(bridged.list(), ["push cam running "]);
    // When there is room again it is as if nothing had been.
    bridged.uplink = None;
    bridged.advance(1000);
    bridged.sends(publisher, 62_000, &[Key, Inter]);
    let heard = bridged.world.heard(far);
    assert!(heard.iter().any(|line| line.ends_with(" key")), "{heard:?}");
}

#[test]
fn a_link_that_dies_without_a_word_is_noticed_and_made_anew() {
    let mut bridged = bridged(vec![push("rtmp://192.0.2.1/far/", &["*"])], Vec::new());
    let publisher = bridged.world.publisher("cam");
    let player = bridged.world.player("cam");
    bridged.world.send_start(publisher);
    bridged.settle();
    assert_eq!(bridged.list(), ["push cam running "]);
    let near = bridged.carried[0].0;
    bridged.world.net.links[near].unplugged = true;
    let mut said = String::new();
    for second in 1..=60 {
        bridged.world.send(publisher, 1, Key, second * 1000, 4000);
        bridged.advance(1000);
        said += &bridged.list().concat();
    }
    assert!(said.contains("it takes nothing any more (live.player_stall_ms)"), "{said}");
    assert_eq!(bridged.list(), ["push cam running "]);
    assert_eq!(bridged.carried.len(), 2);
    let keys = bridged.world.heard(player).iter().filter(|line| line.ends_with(" key")).count();
    assert_eq!(keys, 61);
}

//! A responder of multicast DNS (RFC 6762) that holds one name on all links, and advertises the server's services under it
//! (RFC 6763). It has neither sockets nor a clock: packets and times go in, packets come out.
//!
//! A name is one number: 1 is `rill.local` and the instance `Rill`, 2 is `rill-2.local` and `Rill (2)`. Whichever of both
//! is taken, the number grows. So a board has the same number everywhere a user sees it.
//!
//! After each call of [`Responder::set_links`], [`Responder::receive`] and [`Responder::turn`]:
//!
//! 1. take packets from [`Responder::next_packet`] until there is none, and send them;
//! 2. call [`Responder::turn`] at the time that [`Responder::deadline`] says.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::dns::{CLASS_IN, Message, Name, Question, RESPONSE, Record, TOP_BIT, kind};

/// The port of multicast DNS; a querier on another port is no responder (RFC 6762, section 6.7).
pub const PORT: u16 = 5353;

/// Lifetimes of records that name a host, and of others (section 10).
const HOST_TTL_S: u32 = 120;
const OTHER_TTL_S: u32 = 4500;
/// The longest lifetime in an answer to who is no responder (section 6.7).
const LEGACY_TTL_S: u32 = 10;
/// Section 8.1: three probes, 250 ms apart, the first after up to 250 ms.
const PROBES: u8 = 3;
const PROBE_PAUSE: Duration = Duration::from_millis(250);
/// Section 8.2: the wait of who loses a tie.
const TIE_PAUSE: Duration = Duration::from_secs(1);
/// Section 8.1: after 15 conflicts within 10 s, 5 s before each further attempt.
const CONFLICTS: usize = 15;
const CONFLICT_WINDOW: Duration = Duration::from_secs(10);
const CONFLICT_PAUSE: Duration = Duration::from_secs(5);
/// Section 8.3: two announcements, 1 s apart.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);
/// Section 6: a record is multicast at most once in this time, and in the other one when it defends a name.
const REPEAT_PAUSE: Duration = Duration::from_secs(1);
const DEFENCE_PAUSE: Duration = Duration::from_millis(250);
/// Section 6: answers that others may give, too, wait for 20 to 120 ms.
const SHARED_DELAY_MS: [u32; 2] = [20, 120];

/// What there is to say, as bits of a set. [`Responder::records`] knows them.
type Slots = u16;
const A: Slots = 1;
const AAAA: Slots = 1 << 1;
const HOST_NSEC: Slots = 1 << 2;
const TYPES: Slots = 1 << 3;
/// Those of every service; [`of`] has one service's.
const SRV: Slots = each(0);
const TXT: Slots = each(1);
const INSTANCE_NSEC: Slots = each(2);
const PTR: Slots = each(3);
const SLOTS: usize = 4 + 4 * MAX_SERVICES;
/// Those that others may have the same name for.
const SHARED: Slots = PTR | TYPES;
/// What is announced; the rest goes without saying.
const ANNOUNCED: Slots = A | AAAA | SRV | TXT | PTR;

/// The services that can be advertised.
pub const MAX_SERVICES: usize = 2;

/// The bit of the number `which` of each service.
const fn each(which: usize) -> Slots {
    let (mut slots, mut service) = (0, 0);
    while service < MAX_SERVICES {
        slots |= 1 << (4 + 4 * service + which);
        service += 1;
    }
    slots
}

/// Of `slots` those of one service.
const fn of(service: usize, slots: Slots) -> Slots {
    slots & (0b1111 << (4 + 4 * service))
}

/// What the name is for.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The name to begin with, without `.local`.
    pub host: String,
    /// The instance of each service to begin with.
    pub instance: String,
    /// What can be had there; at most [`MAX_SERVICES`].
    pub services: Vec<Service>,
    /// Whether it can be reached by IPv6, so that such addresses are of use.
    pub ipv6: bool,
}

/// A service over TCP.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name in the registry of service names, without the underscore: `rtmp` is `_rtmp._tcp`.
    pub name: String,
    /// Where it listens.
    pub port: u16,
}

/// A packet to send on a link.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The link's index.
    pub link: u32,
    /// `None` is the multicast group, by IPv4 and IPv6.
    pub to: Option<SocketAddr>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// How far the name is on a link.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Probed `sent` times whether the name is taken.
    Probing {
        sent: u8,
        next: Instant,
    },
    /// It is ours, and was said `sent` times.
    Announcing {
        sent: u8,
        next: Instant,
    },
    Held,
}

#[derive(Debug)]
struct Link {
    index: u32,
    /// The link's own, published or not.
    addresses: Vec<IpAddr>,
    phase: Phase,
    /// When each slot was multicast last.
    multicast: [Option<Instant>; SLOTS],
    /// Answers that wait for their time.
    waiting: Option<(Slots, Instant)>,
}

/// See the module.
#[derive(Debug)]
pub struct Responder {
    advertised: Advertised,
    number: u32,
    links: Vec<Link>,
    /// The newest conflicts, and whether there were too many since a name was held.
    conflicts: VecDeque<Instant>,
    contested: bool,
    random: u32,
    packets: VecDeque<Packet>,
}

impl Service {
    /// Its label in a name (RFC 6763, section 7).
    fn label(&self) -> String {
        format!("_{}", self.name)
    }
}

impl Responder {
    /// A responder without links. `seed` is any number that differs between boards.
    pub fn new(advertised: Advertised, seed: u32) -> Responder {
        let (links, conflicts, packets) = (Vec::new(), VecDeque::new(), VecDeque::new());
        Responder { advertised, number: 1, links, conflicts, contested: false, random: seed | 1, packets }
    }

    /// The name, once it is ours on a link.
    pub fn held(&self) -> Option<String> {
        let holds = self.links.iter().any(|link| !matches!(link.phase, Phase::Probing { .. }));
        holds.then(|| format!("{}.local", self.host_label()))
    }

    /// Whether there is a link to hold a name on.
    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Says which links there are, by index, and all addresses of this machine on each. A link that is new or has a new
    /// address may be another network, where the name has to be asked for again.
    pub fn set_links(&mut self, now: Instant, found: &[(u32, Vec<IpAddr>)]) {
        let ipv6 = self.advertised.ipv6;
        let usable = |addresses: &[IpAddr]| addresses.iter().any(|address| published(ipv6, *address));
        self.links.retain(|link| found.iter().any(|(index, addresses)| *index == link.index && usable(addresses)));
        for (index, addresses) in found.iter().filter(|(_, addresses)| usable(addresses)) {
            let first = self.first_probe(now);
            let Some(at) = self.links.iter().position(|link| link.index == *index) else {
                let (addresses, multicast) = (addresses.clone(), [None; SLOTS]);
                self.links.push(Link { index: *index, addresses, phase: first, multicast, waiting: None });
                continue;
            };
            let held = !matches!(self.links[at].phase, Phase::Probing { .. });
            let before = if held { self.select(at, A | AAAA) } else { Vec::new() };
            let known = |address: &IpAddr| self.links[at].addresses.contains(address) || !published(ipv6, *address);
            if !addresses.iter().all(known) {
                self.links[at].phase = first;
            }
            self.links[at].addresses.clone_from(addresses);
            let after = self.select(at, A | AAAA);
            let gone = before.into_iter().filter(|old| !after.iter().any(|new| new.same(old)));
            let answers: Vec<Record> = gone.map(|record| Record { ttl_s: 0, ..record }).collect();
            if !answers.is_empty() {
                self.send(at, None, Message { flags: RESPONSE, answers, ..Message::default() });
            }
        }
        self.turn(now);
    }

    /// Takes a packet that came to the multicast group on a link.
    pub fn receive(&mut self, now: Instant, index: u32, from: SocketAddr, bytes: &[u8]) {
        // Our own come back, also by another cable to the same network.
        if self.links.iter().any(|link| link.addresses.contains(&from.ip())) {
            return;
        }
        let Some(at) = self.links.iter().position(|link| link.index == index) else { return };
        let Some(message) = Message::parse(bytes) else { return };
        match message.is_response() {
            // Section 11: a response from another port is none.
            true if from.port() == PORT => self.receive_response(now, at, &message),
            true => {}
            false => self.receive_query(now, at, from, &message),
        }
        self.turn(now);
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Instant) {
        for at in 0..self.links.len() {
            match self.links[at].phase {
                Phase::Probing { sent, next } if now >= next => self.probe(now, at, sent),
                Phase::Announcing { sent, next } if now >= next => {
                    self.multicast(now, at, ANNOUNCED, Duration::ZERO);
                    let (sent, next) = (sent + 1, now + ANNOUNCE_PAUSE);
                    if sent < ANNOUNCEMENTS {
                        self.links[at].phase = Phase::Announcing { sent, next };
                    } else {
                        self.links[at].phase = Phase::Held;
                        self.contested = false;
                    }
                }
                _ => {}
            }
            if let Some((slots, _)) = self.links[at].waiting.take_if(|(_, due)| now >= *due) {
                // Meanwhile the name may have come into question.
                if !matches!(self.links[at].phase, Phase::Probing { .. }) {
                    self.multicast(now, at, slots, REPEAT_PAUSE);
                }
            }
        }
    }

    /// When [`Responder::turn`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let phases = self.links.iter().filter_map(|link| match link.phase {
            Phase::Probing { next, .. } | Phase::Announcing { next, .. } => Some(next),
            Phase::Held => None,
        });
        phases.chain(self.links.iter().filter_map(|link| Some(link.waiting?.1))).min()
    }

    /// The next packet to send.
    pub fn next_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    /// Takes everything back (section 10.1).
    pub fn goodbye(&mut self) {
        for at in 0..self.links.len() {
            if matches!(self.links[at].phase, Phase::Probing { .. }) {
                continue;
            }
            let mut answers = self.select(at, ANNOUNCED);
            answers.iter_mut().for_each(|record| record.ttl_s = 0);
            self.send(at, None, Message { flags: RESPONSE, answers, ..Message::default() });
        }
    }

    /// Section 8.1.
    fn probe(&mut self, now: Instant, at: usize, sent: u8) {
        if sent == PROBES {
            self.links[at].phase = Phase::Announcing { sent: 0, next: now };
            return self.turn(now);
        }
        let ask = |name| Question { name, kind: kind::ANY, class: CLASS_IN };
        let questions = [self.host()].into_iter().chain(self.instances()).map(ask).collect();
        let mut authorities = self.select(at, A | AAAA | SRV | TXT);
        authorities.iter_mut().for_each(|record| record.class = CLASS_IN);
        self.send(at, None, Message { questions, authorities, ..Message::default() });
        self.links[at].phase = Phase::Probing { sent: sent + 1, next: now + PROBE_PAUSE };
    }

    fn receive_query(&mut self, now: Instant, at: usize, from: SocketAddr, query: &Message) {
        if matches!(self.links[at].phase, Phase::Probing { .. }) {
            return self.break_tie(now, at, query);
        }
        let records = self.records(at);
        let (host, instances) = (self.host(), self.instances());
        let mut slots: Slots = 0;
        for question in &query.questions {
            let asked = records.iter().filter(|(_, record)| question.matches(&record.name, record.kind));
            let found = asked.fold(0, |found, (slot, _)| found | slot);
            // Section 6.1: what there is not is said, too, or the question would be asked again.
            let nothing = |name, nsec| if found == 0 && question.asks_for(name) { nsec } else { 0 };
            slots |= found | nothing(&host, HOST_NSEC);
            for (service, instance) in instances.iter().enumerate() {
                slots |= nothing(instance, of(service, INSTANCE_NSEC));
            }
        }
        // Section 7.1: the querier may know the answers.
        for (slot, _) in &records {
            let mut all = records.iter().filter(|(other, _)| other == slot);
            let known =
                |ours: &Record| query.answers.iter().any(|known| known.same(ours) && known.ttl_s >= ours.ttl_s / 2);
            if all.all(|(_, record)| known(record)) {
                slots &= !slot;
            }
        }
        if slots == 0 {
            return;
        }
        if from.port() != PORT {
            // Its questions are sent back to an address that can be forged; a plain client has one (RFC 1035).
            if query.questions.len() == 1 {
                self.answer_legacy(at, from, query, slots);
            }
            return;
        }
        let unicast = query.questions.iter().all(Question::wants_unicast);
        if !query.authorities.is_empty() {
            self.multicast(now, at, slots, DEFENCE_PAUSE);
        } else if unicast && self.is_well_known(now, at, slots) {
            let message = self.response(at, slots);
            self.send(at, Some(from), message);
        } else {
            let delay = if slots & SHARED == 0 {
                Duration::ZERO
            } else {
                let [least, most] = SHARED_DELAY_MS;
                Duration::from_millis((least + self.random(most - least)).into())
            };
            let link = &mut self.links[at];
            let (before, due) = link.waiting.unwrap_or((0, now + delay));
            link.waiting = Some((before | slots, due.min(now + delay)));
        }
    }

    /// Section 8.2: of two who probe for a name at the same time, the one whose records are lexicographically later goes on.
    /// Who is another board of ours compares hosts, which differ by their addresses, so that one of both wins all names.
    fn break_tie(&mut self, now: Instant, at: usize, query: &Message) {
        if matches!(self.links[at].phase, Phase::Probing { sent: 0, .. }) {
            return;
        }
        let instances = self.instances().into_iter().enumerate();
        let instances = instances.map(|(service, instance)| (instance, of(service, SRV | TXT)));
        for (name, slots) in [(self.host(), A | AAAA)].into_iter().chain(instances) {
            let theirs: Vec<&Record> = query.authorities.iter().filter(|record| record.name == name).collect();
            if theirs.is_empty() {
                continue;
            }
            let ours = self.select(at, slots);
            match compare(ours.iter().collect(), theirs) {
                Ordering::Equal => {}
                Ordering::Greater => return,
                Ordering::Less => {
                    let next = now + TIE_PAUSE + self.jitter();
                    self.links[at].phase = Phase::Probing { sent: 0, next };
                    return;
                }
            }
        }
    }

    fn receive_response(&mut self, now: Instant, at: usize, response: &Message) {
        let (host, instances) = (self.host(), self.instances());
        // Every link's, for there may be a gateway that repeats what it heard on one of them on another.
        let ours: Vec<Record> = (0..self.links.len()).flat_map(|at| self.select(at, A | AAAA | SRV | TXT)).collect();
        let conflict = response.answers.iter().chain(&response.additionals).any(|record| {
            let unique = match record.kind {
                kind::A | kind::AAAA => record.name == host,
                kind::SRV | kind::TXT => instances.contains(&record.name),
                _ => false,
            };
            // A goodbye claims nothing.
            unique && record.key().0 == CLASS_IN && record.ttl_s > 0 && !ours.iter().any(|own| own.same(record))
        });
        if !conflict {
            return;
        }
        self.conflicts.push_back(now);
        if self.conflicts.len() == CONFLICTS {
            self.contested |= self.conflicts.pop_front().is_some_and(|first| now < first + CONFLICT_WINDOW);
        }
        if matches!(self.links[at].phase, Phase::Probing { .. }) {
            // The name is taken.
            self.number += 1;
            for at in 0..self.links.len() {
                let phase = self.first_probe(now);
                let link = &mut self.links[at];
                (link.phase, link.multicast, link.waiting) = (phase, [None; SLOTS], None);
            }
        } else {
            // Section 9: two networks may have become one. Both ask again, and one of them gets it.
            self.links[at].phase = self.first_probe(now);
        }
    }

    /// Section 6.7: what comes from another port is a plain DNS client's, and answered like that.
    fn answer_legacy(&mut self, at: usize, from: SocketAddr, query: &Message, slots: Slots) {
        let mut message = self.response(at, slots);
        for record in message.answers.iter_mut().chain(&mut message.additionals) {
            record.class &= !TOP_BIT;
            record.ttl_s = record.ttl_s.min(LEGACY_TTL_S);
        }
        (message.id, message.questions) = (query.id, query.questions.clone());
        self.send(at, Some(from), message);
    }

    /// Multicasts what was not multicast within `pause`.
    fn multicast(&mut self, now: Instant, at: usize, mut slots: Slots, pause: Duration) {
        for (slot, last) in self.links[at].multicast.iter().enumerate() {
            if last.is_some_and(|last| now < last + pause) {
                slots &= !(1 << slot);
            }
        }
        if slots == 0 {
            return;
        }
        for (slot, last) in self.links[at].multicast.iter_mut().enumerate() {
            if slots & (1 << slot) != 0 {
                *last = Some(now);
            }
        }
        let message = self.response(at, slots);
        self.send(at, None, message);
    }

    /// Whether all of `slots` was multicast within a quarter of its lifetime (section 5.4).
    fn is_well_known(&self, now: Instant, at: usize, slots: Slots) -> bool {
        let quarter = Duration::from_secs((HOST_TTL_S / 4).into());
        let recent = |slot: usize| self.links[at].multicast[slot].is_some_and(|last| now < last + quarter);
        (0..SLOTS).all(|slot| slots & (1 << slot) == 0 || recent(slot))
    }

    /// A response with `slots`, and the records that the querier will ask for next (RFC 6763, section 12).
    fn response(&self, at: usize, slots: Slots) -> Message {
        let mut more = 0;
        for service in 0..self.advertised.services.len() {
            if slots & of(service, PTR) != 0 {
                more |= of(service, SRV | TXT | INSTANCE_NSEC);
            }
        }
        if (slots | more) & (SRV | A | AAAA) != 0 {
            more |= A | AAAA | HOST_NSEC;
        }
        let (answers, additionals) = (self.select(at, slots), self.select(at, more & !slots));
        Message { flags: RESPONSE, answers, additionals, ..Message::default() }
    }

    fn send(&mut self, at: usize, to: Option<SocketAddr>, message: Message) {
        self.packets.push_back(Packet { link: self.links[at].index, to, bytes: message.emit() });
    }

    fn select(&self, at: usize, slots: Slots) -> Vec<Record> {
        let wanted = self.records(at).into_iter().filter(|(slot, _)| slots & slot != 0);
        wanted.map(|(_, record)| record).collect()
    }

    /// Everything there is to say on a link.
    fn records(&self, at: usize) -> Vec<(Slots, Record)> {
        let host = self.host();
        let record = |name: &Name, kind, ttl_s, data: &[u8]| Record {
            name: name.clone(),
            kind,
            class: CLASS_IN | TOP_BIT,
            ttl_s,
            data: data.to_vec(),
        };
        let shared = |name: &Name, target: &Name| Record {
            class: CLASS_IN,
            ..record(name, kind::PTR, OTHER_TTL_S, target.bytes())
        };
        let mut records = Vec::new();
        let mut host_kinds = Vec::new();
        for address in self.links[at].addresses.iter().filter(|address| published(self.advertised.ipv6, **address)) {
            let (slot, kind, data) = match address {
                IpAddr::V4(address) => (A, kind::A, address.octets().to_vec()),
                IpAddr::V6(address) => (AAAA, kind::AAAA, address.octets().to_vec()),
            };
            host_kinds.push(kind);
            records.push((slot, record(&host, kind, HOST_TTL_S, &data)));
        }
        records.push((HOST_NSEC, record(&host, kind::NSEC, HOST_TTL_S, &nsec(&host, &host_kinds))));
        let types = Name::new(&["_services", "_dns-sd", "_udp", "local"]);
        for (at, (service, instance)) in self.advertised.services.iter().zip(self.instances()).enumerate() {
            // Priority and weight, which have no use for one server.
            let mut server = vec![0; 4];
            server.extend_from_slice(&service.port.to_be_bytes());
            server.extend_from_slice(host.bytes());
            let kinds = nsec(&instance, &[kind::TXT, kind::SRV]);
            let kind_of_service = Name::new(&[&service.label(), "_tcp", "local"]);
            records.extend([
                (of(at, SRV), record(&instance, kind::SRV, HOST_TTL_S, &server)),
                // RFC 6763, section 6.1: one empty string, for there is nothing to say.
                (of(at, TXT), record(&instance, kind::TXT, OTHER_TTL_S, &[0])),
                (of(at, INSTANCE_NSEC), record(&instance, kind::NSEC, OTHER_TTL_S, &kinds)),
                (of(at, PTR), shared(&kind_of_service, &instance)),
                (TYPES, shared(&types, &kind_of_service)),
            ]);
        }
        records
    }

    fn host_label(&self) -> String {
        match self.number {
            1 => self.advertised.host.clone(),
            number => format!("{}-{number}", self.advertised.host),
        }
    }

    fn host(&self) -> Name {
        Name::new(&[&self.host_label(), "local"])
    }

    /// Each service's.
    fn instances(&self) -> Vec<Name> {
        let label = match self.number {
            1 => self.advertised.instance.clone(),
            number => format!("{} ({number})", self.advertised.instance),
        };
        let services = self.advertised.services.iter();
        services.map(|service| Name::new(&[&label, &service.label(), "_tcp", "local"])).collect()
    }

    fn first_probe(&mut self, now: Instant) -> Phase {
        let pause = if self.contested { CONFLICT_PAUSE } else { Duration::ZERO };
        Phase::Probing { sent: 0, next: now + pause + self.jitter() }
    }

    fn jitter(&mut self) -> Duration {
        Duration::from_millis(self.random(250).into())
    }

    /// A number below `bound`, by xorshift: what it spreads in time needs no better.
    fn random(&mut self, bound: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % bound
    }
}

/// An address that is of use to a client.
fn published(ipv6: bool, address: IpAddr) -> bool {
    address.is_ipv4() || ipv6
}

/// The data of an NSEC record that says which types there are, all of them below 256 (section 6.1).
fn nsec(name: &Name, kinds: &[u16]) -> Vec<u8> {
    let mut bits = vec![0; kinds.iter().max().map_or(1, |kind| usize::from(kind / 8) + 1)];
    for kind in kinds {
        bits[usize::from(kind / 8)] |= 0x80 >> (kind % 8);
    }
    let mut data = name.bytes().to_vec();
    data.extend_from_slice(&[0, bits.len() as u8]);
    data.extend_from_slice(&bits);
    data
}

/// Section 8.2.1: sorted, record by record, class, type and data; then the longer list is later.
fn compare(mut ours: Vec<&Record>, mut theirs: Vec<&Record>) -> Ordering {
    let order = |a: &&Record, b: &&Record| a.key().cmp(&b.key()).then_with(|| a.data.cmp(&b.data));
    ours.sort_by(order);
    theirs.sort_by(order);
    let differs = ours.iter().zip(&theirs).map(|(a, b)| order(a, b)).find(|order| order.is_ne());
    differs.unwrap_or(ours.len().cmp(&theirs.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boards on networks, and a clock. Packets arrive at once, and none is lost.
    struct World {
        now: Instant,
        boards: Vec<Responder>,
        /// Which network each board is on, with its address there.
        cables: Vec<(u32, IpAddr)>,
        heard: Vec<Message>,
    }

    impl World {
        fn new(seeds: &[u32]) -> World {
            let services = [("rtmp", 1935), ("http", 80)];
            let services = services.map(|(name, port)| Service { name: name.into(), port }).into();
            let advertised = Advertised { host: "rill".into(), instance: "Rill".into(), services, ipv6: false };
            let boards = seeds.iter().map(|&seed| Responder::new(advertised.clone(), seed)).collect();
            let cables = (1..=seeds.len() as u8).map(|board| (0, IpAddr::from([192, 168, 1, board]))).collect();
            World { now: Instant::now(), boards, cables, heard: Vec::new() }
        }

        /// Plugs a board in, or into another network.
        fn plug(&mut self, board: usize, network: u32, address: [u8; 4]) {
            self.cables[board] = (network, address.into());
            self.boards[board].set_links(self.now, &[]);
            self.boards[board].set_links(self.now, &[(2, vec![address.into()])]);
        }

        fn plug_all(&mut self) {
            for board in 0..self.boards.len() {
                self.plug(board, 0, [192, 168, 1, board as u8 + 1]);
            }
        }

        fn run(&mut self, time_ms: u64) {
            let end = self.now + Duration::from_millis(time_ms);
            loop {
                self.deliver();
                let next = self.boards.iter().filter_map(Responder::deadline).min().filter(|next| *next <= end);
                let Some(next) = next else { break };
                self.now = next.max(self.now);
                self.boards.iter_mut().for_each(|board| board.turn(next));
            }
            self.now = end;
        }

        fn deliver(&mut self) {
            while let Some((from, packet)) =
                (0..self.boards.len()).find_map(|at| Some((at, self.boards[at].next_packet()?)))
            {
                self.heard.push(Message::parse(&packet.bytes).unwrap());
                let (network, address) = self.cables[from];
                for at in 0..self.boards.len() {
                    if self.cables[at].0 == network && packet.to.is_none() {
                        self.boards[at].receive(self.now, 2, (address, PORT).into(), &packet.bytes);
                    }
                }
            }
        }

        /// What is answered to a question of another machine within 200 ms.
        fn ask(&mut self, network: u32, from_port: u16, message: &Message) -> Vec<Message> {
            self.heard.clear();
            for at in 0..self.boards.len() {
                if self.cables[at].0 == network {
                    self.boards[at].receive(self.now, 2, ([192, 168, 1, 99], from_port).into(), &message.emit());
                }
            }
            self.run(200);
            self.heard.iter().filter(|message| message.is_response()).cloned().collect()
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = self.boards.iter().map(|board| board.held().unwrap_or_default()).collect();
            names.sort();
            names
        }
    }

    fn question(labels: &[&str], kind: u16) -> Message {
        let questions = vec![Question { name: Name::new(labels), kind, class: CLASS_IN }];
        Message { questions, ..Message::default() }
    }

    #[test]
    fn of_boards_that_start_together_one_keeps_the_name_and_the_others_count() {
        for seed in 1..300 {
            let mut world = World::new(&[seed, seed, seed * 77]);
            world.plug_all();
            world.run(20_000);
            assert_eq!(world.names(), ["rill-2.local", "rill-3.local", "rill.local"], "seed {seed}");
        }
    }

    #[test]
    fn who_has_the_name_keeps_it_and_it_is_not_answered_before_it_is_held() {
        let mut world = World::new(&[1, 2]);
        world.plug(0, 0, [192, 168, 1, 1]);
        world.run(500);
        assert_eq!(world.boards[0].held(), None);
        assert!(world.ask(0, PORT, &question(&["rill", "local"], kind::A)).is_empty());
        world.run(5_000);
        world.plug(1, 0, [192, 168, 1, 200]);
        world.run(5_000);
        assert_eq!(world.boards[0].held().unwrap(), "rill.local");
        assert_eq!(world.boards[1].held().unwrap(), "rill-2.local");
    }

    #[test]
    fn networks_that_become_one_settle_who_has_the_name() {
        for seed in 1..100 {
            let mut world = World::new(&[seed, seed + 1]);
            world.plug(0, 0, [192, 168, 1, 1]);
            world.plug(1, 1, [192, 168, 1, 2]);
            world.run(5_000);
            assert_eq!(world.names(), ["rill.local", "rill.local"]);
            // Two switches are connected; no board notices before a query.
            world.cables[1].0 = 0;
            world.ask(0, PORT, &question(&["RILL", "local"], kind::A));
            world.run(10_000);
            assert_eq!(world.names(), ["rill-2.local", "rill.local"], "seed {seed}");
        }
    }

    #[test]
    fn browsers_get_instance_port_and_address_of_a_service_at_once() {
        let mut world = World::new(&[5]);
        world.plug_all();
        world.run(10_000);
        for (service, port) in [("_rtmp", 1935_u16), ("_http", 80)] {
            let browse = question(&[service, "_tcp", "local"], kind::PTR);
            let answers = world.ask(0, PORT, &browse);
            let [answer] = &answers[..] else { panic!("{} answers", answers.len()) };
            let instance = Name::new(&["Rill", service, "_tcp", "local"]);
            let [pointer] = &answer.answers[..] else { panic!("{} instances of {service}", answer.answers.len()) };
            assert_eq!(pointer.data, instance.bytes());
            let servers: Vec<_> = answer.additionals.iter().filter(|record| record.kind == kind::SRV).collect();
            let [server] = servers[..] else { panic!("{} servers of {service}", servers.len()) };
            assert_eq!((server.name == instance, &server.data[4..6]), (true, &port.to_be_bytes()[..]));
            let host = answer.additionals.iter().find(|record| record.kind == kind::A).unwrap();
            assert_eq!((host.data.as_slice(), host.class), (&[192, 168, 1, 1][..], CLASS_IN | TOP_BIT));
            // Who knows the answer gets none.
            let known = Message { answers: answer.answers.clone(), ..browse };
            world.run(5_000);
            assert!(world.ask(0, PORT, &known).is_empty());
        }
        let types = world.ask(0, PORT, &question(&["_services", "_dns-sd", "_udp", "local"], kind::PTR));
        let types: Vec<_> = types[0].answers.iter().map(|record| record.data.clone()).collect();
        assert_eq!(types, ["_rtmp", "_http"].map(|service| Name::new(&[service, "_tcp", "local"]).bytes().to_vec()));
    }

    #[test]
    fn an_address_that_there_is_not_is_denied() {
        let mut world = World::new(&[5]);
        world.plug_all();
        world.run(10_000);
        let answers = world.ask(0, PORT, &question(&["rill", "local"], kind::AAAA));
        // The next name is the name itself; window 0 with one byte: type 1.
        assert_eq!(answers[0].answers[0].data, b"\x04rill\x05local\0\0\x01\x40");
    }

    #[test]
    fn a_plain_client_gets_its_question_back_and_short_lives() {
        let mut world = World::new(&[5]);
        world.plug_all();
        world.run(10_000);
        let query = Message { id: 77, ..question(&["rill", "local"], kind::A) };
        let answers = world.ask(0, 40_000, &query);
        let (answer, record) = (&answers[0], &answers[0].answers[0]);
        assert_eq!((answer.id, &answer.questions, record.class, record.ttl_s), (77, &query.questions, CLASS_IN, 10));
        let many = Message { questions: vec![query.questions[0].clone(); 2], ..query };
        assert_eq!(world.ask(0, 40_000, &many).len(), 0);
    }

    #[test]
    fn an_address_that_changes_is_announced_and_a_goodbye_takes_all_back() {
        let mut world = World::new(&[5]);
        world.plug(0, 0, [169, 254, 1, 1]);
        world.run(10_000);
        world.heard.clear();
        world.boards[0].set_links(world.now, &[(2, vec![[192, 168, 1, 1].into()])]);
        world.run(5_000);
        assert_eq!(world.boards[0].held().unwrap(), "rill.local");
        let addresses = world.heard.iter().flat_map(|message| &message.answers).filter(|record| record.kind == kind::A);
        let addresses: Vec<_> = addresses.map(|record| (record.data.as_slice(), record.ttl_s)).collect();
        assert_eq!(addresses, [(&[169, 254, 1, 1][..], 0), (&[192, 168, 1, 1], 120), (&[192, 168, 1, 1], 120)]);
        world.heard.clear();
        world.boards[0].goodbye();
        world.deliver();
        // The address, and of each service instance, server and text.
        assert!(world.heard[0].answers.len() == 7 && world.heard[0].answers.iter().all(|record| record.ttl_s == 0));
    }

    #[test]
    fn our_own_packets_are_no_conflict_when_two_cables_lead_to_one_network() {
        let mut world = World::new(&[5]);
        let both = [(2, vec![IpAddr::from([192, 168, 1, 1])]), (3, vec![IpAddr::from([192, 168, 1, 7])])];
        world.boards[0].set_links(world.now, &both);
        for _ in 0..200 {
            world.now += Duration::from_millis(50);
            world.boards[0].turn(world.now);
            while let Some(packet) = world.boards[0].next_packet() {
                for (index, _) in &both {
                    let source = both.iter().find(|(index, _)| *index == packet.link).unwrap().1[0];
                    world.boards[0].receive(world.now, *index, (source, PORT).into(), &packet.bytes);
                }
            }
        }
        assert_eq!(world.boards[0].held().unwrap(), "rill.local");
    }

    #[test]
    fn who_contests_every_name_is_asked_ever_more_rarely() {
        let mut world = World::new(&[5]);
        world.plug_all();
        let mut probes = 0;
        for _ in 0..600 {
            world.heard.clear();
            world.run(100);
            for probe in world.heard.clone().iter().filter(|message| !message.is_response()) {
                probes += 1;
                let mut other = probe.authorities[0].clone();
                other.data = vec![10, 0, 0, 1];
                let response = Message { flags: RESPONSE, answers: vec![other], ..Message::default() };
                world.boards[0].receive(world.now, 2, ([10, 0, 0, 1], PORT).into(), &response.emit());
            }
        }
        // 15 at once, and then one in 5 s, of 60 s.
        assert!((20..=45).contains(&probes), "{probes}");
        assert_eq!(world.boards[0].held(), None);
    }
}

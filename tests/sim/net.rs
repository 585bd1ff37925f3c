//! A network: byte queues in both directions, edge-triggered, with faults.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use rill::handles::SlotIndex;
use rill::server::close::{Loss, TlsFault};
use rill::server::peer::Peer;
use rill::server::speaks::Door;
use rill::server::transport::{Arrival, Io, Net};
use rill::wire::script_link::{Entered, Handler, InstanceId};

use super::digest::Digest;
use super::host::FakeHost;
use super::{Random, outside};

/// One connection.
pub struct Link {
    pub arrival: Arrival,
    /// The server made it, and does not know what came of it.
    dialled: Option<Answer>,
    pub slot: Option<SlotIndex>,
    pub to_server: VecDeque<u8>,
    pub to_client: VecDeque<u8>,
    /// Bytes that the server's kernel holds for the client.
    pub window: usize,
    pub client_fin: bool,
    pub client_reset: bool,
    pub server_fin: bool,
    pub server_closed: bool,
    /// The client's system says what has arrived.
    pub acknowledges: bool,
    /// Nothing gets through any more, and nobody is told.
    pub unplugged: bool,
    /// Most bytes of one read and one write, chosen anew each time; 0 means all.
    pub short: usize,
    /// Of all that the server wrote.
    pub written: Digest,
    pub bytes_written: u64,
    /// There is something to read that the server was not told of.
    pub read_edge: bool,
    /// The server was told that it cannot write.
    gathered: bool,
    pub write_blocked: bool,
}

/// A back end, which hooks ask.
pub const BACK_END: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 8000));

impl Link {
    /// What the operator and back ends are told, and tell, is no traffic of clients.
    fn is_counted(&self) -> bool {
        !matches!(self.arrival.peer, Peer::Local | Peer::Ip(BACK_END))
    }
}

/// What somebody hears who connects to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It takes the connection.
    Taken,
    /// It refuses.
    Refused,
    /// It says nothing.
    Nothing,
}

/// What is the matter with script processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing.
    Fine,
    /// They do not run: the machine is busy, or they were stopped.
    Stopped,
    /// They compute, and do not come back.
    Hanging,
    /// There can be none.
    Missing,
}

/// A script process, and the line to it.
pub struct Process {
    link: usize,
    host: Option<FakeHost>,
    /// What it has said, and when that arrives.
    late: VecDeque<(u64, Vec<u8>)>,
    /// What it has computed.
    time_us: u64,
}

pub struct FakeNet {
    pub links: Vec<Link>,
    /// Script processes by the slots of their connections.
    pub processes: BTreeMap<u32, Process>,
    /// What script processes do that they should not.
    pub mood: Mood,
    /// What those that hang, or end, are about.
    pub doing: Option<(InstanceId, Handler)>,
    /// So long what they say is on its way.
    pub hosts_late_ms: u64,
    /// When they last could run.
    hosts_ran: u64,
    /// How many were started.
    pub hosts_started: usize,
    /// Other hosts. One that is not here refuses.
    pub hosts: BTreeMap<SocketAddr, Answer>,
    backlog: VecDeque<usize>,
    offered: Option<usize>,
    by_slot: Vec<Option<usize>>,
    random: Random,
    /// Numbers that nobody could guess, so far.
    randoms: u128,
    /// Percentage of reads that say WouldBlock for no reason.
    pub spurious: usize,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub accept_edge: bool,
    /// Until when the server's certificate counts, in seconds since 1970.
    pub certificate_ends_s: Option<u64>,
    /// What its clock showed when it was started, in milliseconds since 1970. None: it was not set.
    pub started_ms: Option<u64>,
    /// Every place for TLS is taken.
    pub tls_is_full: bool,
    /// See [`Net::started`].
    pub machine: Option<(u64, u32)>,
    /// The time.
    pub now: u64,
}

impl FakeNet {
    pub fn new(slots: usize, seed: u64) -> FakeNet {
        FakeNet {
            links: Vec::new(),
            processes: BTreeMap::new(),
            mood: Mood::Fine,
            doing: None,
            hosts_late_ms: 0,
            hosts_ran: 0,
            hosts_started: 0,
            hosts: BTreeMap::new(),
            backlog: VecDeque::new(),
            offered: None,
            by_slot: vec![None; slots],
            random: Random::new(seed),
            randoms: 0,
            spurious: 0,
            bytes_read: 0,
            bytes_written: 0,
            accept_edge: false,
            certificate_ends_s: None,
            // Noon of the first day of 2026.
            started_ms: Some(1_767_268_800_000),
            tls_is_full: false,
            machine: None,
            now: 0,
        }
    }

    /// Somebody connects to the server.
    pub fn connect(&mut self, arrival: Arrival, window: usize, buffer: usize) -> usize {
        let link = self.link(arrival, window, buffer);
        self.backlog.push_back(link);
        self.accept_edge = true;
        link
    }

    fn link(&mut self, arrival: Arrival, window: usize, buffer: usize) -> usize {
        self.links.push(Link {
            gathered: false,
            arrival,
            dialled: None,
            slot: None,
            to_server: VecDeque::with_capacity(buffer),
            to_client: VecDeque::with_capacity(buffer),
            window,
            client_fin: false,
            client_reset: false,
            server_fin: false,
            server_closed: false,
            acknowledges: true,
            unplugged: false,
            short: 0,
            written: Digest::default(),
            bytes_written: 0,
            read_edge: false,
            write_blocked: false,
        });
        self.links.len() - 1
    }

    /// The client's bytes on their way.
    pub fn send(&mut self, link: usize, bytes: &[u8]) {
        let link = &mut self.links[link];
        if link.unplugged || link.client_fin || link.client_reset {
            return;
        }
        if link.server_closed {
            // The answer is a reset, and what the client has not read is lost.
            link.client_reset = true;
            link.to_client.clear();
            return;
        }
        link.to_server.extend(bytes);
        link.read_edge = true;
    }

    pub fn fin(&mut self, link: usize) {
        let link = &mut self.links[link];
        if !link.unplugged {
            link.client_fin = true;
            link.read_edge = true;
        }
    }

    pub fn reset(&mut self, link: usize) {
        let link = &mut self.links[link];
        if !link.unplugged {
            // Who was being dialled refuses.
            link.dialled = link.dialled.map(|_| Answer::Refused);
            link.client_reset = true;
            link.read_edge = true;
            link.to_server.clear();
        }
    }

    /// What the server is told of, as an edge-triggered poll would.
    pub fn events(&mut self, mut event: impl FnMut(Ready)) -> bool {
        let mut any = std::mem::take(&mut self.accept_edge);
        if any {
            event(Ready::Accept);
        }
        for link in &mut self.links {
            let Some(slot) = link.slot else { continue };
            match link.dialled {
                Some(Answer::Taken) => link.dialled = None,
                Some(Answer::Refused) => (link.dialled, link.client_reset, link.read_edge) = (None, true, true),
                Some(Answer::Nothing) => continue,
                None => {}
            }
            if std::mem::take(&mut link.read_edge) {
                event(Ready::Read(slot));
                any = true;
            }
            if link.write_blocked && link.to_client.len() < link.window {
                link.write_blocked = false;
                event(Ready::Write(slot));
                any = true;
            }
        }
        any
    }

    /// There are events that the server has yet to be told.
    pub fn is_pending(&self) -> bool {
        let pending = |link: &Link| link.read_edge || (link.write_blocked && link.to_client.len() < link.window);
        self.accept_edge || self.links.iter().any(|link| link.slot.is_some() && link.dialled.is_none() && pending(link))
    }

    /// What the server has written to the connection in `slot`.
    pub fn written_to(&self, slot: SlotIndex) -> u64 {
        self.links[self.by_slot[slot.at()].expect("a taken slot has a connection")].bytes_written
    }

    fn of(&mut self, slot: SlotIndex) -> &mut Link {
        let link = self.by_slot[slot.at()].expect("the server uses a slot that it was given");
        &mut self.links[link]
    }
}

pub enum Ready {
    Accept,
    Read(SlotIndex),
    Write(SlotIndex),
}

/// Each call as the work of the network, which may use the heap.
impl Net for FakeNet {
    fn accept(&mut self) -> Option<Arrival> {
        outside(|| self.do_accept())
    }

    fn adopt(&mut self, slot: SlotIndex) -> Result<(), Loss> {
        outside(|| self.do_adopt(slot).then_some(()).ok_or(Loss::Client))
    }

    fn refuse(&mut self, words: &[u8]) {
        outside(|| self.do_refuse(words));
    }

    fn dial(&mut self, slot: SlotIndex, to: SocketAddr, secure: Option<&str>) -> Result<(), Loss> {
        outside(|| self.do_dial(slot, to, secure))
    }

    fn read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io {
        outside(|| self.do_read(slot, buffer))
    }

    fn has_unread(&mut self, slot: SlotIndex) -> bool {
        let link = self.of(slot);
        !link.client_reset && !link.to_server.is_empty()
    }

    fn clock_ms(&self) -> Option<u64> {
        self.started_ms.map(|started| started + self.now)
    }

    fn certificate_ends_s(&mut self) -> Option<u64> {
        self.certificate_ends_s
    }

    fn started(&self) -> Option<(u64, u32)> {
        self.machine
    }

    fn random(&mut self) -> Option<u128> {
        // Another one each time.
        self.randoms += 1;
        Some(self.randoms)
    }

    fn has_delivered(&mut self, slot: SlotIndex) -> bool {
        let link = self.of(slot);
        link.server_fin && !link.unplugged && link.acknowledges
    }

    fn gather(&mut self, slot: SlotIndex, gather: bool) {
        self.of(slot).gathered = gather;
    }

    fn write(&mut self, slot: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
        outside(|| self.do_write(slot, slices))
    }

    fn finish(&mut self, slot: SlotIndex) {
        outside(|| self.do_finish(slot));
    }

    fn close(&mut self, slot: SlotIndex) {
        outside(|| self.do_close(slot));
    }

    fn start_host(&mut self, slot: SlotIndex, _: u64) -> bool {
        outside(|| self.do_start_host(slot))
    }

    fn kill_host(&mut self, slot: SlotIndex) {
        outside(|| self.end_host(slot));
    }

    fn host_time_us(&mut self, slot: SlotIndex) -> Option<u64> {
        self.processes.get(&slot.0).filter(|process| process.host.is_some()).map(|process| process.time_us)
    }

    fn host_doing(&self, slot: SlotIndex) -> Option<Entered> {
        let (instance, handler) = self.processes.get(&slot.0).and(self.doing)?;
        let file = heapless::String::try_from("main.asc").unwrap();
        Some(Entered { instance, handler, file, line: 3 })
    }
}

impl FakeNet {
    fn do_start_host(&mut self, slot: SlotIndex) -> bool {
        if self.mood == Mood::Missing {
            return false;
        }
        let link = self.link(Arrival { peer: Peer::Local, door: Door::Script, is_secure: false }, 32 << 10, 0);
        self.links[link].slot = Some(slot);
        assert!(self.by_slot[slot.at()].replace(link).is_none(), "the slot is taken");
        let host = Some(FakeHost::start(self.now));
        self.processes.insert(slot.0, Process { link, host, late: VecDeque::new(), time_us: 0 });
        self.hosts_started += 1;
        true
    }

    /// One of the processes that run, by its number, is no more. What it has said arrives, but for the last `lost` bytes. False
    /// when there are not so many.
    pub fn kill(&mut self, number: usize, lost: usize) -> bool {
        let mut running = self.processes.values_mut().filter(|process| process.host.is_some());
        let Some(process) = running.nth(number) else { return false };
        let link = &mut self.links[process.link];
        for (_, bytes) in process.late.drain(..) {
            link.to_server.extend(bytes);
        }
        let kept = link.to_server.len().saturating_sub(lost);
        link.to_server.truncate(kept);
        (link.client_fin, link.read_edge) = (true, true);
        process.host = None;
        true
    }

    fn end_host(&mut self, slot: SlotIndex) {
        if let Some(process) = self.processes.get_mut(&slot.0) {
            process.host = None;
        }
    }

    /// Lets script processes run. False when none did.
    pub fn run_hosts(&mut self) -> bool {
        let now = self.now;
        let before = std::mem::replace(&mut self.hosts_ran, now);
        let mut any = false;
        for process in self.processes.values_mut() {
            let link = &mut self.links[process.link];
            let Some(host) = &mut process.host else { continue };
            match self.mood {
                Mood::Stopped => continue,
                Mood::Hanging => {
                    process.time_us += (now - before) * 1000;
                    continue;
                }
                Mood::Fine | Mood::Missing => {}
            }
            if link.to_client.is_empty() && !host.is_due(now) && process.late.is_empty() {
                continue;
            }
            if !link.to_client.is_empty() || host.is_due(now) {
                any = true;
                let heard = link.to_client.drain(..).collect();
                match host.run(now, heard) {
                    Some(said) if said.is_empty() => {}
                    Some(said) => process.late.push_back((now + self.hosts_late_ms, said)),
                    None => {
                        process.host = None;
                        (link.client_fin, link.read_edge) = (true, true);
                    }
                }
            }
            while let Some((_, said)) = process.late.pop_front_if(|(at, _)| *at <= now) {
                link.to_server.extend(said);
                link.read_edge = true;
                any = true;
            }
        }
        any
    }

    /// When script processes go on though they hear nothing, or are heard.
    pub fn hosts_wake_at(&self) -> Option<u64> {
        let wakes = |process: &Process| {
            let host = process.host.as_ref()?;
            let late = process.late.front().map(|(at, _)| *at);
            [host.until(), late].into_iter().flatten().min()
        };
        if matches!(self.mood, Mood::Stopped | Mood::Hanging) {
            None
        } else {
            self.processes.values().filter_map(wakes).min()
        }
    }
}

impl FakeNet {
    fn do_accept(&mut self) -> Option<Arrival> {
        assert!(self.offered.is_none(), "the last connection was neither adopted nor refused");
        self.offered = self.backlog.pop_front();
        self.offered.map(|link| self.links[link].arrival)
    }

    fn do_adopt(&mut self, slot: SlotIndex) -> bool {
        let index = self.offered.take().expect("a connection was accepted");
        let link = &mut self.links[index];
        if link.client_reset {
            link.server_closed = true;
            return false;
        }
        link.slot = Some(slot);
        assert!(self.by_slot[slot.at()].replace(index).is_none(), "the slot is taken");
        true
    }

    fn do_refuse(&mut self, words: &[u8]) {
        let link = self.offered.take().expect("a connection was accepted");
        self.links[link].to_client.extend(words);
        self.links[link].server_closed = true;
    }

    fn do_dial(&mut self, slot: SlotIndex, to: SocketAddr, secure: Option<&str>) -> Result<(), Loss> {
        let is_secure = secure.is_some();
        if is_secure && self.tls_is_full {
            return Err(Loss::Tls(TlsFault::Full));
        }
        let answer = self.hosts.get(&to).copied().unwrap_or(Answer::Refused);
        let index = self.link(Arrival { peer: Peer::Ip(to), door: Door::Rtmp, is_secure }, 32 << 10, 0);
        let link = &mut self.links[index];
        (link.slot, link.dialled, link.write_blocked) = (Some(slot), Some(answer), true);
        assert!(self.by_slot[slot.at()].replace(index).is_none(), "the slot is taken");
        Ok(())
    }

    fn do_read(&mut self, slot: SlotIndex, buffer: &mut [u8]) -> Io {
        let (spurious, cut) = (self.random.chance(self.spurious), self.random.next() as usize);
        let link = self.of(slot);
        if link.client_reset {
            return Io::Broken(Loss::Client);
        }
        let counted = link.is_counted();
        if link.to_server.is_empty() {
            return if link.client_fin && !link.unplugged { Io::Done(0) } else { Io::WouldBlock };
        }
        // Who is asked in time instead of telling would be asked again much later.
        if spurious && !link.gathered {
            link.read_edge = true;
            return Io::WouldBlock;
        }
        let mut n = buffer.len().min(link.to_server.len());
        if link.short > 0 {
            n = n.min(1 + cut % link.short);
        }
        for (to, from) in buffer.iter_mut().zip(link.to_server.drain(..n)) {
            *to = from;
        }
        self.bytes_read += if counted { n as u64 } else { 0 };
        Io::Done(n)
    }

    fn do_write(&mut self, slot: SlotIndex, slices: &[IoSlice<'_>]) -> Io {
        let (cut, now) = (self.random.next() as usize, self.now);
        let link = self.of(slot);
        assert!(!link.server_fin, "the server writes behind its own end");
        if link.client_reset {
            return Io::Broken(Loss::Client);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(total > 0, "a write of nothing");
        assert!(slices.iter().all(|slice| !slice.is_empty()), "an empty slice");
        let space = link.window.saturating_sub(link.to_client.len());
        if space == 0 || link.dialled.is_some() {
            link.write_blocked = true;
            return Io::WouldBlock;
        }
        let mut n = total.min(space);
        if link.short > 0 {
            n = n.min(1 + cut % link.short);
        }
        let mut left = n;
        for slice in slices {
            let part = left.min(slice.len());
            link.to_client.extend(&slice[..part]);
            link.written.add(now, &slice[..part]);
            left -= part;
        }
        link.bytes_written += n as u64;
        let counted = link.is_counted();
        self.bytes_written += if counted { n as u64 } else { 0 };
        Io::Done(n)
    }

    fn do_finish(&mut self, slot: SlotIndex) {
        self.of(slot).server_fin = true;
    }

    fn do_close(&mut self, slot: SlotIndex) {
        let Some(index) = self.by_slot[slot.at()].take() else { return };
        let link = &mut self.links[index];
        link.slot = None;
        link.server_closed = true;
        if !link.to_server.is_empty() && !link.client_fin {
            // TCP answers bytes that nobody will read with a reset, and the client loses what it has not read.
            link.client_reset = true;
            link.to_client.clear();
        }
    }
}

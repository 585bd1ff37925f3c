//! Who watches by HLS. Such a viewer is no connection: it asks for a playlist again and again, by whichever connection it has just then.
//! It is known by its address and what software it says it is, so that nothing of it has to stand in a URL, and whoever is between may
//! keep copies.
//!
//! When the table is full, whoever comes watches without being counted.

use core::net::IpAddr;
use std::boxed::Box;
use std::iter::repeat_with;

use crate::handles::{AppId, ConnId, StreamId};
use crate::limits::AGENT_BYTES;
use crate::time::Millis;

use super::peer::Peer;

/// All of them.
pub struct HlsViewers {
    /// Of each place what tells its viewer from others, as one number; 0 is a free place.
    marks: Box<[u64]>,
    places: Box<[HlsViewer]>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct HlsViewer {
    /// How often the place was used before.
    pub generation: u32,
    /// What it watches.
    pub stream: StreamId,
    /// The application of that.
    pub app: AppId,
    /// By which connection it has come first.
    pub peer: Peer,
    /// What software it says it is.
    pub agent: heapless::String<AGENT_BYTES>,
    /// When that was.
    pub since: Millis,
    /// It watches until then, unless it asks again.
    pub until: Millis,
    /// Bytes of segments that it was sent.
    pub bytes_out: u64,
    /// The connection that the application's script knows it as.
    pub guest: Option<ConnId>,
    /// The operator has sent it away: it is answered nothing as long as it is known.
    pub is_sent_away: bool,
}

/// What tells a viewer from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct WhoWatches<'r> {
    pub stream: StreamId,
    pub peer: Peer,
    pub agent: &'r str,
}

impl WhoWatches<'_> {
    /// As a number that is not 0 (FNV-1a).
    fn mark(&self) -> u64 {
        let address = match self.peer.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let bytes = address.octets().into_iter().chain(self.stream.0.to_be_bytes()).chain(self.agent.bytes());
        bytes.fold(0xCBF2_9CE4_8422_2325, |mark, byte| (mark ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)) | 1
    }

    fn is(&self, viewer: &HlsViewer) -> bool {
        viewer.stream == self.stream && viewer.peer.ip() == self.peer.ip() && viewer.agent == self.agent
    }
}

impl HlsViewers {
    /// How many are counted where there may be so many connections: few hold none while they watch, and most watch otherwise.
    pub const fn places(connections: u32) -> usize {
        connections.div_ceil(4) as usize
    }

    /// Bytes of a place.
    pub const PLACE_BYTES: usize = size_of::<HlsViewer>() + size_of::<u64>();

    /// A table of so many places.
    pub(super) fn new(count: usize) -> HlsViewers {
        let nobody = || HlsViewer {
            generation: 0,
            stream: StreamId(0),
            app: AppId(0),
            peer: Peer::Local,
            agent: heapless::String::new(),
            since: Millis(0),
            until: Millis(0),
            bytes_out: 0,
            guest: None,
            is_sent_away: false,
        };
        HlsViewers { marks: vec![0; count].into_boxed_slice(), places: repeat_with(nobody).take(count).collect() }
    }

    /// Nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.marks.iter().all(|&mark| mark == 0)
    }

    /// How many there are.
    pub(super) fn taken(&self) -> usize {
        self.marks.iter().filter(|&&mark| mark != 0).count()
    }

    /// How many watch a stream.
    pub(super) fn count(&self, stream: StreamId) -> u32 {
        let taken = core::iter::successors(self.next(0), |(at, _)| self.next(at + 1));
        taken.filter(|(_, viewer)| viewer.stream == stream).count() as u32
    }

    /// The first viewer at place `from` or behind it, and its place.
    pub(super) fn next(&self, from: usize) -> Option<(usize, &HlsViewer)> {
        let at = from + self.marks.get(from..)?.iter().position(|&mark| mark != 0)?;
        Some((at, &self.places[at]))
    }

    /// Where a viewer is, if it is known.
    pub(super) fn find(&self, who: &WhoWatches<'_>) -> Option<usize> {
        let mark = who.mark();
        (0..self.marks.len()).find(|&at| self.marks[at] == mark && who.is(&self.places[at]))
    }

    /// A viewer, if it is known, to look at.
    pub(super) fn look(&self, who: &WhoWatches<'_>) -> Option<&HlsViewer> {
        self.find(who).map(|at| &self.places[at])
    }

    /// The viewer of a place, if there is one.
    pub(super) fn at(&mut self, at: usize) -> Option<&mut HlsViewer> {
        self.marks.get(at).filter(|&&mark| mark != 0)?;
        self.places.get_mut(at)
    }

    /// Gives one that is not known a place, and says how often that was used before; `None` when there is none.
    pub(super) fn add(&mut self, who: &WhoWatches<'_>, app: AppId, now: Millis, until: Millis) -> Option<(usize, u32)> {
        let at = self.marks.iter().position(|&mark| mark == 0)?;
        self.marks[at] = who.mark();
        let agent = heapless::String::try_from(who.agent).unwrap_or_default();
        let WhoWatches { stream, peer, .. } = *who;
        let generation = self.places[at].generation;
        self.places[at] = HlsViewer {
            generation,
            stream,
            app,
            peer,
            agent,
            since: now,
            until,
            bytes_out: 0,
            guest: None,
            is_sent_away: false,
        };
        Some((at, generation))
    }

    /// Its place is free.
    pub(super) fn remove(&mut self, at: usize) {
        self.marks[at] = 0;
        self.places[at].generation += 1;
    }
}

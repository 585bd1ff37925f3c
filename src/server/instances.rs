//! The table of application instances with server-side code. An instance is loaded by its first client and stays for a
//! while without any; one that had to be stopped refuses its clients for a while.

use std::boxed::Box;

use heapless::String;

use crate::handles::{AppId, HostIndex};
use crate::limits::PATH_BYTES;
use crate::time::Millis;
use crate::wire::script_link::InstanceId;

/// An instance by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceIndex(pub u16);

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Its process is being told what it consists of, when there is one. Its clients wait.
    Loading(LoadStep),
    /// It was told all, and has not said that it runs. Its clients wait.
    Starting {
        /// Its files have changed meanwhile.
        outdated: bool,
    },
    /// Its script runs.
    Running {
        /// Its files have changed: it is loaded anew as soon as it has no clients.
        outdated: bool,
        /// It was asked whether it may go. Clients that come now wait until that is known.
        is_asked: bool,
    },
    /// It was told that it ends, and is forgotten when it has answered.
    Ending,
    /// Its script could not be loaded, or had to be stopped: until then its clients are refused.
    Stopped {
        /// When it may be loaded again.
        until: Millis,
    },
}

/// What of an instance its process is told next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStep {
    /// Who it is, but not before: its files are being written.
    Later(Millis),
    /// Who it is.
    Head,
    /// What the script sees as `application.config`, from a byte on.
    Config(u32),
    /// What it consists of, as the disk reads it.
    Text,
    /// That this is all.
    Start,
}

/// One instance.
pub struct Instance {
    /// The application.
    pub app: AppId,
    /// The instance's name.
    pub name: String<PATH_BYTES>,
    /// See [`InstanceState`].
    pub state: InstanceState,
    /// What its process calls it.
    pub script: InstanceId,
    /// The process.
    pub host: HostIndex,
    /// Clients of it, those included that wait for it to be loaded, or whom the script has not decided about.
    pub clients: u32,
    /// When it last had a client, or last wanted to stay without.
    pub idle_since: Millis,
    /// What it received and sent.
    pub traffic: Traffic,
    /// Clients accepted so far.
    pub total_connects: u64,
    /// Of these, how many have left.
    pub total_disconnects: u64,
}

/// What an instance's clients sent and were sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Bytes received of clients that have left.
    pub left_in: u64,
    /// Bytes sent to clients that have left.
    pub left_out: u64,
    /// When it was last measured.
    pub since: Millis,
    /// Bytes received until then.
    pub bytes_in: u64,
    /// Bytes sent until then.
    pub bytes_out: u64,
    /// Bytes received per second before that.
    pub bw_in: u64,
    /// Bytes sent per second before that.
    pub bw_out: u64,
}

impl Instance {
    /// Its script runs.
    pub fn is_running(&self) -> bool {
        matches!(self.state, InstanceState::Running { .. })
    }
}

/// The most that the table can have.
const PLACES: u32 = 256;

/// The table.
pub struct Instances {
    places: Box<[Option<Instance>]>,
    /// How often one was loaded, as far as 24 bits count.
    loads: u32,
}

impl Instances {
    /// A table of `capacity` instances, at most 256.
    pub fn new(capacity: usize) -> Instances {
        debug_assert!(capacity <= PLACES as usize, "the range of its key");
        Instances { places: core::iter::repeat_with(|| None).take(capacity).collect(), loads: 0 }
    }

    /// Bytes of one place.
    pub fn place_bytes() -> usize {
        size_of::<Option<Instance>>()
    }

    /// The instance of that name, if there is one.
    pub fn find(&self, app: AppId, name: &str) -> Option<InstanceIndex> {
        self.iter().find(|(_, instance)| instance.app == app && instance.name == name).map(|(index, _)| index)
    }

    /// The instance that a process calls so, if it is one of its own.
    pub fn of(&self, host: HostIndex, script: InstanceId) -> Option<InstanceIndex> {
        let index = InstanceIndex(script.0 as u16 % PLACES as u16);
        let place = self.places.get(usize::from(index.0))?.as_ref()?;
        (place.host == host && place.script == script).then_some(index)
    }

    /// What the instance in a place is called from now on: as none was for a long time.
    pub fn next_script(&mut self, index: InstanceIndex) -> InstanceId {
        self.loads = self.loads.wrapping_add(1);
        InstanceId(self.loads.wrapping_mul(PLACES) | u32::from(index.0))
    }

    /// A free place, if there is one.
    pub fn free(&self) -> Option<InstanceIndex> {
        self.places.iter().position(Option::is_none).map(|at| InstanceIndex(at as u16))
    }

    /// Of the instances without clients the one that has been so for longest. It does not end already.
    pub fn longest_idle(&self) -> Option<InstanceIndex> {
        let idle = |instance: &Instance| instance.clients == 0 && instance.state != InstanceState::Ending;
        let idle = self.iter().filter(|(_, instance)| idle(instance));
        idle.min_by_key(|(_, instance)| instance.idle_since).map(|(index, _)| index)
    }

    /// Puts an instance into a place.
    pub fn put(&mut self, index: InstanceIndex, instance: Instance) {
        self.places[usize::from(index.0)] = Some(instance);
    }

    /// Gives the place back.
    pub fn remove(&mut self, index: InstanceIndex) {
        self.places[usize::from(index.0)] = None;
    }

    /// An instance.
    pub fn instance(&self, index: InstanceIndex) -> Option<&Instance> {
        self.places[usize::from(index.0)].as_ref()
    }

    /// An instance, to change.
    pub fn instance_mut(&mut self, index: InstanceIndex) -> Option<&mut Instance> {
        self.places[usize::from(index.0)].as_mut()
    }

    /// Every place, taken or not: what is done with one may change the table.
    pub fn places(&self) -> impl Iterator<Item = InstanceIndex> + use<> {
        (0..self.places.len() as u16).map(InstanceIndex)
    }

    /// Every instance in the table.
    pub fn iter(&self) -> impl Iterator<Item = (InstanceIndex, &Instance)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((InstanceIndex(at as u16), place.as_ref()?)))
    }
}

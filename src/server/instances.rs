//! The table of application instances with server-side code. An instance is loaded by its first client and stays for a
//! while without any; one that had to be stopped refuses its clients for a while.

use std::boxed::Box;

use heapless::String;

use crate::features::script;
use crate::handles::AppId;
use crate::limits::PATH_BYTES;
use crate::time::Millis;

/// An instance by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceIndex(pub u16);

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Its script runs.
    Running {
        /// The script.
        script: script::InstanceId,
        /// Its files have changed: it is loaded anew as soon as it has no clients.
        outdated: bool,
    },
    /// Its script could not be loaded, or had to be stopped: until then its clients are refused.
    Stopped {
        /// When it may be loaded again.
        until: Millis,
    },
}

/// One instance.
pub struct Instance {
    /// The application.
    pub app: AppId,
    /// The instance's name.
    pub name: String<PATH_BYTES>,
    /// See [`InstanceState`].
    pub state: InstanceState,
    /// Clients of it, those included whom the script has not decided about.
    pub clients: u32,
    /// Its script is being told that it ends.
    pub ending: bool,
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

/// The table.
pub struct Instances {
    places: Box<[Option<Instance>]>,
}

impl Instances {
    /// A table of `capacity` instances.
    pub fn new(capacity: usize) -> Instances {
        Instances { places: core::iter::repeat_with(|| None).take(capacity).collect() }
    }

    /// Bytes of one place.
    pub fn place_bytes() -> usize {
        size_of::<Option<Instance>>()
    }

    /// The instance of that name, if there is one.
    pub fn find(&self, app: AppId, name: &str) -> Option<InstanceIndex> {
        self.iter().find(|(_, instance)| instance.app == app && instance.name == name).map(|(index, _)| index)
    }

    /// The instance that runs this script.
    pub fn running(&self, id: script::InstanceId) -> Option<InstanceIndex> {
        let runs =
            |instance: &Instance| matches!(instance.state, InstanceState::Running { script, .. } if script == id);
        self.iter().find(|(_, instance)| runs(instance)).map(|(index, _)| index)
    }

    /// A free place, if there is one.
    pub fn free(&self) -> Option<InstanceIndex> {
        self.places.iter().position(Option::is_none).map(|at| InstanceIndex(at as u16))
    }

    /// Of the instances without clients the one that has been so for longest.
    pub fn longest_idle(&self) -> Option<InstanceIndex> {
        let idle = self.iter().filter(|(_, instance)| instance.clients == 0);
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

    /// Its script, if it runs.
    pub fn script(&self, index: InstanceIndex) -> Option<script::InstanceId> {
        match self.instance(index)?.state {
            InstanceState::Running { script, .. } => Some(script),
            InstanceState::Stopped { .. } => None,
        }
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

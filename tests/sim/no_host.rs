//! A build without the script engine has no script processes: one ends as soon as it is started.

/// A process that has ended.
pub struct FakeHost;

impl FakeHost {
    pub fn start(_: u64) -> FakeHost {
        FakeHost
    }

    pub fn run(&mut self, _: u64, _: Vec<u8>) -> Option<Vec<u8>> {
        None
    }

    pub fn is_due(&self, _: u64) -> bool {
        true
    }

    pub fn until(&self) -> Option<u64> {
        Some(0)
    }
}

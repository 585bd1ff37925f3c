//! Script processes of the simulated machine: the real engine behind the real protocol, each on a thread of its own, because a
//! script that asks the server something waits for the answer inside of its handler. Threads run strictly in turn with the
//! simulator, so that a run repeats.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rill::host::{Ended, Host, Line};
use rill::time::Millis;
use rill::wire::script_link::Doing;

/// What a process is given when it runs.
struct Resume {
    now: u64,
    bytes: Vec<u8>,
}

/// What it has said when it waits again.
struct Yield {
    bytes: Vec<u8>,
    wait_ms: Option<u64>,
}

/// A process, as the machine sees it.
pub struct FakeHost {
    resume: Option<Sender<Resume>>,
    yields: Receiver<Yield>,
    thread: Option<JoinHandle<()>>,
    /// What it said as it started.
    first: Vec<u8>,
    /// When it goes on though it hears nothing.
    until: Option<u64>,
}

impl FakeHost {
    pub fn start(now: u64) -> FakeHost {
        let (resume, resumed) = channel();
        let (yielding, yields) = channel();
        let thread = thread::spawn(move || {
            let line =
                Pipe { resumed, yielding, out: RefCell::default(), now: Cell::new(now), doing: Doing::default() };
            Host::new(Rc::new(line), clock_us).run("");
        });
        let first = yields.recv().map(|yielded: Yield| yielded.bytes).unwrap_or_default();
        FakeHost { resume: Some(resume), yields, thread: Some(thread), first, until: Some(0) }
    }

    /// Lets it go on with what it hears, as far as it does at this time. What it says; `None` when it has ended.
    pub fn run(&mut self, now: u64, bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.resume.as_ref()?.send(Resume { now, bytes }).ok()?;
        let Yield { bytes, wait_ms } = self.yields.recv().ok()?;
        self.until = wait_ms.map(|ms| now + ms);
        let mut said = std::mem::take(&mut self.first);
        said.extend(bytes);
        Some(said)
    }

    /// Goes on at this time, though it hears nothing.
    pub fn is_due(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// When it goes on though it hears nothing.
    pub fn until(&self) -> Option<u64> {
        self.until
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        self.resume = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || thread::panicking(), "a script process has panicked");
    }
}

/// Its end of the line to the server.
struct Pipe {
    resumed: Receiver<Resume>,
    yielding: Sender<Yield>,
    out: RefCell<Vec<u8>>,
    now: Cell<u64>,
    doing: Doing,
}

impl Line for Pipe {
    fn send(&self, bytes: &[u8]) -> Result<(), Ended> {
        self.out.borrow_mut().extend(bytes);
        Ok(())
    }

    fn receive(&self, into: &mut Vec<u8>, wait_ms: Option<u64>) -> Result<(), Ended> {
        self.yielding.send(Yield { bytes: self.out.take(), wait_ms }).map_err(|_| Ended::Closed)?;
        let Resume { now, bytes } = self.resumed.recv().map_err(|_| Ended::Closed)?;
        self.now.set(now);
        into.extend(bytes);
        Ok(())
    }

    fn now(&self) -> Millis {
        Millis(self.now.get())
    }

    fn doing(&self) -> &Doing {
        &self.doing
    }
}

/// A clock of scripts that passes a millisecond whenever it is looked at: time limits do not depend on the machine.
fn clock_us() -> u64 {
    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }
    LOOKS.with(|looks| {
        looks.set(looks.get() + 1);
        looks.get() * 1000
    })
}

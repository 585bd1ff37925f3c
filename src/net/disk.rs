//! The disk thread. An SD card can stall for seconds, so no file is touched by the loop: it hands over jobs, which
//! are answered in their order on a thread of its own, and an answer wakes the poll.
//!
//! Neither side waits for the other, and handing over takes nothing from the heap: there is a place for each job
//! that may be under way and for its answer ([`JOBS`]). What the thread itself allocates is accounted for as files'
//! ([`account::spend`]).

use std::cell::RefCell;
use std::io;
use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;

use log::error;
use mio::Waker;

use crate::account;
use crate::features::script::SCRIPT_CHECK_BYTES;
use crate::live::jobs::{Done, Job, Lookup};
use crate::store::STACK_BYTES;

/// Questions that may be under way at once. With one more the loop waits, which is an ordinary thing: it asks again when
/// an answer has come.
pub const JOBS: usize = 16;
/// What the thread may take: its stack, the files of one application while they are read, and the engine that they are
/// compiled in.
pub const DISK_BYTES: usize = STACK_BYTES + 512 * 1024 + SCRIPT_CHECK_BYTES as usize;

/// What answers jobs. It may take its time, and the heap.
pub type Loader = Box<dyn FnMut(Job) -> Done + Send>;

/// The loop's end of the thread. The thread ends when this is dropped and what it is doing is done.
pub struct Disk {
    jobs: SyncSender<Job>,
    answers: Receiver<Done>,
    under_way: usize,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn start(loader: Loader, waker: Waker) -> io::Result<Disk> {
        // After a panic the process must go on, also in builds where one ends it.
        static HOOK: Once = Once::new();
        HOOK.call_once(survive_panics);
        let (jobs, asked) = sync_channel(JOBS);
        let (answered, answers) = sync_channel(JOBS);
        let ends = Arc::new(Ends { asked: Mutex::new(asked), answered, waker });
        let thread = thread::Builder::new().name("disk".to_owned()).stack_size(STACK_BYTES);
        let (started, is_started) = sync_channel(1);
        thread.spawn(move || {
            account::spend(|| {
                let _ = started.send(());
                run(loader, ends);
            });
        })?;
        // What a thread takes from the heap to begin with is taken now, and not while the server runs.
        let _ = is_started.recv();
        Ok(Disk { jobs, answers, under_way: 0 })
    }

    /// Another job can be asked.
    pub fn has_room(&self) -> bool {
        self.under_way < JOBS
    }

    /// Asks. The job is lost without [`Disk::has_room`].
    pub fn ask(&mut self, job: Job) {
        if self.has_room() && self.jobs.try_send(job).is_ok() {
            self.under_way += 1;
        }
    }

    /// The next answer, if there is one.
    pub fn done(&mut self) -> Option<Done> {
        let answer = self.answers.try_recv().ok()?;
        self.under_way -= 1;
        Some(answer)
    }
}

/// The thread's ends of both queues.
struct Ends {
    /// Locked only while the thread waits for a job.
    asked: Mutex<Receiver<Job>>,
    answered: SyncSender<Done>,
    waker: Waker,
}

impl Ends {
    /// The next job; `None` when the server has ended.
    fn next(&self) -> Option<Job> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    fn deliver(&self, done: Done) {
        // The channel has room, or its receiver is gone.
        let _ = self.answered.send(done);
        let _ = self.waker.wake();
    }
}

thread_local! {
    /// On the disk thread: what it is being asked, for the case that the loader panics.
    static ASKED: RefCell<Option<(Arc<Ends>, Job)>> = const { RefCell::new(None) };
}

fn run(mut loader: Loader, ends: Arc<Ends>) {
    while let Some(job) = ends.next() {
        ASKED.with_borrow_mut(|asked| *asked = Some((ends.clone(), job.clone())));
        let answer = loader(job);
        ASKED.with_borrow_mut(|asked| *asked = None);
        ends.deliver(answer);
    }
}

/// Has the disk thread stay in the panic's hook, from where the process neither unwinds nor aborts. It goes on to answer,
/// without the loader, which may be in any state. The price is that the hook cannot be changed any more.
fn survive_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let Some((ends, job)) = ASKED.try_with(|asked| asked.take()).ok().flatten() else { return };
        error!("rill disk panicked job={job:?}: applications and configuration stay as they are until a restart");
        ends.deliver(without_loader(job));
        while let Some(job) = ends.next() {
            ends.deliver(without_loader(job));
        }
        // No more jobs: the process is ending.
        loop {
            thread::park();
        }
    }));
}

/// What is known stays known, and what is not cannot be.
fn without_loader(job: Job) -> Done {
    let fault = || "the disk thread has panicked; its message is in the log".to_owned();
    match job {
        Job::App { name, stamp: Some(_) } => Done::App { name, lookup: Lookup::Unchanged },
        Job::App { name, stamp: None } => Done::App { name, lookup: Lookup::Broken(fault()) },
        Job::Reload => Done::NotReloaded(fault()),
        Job::Survey => Done::Surveyed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use mio::{Events, Poll, Token};

    use super::*;

    fn app(name: &str, stamp: Option<u64>) -> Job {
        Job::App { name: heapless::String::try_from(name).unwrap(), stamp }
    }

    fn lookup(done: Done) -> (String, Lookup) {
        match done {
            Done::App { name, lookup } => (name.to_string(), lookup),
            done => panic!("{done:?}"),
        }
    }

    /// A disk with its poll.
    fn disk(loader: impl FnMut(Job) -> Done + Send + 'static) -> (Poll, Disk) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(7)).unwrap();
        (poll, Disk::start(Box::new(loader), waker).unwrap())
    }

    /// The next answer, for which the poll must have been woken.
    fn wait(poll: &mut Poll, disk: &mut Disk) -> Done {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(done) = disk.done() {
                return done;
            }
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)), "nobody woke the poll");
        }
    }

    #[test]
    fn a_disk_that_stalls_delays_nobody_and_full_is_an_answer() {
        let (stall, stalled) = std::sync::mpsc::channel::<()>();
        let (mut poll, mut disk) = disk(move |job| {
            stalled.recv().unwrap();
            let Job::App { name, .. } = job else { panic!("on purpose") };
            Done::App { name, lookup: Lookup::Missing }
        });
        let start = Instant::now();
        for n in 0..JOBS {
            assert!(disk.has_room());
            disk.ask(app(&format!("a{n}"), None));
        }
        assert!(!disk.has_room() && disk.done().is_none());
        disk.ask(app("one more", None));
        assert!(start.elapsed() < Duration::from_secs(1));
        (0..JOBS).for_each(|_| stall.send(()).unwrap());
        for n in 0..JOBS {
            assert_eq!(lookup(wait(&mut poll, &mut disk)), (format!("a{n}"), Lookup::Missing));
        }
        assert!(disk.has_room() && disk.done().is_none());
    }
}

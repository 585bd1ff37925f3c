//! The disk threads. An SD card can stall for seconds, so no file is touched by the loop: it hands over jobs, which are
//! done in their order on a thread for each [`DiskLane`], and one that is done wakes the poll.
//!
//! Neither side waits for the other, and handing over takes nothing from the heap: there is a place for each job that may
//! be under way and for what comes of it ([`JOBS`]). What the threads themselves allocate is accounted for as files'
//! ([`account::spend`]).

use std::cell::RefCell;
use std::io;
use std::panic;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use heapless::Deque;
use log::error;
use mio::Waker;

use crate::account;
use crate::live::download::{DownloadDone, DownloadJob};
use crate::live::health::BoardFacts;
use crate::live::jobs::{DiskLane, Done, Job, KeyKept, Lookup};
use crate::live::recorded::{Fill, Follows, NotPlayed, RecordedId};
use crate::live::recording::{NotDeleted, RecordDone, RecordFault, RecordJob};
use crate::live::script_text::TextFollows;
use crate::store::{BULK_STACK_BYTES, LOOK_UPS_STACK_BYTES, RECORDED_STACK_BYTES, RECORDINGS_STACK_BYTES};

/// Jobs that may be under way at once in each lane. One more stays where it is, which is an ordinary thing: the loop
/// fetches it when another is done.
pub const JOBS: usize = 16;

/// What does the jobs of a lane. It may take its time, and the heap.
pub type Worker = Box<dyn FnMut(Job) -> Done + Send>;

/// What does the jobs of each lane.
pub struct Workers {
    /// Those of [`DiskLane::LookUps`].
    pub look_ups: Worker,
    /// Those of [`DiskLane::Recorded`].
    pub recorded: Worker,
    /// Those of [`DiskLane::Bulk`].
    pub bulk: Worker,
    /// Those of [`DiskLane::Recordings`].
    pub recordings: Worker,
}

/// The loop's ends of the threads. They end when this is dropped and what they are doing is done.
pub struct Disk {
    /// By the number of the lane.
    queues: [Queue; DiskLane::ALL.len()],
}

/// The loop's end of one thread.
struct Queue {
    ends: Arc<Ends>,
    under_way: usize,
}

impl Disk {
    /// Starts the threads, each with its worker; `waker` wakes the poll of whoever asks.
    ///
    /// # Errors
    ///
    /// The operating system's own.
    pub fn start(workers: Workers, waker: Waker) -> io::Result<Disk> {
        // After a panic the process must go on, also in builds where one ends it.
        static HOOK: Once = Once::new();
        HOOK.call_once(survive_panics);
        let waker = Arc::new(waker);
        let Workers { look_ups, recorded, bulk, recordings } = workers;
        Ok(Disk {
            queues: [
                Queue::start("disk-look-ups", LOOK_UPS_STACK_BYTES, look_ups, waker.clone())?,
                Queue::start("disk-recorded", RECORDED_STACK_BYTES, recorded, waker.clone())?,
                Queue::start("disk-bulk", BULK_STACK_BYTES, bulk, waker.clone())?,
                Queue::start("disk-recordings", RECORDINGS_STACK_BYTES, recordings, waker)?,
            ],
        })
    }

    /// Has the bulk lane survey the files, and waits until it has: what is wrong with them is in the log, and what its
    /// thread takes of memory is taken, before the first client arrives.
    pub fn survey(&mut self) {
        let bulk = &mut self.queues[DiskLane::Bulk as usize];
        bulk.ask(Job::Survey);
        bulk.wait();
    }

    /// Another job can be asked in this lane.
    pub fn has_room(&self, lane: DiskLane) -> bool {
        self.queues[lane as usize].has_room()
    }

    /// Asks in the job's lane. The job is lost without [`Disk::has_room`].
    pub fn ask(&mut self, job: Job) {
        self.queues[job.lane() as usize].ask(job);
    }

    /// Asks for all that there is to do in a lane, and that there is room for: its thread is woken once, when all of it is there. On a
    /// machine of one core it would else take the processor for the first of them alone.
    pub fn ask_all(&mut self, lane: DiskLane, next: impl FnMut() -> Option<Job>) {
        self.queues[lane as usize].ask_all(next);
    }

    /// Whoever asks may sleep until it is woken: nothing is done that it has not seen.
    pub fn may_sleep(&mut self) -> bool {
        self.queues.iter().all(Queue::may_sleep)
    }

    /// What came of a job, if one is done. Of each lane they come in the order in which they were asked.
    pub fn done(&mut self) -> Option<Done> {
        self.queues.iter_mut().find_map(Queue::done)
    }
}

impl Queue {
    fn start(name: &str, stack_bytes: usize, worker: Worker, waker: Arc<Waker>) -> io::Result<Queue> {
        let ends = Arc::new(Ends { work: Mutex::default(), asked: Condvar::new(), told: Condvar::new(), waker });
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
        let own = ends.clone();
        thread.spawn(move || account::spend(|| run(worker, own)))?;
        // What a thread takes from the heap to begin with is taken now, and not while the server runs.
        ends.wait_until(|work| work.started);
        Ok(Queue { ends, under_way: 0 })
    }

    fn has_room(&self) -> bool {
        self.under_way < JOBS
    }

    fn ask(&mut self, job: Job) {
        let mut job = Some(job);
        self.ask_all(|| job.take());
    }

    fn ask_all(&mut self, mut next: impl FnMut() -> Option<Job>) {
        let before = self.under_way;
        while self.has_room()
            && let Some(job) = next()
            && self.ends.work().jobs.push_back(job).is_ok()
        {
            self.under_way += 1;
        }
        if self.under_way > before && self.ends.work().is_idle {
            self.ends.asked.notify_one();
        }
    }

    fn done(&mut self) -> Option<Done> {
        if self.under_way == 0 {
            return None;
        }
        let done = self.ends.work().done.pop_front()?;
        self.under_way -= 1;
        Some(done)
    }

    fn may_sleep(&self) -> bool {
        if self.under_way == 0 {
            return true;
        }
        let mut work = self.ends.work();
        work.is_awake = !work.done.is_empty();
        !work.is_awake
    }

    /// Waits until everything is done that was asked.
    fn wait(&mut self) {
        while self.under_way > 0 {
            self.ends.wait_until(|work| !work.done.is_empty());
            while self.done().is_some() {}
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.ends.work().is_over = true;
        self.ends.asked.notify_one();
    }
}

/// What the loop and a thread share; neither holds it longer than it takes to put something in or to take it out. A pair of
/// std's channels, which are made for any number of ends and three ways to keep what is sent, is 19 kB more of the program.
struct Ends {
    work: Mutex<Work>,
    /// Wakes the thread.
    asked: Condvar,
    /// Wakes who waits for the thread.
    told: Condvar,
    /// Wakes the loop.
    waker: Arc<Waker>,
}

#[derive(Default)]
struct Work {
    started: bool,
    /// The thread waits to be asked.
    is_idle: bool,
    /// Somebody waits to be told.
    is_awaited: bool,
    jobs: Deque<Job, JOBS>,
    done: Deque<Done, JOBS>,
    /// The loop looks what is done before it sleeps, or was woken to.
    is_awake: bool,
    /// The server has ended: nothing more is asked.
    is_over: bool,
}

impl Ends {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits to be told that it is so.
    fn wait_until(&self, mut is_so: impl FnMut(&Work) -> bool) {
        let mut work = self.work();
        work.is_awaited = true;
        let waited = self.told.wait_while(work, |work| !is_so(work));
        waited.unwrap_or_else(PoisonError::into_inner).is_awaited = false;
    }

    /// Tells who waits. Nobody does while the server runs, and it is spared the system call.
    fn tell(&self, work: MutexGuard<'_, Work>) {
        let is_awaited = work.is_awaited;
        drop(work);
        if is_awaited {
            self.told.notify_one();
        }
    }

    /// The next job; `None` when the server has ended. On a machine of one core what the loop is told now is mostly followed by more:
    /// it has its turn first, so that neither sleeps and has to be woken.
    fn next(&self) -> Option<Job> {
        let mut work = self.work();
        if !work.is_over && work.jobs.is_empty() {
            drop(work);
            thread::yield_now();
            work = self.work();
        }
        while !work.is_over && work.jobs.is_empty() {
            work.is_idle = true;
            work = self.asked.wait(work).unwrap_or_else(PoisonError::into_inner);
            work.is_idle = false;
        }
        work.jobs.pop_front()
    }

    /// The loop gets what came of a job. It is woken for it, unless it is awake, or the player for whom `goes_on`
    /// gets more at once: on a machine of one core it would else take the processor for each block.
    fn deliver(&self, done: Done, goes_on: Option<RecordedId>) {
        let mut work = self.work();
        let follows = match work.jobs.front() {
            Some(Job::Fill { id, fill: Fill::On, .. }) => goes_on == Some(*id),
            _ => false,
        };
        // No more are under way than there are places.
        let _ = work.done.push_back(done);
        let wakes = !follows && !work.is_awake;
        work.is_awake |= wakes;
        self.tell(work);
        if wakes {
            let _ = self.waker.wake();
        }
    }
}

thread_local! {
    /// On a disk thread: in which lane it is at a job, and what to answer in case that its worker panics.
    static ASKED: RefCell<Option<(Arc<Ends>, DiskLane, Done)>> = const { RefCell::new(None) };
}

fn run(mut worker: Worker, ends: Arc<Ends>) {
    let mut work = ends.work();
    work.started = true;
    ends.tell(work);
    while let Some(job) = ends.next() {
        ASKED.with_borrow_mut(|asked| *asked = Some((ends.clone(), job.lane(), without_worker(&job))));
        let goes_on = match &job {
            Job::Fill { id, fill: Fill::On, .. } => Some(*id),
            _ => None,
        };
        let done = worker(job);
        ASKED.with_borrow_mut(|asked| *asked = None);
        ends.deliver(done, goes_on);
    }
}

/// Has a disk thread stay in the panic's hook, from where the process neither unwinds nor aborts. It goes on to answer,
/// without the worker, which may be in any state. The price is that the hook cannot be changed any more.
fn survive_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let Some((ends, lane, answer)) = ASKED.try_with(|asked| asked.take()).ok().flatten() else { return };
        let consequence = match lane {
            DiskLane::LookUps => "applications stay as they are until a restart, and no script is loaded",
            DiskLane::Recorded => "no recorded stream is played until a restart",
            DiskLane::Recordings => "nothing is recorded until a restart",
            DiskLane::Bulk => {
                "the configuration stays as it is until a restart, and errors show when a client needs the file"
            }
        };
        error!("rill disk panicked lane={lane:?} answer={answer:?}: {consequence}");
        ends.deliver(answer, None);
        while let Some(job) = ends.next() {
            let answer = match (without_worker(&job), job) {
                // This one was not lost with the worker.
                (Done::Filled { id, from_ms, next, .. }, Job::Fill { block, .. }) => {
                    Done::Filled { id, block: Some(block), from_ms, next }
                }
                (Done::Text { host, script, next, .. }, Job::Text { block, .. }) => {
                    Done::Text { host, script, block: Some(block), next }
                }
                (
                    Done::Recording(RecordDone::Written { id, result, .. }),
                    Job::Recording(RecordJob::Write { block, .. }),
                ) => Done::Recording(RecordDone::Written { id, block: Some(block), result }),
                (Done::Download(DownloadDone::Read { id, .. }), Job::Download(DownloadJob::Read { block, .. })) => {
                    Done::Download(DownloadDone::Read { id, block: Some(block) })
                }
                (answer, _) => answer,
            };
            ends.deliver(answer, None);
        }
        // No more jobs: the process is ending.
        loop {
            thread::park();
        }
    }));
}

/// What is known stays known, and what is not cannot be.
fn without_worker(job: &Job) -> Done {
    let fault = || "a disk thread has panicked; its message is in the log".to_owned();
    match job {
        Job::App { name, stamp: Some(_) } => Done::App { name: name.clone(), lookup: Lookup::Unchanged },
        Job::App { name, stamp: None } => Done::App { name: name.clone(), lookup: Lookup::Broken(fault()) },
        Job::Text { host, script, .. } => {
            Done::Text { host: *host, script: *script, block: None, next: TextFollows::Fault }
        }
        Job::Reload => Done::NotReloaded(fault()),
        Job::AdminKey { .. } => Done::AdminKey { settings: None, kept: KeyKept::Fault },
        Job::Survey => Done::Surveyed,
        Job::Resolve { id, .. } => Done::Resolved { id: *id, found: heapless::Vec::new() },
        Job::Board => Done::Board(BoardFacts::default()),
        Job::Open { id, name, .. } => Done::Opened { id: *id, name: name.clone(), found: Err(NotPlayed::Unreadable) },
        Job::Fill { id, .. } => Done::Filled { id: *id, block: None, from_ms: None, next: Follows::Fault },
        Job::Close { id } => Done::Closed { id: *id },
        Job::Facts { asked, name } => {
            Done::Facts { asked: *asked, name: name.clone(), found: Err(NotPlayed::Unreadable) }
        }
        Job::Download(job) => Done::Download(match job {
            DownloadJob::Open { id, .. } => DownloadDone::Opened { id: *id, found: Err(NotPlayed::Unreadable) },
            DownloadJob::Read { id, .. } => DownloadDone::Read { id: *id, block: None },
            DownloadJob::Close { id } => DownloadDone::Closed { id: *id },
        }),
        Job::List { after } => Done::Listed { name: after.clone(), is_next: false, stamp: 0 },
        Job::Recording(job) => Done::Recording(match job {
            RecordJob::Open { id, .. } => RecordDone::Opened { id: *id, result: Err(RecordFault::Medium) },
            RecordJob::Write { id, .. } => {
                RecordDone::Written { id: *id, block: None, result: Err(RecordFault::Medium) }
            }
            RecordJob::Close { id, .. } => RecordDone::Closed { id: *id, result: Err(RecordFault::Medium) },
            RecordJob::Tend => RecordDone::Tended { more: false, complete: None },
            RecordJob::List { .. } | RecordJob::ListOn => RecordDone::Listed { page: Box::default() },
            RecordJob::Clear { .. } => RecordDone::Cleared { result: Err(NotDeleted::Fault(RecordFault::Medium)) },
            RecordJob::Delete { .. } => RecordDone::Deleted { result: Err(NotDeleted::Fault(RecordFault::Medium)) },
        }),
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
    fn disk(
        look_ups: impl FnMut(Job) -> Done + Send + 'static,
        bulk: impl FnMut(Job) -> Done + Send + 'static,
    ) -> (Poll, Disk) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(7)).unwrap();
        let recorded = |job: Job| unreachable!("{job:?}");
        let workers = Workers {
            look_ups: Box::new(look_ups),
            recorded: Box::new(recorded),
            bulk: Box::new(bulk),
            recordings: Box::new(recorded),
        };
        (poll, Disk::start(workers, waker).unwrap())
    }

    fn missing(job: Job) -> Done {
        let Job::App { name, .. } = job else { panic!("{job:?}") };
        Done::App { name, lookup: Lookup::Missing }
    }

    /// The next answer, for which the poll must have been woken.
    fn wait(poll: &mut Poll, disk: &mut Disk) -> Done {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(done) = disk.done() {
                return done;
            }
            if !disk.may_sleep() {
                continue;
            }
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)), "nobody woke the poll");
        }
    }

    #[test]
    fn a_disk_that_stalls_delays_nobody_and_full_is_an_answer() {
        let (stall, stalled) = std::sync::mpsc::channel::<()>();
        let stalls = move |job| {
            stalled.recv().unwrap();
            missing(job)
        };
        let (mut poll, mut disk) = disk(stalls, |_| Done::Surveyed);
        let start = Instant::now();
        for n in 0..JOBS {
            assert!(disk.has_room(DiskLane::LookUps));
            disk.ask(app(&format!("a{n}"), None));
        }
        assert!(!disk.has_room(DiskLane::LookUps) && disk.done().is_none());
        disk.ask(app("one more", None));
        assert!(start.elapsed() < Duration::from_secs(1));
        (0..JOBS).for_each(|_| stall.send(()).unwrap());
        for n in 0..JOBS {
            assert_eq!(lookup(wait(&mut poll, &mut disk)), (format!("a{n}"), Lookup::Missing));
        }
        assert!(disk.has_room(DiskLane::LookUps) && disk.done().is_none());
    }

    #[test]
    fn a_lane_that_stalls_delays_no_other() {
        let (go_on, stalled) = std::sync::mpsc::channel::<()>();
        let (mut poll, mut disk) = disk(missing, move |_| {
            stalled.recv().unwrap();
            Done::Surveyed
        });
        (0..JOBS).for_each(|_| disk.ask(Job::Survey));
        assert!(!disk.has_room(DiskLane::Bulk));
        for n in 0..3 * JOBS {
            assert!(disk.has_room(DiskLane::LookUps));
            disk.ask(app(&format!("a{n}"), None));
            assert_eq!(lookup(wait(&mut poll, &mut disk)), (format!("a{n}"), Lookup::Missing));
        }
        (0..JOBS).for_each(|_| go_on.send(()).unwrap());
        (0..JOBS).for_each(|_| assert_eq!(wait(&mut poll, &mut disk), Done::Surveyed));
    }
}

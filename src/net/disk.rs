//! The disk thread. An SD card can stall for seconds, so no file is touched by the loop: it hands over questions, which
//! are answered in their order on a thread of its own, and an answer wakes the poll.
//!
//! Neither side waits for the other, and handing over takes nothing from the heap: there is a place for each question
//! that may be under way and for its answer ([`QUESTIONS`]). What the thread itself allocates is accounted for as files'
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
use crate::server::files::{Answer, Lookup, Question};
use crate::store::STACK_BYTES;

/// Questions that may be under way at once. With one more the loop waits, which is an ordinary thing: it asks again when
/// an answer has come.
pub const QUESTIONS: usize = 16;
/// What the thread may take: its stack, the files of one application while they are read, and the engine that they are
/// compiled in.
pub const DISK_BYTES: usize = STACK_BYTES + 512 * 1024 + SCRIPT_CHECK_BYTES as usize;

/// What answers questions. It may take its time, and the heap.
pub type Loader = Box<dyn FnMut(Question) -> Answer + Send>;

/// The loop's end of the thread. The thread ends when this is dropped and what it is doing is done.
pub struct Disk {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
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
        let (questions, asked) = sync_channel(QUESTIONS);
        let (answered, answers) = sync_channel(QUESTIONS);
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
        Ok(Disk { questions, answers, under_way: 0 })
    }

    /// Another question can be asked.
    pub fn has_room(&self) -> bool {
        self.under_way < QUESTIONS
    }

    /// Asks. The question is lost without [`Disk::has_room`].
    pub fn ask(&mut self, question: Question) {
        if self.has_room() && self.questions.try_send(question).is_ok() {
            self.under_way += 1;
        }
    }

    /// The next answer, if there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.under_way -= 1;
        Some(answer)
    }
}

/// The thread's ends of both queues.
struct Ends {
    /// Locked only while the thread waits for a question.
    asked: Mutex<Receiver<Question>>,
    answered: SyncSender<Answer>,
    waker: Waker,
}

impl Ends {
    /// The next question; `None` when the server has ended.
    fn next(&self) -> Option<Question> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    fn answer(&self, answer: Answer) {
        // The channel has room, or its receiver is gone.
        let _ = self.answered.send(answer);
        let _ = self.waker.wake();
    }
}

thread_local! {
    /// On the disk thread: what it is being asked, for the case that the loader panics.
    static ASKED: RefCell<Option<(Arc<Ends>, Question)>> = const { RefCell::new(None) };
}

fn run(mut loader: Loader, ends: Arc<Ends>) {
    while let Some(question) = ends.next() {
        ASKED.with_borrow_mut(|asked| *asked = Some((ends.clone(), question.clone())));
        let answer = loader(question);
        ASKED.with_borrow_mut(|asked| *asked = None);
        ends.answer(answer);
    }
}

/// Has the disk thread stay in the panic's hook, from where the process neither unwinds nor aborts. It goes on to answer,
/// without the loader, which may be in any state. The price is that the hook cannot be changed any more.
fn survive_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let Some((ends, question)) = ASKED.try_with(|asked| asked.take()).ok().flatten() else { return };
        error!(
            "rill disk panicked question={question:?}: applications and configuration stay as they are until a restart"
        );
        ends.answer(without_loader(question));
        while let Some(question) = ends.next() {
            ends.answer(without_loader(question));
        }
        // No more questions: the process is ending.
        loop {
            thread::park();
        }
    }));
}

/// What is known stays known, and what is not cannot be.
fn without_loader(question: Question) -> Answer {
    let fault = || "the disk thread has panicked; its message is in the log".to_owned();
    match question {
        Question::App { name, stamp: Some(_) } => Answer::App { name, lookup: Lookup::Unchanged },
        Question::App { name, stamp: None } => Answer::App { name, lookup: Lookup::Broken(fault()) },
        Question::Reload => Answer::NotReloaded(fault()),
        Question::Survey => Answer::Surveyed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use mio::{Events, Poll, Token};

    use super::*;

    fn app(name: &str, stamp: Option<u64>) -> Question {
        Question::App { name: heapless::String::try_from(name).unwrap(), stamp }
    }

    fn lookup(answer: Answer) -> (String, Lookup) {
        match answer {
            Answer::App { name, lookup } => (name.to_string(), lookup),
            answer => panic!("{answer:?}"),
        }
    }

    /// A disk with its poll.
    fn disk(loader: impl FnMut(Question) -> Answer + Send + 'static) -> (Poll, Disk) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(7)).unwrap();
        (poll, Disk::start(Box::new(loader), waker).unwrap())
    }

    /// The next answer, for which the poll must have been woken.
    fn wait(poll: &mut Poll, disk: &mut Disk) -> Answer {
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(answer) = disk.answer() {
                return answer;
            }
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)), "nobody woke the poll");
        }
    }

    #[test]
    fn a_disk_that_stalls_delays_nobody_and_full_is_an_answer() {
        let (stall, stalled) = std::sync::mpsc::channel::<()>();
        let (mut poll, mut disk) = disk(move |question| {
            stalled.recv().unwrap();
            let Question::App { name, .. } = question else { panic!("on purpose") };
            Answer::App { name, lookup: Lookup::Missing }
        });
        let start = Instant::now();
        for n in 0..QUESTIONS {
            assert!(disk.has_room());
            disk.ask(app(&format!("a{n}"), None));
        }
        assert!(!disk.has_room() && disk.answer().is_none());
        disk.ask(app("one more", None));
        assert!(start.elapsed() < Duration::from_secs(1));
        (0..QUESTIONS).for_each(|_| stall.send(()).unwrap());
        for n in 0..QUESTIONS {
            assert_eq!(lookup(wait(&mut poll, &mut disk)), (format!("a{n}"), Lookup::Missing));
        }
        assert!(disk.has_room() && disk.answer().is_none());
    }
}

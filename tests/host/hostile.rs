//! Code that means harm, or does it: whatever a script does, its process answers, stops the script, or is found not to come
//! back by the processor time that it takes. What becomes of other applications then is the server's.
//!
//! A process may die of a script: the engine's own faults are why it is one. It must be known then whose fault it was. The
//! test counts how often that happens, and prints it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rill::wire::script_link::{Access, AccessSet, Budget, Handler, InstanceId, Question, ToHost, ToServer};

use crate::corpus::{BODIES, bodies};
use crate::process::{ME, Process, Silence};
use crate::processes::processor_ms;

pub const BAD: InstanceId = InstanceId(9);
/// Processor time after which a host that has not come back is ended, as the server's setting `scripts.kill_ms` is.
const KILL_MS: u64 = 500;
/// Nothing that a test machine is busy with takes longer.
const LATE: Duration = Duration::from_secs(60);

/// What became of one script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has run, or thrown.
    Answered,
    /// A limit was exceeded.
    Stopped,
    /// It was not loaded.
    NotLoaded,
    /// It did not come back.
    Killed,
    /// The process ended.
    Died,
}

/// Runs a script in a method and then in a timer, and ends the process as a server does if it does not come back.
pub fn run(process: &mut Process, body: &str, budget: Budget) -> End {
    let begin_ms = processor_ms(process.child.id());
    let text = format!(
        "application.onConnect = function () {{ return true; }}; Client.prototype.f = function () {{ {body}\n}};"
    );
    process.tell_script(BAD, budget, &text);
    process.connect(BAD);
    process.call(BAD, 1, "f");
    process.tell(&ToHost::Access {
        instance: BAD,
        question: Question { client: ME, number: 2, transaction: 0.0 },
        wanted: AccessSet::of(Access::ALL),
        stream: "cam",
    });
    let end = Instant::now() + LATE;
    loop {
        let said = process.until(Duration::from_millis(20), |message| match message {
            ToServer::NotLoaded { .. } => Some(End::NotLoaded),
            ToServer::Exhausted { .. } => Some(End::Stopped),
            ToServer::Allowed { .. } => Some(End::Answered),
            _ => None,
        });
        match said {
            Ok(end) => {
                // What its timers do shows now.
                std::thread::sleep(Duration::from_millis(if body.contains("setInterval") { 60 } else { 0 }));
                process.tell(&ToHost::Unload { instance: BAD });
                process.tell(&ToHost::Knock {});
                return end;
            }
            Err(Silence::Closed) => return End::Died,
            Err(Silence::Late) => {}
        }
        if processor_ms(process.child.id()) - begin_ms > KILL_MS + budget.load_ms as u64 {
            assert!(matches!(process.doing(), Some((BAD, Handler::Load | Handler::Connect | Handler::Call))), "{body}");
            return End::Killed;
        }
        assert!(Instant::now() < end, "it takes no processor time and does not answer: {body}");
    }
}

/// Runs them all, each with these budgets, and says what became of them.
fn run_all(bodies: &[String], budgets: &[Budget]) -> String {
    let mut process = Process::start();
    let mut counts = [0; 5];
    let mut report = String::new();
    for body in bodies {
        for budget in budgets {
            let end = run(&mut process, body, *budget);
            counts[end as usize] += 1;
            match end {
                End::Killed | End::Died => {
                    let doing = process.doing();
                    let memory = budget.memory_bytes;
                    let _ = writeln!(report, "{end:?} by {body} with {memory} bytes, in {doing:?}");
                    if end == End::Died {
                        assert!(matches!(doing, Some((BAD, _))), "nobody knows whose fault it was: {body}");
                    }
                    process = Process::start();
                }
                End::Answered | End::Stopped | End::NotLoaded => {}
            }
        }
    }
    let [answered, stopped, not_loaded, killed, died] = counts;
    format!("answered {answered}, stopped {stopped}, not loaded {not_loaded}, killed {killed}, died {died}\n{report}")
}

#[test]
fn whatever_a_script_does_its_process_answers_or_can_be_ended() {
    println!("{}", run_all(&bodies(), &[Budget::default()]));
}

#[test]
fn at_whatever_size_the_memory_ends_it_is_known_whose_fault_it_was() {
    let eaters: Vec<String> =
        BODIES.iter().filter(|body| body.starts_with("var a = []; for (;;)")).map(|body| (*body).to_owned()).collect();
    // An instance takes a good 200 kB before its script begins.
    let steps = if std::env::var_os("RILL_LONG").is_some() { 1000 } else { 20 };
    let budgets: Vec<Budget> = (0..steps)
        .map(|step| Budget { memory_bytes: 262_144 + step * (1_000_000 / steps) + step % 97, ..Budget::default() })
        .collect();
    println!("{}", run_all(&eaters, &budgets));
}

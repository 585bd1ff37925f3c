//! How a script process begins and ends.

use std::fs;
use std::time::Duration;

use rill::wire::script_link::{Budget, Handler, InstanceId, ToHost, ToServer};

use crate::process::{PATIENCE, Process, Silence};

const HALL: InstanceId = InstanceId(3);

#[test]
fn a_script_runs_in_a_process_of_its_own_until_the_server_closes_the_link() {
    let mut process = Process::start();
    let text =
        "application.onConnect = function () { return true; }; Client.prototype.add = function () { return 5; };";
    assert_eq!(process.load(HALL, Budget::default(), text), Ok(Ok(())));
    process.connect(HALL);
    process.call(HALL, 1, "add");
    let value = process.until(PATIENCE, |message| match message {
        ToServer::Result { value, .. } => Some(value.to_vec()),
        _ => None,
    });
    assert_eq!(value.unwrap(), b"\0\x40\x14\0\0\0\0\0\0");
    process.tell(&ToHost::Unload { instance: HALL });
    let through = process.until(PATIENCE, |message| match message {
        ToServer::Done { count: 6 } => Some(()),
        _ => None,
    });
    assert_eq!(through, Ok(()));
    assert_eq!(process.doing(), None);
    process.close();
    assert!(process.child.wait().unwrap().success());
}

#[test]
fn whatever_the_priority_of_who_starts_it_a_process_has_a_lower_one() {
    // proc_pid_stat(5): the 19th field, and the name of the program, which may have blanks, is the second.
    let nice = |pid: &str| -> i32 {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        text.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
    };
    let process = Process::start();
    assert_eq!(nice(&process.child.id().to_string()), (nice("self") + 5).min(19));
}

#[test]
fn what_a_process_was_about_is_known_when_it_is_no_more() {
    let mut process = Process::start();
    let budget = Budget { call_ms: 10_000, ..Budget::default() };
    let text = "application.onConnect = function () { trace('in'); for (;;) ; };";
    assert_eq!(process.load(HALL, budget, text), Ok(Ok(())));
    process.connect(HALL);
    process.until(PATIENCE, |message| matches!(message, ToServer::Log { .. }).then_some(())).unwrap();
    process.child.kill().unwrap();
    assert_eq!(process.until(PATIENCE, |_| None::<()>), Err(Silence::Closed));
    process.child.wait().unwrap();
    assert_eq!(process.doing(), Some((HALL, Handler::Connect)));
}

#[test]
fn it_is_known_in_which_line_the_function_begins_that_does_not_come_back() {
    let budget = Budget { call_ms: 10_000, load_ms: 10_000, ..Budget::default() };
    let loops = "function () {\n trace('in');\n for (;;) ; }";
    let accept = "application.onConnect = function () { return true; };\n";
    // What is told for it to begin, where it is, and what it is.
    type Begin<'a> = &'a dyn Fn(&mut Process);
    let cases: [(String, Begin<'_>, u32, Handler); 5] = [
        (format!("\n\napplication.onConnect =\n {loops};"), &|_| {}, 4, Handler::Connect),
        (format!("{accept}\nClient.prototype.f = {loops};"), &|process| process.call(HALL, 1, "f"), 3, Handler::Call),
        (format!("{accept}\n\nsetInterval({loops}, 10);"), &|_| {}, 4, Handler::Interval),
        (format!("application.onAppStart = {loops};"), &|_| {}, 1, Handler::AppStart),
        // A file runs from its first line on.
        (format!("\n\n({loops})();"), &|_| {}, 0, Handler::Load),
    ];
    for (text, begin, line, handler) in cases {
        let mut process = Process::start();
        process.tell_script(HALL, budget, &text);
        process.connect(HALL);
        begin(&mut process);
        let inside = |message: &ToServer<'_>| matches!(message, ToServer::Log { .. }).then_some(());
        process.until(PATIENCE, inside).unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        let entered = process.entered().unwrap();
        assert_eq!((entered.handler, entered.file.as_str(), entered.line), (handler, "main.asc", line));
    }
}

#[test]
fn bytes_that_are_no_message_end_the_process() {
    let mut process = Process::start();
    process.send(&[0; 8]);
    assert_eq!(process.until(Duration::from_secs(5), |_| None::<()>), Err(Silence::Closed));
    assert_eq!(process.child.wait().unwrap().code(), Some(1));
}

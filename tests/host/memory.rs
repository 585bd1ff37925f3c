//! What an instance costs its process when nothing happens in it.

use std::fs;

use rill::wire::script_link::{Budget, InstanceId};

use crate::process::Process;

/// What one may take, in KiB: it takes 198, and 250 with the pools that QuickJS has of its own.
const INSTANCE_KIB: u64 = 200;
/// The first brings along what all have, and the last what it needed while it was loaded.
const OTHERS: u64 = 15;

/// Memory of a process that is not read from a file.
fn own_kib(process: &Process) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.child.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_idle_instance_takes_two_hundred_kibibytes_at_most() {
    let mut process = Process::start();
    let text = "application.onConnect = function (client) { return true; };";
    let mut load = |number| {
        process.load(InstanceId(number), Budget::default(), text).unwrap().unwrap();
        own_kib(&process)
    };
    let with_one = load(0);
    let with_all = (1..=OTHERS as u32).map(load).last().unwrap();
    let each = (with_all - with_one) / OTHERS;
    println!("{each} KiB");
    // Somebody else's flags for the C compiler (`CFLAGS`) leave out what `.cargo/config.toml` says there.
    assert!(each <= INSTANCE_KIB, "{each} KiB: was QuickJS built with its own pools of memory?");
}

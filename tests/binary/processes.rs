//! What the kernel says of processes (proc(5)).

use std::fs;

/// The processes that this one has started.
pub fn children(of: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(|pid| fields(*pid).is_some_and(|fields| fields[1].parse() == Ok(of))).collect()
}

/// What the process does; `None` when there is none.
pub fn state(pid: u32) -> Option<char> {
    fields(pid)?.first()?.chars().next()
}

/// Processor time of a process in milliseconds, in steps of ten; 0 when there is none.
pub fn processor_ms(pid: u32) -> u64 {
    let fields = fields(pid).unwrap_or_default();
    fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// State, parent, and so on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = text.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

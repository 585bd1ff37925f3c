//! A thread of the disk: it does one job after the other, each of which may take its time.

use std::collections::VecDeque;

use rill::live::jobs::{Done, Job};
use rill::net::disk::JOBS;

/// The thread, and what does its jobs.
pub struct DiskThread<W> {
    pub worker: W,
    /// Jobs that were asked, and answers with the time when they come.
    asked: VecDeque<(u64, Job)>,
    late: VecDeque<(u64, Done)>,
    /// How long a job takes, in milliseconds.
    pub late_ms: u64,
    /// No job comes to an end before this time.
    pub stalled_until: u64,
}

/// What does the jobs of a thread.
pub trait Work {
    fn work(&mut self, job: Job) -> Done;
}

impl<W: Work> DiskThread<W> {
    pub fn new(worker: W) -> DiskThread<W> {
        DiskThread { worker, asked: VecDeque::new(), late: VecDeque::new(), late_ms: 0, stalled_until: 0 }
    }

    /// Nothing comes of what it was at.
    pub fn forget(&mut self) {
        self.asked.clear();
        self.late.clear();
    }

    /// Another job can be asked.
    pub fn has_room(&self) -> bool {
        self.asked.len() + self.late.len() < JOBS
    }

    /// The server asks.
    pub fn ask(&mut self, job: Job, now: u64) {
        self.asked.push_back((now, job));
    }

    /// An answer that has come by `now`.
    pub fn done(&mut self, now: u64) -> Option<Done> {
        if now < self.stalled_until {
            return None;
        }
        while let Some((asked, job)) = self.asked.pop_front() {
            // One after the other.
            let free = self.late.back().map_or(asked, |(at, _)| asked.max(*at)).max(self.stalled_until);
            self.late.push_back((free + self.late_ms, self.worker.work(job)));
        }
        self.late.pop_front_if(|(at, _)| *at <= now).map(|(_, done)| done)
    }

    /// When the next answer comes.
    pub fn next(&self, now: u64) -> Option<u64> {
        let jobs = (!self.asked.is_empty()).then_some(self.stalled_until);
        let answers = self.late.front().map(|(at, _)| (*at).max(self.stalled_until));
        jobs.into_iter().chain(answers).min().map(|at| at.max(now))
    }
}

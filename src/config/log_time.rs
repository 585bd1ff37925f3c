//! What log lines begin with.

/// What stands at the beginning of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTime {
    /// [`LogTime::None`] for a journal; else [`LogTime::Wall`] when the clock was set, and [`LogTime::Uptime`] until then.
    Auto,
    /// Date and time with the offset of the time zone (RFC 3339).
    Wall,
    /// Seconds since the start.
    Uptime,
    /// Nothing.
    None,
}

impl LogTime {
    /// Each, by the name that it has in the configuration.
    pub const ALL: [(&'static str, LogTime); 4] =
        [("auto", LogTime::Auto), ("wall", LogTime::Wall), ("uptime", LogTime::Uptime), ("none", LogTime::None)];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

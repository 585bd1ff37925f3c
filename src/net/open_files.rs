//! How many files the process may have open (`RLIMIT_NOFILE`): each connection is one.

/// Standard streams, the poll, the wake-up pipe of signals, listeners, and some to spare.
const OWN_FILES: libc::rlim_t = 48;

/// The system allows fewer open files than the connection table needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewFiles {
    /// Files we need.
    pub needed: libc::rlim_t,
    /// Files we may have at most.
    pub allowed: libc::rlim_t,
}

/// Raises the limit to what `slots` connections need. It is never lowered.
///
/// # Errors
///
/// When the system's hard limit is lower and we may not raise it.
pub fn raise_limit(slots: usize) -> Result<(), TooFewFiles> {
    let needed = slots as libc::rlim_t + OWN_FILES;
    let Some(limit) = limit() else { return Ok(()) };
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    let hard = limit.rlim_max.max(needed);
    let wanted = libc::rlimit { rlim_cur: needed, rlim_max: hard };
    // SAFETY: the pointer is to a limit that lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
        return Ok(());
    }
    Err(TooFewFiles { needed, allowed: limit.rlim_max })
}

fn limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a limit that lives through the call.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0).then_some(limit)
}

impl TooFewFiles {
    /// Names the key to lower, which is now `connections`, and the limit to raise instead.
    pub fn describe(&self, connections: u32) -> String {
        let TooFewFiles { needed, allowed } = self;
        let fit = libc::rlim_t::from(connections).saturating_sub(needed.saturating_sub(*allowed));
        let lower = if fit > 0 { format!("set limits.connections to at most {fit}, or ") } else { String::new() };
        format!(
            "limits.connections needs {needed} open files, but this process may have {allowed}: {lower}raise the limit \
             (LimitNOFILE={needed} in a systemd unit, ulimit -Hn {needed} in a shell)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_key_and_what_would_fit() {
        let text = TooFewFiles { needed: 2056, allowed: 1024 }.describe(2000);
        assert!(text.starts_with("limits.connections needs 2056 open files, but this process may have 1024: "));
        assert!(text.contains("set limits.connections to at most 968, or raise the limit (LimitNOFILE=2056"), "{text}");
        assert!(!TooFewFiles { needed: 2056, allowed: 16 }.describe(2000).contains("set limits"));
    }

    #[test]
    fn what_is_allowed_already_is_not_an_error() {
        assert_eq!(raise_limit(1), Ok(()));
    }
}

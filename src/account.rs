//! Attribution of allocations. The server allocates nothing once it has started; reading the files of applications and
//! configuration may. Its are counted apart, so that the promise can be checked meanwhile. So are those of TLS, by their bytes:
//! each connection has its share of the memory table.

use std::cell::Cell;
use std::thread::LocalKey;

thread_local! {
    /// How many calls of [`spend`] this thread is in. Const and without a destructor: reading it allocates nothing.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Likewise of [`protect`].
    static PROTECTING: Cell<u32> = const { Cell::new(0) };
}

/// How deep this thread is in calls of one kind, for as long as one lasts: counted down also when its work panics.
struct Inside(&'static LocalKey<Cell<u32>>);

impl Inside {
    fn of(depth: &'static LocalKey<Cell<u32>>) -> Inside {
        depth.with(|depth| depth.set(depth.get() + 1));
        Inside(depth)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Runs `work`, whose allocations belong to files.
pub fn spend<R>(work: impl FnOnce() -> R) -> R {
    let _spending = Inside::of(&DEPTH);
    work()
}

/// Runs `work`, whose allocations belong to TLS: they are counted in bytes, and so is what is freed there. What is allocated inside is
/// therefore to be freed inside.
pub fn protect<R>(work: impl FnOnce() -> R) -> R {
    let _protecting = Inside::of(&PROTECTING);
    spend(work)
}

/// This thread is inside [`protect`].
pub fn is_protecting() -> bool {
    PROTECTING.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

/// This thread is inside [`spend`].
pub fn is_spending() -> bool {
    // A thread that is being torn down has no locals any more; it is not inside.
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_nests_and_ends_also_by_a_panic() {
        assert!(!is_spending());
        spend(|| {
            spend(|| assert!(is_spending()));
            assert!(is_spending());
        });
        assert!(std::panic::catch_unwind(|| spend(|| panic!("on purpose"))).is_err());
        assert!(!is_spending());
    }

    #[test]
    fn what_tls_takes_is_also_spent() {
        assert!(!is_protecting());
        protect(|| assert!(is_protecting() && is_spending()));
        assert!(!is_protecting() && !is_spending());
        spend(|| assert!(!is_protecting()));
    }
}

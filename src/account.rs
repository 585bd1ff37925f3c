//! Attribution of allocations. The server allocates nothing once it has started; reading the files of applications and
//! configuration may. Its are counted apart, so that the promise can be checked meanwhile.

use std::cell::Cell;

thread_local! {
    /// How many calls of [`spend`] this thread is in. Const and without a destructor: reading it allocates nothing.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work`, whose allocations belong to files.
pub fn spend<R>(work: impl FnOnce() -> R) -> R {
    /// Counts down also when `work` panics.
    struct Spending;
    impl Drop for Spending {
        fn drop(&mut self) {
            DEPTH.with(|depth| depth.set(depth.get() - 1));
        }
    }
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _spending = Spending;
    work()
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
}

//! [`Budget`]: bytes in flight, with permits that give themselves back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A number of bytes that may be held at one time (MEM-1).
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: u64,
    /// Written by whoever takes or gives back; waited on by takers.
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    used_max: u64,
    closed: bool,
}

/// The budget was closed while somebody waited: the job is being cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Budget {
    /// A budget of this many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { shared: Arc::new(Shared { limit, state: Mutex::default(), freed: Condvar::new() }) }
    }

    /// How many bytes it is of.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.shared.limit
    }

    /// Waits, blocking the thread, until there is room for `bytes`.
    ///
    /// # Errors
    /// When the budget is closed.
    ///
    /// # Panics
    /// When `bytes` is more than the whole budget: no wait could end.
    pub fn take(&self, bytes: u64) -> Result<Permit, Closed> {
        assert!(bytes <= self.shared.limit, "the planner asks for no more than the budget");
        let mut state = self.shared.lock();
        while !state.closed && state.used + bytes > self.shared.limit {
            state = self.shared.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.used += bytes;
        state.used_max = state.used_max.max(state.used);
        Ok(Permit { shared: Arc::clone(&self.shared), bytes })
    }

    /// Takes room for `bytes` if it is there now.
    ///
    /// # Errors
    /// When the budget is closed.
    pub fn try_take(&self, bytes: u64) -> Result<Option<Permit>, Closed> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Closed);
        }
        let fits = state.used + bytes <= self.shared.limit;
        if fits {
            state.used += bytes;
            state.used_max = state.used_max.max(state.used);
        }
        Ok(fits.then(|| Permit { shared: Arc::clone(&self.shared), bytes }))
    }

    /// Ends every wait, now and later.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.freed.notify_all();
    }

    /// Whether it was closed: the job is ending early.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// The most bytes that were ever in use at once.
    #[must_use]
    pub fn used_max(&self) -> u64 {
        self.shared.lock().used_max
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The numbers are consistent between any two statements, so a panicking holder leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, bytes: u64) {
        self.lock().used -= bytes;
        self.freed.notify_all();
    }
}

/// Room for some bytes in the budget, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the permit gives the bytes back at once"]
pub struct Permit {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Permit {
    /// Makes it `bytes` large: a chunk reserves before its first row and knows its size when it is closed.
    ///
    /// Growing waits for nobody, since a closed chunk has nowhere to go back to. What is taken over the limit is missing
    /// to the next taker: the budget is passed by the one row that did not fit, however many chunks are under way.
    pub fn resize(&mut self, bytes: u64) {
        if bytes > self.bytes {
            let mut state = self.shared.lock();
            state.used += bytes - self.bytes;
            state.used_max = state.used_max.max(state.used);
        } else {
            self.shared.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }
}

impl Permit {
    /// Another permit of the same budget, for nothing yet.
    pub fn beside(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bytes: 0 }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn permits_give_themselves_back() {
        let budget = Budget::new(10);
        let mut first = budget.take(6).unwrap();
        first.resize(2);
        let second = budget.take(8).unwrap();
        drop(second);
        drop(first);
        assert!(budget.take(10).is_ok());
        assert_eq!(budget.used_max(), 10);
    }

    #[test]
    fn what_is_taken_over_the_limit_is_missing_to_the_next_taker() {
        let budget = Budget::new(10);
        let mut wide = budget.take(4).unwrap();
        wide.resize(25);
        let waiting = budget.clone();
        let waiter = thread::spawn(move || waiting.take(1).map(drop));
        assert_eq!(budget.used_max(), 25);
        drop(wide);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert!(budget.take(10).is_ok(), "all of it came back");
    }

    #[test]
    fn a_full_budget_makes_the_next_one_wait() {
        let budget = Budget::new(10);
        let first = budget.take(10).unwrap();
        let waiting = budget.clone();
        let waiter = thread::spawn(move || waiting.take(1).map(drop));
        drop(first);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    }

    #[test]
    fn closing_ends_every_wait() {
        let budget = Budget::new(10);
        let _all = budget.take(10).unwrap();
        let waiting = budget.clone();
        let waiter = thread::spawn(move || waiting.take(1).map(drop));
        budget.close();
        assert_eq!(waiter.join().unwrap(), Err(Closed));
        assert!(budget.take(0).is_err());
    }

    #[test]
    fn many_takers_never_exceed_the_limit() {
        let budget = Budget::new(100);
        thread::scope(|scope| {
            for bytes in 1..=8_u64 {
                let budget = budget.clone();
                scope.spawn(move || {
                    for _ in 0..200 {
                        drop(budget.take(bytes * 10).unwrap());
                    }
                });
            }
        });
        assert!(budget.used_max() <= 100);
    }
}

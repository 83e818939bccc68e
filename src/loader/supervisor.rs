//! [`Supervisor`]: many jobs in one process, under one memory.
//!
//! A job waits for its turn ([`Turns`] decides whose it is), and holds its share until its [`Turn`] is dropped. How it runs
//! is the same as everywhere: [`Loader::run_until`](super::Loader::run_until), with that share as its memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::turns::{Claim, Shares, Turns};

/// Lets jobs begin.
#[derive(Clone, Debug)]
pub struct Supervisor {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    turns: Turns,
    next: u64,
    /// Told when their turn has come.
    waiters: HashMap<u64, oneshot::Sender<Turn>>,
}

/// How much is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs at work.
    pub running: usize,
    /// Bytes that they hold.
    pub bytes: u64,
}

impl Supervisor {
    /// A supervisor that shares this out.
    #[must_use]
    pub fn new(shares: Shares) -> Self {
        let state = State { turns: Turns::new(shares), next: 0, waiters: HashMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Shares out something else from now on; what is held is held.
    pub fn share(&self, shares: Shares) {
        let mut state = self.lock();
        state.turns.share(shares);
        self.admit(&mut state);
    }

    /// Takes a place in the line, and waits for its turn there. Giving up the wait costs nothing.
    pub fn turn(&self, claim: Claim) -> impl Future<Output = Turn> + Send + use<> {
        let (told, turn) = oneshot::channel();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.turns.wait(number, claim);
        state.waiters.insert(number, told);
        self.admit(&mut state);
        let waiting = Wait { supervisor: self.clone(), number };
        async move {
            let turn = match turn.await {
                Ok(turn) => turn,
                // Whoever waits is told, or gives up.
                Err(_) => std::future::pending().await,
            };
            drop(waiting);
            turn
        }
    }

    /// How much is going on.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        Standing { waiting: state.turns.waiting(), running: state.turns.running(), bytes: state.turns.used() }
    }

    fn admit(&self, state: &mut State) {
        while let Some((number, claim)) = state.turns.next() {
            let turn = Turn { supervisor: self.clone(), claim: Some(claim) };
            let told = state.waiters.remove(&number).map(|waiter| waiter.send(turn));
            if let Some(Err(mut turn)) = told {
                // It gave up in this very moment.
                let claim = turn.claim.take().expect("it was just made");
                state.turns.give_back(&claim);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The numbers are consistent between any two calls, so a panicking holder leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits, until it is dropped.
struct Wait {
    supervisor: Supervisor,
    number: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.supervisor.lock();
        state.turns.leave(self.number);
        state.waiters.remove(&self.number);
        // It may have stood in the way of others.
        self.supervisor.admit(&mut state);
    }
}

/// The right of a job to its share, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the turn gives the share back at once"]
pub struct Turn {
    supervisor: Supervisor,
    /// None once it is given back by whoever holds the lock.
    claim: Option<Claim>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            let mut state = self.supervisor.lock();
            state.turns.give_back(&claim);
            self.supervisor.admit(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn claim(target: &str) -> Claim {
        Claim { target: target.to_owned(), target_max: 9, bytes: 10 }
    }

    #[tokio::test]
    async fn a_turn_that_is_dropped_lets_the_next_one_begin() {
        let supervisor = Supervisor::new(Shares { bytes: 10, running: 9, reserve: 0 });
        let first = supervisor.turn(claim("a")).await;
        let waiting = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.turn(claim("a")).await }
        });
        while supervisor.standing().waiting == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(supervisor.standing(), Standing { waiting: 0, running: 1, bytes: 10 });
        drop(second);
        assert_eq!(supervisor.standing().bytes, 0);
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_nothing_behind() {
        let supervisor = Supervisor::new(Shares { bytes: 10, running: 9, reserve: 0 });
        let first = supervisor.turn(claim("a")).await;
        // Polled once, and dropped.
        assert!(supervisor.turn(claim("b")).now_or_never().is_none());
        assert_eq!(supervisor.standing().waiting, 0);
        drop(first);
        assert_eq!(supervisor.standing(), Standing { waiting: 0, running: 0, bytes: 0 });
        assert!(supervisor.turn(claim("b")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn more_to_share_lets_more_begin() {
        let supervisor = Supervisor::new(Shares { bytes: 10, running: 9, reserve: 0 });
        let _first = supervisor.turn(claim("a")).await;
        let waiting = tokio::spawn({
            let supervisor = supervisor.clone();
            async move { supervisor.turn(claim("a")).await }
        });
        while supervisor.standing().waiting == 0 {
            tokio::task::yield_now().await;
        }
        supervisor.share(Shares { bytes: 20, running: 9, reserve: 0 });
        let _second = waiting.await.unwrap();
        assert_eq!(supervisor.standing().running, 2);
    }
}

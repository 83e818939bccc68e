//! [`Gate`]: lets as many attempts through as the window allows.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::window::{Ticket, Window};
use crate::clock::Clock;

/// Where attempts wait for their turn. Cheap to share.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// Written by whoever enters, leaves or tells how an attempt ended.
    state: Mutex<State>,
    /// Told whenever there may be room.
    room: Notify,
}

struct State {
    window: Window,
    inside: usize,
}

impl Gate {
    /// A gate as wide as this window.
    #[must_use]
    pub fn new(window: Window, clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(State { window, inside: 0 }), room: Notify::new() }) }
    }

    /// How many it lets in now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.shared.lock().window.limit()
    }

    /// Waits until there is room for one more attempt. Giving up the wait costs nothing.
    pub async fn enter(&self) -> Pass {
        loop {
            let mut room = pin!(self.shared.room.notified());
            // Whoever leaves between the look and the wait is heard of all the same.
            room.as_mut().enable();
            if let Some(pass) = self.try_enter() {
                return pass;
            }
            room.await;
        }
    }

    fn try_enter(&self) -> Option<Pass> {
        let now = self.shared.clock.instant();
        let mut state = self.shared.lock();
        if state.inside >= state.window.limit() {
            return None;
        }
        state.inside += 1;
        let inside = state.inside;
        let ticket = state.window.began(inside, now);
        Some(Pass { shared: Arc::clone(&self.shared), ticket, inside })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The window is consistent between any two calls, so a panicking holder leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one attempt, until it is dropped.
#[must_use = "dropping the pass lets the next attempt in"]
pub struct Pass {
    shared: Arc<Shared>,
    ticket: Ticket,
    inside: usize,
}

impl Pass {
    /// How many attempts were under way when this one began, itself included.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside
    }

    /// The target acknowledged so many bytes.
    pub fn acknowledged(self, bytes: u64) {
        let now = self.shared.clock.instant();
        self.shared.lock().window.acknowledged(self.ticket, bytes, now);
    }

    /// The target was too busy; the new limit, where it is a smaller one.
    #[must_use]
    pub fn refused(self) -> Option<usize> {
        self.shared.lock().window.refused(self.ticket)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.shared.lock().inside -= 1;
        self.shared.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn gate(limit: usize) -> Gate {
        Gate::new(Window::fixed(limit), Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn no_more_are_inside_than_the_window_allows() {
        let gate = gate(3);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let gate = gate.clone();
            tasks.spawn(async move {
                let pass = gate.enter().await;
                tokio::task::yield_now().await;
                pass.inside()
            });
        }
        let inside = tasks.join_all().await;
        assert_eq!(inside.into_iter().max(), Some(3));
        assert_eq!(gate.shared.lock().inside, 0, "every pass was given back");
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_takes_nobodys_turn() {
        let gate = gate(1);
        let first = gate.enter().await;
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.inside() }
        });
        let gone = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.inside() }
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err_and(|error| error.is_cancelled()));
        drop(first);
        assert_eq!(waiting.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_refusal_narrows_it_for_those_who_wait() {
        let gate = Gate::new(Window::climbing(8), Arc::new(SystemClock));
        let (first, second) = (gate.enter().await, gate.enter().await);
        assert_eq!(first.refused(), Some(1));
        assert!(gate.try_enter().is_none(), "the second one still fills it");
        assert_eq!(second.refused(), None);
        assert!(gate.try_enter().is_some());
    }
}

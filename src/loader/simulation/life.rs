//! [`Life`]: a process that may die at any of its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Notify;

use super::dice::Dice;
use super::kernel::Kernel;
use crate::journal::memory::Gate;

/// Cheap to share.
#[derive(Clone)]
pub(super) struct Life(Arc<Shared>);

struct Shared {
    kernel: Kernel,
    /// Calls that are left to it; below zero it lives on.
    calls_left: AtomicI64,
    dead: AtomicBool,
    died: Notify,
    /// A write fails once in so many times; never for 0.
    disk_fails: u64,
    seed: u64,
    writes: AtomicI64,
}

impl std::fmt::Debug for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Life")
    }
}

impl Life {
    pub(super) fn new(kernel: Kernel, calls_left: i64, seed: u64, disk_fails: u64) -> Self {
        Self(Arc::new(Shared {
            kernel,
            calls_left: AtomicI64::new(calls_left),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            disk_fails,
            seed,
            writes: AtomicI64::new(0),
        }))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.dead.load(Ordering::Relaxed)
    }

    /// From here on it does nothing any more.
    pub(super) fn end(&self) {
        if !self.0.dead.swap(true, Ordering::Relaxed) {
            self.0.kernel.note(|| "killed".to_owned());
            self.0.died.notify_one();
        }
    }

    /// A moment at which it may die: one before and one after everything that is seen outside.
    pub(super) fn moment(&self) {
        if !self.is_over() && self.0.calls_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.end();
        }
    }

    /// The same for what it awaits: whoever is dead never goes on.
    pub(super) async fn pass(&self) {
        self.moment();
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends when it is dead.
    pub(super) async fn died(&self) {
        self.0.died.notified().await;
    }
}

impl Gate for Life {
    fn before(&self, write: bool) -> bool {
        if write {
            self.moment();
            let number = self.0.writes.fetch_add(1, Ordering::Relaxed);
            let mut dice = Dice::of(self.0.seed, &format!("write {number}"));
            if !self.is_over() && dice.once_in(self.0.disk_fails) {
                self.0.kernel.note(|| "the disk is full".to_owned());
                return false;
            }
        }
        !self.is_over()
    }

    fn after(&self) {
        self.moment();
    }
}

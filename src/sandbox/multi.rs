//! Transactions over several tables of a database (4.0), which the frontend decides on.
//!
//! Each table has its own data on a backend, and takes one body at a time; loads into different tables go on side by side.
//! There is no PREPARED here: what is committed becomes visible as a whole, in one commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::Step;
use super::ingest::{Failed, Tally};
use super::intake::Place;
use super::label::{Goal, Load};
use super::load;
use super::node::Node;
use super::ordeal::Ordeal;
use super::transaction::Context;

/// How long a transaction over several tables may take when it does not say.
pub(super) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);

/// A transaction over several tables.
#[derive(Debug)]
pub(super) struct Multi {
    pub(super) id: i64,
    pub(super) timeout: Duration,
    load: Mutex<Option<Load>>,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    /// Which backend takes the bodies for a table, by its position.
    homes: BTreeMap<String, usize>,
    contexts: Vec<Arc<Context>>,
    /// Whether it is being committed, and takes nothing more.
    closed: bool,
}

impl Multi {
    pub(super) fn new(load: Load, timeout: Duration) -> Self {
        Self { id: load.id(), timeout, load: Mutex::new(Some(load)), parts: Mutex::default() }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self) -> MutexGuard<'_, Option<Load>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is still in PREPARE.
    pub(super) fn is_live(&self) -> bool {
        self.load().as_ref().is_some_and(Load::is_open)
    }

    /// The backend for a table: the one that has it, or else the one that is offered.
    pub(super) fn home(&self, table: &str, offered: usize) -> usize {
        *self.parts().homes.entry(table.to_owned()).or_insert(offered)
    }

    /// Whether it is known to be over. It may also be about to be.
    pub(super) fn is_over(&self) -> bool {
        // Locked as long as somebody commits, which may take its time.
        self.load.try_lock().is_ok_and(|load| !load.as_ref().is_some_and(Load::is_open))
    }

    /// Remembers the data for a table, unless it is being committed; tells whether it was.
    pub(super) fn join(&self, context: &Arc<Context>) -> bool {
        let mut parts = self.parts();
        if parts.closed {
            return false;
        }
        if !parts.contexts.iter().any(|other| Arc::ptr_eq(other, context)) {
            parts.contexts.push(Arc::clone(context));
        }
        true
    }

    /// Aborts all of it.
    pub(super) fn abort(&self, reason: &str) {
        if let Some(load) = self.load().take() {
            load::abort(&load, reason);
        }
    }

    /// Aborts all of it, unless it is being committed at the moment: whoever does that may be the one who asks.
    pub(super) fn lose(&self, reason: &str) {
        let lost = self.load.try_lock().ok().and_then(|mut load| load.take());
        if let Some(load) = lost {
            load::abort(&load, reason);
        }
    }

    /// Commits all of it; `None` when somebody else has ended it. The error is the message of the answer; the transaction
    /// is over then, unless a load is still on its way.
    pub(super) fn commit(&self, node: &Node, ordeal: &Ordeal) -> Option<Result<(), String>> {
        let load = self.load();
        let open = load.as_ref().filter(|open| open.is_open())?;
        let contexts = {
            // A load that comes from here on would be told that its bytes are in, and they would not be committed.
            let mut parts = self.parts();
            parts.closed = true;
            parts.contexts.clone()
        };
        let mut works = Vec::with_capacity(contexts.len());
        for context in &contexts {
            let Some(work) = context.try_work() else {
                self.parts().closed = false;
                let message = format!("transaction of table {} is in processing, retry later", context.table());
                return Some(Err(message));
            };
            works.push((context, work));
        }
        let result = open.finish(Goal::Visible, |transaction| {
            let mut all = Tally::default();
            let mut bytes = 0;
            for (_, work) in &mut works {
                if work.is_lost() {
                    return Err(Failed::Aborted(super::label::COORDINATOR_DOWN.to_owned()));
                }
                let mut tally = Tally::default();
                work.pour(transaction, Place::Table, node.settings.empty_load_as_error(), &mut tally)?;
                bytes += work.received();
                all.counts = all.counts + tally.counts;
            }
            ordeal.pass(Step::Commit)?;
            Ok::<_, Failed>(load::totals(&all, bytes, None))
        });
        drop(works);
        drop(load);
        for context in &contexts {
            for backend in &node.cluster.backends {
                backend.contexts.remove(context);
            }
        }
        Some(match result {
            Ok(()) => ordeal.pass(Step::Committed).map_err(|complaint| complaint.message),
            Err(failed) => {
                self.abort(&failed.reason());
                Err(failed.to_string())
            }
        })
    }
}

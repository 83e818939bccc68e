//! [`Contexts`]: the transactions whose data a backend holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, leave};

/// The transactions whose data a backend holds, by label and, for one over several tables, table.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Contexts(Mutex<BTreeMap<(String, String), Arc<Context>>>);

impl Contexts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Context>>> {
        // Each change is a single insertion or removal, so a panic leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, label: &str, table: &str) -> Option<Arc<Context>> {
        self.lock().get(&(label.to_owned(), table.to_owned())).cloned()
    }

    /// Takes a transaction's data, unless that of a later one with its label is there already; returns which is there.
    pub(super) fn put_newest(&self, key: (String, String), context: Arc<Context>) -> Arc<Context> {
        let mut contexts = self.lock();
        if let Some(other) = contexts.get(&key).filter(|other| other.id >= context.id) {
            return Arc::clone(other);
        }
        let replaced = contexts.insert(key, Arc::clone(&context));
        // Dropped without the lock, since that may write down what became of it.
        drop((contexts, replaced));
        context
    }

    /// Forgets a transaction's data, unless it is another's that took its place.
    pub(in crate::sandbox) fn remove(&self, context: &Arc<Context>) {
        let mut contexts = self.lock();
        contexts.retain(|_, other| !Arc::ptr_eq(other, context));
    }

    /// Loses everything, as a backend does that dies. The transactions stay in PREPARE.
    pub(in crate::sandbox) fn lose(&self) {
        let all = std::mem::take(&mut *self.lock());
        for context in all.into_values() {
            if let Some(load) = context.take_load() {
                leave(load);
            }
            // Whoever is at work on it has lost its connection, and finds no transaction at its end.
            if let Ok(mut work) = Arc::clone(&context.work).try_lock_owned() {
                work.lost = true;
            }
        }
    }

    /// Gives up transactions that nobody has sent anything for in their `idle_timeout`, and forgets those that somebody
    /// else has ended.
    pub(in crate::sandbox) fn sweep(&self) {
        let all: Vec<Arc<Context>> = self.lock().values().cloned().collect();
        for context in all {
            let over = context.is_over();
            let idle = context.idle_timeout.filter(|idle| context.begun.elapsed() > *idle);
            // A request that came while it is looked at would be told that another is at work.
            if !over && idle.is_none() {
                continue;
            }
            let Ok(work) = Arc::clone(&context.work).try_lock_owned() else { continue };
            if over {
                self.remove(&context);
            // Once there was a load the server compares two different clocks, and this never happens.
            } else if let (Some(idle), None) = (idle, &work.first) {
                let reason = format!("transaction is aborted by idle timeout {} seconds.", idle.as_secs());
                context.abort(&reason);
                self.remove(&context);
            }
        }
    }

    /// What the backend holds, as `/api/transaction/list` shows it: objects one behind the other.
    pub(in crate::sandbox) fn list(&self) -> Vec<serde_json::Value> {
        let shown = |context: &Arc<Context>| {
            serde_json::json!({
                "Label": context.label,
                "Db": context.database,
                "Table": context.table,
                "TxnId": context.id,
                "BeginTimestamp": context.begun_ms / 1000,
                "Timeout": context.timeout.as_secs(),
            })
        };
        self.lock().values().map(shown).collect()
    }
}

//! [`Contexts`]: what a backend holds of the transactions that it began, each in a [`Context`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use tokio::sync::OwnedMutexGuard;

use super::{Times, leave};
use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::ingest::{Failed, Tally};
use crate::sandbox::intake::{Intake, Place};
use crate::sandbox::label::Load;
use crate::sandbox::ledger;
use crate::sandbox::load::{self, Call};
use crate::sandbox::multi::Multi;
use crate::sandbox::node::Node;
use crate::sandbox::ordeal::Ordeal;
use crate::sandbox::plan::Plan;
use crate::sandbox::types::TableDef;
use crate::sandbox::wire::{self, Limits, LoadRequest};

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

/// A transaction's data on its backend; of one over several tables, the data for one table.
#[derive(Debug)]
pub(in crate::sandbox) struct Context {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) label: String,
    pub(super) id: i64,
    pub(super) begun: Instant,
    pub(super) begun_ms: i64,
    pub(super) timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    /// The transaction, unless it belongs to several tables and somebody else decides, or it is over.
    pub(super) load: Mutex<Option<Arc<Load>>>,
    /// The transaction over several tables, if it belongs to one.
    pub(super) multi: Option<Weak<Multi>>,
    pub(super) work: Arc<tokio::sync::Mutex<Work>>,
}

/// What requests on a transaction work on, one at a time.
#[derive(Debug)]
pub(in crate::sandbox) struct Work {
    pub(super) intake: Intake,
    /// What the first body was sent with, which all others have to repeat.
    pub(super) first: Option<(LoadRequest, Arc<TableDef>, Plan)>,
    /// What the bodies announced that came with a length.
    pub(super) announced: u64,
    pub(super) plan_ms: u64,
    pub(super) received_ms: u64,
    /// Whether the data is gone, with the backend or the transaction.
    pub(super) lost: bool,
}

impl Context {
    pub(super) fn lock_load(&self) -> MutexGuard<'_, Option<Arc<Load>>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_load(&self) -> Option<Arc<Load>> {
        self.lock_load().take()
    }

    pub(in crate::sandbox) fn abort(&self, reason: &str) {
        if let Some(load) = self.take_load() {
            load::abort(&load, reason);
        }
    }

    /// Rolls the transaction back after a failure, if that goes well.
    pub(super) fn give_up(&self, ordeal: &Ordeal, reason: &str) {
        match (ordeal.rollback(), self.take_load()) {
            (Ok(()), Some(load)) => load::abort(&load, reason),
            (Err(_), Some(load)) => leave(load),
            (_, None) => {}
        }
    }

    pub(in crate::sandbox) fn table(&self) -> &str {
        &self.table
    }

    /// The right to work on it, if nobody else does.
    pub(in crate::sandbox) fn try_work(&self) -> Option<OwnedMutexGuard<Work>> {
        Arc::clone(&self.work).try_lock_owned().ok()
    }

    /// The data of a transaction that its backend decides on.
    pub(super) fn single(call: &Call, label: &str, load: Load, work: Work, times: &Times) -> Self {
        Self::new(call, label, (load.id(), Some(load), None), work, times)
    }

    /// The data for one table of a transaction over several.
    pub(super) fn part(call: &Call, label: &str, multi: &Arc<Multi>, work: Work) -> Self {
        let times = Times { timeout: multi.timeout, idle_timeout: None };
        Self::new(call, label, (multi.id, None, Some(multi)), work, &times)
    }

    pub(super) fn new(
        call: &Call,
        label: &str,
        (id, load, multi): (i64, Option<Load>, Option<&Arc<Multi>>),
        work: Work,
        times: &Times,
    ) -> Self {
        Self {
            database: call.database.clone(),
            table: call.table.clone(),
            label: label.to_owned(),
            id,
            begun: SystemClock.instant(),
            begun_ms: ledger::now_ms(),
            timeout: times.timeout,
            idle_timeout: times.idle_timeout,
            load: Mutex::new(load.map(Arc::new)),
            multi: multi.map(Arc::downgrade),
            work: Arc::new(tokio::sync::Mutex::new(work)),
        }
    }

    /// Whether the transaction is still in PREPARE.
    pub(super) fn is_live(&self) -> bool {
        match &self.multi {
            Some(multi) => multi.upgrade().is_some_and(|multi| multi.is_live()),
            None => self.lock_load().as_ref().is_some_and(|load| load.is_open()),
        }
    }

    /// Whether somebody is known to have ended the transaction.
    pub(super) fn is_over(&self) -> bool {
        match &self.multi {
            Some(multi) => multi.upgrade().is_none_or(|multi| multi.is_over()),
            None => !self.is_live(),
        }
    }
}

impl Work {
    pub(super) fn new(node: &Node) -> std::io::Result<Self> {
        Ok(Self {
            intake: Intake::open(&node.dir, node.discard)?,
            first: None,
            announced: 0,
            plan_ms: 0,
            received_ms: 0,
            lost: false,
        })
    }

    /// Whether anything has been sent.
    pub(in crate::sandbox) fn is_empty(&self) -> bool {
        self.intake.bodies() == 0
    }

    pub(in crate::sandbox) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(in crate::sandbox) fn received(&self) -> u64 {
        self.intake.received()
    }

    /// Puts the rows of everything that was sent where they belong.
    pub(in crate::sandbox) fn pour(
        &mut self,
        transaction: &rusqlite::Transaction<'_>,
        place: Place,
        empty_load_as_error: bool,
        tally: &mut Tally,
    ) -> Result<(), Failed> {
        let Some((request, table, plan)) = &self.first else { return Ok(()) };
        self.intake.pour(transaction, request, (table, plan), place, tally)?;
        tally.counts.judge(request.max_filter_ratio, empty_load_as_error)
    }

    /// Checks that a body may follow those that came before, and remembers what the first was sent with.
    pub(super) fn admit(
        &mut self,
        request: LoadRequest,
        table: &Arc<TableDef>,
        (headers, limits): (&HeaderMap, &Limits),
    ) -> Result<(), String> {
        let announced = self.announced + request.content_length.unwrap_or(0);
        wire::check_sizes(announced, &request.format, headers, limits)?;
        match &mut self.first {
            Some((first, ..)) if !first.is_like(&request) => return Err("load request not equal last.".to_owned()),
            Some((first, ..)) => first.content_length = request.content_length,
            None => {
                let plan = Plan::new(&request, table)?;
                self.first = Some((request, Arc::clone(table), plan));
            }
        }
        self.announced = announced;
        Ok(())
    }
}

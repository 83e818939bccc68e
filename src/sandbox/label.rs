//! Labels: which load owns one, what became of it, and when it is forgotten.
//!
//! ```text
//!            ┌─────────────────────▶ VISIBLE      a row, written in the transaction that makes its rows visible
//!  begin ─▶ PREPARE ─▶ PREPARED ─▶ COMMITTED      rows, with the load's rows staged beside them
//!  (memory)  └───────────┴────────▶ ABORTED       a row; the label is free again
//! ```
//!
//! A label belongs to one database, and at most one load that was not aborted has it. Loads in PREPARE are in memory
//! only, so that they vanish with the process that carried them; what is further is a row of the [`ledger`], of which
//! each database keeps the newest, and those not for ever. COMMITTED is passed in the same moment as VISIBLE unless the
//! publication is held up on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction};
use tokio::sync::Notify;

use super::ledger::{self, Entry, Retention, State, Totals, now_ms};
use super::overview::LoadKind;
use super::store::Store;
use super::surface::config::FrontendSettings;
use super::surface::metrics::{FrontendMetrics, Outcome};
use crate::clock::{Clock as _, SystemClock};

/// The longest label.
const LABEL_BYTES_MAX: usize = 128;

/// How many loads may be under way. Each of them keeps a thread busy while its body comes, of which the runtime has 512;
/// the others are for those who ask how it goes.
const RUNNING_MAX: usize = 256;

/// The reason of a load whose time was up.
pub(super) const TIMED_OUT: &str = "timeout by txn manager";
/// The reason of a load whose backend went away.
pub(super) const COORDINATOR_DOWN: &str = "coordinate BE is down";

/// What is known of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) reason: String,
    /// The load, if there is one.
    pub(super) id: Option<i64>,
    /// The backend that coordinates it, by its position.
    pub(super) node: Option<usize>,
}

/// Whether a label is one: letters, digits, underscore and hyphen, 1 to 128 of them.
pub(super) fn is_valid(label: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !label.is_empty() && label.len() <= LABEL_BYTES_MAX && label.bytes().all(valid)
}

/// What is to be begun.
#[derive(Clone, Debug)]
pub(super) struct Beginning<'a> {
    pub(super) database: &'a str,
    pub(super) label: &'a str,
    pub(super) table: &'a str,
    pub(super) user: &'a str,
    pub(super) kind: LoadKind,
    pub(super) node: Option<usize>,
    pub(super) timeout: Duration,
}

/// Why a load is not begun.
#[derive(Debug)]
pub(super) enum Refusal {
    Malformed,
    /// So many loads are under way that there is no room for another, and how many may be.
    Crowded(usize, usize),
    /// The label has an owner, which is in this state.
    Taken(State),
    Sqlite(rusqlite::Error),
}

/// What stopped a load from being committed.
#[derive(Debug)]
pub(super) enum CommitError {
    /// Somebody aborted it meanwhile.
    Aborted(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// How far a load is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Its rows are in the table.
    Visible,
    /// Its rows are staged, and it waits for a decision, but not longer than this.
    Prepared(Duration),
    /// Its rows are staged, it is decided, and becomes visible after this.
    Committed(Duration),
}

/// How far a load in memory has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Prepare,
    /// Its rows are being staged or made visible: it can no longer be cancelled.
    Committing,
    /// It was aborted, and the row that says so is still to be written.
    Aborting,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) entry: Entry,
    pub(super) phase: Phase,
    /// When its time is up.
    pub(super) deadline: Instant,
    /// Wakes the request that carries the load when somebody else aborts it.
    aborted: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct Loads {
    next: i64,
    pub(super) open: BTreeMap<i64, Open>,
}

/// Every load of the sandbox, on its way or over.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) store: Arc<Store>,
    settings: Arc<FrontendSettings>,
    metrics: Arc<FrontendMetrics>,
    loads: Mutex<Loads>,
}

impl Registry {
    pub(super) fn open(
        store: Arc<Store>,
        settings: Arc<FrontendSettings>,
        metrics: Arc<FrontendMetrics>,
    ) -> rusqlite::Result<Self> {
        let last = store.write(|transaction| {
            ledger::create(transaction)?;
            ledger::last_id(transaction)
        })?;
        let loads = Mutex::new(Loads { next: last + 1, open: BTreeMap::new() });
        Ok(Self { store, settings, metrics, loads })
    }

    /// Begins a load under a label. It lives in memory until it is prepared, committed or aborted; dropping it aborts it.
    pub(super) fn begin(self: &Arc<Self>, what: &Beginning<'_>) -> Result<Load, Refusal> {
        if !is_valid(what.label) {
            return Err(Refusal::Malformed);
        }
        // The lock is held over the question to the database: a label on its way there would otherwise be nowhere.
        let mut loads = self.loads();
        self.check(&loads, what).inspect_err(|_| self.metrics.transaction_refused())?;
        self.metrics.transaction_begun();
        let id = loads.next;
        loads.next += 1;
        let aborted = Arc::new(Notify::new());
        let deadline = SystemClock.instant() + what.timeout;
        let open = Open { entry: what.entry(id), phase: Phase::Prepare, deadline, aborted: Arc::clone(&aborted) };
        loads.open.insert(id, open);
        Ok(Load { registry: Arc::clone(self), id, aborted })
    }

    /// Whether a load may be begun: its label is free, and there is room for it.
    fn check(&self, loads: &Loads, what: &Beginning<'_>) -> Result<(), Refusal> {
        if loads.owner(what.database, what.label).is_some() {
            return Err(Refusal::Taken(State::Prepare));
        }
        let all = loads.open.values().filter(|open| open.phase != Phase::Aborting);
        if all.clone().count() >= RUNNING_MAX {
            return Err(Refusal::Crowded(RUNNING_MAX, RUNNING_MAX));
        }
        let (here, max) =
            (all.filter(|open| open.entry.database == what.database).count(), self.settings.running_max());
        if here >= max {
            return Err(Refusal::Crowded(here, max));
        }
        let owner = self.store.read(|connection| ledger::owner(connection, what.database, what.label));
        owner.map_err(Refusal::Sqlite)?.map_or(Ok(()), |owner| Err(Refusal::Taken(owner.state)))
    }

    /// What is known of a label: of its newest load.
    pub(super) fn standing(&self, database: &str, label: &str) -> rusqlite::Result<Standing> {
        let loads = self.loads();
        if let Some(open) = loads.open.values().rev().find(|open| open.is(database, label)) {
            return Ok(Standing::of(&open.entry));
        }
        let found = self.store.read(|connection| ledger::newest(connection, database, label))?;
        let unknown = || Standing { state: State::Unknown, reason: String::new(), id: None, node: None };
        Ok(found.as_ref().map_or_else(unknown, Standing::of))
    }

    /// Every load that is known, the oldest first.
    pub(super) fn all(&self) -> rusqlite::Result<Vec<Entry>> {
        let loads = self.loads();
        let mut all = self.store.read(ledger::all)?;
        all.retain(|entry| !loads.open.contains_key(&entry.id));
        all.extend(loads.open.values().map(|open| open.entry.clone()));
        all.sort_by_key(|entry| entry.id);
        Ok(all)
    }

    /// What the leading frontend has counted.
    pub(super) fn metrics(&self) -> &FrontendMetrics {
        &self.metrics
    }

    pub(super) fn keep(&self) -> Retention {
        Retention { count_max: self.settings.labels_kept(), age_max: self.settings.labels_kept_for() }
    }

    /// Counts a load that is over.
    pub(super) fn count(&self, entry: &Entry) {
        let outcome = match entry.state {
            State::Visible => Outcome::Visible,
            State::Aborted => Outcome::Aborted,
            _ => return,
        };
        let took = entry.finished_ms.unwrap_or(entry.begun_ms).saturating_sub(entry.begun_ms);
        self.metrics.transaction_ended(outcome, entry.kind, Duration::from_millis(took.try_into().unwrap_or(0)));
    }

    /// Aborts the load that has the label, if it is in PREPARE; tells whether it was.
    pub(super) fn cancel(&self, database: &str, label: &str, reason: &str) -> rusqlite::Result<bool> {
        let owner = self.loads().owner(database, label);
        owner.map_or(Ok(false), |id| self.interrupt(id, reason))
    }

    /// Aborts a load in PREPARE that somebody else carries, and tells whoever that is.
    pub(super) fn interrupt(&self, id: i64, reason: &str) -> rusqlite::Result<bool> {
        let Some(carrier) = self.loads().open.get(&id).map(|open| Arc::clone(&open.aborted)) else { return Ok(false) };
        let aborted = self.abort(id, reason);
        // Also when it could not be written down: it is aborted all the same.
        if !matches!(aborted, Ok(false)) {
            carrier.notify_one();
        }
        aborted
    }

    /// Aborts a load in PREPARE; tells whether it was in it.
    fn abort(&self, id: i64, reason: &str) -> rusqlite::Result<bool> {
        {
            let mut loads = self.loads();
            let Some(open) = loads.open.get_mut(&id).filter(|open| open.phase == Phase::Prepare) else {
                return Ok(false);
            };
            open.phase = Phase::Aborting;
            open.entry.become_aborted(now_ms(), reason);
            self.count(&open.entry);
        }
        self.write_down().map(|()| true)
    }

    /// Writes down which loads were aborted, unless somebody is writing: a long load would keep whoever was refused
    /// waiting for the answer. Each load does this again when it has been written, and until then memory knows.
    pub(super) fn write_down(&self) -> rusqlite::Result<()> {
        if self.loads().aborted().is_empty() {
            return Ok(());
        }
        // A load stays in memory until it is in the table, so that it is never nowhere; one that another thread has just
        // written may therefore be written once more.
        if let Some(written) = self.store.try_write(|transaction| self.settle(transaction, None))? {
            self.loads().forget(&written);
        }
        Ok(())
    }

    /// Writes down what a load came to and which others were aborted, and forgets older ones. Returns what it wrote.
    pub(super) fn settle(&self, connection: &Connection, moved: Option<Entry>) -> rusqlite::Result<Vec<i64>> {
        let mut all = self.loads().aborted();
        all.extend(moved);
        for entry in &all {
            ledger::record(connection, entry)?;
        }
        let written: Vec<i64> = all.iter().map(|entry| entry.id).collect();
        for database in all.iter().map(|entry| entry.database.as_str()).collect::<BTreeSet<_>>() {
            self.evict(connection, database, &written)?;
        }
        Ok(written)
    }

    pub(super) fn evict(&self, connection: &Connection, database: &str, written: &[i64]) -> rusqlite::Result<()> {
        let others = |(id, open): &(&i64, &Open)| open.entry.database == database && !written.contains(id);
        let open = self.loads().open.iter().filter(others).count();
        ledger::evict(connection, database, open, self.keep(), now_ms())
    }

    pub(super) fn loads(&self) -> MutexGuard<'_, Loads> {
        // Each change of the map is a single insertion, removal or assignment, so a panic leaves it whole.
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beginning<'_> {
    fn entry(&self, id: i64) -> Entry {
        Entry {
            id,
            database: self.database.to_owned(),
            label: self.label.to_owned(),
            table: self.table.to_owned(),
            user: self.user.to_owned(),
            kind: self.kind,
            node: self.node,
            timeout_seconds: self.timeout.as_secs(),
            state: State::Prepare,
            reason: String::new(),
            totals: Totals::default(),
            begun_ms: now_ms(),
            prepared_ms: None,
            committed_ms: None,
            finished_ms: None,
            prepared_until_ms: None,
            publish_at_ms: None,
        }
    }
}

impl Standing {
    fn of(entry: &Entry) -> Self {
        Self { state: entry.state, reason: entry.reason.clone(), id: Some(entry.id), node: entry.node }
    }
}

impl Loads {
    pub(super) fn owner(&self, database: &str, label: &str) -> Option<i64> {
        let owns = |open: &Open| open.is(database, label) && open.phase != Phase::Aborting;
        self.open.iter().find(|(_, open)| owns(open)).map(|(id, _)| *id)
    }

    /// The loads that were aborted and are not yet known to be in the table.
    fn aborted(&self) -> Vec<Entry> {
        let aborted = self.open.values().filter(|open| open.phase == Phase::Aborting);
        aborted.map(|open| open.entry.clone()).collect()
    }

    pub(super) fn forget(&mut self, written: &[i64]) {
        self.open.retain(|id, _| !written.contains(id));
    }
}

impl Open {
    fn is(&self, database: &str, label: &str) -> bool {
        self.entry.database == database && self.entry.label == label
    }
}

/// A load in PREPARE. Dropping it aborts it, so that a label is never left behind by a request that died.
#[derive(Debug)]
#[must_use = "dropping the load aborts it at once"]
pub(super) struct Load {
    registry: Arc<Registry>,
    id: i64,
    aborted: Arc<Notify>,
}

impl Load {
    /// The transaction's id in replies.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// Resolves when somebody else has aborted the load.
    pub(super) fn aborted(&self) -> Arc<Notify> {
        Arc::clone(&self.aborted)
    }

    /// Whether it is still in PREPARE.
    pub(super) fn is_open(&self) -> bool {
        self.registry.loads().open.get(&self.id).is_some_and(|open| open.phase == Phase::Prepare)
    }

    /// Runs a transaction that ends with the load being as wanted. `f` makes the rows, in the table or staged, and tells
    /// what it came to.
    ///
    /// Rows and label become durable together, in one commit; when anything fails there is neither, and the load is
    /// still in PREPARE.
    pub(super) fn finish<E: From<CommitError>>(
        &self,
        goal: Goal,
        f: impl FnOnce(&Transaction<'_>) -> Result<Totals, E>,
    ) -> Result<(), E> {
        let mut failed = None;
        let result = self.registry.store.write(|transaction| {
            let attempt = f(transaction).and_then(|totals| self.seal(transaction, goal, totals).map_err(E::from));
            attempt.map_err(|error| {
                failed = Some(error);
                // Any error rolls the transaction back; the one that matters is kept aside.
                rusqlite::Error::ExecuteReturnedResults
            })
        });
        let result = self.conclude(result).map_err(|error| failed.unwrap_or_else(|| CommitError::Sqlite(error).into()));
        if let Err(error) = self.registry.write_down() {
            tracing::warn!(error = %error, "aborted loads could not be written down");
        }
        result
    }

    /// Brings memory in line with what the database has made of a commit.
    fn conclude(&self, result: rusqlite::Result<(Entry, Vec<i64>)>) -> rusqlite::Result<()> {
        let mut loads = self.registry.loads();
        match result {
            Ok((entry, written)) => {
                loads.forget(&written);
                drop(loads);
                self.registry.count(&entry);
                Ok(())
            }
            Err(error) => {
                if let Some(open) = loads.open.get_mut(&self.id).filter(|open| open.phase == Phase::Committing) {
                    open.phase = Phase::Prepare;
                }
                Err(error)
            }
        }
    }

    /// Notes where its error log is, for those who ask after it has failed.
    pub(super) fn note_log(&self, url: Option<String>) {
        if let Some(open) = self.registry.loads().open.get_mut(&self.id) {
            open.entry.totals.error_url = url;
        }
    }

    /// Aborts the load.
    pub(super) fn abort(&self, reason: &str) -> rusqlite::Result<()> {
        self.registry.abort(self.id, reason).map(|_| ())
    }

    /// Leaves the load in PREPARE, as a backend does that dies or whose rollback is lost: only its time, a cancellation
    /// or the end of the process frees the label.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }

    fn seal(&self, connection: &Connection, goal: Goal, totals: Totals) -> Result<(Entry, Vec<i64>), CommitError> {
        let entry = {
            let mut loads = self.registry.loads();
            match loads.open.get_mut(&self.id) {
                Some(open) if open.phase == Phase::Prepare => {
                    open.phase = Phase::Committing;
                    let mut entry = Entry { totals, ..open.entry.clone() };
                    match goal {
                        Goal::Visible => entry.become_visible(now_ms()),
                        Goal::Prepared(limit) => entry.become_prepared(now_ms(), limit),
                        Goal::Committed(hold) => entry.become_committed(now_ms(), hold),
                    }
                    entry
                }
                Some(Open { phase: Phase::Aborting, entry, .. }) => {
                    return Err(CommitError::Aborted(entry.reason.clone()));
                }
                _ => return Err(CommitError::Aborted("the transaction is over".to_owned())),
            }
        };
        let written = self.registry.settle(connection, Some(entry.clone()))?;
        Ok((entry, written))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // After a commit or an abort there is nothing in PREPARE, and this does nothing. A failure to write leaves the
        // label unknown, which is as free as an aborted one.
        if let Err(error) = self.registry.abort(self.id, "the request ended before the load did") {
            tracing::warn!(error = %error, transaction = self.id, "an aborted load could not be written down");
        }
    }
}

#[cfg(test)]
#[path = "label_tests.rs"]
mod tests;

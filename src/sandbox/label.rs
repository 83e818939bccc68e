//! Labels: which load owns one, what became of it, and when it is forgotten.
//!
//! ```text
//!  begin ─▶ PREPARE ─▶ VISIBLE      a row, written in the transaction that makes the load's rows visible
//!  (memory)    └─────▶ ABORTED      a row; the label is free again
//! ```
//!
//! A label belongs to one database, and at most one load that was not aborted has it. Loads that are on their way are
//! in memory only, so that they vanish with the process that carried them; finished ones are rows of `sb_loads`, of
//! which each database keeps the newest, and those not for ever. The rules are functions over that table; [`Registry`]
//! adds the loads in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;

use super::store::Store;
use crate::clock::{Clock as _, SystemClock};

/// The longest label.
const LABEL_BYTES_MAX: usize = 128;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sb_loads (
        id INTEGER PRIMARY KEY,
        database TEXT NOT NULL,
        label TEXT NOT NULL,
        table_name TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        loaded_rows INTEGER NOT NULL,
        finished_ms INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS sb_loads_label ON sb_loads (database, label);
";

/// A state as the server names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    Prepare,
    Prepared,
    Committed,
    Visible,
    Aborted,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Prepare => "PREPARE",
            Self::Prepared => "PREPARED",
            Self::Committed => "COMMITTED",
            Self::Visible => "VISIBLE",
            Self::Aborted => "ABORTED",
        }
    }

    fn parse(text: &str) -> Self {
        let all = [Self::Prepare, Self::Prepared, Self::Committed, Self::Visible, Self::Aborted];
        all.into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Unknown)
    }

    /// What a client is told that comes with a label in this state; `None` when the label is free.
    pub(super) fn existing_job_status(self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Aborted => None,
            Self::Prepare | Self::Prepared => Some("RUNNING"),
            Self::Committed | Self::Visible => Some("FINISHED"),
        }
    }
}

/// What is known of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) reason: String,
}

/// A load that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) id: i64,
    pub(super) database: String,
    pub(super) label: String,
    pub(super) table: String,
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) loaded_rows: u64,
}

/// How many finished loads each database remembers, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) count_max: usize,
    pub(super) age_max: Duration,
}

/// Whether a label is one: letters, digits, underscore and hyphen, 1 to 128 of them.
pub(super) fn is_valid(label: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !label.is_empty() && label.len() <= LABEL_BYTES_MAX && label.bytes().all(valid)
}

/// The finished load that owns the label, if one does: aborted ones do not.
fn owner(connection: &Connection, database: &str, label: &str) -> rusqlite::Result<Option<State>> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM sb_loads WHERE database = ?1 AND label = ?2 AND state <> 'ABORTED' ORDER BY id DESC LIMIT 1",
    )?;
    let state: Option<String> = statement.query_row([database, label], |row| row.get(0)).optional()?;
    Ok(state.map(|state| State::parse(&state)))
}

/// What the newest finished load of the label came to.
fn newest(connection: &Connection, database: &str, label: &str) -> rusqlite::Result<Option<Standing>> {
    let mut statement = connection.prepare_cached(
        "SELECT state, reason FROM sb_loads WHERE database = ?1 AND label = ?2 ORDER BY id DESC LIMIT 1",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        let state: String = row.get(0)?;
        Ok(Standing { state: State::parse(&state), reason: row.get(1)? })
    };
    statement.query_row([database, label], row).optional()
}

/// Writes down how a load ended.
fn record(connection: &Connection, ended: &Ended, now_ms: i64) -> rusqlite::Result<()> {
    // An aborted load may be written twice, see `Registry::write_down`.
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO sb_loads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let rows = i64::try_from(ended.loaded_rows).unwrap_or(i64::MAX);
    let Ended { id, database, label, table, state, reason, .. } = ended;
    statement.execute((id, database, label, table, state.as_str(), reason, rows, now_ms))?;
    Ok(())
}

/// Forgets what the database should not remember: what is too old, and the oldest of what is too much. Loads that are
/// on their way count too, though they cannot be forgotten.
fn evict(connection: &Connection, database: &str, open: usize, keep: Retention, now_ms: i64) -> rusqlite::Result<()> {
    let age_ms = i64::try_from(keep.age_max.as_millis()).unwrap_or(i64::MAX);
    let mut by_age = connection.prepare_cached("DELETE FROM sb_loads WHERE database = ?1 AND finished_ms < ?2")?;
    by_age.execute((database, now_ms.saturating_sub(age_ms)))?;
    let mut by_count = connection.prepare_cached(
        "DELETE FROM sb_loads WHERE database = ?1 AND id <=
         (SELECT id FROM sb_loads WHERE database = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    by_count.execute((database, i64::try_from(keep.count_max.saturating_sub(open)).unwrap_or(i64::MAX)))?;
    Ok(())
}

/// How many loads may be under way. Each of them keeps a thread busy, of which the runtime has 512; the others are for
/// those who ask how it goes.
const RUNNING_MAX: usize = 256;

/// Why a load is not begun.
#[derive(Debug)]
pub(super) enum Refusal {
    Malformed,
    /// So many loads are under way that there is no room for another.
    Crowded(usize),
    /// The label has an owner; this is what its client is told.
    Taken(&'static str),
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

/// How far a load in memory has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Prepare,
    /// Its rows are being made visible: it can no longer be cancelled.
    Committing,
    /// It was aborted, and the row that says so is still to be written.
    Aborting(String),
}

#[derive(Debug)]
struct Open {
    database: String,
    label: String,
    table: String,
    phase: Phase,
    /// Wakes the request that carries the load when somebody else aborts it.
    aborted: Arc<Notify>,
}

#[derive(Debug)]
struct Loads {
    next: i64,
    open: BTreeMap<i64, Open>,
}

/// Every load of the sandbox, on its way or finished.
#[derive(Debug)]
pub(super) struct Registry {
    store: Arc<Store>,
    keep: Retention,
    loads: Mutex<Loads>,
}

impl Registry {
    pub(super) fn open(store: Arc<Store>, keep: Retention) -> rusqlite::Result<Self> {
        let last: i64 = store.write(|transaction| {
            transaction.execute_batch(SCHEMA)?;
            transaction.query_row("SELECT coalesce(max(id), 1000) FROM sb_loads", [], |row| row.get(0))
        })?;
        Ok(Self { store, keep, loads: Mutex::new(Loads { next: last + 1, open: BTreeMap::new() }) })
    }

    /// Begins a load under a label. It lives in memory until it is committed or aborted; dropping it aborts it.
    pub(super) fn begin(self: &Arc<Self>, database: &str, label: &str, table: &str) -> Result<Load, Refusal> {
        if !is_valid(label) {
            return Err(Refusal::Malformed);
        }
        // The lock is held over the question to the database: a label on its way there would otherwise be nowhere.
        let mut loads = self.loads();
        if loads.owner(database, label).is_some() {
            return Err(Refusal::Taken("RUNNING"));
        }
        let running = loads.open.values().filter(|open| !matches!(open.phase, Phase::Aborting(_))).count();
        if running >= RUNNING_MAX {
            return Err(Refusal::Crowded(running));
        }
        let owner = self.store.read(|connection| owner(connection, database, label)).map_err(Refusal::Sqlite)?;
        if let Some(status) = owner.and_then(State::existing_job_status) {
            return Err(Refusal::Taken(status));
        }
        let id = loads.next;
        loads.next += 1;
        let aborted = Arc::new(Notify::new());
        let open = Open {
            database: database.to_owned(),
            label: label.to_owned(),
            table: table.to_owned(),
            phase: Phase::Prepare,
            aborted: Arc::clone(&aborted),
        };
        loads.open.insert(id, open);
        Ok(Load { registry: Arc::clone(self), id, aborted })
    }

    /// What is known of a label: of its newest load.
    pub(super) fn standing(&self, database: &str, label: &str) -> rusqlite::Result<Standing> {
        let loads = self.loads();
        if let Some((_, open)) = loads.open.iter().rev().find(|(_, open)| open.is(database, label)) {
            return Ok(match &open.phase {
                Phase::Prepare | Phase::Committing => Standing { state: State::Prepare, reason: String::new() },
                Phase::Aborting(reason) => Standing { state: State::Aborted, reason: reason.clone() },
            });
        }
        let found = self.store.read(|connection| newest(connection, database, label))?;
        Ok(found.unwrap_or(Standing { state: State::Unknown, reason: String::new() }))
    }

    /// Aborts the load that has the label, if it is in PREPARE; tells whether it was.
    pub(super) fn cancel(&self, database: &str, label: &str, reason: &str) -> rusqlite::Result<bool> {
        let owner = {
            let loads = self.loads();
            loads.owner(database, label).map(|id| (id, Arc::clone(&loads.open[&id].aborted)))
        };
        let Some((id, carrier)) = owner else { return Ok(false) };
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
            open.phase = Phase::Aborting(reason.to_owned());
        }
        self.write_down().map(|()| true)
    }

    /// Writes down which loads were aborted, unless somebody is writing: a long load would keep whoever was refused
    /// waiting for the answer. Each load does this again when it has been written, and until then memory knows.
    fn write_down(&self) -> rusqlite::Result<()> {
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

    /// Writes down how a load ended and which others were aborted, and forgets older ones. Returns what it wrote.
    fn settle(&self, connection: &Connection, ended: Option<Ended>) -> rusqlite::Result<Vec<i64>> {
        let now_ms = now_ms();
        let mut all = self.loads().aborted();
        all.extend(ended);
        for ended in &all {
            record(connection, ended, now_ms)?;
        }
        let written: Vec<i64> = all.iter().map(|ended| ended.id).collect();
        for database in all.iter().map(|ended| ended.database.as_str()).collect::<BTreeSet<_>>() {
            let others = |(id, open): &(&i64, &Open)| open.database == database && !written.contains(id);
            let open = self.loads().open.iter().filter(others).count();
            evict(connection, database, open, self.keep, now_ms)?;
        }
        Ok(written)
    }

    fn loads(&self) -> MutexGuard<'_, Loads> {
        // Each change of the map is a single insertion, removal or assignment, so a panic leaves it whole.
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loads {
    fn owner(&self, database: &str, label: &str) -> Option<i64> {
        let owns = |open: &Open| open.is(database, label) && !matches!(open.phase, Phase::Aborting(_));
        self.open.iter().find(|(_, open)| owns(open)).map(|(id, _)| *id)
    }

    /// The loads that were aborted and are not yet known to be in the table.
    fn aborted(&self) -> Vec<Ended> {
        let ended = |(id, open): (&i64, &Open)| match &open.phase {
            Phase::Aborting(reason) => Some(open.ended(*id, State::Aborted, reason, 0)),
            Phase::Prepare | Phase::Committing => None,
        };
        self.open.iter().filter_map(ended).collect()
    }

    fn forget(&mut self, written: &[i64]) {
        self.open.retain(|id, _| !written.contains(id));
    }
}

impl Open {
    fn is(&self, database: &str, label: &str) -> bool {
        self.database == database && self.label == label
    }

    fn ended(&self, id: i64, state: State, reason: &str, loaded_rows: u64) -> Ended {
        Ended {
            id,
            database: self.database.clone(),
            label: self.label.clone(),
            table: self.table.clone(),
            state,
            reason: reason.to_owned(),
            loaded_rows,
        }
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

    /// Runs a transaction that ends with the load being visible. `f` makes the rows and tells how many.
    ///
    /// Rows and label become durable together, in one commit; when anything fails there is neither, and the load is
    /// still in PREPARE.
    pub(super) fn commit<E: From<CommitError>>(
        &self,
        f: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let mut failed = None;
        let result = self.registry.store.write(|transaction| {
            let attempt = f(transaction).and_then(|rows| Ok((rows, self.seal(transaction, rows).map_err(E::from)?)));
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
    fn conclude(&self, result: rusqlite::Result<(u64, Vec<i64>)>) -> rusqlite::Result<u64> {
        let mut loads = self.registry.loads();
        match result {
            Ok((rows, written)) => {
                loads.forget(&written);
                Ok(rows)
            }
            Err(error) => {
                if let Some(open) = loads.open.get_mut(&self.id).filter(|open| open.phase == Phase::Committing) {
                    open.phase = Phase::Prepare;
                }
                Err(error)
            }
        }
    }

    /// Aborts the load.
    pub(super) fn abort(&self, reason: &str) -> rusqlite::Result<()> {
        self.registry.abort(self.id, reason).map(|_| ())
    }

    fn seal(&self, connection: &Connection, rows: u64) -> Result<Vec<i64>, CommitError> {
        let ended = {
            let mut loads = self.registry.loads();
            match loads.open.get_mut(&self.id) {
                Some(open) if open.phase == Phase::Prepare => {
                    open.phase = Phase::Committing;
                    open.ended(self.id, State::Visible, "", rows)
                }
                Some(Open { phase: Phase::Aborting(reason), .. }) => return Err(CommitError::Aborted(reason.clone())),
                _ => return Err(CommitError::Aborted("the transaction is over".to_owned())),
            }
        };
        Ok(self.registry.settle(connection, Some(ended))?)
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

fn now_ms() -> i64 {
    let since = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "label_tests.rs"]
mod tests;

//! The rows of `sb_ledger`: what is on the disk about loads that are prepared, committed or over.
//!
//! Loads in PREPARE have no row, so that they vanish with the process that carried them. The rules of labels that hang on
//! these rows are functions here; [`super::label`] adds the loads in memory.

use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use super::overview::{LoadKind, LoadView};
use crate::clock::{Clock as _, SystemClock};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sb_ledger (
        id INTEGER PRIMARY KEY,
        database TEXT NOT NULL,
        label TEXT NOT NULL,
        state TEXT NOT NULL,
        finished_ms INTEGER NOT NULL,
        entry TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS sb_ledger_label ON sb_ledger (database, label);
    CREATE INDEX IF NOT EXISTS sb_ledger_finished ON sb_ledger (finished_ms);
    CREATE INDEX IF NOT EXISTS sb_ledger_unfinished ON sb_ledger (state) WHERE state IN ('PREPARED', 'COMMITTED');
    CREATE TABLE IF NOT EXISTS sb_ledger_last (only INTEGER PRIMARY KEY CHECK (only = 1), id INTEGER NOT NULL);
    INSERT OR IGNORE INTO sb_ledger_last SELECT 1, coalesce(max(id), 1000) FROM sb_ledger;
    CREATE TRIGGER IF NOT EXISTS sb_ledger_counts AFTER INSERT ON sb_ledger
        BEGIN UPDATE sb_ledger_last SET id = new.id WHERE id < new.id; END;
";

/// A state as the server names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
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

    /// What a client is told that comes with a label in this state; `None` when the label is free.
    pub(super) fn existing_job_status(self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Aborted => None,
            Self::Prepare | Self::Prepared => Some("RUNNING"),
            Self::Committed | Self::Visible => Some("FINISHED"),
        }
    }
}

/// What is known of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) database: String,
    pub(super) label: String,
    /// Nothing for a transaction over several tables.
    pub(super) table: String,
    pub(super) user: String,
    pub(super) kind: LoadKind,
    /// The backend that coordinates it, by its position; none when no backend does.
    pub(super) node: Option<usize>,
    pub(super) timeout_seconds: u64,
    pub(super) state: State,
    pub(super) reason: String,
    pub(super) totals: Totals,
    pub(super) begun_ms: i64,
    pub(super) prepared_ms: Option<i64>,
    pub(super) committed_ms: Option<i64>,
    pub(super) finished_ms: Option<i64>,
    /// When a load in PREPARED is given up.
    pub(super) prepared_until_ms: Option<i64>,
    /// When a load in COMMITTED becomes visible.
    pub(super) publish_at_ms: Option<i64>,
}

/// What a load came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) loaded: u64,
    pub(super) filtered: u64,
    pub(super) unselected: u64,
    pub(super) bytes: u64,
    pub(super) error_url: Option<String>,
}

impl Entry {
    pub(super) fn become_prepared(&mut self, now_ms: i64, limit: Duration) {
        self.state = State::Prepared;
        self.prepared_ms = Some(now_ms);
        self.prepared_until_ms = Some(now_ms.saturating_add(millis(limit)));
    }

    pub(super) fn become_committed(&mut self, now_ms: i64, hold: Duration) {
        self.state = State::Committed;
        self.committed_ms = Some(now_ms);
        self.publish_at_ms = Some(now_ms.saturating_add(millis(hold)));
    }

    pub(super) fn become_visible(&mut self, now_ms: i64) {
        self.state = State::Visible;
        self.committed_ms.get_or_insert(now_ms);
        self.finished_ms = Some(now_ms);
    }

    pub(super) fn become_aborted(&mut self, now_ms: i64, reason: &str) {
        self.state = State::Aborted;
        reason.clone_into(&mut self.reason);
        self.finished_ms = Some(now_ms);
    }

    /// The entry as people and programs get to see it.
    pub(super) fn view(&self) -> LoadView {
        LoadView {
            id: self.id,
            label: self.label.clone(),
            database: self.database.clone(),
            table: self.table.clone(),
            user: self.user.clone(),
            state: self.state.as_str(),
            kind: self.kind,
            reason: self.reason.clone(),
            loaded_rows: self.totals.loaded,
            filtered_rows: self.totals.filtered,
            unselected_rows: self.totals.unselected,
            bytes: self.totals.bytes,
            node: self.node.map(|node| format!("be{}", node + 1)).unwrap_or_default(),
            timeout_seconds: self.timeout_seconds,
            error_url: self.totals.error_url.clone(),
            begun_ms: self.begun_ms,
            prepared_ms: self.prepared_ms,
            committed_ms: self.committed_ms,
            finished_ms: self.finished_ms,
        }
    }
}

/// How many transactions each database remembers, and how long it remembers those that are over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) count_max: usize,
    pub(super) age_max: Duration,
}

/// Makes the table, and takes over what an older build has left.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    let old = "SELECT 1 FROM sqlite_schema WHERE name = 'sb_loads'";
    if connection.prepare(old)?.exists([])? {
        connection.execute_batch(
            "INSERT OR IGNORE INTO sb_ledger
             SELECT id, database, label, state, finished_ms, json_object(
                 'id', id, 'database', database, 'label', label, 'table', table_name, 'user', 'root', 'kind', 'Stream',
                 'node', 0, 'timeout_seconds', 600, 'state', state, 'reason', reason,
                 'totals', json_object('loaded', loaded_rows, 'filtered', 0, 'unselected', 0, 'bytes', 0,
                     'error_url', NULL),
                 'begun_ms', finished_ms, 'prepared_ms', NULL, 'committed_ms', NULL, 'finished_ms', finished_ms,
                 'prepared_until_ms', NULL, 'publish_at_ms', NULL)
             FROM sb_loads;
             DROP TABLE sb_loads;",
        )?;
    }
    Ok(())
}

/// The highest number that a load has had which was written down, also if it is forgotten.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT id FROM sb_ledger_last", [], |row| row.get(0))
}

/// The load that owns the label, if one does: aborted ones do not.
pub(super) fn owner(connection: &Connection, database: &str, label: &str) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached(
        "SELECT entry FROM sb_ledger WHERE database = ?1 AND label = ?2 AND state <> 'ABORTED' ORDER BY id DESC LIMIT 1",
    )?;
    statement.query_row([database, label], entry).optional()
}

/// The newest load of the label.
pub(super) fn newest(connection: &Connection, database: &str, label: &str) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection
        .prepare_cached("SELECT entry FROM sb_ledger WHERE database = ?1 AND label = ?2 ORDER BY id DESC LIMIT 1")?;
    statement.query_row([database, label], entry).optional()
}

/// A load by its number.
pub(super) fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Entry>> {
    connection.prepare_cached("SELECT entry FROM sb_ledger WHERE id = ?1")?.query_row([id], entry).optional()
}

/// Every load, the oldest first.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    connection.prepare_cached("SELECT entry FROM sb_ledger ORDER BY id")?.query_map([], entry)?.collect()
}

/// The loads that are neither visible nor aborted, the oldest first.
pub(super) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection
        .prepare_cached("SELECT entry FROM sb_ledger WHERE state IN ('PREPARED', 'COMMITTED') ORDER BY id")?;
    statement.query_map([], entry)?.collect()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let text: String = row.get(0)?;
    serde_json::from_str(&text)
        .map_err(|fault| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(fault)))
}

/// Writes down what has become of a load.
pub(super) fn record(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    // Each new state replaces the one before, and an aborted load may be written twice, see `Registry::write_down`.
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO sb_ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let text = serde_json::to_string(entry).expect("an entry is plain data");
    let finished_ms = entry.finished_ms.unwrap_or(0);
    statement.execute((entry.id, &entry.database, &entry.label, entry.state.as_str(), finished_ms, text))?;
    Ok(())
}

/// Forgets what the database should not remember: what is too old, and the oldest of what is too much. Loads that are
/// not over (`open` of them are in memory) count too, though they cannot be forgotten.
pub(super) fn evict(
    connection: &Connection,
    database: &str,
    open: usize,
    keep: Retention,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let age_ms = millis(keep.age_max);
    let mut by_age = connection.prepare_cached(
        "DELETE FROM sb_ledger WHERE database = ?1 AND state IN ('VISIBLE', 'ABORTED') AND finished_ms < ?2",
    )?;
    by_age.execute((database, now_ms.saturating_sub(age_ms)))?;
    let mut by_count = connection.prepare_cached(
        "DELETE FROM sb_ledger WHERE id IN (
             SELECT id FROM sb_ledger WHERE database = ?1 AND state IN ('VISIBLE', 'ABORTED') ORDER BY id
             LIMIT max(0, (SELECT count(*) FROM sb_ledger WHERE database = ?1) + ?2 - ?3))",
    )?;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX / 2);
    by_count.execute((database, count(open), count(keep.count_max)))?;
    Ok(())
}

/// Whether any load that is over is older than it may be.
pub(super) fn has_older(connection: &Connection, age_max: Duration, now_ms: i64) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM sb_ledger WHERE finished_ms < ?1 AND state IN ('VISIBLE', 'ABORTED') LIMIT 1")?;
    statement.exists([now_ms.saturating_sub(millis(age_max))])
}

/// Forgets what is too old, in every database.
pub(super) fn evict_everywhere(connection: &Connection, keep: Retention, now_ms: i64) -> rusqlite::Result<()> {
    let databases: Vec<String> = connection
        .prepare_cached("SELECT DISTINCT database FROM sb_ledger")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    databases.iter().try_for_each(|database| evict(connection, database, 0, keep, now_ms))
}

/// The time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

//! The journal's tables, as a list of steps from an empty file to the newest layout.

use rusqlite::{Connection, Transaction};

/// Each step turns the layout of its index into the next one. Steps are never changed once released, only added.
const STEPS: &[&str] = &[
    "
    CREATE TABLE jobs (
        job         TEXT NOT NULL,
        run         INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,   -- of target, inputs and settings: what labels are derived from
        finished    INTEGER NOT NULL DEFAULT 0,
        started_at  TEXT NOT NULL,
        ended_at    TEXT,
        report      TEXT,            -- JSON, of the latest try
        PRIMARY KEY (job, run)
    ) STRICT;
    CREATE TABLE loads (
        job             TEXT NOT NULL,
        run             INTEGER NOT NULL,
        label           TEXT NOT NULL,
        rows            INTEGER NOT NULL,
        bytes           INTEGER NOT NULL,
        digest          INTEGER NOT NULL,
        state           TEXT NOT NULL,
        transaction_id  INTEGER,
        rows_loaded     INTEGER NOT NULL DEFAULT 0,
        rows_unselected INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (job, run, label),
        FOREIGN KEY (job, run) REFERENCES jobs (job, run)
    ) STRICT;
",
    "
    ALTER TABLE jobs ADD COLUMN target TEXT;
    ALTER TABLE jobs ADD COLUMN again INTEGER NOT NULL DEFAULT 0;   -- whether the run was asked for with --again
    ALTER TABLE loads ADD COLUMN input TEXT NOT NULL DEFAULT '';    -- absolute path, or -
    CREATE INDEX loads_by_input ON loads (input);
",
    "
    ALTER TABLE jobs ADD COLUMN recipe TEXT;                        -- how to begin it again, without secrets
    ALTER TABLE jobs ADD COLUMN stream INTEGER NOT NULL DEFAULT 0;  -- whether an input can be read only once
    ALTER TABLE jobs ADD COLUMN cancelled_at TEXT;
",
    "
    ALTER TABLE jobs ADD COLUMN scope TEXT NOT NULL DEFAULT 'load';  -- what is committed at once: load or job
    ALTER TABLE jobs ADD COLUMN decided_at TEXT;                     -- when it was decided to commit all of the job
    ALTER TABLE jobs ADD COLUMN decision TEXT;                       -- JSON, the report as it stood then
",
    "
    CREATE TABLE refusals (
        job   TEXT NOT NULL,
        run   INTEGER NOT NULL,
        label TEXT NOT NULL,     -- of the load as it was cut, not of a part of it
        first INTEGER NOT NULL,  -- the first of these rows, by its number in the load, from 0
        rows  INTEGER NOT NULL,
        words TEXT,              -- the target's, where each of these rows is refused; none where only some of them are
        PRIMARY KEY (job, run, label, first, rows),
        FOREIGN KEY (job, run) REFERENCES jobs (job, run)
    ) STRICT, WITHOUT ROWID;
  ",
    "
    ALTER TABLE jobs ADD COLUMN spool TEXT;                          -- the folder with chunks of its streams
",
    "
    CREATE TABLE requests (
        id          TEXT NOT NULL PRIMARY KEY,
        accepted_at TEXT NOT NULL,
        body        TEXT NOT NULL,  -- JSON, without secrets
        ended_at    TEXT,
        outcome     TEXT            -- JSON
    ) STRICT;
",
];

/// The newest layout.
pub(super) fn newest() -> u32 {
    u32::try_from(STEPS.len()).expect("there are a handful of steps")
}

/// The layout a file has; 0 is an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a file from `version` to the newest layout.
pub(super) fn migrate(transaction: &Transaction<'_>, version: u32) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(version as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", newest())
}

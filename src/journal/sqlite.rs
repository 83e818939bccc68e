//! [`Journal`] in a SQLite file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::entry::{Begun, LoadEntry, Settled, Work};
use super::{Error, schema};
use crate::clock::rfc3339;
use crate::model::{JobId, JobState, Label, LoadState, Report};

/// How long a write waits for another process's. Writes are single rows; a holder that takes longer is stuck.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// The durable record of jobs and loads.
#[derive(Debug)]
pub struct Journal {
    pub(super) path: PathBuf,
    pub(super) connection: Mutex<Connection>,
    /// What stands between a simulated process and its journal.
    #[cfg(test)]
    pub(super) gate: Option<std::sync::Arc<dyn super::memory::Gate>>,
    /// The journal in memory that its connection belongs to.
    #[cfg(test)]
    pub(super) name: Option<String>,
}

impl Journal {
    /// Opens the journal in a folder, making both where they do not exist.
    ///
    /// # Errors
    /// When it cannot be opened, made or written, or when a newer version wrote it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        #[cfg(test)]
        if let Some(opened) = super::memory::open(folder) {
            return opened;
        }
        fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        let path = Self::file(folder);
        let unusable = |source| Error::of(&path, source);
        let mut connection = Connection::open(&path).map_err(unusable)?;
        prepare(&connection).map_err(unusable)?;
        let found = schema::version(&connection).map_err(unusable)?;
        if found > schema::newest() {
            return Err(Error::Newer { path, found, known: schema::newest() });
        }
        if let Some(reason) = damage(&connection).map_err(unusable)? {
            return Err(Error::Corrupt { path, reason });
        }
        // Taking the write lock also proves, before anything is sent, that the journal can be written. The layout is
        // read again under the lock, because another process may just have brought it up to date.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
        let current = schema::version(&transaction).map_err(unusable)?;
        schema::migrate(&transaction, current).and_then(|()| transaction.commit()).map_err(unusable)?;
        Ok(Self {
            connection: Mutex::new(connection),
            path,
            #[cfg(test)]
            gate: None,
            #[cfg(test)]
            name: None,
        })
    }

    #[cfg(test)]
    pub(super) fn over(
        connection: Connection,
        path: PathBuf,
        gate: Option<std::sync::Arc<dyn super::memory::Gate>>,
    ) -> Self {
        Self { connection: Mutex::new(connection), path, gate, name: None }
    }

    /// The file in a folder.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join("journal.sqlite")
    }

    /// The folder it is in.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().expect("the file was put into a folder")
    }

    /// Begins a run of a job, or finds out that there is nothing left to do.
    ///
    /// # Errors
    /// When the journal fails, when an unfinished run of this name was other work, or when other work left rows of one of
    /// its inputs in the table.
    pub fn begin(&self, work: &Work<'_>, again: bool, now: SystemTime) -> Result<Begun, Error> {
        // One write from looking to deciding: of two processes that start the same job at the same time, the second has
        // to find the first one's run, because a run of its own would have labels of its own.
        self.write(|transaction| self.begin_in(transaction, work, again, now))?
    }

    /// What [`begin`](Self::begin) would say, without a trace.
    ///
    /// # Errors
    /// As `begin`.
    pub fn foresee(&self, work: &Work<'_>, again: bool, now: SystemTime) -> Result<Begun, Error> {
        let mut connection = self.lock();
        let foreseen = connection.transaction().and_then(|transaction| self.begin_in(&transaction, work, again, now));
        foreseen.map_err(|source| Error::of(&self.path, source))?
    }

    fn begin_in(
        &self,
        transaction: &Transaction<'_>,
        work: &Work<'_>,
        again: bool,
        now: SystemTime,
    ) -> rusqlite::Result<Result<Begun, Error>> {
        let latest = latest_run(transaction, work.job)?;
        if again {
            // The same command after an interruption goes on with what it had begun, as it does without `--again`.
            if let Some(latest) =
                latest.as_ref().filter(|latest| (latest.again || latest.decided) && latest.is_open_for(work))
                && !has_load(transaction, work.job, latest.run, "state IN ('disagreed', 'in_doubt')")?
            {
                return Ok(Ok(Begun::Resumed { run: latest.run }));
            }
            // A run that is asked for gets the time as its number: it must have labels that no earlier run had, also
            // where the journal that knew of those is gone.
            let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let wanted = u32::try_from(seconds).unwrap_or(u32::MAX);
            return begin_run(transaction, work, latest.as_ref(), wanted, again, now);
        }
        let Some(latest) = latest else {
            if let Some((input, job)) = half_loaded(transaction, work)? {
                return Ok(Err(Error::HalfLoaded { input, job }));
            }
            return begin_run(transaction, work, None, 0, again, now);
        };
        if latest.is_open_for(work) {
            return Ok(Ok(Begun::Resumed { run: latest.run }));
        }
        if latest.finished && latest.fingerprint == work.fingerprint {
            let report = serde_json::from_str(&latest.report.unwrap_or_default());
            return Ok(report
                .map(|report| Begun::Finished { at: latest.ended_at.unwrap_or_default(), report })
                .map_err(|error| self.corrupt(error.to_string())));
        }
        if latest.finished || has_load(transaction, work.job, latest.run, "state <> 'aborted'")? {
            let finished = latest.ended_at.filter(|_| latest.finished);
            return Ok(Err(Error::OtherWork { job: work.job.to_string(), finished }));
        }
        // Nothing of the earlier try arrived, so correcting what it was made of harms nothing.
        begin_run(transaction, work, Some(&latest), 0, again, now)
    }

    /// Notes that a load is about to be sent, unless it stands settled or for other rows. Called before its first byte
    /// leaves. Returns what was written down about the label before, by this process or another one.
    ///
    /// # Errors
    /// When the journal fails; nothing may be sent then.
    pub fn sending(&self, job: &JobId, run: u32, label: &Label, load: &LoadEntry) -> Result<Option<LoadEntry>, Error> {
        let before = self.write(|transaction| {
            let before = load_entry(transaction, job, run, label)?;
            transaction
                .prepare_cached(
                    "INSERT INTO loads (job, run, label, rows, bytes, digest, state, input)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET bytes = excluded.bytes, state = excluded.state
                 WHERE state NOT IN ('visible', 'committed', 'disagreed', 'prepared')
                   AND (rows, digest) = (excluded.rows, excluded.digest)",
                )?
                .execute(params![
                    job.as_str(),
                    run,
                    label.as_str(),
                    load.rows,
                    load.bytes,
                    load.digest.cast_signed(),
                    word(LoadState::Sending),
                    load.input,
                ])?;
            Ok(before)
        })?;
        let Some((word, before)) = before else { return Ok(None) };
        let state = state_of(&word).ok_or_else(|| self.corrupt(format!("`{word}` is no state of a load")))?;
        Ok(Some(LoadEntry { state, ..before }))
    }

    /// Notes how a load ended. What is in the table stays so, whatever another process comes to think of it.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn settled(&self, job: &JobId, run: u32, label: &Label, settled: &Settled) -> Result<(), Error> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE loads SET state = ?4, transaction_id = ?5, rows_loaded = ?6, rows_unselected = ?7
                 WHERE job = ?1 AND run = ?2 AND label = ?3 AND state NOT IN ('visible', 'committed')",
                )?
                .execute(params![
                    job.as_str(),
                    run,
                    label.as_str(),
                    word(settled.state),
                    settled.transaction_id,
                    settled.rows_loaded,
                    settled.rows_unselected
                ])
        })?;
        Ok(())
    }

    /// Ends a try of a run with its report; only a finished one is not taken up again. One that another process has
    /// finished meanwhile stays finished.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn end(&self, job: &JobId, run: u32, report: &Report, now: SystemTime) -> Result<(), Error> {
        let text = serde_json::to_string(report).map_err(|error| self.corrupt(error.to_string()))?;
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE jobs SET finished = ?3, ended_at = ?4, report = ?5
                 WHERE job = ?1 AND run = ?2 AND finished = 0",
                )?
                .execute(params![job.as_str(), run, report.state == JobState::Finished, rfc3339(now), text])
        })?;
        Ok(())
    }

    pub(super) fn read<R>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, Error> {
        #[cfg(test)]
        let _passing = self.pass(false)?;
        work(&self.lock()).map_err(|source| Error::of(&self.path, source))
    }

    pub(super) fn write<R>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>) -> Result<R, Error> {
        #[cfg(test)]
        let _passing = self.pass(true)?;
        let mut connection = self.lock();
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut connection).map_err(|source| Error::of(&self.path, source))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a write rolls that write back; the connection stays good.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn corrupt(&self, reason: String) -> Error {
        Error::Corrupt { path: self.path.clone(), reason }
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    write_ahead(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Switches a new file over to a write-ahead log. SQLite waits for everything but this, which several that begin at once all
/// want to do.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut left = BUSY_WAIT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && !left.is_zero() => {
                std::thread::sleep(PAUSE);
                left = left.saturating_sub(PAUSE);
            }
            switched => return switched,
        }
    }
}

/// What is wrong with the file, if something is. Entries that were damaged would be believed otherwise: a page of zeros is a
/// table without rows. Reads the whole file, some hundreds of megabytes per second; a job of a million loads leaves 150 MB.
fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

struct LatestRun {
    run: u32,
    fingerprint: String,
    finished: bool,
    ended_at: Option<String>,
    report: Option<String>,
    again: bool,
    decided: bool,
}

impl LatestRun {
    /// Whether it did not finish, and was this very work.
    fn is_open_for(&self, work: &Work<'_>) -> bool {
        !self.finished && self.fingerprint == work.fingerprint
    }
}

fn latest_run(transaction: &Transaction<'_>, job: &JobId) -> rusqlite::Result<Option<LatestRun>> {
    let mut statement = transaction.prepare(
        "SELECT run, fingerprint, finished, ended_at, report, again, decided_at IS NOT NULL
         FROM jobs WHERE job = ?1 ORDER BY run DESC LIMIT 1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(LatestRun {
            run: row.get(0)?,
            fingerprint: row.get(1)?,
            finished: row.get(2)?,
            ended_at: row.get(3)?,
            report: row.get(4)?,
            again: row.get(5)?,
            decided: row.get(6)?,
        })
    };
    statement.query_row([job.as_str()], read).optional()
}

/// Writes down a new run: the wanted number, or the next one that is free.
fn begin_run(
    transaction: &Transaction<'_>,
    work: &Work<'_>,
    latest: Option<&LatestRun>,
    wanted: u32,
    again: bool,
    now: SystemTime,
) -> rusqlite::Result<Result<Begun, Error>> {
    let run = latest.map_or(wanted, |latest| wanted.max(latest.run + 1));
    transaction.execute(
        "INSERT INTO jobs (job, run, fingerprint, started_at, target, again) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![work.job.as_str(), run, work.fingerprint, rfc3339(now), work.target, again],
    )?;
    Ok(Ok(Begun::New { run }))
}

fn has_load(transaction: &Transaction<'_>, job: &JobId, run: u32, condition: &str) -> rusqlite::Result<bool> {
    let query = format!("SELECT EXISTS (SELECT 1 FROM loads WHERE job = ?1 AND run = ?2 AND {condition})");
    transaction.query_row(&query, params![job.as_str(), run], |row| row.get(0))
}

/// The first of the inputs of which the last job to load it left a part in the table, and that job.
fn half_loaded(transaction: &Transaction<'_>, work: &Work<'_>) -> rusqlite::Result<Option<(String, String)>> {
    let mut statement = transaction.prepare(
        "SELECT jobs.job, jobs.finished FROM loads JOIN jobs USING (job, run)
         WHERE loads.input = ?1 AND jobs.target = ?2 AND loads.state <> 'aborted' ORDER BY jobs.rowid DESC LIMIT 1",
    )?;
    for input in work.inputs {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?));
        if let Some((job, false)) = statement.query_row(params![input, work.target], read).optional()? {
            return Ok(Some((input.clone(), job)));
        }
    }
    Ok(None)
}

/// What is written down about a label: the word for its state, and the rest.
fn load_entry(
    transaction: &Transaction<'_>,
    job: &JobId,
    run: u32,
    label: &Label,
) -> rusqlite::Result<Option<(String, LoadEntry)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT rows, bytes, digest, state, transaction_id, rows_loaded, rows_unselected, input
         FROM loads WHERE job = ?1 AND run = ?2 AND label = ?3",
    )?;
    statement.query_row(params![job.as_str(), run, label.as_str()], load_of).optional()
}

/// A load's row, from `rows, bytes, digest, state, transaction_id, rows_loaded, rows_unselected, input`; its state as the word.
pub(super) fn load_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, LoadEntry)> {
    let entry = LoadEntry {
        rows: row.get(0)?,
        bytes: row.get(1)?,
        digest: row.get::<_, i64>(2)?.cast_unsigned(),
        state: LoadState::Sending,
        transaction_id: row.get(4)?,
        rows_loaded: row.get(5)?,
        rows_unselected: row.get(6)?,
        input: row.get(7)?,
    };
    Ok((row.get(3)?, entry))
}

const STATES: [(LoadState, &str); 7] = [
    (LoadState::Prepared, "prepared"),
    (LoadState::Sending, "sending"),
    (LoadState::Committed, "committed"),
    (LoadState::Visible, "visible"),
    (LoadState::Aborted, "aborted"),
    (LoadState::InDoubt, "in_doubt"),
    (LoadState::Disagreed, "disagreed"),
];

fn word(state: LoadState) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map(|(_, word)| *word).expect("every state has a word")
}

pub(super) fn state_of(word: &str) -> Option<LoadState> {
    STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;

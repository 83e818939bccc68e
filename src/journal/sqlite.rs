//! [`Journal`] in a SQLite file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::entry::{Begun, LoadEntry, Settled};
use super::{Error, schema};
use crate::clock::rfc3339;
use crate::model::{JobId, JobState, Label, LoadState, Report};

/// How long a write waits for another process's. Writes are single rows; a holder that takes longer is stuck.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// The durable record of jobs and loads.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Journal {
    /// Opens the journal in a folder, making both where they do not exist.
    ///
    /// # Errors
    /// When it cannot be opened, made or written, or when a newer version wrote it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        let path = folder.join("journal.sqlite");
        let unusable = |source| Error::Unusable { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(unusable)?;
        prepare(&connection).map_err(unusable)?;
        let found = schema::version(&connection).map_err(unusable)?;
        if found > schema::newest() {
            return Err(Error::Newer { path, found, known: schema::newest() });
        }
        // Taking the write lock also proves, before anything is sent, that the journal can be written. The layout is
        // read again under the lock, because another process may just have brought it up to date.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
        let current = schema::version(&transaction).map_err(unusable)?;
        schema::migrate(&transaction, current).and_then(|()| transaction.commit()).map_err(unusable)?;
        Ok(Self { connection: Mutex::new(connection), path })
    }

    /// Begins a run of a job, or finds out that there is nothing left to do.
    ///
    /// `fingerprint` stands for everything the rows of its labels depend on.
    ///
    /// # Errors
    /// When the journal fails, or when an unfinished run of this name was other work.
    pub fn begin(&self, job: &JobId, fingerprint: &str, again: bool, now: SystemTime) -> Result<Begun, Error> {
        let latest = self.write(|transaction| latest_run(transaction, job))?;
        let Some(latest) = latest.filter(|_| !again) else {
            // A run that is asked for gets the time as its number: it must have labels that no earlier run had, also where
            // the journal that knew of those is gone.
            let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let wanted = if again { u32::try_from(seconds).unwrap_or(u32::MAX) } else { 0 };
            return self.begin_run(job, fingerprint, wanted, now);
        };
        let same = latest.fingerprint == fingerprint;
        if latest.finished && same {
            let report = latest.report.unwrap_or_default();
            let report = serde_json::from_str(&report).map_err(|error| self.corrupt(error.to_string()))?;
            return Ok(Begun::Finished { at: latest.ended_at.unwrap_or_default(), report: Box::new(report) });
        }
        let loads = self.loads(job, latest.run)?;
        if same {
            return Ok(Begun::Resumed { run: latest.run, loads });
        }
        if latest.finished || loads.values().any(|load| load.state != LoadState::Aborted) {
            return Err(Error::OtherWork {
                job: job.to_string(),
                finished: latest.ended_at.filter(|_| latest.finished),
            });
        }
        // Nothing of the earlier try arrived, so correcting what it was made of harms nothing.
        self.begin_run(job, fingerprint, 0, now)
    }

    /// Writes down a new run: the wanted number, or the next one that is free.
    fn begin_run(&self, job: &JobId, fingerprint: &str, wanted: u32, now: SystemTime) -> Result<Begun, Error> {
        let run = self.write(|transaction| {
            let run = latest_run(transaction, job)?.map_or(wanted, |latest| wanted.max(latest.run + 1));
            transaction.execute(
                "INSERT INTO jobs (job, run, fingerprint, started_at) VALUES (?1, ?2, ?3, ?4)",
                params![job.as_str(), run, fingerprint, rfc3339(now)],
            )?;
            Ok(run)
        })?;
        Ok(Begun::New { run })
    }

    /// Notes that a load is about to be sent. Called before its first byte leaves.
    ///
    /// # Errors
    /// When the journal fails; nothing may be sent then.
    pub fn sending(&self, job: &JobId, run: u32, label: &Label, load: &LoadEntry) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO loads (job, run, label, rows, bytes, digest, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET bytes = excluded.bytes, state = excluded.state",
                params![
                    job.as_str(),
                    run,
                    label.as_str(),
                    load.rows,
                    load.bytes,
                    load.digest.cast_signed(),
                    word(LoadState::Sending)
                ],
            )
        })?;
        Ok(())
    }

    /// Notes how a load ended.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn settled(&self, job: &JobId, run: u32, label: &Label, settled: &Settled) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE loads SET state = ?4, transaction_id = ?5, rows_loaded = ?6, rows_unselected = ?7
                 WHERE job = ?1 AND run = ?2 AND label = ?3",
                params![
                    job.as_str(),
                    run,
                    label.as_str(),
                    word(settled.state),
                    settled.transaction_id,
                    settled.rows_loaded,
                    settled.rows_unselected
                ],
            )
        })?;
        Ok(())
    }

    /// Ends a try of a run with its report; only a finished one is not taken up again.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn end(&self, job: &JobId, run: u32, report: &Report, now: SystemTime) -> Result<(), Error> {
        let text = serde_json::to_string(report).map_err(|error| self.corrupt(error.to_string()))?;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET finished = ?3, ended_at = ?4, report = ?5 WHERE job = ?1 AND run = ?2",
                params![job.as_str(), run, report.state == JobState::Finished, rfc3339(now), text],
            )
        })?;
        Ok(())
    }

    fn loads(&self, job: &JobId, run: u32) -> Result<HashMap<String, LoadEntry>, Error> {
        let found = self.write(|transaction| {
            let mut statement = transaction.prepare(
                "SELECT label, rows, bytes, digest, state, transaction_id, rows_loaded, rows_unselected
                 FROM loads WHERE job = ?1 AND run = ?2",
            )?;
            let rows = statement.query_map(params![job.as_str(), run], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(4)?, load_entry(row)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        found
            .into_iter()
            .map(|(label, state, mut entry)| {
                entry.state = state_of(&state).ok_or_else(|| self.corrupt(format!("load state `{state}`")))?;
                Ok((label, entry))
            })
            .collect()
    }

    fn write<R>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>) -> Result<R, Error> {
        let mut connection = self.lock();
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut connection).map_err(|source| Error::Unusable { path: self.path.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a write rolls that write back; the connection stays good.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::Corrupt { path: self.path.clone(), reason }
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

struct LatestRun {
    run: u32,
    fingerprint: String,
    finished: bool,
    ended_at: Option<String>,
    report: Option<String>,
}

fn latest_run(transaction: &Transaction<'_>, job: &JobId) -> rusqlite::Result<Option<LatestRun>> {
    let mut statement = transaction.prepare(
        "SELECT run, fingerprint, finished, ended_at, report FROM jobs WHERE job = ?1 ORDER BY run DESC LIMIT 1",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(LatestRun {
            run: row.get(0)?,
            fingerprint: row.get(1)?,
            finished: row.get(2)?,
            ended_at: row.get(3)?,
            report: row.get(4)?,
        })
    };
    statement.query_row([job.as_str()], read).optional()
}

fn load_entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<LoadEntry> {
    Ok(LoadEntry {
        rows: row.get(1)?,
        bytes: row.get(2)?,
        digest: row.get::<_, i64>(3)?.cast_unsigned(),
        state: LoadState::Sending,
        transaction_id: row.get(5)?,
        rows_loaded: row.get(6)?,
        rows_unselected: row.get(7)?,
    })
}

const STATES: [(LoadState, &str); 6] = [
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

fn state_of(word: &str) -> Option<LoadState> {
    STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn job() -> JobId {
        "nightly".parse().unwrap()
    }

    fn report(state: JobState) -> Report {
        Report {
            job: "nightly".into(),
            state,
            target: "starrocks://fe1:8030/db/t".into(),
            started_at: rfc3339(NOW),
            elapsed_seconds: 1.5,
            rows_read: 3,
            rows_loaded: 3,
            rows_rejected: 0,
            rows_unselected: 0,
            bytes_read: 12,
            bytes_sent: 12,
            loads: Vec::new(),
            inputs: Vec::new(),
            bottleneck: String::new(),
            peak_memory_bytes: 0,
            rejects: None,
            error: None,
        }
    }

    fn entry() -> LoadEntry {
        LoadEntry {
            rows: 3,
            bytes: 12,
            digest: u64::MAX - 1,
            state: LoadState::Sending,
            transaction_id: None,
            rows_loaded: 0,
            rows_unselected: 0,
        }
    }

    #[test]
    fn a_finished_job_has_nothing_left_to_do_until_it_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert!(matches!(journal.begin(&job(), "f", false, NOW), Ok(Begun::New { run: 0 })));
        journal.end(&job(), 0, &report(JobState::Finished), NOW).unwrap();
        match journal.begin(&job(), "f", false, NOW).unwrap() {
            Begun::Finished { at, report } => {
                assert_eq!((at.as_str(), report.rows_loaded), ("1970-01-01T00:00:00Z", 3));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(journal.begin(&job(), "f", true, NOW), Ok(Begun::New { run: 1 })));
        let later = NOW + Duration::from_secs(1_000);
        assert!(matches!(journal.begin(&job(), "f", true, later), Ok(Begun::New { run: 1_000 })));
    }

    #[test]
    fn an_unfinished_job_is_taken_up_with_its_loads_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let label: Label = "l-1".parse().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.begin(&job(), "f", false, NOW).unwrap();
        journal.sending(&job(), 0, &label, &entry()).unwrap();
        let settled =
            Settled { state: LoadState::Visible, transaction_id: Some(7), rows_loaded: 2, rows_unselected: 1 };
        journal.settled(&job(), 0, &label, &settled).unwrap();
        journal.end(&job(), 0, &report(JobState::Interrupted), NOW).unwrap();
        drop(journal);

        let journal = Journal::open(folder.path()).unwrap();
        match journal.begin(&job(), "f", false, NOW).unwrap() {
            Begun::Resumed { run: 0, loads } => {
                let expected = LoadEntry {
                    state: LoadState::Visible,
                    transaction_id: Some(7),
                    rows_loaded: 2,
                    rows_unselected: 1,
                    ..entry()
                };
                assert_eq!(loads["l-1"], expected);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unfinished_job_of_that_name_with_other_work_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.begin(&job(), "f", false, NOW).unwrap();
        journal.sending(&job(), 0, &"l-1".parse().unwrap(), &entry()).unwrap();
        let other = journal.begin(&job(), "g", false, NOW);
        assert!(matches!(other, Err(Error::OtherWork { finished: None, .. })), "{other:?}");
        assert!(matches!(journal.begin(&job(), "g", true, NOW), Ok(Begun::New { run: 1 })));
    }

    #[test]
    fn a_finished_job_of_that_name_with_other_work_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.begin(&job(), "f", false, NOW).unwrap();
        journal.end(&job(), 0, &report(JobState::Finished), NOW).unwrap();
        let other = journal.begin(&job(), "g", false, NOW);
        assert!(matches!(other, Err(Error::OtherWork { finished: Some(_), .. })), "{other:?}");
    }

    #[test]
    fn a_try_of_which_nothing_arrived_may_be_corrected() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.begin(&job(), "f", false, NOW).unwrap();
        assert!(matches!(journal.begin(&job(), "g", false, NOW), Ok(Begun::New { run: 1 })));
        assert!(matches!(journal.begin(&job(), "g", false, NOW), Ok(Begun::Resumed { run: 1, .. })));
    }

    #[test]
    fn a_newer_layout_is_refused_and_a_broken_file_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.sqlite");
        Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(Error::Newer { found: 99, .. })));
        fs::write(&file, "this is no database, and long enough to be read as a header of one").unwrap();
        match Journal::open(folder.path()) {
            Err(Error::Unusable { path, .. }) => assert_eq!(path, file),
            other => panic!("{other:?}"),
        }
    }
}

//! The journal as those read it who ask what became of a job: [`JobEntry`] and its loads.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::lease::{Holder, Lease};
use super::sqlite::{load_of, state_of};
use super::{Error, Journal, LoadEntry};
use crate::clock::rfc3339;
use crate::model::{JobId, JobState, Label, LoadState, Report};

/// One run of a job, as the journal has it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of the journal, all of their combinations valid")]
pub struct JobEntry {
    /// The job.
    pub job: JobId,
    /// The number of its run.
    pub run: u32,
    /// Stands for everything the rows of its labels depend on.
    pub fingerprint: String,
    /// The target, without credentials.
    pub target: String,
    /// When it was begun first: RFC 3339, UTC.
    pub started_at: String,
    /// When its latest try ended; none where that runs, or died.
    pub ended_at: Option<String>,
    /// Whether every row is loaded or rejected.
    pub finished: bool,
    /// When `cancel` was said.
    pub cancelled_at: Option<String>,
    /// Whether it reads an input that can be read only once.
    pub stream: bool,
    /// Whether it is committed as a whole, or not at all.
    pub whole: bool,
    /// Whether it is decided to commit it.
    pub decided: bool,
    /// Where chunks of its streams lie until they are settled.
    pub spool: Option<PathBuf>,
    /// How whoever began it can begin it again, in its own words.
    pub recipe: Option<String>,
    /// What its latest try said at its end.
    pub report: Option<Report>,
    /// Rows that the table has because of it.
    pub rows_loaded: u64,
    /// How many loads stand how, in the order of the states.
    pub loads: Vec<(LoadState, u64)>,
    /// Who is at it right now.
    pub holder: Option<Holder>,
}

/// How a run of a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStanding {
    /// A process is at it.
    Running,
    /// Every row is loaded or rejected.
    Finished,
    /// Somebody cancelled it.
    Cancelled,
    /// Its latest try stopped at the reject limit.
    Rejected,
    /// Its latest try failed.
    Failed,
    /// Its latest try left a load of which nobody knows whether it is in the table.
    InDoubt,
    /// Its latest try was interrupted, or died.
    Interrupted,
}

impl JobEntry {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> JobStanding {
        if self.finished {
            return JobStanding::Finished;
        }
        if self.holder.is_some() {
            return JobStanding::Running;
        }
        if self.cancelled_at.is_some() {
            return JobStanding::Cancelled;
        }
        match self.report.as_ref().map(|report| report.state) {
            Some(JobState::Rejected) => JobStanding::Rejected,
            Some(JobState::Failed) => JobStanding::Failed,
            Some(JobState::InDoubt) => JobStanding::InDoubt,
            _ => JobStanding::Interrupted,
        }
    }
}

const JOBS: &str = "
    SELECT job, run, fingerprint, target, started_at, ended_at, finished, cancelled_at, stream, recipe, report,
           (SELECT coalesce(sum(rows_loaded), 0) FROM loads
            WHERE (loads.job, loads.run) = (jobs.job, jobs.run) AND state IN ('visible', 'committed', 'disagreed')),
           scope = 'job', decided_at IS NOT NULL, spool
    FROM jobs";

impl Journal {
    /// Opens the journal of a folder, if there is one.
    ///
    /// # Errors
    /// As [`Journal::open`] does.
    pub fn existing(folder: &Path) -> Result<Option<Self>, Error> {
        if Self::file(folder).exists() { Self::open(folder).map(Some) } else { Ok(None) }
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn jobs(&self, limit: u32) -> Result<Vec<JobEntry>, Error> {
        let query = format!("{JOBS} ORDER BY rowid DESC LIMIT ?1");
        let entries = self.read(|connection| {
            let mut statement = connection.prepare(&query)?;
            statement.query_map([limit], |row| job_entry(connection, row))?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        entries.into_iter().map(|entry| self.with_holder(entry)).collect()
    }

    /// The latest run of a job.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn job(&self, job: &JobId) -> Result<Option<JobEntry>, Error> {
        let query = format!("{JOBS} WHERE job = ?1 ORDER BY run DESC LIMIT 1");
        let entry = self.read(|connection| {
            let mut statement = connection.prepare(&query)?;
            statement.query_row([job.as_str()], |row| job_entry(connection, row)).optional()
        })?;
        entry.map(|entry| self.with_holder(entry)).transpose()
    }

    /// Which of these works, each a job's name and a fingerprint, was begun last, and whether it finished. Work whose job has
    /// come to be of another fingerprint is past, and so is what was rolled back and left nothing behind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn newest_of(&self, works: &[(&JobId, &str)]) -> Result<Option<(usize, bool)>, Error> {
        let query = "SELECT rowid, fingerprint, finished FROM jobs WHERE job = ?1
                     AND (finished OR EXISTS (SELECT 1 FROM loads WHERE (loads.job, loads.run) = (jobs.job, jobs.run)
                                              AND state <> 'aborted'))
                     ORDER BY run DESC LIMIT 1";
        let found = self.read(|connection| {
            let mut statement = connection.prepare(query)?;
            let mut found = Vec::new();
            for (index, (job, fingerprint)) in works.iter().enumerate() {
                let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get(2)?));
                let latest = statement.query_row([job.as_str()], read).optional()?;
                found.extend(latest.filter(|latest| latest.1 == *fingerprint).map(|(row, _, done)| (row, index, done)));
            }
            Ok(found)
        })?;
        Ok(found.into_iter().max().map(|(_, index, finished)| (index, finished)))
    }

    /// The loads of a run, in the order in which they were begun.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn loads(&self, job: &JobId, run: u32) -> Result<Vec<(Label, LoadEntry)>, Error> {
        let query = "SELECT rows, bytes, digest, state, transaction_id, rows_loaded, rows_unselected, input, label
                     FROM loads WHERE job = ?1 AND run = ?2 ORDER BY rowid";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let read = |row: &Row<'_>| {
                let (word, entry) = load_of(row)?;
                let label: String = row.get(8)?;
                let label = label.parse().map_err(|error| unreadable(8, error))?;
                Ok((label, LoadEntry { state: known_state(3, &word)?, ..entry }))
            };
            statement.query_map(params![job.as_str(), run], read)?.collect()
        })
    }

    /// Writes down, at the beginning of a try, how to begin it again. What an earlier try said, or somebody who cancelled
    /// it, is the past.
    ///
    /// # Errors
    /// When the journal fails; nothing may be sent then.
    pub fn taken_up(&self, job: &JobId, run: u32, recipe: Option<&str>, stream: bool) -> Result<(), Error> {
        self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE jobs SET recipe = ?3, stream = ?4, ended_at = NULL, report = NULL, cancelled_at = NULL
                 WHERE job = ?1 AND run = ?2 AND finished = 0",
                )?
                .execute(params![job.as_str(), run, recipe, stream])
        })?;
        Ok(())
    }

    /// Asks for the end of an unfinished run: a process that is at it stops soon.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn cancel(&self, job: &JobId, run: u32, now: SystemTime) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET cancelled_at = ?3
                 WHERE job = ?1 AND run = ?2 AND finished = 0 AND cancelled_at IS NULL",
                params![job.as_str(), run, rfc3339(now)],
            )
        })?;
        Ok(())
    }

    /// Whether somebody asked for the end of the latest run of a job.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_cancelled(&self, job: &JobId) -> Result<bool, Error> {
        let query = "SELECT cancelled_at IS NOT NULL FROM jobs WHERE job = ?1 ORDER BY run DESC LIMIT 1";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let mut rows = statement.query_map([job.as_str()], |row| row.get(0))?;
            rows.next().unwrap_or(Ok(false))
        })
    }

    /// Takes the right to drive a job; none where another process has it.
    ///
    /// # Errors
    /// When its file cannot be made or locked.
    pub fn lease(&self, job: &JobId, now: SystemTime) -> Result<Option<Lease>, Error> {
        Lease::take(self.folder(), job, rfc3339(now))
    }

    /// Who drives a job.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn holder(&self, job: &JobId) -> Result<Option<Holder>, Error> {
        Lease::holder(self.folder(), job)
    }

    fn with_holder(&self, entry: JobEntry) -> Result<JobEntry, Error> {
        let holder = if entry.finished { None } else { self.holder(&entry.job)? };
        Ok(JobEntry { holder, ..entry })
    }
}

/// A job's row with the counts of its loads; who is at it does not stand in the database.
fn job_entry(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<JobEntry> {
    let (name, report): (String, Option<String>) = (row.get(0)?, row.get(10)?);
    let report = report.map(|text| serde_json::from_str(&text)).transpose();
    let run = row.get(1)?;
    Ok(JobEntry {
        run,
        fingerprint: row.get(2)?,
        target: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        started_at: row.get(4)?,
        ended_at: row.get(5)?,
        finished: row.get(6)?,
        cancelled_at: row.get(7)?,
        stream: row.get(8)?,
        whole: row.get(12)?,
        decided: row.get(13)?,
        spool: row.get::<_, Option<String>>(14)?.map(PathBuf::from),
        recipe: row.get(9)?,
        report: report.map_err(|error| unreadable(10, error))?,
        rows_loaded: row.get(11)?,
        loads: load_counts(connection, &name, run)?,
        holder: None,
        job: name.parse().map_err(|error| unreadable(0, error))?,
    })
}

fn load_counts(connection: &Connection, job: &str, run: u32) -> rusqlite::Result<Vec<(LoadState, u64)>> {
    let query = "SELECT state, count(*) FROM loads WHERE job = ?1 AND run = ?2 GROUP BY state";
    let mut statement = connection.prepare_cached(query)?;
    let read = |row: &Row<'_>| Ok((known_state(0, &row.get::<_, String>(0)?)?, row.get(1)?));
    let mut counts = statement.query_map(params![job, run], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    counts.sort_by_key(|(state, _)| *state as u8);
    Ok(counts)
}

fn known_state(column: usize, word: &str) -> rusqlite::Result<LoadState> {
    state_of(word).ok_or_else(|| unreadable(column, format!("`{word}` is no state of a load")))
}

/// A text of ours that does not say what it should: the same to the caller as any other damage.
fn unreadable(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Begun, Settled, Work};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn job() -> JobId {
        "nightly".parse().unwrap()
    }

    fn begun(folder: &Path) -> Journal {
        let journal = Journal::open(folder).unwrap();
        let work = Work { job: &job(), fingerprint: "f", target: "t", inputs: &[] };
        assert!(matches!(journal.begin(&work, false, NOW), Ok(Begun::New { run: 0 })));
        journal.taken_up(&job(), 0, Some("recipe"), false).unwrap();
        journal
    }

    fn load() -> LoadEntry {
        LoadEntry {
            rows: 3,
            bytes: 12,
            digest: 1,
            state: LoadState::Sending,
            transaction_id: None,
            rows_loaded: 0,
            rows_unselected: 0,
            input: "/a.csv".into(),
        }
    }

    fn standing(journal: &Journal) -> JobStanding {
        journal.job(&job()).unwrap().unwrap().standing()
    }

    #[test]
    fn a_job_stands_as_its_latest_try_left_it_until_somebody_takes_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        assert_eq!(standing(&journal), JobStanding::Interrupted, "whoever began it is gone without a word");
        let lease = journal.lease(&job(), NOW).unwrap();
        assert_eq!(standing(&journal), JobStanding::Running);
        drop(lease);
        let report = Report { state: JobState::InDoubt, ..Report::new("t", String::new()) };
        journal.end(&job(), 0, &report, NOW).unwrap();
        assert_eq!(standing(&journal), JobStanding::InDoubt);
        journal.cancel(&job(), 0, NOW).unwrap();
        assert!(journal.is_cancelled(&job()).unwrap());
        assert_eq!(standing(&journal), JobStanding::Cancelled);
        journal.taken_up(&job(), 0, Some("recipe"), false).unwrap();
        assert!(!journal.is_cancelled(&job()).unwrap());
        let report = Report { state: JobState::Finished, ..report };
        journal.end(&job(), 0, &report, NOW).unwrap();
        journal.cancel(&job(), 0, NOW).unwrap();
        assert_eq!(standing(&journal), JobStanding::Finished, "what is done cannot be cancelled");
    }

    #[test]
    fn loads_are_counted_by_state_and_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        let entry = load();
        let labels: [Label; 3] = ["l-2", "l-1", "l-3"].map(|label| label.parse().unwrap());
        for label in &labels {
            journal.sending(&job(), 0, label, &entry).unwrap();
        }
        let settled =
            Settled { state: LoadState::Visible, transaction_id: Some(7), rows_loaded: 2, rows_unselected: 1 };
        journal.settled(&job(), 0, &labels[1], &settled).unwrap();
        let seen = journal.jobs(10).unwrap().remove(0);
        assert_eq!((seen.rows_loaded, seen.loads), (2, vec![(LoadState::Sending, 2), (LoadState::Visible, 1)]));
        let loads = journal.loads(&job(), 0).unwrap();
        assert_eq!(loads.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>(), labels);
        assert_eq!((loads[1].1.state, loads[1].1.transaction_id), (LoadState::Visible, Some(7)));
    }

    #[test]
    fn of_two_works_the_one_begun_last_is_found_and_none_that_is_past() {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        let (first, second) = (job(), "weekly".parse().unwrap());
        let newest = |works: &[(&JobId, &str)]| journal.newest_of(works).unwrap();
        let both = [(&first, "f"), (&second, "g")];
        assert_eq!(newest(&both), None, "nothing was sent");
        journal.sending(&first, 0, &"l-1".parse().unwrap(), &load()).unwrap();
        assert_eq!(newest(&both), Some((0, false)));
        assert_eq!(newest(&[(&first, "g"), (&second, "f")]), None);
        journal.begin(&Work { job: &second, fingerprint: "g", target: "t", inputs: &[] }, false, NOW).unwrap();
        let label = "l-2".parse().unwrap();
        journal.sending(&second, 0, &label, &load()).unwrap();
        assert_eq!(newest(&both), Some((1, false)));
        let away = Settled { state: LoadState::Aborted, transaction_id: None, rows_loaded: 0, rows_unselected: 0 };
        journal.settled(&second, 0, &label, &away).unwrap();
        assert_eq!(newest(&both), Some((0, false)), "it was rolled back");
        let done = Report { state: JobState::Finished, ..Report::new("t", String::new()) };
        journal.end(&second, 0, &done, NOW).unwrap();
        assert_eq!(newest(&both), Some((1, true)));
        // One name for both, as a job has that was given one.
        assert_eq!(newest(&[(&first, "x"), (&first, "f")]), Some((1, false)));
    }

    #[test]
    fn a_text_that_cannot_be_read_back_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        journal.write(|transaction| transaction.execute("UPDATE jobs SET report = '{'", [])).unwrap();
        assert!(matches!(journal.job(&job()), Err(Error::Corrupt { .. })));
    }
}

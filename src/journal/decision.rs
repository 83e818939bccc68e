//! Jobs that are committed as a whole: the decision, and what nobody will go on with.

use std::time::SystemTime;

use rusqlite::{OptionalExtension as _, params};

use super::entry::Work;
use super::{Error, Journal};
use crate::clock::rfc3339;
use crate::model::{JobId, Report};

impl Journal {
    /// Notes that a run is committed as a whole.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn as_a_whole(&self, job: &JobId, run: u32) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute("UPDATE jobs SET scope = 'job' WHERE job = ?1 AND run = ?2", params![job.as_str(), run])
        })?;
        Ok(())
    }

    /// Whether a run is to be committed as a whole, and nothing of it may be committed yet.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn is_undecided(&self, job: &JobId, run: u32) -> Result<bool, Error> {
        let query = "SELECT count(*) FROM jobs WHERE job = ?1 AND run = ?2 AND scope = 'job' AND decided_at IS NULL";
        self.read(|connection| connection.query_row(query, params![job.as_str(), run], |row| row.get(0)))
    }

    /// Notes the decision to commit everything that is prepared. From here on there is only forward.
    ///
    /// # Errors
    /// When the journal fails; nothing may be committed then.
    pub fn decide(&self, job: &JobId, run: u32, report: &Report, now: SystemTime) -> Result<(), Error> {
        self.decide_all(&[(job, run, report)], now)
    }

    /// Notes the decision to commit everything that is prepared of several runs, each with its report, in one write: either
    /// all of them are decided, or none is.
    ///
    /// # Errors
    /// When the journal fails; nothing may be committed then.
    pub fn decide_all(&self, runs: &[(&JobId, u32, &Report)], now: SystemTime) -> Result<(), Error> {
        let text = |report: &Report| serde_json::to_string(report).map_err(|error| self.corrupt(error.to_string()));
        let texts = runs.iter().map(|(_, _, report)| text(report)).collect::<Result<Vec<_>, _>>()?;
        self.write(|transaction| {
            for ((job, run, _), text) in runs.iter().zip(&texts) {
                transaction.execute(
                    "UPDATE jobs SET decided_at = ?3, decision = ?4 WHERE job = ?1 AND run = ?2 AND decided_at IS NULL",
                    params![job.as_str(), run, rfc3339(now), text],
                )?;
            }
            Ok(())
        })
    }

    /// The report as it stood when it was decided to commit; none where that was not decided.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn decision(&self, job: &JobId, run: u32) -> Result<Option<Report>, Error> {
        let text: Option<Option<String>> = self.write(|transaction| {
            let mut statement = transaction.prepare("SELECT decision FROM jobs WHERE job = ?1 AND run = ?2")?;
            statement.query_row(params![job.as_str(), run], |row| row.get(0)).optional()
        })?;
        let read = |text: String| serde_json::from_str(&text).map_err(|error| self.corrupt(error.to_string()));
        text.flatten().map(read).transpose()
    }

    /// Runs that left transactions open and will not go on, because this work takes their place: of the same job with
    /// other inputs or before `--again`, or of another job with one of the same inputs.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn abandoned(&self, work: &Work<'_>, again: bool) -> Result<Vec<(JobId, u32)>, Error> {
        let runs: Vec<(String, u32)> = self.write(|transaction| {
            let mut statement = transaction.prepare(
                "SELECT DISTINCT jobs.job, jobs.run FROM loads JOIN jobs USING (job, run)
                 WHERE jobs.finished = 0 AND jobs.decided_at IS NULL AND jobs.scope = 'job' AND jobs.target = ?1
                   AND loads.state IN ('sending', 'prepared', 'in_doubt')
                   AND (jobs.job = ?2 AND (jobs.fingerprint <> ?3 OR ?4 AND NOT jobs.again)
                        OR jobs.job <> ?2 AND loads.input IN (SELECT value FROM json_each(?5)))",
            )?;
            let inputs = serde_json::json!(work.inputs).to_string();
            let parameters = params![work.target, work.job.as_str(), work.fingerprint, again, inputs];
            statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let read = |(job, run): (String, u32)| {
            let job = job.parse().map_err(|_| self.corrupt(format!("`{job}` is no name of a job")))?;
            Ok((job, run))
        };
        runs.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Begun, LoadEntry, Settled};
    use crate::model::{Label, LoadState};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn entry(input: &str) -> LoadEntry {
        LoadEntry {
            rows: 3,
            bytes: 12,
            digest: u64::MAX,
            state: LoadState::Sending,
            transaction_id: None,
            rows_loaded: 0,
            rows_unselected: 0,
            input: input.into(),
        }
    }

    /// A journal in which the job `a` has prepared a load of `/a.csv` and stopped.
    fn left_open(folder: &std::path::Path) -> (Journal, JobId, Label) {
        let (job, label): (JobId, Label) = ("a".parse().unwrap(), "l-1".parse().unwrap());
        let journal = Journal::open(folder).unwrap();
        journal.begin(&Work { job: &job, fingerprint: "f", target: "t", inputs: &[] }, false, NOW).unwrap();
        journal.as_a_whole(&job, 0).unwrap();
        journal.sending(&job, 0, &label, &entry("/a.csv")).unwrap();
        let settled =
            Settled { state: LoadState::Prepared, transaction_id: Some(7), rows_loaded: 3, rows_unselected: 0 };
        journal.settled(&job, 0, &label, &settled).unwrap();
        (journal, job, label)
    }

    #[test]
    fn what_is_prepared_stays_so_when_it_is_about_to_be_sent_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, job, label) = left_open(folder.path());
        for _ in 0..2 {
            let known = journal.sending(&job, 0, &label, &entry("/a.csv")).unwrap().unwrap();
            assert_eq!((known.state, known.transaction_id), (LoadState::Prepared, Some(7)));
        }
        assert_eq!(journal.loads(&job, 0).unwrap()[0].1.rows_loaded, 3);
    }

    #[test]
    fn a_decision_is_found_by_the_next_process_and_goes_before_again() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, job, label) = left_open(folder.path());
        assert_eq!(journal.decision(&job, 0).unwrap(), None);
        let report = Report { rows_read: 3, ..Report::new("t", "now".into()) };
        journal.decide(&job, 0, &report, NOW).unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.decision(&job, 0).unwrap(), Some(report));
        let work = Work { job: &job, fingerprint: "f", target: "t", inputs: &[] };
        assert!(matches!(journal.begin(&work, true, NOW), Ok(Begun::Resumed { run: 0 })), "COMMIT-1");
        // What the server has lost cannot be committed by any run; loading anew is the way out.
        let lost = Settled { state: LoadState::InDoubt, transaction_id: None, rows_loaded: 0, rows_unselected: 0 };
        journal.settled(&job, 0, &label, &lost).unwrap();
        assert!(matches!(journal.begin(&work, true, NOW), Ok(Begun::New { run: 1 })));
    }

    #[test]
    fn runs_whose_place_other_work_takes_are_abandoned_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, job, _) = left_open(folder.path());
        let other: JobId = "b".parse().unwrap();
        let (inputs, others) = (["/a.csv".to_owned()], ["/b.csv".to_owned()]);
        let work = |job, fingerprint, inputs| Work { job, fingerprint, target: "t", inputs };
        for (work, again, wanted) in [
            (work(&job, "f", &inputs[..]), false, 0),
            (work(&job, "f", &inputs), true, 1),
            (work(&job, "g", &inputs), false, 1),
            (work(&other, "g", &inputs), false, 1),
            (work(&other, "g", &others), false, 0),
            (Work { target: "u", ..work(&other, "g", &inputs) }, false, 0),
        ] {
            assert_eq!(journal.abandoned(&work, again).unwrap().len(), wanted, "{work:?} {again}");
        }
        journal.decide(&job, 0, &Report::new("t", "now".into()), NOW).unwrap();
        assert!(journal.abandoned(&work(&other, "g", &inputs), false).unwrap().is_empty(), "there is only forward");
    }
}

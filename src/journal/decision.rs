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

    /// Notes the decision to commit everything that is prepared. From here on there is only forward.
    ///
    /// # Errors
    /// When the journal fails; nothing may be committed then.
    pub fn decide(&self, job: &JobId, run: u32, report: &Report, now: SystemTime) -> Result<(), Error> {
        let text = serde_json::to_string(report).map_err(|error| self.corrupt(error.to_string()))?;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE jobs SET decided_at = ?3, decision = ?4 WHERE job = ?1 AND run = ?2 AND decided_at IS NULL",
                params![job.as_str(), run, rfc3339(now), text],
            )
        })?;
        Ok(())
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

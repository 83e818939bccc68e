//! Which rows of a load the target refused. Written before any other part of the load is sent: whoever goes on after a crash
//! must neither send again what was refused, because the table may have become another one meanwhile, nor forget a reject.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::params;

use super::{Error, Journal};
use crate::model::{JobId, Label};

/// What is known of the refused rows of one load. Rows go by their number in the load, from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals {
    /// Parts that were sent and refused; with the target's words where each of their rows was.
    pub parts: HashMap<(u64, u64), Option<String>>,
    /// Single rows, and the target's words for each.
    pub rows: Vec<(u64, String)>,
}

impl Refusals {
    /// Whether the load was never refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.rows.is_empty()
    }
}

impl Journal {
    /// Notes that the target refused a part of a load: each of its rows, if there are words for that, or these.
    ///
    /// # Errors
    /// When the journal fails; nothing more of the load may be sent then.
    pub fn refused(
        &self,
        (job, run, label): (&JobId, u32, &Label),
        part: Range<u64>,
        all: Option<&str>,
        rows: &[(u64, String)],
    ) -> Result<(), Error> {
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO refusals (job, run, label, first, rows, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO NOTHING",
            )?;
            let (job, label) = (job.as_str(), label.as_str());
            insert.execute(params![job, run, label, part.start, part.end - part.start, all])?;
            for (row, words) in rows {
                insert.execute(params![job, run, label, row, 1, words])?;
            }
            Ok(())
        })
    }

    /// What is known of a load's refused rows.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn refusals(&self, job: &JobId, run: u32, label: &Label) -> Result<Refusals, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT first, rows, words FROM refusals WHERE job = ?1 AND run = ?2 AND label = ?3 ORDER BY first",
            )?;
            let mut known = Refusals::default();
            let mut rows = statement.query(params![job.as_str(), run, label.as_str()])?;
            while let Some(row) = rows.next()? {
                let (first, count): (u64, u64) = (row.get(0)?, row.get(1)?);
                let words: Option<String> = row.get(2)?;
                match words {
                    Some(words) if count == 1 => known.rows.push((first, words)),
                    words => drop(known.parts.insert((first, count), words)),
                }
            }
            Ok(known)
        })
    }

    /// How many rows of each load are known to be refused.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn refused_rows(&self, job: &JobId, run: u32) -> Result<Vec<(String, u64)>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT label, sum(rows) FROM refusals WHERE job = ?1 AND run = ?2 AND words IS NOT NULL GROUP BY label",
            )?;
            statement.query_map(params![job.as_str(), run], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Forgets what was refused of a run of which nothing is in the table: its loads may be tried as they are.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn forget_refusals(&self, job: &JobId, run: u32) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM refusals WHERE job = ?1 AND run = ?2", params![job.as_str(), run])
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::journal::Work;

    #[test]
    fn what_is_refused_is_known_to_whoever_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let (job, label): (JobId, Label) = ("nightly".parse().unwrap(), "l-1".parse().unwrap());
        let work = Work { job: &job, fingerprint: "f", target: "starrocks://fe/db/t", inputs: &[] };
        journal.begin(&work, false, SystemTime::UNIX_EPOCH).unwrap();
        let load = (&job, 0, &label);
        assert!(journal.refusals(&job, 0, &label).unwrap().is_empty());
        journal.refused(load, 0..100, None, &[(7, "too long".into())]).unwrap();
        journal.refused(load, 50..75, Some("each of them"), &[]).unwrap();
        journal.refused(load, 3..4, Some("null"), &[]).unwrap();
        // Once more, by a run that had come no further than this.
        journal.refused(load, 0..100, None, &[(7, "in other words".into())]).unwrap();
        let known = Journal::open(folder.path()).unwrap().refusals(&job, 0, &label).unwrap();
        assert_eq!(known.rows, [(3, "null".to_owned()), (7, "too long".to_owned())]);
        let parts = [((0, 100), None), ((50, 25), Some("each of them".to_owned()))];
        assert_eq!(known.parts, HashMap::from(parts));
        assert!(journal.refusals(&job, 0, &"l-2".parse().unwrap()).unwrap().is_empty());
        assert_eq!(journal.refused_rows(&job, 0).unwrap(), [(label.to_string(), 27)]);
        journal.forget_refusals(&job, 0).unwrap();
        assert!(journal.refusals(&job, 0, &label).unwrap().is_empty());
    }
}

//! Where chunks of streams lie, and which of them are settled.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension as _, params};

use super::{Error, Journal};
use crate::model::{JobId, Label};

impl Journal {
    /// Notes where the chunks of a run lie.
    ///
    /// # Errors
    /// When the journal fails; nothing may be put there then.
    pub fn spools_into(&self, job: &JobId, run: u32, folder: &Path) -> Result<(), Error> {
        self.write(|transaction| {
            let folder = folder.to_string_lossy();
            transaction
                .execute("UPDATE jobs SET spool = ?3 WHERE job = ?1 AND run = ?2", params![job.as_str(), run, folder])
        })?;
        Ok(())
    }

    /// Where the chunks of a job's runs lie, or once lay.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn spools(&self, job: &JobId) -> Result<Vec<(u32, PathBuf)>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT run, spool FROM jobs WHERE job = ?1 AND spool IS NOT NULL ORDER BY run")?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, PathBuf::from(row.get::<_, String>(1)?)));
            statement.query_map([job.as_str()], read)?.collect()
        })
    }

    /// Whether a load is in the table.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn has_landed(&self, job: &JobId, run: u32, label: &Label) -> Result<bool, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT state IN ('visible', 'committed') FROM loads WHERE job = ?1 AND run = ?2 AND label = ?3",
            )?;
            let found = statement.query_row(params![job.as_str(), run, label.as_str()], |row| row.get(0)).optional()?;
            Ok(found.unwrap_or(false))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::journal::Work;

    #[test]
    fn a_run_says_where_its_chunks_lie_and_an_older_one_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let job: JobId = "nightly".parse().unwrap();
        let work = Work { job: &job, fingerprint: "f", target: "t", inputs: &[] };
        journal.begin(&work, false, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(journal.job(&job).unwrap().unwrap().spool, None);
        journal.spools_into(&job, 0, Path::new("/spool/nightly-0")).unwrap();
        journal.begin(&work, true, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(journal.spools(&job).unwrap(), [(0, PathBuf::from("/spool/nightly-0"))]);
        assert!(!journal.has_landed(&job, 0, &"l".parse().unwrap()).unwrap());
    }
}

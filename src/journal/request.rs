//! Requests that a service has accepted: kept from the moment they are accepted, so that they outlive the process.

use std::time::SystemTime;

use rusqlite::{Row, params};

use super::{Error, Journal};
use crate::clock::rfc3339;

/// A request, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// Its name.
    pub id: String,
    /// When it was accepted: RFC 3339, UTC.
    pub accepted_at: String,
    /// What was asked for, in the service's own words and without secrets.
    pub body: String,
    /// When it ended; none while it waits or is at work.
    pub ended_at: Option<String>,
    /// How, in the service's own words.
    pub outcome: Option<String>,
}

impl Journal {
    /// Writes down a request that is accepted, or accepted once more.
    ///
    /// # Errors
    /// When the journal fails; the request is not accepted then.
    pub fn accept(&self, id: &str, body: &str, now: SystemTime) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO requests (id, accepted_at, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET body = ?3, ended_at = NULL, outcome = NULL",
                params![id, rfc3339(now), body],
            )
        })?;
        Ok(())
    }

    /// Writes down how a request has ended.
    ///
    /// # Errors
    /// When the journal fails; the request is begun again by the next service then.
    pub fn request_ended(&self, id: &str, outcome: &str, now: SystemTime) -> Result<(), Error> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE requests SET ended_at = ?2, outcome = ?3 WHERE id = ?1",
                params![id, rfc3339(now), outcome],
            )
        })?;
        Ok(())
    }

    /// Every request that is remembered, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn requests(&self) -> Result<Vec<StoredRequest>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT id, accepted_at, body, ended_at, outcome FROM requests ORDER BY rowid")?;
            let read = |row: &Row<'_>| {
                Ok(StoredRequest {
                    id: row.get(0)?,
                    accepted_at: row.get(1)?,
                    body: row.get(2)?,
                    ended_at: row.get(3)?,
                    outcome: row.get(4)?,
                })
            };
            statement.query_map([], read)?.collect()
        })
    }

    /// Forgets a request. The journal of the job that it became stays.
    ///
    /// # Errors
    /// When the journal fails.
    pub fn forget_request(&self, id: &str) -> Result<(), Error> {
        self.write(|transaction| transaction.execute("DELETE FROM requests WHERE id = ?1", [id]))?;
        Ok(())
    }

    /// The size of its file and of what is not yet in it, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let wal = self.path.with_extension("sqlite-wal");
        [&self.path, &wal].into_iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_kept_until_it_is_forgotten_and_may_be_accepted_again() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let now = SystemTime::UNIX_EPOCH;
        journal.accept("b", "{1}", now).unwrap();
        journal.accept("a", "{2}", now).unwrap();
        journal.request_ended("b", "done", now).unwrap();
        drop(journal);
        let journal = Journal::open(folder.path()).unwrap();
        let seen = journal.requests().unwrap();
        let seen: Vec<_> =
            seen.iter().map(|one| (one.id.as_str(), one.body.as_str(), one.outcome.as_deref())).collect();
        assert_eq!(seen, [("b", "{1}", Some("done")), ("a", "{2}", None)]);
        journal.accept("b", "{3}", now).unwrap();
        assert_eq!(journal.requests().unwrap()[0].ended_at, None);
        journal.forget_request("b").unwrap();
        assert_eq!(journal.requests().unwrap().len(), 1);
        assert!(journal.bytes() > 0);
    }
}

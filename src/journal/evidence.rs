//! What the loads of before say about one that is about to be sent.

use rusqlite::{OptionalExtension, params};

use super::{Error, Journal};
use crate::model::{JobId, Label};

impl Journal {
    /// Whether the run has put rows into the table.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn has_loaded(&self, job: &JobId, run: u32) -> Result<bool, Error> {
        self.write(|transaction| {
            let query = "SELECT EXISTS (SELECT 1 FROM loads WHERE job = ?1 AND run = ?2
                         AND state IN ('visible', 'committed') AND rows_loaded > 0)";
            transaction.query_row(query, params![job.as_str(), run], |row| row.get(0))
        })
    }

    /// A load of the run that was settled, and began before this label's: whoever has forgotten it may have forgotten this
    /// one. The newest of those that are not side by side with it; else the oldest.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn settled_before(&self, job: &JobId, run: u32, label: &Label) -> Result<Option<Label>, Error> {
        /// At most this many loads are under way at one time.
        const SIDE_BY_SIDE: u32 = 64;
        let found = self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "WITH settled AS (SELECT label, rowid AS place FROM loads
                                  WHERE job = ?1 AND run = ?2 AND label <> ?3 AND state IN ('visible', 'committed')),
                      apart AS (SELECT rowid - ?4 AS place FROM loads WHERE job = ?1 AND run = ?2 AND label = ?3)
                 SELECT label FROM settled LEFT JOIN apart
                 ORDER BY iif(settled.place <= apart.place, -settled.place, settled.place) LIMIT 1",
            )?;
            statement
                .query_row(params![job.as_str(), run, label.as_str(), SIDE_BY_SIDE], |row| row.get::<_, String>(0))
                .optional()
        })?;
        Ok(found.and_then(|label| label.parse().ok()))
    }

    /// How many other rows stood at this label's place of a stream, if any do that may be in the table. A stream's labels
    /// end with the digest of their rows, so that it takes another stream to come to another label there.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn other_rows(&self, job: &JobId, run: u32, label: &Label, digest: u64) -> Result<Option<u64>, Error> {
        let Some(place) = label.as_str().strip_suffix(&format!("{:08x}", digest >> 32)) else { return Ok(None) };
        let bytes = place.len() as u64;
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT rows FROM loads WHERE job = ?1 AND run = ?2 AND label <> ?3 AND state <> 'aborted'
                    AND length(label) = length(?3) AND substr(label, 1, ?4) = ?5 LIMIT 1",
            )?;
            statement.query_row(params![job.as_str(), run, label.as_str(), bytes, place], |row| row.get(0)).optional()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::journal::{LoadEntry, Settled, Work};
    use crate::model::LoadState;

    fn job() -> JobId {
        "nightly".parse().unwrap()
    }

    fn label(text: &str) -> Label {
        text.parse().unwrap()
    }

    fn journal(folder: &tempfile::TempDir) -> Journal {
        let journal = Journal::open(folder.path()).unwrap();
        let work = Work { job: &job(), fingerprint: "f", target: "starrocks://fe/db/t", inputs: &[] };
        journal.begin(&work, false, SystemTime::UNIX_EPOCH).unwrap();
        journal
    }

    fn send(journal: &Journal, text: &str, digest: u64, state: LoadState) {
        let entry = LoadEntry {
            rows: 3,
            bytes: 12,
            digest,
            state: LoadState::Sending,
            transaction_id: None,
            rows_loaded: 0,
            rows_unselected: 0,
            input: "-".into(),
        };
        journal.sending(&job(), 0, &label(text), &entry).unwrap();
        let settled = Settled { state, transaction_id: None, rows_loaded: 0, rows_unselected: 0 };
        journal.settled(&job(), 0, &label(text), &settled).unwrap();
    }

    #[test]
    fn a_place_of_a_stream_that_stood_for_other_rows_is_not_taken_for_these() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder);
        let named = |place: &str, digest: u64| format!("{place}-{:08x}", digest >> 32);
        let (first, second) = (7 << 32, 9 << 32);
        send(&journal, &named("s-1", first), first, LoadState::Sending);
        let other = |place, digest| journal.other_rows(&job(), 0, &label(&named(place, digest)), digest).unwrap();
        assert_eq!(other("s-1", second), Some(3));
        assert_eq!((other("s-1", first), other("s-2", second), other("s-10", second)), (None, None, None));
        send(&journal, &named("s-1", first), first, LoadState::Aborted);
        assert_eq!(other("s-1", second), None, "what is not in the table leaves room for other rows");
    }

    #[test]
    fn the_witness_is_the_newest_settled_load_that_was_not_side_by_side_or_else_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder);
        let witness = |text: &str| journal.settled_before(&job(), 0, &label(text)).unwrap();
        assert_eq!(witness("l-0"), None);
        send(&journal, "l-0", 1, LoadState::Sending);
        assert_eq!(witness("l-0"), None, "it is none for itself, and nothing is settled");
        for number in 1..100 {
            send(&journal, &format!("l-{number}"), 1, LoadState::Visible);
        }
        assert_eq!(witness("l-0"), Some(label("l-1")), "of those that came later the first");
        assert_eq!(witness("l-50"), Some(label("l-1")));
        assert_eq!(witness("l-99"), Some(label("l-35")));
        assert_eq!(witness("never-sent"), Some(label("l-1")));
    }
}

//! Decisions on loads that are no longer in PREPARE, and what falls due with time.

use std::time::Duration;

use rusqlite::Transaction;

use super::ingest::Failed;
use super::label::{COORDINATOR_DOWN, Open, Phase, Registry, TIMED_OUT};
use super::ledger::{self, Entry, Retention, State, now_ms};
use super::stage;
use crate::clock::{Clock as _, SystemClock};

/// How long to wait with another try to publish what could not be published.
const PUBLISH_PAUSE: Duration = Duration::from_secs(10);

/// What a decision on a load has come to, for a load that is no longer in PREPARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// It was PREPARED, and now it is as wanted.
    Done(i64),
    /// It already was as wanted.
    Already(i64),
    /// It is committed, but not visible yet.
    Publishing(i64),
    /// It is in this state for good.
    Refused(i64, State),
    /// Its table is not what it was, and this is what is wrong with it; nothing has changed.
    Impossible(String),
    /// It is still in PREPARE, which its backend decides on.
    Preparing,
    Unknown,
}

impl Registry {
    /// Decides on a load that is no longer in PREPARE: commits what is PREPARED.
    pub(super) fn commit_prepared(&self, database: &str, label: &str, hold: Duration) -> rusqlite::Result<Decided> {
        self.decide(database, label, |transaction, mut entry| match entry.state {
            State::Prepared if hold.is_zero() => {
                if let Some(message) = publish(transaction, entry.id)? {
                    return Ok(Decided::Impossible(message));
                }
                entry.become_visible(now_ms());
                ledger::record(transaction, &entry)?;
                Ok(Decided::Done(entry.id))
            }
            State::Prepared => {
                entry.become_committed(now_ms(), hold);
                ledger::record(transaction, &entry)?;
                Ok(Decided::Publishing(entry.id))
            }
            State::Committed | State::Visible => Ok(Decided::Already(entry.id)),
            state => Ok(Decided::Refused(entry.id, state)),
        })
    }

    /// Decides on a load that is no longer in PREPARE: aborts what is PREPARED.
    pub(super) fn abort_prepared(&self, database: &str, label: &str, reason: &str) -> rusqlite::Result<Decided> {
        self.decide(database, label, |transaction, mut entry| match entry.state {
            State::Prepared => {
                give_up(transaction, &mut entry, reason)?;
                Ok(Decided::Done(entry.id))
            }
            State::Aborted => Ok(Decided::Already(entry.id)),
            state => Ok(Decided::Refused(entry.id, state)),
        })
    }

    fn decide(
        &self,
        database: &str,
        label: &str,
        decide: impl FnOnce(&Transaction<'_>, Entry) -> rusqlite::Result<Decided>,
    ) -> rusqlite::Result<Decided> {
        if self.loads().owner(database, label).is_some() {
            return Ok(Decided::Preparing);
        }
        let (decided, written) = self.store.write(|transaction| {
            // The label's newest load may have been aborted, and only memory knows yet.
            let written = self.settle(transaction, None)?;
            let Some(entry) = ledger::newest(transaction, database, label)? else {
                return Ok((Decided::Unknown, written));
            };
            let decided = decide(transaction, entry)?;
            self.evict(transaction, database, &written)?;
            Ok((decided, written))
        })?;
        self.loads().forget(&written);
        if let Decided::Done(id) = decided
            && let Some(entry) = self.store.read(|connection| ledger::find(connection, id))?
        {
            self.count(&entry);
        }
        Ok(decided)
    }

    /// Does what is due: gives up loads whose time is over, and those in PREPARE whose backend is not there according to
    /// `is_down`; makes committed ones visible; forgets old ones. Returns how many loads it ended or published.
    pub(super) fn sweep(&self, is_down: impl Fn(usize) -> bool) -> rusqlite::Result<usize> {
        let now = SystemClock.instant();
        let due: Vec<(i64, &'static str)> = {
            let loads = self.loads();
            let due = |(id, open): (&i64, &Open)| match open.entry.node {
                _ if open.phase != Phase::Prepare => None,
                _ if open.deadline <= now => Some((*id, TIMED_OUT)),
                Some(node) if is_down(node) => Some((*id, COORDINATOR_DOWN)),
                _ => None,
            };
            loads.open.iter().filter_map(due).collect()
        };
        let mut count = due.len();
        for (id, reason) in due {
            self.interrupt(id, reason)?;
        }
        let now_ms = now_ms();
        let is_due = |entry: &Entry| match entry.state {
            State::Prepared => entry.prepared_until_ms.is_some_and(|until| until <= now_ms),
            _ => entry.publish_at_ms.is_none_or(|at| at <= now_ms),
        };
        if self.store.read(ledger::unfinished)?.iter().any(is_due) {
            let done = self.store.write(|transaction| {
                // Asked again, as this is now the only one that writes.
                let mut due: Vec<Entry> = ledger::unfinished(transaction)?.into_iter().filter(is_due).collect();
                for entry in &mut due {
                    if entry.state == State::Prepared {
                        give_up(transaction, entry, TIMED_OUT)?;
                    } else {
                        match publish(transaction, entry.id)? {
                            None => entry.become_visible(now_ms),
                            Some(message) => {
                                tracing::warn!(transaction = entry.id, "its rows cannot be published: {message}");
                                entry.become_committed(now_ms, PUBLISH_PAUSE);
                            }
                        }
                        ledger::record(transaction, entry)?;
                    }
                }
                Ok(due)
            })?;
            for entry in &done {
                self.count(entry);
            }
            count += done.len();
        }
        let (age_max, count_max) = (self.keep().age_max, usize::MAX);
        if self.store.read(|connection| ledger::has_older(connection, age_max, now_ms))? {
            let keep = Retention { count_max, age_max };
            self.store.write(|transaction| ledger::evict_everywhere(transaction, keep, now_ms))?;
        }
        self.write_down()?;
        Ok(count)
    }
}

/// Makes what a load has staged visible. A message says why that is not possible, and then nothing has changed.
fn publish(transaction: &Transaction<'_>, load: i64) -> rusqlite::Result<Option<String>> {
    transaction.execute_batch("SAVEPOINT publish")?;
    let message = match stage::publish(transaction, load) {
        Ok(()) => None,
        Err(Failed::Sqlite(error)) => return Err(error),
        Err(failed) => {
            transaction.execute_batch("ROLLBACK TO publish")?;
            Some(failed.to_string())
        }
    };
    transaction.execute_batch("RELEASE publish")?;
    Ok(message)
}

fn give_up(transaction: &Transaction<'_>, entry: &mut Entry, reason: &str) -> rusqlite::Result<()> {
    stage::discard(transaction, entry.id)?;
    entry.become_aborted(now_ms(), reason);
    ledger::record(transaction, entry)
}

//! [`Recovery`]: what a sandbox found that was not stopped the last time.

use std::fmt;

use super::ledger::{Entry, State};

/// What is left of transactions after a crash. Loads that were on their way are gone, and their labels are free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Transactions that wait for their commit or rollback, as `database.label`.
    pub prepared: Vec<String>,
    /// Transactions that are committed and will be visible in a moment.
    pub committed: Vec<String>,
}

impl Recovery {
    pub(super) fn of(unfinished: &[Entry]) -> Self {
        let names = |state: State| {
            let found = unfinished.iter().filter(|entry| entry.state == state);
            found.map(|entry| format!("{}.{}", entry.database, entry.label)).collect()
        };
        Self { prepared: names(State::Prepared), committed: names(State::Committed) }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the sandbox was not stopped properly the last time: what was acknowledged is there, loads that were",
        )?;
        f.write_str(" on their way are gone")?;
        for (what, names) in [("prepared", &self.prepared), ("committed", &self.committed)] {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

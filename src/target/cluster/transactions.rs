//! The transactions of a database, from the frontend's own bookkeeping.

use super::{Cluster, Row};
use crate::target::Error;

/// One transaction, as far as the server tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Whether it is over.
    pub finished: bool,
    /// Its number.
    pub id: Option<String>,
    /// The label that it is under.
    pub label: Option<String>,
    /// `PREPARE`, `PREPARED`, `COMMITTED`, `VISIBLE` or `ABORTED`.
    pub state: Option<String>,
    /// What opened it, as the server names it.
    pub source: Option<String>,
    /// Who coordinates it.
    pub coordinator: Option<String>,
    /// When it was begun.
    pub begun: Option<String>,
    /// When it was committed.
    pub committed: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// After how many milliseconds without a commit the server aborts it.
    pub timeout_milliseconds: Option<u64>,
    /// Why it was aborted, or what holds it up.
    pub reason: Option<String>,
}

impl Transaction {
    fn read(row: &Row, finished: bool) -> Self {
        Self {
            finished,
            id: row.text(&["TransactionId", "TxnId"]),
            label: row.text(&["Label"]),
            state: row.text(&["TransactionStatus", "Status", "State"]),
            source: row.text(&["LoadJobSourceType", "SourceType"]),
            coordinator: row.text(&["Coordinator"]),
            begun: row.text(&["PrepareTime"]),
            committed: row.text(&["CommitTime"]),
            ended: row.text(&["FinishTime"]),
            timeout_milliseconds: row.number(&["TimeoutMs"]),
            reason: row.text(&["Reason", "ErrMsg"]),
        }
    }
}

impl Cluster<'_> {
    /// The running transactions of the target's database, and the newest of the finished ones.
    ///
    /// # Errors
    /// When the target names no database or one that there is not, and when the user may not ask.
    pub async fn transactions(&self, finished_max: usize) -> Result<Vec<Transaction>, Error> {
        let database = self.database()?;
        let number = database_number(&self.proc("/dbs&forward=true").await?, database)?;
        let list = async |state: &str| self.proc(&format!("/transactions/{number}/{state}&forward=true")).await;
        let running = list("running").await?;
        let mut finished = if finished_max == 0 { Vec::new() } else { list("finished").await? };
        finished.sort_by_key(|row| std::cmp::Reverse(row.number(&["TransactionId", "TxnId"])));
        finished.truncate(finished_max);
        let running = running.iter().map(|row| Transaction::read(row, false));
        Ok(running.chain(finished.iter().map(|row| Transaction::read(row, true))).collect())
    }
}

/// The number of a database in the list of all. It is put into a path, so nothing but a number will do.
fn database_number(rows: &[Row], database: &str) -> Result<u64, Error> {
    let is = |row: &&Row| {
        // Servers before 3.0 put the cluster before the name.
        let name = row.text(&["DbName", "Name", "Database"]);
        name.is_some_and(|name| name == database || name.strip_prefix("default_cluster:") == Some(database))
    };
    let number = rows.iter().find(is).and_then(|row| row.number(&["DbId", "Id"]));
    number.ok_or_else(|| Error::NoSuchTable {
        place: database.to_owned(),
        message: "the cluster's list of databases does not have it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    #[test]
    fn a_database_is_found_by_its_whole_name() {
        let list = rows(
            br#"[{"DbId":"10","DbName":"sales2"},{"DbId":"x","DbName":"odd"},{"DbId":"11","DbName":"sales"},
                {"DbId":12,"DbName":"default_cluster:old"},{}]"#,
        )
        .unwrap();
        assert_eq!(database_number(&list, "sales").unwrap(), 11);
        assert_eq!(database_number(&list, "old").unwrap(), 12);
        for missing in ["Sales", "odd", "sale"] {
            assert!(database_number(&list, missing).is_err(), "{missing}");
        }
    }
}

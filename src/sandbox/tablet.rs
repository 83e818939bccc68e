//! Tablets: the sandbox has none, and tells of one for each bucket of a table, for those who count versions.

use rusqlite::{OptionalExtension, Transaction};

use super::store::Store;

/// Numbers of a table's tablets, at most so many.
const TABLETS_MAX: u64 = 1000;

/// How many buckets a table was declared with: one when it was not said.
pub(super) fn buckets(ddl: &str) -> u64 {
    let number = |after: &str| {
        let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    // The clause is a line of its own in what SHOW CREATE TABLE shows.
    let clause = ddl.lines().rev().find(|line| line.starts_with("DISTRIBUTED BY "));
    let buckets = clause.and_then(|line| line.rsplit_once(" BUCKETS ")).and_then(|(_, after)| number(after));
    buckets.unwrap_or(1).clamp(1, TABLETS_MAX)
}

/// The number of a tablet: of the table's partition, which has the table's number, and the bucket.
pub(super) fn id(table_id: i64, bucket: u64) -> i64 {
    table_id.saturating_mul(10_000).saturating_add(i64::try_from(bucket).unwrap_or(i64::MAX))
}

/// How many versions a table has, as far as they have not been compacted, and the newest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) count: i64,
    pub(super) newest: i64,
}

/// The versions of a table; a new one has the first.
pub(super) fn versions(store: &Store, table_id: i64) -> rusqlite::Result<Versions> {
    let found = store.read(|connection| {
        let mut statement = connection.prepare_cached("SELECT count, newest FROM sb_versions WHERE table_id = ?1")?;
        let row = |row: &rusqlite::Row<'_>| Ok(Versions { count: row.get(0)?, newest: row.get(1)? });
        statement.query_row([table_id], row).optional()
    })?;
    Ok(found.unwrap_or(Versions { count: 1, newest: 1 }))
}

/// Counts a version, in the transaction that makes its rows visible.
pub(super) fn bump_version(transaction: &Transaction<'_>, table_id: i64) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO sb_versions (table_id, count, newest) VALUES (?1, 2, 2)
         ON CONFLICT (table_id) DO UPDATE SET count = count + 1, newest = newest + 1",
    )?;
    statement.execute([table_id]).map(drop)
}

/// Makes one version of all, as a compaction does.
pub(super) fn compact(transaction: &Transaction<'_>, table_id: i64) -> rusqlite::Result<()> {
    transaction.execute("UPDATE sb_versions SET count = 1 WHERE table_id = ?1", [table_id]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read_from_the_clause_alone() {
        let table = |clause: &str| format!("CREATE TABLE `t` (\n  `a` int COMMENT \" BUCKETS 9\"\n)\n{clause};");
        for (clause, count) in [
            ("DISTRIBUTED BY HASH(`a`) BUCKETS 4", 4),
            ("DISTRIBUTED BY RANDOM", 1),
            ("DISTRIBUTED BY HASH(`a`) BUCKETS 99999999999999999999", 1),
            ("DISTRIBUTED BY HASH(`a`) BUCKETS 5000\nPROPERTIES (\n\"x\" = \"1\"\n)", TABLETS_MAX),
        ] {
            assert_eq!(buckets(&table(clause)), count, "{clause}");
        }
    }

    #[test]
    fn versions_are_counted_until_they_are_compacted() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let read = || versions(&store, 7).expect("it reads");
        assert_eq!(read(), Versions { count: 1, newest: 1 });
        for _ in 0..3 {
            store.write(|transaction| bump_version(transaction, 7)).expect("it writes");
        }
        assert_eq!(read(), Versions { count: 4, newest: 4 });
        store.write(|transaction| compact(transaction, 7)).expect("it writes");
        assert_eq!(read(), Versions { count: 1, newest: 4 });
    }
}

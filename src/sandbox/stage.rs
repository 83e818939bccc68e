//! The rows of loads that are prepared or committed, but not visible yet: one table of its own for each table that a load
//! fills, and a line that says how its rows get from there into the table.
//!
//! Both are as durable as the label's state, since they are written in the same commit.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::types::{TableDef, quote};

/// Makes the list of staged tables.
pub(super) fn create_catalog(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS sb_staged (
             load INTEGER NOT NULL, table_id INTEGER NOT NULL, publish TEXT NOT NULL, PRIMARY KEY (load, table_id)
         ) WITHOUT ROWID",
    )
}

/// The name of the table that holds what a load has for a table.
pub(super) fn storage(load: i64, table: &TableDef) -> String {
    quote(&format!("s{load}_{}", table.id))
}

/// Makes the place for what a load has for a table.
pub(super) fn open(transaction: &Transaction<'_>, load: i64, table: &TableDef) -> rusqlite::Result<()> {
    let names = |all: bool| {
        let wanted = table.columns.iter().filter(|column| all || column.generated.is_none());
        wanted.map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
    };
    let (moved, staged, target) = (names(false), storage(load, table), table.storage());
    let publish = format!("INSERT INTO {target} ({moved}) SELECT {moved} FROM {staged} ORDER BY rowid");
    transaction.execute_batch(&format!("CREATE TABLE {staged} ({})", names(true)))?;
    transaction.execute("INSERT INTO sb_staged VALUES (?1, ?2, ?3)", (load, table.id, publish))?;
    Ok(())
}

/// Moves the rows of a load into its tables. Those of a table that was dropped meanwhile go with it.
pub(super) fn publish(transaction: &Transaction<'_>, load: i64) -> rusqlite::Result<()> {
    for (table, publish) in staged(transaction, load)? {
        let there: Option<i64> =
            transaction.query_row("SELECT id FROM sb_tables WHERE id = ?1", [table], |row| row.get(0)).optional()?;
        if there.is_some() {
            transaction.execute_batch(&publish)?;
        }
    }
    discard(transaction, load)
}

/// Throws the rows of a load away.
pub(super) fn discard(transaction: &Transaction<'_>, load: i64) -> rusqlite::Result<()> {
    for (table, _) in staged(transaction, load)? {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote(&format!("s{load}_{table}"))))?;
    }
    transaction.execute("DELETE FROM sb_staged WHERE load = ?1", [load])?;
    Ok(())
}

fn staged(transaction: &Transaction<'_>, load: i64) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = transaction.prepare_cached("SELECT table_id, publish FROM sb_staged WHERE load = ?1")?;
    statement.query_map([load], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

//! Loads that are prepared and not yet committed: their rows wait in a table of their own.
//!
//! ```text
//!  stage ─▶ sb_staged_N (cells and operations, in row order), sb_staged (owner, table, SQL) ─┬ publish ─▶ the table
//!                                                                                           └ discard
//! ```
//!
//! Both tables are as durable as the transaction that made them, and the SQL that moves the rows was written when they
//! were staged. So a restart changes nothing, and whoever publishes needs only the owner's number. Merging happens then,
//! against the rows that the table has by that time: between loads the order of commits decides.

use std::io::Read;

use rusqlite::{OptionalExtension, Transaction, params};

use super::ingest::{Destination, Failed, Tally, fill};
use super::plan::{self, Operation, Plan};
use super::store;
use super::tablet;
use super::types::{Column, TableDef, quote};
use super::wire::LoadRequest;

/// Takes a load's rows in, as [`ingest`](super::ingest::ingest) does, but keeps them apart from the table. A load that
/// fails leaves what it had staged: the caller rolls the transaction back, or discards the owner.
pub(super) fn stage(
    transaction: &Transaction<'_>,
    owner: i64,
    request: &LoadRequest,
    table: &TableDef,
    plan: &Plan,
    body: impl Read,
    tally: &mut Tally,
) -> Result<(), Failed> {
    transaction
        .prepare_cached("INSERT INTO sb_staged (owner, table_id, table_name, publish) VALUES (?1, ?2, ?3, '')")?
        .execute(params![owner, table.id, table.name])?;
    let id = transaction.last_insert_rowid();
    transaction.execute_batch(&creation(id, table))?;
    transaction
        .prepare_cached("UPDATE sb_staged SET publish = ?2 WHERE id = ?1")?
        .execute(params![id, publication(id, table, plan)])?;
    let columns = serde_json::to_string(&table.columns).expect("columns are plain values");
    transaction.prepare_cached("INSERT INTO sb_columns_staged VALUES (?1, ?2)")?.execute(params![id, columns])?;
    let insert = insert(id, table);
    // The operation comes behind the columns.
    let destination = Destination { insert: &insert, delete: None, operation: Some(table.columns.len() + 1) };
    fill(transaction, &destination, request, table, plan, body, tally)
}

/// Merges everything that an owner has staged into the tables, and forgets it. Fails when a table is not what it was.
pub(super) fn publish(transaction: &Transaction<'_>, owner: i64) -> Result<(), Failed> {
    for (id, table_id, name, sql) in staged(transaction, owner)? {
        let Some(table) = store::current(transaction, table_id)? else {
            return Err(Failed::Body(format!(
                "unknown table, table={name}: it was dropped after the rows were prepared"
            )));
        };
        let sql = adapted(transaction, id, &table, sql)?;
        transaction.execute_batch(&sql).map_err(|error| changed(&name, error))?;
        tablet::bump_version(transaction, table_id)?;
        remove(transaction, id)?;
    }
    Ok(())
}

/// Forgets everything that an owner has staged.
pub(super) fn discard(transaction: &Transaction<'_>, owner: i64) -> rusqlite::Result<()> {
    staged(transaction, owner)?.into_iter().try_for_each(|(id, ..)| remove(transaction, id))
}

/// What the rows wait for: a number, the table's id and name, and the SQL that moves them.
type Staged = (i64, i64, String, String);

fn staged(transaction: &Transaction<'_>, owner: i64) -> rusqlite::Result<Vec<Staged>> {
    let mut statement = transaction
        .prepare_cached("SELECT id, table_id, table_name, publish FROM sb_staged WHERE owner = ?1 ORDER BY id")?;
    let rows = statement.query_map([owner], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.collect()
}

fn remove(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    transaction.execute_batch(&format!("DROP TABLE {}", name(id)))?;
    transaction.prepare_cached("DELETE FROM sb_staged WHERE id = ?1")?.execute([id])?;
    transaction.prepare_cached("DELETE FROM sb_columns_staged WHERE staged = ?1")?.execute([id])?;
    Ok(())
}

/// An SQL error while rows move is about columns that are there no more; everything else was checked when they came.
fn changed(table: &str, error: rusqlite::Error) -> Failed {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::Unknown) => {
            Failed::Body(format!("table {table} has changed since the rows were prepared: {error}"))
        }
        _ => Failed::Sqlite(error),
    }
}

/// The SQL that moves the rows into the table as it is now: columns that are new take their defaults.
fn adapted(transaction: &Transaction<'_>, id: i64, table: &TableDef, sql: String) -> Result<String, Failed> {
    let columns: Option<String> = transaction
        .prepare_cached("SELECT columns FROM sb_columns_staged WHERE staged = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    // What an older build has staged has none.
    let Some(columns) = columns else { return Ok(sql) };
    let columns: Vec<Column> = serde_json::from_str(&columns)
        .map_err(|fault| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, fault.into()))?;
    if columns == table.columns {
        return Ok(sql);
    }
    let stored = columns.iter().filter(|column| column.generated.is_none());
    plan::check_kept(table, stored.clone().map(|column| column.name.as_str())).map_err(Failed::Body)?;
    if let Some(column) = stored.clone().find(|old| table.column(&old.name).is_some_and(|new| new.ty != old.ty)) {
        let message = format!("table {} has changed since the load began: column {}", table.name, column.name);
        return Err(Failed::Body(format!("{message} has another type")));
    }
    let then = TableDef { columns, ..table.clone() };
    let (mut names, mut values) = target(&then);
    let old = movement(id, table, &names, &values);
    let is_new = |column: &&Column| then.column(&column.name).is_none() && column.generated.is_none();
    for column in table.columns.iter().filter(is_new) {
        names.push(quote(&column.name));
        values.push(plan::absent_sql(column).map_err(Failed::Body)?);
    }
    Ok(sql.replacen(&old, &movement(id, table, &names, &values), 1))
}

/// The columns that the rows fill, and with what.
fn target(table: &TableDef) -> (Vec<String>, Vec<String>) {
    table.stored().map(|(at, column)| (quote(&column.name), format!("s.c{at}"))).unzip()
}

/// How the SQL begins that moves the rows.
fn movement(id: i64, table: &TableDef, names: &[String], values: &[String]) -> String {
    let (target, names, values) = (table.storage(), names.join(", "), values.join(", "));
    format!("INSERT INTO {target} ({names}) SELECT {values} FROM {} AS s WHERE", name(id))
}

fn name(id: i64) -> String {
    quote(&format!("sb_staged_{id}"))
}

/// The table that rows wait in: their order, their operation, and their cells under the positions of their columns.
fn creation(id: i64, table: &TableDef) -> String {
    let cells: Vec<String> = table
        .stored()
        .map(|(at, column)| format!("c{at}{}", if column.ty.is_numeric_text() { " COLLATE sr_numeric" } else { "" }))
        .collect();
    format!("CREATE TABLE {} (place INTEGER PRIMARY KEY, operation INTEGER NOT NULL, {})", name(id), cells.join(", "))
}

fn insert(id: i64, table: &TableDef) -> String {
    let (cells, values): (Vec<String>, Vec<String>) =
        table.stored().map(|(at, _)| (format!("c{at}"), format!("?{}", at + 1))).unzip();
    let operation = table.columns.len() + 1;
    let (cells, values) = (cells.join(", "), values.join(", "));
    format!("INSERT INTO {} (operation, {cells}) VALUES (?{operation}, {values})", name(id))
}

/// The SQL that moves the rows. Of the rows with one key, only those behind its last delete count, and a delete anywhere
/// takes away what the table had: that comes to the same as going through the rows one by one.
fn publication(id: i64, table: &TableDef, plan: &Plan) -> String {
    let (staging, target) = (name(id), table.storage());
    let (names, cells) = self::target(table);
    let movement = movement(id, table, &names, &cells);
    let upsert = |condition: &str| format!("{movement} {condition} ORDER BY s.place{};", plan.on_conflict);
    if plan.operation == Operation::Upsert {
        return upsert("TRUE");
    }
    let keys: Vec<usize> = (0..table.columns.len()).filter(|at| table.columns[*at].key).collect();
    let index: Vec<String> = keys.iter().map(|at| format!("c{at}")).collect();
    let equal = |left: &dyn Fn(usize) -> String, right: &str| -> String {
        let pairs: Vec<String> = keys.iter().map(|at| format!("{} = {right}.c{at}", left(*at))).collect();
        pairs.join(" AND ")
    };
    let in_table = equal(&|at| format!("t.{}", quote(&table.columns[at].name)), "s");
    let later = equal(&|at| format!("d.c{at}"), "s");
    format!(
        "CREATE INDEX {} ON {staging} ({}, place) WHERE operation = 1;
         DELETE FROM {target} WHERE rowid IN
            (SELECT t.rowid FROM {staging} AS s CROSS JOIN {target} AS t ON {in_table} WHERE s.operation = 1);
         {}",
        quote(&format!("sb_staged_{id}_deletes")),
        index.join(", "),
        upsert(&format!(
            "s.operation = 0 AND NOT EXISTS
                (SELECT 1 FROM {staging} AS d WHERE d.operation = 1 AND {later} AND d.place > s.place)"
        ))
    )
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;

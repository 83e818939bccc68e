//! What changes the catalogue: databases and tables come and go.

use rusqlite::{OptionalExtension, Transaction, params};

use super::Error;
use super::create::CreateTable;
use crate::sandbox::merge;
use crate::sandbox::store::Store;
use crate::sandbox::types::{Column, KeysType, TableDef, quote};

/// Creates a database.
pub(super) fn create_database(store: &Store, name: &str, if_not_exists: bool) -> Result<(), Error> {
    let created = store
        .write(|transaction| transaction.execute("INSERT OR IGNORE INTO sb_databases (name) VALUES (?1)", [name]))?;
    if created == 0 && !if_not_exists {
        return Err(Error::new(1007, format!("Can't create database '{name}'; database exists")));
    }
    Ok(())
}

/// Drops a database and the tables in it.
pub(super) fn drop_database(store: &Store, name: &str, if_exists: bool) -> Result<(), Error> {
    let dropped = store.write_catalog(|transaction| {
        let tables: Vec<i64> = transaction
            .prepare("SELECT id FROM sb_tables WHERE database = ?1")?
            .query_map([name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        tables.into_iter().try_for_each(|id| remove_table(transaction, id))?;
        transaction.execute("DELETE FROM sb_databases WHERE name = ?1", [name])
    })?;
    if dropped == 0 && !if_exists {
        return Err(Error::new(1008, format!("Can't drop database '{name}'; database doesn't exist")));
    }
    Ok(())
}

/// Creates a table. `generated` holds the SQLite expressions of the generated columns, by position.
pub(super) fn create_table(
    store: &Store,
    database: &str,
    table: &CreateTable,
    generated: &[Option<String>],
) -> Result<(), Error> {
    if !store.has_database(database)? {
        return Err(Error::unknown_database(database));
    }
    let columns = serde_json::to_string(&table.columns).expect("columns are plain values");
    let created = store.write_catalog(|transaction| {
        let inserted = transaction.execute(
            "INSERT OR IGNORE INTO sb_tables (database, name, keys, columns, ddl, comment, created)
             VALUES (?1, ?2, ?6, ?3, ?4, ?5, datetime('now'))",
            params![database, table.name, columns, table.ddl, table.comment, table.keys.catalogue_name()],
        )?;
        if inserted > 0 {
            let id = transaction.last_insert_rowid();
            build(transaction, id, table.keys, &table.columns, generated)?;
        }
        Ok(inserted)
    })?;
    if created == 0 && !table.if_not_exists {
        return Err(Error::new(1050, format!("Table '{}' already exists", table.name)));
    }
    Ok(())
}

/// Drops a table.
pub(super) fn drop_table(store: &Store, database: &str, name: &str, if_exists: bool) -> Result<(), Error> {
    let id = store.write_catalog(|transaction| {
        let id = transaction
            .query_row("SELECT id FROM sb_tables WHERE database = ?1 AND name = ?2", [database, name], |row| row.get(0))
            .optional()?;
        id.map_or(Ok(()), |id| remove_table(transaction, id))?;
        Ok(id)
    })?;
    match id {
        Some(_) => Ok(()),
        None if if_exists => Ok(()),
        None if store.has_database(database)? => Err(Error::unknown_table(database, name)),
        None => Err(Error::unknown_database(database)),
    }
}

/// How a table is to be from now on.
#[derive(Debug)]
pub(super) struct Rebuilt<'a> {
    pub columns: &'a [Column],
    /// The SQLite expressions of the generated columns, by position.
    pub generated: &'a [Option<String>],
    /// What each column that is not generated holds for a row of the table as it was.
    pub values: &'a [Option<String>],
}

/// Makes a table anew with other columns, and its rows with it.
pub(super) fn rebuild_table(
    transaction: &Transaction<'_>,
    table: &TableDef,
    new: &Rebuilt<'_>,
) -> rusqlite::Result<()> {
    let (storage, aside) = (table.storage(), quote(&format!("t{}_aside", table.id)));
    // The rows are put aside and not the table, because what belongs to it may have names of its own.
    transaction.execute_batch(&format!("CREATE TABLE {aside} AS SELECT * FROM {storage}; DROP TABLE {storage};"))?;
    build(transaction, table.id, table.keys, new.columns, new.generated)?;
    let filled = || new.columns.iter().zip(new.values).filter_map(|(column, value)| Some((column, value.as_ref()?)));
    let names: Vec<String> = filled().map(|(column, _)| quote(&column.name)).collect();
    let values: Vec<&str> = filled().map(|(_, value)| value.as_str()).collect();
    let insert = format!("INSERT INTO {storage} ({}) SELECT {} FROM {aside}", names.join(", "), values.join(", "));
    transaction.execute_batch(&format!("{insert}; DROP TABLE {aside};"))
}

/// Notes that a table's columns or statement have changed. Fails if somebody else has changed them since they were read.
pub(super) fn update_table(
    transaction: &Transaction<'_>,
    table: &TableDef,
    columns: &[Column],
    ddl: &str,
) -> rusqlite::Result<()> {
    let columns = serde_json::to_string(columns).expect("columns are plain values");
    let update = "UPDATE sb_tables SET columns = ?3, ddl = ?4 WHERE id = ?1 AND ddl = ?2";
    match transaction.execute(update, params![table.id, table.ddl, columns, ddl])? {
        0 => Err(rusqlite::Error::QueryReturnedNoRows),
        _ => Ok(()),
    }
}

/// Gives a table another name, and what was granted on it with it.
pub(super) fn rename_table(
    transaction: &Transaction<'_>,
    table: &TableDef,
    name: &str,
    ddl: &str,
) -> rusqlite::Result<()> {
    transaction.execute("UPDATE sb_tables SET name = ?2, ddl = ?3 WHERE id = ?1", params![table.id, name, ddl])?;
    transaction.execute(
        "UPDATE OR REPLACE sb_grants SET table_name = ?3 WHERE kind = 'TABLE' AND database = ?1 AND table_name = ?2",
        [&table.database, &table.name, name],
    )?;
    Ok(())
}

/// Creates the SQLite table behind a table.
fn build(
    transaction: &Transaction<'_>,
    id: i64,
    keys: KeysType,
    columns: &[Column],
    generated: &[Option<String>],
) -> rusqlite::Result<()> {
    transaction.execute_batch(&physical(id, columns, generated))?;
    merge::index(id, keys, columns).map_or(Ok(()), |index| transaction.execute_batch(&index))
}

fn remove_table(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM sb_grants WHERE kind = 'TABLE'
         AND (database, table_name) IN (SELECT database, name FROM sb_tables WHERE id = ?1)",
        [id],
    )?;
    transaction.execute("DELETE FROM sb_tables WHERE id = ?1", [id])?;
    transaction.execute("DELETE FROM sb_versions WHERE table_id = ?1", [id])?;
    transaction.execute("DELETE FROM sb_sequences WHERE table_id = ?1", [id])?;
    transaction.execute_batch(&format!("DROP TABLE {}", quote(&format!("t{id}"))))
}

/// The SQLite table behind a table. No column has a type, which in SQLite means that it takes values as they are.
fn physical(id: i64, columns: &[Column], generated: &[Option<String>]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .zip(generated)
        .map(|(column, expression)| {
            let collation = if column.ty.is_numeric_text() { " COLLATE sr_numeric" } else { "" };
            match expression {
                Some(sql) => format!("{}{collation} GENERATED ALWAYS AS ({sql}) STORED", quote(&column.name)),
                None => format!("{}{collation}", quote(&column.name)),
            }
        })
        .collect();
    format!("CREATE TABLE {} ({})", quote(&format!("t{id}")), columns.join(", "))
}

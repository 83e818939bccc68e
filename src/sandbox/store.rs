//! One SQLite database that holds everything the sandbox knows: databases, tables, rows, users.
//!
//! There is one connection that writes, behind a mutex, and as many that read as are needed at once; in WAL mode they
//! do not wait for each other, and each reader sees the state as of its start. A write is one transaction and is on the
//! disk when it returns. System tables are named `sb_…`.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::function;
use super::sql::password;
use super::types::{Column, KeysType, TableDef};

/// How long a connection waits for another process that has the database locked, say a shell that looks into it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the write-ahead log stays once its content is in the database. A large load makes it as long as its rows, and
/// the first write after it cuts it down to this.
const LOG_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// How many reading connections are kept for later.
const IDLE_READERS_MAX: usize = 8;

/// How many prepared statements each connection keeps.
const STATEMENTS_MAX: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sb_databases (name TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sb_tables (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        database TEXT NOT NULL,
        name TEXT NOT NULL,
        keys TEXT NOT NULL,
        columns TEXT NOT NULL,
        ddl TEXT NOT NULL,
        comment TEXT NOT NULL,
        created TEXT NOT NULL,
        UNIQUE (database, name)
    );
    CREATE TABLE IF NOT EXISTS sb_sequences (table_id INTEGER PRIMARY KEY, next INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS sb_users (name TEXT PRIMARY KEY NOT NULL, password TEXT NOT NULL) WITHOUT ROWID;
";

/// The sandbox's database.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// The definitions looked up so far. Emptied by every change to the catalogue.
    tables: RwLock<HashMap<(String, String), Arc<TableDef>>>,
    /// The last number given to a connection or request.
    connections: AtomicU32,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum Error {
    #[error("directory {} cannot be created", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("database {} cannot be opened", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

/// Why a table is not found.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    #[error("unknown database '{0}'")]
    UnknownDatabase(String),
    #[error("unknown table '{0}'")]
    UnknownTable(String),
    #[error("the sandbox's database failed")]
    Sqlite(#[from] rusqlite::Error),
}

impl Store {
    /// Opens the store in a directory, and creates what is missing. A password given here becomes root's; without one
    /// root keeps the password that it has, which is empty in a new store.
    pub(super) fn open(dir: &Path, root_password: Option<&str>) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::Directory { path: dir.to_owned(), source })?;
        let path = dir.join("sandbox.sqlite");
        match prepare(&path, root_password) {
            Ok(writer) => Ok(Self {
                path,
                writer: Mutex::new(writer),
                readers: Mutex::default(),
                tables: RwLock::default(),
                connections: AtomicU32::new(0),
            }),
            Err(source) => Err(Error::Database { path, source }),
        }
    }

    /// The definition of a table. Names are case-sensitive.
    pub(super) fn table(&self, db: &str, table: &str) -> Result<Arc<TableDef>, CatalogError> {
        let key = (db.to_owned(), table.to_owned());
        if let Some(known) = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        // The lock is held over the look-up, so that a definition that a DROP has just removed is not kept.
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let found = self.read(|connection| find_table(connection, db, table))?;
        if let Some(found) = found {
            let found = Arc::new(found);
            tables.insert(key, Arc::clone(&found));
            Ok(found)
        } else if self.has_database(db)? {
            Err(CatalogError::UnknownTable(table.to_owned()))
        } else {
            Err(CatalogError::UnknownDatabase(db.to_owned()))
        }
    }

    /// Whether there is such a database.
    pub(super) fn has_database(&self, name: &str) -> rusqlite::Result<bool> {
        self.read(|connection| connection.prepare_cached("SELECT 1 FROM sb_databases WHERE name = ?1")?.exists([name]))
    }

    /// Runs a transaction. What it did is on the disk when this returns `Ok`, and undone when it returns `Err`.
    pub(super) fn write<R>(&self, f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>) -> rusqlite::Result<R> {
        transact(&mut self.writer(), f)
    }

    /// The same if nobody is writing; otherwise it does nothing, and returns `None`.
    pub(super) fn try_write<R>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<Option<R>> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        transact(&mut writer, f).map(Some)
    }

    /// Runs a transaction that changes the catalogue.
    pub(super) fn write_catalog<R>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let result = self.write(f);
        self.tables.write().unwrap_or_else(PoisonError::into_inner).clear();
        result
    }

    /// Runs something that only reads.
    pub(super) fn read<R>(&self, f: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> rusqlite::Result<R> {
        let idle = self.readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        let result = f(&connection);
        let mut readers = self.readers();
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        result
    }

    /// Whether this is the user's password.
    pub(super) fn check_user(&self, user: &str, password: &str) -> bool {
        let digest = password::digest(password);
        self.password_digest(user).is_some_and(|expected| expected == digest)
    }

    /// The user's password as stored, and nothing for a stranger.
    pub(super) fn password_digest(&self, user: &str) -> Option<String> {
        let digest = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT password FROM sb_users WHERE name = ?1")?;
            statement.query_row([user], |row| row.get(0)).optional()
        });
        digest.ok().flatten()
    }

    /// A number for a connection that no other has while the store is open.
    pub(super) fn next_connection_id(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic while writing has rolled its transaction back as it unwound, so the connection is fit for use.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserves so many values of the table's `AUTO_INCREMENT` column and returns the first of them.
pub(super) fn reserve_ids(transaction: &Transaction<'_>, table: &TableDef, count: i64) -> rusqlite::Result<i64> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO sb_sequences (table_id, next) VALUES (?1, 1 + ?2)
         ON CONFLICT (table_id) DO UPDATE SET next = next + ?2 RETURNING next - ?2",
    )?;
    statement.query_row((table.id, count), |row| row.get(0))
}

fn transact<R>(
    writer: &mut Connection,
    f: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
) -> rusqlite::Result<R> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = f(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    function::register(&connection)?;
    Ok(connection)
}

fn prepare(path: &Path, root_password: Option<&str>) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.execute_batch(SCHEMA)?;
    let digest = password::digest(root_password.unwrap_or_default());
    let on_conflict = if root_password.is_some() { "REPLACE" } else { "IGNORE" };
    let insert = format!("INSERT OR {on_conflict} INTO sb_users (name, password) VALUES ('root', ?1)");
    connection.execute(&insert, [digest])?;
    Ok(connection)
}

fn find_table(connection: &Connection, db: &str, table: &str) -> rusqlite::Result<Option<TableDef>> {
    let mut statement =
        connection.prepare_cached("SELECT id, columns, ddl FROM sb_tables WHERE database = ?1 AND name = ?2")?;
    statement
        .query_row([db, table], |row| {
            let columns: String = row.get(1)?;
            let columns: Vec<Column> = serde_json::from_str(&columns).map_err(|fault| {
                rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(fault))
            })?;
            Ok(TableDef {
                id: row.get(0)?,
                database: db.to_owned(),
                name: table.to_owned(),
                keys: KeysType::Duplicate,
                columns,
                ddl: row.get(2)?,
            })
        })
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_checked_and_a_stranger_is_not_let_in() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), Some("s:3cret")).expect("the store opens");
        assert!(store.check_user("root", "s:3cret"));
        assert!(!store.check_user("root", ""));
        assert!(!store.check_user("nobody", "s:3cret"));
        drop(store);
        let store = Store::open(dir.path(), None).expect("the store opens again");
        assert!(store.check_user("root", "s:3cret"), "a password outlives a restart");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let failed: rusqlite::Result<()> = store.write(|transaction| {
            transaction.execute("INSERT INTO sb_databases VALUES ('d')", [])?;
            Err(rusqlite::Error::QueryReturnedNoRows)
        });
        assert!(failed.is_err());
        assert!(!store.has_database("d").expect("reading works"));
        assert!(matches!(store.table("d", "t"), Err(CatalogError::UnknownDatabase(_))));
    }

    #[test]
    fn the_log_of_a_large_write_does_not_stay() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let log_bytes = || fs::metadata(dir.path().join("sandbox.sqlite-wal")).expect("there is a log").len();
        let limit = LOG_BYTES_KEPT.unsigned_abs();
        store
            .write(|transaction| transaction.execute_batch("CREATE TABLE t AS SELECT zeroblob(20000000) x"))
            .expect("it writes");
        assert!(log_bytes() > limit, "the write is as large as the test needs it");
        store.write(|transaction| transaction.execute("INSERT INTO t VALUES (1)", [])).expect("it writes");
        assert!(log_bytes() <= limit, "{}", log_bytes());
    }
}

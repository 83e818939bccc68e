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
use super::sessions::Sessions;
use super::sql::password;
use super::types::{Column, KeysType, TableDef, quote};
use super::user;

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
    CREATE TABLE IF NOT EXISTS sb_alter_jobs (
        id INTEGER PRIMARY KEY,
        database TEXT NOT NULL,
        table_name TEXT NOT NULL,
        table_id INTEGER NOT NULL,
        done_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS sb_versions (
        table_id INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        newest INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS sb_database_ids (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    );
    INSERT OR IGNORE INTO sqlite_sequence SELECT 'sb_database_ids', 11000
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'sb_database_ids');
    INSERT OR IGNORE INTO sb_database_ids (name) SELECT name FROM sb_databases ORDER BY name;
    CREATE TRIGGER IF NOT EXISTS sb_database_comes AFTER INSERT ON sb_databases
        BEGIN INSERT INTO sb_database_ids (name) VALUES (new.name); END;
    CREATE TRIGGER IF NOT EXISTS sb_database_goes AFTER DELETE ON sb_databases
        BEGIN DELETE FROM sb_database_ids WHERE name = old.name; END;
    CREATE TABLE IF NOT EXISTS sb_staged (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL,
        table_id INTEGER NOT NULL,
        table_name TEXT NOT NULL,
        publish TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS sb_staged_owner ON sb_staged (owner);
    CREATE TABLE IF NOT EXISTS sb_columns_staged (staged INTEGER PRIMARY KEY, columns TEXT NOT NULL);
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
    sessions: Sessions,
}

/// A table in a list of all.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) id: i64,
    pub(super) database: String,
    pub(super) name: String,
    pub(super) ddl: String,
    pub(super) comment: String,
    /// When it was created, `YYYY-MM-DD HH:MM:SS`.
    pub(super) created: String,
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
                sessions: Sessions::default(),
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

    /// A number for a connection that no other has while the store is open.
    pub(super) fn next_connection_id(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Who is connected.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The folder that everything is in.
    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Every database and its number, in order of their names.
    pub(super) fn database_ids(&self) -> rusqlite::Result<Vec<(i64, String)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, name FROM sb_database_ids ORDER BY name")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Every table, in order of databases and names.
    pub(super) fn table_list(&self) -> rusqlite::Result<Vec<Listed>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, database, name, ddl, comment, created FROM sb_tables ORDER BY database, name",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Listed {
                    id: row.get(0)?,
                    database: row.get(1)?,
                    name: row.get(2)?,
                    ddl: row.get(3)?,
                    comment: row.get(4)?,
                    created: row.get(5)?,
                })
            };
            statement.query_map([], row)?.collect()
        })
    }

    /// The bytes of the database, without what is free in it.
    pub(super) fn bytes_used(&self) -> rusqlite::Result<u64> {
        self.read(|connection| {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
            Ok(pragma("page_count")?.saturating_sub(pragma("freelist_count")?) * pragma("page_size")?)
        })
    }

    /// The bytes that a table takes, and how many rows are in it.
    pub(super) fn table_size(&self, table_id: i64) -> rusqlite::Result<(u64, u64)> {
        self.read(|connection| {
            let name = format!("t{table_id}");
            let pages = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1 AND aggregate = TRUE";
            let bytes = connection.prepare_cached(pages)?.query_row([&name], |row| row.get(0))?;
            let count = format!("SELECT count(*) FROM {}", quote(&name));
            Ok((bytes, connection.query_row(&count, [], |row| row.get(0))?))
        })
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
    connection.execute_batch(user::SCHEMA)?;
    let digest = password::digest(root_password.unwrap_or_default());
    let on_conflict = if root_password.is_some() { "REPLACE" } else { "IGNORE" };
    let insert = format!("INSERT OR {on_conflict} INTO sb_users (name, password) VALUES ('root', ?1)");
    connection.execute(&insert, [digest])?;
    Ok(connection)
}

/// A table as it is now, which may have changed since somebody looked it up; `None` when it is gone.
pub(super) fn current(connection: &Connection, id: i64) -> rusqlite::Result<Option<TableDef>> {
    let mut statement =
        connection.prepare_cached("SELECT id, columns, ddl, keys, database, name FROM sb_tables WHERE id = ?1")?;
    statement.query_row([id], definition).optional()
}

fn find_table(connection: &Connection, db: &str, table: &str) -> rusqlite::Result<Option<TableDef>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, columns, ddl, keys, database, name FROM sb_tables WHERE database = ?1 AND name = ?2",
    )?;
    statement.query_row([db, table], definition).optional()
}

fn definition(row: &rusqlite::Row<'_>) -> rusqlite::Result<TableDef> {
    let name: String = row.get(5)?;
    let columns: String = row.get(1)?;
    let unreadable = |column, fault: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, fault)
    };
    let columns: Vec<Column> = serde_json::from_str(&columns).map_err(|fault| unreadable(1, fault.into()))?;
    let keys: String = row.get(3)?;
    let keys = KeysType::from_catalogue(&keys)
        .ok_or_else(|| unreadable(3, format!("a newer sandbox made table {name}: its keys are {keys}").into()))?;
    Ok(TableDef { id: row.get(0)?, database: row.get(4)?, name, keys, columns, ddl: row.get(2)? })
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
    fn tables_of_older_stores_are_read_and_those_of_newer_ones_named() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let column = r#"[{"name":"k","ty":"Int","nullable":true,"key":true,"default":null,"auto_increment":false,
                          "generated":null,"comment":""}]"#;
        let written = store.write(|transaction| {
            transaction.execute_batch("INSERT INTO sb_databases VALUES ('d'); DROP TABLE sb_staged;")?;
            let insert = "INSERT INTO sb_tables (database, name, keys, columns, ddl, comment, created)
                          VALUES ('d', ?1, ?2, ?3, '', '', '')";
            transaction.execute(insert, ["old", "DUP_KEYS", column])?;
            transaction.execute(insert, ["new", "CLUSTERED_KEYS", column])
        });
        written.expect("it writes");
        drop(store);
        let store = Store::open(dir.path(), None).expect("the store opens again");
        let old = store.table("d", "old").expect("it is read");
        assert_eq!((old.keys, old.columns[0].aggregation), (KeysType::Duplicate, None));
        let Err(CatalogError::Sqlite(refusal)) = store.table("d", "new") else { panic!("nobody knows these keys") };
        assert!(refusal.to_string().contains("a newer sandbox made table new"), "{refusal}");
        store.write(|transaction| transaction.execute("DELETE FROM sb_staged", [])).expect("the table is there");
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

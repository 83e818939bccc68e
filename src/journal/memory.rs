//! A journal in memory, for simulations: the same tables and statements, without a file.
//!
//! Each thread knows some folders that are none. Several may lead to one journal, as several processes open one file; each
//! has a [`Gate`] of its own, so that one process can die while another goes on. What was written stays.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, ffi};

use super::{Error, Journal, schema};
use crate::model::JobId;

/// Stands between a process and its journal.
pub(crate) trait Gate: std::fmt::Debug + Send + Sync {
    /// Asked before each look and each write: whether it may happen.
    fn before(&self, write: bool) -> bool;

    /// Told when it has happened.
    fn after(&self);
}

/// A journal that several processes may open.
#[derive(Clone)]
pub(crate) struct Shared {
    name: String,
    journal: Arc<Journal>,
}

#[derive(Clone)]
struct Place {
    shared: Shared,
    gate: Arc<dyn Gate>,
}

/// More statements than there are.
const STATEMENTS: usize = 100;

thread_local! {
    static PLACES: RefCell<BTreeMap<PathBuf, Place>> = const { RefCell::new(BTreeMap::new()) };
    /// Journals that nobody uses any more, and connections to them: making the tables and preparing statements takes longer
    /// than most simulations.
    static EMPTY: RefCell<Vec<Shared>> = const { RefCell::new(Vec::new()) };
    static CONNECTIONS: RefCell<BTreeMap<String, Vec<Connection>>> = const { RefCell::new(BTreeMap::new()) };
    static LEASES: RefCell<BTreeSet<(String, JobId)>> = const { RefCell::new(BTreeSet::new()) };
}

impl Shared {
    /// An empty one, which nobody else has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if let Some(empty) = EMPTY.with_borrow_mut(Vec::pop) {
            return empty;
        }
        let name = format!("file:journal-{}?mode=memory&cache=shared", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(&name);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        schema::migrate(&transaction, 0).and_then(|()| transaction.commit()).unwrap();
        let path = Journal::file(Path::new("/memory"));
        Self { journal: Arc::new(Journal::over(connection, path, None)), name }
    }

    /// Empties it for whoever needs one next.
    pub(crate) fn give_back(self) {
        let emptied = self.journal.write(|transaction| {
            transaction.execute_batch("DELETE FROM requests; DELETE FROM refusals; DELETE FROM loads; DELETE FROM jobs")
        });
        // One that a simulation has left in the middle of something is not used again.
        if emptied.is_ok() {
            EMPTY.with_borrow_mut(|empty| empty.push(self));
        }
    }

    /// Lets a process open it under the name of a folder.
    pub(crate) fn at(&self, folder: &Path, gate: Arc<dyn Gate>) {
        PLACES.with_borrow_mut(|places| places.insert(folder.to_owned(), Place { shared: self.clone(), gate }));
    }

    /// The journal, as one sees it who stands outside.
    pub(crate) fn seen(&self) -> &Journal {
        &self.journal
    }

    /// How a label stands in it, in the journal's own word.
    pub(crate) fn state(&self, label: &str) -> Option<String> {
        let query = "SELECT state FROM loads WHERE label = ?1 ORDER BY run DESC LIMIT 1";
        let look =
            |connection: &Connection| connection.prepare_cached(query)?.query_row([label], |row| row.get(0)).optional();
        self.journal.read(look).unwrap()
    }

    /// How all loads stand in it: the label, and the journal's own word.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let look = |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT label, state FROM loads ORDER BY rowid")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        self.journal.read(look).unwrap()
    }

    /// Whether anything was decided in it.
    pub(crate) fn has_decided(&self) -> bool {
        let query = "SELECT EXISTS (SELECT 1 FROM jobs WHERE decided_at IS NOT NULL)";
        self.journal.read(|connection| connection.prepare_cached(query)?.query_row([], |row| row.get(0))).unwrap()
    }

    /// Whether it has a load that is known to be in the table.
    pub(crate) fn has_settled(&self) -> bool {
        let query = "SELECT EXISTS (SELECT 1 FROM loads WHERE state IN ('visible', 'committed'))";
        self.journal.read(|connection| connection.prepare_cached(query)?.query_row([], |row| row.get(0))).unwrap()
    }

    /// Whether it was decided to commit the job of a label.
    pub(crate) fn is_decided(&self, label: &str) -> bool {
        let query = "SELECT EXISTS (SELECT 1 FROM loads JOIN jobs USING (job, run)
                     WHERE label = ?1 AND decided_at IS NOT NULL)";
        self.journal.read(|connection| connection.prepare_cached(query)?.query_row([label], |row| row.get(0))).unwrap()
    }
}

/// Forgets all folders of the thread.
pub(crate) fn forget() {
    PLACES.with_borrow_mut(BTreeMap::clear);
    LEASES.with_borrow_mut(BTreeSet::clear);
}

fn connect(name: &str) -> Connection {
    if let Some(connection) = CONNECTIONS.with_borrow_mut(|known| known.get_mut(name)?.pop()) {
        return connection;
    }
    let connection = Connection::open(name).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection
}

fn place(folder: &Path) -> Option<Place> {
    PLACES.with_borrow(|places| places.get(folder).cloned())
}

pub(super) fn open(folder: &Path) -> Option<Result<Journal, Error>> {
    let Place { shared, gate } = place(folder)?;
    let path = Journal::file(folder);
    Some(if gate.before(true) {
        gate.after();
        let mut journal = Journal::over(connect(&shared.name), path, Some(gate));
        journal.name = Some(shared.name);
        Ok(journal)
    } else {
        Err(closed(&path))
    })
}

/// What a process hears of a journal that is not there any more.
fn closed(path: &Path) -> Error {
    Error::of(path, rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None))
}

/// One look or write, until it is over.
pub(super) struct Passing(Option<Arc<dyn Gate>>);

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(gate) = &self.0 {
            gate.after();
        }
    }
}

impl Journal {
    pub(super) fn pass(&self, write: bool) -> Result<Passing, Error> {
        match &self.gate {
            Some(gate) if !gate.before(write) => Err(closed(&self.path)),
            gate => Ok(Passing(gate.clone())),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let Ok(other) = Connection::open_in_memory() else { return };
        let connection = std::mem::replace(self.connection.get_mut().unwrap(), other);
        // The thread may be at its end.
        let _ = CONNECTIONS.try_with(|known| known.borrow_mut().entry(name).or_default().push(connection));
    }
}

/// The right to drive a job, while it is held.
#[derive(Debug)]
pub(super) struct Held(String, JobId);

impl Drop for Held {
    fn drop(&mut self) {
        let held = (std::mem::take(&mut self.0), self.1.clone());
        LEASES.with_borrow_mut(|leases| leases.remove(&held));
    }
}

/// Takes the lease of a job; none where another process has it. The folder has to be one in memory.
pub(super) fn lease(folder: &Path, job: &JobId) -> Option<Held> {
    let name = place(folder)?.shared.name;
    let free = LEASES.with_borrow_mut(|leases| leases.insert((name.clone(), job.clone())));
    free.then(|| Held(name, job.clone()))
}

/// Whether somebody has it; none where the folder is none in memory.
pub(super) fn is_held(folder: &Path, job: &JobId) -> Option<bool> {
    let name = place(folder)?.shared.name;
    Some(LEASES.with_borrow(|leases| leases.contains(&(name, job.clone()))))
}

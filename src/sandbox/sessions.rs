//! Who is connected and what they are running: for `SHOW PROCESSLIST`, `KILL` and `query_timeout`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Notify;

use super::function;
use super::sql::Error;
use crate::clock::{Clock as _, SystemClock};

/// How often and how long a statement is told to stop. An interrupt reaches only a statement that has begun, and one that
/// is just about to begin would not hear the first.
const INTERRUPTS: u32 = 40;
const INTERRUPT_PAUSE: Duration = Duration::from_millis(5);

type All = Arc<Mutex<BTreeMap<u32, Arc<Line>>>>;

/// Every session there is.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: All,
}

/// A session as others see it.
#[derive(Clone, Debug)]
pub(super) struct SessionView {
    pub(super) id: u32,
    pub(super) user: String,
    /// The client's address.
    pub(super) host: String,
    pub(super) database: String,
    /// What it is running.
    pub(super) statement: Option<String>,
    pub(super) query_id: String,
    pub(super) connected_ms: i64,
    /// Since when it has been running that, or nothing.
    pub(super) since_ms: i64,
}

/// Why a statement does not run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Killed,
    Timeout(Duration),
}

#[derive(Debug)]
struct State {
    view: SessionView,
    /// Counts the statements, so that nobody stops the one after the one that was meant.
    number: u64,
    stop: Option<Stop>,
}

/// What is shared with those who look at a session or end it.
struct Line {
    state: Mutex<State>,
    /// How to interrupt the statement that runs in SQLite. It is there only as long as that statement has the connection
    /// to itself.
    interrupt: Mutex<Option<InterruptHandle>>,
    closed: Notify,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A session's place among all. Dropping it ends the session.
#[derive(Debug)]
pub(super) struct Seat {
    all: All,
    id: u32,
    line: Arc<Line>,
}

/// A statement that runs. Dropping it says that it is over.
#[derive(Debug)]
pub(super) struct Running {
    line: Arc<Line>,
    number: u64,
    timer: Option<tokio::task::AbortHandle>,
}

impl Sessions {
    /// A place for a new session.
    pub(super) fn open(&self, id: u32, user: &str, host: &str) -> Seat {
        let now_ms = now_ms();
        let view = SessionView {
            id,
            user: user.to_owned(),
            host: host.to_owned(),
            database: String::new(),
            statement: None,
            query_id: String::new(),
            connected_ms: now_ms,
            since_ms: now_ms,
        };
        let state = Mutex::new(State { view, number: 0, stop: None });
        let line = Arc::new(Line { state, interrupt: Mutex::default(), closed: Notify::new() });
        lock(&self.all).insert(id, Arc::clone(&line));
        Seat { all: Arc::clone(&self.all), id, line }
    }

    /// Every session, the oldest first. Those that have not said who they are yet are not among them.
    pub(super) fn all(&self) -> Vec<SessionView> {
        let all = lock(&self.all);
        all.values().map(|line| line.state().view.clone()).filter(|view| !view.user.is_empty()).collect()
    }

    /// How many of them are running something.
    pub(super) fn running(&self) -> usize {
        self.all().iter().filter(|session| session.statement.is_some()).count()
    }

    /// Whose session this is.
    pub(super) fn user(&self, id: u32) -> Option<String> {
        lock(&self.all).get(&id).map(|line| line.state().view.user.clone())
    }

    /// Stops what a session is running, and the session too if that is wanted. Returns before it has stopped.
    pub(super) fn kill(&self, id: u32, session_too: bool) {
        let Some(line) = lock(&self.all).get(&id).cloned() else { return };
        let number = line.state().number;
        line.stop(number, Stop::Killed);
        if session_too {
            line.closed.notify_one();
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { line.insist(number).await });
        }
    }
}

impl Seat {
    /// Whose session it is, and which database it is in.
    pub(super) fn identify(&self, user: &str, database: &str) {
        let mut state = self.line.state();
        user.clone_into(&mut state.view.user);
        database.clone_into(&mut state.view.database);
    }

    /// Whether nobody has said who they are.
    pub(super) fn is_anonymous(&self) -> bool {
        self.line.state().view.user.is_empty()
    }

    /// Begins a statement, which is stopped when its time is up.
    pub(super) fn begin(&self, statement: &str, timeout: Option<Duration>) -> Arc<Running> {
        let number = {
            let mut state = self.line.state();
            state.number += 1;
            state.stop = None;
            state.view.statement = Some(statement.to_owned());
            state.view.query_id = function::uuid_text();
            state.view.since_ms = now_ms();
            state.number
        };
        let line = Arc::clone(&self.line);
        let timer = timeout.zip(tokio::runtime::Handle::try_current().ok()).map(|(timeout, runtime)| {
            let watch = async move {
                SystemClock.sleep(timeout).await;
                line.stop(number, Stop::Timeout(timeout));
                line.insist(number).await;
            };
            runtime.spawn(watch).abort_handle()
        });
        Arc::new(Running { line: Arc::clone(&self.line), number, timer })
    }

    /// Resolves when somebody has ended the session.
    pub(super) async fn closed(&self) {
        self.line.closed.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A client that has gone wants nothing any more.
        let number = self.line.state().number;
        self.line.stop(number, Stop::Killed);
        lock(&self.all).remove(&self.id);
    }
}

impl Running {
    /// Does something with a connection that others may interrupt meanwhile.
    pub(super) fn interruptible<R>(
        &self,
        connection: &Connection,
        work: impl FnOnce() -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        *lock(&self.line.interrupt) = Some(connection.get_interrupt_handle());
        // Also when the work panics, since somebody else's statement has the connection then.
        let _until_done = Uninterruptible(&self.line);
        self.check()?;
        work().map_err(|fault| self.stopped().unwrap_or_else(|| fault.into()))
    }

    /// Whether it may go on.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.stopped().map_or(Ok(()), Err)
    }

    /// Why it may not go on.
    fn stopped(&self) -> Option<Error> {
        let state = self.line.state();
        Some(match state.stop? {
            _ if state.number != self.number => return None,
            Stop::Killed => Error::new(1317, "Query execution was interrupted"),
            Stop::Timeout(timeout) => Error::new(
                1064,
                format!(
                    "Query reached its timeout of {} seconds, please increase the 'query_timeout' session variable \
                     and retry",
                    timeout.as_secs()
                ),
            ),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
        let mut state = self.line.state();
        if state.number == self.number {
            state.view.statement = None;
            state.view.since_ms = now_ms();
            state.stop = None;
        }
    }
}

struct Uninterruptible<'a>(&'a Line);

impl Drop for Uninterruptible<'_> {
    fn drop(&mut self) {
        *lock(&self.0.interrupt) = None;
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn stop(&self, number: u64, why: Stop) {
        // Held to the end, so that no other statement begins between the look at the number and the interrupt.
        let mut state = self.state();
        if state.number != number || state.view.statement.is_none() {
            return;
        }
        state.stop.get_or_insert(why);
        if let Some(handle) = &*lock(&self.interrupt) {
            handle.interrupt();
        }
    }

    /// Says it again until the statement is over.
    async fn insist(&self, number: u64) {
        for _ in 0..INTERRUPTS {
            SystemClock.sleep(INTERRUPT_PAUSE).await;
            self.stop(number, Stop::Killed);
        }
    }
}

/// Each change is a single assignment, so a panic leaves things whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time, as tables of sessions and loads keep it.
pub(super) fn now_ms() -> i64 {
    let since = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    #[test]
    fn what_runs_is_seen_and_stopped_and_the_next_is_not() {
        let sessions = Sessions::default();
        let seat = sessions.open(7, "root", "127.0.0.1:1");
        assert_eq!(sessions.running(), 0);
        let running = seat.begin("SELECT 1", None);
        assert_eq!(sessions.all()[0].statement.as_deref(), Some("SELECT 1"));
        sessions.kill(7, false);
        assert_eq!(running.check().expect_err("it was killed").code, 1317);
        drop(running);
        assert_eq!(sessions.running(), 0);
        assert_eq!(seat.begin("SELECT 2", None).check(), Ok(()));
        drop(seat);
        assert!(sessions.all().is_empty() && sessions.user(7).is_none());
    }

    #[test]
    fn a_query_without_rows_is_interrupted_by_its_timeout() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
        let _entered = runtime.enter();
        let sessions = Sessions::default();
        let seat = sessions.open(7, "root", "127.0.0.1:1");
        let connection = Connection::open_in_memory().expect("it opens");
        let running = seat.begin(LONG, Some(Duration::from_millis(20)));
        let count = running.interruptible(&connection, || connection.query_row(LONG, [], |row| row.get::<_, i64>(0)));
        assert!(count.expect_err("it never ends").message.contains("query_timeout"));
        let after = connection.query_row("SELECT 1", [], |row| row.get::<_, i64>(0));
        assert_eq!(after, Ok(1), "the connection is fit for use");
    }
}

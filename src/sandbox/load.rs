//! One Stream Load on a backend, from its headers to its answer, without HTTP.
//!
//! ```text
//!  headers ─▶ request ─▶ plan, label begun ─▶ body to a spool file ─▶ rows and label in one commit ─▶ answer
//!             └─ refused: answered at once      └─ broken off: aborted  └─ refused: rolled back, aborted
//! ```
//!
//! Rows are only parsed when the body is whole: nothing of a load that was broken off ever reaches the table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use tokio::sync::Notify;

use super::answer::Answer;
use super::body::Body;
use super::dialect::Dialect;
use super::fault::{Operation, Step};
use super::function;
use super::http::Credentials;
use super::ingest::{Counts, Failed, Tally};
use super::intake::{Intake, Place};
use super::label::{Beginning, CommitError, Goal, Load, Refusal, TIMED_OUT};
use super::ledger::{State, Totals};
use super::member::Member;
use super::node::Node;
use super::ordeal::Ordeal;
use super::overview::LoadKind;
use super::plan::Plan;
use super::store::CatalogError;
use super::surface::metrics::{Carried, Outcome};
use super::types::TableDef;
use super::user::Privilege;
use super::wire::LoadRequest;
use crate::clock::{Clock as _, SystemClock};

/// A load that has been begun and waits for its body.
pub(super) struct Job {
    node: Arc<Node>,
    member: Arc<Member>,
    /// How often the backend had lost its memory when the load was begun.
    deaths: u64,
    /// Where the error log is served.
    authority: String,
    request: LoadRequest,
    table: Arc<TableDef>,
    plan: Plan,
    load: Load,
    answer: Answer,
    begun: Instant,
    carried: Carried,
    ordeal: Ordeal,
}

/// Who asks a backend for something, and of which table.
pub(super) struct Call {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) headers: HeaderMap,
    pub(super) remote: String,
    /// The backend's host and port, as clients reach it.
    pub(super) authority: String,
}

impl Call {
    /// Who calls. The error is the message of the answer.
    pub(super) fn user(&self, node: &Node) -> Result<String, String> {
        let Some(Credentials { user, password }) = Credentials::parse(&self.headers) else {
            return Err("no valid Basic authorization".to_owned());
        };
        if node.store.check_user(&user, &password) {
            Ok(user)
        } else {
            Err(format!("Access denied for {user}@{}", self.remote))
        }
    }

    /// The same for somebody who may load into the table.
    pub(super) fn loader(&self, node: &Node) -> Result<String, String> {
        let user = self.user(node)?;
        match node.store.may(&user, Privilege::Insert, &self.database, &self.table) {
            Ok(true) => Ok(user),
            Ok(false) => Err(format!(
                "Access denied; you need (at least one of) the INSERT privilege(s) on TABLE {} for this operation",
                self.table
            )),
            Err(error) => Err(format!("the sandbox's database failed: {error}")),
        }
    }
}

impl Job {
    /// Checks a request and begins its load. The error is the answer, and then the body is not wanted.
    pub(super) fn begin(node: &Arc<Node>, member: &Arc<Member>, call: &Call) -> Result<Self, Box<Answer>> {
        let begun = SystemClock.instant();
        let deaths = member.life().deaths;
        let mut answer = Answer::new(&call.database, &call.table, "");
        if Credentials::parse(&call.headers).is_none() {
            return Err(Box::new(answer.fail("no valid Basic authorization")));
        }
        if member.is_draining() {
            return Err(Box::new(answer.fail(SHUTTING_DOWN)));
        }
        let request = match LoadRequest::parse(&call.headers, &node.limits(member)) {
            Ok(request) => request,
            Err(message) => return Err(Box::new(answer.fail(message))),
        };
        answer.label = request.label.clone().unwrap_or_else(function::uuid_text);
        let user = match call.loader(node) {
            Ok(user) => user,
            Err(message) => return Err(Box::new(answer.fail(message))),
        };
        let table = match node.store.table(&call.database, &call.table) {
            Ok(table) => table,
            Err(error) => return Err(Box::new(answer.fail(catalog_message(&error)))),
        };
        let ordeal = Ordeal::of((node, member), Operation::StreamLoad, call, &answer.label);
        if let Err(complaint) = ordeal.pass(Step::Begin) {
            return Err(Box::new(answer.fail(complaint.message)));
        }
        let beginning = Beginning {
            database: &call.database,
            label: &answer.label,
            table: &call.table,
            user: &user,
            kind: LoadKind::Stream,
            node: Some(member.position),
            timeout: request.timeout,
        };
        let load = match node.registry.begin(&beginning) {
            Ok(load) => load,
            Err(refusal) => return Err(Box::new(refuse(answer, &refusal, node.cluster.dialect))),
        };
        answer.txn_id = load.id();
        answer.begin_txn_time_ms = millis(begun);
        let planned = SystemClock.instant();
        let planned_well = ordeal.pass(Step::Plan).map_err(|complaint| complaint.message);
        match planned_well.and_then(|()| Plan::new(&request, &table)) {
            Ok(plan) => {
                answer.stream_load_plan_time_ms = millis(planned);
                let (node, member) = (Arc::clone(node), Arc::clone(member));
                let authority = call.authority.clone();
                let carried = member.metrics.load_begun(LoadKind::Stream);
                Ok(Self { node, member, deaths, authority, request, table, plan, load, answer, begun, carried, ordeal })
            }
            Err(message) => {
                abort(&load, &message);
                Err(Box::new(answer.fail(message)))
            }
        }
    }

    /// When the load's time is up.
    pub(super) fn deadline(&self) -> Instant {
        self.begun + self.request.timeout
    }

    /// Resolves when somebody aborts the load.
    pub(super) fn aborted(&self) -> Arc<Notify> {
        self.load.aborted()
    }

    /// Takes the body in and ends the load. Blocks until the body has come, or been broken off.
    pub(super) fn run(mut self, mut body: Body) -> Answer {
        let mut tally = Tally::default();
        let result = self.store(&mut body, &mut tally);
        self.answer.load_bytes = body.received;
        self.answer.load_time_ms = millis(self.begun);
        match result {
            Ok(published) => {
                self.carried.ended(Outcome::Visible, body.received, tally.counts.loaded);
                if let Err(complaint) = self.ordeal.pass(Step::Committed) {
                    return self.answer.fail(complaint.message);
                }
                self.answer.show(tally.counts);
                if published {
                    self.answer.status = "Success";
                    "OK".clone_into(&mut self.answer.message);
                } else {
                    self.answer.status = "Publish Timeout";
                }
                self.answer
            }
            Err(failed) => {
                self.answer.error_url = error_url(&self.node, &self.authority, self.load.id(), &tally);
                if matches!(failed, Failed::Rows(_)) {
                    self.answer.show(tally.counts);
                    self.load.note_log(self.answer.error_url.clone());
                }
                self.carried.ended(Outcome::Aborted, body.received, 0);
                // A backend that has died does not roll anything back, and neither does one whose rollback is lost.
                if self.member.life().deaths == self.deaths && self.ordeal.rollback().is_ok() {
                    abort(&self.load, &failed.reason());
                } else {
                    self.load.leave();
                }
                self.answer.fail(failed.to_string())
            }
        }
    }

    /// Puts the rows where they belong; tells whether they are visible.
    fn store(&mut self, body: &mut Body, tally: &mut Tally) -> Result<bool, Failed> {
        let started = SystemClock.instant();
        let mut intake = Intake::open(&self.node.dir, self.node.discard)?;
        intake.take(&self.request, body)?;
        self.answer.read_data_time_ms = millis(started);
        self.ordeal.pass(Step::Write)?;
        let hold = self.ordeal.publish();
        let (goal, place) = match hold {
            None => (Goal::Visible, Place::Table),
            Some(hold) => (Goal::Committed(hold), Place::Stage(self.load.id())),
        };
        let started = SystemClock.instant();
        let mut written = started;
        let mut url = None;
        self.load.finish(goal, |transaction| {
            let (table, plan) = (self.table.as_ref(), &self.plan);
            intake.pour(transaction, &self.request, (table, plan), place, tally)?;
            tally.counts.judge(self.request.max_filter_ratio, self.node.settings.empty_load_as_error())?;
            self.ordeal.pass(Step::Commit)?;
            self.check_time()?;
            written = SystemClock.instant();
            url = error_url(&self.node, &self.authority, self.load.id(), tally);
            Ok::<_, Failed>(totals(tally, intake.received(), url.clone()))
        })?;
        self.answer.error_url = url;
        self.answer.write_data_time_ms = written.duration_since(started).as_millis().try_into().unwrap_or(u64::MAX);
        self.answer.commit_and_publish_time_ms = millis(written);
        Ok(hold.is_none())
    }

    fn check_time(&self) -> Result<(), Failed> {
        if self.member.life().deaths != self.deaths {
            return Err(Failed::Aborted(super::label::COORDINATOR_DOWN.to_owned()));
        }
        if SystemClock.instant() > self.deadline() { Err(Failed::Aborted(TIMED_OUT.to_owned())) } else { Ok(()) }
    }
}

/// What a node that is about to leave says.
pub(super) const SHUTTING_DOWN: &str = "Service is shutting down, please retry later!";

/// What a load came to, for the ledger.
pub(super) fn totals(tally: &Tally, bytes: u64, error_url: Option<String>) -> Totals {
    let Counts { loaded, filtered, unselected } = tally.counts;
    Totals { loaded, filtered, unselected, bytes, error_url }
}

/// Puts the filtered rows where the client can fetch them.
pub(super) fn error_url(node: &Node, authority: &str, load: i64, tally: &Tally) -> Option<String> {
    match node.error_log.write(load, &tally.sample) {
        Ok(name) => name.map(|name| format!("http://{authority}/api/_load_error_log?file={name}")),
        Err(error) => {
            tracing::warn!(error = %error, transaction = load, "filtered rows could not be written down");
            None
        }
    }
}

impl From<CommitError> for Failed {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Aborted(reason) => Self::Aborted(reason),
            CommitError::Sqlite(error) => Self::Sqlite(error),
        }
    }
}

pub(super) fn abort(load: &Load, reason: &str) {
    if let Err(error) = load.abort(reason) {
        tracing::warn!(error = %error, transaction = load.id(), "an aborted load could not be written down");
    }
}

fn refuse(answer: Answer, refusal: &Refusal, dialect: Dialect) -> Answer {
    let message = refusal_message(refusal, &answer.db, &answer.label, dialect);
    match refusal {
        Refusal::Taken(state) if !dialect.hides_used_labels() => {
            let mut answer = answer.fail(message);
            answer.status = "Label Already Exists";
            answer.existing_job_status = state.existing_job_status();
            answer
        }
        _ => answer.fail(message),
    }
}

/// The server's words for a load that is not begun.
pub(super) fn refusal_message(refusal: &Refusal, database: &str, label: &str, dialect: Dialect) -> String {
    match refusal {
        Refusal::Malformed => format!("Label format error. regex: ^[-\\w]{{1,128}}$, label: {label}"),
        Refusal::Crowded(running, max) => {
            format!("current running txns on db {database} is {running}, larger than limit {max}")
        }
        Refusal::Taken(_) if dialect.hides_used_labels() => format!(
            "STREAM_LOAD_TASK:{}, label{{{label}}}, error_msg{{cancel stream task for exception: Label [{label}] has \
             already been used.}}",
            function::uuid_text()
        ),
        Refusal::Taken(_) => format!("Label [{label}] has already been used."),
        Refusal::Sqlite(error) => format!("the sandbox's database failed: {error}"),
    }
}

/// What a client is told that comes with a label that is taken.
pub(super) fn status_of_taken(state: State) -> &'static str {
    state.existing_job_status().unwrap_or_default()
}

/// The server's words for a table that is not there.
pub(super) fn catalog_message(error: &CatalogError) -> String {
    match error {
        CatalogError::UnknownDatabase(name) => format!("unknown database, database={name}"),
        CatalogError::UnknownTable(name) => format!("unknown table, table={name}"),
        CatalogError::Sqlite(error) => format!("the sandbox's database failed: {error}"),
    }
}

pub(super) fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}

/// How long a load may still take.
pub(super) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(SystemClock.instant())
}

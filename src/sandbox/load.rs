//! One Stream Load on the backend, from its headers to its answer, without HTTP.
//!
//! ```text
//!  headers ─▶ request ─▶ plan, label begun ─▶ body to a spool file ─▶ rows and label in one commit ─▶ answer
//!             └─ refused: answered at once      └─ broken off: aborted  └─ refused: rolled back, aborted
//! ```
//!
//! The body goes to a file that has no name any more, so memory stays flat and a process that dies leaves nothing.
//! Rows are only parsed when the body is whole: nothing of a load that was broken off ever reaches the table.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use tokio::sync::Notify;

use super::answer::Answer;
use super::body::Body;
use super::decompress;
use super::function;
use super::http::Credentials;
use super::ingest::{self, Counts, Failed, Tally};
use super::label::{Load, Refusal};
use super::node::Node;
use super::plan::Plan;
use super::store::CatalogError;
use super::types::TableDef;
use super::wire::{Format, LoadRequest};
use crate::clock::{Clock as _, SystemClock};

/// A load that has been begun and waits for its body.
pub(super) struct Job {
    node: Arc<Node>,
    /// Where the error log is served.
    backend: SocketAddr,
    request: LoadRequest,
    table: Arc<TableDef>,
    plan: Plan,
    load: Load,
    answer: Answer,
    begun: Instant,
}

/// Who asks for a load, and of which table.
pub(super) struct Call {
    pub(super) database: String,
    pub(super) table: String,
    pub(super) headers: HeaderMap,
    pub(super) remote: String,
    pub(super) backend: SocketAddr,
}

impl Job {
    /// Checks a request and begins its load. The error is the answer, and then the body is not wanted.
    pub(super) fn begin(node: &Arc<Node>, call: &Call) -> Result<Self, Box<Answer>> {
        let begun = SystemClock.instant();
        let mut answer = Answer::new(&call.database, &call.table, "");
        let Some(Credentials { user, password }) = Credentials::parse(&call.headers) else {
            return Err(Box::new(answer.fail("no valid Basic authorization")));
        };
        let request = match LoadRequest::parse(&call.headers) {
            Ok(request) => request,
            Err(message) => return Err(Box::new(answer.fail(message))),
        };
        answer.label = request.label.clone().unwrap_or_else(function::uuid_text);
        if !node.store.check_user(&user, &password) {
            let message = format!("Access denied for {user}@{}", call.remote);
            return Err(Box::new(answer.fail(message)));
        }
        let table = match node.store.table(&call.database, &call.table) {
            Ok(table) => table,
            Err(error) => return Err(Box::new(answer.fail(catalog_message(&error)))),
        };
        let load = match node.registry.begin(&call.database, &answer.label, &call.table) {
            Ok(load) => load,
            Err(refusal) => return Err(Box::new(refuse(answer, refusal))),
        };
        answer.txn_id = load.id();
        answer.begin_txn_time_ms = millis(begun);
        let planned = SystemClock.instant();
        match Plan::new(&request, &table) {
            Ok(plan) => {
                answer.stream_load_plan_time_ms = millis(planned);
                let (node, backend) = (Arc::clone(node), call.backend);
                Ok(Self { node, backend, request, table, plan, load, answer, begun })
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
        let result =
            if self.node.discard { self.count(&mut body, &mut tally) } else { self.store(&mut body, &mut tally) };
        self.answer.load_bytes = body.received;
        self.answer.load_time_ms = millis(self.begun);
        self.answer.error_url = self.publish(&tally);
        match result {
            Ok(()) => {
                self.show(tally.counts);
                self.answer.status = "Success";
                "OK".clone_into(&mut self.answer.message);
                self.answer
            }
            Err(failed) => {
                let message = match failed {
                    Failed::Body(message) => message,
                    Failed::Rows(message) => {
                        self.show(tally.counts);
                        message.to_owned()
                    }
                    Failed::Aborted(reason) => format!("transaction is aborted: {reason}"),
                    Failed::Sqlite(error) => format!("the sandbox's database failed: {error}"),
                    Failed::Io(error) => error.to_string(),
                };
                abort(&self.load, &message);
                self.answer.fail(message)
            }
        }
    }

    fn store(&mut self, body: &mut Body, tally: &mut Tally) -> Result<(), Failed> {
        let started = SystemClock.instant();
        let mut spool = spool(&self.node.dir)?;
        while let Some(bytes) = body.next()? {
            spool.write_all(&bytes)?;
        }
        self.check_length(body.received)?;
        spool.rewind()?;
        self.answer.read_data_time_ms = millis(started);
        let started = SystemClock.instant();
        let one_frame = matches!(self.request.format, Format::Json(_));
        let mut written = started;
        self.load.commit(|transaction| {
            let source = decompress::open(self.request.codec, one_frame, &spool)?;
            ingest::ingest(transaction, &self.request, &self.table, &self.plan, source, tally)?;
            tally.counts.judge(self.request.max_filter_ratio)?;
            self.check_time()?;
            written = SystemClock.instant();
            Ok::<_, Failed>(tally.counts.loaded)
        })?;
        self.answer.write_data_time_ms = written.duration_since(started).as_millis().try_into().unwrap_or(u64::MAX);
        self.answer.commit_and_publish_time_ms = millis(written);
        Ok(())
    }

    /// Keeps the label and nothing else.
    fn count(&mut self, body: &mut Body, tally: &mut Tally) -> Result<(), Failed> {
        let started = SystemClock.instant();
        let one_frame = matches!(self.request.format, Format::Json(_));
        let source = decompress::open(self.request.codec, one_frame, &mut *body)?;
        tally.counts.loaded = ingest::count(&self.request, source)?;
        // Bytes behind the last row (of a second frame, say) still belong to the body.
        while body.next()?.is_some() {}
        self.check_length(body.received)?;
        self.answer.read_data_time_ms = millis(started);
        tally.counts.judge(self.request.max_filter_ratio)?;
        self.load.commit(|_| self.check_time().map(|()| tally.counts.loaded))?;
        Ok(())
    }

    fn check_length(&self, received: u64) -> Result<(), Failed> {
        match self.request.content_length {
            Some(announced) if announced != received => {
                Err(Failed::Body("receive body don't equal with body bytes".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn check_time(&self) -> Result<(), Failed> {
        if SystemClock.instant() > self.deadline() { Err(Failed::Aborted(TIMED_OUT.to_owned())) } else { Ok(()) }
    }

    fn show(&mut self, counts: Counts) {
        self.answer.number_total_rows = counts.total();
        self.answer.number_loaded_rows = counts.loaded;
        self.answer.number_filtered_rows = counts.filtered;
        self.answer.number_unselected_rows = counts.unselected;
    }

    /// Puts the filtered rows where the client can fetch them.
    fn publish(&self, tally: &Tally) -> Option<String> {
        match self.node.error_log.write(self.answer.txn_id, &tally.sample) {
            Ok(name) => name.map(|name| format!("http://{}/api/_load_error_log?file={name}", self.backend)),
            Err(error) => {
                tracing::warn!(error = %error, label = %self.answer.label, "filtered rows could not be written down");
                None
            }
        }
    }
}

/// The reason of a load whose time was up.
pub(super) const TIMED_OUT: &str = "timeout by txn manager";

fn abort(load: &Load, reason: &str) {
    if let Err(error) = load.abort(reason) {
        tracing::warn!(error = %error, transaction = load.id(), "an aborted load could not be written down");
    }
}

fn refuse(answer: Answer, refusal: Refusal) -> Answer {
    let label = answer.label.clone();
    match refusal {
        Refusal::Malformed => answer.fail(format!("Label format error. regex: ^[-\\w]{{1,128}}$, label: {label}")),
        Refusal::Crowded(running) => {
            let name = answer.db.clone();
            answer.fail(format!("current running txns on db {name} is {running}, larger than limit {running}"))
        }
        Refusal::Taken(status) => {
            let mut answer = answer.fail(format!("Label [{label}] has already been used."));
            answer.status = "Label Already Exists";
            answer.existing_job_status = Some(status);
            answer
        }
        Refusal::Sqlite(error) => answer.fail(format!("the sandbox's database failed: {error}")),
    }
}

/// The server's words for a table that is not there.
pub(super) fn catalog_message(error: &CatalogError) -> String {
    match error {
        CatalogError::UnknownDatabase(name) => format!("unknown database, database={name}"),
        CatalogError::UnknownTable(name) => format!("unknown table, table={name}"),
        CatalogError::Sqlite(error) => format!("the sandbox's database failed: {error}"),
    }
}

/// A file for a body, which is gone as soon as it is closed.
fn spool(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!("spool-{}", function::uuid_text()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn millis(since: Instant) -> u64 {
    since.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}

/// How long a load may still take.
pub(super) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(SystemClock.instant())
}

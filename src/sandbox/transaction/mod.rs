//! Transactions on a backend: the bodies that belong to one, and what becomes of them.
//!
//! ```text
//!  begin ─▶ load* ─┬▶ prepare ─▶ (frontend) commit or rollback
//!                  ├▶ commit
//!                  └▶ rollback, or any failure
//! ```
//!
//! The data of a transaction belongs to the backend that began it: another one does not know the label. Bodies are only
//! taken in by `load`; whether their rows are any good comes out with `prepare` or `commit`. One request at a time may
//! work on a transaction; others are told so before their body is wanted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use tokio::sync::OwnedMutexGuard;

use super::answer::TransactionAnswer;
use super::body::Body;
use super::fault::{Operation, Step};
use super::ingest::{Failed, Tally};
use super::intake::Place;
use super::label::{Beginning, COORDINATOR_DOWN, Goal, Load, Refusal};
use super::ledger::State;
use super::load::{self, Call, SHUTTING_DOWN, millis};
use super::member::Member;
use super::multi::Multi;
use super::node::Node;
use super::ordeal::{Lost, Ordeal};
use super::overview::LoadKind;
use super::surface::metrics::{Carried, Outcome};
use super::wire::{self, Format, LoadRequest};
use crate::clock::{Clock as _, SystemClock};

mod context;

pub(super) use context::{Context, Contexts, Work};

/// The times that `begin` names.
pub(super) struct Times {
    pub(super) timeout: Duration,
    idle_timeout: Option<Duration>,
}

impl Times {
    /// Reads the headers. The error is the message of the answer.
    pub(super) fn parse(headers: &HeaderMap, default: Duration) -> Result<Self, String> {
        let timeout = wire::seconds(headers, "timeout")?.unwrap_or(default);
        Ok(Self { timeout, idle_timeout: wire::seconds(headers, "idle_transaction_timeout")? })
    }
}

/// A request on a transaction, at its backend.
pub(super) struct Request<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) member: &'a Arc<Member>,
    pub(super) call: &'a Call,
    pub(super) label: &'a str,
}

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Prepare,
    Commit,
}

impl Request<'_> {
    fn ordeal(&self, operation: Operation) -> Ordeal {
        Ordeal::of((self.node, self.member), operation, self.call, self.label)
    }

    fn answer(&self) -> TransactionAnswer {
        TransactionAnswer::new(self.label).of_table(&self.call.database, &self.call.table, self.node.cluster.dialect)
    }

    fn fail(&self, status: impl Into<Cow<'static, str>>, message: impl Into<String>) -> TransactionAnswer {
        self.answer().fail(status, message)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> TransactionAnswer {
        let started = SystemClock.instant();
        if self.member.is_draining() {
            return self.fail("SERVICE_UNAVAILABLE", SHUTTING_DOWN);
        }
        let user = match self.call.loader(self.node) {
            Ok(user) => user,
            Err(message) => return self.fail("ANALYSIS_ERROR", message),
        };
        let times = match Times::parse(&self.call.headers, self.node.settings.load_timeout()) {
            Ok(times) => times,
            Err(message) => return self.fail("INVALID_ARGUMENT", message),
        };
        if self.member.contexts.find(self.label, "").is_some_and(|context| context.is_live()) {
            return self.answer().exists("");
        }
        if let Err(error) = self.node.store.table(&self.call.database, &self.call.table) {
            return self.fail("ANALYSIS_ERROR", load::catalog_message(&error));
        }
        let work = match Work::new(self.node) {
            Ok(work) => work,
            Err(error) => return self.fail("INTERNAL_ERROR", error.to_string()),
        };
        let ordeal = self.ordeal(Operation::Begin);
        if let Err(complaint) = ordeal.pass(Step::Begin) {
            return self.fail(complaint.status, complaint.message);
        }
        let beginning = Beginning {
            database: &self.call.database,
            label: self.label,
            table: &self.call.table,
            user: &user,
            kind: LoadKind::Transaction,
            node: Some(self.member.position),
            timeout: times.timeout,
        };
        let load = match self.node.registry.begin(&beginning) {
            Ok(load) => load,
            Err(refusal) => return self.refuse(&refusal),
        };
        let id = load.id();
        let context = Context::single(self.call, self.label, load, work, &times);
        self.member.contexts.put_newest((self.label.to_owned(), String::new()), Arc::new(context));
        TransactionAnswer { txn_id: Some(id), begin_txn_time_ms: Some(millis(started)), ..self.answer() }
    }

    fn refuse(&self, refusal: &Refusal) -> TransactionAnswer {
        let dialect = self.node.cluster.dialect;
        let message = load::refusal_message(refusal, &self.call.database, self.label, dialect);
        match refusal {
            Refusal::Taken(state) if !dialect.hides_used_labels() => {
                let mut answer = self.answer().exists(load::status_of_taken(*state));
                answer.message = message;
                answer
            }
            Refusal::Sqlite(_) => self.fail("INTERNAL_ERROR", message),
            _ => self.fail("ANALYSIS_ERROR", message),
        }
    }

    /// Looks at the head of a `load`. The error is the answer, and then the body is not wanted.
    pub(super) fn load(&self) -> Result<Upload, Box<TransactionAnswer>> {
        let started = SystemClock.instant();
        let fail = |status, message: String| Err(Box::new(self.fail(status, message)));
        if let Err(message) = self.call.loader(self.node) {
            return fail("INTERNAL_ERROR", message);
        }
        let Some(context) = self.member.contexts.find(self.label, "") else {
            return fail("TXN_NOT_EXISTS", not_exists(self.label));
        };
        let Some(work) = context.try_work() else { return fail("TXN_IN_PROCESSING", in_processing(self.label)) };
        if let Some(answer) = self.gone(&context) {
            return Err(Box::new(answer));
        }
        for (what, asked, begun) in
            [("db", &self.call.database, &context.database), ("table", &self.call.table, &context.table)]
        {
            if asked != begun {
                return fail(
                    "INVALID_ARGUMENT",
                    format!("Request {what} {asked} not equal transaction {what} {begun}"),
                );
            }
        }
        self.receive(context, work, started, None)
    }

    /// The same for a transaction over several tables, which may see this one for the first time.
    pub(super) fn load_part(&self, multi: &Arc<Multi>) -> Result<Upload, Box<TransactionAnswer>> {
        let started = SystemClock.instant();
        if let Err(message) = self.call.loader(self.node) {
            return Err(Box::new(self.fail("INTERNAL_ERROR", message)));
        }
        if self.call.table.is_empty() {
            return Err(Box::new(self.fail("INVALID_ARGUMENT", "the header table is needed")));
        }
        // What an earlier transaction with the label has left is not for this one.
        let known = self.member.contexts.find(self.label, &self.call.table);
        let context = if let Some(context) = known.filter(|context| context.id == multi.id) {
            context
        } else {
            let work = Work::new(self.node);
            let work = work.map_err(|error| Box::new(self.fail("INTERNAL_ERROR", error.to_string())))?;
            let context = Arc::new(Context::part(self.call, self.label, multi, work));
            let key = (self.label.to_owned(), self.call.table.clone());
            let there = self.member.contexts.put_newest(key, Arc::clone(&context));
            // The same label may belong to a later transaction of another database, which keeps its place.
            if there.id == multi.id { there } else { context }
        };
        let Some(work) = context.try_work() else {
            return Err(Box::new(self.fail("TXN_IN_PROCESSING", in_processing(self.label))));
        };
        if !multi.join(&context) {
            return Err(Box::new(self.fail("TXN_IN_PROCESSING", in_processing(self.label))));
        }
        self.receive(context, work, started, Some(Arc::clone(multi)))
    }

    fn receive(
        &self,
        context: Arc<Context>,
        mut work: OwnedMutexGuard<Work>,
        started: Instant,
        multi: Option<Arc<Multi>>,
    ) -> Result<Upload, Box<TransactionAnswer>> {
        let limits = self.node.limits(self.member);
        let ordeal = self.ordeal(Operation::Load);
        let demanded = ordeal.pass(Step::Plan);
        let admitted = LoadRequest::parse(&self.call.headers, &limits).and_then(|mut request| {
            if let (Format::Csv(dialect), None) = (&mut request.format, &multi) {
                dialect.forget_quotes();
            }
            let table = self.node.store.table(&self.call.database, &self.call.table);
            let table = table.map_err(|error| load::catalog_message(&error))?;
            work.admit(request, &table, (&self.call.headers, &limits))
        });
        let plan_ms = millis(started);
        work.plan_ms += plan_ms;
        let upload = Upload {
            member: Arc::clone(self.member),
            deaths: self.member.life().deaths,
            context,
            work,
            multi,
            answer: self.answer(),
            plan_ms,
            carried: self.member.metrics.load_begun(LoadKind::Transaction),
            ordeal,
        };
        match (admitted, demanded) {
            (_, Err(complaint)) => Err(Box::new(upload.abort(complaint.status, complaint.message))),
            (Err(message), _) => Err(Box::new(upload.abort("INTERNAL_ERROR", message))),
            (Ok(()), Ok(())) => Ok(upload),
        }
    }

    /// What is to be said of a transaction that somebody else has ended.
    fn gone(&self, context: &Arc<Context>) -> Option<TransactionAnswer> {
        if context.is_live() {
            return None;
        }
        self.member.contexts.remove(context);
        let standing = self.node.registry.standing(&context.database, self.label);
        let reason = match standing {
            // It was not aborted at all: this request comes behind one that has ended it.
            Ok(standing) if standing.id == Some(context.id) && standing.state != State::Aborted => {
                return Some(self.fail("TXN_NOT_EXISTS", not_exists(self.label)));
            }
            standing => standing.map(|standing| standing.reason).unwrap_or_default(),
        };
        Some(self.fail("ABORTED", format!("transaction is aborted by {reason}")))
    }

    /// Prepares or commits a transaction.
    pub(super) fn end(&self, end: End) -> TransactionAnswer {
        if let Err(message) = self.call.user(self.node) {
            return self.fail("INTERNAL_ERROR", message);
        }
        let Some(context) = self.member.contexts.find(self.label, "") else {
            return self.fail("TXN_NOT_EXISTS", not_exists(self.label));
        };
        let Some(mut work) = context.try_work() else {
            return self.fail("TXN_IN_PROCESSING", in_processing(self.label));
        };
        if let Some(answer) = self.gone(&context) {
            return answer;
        }
        let mut answer = self.answer();
        answer.txn_id = Some(context.id);
        let operation = if end == End::Prepare { Operation::Prepare } else { Operation::Commit };
        let ordeal = self.ordeal(operation);
        let hold = if end == End::Commit { ordeal.publish() } else { None };
        let goal = match (end, wire::seconds(&self.call.headers, "prepared_timeout")) {
            (End::Commit, _) => hold.map_or(Goal::Visible, Goal::Committed),
            (End::Prepare, Ok(given)) => {
                let given = given.filter(|_| self.node.cluster.dialect.limits_prepared());
                Goal::Prepared(given.unwrap_or(self.node.settings.prepared_timeout()))
            }
            (End::Prepare, Err(message)) => return self.fail("INVALID_ARGUMENT", message),
        };
        let result = if work.is_empty() {
            Err(Failed::Body(format!("transaction {} hasn't send any data yet", self.label)))
        } else {
            let step = if end == End::Prepare { Step::Prepare } else { Step::Commit };
            ordeal.pass(step).map_err(Failed::from).and_then(|()| self.settle(&context, &mut work, goal, &mut answer))
        };
        self.member.contexts.remove(&context);
        let Err(failed) = result else {
            let step = if end == End::Prepare { Step::Prepared } else { Step::Committed };
            return match ordeal.pass(step) {
                Err(complaint) => answer.fail(complaint.status, complaint.message),
                // Committed, whatever the status says.
                Ok(()) if hold.is_some() => answer.fail("PUBLISH_TIMEOUT", "publish timeout"),
                Ok(()) => answer,
            };
        };
        context.give_up(&ordeal, &failed.reason());
        answer.fail(status_of(&failed), failed.to_string())
    }

    fn settle(
        &self,
        context: &Context,
        work: &mut Work,
        goal: Goal,
        answer: &mut TransactionAnswer,
    ) -> Result<(), Failed> {
        let load = context.lock_load().clone();
        let Some(load) = load.as_ref() else {
            return Err(Failed::Aborted("the backend has lost the transaction".to_owned()));
        };
        let started = SystemClock.instant();
        let mut written = started;
        let mut tally = Tally::default();
        let mut url = None;
        let received = work.received();
        let place = if goal == Goal::Visible { Place::Table } else { Place::Stage(load.id()) };
        let result = load.finish(goal, |transaction| {
            let poured = work.pour(transaction, place, self.node.settings.empty_load_as_error(), &mut tally);
            url = load::error_url(self.node, &self.call.authority, load.id(), &tally);
            poured?;
            if context.lock_load().is_none() {
                return Err(Failed::Aborted(COORDINATOR_DOWN.to_owned()));
            }
            written = SystemClock.instant();
            Ok::<_, Failed>(load::totals(&tally, received, url.clone()))
        });
        answer.show(tally.counts);
        answer.load_bytes = Some(received);
        answer.load_time_ms = Some(millis(context.begun));
        answer.stream_load_plan_time_ms = Some(work.plan_ms);
        answer.received_data_time_ms = Some(work.received_ms);
        answer.write_data_time_ms = Some(written.duration_since(started).as_millis().try_into().unwrap_or(u64::MAX));
        answer.commit_and_publish_time_ms = Some(millis(written));
        if matches!(result, Err(Failed::Rows(_))) {
            load.note_log(url.clone());
        }
        answer.error_url = url;
        result
    }

    /// Rolls a transaction back.
    pub(super) fn rollback(&self) -> TransactionAnswer {
        if let Err(message) = self.call.user(self.node) {
            return self.fail("INTERNAL_ERROR", message);
        }
        let Some(context) = self.member.contexts.find(self.label, "") else {
            return self.fail("TXN_NOT_EXISTS", not_exists(self.label));
        };
        // Kept to the end, so that nobody prepares or commits meanwhile.
        let Some(_work) = context.try_work() else {
            return self.fail("TXN_IN_PROCESSING", in_processing(self.label));
        };
        if let Some(answer) = self.gone(&context).filter(|answer| answer.status != "ABORTED") {
            return answer;
        }
        let lost = self.ordeal(Operation::Rollback).rollback();
        if let Err(Lost::Because(complaint)) = lost {
            return self.fail(complaint.status, complaint.message);
        }
        self.member.contexts.remove(&context);
        if lost.is_ok() {
            context.abort("User Cancelled");
        } else if let Some(load) = context.take_load() {
            leave(load);
        }
        self.answer()
    }
}

/// A body on its way into a transaction.
pub(super) struct Upload {
    member: Arc<Member>,
    /// How often the backend had lost its memory when the body began.
    deaths: u64,
    context: Arc<Context>,
    work: OwnedMutexGuard<Work>,
    multi: Option<Arc<Multi>>,
    answer: TransactionAnswer,
    plan_ms: u64,
    carried: Carried,
    ordeal: Ordeal,
}

impl Upload {
    /// Takes the body in. Blocks until it has come, or been broken off.
    pub(super) fn run(mut self, mut body: Body) -> TransactionAnswer {
        let started = SystemClock.instant();
        let work = &mut *self.work;
        let request = &work.first.as_ref().expect("a body is only taken in once it is admitted").0;
        let taken = work.intake.take(request, &mut body).and_then(|()| Ok(self.ordeal.pass(Step::Write)?));
        let received_ms = millis(started);
        work.received_ms += received_ms;
        if self.member.life().deaths != self.deaths {
            work.lost = true;
        }
        if let Err(failed) = taken {
            return self.abort(status_of(&failed), failed.to_string());
        }
        if self.context.is_over() {
            // Cancelled while the body came: its bytes are in nothing that can still be committed.
            return self.answer.fail("ABORTED", "transaction is aborted");
        }
        self.carried.ended(Outcome::Visible, body.received, 0);
        TransactionAnswer {
            txn_id: Some(self.context.id),
            load_bytes: Some(body.received),
            stream_load_plan_time_ms: Some(self.plan_ms),
            received_data_time_ms: Some(received_ms),
            ..self.answer
        }
    }

    /// Ends the transaction, because a body is not what it should be.
    fn abort(self, status: impl Into<Cow<'static, str>>, message: String) -> TransactionAnswer {
        if let Some(multi) = &self.multi {
            multi.abort(&message);
        } else if self.member.life().deaths == self.deaths {
            self.context.give_up(&self.ordeal, &message);
            self.member.contexts.remove(&self.context);
        }
        self.answer.fail(status, message)
    }
}

/// Leaves a transaction in PREPARE: it is never dropped, though whoever is at its end may still have it.
fn leave(load: Arc<Load>) {
    std::mem::forget(load);
}

/// The name of the status that a failure has.
fn status_of(failed: &Failed) -> Cow<'static, str> {
    match failed {
        Failed::Rows(_) => "DATA_QUALITY_ERROR".into(),
        Failed::Aborted(_) => "ABORTED".into(),
        Failed::Demanded(complaint) => complaint.status.clone().into(),
        Failed::Body(_) | Failed::Sqlite(_) | Failed::Io(_) => "INTERNAL_ERROR".into(),
    }
}

pub(super) fn not_exists(label: &str) -> String {
    format!("transaction with label {label} not exists")
}

pub(super) fn in_processing(label: &str) -> String {
    format!("Transaction in processing, please retry later, label: {label}")
}

//! Merge commit: many small loads with the same settings become one transaction (3.4).
//!
//! ```text
//!  request ─▶ window of its table and settings ── after merge_commit_interval_ms ─▶ one load ─▶ the answers
//! ```
//!
//! The server makes the label up; a client's `label` only comes back as `RequestId` and keeps nothing from being loaded
//! twice. One bad request fails every request of its window.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::body::Body;
use super::fault::{Operation, Step};
use super::function;
use super::http;
use super::ingest::{Failed, Tally};
use super::intake::{Intake, Place};
use super::label::{Beginning, COORDINATOR_DOWN, Goal, Load};
use super::load::{self, Call, SHUTTING_DOWN, millis};
use super::member::Member;
use super::node::Node;
use super::ordeal::Ordeal;
use super::overview::LoadKind;
use super::plan::Plan;
use super::types::TableDef;
use super::wire::{self, Format, LoadRequest};
use crate::clock::{Clock as _, SystemClock};

/// How long a window stays open when the request does not say.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_mins(5);

/// The reply to a load that is put together with others.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MergeAnswer {
    txn_id: i64,
    label: String,
    db: String,
    table: String,
    status: &'static str,
    message: String,
    request_id: String,
    load_bytes: u64,
    load_time_ms: u64,
    read_data_time_ms: u64,
    pending_time_ms: u64,
    wait_plan_time_ms: u64,
    write_data_time_ms: u64,
    wait_finish_time_ms: u64,
    left_merge_time_ms: u64,
}

/// The windows of a backend that are open.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<Vec<Arc<Window>>>);

/// Requests that become one load.
#[derive(Debug)]
struct Window {
    request: LoadRequest,
    table: Arc<TableDef>,
    plan: Plan,
    label: String,
    load: Load,
    closes: Instant,
    empty_load_as_error: bool,
    ordeal: Ordeal,
    /// Nothing once it is closed.
    bodies: Mutex<Option<Vec<Intake>>>,
    /// Nothing until it has ended; then what went wrong, if anything.
    ended: watch::Sender<Option<Result<(), String>>>,
}

/// A request whose head was found good.
pub(super) struct Merging {
    node: Arc<Node>,
    member: Arc<Member>,
    request: LoadRequest,
    table: Arc<TableDef>,
    plan: Plan,
    user: String,
    interval: Duration,
    waits: bool,
    answer: MergeAnswer,
    begun: Instant,
}

impl Merging {
    /// Looks at the head of a request. The error is the answer, and then the body is not wanted.
    pub(super) fn begin(node: &Arc<Node>, member: &Arc<Member>, call: &Call) -> Result<Self, Box<MergeAnswer>> {
        let begun = SystemClock.instant();
        let mut answer = MergeAnswer::new(call);
        match Self::check(node, member, call) {
            Ok((request, table, plan, user)) => {
                let interval = wire::millis(&call.headers, "merge_commit_interval_ms");
                let interval = interval.unwrap_or(INTERVAL_DEFAULT).min(INTERVAL_MAX);
                let waits = !wire::flag(&call.headers, "merge_commit_async");
                answer.request_id = request.label.clone().unwrap_or_else(function::uuid_text);
                let (node, member) = (Arc::clone(node), Arc::clone(member));
                Ok(Self { node, member, request, table, plan, user, interval, waits, answer, begun })
            }
            Err(message) => Err(Box::new(answer.fail(message))),
        }
    }

    fn check(
        node: &Arc<Node>,
        member: &Arc<Member>,
        call: &Call,
    ) -> Result<(LoadRequest, Arc<TableDef>, Plan, String), String> {
        let user = call.loader(node)?;
        if member.is_draining() {
            return Err(SHUTTING_DOWN.to_owned());
        }
        let request = LoadRequest::parse(&call.headers, &node.limits(member))?;
        if matches!(&request.format, Format::Csv(dialect) if dialect.skip_header > 0) {
            return Err("skip_header is not supported with merge commit".to_owned());
        }
        let table = node.store.table(&call.database, &call.table);
        let table = table.map_err(|error| load::catalog_message(&error))?;
        let plan = Plan::new(&request, &table)?;
        Ok((request, table, plan, user))
    }

    /// Takes the body in and puts it into a window, which it opens if there is none. Blocks until the body has come.
    pub(super) fn append(
        mut self,
        mut body: Body,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Waiting, Box<MergeAnswer>> {
        let taken = Intake::open(&self.node.dir, self.node.discard).map_err(Failed::from).and_then(|mut intake| {
            intake.take(&self.request, &mut body)?;
            Ok(intake)
        });
        self.answer.load_bytes = body.received;
        self.answer.read_data_time_ms = millis(self.begun);
        match taken.map_err(|failed| failed.to_string()).and_then(|intake| self.join(intake)) {
            Ok((window, opened)) => {
                // Here, as the request that opens the window may go away at any moment.
                if opened {
                    let nodes = (Arc::clone(&self.node), Arc::clone(&self.member));
                    tokio::spawn(close(nodes, Arc::clone(&window), shutdown));
                }
                self.answer.txn_id = window.load.id();
                self.answer.label.clone_from(&window.label);
                Ok(Waiting { merging: self, window })
            }
            Err(message) => Err(Box::new(self.answer.fail(message))),
        }
    }

    fn join(&self, intake: Intake) -> Result<(Arc<Window>, bool), String> {
        let mut windows = self.member.windows.lock();
        let alike = |window: &&Arc<Window>| window.table.id == self.table.id && window.request.is_like(&self.request);
        for window in windows.iter().filter(alike) {
            // It may close at any moment, so it is looked at and filled under one lock.
            if let Some(bodies) = window.lock().as_mut() {
                bodies.push(intake);
                return Ok((Arc::clone(window), false));
            }
        }
        let label = format!("merge_commit_{}", function::uuid_text());
        let beginning = Beginning {
            database: &self.table.database,
            label: &label,
            table: &self.table.name,
            user: &self.user,
            kind: LoadKind::Merged,
            node: Some(self.member.position),
            timeout: self.request.timeout,
        };
        let load = self.node.registry.begin(&beginning);
        let load = load.map_err(|refusal| {
            load::refusal_message(&refusal, &self.table.database, &label, self.node.cluster.dialect)
        })?;
        let nodes = (&self.node, &self.member);
        let ordeal = Ordeal::new(nodes, Operation::StreamLoad, &self.table.database, &label);
        let window = Arc::new(Window {
            request: self.request.clone(),
            table: Arc::clone(&self.table),
            plan: self.plan.clone(),
            label,
            load,
            closes: SystemClock.instant() + self.interval,
            empty_load_as_error: self.node.settings.empty_load_as_error(),
            ordeal,
            bodies: Mutex::new(Some(vec![intake])),
            ended: watch::Sender::new(None),
        });
        windows.push(Arc::clone(&window));
        Ok((window, true))
    }
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Window>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, window: &Arc<Window>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, window));
    }

    /// Loses everything, as a backend does that dies.
    pub(super) fn lose(&self) {
        let all = std::mem::take(&mut *self.lock());
        for window in all {
            // One that is being loaded has nothing here any more, and goes on.
            if window.lock().take().is_some() {
                load::abort(&window.load, COORDINATOR_DOWN);
                window.ended.send_replace(Some(Err(COORDINATOR_DOWN.to_owned())));
            }
        }
    }
}

impl Window {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<Intake>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads what has been put together.
    fn close(&self) {
        let Some(mut bodies) = self.lock().take() else { return };
        let result = self.load.finish(Goal::Visible, |transaction| {
            let mut tally = Tally::default();
            for intake in &mut bodies {
                let plan = (self.table.as_ref(), &self.plan);
                intake.pour(transaction, &self.request, plan, Place::Table, &mut tally)?;
            }
            tally.counts.judge(self.request.max_filter_ratio, self.empty_load_as_error)?;
            self.ordeal.pass(Step::Commit)?;
            Ok::<_, Failed>(load::totals(&tally, bodies.iter().map(Intake::received).sum(), None))
        });
        let result = match result {
            Ok(()) => self.ordeal.pass(Step::Committed).map_err(|complaint| complaint.message),
            Err(failed) => {
                load::abort(&self.load, &failed.reason());
                Err(failed.to_string())
            }
        };
        self.ended.send_replace(Some(result));
    }
}

/// A request whose body is in a window.
pub(super) struct Waiting {
    merging: Merging,
    window: Arc<Window>,
}

/// Closes a window when it is time, or when the sandbox stops. Holds on to the node, so that a sandbox that stops waits
/// for what is in the window.
async fn close(nodes: (Arc<Node>, Arc<Member>), window: Arc<Window>, mut shutdown: watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(load::remaining(window.closes)) => {}
        () = http::stopped(&mut shutdown) => {}
    }
    let closing = Arc::clone(&window);
    http::blocking(move || closing.close()).await;
    let (node, member) = nodes;
    // A window knows its node, and would keep it alive.
    member.windows.remove(&window);
    drop(node);
}

impl Waiting {
    /// Waits for the answer: until the window has been loaded, or not at all when the client does not want to.
    pub(super) async fn answer(self) -> MergeAnswer {
        let Self { mut merging, window } = self;
        let left = load::remaining(window.closes).as_millis().try_into().unwrap_or(u64::MAX);
        merging.answer.left_merge_time_ms = left;
        let appended = SystemClock.instant();
        let mut answer = if merging.waits {
            let mut ended = window.ended.subscribe();
            let result = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
            merging.answer.wait_finish_time_ms = millis(appended);
            match result {
                Ok(Some(Ok(()))) => merging.answer.succeed(),
                Ok(Some(Err(message))) => merging.answer.fail(message),
                Ok(None) | Err(_) => merging.answer.fail("the load was broken off"),
            }
        } else {
            merging.answer.succeed()
        };
        answer.load_time_ms = millis(merging.begun);
        answer
    }
}

impl MergeAnswer {
    fn new(call: &Call) -> Self {
        Self {
            txn_id: -1,
            label: String::new(),
            db: call.database.clone(),
            table: call.table.clone(),
            status: "Fail",
            message: String::new(),
            request_id: String::new(),
            load_bytes: 0,
            load_time_ms: 0,
            read_data_time_ms: 0,
            pending_time_ms: 0,
            wait_plan_time_ms: 0,
            write_data_time_ms: 0,
            wait_finish_time_ms: 0,
            left_merge_time_ms: 0,
        }
    }

    fn fail(mut self, message: impl Into<String>) -> Self {
        self.status = "Fail";
        self.message = message.into();
        self
    }

    fn succeed(mut self) -> Self {
        self.status = "Success";
        "OK".clone_into(&mut self.message);
        self
    }
}

//! Jobs of the service: accepted, run in turn, remembered, and begun again by the next service where this one dies.
//!
//! ```text
//!  accept ─▶ journal: request ─▶ wait for a turn ─▶ Loader ─▶ journal: outcome ─▶ remembered
//!                │                                     │
//!                └── next start, where no outcome is ──┴── a drain leaves it without one
//! ```
//!
//! A request and the job that it becomes are two things: the job is what the loader makes of inputs, target and settings, so
//! that asking twice for the same work loads it once; and `shipload status`, `resume` and `cancel` know it, too.

pub(super) mod again;
pub(super) mod ask;
pub(super) mod entry;
mod roots;
pub(super) mod run;
mod tally;
mod targets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::Error;
use super::api::problem::Problem;
use super::events::Events;
use super::life::Beat;
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::config::{PROGRAM_BYTES, ServiceConfig, default_state_folder};
use crate::failure::{Code, chain};
use crate::loader::{Claim, Journal, JournalError, Lease, Shares, Standing, Supervisor};
use crate::telemetry::{Registry, metric};
use ask::{Ask, Kind};
use entry::{Entry, Outcome, State};
use targets::Targets;

/// How often progress is told and counted.
const TICK: Duration = Duration::from_secs(1);

/// The lease that a service holds on its folder, by a name that no job gets by itself.
const OWN_LEASE: &str = "shipload-service";

/// Seconds after which it is worth asking again when too much waits.
pub(super) const RETRY_SECONDS: u64 = 5;

pub(super) struct Jobs {
    pub(super) journal: Journal,
    pub(super) state_folder: PathBuf,
    rejects_folder: PathBuf,
    /// One service at a time has the folder.
    _lease: Lease,
    pub(super) supervisor: Supervisor,
    pub(super) targets: Targets,
    pub(super) events: Arc<Events>,
    metrics: Arc<Registry>,
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// Tasks that have not ended.
    at_work: watch::Sender<usize>,
    draining: AtomicBool,
    /// Struck by the loop that keeps count.
    pub(super) beat: Beat,
    config: watch::Receiver<Arc<ServiceConfig>>,
}

impl Jobs {
    /// Opens the journal. Nothing runs before [`recover`](Self::recover).
    pub(super) fn open(
        config: watch::Receiver<Arc<ServiceConfig>>,
        metrics: Arc<Registry>,
        events: Arc<Events>,
    ) -> Result<Self, Error> {
        let options = Arc::clone(&config.borrow());
        let state_folder = state_folder(&options).ok_or(Error::NoFolder)?;
        let state_folder = std::path::absolute(&state_folder).unwrap_or(state_folder);
        let rejects = options.jobs.rejects_dir.clone().unwrap_or_else(|| state_folder.join("rejects"));
        let journal = Journal::open(&state_folder)?;
        let own = OWN_LEASE.parse().expect("it is a name");
        let lease = journal.lease(&own, SystemClock.now())?;
        let lease = lease.ok_or_else(|| Error::Taken { folder: state_folder.clone() })?;
        Ok(Self {
            journal,
            rejects_folder: std::path::absolute(&rejects).unwrap_or(rejects),
            state_folder,
            _lease: lease,
            supervisor: Supervisor::new(shares(&options)),
            targets: Targets::default(),
            events,
            metrics,
            entries: Mutex::default(),
            at_work: watch::channel(0).0,
            draining: AtomicBool::new(false),
            beat: Beat::default(),
            config,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> Arc<ServiceConfig> {
        Arc::clone(&self.config.borrow())
    }

    /// Goes on with what an earlier service has left, and keeps count from then on.
    pub(super) fn recover(self: &Arc<Self>) -> Result<(), Error> {
        for stored in self.journal.requests()? {
            let Ok(ask) = serde_json::from_str::<Ask>(&stored.body) else {
                tracing::warn!(id = stored.id, "another version has accepted this request; it is left as it is");
                continue;
            };
            let entry = Entry::new(stored.id.clone(), ask, stored.accepted_at);
            let outcome = stored.outcome.as_deref().and_then(|text| serde_json::from_str::<Outcome>(text).ok());
            if let (Some(ended_at), Some(outcome)) = (stored.ended_at, outcome) {
                self.lock().insert(stored.id, Arc::new(entry.ended(ended_at, outcome)));
                continue;
            }
            let entry = Arc::new(entry);
            self.lock().insert(stored.id, Arc::clone(&entry));
            tracing::info!(id = entry.id, "going on with what an earlier service has begun");
            self.spawn(entry);
        }
        let jobs = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(jobs) = jobs.upgrade() else { return };
                jobs.tick();
                jobs.beat.strike();
            }
        });
        Ok(())
    }

    fn tick(&self) {
        let running: Vec<_> = self.lock().values().filter(|entry| entry.state() == State::Running).cloned().collect();
        for entry in running {
            tally::count(&self.metrics, &entry);
            if self.events.is_heard() {
                self.events.mention("progress", &entry.id, entry.view());
            }
        }
    }

    /// Measures what nobody counts as it happens.
    pub(super) fn measure(&self) {
        let entries: Vec<_> = self.lock().values().cloned().collect();
        for entry in entries.iter().filter(|entry| entry.state() == State::Running) {
            tally::count(&self.metrics, entry);
        }
        tally::gauge(&self.metrics, entries.iter().map(Arc::as_ref));
        for state in [State::Waiting, State::Running] {
            let count = entries.iter().filter(|entry| entry.state() == state).count();
            self.metrics.set(&metric::JOBS, &[state.word()], tally::number(count as u64));
        }
        self.metrics.set(&metric::MEMORY, &["limit"], tally::number(self.config().jobs.memory.0));
        self.metrics.set(&metric::MEMORY, &["granted"], tally::number(self.standing().bytes));
        self.metrics.set(&metric::JOURNAL, &[], tally::number(self.journal.bytes()));
    }

    pub(super) fn standing(&self) -> Standing {
        self.supervisor.standing()
    }

    /// Takes over what a new configuration says of memory and numbers.
    pub(super) fn share(&self) {
        self.supervisor.share(shares(&self.config()));
    }

    /// Refuses what is new while the service stops.
    pub(super) fn is_open(&self) -> Result<(), Problem> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Problem::new(Code::Stopping, "the service is stopping")
                .with_retry(RETRY_SECONDS)
                .with_hint("ask again when it is back"));
        }
        Ok(())
    }

    /// Accepts a request for files: it is in the journal when this returns. The same request under the same key is the one
    /// that there is.
    pub(super) fn submit(self: &Arc<Self>, ask: Ask, key: Option<&str>) -> Result<(Arc<Entry>, bool), Problem> {
        self.is_open()?;
        let id = key.map_or_else(new_id, key_id);
        let entry = {
            let mut entries = self.lock();
            if let Some(known) = entries.get(&id) {
                let what = format!("the key {} stands for another request", key.unwrap_or_default());
                let other = || Problem::new(Code::KeyInUse, what).with_hint("use another key for other work");
                return if known.ask == ask { Ok((Arc::clone(known), false)) } else { Err(other()) };
            }
            let max = self.config().jobs.waiting_max as usize;
            let waiting = entries.values().filter(|entry| entry.state() == State::Waiting).count();
            if waiting >= max {
                let problem = Problem::new(Code::TooMuch, format!("{waiting} jobs wait already"));
                return Err(problem.with_retry(RETRY_SECONDS).with_hint("ask again later, or raise jobs.waiting_max"));
            }
            let entry = self.accept(id.clone(), ask)?;
            entries.insert(id, Arc::clone(&entry));
            entry
        };
        self.tell(&entry);
        self.spawn(Arc::clone(&entry));
        Ok((entry, true))
    }

    /// Accepts an upload, of whose key nothing is at work.
    pub(super) fn submit_upload(self: &Arc<Self>, ask: Ask, key: &str) -> Result<Arc<Entry>, Problem> {
        self.is_open()?;
        let id = key_id(key);
        let mut entries = self.lock();
        if let Some(known) = entries.get(&id) {
            if !known.state().is_over() {
                let what = format!("a request under the key {key} is at work");
                let problem = Problem::new(Code::KeyInUse, what).with_retry(RETRY_SECONDS);
                return Err(problem.with_hint("wait for it, or use another key"));
            }
            if known.ask != ask {
                let what = format!("the key {key} stands for another upload");
                let problem = Problem::new(Code::KeyInUse, what).with_status(hyper::StatusCode::UNPROCESSABLE_ENTITY);
                return Err(problem.with_hint("use another key for other work"));
            }
        }
        let max = self.config().uploads.running_max as usize;
        let at_work = entries.values().filter(|one| one.ask.kind == Kind::Upload && !one.state().is_over()).count();
        if at_work >= max {
            let problem = Problem::new(Code::TooMuch, format!("{at_work} uploads are at work already"));
            let problem = problem.with_status(hyper::StatusCode::SERVICE_UNAVAILABLE).with_retry(RETRY_SECONDS);
            return Err(problem.with_hint("ask again later, or raise uploads.running_max"));
        }
        let entry = self.accept(id.clone(), ask)?;
        entries.insert(id, Arc::clone(&entry));
        drop(entries);
        self.tell(&entry);
        Ok(entry)
    }

    fn accept(&self, id: String, ask: Ask) -> Result<Arc<Entry>, Problem> {
        let now = SystemClock.now();
        let body = serde_json::to_string(&ask).expect("plain values");
        tokio::task::block_in_place(|| self.journal.accept(&id, &body, now)).map_err(|error| Problem::of(&error))?;
        Ok(Arc::new(Entry::new(id, ask, rfc3339(now))))
    }

    /// A request by its name, or by that of the job it became.
    pub(super) fn find(&self, name: &str) -> Result<Arc<Entry>, Problem> {
        let entries = self.lock();
        if let Some(entry) = entries.get(name) {
            return Ok(Arc::clone(entry));
        }
        let by_job = entries.values().filter(|entry| entry.job().as_deref() == Some(name));
        let newest = by_job.max_by(|one, other| one.accepted_at.cmp(&other.accepted_at)).cloned();
        newest.ok_or_else(|| {
            let near = crate::near::names(name, entries.keys().map(String::as_str));
            let hint =
                near.first().map_or("GET /v1/jobs lists them".to_owned(), |near| format!("did you mean {near}?"));
            Problem::new(Code::JobUnknown, format!("there is no job {name}")).with_hint(&hint)
        })
    }

    /// All of them, newest first.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.lock().values().cloned().collect();
        entries.sort_by(|one, other| (&other.accepted_at, &other.id).cmp(&(&one.accepted_at, &one.id)));
        entries
    }

    /// Asks for the end of one.
    pub(super) async fn cancel(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Problem> {
        match entry.state() {
            State::Waiting | State::Running => {
                let was_tried = entry.last_try().is_some();
                entry.unwanted.store(true, Ordering::Relaxed);
                // What is at work looks there itself; the command line sees it there, too.
                if let Some(found) = self.in_journal(entry).map_err(|error| Problem::of(&error))? {
                    let cancelled = self.journal.cancel(&found.job, found.run, SystemClock.now());
                    cancelled.map_err(|error| Problem::of(&error))?;
                }
                entry.cancel.send_replace(true);
                if was_tried {
                    tokio::spawn(Arc::clone(self).settle_when_over(Arc::clone(entry)));
                }
                Ok(())
            }
            State::Finished | State::AlreadyLoaded => {
                Err(Problem::new(Code::NotResumable, "the job has finished")
                    .with_hint("nothing that is loaded is undone"))
            }
            _ => self.settle(entry).await,
        }
    }

    /// Settles what the last try of a cancelled one has left open. The target may still be away.
    async fn settle_when_over(self: Arc<Self>, entry: Arc<Entry>) {
        entry.over().await;
        if let Err(problem) = self.settle(&entry).await {
            tracing::warn!(id = entry.id, code = %problem.code(), "cancelled, but not settled: {}", problem.detail());
        }
    }

    fn in_journal(&self, entry: &Entry) -> Result<Option<crate::loader::JobEntry>, JournalError> {
        let Some(job) = entry.job().and_then(|job| job.parse().ok()) else { return Ok(None) };
        tokio::task::block_in_place(|| self.journal.job(&job))
    }

    /// Goes on with one that has ended before its time, or is to be tried again later.
    pub(super) fn resume(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<Arc<Entry>, Problem> {
        self.is_open()?;
        let refused = |what: &str, hint: &str| Err(Problem::new(Code::NotResumable, what).with_hint(hint));
        match entry.state() {
            State::Waiting if entry.last_try().is_some() => {
                entry.now_please.notify_one();
                return Ok(Arc::clone(entry));
            }
            State::Waiting | State::Running => return refused("the job is at work", "wait for it"),
            State::Finished | State::AlreadyLoaded => {
                return refused("the job has finished", "there is nothing left to do");
            }
            _ => {}
        }
        if entry.ask.kind == Kind::Upload && !self.lies_in_spool(entry).map_err(|error| Problem::of(&error))? {
            return refused("only whoever sends the upload can go on with it", "send it again under the same key");
        }
        let mut entries = self.lock();
        let again = self.accept(entry.id.clone(), entry.ask.clone())?;
        entries.insert(entry.id.clone(), Arc::clone(&again));
        drop(entries);
        self.tell(&again);
        self.spawn(Arc::clone(&again));
        Ok(again)
    }

    /// Takes nothing new, and waits until everything has come to its end.
    pub(super) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        for entry in self.lock().values() {
            entry.drain.send_replace(true);
        }
        let _ = self.at_work.subscribe().wait_for(|at_work| *at_work == 0).await;
        self.targets.close().await;
    }

    /// Cuts off what is under way.
    pub(super) fn cut_off(&self) {
        for entry in self.lock().values() {
            entry.cancel.send_replace(true);
        }
    }

    /// Tells listeners how one stands.
    fn tell(&self, entry: &Entry) {
        self.events.tell("job", &entry.id, entry.view());
    }

    /// Forgets the oldest that have ended, as far as there are too many.
    fn forget(&self) {
        let max = self.config().jobs.remembered_max as usize;
        let over: Vec<_> = self.all().into_iter().filter(|entry| entry.state().is_over()).skip(max).collect();
        for entry in over {
            match self.journal.forget_request(&entry.id) {
                Ok(()) => drop(self.lock().remove(&entry.id)),
                Err(error) => tracing::warn!(id = entry.id, "an old request is kept: {}", chain(&error)),
            }
        }
    }
}

fn state_folder(config: &ServiceConfig) -> Option<PathBuf> {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from).filter(|folder| folder.is_absolute());
    config.jobs.state_dir.clone().or_else(systemd).or_else(default_state_folder)
}

fn shares(config: &ServiceConfig) -> Shares {
    let jobs = &config.jobs;
    let bytes = jobs.memory.0.saturating_sub(PROGRAM_BYTES);
    // Where there is one target only, nobody else could use what is kept free.
    let others = config.targets.len() > 1 || jobs.any_target;
    Shares { bytes, running: jobs.running_max as usize, reserve: if others { jobs.job_memory.0 } else { 0 } }
}

/// What a request claims of it.
fn claim(config: &ServiceConfig, ask: &Ask, bytes: u64) -> Claim {
    let target_max = config.targets.get(&ask.target).map_or(config.jobs.running_max, |target| target.running_max);
    Claim { target: ask.target.clone(), target_max: target_max as usize, bytes }
}

/// A name for a request: in the order of time, and never given twice.
pub(super) fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff;
    format!("{:013x}{number:04x}", since.as_micros())
}

/// The name of a request that was given a key.
pub(super) fn key_id(key: &str) -> String {
    format!("key-{key}")
}

//! [`Entry`]: one request from its acceptance to its end, and what is shown of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::ask::Ask;
use super::tally::Seen;
use crate::clock::{Clock as _, SystemClock};
use crate::loader::Stop;
use crate::model::report::ErrorReport;
use crate::model::{JobState, Report};
use crate::telemetry::Progress;

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::daemon) enum State {
    /// It waits for its turn.
    Waiting,
    /// It is at work.
    Running,
    /// Every row is loaded or rejected.
    Finished,
    /// An earlier request or import had loaded it.
    AlreadyLoaded,
    /// It stopped at the reject limit.
    Rejected,
    /// It failed; it can be resumed.
    Failed,
    /// A load may or may not be in the table; it can be resumed.
    InDoubt,
    /// It was interrupted; it can be resumed.
    Interrupted,
    /// Somebody cancelled it; it can be resumed.
    Cancelled,
}

impl State {
    pub(in crate::daemon) const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Running,
        Self::Finished,
        Self::AlreadyLoaded,
        Self::Rejected,
        Self::Failed,
        Self::InDoubt,
        Self::Interrupted,
        Self::Cancelled,
    ];

    pub(in crate::daemon) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::AlreadyLoaded => "already_loaded",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }

    pub(in crate::daemon) fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// Whether every row is taken care of.
    pub(in crate::daemon) fn is_done(self) -> bool {
        matches!(self, Self::Finished | Self::AlreadyLoaded)
    }

    pub(super) fn of(state: JobState) -> Self {
        match state {
            JobState::Finished | JobState::DryRun => Self::Finished,
            JobState::AlreadyLoaded => Self::AlreadyLoaded,
            JobState::Rejected => Self::Rejected,
            JobState::Failed => Self::Failed,
            JobState::InDoubt => Self::InDoubt,
            JobState::Interrupted => Self::Interrupted,
        }
    }
}

/// How a request has ended, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::daemon) struct Outcome {
    pub(in crate::daemon) state: State,
    /// What the job reported; none where it never became one.
    pub(in crate::daemon) report: Option<Report>,
    /// Why, where there is no report to say it.
    pub(in crate::daemon) error: Option<ErrorReport>,
}

impl Outcome {
    pub(in crate::daemon) fn error(&self) -> Option<&ErrorReport> {
        self.error.as_ref().or_else(|| self.report.as_ref()?.error.as_ref())
    }
}

/// What changes while it lives.
struct Now {
    state: State,
    started_at: Option<String>,
    started: Option<Instant>,
    ended_at: Option<String>,
    outcome: Option<Outcome>,
    progress: Option<Arc<Progress>>,
    seen: Seen,
    /// Where it has been tried in vain.
    put_off: Option<PutOff>,
}

/// When and why a job waits that has been tried in vain.
struct PutOff {
    tries: u32,
    next_try_at: String,
    job: Option<String>,
    outcome: Outcome,
}

/// One request.
pub(in crate::daemon) struct Entry {
    pub(in crate::daemon) id: String,
    pub(in crate::daemon) ask: Ask,
    pub(in crate::daemon) accepted_at: String,
    pub(super) drain: watch::Sender<bool>,
    pub(super) cancel: watch::Sender<bool>,
    /// Whether somebody wants it not to go on, and not only the service to stop.
    pub(super) unwanted: AtomicBool,
    /// Says that it is to be tried at once.
    pub(super) now_please: Notify,
    /// Says that it is over.
    over: watch::Sender<bool>,
    job: OnceLock<String>,
    now: Mutex<Now>,
}

impl Entry {
    pub(super) fn new(id: String, ask: Ask, accepted_at: String) -> Self {
        let job = ask.job().map(|job| OnceLock::from(job.to_owned())).unwrap_or_default();
        Self {
            id,
            ask,
            accepted_at,
            drain: watch::channel(false).0,
            cancel: watch::channel(false).0,
            unwanted: AtomicBool::new(false),
            now_please: Notify::new(),
            over: watch::channel(false).0,
            job,
            now: Mutex::new(Now {
                state: State::Waiting,
                started_at: None,
                started: None,
                ended_at: None,
                outcome: None,
                progress: None,
                seen: Seen::default(),
                put_off: None,
            }),
        }
    }

    /// One that has ended before.
    pub(super) fn ended(self, ended_at: String, outcome: Outcome) -> Self {
        self.end(ended_at, outcome);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::daemon) fn state(&self) -> State {
        self.lock().state
    }

    pub(in crate::daemon) fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// The job that it became, where that is known.
    pub(in crate::daemon) fn job(&self) -> Option<String> {
        let named = || self.progress().and_then(|progress| progress.job.get().cloned());
        let before = || self.lock().put_off.as_ref()?.job.clone();
        let reported =
            || Some(self.lock().outcome.as_ref()?.report.as_ref()?.job.clone()).filter(|job| !job.is_empty());
        self.job.get().cloned().or_else(named).or_else(before).or_else(reported)
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.lock().progress.clone()
    }

    pub(super) fn stop(&self) -> Stop {
        Stop { drain: self.drain.subscribe(), cancel: self.cancel.subscribe() }
    }

    pub(super) fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, progress: Arc<Progress>, now: String) {
        let mut entry = self.lock();
        entry.state = State::Running;
        entry.started_at = Some(now);
        entry.started = Some(SystemClock.instant());
        entry.progress = Some(progress);
        entry.seen = Seen::default();
        entry.put_off = None;
    }

    /// Has it wait for its next try. What it became and how it ended last is kept until then.
    pub(super) fn put_off(&self, tries: u32, next_try_at: String, outcome: Outcome) {
        let job = self.job();
        let mut entry = self.lock();
        entry.state = State::Waiting;
        (entry.started_at, entry.started, entry.progress) = (None, None, None);
        entry.put_off = Some(PutOff { tries, next_try_at, job, outcome });
    }

    /// How its last try ended, where it waits for another one.
    pub(super) fn last_try(&self) -> Option<Outcome> {
        self.lock().put_off.as_ref().map(|put_off| put_off.outcome.clone())
    }

    pub(super) fn end(&self, now: String, outcome: Outcome) {
        let mut entry = self.lock();
        entry.state = outcome.state;
        entry.ended_at = Some(now);
        entry.put_off = None;
        entry.outcome = Some(outcome);
        drop(entry);
        self.over.send_replace(true);
    }

    /// Waits until it is over.
    pub(in crate::daemon) async fn over(&self) {
        // It cannot be dropped meanwhile.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// What was counted of it since the last time.
    pub(super) fn tally<R>(&self, work: impl FnOnce(&Progress, &mut Seen) -> R) -> Option<R> {
        let mut now = self.lock();
        let progress = now.progress.clone()?;
        Some(work(&progress, &mut now.seen))
    }

    /// Loads of it that are under way.
    pub(in crate::daemon) fn loads_in_flight(&self) -> u64 {
        let progress = self.progress().filter(|_| !self.state().is_over());
        progress.map_or(0, |progress| Progress::read(&progress.loads_in_flight))
    }

    /// How long it has been at work.
    pub(super) fn worked(&self) -> Option<f64> {
        self.lock().started.map(|started| (SystemClock.instant() - started).as_secs_f64())
    }

    /// What is shown of it.
    pub(in crate::daemon) fn view(&self) -> Value {
        let job = self.job();
        let now = self.lock();
        let last = now.outcome.as_ref().or(now.put_off.as_ref().map(|put_off| &put_off.outcome));
        let error = last.and_then(Outcome::error);
        let error = error.map(|error| json!({"code": error.code, "message": error.message, "hint": error.hint}));
        json!({
            "id": self.id,
            "job": job,
            "state": now.state,
            "kind": self.ask.kind,
            "target": self.ask.target,
            "database": self.ask.database,
            "table": self.ask.table,
            "sources": self.ask.sources,
            "accepted_at": self.accepted_at,
            "started_at": now.started_at,
            "ended_at": now.ended_at,
            "progress": now.progress.as_ref().zip(now.started).map(|(progress, started)| shown(&now, progress, started)),
            "error": error,
            "tries": now.put_off.as_ref().map(|put_off| put_off.tries),
            "next_try_at": now.put_off.as_ref().map(|put_off| &put_off.next_try_at),
        })
    }
}

fn shown(now: &Now, progress: &Progress, started: Instant) -> Value {
    let read = |counter| Progress::read(counter);
    let elapsed = SystemClock.instant() - started;
    let seconds = match now.outcome.as_ref().and_then(|outcome| outcome.report.as_ref()) {
        Some(report) => report.elapsed_seconds,
        None => elapsed.as_secs_f64(),
    };
    let (total, done) = (read(&progress.bytes_total), read(&progress.bytes_read));
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let left = (!now.state.is_over() && total > 0 && done > 0).then(|| {
        let share = done as f64 / total as f64;
        (seconds * (1.0 - share) / share).max(0.0)
    });
    json!({
        "bytes_total": total,
        "bytes_read": done,
        "rows_read": read(&progress.rows_read),
        "rows_loaded": read(&progress.rows_loaded),
        "rows_rejected": read(&progress.rows_rejected),
        "bytes_sent": read(&progress.bytes_sent),
        "loads_settled": read(&progress.loads_settled),
        "loads_in_flight": read(&progress.loads_in_flight),
        "window": read(&progress.window),
        "attempts_failed": read(&progress.attempts_failed),
        "bytes_spooled": read(&progress.bytes_spooled),
        "elapsed_seconds": seconds,
        "eta_seconds": left,
        "bottleneck": progress.bottleneck(std::time::Duration::from_secs_f64(seconds)),
    })
}

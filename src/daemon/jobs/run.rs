//! One job of the service from its turn to its outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::again::Tries;
use super::ask::{Ask, Kind};
use super::entry::{Entry, Outcome, State};
use super::{Jobs, claim, roots, tally};
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::config::{ImportArgs, Recipe, ServiceConfig};
use crate::daemon::api::problem::Problem;
use crate::failure::{Code, Failure, chain};
use crate::loader::{self, Brought, Ended, Fixed, JobEntry, JobSpec, Loader, Turn, Unsettled};
use crate::model::ByteCount;
use crate::model::report::ErrorReport;
use crate::telemetry::{ended, metric};

/// A loader and what it is to do.
struct Ready {
    loader: Loader,
    spec: JobSpec,
    /// A job of which only what lies in its spool is sent.
    spooled: Option<JobEntry>,
}

impl Jobs {
    /// Runs a request for files, or goes on with what an upload has left, when its turn comes.
    pub(super) fn spawn(self: &Arc<Self>, entry: Arc<Entry>) {
        let span = span(&entry);
        // It has its place in the line when this returns.
        let first = self.attempt(&entry);
        let jobs = Arc::clone(self);
        let at_work = AtWork::begin(&self.at_work);
        let work = async move {
            let mut outcome = first.await;
            let mut tries = Tries::default();
            while let Some(pause) = jobs.pause(&entry, &outcome, &mut tries) {
                jobs.put_off(&entry, outcome, &tries, pause);
                outcome = if entry.waited(pause).await { jobs.attempt(&entry).await } else { never_begun(&entry) };
            }
            jobs.end(&entry, outcome);
            drop(at_work);
        };
        tokio::spawn(work.instrument(span));
    }

    /// One try at a request for files, when its turn comes.
    fn attempt(self: &Arc<Self>, entry: &Arc<Entry>) -> impl Future<Output = Outcome> + Send + use<> {
        let config = self.config();
        let args = entry.ask.import(&config, &self.state_folder, &self.rejects_folder);
        let args = args.map(|args| (self.supervisor.turn(claim(&config, &entry.ask, args.memory.0)), args));
        let (jobs, entry) = (Arc::clone(self), Arc::clone(entry));
        async move {
            let (turn, args) = match args {
                Ok(args) => args,
                // It was checked when it was accepted; the configuration has changed since.
                Err(problem) => return refused(&problem),
            };
            let began = SystemClock.instant();
            let mut stop = entry.stop();
            tokio::select! {
                biased;
                () = said(&mut stop.cancel) => never_begun(&entry),
                // It keeps its place in the journal for the next service.
                () = said(&mut stop.drain) => never_begun(&entry),
                turn = turn => {
                    let waited = SystemClock.instant() - began;
                    jobs.metrics.observe(&metric::PHASE, &[&entry.ask.target, "wait"], waited.as_secs_f64());
                    jobs.run(&entry, args, None, turn).await
                }
            }
        }
    }

    /// How long to wait before a request is tried again; none where it is over.
    fn pause(&self, entry: &Entry, outcome: &Outcome, tries: &mut Tries) -> Option<Duration> {
        // Whoever sends an upload tries again, and would be told that it is at work.
        let ours = entry.ask.kind == Kind::Files && !entry.is_unwanted();
        let retry_for = if ours { self.config().jobs.retry_for } else { Duration::ZERO };
        tries.after(outcome, SystemClock.instant(), retry_for)
    }

    /// Says that a request waits for its next try, and why.
    fn put_off(&self, entry: &Entry, outcome: Outcome, tries: &Tries, pause: Duration) {
        tally::count(&self.metrics, entry);
        let code = outcome.error().map(|error| error.code.clone()).unwrap_or_default();
        self.metrics.add(&metric::JOBS_PUT_OFF, &[&entry.ask.target, &code], 1.0);
        let (seconds, tries) = (pause.as_secs(), tries.count());
        tracing::warn!(code, tries, "the job is tried again in {seconds} s");
        entry.put_off(tries, rfc3339(SystemClock.now() + pause), outcome);
        self.tell(entry);
    }

    /// Waits for the turn of an upload.
    pub(in crate::daemon) async fn turn_of_upload(&self, entry: &Entry) -> Result<Turn, Problem> {
        let config = self.config();
        let args = entry.ask.import(&config, &self.state_folder, &self.rejects_folder)?;
        let turn = self.supervisor.turn(claim(&config, &entry.ask, args.memory.0));
        let mut stop = entry.stop();
        let refused = |what: String| {
            let problem = Problem::new(Code::TooMuch, what).with_status(hyper::StatusCode::SERVICE_UNAVAILABLE);
            Err(problem.with_retry(super::RETRY_SECONDS).with_hint("send it again later, under the same key"))
        };
        tokio::select! {
            biased;
            () = said(&mut stop.cancel) => Err(Problem::new(Code::Interrupted, "the upload was cancelled")),
            () = said(&mut stop.drain) => {
                Err(Problem::new(Code::Stopping, "the service is stopping").with_retry(super::RETRY_SECONDS))
            }
            turn = turn => Ok(turn),
            () = tokio::time::sleep(config.uploads.wait_max) => {
                refused(format!("no memory came free within {} s", config.uploads.wait_max.as_secs()))
            }
        }
    }

    /// Runs an upload whose turn has come. It goes on when whoever sends it is gone: as far as it was sent.
    pub(in crate::daemon) fn spawn_upload(self: &Arc<Self>, entry: Arc<Entry>, brought: Brought, turn: Turn) {
        let span = span(&entry);
        let jobs = Arc::clone(self);
        let at_work = AtWork::begin(&self.at_work);
        let work = async move {
            let outcome = match entry.ask.import(&jobs.config(), &jobs.state_folder, &jobs.rejects_folder) {
                Ok(args) => jobs.run(&entry, args, Some(brought), turn).await,
                Err(problem) => refused(&problem),
            };
            jobs.end(&entry, outcome);
            drop(at_work);
        };
        tokio::spawn(work.instrument(span));
    }

    /// Ends an upload that never had its turn.
    pub(in crate::daemon) fn give_up(&self, entry: &Entry, problem: &Problem) {
        self.end(entry, Outcome { state: State::Interrupted, ..refused(problem) });
    }

    async fn run(&self, entry: &Arc<Entry>, args: ImportArgs, brought: Option<Brought>, turn: Turn) -> Outcome {
        let outcome = match self.prepare(entry, args, brought).await {
            Ok(Some(ready)) => self.load(entry, *ready).await,
            // Whoever sends it has the rest of it.
            Ok(None) => Outcome { state: State::Interrupted, report: None, error: Some(cut_off()) },
            Err(outcome) => outcome,
        };
        // Given back before the end is told: whoever hears of it may count on it.
        drop(turn);
        outcome
    }

    /// What it takes to run it; none for an upload of which there is nothing to send.
    async fn prepare(
        &self,
        entry: &Entry,
        args: ImportArgs,
        brought: Option<Brought>,
    ) -> Result<Option<Box<Ready>>, Outcome> {
        let config = self.config();
        if entry.ask.kind == Kind::Files {
            roots::still(&config.files.roots, &entry.ask.sources).map_err(|problem| refused(&problem))?;
        }
        let mut spooled = None;
        if entry.ask.kind == Kind::Upload && brought.is_none() {
            let known = self.in_journal(entry).map_err(|error| failed(&error))?;
            spooled = known.filter(Self::sends_spool);
            if spooled.is_none() {
                return Ok(None);
            }
        }
        let connected = self.targets.get(&config, &entry.ask.target).await.map_err(|error| failed(&error))?;
        let (database, table) = (&entry.ask.database, &entry.ask.table);
        let loader = connected.loader_into(database, table, args.load_timeout, &args.timezone);
        let loader = loader.map_err(|error| failed(&error))?;
        let recipe = self.recipe(entry, &config, &args);
        let spec = args.spec(&connected, recipe, None).map_err(|error| failed(&error))?;
        let overhead = Fixed::of(config.jobs.batch_memory);
        Ok(Some(Box::new(Ready { loader, spec: JobSpec { overhead, brought, ..spec }, spooled })))
    }

    /// How the command line begins the same job again.
    fn recipe(&self, entry: &Entry, config: &ServiceConfig, args: &ImportArgs) -> Option<String> {
        // The command line needs a whole process for it, and not only a share.
        let memory = ByteCount(args.memory.0 + Fixed::PROCESS.most.0);
        let arguments = entry.ask.arguments(config, &self.state_folder, &self.rejects_folder, Some(memory));
        Recipe::of(args, arguments).map(|recipe| recipe.text())
    }

    async fn load(&self, entry: &Arc<Entry>, ready: Ready) -> Outcome {
        let Ready { loader, spec, spooled } = ready;
        let progress = loader.progress();
        let (metrics, target) = (Arc::clone(&self.metrics), entry.ask.target.clone());
        progress.observed_by(move |phase, time| metrics.observe(&metric::PHASE, &[&target, phase], time.as_secs_f64()));
        entry.begin(progress, rfc3339(SystemClock.now()));
        self.tell(entry);
        tracing::info!("loading into {}.{} of {}", entry.ask.database, entry.ask.table, entry.ask.target);
        let stop = entry.stop();
        let (runtime, span) = (Handle::current(), tracing::Span::current());
        let job = move || {
            let job = async {
                match &spooled {
                    Some(job) => loader.resume_spooled(&spec, job, stop).await,
                    None => loader.run_until(&spec, stop).await,
                }
            };
            runtime.block_on(job.instrument(span))
        };
        // A job has a thread of its own: it writes into the journal, and others are not to wait for that.
        match tokio::task::spawn_blocking(job).await {
            Ok(ended) => Self::outcome(entry, ended),
            Err(_) => failed(&loader::Error::Broken),
        }
    }

    fn outcome(entry: &Entry, ended: Ended) -> Outcome {
        let Ended { report, notices, error, .. } = ended;
        for notice in notices {
            tracing::info!("{notice}");
        }
        if let Some(error) = &error {
            let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            tracing::warn!(code = %error.code(), "{}{hint}", chain(error));
        }
        let state = match State::of(report.state) {
            State::Interrupted if entry.is_unwanted() => State::Cancelled,
            state => state,
        };
        Outcome { state, report: Some(report), error: None }
    }

    /// Writes down how one has ended, and tells of it.
    fn end(&self, entry: &Entry, outcome: Outcome) {
        let now = SystemClock.now();
        note(&outcome);
        tally::count(&self.metrics, entry);
        tally::count_end(&self.metrics, entry, &outcome);
        // What the service itself has interrupted is not over: the next one goes on with it.
        let goes_on = outcome.state == State::Interrupted && entry.ask.kind == Kind::Files && !entry.is_unwanted();
        let rows = outcome.report.as_ref().map_or(0, |report| report.rows_loaded);
        tracing::info!(state = outcome.state.word(), rows, "the job has ended");
        if !goes_on {
            let text = serde_json::to_string(&outcome).expect("plain values");
            let written = tokio::task::block_in_place(|| self.journal.request_ended(&entry.id, &text, now));
            if let Err(error) = written {
                tracing::error!(
                    "its end could not be written down, so that the next service begins it again: {}",
                    chain(&error)
                );
            }
        }
        entry.end(rfc3339(now), outcome);
        self.tell(entry);
        self.forget();
    }

    /// Settles what a job has left open, and has it stay as it is.
    pub(super) async fn settle(&self, entry: &Arc<Entry>) -> Result<(), Problem> {
        let journal = |error| Problem::of(&error);
        let Some(found) = self.in_journal(entry).map_err(journal)? else { return Ok(()) };
        let lease = self.journal.lease(&found.job, SystemClock.now()).map_err(journal)?;
        let Some(_lease) = lease else {
            let what = format!("another process is at {}", found.job);
            return Err(Problem::new(Code::NotResumable, what).with_hint("wait until it has ended"));
        };
        self.journal.cancel(&found.job, found.run, SystemClock.now()).map_err(journal)?;
        let config = self.config();
        let connected = self.targets.get(&config, &entry.ask.target).await.map_err(|error| Problem::of(&error))?;
        let args = entry.ask.import(&config, &self.state_folder, &self.rejects_folder)?;
        let (database, table) = (&entry.ask.database, &entry.ask.table);
        let loader = connected.loader_into(database, table, args.load_timeout, &args.timezone);
        let loader = loader.map_err(|error| Problem::of(&error))?;
        let open = here(loader.settle_open(&self.journal, &found)).map_err(|error| Problem::of(&error))?;
        if !open.is_empty() {
            let labels: Vec<String> =
                open.iter().map(|Unsettled { label, why, .. }| format!("{label}: {why}")).collect();
            let what = format!("it is not known whether these loads are in the table: {}", labels.join("; "));
            return Err(Problem::new(Code::InDoubt, what).with_hint("ask again later; the server may still tell"));
        }
        loader::drop_spooled(&found).map_err(|error| Problem::of(&error))?;
        let outcome = entry.outcome();
        let outcome = Outcome {
            state: State::Cancelled,
            report: outcome.as_ref().and_then(|outcome| outcome.report.clone()),
            error: outcome.and_then(|outcome| outcome.error),
        };
        entry.unwanted.store(true, std::sync::atomic::Ordering::Relaxed);
        if entry.state() != State::Cancelled {
            self.end(entry, outcome);
        }
        Ok(())
    }

    /// Whether an upload can be finished with what lies in its spool.
    pub(super) fn lies_in_spool(&self, entry: &Entry) -> Result<bool, loader::JournalError> {
        Ok(self.in_journal(entry)?.is_some_and(|known| Self::sends_spool(&known)))
    }

    fn sends_spool(known: &JobEntry) -> bool {
        let whole = loader::spooled(known).ok().flatten().is_some_and(|spooled| spooled.whole);
        !known.finished && known.stream && (known.decided || whole)
    }
}

/// Something that a drain waits for, until it is dropped: also when its task dies.
struct AtWork(watch::Sender<usize>);

impl AtWork {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Waits on this thread; others go on meanwhile.
pub(in crate::daemon) fn here<R>(work: impl Future<Output = R>) -> R {
    tokio::task::block_in_place(|| Handle::current().block_on(work))
}

impl Entry {
    /// Waits for the time of its next try, or until somebody wants it now. Returns whether it is to be made.
    async fn waited(&self, pause: Duration) -> bool {
        let mut stop = self.stop();
        tokio::select! {
            biased;
            () = said(&mut stop.cancel) => false,
            () = said(&mut stop.drain) => false,
            () = self.now_please.notified() => true,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

async fn said(word: &mut watch::Receiver<bool>) {
    // Its sender is the entry, which whoever waits here holds.
    let _ = word.wait_for(|said| *said).await;
}

/// What log lines are named after, and traces begin with.
fn span(entry: &Entry) -> Span {
    let Ask { kind, target, database, table, .. } = &entry.ask;
    tracing::info_span!(
        "job",
        id = entry.id,
        job = Empty,
        ?kind,
        target,
        database,
        table,
        rows_read = Empty,
        rows_loaded = Empty,
        rows_rejected = Empty,
        bytes_read = Empty,
        bytes_sent = Empty,
        outcome = Empty,
        code = Empty,
        otel.status_code = Empty,
    )
}

/// Notes on the span of a job how it has ended.
fn note(outcome: &Outcome) {
    let span = Span::current();
    if let Some(report) = &outcome.report {
        span.record("rows_read", report.rows_read).record("rows_loaded", report.rows_loaded);
        span.record("rows_rejected", report.rows_rejected);
        span.record("bytes_read", report.bytes_read).record("bytes_sent", report.bytes_sent);
    }
    let code = outcome.error().and_then(|error| Code::named(&error.code));
    ended(&span, outcome.state.word(), code);
}

/// How one ends that is not begun, or not begun again.
fn never_begun(entry: &Entry) -> Outcome {
    let state = if entry.is_unwanted() { State::Cancelled } else { State::Interrupted };
    let last = entry.last_try();
    Outcome {
        state,
        report: last.as_ref().and_then(|last| last.report.clone()),
        error: last.and_then(|last| last.error),
    }
}

fn refused(problem: &Problem) -> Outcome {
    Outcome { state: State::Failed, report: None, error: Some(problem.report()) }
}

fn failed(failure: &dyn Failure) -> Outcome {
    refused(&Problem::of(failure))
}

fn cut_off() -> ErrorReport {
    ErrorReport {
        code: Code::StreamBrokeOff.to_string(),
        message: "the service ended while the upload was being sent".to_owned(),
        hint: Some("send it again under the same key: what is loaded is not loaded twice".to_owned()),
        label: None,
        commands: Vec::new(),
    }
}

//! One job, from its spec to its account.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::admission;
use super::error::Error;
use super::identity::Identity;
use super::prepare::{self, Preparation, Prepared};
use super::reading::{self, Read, Reading};
use super::sink::{Exit, InputContext, JobSink};
use super::spec::{CommitScope, JobSpec};
use super::stop::{self, Stop};
use super::{Ended, Loader, task, whole};
use crate::clock::rfc3339;
use crate::dispatcher::{self, Delivered, Dispatcher, Outcome, Policy};
use crate::failure::{Code, Failure as _, chain};
use crate::governor::{Budget, Gate, Pace, Window};
use crate::journal::{self, Begun, Journal, Lease, Work};
use crate::model::report::{ErrorReport, SlowReport};
use crate::model::{JobState, LoadReport, LoadState, Report, invariant};
use crate::pipeline::Context;
use crate::planner::{self, Limits, Parallel};
use crate::reader::reject::RejectsWriter;
use crate::source::{self, Input};
use crate::telemetry::{Progress, Stage, memory};

/// Chunks between the pipeline and the dispatcher. The budget bounds the bytes; this one only decouples the two.
const QUEUE_CHUNKS: usize = 1;

/// How long a cancelled job waits for its reading thread.
const CANCELLED_READ_MAX: Duration = Duration::from_secs(2);

/// Runs a job and accounts for it, whatever happens.
pub(super) async fn run(loader: &Loader, spec: &JobSpec, stop: Stop) -> Ended {
    let mut account = Account::new(loader);
    let result = account.work(spec, stop).await;
    account.close(result)
}

/// The state of one run.
pub(super) struct Account<'a> {
    pub(super) loader: &'a Loader,
    pub(super) report: Report,
    started: Instant,
    already: Option<String>,
    pub(super) notices: Vec<String>,
}

/// A run that the journal has let begin.
pub(super) struct Started {
    pub(super) identity: Identity,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) run: u32,
    _lease: Option<Lease>,
}

impl<'a> Account<'a> {
    fn new(loader: &'a Loader) -> Self {
        let report = Report::new(&loader.address, rfc3339(loader.clock.now()));
        Self { loader, report, started: loader.clock.instant(), already: None, notices: Vec::new() }
    }

    async fn work(&mut self, spec: &JobSpec, mut stop: Stop) -> Result<(), Error> {
        let limits = planner::limits(spec.memory, spec.load_size, spec.parallel)?;
        let now = self.loader.clock.now();
        let (inputs, identity) = task::block_in_place(|| {
            let inputs = source::list(&spec.sources)?;
            let identity = Identity::of(spec, &inputs, &self.report.target, now)?;
            Ok::<_, Error>((inputs, identity))
        })?;
        self.report.job = identity.job.to_string();
        let total = inputs.iter().map(|input| input.bytes.unwrap_or(0)).sum();
        self.loader.progress.bytes_total.store(total, Ordering::Relaxed);
        let Some(started) = self.begin(spec, identity, &mut stop).await? else { return Ok(()) };
        let clock = Arc::clone(&self.loader.clock);
        let Stop { drain, cancel } = stop;
        let cancel = admission::with_requests(started.journal.as_ref(), &started.identity, &clock, cancel);
        let stop = Stop { drain, cancel };
        let result = if let Some(report) = whole::decided(&started)? {
            let dispatcher = self.dispatcher(spec, &started, limits.parallel, stop.drain);
            self.go_forward(&dispatcher.expect("a decision is in a journal"), report, &stop.cancel).await
        } else {
            let deadline = spec.deadline.map(|after| (after, self.started + after));
            stop::within(deadline, clock, stop, |stop| self.load(spec, &started, inputs, limits, stop)).await
        };
        self.finish_journal(&started, result)
    }

    /// Asks the journal whether there is anything to do.
    async fn begin(&mut self, spec: &JobSpec, identity: Identity, stop: &mut Stop) -> Result<Option<Started>, Error> {
        if spec.dry_run {
            return Ok(Some(Started { identity, journal: None, run: 0, _lease: None }));
        }
        let (journal, lease) = admission::admit(spec, &identity, &self.loader.clock, stop).await?;
        let work = Work {
            job: &identity.job,
            fingerprint: &identity.fingerprint,
            target: &self.report.target,
            inputs: identity.guarded(),
        };
        self.sweep(&journal, &work, spec).await?;
        let now = self.loader.clock.now();
        let begun = task::block_in_place(|| admission::begin(&journal, &work, spec, identity.stream, now))?;
        let run = match begun {
            Begun::New { run } | Begun::Resumed { run } => run,
            Begun::Finished { at, report } => {
                self.report = Report { state: JobState::AlreadyLoaded, ..*report };
                self.already = Some(at);
                return Ok(None);
            }
        };
        if spec.commit == CommitScope::Job {
            task::block_in_place(|| journal.as_a_whole(&identity.job, run))?;
        }
        Ok(Some(Started { identity, journal: Some(journal), run, _lease: Some(lease) }))
    }

    async fn load(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Input>,
        limits: Limits,
        mut stop: Stop,
    ) -> Result<(), Error> {
        let target = Arc::clone(&self.loader.target);
        let preparing = async {
            self.check_table(spec, started).await?;
            prepare::prepare(target.as_ref(), spec, inputs).await
        };
        let Preparation { inputs, notices } = tokio::select! {
            biased;
            prepared = preparing => prepared?,
            () = stop.asked() => return Err(dispatcher::Error::Cancelled.into()),
        };
        self.notices.extend(prepare::descriptions(&inputs));
        self.notices.extend(notices);

        self.report.inputs = inputs.iter().map(reading::report_of).collect();

        let (sender, receiver) = mpsc::channel(QUEUE_CHUNKS);
        let (halt, halted) = watch::channel(false);
        let budget = Budget::new(limits.budget_bytes);
        let exit = if started.journal.is_some() { Exit::Queue(sender) } else { Exit::Count { loads: 0, bytes: 0 } };
        let reading = self.reading(spec, started, inputs, exit, &budget).start(halt);
        let dispatcher = self.dispatcher(spec, started, limits.parallel, stop.drain.clone());
        let outcome = match &dispatcher {
            Some(dispatcher) => dispatcher.clone().run(receiver, halted, stop.cancel.clone()).await,
            None => until_read(halted, stop.clone()).await,
        };
        // Whether it ended well or not, nothing more will be taken: a pipeline that still waits for room must not.
        if outcome.failure.is_some() {
            budget.close();
        }
        let result = self.settle(outcome, reading).await;
        match dispatcher.filter(|dispatcher| dispatcher.whole) {
            Some(dispatcher) => self.end_whole(&dispatcher, result, &stop.cancel).await,
            None => result,
        }
    }

    /// A table that would have to be made lacks what an earlier try has loaded.
    async fn check_table(&self, spec: &JobSpec, started: &Started) -> Result<(), Error> {
        let Some(journal) = started.journal.as_ref().filter(|_| spec.create_table) else { return Ok(()) };
        let job = &started.identity.job;
        if !task::block_in_place(|| journal.has_loaded(job, started.run))? {
            return Ok(());
        }
        match self.loader.target.table().await {
            Err(error) if error.code() == Code::NoSuchTable => {
                Err(journal::Error::TableGone { job: job.to_string() }.into())
            }
            // Whatever else there is to say about the table is said when it is prepared.
            _ => Ok(()),
        }
    }

    fn reading(
        &self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Prepared>,
        exit: Exit,
        budget: &Budget,
    ) -> Reading {
        let folder = spec.rejects_folder.join(started.identity.job.as_str());
        let sink = JobSink {
            exit,
            identity: started.identity.clone(),
            run: started.run,
            limit: spec.rejects_max,
            writer: Some(RejectsWriter::new(&spec.rejects_folder, &started.identity.job)),
            folder,
            progress: self.loader.progress(),
            input: InputContext::default(),
            first: None,
            begun: false,
            whole: spec.commit == CommitScope::Job,
            failure: None,
        };
        let context =
            Context { budget: budget.clone(), progress: self.loader.progress(), clock: Arc::clone(&self.loader.clock) };
        Reading {
            spec: spec.clone(),
            codec: prepare::codec(spec.codec, &self.report.target),
            inputs,
            sink,
            context,
            runtime: Handle::current(),
            reports: Vec::new(),
        }
    }

    fn dispatcher(
        &self,
        spec: &JobSpec,
        started: &Started,
        parallel: Parallel,
        drain: watch::Receiver<bool>,
    ) -> Option<Dispatcher> {
        let journal = started.journal.as_ref()?;
        let window = match parallel {
            Parallel::Fixed(loads) => Window::fixed(loads),
            Parallel::Auto(loads_max) => Window::climbing(loads_max),
        };
        Some(Dispatcher {
            job: started.identity.job.clone(),
            run: started.run,
            inputs: Arc::clone(&started.identity.paths),
            target: Arc::clone(&self.loader.target),
            journal: Arc::clone(journal),
            pace: Pace::new(spec.rate_max.map(|rate| rate.0), spec.requests_max),
            policy: Policy::default(),
            clock: Arc::clone(&self.loader.clock),
            progress: self.loader.progress(),
            gate: Gate::new(window, Arc::clone(&self.loader.clock)),
            drain,
            whole: spec.commit == CommitScope::Job,
        })
    }

    /// Brings together how reading and sending ended.
    async fn settle(&mut self, outcome: Outcome, reading: task::JoinHandle<Read>) -> Result<(), Error> {
        let cancelled = matches!(outcome.failure, Some(dispatcher::Error::Cancelled));
        let read = if cancelled {
            // A cancelled read may hang in an input that never ends; what it would still say is not needed.
            tokio::time::timeout(CANCELLED_READ_MAX, reading).await.ok()
        } else {
            Some(reading.await)
        };
        let mut failure = None;
        if let Some(read) = read.transpose().map_err(|_| Error::Broken)? {
            // Once everything is read, all that is left to wait for is the target.
            let waited = self.loader.clock.instant() - read.ended;
            self.loader.progress.waited_for(Stage::Target, waited);
            self.report.inputs = read.reports;
            self.report.rejects = read.rejects;
            failure = read.failure;
        }
        self.account_for(outcome.delivered);
        first_to_tell(failure, outcome.failure.map(Error::from)).map_or(Ok(()), Err)
    }

    /// ROWS-1: a job that is about to call itself finished has an account that adds up.
    fn check(&self) {
        let progress = &self.loader.progress;
        let (read, rejected) = (Progress::read(&progress.rows_read), Progress::read(&progress.rows_rejected));
        assert_eq!(read, self.report.rows_loaded + self.report.rows_unselected + rejected, "{}", invariant::ROWS_1);
    }

    fn account_for(&mut self, mut delivered: Vec<Delivered>) {
        delivered.sort_by_key(|load| (load.input, load.from.byte, load.label.clone()));
        for load in delivered {
            if matches!(load.state, LoadState::Visible | LoadState::Committed) {
                self.report.rows_loaded += load.rows_loaded;
                self.report.rows_unselected += load.rows_unselected;
            }
            let input = self.report.inputs.get(load.input).map(|input| input.path.clone()).unwrap_or_default();
            self.report.loads.push(LoadReport {
                label: load.label.to_string(),
                transaction_id: load.transaction_id,
                state: load.state,
                rows: load.rows,
                bytes: load.bytes,
                attempts: load.attempts,
                input,
                from: load.from.line,
                to: load.to.line,
            });
        }
    }

    /// Writes the end of this try into the journal.
    fn finish_journal(&mut self, started: &Started, result: Result<(), Error>) -> Result<(), Error> {
        self.conclude(result.as_ref().err());
        if let Some(journal) = &started.journal {
            if result.is_ok() {
                self.check();
            }
            let now = self.loader.clock.now();
            let ended = task::block_in_place(|| journal.end(&started.identity.job, started.run, &self.report, now));
            // A first failure is the one to tell; the journal's own only when there is no other.
            return result.and(ended.map_err(Error::from));
        }
        self.report.state = if result.is_ok() { JobState::DryRun } else { self.report.state };
        result
    }

    /// Fills in what is known at the end.
    pub(super) fn conclude(&mut self, error: Option<&Error>) {
        let progress = &self.loader.progress;
        let elapsed = self.loader.clock.instant() - self.started;
        let report = &mut self.report;
        report.elapsed_seconds = elapsed.as_secs_f64();
        report.rows_read = Progress::read(&progress.rows_read);
        report.rows_rejected = Progress::read(&progress.rows_rejected);
        report.bytes_read = Progress::read(&progress.bytes_read);
        report.bytes_sent = Progress::read(&progress.bytes_sent);
        report.bottleneck = progress.bottleneck(elapsed);
        report.parallel = Progress::read(&progress.attempts_at_once_max);
        let slow =
            |(reason, address, times): (&str, String, u64)| SlowReport { reason: reason.to_owned(), address, times };
        report.slowed = progress.slowed().into_iter().map(slow).collect();
        report.peak_memory_bytes = memory::peak_bytes();
        report.state = error.map_or(JobState::Finished, state_of);
        report.error = error.map(|error| ErrorReport {
            code: error.code().to_string(),
            message: chain(error),
            hint: error.hint(),
            label: error.open_label().map(ToString::to_string),
            commands: Vec::new(),
        });
    }

    fn close(mut self, result: Result<(), Error>) -> Ended {
        if let Err(error) = &result {
            self.conclude(Some(error));
        }
        Ended { report: self.report, error: result.err(), already: self.already, notices: self.notices }
    }
}

/// Which of two failures a person has to hear of. The reading's own comes first, since a halt is what it asked of the
/// dispatcher; but no rejected row may hide rows of which nobody knows whether they are in the table.
fn first_to_tell(reading: Option<Error>, sending: Option<Error>) -> Option<Error> {
    let open = |error: &Error| matches!(error.code(), Code::InDoubt | Code::CountsDisagree);
    match (reading, sending) {
        (_, Some(sending)) if open(&sending) => Some(sending),
        (reading, sending) => reading.or(sending),
    }
}

/// Waits for the reading of a dry run, which has no dispatcher.
async fn until_read(mut halted: watch::Receiver<bool>, mut stop: Stop) -> Outcome {
    // The other end of the halt belongs to the reading thread and goes with it.
    let read = async { while halted.changed().await.is_ok() {} };
    tokio::select! {
        () = read => Outcome::default(),
        () = stop.asked() => Outcome { failure: Some(dispatcher::Error::Cancelled), ..Outcome::default() },
    }
}

fn state_of(error: &Error) -> JobState {
    match error.code() {
        Code::RejectLimit => JobState::Rejected,
        Code::InDoubt => JobState::InDoubt,
        Code::Interrupted => JobState::Interrupted,
        _ => JobState::Failed,
    }
}

//! One job, from its spec to its account.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::admission::{self, Admission};
use super::choice::{self, Chosen, Rivals};
use super::error::Error;
use super::identity::{Candidates, Identity};
use super::prepare::{self, Preparation, Prepared};
use super::reading::{self, Read, Reading};
use super::refused::JobRejects;
use super::sink::{Exit, InputContext, JobSink};
use super::spec::{CommitScope, JobSpec};
use super::spooling::{self, Brakes, Feeder, Way, Writer};
use super::stop::{self, Stop};
use super::{Ended, Loader, task, whole};
use crate::clock::rfc3339;
use crate::dispatcher::{self, Delivered, Dispatcher, Outcome, Policy, Rejects};
use crate::failure::{Code, Failure as _, chain};
use crate::governor::{Budget, Gate, Pace, Window};
use crate::journal::{self, Begun, Journal, Lease, Work};
use crate::model::report::{ErrorReport, SlowReport};
use crate::model::{JobState, LoadReport, Report, invariant};
use crate::pipeline::Context;
use crate::planner::{self, Limits, Parallel};
use crate::reader::reject::RejectsWriter;
use crate::source::{self, Input};
use crate::spool::Store;
use crate::telemetry::{Progress, Stage, memory};

/// Chunks between the pipeline and the dispatcher. The budget bounds the bytes; this one only decouples the two.
pub(super) const QUEUE_CHUNKS: usize = 1;

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
    pub(super) started: Instant,
    pub(super) already: Option<String>,
    pub(super) notices: Vec<String>,
}

/// A run that the journal has let begin.
pub(super) struct Started {
    pub(super) identity: Identity,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) run: u32,
    /// Who must not be at the same work in the other way.
    pub(super) rivals: Option<Rivals>,
    pub(super) _leases: Vec<Lease>,
}

/// A job that has begun, with all it takes to go on.
pub(super) struct Commenced {
    pub(super) spec: JobSpec,
    pub(super) inputs: Vec<Input>,
    pub(super) limits: Limits,
    pub(super) started: Started,
    pub(super) stop: Stop,
}

impl<'a> Account<'a> {
    pub(super) fn new(loader: &'a Loader) -> Self {
        let report = Report::new(&loader.address, rfc3339(loader.clock.now()));
        Self { loader, report, started: loader.clock.instant(), already: None, notices: Vec::new() }
    }

    async fn work(&mut self, spec: &JobSpec, stop: Stop) -> Result<(), Error> {
        let Some(Commenced { spec, inputs, limits, started, stop }) = self.commence(spec, stop).await? else {
            return Ok(());
        };
        let result = if let Some(report) = whole::decided(&started)? {
            let dispatcher = self.dispatcher(&spec, &started, limits.parallel, stop.drain, None);
            self.go_forward(&dispatcher.expect("a decision is in a journal"), report, &stop.cancel).await
        } else {
            let clock = Arc::clone(&self.loader.clock);
            let deadline = spec.deadline.map(|after| (after, self.started + after));
            stop::within(deadline, clock, stop, |stop| self.load(&spec, &started, inputs, limits, stop)).await
        };
        self.finish_journal(&started, result)
    }

    /// Finds out which job it is and begins it; none where there is nothing left to do.
    pub(super) async fn commence(&mut self, spec: &JobSpec, mut stop: Stop) -> Result<Option<Commenced>, Error> {
        let limits = planner::limits(spec.memory, spec.overhead, spec.load_size, spec.parallel)?;
        let now = self.loader.clock.now();
        let (inputs, candidates) = task::block_in_place(|| {
            let inputs = source::list(&spec.sources)?;
            let candidates = Candidates::of(spec, &inputs, &self.report.target, now)?;
            Ok::<_, Error>((inputs, candidates))
        })?;
        self.report.job = candidates.first.job.to_string();
        let total = inputs.iter().map(|input| input.bytes.unwrap_or(0)).sum();
        self.loader.progress.bytes_total.store(total, Ordering::Relaxed);
        let (chosen, admission) = self.choose(spec, &inputs, candidates, &mut stop).await?;
        let spec = JobSpec { commit: chosen.scope, ..spec.clone() };
        let Some(started) = self.begin(&spec, chosen, admission).await? else { return Ok(None) };
        let clock = Arc::clone(&self.loader.clock);
        let Stop { drain, cancel } = stop;
        let cancel = admission::with_requests(started.journal.as_ref(), &started.identity, &clock, cancel);
        Ok(Some(Commenced { spec, inputs, limits, started, stop: Stop { drain, cancel } }))
    }

    /// Finds out which job it is, as nobody else can begin it meanwhile.
    async fn choose(
        &mut self,
        spec: &JobSpec,
        inputs: &[Input],
        candidates: Candidates,
        stop: &mut Stop,
    ) -> Result<(Chosen, Option<Admission>), Error> {
        let clock = &self.loader.clock;
        let mut admission =
            if spec.dry_run { None } else { Some(admission::admit(spec, &candidates, clock, stop).await?) };
        let first = candidates.first.job.clone();
        let journal = admission.as_ref().map(|admission| admission.journal.as_ref());
        let chosen = tokio::select! {
            biased;
            chosen = choice::choose(&self.loader.target, spec, inputs, candidates, journal) => chosen?,
            () = stop.asked() => return Err(dispatcher::Error::Cancelled.into()),
        };
        self.report.job = chosen.identity.job.to_string();
        self.loader.progress.name(&self.report.job);
        if let Some(admission) = &mut admission {
            admission.hold(&chosen.identity.job, &first, clock, stop).await?;
        }
        Ok((chosen, admission))
    }

    /// Asks the journal whether there is anything to do.
    async fn begin(
        &mut self,
        spec: &JobSpec,
        chosen: Chosen,
        admission: Option<Admission>,
    ) -> Result<Option<Started>, Error> {
        let commit = chosen.report();
        let Chosen { identity, rivals, notices, .. } = chosen;
        let mut started = Started { identity, journal: None, run: 0, rivals, _leases: Vec::new() };
        if let Some(Admission { journal, leases, .. }) = admission {
            let Some(run) = self.begin_run(spec, &started.identity, &journal).await? else { return Ok(None) };
            started = Started { journal: Some(journal), run, _leases: leases, ..started };
        }
        self.notices.push(format!("--commit {}: {}", commit.scope, commit.reason));
        self.notices.extend(notices);
        self.report.commit = Some(commit);
        Ok(Some(started))
    }

    /// The run that begins or goes on; none where the job is finished.
    async fn begin_run(
        &mut self,
        spec: &JobSpec,
        identity: &Identity,
        journal: &Arc<Journal>,
    ) -> Result<Option<u32>, Error> {
        let work = Work {
            job: &identity.job,
            fingerprint: &identity.fingerprint,
            target: &self.report.target,
            inputs: identity.guarded(),
        };
        if !spec.again {
            task::block_in_place(|| spooling::refuse_other_work(journal, identity))?;
        }
        self.sweep(journal, &work, spec).await?;
        let now = self.loader.clock.now();
        let begun = task::block_in_place(|| admission::begin(journal, &work, spec, identity.stream, now))?;
        let run = match begun {
            Begun::New { run } | Begun::Resumed { run } => run,
            Begun::Finished { at, report } => {
                self.report = Report { state: JobState::AlreadyLoaded, ..*report };
                self.already = Some(at);
                // A process that died between the end of the job and this left it.
                task::block_in_place(|| spooling::clear(journal, &identity.job, |_| true))?;
                return Ok(None);
            }
        };
        task::block_in_place(|| spooling::clear(journal, &identity.job, |older| older < run))?;
        if spec.commit == CommitScope::Job {
            task::block_in_place(|| journal.as_a_whole(&identity.job, run))?;
        }
        Ok(Some(run))
    }

    async fn load(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Input>,
        limits: Limits,
        stop: Stop,
    ) -> Result<(), Error> {
        let cancel = stop.cancel.clone();
        let (dispatcher, result) = self.deliver(spec, started, inputs, limits, stop).await;
        match dispatcher.filter(|dispatcher| dispatcher.whole) {
            Some(dispatcher) => self.end_whole(&dispatcher, result, started.rivals.as_ref(), &cancel).await,
            None => result,
        }
    }

    /// Reads and sends everything; where it is committed as a whole, that is still to be decided afterwards. The dispatcher is
    /// there from when something may have been sent.
    pub(super) async fn deliver(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Input>,
        limits: Limits,
        stop: Stop,
    ) -> (Option<Dispatcher>, Result<(), Error>) {
        let prepared = match self.prepare(spec, started, inputs, stop.clone()).await {
            Ok(prepared) => prepared,
            Err(error) => return (None, Err(error)),
        };
        self.send(spec, started, prepared, limits, stop).await
    }

    /// Finds out everything about inputs and table.
    async fn prepare(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Input>,
        mut stop: Stop,
    ) -> Result<Vec<Prepared>, Error> {
        let target = Arc::clone(&self.loader.target);
        let preparing = async {
            self.check_table(spec, started).await?;
            prepare::prepare(target.as_ref(), spec, inputs).await
        };
        let Preparation { inputs, notices, .. } = tokio::select! {
            biased;
            prepared = preparing => prepared?,
            () = stop.asked() => return Err(dispatcher::Error::Cancelled.into()),
        };
        self.notices.extend(prepare::descriptions(&inputs));
        self.notices.extend(notices);

        self.report.inputs = inputs.iter().map(reading::report_of).collect();
        Ok(inputs)
    }

    async fn send(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Prepared>,
        limits: Limits,
        stop: Stop,
    ) -> (Option<Dispatcher>, Result<(), Error>) {
        let store = match task::block_in_place(|| spooling::open(spec, started, self.loader.progress())) {
            Ok(store) => store,
            Err(error) => return (None, Err(error)),
        };
        let (sender, receiver) = mpsc::channel(QUEUE_CHUNKS);
        let (halt, halted) = watch::channel(false);
        let halt = Arc::new(halt);
        let (filling, sending) = spooling::budgets(limits.budget_bytes, spec.load_size.0, store.is_some());
        let brakes = Brakes { budgets: [filling.clone(), sending.clone()], store: store.clone() };
        let feeding = store.as_ref().map(|store| {
            let (queue, halt) = (sender.clone(), Arc::clone(&halt));
            let (store, brakes, load_bytes) = (Arc::clone(store), brakes.clone(), spec.load_size.0);
            let feeder = Feeder { store, budget: sending, load_bytes, queue, halt, brakes };
            task::spawn_blocking(move || feeder.run())
        });
        let exit = self.exit(spec, started, store.clone(), sender);
        let sources = inputs.iter().map(|input| input.input.clone()).collect();
        let writer = RejectsWriter::new(&spec.rejects_folder, &started.identity.job);
        let rejects = Arc::new(JobRejects::new(spec, writer, sources, self.loader.progress()));
        let reading = self.reading(spec, started, inputs, exit, &filling, &rejects).start(halt);
        let mut dispatcher = self.dispatcher(spec, started, limits.parallel, stop.drain.clone(), store.clone());
        if let Some(dispatcher) = &mut dispatcher {
            dispatcher.rejects = Rejects::to(Arc::<JobRejects>::clone(&rejects));
        }
        let outcome = match &dispatcher {
            Some(dispatcher) => dispatcher.clone().run(receiver, halted, stop.cancel.clone()).await,
            None => until_read(halted, stop.clone()).await,
        };
        // Whether it ended well or not, nothing more will be taken: whoever still waits for room must not.
        brakes.pull();
        let result = self.settle(outcome, reading, &rejects).await;
        let result = match feeding {
            Some(feeding) => match feeding.await {
                Ok(failure) => first_to_tell(failure, result.err()).map_or(Ok(()), Err),
                Err(_) => Err(Error::Broken),
            },
            None => result,
        };
        let result = match &store {
            Some(store) => task::block_in_place(|| self.leave(store, started, result.as_ref().err())).and(result),
            None => result,
        };
        (dispatcher, result)
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

    /// Where chunks go.
    fn exit(
        &self,
        spec: &JobSpec,
        started: &Started,
        store: Option<Arc<Store>>,
        queue: mpsc::Sender<dispatcher::Delivery>,
    ) -> Exit {
        match (&started.journal, store) {
            (None, _) => Exit::Count { loads: 0, bytes: 0 },
            (Some(_), None) => Exit::Queue(queue),
            (Some(journal), Some(store)) => Exit::Spool(Way {
                writer: Writer::new(Arc::clone(&store), spec.spool_max, self.loader.progress()),
                store,
                queue,
                journal: Arc::clone(journal),
                job: started.identity.job.clone(),
                run: started.run,
                limit: spec.spool_max,
                progress: self.loader.progress(),
                clock: Arc::clone(&self.loader.clock),
            }),
        }
    }

    /// What becomes of the spool of a try that has failed.
    pub(super) fn leave(&mut self, store: &Store, started: &Started, failure: Option<&Error>) -> Result<(), Error> {
        let (Some(failure), Some(journal)) = (failure, &started.journal) else { return Ok(()) };
        let job = &started.identity.job;
        if let Error::RejectLimit { .. } = failure {
            // Rows before the rejects are not loaded behind the back of whoever corrects the source.
            let sent: HashSet<_> = journal.loads(job, started.run)?.into_iter().map(|(label, _)| label).collect();
            store.drop_unsent(|label| sent.contains(label))?;
        }
        let (loads, rows) = store.unsettled();
        if loads > 0 {
            let word = if loads == 1 { "load" } else { "loads" };
            self.notices.push(format!(
                "{rows} rows of {loads} {word} lie in the spool, {}; `shipload resume {job}` goes on with them",
                store.folder().display()
            ));
        }
        Ok(())
    }

    fn reading(
        &self,
        spec: &JobSpec,
        started: &Started,
        inputs: Vec<Prepared>,
        exit: Exit,
        budget: &Budget,
        rejects: &Arc<JobRejects>,
    ) -> Reading {
        let sink = JobSink {
            exit,
            identity: started.identity.clone(),
            run: started.run,
            rejects: Arc::clone(rejects),
            input: InputContext::default(),
            begun: false,
            whole: spec.commit == CommitScope::Job,
            rivals: started.rivals.clone().filter(|_| spec.commit == CommitScope::Load),
            failure: None,
        };
        let context = Context {
            budget: budget.clone(),
            progress: self.loader.progress(),
            clock: Arc::clone(&self.loader.clock),
            pieces_bytes: spec.overhead.pieces().0,
        };
        Reading {
            spec: spec.clone(),
            press: prepare::press(spec.codec, &self.report.target),
            inputs,
            sink,
            context,
            runtime: Handle::current(),
            reports: Vec::new(),
        }
    }

    pub(super) fn dispatcher(
        &self,
        spec: &JobSpec,
        started: &Started,
        parallel: Parallel,
        drain: watch::Receiver<bool>,
        spool: Option<Arc<Store>>,
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
            rejects: Rejects::none(),
            spool,
        })
    }

    /// Brings together how reading and sending ended.
    async fn settle(
        &mut self,
        outcome: Outcome,
        reading: task::JoinHandle<Read>,
        rejects: &JobRejects,
    ) -> Result<(), Error> {
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
            self.report.compression = Some(read.compression);
            failure = read.failure;
        }
        self.account_for(outcome.delivered);
        // Only now all of them are known.
        let kept = task::block_in_place(|| rejects.finish(cancelled));
        for (input, refused) in self.report.inputs.iter_mut().zip(rejects.refused()) {
            input.rejected += refused;
        }
        self.report.rejects = (rejects.counts().0 > 0).then(|| rejects.folder().display().to_string());
        let begun = self.report.rows_loaded > 0;
        let sending = outcome.failure.map(|failure| Error::of_delivery(failure, rejects, begun));
        let first = first_to_tell(failure, sending).map_or(Ok(()), Err);
        // Loads side by side may together come to more than each of them was allowed.
        let first = first.and_then(|()| if rejects.is_passed() { Err(rejects.passed(begun)) } else { Ok(()) });
        first.and(kept.map_err(|failure| dispatcher::Error::from(failure).into()))
    }

    /// ROWS-1: a job that is about to call itself finished has an account that adds up.
    fn check(&self) {
        let progress = &self.loader.progress;
        let (read, rejected) = (Progress::read(&progress.rows_read), Progress::read(&progress.rows_rejected));
        assert_eq!(read, self.report.rows_loaded + self.report.rows_unselected + rejected, "{}", invariant::ROWS_1);
    }

    pub(super) fn account_for(&mut self, mut delivered: Vec<Delivered>) {
        delivered.sort_by_key(|load| (load.input, load.from.byte, load.label.clone()));
        for load in delivered {
            if load.state.is_loaded() {
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
    pub(super) fn finish_journal(&mut self, started: &Started, result: Result<(), Error>) -> Result<(), Error> {
        self.conclude(result.as_ref().err());
        if let Some(journal) = &started.journal {
            if result.is_ok() {
                self.check();
            }
            let now = self.loader.clock.now();
            let ended = task::block_in_place(|| journal.end(&started.identity.job, started.run, &self.report, now));
            // A first failure is the one to tell; the journal's own only when there is no other.
            result.and(ended.map_err(Error::from))?;
            let own = |run| run == started.run;
            if let Err(error) = task::block_in_place(|| spooling::clear(journal, &started.identity.job, own)) {
                tracing::warn!("the job is done, and its spool is left over: {}", chain(&error));
            }
            return Ok(());
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
        report.profile = Some(progress.profile(elapsed));
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

    pub(super) fn close(mut self, result: Result<(), Error>) -> Ended {
        if let Err(error) = &result {
            self.conclude(Some(error));
        }
        Ended { report: self.report, error: result.err(), already: self.already, notices: self.notices }
    }
}

/// Which of two failures a person has to hear of. The reading's own comes first, since a halt is what it asked of the
/// dispatcher; but no rejected row may hide rows of which nobody knows whether they are in the table.
pub(super) fn first_to_tell(reading: Option<Error>, sending: Option<Error>) -> Option<Error> {
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
        Code::RejectLimit | Code::RowsRefused => JobState::Rejected,
        Code::InDoubt => JobState::InDoubt,
        Code::Interrupted => JobState::Interrupted,
        _ => JobState::Failed,
    }
}

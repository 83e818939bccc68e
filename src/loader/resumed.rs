//! Going on with a job that reads a stream, without the stream: what lies in the spool is sent, and then it is said how much of
//! the stream that was.
//!
//! The job is finished by it only if the stream was read to its end, and every row of it is in the table, prepared or in the
//! spool. Of a job that is committed as a whole nothing is sent otherwise: what is open is rolled back, and the spool stays.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::error::Error;
use super::identity::{Candidates, Identity};
use super::job::{Account, QUEUE_CHUNKS, Started, first_to_tell};
use super::spec::{CommitScope, JobSpec};
use super::spooling::{Brakes, Feeder};
use super::stop::{self, Stop};
use super::task;
use super::{Ended, Loader, admission, whole};
use crate::dispatcher::Dispatcher;
use crate::governor::Budget;
use crate::journal::{self, JobEntry, LoadEntry};
use crate::model::{JobState, Label, LoadReport, LoadState, Report};
use crate::planner::{self, Limits};
use crate::spool::{End, Store, Summary};
use crate::telemetry::Progress;

impl Loader {
    /// Goes on with a job that reads a stream, with what lies in its spool. The spec says how, and not what.
    pub async fn resume_spooled(&self, spec: &JobSpec, job: &JobEntry, stop: Stop) -> Ended {
        let mut account = Account::new(self);
        let result = account.work_spooled(spec, job, stop).await;
        account.close(result)
    }
}

/// What lies in the spool of a job; none where it has none.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn spooled(job: &JobEntry) -> Result<Option<Summary>, Error> {
    job.spool.as_deref().map_or(Ok(None), |folder| Ok(crate::spool::look(folder)?))
}

/// Lets go of what lies in the spool of a job. The caller holds its lease.
///
/// # Errors
/// When a file cannot be removed.
pub fn drop_spooled(job: &JobEntry) -> Result<(), Error> {
    job.spool.as_deref().map_or(Ok(()), |folder| Ok(crate::spool::remove(folder)?))
}

/// What is known of a job that is gone on with.
struct Known {
    /// What was said at the stream's end.
    end: Option<End>,
    /// Loads that are safe and not in the spool: in the table, or prepared.
    safe: Vec<(Label, LoadEntry)>,
    /// Rows of other loads that the target has refused.
    refused: u64,
}

impl Known {
    /// Whether every row of the stream is taken care of.
    fn is_whole(&self, spooled_rows: u64) -> Option<&End> {
        let safe: u64 = self.safe.iter().map(|(_, load)| load.rows).sum();
        let rows = safe + self.refused + spooled_rows;
        self.end.as_ref().filter(|end| rows == end.rows_read - end.rows_rejected)
    }
}

impl Account<'_> {
    async fn work_spooled(&mut self, spec: &JobSpec, job: &JobEntry, mut stop: Stop) -> Result<(), Error> {
        let scope = if job.whole { CommitScope::Job } else { CommitScope::Load };
        let spec = &JobSpec { commit: scope, only: None, ..spec.clone() };
        let limits = planner::limits(spec.memory, spec.overhead, spec.load_size, spec.parallel)?;
        self.report.job = job.job.to_string();
        self.loader.progress.name(&self.report.job);
        let identity = Identity::known(job, spec);
        let clock = Arc::clone(&self.loader.clock);
        let candidates = Candidates { first: identity, whole: None };
        let mut admission = admission::admit(spec, &candidates, &clock, &mut stop).await?;
        admission.hold(&job.job, &job.job, &clock, &mut stop).await?;
        let (journal, identity) = (Arc::clone(&admission.journal), candidates.first);
        // Another process may have had it until now.
        let entry = journal.job(&job.job)?.filter(|entry| entry.run == job.run);
        let Some(entry) = entry else {
            return Err(journal::Error::OtherWork { job: job.job.to_string(), finished: None }.into());
        };
        if let Some(report) = entry.report.filter(|_| entry.finished) {
            self.report = Report { state: JobState::AlreadyLoaded, ..report };
            self.already = Some(entry.ended_at.unwrap_or_default());
            return Ok(());
        }
        journal.taken_up(&job.job, job.run, entry.recipe.as_deref(), true)?;
        let started =
            Started { identity, journal: Some(journal), run: job.run, rivals: None, _leases: admission.leases };
        let Stop { drain, cancel } = stop;
        let cancel = admission::with_requests(started.journal.as_ref(), &started.identity, &clock, cancel);
        let stop = Stop { drain, cancel };
        let result = if let Some(report) = whole::decided(&started)? {
            let dispatcher = self.dispatcher(spec, &started, limits.parallel, stop.drain, None);
            self.go_forward(&dispatcher.expect("a decision is in a journal"), report, &stop.cancel).await
        } else {
            let deadline = spec.deadline.map(|after| (after, self.started + after));
            stop::within(deadline, clock, stop, |stop| {
                self.send_spooled(spec, &started, entry.spool.as_deref(), limits, stop)
            })
            .await
        };
        self.finish_journal(&started, result)
    }

    async fn send_spooled(
        &mut self,
        spec: &JobSpec,
        started: &Started,
        folder: Option<&Path>,
        limits: Limits,
        stop: Stop,
    ) -> Result<(), Error> {
        let Some(folder) = folder else { return Err(self.broke_off(spec, None, 0)) };
        // Nothing is added to it, so that its limit does not matter.
        let store = Arc::new(task::block_in_place(|| Store::open(folder, u64::MAX, self.loader.progress()))?);
        let dispatcher = self
            .dispatcher(spec, started, limits.parallel, stop.drain.clone(), Some(Arc::clone(&store)))
            .expect("a job that is gone on with is in a journal");
        let known = task::block_in_place(|| known(&dispatcher, &store))?;
        let spooled = store.left();
        let end = known.is_whole(spooled.iter().map(|load| load.rows).sum()).cloned();
        if dispatcher.whole && end.is_none() {
            let broke_off = self.broke_off(spec, Some(&store), 0);
            return self.end_whole(&dispatcher, Err(broke_off), None, &stop.cancel).await;
        }
        self.count_safe(&known.safe);
        let refused = known.refused;
        for load in spooled {
            store.ask_for(&load.label);
        }
        store.finish();
        let result = self.send_all(spec, &dispatcher, &store, limits, &stop).await;
        task::block_in_place(|| self.leave(&store, started, result.as_ref().err()))?;
        let result = result.and_then(|()| match end {
            Some(end) => {
                self.count_end(end);
                if refused > 0 {
                    Progress::add(&self.loader.progress.rows_rejected, refused);
                    let folder = spec.rejects_folder.join(&self.report.job);
                    self.report.rejects.get_or_insert_with(|| folder.display().to_string());
                }
                Ok(())
            }
            None => Err(self.broke_off(spec, Some(&store), self.report.rows_loaded)),
        });
        if dispatcher.whole { self.end_whole(&dispatcher, result, None, &stop.cancel).await } else { result }
    }

    /// Sends everything that lies in the store.
    async fn send_all(
        &mut self,
        spec: &JobSpec,
        dispatcher: &Dispatcher,
        store: &Arc<Store>,
        limits: Limits,
        stop: &Stop,
    ) -> Result<(), Error> {
        let (queue, receiver) = mpsc::channel(QUEUE_CHUNKS);
        let (halt, halted) = watch::channel(false);
        let budget = Budget::new(limits.budget_bytes);
        let brakes = Brakes { budgets: [budget.clone(), budget.clone()], store: Some(Arc::clone(store)) };
        let (store, load_bytes) = (Arc::clone(store), spec.load_size.0);
        let feeder = Feeder { store, budget, load_bytes, queue, halt: Arc::new(halt), brakes: brakes.clone() };
        let feeding = task::spawn_blocking(move || feeder.run());
        let outcome = dispatcher.clone().run(receiver, halted, stop.cancel.clone()).await;
        brakes.pull();
        let failure = feeding.await.map_err(|_| Error::Broken)?;
        self.account_for(outcome.delivered);
        first_to_tell(failure, outcome.failure.map(Error::from)).map_or(Ok(()), Err)
    }

    /// Brings what is safe already into the report.
    fn count_safe(&mut self, safe: &[(Label, LoadEntry)]) {
        for (label, load) in safe {
            if load.state != LoadState::Prepared {
                self.report.rows_loaded += load.rows_loaded;
                self.report.rows_unselected += load.rows_unselected;
            }
            self.report.loads.push(LoadReport {
                label: label.to_string(),
                transaction_id: load.transaction_id,
                state: load.state,
                rows: load.rows,
                bytes: load.bytes,
                attempts: 0,
                input: load.input.clone(),
                // Where its rows stand in the stream went with its chunk.
                from: 0,
                to: 0,
            });
        }
    }

    /// Takes over what the run that has read the stream counted.
    fn count_end(&mut self, end: End) {
        let progress = self.loader.progress();
        Progress::add(&progress.rows_read, end.rows_read);
        Progress::add(&progress.rows_rejected, end.rows_rejected);
        Progress::add(&progress.bytes_read, end.bytes_read);
        self.report.inputs = end.inputs;
        self.report.rejects = end.rejects;
    }

    fn broke_off(&self, spec: &JobSpec, store: Option<&Store>, rows: u64) -> Error {
        let newest = match store.map(Store::newest).transpose() {
            Ok(newest) => newest.flatten(),
            Err(error) => return error.into(),
        };
        Error::BrokeOff {
            job: self.report.job.clone(),
            rows,
            reached: newest.map(|head| (head.path, head.reached)),
            whole: spec.commit == CommitScope::Job,
        }
    }
}

fn known(dispatcher: &Dispatcher, store: &Store) -> Result<Known, Error> {
    let spooled: HashSet<Label> = store.left().into_iter().map(|load| load.label).collect();
    let is_safe = |state: LoadState| state.is_loaded() || state == LoadState::Prepared && dispatcher.whole;
    let (journal, job, run) = (&dispatcher.journal, &dispatcher.job, dispatcher.run);
    // The parts of a load that was refused lie in the spool together, until all of them are settled.
    let is_spooled = |label: &str| {
        spooled
            .iter()
            .any(|load| label.strip_prefix(load.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("-r")))
    };
    let loads = journal.loads(job, run)?.into_iter();
    let safe = loads.filter(|(label, load)| is_safe(load.state) && !is_spooled(label.as_str())).collect();
    let refused = journal.refused_rows(job, run)?.into_iter().filter(|(label, _)| !is_spooled(label));
    let refused = refused.map(|(_, rows)| rows).sum();
    Ok(Known { end: store.end()?, safe, refused })
}

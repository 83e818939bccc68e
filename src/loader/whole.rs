//! A job that is committed as a whole: from everything prepared to everything committed, or back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::choice::Rivals;
use super::error::Error;
use super::job::{Account, Started};
use super::spec::JobSpec;
use super::stop::Stop;
use super::{Loader, task};
use crate::dispatcher::{Dispatcher, Policy, Rejects};
use crate::governor::{Gate, Pace, Window};
use crate::journal::{self, Journal, LoadEntry, Work};
use crate::model::{Label, LoadState, Report};
use crate::simulated::{Mistake, draw, makes};
use crate::telemetry::Progress;

/// How long a job stays away at most that has given up a load which somebody else holds: twice as long as it takes that one
/// to notice what is free.
const ASIDE_MAX: Duration = Duration::from_secs(30);

impl Account<'_> {
    /// Rolls back what runs have left open whose place this work takes. Only what the journal names is touched.
    pub(super) async fn sweep(&self, journal: &Arc<Journal>, work: &Work<'_>, spec: &JobSpec) -> Result<(), Error> {
        if makes(Mistake::NoSweep) {
            return Ok(());
        }
        for (job, run) in task::block_in_place(|| journal.abandoned(work, spec.again))? {
            // A process that is at work on it keeps it.
            let own = job == *work.job;
            let now = self.loader.clock.now();
            let lease = if own { None } else { task::block_in_place(|| journal.lease(&job, now))? };
            if !own && lease.is_none() {
                return Err(journal::Error::Driven { job: job.to_string() }.into());
            }
            let open = open(task::block_in_place(|| journal.loads(&job, run))?);
            tracing::info!("rolling back {} transactions that job {job} has left open", open.len());
            let dispatcher = Dispatcher {
                job,
                run,
                inputs: Arc::default(),
                target: Arc::clone(&self.loader.target),
                journal: Arc::clone(journal),
                pace: Pace::default(),
                policy: Policy::default(),
                clock: Arc::clone(&self.loader.clock),
                progress: self.loader.progress(),
                gate: Gate::new(Window::fixed(spec.parallel.unwrap_or(1)), Arc::clone(&self.loader.clock)),
                drain: watch::channel(false).1,
                whole: true,
                rejects: Rejects::none(),
                spool: None,
            };
            dispatcher.roll_back_all(open).await;
            drop(lease);
        }
        Ok(())
    }

    /// Decides, once everything is read and sent: commits all of it, or rolls all of it back.
    pub(super) async fn end_whole(
        &mut self,
        dispatcher: &Dispatcher,
        result: Result<(), Error>,
        rivals: Option<&Rivals>,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let result = match result {
            Ok(()) => self.decide(dispatcher, rivals, cancel).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.back(dispatcher).await?;
            if error.is_crossed() {
                step_aside(self.loader, Stop { drain: dispatcher.drain.clone(), cancel: cancel.clone() }).await;
            }
            return Err(error);
        }
        let result = self.forward(dispatcher, cancel).await;
        if result.is_err() && makes(Mistake::RollBackDecided) {
            dispatcher.roll_back_all(open(entries(dispatcher)?)).await;
        }
        result
    }

    /// Rolls back what is open of this run.
    pub(super) async fn back(&mut self, dispatcher: &Dispatcher) -> Result<(), Error> {
        let open = open(entries(dispatcher)?);
        self.learn(&dispatcher.roll_back_all(open).await);
        // Nothing is in the table, so that the next run may try each load as a whole: the table may take it by then.
        Ok(task::block_in_place(|| dispatcher.journal.forget_refusals(&dispatcher.job, dispatcher.run))?)
    }

    /// The last look before the decision, and the decision.
    async fn decide(
        &mut self,
        dispatcher: &Dispatcher,
        rivals: Option<&Rivals>,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        self.look(dispatcher, rivals, cancel).await?;
        let now = self.loader.clock.now();
        task::block_in_place(|| dispatcher.journal.decide(&dispatcher.job, dispatcher.run, &self.report, now))?;
        Ok(())
    }

    /// Whether everything is prepared and may be decided upon; brings the report to where the decision keeps it.
    pub(super) async fn look(
        &mut self,
        dispatcher: &Dispatcher,
        rivals: Option<&Rivals>,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let prepared: Vec<Label> = self.prepared().map(|label| label.parse().expect("a report names labels")).collect();
        // A stream that brought other rows this time has left others behind.
        let stale = open(entries(dispatcher)?).into_iter().filter(|(label, _)| !prepared.contains(label)).collect();
        dispatcher.roll_back_all(stale).await;
        dispatcher.all_prepared(&prepared, cancel).await?;
        if makes(Mistake::CommitBeforeDecision) {
            dispatcher.commit_all(open(entries(dispatcher)?), &watch::channel(false).1).await;
        }
        // From now on whoever begins the other way finds these prepared.
        if let Some(rivals) = rivals {
            rivals.none().await?;
        }
        self.conclude(None);
        Ok(())
    }

    /// Goes on from the decision of an earlier try. The inputs are not read again.
    pub(super) async fn go_forward(
        &mut self,
        dispatcher: &Dispatcher,
        decided: Report,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        self.notices
            .push("an earlier run had read everything and decided to commit; this one ends its work".to_owned());
        let progress = self.loader.progress();
        Progress::add(&progress.rows_read, decided.rows_read);
        Progress::add(&progress.rows_rejected, decided.rows_rejected);
        let started_at = std::mem::take(&mut self.report.started_at);
        self.report = Report { started_at, ..decided };
        self.forward(dispatcher, cancel).await
    }

    pub(super) async fn forward(
        &mut self,
        dispatcher: &Dispatcher,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let known = entries(dispatcher)?;
        // What was prepared at the decision belongs to it, also where somebody has learned since that it is rolled back.
        let decided: HashSet<&str> = self.prepared().collect();
        let (done, left): (Vec<_>, Vec<_>) = known
            .into_iter()
            .filter(|(label, entry)| {
                entry.state.is_loaded() || entry.state.is_open() || decided.contains(label.as_str())
            })
            .partition(|(_, entry)| entry.state.is_loaded());
        self.learn(&done.iter().map(|(label, entry)| (label.clone(), entry.state)).collect::<Vec<_>>());
        let (committed, failure) = dispatcher.commit_all(left, cancel).await;
        self.learn(&committed);
        // The sums are made anew: an earlier try may have counted some of them.
        let known = entries(dispatcher)?;
        let in_table = || known.iter().map(|(_, entry)| entry).filter(|entry| entry.state.is_loaded());
        self.report.rows_loaded = in_table().map(|entry| entry.rows_loaded).sum();
        self.report.rows_unselected = in_table().map(|entry| entry.rows_unselected).sum();
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The labels of what is prepared, as the report has it.
    fn prepared(&self) -> impl Iterator<Item = &str> {
        let prepared = self.report.loads.iter().filter(|load| load.state == LoadState::Prepared);
        prepared.map(|load| load.label.as_str())
    }

    /// Brings the report up to date.
    fn learn(&mut self, states: &[(Label, LoadState)]) {
        let states: HashMap<&str, LoadState> = states.iter().map(|(label, state)| (label.as_str(), *state)).collect();
        for load in &mut self.report.loads {
            load.state = states.get(load.label.as_str()).copied().unwrap_or(load.state);
        }
    }
}

/// Stays away with nothing in its hands, for a time that nobody else draws as well. Whoever holds what this job has waited for
/// gets the rest meanwhile; two who came back at once would find each other in the way again, time after time.
pub(super) async fn step_aside(loader: &Loader, mut stop: Stop) {
    let time = ASIDE_MAX.mul_f64(draw());
    let seconds = time.as_secs_f64();
    tracing::warn!(
        "somebody else commits the same job: staying away for {seconds:.1} s, so that one of the two goes first"
    );
    tokio::select! {
        biased;
        () = loader.clock.sleep(time) => {}
        () = stop.asked() => {}
    }
}

/// The report of an earlier try that has decided to commit and did not come to its end.
pub(super) fn decided(started: &Started) -> Result<Option<Report>, Error> {
    let Some(journal) = &started.journal else { return Ok(None) };
    Ok(task::block_in_place(|| journal.decision(&started.identity.job, started.run))?)
}

fn entries(dispatcher: &Dispatcher) -> Result<Vec<(Label, LoadEntry)>, Error> {
    Ok(task::block_in_place(|| dispatcher.journal.loads(&dispatcher.job, dispatcher.run))?)
}

fn open(loads: Vec<(Label, LoadEntry)>) -> Vec<(Label, LoadEntry)> {
    loads.into_iter().filter(|(_, entry)| entry.state.is_open()).collect()
}

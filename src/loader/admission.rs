//! Whether a job may begin: one process at a time drives it, and somebody may ask for its end from outside.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::error::Error;
use super::identity::{Candidates, Identity};
use super::spec::JobSpec;
use super::stop::Stop;
use super::task;
use crate::clock::Clock;
use crate::dispatcher::{self, cancelled};
use crate::journal::{self, Begun, Journal, Lease, Work};
use crate::model::JobId;

/// How often a process that waits for a job looks whether it is free, and how often one that runs looks whether it
/// has been cancelled. Whoever said `cancel` waits for it; a look is one read of a row.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a lease may be held before somebody is told: who only looks at a job holds it for a moment.
const LOOKS_BEFORE_TELLING: u32 = 2;

/// The journal, and the right to drive a job that is written down in it.
pub(super) struct Admission {
    pub(super) journal: Arc<Journal>,
    /// Held until the job's end is written down. Where two jobs are candidates, one lease keeps both from everybody who
    /// leaves the choice open, and another one the chosen job from those who ask for it by name.
    pub(super) leases: Vec<Lease>,
    waited: bool,
    cancelled_before: Vec<JobId>,
}

/// Opens the journal, and waits until no other process is at the job.
pub(super) async fn admit(
    spec: &JobSpec,
    candidates: &Candidates,
    clock: &Arc<dyn Clock>,
    stop: &mut Stop,
) -> Result<Admission, Error> {
    let meant = |only: &String| candidates.all().any(|identity| identity.fingerprint == *only);
    if !spec.only.as_ref().is_none_or(meant) {
        let job = candidates.first.job.to_string();
        return Err(journal::Error::OtherWork { job, finished: None }.into());
    }
    let journal = Arc::new(task::block_in_place(|| Journal::open(&spec.state_folder))?);
    // Whoever cancels it while this process waits for it means this process as well; an earlier cancel is the past.
    let mut cancelled_before = Vec::new();
    for identity in candidates.all() {
        if journal.is_cancelled(&identity.job)? {
            cancelled_before.push(identity.job.clone());
        }
    }
    let (lease, waited) = wait_for_lease(&journal, &candidates.first.job, clock, stop).await?;
    Ok(Admission { journal, leases: vec![lease], waited, cancelled_before })
}

impl Admission {
    /// Holds the chosen job as well, now that it is known which one it is.
    pub(super) async fn hold(
        &mut self,
        job: &JobId,
        first: &JobId,
        clock: &Arc<dyn Clock>,
        stop: &mut Stop,
    ) -> Result<(), Error> {
        if job != first {
            let (lease, waited) = wait_for_lease(&self.journal, job, clock, stop).await?;
            self.leases.push(lease);
            self.waited |= waited;
        }
        if self.waited && !self.cancelled_before.contains(job) && self.journal.is_cancelled(job)? {
            return Err(dispatcher::Error::Cancelled.into());
        }
        Ok(())
    }
}

/// Asks the journal whether there is anything to do.
pub(super) fn begin(
    journal: &Journal,
    work: &Work<'_>,
    spec: &JobSpec,
    stream: bool,
    now: SystemTime,
) -> Result<Begun, Error> {
    let begun = journal.begin(work, spec.again, now)?;
    if let Begun::New { run } | Begun::Resumed { run } = begun {
        journal.taken_up(work.job, run, spec.recipe.as_deref(), stream)?;
    }
    Ok(begun)
}

/// The lease, and whether another process had it.
async fn wait_for_lease(
    journal: &Journal,
    job: &JobId,
    clock: &Arc<dyn Clock>,
    stop: &mut Stop,
) -> Result<(Lease, bool), Error> {
    for look in 0_u32.. {
        if let Some(lease) = journal.lease(job, clock.now())? {
            return Ok((lease, look > 0));
        }
        if look == LOOKS_BEFORE_TELLING
            && let Some(holder) = journal.holder(job)?
        {
            tracing::warn!("process {} has been at {job} since {}; waiting for it", holder.pid, holder.since);
        }
        tokio::select! {
            biased;
            () = clock.sleep(LOOK_EVERY) => {}
            () = stop.asked() => return Err(dispatcher::Error::Cancelled.into()),
        }
    }
    unreachable!("it waits for as long as it takes")
}

/// A cancel that also comes when somebody asks for the job's end in the journal. Ends its task with the job, whose
/// end drops the receiver.
pub(super) fn with_requests(
    journal: Option<&Arc<Journal>>,
    identity: &Identity,
    clock: &Arc<dyn Clock>,
    mut cancel: watch::Receiver<bool>,
) -> watch::Receiver<bool> {
    let Some(journal) = journal.map(Arc::clone) else { return cancel };
    let (job, clock) = (identity.job.clone(), Arc::clone(clock));
    let (sender, both) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            // A look that fails says nothing; the loads' own entries fail as well then, and stop the job.
            if matches!(task::block_in_place(|| journal.is_cancelled(&job)), Ok(true)) {
                tracing::warn!("somebody cancelled {job}: settling what is under way");
                break;
            }
            tokio::select! {
                biased;
                () = clock.sleep(LOOK_EVERY) => {}
                () = cancelled(&mut cancel) => break,
                () = sender.closed() => return,
            }
        }
        sender.send_replace(true);
        sender.closed().await;
    });
    both
}

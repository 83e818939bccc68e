//! Several jobs that are committed together: all of them, or none.
//!
//! ```text
//!  job 1: prepared ─▶ job 2: prepared ─▶ … ─▶ all asked ─▶ journal: one decision for all ─▶ commit 1, commit 2, …
//!                          └─ any failure ─▶ roll back all
//! ```
//!
//! Each is a job that is committed as a whole, with labels and transactions of its own, and what is written down of
//! it at the decision is written for all in one write. After a crash before it, every job goes on with what it has
//! prepared; after it, every job commits its rest. Their rows become visible one job after the other, within moments:
//! a server has transactions over several tables only where nothing can be prepared in them (SR §4.9).
//!
//! What the jobs are is part of what each of them is: none can be gone on with alone.

use sha2::{Digest as _, Sha256};

use super::choice::Rivals;
use super::error::Error;
use super::identity::{Candidates, hex};
use super::job::{Account, Commenced, Started};
use super::spec::{CommitScope, JobSpec};
use super::stop::Stop;
use super::task;
use super::{Ended, Loader, whole};
use crate::dispatcher::Dispatcher;
use crate::source;

/// A job with everything of it sent, or more.
struct Ready {
    started: Started,
    dispatcher: Dispatcher,
    stop: Stop,
    /// Whether an earlier run has decided to commit it.
    decided: Option<Box<crate::model::Report>>,
}

/// Runs jobs that are committed together, one after the other. Their accounts come in the same order. All of them
/// have one journal.
pub async fn run_together(jobs: &[(Loader, JobSpec)], stop: Stop) -> Vec<Ended> {
    let mut accounts: Vec<Account<'_>> = jobs.iter().map(|(loader, _)| Account::new(loader)).collect();
    let group = match group(jobs) {
        Ok(group) => group,
        Err((index, error)) => return fail(accounts, index, error),
    };
    let mut ready: Vec<Option<Ready>> = Vec::new();
    let mut failed = None;
    for (index, (account, (_, spec))) in accounts.iter_mut().zip(jobs).enumerate() {
        let spec = JobSpec { commit: CommitScope::Job, group: Some(group.clone()), ..spec.clone() };
        match make_ready(account, &spec, stop.clone()).await {
            Ok(one) => ready.push(one),
            Err(error) => {
                failed = Some((index, error));
                break;
            }
        }
    }
    if failed.is_none() {
        failed = decide(&mut accounts, &ready).await.err();
    }
    match failed {
        None => {
            let ended = accounts.into_iter().zip(ready);
            let mut all = Vec::new();
            for (account, ready) in ended {
                all.push(commit(account, ready).await);
            }
            all
        }
        Some((index, error)) => {
            let crossed = error.is_crossed();
            let ended = roll_back(accounts, ready, index, error).await;
            if crossed {
                whole::step_aside(&jobs[index].0, stop).await;
            }
            ended
        }
    }
}

/// A word for all the jobs: other ones have another.
fn group(jobs: &[(Loader, JobSpec)]) -> Result<String, (usize, Error)> {
    let mut digest = Sha256::new();
    for (index, (loader, spec)) in jobs.iter().enumerate() {
        let spec = JobSpec { commit: CommitScope::Job, ..spec.clone() };
        let identity = task::block_in_place(|| {
            let inputs = source::list(&spec.sources)?;
            Candidates::of(&spec, &inputs, &loader.address, loader.clock.now())
        });
        let identity = identity.map_err(|error| (index, error))?.first;
        digest.update(format!("{}\n{}\n", identity.job, identity.fingerprint));
    }
    Ok(hex(&digest.finalize()))
}

/// Brings a job to where everything of it is prepared; none where it is finished.
async fn make_ready(account: &mut Account<'_>, spec: &JobSpec, stop: Stop) -> Result<Option<Ready>, Error> {
    let Some(Commenced { spec, inputs, limits, started, stop }) = account.commence(spec, stop).await? else {
        return Ok(None);
    };
    let dispatcher = account.dispatcher(&spec, &started, limits.parallel, stop.drain.clone(), None);
    let dispatcher = dispatcher.expect("a job that is run has a journal");
    let decided = whole::decided(&started)?.map(Box::new);
    if decided.is_none() {
        let (_, result) = account.deliver(&spec, &started, inputs, limits, stop.clone()).await;
        if let Err(error) = result {
            account.back(&dispatcher).await?;
            let error = account.finish_journal(&started, Err(error)).expect_err("it has just failed");
            return Err(error);
        }
    }
    Ok(Some(Ready { started, dispatcher, stop, decided }))
}

/// The last look at all of them, and the one decision. Says which one stands in its way.
async fn decide(accounts: &mut [Account<'_>], ready: &[Option<Ready>]) -> Result<(), (usize, Error)> {
    let open = |ready: &Option<Ready>| ready.as_ref().is_some_and(|ready| ready.decided.is_none());
    for (index, (account, ready)) in accounts.iter_mut().zip(ready).enumerate() {
        let Some(ready) = ready.as_ref().filter(|ready| ready.decided.is_none()) else { continue };
        let rivals: Option<&Rivals> = ready.started.rivals.as_ref();
        let looked = account.look(&ready.dispatcher, rivals, &ready.stop.cancel).await;
        looked.map_err(|error| (index, error))?;
    }
    let Some(first) = ready.iter().position(open) else { return Ok(()) };
    let runs: Vec<_> = accounts
        .iter()
        .zip(ready)
        .filter(|(_, ready)| open(ready))
        .filter_map(|(account, ready)| {
            let dispatcher = &ready.as_ref()?.dispatcher;
            Some((&dispatcher.job, dispatcher.run, &account.report))
        })
        .collect();
    let Some(Ready { dispatcher, .. }) = &ready[first] else { return Ok(()) };
    let now = accounts[first].loader.clock.now();
    task::block_in_place(|| dispatcher.journal.decide_all(&runs, now)).map_err(|error| (first, error.into()))
}

/// Commits one of them, after the decision.
async fn commit(mut account: Account<'_>, ready: Option<Ready>) -> Ended {
    let Some(Ready { started, dispatcher, stop, decided }) = ready else { return account.close(Ok(())) };
    let result = match decided {
        Some(report) => account.go_forward(&dispatcher, *report, &stop.cancel).await,
        None => account.forward(&dispatcher, &stop.cancel).await,
    };
    let result = account.finish_journal(&started, result);
    account.close(result)
}

/// Ends all of them because one failed. What was decided upon before goes forward all the same.
async fn roll_back(accounts: Vec<Account<'_>>, ready: Vec<Option<Ready>>, failed: usize, error: Error) -> Vec<Ended> {
    let other = accounts[failed].report.target.clone();
    let mut error = Some(error);
    let mut ready = ready.into_iter();
    let mut all = Vec::new();
    for (index, mut account) in accounts.into_iter().enumerate() {
        let one = ready.next().flatten();
        let why = if index == failed { error.take() } else { None };
        let why = why.unwrap_or_else(|| Error::Together { other: other.clone() });
        all.push(match one {
            Some(one) if one.decided.is_some() => commit(account, Some(one)).await,
            Some(Ready { started, dispatcher, .. }) => {
                let back = account.back(&dispatcher).await;
                let result = account.finish_journal(&started, Err(why));
                account.close(result.and(back))
            }
            None if account.already.is_some() => account.close(Ok(())),
            None => account.close(Err(why)),
        });
    }
    all
}

/// Ends all of them before any has begun.
fn fail(accounts: Vec<Account<'_>>, failed: usize, error: Error) -> Vec<Ended> {
    let other = accounts[failed].report.target.clone();
    let mut error = Some(error);
    let end = |(index, account): (usize, Account<'_>)| {
        let why = if index == failed { error.take() } else { None };
        account.close(Err(why.unwrap_or_else(|| Error::Together { other: other.clone() })))
    };
    accounts.into_iter().enumerate().map(end).collect()
}

//! Loads of a job that is committed as a whole: each one prepared, then all committed or all rolled back.
//!
//! ```text
//!  Delivery ─▶ journal: sending ─▶ begin, load, prepare ─┬─ counts agree ─▶ journal: prepared
//!                                          ▲             └─ anything else ─▶ roll back, confirmed ─┐
//!                                          └───────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing of it is in the table before the commit, so that every failure has one remedy: away with the transaction, and
//! once more from its start. A label that this journal has never sent under belongs to somebody else, whose transaction is
//! waited for and not touched. So that two do not wait for each other, the first load of a job goes alone, and nobody waits
//! for long who holds others.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::attempt::{Run, cancelled, note_end};
use super::ending::{End, Ending, Goal};
use super::retry::Decision;
use super::{Dispatcher, Error};
use crate::failure::chain;
use crate::journal::{LoadEntry, Settled};
use crate::model::{Label, LoadState};
use crate::simulated::{Mistake, makes};
use crate::target::{self, LabelState, Loaded, Prepared};
use crate::telemetry::Progress;

/// How long a failed job tries to roll a transaction back, before it leaves that to the next run.
const ROLL_BACK_MAX: Duration = Duration::from_mins(1);

/// How long a load is waited for that somebody else has begun, while other loads of the job are prepared here. Whoever has
/// them all waits for nothing, so that such a one may wait for ours: then both have to give up what they hold.
const CROSSED_MAX: Duration = Duration::from_secs(15);

impl Run {
    /// Prepares one chunk.
    pub(super) async fn prepare_until_settled(&mut self) -> Result<(), Error> {
        let started = self.dispatcher.clock.instant();
        let entry = self.entry();
        let dispatcher = &self.dispatcher;
        let known = dispatcher.journal.sending(&dispatcher.job, dispatcher.run, &self.delivery.label, &entry)?;
        if let Some(known) = &known
            && (self.known(known)? || self.left_behind(known).await?)
        {
            return Ok(());
        }
        loop {
            let error = match self.prepare_once().await? {
                Ok(prepared) => return self.keep(&prepared),
                Err(error) => error,
            };
            Progress::add(&self.dispatcher.progress.attempts_failed, 1);
            let busy = matches!(error, target::Error::LabelBusy { .. });
            if busy {
                // Whoever is cut off while it waits, and whoever goes on after that, must not roll back what is not theirs.
                self.delivered.state = LoadState::Aborted;
                self.record()?;
                if self.alone {
                    self.empty_hands().await?;
                }
            }
            let goal = if busy && !makes(Mistake::RollBackOthers) { Goal::LeaveAlone } else { Goal::RollBack };
            match self.end(goal).await? {
                Ok(End::Applied { visible }) => return self.settle(&Loaded::before(visible)),
                Ok(End::Nothing(_)) if busy => {
                    // It is about to be ours.
                    self.delivered.state = LoadState::Sending;
                    self.record()?;
                }
                Ok(End::Nothing(_)) => {}
                Err(why) => {
                    tracing::warn!("{}: {why}", self.delivery.label);
                    // Of somebody else's nothing is left to do; of ours the next run has to know.
                    self.open = !busy;
                    return self.give_up(error, started);
                }
            }
            let wait = match self.decide(&error) {
                Decision::GiveUp => return self.give_up(error, started),
                Decision::Ask(_) if !self.may_send_again() => return self.give_up(error, started),
                Decision::SendAgain(wait) | Decision::Ask(wait) => wait,
            };
            self.warn(&error, &format!("rolled back, trying again in {:.1} s", wait.as_secs_f64()));
            self.back_off(wait).await?;
        }
    }

    /// What an earlier try left behind under the label: kept where it is prepared there and was checked here, cleared
    /// away otherwise. Whether there is nothing left to do.
    async fn left_behind(&mut self, known: &LoadEntry) -> Result<bool, Error> {
        if known.state == LoadState::Aborted {
            return Ok(false);
        }
        if known.state == LoadState::Prepared {
            let state = tokio::select! {
                biased;
                state = self.dispatcher.target.label_state(&self.delivery.label) => state,
                () = cancelled(&mut self.cancel) => return Err(Error::Cancelled),
            };
            if matches!(state, Ok(LabelState::Prepared)) {
                self.keep(&Prepared {
                    transaction_id: known.transaction_id,
                    rows_loaded: known.rows_loaded,
                    rows_unselected: known.rows_unselected,
                    phases: Vec::new(),
                })?;
                return Ok(true);
            }
        }
        match self.end(Goal::RollBack).await? {
            Ok(End::Applied { visible }) => self.settle(&Loaded::before(visible)).map(|()| true),
            Ok(End::Nothing(_)) => {
                // Until now the journal may call it prepared.
                self.delivered.state = LoadState::Sending;
                self.record().map(|()| false)
            }
            Err(why) => Err(Error::InDoubt { label: self.delivery.label.clone(), why, source: None }),
        }
    }

    /// Rolls back what earlier tries have left open under other labels: whoever holds this one may be waiting for them.
    async fn empty_hands(&self) -> Result<(), Error> {
        let dispatcher = &self.dispatcher;
        let mut loads = dispatcher.journal.loads(&dispatcher.job, dispatcher.run)?;
        loads.retain(|(label, entry)| *label != self.delivery.label && entry.state.is_open());
        let mut cancel = self.cancel.clone();
        tokio::select! {
            biased;
            _ = dispatcher.roll_back_all(loads) => Ok(()),
            () = cancelled(&mut cancel) => Err(Error::Cancelled),
        }
    }

    /// Sends once. The outer error is a cancel.
    async fn prepare_once(&mut self) -> Result<Result<Prepared, target::Error>, Error> {
        self.delivered.attempts += 1;
        let (chunk, span) = (&self.delivery.chunk, self.span());
        let sending = async {
            let pass = self.dispatcher.admit(chunk.body_bytes).await;
            let started = self.dispatcher.clock.instant();
            let preparing = self.dispatcher.target.prepare(&self.delivery.label, chunk, &self.delivery.settings);
            let result = note_end(&span, preparing).instrument(span.clone()).await;
            self.dispatcher.count_attempt(started, &pass, result.is_ok().then_some(chunk.body_bytes));
            (pass, result)
        };
        let (pass, result) = tokio::select! {
            biased;
            result = sending => result,
            // What is open is rolled back with the rest of the job.
            () = cancelled(&mut self.cancel) => return Err(Error::Cancelled),
        };
        self.tell(pass, result.as_ref().err());
        if let Ok(prepared) = &result {
            self.dispatcher.progress.served(&prepared.phases);
            Progress::add(&self.dispatcher.progress.bytes_sent, chunk.body_bytes);
        }
        Ok(result)
    }

    async fn end(&mut self, goal: Goal) -> Result<Result<End, String>, Error> {
        let patience = match goal {
            Goal::LeaveAlone if !self.alone => CROSSED_MAX,
            _ => self.dispatcher.policy.settle_max,
        };
        let ending = self.dispatcher.ending(patience);
        let ended = tokio::select! {
            biased;
            ended = ending.reach(goal, &self.delivery.label) => ended,
            () = cancelled(&mut self.cancel) => return Err(Error::Cancelled),
        };
        Ok(ended)
    }

    fn keep(&mut self, prepared: &Prepared) -> Result<(), Error> {
        let delivered = &mut self.delivered;
        // Where the filter left no row there is no transaction, and nothing to wait for.
        let nothing = prepared.transaction_id.is_none() && prepared.rows_loaded == 0;
        delivered.state = if nothing { LoadState::Visible } else { LoadState::Prepared };
        delivered.transaction_id = prepared.transaction_id;
        delivered.rows_loaded = prepared.rows_loaded;
        delivered.rows_unselected = prepared.rows_unselected;
        self.record()
    }
}

impl Dispatcher {
    fn ending(&self, patience: Duration) -> Ending {
        Ending {
            target: std::sync::Arc::clone(&self.target),
            clock: std::sync::Arc::clone(&self.clock),
            policy: self.policy,
            patience,
        }
    }

    /// Whether every one of these is still prepared, or committed already.
    ///
    /// # Errors
    /// Names the first that is not, or what keeps the server from saying.
    pub async fn all_prepared(&self, labels: &[Label], cancel: &watch::Receiver<bool>) -> Result<(), Error> {
        for label in labels {
            let mut cancel = cancel.clone();
            let state = tokio::select! {
                biased;
                () = cancelled(&mut cancel) => return Err(Error::Cancelled),
                state = self.state_for_certain(label) => state?,
            };
            let why = match state {
                LabelState::Prepared | LabelState::Committed | LabelState::Visible => continue,
                LabelState::Aborted => "the server has rolled it back".to_owned(),
                LabelState::Unknown => "the server does not know it any more".to_owned(),
                LabelState::Prepare => "somebody else has begun it anew".to_owned(),
            };
            return Err(Error::NotPrepared { label: label.clone(), why });
        }
        Ok(())
    }

    /// How a label stands. A server that is away for a moment must not cost what is prepared: it is asked until it answers.
    async fn state_for_certain(&self, label: &Label) -> Result<LabelState, Error> {
        let started = self.clock.instant();
        for asks in 1_u32.. {
            let source = match self.target.label_state(label).await {
                Ok(state) => return Ok(state),
                Err(source) => source,
            };
            let elapsed = self.clock.instant() - started;
            if elapsed >= self.policy.settle_max {
                return Err(Error::Failed { label: label.clone(), attempts: asks, elapsed, source });
            }
            let wait = self.policy.backoff(asks);
            let seconds = wait.as_secs_f64();
            tracing::warn!(
                "asking for the state of {label} failed: {}; asking again in {seconds:.1} s",
                chain(&source)
            );
            self.clock.sleep(wait).await;
        }
        unreachable!("the time is up before")
    }

    /// Commits what was decided upon; the journal learns of each. Says which are in the table, and whether readers see
    /// them.
    ///
    /// # Errors
    /// Names those that are not, after all others are done.
    pub async fn commit_all(
        &self,
        loads: Vec<(Label, LoadEntry)>,
        cancel: &watch::Receiver<bool>,
    ) -> (Vec<(Label, LoadState)>, Option<Error>) {
        let mut done = Vec::new();
        let mut torn = Vec::new();
        let mut failure = None;
        for (label, entry, ended) in self.end_all(Goal::Commit, self.policy.settle_max, loads, Some(cancel)).await {
            let state = match ended {
                Some(Ok(End::Applied { visible: true })) => LoadState::Visible,
                Some(Ok(End::Applied { visible: false })) => LoadState::Committed,
                Some(Ok(End::Nothing(state))) => {
                    let what = if state == LabelState::Aborted { "rolled back" } else { "unknown" };
                    torn.push((label.clone(), format!("{what} at the server")));
                    LoadState::InDoubt
                }
                Some(Err(why)) => {
                    torn.push((label, why));
                    continue;
                }
                None => {
                    failure = Some(Error::Cancelled);
                    continue;
                }
            };
            if let Err(error) = self.note(&label, &entry, state) {
                failure = Some(error);
            }
            done.push((label, state));
        }
        if !torn.is_empty() {
            failure = Some(Error::Torn { loads: torn });
        }
        (done, failure)
    }

    /// Rolls back what is open; the journal learns of each. What cannot be rolled back now is left to the next run.
    pub async fn roll_back_all(&self, loads: Vec<(Label, LoadEntry)>) -> Vec<(Label, LoadState)> {
        let mut done = Vec::new();
        for (label, entry, ended) in self.end_all(Goal::RollBack, ROLL_BACK_MAX, loads, None).await {
            let state = match ended {
                Some(Ok(End::Nothing(_))) => LoadState::Aborted,
                Some(Ok(End::Applied { .. })) => LoadState::Visible,
                Some(Err(why)) => {
                    tracing::warn!("{label} could not be rolled back, the next run will: {why}");
                    continue;
                }
                None => continue,
            };
            if let Err(error) = self.note(&label, &entry, state) {
                tracing::warn!("{error}");
            }
            done.push((label, state));
        }
        done
    }

    /// The same for several at a time; nothing where a cancel came first.
    async fn end_all(
        &self,
        goal: Goal,
        patience: Duration,
        loads: Vec<(Label, LoadEntry)>,
        cancel: Option<&watch::Receiver<bool>>,
    ) -> Vec<(Label, LoadEntry, Option<Result<End, String>>)> {
        let mut under_way = JoinSet::new();
        let mut ended = Vec::new();
        for (label, entry) in loads {
            if under_way.len() >= self.gate.limit() {
                ended.extend(under_way.join_next().await.and_then(Result::ok));
            }
            let (ending, mut cancel) = (self.ending(patience), cancel.cloned());
            under_way.spawn(async move {
                let reached = tokio::select! {
                    biased;
                    reached = ending.reach(goal, &label) => Some(reached),
                    () = async {
                        match &mut cancel {
                            Some(cancel) => cancelled(cancel).await,
                            None => std::future::pending().await,
                        }
                    } => None,
                };
                (label, entry, reached)
            });
        }
        while let Some(one) = under_way.join_next().await {
            ended.extend(one.ok());
        }
        ended
    }

    fn note(&self, label: &Label, entry: &LoadEntry, state: LoadState) -> Result<(), Error> {
        let counted = entry.rows_loaded + entry.rows_unselected > 0;
        let settled = Settled {
            state,
            transaction_id: entry.transaction_id,
            // Of a load that somebody else has committed only the label is known, which vouches for its rows (LABEL-1).
            rows_loaded: if state.is_loaded() && !counted { entry.rows } else { entry.rows_loaded },
            rows_unselected: entry.rows_unselected,
        };
        Ok(self.journal.settled(&self.job, self.run, label, &settled)?)
    }
}

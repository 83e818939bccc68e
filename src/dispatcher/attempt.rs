//! One delivery from its journal entry to its settled outcome.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::retry::{Decision, Refused};
use super::{Delivered, Delivery, Dispatcher, Error};
use crate::failure::{Code, Disposition, Failure, chain};
use crate::governor::Pass;
use crate::journal::{LoadEntry, Settled};
use crate::model::{Label, LoadState};
use crate::simulated::{Mistake, draw, makes};
use crate::target::{self, LabelState, Loaded};
use crate::telemetry::{Progress, ended};

/// After a cancel, a label is asked about this often before it is left to the next run. The server rolls a load back as
/// soon as it notices the lost connection.
const ASKS_AFTER_CANCEL: u32 = 10;

/// The wait between two of them.
const ASK_AFTER_CANCEL_EVERY: Duration = Duration::from_millis(200);

/// How long one of them may take. Whoever pressed Ctrl-C waits for it.
const ASK_AFTER_CANCEL_MAX: Duration = Duration::from_secs(2);

/// Ends when the job is cancelled, and never otherwise.
pub async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
        // Whoever could cancel is gone.
        std::future::pending::<()>().await;
    }
}

/// Notes on the span of an attempt how it ends. One that is cut off has no outcome.
pub(super) async fn note_end<T>(
    span: &Span,
    attempt: impl Future<Output = Result<T, target::Error>>,
) -> Result<T, target::Error> {
    let result = attempt.await;
    let outcome = if result.is_ok() { "acknowledged" } else { "failed" };
    ended(span, outcome, result.as_ref().err().map(Failure::code));
    result
}

fn account(delivery: &Delivery) -> Delivered {
    let chunk = &delivery.chunk;
    Delivered {
        label: delivery.label.clone(),
        state: LoadState::Sending,
        transaction_id: None,
        rows: chunk.rows,
        rows_loaded: 0,
        rows_unselected: 0,
        bytes: chunk.body_bytes,
        attempts: 0,
        input: chunk.input,
        from: chunk.from,
        to: chunk.to,
    }
}

pub(super) struct Run {
    pub(super) dispatcher: Dispatcher,
    pub(super) delivery: Delivery,
    pub(super) cancel: watch::Receiver<bool>,
    pub(super) delivered: Delivered,
    /// Whether no other load of a job that is committed as a whole may begin before this one is prepared.
    pub(super) alone: bool,
    /// Whether an attempt ended without an answer and the server, asked, knew nothing of it: such an attempt may still be
    /// under way somewhere in between.
    pub(super) open: bool,
    /// Whether an earlier run left it open.
    asked_before: bool,
    refusals: Refusals,
}

/// How often a busy target refused the load.
#[derive(Default)]
struct Refusals {
    /// In all; these use up no attempts.
    total: u32,
    /// In a row.
    row: u32,
    /// Since when.
    since: Option<Instant>,
}

/// What asking for a label's state came to.
enum Answer {
    /// The load is applied.
    Applied { visible: bool },
    /// Nothing is applied, and the label may be sent.
    Free,
    /// Nothing is applied, and this was the last attempt.
    Spent(target::Error),
}

impl Run {
    pub(super) fn new(dispatcher: Dispatcher, delivery: Delivery, cancel: watch::Receiver<bool>) -> Self {
        Self {
            delivered: account(&delivery),
            dispatcher,
            delivery,
            cancel,
            alone: false,
            open: false,
            asked_before: false,
            refusals: Refusals::default(),
        }
    }

    /// Delivers one chunk; the account says how it stands even when it failed.
    pub(super) async fn deliver(&mut self) -> Result<(), Error> {
        if self.dispatcher.whole { self.prepare_until_settled().await } else { self.send_until_settled().await }
    }

    /// Makes sure that nothing of a refused load is applied, or ever will be, before its rows go under other labels. A load
    /// that is applied after all is settled; then there is nothing left to do.
    pub(super) async fn is_out_of_the_way(&mut self) -> Result<bool, Error> {
        // A transaction was rolled back, and its state asked for, before its failure was told.
        if !self.dispatcher.whole
            && let Answer::Applied { visible } = self.resolve(None).await?
        {
            self.settle(&Loaded::before(visible))?;
        }
        Ok(self.delivered.state == LoadState::Aborted && !self.open)
    }

    /// Takes over what is written down about the label; whether that settles it.
    pub(super) fn known(&mut self, known: &LoadEntry) -> Result<bool, Error> {
        let chunk = &self.delivery.chunk;
        if known.digest != chunk.digest || known.rows != chunk.rows {
            let label = self.delivery.label.clone();
            return Err(Error::OtherRows { label, before: known.rows, now: chunk.rows });
        }
        if known.state == LoadState::Disagreed {
            self.delivered.state = known.state;
            return Err(Error::Disagreed { label: self.delivery.label.clone() });
        }
        if !known.state.is_loaded() {
            return Ok(false);
        }
        self.delivered.state = known.state;
        self.delivered.transaction_id = known.transaction_id;
        self.delivered.rows_loaded = known.rows_loaded;
        self.delivered.rows_unselected = known.rows_unselected;
        Ok(true)
    }

    async fn send_until_settled(&mut self) -> Result<(), Error> {
        let started = self.dispatcher.clock.instant();
        let entry = self.entry();
        let dispatcher = &self.dispatcher;
        let known = if makes(Mistake::JournalAfterwards) {
            None
        } else {
            dispatcher.journal.sending(&dispatcher.job, dispatcher.run, &self.delivery.label, &entry)?
        };
        if let Some(known) = &known
            && self.known(known)?
        {
            return Ok(());
        }
        // A label that an earlier try left open is asked about before anything is sent again.
        let mut ask_first = known.is_some_and(|known| known.state != LoadState::Aborted);
        self.asked_before = ask_first;
        loop {
            if ask_first && let Answer::Applied { visible } = self.resolve(None).await? {
                return self.settle(&Loaded::before(visible));
            }
            ask_first = false;
            let error = match self.attempt().await? {
                Ok(loaded) => return self.settle(&loaded),
                Err(error) => error,
            };
            Progress::add(&self.dispatcher.progress.attempts_failed, 1);
            let decision = self.decide(&error);
            let wait = match decision {
                Decision::SendAgain(wait) => {
                    self.warn(&error, &format!("trying again in {:.1} s", wait.as_secs_f64()));
                    wait
                }
                Decision::GiveUp => return self.give_up(error, started),
                Decision::Ask(_) if makes(Mistake::LostIsLoaded) => return self.settle(&Loaded::before(true)),
                Decision::Ask(_) if makes(Mistake::LostIsFailed) => return self.give_up(error, started),
                Decision::Ask(wait) => {
                    self.warn(&error, "asking how its label stands");
                    match self.resolve(Some(error)).await? {
                        Answer::Applied { visible } => return self.settle(&Loaded::before(visible)),
                        Answer::Free => wait,
                        Answer::Spent(error) => return self.give_up(error, started),
                    }
                }
            };
            self.back_off(wait).await?;
            if makes(Mistake::NewLabelPerRetry) {
                self.rename()?;
            }
        }
    }

    /// What must not be done: a label of its own for a retry.
    #[cold]
    fn rename(&mut self) -> Result<(), Error> {
        let label = format!("{}-{}", self.delivery.label, self.delivered.attempts);
        self.delivery.label = label.parse().expect("it is a little longer");
        self.delivered.label = self.delivery.label.clone();
        let (dispatcher, entry) = (&self.dispatcher, self.entry());
        dispatcher.journal.sending(&dispatcher.job, dispatcher.run, &self.delivery.label, &entry)?;
        Ok(())
    }

    /// What to do about a failed attempt. A busy target is waited for; everything else uses up attempts.
    pub(super) fn decide(&mut self, error: &target::Error) -> Decision {
        let policy = &self.dispatcher.policy;
        let disposition = error.disposition();
        match (error.overload(), disposition) {
            (Some((_, overload)), Disposition::Retry { after }) if overload.is_back_pressure() => {
                self.refusals.total += 1;
                self.refusals.row += 1;
                let now = self.dispatcher.clock.instant();
                let since = now - *self.refusals.since.get_or_insert(now);
                policy.wait_out(Refused { overload, after, times: self.refusals.row, since }, draw())
            }
            _ => {
                (self.refusals.row, self.refusals.since) = (0, None);
                policy.decide(disposition, self.attempts_used(), draw())
            }
        }
    }

    /// Attempts that count.
    fn attempts_used(&self) -> u32 {
        self.delivered.attempts - self.refusals.total
    }

    /// Tells of an attempt that failed and is not the last word. The last one is told as the job's failure.
    pub(super) fn warn(&self, error: &target::Error, next: &str) {
        let label = &self.delivery.label;
        if self.refusals.row > 0 {
            let times = self.refusals.row;
            return tracing::warn!("{label} is refused ({times} in a row): {}; {next}", chain(error));
        }
        let attempt = self.attempts_used();
        let attempts_max = self.dispatcher.policy.attempts_max;
        tracing::warn!("attempt {attempt} of {attempts_max} of {label}: {}; {next}", chain(error));
    }

    /// Sends once. The outer error is a cancel.
    async fn attempt(&mut self) -> Result<Result<Loaded, target::Error>, Error> {
        let pass = self.turn().await?;
        let chunk = &self.delivery.chunk;
        self.delivered.attempts += 1;
        let started = self.dispatcher.clock.instant();
        let span = self.span();
        let loading = self.dispatcher.target.load(&self.delivery.label, chunk, &self.delivery.settings);
        let loading = note_end(&span, loading).instrument(span.clone());
        let result = tokio::select! {
            biased;
            result = loading => Some(result),
            () = cancelled(&mut self.cancel) => None,
        };
        let body_bytes = result.as_ref().filter(|result| result.is_ok()).map(|_| chunk.body_bytes);
        self.dispatcher.count_attempt(started, &pass, body_bytes);
        if let Some(result) = &result {
            self.tell(pass, result.as_ref().err());
        }
        match result {
            Some(result) => Ok(result),
            None => Err(self.settle_after_cancel().await),
        }
    }

    /// What an attempt is traced as.
    pub(super) fn span(&self) -> Span {
        let number = self.delivered.attempts;
        tracing::info_span!("attempt", number, outcome = Empty, code = Empty, otel.status_code = Empty)
    }

    /// Waits until one more attempt may begin. Nothing is under way meanwhile, so that a drain ends it.
    async fn turn(&mut self) -> Result<Pass, Error> {
        let mut drain = self.dispatcher.drain.clone();
        let admitted = self.dispatcher.admit(self.delivery.chunk.body_bytes);
        tokio::select! {
            // Nothing is begun once it was said to end, also where there is room at once.
            biased;
            () = cancelled(&mut self.cancel) => Err(self.settle_after_cancel().await),
            () = cancelled(&mut drain) => Err(self.leave()),
            pass = admitted => Ok(pass),
        }
    }

    /// Tells the window how an attempt ended, and everybody what slows the job down.
    pub(super) fn tell(&self, pass: Pass, error: Option<&target::Error>) {
        let Some(error) = error else { return pass.acknowledged(self.delivery.chunk.body_bytes) };
        let Some((address, reason)) = error.slows_down() else { return };
        self.dispatcher.progress.slowed_by(reason, address);
        if let Some(limit) = pass.refused() {
            let loads = if limit == 1 { "load" } else { "loads" };
            tracing::warn!("slowing down to {limit} {loads} at once: {reason} at {address}");
        }
    }

    /// Leaves a load of which nothing is under way to the next run.
    fn leave(&mut self) -> Error {
        if self.open || self.asked_before {
            // The next run asks again.
            return Error::Cancelled;
        }
        self.delivered.state = LoadState::Aborted;
        self.record().err().unwrap_or(Error::Cancelled)
    }

    /// Asks for the label's state until it says what to do. `cause` is what left it open in this run.
    async fn resolve(&mut self, mut cause: Option<target::Error>) -> Result<Answer, Error> {
        let deadline = self.dispatcher.clock.instant() + self.dispatcher.policy.settle_max;
        for ask in 1_u32.. {
            let (dispatcher, label) = (&self.dispatcher, &self.delivery.label);
            let asking = async {
                let state = dispatcher.target.label_state(label).await;
                let unknown = matches!(state, Ok(LabelState::Unknown));
                Ok::<_, Error>(match if unknown { forgotten_before(dispatcher, label).await? } else { Ok(None) } {
                    Ok(forgotten) => (state, forgotten),
                    // Nobody says whether it was forgotten: as good as no answer.
                    Err(error) => (Err(error), None),
                })
            };
            let asked = tokio::select! {
                biased;
                asked = asking => Some(asked?),
                () = cancelled(&mut self.cancel) => None,
            };
            let Some((state, forgotten)) = asked else { return Err(self.settle_after_cancel().await) };
            if let Some(before) = forgotten {
                let why =
                    format!("the server has forgotten {before}, which was loaded before it, and so perhaps this one");
                return Err(self.in_doubt(why, cause.take()));
            }
            let why = match state {
                Ok(LabelState::Visible) => return Ok(Answer::Applied { visible: true }),
                Ok(LabelState::Committed) => return Ok(Answer::Applied { visible: false }),
                Ok(LabelState::Aborted) => {
                    self.open = false;
                    let spent = cause.take().filter(|_| !self.may_send_again());
                    return Ok(spent.map_or(Answer::Free, Answer::Spent));
                }
                // A label that the server does not know was never begun, or is forgotten. Sending it again is the one
                // way to find out that cannot double a row while the server remembers it.
                Ok(LabelState::Unknown) if self.may_send_again() => {
                    self.open |= cause.is_some();
                    return Ok(Answer::Free);
                }
                Ok(LabelState::Unknown) => {
                    let attempts = self.delivered.attempts;
                    let why = format!("{attempts} attempts ended without an answer");
                    return Err(self.in_doubt(why, cause.take()));
                }
                Ok(LabelState::Prepared) => "it is prepared by somebody's two-phase commit".to_owned(),
                Ok(LabelState::Prepare) => "its transaction is still open at the server".to_owned(),
                Err(error) => format!("asking for its state failed: {}", chain(&error)),
            };
            if self.dispatcher.clock.instant() >= deadline {
                return Err(self.in_doubt(why, cause.take()));
            }
            let wait = self.dispatcher.policy.backoff(ask);
            if ask > 1 {
                // Somebody may be watching: a label that stays open for minutes must not look like a hang.
                let seconds = wait.as_secs_f64();
                tracing::warn!("label {} is not settled: {why}; asking again in {seconds:.1} s", self.delivery.label);
            }
            self.pause(wait).await?;
        }
        unreachable!("the deadline ends the loop")
    }

    pub(super) fn may_send_again(&self) -> bool {
        self.attempts_used() < self.dispatcher.policy.attempts_max
    }

    fn in_doubt(&mut self, why: String, source: Option<target::Error>) -> Error {
        self.delivered.state = LoadState::InDoubt;
        match self.record() {
            Ok(()) => Error::InDoubt { label: self.delivery.label.clone(), why, source },
            Err(error) => error,
        }
    }

    pub(super) fn give_up(&mut self, source: target::Error, started: Instant) -> Result<(), Error> {
        self.delivered.state = match source.code() {
            Code::CountsDisagree => LoadState::Disagreed,
            // The next run asks again, and other work under this name is not let in between.
            _ if self.open => LoadState::Sending,
            _ => LoadState::Aborted,
        };
        self.record()?;
        let elapsed = self.dispatcher.clock.instant() - started;
        Err(Error::Failed { label: self.delivery.label.clone(), attempts: self.delivered.attempts, elapsed, source })
    }

    pub(super) fn settle(&mut self, loaded: &Loaded) -> Result<(), Error> {
        self.dispatcher.progress.served(&loaded.phases);
        let delivered = &mut self.delivered;
        // Its answer may have been lost; an earlier run may have sent it, which is that run's to count.
        if delivered.attempts > 0 {
            Progress::add(&self.dispatcher.progress.bytes_sent, delivered.bytes);
        }
        delivered.state = if loaded.visible { LoadState::Visible } else { LoadState::Committed };
        delivered.transaction_id = loaded.transaction_id;
        delivered.rows_unselected = loaded.rows_unselected.unwrap_or(0);
        // Where only the label's state is known, the label itself vouches for the rows (LABEL-1).
        delivered.rows_loaded = loaded.rows_loaded.unwrap_or(delivered.rows - delivered.rows_unselected);
        self.record()
    }

    pub(super) fn record(&self) -> Result<(), Error> {
        let settled = Settled {
            state: self.delivered.state,
            transaction_id: self.delivered.transaction_id,
            rows_loaded: self.delivered.rows_loaded,
            rows_unselected: self.delivered.rows_unselected,
        };
        let dispatcher = &self.dispatcher;
        Ok(dispatcher.journal.settled(&dispatcher.job, dispatcher.run, &self.delivery.label, &settled)?)
    }

    /// Waits before something is asked again, or ends at once when the job is cancelled.
    async fn pause(&mut self, wait: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.dispatcher.clock.sleep(wait) => Ok(()),
            () = cancelled(&mut self.cancel) => Err(self.settle_after_cancel().await),
        }
    }

    /// The same before something is sent again. Nothing is under way meanwhile, so that a drain ends it, too.
    pub(super) async fn back_off(&mut self, wait: Duration) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.dispatcher.clock.sleep(wait) => Ok(()),
            () = cancelled(&mut self.cancel) => Err(self.settle_after_cancel().await),
            () = cancelled(&mut self.dispatcher.drain) => Err(self.leave()),
        }
    }

    /// After the connection was dropped: learns how the label stands, if the server says so soon.
    async fn settle_after_cancel(&mut self) -> Error {
        let mut was_known = self.open || self.asked_before;
        for _ in 0..ASKS_AFTER_CANCEL {
            let state = tokio::select! {
                // A ready answer counts, however little time is left.
                biased;
                state = self.dispatcher.target.label_state(&self.delivery.label) => state,
                () = self.dispatcher.clock.sleep(ASK_AFTER_CANCEL_MAX) => break,
            };
            match state {
                Ok(LabelState::Visible | LabelState::Committed) => {
                    let visible = matches!(state, Ok(LabelState::Visible));
                    return self.settle(&Loaded::before(visible)).err().unwrap_or(Error::Cancelled);
                }
                // What an earlier attempt may have applied, the server may have forgotten: the next run looks closer.
                Ok(LabelState::Unknown) if was_known => return Error::Cancelled,
                Ok(LabelState::Aborted | LabelState::Unknown) => {
                    self.delivered.state = LoadState::Aborted;
                    return self.record().err().unwrap_or(Error::Cancelled);
                }
                Ok(LabelState::Prepare | LabelState::Prepared) => was_known = true,
                Err(_) => {}
            }
            self.dispatcher.clock.sleep(ASK_AFTER_CANCEL_EVERY).await;
        }
        // The journal still says `sending`: the next run asks again before it sends.
        Error::Cancelled
    }

    pub(super) fn entry(&self) -> LoadEntry {
        let chunk = &self.delivery.chunk;
        LoadEntry {
            rows: chunk.rows,
            bytes: chunk.body_bytes,
            digest: chunk.digest,
            state: LoadState::Sending,
            transaction_id: None,
            rows_loaded: 0,
            rows_unselected: 0,
            input: self.dispatcher.inputs.get(chunk.input).cloned().unwrap_or_default(),
        }
    }
}

/// A load that was settled before this one, and that the server does not know any more: what it calls unknown then may have
/// been applied and forgotten, and sending it again would double its rows (SR §5.3).
async fn forgotten_before(
    dispatcher: &Dispatcher,
    label: &Label,
) -> Result<Result<Option<Label>, target::Error>, Error> {
    if makes(Mistake::ForgottenIsNew) {
        return Ok(Ok(None));
    }
    let Some(before) = dispatcher.journal.settled_before(&dispatcher.job, dispatcher.run, label)? else {
        return Ok(Ok(None));
    };
    let state = dispatcher.target.label_state(&before).await;
    Ok(state.map(|state| (state == LabelState::Unknown).then_some(before)))
}

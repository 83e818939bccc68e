//! Delivers chunks: each one under its label, until its outcome is known.
//!
//! ```text
//!  Delivery ─▶ journal: sending ─▶ attempt ─┬─ committed ──────────────▶ journal: settled
//!                                  ▲        ├─ nothing applied ─ back off ─┐
//!                                  │        └─ unknown ─ ask the label ────┤ aborted, never begun
//!                                  └───────────────────────────────────────┘
//! ```
//!
//! A label is sent again only when nothing was applied or the server itself decides by the label; an unknown outcome is
//! settled by asking for the label's state, never by a new label. What cannot be settled is *in doubt*, and stops the job.
//! After the first failure that no attempt can help, no further chunk is begun; those under way are brought to an end.
//! A drain begins nothing more and lets what is under way come to its end; a load that only waits for its next attempt is
//! left to the next run. A cancel drops the connections of what is under way and then asks once more how each label stands.
//!
//! A target that is too busy slows the job down, and no more: its refusals use up none of a load's attempts, and the window
//! of loads under way ([`Gate`]) becomes smaller.

mod attempt;
mod bisection;
mod ending;
mod matching;
mod parts;
mod reject;
mod retry;
mod rows;

#[cfg(test)]
mod tests;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::clock::Clock;
use crate::failure::{Code, Failure};
use crate::governor::{Gate, Pace, Pass, Permit};
use crate::journal::{self, Journal};
use crate::model::{Chunk, JobId, Label, LoadState, Origin};
use crate::spool::Store;
use crate::target::{self, LoadSettings, Target};
use crate::telemetry::{Activity, Part, Progress, ended};

pub use attempt::cancelled;
pub use reject::{RefusedRow, RejectFailure, RejectSink, Rejects, Sent};
pub use retry::Policy;

/// A chunk to deliver.
#[derive(Debug)]
pub struct Delivery {
    /// The label it goes under.
    pub label: Label,
    /// The bytes.
    pub chunk: Chunk,
    /// How they are to be read.
    pub settings: Arc<LoadSettings>,
    /// Their room in the budget, given back when the load is settled.
    pub permit: Permit,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// The label.
    pub label: Label,
    /// How it stands.
    pub state: LoadState,
    /// The server's transaction, where it said so.
    pub transaction_id: Option<i64>,
    /// Rows sent.
    pub rows: u64,
    /// Rows that the table has because of it.
    pub rows_loaded: u64,
    /// Rows that the filter left out.
    pub rows_unselected: u64,
    /// Bytes of the body.
    pub bytes: u64,
    /// Tries it took; 0 when an earlier run had settled it.
    pub attempts: u32,
    /// Index of the input.
    pub input: usize,
    /// The place of the first row.
    pub from: Origin,
    /// The place of the last row.
    pub to: Origin,
}

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No attempt succeeded, and nothing of the load was applied.
    #[error("load {label} failed after {attempts} {}, {:.1} s", if *attempts == 1 { "attempt" } else { "attempts" }, elapsed.as_secs_f64())]
    Failed {
        /// The label.
        label: Label,
        /// How often it was tried.
        attempts: u32,
        /// How long it took.
        elapsed: Duration,
        /// The last attempt's failure.
        source: target::Error,
    },
    /// It cannot be told whether the load was applied.
    #[error("it is not known whether load {label} was applied: {why}")]
    InDoubt {
        /// The label.
        label: Label,
        /// What is known.
        why: String,
        /// What left it open, where there is a failure to name.
        source: Option<target::Error>,
    },
    /// An earlier try of this run sent other rows under this label.
    #[error("load {label} stood for other rows before: {before} rows then, {now} now")]
    OtherRows {
        /// The label.
        label: Label,
        /// Rows then.
        before: u64,
        /// Rows now.
        now: u64,
    },
    /// An earlier try of this run sent it, and the server counted other rows.
    #[error("load {label} is in the table with other counts than were sent")]
    Disagreed {
        /// The label.
        label: Label,
    },
    /// What was prepared is not any more, and nothing was committed.
    #[error("load {label} was prepared and is not any more: {why}")]
    NotPrepared {
        /// The label.
        label: Label,
        /// What is known.
        why: String,
    },
    /// It was decided to commit these, and they are not known to be.
    #[error("the job is committed, but for {}", torn_text(loads))]
    Torn {
        /// The labels, and what is known of each.
        loads: Vec<(Label, String)>,
    },
    /// The target refused more rows of a load than may be rejected.
    #[error("the target refused {refused} of the {rows} rows of load {label}, more than may be rejected")]
    Refused {
        /// The label.
        label: Label,
        /// How many of its rows the target refused at least.
        refused: u64,
        /// Its rows.
        rows: u64,
        /// What the target said.
        source: target::Error,
    },
    /// A refused row could not be put among the rejects.
    #[error(transparent)]
    Rejects(#[from] RejectFailure),
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A task died; this is a mistake in this program.
    #[error("a delivery broke off")]
    Broken(#[from] JoinError),
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Failed { source, .. } => source.code(),
            Self::InDoubt { .. } | Self::Torn { .. } => Code::InDoubt,
            Self::NotPrepared { .. } => Code::RequestRefused,
            Self::Disagreed { .. } => Code::CountsDisagree,
            Self::OtherRows { .. } | Self::Broken(_) => Code::JournalUnusable,
            Self::Refused { .. } => Code::RowsRefused,
            Self::Rejects(error) => error.code(),
            Self::Cancelled => Code::Interrupted,
            Self::Journal(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { source, .. } => source.hint(),
            Self::InDoubt { label, .. } => Some(format!(
                "run the same import again: it asks the server about {label} before anything is sent; or ask yourself: \
                 shipload cluster label {label} --to TARGET"
            )),
            Self::NotPrepared { .. } => Some("run the same import again: nothing of it is in the table".to_owned()),
            Self::Torn { .. } => Some(
                "run the same import again: it commits what is still prepared; of what the server has rolled back or \
                 forgotten compare the table with the input, and say --again once the rows of this job are removed"
                    .to_owned(),
            ),
            Self::OtherRows { .. } => Some(
                "the input has changed since the interrupted run: restore it to finish that one, or give the work another \
                 --job name to load everything anew; what a stream has left in the spool goes with `shipload cancel`"
                    .to_owned(),
            ),
            Self::Disagreed { label } => Some(format!(
                "compare the table with the input for the rows of {label}; when that is settled, --again loads anew"
            )),
            Self::Refused { .. } => Some("allow some with --max-rejects, or correct the rows".to_owned()),
            Self::Rejects(error) => error.hint(),
            Self::Cancelled => Some("run the same command again to go on".to_owned()),
            Self::Journal(error) => error.hint(),
            Self::Broken(_) => Some("run the same command again; please report this as a bug".to_owned()),
        }
    }
}

fn torn_text(loads: &[(Label, String)]) -> String {
    loads.iter().map(|(label, why)| format!("{label} ({why})")).collect::<Vec<_>>().join(", ")
}

/// What a dispatcher works with.
#[derive(Clone)]
pub struct Dispatcher {
    /// The job that the loads belong to.
    pub job: JobId,
    /// Its run.
    pub run: u32,
    /// The paths of its inputs, as the journal has them.
    pub inputs: Arc<[String]>,
    /// Where the loads go.
    pub target: Arc<dyn Target>,
    /// Where they are written down first.
    pub journal: Arc<Journal>,
    /// How fast.
    pub pace: Pace,
    /// How often and how long.
    pub policy: Policy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the counts go.
    pub progress: Arc<Progress>,
    /// How many at one time.
    pub gate: Gate,
    /// Becomes true when what is under way is to be brought to an end, and nothing more to be begun.
    pub drain: watch::Receiver<bool>,
    /// Whether loads are only prepared, to be committed all at once.
    pub whole: bool,
    /// Where rows go that the target refuses.
    pub rejects: Rejects,
    /// Where chunks lie until they are settled, for a job that reads a stream.
    pub spool: Option<Arc<Store>>,
}

/// How one delivery ended.
struct Ended {
    label: Label,
    /// What was loaded: it, or its parts.
    delivered: Vec<Delivered>,
    failure: Option<Error>,
}

/// How a dispatcher ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every load that was begun, in the order they were settled.
    pub delivered: Vec<Delivered>,
    /// The first failure.
    pub failure: Option<Error>,
}

impl Dispatcher {
    /// Delivers what comes through the queue until it is closed, a load fails, or the job is halted or cancelled.
    ///
    /// After a halt no further load is begun, and those under way are brought to an end; after a cancel they are cut off.
    pub async fn run(
        self,
        mut deliveries: mpsc::Receiver<Delivery>,
        halt: watch::Receiver<bool>,
        mut cancel: watch::Receiver<bool>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut under_way = JoinSet::new();
        let mut drained = false;
        let mut drain = self.drain.clone();
        // Of two who commit the same job as a whole, the one that has its first transaction goes on, and the other one
        // waits for it with nothing in its hands. Otherwise each could wait for what the other one holds.
        let mut alone = self.whole;
        loop {
            let asked_to_end = *cancel.borrow() || *drain.borrow();
            let open = !drained && outcome.failure.is_none() && !asked_to_end && !*halt.borrow();
            if !open {
                // Closing the queue is what stops the pipelines: their next chunk is refused.
                deliveries.close();
            }
            let limit = if alone { 1 } else { self.gate.limit() };
            tokio::select! {
                // Each of these loses nothing when another one is first. What has ended is looked at first: after a failure
                // nothing more is begun.
                biased;
                Some(ended) = under_way.join_next() => {
                    self.end(&mut outcome, ended);
                    // A load without a row has no transaction.
                    alone &= outcome.delivered.iter().all(|load| load.rows_loaded == 0);
                }
                delivery = deliveries.recv(), if open && under_way.len() < limit => match delivery {
                    // The halt may have been said while this one waited in the queue.
                    Some(delivery) if !*halt.borrow() && !*drain.borrow() => match self.same_rows_as_before(&delivery) {
                        Ok(()) => self.begin(&mut under_way, delivery, &cancel, alone),
                        Err(error) => outcome.failure = Some(error),
                    },
                    Some(_) => {}
                    None => drained = true,
                },
                () = attempt::cancelled(&mut cancel), if open => {}
                () = attempt::cancelled(&mut drain), if open => {}
                else => break,
            }
        }
        if !drained && outcome.failure.is_none() && (*cancel.borrow() || *drain.borrow()) {
            outcome.failure = Some(Error::Cancelled);
        }
        outcome
    }

    /// Waits until one more attempt may begin, by the rates and by how many may be under way.
    async fn admit(&self, body_bytes: u64) -> Pass {
        self.pace.request().await;
        self.pace.send(body_bytes).await;
        let pass = self.gate.enter().await;
        self.progress.attempts_at_once_max.fetch_max(pass.inside() as u64, Ordering::Relaxed);
        self.progress.window.store(self.gate.limit() as u64, Ordering::Relaxed);
        self.progress.employ(Part::Target, pass.inside() as u64);
        pass
    }

    /// Counts the time of an attempt as the target's, and how many bytes got through in it.
    fn count_attempt(&self, started: Instant, pass: &Pass, body_bytes: Option<u64>) {
        let time = self.clock.instant() - started;
        Progress::add(&self.progress.attempts, 1);
        self.progress.took("attempt", time);
        self.progress.spent(Part::Target, Activity::Busy, time);
        if let Some(bytes) = body_bytes {
            self.progress.drained(bytes, time, pass.inside());
        }
    }

    /// Looked at in the order of the queue, so that a stream that is not the one of before adds nothing to the table.
    fn same_rows_as_before(&self, delivery: &Delivery) -> Result<(), Error> {
        let (label, chunk) = (&delivery.label, &delivery.chunk);
        let before = self.journal.other_rows(&self.job, self.run, label, chunk.digest)?;
        before.map_or(Ok(()), |before| Err(Error::OtherRows { label: label.clone(), before, now: chunk.rows }))
    }

    fn begin(&self, under_way: &mut JoinSet<Ended>, delivery: Delivery, cancel: &watch::Receiver<bool>, alone: bool) {
        self.progress.loads_in_flight.fetch_add(1, Ordering::Relaxed);
        let (dispatcher, label, cancel) = (self.clone(), delivery.label.clone(), cancel.clone());
        let (rows, bytes) = (delivery.chunk.rows, delivery.chunk.body_bytes);
        let named = tracing::info_span!(
            "load", %label, rows, bytes, attempts = Empty, outcome = Empty, code = Empty, otel.status_code = Empty,
        );
        let delivering = async move {
            let (delivered, failure) = parts::deliver(dispatcher, delivery, cancel, alone).await;
            let span = Span::current();
            span.record("attempts", delivered.iter().map(|load| load.attempts).sum::<u32>());
            let outcome = delivered.last().map_or("none", |load| load.state.word());
            ended(&span, outcome, failure.as_ref().map(Failure::code));
            Ended { label, delivered, failure }
        };
        under_way.spawn(delivering.instrument(named));
    }

    fn end(&self, outcome: &mut Outcome, ended: Result<Ended, JoinError>) {
        self.progress.loads_in_flight.fetch_sub(1, Ordering::Relaxed);
        match ended {
            Ok(Ended { label, delivered, failure }) => {
                Progress::add(&self.progress.rows_loaded, delivered.iter().map(|load| load.rows_loaded).sum());
                Progress::add(&self.progress.loads_settled, u64::from(failure.is_none()));
                if let Some(spool) = self.spool.as_ref().filter(|_| failure.is_none()) {
                    // A load that was taken apart is settled by its parts.
                    let prepared = delivered.iter().any(|load| load.state == LoadState::Prepared);
                    spool.settled(&label, prepared);
                }
                outcome.delivered.extend(delivered);
                outcome.failure = outcome.failure.take().or(failure);
            }
            Err(error) => outcome.failure = outcome.failure.take().or(Some(error.into())),
        }
    }
}

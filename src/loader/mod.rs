//! One job from what the user asked for to its report. This is the door for users of the library.
//!
//! ```text
//!  JobSpec ─▶ prepare: list inputs, fetch the table, match every input's columns   (nothing is sent if one does not fit)
//!          ─▶ identity: job, fingerprint, labels ─▶ journal: new, resumed or finished
//!          ─▶ pipeline per input ═▶ dispatcher ─▶ Report
//! ```
//!
//! Running the same job again goes on where it stopped: the inputs are read again, cut into the same chunks, and labels
//! that are settled are not sent again. A job that finished does nothing.

mod admission;
mod choice;
mod error;
mod identity;
mod job;
mod plan;
mod prepare;
mod reading;
mod refused;
mod rejected;
mod resumed;
mod settle;
#[cfg(test)]
mod simulation;
mod sink;
mod spec;
mod spooling;
mod stop;
mod supervisor;
mod task;
mod together;
mod turns;
mod values;
mod whole;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use error::{Error, FirstReject};
pub use plan::Planned;
pub use rejected::{Reason, ReasonCount, Rejected, RejectedFile};
pub use resumed::{drop_spooled, spooled};
pub use settle::Unsettled;
pub use spec::{Check, CodecChoice, CommitScope, JobSpec, LOAD_SIZE, MEMORY, RejectLimit, SPOOL, WireChoice};

pub use crate::journal::Error as JournalError;
pub use crate::journal::{Holder, JobEntry, JobStanding, Journal, Lease, LoadEntry, StoredRequest};
pub use crate::planner::{Fixed, PARALLEL_LIMIT, TooSmall};
pub use crate::source::{Bringer, Brought, brought, digest_of};
pub use crate::spool::Summary as Spooled;
pub use stop::Stop;
pub use supervisor::{Standing, Supervisor, Turn};
pub use together::run_together;
pub use turns::{Claim, Shares};

use crate::clock::{Clock, SystemClock};
use crate::model::{ByteCount, Report};
use crate::target::Target;
use crate::telemetry::Progress;

/// Loads inputs into one target.
pub struct Loader {
    target: Arc<dyn Target>,
    /// What reports call the target, and part of what tells one job from another.
    address: String,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
}

/// How a job ended: always with an account, and with an error if something kept it from finishing.
#[derive(Debug)]
pub struct Ended {
    /// The account.
    pub report: Report,
    /// What went wrong.
    pub error: Option<Error>,
    /// When the earlier run ended that left nothing to do: RFC 3339, UTC.
    pub already: Option<String>,
    /// What a person should know besides: columns filled by default, and the like.
    pub notices: Vec<String>,
}

/// Whether a job's memory holds its loads beside what else it takes.
///
/// # Errors
/// When it does not; it says what would do.
pub fn fits(memory: ByteCount, overhead: ByteCount, load_size: ByteCount) -> Result<(), TooSmall> {
    crate::planner::limits(memory, Fixed::of(overhead), load_size, None).map(|_| ())
}

/// The files that arguments name, as a job would find them.
///
/// # Errors
/// When one of them finds nothing, or cannot be looked at.
pub fn list(arguments: &[String]) -> Result<Vec<PathBuf>, Error> {
    Ok(crate::source::list(arguments)?.into_iter().map(|input| input.path).collect())
}

impl Loader {
    /// A loader for this target.
    #[must_use]
    pub fn new(target: Arc<dyn Target>) -> Self {
        let address = target.address();
        Self { target, address, clock: Arc::new(SystemClock), progress: Arc::new(Progress::default()) }
    }

    /// The same loader, whose target goes by another address: one that stays the same when ports do not.
    #[must_use]
    pub fn called(self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self }
    }

    /// The counters of what it does, live.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Runs a job to its end, or until `cancel` becomes true. Must be called on a multi-threaded tokio runtime.
    pub async fn run(&self, spec: &JobSpec, cancel: watch::Receiver<bool>) -> Ended {
        self.run_until(spec, Stop::by_cancel(cancel)).await
    }

    /// The same for a job that can also be drained.
    pub async fn run_until(&self, spec: &JobSpec, stop: Stop) -> Ended {
        job::run(self, spec, stop).await
    }
}

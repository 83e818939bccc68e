//! [`Error`]: what keeps a job from finishing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dispatcher;
use crate::failure::{Code, Failure};
use crate::journal;
use crate::model::{ByteCount, Label, Reject};
use crate::planner;
use crate::reader;
use crate::reader::reject::RejectsError;
use crate::source;
use crate::target;

/// Why a job did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The inputs cannot be found or opened.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// An input cannot be read, or does not fit the table.
    #[error(transparent)]
    Reader(#[from] reader::Error),
    /// The rejects cannot be written.
    #[error(transparent)]
    Rejects(#[from] RejectsError),
    /// The target failed before anything was sent.
    #[error(transparent)]
    Target(#[from] target::Error),
    /// A load failed.
    #[error(transparent)]
    Delivery(#[from] dispatcher::Error),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The memory is too small for the loads.
    #[error(transparent)]
    Memory(#[from] planner::TooSmall),
    /// Its loads cannot all be prepared at one time.
    #[error(transparent)]
    TooMany(#[from] planner::TooMany),
    /// Somebody else has begun the same job, and commits it in the other way.
    #[error("the same job is under way elsewhere, or was, committed {}: its label {label} is known", if *whole { "as a whole" } else { "load by load" })]
    Contested {
        /// A label of theirs.
        label: Label,
        /// Whether theirs is committed as a whole.
        whole: bool,
    },
    /// Another one of the jobs that are committed together cannot be.
    #[error("nothing of it is committed, because the job into {other} failed")]
    Together {
        /// The target of that one.
        other: String,
    },
    /// More rows were rejected than allowed.
    #[error("{}", rejected_text(*rejected, *read, limit))]
    RejectLimit {
        /// Rows rejected.
        rejected: u64,
        /// Rows read by then.
        read: u64,
        /// The limit, as the user gave it.
        limit: String,
        /// The first of them.
        #[source]
        first: Option<Box<FirstReject>>,
        /// Where they all are.
        folder: PathBuf,
        /// Whether rows before them were handed on, and may be in the table.
        begun: bool,
    },
    /// A column cannot travel in the wire format that was asked for.
    #[error("the rows cannot travel as asked: {what}")]
    Wire {
        /// Which column, and why.
        what: String,
    },
    /// The job took longer than it may.
    #[error("the job is not finished after {} s, and may not take longer", after.as_secs())]
    Deadline {
        /// How long it might take.
        after: Duration,
    },
    /// A thread of the pipeline died; this is a mistake in this program.
    #[error("reading broke off")]
    Broken,
}

/// The reject that a person is told about. Its text is the rule it breaks.
#[derive(Debug, thiserror::Error)]
#[error("{}", reject.rule.text)]
pub struct FirstReject {
    /// The input it stands in.
    pub path: PathBuf,
    /// The row.
    pub reject: Reject,
}

fn rejected_text(rejected: u64, read: u64, limit: &str) -> String {
    let rows = if read == 1 { "row" } else { "rows" };
    let were = if rejected == 1 { "was" } else { "were" };
    format!("stopped: {rejected} of {read} {rows} {were} rejected, {limit} are allowed")
}

impl Error {
    /// Where it happened: input, line, column, value; none where there is no such place.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let Self::RejectLimit { first: Some(first), .. } = self else { return None };
        let FirstReject { path, reject } = first.as_ref();
        let mut place = format!("{} line {}, byte {}", path.display(), reject.origin.line, reject.origin.byte);
        if let Some(column) = &reject.column {
            place = format!("{place}, column `{column}`");
        }
        if let Some(value) = &reject.value {
            place = format!("{place}, value `{value}`");
        }
        Some(place)
    }

    /// The load of which it is not known whether it is in the table as it was sent.
    #[must_use]
    pub fn open_label(&self) -> Option<&Label> {
        match self {
            Self::Delivery(dispatcher::Error::InDoubt { label, .. } | dispatcher::Error::Disagreed { label }) => {
                Some(label)
            }
            Self::Delivery(dispatcher::Error::Failed { label, .. }) if self.code() == Code::CountsDisagree => {
                Some(label)
            }
            _ => None,
        }
    }

    /// Whether running the job again goes on where it stopped.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::Delivery(_) | Self::Deadline { .. } | Self::Contested { .. })
    }
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Source(error) => error.code(),
            Self::Reader(error) => error.code(),
            Self::Rejects(error) => error.code(),
            Self::Target(error) => error.code(),
            Self::Delivery(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Memory(_) => Code::MemoryTooSmall,
            Self::TooMany(_) => Code::TooManyLoads,
            Self::Contested { .. } => Code::Contested,
            Self::Together { .. } => Code::AnotherFailed,
            Self::RejectLimit { .. } => Code::RejectLimit,
            Self::Wire { .. } => Code::TypeUnsupported,
            Self::Deadline { .. } => Code::DeadlinePassed,
            Self::Broken => Code::InputUnreadable,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Reader(error) => error.hint(),
            Self::Rejects(error) => error.hint(),
            Self::Target(error) => error.hint(),
            Self::Delivery(error) => error.hint(),
            Self::Journal(error) => error.hint(),
            Self::Memory(error) => Some(memory_hint(error)),
            Self::TooMany(error) => Some(loads_hint(error)),
            Self::Together { .. } => Some(
                "put right what that one's error says, and run the same command again: it goes on with both".to_owned(),
            ),
            Self::Contested { whole, .. } => Some(format!(
                "nothing of this run is in the table; run the same command again: it goes on with what is there, or say \
                 --commit {}",
                if *whole { "job" } else { "load" }
            )),
            Self::RejectLimit { folder, begun, .. } => Some(reject_hint(folder, *begun)),
            Self::Wire { .. } => Some("leave out --wire csv: JSON carries every type".to_owned()),
            Self::Deadline { .. } => {
                Some("run the same command again to go on, with a later --deadline or none".to_owned())
            }
            Self::Broken => Some("run the same command again; please report this as a bug".to_owned()),
        }
    }
}

fn reject_hint(folder: &Path, begun: bool) -> String {
    let way_out = if begun {
        // A corrected source is other work, with other labels: it would load the rows before the reject once more.
        "rows before it are loaded already: go on with --max-rejects, and then import the rejects file, corrected"
    } else {
        "correct the source, or allow some with --max-rejects"
    };
    format!("see every rejected row and its reason in {}; {way_out}", folder.display())
}

fn loads_hint(error: &planner::TooMany) -> String {
    let limit = "have max_running_txn_num_per_db raised, or say --commit load";
    match error.load_size {
        Some(size) => format!("say --load-size {} or more, which makes fewer loads; {limit}", mib(size)),
        None => format!("each input is a load of its own: join them, import fewer at a time, {limit}"),
    }
}

fn memory_hint(error: &planner::TooSmall) -> String {
    let load_size = ByteCount((error.memory.0 / 16).max(1 << 20));
    format!("say --memory {} or more, or a smaller --load-size, such as {load_size}", mib(error.needed))
}

fn mib(bytes: ByteCount) -> String {
    format!("{}MiB", bytes.0.div_ceil(1 << 20))
}

//! [`Error`]: what keeps a job from finishing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::refused::JobRejects;
use crate::dispatcher;
use crate::failure::{Code, Failure};
use crate::journal;
use crate::model::{ByteCount, Label, Reject};
use crate::planner;
use crate::reader;
use crate::reader::reject::RejectsError;
use crate::source;
use crate::spool;
use crate::spool::Reached;
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
    /// The target refused more rows of a load than may be rejected.
    #[error("{}", refused_text(*refused, *rows, label, limit))]
    Refused {
        /// The load.
        label: Label,
        /// How many of its rows the target refused at least.
        refused: u64,
        /// Its rows.
        rows: u64,
        /// The limit of rejects, as the user gave it.
        limit: String,
        /// What the target said.
        source: target::Error,
        /// The first row that is known to be meant.
        first: Option<Box<FirstReject>>,
        /// Where rejects are.
        folder: PathBuf,
        /// Whether other rows are in the table.
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
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// Everything that was read of a stream is taken care of, and it is not all of it.
    #[error("{}", broke_off_text(job, *rows, reached.as_ref(), *whole))]
    BrokeOff {
        /// The job.
        job: String,
        /// Rows of it that are in the table.
        rows: u64,
        /// How far it was read, and of which input.
        reached: Option<(String, Reached)>,
        /// Whether it is committed as a whole, so that nothing of it may be.
        whole: bool,
    },
    /// A digest was given, and there is not the one input that it is of.
    #[error("a SHA-256 is that of one file, and there are {inputs} inputs")]
    NotOneInput {
        /// How many there are.
        inputs: usize,
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

fn refused_text(refused: u64, rows: u64, label: &Label, limit: &str) -> String {
    let were = if refused == 1 { "was" } else { "were" };
    format!(
        "stopped: {refused} of the {rows} rows of load {label} {were} refused by the target, {limit} may be rejected"
    )
}

fn broke_off_text(job: &str, rows: u64, reached: Option<&(String, Reached)>, whole: bool) -> String {
    let read = match reached {
        None => "before a row of it was safe".to_owned(),
        Some((path, Reached { row, included })) => {
            let edge = if *included { "with" } else { "without" };
            let input = if path == "-" { String::new() } else { format!(" of {path}") };
            format!("behind line {}, byte {}{input} ({edge} the row that begins there)", row.line, row.byte)
        }
    };
    let stands = if whole {
        "nothing of it is committed, because it is not whole".to_owned()
    } else if reached.is_none() && rows == 0 {
        "nothing of it is in the table".to_owned()
    } else {
        format!("everything before is in the table or the rejects, {rows} rows in the table")
    };
    format!("the stream of {job} broke off {read}: {stands}")
}

impl Error {
    /// What a failed delivery means to the job.
    pub(super) fn of_delivery(failure: dispatcher::Error, rejects: &JobRejects, begun: bool) -> Self {
        match failure {
            dispatcher::Error::Refused { label, refused, rows, source } => {
                let (limit, folder) = (rejects.limit(), rejects.folder().to_owned());
                Self::Refused { label, refused, rows, limit, source, first: rejects.take_first(), folder, begun }
            }
            failure => failure.into(),
        }
    }

    /// Where it happened: input, line, column, value; none where there is no such place.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let (Self::RejectLimit { first: Some(first), .. } | Self::Refused { first: Some(first), .. }) = self else {
            return None;
        };
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

    /// Whether somebody else holds a load of this job, and did not let go of it in time.
    pub(super) fn is_crossed(&self) -> bool {
        matches!(self, Self::Delivery(dispatcher::Error::Failed { source: target::Error::LabelBusy { .. }, .. }))
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
            Self::Refused { .. } => Code::RowsRefused,
            Self::Wire { .. } => Code::TypeUnsupported,
            Self::Deadline { .. } => Code::DeadlinePassed,
            Self::Spool(error) => error.code(),
            Self::BrokeOff { .. } => Code::StreamBrokeOff,
            Self::NotOneInput { .. } => Code::Usage,
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
            Self::Refused { folder, begun, first, .. } => Some(refused_hint(folder, *begun, first.is_some())),
            Self::Wire { .. } => Some("leave out --wire csv: JSON carries every type".to_owned()),
            Self::Deadline { .. } => {
                Some("run the same command again to go on, with a later --deadline or none".to_owned())
            }
            Self::Spool(error) => error.hint(),
            Self::BrokeOff { .. } => Some(
                "write the whole stream into the same import again, with its --job name: what is in the table is known by \
                 its labels; without a name, write only what comes behind that place"
                    .to_owned(),
            ),
            Self::NotOneInput { .. } => Some("import each file by itself, or leave out --sha256".to_owned()),
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

fn refused_hint(folder: &Path, begun: bool, named: bool) -> String {
    let where_ = if named {
        format!("the rows that the target names are in {}", folder.display())
    } else {
        "the target does not name them".to_owned()
    };
    let way_out = if begun {
        "other rows are loaded already: go on with --max-rejects, which finds and sets aside the refused ones"
    } else {
        "correct them or the table, or allow some with --max-rejects, which finds and sets aside the refused ones"
    };
    format!("{where_}; {way_out}")
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

//! [`Plan`]: what is known of a job before it is begun, as `plan --output json` prints it. Field names are a contract.

use serde::Serialize;

use super::report::{CommitReport, Relay};

/// How a job stands before it is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It would be begun.
    #[default]
    New,
    /// It would go on where an earlier run stopped.
    Unfinished,
    /// It is loaded already; nothing would happen.
    Finished,
}

/// One column of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnPlan {
    /// The column; or a temporary that expressions use.
    pub column: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The field of the input.
    pub from: String,
}

/// One input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputPlan {
    /// Its path, or `-`.
    pub path: String,
    /// Its size as stored; none for a stream.
    pub bytes: Option<u64>,
    /// What it is, in words: `CSV, ',', header, gzip`.
    pub format: String,
    /// The text format on the wire: `csv` or `json`.
    pub wire: String,
    /// How its records come onto the wire.
    pub relay: Relay,
    /// What goes where.
    pub columns: Vec<ColumnPlan>,
    /// What the server computes, as `name=expression`.
    pub computed: Vec<String>,
}

/// Where the memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// All of it.
    pub limit: u64,
    /// What loads may take of it.
    pub loads: u64,
}

/// What a job would do, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The job's name; empty while it is not known.
    pub job: String,
    /// How it stands.
    pub standing: Standing,
    /// Where the rows would go, without credentials.
    pub target: String,
    /// Whether the table is missing and would be made.
    pub table_missing: bool,
    /// One entry per input.
    pub inputs: Vec<InputPlan>,
    /// About how many loads there would be; none for a stream.
    pub loads: Option<u64>,
    /// About how many bytes of text would be sent; none for a stream.
    pub bytes: Option<u64>,
    /// The least time that `--max-rate` and `--max-requests` leave for it; none where neither limits it.
    pub seconds_min: Option<u64>,
    /// What would be committed at once, and why.
    pub commit: Option<CommitReport>,
    /// The compression on the wire.
    pub compression: String,
    /// Why.
    pub compression_reason: String,
    /// The most loads that would be under way at one time.
    pub parallel_max: usize,
    /// Where the memory would go.
    pub memory: Option<MemoryPlan>,
    /// What a person should know besides.
    pub notices: Vec<String>,
}

//! [`Report`]: the final account of a job, as `--output json` prints it. Field names are a contract.

use serde::{Deserialize, Serialize};

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Every row that is not rejected is loaded.
    Finished,
    /// An earlier run finished it; this one did nothing.
    AlreadyLoaded,
    /// Nothing was sent: a dry run.
    DryRun,
    /// It stopped at the reject limit.
    Rejected,
    /// It failed; running it again goes on.
    Failed,
    /// The outcome of a load could not be settled.
    InDoubt,
    /// It was interrupted; running it again goes on.
    Interrupted,
}

/// How a load stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// Sent or about to be; the outcome is not known yet.
    Sending,
    /// Prepared at the server: safe there, and seen by nobody until the job commits.
    Prepared,
    /// Committed; readers will see it shortly.
    Committed,
    /// Readers see it.
    Visible,
    /// Nothing of it was applied.
    Aborted,
    /// It cannot be told whether it was applied.
    InDoubt,
    /// It was applied, and the server counted other rows than were sent.
    Disagreed,
}

impl LoadState {
    /// The word for it in metrics and traces.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sending => "open",
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Visible => "visible",
            Self::Aborted => "aborted",
            Self::InDoubt => "in_doubt",
            Self::Disagreed => "disagreed",
        }
    }

    /// Whether it is not known yet how it ends.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sending | Self::Prepared | Self::InDoubt)
    }

    /// Whether its rows are in the table, as many as were sent.
    #[must_use]
    pub fn is_loaded(self) -> bool {
        matches!(self, Self::Visible | Self::Committed)
    }
}

/// One load in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The label it went under.
    pub label: String,
    /// The server's transaction; none where the server did not say.
    pub transaction_id: Option<i64>,
    /// How it stands.
    pub state: LoadState,
    /// Rows sent.
    pub rows: u64,
    /// Body bytes sent.
    pub bytes: u64,
    /// Tries it took; 0 when an earlier run had loaded it.
    pub attempts: u32,
    /// The input's path.
    pub input: String,
    /// The line (of text) or row number (of binary inputs) of its first row, from 1.
    pub from: u64,
    /// The same of its last row.
    pub to: u64,
}

/// How the records of an input come onto the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relay {
    /// Each value is read into its type and written anew.
    #[default]
    None,
    /// Each value is checked against its column where it stands, and travels as it is written if that means the same.
    Checked,
    /// Records travel as they are written wherever they are written plainly; what their values are is for the server to
    /// say. Others are checked.
    Unchecked,
}

/// One input in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputReport {
    /// Its path, or `-`.
    pub path: String,
    /// Bytes read of it, as stored (before decompression).
    pub bytes: u64,
    /// Rows read, rejected ones included.
    pub rows: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// How its records came onto the wire.
    #[serde(default)]
    pub relay: Relay,
}

/// The final account of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job's name.
    pub job: String,
    /// How it ended.
    pub state: JobState,
    /// Where the rows went, without credentials.
    pub target: String,
    /// When this run started: RFC 3339, UTC.
    pub started_at: String,
    /// How long this run took.
    pub elapsed_seconds: f64,
    /// Rows read.
    pub rows_read: u64,
    /// Rows that the target has because of this job.
    pub rows_loaded: u64,
    /// Rows set aside.
    pub rows_rejected: u64,
    /// Rows that `--where` left out.
    pub rows_unselected: u64,
    /// Bytes read, as stored.
    pub bytes_read: u64,
    /// Body bytes of the attempts that succeeded.
    pub bytes_sent: u64,
    /// What is committed at once, and why; none where the run ended before that was known.
    #[serde(default)]
    pub commit: Option<CommitReport>,
    /// How bodies were compressed at the end, and why so; none where nothing was to be sent.
    #[serde(default)]
    pub compression: Option<CompressionReport>,
    /// One entry per load.
    pub loads: Vec<LoadReport>,
    /// One entry per input.
    pub inputs: Vec<InputReport>,
    /// What limited the run, in words.
    pub bottleneck: String,
    /// The most loads that were being sent at one time.
    #[serde(default)]
    pub parallel: u64,
    /// What slowed the run down.
    #[serde(default)]
    pub slowed: Vec<SlowReport>,
    /// Where the time went.
    #[serde(default)]
    pub profile: Option<ProfileReport>,
    /// The process's peak resident memory; 0 where the system does not tell.
    pub peak_memory_bytes: u64,
    /// The folder with the rejected rows, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rejects: Option<String>,
    /// What went wrong, where something did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorReport>,
}

impl Report {
    /// The account of a run that has not done anything yet; its job has no name until it is known.
    #[must_use]
    pub fn new(target: &str, started_at: String) -> Self {
        Self {
            job: String::new(),
            state: JobState::Failed,
            target: target.to_owned(),
            started_at,
            elapsed_seconds: 0.0,
            rows_read: 0,
            rows_loaded: 0,
            rows_rejected: 0,
            rows_unselected: 0,
            bytes_read: 0,
            bytes_sent: 0,
            commit: None,
            compression: None,
            loads: Vec::new(),
            inputs: Vec::new(),
            bottleneck: String::new(),
            parallel: 0,
            slowed: Vec::new(),
            profile: None,
            peak_memory_bytes: 0,
            rejects: None,
            error: None,
        }
    }
}

/// What is committed at once, in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitReport {
    /// `load` or `job`.
    pub scope: String,
    /// Why, as a clause.
    pub reason: String,
}

/// How bodies were compressed, in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressionReport {
    /// `none`, `lz4`, `zstd` or `gzip`.
    pub codec: String,
    /// Why, as a clause.
    pub reason: String,
}

/// Something that slowed a run down, in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowReport {
    /// In a few words: `too many versions`.
    pub reason: String,
    /// The node that said so.
    pub address: String,
    /// How often.
    pub times: u64,
}

/// Where the time of a run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileReport {
    /// The parts of the run that took part, in the order of the data.
    pub stages: Vec<StageReport>,
    /// What the server says of its own time, over all loads.
    pub server: Vec<PhaseReport>,
    /// What would make the run faster, as a clause.
    pub advice: String,
}

/// What one part of a run did, on all of its threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// `source`, `decompressor`, `reader`, `workers`, `assembly`, `spool` or `target`.
    pub stage: String,
    /// Its threads; of the target the most loads that were under way at one time.
    pub threads: u64,
    /// How long they worked.
    pub busy_seconds: f64,
    /// How long they waited for something to work on.
    pub starved_seconds: f64,
    /// How long they waited for somebody to take what they had made.
    pub blocked_seconds: f64,
}

/// What a server says that it spent on one phase of its loads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// In the server's words: `WriteDataTimeMs`.
    pub phase: String,
    /// How long.
    pub seconds: f64,
}

/// A failure in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Its code; `shipload explain CODE` says more.
    pub code: String,
    /// What stopped, and why.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The load it is about, where it is not known whether that one is in the table.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// The commands that settle it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub commands: Vec<String>,
}

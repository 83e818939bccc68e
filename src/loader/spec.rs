//! [`JobSpec`]: what the user asked for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{ByteCount, Codec, JobId};
use crate::planner::Fixed;
use crate::reader::probe;
use crate::source::Brought;

/// A request to load inputs into a table.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Files, globs, folders, or `-`.
    pub sources: Vec<String>,
    /// The job's name; none derives one from what it does.
    pub name: Option<JobId>,
    /// The SHA-256 that the one input has to have, in hex. It takes the place of the input's path and time in what the job
    /// is: the same content is the same work, wherever it lies.
    pub sha256: Option<String>,
    /// Whether to load what is loaded already.
    pub again: bool,
    /// Whether to do everything but send.
    pub dry_run: bool,
    /// Whether to create a missing table from the first input's schema.
    pub create_table: bool,
    /// How the inputs are to be read.
    pub reading: probe::Options,
    /// The `columns` list: mapping and expressions.
    pub columns: Option<String>,
    /// Rows that do not meet this predicate are left out, by the server.
    pub filter: Option<String>,
    /// Further Stream Load headers.
    pub headers: Vec<(String, String)>,
    /// What becomes visible at once.
    pub commit: CommitScope,
    /// The text format on the wire.
    pub wire: WireChoice,
    /// What is looked at before it is sent.
    pub check: Check,
    /// The compression on the wire.
    pub codec: CodecChoice,
    /// Bytes of text at which a load is cut.
    pub load_size: ByteCount,
    /// Loads under way at one time; none lets the program choose.
    pub parallel: Option<usize>,
    /// The most memory to use.
    pub memory: ByteCount,
    /// What of it goes to other things than loads: less where several jobs share a process.
    pub overhead: Fixed,
    /// What stands for standard input, where that is brought by this process itself.
    pub brought: Option<Brought>,
    /// How long the whole run may take.
    pub deadline: Option<Duration>,
    /// Bytes per second to send, at most.
    pub rate_max: Option<ByteCount>,
    /// Load requests per second, at most.
    pub requests_max: Option<u32>,
    /// Rejects at which the job stops.
    pub rejects_max: RejectLimit,
    /// Where rejected rows go.
    pub rejects_folder: PathBuf,
    /// Where the journal is.
    pub state_folder: PathBuf,
    /// Where chunks of streams lie until they are settled; a folder beside the journal when left out.
    pub spool_folder: Option<PathBuf>,
    /// How many bytes of them may lie there; 0 keeps them in memory only.
    pub spool_max: ByteCount,
    /// The jobs that it is decided upon with, by a word that stands for all of them.
    pub group: Option<String>,
    /// How to begin the job again, in the caller's own words and without secrets; the journal keeps it.
    pub recipe: Option<String>,
    /// Goes on with the work of this fingerprint, and with no other.
    pub only: Option<String>,
}

/// How much is loaded at one time unless the user says otherwise: large enough to keep the number of versions in the
/// table low, small enough that several fit into the default memory.
pub const LOAD_SIZE: ByteCount = ByteCount(64 << 20);

/// The memory used at most unless the user says otherwise.
pub const MEMORY: ByteCount = ByteCount(512 << 20);

/// What may lie in the spool unless the user says otherwise: some minutes of a fast stream, and small on any disk of today.
pub const SPOOL: ByteCount = ByteCount(4 << 30);

impl JobSpec {
    /// A job with every option at its default.
    #[must_use]
    pub fn new(sources: Vec<String>, state_folder: PathBuf) -> Self {
        Self {
            sources,
            name: None,
            sha256: None,
            again: false,
            dry_run: false,
            create_table: false,
            reading: probe::Options::default(),
            columns: None,
            filter: None,
            headers: Vec::new(),
            commit: CommitScope::Auto,
            wire: WireChoice::Auto,
            check: Check::Types,
            codec: CodecChoice::Auto,
            load_size: LOAD_SIZE,
            parallel: None,
            memory: MEMORY,
            overhead: Fixed::PROCESS,
            brought: None,
            deadline: None,
            rate_max: None,
            requests_max: None,
            rejects_max: RejectLimit::Rows(0),
            rejects_folder: PathBuf::from("shipload-rejects"),
            state_folder,
            spool_folder: None,
            spool_max: SPOOL,
            group: None,
            recipe: None,
            only: None,
        }
    }
}

/// What becomes visible at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitScope {
    /// One of the two, chosen when the job is planned and kept for as long as the job lives.
    Auto,
    /// Each load, when it lands.
    Load,
    /// The whole job, or nothing of it: every load is prepared, and all are committed at the end.
    Job,
}

/// The wire format, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireChoice {
    /// CSV, unless a column needs JSON.
    Auto,
    /// CSV; refused where a column cannot travel in it.
    Csv,
    /// JSON.
    Json,
}

/// What is looked at before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every value, against its column.
    Types,
    /// Where records that are written plainly begin and end, if they can travel as they are.
    None,
}

/// The compression, as asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecChoice {
    /// None to an address of this machine, LZ4 otherwise.
    Auto,
    /// This one.
    Fixed(Codec),
}

/// How many rejects are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RejectLimit {
    /// More rows than this.
    Rows(u64),
    /// More than this share of the rows read, in percent.
    Percent(f64),
}

impl RejectLimit {
    /// Whether so many rejects among so many rows are too many.
    #[must_use]
    pub fn is_passed(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Rows(limit) => rejected > limit,
            #[expect(clippy::cast_precision_loss, reason = "a share of rows; exact to 2^53 rows")]
            Self::Percent(percent) => rejected as f64 * 100.0 > percent * read as f64,
        }
    }
}

impl FromStr for RejectLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is no limit: write a number of rows (100) or a share of them (0.5%)");
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
            return if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(invalid()) };
        }
        text.parse().map(Self::Rows).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_rows_or_a_share() {
        assert_eq!("0".parse(), Ok(RejectLimit::Rows(0)));
        assert_eq!("2.5%".parse(), Ok(RejectLimit::Percent(2.5)));
        for wrong in ["", "-1", "x", "101%", "%"] {
            assert!(wrong.parse::<RejectLimit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_limit_itself_is_still_allowed() {
        assert!(!RejectLimit::Rows(3).is_passed(3, 10));
        assert!(RejectLimit::Rows(3).is_passed(4, 10));
        assert!(!RejectLimit::Percent(10.0).is_passed(1, 10));
        assert!(RejectLimit::Percent(10.0).is_passed(2, 10));
        assert!(!RejectLimit::Percent(0.0).is_passed(0, 0));
    }
}

//! What survives a crash: which jobs ran, which loads they sent, and how each ended.
//!
//! ```text
//!  job (id, run) ──▶ loads (label, rows, bytes, digest, state)
//!  finished? ──▶ a second import does nothing      unfinished? ──▶ it goes on: settled labels are not sent again
//! ```
//!
//! A job may have several runs: `--again` starts a new one, an unfinished one is taken up where it stopped. An entry is
//! written before the act it allows: a label is in the journal before its first byte is on the wire, so that whatever a
//! dead process may have sent is known by name. The journal is one SQLite file, written with `synchronous=FULL`; a
//! journal that cannot be written stops the job before anything is sent.
//!
//! One process at a time drives a job: it holds the job's [`Lease`], which goes with it when it dies. Others learn from the
//! journal what became of the job ([`JobEntry`]), and may ask in it for the job's end.
//!
//! A job that is committed as a whole is decided here: the decision is written when everything is prepared and before the
//! first commit, and from then on there is only forward.
//!
//! Labels do not depend on it: they follow from the job alone, so that losing the journal costs knowledge, not rows.

mod decision;
mod entry;
mod evidence;
mod history;
mod lease;
#[cfg(test)]
pub(crate) mod memory;
mod refusal;
mod request;
mod schema;
mod spooled;
mod sqlite;

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

pub use entry::{Begun, LoadEntry, Settled, Work};
pub use history::{JobEntry, JobStanding};
pub use lease::{Holder, Lease};
pub use refusal::Refusals;
pub use request::StoredRequest;
pub use sqlite::Journal;

use crate::failure::{Code, Failure};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its folder or file cannot be opened, made or written.
    #[error("the journal {path} cannot be used", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Another process has held it for too long.
    #[error("the journal {path} is held by another process", path = path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Its folder, or a file in it, cannot be made.
    #[error("the journal's folder cannot be used: {path}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A newer version of this program wrote it.
    #[error("the journal {path} has layout {found}, and this version knows layouts up to {known}", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The layout it has.
        found: u32,
        /// The newest layout known here.
        known: u32,
    },
    /// A job of this name was made of other inputs or settings.
    #[error("job {job} was made of other inputs or settings, and {}", ended(finished.as_deref()))]
    OtherWork {
        /// The job's name.
        job: String,
        /// When it finished, if it did: RFC 3339, UTC.
        finished: Option<String>,
    },
    /// Another process is at work on the same job.
    #[error("another process is at work on job {job}")]
    Driven {
        /// The job.
        job: String,
    },
    /// Other work of an input stopped half-way.
    #[error("an earlier import of {input} stopped half-way, and input or settings have changed since (job {job})")]
    HalfLoaded {
        /// The input.
        input: String,
        /// The job that stopped.
        job: String,
    },
    /// The table that holds a part of a job's rows is not there any more.
    #[error("the table is missing, although a part of the rows of job {job} was loaded into it")]
    TableGone {
        /// The job's name.
        job: String,
    },
    /// The file, or an entry in it, cannot be read.
    #[error("the journal {path} is damaged: {reason}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// What a failure of the database means to its user.
    fn of(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        let path = path.to_owned();
        match (source.sqlite_error_code(), &source) {
            (Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt), _)
            | (None, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)) => {
                Self::Corrupt { path, reason: source.to_string() }
            }
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => Self::Held { path, source },
            _ => Self::Unusable { path, source },
        }
    }
}

fn ended(finished: Option<&str>) -> String {
    finished.map_or_else(|| "did not finish".to_owned(), |at| format!("finished on {at}"))
}

impl Failure for Error {
    fn code(&self) -> Code {
        Code::JournalUnusable
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { .. } | Self::Folder { .. } => {
                "make room or give write access there, or choose another folder with --state-dir".to_owned()
            }
            Self::Held { path, .. } => {
                format!("`fuser {}` names the process: end it, or wait until it is done; then run this again", path.display())
            }
            Self::Driven { .. } => "wait until it has ended, or end it, and run the import again".to_owned(),
            Self::Newer { .. } => "use the newer shipload, or another folder with --state-dir".to_owned(),
            Self::OtherWork { finished: Some(_), .. } => {
                "a name stands for one piece of work: choose another --job name for this one, or say --again".to_owned()
            }
            Self::OtherWork { finished: None, .. } => {
                "restore the inputs and settings it had to finish it, choose another --job name, or say --again to load \
                 everything anew"
                    .to_owned()
            }
            Self::HalfLoaded { .. } => {
                "a part of its rows is in the table already: restore what has changed and run it again to finish it; or \
                 remove those rows and say --again, which loads everything anew"
                    .to_owned()
            }
            Self::TableGone { .. } => "say --again, which loads everything anew, or restore the table".to_owned(),
            Self::Corrupt { path, .. } => {
                // What belongs to it would be taken for a part of the next one.
                format!("move {0}, {0}-wal and {0}-shm away; labels still keep what is loaded from being loaded twice", path.display())
            }
        })
    }
}

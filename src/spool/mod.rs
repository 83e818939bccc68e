//! Chunks of streams, kept on the disk until their loads are settled: what was read from a pipe is not lost when the loader
//! dies.
//!
//! ```text
//!  append ─▶ 7.part ─ written, synced ─▶ 7.chunk ─▶ next, read ─▶ (dispatcher) ─▶ settled ─▶ removed
//!                └─ torn: never sent, removed         └─ checked by its sums: refused by name where they disagree
//! ```
//!
//! One folder per run of a job, one file per chunk, with the label under which its bytes travel, the settings they travel with,
//! and sums of both. A file gets its name when all of it is on the disk, and only then may its load be sent: so a file without
//! its name was never sent, and one with its name is whole or was damaged later. When the input's end is reached, a file says
//! so: only then is the stream whole.
//!
//! The store is a queue as well: chunks wait here and not in memory, and the bytes that it may hold are its limit. A full one
//! makes [`append`](Store::append) wait, and that is what slows the reader down. A chunk that is prepared in a transaction is
//! safe at the server and makes room when room is needed. The newest file stays until the next one comes, settled or not,
//! because it says how far the stream was read.
//!
//! Who may use a folder is the job's lease to say; nothing here locks.

mod record;
mod store;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use record::{End, Head, Reached};
pub use store::{Spooled, Store, Summary, look, remove};

use crate::failure::{Code, Failure};

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its folder, or a file in it, cannot be made, read or removed.
    #[error("the spool cannot be used: {path}", path = path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A chunk cannot be written, and nothing in the spool will make room for it.
    #[error("the spool cannot be written: {path} with {bytes} bytes", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// How large it would be.
        bytes: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("the spool's file {path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Other work lies in the way.
    #[error("rows that were read from a stream lie in {folder}, and this is other work (job {job})", folder = folder.display())]
    Left {
        /// The job.
        job: String,
        /// The folder.
        folder: PathBuf,
    },
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unusable { .. } | Self::Unwritable { .. } | Self::Left { .. } => Code::SpoolUnusable,
            Self::Damaged { .. } => Code::SpoolDamaged,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { .. } => "give access to it, or name another folder with --spool".to_owned(),
            Self::Unwritable { .. } => "make room there, name another folder with --spool, or do without with \
                                        --spool-size none; what is in the spool stays there, and `shipload resume` sends it"
                .to_owned(),
            Self::Damaged { path, .. } => format!(
                "nothing of it is sent; move {} away and write the whole stream into the same import again, or let go of \
                 it with `shipload cancel`",
                path.display()
            ),
            Self::Left { job, .. } => format!(
                "`shipload resume {job}` sends them, `shipload cancel {job}` lets go of them; or choose another --job name"
            ),
        })
    }
}

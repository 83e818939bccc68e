//! Where bytes come from: finds the inputs that a user named, and opens them.
//!
//! ```text
//!  arguments ─▶ list ─▶ Input … ─▶ open ─▶ File      Parquet and Arrow files need to seek
//!   files, globs,                    └───▶ Stream    standard input, named pipes: bytes that come once
//!   folders, `-`
//! ```
//!
//! A source knows names, sizes and times; it does not look inside. The list is in a stable order (arguments as given,
//! byte-wise by path within one), because the order of the inputs is part of what a job is. Within folders, names that
//! begin with `.` or `_` are not data (`_SUCCESS`, `.tmp`, `_temporary/`) and are left out, as every engine that writes
//! such folders expects; everything else is taken, so that no file vanishes silently for want of a known ending.
//!
//! A file that is not what it was when it was listed is not opened: its rows would not be those that the plan, and
//! perhaps an earlier run's labels, stand for (LABEL-1).
//!
//! Streams are read by the runtime and handed over in blocks, so that a cancelled job does not hang in a read that never
//! ends. At most [`STREAM_BLOCKS_MAX`] blocks of [`STREAM_BLOCK_BYTES`] wait there: a target that stalls stops the
//! reading, and the pipe then stops whoever writes into it.

mod error;
mod identity;
mod local;
#[cfg(test)]
pub(crate) mod memory;
mod stream;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

pub use error::Error;
pub use identity::{Identity, digest, digest_of, sample};
pub use local::{list, open};
pub use stream::{Bringer, Brought, Gone, STREAM_BLOCK_BYTES, STREAM_BLOCKS_MAX, brought};

/// One file or stream to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The path as the user would recognise it; `-` is standard input.
    pub path: PathBuf,
    /// Its size in bytes; none for streams.
    pub bytes: Option<u64>,
    /// When it last changed; none for streams.
    pub modified: Option<SystemTime>,
}

impl Input {
    /// Whether its bytes come only once.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.bytes.is_none()
    }

    /// Whether it is standard input.
    #[must_use]
    pub fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-"
    }
}

/// An opened input.
pub enum Opened {
    /// A file, at its start.
    File(File),
    /// Bytes that come once.
    Stream(Box<dyn Read + Send>),
}

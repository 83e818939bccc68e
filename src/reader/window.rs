//! [`Window`]: the part of a text input that is in memory.
//!
//! It holds what was read and not yet consumed. It grows only as far as one record needs, and by doubling, so that
//! looking at a long record again from its start costs no more than reading it did.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Error, RECORD_BYTES_MAX};
use crate::model::Origin;

/// How much is read at a time: large enough that the call costs nothing beside the parsing, small beside the budget.
const BLOCK_BYTES: usize = 1 << 20;

/// A byte order mark at the start of a text says that it is UTF-8, and is no part of it.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A window that moves over an input from its start to its end.
pub(super) struct Window {
    path: PathBuf,
    stream: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    /// Where in `bytes` the unconsumed part starts.
    start: usize,
    /// Where that is in the input: the place of the next record.
    origin: Origin,
    ended: bool,
    block_bytes: usize,
    record_bytes_max: usize,
}

impl Window {
    pub(super) fn new(path: &Path, stream: Box<dyn Read + Send>) -> Self {
        Self {
            path: path.to_owned(),
            stream,
            bytes: Vec::new(),
            start: 0,
            origin: Origin { line: 1, byte: 0 },
            ended: false,
            block_bytes: BLOCK_BYTES,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }

    #[cfg(test)]
    pub(super) fn with_limits(mut self, block_bytes: usize, record_bytes_max: usize) -> Self {
        (self.block_bytes, self.record_bytes_max) = (block_bytes, record_bytes_max);
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was read and not yet consumed.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether nothing follows what is pending.
    pub(super) fn at_end(&self) -> bool {
        self.ended
    }

    /// Where the pending bytes start.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Moves past bytes that were dealt with, and the line ends among them.
    pub(super) fn consume(&mut self, bytes: usize, line_ends: u64) {
        self.start += bytes;
        self.origin.byte += bytes as u64;
        self.origin.line += line_ends;
    }

    /// Reads on, because what is pending is not a whole record yet.
    pub(super) fn more(&mut self) -> Result<(), Error> {
        let pending = self.pending().len();
        self.check_length(pending)?;
        self.bytes.drain(..self.start);
        self.start = 0;
        // One byte more than a record may have is enough to refuse it. A last step that would be short is taken at once,
        // because each makes the buffer move.
        let left = self.record_bytes_max + 1 - pending;
        let doubled = self.block_bytes.max(pending);
        let wanted = if left < doubled + self.block_bytes { left } else { doubled };
        // What one long record needed is given back: the next one may be a reject with a copy of its own.
        if self.bytes.capacity() / 4 > pending + wanted {
            self.bytes.shrink_to(pending + wanted);
        }
        self.bytes.reserve_exact(wanted);
        let mut block = (&mut self.stream).take(wanted as u64);
        let read = block.read_to_end(&mut self.bytes).map_err(|source| Error::read(&self.path, source))?;
        self.ended = read < wanted;
        Ok(())
    }

    /// Refuses a record of so many bytes if that is more than allowed, however much of it happens to be in memory.
    pub(super) fn check_length(&self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.record_bytes_max {
            return Ok(());
        }
        Err(Error::RecordTooLong { path: self.path.clone(), at: self.origin, bytes_max: self.record_bytes_max })
    }

    /// What is pending, and where the rest comes from.
    pub(super) fn into_parts(mut self) -> (PathBuf, Vec<u8>, Box<dyn Read + Send>) {
        self.bytes.drain(..self.start);
        (self.path, self.bytes, self.stream)
    }

    /// Reads the start of the input and moves past a byte order mark.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        while !self.ended && self.pending().len() < BYTE_ORDER_MARK.len() {
            self.more()?;
        }
        if self.pending().starts_with(BYTE_ORDER_MARK) {
            self.consume(BYTE_ORDER_MARK.len(), 0);
        }
        Ok(())
    }
}

/// How many line ends are among the bytes.
pub(super) fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

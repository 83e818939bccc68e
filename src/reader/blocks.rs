//! [`Blocks`]: a text in pieces that end where records seem to end, to be read side by side.
//!
//! CSV is cut at the last line end of a block. Where the head of the input has line ends within quotes, it is the last one
//! before which the quotes are even in number: there a record ends, if quotes stand only around fields and doubled within
//! them. JSON is cut at a line end before a `{`, where an object begins unless it is within another one. Whoever reads a
//! block finds out whether its last record ends with it. Where it does not, the cut was wrong, and the rest belongs in front
//! of the next block: slower, and as exact.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memchr::{memchr_iter, memchr2_iter, memrchr};

use crate::buffers::{BUFFER_BYTES, Buffers};
use crate::model::Origin;
use crate::reader::window::Window;
use crate::reader::{Error, RECORD_BYTES_MAX};

/// How much text is cut at a time: large enough that handing it to another thread costs nothing beside reading it, and a
/// few of them for each thread are small beside the budget.
pub(crate) const BLOCK_BYTES: usize = BUFFER_BYTES;

/// Some records of an input, if the cuts around it are right.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The text.
    pub(crate) bytes: Bytes,
    /// Where it starts in the input.
    pub(crate) byte: u64,
    /// Whether nothing follows.
    pub(crate) last: bool,
}

/// Where a text may be cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cuts {
    /// At line ends that this byte is not around, if it ever is.
    Quotes(Option<u8>),
    /// At line ends before objects.
    Objects,
}

impl Cuts {
    /// Where to cut what follows this head: quotes are looked at where it has line ends within them.
    fn after(self, head: &[u8]) -> Self {
        match self {
            Self::Quotes(quote) => Self::Quotes(quote.filter(|quote| has_quoted_line_end(head, *quote))),
            Self::Objects => Self::Objects,
        }
    }

    /// Behind the last line end in `bytes` that may be one.
    fn last(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Quotes(quote) => outside(bytes, quote),
            Self::Objects => memchr::memmem::rfind(bytes, b"\n{").map(|line_end| line_end + 1),
        }
    }
}

/// Behind the last line end before which there is an even number of quotes.
fn outside(bytes: &[u8], quote: Option<u8>) -> Option<usize> {
    let quotes = |bytes: &[u8]| quote.map_or(0, |quote| memchr_iter(quote, bytes).count());
    let mut odd = quotes(bytes) % 2 == 1;
    let mut end = bytes.len();
    loop {
        let line_end = memrchr(b'\n', &bytes[..end])?;
        odd ^= quotes(&bytes[line_end..end]) % 2 == 1;
        if !odd {
            return Some(line_end + 1);
        }
        end = line_end;
    }
}

/// Cuts an input into blocks.
pub(crate) struct Blocks {
    path: PathBuf,
    stream: Box<dyn Read + Send>,
    cuts: Cuts,
    /// What was read and not handed out yet; it starts at a record.
    rest: Vec<u8>,
    /// Where it starts in the input.
    byte: u64,
    ended: bool,
    block_bytes: usize,
    buffers: Buffers,
}

impl Blocks {
    /// Goes on from where a window stands. Also says on which line that is.
    pub(super) fn from_window(window: Window, cuts: Cuts) -> (Self, u64) {
        let Origin { line, byte } = window.origin();
        let ended = window.at_end();
        let (path, rest, stream) = window.into_parts();
        let cuts = cuts.after(&rest);
        let buffers = Buffers::default();
        (Self { path, stream, cuts, rest, byte, ended, block_bytes: BLOCK_BYTES, buffers }, line)
    }

    /// What the input is called in errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the memory of blocks from there.
    pub(crate) fn use_buffers(&mut self, buffers: Buffers) {
        self.buffers = buffers;
    }

    /// In other sizes; `blindly` without a look at quotes, as after a head without any.
    #[cfg(test)]
    pub(super) fn with_size(self, block_bytes: usize, blindly: bool) -> Self {
        let cuts = if blindly { self.cuts.after(&[]) } else { self.cuts };
        Self { cuts, block_bytes, ..self }
    }

    /// The next block; none at the end.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, Error> {
        let mut filled = self.rest.len();
        let mut bytes = self.buffers.filled(self.block_bytes.max(filled));
        bytes[..filled].copy_from_slice(&self.rest);
        let end = loop {
            filled = self.fill(&mut bytes, filled)?;
            if filled == 0 {
                return Ok(None);
            }
            match self.cuts.last(&bytes[..filled]) {
                _ if self.ended => break filled,
                Some(end) => break end,
                // No record is longer: what has no cut until then is for the reader to complain about.
                None if filled > RECORD_BYTES_MAX => break filled,
                None => bytes.resize(filled * 2, 0),
            }
        };
        self.rest.clear();
        self.rest.extend_from_slice(&bytes[end..filled]);
        bytes.truncate(end);
        let byte = self.byte;
        self.byte += end as u64;
        Ok(Some(Block { bytes: self.buffers.share(bytes), byte, last: self.ended && self.rest.is_empty() }))
    }

    /// Reads until the buffer is full or nothing follows; returns how far it is filled.
    fn fill(&mut self, bytes: &mut [u8], mut filled: usize) -> Result<usize, Error> {
        while !self.ended && filled < bytes.len() {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::read(&self.path, source)),
            }
        }
        Ok(filled)
    }
}

/// Whether there is a line end with an odd number of quotes before it. What starts in them and does not end counts, too.
fn has_quoted_line_end(bytes: &[u8], quote: u8) -> bool {
    let mut within = false;
    memchr2_iter(quote, b'\n', bytes).any(|at| {
        within ^= bytes[at] == quote;
        within && bytes[at] == b'\n'
    })
}

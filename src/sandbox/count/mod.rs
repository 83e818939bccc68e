//! Counts the rows of a body that is thrown away, as fast as it comes.
//!
//! The numbers are those of the parsers in `csv` and `json`, to the row; what is left out is cutting rows into fields and
//! copying them together. Blocks of 64 bytes are looked at as a whole: where in them the few bytes are that mean anything
//! is a bit mask, and a count is arithmetic on masks. What masks cannot tell goes through a machine that takes
//! one byte after the other, and bodies that few send (delimiters of several bytes, `json_root`) through the parsers.
//!
//! What is checked: of CSV nothing, because no sequence of bytes is wrong before fields are looked at. Of JSON that
//! brackets and strings close, that nothing but blanks stands between the objects of a stream and commas between those
//! of an array, and that it is UTF-8. Not: the inside of an object, such as a missing colon. A row that exceeds the
//! parsers' limits is counted.

mod csv;
mod json;
#[cfg(test)]
mod tests;

use std::io::BufRead;

use super::csv::Dialect;
use super::ingest::{self, Failed};
use super::json::{Fault, Layout};
use super::wire::{Format, LoadRequest};

/// How much is gone over at once: what several passes find in the processor's first cache.
const PART_BYTES: usize = 16 * 1024;

/// Counts the rows of a body, as its bytes come.
#[derive(Debug)]
pub(super) struct Counter {
    kind: Kind,
    failed: Option<Fault>,
}

#[derive(Debug)]
enum Kind {
    Csv(csv::Counter),
    Json(json::Counter),
}

impl Counter {
    /// `None` for bodies that only the parsers can be trusted with.
    pub(super) fn new(format: &Format) -> Option<Self> {
        match format {
            Format::Csv(dialect) => Self::csv(dialect),
            Format::Json(layout) if layout.root.is_none() => Some(Self::json(layout)),
            Format::Json(_) => None,
        }
    }

    fn csv(dialect: &Dialect) -> Option<Self> {
        csv::Counter::new(dialect).map(|counter| Self { kind: Kind::Csv(counter), failed: None })
    }

    fn json(layout: &Layout) -> Self {
        Self { kind: Kind::Json(json::Counter::new(layout)), failed: None }
    }

    /// Goes over the next bytes of the body; `false` when nothing that follows could make it right again.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> bool {
        for part in bytes.chunks(PART_BYTES) {
            match &mut self.kind {
                _ if self.failed.is_some() => break,
                Kind::Csv(counter) => counter.feed(part),
                Kind::Json(counter) => self.failed = counter.feed(part).err(),
            }
        }
        self.failed.is_none()
    }

    /// The number of rows, once there are no more bytes.
    pub(super) fn finish(self) -> Result<u64, Failed> {
        match (self.failed, self.kind) {
            (Some(fault), _) => Err(fault.into()),
            (None, Kind::Csv(counter)) => Ok(counter.finish()),
            (None, Kind::Json(counter)) => Ok(counter.finish()?),
        }
    }

    fn read(mut self, mut body: impl BufRead) -> Result<u64, Failed> {
        loop {
            let bytes = body.fill_buf()?;
            if bytes.is_empty() || !self.feed(bytes) {
                return self.finish();
            }
            let length = bytes.len();
            body.consume(length);
        }
    }
}

/// Counts the rows of a body.
pub(super) fn rows(request: &LoadRequest, body: impl BufRead) -> Result<u64, Failed> {
    match Counter::new(&request.format) {
        Some(counter) => counter.read(body),
        None => ingest::count(request, body),
    }
}

/// Counts the rows of a CSV body; `None` when its dialect is for the parser itself.
#[cfg(any(test, fuzzing))]
pub(super) fn csv_rows(dialect: &Dialect, body: impl BufRead) -> Option<Result<u64, Failed>> {
    Counter::csv(dialect).map(|counter| counter.read(body))
}

/// Counts the objects of a JSON body without a root.
#[cfg(any(test, fuzzing))]
pub(super) fn json_rows(layout: &Layout, body: impl BufRead) -> Result<u64, Failed> {
    Counter::json(layout).read(body)
}

/// What is looked at as a whole.
type Block = [u8; 64];

/// Where in a block the bytes are that a test is true for: bit 0 is the first.
#[inline]
fn mask(block: &Block, test: impl Fn(u8) -> bool) -> u64 {
    // A bit for the row of eight that a byte is in, at the byte's place in it: a loop of vector instructions.
    let mut found = [0_u8; 64];
    for (at, (found, byte)) in found.iter_mut().zip(block).enumerate() {
        *found = u8::from(test(*byte)).wrapping_neg() & (1 << (at / 8));
    }
    let (rows, _) = found.as_chunks::<8>();
    transposed(rows.iter().fold(0, |square, row| square | u64::from_le_bytes(*row)))
}

/// Turns a square of eight by eight bits about its diagonal: within squares of two, of four, and of eight.
fn transposed(mut square: u64) -> u64 {
    for (shift, places) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let swapped = (square ^ square >> shift) & places;
        square ^= swapped ^ swapped << shift;
    }
    square
}

/// For each bit whether the number of bits up to and including it is odd: for quotes, whether one is open behind it.
fn parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

/// Whether a block holds a byte. Cheaper than a mask, for bytes that few blocks hold.
#[inline]
fn contains(block: &Block, wanted: u8) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(*byte == wanted)) != 0
}

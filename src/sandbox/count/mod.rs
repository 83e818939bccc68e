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

#[cfg(any(test, fuzzing))]
use super::csv::Dialect;
use super::ingest::{self, Failed};
use super::json::Layout;
use super::wire::{Format, LoadRequest};

/// Counts the rows of a body.
pub(super) fn rows(request: &LoadRequest, body: impl BufRead) -> Result<u64, Failed> {
    match &request.format {
        Format::Csv(dialect) => match csv::Counter::new(dialect) {
            Some(counter) => count_csv(counter, body),
            None => ingest::count(request, body),
        },
        Format::Json(layout) if layout.root.is_none() => json_rows(layout, body),
        Format::Json(_) => ingest::count(request, body),
    }
}

/// Counts the rows of a CSV body; `None` when its dialect is for the parser itself.
#[cfg(any(test, fuzzing))]
pub(super) fn csv_rows(dialect: &Dialect, body: impl BufRead) -> Option<Result<u64, Failed>> {
    csv::Counter::new(dialect).map(|counter| count_csv(counter, body))
}

/// Counts the objects of a JSON body without a root.
pub(super) fn json_rows(layout: &Layout, mut body: impl BufRead) -> Result<u64, Failed> {
    let mut counter = json::Counter::new(layout);
    loop {
        let bytes = body.fill_buf()?;
        if bytes.is_empty() {
            return Ok(counter.finish()?);
        }
        counter.feed(bytes)?;
        let length = bytes.len();
        body.consume(length);
    }
}

fn count_csv(mut counter: csv::Counter, mut body: impl BufRead) -> Result<u64, Failed> {
    loop {
        let bytes = body.fill_buf()?;
        if bytes.is_empty() {
            return Ok(counter.finish());
        }
        counter.feed(bytes);
        let length = bytes.len();
        body.consume(length);
    }
}

/// What is looked at as a whole.
type Block = [u8; 64];

/// Where in a block the bytes are that a test is true for: bit 0 is the first.
#[inline]
fn mask(block: &Block, test: impl Fn(u8) -> bool) -> u64 {
    // Comparing all bytes first is a loop that compilers turn into vector instructions.
    let mut found = [0_u8; 64];
    for (found, byte) in found.iter_mut().zip(block) {
        *found = u8::from(test(*byte));
    }
    let (words, _) = found.as_chunks::<8>();
    let mut mask = 0;
    for (at, word) in words.iter().enumerate() {
        // The product gathers the lowest bits of eight bytes in its highest byte.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * at);
    }
    mask
}

/// For each bit whether the number of bits up to and including it is odd: for quotes, whether one is open behind it.
fn parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

/// All bits or none.
fn spread(bit: bool) -> u64 {
    if bit { u64::MAX } else { 0 }
}

//! [`Walk`]: the records of a block, one after the other.
//!
//! Fields come from the block's [`Structure`] as long as its quotes are what it takes them for. From the first record on
//! where they are not (a quote in the middle of a field, something behind a closing one) the rest of the block is read by
//! [`scan`], which is slower and knows every rule. So it is for dialects with an escape byte.

use std::ops::Range;

use super::record::{Extent, Form, Scan, Span, scan};
use super::structure::Structure;
use super::{Caster, Dialect};

/// What comes next in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record, from this offset on. Its fields are in [`Walk::spans`], by offsets from there.
    Record(usize, Extent),
    /// The end of the block.
    End,
    /// A record that does not end in the block: what is left of it from this offset on.
    Rest(usize),
    /// The input ends within the quotes that open at the second offset from the first on.
    OpenQuote(usize, usize),
}

/// A record that is not looked at closely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance<'a> {
    /// Where it starts in the block.
    pub(crate) start: usize,
    /// Where its fields end in the block, the last of them with the line.
    pub(crate) ends: &'a [u32],
    /// Where its quotes are.
    pub(crate) quotes: &'a [u32],
}

/// Records one behind the other that have the same number of fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    /// Where the first of them starts in the block.
    start: usize,
    /// Where their fields end, the last of each with its line.
    ends: &'a [u32],
    fields: usize,
    /// The places of the quotes in them, and behind.
    quotes: &'a [u32],
    /// The line of the first of them, and of what follows each, from 0.
    line: u64,
    lines: &'a [u32],
}

impl Stretch<'_> {
    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        self.ends.len() / self.fields
    }

    /// How many fields each of them has.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// Where a field stands in the block.
    #[inline]
    pub(crate) fn field(&self, record: usize, field: usize) -> Range<usize> {
        let index = record * self.fields + field;
        let start = if index == 0 { self.start } else { self.ends[index - 1] as usize + 1 };
        start..self.ends[index] as usize
    }

    /// Where a record stands in the block, without its line end.
    #[inline]
    pub(crate) fn record(&self, record: usize) -> Range<usize> {
        self.field(record, 0).start..self.field(record, self.fields - 1).end
    }

    /// The line of a record, from 0.
    #[inline]
    pub(crate) fn line(&self, record: usize) -> u64 {
        record.checked_sub(1).map_or(self.line, |before| self.lines[before].into())
    }

    /// Counts the quotes of each record.
    pub(crate) fn count_quotes(&self, counts: &mut [u32]) {
        let mut quotes = self.quotes.iter().peekable();
        for (record, count) in (0..self.records()).zip(counts) {
            let end = self.record(record).end;
            while quotes.next_if(|quote| (**quote as usize) < end).is_some() {
                *count += 1;
            }
        }
    }
}

/// Walks over blocks; kept from one to the next for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    structure: Structure,
    spans: Vec<Span>,
    /// Where the next record starts.
    at: usize,
    /// Its line, from 0.
    line: u64,
    /// How many separators and records and quotes lie before it.
    separator: usize,
    record: usize,
    quote: usize,
    /// Whether the structure is of no more use for records.
    exactly: bool,
    /// Whether there is one of this block.
    masked: bool,
}

impl Walk {
    /// Starts with a block.
    pub(crate) fn begin(&mut self, bytes: &[u8], dialect: &Dialect) {
        self.exactly = dialect.escape.is_some();
        self.masked = !self.exactly;
        if self.masked {
            self.structure.read(bytes, dialect.delimiter, dialect.quote);
        }
        (self.at, self.line, self.separator, self.record, self.quote) = (0, 0, 0, 0, 0);
    }

    /// The fields of the record found last, by offsets from its start.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The next record as the structure has it, if it has so many fields: whoever takes it has to see that its quotes are
    /// where they should be. It is [passed](Self::pass), or found again by [`next`](Self::next).
    #[inline]
    pub(crate) fn glance(&self, bytes: &[u8], fields: usize) -> Option<Glance<'_>> {
        if self.exactly {
            return None;
        }
        let end = *self.structure.records().get(self.record)? as usize;
        let ends = &self.structure.separators()[self.separator..end];
        let line_end = *ends.last()?;
        let quotes = &self.structure.quotes()[self.quote..];
        let quotes = &quotes[..quotes.iter().take_while(|quote| **quote < line_end).count()];
        // A CR belongs to the line end, and a blank line may be no record.
        let plain = matches!(bytes[self.at..line_end as usize], [.., last] if last != b'\r');
        (ends.len() == fields && plain).then_some(Glance { start: self.at, ends, quotes })
    }

    /// Goes on behind the record that was glanced at; `end` is where its line end is, `quotes` how many it has.
    #[inline]
    pub(crate) fn pass(&mut self, end: usize, quotes: usize) {
        self.line = self.structure.lines()[self.record].into();
        self.separator = self.structure.records()[self.record] as usize;
        (self.at, self.record, self.quote) = (end + 1, self.record + 1, self.quote + quotes);
    }

    /// The next records as the structure has them, at most so many, as long as they have so many fields: whoever takes them has
    /// to see that their quotes are where they should be. They are [passed](Self::pass_all), or found again one by one.
    #[inline]
    pub(crate) fn stretch(&self, records_max: usize, fields: usize) -> Stretch<'_> {
        let (separators, records) = (self.structure.separators(), self.structure.records());
        let mut count = 0;
        if !self.exactly {
            let next = records.get(self.record..).unwrap_or_default().iter().take(records_max);
            let due = (1..).map(|record| self.separator + record * fields);
            count = next.zip(due).take_while(|(end, due)| **end as usize == *due).count();
        }
        let quotes = &self.structure.quotes()[self.quote..];
        let lines = &self.structure.lines()[self.record.min(records.len())..][..count];
        let ends = &separators[self.separator..][..count * fields];
        Stretch { start: self.at, ends, fields, quotes, line: self.line, lines }
    }

    /// Goes on behind so many records of a stretch, the last of which ends at `end`.
    #[inline]
    pub(crate) fn pass_all(&mut self, records: usize, end: usize) {
        self.record += records;
        self.separator = self.structure.records()[self.record - 1] as usize;
        self.quote += self.structure.quotes()[self.quote..].iter().take_while(|quote| (**quote as usize) < end).count();
        self.at = end + 1;
        self.line = self.structure.lines()[self.record - 1].into();
    }

    /// The line of the record that comes next, from 0.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Which of the bytes of a field are no digits, from the first on; as if none were where there are more than 64.
    #[inline]
    pub(crate) fn not_digits(&self, bytes: &[u8], start: usize, end: usize) -> u64 {
        if end - start > u64::BITS as usize {
            return u64::MAX;
        }
        if self.masked { self.structure.not_digits(start, end) } else { not_digits(&bytes[start..end]) }
    }

    /// Whether records are read one by one from here on, for a quote was not where it should be.
    #[inline]
    pub(crate) fn is_exact(&self) -> bool {
        self.exactly
    }

    /// Whether there is a backslash in a field.
    #[inline]
    pub(crate) fn has_backslash_in(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        if self.masked {
            self.structure.has_backslash_in(start, end)
        } else {
            memchr::memchr(b'\\', &bytes[start..end]).is_some()
        }
    }

    /// Whether plain fields may hold quotes and any field a backslash.
    pub(crate) fn is_careful(&self) -> bool {
        self.exactly || self.structure.has_backslash()
    }

    /// Goes on. `last` says that nothing follows the block.
    #[inline]
    pub(crate) fn next(&mut self, bytes: &[u8], last: bool, caster: &Caster) -> Found {
        while !self.exactly {
            let Some(&separators) = self.structure.records().get(self.record) else {
                // What is left has no line end.
                self.exactly = true;
                break;
            };
            let (first, end) = (self.separator, separators as usize);
            let line_end = self.structure.separators()[end - 1] as usize;
            let start = self.at;
            let content = &bytes[start..line_end];
            let blank = matches!(content, [] | [b'\r']);
            if !blank && !self.fields(bytes, first, end) {
                self.exactly = true;
                break;
            }
            let before = std::mem::replace(&mut self.line, self.structure.lines()[self.record].into());
            (self.at, self.separator, self.record) = (line_end + 1, end, self.record + 1);
            let taken = line_end + 1 - start;
            if blank {
                if !caster.blank_is_row() {
                    continue;
                }
                self.spans.clear();
                self.spans.push(Span::EMPTY);
                return Found::Record(start, Extent::blank(taken));
            }
            let lines = self.line - before - 1;
            let bytes = content.len() - usize::from(content.ends_with(b"\r"));
            return Found::Record(start, Extent { bytes, taken, lines, malformed: false });
        }
        self.scan(bytes, last, caster)
    }

    /// Finds the fields between these separators; false if a quote is not where it should be.
    #[inline]
    fn fields(&mut self, bytes: &[u8], first: usize, end: usize) -> bool {
        let record = self.at;
        let separators = &self.structure.separators()[first..end];
        let quotes = &self.structure.quotes()[self.quote..];
        let line_end = separators[separators.len() - 1] as usize;
        self.spans.clear();
        let (mut start, mut used) = (record, 0);
        for separator in separators {
            let end = *separator as usize;
            let inside = quotes[used..].iter().take_while(|quote| (**quote as usize) < end).count();
            // The CR of a line end belongs to it.
            let crlf = usize::from(end == line_end && bytes[start..end].ends_with(b"\r"));
            let Some(span) = quoted(&quotes[used..used + inside], start, end - crlf) else { return false };
            self.spans.push(Span { start: span.start - record, end: span.end - record, form: span.form });
            used += inside;
            start = end + 1;
        }
        self.quote += used;
        true
    }

    #[cold]
    fn scan(&mut self, bytes: &[u8], last: bool, caster: &Caster) -> Found {
        loop {
            let start = self.at;
            match scan(&bytes[start..], last, &caster.dialect, &mut self.spans) {
                Scan::Record(record) => {
                    self.at += record.taken;
                    self.line += record.lines + u64::from(record.taken > record.bytes);
                    return Found::Record(start, record);
                }
                Scan::Blank(taken) => {
                    self.at += taken;
                    self.line += 1;
                    if caster.blank_is_row() {
                        self.spans.push(Span::EMPTY);
                        return Found::Record(start, Extent::blank(taken));
                    }
                }
                Scan::End => return Found::End,
                Scan::More if start == bytes.len() => return Found::End,
                Scan::More => return Found::Rest(start),
                Scan::OpenQuote(open) => return Found::OpenQuote(start, open),
            }
        }
    }
}

#[cold]
fn not_digits(text: &[u8]) -> u64 {
    text.iter().enumerate().fold(0, |bits, (at, byte)| bits | u64::from(!byte.is_ascii_digit()) << at)
}

/// The field from `start` to `end`, which holds these quotes; none if they are not around it and doubled within it.
#[inline]
pub(crate) fn quoted(quotes: &[u32], start: usize, end: usize) -> Option<Span> {
    match quotes {
        [] => Some(Span { start, end, form: Form::Plain }),
        [open, doubled @ .., close] if *open as usize == start && *close as usize + 1 == end => {
            let (pairs, odd) = doubled.as_chunks::<2>();
            let is_doubled = odd.is_empty() && pairs.iter().all(|[first, second]| *first + 1 == *second);
            let form = if doubled.is_empty() { Form::Quoted } else { Form::Escaped };
            is_doubled.then_some(Span { start: start + 1, end: end - 1, form })
        }
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn caster(fields: usize, quote: Option<u8>, escape: Option<u8>) -> Caster {
        let dialect = Dialect { delimiter: b',', quote, escape, null: None, header: false };
        Caster { dialect, targets: Vec::new(), fields_expected: fields }
    }

    pub(in super::super) type Seen = Vec<(usize, u64, Extent, Vec<Span>)>;

    /// All records, with the place and the line of each, and how it ended.
    fn walked(bytes: &[u8], last: bool, caster: &Caster) -> (Seen, Found) {
        let mut walk = Walk::default();
        walk.begin(bytes, &caster.dialect);
        let mut seen = Vec::new();
        loop {
            match walk.next(bytes, last, caster) {
                Found::Record(at, record) => {
                    let line_ends_itself = u64::from(record.taken > record.bytes);
                    let line = walk.line() - record.lines - line_ends_itself;
                    seen.push((at, line, record, walk.spans().to_vec()));
                }
                found => return (seen, found),
            }
        }
    }

    pub(in super::super) fn scanned(bytes: &[u8], last: bool, caster: &Caster) -> (Seen, Found) {
        let mut walk = Walk { exactly: true, ..Walk::default() };
        let mut seen = Vec::new();
        loop {
            match walk.scan(bytes, last, caster) {
                Found::Record(at, record) => {
                    let line = walk.line() - record.lines - u64::from(record.taken > record.bytes);
                    seen.push((at, line, record, walk.spans().to_vec()));
                }
                found => return (seen, found),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_finds_what_the_scan_finds_whatever_the_quotes(
            parts in prop::collection::vec(
                prop::sample::select(["a", "bc", ",", "\"", "\"\"", "\n", "\r\n", "\r", "\\", "\"x\"", "é", ",\"", "\",", "\n\""].as_slice()),
                0..60,
            ),
            last: bool,
            single: bool,
            quote in prop::sample::select([Some(b'"'), None].as_slice()),
            escape in prop::sample::select([None, None, Some(b'\\')].as_slice()),
        ) {
            let text = parts.concat();
            let caster = caster(if single { 1 } else { 3 }, quote, escape);
            prop_assert_eq!(walked(text.as_bytes(), last, &caster), scanned(text.as_bytes(), last, &caster));
        }
    }
}

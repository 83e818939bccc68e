//! [`Look`]: many records of CSV looked at together, column by column.
//!
//! What has to be seen of a field depends on its column. Field by field along the records, that is decided anew for each; down a
//! column it is decided once, and what is left is a short loop. Only records that are rows as they stand come out of it: every
//! other is looked at again by itself, so that nothing has to be kept of why it is not.

use std::ops::Range;

use super::canonical;
use super::fields::{Check, Field};
use super::kind::Kind;
use crate::encoder;
use crate::reader::csv::{Form, Span, Stretch};

/// The most records to look at together: one for each bit of a word.
const RECORDS_MAX: usize = u64::BITS as usize;

/// How many quotes of each record have not been seen yet.
type Quotes = [u32; RECORDS_MAX];

/// How many records to look at together: what they are in stays in the cache.
pub(super) fn records_ahead(fields: usize) -> usize {
    const FIELDS_MAX: usize = 4096;
    (FIELDS_MAX / fields.max(1)).clamp(1, RECORDS_MAX)
}

/// Records that were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    records: u32,
    /// The bit of each that has to be looked at by itself.
    odd: u64,
}

/// Records that are to be taken yet, and whether it is worth to look at the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    looked: Looked,
    /// So many records are taken one by one before the next look.
    singly: u32,
}

impl Ahead {
    /// How many of the next records may be taken as they are; none where the next has to be looked at by itself.
    #[inline]
    pub(super) fn next(&mut self, look: impl FnOnce() -> Looked) -> usize {
        if self.looked.records == 0 {
            if self.singly > 0 {
                self.singly -= 1;
                return 0;
            }
            self.looked = look();
            let Looked { records, odd } = self.looked;
            // Where few records are alike, or most are looked at twice, it will be so with the next.
            self.singly = match records {
                0..8 => 8,
                _ if odd.count_ones() > records / 2 => 1024,
                _ => 0,
            };
        }
        let Looked { records, odd } = self.looked;
        let fitting = odd.trailing_zeros().min(records);
        let passed = fitting.max(1).min(records);
        self.looked = Looked { records: records - passed, odd: odd.checked_shr(passed).unwrap_or_default() };
        fitting as usize
    }
}

/// Some records of a block.
pub(super) struct Look<'a> {
    pub(super) check: Check<'a>,
    pub(super) stretch: Stretch<'a>,
    /// Whether records are written field by field, so that it is enough if each can be written.
    pub(super) by_fields: bool,
}

impl Look<'_> {
    /// Looks at every field.
    pub(super) fn at(&self, fields: &[Field]) -> Looked {
        // Those that are not seen around a field.
        let mut quotes = [0; RECORDS_MAX];
        self.stretch.count_quotes(&mut quotes);
        let columns = fields.iter().fold(0, |odd, field| odd | self.column(field, &mut quotes));
        let last = self.stretch.fields() - 1;
        let records = self.stretch.records();
        let closely = (0..records).fold(0, |odd, record| {
            // A CR belongs to the line end, and the only field of a record may be blank, which may be no record.
            let plain = match &self.check.bytes[self.stretch.field(record, last)] {
                [] => last > 0,
                [.., end] => *end != b'\r',
            };
            odd | u64::from(!plain || quotes[record] != 0) << record
        });
        Looked { records: u32::try_from(records).expect("not more than bits of a word"), odd: columns | closely }
    }

    /// The records in which this column's field does not fit. Each kind has a loop of its own.
    fn column(&self, field: &Field, quotes: &mut Quotes) -> u64 {
        let column = self.column_of(field);
        match field.kind {
            Kind::Text(bytes_max) if self.by_fields => self.odd(column, quotes, |text, range, _| {
                range.len() <= bytes_max && !(self.check.walk.is_careful() && encoder::is_csv_null(text))
            }),
            Kind::Text(bytes_max) => self.odd(column, quotes, |_, range, form| {
                range.len() <= bytes_max && self.check.travels(Span { start: range.start, end: range.end, form })
            }),
            Kind::Integer(digits, range) => {
                self.odd_number(column, quotes, |field| canonical::integer(field, digits, range))
            }
            Kind::Decimal(precision, scale) => {
                self.odd_number(column, quotes, |field| canonical::decimal(field, precision, scale))
            }
            Kind::Date => self.odd_number(column, quotes, canonical::date),
            Kind::DateTime => self.odd_number(column, quotes, canonical::datetime),
            Kind::Double => self.odd_number(column, quotes, canonical::double),
            Kind::Float => self.odd_number(column, quotes, canonical::float),
            Kind::Boolean => self.odd_number(column, quotes, canonical::boolean),
            // It has to be parsed.
            Kind::Document => self.odd(column, quotes, |_, _, _| false),
        }
    }

    fn column_of(&self, field: &Field) -> ColumnLooked<'_> {
        // Where records travel as they are, no value is empty: a text does not without quotes.
        let null = Some(self.check.null()).filter(|null| !field.empty_is_text && (self.by_fields || !null.is_empty()));
        ColumnLooked { source: field.source, null, null_fits: self.by_fields && field.nullable }
    }

    #[inline]
    fn odd_number(
        &self,
        column: ColumnLooked<'_>,
        quotes: &mut Quotes,
        fits: impl Fn(canonical::Field) -> bool,
    ) -> u64 {
        self.odd(column, quotes, |text, range, _| {
            fits(canonical::Field { text, odd: self.check.walk.not_digits(self.check.bytes, range.start, range.end) })
        })
    }

    /// The records in which the field of a column does not fit. The quotes around it are taken off those of the record.
    #[inline]
    fn odd(
        &self,
        ColumnLooked { source, null, null_fits }: ColumnLooked<'_>,
        quotes: &mut Quotes,
        fits: impl Fn(&[u8], Range<usize>, Form) -> bool,
    ) -> u64 {
        let bytes = self.check.bytes;
        (0..self.stretch.records()).zip(quotes).fold(0, |odd, (record, quotes)| {
            let mut range = self.stretch.field(record, source);
            let mut form = Form::Plain;
            let mut fit = true;
            if bytes[range.start] == b'"' {
                (range, form) = (range.start + 1..range.end - 1, Form::Quoted);
                fit = range.start <= range.end && bytes[range.end] == b'"';
                range.end = range.end.max(range.start);
                *quotes = quotes.wrapping_sub(2);
            }
            let text = &bytes[range.clone()];
            let is_null = form == Form::Plain && null == Some(text);
            let fits = if is_null { null_fits } else { fits(text, range, form) };
            odd | u64::from(!fit || !fits) << record
        })
    }
}

/// A column, as a loop over its fields sees it.
#[derive(Clone, Copy)]
struct ColumnLooked<'a> {
    source: usize,
    /// What stands for NULL, where anything does.
    null: Option<&'a [u8]>,
    null_fits: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_fit_are_taken_together_and_others_one_by_one() {
        let mut ahead = Ahead::default();
        let mut looks = vec![Looked { records: 10, odd: 0b1_0000_0100 }, Looked { records: 64, odd: 0 }].into_iter();
        let taken: Vec<usize> = (0..6).map(|_| ahead.next(|| looks.next().unwrap_or_default())).collect();
        assert_eq!(taken, [2, 0, 5, 0, 1, 64]);
    }

    #[test]
    fn looks_that_bring_nothing_are_rare() {
        for (looked, pause) in [
            (Looked { records: 64, odd: u64::MAX }, 64 + 1024),
            (Looked { records: 0, odd: 0 }, 1 + 8),
            (Looked { records: 1, odd: 1 }, 1 + 8),
        ] {
            let mut ahead = Ahead::default();
            let mut looks = 0;
            for _ in 0..=pause {
                let fitting = ahead.next(|| {
                    looks += 1;
                    looked
                });
                assert_eq!(fitting, 0);
            }
            assert_eq!(looks, 2, "{looked:?}");
        }
    }
}

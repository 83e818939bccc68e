//! [`Dialect`]: how a CSV file is written, and how that is found out.

use std::path::Path;

use crate::reader::CsvOptions;

use super::record::{Scan, Span, scan};
use super::sample::without_mark;

/// How a CSV file is written, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The byte between fields.
    pub delimiter: u8,
    /// The byte around quoted fields.
    pub quote: Option<u8>,
    /// A byte that takes the next one literally, inside quotes.
    pub escape: Option<u8>,
    /// The unquoted text that stands for NULL; the empty field when none.
    pub null: Option<String>,
    /// Whether the first record names the fields.
    pub header: bool,
}

/// Bytes that may stand between fields, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// How many records are looked at: one odd record among the first should not decide.
const RECORDS_SNIFFED: usize = 100;

/// Settles what `options` leave open.
///
/// The delimiter is the one that splits most of the first records into as many fields as the very first, and into more
/// than one; a file named `.tsv` has tabs if that splits its first record at all. Whether there is a header cannot be
/// seen safely: there is one, unless the options say otherwise.
#[must_use]
pub fn sniff(sample: &[u8], options: &CsvOptions, name: &Path) -> Dialect {
    let mut dialect = Dialect {
        delimiter: DELIMITERS[0],
        quote: options.quote.unwrap_or(Some(b'"')),
        escape: options.escape,
        null: options.null.clone(),
        header: options.header.unwrap_or(true),
    };
    dialect.delimiter = options.delimiter.unwrap_or_else(|| delimiter(sample, &dialect, is_tsv(name)));
    dialect
}

fn is_tsv(name: &Path) -> bool {
    let name = name.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.split('.').skip(1).any(|extension| matches!(extension, "tsv" | "tab"))
}

fn delimiter(sample: &[u8], dialect: &Dialect, tsv: bool) -> u8 {
    let score = |delimiter: u8| {
        let counts = field_counts(sample, &Dialect { delimiter, ..dialect.clone() });
        let fields = counts.first().copied().unwrap_or(0);
        let alike = counts.iter().filter(|count| **count == fields).count();
        // Thousandths, so that shares compare as integers.
        let share = if counts.is_empty() { 0 } else { alike * 1000 / counts.len() };
        (fields, share)
    };
    if tsv && score(b'\t').0 > 1 {
        return b'\t';
    }
    let mut best = (DELIMITERS[0], 0, 0);
    for candidate in DELIMITERS {
        let (fields, share) = score(candidate);
        if fields > 1 && (share, fields) > (best.1, best.2) {
            best = (candidate, share, fields);
        }
    }
    best.0
}

/// How many fields the first records have.
fn field_counts(sample: &[u8], dialect: &Dialect) -> Vec<usize> {
    let mut spans: Vec<Span> = Vec::new();
    let mut counts = Vec::new();
    let mut rest = without_mark(sample);
    while counts.len() < RECORDS_SNIFFED {
        match scan(rest, false, dialect, &mut spans) {
            Scan::Record(record) => {
                counts.push(spans.len());
                rest = &rest[record.taken..];
            }
            Scan::Blank(bytes) => rest = &rest[bytes..],
            Scan::End | Scan::More | Scan::OpenQuote(_) => break,
        }
    }
    // A sample without any line end is one record, or the start of one.
    if counts.is_empty() && matches!(scan(rest, true, dialect, &mut spans), Scan::Record(_)) {
        counts.push(spans.len());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter_of(sample: &str, name: &str) -> u8 {
        sniff(sample.as_bytes(), &CsvOptions::default(), Path::new(name)).delimiter
    }

    #[test]
    fn the_delimiter_is_the_one_that_splits_records_alike() {
        for (sample, name, expected) in [
            ("a,b\n1,2\n", "x.csv", b','),
            ("a;b\n1,5;2,5\n", "x.csv", b';'),
            ("a\tb\n1, 2\t3, 4\n", "x.txt", b'\t'),
            ("a|b,c|d\n1|2|3\n4|5|6\n", "x", b'|'),
            ("a,b;c\n\"x;y\",2\n\"z;z\",3\n", "x", b','),
            ("text, more\tb,\nx\ty\n", "x.tsv.gz", b'\t'),
            ("a,b", "x.csv", b','),
            ("single\n1\n", "x.csv", b','),
            ("a,b\n", "x.tsv", b','),
            ("", "x.csv", b','),
            ("\u{feff}\"a;b\",c\n\"d;e;f\",g\n", "x.csv", b','),
        ] {
            assert_eq!(delimiter_of(sample, name), expected, "{sample:?}");
        }
    }

    #[test]
    fn what_is_set_is_not_found_out() {
        let options = CsvOptions {
            delimiter: Some(b';'),
            quote: Some(None),
            escape: Some(b'\\'),
            null: Some("NA".into()),
            header: Some(false),
        };
        let dialect = sniff(b"a,b\n", &options, Path::new("x.tsv"));
        let expected =
            Dialect { delimiter: b';', quote: None, escape: Some(b'\\'), null: Some("NA".into()), header: false };
        assert_eq!(dialect, expected);
    }
}

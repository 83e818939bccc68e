//! Which rows of a load the server means by the lines of its error log. Pure.
//!
//! A row is named only where nothing else can be meant (a wrong guess would reject a row that the table could have had):
//!
//! - the text behind `Row: ` is the text of the row, byte for byte, and not the beginning of another row, because the server
//!   may have cut what it shows;
//! - of rows with the same text, as many are listed as there are;
//! - a reason that can be read in several ways leads to rows in one of them;
//! - no row of the load looks like a line of such a log itself;
//! - no more rows are named than the server says it refused.
//!
//! Whoever is not named here is found by halving the load.

use std::collections::HashMap;

use super::bisection::Part;
use super::rows::Rows;
use crate::target::error_log::Filtered;

/// How much of the server's words is kept for a row, in characters.
const REASON_CHARS_MAX: usize = 1_000;

/// The rows of a part that the lines name, in order, with the server's words. `filtered` is how many the server says it
/// refused; 0 where it does not say.
pub(super) fn named(rows: &Rows, part: &Part, lines: &[Filtered], filtered: u64) -> Vec<(u64, String)> {
    let mut texts = Texts::new(lines);
    if texts.sorted.is_empty() {
        return Vec::new();
    }
    let mut doubtful = false;
    rows.each(part, |row, text| {
        doubtful |= memchr::memmem::find(text, b"\nError: ").is_some();
        texts.see(row, text);
    });
    if doubtful {
        return Vec::new();
    }
    let mut named: Vec<(u64, String)> = texts.meant(lines);
    named.sort_unstable_by_key(|(row, _)| *row);
    if filtered > 0 && named.len() as u64 > filtered { Vec::new() } else { named }
}

/// What stands behind `Row: ` in the lines, and the rows that have this text.
struct Texts<'a> {
    sorted: Vec<Text<'a>>,
}

struct Text<'a> {
    bytes: &'a [u8],
    /// The lines that can be read so.
    lines: usize,
    /// The longest other text that this one begins with.
    shorter: Option<usize>,
    /// The rows with this text; one more than there are lines is as good as all.
    rows: Vec<u64>,
    /// Whether another row begins with it.
    is_beginning: bool,
}

impl<'a> Texts<'a> {
    fn new(lines: &'a [Filtered]) -> Self {
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        for line in lines {
            for (_, row) in line.readings() {
                *counts.entry(row).or_default() += 1;
            }
        }
        let text = |(bytes, lines)| Text { bytes, lines, shorter: None, rows: Vec::new(), is_beginning: false };
        let mut sorted: Vec<Text<'_>> = counts.into_iter().map(text).collect();
        sorted.sort_unstable_by_key(|text| text.bytes);
        for index in 1..sorted.len() {
            // In this order, what a text begins with stands before it, and between the two only what begins so as well.
            let mut shorter = Some(index - 1);
            while let Some(at) = shorter
                && !sorted[index].bytes.starts_with(sorted[at].bytes)
            {
                shorter = sorted[at].shorter;
            }
            sorted[index].shorter = shorter;
        }
        Self { sorted }
    }

    /// Notes to which texts a row is equal, and which it begins with.
    fn see(&mut self, row: u64, bytes: &[u8]) {
        let mut next = self.sorted.partition_point(|text| text.bytes <= bytes).checked_sub(1);
        while let Some(at) = next {
            let text = &mut self.sorted[at];
            if text.bytes == bytes {
                if text.rows.len() <= text.lines {
                    text.rows.push(row);
                }
            } else if bytes.starts_with(text.bytes) {
                text.is_beginning = true;
            }
            next = text.shorter;
        }
    }

    fn of(&self, bytes: &[u8]) -> &Text<'a> {
        let at = self.sorted.binary_search_by_key(&bytes, |text| text.bytes);
        &self.sorted[at.expect("every reading was noted")]
    }

    /// The rows that are meant and nothing but them.
    fn meant(&self, lines: &[Filtered]) -> Vec<(u64, String)> {
        // For each text the reasons of the lines that can only mean it.
        let mut reasons: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for line in lines {
            let mut readings = line.readings().filter(|(_, row)| {
                let text = self.of(row);
                !text.rows.is_empty() || text.is_beginning
            });
            if let (Some((reason, row)), None) = (readings.next(), readings.next()) {
                reasons.entry(row).or_default().push(reason);
            }
        }
        let mut meant = Vec::new();
        for (row, reasons) in reasons {
            let text = self.of(row);
            if !text.is_beginning && text.rows.len() == reasons.len() {
                meant.extend(text.rows.iter().copied().zip(reasons.into_iter().map(words)));
            }
        }
        meant
    }
}

/// A reason as it is kept.
pub(super) fn words(reason: &[u8]) -> String {
    String::from_utf8_lossy(reason).chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rows::tests::chunk_of;
    use super::*;
    use crate::model::{Codec, WireFormat};
    use crate::target::error_log;

    fn found(rows: &[&str], log: &str, filtered: u64) -> Vec<(u64, String)> {
        let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        let chunk = chunk_of(WireFormat::Csv, Codec::None, &rows, 7);
        named(&Rows::of(&chunk).unwrap(), &(0..chunk.rows), &error_log::lines(log.as_bytes()), filtered)
    }

    const NONE: [u64; 0] = [];

    fn numbers(rows: &[&str], log: &str, filtered: u64) -> Vec<u64> {
        found(rows, log, filtered).into_iter().map(|(row, _)| row).collect()
    }

    #[test]
    fn a_row_is_named_by_its_whole_text() {
        let rows = ["1,\"a\"", "2,\"b\"", "3,\"c\nd\""];
        let log = "Error: too long. Row: 2,\"b\"\nError: other. Row: 3,\"c\nd\"\n";
        assert_eq!(found(&rows, log, 2), [(1, "too long".to_owned()), (2, "other".to_owned())]);
        for other in ["2,b", "2,\"b", "\"b\"", "2,\"B\"", ""] {
            assert_eq!(numbers(&rows, &format!("Error: x. Row: {other}\n"), 1), NONE, "{other}");
        }
    }

    #[test]
    fn a_text_that_another_row_begins_with_may_have_been_cut() {
        assert_eq!(numbers(&["1,a", "1,ab", "2"], "Error: x. Row: 1,a\nError: x. Row: 2\n", 2), [2]);
        assert_eq!(numbers(&["1,a", "2,ab"], "Error: x. Row: 1,a\n", 1), [0]);
        // Also where the other one is listed, too.
        assert_eq!(numbers(&["1,a", "1,ab"], "Error: x. Row: 1,a\nError: x. Row: 1,ab\n", 2), [1]);
    }

    #[test]
    fn equal_rows_are_named_when_all_of_them_are() {
        let rows = ["1", "2", "1", "3"];
        assert_eq!(numbers(&rows, "Error: x. Row: 1\n", 1), NONE, "one of two");
        assert_eq!(numbers(&rows, "Error: x. Row: 1\nError: y. Row: 1\n", 2), [0, 2]);
        assert_eq!(numbers(&rows, "Error: x. Row: 2\nError: y. Row: 2\n", 2), NONE, "a row that is not there twice");
    }

    #[test]
    fn words_that_a_value_may_hold_lead_to_no_wrong_row() {
        // Two ways to read it, one of which leads to a row.
        assert_eq!(
            found(&["7", "8"], "Error: Value '. Row: 9' is bad. Row: 8\n", 1),
            [(1, "Value '. Row: 9' is bad".into())]
        );
        // Both lead to one.
        assert_eq!(numbers(&["8", "y. Row: 8"], "Error: x. Row: y. Row: 8\n", 1), NONE);
        // A row that looks like a line of the log.
        assert_eq!(numbers(&["\"a\nError: x. Row: 2\"", "2"], "Error: x. Row: 2\n", 1), NONE);
    }

    #[test]
    fn a_server_that_contradicts_itself_names_nobody() {
        assert_eq!(numbers(&["1", "2"], "Error: x. Row: 1\nError: x. Row: 2\n", 1), NONE);
        assert_eq!(numbers(&["1", "2"], "Error: x. Row: 1\nError: x. Row: 2\n", 0), [0, 1]);
    }

    proptest! {
        /// Whatever is listed, cut and repeated: only rows that were refused are named.
        #[test]
        fn only_refused_rows_are_named(
            rows in proptest::collection::vec("[ab]{1,3}", 1..30),
            bad in proptest::collection::btree_set("[ab]{1,3}", 0..4),
            listed in 0_usize..40,
            cut_at in 1_usize..5,
        ) {
            // A server judges by the text.
            let is_bad = |text: &String| bad.contains(text);
            let refused: Vec<&String> = rows.iter().filter(|row| is_bad(row)).collect();
            let mut log = String::new();
            for row in refused.iter().take(listed) {
                log = log + "Error: bad. Row: " + &row[..row.len().min(cut_at)] + "\n";
            }
            let chunk = chunk_of(WireFormat::Json, Codec::Lz4, &rows, 64);
            let lines = error_log::lines(log.as_bytes());
            for (row, _) in named(&Rows::of(&chunk).unwrap(), &(0..chunk.rows), &lines, refused.len() as u64) {
                let text = &rows[usize::try_from(row).unwrap()];
                prop_assert!(is_bad(text), "{row} of {rows:?} by {log:?}");
            }
        }
    }
}

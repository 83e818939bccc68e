//! The server's list of the rows that it filtered out of a load: where it is come by, and what stands in it (SR §3.3).
//!
//! One line per row, `Error: <reason>. Row: <row>`, of about fifty rows; a row may hold line ends. What a reply points at
//! is fetched without credentials, from nodes of the cluster alone, and from no other path than that of such lists: a
//! reply must not be able to send this program about. Where the list cannot be had that way, SQL is asked. Without a list a
//! load is no less refused, so that nothing here is an error.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::starrocks::StarRocks;
use crate::model::Label;

/// How much of a list is read, and for how long.
const LOG_BYTES_MAX: usize = 1 << 20;
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// The one path under which nodes keep such lists.
const LOG_PATH: &str = "/api/_load_error_log?";

/// After so many failures in a row a way is not tried again: a load of which many rows are refused is sent in many parts,
/// and each of them would wait.
const FAILURES_MAX: u32 = 3;

/// What stands in front of a reason, and between reason and row.
const HEAD: &[u8] = b"Error: ";
const MIDDLE: &[u8] = b". Row: ";

/// A line of the list: a row that the server filtered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// All of it, but for `Error: `.
    text: Vec<u8>,
}

impl Filtered {
    /// Every way to tell reason and row apart: a reason quotes values, and a value may hold the words between the two.
    pub fn readings(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let middles = memchr::memmem::find_iter(&self.text, MIDDLE);
        middles.map(|at| (&self.text[..at], &self.text[at + MIDDLE.len()..]))
    }

    /// A list of one line, for tests of those who read them.
    #[cfg(test)]
    #[must_use]
    pub fn new(reason: &str, row: &str) -> Self {
        Self { text: format!("{reason}. Row: {row}").into_bytes() }
    }
}

/// Reads a list. A text that is none, such as a proxy's page or the sentence that a list is gone, has no lines.
#[must_use]
pub fn lines(log: &[u8]) -> Vec<Filtered> {
    let log = log.strip_suffix(b"\n").unwrap_or(log);
    let mut starts = Vec::new();
    if log.starts_with(HEAD) {
        starts.push(0);
    }
    // A line of a row can look like the next line of the list. Whoever looks for the row then finds none, or none alone.
    starts.extend(memchr::memmem::find_iter(log, b"\nError: ").map(|at| at + 1));
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([log.len()]);
    let texts = starts.iter().zip(ends).map(|(start, end)| &log[start + HEAD.len()..end]);
    let lines = texts.filter(|text| memchr::memmem::find(text, MIDDLE).is_some());
    lines.map(|text| Filtered { text: text.to_vec() }).collect()
}

/// Which of the ways have failed of late.
#[derive(Debug, Default)]
pub(super) struct Ways {
    url: AtomicU32,
    sql: AtomicU32,
}

/// Whether a way is worth trying, and how it went.
async fn by(failures: &AtomicU32, way: impl Future<Output = Result<Vec<u8>, String>>) -> Option<Vec<u8>> {
    if failures.load(Ordering::Relaxed) >= FAILURES_MAX {
        return None;
    }
    match way.await {
        Ok(log) => {
            failures.store(0, Ordering::Relaxed);
            Some(log)
        }
        Err(why) => {
            failures.fetch_add(1, Ordering::Relaxed);
            tracing::debug!("the list of refused rows is not to be had: {why}");
            None
        }
    }
}

impl StarRocks {
    /// The list of the rows that were filtered out of the load of this label; empty where nobody gives it.
    pub(super) async fn error_log(&self, label: &Label, url: Option<&str>) -> Vec<u8> {
        if let Some(url) = url
            && let Some(log) = by(&self.ways.url, self.log_by_url(url)).await
        {
            return log;
        }
        by(&self.ways.sql, self.log_by_sql(label)).await.unwrap_or_default()
    }

    async fn log_by_url(&self, url: &str) -> Result<Vec<u8>, String> {
        let fetching = self.route.fetch(url, LOG_PATH, LOG_BYTES_MAX, LOG_WITHIN);
        // To know the node may take a question of its own.
        let log = tokio::time::timeout(LOG_WITHIN, fetching).await.map_err(|_| "no answer in time".to_owned())??;
        // The list of another load, or none any more, is answered with a sentence and 200.
        if lines(&log).is_empty() { Err("what is there is no such list".to_owned()) } else { Ok(log) }
    }

    async fn log_by_sql(&self, label: &Label) -> Result<Vec<u8>, String> {
        // A label has no character that would have to be escaped.
        let query = format!("SELECT tracking_log FROM information_schema.load_tracking_logs WHERE label = '{label}'");
        let asking = self.sql_within(&query, None, LOG_BYTES_MAX);
        let result = tokio::time::timeout(LOG_WITHIN, asking).await.map_err(|_| "no answer in time".to_owned())?;
        let result = result.map_err(|error| error.to_string())?;
        // Several: the label was tried before, or stands in another database, too. None of them is known to be ours.
        let [row] = result.rows.as_slice() else { return Err(format!("{} lists have this label", result.rows.len())) };
        match row.first() {
            Some(Value::String(log)) if !lines(log.as_bytes()).is_empty() => Ok(log.clone().into_bytes()),
            _ => Err("it is empty".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(log: &str) -> Vec<Vec<(String, String)>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let pair = |(reason, row): (&[u8], &[u8])| (text(reason), text(row));
        lines(log.as_bytes()).iter().map(|line| line.readings().map(pair).collect()).collect()
    }

    fn one(reason: &str, row: &str) -> Vec<(String, String)> {
        vec![(reason.to_owned(), row.to_owned())]
    }

    #[test]
    fn each_line_names_a_reason_and_a_row() {
        let log = "Error: Value 'x' is out of range. The type of 'n' is INT. Row: 1,\"x\"\nError: b. Row: 2,\n";
        assert_eq!(read(log), [one("Value 'x' is out of range. The type of 'n' is INT", "1,\"x\""), one("b", "2,")]);
    }

    #[test]
    fn a_row_of_several_lines_is_one_row_and_its_last_line_end_is_its_own() {
        assert_eq!(read("Error: a. Row: 1,\"x\ny\n\"\nError: b. Row: 2\n"), [one("a", "1,\"x\ny\n\""), one("b", "2")]);
        assert_eq!(read("Error: a. Row: x\n\n"), [one("a", "x\n")]);
    }

    #[test]
    fn a_reason_that_quotes_the_words_in_between_can_be_read_in_two_ways() {
        let readings =
            [("Value '".to_owned(), "' is bad. Row: 7".to_owned()), ("Value '. Row: ' is bad".into(), "7".into())];
        assert_eq!(read("Error: Value '. Row: ' is bad. Row: 7\n"), [readings]);
    }

    #[test]
    fn what_is_no_list_has_no_lines() {
        for text in
            ["", "\n", "Error log file not exist: error_log_1", "<html>Error: x</html>", "Error: without a row\n"]
        {
            assert!(read(text).is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(log in proptest::collection::vec(any::<u8>(), 0..300)) {
            for line in lines(&log) {
                prop_assert!(line.readings().count() > 0);
            }
        }
    }
}

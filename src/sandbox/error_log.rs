//! The files behind `ErrorURL`: a sample of the rows that a load filtered out, and why.

use crate::clock::{Clock as _, SystemClock};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How many rows a load shows.
const ROWS_MAX: usize = 50;
/// How much of a row is shown; a sample is for people to look at.
const ROW_BYTES_MAX: usize = 4096;
const KEPT_FOR: Duration = Duration::from_hours(48);

/// The rows that one load filtered out, as many as are shown.
#[derive(Debug, Default)]
pub(super) struct Sample {
    lines: Vec<String>,
}

impl Sample {
    /// Adds a row, if there is room for it.
    pub(super) fn add(&mut self, reason: &str, row: &str) {
        if self.lines.len() < ROWS_MAX {
            let mut end = row.len().min(ROW_BYTES_MAX);
            while !row.is_char_boundary(end) {
                end -= 1;
            }
            self.lines.push(format!("Error: {reason}. Row: {}\n", &row[..end]));
        }
    }
}

/// The directory with the files.
#[derive(Clone, Debug)]
pub(super) struct ErrorLog {
    dir: PathBuf,
}

impl ErrorLog {
    /// Opens the directory and clears away what is too old.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join("error_log");
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let modified = entry.metadata()?.modified()?;
            let stale = SystemClock.now().duration_since(modified).is_ok_and(|age| age > KEPT_FOR);
            // Failing to remove an old sample harms nobody.
            let _ = stale.then(|| fs::remove_file(entry.path()));
        }
        Ok(Self { dir })
    }

    /// The files of a sandbox in this folder, to read them.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.join("error_log") }
    }

    /// Writes a load's sample; the name of the file, and none when there is nothing to show.
    pub(super) fn write(&self, id: i64, sample: &Sample) -> io::Result<Option<String>> {
        if sample.lines.is_empty() {
            return Ok(None);
        }
        let since = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("error_log_{:x}_{id:x}", since.as_nanos());
        fs::write(self.dir.join(&name), sample.lines.concat())?;
        Ok(Some(name))
    }

    /// The text of a file. Like the server's, the answer for a file that is not there is a sentence.
    pub(super) fn read(&self, name: &str) -> String {
        let harmless = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match harmless.then(|| fs::read_to_string(self.dir.join(name))) {
            Some(Ok(text)) => text,
            _ => format!("Error log file not exist: {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_rows_are_shown_and_no_more() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let log = ErrorLog::open(dir.path()).expect("it opens");
        let mut sample = Sample::default();
        for row in 0..60 {
            sample.add("too wide", &row.to_string());
        }
        let name = log.write(7, &sample).expect("it writes").expect("there is something to show");
        let text = log.read(&name);
        assert_eq!(text.lines().count(), 50);
        assert_eq!(text.lines().next(), Some("Error: too wide. Row: 0"));
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        fs::write(dir.path().join("secret"), "s3cret").expect("it writes");
        let log = ErrorLog::open(dir.path()).expect("it opens");
        for name in ["../secret", "", "/etc/passwd", "nothing"] {
            assert_eq!(log.read(name), format!("Error log file not exist: {name}"));
        }
        assert_eq!(log.write(1, &Sample::default()).expect("it writes"), None);
    }
}

//! The files behind `ErrorURL`: a sample of the rows that a load filtered out, and why.

use crate::clock::{Clock as _, SystemClock};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How many rows a load shows.
const ROWS_MAX: usize = 50;
/// How much of a row is shown; a sample is for people to look at.
const ROW_BYTES_MAX: usize = 4096;
/// How long to wait between two looks for files that are too old.
const SWEEP_PAUSE: Duration = Duration::from_mins(1);

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
#[derive(Debug)]
pub(super) struct ErrorLog {
    dir: PathBuf,
    /// When files that are too old were last looked for.
    swept: Mutex<Option<Instant>>,
}

impl ErrorLog {
    /// Opens the directory.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let log = Self::of(dir);
        fs::create_dir_all(&log.dir)?;
        Ok(log)
    }

    /// The files of a sandbox in this folder, to read them.
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.join("error_log"), swept: Mutex::default() }
    }

    /// Clears away what is older than this, at the first call and then at most once a minute.
    pub(super) fn sweep(&self, kept_for: Duration) {
        let now = SystemClock.instant();
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_some_and(|last| now.duration_since(last) < SWEEP_PAUSE) {
                return;
            }
            *swept = Some(now);
        }
        if let Err(error) = self.clear(kept_for) {
            tracing::warn!(%error, dir = %self.dir.display(), "old error logs could not be looked for");
        }
    }

    fn clear(&self, kept_for: Duration) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            // One that is gone already, or cannot be removed, harms nobody.
            let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            let stale = SystemClock.now().duration_since(modified).is_ok_and(|age| age > kept_for);
            let _ = stale.then(|| fs::remove_file(entry.path()));
        }
        Ok(())
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
    fn what_is_too_old_is_cleared_away_once_in_a_while() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let log = ErrorLog::open(dir.path()).expect("it opens");
        let write = |name: &str, hours: u64| {
            let file = fs::File::create(log.dir.join(name)).expect("it is created");
            file.set_modified(SystemClock.now() - Duration::from_hours(hours)).expect("its time can be set");
        };
        let left = || fs::read_dir(&log.dir).expect("it is a directory").count();
        write("old", 49);
        write("young", 47);
        log.sweep(Duration::from_hours(48));
        assert_eq!((left(), log.read("old")), (1, "Error log file not exist: old".to_owned()));
        log.sweep(Duration::ZERO);
        assert_eq!(left(), 1, "it was just swept");
        log.clear(Duration::ZERO).expect("it can be read");
        assert_eq!(left(), 0);
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

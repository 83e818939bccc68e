//! [`Lease`]: the right to drive a job, held by one process at a time.
//!
//! It is a lock on a file beside the journal, which the system takes back when its holder dies: after `kill -9` nobody has
//! to clean up. Labels keep rows from doubling without it; what it adds is that a second process does not write into the
//! first one's rejects, and can say who is at it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::model::JobId;

/// The right to drive a job, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping the lease lets the next process drive the job"]
pub struct Lease {
    path: PathBuf,
    /// None where nothing is in files.
    file: Option<File>,
    #[cfg(test)]
    _held: Option<super::memory::Held>,
}

/// Who drives a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when: RFC 3339, UTC.
    pub since: String,
}

impl Lease {
    /// Takes the lease of a job; none where another process has it.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub(super) fn take(folder: &Path, job: &JobId, now: String) -> Result<Option<Self>, Error> {
        let path = path(folder, job);
        #[cfg(test)]
        if super::memory::is_held(folder, job).is_some() {
            let held = super::memory::lease(folder, job);
            return Ok(held.map(|held| Self { path, file: None, _held: Some(held) }));
        }
        let failed = |source| Error::Folder { path: path.clone(), source };
        loop {
            let mut file = open(OpenOptions::new().create(true), &path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Its last holder may have removed it between the opening and the locking; then it locks nobody out.
            if !is_at(&file, &path) {
                continue;
            }
            let holder = Holder { pid: std::process::id(), since: now };
            let text = serde_json::to_string(&holder).expect("a number and a text");
            file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(failed)?;
            return Ok(Some(Self {
                path,
                file: Some(file),
                #[cfg(test)]
                _held: None,
            }));
        }
    }

    /// Who has the lease of a job; none where nobody has.
    ///
    /// # Errors
    /// When the file is there and cannot be looked at.
    pub(super) fn holder(folder: &Path, job: &JobId) -> Result<Option<Holder>, Error> {
        #[cfg(test)]
        if let Some(held) = super::memory::is_held(folder, job) {
            return Ok(held.then(|| Holder { pid: 0, since: String::new() }));
        }
        let path = path(folder, job);
        let failed = |source| Error::Folder { path: path.clone(), source };
        let mut file = match open(&mut OpenOptions::new(), &path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        // Between locking and writing the file is empty for a moment.
        let unknown = Holder { pid: 0, since: String::new() };
        Ok(Some(serde_json::from_str(&text).unwrap_or(unknown)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while it is locked: whoever opens the path after this makes a new file. One that is left is harmless.
        if self.file.as_ref().is_some_and(|file| is_at(file, &self.path)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.read(true).write(true).open(path)
}

fn path(folder: &Path, job: &JobId) -> PathBuf {
    folder.join(format!("{job}.lock"))
}

/// Whether a path still leads to an open file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobId {
        "nightly".parse().unwrap()
    }

    fn take(folder: &Path) -> Option<Lease> {
        Lease::take(folder, &job(), "2026-03-01T12:00:00Z".into()).unwrap()
    }

    #[test]
    fn one_at_a_time_has_it_and_the_others_learn_who() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Lease::holder(folder.path(), &job()).unwrap(), None);
        let lease = take(folder.path()).unwrap();
        assert!(take(folder.path()).is_none());
        let holder = Lease::holder(folder.path(), &job()).unwrap().unwrap();
        assert_eq!((holder.pid, holder.since.as_str()), (std::process::id(), "2026-03-01T12:00:00Z"));
        drop(lease);
        assert_eq!(Lease::holder(folder.path(), &job()).unwrap(), None);
        assert!(take(folder.path()).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn of_many_that_want_it_at_once_one_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (held, most) = (std::sync::Mutex::new(0_u32), std::sync::Mutex::new(0_u32));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Some(lease) = take(folder.path()) else { continue };
                        let now = {
                            let mut held = held.lock().unwrap();
                            *held += 1;
                            *held
                        };
                        let mut most = most.lock().unwrap();
                        *most = now.max(*most);
                        *held.lock().unwrap() -= 1;
                        drop(lease);
                    }
                });
            }
        });
        assert_eq!(*most.lock().unwrap(), 1, "LEASE-1");
    }

    #[test]
    fn a_file_left_by_the_dead_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path(folder.path(), &job()), r#"{"pid":1,"since":"x"}"#).unwrap();
        assert_eq!(Lease::holder(folder.path(), &job()).unwrap(), None);
        assert!(take(folder.path()).is_some());
    }
}

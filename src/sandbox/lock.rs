//! Who holds a sandbox directory: a locked file, and beside it the addresses of the process that locked it.
//!
//! The lock belongs to the open file, so it ends with the process however that ends. The addresses are only written
//! when all listeners are open, and mean nothing without the lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Addresses, Error};

const LOCK: &str = "sandbox.lock";
const ADDRESSES: &str = "sandbox.addresses.json";
/// Between two looks at a file that another process is about to change.
const PAUSE: Duration = Duration::from_millis(20);
/// How many looks to take until a process that holds the lock should have its addresses written: 5 s.
const LOOKS_MAX: usize = 250;
/// How many tries to take for the lock, which [`running`] holds for a moment: 200 ms.
const TRIES_MAX: usize = 10;

/// A locked directory.
#[derive(Debug)]
pub(super) struct Lock {
    addresses: PathBuf,
    /// Whether whoever held it before went without giving it back.
    pub(super) abandoned: bool,
    /// Held open: closing it gives the lock back.
    _file: File,
}

impl Lock {
    /// Locks a directory.
    pub(super) fn take(dir: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Directory { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(LOCK)).map_err(failed)?;
        for _ in 0..TRIES_MAX {
            match file.try_lock() {
                Ok(()) => {
                    let addresses = dir.join(ADDRESSES);
                    // What a process that was killed has left.
                    let abandoned = remove(&addresses).map_err(failed)?;
                    return Ok(Self { addresses, abandoned, _file: file });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        Err(Error::InUse { dir: dir.to_owned() })
    }

    /// Tells other processes where the sandbox is to be found.
    pub(super) fn announce(&self, addresses: &Addresses) -> Result<(), Error> {
        let failed = |source| Error::Directory { path: self.addresses.clone(), source };
        let text = serde_json::to_vec(addresses).expect("addresses are plain data");
        // Renamed into place, so that nobody reads half of it.
        let draft = self.addresses.with_extension("new");
        fs::write(&draft, text).map_err(failed)?;
        fs::rename(&draft, &self.addresses).map_err(failed)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Without the lock the file means nothing; removing it is tidiness.
        let _ = remove(&self.addresses);
    }
}

/// The addresses of the sandbox that runs on a directory, if one does.
pub(super) fn running(dir: &Path) -> Result<Option<Addresses>, Error> {
    let failed = |source| Error::Directory { path: dir.to_owned(), source };
    let file = match File::open(dir.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    for _ in 0..LOOKS_MAX {
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        match fs::read(dir.join(ADDRESSES)) {
            Ok(text) => {
                if let Ok(addresses) = serde_json::from_slice(&text) {
                    return Ok(Some(addresses));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
        thread::sleep(PAUSE);
    }
    Err(Error::NotReady { dir: dir.to_owned() })
}

/// Removes a file; tells whether there was one.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let address = "127.0.0.1:1".parse().expect("an address");
        Addresses {
            frontend: address,
            backend: address,
            mysql: address,
            followers: Vec::new(),
            more_backends: Vec::new(),
        }
    }

    #[test]
    fn a_directory_is_held_once_and_its_holder_is_found() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        assert_eq!(running(dir.path()).expect("it can be asked"), None);
        let lock = Lock::take(dir.path()).expect("it is free");
        lock.announce(&addresses()).expect("it writes");
        assert!(matches!(Lock::take(dir.path()), Err(Error::InUse { .. })));
        assert_eq!(running(dir.path()).expect("it can be asked"), Some(addresses()));
        drop(lock);
        assert_eq!(running(dir.path()).expect("it can be asked"), None);
    }

    #[test]
    fn what_a_killed_process_left_is_not_believed() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        fs::write(dir.path().join(ADDRESSES), serde_json::to_vec(&addresses()).expect("plain data"))
            .expect("it writes");
        fs::write(dir.path().join(LOCK), "").expect("it writes");
        assert_eq!(running(dir.path()).expect("it can be asked"), None);
        let lock = Lock::take(dir.path()).expect("it is free");
        assert!(lock.abandoned, "nobody gave it back");
        assert!(!lock.addresses.exists(), "old addresses would be taken for the new ones");
    }
}

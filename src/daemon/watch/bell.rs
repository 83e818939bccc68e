//! [`Bell`]: rung by the system when something comes into a folder.
//!
//! Whoever waits for it looks as if its time had come. It may be rung for nothing, and may never be rung: a network file system
//! tells nobody of what other hosts do, and a system has only so many watches. So nothing is learned from it but when to look.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::OwnedFd;
use tokio::net::unix::pipe::Receiver;

/// What is told at once, at most; the rest is read with the next ring.
const BUFFER_BYTES: usize = 4096;

#[derive(Debug)]
pub(super) struct Bell {
    /// What the system writes into, as into a pipe; none where it does not.
    events: Option<Receiver>,
    /// Whether it was said that it cannot listen everywhere.
    told: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> Self {
        let bell = Self { events: None, told: AtomicBool::new(false) };
        match open().and_then(Receiver::from_owned_fd_unchecked) {
            Ok(events) => Self { events: Some(events), ..bell },
            Err(error) => {
                bell.tell(&error);
                bell
            }
        }
    }

    /// Listens in these folders from now on; in those where it does so already, nothing changes.
    pub(super) fn listen(&self, folders: &[PathBuf]) {
        let Some(events) = &self.events else { return };
        for folder in folders {
            match add(events, folder) {
                // A folder that is gone, or not there yet, is listened for from the one above it.
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    self.tell(&error);
                }
                _ => {}
            }
        }
    }

    fn tell(&self, error: &io::Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::info!("the system does not tell of new files ({error}): folders are looked at every interval");
        }
    }

    /// Waits until it rings; where it cannot, for ever.
    pub(super) async fn rung(&self) {
        if let Some(events) = &self.events {
            match read(events).await {
                Ok(()) => return,
                Err(error) => self.tell(&error),
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Waits for events, and reads some.
async fn read(events: &Receiver) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        events.readable().await?;
        match events.try_read(&mut buffer) {
            // There was nothing after all.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read.map(drop),
        }
    }
}

#[cfg(target_os = "linux")]
fn open() -> io::Result<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, init};
    Ok(init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?)
}

/// Rings for a name that is new, and for a file that somebody has written to its end. Not for every write: a file that grows
/// would have the folder looked at all the time.
#[cfg(target_os = "linux")]
fn add(events: &Receiver, folder: &Path) -> io::Result<()> {
    use rustix::fs::inotify::{WatchFlags, add_watch};
    let rung_by = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
    add_watch(events, folder, rung_by | WatchFlags::ONLYDIR)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn open() -> io::Result<OwnedFd> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn add(_: &Receiver, _: &Path) -> io::Result<()> {
    Ok(())
}

/// The folders in which something may come that a pattern means, with those in which such folders may come.
pub(super) fn folders(pattern: &str, max: usize) -> Vec<PathBuf> {
    let wild = |part: &str| part.contains(['*', '?', '[']);
    let mut fixed: PathBuf = Path::new(pattern).iter().take_while(|part| !wild(&part.to_string_lossy())).collect();
    if fixed == Path::new(pattern) {
        // One file, and nothing wild.
        fixed.pop();
    }
    let mut found = vec![fixed.clone()];
    for folder in Path::new(pattern).ancestors().skip(1).take_while(|folder| *folder != fixed) {
        let Ok(paths) = glob::glob(&folder.to_string_lossy()) else { continue };
        found.extend(paths.flatten().filter(|path| path.is_dir()).take(max));
    }
    found.truncate(max);
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_is_listened_for_wherever_one_of_its_files_may_come() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in ["in/a/x", "in/b", "other"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let of = |pattern: &str| {
            let mut found = folders(&at(pattern).display().to_string(), 100);
            found.sort();
            found.dedup();
            found
        };
        assert_eq!(of("in/*.csv"), [at("in")]);
        assert_eq!(of("in/*/*.csv"), [at("in"), at("in/a"), at("in/b")]);
        assert_eq!(of("in/**/*.csv"), [at("in"), at("in/a"), at("in/a/x"), at("in/b")]);
        assert_eq!(of("in/one.csv"), [at("in")]);
    }

    #[tokio::test]
    async fn it_rings_when_a_file_comes_and_not_before() {
        let place = tempfile::tempdir().unwrap();
        let bell = Bell::new();
        bell.listen(&[place.path().to_owned(), place.path().join("missing")]);
        tokio::select! {
            biased;
            () = bell.rung() => panic!("nothing has come"),
            () = tokio::task::yield_now() => {}
        }
        fs::write(place.path().join("a"), "rows").unwrap();
        bell.rung().await;
        fs::rename(place.path().join("a"), place.path().join("b")).unwrap();
        bell.rung().await;
    }
}

//! What makes a file this file: facts that the identity of a job is made of.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::{Error, Input};

/// How much is read at each of the three places of a sample. Time and size tell nearly everything; the sample is there
/// for the copy that keeps both. Reading whole files would double the work of every import.
const SAMPLE_BYTES: u64 = 64 << 10;

/// The facts that tell one file from another, and a file from what it was yesterday.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The absolute path.
    pub path: PathBuf,
    /// The size in bytes.
    pub bytes: u64,
    /// The time of the last change, in nanoseconds since 1970; 0 where the file system has no times.
    pub modified_nanoseconds: i128,
    /// See [`sample`].
    pub sample: [u8; 32],
}

impl Input {
    /// Returns what identifies the input; none for streams, whose bytes come only once.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        let Some(bytes) = self.bytes else { return Ok(None) };
        let path = std::path::absolute(&self.path).map_err(|source| unreadable(&self.path, source))?;
        let modified_nanoseconds = self.modified.map_or(0, nanoseconds);
        Ok(Some(Identity { path, bytes, modified_nanoseconds, sample: sample(self)? }))
    }
}

/// The SHA-256 of a file's size and of its first, middle and last 64 KiB.
///
/// # Errors
/// When the file cannot be read, or is a stream.
pub fn sample(input: &Input) -> Result<[u8; 32], Error> {
    #[cfg(test)]
    if let Some(sample) = super::memory::sample(input) {
        return Ok(sample);
    }
    let digest = |mut file: File| -> io::Result<[u8; 32]> {
        let bytes = file.metadata()?.len();
        let mut digest = Sha256::new();
        digest.update(bytes.to_le_bytes());
        for start in starts(bytes) {
            file.seek(SeekFrom::Start(start))?;
            let mut piece = Vec::new();
            (&mut file).take(SAMPLE_BYTES).read_to_end(&mut piece)?;
            digest.update(&piece);
        }
        Ok(digest.finalize().into())
    };
    if input.is_stream() {
        return Err(unreadable(&input.path, io::Error::new(io::ErrorKind::NotSeekable, "it is no file")));
    }
    File::open(&input.path).and_then(digest).map_err(|source| unreadable(&input.path, source))
}

/// How much is read at a time for a digest.
const DIGEST_BYTES: usize = 1 << 20;

/// The SHA-256 of a whole file.
///
/// # Errors
/// When the file cannot be read, or is a stream.
pub fn digest(input: &Input) -> Result<[u8; 32], Error> {
    if input.is_stream() {
        return Err(unreadable(&input.path, io::Error::new(io::ErrorKind::NotSeekable, "it is no file")));
    }
    digest_of(&input.path).map_err(|source| unreadable(&input.path, source))
}

/// The SHA-256 of the file of this name.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; DIGEST_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(&piece[..read]),
        }
    }
}

/// Where the pieces of a sample start.
fn starts(bytes: u64) -> [u64; 3] {
    let last = bytes.saturating_sub(SAMPLE_BYTES);
    [0, last / 2, last]
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |nanoseconds: u128| i128::try_from(nanoseconds).expect("a time is within some billion years");
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since.as_nanos()),
        Err(before) => -signed(before.duration().as_nanos()),
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::list;

    fn sample_of(content: &[u8]) -> [u8; 32] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, content).unwrap();
        sample(&list(&[path.to_str().unwrap().to_owned()]).unwrap()[0]).unwrap()
    }

    #[test]
    fn a_change_at_the_start_the_middle_or_the_end_is_noticed() {
        let content = vec![b'a'; 1 << 20];
        let before = sample_of(&content);
        assert_eq!(before, sample_of(&content));
        for place in [0, content.len() / 2, content.len() - 1] {
            let mut changed = content.clone();
            changed[place] = b'b';
            assert_ne!(before, sample_of(&changed), "{place}");
        }
        assert_ne!(sample_of(&content[1..]), before);
        assert_ne!(sample_of(b""), sample_of(b"a"));
    }

    #[test]
    fn a_digest_is_that_of_every_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut content = vec![b'a'; 2 * DIGEST_BYTES + 1];
        fs::write(&path, &content).unwrap();
        let input = list(&[path.to_str().unwrap().to_owned()]).unwrap().remove(0);
        assert_eq!(digest(&input).unwrap()[..], Sha256::digest(&content)[..]);
        // A place that no sample looks at.
        content[DIGEST_BYTES / 2] = b'b';
        fs::write(&path, &content).unwrap();
        assert_eq!(digest(&input).unwrap()[..], Sha256::digest(&content)[..]);
        assert!(digest(&Input { path: "-".into(), bytes: None, modified: None }).is_err());
    }

    #[test]
    fn an_identity_is_absolute_and_streams_have_none() {
        let stream = Input { path: "-".into(), bytes: None, modified: None };
        assert_eq!(stream.identity().unwrap(), None);
        assert!(sample(&stream).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "abc").unwrap();
        let input = &list(&[path.to_str().unwrap().to_owned()]).unwrap()[0];
        let identity = input.identity().unwrap().unwrap();
        assert!(identity.path.is_absolute() && identity.bytes == 3 && identity.modified_nanoseconds > 0);
    }
}

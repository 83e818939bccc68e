//! Bytes of an input as it is stored: read in order or at any place, and counted.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::clock::{Clock as _, SystemClock};

/// What reading an input has come to so far; clones count together. Whoever reads the input adds, and progress looks on.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Readings>);

#[derive(Debug, Default)]
struct Readings {
    bytes: AtomicU64,
    source_nanos: AtomicU64,
    decompressing_nanos: AtomicU64,
    waiting_nanos: AtomicU64,
    decompressors: AtomicU64,
}

impl Meter {
    /// Stored bytes read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// How long the source was waited for: the disk, or whoever writes a stream.
    #[must_use]
    pub fn source(&self) -> Duration {
        Duration::from_nanos(self.0.source_nanos.load(Ordering::Relaxed))
    }

    /// How long decompressing took, on all threads.
    #[must_use]
    pub fn decompressing(&self) -> Duration {
        Duration::from_nanos(self.0.decompressing_nanos.load(Ordering::Relaxed))
    }

    /// How long the reader waited for decompressed bytes.
    #[must_use]
    pub fn waiting(&self) -> Duration {
        Duration::from_nanos(self.0.waiting_nanos.load(Ordering::Relaxed))
    }

    /// The most threads that decompressed.
    #[must_use]
    pub fn decompressors(&self) -> u64 {
        self.0.decompressors.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Raises the count of bytes, if it is lower.
    fn set_at_least(&self, bytes: u64) {
        self.0.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    fn while_reading<T>(&self, read: impl FnOnce() -> T) -> T {
        timed(&self.0.source_nanos, read)
    }

    /// Does some decompressing. What the source took meanwhile, if this thread reads it, counts as the source's.
    pub(super) fn while_decompressing<T>(&self, reads: bool, decompress: impl FnOnce() -> T) -> T {
        let before = self.source();
        let result = timed(&self.0.decompressing_nanos, decompress);
        if reads {
            let source = u64::try_from(self.source().saturating_sub(before).as_nanos()).unwrap_or(u64::MAX);
            self.0.decompressing_nanos.fetch_sub(source, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        timed(&self.0.waiting_nanos, wait)
    }

    pub(super) fn employ_decompressors(&self, threads: usize) {
        self.0.decompressors.fetch_max(threads as u64, Ordering::Relaxed);
    }
}

fn timed<T>(nanos: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = SystemClock.instant();
    let result = work();
    let taken = u64::try_from((SystemClock.instant() - start).as_nanos()).unwrap_or(u64::MAX);
    nanos.fetch_add(taken, Ordering::Relaxed);
    result
}

/// A stream that counts what is read of it.
pub(super) struct CountedStream {
    pub(super) stream: Box<dyn Read + Send>,
    pub(super) meter: Meter,
}

impl Read for CountedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.meter.while_reading(|| self.stream.read(buffer))?;
        self.meter.add(count);
        Ok(count)
    }
}

/// A file with a place of its own: clones read the same file without moving each other.
#[derive(Clone)]
pub(super) struct CountedFile {
    file: Arc<File>,
    bytes: u64,
    /// When it was last written to; not every file system knows.
    modified: Option<SystemTime>,
    at: u64,
    meter: Meter,
}

impl CountedFile {
    /// Stands at the start of `file`.
    pub(super) fn new(file: File, meter: Meter) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (bytes, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Self { file: Arc::new(file), bytes, modified, at: 0, meter })
    }

    /// The same file at the start, read without being counted.
    pub(super) fn uncounted(&self) -> Self {
        Self { at: 0, meter: Meter::default(), ..self.clone() }
    }

    /// How many bytes the file had when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.bytes
    }

    /// Counts what nobody wanted as read, at the end of reading.
    ///
    /// # Errors
    /// When the file is no longer what it was.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.meter.set_at_least(self.bytes);
        self.check_unchanged()
    }

    /// Fails if the file was written to since it was opened. What was read may then be half old and half new, and its last
    /// record the first half of one.
    fn check_unchanged(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let changed = |what: String| Err(io::Error::other(Changed(what)));
        if metadata.len() != self.bytes {
            return changed(format!("it had {} bytes and now has {}", self.bytes, metadata.len()));
        }
        if metadata.modified().ok() != self.modified {
            return changed("it was written to".into());
        }
        Ok(())
    }

    /// The file's last bytes, `count` of them if it has as many.
    pub(super) fn end(&self, count: u64) -> io::Result<Vec<u8>> {
        let mut file = self.uncounted();
        file.at = self.bytes.saturating_sub(count);
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    }

    #[cfg(unix)]
    fn read_here(&self, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)
    }

    // Elsewhere the handle has one place for all of its clones. They are used by one thread, which sets it each time.
    #[cfg(not(unix))]
    fn read_here(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        file.read(buffer)
    }
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let count = self.meter.while_reading(|| self.read_here(&mut buffer[..room]))?;
        if count == 0 && !buffer.is_empty() {
            self.check_unchanged()?;
        }
        self.at += count as u64;
        self.meter.add(count);
        Ok(count)
    }
}

/// The file is not what it was when it was opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Changed(String);

impl Seek for CountedFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        let target = match place {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for CountedFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for CountedFile {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Pages are fetched by `get_bytes`; what is read here are their heads, and far more bytes than those have.
        Ok(BufReader::new(Self { at: start, ..self.uncounted() }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // Damaged files ask for absurd lengths; memory is taken only for what is there.
        if start.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of {}", self.bytes)));
        }
        let mut bytes = vec![0; length];
        Self { at: start, ..self.clone() }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;
    use crate::failure::{Code, Failure};
    use crate::reader::Error;

    /// Reads half of a file, does something to it, and reads the rest.
    fn read_while(change: impl FnOnce(&mut File)) -> Result<Vec<u8>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id,name\n1,a\n2,b\n").unwrap();
        let mut file = CountedFile::new(File::open(&path).unwrap(), Meter::default()).unwrap();
        let mut bytes = vec![0; 8];
        file.read_exact(&mut bytes).unwrap();
        change(&mut File::options().append(true).open(&path).unwrap());
        file.read_to_end(&mut bytes).map_err(|error| Error::read(Path::new("a.csv"), error))?;
        Ok(bytes)
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error_at_its_end() {
        assert_eq!(read_while(|_| ()).unwrap().len(), 16);
        for (change, words) in [
            (
                Box::new(|file: &mut File| file.write_all(b"3,c\n").unwrap()) as Box<dyn FnOnce(&mut File)>,
                "had 16 bytes and now has 20",
            ),
            (Box::new(|file: &mut File| file.set_len(10).unwrap()), "had 16 bytes and now has 10"),
            (Box::new(|file: &mut File| file.set_modified(SystemTime::UNIX_EPOCH).unwrap()), "was written to"),
        ] {
            let error = read_while(change).unwrap_err();
            assert_eq!(error.code(), Code::InputUnreadable);
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.hint().is_some());
        }
    }
}

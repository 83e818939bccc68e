//! Bytes of an input as it is stored: read in order or at any place, and counted.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Counts bytes; its clones count together. Whoever reads the input adds, and progress looks on.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Raises the count, if it is lower.
    pub(super) fn set_at_least(&self, bytes: u64) {
        self.0.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(super) fn shared(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0)
    }
}

/// A stream that counts what is read of it.
pub(super) struct CountedStream {
    pub(super) stream: Box<dyn Read + Send>,
    pub(super) counter: Counter,
}

impl Read for CountedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.counter.add(count);
        Ok(count)
    }
}

/// A file with a place of its own: clones read the same file without moving each other.
#[derive(Clone)]
pub(super) struct CountedFile {
    file: Arc<File>,
    bytes: u64,
    at: u64,
    counter: Counter,
}

impl CountedFile {
    /// Stands at the start of `file`.
    pub(super) fn new(file: File, counter: Counter) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), bytes, at: 0, counter })
    }

    /// The same file at the start, read without being counted.
    pub(super) fn uncounted(&self) -> Self {
        Self { at: 0, counter: Counter::default(), ..self.clone() }
    }

    /// How many bytes the file had when it was opened.
    pub(super) fn size(&self) -> u64 {
        self.bytes
    }

    /// The counter that its reads go to.
    pub(super) fn counter(&self) -> &Counter {
        &self.counter
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
        let count = self.read_here(buffer)?;
        self.at += count as u64;
        self.counter.add(count);
        Ok(count)
    }
}

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

//! Arrow IPC: files, which can be read at any block, and streams, which come once.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::record_batch::RecordBatch;

use super::Error;
use super::columnar::{Blocks, damaged};
use super::stored::CountedFile;

/// How a file ends.
const MAGIC: &[u8] = b"ARROW1";

/// The blocks of a file.
pub(super) struct ArrowFile {
    path: PathBuf,
    file: CountedFile,
    projected: FileReader<BufReader<CountedFile>>,
    /// Opened for the first reject.
    whole: Option<FileReader<BufReader<CountedFile>>>,
    blocks_read: usize,
}

impl ArrowFile {
    /// The schema of a file.
    pub(super) fn schema(path: &Path, file: &CountedFile) -> Result<SchemaRef, Error> {
        check_end(path, file)?;
        let reader = FileReader::try_new(BufReader::new(file.uncounted()), None);
        reader.map(|reader| reader.schema()).map_err(|error| broken(path, error))
    }

    /// Opens a file for some of its columns.
    pub(super) fn open(path: &Path, file: CountedFile, indices: &[usize]) -> Result<Self, Error> {
        check_end(path, &file)?;
        let projected = FileReader::try_new(BufReader::new(file.clone()), Some(indices.to_vec()));
        let projected = projected.map_err(|error| broken(path, error))?;
        Ok(Self { path: path.to_owned(), file, projected, whole: None, blocks_read: 0 })
    }

    fn read_again(&mut self, at: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let reader = match &mut self.whole {
            Some(reader) => reader,
            none => none.insert(FileReader::try_new(BufReader::new(self.file.uncounted()), None)?),
        };
        reader.set_index(at)?;
        reader.next().transpose()
    }
}

impl Blocks for ArrowFile {
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let block = self.projected.next().transpose().map_err(|error| broken(&self.path, error))?;
        match block {
            Some(_) => self.blocks_read += 1,
            None => self.file.finish().map_err(|error| Error::read(&self.path, error))?,
        }
        Ok(block)
    }

    fn whole(&mut self) -> Result<RecordBatch, Error> {
        let at = self.blocks_read.checked_sub(1).expect("a row is rejected after its block was read");
        let block = self.read_again(at).map_err(|error| broken(&self.path, error))?;
        block.ok_or_else(|| truncated(&self.path, "an Arrow file", None))
    }
}

/// Fails unless the file ends as its writer ends it: the footer is the last thing written.
fn check_end(path: &Path, file: &CountedFile) -> Result<(), Error> {
    let end = file.end(MAGIC.len() as u64).map_err(|error| Error::read(path, error))?;
    if end == MAGIC {
        return Ok(());
    }
    Err(truncated(path, "an Arrow file: its footer (with ARROW1 at the very end) is missing", None))
}

fn truncated(path: &Path, what: &str, source: Option<ArrowError>) -> Error {
    Error::Truncated { path: path.to_owned(), at: None, what: what.into(), source: source.map(Into::into) }
}

/// The blocks of a stream. Every column is decoded: a stream cannot be asked a second time for the row of a reject.
pub(super) struct ArrowStream {
    path: PathBuf,
    reader: StreamReader<BufReader<Watched>>,
    /// Whether a read has met the end of the bytes.
    ended: Arc<AtomicBool>,
    indices: Vec<usize>,
    last: Option<RecordBatch>,
}

impl ArrowStream {
    /// Starts to read a stream.
    pub(super) fn open(path: &Path, stream: Box<dyn Read + Send>) -> Result<Self, Error> {
        let ended = Arc::new(AtomicBool::new(false));
        let watched = Watched { stream, ended: Arc::clone(&ended) };
        let reader = StreamReader::try_new(BufReader::new(watched), None);
        let reader = reader.map_err(|error| cut_or_broken(path, error, &ended))?;
        Ok(Self { path: path.to_owned(), reader, ended, indices: Vec::new(), last: None })
    }

    /// Its schema.
    pub(super) fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }

    /// Delivers these columns from now on.
    pub(super) fn project(mut self, indices: &[usize]) -> Self {
        self.indices = indices.to_vec();
        self
    }

    /// Fails unless the stream has come to its end mark, and nothing follows it.
    ///
    /// The format lets a writer leave the mark out and just stop. We do not: that is also what a connection looks like that broke
    /// between two blocks, and rows would be missing without a word.
    fn check_end(&mut self) -> Result<(), Error> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(truncated(&self.path, "an Arrow stream: its end mark is missing", None));
        }
        let mut more = [0];
        match self.reader.get_mut().read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::Malformed {
                path: self.path.clone(),
                at: None,
                what: "something follows the end mark of the Arrow stream".into(),
                source: None,
            }),
            Err(error) => Err(Error::read(&self.path, error)),
        }
    }
}

impl Blocks for ArrowStream {
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.reader.is_finished() {
            return Ok(None);
        }
        let block = self.reader.next().transpose();
        let Some(block) = block.map_err(|error| cut_or_broken(&self.path, error, &self.ended))? else {
            self.check_end()?;
            return Ok(None);
        };
        let projected = block.project(&self.indices).map_err(|error| damaged(&self.path, error))?;
        self.last = Some(block);
        Ok(Some(projected))
    }

    fn whole(&mut self) -> Result<RecordBatch, Error> {
        Ok(self.last.clone().expect("a row is rejected after its block was read"))
    }
}

/// Remembers that the end of the bytes was met.
struct Watched {
    stream: Box<dyn Read + Send>,
    ended: Arc<AtomicBool>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.ended.store(true, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// The same for streams, whose reader says in several ways that it would have needed more bytes.
fn cut_or_broken(path: &Path, error: ArrowError, ended: &AtomicBool) -> Error {
    let is_io = matches!(&error, ArrowError::IoError(..));
    if ended.load(Ordering::Relaxed) && !is_io {
        return truncated(path, "an Arrow stream", Some(error));
    }
    broken(path, error)
}

/// Sorts an error of the IPC reader.
fn broken(path: &Path, error: ArrowError) -> Error {
    let is_end = matches!(&error, ArrowError::IoError(_, cause) if cause.kind() == ErrorKind::UnexpectedEof);
    if is_end {
        return truncated(path, "an Arrow message", Some(error));
    }
    damaged(path, error)
}

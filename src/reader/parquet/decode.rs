//! Rows out of a file: its columns are decoded side by side.
//!
//! ```text
//!  columns 0 3 4 ─▶ thread ─┐
//!  columns 1 2 7 ─▶ thread ─┼─▶ rows, with all columns
//!  columns 5 6   ─▶ thread ─┘
//! ```
//!
//! Each thread reads all rows of its columns, as many at a time as the others, so that there is nothing to put in order and
//! no page is decoded twice. What is ahead of the others waits in a queue for two batches: memory does not follow the size of
//! row groups, which may be that of the file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use crossbeam_channel::{Receiver, bounded};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::{Footer, broken, broken_batch, old_timestamps, with_old_timestamps};
use crate::reader::Error;
use crate::reader::columnar::{damaged, exact_times, guarded};
use crate::reader::stored::CountedFile;

/// Which rows are read, and how many at a time.
pub(super) struct Which<'a> {
    pub(super) step: usize,
    /// Those of a window, or all.
    pub(super) window: Option<&'a Range<usize>>,
}

impl Which<'_> {
    fn open(
        &self,
        file: CountedFile,
        metadata: ArrowReaderMetadata,
        mask: ProjectionMask,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(self.step);
        let builder = match self.window {
            Some(window) => builder.with_offset(window.start).with_limit(window.len()),
            None => builder,
        };
        builder.build()
    }
}

/// How many threads decode, beside those that write: half as many as there are cores. Decoding costs no more than writing.
pub(super) fn threads() -> usize {
    const THREADS_MAX: usize = 4;
    // Elsewhere a file has one place for all who read it.
    if !cfg!(unix) {
        return 1;
    }
    (thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, THREADS_MAX)
}

/// Shares the columns out, so that each share has about as many bytes to decode. Each is ascending; none is empty.
fn shares(footer: &Footer, indices: &[usize], threads: usize) -> Vec<Vec<usize>> {
    let schema = footer.metadata.parquet_schema();
    let bytes = |index: usize| -> i64 {
        let leaves = (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == index);
        let groups = footer.metadata.metadata().row_groups();
        leaves.flat_map(|leaf| groups.iter().map(move |group| group.column(leaf).uncompressed_size().max(0))).sum()
    };
    let mut wide_first: Vec<(i64, usize)> = indices.iter().map(|index| (bytes(*index), *index)).collect();
    wide_first.sort_unstable_by(|left, right| right.cmp(left));
    let mut shares = vec![(0_i64, Vec::new()); threads.min(indices.len()).max(1)];
    for (bytes, index) in wide_first {
        let smallest = shares.iter_mut().min_by_key(|(bytes, _)| *bytes).expect("there is a share");
        smallest.0 += bytes;
        smallest.1.push(index);
    }
    let mut shares: Vec<Vec<usize>> = shares.into_iter().map(|(_, indices)| indices).collect();
    shares.retain(|share| !share.is_empty() || indices.is_empty());
    for share in &mut shares {
        share.sort_unstable();
    }
    shares
}

/// Rows of some columns, on their way out of a file.
pub(super) struct Rows {
    columns: Columns,
    /// The 96-bit timestamps among them once more, as nanoseconds, and their places.
    ///
    /// As microseconds they reach every year and lose the last three digits; as nanoseconds they keep the digits and wrap
    /// around beyond 2262. Only together they tell exactly what is in the file.
    nanoseconds: Option<(ParquetRecordBatchReader, Vec<usize>)>,
}

impl Rows {
    /// Reads the columns `indices` as `which` says, on so many threads beside this one.
    pub(super) fn open(
        footer: &Footer,
        file: &CountedFile,
        indices: &[usize],
        which: &Which<'_>,
        threads: usize,
    ) -> Result<Self, Error> {
        let open = |file: CountedFile, metadata, indices: &[usize]| which.open(file, metadata, footer.mask(indices));
        let old = old_timestamps(&footer.metadata);
        let old: Vec<usize> = indices.iter().copied().filter(|index| old.contains(index)).collect();
        let both = || -> Result<Self, ParquetError> {
            let nanoseconds = match with_old_timestamps(&footer.metadata, TimeUnit::Nanosecond) {
                Some(schema) if !old.is_empty() => {
                    let options = ArrowReaderOptions::new().with_schema(schema);
                    let metadata = ArrowReaderMetadata::try_new(Arc::clone(footer.metadata.metadata()), options)?;
                    let places = old.iter().filter_map(|index| indices.binary_search(index).ok());
                    Some((open(file.uncounted(), metadata, &old)?, places.collect()))
                }
                _ => None,
            };
            let shares = shares(footer, indices, threads);
            let mut parts = Vec::with_capacity(shares.len());
            for share in &shares {
                parts.push(open(file.clone(), footer.metadata.clone(), share)?);
            }
            Ok(Self { columns: Columns::new(&footer.path, indices, &shares, parts), nanoseconds })
        };
        both().map_err(|error| broken(&footer.path, error))
    }

    pub(super) fn next(&mut self, path: &Path) -> Result<Option<RecordBatch>, Error> {
        let rows = self.columns.next(path)?;
        match (rows, &mut self.nanoseconds) {
            (Some(rows), Some((reader, places))) => {
                let exact = reader.next().transpose().map_err(|error| broken_batch(path, error))?;
                with_digits(path, &rows, exact.as_ref(), places).map(Some)
            }
            (rows, _) => Ok(rows),
        }
    }
}

/// All columns of the rows.
enum Columns {
    /// Decoded when they are asked for.
    Here(ParquetRecordBatchReader),
    /// Decoded ahead, each part with the places of its columns among all.
    Ahead(Vec<(Ahead, Vec<usize>)>),
}

impl Columns {
    fn new(path: &Path, indices: &[usize], shares: &[Vec<usize>], mut parts: Vec<ParquetRecordBatchReader>) -> Self {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Self::Here(only);
        }
        let places = |share: &Vec<usize>| share.iter().filter_map(|index| indices.binary_search(index).ok()).collect();
        let ahead = parts.into_iter().zip(shares).map(|(reader, share)| (Ahead::start(path, reader), places(share)));
        Self::Ahead(ahead.collect())
    }

    fn next(&mut self, path: &Path) -> Result<Option<RecordBatch>, Error> {
        let parts = match self {
            Self::Here(reader) => return reader.next().transpose().map_err(|error| broken_batch(path, error)),
            Self::Ahead(parts) => parts,
        };
        let mut rows = None;
        let mut found: Vec<(usize, Arc<Field>, ArrayRef)> = Vec::new();
        for (index, (part, places)) in parts.iter().enumerate() {
            let part = part.next()?;
            let part_rows = part.as_ref().map(RecordBatch::num_rows);
            if index > 0 && part_rows != rows {
                return Err(broken(path, ParquetError::EOF("a column ends before the others".into())));
            }
            rows = part_rows;
            if let Some(part) = part {
                let fields = part.schema_ref().fields().iter().cloned();
                let columns = places.iter().copied().zip(fields).zip(part.columns().iter().cloned());
                found.extend(columns.map(|((place, field), column)| (place, field, column)));
            }
        }
        let Some(rows) = rows else { return Ok(None) };
        found.sort_unstable_by_key(|(place, ..)| *place);
        let (fields, columns): (Vec<_>, Vec<_>) = found.into_iter().map(|(_, field, column)| (field, column)).unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        rows.map(Some).map_err(|error| damaged(path, error))
    }
}

/// Batches that a part may be ahead of the others.
const AHEAD_MAX: usize = 2;

/// A thread that decodes some columns.
struct Ahead {
    batches: Option<Receiver<Result<RecordBatch, Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    fn start(path: &Path, mut reader: ParquetRecordBatchReader) -> Self {
        let (sender, batches) = bounded(AHEAD_MAX);
        let path = PathBuf::from(path);
        let decode = move || {
            loop {
                let next = guarded(&path, || reader.next().transpose().map_err(|error| broken_batch(&path, error)));
                let Some(next) = next.transpose() else { return };
                let failed = next.is_err();
                // Nobody waits for it where reading has ended early.
                if sender.send(next).is_err() || failed {
                    return;
                }
            }
        };
        Self { batches: Some(batches), thread: Some(thread::spawn(decode)) }
    }

    /// The next rows; none at the end.
    fn next(&self) -> Result<Option<RecordBatch>, Error> {
        self.batches.as_ref().and_then(|batches| batches.recv().ok()).transpose()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Without a receiver the thread ends with the batch that it is at.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // What it panics of is caught within it.
            let _ = thread.join();
        }
    }
}

/// The rows with all digits of the timestamps at `places`, where there are more than microseconds hold.
fn with_digits(
    path: &Path,
    rows: &RecordBatch,
    exact: Option<&RecordBatch>,
    places: &[usize],
) -> Result<RecordBatch, Error> {
    let exact = exact.filter(|exact| exact.num_rows() == rows.num_rows()).ok_or_else(|| Error::Malformed {
        path: path.to_owned(),
        at: None,
        what: "a column of timestamps ends before the others".into(),
        source: None,
    })?;
    let mut columns = rows.columns().to_vec();
    let mut fields = rows.schema_ref().fields().to_vec();
    for (nanoseconds, place) in exact.columns().iter().zip(places) {
        if let Some(text) = exact_times(&columns[*place], nanoseconds) {
            fields[*place] = Arc::new(Field::new(fields[*place].name(), text.data_type().clone(), true));
            columns[*place] = text;
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| damaged(path, error))
}

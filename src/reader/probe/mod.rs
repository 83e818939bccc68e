//! [`probe`]: opens an input far enough to know what it is, and then reads it from its first byte.
//!
//! ```text
//!  Opened ─▶ head ─▶ compression ─▶ sample ─▶ format ─▶ Probed ─┬▶ fields, infer, describe
//!            64 KiB                  8 MiB                      └▶ into_reader
//! ```
//!
//! The sample is read once and stands in front of the rest of the stream: nothing is read twice, so that a pipe is as good as
//! a file. Parquet and Arrow files are read from their end, and need to be files.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::arrow_ipc::{ArrowFile, ArrowStream};
use super::columnar::{self, ColumnarReader, Projection, guarded};
use super::csv::{self, CsvReader, CsvText, Dialect};
use super::decompress;
use super::finder::{RowFinder, Wanted};
use super::format::{Compression, Format, detect};
use super::json::{self, JsonReader, JsonText};
use super::mapping::{FieldKind, SourceFields};
use super::parquet::Footer;
use super::stored::{CountedFile, CountedStream, Meter};
use super::{CsvOptions, Error, Projected, Reader, infer};
use crate::model::{Column, Reject};
use crate::source::Opened;

/// What tells the compression: more than any magic bytes need, and one read of a file.
const HEAD_BYTES: usize = 64 << 10;

/// How much of a text is looked at to find its dialect, names and types. Types that show up only later than this make rejects,
/// not wrong values.
const SAMPLE_BYTES: usize = 8 << 20;

/// What the user says about the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The format; found out when unset.
    pub format: Option<Format>,
    /// How CSV and TSV files are written.
    pub csv: CsvOptions,
}

/// An input that is known, and not yet read.
pub struct Probed {
    /// Its format.
    pub format: Format,
    /// How it is compressed.
    pub compression: Option<Compression>,
    path: PathBuf,
    meter: Meter,
    body: Body,
}

enum Body {
    Csv(Text, Dialect),
    Json(Text),
    Typed(Typed),
}

/// An input with a schema.
enum Typed {
    Parquet(Footer),
    ArrowFile(CountedFile, SchemaRef),
    ArrowStream(Box<ArrowStream>),
}

impl Typed {
    fn find(self, path: &Path, wanted: Wanted) -> Result<Box<dyn Reader>, Error> {
        // Any column counts the rows.
        let indices = &[0][..];
        Ok(match self {
            Self::Parquet(footer) => Box::new(RowFinder::new(path, footer.open(indices)?, wanted)),
            Self::ArrowFile(file, _) => Box::new(RowFinder::new(path, ArrowFile::open(path, file, indices)?, wanted)),
            Self::ArrowStream(stream) => Box::new(RowFinder::new(path, stream.project(indices), wanted)),
        })
    }

    fn schema(&self) -> SchemaRef {
        match self {
            Self::Parquet(footer) => Arc::clone(footer.schema()),
            Self::ArrowFile(_, schema) => Arc::clone(schema),
            Self::ArrowStream(stream) => stream.schema(),
        }
    }

    fn read(self, path: &Path, projected: Vec<Projected>) -> Result<Box<dyn Reader>, Error> {
        let projection = Projection::new(path, &self.schema(), projected)?;
        let indices = &projection.indices;
        Ok(match self {
            Self::Parquet(footer) => {
                let blocks = footer.open(indices)?;
                Box::new(ColumnarReader::new(path, blocks, projection))
            }
            Self::ArrowFile(file, _) => {
                let blocks = ArrowFile::open(path, file, indices)?;
                Box::new(ColumnarReader::new(path, blocks, projection))
            }
            Self::ArrowStream(stream) => {
                let blocks = stream.project(indices);
                Box::new(ColumnarReader::new(path, blocks, projection))
            }
        })
    }
}

/// A text, read up to the end of the sample.
struct Text {
    sample: Vec<u8>,
    /// Whether the sample is all of it.
    at_end: bool,
    rest: Box<dyn Read + Send>,
}

impl Text {
    fn read(path: &Path, mut rest: Box<dyn Read + Send>, sample: Vec<u8>) -> Result<Self, Error> {
        let sample = fill(path, &mut rest, sample, SAMPLE_BYTES)?;
        Ok(Self { at_end: sample.len() < SAMPLE_BYTES, sample, rest })
    }

    fn into_stream(self) -> Box<dyn Read + Send> {
        Box::new(Cursor::new(self.sample).chain(self.rest))
    }
}

/// Finds out what an opened input is.
///
/// # Errors
/// When it is empty, nothing tells its format, name and bytes contradict each other, it is cut off within the sample, or its
/// format needs a file and it is none.
pub fn probe(path: &Path, opened: Opened, options: &Options) -> Result<Probed, Error> {
    let meter = Meter::default();
    let (file, mut stored) = storage(path, opened, &meter)?;
    let head = fill(path, &mut stored, Vec::new(), HEAD_BYTES)?;
    if head.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    let compression = Compression::detect(path, &head)?;
    let (plain, sample) = match compression {
        None => (stored, head),
        Some(compression) => {
            let stored = Box::new(Cursor::new(head).chain(stored));
            let plain = decompress::ahead(compression, stored, file.is_some(), meter.clone());
            let mut plain = plain.map_err(|error| Error::read(path, error))?;
            let sample = fill(path, &mut plain, Vec::new(), HEAD_BYTES)?;
            (plain, sample)
        }
    };
    let format = detect(path, &sample, options.format)?;
    let body = match format {
        Format::Csv | Format::Tsv => {
            let text = Text::read(path, plain, sample)?;
            let dialect = csv::sniff(&text.sample, &csv_options(format, options), path);
            Body::Csv(text, dialect)
        }
        Format::NdJson | Format::JsonArray => Body::Json(Text::read(path, plain, sample)?),
        Format::ArrowStream => {
            let stream = Box::new(Cursor::new(sample).chain(plain));
            let stream = guarded(path, || ArrowStream::open(path, stream))?;
            Body::Typed(Typed::ArrowStream(Box::new(stream)))
        }
        Format::Parquet => {
            let file = seekable(path, file, compression, "a Parquet file")?;
            Body::Typed(Typed::Parquet(guarded(path, || Footer::read(path, file))?))
        }
        Format::ArrowFile => {
            let file = seekable(path, file, compression, "an Arrow file")?;
            let schema = guarded(path, || ArrowFile::schema(path, &file))?;
            Body::Typed(Typed::ArrowFile(file, schema))
        }
    };
    Ok(Probed { format, compression, path: path.to_owned(), meter, body })
}

type Storage = (Option<CountedFile>, Box<dyn Read + Send>);

fn storage(path: &Path, opened: Opened, meter: &Meter) -> Result<Storage, Error> {
    let open = |file: File| CountedFile::new(file, meter.clone());
    Ok(match opened {
        Opened::File(file) => {
            let file = open(file).map_err(|error| Error::read(path, error))?;
            (Some(file.clone()), Box::new(file))
        }
        Opened::Stream(stream) => (None, Box::new(CountedStream { stream, meter: meter.clone() })),
    })
}

fn seekable(
    path: &Path,
    file: Option<CountedFile>,
    compression: Option<Compression>,
    format: &'static str,
) -> Result<CountedFile, Error> {
    let needs_file = |from: String| Error::NeedsFile { path: path.to_owned(), format, from };
    match (file, compression) {
        (_, Some(compression)) => Err(needs_file(format!("within {compression} data"))),
        (None, None) => Err(needs_file("a stream".into())),
        (Some(file), None) => Ok(file),
    }
}

/// A TSV file has tabs, whatever its name and its first records look like.
fn csv_options(format: Format, options: &Options) -> CsvOptions {
    let mut csv = options.csv.clone();
    if format == Format::Tsv {
        csv.delimiter.get_or_insert(b'\t');
    }
    csv
}

/// Reads until `bytes` holds `bytes_max`, or the end.
fn fill(path: &Path, stream: &mut impl Read, mut bytes: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let missing = bytes_max.saturating_sub(bytes.len());
    let read = stream.take(missing as u64).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| Error::read(path, error))
}

impl Probed {
    /// What the input says about its fields.
    ///
    /// # Errors
    /// When its first record is broken, or no record has any field.
    pub fn fields(&self) -> Result<SourceFields, Error> {
        let (names, kind) = match &self.body {
            Body::Csv(text, dialect) => {
                let names = csv::fields(&self.path, &text.sample, text.at_end, dialect)?;
                if !dialect.header {
                    return Ok(SourceFields { names: None, count: names.len(), kind: FieldKind::Delimited });
                }
                (names, FieldKind::Delimited)
            }
            Body::Json(text) => (self.keys(text)?, FieldKind::Keyed),
            Body::Typed(typed) => {
                let names = typed.schema().fields().iter().map(|field| field.name().clone()).collect();
                (names, FieldKind::Schema)
            }
        };
        Ok(SourceFields { count: names.len(), names: Some(names), kind })
    }

    fn keys(&self, text: &Text) -> Result<Vec<String>, Error> {
        let keys = json::keys(&text.sample, text.at_end);
        if keys.is_empty() { Err(json::no_object(&self.path, &text.sample, text.at_end)) } else { Ok(keys) }
    }

    /// The columns of a table that takes this input: told from the sample, or exactly those of its schema.
    ///
    /// # Errors
    /// When nothing tells them.
    pub fn infer(&self) -> Result<Vec<Column>, Error> {
        match &self.body {
            Body::Csv(text, dialect) => infer::infer_csv(&self.path, &text.sample, text.at_end, dialect),
            Body::Json(text) => infer::infer_json(&self.path, &text.sample, text.at_end),
            Body::Typed(typed) if typed.schema().fields().is_empty() => Err(Error::SchemaUnclear {
                path: self.path.clone(),
                what: "it has no columns".into(),
                hint: "check the program that writes the file; nothing was loaded from it".into(),
            }),
            Body::Typed(typed) => Ok(columnar::columns(&typed.schema())),
        }
    }

    /// What the input is, for people: `CSV, ';', header, gzip`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut facts = vec![self.format.title().to_owned()];
        if let Body::Csv(_, dialect) = &self.body {
            if dialect.delimiter != b'\t' || self.format != Format::Tsv {
                facts.push(format!("'{}'", dialect.delimiter.escape_ascii()));
            }
            facts.push(if dialect.header { "header".into() } else { "no header".into() });
            match dialect.quote {
                Some(b'"') => {}
                Some(quote) => facts.push(format!("quoted by {}", quote.escape_ascii())),
                None => facts.push("no quotes".into()),
            }
            if let Some(null) = &dialect.null {
                facts.push(format!("NULL is `{null}`"));
            }
        }
        facts.extend(self.compression.map(|compression| compression.to_string()));
        facts.join(", ")
    }

    /// The line that names the fields, as it stands in the input and without its end: what a file of rejects starts with.
    #[must_use]
    pub fn header(&self) -> Option<Vec<u8>> {
        match &self.body {
            Body::Csv(text, dialect) if dialect.header => {
                csv::first_record(&text.sample, text.at_end, dialect).map(<[u8]>::to_vec)
            }
            _ => None,
        }
    }

    /// What reading has come to so far: it goes on counting while the reader reads.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// How the input is written, if it is CSV.
    #[must_use]
    pub fn dialect(&self) -> Option<&Dialect> {
        match &self.body {
            Body::Csv(_, dialect) => Some(dialect),
            _ => None,
        }
    }

    /// The same as [`into_reader`](Self::into_reader), for a CSV text that several threads are to read.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// When the input is not CSV: ask for its [`dialect`](Self::dialect).
    pub(crate) fn into_csv(self, projected: &[Projected]) -> Result<CsvText, Error> {
        let Body::Csv(text, dialect) = self.body else { unreachable!("the caller has asked") };
        let count = csv::fields(&self.path, &text.sample, text.at_end, &dialect)?.len();
        CsvText::open(&self.path, text.into_stream(), dialect, projected, count)
    }

    /// Whether the input is JSON that several threads may read.
    #[must_use]
    pub fn is_json_lines(&self) -> bool {
        matches!(&self.body, Body::Json(text) if json::is_lines(&text.sample, text.at_end))
    }

    /// The same as [`into_reader`](Self::into_reader), for a JSON text that several threads are to read.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// When the input is none: ask [`is_json_lines`](Self::is_json_lines).
    pub(crate) fn into_json(self, projected: &[Projected], known: Option<HashSet<String>>) -> Result<JsonText, Error> {
        let Body::Json(text) = self.body else { unreachable!("the caller has asked") };
        JsonText::open(&self.path, text.into_stream(), projected, known)
    }

    /// Reads the input from its first byte. `known` are the keys that records of a JSON input may have; see
    /// [`Mapping::known`](super::Mapping::known).
    ///
    /// # Errors
    /// When it lacks a projected field, or cannot be opened.
    pub fn into_reader(
        self,
        projected: Vec<Projected>,
        known: Option<HashSet<String>>,
    ) -> Result<Box<dyn Reader>, Error> {
        Ok(match self.body {
            Body::Csv(text, dialect) => {
                let count = csv::fields(&self.path, &text.sample, text.at_end, &dialect)?.len();
                Box::new(CsvReader::new(&self.path, text.into_stream(), dialect, projected, count))
            }
            Body::Json(text) => Box::new(JsonReader::new(&self.path, text.into_stream(), projected, known)),
            Body::Typed(typed) => guarded(&self.path, || typed.read(&self.path, projected))?,
        })
    }

    /// Reads the input for the records that start at these bytes (of typed inputs: the rows with these numbers, from 0) and
    /// hands out each, raw as in a reject.
    ///
    /// # Errors
    /// When it cannot be read up to the last of them, or is not what it was: what is left of `wanted` was not found.
    pub fn find(self, mut wanted: BTreeSet<u64>, take: &mut dyn FnMut(Reject)) -> Result<(), Error> {
        let (path, pending) = (self.path.clone(), wanted.clone());
        let mut reader: Box<dyn Reader> = match self.body {
            Body::Csv(text, dialect) => {
                let count = csv::fields(&path, &text.sample, text.at_end, &dialect)?.len();
                Box::new(CsvReader::finding(&path, text.into_stream(), dialect, count, pending))
            }
            Body::Json(text) => Box::new(JsonReader::finding(&path, text.into_stream(), pending)),
            Body::Typed(typed) => guarded(&path, || typed.find(&path, pending))?,
        };
        let mut rejects = Vec::new();
        while reader.next(&mut rejects)?.is_some() {
            // Records that cannot be read are none of ours.
            rejects.drain(..).filter(|reject| wanted.remove(&reject.origin.byte)).for_each(&mut *take);
        }
        rejects.drain(..).filter(|reject| wanted.remove(&reject.origin.byte)).for_each(take);
        match wanted.first() {
            None => Ok(()),
            Some(byte) => Err(Error::Malformed {
                path,
                at: None,
                what: format!("no record starts at byte {byte} any more: it has changed while it was loaded"),
                source: None,
            }),
        }
    }
}

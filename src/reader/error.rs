//! [`Error`]: what makes an input, or the rest of it, unreadable.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::stored::Changed;
use crate::failure::{Code, Failure};
use crate::model::{ByteCount, Origin};

/// Why an input cannot be read, or not to its end. Rows that cannot be loaded are no errors but rejects.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refuses to open or read it.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The input.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was written to while it was read.
    #[error("{} has changed while it was read: {what}", path.display())]
    Changed {
        /// The input.
        path: PathBuf,
        /// What is different.
        what: String,
    },
    /// It has no bytes, or nothing that could be a record.
    #[error("{} holds no records", path.display())]
    Empty {
        /// The input.
        path: PathBuf,
    },
    /// Neither its name nor its first bytes say what it is, or the two disagree.
    #[error("the format of {} is not known: {what}", path.display())]
    UnknownFormat {
        /// The input.
        path: PathBuf,
        /// What was looked at, and what it looked like.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// It ends inside something that should go on: a quoted field, a JSON array, a compressed stream, a Parquet file.
    #[error("{}{} ends inside {what}", path.display(), place(*at))]
    Truncated {
        /// The input.
        path: PathBuf,
        /// Where the unfinished thing starts, if known.
        at: Option<Origin>,
        /// The unfinished thing: `a quoted field`.
        what: String,
        /// What the decoder says.
        source: Option<Cause>,
    },
    /// It is not what its format asks for, and there is no place to go on from.
    #[error("{}{} is damaged: {what}", path.display(), place(*at))]
    Malformed {
        /// The input.
        path: PathBuf,
        /// Where, if known.
        at: Option<Origin>,
        /// What was found, and what was expected.
        what: String,
        /// What the decoder says.
        source: Option<Cause>,
    },
    /// Names or types of the columns cannot be told from it.
    #[error("no schema can be told from {}: {what}", path.display())]
    SchemaUnclear {
        /// The input.
        path: PathBuf,
        /// What is unclear.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Its format has to be read from several places, and it can only be read in order.
    #[error("{} is {format}, which cannot be read from {from}", path.display())]
    NeedsFile {
        /// The input.
        path: PathBuf,
        /// The format, with an article.
        format: &'static str,
        /// What it comes from: `a stream`.
        from: String,
    },
    /// Its columns and the table's do not go together.
    #[error("the columns of {} and of the table do not match: {what}", path.display())]
    ColumnsMismatch {
        /// The input.
        path: PathBuf,
        /// Which columns, and how.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A column has a type that no plain value fills: BITMAP, HLL, PERCENTILE.
    #[error("{} has a field for column `{column}`, and {ty} takes no plain values", path.display())]
    ColumnNeedsExpression {
        /// The input.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        ty: String,
    },
    /// A record is longer than [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX).
    #[error("{}{}: the record that starts here is longer than {}", path.display(), place(Some(*at)), ByteCount(*bytes_max as u64))]
    RecordTooLong {
        /// The input.
        path: PathBuf,
        /// Where the record starts.
        at: Origin,
        /// The limit it passes.
        bytes_max: usize,
    },
}

/// The error below one of ours.
pub type Cause = Box<dyn StdError + Send + Sync>;

impl Error {
    /// Sorts an error met while reading: decoders tell a stream that ends early or makes no sense by its kind.
    #[must_use]
    pub fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if let Some(changed) = source.get_ref().and_then(|source| source.downcast_ref::<Changed>()) {
            return Self::Changed { path, what: changed.to_string() };
        }
        match source.kind() {
            ErrorKind::UnexpectedEof => {
                Self::Truncated { path, at: None, what: "its compressed data".into(), source: Some(source.into()) }
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                Self::Malformed { path, at: None, what: "it cannot be decoded".into(), source: Some(source.into()) }
            }
            _ => Self::Unreadable { path, source },
        }
    }
}

fn place(at: Option<Origin>) -> String {
    at.map_or_else(String::new, |at| format!(" (line {}, byte {})", at.line, at.byte))
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound => Code::InputMissing,
            Self::Unreadable { .. } | Self::Changed { .. } => Code::InputUnreadable,
            Self::Empty { .. } => Code::InputEmpty,
            Self::UnknownFormat { .. } => Code::FormatUnknown,
            Self::NeedsFile { .. } => Code::InputUnreadable,
            Self::Truncated { .. } => Code::InputTruncated,
            Self::Malformed { .. } => Code::InputMalformed,
            Self::SchemaUnclear { .. } => Code::SchemaUnclear,
            Self::ColumnsMismatch { .. } => Code::ColumnsMismatch,
            Self::ColumnNeedsExpression { .. } => Code::TypeUnsupported,
            Self::RecordTooLong { .. } => Code::RecordTooLong,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                "give the user that runs shipload read access to the file".into()
            }
            Self::Unreadable { .. } => return None,
            Self::Changed { .. } => {
                "wait until whatever writes the file is done, then run the import again; to load a file while it grows, \
                 pipe it in: `tail -f FILE | shipload import - …`"
                    .into()
            }
            Self::Empty { .. } => "check the program that writes the file; nothing was loaded from it".into(),
            Self::UnknownFormat { hint, .. } => (*hint).into(),
            Self::NeedsFile { .. } => "save it to an uncompressed file first, and import that".into(),
            Self::Truncated { .. } => {
                "the file is probably still being written or was not copied to its end: compare its size at the origin"
                    .into()
            }
            Self::Malformed { .. } => {
                "look at the file at this place; `--format` says if it was taken for another".into()
            }
            Self::SchemaUnclear { hint, .. } | Self::ColumnsMismatch { hint, .. } => hint.clone(),
            Self::ColumnNeedsExpression { column, ty, .. } => {
                let function = if ty.to_ascii_lowercase().starts_with("hll") { "hll_hash" } else { "to_bitmap" };
                format!(
                    "compute it from a field that no column has the name of: `--columns …,{column}={function}(field)`"
                )
            }
            Self::RecordTooLong { .. } => {
                "a quote or bracket that is never closed looks like this: check the line; for quotes that are data, set \
                 `--csv-quote none`"
                    .into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_input_and_the_place_in_one_clause() {
        let error = Error::Truncated {
            path: "orders.csv".into(),
            at: Some(Origin { line: 7, byte: 120 }),
            what: "a quoted field".into(),
            source: None,
        };
        assert_eq!(error.to_string(), "orders.csv (line 7, byte 120) ends inside a quoted field");
        assert_eq!(error.code(), Code::InputTruncated);
    }

    #[test]
    fn a_decoder_tells_what_happened_by_the_kind_of_its_error() {
        for (kind, code) in [
            (ErrorKind::UnexpectedEof, Code::InputTruncated),
            (ErrorKind::InvalidData, Code::InputMalformed),
            (ErrorKind::NotFound, Code::InputMissing),
            (ErrorKind::PermissionDenied, Code::InputUnreadable),
        ] {
            assert_eq!(Error::read(Path::new("a.gz"), kind.into()).code(), code, "{kind}");
        }
    }
}

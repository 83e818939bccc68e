//! What can go wrong before the first byte is read.

use std::io;
use std::path::PathBuf;

use crate::failure::{Code, Failure};

/// Why inputs cannot be found or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there under the name that was given.
    #[error("{what}")]
    Missing {
        /// What was looked for, as a clause: `there is no file data/orders.csv`.
        what: String,
        /// Names that are there and may have been meant.
        near: Vec<String>,
    },
    /// It is there, but the system does not hand it out.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no longer what it was when the job was planned.
    #[error("{} has changed since the job was planned: {what}", path.display())]
    Changed {
        /// The input.
        path: PathBuf,
        /// What is different, with both figures.
        what: String,
    },
    /// One file would be loaded twice.
    #[error("{} is named twice: it was already found as {}", path.display(), first.display())]
    Repeated {
        /// The second name.
        path: PathBuf,
        /// The first name.
        first: PathBuf,
    },
    /// `-` beside other inputs, or twice.
    #[error("`-` (standard input) stands among other inputs")]
    StdinNotAlone,
    /// A pattern that is none.
    #[error("`{pattern}` is no valid pattern: {reason}")]
    Pattern {
        /// The argument.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::InputMissing,
            Self::Unreadable { .. } | Self::Changed { .. } => Code::InputUnreadable,
            Self::Repeated { .. } | Self::StdinNotAlone | Self::Pattern { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { near, .. } if near.is_empty() => {
                "check the path and the folder you are in: paths and patterns are relative to it".into()
            }
            Self::Missing { near, .. } => format!("did you mean {}?", near.join(" or ")),
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "give the user that runs shipload the right to read it, and to enter its folders".into()
            }
            Self::Unreadable { .. } => return None,
            Self::Changed { .. } => {
                "wait until whatever writes the file is done, then run the import again; to load a file while it grows, \
                 pipe it in: `tail -f FILE | shipload import - …`"
                    .into()
            }
            Self::Repeated { .. } => "name each file once: its rows would be loaded twice".into(),
            Self::StdinNotAlone => "load standard input and files by two imports".into(),
            Self::Pattern { .. } => {
                "put `[` and `]` around characters that are meant literally, as in `[*]`, or name the folder".into()
            }
        })
    }
}

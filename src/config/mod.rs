//! From what the user configured to working parts: the one face that sees target, reader and sandbox.
//!
//! A target is either a StarRocks cluster or the sandbox. A sandbox that another process runs on the same folder is
//! joined; otherwise it is started inside this process, on loopback and free ports, for as long as the command takes.

mod connect;
pub mod env;
mod import_args;
mod import_spec;
pub mod option;
mod password;
mod recipe;
mod schema;
pub mod service;
mod service_check;
mod service_file;
mod service_reference;
mod service_watch;
pub mod setting;

use std::path::PathBuf;

pub use connect::{ConnectOptions, Connected, connect, shown};
pub use import_args::{Commit, Compression, ImportArgs, Output, Parallel, Quote, ReadingArgs, TargetArgs, Wire};
pub use password::PasswordFrom;
pub(crate) use recipe::{Recipe, without_password};
pub use schema::{Described, describe};
pub use service::ServiceConfig;
pub use service_check::PROGRAM_BYTES;
pub use service_file::{ConfigError, Wrong, read as read_service};
pub use service_reference::reference;

use crate::failure::{Code, Failure};
pub use crate::reader::CsvOptions;
pub use crate::reader::format::Format;
pub use crate::reader::probe::Options as ReadingOptions;
pub use crate::target::cluster::{self, Cluster};
pub use crate::target::{LabelState, QueryResult, TargetUrl};

/// Where the journal is unless the user says otherwise: `$XDG_STATE_HOME/shipload`, else `~/.local/state/shipload`.
#[must_use]
pub fn default_state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("shipload"))
}

/// Why the configuration does not lead to working parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target's address, a redirect rule or its certificates are wrong, or it failed.
    #[error(transparent)]
    Target(#[from] crate::target::Error),
    /// The input cannot be found or opened.
    #[error(transparent)]
    Source(#[from] crate::source::Error),
    /// The input cannot be read.
    #[error(transparent)]
    Reader(#[from] crate::reader::Error),
    /// The sandbox cannot be started or joined.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::Error),
    /// This program was built without the sandbox.
    #[error("this shipload was built without the sandbox")]
    NoSandbox,
    /// A value is wrong.
    #[error("{what}")]
    Value {
        /// Which, and why.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// The terminal gives no password.
    #[error("the password cannot be asked for")]
    Terminal(#[source] std::io::Error),
    /// A password file cannot be read.
    #[error("the password file {path} cannot be read", path = path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Target(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::Reader(error) => error.code(),
            #[cfg(feature = "sandbox")]
            Self::Sandbox(error) => error.code(),
            Self::NoSandbox | Self::Value { .. } | Self::Terminal(_) | Self::PasswordFile { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Target(error) => error.hint(),
            Self::Source(error) => error.hint(),
            Self::Reader(error) => error.hint(),
            #[cfg(feature = "sandbox")]
            Self::Sandbox(error) => error.hint(),
            Self::NoSandbox => Some("build it with the feature `sandbox`, or name a starrocks:// target".to_owned()),
            Self::Value { hint, .. } => Some(hint.clone()),
            Self::Terminal(_) => Some("set SHIPLOAD_PASSWORD, or name a file with --password-file".to_owned()),
            Self::PasswordFile { .. } => Some("give its path with --password-file, readable by you alone".to_owned()),
        }
    }
}

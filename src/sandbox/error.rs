//! [`Error`]: why a sandbox does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::Wrong;
use crate::failure::{Code, Failure};

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory or a file in it cannot be used.
    #[error("{} cannot be used", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another sandbox holds the directory.
    #[error("another sandbox runs on {}", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A process holds the directory and does not get ready.
    #[error("the sandbox on {} has been starting for too long", dir.display())]
    NotReady {
        /// The directory.
        dir: PathBuf,
    },
    /// The database cannot be opened or written.
    #[error("the database in {} cannot be used", dir.display())]
    Database {
        /// The directory.
        dir: PathBuf,
        /// What went wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file of faults cannot be read.
    #[error("the faults in {} cannot be read", path.display())]
    FaultsUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of faults is wrong.
    #[error("the faults in {} are wrong", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Wrong,
    },
    /// A port is taken or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::Faults { .. } | Self::FaultsUnreadable { .. } => Code::Usage,
            _ => Code::SandboxUnusable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { .. } => "choose a directory that you may write to".to_owned(),
            Self::InUse { dir } => {
                format!("use the one that runs, stop it, or choose another directory than {}", dir.display())
            }
            Self::NotReady { dir } => format!("see what holds {} and stop it", dir.join("sandbox.lock").display()),
            Self::Database { dir, .. } => {
                let path = dir.join("sandbox.sqlite");
                format!(
                    "if the file is damaged, move {} away; otherwise check free space and permissions",
                    path.display()
                )
            }
            Self::FaultsUnreadable { .. } => "--faults takes a file that you may read".to_owned(),
            Self::Faults { .. } => "docs/faults.md has every key, and an example of every fault".to_owned(),
            Self::Listen { .. } => {
                "stop what listens there, or choose another --host, or another port with --fe-port, --be-port and \
                 --mysql-port; followers and further backends take the ports after those, and 0 takes any free one"
                    .to_owned()
            }
        })
    }
}

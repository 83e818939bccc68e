//! Every exit code.

use std::process::ExitCode;

use crate::failure::{Code, Failure};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Every row is loaded.
    Success,
    /// It failed; running it again goes on, unless it said otherwise.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// It finished, and some rows were rejected within the limit.
    SomeRejected,
    /// It stopped at the reject limit.
    RejectLimit,
    /// The outcome of a load is in doubt.
    InDoubt,
    /// Interrupted by Ctrl-C.
    Interrupted,
    /// Interrupted by SIGTERM.
    Terminated,
}

impl Exit {
    /// The exit code of a failure.
    pub(super) fn of(failure: &dyn Failure) -> Self {
        match failure.code() {
            Code::Usage
            | Code::TargetInvalid
            | Code::SettingUnknown
            | Code::MemoryTooSmall
            | Code::JobFileWrong
            | Code::ConfigWrong => Self::Usage,
            Code::RejectLimit | Code::RowsRefused => Self::RejectLimit,
            Code::InDoubt | Code::CountsDisagree => Self::InDoubt,
            Code::Interrupted => Self::Interrupted,
            _ => Self::Failed,
        }
    }

    /// How bad it is, to find the worst of several: what needs a person most comes last.
    pub(super) fn badness(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::SomeRejected => 1,
            Self::RejectLimit => 2,
            Self::Usage => 3,
            Self::Failed => 4,
            Self::Interrupted | Self::Terminated => 5,
            Self::InDoubt => 6,
        }
    }

    /// The number that the caller sees.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeRejected => 3,
            Self::RejectLimit => 4,
            Self::InDoubt => 5,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

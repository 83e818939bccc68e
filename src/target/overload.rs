//! [`Overload`]: in which way a target is too busy.

use std::time::Duration;

/// What a target has too much of, or too little. Nothing of the load was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overload {
    /// A tablet has more versions than compaction has merged.
    Versions,
    /// Commits come faster than compaction.
    Compaction,
    /// A process, a query pool or the primary-key indexes are out of memory.
    Memory,
    /// The database, or a backend, has as many running transactions as it may.
    Transactions,
    /// The node has as many requests as it takes: 429, 503, its limit of loads at one time.
    Requests,
    /// A lock of the catalogue could not be had in time.
    Locks,
    /// The label's transaction is being worked on by another request.
    Label,
    /// No backend is alive.
    NoBackend,
    /// The frontend does not lead, and knows nobody who does.
    NoLeader,
    /// A tablet is in an error state until it is repaired.
    Tablet,
    /// Something in between answers for a node that does not (502, 504).
    Gateway,
}

impl Overload {
    /// The same in a few words, for the log and the report.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Versions => "too many versions",
            Self::Compaction => "commits faster than compaction",
            Self::Memory => "memory limit",
            Self::Transactions => "too many running transactions",
            Self::Requests => "too many requests",
            Self::Locks => "locks not to be had",
            Self::Label => "label in processing",
            Self::NoBackend => "no backend alive",
            Self::NoLeader => "no leading frontend",
            Self::Tablet => "tablet in error state",
            Self::Gateway => "no answer behind a gateway",
        }
    }

    /// Whether it is a limit of the target that passes when less is sent. Such a refusal slows the job down and is no
    /// failure: it uses up none of a load's attempts. The others are trouble that patience alone may not cure.
    #[must_use]
    pub fn is_back_pressure(self) -> bool {
        match self {
            Self::Versions
            | Self::Compaction
            | Self::Memory
            | Self::Transactions
            | Self::Requests
            | Self::Locks
            | Self::Label => true,
            Self::NoBackend | Self::NoLeader | Self::Tablet | Self::Gateway => false,
        }
    }

    /// The longest wait between two attempts that it calls for: about what it takes to pass. Merging the versions of a
    /// tablet takes half a minute, a lock or a slot is free after a moment.
    #[must_use]
    pub fn backoff_max(self) -> Duration {
        let seconds = match self {
            Self::Versions | Self::Compaction => 30,
            Self::Tablet => 60,
            Self::Memory => 10,
            Self::Transactions | Self::NoBackend | Self::NoLeader | Self::Gateway => 5,
            Self::Requests | Self::Locks => 2,
            Self::Label => 1,
        };
        Duration::from_secs(seconds)
    }
}

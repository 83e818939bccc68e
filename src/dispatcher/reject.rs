//! Where rows go that the target refuses: [`Rejects`].

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::failure::{Code, Failure};
use crate::model::{Origin, WireFormat};
use crate::reader::{self, RejectsError};
use crate::source;
use crate::target::LoadSettings;

/// A row that the target refused.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedRow {
    /// Where it stands in its input.
    pub origin: Origin,
    /// The target's words.
    pub words: Arc<str>,
    /// The row as it was sent, where that is [wanted](RejectSink::wants_text); empty otherwise.
    pub text: Vec<u8>,
}

/// How rows were sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The index of their input.
    pub input: usize,
    /// In which format.
    pub format: WireFormat,
    /// With which settings.
    pub settings: &'a LoadSettings,
}

/// Takes rows that the target refused.
pub trait RejectSink: Send + Sync {
    /// Whether so many more rows may be rejected.
    fn allows(&self, more: u64) -> bool;

    /// Whether the rows of this input cannot be found again by their places, so that their text is needed.
    fn wants_text(&self, input: usize) -> bool;

    /// Takes rows of one load, each exactly once in a run; in the order of their places, or almost.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn reject(&self, sent: Sent<'_>, rows: &mut dyn Iterator<Item = RefusedRow>) -> Result<(), RejectFailure>;
}

/// Why a refused row could not be put among the rejects.
#[derive(Debug, thiserror::Error)]
pub enum RejectFailure {
    /// They cannot be written.
    #[error(transparent)]
    Writing(#[from] RejectsError),
    /// The input they come from cannot be opened again.
    #[error(transparent)]
    Opening(#[from] source::Error),
    /// It cannot be read again.
    #[error(transparent)]
    Reading(#[from] reader::Error),
}

impl Failure for RejectFailure {
    fn code(&self) -> Code {
        match self {
            Self::Writing(error) => error.code(),
            Self::Opening(error) => error.code(),
            Self::Reading(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Writing(error) => error.hint(),
            Self::Opening(error) => error.hint(),
            Self::Reading(error) => error.hint(),
        }
    }
}

/// What a dispatcher does with refused rows.
#[derive(Clone)]
pub struct Rejects {
    pub(super) sink: Arc<dyn RejectSink>,
    /// Who may hold the text of a compressed load, which is more than the budget knows of: one at a time.
    pub(super) turn: Arc<Semaphore>,
}

impl Rejects {
    /// Hands them to this.
    #[must_use]
    pub fn to(sink: Arc<dyn RejectSink>) -> Self {
        Self { sink, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Allows none: a refused row ends the job.
    #[must_use]
    pub fn none() -> Self {
        Self::to(Arc::new(Nowhere))
    }
}

struct Nowhere;

impl RejectSink for Nowhere {
    fn allows(&self, more: u64) -> bool {
        more == 0
    }

    fn wants_text(&self, _: usize) -> bool {
        false
    }

    fn reject(&self, _: Sent<'_>, _: &mut dyn Iterator<Item = RefusedRow>) -> Result<(), RejectFailure> {
        Ok(())
    }
}

//! [`Broken`]: a promise that was not kept, and how.

use std::fmt;

use crate::model::invariant;

/// What a simulation ends with that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The promise.
    pub(super) promise: &'static str,
    /// What happened instead.
    pub(super) how: String,
}

impl Broken {
    pub(super) fn new(promise: &'static str, how: impl Into<String>) -> Self {
        Self { promise, how: how.into() }
    }

    pub(super) fn hangs() -> Self {
        Self::new(invariant::END_1, "nothing is left to happen, or the same over and over")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; but {}", self.promise, self.how)
    }
}

//! What a simulation decides instead of the outside: chance, and which mistakes are made on purpose.
//!
//! In the program itself chance is the system's and no mistake is ever made: [`makes`] is the constant `false` there, so
//! that a branch behind it is compiled to nothing. Tests that prove that the simulation finds a mistake switch it on for
//! their own thread. See `docs/simulation.md`.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A wrong way to load, which the simulation has to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A retry goes under a label of its own.
    NewLabelPerRetry,
    /// Prepared transactions are committed, and then the journal hears of the decision.
    CommitBeforeDecision,
    /// A load is sent once more into the transaction that it was sent into before, and its counts are believed.
    RepeatInTransaction,
    /// `Fail` is taken for a proof that nothing was applied.
    TrustFail,
    /// HTTP 200 is taken for a success, whatever the body says.
    TrustStatus,
    /// The counts in an answer are not compared with what was sent.
    TrustCounts,
    /// A lost answer is taken for a success.
    LostIsLoaded,
    /// A lost answer is taken for a failure.
    LostIsFailed,
    /// A label that the server does not know is taken for one that was never sent, also where it has forgotten others.
    ForgottenIsNew,
    /// What abandoned work has left open stays open.
    NoSweep,
    /// A rollback that was asked for is believed, without asking how the label stands.
    TrustRollback,
    /// What cannot be committed after the decision is rolled back.
    RollBackDecided,
    /// The journal hears of a load after its first attempt.
    JournalAfterwards,
    /// A transaction that somebody else has under the label is rolled back.
    RollBackOthers,
    /// A label that is still open is taken for one that will come to nothing.
    OpenIsAborted,
    /// Chunks are cut at another place in each run.
    CutByTime,
}

/// Whether this mistake is made.
#[cfg(not(test))]
#[inline]
pub(crate) const fn makes(_: Mistake) -> bool {
    false
}

/// A random number from 0 to 1; the seed of every hash map is one.
pub(crate) fn draw() -> f64 {
    #[cfg(test)]
    if let Some(draw) = tests::draw() {
        return draw;
    }
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let draw = bits as f64 / (1_u64 << 53) as f64;
    draw
}

#[cfg(test)]
pub(crate) use tests::{Inherited, Running, makes, runs};

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Mistake;

    thread_local! {
        static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
        static MADE: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    /// A simulation on this thread, until it is dropped.
    pub(crate) struct Running(());

    impl Running {
        /// Begins one whose chance follows from a seed.
        pub(crate) fn begin(seed: u64, mistake: Option<Mistake>) -> Self {
            CHANCE.set(Some(seed));
            MADE.set(mistake);
            Self(())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            CHANCE.set(None);
            MADE.set(None);
        }
    }

    /// What a thread of a simulation takes over from the one that starts it.
    pub(crate) struct Inherited(u64, Option<Mistake>);

    impl Inherited {
        pub(crate) fn from_this_thread() -> Self {
            Self(CHANCE.get().unwrap_or_default(), MADE.get())
        }

        pub(crate) fn take_up(self) -> Running {
            Running::begin(self.0, self.1)
        }
    }

    /// Whether this thread simulates.
    pub(crate) fn runs() -> bool {
        CHANCE.get().is_some()
    }

    pub(crate) fn makes(mistake: Mistake) -> bool {
        MADE.get() == Some(mistake)
    }

    pub(super) fn draw() -> Option<f64> {
        let state = CHANCE.get()?.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        CHANCE.set(Some(state));
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let draw = (state >> 11) as f64 / (1_u64 << 53) as f64;
        Some(draw)
    }
}

//! How much of the memory goes where: pure arithmetic, done before anything is read.
//!
//! A pipeline needs room for batches in hand and in the queue, and for the chunks it fills; the rest holds chunks on
//! their way. Each input is one split: it is read, cut and encoded as a whole, in the order of the list.
//!
//! What is committed at once, where the user leaves that open, is chosen here as well ([`by_outline`], [`by_target`]), from an
//! [`estimate`] of what the inputs come to and from what the server says of itself.

mod commit;
mod volume;

pub use commit::{Choice, Outline, TooMany, WHOLE_BYTES_MAX, WHOLE_LOADS_MAX, by_outline, by_target, check_whole};
pub use volume::{Estimate, Packed, Stored, Volume, estimate, loads_likely};

use crate::model::ByteCount;

/// What the program itself takes (code, stacks, TLS, the journal, what the allocator keeps), and what it works on: pieces of an
/// input, as read and as text, with their places and rejects, and the sample of an input's head.
const FIXED_BYTES_MIN: u64 = 80 << 20;

/// The same with some air, for a sandbox in the same process and a full allocator, where there is enough memory for it.
const FIXED_BYTES: u64 = 176 << 20;

/// Pieces of an input that are worked on at one time: more of them speed nothing up.
const PIECES_BYTES_MAX: u64 = 24 << 20;

/// Chunks that are filled at one time: an ordinary one and a side one.
const CHUNKS_FILLING: u64 = 2;

/// The most loads under way that are tried unless the user says otherwise. What the memory holds of them is the budget's
/// to say: compressed bodies are smaller than what they are counted as before they are closed.
const PARALLEL_AUTO_MAX: usize = 16;

/// The most loads under way that may be asked for.
pub const PARALLEL_LIMIT: usize = 64;

/// What of a job's memory goes to other things than its loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// What it needs.
    pub least: ByteCount,
    /// What it takes where there is enough.
    pub most: ByteCount,
}

impl Fixed {
    /// That of an import in a process of its own.
    pub const PROCESS: Self = Self { least: ByteCount(FIXED_BYTES_MIN), most: ByteCount(FIXED_BYTES) };

    /// This much, whatever there is.
    #[must_use]
    pub fn of(bytes: ByteCount) -> Self {
        Self { least: bytes, most: bytes }
    }

    /// How much of an input may be worked on at one time, in bytes as read. The rest is for what is made of them: places,
    /// rejects, columns; and for the sample of the input's head before there are any.
    #[must_use]
    pub fn pieces(self) -> ByteCount {
        ByteCount((self.least.0 / 5 * 3).min(PIECES_BYTES_MAX))
    }
}

/// What may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of chunks between the encoder and acknowledgement.
    pub budget_bytes: u64,
    /// Loads under way at one time.
    pub parallel: Parallel,
}

/// How the number of loads under way is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    /// The user chose it.
    Fixed(usize),
    /// By goodput, up to so many.
    Auto(usize),
}

/// The memory does not hold what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{memory} of memory do not hold loads of {load_size}: at least {needed} are needed")]
pub struct TooSmall {
    /// What was allowed.
    pub memory: ByteCount,
    /// The size of a load.
    pub load_size: ByteCount,
    /// What would do.
    pub needed: ByteCount,
}

/// Divides the memory, of which `fixed` goes to other things than loads.
///
/// # Errors
/// When it does not hold one load under way while the next is filled. The size of loads is never adapted to the memory:
/// it decides which rows a label stands for (LABEL-1).
pub fn limits(
    memory: ByteCount,
    fixed: Fixed,
    load_size: ByteCount,
    parallel: Option<usize>,
) -> Result<Limits, TooSmall> {
    let loads = load_size.0.saturating_mul(CHUNKS_FILLING + 1);
    let needed = loads.saturating_add(fixed.least.0);
    if memory.0 < needed {
        return Err(TooSmall { memory, load_size, needed: ByteCount(needed) });
    }
    let budget_bytes = memory.0 - (memory.0 - loads).clamp(fixed.least.0, fixed.most.0);
    let parallel = match parallel {
        Some(chosen) => Parallel::Fixed(chosen.clamp(1, PARALLEL_LIMIT)),
        None => Parallel::Auto(PARALLEL_AUTO_MAX),
    };
    Ok(Limits { budget_bytes, parallel })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_default_memory_holds_several_default_loads() {
        let limits = limits(ByteCount(512 * MIB), Fixed::PROCESS, ByteCount(64 * MIB), None).unwrap();
        assert_eq!(limits, Limits { budget_bytes: 336 * MIB, parallel: Parallel::Auto(PARALLEL_AUTO_MAX) });
    }

    #[test]
    fn a_limit_too_small_says_what_would_do() {
        let error = limits(ByteCount(128 * MIB), Fixed::PROCESS, ByteCount(64 * MIB), None).unwrap_err();
        assert_eq!(error.needed, ByteCount(272 * MIB));
        assert!(limits(error.needed, Fixed::PROCESS, ByteCount(64 * MIB), None).is_ok());
    }

    #[test]
    fn who_has_little_memory_works_on_little_of_an_input_at_a_time() {
        let pieces = |fixed: u64| Fixed::of(ByteCount(fixed * MIB)).pieces().0 / MIB;
        assert_eq!([20, 40, 400].map(pieces), [12, 24, 24]);
        assert_eq!(Fixed::PROCESS.pieces(), ByteCount(24 * MIB));
    }

    #[test]
    fn the_user_chooses_how_many_loads_are_under_way() {
        let parallel =
            |asked| limits(ByteCount(512 * MIB), Fixed::PROCESS, ByteCount(64 * MIB), Some(asked)).unwrap().parallel;
        for (asked, given) in [(0, 1), (9, 9), (1000, PARALLEL_LIMIT)] {
            assert_eq!(parallel(asked), Parallel::Fixed(given));
        }
    }
}

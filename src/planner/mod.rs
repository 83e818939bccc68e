//! How much of the memory goes where: pure arithmetic, done before anything is read.
//!
//! A pipeline needs room for batches in hand and in the queue, and for the chunks it fills; the rest holds chunks on
//! their way. Each input is one split: it is read, cut and encoded as a whole, in the order of the list.

use crate::model::ByteCount;

/// What the program itself takes: code, stacks, TLS, the journal, a sandbox in the same process, and what the allocator keeps.
/// Measured: an import of a few rows peaks at 42 MiB, and one of 10 million at 30 MiB more than batches and chunks explain.
const OVERHEAD_BYTES: u64 = 96 << 20;

/// Batches in hand and in the queue, as text and as Arrow, with their places and rejects, and the sample of an input's head.
/// Measured: 80 MiB with CSV and Parquet inputs of 10 million rows.
const BATCHES_BYTES: u64 = 80 << 20;

/// Chunks that are filled at one time: an ordinary one and a side one.
const CHUNKS_FILLING: u64 = 2;

/// Loads under way at one time, unless the user says otherwise. More makes the server's work smaller-grained without
/// making it faster, and each costs a version in every tablet it touches.
const PARALLEL_MAX: u64 = 4;

/// The most loads under way that may be asked for.
pub const PARALLEL_LIMIT: usize = 64;

/// What may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of chunks between the encoder and acknowledgement.
    pub budget_bytes: u64,
    /// Loads under way at one time.
    pub parallel: usize,
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

/// Divides the memory.
///
/// # Errors
/// When it does not hold one load under way while the next is filled. The size of loads is never adapted to the memory:
/// it decides which rows a label stands for (LABEL-1).
pub fn limits(memory: ByteCount, load_size: ByteCount, parallel: Option<usize>) -> Result<Limits, TooSmall> {
    let fixed = OVERHEAD_BYTES + BATCHES_BYTES;
    let needed = load_size.0.saturating_mul(CHUNKS_FILLING + 1).saturating_add(fixed);
    if memory.0 < needed {
        return Err(TooSmall { memory, load_size, needed: ByteCount(needed) });
    }
    let budget_bytes = memory.0 - fixed;
    let under_way = (budget_bytes / load_size.0.max(1)).saturating_sub(CHUNKS_FILLING).clamp(1, PARALLEL_MAX);
    let chosen = usize::try_from(under_way).unwrap_or(1);
    Ok(Limits { budget_bytes, parallel: parallel.unwrap_or(chosen).clamp(1, PARALLEL_LIMIT) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_default_memory_holds_several_default_loads() {
        let limits = limits(ByteCount(512 * MIB), ByteCount(64 * MIB), None).unwrap();
        assert_eq!(limits, Limits { budget_bytes: 336 * MIB, parallel: 3 });
    }

    #[test]
    fn a_limit_too_small_says_what_would_do() {
        let error = limits(ByteCount(128 * MIB), ByteCount(64 * MIB), None).unwrap_err();
        assert_eq!(error.needed, ByteCount(368 * MIB));
        assert!(limits(error.needed, ByteCount(64 * MIB), None).is_ok());
    }

    #[test]
    fn the_user_chooses_how_many_loads_are_under_way() {
        let parallel = |asked| limits(ByteCount(512 * MIB), ByteCount(64 * MIB), Some(asked)).unwrap().parallel;
        assert_eq!((parallel(0), parallel(9), parallel(1000)), (1, 9, PARALLEL_LIMIT));
    }
}

//! The promises that assertions, tests and documents quote by name.

/// Each input row ends in the target exactly once, or in the rejects exactly once.
pub const ROWS_1: &str = "ROWS-1: each input row ends in the target once or in the rejects once";

/// A label stands for the same rows in every attempt: cuts depend on the input's bytes and recorded settings alone,
/// never on time, thread count or memory.
pub const LABEL_1: &str = "LABEL-1: a label stands for the same rows in every attempt";

/// The bytes between reading and acknowledgement stay within the budget.
pub const MEM_1: &str = "MEM-1: bytes in flight stay within the budget";

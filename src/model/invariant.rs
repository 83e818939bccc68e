//! The promises that assertions, tests and documents quote by name.

/// Each input row ends in the target exactly once, or in the rejects exactly once.
pub const ROWS_1: &str = "ROWS-1: each input row ends in the target once or in the rejects once";

/// A label stands for the same rows in every attempt: cuts depend on the input's bytes and recorded settings alone,
/// never on time, thread count or memory.
pub const LABEL_1: &str = "LABEL-1: a label stands for the same rows in every attempt";

/// The bytes between reading and acknowledgement stay within the budget.
pub const MEM_1: &str = "MEM-1: bytes in flight stay within the budget";

/// Nothing is committed as a whole before the journal holds the decision, and from then on nothing is rolled back.
pub const COMMIT_1: &str = "COMMIT-1: no commit before its journal entry, and no way back after it";

/// The journal names what may be open at the server before it is, until it is known not to be any more.
pub const OPEN_1: &str = "OPEN-1: no transaction outlives its job unjournalled";

/// Only what the journal names is committed, rolled back or cancelled.
pub const OTHERS_1: &str = "OTHERS-1: nobody else's transaction is touched";

/// What a report or the journal calls settled is so at the server; what is in doubt is named.
pub const TRUTH_1: &str = "TRUTH-1: what is called settled is so, and what is in doubt is named";

/// A job comes to its end: done when nothing stands in its way any more, or with a failure that says what does.
pub const END_1: &str = "END-1: a job comes to an end";

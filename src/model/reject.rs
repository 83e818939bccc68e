//! [`Reject`]: a row set aside, with its place and the rule it breaks.

use super::batch::Origin;

/// The rule that a rejected row breaks: a stable word for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A stable kebab-case word: `not-a-number`, `out-of-range`, `too-long`, `null-not-allowed`, `field-count`, …
    pub code: &'static str,
    /// What would have been right, with the limit's figure: `an INT lies between -2147483648 and 2147483647`.
    pub text: String,
}

/// A row that cannot be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// Where it stands.
    pub origin: Origin,
    /// The table's column at fault; none where the whole record is (a wrong number of fields, broken JSON).
    pub column: Option<String>,
    /// The offending value as text, cut to a readable length; none where the whole record is at fault.
    pub value: Option<String>,
    /// What it breaks.
    pub rule: Rule,
    /// The record as it was read, without its line end: importing it again after the fix completes the job. Rows of
    /// binary inputs are rendered as one JSON object.
    pub raw: Vec<u8>,
}

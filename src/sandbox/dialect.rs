//! [`Dialect`]: which release of StarRocks the sandbox speaks like.

use std::fmt;
use std::str::FromStr;

/// A release, with the habits that clients can tell it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// 3.3.7: a used label is reported as `Fail`, states have no reason, there is no merge commit.
    V3_3,
    /// 3.4.3: a used label is reported as `Fail`; merge commit.
    V3_4,
    /// 3.5.4: used labels have a status of their own, answers a content type, PREPARED a time limit.
    #[default]
    V3_5,
    /// 4.0: transactions over several tables.
    V4_0,
}

impl Dialect {
    /// Every dialect, the oldest first.
    pub const ALL: [Self; 4] = [Self::V3_3, Self::V3_4, Self::V3_5, Self::V4_0];

    /// What it is called on the command line: `3.5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V3_3 => "3.3",
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V4_0 => "4.0",
        }
    }

    /// The version that the nodes tell.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V3_3 => "3.3.7-sandbox",
            Self::V3_4 => "3.4.3-sandbox",
            Self::V3_5 => "3.5.4-sandbox",
            Self::V4_0 => "4.0.1-sandbox",
        }
    }

    /// Whether a used label is an ordinary failure with a text about it (the regression that 3.5 undid).
    pub(super) fn hides_used_labels(self) -> bool {
        self < Self::V3_5
    }

    /// Whether the state of a label comes with a reason.
    pub(super) fn tells_reasons(self) -> bool {
        self >= Self::V3_4
    }

    /// Whether small loads can be put together.
    pub(super) fn merges(self) -> bool {
        self >= Self::V3_4
    }

    /// Whether the frontend has the second schema API.
    pub(super) fn has_schema_v2(self) -> bool {
        self >= Self::V3_4
    }

    /// Whether the backend says what type its answers are.
    pub(super) fn types_answers(self) -> bool {
        self >= Self::V3_5
    }

    /// Whether the backend takes the percent encoding out of database and table names.
    pub(super) fn decodes_names(self) -> bool {
        self >= Self::V3_5
    }

    /// Whether the frontend finds the backend of a transaction again once it has forgotten it.
    pub(super) fn remembers_coordinators(self) -> bool {
        self >= Self::V3_5
    }

    /// Whether PREPARED has a time limit of its own.
    pub(super) fn limits_prepared(self) -> bool {
        self >= Self::V3_5
    }

    /// Whether there are transactions over several tables, and `Db` and `Table` in answers.
    pub(super) fn has_multi_table(self) -> bool {
        self >= Self::V4_0
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

//! Names of things: [`JobId`], [`Label`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The identity of a job: its given name, or else a hash of what it reads, where it writes and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

/// The longest job name, in bytes. A label holds the job's name and, behind it, up to 40 bytes of our own.
const JOB_BYTES_MAX: usize = 80;

/// The longest label that a server takes, in bytes (`^[-\w]{1,128}$`, starrocks `FeNameFormat`).
const LABEL_BYTES_MAX: usize = 128;

/// A text that is not a valid name, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no valid {kind}: 1 to {max} letters, digits, `-` or `_` are")]
pub struct InvalidName {
    text: String,
    kind: &'static str,
    max: usize,
}

fn check(text: &str, kind: &'static str, max: usize) -> Result<String, InvalidName> {
    let fits = (1..=max).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        Ok(text.to_owned())
    } else {
        Err(InvalidName { text: text.to_owned(), kind, max })
    }
}

impl JobId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check(text, "job name", JOB_BYTES_MAX).map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The target's idempotency key of one load. It stays the same over every attempt: that is what makes sending twice
/// harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(String);

impl Label {
    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        check(text, "label", LABEL_BYTES_MAX).map(Self)
    }
}

impl TryFrom<String> for Label {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_takes_what_the_server_takes() {
        assert!("a-b_9".parse::<Label>().is_ok());
        assert!("x".repeat(128).parse::<Label>().is_ok());
        for wrong in ["", "a b", "ä", "a/b", &"x".repeat(129)] {
            assert!(wrong.parse::<Label>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_job_name_leaves_room_for_the_rest_of_the_label() {
        assert!("x".repeat(80).parse::<JobId>().is_ok());
        assert!("x".repeat(81).parse::<JobId>().is_err());
    }
}

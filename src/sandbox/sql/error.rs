//! [`Error`]: what a statement is refused with.

use std::fmt;

/// A refusal as the client sees it: MySQL's error number and StarRocks' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Error {
    pub code: u16,
    pub message: String,
}

impl Error {
    /// StarRocks' own number for "Unknown table".
    pub(in crate::sandbox) const UNKNOWN_TABLE: u16 = 5502;

    /// StarRocks' own number for a missing privilege.
    pub(in crate::sandbox) const ACCESS_DENIED: u16 = 5203;

    /// A refusal in other words than the kinds below.
    pub(in crate::sandbox) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The text is no statement.
    pub(in crate::sandbox) fn syntax(place: (usize, usize), detail: impl fmt::Display) -> Self {
        let (line, column) = place;
        Self::new(1064, format!("Getting syntax error at line {line}, column {column}. Detail message: {detail}."))
    }

    /// The statement makes no sense.
    pub(in crate::sandbox) fn analysis(detail: impl fmt::Display) -> Self {
        Self::new(1064, format!("Getting analyzing error. Detail message: {detail}."))
    }

    /// The statement makes sense in StarRocks, and the sandbox cannot do it.
    pub(in crate::sandbox) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(1064, format!("Getting analyzing error. Detail message: {what} is not supported by the sandbox yet."))
    }

    pub(in crate::sandbox) fn unknown_database(name: &str) -> Self {
        Self::new(1049, format!("Unknown database '{name}'"))
    }

    pub(in crate::sandbox) fn unknown_table(database: &str, table: &str) -> Self {
        let detail = format!("Getting analyzing error. Detail message: Unknown table '{database}.{table}'.");
        Self::new(Self::UNKNOWN_TABLE, detail)
    }

    /// The user has not been granted what the statement takes.
    pub(in crate::sandbox) fn denied(privilege: &str, kind: &str, object: &str) -> Self {
        let object = if object.is_empty() { String::new() } else { format!(" {object}") };
        let message = format!(
            "Access denied; you need (at least one of) the {privilege} privilege(s) on {kind}{object} for this \
             operation. Please ask the admin to grant permission(s) or try activating existing roles using <set \
             [default] role>. Current role(s): NONE. Inactivated role(s): NONE."
        );
        Self::new(Self::ACCESS_DENIED, message)
    }

    pub(in crate::sandbox) fn no_database() -> Self {
        Self::new(1046, "No database selected")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A fault while running a statement. What our own functions refuse is said in their words.
impl From<rusqlite::Error> for Error {
    fn from(fault: rusqlite::Error) -> Self {
        match fault {
            rusqlite::Error::SqliteFailure(_, Some(message)) => Self::new(1064, message),
            rusqlite::Error::SqlInputError { msg, .. } => Self::new(1064, msg),
            other => Self::new(1064, other.to_string()),
        }
    }
}

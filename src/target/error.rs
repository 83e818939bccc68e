//! [`Error`]: what can go wrong at the target, and what may be done about it.

use std::fmt;
use std::time::Duration;

use super::error_log::Filtered;
use super::overload::Overload;
use crate::failure::{Code, Disposition, Failure};

/// A failure at the target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The target's address cannot be used.
    #[error("`{text}` is no usable target: {reason}")]
    InvalidUrl {
        /// The address as given, without its password.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A flag that names hosts cannot be read.
    #[error("`{text}` is no usable value of {flag}: {reason}")]
    InvalidHost {
        /// The flag.
        flag: &'static str,
        /// Its value.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No Stream Load header has that name.
    #[error("there is no Stream Load setting `{name}`")]
    SettingUnknown {
        /// The name given.
        name: String,
        /// The known name that it resembles most.
        nearest: Option<&'static str>,
    },
    /// A header that this program writes itself.
    #[error("the Stream Load setting `{name}` cannot be set by hand")]
    SettingReserved {
        /// The name given.
        name: String,
        /// What to use, or why it cannot be.
        instead: &'static str,
    },
    /// A setting whose value cannot travel in a header, or that is no `name=value` at all.
    #[error("the setting `{name}` is not valid: {reason}")]
    SettingInvalid {
        /// The name given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The trusted certificates cannot be read.
    #[error("the certificates in {path} cannot be used: {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Nothing answered, and nothing of a body has left.
    #[error("no answer from {}", Attempts(.attempts))]
    Unreachable {
        /// Each address tried, and why it failed.
        attempts: Vec<(String, String)>,
    },
    /// Credentials or a privilege are missing.
    #[error("{address} denies access: {message}")]
    AccessDenied {
        /// Who refused.
        address: String,
        /// Its words.
        message: String,
    },
    /// The database or the table does not exist.
    #[error("{place} does not exist: {message}")]
    NoSuchTable {
        /// The database, or `database.table`.
        place: String,
        /// The server's words.
        message: String,
    },
    /// The server filtered rows.
    #[error("the target refused {filtered} of {total} rows: {message}{}", Sample(.samples))]
    RowsRefused {
        /// The server's words.
        message: String,
        /// Rows in the load, as the server counted them.
        total: u64,
        /// Rows it filtered.
        filtered: u64,
        /// The first lines of its error log, for people: reasons and rows.
        samples: Vec<String>,
        /// The rows that it names, as many as it gives.
        lines: Vec<Filtered>,
        /// Where that log is.
        log: Option<String>,
    },
    /// A redirect that must not be followed, or cannot be.
    #[error("{address} redirects to `{location}`, which is not followed: {reason}")]
    RedirectRefused {
        /// Who redirected.
        address: String,
        /// Where to.
        location: String,
        /// Why not.
        reason: String,
        /// The flag that would change it.
        remedy: String,
    },
    /// An answer that is not one of the protocol's.
    #[error("{address} gave an answer that makes no sense: {excerpt}")]
    AnswerUnreadable {
        /// Who answered.
        address: String,
        /// Its status and the start of its body.
        excerpt: String,
        /// Whether a body had begun to leave, so that its rows may have been applied.
        sent: bool,
    },
    /// The target asks for patience.
    #[error("{address} is too busy: {message}")]
    Busy {
        /// Who said so.
        address: String,
        /// In which way.
        overload: Overload,
        /// How long it asks to be left alone.
        after: Option<Duration>,
        /// Its words.
        message: String,
    },
    /// The attempt failed for a reason that passes, and nothing of it was applied.
    #[error("the load failed and can be sent again: {message}")]
    Failed {
        /// How long to wait.
        after: Option<Duration>,
        /// The server's words.
        message: String,
    },
    /// A body has begun to leave, and whether its rows were applied is not known.
    #[error("{address} left the outcome open: {reason}")]
    Unconfirmed {
        /// The node.
        address: String,
        /// What happened instead of an answer, or what the answer says.
        reason: String,
    },
    /// Another attempt under the label is still open.
    #[error("an earlier attempt under label `{label}` has not ended: {message}")]
    LabelBusy {
        /// The label.
        label: String,
        /// The server's words.
        message: String,
    },
    /// The server refused the request, and would refuse it again.
    #[error("the target refused the request: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The headers of a request are longer than a server takes.
    #[error("the request's headers take {bytes} bytes, more than the {max} that a server reads")]
    HeadersTooLong {
        /// Their size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The server committed a load, and its counts are not those of the chunk.
    #[error("the target committed label `{label}` with other counts than were sent: {difference}")]
    CountsDisagree {
        /// The label.
        label: String,
        /// Which counts, and how.
        difference: String,
    },
    /// A column that cannot be created or loaded.
    #[error("column `{column}` cannot be used: {reason}")]
    ColumnUnsupported {
        /// Its name.
        column: String,
        /// Why.
        reason: String,
    },
    /// A query that failed.
    #[error("the query failed: {message}")]
    QueryFailed {
        /// The server's words.
        message: String,
    },
    /// A question about the cluster that a node refuses.
    #[error("{address} refuses {question}: {message}")]
    QuestionRefused {
        /// Who refused.
        address: String,
        /// What it was asked for.
        question: String,
        /// Its words.
        message: String,
    },
    /// A question about the cluster that the user may not ask.
    #[error("{address} denies {question}, which takes the privilege {privilege}: {message}")]
    PrivilegeMissing {
        /// Who refused.
        address: String,
        /// What it was asked for.
        question: String,
        /// What the user lacks.
        privilege: &'static str,
        /// Its words.
        message: String,
    },
    /// A node that must not be sent credentials.
    #[error("{node} is not asked: {reason}")]
    NodeForeign {
        /// The node as named.
        node: String,
        /// Why not.
        reason: String,
        /// The flag that would change it.
        remedy: String,
    },
    /// A path that is not asked for.
    #[error("`{path}` is not asked for: {reason}")]
    PathInvalid {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    /// What may be done about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        // No `_` arm: a new variant has to be thought about here.
        match self {
            Self::Unreachable { .. } => Disposition::Retry { after: None },
            Self::Busy { after, .. } | Self::Failed { after, .. } => Disposition::Retry { after: *after },
            Self::Unconfirmed { .. } | Self::LabelBusy { .. } | Self::AnswerUnreadable { sent: true, .. } => {
                Disposition::Resolve
            }
            Self::RowsRefused { .. } => Disposition::Reject,
            // Counts that disagree are not tried again: the rows are committed, and a second load would not take them
            // back.
            Self::CountsDisagree { .. }
            | Self::AnswerUnreadable { sent: false, .. }
            | Self::InvalidUrl { .. }
            | Self::InvalidHost { .. }
            | Self::SettingUnknown { .. }
            | Self::SettingReserved { .. }
            | Self::SettingInvalid { .. }
            | Self::Certificates { .. }
            | Self::AccessDenied { .. }
            | Self::NoSuchTable { .. }
            | Self::RedirectRefused { .. }
            | Self::Refused { .. }
            | Self::HeadersTooLong { .. }
            | Self::ColumnUnsupported { .. }
            | Self::QueryFailed { .. }
            | Self::QuestionRefused { .. }
            | Self::PrivilegeMissing { .. }
            | Self::NodeForeign { .. }
            | Self::PathInvalid { .. } => Disposition::Abort,
        }
    }
}

impl Error {
    /// Who is too busy, and in which way; none where that is not what is wrong.
    #[must_use]
    pub fn overload(&self) -> Option<(&str, Overload)> {
        match self {
            Self::Busy { address, overload, .. } => Some((address, *overload)),
            _ => None,
        }
    }

    /// Who asks for less, and why in a few words: an overload, or no answer within the time of a load.
    #[must_use]
    pub fn slows_down(&self) -> Option<(&str, &'static str)> {
        match self {
            Self::Busy { address, overload, .. } => Some((address, overload.words())),
            Self::Unconfirmed { address, reason } if reason.starts_with(NO_ANSWER_WITHIN) => {
                Some((address, "no answer in time"))
            }
            _ => None,
        }
    }
}

impl Failure for Error {
    fn code(&self) -> Code {
        match self {
            Self::InvalidUrl { .. } | Self::InvalidHost { .. } => Code::TargetInvalid,
            Self::SettingUnknown { .. } | Self::SettingReserved { .. } | Self::SettingInvalid { .. } => {
                Code::SettingUnknown
            }
            Self::Certificates { .. } | Self::Unreachable { .. } => Code::TargetUnreachable,
            Self::AccessDenied { .. } | Self::PrivilegeMissing { .. } => Code::AccessDenied,
            Self::NoSuchTable { .. } => Code::NoSuchTable,
            Self::RowsRefused { .. } => Code::RowsRefused,
            Self::RedirectRefused { .. } | Self::NodeForeign { .. } => Code::RedirectRefused,
            Self::AnswerUnreadable { .. } => Code::AnswerUnreadable,
            Self::Busy { .. } => Code::TargetBusy,
            Self::Unconfirmed { .. } | Self::LabelBusy { .. } => Code::InDoubt,
            Self::Failed { .. } | Self::Refused { .. } | Self::HeadersTooLong { .. } => Code::RequestRefused,
            Self::CountsDisagree { .. } => Code::CountsDisagree,
            Self::ColumnUnsupported { .. } => Code::TypeUnsupported,
            Self::QueryFailed { .. } => Code::QueryFailed,
            Self::QuestionRefused { .. } => Code::QuestionRefused,
            Self::PathInvalid { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::InvalidUrl { .. } => {
                "write it as starrocks://user@fe1:8030,fe2:8030/database/table, or sandbox:database/table".to_owned()
            }
            Self::InvalidHost { flag: "--map-host", .. } => {
                "write it as node=host:port, such as be1=10.0.0.5:18040".to_owned()
            }
            Self::InvalidHost { .. } => "write it as host, host:port, *.suffix or *".to_owned(),
            Self::SettingUnknown { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::SettingUnknown { nearest: None, .. } => {
                "see the Stream Load headers in the StarRocks manual; `shipload explain L4003` lists those taken"
                    .to_owned()
            }
            Self::SettingReserved { instead, .. } => (*instead).to_owned(),
            Self::SettingInvalid { .. } => "write it as name=value, on one line".to_owned(),
            Self::Certificates { .. } => "give a PEM file with the certificates of the authority to trust".to_owned(),
            Self::Unreachable { attempts } => unreachable_hint(attempts),
            Self::AccessDenied { .. } => {
                "check user and password (SHIPLOAD_PASSWORD), and that the user has INSERT and SELECT on the table".to_owned()
            }
            Self::NoSuchTable { .. } => "check the spelling, or let `--create-table` create it".to_owned(),
            Self::RowsRefused { log: Some(log), .. } => {
                format!("the server's list of refused rows is at {log} for about two days")
            }
            Self::RowsRefused { log: None, .. } => "compare the values with the table's column types".to_owned(),
            Self::RedirectRefused { remedy, .. } | Self::NodeForeign { remedy, .. } => remedy.clone(),
            Self::AnswerUnreadable { sent: false, .. } => {
                "is this the HTTP port of a frontend (8030 by default), and no proxy in between?".to_owned()
            }
            Self::AnswerUnreadable { sent: true, .. } | Self::Unconfirmed { .. } | Self::LabelBusy { .. } => {
                "run the same import again: it asks for the label's state before it sends anything".to_owned()
            }
            Self::Busy { .. } => {
                "use fewer and larger loads (`--parallel`, `--load-size`), or wait for compaction".to_owned()
            }
            Self::HeadersTooLong { .. } => {
                "name fewer columns, shorten `--columns` and `--where`, or split the table's load".to_owned()
            }
            Self::CountsDisagree { label, .. } => {
                format!(
                    "the rows of label `{label}` may be live: compare the table with the input before loading again"
                )
            }
            Self::Failed { .. } => "run the same import again: it goes on where it stopped".to_owned(),
            Self::QueryFailed { .. } => {
                "one SELECT, SHOW, DESC or EXPLAIN goes through the HTTP SQL API; what changes something needs a MySQL client"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "correct what the message names, most often in --columns, --where or --set, and run the import again"
                    .to_owned()
            }
            Self::QuestionRefused { .. } => {
                "check the spelling, user and password, and that this kind and version of node answers it; \
                 `shipload cluster nodes` shows both"
                    .to_owned()
            }
            Self::PrivilegeMissing { privilege, .. } => {
                format!("check user and password; what the user lacks, an administrator gives: GRANT {privilege} TO USER …")
            }
            Self::PathInvalid { .. } => {
                "give path and query as the node knows them, percent-encoded, such as `/api/show_proc?path=/backends`"
                    .to_owned()
            }
            Self::ColumnUnsupported { .. } => {
                "rename or compute it with --columns, or create the table by hand".to_owned()
            }
        })
    }
}

/// How the reason begins where an answer came, and was longer than is read.
pub(super) const ANSWER_TOO_LONG: &str = "the answer is longer than";

/// How the reason begins where no answer came in time.
pub(super) const NO_ANSWER_WITHIN: &str = "no answer within";

/// What stands behind the address of a MySQL port.
pub(super) const MYSQL: &str = " (MySQL)";

fn unreachable_hint(attempts: &[(String, String)]) -> String {
    let node = attempts.iter().find_map(|(address, _)| address.split_once(" via "));
    if let Some((node, _)) = node {
        format!(
            "the frontend names a node that is down, or is reached elsewhere from here: --map-host {node}=HOST:PORT"
        )
    } else if attempts.iter().any(|(_, reason)| reason.starts_with(ANSWER_TOO_LONG)) {
        "ask for less, or check that this is the HTTP port of a node and not of something else".to_owned()
    } else if attempts.iter().any(|(address, _)| address.ends_with(MYSQL)) {
        "tables are created over the frontend's MySQL port: name it with --mysql-port, or create the table by hand"
            .to_owned()
    } else {
        "check host and port (the frontend's HTTP port, 8030 by default), and that no firewall is in between".to_owned()
    }
}

/// Addresses and reasons, in one clause.
struct Attempts<'a>(&'a [(String, String)]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, reason)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address} ({reason})")?;
        }
        Ok(())
    }
}

/// The first sample, behind a colon.
struct Sample<'a>(&'a [String]);

impl fmt::Display for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |first| write!(f, "; first: {first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_and_its_reason_is_named() {
        let error = Error::Unreachable {
            attempts: vec![
                ("fe1:8030".into(), "connection refused".into()),
                ("fe2:8030".into(), "no such host".into()),
            ],
        };
        assert_eq!(error.to_string(), "no answer from fe1:8030 (connection refused), fe2:8030 (no such host)");
        assert_eq!(error.disposition(), Disposition::Retry { after: None });
    }

    #[test]
    fn an_unreadable_answer_is_in_doubt_only_once_a_body_has_left() {
        let error = |sent| Error::AnswerUnreadable { address: "be".into(), excerpt: "<html>".into(), sent };
        assert_eq!(error(true).disposition(), Disposition::Resolve);
        assert_eq!(error(false).disposition(), Disposition::Abort);
    }
}

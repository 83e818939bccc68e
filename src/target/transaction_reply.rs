//! What a reply to a request on a transaction means: one table of operation and reply (SR §4.3, §4.7).
//!
//! Nothing is in the table before `commit`, so a failure of `begin`, `load` or `prepare` never leaves rows in doubt, only
//! perhaps an open transaction. After `commit` and `rollback` everything but a clear answer is settled by asking for the
//! label's state.

use super::reply::{self, Reply, Sent, said};
use super::symptom::{Meaning, meaning};
use super::{Error, Prepared};

/// A request on a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Begin,
    Load,
    Prepare,
    Commit,
    Rollback,
}

impl Operation {
    /// The last segment of its path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Load => "load",
            Self::Prepare => "prepare",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
        }
    }
}

/// What a reply means for its transaction.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is done.
    Done,
    /// It had been done before: committed, or rolled back.
    Already,
    /// The filter left no row, and the server has rolled the empty transaction back.
    Empty,
    /// The label's state has to be asked for.
    Ask(String),
    /// It failed.
    Failed(Error),
}

/// What a reply to an operation means.
pub(super) fn judge(operation: Operation, reply: &Reply, sent: &Sent<'_>) -> Verdict {
    let status = reply.status.trim().to_ascii_uppercase();
    match (operation, status.as_str()) {
        (Operation::Begin, "LABEL_ALREADY_EXISTS") => Verdict::Failed(taken(reply, sent)),
        (_, "OK") => done(operation, reply, sent),
        (Operation::Commit | Operation::Rollback, _) => unclear(reply, sent),
        _ => failed(operation, reply, sent),
    }
}

fn done(operation: Operation, reply: &Reply, sent: &Sent<'_>) -> Verdict {
    let difference = match operation {
        Operation::Load if reply.load_bytes != Some(sent.body_bytes) => {
            let got = reply.load_bytes.map_or("no".to_owned(), |bytes| bytes.to_string());
            Some(format!("{got} body bytes for {}", sent.body_bytes))
        }
        Operation::Prepare => reply::difference(reply, sent),
        _ => reply::other_label(reply, sent.label),
    };
    match (operation, difference) {
        (_, None) if reply.message.contains("has already") => Verdict::Already,
        (_, None) => Verdict::Done,
        // Somebody else's answer.
        (Operation::Commit | Operation::Rollback, Some(difference)) => Verdict::Ask(difference),
        (_, Some(difference)) => Verdict::Failed(Error::Failed {
            after: None,
            message: format!("the answer to {} does not agree with what was sent: {difference}", operation.name()),
        }),
    }
}

/// Commit and rollback may be repeated, and a transaction may have ended otherwise than the words of a failure suggest:
/// `publish timeout` is committed.
fn unclear(reply: &Reply, sent: &Sent<'_>) -> Verdict {
    match meaning(&words(reply)) {
        Some(Meaning::Denied) => {
            Verdict::Failed(Error::AccessDenied { address: sent.address.to_owned(), message: said(reply) })
        }
        _ => Verdict::Ask(said(reply)),
    }
}

fn failed(operation: Operation, reply: &Reply, sent: &Sent<'_>) -> Verdict {
    let message = said(reply);
    match meaning(&words(reply)) {
        // Only a begin can hear that of a label; the others are told what became of their own transaction.
        Some(Meaning::Settle) if operation == Operation::Begin => Verdict::Failed(taken(reply, sent)),
        Some(Meaning::NoRows) if sent.with_filter && reply::nothing_selected(reply, sent) => Verdict::Empty,
        Some(Meaning::Rows) => Verdict::Failed(Error::RowsRefused {
            message,
            total: reply.rows_total.unwrap_or(sent.rows),
            filtered: reply.rows_filtered.unwrap_or(0),
            samples: Vec::new(),
            lines: Vec::new(),
            log: reply.error_url.clone(),
        }),
        Some(Meaning::Open | Meaning::Settle) | None => Verdict::Failed(Error::Failed { after: None, message }),
        Some(known) => Verdict::Failed(reply::error_of(known, message, sent.address, sent.place)),
    }
}

fn taken(reply: &Reply, sent: &Sent<'_>) -> Error {
    let state = if reply.existing_job_status.is_empty() { String::new() } else { reply.existing_job_status.clone() };
    let message = [state, said(reply)].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    Error::LabelBusy { label: sent.label.to_string(), message }
}

/// The status is a name that says as much as the message does.
fn words(reply: &Reply) -> String {
    format!("{}: {}", reply.status, reply.message)
}

/// What a reply says of the rows that are prepared.
pub(super) fn prepared(reply: &Reply, sent: &Sent<'_>) -> Prepared {
    Prepared {
        transaction_id: reply.transaction_id.filter(|id| *id >= 0),
        rows_loaded: reply.rows_loaded.unwrap_or(sent.rows),
        rows_unselected: reply.rows_unselected.unwrap_or(0),
        phases: reply.phases.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::Operation::{Begin, Commit, Load, Prepare, Rollback};
    use super::*;
    use crate::failure::Disposition;
    use crate::model::Label;

    fn judged(operation: Operation, body: &str) -> String {
        let label: Label = "l-1".parse().unwrap();
        let sent = Sent { address: "be1", place: "db.t", label: &label, rows: 2, body_bytes: 8, with_filter: false };
        let reply = reply::parse(body.as_bytes()).unwrap();
        match judge(operation, &reply, &sent) {
            Verdict::Done => "done".into(),
            Verdict::Already => "already".into(),
            Verdict::Empty => "empty".into(),
            Verdict::Ask(_) => "ask".into(),
            Verdict::Failed(Error::LabelBusy { .. }) => "taken".into(),
            Verdict::Failed(Error::RowsRefused { .. }) => "rows".into(),
            Verdict::Failed(error) => match error.disposition() {
                Disposition::Retry { .. } => "again".into(),
                Disposition::Abort => "stop".into(),
                other => format!("{other:?}"),
            },
        }
    }

    /// A reply with nothing but a status and a message.
    fn said_so(operation: Operation, status: &str, message: &str) -> String {
        judged(operation, &format!(r#"{{"Status":"{status}","Message":"{message}","Label":"l-1"}}"#))
    }

    #[test]
    fn a_begin_under_a_label_that_lives_on_the_same_backend_is_taken() {
        assert_eq!(judged(Begin, r#"{"Status":"LABEL_ALREADY_EXISTS","ExistingJobStatus":"","Message":""}"#), "taken");
    }

    #[test]
    fn a_begin_under_a_label_that_is_open_elsewhere_is_taken() {
        let body = r#"{"Status":"LABEL_ALREADY_EXISTS","ExistingJobStatus":"RUNNING","Message":"x"}"#;
        assert_eq!(judged(Begin, body), "taken");
        assert_eq!(said_so(Begin, "ANALYSIS_ERROR", "Label [l-1] has already been used."), "taken", "SR §3.2");
    }

    #[test]
    fn a_begin_under_a_label_that_is_committed_is_taken() {
        let body = r#"{"Status":"LABEL_ALREADY_EXISTS","ExistingJobStatus":"FINISHED","Message":"x"}"#;
        assert_eq!(judged(Begin, body), "taken");
    }

    #[test]
    fn a_begin_under_a_label_that_is_aborted_or_unknown_is_done() {
        assert_eq!(judged(Begin, r#"{"Status":"OK","Message":"","Label":"l-1","TxnId":7}"#), "done");
        assert_eq!(judged(Begin, r#"{"Status":"OK","Message":"","Label":"l-2","TxnId":7}"#), "again");
    }

    #[test]
    fn a_load_or_prepare_of_a_transaction_that_is_gone_begins_anew() {
        for operation in [Load, Prepare] {
            assert_eq!(said_so(operation, "TXN_NOT_EXISTS", "transaction with label l-1 not exists"), "again");
            assert_eq!(said_so(operation, "ABORTED", "transaction is aborted by timeout 5 seconds."), "again");
        }
    }

    #[test]
    fn a_commit_of_what_is_prepared_is_done_or_has_to_be_asked_about() {
        assert_eq!(judged(Commit, r#"{"Status":"OK","Message":"","Label":"l-1","TxnId":7}"#), "done");
        assert_eq!(said_so(Commit, "FAILED", "publish timeout: 20000, transactionId=7"), "ask");
        assert_eq!(judged(Commit, r#"{"Status":"OK","Message":"","Label":"l-2","TxnId":7}"#), "ask");
    }

    #[test]
    fn a_commit_of_what_is_committed_says_so() {
        assert_eq!(said_so(Commit, "OK", "Transaction 7 has already committed, label is l-1"), "already");
    }

    #[test]
    fn a_commit_of_what_is_aborted_has_to_be_asked_about() {
        assert_eq!(said_so(Commit, "FAILED", "Can not commit ABORTED transaction 7"), "ask");
    }

    #[test]
    fn a_rollback_is_done_whether_it_was_prepared_or_not() {
        assert_eq!(said_so(Rollback, "OK", ""), "done");
    }

    #[test]
    fn a_rollback_of_what_is_aborted_says_so() {
        assert_eq!(said_so(Rollback, "OK", "Transaction 7 has already aborted, label is l-1"), "already");
    }

    #[test]
    fn a_rollback_of_what_is_committed_has_to_be_asked_about() {
        assert_eq!(said_so(Rollback, "FAILED", "Can not abort VISIBLE transaction 7"), "ask");
    }

    #[test]
    fn a_commit_or_rollback_of_a_label_that_is_forgotten_has_to_be_asked_about() {
        for operation in [Commit, Rollback] {
            assert_eq!(said_so(operation, "FAILED", "No transaction found by label l-1"), "ask");
            assert_eq!(said_so(operation, "TXN_NOT_EXISTS", ""), "ask");
            assert_eq!(said_so(operation, "INTERNAL_ERROR", "Access denied; you need INSERT"), "stop");
        }
    }

    #[test]
    fn what_is_prepared_has_the_counts_that_were_sent() {
        let body = |rows: u64, bytes: u64| {
            format!(
                r#"{{"Status":"OK","Message":"","Label":"l-1","TxnId":7,"NumberTotalRows":{rows},"NumberLoadedRows":{rows},
                "NumberFilteredRows":0,"NumberUnselectedRows":0,"LoadBytes":{bytes}}}"#
            )
        };
        for (rows, bytes, wanted) in [(2, 8, "done"), (1, 8, "again"), (4, 16, "again"), (2, 7, "again")] {
            assert_eq!(judged(Prepare, &body(rows, bytes)), wanted, "{rows} rows, {bytes} bytes");
        }
        assert_eq!(said_so(Prepare, "OK", ""), "again", "an answer without counts proves nothing");
        assert_eq!(judged(Load, r#"{"Status":"OK","Label":"l-1","LoadBytes":8}"#), "done");
        assert_eq!(judged(Load, r#"{"Status":"OK","Label":"l-1","LoadBytes":3}"#), "again");
    }

    #[test]
    fn other_failures_are_told_apart_by_status_and_words() {
        for (operation, status, message, wanted) in [
            (Begin, "SERVICE_UNAVAILABLE", "Service is shutting down, please retry later!", "again"),
            (Begin, "ANALYSIS_ERROR", "current running txns on db 1 is 1000, larger than limit 1000", "again"),
            (Begin, "ANALYSIS_ERROR", "unknown table, table=t", "stop"),
            (Begin, "FAILED", "class com.starrocks.common.DdlException: No backend alive.", "again"),
            (Load, "TXN_IN_PROCESSING", "Transaction in processing, please retry later", "again"),
            (Load, "MEM_LIMIT_EXCEEDED", "", "again"),
            (Load, "INTERNAL_ERROR", "load request not equal last.", "stop"),
            (Load, "THRIFT_RPC_ERROR", "", "again"),
            (Prepare, "DATA_QUALITY_ERROR", "too many filtered rows", "rows"),
            (Prepare, "INTERNAL_ERROR", "transaction l-1 hasn't send any data yet", "again"),
            (Prepare, "INTERNAL_ERROR", "something new", "again"),
            (Commit, "INTERNAL_ERROR", "something new", "ask"),
            (Rollback, "TXN_IN_PROCESSING", "", "ask"),
        ] {
            assert_eq!(said_so(operation, status, message), wanted, "{operation:?} {status} {message}");
        }
    }
}

//! What the server's words for a failure mean: one table, read from the top (SR §3.5).
//!
//! `Fail` alone proves nothing (SR §3.4). These fragments do, or say that only the label's state can. Whatever is tried
//! again goes under the same label, so that a wrong guess here costs time, never rows.

use std::time::Duration;

use self::Meaning::{Again, Busy, Denied, NoRows, NoTable, Open, Refused, Rows, Settle};
use super::overload::Overload::{
    self, Compaction, Label, Locks, Memory, NoBackend, NoLeader, Requests, Tablet, Transactions, Versions,
};

/// What a failed load's message says about its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// They may be applied.
    Open,
    /// They are applied, or another attempt holds the label: the label's state says which.
    Settle,
    /// They are not applied; the same load can be sent again after so many milliseconds.
    Again(u64),
    /// They are not applied, and the server is overloaded.
    Busy(Overload),
    /// They are not applied: bad values among them.
    Rows,
    /// They are not applied: none was left after the filter.
    NoRows,
    /// Credentials or privileges are missing.
    Denied,
    /// There is no such database or table.
    NoTable,
    /// The request would fail the same way again.
    Refused,
}

impl Meaning {
    /// The pause that a millisecond count of the table stands for.
    pub(super) fn pause(milliseconds: u64) -> Option<Duration> {
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }
}

/// Fragments in lower case, `*` for anything between two of them. The first that fits counts, so the doubtful ones come
/// first: a message can quote another one.
const TABLE: &[(&str, Meaning)] = &[
    // The outcome of the commit is not known.
    ("fe rpc failure", Open),
    ("call frontend service failed", Open),
    ("thrift_rpc_error", Open),
    ("transaction status unknown", Open),
    ("publish timeout", Open),
    ("txn_not_exists", Open),
    ("no transaction found", Open),
    ("can't find the transaction", Open),
    ("transaction not found", Open),
    // Somebody else's attempt, or our own that got through.
    ("has already been used", Settle),
    ("can not abort committed transaction", Settle),
    ("can not abort visible transaction", Settle),
    ("state is *, could not abort", Settle),
    ("state is *could not abort", Settle),
    // Rolled back for good: a new attempt is free.
    ("transaction is aborted by", Again(0)),
    ("can not commit aborted transaction", Again(0)),
    ("the load is timeout", Again(0)),
    ("timeout by txn manager", Again(0)),
    ("coordinate be is down", Again(0)),
    ("user cancel", Again(0)),
    // Values, and bodies that are not what they say.
    ("too many filtered rows", Rows),
    ("abnormal data more than max filter rat", Rows),
    ("no rows were imported from upstream", NoRows),
    ("all partitions have no load data", NoRows),
    // The plan: `columns` and `where` are analysed before a row is read.
    ("getting analyzing error", Refused),
    ("getting syntax error", Refused),
    ("unknown reference column", Refused),
    ("unknown column reference", Refused),
    ("failed to iterate document stream", Refused),
    ("illegal json started with", Refused),
    ("the value should be ", Refused),
    ("unknown data format", Refused),
    ("unsupported compression type", Refused),
    ("only one of http header", Refused),
    ("column has no default value", Refused),
    ("only primary key table support partial update", Refused),
    ("key column * not in partial update columns", Refused),
    ("mapping column is not in table", Refused),
    ("invalid timeout", Refused),
    ("invalid * format", Refused),
    ("body size * exceed limit", Refused),
    ("the size of this batch exceed the max size", Refused),
    ("label format error", Refused),
    ("there is no 100-continue header", Refused),
    ("load request not equal last", Refused),
    ("request table * not equal transaction table", Refused),
    ("multi-statement transaction requests can only be sent to fe", Refused),
    ("disable_load_job is set to true", Refused),
    ("cannot write restore state table", Refused),
    ("primary key size exceed the limit", Refused),
    ("primary-key index exceeds the limit", Refused),
    // Who and where.
    ("access denied", Denied),
    ("no valid basic authorization", Denied),
    ("unknown database", NoTable),
    ("unknown table", NoTable),
    ("no database selected", NoTable),
    ("table * does not exist", NoTable),
    ("database * does not exist", NoTable),
    // Passing trouble.
    ("service is shutting down", Again(1_000)),
    ("receive body don't equal with body bytes", Again(0)),
    ("commit failed. txn: * quorum", Again(5_000)),
    ("has unfinished tablets", Again(5_000)),
    // Overload.
    ("txn_in_processing", Busy(Label)),
    ("no backend alive", Busy(NoBackend)),
    ("no backend or compute node alive", Busy(NoBackend)),
    ("no available backends", Busy(NoBackend)),
    ("current fe is not master", Busy(NoLeader)),
    ("current running txns on db", Busy(Transactions)),
    ("streamload txn num per be exceeds limit", Busy(Transactions)),
    ("stream load exceed http cuncurrent limit", Busy(Requests)),
    ("stream load exceed http concurrent limit", Busy(Requests)),
    ("get database read lock timeout", Busy(Locks)),
    ("get database write lock timeout", Busy(Locks)),
    ("failed to acquire lock", Busy(Locks)),
    ("too many versions", Busy(Versions)),
    ("too many tablet versions", Busy(Versions)),
    ("close index channel failed", Busy(Versions)),
    ("close wait failed", Busy(Versions)),
    ("commit rate exceeds compaction throughput", Busy(Compaction)),
    ("tablet is in error state", Busy(Tablet)),
    ("primary key memory usage exceeds the limit", Busy(Memory)),
    ("memory of * exceed limit", Busy(Memory)),
    ("mem_limit_exceeded", Busy(Memory)),
    ("quota", Refused),
];

/// What a message means; none where the table does not know it.
pub(super) fn meaning(message: &str) -> Option<Meaning> {
    let message = message.to_lowercase();
    TABLE.iter().find(|(pattern, _)| fits(&message, pattern)).map(|(_, meaning)| *meaning)
}

fn fits(message: &str, pattern: &str) -> bool {
    let mut rest = message;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_symptom_of_the_protocol_has_its_meaning() {
        for (message, expected) in [
            ("Access denied for u@10.0.0.1", Denied),
            ("no valid Basic authorization", Denied),
            ("class com.starrocks.common.DdlException: There is no 100-continue header", Refused),
            ("No backend alive.", Busy(NoBackend)),
            ("No backend or compute node alive.", Busy(NoBackend)),
            ("No available backends", Busy(NoBackend)),
            ("current fe is not master", Busy(NoLeader)),
            ("unknown database, database=x", NoTable),
            ("unknown table x", NoTable),
            ("No database selected.", NoTable),
            ("Table [x] does not exist", NoTable),
            ("Label format error. regex: …", Refused),
            (
                "STREAM_LOAD_TASK:1, label{a}, error_msg{cancel stream task for exception: Label [a] has already been used.}",
                Settle,
            ),
            ("current running txns on db 10002 is 1000, larger than limit 1000", Busy(Transactions)),
            ("streamload txn num per be exceeds limit", Busy(Transactions)),
            ("Stream Load exceed http cuncurrent limit", Busy(Requests)),
            ("Service is shutting down, please retry later!", Again(1_000)),
            ("get database read lock timeout, database=db", Busy(Locks)),
            ("get database write lock timeout, database=db", Busy(Locks)),
            ("Failed to acquire lock: db", Busy(Locks)),
            (
                "Failed to load data into tablet 1, because of too many versions, current/limit: 1001/1000",
                Busy(Versions),
            ),
            ("too many tablet versions", Busy(Versions)),
            ("close index channel failed", Busy(Versions)),
            ("close wait failed", Busy(Versions)),
            ("Commit rate exceeds compaction throughput", Busy(Compaction)),
            ("Memory of process exceed limit. Used: 1", Busy(Memory)),
            ("MEM_LIMIT_EXCEEDED", Busy(Memory)),
            ("primary key memory usage exceeds the limit", Busy(Memory)),
            ("primary key size exceed the limit", Refused),
            ("Primary-key index exceeds the limit", Refused),
            ("too many filtered rows", Rows),
            ("abnormal data more than max filter rate", Rows),
            ("Failed to iterate document stream as object", Refused),
            ("illegal json started with x", Refused),
            ("The value should be object", Refused),
            ("No rows were imported from upstream", NoRows),
            ("all partitions have no load data", NoRows),
            ("Getting analyzing error. Detail message: Column 'nope' cannot be resolved.", Refused),
            ("Getting syntax error at line 1, column 4.", Refused),
            ("unknown column reference in where statement, reference=nope", Refused),
            ("unknown reference column, column=a, reference=b", Refused),
            ("receive body don't equal with body bytes, length=2", Again(0)),
            ("body size 9 exceed limit: 8, streaming_load_max_mb", Refused),
            ("The size of this batch exceed the max size [1]", Refused),
            ("unknown data format, format=x", Refused),
            ("Unsupported compression type: x", Refused),
            ("Invalid timeout format", Refused),
            ("Invalid strict mode format", Refused),
            ("Column has no default value. column: x", Refused),
            ("Only primary key table support partial update", Refused),
            ("key column k not in partial update columns", Refused),
            ("Mapping column is not in table. column: x", Refused),
            ("FE RPC failure, address=fe:9020, reason=access denied", Open),
            ("call frontend service failed", Open),
            ("THRIFT_RPC_ERROR", Open),
            ("Transaction status unknown, you can retry with same label", Open),
            ("publish timeout: 20, transactionId=7", Open),
            ("TXN_NOT_EXISTS", Open),
            ("No transaction found by label x", Open),
            ("Can't find the transaction", Open),
            ("transaction not found: x", Open),
            ("TXN_IN_PROCESSING", Busy(Label)),
            ("transaction is aborted by timeout 5 seconds.", Again(0)),
            ("The load is timeout", Again(0)),
            ("timeout by txn manager", Again(0)),
            ("coordinate BE is down", Again(0)),
            ("user cancel", Again(0)),
            ("Can not commit ABORTED transaction 1", Again(0)),
            ("Can not abort COMMITTED transaction 1", Settle),
            ("Can not abort VISIBLE transaction 1", Settle),
            ("transaction's state is COMMITTED, could not abort", Settle),
            ("Commit failed. txn: 1 table: t tablet: 2 quorum: 2<3", Again(5_000)),
            ("txn 1 has unfinished tablets", Again(5_000)),
            ("Tablet is in error state, tablet_id: 1", Busy(Tablet)),
            ("disable_load_job is set to true, all load jobs are prevented", Refused),
            ("Cannot write RESTORE state table 1", Refused),
            ("load request not equal last.", Refused),
            ("Request table a not equal transaction table b", Refused),
            ("Multi-statement transaction requests can only be sent to FE nodes", Refused),
        ] {
            assert_eq!(meaning(message), Some(expected), "{message}");
        }
        assert_eq!(meaning("something new"), None);
        assert_eq!(meaning(""), None);
    }
}

//! The server's words, as the protocol spells them (SR §3, §4, §5). None of the client's reading of them is used here.

use super::server::Transaction;
use crate::target::simulated::Response;

/// A page of something in between that knows nothing of loads.
pub(super) const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Session expired</body></html>";

/// Failures of which nothing was applied, with the words for them.
pub(super) const ROLLED_BACK: &[&str] = &[
    "because of too many versions, current/limit: 1003/1000",
    "current running txns on db 10001 is 1000, larger than limit 1000",
    "Memory of process exceed limit. Used: 90, Limit: 80",
    "get database write lock timeout",
    "Service is shutting down, please retry later!",
    "Commit failed. txn: 7 table: t tablet: 9 quorum: 1<2 errorReplicas: be2",
    "Stream Load exceed http cuncurrent limit",
];

pub(super) fn answer(status: u16, body: impl Into<String>, sent: bool) -> Response {
    Response { status, headers: Vec::new(), body: body.into(), sent }
}

pub(super) fn redirect(to: &str, path: &str) -> Response {
    Response {
        status: 307,
        headers: vec![("location", format!("http://{to}{path}"))],
        body: String::new(),
        sent: false,
    }
}

/// Four counts: total, loaded, filtered, unselected; and the bytes of the body.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Counts {
    pub(super) fn of(transaction: &Transaction) -> Self {
        Self { rows: transaction.rows.len() as u64, bytes: transaction.bytes }
    }

    fn members(self) -> String {
        format!(
            r#""NumberTotalRows": {0}, "NumberLoadedRows": {0}, "NumberFilteredRows": 0, "NumberUnselectedRows": 0, "LoadBytes": {1}"#,
            self.rows, self.bytes
        )
    }
}

/// A backend's reply to a load: `TxnId` −1 where none was begun.
pub(super) fn load(status: &str, message: &str, label: &str, id: Option<usize>, counts: Counts, more: &str) -> String {
    let id = id.map_or(-1, |id| i64::try_from(id).unwrap());
    format!(
        r#"{{ "TxnId": {id}, "Label": "{label}", "Status": "{status}",{more} "Message": "{message}", {}, "LoadTimeMs": 7 }}"#,
        counts.members()
    )
}

/// A backend's reply to a request on a transaction.
pub(super) fn operation(status: &str, message: &str, label: &str, more: &str) -> String {
    format!(r#"{{ "Status": "{status}",{more} "Label": "{label}", "Message": "{message}" }}"#)
}

/// The same to `prepare`, with the counts.
pub(super) fn prepared(label: &str, id: usize, counts: Counts) -> String {
    operation("OK", "", label, &format!(r#" "TxnId": {id}, {},"#, counts.members()))
}

/// A frontend's reply to a request on a transaction.
pub(super) fn decided(status: &str, message: &str, label: &str) -> String {
    format!(r#"{{"Status":"{status}","Message":"{message}","Label":"{label}","TxnId":7}}"#)
}

/// A frontend's reply to anything else.
pub(super) fn rest(status: &str, message: &str) -> String {
    format!(r#"{{"status":"{status}","code":"0","msg":"{message}","message":"{message}"}}"#)
}

pub(super) fn label_state(word: &str) -> String {
    format!(r#"{{"state":"{word}","status":"OK","code":"0","msg":"Success","message":"OK"}}"#)
}

/// The table: a number and a text.
pub(super) const SCHEMA: &str = r#"{"status":"OK","result":{"columns":[
    {"name":"id","type":"BIGINT","isAllowNull":"false","isKey":"true"},
    {"name":"name","type":{"name":"VARCHAR","columnSize":"100"},"isAllowNull":"true","isKey":"false"}]}}"#;

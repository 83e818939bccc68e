//! The reply to a Stream Load: its fields and their order.

use serde::Serialize;

/// The fields of a reply.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The transaction; -1 when none was begun.
    pub(super) txn_id: i64,
    pub(super) label: String,
    pub(super) db: String,
    pub(super) table: String,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) existing_job_status: Option<&'static str>,
    pub(super) message: String,
    pub(super) number_total_rows: u64,
    pub(super) number_loaded_rows: u64,
    pub(super) number_filtered_rows: u64,
    pub(super) number_unselected_rows: u64,
    pub(super) load_bytes: u64,
    pub(super) load_time_ms: u64,
    pub(super) begin_txn_time_ms: u64,
    pub(super) stream_load_plan_time_ms: u64,
    pub(super) read_data_time_ms: u64,
    pub(super) write_data_time_ms: u64,
    pub(super) commit_and_publish_time_ms: u64,
    #[serde(rename = "ErrorURL", skip_serializing_if = "Option::is_none")]
    pub(super) error_url: Option<String>,
}

impl Answer {
    /// An answer in which nothing has happened yet.
    pub(super) fn new(db: &str, table: &str, label: &str) -> Self {
        Self {
            txn_id: -1,
            label: label.to_owned(),
            db: db.to_owned(),
            table: table.to_owned(),
            status: "Fail",
            existing_job_status: None,
            message: String::new(),
            number_total_rows: 0,
            number_loaded_rows: 0,
            number_filtered_rows: 0,
            number_unselected_rows: 0,
            load_bytes: 0,
            load_time_ms: 0,
            begin_txn_time_ms: 0,
            stream_load_plan_time_ms: 0,
            read_data_time_ms: 0,
            write_data_time_ms: 0,
            commit_and_publish_time_ms: 0,
            error_url: None,
        }
    }

    /// The same, as a failure.
    pub(super) fn fail(mut self, message: impl Into<String>) -> Self {
        self.status = "Fail";
        self.message = message.into();
        self
    }
}

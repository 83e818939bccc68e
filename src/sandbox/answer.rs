//! The replies to a Stream Load and to a request on a transaction: their fields and their order.

use std::borrow::Cow;

use serde::Serialize;

use super::dialect::Dialect;
use super::ingest::Counts;

/// The fields of a reply.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The transaction; -1 when none was begun.
    pub(super) txn_id: i64,
    pub(super) label: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) db: String,
    #[serde(skip_serializing_if = "String::is_empty")]
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

    /// The same as a release shows it: older ones do not name the table.
    pub(super) fn in_dialect(mut self, dialect: Dialect) -> Self {
        if !dialect.has_multi_table() {
            self.db.clear();
            self.table.clear();
        }
        self
    }

    /// Fills the numbers of rows in.
    pub(super) fn show(&mut self, counts: Counts) {
        self.number_total_rows = counts.total();
        self.number_loaded_rows = counts.loaded;
        self.number_filtered_rows = counts.filtered;
        self.number_unselected_rows = counts.unselected;
    }
}

/// The fields of a backend's reply to a request on a transaction.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TransactionAnswer {
    /// The name of a status code.
    pub(super) status: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) existing_job_status: Option<&'static str>,
    pub(super) label: String,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) db: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) txn_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) begin_txn_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number_total_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number_loaded_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number_filtered_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number_unselected_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_load_plan_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received_data_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) write_data_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit_and_publish_time_ms: Option<u64>,
    #[serde(rename = "ErrorURL", skip_serializing_if = "Option::is_none")]
    pub(super) error_url: Option<String>,
}

impl TransactionAnswer {
    /// That everything is well, and nothing more.
    pub(super) fn new(label: &str) -> Self {
        Self {
            status: "OK".into(),
            existing_job_status: None,
            label: label.to_owned(),
            message: String::new(),
            db: None,
            table: None,
            txn_id: None,
            begin_txn_time_ms: None,
            number_total_rows: None,
            number_loaded_rows: None,
            number_filtered_rows: None,
            number_unselected_rows: None,
            load_bytes: None,
            load_time_ms: None,
            stream_load_plan_time_ms: None,
            received_data_time_ms: None,
            write_data_time_ms: None,
            commit_and_publish_time_ms: None,
            error_url: None,
        }
    }

    /// The same with the table's name, where the release tells it.
    pub(super) fn of_table(mut self, database: &str, table: &str, dialect: Dialect) -> Self {
        if dialect.has_multi_table() {
            let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
            (self.db, self.table) = (name(database), name(table));
        }
        self
    }

    /// The same, as a failure.
    pub(super) fn fail(mut self, status: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        self.status = status.into();
        self.message = message.into();
        self
    }

    /// The same, because the label is taken.
    pub(super) fn exists(mut self, status: &'static str) -> Self {
        self.status = "LABEL_ALREADY_EXISTS".into();
        self.existing_job_status = Some(status);
        self
    }

    /// Fills the numbers of rows in.
    pub(super) fn show(&mut self, counts: Counts) {
        self.number_total_rows = Some(counts.total());
        self.number_loaded_rows = Some(counts.loaded);
        self.number_filtered_rows = Some(counts.filtered);
        self.number_unselected_rows = Some(counts.unselected);
    }
}

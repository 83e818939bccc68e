//! The database's side: a table behind HTTP endpoints that takes loads under labels.
//!
//! [`Target`] is what the engine asks for. [`starrocks::StarRocks`] answers it by Stream Load, and by the transaction
//! interface where a load is to be prepared first and committed later. Every load is one `PUT`, and no body byte leaves
//! before the node that will take it has said `100 Continue`. Where a request has left and no answer came, the failure
//! is [`Error::Unconfirmed`], and only the label's state can settle it.
//!
//! ```text
//!  Chunk, LoadSettings ─▶ request ─▶ route ─▶ http ─▶ (node)
//!                         headers    which    one exchange; the body waits
//!                                    address
//!  Loaded | Error ◀─ reply, symptom ◀────────┘
//! ```
//!
//! Credentials go to the frontends that the user named, to the nodes that those list, and to whatever the user allows or
//! maps by name (`redirect`). A frontend that does not answer is passed over for a while (`endpoint`, `breaker`); where a
//! frontend names a node that is down, it or another one is asked again (`route`).
//!
//! Retries are not here: an attempt is one attempt. Which failures may be tried again, and how, is in
//! [`Error::disposition`].

mod breaker;
mod capacity;
pub mod cluster;
mod connect;
pub mod ddl;
mod endpoint;
mod error;
pub mod error_log;
mod http;
mod mysql;
mod overload;
mod redirect;
mod reply;
pub mod request;
mod route;
mod schema;
pub mod setting;
#[cfg(test)]
pub(crate) mod simulated;
mod sql;
pub mod starrocks;
mod symptom;
#[cfg(test)]
mod tests;
mod transaction;
mod transaction_reply;
pub mod url;

use async_trait::async_trait;

use crate::model::{Chunk, Column, Label, Table};

pub use capacity::Capacity;
pub use error::Error;
pub use overload::Overload;
pub use redirect::HostMap;
pub use request::wire_name;
pub use setting::parse_setting;
pub use sql::QueryResult;
pub use starrocks::{Options, StarRocks};
pub use url::{Address, Scheme, TargetUrl, without_credentials};

/// What a load says about how its chunk is to be read, apart from the chunk's own format and codec.
#[derive(Clone, Debug, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct LoadSettings {
    /// The names that the chunk's fields bind to, in order: table columns and temporaries.
    pub fields: Vec<FieldBinding>,
    /// `name=expression` items that the server computes, as the user wrote them.
    pub derived: Vec<String>,
    /// The predicate that rows must meet; others are unselected.
    pub filter: Option<String>,
    /// Further Stream Load headers that the user set, checked against the known names.
    pub headers: Vec<(String, String)>,
}

/// One field of a chunk, and what it becomes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FieldBinding {
    /// The column's name, or a temporary's.
    pub name: String,
    /// The column's type; a temporary is text.
    pub ty: crate::model::ColumnType,
}

/// What the server said of a load that it committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The server's transaction; none where an earlier attempt's success was learned by asking.
    pub transaction_id: Option<i64>,
    /// Whether readers see the rows already.
    pub visible: bool,
    /// Whether an earlier attempt under the same label loaded it; the counts are not known then.
    pub already: bool,
    /// Rows in the table because of this load; none where only the label's state is known.
    pub rows_loaded: Option<u64>,
    /// Rows that the filter left out; none where only the label's state is known.
    pub rows_unselected: Option<u64>,
    /// The server's own phase times, in milliseconds: its name for the phase, and the time.
    pub phases: Vec<(String, u64)>,
}

impl Loaded {
    /// A load that an earlier attempt under its label has committed.
    #[must_use]
    pub fn before(visible: bool) -> Self {
        Self {
            transaction_id: None,
            visible,
            already: true,
            rows_loaded: None,
            rows_unselected: None,
            phases: Vec::new(),
        }
    }
}

/// A transaction that holds a chunk and is prepared: nobody sees its rows, and the server can no longer lose them.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The server's transaction; none where the filter left no row, and the server therefore keeps none.
    pub transaction_id: Option<i64>,
    /// Rows that the table will have because of it.
    pub rows_loaded: u64,
    /// Rows that the filter left out.
    pub rows_unselected: u64,
    /// What the server says it spent its time on, in milliseconds.
    pub phases: Vec<(String, u64)>,
}

/// The state of a label at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelState {
    /// Never seen, not yet begun, or forgotten.
    Unknown,
    /// A transaction is open under it.
    Prepare,
    /// Prepared by a two-phase commit.
    Prepared,
    /// Committed, not yet visible.
    Committed,
    /// Visible.
    Visible,
    /// Rolled back; the label is free.
    Aborted,
}

/// A table that takes loads.
#[async_trait]
pub trait Target: Send + Sync {
    /// The address for reports: without credentials.
    fn address(&self) -> String;

    /// Fetches the table's columns.
    ///
    /// # Errors
    /// [`Error::NoSuchTable`], and whatever keeps the target from answering.
    async fn table(&self) -> Result<Table, Error>;

    /// Creates the table (and its database) if it does not exist.
    ///
    /// # Errors
    /// When the server refuses it or its MySQL port cannot be reached.
    async fn create_table(&self, columns: &[Column]) -> Result<(), Error>;

    /// Sends a chunk as one load, once.
    ///
    /// Success means that label, rows and bytes in the answer agree with what was sent; or that the label was loaded
    /// before, which the caller then has to believe of a label that is its own.
    ///
    /// # Errors
    /// With the disposition that tells what may be done about it.
    async fn load(&self, label: &Label, chunk: &Chunk, settings: &LoadSettings) -> Result<Loaded, Error>;

    /// Puts a chunk into a transaction of its own and prepares it, once: begin, load and prepare are one attempt,
    /// because no part of a transaction can be repeated alone.
    ///
    /// Success means that label, rows and bytes in the answers agree with what was sent. After a failure nothing is in
    /// the table, but a transaction may be open under the label: it has to be rolled back before the next attempt.
    ///
    /// # Errors
    /// With the disposition that tells what may be done about it; [`Error::LabelBusy`] where the label was taken before.
    async fn prepare(&self, label: &Label, chunk: &Chunk, settings: &LoadSettings) -> Result<Prepared, Error>;

    /// Commits a prepared transaction; says whether readers see its rows already. May be repeated freely.
    ///
    /// # Errors
    /// When it is not known to be committed. Whether it is, only the label's state can tell then.
    async fn commit(&self, label: &Label) -> Result<bool, Error>;

    /// Rolls a transaction back, prepared or not. May be repeated freely.
    ///
    /// # Errors
    /// When it is not known to be rolled back. Whether it is, only the label's state can tell then.
    async fn roll_back(&self, label: &Label) -> Result<(), Error>;

    /// Asks for a label's state.
    ///
    /// # Errors
    /// When no endpoint answers.
    async fn label_state(&self, label: &Label) -> Result<LabelState, Error>;

    /// Asks how many transactions the server takes, as far as it tells. A target that knows none tells nothing.
    async fn capacity(&self) -> Capacity {
        Capacity::default()
    }
}

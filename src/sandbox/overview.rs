//! What there is to see of a sandbox that runs: its nodes and its loads, for `SHOW`, `information_schema` and the
//! operational endpoints.
//!
//! The database alone does not tell it, since loads on their way and the health of nodes are in memory.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Who can be asked what the sandbox is doing.
pub(super) trait Overview: Debug + Send + Sync {
    /// The release that the sandbox claims to be: `3.5.0-sandbox`.
    fn version(&self) -> String;

    /// Every node: the leading frontend first, then its followers, then the backends.
    fn nodes(&self) -> Vec<NodeView>;

    /// Every load that is known, on its way or over, the oldest first.
    fn loads(&self) -> rusqlite::Result<Vec<LoadView>>;
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    Follower,
    Backend,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeView {
    /// 10001 and so on, as in `SHOW BACKENDS`.
    pub(super) id: i64,
    pub(super) role: Role,
    /// `fe1`, `be2`.
    pub(super) name: String,
    /// Where the node says that it is to be reached.
    pub(super) host: String,
    pub(super) http_port: u16,
    /// The port for MySQL clients; none at a backend.
    pub(super) query_port: Option<u16>,
    pub(super) alive: bool,
    /// Whether it takes nothing new because it is about to go.
    pub(super) draining: bool,
    pub(super) started_ms: i64,
}

/// A load, or a transaction of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadView {
    pub(super) id: i64,
    pub(super) label: String,
    pub(super) database: String,
    /// Nothing for a transaction over several tables.
    pub(super) table: String,
    pub(super) user: String,
    /// `PREPARE`, `PREPARED`, `COMMITTED`, `VISIBLE` or `ABORTED`.
    pub(super) state: &'static str,
    pub(super) kind: LoadKind,
    /// Why it was aborted.
    pub(super) reason: String,
    pub(super) loaded_rows: u64,
    pub(super) filtered_rows: u64,
    pub(super) unselected_rows: u64,
    pub(super) bytes: u64,
    /// The name of the backend that coordinates it; empty when there is none.
    pub(super) node: String,
    pub(super) timeout_seconds: u64,
    /// Where the filtered rows can be fetched.
    pub(super) error_url: Option<String>,
    /// When it was begun and what followed, in milliseconds since 1970.
    pub(super) begun_ms: i64,
    pub(super) prepared_ms: Option<i64>,
    pub(super) committed_ms: Option<i64>,
    pub(super) finished_ms: Option<i64>,
}

/// How a load came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LoadKind {
    /// One request to `_stream_load`.
    Stream,
    /// The transaction interface, for one table or several.
    Transaction,
    /// Many small requests that the server put together.
    Merged,
}

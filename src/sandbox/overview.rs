//! What there is to see of a sandbox that runs: its nodes and its loads, for `SHOW`, `information_schema` and the
//! operational endpoints.
//!
//! The database alone does not tell it, since loads on their way and the health of nodes are in memory.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::surface::config::FrontendSettings;

/// Who can be asked what the sandbox is doing.
pub(super) trait Overview: Debug + Send + Sync {
    /// The release that the sandbox claims to be.
    fn dialect(&self) -> Dialect;

    /// Its full name: `3.5.4-sandbox`.
    fn version(&self) -> String {
        self.dialect().version().to_owned()
    }

    /// The settings of the frontends.
    fn settings(&self) -> &FrontendSettings;

    /// Every node: the leading frontend first, then its followers, then the backends.
    fn nodes(&self) -> Vec<NodeView>;

    /// Every load that is known, on its way or over, the oldest first.
    fn loads(&self) -> rusqlite::Result<Vec<LoadView>>;
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leader,
    #[allow(dead_code, reason = "a sandbox of one frontend has none")]
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
    #[allow(dead_code, reason = "nothing is put together where merge commit is refused")]
    Merged,
}

/// A sandbox of one frontend and one backend that nothing happens in.
#[cfg(test)]
pub(super) mod fake {
    use std::sync::Arc;

    use super::{Dialect, FrontendSettings, LoadKind, LoadView, NodeView, Overview, Role};

    /// What it says that there is.
    #[derive(Debug, Default)]
    pub(in crate::sandbox) struct Fake {
        loads: Vec<LoadView>,
        settings: FrontendSettings,
    }

    impl Fake {
        /// Without loads.
        pub(in crate::sandbox) fn idle() -> Arc<Self> {
            Arc::default()
        }

        /// With a load of each kind in a database, into a table `t`: visible, aborted, on its way.
        pub(in crate::sandbox) fn with_loads(database: &str) -> Arc<Self> {
            let load = |id, label: &str, state| LoadView {
                id,
                label: label.to_owned(),
                database: database.to_owned(),
                table: "t".to_owned(),
                user: "root".to_owned(),
                state,
                kind: LoadKind::Stream,
                reason: if state == "ABORTED" { "too many filtered rows" } else { "" }.to_owned(),
                loaded_rows: 5,
                filtered_rows: 1,
                unselected_rows: 2,
                bytes: 100,
                node: "be1".to_owned(),
                timeout_seconds: 600,
                error_url: None,
                begun_ms: 1_700_000_000_000 + id,
                prepared_ms: None,
                committed_ms: (state == "VISIBLE").then_some(1_700_000_001_000),
                finished_ms: (state != "PREPARE").then_some(1_700_000_002_000),
            };
            let loads = vec![load(1, "good", "VISIBLE"), load(2, "bad", "ABORTED"), load(3, "new", "PREPARE")];
            Arc::new(Self { loads, ..Self::default() })
        }
    }

    impl Overview for Fake {
        fn dialect(&self) -> Dialect {
            Dialect::default()
        }

        fn settings(&self) -> &FrontendSettings {
            &self.settings
        }

        fn nodes(&self) -> Vec<NodeView> {
            let node = |id, role, name: &str, query_port| NodeView {
                id,
                role,
                name: name.to_owned(),
                host: "127.0.0.1".to_owned(),
                http_port: 8030,
                query_port,
                alive: true,
                draining: false,
                started_ms: 1_700_000_000_000,
            };
            vec![node(1, Role::Leader, "fe1", Some(9030)), node(10_001, Role::Backend, "be1", None)]
        }

        fn loads(&self) -> rusqlite::Result<Vec<LoadView>> {
            Ok(self.loads.clone())
        }
    }
}

//! [`Alone`]: the overview of a sandbox with one frontend and one backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::Addresses;
use crate::sandbox::overview::{LoadKind, LoadView, NodeView, Overview, Role};
use crate::sandbox::sql::variables::STARROCKS_VERSION;
use crate::sandbox::store::Store;

/// A frontend and a backend, and nothing else. Loads are known when they are over.
#[derive(Debug)]
pub(in crate::sandbox) struct Alone {
    store: Arc<Store>,
    frontend: SocketAddr,
    mysql: SocketAddr,
    backend: SocketAddr,
    started_ms: i64,
}

impl Alone {
    pub(in crate::sandbox) fn new(store: Arc<Store>, addresses: &Addresses) -> Self {
        let Addresses { frontend, mysql, backend } = addresses.clone();
        let since = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self { store, frontend, mysql, backend, started_ms }
    }
}

impl Overview for Alone {
    fn version(&self) -> String {
        STARROCKS_VERSION.to_owned()
    }

    fn nodes(&self) -> Vec<NodeView> {
        let node = |id, role, name: &str, address: SocketAddr, query_port| NodeView {
            id,
            role,
            name: name.to_owned(),
            host: address.ip().to_string(),
            http_port: address.port(),
            query_port,
            alive: true,
            draining: false,
            started_ms: self.started_ms,
        };
        vec![
            node(10_000, Role::Leader, "fe1", self.frontend, Some(self.mysql.port())),
            node(10_001, Role::Backend, "be1", self.backend, None),
        ]
    }

    fn loads(&self) -> rusqlite::Result<Vec<LoadView>> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, label, database, table_name, state, reason, loaded_rows, finished_ms FROM sb_loads ORDER BY id",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                let state: String = row.get(4)?;
                Ok(LoadView {
                    id: row.get(0)?,
                    label: row.get(1)?,
                    database: row.get(2)?,
                    table: row.get(3)?,
                    user: String::new(),
                    state: if state == "VISIBLE" { "VISIBLE" } else { "ABORTED" },
                    kind: LoadKind::Stream,
                    reason: row.get(5)?,
                    loaded_rows: row.get(6)?,
                    filtered_rows: 0,
                    unselected_rows: 0,
                    bytes: 0,
                    node: "be1".to_owned(),
                    timeout_seconds: 600,
                    error_url: None,
                    begun_ms: row.get(7)?,
                    prepared_ms: None,
                    committed_ms: None,
                    finished_ms: row.get(7)?,
                })
            };
            statement.query_map([], row)?.collect()
        })
    }
}

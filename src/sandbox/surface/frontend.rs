//! What a frontend answers besides loads, labels and SQL.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::rest::{broken, failure, success};
use super::route::{self, Access, Asked, Does, Route};
use crate::sandbox::http::{self, Ends, Reply};
use crate::sandbox::overview::{NodeView, Overview, Role};
use crate::sandbox::schema_api;
use crate::sandbox::store::{CatalogError, Store};

/// What a frontend knows that it is asked for.
#[derive(Debug)]
pub(in crate::sandbox) struct Surface {
    /// Its name in the overview.
    name: String,
    store: Arc<Store>,
    overview: Arc<dyn Overview>,
}

/// Every path of a frontend.
pub(super) static ROUTES: &[Route<Surface>] = &[
    Route {
        methods: "GET",
        path: "/api/health",
        access: Access::Anybody,
        does: Does::Answers(Surface::health),
        basis: "§9",
        note: "500 while it is being stopped",
    },
    Route {
        methods: "GET",
        path: "/api/v2/feature",
        access: Access::Anybody,
        does: Does::Answers(Surface::feature),
        basis: "§9",
        note: "no features",
    },
    Route {
        methods: "GET",
        path: "/api/bootstrap",
        access: Access::Anybody,
        does: Does::Answers(Surface::bootstrap),
        basis: "§9",
        note: "always ready; no cluster token is the right one",
    },
    Route {
        methods: "GET",
        path: "/api/show_proc",
        access: Access::Administrator,
        does: Does::Answers(Surface::show_proc),
        basis: "§9",
        note: "",
    },
    Route {
        methods: "GET",
        path: "/api/{db}/{table}/_count",
        access: Access::User,
        does: Does::Answers(Surface::count),
        basis: "§9",
        note: "the true number, where a server estimates",
    },
    Route {
        methods: "GET",
        path: "/api/{db}/{table}/_schema",
        access: Access::User,
        does: Does::Answers(Surface::schema),
        basis: "§9",
        note: "",
    },
    Route {
        methods: "GET",
        path: "/api/v2/catalogs/{catalog}/databases/{db}/tables/{table}/schema",
        access: Access::User,
        does: Does::Answers(Surface::schema_v2),
        basis: "§9",
        note: "",
    },
];

impl Surface {
    /// The surface of the frontend of this name.
    pub(in crate::sandbox) fn new(name: &str, store: Arc<Store>, overview: Arc<dyn Overview>) -> Self {
        Self { name: name.to_owned(), store, overview }
    }

    /// Answers a request that is neither a load nor about one nor SQL.
    pub(in crate::sandbox) async fn answer(self: &Arc<Self>, head: Parts, body: Incoming, ends: Ends) -> Reply {
        route::answer(Arc::clone(self), Arc::clone(&self.store), ROUTES, (head, body), ends).await
    }

    fn backends(&self) -> Vec<NodeView> {
        self.overview.nodes().into_iter().filter(|node| node.role == Role::Backend).collect()
    }

    fn health(&self, _: &Asked) -> Reply {
        let draining = |node: &NodeView| node.name == self.name && node.draining;
        if self.overview.nodes().iter().any(draining) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "the node is shutting down");
        }
        let backends = self.backends();
        let online = backends.iter().filter(|node| node.alive).count();
        let health = json!({"status": "OK", "total_backend_num": backends.len(), "online_backend_num": online});
        http::json(StatusCode::OK, &health)
    }

    fn feature(&self, _: &Asked) -> Reply {
        let features: [Value; 0] = [];
        http::json(StatusCode::OK, &json!({"version": self.overview.version(), "features": features, "status": "OK"}))
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn bootstrap(&self, asked: &Asked) -> Reply {
        match asked.parameter("token") {
            // It opens what only a cluster's own nodes get to see, and the sandbox has given none out.
            Some(_) => failure(StatusCode::OK, "invalid parameter"),
            None => success(serde_json::Map::new()),
        }
    }

    fn show_proc(&self, asked: &Asked) -> Reply {
        match asked.parameter("path").as_deref().map(|path| path.trim_end_matches('/')) {
            Some("/backends") => {
                let version = self.overview.version();
                let row = |node: &NodeView| {
                    json!({
                        "BackendId": node.id.to_string(),
                        "IP": if node.host == "0.0.0.0" { asked.ends.local.to_string() } else { node.host.clone() },
                        "HeartbeatPort": "0",
                        "BePort": "0",
                        "HttpPort": node.http_port.to_string(),
                        "BrpcPort": "0",
                        "Alive": node.alive.to_string(),
                        "SystemDecommissioned": "false",
                        "ClusterDecommissioned": "false",
                        "Version": version,
                    })
                };
                http::json(StatusCode::OK, &self.backends().iter().map(row).collect::<Vec<_>>())
            }
            _ => http::json(StatusCode::OK, &json!([])),
        }
    }

    fn count(&self, asked: &Asked) -> Reply {
        let (database, table) = (&asked.path[0], &asked.path[1]);
        let found = match self.store.table(database, table) {
            Ok(found) => found,
            Err(error) => {
                let (status, message) = match error {
                    CatalogError::UnknownDatabase(_) => (404, format!("Database [{database}] does not exists")),
                    CatalogError::UnknownTable(_) => (404, format!("Table [{table}] does not exists")),
                    CatalogError::Sqlite(error) => (500, format!("the sandbox's database failed: {error}")),
                };
                return exception(status, &message);
            }
        };
        match self.rows_of(&found.storage()) {
            Ok(size) => http::json(StatusCode::OK, &json!({"status": 200, "size": size})),
            Err(error) => broken(&error),
        }
    }

    fn schema(&self, asked: &Asked) -> Reply {
        from_parts(schema_api::schema(&self.store, &asked.path[0], &asked.path[1]))
    }

    fn schema_v2(&self, asked: &Asked) -> Reply {
        from_parts(schema_api::schema_v2(&self.store, &asked.path[1], &asked.path[2]))
    }

    fn rows_of(&self, storage: &str) -> rusqlite::Result<i64> {
        let sql = format!("SELECT count(*) FROM {storage}");
        self.store.read(|connection| connection.query_row(&sql, [], |row| row.get(0)))
    }
}

/// The failure of an endpoint that repeats its HTTP status in the body.
fn exception(status: u16, message: &str) -> Reply {
    let body = json!({"status": status, "exception": message});
    http::json(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

fn from_parts((status, body): (u16, String)) -> Reply {
    http::reply(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "application/json", body)
}

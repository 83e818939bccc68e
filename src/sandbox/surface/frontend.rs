//! What a frontend answers besides loads, labels and SQL: its paths, and what it tells of itself and its cluster.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::config::{FrontendSettings, Settings};
use super::exposition::{self, Family, Type};
use super::metrics::FrontendMetrics;
use super::process::Process;
use super::rest::{broken, failure, success};
use super::route::{self, Access, Asked, Route};
use crate::sandbox::http::{self, Ends, Incoming, Reply};
use crate::sandbox::overview::{NodeView, Overview, Role};
use crate::sandbox::proc;
use crate::sandbox::store::Store;

/// What a frontend knows that it is asked for.
#[derive(Debug)]
pub(in crate::sandbox) struct Surface {
    /// Its name in the overview.
    pub(super) name: String,
    pub(super) store: Arc<Store>,
    pub(super) overview: Arc<dyn Overview>,
    pub(in crate::sandbox) metrics: Arc<FrontendMetrics>,
    pub(super) settings: Arc<FrontendSettings>,
}

const ANYBODY: Access = Access::Anybody;
const USER: Access = Access::User;
const SELECT: Access = Access::Select;
const INSERT: Access = Access::Insert;
const OPERATE: Access = Access::Operator;
const SCHEMA_V2: &str = "/api/v2/catalogs/{catalog}/databases/{db}/tables/{table}/schema";
const PARTITION_V2: &str = "/api/v2/catalogs/{catalog}/databases/{db}/tables/{table}/partition";

/// Every path of a frontend.
pub(super) static ROUTES: &[Route<Surface>] = &[
    Route::elsewhere("PUT", "/api/{db}/{table}/_stream_load", USER, "source", "307 to a backend"),
    Route::elsewhere("POST, PUT", "/api/transaction/{operation}", USER, "source", "see docs/sandbox.md"),
    Route::elsewhere("GET", "/api/{db}/get_load_state", USER, "source", ""),
    Route::elsewhere("POST", "/api/{db}/{any}/_cancel", USER, "source", "aborts what is in PREPARE"),
    Route::elsewhere("POST", "/api/v1/catalogs/{catalog}/databases/{db}/sql", USER, "source", ""),
    Route::elsewhere("POST", "/api/v1/catalogs/{catalog}/sql", USER, "source", ""),
    Route::answers(
        "GET",
        "/api/{db}/_load_info",
        INSERT,
        Surface::load_info,
        "source; words unverified",
        "there are no such jobs: no label has one",
    ),
    Route::answers(
        "GET",
        "/api/{db}/{table}/_stream_load_meta",
        INSERT,
        Surface::stream_load_meta,
        "source",
        "the backends of a merge commit; brpc ports are 0, since nobody listens on one",
    ),
    Route::answers("GET", "/api/{db}/{table}/_schema", SELECT, Surface::schema, "source", ""),
    Route::answers("GET", SCHEMA_V2, SELECT, Surface::schema_v2, "source", ""),
    Route::answers(
        "GET",
        PARTITION_V2,
        SELECT,
        Surface::partitions,
        "unverified",
        "a table is one partition; in pages, without times",
    ),
    Route::answers(
        "GET",
        "/api/{db}/{table}/_count",
        SELECT,
        Surface::count,
        "source",
        "the true number, where a server estimates",
    ),
    Route::declines(
        "GET, POST",
        "/api/{db}/{table}/_query_plan",
        SELECT,
        Surface::query_plan,
        "the statement is checked; there is no port to scan a tablet on, so no plan is handed out",
    ),
    Route::answers("GET", "/api/rowcount", OPERATE, Surface::row_count, "source", "the true number, of the one index"),
    Route::answers("GET", "/api/_get_ddl", OPERATE, Surface::ddl, "source", ""),
    Route::answers("GET", "/api/_migration", OPERATE, Surface::migration, "unverified", "the schema hash is 0"),
    Route::answers(
        "GET",
        "/api/show_data",
        ANYBODY,
        Surface::show_data,
        "source",
        "the bytes of the tables in the sandbox's database",
    ),
    Route::answers(
        "GET",
        "/api/show_meta_info",
        USER,
        Surface::show_meta_info,
        "unverified",
        "`SHOW_DB_SIZE`, `SHOW_FULL_DB_SIZE` and `SHOW_HA`",
    ),
    Route::answers("GET", "/api/health", ANYBODY, Surface::health, "source", "500 while the node is about to go"),
    Route::answers("GET", "/api/v2/feature", ANYBODY, Surface::feature, "source", "no features"),
    Route::answers(
        "GET",
        "/api/bootstrap",
        ANYBODY,
        Surface::bootstrap,
        "source",
        "ready; no cluster token is the right one",
    ),
    Route::answers(
        "GET",
        "/metrics",
        ANYBODY,
        Surface::metrics,
        "source",
        "`type=core` and `type=json` too; only what the sandbox counts",
    ),
    Route::answers(
        "GET",
        "/api/show_proc",
        OPERATE,
        Surface::show_proc,
        "source",
        "what `SHOW PROC` shows; an empty list for a path that there is not",
    ),
    Route::answers(
        "GET",
        "/api/show_runtime_info",
        ANYBODY,
        Surface::show_runtime_info,
        "source",
        "memory of the process: `total_mem` is its peak, `free_mem` what is below it now, `max_mem` the machine's",
    ),
    Route::answers(
        "GET",
        "/api/_set_config",
        OPERATE,
        Surface::set_config,
        "source",
        "[settings](#settings) that have an effect here",
    ),
    Route::answers(
        "GET",
        "/api/query_detail",
        USER,
        Surface::query_detail,
        "unverified",
        "always empty: details are not collected, as by default",
    ),
    Route::answers(
        "GET",
        "/api/profile",
        USER,
        Surface::profile,
        "unverified",
        "404: profiles are not collected, as by default",
    ),
    Route::answers("GET", "/api/connection", USER, Surface::connection, "source", "of MySQL and HTTP alike"),
    Route::declines("GET", "/image", ANYBODY, Surface::stranger, "what frontends ask each other, and refuse to others"),
    Route::declines("GET", "/info", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/version", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/put", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/journal_id", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/role", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/check", ANYBODY, Surface::stranger, "likewise"),
    Route::declines("GET", "/dump", OPERATE, Surface::dump, "there is no image to dump"),
    Route::declines("GET", "/dump_starmgr", OPERATE, Surface::dump_starmgr, "data is not shared"),
    Route::missing("GET", "/", "the web console, as all its pages"),
    Route::missing("GET", "/api/_check_storagetype", ""),
    Route::missing("GET", "/api/check_decommission", ""),
    Route::missing("GET", "/api/_meta_replay_state", ""),
    Route::missing("GET", "/api/get_small_file", ""),
    Route::missing("GET, HEAD", "/api/get_log_file", ""),
    Route::missing("GET", "/api/trigger", ""),
    Route::missing("POST", "/api/query_dump", ""),
    Route::missing("GET, POST", "/api/colocate", "and what is below it"),
    Route::missing("GET, POST", "/api/global_dict/table/forbit", ""),
    Route::missing("GET", "/api/_sync_cloud_table_meta", ""),
    Route::missing("GET", "/api/_stop", ""),
];

impl Surface {
    /// The surface of the frontend of this name.
    pub(in crate::sandbox) fn new(
        name: &str,
        store: Arc<Store>,
        overview: Arc<dyn Overview>,
        metrics: Arc<FrontendMetrics>,
        settings: Arc<FrontendSettings>,
    ) -> Self {
        Self { name: name.to_owned(), store, overview, metrics, settings }
    }

    /// Answers a request that is neither a load nor about one nor SQL.
    pub(in crate::sandbox) async fn answer(self: &Arc<Self>, head: Parts, body: Incoming, ends: Ends) -> Reply {
        route::answer(Arc::clone(self), Arc::clone(&self.store), ROUTES, (head, body), ends).await
    }

    /// The backends, whether they are there or not.
    pub(super) fn backends(&self) -> Vec<NodeView> {
        self.overview.nodes().into_iter().filter(|node| node.role == Role::Backend).collect()
    }

    /// Sends a request on to the leader, unless this is it.
    fn to_leader(&self, asked: &Asked) -> Option<Reply> {
        let nodes = self.overview.nodes();
        nodes.iter().find(|node| node.name == self.name && node.role == Role::Follower)?;
        let leader = nodes.iter().find(|node| node.role == Role::Leader)?;
        let target = asked.head.uri.path_and_query().map_or(asked.head.uri.path(), |target| target.as_str());
        let location = format!("http://{}{target}", address(leader, asked.ends));
        let mut reply = http::reply(StatusCode::TEMPORARY_REDIRECT, "text/html", "");
        reply.headers_mut().insert(LOCATION, HeaderValue::from_str(&location).ok()?);
        Some(reply)
    }

    /// The number of the last transaction that was written down, which is the only journal here.
    fn journal_id(&self) -> rusqlite::Result<u64> {
        let sql = "SELECT coalesce(max(id), 0) FROM sb_ledger";
        self.store.read(|connection| connection.query_row(sql, [], |row| row.get(0)))
    }

    fn health(&self, _: &Asked) -> Reply {
        if self.overview.nodes().iter().any(|node| node.name == self.name && node.draining) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "the frontend is exiting");
        }
        let backends = self.backends();
        let online = backends.iter().filter(|node| node.alive).count();
        let health = json!({"status": "OK", "total_backend_num": backends.len(), "online_backend_num": online});
        http::json(StatusCode::OK, &health)
    }

    fn feature(&self, _: &Asked) -> Reply {
        let features: [Value; 0] = [];
        let answer = json!({"version": self.overview.version(), "features": features, "status": "OK"});
        http::json(StatusCode::OK, &answer)
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn bootstrap(&self, asked: &Asked) -> Reply {
        match asked.parameter("token") {
            // It opens what only a cluster's own nodes get to see, and the sandbox has given none out.
            Some(_) => failure(StatusCode::OK, "invalid parameter"),
            None => success(Map::new()),
        }
    }

    fn load_info(&self, asked: &Asked) -> Reply {
        let database = &asked.path[0];
        let Some(label) = asked.parameter("label") else { return failure(StatusCode::OK, "No label selected") };
        if let Some(reply) = self.to_leader(asked) {
            return reply;
        }
        match self.store.has_database(database) {
            Ok(true) => failure(StatusCode::OK, &format!("No job(s) belong to label({label})")),
            Ok(false) => failure(StatusCode::OK, &format!("Database {database} does not exist")),
            Err(error) => broken(&error),
        }
    }

    fn stream_load_meta(&self, asked: &Asked) -> Reply {
        if !self.overview.dialect().merges() {
            return http::not_found();
        }
        let mut answer = Map::new();
        if asked.header("enable_merge_commit").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            if let Some(reply) = self.to_leader(asked) {
                return reply;
            }
            let number = |name| asked.header(name).and_then(|value| value.trim().parse::<u32>().ok());
            let positive = |name, title: &str| {
                let said = asked.header(name).unwrap_or("null");
                let refusal = || format!("{title} must be set positive, but is {said}");
                number(name).filter(|number| *number > 0).ok_or_else(refusal)
            };
            let parallel = positive("merge_commit_interval_ms", "Merge commit interval")
                .and_then(|_| positive("merge_commit_parallel", "Merge commit parallel"));
            let parallel = match parallel {
                Ok(parallel) => usize::try_from(parallel).unwrap_or(usize::MAX),
                Err(message) => return coded("INVALID_ARGUMENT", "FAILED", &message, Map::new()),
            };
            if self.store.table(&asked.path[0], &asked.path[1]).is_err() {
                let message = format!("Table [{}.{}] does not exist", asked.path[0], asked.path[1]);
                return coded("NOT_FOUND", "FAILED", &message, Map::new());
            }
            let chosen = |name, wanted: &str| {
                let said = asked.parameters();
                let mut said = said.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).peekable();
                said.peek().is_none() || said.any(|value| value == wanted)
            };
            if chosen("type", "nodes") {
                let backends = self.backends();
                let fit = backends.iter().filter(|node| node.alive && !node.draining).take(parallel);
                let fit: Vec<String> = fit.map(|node| address(node, asked.ends)).collect();
                let mut nodes = Map::new();
                if chosen("node_service", "http") {
                    nodes.insert("http".to_owned(), fit.join(",").into());
                }
                if chosen("node_service", "brpc") {
                    // The port that `SHOW BACKENDS` shows, too: there is none.
                    let hosts = backends.iter().filter(|node| node.alive && !node.draining).take(parallel);
                    let hosts: Vec<String> = hosts.map(|node| format!("{}:0", host(node, asked.ends))).collect();
                    nodes.insert("brpc".to_owned(), hosts.join(",").into());
                }
                answer.insert("nodes".to_owned(), nodes.into());
            }
        }
        coded("OK", "OK", "", answer)
    }

    fn metrics(&self, asked: &Asked) -> Reply {
        let journal_id = match self.journal_id() {
            Ok(id) => id,
            Err(error) => return broken(&error),
        };
        let help = "the number of the last transaction that was written down";
        let mut families = vec![Family::one("max_journal_id", Type::Gauge, "nounit", help, journal_id)];
        let connections = u64::try_from(self.store.sessions().all().len()).unwrap_or(u64::MAX);
        families.push(Family::one("connection_total", Type::Gauge, "connections", "sessions", connections));
        families.extend(self.metrics.families());
        let prefix = "starrocks_fe_";
        let nodes = self.overview.nodes();
        let count = |backend: bool, alive: bool| -> u64 {
            let wanted = |node: &&NodeView| (node.role == Role::Backend) == backend && (node.alive || !alive);
            nodes.iter().filter(wanted).count() as u64
        };
        let text = match asked.parameter("type").map(|kind| kind.to_ascii_lowercase()).as_deref() {
            Some("json") => exposition::json(&families),
            Some("core") => {
                let dead = |backend| count(backend, false) - count(backend, true);
                let core = exposition::core(prefix, &families);
                let (frontends, backends) = (dead(false), dead(true));
                format!(
                    "{core}{prefix}frontend_dead_num {frontends}\n{prefix}backend_dead_num {backends}\n{prefix}broker_dead_num 0\n"
                )
            }
            _ => {
                let mut info = Family::new("node_info", Type::Gauge, "nounit", "the nodes of the cluster");
                for (kind, backend) in [("fe_node_num", false), ("be_node_num", true)] {
                    info.sample("", &[("type", kind), ("state", "total")], count(backend, false));
                    info.sample("", &[("type", kind), ("state", "alive")], count(backend, true));
                }
                if nodes.iter().any(|node| node.name == self.name && node.role == Role::Leader) {
                    info.sample("", &[("type", "is_master")], 1);
                }
                let mut plain = vec![info];
                plain.extend(Process::look().families());
                exposition::prometheus(prefix, &families) + &exposition::prometheus("", &plain)
            }
        };
        http::reply(StatusCode::OK, "text/plain", text)
    }

    fn show_proc(&self, asked: &Asked) -> Reply {
        let path = asked.parameter("path").unwrap_or_else(|| "/".to_owned());
        // A path that there is not is an empty list at a server, too.
        let Ok(found) = proc::proc(&self.store, self.overview.as_ref(), &path) else {
            return http::json(StatusCode::OK, &json!([]));
        };
        let row = |row: Vec<Option<String>>| -> Value {
            let names = found.columns.iter().map(|(name, _)| name.clone());
            Value::Object(names.zip(row.into_iter().map(Value::from)).collect())
        };
        http::json(StatusCode::OK, &found.rows.clone().into_iter().map(row).collect::<Vec<_>>())
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn show_runtime_info(&self, _: &Asked) -> Reply {
        let process = Process::look();
        let (now, peak) = (process.resident_bytes.unwrap_or(0), process.peak_bytes.unwrap_or(0));
        let info = json!({
            "free_mem": peak.saturating_sub(now).to_string(),
            "total_mem": peak.to_string(),
            "max_mem": process.machine_bytes.unwrap_or(0).to_string(),
            "thread_cnt": process.threads.unwrap_or(0).to_string(),
        });
        http::json(StatusCode::OK, &info)
    }

    /// Who is leader, for `show_meta_info`.
    pub(super) fn high_availability(&self, asked: &Asked) -> rusqlite::Result<Value> {
        let nodes = self.overview.nodes();
        let follower = nodes.iter().any(|node| node.name == self.name && node.role == Role::Follower);
        let frontends: Vec<&NodeView> = nodes.iter().filter(|node| node.role != Role::Backend).collect();
        let leader = frontends.iter().find(|node| node.role == Role::Leader && node.alive);
        let electable: Vec<String> = frontends.iter().map(|node| host(node, asked.ends)).collect();
        Ok(json!({
            "role": if follower { "FOLLOWER" } else { "LEADER" },
            "current_journal_id": self.journal_id()?.to_string(),
            "master": leader.map_or("unknown".to_owned(), |node| host(node, asked.ends)),
            "electable_nodes": electable.join(","),
            "can_read": "true",
            "is_ready": "true",
        }))
    }

    fn set_config(&self, asked: &Asked) -> Reply {
        let (mut set, mut err) = (Map::new(), Map::new());
        let all = asked.parameters();
        for (name, value) in &all {
            let once = all.iter().filter(|(other, _)| other == name).count() == 1;
            if once && self.settings.set(name, value).is_ok() {
                set.insert(name.clone(), value.as_str().into());
            } else {
                let values = all.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
                err.insert(name.clone(), format!("[{}]", values.collect::<Vec<_>>().join(", ")).into());
            }
        }
        http::json(StatusCode::OK, &json!({"set": set, "err": err}))
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn query_detail(&self, asked: &Asked) -> Reply {
        let Some(since) = http::parameter(asked.head.uri.query(), "event_time") else { return invalid() };
        if since.trim().parse::<i64>().is_err() {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("For input string: \"{since}\""));
        }
        http::json(StatusCode::OK, &json!([]))
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn profile(&self, asked: &Asked) -> Reply {
        let Some(id) = http::parameter(asked.head.uri.query(), "query_id") else { return invalid() };
        http::reply(StatusCode::NOT_FOUND, "text/html", format!("query id {id} not found."))
    }

    fn connection(&self, asked: &Asked) -> Reply {
        let Some(said) = http::parameter(asked.head.uri.query(), "connection_id") else { return invalid() };
        let Ok(id) = said.trim().parse::<i64>() else {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("For input string: \"{said}\""));
        };
        let sessions = self.store.sessions().all();
        let found = sessions.iter().find(|session| i64::from(session.id) == id && !session.query_id.is_empty());
        match found {
            Some(session) => {
                let body = format!(r#"{{"query_id" : "{}"}}"#, session.query_id);
                http::reply(StatusCode::OK, "application/json", body)
            }
            None => http::reply(StatusCode::NOT_FOUND, "text/html", format!("connection id {id} not found.")),
        }
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn stranger(&self, asked: &Asked) -> Reply {
        let message = format!("invalid client host: {}", asked.ends.remote);
        http::reply(StatusCode::BAD_REQUEST, "text/html", message)
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn dump(&self, _: &Asked) -> Reply {
        http::reply(StatusCode::OK, "text/html", "dump failed. null")
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn dump_starmgr(&self, _: &Asked) -> Reply {
        let message = "current run mode shared_nothing does not support dump starmgr meta.";
        http::reply(StatusCode::OK, "text/html", message)
    }
}

/// Where a node is to be reached by a client that got here.
fn host(node: &NodeView, ends: Ends) -> String {
    match node.host.as_str() {
        "0.0.0.0" | "::" => ends.local.to_string(),
        host => host.to_owned(),
    }
}

fn address(node: &NodeView, ends: Ends) -> String {
    let host = host(node, ends);
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("{open}{host}{close}:{}", node.http_port)
}

/// The common answer with the name of a status as its code.
fn coded(code: &str, status: &str, message: &str, mut answer: Map<String, Value>) -> Reply {
    for (name, value) in [("status", status), ("code", code), ("msg", message), ("message", message)] {
        answer.insert(name.to_owned(), value.into());
    }
    http::json(StatusCode::OK, &answer)
}

fn invalid() -> Reply {
    http::reply(StatusCode::BAD_REQUEST, "text/html", "not valid parameter")
}

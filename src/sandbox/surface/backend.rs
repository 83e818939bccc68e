//! What a backend answers besides loads: nobody is asked who he is. A compute node answers the same.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::config::{BackendSettings, Kind, Refusal, Setting, Settings};
use super::exposition::{self, Family, Type};
use super::metrics::BackendMetrics;
use super::process::Process;
use super::route::{self, Access, Asked, Route};
use super::tablets;
use crate::sandbox::http::{self, Ends, Incoming, Reply};
use crate::sandbox::store::Store;
use crate::sandbox::tablet;
use crate::sandbox::types::TableDef;

/// What a backend knows that it is asked for.
#[derive(Debug)]
pub(in crate::sandbox) struct Surface {
    store: Arc<Store>,
    metrics: Arc<BackendMetrics>,
    settings: Arc<BackendSettings>,
}

const ANYBODY: Access = Access::Anybody;
const USER: Access = Access::User;
const TOKEN: &str = "what backends ask each other with the cluster's token";
const REPLICA: &str = "there are no files of replicas to work on";
const PROFILE: &str = "profiling is not built in";

/// Every path of a backend.
pub(super) static ROUTES: &[Route<Surface>] = &[
    Route::elsewhere("PUT", "/api/{db}/{table}/_stream_load", USER, "source", "always 200; a stranger gets `Fail`"),
    Route::elsewhere("POST, PUT", "/api/transaction/{operation}", USER, "source", "see docs/sandbox.md"),
    Route::elsewhere("GET, HEAD", "/api/_load_error_log", ANYBODY, "source", ""),
    Route::answers("GET", "/api/health", ANYBODY, Surface::health, "source", "always"),
    Route::answers("GET", "/metrics", ANYBODY, Surface::metrics, "source", "only what the sandbox counts"),
    Route::answers("GET", "/varz", ANYBODY, Surface::varz, "source; the page unverified", "the [settings](#settings)"),
    Route::answers(
        "POST",
        "/api/update_config",
        ANYBODY,
        Surface::update_config,
        "source",
        "[settings](#settings) that have an effect here",
    ),
    Route::answers("GET", "/mem_tracker", ANYBODY, Surface::mem_tracker, "unverified", "the process as a whole"),
    Route::answers(
        "GET",
        "/api/compaction/show",
        ANYBODY,
        Surface::compaction,
        "source; fields unverified",
        "the versions since the last compaction",
    ),
    Route::answers(
        "POST",
        "/api/compact",
        ANYBODY,
        Surface::compact,
        "unverified",
        "`compaction_type=cumulative_compaction` or `base_compaction`: makes one version of a table's",
    ),
    Route::answers("GET", "/api/compaction/show_repair", ANYBODY, Surface::repairs, "unverified", "nothing to repair"),
    Route::declines("GET, HEAD", "/api/_download_load", ANYBODY, Surface::download, TOKEN),
    Route::declines("GET, HEAD", "/api/_tablet/_download", ANYBODY, Surface::download, TOKEN),
    Route::declines("GET", "/api/meta/header/{tablet}", ANYBODY, Surface::replica, REPLICA),
    Route::declines("GET", "/api/checksum", ANYBODY, Surface::replica, REPLICA),
    Route::declines("GET", "/api/snapshot", ANYBODY, Surface::replica, REPLICA),
    Route::declines("GET", "/api/reload_tablet", ANYBODY, Surface::replica, REPLICA),
    Route::declines("POST", "/api/restore_tablet", ANYBODY, Surface::replica, REPLICA),
    Route::declines("GET", "/pprof/{profile}", ANYBODY, Surface::profile, PROFILE),
    Route::declines("POST", "/pprof/symbol", ANYBODY, Surface::profile, PROFILE),
    Route::declines("GET", "/ioprofile", ANYBODY, Surface::profile, PROFILE),
    Route::missing("GET", "/", "the index of pages; also `/memz`, `/logs` and the like"),
    Route::missing("GET", "/metrics/memory", ""),
    Route::missing("PUT", "/api/compaction/submit_repair", ""),
    Route::missing("GET", "/api/compaction/running", ""),
    Route::missing("GET", "/tablets_json", ""),
    Route::missing("POST", "/api/compact_rocksdb_meta", ""),
    Route::missing("GET, PUT", "/api/query_cache/{action}", ""),
    Route::missing("GET, PUT", "/api/runtime_filter_cache/{action}", ""),
    Route::missing("GET", "/api/datacache/{action}", ""),
    Route::missing("GET", "/api/pipeline_blocking_drivers/{action}", ""),
    Route::missing("GET", "/greplog", ""),
    Route::missing("GET, POST", "/api/_stop_be", ""),
];

impl Surface {
    /// The surface of a backend.
    pub(in crate::sandbox) fn new(
        store: Arc<Store>,
        metrics: Arc<BackendMetrics>,
        settings: Arc<BackendSettings>,
    ) -> Self {
        Self { store, metrics, settings }
    }

    /// Answers a request that is not a load.
    pub(in crate::sandbox) async fn answer(self: &Arc<Self>, head: Parts, body: Incoming, ends: Ends) -> Reply {
        route::answer(Arc::clone(self), Arc::clone(&self.store), ROUTES, (head, body), ends).await
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn health(&self, _: &Asked) -> Reply {
        http::reply(StatusCode::OK, "application/json", r#"{"status": "OK","msg": "To Be Added"}"#)
    }

    fn metrics(&self, _: &Asked) -> Reply {
        let mut families = self.metrics.families();
        let process = Process::look();
        if let Some(bytes) = process.resident_bytes {
            families.push(Family::one("process_mem_bytes", Type::Gauge, "bytes", "memory of the process", bytes));
        }
        let text = exposition::prometheus("starrocks_be_", &families);
        let text = text + &exposition::prometheus("", &process.families());
        http::reply(StatusCode::OK, "text/plain; version=0.0.4", text)
    }

    fn varz(&self, _: &Asked) -> Reply {
        let line = |setting: &Setting| format!("{}={}\n", setting.name, setting.text());
        let lines: String = self.settings.all().into_iter().map(line).collect();
        page("Configurations", &lines)
    }

    fn update_config(&self, asked: &Asked) -> Reply {
        let parameters = asked.parameters();
        let [(name, value)] = parameters.as_slice() else {
            let message = "Now only support to set a single config once, via 'config_name=new_value'";
            return http::pretty(&json!({"status": "BAD", "msg": message}));
        };
        let reason = match self.settings.set(name, value) {
            Ok(()) => return http::pretty(&json!({"status": "OK", "msg": ""})),
            Err(Refusal::Unknown) => format!("Not found: '{name}' is not found"),
            Err(Refusal::Immutable) => format!("Not supported: '{name}' is not support to modify"),
            Err(Refusal::Malformed(kind)) => {
                let kind = match kind {
                    Kind::Boolean => "bool",
                    Kind::Int => "int32_t",
                    Kind::Long => "int64_t",
                };
                format!("Invalid argument: convert '{value}' as {kind} failed")
            }
        };
        http::pretty(&json!({"status": "BAD", "msg": format!("set {name}={value} failed, reason: {reason}")}))
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn mem_tracker(&self, _: &Asked) -> Reply {
        let process = Process::look();
        let bytes = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
        let (now, peak) = (bytes(process.resident_bytes), bytes(process.peak_bytes));
        page("Memory usage by subsystem", &format!("process: {now} bytes now, {peak} bytes at most\n"))
    }

    /// The tablet that a request is about, if there is such a one.
    fn tablet(&self, asked: &Asked) -> Result<(i64, Arc<TableDef>), Box<Reply>> {
        let said = asked.parameter("tablet_id").unwrap_or_default();
        let Ok(id) = said.parse::<i64>() else {
            return Err(Box::new(status("Invalid argument", &format!("invalid argument.tablet_id:{said}"))));
        };
        match tablets::table_of(&self.store, id) {
            Ok(Some(table)) => Ok((id, table)),
            Ok(None) => Err(Box::new(status("Not found", "Tablet not found"))),
            Err(error) => Err(Box::new(broken(&error))),
        }
    }

    fn compaction(&self, asked: &Asked) -> Reply {
        if asked.parameter("tablet_id").is_none() {
            return status("Not supported", "The argument 'tablet_id' is required.");
        }
        let (id, table) = match self.tablet(asked) {
            Ok(found) => found,
            Err(reply) => return *reply,
        };
        let versions = match tablet::versions(&self.store, table.id) {
            Ok(versions) => versions,
            Err(error) => return broken(&error),
        };
        // What has been compacted is one rowset, and each version since is its own.
        let first = versions.newest - versions.count + 1;
        let base = format!("[0-{first}]");
        let rowsets: Vec<String> =
            std::iter::once(base).chain((first + 1..=versions.newest).map(|at| format!("[{at}-{at}]"))).collect();
        let none: [Value; 0] = [];
        http::pretty(&json!({"tablet_id": id, "rowsets": rowsets, "missing_rowsets": none}))
    }

    fn compact(&self, asked: &Asked) -> Reply {
        let (_, table) = match self.tablet(asked) {
            Ok(found) => found,
            Err(reply) => return *reply,
        };
        match asked.parameter("compaction_type").unwrap_or_default().as_str() {
            "cumulative_compaction" | "base_compaction" => {}
            other => return status("Not supported", &format!("unsupport compaction type:{other}")),
        }
        match self.store.write(|transaction| tablet::compact(transaction, table.id)) {
            Ok(()) => {
                let done = r#"{"status": "Success", "msg": "compaction task executed successful"}"#;
                http::reply(StatusCode::OK, "application/json", done)
            }
            Err(error) => broken(&error),
        }
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn repairs(&self, _: &Asked) -> Reply {
        let none: [Value; 0] = [];
        http::pretty(&json!({
            "need_to_repair": none,
            "need_to_repair_num": 0,
            "executed_task": none,
            "executed_task_num": 0,
        }))
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn download(&self, _: &Asked) -> Reply {
        http::reply(StatusCode::OK, "text/plain", "invalid token.")
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn replica(&self, _: &Asked) -> Reply {
        status("Not supported", "the sandbox has no files of tablets")
    }

    #[expect(clippy::unused_self, reason = "every route is a method")]
    fn profile(&self, _: &Asked) -> Reply {
        http::reply(StatusCode::OK, "text/plain", "Profiling is not available in this build.\n")
    }
}

fn broken(error: &rusqlite::Error) -> Reply {
    status("Internal error", &format!("the sandbox's database failed: {error}"))
}

/// A status as a backend writes it.
fn status(code: &str, message: &str) -> Reply {
    http::pretty(&json!({"status": code, "msg": message}))
}

/// A page of plain lines.
fn page(title: &str, lines: &str) -> Reply {
    let html = format!("<!DOCTYPE html>\n<html><body><h2>{title}</h2><pre>{lines}</pre></body></html>\n");
    http::reply(StatusCode::OK, "text/html", html)
}

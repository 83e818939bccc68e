//! What operators and connectors ask the nodes.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::World;
use super::client::{Response, authorization, get, request, send};
use crate::sandbox::surface::config::{BackendSettings, FrontendSettings, Settings};
use crate::sandbox::surface::paper;
use crate::sandbox::user::{Grant, Kind};

async fn open(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, "").await
}

async fn post(address: SocketAddr, path: &str, body: &str) -> Response {
    let authorization = authorization("root:");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n{authorization}\r\n{body}"
    );
    send(address, request.as_bytes()).await
}

/// The number of a sample in Prometheus' text.
fn sample(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().expect("a number")
}

#[test]
fn the_paper_lists_the_routes_and_the_settings() {
    let page = include_str!("../../../docs/http.md");
    let settings = |settings: &dyn Settings| {
        let row = |setting: &&crate::sandbox::surface::config::Setting| {
            let change = if setting.mutable { "yes" } else { "no" };
            format!("| `{}` | {} | {change} | {} |\n", setting.name, setting.text(), setting.comment)
        };
        settings.all().iter().map(row).collect::<String>()
    };
    let settings = [settings(&FrontendSettings::default()), settings(&BackendSettings::default())];
    for expected in paper().into_iter().chain(settings) {
        assert!(page.contains(&expected), "docs/http.md should have\n{expected}");
    }
}

#[tokio::test]
async fn every_path_that_is_said_to_be_answered_is() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    let paths = |paper: String| -> Vec<(String, String)> {
        let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = paper.lines().skip(2).map(cells).collect();
        let answered = rows.into_iter().filter(|row| row[4] != "404" && !row[2].contains("/transaction/"));
        answered.map(|row| (row[1].clone(), row[2].trim_matches('`').to_owned())).collect()
    };
    for (address, paper) in [addresses.frontend, addresses.backend].into_iter().zip(paper()) {
        for (methods, path) in paths(paper) {
            let place = [("{db}", "d"), ("{table}", "t"), ("{any}", "t"), ("{catalog}", "default_catalog")];
            let place = place.into_iter().chain([("{tablet}", "1"), ("{profile}", "heap")]);
            let path = place.fold(path, |path, (name, value)| path.replace(name, value));
            for method in methods.split(", ") {
                let response = request(address, method, &path, &authorization("root:")).await;
                assert!(!response.raw.ends_with("\r\n\r\nNot Found"), "{method} {path}: {}", response.raw);
                let refused = request(address, "DELETE", &path, &authorization("root:")).await;
                assert_eq!((refused.status(), refused.body()), (404, "Not Found"), "DELETE {path}");
            }
        }
    }
}

#[tokio::test]
async fn strangers_are_told_what_is_for_everybody_and_root_alone_the_rest() {
    let world = World::new().await;
    let frontend = world.sandbox.addresses().frontend;
    for path in ["/api/health", "/metrics", "/api/show_runtime_info", "/api/show_data", "/api/v2/feature"] {
        assert_eq!(open(frontend, path).await.status(), 200, "{path}");
    }
    let store = &world.sandbox.node.store;
    let digest = store.password_digest("root").expect("root has a password, if an empty one");
    assert!(store.add_user("reader", &digest).expect("a user is added"));
    for path in [
        "/api/rowcount?db=d&table=t",
        "/api/_get_ddl?db=d&tbl=t",
        "/api/_migration?db=d",
        "/api/_set_config?label_keep_max_num=1",
        "/api/show_proc?path=/backends",
    ] {
        for (headers, name) in [(String::new(), ""), (authorization("reader:"), "reader")] {
            let response = request(frontend, "GET", path, &headers).await;
            let message = format!("Access denied for {name}@127.0.0.1");
            let body = json!({"status": "FAILED", "code": "1", "msg": message, "message": message});
            assert_eq!((response.status(), response.json()), (401, body), "{path}");
            assert_eq!(response.header("WWW-Authenticate"), Some("Basic realm=\"\""));
        }
        assert_eq!(get(frontend, path).await.status(), 200, "{path}");
    }
    let count = async || request(frontend, "GET", "/api/d/t/_count", &authorization("reader:")).await.status();
    assert_eq!(count().await, 401);
    let (database, table) = ("d".to_owned(), "t".to_owned());
    let grant = Grant { kind: Kind::Table, privilege: "SELECT".to_owned(), database, table };
    store.grant("reader", &[grant]).expect("it is granted");
    assert_eq!(count().await, 200);
    assert_eq!(open(frontend, "/api/d/t/_count").await.status(), 401);
    let meta = request(frontend, "GET", "/api/d/t/_stream_load_meta", &authorization("reader:")).await;
    assert_eq!(meta.status(), 401, "who may read may not load");
}

#[tokio::test]
async fn tables_are_told_in_rows_bytes_and_statements() {
    let world = World::new().await;
    world.csv("l", "1,a,1\n2,b,2\n").await;
    let frontend = world.sandbox.addresses().frontend;
    let ask = async |path: &str| get(frontend, path).await.json();
    assert_eq!(ask("/api/rowcount?db=d&table=t").await, json!({"t": 2}));
    assert_eq!(ask("/api/_get_ddl?db=d&tbl=t").await, json!({"TABLE": [""], "PARTITION": [], "ROLLUP": []}));
    assert_eq!(ask("/api/_migration?db=d").await, json!([["t", "t", 10_000, 0, 10_001]]));
    let failed = |message: &str| json!({"status": "FAILED", "code": "1", "msg": message, "message": message});
    for (path, message) in [
        ("/api/rowcount?table=t", "No database selected."),
        ("/api/rowcount?db=d", "No table selected."),
        ("/api/rowcount?db=e&table=t", "Database[e] does not exist"),
        ("/api/_get_ddl?db=d", "Missing params. Need database name and Table name"),
        ("/api/_get_ddl?db=d&tbl=u", "Table[u] does not exist"),
        ("/api/_migration", "Missing params. Need database name"),
        ("/api/_migration?db=e", "Database[e] does not exist"),
        ("/api/d/_load_info", "No label selected"),
        ("/api/d/_load_info?label=l", "No job(s) belong to label(l)"),
    ] {
        assert_eq!(ask(path).await, failed(message), "{path}");
    }
    let bytes: u64 = open(frontend, "/api/show_data?db=d").await.body().parse().expect("a bare number");
    assert!(bytes >= 4096 && bytes.is_multiple_of(1024), "{bytes}");
    assert_eq!(open(frontend, "/api/show_data?db=e").await.status(), 404);
    assert_eq!(ask("/api/show_meta_info?action=SHOW_DB_SIZE").await, json!({"d": bytes}));
    let leader = ask("/api/show_meta_info?action=SHOW_HA").await;
    assert_eq!((&leader["role"], &leader["master"]), (&json!("LEADER"), &json!("127.0.0.1")), "{leader}");
    assert_eq!(get(frontend, "/api/show_meta_info?action=x").await.body(), "Invalid parameter");
    let path = "/api/v2/catalogs/default_catalog/databases/d/tables/t/partition";
    let page = ask(path).await;
    assert_eq!((&page["code"], &page["result"]["total"]), (&json!("0"), &json!(1)), "{page}");
    assert_eq!(page["result"]["items"][0]["tablets"], json!([{"id": 10_000, "backendIds": [10_001]}]));
    assert_eq!(ask(&format!("{path}?page_num=1")).await["result"]["items"], json!([]));
    assert_eq!(get(frontend, &path.replace("/t/", "/u/")).await.status(), 404);
    assert_eq!(get(frontend, &path.replace("default_catalog", "lake")).await.status(), 404);
}

#[tokio::test]
async fn a_plan_is_refused_in_words_and_bad_questions_as_by_the_server() {
    let world = World::new().await;
    let frontend = world.sandbox.addresses().frontend;
    for (path, body, status, words) in [
        ("/api/d/t/_query_plan", "", 400, "POST body must contains [sql] root object"),
        ("/api/d/t/_query_plan", "{", 400, "malformed json [ { ]"),
        ("/api/d/t/_query_plan", "{}", 400, "POST body must contains [sql] root object"),
        ("/api/e/t/_query_plan", r#"{"sql": "SELECT 1"}"#, 404, "Database [e] does not exists"),
        ("/api/d/u/_query_plan", r#"{"sql": "SELECT 1"}"#, 404, "Table [u] does not exists"),
        ("/api/d/t/_query_plan", r#"{"sql": "DROP TABLE d.t"}"#, 400, "Select statement needed"),
        ("/api/d/t/_query_plan", r#"{"sql": "SELECT x FROM t"}"#, 500, "The Sql is invalid"),
        ("/api/d/t/_query_plan", r#"{"sql": "SELECT 1; DROP TABLE d.t"}"#, 500, "The Sql is invalid"),
        ("/api/d/t/_query_plan", r#"{"sql": "SELECT k FROM d.t"}"#, 500, "direct scans are not supported"),
    ] {
        let response = post(frontend, path, body).await;
        let answer = response.json();
        assert_eq!((response.status(), &answer["status"]), (status, &json!(status)), "{body}: {answer}");
        assert!(answer["exception"].as_str().is_some_and(|text| text.contains(words)), "{body}: {answer}");
    }
    assert_eq!(get(frontend, "/api/d/t/_count").await.json()["size"], 0, "the table is still there");
}

#[tokio::test]
async fn merge_commit_is_told_its_backends() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    let ask = async |headers: &str, query: &str| -> Value {
        let headers = authorization("root:") + headers;
        request(addresses.frontend, "GET", &format!("/api/d/t/_stream_load_meta{query}"), &headers).await.json()
    };
    let fine = json!({"status": "OK", "code": "OK", "msg": "", "message": ""});
    assert_eq!(ask("", "").await, fine);
    let merge = "enable_merge_commit: true\r\nmerge_commit_interval_ms: 1000\r\nmerge_commit_parallel: 2\r\n";
    let answer = ask(merge, "").await;
    let (http, brpc) = (addresses.backend.to_string(), format!("{}:0", addresses.backend.ip()));
    assert_eq!(answer["nodes"], json!({"http": http, "brpc": brpc}), "{answer}");
    assert_eq!(ask(merge, "?type=nodes&node_service=http").await["nodes"], json!({"http": http}));
    assert_eq!(ask(merge, "?type=other").await, fine);
    let refused = ask("enable_merge_commit: true\r\n", "").await;
    assert_eq!((&refused["status"], &refused["code"]), (&json!("FAILED"), &json!("INVALID_ARGUMENT")), "{refused}");
}

#[tokio::test]
async fn settings_are_changed_over_http_by_the_rules_of_each_node() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    let path = "/api/_set_config?label_keep_max_num=7&http_max_header_size=1&nothing=a%20b&empty_load_as_error=maybe";
    let expected = json!({
        "set": {"label_keep_max_num": "7"},
        "err": {"http_max_header_size": "[1]", "nothing": "[a b]", "empty_load_as_error": "[maybe]"},
    });
    assert_eq!(get(addresses.frontend, path).await.json(), expected);
    let update =
        async |query: &str| request(addresses.backend, "POST", &format!("/api/update_config{query}"), "").await;
    let response = update("?streaming_load_max_mb=5").await;
    assert_eq!(response.body(), "{\n    \"status\": \"OK\",\n    \"msg\": \"\"\n}");
    assert!(open(addresses.backend, "/varz").await.body().contains("streaming_load_max_mb=5\n"));
    for (query, message) in [
        ("", "Now only support to set a single config once, via 'config_name=new_value'"),
        ("?a=1&b=2", "Now only support to set a single config once, via 'config_name=new_value'"),
        ("?a=1", "set a=1 failed, reason: Not found: 'a' is not found"),
        (
            "?streaming_load_max_mb=x",
            "set streaming_load_max_mb=x failed, reason: Invalid argument: convert 'x' as int64_t failed",
        ),
    ] {
        let response = update(query).await;
        assert_eq!((response.status(), response.json()), (200, json!({"status": "BAD", "msg": message})));
    }
}

#[tokio::test]
async fn metrics_are_told_in_every_form() {
    let world = World::new().await;
    world.csv("l", "1,a,1\n").await;
    let addresses = world.sandbox.addresses().clone();
    let text = open(addresses.frontend, "/metrics").await;
    assert_eq!(text.header("Content-Type"), Some("text/plain"));
    let text = text.body();
    assert!(
        text.contains("# TYPE starrocks_fe_txn_begin counter\n") && text.contains("# HELP starrocks_fe_txn_begin ")
    );
    assert!(sample(text, "starrocks_fe_max_journal_id") > 0);
    assert!(sample(text, "process_resident_memory_bytes") > 1_000_000);
    for (kind, state) in [("fe_node_num", "total"), ("be_node_num", "total"), ("be_node_num", "alive")] {
        assert_eq!(sample(text, &format!("node_info{{type=\"{kind}\", state=\"{state}\"}}")), 1);
    }
    let core = open(addresses.frontend, "/metrics?type=core").await;
    assert!(core.body().contains("starrocks_fe_connection_total LONG 0\n"), "{}", core.raw);
    assert!(core.body().contains("starrocks_fe_backend_dead_num 0\n"), "{}", core.raw);
    let all = open(addresses.frontend, "/metrics?type=json").await.json();
    let begun = |metric: &&Value| metric["tags"] == json!({"metric": "txn_begin"});
    let begun = all.as_array().and_then(|all| all.iter().find(begun)).expect("it is there");
    assert_eq!(begun["unit"], "requests");
    let text = open(addresses.backend, "/metrics").await;
    for name in ["streaming_load_requests_total", "streaming_load_current_processing", "load_rows"] {
        sample(text.body(), &format!("starrocks_be_{name}"));
    }
    sample(text.body(), "starrocks_be_txn_request{type=\"begin\"}");
}

#[tokio::test]
async fn what_is_switched_off_says_so() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    for path in ["/image", "/journal_id", "/role?host=a&port=1", "/check", "/put"] {
        let response = open(addresses.frontend, path).await;
        assert_eq!((response.status(), response.body()), (400, "invalid client host: 127.0.0.1"), "{path}");
    }
    assert_eq!(open(addresses.frontend, "/dump").await.status(), 401);
    for (path, status, body) in [
        ("/api/query_detail?event_time=1", 200, "[]"),
        ("/api/query_detail", 400, "not valid parameter"),
        ("/api/profile?query_id=x", 404, "query id x not found."),
        ("/api/connection?connection_id=5", 404, "connection id 5 not found."),
        ("/api/show_proc?path=/nowhere", 200, "[]"),
    ] {
        let response = get(addresses.frontend, path).await;
        assert_eq!((response.status(), response.body()), (status, body), "{path}");
    }
    let bootstrap = open(addresses.frontend, "/api/bootstrap?token=guess").await.json();
    assert_eq!((&bootstrap["status"], &bootstrap["msg"]), (&json!("FAILED"), &json!("invalid parameter")));
    assert_eq!(open(addresses.backend, "/pprof/heap").await.status(), 200);
    assert_eq!(
        open(addresses.backend, "/api/_tablet/_download?token=x&file=/etc/passwd").await.body(),
        "invalid token."
    );
    let runtime = open(addresses.frontend, "/api/show_runtime_info").await.json();
    assert!(runtime["total_mem"].as_str().is_some_and(|bytes| bytes.len() > 6), "{runtime}");
}

#[tokio::test]
async fn a_compaction_makes_one_version_of_several() {
    let world = World::new().await;
    let backend = world.sandbox.addresses().backend;
    let shown = async || open(backend, "/api/compaction/show?tablet_id=10000").await.json()["rowsets"].clone();
    assert_eq!(shown().await, json!(["[0-1]"]));
    let bump = |transaction: &rusqlite::Transaction<'_>| crate::sandbox::tablet::bump_version(transaction, 1);
    world.sandbox.node.store.write(bump).expect("a version is counted");
    world.sandbox.node.store.write(bump).expect("a version is counted");
    assert_eq!(shown().await, json!(["[0-1]", "[2-2]", "[3-3]"]));
    for (method, path, message) in [
        ("GET", "/api/compaction/show", "The argument 'tablet_id' is required."),
        ("GET", "/api/compaction/show?tablet_id=9", "Tablet not found"),
        ("POST", "/api/compact?tablet_id=x", "invalid argument.tablet_id:x"),
        ("POST", "/api/compact?tablet_id=10000&compaction_type=full", "unsupport compaction type:full"),
        (
            "POST",
            "/api/compact?tablet_id=10000&compaction_type=cumulative_compaction",
            "compaction task executed successful",
        ),
    ] {
        let response = request(backend, method, path, "").await;
        assert_eq!((response.status(), &response.json()["msg"]), (200, &json!(message)), "{path}");
    }
    assert_eq!(shown().await, json!(["[0-3]"]));
}

#[tokio::test]
async fn the_tree_of_the_frontend_and_its_sessions_are_told() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    let ask = async |path: &str| get(addresses.frontend, &format!("/api/show_proc?path={path}")).await.json();
    let frontends = ask("/frontends").await;
    assert_eq!(frontends[0]["HttpPort"], addresses.frontend.port().to_string(), "{frontends}");
    assert_eq!(ask("/compute_nodes").await, json!([]));
    assert!(ask("").await.as_array().is_some_and(|names| names.contains(&json!({"name": "backends"}))));
    let seat = world.sandbox.node.store.sessions().open(4711, "root", "127.0.0.1");
    seat.identify("root", "d");
    let running = seat.begin("SELECT 1", None);
    let answer = get(addresses.frontend, "/api/connection?connection_id=4711").await;
    assert!(answer.body().starts_with("{\"query_id\" : \"") && answer.json()["query_id"].is_string(), "{}", answer.raw);
    let text = open(addresses.frontend, "/metrics").await;
    assert_eq!(sample(text.body(), "starrocks_fe_connection_total"), 1);
    drop((running, seat));
    assert_eq!(get(addresses.frontend, "/api/connection?connection_id=4711").await.status(), 404);
}

//! §9: what operators ask.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Database};
use crate::support::curl::{Answer, Request, field};

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT NOT NULL COMMENT 'the key', v VARCHAR(20) DEFAULT 'x', d DECIMAL(10, 3)");
    let reply = database.load("t").body("1\ta\t1.5\n2\tb\t2.5\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    database
}

/// A GET without a password.
fn open(node: &str, path: &str) -> Answer {
    Request::new("GET", &format!("http://{node}{path}")).send()
}

fn get(cluster: &Cluster, path: &str) -> Answer {
    cluster.request("GET", cluster.frontend(), path).send()
}

#[test]
fn sr_9_health() {
    let cluster = Cluster::shared();
    let json = open(cluster.frontend(), "/api/health").json();
    assert_eq!(field(&json, "status"), "OK", "{json}");
    assert!(json["total_backend_num"].is_i64() && json["online_backend_num"].is_i64(), "{json}");
    let answer = open(cluster.backend(), "/api/health");
    assert_eq!((answer.status(), answer.json()), (200, json!({"status": "OK", "msg": "To Be Added"})));
}

#[test]
fn sr_9_version_and_readiness() {
    let cluster = Cluster::shared();
    let json = open(cluster.frontend(), "/api/v2/feature").json();
    assert!(field(&json, "version").split('.').count() >= 3, "{json}");
    assert!(json["features"].is_array() && field(&json, "status") == "OK", "{json}");
    let version = cluster.database().rows("SELECT current_version()");
    assert!(version[0][0].contains('.'), "{version:?}");
    assert_eq!(open(cluster.frontend(), "/api/bootstrap").field("status"), "OK");
}

#[test]
fn sr_9_metrics() {
    let cluster = Cluster::shared();
    database(cluster);
    let expect = |node: &str, names: &[&str]| {
        let answer = open(node, "/metrics");
        assert_eq!(answer.status(), 200);
        let text = answer.text();
        for name in names {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing: {text}");
        }
    };
    expect(
        cluster.backend(),
        &[
            "starrocks_be_streaming_load_requests_total",
            "starrocks_be_streaming_load_bytes",
            "starrocks_be_streaming_load_duration_ms",
            "starrocks_be_streaming_load_current_processing",
        ],
    );
    expect(
        cluster.frontend(),
        &[
            "starrocks_fe_txn_begin",
            "starrocks_fe_txn_success",
            "starrocks_fe_txn_failed",
            "starrocks_fe_txn_reject",
            "starrocks_fe_txn_running",
        ],
    );
}

#[test]
fn sr_9_metrics_count_loads() {
    let cluster = Cluster::shared();
    let count = || -> f64 {
        let text = open(cluster.backend(), "/metrics").text();
        let line = text.lines().find(|line| line.starts_with("starrocks_be_streaming_load_requests_total")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    };
    let before = count();
    database(cluster);
    assert!(cluster.backends.len() > 1 || count() > before);
}

#[test]
fn sr_9_schema() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let json = get(cluster, &format!("/api/{}/t/_schema", database.name)).json();
    assert_eq!(json["status"], json!(200), "{json}");
    let properties = json["properties"].as_array().unwrap();
    let column = |name: &str| properties.iter().find(|property| property["name"] == name).unwrap();
    assert_eq!((&column("k")["type"], &column("k")["comment"]), (&json!("INT"), &json!("the key")));
    assert_eq!((&column("d")["precision"], &column("d")["scale"]), (&json!("10"), &json!("3")), "all strings: {json}");
    let known = ["name", "type", "comment", "precision", "scale", "aggregation_type"];
    for property in properties {
        assert!(property.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{property}");
    }
    assert_eq!(get(cluster, &format!("/api/{}/nowhere/_schema", database.name)).status(), 404);
}

#[test]
fn sr_9_schema_of_the_second_version() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/v2/catalogs/default_catalog/databases/{}/tables/t/schema", database.name);
    let json = get(cluster, &path).json();
    assert_eq!((field(&json, "code").as_str(), field(&json, "message").as_str()), ("0", "OK"), "{json}");
    let result = &json["result"];
    assert_eq!((field(result, "name").as_str(), field(result, "keysType").as_str()), ("t", "DUP_KEYS"), "{json}");
    for name in ["id", "tableType", "partitionInfo", "defaultDistributionInfo", "properties"] {
        assert!(result.get(name).is_some(), "{name}: {json}");
    }
    let columns = result["columns"].as_array().unwrap();
    let flags: Vec<(&str, &Value, &Value)> = columns
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), &column["isKey"], &column["isAllowNull"]))
        .collect();
    let (yes, no) = (&json!(true), &json!(false));
    assert_eq!(flags, [("k", yes, no), ("v", no, yes), ("d", no, yes)], "{json}");
    assert_eq!(columns[1]["defaultValue"], json!("x"), "{json}");
}

#[test]
fn sr_9_counts() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let json = get(cluster, &format!("/api/{}/t/_count", database.name)).json();
    assert!(json["status"] == json!(200) && json["size"].is_number(), "{json}");
    let json = get(cluster, &format!("/api/rowcount?db={}&table=t", database.name)).json();
    assert!(json["t"].is_number(), "{json}");
    let answer = get(cluster, &format!("/api/show_data?db={}", database.name));
    assert!(answer.text().trim().parse::<u64>().is_ok(), "{}", answer.text());
    assert_eq!(get(cluster, "/api/show_data?db=no_where").status(), 404);
}

#[test]
fn sr_9_query_plan() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/{}/t/_query_plan", database.name);
    let body = json!({ "sql": format!("SELECT k FROM {}.t", database.name) }).to_string();
    let json = cluster.request("POST", cluster.frontend(), &path).body(body).json();
    if json["status"] == json!(200) {
        assert!(json["partitions"].is_object() && json["opaqued_query_plan"].is_string(), "{json}");
    } else {
        // A plan is an invitation to a port of the backends that a node without one must not give.
        assert_eq!(json["status"], json!(500), "{json}");
        assert!(field(&json, "exception").contains("direct scans are not supported"), "{json}");
    }
    // In either case the statement has been looked at.
    let nonsense = json!({ "sql": "SELECT nonsense FROM" }).to_string();
    let json = cluster.request("POST", cluster.frontend(), &path).body(nonsense).json();
    assert!(json["status"] != json!(200) && !field(&json, "exception").contains("direct scans"), "{json}");
}

#[test]
fn sr_9_definitions() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let json = get(cluster, &format!("/api/_get_ddl?db={}&tbl=t", database.name)).json();
    let text = json["TABLE"][0].as_str().unwrap_or_else(|| panic!("{json}"));
    assert!(text.contains("CREATE TABLE"), "{json}");
    assert!(json["PARTITION"].is_array() && json["ROLLUP"].is_array(), "{json}");
}

#[test]
fn sr_9_show_proc() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let rows = |path: &str| get(cluster, &format!("/api/show_proc?path={path}")).json();
    let backends = rows("/backends");
    let nodes = backends.as_array().unwrap_or_else(|| panic!("{backends}"));
    assert!(!nodes.is_empty() || !rows("/compute_nodes").as_array().unwrap().is_empty());
    let values = nodes.iter().flat_map(|node| node.as_object().unwrap().values());
    assert!(values.into_iter().all(|value| value.is_string() || value.is_null()), "string values: {backends}");
    drop(database);
}

#[test]
fn sr_9_runtime_and_connections() {
    let cluster = Cluster::shared();
    let json = open(cluster.frontend(), "/api/show_runtime_info").json();
    for name in ["free_mem", "total_mem", "max_mem", "thread_cnt"] {
        assert!(json[name].is_string(), "{name}: {json}");
    }
}

#[test]
fn sr_9_configuration() {
    let cluster = Cluster::shared();
    let update = |query: &str| {
        let answer = cluster.request("POST", cluster.backend(), &format!("/api/update_config?{query}")).send();
        assert_eq!(answer.status(), 200, "either way");
        answer.json()
    };
    assert_eq!(field(&update("no_such_configuration=1"), "status"), "BAD");
    assert_eq!(field(&update("a=1&b=2"), "status"), "BAD", "exactly one");
    let json = get(cluster, "/api/_set_config?no_such_configuration=1").json();
    assert!(json["set"].is_object() && json["err"].get("no_such_configuration").is_some(), "{json}");
    let answer = open(cluster.backend(), "/varz");
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains('<'), "it is a page: {}", answer.text());
}

#[test]
fn sr_9_loads_over_sql() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = crate::support::cluster::label();
    let reply = database.load("t").header("label", &label).body("3\tc\t1\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    let query = format!("SELECT DB_NAME, STATE FROM information_schema.loads WHERE LABEL = '{label}'");
    crate::support::wait_until("the load is listed", || !database.rows(&query).is_empty());
    let rows = database.rows(&query);
    assert!(rows[0][0] == database.name && rows[0][1] != "CANCELLED", "{rows:?}");
}

//! §8: SQL over HTTP.

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Database};
use crate::support::curl::{Answer, field};
use crate::support::raw::Connection;

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT, v VARCHAR(20), d DATE");
    let reply = database.load("t").body("1\ta\t2024-01-02\n2\t\\N\t\\N\n").json();
    assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    database
}

fn ask(database: &Database<'_>, body: &str) -> Answer {
    let cluster = database.cluster;
    let path = format!("/api/v1/catalogs/default_catalog/databases/{}/sql", database.name);
    cluster.request("POST", cluster.frontend(), &path).header("Content-Type", "application/json").body(body).send()
}

fn query(database: &Database<'_>, query: &str) -> Answer {
    ask(database, &json!({ "query": query }).to_string())
}

fn lines(answer: &Answer) -> Vec<Value> {
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn sr_8_select_is_lines_of_json() {
    let database = database(Cluster::shared());
    let answer = query(&database, "SELECT k, v, d FROM t ORDER BY k");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("Content-Type"), Some("application/x-ndjson; charset=utf-8"));
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert!(answer.header("X-StarRocks-Query-Id").is_some(), "{:?}", answer.heads);
    let lines = lines(&answer);
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0]["connectionId"].is_i64(), "{lines:?}");
    let columns: Vec<&str> =
        lines[1]["meta"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["k", "v", "d"]);
    assert!(lines[1]["meta"].as_array().unwrap().iter().all(|one| one["type"].is_string()));
    assert_eq!(lines[2], json!({"data": [1, "a", "2024-01-02"]}));
    assert_eq!(lines[3], json!({"data": [2, null, null]}));
    for name in ["scanRows", "scanBytes", "returnRows"] {
        assert!(lines[4]["statistics"][name].is_number(), "{name}: {lines:?}");
    }
    assert_eq!(lines[4]["statistics"]["returnRows"], json!(2));
}

#[test]
fn sr_8_raw_results_lack_the_connection_and_the_statistics() {
    let database = database(Cluster::shared());
    let body = json!({ "query": "SELECT k FROM t ORDER BY k", "onlyOutputResultRaw": true });
    let lines = lines(&ask(&database, &body.to_string()));
    assert!(
        lines.iter().all(|line| line.get("connectionId").is_none() && line.get("statistics").is_none()),
        "{lines:?}"
    );
    let rows: Vec<&Value> = lines.iter().filter_map(|line| line.get("data")).collect();
    assert_eq!(rows, [&json!([1]), &json!([2])]);
}

#[test]
fn sr_8_show_is_one_object_of_strings() {
    let database = database(Cluster::shared());
    let answer = query(&database, "SHOW TABLES");
    assert_eq!(answer.status(), 200);
    assert!(!answer.text().ends_with('\n'));
    let json = answer.json();
    assert!(
        json["meta"].is_array() && json.get("statistics").is_some() && json.get("connectionId").is_none(),
        "{json}"
    );
    let name = json["meta"][0]["name"].as_str().unwrap();
    assert_eq!(json["data"][0][name], json!("t"), "{json}");
    let json = query(&database, "DESC t").json();
    let values = json["data"].as_array().unwrap().iter().flat_map(|row| row.as_object().unwrap().values());
    assert!(values.clone().count() > 0 && values.clone().all(|value| value.is_string() || value.is_null()), "{json}");
}

#[test]
fn sr_8_explain_is_one_text() {
    let database = database(Cluster::shared());
    let json = query(&database, "EXPLAIN SELECT * FROM t").json();
    assert!(json["explain"].is_string(), "{json}");
}

#[test]
fn sr_8_session_variables() {
    let database = database(Cluster::shared());
    let body = json!({ "query": "SELECT @@query_timeout", "sessionVariables": { "query_timeout": 77 } });
    let lines = lines(&ask(&database, &body.to_string()));
    assert_eq!(lines[2]["data"][0].to_string().trim_matches('"'), "77", "{lines:?}");
}

#[test]
fn sr_8_a_session_is_a_connection() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/v1/catalogs/default_catalog/databases/{}/sql", database.name);
    let mut connection = Connection::open(cluster.frontend());
    let mut ids = Vec::new();
    for _ in 0..2 {
        let body = json!({ "query": "SELECT 1" }).to_string();
        let length = body.len().to_string();
        connection.send(cluster.head("POST", &path, &[("Content-Length", &length)]) + &body);
        let text = connection.chunked_reply();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        ids.push(first["connectionId"].clone());
    }
    assert!(ids[0].is_number() && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn sr_8_errors() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let query = |text: &str| json!({ "query": text }).to_string();
    let cases = [
        (400, "not json".to_owned()),
        (400, query("")),
        (400, query("SELECT 1; SELECT 2")),
        (400, query("INSERT INTO t VALUES (3, 'c', NULL)")),
        (400, query("CREATE TABLE x (k INT)")),
        (400, query("DELETE FROM t WHERE k = 1")),
        (500, query("SELECT * FROM nowhere")),
        (500, query("SELEC 1")),
    ];
    for (status, body) in cases {
        let answer = ask(&database, &body);
        assert_eq!(answer.status(), status, "{body}: {}", answer.text());
        let json = answer.json();
        assert_eq!(field(&json, "status"), "FAILED", "{body}: {json}");
        assert!(!field(&json, "msg").is_empty(), "{body}: {json}");
    }
    let path = "/api/v1/catalogs/default_catalog/databases/no_where/sql";
    let answer = cluster.request("POST", cluster.frontend(), path).body(query("SELECT 1")).send();
    assert_eq!(answer.status(), 403, "{}", answer.text());
    let wrong = format!("{} wrong", cluster.password);
    let request = cluster.request("POST", cluster.frontend(), path).user(&cluster.user, &wrong);
    assert_eq!(request.body(query("SELECT 1")).send().status(), 401);
    assert_eq!(database.count("t"), 2, "nothing was written");
}

#[test]
fn sr_8_without_a_database_names_are_qualified() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let body = json!({ "query": format!("SELECT count(*) FROM {}.t", database.name) }).to_string();
    let answer = cluster.request("POST", cluster.frontend(), "/api/v1/catalogs/default_catalog/sql").body(body).send();
    assert_eq!(lines(&answer)[2], json!({"data": [2]}));
}

#[test]
fn sr_8_kill_is_empty() {
    let database = database(Cluster::shared());
    let lines = lines(&query(&database, "SELECT 1"));
    let answer = query(&database, &format!("KILL {}", lines[0]["connectionId"]));
    // The connection of the first query is gone already, which a server may complain of.
    assert!(answer.status() == 200 && answer.body.is_empty() || answer.status() == 500, "{}", answer.text());
}

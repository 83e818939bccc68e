//! Questions: schema, version, SQL.

use super::*;
use crate::failure::{Code, Failure};

/// A frontend that answers each path of a table in its own way; the first prefix that fits counts.
pub(super) async fn frontend(answers: &'static [(&'static str, &'static str, &'static str)]) -> Node {
    Node::start(move |mut peer| async move {
        let head = peer.head().await;
        let line = head.lines().next().unwrap_or_default();
        let answer = answers.iter().find(|(prefix, ..)| line.starts_with(prefix));
        let (_, status, body) = answer.copied().unwrap_or(("", "404 Not Found", "Not Found"));
        peer.answer(status, body).await;
        peer.rest().await;
    })
    .await
}

const V2: &str = "GET /api/v2/catalogs/default_catalog/databases/db/tables/t/schema ";
const SQL: &str = "POST /api/v1/catalogs/default_catalog/sql ";
const SHORT: &str = "GET /api/db/t/_schema ";

const FULL: &str = r#"{"code":"0","message":"OK","result":{"name":"t","columns":[
    {"name":"id","type":{"name":"INT"},"isKey":true,"isAllowNull":false,"defaultValueType":"NULL"}]}}"#;
const DESCRIBED: &str = r#"{"meta":[{"name":"Field"},{"name":"Type"},{"name":"Null"},{"name":"Key"}],
    "data":[{"Field":"id","Type":"int(11)","Null":"NO","Key":"true"}],"statistics":{}}"#;
const PROPERTIES: &str = r#"{"status":200,"properties":[{"name":"id","type":"INT","comment":""}]}"#;

#[tokio::test]
async fn a_tables_columns_come_from_the_first_source_that_tells_them() {
    for (answers, nullable) in [
        (&[(V2, "200 OK", FULL)] as &'static [_], false),
        (&[(SQL, "200 OK", DESCRIBED)], false),
        (&[(V2, "200 OK", "<html>"), (SQL, "500 Oops", "{}"), (SHORT, "200 OK", PROPERTIES)], true),
    ] {
        let node = frontend(answers).await;
        let table = target(&[node.port]).table().await.unwrap();
        assert_eq!((table.database.as_str(), table.name.as_str(), table.columns.len()), ("db", "t", 1));
        assert_eq!((table.columns[0].name.as_str(), table.columns[0].nullable), ("id", nullable));
    }
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_told_from_one_that_cannot_be_seen() {
    for (answers, code) in [
        (&[(V2, "200 OK", r#"{"code":"404","message":"Unknown table 't'"}"#)] as &'static [_], Code::NoSuchTable),
        (&[(SHORT, "404 Not Found", r#"{"status":404,"exception":"Table [t] does not exists"}"#)], Code::NoSuchTable),
        (&[(SQL, "500 Oops", r#"{"status":"FAILED","msg":"Unknown database 'db'"}"#)], Code::NoSuchTable),
        (&[(V2, "401 Unauthorized", r#"{"status":"FAILED","msg":"Access denied"}"#)], Code::AccessDenied),
        (&[(SHORT, "200 OK", "<html>")], Code::AnswerUnreadable),
        // A backend knows none of the three.
        (&[], Code::AnswerUnreadable),
    ] {
        let node = frontend(answers).await;
        let error = target(&[node.port]).table().await.unwrap_err();
        assert_eq!(error.code(), code, "{answers:?}: {error}");
        assert!(!error.to_string().contains('{'), "the server's words are enough: {error}");
    }
}

#[tokio::test]
async fn a_port_of_another_protocol_is_said_to_be_one() {
    let mysql = Node::start(|mut peer| async move {
        peer.write("J\0\0\0\n8.0.33\0\u{8}\0\0\0").await;
        peer.rest().await;
    })
    .await;
    let error = target(&[mysql.port]).table().await.unwrap_err();
    assert_eq!(error.code(), Code::TargetUnreachable);
    assert!(error.to_string().contains("(what it says is no HTTP)"), "{error}");
}

#[tokio::test]
async fn a_query_names_its_database_and_carries_its_text() {
    let node = Node::start(|mut peer| async move {
        let head = peer.head().await.to_ascii_lowercase();
        let bytes = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&peer.body(bytes).await).unwrap();
        assert_eq!(body["query"], "SELECT \"a\"");
        let rows = "{\"meta\":[{\"name\":\"a\",\"type\":\"varchar\"}]}\n{\"data\":[\"a\"]}\n{\"statistics\":{}}\n";
        peer.answer("200 OK", rows).await;
        peer.rest().await;
    })
    .await;
    let result = target(&[node.port]).sql("SELECT \"a\"", Some("d b")).await.unwrap();
    assert_eq!(result.rows, [["a"]]);
    assert!(node.finish().await[0].starts_with("POST /api/v1/catalogs/default_catalog/databases/d%20b/sql "));
}

#[tokio::test]
async fn a_result_that_breaks_off_is_no_result() {
    let node = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        peer.write("24\r\n{\"meta\":[{\"name\":\"a\",\"type\":\"int\"}]}\r\n").await;
    })
    .await;
    let error = target(&[node.port]).sql("SELECT 1", None).await.unwrap_err();
    assert_eq!(error.code(), Code::QueryFailed, "{error}");
}

const VERSION: &str =
    "{\"meta\":[{\"name\":\"v\",\"type\":\"varchar\"}]}\n{\"data\":[\"3.2.9\"]}\n{\"statistics\":{}}\n";

#[tokio::test]
async fn the_version_comes_from_the_feature_list_or_from_sql() {
    let told = frontend(&[("GET /api/v2/feature ", "200 OK", r#"{"version":"3.5.1-abc","status":"OK"}"#)]).await;
    assert_eq!(target(&[told.port]).version().await.unwrap(), "3.5.1-abc");
    let older = frontend(&[(SQL, "200 OK", VERSION)]).await;
    assert_eq!(target(&[older.port]).version().await.unwrap(), "3.2.9");
}

#[tokio::test]
async fn a_target_without_a_table_takes_queries_only() {
    let mut options = options(&[1]);
    options.url = "starrocks://127.0.0.1:1".parse().unwrap();
    let error = load(&StarRocks::new(options).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetInvalid);
}

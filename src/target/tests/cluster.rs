//! The operator's questions, against scripted nodes.

use std::sync::OnceLock;

use super::query::frontend;
use super::*;
use crate::failure::{Code, Failure};
use crate::target::LabelState;
use crate::target::cluster::{LoadFilter, NodeKind};

const SQL: &str = "POST /api/v1/catalogs/default_catalog/sql ";
const SQL_DB: &str = "POST /api/v1/catalogs/default_catalog/databases/db/sql ";
const FRONTENDS: &str = "GET /api/show_proc?path=/frontends ";
const BACKENDS: &str = "GET /api/show_proc?path=/backends ";
const COMPUTE: &str = "GET /api/show_proc?path=/compute_nodes ";
const DENIED: &str = r#"{"status":"FAILED","code":"1","msg":"Access denied; you need the OPERATE privilege"}"#;

fn filter() -> LoadFilter {
    LoadFilter { limit: 10, ..LoadFilter::default() }
}

/// A node that answers by the text of the query, or 500.
async fn sql_server(answers: &'static [(&'static str, &'static str)]) -> Node {
    Node::start(move |mut peer| async move {
        let head = peer.head().await.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let query = peer.body(length.map_or(0, |length| length.parse().unwrap())).await;
        let query = String::from_utf8(query).unwrap();
        match answers.iter().find(|(part, _)| query.contains(part)) {
            Some((_, body)) => peer.answer("200 OK", body).await,
            None => peer.answer("500 Oops", r#"{"status":"FAILED","msg":"no viable alternative"}"#).await,
        }
        peer.rest().await;
    })
    .await
}

#[tokio::test]
async fn nodes_are_read_whatever_a_version_leaves_out() {
    let node = frontend(&[
        (FRONTENDS, "200 OK", r#"[{"Name":"fe1","IP":"10.0.0.1","HttpPort":"8030","Role":"LEADER","Alive":"true"}]"#),
        (
            BACKENDS,
            "200 OK",
            r#"[{"BackendId":"10001","ip":"10.0.0.2","HttpPort":"8040","Alive":"false","ErrMsg":"refused",
                "SystemDecommissioned":"false","ClusterDecommissioned":"true","TabletNum":"12","NumRunningQueries":"3",
                "MemUsedPct":"1.20 %","Version":"3.3.7-abc"},{}]"#,
        ),
        (COMPUTE, "200 OK", "[]"),
    ])
    .await;
    let listing = target(&[node.port]).cluster().nodes().await.unwrap();
    assert!(listing.is_complete(), "{listing:?}");
    let [leader, backend, bare] = &listing.nodes[..] else { panic!("{listing:?}") };
    assert_eq!((leader.kind, leader.alive, leader.role.as_deref()), (NodeKind::Frontend, Some(true), Some("LEADER")));
    assert_eq!((backend.name.as_deref(), backend.alive), (Some("10001"), Some(false)));
    assert_eq!((backend.decommissioned, backend.tablets, backend.running), (Some(true), Some(12), Some(3)));
    assert_eq!((bare.kind, bare.host.as_ref(), bare.alive), (NodeKind::Backend, None, None));
}

#[tokio::test]
async fn a_user_without_the_lists_asks_in_sql_and_learns_which_privilege_is_missing() {
    const SHOWN: &str = r#"{"meta":[{"name":"IP"},{"name":"HttpPort"},{"name":"Alive"}],
        "data":[{"IP":"be1","HttpPort":"8040","Alive":"true"}],"statistics":{}}"#;
    let node = frontend(&[(SQL, "200 OK", SHOWN), ("GET ", "401 Unauthorized", DENIED)]).await;
    let listing = target(&[node.port]).cluster().nodes().await.unwrap();
    assert_eq!(listing.nodes.len(), 3);
    assert_eq!((listing.nodes[1].host.as_deref(), listing.nodes[1].http_port), (Some("be1"), Some(8040)));

    for status in ["401 Unauthorized", "403 Forbidden", "200 OK"] {
        let node = frontend(vec![(SQL, "500 Oops", DENIED), ("GET ", status, DENIED)].leak()).await;
        let error = target(&[node.port]).cluster().nodes().await.unwrap_err();
        assert_eq!(error.code(), Code::AccessDenied, "{error}");
        assert!(error.to_string().contains("OPERATE ON SYSTEM"), "{error}");
        assert!(error.hint().unwrap().contains("GRANT OPERATE ON SYSTEM TO USER"));
    }
}

#[tokio::test]
async fn what_cannot_be_listed_is_said_beside_what_can() {
    let node = frontend(&[(BACKENDS, "200 OK", r#"[{"IP":"be1"}]"#), (COMPUTE, "200 OK", "[]")]).await;
    let listing = target(&[node.port]).cluster().nodes().await.unwrap();
    assert_eq!((listing.nodes.len(), listing.missing.len()), (1, 1));
    assert!(listing.missing[0].starts_with("the frontends cannot be listed: "), "{listing:?}");
}

#[tokio::test]
async fn odd_answers_are_errors_and_no_panics() {
    let deep = "[".repeat(100_000);
    for body in ["<html>login</html>", "", "7", "null", "\u{fffd}", "{\"a\":", &deep] {
        let node = Node::answering("200 OK", body).await;
        let target = target(&[node.port]);
        let cluster = target.cluster();
        let codes = [
            cluster.nodes().await.unwrap_err().code(),
            cluster.loads(&filter()).await.unwrap_err().code(),
            cluster.label(&label()).await.unwrap_err().code(),
            cluster.transactions(5).await.unwrap_err().code(),
        ];
        for code in codes {
            assert!([Code::AnswerUnreadable, Code::QueryFailed].contains(&code), "{code} for {body:.30}");
        }
        let (health, _) = cluster.health().await;
        assert!(!health[0].problems.is_empty(), "{health:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let node = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n").await;
        let more = "# nothing to see\n".repeat(4096);
        // The client hangs up, and writing fails then.
        while peer.stream.write_all(more.as_bytes()).await.is_ok() {}
    })
    .await;
    let error = target(&[node.port]).cluster().metrics(None, None).await.unwrap_err();
    assert!(error.to_string().contains("longer than 16"), "{error}");
}

#[tokio::test]
async fn health_asks_every_node_once_and_sends_backends_no_credentials() {
    let well = Node::answering("200 OK", r#"{"status": "OK","msg": "To Be Added"}"#).await;
    let dead = closed_port().await;
    let port: &'static OnceLock<u16> = Box::leak(Box::default());
    let (alive, gone) = (well.port, dead);
    let node = Node::start(move |mut peer| async move {
        let head = peer.head().await;
        let own = port.get().copied().unwrap_or(0);
        let body = if head.starts_with(FRONTENDS) {
            // The list has the frontend by another name.
            format!(r#"[{{"Name":"fe1","IP":"localhost","HttpPort":"{own}","Alive":"true","Version":"old"}}]"#)
        } else if head.starts_with(BACKENDS) {
            format!(
                r#"[{{"IP":"127.0.0.1","HttpPort":"{alive}","Alive":"true","Version":"3.3.7"}},
                    {{"IP":"127.0.0.1","HttpPort":"{gone}","Alive":"false","ErrMsg":"no heartbeat"}}]"#
            )
        } else if head.starts_with("GET /api/health ") {
            r#"{"status":"OK","total_backend_num":2,"online_backend_num":1}"#.to_owned()
        } else if head.starts_with("GET /api/v2/feature ") {
            r#"{"version":"3.3.7-fe","features":[],"status":"OK"}"#.to_owned()
        } else {
            "[]".to_owned()
        };
        peer.answer("200 OK", &body).await;
        peer.rest().await;
    })
    .await;
    port.set(node.port).unwrap();
    let (health, missing) = target(&[node.port]).cluster().health().await;
    assert!(missing.is_empty(), "{missing:?}");
    let [frontend, one, other] = &health[..] else { panic!("each node once: {health:?}") };
    assert_eq!((frontend.version.as_deref(), frontend.alive), (Some("3.3.7-fe"), Some(true)));
    assert!(frontend.problems.is_empty() && frontend.latency.is_some(), "{frontend:?}");
    assert_eq!((one.reachable, one.version.as_deref(), one.problems.len()), (true, Some("3.3.7"), 0));
    assert!(!other.reachable && other.latency.is_none());
    assert!(other.problems[0].starts_with("no answer: "), "{other:?}");
    assert_eq!(other.problems[1], "the frontend calls it dead: no heartbeat");
    assert!(!well.heads()[0].to_ascii_lowercase().contains("authorization"), "{:?}", well.heads());
}

#[tokio::test]
async fn a_frontend_that_is_down_does_not_keep_the_others_from_being_asked() {
    let health = r#"{"status":"OK","total_backend_num":3,"online_backend_num":2}"#;
    let node = Node::answering("200 OK", health).await;
    let (nodes, missing) = target(&[closed_port().await, node.port]).cluster().health().await;
    assert_eq!(nodes.iter().map(|node| node.reachable).collect::<Vec<_>>(), [false, true]);
    assert_eq!(nodes[1].problems, ["1 of its 3 backends is not online"], "the list is not to be had, so the count is");
    assert_eq!(missing.len(), 1, "{missing:?}");
}

#[tokio::test]
async fn an_older_frontend_tells_its_version_in_sql() {
    const VERSION: &str = "{\"meta\":[{\"name\":\"v\"}]}\n{\"data\":[\"3.2.9\"]}\n{\"statistics\":{}}\n";
    let node = sql_server(&[("current_version()", VERSION)]).await;
    let (health, _) = target(&[node.port]).cluster().health().await;
    assert_eq!(health[0].version.as_deref(), Some("3.2.9"));
}

#[tokio::test]
async fn loads_come_from_the_table_without_the_columns_it_lacks() {
    const TABLE: &str = "{\"meta\":[{\"name\":\"ID\"},{\"name\":\"LABEL\"},{\"name\":\"STATE\"},\
        {\"name\":\"CREATE_TIME\"},{\"name\":\"SINK_ROWS\"}]}\n{\"data\":[1,\"a\",\"FINISHED\",\"2026-01-01 00:00:00\",5]}\n\
        {\"data\":[2,\"b\",\"CANCELLED\",\"2026-01-02 00:00:00\",null]}\n{\"statistics\":{}}\n";
    const LACKING: &str = r#"{"status":"FAILED","msg":"Column 'TYPE' cannot be resolved"}"#;
    let node = sql_server(&[("TYPE", LACKING), ("FROM information_schema.loads", TABLE)]).await;
    let loads = target(&[node.port]).cluster().loads(&filter()).await.unwrap();
    let labels: Vec<_> = loads.iter().map(|load| load.label.as_deref().unwrap()).collect();
    assert_eq!(labels, ["b", "a"], "the newest first");
    assert_eq!((loads[1].rows_loaded, loads[0].rows_loaded), (Some(5), None));

    let cancelled = LoadFilter { state: Some("cancelled".into()), ..filter() };
    let loads = target(&[node.port]).cluster().loads(&cancelled).await.unwrap();
    assert_eq!(loads.len(), 1);
}

#[tokio::test]
async fn a_server_without_that_table_shows_its_loads() {
    const SHOWN: &str = r#"{"meta":[{"name":"Label"},{"name":"Id"},{"name":"TableName"},{"name":"State"},
        {"name":"NumRowsNormal"},{"name":"CreateTimeMs"}],"data":[
        {"Label":"a","Id":"7","TableName":"t","State":"FINISHED","NumRowsNormal":"5",
         "CreateTimeMs":"2026-01-01 00:00:00"},{"Label":"b","Id":"8","TableName":"other","State":"LOADING"}],"statistics":{}}"#;
    const EMPTY: &str = "{\"meta\":[{\"name\":\"ID\"}]}\n{\"statistics\":{}}\n";
    for answers in [
        &[("SHOW ALL STREAM LOAD FROM `db`", SHOWN)] as &'static [_],
        &[("\"SHOW STREAM LOAD FROM `db`", SHOWN)],
        &[("information_schema", EMPTY), ("SHOW STREAM", SHOWN)],
    ] {
        let node = sql_server(answers).await;
        let loads = target(&[node.port]).cluster().loads(&filter()).await.unwrap();
        assert_eq!(loads.len(), 1, "those of the table that the target names: {loads:?}");
        assert_eq!((loads[0].id.as_deref(), loads[0].rows_loaded), (Some("7"), Some(5)));
    }
    let node = sql_server(&[("information_schema", EMPTY)]).await;
    assert_eq!(target(&[node.port]).cluster().loads(&filter()).await.unwrap(), []);
    let node = sql_server(&[]).await;
    assert_eq!(target(&[node.port]).cluster().loads(&filter()).await.unwrap_err().code(), Code::QueryFailed);
    let denied = frontend(&[(SQL_DB, "401 Unauthorized", DENIED)]).await;
    let error = target(&[denied.port]).cluster().loads(&filter()).await.unwrap_err();
    assert_eq!(error.code(), Code::AccessDenied);
}

#[tokio::test]
async fn a_label_comes_with_the_servers_reason() {
    const NOWHERE: &str = r#"{"status":"FAILED","code":"1","msg":"unknown database, database=db"}"#;
    const PATH: &str = "GET /api/db/get_load_state?label=job-1 ";
    const ABORTED: &str =
        r#"{"state":"ABORTED","reason":"too many filtered rows","status":"OK","code":"0","msg":"Success"}"#;
    let node = frontend(&[(PATH, "200 OK", ABORTED)]).await;
    let seen = target(&[node.port]).cluster().label(&label()).await.unwrap();
    assert_eq!((seen.state, seen.reason.as_deref()), (LabelState::Aborted, Some("too many filtered rows")));

    let older = frontend(&[(PATH, "200 OK", r#"{"state":"UNKNOWN","status":"OK"}"#)]).await;
    let seen = target(&[older.port]).cluster().label(&label()).await.unwrap();
    assert_eq!((seen.state, seen.reason), (LabelState::Unknown, None));

    let node = frontend(&[(PATH, "200 OK", NOWHERE)]).await;
    assert_eq!(target(&[node.port]).cluster().label(&label()).await.unwrap_err().code(), Code::NoSuchTable);
}

#[tokio::test]
async fn transactions_are_found_by_the_number_of_their_database() {
    let node = frontend(&[
        (
            "GET /api/show_proc?path=/dbs&forward=true ",
            "200 OK",
            r#"[{"DbId":"10","DbName":"dbx"},{"DbId":"11","DbName":"db"}]"#,
        ),
        (
            "GET /api/show_proc?path=/transactions/11/running&forward=true ",
            "200 OK",
            r#"[{"TransactionId":"7","Label":"a","TransactionStatus":"PREPARE","CommitTime":"\\N",
                "TimeoutMs":"600000"}]"#,
        ),
        (
            "GET /api/show_proc?path=/transactions/11/finished&forward=true ",
            "200 OK",
            r#"[{"TransactionId":"5"},{"TransactionId":"6","TransactionStatus":"ABORTED","Reason":"timeout"}]"#,
        ),
    ])
    .await;
    let transactions = target(&[node.port]).cluster().transactions(1).await.unwrap();
    let [running, finished] = &transactions[..] else { panic!("{transactions:?}") };
    assert_eq!((running.finished, running.state.as_deref(), &running.committed), (false, Some("PREPARE"), &None));
    assert_eq!(running.timeout_milliseconds, Some(600_000));
    assert_eq!((finished.id.as_deref(), finished.reason.as_deref()), (Some("6"), Some("timeout")), "the newest");

    let denied = frontend(&[("GET ", "401 Unauthorized", DENIED)]).await;
    let error = target(&[denied.port]).cluster().transactions(1).await.unwrap_err();
    assert!(error.to_string().contains("which takes the privilege OPERATE ON SYSTEM"), "{error}");
}

#[tokio::test]
async fn a_question_about_a_database_needs_one() {
    let mut options = options(&[1]);
    options.url = "starrocks://127.0.0.1:1".parse().unwrap();
    let target = StarRocks::new(options).unwrap();
    let cluster = target.cluster();
    assert_eq!(cluster.loads(&filter()).await.unwrap_err().code(), Code::TargetInvalid);
    assert_eq!(cluster.label(&label()).await.unwrap_err().code(), Code::TargetInvalid);
    assert_eq!(cluster.transactions(1).await.unwrap_err().code(), Code::TargetInvalid);
}

#[tokio::test]
async fn a_path_is_asked_for_with_credentials_at_nodes_of_the_cluster_only() {
    let stranger = Node::answering("200 OK", "secret?").await;
    let node = frontend(&[
        ("GET /api/x?y=1 ", "200 OK", "as it is\n"),
        (BACKENDS, "200 OK", r#"[{"IP":"10.1.1.1","HttpPort":"8040"}]"#),
    ])
    .await;
    let target = target(&[node.port]);
    let got = target.cluster().get("api/x?y=1", None).await.unwrap();
    assert_eq!((got.status, got.body.as_slice(), got.is_success()), (200, b"as it is\n".as_slice(), true));
    let missing = target.cluster().get("/nothing", None).await.unwrap();
    assert!(!missing.is_success());
    let error = missing.refusal("/nothing");
    assert_eq!((error.code(), missing.status), (Code::QuestionRefused, 404));

    let foreign = format!("localhost:{}", stranger.port);
    let error = target.cluster().get("/x", Some(&foreign)).await.unwrap_err();
    assert_eq!(error.code(), Code::RedirectRefused);
    assert!(error.hint().unwrap().contains(&format!("--allow-redirect {foreign}")), "{error}");
    assert!(stranger.heads().is_empty(), "nothing reaches a stranger");

    let listed = format!(r#"[{{"IP":"localhost","HttpPort":"{}"}}]"#, stranger.port).leak();
    let node = frontend(vec![(BACKENDS, "200 OK", &*listed)].leak()).await;
    let got = super::target(&[node.port]).cluster().get("/x", Some(&foreign)).await.unwrap();
    assert_eq!(got.body, b"secret?");
    assert!(stranger.heads()[0].to_ascii_lowercase().contains("authorization: basic "));
    let own = format!("127.0.0.1:{}", node.port);
    assert_eq!(super::target(&[node.port]).cluster().get("/x", Some(&own)).await.unwrap().status, 404);
}

#[tokio::test]
async fn metrics_of_all_nodes_come_with_the_names_of_those_that_have_none() {
    let backend = Node::answering("200 OK", "starrocks_be_streaming_load_bytes 7\nother 1\n").await;
    let gone = closed_port().await;
    let listed =
        format!(r#"[{{"IP":"127.0.0.1","HttpPort":"{}"}},{{"IP":"127.0.0.1","HttpPort":"{gone}"}}]"#, backend.port);
    let node = frontend(
        vec![
            (BACKENDS, "200 OK", &*listed.leak()),
            ("GET /api/show_proc", "200 OK", "[]"),
            ("GET /metrics ", "200 OK", "# HELP x\nstarrocks_fe_txn_begin{type=\"a\"} 3\n"),
        ]
        .leak(),
    )
    .await;
    let target = target(&[node.port]);
    let all = target.cluster().all_metrics(None).await;
    assert_eq!((all.samples.len(), all.nodes, all.failed.len()), (2, 3, 1), "{all:?}");
    assert_eq!(all.failed[0].0, format!("backend 127.0.0.1:{gone}"));
    assert!(!backend.heads()[0].to_ascii_lowercase().contains("authorization"));
    let one = format!("127.0.0.1:{}", backend.port);
    let samples = target.cluster().metrics(Some(&one), Some("oth")).await.unwrap();
    assert_eq!((samples[0].name.as_str(), samples[0].node.as_str()), ("other", one.as_str()));
}

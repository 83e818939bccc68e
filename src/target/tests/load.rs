//! Loads: when the body leaves, and what becomes of each way to end.

use super::*;
use crate::failure::{Code, Disposition, Failure};
use crate::target::LabelState;

#[tokio::test]
async fn no_byte_of_a_body_leaves_before_the_last_hop_asks_for_it() {
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{}", success(2, 8))).await;
    // The frontend's script checks that it gets no byte of the body.
    let location = format!("http://127.0.0.1:{}/api/db/t/_stream_load", backend.port);
    let frontend = Node::redirecting(location).await;
    let loaded = load(&target(&[frontend.port])).await.unwrap();
    assert_eq!((loaded.transaction_id, loaded.rows_loaded, loaded.visible), (Some(7), Some(2), true));
    let head = frontend.finish().await.remove(0).to_ascii_lowercase();
    assert!(head.starts_with("put /api/db/t/_stream_load http/1.1\r\n"), "{head}");
    for line in ["expect: 100-continue", "label: job-1", "content-length: 8", "strict_mode: true", "format: csv"] {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
    let port = backend.port;
    let again = backend.finish().await.remove(0).to_ascii_lowercase();
    assert!(again.contains("content-length: 8\r\n") && again.contains("authorization: basic"), "{again}");
    assert!(again.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{again}");
}

#[tokio::test]
async fn a_node_that_refuses_the_headers_gets_no_body() {
    let backend = Node::start(|mut peer| async move {
        peer.head().await;
        peer.answer("200 OK", &failure("unknown data format, format=x")).await;
        assert!(peer.rest().await.is_empty(), "the body is not wanted");
    })
    .await;
    let error = load(&target(&[backend.port])).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    backend.finish().await;
}

#[tokio::test]
async fn an_answer_in_mid_body_is_read_and_the_rest_of_the_body_kept() {
    // More than any socket buffers, so that the client is still writing when the node answers and closes.
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let large = chunk_of(vec![piece; 64], 1);
    let backend = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        peer.body(1000).await;
        peer.answer("200 OK", &failure("Memory of process exceed limit")).await;
    })
    .await;
    for _ in 0..20 {
        let error = target(&[backend.port]).load(&label(), &large, &LoadSettings::default()).await.unwrap_err();
        // The node closes with most of the body unread, which resets the connection. Its answer may be lost to that; it
        // must not be taken for one that did not come because nothing was sent.
        assert!(matches!(error, Error::Busy { .. } | Error::Unconfirmed { .. }), "{error}");
    }
    let patient = Node::start(|mut peer| async move {
        peer.head().await;
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        peer.body(1000).await;
        peer.answer("200 OK", &failure("Memory of process exceed limit")).await;
        peer.rest().await;
    })
    .await;
    let error = target(&[patient.port]).load(&label(), &large, &LoadSettings::default()).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}

#[tokio::test]
async fn a_lost_answer_after_the_body_leaves_the_outcome_open() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Status\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Sta",
        "HTTP/1.1 20",
        "nonsense\r\n\r\n",
    ] {
        let backend = taking(answer).await;
        let error = load(&target(&[backend.port])).await.unwrap_err();
        assert!(matches!(error, Error::Unconfirmed { .. }), "{answer:?}: {error}");
        assert_eq!(error.disposition(), Disposition::Resolve);
    }
}

#[tokio::test]
async fn an_unreadable_answer_after_the_body_leaves_the_outcome_open() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\n<html><title>Gateway</title></html>",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{\"Status\": \"Succ",
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ] {
        let backend = taking(answer).await;
        let error = load(&target(&[backend.port])).await.unwrap_err();
        assert_eq!(
            (error.code(), error.disposition()),
            (Code::AnswerUnreadable, Disposition::Resolve),
            "{answer}: {error}"
        );
    }
}

#[tokio::test]
async fn what_breaks_before_the_body_can_be_sent_again() {
    let closing = Node::start(|mut peer| async move {
        peer.head().await;
    })
    .await;
    let error = load(&target(&[closing.port])).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry { after: None });
    for (status, body, disposition) in [
        ("500 Internal Server Error", "boom", Disposition::Retry { after: None }),
        ("503 Service Unavailable", "<html>", Disposition::Retry { after: None }),
        ("404 Not Found", "Not Found", Disposition::Abort),
        ("200 OK", "<html>", Disposition::Abort),
        ("401 Unauthorized", r#"{"status":"FAILED","code":"1","msg":"Access denied for u@h"}"#, Disposition::Abort),
        (
            "200 OK",
            r#"{"Status":"FAILED","Message":"No backend alive."}"#,
            Disposition::Retry { after: Some(Duration::from_secs(5)) },
        ),
    ] {
        let node = Node::answering(status, body).await;
        let error = load(&target(&[node.port])).await.unwrap_err();
        assert_eq!(error.disposition(), disposition, "{status} {body}: {error}");
    }
    let denied = Node::answering("401 Unauthorized", r#"{"status":"FAILED","msg":"Access denied for u@h"}"#).await;
    assert_eq!(load(&target(&[denied.port])).await.unwrap_err().code(), Code::AccessDenied);
}

#[tokio::test]
async fn a_success_before_the_body_was_asked_for_is_not_believed() {
    let node = Node::answering("200 OK", success(2, 8)).await;
    let error = load(&target(&[node.port])).await.unwrap_err();
    assert!(matches!(error, Error::Unconfirmed { .. }), "{error}");
}

#[tokio::test]
async fn a_success_with_other_counts_is_never_tried_again() {
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{}", success(1, 8))).await;
    let error = load(&target(&[backend.port])).await.unwrap_err();
    assert_eq!((error.code(), error.disposition()), (Code::CountsDisagree, Disposition::Abort), "{error}");
    assert!(error.hint().unwrap().contains("may be live"));
}

#[tokio::test]
async fn a_node_that_never_asks_for_the_body_is_given_up() {
    let silent = Node::start(|mut peer| async move {
        peer.head().await;
        assert!(peer.rest().await.is_empty(), "no body without 100 Continue");
    })
    .await;
    let mut options = options(&[silent.port]);
    options.answer_timeout = Duration::from_millis(50);
    let error = load(&StarRocks::new(options).unwrap()).await.unwrap_err();
    silent.finish().await;
    assert!(error.to_string().contains("neither `100 Continue` nor an answer"), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry { after: None });
}

#[tokio::test]
async fn a_frontend_that_is_down_is_passed_over() {
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{}", success(2, 8))).await;
    let down = closed_port().await;
    let target = target(&[down, backend.port]);
    load(&target).await.unwrap();
    load(&target).await.unwrap();
    let other = closed_port().await;
    let error = load(&super::target(&[down, other])).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetUnreachable);
    let text = error.to_string();
    assert!(text.contains(&format!(":{down} (")) && text.contains(&format!(":{other} (")), "{text}");
}

#[tokio::test]
async fn refused_rows_come_with_the_servers_reasons() {
    let log = Node::start(|mut peer| async move {
        let head = peer.head().await;
        assert!(!head.to_ascii_lowercase().contains("authorization"), "the log needs no credentials");
        peer.answer("200 OK", "Error: Value is too long. Row: abc\nError: other. Row: d\n").await;
        peer.rest().await;
    })
    .await;
    let reply = r#"{"Label":"job-1","Status":"Fail","Message":"too many filtered rows","NumberTotalRows":2,"NumberFilteredRows":1,"ErrorURL":"http://be1:8040/api/_load_error_log?file=error_log_1_2"}"#;
    let backend = taking(format!("HTTP/1.1 200 OK\r\n\r\n{reply}")).await;
    let mut options = options(&[backend.port]);
    options.map_host = vec![format!("be1:8040=127.0.0.1:{}", log.port).parse().unwrap()];
    let error = load(&StarRocks::new(options).unwrap()).await.unwrap_err();
    assert!(
        matches!(&error, Error::RowsRefused { total: 2, filtered: 1, samples, .. } if samples.len() == 2),
        "{error:?}"
    );
    assert!(error.to_string().contains("Value is too long. Row: abc"), "{error}");
    assert!(log.finish().await[0].starts_with("GET /api/_load_error_log?file=error_log_1_2 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_label_that_is_taken_is_settled_by_its_state() {
    let load_reply = failure("Label [job-1] has already been used.");
    for (state, expected) in [
        ("VISIBLE", Ok(true)),
        ("COMMITTED", Ok(false)),
        ("PREPARE", Err(Disposition::Resolve)),
        ("UNKNOWN", Err(Disposition::Resolve)),
        ("ABORTED", Err(Disposition::Retry { after: None })),
    ] {
        let reply = load_reply.clone();
        let node = Node::start(move |mut peer| {
            let reply = reply.clone();
            async move {
                let head = peer.head().await;
                if head.starts_with("GET /api/db/get_load_state?label=job-1 ") {
                    peer.answer("200 OK", &format!(r#"{{"state":"{state}","status":"OK","code":"0"}}"#)).await;
                } else {
                    peer.answer("200 OK", &reply).await;
                }
                peer.rest().await;
            }
        })
        .await;
        let outcome = load(&target(&[node.port])).await;
        match expected {
            Ok(visible) => assert_eq!(outcome.unwrap(), Loaded::before(visible)),
            Err(disposition) => assert_eq!(outcome.unwrap_err().disposition(), disposition, "{state}"),
        }
    }
}

#[tokio::test]
async fn a_labels_state_is_asked_of_the_leader_behind_a_follower() {
    let leader = Node::answering("200 OK", r#"{"state":"COMMITTED","status":"OK"}"#).await;
    let location = format!("http://127.0.0.1:{}/api/db/get_load_state?label=job-1", leader.port);
    let follower = Node::redirecting(location).await;
    assert_eq!(target(&[follower.port]).label_state(&label()).await.unwrap(), LabelState::Committed);
    let missing = Node::answering("200 OK", r#"{"status":"FAILED","msg":"unknown database, database=db"}"#).await;
    assert_eq!(target(&[missing.port]).label_state(&label()).await.unwrap_err().code(), Code::NoSuchTable);
    let page = Node::answering("200 OK", "<html>").await;
    assert_eq!(target(&[page.port]).label_state(&label()).await.unwrap_err().code(), Code::AnswerUnreadable);
}

/// What a server says that refuses one of two rows and keeps its list there.
fn refusing(log: &str) -> String {
    let reply = r#"{"Label":"job-1","Status":"Fail","Message":"too many filtered rows","NumberTotalRows":2,"NumberFilteredRows":1,"ErrorURL":"LOG"}"#;
    format!("HTTP/1.1 200 OK\r\n\r\n{}", reply.replace("LOG", log))
}

#[tokio::test]
async fn the_servers_list_is_fetched_from_no_stranger_and_from_no_other_path() {
    let stranger = Node::answering("200 OK", "Error: x. Row: \"1\"\n").await;
    for (host, path, fetched) in [
        ("127.0.0.1", "/api/_load_error_log?file=error_log_1", 1),
        ("127.0.0.1", "/api/v1/anything?file=error_log_1", 0),
        // The same machine under a name that nobody vouches for.
        ("localhost", "/api/_load_error_log?file=error_log_1", 0),
        ("user:word@127.0.0.1", "/api/_load_error_log/../secret?x", 0),
    ] {
        let before = stranger.heads().len();
        let backend = taking(refusing(&format!("http://{host}:{}{path}", stranger.port))).await;
        let error = load(&target(&[backend.port])).await.unwrap_err();
        assert_eq!(stranger.heads().len() - before, fetched, "{host} {path}");
        let Error::RowsRefused { lines, .. } = &error else { panic!("{error:?}") };
        assert_eq!(lines.len(), fetched, "{host} {path}");
    }
}

#[tokio::test]
async fn a_list_without_end_is_none() {
    let log = Node::answering("200 OK", "Error: x. Row: \"1\"\n".repeat(100_000)).await;
    let url = format!("http://127.0.0.1:{}/api/_load_error_log?file=error_log_1", log.port);
    let backend = taking(refusing(&url)).await;
    let error = load(&target(&[backend.port])).await.unwrap_err();
    assert!(matches!(&error, Error::RowsRefused { lines, .. } if lines.is_empty()), "{error:?}");
}

#[tokio::test]
async fn without_an_address_the_list_is_asked_for_over_sql() {
    let log = "Error: too wide. Row: \\\"1\\\"\\n";
    let result = format!(
        "{{\"meta\":[{{\"name\":\"tracking_log\",\"type\":\"varchar\"}}]}}\n{{\"data\":[\"{log}\"]}}\n{{\"statistics\":{{}}}}\n"
    );
    let frontend = Node::start(move |mut peer| {
        let result = result.clone();
        async move {
            let head = peer.head().await;
            if head.starts_with("POST /api/v1/catalogs/default_catalog/sql ") {
                peer.answer("200 OK", &result).await;
                peer.rest().await;
            } else {
                peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
                peer.body(8).await;
                // The end of the connection is the end of the answer.
                peer.write(&refusing("")).await;
            }
        }
    })
    .await;
    let error = load(&target(&[frontend.port])).await.unwrap_err();
    let Error::RowsRefused { lines, samples, .. } = &error else { panic!("{error:?}") };
    assert_eq!((lines.len(), samples.as_slice()), (1, &["Error: too wide. Row: \"1\"".to_owned()][..]));
}

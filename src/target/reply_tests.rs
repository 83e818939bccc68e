//! Replies as nodes give them, and what is made of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::failure::Disposition;

fn judged(body: &Value, with_filter: bool) -> Verdict {
    let label = "job-1".parse().unwrap();
    let sent = Sent { address: "be:8040", place: "db.t", label: &label, rows: 10, body_bytes: 99, with_filter };
    judge(&parse(body.to_string().as_bytes()).expect("the test gives a reply"), &sent)
}

fn reply(changes: &[(&str, Value)]) -> Value {
    let mut body = json!({
        "TxnId": 7, "Label": "job-1", "Status": "Success", "Message": "OK", "NumberTotalRows": 10,
        "NumberLoadedRows": 10, "NumberFilteredRows": 0, "NumberUnselectedRows": 0, "LoadBytes": 99,
        "LoadTimeMs": 31, "WriteDataTimeMs": 12
    });
    for (key, value) in changes {
        body[*key] = value.clone();
    }
    body
}

fn error(verdict: Verdict) -> Error {
    match verdict {
        Verdict::Failed(error) => error,
        other => panic!("{other:?} is no failure"),
    }
}

#[test]
fn a_success_whose_counts_agree_is_a_load() {
    let Verdict::Loaded(loaded) = judged(&reply(&[]), false) else { panic!("not loaded") };
    assert_eq!((loaded.transaction_id, loaded.visible, loaded.already), (Some(7), true, false));
    assert_eq!((loaded.rows_loaded, loaded.rows_unselected), (Some(10), Some(0)));
    assert_eq!(loaded.phases, [("LoadTimeMs".to_owned(), 31), ("WriteDataTimeMs".to_owned(), 12)]);
    let filtered = reply(&[("NumberLoadedRows", json!(4)), ("NumberUnselectedRows", json!(6))]);
    let Verdict::Loaded(loaded) = judged(&filtered, true) else { panic!("not loaded") };
    assert_eq!((loaded.rows_loaded, loaded.rows_unselected), (Some(4), Some(6)));
}

#[test]
fn a_success_is_none_where_one_count_differs() {
    for (key, value, said) in [
        ("Label", json!("job-2"), "label `job-2`"),
        ("Label", Value::Null, "label `none`"),
        ("NumberTotalRows", json!(9), "9 rows for 10"),
        ("NumberTotalRows", Value::Null, "no rows for 10"),
        ("NumberLoadedRows", json!(9), "9 loaded and unselected rows for 10"),
        ("NumberFilteredRows", json!(1), "1 filtered rows for 0"),
        ("NumberUnselectedRows", json!(1), "11 loaded and unselected rows for 10"),
        ("LoadBytes", json!(98), "98 body bytes for 99"),
    ] {
        let error = error(judged(&reply(&[(key, value)]), false));
        assert!(matches!(&error, Error::CountsDisagree { difference, .. } if difference == said), "{error}");
        assert_eq!(error.disposition(), Disposition::Abort);
    }
}

#[test]
fn a_publish_timeout_is_committed_and_not_yet_visible() {
    let Verdict::Loaded(loaded) = judged(&reply(&[("Status", json!("Publish Timeout"))]), false) else {
        panic!("not loaded")
    };
    assert!(!loaded.visible);
    assert_eq!(loaded.rows_loaded, Some(10));
}

#[test]
fn a_known_label_is_loaded_running_or_to_be_asked_for() {
    let body = |existing: &str| json!({"Status": "Label Already Exists", "ExistingJobStatus": existing, "TxnId": -1});
    let Verdict::Loaded(loaded) = judged(&body("FINISHED"), false) else { panic!("not loaded") };
    assert_eq!((loaded.already, loaded.transaction_id, loaded.rows_loaded), (true, None, None));
    let running = error(judged(&body("RUNNING"), false));
    assert!(matches!(running, Error::LabelBusy { .. }));
    assert_eq!(running.disposition(), Disposition::Resolve);
    assert!(matches!(judged(&body(""), false), Verdict::Ask(_)));
    for words in ["error_msg{Label [job-1] has already been used.}", "something new", ""] {
        let failed = json!({"Status": "Fail", "Message": words});
        assert!(matches!(judged(&failed, false), Verdict::Ask(_)), "{words}");
    }
}

#[test]
fn each_meaning_has_its_disposition() {
    let after = |milliseconds| Meaning::pause(milliseconds);
    for (status, message, disposition) in [
        ("FAILED", "something new", Disposition::Retry { after: None }),
        ("Weird", "something new", Disposition::Resolve),
        ("Fail", "FE RPC failure, address=x", Disposition::Resolve),
        ("Fail", "too many versions", Disposition::Retry { after: None }),
        ("Fail", "receive body don't equal with body bytes", Disposition::Retry { after: None }),
        ("Fail", "coordinate BE is down", Disposition::Retry { after: None }),
        ("Fail", "too many filtered rows", Disposition::Reject),
        ("Fail", "unknown data format, format=x", Disposition::Abort),
        ("Fail", "Access denied; you need INSERT", Disposition::Abort),
        ("FAILED", "unknown table x", Disposition::Abort),
        ("FAILED", "No backend alive.", Disposition::Retry { after: after(5_000) }),
    ] {
        let error = error(judged(&reply(&[("Status", json!(status)), ("Message", json!(message))]), false));
        assert_eq!(error.disposition(), disposition, "{status}: {message}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn an_empty_load_is_fine_only_where_the_filter_emptied_it() {
    let empty = |unselected: u64| {
        reply(&[
            ("Status", json!("Fail")),
            ("Message", json!("No rows were imported from upstream")),
            ("NumberLoadedRows", json!(0)),
            ("NumberUnselectedRows", json!(unselected)),
        ])
    };
    let Verdict::Loaded(loaded) = judged(&empty(10), true) else { panic!("not accounted for") };
    assert_eq!((loaded.rows_loaded, loaded.rows_unselected), (Some(0), Some(10)));
    let mut uncounted = empty(0);
    uncounted["NumberTotalRows"] = json!(0);
    let Verdict::Loaded(loaded) = judged(&uncounted, true) else { panic!("not accounted for") };
    assert_eq!((loaded.rows_loaded, loaded.rows_unselected), (Some(0), Some(10)));
    let mut cut_off = uncounted.clone();
    cut_off["LoadBytes"] = json!(98);
    for verdict in [judged(&empty(10), false), judged(&empty(0), true), judged(&cut_off, true)] {
        assert!(matches!(error(verdict), Error::Refused { .. }));
    }
}

#[test]
fn keys_and_numbers_are_read_whatever_their_spelling() {
    let reply = parse(br#"{"status":"OK","MSG":"hm","txnid":"12","LOADBYTES":5}"#).unwrap();
    assert_eq!((reply.status.as_str(), reply.message.as_str()), ("OK", "hm"));
    assert_eq!((reply.transaction_id, reply.load_bytes), (Some(12), Some(5)));
    for body in ["", "[]", "{}", "<html>", "{\"Status\":", "null", "{\"Status\":null}"] {
        assert_eq!(parse(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn label_states_are_read_and_refusals_told_apart() {
    for (body, expected) in [
        (
            r#"{"state":"VISIBLE","reason":"","status":"OK","code":"0","msg":"Success","message":"OK"}"#,
            LabelState::Visible,
        ),
        (r#"{"status":"OK","State":"committed"}"#, LabelState::Committed),
        (r#"{"status":"OK","state":"PREPARE"}"#, LabelState::Prepare),
        (r#"{"status":"OK","state":"PREPARED"}"#, LabelState::Prepared),
        (r#"{"status":"OK","state":"ABORTED","reason":"user cancel"}"#, LabelState::Aborted),
        (r#"{"status":"OK","state":"UNKNOWN"}"#, LabelState::Unknown),
    ] {
        assert_eq!(label_state(body.as_bytes(), "fe", "db").unwrap().unwrap(), expected);
    }
    let refused = |body: &str| label_state(body.as_bytes(), "fe", "db").unwrap().unwrap_err();
    let failed = r#"{"status":"FAILED","code":"1","msg":"unknown database, database=db"}"#;
    assert!(matches!(refused(failed), Error::NoSuchTable { .. }));
    assert!(matches!(refused(r#"{"status":"FAILED","msg":"transaction not found"}"#), Error::Refused { .. }));
    for body in ["", "{}", r#"{"status":"OK"}"#, r#"{"status":"OK","state":"NEW"}"#, "<html>"] {
        assert!(label_state(body.as_bytes(), "fe", "db").is_none(), "{body}");
    }
}

#[test]
fn the_words_of_an_answer_are_its_message_and_not_its_braces() {
    let words = |body: &str| words(hyper::StatusCode::NOT_FOUND, body.as_bytes());
    assert_eq!(words(r#"{"code":"404","message":"Table [t] does not exists"}"#), "Table [t] does not exists");
    assert_eq!(words(r#"{"status":"FAILED","msg":"Access denied"}"#), "Access denied");
    assert_eq!(words(r#"{"code":"404"}"#), r#"HTTP 404: {"code":"404"}"#);
    assert_eq!(words("Not Found"), "HTTP 404: Not Found");
}

#[test]
fn a_long_or_binary_answer_is_quoted_in_part() {
    let long = format!("<html>\r\n{}", "x".repeat(500));
    let quoted = excerpt(hyper::StatusCode::OK, long.as_bytes());
    assert!(quoted.starts_with("HTTP 200: <html>  xxx") && quoted.ends_with("x…"), "{quoted}");
    assert_eq!(quoted.chars().count(), "HTTP 200: ".len() + EXCERPT_CHARS + 1);
    assert_eq!(excerpt(hyper::StatusCode::BAD_GATEWAY, b" "), "HTTP 502 without a body");
}

#[test]
fn samples_are_the_lines_of_a_log_and_not_a_sentence_about_a_missing_one() {
    assert_eq!(
        samples(b"Error: bad. Row: 1,x\n\nError: bad. Row: 2\n"),
        ["Error: bad. Row: 1,x", "Error: bad. Row: 2"]
    );
    assert!(samples(b"file not found").is_empty());
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
        let _ = label_state(&body, "fe", "db");
        let _ = excerpt(hyper::StatusCode::OK, &body);
        let _ = samples(&body);
    }

    #[test]
    fn no_reply_makes_the_judge_panic_and_none_passes_with_wrong_counts(
        status in prop_oneof![Just("Success".to_owned()), Just("Publish Timeout".to_owned()), Just("Fail".to_owned()), ".*"],
        message in ".*", total in any::<u64>(), loaded in any::<u64>(), unselected in any::<u64>(), bytes in any::<u64>(),
    ) {
        let body = reply(&[
            ("Status", json!(status)), ("Message", json!(message)), ("NumberTotalRows", json!(total)),
            ("NumberLoadedRows", json!(loaded)), ("NumberUnselectedRows", json!(unselected)), ("LoadBytes", json!(bytes)),
        ]);
        if let Verdict::Loaded(loaded) = judged(&body, false) {
            prop_assert_eq!((total, bytes, loaded.rows_loaded.unwrap()), (10, 99, 10 - unselected));
        }
    }
}

//! `shipload cluster`: against the sandbox for what every frontend has, against scripted servers for the rest.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::support::{Ran, World, answering_with, nobody};

/// A server that answers paths by a table; what is not in it is not found.
fn frontend(answers: Vec<(&'static str, &'static str, String)>) -> String {
    answering_with(move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let found = answers.iter().find(|(prefix, ..)| path.starts_with(prefix));
        let (status, body) = found.map_or(("404 Not Found", "Not Found"), |(_, status, body)| (status, body));
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    })
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ok(path: &'static str, body: impl Into<String>) -> (&'static str, &'static str, String) {
    (path, "200 OK", body.into())
}

#[test]
fn a_sandbox_is_well_and_lists_its_backend() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    for target in ["sandbox:".to_owned(), sandbox.target("")] {
        let ran = world.run(&["cluster", "health", "--to", &target, "--output", "json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let nodes = lines(&ran);
        let kinds = ["frontend", "backend"].map(|kind| nodes.iter().filter(|node| node["kind"] == kind).count());
        assert!(kinds.iter().all(|count| *count >= 1), "{ran:?}");
        assert!(nodes.iter().all(|node| node["well"] == json!(true) && node["latency_ms"].is_number()), "{ran:?}");
        assert!(nodes[0]["version"].is_string(), "{ran:?}");
    }
    let ran = world.run(&["cluster", "nodes", "--to", "sandbox:", "--output", "json"]);
    let backend = lines(&ran).into_iter().find(|node| node["kind"] == "backend").unwrap();
    let address = format!("{}:{}", backend["host"].as_str().unwrap(), backend["http_port"]);
    assert_eq!((address, &backend["alive"]), (sandbox.backend.clone(), &json!(true)));
    let text = world.run(&["cluster", "nodes", "--to", "sandbox:"]).stdout;
    assert!(text.starts_with("kind") && text.contains("\nbackend"), "{text}");
}

#[test]
fn a_sandboxs_label_is_told_with_what_it_means() {
    let world = World::new();
    let _sandbox = world.sandbox(&[]);
    let file = world.file("a.csv", "x\n1\n");
    let report = world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let label = report["loads"][0]["label"].as_str().unwrap();
    let ask = |label: &str, more: &[&str]| {
        world.run(&[&["cluster", "label", label, "--to", "sandbox:demo/t"], more].concat())
    };
    let told = ask(label, &["--output", "json"]);
    assert_eq!((told.code, &told.report()["state"]), (0, &json!("VISIBLE")), "{told:?}");
    assert!(ask(label, &[]).stdout.contains("state     VISIBLE\n"));

    let unknown = ask("never-seen", &[]);
    assert_eq!(unknown.code, 1);
    for word in ["UNKNOWN", "label_keep_max_num", "label_keep_max_second", "same label"] {
        assert!(unknown.stdout.contains(word), "`{word}` is missing: {unknown:?}");
    }
    world.run(&["cluster", "label", label, "--to", "sandbox:nowhere"]).fails_with(1, "L2003", &["nowhere"]);
    world.run(&["cluster", "label", label, "--to", "sandbox:"]).fails_with(2, "L4002", &["names no database"]);
    assert_eq!(ask("a b", &[]).code, 2, "a label that there cannot be");
}

#[test]
fn loads_of_a_database_are_listed_or_said_not_to_be() {
    let world = World::new();
    let _sandbox = world.sandbox(&[]);
    let file = world.file("a.csv", "x\n1\n");
    let report = world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let label = report["loads"][0]["label"].as_str().unwrap();
    let ran = world.run(&["cluster", "loads", "--label", label, "--to", "sandbox:demo", "--output", "json"]);
    // A server before 3.4 may have neither way to tell.
    if ran.code == 0 {
        assert!(lines(&ran).iter().all(|load| load["label"] == label), "{ran:?}");
    } else {
        ran.fails_with(1, "L2013", &[]);
    }
    world.run(&["cluster", "loads", "--to", "sandbox:"]).fails_with(2, "L4002", &["names no database"]);
}

#[test]
fn a_path_of_a_sandbox_is_printed_as_it_is() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let get = |arguments: &[&str]| world.run(&[&["cluster", "get", "--to", "sandbox:"], arguments].concat());
    let listed = get(&["api/show_proc?path=/backends"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(serde_json::from_str::<Value>(&listed.stdout).unwrap().is_array());
    assert_eq!(get(&["/api/health", "--node", &sandbox.backend]).code, 0);

    let missing = get(&["/no/such/path"]);
    missing.fails_with(1, "L2014", &["HTTP 404"]);
    assert_eq!(missing.stdout, "");
    get(&["/api/_set_config?a=1"]).fails_with(2, "L4001", &["only reads"]);
    get(&["/a b"]).fails_with(2, "L4001", &["`/a b`"]);
    get(&["/x", "--node", "10.255.255.1:8040"]).fails_with(1, "L2006", &["10.255.255.1:8040", "--allow-redirect"]);
    get(&["/x", "--node", "be1"]).fails_with(2, "L4002", &["--node"]);
}

#[test]
fn a_node_that_is_down_is_named_with_the_reason() {
    let world = World::new();
    let gone = nobody();
    let port = gone.rsplit(':').next().unwrap();
    let backends = format!(r#"[{{"IP":"127.0.0.1","HttpPort":"{port}","Alive":"false","ErrMsg":"no heartbeat"}}]"#);
    let fe = frontend(vec![
        ok("/api/health", r#"{"status":"OK","total_backend_num":1,"online_backend_num":0}"#),
        ok("/api/v2/feature", r#"{"version":"3.4.3-x","status":"OK"}"#),
        ok("/api/show_proc?path=/backends", backends),
        ok("/api/show_proc", "[]"),
    ]);
    let ran = world.run(&["cluster", "health", "--to", &format!("starrocks://root@{fe}")]);
    ran.fails_with(1, "L2015", &["1 of 2 nodes is not well", &format!("down: backend {gone}: no answer: ")]);
    assert!(ran.stderr.contains("the frontend calls it dead: no heartbeat"), "{ran:?}");
    assert!(ran.stdout.contains("3.4.3-x"), "{ran:?}");

    let ran = world.run(&["cluster", "health", "--to", &format!("starrocks://root@{gone}"), "--output", "json"]);
    assert_eq!((ran.code, &lines(&ran)[0]["reachable"]), (1, &json!(false)), "{ran:?}");
    for verb in [&["nodes"][..], &["loads"], &["label", "a"], &["transactions"], &["metrics"], &["get", "/x"]] {
        let to = format!("starrocks://root@{gone}/db");
        world.run(&[&["cluster"], verb, &["--to", &to]].concat()).fails_with(1, "L2001", &[&gone]);
    }
}

#[test]
fn what_takes_a_privilege_says_which() {
    let world = World::new();
    let denied = r#"{"status":"FAILED","msg":"Access denied; you need the OPERATE privilege"}"#;
    let fe = frontend(vec![("/api/", "401 Unauthorized", denied.to_owned())]);
    let to = format!("starrocks://ada:geheim@{fe}/db");
    for verb in ["nodes", "transactions"] {
        let ran = world.run(&["cluster", verb, "--to", &to]);
        ran.fails_with(1, "L2002", &["OPERATE ON SYSTEM", "GRANT"]);
        assert!(!ran.stderr.contains("geheim"), "{ran:?}");
    }
}

#[test]
fn transactions_and_metrics_are_tables_and_json() {
    let world = World::new();
    let fe = frontend(vec![
        ok("/api/show_proc?path=/dbs", r#"[{"DbId":"11","DbName":"db"}]"#),
        ok("/api/show_proc?path=/transactions/11/running", r#"[{"TransactionId":"7","Label":"a-1"}]"#),
        ok("/api/show_proc?path=/transactions/11/finished", "[]"),
        ok("/metrics", "# x\nstarrocks_fe_txn_begin{a=\"b\"} 3\nstarrocks_fe_txn_running NaN\njvm 1\n"),
    ]);
    let to = format!("starrocks://root@{fe}/db");
    let ask = |arguments: &[&str]| {
        let ran = world.run(&[&["cluster"], arguments, &["--to", &to]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    };
    assert_eq!(ask(&["transactions"]).stdout, "id  label  finished\n--  -----  --------\n7   a-1    false\n");
    let told = lines(&ask(&["transactions", "--output", "json"]));
    assert_eq!((&told[0]["label"], &told[0]["state"]), (&json!("a-1"), &json!(null)));

    let told = lines(&ask(&["metrics", "--output", "json"]));
    assert_eq!(told.len(), 2, "those of loading: {told:?}");
    assert_eq!((&told[0]["labels"], &told[0]["value"]), (&json!({"a": "b"}), &json!(3)));
    assert_eq!(told[1]["value"], json!("NaN"));
    assert_eq!(lines(&ask(&["metrics", "--match", "jvm", "--output", "json"])).len(), 1);
    assert!(ask(&["metrics", "--match", "nothing"]).stderr.contains("note: "));
}

#[test]
fn odd_answers_end_in_an_error() {
    let world = World::new();
    for body in ["<html>login</html>", "", "[[[[", "\u{1b}[2J"] {
        let fe = frontend(vec![ok("/", body)]);
        for verb in [&["nodes"][..], &["loads"], &["label", "a"], &["transactions"], &["health"]] {
            let to = format!("starrocks://root@{fe}/db");
            let ran = world.run(&[&["cluster"], verb, &["--to", &to]].concat());
            assert_eq!(ran.code, 1, "{verb:?} {body}: {ran:?}");
            assert!(ran.stderr.contains("error[L2") && !ran.stderr.contains('\u{1b}'), "{ran:?}");
        }
    }
}

#[test]
fn a_body_without_end_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let fe = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // An answer before the question would be no HTTP.
            let head = BufReader::new(stream.try_clone().unwrap());
            let _ = head.lines().map_while(Result::ok).find(String::is_empty);
            let piece = vec![b'x'; 1 << 16];
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&piece).is_ok() {}
        }
    });
    let world = World::new();
    let ran = world.run(&["cluster", "get", "/x", "--to", &format!("starrocks://root@{fe}")]);
    ran.fails_with(1, "L2001", &["longer than 16", "ask for less"]);
}

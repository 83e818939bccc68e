//! `shipload cluster`: against the sandbox for what every frontend has, against scripted servers for the rest.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World, answering_with, nobody};

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

/// What one request to a node comes to; it takes root without a password.
fn ask(address: &str, request: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic cm9vdDo=\r\nConnection: close\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The body is sent once it is wanted, and only then.
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = String::new();
    reader.read_line(&mut answer).unwrap();
    if answer.contains(" 100 ") {
        stream.write_all(body.as_bytes()).unwrap();
    }
    reader.read_to_string(&mut answer).unwrap();
    answer
}

/// Has something done to a node of the sandbox. The first backend is asked, as a node that goes down says no more.
fn order(sandbox: &Sandbox, node: &str, action: &str, state: &str) {
    let answer = ask(&sandbox.backend, &format!("POST /sandbox/nodes/{node}?action={action}"), "", "");
    let nodes: Value = serde_json::from_str(answer.split("\r\n\r\n").last().unwrap()).unwrap();
    let ordered = nodes.as_array().unwrap().iter().find(|shown| shown["name"] == node).unwrap();
    assert_eq!(ordered["state"], state, "at once, whatever the frontend knows: {answer}");
}

/// A request on a transaction, to a node that answers it itself.
fn transaction(address: &str, method: &str, operation: &str, label: &str, body: &str) {
    let headers = format!("label: {label}\r\ndb: demo\r\ntable: t\r\n");
    let answer = ask(address, &format!("{method} /api/transaction/{operation}"), &headers, body);
    assert!(answer.contains(r#""Status": "OK""#), "{operation} {label}: {answer}");
}

/// Runs a command again until its answer is as wanted: a frontend takes a moment to notice that a node is gone.
fn until(mut run: impl FnMut() -> Ran, wanted: impl Fn(&[Value]) -> bool) -> (Ran, Vec<Value>) {
    for _ in 0..600 {
        let ran = run();
        let rows = lines(&ran);
        if wanted(&rows) {
            return (ran, rows);
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came so far: {:?}", run());
}

fn without(rows: &[Value], names: &[&str]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row.as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
    }
    rows
}

#[test]
fn a_sandbox_is_well_and_lists_its_nodes() {
    let world = World::new();
    let sandbox = world.sandbox(&["--backends", "3", "--followers", "1"]);
    for target in ["sandbox:".to_owned(), sandbox.target("")] {
        let ran = world.run(&["cluster", "health", "--to", &target, "--output", "json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        let nodes = lines(&ran);
        let well = |kind| {
            json!({"kind": kind, "well": true, "reachable": true, "alive": true, "version": "3.5.4-sandbox",
                   "problem": null})
        };
        assert!(nodes.iter().all(|node| node["latency_ms"].is_number()), "{ran:?}");
        let expected = ["frontend", "frontend", "backend", "backend", "backend"].map(well);
        assert_eq!(without(&nodes, &["address", "latency_ms"]), expected);
        assert_eq!((&nodes[0]["address"], &nodes[2]["address"]), (&json!(sandbox.frontend), &json!(sandbox.backend)));
    }
    let nodes = lines(&world.run(&["cluster", "nodes", "--to", "sandbox:", "--output", "json"]));
    let backend = nodes.iter().find(|node| node["kind"] == "backend").unwrap();
    let address = format!("{}:{}", backend["host"].as_str().unwrap(), backend["http_port"]);
    assert_eq!(address, sandbox.backend);
    let frontend = |name, role| {
        json!({"kind": "frontend", "name": name, "host": "127.0.0.1", "role": role, "alive": true, "status": null,
               "version": "3.5.4-sandbox", "decommissioned": null, "tablets": null, "running": null,
               "memory_used": null, "disk_used": null, "error": null})
    };
    let backend = |name| {
        json!({"kind": "backend", "name": name, "host": "127.0.0.1", "role": null, "alive": true, "status": "OK",
               "version": "3.5.4-sandbox", "decommissioned": false, "tablets": 0, "running": 0,
               "memory_used": "0.00 %", "disk_used": "0.00 %", "error": null})
    };
    let expected =
        [frontend("fe1", "LEADER"), frontend("fe2", "FOLLOWER"), backend("10001"), backend("10002"), backend("10003")];
    assert_eq!(without(&nodes, &["http_port", "last_heartbeat"]), expected);
    let text = world.run(&["cluster", "nodes", "--to", "sandbox:"]).stdout;
    assert!(text.starts_with("kind ") && text.lines().count() == 7, "{text}");
}

#[test]
fn backends_that_leave_are_told_from_those_that_are_gone() {
    let world = World::new();
    let sandbox = world.sandbox(&["--backends", "3"]);
    let health = || world.run(&["cluster", "health", "--to", &sandbox.target(""), "--output", "json"]);
    order(&sandbox, "be2", "drain", "draining");
    let ran = health();
    ran.fails_with(1, "L2015", &["1 of 4 nodes is not well", "down: backend", "the frontend calls it SHUTDOWN"]);
    let leaving = &lines(&ran)[2];
    assert_eq!((&leaving["reachable"], &leaving["alive"]), (&json!(true), &json!(true)), "it is still there: {ran:?}");

    order(&sandbox, "be3", "down", "down");
    let (ran, nodes) = until(health, |nodes| nodes[3]["alive"] == json!(false));
    ran.fails_with(1, "L2015", &["2 of 4 nodes are not well"]);
    let well: Vec<_> = nodes.iter().map(|node| node["well"].as_bool().unwrap()).collect();
    assert_eq!(well, [true, true, false, false], "{ran:?}");
    let problem = nodes[3]["problem"].as_str().unwrap();
    assert!(problem.starts_with("no answer: ") && problem.contains("calls it dead: "), "{problem}");
    let listed = lines(&world.run(&["cluster", "nodes", "--to", "sandbox:", "--output", "json"]));
    let seen: Vec<_> = listed[1..].iter().map(|node| (&node["alive"], &node["status"])).collect();
    let (up, down) = (json!(true), json!(false));
    assert_eq!(seen, [(&up, &json!("OK")), (&up, &json!("SHUTDOWN")), (&down, &json!("DISCONNECTED"))]);
    // What the others have is shown all the same.
    let ran = world.run(&["cluster", "metrics", "--all", "--to", "sandbox:", "--output", "json"]);
    ran.fails_with(1, "L2015", &["1 of 4 nodes is not well"]);
    assert!(lines(&ran).iter().any(|sample| sample["node"] == sandbox.backend.as_str()), "{ran:?}");

    order(&sandbox, "be2", "up", "up");
    order(&sandbox, "be3", "up", "up");
    until(health, |nodes| nodes.iter().all(|node| node["well"] == json!(true)));
}

#[test]
fn another_frontend_answers_when_the_leader_is_gone() {
    let world = World::new();
    let sandbox = world.sandbox(&["--followers", "1"]);
    let file = world.file("a.csv", "x\n1\n");
    world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let listed = lines(&world.run(&["cluster", "nodes", "--to", "sandbox:", "--output", "json"]));
    let to = format!("starrocks://root@{},127.0.0.1:{}/demo", sandbox.frontend, listed[1]["http_port"]);
    let run = |verb: &[&str]| world.run(&[&["cluster"], verb, &["--to", &to, "--output", "json"]].concat());
    order(&sandbox, "fe1", "down", "down");
    let leads = |nodes: &[Value]| nodes.iter().any(|node| node["name"] == "fe2" && node["role"] == "LEADER");
    let (_, nodes) = until(|| run(&["nodes"]), leads);
    let gone = nodes.iter().find(|node| node["name"] == "fe1").unwrap();
    assert_eq!((&gone["role"], &gone["alive"]), (&json!("FOLLOWER"), &json!(false)));
    run(&["health"]).fails_with(
        1,
        "L2015",
        &["1 of 3 nodes is not well", &format!("down: frontend {}", sandbox.frontend)],
    );
    for verb in [&["loads"][..], &["transactions"]] {
        let ran = run(verb);
        assert_eq!((ran.code, lines(&ran).len()), (0, 1), "{ran:?}");
    }
}

#[test]
fn nodes_under_another_name_are_reached_where_the_user_says() {
    let world = World::new();
    let sandbox = world.sandbox(&["--advertise-host", "be.invalid", "--followers", "1"]);
    let file = world.file("a.csv", "x\n1\n");
    let to = sandbox.target("demo/t");
    world.import(&[&file, "--to", "sandbox:demo/t", "--map-host", "be.invalid=127.0.0.1"]).loaded();
    let import = |more: &[&str]| world.import(&[&[file.as_str(), "--again", "--to", &to], more].concat());
    import(&[]).fails_with(1, "L2006", &["http://be.invalid:", "--map-host be.invalid:"]);
    import(&["--map-host", "be.invalid=127.0.0.1"]).loaded();
    let health = |more: &[&str]| world.run(&[&["cluster", "health", "--output", "json", "--to", &to], more].concat());
    // The frontend that was given answers, and nobody can tell that it is one of those listed.
    health(&[]).fails_with(1, "L2015", &["3 of 4 nodes are not well", "--map-host"]);
    let ran = health(&["--map-host", "be.invalid=127.0.0.1"]);
    assert_eq!((ran.code, lines(&ran).len()), (0, 3), "{ran:?}");
    for wrong in ["", "a b", "be1:8040", "http://be1", "[be1]"] {
        let ran = world.run(&["sandbox", "--advertise-host", wrong]);
        assert!(ran.code == 2 && ran.stderr.contains("it is no host"), "{wrong}: {ran:?}");
    }
}

#[test]
fn every_dialect_answers_every_verb() {
    for (dialect, version, tells) in [("3.3", "3.3.7-sandbox", false), ("4.0", "4.0.1-sandbox", true)] {
        let world = World::new();
        let sandbox = world.sandbox(&["--dialect", dialect, "--backends", "2"]);
        let file = world.file("a.csv", "x\n1\n");
        world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
        for verb in [&["health"][..], &["nodes"], &["loads"], &["transactions"], &["metrics", "--all"]] {
            let ran = world.run(&[&["cluster"], verb, &["--to", "sandbox:demo", "--output", "json"]].concat());
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{dialect} {verb:?}: {ran:?}");
            let told: Vec<_> = lines(&ran).into_iter().filter(|row| row.get("version").is_some()).collect();
            assert!(told.iter().all(|row| row["version"] == version), "{ran:?}");
        }
        transaction(&sandbox.backend, "POST", "begin", "gone", "");
        transaction(&sandbox.backend, "POST", "rollback", "gone", "");
        let told = world.run(&["cluster", "label", "gone", "--to", "sandbox:demo", "--output", "json"]).report();
        let reason = if tells { json!("User Cancelled") } else { json!(null) };
        assert_eq!((&told["state"], &told["reason"]), (&json!("ABORTED"), &reason), "{dialect}");
    }
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
fn loads_are_listed_with_their_states_and_counts_the_newest_first() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let file = world.file("a.csv", "x,y\n1,a\n2,b\n3,c\n");
    let report = world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let label = report["loads"][0]["label"].as_str().unwrap();
    let load = |label: &str, headers: &str, body: &str| {
        let headers = format!("label: {label}\r\ncolumn_separator: ,\r\n{headers}");
        ask(&sandbox.backend, "PUT /api/demo/t/_stream_load", &headers, body)
    };
    let answer = load("mixed", "strict_mode: true\r\nmax_filter_ratio: 0.5\r\nwhere: x <> 9\r\n", "4,d\n9,e\nz,f\n");
    assert!(answer.contains(r#""Status": "Success""#), "{answer}");
    let answer = load("wrong", "strict_mode: true\r\n", "z,f\n");
    assert!(answer.contains(r#""Status": "Fail""#), "{answer}");

    let list = |more: &[&str]| {
        let ran = world.run(&[&["cluster", "loads", "--to", "sandbox:demo", "--output", "json"], more].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        lines(&ran)
    };
    let all = list(&[]);
    let row = |label: &str, state: &str, counts: [u64; 3]| {
        json!({"label": label, "table": "t", "state": state, "type": "STREAM_LOAD", "rows_loaded": counts[0],
               "rows_filtered": counts[1], "rows_unselected": counts[2]})
    };
    let expected =
        [row("wrong", "CANCELLED", [0, 0, 0]), row("mixed", "FINISHED", [1, 1, 1]), row(label, "FINISHED", [3, 0, 0])];
    assert_eq!(without(&all, &["id", "created", "finished", "error"]), expected);
    assert!(all.iter().all(|row| row["created"].is_string() && row["finished"].is_string()), "{all:?}");
    assert_eq!((all[0]["error"].as_str(), &all[1]["error"]), (Some("too many filtered rows"), &json!(null)));
    let labels = |more: &[&str]| list(more).iter().map(|load| load["label"].clone()).collect::<Vec<_>>();
    assert_eq!(labels(&["--limit", "1"]), [json!("wrong")], "the newest also of those of one second");
    assert_eq!(labels(&["--state", "cancelled"]), [json!("wrong")]);
    assert_eq!(labels(&["--label", label]), [json!(label)]);
    let none = world.run(&["cluster", "loads", "--label", "never-seen", "--to", "sandbox:demo"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none:?}");
    assert!(none.stderr.contains("no such loads"), "{none:?}");
    world.run(&["cluster", "loads", "--to", "sandbox:"]).fails_with(2, "L4002", &["names no database"]);
}

#[test]
fn transactions_are_listed_in_every_state() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let file = world.file("a.csv", "x\n1\n");
    let report = world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let loaded = report["loads"][0]["label"].as_str().unwrap();
    let node = sandbox.backend.as_str();
    for label in ["open", "prepared", "undone"] {
        transaction(node, "POST", "begin", label, "");
        transaction(node, "PUT", "load", label, "7\n8\n");
    }
    transaction(node, "POST", "prepare", "prepared", "");
    transaction(node, "POST", "rollback", "undone", "");

    let list = |more: &[&str]| {
        let ran = world.run(&[&["cluster", "transactions", "--to", "sandbox:demo", "--output", "json"], more].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        lines(&ran)
    };
    let row = |label: &str, state: &str, finished: bool, reason: Option<&str>| {
        json!({"label": label, "state": state, "finished": finished, "source": "BACKEND_STREAMING",
               "coordinator": "BE: be1", "timeout_ms": 600_000, "reason": reason})
    };
    let mut expected = vec![
        row("prepared", "PREPARED", false, None),
        row("open", "PREPARE", false, None),
        row("undone", "ABORTED", true, Some("User Cancelled")),
        row(loaded, "VISIBLE", true, None),
    ];
    let all = list(&[]);
    assert_eq!(without(&all, &["id", "begun", "committed", "ended"]), expected);
    assert!(all.iter().all(|row| row["begun"].is_string() && row["ended"].is_string() == (row["finished"] == true)));
    assert_eq!(list(&["--limit", "0"]).len(), 2, "those under way are always shown");
    assert_eq!(list(&["--limit", "1"])[2]["label"], "undone");
    for (label, state) in [("open", "PREPARE"), ("prepared", "PREPARED"), ("undone", "ABORTED"), (loaded, "VISIBLE")] {
        let told = world.run(&["cluster", "label", label, "--to", "sandbox:demo", "--output", "json"]);
        assert_eq!((told.code, &told.report()["state"]), (0, &json!(state)), "{told:?}");
    }
    let loads = lines(&world.run(&["cluster", "loads", "--to", "sandbox:demo", "--output", "json"]));
    let states: Vec<_> = loads.iter().map(|load| load["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["CANCELLED", "PREPARED", "LOADING", "FINISHED"]);

    transaction(&sandbox.frontend, "POST", "commit", "prepared", "");
    expected.remove(0);
    expected.insert(1, row("undone", "ABORTED", true, Some("User Cancelled")));
    expected[2] = row("prepared", "VISIBLE", true, None);
    assert_eq!(without(&list(&[]), &["id", "begun", "committed", "ended"]), expected);
    let missing = world.run(&["cluster", "transactions", "--to", "sandbox:nowhere"]);
    missing.fails_with(1, "L2003", &["nowhere"]);
}

#[test]
fn metrics_of_a_sandbox_count_what_was_loaded() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let file = world.file("a.csv", "x\n1\n2\n");
    world.import(&[&file, "--to", "sandbox:demo/t"]).loaded();
    let list = |more: &[&str]| {
        let ran = world.run(&[&["cluster", "metrics", "--to", "sandbox:", "--output", "json"], more].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        lines(&ran)
    };
    let value = |samples: &[Value], name: &str| {
        let found = samples.iter().find(|sample| sample["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing: {samples:?}"))["value"].clone()
    };
    let frontend = list(&[]);
    assert_eq!(value(&frontend, "starrocks_fe_txn_begin"), 1);
    assert_eq!(value(&frontend, "starrocks_fe_txn_success"), 1);
    assert_eq!(value(&frontend, "starrocks_fe_txn_running"), 0);
    let backend = list(&["--node", &sandbox.backend]);
    assert_eq!(value(&backend, "starrocks_be_streaming_load_requests_total"), 1);
    assert!(backend.iter().all(|sample| sample["node"] == sandbox.backend.as_str()));
    assert_eq!(value(&list(&["--node", &sandbox.backend, "--match", "load_rows"]), "starrocks_be_load_rows"), 2);
    let nodes: BTreeSet<_> = list(&["--all"]).iter().map(|sample| sample["node"].to_string()).collect();
    assert_eq!(nodes, [&sandbox.frontend, &sandbox.backend].map(|node| format!("{node:?}")).into());
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

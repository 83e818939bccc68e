//! `shipload plan`: what an import would do, without a trace of it.

use mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use super::failures::{frontend, redirecting};
use super::outside::mysql;
use super::support::{Ran, Sandbox, World, example, nobody};

/// What a frontend says of a table with one column.
const SCHEMA: &str = r#"{"code":"0","message":"OK","result":{"columns":[{"name":"a","type":{"name":"INT"},
    "isKey":false,"isAllowNull":true}]}}"#;

fn airports() -> String {
    example("airports.csv").display().to_string()
}

fn plan(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["plan", "--output", "json"], arguments].concat())
}

/// A sandbox in a process of its own, with the airports in it under another name.
fn loaded(flags: &[&str]) -> (World, Sandbox) {
    let world = World::new();
    world.import(&[&airports(), "--to", "sandbox:demo/airports", "--job", "before"]).loaded();
    let sandbox = world.sandbox(flags);
    (world, sandbox)
}

/// What the cluster says that it has begun since it was started.
fn begun(world: &World, sandbox: &Sandbox) -> Value {
    let arguments = ["cluster", "metrics", "--to", &sandbox.target("demo"), "--match", "txn_begin", "--output", "json"];
    let shown: Value = serde_json::from_str(world.run(&arguments).stdout.lines().next().unwrap()).unwrap();
    shown["value"].clone()
}

#[test]
fn a_plan_says_what_would_happen_and_leaves_no_trace() {
    let (world, sandbox) = loaded(&["--backends", "3"]);
    let target = sandbox.target("demo/airports");
    let ran = plan(&world, &[&airports(), "--to", &target]);
    let plan_seen = ran.loaded();
    assert_eq!((&plan_seen["would"], &plan_seen["standing"]), (&json!("load"), &json!("new")), "{plan_seen}");
    assert_eq!(plan_seen["inputs"][0]["format"], "CSV, ',', header");
    let column = json!({"column": "latitude", "type": "DOUBLE", "from": "latitude"});
    assert_eq!(plan_seen["inputs"][0]["columns"][5], column);
    assert_eq!((&plan_seen["loads"], &plan_seen["commit"]["scope"]), (&json!(1), &json!("load")));
    let may = json!({"select": true, "insert": true, "operate": true, "create_table": null});
    assert_eq!((&plan_seen["privileges"], &plan_seen["error"]), (&may, &Value::Null));
    assert_eq!(plan_seen["nodes"].as_array().unwrap().len(), 4);
    let leads = plan_seen["leads"].as_array().unwrap();
    assert!(leads.iter().all(|lead| lead["problem"].is_null() && lead["node"].is_string()), "{plan_seen}");
    assert_eq!(begun(&world, &sandbox), json!(0), "the way is tried without a load");
    assert!(!world.path().join(".local").exists(), "nothing is written down");

    let text = world.run(&["plan", &airports(), "--to", &target]);
    assert_eq!(text.code, 0, "{text:?}");
    for words in
        ["would be loaded", "latitude DOUBLE", "about 1 load", "commit      load:", "which answers", "INSERT yes"]
    {
        assert!(text.stdout.contains(words), "`{words}` is missing: {}", text.stdout);
    }
    let report = world.import(&[&airports(), "--to", &target]).loaded();
    assert_eq!((&report["job"], &report["commit"]), (&plan_seen["job"], &plan_seen["commit"]), "no second truth");
    let after = plan(&world, &[&airports(), "--to", &target]).loaded();
    assert_eq!((&after["would"], &after["standing"]), (&json!("do_nothing"), &json!("finished")));
}

#[test]
fn several_inputs_are_planned_as_one_job() {
    let (world, sandbox) = loaded(&[]);
    for name in ["a", "b", "c"] {
        world.file(&format!("in/{name}.csv"), format!("iata,name\n{name},x\n"));
    }
    let port = sandbox.mysql_port();
    let ran =
        plan(&world, &["in", "--to", &sandbox.target("demo/airports"), "--mysql-port", &port, "--max-requests", "1"]);
    let seen = ran.loaded();
    assert_eq!((&seen["commit"]["scope"], &seen["loads"], &seen["seconds_min"]), (&json!("job"), &json!(3), &json!(3)));
    assert!(seen["inputs"].as_array().unwrap().iter().all(|input| input["wire"] == "json"), "{seen}");
}

#[test]
fn a_field_without_a_column_is_found_with_the_code_of_an_import() {
    let (world, sandbox) = loaded(&[]);
    let file = world.file("wrong.csv", "iata,nam\nXXX,x\n");
    let ran = plan(&world, &[&file, "--to", &sandbox.target("demo/airports")]);
    ran.fails_with(1, "L1008", &["`nam`", "--columns"]);
    assert_eq!((&ran.report()["error"]["code"], &ran.report()["would"]), (&json!("L1008"), &json!("fail")));
}

#[test]
fn dead_frontends_are_named_and_one_that_lives_is_enough() {
    let (world, sandbox) = loaded(&[]);
    let (one, other) = (nobody(), nobody());
    let target = format!("starrocks://root@{one},{other}/demo/airports");
    plan(&world, &[&airports(), "--to", &target]).fails_with(1, "L2001", &[&one, &other]);
    let target = format!("starrocks://root@{one},{}/demo/airports", sandbox.frontend);
    let seen = plan(&world, &[&airports(), "--to", &target]).loaded();
    let dead = seen["leads"].as_array().unwrap().iter().find(|lead| lead["frontend"] == one.as_str()).unwrap();
    assert!(dead["problem"].is_string() && seen["would"] == "load", "{seen}");
}

#[test]
fn a_redirect_that_leads_nowhere_is_found_before_a_load_is_sent_there() {
    let world = World::new();
    let file = world.file("a.csv", "a\n1\n");
    let gone = nobody();
    let target = |location: &str| format!("starrocks://root@{}/demo/t", frontend(SCHEMA, location));
    let dead = target(&format!("http://{gone}/api/demo/t/_stream_load"));
    let ran = plan(&world, &[&file, "--to", &dead, "--allow-redirect", "127.0.0.1"]);
    ran.fails_with(1, "L2001", &[&gone, "--map-host"]);
    assert_eq!(ran.report()["leads"][0]["node"], gone.as_str(), "{ran:?}");
    let foreign = target("http://elsewhere.example:8040/api/demo/t/_stream_load");
    plan(&world, &[&file, "--to", &foreign]).fails_with(1, "L2006", &["elsewhere.example", "--allow-redirect"]);
    // Where every question is sent away, the table's columns are the first that are not to be had.
    let all = format!("starrocks://root@{}/demo/t", redirecting("http://elsewhere.example:8040/api"));
    plan(&world, &[&file, "--to", &all]).fails_with(1, "L2006", &["elsewhere.example"]);
}

#[test]
fn a_backend_in_place_of_a_frontend_begins_nothing() {
    let (world, sandbox) = loaded(&[]);
    let target = format!("starrocks://root@{}/demo/airports", sandbox.backend);
    let ran = plan(&world, &[&airports(), "--to", &target]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(begun(&world, &sandbox), json!(0));
}

#[test]
fn a_user_without_insert_is_told_before_anything_is_read_for_nothing() {
    let (world, sandbox) = loaded(&[]);
    mysql(&sandbox, async |connection| {
        for statement in ["CREATE USER ann", "GRANT SELECT ON demo.airports TO ann", "CREATE USER bob"] {
            connection.query_drop(statement).await.unwrap();
        }
    });
    let target = |user: &str| sandbox.target("demo/airports").replace("root@", &format!("{user}@"));
    let ran = plan(&world, &[&airports(), "--to", &target("ann")]);
    ran.fails_with(1, "L2002", &["ann"]);
    let may = json!({"select": true, "insert": false, "operate": false, "create_table": null});
    assert_eq!(ran.report()["privileges"], may);
    plan(&world, &[&airports(), "--to", &target("bob")]).fails_with(1, "L2002", &["bob"]);
}

#[test]
fn a_missing_table_is_an_error_unless_it_is_to_be_created_and_none_is() {
    let (world, sandbox) = loaded(&[]);
    let (target, port) = (sandbox.target("demo/fresh"), sandbox.mysql_port());
    plan(&world, &[&airports(), "--to", &target]).fails_with(1, "L2003", &["fresh"]);
    let create = |port: &str| plan(&world, &[&airports(), "--to", &target, "--create-table", "--mysql-port", port]);
    let seen = create(&port).loaded();
    assert_eq!((&seen["table_missing"], &seen["would"]), (&json!(true), &json!("load")), "{seen}");
    assert_eq!(world.tables().len(), 1, "nothing is created");
    let closed = nobody();
    create(closed.rsplit(':').next().unwrap()).fails_with(1, "L2001", &[&closed]);
}

#[test]
fn of_standard_input_the_plan_says_what_it_cannot_know() {
    let (world, sandbox) = loaded(&[]);
    let target = sandbox.target("demo/airports");
    let run =
        |more: &[&str]| world.run_with_input(&[&["plan", "-", "--to", &target], more].concat(), b"iata,name\na,b\n");
    let seen = run(&["--output", "json"]).loaded();
    assert_eq!(
        (&seen["loads"], &seen["bytes"], &seen["inputs"][0]["bytes"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(seen["commit"]["scope"], "load");
    assert!(run(&[]).stdout.contains("nobody can know before it ends"));
}

#[test]
fn what_an_import_refuses_as_usage_a_plan_refuses_as_well() {
    let (world, sandbox) = loaded(&[]);
    let target = sandbox.target("demo/airports");
    plan(&world, &[&airports(), "--to", &target, "--memory", "16MiB"]).fails_with(2, "L3005", &["--load-size"]);
    let ran = plan(&world, &[&airports(), "--to", &target, "--set", "formt=csv"]);
    ran.fails_with(2, "L4003", &["formt"]);
    assert_eq!(ran.report()["error"]["code"], "L4003");
    plan(&world, &["missing.csv", "--to", &target]).fails_with(1, "L1001", &["missing.csv"]);
}

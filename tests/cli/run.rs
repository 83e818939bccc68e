//! `shipload run FILE`: several imports in one file, in turn or all of them together.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World, nobody};

const ROWS: u32 = 3_000;

/// Two tables, an input of some loads for each, and a sandbox in a process of its own.
fn prepared() -> (World, Sandbox) {
    let world = World::new();
    for table in ["orders", "lines"] {
        let made = world.file("made.csv", "id,name\n0,nought\n");
        world.import(&[&made, "--to", &format!("sandbox:demo/{table}"), "--job", table]).loaded();
        let rows: String = (1..=ROWS).map(|id| format!("{id},\"{table} {id}\"\n")).collect();
        world.file(&format!("{table}.csv"), format!("id,name\n{rows}"));
    }
    let sandbox = world.sandbox(&["--backends", "2"]);
    (world, sandbox)
}

/// A file that loads both; `top` goes to its top, `second` to the end of the second load.
fn job_file(world: &World, sandbox: &Sandbox, top: &str, second: &str) -> String {
    let (orders, lines) = (sandbox.target("demo/orders"), sandbox.target("demo/lines"));
    world.file(
        "jobs.toml",
        format!(
            "{top}\nload_size = \"40KiB\"\nparallel = 2\n\n[[load]]\nsources = [\"orders.csv\"]\nto = \"{orders}\"\n\n\
             [[load]]\nsources = [\"lines.csv\"]\nto = \"{lines}\"\n{second}\n"
        ),
    )
}

fn run(world: &World, file: &str) -> Ran {
    world.run(&["run", file, "--output", "json"])
}

fn faults(sandbox: &Sandbox, rules: &Value) -> Value {
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    let document = json!({ "rules": rules }).to_string();
    let set = ["-d", document.as_str()];
    let flags = if rules.is_null() { &[][..] } else { &set };
    let output = Command::new("curl").args(["-sS", "-f", "-u", "root:"]).args(flags).arg(&url).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Both tables have every row once, and no transaction is open.
fn complete(world: &World) {
    for table in ["orders", "lines"] {
        let all = f64::from(ROWS + 1);
        let count = || world.number(&format!("select count(*) from {table}"));
        // What is committed may become visible a moment later.
        assert!((0..100).any(|_| count() >= all), "rows of {table} are missing: {}", count());
        assert_eq!(count(), all, "{table}");
        assert_eq!(world.number(&format!("select count(distinct id) from {table}")), all, "{table}");
    }
    nothing_open(world);
}

fn nothing_open(world: &World) {
    let shown = world.run(&["cluster", "transactions", "--to", "sandbox:demo", "--output", "json"]);
    assert!(shown.code == 0 && !shown.stdout.contains("PREPARE"), "a transaction is open: {}", shown.stdout);
}

fn untouched(world: &World, table: &str) {
    assert_eq!(world.number(&format!("select count(*) from {table}")), 1.0, "nothing of the job is in {table}");
}

fn states(report: &Value) -> Vec<&str> {
    report["jobs"].as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap()).collect()
}

/// Starts the file and kills it as soon as this rule has struck.
fn killed_at(world: &World, sandbox: &Sandbox, file: &str, rule: &Value) {
    faults(sandbox, &json!([rule]));
    let mut command = world.command(&["run", file]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while faults(sandbox, &Value::Null)["fired_total"].as_u64() == Some(0) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the fault struck");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    faults(sandbox, &json!([]));
}

#[test]
fn the_loads_of_a_file_are_done_in_turn_under_one_report() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"load\"", "");
    let report = run(&world, &file).loaded();
    assert_eq!(states(&report), ["finished", "finished"]);
    assert_eq!(report["jobs"][1]["rows_loaded"], json!(ROWS));
    complete(&world);
    assert_eq!(states(&run(&world, &file).loaded()), ["already_loaded", "already_loaded"]);
    let text = world.run(&["run", &file]);
    assert_eq!(text.stdout.matches("already loaded").count(), 2, "{}", text.stdout);
    complete(&world);
}

#[test]
fn a_load_that_fails_does_not_keep_the_next_from_its_turn_and_the_exit_code_is_the_worst() {
    let (world, sandbox) = prepared();
    world.file("orders.csv", "id,name\none,x\n");
    let ran = run(&world, &job_file(&world, &sandbox, "", ""));
    ran.fails_with(4, "L2004", &["orders.csv"]);
    assert_eq!(states(&ran.report()), ["rejected", "finished"]);
    untouched(&world, "orders");
    let gone = format!("to = \"starrocks://root@{}/demo/t\"", nobody());
    let file = world.file("gone.toml", format!("[[load]]\nsources = [\"orders.csv\"]\n{gone}\n"));
    run(&world, &file).fails_with(1, "L2001", &[]);
}

#[test]
fn jobs_that_are_committed_together_become_visible_together_and_once() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"job\"", "");
    let report = run(&world, &file).loaded();
    assert_eq!(states(&report), ["finished", "finished"]);
    assert!(
        report["jobs"].as_array().unwrap().iter().all(|job| job["loads"].as_array().unwrap().len() > 1),
        "{report}"
    );
    complete(&world);
    assert_eq!(states(&run(&world, &file).loaded()), ["already_loaded", "already_loaded"]);
    complete(&world);
}

#[test]
fn a_sandbox_in_the_same_process_takes_all_of_them() {
    let world = World::new();
    world.file("a.csv", "id\n1\n2\n");
    world.file("b.csv", "id\n3\n");
    for commit in ["job", "load"] {
        let load =
            |name: &str| format!("[[load]]\nsources = [\"{name}.csv\"]\nto = \"sandbox:demo/{name}_{commit}\"\n");
        let file = world.file("jobs.toml", format!("commit = \"{commit}\"\n{}{}", load("a"), load("b")));
        assert_eq!(states(&run(&world, &file).loaded()), ["finished", "finished"]);
        assert_eq!(world.number(&format!("select count(*) from a_{commit}")), 2.0);
        assert_eq!(world.number(&format!("select count(*) from b_{commit}")), 1.0);
    }
}

#[test]
fn a_rejected_row_of_the_second_table_keeps_the_first_untouched() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"job\"", "");
    let rows = std::fs::read_to_string(world.path().join("lines.csv")).unwrap();
    world.file("lines.csv", format!("{rows}one,x\n"));
    let ran = run(&world, &file);
    ran.fails_with(4, "L2004", &["lines.csv"]);
    assert!(ran.stderr.contains("error[L2052]"), "{}", ran.stderr);
    assert_eq!(ran.report()["jobs"][0]["error"]["code"], "L2052", "{ran:?}");
    untouched(&world, "orders");
    untouched(&world, "lines");
    nothing_open(&world);
    world.file("lines.csv", rows);
    assert_eq!(states(&run(&world, &file).loaded()), ["finished", "finished"]);
    complete(&world);
}

#[test]
fn killed_between_the_commits_of_two_tables_the_next_run_commits_the_rest() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"job\"", "");
    // The commits of the first table are through when the first one of the second is held.
    let loads = loads_of(&world, "orders.csv");
    let hold = json!({"at": "head", "operation": "commit", "skip": loads, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    assert!(world.number("select count(*) from lines") < f64::from(ROWS + 1), "not all of the second is committed");
    let report = run(&world, &file).loaded();
    assert_eq!(report["jobs"][1]["bytes_sent"], json!(0), "nothing is sent again: {report}");
    complete(&world);
}

/// How many loads a file makes where it is committed as a whole: into a table of its own.
fn loads_of(world: &World, source: &str) -> usize {
    let flags = ["--commit", "job", "--load-size", "40KiB"];
    let report = world.import(&[&[source, "--to", "sandbox:demo/probe"], &flags[..]].concat());
    report.loaded()["loads"].as_array().unwrap().len()
}

#[test]
fn killed_before_the_decision_the_next_run_goes_on_with_what_is_prepared() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"job\"", "");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 5, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    untouched(&world, "orders");
    untouched(&world, "lines");
    let report = run(&world, &file).loaded();
    let loads = report["jobs"].as_array().unwrap().iter().flat_map(|job| job["loads"].as_array().unwrap());
    assert!(loads.into_iter().any(|load| load["attempts"] == 0), "some were prepared already: {report}");
    complete(&world);
}

#[test]
fn one_of_several_that_are_committed_together_is_not_resumed_alone() {
    let (world, sandbox) = prepared();
    let file = job_file(&world, &sandbox, "commit = \"job\"", "");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 1, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    world.run(&["resume"]).fails_with(2, "L4001", &["jobs.toml", "shipload run"]);
    untouched(&world, "orders");
    // Done by itself it is other work, which takes the place of what was left.
    let target = sandbox.target("demo/orders");
    world.import(&["orders.csv", "--to", &target, "--commit", "job", "--load-size", "40KiB"]).loaded();
    nothing_open(&world);
    assert_eq!(world.number("select count(*) from orders"), f64::from(ROWS + 1));
    untouched(&world, "lines");
}

#[test]
fn what_cannot_be_committed_together_is_refused_before_anything_is_sent() {
    let (world, sandbox) = prepared();
    let other = world.sandbox(&["--sandbox-dir", "elsewhere"]);
    let (here, there) = (sandbox.target("demo/orders"), other.target("demo/lines"));
    let two = |first: &str, second: &str| {
        let load = |(source, to): (&str, &str)| format!("[[load]]\nsources = [\"{source}\"]\nto = \"{to}\"\n");
        world.file(
            "two.toml",
            format!("commit = \"job\"\n{}{}", load(("orders.csv", first)), load(("lines.csv", second))),
        )
    };
    run(&world, &two(&here, &there)).fails_with(2, "L4001", &["one cluster"]);
    let stdin = world.file("stdin.toml", format!("commit = \"job\"\n[[load]]\nsources = [\"-\"]\nto = \"{here}\"\n"));
    run(&world, &stdin).fails_with(2, "L4001", &["standard input"]);
    let file = job_file(&world, &sandbox, "commit = \"job\"\ndeadline = 60", "");
    run(&world, &file).fails_with(2, "L4001", &["deadline"]);
    untouched(&world, "orders");
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line_before_anything_is_sent() {
    let (world, sandbox) = prepared();
    let ran = run(&world, &job_file(&world, &sandbox, "", "colums = \"id, name\""));
    ran.fails_with(2, "L4010", &["jobs.toml, line 12", "`colums`", "did you mean `columns`"]);
    assert_eq!(ran.report()["error"]["code"], "L4010");
    run(&world, "missing.toml").fails_with(2, "L4010", &["missing.toml"]);
    untouched(&world, "orders");
}

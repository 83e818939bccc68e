//! `--commit job`: all or nothing, whatever is lost on the way and whoever is killed.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World};

pub(crate) const ROWS: u32 = 6_000;

/// A table, a file that makes about six loads of it, and a sandbox in a process of its own.
pub(crate) fn prepared(backends: &str) -> (World, Sandbox, String) {
    let world = World::new();
    let made = world.file("made.csv", "id,name\n0,nought\n");
    world.import(&[&made, "--to", "sandbox:demo/t"]).loaded();
    let rows: String = (1..=ROWS).map(|id| format!("{id},\"name, of {id}\"\n")).collect();
    let file = world.file("rows.csv", format!("id,name\n{rows}"));
    let sandbox = world.sandbox(&["--backends", backends]);
    (world, sandbox, file)
}

fn arguments<'a>(file: &'a str, target: &'a str) -> Vec<&'a str> {
    vec![file, "--to", target, "--commit", "job", "--load-size", "40KiB", "--parallel", "2"]
}

fn import(world: &World, sandbox: &Sandbox, file: &str) -> Ran {
    world.import(&arguments(file, &sandbox.target("demo/t")))
}

pub(crate) fn faults(sandbox: &Sandbox, rules: &Value) {
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    let document = json!({ "rules": rules }).to_string();
    let output = Command::new("curl").args(["-sS", "-f", "-u", "root:", "-d", &document, &url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Everything is there once, and no transaction is open.
pub(crate) fn complete(world: &World) {
    // What is committed may become visible a moment later.
    let all = f64::from(ROWS + 1);
    let is_there = (0..100).any(|_| world.number("select count(*) from t") >= all);
    assert!(is_there, "rows are missing: {}", world.number("select count(*) from t"));
    assert_eq!(world.number("select count(*) from t"), all);
    assert_eq!(world.number("select count(distinct id) from t"), all);
    nothing_open(world);
}

pub(crate) fn untouched(world: &World) {
    assert_eq!(world.number("select count(*) from t"), 1.0, "nothing of the job is visible");
}

pub(crate) fn nothing_open(world: &World) {
    let shown = world.run(&["cluster", "transactions", "--to", "sandbox:demo", "--output", "json"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for line in shown.stdout.lines() {
        assert!(!line.contains("PREPARE"), "a transaction is open: {line}");
    }
}

#[test]
fn a_whole_job_is_committed_in_one_and_running_it_again_does_nothing() {
    let (world, sandbox, file) = prepared("3");
    let report = import(&world, &sandbox, &file).loaded();
    assert_eq!(report["rows_loaded"], json!(ROWS));
    let loads = report["loads"].as_array().unwrap();
    assert!(loads.len() > 3 && loads.iter().all(|load| load["state"] == "visible"), "{report}");
    complete(&world);
    assert_eq!(import(&world, &sandbox, &file).loaded()["state"], "already_loaded");
    complete(&world);
}

#[test]
fn lost_answers_and_failures_at_every_step_neither_lose_nor_double_a_row() {
    for rule in [
        json!({"at": "answer", "node": "be*", "operation": "begin", "skip": 1, "do": {"kind": "reset"}}),
        json!({"at": "answer", "node": "be*", "operation": "load", "skip": 1, "do": {"kind": "reset"}}),
        json!({"at": "answer", "node": "be*", "operation": "prepare", "skip": 1, "times": 2, "do": {"kind": "reset"}}),
        json!({"at": "answer", "node": "be*", "operation": "prepare", "do": {"kind": "html", "status": 200}}),
        json!({"at": "prepare", "skip": 1, "do": {"kind": "fail", "preset": "lock_timeout"}}),
        json!({"at": "prepared", "do": {"kind": "crash", "restart_after_ms": 200}}),
        json!({"at": "answer", "operation": "commit", "skip": 1, "times": 2, "do": {"kind": "reset"}}),
        json!({"at": "answer", "operation": "commit", "do": {"kind": "html", "status": 200}}),
        json!({"at": "commit", "do": {"kind": "fail", "preset": "lock_timeout"}}),
        json!({"at": "committed", "do": {"kind": "commit_then_fail"}}),
        json!({"at": "publish", "do": {"kind": "publish_timeout", "visible_after_ms": 200}}),
        // The last look before the decision.
        json!({"at": "head", "operation": "label_state", "times": 2, "do": {"kind": "reset"}}),
    ] {
        let (world, sandbox, file) = prepared("2");
        faults(&sandbox, &json!([rule]));
        let ran = import(&world, &sandbox, &file);
        assert_eq!(ran.code, 0, "{rule}: {ran:?}");
        complete(&world);
    }
}

#[test]
fn a_job_that_fails_before_the_decision_leaves_nothing_and_goes_on_when_run_again() {
    let (world, sandbox, file) = prepared("1");
    faults(
        &sandbox,
        &json!([
            {"at": "prepare", "skip": 2, "times": "always", "do": {"kind": "fail", "preset": "loads_disabled"}},
            {"at": "answer", "operation": "rollback", "do": {"kind": "reset"}},
        ]),
    );
    import(&world, &sandbox, &file).fails_with(1, "L2010", &["disable_load_job"]);
    untouched(&world);
    nothing_open(&world);
    faults(&sandbox, &json!([]));
    import(&world, &sandbox, &file).loaded();
    complete(&world);
}

#[test]
fn a_rejected_row_keeps_the_whole_job_out_of_the_table() {
    let (world, sandbox, file) = prepared("1");
    let mut rows = std::fs::read_to_string(&file).unwrap();
    rows.push_str("not a number,x\n");
    let file = world.file("bad.csv", rows);
    import(&world, &sandbox, &file).fails_with(4, "L2004", &[]);
    untouched(&world);
    nothing_open(&world);
}

/// Starts an import and kills it as soon as the sandbox holds a request of this operation for long.
fn killed_at(world: &World, sandbox: &Sandbox, file: &str, rule: &Value) {
    killed_with(world, sandbox, &arguments(file, &sandbox.target("demo/t")), rule);
}

pub(crate) fn killed_with(world: &World, sandbox: &Sandbox, arguments: &[&str], rule: &Value) {
    faults(sandbox, &json!([rule]));
    let all = [&["import", "--output", "json"], arguments].concat();
    let mut child =
        world.command(&all).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    loop {
        let output = Command::new("curl").args(["-sS", "-u", "root:", &url]).output().unwrap();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        if shown["fired_total"].as_u64() > Some(0) {
            break;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before the fault struck: {shown}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    faults(sandbox, &json!([]));
}

#[test]
fn a_loader_killed_before_the_decision_goes_on_with_what_is_prepared() {
    let (world, sandbox, file) = prepared("2");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 3, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    untouched(&world);
    let report = import(&world, &sandbox, &file).loaded();
    let kept = report["loads"].as_array().unwrap().iter().filter(|load| load["attempts"] == 0).count();
    assert!(kept > 0, "some were prepared already: {report}");
    complete(&world);
}

#[test]
fn a_loader_killed_after_the_decision_commits_the_rest_without_its_input() {
    let (world, sandbox, file) = prepared("2");
    let hold = json!({"at": "head", "operation": "commit", "skip": 1, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    let report = import(&world, &sandbox, &file).loaded();
    assert_eq!((&report["rows_loaded"], &report["bytes_sent"]), (&json!(ROWS), &json!(0)));
    complete(&world);
}

#[test]
fn other_work_on_the_same_input_rolls_back_what_a_killed_job_left() {
    let (world, sandbox, file) = prepared("2");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 3, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    let target = sandbox.target("demo/t");
    world.import(&[&file, "--to", &target]).loaded();
    complete(&world);
}

#[test]
fn a_cancel_rolls_back_what_a_killed_job_has_prepared() {
    let (world, sandbox, file) = prepared("2");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 3, "do": {"kind": "hold", "ms": 600_000}});
    killed_at(&world, &sandbox, &file, &hold);
    let told = world.run(&["status", "--output", "json"]);
    let newest: Value = serde_json::from_str(told.stdout.lines().next().unwrap()).unwrap();
    let job = newest["job"].as_str().unwrap();
    let cancelled = world.run(&["cancel", job]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    untouched(&world);
    nothing_open(&world);
}

#[test]
fn quoted_csv_is_refused_for_a_whole_job() {
    let (world, sandbox, file) = prepared("1");
    let target = sandbox.target("demo/t");
    let all = [arguments(&file, &target).as_slice(), &["--wire", "csv"]].concat();
    world.import(&all).fails_with(1, "L2012", &["quoted CSV"]);
}

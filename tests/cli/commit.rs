//! What is committed at once where nobody says: chosen by the plan, explained, and kept.

use std::fs;
use std::process::Stdio;

use mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use super::interrupts::signal;
use super::outside::mysql;
use super::support::{Ran, Sandbox, World};
use super::transactions::{ROWS, complete, killed_with, nothing_open, prepared, untouched};

/// About six loads in JSON, as many as are committed at once.
fn few<'a>(file: &'a str, target: &'a str) -> Vec<&'a str> {
    vec![file, "--to", target, "--load-size", "40KiB", "--parallel", "2"]
}

fn import(world: &World, sandbox: &Sandbox, file: &str, more: &[&str]) -> Ran {
    let (target, port) = (sandbox.target("demo/t"), sandbox.mysql_port());
    world.import(&[few(file, &target).as_slice(), &["--mysql-port", &port], more].concat())
}

fn scope(report: &Value) -> &str {
    report["commit"]["scope"].as_str().unwrap()
}

fn set(sandbox: &Sandbox, setting: &str, value: u32) {
    let statement = format!("ADMIN SET FRONTEND CONFIG (\"{setting}\" = \"{value}\")");
    mysql(sandbox, async |connection| connection.query_drop(statement).await.unwrap());
}

#[test]
fn a_few_loads_become_visible_together_and_the_reason_is_told() {
    let (world, sandbox, file) = prepared("2");
    let dry = import(&world, &sandbox, &file, &["--dry-run"]);
    assert_eq!(scope(&dry.loaded()), "job", "{dry:?}");
    let ran = import(&world, &sandbox, &file, &[]);
    let report = ran.loaded();
    assert_eq!((scope(&report), &report["job"]), ("job", &dry.report()["job"]));
    let reason = report["commit"]["reason"].as_str().unwrap();
    assert!(reason.contains("0 of 1000 transactions are running"), "{reason}");
    assert!(ran.stderr.contains(&format!("note: --commit job: {reason}")), "{}", ran.stderr);
    complete(&world);
    assert_eq!(import(&world, &sandbox, &file, &[]).loaded()["state"], "already_loaded");
    complete(&world);
}

#[test]
fn what_the_job_alone_forbids_is_committed_load_by_load() {
    let (world, sandbox, file) = prepared("1");
    let one = world.file("one.csv", "id,name\n-1,a\n");
    for (source, more, words) in [
        (&one, &[][..], "one load"),
        (&file, &["--wire", "csv"], "--wire csv"),
        (&file, &["--set", "log_rejected_record_num=1"], "log_rejected_record_num"),
    ] {
        let report = import(&world, &sandbox, source, &[more, &["--dry-run"]].concat()).loaded();
        assert_eq!(scope(&report), "load");
        assert!(report["commit"]["reason"].as_str().unwrap().contains(words), "{report}");
    }
    let target = sandbox.target("demo/t");
    let many = world.import(&[&file, "--to", &target, "--load-size", "10KiB", "--dry-run"]).loaded();
    assert!(scope(&many) == "load" && many["commit"]["reason"].as_str().unwrap().contains("more than 16"), "{many}");
    let stream = world.run_with_input(&["import", "-", "--to", &target, "--output", "json"], b"id,name\n-2,b\n");
    assert!(stream.loaded()["commit"]["reason"].as_str().unwrap().contains("stream"));
    let said = import(&world, &sandbox, &file, &["--commit", "load"]).loaded();
    assert_eq!(said["commit"], json!({"scope": "load", "reason": "asked for with --commit load"}));
}

#[test]
fn a_server_with_little_room_takes_each_load_for_itself_and_refuses_a_whole_job_with_numbers() {
    let (world, sandbox, file) = prepared("1");
    set(&sandbox, "max_running_txn_num_per_db", 3);
    import(&world, &sandbox, &file, &["--commit", "job"]).fails_with(
        1,
        "L2050",
        &["at most 3 transactions", "--load-size", "--commit load"],
    );
    untouched(&world);
    let report = import(&world, &sandbox, &file, &[]).loaded();
    assert_eq!(scope(&report), "load");
    assert!(report["commit"]["reason"].as_str().unwrap().contains("of 3 transactions"), "{report}");
    complete(&world);
}

#[test]
fn a_whole_job_that_may_have_to_wait_says_so_beforehand() {
    let (world, sandbox, file) = prepared("1");
    set(&sandbox, "max_running_txn_num_per_db", 8);
    let ran = import(&world, &sandbox, &file, &["--commit", "job"]);
    assert_eq!(scope(&ran.loaded()), "job");
    assert!(ran.stderr.contains("0 of 8 transactions are running"), "{}", ran.stderr);
    complete(&world);
}

#[test]
fn a_user_who_may_not_look_gets_what_is_safe_by_default() {
    let (world, sandbox, file) = prepared("1");
    mysql(&sandbox, async |connection| {
        for statement in ["CREATE USER ann", "GRANT SELECT, INSERT ON demo.t TO ann"] {
            connection.query_drop(statement).await.unwrap();
        }
    });
    set(&sandbox, "max_running_txn_num_per_db", 900);
    let (target, port) = (sandbox.target("demo/t").replace("root@", "ann@"), sandbox.mysql_port());
    let report = world.import(&[few(&file, &target).as_slice(), &["--mysql-port", &port]].concat()).loaded();
    let reason = report["commit"]["reason"].as_str().unwrap();
    assert!(scope(&report) == "job" && reason.contains("1000 by default"), "{report}");
    complete(&world);
}

#[test]
fn a_job_that_is_begun_keeps_its_way_whatever_the_server_says_by_then() {
    let (world, sandbox, file) = prepared("2");
    let (target, port) = (sandbox.target("demo/t"), sandbox.mysql_port());
    let arguments = [few(&file, &target).as_slice(), &["--mysql-port", &port]].concat();
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 3, "do": {"kind": "hold", "ms": 600_000}});
    killed_with(&world, &sandbox, &arguments, &hold);
    untouched(&world);
    set(&sandbox, "max_running_txn_num_per_db", 7);
    let report = world.import(&arguments).loaded();
    assert_eq!(scope(&report), "job");
    assert!(report["commit"]["reason"].as_str().unwrap().contains("earlier run"), "{report}");
    assert!(report["loads"].as_array().unwrap().iter().any(|load| load["attempts"] == 0), "{report}");
    complete(&world);
}

#[test]
fn a_job_of_a_journal_from_before_the_choice_goes_on_load_by_load() {
    let (world, sandbox, file) = prepared("1");
    let target = sandbox.target("demo/t");
    // Until then this was what a command without --commit did.
    let arguments = [few(&file, &target).as_slice(), &["--commit", "load"]].concat();
    let hold = json!({"at": "answer", "node": "be1", "operation": "stream_load", "skip": 2,
                      "do": {"kind": "hold", "ms": 600_000}});
    killed_with(&world, &sandbox, &arguments, &hold);
    let report = import(&world, &sandbox, &file, &[]).loaded();
    assert_eq!(scope(&report), "load", "{report}");
    complete(&world);
}

#[test]
fn a_killed_job_is_resumed_in_its_way() {
    let (world, sandbox, file) = prepared("1");
    let target = sandbox.target("demo/t");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 2, "do": {"kind": "hold", "ms": 600_000}});
    killed_with(&world, &sandbox, &few(&file, &target), &hold);
    let report = world.run(&["resume", "--output", "json"]).loaded();
    assert_eq!((scope(&report), &report["rows_loaded"]), ("job", &json!(ROWS)));
    complete(&world);
}

#[test]
fn without_its_journal_a_job_is_found_by_its_labels_and_goes_the_same_way() {
    let (world, sandbox, file) = prepared("1");
    assert_eq!(scope(&import(&world, &sandbox, &file, &[]).loaded()), "job");
    // A server that has become tight would now be loaded the other way, under other labels.
    set(&sandbox, "max_running_txn_num_per_db", 7);
    fs::remove_dir_all(world.path().join(".local")).unwrap();
    let report = import(&world, &sandbox, &file, &[]).loaded();
    assert!(report["commit"]["reason"].as_str().unwrap().contains("knows its label"), "{report}");
    complete(&world);
}

#[test]
fn two_who_go_different_ways_at_once_do_not_load_a_row_twice() {
    let (world, sandbox, file) = prepared("1");
    let (target, elsewhere) = (sandbox.target("demo/t"), world.path().join("elsewhere").display().to_string());
    let all = [&["import", "--output", "json", "--max-requests", "2"], few(&file, &target).as_slice()].concat();
    let mut command = world.command(&all);
    let first = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running = || world.run(&["cluster", "transactions", "--to", "sandbox:demo", "--output", "json"]).stdout;
    while !running().contains("PREPARED") {}
    signal(&first, "-STOP");
    import(&world, &sandbox, &file, &["--commit", "load", "--state-dir", &elsewhere]).loaded();
    signal(&first, "-CONT");
    let first = Ran::of(first.wait_with_output().unwrap());
    first.fails_with(1, "L2051", &["load by load", "run the same command again"]);
    nothing_open(&world);
    let report = import(&world, &sandbox, &file, &[]);
    assert_eq!(report.code, 0, "{report:?}");
    complete(&world);
}

#[test]
fn cancelling_a_job_before_its_decision_leaves_nothing_prepared() {
    let (world, sandbox, file) = prepared("2");
    let target = sandbox.target("demo/t");
    let hold = json!({"at": "answer", "operation": "prepare", "skip": 3, "do": {"kind": "hold", "ms": 600_000}});
    killed_with(&world, &sandbox, &few(&file, &target), &hold);
    let status = world.run(&["status", "--output", "json"]);
    let job: Value = serde_json::from_str(status.stdout.lines().next().unwrap()).unwrap();
    let cancelled = world.run(&["cancel", job["job"].as_str().unwrap()]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    assert!(cancelled.stdout.contains("nothing of it is in"), "{cancelled:?}");
    nothing_open(&world);
    untouched(&world);
    import(&world, &sandbox, &file, &[]).loaded();
    complete(&world);
}

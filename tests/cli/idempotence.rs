//! The same import twice does nothing the second time, and an unfinished one goes on.

use serde_json::json;

use super::support::{World, example};

const TARGET: &str = "sandbox:demo/airports";

fn airports() -> String {
    example("airports.csv").display().to_string()
}

#[test]
fn a_second_identical_import_does_nothing_and_says_so() {
    let world = World::new();
    assert_eq!(world.import(&[&airports(), "--to", TARGET]).loaded()["rows_loaded"], json!(3376));
    let again = world.run(&["import", &airports(), "--to", TARGET]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("already loaded on"), "{}", again.stdout);
    assert!(again.stdout.contains("--again"), "{}", again.stdout);
    assert_eq!(world.import(&[&airports(), "--to", TARGET]).loaded()["state"], json!("already_loaded"));
    assert_eq!(world.value("select count(*) from airports"), json!(3376));

    world.import(&[&airports(), "--to", TARGET, "--again"]).loaded();
    assert_eq!(world.value("select count(*) from airports"), json!(2 * 3376));
}

#[test]
fn the_labels_alone_keep_rows_from_doubling_when_the_journal_is_gone() {
    let world = World::new();
    world.import(&[&airports(), "--to", TARGET, "--state-dir", "one"]).loaded();
    let report = world.import(&[&airports(), "--to", TARGET, "--state-dir", "two"]).loaded();
    assert_eq!(report["rows_loaded"], json!(3376));
    assert_eq!(world.value("select count(*) from airports"), json!(3376));

    world.import(&[&airports(), "--to", TARGET, "--state-dir", "three", "--again"]).loaded();
    assert_eq!(world.value("select count(*) from airports"), json!(2 * 3376));
}

#[test]
fn a_dry_run_sends_nothing_and_remembers_nothing() {
    let world = World::new();
    let report = world.import(&[&airports(), "--to", TARGET, "--dry-run"]).loaded();
    assert_eq!(
        (&report["state"], &report["rows_read"], &report["rows_loaded"]),
        (&json!("dry_run"), &json!(3376), &json!(0))
    );
    assert!(world.tables().is_empty());
    assert_eq!(world.import(&[&airports(), "--to", TARGET]).loaded()["rows_loaded"], json!(3376));
}

#[test]
fn a_changed_file_is_another_job() {
    let world = World::new();
    let path = world.file("a.csv", "id\n1\n");
    world.import(&[&path, "--to", "sandbox:demo/a"]).loaded();
    world.file("a.csv", "id\n2\n");
    assert_eq!(world.import(&[&path, "--to", "sandbox:demo/a"]).loaded()["state"], json!("finished"));
    assert_eq!(world.number("select count(*) from a"), 2.0);
}

#[test]
fn a_named_job_over_standard_input_loads_once() {
    let world = World::new();
    let arguments = ["import", "-", "--to", "sandbox:demo/s", "--job", "nightly", "--output", "json"];
    assert_eq!(world.run_with_input(&arguments, b"id\n1\n2\n").loaded()["rows_loaded"], json!(2));
    assert_eq!(world.run_with_input(&arguments, b"id\n1\n2\n").loaded()["state"], json!("already_loaded"));
    assert_eq!(world.number("select count(*) from s"), 2.0);
}

#[test]
fn a_name_is_not_taken_for_other_work() {
    let world = World::new();
    let (one, two) = (world.file("one.csv", "id\n1\n"), world.file("two.csv", "id\n2\n"));
    let load = |path: &str| world.import(&[path, "--to", "sandbox:demo/a", "--job", "nightly"]);
    load(&one).loaded();
    load(&two).fails_with(1, "L3002", &["nightly", "finished on", "--job"]);
    assert_eq!(world.number("select sum(id) from a"), 1.0);
}

#[test]
fn a_job_that_failed_before_sending_may_be_corrected_under_its_name() {
    let world = World::new();
    let made = world.file("made.csv", "id,n\n1,2\n");
    world.import(&[&made, "--to", "sandbox:demo/named"]).loaded();
    let path = world.file("b.csv", "id,other\n2,3\n");
    let to = ["--to", "sandbox:demo/named", "--job", "monthly"];
    world.import(&[&[path.as_str()], &to[..]].concat()).fails_with(1, "L1008", &["other"]);
    world.import(&[&[path.as_str()], &to[..], &["--columns", "id,other,n=other"]].concat()).loaded();
    assert_eq!(world.number("select sum(n) from named"), 5.0);
}

#[test]
fn rows_and_labels_survive_a_killed_sandbox() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    world.import(&[&airports(), "--to", TARGET]).loaded();
    sandbox.kill();
    assert_eq!(world.value("select count(*) from airports"), json!(3376));
    let report = world.import(&[&airports(), "--to", TARGET, "--state-dir", "elsewhere"]).loaded();
    assert_eq!(report["rows_loaded"], json!(3376));
    assert_eq!(world.value("select count(*) from airports"), json!(3376));
}

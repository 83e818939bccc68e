//! A target that takes less than it is offered: the job slows down, loses nothing, and says why.

use serde_json::{Value, json};

use super::support::{Ran, World};

/// A file of so many rows.
fn numbers(world: &World, rows: u32) -> String {
    let text: String = (1..=rows).map(|id| format!("{id},name-{id}\n")).collect();
    world.file("numbers.csv", format!("id,name\n{text}"))
}

/// Loads through a cluster in which these rules strike, in loads of 10 kB.
fn load(world: &World, rules: &Value, arguments: &[&str]) -> Ran {
    let file = numbers(world, 10_000);
    let made = world.file("made.csv", "id,name\n0,none\n");
    world.import(&[&made, "--to", "sandbox:demo/numbers"]).loaded();
    let faults = world.file("faults.json", json!({ "seed": 5, "rules": rules }).to_string());
    let sandbox = world.sandbox(&["--faults", &faults]);
    let target = sandbox.target("demo/numbers");
    world.import(&[&[&file, "--to", &target, "--load-size", "10KB", "--commit", "load"], arguments].concat())
}

fn refusal(at: &str, preset: &str, times: &Value) -> Value {
    json!([{"id": preset, "at": at, "operation": "stream_load", "times": times,
            "do": {"kind": "fail", "preset": preset}}])
}

fn nothing_is_lost(world: &World) {
    assert_eq!(world.number("select count(*) from numbers"), 10_001.0);
    assert_eq!(world.number("select count(distinct id) from numbers"), 10_001.0);
    assert_eq!(world.number("select sum(id) from numbers"), 50_005_000.0);
}

/// Three refusals in three kinds of overload, each told apart in the log and the report.
fn slows_down(at: &str, preset: &str, reason: &str) {
    let world = World::new();
    let ran = load(&world, &refusal(at, preset, &json!(3)), &[]);
    let report = ran.loaded();
    assert_eq!(report["rows_loaded"], json!(10_000), "{report}");
    assert_eq!((&report["slowed"][0]["reason"], &report["slowed"][0]["times"]), (&json!(reason), &json!(3)));
    let address = report["slowed"][0]["address"].as_str().unwrap();
    assert!(ran.stderr.contains(&format!("slowing down to 1 load at once: {reason} at {address}")), "{}", ran.stderr);
    assert!(ran.stderr.contains("is refused (1 in a row)"), "{}", ran.stderr);
    nothing_is_lost(&world);
}

#[test]
fn too_many_versions_slow_the_job_down_and_nothing_is_lost() {
    slows_down("write", "too_many_versions", "too many versions");
}

#[test]
fn the_servers_memory_limit_slows_the_job_down_and_nothing_is_lost() {
    slows_down("write", "memory_limit", "memory limit");
}

#[test]
fn the_cap_on_running_transactions_slows_the_job_down_and_nothing_is_lost() {
    slows_down("begin", "running_transactions", "too many running transactions");
}

#[test]
fn a_load_is_refused_more_often_than_it_has_attempts_and_lands_all_the_same() {
    let world = World::new();
    // Ten in a row are more than the eight attempts of a load; that limit of the server has the shortest pauses.
    let ran = load(&world, &refusal("begin", "concurrency_limit", &json!(10)), &["--parallel", "1"]);
    let report = ran.loaded();
    assert_eq!((&report["loads"][0]["attempts"], &report["parallel"]), (&json!(11), &json!(1)), "{}", ran.stderr);
    assert_eq!(report["slowed"][0]["times"], json!(10));
    nothing_is_lost(&world);
}

#[test]
fn the_deadline_ends_the_patience_and_says_what_slowed_the_job() {
    let world = World::new();
    let ran = load(&world, &refusal("begin", "running_transactions", &json!("always")), &["--deadline", "2"]);
    ran.fails_with(1, "L3008", &["not finished after 2 s", "--deadline", "too many running transactions"]);
    let report = ran.report();
    assert_eq!((&report["state"], &report["rows_loaded"]), (&json!("failed"), &json!(0)));
    assert_eq!(report["slowed"][0]["reason"], json!("too many running transactions"), "{report}");
    assert_eq!(world.number("select count(*) from numbers"), 1.0);
}

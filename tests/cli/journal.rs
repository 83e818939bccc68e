//! The journal through the program: lost answers, damage, other processes, `status`, `resume`, `cancel`, `rejects`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World};

pub(crate) fn rows(count: u32) -> String {
    (0..count).map(|id| format!("{id},\"row {id}\"\n")).fold("id,text\n".to_owned(), |text, row| text + &row)
}

/// Rules for a sandbox, as a file.
fn faults(world: &World, rules: &Value) -> String {
    world.file("faults.json", json!({ "rules": rules }).to_string())
}

#[test]
fn bytes_of_a_load_whose_answer_was_lost_are_counted_as_sent() {
    let world = World::new();
    let made = world.file("made.csv", "id,text\n");
    world.import(&[&made, "--to", "sandbox:demo/t"]);
    let lost = json!([{"at": "answer", "node": "be*", "operation": "stream_load", "do": {"kind": "reset"}}]);
    let sandbox = world.sandbox(&["--faults", &faults(&world, &lost)]);
    let file = world.file("rows.csv", rows(100));
    let report = world.import(&[&file, "--to", &sandbox.target("demo/t")]).loaded();
    assert_eq!(report["bytes_sent"], report["loads"][0]["bytes"], "{report}");
    assert_eq!(world.number("select count(*) from t"), 100.0);
}

/// A prepared table, a sandbox in a process of its own that follows rules, and its target.
pub(crate) fn cluster(rules: &Value) -> (World, Sandbox, String) {
    let world = World::new();
    world.import(&[&world.file("made.csv", "id,text\n0,zero\n"), "--to", "sandbox:demo/t"]).loaded();
    let sandbox = world.sandbox(&["--faults", &faults(&world, rules)]);
    let target = sandbox.target("demo/t");
    (world, sandbox, target)
}

/// Settings under which a hundred thousand rows are a few loads, one after the other.
pub(crate) const SMALL: [&str; 6] = ["--load-size", "256KiB", "--parallel", "1", "--commit", "load"];

pub(crate) fn started(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(&[&["import", "--output", "json"], arguments].concat());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn ended(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap())
}

/// Jobs as `status` has them.
fn jobs(world: &World) -> Vec<Value> {
    let ran = world.run(&["status", "--output", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the newest job is so, and returns it.
pub(crate) fn job_when(world: &World, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(job) = jobs(world).into_iter().next().filter(&is_so) {
            return job;
        }
        thread::yield_now();
    }
}

/// A rule that lets so many loads go by and holds the next one before its body, for as long as its connection lives.
pub(crate) fn hold_from(load: u32) -> Value {
    json!([{"at": "continue", "node": "be*", "operation": "stream_load", "skip": load, "times": 1,
            "do": {"kind": "hold"}}])
}

/// Waits until a rule has struck: a load is written down before its request is on its way, and whoever is killed in between
/// would leave the rule to the next run.
pub(crate) fn when_struck(sandbox: &Sandbox) {
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    loop {
        let output = Command::new("curl").args(["-sS", "-u", "root:", &url]).output().unwrap();
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        if shown["fired_total"].as_u64() > Some(0) {
            return;
        }
    }
}

#[test]
fn status_shows_what_ran_newest_first_and_one_job_with_its_loads() {
    let world = World::new();
    let (one, two) = (world.file("one.csv", "id\n1\n2\n"), world.file("two.csv", "id\nx\n3\n"));
    assert_eq!(world.run(&["status"]).stderr.trim(), "note: the journal knows of no job");
    world.import(&[&one, "--to", "sandbox:demo/a", "--job", "first"]).loaded();
    let rejected = world.import(&[&two, "--to", "sandbox:demo/a", "--job", "second"]);
    assert_eq!(rejected.code, 4, "{rejected:?}");
    let seen = jobs(&world);
    let told = |job: &Value| (job["job"].clone(), job["state"].clone(), job["rows_loaded"].clone());
    assert_eq!(told(&seen[0]), (json!("second"), json!("rejected"), json!(0)));
    assert_eq!(told(&seen[1]), (json!("first"), json!("finished"), json!(2)));
    assert_eq!(seen[1]["loads_by_state"], json!({"visible": 1}));

    let ran = world.run(&["status", "first", "--output", "json"]);
    let job: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&job["loads"][0]["state"], &job["loads"][0]["rows"]), (&json!("visible"), &json!(2)), "{job}");
    assert_eq!(job["report"]["rows_read"], json!(2));
    let text = world.run(&["status", "second"]).stdout;
    for word in ["second: rejected", "sandbox:demo/a", "L2004", "shipload rejects second", "--job second"] {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
    let listing = world.run(&["status"]).stdout;
    assert!(listing.contains("1 visible") && listing.find("second") < listing.find("first"), "{listing}");
    world.run(&["status", "frist"]).fails_with(1, "L3006", &["frist", "did you mean first?"]);
}

#[test]
fn a_killed_import_is_gone_on_with_from_anywhere_and_nothing_is_sent_twice() {
    let (world, sandbox, target) = cluster(&hold_from(2));
    let file = world.file("rows.csv", rows(100_000));
    let secret = target.replace("root@", "root:@");
    let relative = Path::new(&file).file_name().unwrap().to_str().unwrap();
    let mut child = started(&world, &[&[relative, "--to", &secret], &SMALL[..]].concat());
    let job = job_when(&world, |job| job["loads_by_state"] == json!({"sending": 1, "visible": 2}));
    assert_eq!((&job["state"], &job["process"]["pid"]), (&json!("running"), &json!(child.id())), "{job}");
    when_struck(&sandbox);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(jobs(&world)[0]["state"], json!("interrupted"));

    let elsewhere = world.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let ran = Ran::of(world.command(&["resume", "--output", "json"]).current_dir(&elsewhere).output().unwrap());
    let report = ran.loaded();
    assert_eq!((&report["job"], &report["rows_loaded"]), (&job["job"], &json!(100_000)));
    let attempts: Vec<_> = report["loads"].as_array().unwrap().iter().map(|load| &load["attempts"]).collect();
    assert_eq!(attempts[..3], [&json!(0), &json!(0), &json!(1)], "what had landed is not sent again");
    assert_eq!(world.number("select count(distinct id) from t"), 100_000.0);
    assert_eq!(world.number("select count(*) from t"), 100_001.0);

    let again = world.run(&["resume", job["job"].as_str().unwrap()]);
    assert!(again.code == 0 && again.stdout.contains("already loaded on"), "{again:?}");
    assert_eq!(world.run(&["resume"]).stderr.trim(), "note: the journal knows of no unfinished job");
    drop(sandbox);
}

#[test]
fn what_cannot_be_resumed_says_why_and_what_to_do() {
    let (world, _sandbox, target) = cluster(&json!([]));
    let arguments = ["import", "-", "--to", &target, "--job", "piped", "--output", "json"];
    assert_eq!(world.run_with_input(&arguments, b"id,text\n1,a\nx,b\n").code, 4);
    let words = ["piped", "a stream", "| shipload import - --to", "--job piped"];
    world.run(&["resume", "piped"]).fails_with(1, "L3007", &words);

    for name in ["one", "two"] {
        let file = world.file(&format!("{name}.csv"), "id,text\nx,a\n");
        assert_eq!(world.import(&[&file, "--to", &target, "--job", name]).code, 4);
    }
    world.run(&["resume"]).fails_with(1, "L3007", &["several are unfinished", "one (rejected", "two (rejected"]);
    world.file("one.csv", "id,text\n7,a\n");
    world.run(&["resume", "one"]).fails_with(1, "L3002", &["made of other inputs"]);
    world.run(&["resume", "nobody"]).fails_with(1, "L3006", &["nobody", "shipload status"]);
}

#[test]
fn cancel_stops_a_running_import_and_says_what_is_in_the_table() {
    let (world, _sandbox, target) = cluster(&hold_from(2));
    let file = world.file("rows.csv", rows(100_000));
    let child = started(&world, &[&[&file, "--to", &target, "--job", "big"], &SMALL[..]].concat());
    let landed = job_when(&world, |job| job["loads_by_state"] == json!({"sending": 1, "visible": 2}));
    let ran = world.run(&["cancel", "big"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains(&format!("process {} is at it", child.id())), "{ran:?}");
    for word in ["big: cancelled; ", "rows of 2 loads are in starrocks://", "and stay there"] {
        assert!(ran.stdout.contains(word), "`{word}` is missing: {ran:?}");
    }
    ended(child).fails_with(130, "L3003", &["somebody cancelled big"]);
    assert_eq!(world.number("select count(*) from t"), landed["rows_loaded"].as_f64().unwrap() + 1.0);
    assert_eq!(jobs(&world)[0]["state"], json!("cancelled"));

    // It is not taken for forgotten work, and whoever means it goes on with it.
    assert!(world.run(&["resume"]).stderr.contains("no unfinished job"));
    let again = world.run(&["cancel", "big", "--output", "json"]).loaded();
    assert_eq!((&again["state"], &again["in_doubt"]), (&json!("cancelled"), &json!([])));
    assert_eq!(world.run(&["resume", "big", "--output", "json"]).loaded()["rows_loaded"], json!(100_000));
    let over = world.run(&["cancel", "big"]);
    assert!(over.code == 0 && over.stdout.contains("finished before it could be cancelled"), "{over:?}");
    assert_eq!(world.number("select count(*) from t"), 100_001.0);
}

#[test]
fn cancel_settles_what_a_dead_import_left_and_names_what_stays_in_doubt() {
    let held =
        json!([{"at": "commit", "node": "be*", "operation": "stream_load", "do": {"kind": "delay", "ms": 600_000}}]);
    let (world, sandbox, target) = cluster(&held);
    let file = world.file("rows.csv", rows(100));
    let mut child = started(&world, &[&file, "--to", &target, "--job", "left"]);
    job_when(&world, |job| job["loads_by_state"] == json!({"sending": 1}));
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.kill();
    let ran = world.run(&["cancel", "left"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    for word in ["in doubt    shipload-left-", "asking for its state failed", "shipload cluster label shipload-left-"] {
        assert!(ran.stdout.contains(word), "`{word}` is missing: {ran:?}");
    }
    assert!(ran.stdout.contains(&format!("--to {target}")), "{ran:?}");
    assert!(ran.stdout.contains("shipload resume left"), "{ran:?}");

    let port = target.rsplit(':').next().unwrap().split('/').next().unwrap();
    let _sandbox = world.sandbox(&["--fe-port", port]);
    let settled = world.run(&["cancel", "left", "--output", "json"]).loaded();
    assert_eq!((&settled["rows_loaded"], &settled["in_doubt"]), (&json!(0), &json!([])), "{settled}");
    assert_eq!(settled["loads"][0]["state"], json!("aborted"));
    assert_eq!(world.number("select count(*) from t"), 1.0);
}

#[test]
fn rejects_tells_where_how_many_why_and_the_first_of_them() {
    let world = World::new();
    let text = "id,n\n1,one\n2,2\n3,three\n4,99999999999999999999999\n";
    let file = world.file("dirty.csv", text);
    world.import(&[&world.file("made.csv", "id,n\n0,0\n"), "--to", "sandbox:demo/t"]).loaded();
    let ran = world.import(&[&file, "--to", "sandbox:demo/t", "--job", "dirty", "--max-rejects", "9"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let told: Value = world.run(&["rejects", "dirty", "--output", "json"]).loaded();
    assert_eq!((&told["rows"], &told["reasons"][0]["rows"]), (&json!(3), &json!(2)), "{told}");
    let first = &told["first"][0];
    assert_eq!((&first["line"], &first["column"], &first["value"]), (&json!(2), &json!("n"), &json!("one")), "{told}");
    let records = std::fs::read_to_string(told["files"][0]["records"].as_str().unwrap()).unwrap();
    assert_eq!(records, "id,n\n1,one\n3,three\n4,99999999999999999999999\n");
    let shown = world.run(&["rejects", "dirty", "--limit", "1"]).stdout;
    for word in
        ["dirty: 3 rows are rejected", "dirty.csv.rejects.csv", "2 rows  ", "line 2, byte 5, column `n`, value `one`"]
    {
        assert!(shown.contains(word), "`{word}` is missing: {shown}");
    }
    assert!(!shown.contains("line 4"), "{shown}");

    std::fs::remove_dir_all(world.path().join("shipload-rejects")).unwrap();
    world.run(&["rejects", "dirty"]).fails_with(1, "L1001", &["dirty", "shipload-rejects"]);
    let clean = world.file("clean.csv", "id,n\n9,9\n");
    world.import(&[&clean, "--to", "sandbox:demo/t", "--job", "clean"]).loaded();
    assert_eq!(world.run(&["rejects", "clean"]).stdout.trim(), "clean: no row was rejected");
}

#[test]
fn a_load_in_doubt_is_named_with_the_commands_that_settle_it() {
    let lie = json!({"Status": "Success", "Label": "other", "TxnId": 1, "NumberTotalRows": 9, "NumberLoadedRows": 9,
                     "NumberFilteredRows": 0, "NumberUnselectedRows": 0, "LoadBytes": 9});
    let lied = json!([{"at": "answer", "node": "be*", "operation": "stream_load",
                       "do": {"kind": "answer", "status": 200, "body": lie}}]);
    let (world, _sandbox, target) = cluster(&lied);
    let file = world.file("rows.csv", rows(100));
    let ran = world.import(&[&file, "--to", &target, "--job", "odd"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let error = &ran.report()["error"];
    let label = error["label"].as_str().unwrap();
    assert!(label.starts_with("shipload-odd-"), "{error}");
    let ask = format!("shipload cluster label {label} --to {target}");
    assert_eq!(error["commands"], json!([ask, "shipload resume odd"]), "{error}");
    for shown in [world.run(&["status", "odd"]), world.run(&["import", &file, "--to", &target, "--job", "odd"])] {
        assert!(shown.stdout.contains(&format!("settle      {ask}")), "{shown:?}");
    }
    let arguments: Vec<&str> = ask.split(' ').skip(1).collect();
    assert!(world.run(&arguments).stdout.contains("VISIBLE"));
}

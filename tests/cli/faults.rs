//! Faults of the sandbox, from the command line and by curl.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::support::{Sandbox, World};

fn curl(arguments: &[&str]) -> Output {
    Command::new("curl").args(["-sS", "-u", "root:"]).args(arguments).output().expect("curl is needed for this test")
}

fn faults(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let output = curl(&[arguments, &[&format!("http://{}/sandbox/faults", sandbox.frontend)]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn faults_of_a_file_strike_from_the_start_and_are_listed() {
    let world = World::new();
    let document = json!({"seed": 3, "rules": [
        {"id": "broken", "at": "answer", "node": "be1", "operation": "health", "do": {"kind": "truncate"}},
        {"id": "lost", "at": "answer", "node": "be1", "operation": "health", "do": {"kind": "reset"}},
    ]});
    let sandbox = world.sandbox(&["--faults", &world.file("faults.json", document.to_string())]);
    let health = format!("http://{}/api/health", sandbox.backend);
    // curl's own codes: the transfer ended early; the connection was reset.
    for code in [18, 56, 0] {
        let output = curl(&[&health]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    let shown = faults(&sandbox, &[]);
    let rules: Vec<&str> = shown["fired"].as_array().unwrap().iter().filter_map(|one| one["rule"].as_str()).collect();
    assert_eq!(rules, ["broken", "lost"], "{shown}");
    assert_eq!(faults(&sandbox, &["-X", "DELETE"])["fired_total"], 2);
    assert_eq!(faults(&sandbox, &[])["fired_total"], 0);
}

#[test]
fn curl_gives_up_on_a_redirect_that_leads_to_itself() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let document = json!({"rules": [
        {"id": "loop", "at": "head", "operation": "stream_load", "times": "always",
         "do": {"kind": "redirect", "to": "itself"}},
    ]});
    assert_eq!(faults(&sandbox, &["-d", &document.to_string()])["rules"][0]["id"], "loop");
    let url = format!("http://{}/api/demo/t/_stream_load", sandbox.frontend);
    let file = world.file("rows.csv", "1\n");
    let expect = ["-H", "Expect: 100-continue", "-H", "label: l"];
    let output = curl(&[&["--location-trusted", "--max-redirs", "5", "-T", &file], &expect[..], &[&url]].concat());
    assert_eq!(output.status.code(), Some(47), "too many redirects: {output:?}");
    let shown = faults(&sandbox, &[]);
    assert_eq!((&shown["fired_total"], &shown["fired"][0]["label"]), (&json!(6), &json!("l")), "{shown}");
}

#[test]
fn a_wrong_file_of_faults_is_refused_with_its_line_and_what_is_allowed() {
    let world = World::new();
    let file = world.file("faults.json", "{\"rules\": [\n  {\"at\": \"head\", \"do\": {\"kind\": \"rest\"}}\n]}");
    let words = ["faults.json", "line 2, rules[0].do.kind", "did you mean `reset`?", "allowed: delay, reset, close"];
    world.run(&["sandbox", "--faults", &file]).fails_with(2, "L4001", &words);
    world.run(&["sandbox", "--faults", "nowhere.json"]).fails_with(2, "L4001", &["nowhere.json"]);
}

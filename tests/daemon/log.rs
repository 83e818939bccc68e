//! The log, as the machines read it that collect it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::service::{Place, target, wait_for};
use crate::soak::post;

#[test]
fn each_line_for_machines_is_an_object_that_names_what_it_is_about() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &(target("lake", &sandbox) + "[log]\nformat = \"json\"\n"));
    let service = place.start();
    // An answer is lost, so that there is something to say of a load.
    let fault = r#"{"seed": 1, "rules": [{"at": "answer", "node": "be*", "operation": "stream_load", "times": 1, "do": {"kind": "reset"}}]}"#;
    assert_eq!(post(&sandbox.frontend, "/sandbox/faults", "", fault), Some(200));
    let begin = |name: &str, from: u64| {
        let file = place.rows(name, from, 1000);
        service.begin(&json!({"sources": [file], "database": "demo", "table": "t", "create_table": true}))
    };
    let (first, second) = (begin("a.csv", 0), begin("b.csv", 1000));
    assert_eq!((service.end_of(&first).as_str(), service.end_of(&second).as_str()), ("finished", "finished"));
    let jobs: BTreeSet<(String, String)> =
        [&first, &second].map(|id| (id.clone(), service.job(id)["job"].as_str().unwrap().to_owned())).into();
    let lines = wait_for("the ends of both jobs in the log", || {
        let text = service.log();
        // What is being written has no end yet.
        let whole = &text[..text.rfind('\n')?];
        let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ends = lines.iter().filter(|line| line["message"] == "the job has ended").count();
        (ends == 2).then_some(lines)
    });
    for line in &lines {
        let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}")).to_owned();
        assert!(text("time").ends_with('Z') && !text("message").is_empty() && text("target").starts_with("shipload"));
        assert!(["error", "warn", "info"].contains(&text("level").as_str()), "{line}");
        // Whatever names a load names its job, and that one its request.
        if !line["label"].is_null() {
            assert!(text("label").starts_with("shipload") && jobs.contains(&(text("id"), text("job"))), "{line}");
        } else if !line["job"].is_null() {
            assert!(jobs.contains(&(text("id"), text("job"))), "{line}");
        }
    }
    let about = |name: &str| lines.iter().filter(|line| !line[name].is_null()).count();
    assert!(about("label") >= 1 && about("job") >= 2 && about("id") >= 4, "{lines:?}");
}

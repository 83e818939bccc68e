//! The journal through the program: lost answers, damage, other processes, `status`, `resume`, `cancel`, `rejects`.

use serde_json::{Value, json};

use super::support::World;

fn rows(count: u32) -> String {
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

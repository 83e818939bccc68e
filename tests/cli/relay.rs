//! Records of CSV that travel as they are, checked or not: the same table either way, and wrong values refused by somebody.

use std::fs;

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World, example};

struct Place {
    world: World,
    sandbox: Sandbox,
}

impl Place {
    fn new() -> Self {
        let world = World::new();
        let sandbox = world.sandbox(&[]);
        Self { world, sandbox }
    }

    fn import(&self, file: &str, table: &str, more: &[&str]) -> Ran {
        let (target, port) = (self.sandbox.target(&format!("demo/{table}")), self.sandbox.mysql_port());
        let fixed = [file, "--to", &target, "--mysql-port", &port, "--create-table", "--commit", "load"];
        self.world.import(&[&fixed[..], more].concat())
    }

    fn all(&self, table: &str) -> Vec<Value> {
        self.world.rows("demo", &format!("select * from {table} order by 1, 2"))
    }
}

fn relay(ran: &Ran) -> Value {
    ran.report()["inputs"][0]["relay"].clone()
}

#[test]
fn an_unchecked_file_is_the_same_table() {
    let place = Place::new();
    let flights = example("airports.csv").display().to_string();
    let checked = place.import(&flights, "checked", &[]);
    checked.loaded();
    assert_eq!(relay(&checked), json!("checked"));
    let unchecked = place.import(&flights, "unchecked", &["--check", "none", "--load-size", "16KiB"]);
    unchecked.loaded();
    assert_eq!(relay(&unchecked), json!("unchecked"));
    let rows = place.all("checked");
    assert_eq!(rows.len(), 3376);
    assert_eq!(rows, place.all("unchecked"));
}

#[test]
fn what_the_check_would_have_found_the_server_finds_and_the_row_is_set_aside() {
    let place = Place::new();
    place.world.file("first.csv", "id,n\n0,1\n");
    place.import("first.csv", "t", &[]).loaded();
    let rows: String =
        (1..=5000).map(|id| format!("{id},{}\n", if id == 3210 { "many".into() } else { id.to_string() })).collect();
    place.world.file("t.csv", format!("id,n\n{rows}"));
    let refused = place.import("t.csv", "t", &["--check", "none", "--max-rejects", "1"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert_eq!(relay(&refused), json!("unchecked"));
    let folder = place.world.path().join(refused.report()["rejects"].as_str().unwrap());
    assert_eq!(fs::read_to_string(folder.join("t.csv.rejects.csv")).unwrap(), "id,n\n3210,many\n");
    let reasons = fs::read_to_string(folder.join("t.csv.reasons.jsonl")).unwrap();
    let reason: Value = serde_json::from_str(reasons.lines().next().unwrap()).unwrap();
    assert_eq!(reason["line"], 3211, "{reason}");
    assert_eq!(place.all("t").len(), 5000, "the first file's row, and all but one of these");
}

#[test]
fn a_file_that_cannot_travel_unseen_is_checked_and_that_is_said() {
    let place = Place::new();
    place.world.file("s.csv", "id;n\n0;1\n1;\n");
    let ran = place.import("s.csv", "s", &["--check", "none"]);
    ran.loaded();
    assert_eq!(relay(&ran), json!("checked"));
    assert!(ran.stderr.contains("--check none: s.csv: every value is checked all the same"), "{}", ran.stderr);
    assert_eq!(place.all("s"), [json!({"id": 0, "n": 1}), json!({"id": 1, "n": null})]);
}

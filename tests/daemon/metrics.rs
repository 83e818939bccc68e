//! What the example dashboard and alerts ask for is what the service shows, and Prometheus' own tool takes all of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::service::{Place, target};

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// The names of metrics in a text: ours and those of the process.
fn names(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c: char| !is_word(c));
    let ours = words.filter(|word| word.starts_with("shipload_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

/// What the service shows: with what histograms are made of.
fn shown(metrics: &str) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        if kind == "histogram" {
            shown.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        } else {
            shown.insert(name.to_owned());
        }
    }
    shown
}

/// Runs promtool; none where it is not installed, which is said aloud.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        #[expect(clippy::print_stderr, reason = "whoever reads the log of a run sees what was not tested")]
        {
            eprintln!("NOT TESTED: promtool is not installed; nobody else has looked at the metrics and the rules");
        }
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are_and_promtool_takes_them() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let file = place.rows("a.csv", 0, 1000);
    let id = service.begin(&json!({"sources": [file], "database": "demo", "table": "t", "create_table": true}));
    assert_eq!(service.end_of(&id), "finished");
    service.get("/nothing").of(404);
    let metrics = service.get("/metrics").of(200).text();
    let shown = shown(&metrics);
    for name in ["prometheus/shipload.rules.yml", "grafana/shipload.json"] {
        let asked = names(&fs::read_to_string(config(name)).unwrap());
        assert!(asked.len() > 5, "{name}: {asked:?}");
        let foreign: Vec<_> = asked.difference(&shown).collect();
        assert!(foreign.is_empty(), "{name} asks for {foreign:?}");
    }
    let rules = config("prometheus/shipload.rules.yml").display().to_string();
    for (arguments, input) in [(vec!["check", "metrics"], metrics.as_str()), (vec!["check", "rules", &rules], "")] {
        let Some(output) = promtool(&arguments, input) else { return };
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

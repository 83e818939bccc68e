//! Where the time of an import went, and how its bodies were compressed.

use std::io::Write as _;

use serde_json::{Value, json};

use super::support::World;

/// Rows in files of their own behind each other, as `bgzip` and `cat` make them: more parts than are read at one time.
fn many_members(rows: u64) -> Vec<u8> {
    let line = |row: u64| format!("{row},{}\n", row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let member = |text: &str| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let mut file = member("id,name\n");
    for start in (0..rows).step_by(5000) {
        file.extend(member(&(start..rows.min(start + 5000)).map(line).collect::<String>()));
    }
    file
}

fn stages(report: &Value) -> Vec<&str> {
    report["profile"]["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect()
}

#[test]
fn a_report_says_where_the_time_went() {
    let world = World::new();
    let file = world.file("many.csv.gz", many_members(120_000));
    let report = world.import(&[&file, "--to", "sandbox:demo/many"]).loaded();
    assert_eq!(report["rows_loaded"], json!(120_000));
    assert_eq!(world.number("select count(distinct name) n from many"), 120_000.0);
    assert_eq!(stages(&report), ["source", "decompressor", "reader", "workers", "assembly", "target"], "{report}");
    for stage in report["profile"]["stages"].as_array().unwrap() {
        assert!(stage["busy_seconds"].as_f64().unwrap() > 0.0, "{stage}");
    }
    let phases: Vec<&Value> = report["profile"]["server"].as_array().unwrap().iter().map(|of| &of["phase"]).collect();
    assert!(phases.contains(&&json!("LoadTimeMs")), "{report}");
    assert!(!report["profile"]["advice"].as_str().unwrap().is_empty());
    assert_eq!(report["compression"], json!({"codec": "none", "reason": "the target is on this machine"}));
}

#[test]
fn people_are_shown_the_profile_when_they_ask() {
    let world = World::new();
    let file = world.file("people.csv", "id\n1\n");
    let ran = world.run(&["import", &file, "--to", "sandbox:demo/people", "--profile", "--compression", "zstd"]);
    for words in ["stage         threads", "\n  reader ", "\n  target ", "\n  limit ", "\n  would help "] {
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
    }
    let ran = world.run(&["import", &file, "--to", "sandbox:demo/people", "--again"]);
    assert!(!ran.stdout.contains("would help"), "{}", ran.stdout);
}

//! Many jobs at once: one memory, and no target in the way of another.

use std::thread;

use serde_json::{Value, json};

use crate::service::{Place, Service, csv, target, wait_for};
use crate::support::Sandbox;

/// What the unit tells the allocator.
fn variable_of_the_unit() -> (&'static str, &'static str) {
    let unit = include_str!("../../systemd/shipload.service");
    let variable = unit.lines().find_map(|line| line.strip_prefix("Environment=")).unwrap();
    variable.split_once('=').unwrap()
}

/// Has four jobs and four uploads of this service bring so many rows each into one table at once, and looks at something
/// `meanwhile`. Every row comes, once, within 256 MiB.
fn eight_at_once(
    (place, sandbox, service): (&Place, &Sandbox, &Service),
    rows: u64,
    max_rate: Option<&str>,
    meanwhile: impl FnOnce(),
) {
    let first = place.rows("first.csv", 0, 10);
    let made = service.begin(&json!({"sources": [first], "database": "demo", "table": "t", "create_table": true}));
    assert_eq!(service.end_of(&made), "finished");
    let begin = |number: u64| {
        let file = place.rows(&format!("{number}.csv"), 1_000_000 * number, rows);
        let mut job = json!({"sources": [file], "database": "demo", "table": "t"});
        if let Some(rate) = max_rate {
            job["max_rate"] = rate.into();
        }
        service.begin(&job)
    };
    let jobs: Vec<String> = (1..=4).map(begin).collect();
    thread::scope(|scope| {
        for number in 5..=8 {
            scope.spawn(move || {
                let query = max_rate.map(|rate| format!("?max_rate={rate}")).unwrap_or_default();
                let (path, body) = (format!("/v1/load/demo/t{query}"), csv(1_000_000 * number, rows));
                let answer = service.ask("PUT", &path, &[("Content-Type", "text/csv")], body.as_bytes());
                assert_eq!(answer.of(200).json()["rows_loaded"], rows);
            });
        }
        meanwhile();
    });
    for id in &jobs {
        assert_eq!(service.end_of(id), "finished", "{}", service.job(id));
    }
    assert_eq!(place.counts(sandbox, "t"), (8 * rows + 10, 8 * rows + 10));
    assert!(service.peak_bytes() < 256 << 20, "MEM-1: {} MiB", service.peak_bytes() >> 20);
    let granted = service.metric("shipload_memory_bytes{of=\"granted\"}");
    assert_eq!(granted, 0.0, "everything came back");
}

#[test]
fn eight_jobs_and_uploads_at_once_stay_within_the_memory_and_all_come_to_their_end() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    eight_at_once((&place, &sandbox, &place.start()), 60_000, None, || {});
}

#[test]
fn eight_small_shares_are_eight_jobs_at_once_and_each_gets_on() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let shares = "job_memory = \"24MiB\"\nbatch_memory = \"20MiB\"\nload_size = \"1MiB\"";
    place.configure_jobs("", shares, &target("lake", &sandbox));
    let service = place.start_with(&[variable_of_the_unit()]);
    // Each takes its time, so that none is over before the last one has begun.
    eight_at_once((&place, &sandbox, &service), 100_000, Some("500kB"), || {
        wait_for("all eight to get on side by side", || {
            let running = service.get("/v1/jobs?state=running").of(200).json();
            let running = running["jobs"].as_array().unwrap().clone();
            let got_on = running.iter().filter(|job| job["progress"]["rows_loaded"].as_u64() > Some(0)).count();
            (got_on == 8).then_some(())
        });
    });
}

#[test]
fn a_target_that_stalls_does_not_stall_jobs_to_another_one() {
    let place = Place::new();
    let other = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let stalled = other.world.sandbox(&[]);
    place.configure("", &(target("lake", &sandbox) + &target("stalled", &stalled)));
    let service = place.start();
    // The server stands still from its first load on.
    let table = place.rows("first.csv", 0, 10);
    let made = |target: &str| {
        let job = json!({"sources": [table], "database": "demo", "table": "t", "create_table": true, "target": target});
        let id = service.begin(&job);
        assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    };
    made("lake");
    made("stalled");
    stalled.signal("STOP");
    let stuck: Vec<String> = (0..12_u64)
        .map(|number| {
            let file = place.rows(&format!("stuck-{number}.csv"), 1_000_000 * (number + 1), 1000);
            service.begin(&json!({"sources": [file], "database": "demo", "table": "t", "target": "stalled"}))
        })
        .collect();
    let state = |id: &String| service.job(id)["state"].clone();
    wait_for("the stalled ones to take what they get", || {
        (stuck.iter().filter(|id| state(id) == "running").count() >= 3).then_some(())
    });
    assert!(stuck.iter().any(|id| state(id) == "waiting"), "the memory does not hold all of them");
    for number in 0..4_u64 {
        let file = place.rows(&format!("free-{number}.csv"), 1_000_000 * (number + 1), 1000);
        let id = service.begin(&json!({"sources": [file], "database": "demo", "table": "t", "target": "lake"}));
        assert_eq!(service.end_of(&id), "finished");
    }
    assert!(stuck.iter().all(|id| ["running", "waiting"].map(Value::from).contains(&state(id))));
    assert_eq!(place.counts(&sandbox, "t"), (4010, 4010));
    stalled.signal("CONT");
    for id in &stuck {
        assert_eq!(service.end_of(id), "finished", "{}", service.job(id));
    }
    assert_eq!(other.counts(&stalled, "t"), (12_010, 12_010));
}

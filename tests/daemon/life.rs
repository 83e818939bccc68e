//! The whole life of a service.

use serde_json::json;

use crate::service::{Place, csv, target, wait_for};

#[test]
fn a_service_lives_loads_is_killed_goes_on_and_comes_to_a_clean_end() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    service.get("/health").of(200);
    assert_eq!(service.get("/ready").of(200).text(), "{}");

    // A job by the API, twice: the second finds everything loaded.
    let file = place.rows("a.csv", 0, 50_000);
    let job = json!({"sources": [file], "database": "demo", "table": "t", "create_table": true});
    let id = service.begin(&job);
    assert_eq!(service.end_of(&id), "finished", "{}\n{}", service.job(&id), service.log());
    let report = service.get(&format!("/v1/jobs/{id}/report")).of(200).json();
    assert_eq!(report["rows_loaded"], 50_000);
    assert_eq!(place.counts(&sandbox, "t"), (50_000, 50_000));
    let again = service.begin(&job);
    assert_eq!(service.end_of(&again), "already_loaded");

    // An upload by curl, twice under one key.
    let body = place.world.file("up.csv", csv(50_000, 30_000));
    for _ in 0..2 {
        let curl = std::process::Command::new("curl")
            .args(["-sS", "-T", &body, "-H", "Idempotency-Key: up-1", "-H", "Content-Type: text/csv"])
            .arg(format!("http://{}/v1/load/demo/t", service.address))
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&curl.stdout).unwrap_or_else(|_| panic!("{curl:?}"));
        assert_eq!(report["rows_loaded"], 30_000, "{report}");
    }
    assert_eq!(place.counts(&sandbox, "t"), (80_000, 80_000));

    // What was counted.
    assert_eq!(service.metric("shipload_rows_total{target=\"lake\",outcome=\"loaded\"}"), 80_000.0);
    assert_eq!(service.metric("shipload_jobs_total{target=\"lake\",outcome=\"finished\"}"), 2.0);
    assert_eq!(service.metric("shipload_jobs_total{target=\"lake\",outcome=\"already_loaded\"}"), 2.0);
    assert!(service.metric("shipload_phase_seconds_count{target=\"lake\",phase=\"attempt\"}") >= 2.0);

    // SIGHUP takes over what it can, and says what it cannot.
    place.configure(
        "connections_max = 99",
        &format!("running_max = 3\n{}\n[log]\nformat = \"json\"", target("lake", &sandbox)),
    );
    service.signal("-HUP");
    wait_for("the reload", || service.get("/config").text().contains("connections_max = 99").then_some(()));
    assert!(service.get("/config").text().contains("format = \"text\""), "that needs a restart");
    wait_for("the log line", || {
        service.log().contains("need a restart, and stay what they were: log.format").then_some(())
    });

    // Killed in the middle of a job, and started again.
    let slow = place.rows("slow.csv", 80_000, 60_000);
    let id = service.begin(&json!({"sources": [slow], "database": "demo", "table": "t", "max_rate": "1MB"}));
    wait_for("a part of it", || {
        let job = service.job(&id);
        assert_ne!(job["state"], "finished", "it is too fast for this test");
        (job["progress"]["rows_loaded"].as_u64().unwrap_or(0) > 0).then_some(())
    });
    service.kill();
    let service = place.start();
    assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    assert_eq!(place.counts(&sandbox, "t"), (140_000, 140_000));
    assert_eq!(service.end_of("key-up-1"), "already_loaded", "what had ended is remembered");

    // Drained in the middle of a job, and started again.
    let slow = place.rows("drained.csv", 140_000, 60_000);
    let id = service.begin(&json!({"sources": [slow], "database": "demo", "table": "t", "max_rate": "1MB"}));
    wait_for("a part of it", || (service.job(&id)["progress"]["rows_loaded"].as_u64()? > 0).then_some(()));
    assert_eq!(service.stop(), 0);
    let (before, _) = place.counts(&sandbox, "t");
    assert!(before < 200_000, "it is too fast for this test");
    let service = place.start();
    assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    assert_eq!(place.counts(&sandbox, "t"), (200_000, 200_000));
    assert_eq!(service.stop(), 0);
}

#[test]
fn the_command_line_goes_on_with_a_job_of_a_service_that_is_gone_and_the_next_one_knows() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let file = place.rows("a.csv", 0, 60_000);
    let job = json!({"sources": [file], "database": "demo", "table": "t", "create_table": true, "max_rate": "1MB"});
    let id = service.begin(&job);
    let name = wait_for("a part of it", || {
        let job = service.job(&id);
        (job["progress"]["rows_loaded"].as_u64()? > 0).then(|| job["job"].as_str().unwrap().to_owned())
    });
    // Two services on one folder would be two drivers of each job.
    let second = place.command(&["serve", "--config", "shipload.toml"]).output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        second.status.code() == Some(1) && words.contains("error[L3010]: another service has the folder"),
        "{words}"
    );
    service.kill();
    let state = place.world.path().join("state").display().to_string();
    let ran = place.world.run(&["resume", &name, "--state-dir", &state, "--output", "json"]);
    assert_eq!(ran.loaded()["rows_loaded"], 60_000);
    assert_eq!(place.counts(&sandbox, "t"), (60_000, 60_000));
    let service = place.start();
    assert_eq!(service.end_of(&id), "already_loaded");
    assert_eq!(service.job(&name)["id"], id.as_str(), "it is found by the name of its job, too");
    assert_eq!(place.counts(&sandbox, "t"), (60_000, 60_000));
}

#[test]
fn a_job_that_is_cancelled_stops_and_goes_on_when_it_is_resumed() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let file = place.rows("a.csv", 0, 60_000);
    let job = json!({"sources": [file], "database": "demo", "table": "t", "create_table": true, "max_rate": "1MB", "commit": "load"});
    let id = service.begin(&job);
    wait_for("a part of it", || (service.job(&id)["progress"]["rows_loaded"].as_u64()? > 0).then_some(()));
    service.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).of(202);
    assert_eq!(service.end_of(&id), "cancelled");
    let (rows, _) = place.counts(&sandbox, "t");
    assert!(rows > 0 && rows < 60_000, "{rows}");
    service.kill();
    let service = place.start();
    assert_eq!(service.job(&id)["state"], "cancelled", "the next service leaves it alone");
    service.post(&format!("/v1/jobs/{id}/resume"), &json!({})).of(202);
    assert_eq!(service.end_of(&id), "finished");
    assert_eq!(place.counts(&sandbox, "t"), (60_000, 60_000));
}

#[test]
fn a_configuration_is_checked_and_shown() {
    let place = Place::new();
    let config = |verb: &str| place.command(&["config", verb, "--config", "shipload.toml"]).output().unwrap();
    place.configure("", "[targets.lake]\naddress = \"starrocks://u@fe\"\npassword = \"hush\"");
    let shown = config("show");
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.contains("password = \"***\"") && !text.contains("hush"), "{text}");
    assert!(config("check").status.success());
    place.configure("lisen = 1", "[target.lake]");
    let checked = config("check");
    let words = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(2), "{words}");
    assert!(words.contains("shipload.toml, line 3: there is no key `lisen`"), "{words}");
    assert!(words.contains("there is no section [target]") && words.contains("did you mean `targets`?"), "{words}");
}

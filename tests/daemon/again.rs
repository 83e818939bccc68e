//! Targets that are away for a while: jobs wait for them by themselves.

use serde_json::{Value, json};

use crate::service::{Place, target, wait_for};
use crate::support::Sandbox;

/// The ports of a sandbox, to start it there once more.
fn ports(sandbox: &Sandbox) -> Vec<String> {
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let (frontend, backend, mysql) = (port(&sandbox.frontend), port(&sandbox.backend), sandbox.mysql_port());
    ["--fe-port", &frontend, "--be-port", &backend, "--mysql-port", &mysql].map(str::to_owned).to_vec()
}

fn start(place: &Place, ports: &[String]) -> Sandbox {
    place.world.sandbox(&ports.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_job_whose_target_is_away_is_tried_again_until_it_is_there_also_by_the_next_service() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let ports = ports(&sandbox);
    place.configure("", &target("lake", &sandbox));
    sandbox.kill();
    let service = place.start();
    let begin = |name: &str, from: u64| {
        let file = place.rows(name, from, 1000);
        let settings =
            json!({"sources": [file], "database": "demo", "table": "t", "create_table": true, "load_timeout": 5});
        service.begin(&settings)
    };
    let (wanted, unwanted) = (begin("wanted.csv", 0), begin("unwanted.csv", 1000));
    for id in [&wanted, &unwanted] {
        let job = wait_for("its first try", || Some(service.job(id)).filter(|job| job["tries"].is_u64()));
        assert_eq!((job["state"].as_str(), job["error"]["code"].as_str()), (Some("waiting"), Some("L2001")), "{job}");
        assert!(job["next_try_at"].as_str() > job["accepted_at"].as_str() && job["progress"].is_null(), "{job}");
    }
    assert!(service.metric("shipload_jobs_put_off_total{target=\"lake\",code=\"L2001\"}") >= 2.0);
    assert_eq!(service.metric("shipload_jobs{state=\"waiting\"}"), 2.0);

    // One of them is cancelled meanwhile, and stays so.
    service.post(&format!("/v1/jobs/{unwanted}/cancel"), &Value::Null).of(202);
    assert_eq!(service.end_of(&unwanted), "cancelled");
    assert_eq!(service.job(&unwanted)["error"]["code"], "L2001");

    // The other one belongs to the next service, which waits as well.
    assert_eq!(service.stop(), 0);
    let service = place.start();
    wait_for("its next try", || Some(service.job(&wanted)).filter(|job| job["tries"].is_u64()));
    assert_eq!(service.job(&unwanted)["state"], "cancelled");
    let sandbox = start(&place, &ports);
    assert_eq!(service.end_of(&wanted), "finished", "{}", service.job(&wanted));
    let job = service.job(&wanted);
    assert!(job["tries"].is_null() && job["next_try_at"].is_null() && job["error"].is_null(), "{job}");
    assert_eq!(place.counts(&sandbox, "t"), (1000, 1000));
}

#[test]
fn a_cluster_that_goes_away_half_way_is_waited_for_and_every_row_is_there_once() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let ports = ports(&sandbox);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let file = place.rows("a.csv", 0, 120_000);
    let id = service.begin(&json!({
        "sources": [file], "database": "demo", "table": "t", "create_table": true, "max_rate": "1MB", "commit": "load",
    }));
    wait_for("a part of it", || (service.job(&id)["progress"]["rows_loaded"].as_u64()? > 0).then_some(()));
    sandbox.kill();
    wait_for("the end of its first try", || Some(service.job(&id)).filter(|job| job["tries"].is_u64()));
    let sandbox = start(&place, &ports);
    // Whoever does not want to wait for the next try need not.
    let job = service.post(&format!("/v1/jobs/{id}/resume"), &Value::Null).of(202).json();
    assert_eq!(job["id"], id.as_str());
    assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    assert_eq!(place.counts(&sandbox, "t"), (120_000, 120_000));
}

#[test]
fn whoever_wants_no_second_try_is_told_of_the_first() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &("retry_for = \"0\"\n".to_owned() + &target("lake", &sandbox)));
    sandbox.kill();
    let service = place.start();
    let file = place.rows("a.csv", 0, 10);
    let id = service.begin(&json!({"sources": [file], "database": "demo", "table": "t"}));
    assert_eq!(service.end_of(&id), "failed");
}

//! Uploads that are turned away for now: each is told so before it has sent anything, and when to come back.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::service::{Answer, Place, Service, csv, read_answer, target, wait_for};
use crate::soak::post;
use crate::support::Sandbox;

/// Asks for an upload as a careful caller does, who sends nothing before he is told to go on.
fn ask(service: &Service, key: &str) -> Answer {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = format!(
        "PUT /v1/load/demo/t HTTP/1.1\r\nHost: {}\r\nIdempotency-Key: {key}\r\nExpect: 100-continue\r\n\
         Content-Type: text/csv\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n",
        service.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    read_answer(stream)
}

#[track_caller]
fn turned_away(answer: Answer, code: &str, what: &str) {
    let answer = answer.of(503);
    assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok()), "{}", answer.head);
    let document = answer.json();
    let detail = document["detail"].as_str().unwrap_or_default();
    assert!(document["code"] == code && detail.contains(what) && document["hint"].is_string(), "{document}");
}

/// A service whose target stands still, with one upload that has begun.
fn stalled(place: &Place, sandbox: &Sandbox, jobs: &str, uploads: &str) -> (Service, TcpStream) {
    place.configure_jobs("", jobs, &format!("{}[uploads]\n{uploads}\n", target("lake", sandbox)));
    let service = place.start();
    service.ask("PUT", "/v1/load/demo/t?create_table=true", &[], csv(0, 1).as_bytes()).of(200);
    // The load is slow to begin, so that it is under way when the cluster stops.
    let slow = r#"{"seed": 1, "rules": [{"at": "head", "node": "be*", "operation": "stream_load", "times": 1, "do": {"kind": "delay", "ms": 2000}}]}"#;
    assert_eq!(post(&sandbox.frontend, "/sandbox/faults", "", slow), Some(200));
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let text = csv(1, 1000);
    let head = format!(
        "PUT /v1/load/demo/t HTTP/1.1\r\nHost: {}\r\nIdempotency-Key: first\r\nContent-Type: text/csv\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        service.address,
        text.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    wait_for("the first upload's load to be under way", || {
        let job = service.get("/v1/jobs/key-first").json();
        (job["progress"]["loads_in_flight"] == 1).then_some(())
    });
    sandbox.signal("STOP");
    (service, stream)
}

const SMALL: &str = "job_memory = \"44MiB\"\nload_size = \"1MiB\"";

#[test]
fn beyond_the_uploads_at_one_time_one_is_told_to_come_back() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let (service, first) = stalled(&place, &sandbox, SMALL, "running_max = 1");
    turned_away(ask(&service, "second"), "L4024", "1 uploads are at work already");
    assert_eq!(service.metric("shipload_http_refused_total{code=\"L4024\"}"), 1.0);
    sandbox.signal("CONT");
    read_answer(first).of(200);
    assert_eq!(place.counts(&sandbox, "t"), (1001, 1001));
}

#[test]
fn an_upload_that_gets_no_memory_in_time_is_told_to_come_back() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    // One share is all there is.
    let (service, first) = stalled(&place, &sandbox, "job_memory = \"190MiB\"", "wait_max = \"200ms\"");
    turned_away(ask(&service, "second"), "L4024", "no memory came free within");
    assert_eq!(service.end_of("key-second"), "interrupted");
    sandbox.signal("CONT");
    read_answer(first).of(200);
    // It comes back under the same key.
    let headers = [("Idempotency-Key", "second"), ("Content-Type", "text/csv")];
    service.ask("PUT", "/v1/load/demo/t", &headers, csv(2000, 10).as_bytes()).of(200);
    assert_eq!(place.counts(&sandbox, "t"), (1011, 1011));
}

#[test]
fn a_service_that_drains_takes_nothing_new_and_brings_what_it_has_to_its_end() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let (service, first) = stalled(&place, &sandbox, SMALL, "");
    service.signal("-TERM");
    wait_for("the drain", || (service.get("/ready").status == 503).then_some(()));
    turned_away(ask(&service, "second"), "L3011", "stopping");
    let job = json!({"sources": ["/x"], "database": "demo", "table": "t"});
    assert_eq!(service.post("/v1/jobs", &job).of(503).json()["code"], "L3011");
    service.get("/health").of(200);
    sandbox.signal("CONT");
    read_answer(first).of(200);
    assert_eq!(service.end(), 0);
    assert_eq!(place.counts(&sandbox, "t"), (1001, 1001));
}

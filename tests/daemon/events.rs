//! Server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::service::{Place, Service, target};

/// A listener: its events, one after the other.
fn listen(service: &Service, headers: &str, query: &str) -> impl Iterator<Item = (String, String, Value)> + use<> {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
    write!(stream, "GET /v1/events{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", service.address).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains("200 OK"));
    let mut event = (String::new(), String::new());
    lines.filter_map(move |line| {
        if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut event.0);
        }
        if let Some(kind) = line.strip_prefix("event: ") {
            kind.clone_into(&mut event.1);
        }
        let data = line.strip_prefix("data: ")?;
        Some((event.0.clone(), event.1.clone(), serde_json::from_str(data).unwrap()))
    })
}

#[test]
fn listeners_hear_what_happens_to_jobs_and_what_they_missed() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let service = place.start();
    let mut events = listen(&service, "", "");
    let file = place.rows("a.csv", 0, 60_000);
    let job = json!({"sources": [file], "database": "demo", "table": "t", "create_table": true, "max_rate": "1MB"});
    let id = service.begin(&job);
    let (mut states, mut progress, mut last) = (Vec::new(), 0, String::new());
    for (number, kind, content) in &mut events {
        assert_eq!(content["id"], id.as_str());
        progress += u32::from(kind == "progress");
        if kind == "job" {
            states.push(content["state"].as_str().unwrap().to_owned());
            if states.len() == 1 {
                last = number;
            }
            if content["state"] == "finished" {
                break;
            }
        }
    }
    assert_eq!(states, ["waiting", "running", "finished"]);
    assert!(progress > 0, "it took longer than a second");
    // Whoever comes back hears what it missed.
    let missed: Vec<_> = listen(&service, &format!("Last-Event-ID: {last}\r\n"), "").take(2).collect();
    assert_eq!(missed.iter().map(|event| &event.2["state"]).collect::<Vec<_>>(), ["running", "finished"]);
    // Whoever wants to hear of one job hears of no other.
    let other = service.begin(&json!({"sources": [place.rows("b.csv", 0, 10)], "database": "demo", "table": "t"}));
    let mut only = listen(&service, "Last-Event-ID: 0\r\n", &format!("?job={other}"));
    assert_eq!(only.next().unwrap().2["id"], other.as_str());
    // Listeners do not keep a service from stopping.
    assert_eq!(service.stop(), 0);
}

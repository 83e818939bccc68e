//! Traces, as a collector gets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::protobuf::Message;
use crate::service::{Place, target, wait_for};
use crate::soak::post;

/// A span, as far as it matters here.
#[derive(Clone, Debug)]
struct Span {
    id: Vec<u8>,
    parent: Vec<u8>,
    trace: Vec<u8>,
    name: String,
    says: BTreeMap<String, String>,
    events: usize,
    failed: bool,
}

/// A collector that keeps what it gets.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let kept = Arc::clone(&spans);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let body = taken(stream);
                kept.lock().unwrap().extend(spans_of(&Message::read(&body)));
            }
        });
        Self { address, spans }
    }

    fn named(&self, name: &str) -> Vec<Span> {
        self.spans.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }
}

/// Reads a request, answers it, and returns its body.
fn taken(mut stream: TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n") && head.contains("application/x-protobuf"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    body
}

fn spans_of(request: &Message) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in request.messages(1) {
        let said = says(&resource.messages(1)[0], 1);
        assert_eq!(said.get("service.name").map(String::as_str), Some("shipload"), "{said:?}");
        for span in resource.messages(2).iter().flat_map(|scope| scope.messages(2)) {
            let id = |field| span.bytes(field).into_iter().next().unwrap_or_default();
            let (start, end) = (span.number(7).unwrap(), span.number(8).unwrap());
            assert!(start > 0 && end >= start);
            found.push(Span {
                id: id(2),
                parent: id(4),
                trace: id(1),
                name: span.texts(5).concat(),
                says: says(&span, 9),
                events: span.messages(11).len(),
                failed: span.messages(15).iter().any(|status| status.number(3) == Some(2)),
            });
        }
    }
    found
}

/// The attributes of a message, as texts.
fn says(message: &Message, field: u64) -> BTreeMap<String, String> {
    let pair = |pair: Message| {
        let value = &pair.messages(2)[0];
        let number = || value.number(3).map(|number| number.to_string());
        (pair.texts(1).concat(), value.texts(1).first().cloned().or_else(number).unwrap_or_default())
    };
    message.messages(field).into_iter().map(pair).collect()
}

#[test]
fn a_job_its_loads_and_their_attempts_are_one_trace() {
    let collector = Collector::start();
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let traces = format!("[traces]\nendpoint = \"http://{}\"\n[log]\nlevel = \"error\"\n", collector.address);
    place.configure("", &(target("lake", &sandbox) + &traces));
    let service = place.start();
    // One attempt is lost, and made again.
    let fault = r#"{"seed": 1, "rules": [{"at": "head", "node": "be*", "operation": "stream_load", "times": 1, "do": {"kind": "reset"}}]}"#;
    assert_eq!(post(&sandbox.frontend, "/sandbox/faults", "", fault), Some(200));
    let file = place.rows("a.csv", 0, 60_000);
    let id = service.begin(&json!({
        "sources": [file], "database": "demo", "table": "t", "create_table": true, "commit": "load",
    }));
    assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    let (known, bad) = (service.job(&id), place.world.file("in/bad.csv", "id,name\nnonsense,x\n"));
    let bad = std::fs::canonicalize(bad).unwrap();
    let bad = service.begin(&json!({"sources": [bad], "database": "demo", "table": "t"}));
    assert_eq!(service.end_of(&bad), "rejected");
    let report = service.get(&format!("/v1/jobs/{id}/report")).of(200).json();
    // What is not sent yet is sent at the end.
    assert_eq!(service.stop(), 0);
    wait_for("both jobs", || (collector.named("job").len() == 2).then_some(()));

    let (jobs, loads, attempts) = (collector.named("job"), collector.named("load"), collector.named("attempt"));
    let said = |span: &Span, name: &str| span.says.get(name).cloned().unwrap_or_default();
    let job = jobs.iter().find(|job| said(job, "id") == id).unwrap();
    assert!(job.parent.is_empty() && !job.failed && job.trace.len() == 16, "{job:?}");
    for (name, value) in [
        ("job", known["job"].as_str().unwrap()),
        ("target", "lake"),
        ("database", "demo"),
        ("table", "t"),
        ("rows_loaded", "60000"),
        ("rows_rejected", "0"),
        ("outcome", "finished"),
    ] {
        assert_eq!(said(job, name), value, "{job:?}");
    }
    let labels: Vec<&str> =
        report["loads"].as_array().unwrap().iter().map(|load| load["label"].as_str().unwrap()).collect();
    assert!(labels.len() > 1);
    let of_job: Vec<&Span> = loads.iter().filter(|load| load.parent == job.id).collect();
    assert_eq!(of_job.len(), labels.len());
    let rows: u64 = of_job.iter().map(|load| said(load, "rows").parse::<u64>().unwrap()).sum();
    assert_eq!(rows, 60_000);
    for load in &of_job {
        assert!(labels.contains(&said(load, "label").as_str()) && load.trace == job.trace, "{load:?}");
        assert!(said(load, "outcome") == "visible" && said(load, "bytes").parse::<u64>().unwrap() > 0, "{load:?}");
        let tries: Vec<&Span> = attempts.iter().filter(|attempt| attempt.parent == load.id).collect();
        assert_eq!(tries.len().to_string(), said(load, "attempts"), "{load:?}");
        assert!(tries.iter().any(|attempt| said(attempt, "outcome") == "acknowledged"), "{tries:?}");
    }
    let lost: Vec<&Span> = attempts.iter().filter(|attempt| attempt.failed).collect();
    assert!(lost.len() == 1 && said(lost[0], "outcome") == "failed" && said(lost[0], "code").starts_with('L'));
    let of_lost = of_job.iter().find(|load| load.id == lost[0].parent).unwrap();
    assert!(of_lost.events > 0, "what was logged of it: {of_lost:?}");

    let bad = jobs.iter().find(|job| said(job, "id") == bad).unwrap();
    assert!(bad.failed && bad.trace != job.trace, "{bad:?}");
    assert_eq!((said(bad, "outcome").as_str(), said(bad, "code").as_str()), ("rejected", "L2004"));
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &(target("lake", &sandbox) + "[traces]\nendpoint = \"http://127.0.0.1:1\"\n"));
    let service = place.start();
    let file = place.rows("a.csv", 0, 10);
    let id = service.begin(&json!({"sources": [file], "database": "demo", "table": "t", "create_table": true}));
    assert_eq!(service.end_of(&id), "finished");
    wait_for("word of it", || service.log().contains("the collector does not take spans").then_some(()));
    assert_eq!(service.stop(), 0);
}

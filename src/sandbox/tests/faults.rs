//! Faults on demand, byte by byte as a client meets them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Load, Response, authorization, get, load, request, send};
use super::{Options, World};
use crate::clock::{Clock as _, SystemClock};
use crate::model::Secret;

const PATH: &str = "/sandbox/faults";
const ROW: &[u8] = b"1\ta\t1.5\n";

async fn post(address: SocketAddr, document: &str, headers: &str) -> Response {
    let length = document.len();
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    send(address, (head + document).as_bytes()).await
}

impl World {
    fn backend(&self) -> SocketAddr {
        self.sandbox.addresses().backend
    }

    fn frontend(&self) -> SocketAddr {
        self.sandbox.addresses().frontend
    }

    /// Has one fault happen, once.
    async fn rule(&self, at: &str, operation: &str, what: Value) {
        self.rules(json!([{"id": "r", "at": at, "operation": operation, "do": what}])).await;
    }

    async fn rules(&self, rules: Value) {
        let response = post(self.frontend(), &json!({"seed": 1, "rules": rules}).to_string(), "").await;
        assert_eq!(response.status(), 200, "{}", response.raw);
    }

    async fn faults(&self) -> Value {
        get(self.backend(), PATH).await.json()
    }

    /// Checks that exactly one fault has happened, and which.
    async fn fired(&self, step: &str, effect: &str) {
        let shown = self.faults().await;
        assert_eq!(shown["fired_total"], 1, "{shown}");
        let record = &shown["fired"][0];
        assert_eq!((&record["step"], &record["effect"], &record["rule"]), (&step.into(), &effect.into(), &"r".into()));
        assert_eq!(record.get("failed"), None, "{record}");
    }

    /// A load whose label is `l`, with everything that came back.
    async fn load_l(&self) -> Response {
        load(&self.sandbox, &Load { headers: &[("label", "l")], body: ROW, ..Load::default() }).await
    }

    /// Waits until the label `l` is in a state.
    async fn until(&self, state: &str) {
        while self.state("l").await["state"] != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Sends a load with its body at once and reads to the end: what came, and how it ended.
async fn raw_load(address: SocketAddr, body: &[u8]) -> (String, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = Load { headers: &[("label", "l")], ..Load::default() }.head(body.len());
    let head = head.replace("Expect: 100-continue\r\n", "");
    let sent = stream.write_all(&[head.as_bytes(), body].concat()).await;
    let mut raw = Vec::new();
    let ended = stream.read_to_end(&mut raw).await;
    let how = sent.err().or(ended.err()).map(|error| error.kind());
    (String::from_utf8(raw).expect("text"), how)
}

#[tokio::test]
async fn a_connection_is_refused() {
    let world = World::new().await;
    for (how, ends) in [("reset", Some(ErrorKind::ConnectionReset)), ("close", None)] {
        world.rules(json!([{"id": "r", "at": "accept", "node": "be1", "do": {"kind": how}}])).await;
        let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
        let mut raw = Vec::new();
        let end = stream.read_to_end(&mut raw).await.err().map(|error| error.kind());
        assert_eq!((raw.as_slice(), end), (&b""[..], ends), "{how}");
        world.fired("accept", how).await;
        assert_eq!(
            world.load_l().await.json()["Status"],
            if how == "reset" { "Success" } else { "Label Already Exists" }
        );
    }
}

#[tokio::test]
async fn a_request_is_reset_before_its_body_and_nothing_begins() {
    let world = World::new().await;
    for at in ["head", "continue"] {
        world.rule(at, "stream_load", json!({"kind": "reset"})).await;
        let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
        let head = Load { headers: &[("label", "l")], ..Load::default() }.head(ROW.len());
        stream.write_all(head.as_bytes()).await.expect("it takes a request");
        let mut raw = Vec::new();
        let error = stream.read_to_end(&mut raw).await.expect_err(at);
        assert_eq!((raw.as_slice(), error.kind()), (&b""[..], ErrorKind::ConnectionReset), "{at}");
        world.fired(at, "reset").await;
        world.until(if at == "head" { "UNKNOWN" } else { "ABORTED" }).await;
    }
    assert_eq!(world.load_l().await.json()["Status"], "Success");
}

#[tokio::test]
async fn a_body_breaks_off_after_so_many_bytes() {
    let world = World::new().await;
    for (after, broken) in [(json!(0), true), (json!(5), true), (json!("end"), true), (json!(9), false)] {
        world.rules(json!([{"id": "r", "at": "body", "after_bytes": after, "do": {"kind": "reset"}}])).await;
        let (raw, end) = raw_load(world.backend(), ROW).await;
        if broken {
            assert_eq!((raw.as_str(), end), ("", Some(ErrorKind::ConnectionReset)), "{after}");
            world.fired("body", "reset").await;
            world.until("ABORTED").await;
            assert_eq!(world.rows().len(), 0);
        } else {
            assert!(raw.contains("\"Success\""), "the body has 8 bytes: {raw}");
            assert_eq!(world.faults().await["fired_total"], 0);
        }
    }
}

#[tokio::test]
async fn an_answer_is_lost_although_the_work_is_done() {
    let world = World::new().await;
    for (how, ends) in [("reset", Some(ErrorKind::ConnectionReset)), ("close", None)] {
        world.rule("answer", "stream_load", json!({"kind": how})).await;
        assert_eq!(raw_load(world.backend(), ROW).await, (String::new(), ends));
        world.fired("answer", how).await;
        world.until("VISIBLE").await;
    }
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn a_proxy_answers_in_html() {
    let world = World::new().await;
    for (at, what, status, visible) in [
        ("head", json!({"kind": "html"}), 502, false),
        ("continue", json!({"kind": "html", "status": 504}), 504, false),
        ("body", json!({"kind": "html", "status": 503}), 503, false),
        ("answer", json!({"kind": "html", "status": 200}), 200, true),
    ] {
        world.rule(at, "stream_load", what).await;
        let response = world.load_l().await;
        assert_eq!(response.status(), status, "{}", response.raw);
        assert_eq!(response.continued(), matches!(at, "body" | "answer"), "{}", response.raw);
        assert!(response.raw.contains("Content-Type: text/html\r\n"), "{}", response.raw);
        assert!(response.body().contains(&format!("<h1>{status} ")), "{}", response.raw);
        world.fired(at, "html").await;
        assert_eq!(world.rows().len(), usize::from(visible), "{at}");
    }
}

#[tokio::test]
async fn an_answer_is_cut() {
    let world = World::new().await;
    world.rule("answer", "health", json!({"kind": "truncate", "bytes": 9})).await;
    let response = get(world.backend(), "/api/health").await;
    assert_eq!((response.header("content-length"), response.body()), (Some("37"), "{\"status\""));
    world.fired("answer", "truncate").await;
    world.rule("answer", "health", json!({"kind": "truncate", "length": "matching"})).await;
    let response = get(world.backend(), "/api/health").await;
    assert_eq!((response.header("content-length"), response.body().len()), (Some("18"), 18));
    world.rule("answer", "health", json!({"kind": "empty"})).await;
    let response = get(world.backend(), "/api/health").await;
    assert_eq!((response.status(), response.header("content-length"), response.body()), (200, Some("0"), ""));
    world.fired("answer", "empty").await;
}

#[tokio::test]
async fn an_answer_comes_twice_and_the_connection_goes_on() {
    let world = World::new().await;
    world.rule("answer", "health", json!({"kind": "duplicate"})).await;
    let asked = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
    stream.write_all(asked.as_bytes()).await.expect("it takes a request");
    let mut buffer = vec![0; 256];
    let count = stream.read(&mut buffer).await.expect("an answer");
    let mut came = String::from_utf8_lossy(&buffer[..count]).into_owned();
    while came.matches("HTTP/1.1 200 OK").count() < 2 || !came.ends_with('}') {
        let count = stream.read(&mut buffer).await.expect("the answer again");
        came.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let (first, second) = came.split_at(came.len() / 2);
    assert_eq!(first, second);
    let last = asked.replace("Host: x", "Host: x\r\nConnection: close");
    stream.write_all(last.as_bytes()).await.expect("it takes another request");
    let response = super::client::read(&mut stream).await;
    assert_eq!(response.raw.matches("HTTP/1.1 200 OK").count(), 1, "{}", response.raw);
    world.fired("answer", "duplicate").await;
    // With `100 Continue` before it, which comes once.
    world.rule("answer", "stream_load", json!({"kind": "duplicate"})).await;
    let response = world.load_l().await;
    assert_eq!(response.raw.matches("100 Continue").count(), 1, "{}", response.raw);
    assert_eq!(response.raw.matches("\"Status\": \"Success\"").count(), 2, "{}", response.raw);
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let world = World::new().await;
    let path = "/api/d/t/_stream_load";
    for (to, location) in [
        ("itself", format!("http://x{path}")),
        ("dead", format!("http://127.0.0.1:1{path}")),
        ("http://be.invalid:8040", format!("http://be.invalid:8040{path}")),
        ("https://elsewhere/else", "https://elsewhere/else".to_owned()),
    ] {
        world.rule("answer", "stream_load", json!({"kind": "redirect", "to": to})).await;
        let response = send(world.frontend(), Load::default().head(3).as_bytes()).await;
        assert_eq!((response.status(), response.header("location")), (307, Some(location.as_str())), "{to}");
        assert_eq!(response.header("content-length"), Some("0"));
        world.fired("answer", "redirect").await;
    }
}

#[tokio::test]
async fn anything_can_be_answered_with_any_content_type() {
    let world = World::new().await;
    let body = json!({"Status": "OK"});
    let what = json!({"kind": "answer", "status": 429, "body": body, "content_type": "application/x"});
    world.rule("head", "health", what).await;
    let response = get(world.backend(), "/api/health").await;
    assert_eq!((response.status(), response.header("content-type")), (429, Some("application/x")));
    assert_eq!(response.json(), body);
    for (value, header) in [(Value::Null, None), (json!("text/html"), Some("text/html"))] {
        world.rule("answer", "health", json!({"kind": "content_type", "value": value})).await;
        let response = get(world.backend(), "/api/health").await;
        assert_eq!((response.header("content-type"), response.json()["status"].as_str()), (header, Some("OK")));
        world.fired("answer", "content_type").await;
    }
}

#[tokio::test]
async fn the_continue_never_comes() {
    let world = World::new().await;
    world.rule("continue", "stream_load", json!({"kind": "hold", "ms": 30})).await;
    assert_eq!(world.load_end().await, "");
    world.fired("continue", "hold").await;
    // Without a time it is held until the client leaves; meanwhile its transaction is open.
    world.rule("continue", "stream_load", json!({"kind": "hold"})).await;
    let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
    let head = Load { headers: &[("label", "l")], ..Load::default() }.head(ROW.len());
    stream.write_all(head.as_bytes()).await.expect("it takes a request");
    // The transaction begins before the client is asked for the body.
    while world.faults().await["fired_total"] == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.fired("continue", "hold").await;
    world.until("PREPARE").await;
    drop(stream);
    world.until("ABORTED").await;
}

impl World {
    /// Sends the head of a load and waits for the end of the connection.
    async fn load_end(&self) -> String {
        let head = Load { headers: &[("label", "l")], ..Load::default() }.head(ROW.len());
        send(self.backend(), head.as_bytes()).await.raw
    }
}

#[tokio::test]
async fn everything_can_take_its_time() {
    let world = World::new().await;
    let pause = Duration::from_millis(60);
    let delay = json!({"kind": "delay", "ms": 60});
    for at in ["accept", "head", "continue", "body", "answer"] {
        world.rules(json!([{"id": "r", "at": at, "node": "be1", "do": delay}])).await;
        let started = SystemClock.instant();
        assert_eq!(world.load(&[], ROW).await["Status"], "Success");
        assert!(started.elapsed() >= pause, "{at}");
        world.fired(at, "delay").await;
    }
    // Eight bytes, three at a time, with a rest before each.
    world.rule("body", "stream_load", json!({"kind": "trickle", "bytes": 3, "every_ms": 20})).await;
    let started = SystemClock.instant();
    world.load(&[], ROW).await;
    assert!(started.elapsed() >= pause);
    world.fired("body", "trickle").await;
    world.rule("answer", "health", json!({"kind": "trickle", "bytes": 40, "every_ms": 20})).await;
    let started = SystemClock.instant();
    assert_eq!(get(world.backend(), "/api/health").await.json()["status"], "OK");
    assert!(started.elapsed() >= pause, "head and body have more than 120 bytes");
    world.fired("answer", "trickle").await;
}

#[tokio::test]
async fn a_held_request_does_not_keep_the_sandbox_from_stopping() {
    let world = World::new().await;
    world.rule("head", "any", json!({"kind": "hold"})).await;
    let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
    stream.write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it takes a request");
    while world.faults().await["fired_total"] == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.sandbox.drain().await;
    let mut raw = Vec::new();
    let _ = stream.read_to_end(&mut raw).await;
    assert_eq!(raw, b"");
}

#[tokio::test]
async fn faults_are_managed_by_root_alone() {
    let password = |options| Options { password: Some(Secret::new("pw".into())), ..options };
    let world = World::with(password, super::TABLE).await;
    let document = r#"{"rules": [{"at": "head", "do": {"kind": "reset"}}]}"#;
    for headers in [String::new(), authorization("root:"), authorization("x:pw")] {
        for (method, address) in [("GET", world.frontend()), ("DELETE", world.backend())] {
            let response = request(address, method, PATH, &headers).await;
            assert_eq!((response.status(), response.header("www-authenticate")), (401, Some("Basic realm=\"\"")));
        }
        assert_eq!(post(world.frontend(), document, &headers).await.status(), 401);
    }
    let root = authorization("root:pw");
    let shown = post(world.frontend(), document, &root).await.json();
    assert_eq!((&shown["rules"][0]["id"], &shown["fired_total"]), (&json!("rule-1"), &json!(0)));
    let shown = request(world.backend(), "DELETE", PATH, &root).await.json();
    assert_eq!(shown["rules"][0]["rule"]["do"]["kind"], "reset");
    assert_eq!(request(world.frontend(), "GET", PATH, &root).await.json()["rules"], json!([]));
    assert_eq!(request(world.frontend(), "PUT", PATH, &root).await.status(), 405);
}

#[tokio::test]
async fn a_wrong_document_is_refused_with_the_place_and_changes_nothing() {
    let world = World::new().await;
    world.rule("head", "health", json!({"kind": "close"})).await;
    let response = post(world.backend(), "{\"rules\": [\n {\"at\": \"answr\"}]}", "").await;
    assert_eq!(response.status(), 400);
    let answer = response.json();
    assert_eq!((&answer["line"], &answer["place"]), (&json!(2), &json!("rules[0].at")));
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("did you mean `answer`?")), "{answer}");
    assert_eq!(world.faults().await["rules"][0]["id"], "r");
    let long = format!("{{\"rules\": [], \"seed\": {}1}}", " ".repeat(1_100_000));
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", long.len());
    let mut stream = TcpStream::connect(world.backend()).await.expect("it listens");
    // It may be refused while it is on its way.
    let _ = stream.write_all((head + &long).as_bytes()).await;
    drop(stream);
    assert_eq!(world.faults().await["rules"][0]["id"], "r");
}

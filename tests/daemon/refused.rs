//! Requests that must not be done, and callers that must not be waited for.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::service::{Answer, Place, Service, csv, read_answer, target, wait_for};

fn token(name: &str, text: &str, access: &str) -> String {
    let digest: Vec<String> = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[tokens.{name}]\nsha256 = \"{}\"\naccess = \"{access}\"\n", digest.concat())
}

#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) {
    let answer = answer.of(status);
    let document = answer.json();
    assert_eq!((&document["code"], &document["status"]), (&code.into(), &status.into()), "{document}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[test]
fn a_token_opens_what_its_access_covers_and_is_nowhere_to_be_read() {
    let place = Place::new();
    let tokens = token("look", "lookword-1", "read")
        + &token("load", "loadword-2", "load")
        + &token("all", "allword-3", "admin");
    place.configure(
        "",
        &format!("{tokens}[targets.lake]\naddress = \"starrocks://u@127.0.0.1:1\"\npassword = \"hushhush\"\n"),
    );
    let mut service = place.start();
    refused(service.get("/v1/jobs"), 401, "L4021");
    service.get("/health").of(200);
    service.token = Some("lookword".into());
    refused(service.get("/v1/jobs"), 401, "L4021");
    service.token = Some("lookword-1".into());
    service.get("/v1/jobs").of(200);
    refused(service.post("/v1/jobs", &json!({})), 403, "L4021");
    refused(service.get("/config"), 403, "L4021");
    service.token = Some("loadword-2".into());
    refused(service.post("/v1/jobs", &json!({})), 400, "L4020");
    service.token = Some("allword-3".into());
    let config = service.get("/config").of(200).text();
    let places = [config, service.get("/metrics").of(200).text(), service.get("/v1/jobs").text(), service.log()];
    for text in &places {
        for secret in ["hushhush", "lookword-1", "loadword-2", "allword-3"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn without_a_token_no_web_page_gets_in() {
    let place = Place::new();
    place.configure("", "");
    let service = place.start();
    let ask = |headers: &[(&str, &str)]| {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        stream.write_all(format!("GET /v1/jobs HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").as_bytes()).unwrap();
        read_answer(stream)
    };
    ask(&[("Host", "localhost")]).of(200);
    ask(&[("Host", &service.address), ("Origin", &format!("http://{}", service.address))]).of(200);
    refused(ask(&[("Host", "rebound.example")]), 403, "L4021");
    refused(ask(&[("Host", "localhost"), ("Origin", "http://page.example")]), 403, "L4021");
}

#[test]
fn an_address_for_everybody_needs_a_guard() {
    let place = Place::new();
    place.world.file("shipload.toml", "[server]\nlisten = \"0.0.0.0:0\"\n");
    let output = place.command(&["serve", "--config", "shipload.toml"]).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("error[L4011]: shipload.toml, line 2: server.listen: anybody"), "{words}");
    assert!(words.contains("hint: listen on 127.0.0.1"), "{words}");
}

#[test]
fn a_reload_cannot_take_the_guard_away() {
    let place = Place::new();
    place.configure("", &token("all", "allword-3", "admin"));
    let path = place.world.path().join("shipload.toml");
    let open = fs::read_to_string(&path).unwrap().replace("127.0.0.1:0", "0.0.0.0:0");
    fs::write(&path, &open).unwrap();
    let mut service = place.start();
    service.address = service.address.replace("0.0.0.0", "127.0.0.1");
    refused(service.get("/v1/jobs"), 401, "L4021");
    // By itself the new file is well: it would listen on loopback, and need no token there.
    place.configure("connections_max = 99", "");
    service.signal("-HUP");
    wait_for("the log line", || {
        service.log().contains("the configuration stays what it was: without tokens, anybody").then_some(())
    });
    refused(service.get("/v1/jobs"), 401, "L4021");
    service.token = Some("allword-3".into());
    assert!(!service.get("/config").of(200).text().contains("connections_max = 99"));
}

#[test]
fn files_are_read_below_the_roots_alone() {
    let place = Place::new();
    place.configure("", "[targets.lake]\naddress = \"starrocks://u@127.0.0.1:1\"\n");
    let outside = place.world.file("secret.csv", "id\n1\n");
    let root = place.world.path().join("in").canonicalize().unwrap();
    symlink(&outside, root.join("link.csv")).unwrap();
    symlink(place.world.path(), root.join("up")).unwrap();
    let service = place.start();
    for path in ["/etc/passwd", "../secret.csv", "-", "", "/proc/self/environ", "/dev/stdin"] {
        refused(service.post("/v1/jobs", &json!({"sources": [path], "database": "d", "table": "t"})), 403, "L4022");
    }
    for path in ["../secret.csv", "link.csv", "up/secret.csv", "up/../secret.csv", "*/secret.csv", "x/../../secret.csv"]
    {
        let path = format!("{}/{path}", root.display());
        refused(service.post("/v1/jobs", &json!({"sources": [path], "database": "d", "table": "t"})), 403, "L4022");
    }
    assert_eq!(service.get("/v1/jobs").json()["jobs"], json!([]));
}

#[test]
fn a_body_of_a_gigabyte_is_refused_at_once_and_one_without_end_at_its_limit() {
    let place = Place::new();
    place.configure("", "");
    let service = place.start();
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = format!("POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Length: 1073741824\r\n\r\n[", service.address);
    stream.write_all(head.as_bytes()).unwrap();
    refused(read_answer(stream), 413, "L4024");

    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = format!("POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", service.address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let endless = std::thread::spawn(move || {
        let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
        let mut chunks = 0;
        while writing.write_all(&chunk).is_ok() {
            chunks += 1;
        }
        chunks
    });
    refused(read_answer(stream), 413, "L4024");
    assert!(endless.join().unwrap() < 1000, "it is cut off");
    assert!(service.peak_bytes() < 200 << 20, "{}", service.peak_bytes());
}

#[test]
fn whoever_is_too_slow_is_cut_off() {
    let place = Place::new();
    place.configure("head_timeout = \"300ms\"\nbody_timeout = \"300ms\"", "");
    let service = place.start();
    for half in ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: x\r\nX: y"] {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(half.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Closed, or reset: not left open.
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "{half}");
    }
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = format!("POST /v1/jobs HTTP/1.1\r\nHost: {}\r\nContent-Length: 9\r\n\r\n{{", service.address);
    stream.write_all(head.as_bytes()).unwrap();
    refused(read_answer(stream), 408, "L4024");
    let cut = ["too slow", "broken"].map(|why| format!("shipload_http_cut_off_total{{reason=\"{why}\"}}"));
    let text = service.get("/metrics").text();
    assert!(cut.iter().any(|series| text.contains(series.as_str())), "{text}");
}

/// Lets this process open so many files, where the shell that started it allows fewer.
fn allow_files(count: u32) {
    let (limit, process) = (format!("--nofile={count}:"), std::process::id().to_string());
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft = line.split_whitespace().next().unwrap();
    if soft.parse::<u32>().is_ok_and(|soft| soft < count) {
        let raised = Command::new("prlimit").args([&limit, "--pid", &process]).status();
        assert!(raised.is_ok_and(|status| status.success()), "{count} files have to be allowed: ulimit -n {count}");
    }
}

#[test]
fn thousands_of_idle_connections_keep_nobody_out() {
    let place = Place::new();
    place.configure("connections_max = 50\nhead_timeout = \"10min\"", "");
    let service = place.start();
    let mut held = Vec::new();
    allow_files(6000);
    for number in 0..5000 {
        held.push(TcpStream::connect(&service.address).unwrap());
        if number % 500 == 499 {
            service.get("/health").of(200);
        }
    }
    assert!(service.metric("shipload_http_connections") <= 50.0);
    assert!(service.metric("shipload_http_cut_off_total{reason=\"made room\"}") >= 4900.0);
    // Those that keep their connection and use it are not in the way either.
    let first = held.first_mut().unwrap();
    first.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    assert!(matches!(first.read(&mut [0; 1]), Ok(0) | Err(_)), "the oldest one made room");
}

#[test]
fn a_head_beyond_its_limits_is_refused() {
    let place = Place::new();
    place.configure("head_bytes_max = \"8KiB\"\nheaders_max = 10", "");
    let service = place.start();
    let long = "x".repeat(20_000);
    assert_eq!(service.ask("GET", "/health", &[("X-Long", &long)], b"").status, 431);
    let many: Vec<(&str, &str)> = (0..20).map(|_| ("X-Many", "1")).collect();
    assert_eq!(service.ask("GET", "/health", &many, b"").status, 431);
    service.get("/health").of(200);
}

fn begin_upload(service: &Service, key: &str, text: &str, cut: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = format!(
        "PUT /v1/load/demo/t?load_size=1MiB HTTP/1.1\r\nHost: {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        service.address,
        text.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&text.as_bytes()[..cut]).unwrap();
    stream
}

#[test]
fn an_upload_that_broke_off_goes_on_under_its_key_and_no_row_is_doubled() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("stall_timeout = \"5s\"", &target("lake", &sandbox));
    let service = place.start();
    service.ask("PUT", "/v1/load/demo/t?create_table=true", &[], csv(9_000_000, 1).as_bytes()).of(200);
    let text = csv(0, 600_000);
    let stream = begin_upload(&service, "u-1", &text, text.len() / 2);
    wait_for("a part of it", || {
        (service.get("/v1/jobs/key-u-1").json()["progress"]["rows_loaded"].as_u64()? > 0).then_some(())
    });
    let again = service.ask(
        "PUT",
        "/v1/load/demo/t?load_size=1MiB",
        &[("Idempotency-Key", "u-1"), ("Content-Type", "text/csv")],
        b"x",
    );
    refused(again, 409, "L4026");
    drop(stream);
    assert_ne!(service.end_of("key-u-1"), "finished");
    let (rows, different) = place.counts(&sandbox, "t");
    assert!(rows > 1 && rows < 600_000 && rows == different, "{rows}");
    // The second one stops sending, and is told so.
    let stream = begin_upload(&service, "u-1", &text, text.len() / 4);
    let answer = read_answer(stream).of(408);
    assert!(answer.text().contains("nothing came for 5 s"), "{}", answer.text());
    // The third one comes to its end.
    let answer = read_answer(begin_upload(&service, "u-1", &text, text.len())).of(200);
    assert_eq!(answer.json()["rows_loaded"], 600_000);
    assert_eq!(place.counts(&sandbox, "t"), (600_001, 600_001));
    assert!(fs::read_dir(place.world.path().join("state/spool")).map_or(0, Iterator::count) == 0, "the spool is empty");
}

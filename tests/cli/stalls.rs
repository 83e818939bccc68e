//! A server that stalls in the middle of a long stream: the reader stops, memory stays flat, and the run goes on when the
//! server does (MEM-1).
//!
//! The rows are made on the way into standard input, and the sandbox counts them without storing them, so that a run of
//! any length needs no disk. `SHIPLOAD_TEST_STALL=BYTES:SECONDS` sets how long it is and how long it stalls, such as
//! `50000000000:60`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World};

/// What the environment may ask for: bytes, and seconds of the stall.
const SIZE: &str = "SHIPLOAD_TEST_STALL";

/// The size of a slice that is run with every test, and its stall.
const BYTES: u64 = 100_000_000;
const SECONDS: u64 = 5;

const MIB: u64 = 1 << 20;
const MEMORY: u64 = 256 * MIB;

/// What `--memory` may be passed by.
const SLACK: u64 = 64 * MIB;

/// What the program may hold in rows that it has taken and nobody has acknowledged: never more than all of its memory.
const AHEAD_MAX: u64 = MEMORY + SLACK;

/// Loads are small where the whole run is, so that a few of them are soon too many for a server that stands still.
fn load_size(bytes: u64) -> u64 {
    if bytes > BYTES { 16 * MIB } else { MIB }
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn size() -> (u64, u64) {
    let Ok(text) = std::env::var(SIZE) else { return (BYTES, SECONDS) };
    let (bytes, seconds) = text.split_once(':').expect("BYTES:SECONDS");
    (bytes.parse().unwrap(), seconds.parse().unwrap())
}

/// A thousand rows, about 100 bytes each.
fn block(first: u64) -> String {
    let row = |id: u64| {
        let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{id},name of number {id},{mixed:016x}{:016x}{:016x},{}.25\n", mixed ^ id, !mixed, id % 10_000)
    };
    (first..first + 1000).map(row).collect()
}

fn faults(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    let output = Command::new("curl").args(["-sS", "-u", "root:"]).args(arguments).arg(url).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every load that comes while this is said stands still for so long before its body, or its answer, goes on.
fn stall(sandbox: &Sandbox, step: &str, seconds: u64) {
    let delay = json!({"kind": "delay", "ms": seconds * 1000});
    let rule =
        json!({"id": "stall", "at": step, "node": "be*", "operation": "stream_load", "times": "always", "do": delay});
    faults(sandbox, &["-d", &json!({"rules": [rule]}).to_string()]);
}

/// How many bytes the program has taken, once it has taken no more for a second.
fn at_rest(taken: &AtomicU64, over: &AtomicBool) -> u64 {
    let mut before = u64::MAX;
    loop {
        let now = taken.load(Ordering::SeqCst);
        if now == before || over.load(Ordering::SeqCst) {
            return now;
        }
        before = now;
        thread::sleep(Duration::from_secs(1));
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what a long run is for")]
fn stalled_stream(step: &str, bytes: u64, seconds: u64) {
    let world = World::new();
    let made = world.file("made.csv", "id,name,digest,amount\n0,none,none,0.25\n");
    world.import(&[&made, "--to", "sandbox:demo/numbers"]).loaded();
    let sandbox = world.sandbox(&["--discard"]);
    let target = sandbox.target("demo/numbers");
    let (memory, load_size) = (MEMORY.to_string(), load_size(bytes).to_string());
    let mut command = world.command(&[
        "import",
        "-",
        "--to",
        &target,
        "--format",
        "csv",
        "--no-csv-header",
        "--output",
        "json",
        "--job",
        "stream",
        "--memory",
        &memory,
        "--load-size",
        &load_size,
        // The disk would take what memory does not.
        "--spool-size",
        "none",
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut stdin = child.stdin.take().unwrap();
    let (taken, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = thread::spawn({
        let (taken, over) = (Arc::clone(&taken), Arc::clone(&over));
        move || {
            let mut rows = 0;
            while taken.load(Ordering::SeqCst) < bytes {
                let block = block(rows + 1);
                if stdin.write_all(block.as_bytes()).is_err() {
                    break;
                }
                rows += 1000;
                taken.fetch_add(block.len() as u64, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
            rows
        }
    });
    // What it says must not fill the pipe.
    let mut stderr = child.stderr.take().unwrap();
    let said = thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        said
    });

    while taken.load(Ordering::SeqCst) < bytes / 4 && !over.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let begun = taken.load(Ordering::SeqCst);
    stall(&sandbox, step, seconds);
    // A slow machine rests for a second before the first load has come, too.
    while faults(&sandbox, &[])["fired_total"] == json!(0) && !over.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let rest = at_rest(&taken, &over);
    assert!(!over.load(Ordering::SeqCst), "the reader has stopped before the input's end");
    assert!(rest - begun <= AHEAD_MAX, "{rest} bytes were taken, {begun} of them before the stall");
    let struck = faults(&sandbox, &["-X", "DELETE"])["fired_total"].as_u64().unwrap();
    assert!(struck > 0, "the server has stalled");

    let rows = writer.join().unwrap();
    // The report of many loads is more than a pipe holds: it is read before the end is waited for.
    let ran = Ran::of(child.wait_with_output().unwrap());
    let ran = Ran { stderr: said.join().unwrap(), ..ran };
    let report = ran.loaded();
    assert_eq!((&report["rows_read"], &report["rows_loaded"]), (&json!(rows), &json!(rows)), "{}", ran.stderr);
    let peak = report["peak_memory_bytes"].as_u64().unwrap();
    let megabytes = taken.load(Ordering::SeqCst) / 1_000_000;
    let (seconds_in_all, parallel) = (&report["elapsed_seconds"], &report["parallel"]);
    let line = format!(
        "{megabytes} MB in {seconds_in_all} s, up to {parallel} loads at once, {struck} of them stalled for {seconds} s at \
         `{step}`: peak memory {} MiB, at most {} MiB allowed",
        peak / MIB,
        (MEMORY + SLACK) / MIB
    );
    println!("{line}");
    assert!(peak < MEMORY + SLACK, "MEM-1: {peak} bytes");
}

#[test]
fn a_server_that_stalls_before_bodies_stops_the_reader_and_memory_stays_flat() {
    let (bytes, seconds) = size();
    stalled_stream("body", bytes, seconds);
}

#[test]
fn a_server_that_stalls_before_answers_stops_the_reader_and_memory_stays_flat() {
    stalled_stream("answer", BYTES / 5, SECONDS);
}

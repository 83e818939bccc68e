//! Ctrl-C and `kill -9` in mid-load: the right exit code, nothing loaded by halves, and the next run completes the job.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use super::support::{Sandbox, World, example};

/// Bytes that the stalling proxy lets through: headers and a part of the body.
const THROUGH_BYTES: usize = 50_000;

/// Forwards to a backend until so many bytes have passed, then says so and lets nothing more through.
fn stalling_proxy(backend: String) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, stalled) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&backend).unwrap();
            let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut answers, &mut back));
            forward(client, server, &sender);
        }
    });
    (address, stalled)
}

fn forward(mut client: TcpStream, mut server: TcpStream, stalled: &mpsc::Sender<()>) {
    let mut buffer = [0; 4096];
    let mut passed = 0;
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        if passed < THROUGH_BYTES {
            server.write_all(&buffer[..read]).unwrap();
            passed += read;
            if passed >= THROUGH_BYTES {
                stalled.send(()).unwrap();
            }
        }
    }
    // The client is gone; the backend learns it by the connection's end.
    let _ = server.shutdown(std::net::Shutdown::Both);
}

fn prepared() -> (World, Sandbox) {
    let world = World::new();
    let made = world.file("made.csv", "iata,name,city,state,country,latitude,longitude\nXXX,x,x,x,x,0.5,0.5\n");
    world.import(&[&made, "--to", "sandbox:demo/airports"]).loaded();
    let sandbox = world.sandbox(&[]);
    (world, sandbox)
}

/// Starts an import that stalls in the middle of its body.
fn stalled_import(world: &World, sandbox: &Sandbox, target: &str) -> Child {
    let (proxy, stalled) = stalling_proxy(sandbox.backend.clone());
    let file = example("airports.csv").display().to_string();
    let mapped = format!("127.0.0.1={proxy}");
    let arguments = ["import", &file, "--to", target, "--map-host", &mapped, "--output", "json"];
    let mut command = world.command(&arguments);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    stalled.recv().unwrap();
    child
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn completes(world: &World, target: &str) {
    assert_eq!(world.number("select count(*) from airports"), 1.0, "nothing of the interrupted load is there");
    let file = example("airports.csv").display().to_string();
    let report = world.import(&[&file, "--to", target]).loaded();
    assert_eq!(report["rows_loaded"], json!(3376));
    assert_eq!(world.number("select count(*) from airports"), 3377.0);
}

/// Sends a signal, waits until the program says that it has heard it, and returns what it had said before.
pub(crate) fn heard(child: &mut Child, name: &str, word: &str) -> String {
    signal(child, name);
    let mut said = String::new();
    let mut byte = [0];
    let stderr = child.stderr.as_mut().unwrap();
    while !(said.ends_with('\n') && said.contains(word)) {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "it ended without `{word}`: {said}");
        said.push(char::from(byte[0]));
    }
    said
}

/// Drains and cancels a load that is stalled in the middle of its body.
fn cancelled_in_mid_load(name: &str, code: i32) {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let mut child = stalled_import(&world, &sandbox, &target);
    heard(&mut child, name, "interrupted: ");
    assert!(child.try_wait().unwrap().is_none(), "what is under way is waited for");
    heard(&mut child, name, "interrupted again: ");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains("error[L3003]") && stderr.contains("run the same command again"), "{stderr}");
    completes(&world, &target);
}

#[test]
fn ctrl_c_twice_in_mid_load_loads_nothing_and_the_next_run_completes_the_job() {
    cancelled_in_mid_load("-INT", 130);
}

#[test]
fn sigterm_ends_with_its_own_code() {
    cancelled_in_mid_load("-TERM", 143);
}

#[test]
fn a_third_interrupt_ends_at_once_and_the_next_run_completes_the_job() {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let mut child = stalled_import(&world, &sandbox, &target);
    heard(&mut child, "-INT", "interrupted: ");
    heard(&mut child, "-INT", "interrupted again: ");
    // It may have ended by itself meanwhile, with the same code.
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    completes(&world, &target);
}

/// Starts an import in ten loads against a sandbox with this fault.
fn faulty_import(fault: &Value, arguments: &[&str]) -> (World, Sandbox, String, Child) {
    let (world, sandbox) = prepared();
    drop(sandbox);
    let rules = json!({"rules": [fault]}).to_string();
    let sandbox = world.sandbox(&["--faults", &world.file("faults.json", rules)]);
    let target = sandbox.target("demo/airports");
    let file = example("airports.csv").display().to_string();
    let shared = ["import", &file, "--to", &target, "--load-size", "20KB", "--commit", "load", "--output", "json"];
    let mut command = world.command(&[&shared, arguments].concat());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (world, sandbox, target, child)
}

/// Waits until a fault has struck.
fn struck(sandbox: &Sandbox) {
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    let fired = || {
        let output = Command::new("curl").args(["-sS", "-u", "root:", &url]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["fired_total"].as_u64().unwrap()
    };
    while fired() == 0 {
        thread::yield_now();
    }
}

#[test]
fn ctrl_c_once_lets_what_is_under_way_land_and_the_next_run_loads_the_rest() {
    let fault = json!({"at": "answer", "node": "be*", "operation": "stream_load", "do": {"kind": "delay", "ms": 2000}});
    let (world, sandbox, target, mut child) = faulty_import(&fault, &["--parallel", "1"]);
    struck(&sandbox);
    heard(&mut child, "-INT", "interrupted: ");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let loads = report["loads"].as_array().unwrap();
    assert_eq!((loads.len(), &loads[0]["state"]), (1, &json!("visible")), "{report}");
    let landed = report["rows_loaded"].as_f64().unwrap();
    assert_eq!(world.number("select count(*) from airports"), 1.0 + landed);
    let file = example("airports.csv").display().to_string();
    let again = world.import(&[&file, "--to", &target, "--load-size", "20KB", "--commit", "load"]).loaded();
    assert_eq!((&again["rows_loaded"], &again["loads"][0]["attempts"]), (&json!(3376), &json!(0)));
    assert_eq!(world.number("select count(*) from airports"), 3377.0);
}

#[test]
fn ctrl_c_once_ends_a_job_that_waits_for_a_busy_target() {
    let busy = json!({"kind": "answer", "status": 429, "body": "later"});
    let fault = json!({"at": "head", "node": "be*", "operation": "stream_load", "times": "always", "do": busy});
    let (world, sandbox, target, mut child) = faulty_import(&fault, &[]);
    struck(&sandbox);
    heard(&mut child, "-INT", "interrupted: ");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let url = format!("http://{}/sandbox/faults", sandbox.frontend);
    assert!(Command::new("curl").args(["-sS", "-u", "root:", "-X", "DELETE", &url]).output().unwrap().status.success());
    completes(&world, &target);
}

#[test]
fn a_killed_loader_leaves_no_trace_and_the_next_run_completes_the_job() {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let mut child = stalled_import(&world, &sandbox, &target);
    child.kill().unwrap();
    child.wait().unwrap();
    completes(&world, &target);
}

#[test]
fn ctrl_c_while_standard_input_is_silent_ends_at_once() {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let mut command = world.command(&["import", "-", "--to", &target, "--format", "csv", "--output", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    // The journal's file appears once the program has set up its signals and begun.
    let journal = world.path().join(".local/state/shipload/journal.sqlite");
    while !journal.exists() {
        thread::yield_now();
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stdin);
}

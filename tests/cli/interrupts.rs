//! Ctrl-C and `kill -9` in mid-load: the right exit code, nothing loaded by halves, and the next run completes the job.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::json;

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

fn signal(child: &Child, name: &str) {
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

#[test]
fn ctrl_c_in_mid_load_loads_nothing_and_the_next_run_completes_the_job() {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let child = stalled_import(&world, &sandbox, &target);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("error[L3003]") && stderr.contains("run the same command again"), "{stderr}");
    completes(&world, &target);
}

#[test]
fn sigterm_ends_with_its_own_code() {
    let (world, sandbox) = prepared();
    let target = sandbox.target("demo/airports");
    let child = stalled_import(&world, &sandbox, &target);
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
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

//! Labels over HTTP: duplicates, states, cancelling, restarts, broken connections.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{authorization, read, request};
use super::{Load, Response, World, files, get, load};
use crate::sandbox::Options;

/// Begins a load and leaves it waiting for its body.
async fn begin(world: &World, label: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.sandbox.addresses().backend).await.expect("it listens");
    let headers = [("label", label), ("column_separator", ",")];
    stream.write_all(Load { headers: &headers, ..Load::default() }.head(length).as_bytes()).await.expect("it takes it");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it asks for the body");
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    stream
}

async fn cancel(world: &World, label: &str) -> Response {
    let path = format!("/api/d/any/_cancel?label={label}");
    request(world.sandbox.addresses().frontend, "POST", &path, &authorization("root:")).await
}

async fn wait_for_state(world: &World, label: &str, state: &str) {
    while world.state(label).await["state"] != state {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_label_loads_once() {
    let world = World::new().await;
    assert_eq!(world.csv("l", "1,a,1\n").await["Status"], "Success");
    let again = load(&world.sandbox, &Load { headers: &[("label", "l")], body: b"2\tb\t2\n", ..Load::default() }).await;
    assert!(!again.continued(), "the body of a duplicate is not wanted");
    let answer = again.json();
    assert_eq!(
        (answer["Status"].as_str(), answer["ExistingJobStatus"].as_str()),
        (Some("Label Already Exists"), Some("FINISHED"))
    );
    assert!(answer["Message"].as_str().is_some_and(|message| message.contains("has already been used")));
    assert_eq!(world.rows(), ["1|'a'|'1.00'"]);
    let state = world.state("l").await;
    assert_eq!(state, json!({"state": "VISIBLE", "status": "OK", "code": "0", "msg": "Success", "message": "OK"}));
}

#[tokio::test]
async fn a_running_label_is_said_to_run() {
    let world = World::new().await;
    let mut stream = begin(&world, "l", 6).await;
    assert_eq!(world.state("l").await["state"], "PREPARE");
    let other = world.csv("l", "2,b,2\n").await;
    assert_eq!(
        (other["Status"].as_str(), other["ExistingJobStatus"].as_str()),
        (Some("Label Already Exists"), Some("RUNNING"))
    );
    stream.write_all(b"1,a,1\n").await.expect("it takes the body");
    assert_eq!(read(&mut stream).await.json()["Status"], "Success");
    assert_eq!(world.rows(), ["1|'a'|'1.00'"]);
}

#[tokio::test]
async fn a_failed_load_leaves_no_rows_and_frees_its_label() {
    let world = World::new().await;
    let failed = world.csv("l", "1,a,1\n2,b\n").await;
    assert_eq!((failed["Status"].as_str(), failed["Message"].as_str()), (Some("Fail"), Some("too many filtered rows")));
    assert_eq!(world.rows(), [""; 0]);
    let state = world.state("l").await;
    assert_eq!((state["state"].as_str(), state["reason"].as_str()), (Some("ABORTED"), Some("too many filtered rows")));
    assert_eq!(world.csv("l", "1,a,1\n").await["Status"], "Success");
    assert_eq!(world.state("l").await["state"], "VISIBLE");
}

#[tokio::test]
async fn a_load_without_a_label_gets_one() {
    let world = World::new().await;
    let answer = world.load(&[], "1\ta\t1\n").await;
    let label = answer["Label"].as_str().expect("a label").to_owned();
    assert_eq!(label.len(), 36);
    assert_eq!(world.state(&label).await["state"], "VISIBLE");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_nothing() {
    let world = World::new().await;
    let mut stream = begin(&world, "l", 1000).await;
    stream.write_all(b"1,a,1\n2,b,2\n").await.expect("it takes some of the body");
    drop(stream);
    wait_for_state(&world, "l", "ABORTED").await;
    assert_eq!(world.rows(), [""; 0]);
    assert!(files(world.dir.path()).iter().all(|name| !name.starts_with("spool")), "spool files have no name");
    assert_eq!(world.csv("l", "1,a,1\n").await["Status"], "Success");
}

#[tokio::test]
async fn rows_and_labels_survive_a_restart() {
    let world = World::new().await;
    world.csv("done", "1,a,1\n2,b,2\n").await;
    world.csv("failed", "x\n").await;
    let stream = begin(&world, "broken", 100).await;
    drop(stream);
    let world = world.restart().await;
    assert_eq!(world.rows(), ["1|'a'|'1.00'", "2|'b'|'2.00'"]);
    assert_eq!(world.csv("done", "3,c,3\n").await["ExistingJobStatus"], "FINISHED");
    assert_eq!(world.state("failed").await["state"], "ABORTED");
    assert_eq!(world.csv("broken", "3,c,3\n").await["Status"], "Success");
}

#[tokio::test]
async fn a_load_in_prepare_can_be_cancelled_and_no_other() {
    let world = World::new().await;
    let mut stream = begin(&world, "l", 100).await;
    let ok = json!({"status": "OK", "code": "0", "msg": "Success", "message": "OK"});
    assert_eq!(cancel(&world, "l").await.json(), ok);
    let state = world.state("l").await;
    assert_eq!((state["state"].as_str(), state["reason"].as_str()), (Some("ABORTED"), Some("user cancel")));
    // Its client learns of it without having to send the rest.
    let answer = read(&mut stream).await.json();
    assert_eq!(answer["Status"], "Fail");
    assert!(answer["Message"].as_str().is_some_and(|message| message.contains("aborted")), "{answer}");
    world.csv("l", "1,a,1\n").await;
    for label in ["l", "never"] {
        let refused = cancel(&world, label).await.json();
        assert_eq!(refused["status"], "FAILED");
        assert_eq!(refused["msg"], format!("transaction not found: {label}"));
    }
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_aborted() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.sandbox.addresses().backend).await.expect("it listens");
    let headers = [("label", "l"), ("timeout", "1")];
    stream.write_all(Load { headers: &headers, ..Load::default() }.head(9).as_bytes()).await.expect("it takes it");
    let response = read(&mut stream).await;
    assert!(response.continued());
    assert_eq!(response.json()["Status"], "Fail");
    assert_eq!(world.state("l").await["reason"], "timeout by txn manager");
}

#[tokio::test]
async fn labels_are_forgotten_when_there_are_too_many() {
    let world = World::with(|options| Options { label_keep_max: 2, ..options }, super::TABLE).await;
    for label in ["a", "b", "c"] {
        assert_eq!(world.csv(label, "1,a,1\n").await["Status"], "Success");
    }
    assert_eq!(world.state("a").await["state"], "UNKNOWN");
    assert_eq!(world.state("b").await["state"], "VISIBLE");
    assert_eq!(world.csv("a", "1,a,1\n").await["Status"], "Success", "and then the label loads again");
}

#[tokio::test]
async fn questions_about_nothing_are_refused() {
    let world = World::new().await;
    let frontend = world.sandbox.addresses().frontend;
    let unknown = get(frontend, "/api/none/get_load_state?label=l").await.json();
    assert_eq!(
        (unknown["status"].as_str(), unknown["msg"].as_str()),
        (Some("FAILED"), Some("unknown database, database=none"))
    );
    assert_eq!(get(frontend, "/api/d/get_load_state").await.json()["status"], "FAILED");
    assert_eq!(world.state("never").await["state"], "UNKNOWN");
}

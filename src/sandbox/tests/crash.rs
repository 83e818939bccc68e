//! What is left when the process is killed.

use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Load, World, create, start};
use crate::sandbox::{Options, Recovery, running};

/// Tells the process that is to be killed where its directory is.
const DIR: &str = "SHIPLOAD_TEST_SANDBOX_DIR";

#[test]
#[ignore = "not a test: the process that the test below kills"]
fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sandbox = start(Options::new(dir).with_any_ports()).await;
        std::future::pending::<()>().await;
        drop(sandbox);
    });
}

/// Sends a load and returns its connection when the first bytes of an answer have come.
async fn send(world_backend: std::net::SocketAddr, label: &str, length: usize, body: &[u8]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(world_backend).await.expect("it listens");
    let headers = [("label", label), ("column_separator", ",")];
    stream.write_all(Load { headers: &headers, ..Load::default() }.head(length).as_bytes()).await.expect("it takes it");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it asks for the body");
    stream.write_all(body).await.expect("it takes the body");
    let mut answer = String::new();
    if body.len() == length {
        stream.read_to_string(&mut answer).await.expect("an answer comes");
    }
    (stream, answer)
}

#[tokio::test]
async fn a_killed_process_keeps_what_it_acknowledged_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let first = start(Options::new(dir.path()).with_any_ports()).await;
    create(&first, super::TABLE);
    assert_eq!(first.recovery(), None, "the directory is new");
    first.drain().await;
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "--ignored", "sandbox::tests::crash::victim"])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let addresses = loop {
        if let Some(addresses) = running(dir.path()).expect("it can be asked") {
            break addresses;
        }
        tokio::task::yield_now().await;
    };
    let (_, answer) = send(addresses.backend, "acknowledged", 6, b"1,a,1\n").await;
    assert!(answer.contains("\"Status\": \"Success\""), "{answer}");
    let half = send(addresses.backend, "half", 1000, b"2,b,2\n3,c,3\n").await;
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    drop(half);
    assert_eq!(running(dir.path()).expect("it can be asked"), None, "the lock ends with the process");
    let sandbox = start(Options::new(dir.path()).with_any_ports()).await;
    assert_eq!(sandbox.recovery(), Some(&Recovery::default()), "it was killed with nothing prepared");
    let world = World { dir, sandbox };
    assert_eq!(world.rows(), ["1|'a'|'1.00'"]);
    assert_eq!(world.state("half").await["state"], "UNKNOWN");
    assert_eq!(world.csv("acknowledged", "1,a,1\n").await["ExistingJobStatus"], "FINISHED");
    assert_eq!(world.csv("half", "2,b,2\n3,c,3\n").await["Status"], "Success");
}

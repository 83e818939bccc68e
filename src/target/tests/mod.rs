//! The client against scripted nodes: each test says byte for byte what a node does.

mod cluster;
mod create;
mod load;
mod query;
mod redirect;
mod tls;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Error, LoadSettings, Loaded, Options, StarRocks, Target};
use crate::model::{Chunk, Codec, Label, Origin, Origins, Secret, WireFormat};

/// One connection of a scripted node.
pub(super) struct Peer<S> {
    stream: S,
    /// Requests so far, heads only; shared with the test.
    heads: Arc<Mutex<Vec<String>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads the head of a request. What follows it stays in the stream.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        self.heads.lock().unwrap().push(head.clone());
        head
    }

    pub(super) async fn body(&mut self, bytes: usize) -> Vec<u8> {
        let mut body = vec![0; bytes];
        self.stream.read_exact(&mut body).await.unwrap();
        body
    }

    pub(super) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Answers and says that this is all.
    pub(super) async fn answer(&mut self, status: &str, body: &str) {
        self.write(&format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    }

    pub(super) async fn redirect(&mut self, location: &str) {
        self.write(&format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
            .await;
    }

    /// Everything that comes until the client closes: after an answer without `100 Continue`, nothing may.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset ends the connection as well as a close does.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}

/// A scripted node, until it is dropped.
pub(super) struct Node {
    pub(super) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    /// Connections whose script still runs.
    open: watch::Receiver<usize>,
    /// Whether a script found something that must not be.
    broken: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Node {
    /// Starts a node that does `script` with every connection, one after the other.
    pub(super) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Peer<TcpStream>) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let broken = Arc::new(AtomicBool::new(false));
        let (count, open) = watch::channel(0);
        let (seen, fault) = (Arc::clone(&heads), Arc::clone(&broken));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|open| *open += 1);
                let peer = Peer { stream, heads: Arc::clone(&seen) };
                if AssertUnwindSafe(script(peer)).catch_unwind().await.is_err() {
                    fault.store(true, Ordering::SeqCst);
                }
                count.send_modify(|open| *open -= 1);
            }
        });
        Self { port, heads, open, broken, task }
    }

    /// Waits for the scripts of all connections, and fails the test if one of them failed.
    pub(super) async fn finish(mut self) -> Vec<String> {
        self.open.wait_for(|open| *open == 0).await.unwrap();
        assert!(!self.broken.load(Ordering::SeqCst), "a node saw what it must not see; its panic is above");
        self.heads()
    }

    /// A node that gives every request the same answer.
    pub(super) async fn answering(status: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |mut peer| {
            let body = body.clone();
            async move {
                peer.head().await;
                peer.answer(status, &body).await;
                peer.rest().await;
            }
        })
        .await
    }

    /// A frontend that sends every load to a port of this machine.
    pub(super) async fn redirecting(location: impl Into<String>) -> Self {
        let location = location.into();
        Self::start(move |mut peer| {
            let location = location.clone();
            async move {
                peer.head().await;
                peer.redirect(&location).await;
                assert!(peer.rest().await.is_empty(), "a frontend gets no byte of a body");
            }
        })
        .await
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port on which nothing listens.
pub(super) async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

pub(super) fn options(ports: &[u16]) -> Options {
    let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    let mut options = Options::new(format!("starrocks://user@{hosts}/db/t").parse().unwrap());
    options.password = Secret::new("word".to_owned());
    options.connect_timeout = Duration::from_secs(20);
    options
}

pub(super) fn target(ports: &[u16]) -> StarRocks {
    StarRocks::new(options(ports)).unwrap()
}

pub(super) fn label() -> Label {
    "job-1".parse().unwrap()
}

/// A chunk of two rows in two pieces.
pub(super) fn chunk() -> Chunk {
    chunk_of(vec![Bytes::from_static(b"\"1\"\n"), Bytes::from_static(b"\"2\"\n")], 2)
}

pub(super) fn chunk_of(body: Vec<Bytes>, rows: u64) -> Chunk {
    let body_bytes = body.iter().map(|piece| piece.len() as u64).sum();
    let origin = Origin { line: 1, byte: 0 };
    Chunk {
        body,
        body_bytes,
        text_bytes: body_bytes,
        rows,
        digest: 0,
        format: WireFormat::Csv,
        codec: Codec::None,
        input: 0,
        from: origin,
        to: origin,
        origins: Origins::default(),
    }
}

pub(super) fn success(rows: u64, bytes: u64) -> String {
    format!(
        "{{\n    \"TxnId\": 7,\n    \"Label\": \"job-1\",\n    \"Status\": \"Success\",\n    \"Message\": \"OK\",\n    \
         \"NumberTotalRows\": {rows},\n    \"NumberLoadedRows\": {rows},\n    \"NumberFilteredRows\": 0,\n    \
         \"NumberUnselectedRows\": 0,\n    \"LoadBytes\": {bytes},\n    \"LoadTimeMs\": 3\n}}"
    )
}

pub(super) fn failure(message: &str) -> String {
    format!(r#"{{"TxnId":7,"Label":"job-1","Status":"Fail","Message":"{message}","NumberTotalRows":0}}"#)
}

pub(super) async fn load(target: &StarRocks) -> Result<Loaded, Error> {
    target.load(&label(), &chunk(), &LoadSettings::default()).await
}

/// A node that takes the body and answers so.
pub(super) async fn taking(answer: impl Into<String>) -> Node {
    let answer = answer.into();
    Node::start(move |mut peer| {
        let answer = answer.clone();
        async move {
            peer.head().await;
            peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(peer.body(8).await, b"\"1\"\n\"2\"\n");
            peer.write(&answer).await;
            // Dropping the connection here ends the answer.
        }
    })
    .await
}

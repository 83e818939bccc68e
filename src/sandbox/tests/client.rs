//! A client made of a socket, which does just what a test says.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sandbox::Sandbox;

/// An answer, as it came.
#[derive(Debug)]
pub(super) struct Response {
    /// Every byte that came: `100 Continue` too, if there was one.
    pub(super) raw: String,
}

impl Response {
    /// The status of the last answer in it.
    pub(super) fn status(&self) -> u16 {
        let last = self.raw.rfind("HTTP/1.1 ").expect("an answer");
        self.raw[last + 9..last + 12].parse().expect("a status")
    }

    pub(super) fn continued(&self) -> bool {
        self.raw.starts_with("HTTP/1.1 100 Continue\r\n")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.raw.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn body(&self) -> &str {
        let last = self.raw.rfind("HTTP/1.1 ").expect("an answer");
        self.raw[last..].split_once("\r\n\r\n").expect("an end of headers").1
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_else(|error| panic!("{error}: {}", self.raw))
    }
}

/// A load that goes to the backend directly.
pub(super) struct Load<'a> {
    pub(super) path: &'a str,
    pub(super) user: Option<&'a str>,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

impl Default for Load<'_> {
    fn default() -> Self {
        Self { path: "/api/d/t/_stream_load", user: Some("root:"), headers: &[], body: b"" }
    }
}

impl Load<'_> {
    /// The request up to the body, with an announced length.
    pub(super) fn head(&self, length: usize) -> String {
        let path = self.path;
        let mut head = format!(
            "PUT {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\nConnection: close\r\n"
        );
        if let Some(user) = self.user {
            head.push_str(&authorization(user));
        }
        for (name, value) in self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

pub(super) fn authorization(user: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(user))
}

/// Sends bytes and reads until the other side closes.
pub(super) async fn send(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(bytes).await.expect("it takes a request");
    read(&mut stream).await
}

/// Reads until the other side closes.
pub(super) async fn read(stream: &mut TcpStream) -> Response {
    let mut raw = Vec::new();
    // A reset behind an answer is as good as an end.
    let _ = stream.read_to_end(&mut raw).await;
    Response { raw: String::from_utf8(raw).expect("text") }
}

/// Loads as a careful client does: the body only goes out when it is asked for.
pub(super) async fn load(sandbox: &Sandbox, load: &Load<'_>) -> Response {
    let mut stream = TcpStream::connect(sandbox.addresses().backend).await.expect("it listens");
    stream.write_all(load.head(load.body.len()).as_bytes()).await.expect("it takes a request");
    let mut first = vec![0; 25];
    stream.read_exact(&mut first).await.expect("an answer comes");
    if first.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n") {
        stream.write_all(load.body).await.expect("it takes the body");
    }
    let rest = read(&mut stream).await;
    Response { raw: String::from_utf8(first).expect("text") + &rest.raw }
}

/// A request without a body, by root.
pub(super) async fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, &authorization("root:")).await
}

pub(super) async fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Response {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n");
    send(address, head.as_bytes()).await
}

//! Requests by hand, for what curl cannot express: halves of requests, and requests behind an unsent body.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cluster::{Cluster, Database};
use super::curl;

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// The same where nobody may be there.
    pub(crate) fn try_open(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream })
    }

    /// Sends to somebody who may have gone.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.stream.write_all(bytes.as_ref()).ok()
    }

    /// All that comes until the other side closes, as the last answer in it; nothing if it broke off.
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).ok()?;
        let mut rest = bytes.as_slice();
        loop {
            let end = rest.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end..];
            if !head.starts_with("HTTP/1.1 100") {
                let length = curl::header(&head, "content-length")?.parse().ok()?;
                return Some(Reply { head, body: rest.get(..length)?.to_vec() });
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next status line with its headers; empty when the other side has closed.
    pub(crate) fn head(&mut self) -> String {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && self.stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// The next answer that is not an interim one.
    pub(crate) fn reply(&mut self) -> Reply {
        let mut head = self.head();
        while head.starts_with("HTTP/1.1 100") {
            head = self.head();
        }
        let mut body = Vec::new();
        match curl::header(&head, "content-length") {
            Some(length) => {
                body.resize(length.parse().unwrap(), 0);
                self.stream.read_exact(&mut body).unwrap();
            }
            None => drop(self.stream.read_to_end(&mut body)),
        }
        Reply { head, body }
    }

    /// So many bytes, as text.
    pub(crate) fn body(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// The text of the next answer, which comes in chunks.
    pub(crate) fn chunked_reply(&mut self) -> String {
        let head = self.head();
        assert_eq!(curl::header(&head, "transfer-encoding"), Some("chunked"), "{head}");
        let mut text = String::new();
        loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                size.extend(self.body(1).into_bytes());
            }
            let length = usize::from_str_radix(String::from_utf8(size).unwrap().trim(), 16).unwrap();
            text += &self.body(length);
            self.body(2);
            if length == 0 {
                return text;
            }
        }
    }

    /// Whether the other side closes without another byte; a reset is as good as an end.
    pub(crate) fn closes(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0]), Ok(1))
            && !matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Ends the connection in the middle of whatever it was.
    pub(crate) fn abandon(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        curl::status(&self.head)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        curl::header(&self.head, name)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Cluster {
    /// The head of a request by the cluster's user, without its end.
    pub(crate) fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let credentials = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Basic {credentials}\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

impl Database<'_> {
    /// The head of a Stream Load with a length.
    pub(crate) fn load_head(&self, table: &str, length: u64, headers: &[(&str, &str)]) -> String {
        let length = length.to_string();
        let fixed = [("Expect", "100-continue"), ("Content-Length", length.as_str())];
        let path = format!("/api/{}/{table}/_stream_load", self.name);
        self.cluster.head("PUT", &path, &[&fixed, headers].concat())
    }

    /// A load that has been begun on a backend and now waits for this many bytes.
    pub(crate) fn open_load(&self, table: &str, label: &str, length: u64) -> Connection {
        let mut connection = Connection::open(self.cluster.backend());
        connection.send(self.load_head(table, length, &[("label", label)]));
        let head = connection.head();
        assert!(head.starts_with("HTTP/1.1 100"), "the backend takes the load: {head:?}");
        connection
    }
}

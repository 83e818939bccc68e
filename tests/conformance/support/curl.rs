//! Requests by curl.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value;

/// A request that has not been sent.
#[derive(Clone)]
pub(crate) struct Request {
    arguments: Vec<String>,
    url: String,
    body: Vec<u8>,
    chunked: bool,
}

/// What came back: the blocks of headers on the way (100, 307) and the last one with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status line and headers of every answer, in the order in which they came.
    pub(crate) heads: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, url: &str) -> Self {
        let arguments = ["-sS", "-i", "-X", method, "--expect100-timeout", "60", "--max-time", "120"];
        let arguments = arguments.map(str::to_owned).to_vec();
        Self { arguments, url: url.to_owned(), body: Vec::new(), chunked: false }
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn user(self, name: &str, password: &str) -> Self {
        self.with(&["-u", &format!("{name}:{password}")])
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.with(&["-H", &format!("{name}: {value}")])
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers.iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Follows redirects, with the password.
    pub(crate) fn follow(self) -> Self {
        self.with(&["--location-trusted"])
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sends the body in chunks, without a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    pub(crate) fn send(self) -> Answer {
        let told = format!("curl {:?} {}", self.arguments, self.url);
        self.attempt().unwrap_or_else(|output| panic!("{told}: {output:?}"))
    }

    /// Sends where the connection may break: what curl says then.
    pub(crate) fn attempt(self) -> Result<Answer, Output> {
        let upload: &[&str] = match (self.chunked, self.arguments.iter().any(|argument| argument == "GET")) {
            (true, _) => &["-T", "-"],
            (false, true) => &[],
            (false, false) => &["-H", "Content-Type:", "--data-binary", "@-"],
        };
        let mut child = Command::new("curl")
            .args(&self.arguments)
            .args(upload)
            .arg(&self.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("curl is needed for these tests");
        let mut stdin = child.stdin.take().unwrap();
        let body = self.body;
        // curl may get its answer before it has read everything.
        let writer = thread::spawn(move || drop(stdin.write_all(&body)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        if output.status.success() { Ok(Answer::of(&output.stdout)) } else { Err(output) }
    }

    /// Sends and reads the body as JSON.
    pub(crate) fn json(self) -> Value {
        self.send().json()
    }
}

impl Answer {
    fn of(mut bytes: &[u8]) -> Self {
        let mut heads = Vec::new();
        while bytes.starts_with(b"HTTP/1.") {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("headers end");
            heads.push(String::from_utf8_lossy(&bytes[..end]).into_owned());
            bytes = &bytes[end + 4..];
        }
        assert!(!heads.is_empty(), "no answer: {bytes:?}");
        Self { heads, body: bytes.to_vec() }
    }

    pub(crate) fn status(&self) -> u16 {
        status(self.heads.last().unwrap())
    }

    /// A header of the last answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.heads.last().unwrap(), name)
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.heads.iter().map(|head| status(head)).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.heads, self.text()))
    }

    /// A text field of the JSON answer; empty where there is none.
    pub(crate) fn field(&self, name: &str) -> String {
        field(&self.json(), name)
    }
}

pub(crate) fn status(head: &str) -> u16 {
    head[9..12].parse().unwrap()
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A text field; empty where there is none.
pub(crate) fn field(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// A count; panics where there is none.
pub(crate) fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("no number `{name}` in {value}"))
}

/// The names of an object's fields, in their order.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

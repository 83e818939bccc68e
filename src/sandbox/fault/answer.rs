//! Answers that are not the node's, or not as the node gave them.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::effect::{Length, Say, Target, Wire};
use super::socket::{Socket, Then};
use crate::sandbox::http::{self, Reply};

/// The longest answer that is kept back to be falsified. Only rows of a query can be longer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Where nobody listens: this port belongs to a service that no system runs any more.
const DEAD: &str = "http://127.0.0.1:1";

/// An answer that the node knows nothing of.
pub(super) fn say(say: Say, head: &Parts, socket: &Socket) -> Reply {
    match say {
        Say::Html(status) => http::reply(status, "text/html", page(status)),
        Say::Redirect(target) => {
            let mut reply = http::reply(StatusCode::TEMPORARY_REDIRECT, "text/html", Bytes::new());
            // A request target has no bytes that a header may not have, and a location was checked when it was read.
            if let Ok(location) = HeaderValue::from_str(&location(&target, head, socket)) {
                reply.headers_mut().insert(LOCATION, location);
            }
            reply
        }
        Say::Answer { status, body, content_type } => {
            let mut reply = http::reply(status, "", body);
            set_content_type(&mut reply, content_type);
            reply
        }
    }
}

/// An answer that keeps its connection as long as the one would have that it replaces.
pub(super) fn in_place_of(reply: &Reply, mut other: Reply) -> Reply {
    if let Some(connection) = reply.headers().get(CONNECTION) {
        other.headers_mut().insert(CONNECTION, connection.clone());
    }
    other
}

/// Falsifies an answer. The error says why it could not.
pub(super) async fn falsify(
    mut reply: Reply,
    wire: &Wire,
    head: &Parts,
    socket: &Socket,
) -> Result<Reply, &'static str> {
    if let Wire::ContentType(value) = wire {
        set_content_type(&mut reply, value.clone());
        return Ok(reply);
    }
    let (mut parts, body) = reply.into_parts();
    let body = whole(body).await?;
    // Of a HEAD request and of these statuses only the head goes out.
    let bodyless = head.method == Method::HEAD || matches!(parts.status.as_u16(), 204 | 304);
    let sent = if bodyless { 0 } else { body.len() };
    let part = |bytes: Option<usize>| bytes.unwrap_or(body.len() / 2).min(body.len());
    let body = match wire {
        Wire::Duplicate => {
            socket.hold(sent, Then::Twice);
            body
        }
        Wire::Truncate { bytes, length: Length::Full } => {
            socket.hold(sent, Then::Part(part(*bytes)));
            body
        }
        Wire::Truncate { bytes, length: Length::Matching } => {
            parts.headers.remove(CONTENT_LENGTH);
            body.slice(..part(*bytes))
        }
        _ => {
            parts.headers.remove(CONTENT_LENGTH);
            Bytes::new()
        }
    };
    Ok(Reply::from_parts(parts, Either::Left(Full::new(body))))
}

async fn whole(mut body: Either<Full<Bytes>, http::Pieces>) -> Result<Bytes, &'static str> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err("the answer broke off by itself") };
        let bytes = frame.into_data().unwrap_or_default();
        if whole.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err("the answer is longer than 4 MiB, so the connection was closed");
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.freeze())
}

fn set_content_type(reply: &mut Reply, value: Option<HeaderValue>) {
    match value {
        Some(value) => reply.headers_mut().insert(CONTENT_TYPE, value),
        None => reply.headers_mut().remove(CONTENT_TYPE),
    };
}

/// What a proxy says that has nobody to ask.
fn page(status: StatusCode) -> String {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}

fn location(target: &Target, head: &Parts, socket: &Socket) -> String {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    match target {
        Target::Itself => match head.headers.get(HOST).and_then(|host| host.to_str().ok()) {
            Some(host) => format!("http://{host}{path}"),
            None => format!("http://{}{path}", socket.local()),
        },
        Target::Dead => format!("{DEAD}{path}"),
        Target::Location(location) => {
            let has_path = location.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            if has_path { location.clone() } else { format!("{location}{path}") }
        }
    }
}

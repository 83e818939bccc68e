//! HTTP for both nodes: accepting connections, answers, Basic authentication, paths and queries.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::conversation::Conversation;
pub(super) use super::fault::Incoming;
use super::fault::{Gate, Socket, Tap};
use super::patient::{Patient, STALL};

/// How much of a body a connection reads ahead.
const READ_BYTES_MAX: usize = 256 * 1024;
/// How long to rest when the system has no more connections to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take for a head, and how long a connection may wait for the next one.
const HEAD_PATIENCE: Duration = Duration::from_mins(1);
/// How many loads and how many queries may be on their way at once. Each has a thread of those that block, which are
/// 512, and the rest is for what is over in a moment.
pub(super) static LOADS: Semaphore = Semaphore::const_new(300);
pub(super) static QUERIES: Semaphore = Semaphore::const_new(100);

/// An answer. The rows of a query are sent in pieces, so that memory does not grow with them.
pub(super) type Reply = Response<Either<Full<Bytes>, Pieces>>;

/// The body of an answer that is made while it is sent. An error breaks the connection off.
pub(super) struct Pieces(pub(super) mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Both ends of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
}

/// A node: what answers requests.
pub(super) trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(self: Arc<Self>, request: Request<Incoming>, ends: Ends) -> impl Future<Output = Reply> + Send;
}

/// Serves a node until it is told to stop; then lets the requests that are being answered finish, but does not wait for
/// them longer than `patience`, if there is one.
pub(super) async fn serve(
    listener: TcpListener,
    handler: Arc<impl Handler>,
    gate: Gate,
    mut shutdown: watch::Receiver<bool>,
    patience: Option<Duration>,
) {
    let gate = Arc::new(gate);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, remote)) => {
                    let (handler, gate) = (Arc::clone(&handler), Arc::clone(&gate));
                    connections.spawn(connection(stream, remote, handler, gate, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    match patience {
        None => finished.await,
        Some(patience) => {
            let _ = tokio::time::timeout(patience, finished).await;
            connections.shutdown().await;
        }
    }
}

/// Resolves when the sandbox is to stop, or nobody is left who could say so.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    handler: Arc<impl Handler>,
    gate: Arc<Gate>,
    mut shutdown: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are small, and a client waits for each.
    let _ = stream.set_nodelay(true);
    let ends = Ends { local: local.ip(), remote: remote.ip() };
    let socket = Socket::new(stream, local);
    if !gate.admit(&socket, &shutdown).await {
        return;
    }
    let (tap, stop) = (Tap(Arc::clone(&socket)), shutdown.clone());
    let ended = Arc::clone(&socket);
    let conversation = Arc::new(Conversation::default());
    let remembered = Arc::clone(&conversation);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&remembered));
        let (handler, gate) = (Arc::clone(&handler), Arc::clone(&gate));
        let passed = gate.pass(handler, request, ends, Arc::clone(&socket), stop.clone());
        async move { Ok::<_, Infallible>(passed.await) }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(READ_BYTES_MAX)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(Patient::new(tap, STALL)), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        // A request whose connection a fault has ended is dropped, as it is when a client goes away.
        () = ended.ended() => return,
        () = stopped(&mut shutdown) => {
            ended.hasten();
            None
        }
        () = conversation.killed() => None,
    };
    let served = if let Some(served) = served {
        served
    } else {
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            served = connection => served,
            () = ended.ended() => return,
        }
    };
    if let Err(error) = served {
        tracing::debug!(error = %error, remote = %remote, "a connection ended early");
    }
}

/// An answer with a body of some type.
pub(super) fn reply(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    *reply.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        reply.headers_mut().insert(CONTENT_TYPE, value);
    }
    reply
}

/// An answer in JSON, as the frontend writes it: on one line.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    reply(status, "application/json", serde_json::to_vec(body).expect("an answer is plain data"))
}

/// An answer in JSON, as the backend writes it: indented by four blanks.
pub(super) fn pretty(body: &impl Serialize) -> Reply {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    body.serialize(&mut serializer).expect("an answer is plain data");
    reply(StatusCode::OK, "application/json", out)
}

/// Says that there is nothing at this path.
pub(super) fn not_found() -> Reply {
    reply(StatusCode::NOT_FOUND, "text/plain", "Not Found")
}

/// Has the connection closed behind an answer.
pub(super) fn closing(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// Runs what may block on a thread for it.
pub(super) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The same for what may take long, when its turn comes.
pub(super) fn patiently<R: Send + 'static>(
    turns: &'static Semaphore,
    work: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    tokio::spawn(async move {
        let turn = turns.acquire().await.expect("nobody closes it");
        let result = blocking(work).await;
        drop(turn);
        result
    })
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl Credentials {
    /// Reads Basic authentication; `None` when there is none, or not of that kind.
    pub(super) fn parse(headers: &HeaderMap) -> Option<Self> {
        let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        // The password may hold colons, the name may not.
        let (user, password) = decoded.split_once(':')?;
        let user = user.split_once('@').map_or(user, |(user, _)| user);
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

/// The segments of a path, decoded; `None` when one is not text.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// The segments of a path as they came, for releases that do not decode them.
pub(super) fn raw_segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// The value of a query parameter.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(header: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(header).expect("a header"));
        Credentials::parse(&headers).map(|found| (found.user, found.password))
    }

    #[test]
    fn basic_credentials_are_cut_at_the_first_colon_and_the_at_sign() {
        for (plain, user, password) in
            [("root:", "root", ""), ("u:a:b", "u", "a:b"), ("u@cluster:p@q", "u", "p@q"), (":x", "", "x")]
        {
            let header = format!("Basic {}", STANDARD.encode(plain));
            assert_eq!(credentials(&header), Some((user.to_owned(), password.to_owned())), "{plain}");
        }
        for header in ["Bearer x", "Basic", "Basic ???", "Basic cm9vdA=="] {
            assert_eq!(credentials(header), None, "{header}");
        }
    }

    #[test]
    fn paths_and_queries_are_decoded() {
        assert_eq!(segments("/api/d%C3%BC/t/_x"), Some(vec!["api".into(), "dü".into(), "t".into(), "_x".into()]));
        assert_eq!(segments("/%ff"), None);
        assert_eq!(parameter(Some("a=1&label=x%2Dy"), "label"), Some("x-y".to_owned()));
        assert_eq!(parameter(Some("a=1"), "label"), None);
        assert_eq!(parameter(None, "label"), None);
    }
}

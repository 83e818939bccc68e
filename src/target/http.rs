//! One HTTP/1.1 exchange on a connection of its own.
//!
//! A connection carries one request. Frontends close after every Stream Load anyway, and where they do not, an unsent body
//! would desynchronise the next request (SR §1.3); next to a load of many megabytes a handshake costs nothing.
//!
//! A *held* body waits for `100 Continue`: none of its bytes leaves before. Whether any has left is in the outcome of every
//! exchange ([`Answer::sent`], [`Fault::stage`]), because everything that may be done about a failure hangs on it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::connect::Connector;
use super::error::{ANSWER_TOO_LONG, NO_ANSWER_WITHIN};
use super::url::Address;
use crate::model::ByteCount;

/// What is sent behind the headers.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    /// Nothing.
    Nothing,
    /// A few bytes, at once.
    Now(&'a Bytes),
    /// A body, after `100 Continue`.
    Held(&'a [Bytes]),
}

/// One request, apart from the address it goes to.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query, encoded.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Outgoing<'a>,
    /// The longest answer that is read, in bytes.
    pub(super) answer_bytes_max: usize,
}

/// How long an exchange may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the request to `100 Continue` or the head of the answer.
    pub(super) first: Duration,
    /// From the request to the end of the answer.
    pub(super) whole: Duration,
}

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether a byte of the body may have left before the answer came.
    pub(super) sent: bool,
}

/// How far an exchange came before it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The name has no address.
    Resolve,
    /// No connection, or no TLS on it.
    Connect,
    /// The request may have been seen, but no byte of its body has left.
    Asked,
    /// Bytes of the body may have left.
    Sent,
}

/// An exchange without a complete answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) stage: Stage,
    pub(super) reason: String,
}

/// Sends one request and reads its answer.
pub(super) async fn exchange(
    connector: &Connector,
    address: &Address,
    call: &Call<'_>,
    patience: Patience,
) -> Result<Answer, Fault> {
    #[cfg(test)]
    if let Some(wire) = &connector.wire {
        return super::simulated::exchange(wire.as_ref(), address, call, patience).await;
    }
    let stream = connector.connect(address).await?;
    let sent = Arc::new(AtomicBool::new(false));
    let stage = || if sent.load(Ordering::Acquire) { Stage::Sent } else { Stage::Asked };
    let fault = |reason| Fault { stage: stage(), reason };
    let (request, asked) = prepare(address, call, &sent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| fault(innermost(&error)))?;

    let started = Instant::now();
    let answer = async {
        let response = respond(sender.send_request(request), asked, started + patience.first).await;
        let response = response.map_err(|lost| match lost {
            Lost::Silence => fault(silence(patience.first, call.body)),
            Lost::Broken(error) => fault(broken(&error)),
        })?;
        let (head, incoming) = response.into_parts();
        let body = collect(incoming, call.answer_bytes_max).await.map_err(fault)?;
        Ok(Answer { status: head.status, headers: head.headers, body, sent: stage() == Stage::Sent })
    };
    let driven = drive(connection, answer);
    timeout_at(started + patience.whole, driven)
        .await
        .unwrap_or_else(|_| Err(fault(format!("{NO_ANSWER_WITHIN} {} s", patience.whole.as_secs()))))
}

/// How waiting for the head of an answer can fail.
enum Lost {
    Silence,
    Broken(hyper::Error),
}

/// Waits for the head of the final answer. What must come until `first` is that, or `100 Continue`.
async fn respond(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    asked: oneshot::Receiver<()>,
    first: Instant,
) -> Result<Response<Incoming>, Lost> {
    let mut response = pin!(response);
    let asked = async {
        // The sender goes without a word when the final answer comes first; then that is what to wait for.
        if asked.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        response = &mut response => return response.map_err(Lost::Broken),
        () = asked => {}
        () = tokio::time::sleep_until(first) => return Err(Lost::Silence),
    }
    response.await.map_err(Lost::Broken)
}

fn silence(waited: Duration, body: Outgoing<'_>) -> String {
    match body {
        Outgoing::Held(_) => format!("neither `100 Continue` nor an answer within {} s", waited.as_secs()),
        Outgoing::Nothing | Outgoing::Now(_) => format!("{NO_ANSWER_WITHIN} {} s", waited.as_secs()),
    }
}

/// The request, and the word that `100 Continue` has come for it.
fn prepare(
    address: &Address,
    call: &Call<'_>,
    sent: &Arc<AtomicBool>,
) -> Result<(Request<Pieces>, oneshot::Receiver<()>), Fault> {
    let invalid = |reason: String| Fault { stage: Stage::Connect, reason };
    let uri = call.path.parse::<Uri>().map_err(|error| invalid(error.to_string()))?;
    let host = HeaderValue::from_str(&address.to_string()).map_err(|error| invalid(error.to_string()))?;
    let (open, gate) = oneshot::channel();
    let (tell, asked) = oneshot::channel();
    let (waiting, gate) = match call.body {
        Outgoing::Nothing => (VecDeque::new(), None),
        Outgoing::Now(bytes) => (VecDeque::from([bytes.clone()]), None),
        Outgoing::Held(pieces) => (pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect(), Some(gate)),
    };
    let left = waiting.iter().map(|piece| piece.len() as u64).sum();
    let mut request = Request::new(Pieces { waiting, left, gate, unwanted: false, sent: Arc::clone(sent) });
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = call.headers.clone();
    request.headers_mut().insert(HOST, host);
    let senders = Mutex::new(Some([open, tell]));
    hyper::ext::on_informational(&mut request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            let senders = senders.lock().unwrap_or_else(PoisonError::into_inner).take();
            for sender in senders.into_iter().flatten() {
                // A receiver that is gone has stopped waiting; there is nobody to tell.
                let _ = sender.send(());
            }
        }
    });
    Ok((request, asked))
}

/// Runs the connection until the answer is there. Both are dropped together, which closes the socket.
async fn drive<T>(connection: impl Future<Output = hyper::Result<()>>, answer: impl Future<Output = T>) -> T {
    let mut connection = pin!(connection);
    let mut answer = pin!(answer);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            // How it ended reaches the answer's future through hyper's channel.
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn collect(mut incoming: Incoming, bytes_max: usize) -> Result<Bytes, String> {
    let mut whole = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| format!("the answer breaks off: {}", innermost(&error)))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > bytes_max {
                return Err(format!("{ANSWER_TOO_LONG} {}", ByteCount(bytes_max as u64)));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// The last cause of an error: the system's own words, without the number that it gives them.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let words = last.to_string();
    words.split_once(" (os error ").map_or(words.as_str(), |(words, _)| words).to_owned()
}

/// Why an exchange broke off. A peer that speaks first, as MySQL's port does, breaks off as well as one that answers
/// with something else than HTTP.
fn broken(error: &hyper::Error) -> String {
    const SPOKE_FIRST: &str = "received unexpected message from connection";
    let words = innermost(error);
    if error.is_parse() || words == SPOKE_FIRST { "what it says is no HTTP".to_owned() } else { words }
}

/// A request's body: the pieces of a chunk, as they are, once the gate is open.
struct Pieces {
    waiting: VecDeque<Bytes>,
    left: u64,
    gate: Option<oneshot::Receiver<()>>,
    unwanted: bool,
    sent: Arc<AtomicBool>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.unwanted {
            return Poll::Pending;
        }
        if let Some(gate) = &mut self.gate {
            match Pin::new(gate).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.gate = None,
                // hyper drops the callback, and the sender with it, as soon as a final answer is there. The body is not
                // wanted then, and stays where it is.
                Poll::Ready(Err(_)) => {
                    self.unwanted = true;
                    return Poll::Pending;
                }
            }
        }
        let piece = self.waiting.pop_front();
        if let Some(piece) = &piece {
            self.left -= piece.len() as u64;
            self.sent.store(true, Ordering::Release);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

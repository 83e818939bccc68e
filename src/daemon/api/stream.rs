//! `GET /v1/events`: what happens, as server-sent events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::Call;
use super::body::{Body, Reply};
use crate::daemon::events::Event;

/// How often a line without meaning is sent, so that neither end takes the other for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Pieces between the events and a slow listener.
const PIECES_MAX: usize = 64;

/// The number of the event that a listener has heard last.
const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// Sends events until the listener goes, or the service ends. `job` chooses those of one.
pub(super) fn events(call: &Call) -> Reply {
    let last = call.request.headers().get(LAST).and_then(|value| value.to_str().ok()?.parse().ok());
    let only = call.parameter("job");
    let (missed, mut now) = call.service.events.listen(last);
    let (sender, pieces) = mpsc::channel::<io::Result<Bytes>>(PIECES_MAX);
    let mut ended = call.service.ended();
    tokio::spawn(async move {
        let wanted = |event: &Arc<Event>| only.as_ref().is_none_or(|only| *only == event.id);
        let piece = |text: String| Ok(Bytes::from(text));
        if sender.send(piece("retry: 3000\n\n".to_owned())).await.is_err() {
            return;
        }
        for event in missed.iter().filter(|event| wanted(event)) {
            if sender.send(piece(event.wire())).await.is_err() {
                return;
            }
        }
        loop {
            let text = tokio::select! {
                heard = now.recv() => match heard {
                    Ok(event) if wanted(&event) => event.wire(),
                    Ok(_) => continue,
                    // It has to ask for the state of things anew.
                    Err(RecvError::Lagged(missed)) => format!("event: lost\ndata: {{\"events\":{missed}}}\n\n"),
                    Err(RecvError::Closed) => return,
                },
                () = tokio::time::sleep(HEARTBEAT) => ":\n\n".to_owned(),
                _ = ended.wait_for(|ended| *ended) => return,
                () = sender.closed() => return,
            };
            if sender.send(piece(text)).await.is_err() {
                return;
            }
        }
    });
    let mut reply = Reply::new(Body::pieces(pieces));
    *reply.status_mut() = StatusCode::OK;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

//! Bodies: of requests, read within limits, and of answers, whole or piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use super::problem::Problem;
use crate::config::service::Server;
use crate::daemon::listen::AtWork;
use crate::failure::Code;

/// An answer.
pub(in crate::daemon) type Reply = Response<Body>;

/// The body of an answer.
pub(in crate::daemon) struct Body {
    content: Content,
    /// The connection is at work until this is sent.
    _at_work: Option<AtWork>,
}

enum Content {
    Whole(Full<Bytes>),
    /// Made while it is sent; an error breaks the connection off.
    Pieces(Receiver<io::Result<Bytes>>),
}

impl Body {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(Full::new(bytes.into())), _at_work: None }
    }

    pub(super) fn pieces(pieces: Receiver<io::Result<Bytes>>) -> Self {
        Self { content: Content::Pieces(pieces), _at_work: None }
    }

    pub(super) fn of(self, at_work: AtWork) -> Self {
        Self { _at_work: Some(at_work), ..self }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.content {
            Content::Whole(whole) => Pin::new(whole).poll_frame(context).map_err(|never| match never {}),
            Content::Pieces(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(whole) if whole.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(whole) => whole.size_hint(),
            Content::Pieces(_) => SizeHint::default(),
        }
    }
}

/// An answer with a body of some type.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::new(Body::whole(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    reply(status, "application/json", serde_json::to_vec(body).expect("an answer is plain data"))
}

/// An answer in words.
pub(super) fn text(body: impl Into<Bytes>) -> Reply {
    reply(StatusCode::OK, "text/plain; charset=utf-8", body)
}

/// Reads the body of a request that is no upload.
pub(super) async fn read(request: Request<Incoming>, server: &Server) -> Result<Bytes, Problem> {
    let max = server.body_bytes_max;
    let too_large = || {
        Problem::new(Code::TooMuch, format!("the body is larger than {max}"))
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
            .with_hint("make it smaller, or raise server.body_bytes_max")
    };
    let mut body = request.into_body();
    // Refused before a byte is read, where its size is told.
    if body.size_hint().lower() > max.0 {
        return Err(too_large());
    }
    let reading = async {
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Problem::new(Code::RequestWrong, format!("the body broke off: {error}")))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if (whole.len() + bytes.len()) as u64 > max.0 {
                return Err(too_large());
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    };
    tokio::time::timeout(server.body_timeout, reading).await.unwrap_or_else(|_| {
        let seconds = server.body_timeout.as_secs_f64();
        let problem = Problem::new(Code::TooMuch, format!("the body did not come within {seconds} s"));
        Err(problem.with_status(StatusCode::REQUEST_TIMEOUT).with_hint("send it faster, or raise server.body_timeout"))
    })
}

//! A network that is not there, for simulations: what [`http`](super::http) would have exchanged with a node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderMap;

use super::http::{Answer, Call, Fault, Outgoing, Patience, Stage};
use super::url::Address;
use super::{Error, Options, StarRocks};

/// A request, as a node would read it.
#[derive(Debug)]
pub(crate) struct Request {
    /// `host:port`.
    pub(crate) to: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// A body that waits for `100 Continue`.
    pub(crate) held: Option<Bytes>,
    /// How long the first word of an answer, or `100 Continue`, may take.
    pub(crate) first: Duration,
    /// How long all of it may take.
    pub(crate) whole: Duration,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a node answers.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Whether a byte of the body may have left.
    pub(crate) sent: bool,
}

/// Why there is no answer: how far it came, and what happened.
#[derive(Clone, Debug)]
pub(crate) enum Lost {
    /// No connection.
    Connect(String),
    /// The request may have been read, and nothing of its body has left.
    Asked(String),
    /// Bytes of the body may have left.
    Sent(String),
}

/// Carries requests to nodes.
#[async_trait]
pub(crate) trait Wire: Send + Sync {
    async fn exchange(&self, request: Request) -> Result<Response, Lost>;
}

impl StarRocks {
    /// A target behind a network that is not there.
    pub(crate) fn simulated(options: Options, wire: Arc<dyn Wire>) -> Result<Self, Error> {
        let mut target = Self::new(options)?;
        target.route.connector.wire = Some(wire);
        Ok(target)
    }
}

/// One exchange over it.
pub(super) async fn exchange(
    wire: &dyn Wire,
    address: &Address,
    call: &Call<'_>,
    patience: Patience,
) -> Result<Answer, Fault> {
    let held = match call.body {
        Outgoing::Held(pieces) => Some(Bytes::from(pieces.concat())),
        Outgoing::Nothing | Outgoing::Now(_) => None,
    };
    let request = Request {
        to: format!("{}:{}", address.host, address.port),
        path: call.path.clone(),
        headers: call.headers.clone(),
        held,
        first: patience.first,
        whole: patience.whole,
    };
    match wire.exchange(request).await {
        Ok(response) => {
            let mut headers = HeaderMap::new();
            for (name, value) in response.headers {
                headers.insert(name, value.parse().unwrap());
            }
            Ok(Answer {
                status: StatusCode::from_u16(response.status).unwrap(),
                headers,
                body: Bytes::from(response.body),
                sent: response.sent,
            })
        }
        Err(Lost::Connect(reason)) => Err(Fault { stage: Stage::Connect, reason }),
        Err(Lost::Asked(reason)) => Err(Fault { stage: Stage::Asked, reason }),
        Err(Lost::Sent(reason)) => Err(Fault { stage: Stage::Sent, reason }),
    }
}

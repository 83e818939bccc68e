//! HTTP: a request finds its route, shows that it may, and gets an answer or a problem document.

mod admin;
mod body;
mod cluster;
mod dashboard;
mod jobs;
pub(super) mod problem;
pub(super) mod profile;
mod routes;
mod stream;
mod upload;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SERVER};
use hyper::{Request, Response};

pub(super) use body::Body;
use body::Reply;
use problem::Problem;
use routes::{Endpoint, Found};

use super::auth;
use super::listen::AtWork;
use super::service::Service;
use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::metric;

/// What the service calls itself.
const NAME: &str = concat!("shipload/", env!("CARGO_PKG_VERSION"));

/// A request on its way to its answer.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) request: Request<Incoming>,
    /// The variable segments of its path.
    pub(super) segments: Vec<String>,
}

impl Call {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Every parameter of the query, in order.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = self.request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect()
    }
}

/// Answers a request.
pub(super) async fn answer(service: Arc<Service>, request: Request<Incoming>, at_work: AtWork) -> Response<Body> {
    let started = SystemClock.instant();
    let method = request.method().clone();
    let found = routes::find(&method, request.uri().path());
    let path = found.as_ref().map_or("other", |found| found.route.path);
    let answered = match found {
        Ok(found) => allowed(&service, request, found).await,
        Err(problem) => Err(problem),
    };
    let mut reply = answered.unwrap_or_else(|problem| {
        service.metrics.add(&metric::REFUSED, &[problem.code().as_str()], 1.0);
        tracing::info!(code = %problem.code(), "{method} {path} was refused: {}", problem.detail());
        problem.reply()
    });
    reply.headers_mut().insert(SERVER, HeaderValue::from_static(NAME));
    if service.is_draining() {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = reply.status().as_u16().to_string();
    service.metrics.add(&metric::REQUESTS, &[routes::word(&method), path, &status], 1.0);
    service.metrics.observe(&metric::REQUEST_TIME, &[path], (SystemClock.instant() - started).as_secs_f64());
    reply.map(|body| body.of(at_work))
}

async fn allowed(service: &Arc<Service>, request: Request<Incoming>, found: Found) -> Result<Reply, Problem> {
    if let Some(needed) = found.route.access {
        auth::check(&service.config(), request.headers(), needed)?;
    }
    let call = Call { service: Arc::clone(service), request, segments: found.segments };
    match found.route.endpoint {
        Endpoint::Health => Ok(admin::health()),
        Endpoint::Ready => admin::ready(&call),
        Endpoint::Status => Ok(admin::status(&call)),
        Endpoint::Metrics => Ok(admin::metrics(&call)),
        Endpoint::Config => Ok(admin::config(&call)),
        Endpoint::LogLevel => admin::log_level(call).await,
        Endpoint::ProfileCpu => profile::cpu(call).await,
        Endpoint::ProfileMemory => profile::memory(&call),
        Endpoint::Errors => admin::error_page(&call),
        Endpoint::OpenApi => Ok(admin::open_api()),
        Endpoint::Dashboard => Ok(dashboard::page()),
        Endpoint::Nodes => Ok(cluster::nodes(&call)),
        Endpoint::ClusterStatus => Ok(cluster::status(call).await),
        Endpoint::Jobs => jobs::list(&call),
        Endpoint::Submit => jobs::submit(call).await,
        Endpoint::Job => jobs::show(&call),
        Endpoint::Cancel => jobs::cancel(call).await,
        Endpoint::Resume => jobs::resume(&call),
        Endpoint::Report => jobs::report(&call),
        Endpoint::Rejects => jobs::rejects(&call),
        Endpoint::Events => Ok(stream::events(&call)),
        Endpoint::Load => upload::load(call).await,
    }
}

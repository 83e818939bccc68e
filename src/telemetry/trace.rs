//! Traces: spans of jobs, loads and attempts, sent to a collector by OTLP over HTTP.
//!
//! The spans are those whose names the log shows. A batch of them is sent every few seconds on a thread of its own, which no job
//! waits for: what a collector does not take is dropped, and the log says so once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long a collector may take for a batch.
const EXPORT_MAX: Duration = Duration::from_secs(10);

/// Bytes of its answer, at most.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where spans go.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends them to the collector at `http://HOST:PORT`.
    ///
    /// # Errors
    /// When that is no such address, or the system gives no threads.
    pub fn to(endpoint: &str) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new().map_err(|error| error.to_string())?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(EXPORT_MAX)
            .build()
            .map_err(|error| error.to_string())?;
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("shipload").with_attribute(version).build();
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build()))
    }

    /// What hears of spans, whatever the log shows.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let ours = |about: &Metadata<'_>| about.target().starts_with("shipload") && *about.level() <= Level::INFO;
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("shipload"));
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        layer.with_filter(filter_fn(ours).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, for as long as that may take.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!("the last spans are lost: {error}");
        }
    }
}

/// One request at a time, on the thread of whoever exports.
#[derive(Debug)]
struct Client {
    runtime: Runtime,
    /// Whether the last batch was lost, so that this is said once.
    failing: AtomicBool,
}

impl Client {
    fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, failing: AtomicBool::new(false) })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.block_on(async { tokio::time::timeout(EXPORT_MAX, send(request)).await });
        let answer = sent.map_err(HttpError::from).and_then(|answer| answer);
        let failed = !matches!(&answer, Ok(answer) if answer.status().is_success());
        let failed_before = self.failing.swap(failed, Ordering::Relaxed);
        if failed && !failed_before {
            let why = answer.as_ref().map_or_else(ToString::to_string, |answer| answer.status().to_string());
            tracing::warn!("the collector does not take spans, which are lost meanwhile: {why}");
        }
        answer
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("the address has no host")?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = request.map(Full::new);
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse()?;
    *request.uri_mut() = path;
    // Its end is no error: a collector may close the connection as soon as it has answered.
    let driving = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    driving.abort();
    Ok(Response::from_parts(head, body))
}

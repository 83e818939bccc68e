//! How the service is: for load balancers, for Prometheus, for people.

use hyper::StatusCode;
use serde_json::json;

use super::Call;
use super::body::{self, Reply};
use super::problem::Problem;
use crate::clock::rfc3339;
use crate::failure::Code;

/// The process lives: nothing else is looked at.
pub(super) fn health() -> Reply {
    body::json(StatusCode::OK, &json!({}))
}

/// New work is taken.
pub(super) fn ready(call: &Call) -> Result<Reply, Problem> {
    if call.service.is_draining() {
        return Err(Problem::new(Code::Stopping, "the service is stopping").with_retry(5));
    }
    Ok(health())
}

pub(super) fn status(call: &Call) -> Reply {
    let service = &call.service;
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": crate::daemon::service::REVISION,
        "hostname": crate::daemon::service::host_name(),
        "pid": std::process::id(),
        "started_at": rfc3339(service.started),
        "draining": service.is_draining(),
        "connections": service.connections.count(),
    });
    body::json(StatusCode::OK, &status)
}

pub(super) fn metrics(call: &Call) -> Reply {
    call.service.measure();
    let text = call.service.metrics.text();
    body::reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

pub(super) fn config(call: &Call) -> Reply {
    body::text(call.service.config().to_toml())
}

/// Takes directives as they are, and no JSON: `info`, `shipload=debug`.
pub(super) async fn log_level(call: Call) -> Result<Reply, Problem> {
    let server = call.service.config().server.clone();
    let directives = body::read(call.request, &server).await?;
    let directives = String::from_utf8_lossy(&directives).trim().to_owned();
    let wrong = |why: String| {
        Problem::new(Code::RequestWrong, why)
            .with_hint("send error, warn, info, debug, trace, or directives: `info,shipload=debug`")
    };
    if directives.is_empty() {
        return Err(wrong("the body is empty".to_owned()));
    }
    let (old, new) = call.service.level.change(&directives).map_err(wrong)?;
    tracing::info!("what is logged changed from {old} to {new}");
    Ok(body::text(format!("Log Level changed from {old} to {new}")))
}

/// The description of this API.
const OPEN_API: &str = include_str!("../../../docs/openapi.json");

pub(super) fn open_api() -> Reply {
    body::reply(StatusCode::OK, "application/json", OPEN_API)
}

/// The page of an error code, which problem documents name as their type.
pub(super) fn error_page(call: &Call) -> Result<Reply, Problem> {
    let wanted = &call.segments[0];
    let code =
        Code::named(wanted).ok_or_else(|| Problem::new(Code::NothingThere, format!("there is no code {wanted}")))?;
    Ok(body::reply(StatusCode::OK, "text/markdown; charset=utf-8", code.page()))
}

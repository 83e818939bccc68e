//! `GET /v1/cluster/nodes` and `/v1/cluster/status`: this service, and the nodes of its targets.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::body::{self, Reply};
use crate::clock::rfc3339;
use crate::daemon::jobs::entry::State;
use crate::daemon::jobs::run::here;
use crate::failure::chain;

/// This service as a node among its like; there is one.
fn own(call: &Call) -> Value {
    let address = call.service.address();
    json!({
        "name": crate::daemon::service::host_name(),
        "endpoint": {"addr": address.ip().to_string(), "port": address.port()},
        "version": env!("CARGO_PKG_VERSION"),
    })
}

pub(super) fn nodes(call: &Call) -> Reply {
    body::json(StatusCode::OK, &json!([own(call)]))
}

/// How the service stands, and how each node of each target is: asked for now.
pub(super) async fn status(call: Call) -> Reply {
    let service = &call.service;
    let config = service.config();
    let mut targets = Vec::new();
    for name in config.targets.keys() {
        targets.push(target(&call, name).await);
    }
    let standing = service.jobs.standing();
    let status = json!({
        "node": own(&call),
        "started_at": rfc3339(service.started),
        "draining": service.is_draining(),
        "jobs": {"waiting": standing.waiting, "running": standing.running},
        "memory": {
            "limit": config.jobs.memory.0,
            "granted": standing.bytes,
            "resident": crate::daemon::process::resident_bytes(),
        },
        "targets": targets,
    });
    body::json(StatusCode::OK, &status)
}

async fn target(call: &Call, name: &str) -> Value {
    let jobs = &call.service.jobs;
    let into = |state: State| jobs.all().iter().filter(|one| one.ask.target == name && one.state() == state).count();
    let in_flight: u64 = jobs.all().iter().filter(|one| one.ask.target == name).map(|one| one.loads_in_flight()).sum();
    let mut value = json!({
        "name": name,
        "jobs": {"waiting": into(State::Waiting), "running": into(State::Running)},
        "loads_in_flight": in_flight,
    });
    match jobs.targets.get(&call.service.config(), name).await {
        Ok(connected) => {
            let (nodes, missing) = here(connected.cluster().health());
            let node = |node: &crate::config::cluster::Health| {
                json!({
                    "kind": node.kind.to_string(),
                    "address": node.address,
                    "reachable": node.reachable,
                    "alive": node.alive,
                    "version": node.version,
                    "latency_seconds": node.latency.map(|latency| latency.as_secs_f64()),
                    "problems": node.problems,
                })
            };
            value["healthy"] = nodes.iter().all(|node| node.problems.is_empty()).into();
            value["nodes"] = nodes.iter().map(node).collect();
            value["missing"] = json!(missing);
        }
        Err(error) => {
            value["healthy"] = false.into();
            value["nodes"] = json!([]);
            value["missing"] = json!([chain(&error)]);
        }
    }
    value
}

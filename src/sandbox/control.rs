//! `/sandbox/nodes`: the nodes of the sandbox, looked at and switched off and on.
//!
//! ```text
//!  GET  /sandbox/nodes                      all of them
//!  POST /sandbox/nodes/be2?action=down      up, down, drain or restart
//! ```
//!
//! No server has this. Every node answers it, so that the last one that is left can bring the others back.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::http::{self, Ends, Incoming, Reply};
use super::member::{Order, Power};
use super::node::Node;
use super::overview::{NodeView, Overview, Role};
use super::surface::rest::{authenticate, failure};

/// Answers a request below `/sandbox/nodes`.
pub(super) async fn answer(node: &Arc<Node>, request: Request<Incoming>, ends: Ends) -> Reply {
    let node = Arc::clone(node);
    let (head, _) = request.into_parts();
    http::blocking(move || {
        match authenticate(&node.store, &head, ends) {
            Ok(found) if found.user == "root" => {}
            Ok(found) => return failure(StatusCode::FORBIDDEN, &format!("Access denied for {}", found.user)),
            Err(reply) => return *reply,
        }
        let path = http::segments(head.uri.path()).unwrap_or_default();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (&head.method, path.as_slice()) {
            (&Method::GET, ["sandbox", "nodes"]) => shown(&node),
            (&Method::POST, ["sandbox", "nodes", name]) => {
                let Some(member) = node.cluster.find(name) else {
                    return failure(StatusCode::NOT_FOUND, &format!("there is no node {name}"));
                };
                let action = http::parameter(head.uri.query(), "action").unwrap_or_default();
                let Some(order) = Order::parse(&action) else {
                    let message = format!("the action `{action}` is none of up, down, drain, restart");
                    return failure(StatusCode::BAD_REQUEST, &message);
                };
                node.order(member, order);
                shown(&node)
            }
            _ => http::not_found(),
        }
    })
    .await
}

fn shown(node: &Node) -> Reply {
    let shown = |view: NodeView| {
        let role = match view.role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Backend => "backend",
        };
        // As it is; the frontend takes a moment to notice, and `alive` is what it believes.
        let power = node.cluster.find(&view.name).map(|member| member.life().power);
        let state = match power {
            Some(Power::Up) => "up",
            Some(Power::Draining) => "draining",
            Some(Power::Down(_)) | None => "down",
        };
        json!({
            "name": view.name, "role": role, "host": view.host, "http_port": view.http_port, "state": state,
            "alive": view.alive,
        })
    };
    let nodes: Vec<Value> = node.cluster.nodes().into_iter().map(shown).collect();
    http::json(StatusCode::OK, &nodes)
}

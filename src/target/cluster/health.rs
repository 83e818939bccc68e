//! How each node is: asked for itself, and compared with what the frontend says of it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hyper::StatusCode;
use serde_json::Value;

use super::{Cluster, ClusterNode, NodeKind};
use crate::clock::{Clock as _, SystemClock};
use crate::failure::chain;
use crate::target::reply;
use crate::target::url::{Address, Scheme};

/// A node to be asked.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// What it is.
    pub(super) kind: NodeKind,
    /// Its address as the target or the cluster names it.
    pub(super) named: Address,
    /// The address that it is asked at.
    pub(super) address: Address,
    /// Whether it may see the credentials.
    pub(super) credentials: bool,
    /// What the cluster says of it.
    pub(super) listed: Option<ClusterNode>,
}

/// How one node is.
#[derive(Clone, Debug)]
pub struct Health {
    /// What it is.
    pub kind: NodeKind,
    /// Its address as the target or the cluster names it.
    pub address: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Whether the frontend hears of it; none where it does not say.
    pub alive: Option<bool>,
    /// Its version, where that is told.
    pub version: Option<String>,
    /// How long it took to answer, with the connection.
    pub latency: Option<Duration>,
    /// What is wrong with it; nothing when it is well.
    pub problems: Vec<String>,
}

impl Cluster<'_> {
    /// The frontends given, and every node that the cluster lists, each once; and what could not be listed.
    pub(super) async fn members(&self) -> (Vec<Member>, Vec<String>) {
        let given = self.target.route.frontends.all().iter().map(|frontend| Member {
            kind: NodeKind::Frontend,
            named: frontend.clone(),
            address: frontend.clone(),
            credentials: true,
            listed: None,
        });
        let mut members: Vec<Member> = given.collect();
        let (listed, mut missing) = match self.nodes().await {
            Ok(listing) => (listing.nodes, listing.missing),
            Err(error) => return (members, vec![format!("the nodes cannot be listed: {}", chain(&error))]),
        };
        let mut known = Vec::new();
        for member in &members {
            known.push(sockets(&member.address).await);
        }
        for node in listed {
            let (Some(host), Some(port)) = (&node.host, node.http_port) else {
                let name = node.name.as_deref().unwrap_or("one");
                missing.push(format!("the {} {name} is listed without host or HTTP port", node.kind));
                continue;
            };
            let named = Address { scheme: Scheme::Http, host: host.to_ascii_lowercase(), port };
            let address = self.target.route.policy.mapped(&named);
            // Only a frontend can be one of those given, and the list may have it by another name.
            if node.kind == NodeKind::Frontend {
                let at = sockets(&address).await;
                let same = |(member, sockets): (&Member, &Vec<SocketAddr>)| {
                    let (one, other) = (&member.address, &address);
                    let by_name = one.host == other.host && one.port == other.port;
                    by_name || sockets.iter().any(|socket| at.contains(socket))
                };
                if let Some(index) = members.iter().zip(&known).position(same) {
                    members[index].listed.get_or_insert(node);
                    continue;
                }
            }
            members.push(Member { kind: node.kind, named, address, credentials: false, listed: Some(node) });
        }
        (members, missing)
    }

    /// Asks every node how it is. The sentences beside them say what could not be found out.
    pub async fn health(&self) -> (Vec<Health>, Vec<String>) {
        let (members, missing) = self.members().await;
        // Where the backends are listed, each speaks for itself; elsewhere the frontend's count is all there is.
        let listed = missing.is_empty();
        let checks = members.iter().map(|member| self.check(member, listed));
        let checked = stream::iter(checks).buffered(super::NODES_AT_ONCE).collect().await;
        (checked, missing)
    }

    async fn check(&self, member: &Member, listed: bool) -> Health {
        let mut problems = Vec::new();
        let started = SystemClock.instant();
        let answer = self.ask_node(&member.address, "/api/health", member.credentials).await;
        let taken = started.elapsed();
        match &answer {
            Ok(answer) => problems.extend(complaint(member.kind, answer.status, &answer.body, listed)),
            Err(reason) => problems.push(format!("no answer: {reason}")),
        }
        let row = member.listed.as_ref();
        let alive = row.and_then(|row| row.alive);
        if alive == Some(false) {
            let error = row.and_then(|row| row.error.as_deref()).map(|error| format!(": {error}"));
            problems.push(format!("the frontend calls it dead{}", error.unwrap_or_default()));
        } else if let Some(status) = row.and_then(|row| row.status.as_deref()).filter(|status| !is_ok(status)) {
            // A backend that leaves answers that it is well to its last moment, and refuses every load.
            problems.push(format!("the frontend calls it {status}"));
        }
        let mut version = row.and_then(|row| row.version.clone());
        if member.kind == NodeKind::Frontend
            && answer.is_ok()
            && let Some(told) = self.version_of(member).await
        {
            version = Some(told);
        }
        Health {
            kind: member.kind,
            address: member.named.to_string(),
            reachable: answer.is_ok(),
            alive,
            version,
            latency: answer.is_ok().then_some(taken),
            problems,
        }
    }

    /// A frontend's own word for its version. A server before 2023 has it in SQL only, and is asked there where the
    /// question cannot go to another one.
    async fn version_of(&self, member: &Member) -> Option<String> {
        let answer = self.ask_node(&member.address, "/api/v2/feature", member.credentials).await.ok()?;
        let told: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let version = told.as_ref().and_then(|told| told.get("version")).and_then(Value::as_str);
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            return Some(version.to_owned());
        }
        if member.listed.is_some() || self.target.route.frontends.all().len() > 1 {
            return None;
        }
        let result = self.target.sql_within("SELECT current_version()", None, super::ANSWER_BYTES_MAX).await.ok()?;
        result.rows.first()?.first()?.as_str().map(str::to_owned)
    }
}

fn is_ok(word: &str) -> bool {
    word.eq_ignore_ascii_case("OK")
}

/// Where an address leads; nowhere when its name is not known, which the check itself finds as well.
async fn sockets(address: &Address) -> Vec<SocketAddr> {
    tokio::net::lookup_host((address.host.as_str(), address.port)).await.map(Iterator::collect).unwrap_or_default()
}

/// What is wrong by a node's own word.
fn complaint(kind: NodeKind, status: StatusCode, body: &[u8], listed: bool) -> Option<String> {
    let told: Option<Value> = serde_json::from_slice(body).ok();
    let member = |name: &str| told.as_ref().and_then(|told| told.get(name));
    if kind == NodeKind::Frontend && status == StatusCode::INTERNAL_SERVER_ERROR {
        return Some(format!("it is shutting down, or broken: {}", reply::words(status, body)));
    }
    if status != StatusCode::OK {
        return Some(reply::excerpt(status, body));
    }
    let Some(word) = member("status").and_then(Value::as_str) else {
        return Some(format!("what it says of its health makes no sense: {}", reply::excerpt(status, body)));
    };
    if !is_ok(word) {
        return Some(format!("it says {word}: {}", reply::words(status, body)));
    }
    let count = |name: &str| {
        let value = member(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    match (count("online_backend_num"), count("total_backend_num")) {
        (Some(online), Some(total)) if kind == NodeKind::Frontend && !listed && online < total => {
            let missing = total - online;
            Some(format!("{missing} of its {total} backends {} not online", if missing == 1 { "is" } else { "are" }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_well_by_its_own_word_alone() {
        let of = |kind, status, body: &str, listed| {
            complaint(kind, StatusCode::from_u16(status).unwrap(), body.as_bytes(), listed)
        };
        let frontend = NodeKind::Frontend;
        let three = r#"{"status":"OK","total_backend_num":3,"online_backend_num":1}"#;
        let two = three.replace("\"online_backend_num\":1", "\"online_backend_num\":2");
        assert_eq!(of(frontend, 200, &two, false).unwrap(), "1 of its 3 backends is not online");
        assert_eq!(of(frontend, 200, three, true), None, "the backends speak for themselves");
        assert_eq!(of(frontend, 200, three, false).unwrap(), "2 of its 3 backends are not online");
        assert_eq!(of(frontend, 200, r#"{"status":"OK"}"#, false), None);
        assert_eq!(of(NodeKind::Backend, 200, r#"{"status": "OK","msg": "To Be Added"}"#, false), None);
        for (status, body, words) in [
            (500, r#"{"status":"FAILED","msg":"exiting"}"#, "shutting down, or broken: exiting"),
            (404, "Not Found", "HTTP 404: Not Found"),
            (200, "<html>", "makes no sense"),
            (200, "", "makes no sense"),
            (200, r#"{"status":"FAILED","msg":"not ready"}"#, "it says FAILED: not ready"),
            (200, r#"{"status":7}"#, "makes no sense"),
        ] {
            let said = of(frontend, status, body, true).unwrap();
            assert!(said.contains(words), "{status} {body}: {said}");
        }
    }
}

//! Which nodes there are: from the frontend's own lists, or from SQL where the user may not read those.

use std::fmt;

use super::{ANSWER_BYTES_MAX, Cluster, Row, named_rows};
use crate::failure::chain;
use crate::target::Error;

/// The kinds of node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// It takes requests and plans them.
    Frontend,
    /// It stores and computes.
    Backend,
    /// It computes over shared data.
    ComputeNode,
}

impl NodeKind {
    const ALL: [Self; 3] = [Self::Frontend, Self::Backend, Self::ComputeNode];

    /// Where frontends list them.
    fn path(self) -> &'static str {
        match self {
            Self::Frontend => "/frontends",
            Self::Backend => "/backends",
            Self::ComputeNode => "/compute_nodes",
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Frontend => "SHOW FRONTENDS",
            Self::Backend => "SHOW BACKENDS",
            Self::ComputeNode => "SHOW COMPUTE NODES",
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::ComputeNode => "compute node",
        })
    }
}

/// One node, as far as the cluster tells.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterNode {
    /// What it is.
    pub kind: NodeKind,
    /// The name or number under which the cluster knows it.
    pub name: Option<String>,
    /// Its host as it registered.
    pub host: Option<String>,
    /// Its HTTP port.
    pub http_port: Option<u16>,
    /// What a frontend is among the others: leader, follower, observer.
    pub role: Option<String>,
    /// Whether the frontend hears of it.
    pub alive: Option<bool>,
    /// What the frontend makes of a backend: `OK`, `SHUTDOWN` while it leaves, `DISCONNECTED` …
    pub status: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Whether it is being taken out of the cluster.
    pub decommissioned: Option<bool>,
    /// Tablets on it.
    pub tablets: Option<u64>,
    /// Queries and loads that it is running.
    pub running: Option<u64>,
    /// How much of its memory is in use, as the server writes it.
    pub memory_used: Option<String>,
    /// How full its fullest disk is, as the server writes it.
    pub disk_used: Option<String>,
    /// When the frontend heard of it last.
    pub last_heartbeat: Option<String>,
    /// What went wrong with its heartbeat.
    pub error: Option<String>,
}

impl ClusterNode {
    fn read(kind: NodeKind, row: &Row) -> Self {
        let leads = row.truth(&["IsMaster", "IsLeader"]) == Some(true);
        let role = row.text(&["Role"]).map(|role| if leads { "LEADER".to_owned() } else { role });
        let decommissioned = [["SystemDecommissioned"], ["ClusterDecommissioned"]].map(|name| row.truth(&name));
        Self {
            kind,
            name: row.text(&["Name", "BackendId", "ComputeNodeId", "Id"]),
            host: row.text(&["IP", "Host", "HostName"]),
            http_port: row.number(&["HttpPort"]).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0),
            role,
            alive: row.truth(&["Alive"]),
            status: row.text(&["StatusCode"]),
            version: row.text(&["Version"]),
            decommissioned: decommissioned.into_iter().flatten().reduce(|one, other| one || other),
            tablets: row.number(&["TabletNum"]),
            running: row.number(&["NumRunningQueries"]),
            memory_used: row.text(&["MemUsedPct"]),
            disk_used: row.text(&["MaxDiskUsedPct", "UsedPct"]),
            last_heartbeat: row.text(&["LastHeartbeat"]),
            error: row.text(&["ErrMsg"]),
        }
    }
}

/// The nodes that the cluster lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The nodes, frontends first.
    pub nodes: Vec<ClusterNode>,
    /// What could not be listed, and why: a sentence each.
    pub missing: Vec<String>,
}

impl Listing {
    /// Whether every kind of node could be listed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Cluster<'_> {
    /// Lists the nodes.
    ///
    /// # Errors
    /// When no frontend answers, or no kind of node can be listed.
    pub async fn nodes(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let mut first = None;
        for kind in NodeKind::ALL {
            match self.list(kind).await {
                Ok(rows) => listing.nodes.extend(rows.iter().map(|row| ClusterNode::read(kind, row))),
                Err(error @ Error::Unreachable { .. }) => return Err(error),
                Err(error) => {
                    listing.missing.push(format!("the {kind}s cannot be listed: {}", chain(&error)));
                    first = first.or(Some(error));
                }
            }
        }
        match first {
            Some(error) if listing.missing.len() == NodeKind::ALL.len() => Err(error),
            _ => Ok(listing),
        }
    }

    async fn list(&self, kind: NodeKind) -> Result<Vec<Row>, Error> {
        let denied = match self.proc(kind.path()).await {
            Ok(rows) => return Ok(rows),
            Err(error @ (Error::Unreachable { .. } | Error::RedirectRefused { .. })) => return Err(error),
            Err(error) => error,
        };
        match self.target.sql_within(kind.statement(), None, ANSWER_BYTES_MAX).await {
            Ok(result) => Ok(named_rows(result)),
            // The first refusal names the privilege; that of SQL hides it in a sentence, or is an older server's.
            Err(_) if matches!(denied, Error::PrivilegeMissing { .. } | Error::AnswerUnreadable { .. }) => Err(denied),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    fn read(kind: NodeKind, text: &str) -> ClusterNode {
        ClusterNode::read(kind, &rows(format!("[{text}]").as_bytes()).unwrap()[0])
    }

    #[test]
    fn an_older_frontend_says_otherwise_who_leads() {
        let leader =
            read(NodeKind::Frontend, r#"{"Name":"fe1","Host":"10.0.0.1","Role":"FOLLOWER","IsMaster":"true"}"#);
        assert_eq!((leader.role.as_deref(), leader.host.as_deref()), (Some("LEADER"), Some("10.0.0.1")));
        let follower = read(NodeKind::Frontend, r#"{"Role":"FOLLOWER","HttpPort":"0"}"#);
        assert_eq!((follower.role.as_deref(), follower.http_port), (Some("FOLLOWER"), None));
    }

    #[test]
    fn a_node_is_decommissioned_when_either_says_so_and_unknown_when_none_does() {
        let node = |text| read(NodeKind::Backend, text).decommissioned;
        assert_eq!(node(r#"{"SystemDecommissioned":"false","ClusterDecommissioned":"true"}"#), Some(true));
        assert_eq!(node(r#"{"SystemDecommissioned":"false"}"#), Some(false));
        assert_eq!(node("{}"), None);
    }
}

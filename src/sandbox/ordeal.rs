//! [`Ordeal`]: the steps of a load or a transaction inside a node, at each of which something may go wrong on demand.

use std::sync::Arc;
use std::time::Duration;

use super::fault::{Complaint, Inner, Operation, Scene, Step};
use super::ingest::Failed;
use super::load::Call;
use super::member::{Member, Order};
use super::node::Node;

/// A request on its way through its steps. Steps are gone through on threads that may block.
#[derive(Debug)]
pub(super) struct Ordeal {
    node: Arc<Node>,
    member: Arc<Member>,
    name: String,
    operation: Operation,
    database: String,
    label: String,
}

impl Ordeal {
    pub(super) fn new(
        (node, member): (&Arc<Node>, &Arc<Member>),
        operation: Operation,
        database: &str,
        label: &str,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            member: Arc::clone(member),
            name: member.name(),
            operation,
            database: database.to_owned(),
            label: label.to_owned(),
        }
    }

    /// The same for what somebody calls a backend for.
    pub(super) fn of(nodes: (&Arc<Node>, &Arc<Member>), operation: Operation, call: &Call, label: &str) -> Self {
        Self::new(nodes, operation, &call.database, label)
    }

    /// Comes to a step: waits where it is to wait, and lets the node die where it is to die. What else is to happen is
    /// returned.
    fn reach(&self, step: Step) -> Option<Inner> {
        let scene = Scene {
            node: &self.name,
            operation: Some(self.operation),
            database: Some(&self.database),
            label: Some(&self.label),
        };
        match self.node.faults.strike_inner(&scene, step)? {
            Inner::Delay(time) => {
                std::thread::sleep(time);
                None
            }
            Inner::Crash { restart_after } => {
                self.node.order(&self.member, Order::Down);
                if let Some(after) = restart_after {
                    let member = Arc::clone(&self.member);
                    tokio::runtime::Handle::current().spawn(async move {
                        tokio::time::sleep(after).await;
                        member.obey(Order::Up);
                    });
                }
                None
            }
            other => Some(other),
        }
    }

    /// Comes to a step at which the request may fail.
    pub(super) fn pass(&self, step: Step) -> Result<(), Complaint> {
        match self.reach(step) {
            Some(Inner::Fail(complaint) | Inner::CommitThenFail(complaint)) => Err(complaint),
            _ => Ok(()),
        }
    }

    /// Comes to the step at which rows become visible: how long that is put off.
    pub(super) fn publish(&self) -> Option<Duration> {
        match self.reach(Step::Publish) {
            Some(Inner::PublishTimeout { visible_after }) => Some(visible_after),
            _ => None,
        }
    }

    /// Comes to the step at which a transaction is given up: whether that goes well.
    pub(super) fn rollback(&self) -> Result<(), Lost> {
        match self.reach(Step::Rollback) {
            Some(Inner::LoseRollback) => Err(Lost::Silently),
            Some(Inner::Fail(complaint)) => Err(Lost::Because(complaint)),
            _ => Ok(()),
        }
    }
}

/// How a rollback does not happen.
#[derive(Debug)]
pub(super) enum Lost {
    /// Whoever asked for it believes that it did.
    Silently,
    Because(Complaint),
}

impl From<Complaint> for Failed {
    fn from(complaint: Complaint) -> Self {
        Self::Demanded(complaint)
    }
}

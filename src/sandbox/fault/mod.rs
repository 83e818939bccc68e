//! Faults on demand: what goes wrong, where and how often is said by a document of rules and a seed.
//!
//! ```text
//!  --faults FILE, POST /sandbox/faults ─▶ spec ─▶ engine ◀── strike(scene, step) ──┬─ gate: connections, requests
//!                                                   │                              ├─ body: what is read of them
//!                        GET /sandbox/faults ◀── records                           └─ loads and transactions
//! ```
//!
//! The engine decides and keeps the record; whoever stands at a step asks it and carries out what it says. Steps on the
//! wire (`accept`, `head`, `continue`, `body`, `answer`) are seen to here, for every request of either node. Steps
//! inside the node belong to whoever carries the load or the transaction, and are asked for with
//! [`Faults::strike_inner`].
//!
//! Without rules a request costs one look at a flag.

mod answer;
mod body;
mod document;
mod effect;
mod engine;
mod gate;
mod preset;
mod socket;
mod spec;
mod step;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::error::Error;
use crate::clock::{Clock as _, SystemClock, rfc3339};

pub(super) use body::Incoming;
pub use document::Wrong;
use effect::Effect;
pub(super) use effect::{Complaint, Inner};
use engine::Engine;
pub(super) use gate::Gate;
pub(super) use socket::{Socket, Tap};
use spec::{After, Spec};
pub(super) use step::{Operation, Step};

/// What is known of a request at a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// The node: `fe1`, `be1`, …
    pub(super) node: &'a str,
    /// `None` while nothing was read of a request.
    pub(super) operation: Option<Operation>,
    pub(super) database: Option<&'a str>,
    pub(super) label: Option<&'a str>,
}

/// The faults of a sandbox, shared by all of its nodes.
#[derive(Debug)]
pub(super) struct Faults {
    /// Whether there is any rule; spares everybody else the lock.
    armed: AtomicBool,
    engine: Mutex<Engine>,
}

impl Faults {
    /// No faults.
    pub(super) fn none() -> Self {
        Self { armed: AtomicBool::new(false), engine: Mutex::new(Engine::new(Spec { seed: 0, rules: Vec::new() })) }
    }

    /// The faults of a file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::FaultsUnreadable { path: path.to_owned(), source })?;
        let faults = Self::none();
        faults.install(&text).map_err(|source| Error::Faults { path: path.to_owned(), source })?;
        Ok(faults)
    }

    /// Takes a document of rules in place of what there was; counts and records begin anew.
    pub(super) fn install(&self, text: &str) -> Result<(), Wrong> {
        let spec = Spec::parse(text)?;
        let armed = !spec.rules.is_empty();
        let mut engine = self.engine();
        *engine = Engine::new(spec);
        self.armed.store(armed, Ordering::Release);
        Ok(())
    }

    /// Whether anything could strike.
    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// What strikes at a step, if anything does. It counts as having happened.
    pub(super) fn strike(&self, scene: &Scene<'_>, step: Step) -> Option<Effect> {
        self.strike_after(scene, step, After::BEGINNING).map(|(_, effect)| effect)
    }

    /// What strikes at a step inside a node.
    pub(super) fn strike_inner(&self, scene: &Scene<'_>, step: Step) -> Option<Inner> {
        match self.strike(scene, step)? {
            Effect::Inner(inner) => Some(inner),
            // The document is refused that has one at such a step.
            Effect::Wire(_) => None,
        }
    }

    /// The same at a place of a body, with the number of the record.
    fn strike_after(&self, scene: &Scene<'_>, step: Step, after: After) -> Option<(u64, Effect)> {
        if !self.is_armed() {
            return None;
        }
        let struck = self.engine().strike(scene, step, after, || rfc3339(SystemClock.now()));
        if let Some((sequence, effect)) = &struck {
            tracing::info!(sequence, node = scene.node, step = step.name(), effect = ?effect, "a fault on demand");
        }
        struck
    }

    /// The first place within these bytes of a body where something may strike.
    fn next_place(&self, scene: &Scene<'_>, bytes: &RangeInclusive<u64>) -> Option<u64> {
        self.engine().next_place(scene, bytes)
    }

    /// Notes that a fault could not be carried out.
    fn failed(&self, sequence: u64, why: &'static str) {
        self.engine().failed(sequence, why);
    }

    /// The rules with their counts, and what has happened.
    pub(super) fn show(&self) -> Value {
        shown(&self.engine())
    }

    /// Removes all rules; returns what there was.
    pub(super) fn clear(&self) -> Value {
        let mut engine = self.engine();
        self.armed.store(false, Ordering::Release);
        let was = std::mem::replace(&mut *engine, Engine::new(Spec { seed: 0, rules: Vec::new() }));
        shown(&was)
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        // Every change of the counts is whole before anything could panic.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(engine: &Engine) -> Value {
    json!({
        "seed": engine.seed(),
        "rules": engine.rules(),
        "fired_total": engine.total(),
        "fired": engine.records(),
    })
}

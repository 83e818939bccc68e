//! Which rule strikes: pure counting and drawing.
//!
//! A rule counts the requests that it is about, lets the first ones go by, and draws for each of the others, until it has
//! struck often enough. What it draws for its n-th request follows from the seed, its name and n, and from nothing else:
//! neither other rules nor threads nor time have a part in it. The first rule of the document that strikes has the
//! request to itself; those behind it do not count it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use serde::Serialize;
use twox_hash::XxHash64;

use super::Scene;
use super::effect::Effect;
use super::spec::{After, Rule, Spec};
use super::step::{Operation, Step};

/// How many faults are remembered.
pub(super) const RECORDS_MAX: usize = 10_000;

/// The rules, what they have counted, and what has happened.
#[derive(Debug)]
pub(super) struct Engine {
    seed: u64,
    rules: Vec<(Rule, Count)>,
    /// The newest faults, oldest first.
    records: VecDeque<Record>,
    /// How many there have been.
    total: u64,
}

/// What a rule has counted.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    matched: u64,
    fired: u64,
}

/// A fault that has happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Record {
    /// Counted from 1.
    pub(super) sequence: u64,
    /// When, in UTC.
    pub(super) at: String,
    pub(super) rule: String,
    pub(super) node: String,
    /// `None` where no request was read yet.
    pub(super) operation: Option<&'static str>,
    pub(super) label: Option<String>,
    pub(super) step: &'static str,
    pub(super) effect: &'static str,
    /// Why it could not be carried out, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<&'static str>,
}

/// A rule and its counts, for whoever asks.
#[derive(Debug, Serialize)]
pub(super) struct RuleShown<'a> {
    id: &'a str,
    matched: u64,
    fired: u64,
    rule: &'a serde_json::Value,
}

impl Engine {
    pub(super) fn new(spec: Spec) -> Self {
        let rules = spec.rules.into_iter().map(|rule| (rule, Count::default())).collect();
        Self { seed: spec.seed, rules, records: VecDeque::new(), total: 0 }
    }

    /// What strikes at a step, and the number of its record.
    pub(super) fn strike(
        &mut self,
        scene: &Scene<'_>,
        step: Step,
        after: After,
        now: impl FnOnce() -> String,
    ) -> Option<(u64, Effect)> {
        let seed = self.seed;
        let about = |(rule, _): &&mut (Rule, Count)| rule.matches(scene, step) && rule.after == after;
        let mut rules = self.rules.iter_mut().filter(about);
        let rule = rules.find_map(|(rule, count)| count.draw(seed, rule).then_some(&*rule))?;
        self.total += 1;
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            sequence: self.total,
            at: now(),
            rule: rule.id.clone(),
            node: scene.node.to_owned(),
            operation: scene.operation.map(Operation::name),
            label: scene.label.map(str::to_owned),
            step: step.name(),
            effect: rule.kind,
            failed: None,
        });
        Some((self.total, rule.effect.clone().fill(scene.node, scene.database, scene.label)))
    }

    /// The first place of a body within these bytes where a rule may strike.
    pub(super) fn next_place(&self, scene: &Scene<'_>, bytes: &RangeInclusive<u64>) -> Option<u64> {
        let rules = self.rules.iter().filter(|(rule, _)| rule.matches(scene, Step::Body));
        let places = rules.filter_map(|(rule, _)| match rule.after {
            After::Bytes(count) => bytes.contains(&count).then_some(count),
            After::End => None,
        });
        places.min()
    }

    /// Notes that a fault could not be carried out.
    pub(super) fn failed(&mut self, sequence: u64, why: &'static str) {
        if let Some(record) = self.records.iter_mut().rev().find(|record| record.sequence == sequence) {
            record.failed = Some(why);
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn records(&self) -> &VecDeque<Record> {
        &self.records
    }

    pub(super) fn rules(&self) -> Vec<RuleShown<'_>> {
        self.rules
            .iter()
            .map(|(rule, count)| RuleShown {
                id: &rule.id,
                matched: count.matched,
                fired: count.fired,
                rule: &rule.written,
            })
            .collect()
    }
}

impl Count {
    /// Counts a request and decides over it.
    fn draw(&mut self, seed: u64, rule: &Rule) -> bool {
        self.matched += 1;
        let waits = self.matched <= rule.skip;
        let spent = rule.times.is_some_and(|times| self.fired >= times);
        if waits || spent || !is_drawn(seed, &rule.id, self.matched, rule.probability) {
            return false;
        }
        self.fired += 1;
        true
    }
}

/// Whether a rule strikes its n-th request.
fn is_drawn(seed: u64, id: &str, count: u64, probability: f64) -> bool {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    let hash = XxHash64::oneshot(seed, &[id.as_bytes(), &count.to_le_bytes()].concat());
    #[expect(clippy::cast_precision_loss, reason = "as many bits as fit are taken")]
    let share = (hash >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64;
    // Shares are below 1: a probability of 1 always strikes, and one of 0 never.
    share < probability
}

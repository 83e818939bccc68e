//! The document that says which faults strike: rules and a seed.

use std::collections::BTreeSet;
use std::fmt;

use glob::Pattern;
use serde_json::Value;

use super::Scene;
use super::document::{Piece, Wrong};
use super::effect::Effect;
use super::step::{Operation, Step};

/// The most rules.
const RULES_MAX: usize = 1000;
/// The longest name or pattern.
const NAME_BYTES_MAX: usize = 256;
/// The most that a count goes to: what a number of JSON means the same everywhere.
const COUNT_MAX: u64 = (1 << 53) - 1;

/// Which faults strike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

/// One fault: where, when, what.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) at: Step,
    /// The nodes; `None` for all.
    pub(super) node: Option<Pattern>,
    /// The operations; `None` for all.
    pub(super) operations: Option<Vec<Operation>>,
    /// The labels; `None` for all, and for requests without one.
    pub(super) label: Option<Pattern>,
    /// How much of a body is read first; of rules at that step alone.
    pub(super) after: After,
    /// How many requests go by unharmed.
    pub(super) skip: u64,
    /// How often it strikes at most; `None` for always.
    pub(super) times: Option<u64>,
    pub(super) probability: f64,
    /// The name of the effect.
    pub(super) kind: &'static str,
    pub(super) effect: Effect,
    /// The rule as it was written, for whoever asks.
    pub(super) written: Value,
}

/// A place in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// When so many bytes have been read.
    Bytes(u64),
    /// When all of it has been read.
    End,
}

impl After {
    /// The beginning of a body, which is also the place in all the steps that have none.
    pub(super) const BEGINNING: Self = Self::Bytes(0);
}

impl Spec {
    /// Reads a document.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let document = Piece::document(text)?;
        let members = document.members(&["seed", "rules"])?;
        let seed = members.number("seed", 0, u64::MAX, 0)?;
        let list = members.required("rules")?;
        let mut rules = Vec::new();
        let mut ids = BTreeSet::new();
        for (index, piece) in list.elements()?.into_iter().enumerate() {
            if index == RULES_MAX {
                return Err(piece.wrong(format!("there are at most {RULES_MAX} rules")));
            }
            let rule = Rule::parse(&piece, index)?;
            if !ids.insert(rule.id.clone()) {
                return Err(piece.wrong(format!("there is a rule `{}` already", rule.id)));
            }
            rules.push(rule);
        }
        Ok(Self { seed, rules })
    }
}

impl Rule {
    const KEYS: &'static [&'static str] =
        &["id", "at", "node", "operation", "label", "after_bytes", "skip", "times", "probability", "do"];

    fn parse(piece: &Piece<'_>, index: usize) -> Result<Self, Wrong> {
        let members = piece.members(Self::KEYS)?;
        let id = match members.optional("id") {
            Some(piece) => text(piece)?,
            None => format!("rule-{}", index + 1),
        };
        let at = members.required("at")?.name("a step", Step::ALL)?;
        let node = members.optional("node").map(pattern).transpose()?;
        let label = members.optional("label").map(pattern).transpose()?;
        let operations = members.optional("operation").map_or(Ok(None), operations)?;
        for (key, filtered) in [("operation", operations.is_some()), ("label", label.is_some())] {
            if at == Step::Accept && filtered {
                let piece = members.required(key)?;
                return Err(piece.wrong(format!("nothing is known of a request at `accept`, so it has no `{key}`")));
            }
        }
        let after = match members.optional("after_bytes") {
            Some(piece) if at != Step::Body => return Err(piece.wrong("only rules at `body` have this")),
            Some(piece) if piece.is_text() => piece.name("a place in the body", &[("end", After::End)])?,
            Some(piece) => After::Bytes(piece.number(0, COUNT_MAX)?),
            None => After::BEGINNING,
        };
        let skip = members.number("skip", 0, COUNT_MAX, 0)?;
        let times = match members.optional("times") {
            Some(piece) if piece.is_text() => piece.name("a count", &[("always", None)])?,
            Some(piece) => Some(piece.number(1, COUNT_MAX)?),
            None => Some(1),
        };
        let probability = match members.optional("probability") {
            Some(piece) => {
                let expected = "a number from 0 to 1";
                let found: f64 = piece.read(expected)?;
                if !(0.0..=1.0).contains(&found) {
                    return Err(piece.wrong(format!("this is {expected}")));
                }
                found
            }
            None => 1.0,
        };
        let (kind, effect) = Effect::parse(members.required("do")?, at)?;
        let written = piece.read("a rule")?;
        Ok(Self { id, at, node, operations, label, after, skip, times, probability, kind, effect, written })
    }

    /// Whether this is about such a request at such a step.
    pub(super) fn matches(&self, scene: &Scene<'_>, step: Step) -> bool {
        self.at == step
            && self.node.as_ref().is_none_or(|node| node.matches(scene.node))
            && self.operations.as_ref().is_none_or(|all| scene.operation.is_some_and(|one| all.contains(&one)))
            && self.label.as_ref().is_none_or(|pattern| scene.label.is_some_and(|label| pattern.matches(label)))
    }
}

impl fmt::Display for After {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(count) => write!(formatter, "{count}"),
            Self::End => formatter.write_str("end"),
        }
    }
}

fn text(piece: &Piece<'_>) -> Result<String, Wrong> {
    let text: String = piece.read("a text")?;
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(piece.wrong(format!("this has 1 to {NAME_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn pattern(piece: &Piece<'_>) -> Result<Pattern, Wrong> {
    let text = text(piece)?;
    // Each star may have to be tried at every letter.
    if text.matches('*').count() > 4 {
        return Err(piece.wrong("a pattern has at most four stars"));
    }
    Pattern::new(&text).map_err(|error| piece.wrong(format!("this is no pattern of *, ? and […]: {}", error.msg)))
}

/// One operation, several, or `any`.
fn operations(piece: &Piece<'_>) -> Result<Option<Vec<Operation>>, Wrong> {
    let mut known = vec![("any", None)];
    known.extend(Operation::ALL.iter().map(|(name, operation)| (*name, Some(*operation))));
    let pieces = if piece.is_list() { piece.elements()? } else { vec![piece.clone()] };
    let mut all = Vec::new();
    for piece in &pieces {
        match piece.name("an operation", &known)? {
            Some(operation) => all.push(operation),
            None => return Ok(None),
        }
    }
    if all.is_empty() { Err(piece.wrong("name at least one operation, or \"any\"")) } else { Ok(Some(all)) }
}

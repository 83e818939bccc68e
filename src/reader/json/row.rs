//! [`Row`]: records to rows of a batch, or to rejects.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::frame;
use super::layout::{Layout, Step};
use crate::model::{Origin, Reject, Rule};
use crate::reader::cast::{BatchBuilder, Cell, Node, rule};
use crate::reader::{FieldRef, Projected, RECORD_BYTES_MAX};

/// A column to fill, and which of the keys it is filled from.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// The key, by its number among those that are read.
    pub(crate) slot: usize,
}

/// Which keys are read, and where to.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The columns.
    pub(crate) targets: Vec<Target>,
    /// The keys that are read. Two columns may share one.
    pub(crate) slots: HashMap<String, usize>,
    /// The keys that a record may have, if others are not to be passed over.
    pub(crate) known: Option<HashSet<String>>,
}

impl Keys {
    pub(super) fn new(projected: &[Projected], known: Option<HashSet<String>>) -> Self {
        let mut slots = HashMap::new();
        let targets = projected
            .iter()
            .map(|projected| {
                let FieldRef::Name(key) = &projected.source else { unreachable!("JSON keys are found by name") };
                let next = slots.len();
                let slot = *slots.entry(key.clone()).or_insert(next);
                Target { name: projected.column.name.clone(), slot }
            })
            .collect();
        Self { targets, slots, known }
    }
}

/// The entries of a framed record, which has to be one object.
pub(super) fn entries(raw: &[u8]) -> Result<Vec<(Cow<'_, str>, &str)>, Wrong> {
    match std::str::from_utf8(raw).map(Node::parse) {
        Ok(Ok(Node::Object(entries))) => Ok(entries),
        Ok(Ok(_)) => Err(Wrong::Rule(rule::not_an_object())),
        Ok(Err(error)) => Err(Wrong::Syntax(error)),
        Err(_) => Err(Wrong::Rule(rule::not_utf8())),
    }
}

/// Turns records into rows.
pub(crate) struct Row {
    keys: Arc<Keys>,
    /// Which entry of the record each key was found at.
    found: Vec<Option<usize>>,
}

/// What was made of the first bytes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// So many bytes are dealt with.
    Taken(usize),
    /// What is there is not all of a record.
    Rest,
    /// The input ends within a record.
    Open,
    /// The record is longer than records may be.
    TooLong,
}

/// Why a record is no row.
pub(super) enum Wrong {
    /// It breaks this rule.
    Rule(Rule),
    /// It is no JSON, so that nobody knows where it ends.
    Syntax(serde_json::Error),
}

impl Row {
    pub(crate) fn new(keys: Arc<Keys>) -> Self {
        let found = vec![None; keys.slots.len()];
        Self { keys, found }
    }

    /// Makes a row or a reject of what comes first in `bytes`, a text of lines; `last` says that nothing follows it.
    pub(crate) fn first(
        &mut self,
        bytes: &[u8],
        last: bool,
        origin: Origin,
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) -> Made {
        let (bytes_taken, rule) = match Layout::Lines.step(bytes, last) {
            Step::Skip(blanks) => return Made::Taken(blanks),
            Step::Record(end) if end > RECORD_BYTES_MAX => return Made::TooLong,
            Step::Record(end) => match self.record(&bytes[..end], origin, batch, rejects) {
                Ok(()) => return Made::Taken(end),
                Err(Wrong::Rule(rule)) => (end, rule),
                Err(Wrong::Syntax(error)) => match frame::resume(bytes, end, last) {
                    Some(end) => (end, rule::json_syntax(&error)),
                    None => return Made::Rest,
                },
            },
            Step::Lines(end) => (end, no_record(&bytes[..end])),
            Step::Open(_) => return Made::Open,
            Step::More | Step::End | Step::Misplaced(_) => return Made::Rest,
        };
        if bytes_taken > RECORD_BYTES_MAX {
            return Made::TooLong;
        }
        batch.reject_record(whole(&bytes[..bytes_taken], origin, rule), rejects);
        Made::Taken(bytes_taken)
    }

    /// Makes a row of a framed record, unless it is none.
    pub(super) fn record(
        &mut self,
        raw: &[u8],
        origin: Origin,
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) -> Result<(), Wrong> {
        self.append(&entries(raw)?, raw, origin, batch, rejects);
        Ok(())
    }

    fn append(
        &mut self,
        entries: &[(Cow<'_, str>, &str)],
        raw: &[u8],
        origin: Origin,
        batch: &mut BatchBuilder,
        rejects: &mut Vec<Reject>,
    ) {
        let reject = |column, value, rule| Reject { origin, column, value, rule, raw: raw.to_vec() };
        if let Err(rule) = self.find(entries.iter().map(|(key, _)| key.as_ref())) {
            return batch.reject_record(reject(None, None, rule), rejects);
        }
        batch.start_row(origin);
        for (index, column) in self.keys.targets.iter().enumerate() {
            let cell = self.found[column.slot].map_or(Cell::Null, |entry| Cell::Json(entries[entry].1));
            if let Err(rule) = batch.append(index, &cell) {
                let reject = reject(Some(column.name.clone()), Some(cell.shown()), rule);
                return batch.reject_row(reject, rejects);
            }
        }
    }

    /// Notes where the keys are.
    fn find<'a>(&mut self, keys: impl Iterator<Item = &'a str>) -> Result<(), Rule> {
        self.found.fill(None);
        for (entry, key) in keys.enumerate() {
            if let Some(slot) = self.keys.slots.get(key) {
                if self.found[*slot].replace(entry).is_some() {
                    return Err(rule::duplicate_key(key));
                }
            } else if self.keys.known.as_ref().is_some_and(|known| !known.contains(key)) {
                return Err(rule::unknown_key(key));
            }
        }
        Ok(())
    }
}

/// What is wrong with lines that do not frame a record.
pub(super) fn no_record(raw: &[u8]) -> Rule {
    match std::str::from_utf8(raw).map(Node::parse) {
        Ok(Ok(_)) => rule::not_an_object(),
        Ok(Err(error)) => rule::json_syntax(&error),
        Err(_) => rule::not_utf8(),
    }
}

/// All of these bytes as a reject.
pub(super) fn whole(bytes: &[u8], origin: Origin, rule: Rule) -> Reject {
    Reject { origin, column: None, value: None, rule, raw: bytes.trim_ascii_end().to_vec() }
}

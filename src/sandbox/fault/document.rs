//! Reading a JSON document piece by piece, so that a mistake is told with its line and its place.
//!
//! Values are looked at as text of the document they stand in ([`RawValue`]): where that text begins is where the value
//! is, which a tree of values would have forgotten.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::near;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, {place}: {message}")]
pub struct Wrong {
    /// The line, counted from 1.
    pub line: usize,
    /// The keys that lead there: `rules[2].do.kind`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A value in a document.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    document: &'a str,
    text: &'a str,
    place: String,
}

/// The members of an object.
pub(super) struct Members<'a> {
    owner: Piece<'a>,
    found: Vec<(String, Piece<'a>)>,
}

impl<'a> Piece<'a> {
    /// The document as a whole.
    pub(super) fn document(text: &'a str) -> Result<Self, Wrong> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Self { document: text, text: raw.get(), place: "the document".to_owned() }),
            Err(error) => {
                let message = format!("this is not JSON: {error}");
                Err(Wrong { line: error.line().max(1), place: "the document".to_owned(), message })
            }
        }
    }

    /// A complaint about this value.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Wrong {
        // The text of a value is a part of its document.
        let offset = self.text.as_ptr().addr() - self.document.as_ptr().addr();
        let line = self.document[..offset].matches('\n').count() + 1;
        Wrong { line, place: self.place.clone(), message: message.into() }
    }

    /// The members, none of them twice or with a name that is not `allowed`.
    pub(super) fn members(&self, allowed: &[&str]) -> Result<Members<'a>, Wrong> {
        if !self.text.starts_with('{') {
            return Err(self.wrong(format!("this is an object with the keys {}", listed(allowed))));
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.text);
        let pairs = deserializer.deserialize_map(Pairs).map_err(|error| self.wrong(error.to_string()))?;
        let mut found: Vec<(String, Piece<'a>)> = Vec::new();
        for (key, value) in pairs {
            let place = if self.place == "the document" { key.clone() } else { format!("{}.{key}", self.place) };
            let piece = Piece { document: self.document, text: value.get(), place };
            if found.iter().any(|(other, _)| *other == key) {
                return Err(piece.wrong("this key is given twice"));
            }
            if !allowed.contains(&key.as_str()) {
                return Err(piece.wrong(unknown("key", &key, allowed)));
            }
            found.push((key, piece));
        }
        Ok(Members { owner: self.clone(), found })
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Result<Vec<Piece<'a>>, Wrong> {
        let texts: Vec<&RawValue> = serde_json::from_str(self.text).map_err(|_| self.wrong("this is a list"))?;
        let piece = |(index, raw): (usize, &'a RawValue)| Piece {
            document: self.document,
            text: raw.get(),
            place: format!("{}[{index}]", self.place),
        };
        Ok(texts.into_iter().enumerate().map(piece).collect())
    }

    /// Whether this is a list.
    pub(super) fn is_list(&self) -> bool {
        self.text.starts_with('[')
    }

    /// Whether this is a text.
    pub(super) fn is_text(&self) -> bool {
        self.text.starts_with('"')
    }

    /// The value as it is written.
    pub(super) fn as_written(&self) -> &'a str {
        self.text
    }

    /// The value as a type of serde's; what it is to be is told otherwise.
    pub(super) fn read<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Wrong> {
        serde_json::from_str(self.text).map_err(|_| self.wrong(format!("this is {expected}")))
    }

    /// A whole number from a range.
    pub(super) fn number(&self, min: u64, max: u64) -> Result<u64, Wrong> {
        let expected = format!("a whole number from {min} to {max}");
        let number: u64 = self.read(&expected)?;
        if (min..=max).contains(&number) { Ok(number) } else { Err(self.wrong(format!("this is {expected}"))) }
    }

    /// A text that is one of some names.
    pub(super) fn name<T: Copy>(&self, what: &str, known: &[(&str, T)]) -> Result<T, Wrong> {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let text: String = self.read(&format!("the name of {what}: {}", listed(&names)))?;
        match known.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Ok(*value),
            None => Err(self.wrong(unknown(what, &text, &names))),
        }
    }
}

impl<'a> Members<'a> {
    /// A member that may be missing.
    pub(super) fn optional(&self, key: &str) -> Option<&Piece<'a>> {
        self.found.iter().find(|(name, _)| name == key).map(|(_, piece)| piece)
    }

    /// A member that must be there.
    pub(super) fn required(&self, key: &str) -> Result<&Piece<'a>, Wrong> {
        self.optional(key).ok_or_else(|| self.owner.wrong(format!("the key `{key}` is missing")))
    }

    /// A whole number from a range, or what holds without one.
    pub(super) fn number(&self, key: &str, min: u64, max: u64, otherwise: u64) -> Result<u64, Wrong> {
        self.optional(key).map_or(Ok(otherwise), |piece| piece.number(min, max))
    }
}

/// Names as a person reads them.
pub(super) fn listed(names: &[&str]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

/// What to say about a name that there is not.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = near::names(name, known.iter().copied());
    let meant = near.first().map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!(
        "there is no {} `{name}`; {meant}allowed: {}",
        what.trim_start_matches("a ").trim_start_matches("an "),
        listed(known)
    )
}

/// The members of an object as text, in their order.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

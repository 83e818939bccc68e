//! One row of a body, as its format shows it: fields by their numbers, each as a type stores it or as text.

use std::borrow::Cow;
use std::io::Read;

use serde_json::value::RawValue;

use super::csv::{self, Rows};
use super::json::{self, Fault, Keys, Layout};
use super::types::SqlType;
use super::value::{self, Cell};

/// Why a row of CSV is filtered before its fields are looked at.
pub(super) const NOT_UTF8: &str = "Invalid UTF-8 row";

/// A row of a body, whatever the format.
pub(super) trait Row {
    /// A field as the type stores it.
    fn cell(&self, field: usize, ty: &SqlType) -> Result<Cell<'_>, Fate>;
    /// A field as expressions see it: a text.
    fn text(&self, field: usize) -> Result<Cell<'_>, Fate>;
    /// Whether the row speaks of a field at all, be it to say that it is NULL.
    fn has(&self, field: usize) -> bool;
    /// The row as people get to see it.
    fn raw(&self) -> Cow<'_, str>;
}

/// Why a field has no value.
pub(super) enum Fate {
    /// Its type cannot hold it; this is what it looks like.
    Unfit(String),
    /// The row is filtered, whatever the column.
    Filter(&'static str),
    /// The load fails.
    Fail(String),
}

/// A row of CSV, while the reader stands at it.
pub(super) struct CsvRow<'r, R>(pub(super) &'r Rows<R>);

impl<R: Read> CsvRow<'_, R> {
    fn field(&self, field: usize) -> Result<Option<&str>, Fate> {
        let bytes = self.0.field(field);
        if bytes == csv::NULL {
            return Ok(None);
        }
        std::str::from_utf8(bytes).map(Some).map_err(|_| Fate::Filter(NOT_UTF8))
    }
}

impl<R: Read> Row for CsvRow<'_, R> {
    fn cell(&self, field: usize, ty: &SqlType) -> Result<Cell<'_>, Fate> {
        match self.field(field)? {
            None => Ok(Cell::Null),
            Some(text) => value::from_text(ty, text).map_err(|_| Fate::Unfit(text.to_owned())),
        }
    }

    fn text(&self, field: usize) -> Result<Cell<'_>, Fate> {
        Ok(self.field(field)?.map_or(Cell::Null, |text| Cell::Text(Cow::Borrowed(text))))
    }

    fn has(&self, _: usize) -> bool {
        true
    }

    fn raw(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.raw())
    }
}

/// An object of a JSON body.
pub(super) struct JsonRow<'r> {
    source: &'r str,
    /// Whether values are found by paths.
    paths: bool,
    /// The source text of each field; none where the row has no such key, which means NULL, not the default.
    values: Vec<Option<&'r str>>,
}

impl<'r> JsonRow<'r> {
    /// Finds the fields in an object. What is not JSON is the fault of the body.
    pub(super) fn new(source: &'r str, layout: &Layout, keys: &Keys) -> Result<Self, Fault> {
        let values = match &layout.paths {
            None => keys.pick(source)?.into_iter().map(|value| value.map(RawValue::get)).collect(),
            Some(paths) => {
                // Only the values on a path are looked at below; the row as a whole has to be JSON all the same.
                serde_json::from_str::<&RawValue>(source).map_err(Fault::from)?;
                paths.iter().map(|path| path.find(source)).collect()
            }
        };
        Ok(Self { source, paths: layout.paths.is_some(), values })
    }

    fn value(&self, field: usize) -> Option<&'r str> {
        self.values.get(field).copied().flatten()
    }

    /// A text that is not one (a lone surrogate) is a fault of the body, not of the row.
    fn fate(value: &str) -> Fate {
        if value.starts_with('"') && json::string(value).is_none() {
            return Fate::Fail("Failed to iterate document stream as object. error: invalid string".to_owned());
        }
        Fate::Unfit(value.to_owned())
    }
}

impl Row for JsonRow<'_> {
    fn cell(&self, field: usize, ty: &SqlType) -> Result<Cell<'_>, Fate> {
        match self.value(field) {
            None => Ok(Cell::Null),
            Some(value) => value::from_json(ty, value).map_err(|_| Self::fate(value)),
        }
    }

    fn text(&self, field: usize) -> Result<Cell<'_>, Fate> {
        self.cell(field, &SqlType::Varchar(u32::MAX))
    }

    /// A path that leads nowhere has been asked for all the same, and its value is NULL.
    fn has(&self, field: usize) -> bool {
        if self.paths { field < self.values.len() } else { self.value(field).is_some() }
    }

    fn raw(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.source)
    }
}

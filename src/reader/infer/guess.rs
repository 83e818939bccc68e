//! [`Guess`]: the types that all values of a column seen so far could have.

use crate::model::ColumnType;
use crate::model::table::STRING_BYTES;
use crate::reader::cast::{Node, is_exact_double, takes};

/// What is known of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Guess {
    /// The scalar types left; none before the first scalar.
    scalars: Option<Scalars>,
    /// What the elements of its arrays are.
    items: Option<Box<Guess>>,
    /// Whether there were arrays with nothing in them.
    empty_arrays: bool,
    /// Whether there were objects, or arrays in arrays: what only JSON holds.
    objects: bool,
}

/// The scalar types that fit all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one answer per type, all asked of every value")]
struct Scalars {
    boolean: bool,
    bigint: bool,
    largeint: bool,
    double: bool,
    date: bool,
    datetime: bool,
}

impl Scalars {
    const NONE: Self =
        Self { boolean: false, bigint: false, largeint: false, double: false, date: false, datetime: false };

    fn of_text(text: &str) -> Self {
        let integer = is_plain_integer(text);
        let day = text.contains(['-', '/']);
        Self {
            boolean: text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
            bigint: integer && takes(&ColumnType::BigInt, text),
            largeint: integer && takes(&ColumnType::LargeInt, text),
            double: (integer || is_plain_fraction(text)) && is_exact_double(text),
            date: day && takes(&ColumnType::Date, text),
            datetime: day && takes(&ColumnType::DateTime, text),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            boolean: self.boolean && other.boolean,
            bigint: self.bigint && other.bigint,
            largeint: self.largeint && other.largeint,
            double: self.double && other.double,
            date: self.date && other.date,
            datetime: self.datetime && other.datetime,
        }
    }

    fn ty(self) -> ColumnType {
        match self {
            Self { boolean: true, .. } => ColumnType::Boolean,
            Self { bigint: true, .. } => ColumnType::BigInt,
            Self { largeint: true, .. } => ColumnType::LargeInt,
            Self { double: true, .. } => ColumnType::Double,
            Self { date: true, .. } => ColumnType::Date,
            Self { datetime: true, .. } => ColumnType::DateTime,
            _ => STRING,
        }
    }
}

const STRING: ColumnType = ColumnType::Varchar(STRING_BYTES);

impl Guess {
    /// Takes note of a value that is text in its input.
    pub(super) fn see_text(&mut self, text: &str) {
        self.see(Scalars::of_text(text));
    }

    /// Takes note of a value that is nothing but text.
    pub(super) fn see_other(&mut self) {
        self.see(Scalars::NONE);
    }

    /// Takes note of a JSON value, by its text.
    pub(super) fn see_json(&mut self, text: &str) {
        match Node::parse(text) {
            Ok(Node::Null) => {}
            Ok(Node::Bool(_)) => self.see_text(text),
            Ok(Node::Number(digits)) => self.see_text(digits),
            Ok(Node::String(text)) => {
                // The writer had the choice between a number and a string, and chose.
                let Scalars { date, datetime, .. } = Scalars::of_text(&text);
                self.see(Scalars { date, datetime, ..Scalars::NONE });
            }
            Ok(Node::Array(items)) if !items.is_empty() => {
                let guess = self.items.get_or_insert_default();
                for item in items {
                    guess.see_item(item);
                }
            }
            Ok(Node::Array(_)) => self.empty_arrays = true,
            Ok(Node::Object(_)) => self.objects = true,
            Err(_) => self.see_other(),
        }
    }

    /// The same for an element of an array. What nests in it makes JSON of the column, so that nobody needs to look deeper:
    /// a hundred thousand brackets would take as many calls.
    fn see_item(&mut self, text: &str) {
        if text.trim_ascii_start().starts_with(['[', '{']) {
            self.objects = true;
        } else {
            self.see_json(text);
        }
    }

    fn see(&mut self, scalars: Scalars) {
        self.scalars = Some(self.scalars.map_or(scalars, |seen| seen.and(scalars)));
    }

    /// The type for the column.
    pub(super) fn ty(&self) -> ColumnType {
        match (self.scalars, &self.items) {
            (None, None) if !self.objects && !self.empty_arrays => STRING,
            (Some(scalars), None) if !self.objects && !self.empty_arrays => scalars.ty(),
            (None, Some(items)) if !self.objects => {
                items.as_scalar().map_or(ColumnType::Json, |ty| ColumnType::Array(Box::new(ty)))
            }
            _ => ColumnType::Json,
        }
    }

    /// The type, if all values were scalars and at least one was not NULL.
    fn as_scalar(&self) -> Option<ColumnType> {
        let plain = self.items.is_none() && !self.objects && !self.empty_arrays;
        self.scalars.filter(|_| plain).map(Scalars::ty)
    }
}

/// Whether it is an integer as programs write it: what has a plus or a leading zero is a code.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let code = digits.starts_with('0') && text != "0";
    !digits.is_empty() && !code && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it could be a number with a point or an exponent, as programs write it.
fn is_plain_fraction(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let Some(end) = number.find(['.', 'e', 'E']) else { return false };
    let whole = &number[..end];
    let code = whole.len() > 1 && whole.starts_with('0');
    !code && whole.bytes().all(|byte| byte.is_ascii_digit())
}

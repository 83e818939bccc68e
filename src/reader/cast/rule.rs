//! Every rule that a value can break, in one list: the stable word and the sentence with its figures.

use std::fmt::Display;

use crate::model::Rule;

fn rule(code: &'static str, text: impl Into<String>) -> Rule {
    Rule { code, text: text.into() }
}

pub(super) fn null_not_allowed() -> Rule {
    rule("null-not-allowed", "the column is NOT NULL")
}

pub(super) fn not_a_boolean() -> Rule {
    rule("not-a-boolean", "a BOOLEAN is true, false, 1 or 0")
}

pub(super) fn not_a_number(wanted: &str) -> Rule {
    rule("not-a-number", format!("{wanted} is digits with an optional sign and point, without spaces or separators"))
}

pub(super) fn fractional() -> Rule {
    rule("fractional", "an integer has nothing but zeros behind the point")
}

pub(super) fn out_of_range(ty: &impl Display, least: impl Display, most: impl Display) -> Rule {
    rule("out-of-range", format!("{ty} lies between {least} and {most}"))
}

pub(super) fn beyond_largeint() -> Rule {
    out_of_range(&"an integer", i128::MIN, i128::MAX)
}

pub(super) fn decimal_out_of_range(precision: u8, scale: u8) -> Rule {
    let whole = precision - scale;
    rule("out-of-range", format!("DECIMAL({precision},{scale}) takes {whole} digits before the point"))
}

pub(super) fn too_precise(precision: u8, scale: u8) -> Rule {
    rule("too-precise", format!("DECIMAL({precision},{scale}) takes {scale} digits behind the point"))
}

pub(super) fn too_precise_time() -> Rule {
    rule("too-precise", "a DATETIME takes 6 digits behind the second's point")
}

pub(super) fn not_finite() -> Rule {
    rule("not-finite", "FLOAT and DOUBLE columns take finite numbers only")
}

pub(super) fn beyond_float(ty: &str, most: &str) -> Rule {
    rule("out-of-range", format!("{ty} lies between -{most} and {most}"))
}

pub(super) fn not_a_date() -> Rule {
    rule("not-a-date", "a DATE is a day of the calendar, as yyyy-MM-dd, yyyy/MM/dd or yyyyMMdd")
}

pub(super) fn not_a_datetime() -> Rule {
    rule("not-a-datetime", "a DATETIME is yyyy-MM-dd HH:mm:ss with up to 6 digits behind a point")
}

pub(super) fn time_in_date() -> Rule {
    rule("time-in-date", "a DATE holds no time: only 00:00:00 may follow the day")
}

pub(super) fn time_zone() -> Rule {
    rule("time-zone", "a DATETIME has no time zone: write the time as the table should show it, without one")
}

pub(super) fn year_out_of_range() -> Rule {
    rule("out-of-range", "DATE and DATETIME lie in the years 0000 to 9999")
}

pub(super) fn too_long(ty: &impl Display, bytes: usize, bytes_max: u32) -> Rule {
    rule("too-long", format!("{ty} takes {bytes_max} bytes; this is {bytes}"))
}

pub(super) fn not_json(why: &impl Display) -> Rule {
    let why = why.to_string();
    let why = if why.starts_with("recursion limit") { "it nests more than 127 levels deep" } else { &why };
    rule("not-json", format!("the value must be a JSON document: {why}"))
}

pub(super) fn not_base64() -> Rule {
    rule("not-base64", "text for a VARBINARY is base64, with padding")
}

pub(super) fn wrong_kind(ty: &impl Display, wanted: &str) -> Rule {
    rule("wrong-kind", format!("{ty} takes {wanted}"))
}

pub(super) fn unknown_field(ty: &impl Display, name: &str) -> Rule {
    rule("unknown-field", format!("{ty} has no field `{name}`"))
}

/// A key stands twice where there can be one value.
pub(in crate::reader) fn duplicate_key(name: &str) -> Rule {
    rule("duplicate-key", format!("the key `{name}` occurs twice; only one of its values could be kept"))
}

/// Names the place inside a nested value: `[2].price: DECIMAL(9,2) takes …`.
pub(super) fn within(place: &impl Display, inner: &Rule) -> Rule {
    let separator = if inner.text.starts_with(['[', '.']) { "" } else { ": " };
    Rule { code: inner.code, text: format!("{place}{separator}{}", inner.text) }
}

/// The bytes of a record are no text.
pub(in crate::reader) fn not_utf8() -> Rule {
    rule("not-utf8", "text is UTF-8, and this is not; `iconv -t UTF-8` converts files of another encoding")
}

/// A CSV record has too few or too many fields.
pub(in crate::reader) fn field_count(expected: usize, found: usize) -> Rule {
    rule("field-count", format!("a record has {expected} fields; this one has {found}"))
}

/// Something stands behind the closing quote of a CSV field.
pub(in crate::reader) fn quote(quote: u8) -> Rule {
    let quote = char::from(quote);
    rule("quote", format!("behind a closing {quote} comes the delimiter or the line's end; inside, {quote} is doubled"))
}

/// A record is no JSON.
pub(in crate::reader) fn json_syntax(why: &impl Display) -> Rule {
    rule("json-syntax", format!("a record is one JSON object: {why}"))
}

/// A record is JSON, but no object.
pub(in crate::reader) fn not_an_object() -> Rule {
    rule("not-an-object", "a record is one JSON object")
}

/// A record has a key that goes nowhere.
pub(in crate::reader) fn unknown_key(name: &str) -> Rule {
    rule("unknown-key", format!("no column takes the key `{name}`"))
}

//! What becomes of rows with equal keys, in SQLite's words.
//!
//! Every table but one with duplicate keys has a unique index over its keys, and a row whose key is there already is
//! merged by the tail of the INSERT that brings it: `ON CONFLICT DO UPDATE`. Rows meet in the order in which they are
//! inserted. NULLs in keys are equal to each other, as in StarRocks, which takes an index over expressions: for SQLite no
//! NULL equals another.
//!
//! Sums wrap around at the width that the server keeps a value in, which for a DECIMAL is that of its unscaled integer.

use std::fmt::Write as _;

use super::function::decimal::{Decimal, wrapped};
use super::types::{Aggregation, Column, KeysType, SqlType, TableDef, quote};
use super::value::Cell;

/// The statement that creates the index that rows meet in, for a table that merges.
pub(super) fn index(id: i64, keys: KeysType, columns: &[Column]) -> Option<String> {
    if !keys.merges() {
        return None;
    }
    let mut parts = Vec::new();
    for column in columns.iter().filter(|column| column.key) {
        let name = quote(&column.name);
        if column.nullable {
            // The first part tells a NULL from what stands for it in the second.
            parts.push(format!("{name} IS NULL, ifnull({name}, 0){}", collation(&column.ty)));
        } else {
            parts.push(name);
        }
    }
    let (index, table) = (quote(&format!("k{id}")), quote(&format!("t{id}")));
    Some(format!("CREATE UNIQUE INDEX {index} ON {table} ({})", parts.join(", ")))
}

/// The end of an INSERT into the table: nothing where rows do not meet. Only `assigned` columns change in a row that is
/// there; with a condition, only by a row that has at least as much in that column.
pub(super) fn on_conflict(table: &TableDef, condition: Option<&Column>, assigned: impl Fn(&Column) -> bool) -> String {
    if !table.keys.merges() {
        return String::new();
    }
    let changing = table.columns.iter().filter(|column| !column.key && column.generated.is_none() && assigned(column));
    let mut changes: Vec<String> =
        changing.map(|column| format!("{} = {}", quote(&column.name), merged(table, column))).collect();
    if changes.is_empty() {
        // Not DO NOTHING: a row that is there already has been taken in as well, and is counted.
        let keys = table.columns.iter().filter(|column| column.key).take(1);
        changes.extend(keys.map(|column| format!("{0} = {0}", quote(&column.name))));
    }
    let mut tail = format!(" ON CONFLICT DO UPDATE SET {}", changes.join(", "));
    if let Some(column) = condition {
        let (old, new) = names(table, column);
        let _ = write!(tail, " WHERE {old} IS NULL OR {new} >= {old}{}", collation(&column.ty));
    }
    tail
}

/// A column as it is and as it comes.
fn names(table: &TableDef, column: &Column) -> (String, String) {
    let name = quote(&column.name);
    (format!("{}.{name}", table.storage()), format!("excluded.{name}"))
}

/// What two values of a column become.
fn merged(table: &TableDef, column: &Column) -> String {
    let (old, new) = names(table, column);
    let better = |sign| {
        let collation = collation(&column.ty);
        format!("CASE WHEN {old} IS NULL OR {new} {sign} {old}{collation} THEN {new} ELSE {old} END")
    };
    match column.aggregation {
        None | Some(Aggregation::Replace) => new,
        Some(Aggregation::ReplaceIfNotNull) => format!("ifnull({new}, {old})"),
        Some(Aggregation::Max) => better(">"),
        Some(Aggregation::Min) => better("<"),
        Some(Aggregation::Sum) => {
            let bits = bits(&column.ty);
            // The functions know no NULL: one beside a number counts for nothing.
            let sum = match &column.ty {
                SqlType::Float => format!("sr_to_float({old} + {new})"),
                SqlType::Double => format!("({old} + {new})"),
                SqlType::LargeInt | SqlType::Decimal { .. } => format!("sr_exact_sum({old}, {new}, {bits})"),
                _ => format!("sr_integer_sum({old}, {new}, {bits})"),
            };
            format!("coalesce({sum}, {old}, {new})")
        }
    }
}

/// The width of the integer that the server keeps a value in.
fn bits(ty: &SqlType) -> u32 {
    match ty {
        SqlType::Boolean | SqlType::TinyInt => 8,
        SqlType::SmallInt => 16,
        SqlType::Int | SqlType::Decimal { precision: ..=9, .. } => 32,
        SqlType::BigInt | SqlType::Decimal { precision: ..=18, .. } => 64,
        _ => 128,
    }
}

fn collation(ty: &SqlType) -> &'static str {
    if ty.is_numeric_text() { " COLLATE sr_numeric" } else { "" }
}

/// The value that takes this one out of a sum again.
pub(super) fn negated(ty: &SqlType, cell: Cell<'_>) -> Cell<'static> {
    match cell {
        Cell::Integer(value) => Cell::Integer(wrapped(-i128::from(value), bits(ty)).try_into().unwrap_or(value)),
        Cell::Real(value) => Cell::Real(-value),
        Cell::Text(text) => {
            let negated = Decimal::parse(&text).and_then(|number| number.wrapping_negate(bits(ty)));
            Cell::Text(negated.map_or_else(|| text.into_owned(), |number| number.to_string()).into())
        }
        other => other.into_owned(),
    }
}

/// What a column without a default holds in a row that a partial update creates, if it takes no NULL: the server has
/// nothing else to put there.
pub(super) fn zero(ty: &SqlType) -> Cell<'static> {
    match ty {
        _ if ty.is_small_integer() => Cell::Integer(0),
        _ if ty.is_float() => Cell::Real(0.0),
        SqlType::Decimal { scale, .. } => {
            let zero = Decimal::ZERO.rescale(u32::from(*scale)).unwrap_or(Decimal::ZERO);
            Cell::Text(zero.to_string().into())
        }
        SqlType::LargeInt => Cell::Text("0".into()),
        SqlType::Date => Cell::Text("0000-01-01".into()),
        SqlType::DateTime => Cell::Text("0000-01-01 00:00:00".into()),
        SqlType::Varbinary(_) => Cell::Blob(Vec::new().into()),
        SqlType::Json => Cell::Text("null".into()),
        SqlType::Array(_) => Cell::Text("[]".into()),
        SqlType::Map(..) | SqlType::Struct(_) => Cell::Text("{}".into()),
        _ => Cell::Text("".into()),
    }
}

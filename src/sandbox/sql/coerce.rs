//! From one type to another, asked for or implied.

use super::Error;
use super::scope::{Bound, null_type};
use crate::sandbox::function::calendar::Moment;
use crate::sandbox::function::decimal::Decimal;
use crate::sandbox::types::{SqlType, literal};

/// The digits that a DECIMAL can have.
pub(super) const DIGITS_MAX: u8 = 38;

/// The expression as this type. Values that the type cannot hold become NULL.
pub(super) fn cast(from: Bound, to: &SqlType) -> Result<Bound, Error> {
    if from.ty == *to || from.is_null() {
        return Ok(Bound { ty: to.clone(), ..from });
    }
    let sql = cast_sql(&from, to)?;
    // A text stays a constant in another VARCHAR; as anything else it is no text.
    let text = if to.is_text() { from.text } else { None };
    Ok(Bound { sql, ty: to.clone(), text })
}

fn cast_sql(from: &Bound, to: &SqlType) -> Result<String, Error> {
    let sql = &from.sql;
    Ok(match to {
        SqlType::Array(element) if element_type(&from.ty).is_some_and(|given| same_json(given, element)) => sql.clone(),
        _ if from.ty.is_nested() && !to.is_text() && *to != SqlType::Json => return Err(no_cast(from, to)),
        SqlType::Boolean if from.ty == SqlType::Json => format!("sr_to_boolean(sr_json_text({sql}))"),
        SqlType::Boolean if from.ty.is_small_integer() => format!("({sql} <> 0)"),
        SqlType::Boolean => format!("sr_to_boolean({sql})"),
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => integer_sql(from, to),
        SqlType::LargeInt if from.ty.is_small_integer() => format!("CAST({sql} AS TEXT)"),
        SqlType::LargeInt => format!("sr_to_largeint({})", unwrapped(from)),
        SqlType::Float => format!("sr_to_float({})", unwrapped(from)),
        SqlType::Double if from.ty.is_small_integer() => format!("CAST({sql} AS REAL)"),
        SqlType::Double if from.ty == SqlType::Float => sql.clone(),
        SqlType::Double => format!("sr_to_double({})", unwrapped(from)),
        SqlType::Decimal { precision, scale } => format!("sr_to_decimal({}, {precision}, {scale})", unwrapped(from)),
        SqlType::Date => format!("sr_to_date({})", unwrapped(from)),
        SqlType::DateTime if from.ty == SqlType::Date => format!("({sql} || ' 00:00:00')"),
        SqlType::DateTime => format!("sr_to_datetime({})", unwrapped(from)),
        SqlType::Char(_) | SqlType::Varchar(_) => text_sql(from),
        SqlType::Json if from.ty.is_text() => format!("sr_text_to_json({sql})"),
        SqlType::Json if from.ty == SqlType::Boolean => {
            format!("CASE WHEN {sql} THEN 'true' WHEN NOT {sql} THEN 'false' END")
        }
        SqlType::Json if from.ty.is_number() || from.ty.is_nested() => format!("sr_parse_json({})", text_sql(from)),
        SqlType::Json => format!("sr_text_to_json({})", text_sql(from)),
        SqlType::Varbinary(_) => format!("CAST({} AS BLOB)", text_sql(from)),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) | SqlType::Other(_) => return Err(no_cast(from, to)),
    })
}

/// Whether an element of one type is the same JSON as one of the other.
fn same_json(from: &SqlType, to: &SqlType) -> bool {
    match (from.integer_range(), to.integer_range()) {
        (Some(from), Some(to)) => to.0 <= from.0 && from.1 <= to.1,
        (Some(_), None) => to.is_float(),
        _ => from == to || *from == null_type() || from.is_text() && to.is_text(),
    }
}

fn no_cast(from: &Bound, to: &SqlType) -> Error {
    Error::unsupported(format!("a cast from {} to {to}", from.ty))
}

/// A JSON scalar as its text, and anything else as it is.
fn unwrapped(from: &Bound) -> String {
    if from.ty == SqlType::Json { format!("sr_json_text({})", from.sql) } else { from.sql.clone() }
}

fn integer_sql(from: &Bound, to: &SqlType) -> String {
    let (low, high) = to.integer_range().unwrap_or((i64::MIN, i64::MAX));
    let (from_low, from_high) = from.ty.integer_range().unwrap_or((i64::MIN, i64::MAX));
    if from.ty.is_small_integer() && low <= from_low && from_high <= high {
        return from.sql.clone();
    }
    let number = if from.ty.is_temporal() { format!("sr_date_number({})", from.sql) } else { unwrapped(from) };
    // SQLite reads the magnitude before the sign, and 2^63 is too large for it.
    let low = if low == i64::MIN { format!("({} - 1)", i64::MIN + 1) } else { low.to_string() };
    format!("sr_to_integer({number}, {low}, {high})")
}

fn text_sql(from: &Bound) -> String {
    let sql = &from.sql;
    match &from.ty {
        ty if ty.is_small_integer() || matches!(ty, SqlType::Varbinary(_)) => format!("CAST({sql} AS TEXT)"),
        SqlType::Float => format!("sr_float_text({sql})"),
        SqlType::Double => format!("sr_double_text({sql})"),
        SqlType::Json => format!("sr_json_text({sql})"),
        _ => sql.clone(),
    }
}

/// The type that can hold values of both, as for CASE, COALESCE, IN and UNION.
pub(super) fn common(left: &SqlType, right: &SqlType) -> SqlType {
    let null = null_type();
    match (left, right) {
        _ if left == right => left.clone(),
        _ if *left == null => right.clone(),
        _ if *right == null => left.clone(),
        (SqlType::Varbinary(a), SqlType::Varbinary(b)) => SqlType::Varbinary(*a.max(b)),
        (SqlType::Char(a) | SqlType::Varchar(a), SqlType::Char(b) | SqlType::Varchar(b)) => SqlType::Varchar(*a.max(b)),
        _ if left.is_temporal() && right.is_temporal() => SqlType::DateTime,
        _ if left.is_number() && right.is_number() => common_number(left, right),
        (SqlType::Array(a), SqlType::Array(b)) => SqlType::Array(Box::new(common(a, b))),
        _ => SqlType::TEXT,
    }
}

fn common_number(left: &SqlType, right: &SqlType) -> SqlType {
    if left.is_float() || right.is_float() {
        return SqlType::Double;
    }
    match (left.integer_range(), right.integer_range()) {
        (Some(a), Some(b)) => (if a.1 >= b.1 { left } else { right }).clone(),
        _ if matches!((left, right), (SqlType::Decimal { .. }, _) | (_, SqlType::Decimal { .. })) => {
            let ((p1, s1), (p2, s2)) = (digits(left), digits(right));
            let scale = s1.max(s2);
            let precision = ((p1 - s1).max(p2 - s2) + scale).min(DIGITS_MAX);
            SqlType::Decimal { precision, scale: scale.min(precision) }
        }
        _ => SqlType::LargeInt,
    }
}

/// Precision and scale of the DECIMAL that holds every value of an exact number's type.
pub(super) fn digits(ty: &SqlType) -> (u8, u8) {
    match ty {
        SqlType::Decimal { precision, scale } => (*precision, *scale),
        SqlType::Boolean => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        _ => (DIGITS_MAX, 0),
    }
}

/// Both sides of a comparison in a form in which SQLite compares them as StarRocks would.
pub(super) fn comparable(left: Bound, right: Bound) -> Result<(Bound, Bound), Error> {
    let (left, right) = (constant_as(left, &right.ty), right);
    let right = constant_as(right, &left.ty);
    if left.is_null() || right.is_null() || left.ty == right.ty {
        return Ok((left, right));
    }
    let (a, b) = (&left.ty, &right.ty);
    let both = |ty: SqlType| Ok((cast(left.clone(), &ty)?, cast(right.clone(), &ty)?));
    if a.is_small_integer() && b.is_small_integer() || a.is_float() && b.is_float() || a.is_text() && b.is_text() {
        return Ok((left, right));
    }
    if a.is_number() && b.is_number() {
        if a.is_float() || b.is_float() {
            return both(SqlType::Double);
        }
        // The collation compares by value, so two exact numbers need no common scale.
        let as_text = |side: Bound| if side.ty.is_numeric_text() { Ok(side) } else { cast(side, &SqlType::LargeInt) };
        return Ok((as_text(left)?, as_text(right)?));
    }
    match (a, b) {
        _ if a.is_temporal() && (b.is_temporal() || b.is_text() || b.is_number()) => both(SqlType::DateTime),
        _ if b.is_temporal() && (a.is_text() || a.is_number()) => both(SqlType::DateTime),
        _ if a.is_text() && b.is_number() || a.is_number() && b.is_text() => both(SqlType::Double),
        (SqlType::Json, _) | (_, SqlType::Json) => both(SqlType::Json),
        (SqlType::Varbinary(_), _) | (_, SqlType::Varbinary(_)) => both(SqlType::Varbinary(0)),
        _ => Err(Error::analysis(format!("{a} and {b} cannot be compared"))),
    }
}

/// A constant text compared with a number or a date is read as one, if it is one exactly.
fn constant_as(side: Bound, other: &SqlType) -> Bound {
    let Some(text) = side.text.as_deref() else { return side };
    let read = match other {
        SqlType::Decimal { .. } | SqlType::LargeInt => Decimal::parse(text.trim())
            .map(|number| (number.to_string(), SqlType::Decimal { precision: DIGITS_MAX, scale: 0 })),
        SqlType::Boolean if text.eq_ignore_ascii_case("true") => Some(("1".to_owned(), SqlType::BigInt)),
        SqlType::Boolean if text.eq_ignore_ascii_case("false") => Some(("0".to_owned(), SqlType::BigInt)),
        ty if ty.is_small_integer() => {
            text.trim().parse::<i64>().ok().map(|number| (number.to_string(), SqlType::BigInt))
        }
        SqlType::Date | SqlType::DateTime => Moment::parse(text).map(|moment| (moment.to_string(), SqlType::DateTime)),
        _ => None,
    };
    match read {
        Some((number, SqlType::BigInt)) => Bound::new(number, SqlType::BigInt),
        Some((text, ty)) => Bound::new(literal(&text), ty),
        None => side,
    }
}

/// What makes SQLite compare and sort values of this type by value.
pub(super) fn collation(ty: &SqlType) -> &'static str {
    if ty.is_numeric_text() { " COLLATE sr_numeric" } else { "" }
}

/// The expression as a condition.
pub(super) fn truth(bound: Bound) -> Result<String, Error> {
    Ok(cast(bound, &SqlType::Boolean)?.sql)
}

/// The type of an ARRAY's elements.
pub(super) fn element_type(ty: &SqlType) -> Option<&SqlType> {
    match ty {
        SqlType::Array(element) | SqlType::Map(_, element) => Some(element),
        _ => None,
    }
}

/// A value taken out of JSON as the SQLite value of this type.
pub(super) fn from_element(sql: String, ty: &SqlType) -> Bound {
    let sql = match ty {
        SqlType::Decimal { precision, scale } => format!("sr_to_decimal({sql}, {precision}, {scale})"),
        SqlType::LargeInt => format!("sr_to_largeint({sql})"),
        SqlType::Float | SqlType::Double => format!("sr_to_double({sql})"),
        _ => sql,
    };
    Bound::new(sql, ty.clone())
}

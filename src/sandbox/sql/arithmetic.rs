//! `+ - * / % DIV` and the types of their results.

use super::Error;
use super::coerce::{DIGITS_MAX, cast, digits};
use super::scope::Bound;
use crate::sandbox::function::quotient_scale;
use crate::sandbox::types::SqlType;

/// An operator of arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    IntDivide,
    Remainder,
}

impl Operator {
    /// Its name in the functions for integers and exact numbers.
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Divide => "divide",
            Self::IntDivide => "int_divide",
            Self::Remainder => "remainder",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide | Self::IntDivide => "/",
            Self::Remainder => "%",
        }
    }
}

/// Two operands and an operator, as StarRocks computes them.
pub(super) fn arithmetic(left: Bound, operator: Operator, right: Bound) -> Result<Bound, Error> {
    let (left, right) = (number(left)?, number(right)?);
    if left.ty.is_float() || right.ty.is_float() {
        return double(left, operator, right);
    }
    if left.ty.is_numeric_text() || right.ty.is_numeric_text() {
        return exact(left, operator, right);
    }
    integer(left, operator, right)
}

/// Texts take part as DOUBLE, dates as the numbers of their digits.
fn number(operand: Bound) -> Result<Bound, Error> {
    match &operand.ty {
        _ if operand.is_null() => Ok(Bound::new("NULL", SqlType::TinyInt)),
        SqlType::Boolean => Ok(Bound { ty: SqlType::TinyInt, ..operand }),
        ty if ty.is_number() => Ok(operand),
        ty if ty.is_text() || *ty == SqlType::Json => cast(operand, &SqlType::Double),
        SqlType::Date => cast(operand, &SqlType::Int),
        SqlType::DateTime => cast(operand, &SqlType::BigInt),
        ty => Err(Error::analysis(format!("arithmetic with {ty} is not possible"))),
    }
}

fn double(left: Bound, operator: Operator, right: Bound) -> Result<Bound, Error> {
    let (left, right) = (cast(left, &SqlType::Double)?.sql, cast(right, &SqlType::Double)?.sql);
    Ok(match operator {
        Operator::Remainder => Bound::new(format!("sr_double_remainder({left}, {right})"), SqlType::Double),
        Operator::IntDivide => {
            let quotient = Bound::new(format!("({left} / {right})"), SqlType::Double);
            cast(quotient, &SqlType::BigInt)?
        }
        _ => Bound::new(format!("({left} {} {right})", operator.symbol()), SqlType::Double),
    })
}

fn integer(left: Bound, operator: Operator, right: Bound) -> Result<Bound, Error> {
    if operator == Operator::Divide {
        return double(left, operator, right);
    }
    let widest = if width(&left.ty) >= width(&right.ty) { &left.ty } else { &right.ty };
    let ty = match operator {
        // The next larger type holds every result, but for BIGINT, which wraps around as in StarRocks.
        Operator::Add | Operator::Subtract | Operator::Multiply => wider(widest),
        _ => widest.clone(),
    };
    let symbol_is_exact = matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply)
        && left.ty != SqlType::BigInt
        && right.ty != SqlType::BigInt;
    let sql = if symbol_is_exact {
        format!("({} {} {})", left.sql, operator.symbol(), right.sql)
    } else {
        format!("sr_{}({}, {})", operator.name(), left.sql, right.sql)
    };
    Ok(Bound::new(sql, ty))
}

fn width(ty: &SqlType) -> i64 {
    ty.integer_range().map_or(0, |(_, high)| high)
}

fn wider(ty: &SqlType) -> SqlType {
    match ty {
        SqlType::TinyInt => SqlType::SmallInt,
        SqlType::SmallInt => SqlType::Int,
        _ => SqlType::BigInt,
    }
}

fn exact(left: Bound, operator: Operator, right: Bound) -> Result<Bound, Error> {
    let is_decimal = |side: &Bound| matches!(side.ty, SqlType::Decimal { .. });
    if !is_decimal(&left) && !is_decimal(&right) {
        if operator == Operator::Divide {
            return double(left, operator, right);
        }
        let sql = format!("sr_decimal_{}({}, {})", operator.name(), left.sql, right.sql);
        return Ok(Bound::new(format!("sr_to_largeint({sql})"), SqlType::LargeInt));
    }
    let ((p1, s1), (p2, s2)) = (digits(&left.ty), digits(&right.ty));
    let (precision, scale) = match operator {
        Operator::Add | Operator::Subtract => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
        Operator::Multiply => (p1 + p2, s1 + s2),
        Operator::Remainder => ((p1 - s1).max(p2 - s2) + s1.max(s2), s1.max(s2)),
        Operator::Divide => (DIGITS_MAX, u8::try_from(quotient_scale(s1.into())).unwrap_or(DIGITS_MAX)),
        Operator::IntDivide => {
            let sql = format!("sr_decimal_int_divide({}, {})", left.sql, right.sql);
            return cast(Bound::new(sql, SqlType::LargeInt), &SqlType::BigInt);
        }
    };
    if scale > DIGITS_MAX {
        return Err(Error::analysis(format!(
            "the result of {} {} {} has a scale beyond 38",
            left.ty,
            operator.symbol(),
            right.ty
        )));
    }
    let precision = precision.min(DIGITS_MAX);
    let scale_argument = if operator == Operator::Divide { format!(", {scale}") } else { String::new() };
    let sql = format!("sr_decimal_{}({}, {}{scale_argument})", operator.name(), left.sql, right.sql);
    Ok(Bound::new(format!("sr_to_decimal({sql}, {precision}, {scale})"), SqlType::Decimal { precision, scale }))
}

/// The operand with the other sign.
pub(super) fn negate(operand: Bound) -> Result<Bound, Error> {
    let operand = number(operand)?;
    Ok(match &operand.ty {
        SqlType::LargeInt | SqlType::Decimal { .. } => {
            Bound::new(format!("sr_decimal_negate({})", operand.sql), operand.ty)
        }
        SqlType::BigInt => Bound::new(format!("sr_subtract(0, {})", operand.sql), SqlType::BigInt),
        _ => Bound::new(format!("(- {})", operand.sql), operand.ty),
    })
}

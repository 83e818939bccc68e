//! Expressions: from sqlparser's tree to SQLite's SQL, with types.

use std::cell::{Cell, RefCell};

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DataType, Expr, Ident, Query, Subscript, UnaryOperator, Value,
};

use super::arithmetic::{Operator, arithmetic, negate};
use super::coerce::{cast, collation, common, comparable, element_type, from_element, truth};
use super::query::bind_query;
use super::scope::{Bound, Context, Named, Scope};
use super::{Error, variables};
use crate::sandbox::function::decimal::Decimal;
use crate::sandbox::types::{SqlType, literal};

/// Binds the expressions at one place of a statement.
pub(super) struct Binder<'a> {
    pub context: &'a Context<'a>,
    pub named: &'a [Named],
    pub scope: &'a Scope<'a>,
    /// The columns of the result, where an expression may use their aliases.
    pub aliases: &'a [(String, Bound)],
    /// Whether an alias wins over a column of the same name, as in ORDER BY.
    pub aliases_first: bool,
    /// The expressions of GROUP BY, where only they may be used outside of aggregates.
    pub keys: &'a [String],
    /// The columns used outside of aggregates and of `keys`.
    pub bare: RefCell<Vec<String>>,
    /// Whether an aggregate has been used.
    pub aggregated: Cell<bool>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(context: &'a Context<'a>, named: &'a [Named], scope: &'a Scope<'a>) -> Self {
        Self {
            context,
            named,
            scope,
            aliases: &[],
            aliases_first: false,
            keys: &[],
            bare: RefCell::default(),
            aggregated: Cell::default(),
        }
    }

    /// Binds an expression.
    pub(super) fn bind(&self, expression: &Expr) -> Result<Bound, Error> {
        let before = self.bare.borrow().len();
        let bound = self.bind_any(expression)?;
        if self.keys.contains(&bound.sql) {
            self.bare.borrow_mut().truncate(before);
        }
        Ok(bound)
    }

    /// Binds an expression that stands in an aggregate, where every column may be used.
    pub(super) fn bind_in_aggregate(&self, expression: &Expr) -> Result<Bound, Error> {
        let before = self.bare.borrow().len();
        let bound = self.bind_any(expression);
        self.bare.borrow_mut().truncate(before);
        bound
    }

    /// Binds a condition.
    pub(super) fn condition(&self, expression: &Expr) -> Result<String, Error> {
        truth(self.bind(expression)?)
    }

    fn bind_any(&self, expression: &Expr) -> Result<Bound, Error> {
        match expression {
            Expr::Identifier(name) => self.name(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.name(names),
            Expr::Nested(inner) => self.bind(inner),
            Expr::Value(value) => constant(&value.value),
            Expr::TypedString(typed) => match &typed.value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                    cast(Bound::constant(text), &data_type(&typed.data_type)?)
                }
                _ => Err(Error::unsupported(format!("`{typed}`"))),
            },
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsNull(inner) => self.test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.test_truth(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.test_truth(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.test_truth(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.test_truth(inner, "IS NOT FALSE"),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Expr::Exists { subquery, negated } => {
                let query = self.subquery(subquery)?;
                Ok(boolean(format!("{}EXISTS ({})", if *negated { "NOT " } else { "" }, query.sql)))
            }
            Expr::Subquery(query) => self.scalar_subquery(query),
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => self.like(expr, pattern, *negated),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { expr, data_type: ty, format: None, .. } => cast(self.bind(expr)?, &data_type(ty)?),
            Expr::Convert { expr, data_type: Some(ty), charset: None, .. } => cast(self.bind(expr)?, &data_type(ty)?),
            Expr::CompoundFieldAccess { root, access_chain } => {
                access_chain.iter().try_fold(self.bind(root)?, |value, access| self.access(&value, access))
            }
            Expr::Array(array) => self.array(&array.elem),
            Expr::Collate { expr, .. } => self.bind(expr),
            other => self.call_like(other),
        }
    }

    fn name(&self, names: &[Ident]) -> Result<Bound, Error> {
        let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        let (name, qualifier) = parts.split_last().ok_or_else(|| Error::analysis("a name is empty"))?;
        if parts[0].starts_with('@') && names[0].quote_style.is_none() {
            return variables::read(self.context, &parts.join("."));
        }
        let alias = || self.aliases.iter().find(|(alias, _)| qualifier.is_empty() && alias.eq_ignore_ascii_case(name));
        if self.aliases_first
            && let Some((_, bound)) = alias()
        {
            return Ok(bound.clone());
        }
        if let Some((bound, here)) = self.scope.find(qualifier, name)? {
            if here {
                self.bare.borrow_mut().push((*name).to_owned());
            }
            return Ok(bound);
        }
        if let Some((_, bound)) = alias() {
            return Ok(bound.clone());
        }
        // What looks like `table.column` may be `column.field`.
        if let Some((_, rest)) = names.split_last().filter(|(_, rest)| !rest.is_empty())
            && let Ok(value) = self.name(rest)
            && (matches!(value.ty, SqlType::Struct(_) | SqlType::Json))
        {
            return field(&value, name);
        }
        Err(Error::analysis(format!("Column '{}' cannot be resolved", parts.join("."))))
    }

    fn unary(&self, operator: UnaryOperator, operand: &Expr) -> Result<Bound, Error> {
        match operator {
            UnaryOperator::Minus => match operand {
                Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                    let Value::Number(digits, _) = &value.value else { unreachable!("it was just matched") };
                    number(&format!("-{digits}"))
                }
                other => negate(self.bind(other)?),
            },
            UnaryOperator::Plus => self.bind(operand),
            UnaryOperator::Not | UnaryOperator::BangNot => Ok(boolean(format!("(NOT {})", self.condition(operand)?))),
            UnaryOperator::BitwiseNot => {
                let operand = cast(self.bind(operand)?, &SqlType::BigInt)?;
                Ok(Bound::new(format!("(~ {})", operand.sql), SqlType::BigInt))
            }
            other => Err(Error::unsupported(format!("the operator {other}"))),
        }
    }

    fn binary(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Bound, Error> {
        let operation = match operator {
            BinaryOperator::Plus => Operator::Add,
            BinaryOperator::Minus => Operator::Subtract,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Remainder,
            BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide => Operator::IntDivide,
            other => return self.binary_other(left, other, right),
        };
        match (operation, left, right) {
            (Operator::Add, date, Expr::Interval(interval)) | (Operator::Add, Expr::Interval(interval), date) => {
                self.shifted(date, interval, 1)
            }
            (Operator::Subtract, date, Expr::Interval(interval)) => self.shifted(date, interval, -1),
            _ => arithmetic(self.bind(left)?, operation, self.bind(right)?),
        }
    }

    fn binary_other(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Bound, Error> {
        let comparison = match operator {
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            BinaryOperator::Spaceship => "IS",
            BinaryOperator::And => return self.logic(left, "AND", right),
            BinaryOperator::Or => return self.logic(left, "OR", right),
            BinaryOperator::Xor => {
                return Ok(boolean(format!("({} <> {})", self.condition(left)?, self.condition(right)?)));
            }
            // In MySQL's default mode, which is StarRocks' too, `||` is OR.
            BinaryOperator::StringConcat => return self.logic(left, "OR", right),
            BinaryOperator::BitwiseAnd => return self.bits(left, "&", right),
            BinaryOperator::BitwiseOr => return self.bits(left, "|", right),
            BinaryOperator::Arrow => return self.json_arrow(left, right),
            other => return Err(Error::unsupported(format!("the operator {other}"))),
        };
        compare(self.bind(left)?, comparison, self.bind(right)?)
    }

    fn logic(&self, left: &Expr, operator: &str, right: &Expr) -> Result<Bound, Error> {
        Ok(boolean(format!("({} {operator} {})", self.condition(left)?, self.condition(right)?)))
    }

    fn bits(&self, left: &Expr, operator: &str, right: &Expr) -> Result<Bound, Error> {
        let left = cast(self.bind(left)?, &SqlType::BigInt)?;
        let right = cast(self.bind(right)?, &SqlType::BigInt)?;
        Ok(Bound::new(format!("({} {operator} {})", left.sql, right.sql), SqlType::BigInt))
    }

    fn json_arrow(&self, left: &Expr, right: &Expr) -> Result<Bound, Error> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        if left.ty != SqlType::Json {
            return Err(Error::analysis(format!(
                "-> operator could only be used for json column, but left is {}",
                left.ty
            )));
        }
        Ok(Bound::new(format!("sr_json_get({}, {})", left.sql, right.sql), SqlType::Json))
    }

    fn test(&self, operand: &Expr, test: &str) -> Result<Bound, Error> {
        Ok(boolean(format!("({} {test})", self.bind(operand)?.sql)))
    }

    fn test_truth(&self, operand: &Expr, test: &str) -> Result<Bound, Error> {
        Ok(boolean(format!("({} {test})", self.condition(operand)?)))
    }

    fn between(&self, operand: &Expr, negated: bool, low: &Expr, high: &Expr) -> Result<Bound, Error> {
        let operand = self.bind(operand)?;
        let above = compare(operand.clone(), ">=", self.bind(low)?)?.sql;
        let below = compare(operand, "<=", self.bind(high)?)?.sql;
        Ok(boolean(format!("({}({above} AND {below}))", if negated { "NOT " } else { "" })))
    }

    fn in_list(&self, operand: &Expr, list: &[Expr], negated: bool) -> Result<Bound, Error> {
        let operand = self.bind(operand)?;
        let sides: Vec<(Bound, Bound)> = list
            .iter()
            .map(|element| comparable(operand.clone(), self.bind(element)?))
            .collect::<Result<_, Error>>()?;
        let not = if negated { "NOT " } else { "" };
        // Where all elements compare with the operand in one form, SQLite's own IN takes lists of any length; a chain of
        // ORs would reach its limit of nesting.
        if let Some((first, _)) = sides.first()
            && sides.iter().all(|(side, _)| side.sql == first.sql)
        {
            let elements: Vec<&str> = sides.iter().map(|(_, element)| element.sql.as_str()).collect();
            let collation = collation(&first.ty);
            return Ok(boolean(format!("({}{collation} {not}IN ({}))", first.sql, elements.join(", "))));
        }
        let tests: Vec<String> = sides.into_iter().map(|(side, element)| equality(&side, &element)).collect();
        Ok(boolean(format!("({not}({}))", tests.join(" OR "))))
    }

    fn in_subquery(&self, operand: &Expr, subquery: &Query, negated: bool) -> Result<Bound, Error> {
        let query = self.subquery(subquery)?;
        let [(_, ty)] = query.columns.as_slice() else {
            return Err(Error::analysis("the subquery of IN must have one column"));
        };
        let relation = self.context.relation_name();
        let column = Bound::new(format!("{relation}.\"c1\""), ty.clone());
        let (operand, column) = comparable(self.bind(operand)?, column)?;
        let collation = collation(&operand.ty);
        let not = if negated { "NOT " } else { "" };
        Ok(boolean(format!(
            "({}{collation} {not}IN (SELECT {} FROM ({}) AS {relation}))",
            operand.sql, column.sql, query.sql
        )))
    }

    fn scalar_subquery(&self, subquery: &Query) -> Result<Bound, Error> {
        let query = self.subquery(subquery)?;
        match query.columns.as_slice() {
            [(_, ty)] => Ok(Bound::new(format!("({})", query.sql), ty.clone())),
            _ => Err(Error::analysis("a subquery used as a value must have one column")),
        }
    }

    fn subquery(&self, query: &Query) -> Result<super::scope::BoundQuery, Error> {
        bind_query(self.context, self.named, Some(self.scope), query)
    }

    fn like(&self, operand: &Expr, pattern: &Expr, negated: bool) -> Result<Bound, Error> {
        let operand = cast(self.bind(operand)?, &SqlType::TEXT)?;
        let pattern = cast(self.bind(pattern)?, &SqlType::TEXT)?;
        let not = if negated { "NOT " } else { "" };
        Ok(boolean(format!("({not}sr_like({}, {}))", operand.sql, pattern.sql)))
    }

    fn case(&self, operand: Option<&Expr>, branches: &[CaseWhen], otherwise: Option<&Expr>) -> Result<Bound, Error> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for branch in branches {
            conditions.push(match &operand {
                Some(operand) => compare(operand.clone(), "=", self.bind(&branch.condition)?)?.sql,
                None => self.condition(&branch.condition)?,
            });
            results.push(self.bind(&branch.result)?);
        }
        results.push(otherwise.map_or_else(|| Ok(Bound::null()), |otherwise| self.bind(otherwise))?);
        let (results, ty) = unified(results)?;
        let branches: Vec<String> =
            conditions.iter().zip(&results).map(|(when, then)| format!("WHEN {when} THEN {}", then.sql)).collect();
        let otherwise = results.last().map_or("NULL", |last| last.sql.as_str());
        Ok(Bound::new(format!("CASE {} ELSE {otherwise} END", branches.join(" ")), ty))
    }

    fn access(&self, value: &Bound, access: &AccessExpr) -> Result<Bound, Error> {
        match access {
            AccessExpr::Dot(Expr::Identifier(name)) => field(value, &name.value),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                let index = self.bind(index)?;
                element(value, &index)
            }
            other => Err(Error::unsupported(format!("the access {other}"))),
        }
    }

    pub(super) fn array(&self, elements: &[Expr]) -> Result<Bound, Error> {
        let elements: Vec<Bound> = elements.iter().map(|element| self.bind(element)).collect::<Result<_, _>>()?;
        let (elements, ty) = unified(elements)?;
        if ty.is_numeric_text() || ty.is_nested() || ty == SqlType::Json {
            return Err(Error::unsupported(format!("an array of {ty} as a constant")));
        }
        let elements: Vec<&str> = elements.iter().map(|element| element.sql.as_str()).collect();
        Ok(Bound::new(format!("sr_array({})", elements.join(", ")), SqlType::Array(Box::new(ty))))
    }
}

/// A comparison.
pub(super) fn compare(left: Bound, operator: &str, right: Bound) -> Result<Bound, Error> {
    let (left, right) = comparable(left, right)?;
    let collation = collation(&left.ty);
    Ok(boolean(format!("({}{collation} {operator} {})", left.sql, right.sql)))
}

/// A comparison of two sides that are comparable already.
fn equality(left: &Bound, right: &Bound) -> String {
    format!("({}{} = {})", left.sql, collation(&left.ty), right.sql)
}

/// The expressions in their common type.
pub(super) fn unified(all: Vec<Bound>) -> Result<(Vec<Bound>, SqlType), Error> {
    let ty = all.iter().fold(Bound::null().ty, |ty, bound| common(&ty, &bound.ty));
    let all = all.into_iter().map(|bound| cast(bound, &ty)).collect::<Result<_, _>>()?;
    Ok((all, ty))
}

pub(super) fn boolean(sql: String) -> Bound {
    Bound::new(sql, SqlType::Boolean)
}

/// `struct.field`, or a field of a JSON object.
fn field(value: &Bound, name: &str) -> Result<Bound, Error> {
    match &value.ty {
        SqlType::Struct(fields) => match fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some((_, ty)) => Ok(from_element(format!("sr_field({}, {})", value.sql, literal(name)), ty)),
            None => Err(Error::analysis(format!("Struct subfield '{name}' cannot be resolved"))),
        },
        SqlType::Json => {
            let path = literal(&format!("$.\"{name}\""));
            Ok(Bound::new(format!("sr_json_get({}, {path})", value.sql), SqlType::Json))
        }
        ty => Err(Error::analysis(format!("{ty} has no fields"))),
    }
}

/// `array[position]` or `map[key]`.
pub(super) fn element(value: &Bound, index: &Bound) -> Result<Bound, Error> {
    match element_type(&value.ty) {
        Some(ty) => Ok(from_element(format!("sr_element({}, {})", value.sql, index.sql), ty)),
        None => Err(Error::analysis(format!("{} cannot be subscripted", value.ty))),
    }
}

/// The type that a cast names.
pub(super) fn data_type(ty: &DataType) -> Result<SqlType, Error> {
    ty.to_string().parse().map_err(|_| Error::analysis(format!("Unknown type {ty}")))
}

fn constant(value: &Value) -> Result<Bound, Error> {
    match value {
        Value::Number(digits, _) => number(digits),
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok(Bound::constant(text)),
        Value::Boolean(truth) => Ok(boolean(i64::from(*truth).to_string())),
        Value::Null => Ok(Bound::null()),
        Value::HexStringLiteral(hex) => Ok(Bound::new(format!("x'{hex}'"), SqlType::Varbinary(0))),
        other => Err(Error::unsupported(format!("the constant {other}"))),
    }
}

/// A number in the smallest type that holds it.
fn number(digits: &str) -> Result<Bound, Error> {
    if let Ok(number) = digits.parse::<i64>() {
        let ty = match number {
            -128..=127 => SqlType::TinyInt,
            -32_768..=32_767 => SqlType::SmallInt,
            -2_147_483_648..=2_147_483_647 => SqlType::Int,
            _ => SqlType::BigInt,
        };
        // SQLite reads the magnitude before the sign, and 2^63 is too large for it.
        let sql = if number == i64::MIN { format!("({} - 1)", number + 1) } else { number.to_string() };
        return Ok(Bound::new(sql, ty));
    }
    if let Ok(number) = digits.parse::<i128>() {
        return Ok(Bound::new(literal(&number.to_string()), SqlType::LargeInt));
    }
    let exact = if digits.contains(['e', 'E']) { None } else { Decimal::parse(digits) };
    if let Some(decimal) = exact.filter(|decimal| decimal.fits_any()) {
        let text = decimal.to_string();
        let count = text.trim_start_matches(['-', '0']).bytes().filter(u8::is_ascii_digit).count();
        let scale = u8::try_from(decimal.scale()).unwrap_or(u8::MAX);
        let precision = u8::try_from(count).unwrap_or(u8::MAX).max(scale).max(1);
        if precision <= super::coerce::DIGITS_MAX {
            return Ok(Bound::new(literal(&text), SqlType::Decimal { precision, scale }));
        }
    }
    let double: f64 = digits.parse().map_err(|_| Error::analysis(format!("Invalid number {digits}")))?;
    if !double.is_finite() {
        return Err(Error::analysis(format!("Number overflow: {digits}")));
    }
    Ok(Bound::new(format!("{double:e}"), SqlType::Double))
}

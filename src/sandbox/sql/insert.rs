//! `INSERT INTO … VALUES` and `INSERT INTO … SELECT`.

use std::sync::Arc;

use sqlparser::ast::{Expr, Insert, SetExpr, TableObject};

use super::Error;
use super::coerce::cast;
use super::expression::Binder;
use super::query::{bind_query, name_parts};
use super::scope::{Bound, Context, Scope};
use crate::sandbox::merge;
use crate::sandbox::store::{Store, reserve_ids};
use crate::sandbox::tablet::bump_version;
use crate::sandbox::types::{Column, Default, SqlType, TableDef, literal, quote};
use crate::sandbox::user::Privilege;

/// Where a column's values come from.
#[derive(Clone, Copy)]
enum From {
    /// The value at this position of the statement's rows.
    Given(usize),
    /// The next number of the table.
    Sequence,
    /// The column's default, or NULL.
    Default,
}

/// Inserts rows and returns how many. A row that does not fit fails the statement, as in StarRocks' strict mode.
pub(super) fn insert(store: &Store, context: &Context<'_>, insert: &Insert) -> Result<u64, Error> {
    if insert.overwrite
        || insert.partitioned.is_some()
        || !insert.assignments.is_empty()
        || insert.on.is_some()
        || insert.returning.is_some()
    {
        return Err(Error::unsupported("this form of INSERT"));
    }
    let TableObject::TableName(name) = &insert.table else {
        return Err(Error::unsupported("INSERT INTO something other than a table"));
    };
    let mut parts = name_parts(name)?;
    let name = parts.pop().unwrap_or_default();
    let table = context.table(parts.last().map(String::as_str), &name)?;
    context.allow(Privilege::Insert, &table.database, &table.name)?;
    let given: Vec<String> = insert
        .columns
        .iter()
        .map(|name| Ok(name_parts(name)?.pop().unwrap_or_default()))
        .collect::<Result<_, Error>>()?;
    let plan = columns(&table, &given)?;
    let source = insert.source.as_ref().ok_or_else(|| Error::unsupported("INSERT without rows"))?;
    let mut stopped = None;
    let inserted = store.write(|transaction| {
        let first = reserve_ids(transaction, &table, 0)?;
        let sql = match statement(context, &table, &plan, source, first) {
            Ok(sql) => sql,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let inserted = match context.interruptible(transaction, || transaction.execute(&sql, [])) {
            Ok(inserted) => inserted,
            Err(refusal) => {
                stopped = Some(refusal);
                // Any error rolls the transaction back; the one that matters is kept aside.
                return Err(rusqlite::Error::ExecuteReturnedResults);
            }
        };
        bump_version(transaction, table.id)?;
        if plan.iter().any(|(_, from)| matches!(from, From::Sequence)) {
            reserve_ids(transaction, &table, i64::try_from(inserted).unwrap_or(i64::MAX))?;
        }
        Ok(Ok(inserted))
    });
    match (inserted, stopped) {
        (_, Some(refusal)) => Err(refusal),
        (inserted, None) => Ok(inserted?? as u64),
    }
}

type Plan = Vec<(Column, From)>;

/// Every stored column of the table, and where its values come from.
fn columns(table: &Arc<TableDef>, given: &[String]) -> Result<Plan, Error> {
    let stored = || table.columns.iter().filter(|column| column.generated.is_none());
    for (at, name) in given.iter().enumerate() {
        let Some(column) = table.column(name) else {
            return Err(Error::analysis(format!("Unknown column '{name}' in '{}'", table.name)));
        };
        if column.generated.is_some() {
            return Err(Error::analysis(format!("generated column '{name}' can not be specified")));
        }
        if given[..at].iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(Error::analysis(format!("Column '{name}' specified twice")));
        }
    }
    let from = |(at, column): (usize, &Column)| {
        let position = if given.is_empty() {
            Some(at)
        } else {
            given.iter().position(|name| name.eq_ignore_ascii_case(&column.name))
        };
        match position {
            Some(position) => Ok((column.clone(), From::Given(position))),
            None if column.auto_increment => Ok((column.clone(), From::Sequence)),
            None if column.default.is_some() || column.nullable => Ok((column.clone(), From::Default)),
            None => {
                Err(Error::analysis(format!("'{}' must be explicitly mentioned in column permutation", column.name)))
            }
        }
    };
    stored().enumerate().map(from).collect()
}

/// The number of values that a row of the statement must have.
fn width(plan: &Plan) -> usize {
    plan.iter().filter(|(_, from)| matches!(from, From::Given(_))).count()
}

fn statement(
    context: &Context<'_>,
    table: &TableDef,
    plan: &Plan,
    source: &sqlparser::ast::Query,
    first: i64,
) -> Result<String, Error> {
    let names: Vec<String> = plan.iter().map(|(column, _)| quote(&column.name)).collect();
    let head = format!("INSERT INTO {} ({})", table.storage(), names.join(", "));
    // A counter that the statement leaves to the table stays as it is in a row that is there.
    let tail = merge::on_conflict(table, None, |column| {
        !plan.iter().any(|(planned, from)| planned.name == column.name && matches!(from, From::Sequence))
    });
    if let SetExpr::Values(values) = source.body.as_ref()
        && source.with.is_none()
    {
        let rows: Vec<String> = values
            .rows
            .iter()
            .zip(first..)
            .map(|(row, id)| value_row(context, plan, row, id))
            .collect::<Result<_, _>>()?;
        return Ok(format!("{head} VALUES {}{tail}", rows.join(", ")));
    }
    let query = bind_query(context, &[], None, source)?;
    check_width(plan, query.columns.len())?;
    let relation = context.relation_name();
    let cells: Vec<String> = plan
        .iter()
        .map(|(column, from)| {
            let value = match from {
                From::Given(at) => Bound::new(format!("{relation}.\"c{}\"", at + 1), query.columns[*at].1.clone()),
                From::Sequence => return Ok(format!("({} + row_number() OVER ())", first - 1)),
                From::Default => default(context, column)?,
            };
            checked(column, value)
        })
        .collect::<Result<_, Error>>()?;
    // Without WHERE, SQLite would take the ON of `ON CONFLICT` for that of a join.
    Ok(format!("{head} SELECT {} FROM ({}) AS {relation} WHERE TRUE{tail}", cells.join(", "), query.sql))
}

fn check_width(plan: &Plan, count: usize) -> Result<(), Error> {
    if count == width(plan) {
        return Ok(());
    }
    Err(Error::analysis(format!("Column count doesn't match value count: {} columns, {count} values", width(plan))))
}

fn value_row(context: &Context<'_>, plan: &Plan, row: &[Expr], id: i64) -> Result<String, Error> {
    check_width(plan, row.len())?;
    let scope = Scope::default();
    let binder = Binder::new(context, &[], &scope);
    let cells: Vec<String> = plan
        .iter()
        .map(|(column, from)| match from {
            From::Given(at) if is_default(&row[*at]) && column.auto_increment => Ok(id.to_string()),
            From::Given(at) if is_default(&row[*at]) => checked(column, default(context, column)?),
            From::Given(at) => checked(column, binder.bind(&row[*at])?),
            From::Sequence => Ok(id.to_string()),
            From::Default => checked(column, default(context, column)?),
        })
        .collect::<Result<_, Error>>()?;
    Ok(format!("({})", cells.join(", ")))
}

pub(super) fn is_default(expression: &Expr) -> bool {
    matches!(expression, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

/// The default of a column as it is stored.
pub(super) fn stored_default(context: &Context<'_>, column: &Column) -> Result<String, Error> {
    checked(column, default(context, column)?)
}

/// The value of a column that the statement leaves out.
pub(super) fn default(context: &Context<'_>, column: &Column) -> Result<Bound, Error> {
    match &column.default {
        None => Ok(Bound::null()),
        Some(Default::Literal(text)) => cast(Bound::constant(text), &column.ty),
        Some(Default::Expression(expression)) if expression.starts_with("uuid_numeric") => {
            cast(Bound::new("sr_uuid_numeric()", SqlType::LargeInt), &column.ty)
        }
        Some(Default::Expression(expression)) if expression.starts_with("uuid") => {
            cast(Bound::new("sr_uuid()", SqlType::TEXT), &column.ty)
        }
        Some(Default::Expression(_)) => {
            let now = context.now.to_string();
            let now = Bound::new(literal(now.split('.').next().unwrap_or_default()), SqlType::DateTime);
            cast(now, &column.ty)
        }
    }
}

/// A value as the column stores it, with the checks of strict mode around it.
pub(super) fn checked(column: &Column, value: Bound) -> Result<String, Error> {
    let given = value.sql.clone();
    let stored = cast(value, &column.ty)?.sql;
    let bytes_max = match &column.ty {
        SqlType::Char(length) | SqlType::Varchar(length) | SqlType::Varbinary(length) => *length,
        _ => u32::MAX,
    };
    let name = literal(&column.name);
    Ok(format!("sr_checked({given}, {stored}, {name}, {}, {bytes_max})", u8::from(column.nullable)))
}

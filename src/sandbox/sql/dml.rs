//! `DELETE` and `UPDATE`: changes to rows that are there.

use std::sync::Arc;

use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, ObjectName, Statement, TableFactor, TableWithJoins, Update,
};

use super::Error;
use super::coerce::truth;
use super::expression::Binder;
use super::insert::{checked, default, is_default};
use super::query::name_parts;
use super::scope::{Context, Relation, Scope, Visible};
use super::session::parse;
use crate::sandbox::store::Store;
use crate::sandbox::types::{KeysType, TableDef, quote};

/// Runs the statement and returns how many rows it changed.
pub(super) fn change(store: &Store, context: &Context<'_>, text: &str) -> Result<u64, Error> {
    let sql = match parse(text)? {
        Statement::Delete(statement) => delete(context, &statement)?,
        Statement::Update(statement) => update(context, &statement)?,
        other => return Err(Error::unsupported(format!("the statement {other}"))),
    };
    Ok(store.write(|transaction| transaction.execute(&sql, []))? as u64)
}

fn delete(context: &Context<'_>, statement: &Delete) -> Result<String, Error> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &statement.from;
    if !statement.tables.is_empty()
        || statement.using.is_some()
        || statement.returning.is_some()
        || statement.output.is_some()
        || !statement.order_by.is_empty()
        || statement.limit.is_some()
    {
        return Err(Error::unsupported("DELETE with USING, ORDER BY, LIMIT or RETURNING"));
    }
    let [from] = from.as_slice() else { return Err(Error::unsupported("DELETE from several tables")) };
    let Some(condition) = &statement.selection else {
        return Err(Error::analysis("Delete must specify where clause to prevent full table delete"));
    };
    let (table, scope) = target(context, from)?;
    let alias = &scope.relations[0].sql_name;
    let condition = bind_condition(context, &scope, condition)?;
    Ok(format!("DELETE FROM {} AS {alias} WHERE {condition}", table.storage()))
}

fn update(context: &Context<'_>, statement: &Update) -> Result<String, Error> {
    if statement.from.is_some()
        || statement.returning.is_some()
        || statement.output.is_some()
        || statement.or.is_some()
        || !statement.order_by.is_empty()
        || statement.limit.is_some()
    {
        return Err(Error::unsupported("UPDATE with FROM, ORDER BY, LIMIT or RETURNING"));
    }
    let (table, scope) = target(context, &statement.table)?;
    if table.keys != KeysType::Primary {
        return Err(Error::analysis(format!("table {} is not primary key table", table.name)));
    }
    let Some(condition) = &statement.selection else {
        return Err(Error::analysis("must specify where clause to prevent full table update"));
    };
    let mut changes: Vec<(String, String)> = Vec::new();
    for assignment in &statement.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(Error::unsupported("UPDATE of a tuple of columns"));
        };
        let name = name_parts(name)?.pop().unwrap_or_default();
        let column = table
            .column(&name)
            .ok_or_else(|| Error::analysis(format!("table {} do not existing column({name})", table.name)))?;
        if column.key {
            return Err(Error::analysis(format!("primary key column cannot be updated: {}", column.name)));
        }
        if column.generated.is_some() {
            return Err(Error::analysis(format!("generated column '{name}' can not be specified")));
        }
        let target = quote(&column.name);
        if changes.iter().any(|(other, _)| *other == target) {
            return Err(Error::analysis(format!("Duplicate column setting: {name}")));
        }
        let value = if is_default(&assignment.value) {
            default(context, column)?
        } else {
            Binder::new(context, &[], &scope).bind(&assignment.value)?
        };
        changes.push((target, checked(column, value)?));
    }
    let changes: Vec<String> = changes.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let alias = &scope.relations[0].sql_name;
    let condition = bind_condition(context, &scope, condition)?;
    Ok(format!("UPDATE {} AS {alias} SET {} WHERE {condition}", table.storage(), changes.join(", ")))
}

fn bind_condition(context: &Context<'_>, scope: &Scope<'_>, condition: &Expr) -> Result<String, Error> {
    let binder = Binder::new(context, &[], scope);
    let condition = truth(binder.bind(condition)?)?;
    if binder.aggregated.get() {
        return Err(Error::analysis("WHERE clause cannot contain aggregations"));
    }
    Ok(condition)
}

/// The table that a statement changes, and what names mean in it.
fn target(context: &Context<'_>, from: &TableWithJoins) -> Result<(Arc<TableDef>, Scope<'static>), Error> {
    let plain = match &from.relation {
        TableFactor::Table { name, alias, partitions, args: None, .. }
            if from.joins.is_empty() && partitions.is_empty() =>
        {
            Some((name, alias))
        }
        _ => None,
    };
    let Some((name, alias)): Option<(&ObjectName, _)> = plain else {
        return Err(Error::unsupported("a change to something other than one whole table"));
    };
    let mut parts = name_parts(name)?;
    let name = parts.pop().unwrap_or_default();
    let database = parts.pop();
    let table = context.table(database.as_deref(), &name)?;
    let columns = table.columns.iter().map(|column| Visible {
        name: column.name.clone(),
        ty: column.ty.clone(),
        sql_name: column.name.clone(),
        merged: false,
    });
    let relation = Relation {
        sql_name: context.relation_name(),
        database: Some(table.database.clone()),
        name: alias.as_ref().map_or(name, |alias| alias.name.value.clone()),
        columns: columns.collect(),
    };
    Ok((table, Scope { relations: vec![relation], parent: None }))
}

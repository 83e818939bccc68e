//! Queries: SELECT, UNION, WITH, and what rows come from.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, LimitClause, ObjectName, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier,
    TableAlias, TableFactor, TableWithJoins, Values, WildcardAdditionalOptions,
};

use super::Error;
use super::aggregate::{direction, sortable};
use super::call::constant_number;
use super::coerce::{cast, common};
use super::expression::{Binder, compare, unified};
use super::information_schema;
use super::scope::{Bound, BoundQuery, Context, Named, Relation, Scope, Visible, is_system_database};
use crate::sandbox::types::SqlType;
use crate::sandbox::user::Privilege;

/// A query whose ORDER BY and LIMIT are still missing.
struct Body {
    query: BoundQuery,
    order: Option<String>,
}

/// Binds a query. `outer` is the scope around a subquery.
pub(super) fn bind_query(
    context: &Context<'_>,
    named: &[Named],
    outer: Option<&Scope<'_>>,
    query: &Query,
) -> Result<BoundQuery, Error> {
    if query.fetch.is_some() || query.for_clause.is_some() || !query.pipe_operators.is_empty() {
        return Err(Error::unsupported("a query with FETCH or FOR"));
    }
    let mut named = named.to_vec();
    if let Some(with) = &query.with {
        if with.recursive {
            return Err(Error::unsupported("WITH RECURSIVE"));
        }
        for table in &with.cte_tables {
            let mut bound = bind_query(context, &named, outer, &table.query)?;
            rename(&mut bound, &table.alias)?;
            named.push((table.alias.name.value.clone(), bound));
        }
    }
    let keys = match query.order_by.as_ref().map(|order| &order.kind) {
        None => &[][..],
        Some(OrderByKind::Expressions(keys)) => keys.as_slice(),
        Some(OrderByKind::All(_)) => return Err(Error::unsupported("ORDER BY ALL")),
    };
    let body = bind_body(context, &named, outer, &query.body, keys)?;
    let mut sql = body.query.sql;
    if let Some(order) = body.order {
        sql = format!("{sql} ORDER BY {order}");
    }
    if let Some(limit) = &query.limit_clause {
        sql = format!("{sql}{}", limit_sql(limit)?);
    }
    Ok(BoundQuery { sql, columns: body.query.columns })
}

fn limit_sql(limit: &LimitClause) -> Result<String, Error> {
    let number = |expression: &Expr| {
        constant_number(expression).ok_or_else(|| Error::analysis(format!("LIMIT takes a number, not {expression}")))
    };
    match limit {
        LimitClause::LimitOffset { limit, offset, limit_by } if limit_by.is_empty() => {
            let limit = limit.as_ref().map_or(Ok(-1), |limit| number(limit).map(u64::cast_signed))?;
            let offset = offset.as_ref().map_or(Ok(0), |offset| number(&offset.value))?;
            Ok(format!(" LIMIT {limit} OFFSET {offset}"))
        }
        LimitClause::OffsetCommaLimit { offset, limit } => {
            Ok(format!(" LIMIT {} OFFSET {}", number(limit)?, number(offset)?))
        }
        LimitClause::LimitOffset { .. } => Err(Error::unsupported("LIMIT … BY")),
    }
}

fn bind_body(
    context: &Context<'_>,
    named: &[Named],
    outer: Option<&Scope<'_>>,
    body: &SetExpr,
    order: &[OrderByExpr],
) -> Result<Body, Error> {
    match body {
        SetExpr::Select(select) => bind_select(context, named, outer, select, order),
        SetExpr::Query(query) => order_whole(context, bind_query(context, named, outer, query)?, order),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let left = bind_body(context, named, outer, left, &[])?.query;
            let right = bind_body(context, named, outer, right, &[])?.query;
            let operator = match (op, set_quantifier) {
                (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
                (SetOperator::Except | SetOperator::Minus, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
                (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
                _ => return Err(Error::unsupported(format!("{op} {set_quantifier}"))),
            };
            order_whole(context, combine(context, left, operator, &right)?, order)
        }
        SetExpr::Values(values) => order_whole(context, bind_values(context, values)?, order),
        _ => Err(Error::unsupported("this kind of query")),
    }
}

/// Two queries as one, each column in the type that holds the values of both.
fn combine(context: &Context<'_>, left: BoundQuery, operator: &str, right: &BoundQuery) -> Result<BoundQuery, Error> {
    if left.columns.len() != right.columns.len() {
        return Err(Error::analysis("Operands have unequal number of columns"));
    }
    let types: Vec<SqlType> = left.columns.iter().zip(&right.columns).map(|(a, b)| common(&a.1, &b.1)).collect();
    let left_sql = converted(context, &left, &types)?;
    let right_sql = converted(context, right, &types)?;
    let columns = left.columns.into_iter().zip(types).map(|((name, _), ty)| (name, ty)).collect();
    Ok(BoundQuery { sql: format!("SELECT * FROM ({left_sql} {operator} {right_sql})"), columns })
}

/// The query with its columns in these types.
pub(super) fn converted(context: &Context<'_>, query: &BoundQuery, types: &[SqlType]) -> Result<String, Error> {
    let relation = context.relation_name();
    let items: Vec<String> = query
        .columns
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, ((_, from), to))| {
            let column = Bound::new(format!("{relation}.\"c{}\"", at + 1), from.clone());
            Ok(format!("{} AS \"c{}\"", cast(column, to)?.sql, at + 1))
        })
        .collect::<Result<_, Error>>()?;
    Ok(format!("SELECT {} FROM ({}) AS {relation}", items.join(", "), query.sql))
}

/// Sorts the rows of a query that is not a plain SELECT: its keys are its columns.
fn order_whole(context: &Context<'_>, query: BoundQuery, order: &[OrderByExpr]) -> Result<Body, Error> {
    if order.is_empty() {
        return Ok(Body { query, order: None });
    }
    let sql_name = context.relation_name();
    let relation = relation_of(&query, sql_name.clone(), String::new());
    let outputs: Vec<(String, Bound)> =
        relation.columns.iter().map(|column| (column.name.clone(), relation.column(column))).collect();
    let scope = Scope { relations: vec![relation], parent: None };
    let binder = Binder::new(context, &[], &scope);
    let order = order_keys(&binder, &outputs, order)?;
    let sql = format!("SELECT * FROM ({}) AS {sql_name}", query.sql);
    Ok(Body { query: BoundQuery { sql, columns: query.columns }, order: Some(order) })
}

fn order_keys(binder: &Binder<'_>, outputs: &[(String, Bound)], keys: &[OrderByExpr]) -> Result<String, Error> {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            let bound = match constant_number(&key.expr) {
                Some(ordinal) => output(outputs, ordinal, "ORDER BY")?.clone(),
                None => binder.bind(&key.expr)?,
            };
            Ok(format!("{}{}", sortable(&bound)?, direction(key)?))
        })
        .collect::<Result<_, Error>>()?;
    Ok(keys.join(", "))
}

/// The column of the result with this number.
fn output<'a>(outputs: &'a [(String, Bound)], ordinal: u64, clause: &str) -> Result<&'a Bound, Error> {
    let at = usize::try_from(ordinal).ok().and_then(|ordinal| ordinal.checked_sub(1));
    match at.and_then(|at| outputs.get(at)) {
        Some((_, bound)) => Ok(bound),
        None => Err(Error::analysis(format!("{clause} position {ordinal} is not in select list"))),
    }
}

fn bind_values(context: &Context<'_>, values: &Values) -> Result<BoundQuery, Error> {
    let scope = Scope::default();
    let binder = Binder::new(context, &[], &scope);
    let mut rows: Vec<Vec<Bound>> = Vec::new();
    for row in &values.rows {
        rows.push(row.iter().map(|value| binder.bind(value)).collect::<Result<_, _>>()?);
    }
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        return Err(Error::analysis("Values have unequal number of columns"));
    }
    let mut columns = Vec::new();
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); rows.len()];
    for at in 0..width {
        let (all, ty) = unified(rows.iter().map(|row| row[at].clone()).collect())?;
        columns.push((format!("column_{at}"), ty));
        cells.iter_mut().zip(all).for_each(|(row, bound)| row.push(format!("{} AS \"c{}\"", bound.sql, at + 1)));
    }
    let rows: Vec<String> = cells.iter().map(|row| format!("SELECT {}", row.join(", "))).collect();
    Ok(BoundQuery { sql: rows.join(" UNION ALL "), columns })
}

fn bind_select(
    context: &Context<'_>,
    named: &[Named],
    outer: Option<&Scope<'_>>,
    select: &Select,
    order: &[OrderByExpr],
) -> Result<Body, Error> {
    refuse_extras(select)?;
    let mut scope = Scope { relations: Vec::new(), parent: outer };
    let from = bind_from(context, named, &mut scope, &select.from)?;
    let mut binder = Binder::new(context, named, &scope);
    let condition = select.selection.as_ref().map(|condition| binder.condition(condition)).transpose()?;
    if binder.aggregated.get() {
        return Err(Error::analysis("WHERE clause cannot contain aggregations"));
    }
    binder.bare.borrow_mut().clear();

    // The first pass learns what the aliases mean; the second knows the keys of GROUP BY too.
    let outputs = bind_items(&binder, &select.projection)?;
    let keys = group_keys(&binder, &outputs, &select.group_by)?;
    binder.bare.borrow_mut().clear();
    binder.keys = &keys;
    let outputs = bind_items(&binder, &select.projection)?;
    binder.aliases = &outputs;
    let having = select.having.as_ref().map(|having| binder.condition(having)).transpose()?;
    binder.aliases_first = true;
    let order = if order.is_empty() { None } else { Some(order_keys(&binder, &outputs, order)?) };
    check_grouping(&binder, !keys.is_empty())?;

    let items: Vec<String> =
        outputs.iter().enumerate().map(|(at, (_, bound))| format!("{} AS \"c{}\"", bound.sql, at + 1)).collect();
    let distinct = match &select.distinct {
        None | Some(Distinct::All) => "",
        Some(Distinct::Distinct) => "DISTINCT ",
        Some(Distinct::On(_)) => return Err(Error::unsupported("DISTINCT ON")),
    };
    let mut sql = format!("SELECT {distinct}{}{from}", items.join(", "));
    // Without groups HAVING is one more condition on rows that may use aliases; JDBC drivers list tables so.
    let (condition, having) = match (condition, having) {
        (condition, Some(having)) if keys.is_empty() && !binder.aggregated.get() => {
            let both = condition.map_or_else(|| having.clone(), |condition| format!("({condition}) AND ({having})"));
            (Some(both), None)
        }
        unchanged => unchanged,
    };
    for (clause, condition) in [(" WHERE ", condition), (" GROUP BY ", joined(&keys)), (" HAVING ", having)] {
        sql.extend(condition.into_iter().flat_map(|condition| [clause.to_owned(), condition]));
    }
    let columns = outputs.iter().map(|(name, bound)| (name.clone(), bound.ty.clone())).collect();
    Ok(Body { query: BoundQuery { sql, columns }, order })
}

fn joined(keys: &[String]) -> Option<String> {
    // A bare number would be taken for the number of a column.
    let key =
        |key: &String| if key.bytes().all(|byte| byte.is_ascii_digit()) { format!("+{key}") } else { key.clone() };
    (!keys.is_empty()).then(|| keys.iter().map(key).collect::<Vec<_>>().join(", "))
}

/// Columns outside of aggregates must be keys of GROUP BY. SQLite would choose a row; StarRocks refuses.
fn check_grouping(binder: &Binder<'_>, grouped: bool) -> Result<(), Error> {
    match binder.bare.borrow().first() {
        Some(column) if grouped || binder.aggregated.get() => {
            Err(Error::analysis(format!("'{column}' must be an aggregate expression or appear in GROUP BY clause")))
        }
        _ => Ok(()),
    }
}

fn refuse_extras(select: &Select) -> Result<(), Error> {
    let extras = select.top.is_some()
        || select.into.is_some()
        || select.prewhere.is_some()
        || select.qualify.is_some()
        || !select.lateral_views.is_empty()
        || !select.connect_by.is_empty()
        || !select.named_window.is_empty()
        || !select.cluster_by.is_empty()
        || !select.sort_by.is_empty()
        || !select.distribute_by.is_empty()
        || select.exclude.is_some();
    if extras { Err(Error::unsupported("SELECT with TOP, INTO, QUALIFY, WINDOW or LATERAL VIEW")) } else { Ok(()) }
}

fn group_keys(binder: &Binder<'_>, outputs: &[(String, Bound)], group: &GroupByExpr) -> Result<Vec<String>, Error> {
    let GroupByExpr::Expressions(keys, modifiers) = group else {
        return Err(Error::unsupported("GROUP BY ALL"));
    };
    if !modifiers.is_empty() {
        return Err(Error::unsupported("GROUP BY with ROLLUP or CUBE"));
    }
    let with_aliases = Binder { aliases: outputs, ..Binder::new(binder.context, binder.named, binder.scope) };
    keys.iter()
        .map(|key| {
            let bound = match constant_number(key) {
                Some(ordinal) => output(outputs, ordinal, "GROUP BY")?.clone(),
                None => with_aliases.bind(key)?,
            };
            if with_aliases.aggregated.get() {
                return Err(Error::analysis("GROUP BY clause cannot contain aggregations"));
            }
            if matches!(bound.ty, SqlType::Json) {
                return Err(Error::analysis("Type json does not support GROUP BY"));
            }
            Ok(bound.sql)
        })
        .collect()
}

fn bind_items(binder: &Binder<'_>, items: &[SelectItem]) -> Result<Vec<(String, Bound)>, Error> {
    let mut outputs = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expression) => outputs.push((item_name(expression), binder.bind(expression)?)),
            SelectItem::ExprWithAlias { expr, alias } => outputs.push((alias.value.clone(), binder.bind(expr)?)),
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) if !is_plain(options) => {
                return Err(Error::unsupported(format!("the item {item}")));
            }
            SelectItem::Wildcard(_) => outputs.extend(everything(binder, &[])?),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let parts = name_parts(name)?;
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                outputs.extend(everything(binder, &parts)?);
            }
            other => return Err(Error::unsupported(format!("the item {other}"))),
        }
    }
    Ok(outputs)
}

/// Whether a `*` stands for all columns as they are.
fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
}

/// The name of a column without an alias: the column's own, or else the expression as written.
fn item_name(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map_or(String::new(), |name| name.value.clone()),
        Expr::Nested(inner) => item_name(inner),
        other => other.to_string(),
    }
}

fn everything(binder: &Binder<'_>, qualifier: &[&str]) -> Result<Vec<(String, Bound)>, Error> {
    let mut all = Vec::new();
    for relation in binder.scope.relations.iter().filter(|relation| relation.is_called(qualifier)) {
        for column in relation.columns.iter().filter(|column| !(column.merged && qualifier.is_empty())) {
            let bound = relation.column(column);
            if !binder.keys.contains(&bound.sql) {
                binder.bare.borrow_mut().push(column.name.clone());
            }
            all.push((column.name.clone(), bound));
        }
    }
    match (all.is_empty(), qualifier) {
        (false, _) => Ok(all),
        (true, []) => Err(Error::analysis("No tables used")),
        (true, _) => Err(Error::analysis(format!("Unresolved table '{}'", qualifier.join(".")))),
    }
}

fn bind_from(
    context: &Context<'_>,
    named: &[Named],
    scope: &mut Scope<'_>,
    tables: &[TableWithJoins],
) -> Result<String, Error> {
    // `SELECT 1 FROM dual` is a SELECT without FROM.
    if let [only] = tables
        && only.joins.is_empty()
        && matches!(&only.relation, TableFactor::Table { name, .. } if name.to_string().eq_ignore_ascii_case("dual"))
    {
        return Ok(String::new());
    }
    let mut parts = Vec::new();
    for table in tables {
        let mut sql = bind_factor(context, named, scope, &table.relation)?;
        for join in &table.joins {
            sql = format!("{sql}{}", bind_join(context, named, scope, join)?);
        }
        parts.push(sql);
    }
    // The comma binds less than JOIN, which SQLite does not know; CROSS JOIN of parts in order means the same.
    Ok(if parts.is_empty() { String::new() } else { format!(" FROM {}", parts.join(" CROSS JOIN ")) })
}

fn bind_join(context: &Context<'_>, named: &[Named], scope: &mut Scope<'_>, join: &Join) -> Result<String, Error> {
    let (keyword, constraint) = match &join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => ("LEFT JOIN", constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => ("RIGHT JOIN", constraint),
        JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
        JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
        _ => return Err(Error::unsupported("this kind of join")),
    };
    let left = scope.relations.len();
    let sql = bind_factor(context, named, scope, &join.relation)?;
    let condition = match constraint {
        JoinConstraint::On(condition) => Some(Binder::new(context, named, scope).condition(condition)?),
        JoinConstraint::Using(columns) => Some(bind_using(scope, left, columns, keyword)?),
        JoinConstraint::None => None,
        JoinConstraint::Natural => return Err(Error::unsupported("NATURAL JOIN")),
    };
    let on = condition.map_or(String::new(), |condition| format!(" ON {condition}"));
    Ok(format!(" {keyword} {sql}{on}"))
}

fn bind_using(scope: &mut Scope<'_>, left: usize, names: &[ObjectName], keyword: &str) -> Result<String, Error> {
    if matches!(keyword, "RIGHT JOIN" | "FULL JOIN") {
        return Err(Error::unsupported(format!("{keyword} … USING")));
    }
    let mut conditions = Vec::new();
    for name in names {
        let name = name_parts(name)?.pop().unwrap_or_default();
        let right = scope.relations.split_off(left);
        let found = scope.find(&[], &name)?;
        scope.relations.extend(right);
        let (left_column, _) = found.ok_or_else(|| Error::analysis(format!("Column '{name}' cannot be resolved")))?;
        let relation = scope.relations.last_mut().expect("the right side has just been added");
        let at = relation.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&name));
        let at = at.ok_or_else(|| Error::analysis(format!("Column '{name}' cannot be resolved")))?;
        relation.columns[at].merged = true;
        let right_column = relation.column(&relation.columns[at]);
        conditions.push(compare(left_column, "=", right_column)?.sql);
    }
    Ok(conditions.join(" AND "))
}

fn bind_factor(
    context: &Context<'_>,
    named: &[Named],
    scope: &mut Scope<'_>,
    factor: &TableFactor,
) -> Result<String, Error> {
    match factor {
        // Everything that could change the rows is named here, so that nothing is passed over.
        TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            partitions,
            json_path: None,
            sample: None,
            with_hints,
            ..
        } if partitions.is_empty() && with_hints.is_empty() => bind_table(context, named, scope, name, alias.as_ref()),
        TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
            let Some(alias) = alias else {
                return Err(Error::new(1248, "Every derived table must have its own alias"));
            };
            let mut query = bind_query(context, named, scope.parent, subquery)?;
            rename(&mut query, alias)?;
            Ok(add_query(context, scope, &query, &alias.name.value))
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            let mut sql = bind_factor(context, named, scope, &table_with_joins.relation)?;
            for join in &table_with_joins.joins {
                sql = format!("{sql}{}", bind_join(context, named, scope, join)?);
            }
            Ok(format!("({sql})"))
        }
        other => Err(Error::unsupported(format!("rows from {other}"))),
    }
}

fn bind_table(
    context: &Context<'_>,
    named: &[Named],
    scope: &mut Scope<'_>,
    name: &ObjectName,
    alias: Option<&TableAlias>,
) -> Result<String, Error> {
    let parts = name_parts(name)?;
    let (table, rest) = parts.split_last().ok_or_else(|| Error::analysis("a table's name is empty"))?;
    let called = alias.map_or(table, |alias| &alias.name.value);
    if rest.is_empty()
        && let Some((_, query)) = named.iter().rev().find(|(name, _)| name == table)
    {
        return Ok(add_query(context, scope, query, called));
    }
    let database = rest.last().map(String::as_str);
    if let Some(system) = database.or(context.database).filter(|name| is_system_database(name)) {
        let query = information_schema::table(context, system, table)?;
        return Ok(add_query(context, scope, &query, called));
    }
    let table = context.table(database, table)?;
    context.allow(Privilege::Select, &table.database, &table.name)?;
    let sql_name = context.relation_name();
    let columns = table.columns.iter().map(|column| Visible {
        name: column.name.clone(),
        ty: column.ty.clone(),
        sql_name: column.name.clone(),
        merged: false,
    });
    scope.relations.push(Relation {
        sql_name: sql_name.clone(),
        database: alias.is_none().then(|| table.database.clone()),
        name: called.clone(),
        columns: columns.collect(),
    });
    Ok(format!("{} AS {sql_name}", table.storage()))
}

fn add_query(context: &Context<'_>, scope: &mut Scope<'_>, query: &BoundQuery, name: &str) -> String {
    let sql_name = context.relation_name();
    scope.relations.push(relation_of(query, sql_name.clone(), name.to_owned()));
    format!("({}) AS {sql_name}", query.sql)
}

fn relation_of(query: &BoundQuery, sql_name: String, name: String) -> Relation {
    let columns = query.columns.iter().enumerate().map(|(at, (name, ty))| Visible {
        name: name.clone(),
        ty: ty.clone(),
        sql_name: format!("c{}", at + 1),
        merged: false,
    });
    Relation { sql_name, database: None, name, columns: columns.collect() }
}

/// `AS t(a, b)`: other names for the columns.
fn rename(query: &mut BoundQuery, alias: &TableAlias) -> Result<(), Error> {
    if !alias.columns.is_empty() && alias.columns.len() != query.columns.len() {
        return Err(Error::analysis(format!("{} has {} columns", alias.name.value, query.columns.len())));
    }
    for (column, name) in query.columns.iter_mut().zip(&alias.columns) {
        column.0.clone_from(&name.name.value);
    }
    Ok(())
}

/// The parts of a name like `db.t`.
pub(super) fn name_parts(name: &ObjectName) -> Result<Vec<String>, Error> {
    let part = |part: &sqlparser::ast::ObjectNamePart| part.as_ident().map(|name: &Ident| name.value.clone());
    name.0.iter().map(part).collect::<Option<_>>().ok_or_else(|| Error::unsupported(format!("the name {name}")))
}

//! How each column of a table gets its value from a row of a body, and how the row gets into the table.
//!
//! ```text
//!  fields ─▶ derived (expressions over fields) ─▶ cells, operation ─▶ `where` ─┬▶ insert or delete ──▶ table
//!                                                                             └▶ staging table ─ publish ─▶ table
//! ```
//!
//! A load that is committed at once puts its cells into the table row by row ([`Plan::insert`], [`Plan::delete`]). One
//! that is only prepared keeps them, with their operations and in their order, in a staging table; see
//! [`stage`](super::stage), whose three functions are all that a transaction needs:
//!
//! - `stage(transaction, owner, request, table, plan, body, tally)` is [`ingest`](super::ingest::ingest) into a new
//!   staging table. The owner is any number, say a transaction's; it may stage several loads, into several tables.
//! - `publish(transaction, owner)` merges everything that the owner staged into the tables, in order, and forgets it. It
//!   needs nothing but the database: neither the request nor the plan, so it works after a restart.
//! - `discard(transaction, owner)` forgets it.
//!
//! Columns that SQLite generates have no cells: they are computed where the row comes to rest.

use std::fmt::Write as _;

use rusqlite::Transaction;

use super::columns::Mapping;
use super::function;
use super::ingest::Failed;
use super::merge;
use super::partition;
use super::select::{translate_expression, translate_typed};
use super::store;
use super::types::{Aggregation, Column, Default, KeysType, SqlType, TableDef, quote};
use super::value::{self, Cell};
use super::wire::{Format, LoadRequest};
use super::zone::Zone;

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// A field of the body.
    Field(usize),
    /// An expression over the fields.
    Derived(usize),
    Constant(Cell<'static>),
    /// The table's counter.
    Counter,
    /// SQLite computes it.
    Generated,
}

/// What is done with a row of a primary key table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// It is put in the place of the row with its key, if there is one.
    Upsert,
    /// The row with its key is deleted.
    Delete,
    /// A field of the body says which: 0 or 1.
    Field(usize),
    /// An expression over the fields says which.
    Derived(usize),
}

/// What a row has to satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// `where`: other rows are unselected.
    Predicate,
    /// `partitions`: other rows are filtered.
    Partition,
}

/// The virtual column that holds the operation.
const OPERATION: &str = "__op";

/// A load's plan. Parameters of its statements are numbered by the positions of the table's columns, from 1.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The names of the body's fields, in order.
    pub(super) fields: Vec<String>,
    /// One for each column of the table.
    pub(super) origins: Vec<Origin>,
    pub(super) operation: Operation,
    /// Puts one row into the table.
    pub(super) insert: String,
    /// Deletes the row with a key, where rows may say so.
    pub(super) delete: Option<String>,
    /// What becomes of a row whose key is there: the end of any INSERT into the table.
    pub(super) on_conflict: String,
    /// Computes the derived values; its parameters are the fields.
    pub(super) derive: Option<String>,
    /// Computes what rows have to satisfy; its parameters are the columns.
    pub(super) select: Option<String>,
    /// What the results of `select` are.
    pub(super) checks: Vec<Check>,
    /// Whether sums lose the values.
    pub(super) negative: bool,
}

impl Plan {
    /// Plans a load. The error is the message of the reply.
    pub(super) fn new(request: &LoadRequest, table: &TableDef) -> Result<Self, String> {
        check_options(request, table)?;
        let (fields, derived) = split(request, table);
        check_names(table, &fields, &derived)?;
        let named = |column: &Column| {
            fields
                .iter()
                .chain(derived.iter().map(|(name, _)| name))
                .any(|name| name.eq_ignore_ascii_case(&column.name))
        };
        if request.partial {
            let missing =
                table.columns.iter().find(|column| column.key && (request.columns.is_none() || !named(column)));
            if let Some(key) = missing {
                return Err(format!("key column {} not in partial update columns", key.name));
            }
        }
        let condition = merge_condition(request, table, named)?;
        let mut derive = Vec::new();
        let mut origins = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let expression = derived.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            let field = fields.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
            origins.push(if column.generated.is_some() {
                Origin::Generated
            } else if let Some((_, expression)) = expression {
                derive.push(translate_expression(expression, &fields, request.zone)?);
                Origin::Derived(derive.len() - 1)
            } else if let Some(field) = field {
                check_carried(column, &request.format)?;
                Origin::Field(field)
            } else {
                absent(column, request.partial, &mut derive)?
            });
        }
        let operation = operation(table, &fields, &derived, request.zone, &mut derive)?;
        // A counter that the load does not fill goes on counting for new rows, and stays as it is in the others.
        let assigned = |column: &Column| named(column) || !request.partial && !column.auto_increment;
        let on_conflict = merge::on_conflict(table, condition, assigned);
        let mut conditions: Vec<_> =
            request.predicate.iter().map(|predicate| (Check::Predicate, predicate.clone())).collect();
        if let Some(wanted) = &request.partitions {
            conditions.extend(partition::condition(wanted, table)?.map(|condition| (Check::Partition, condition)));
        }
        Ok(Self {
            insert: format!("{}{on_conflict}", insert(table)),
            delete: (operation != Operation::Upsert).then(|| delete(table)),
            on_conflict,
            derive: select(&derive, &fields),
            select: selection(&conditions, table, request.zone)?,
            checks: conditions.into_iter().map(|(check, _)| check).collect(),
            negative: request.negative,
            operation,
            fields,
            origins,
        })
    }
}

/// A load's request, table and plan, when they are not what they were.
pub(super) type Replanned = (LoadRequest, TableDef, Plan);

/// Plans a load again if its table has changed since it was planned; to be asked in the transaction that takes its rows
/// in. Columns that the load was to fill are still the ones that it fills, and new ones take their defaults.
pub(super) fn replan(
    transaction: &Transaction<'_>,
    request: &LoadRequest,
    table: &TableDef,
    plan: &Plan,
) -> Result<Option<Replanned>, Failed> {
    let Some(now) = store::current(transaction, table.id)? else {
        return Err(Failed::Body(format!("unknown table, table={}", table.name)));
    };
    if now.ddl == table.ddl && now.columns == table.columns {
        return Ok(None);
    }
    let filled = table.columns.iter().zip(&plan.origins);
    let filled = filled.filter(|(_, origin)| matches!(origin, Origin::Field(_) | Origin::Derived(_)));
    check_kept(&now, filled.map(|(column, _)| column.name.as_str())).map_err(Failed::Body)?;
    let mut request = request.clone();
    request.columns.get_or_insert_with(|| plan.fields.iter().cloned().map(Mapping::Field).collect());
    let plan = Plan::new(&request, &now).map_err(Failed::Body)?;
    Ok(Some((request, now, plan)))
}

/// Makes sure that columns that rows have values for are still there.
pub(super) fn check_kept<'c>(table: &TableDef, columns: impl IntoIterator<Item = &'c str>) -> Result<(), String> {
    match columns.into_iter().find(|name| table.column(name).is_none()) {
        Some(gone) => Err(format!("table {} has changed since the load began: column {gone} is gone", table.name)),
        None => Ok(()),
    }
}

/// The SQL of what a column holds when a load leaves it out.
pub(super) fn absent_sql(column: &Column) -> Result<String, String> {
    let mut derive = Vec::new();
    let sql = match absent(column, false, &mut derive)? {
        Origin::Constant(Cell::Integer(number)) => number.to_string(),
        Origin::Constant(Cell::Real(number)) => format!("{number:e}"),
        Origin::Constant(Cell::Text(text)) => format!("'{}'", text.replace('\'', "''")),
        Origin::Constant(Cell::Blob(bytes)) => format!("x'{}'", function::hex_text(&bytes)),
        Origin::Derived(_) => derive.pop().expect("it was just derived"),
        _ => "NULL".to_owned(),
    };
    Ok(sql)
}

/// Refuses what the kind of table does not know.
fn check_options(request: &LoadRequest, table: &TableDef) -> Result<(), String> {
    if request.partial && table.keys != KeysType::Primary {
        return Err("Only primary key table support partial update".to_owned());
    }
    if !request.negative {
        return Ok(());
    }
    if table.keys == KeysType::Primary {
        return Err("primary key table does not support negative load".to_owned());
    }
    let other = table.columns.iter().find(|column| !column.key && column.aggregation != Some(Aggregation::Sum));
    other.map_or(Ok(()), |column| Err(format!("Column is not SUM AggregateType. column:{}", column.name)))
}

fn merge_condition<'t>(
    request: &LoadRequest,
    table: &'t TableDef,
    named: impl Fn(&Column) -> bool,
) -> Result<Option<&'t Column>, String> {
    let Some(name) = &request.merge_condition else { return Ok(None) };
    if table.keys != KeysType::Primary {
        return Err(format!("Conditional update only support primary key table {}", table.name));
    }
    match table.column(name) {
        None => Err(format!("Merge condition column {name} does not exist!")),
        Some(column) if column.key => Err(format!("Merge condition column {name} should not be primary key!")),
        Some(column) if request.partial && !named(column) => {
            Err(format!("Merge condition column {name} should in partial update columns"))
        }
        Some(column) if !(column.ty.is_number() || column.ty.is_temporal() || column.ty.is_text()) => {
            Err(format!("Merge condition column {name} of type {} has no order", column.ty))
        }
        Some(column) => Ok(Some(column)),
    }
}

/// Where a row's operation comes from.
fn operation(
    table: &TableDef,
    fields: &[String],
    derived: &[(String, String)],
    zone: Zone,
    derive: &mut Vec<String>,
) -> Result<Operation, String> {
    if table.keys != KeysType::Primary {
        return Ok(Operation::Upsert);
    }
    if let Some((_, expression)) = derived.iter().find(|(name, _)| is_operation(name)) {
        let quoted = expression.strip_prefix(['\'', '"']).and_then(|rest| rest.strip_suffix(['\'', '"']));
        let constant = quoted.or_else(|| expression.bytes().all(|byte| byte.is_ascii_digit()).then_some(expression));
        return match constant.map(str::to_ascii_lowercase).as_deref() {
            Some("upsert" | "0") => Ok(Operation::Upsert),
            Some("delete" | "1") => Ok(Operation::Delete),
            Some(text) if !text.contains(['\'', '"']) => {
                Err("const load op type column should only be upsert(0)/delete(1)".to_owned())
            }
            _ => {
                derive.push(translate_expression(expression, fields, zone)?);
                Ok(Operation::Derived(derive.len() - 1))
            }
        };
    }
    Ok(fields.iter().position(|name| is_operation(name)).map_or(Operation::Upsert, Operation::Field))
}

fn is_operation(name: &str) -> bool {
    name.eq_ignore_ascii_case(OPERATION)
}

/// The fields and the derived columns that a request speaks of.
fn split(request: &LoadRequest, table: &TableDef) -> (Vec<String>, Vec<(String, String)>) {
    let Some(mappings) = &request.columns else {
        let loadable = table.columns.iter().filter(|column| !column.auto_increment && column.generated.is_none());
        let mut fields: Vec<String> = loadable.map(|column| column.name.clone()).collect();
        if table.keys == KeysType::Primary && matches!(request.format, Format::Json(_)) {
            fields.push(OPERATION.to_owned());
        }
        return (fields, Vec::new());
    };
    let (mut fields, mut derived) = (Vec::new(), Vec::new());
    for mapping in mappings {
        match mapping {
            Mapping::Field(name) => fields.push(name.clone()),
            Mapping::Derived { name, expression } => derived.push((name.clone(), expression.clone())),
        }
    }
    (fields, derived)
}

fn check_names(table: &TableDef, fields: &[String], derived: &[(String, String)]) -> Result<(), String> {
    for (at, name) in fields.iter().enumerate() {
        if fields[..at].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
            return Err(format!("Duplicate column: {name}"));
        }
    }
    for name in fields.iter().chain(derived.iter().map(|(name, _)| name)) {
        if table.column(name).is_some_and(|column| column.generated.is_some()) {
            return Err(format!("generated column {name} can not be specified"));
        }
    }
    let known = |name: &str| table.column(name).is_some() || is_operation(name) && table.keys == KeysType::Primary;
    // Any other field that is no column of the table is there for expressions. This one would be meant.
    if table.keys != KeysType::Primary && fields.iter().any(|name| is_operation(name)) {
        return Err(format!("column {OPERATION} is only for primary key tables, which {} is not", table.name));
    }
    match derived.iter().find(|(name, _)| !known(name)) {
        Some((name, _)) => Err(format!("Mapping column is not in table. column: {name}")),
        None => Ok(()),
    }
}

fn check_carried(column: &Column, format: &Format) -> Result<(), String> {
    match (format, &column.ty) {
        (_, SqlType::Other(name)) => Err(format!("column {} of type {name} needs an expression", column.name)),
        (Format::Csv(_), ty) if !value::csv_can_carry(ty) => Err(format!("Unsupported CSV type {ty}")),
        _ => Ok(()),
    }
}

/// A column that the load leaves out. What a partial update puts there is for new rows alone.
fn absent(column: &Column, partial: bool, derive: &mut Vec<String>) -> Result<Origin, String> {
    if column.auto_increment {
        return Ok(Origin::Counter);
    }
    match &column.default {
        Some(Default::Literal(text)) => {
            let cell = value::scalar(&column.ty, text);
            let cell = cell.map_err(|_| format!("Invalid default value. column: {}", column.name))?;
            Ok(Origin::Constant(cell.into_owned()))
        }
        Some(Default::Expression(expression)) => {
            // Not an expression of the load: it sees the time that INSERT sees.
            derive.push(translate_expression(expression, &[], Zone::UTC)?);
            Ok(Origin::Derived(derive.len() - 1))
        }
        None if column.nullable => Ok(Origin::Constant(Cell::Null)),
        None if partial => Ok(Origin::Constant(merge::zero(&column.ty))),
        None => Err(format!("Column has no default value. column: {}", column.name)),
    }
}

fn insert(table: &TableDef) -> String {
    let (names, values): (Vec<String>, Vec<String>) =
        table.stored().map(|(at, column)| (quote(&column.name), format!("?{}", at + 1))).unzip();
    format!("INSERT INTO {} ({}) VALUES ({})", table.storage(), names.join(", "), values.join(", "))
}

fn delete(table: &TableDef) -> String {
    let keys = table.columns.iter().enumerate().filter(|(_, column)| column.key);
    let keys: Vec<String> = keys.map(|(at, column)| format!("{} = ?{}", quote(&column.name), at + 1)).collect();
    format!("DELETE FROM {} WHERE {}", table.storage(), keys.join(" AND "))
}

/// A statement that computes conditions over columns as they are stored, those that are generated among them.
fn selection(conditions: &[(Check, String)], table: &TableDef, zone: Zone) -> Result<Option<String>, String> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let typed = |column: &Column| (column.name.clone(), column.ty.clone());
    let stored: Vec<_> = table.stored().map(|(_, column)| typed(column)).collect();
    let inputs: Vec<String> =
        table.stored().map(|(at, column)| format!("?{} AS {}", at + 1, quote(&column.name))).collect();
    let mut generated = String::new();
    for column in &table.columns {
        if let Some(expression) = &column.generated {
            // The condition compares the column by its type, so it has to see the column and not the mere expression.
            let cast = if column.ty.is_nested() || column.ty == SqlType::Json {
                expression.clone()
            } else {
                format!("CAST(({expression}) AS {})", column.ty)
            };
            let sql = translate_typed(&cast, &stored, Zone::UTC)?;
            let _ = write!(generated, ", {sql} AS {}", quote(&column.name));
        }
    }
    let all: Vec<_> = table.columns.iter().map(typed).collect();
    let conditions: Vec<String> =
        conditions.iter().map(|(_, condition)| translate_typed(condition, &all, zone)).collect::<Result<_, _>>()?;
    let (conditions, inputs) = (conditions.join(", "), inputs.join(", "));
    Ok(Some(format!("SELECT {conditions} FROM (SELECT *{generated} FROM (SELECT {inputs}))")))
}

/// A statement that computes expressions over parameters that go by names.
fn select(expressions: &[String], names: &[String]) -> Option<String> {
    if expressions.is_empty() {
        return None;
    }
    let inputs: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("?{} AS {}", at + 1, quote(name))).collect();
    let inputs = if inputs.is_empty() { "NULL".to_owned() } else { inputs.join(", ") };
    Some(format!("SELECT {} FROM (SELECT {inputs})", expressions.join(", ")))
}

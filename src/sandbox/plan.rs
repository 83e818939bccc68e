//! How each column of a table gets its value from a row of a body.
//!
//! ```text
//!  fields ─▶ derived (expressions over fields) ─▶ columns ─▶ generated columns, `where` (over columns) ─▶ table
//! ```

use super::columns::Mapping;
use super::select::{translate_expression, translate_typed};
use super::types::{Column, Default, SqlType, TableDef, quote};
use super::value::{self, Cell};
use super::wire::{Format, LoadRequest};

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
    /// An expression over the other columns.
    Generated(usize),
}

/// A load's plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The names of the body's fields, in order.
    pub(super) fields: Vec<String>,
    /// One for each column of the table.
    pub(super) origins: Vec<Origin>,
    /// Puts one row into the table; its parameters are the columns.
    pub(super) insert: String,
    /// Computes the derived values; its parameters are the fields.
    pub(super) derive: Option<String>,
    /// Computes the generated columns and, as the last value, the predicate; its parameters are the columns.
    pub(super) finish: Option<String>,
    /// Whether `finish` ends with a predicate.
    pub(super) filters: bool,
}

impl Plan {
    /// Plans a load. The error is the message of the reply.
    pub(super) fn new(request: &LoadRequest, table: &TableDef) -> Result<Self, String> {
        let (fields, derived) = split(request, table);
        check_names(table, &fields, &derived)?;
        let mut derive = Vec::new();
        let mut generate = Vec::new();
        // Expressions see the fields as they come, which is as texts, and the columns as they are stored.
        let outputs: Vec<_> = table.columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect();
        let mut origins = Vec::with_capacity(outputs.len());
        for column in &table.columns {
            let expression = derived.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            let field = fields.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
            origins.push(if let Some(expression) = &column.generated {
                generate.push(translate_typed(expression, &outputs)?);
                Origin::Generated(generate.len() - 1)
            } else if let Some((_, expression)) = expression {
                derive.push(translate_expression(expression, &fields)?);
                Origin::Derived(derive.len() - 1)
            } else if let Some(field) = field {
                check_carried(column, &request.format)?;
                Origin::Field(field)
            } else {
                absent(column, &mut derive)?
            });
        }
        if let Some(predicate) = &request.predicate {
            generate.push(translate_typed(predicate, &outputs)?);
        }
        let names: Vec<String> = outputs.into_iter().map(|(name, _)| name).collect();
        Ok(Self {
            insert: insert(table, &names),
            derive: select(&derive, &fields),
            finish: select(&generate, &names),
            filters: request.predicate.is_some(),
            fields,
            origins,
        })
    }

    /// The same plan with rows that go somewhere else than into the table.
    pub(super) fn with_storage(&self, table: &TableDef, storage: &str) -> Self {
        Self { insert: self.insert.replacen(&table.storage(), storage, 1), ..self.clone() }
    }
}

/// The fields and the derived columns that a request speaks of.
fn split(request: &LoadRequest, table: &TableDef) -> (Vec<String>, Vec<(String, String)>) {
    let Some(mappings) = &request.columns else {
        let loadable = table.columns.iter().filter(|column| !column.auto_increment && column.generated.is_none());
        return (loadable.map(|column| column.name.clone()).collect(), Vec::new());
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
    match derived.iter().find(|(name, _)| table.column(name).is_none()) {
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

/// A column that the load leaves out.
fn absent(column: &Column, derive: &mut Vec<String>) -> Result<Origin, String> {
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
            derive.push(translate_expression(expression, &[])?);
            Ok(Origin::Derived(derive.len() - 1))
        }
        None if column.nullable => Ok(Origin::Constant(Cell::Null)),
        None => Err(format!("Column has no default value. column: {}", column.name)),
    }
}

fn insert(table: &TableDef, names: &[String]) -> String {
    let columns: Vec<String> = names.iter().map(|name| quote(name)).collect();
    let values = vec!["?"; names.len()];
    format!("INSERT INTO {} ({}) VALUES ({})", table.storage(), columns.join(", "), values.join(", "))
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

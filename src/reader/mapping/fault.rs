//! What is said when fields and columns do not go together.

use std::path::Path;

use super::{FieldKind, SourceFields};
use crate::model::{Column, Table};
use crate::near;
use crate::reader::Error;

pub(super) fn mismatch(input: &Path, what: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::ColumnsMismatch { path: input.to_owned(), what: what.into(), hint: hint.into() }
}

/// The names in backticks, for people.
pub(super) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Fields without a column, columns without a field, or both.
///
/// `strangers` are indices of fields, `bare` columns that neither take NULL nor have a default.
pub(super) fn unmatched(
    input: &Path,
    fields: &SourceFields,
    table: &Table,
    strangers: &[usize],
    bare: &[&Column],
) -> Error {
    let names = fields.names.as_deref().unwrap_or_default();
    let mut facts = Vec::new();
    if !strangers.is_empty() {
        let strangers = strangers.iter().map(|&index| match names[index].as_str() {
            "" => format!("field {} (it has no name)", index + 1),
            name => format!("`{name}`"),
        });
        facts.push(format!("the table has no column for {}", strangers.collect::<Vec<_>>().join(", ")));
    }
    if !bare.is_empty() {
        let bare = quoted(bare.iter().map(|column| column.name.as_str()));
        facts.push(format!("the input has no field for {bare}, which takes no NULL and has no default"));
    }
    let none_matched = strangers.len() == names.len() && !names.is_empty();
    if facts.len() == 1 || none_matched {
        facts.push(format!("the table's columns are {}", quoted(loadable(table).map(|column| column.name.as_str()))));
    }
    mismatch(input, facts.join("; "), advice(fields, table, strangers, none_matched))
}

fn advice(fields: &SourceFields, table: &Table, strangers: &[usize], none_matched: bool) -> String {
    let names = fields.names.as_deref().unwrap_or_default();
    if none_matched && fields.kind == FieldKind::Delimited {
        return "if the first line is data and no header, say `--no-csv-header`; otherwise rename by `--columns column=field,…`"
            .into();
    }
    for &index in strangers {
        let columns = table.columns.iter().map(|column| column.name.as_str());
        if let Some(column) = near::names(&names[index], columns).first() {
            return format!(
                "if `{}` is meant for `{column}`, say so: `--columns {column}={},…`",
                names[index], names[index]
            );
        }
    }
    let matched: Vec<&str> = names
        .iter()
        .enumerate()
        .filter(|(index, _)| !strangers.contains(index))
        .map(|(_, name)| name.as_str())
        .collect();
    if strangers.is_empty() {
        "add the missing column to the input, or compute it: `--columns …,column=expression`".into()
    } else {
        format!("to leave fields out, list those to load: `--columns {}`", matched.join(","))
    }
}

/// The columns that a load may fill.
pub(super) fn loadable(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|column| !column.generated)
}

//! Binding fields to columns by name and by position, and what every way of binding shares.

use std::path::Path;

use super::fault::{loadable, mismatch, quoted, unmatched};
use super::{FieldKind, Mapping, SourceFields};
use crate::model::{Column, ColumnType, Table};
use crate::reader::{Error, FieldRef, Projected};

/// Every field to the column of its name.
pub(super) fn by_name(input: &Path, fields: &SourceFields, table: &Table) -> Result<Mapping, Error> {
    let names = fields.names.as_deref().unwrap_or_default();
    if names.is_empty() {
        return Err(mismatch(input, "the input has no fields", "check the program that writes it"));
    }
    let columns = columns_with_operation(table);
    let mut slots: Vec<Option<usize>> = vec![None; columns.len()];
    let mut strangers = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let Some(column) = find(input, name, columns.iter().map(|column| column.name.as_str()))? else {
            strangers.push(index);
            continue;
        };
        refuse_generated(input, &columns[column])?;
        if let Some(first) = slots[column].replace(index) {
            let what = format!("fields {} both mean `{}`", quoted([&*names[first], name]), columns[column].name);
            return Err(mismatch(input, what, "rename one of them, or list the fields to load with `--columns`"));
        }
    }
    let missing: Vec<&Column> = table
        .columns
        .iter()
        .zip(&slots)
        .filter(|(column, slot)| slot.is_none() && is_bare(column))
        .map(|it| it.0)
        .collect();
    if !strangers.is_empty() || !missing.is_empty() {
        return Err(unmatched(input, fields, table, &strangers, &missing));
    }
    let mut plan = Plan::new(input, fields);
    for (column, slot) in columns.iter().zip(&slots) {
        match slot {
            Some(index) => plan.send(column.clone(), *index)?,
            None => plan.leave_out(column),
        }
    }
    plan.mapping.known = (fields.kind == FieldKind::Keyed).then(|| {
        // Keys beyond the sample may still belong to columns: those that are asked for by name.
        let asked = plan.mapping.projected.iter().filter_map(|projected| match &projected.source {
            FieldRef::Name(name) => Some(name.clone()),
            FieldRef::Index(_) => None,
        });
        asked.collect()
    });
    Ok(plan.mapping)
}

/// The first field to the first column, and so on.
pub(super) fn by_position(input: &Path, fields: &SourceFields, table: &Table) -> Result<Mapping, Error> {
    let columns: Vec<&Column> = loadable(table).collect();
    if columns.len() != fields.count {
        let names = quoted(columns.iter().map(|column| column.name.as_str()));
        let what =
            format!("the input has {} fields, the table {} columns to load ({names})", fields.count, columns.len());
        return Err(mismatch(
            input,
            what,
            "name the fields in their order: `--columns a,b,c`; names that no column has are skipped",
        ));
    }
    let mut plan = Plan::new(input, fields);
    for (index, column) in columns.into_iter().enumerate() {
        plan.send(column.clone(), index)?;
    }
    Ok(plan.mapping)
}

/// The mapping as it grows.
pub(super) struct Plan<'a> {
    input: &'a Path,
    fields: &'a SourceFields,
    pub(super) mapping: Mapping,
    /// Columns that nothing fills and that need a value.
    pub(super) bare: Vec<String>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(input: &'a Path, fields: &'a SourceFields) -> Self {
        let mapping = Mapping { projected: Vec::new(), derived: Vec::new(), notices: Vec::new(), known: None };
        Self { input, fields, mapping, bare: Vec::new() }
    }

    pub(super) fn send(&mut self, column: Column, field: usize) -> Result<(), Error> {
        let source = match (&self.fields.names, self.fields.kind) {
            (Some(names), FieldKind::Keyed) => FieldRef::Name(names[field].clone()),
            _ => FieldRef::Index(field),
        };
        self.push(column, source)
    }

    pub(super) fn send_key(&mut self, column: Column, key: String) -> Result<(), Error> {
        self.push(column, FieldRef::Name(key))
    }

    fn push(&mut self, column: Column, source: FieldRef) -> Result<(), Error> {
        if let ColumnType::Other(ty) = &column.ty {
            return Err(Error::ColumnNeedsExpression {
                path: self.input.to_owned(),
                column: column.name,
                ty: ty.clone(),
            });
        }
        self.mapping.projected.push(Projected { column, source });
        Ok(())
    }

    /// A column for which the input has no field, and which can do without.
    pub(super) fn leave_out(&mut self, column: &Column) {
        if column.generated || column.name == OPERATION {
            return;
        }
        let name = &column.name;
        let loadable = !matches!(column.ty, ColumnType::Other(_));
        if column.has_default {
            self.mapping.notices.push(format!("column `{name}` is not in the input: the server fills in its default"));
        } else if self.fields.kind == FieldKind::Keyed && loadable {
            self.mapping.notices.push(format!("no record looked at has `{name}`: where it is missing it is NULL"));
            self.mapping.projected.push(Projected { column: column.clone(), source: FieldRef::Name(name.clone()) });
        } else {
            self.mapping.notices.push(format!("column `{name}` is not in the input: it becomes NULL"));
        }
    }

    /// A column that the user's list does not fill.
    pub(super) fn leave_out_of_list(&mut self, column: &Column, partial: bool) {
        if column.generated || column.name == OPERATION {
            return;
        }
        let name = &column.name;
        let notices = &mut self.mapping.notices;
        if column.has_default {
            notices.push(format!("column `{name}` is not listed: the server fills in its default"));
        } else if column.nullable {
            notices.push(format!("column `{name}` is not listed: it becomes NULL"));
        } else if partial {
            notices.push(format!(
                "column `{name}` is not listed and has no default: only a partial update may leave it out"
            ));
        } else {
            self.bare.push(name.clone());
        }
    }
}

/// The virtual column of primary-key tables: 0 writes a row, 1 deletes it (SR §7).
const OPERATION: &str = "__op";

/// The table's columns and, where it has a key, the virtual one behind them.
pub(super) fn columns_with_operation(table: &Table) -> Vec<Column> {
    let mut columns = table.columns.clone();
    if columns.iter().any(|column| column.key) {
        columns.push(Column { nullable: false, has_default: true, ..Column::new(OPERATION, ColumnType::TinyInt) });
    }
    columns
}

/// The index of `name`: exactly, or else the one that differs in case alone.
pub(super) fn find<'n>(
    input: &Path,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<Option<usize>, Error> {
    let exact: Vec<usize> = names.clone().enumerate().filter(|(_, other)| *other == name).map(|it| it.0).collect();
    let lower = name.to_lowercase();
    let alike = || names.enumerate().filter(|(_, other)| other.to_lowercase() == lower).map(|it| it.0);
    let found = if exact.is_empty() { alike().collect() } else { exact };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        many => {
            let places: Vec<String> = many.iter().map(|index| (index + 1).to_string()).collect();
            let what = format!("`{name}` could be any of the fields {}", places.join(", "));
            Err(mismatch(input, what, "give them different names in the header"))
        }
    }
}

fn is_bare(column: &Column) -> bool {
    !column.nullable && !column.has_default && !column.generated
}

pub(super) fn refuse_generated(input: &Path, column: &Column) -> Result<(), Error> {
    if column.generated {
        let what = format!("the server computes `{}` itself", column.name);
        return Err(mismatch(input, what, "list the fields to load without it: `--columns a,b,c`"));
    }
    Ok(())
}

//! Binding by the user's list.

use std::path::Path;

use super::bind::{Plan, columns_with_operation, find, refuse_generated};
use super::fault::{mismatch, quoted};
use super::list::{self, Item};
use super::{FieldKind, Mapping, SourceFields};
use crate::model::table::VARCHAR_BYTES_MAX;
use crate::model::{Column, ColumnType, Table};
use crate::near;
use crate::reader::Error;

/// What the list says.
pub(super) fn listed(input: &Path, fields: &SourceFields, table: &Table, text: &str) -> Result<Mapping, Error> {
    let items = list::parse(text)
        .map_err(|what| mismatch(input, format!("`--columns` is no list: {what}"), "write it as `a,b,c=upper(d)`"))?;
    List::read(input, fields, table, &items)?.plan()
}

/// The list, looked up.
struct List<'a> {
    input: &'a Path,
    fields: &'a SourceFields,
    table: &'a Table,
    columns: Vec<Column>,
    /// The names under which expressions know the fields.
    names: Vec<String>,
    /// For each column the field that fills it.
    slots: Vec<Option<Slot>>,
    /// For each column the expression that fills it, and its name as written.
    expressions: Vec<Option<(String, String)>>,
    /// For each field whether an expression uses it.
    used: Vec<bool>,
    /// The columns that expressions fill, in the order of the list.
    order: Vec<usize>,
    notices: Vec<String>,
}

#[derive(Clone)]
enum Slot {
    Field(usize),
    /// A key that the sample has not shown.
    Unseen(String),
}

impl<'a> List<'a> {
    fn read(input: &'a Path, fields: &'a SourceFields, table: &'a Table, items: &[Item]) -> Result<Self, Error> {
        let plain: Vec<&String> =
            items.iter().filter_map(|item| if let Item::Name(name) = item { Some(name) } else { None }).collect();
        let names = match &fields.names {
            Some(names) => names.clone(),
            None if plain.len() == fields.count => plain.into_iter().cloned().collect(),
            None => {
                let what = format!("`--columns` names {} fields, the input has {}", plain.len(), fields.count);
                let hint =
                    "without a header the list names every field in its order; names that no column has are skipped";
                return Err(mismatch(input, what, hint));
            }
        };
        let columns = columns_with_operation(table);
        let mut list = Self {
            input,
            fields,
            table,
            slots: vec![None; columns.len()],
            expressions: vec![None; columns.len()],
            used: vec![false; names.len()],
            order: Vec::new(),
            notices: Vec::new(),
            columns,
            names,
        };
        // Assignments first: a name that an expression fills is, as a plain name, just a field.
        for item in items {
            if let Item::Assign { target, written, expression } = item {
                list.assign(target, written, expression)?;
            }
        }
        for item in items {
            if let Item::Name(name) = item {
                list.take(name)?;
            }
        }
        Ok(list)
    }

    fn assign(&mut self, target: &str, written: &str, expression: &str) -> Result<(), Error> {
        let Some(column) = self.column(target)? else {
            let near = near::names(target, self.columns.iter().map(|column| column.name.as_str()));
            let what = format!("`{target}` is no column of {}.{}", self.table.database, self.table.name);
            return Err(mismatch(self.input, what, did_you_mean(&near, "an expression fills a column of the table")));
        };
        refuse_generated(self.input, &self.columns[column])?;
        if self.slots[column].is_some() || self.expressions[column].is_some() {
            return Err(mismatch(
                self.input,
                format!("`--columns` fills `{target}` twice"),
                "keep one of the two items",
            ));
        }
        if let Some(name) = list::single_name(expression) {
            if let Some(field) = self.field(&name)? {
                self.slots[column] = Some(Slot::Field(field));
                return Ok(());
            }
            if !is_constant(&name) {
                return Err(self.no_such_field(&name));
            }
        }
        for (_, name) in list::names(expression) {
            if let Some(field) = self.field(&name)? {
                self.used[field] = true;
            }
        }
        self.expressions[column] = Some((written.to_owned(), expression.to_owned()));
        self.order.push(column);
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<(), Error> {
        let column = self.column(name)?;
        let slot = match (self.field(name)?, column) {
            (Some(field), _) => Slot::Field(field),
            // A key that is rare enough to be missing from the sample; what no column has is a slip.
            (None, Some(column)) if self.fields.kind == FieldKind::Keyed => {
                self.notices.push(format!("no record looked at has the key `{name}`"));
                Slot::Unseen(self.columns[column].name.clone())
            }
            (None, _) => return Err(self.no_such_field(name)),
        };
        match (column, slot) {
            (Some(column), _) if self.expressions[column].is_some() => {}
            (Some(column), slot) => {
                refuse_generated(self.input, &self.columns[column])?;
                if self.slots[column].replace(slot).is_some() {
                    return Err(mismatch(
                        self.input,
                        format!("`--columns` fills `{name}` twice"),
                        "keep one of the two items",
                    ));
                }
            }
            (None, Slot::Field(field)) if !self.used[field] && self.fields.names.is_some() => {
                self.notices
                    .push(format!("field `{name}` is listed, but no column has that name and no expression uses it"));
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Puts columns, temporaries and expressions into the order in which they are sent.
    fn plan(self) -> Result<Mapping, Error> {
        let mut plan = Plan::new(self.input, self.fields);
        plan.mapping.notices.clone_from(&self.notices);
        // The name under which a field that expressions use is sent.
        let mut sent: Vec<Option<String>> = vec![None; self.names.len()];
        for (index, column) in self.columns.iter().enumerate() {
            match &self.slots[index] {
                Some(Slot::Field(field)) => {
                    let own = self.names[*field].eq_ignore_ascii_case(&column.name);
                    if own && self.used[*field] {
                        sent[*field] = Some(column.name.clone());
                        plan.send(as_text(column), *field)?;
                    } else {
                        plan.send(column.clone(), *field)?;
                    }
                }
                Some(Slot::Unseen(key)) => plan.send_key(column.clone(), key.clone())?,
                None if self.expressions[index].is_none() => plan.leave_out_of_list(column, self.is_partial()),
                None => {}
            }
        }
        for field in (0..self.names.len()).filter(|field| self.used[*field]) {
            if sent[field].is_none() {
                let name = self.temporary(field, &sent);
                plan.send(Column::new(&name, ColumnType::Varchar(VARCHAR_BYTES_MAX)), field)?;
                sent[field] = Some(name);
            }
        }
        for column in &self.order {
            let (written, expression) = self.expressions[*column].as_ref().expect("the order holds columns with one");
            plan.mapping.derived.push(format!("{written}={}", self.rewritten(expression, &sent)?));
        }
        if !plan.bare.is_empty() {
            let what = format!(
                "`--columns` leaves out {}, which takes no NULL and has no default",
                quoted(plan.bare.iter().map(String::as_str))
            );
            return Err(mismatch(self.input, what, "list a field for it, or compute it: `column=expression`"));
        }
        if plan.mapping.projected.is_empty() {
            let hint = "list at least one field, or one expression that uses a field";
            return Err(mismatch(self.input, "`--columns` takes nothing from the input", hint));
        }
        Ok(plan.mapping)
    }

    /// Whether the list may be that of a partial update: it fills the whole key, and the rows may be there already.
    fn is_partial(&self) -> bool {
        let mut keys = self.columns.iter().enumerate().filter(|(_, column)| column.key).peekable();
        keys.peek().is_some() && keys.all(|(index, _)| self.slots[index].is_some() || self.expressions[index].is_some())
    }

    /// A name for a field on its way to an expression. It must not be a column's, which would load the field into it, and
    /// must need no quotes, which the server does not take in every place.
    fn temporary(&self, field: usize, sent: &[Option<String>]) -> String {
        let taken = |name: &str| {
            self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
                || sent.iter().flatten().any(|other| other.eq_ignore_ascii_case(name))
        };
        let own = &self.names[field];
        if is_simple(own) && !taken(own) {
            return own.clone();
        }
        let base = if is_simple(own) { format!("source_{own}") } else { format!("source_{}", field + 1) };
        let mut name = base.clone();
        while taken(&name) || self.names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            name.push('_');
        }
        name
    }

    /// The expression with fields under the names they are sent by.
    fn rewritten(&self, expression: &str, sent: &[Option<String>]) -> Result<String, Error> {
        let mut text = expression.to_owned();
        for (range, name) in list::names(expression).into_iter().rev() {
            if let Some(field) = self.field(&name)? {
                let new = sent[field].as_ref().expect("fields that expressions use are sent");
                if *new != name {
                    text.replace_range(range, &format!("`{new}`"));
                }
            }
        }
        Ok(text)
    }

    fn column(&self, name: &str) -> Result<Option<usize>, Error> {
        find(self.input, name, self.columns.iter().map(|column| column.name.as_str()))
    }

    fn field(&self, name: &str) -> Result<Option<usize>, Error> {
        find(self.input, name, self.names.iter().map(String::as_str))
    }

    fn no_such_field(&self, name: &str) -> Error {
        let near = near::names(name, self.names.iter().map(String::as_str));
        let what = format!("`--columns` names `{name}`, and the input has no such field");
        let all = format!("its fields are {}", quoted(self.names.iter().map(String::as_str)));
        mismatch(self.input, what, did_you_mean(&near, &all))
    }
}

/// The column as the server reads one that expressions use.
fn as_text(column: &Column) -> Column {
    if column.ty.is_text() {
        return column.clone();
    }
    Column { ty: ColumnType::Varchar(VARCHAR_BYTES_MAX), nullable: true, ..column.clone() }
}

/// Words that are values by themselves.
fn is_constant(word: &str) -> bool {
    let words =
        ["null", "true", "false", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];
    words.iter().any(|constant| constant.eq_ignore_ascii_case(word))
}

fn is_simple(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

fn did_you_mean(near: &[&str], otherwise: &str) -> String {
    match near {
        [] => otherwise.to_owned(),
        near => {
            format!("did you mean {}?", near.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
        }
    }
}

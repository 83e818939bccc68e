//! A body's rows into a table, inside one SQLite transaction: the table itself, or one where they wait to be published.
//!
//! Each row is loaded, filtered (its data is at fault; it is counted and shown in the error log) or unselected (it
//! does not satisfy `where`). Whether the load as a whole stands is decided at the end, by `max_filter_ratio`; if it
//! does not, the caller rolls the transaction back. HTTP and labels are elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Transaction};
use serde_json::value::RawValue;

use super::csv::{self, Rows};
use super::error_log::Sample;
use super::fault::Complaint;
use super::json::{Documents, Fault, Keys, Layout};
use super::merge;
use super::plan::{Check, Operation, Origin, Plan};
use super::row::{CsvRow, Fate, JsonRow, NOT_UTF8, Row};
use super::store::reserve_ids;
use super::types::{SqlType, TableDef};
use super::value::{self, Cell};
use super::wire::{Format, LoadRequest};

/// How many values of a counter are taken at a time; what is left over of them is lost, as on the server.
const COUNTER_STRIDE: i64 = 1000;

/// What became of a load's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) loaded: u64,
    pub(super) filtered: u64,
    pub(super) unselected: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            loaded: self.loaded + other.loaded,
            filtered: self.filtered + other.filtered,
            unselected: self.unselected + other.unselected,
        }
    }
}

impl Counts {
    pub(super) fn total(self) -> u64 {
        self.loaded + self.filtered + self.unselected
    }

    /// Whether the load stands.
    pub(super) fn judge(self, max_filter_ratio: f64, empty_load_as_error: bool) -> Result<(), Failed> {
        let selected = self.total() - self.unselected;
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts needs no more than 53 bits of them")]
        let ratio = if selected == 0 { 0.0 } else { self.filtered as f64 / selected as f64 };
        if ratio > max_filter_ratio {
            return Err(Failed::Rows("too many filtered rows"));
        }
        if self.loaded == 0 && empty_load_as_error {
            return Err(Failed::Rows("No rows were imported from upstream"));
        }
        Ok(())
    }
}

/// Why a load as a whole fails.
#[derive(Debug)]
pub(super) enum Failed {
    /// The body or its rows are at fault; the message of the reply.
    Body(String),
    /// All rows were read, and what became of them does not let the load stand; the message of the reply, which has the
    /// counts beside it.
    Rows(&'static str),
    /// It is to fail on demand, in these words.
    Demanded(Complaint),
    /// Somebody aborted it.
    Aborted(String),
    Sqlite(rusqlite::Error),
    Io(io::Error),
}

impl Failed {
    /// What is written down beside the label.
    pub(super) fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Aborted(reason) => reason.into(),
            other => other.to_string().into(),
        }
    }
}

/// The message of the answer.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(message) => f.write_str(message),
            Self::Rows(message) => f.write_str(message),
            Self::Demanded(complaint) => f.write_str(&complaint.message),
            Self::Aborted(reason) => write!(f, "transaction is aborted: {reason}"),
            Self::Sqlite(error) => write!(f, "the sandbox's database failed: {error}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        // Damaged compression and rows without end are found while reading; they are the body's fault, not the disk's.
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                Self::Body(format!("the body cannot be read: {error}"))
            }
            _ => Self::Io(error),
        }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(message) => Self::Body(message),
            Fault::Io(error) => error.into(),
        }
    }
}

/// Where the cells of a row go: statements whose parameters are the columns, numbered by their positions.
pub(super) struct Destination<'a> {
    /// Puts a row in.
    pub(super) insert: &'a str,
    /// Deletes the row with a key; its parameters are the keys.
    pub(super) delete: Option<&'a str>,
    /// The parameter of `insert` that takes the operation, where it is kept instead of carried out.
    pub(super) operation: Option<usize>,
}

/// Takes the rows of a body into the table. Counts and samples are filled as far as it comes, also when it fails.
pub(super) fn ingest(
    transaction: &Transaction<'_>,
    request: &LoadRequest,
    table: &TableDef,
    plan: &Plan,
    body: impl Read,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let destination = Destination { insert: &plan.insert, delete: plan.delete.as_deref(), operation: None };
    fill(transaction, &destination, request, table, plan, body, tally)
}

/// The same into any place.
pub(super) fn fill(
    transaction: &Transaction<'_>,
    destination: &Destination<'_>,
    request: &LoadRequest,
    table: &TableDef,
    plan: &Plan,
    body: impl Read,
    tally: &mut Tally,
) -> Result<(), Failed> {
    let mut sink = Sink::new(transaction, destination, request, table, plan, tally)?;
    match &request.format {
        Format::Csv(dialect) => {
            let mut rows = Rows::new(body, dialect.clone());
            while rows.advance()? {
                if rows.field_count() != plan.fields.len() {
                    sink.filter(&csv_count_reason(plan.fields.len(), rows.field_count(), dialect), &CsvRow(&rows));
                } else if std::str::from_utf8(rows.raw()).is_err() {
                    sink.filter(NOT_UTF8, &CsvRow(&rows));
                } else {
                    sink.put(&CsvRow(&rows))?;
                }
            }
        }
        Format::Json(layout) => {
            let keys = Keys::new(plan.fields.clone());
            each_object(layout, body, |object| sink.put(&JsonRow::new(object, layout, &keys)?))?;
        }
    }
    Ok(())
}

/// Counts the rows of a body and keeps none of them.
pub(super) fn count(request: &LoadRequest, body: impl Read) -> Result<u64, Failed> {
    let mut count = 0;
    match &request.format {
        Format::Csv(dialect) => {
            let mut rows = Rows::new(body, dialect.clone());
            while rows.advance()? {
                count += 1;
            }
        }
        Format::Json(layout) => each_object(layout, body, |_| {
            count += 1;
            Ok(())
        })?,
    }
    Ok(count)
}

/// Hands out the objects of a JSON body that are rows.
fn each_object(
    layout: &Layout,
    body: impl Read,
    mut each: impl FnMut(&str) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut documents = Documents::new(body, layout);
    while let Some(document) = documents.advance()? {
        let Some(root) = &layout.root else {
            each(document)?;
            continue;
        };
        let missing =
            || Failed::Body("Failed to iterate document stream as object. error: no such json_root".to_owned());
        let value = root.find(document).ok_or_else(missing)?;
        if layout.strip_outer_array {
            let rows: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| {
                Failed::Body("The value of json_root should be an array, as strip_outer_array is set".to_owned())
            })?;
            for row in rows {
                each(row.get())?;
            }
        } else {
            each(value)?;
        }
    }
    Ok(())
}

fn csv_count_reason(expected: usize, found: usize, dialect: &csv::Dialect) -> String {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_debug().to_string();
    format!(
        "Target column count: {expected} doesn't match source value column count: {found}. Column separator: '{}', \
         Row delimiter: '{}'",
        shown(&dialect.separator),
        shown(&dialect.delimiter)
    )
}

const OUT_OF_PARTITIONS: &str = "The row is out of partition ranges. Please add a new partition.";

/// What a load has come to so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    pub(super) sample: Sample,
}

/// Where rows go.
struct Sink<'c, 't> {
    transaction: &'c Transaction<'t>,
    table: &'c TableDef,
    plan: &'c Plan,
    strict: bool,
    insert: CachedStatement<'c>,
    delete: Option<CachedStatement<'c>>,
    /// The parameter of `insert` that takes the operation.
    operation: Option<usize>,
    derive: Option<CachedStatement<'c>>,
    select: Option<CachedStatement<'c>>,
    /// The values of the counter that are still to be given out.
    counter: std::ops::Range<i64>,
    derived: Vec<Cell<'static>>,
    tally: &'c mut Tally,
}

/// Why a row goes no further.
enum Stop {
    Filter(String),
    Unselected,
    Fail(Failed),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Fail(error.into())
    }
}

impl<'c, 't> Sink<'c, 't> {
    fn new(
        transaction: &'c Transaction<'t>,
        destination: &Destination<'_>,
        request: &LoadRequest,
        table: &'c TableDef,
        plan: &'c Plan,
        tally: &'c mut Tally,
    ) -> rusqlite::Result<Self> {
        let prepare = |sql: Option<&str>| sql.map(|sql| transaction.prepare_cached(sql)).transpose();
        Ok(Self {
            transaction,
            table,
            plan,
            strict: request.strict,
            insert: transaction.prepare_cached(destination.insert)?,
            delete: prepare(destination.delete)?,
            operation: destination.operation,
            derive: prepare(plan.derive.as_deref())?,
            select: prepare(plan.select.as_deref())?,
            counter: 0..0,
            derived: Vec::new(),
            tally,
        })
    }

    /// Takes a row in and counts what becomes of it.
    fn put(&mut self, row: &impl Row) -> Result<(), Failed> {
        match self.try_put(row) {
            Ok(()) => self.tally.counts.loaded += 1,
            Err(Stop::Unselected) => self.tally.counts.unselected += 1,
            Err(Stop::Filter(reason)) => self.filter(&reason, row),
            Err(Stop::Fail(failed)) => return Err(failed),
        }
        Ok(())
    }

    fn filter(&mut self, reason: &str, row: &impl Row) {
        self.tally.counts.filtered += 1;
        self.tally.sample.add(reason, &row.raw());
    }

    fn try_put(&mut self, row: &impl Row) -> Result<(), Stop> {
        let mut derived = std::mem::take(&mut self.derived);
        let bound = self.compute_derived(row, &mut derived).and_then(|()| {
            let deletes = self.deletes(row, &derived)?;
            self.bind_columns(row, &derived, deletes).map(|()| deletes)
        });
        self.derived = derived;
        let deletes = bound?;
        self.check()?;
        match &mut self.delete {
            Some(delete) if deletes => delete.raw_execute()?,
            _ => self.insert.raw_execute()?,
        };
        Ok(())
    }

    /// Whether the row is to be deleted.
    fn deletes(&mut self, row: &impl Row, derived: &[Cell<'static>]) -> Result<bool, Stop> {
        let deletes = match self.plan.operation {
            Operation::Upsert => false,
            Operation::Delete => true,
            Operation::Field(field) if !row.has(field) => false,
            Operation::Field(field) => match row.text(field) {
                Ok(text) => says_delete(&text.into_owned())?,
                Err(Fate::Unfit(shown)) => says_delete(&Cell::Text(shown.into()))?,
                Err(Fate::Filter(reason)) => return Err(Stop::Filter(reason.to_owned())),
                Err(Fate::Fail(message)) => return Err(Stop::Fail(Failed::Body(message))),
            },
            Operation::Derived(place) => says_delete(&derived[place])?,
        };
        if let Some(parameter) = self.operation {
            self.insert.raw_bind_parameter(parameter, i64::from(deletes))?;
        }
        Ok(deletes)
    }

    /// Gives every column its value but the generated ones. Of a row that is deleted only the key counts, so what does
    /// not fit elsewhere is passed over.
    fn bind_columns(&mut self, row: &impl Row, derived: &[Cell<'static>], deletes: bool) -> Result<(), Stop> {
        let (table, plan) = (self.table, self.plan);
        for (at, (column, origin)) in table.columns.iter().zip(&plan.origins).enumerate() {
            let cell = match origin {
                Origin::Generated => continue,
                Origin::Constant(cell) => cell.clone(),
                Origin::Derived(place) => recast(&column.ty, &derived[*place]),
                Origin::Counter => Cell::Integer(next_id(&mut self.counter, self.transaction, self.table)?),
                Origin::Field(field) => match row.cell(*field, &column.ty) {
                    Ok(cell) => cell,
                    Err(Fate::Unfit(shown)) if self.strict && (column.key || !deletes) => {
                        let (name, ty) = (&column.name, column.ty.to_string().to_ascii_uppercase());
                        let reason = format!("Value '{shown}' is out of range. The type of '{name}' is {ty}");
                        return Err(Stop::Filter(reason));
                    }
                    Err(Fate::Unfit(_)) => Cell::Null,
                    Err(Fate::Filter(reason)) => return Err(Stop::Filter(reason.to_owned())),
                    Err(Fate::Fail(message)) => return Err(Stop::Fail(Failed::Body(message))),
                },
            };
            self.bind(at, cell)?;
        }
        Ok(())
    }

    /// Gives a column its value in the statements that want it.
    fn bind(&mut self, at: usize, cell: Cell<'_>) -> Result<(), Stop> {
        let column = &self.table.columns[at];
        if cell.is_null() && !column.nullable {
            return Err(Stop::Filter(format!("NULL value in non-nullable column '{}'", column.name)));
        }
        if let Some(select) = &mut self.select {
            select.raw_bind_parameter(at + 1, &cell)?;
        }
        if let Some(delete) = self.delete.as_mut().filter(|_| column.key) {
            delete.raw_bind_parameter(at + 1, &cell)?;
        }
        if self.plan.negative && !column.key {
            self.insert.raw_bind_parameter(at + 1, merge::negated(&column.ty, cell))?;
        } else {
            self.insert.raw_bind_parameter(at + 1, cell)?;
        }
        Ok(())
    }

    fn compute_derived(&mut self, row: &impl Row, derived: &mut Vec<Cell<'static>>) -> Result<(), Stop> {
        let Some(derive) = &mut self.derive else { return Ok(()) };
        // A default like `uuid()` needs no fields, and then the statement has no parameters.
        for field in 0..derive.parameter_count() {
            let text = row.text(field).map_err(|fate| match fate {
                Fate::Filter(reason) => Stop::Filter(reason.to_owned()),
                Fate::Fail(message) => Stop::Fail(Failed::Body(message)),
                Fate::Unfit(shown) => Stop::Filter(format!("Value '{shown}' cannot be read as text")),
            })?;
            derive.raw_bind_parameter(field + 1, text)?;
        }
        derived.clear();
        let count = derive.column_count();
        let mut rows = derive.raw_query();
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        for at in 0..count {
            derived.push(owned(row.get_ref(at)?));
        }
        Ok(())
    }

    /// Stops a row that the load does not want.
    fn check(&mut self) -> Result<(), Stop> {
        let Some(select) = &mut self.select else { return Ok(()) };
        let mut rows = select.raw_query();
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        for (at, check) in self.plan.checks.iter().enumerate() {
            match (is_true(row.get_ref(at)?), check) {
                (true, _) => {}
                (false, Check::Predicate) => return Err(Stop::Unselected),
                (false, Check::Partition) => return Err(Stop::Filter(OUT_OF_PARTITIONS.to_owned())),
            }
        }
        Ok(())
    }
}

fn next_id(
    counter: &mut std::ops::Range<i64>,
    transaction: &Transaction<'_>,
    table: &TableDef,
) -> rusqlite::Result<i64> {
    if counter.is_empty() {
        let first = reserve_ids(transaction, table, COUNTER_STRIDE)?;
        *counter = first..first + COUNTER_STRIDE;
    }
    Ok(counter.next().expect("the range was just filled"))
}

/// The result of an expression as its column stores it. What does not fit is NULL, in strict mode too: that is about
/// the values that a client sent, not about those that were computed.
fn recast<'a>(ty: &SqlType, cell: &'a Cell<'static>) -> Cell<'a> {
    let text: Cow<'_, str> = match cell {
        Cell::Null => return Cell::Null,
        Cell::Integer(value) => Cow::Owned(value.to_string()),
        Cell::Real(value) => Cow::Owned(value.to_string()),
        Cell::Text(text) => Cow::Borrowed(text),
        Cell::Blob(bytes) if matches!(ty, SqlType::Varbinary(_)) => return Cell::Blob(Cow::Borrowed(bytes)),
        Cell::Blob(bytes) => String::from_utf8_lossy(bytes),
    };
    match text {
        Cow::Borrowed(text) => value::scalar(ty, text).unwrap_or(Cell::Null),
        Cow::Owned(text) => value::scalar(ty, &text).map_or(Cell::Null, Cell::into_owned),
    }
}

fn owned(value: ValueRef<'_>) -> Cell<'static> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(bytes) => Cell::Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())),
        ValueRef::Blob(bytes) => Cell::Blob(Cow::Owned(bytes.to_vec())),
    }
}

fn is_true(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Integer(value) => value != 0,
        ValueRef::Real(value) => value != 0.0,
        _ => false,
    }
}

/// What a value of `__op` says: 1 to delete, 0 to put in.
fn says_delete(cell: &Cell<'static>) -> Result<bool, Stop> {
    match recast(&SqlType::TinyInt, cell) {
        Cell::Integer(0) => Ok(false),
        Cell::Integer(1) => Ok(true),
        _ if cell.is_null() => Err(Stop::Filter("NULL value in non-nullable column '__op'".to_owned())),
        _ => Err(Stop::Filter(format!("Value '{}' is out of range. The type of '__op' is TINYINT", shown(cell)))),
    }
}

/// A value as it is told to people.
fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) => text.clone().into_owned(),
        Cell::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

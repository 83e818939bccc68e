//! [`ColumnBuilder`]: the values of one column, growing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int8Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};

use crate::model::{Column, ColumnType, Rule};

use super::cell::Cell;
use super::json::{self, Node};
use super::nested::{Entries, Fields, Items};
use super::{rule, scalar};

/// The values of one column, typed as the table wants them.
pub struct ColumnBuilder {
    ty: ColumnType,
    nullable: bool,
    values: Values,
}

/// What holds them, by the column's Arrow type.
enum Values {
    Boolean(BooleanBuilder),
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    LargeInt(Decimal128Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, u8, u8),
    Date(Date32Builder),
    DateTime(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Json(StringBuilder),
    Varbinary(BinaryBuilder),
    Array(Items),
    Map(Entries),
    Struct(Fields),
}

impl ColumnBuilder {
    /// Starts the values of a column.
    #[must_use]
    pub fn new(column: &Column) -> Self {
        Self::of_type(&column.ty, column.nullable)
    }

    pub(super) fn of_type(ty: &ColumnType, nullable: bool) -> Self {
        Self { ty: ty.clone(), nullable, values: Values::new(ty) }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The rule that the value breaks. A placeholder has then been appended in its place, so that all columns stay
    /// equally long; its row is to be filtered out.
    #[expect(clippy::needless_pass_by_value, reason = "callers make a cell for this call; a reference says otherwise")]
    pub fn append(&mut self, cell: Cell<'_>) -> Result<(), Rule> {
        self.append_ref(&cell)
    }

    pub(super) fn append_ref(&mut self, cell: &Cell<'_>) -> Result<(), Rule> {
        let before = self.values.len();
        let result = match cell {
            Cell::Null => self.append_null(),
            Cell::Json(text) => self.append_json(text),
            _ => self.values.append(cell, &self.ty),
        };
        if result.is_err() && self.values.len() == before {
            self.values.append_null();
        }
        result
    }

    /// Appends NULL whether or not the column takes it, in a row that is to be filtered out.
    pub(super) fn append_placeholder(&mut self) {
        self.values.append_null();
    }

    fn append_null(&mut self) -> Result<(), Rule> {
        if !self.nullable {
            return Err(rule::null_not_allowed());
        }
        self.values.append_null();
        Ok(())
    }

    fn append_json(&mut self, text: &str) -> Result<(), Rule> {
        let node = Node::parse(text).map_err(|error| rule::not_json(&error))?;
        match (&mut self.values, node) {
            (_, Node::Null) => self.append_null(),
            (Values::Json(_), _) => self.values.append(&Cell::Json(text), &self.ty),
            (Values::Array(_) | Values::Map(_) | Values::Struct(_), node) => self.values.append_node(node, &self.ty),
            (Values::Varbinary(_), Node::Number(_) | Node::Bool(_)) => {
                Err(rule::wrong_kind(&self.ty, "base64 in a string"))
            }
            (_, Node::Bool(value)) => self.values.append(&Cell::Bool(value), &self.ty),
            (_, Node::Number(digits)) => self.values.append(&Cell::Text(digits), &self.ty),
            (_, Node::String(text)) => self.values.append(&Cell::Text(&text), &self.ty),
            (Values::Text(_), Node::Array(_) | Node::Object(_)) => {
                let mut compacted = String::new();
                json::compact(text, &mut compacted).map_err(|error| rule::not_json(&error))?;
                self.values.append(&Cell::Text(&compacted), &self.ty)
            }
            (_, Node::Array(_)) => Err(rule::wrong_kind(&self.ty, "no JSON array")),
            (_, Node::Object(_)) => Err(rule::wrong_kind(&self.ty, "no JSON object")),
        }
    }

    /// Takes the values out, as an array of exactly the column's Arrow type, and starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        self.values.finish()
    }
}

/// Appends an integer if the builder's type holds it.
macro_rules! append_integer {
    ($builder:expr, $native:ty, $cell:expr, $ty:expr) => {{
        let value = scalar::integer($cell)?;
        let value = <$native>::try_from(value).map_err(|_| rule::out_of_range($ty, <$native>::MIN, <$native>::MAX))?;
        $builder.append_value(value);
    }};
}

/// Runs an expression on whichever builder there is. All have the same methods, but no trait for them.
macro_rules! each {
    ($values:expr, $builder:ident => $do:expr) => {
        match $values {
            Values::Boolean($builder) => $do,
            Values::TinyInt($builder) => $do,
            Values::SmallInt($builder) => $do,
            Values::Int($builder) => $do,
            Values::BigInt($builder) => $do,
            Values::LargeInt($builder) | Values::Decimal($builder, _, _) => $do,
            Values::Float($builder) => $do,
            Values::Double($builder) => $do,
            Values::Date($builder) => $do,
            Values::DateTime($builder) => $do,
            Values::Text($builder) | Values::Json($builder) => $do,
            Values::Varbinary($builder) => $do,
            Values::Array($builder) => $do,
            Values::Map($builder) => $do,
            Values::Struct($builder) => $do,
        }
    };
}

impl Values {
    fn new(ty: &ColumnType) -> Self {
        match ty {
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::TinyInt => Self::TinyInt(Int8Builder::new()),
            ColumnType::SmallInt => Self::SmallInt(Int16Builder::new()),
            ColumnType::Int => Self::Int(Int32Builder::new()),
            ColumnType::BigInt => Self::BigInt(Int64Builder::new()),
            ColumnType::LargeInt => Self::LargeInt(Decimal128Builder::new().with_data_type(ty.arrow())),
            ColumnType::Float => Self::Float(Float32Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Decimal { precision, scale } => {
                Self::Decimal(Decimal128Builder::new().with_data_type(ty.arrow()), *precision, *scale)
            }
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::DateTime => Self::DateTime(TimestampMicrosecondBuilder::new()),
            ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::Other(_) => Self::Text(StringBuilder::new()),
            ColumnType::Json => Self::Json(StringBuilder::new()),
            ColumnType::Varbinary(_) => Self::Varbinary(BinaryBuilder::new()),
            ColumnType::Array(element) => Self::Array(Items::new(ty, element)),
            ColumnType::Map(key, value) => Self::Map(Entries::new(ty, key, value)),
            ColumnType::Struct(fields) => Self::Struct(Fields::new(ty, fields)),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        each!(self, builder => builder.len())
    }

    fn append_null(&mut self) {
        each!(self, builder => builder.append_null());
    }

    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }

    fn append(&mut self, cell: &Cell<'_>, ty: &ColumnType) -> Result<(), Rule> {
        match self {
            Self::Boolean(builder) => builder.append_value(scalar::boolean(cell)?),
            Self::TinyInt(builder) => append_integer!(builder, i8, cell, ty),
            Self::SmallInt(builder) => append_integer!(builder, i16, cell, ty),
            Self::Int(builder) => append_integer!(builder, i32, cell, ty),
            Self::BigInt(builder) => append_integer!(builder, i64, cell, ty),
            Self::LargeInt(builder) => builder.append_value(scalar::integer(cell)?),
            Self::Float(builder) => builder.append_value(scalar::float(cell)?),
            Self::Double(builder) => builder.append_value(scalar::double(cell)?),
            Self::Decimal(builder, precision, scale) => {
                builder.append_value(scalar::decimal(cell, *precision, *scale)?);
            }
            Self::Date(builder) => builder.append_value(scalar::date(cell)?),
            Self::DateTime(builder) => builder.append_value(scalar::datetime(cell)?),
            Self::Text(builder) => scalar::text(cell, ty, |text| builder.append_value(text))?,
            Self::Json(builder) => scalar::document(cell, |text| builder.append_value(text))?,
            Self::Varbinary(builder) => scalar::binary(cell, ty, |bytes| builder.append_value(bytes))?,
            Self::Array(_) | Self::Map(_) | Self::Struct(_) => self.append_nested(cell, ty)?,
        }
        Ok(())
    }

    fn append_nested(&mut self, cell: &Cell<'_>, ty: &ColumnType) -> Result<(), Rule> {
        match (self, cell) {
            (Self::Array(items), Cell::List(cells)) => items.append(cells.iter().cloned()),
            (Self::Map(entries), Cell::Map(cells)) => entries.append(cells),
            (Self::Struct(fields), Cell::Struct(cells)) => fields.append(cells, ty),
            (values, Cell::Text(text)) => values.append_nested_text(text, ty),
            (Self::Array(_), _) => Err(rule::wrong_kind(ty, "a list")),
            (Self::Map(_), _) => Err(rule::wrong_kind(ty, "a map")),
            (_, _) => Err(rule::wrong_kind(ty, "a struct")),
        }
    }

    /// Nested values are JSON wherever an input has only text.
    fn append_node(&mut self, node: Node<'_>, ty: &ColumnType) -> Result<(), Rule> {
        match (self, node) {
            (Self::Array(items), Node::Array(nodes)) => items.append(nodes.into_iter().map(Cell::Json)),
            (Self::Map(entries), Node::Object(nodes)) => {
                let cells: Vec<_> =
                    nodes.iter().map(|(key, value)| (Cell::Text(key.as_ref()), Cell::Json(value))).collect();
                entries.append(&cells)
            }
            (Self::Struct(fields), Node::Object(nodes)) => {
                let cells: Vec<_> = nodes.iter().map(|(name, value)| (name.as_ref(), Cell::Json(value))).collect();
                fields.append(&cells, ty)
            }
            // A document that travelled as a string, as one text column does in another.
            (values, Node::String(text)) => values.append_nested_text(&text, ty),
            (Self::Array(_), _) => Err(rule::wrong_kind(ty, "a JSON array")),
            (_, _) => Err(rule::wrong_kind(ty, "a JSON object")),
        }
    }

    fn append_nested_text(&mut self, text: &str, ty: &ColumnType) -> Result<(), Rule> {
        match Node::parse(text).map_err(|error| rule::not_json(&error))? {
            // Not another layer: a string within a string is a mistake, and may not nest without end.
            Node::String(_) => Err(rule::wrong_kind(ty, "a JSON array or object")),
            node => self.append_node(node, ty),
        }
    }
}

//! The values of ARRAY, MAP and STRUCT columns. A part that breaks a rule spoils the whole value.
//!
//! What a spoilt value has appended to its parts stays there: its range is that of a NULL, or its parts are filled up,
//! and its row is filtered out at the end.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, ListArray, MapArray, NullBufferBuilder, StructArray, make_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields as ArrowFields};

use crate::model::{ColumnType, Rule, StructField};

use super::cell::Cell;
use super::column::ColumnBuilder;
use super::rule;

/// Where each value's parts end, and which values are NULL.
struct Ranges {
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Ranges {
    fn new() -> Self {
        Self { offsets: vec![0], valid: NullBufferBuilder::new(0) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn close(&mut self, parts: usize, valid: bool) {
        // A batch closes long before it holds so many parts: each took at least a byte of a record.
        self.offsets.push(i32::try_from(parts).expect("a batch has fewer than 2^31 elements"));
        self.valid.append(valid);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), self.valid.finish())
    }
}

/// ARRAY.
pub(super) struct Items {
    field: FieldRef,
    values: Box<ColumnBuilder>,
    ranges: Ranges,
}

impl Items {
    pub(super) fn new(ty: &ColumnType, element: &ColumnType) -> Self {
        let DataType::List(field) = ty.arrow() else { unreachable!("an ARRAY is a list in Arrow") };
        Self { field, values: Box::new(ColumnBuilder::of_type(element, true)), ranges: Ranges::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn append_null(&mut self) {
        self.ranges.close(self.values.len(), false);
    }

    pub(super) fn append<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> Result<(), Rule> {
        for (index, cell) in cells.enumerate() {
            self.values.append(cell).map_err(|inner| rule::within(&format_args!("[{index}]"), &inner))?;
        }
        self.ranges.close(self.values.len(), true);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> ListArray {
        let (offsets, nulls) = self.ranges.finish();
        ListArray::new(Arc::clone(&self.field), offsets, self.values.finish(), nulls)
    }
}

/// MAP.
pub(super) struct Entries {
    field: FieldRef,
    keys: Box<ColumnBuilder>,
    values: Box<ColumnBuilder>,
    ranges: Ranges,
}

impl Entries {
    pub(super) fn new(ty: &ColumnType, key: &ColumnType, value: &ColumnType) -> Self {
        let DataType::Map(field, _) = ty.arrow() else { unreachable!("a MAP is a map in Arrow") };
        Self {
            field,
            keys: Box::new(ColumnBuilder::of_type(key, false)),
            values: Box::new(ColumnBuilder::of_type(value, true)),
            ranges: Ranges::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn append_null(&mut self) {
        self.ranges.close(self.keys.len(), false);
    }

    /// A key that occurs twice is refused: the server would keep one of the two values (SR §6.6).
    pub(super) fn append(&mut self, cells: &[(Cell<'_>, Cell<'_>)]) -> Result<(), Rule> {
        let mut seen = HashSet::with_capacity(cells.len());
        for (key, value) in cells {
            let mut name = String::new();
            key.write(&mut name);
            let place = format!("[{name}]");
            let result = self.keys.append_ref(key);
            if result.is_err() {
                self.values.append_placeholder();
            }
            result.map_err(|inner| rule::within(&place, &inner))?;
            self.values.append_ref(value).map_err(|inner| rule::within(&place, &inner))?;
            if let Some(name) = seen.replace(name) {
                return Err(rule::duplicate_key(&name));
            }
        }
        self.ranges.close(self.keys.len(), true);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> MapArray {
        let DataType::Struct(fields) = self.field.data_type() else { unreachable!("map entries are a struct") };
        // Only the placeholders of spoilt rows are NULL among the keys. Arrow allows none, filtered out later or not.
        let keys = without_nulls(&self.keys.finish());
        let entries = StructArray::new(fields.clone(), vec![keys, self.values.finish()], None);
        let (offsets, nulls) = self.ranges.finish();
        MapArray::new(Arc::clone(&self.field), offsets, entries, nulls, false)
    }
}

fn without_nulls(array: &ArrayRef) -> ArrayRef {
    if array.null_count() == 0 {
        return Arc::clone(array);
    }
    let data = array.to_data().into_builder().nulls(None).build();
    make_array(data.expect("values below NULLs are initialised"))
}

/// STRUCT.
pub(super) struct Fields {
    arrow: ArrowFields,
    names: Vec<String>,
    columns: Vec<ColumnBuilder>,
    valid: NullBufferBuilder,
    len: usize,
}

impl Fields {
    pub(super) fn new(ty: &ColumnType, fields: &[StructField]) -> Self {
        let DataType::Struct(arrow) = ty.arrow() else { unreachable!("a STRUCT is a struct in Arrow") };
        Self {
            arrow,
            names: fields.iter().map(|field| field.name.clone()).collect(),
            columns: fields.iter().map(|field| ColumnBuilder::of_type(&field.ty, true)).collect(),
            valid: NullBufferBuilder::new(0),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn append_null(&mut self) {
        self.close(false);
    }

    /// A field that is missing is NULL; one that the type does not have is refused.
    pub(super) fn append(&mut self, cells: &[(&str, Cell<'_>)], ty: &ColumnType) -> Result<(), Rule> {
        let result = self.append_fields(cells, ty);
        self.close(result.is_ok());
        result
    }

    fn append_fields(&mut self, cells: &[(&str, Cell<'_>)], ty: &ColumnType) -> Result<(), Rule> {
        for (name, cell) in cells {
            let index =
                self.names.iter().position(|field| field == name).ok_or_else(|| rule::unknown_field(ty, name))?;
            let column = &mut self.columns[index];
            if column.len() > self.len {
                return Err(rule::duplicate_key(name));
            }
            column.append_ref(cell).map_err(|inner| rule::within(&format_args!(".{name}"), &inner))?;
        }
        Ok(())
    }

    /// Ends a value: fields without one become NULL.
    fn close(&mut self, valid: bool) {
        self.len += 1;
        self.valid.append(valid);
        for column in self.columns.iter_mut().filter(|column| column.len() < self.len) {
            column.append_placeholder();
        }
    }

    pub(super) fn finish(&mut self) -> StructArray {
        self.len = 0;
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        StructArray::new(self.arrow.clone(), columns, self.valid.finish())
    }
}

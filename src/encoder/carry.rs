//! Which columns a format can carry.

use crate::model::{Column, ColumnType, WireFormat};

/// The format for a load of these columns: CSV unless a column needs JSON.
#[must_use]
pub fn wire_for(columns: &[Column]) -> WireFormat {
    if carries(WireFormat::Csv, columns).is_ok() { WireFormat::Csv } else { WireFormat::Json }
}

/// Whether a format can carry values of all of these columns, apart from single rows that are put aside.
///
/// # Errors
/// Says which column it cannot carry, and why.
pub fn carries(format: WireFormat, columns: &[Column]) -> Result<(), String> {
    columns.iter().try_for_each(|column| {
        let verdict = match format {
            WireFormat::Csv => csv(&column.ty),
            WireFormat::Json => json(&column.ty),
        };
        verdict.map_err(|reason| format!("column `{}` is {}: {reason}", column.name, column.ty))
    })
}

/// The columns whose values are base64 in JSON. A request with a JSON body decodes each of them: it gives the field the
/// name of a temporary (and the encoder a column of that name) and derives the column by `to_binary(temporary,'base64')`.
/// In CSV the server decodes base64 by itself.
#[must_use]
pub fn binary_columns(columns: &[Column]) -> Vec<usize> {
    let is_binary = |column: &Column| matches!(column.ty, ColumnType::Varbinary(_));
    columns.iter().enumerate().filter(|(_, column)| is_binary(column)).map(|(index, _)| index).collect()
}

fn csv(ty: &ColumnType) -> Result<(), String> {
    match ty {
        ColumnType::Array(item) => csv_item(item),
        ColumnType::Map(key, value) if is_csv_element(key) && is_csv_element(value) => Ok(()),
        ColumnType::Map(..) => Err("CSV has no sure form for such a MAP".to_owned()),
        ColumnType::Struct(_) => Err("CSV has no form for STRUCT".to_owned()),
        _ => Ok(()),
    }
}

/// What may stand in an ARRAY: also another one. The server counts square brackets there and no braces, so that it would
/// cut a MAP inside at its commas; a MAP's parser counts braces and no brackets.
fn csv_item(item: &ColumnType) -> Result<(), String> {
    match item {
        ColumnType::Array(item) => csv_item(item),
        item if is_csv_element(item) => Ok(()),
        item => Err(format!("CSV has no sure form for {item} inside ARRAY")),
    }
}

fn is_csv_element(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Boolean
        | ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::LargeInt
        | ColumnType::Float
        | ColumnType::Double
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::DateTime
        | ColumnType::Char(_)
        | ColumnType::Varchar(_) => true,
        ColumnType::Json
        | ColumnType::Varbinary(_)
        | ColumnType::Array(_)
        | ColumnType::Map(..)
        | ColumnType::Struct(_)
        | ColumnType::Other(_) => false,
    }
}

fn json(ty: &ColumnType) -> Result<(), String> {
    match ty {
        ColumnType::Array(item) => json_inside(item),
        ColumnType::Map(key, _) if !is_csv_element(key) => Err(format!("{key} cannot be the key of a JSON object")),
        ColumnType::Map(_, value) => json_inside(value),
        ColumnType::Struct(fields) => fields.iter().try_for_each(|field| json_inside(&field.ty)),
        _ => Ok(()),
    }
}

fn json_inside(ty: &ColumnType) -> Result<(), String> {
    match ty {
        ColumnType::Varbinary(_) => Err("no expression decodes VARBINARY inside another type".to_owned()),
        ColumnType::Other(name) => Err(format!("{name} cannot be loaded inside another type")),
        ty => json(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(ty: &str) -> Column {
        Column::new("c", ty.parse().unwrap())
    }

    #[test]
    fn csv_is_taken_wherever_its_form_is_known() {
        for ty in [
            "INT",
            "LARGEINT",
            "JSON",
            "VARBINARY",
            "BITMAP",
            "ARRAY<STRING>",
            "ARRAY<ARRAY<DECIMAL(9,2)>>",
            "ARRAY<DATETIME>",
            "MAP<STRING,DATE>",
            "MAP<INT,DOUBLE>",
        ] {
            assert_eq!(wire_for(&[column("INT"), column(ty)]), WireFormat::Csv, "{ty}");
        }
    }

    #[test]
    fn json_is_taken_for_what_csv_cannot_say() {
        for ty in [
            "STRUCT<a INT>",
            "ARRAY<STRUCT<a INT>>",
            "ARRAY<JSON>",
            "ARRAY<MAP<INT,INT>>",
            "MAP<INT,ARRAY<INT>>",
            "MAP<INT,MAP<INT,INT>>",
            "MAP<STRING,JSON>",
        ] {
            assert_eq!(wire_for(&[column("INT"), column(ty)]), WireFormat::Json, "{ty}");
            assert_eq!(carries(WireFormat::Json, &[column(ty)]), Ok(()), "{ty}");
        }
    }

    #[test]
    fn what_no_format_carries_is_said_with_its_column() {
        let sketches = ColumnType::Array(Box::new(ColumnType::Other("HLL".to_owned())));
        let written = ["ARRAY<VARBINARY>", "STRUCT<a INT,b VARBINARY>", "MAP<JSON,INT>", "MAP<ARRAY<INT>,INT>"];
        for ty in written.iter().map(|ty| ty.parse().unwrap()).chain([sketches]) {
            for format in [WireFormat::Csv, WireFormat::Json] {
                let reason = carries(format, &[Column::new("c", ty.clone())]).unwrap_err();
                assert!(reason.starts_with(&format!("column `c` is {ty}: ")), "{reason}");
            }
        }
    }

    #[test]
    fn columns_that_json_sends_as_base64_are_named() {
        assert_eq!(binary_columns(&[column("INT"), column("VARBINARY"), column("STRING")]), [1]);
    }
}

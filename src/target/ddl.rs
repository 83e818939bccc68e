//! Columns to DDL: the statements that create a database and a table in StarRocks.
//!
//! The table has the DUPLICATE KEY model, which keeps every row, and random distribution, which needs no knowledge of the
//! values. Its key is what the columns call a key, or else the first column that can be one; key columns come first.

use super::Error;
use super::request::quote;
use crate::model::{Column, ColumnType, StructField};

/// The longest name of a column or a table, in characters.
const NAME_CHARS_MAX: usize = 1024;

/// Names that the server keeps for itself.
const RESERVED: [&str; 2] = ["__op", "__row"];

/// How names of columns begin that schema changes use for the time they take.
const SHADOW_PREFIX: &str = "__starrocks_shadow_";

/// `CREATE DATABASE`, if it does not exist.
#[must_use]
pub fn create_database(database: &str) -> String {
    format!("CREATE DATABASE IF NOT EXISTS {}", quote(database))
}

/// `CREATE TABLE`, if it does not exist.
///
/// # Errors
/// [`Error::ColumnUnsupported`] when a name or a type cannot be created, or no column can be the key.
pub fn create_table(database: Option<&str>, table: &str, columns: &[Column]) -> Result<String, Error> {
    check_table_name(table)?;
    for (index, column) in columns.iter().enumerate() {
        check_column(column)?;
        // The server compares names without case.
        let twin = |earlier: &&Column| earlier.name.to_lowercase() == column.name.to_lowercase();
        if columns[..index].iter().any(|earlier| twin(&earlier)) {
            return Err(unsupported(&column.name, "another column has the same name but for its case"));
        }
    }
    let (keys, others) = split_keys(columns)?;
    let lines = keys.iter().chain(&others).map(|column| line(column)).collect::<Vec<_>>().join(",\n");
    let keys = keys.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ");
    let database = database.map_or_else(String::new, |database| format!("{}.", quote(database)));
    Ok(format!(
        "CREATE TABLE IF NOT EXISTS {database}{} (\n{lines}\n)\nDUPLICATE KEY ({keys})\nDISTRIBUTED BY RANDOM",
        quote(table)
    ))
}

fn line(column: &Column) -> String {
    let null = if column.nullable { "NULL" } else { "NOT NULL" };
    format!("  {} {} {null}", quote(&column.name), type_text(&column.ty))
}

/// The key columns and the others, each in their order.
fn split_keys(columns: &[Column]) -> Result<(Vec<&Column>, Vec<&Column>), Error> {
    let (mut keys, mut others): (Vec<_>, Vec<_>) = columns.iter().partition(|column| column.key);
    if let Some(wrong) = keys.iter().find(|column| !can_be_key(&column.ty)) {
        return Err(unsupported(&wrong.name, &format!("a column of type {} cannot be part of the key", wrong.ty)));
    }
    if keys.is_empty() {
        let Some(first) = others.iter().position(|column| can_be_key(&column.ty)) else {
            let name = columns.first().map_or("", |column| column.name.as_str());
            return Err(unsupported(
                name,
                "a table needs a key column, and none of these can be one: FLOAT, DOUBLE, JSON, VARBINARY, ARRAY, MAP and \
                 STRUCT cannot",
            ));
        };
        keys.push(others.remove(first));
    }
    Ok((keys, others))
}

fn can_be_key(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Boolean
        | ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::LargeInt
        | ColumnType::Decimal { .. }
        | ColumnType::Date
        | ColumnType::DateTime
        | ColumnType::Char(_)
        | ColumnType::Varchar(_) => true,
        ColumnType::Float
        | ColumnType::Double
        | ColumnType::Json
        | ColumnType::Varbinary(_)
        | ColumnType::Array(_)
        | ColumnType::Map(..)
        | ColumnType::Struct(_)
        | ColumnType::Other(_) => false,
    }
}

/// A type as DDL writes it; the names of fields are quoted, which the type's own `Display` does not do.
fn type_text(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Array(element) => format!("ARRAY<{}>", type_text(element)),
        ColumnType::Map(key, value) => format!("MAP<{},{}>", type_text(key), type_text(value)),
        ColumnType::Struct(fields) => {
            let field = |field: &StructField| format!("{} {}", quote(&field.name), type_text(&field.ty));
            format!("STRUCT<{}>", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

fn check_table_name(table: &str) -> Result<(), Error> {
    if table.is_empty() || table.chars().count() > NAME_CHARS_MAX || table.chars().any(|c| c.is_control() || c == '`') {
        return Err(Error::Refused { message: format!("`{table}` is no valid name of a table") });
    }
    Ok(())
}

fn check_column(column: &Column) -> Result<(), Error> {
    check_name(&column.name).map_err(|reason| unsupported(&column.name, reason))?;
    check_type(&column.ty).map_err(|reason| unsupported(&column.name, &reason))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it has no name");
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err("its name is longer than 1024 characters");
    }
    // `=<>!*` are the server's rule. A backtick or a control character would break the load's headers.
    if name.chars().any(|c| matches!(c, '=' | '<' | '>' | '!' | '*' | '`') || c.is_control()) {
        return Err("its name holds one of = < > ! * ` or a control character; rename it in the input");
    }
    if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) || name.starts_with(SHADOW_PREFIX) {
        return Err("the server keeps this name for itself; rename it in the input");
    }
    Ok(())
}

fn check_type(ty: &ColumnType) -> Result<(), String> {
    match ty {
        ColumnType::Other(name) => Err(format!("a column of type {name} cannot be created from an input")),
        ColumnType::Array(element) => check_type(element),
        ColumnType::Map(key, value) => check_type(key).and_then(|()| check_type(value)),
        ColumnType::Struct(fields) if fields.is_empty() => Err("a STRUCT needs a field".to_owned()),
        ColumnType::Struct(fields) => fields.iter().try_for_each(|field| {
            check_name(&field.name).map_err(|reason| format!("field `{}`: {reason}", field.name))?;
            check_type(&field.ty)
        }),
        _ => Ok(()),
    }
}

fn unsupported(column: &str, reason: &str) -> Error {
    Error::ColumnUnsupported { column: column.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, ty: &str) -> Column {
        Column::new(name, ty.parse().unwrap())
    }

    #[test]
    fn a_table_starts_with_the_first_column_that_can_be_its_key() {
        let mut amount = column("amount", "DECIMAL(10,2)");
        amount.nullable = false;
        let columns = [column("score", "DOUBLE"), column("doc", "JSON"), amount, column("a b", "ARRAY<STRUCT<x INT>>")];
        let ddl = create_table(Some("db"), "my`t", &columns).unwrap_err();
        assert!(matches!(ddl, Error::Refused { .. }));
        assert_eq!(
            create_table(Some("db"), "order", &columns).unwrap(),
            "CREATE TABLE IF NOT EXISTS `db`.`order` (\n  `amount` DECIMAL(10,2) NOT NULL,\n  `score` DOUBLE NULL,\n  \
             `doc` JSON NULL,\n  `a b` ARRAY<STRUCT<`x` INT>> NULL\n)\nDUPLICATE KEY (`amount`)\nDISTRIBUTED BY RANDOM"
        );
        assert_eq!(create_database("my-db"), "CREATE DATABASE IF NOT EXISTS `my-db`");
    }

    #[test]
    fn columns_that_are_keys_come_first_in_their_order() {
        let mut columns = [column("a", "STRING"), column("b", "INT"), column("c", "DATE")];
        columns[1].key = true;
        columns[2].key = true;
        let ddl = create_table(Some("db"), "t", &columns).unwrap();
        assert!(ddl.contains("DUPLICATE KEY (`b`, `c`)"), "{ddl}");
        assert!(ddl.find("`c` DATE") < ddl.find("`a` STRING"), "{ddl}");
        columns[1].ty = ColumnType::Float;
        assert!(create_table(Some("db"), "t", &columns).is_err());
    }

    #[test]
    fn a_table_that_cannot_be_created_says_why() {
        for (columns, reason) in [
            (vec![column("a", "DOUBLE"), column("b", "JSON")], "key column"),
            (vec![], "key column"),
            (vec![column("a", "BITMAP")], "BITMAP"),
            (vec![column("i", "INT"), column("a", "ARRAY<STRUCT<x HLL>>")], "cannot be created"),
            (vec![column("a=b", "INT")], "name holds"),
            (vec![column("a\nb", "INT")], "name holds"),
            (vec![column("", "INT")], "no name"),
            (vec![column("__OP", "INT")], "keeps this name"),
            (vec![column("id", "INT"), column("ID", "INT")], "same name"),
        ] {
            let error = create_table(Some("db"), "t", &columns).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }
}

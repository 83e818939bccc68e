//! Keys of a table: which columns they are, and what becomes of the others when rows meet.

use super::Error;
use crate::sandbox::types::{Aggregation, Column, KeysType, SqlType};

/// The most columns that StarRocks puts into the key of a table that names none, and the most bytes they may take.
const IMPLICIT_KEY_COLUMNS_MAX: usize = 3;
const IMPLICIT_KEY_BYTES_MAX: u32 = 36;

/// Aggregations of StarRocks that the sandbox does not have.
pub(super) const FOREIGN_AGGREGATIONS: [&str; 5] =
    ["HLL_UNION", "BITMAP_UNION", "PERCENTILE_UNION", "AGG_STATE_UNION", "COUNT"];

/// `PRIMARY KEY(k1, k2)`, as written.
#[derive(Debug)]
pub(super) struct KeyClause {
    pub kind: KeysType,
    pub names: Vec<String>,
}

/// Marks the key columns: the named ones, which must come first and in order, or else the ones StarRocks would choose.
/// `said_null` are the names of the columns that NULL was written behind.
pub(super) fn apply(
    columns: &mut [Column],
    clause: Option<&KeyClause>,
    said_null: &[String],
) -> Result<KeysType, Error> {
    let marked = columns.iter().filter(|column| column.key).count();
    let kind = match clause {
        Some(clause) => {
            mark(columns, &clause.names)?;
            clause.kind
        }
        None if columns.iter().any(|column| column.aggregation.is_some()) => {
            let plain = columns.iter().filter(|column| column.aggregation.is_none());
            let names: Vec<String> = plain.map(|column| column.name.clone()).collect();
            mark(columns, &names)?;
            KeysType::Aggregate
        }
        None if marked > 0 => {
            if !columns[..marked].iter().all(|column| column.key) {
                return Err(Error::analysis("Key columns must be the first few columns of the schema"));
            }
            KeysType::Duplicate
        }
        None => {
            if let Some(first) = columns.first() {
                check_key_type(first)?;
            }
            let count = implicit_key_count(columns);
            columns[..count].iter_mut().for_each(|column| column.key = true);
            KeysType::Duplicate
        }
    };
    if kind == KeysType::Primary {
        for column in columns.iter_mut().filter(|column| column.key) {
            if said_null.contains(&column.name) {
                return Err(Error::analysis(format!("primary key column[{}] cannot be nullable", column.name)));
            }
            column.nullable = false;
        }
    }
    check(kind, columns)?;
    Ok(kind)
}

/// Makes sure that the columns are such as a table with these keys may have.
pub(super) fn check(kind: KeysType, columns: &[Column]) -> Result<(), Error> {
    columns.iter().try_for_each(|column| check_column(kind, column))
}

fn mark(columns: &mut [Column], keys: &[String]) -> Result<(), Error> {
    if keys.is_empty() {
        return Err(Error::analysis("The number of key columns is 0"));
    }
    for (at, key) in keys.iter().enumerate() {
        let Some(column) = columns.get(at).filter(|column| column.name.eq_ignore_ascii_case(key)) else {
            let known = columns.iter().any(|column| column.name.eq_ignore_ascii_case(key));
            return Err(Error::analysis(if known {
                "Key columns must be the first few columns of the schema and the order of the key columns must be \
                 consistent with the order of the schema"
                    .to_owned()
            } else {
                format!("Key column({key}) doesn't exist")
            }));
        };
        check_key_type(column)?;
        columns[at].key = true;
    }
    Ok(())
}

fn check_column(kind: KeysType, column: &Column) -> Result<(), Error> {
    let name = &column.name;
    if column.generated.is_some() && (kind == KeysType::Aggregate || kind.merges() && column.key) {
        return Err(Error::analysis(format!("generated column {name} cannot be a key or in an aggregate table")));
    }
    match column.aggregation {
        Some(_) if column.key => {
            Err(Error::analysis(format!("Cannot specify aggregate function for key column '{name}'")))
        }
        Some(_) if kind != KeysType::Aggregate => Err(Error::analysis(format!(
            "{} table should not specify aggregate type for non-key column[{name}]",
            kind.catalogue_name()
        ))),
        Some(aggregation) if !aggregation.takes(&column.ty) => {
            let (word, ty) = (Aggregation::keyword(aggregation), &column.ty);
            Err(Error::analysis(format!("Invalid aggregate function '{word}' for '{name}' of type {ty}")))
        }
        None if kind == KeysType::Aggregate && !column.key => Err(Error::analysis(format!(
            "{} table should specify aggregate type for non-key column[{name}]",
            kind.catalogue_name()
        ))),
        _ => Ok(()),
    }
}

fn check_key_type(column: &Column) -> Result<(), Error> {
    match key_bytes(&column.ty) {
        Some(_) => Ok(()),
        None => Err(Error::analysis(format!("Invalid data type of key column '{}': '{}'", column.name, column.ty))),
    }
}

fn implicit_key_count(columns: &[Column]) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for column in columns {
        let Some(width) = key_bytes(&column.ty) else { break };
        bytes += width;
        if count == IMPLICIT_KEY_COLUMNS_MAX || count > 0 && bytes > IMPLICIT_KEY_BYTES_MAX {
            break;
        }
        count += 1;
        if matches!(column.ty, SqlType::Varchar(_)) {
            break;
        }
    }
    count
}

/// The width of a type in a key, and nothing for one that cannot be in a key.
fn key_bytes(ty: &SqlType) -> Option<u32> {
    match ty {
        SqlType::Boolean | SqlType::TinyInt => Some(1),
        SqlType::SmallInt => Some(2),
        SqlType::Int | SqlType::Date => Some(4),
        SqlType::BigInt | SqlType::DateTime => Some(8),
        SqlType::LargeInt | SqlType::Decimal { .. } => Some(16),
        SqlType::Char(length) => Some(*length),
        // Of longer texts, so many bytes are in StarRocks' short key.
        SqlType::Varchar(_) | SqlType::Varbinary(_) => Some(20),
        _ => None,
    }
}

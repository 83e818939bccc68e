//! Tablets by their numbers, for those who ask a backend about one.

use std::sync::Arc;

use crate::sandbox::store::{CatalogError, Store};
use crate::sandbox::tablet;
use crate::sandbox::types::TableDef;

/// The numbers of a table's tablets.
pub(super) fn of_table(table: &TableDef) -> Vec<i64> {
    (0..tablet::buckets(&table.ddl)).map(|bucket| tablet::id(table.id, bucket)).collect()
}

/// The table that a tablet belongs to.
pub(super) fn table_of(store: &Store, tablet: i64) -> rusqlite::Result<Option<Arc<TableDef>>> {
    for place in store.table_list()? {
        match store.table(&place.database, &place.name) {
            Ok(table) if of_table(&table).contains(&tablet) => return Ok(Some(table)),
            // One that has just been dropped has no tablets either.
            Ok(_) | Err(CatalogError::UnknownDatabase(_) | CatalogError::UnknownTable(_)) => {}
            Err(CatalogError::Sqlite(error)) => return Err(error),
        }
    }
    Ok(None)
}

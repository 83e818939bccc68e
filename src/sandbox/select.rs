//! Queries and expressions for those outside of `sql`: rows of a query one by one, and the expressions of loads.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::sessions::Running;
use super::sql::{self, BoundQuery};
use super::store::Store;
use super::types::SqlType;
use super::zone::Zone;

/// A row of a query, as SQLite has it.
pub(super) type Row<'a> = [ValueRef<'a>];

/// Translates an expression of a load (`columns: name = expr`) into SQLite's SQL over columns of these names, in
/// which texts are held. The names are quoted in the result as [`quote`](super::types::quote) does.
pub(super) fn translate_expression(expression: &str, columns: &[String], zone: Zone) -> Result<String, String> {
    let columns: Vec<_> = columns.iter().map(|name| (name.clone(), SqlType::TEXT)).collect();
    translate_typed(expression, &columns, zone)
}

/// The same over columns that are held as their types are in a table (`where`, generated columns).
pub(super) fn translate_typed(expression: &str, columns: &[(String, SqlType)], zone: Zone) -> Result<String, String> {
    sql::translate(expression, columns, zone).map_err(|refusal| refusal.message)
}

/// Reads the rows of a query until `each` has had enough or the statement is stopped, and returns how many it took.
pub(super) fn for_each_row(
    store: &Store,
    query: &BoundQuery,
    running: Option<&Running>,
    mut each: impl FnMut(&Row<'_>) -> bool,
) -> Result<u64, sql::Error> {
    let width = query.columns.len();
    let mut read = |connection: &Connection| {
        let mut statement = connection.prepare(&query.sql)?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let cells: Vec<ValueRef<'_>> = (0..width).map(|at| row.get_ref(at)).collect::<rusqlite::Result<_>>()?;
            count += 1;
            if !each(&cells) {
                break;
            }
            if running.is_some_and(|running| running.check().is_err()) {
                // What it stands for is said by whoever watches over the statement.
                return Err(rusqlite::Error::ExecuteReturnedResults);
            }
        }
        Ok(count)
    };
    store.read(|connection| {
        Ok(match running {
            Some(running) => running.interruptible(connection, || read(connection)),
            None => read(connection).map_err(sql::Error::from),
        })
    })?
}

//! What a frontend tells of databases and tables.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::frontend::Surface;
use super::rest::{broken, failure, missing};
use super::route::Asked;
use super::tablets;
use crate::sandbox::http::{self, Reply};
use crate::sandbox::schema_api;
use crate::sandbox::sql::{Answer, Session, is_single, leading_keyword};
use crate::sandbox::store::CatalogError;
use crate::sandbox::tablet;
use crate::sandbox::types::TableDef;

/// How many partitions a page has unless it is said.
const PAGE_SIZE: usize = 100;

impl Surface {
    pub(super) fn schema(&self, asked: &Asked) -> Reply {
        from_parts(schema_api::schema(&self.store, &asked.path[0], &asked.path[1]))
    }

    pub(super) fn schema_v2(&self, asked: &Asked) -> Reply {
        if !self.overview.dialect().has_schema_v2() {
            return http::not_found();
        }
        if asked.path[0] != "default_catalog" {
            return unknown_catalog(&asked.path[0]);
        }
        from_parts(schema_api::schema_v2(&self.store, &asked.path[1], &asked.path[2]))
    }

    pub(super) fn partitions(&self, asked: &Asked) -> Reply {
        if !self.overview.dialect().has_schema_v2() {
            return http::not_found();
        }
        let (database, table) = (&asked.path[1], &asked.path[2]);
        if asked.path[0] != "default_catalog" {
            return unknown_catalog(&asked.path[0]);
        }
        let number = |name, otherwise| asked.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
        let (page, size): (usize, usize) = (number("page_num", 0), number("page_size", PAGE_SIZE).max(1));
        let Ok(found) = self.store.table(database, table) else {
            // In the words of the schema, which it belongs to.
            return from_parts(schema_api::schema_v2(&self.store, database, table));
        };
        let mut items = match self.partition(&found) {
            Ok(partition) => vec![partition],
            Err(error) => return broken(&error),
        };
        if asked.parameter("temporary").as_deref() == Some("true") {
            items.clear();
        }
        let (total, pages) = (items.len(), items.len().div_ceil(size));
        let items: Vec<Value> = items.into_iter().skip(page.saturating_mul(size)).take(size).collect();
        let result = json!({"pageNum": page, "pageSize": size, "pages": pages, "total": total, "items": items});
        http::json(StatusCode::OK, &json!({"code": "0", "message": "OK", "result": result}))
    }

    /// The one partition that a table has here, which has the table's name and number.
    fn partition(&self, table: &TableDef) -> rusqlite::Result<Value> {
        let backends: Vec<i64> = self.backends().iter().filter(|node| node.alive).map(|node| node.id).collect();
        let version = tablet::versions(&self.store, table.id)?.newest;
        let tablets: Vec<Value> =
            tablets::of_table(table).iter().map(|id| json!({"id": id, "backendIds": backends})).collect();
        Ok(json!({
            "id": table.id,
            "name": table.name,
            "bucketNum": tablets.len(),
            "visibleVersion": version,
            "nextVersion": version + 1,
            "isMinPartition": true,
            "isMaxPartition": true,
            "startKeys": [],
            "endKeys": [],
            "tablets": tablets,
        }))
    }

    pub(super) fn count(&self, asked: &Asked) -> Reply {
        let found = match self.named(asked) {
            Ok(found) => found,
            Err(reply) => return *reply,
        };
        match self.rows_of(&found) {
            Ok(size) => http::json(StatusCode::OK, &json!({"status": 200, "size": size})),
            Err(error) => broken(&error),
        }
    }

    /// Checks a statement as the server does that is to plan it, and declines: a plan is for those who then read the
    /// tablets from the backends, on a port that there is not.
    pub(super) fn query_plan(&self, asked: &Asked) -> Reply {
        let sql = match std::str::from_utf8(&asked.body).map(str::trim) {
            Ok("") | Err(_) => String::new(),
            Ok(text) => match serde_json::from_str::<Value>(text) {
                Ok(body) => body.get("sql").and_then(Value::as_str).unwrap_or_default().to_owned(),
                Err(_) => return exception(400, &format!("malformed json [ {text} ]")),
            },
        };
        if sql.is_empty() {
            return exception(400, "POST body must contains [sql] root object");
        }
        if let Err(reply) = self.named(asked) {
            return *reply;
        }
        let single = is_single(&sql).unwrap_or(false);
        match leading_keyword(&sql).as_deref() {
            Ok("SELECT" | "WITH") if single => {}
            Ok(_) if single => return exception(400, &format!("Select statement needed, but found [{sql} ]")),
            _ => return exception(500, "The Sql is invalid"),
        }
        let mut session = Session::new(&asked.user, self.store.next_connection_id(), Arc::clone(&self.overview));
        // A query is understood without being run: its rows are only read by who asks for them.
        let understood = session
            .select_database(&self.store, &asked.path[0])
            .and_then(|()| session.execute(&self.store, &sql))
            .is_ok_and(|answer| matches!(answer, Answer::Query(_)));
        if !understood {
            return exception(500, "The Sql is invalid");
        }
        exception(500, "direct scans are not supported by the sandbox: its backends have no port to read tablets from")
    }

    pub(super) fn row_count(&self, asked: &Asked) -> Reply {
        let Some(database) = asked.parameter("db") else { return failure(StatusCode::OK, "No database selected.") };
        let Some(table) = asked.parameter("table") else { return failure(StatusCode::OK, "No table selected.") };
        match self.store.table(&database, &table).map(|found| self.rows_of(&found)) {
            Ok(Ok(rows)) => {
                let indexes: Map<String, Value> = [(table, rows.into())].into_iter().collect();
                http::json(StatusCode::OK, &indexes)
            }
            Ok(Err(error)) => broken(&error),
            Err(error) => missing(&error, &database, &table),
        }
    }

    pub(super) fn ddl(&self, asked: &Asked) -> Reply {
        let (Some(database), Some(table)) = (asked.parameter("db"), asked.parameter("tbl")) else {
            return failure(StatusCode::OK, "Missing params. Need database name and Table name");
        };
        match self.store.table(&database, &table) {
            Ok(found) => http::json(StatusCode::OK, &json!({"TABLE": [found.ddl], "PARTITION": [], "ROLLUP": []})),
            Err(error) => missing(&error, &database, &table),
        }
    }

    pub(super) fn migration(&self, asked: &Asked) -> Reply {
        let Some(database) = asked.parameter("db") else {
            return failure(StatusCode::OK, "Missing params. Need database name");
        };
        let wanted = asked.parameter("tbl");
        if let Some(table) = &wanted
            && let Err(error) = self.store.table(&database, table)
        {
            return missing(&error, &database, table);
        }
        match self.store.has_database(&database) {
            Ok(true) => {}
            Ok(false) => return missing(&CatalogError::UnknownDatabase(database.clone()), &database, ""),
            Err(error) => return broken(&error),
        }
        let tables = match self.store.table_list() {
            Ok(tables) => tables,
            Err(error) => return broken(&error),
        };
        let backend = self.backends().iter().find(|node| node.alive).map(|node| node.id);
        let mut rows = Vec::new();
        for place in tables.iter().filter(|table| table.database == database) {
            if wanted.as_ref().is_some_and(|wanted| *wanted != place.name) {
                continue;
            }
            // One that has just been dropped is left out.
            let Ok(table) = self.store.table(&database, &place.name) else { continue };
            for id in tablets::of_table(&table) {
                let mut row = vec![json!(table.name), json!(table.name), json!(id), json!(0)];
                row.extend(backend.map(Value::from));
                rows.push(row);
            }
        }
        http::json(StatusCode::OK, &rows)
    }

    pub(super) fn show_data(&self, asked: &Asked) -> Reply {
        let sizes = match self.sizes() {
            Ok(sizes) => sizes,
            Err(error) => return broken(&error),
        };
        let total = match http::parameter(asked.head.uri.query(), "db") {
            None => sizes.iter().map(|(_, bytes)| bytes).sum(),
            Some(database) => {
                let Some((_, bytes)) = sizes.iter().find(|(name, _)| *name == database) else {
                    let message = format!("database {database} not found.");
                    return http::reply(StatusCode::NOT_FOUND, "text/html", message);
                };
                *bytes
            }
        };
        http::reply(StatusCode::OK, "text/html", total.to_string())
    }

    pub(super) fn show_meta_info(&self, asked: &Asked) -> Reply {
        let action = asked.parameter("action").map(|action| action.to_ascii_uppercase());
        let answer = match action.as_deref() {
            None => return http::reply(StatusCode::BAD_REQUEST, "text/html", "Missing parameter"),
            // There is one replica of everything.
            Some("SHOW_DB_SIZE" | "SHOW_FULL_DB_SIZE") => self.sizes().map(|sizes| {
                Value::Object(sizes.into_iter().map(|(name, bytes)| (name, bytes.into())).collect::<Map<_, _>>())
            }),
            Some("SHOW_HA") => self.high_availability(asked),
            Some(_) => return http::reply(StatusCode::BAD_REQUEST, "text/html", "Invalid parameter"),
        };
        match answer {
            Ok(answer) => http::json(StatusCode::OK, &answer),
            Err(error) => broken(&error),
        }
    }

    /// The table that the path names.
    fn named(&self, asked: &Asked) -> Result<Arc<TableDef>, Box<Reply>> {
        let (database, table) = (&asked.path[0], &asked.path[1]);
        self.store.table(database, table).map_err(|error| {
            Box::new(match error {
                CatalogError::UnknownDatabase(_) => exception(404, &format!("Database [{database}] does not exists")),
                CatalogError::UnknownTable(_) => exception(404, &format!("Table [{table}] does not exists")),
                CatalogError::Sqlite(error) => broken(&error),
            })
        })
    }

    fn rows_of(&self, table: &TableDef) -> rusqlite::Result<i64> {
        let sql = format!("SELECT count(*) FROM {}", table.storage());
        self.store.read(|connection| connection.query_row(&sql, [], |row| row.get(0)))
    }

    /// The bytes that each database's tables take, by name. Every page of the database is looked at for that.
    fn sizes(&self) -> rusqlite::Result<Vec<(String, u64)>> {
        let databases: Vec<String> = self.store.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM sb_databases ORDER BY name")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        let storage: HashMap<String, u64> = self.store.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let tables = self.store.table_list()?;
        let size = |database: &String| -> u64 {
            let own = tables.iter().filter(|table| table.database == *database);
            own.filter_map(|table| storage.get(&format!("t{}", table.id))).sum()
        };
        Ok(databases.into_iter().map(|name| (name.clone(), size(&name))).collect())
    }
}

/// The failure of an endpoint that repeats its HTTP status in the body.
fn exception(status: u16, message: &str) -> Reply {
    let body = json!({"status": status, "exception": message});
    http::json(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

fn unknown_catalog(name: &str) -> Reply {
    let body = json!({"code": "404", "message": format!("Catalog [{name}] does not exists")});
    http::json(StatusCode::NOT_FOUND, &body)
}

fn from_parts((status, body): (u16, String)) -> Reply {
    http::reply(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "application/json", body)
}

//! A table's schema over HTTP, in the short form (`_schema`) and in the full one (v2).
//!
//! The full form describes each type as an object: scalars by `name`, `typeSize`, `columnSize`, `precision` and `scale`,
//! an ARRAY by `itemType`, a MAP by `keyType` and `valueType`, a STRUCT by `fields`. The names of the nested parts, and what
//! stands in `partitionInfo` and `defaultDistributionInfo`, are unverified: taken from reading, not from a running server.

use serde_json::{Map, Value as Json, json};

use super::sql::token::{Token, Tokens};
use super::sql::{comment_and_properties, partition_clause};
use super::store::{CatalogError, Store};
use super::tablet;
use super::types::{Aggregation, Column, Default, KeysType, SqlType, TableDef};

/// `GET /api/{db}/{table}/_schema`: names, types and comments, without nullability or keys.
pub(super) fn schema(store: &Store, db: &str, table: &str) -> (u16, String) {
    match store.table(db, table) {
        Ok(table) => {
            let properties: Vec<Json> = table.columns.iter().map(property).collect();
            (200, json!({ "status": 200, "properties": properties }).to_string())
        }
        Err(fault) => {
            let (status, message) = refusal(&fault, db, table);
            (status, json!({ "status": status, "exception": message }).to_string())
        }
    }
}

/// `GET /api/v2/catalogs/default_catalog/databases/{db}/tables/{table}/schema`: everything.
pub(super) fn schema_v2(store: &Store, db: &str, table: &str) -> (u16, String) {
    match store.table(db, table) {
        Ok(table) => (200, json!({ "code": "0", "message": "OK", "result": described(&table) }).to_string()),
        Err(fault) => {
            let (status, message) = refusal(&fault, db, table);
            (status, json!({ "code": status.to_string(), "message": message }).to_string())
        }
    }
}

fn refusal(fault: &CatalogError, db: &str, table: &str) -> (u16, String) {
    match fault {
        CatalogError::UnknownDatabase(_) => (404, format!("Database [{db}] does not exists")),
        CatalogError::UnknownTable(_) => (404, format!("Table [{db}.{table}] does not exists")),
        CatalogError::Sqlite(fault) => (500, fault.to_string()),
    }
}

fn property(column: &Column) -> Json {
    let mut property = json!({ "name": column.name, "type": type_name(&column.ty), "comment": column.comment });
    if let SqlType::Decimal { precision, scale } = column.ty {
        property["precision"] = precision.to_string().into();
        property["scale"] = scale.to_string().into();
    }
    property
}

fn described(table: &TableDef) -> Json {
    let columns: Vec<Json> =
        table.columns.iter().enumerate().map(|(at, column)| described_column(table.keys, at, column)).collect();
    let (comment, properties) = comment_and_properties(&table.ddl).unwrap_or_default();
    let properties: Map<String, Json> = properties.into_iter().map(|(name, value)| (name, value.into())).collect();
    json!({
        "id": table.id,
        "name": table.name,
        "tableType": "OLAP",
        "keysType": table.keys.catalogue_name(),
        "comment": comment,
        "columns": columns,
        "partitionInfo": partition_info(table),
        "defaultDistributionInfo": distribution_info(table),
        "properties": properties,
    })
}

/// How the table is divided, and by which columns. Of an expression those are the columns that it names.
fn partition_info(table: &TableDef) -> Json {
    let clause = partition_clause(&table.ddl);
    let tokens = clause.as_deref().and_then(|clause| Tokens::new(clause).ok());
    let Some(mut tokens) = tokens.filter(|tokens| tokens.peek().is_some()) else {
        return json!({ "type": "UNPARTITIONED", "partitionColumns": [] });
    };
    tokens.accept(&["PARTITION", "BY"]);
    let kind = match tokens.accept(&["RANGE"]) {
        true => "RANGE",
        false if tokens.accept(&["LIST"]) || tokens.peek() == Some(&Token::Symbol('(')) => "LIST",
        false => "EXPR_RANGE",
    };
    let names = if tokens.peek() == Some(&Token::Symbol('(')) {
        tokens.names().unwrap_or_default()
    } else {
        let words = std::iter::from_fn(|| tokens.take());
        let name = |token| match token {
            Token::Word(name) | Token::Quoted(name) => Some(name),
            _ => None,
        };
        words.filter_map(name).collect()
    };
    json!({
        "type": kind,
        "isMultiColumnPartition": names.len() > 1,
        "partitionColumns": described_columns(table, &names),
    })
}

/// The buckets that rows go to, and the columns that decide which.
fn distribution_info(table: &TableDef) -> Json {
    let clause = table.ddl.lines().rev().find_map(|line| line.strip_prefix("DISTRIBUTED BY HASH"));
    let names = clause.and_then(|names| Tokens::new(names).ok()?.names().ok());
    json!({
        "type": if names.is_some() { "HASH" } else { "RANDOM" },
        "bucketNum": tablet::buckets(&table.ddl),
        "distributionColumns": described_columns(table, &names.unwrap_or_default()),
    })
}

/// Those columns of a table that have one of these names.
fn described_columns(table: &TableDef, names: &[String]) -> Vec<Json> {
    let wanted = |column: &Column| names.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
    let all = table.columns.iter().enumerate().filter(|(_, column)| wanted(column));
    all.map(|(at, column)| described_column(table.keys, at, column)).collect()
}

fn described_column(keys: KeysType, at: usize, column: &Column) -> Json {
    let mut described = json!({
        "name": column.name,
        "type": described_type(&column.ty),
        "isKey": column.key,
        "isAllowNull": column.nullable,
        "isAutoIncrement": column.auto_increment,
        "comment": column.comment,
        "uniqueId": at,
    });
    let (kind, value) = match &column.default {
        None => ("NULL", None),
        Some(Default::Literal(text)) => ("CONST", Some(("defaultValue", text))),
        // A function that gives every row of a load the same value is still a constant to StarRocks; uuid() is not.
        Some(Default::Expression(text)) if text.contains('(') => ("VARY", Some(("defaultExpr", text))),
        Some(Default::Expression(text)) => ("CONST", Some(("defaultExpr", text))),
    };
    described["defaultValueType"] = kind.into();
    if let Some((key, text)) = value {
        described[key] = text.as_str().into();
    }
    if !column.key {
        described["aggregationType"] = aggregation_name(keys, column).into();
    }
    if let Some(expression) = &column.generated {
        described["generatedColumnExpr"] = expression.as_str().into();
    }
    described
}

/// How StarRocks thinks of a column that is in no key: in a table that keeps the last row, as of one that is replaced.
fn aggregation_name(keys: KeysType, column: &Column) -> &'static str {
    match keys {
        KeysType::Duplicate => "NONE",
        KeysType::Aggregate => column.aggregation.map_or("NONE", Aggregation::keyword),
        KeysType::Unique | KeysType::Primary => Aggregation::Replace.keyword(),
    }
}

fn described_type(ty: &SqlType) -> Json {
    let name = type_name(ty);
    match ty {
        SqlType::Array(element) => json!({ "name": name, "itemType": described_type(element) }),
        SqlType::Map(key, value) => {
            json!({ "name": name, "keyType": described_type(key), "valueType": described_type(value) })
        }
        SqlType::Struct(fields) => {
            let fields: Vec<Json> =
                fields.iter().map(|(name, ty)| json!({ "name": name, "type": described_type(ty) })).collect();
            json!({ "name": name, "named": true, "fields": fields })
        }
        SqlType::Decimal { precision, scale } => {
            json!({ "name": name, "typeSize": bytes(ty), "columnSize": precision, "precision": precision, "scale": scale })
        }
        SqlType::Char(length) | SqlType::Varchar(length) | SqlType::Varbinary(length) => {
            json!({ "name": name, "typeSize": bytes(ty), "columnSize": length, "precision": 0, "scale": 0 })
        }
        _ => json!({ "name": name, "typeSize": bytes(ty), "precision": 0, "scale": 0 }),
    }
}

/// The bytes that StarRocks keeps a value in.
fn bytes(ty: &SqlType) -> u32 {
    match ty {
        SqlType::Boolean | SqlType::TinyInt => 1,
        SqlType::SmallInt => 2,
        SqlType::Int | SqlType::Float => 4,
        SqlType::BigInt | SqlType::Double => 8,
        SqlType::Decimal { precision: ..=9, .. } => 4,
        SqlType::Decimal { precision: ..=18, .. } => 8,
        SqlType::Date | SqlType::DateTime | SqlType::LargeInt | SqlType::Decimal { .. } => 16,
        _ => 16,
    }
}

/// The name of the type without its parameters. A DECIMAL is named after the width that holds it.
fn type_name(ty: &SqlType) -> String {
    match ty {
        SqlType::Decimal { precision: ..=9, .. } => "DECIMAL32".to_owned(),
        SqlType::Decimal { precision: ..=18, .. } => "DECIMAL64".to_owned(),
        SqlType::Decimal { .. } => "DECIMAL128".to_owned(),
        other => {
            let text = other.to_string();
            text.split(['(', '<']).next().unwrap_or_default().to_ascii_uppercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::sql::Session;

    #[test]
    fn both_forms_describe_the_table() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let mut session = Session::new("root", 1, crate::sandbox::overview::fake::Fake::idle());
        session.execute(&store, "CREATE DATABASE d").expect("it is created");
        let create = "CREATE TABLE d.t (k BIGINT NOT NULL AUTO_INCREMENT, p DECIMAL(10,2) DEFAULT '1.5' COMMENT 'c', \
                      u VARCHAR(36) DEFAULT (uuid()), m MAP<INT,ARRAY<VARCHAR(5)>>)";
        session.execute(&store, create).expect("it is created");

        let (status, body) = schema(&store, "d", "t");
        let body: Json = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(status, 200);
        let price = json!({ "name": "p", "type": "DECIMAL64", "comment": "c", "precision": "10", "scale": "2" });
        assert_eq!(body["properties"][1], price);

        let (_, body) = schema_v2(&store, "d", "t");
        let body: Json = serde_json::from_str(&body).expect("it is JSON");
        let columns = &body["result"]["columns"];
        assert_eq!(columns[0]["isAutoIncrement"], true);
        assert_eq!((&columns[0]["isKey"], &columns[0]["isAllowNull"]), (&json!(true), &json!(false)));
        assert_eq!((&columns[1]["defaultValueType"], &columns[1]["defaultValue"]), (&json!("CONST"), &json!("1.5")));
        assert_eq!((&columns[2]["defaultValueType"], &columns[2]["defaultExpr"]), (&json!("VARY"), &json!("uuid()")));
        assert_eq!(columns[3]["type"]["valueType"]["itemType"]["columnSize"], 5);
    }

    #[test]
    fn the_full_form_tells_how_rows_are_divided() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let mut session = Session::new("root", 1, crate::sandbox::overview::fake::Fake::idle());
        session.execute(&store, "CREATE DATABASE d").expect("it is created");
        let mut told = |clauses: &str| {
            session.execute(&store, "DROP TABLE IF EXISTS d.t").expect("it is dropped");
            session.execute(&store, &format!("CREATE TABLE d.t (k INT, d DATE) {clauses}")).expect(clauses);
            let body: Json = serde_json::from_str(&schema_v2(&store, "d", "t").1).expect("it is JSON");
            body["result"].clone()
        };
        let names = |columns: &Json| {
            let columns = columns.as_array().expect("a list").iter();
            columns.map(|column| column["name"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
        };
        let plain = told("");
        assert_eq!(plain["partitionInfo"]["type"], "UNPARTITIONED");
        assert_eq!((&plain["defaultDistributionInfo"]["type"], &plain["properties"]), (&json!("RANDOM"), &json!({})));
        for (clause, kind) in [
            ("PARTITION BY RANGE(d) (PARTITION p VALUES LESS THAN ('2024-01-01'))", "RANGE"),
            ("PARTITION BY LIST(d) (PARTITION p VALUES IN ('2024-01-01'))", "LIST"),
            ("PARTITION BY (d)", "LIST"),
            ("PARTITION BY date_trunc('day', d)", "EXPR_RANGE"),
        ] {
            let result = told(&format!(
                "COMMENT 'c' {clause} DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES ('replication_num' = '1')"
            ));
            assert_eq!(result["partitionInfo"]["type"], kind, "{clause}");
            assert_eq!(names(&result["partitionInfo"]["partitionColumns"]), ["d"], "{clause}");
            let distribution = &result["defaultDistributionInfo"];
            assert_eq!((&distribution["type"], &distribution["bucketNum"]), (&json!("HASH"), &json!(3)), "{clause}");
            assert_eq!(names(&distribution["distributionColumns"]), ["k"], "{clause}");
            assert_eq!((&result["comment"], &result["properties"]["replication_num"]), (&json!("c"), &json!("1")));
        }
    }

    #[test]
    fn an_unknown_table_is_not_found() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        assert_eq!(schema(&store, "d", "t").0, 404);
        assert_eq!(schema_v2(&store, "d", "t").0, 404);
    }
}

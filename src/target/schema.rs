//! A table's columns, from what the server tells of them (SR §9).
//!
//! Three sources, the most telling first: the v2 schema (3.4 and later); `DESC` over the SQL API (3.2 and later); and
//! `_schema`, which knows neither lengths nor nullability, so that the server has to check those.

use serde_json::Value;

use super::QueryResult;
use crate::model::{Column, ColumnType, StructField};

/// The columns of a v2 schema; none where the body is not one.
pub(super) fn from_v2(body: &[u8]) -> Option<Vec<Column>> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let columns = whole.get("result")?.get("columns")?.as_array()?;
    columns.iter().map(v2_column).collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty())
}

fn v2_column(column: &Value) -> Option<Column> {
    let flag = |name: &str| match column.get(name) {
        Some(Value::Bool(flag)) => Some(*flag),
        Some(Value::String(text)) => Some(text.eq_ignore_ascii_case("true")),
        _ => None,
    };
    let holds = |name: &str| column.get(name).is_some_and(|value| !value.is_null());
    let kind = column.get("defaultValueType").and_then(Value::as_str).unwrap_or("NULL");
    // The first builds of this API spread the type over the column itself.
    let ty = match column.get("type") {
        Some(ty) => v2_type(ty)?,
        None => match column.get("primitiveType")?.as_str()? {
            // Nested types have none; `DESC` tells them.
            "INVALID_TYPE" => return None,
            primitive => scalar(primitive, column),
        },
    };
    Some(Column {
        name: column.get("name")?.as_str()?.to_owned(),
        ty,
        nullable: flag("isAllowNull").unwrap_or(true),
        key: flag("isKey").unwrap_or(false),
        has_default: flag("isAutoIncrement").unwrap_or(false)
            || !kind.eq_ignore_ascii_case("NULL")
            || holds("defaultValue")
            || holds("defaultExpr"),
        generated: holds("generatedColumnExpr"),
    })
}

fn v2_type(ty: &Value) -> Option<ColumnType> {
    if let Some(text) = ty.as_str() {
        return text.parse().ok();
    }
    let name = ty.get("name")?.as_str()?;
    Some(match name.to_ascii_uppercase().as_str() {
        "ARRAY" => ColumnType::Array(Box::new(v2_type(ty.get("itemType")?)?)),
        "MAP" => ColumnType::Map(Box::new(v2_type(ty.get("keyType")?)?), Box::new(v2_type(ty.get("valueType")?)?)),
        "STRUCT" => {
            let fields = ty.get("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let field = |field: &Value| {
                Some(StructField { name: field.get("name")?.as_str()?.to_owned(), ty: v2_type(field.get("type")?)? })
            };
            ColumnType::Struct(fields.iter().map(field).collect::<Option<_>>()?)
        }
        _ => scalar(name, ty),
    })
}

/// A scalar type from its name and the figures beside it. Figures of types that have none are ignored.
fn scalar(name: &str, figures: &Value) -> ColumnType {
    let figure = |name: &str| match figures.get(name) {
        Some(Value::Number(number)) => number.as_u64().filter(|figure| *figure > 0),
        Some(Value::String(text)) => text.parse().ok().filter(|figure| *figure > 0),
        _ => None,
    };
    let upper = name.to_ascii_uppercase();
    let text = match upper.as_str() {
        "CHAR" | "VARCHAR" | "VARBINARY" => figure("columnSize").map(|bytes| format!("{upper}({bytes})")),
        _ if upper.starts_with("DECIMAL") => {
            figure("precision").map(|precision| format!("{upper}({precision},{})", figure("scale").unwrap_or(0)))
        }
        _ => None,
    };
    let Ok(ty) = text.as_deref().unwrap_or(name).parse();
    ty
}

/// The columns of a `DESC`; none where the result is not one.
pub(super) fn from_desc(result: &QueryResult) -> Option<Vec<Column>> {
    let (field, ty) = (result.column("Field")?, result.column("Type")?);
    let (null, key) = (result.column("Null"), result.column("Key"));
    let (default, extra) = (result.column("Default"), result.column("Extra"));
    let columns = result.rows.iter().map(|row| {
        let cell = |index: Option<usize>| row.get(index?).and_then(Value::as_str);
        let yes = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "pri" | "dup");
        let extra = cell(extra).unwrap_or_default().to_ascii_lowercase();
        let default = cell(default).is_some_and(|text| !text.eq_ignore_ascii_case("null") && text != "\\N");
        Some(Column {
            name: cell(Some(field))?.to_owned(),
            ty: cell(Some(ty))?.parse().ok()?,
            nullable: cell(null).is_none_or(yes),
            key: cell(key).is_some_and(yes),
            has_default: default || extra.contains("auto_increment"),
            generated: extra.contains("generated") || extra.starts_with("as "),
        })
    });
    columns.collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty())
}

/// The columns of `_schema`; none where the body is not one.
pub(super) fn from_properties(body: &[u8]) -> Option<Vec<Column>> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let properties = whole.get("properties")?.as_array()?;
    let column = |property: &Value| {
        let name = property.get("name")?.as_str()?;
        Some(Column::new(name, scalar(property.get("type")?.as_str()?, property)))
    };
    properties.iter().map(column).collect::<Option<Vec<_>>>().filter(|columns| !columns.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(columns: &[Column]) -> Vec<String> {
        let show = |column: &Column| {
            let mark = |on: bool, mark: &'static str| if on { mark } else { "" };
            format!(
                "{} {}{}{}{}{}",
                column.name,
                column.ty,
                mark(!column.nullable, " NOT NULL"),
                mark(column.key, " KEY"),
                mark(column.has_default, " DEFAULT"),
                mark(column.generated, " GENERATED"),
            )
        };
        columns.iter().map(show).collect()
    }

    #[test]
    fn the_v2_schema_tells_everything() {
        let int = json!({"name": "INT", "typeSize": 4, "columnSize": 10, "precision": 0, "scale": 0});
        let text = json!({"name": "VARCHAR", "columnSize": 20});
        let body = json!({"code": "0", "message": "OK", "result": {"columns": [
            {"name": "id", "type": {"name": "BIGINT", "precision": 19}, "isKey": true, "isAllowNull": false, "isAutoIncrement": true, "defaultValueType": "NULL"},
            {"name": "amount", "type": {"name": "DECIMAL64", "precision": 18, "scale": 4}, "isAllowNull": true, "defaultValueType": "CONST", "defaultValue": "0"},
            {"name": "at", "type": {"name": "DATETIME", "columnSize": 19}, "isAllowNull": false, "defaultValueType": "VARY", "defaultExpr": "now()"},
            {"name": "tags", "type": {"name": "ARRAY", "itemType": text}, "isAllowNull": true, "defaultValueType": "NULL", "defaultValue": null},
            {"name": "m", "type": {"name": "MAP", "keyType": int, "valueType": {"name": "STRUCT", "fields": [{"name": "x", "type": {"name": "DATE"}}]}}},
            {"name": "b", "type": {"name": "VARBINARY", "columnSize": -1}},
            {"name": "h", "type": {"name": "HLL"}},
        ]}});
        assert_eq!(
            shown(&from_v2(body.to_string().as_bytes()).unwrap()),
            [
                "id BIGINT NOT NULL KEY DEFAULT",
                "amount DECIMAL(18,4) DEFAULT",
                "at DATETIME NOT NULL DEFAULT",
                "tags ARRAY<VARCHAR(20)>",
                "m MAP<INT,STRUCT<x DATE>>",
                "b VARBINARY",
                "h HLL",
            ]
        );
    }

    #[test]
    fn the_first_shape_of_the_v2_schema_is_read_too() {
        let body = json!({"result": {"columns": [
            {"name": "a", "primitiveType": "VARCHAR", "primitiveTypeSize": 16, "columnSize": 5, "precision": 0,
             "scale": 0, "isKey": true, "isAllowNull": false},
            {"name": "d", "primitiveType": "DECIMAL128", "precision": 38, "scale": 2, "isAllowNull": true},
        ]}});
        assert_eq!(
            shown(&from_v2(body.to_string().as_bytes()).unwrap()),
            ["a VARCHAR(5) NOT NULL KEY", "d DECIMAL(38,2)"]
        );
        // It cannot tell nested types; then nothing is better than a part.
        let nested = json!({"result": {"columns": [{"name": "tags", "primitiveType": "INVALID_TYPE"}]}});
        assert!(from_v2(nested.to_string().as_bytes()).is_none());
    }

    #[test]
    fn a_description_tells_lengths_and_nullability() {
        let names = ["Field", "Type", "Null", "Key", "Default", "Extra"];
        let columns = names.map(|name| (name.to_owned(), "varchar".to_owned())).to_vec();
        let rows = vec![
            vec![json!("id"), json!("bigint(20)"), json!("NO"), json!("true"), Value::Null, json!("auto_increment")],
            vec![json!("a"), json!("varchar(20)"), json!("YES"), json!("false"), json!("x"), json!("")],
            vec![json!("g"), json!("int(11)"), json!("YES"), json!("false"), Value::Null, json!("AS id + 1")],
        ];
        let columns = from_desc(&QueryResult { columns, rows }).unwrap();
        assert_eq!(shown(&columns), ["id BIGINT NOT NULL KEY DEFAULT", "a VARCHAR(20) DEFAULT", "g INT GENERATED"]);
        assert!(from_desc(&QueryResult::default()).is_none());
    }

    #[test]
    fn the_short_schema_tells_names_and_types() {
        let body = br#"{"status":200,"properties":[{"name":"a","type":"INT","comment":""},{"name":"d","type":"DECIMAL64","precision":"18","scale":"2"},{"name":"s","type":"VARCHAR"}]}"#;
        assert_eq!(shown(&from_properties(body).unwrap()), ["a INT", "d DECIMAL(18,2)", "s STRING"]);
    }

    #[test]
    fn anything_else_is_no_schema() {
        for body in ["", "{}", "<html>", r#"{"result":{"columns":[]}}"#, r#"{"result":{"columns":[{"name":"a"}]}}"#] {
            assert!(from_v2(body.as_bytes()).is_none() && from_properties(body.as_bytes()).is_none(), "{body}");
        }
    }
}

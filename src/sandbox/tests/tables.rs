//! Every kind of table, loaded over the wire.

use serde_json::{Value, json};

use super::{Load, Options, Sandbox, get, load, start};
use crate::sandbox::overview::fake::Fake;
use crate::sandbox::sql::{Answer, Session};
use crate::sandbox::{cell, select};

/// A sandbox with a database `d` and one table in it.
struct Tables {
    _dir: tempfile::TempDir,
    sandbox: Sandbox,
}

impl Tables {
    async fn with(create: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let sandbox = start(Options::new(dir.path()).with_any_ports()).await;
        let tables = Self { _dir: dir, sandbox };
        tables.run("CREATE DATABASE d");
        tables.run(create);
        tables
    }

    /// Runs a statement; rows come as text, with bars between the values.
    fn run(&self, sql: &str) -> Vec<String> {
        let store = &self.sandbox.node.store;
        let mut session = Session::new("root", 1, Fake::idle());
        let _ = session.select_database(store, "d");
        match session.execute(store, sql).expect(sql) {
            Answer::Query(query) => {
                let mut rows = Vec::new();
                select::for_each_row(store, &query, None, |row| {
                    let cells = row.iter().zip(&query.columns).map(|(value, (_, ty))| {
                        let text = cell::text(*value, ty).map(|text| String::from_utf8_lossy(&text).into_owned());
                        text.unwrap_or_else(|| "NULL".to_owned())
                    });
                    rows.push(cells.collect::<Vec<_>>().join("|"));
                    true
                })
                .expect(sql);
                rows
            }
            Answer::Table(table) => {
                let row = |row: Vec<Option<String>>| {
                    row.into_iter().map(|cell| cell.unwrap_or("NULL".into())).collect::<Vec<_>>().join("|")
                };
                table.rows.into_iter().map(row).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    fn refusal(&self, sql: &str) -> String {
        let store = &self.sandbox.node.store;
        let mut session = Session::new("root", 1, Fake::idle());
        let _ = session.select_database(store, "d");
        session.execute(store, sql).expect_err(sql).message
    }

    async fn load(&self, headers: &[(&str, &str)], body: &str) -> Value {
        load(&self.sandbox, &Load { headers, body: body.as_bytes(), ..Load::default() }).await.json()
    }

    /// A CSV load with commas that has to succeed.
    async fn csv(&self, headers: &[(&str, &str)], body: &str) -> Value {
        let answer = self.load(&[&[("column_separator", ",")], headers].concat(), body).await;
        assert_eq!(answer["Status"], "Success", "{headers:?} {answer}");
        answer
    }

    async fn json(&self, headers: &[(&str, &str)], body: &str) -> Value {
        let answer = self.load(&[&[("format", "json")], headers].concat(), body).await;
        assert_eq!(answer["Status"], "Success", "{headers:?} {answer}");
        answer
    }

    /// The message of a load that has to fail.
    async fn failure(&self, headers: &[(&str, &str)], body: &str) -> String {
        let answer = self.load(headers, body).await;
        assert_eq!(answer["Status"], "Fail", "{headers:?} {answer}");
        answer["Message"].as_str().expect("a text").to_owned()
    }

    fn rows(&self) -> Vec<String> {
        self.run("SELECT * FROM t ORDER BY 1, 2")
    }
}

#[tokio::test]
async fn a_generated_column_is_computed_in_a_loaded_row() {
    let world = Tables::with("CREATE TABLE t (k INT, n INT, g INT AS n + 1, h DECIMAL(9,2) AS n / 2)").await;
    world.csv(&[], "1,2\n2,\\N\n").await;
    let answer = world.csv(&[("where", "g > 4 and h > 1.5")], "3,3\n4,4\n").await;
    assert_eq!(answer["NumberUnselectedRows"], json!(1));
    assert_eq!(world.rows(), ["1|2|3|1.00", "2|NULL|NULL|NULL", "4|4|5|2.00"]);
}

#[tokio::test]
async fn an_aggregate_table_makes_one_row_of_those_with_equal_keys() {
    let world = Tables::with(
        "CREATE TABLE t (k INT, k2 VARCHAR(9), s BIGINT SUM, d DECIMAL(10,2) SUM, l LARGEINT SUM, f DOUBLE SUM, x \
         DECIMAL(10,2) MAX, m VARCHAR(9) MIN, t DATETIME MAX, r JSON REPLACE, n INT REPLACE_IF_NOT_NULL) AGGREGATE KEY(k, k2)",
    )
    .await;
    let large = "170141183460469231731687303715884105000";
    world
        .csv(
            &[("columns", "k,k2,s,d,l,f,x,m,t,r,n")],
            &format!(
                "1,a,1,0.10,{large},0.5,9.50,b,2024-01-01 00:00:00,1,7\n\
                 1,a,2,0.20,700,0.25,10.00,a,2024-01-01 00:00:00.5,2,\\N\n\
                 1,\\N,1,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N\n"
            ),
        )
        .await;
    world.csv(&[], "1,\\N,1,1,1,1,1,x,\\N,3,3\n1,a,\\N,\\N,1,\\N,-1,\\N,\\N,\\N,\\N\n").await;
    assert_eq!(
        world.rows(),
        [
            "1|NULL|2|1.00|1|1|1.00|x|NULL|3|3".to_owned(),
            "1|a|3|0.30|170141183460469231731687303715884105701|0.75|10.00|a|2024-01-01 00:00:00.500000|NULL|7"
                .to_owned(),
        ]
    );
}

#[tokio::test]
async fn sums_wrap_around_and_can_be_taken_back() {
    let world = Tables::with(
        "CREATE TABLE t (k INT, a TINYINT SUM, b BIGINT SUM, c LARGEINT SUM, d DECIMAL(18,2) SUM, e FLOAT SUM) \
         AGGREGATE KEY(k)",
    )
    .await;
    let first = "1,127,9223372036854775807,170141183460469231731687303715884105727,9999999999999999.99,0.1\n";
    world.csv(&[], first).await;
    world.csv(&[], "1,1,1,1,0.01,0.2\n").await;
    let smallest = "1|-128|-9223372036854775808|-170141183460469231731687303715884105728|10000000000000000.00|0.3";
    assert_eq!(world.rows(), [smallest.to_owned()]);
    world.csv(&[("negative", "true")], "1,1,1,1,0.01,0.2\n2,-128,5,7,0.50,1\n").await;
    let rows = world.rows();
    assert!(rows[0].starts_with(&first[..first.len() - 5].replace(',', "|")), "{rows:?}");
    assert_eq!(rows[1], "2|-128|-5|-7|-0.50|-1");
}

#[tokio::test]
async fn what_only_sums_can_take_back_is_refused_elsewhere() {
    for (create, message) in [
        ("CREATE TABLE t (k INT, v INT MAX) AGGREGATE KEY(k)", "Column is not SUM AggregateType. column:v"),
        ("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k)", "Column is not SUM AggregateType. column:v"),
        ("CREATE TABLE t (k INT, v INT) PRIMARY KEY(k)", "primary key table does not support negative load"),
    ] {
        let world = Tables::with(create).await;
        assert_eq!(world.failure(&[("negative", "true")], "1\t1\n").await, message);
    }
}

#[tokio::test]
async fn the_last_row_of_a_unique_key_stays() {
    let world =
        Tables::with("CREATE TABLE t (k DECIMAL(9,2), k2 DATE, v INT DEFAULT '5', w VARCHAR(3)) UNIQUE KEY(k, k2)")
            .await;
    world.csv(&[], "1.5,2024-01-01,1,a\n1.50,2024-01-01,2,b\n1.5,\\N,3,c\n\\N,\\N,4,d\n").await;
    world.csv(&[("columns", "k,k2,w")], "1.5,\\N,e\n\\N,\\N,\\N\n").await;
    assert_eq!(world.rows(), ["NULL|NULL|5|NULL", "1.50|NULL|5|e", "1.50|2024-01-01|2|b"]);
}

#[tokio::test]
async fn the_catalogue_tells_the_kind_of_a_table() {
    for (create, keys, column_key, aggregation, extra) in [
        ("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k)", "DUP_KEYS", "DUP", "NONE", ""),
        ("CREATE TABLE t (k INT, v INT SUM) AGGREGATE KEY(k)", "AGG_KEYS", "AGG", "SUM", "SUM"),
        ("CREATE TABLE t (k INT, v INT) UNIQUE KEY(k)", "UNIQUE_KEYS", "UNI", "REPLACE", ""),
        ("CREATE TABLE t (k INT, v INT) PRIMARY KEY(k)", "PRIMARY_KEYS", "PRI", "REPLACE", ""),
    ] {
        let world = Tables::with(create).await;
        let path = "/api/v2/catalogs/default_catalog/databases/d/tables/t/schema";
        let schema = get(world.sandbox.addresses().frontend, path).await.json();
        assert_eq!(schema["result"]["keysType"], keys);
        assert_eq!(schema["result"]["columns"][1]["aggregationType"], aggregation);
        assert_eq!(schema["result"]["columns"][0].get("aggregationType"), None);
        let null = if keys == "PRIMARY_KEYS" { "NO" } else { "YES" };
        assert_eq!(world.run("DESC t"), [format!("k|int|{null}|true|NULL|"), format!("v|int|YES|false|NULL|{extra}")]);
        let columns =
            "SELECT COLUMN_KEY FROM information_schema.columns WHERE TABLE_NAME = 't' ORDER BY ORDINAL_POSITION";
        assert_eq!(world.run(columns), [column_key, ""]);
        let shown = world.run("SHOW CREATE TABLE t").concat();
        assert!(shown.contains(create.rsplit(") ").next().expect("keys").trim_end_matches("(k)")), "{shown}");
        assert_eq!(shown.contains("`v` int SUM NULL"), keys == "AGG_KEYS", "{shown}");
    }
}

const PRIMARY: &str = "CREATE TABLE t (k INT, v VARCHAR(9), n INT) PRIMARY KEY(k)";

#[tokio::test]
async fn csv_rows_say_what_is_done_with_them() {
    let world = Tables::with(PRIMARY).await;
    world.csv(&[("columns", "k,v,n,__op")], "1,a,1,0\n2,b,2,0\n3,c,3,0\n1,a,1,1\n2,B,2,0\n4,x,4,1\n").await;
    assert_eq!(world.rows(), ["2|B|2", "3|c|3"]);
    // A later row brings the key back, and one without `__op` is put in.
    world.csv(&[("columns", "k,v,n,__op")], "2,,0,1\n2,again,9,0\n").await;
    world.csv(&[], "1,one,1\n").await;
    world.csv(&[("columns", "k,v,n,what,__op=if(what='gone',1,0)")], "3,,0,gone\n5,e,5,new\n").await;
    assert_eq!(world.rows(), ["1|one|1", "2|again|9", "5|e|5"]);
    // Fillers need not fit where a row is deleted, not even in strict mode; its key does.
    world.csv(&[("columns", "k,v,n,__op"), ("strict_mode", "true")], "2,much too long a text,-,1\n").await;
    for (columns, body) in [("k,__op='delete'", "1\n"), ("k,__op=1", "5\n")] {
        world.csv(&[("columns", columns)], body).await;
    }
    assert_eq!(world.rows(), [""; 0]);
    for columns in ["k,v,n,__op='UPSERT'", "k,v,n,__op=\"0\""] {
        world.csv(&[("columns", columns)], "7,g,7\n").await;
    }
    assert_eq!(world.rows(), ["7|g|7"]);
}

#[tokio::test]
async fn an_operation_that_is_none_is_refused() {
    let world = Tables::with(PRIMARY).await;
    let headers = [("column_separator", ","), ("columns", "k,v,__op"), ("max_filter_ratio", "0.9")];
    let answer = world.load(&headers, "1,a,0\n2,b,delete\n3,c,2\n4,d,\\N\n").await;
    assert_eq!((&answer["Status"], &answer["NumberFilteredRows"]), (&json!("Success"), &json!(3)), "{answer}");
    assert_eq!(world.rows(), ["1|a|NULL"]);
    let message = world.failure(&[("columns", "k,__op='remove'")], "1\n").await;
    assert_eq!(message, "const load op type column should only be upsert(0)/delete(1)");
    let other = Tables::with("CREATE TABLE t (k INT, v INT) UNIQUE KEY(k)").await;
    assert!(other.failure(&[("columns", "k,v,__op")], "1\t1\t1\n").await.contains("only for primary key tables"));
    let message = other.failure(&[("columns", "k,v,__op='delete'")], "1\t1\n").await;
    assert_eq!(message, "Mapping column is not in table. column: __op");
    // Elsewhere an object's key of that name is a key that nobody asked for.
    other.json(&[], "{\"k\":1,\"v\":1,\"__op\":1}").await;
    assert_eq!(other.rows(), ["1|1"]);
}

#[tokio::test]
async fn json_rows_say_what_is_done_with_them() {
    let world = Tables::with(PRIMARY).await;
    world.json(&[], "{\"k\":1,\"v\":\"a\"}{\"k\":2,\"v\":\"b\",\"__op\":0}{\"k\":3,\"v\":\"c\",\"__op\":\"0\"}").await;
    world.json(&[], "{\"__op\":1,\"k\":1}{\"k\":4,\"v\":\"d\"}").await;
    assert_eq!(world.rows(), ["2|b|NULL", "3|c|NULL", "4|d|NULL"]);
    // With `columns`, the key has to be named.
    world.json(&[("columns", "k,v")], "{\"k\":2,\"v\":\"B\",\"__op\":1}").await;
    world.json(&[("columns", "k,v,__op")], "{\"k\":3,\"__op\":1}{\"k\":5,\"v\":\"e\"}").await;
    assert_eq!(world.rows(), ["2|B|NULL", "4|d|NULL", "5|e|NULL"]);
    // Beyond the last path there is nothing to delete.
    let paths = ("jsonpaths", "[\"$.a\", \"$.b\"]");
    world.json(&[paths, ("columns", "k,v,__op")], "{\"a\":6,\"b\":\"f\",\"__op\":1}").await;
    world
        .json(&[("jsonpaths", "[\"$.a\", \"$.o\"]"), ("columns", "k,__op")], "{\"a\":2,\"o\":1}{\"a\":7,\"o\":0}")
        .await;
    world.json(&[("jsonpaths", "[\"$.a\", \"$.b\", \"$.c\", \"$.o\"]")], "{\"a\":4,\"o\":1}").await;
    assert_eq!(world.rows(), ["5|e|NULL", "6|f|NULL", "7|NULL|NULL"]);
    // A path that leads nowhere is NULL.
    let headers =
        [("jsonpaths", "[\"$.a\", \"$.o\"]"), ("columns", "k,__op"), ("max_filter_ratio", "1"), ("format", "json")];
    assert_eq!(world.load(&headers, "{\"a\":5}").await["NumberFilteredRows"], json!(1));
}

#[tokio::test]
async fn a_partial_update_leaves_the_other_columns_alone() {
    let world = Tables::with(
        "CREATE TABLE t (k INT, v VARCHAR(9) NOT NULL, n INT DEFAULT '7', d DECIMAL(9,2) NOT NULL, g INT AS n + 1) \
         PRIMARY KEY(k)",
    )
    .await;
    world.csv(&[], "1,a,1,1.5\n2,b,2,2.5\n").await;
    for mode in ["row", "column", "auto", "whatever"] {
        let headers = [("partial_update", "true"), ("partial_update_mode", mode), ("columns", "n, k")];
        world.csv(&headers, "10,1\n30,3\n").await;
        assert_eq!(world.rows(), ["1|a|10|1.50|11", "2|b|2|2.50|3", "3||30|0.00|31"]);
        world.csv(&[("columns", "k,__op='delete',v='',d=0")], "3\n").await;
    }
    let partial = ("partial_update", "true");
    world.csv(&[partial, ("columns", "k, x, v = upper(x)")], "2,bb\n4,dd\n").await;
    assert_eq!(world.rows(), ["1|a|10|1.50|11", "2|BB|2|2.50|3", "4|DD|7|0.00|8"]);
    world.csv(&[partial, ("columns", "k,n,__op")], "4,0,1\n1,0,0\n").await;
    assert_eq!(world.rows(), ["1|a|0|1.50|1", "2|BB|2|2.50|3"]);
    world.json(&[partial, ("columns", "k,d")], "{\"k\":1,\"d\":\"9.99\"}").await;
    assert_eq!(world.rows()[0], "1|a|0|9.99|1");
    let missing = "key column k not in partial update columns";
    assert_eq!(world.failure(&[partial, ("columns", "v,n")], "a\t1\n").await, missing);
    assert_eq!(world.failure(&[partial], "1\ta\t1\t1\n").await, missing);
    let null = world.failure(&[partial, ("columns", "k,v")], "1\t\\N\n").await;
    assert_eq!(null, "too many filtered rows");
    let other = Tables::with("CREATE TABLE t (k INT, v INT) UNIQUE KEY(k)").await;
    let message = other.failure(&[partial, ("columns", "k,v")], "1\t1\n").await;
    assert_eq!(message, "Only primary key table support partial update");
}

#[tokio::test]
async fn a_condition_decides_which_row_stays() {
    let world = Tables::with("CREATE TABLE t (k INT, n DECIMAL(9,2), v VARCHAR(9)) PRIMARY KEY(k)").await;
    let condition = ("merge_condition", "n");
    world.csv(&[condition], "1,9.5,a\n1,10,b\n1,9,c\n2,\\N,a\n3,1,a\n").await;
    world.csv(&[condition], "1,10,equal\n2,-1,b\n3,\\N,b\n3,0.99,b\n").await;
    assert_eq!(world.rows(), ["1|10.00|equal", "2|-1.00|b", "3|1.00|a"]);
    world.csv(&[condition, ("partial_update", "true"), ("columns", "k,n")], "1,11\n3,0\n").await;
    assert_eq!(world.rows(), ["1|11.00|equal", "2|-1.00|b", "3|1.00|a"]);
    for (name, message) in [
        ("z", "Merge condition column z does not exist!"),
        ("k", "Merge condition column k should not be primary key!"),
    ] {
        assert_eq!(world.failure(&[("merge_condition", name)], "1\t1\ta\n").await, message);
    }
    let other = Tables::with("CREATE TABLE t (k INT, n INT) UNIQUE KEY(k)").await;
    let message = other.failure(&[condition], "1\t1\n").await;
    assert_eq!(message, "Conditional update only support primary key table t");
}

#[tokio::test]
async fn rows_stay_out_of_partitions_that_were_not_named() {
    let world = Tables::with(
        "CREATE TABLE t (k INT, d DATE) DUPLICATE KEY(k) PARTITION BY RANGE(d) (PARTITION p1 VALUES LESS THAN \
         ('2024-01-01'), PARTITION p2 VALUES LESS THAN ('2025-01-01')) DISTRIBUTED BY HASH(k)",
    )
    .await;
    let headers = [("column_separator", ","), ("partitions", "p2"), ("max_filter_ratio", "1"), ("where", "k < 9")];
    let answer = world.load(&headers, "1,2023-05-05\n2,2024-05-05\n3,2025-05-05\n4,\\N\n9,2024-05-05\n").await;
    let counts =
        ["NumberLoadedRows", "NumberFilteredRows", "NumberUnselectedRows"].map(|name| answer[name].to_string());
    assert_eq!(counts, ["1", "3", "1"], "{answer}");
    world.csv(&[("partitions", "p1, p2")], "5,2023-05-05\n").await;
    assert_eq!(world.rows(), ["2|2024-05-05", "5|2023-05-05"]);
    let message = world.failure(&[("partitions", "p2,p9")], "1\t2024-01-01\n").await;
    assert_eq!(message, "Unknown partition 'p9' in table 't'");
    let message = world.failure(&[("temporary_partitions", "p1")], "1\t2024-01-01\n").await;
    assert_eq!(message, "Unknown partition 'p1' in table 't'");
    let plain = Tables::with("CREATE TABLE t (k INT)").await;
    plain.csv(&[("partitions", "t")], "1\n").await;
    assert_eq!(plain.failure(&[("partitions", "p")], "1\n").await, "Unknown partition 'p' in table 't'");
    let by_day = Tables::with("CREATE TABLE t (k INT, d DATE) PARTITION BY date_trunc('day', d)").await;
    assert!(by_day.failure(&[("partitions", "p")], "1\t2024-01-01\n").await.contains("does not know the partitions"));
}

#[tokio::test]
async fn statements_merge_as_loads_do() {
    let world = Tables::with("CREATE TABLE t (k INT, s INT SUM, m VARCHAR(5) MAX) AGGREGATE KEY(k)").await;
    world.run("INSERT INTO t VALUES (1, 1, 'a'), (1, 2, 'b'), (NULL, 5, 'x'), (NULL, NULL, 'y')");
    world.run("INSERT INTO t (k, s) SELECT k, s FROM t");
    world.csv(&[], "1,1,c\n").await;
    assert_eq!(world.rows(), ["NULL|10|y", "1|7|c"]);
    let world = Tables::with("CREATE TABLE t (k INT, v INT, id BIGINT AUTO_INCREMENT) PRIMARY KEY(k)").await;
    world.run("INSERT INTO t (k, v) VALUES (1, 1), (2, 2)");
    world.run("INSERT INTO t (k, v) VALUES (2, 3), (3, 3)");
    world.csv(&[], "3,4\n").await;
    assert_eq!(world.run("SELECT k, v, id <= 4 FROM t ORDER BY k"), ["1|1|1", "2|3|1", "3|4|1"]);
    assert!(world.refusal("INSERT INTO t (k, v) VALUES (NULL, 1)").contains("NULL value in non-nullable column 'k'"));
}

#[tokio::test]
async fn a_counter_goes_on_behind_rows_that_were_there() {
    let world = Tables::with("CREATE TABLE t (k INT, id BIGINT AUTO_INCREMENT) PRIMARY KEY(k)").await;
    world.run("INSERT INTO t (k) VALUES (1)");
    assert_eq!(world.run("INSERT INTO t (k) VALUES (1), (2), (3)"), ["Done { rows: 3 }"]);
    world.run("INSERT INTO t (k) VALUES (4)");
    assert_eq!(world.run("SELECT count(DISTINCT id) FROM t"), ["4"]);
}

#[tokio::test]
async fn rows_are_deleted_and_updated_by_statements() {
    let world = Tables::with(
        "CREATE TABLE t (k INT, v VARCHAR(9) NOT NULL DEFAULT 'none', d DECIMAL(9,2), g INT AS k + 1) PRIMARY KEY(k)",
    )
    .await;
    world.csv(&[], "1,a,1.5\n2,b,2.5\n3,c,\\N\n").await;
    assert_eq!(world.run("UPDATE t SET v = concat(v, k), d = d * 2 WHERE d > 2"), ["Done { rows: 1 }"]);
    assert_eq!(
        world.run("UPDATE d.t AS x SET v = DEFAULT WHERE x.d IS NULL AND x.k IN (SELECT k FROM t)"),
        ["Done { rows: 1 }"]
    );
    assert_eq!(world.rows(), ["1|a|1.50|2", "2|b2|5.00|3", "3|none|NULL|4"]);
    assert_eq!(world.run("DELETE FROM t WHERE g BETWEEN 2 AND 3 AND d <> 1.50"), ["Done { rows: 1 }"]);
    assert_eq!(world.run("DELETE FROM t WHERE t.v = 'z'"), ["Done { rows: 0 }"]);
    assert_eq!(world.rows(), ["1|a|1.50|2", "3|none|NULL|4"]);
    for (sql, words) in [
        ("DELETE FROM t", "Delete must specify where clause"),
        ("UPDATE t SET v = 'x'", "must specify where clause"),
        ("UPDATE t SET k = 1 WHERE k = 2", "primary key column cannot be updated: k"),
        ("UPDATE t SET g = 1 WHERE k = 1", "generated column 'g' can not be specified"),
        ("UPDATE t SET z = 1 WHERE k = 1", "do not existing column(z)"),
        ("UPDATE t SET v = NULL WHERE k = 1", "NULL value in non-nullable column 'v'"),
        ("UPDATE t SET v = 'a', V = 'b' WHERE k = 1", "Duplicate column setting: V"),
        ("DELETE FROM t WHERE z = 1", "z"),
        ("DELETE FROM t WHERE count(*) = 1", "aggregations"),
        ("DELETE FROM nowhere WHERE 1 = 1", "nowhere"),
        ("DELETE FROM t USING t AS u WHERE 1 = 1", "not supported by the sandbox yet"),
    ] {
        let message = world.refusal(sql);
        assert!(message.contains(words), "{sql}: {message}");
    }
    let other = Tables::with("CREATE TABLE t (k INT, v INT) UNIQUE KEY(k)").await;
    other.csv(&[], "1,1\n2,2\n").await;
    assert_eq!(
        other.refusal("UPDATE t SET v = 1 WHERE k = 1"),
        "Getting analyzing error. Detail message: table t is not primary key table."
    );
    other.run("DELETE FROM t WHERE k = 1");
    assert_eq!(other.rows(), ["2|2"]);
}

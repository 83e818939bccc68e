//! Tables made with SQL, filled by a load, and read back in each way there is.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use super::client::{authorization, send};
use super::{Load, Response, get, load, start};
use crate::model::Secret;
use crate::sandbox::{Options, Sandbox};

const TABLE: &str = "CREATE TABLE shop.orders (
        id BIGINT NOT NULL AUTO_INCREMENT, customer VARCHAR(20) NOT NULL, amount DECIMAL(12,2), placed DATETIME,
        tags ARRAY<VARCHAR(9)>, note JSON, kind VARCHAR(5) NOT NULL DEFAULT 'new'
    ) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1";

async fn connect(sandbox: &Sandbox, password: &str) -> mysql_async::Result<Conn> {
    let address = sandbox.addresses().mysql;
    let options = mysql_async::OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some("root"))
        .pass(Some(password))
        .prefer_socket(false);
    Conn::new(options).await
}

async fn query(sandbox: &Sandbox, path: &str, sql: &str) -> Response {
    let body = json!({ "query": sql }).to_string();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    let request = format!("{head}{}\r\n{body}", authorization("root:pw"));
    send(sandbox.addresses().frontend, request.as_bytes()).await
}

#[tokio::test]
async fn what_sql_creates_a_load_fills_and_sql_reads() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let options = Options { password: Some(Secret::new("pw".into())), ..Options::new(dir.path()).with_any_ports() };
    let sandbox = start(options).await;
    assert!(connect(&sandbox, "wrong").await.is_err());
    let mut mysql = connect(&sandbox, "pw").await.expect("root gets in");
    mysql.query_drop("CREATE DATABASE shop").await.expect("it creates");
    mysql.query_drop(TABLE).await.expect("it creates");

    let headers = [
        ("column_separator", ","),
        ("enclose", "\""),
        ("escape", "\\"),
        ("columns", "customer, cents, placed, tags, note, amount = cents / 100"),
        ("where", "amount > 1"),
    ];
    let body = "\"Ann, \\\"B\\\"\",\"1250\",\"2024-01-31 10:00:00\",\"[\"\"x\"\",null]\",\"{\"\"a\"\": 1}\"\n\
                \"Bob\",\"100\",\\\\N,\\\\N,\\\\N\n";
    let path = "/api/shop/orders/_stream_load";
    let request = Load { path, user: Some("root:pw"), headers: &headers, body: body.as_bytes() };
    let answer = load(&sandbox, &request).await.json();
    assert_eq!((answer["Status"].as_str(), answer["Message"].as_str()), (Some("Success"), Some("OK")), "{answer}");
    assert_eq!((&answer["NumberLoadedRows"], &answer["NumberUnselectedRows"]), (&json!(1), &json!(1)));

    let rows: Vec<(String, String, String, String)> = mysql
        .query("SELECT customer, CAST(amount AS STRING), CAST(placed AS STRING), kind FROM shop.orders")
        .await
        .expect("it reads");
    let row = ["Ann, \"B\"", "12.50", "2024-01-31 10:00:00", "new"].map(str::to_owned);
    assert_eq!(rows, [row.into()]);
    mysql.disconnect().await.expect("it closes");

    let path = "/api/v1/catalogs/default_catalog/databases/shop/sql";
    let response = query(&sandbox, path, "SELECT amount, tags, note FROM orders").await;
    assert_eq!(response.status(), 200);
    let lines: Vec<Value> = response.body().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let data: Vec<&Value> = lines.iter().filter_map(|line| line.get("data")).collect();
    assert_eq!(data, [&json!(["12.50", ["x", null], {"a": 1}])], "{}", response.raw);
    // What stands between them are the lengths of the chunks.
    let last = lines.iter().rfind(|line| line.is_object());
    assert!(last.is_some_and(|line| line.get("statistics").is_some()), "{}", response.raw);
    assert_eq!(query(&sandbox, path, "SELECT nonsense FROM orders").await.json()["status"], "FAILED");
    let elsewhere = query(&sandbox, "/api/v1/catalogs/other/sql", "SELECT 1").await;
    assert_eq!(elsewhere.status(), 403);
    let strangers = get(sandbox.addresses().frontend, "/api/shop/orders/_schema").await;
    assert_eq!(strangers.status(), 401, "the password is not empty");
    sandbox.drain().await;
}

#[tokio::test]
async fn the_schema_is_told_in_both_forms() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let sandbox = start(Options::new(dir.path()).with_any_ports()).await;
    let mut mysql = connect(&sandbox, "").await.expect("root gets in");
    mysql.query_drop("CREATE DATABASE shop").await.expect("it creates");
    mysql.query_drop(TABLE).await.expect("it creates");
    let frontend = sandbox.addresses().frontend;
    let short = get(frontend, "/api/shop/orders/_schema").await.json();
    assert_eq!(short["status"], json!(200));
    assert_eq!(short["properties"].as_array().map(Vec::len), Some(7));
    let path = "/api/v2/catalogs/default_catalog/databases/shop/tables/orders/schema";
    let long = get(frontend, path).await.json();
    assert_eq!(long["code"], "0");
    assert_eq!(long["result"]["columns"][1]["isAllowNull"], json!(false));
    assert_eq!(get(frontend, "/api/shop/none/_schema").await.status(), 404);
}

//! Transactions over several tables.

use super::client::{authorization, request, send};
use super::{TABLE, World};
use crate::sandbox::{Dialect, Options};

const MULTI: &str = "transaction_type: multi\r\ndb: d\r\nlabel: l\r\n";

async fn operate(world: &World, operation: &str, more: &str) -> serde_json::Value {
    let headers = format!("{}{MULTI}{more}", authorization("root:"));
    let path = format!("/api/transaction/{operation}");
    request(world.sandbox.addresses().frontend, "POST", &path, &headers).await.json()
}

async fn load(world: &World, body: &str) -> serde_json::Value {
    let head = format!(
        "PUT /api/transaction/load HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n{}{MULTI}table: t\r\n\
         column_separator: ,\r\n\r\n{body}",
        body.len(),
        authorization("root:")
    );
    send(world.sandbox.addresses().backend, head.as_bytes()).await.json()
}

#[tokio::test]
async fn what_an_aborted_transaction_sent_is_not_in_the_next_one_of_its_label() {
    let world = World::with(|options| Options { dialect: Dialect::V4_0, ..options }, TABLE).await;
    assert_eq!(operate(&world, "begin", "timeout: 1\r\n").await["Status"], "OK");
    assert_eq!(load(&world, "1,stale,1\n").await["Status"], "OK");
    while world.state("l").await["state"] != "ABORTED" {
        tokio::task::yield_now().await;
    }
    assert_eq!(operate(&world, "begin", "timeout: 600\r\n").await["Status"], "OK");
    assert_eq!(load(&world, "2,fresh,2\n").await["Status"], "OK");
    assert_eq!(operate(&world, "commit", "").await["Status"], "OK");
    assert_eq!(world.rows(), ["2|'fresh'|'2.00'"]);
}

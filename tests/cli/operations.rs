//! What an operator asks the sandbox with curl.

use std::process::Command;

use serde_json::{Value, json};

use super::outside::mysql;
use super::support::World;

/// What curl prints, which may be told more than the address.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").arg("-sS").args(arguments).output().expect("curl is needed for this test");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn ask(arguments: &[&str]) -> Value {
    let text = curl(arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn curl_watches_and_steers_both_nodes() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let frontend = |path: &str| format!("http://{}{path}", sandbox.frontend);
    let backend = |path: &str| format!("http://{}{path}", sandbox.backend);
    let healthy = json!({"status": "OK", "total_backend_num": 1, "online_backend_num": 1});
    assert_eq!(ask(&[&frontend("/api/health")]), healthy);
    assert_eq!(ask(&[&backend("/api/health")])["status"], "OK");
    for address in [frontend("/metrics"), backend("/metrics")] {
        let text = curl(&["--fail", &address]);
        assert!(text.starts_with("# HELP starrocks_") && text.ends_with('\n'), "{text}");
    }
    let set = ask(&["-u", "root:", &frontend("/api/_set_config?stream_load_default_timeout_second=60")]);
    assert_eq!(set, json!({"set": {"stream_load_default_timeout_second": "60"}, "err": {}}));
    let updated = ask(&["-X", "POST", &backend("/api/update_config?streaming_load_max_mb=7")]);
    assert_eq!(updated["status"], "OK");
    assert!(curl(&[&backend("/varz")]).contains("streaming_load_max_mb=7"));
    let refused = curl(&["-o", "/dev/null", "-w", "%{http_code}", &frontend("/api/show_proc?path=/backends")]);
    assert_eq!(refused, "401");
    let backends = ask(&["-u", "root:", &frontend("/api/show_proc?path=/backends")]);
    assert_eq!(backends[0]["HttpPort"], sandbox.backend.rsplit(':').next().unwrap());
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", "-I", &frontend("/api/health")]), "404");
}

#[test]
fn curl_sees_a_table_that_a_mysql_client_made() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    mysql(&sandbox, async |connection| {
        use mysql_async::prelude::Queryable;
        connection.query_drop("CREATE DATABASE demo").await.unwrap();
        let create = "CREATE TABLE demo.t (k INT) DUPLICATE KEY (k) DISTRIBUTED BY HASH (k) BUCKETS 2";
        connection.query_drop(create).await.unwrap();
        connection.query_drop("INSERT INTO demo.t VALUES (1), (2), (3)").await.unwrap();
    });
    let frontend = |path: &str| ask(&["-u", "root:", &format!("http://{}{path}", sandbox.frontend)]);
    assert_eq!(frontend("/api/demo/t/_count"), json!({"status": 200, "size": 3}));
    assert_eq!(frontend("/api/rowcount?db=demo&table=t"), json!({"t": 3}));
    let ddl = frontend("/api/_get_ddl?db=demo&tbl=t");
    assert!(ddl["TABLE"][0].as_str().is_some_and(|ddl| ddl.starts_with("CREATE TABLE `t`")), "{ddl}");
    let path = "/api/v2/catalogs/default_catalog/databases/demo/tables/t/partition";
    let tablets = &frontend(path)["result"]["items"][0]["tablets"];
    assert_eq!(tablets.as_array().map(Vec::len), Some(2), "{tablets}");
    let shown = ask(&[&format!("http://{}/api/compaction/show?tablet_id={}", sandbox.backend, tablets[0]["id"])]);
    assert_eq!(shown["rowsets"], json!(["[0-1]", "[2-2]"]), "an insert is a version");
}

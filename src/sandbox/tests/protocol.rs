//! Who answers what: redirects, authentication, `100 Continue`, health.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{authorization, read, request};
use super::{Load, TABLE, World, get, load, send};
use crate::failure::{Code, Failure};
use crate::model::Secret;
use crate::sandbox::{Dialect, Error, Options, Sandbox, running};

#[tokio::test]
async fn the_frontend_redirects_a_load_without_asking_for_its_body() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses();
    let head = Load { path: "/api/d/t/_stream_load?x=1", ..Load::default() }.head(3);
    let response = send(addresses.frontend, head.as_bytes()).await;
    assert!(!response.continued(), "{}", response.raw);
    assert_eq!(response.status(), 307);
    let location = format!("http://{}/api/d/t/_stream_load?x=1", addresses.backend);
    assert_eq!(response.header("location"), Some(location.as_str()));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!((response.header("content-length"), response.body()), (Some("0"), ""));
}

#[tokio::test]
async fn the_frontend_has_a_limit_to_its_headers_and_the_backend_has_none() {
    let world = World::new().await;
    let wide = format!("k, v, n, {}", vec!["tmp_of_some_length"; 2000].join("_"));
    let headers = [("columns", wide.as_str()), ("column_separator", ",")];
    let head = Load { headers: &headers, ..Load::default() }.head(0);
    let answer = send(world.sandbox.addresses().frontend, head.as_bytes()).await;
    assert_eq!((answer.status(), answer.header("Connection")), (400, Some("close")), "{}", answer.raw);
    let answer = world.load(&headers, "1,a,1,x\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let path = format!("/api/d/get_load_state?label={}", "x".repeat(4096));
    assert_eq!(get(world.sandbox.addresses().frontend, &path).await.status(), 400);
}

#[tokio::test]
async fn the_frontend_insists_on_the_expectation() {
    let world = World::new().await;
    let head = Load::default().head(3).replace("Expect: 100-continue\r\n", "");
    let frontend = world.sandbox.addresses().frontend;
    let response = send(frontend, head.as_bytes()).await;
    assert_eq!(response.status(), 200);
    let message = "class com.starrocks.common.DdlException: There is no 100-continue header";
    assert_eq!(response.json(), json!({"Status": "FAILED", "Message": message}));
    assert_eq!(response.header("connection"), Some("close"));
}

#[tokio::test]
async fn the_frontend_answers_401_and_the_backend_200_to_strangers() {
    let world =
        World::with(|options| Options { password: Some(Secret::new("a:b".into())), ..options }, super::TABLE).await;
    let addresses = world.sandbox.addresses();
    for user in [None, Some("root:"), Some("nobody:a:b")] {
        let stranger = Load { user, body: b"1\ta\t1\n", ..Load::default() };
        let response = send(addresses.frontend, stranger.head(3).as_bytes()).await;
        assert_eq!(response.status(), 401, "{user:?}");
        assert_eq!(response.header("www-authenticate"), Some("Basic realm=\"\""));
        assert_eq!(response.json()["status"], "FAILED");
        let response = load(&world.sandbox, &stranger).await;
        assert_eq!((response.status(), response.continued()), (200, false), "{user:?}");
        let answer = response.json();
        assert_eq!((answer["Status"].as_str(), answer["TxnId"].to_string()), (Some("Fail"), "-1".into()));
        let message = answer["Message"].as_str().expect("a message");
        let expected = if user.is_some() { "Access denied for" } else { "no valid Basic authorization" };
        assert!(message.starts_with(expected), "{message}");
    }
    let known = Load { user: Some("root@cluster:a:b"), body: b"1\ta\t1\n", ..Load::default() };
    assert_eq!(load(&world.sandbox, &known).await.json()["Status"], "Success");
}

#[tokio::test]
async fn the_backend_asks_for_the_body_of_an_accepted_load_only() {
    let world = World::new().await;
    let accepted = load(&world.sandbox, &Load { body: b"1\ta\t1.5\n", ..Load::default() }).await;
    assert!(accepted.continued());
    assert_eq!(accepted.json()["Status"], "Success");
    for (path, headers, message) in [
        ("/api/d/t/_stream_load", [("format", "avro")], "unknown data format, format=avro"),
        ("/api/d/t/_stream_load", [("label", "no spaces")], "Label format error"),
        ("/api/d/t/_stream_load", [("columns", "v")], "Column has no default value. column: k"),
        ("/api/d/none/_stream_load", [("label", "l")], "unknown table"),
        ("/api/none/t/_stream_load", [("label", "l")], "unknown database"),
    ] {
        let response = load(&world.sandbox, &Load { path, headers: &headers, body: b"x", ..Load::default() }).await;
        assert!(!response.continued(), "{message}");
        let answer = response.json();
        assert_eq!(answer["Status"], "Fail", "{message}");
        assert!(answer["Message"].as_str().is_some_and(|said| said.contains(message)), "{answer}");
    }
    assert_eq!(world.rows().len(), 1);
}

#[tokio::test]
async fn a_body_may_come_in_chunks_and_without_an_expectation() {
    let world = World::new().await;
    let head = format!(
        "PUT /api/d/t/_stream_load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{}\r\n",
        authorization("root:")
    );
    let body = "4\r\n1\ta\t\r\n4\r\n1.5\n\r\n0\r\n\r\n";
    let response = send(world.sandbox.addresses().backend, (head + body).as_bytes()).await;
    assert!(!response.continued());
    assert_eq!(response.json()["Status"], "Success");
    assert_eq!(world.rows(), ["1|'a'|'1.50'"]);
}

#[tokio::test]
async fn the_answer_has_the_servers_fields_in_their_order() {
    let world = World::with(|options| Options { dialect: Dialect::V4_0, ..options }, TABLE).await;
    let response =
        load(&world.sandbox, &Load { headers: &[("label", "l")], body: b"1\ta\t1\n", ..Load::default() }).await;
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert!(response.body().starts_with("{\n    \"TxnId\": "), "{}", response.body());
    let answer = response.json();
    let keys: Vec<&str> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
    let counts = ["NumberTotalRows", "NumberLoadedRows", "NumberFilteredRows", "NumberUnselectedRows"];
    let times = ["LoadTimeMs", "BeginTxnTimeMs", "StreamLoadPlanTimeMs", "ReadDataTimeMs", "WriteDataTimeMs"];
    let head = ["TxnId", "Label", "Db", "Table", "Status", "Message"];
    assert_eq!(keys, [&head[..], &counts, &["LoadBytes"], &times, &["CommitAndPublishTimeMs"]].concat());
    assert_eq!(answer["Message"], "OK");
    assert_eq!(answer["LoadBytes"].to_string(), "6");
}

#[tokio::test]
async fn both_nodes_tell_that_they_are_well() {
    let world =
        World::with(|options| Options { password: Some(Secret::new("x".into())), ..options }, super::TABLE).await;
    let addresses = world.sandbox.addresses();
    let open = |address, path| request(address, "GET", path, "");
    assert_eq!(open(addresses.frontend, "/api/health").await.json()["online_backend_num"].to_string(), "1");
    assert_eq!(open(addresses.backend, "/api/health").await.body(), r#"{"status": "OK","msg": "To Be Added"}"#);
    assert!(open(addresses.frontend, "/api/v2/feature").await.json()["version"].is_string());
    assert_eq!(open(addresses.frontend, "/api/bootstrap").await.json()["status"], "OK");
    assert_eq!(open(addresses.frontend, "/api/show_proc?path=/backends").await.status(), 401);
    let backends = request(addresses.frontend, "GET", "/api/show_proc?path=/backends", &authorization("root:x")).await;
    let row = &backends.json()[0];
    assert_eq!(row["HttpPort"], addresses.backend.port().to_string());
    assert_eq!((row["IP"].as_str(), row["Alive"].as_str()), (Some("127.0.0.1"), Some("true")));
    for path in ["/api/transaction/dance", "/nothing"] {
        let response = request(addresses.frontend, "POST", path, &authorization("root:x")).await;
        assert_eq!((response.status(), response.body()), (404, "Not Found"), "{path}");
        assert_eq!(open(addresses.backend, path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_directory_has_one_sandbox_and_others_find_it() {
    let world = World::new().await;
    let dir = world.dir.path();
    assert_eq!(running(dir).expect("it can be asked").as_ref(), Some(world.sandbox.addresses()));
    let error = Sandbox::start(Options::new(dir).with_any_ports()).await.expect_err("the directory is in use");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert_eq!(error.code(), Code::SandboxUnusable);
    assert!(error.hint().is_some());
    let addresses = world.sandbox.addresses().clone();
    world.sandbox.drain().await;
    assert_eq!(running(dir).expect("it can be asked"), None);
    let options = Options { fe_port: addresses.frontend.port(), ..Options::new(dir).with_any_ports() };
    let taken = tokio::net::TcpListener::bind(addresses.frontend).await.expect("the port is free again");
    assert!(matches!(Sandbox::start(options).await, Err(Error::Listen { .. })));
    drop(taken);
}

#[tokio::test]
async fn draining_finishes_a_load_that_is_under_way() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.sandbox.addresses().backend).await.expect("it listens");
    let request = Load { headers: &[("label", "l")], ..Load::default() };
    stream.write_all(request.head(8).as_bytes()).await.expect("it takes a request");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("it asks for the body");
    let frontend = world.sandbox.addresses().frontend;
    let drained = tokio::spawn(world.sandbox.drain());
    while TcpStream::connect(frontend).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!drained.is_finished(), "the load is still under way");
    stream.write_all(b"1\ta\t1.5\n").await.expect("it takes the body");
    assert_eq!(read(&mut stream).await.json()["Status"], "Success");
    drained.await.expect("it ends");
}

#[tokio::test]
async fn a_load_that_fails_in_mid_body_is_answered_when_the_body_has_come() {
    let discard = |options: Options| Options { discard: true, ..options };
    let world = World::with(discard, super::TABLE).await;
    // The first byte is enough to refuse it. A client that looks for an answer when it has sent everything, as most do,
    // would be cut off by one that came before.
    let body = vec![b'x'; 20_000_000];
    let answer = world.load(&[("format", "json")], &body).await;
    assert_eq!(answer["Status"], "Fail", "{answer}");
    assert_eq!(world.load(&[("column_separator", ",")], "1,a,1\n").await["Status"], "Success");
}

#[tokio::test]
async fn draining_does_not_wait_for_clients_that_dawdle() {
    let world = World::new().await;
    let addresses = world.sandbox.addresses().clone();
    let mut sender = TcpStream::connect(addresses.backend).await.expect("it listens");
    let head = Load { headers: &[("label", "slow")], ..Load::default() }.head(100);
    sender.write_all(head.as_bytes()).await.expect("it takes a request");
    sender.read_exact(&mut [0; 25]).await.expect("it asks for the body");
    sender.write_all(b"1\t").await.expect("it takes some of the body");
    // More than the buffers between the two ends hold.
    let twice = "(SELECT 1 UNION ALL SELECT 2)";
    let many = ["a", "b", "c", "d", "e", "f"].map(|name| format!("{twice} {name}")).join(", ");
    let query = json!({ "query": format!("SELECT repeat('x', 1000000) FROM {many}") }).to_string();
    let mut reader = TcpStream::connect(addresses.frontend).await.expect("it listens");
    let head = format!(
        "POST /api/v1/catalogs/default_catalog/sql HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{query}",
        authorization("root:"),
        query.len()
    );
    reader.write_all(head.as_bytes()).await.expect("it takes a request");
    reader.read_exact(&mut [0; 25]).await.expect("an answer comes");
    world.sandbox.drain().await;
    let answer = read(&mut sender).await.json();
    assert_eq!(answer["Status"], "Fail");
    assert!(answer["Message"].as_str().is_some_and(|text| text.contains("shutting down")), "{answer}");
}

#[tokio::test]
async fn the_approximate_count_is_the_count() {
    let world = World::new().await;
    world.csv("l", "1,a,1\n2,b,2\n").await;
    let frontend = world.sandbox.addresses().frontend;
    assert_eq!(get(frontend, "/api/d/t/_count").await.json(), json!({"status": 200, "size": 2}));
    assert_eq!(get(frontend, "/api/d/none/_count").await.status(), 404);
}

//! §1: nodes, passwords, redirects.

use crate::support::cluster::{Cluster, Database, label};
use crate::support::curl::{Request, field, number};
use crate::support::raw::Connection;
use crate::support::sandbox::Sandbox;

fn database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.database();
    database.table("t", "k INT");
    database
}

#[test]
fn sr_1_3_a_load_is_redirected_by_307_to_the_same_path_and_query() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/{}/t/_stream_load?a=b&c=%20d", database.name);
    let request = cluster.request("PUT", cluster.frontend(), &path).header("Expect", "100-continue");
    let answer = request.body("1\n").send();
    assert_eq!(answer.statuses(), [307], "the frontend never says 100");
    let location = answer.header("Location").unwrap();
    let backend = cluster.backends.iter().find(|backend| location.starts_with(&format!("http://{backend}/")));
    assert!(backend.is_some(), "absolute, by http, without credentials: {location}");
    assert!(location.ends_with(&path), "{location}");
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("Content-Length"), Some("0"));
    assert_eq!(answer.header("Content-Type"), Some("text/html"));
    assert_eq!(answer.header("Connection").map(str::to_lowercase).as_deref(), Some("close"));
}

#[test]
fn sr_1_3_the_frontend_answers_a_load_from_the_headers_and_closes() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let mut connection = Connection::open(cluster.frontend());
    connection.send(database.load_head("t", 1_000_000, &[]));
    let reply = connection.reply();
    assert_eq!(reply.status(), 307);
    assert!(reply.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")), "{}", reply.head);
    assert!(connection.closes());
}

#[test]
fn sr_1_3_the_frontend_redirects_without_a_look_at_the_label() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let request = database.load_at(cluster.frontend(), "t").header("label", "not.a.label");
    assert_eq!(request.body("1\n").send().statuses(), [307]);
}

#[test]
fn sr_1_3_expect_is_mandatory_on_the_frontend() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/{}/t/_stream_load", database.name);
    let mut connection = Connection::open(cluster.frontend());
    connection.send(cluster.head("PUT", &path, &[("Content-Length", "2")]));
    let reply = connection.reply();
    assert_eq!(reply.status(), 200);
    let json = reply.json();
    assert_eq!(field(&json, "Status"), "FAILED", "{json}");
    let message = "class com.starrocks.common.DdlException: There is no 100-continue header";
    assert_eq!(field(&json, "Message"), message);
    assert!(connection.closes());
    let mut connection = Connection::open(cluster.frontend());
    connection.send(cluster.head("PUT", &path, &[("Content-Length", "2")]).replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(connection.reply().status(), 307, "HTTP/1.0 is exempt");
}

#[test]
fn sr_1_3_expect_is_not_required_on_a_backend() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let path = format!("/api/{}/t/_stream_load", database.name);
    let mut connection = Connection::open(cluster.backend());
    connection.send(cluster.head("PUT", &path, &[("Content-Length", "2")]));
    connection.send("1\n");
    let head = connection.head();
    assert!(head.starts_with("HTTP/1.1 200"), "no 100 that nobody asked for: {head}");
}

#[test]
fn sr_1_3_a_backend_says_100_only_to_headers_that_it_takes() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let mut connection = Connection::open(cluster.backend());
    connection.send(database.load_head("t", 2, &[]));
    assert!(connection.head().starts_with("HTTP/1.1 100"));
    for headers in [("format", "odd"), ("label", "a.b"), ("timeout", "0")] {
        let mut connection = Connection::open(cluster.backend());
        connection.send(database.load_head("t", 2, &[headers]));
        let head = connection.head();
        assert!(head.starts_with("HTTP/1.1 200"), "{headers:?}: {head}");
    }
}

#[test]
fn sr_1_3_the_transaction_is_begun_by_the_headers_and_ends_with_the_connection() {
    let database = database(Cluster::shared());
    let label = label();
    let connection = database.open_load("t", &label, 100);
    assert_eq!(database.state(&label), "PREPARE");
    connection.abandon();
    crate::support::wait_until("ABORTED", || database.state(&label) == "ABORTED");
}

#[test]
fn sr_1_2_a_frontend_refuses_with_401() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let wrong = format!("{} wrong", cluster.password);
    let requests = [
        database.load_at(cluster.frontend(), "t").body("1\n"),
        database.transaction_at(cluster.frontend(), "begin", "l").header("table", "t"),
        cluster.request("GET", cluster.frontend(), &format!("/api/{}/get_load_state?label=l", database.name)),
    ];
    for request in requests {
        let answer = request.user(&cluster.user, &wrong).send();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"\""));
        let json = answer.json();
        assert_eq!((field(&json, "status").as_str(), field(&json, "code").as_str()), ("FAILED", "1"), "{json}");
        assert!(field(&json, "msg").starts_with(&format!("Access denied for {}@", cluster.user)), "{json}");
        assert!(json.get("message").is_some(), "{json}");
    }
}

#[test]
fn sr_1_2_a_backend_refuses_with_200_and_fail() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let wrong = format!("{} wrong", cluster.password);
    let answer = database.load_at(cluster.backend(), "t").user(&cluster.user, &wrong).body("1\n").send();
    assert_eq!((answer.status(), answer.field("Status").as_str()), (200, "Fail"), "{}", answer.text());
    assert!(answer.field("Message").starts_with("Access denied"), "{}", answer.text());
    let url = format!("http://{}/api/{}/t/_stream_load", cluster.backend(), database.name);
    let anonymous = Request::new("PUT", &url).header("Expect", "100-continue").body("1\n").send();
    assert_eq!((anonymous.status(), anonymous.field("Status").as_str()), (200, "Fail"), "{}", anonymous.text());
    assert!(anonymous.field("Message").contains("no valid Basic authorization"), "{}", anonymous.text());
    assert_eq!(database.count("t"), 0);
}

/// A user that is dropped with this.
struct User<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let _ = self.cluster.try_query("", &format!("DROP USER '{}'@'%'", self.name));
    }
}

#[test]
fn sr_1_2_loading_takes_the_right_to_insert() {
    const PASSWORD: &str = "with:colon";
    let cluster = Cluster::shared();
    let database = database(cluster);
    let user = User { cluster, name: label().replace('-', "_") };
    cluster.run(&format!("CREATE USER '{}'@'%' IDENTIFIED BY '{PASSWORD}'", user.name));
    let load = |node: &str| database.load_at(node, "t").follow().user(&user.name, PASSWORD).body("1\n").send();
    assert_eq!(load(cluster.frontend()).status(), 401, "the frontend refuses who may not insert");
    let answer = load(cluster.backend());
    assert_eq!((answer.status(), answer.field("Status").as_str()), (200, "Fail"), "{}", answer.text());
    assert!(answer.field("Message").starts_with("Access denied"), "{}", answer.text());
    assert_eq!(database.count("t"), 0);
    cluster.run(&format!("GRANT INSERT ON TABLE {}.t TO USER '{}'@'%'", database.name, user.name));
    for node in [cluster.frontend(), cluster.backend()] {
        let answer = load(node);
        assert_eq!(answer.field("Status"), "Success", "{}", answer.text());
    }
    assert_eq!(database.count("t"), 2);
}

#[test]
fn sr_1_2_what_follows_an_at_sign_is_dropped_from_the_user() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let user = format!("{}@somewhere", cluster.user);
    for node in [cluster.frontend(), cluster.backend()] {
        let reply = database.load_at(node, "t").follow().user(&user, &cluster.password).body("1\n").json();
        assert_eq!(field(&reply, "Status"), "Success", "{reply}");
    }
}

#[test]
fn sr_1_3_transaction_load_keeps_the_connection_and_eats_the_body() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let label = label();
    let begun = database.transaction("begin", &label).header("table", "t").json();
    assert_eq!(field(&begun, "Status"), "OK", "{begun}");
    let probe = cluster.head("GET", "/api/health", &[]);
    let length = probe.len().to_string();
    let headers = [
        ("label", label.as_str()),
        ("db", database.name.as_str()),
        ("table", "t"),
        ("Expect", "100-continue"),
        ("Content-Length", length.as_str()),
    ];
    let mut connection = Connection::open(cluster.frontend());
    connection.send(cluster.head("PUT", "/api/transaction/load", &headers));
    let reply = connection.reply();
    assert_eq!(reply.status(), 307, "{}", reply.head);
    assert!(!reply.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")), "{}", reply.head);
    // The body was announced and not sent: the first request is taken for it, and the second is answered.
    connection.send(&probe);
    connection.send(cluster.head("GET", "/api/v2/feature", &[]));
    let reply = connection.reply();
    assert!(reply.json().get("version").is_some(), "{reply:?}");
    database.transaction("rollback", &label).send();
}

#[test]
fn sr_1_4_transaction_load_is_put_only() {
    let cluster = Cluster::shared();
    let database = database(cluster);
    let request = cluster.request("POST", cluster.backend(), "/api/transaction/load");
    let headers = [("label", "l"), ("db", database.name.as_str()), ("table", "t")];
    let answer = request.headers(&headers).send();
    assert!(answer.text().contains("unsupport transaction operation load"), "{}", answer.text());
}

#[test]
fn sr_1_4_an_unknown_route_of_a_backend_is_404() {
    let cluster = Cluster::shared();
    let answer = cluster.request("GET", cluster.backend(), "/api/no_such_route").send();
    assert_eq!((answer.status(), answer.text().trim()), (404, "Not Found"));
}

#[test]
fn sr_1_1_limits_of_a_frontends_request() {
    let cluster = Cluster::shared();
    let head = |path: &str, value: &str| cluster.head("GET", path, &[("x-long", value)]);
    let status = |head: String| {
        let mut connection = Connection::open(cluster.frontend());
        connection.send(head);
        connection.reply().status()
    };
    assert_eq!(status(head("/api/health", &"x".repeat(20_000))), 200);
    assert_eq!(status(head("/api/health", &"x".repeat(33_000))), 400);
    assert_eq!(status(head(&format!("/api/health?{}", "x".repeat(4_100)), "x")), 400);
}

#[test]
fn sr_1_3_the_host_is_the_one_that_the_node_registered() {
    const NAME: &str = "node.in.the.cluster";
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path(), &["--advertise-host", NAME]);
    let cluster = &sandbox.cluster;
    let database = database(cluster);
    let answer = database.load_at(cluster.frontend(), "t").body("1\n").send();
    let location = answer.header("Location").unwrap();
    assert!(location.starts_with(&format!("http://{NAME}:")), "clients need a map of addresses: {location}");
    let port = location.trim_start_matches(&format!("http://{NAME}:")).split('/').next().unwrap();
    let headers = [("strict_mode", "true"), ("max_filter_ratio", "1")];
    let node = format!("127.0.0.1:{port}");
    let reply = database.load_at(&node, "t").headers(&headers).body("1\nx\n").json();
    let url = field(&reply, "ErrorURL");
    assert!(url.starts_with(&format!("http://{NAME}:{port}/api/_load_error_log?file=")), "the log likewise: {url}");
}

#[test]
fn sr_1_3_hops_by_way_of_a_follower() {
    let Some(cluster) = Cluster::several().filter(|cluster| cluster.frontends.len() > 1) else { return };
    let database = database(cluster);
    let follower = &cluster.frontends[1];
    let load = database.load_at(follower, "t").follow().body("1\n").send();
    let redirects = |statuses: &[u16]| statuses.iter().filter(|status| **status == 307).count();
    assert_eq!(redirects(&load.statuses()), 1, "a follower redirects a load straight to a backend");
    assert_eq!(field(&load.json(), "Status"), "Success");
    let label = label();
    let begin = database.transaction_at(follower, "begin", &label).header("table", "t").follow().send();
    assert_eq!(redirects(&begin.statuses()), 2, "a transaction goes to the leader first: {:?}", begin.heads);
    let leader = begin.heads.iter().find_map(|head| crate::support::curl::header(head, "Location")).unwrap();
    assert!(leader.starts_with(&format!("http://{}/", cluster.frontend())), "{leader}");
    assert_eq!(field(&begin.json(), "Status"), "OK");
    let path = format!("/api/{}/get_load_state?label={label}", database.name);
    let state = cluster.request("GET", follower, &path).follow().send();
    assert_eq!(redirects(&state.statuses()), 1, "a state is the leader's to tell");
    assert_eq!(state.field("state"), "PREPARE");
    let load = database.transaction_at(follower, "load", &label).header("table", "t").follow().body("1\n").send();
    assert_eq!(redirects(&load.statuses()), 2);
    assert_eq!(number(&load.json(), "LoadBytes"), 2);
    database.transaction("rollback", &label).send();
}

//! The cluster that a contract is held against: a sandbox, or a StarRocks that the environment names.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Value};

use super::curl::Request;
use super::sandbox::Sandbox;

/// Names a StarRocks to test instead of the sandbox: `starrocks://user:password@fe:8030?mysql=9030`.
const REAL: &str = "SHIPLOAD_TEST_STARROCKS";

/// How NULL looks among the cells of a result.
pub(crate) const NULL: &str = "␀";

/// Where a cluster is and how one gets in.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// `host:port` of the frontends; the leader first.
    pub(crate) frontends: Vec<String>,
    pub(crate) backends: Vec<String>,
    /// `host:port` of the MySQL port.
    pub(crate) mysql: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// Whether the environment named it.
    real: bool,
}

impl Cluster {
    /// One frontend and one backend at the least, shared by all tests.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::named().unwrap_or_else(|| Self::kept(&[])))
    }

    /// Two backends and a follower, shared by the tests that need them; `None` on a StarRocks that is smaller.
    pub(crate) fn several() -> Option<&'static Self> {
        static SEVERAL: OnceLock<Cluster> = OnceLock::new();
        let cluster = SEVERAL
            .get_or_init(|| Self::named().unwrap_or_else(|| Self::kept(&["--backends", "2", "--followers", "1"])));
        (cluster.backends.len() > 1).then_some(cluster)
    }

    /// Whether it is a StarRocks, so that what only a sandbox can do is left out.
    pub(crate) fn is_named(&self) -> bool {
        self.real
    }

    /// Keeps a sandbox until the tests end: its guard sees to the rest.
    fn kept(arguments: &[&str]) -> Self {
        let sandbox = Box::leak(Box::new(Sandbox::forever(arguments)));
        sandbox.cluster.clone()
    }

    /// Reads `sandbox ready fe=http://h:p be=http://h:p mysql=h:p follower=http://h:p be=http://h:p`.
    pub(crate) fn of_ready_line(line: &str) -> Option<Self> {
        let fields = line.strip_prefix("sandbox ready ")?;
        let of = |name: &str| -> Vec<String> {
            let pairs = fields.split_whitespace().filter_map(|field| field.split_once('='));
            let found = pairs.filter(|(key, _)| *key == name);
            found.map(|(_, value)| value.trim_start_matches("http://").to_owned()).collect()
        };
        let frontends = [of("fe"), of("follower")].concat();
        let mysql = of("mysql").pop()?;
        Some(Self { frontends, backends: of("be"), mysql, user: "root".into(), password: String::new(), real: false })
    }

    #[expect(clippy::disallowed_methods, reason = "the cluster to test is the test's business, not the program's")]
    fn named() -> Option<Self> {
        let url = std::env::var(REAL).ok()?;
        Some(Self::of_url(&url).unwrap_or_else(|| panic!("{REAL} is starrocks://user:password@fe:8030?mysql=9030")))
    }

    fn of_url(url: &str) -> Option<Self> {
        let (credentials, place) = url.strip_prefix("starrocks://")?.rsplit_once('@')?;
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (frontend, query) = place.split_once('?').unwrap_or((place, "mysql=9030"));
        let port = query.strip_prefix("mysql=")?;
        let host = frontend.rsplit_once(':')?.0;
        let mut cluster = Self {
            frontends: vec![frontend.into()],
            backends: Vec::new(),
            mysql: format!("{host}:{port}"),
            user: user.into(),
            password: password.into(),
            real: true,
        };
        let nodes = |list: &str| -> Vec<(String, bool)> {
            let (names, rows) = cluster.query_named("", list);
            let of = |row: &Vec<String>, name: &str| {
                names.iter().position(|column| column == name).map(|index| row[index].clone()).unwrap_or_default()
            };
            let node = |row: &Vec<String>| {
                let host = [of(row, "IP"), of(row, "Host")].concat();
                (format!("{host}:{}", of(row, "HttpPort")), of(row, "Role") == "LEADER")
            };
            rows.iter().map(node).collect()
        };
        let mut frontends = nodes("SHOW FRONTENDS");
        frontends.sort_by_key(|(_, leader)| !leader);
        let mut backends = nodes("SHOW BACKENDS");
        backends.extend(nodes("SHOW COMPUTE NODES"));
        cluster.frontends = frontends.into_iter().map(|(address, _)| address).collect();
        cluster.backends = backends.into_iter().map(|(address, _)| address).collect();
        Some(cluster)
    }

    pub(crate) fn frontend(&self) -> &str {
        &self.frontends[0]
    }

    pub(crate) fn backend(&self) -> &str {
        &self.backends[0]
    }

    /// A request to this node, by the cluster's user.
    pub(crate) fn request(&self, method: &str, node: &str, path: &str) -> Request {
        Request::new(method, &format!("http://{node}{path}")).user(&self.user, &self.password)
    }

    /// A database of the test's own.
    pub(crate) fn database(&self) -> Database<'_> {
        let name = format!("conformance_{:016x}", RandomState::new().build_hasher().finish());
        self.run(&format!("CREATE DATABASE {name}"));
        Database { cluster: self, name }
    }

    pub(crate) fn run(&self, statement: &str) {
        self.try_query("", statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    fn query_named(&self, database: &str, query: &str) -> (Vec<String>, Vec<Vec<String>>) {
        self.try_query(database, query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// Column names and rows, or what the server says.
    pub(crate) fn try_query(
        &self,
        database: &str,
        query: &str,
    ) -> mysql_async::Result<(Vec<String>, Vec<Vec<String>>)> {
        let url = format!("mysql://{}/{database}", self.mysql);
        let options = OptsBuilder::from_opts(Opts::from_url(&url)?).user(Some(&self.user)).prefer_socket(false);
        let password = (!self.password.is_empty()).then_some(&self.password);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connection = mysql_async::Conn::new(options.pass(password)).await?;
            let mut result = connection.query_iter(query).await?;
            let names = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
            let rows: Vec<mysql_async::Row> = result.collect().await?;
            drop(result);
            connection.disconnect().await?;
            Ok((names, rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect()))
        })
    }
}

/// A cell of the text protocol.
fn cell(value: Value) -> String {
    match value {
        Value::NULL => NULL.to_owned(),
        Value::Bytes(bytes) => String::from_utf8(bytes).unwrap_or_else(|error| format!("{:02x?}", error.into_bytes())),
        other => other.as_sql(true).trim_matches('\'').to_owned(),
    }
}

/// A database that is dropped with this.
pub(crate) struct Database<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: String,
}

impl Database<'_> {
    /// Creates a table with duplicate keys of these columns; the first one is the key.
    pub(crate) fn table(&self, name: &str, columns: &str) {
        let key = columns.split_whitespace().next().unwrap();
        self.create(name, columns, &format!("DUPLICATE KEY ({key}) DISTRIBUTED BY HASH ({key}) BUCKETS 1"));
    }

    /// Creates a table with a primary key on the first of these columns.
    pub(crate) fn primary_key_table(&self, name: &str, columns: &str) {
        let key = columns.split_whitespace().next().unwrap();
        self.create(name, columns, &format!("PRIMARY KEY ({key}) DISTRIBUTED BY HASH ({key}) BUCKETS 1"));
    }

    fn create(&self, name: &str, columns: &str, keys: &str) {
        let table = format!("`{}`.`{name}`", self.name);
        self.cluster.run(&format!("CREATE TABLE {table} ({columns}) {keys} PROPERTIES ('replication_num' = '1')"));
    }

    /// What a query gives, each cell as the MySQL port writes it.
    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.cluster.query_named(&self.name, query).1
    }

    /// The same in an order that does not depend on the server.
    pub(crate) fn sorted(&self, query: &str) -> Vec<Vec<String>> {
        let mut rows = self.rows(query);
        rows.sort();
        rows
    }

    /// The number of rows in a table.
    pub(crate) fn count(&self, table: &str) -> u64 {
        self.rows(&format!("SELECT count(*) FROM `{table}`"))[0][0].parse().unwrap()
    }

    /// A Stream Load into a table, by way of the frontend.
    pub(crate) fn load(&self, table: &str) -> Request {
        self.load_at(self.cluster.frontend(), table).follow()
    }

    /// A Stream Load by one node.
    pub(crate) fn load_at(&self, node: &str, table: &str) -> Request {
        let path = format!("/api/{}/{table}/_stream_load", self.name);
        self.cluster.request("PUT", node, &path).header("Expect", "100-continue")
    }

    /// An operation on a transaction, by way of the frontend.
    pub(crate) fn transaction(&self, operation: &str, label: &str) -> Request {
        self.transaction_at(self.cluster.frontend(), operation, label).follow()
    }

    /// An operation on a transaction, by one node.
    pub(crate) fn transaction_at(&self, node: &str, operation: &str, label: &str) -> Request {
        let method = if operation == "load" { "PUT" } else { "POST" };
        let request = self.cluster.request(method, node, &format!("/api/transaction/{operation}"));
        let request = request.header("label", label).header("db", &self.name);
        if operation == "load" { request.header("Expect", "100-continue") } else { request }
    }

    /// The state of a label, by name.
    pub(crate) fn state(&self, label: &str) -> String {
        let path = format!("/api/{}/get_load_state?label={label}", self.name);
        let answer = self.cluster.request("GET", self.cluster.frontend(), &path).send();
        answer.field("state")
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let _ = self.cluster.try_query("", &format!("DROP DATABASE IF EXISTS {} FORCE", self.name));
    }
}

/// A label that nobody has used.
pub(crate) fn label() -> String {
    format!("label-{:016x}", RandomState::new().build_hasher().finish())
}

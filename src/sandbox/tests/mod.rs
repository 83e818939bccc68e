//! The sandbox over its sockets, as a client meets it.

mod client;
mod crash;
mod faults;
mod formats;
mod labels;
mod multi;
mod protocol;
mod sql;
mod storm;
mod surface;
mod tables;
mod transactions;

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{Options, Sandbox};
use client::{Load, Response, get, load, send};

/// A running sandbox with a database `d` and a table `t`.
struct World {
    dir: TempDir,
    sandbox: Sandbox,
}

/// The table that most tests load into.
const TABLE: &[(&str, &str, bool)] = &[("k", "int", false), ("v", "varchar(10)", true), ("n", "decimal(9,2)", true)];

impl World {
    async fn new() -> Self {
        Self::with(|options| options, TABLE).await
    }

    async fn with(options: impl FnOnce(Options) -> Options, columns: &[(&str, &str, bool)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let sandbox = start(options(Options::new(dir.path()).with_any_ports())).await;
        create(&sandbox, columns);
        Self { dir, sandbox }
    }

    /// Stops the sandbox and starts it again on the same directory.
    async fn restart(self) -> Self {
        self.sandbox.drain().await;
        let sandbox = start(Options::new(self.dir.path()).with_any_ports()).await;
        Self { dir: self.dir, sandbox }
    }

    /// Loads a body into `d.t` by way of the backend.
    async fn load(&self, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Value {
        load(&self.sandbox, &Load { headers, body: body.as_ref(), ..Load::default() }).await.json()
    }

    /// A CSV load with commas, into `d.t`.
    async fn csv(&self, label: &str, body: &str) -> Value {
        self.load(&[("label", label), ("column_separator", ",")], body).await
    }

    async fn state(&self, label: &str) -> Value {
        get(self.sandbox.addresses().frontend, &format!("/api/d/get_load_state?label={label}")).await.json()
    }

    /// The rows of `d.t`, each value as SQLite shows it.
    fn rows(&self) -> Vec<String> {
        let store = &self.sandbox.node.store;
        let table = store.table("d", "t").expect("the table is there");
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("quote({})", super::types::quote(&column.name))).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY rowid", columns.join(" || '|' || "), table.storage());
        let read = store.read(|connection| {
            let mut statement = connection.prepare(&sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        });
        read.expect("the table can be read")
    }
}

async fn start(options: Options) -> Sandbox {
    Sandbox::start(options).await.expect("the sandbox starts")
}

/// Creates `d.t` behind the back of the SQL interface, so that loads are tested without it.
fn create(sandbox: &Sandbox, columns: &[(&str, &str, bool)]) {
    let columns: Vec<Value> = columns
        .iter()
        .map(|(name, ty, nullable)| {
            let (ty, default) = ty.split_once(" default ").map_or((*ty, None), |(ty, text)| (ty, Some(text)));
            let (ty, generated) = ty.split_once(" as ").map_or((ty, None), |(ty, text)| (ty, Some(text)));
            let (ty, counter) = ty.split_once(" auto_increment").map_or((ty, false), |(ty, _)| (ty, true));
            let ty: super::types::SqlType = ty.parse().expect("a type");
            serde_json::json!({
                "name": name, "ty": ty, "nullable": nullable, "key": false, "auto_increment": counter,
                "default": default.map(|text| serde_json::json!({"Literal": text})), "generated": generated,
                "comment": "",
            })
        })
        .collect();
    let storage = |column: &Value| {
        let name = super::types::quote(column["name"].as_str().expect("a name"));
        column["generated"].as_str().map_or(name.clone(), |sql| format!("{name} GENERATED ALWAYS AS ({sql}) STORED"))
    };
    let names: Vec<String> = columns.iter().map(storage).collect();
    let definition = serde_json::to_string(&columns).expect("plain data");
    let written = sandbox.node.store.write_catalog(|transaction| {
        transaction.execute("INSERT INTO sb_databases VALUES ('d')", [])?;
        transaction.execute(
            "INSERT INTO sb_tables (id, database, name, keys, columns, ddl, comment, created)
             VALUES (1, 'd', 't', 'DUP_KEYS', ?1, '', '', '')",
            [definition],
        )?;
        transaction.execute_batch(&format!("CREATE TABLE \"t1\" ({})", names.join(", ")))
    });
    written.expect("the table is created");
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the directory can be read");
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

//! The smaller verbs: sql, schema, explain, sandbox.

use serde_json::json;

use super::support::{World, example};

#[test]
fn schema_shows_a_statement_that_the_sandbox_takes() {
    let world = World::new();
    let file = example("birdstrikes.csv").display().to_string();
    let ran = world.run(&["schema", &file, "--table", "demo.strikes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("`Cost Total $` BIGINT"), "{}", ran.stdout);

    let sandbox = world.sandbox(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use mysql_async::prelude::Queryable;
        let mut connection = mysql_async::Conn::from_url(format!("mysql://root@{}/", sandbox.mysql)).await.unwrap();
        connection.query_drop("CREATE DATABASE demo").await.unwrap();
        connection.query_drop(ran.stdout.trim().trim_end_matches(';')).await.unwrap();
        connection.disconnect().await.unwrap();
    });
    let report = world.import(&[&file, "--to", "sandbox:demo/strikes"]).loaded();
    assert_eq!(report["rows_rejected"], json!(0));
}

#[test]
fn sql_shows_tables_json_and_csv() {
    let world = World::new();
    let query = "select 1 as a, null as b, 'x,y' as c";
    let ask =
        |output: &str| world.run(&["sql", query, "--to", "sandbox:information_schema", "--output", output]).stdout;
    assert_eq!(ask("text"), "a  b     c\n-  ----  ---\n1  NULL  x,y\n");
    assert_eq!(ask("json"), "{\"a\":1,\"b\":null,\"c\":\"x,y\"}\n");
    assert_eq!(ask("csv"), "a,b,c\n1,,\"x,y\"\n");
}

#[test]
fn a_query_may_come_from_standard_input_and_needs_no_database() {
    let world = World::new();
    let query = b"select 1 as a,\n  'x' as b;\n";
    let ran = world.run_with_input(&["sql", "-", "--to", "sandbox:", "--output", "csv"], query);
    assert_eq!(ran.stdout, "a,b\n1,x\n", "{ran:?}");
}

#[test]
fn the_rows_of_a_query_can_be_imported_as_they_come() {
    let world = World::new();
    let file = example("airports.csv").display().to_string();
    world.import(&[&file, "--to", "sandbox:demo/airports"]).loaded();
    let rows = world.run(&["sql", "select * from airports", "--to", "sandbox:demo", "--output", "json"]).stdout;
    let copy = ["import", "-", "--to", "sandbox:demo/copy", "--job", "copy", "--output", "json"];
    let report = world.run_with_input(&copy, rows.as_bytes()).loaded();
    assert_eq!(report["rows_loaded"], json!(3376));
    let sum = |table: &str| world.number(&format!("select sum(latitude) from {table}"));
    assert_eq!(sum("airports"), sum("copy"));
}

#[test]
fn schema_says_which_file_of_several_it_shows() {
    let world = World::new();
    world.file("in/b.csv", "x\n1\n");
    world.file("in/a.csv", "y\n1\n");
    for source in ["in", "in/*.csv"] {
        let ran = world.run(&["schema", source]);
        assert!(ran.stdout.starts_with("CREATE TABLE IF NOT EXISTS `a`"), "{ran:?}");
        assert!(ran.stderr.contains("in/a.csv, the first of 2 inputs"), "{ran:?}");
    }
}

#[test]
fn a_wrong_query_is_an_error_of_its_own() {
    let world = World::new();
    let ask = |query: &str, database: &str| world.run(&["sql", query, "--to", &format!("sandbox:{database}")]);
    ask("selec 1", "information_schema").fails_with(1, "L2013", &["SELECT"]);
    ask("select * from missing", "information_schema").fails_with(1, "L2013", &["missing"]);
    ask("select 1", "nowhere").fails_with(1, "L2013", &["nowhere"]);
}

#[test]
fn every_error_code_can_be_explained() {
    let world = World::new();
    let list = world.run(&["explain"]).stdout;
    for line in list.lines() {
        let code = line.split_whitespace().next().unwrap();
        let page = world.run(&["explain", &code.to_lowercase()]);
        assert!(page.stdout.starts_with(&format!("# {code}: ")), "{page:?}");
        assert!(page.stdout.lines().count() > 5, "{code} is hardly explained");
    }
    assert_eq!(world.run(&["explain", "L9999"]).code, 2);
}

#[test]
fn two_sandboxes_on_one_folder_are_refused_and_a_command_joins_the_running_one() {
    let world = World::new();
    let sandbox = world.sandbox(&[]);
    let ports = ["--fe-port", "0", "--be-port", "0", "--mysql-port", "0"];
    world.run(&[&["sandbox"], &ports[..]].concat()).fails_with(1, "L3004", &["shipload-sandbox"]);
    let file = example("airports.csv").display().to_string();
    world.import(&[&file, "--to", "sandbox:demo/airports"]).loaded();
    let ran =
        world.run(&["sql", "select count(*) n from airports", "--to", &sandbox.target("demo"), "--output", "csv"]);
    assert_eq!(ran.stdout, "n\n3376\n");
}

#[test]
fn the_faults_of_the_examples_delay_an_import_and_lose_nothing() {
    let world = World::new();
    let faults = example("faults.json").display().to_string();
    let sandbox = world.sandbox(&["--backends", "3", "--faults", &faults]);
    let file = example("airports.csv").display().to_string();
    let create = ["--create-table", "--mysql-port", &sandbox.mysql_port()];
    let report = world.import(&[&[file.as_str(), "--to", &sandbox.target("demo/airports")], &create[..]].concat());
    assert_eq!(report.loaded()["rows_loaded"], json!(3376));
    for fault in ["502", "left the outcome open"] {
        assert!(report.stderr.contains(fault), "`{fault}` did not happen: {report:?}");
    }
    assert!((world.number("select count(*) from airports") - 3376.0).abs() < 0.5);
}

#[test]
fn help_and_version_are_there_for_every_verb() {
    let world = World::new();
    assert!(world.run(&["--version"]).stdout.starts_with("shipload "));
    for verb in ["import", "sql", "cluster", "schema", "explain", "sandbox"] {
        let help = world.run(&[verb, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Usage: shipload"), "{}", help.stdout);
    }
}

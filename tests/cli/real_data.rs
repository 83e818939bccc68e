//! Real files with dirty values and odd names: types, counts and sums, against an independent computation.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::{World, example};

/// The records of a CSV file as another library reads them.
fn records(name: &str) -> Vec<BTreeMap<String, String>> {
    let bytes = std::fs::read(example(name)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut reader = csv_async::AsyncReader::from_reader(&bytes[..]);
        let header = reader.headers().await.unwrap().clone();
        let mut record = csv_async::StringRecord::new();
        let mut found = Vec::new();
        while reader.read_record(&mut record).await.unwrap() {
            found.push(header.iter().zip(&record).map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        }
        found
    })
}

fn types(world: &World, table: &str) -> BTreeMap<String, String> {
    let rows = world.rows("demo", &format!("desc {table}"));
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "Field"), text(row, "Type").to_lowercase())).collect()
}

#[test]
fn the_three_states_with_most_airports() {
    let world = World::new();
    let file = example("airports.csv").display().to_string();
    assert_eq!(world.import(&[&file, "--to", "sandbox:demo/airports"]).loaded()["rows_loaded"], json!(3376));
    let query = "select state, count(*) n from airports group by state order by n desc limit 3";
    let ran = world.run(&["sql", query, "--to", "sandbox:demo"]);
    assert_eq!(ran.stdout, "state    n\n-----  ---\nAK     263\nTX     209\nCA     205\n", "{ran:?}");
}

#[test]
fn birdstrikes_with_spaces_and_dollars_in_its_names() {
    let world = World::new();
    let file = example("birdstrikes.csv").display().to_string();
    let report = world.import(&[&file, "--to", "sandbox:demo/birdstrikes", "--create-table"]).loaded();
    let records = records("birdstrikes.csv");
    assert_eq!(report["rows_loaded"], json!(records.len()));

    let types = types(&world, "birdstrikes");
    assert_eq!(types["Flight Date"], "date");
    assert!(types["Cost Total $"].starts_with("bigint"), "{types:?}");
    assert!(types["Speed IAS in knots"].starts_with("bigint"), "{types:?}");
    assert!(types["Airport Name"].starts_with("varchar") || types["Airport Name"] == "string", "{types:?}");

    for column in ["Cost Total $", "Cost Repair", "Speed IAS in knots"] {
        let sum: f64 = records.iter().filter_map(|record| record[column].parse::<f64>().ok()).sum();
        assert_eq!(world.number(&format!("select sum(`{column}`) from birdstrikes")), sum, "{column}");
        let empty = records.iter().filter(|record| record[column].is_empty()).count();
        let query = format!("select count(*) from birdstrikes where `{column}` is null");
        assert_eq!(world.value(&query), json!(empty), "{column}");
    }
    for column in ["Airport Name", "Wildlife Species", "Flight Date"] {
        let mut values: Vec<&str> =
            records.iter().map(|record| record[column].as_str()).filter(|v| !v.is_empty()).collect();
        values.sort_unstable();
        values.dedup();
        let query = format!("select count(distinct `{column}`) from birdstrikes");
        assert_eq!(world.value(&query), json!(values.len()), "{column}");
    }
}

#[test]
fn flights_from_one_json_array() {
    let world = World::new();
    let file = example("flights-2k.json").display().to_string();
    let report = world.import(&[&file, "--to", "sandbox:demo/flights", "--create-table"]).loaded();
    let records: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(report["rows_loaded"], json!(records.len()));
    let types = types(&world, "flights");
    assert_eq!(types["date"], "datetime");
    assert!(types["delay"].starts_with("bigint"), "{types:?}");
    for column in ["delay", "distance"] {
        let sum: i64 = records.iter().map(|record| record[column].as_i64().unwrap()).sum();
        assert_eq!(world.value(&format!("select sum({column}) from flights")), json!(sum));
    }
    let first = records.iter().map(|record| record["date"].as_str().unwrap()).min().unwrap();
    let expected = format!("{}:00", first.replace('/', "-"));
    assert_eq!(world.value("select min(`date`) from flights"), json!(expected));
}

#[test]
fn weather_with_fractions() {
    let world = World::new();
    let file = example("seattle-weather.csv").display().to_string();
    world.import(&[&file, "--to", "sandbox:demo/weather"]).loaded();
    let records = records("seattle-weather.csv");
    let sum: f64 = records.iter().map(|record| record["precipitation"].parse::<f64>().unwrap()).sum();
    let found = world.number("select sum(precipitation) from weather");
    assert!((found - sum).abs() < 1e-6, "{found} {sum}");
    let rain = records.iter().filter(|record| record["weather"] == "rain").count();
    assert_eq!(world.value("select count(*) from weather where weather = 'rain'"), json!(rain));
}

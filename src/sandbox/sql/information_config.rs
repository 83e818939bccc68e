//! `information_schema.tables_config`: how tables were declared, which the `SQLAlchemy` dialect cannot do without.

use super::Error;
use super::create::{Clauses, backticked, clauses_of};
use super::information_schema::{rows_of, text_columns};
use super::scope::{BoundQuery, Context};
use super::token::{Token, Tokens};
use crate::sandbox::store::Listed;
use crate::sandbox::tablet;
use crate::sandbox::types::{KeysType, SqlType, TableDef, literal};

/// One row for each table. Names of columns are in backticks, the properties one object of JSON.
pub(super) fn tables_config(context: &Context<'_>, tables: &[Listed]) -> Result<BoundQuery, Error> {
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|listed| Ok(row(&*context.table(Some(&listed.database), &listed.name)?)))
        .collect::<Result<_, Error>>()?;
    let mut columns = text_columns(&[
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_ENGINE",
        "TABLE_MODEL",
        "PRIMARY_KEY",
        "PARTITION_KEY",
        "DISTRIBUTE_KEY",
        "DISTRIBUTE_TYPE",
    ]);
    columns.push(("DISTRIBUTE_BUCKET".to_owned(), SqlType::Int));
    columns.extend(text_columns(&["SORT_KEY", "PROPERTIES"]));
    columns.push(("TABLE_ID".to_owned(), SqlType::BigInt));
    Ok(rows_of(&rows, columns))
}

fn row(table: &TableDef) -> Vec<String> {
    let clauses = clauses_of(&table.ddl).unwrap_or_default();
    let keys: Vec<&str> = table.columns.iter().filter(|column| column.key).map(|column| column.name.as_str()).collect();
    let unique = matches!(table.keys, KeysType::Primary | KeysType::Unique);
    let order: Vec<&str> = clauses.order.iter().flatten().map(String::as_str).collect();
    let distributed = distribution_key(&clauses);
    let kind = if distributed.is_empty() { "RANDOM" } else { "HASH" };
    let properties: serde_json::Map<String, serde_json::Value> =
        clauses.properties.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut row = [table.database.as_str(), &table.name, "OLAP", table.keys.catalogue_name()].map(literal).to_vec();
    row.push(literal(&if unique { listed(&keys) } else { String::new() }));
    row.push(literal(&listed(&partition_key(table, &clauses))));
    row.extend([literal(&distributed), literal(kind), tablet::buckets(&table.ddl).to_string()]);
    row.push(literal(&listed(if order.is_empty() { &keys } else { &order })));
    row.extend([literal(&serde_json::Value::Object(properties).to_string()), table.id.to_string()]);
    row
}

fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| backticked(name)).collect();
    names.join(", ")
}

/// The columns that rows are distributed by, as the clause keeps them: in backticks; none if it is by chance.
fn distribution_key(clauses: &Clauses) -> String {
    let clause = clauses.distribution.as_deref().unwrap_or_default();
    let Ok(mut tokens) = Tokens::new(clause) else { return String::new() };
    let by_hash = tokens.accept(&["DISTRIBUTED", "BY", "HASH"]);
    if by_hash { tokens.parenthesised().unwrap_or_default().to_owned() } else { String::new() }
}

/// The columns that the partitions are told apart by: those of RANGE or LIST, or the ones that expressions name.
fn partition_key<'a>(table: &'a TableDef, clauses: &Clauses) -> Vec<&'a str> {
    let clause = clauses.partition.as_deref().unwrap_or_default();
    let Ok(mut tokens) = Tokens::new(clause) else { return Vec::new() };
    tokens.accept(&["PARTITION", "BY"]);
    let words: Vec<Token> = if tokens.accept(&["RANGE"]) || tokens.accept(&["LIST"]) {
        tokens.names().unwrap_or_default().into_iter().map(Token::Quoted).collect()
    } else {
        std::iter::from_fn(|| tokens.take()).collect()
    };
    let mut found: Vec<&str> = Vec::new();
    for word in &words {
        if let Token::Word(name) | Token::Quoted(name) = word
            && let Some(column) = table.column(name)
            && !found.contains(&column.name.as_str())
        {
            found.push(&column.name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::sandbox::sql::tests::World;

    #[test]
    fn it_says_how_a_table_was_declared() {
        let mut world = World::new();
        world.run(
            "CREATE TABLE o (day DATE, id BIGINT, who VARCHAR(9)) DUPLICATE KEY(day, id) \
             PARTITION BY RANGE(day) (PARTITION p VALUES [('2024-01-01'), ('2024-02-01'))) \
             DISTRIBUTED BY HASH(id, who) BUCKETS 7 ORDER BY (id) PROPERTIES ('replication_num' = '1')",
        );
        world.run("CREATE TABLE r (at DATETIME, k INT) PARTITION BY date_trunc('day', at), k");
        world.run("CREATE TABLE p (a INT NOT NULL, b INT NOT NULL, v INT) PRIMARY KEY(a, b)");
        let config = "FROM information_schema.tables_config WHERE table_schema = 'd' AND table_name";
        let described = "TABLE_ENGINE, TABLE_MODEL, PRIMARY_KEY, PARTITION_KEY, DISTRIBUTE_KEY, DISTRIBUTE_TYPE, \
                         DISTRIBUTE_BUCKET, SORT_KEY, PROPERTIES";
        for (table, expected) in [
            ("o", "OLAP|DUP_KEYS||`day`|`id`, `who`|HASH|7|`id`|{\"replication_num\":\"1\"}"),
            ("r", "OLAP|DUP_KEYS||`at`, `k`||RANDOM|1|`at`, `k`|{}"),
            ("p", "OLAP|PRIMARY_KEYS|`a`, `b`||`a`, `b`|HASH|1|`a`, `b`|{}"),
        ] {
            assert_eq!(world.run(&format!("SELECT {described} {config} = '{table}'")), expected);
        }
    }
}

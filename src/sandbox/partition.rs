//! The partitions of a table, as far as its definition names them: what the header `partitions` chooses among.
//!
//! The sandbox keeps all rows of a table in one place; a partition is a condition on rows, in StarRocks' SQL. Names that
//! the server would make up (`START … EVERY`, partitions by expression) are not known, and a load that names one is
//! refused, because it would otherwise take rows in that the server would not.

use super::sql::partition_clause;
use super::sql::token::{Token, Tokens};
use super::types::TableDef;
use super::wire::Partitions;

/// A partition and the condition on its rows.
#[derive(Debug, PartialEq)]
struct Partition {
    name: String,
    condition: String,
}

/// The condition on rows that may come into the partitions that a load names, if that needs one. The error is the message
/// of the reply.
pub(super) fn condition(wanted: &Partitions, table: &TableDef) -> Result<Option<String>, String> {
    let unknown = |name: &str| format!("Unknown partition '{name}' in table '{}'", table.name);
    if let Some(name) = wanted.names.first().filter(|_| wanted.temporary) {
        // Nothing makes temporary partitions here.
        return Err(unknown(name));
    }
    let Some(clause) = partition_clause(&table.ddl) else {
        // A table without partitions is one partition, by the table's name.
        let other = wanted.names.iter().find(|name| **name != table.name);
        return other.map_or(Ok(None), |name| Err(unknown(name)));
    };
    let partitions = read(&clause)
        .ok_or_else(|| format!("the sandbox does not know the partitions of table {}: {clause}", table.name))?;
    let mut conditions = Vec::new();
    for name in &wanted.names {
        let found = partitions.iter().find(|partition| partition.name.eq_ignore_ascii_case(name));
        conditions.push(format!("({})", found.ok_or_else(|| unknown(name))?.condition));
    }
    Ok(Some(conditions.join(" OR ")))
}

/// The partitions that a `PARTITION BY` names; nothing if it leaves names to the server.
fn read(clause: &str) -> Option<Vec<Partition>> {
    let mut tokens = Tokens::new(clause).ok()?;
    if tokens.accept(&["PARTITION", "BY", "RANGE"]) {
        let columns = tokens.names().ok()?;
        let [column] = columns.as_slice() else { return None };
        each(&mut tokens, |tokens, at, previous| range(tokens, &backticked(column), at, previous))
    } else if tokens.accept(&["PARTITION", "BY", "LIST"]) {
        let columns: Vec<String> = tokens.names().ok()?.iter().map(|name| backticked(name)).collect();
        each(&mut tokens, |tokens, _, _| list(tokens, &columns))
    } else {
        None
    }
}

fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Reads `(PARTITION name VALUES …, …)`. What follows VALUES is given to `condition`, with the number of partitions before
/// it and the upper limit of the last of them, and comes back as a condition and an upper limit.
fn each(
    tokens: &mut Tokens<'_>,
    condition: impl Fn(&mut Tokens<'_>, usize, &str) -> Option<(String, String)>,
) -> Option<Vec<Partition>> {
    tokens.expect_symbol('(').ok()?;
    let mut partitions = Vec::new();
    let mut previous = String::new();
    loop {
        tokens.accept(&["PARTITION"]).then_some(())?;
        tokens.accept(&["IF", "NOT", "EXISTS"]);
        let name = tokens.name().ok()?;
        tokens.accept(&["VALUES"]).then_some(())?;
        let (condition, limit) = condition(tokens, partitions.len(), &previous)?;
        previous = limit;
        partitions.push(Partition { name, condition });
        if tokens.peek() == Some(&Token::Symbol('(')) {
            // Properties of the partition.
            tokens.parenthesised().ok()?;
        }
        if !tokens.accept_symbol(',') {
            tokens.expect_symbol(')').ok()?;
            return Some(partitions);
        }
    }
}

/// `LESS THAN (limit)` or `[(from), (to))`. NULL is below everything, so it is in the first partition.
fn range(tokens: &mut Tokens<'_>, column: &str, at: usize, previous: &str) -> Option<(String, String)> {
    let (low, high) = if tokens.accept(&["LESS", "THAN"]) {
        let high = if tokens.accept(&["MAXVALUE"]) { String::new() } else { limit(tokens)? };
        (previous.to_owned(), high)
    } else {
        tokens.expect_symbol('[').ok()?;
        let low = limit(tokens)?;
        tokens.expect_symbol(',').ok()?;
        let high = limit(tokens)?;
        tokens.expect_symbol(')').ok()?;
        (low, high)
    };
    let mut parts = Vec::new();
    if !low.is_empty() {
        parts.push(format!("{column} >= {low}"));
    }
    if !high.is_empty() {
        parts.push(format!("{column} < {high}"));
    }
    let inside = if parts.is_empty() { "TRUE".to_owned() } else { parts.join(" AND ") };
    let condition = if at == 0 && low.is_empty() { format!("{column} IS NULL OR {inside}") } else { inside };
    Some((condition, high))
}

/// `(value)`; `(MAXVALUE)` is empty, as there is no limit.
fn limit(tokens: &mut Tokens<'_>) -> Option<String> {
    tokens.expect_symbol('(').ok()?;
    let limit = if tokens.accept(&["MAXVALUE"]) { String::new() } else { constant(tokens)? };
    tokens.expect_symbol(')').ok()?;
    Some(limit)
}

/// `IN ('a', 'b')` over one column, `IN (('a', 1), ('b', 2))` over several.
fn list(tokens: &mut Tokens<'_>, columns: &[String]) -> Option<(String, String)> {
    tokens.accept(&["IN"]).then_some(())?;
    tokens.expect_symbol('(').ok()?;
    let mut alternatives = Vec::new();
    loop {
        let tuple = tokens.accept_symbol('(');
        let mut parts = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                tokens.expect_symbol(',').ok()?;
            }
            parts.push(if tokens.accept(&["NULL"]) {
                format!("{column} IS NULL")
            } else {
                format!("{column} = {}", constant(tokens)?)
            });
        }
        if tuple {
            tokens.expect_symbol(')').ok()?;
        }
        alternatives.push(format!("({})", parts.join(" AND ")));
        if !tokens.accept_symbol(',') {
            break;
        }
    }
    tokens.expect_symbol(')').ok()?;
    Some((alternatives.join(" OR "), String::new()))
}

fn constant(tokens: &mut Tokens<'_>) -> Option<String> {
    let sign = if tokens.accept_symbol('-') { "-" } else { "" };
    match tokens.take()? {
        Token::Number(digits) => Some(format!("{sign}{digits}")),
        Token::Text(text) if sign.is_empty() => Some(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(clause: &str) -> Option<Vec<(String, String)>> {
        read(clause).map(|all| all.into_iter().map(|partition| (partition.name, partition.condition)).collect())
    }

    #[test]
    fn named_partitions_become_conditions() {
        let owned = |pairs: &[(&str, &str)]| Some(pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
        for (clause, partitions) in [
            (
                "PARTITION BY RANGE(d) (PARTITION p1 VALUES LESS THAN ('2024-01-01'), PARTITION `p 2` VALUES LESS THAN \
                 (\"2025-01-01\"), PARTITION p3 VALUES LESS THAN (MAXVALUE))",
                owned(&[
                    ("p1", "`d` IS NULL OR `d` < '2024-01-01'"),
                    ("p 2", "`d` >= '2024-01-01' AND `d` < '2025-01-01'"),
                    ("p3", "`d` >= '2025-01-01'"),
                ]),
            ),
            (
                "partition by range(`k`) (partition a values [(\"-5\"), ('10')), partition b values [(10), (MAXVALUE)))",
                owned(&[("a", "`k` >= '-5' AND `k` < '10'"), ("b", "`k` >= 10")]),
            ),
            (
                "PARTITION BY LIST(c, n) (PARTITION p VALUES IN (('x', 1), ('it''s', NULL)))",
                owned(&[("p", "(`c` = 'x' AND `n` = 1) OR (`c` = 'it''s' AND `n` IS NULL)")]),
            ),
            ("PARTITION BY LIST(c) (PARTITION p VALUES IN ('x', 'y'))", owned(&[("p", "(`c` = 'x') OR (`c` = 'y')")])),
            ("PARTITION BY RANGE(d) (START ('2024-01-01') END ('2024-02-01') EVERY (INTERVAL 1 DAY))", None),
            ("PARTITION BY RANGE(a, b) (PARTITION p VALUES LESS THAN (1, 2))", None),
            ("PARTITION BY date_trunc('day', d)", None),
        ] {
            assert_eq!(shown(clause), partitions, "{clause}");
        }
    }
}

//! What may follow a SHOW: `LIKE`, `WHERE`, `ORDER BY`, `LIMIT`.

use std::cmp::Ordering;

use super::Error;
use super::session::Table;
use super::token::{Token, Tokens};
use crate::sandbox::function::like;

/// Applies what follows to the rows, and takes the end of the statement.
pub(super) fn finish(tokens: &mut Tokens<'_>, mut table: Table) -> Result<Table, Error> {
    if tokens.accept(&["LIKE"]) {
        let pattern = tokens.text()?;
        let matches =
            |row: &Vec<Option<String>>| row.first().and_then(Option::as_deref).is_some_and(|name| like(name, &pattern));
        table.rows.retain(matches);
    } else if tokens.accept(&["WHERE"]) {
        loop {
            condition(tokens, &mut table)?;
            if !tokens.accept(&["AND"]) {
                break;
            }
        }
    }
    if tokens.accept(&["ORDER", "BY"]) {
        order(tokens, &mut table)?;
    }
    if tokens.accept(&["LIMIT"]) {
        let (mut offset, mut count) = (0, tokens.integer()?);
        if tokens.accept_symbol(',') {
            (offset, count) = (count, tokens.integer()?);
        } else if tokens.accept(&["OFFSET"]) {
            offset = tokens.integer()?;
        }
        let bound = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        table.rows = table.rows.into_iter().skip(bound(offset)).take(bound(count)).collect();
    }
    tokens.end()?;
    Ok(table)
}

/// `column = 'text'`, `column LIKE 'pattern'`, `column <= 5` and the like. Where a cell is a number, it is compared as one.
fn condition(tokens: &mut Tokens<'_>, table: &mut Table) -> Result<(), Error> {
    let at = column(tokens, table)?;
    if tokens.accept(&["LIKE"]) {
        let pattern = tokens.text()?;
        table.rows.retain(|row| row[at].as_deref().is_some_and(|cell| like(cell, &pattern)));
        return Ok(());
    }
    if tokens.accept(&["IN"]) {
        tokens.expect_symbol('(')?;
        let mut wanted = vec![constant(tokens)?];
        while tokens.accept_symbol(',') {
            wanted.push(constant(tokens)?);
        }
        tokens.expect_symbol(')')?;
        table.rows.retain(|row| row[at].as_deref().is_some_and(|cell| wanted.iter().any(|text| same(cell, text))));
        return Ok(());
    }
    let mut operator = String::new();
    while let Some(Token::Symbol(symbol @ ('=' | '<' | '>' | '!'))) = tokens.peek() {
        operator.push(*symbol);
        tokens.take();
    }
    let wanted = constant(tokens)?;
    let holds: fn(Ordering) -> bool = match operator.as_str() {
        "=" => Ordering::is_eq,
        "!=" | "<>" => Ordering::is_ne,
        "<" => Ordering::is_lt,
        "<=" => Ordering::is_le,
        ">" => Ordering::is_gt,
        ">=" => Ordering::is_ge,
        _ => return Err(tokens.unexpected("a comparison")),
    };
    table.rows.retain(|row| {
        row[at].as_deref().is_some_and(|cell| {
            let order = if operator.contains(['<', '>']) && operator != "<>" {
                compare(Some(cell), Some(&wanted))
            } else if same(cell, &wanted) {
                Ordering::Equal
            } else {
                Ordering::Less
            };
            holds(order)
        })
    });
    Ok(())
}

/// Booleans are compared in any case, since people write them in every one.
fn same(cell: &str, wanted: &str) -> bool {
    cell == wanted || matches!(cell, "true" | "false") && cell.eq_ignore_ascii_case(wanted)
}

fn constant(tokens: &mut Tokens<'_>) -> Result<String, Error> {
    match tokens.take() {
        Some(Token::Text(text) | Token::Number(text) | Token::Word(text)) => Ok(text),
        _ => Err(tokens.unexpected("a constant")),
    }
}

fn column(tokens: &mut Tokens<'_>, table: &Table) -> Result<usize, Error> {
    let name = tokens.name()?;
    let known = table.columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(&name));
    known.ok_or_else(|| Error::analysis(format!("Column '{name}' cannot be resolved")))
}

fn order(tokens: &mut Tokens<'_>, table: &mut Table) -> Result<(), Error> {
    let mut keys = Vec::new();
    loop {
        let at = column(tokens, table)?;
        let descending = tokens.accept(&["DESC"]);
        let _ = descending || tokens.accept(&["ASC"]);
        keys.push((at, descending));
        if !tokens.accept_symbol(',') {
            break;
        }
    }
    table.rows.sort_by(|a, b| {
        let by = |&(at, descending): &(usize, bool)| {
            let order = compare(a[at].as_deref(), b[at].as_deref());
            if descending { order.reverse() } else { order }
        };
        keys.iter().map(by).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    Ok(())
}

fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i128>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<String, Error> {
        let row = |name: &str, number: &str| vec![Some(name.to_owned()), Some(number.to_owned())];
        let table = Table::new(&["Name", "Number"], vec![row("a", "10"), row("b", "9"), row("true", "100")]);
        let table = finish(&mut Tokens::new(text)?, table)?;
        Ok(table.rows.into_iter().filter_map(|row| row[0].clone()).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn rows_are_chosen_and_sorted() {
        for (text, expected) in [
            ("", "a,b,true"),
            ("LIKE 'a%'", "a"),
            ("WHERE name = 'b'", "b"),
            ("WHERE Name LIKE '%' AND number >= 10", "a,true"),
            ("WHERE number != 9 ORDER BY number DESC", "true,a"),
            ("WHERE name IN ('a', \"b\")", "a,b"),
            ("WHERE name = TRUE", "true"),
            ("ORDER BY number LIMIT 1", "b"),
            ("ORDER BY number LIMIT 1, 5;", "a,true"),
            ("ORDER BY number LIMIT 5 OFFSET 2", "true"),
        ] {
            assert_eq!(names(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["WHERE nope = 1", "WHERE name", "LIMIT x", "ORDER name", "WHERE name === 'a'", "LIKE 'a' b"] {
            assert!(names(text).is_err(), "{text}");
        }
    }
}

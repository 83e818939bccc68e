//! The statement that SHOW CREATE TABLE shows, once the table is no longer what it was created as.

use super::Error;
use super::create::{self, backticked};
use super::token::{Token, Tokens};
use crate::sandbox::types::{Column, TableDef};

/// What changes around the columns of a table.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub comment: Option<String>,
    pub properties: Vec<(String, String)>,
    /// A column's old name and its new one.
    pub renamed: Option<(String, String)>,
}

/// The statement of a table that has changed. A clause that names a column that is gone is refused.
pub(super) fn rewritten(table: &TableDef, name: &str, columns: &[Column], changes: &Changes) -> Result<String, Error> {
    let ddl = &table.ddl;
    let mut tokens = Tokens::new(ddl)?;
    tokens.expect("CREATE")?;
    tokens.expect("TABLE")?;
    tokens.qualified_name()?;
    create::columns(&mut tokens)?;
    let mut clauses = create::clauses(&mut tokens)?;
    if let Some((old, new)) = &changes.renamed {
        let rename = |name: &mut String| {
            if name.eq_ignore_ascii_case(old) {
                new.clone_into(name);
            }
        };
        let keys = clauses.keys.iter_mut().flat_map(|keys| &mut keys.names);
        keys.chain(clauses.order.iter_mut().flatten()).for_each(rename);
        if let Some(distribution) = &mut clauses.distribution {
            *distribution = distribution.replace(&backticked(old), &backticked(new));
        }
    }
    if let Some(comment) = &changes.comment {
        comment.clone_into(&mut clauses.comment);
    }
    for (name, value) in &changes.properties {
        match clauses.properties.iter_mut().find(|(known, _)| known == name) {
            Some(known) => value.clone_into(&mut known.1),
            None => clauses.properties.push((name.clone(), value.clone())),
        }
    }
    create::check_mentioned(table.keys, columns, &clauses)?;
    if let Some(partition) = &clauses.partition {
        let gone = columns_of(ddl)?.into_iter().find(|column| {
            mentions(partition, &column.name)
                && !columns.iter().any(|kept| kept.name.eq_ignore_ascii_case(&column.name))
        });
        if let Some(gone) = gone {
            return Err(Error::analysis(format!("Partition column[{}] cannot be dropped or renamed", gone.name)));
        }
    }
    Ok(create::render(name, table.keys, columns, &clauses))
}

fn columns_of(ddl: &str) -> Result<Vec<Column>, Error> {
    let mut tokens = Tokens::new(ddl)?;
    tokens.expect("CREATE")?;
    tokens.expect("TABLE")?;
    tokens.qualified_name()?;
    Ok(create::columns(&mut tokens)?.0)
}

/// Whether an expression or a clause names a column.
pub(super) fn mentions(text: &str, column: &str) -> bool {
    let Ok(mut tokens) = Tokens::new(text) else { return false };
    std::iter::from_fn(|| tokens.take()).any(|token| match token {
        Token::Word(name) | Token::Quoted(name) => name.eq_ignore_ascii_case(column),
        _ => false,
    })
}

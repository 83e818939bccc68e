//! What a name can mean at a place in a statement.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Error;
use crate::sandbox::function::calendar::Moment;
use crate::sandbox::overview::Overview;
use crate::sandbox::sessions::Running;
use crate::sandbox::store::{CatalogError, Store};
use crate::sandbox::types::{SqlType, TableDef, literal, quote};
use crate::sandbox::user::{Kind, Privilege};

/// What the whole statement knows: the session and the catalogue.
pub(in crate::sandbox) struct Context<'a> {
    /// Nothing where an expression stands alone and can name no table.
    pub store: Option<&'a Store>,
    pub database: Option<&'a str>,
    pub user: &'a str,
    pub connection_id: u32,
    /// The sandbox around the store; nothing where there is no store either.
    pub overview: Option<&'a dyn Overview>,
    /// The statement, where others may stop it.
    pub running: Option<&'a Running>,
    /// When the statement started: `NOW()` is the same throughout.
    pub now: Moment,
    pub utc_now: Moment,
    /// The session's time zone.
    pub offset_seconds: i64,
    /// The variables that the session has set.
    pub variables: &'a BTreeMap<String, String>,
    /// How many relations have been named so far.
    pub relations: Cell<usize>,
}

impl Context<'_> {
    /// A name for a relation that no other relation of the statement has.
    pub(super) fn relation_name(&self) -> String {
        self.relations.set(self.relations.get() + 1);
        format!("r{}", self.relations.get())
    }

    /// The table of this name, in the current database unless another is given.
    pub(super) fn table(&self, database: Option<&str>, name: &str) -> Result<Arc<TableDef>, Error> {
        let database = database.or(self.database).ok_or_else(Error::no_database)?;
        let store = self.store.ok_or_else(|| Error::analysis("an expression of a load cannot name a table"))?;
        store.table(database, name).map_err(|fault| match fault {
            CatalogError::UnknownDatabase(name) => Error::unknown_database(&name),
            CatalogError::UnknownTable(name) => Error::unknown_table(database, &name),
            CatalogError::Sqlite(fault) => fault.into(),
        })
    }
}

impl<'a> Context<'a> {
    /// The store and the sandbox around it.
    pub(super) fn surroundings(&self) -> Result<(&'a Store, &'a dyn Overview), Error> {
        self.store.zip(self.overview).ok_or_else(|| Error::analysis("an expression of a load cannot name a table"))
    }

    /// Does something with a connection that KILL and the timeout of the statement may interrupt.
    pub(super) fn interruptible<R>(
        &self,
        connection: &rusqlite::Connection,
        work: impl FnOnce() -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        match self.running {
            Some(running) => running.interruptible(connection, work),
            None => Ok(work()?),
        }
    }

    /// Refuses what the user may not do to a table, or to a database where no table is named.
    pub(super) fn allow(&self, privilege: Privilege, database: &str, table: &str) -> Result<(), Error> {
        let Some(store) = self.store else { return Ok(()) };
        if store.may(self.user, privilege, database, table)? {
            return Ok(());
        }
        let kind = privilege.kind(table);
        let object = match kind {
            Kind::System => "",
            Kind::Catalog => "default_catalog",
            Kind::Database => database,
            Kind::Table => table,
        };
        Err(Error::denied(privilege.name(), kind.name(), object))
    }

    /// Refuses those who have no privilege on a table, or in a database where no table is named.
    pub(super) fn allow_any(&self, database: &str, table: &str) -> Result<(), Error> {
        let Some(store) = self.store else { return Ok(()) };
        if is_system_database(database) || store.sees(self.user, database, table)? {
            return Ok(());
        }
        let (kind, object) = if table.is_empty() { ("DATABASE", database) } else { ("TABLE", table) };
        Err(Error::denied("ANY", kind, object))
    }
}

/// Whether a database is one of those that there always are.
pub(super) fn is_system_database(name: &str) -> bool {
    name.eq_ignore_ascii_case("information_schema") || name.eq_ignore_ascii_case("_statistics_")
}

/// An expression in SQLite's SQL, and its type in StarRocks.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub sql: String,
    pub ty: SqlType,
    /// The text, if it is a constant one.
    pub text: Option<String>,
}

impl Bound {
    pub(super) fn new(sql: impl Into<String>, ty: SqlType) -> Self {
        Self { sql: sql.into(), ty, text: None }
    }

    pub(super) fn constant(text: &str) -> Self {
        Self { sql: literal(text), ty: SqlType::TEXT, text: Some(text.to_owned()) }
    }

    pub(super) fn null() -> Self {
        Self::new("NULL", null_type())
    }

    pub(super) fn is_null(&self) -> bool {
        self.ty == null_type()
    }
}

/// The type of NULL before anything says what it is a NULL of.
pub(super) fn null_type() -> SqlType {
    SqlType::Other("null_type".to_owned())
}

/// A query in SQLite's SQL. Its columns are named `c1`, `c2` … there, and as StarRocks names them here.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct BoundQuery {
    pub sql: String,
    pub columns: Vec<(String, SqlType)>,
}

/// A query with a name, from WITH.
pub(super) type Named = (String, BoundQuery);

/// Something that rows come from.
#[derive(Debug)]
pub(super) struct Relation {
    /// Its name in the SQLite statement.
    pub sql_name: String,
    pub database: Option<String>,
    /// Its name or alias in the statement as given.
    pub name: String,
    pub columns: Vec<Visible>,
}

/// A column of a relation.
#[derive(Debug)]
pub(super) struct Visible {
    pub name: String,
    pub ty: SqlType,
    pub sql_name: String,
    /// Whether USING has merged it into a column to its left.
    pub merged: bool,
}

impl Relation {
    /// A column as an expression.
    pub(super) fn column(&self, column: &Visible) -> Bound {
        let sql = if self.sql_name.is_empty() {
            quote(&column.sql_name)
        } else {
            format!("{}.{}", self.sql_name, quote(&column.sql_name))
        };
        Bound::new(sql, column.ty.clone())
    }
}

/// The relations that names at one place can mean, and those around a subquery.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    pub relations: Vec<Relation>,
    pub parent: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// The column that a name means, and whether it belongs to this scope and not to one around it.
    pub(super) fn find(&self, qualifier: &[&str], name: &str) -> Result<Option<(Bound, bool)>, Error> {
        let mut found = None;
        for relation in self.relations.iter().filter(|relation| relation.is_called(qualifier)) {
            let here =
                |column: &&Visible| column.name.eq_ignore_ascii_case(name) && !(column.merged && qualifier.is_empty());
            for column in relation.columns.iter().filter(here) {
                if found.replace(relation.column(column)).is_some() {
                    return Err(Error::analysis(format!("Column '{name}' is ambiguous")));
                }
            }
        }
        match (found, self.parent) {
            (Some(found), _) => Ok(Some((found, true))),
            (None, Some(parent)) => Ok(parent.find(qualifier, name)?.map(|(found, _)| (found, false))),
            (None, None) => Ok(None),
        }
    }
}

impl Relation {
    /// Whether `qualifier.` in front of a column means this relation.
    pub(super) fn is_called(&self, qualifier: &[&str]) -> bool {
        match qualifier {
            [] => true,
            [name] => self.name == *name,
            [.., database, name] => self.name == *name && self.database.as_deref() == Some(*database),
        }
    }
}

//! Users and what they may do.
//!
//! A grant is a privilege on objects of a kind: the system, the catalog, a database, a table, or all of them. Root may do
//! everything and has no grants. There are no roles, and owning a table means nothing, as in StarRocks.

use rusqlite::OptionalExtension;

use super::store::Store;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS sb_users (name TEXT PRIMARY KEY NOT NULL, password TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sb_grants (
        user TEXT NOT NULL,
        kind TEXT NOT NULL,
        privilege TEXT NOT NULL,
        database TEXT NOT NULL,
        table_name TEXT NOT NULL,
        PRIMARY KEY (user, kind, privilege, database, table_name)
    ) WITHOUT ROWID;
";

/// The user that may do everything.
pub(super) const ROOT: &str = "root";

/// Stands for every name in a grant.
pub(super) const EVERY: &str = "*";

/// What a grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    System,
    Catalog,
    Database,
    Table,
}

impl Kind {
    /// The name in statements and messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "SYSTEM",
            Self::Catalog => "CATALOG",
            Self::Database => "DATABASE",
            Self::Table => "TABLE",
        }
    }

    /// The privileges that there are on such an object, in the order in which they are shown.
    pub(super) fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::System => &[
                "GRANT",
                "NODE",
                "CREATE RESOURCE",
                "PLUGIN",
                "FILE",
                "BLACKLIST",
                "OPERATE",
                "CREATE EXTERNAL CATALOG",
                "REPOSITORY",
                "CREATE RESOURCE GROUP",
                "CREATE GLOBAL FUNCTION",
                "CREATE STORAGE VOLUME",
                "CREATE WAREHOUSE",
                "SECURITY",
            ],
            Self::Catalog => &["USAGE", "CREATE DATABASE", "DROP", "ALTER"],
            Self::Database => &[
                "CREATE TABLE",
                "DROP",
                "ALTER",
                "CREATE VIEW",
                "CREATE FUNCTION",
                "CREATE MATERIALIZED VIEW",
                "CREATE PIPE",
            ],
            Self::Table => &["DELETE", "DROP", "INSERT", "SELECT", "ALTER", "EXPORT", "UPDATE", "REFRESH"],
        }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privilege {
    Select,
    Insert,
    #[allow(dead_code, reason = "UPDATE asks for it where there is an UPDATE")]
    Update,
    Delete,
    /// Of a table, or of a database where no table is named.
    Alter,
    /// Likewise.
    Drop,
    CreateTable,
    CreateDatabase,
    /// Users and grants.
    Grant,
    /// Looks after the cluster.
    Operate,
    /// Looks after the nodes.
    Node,
}

impl Privilege {
    /// The name in grants and messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Alter => "ALTER",
            Self::Drop => "DROP",
            Self::CreateTable => "CREATE TABLE",
            Self::CreateDatabase => "CREATE DATABASE",
            Self::Grant => "GRANT",
            Self::Operate => "OPERATE",
            Self::Node => "NODE",
        }
    }

    /// What it is a privilege on.
    pub(super) fn kind(self, table: &str) -> Kind {
        match self {
            Self::Operate | Self::Node | Self::Grant => Kind::System,
            Self::CreateDatabase => Kind::Catalog,
            Self::CreateTable => Kind::Database,
            Self::Alter | Self::Drop if table.is_empty() => Kind::Database,
            _ => Kind::Table,
        }
    }
}

/// A privilege that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) kind: Kind,
    pub(super) privilege: String,
    /// A database or [`EVERY`]; for the catalog its name, and nothing for the system.
    pub(super) database: String,
    /// A table or [`EVERY`]; nothing for what is no table.
    pub(super) table: String,
}

impl Store {
    /// Whether a user may do this to a table, or to a database where the table is empty, or to the whole where both are.
    pub(super) fn may(&self, user: &str, privilege: Privilege, database: &str, table: &str) -> rusqlite::Result<bool> {
        if user == ROOT {
            return Ok(true);
        }
        let kind = privilege.kind(table);
        let (database, table) = match kind {
            Kind::System => ("", ""),
            Kind::Catalog => (EVERY, ""),
            Kind::Database => (database, ""),
            Kind::Table => (database, table),
        };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM sb_grants WHERE user = ?1 AND kind = ?2 AND privilege = ?3
                 AND database IN (?4, '*') AND table_name IN (?5, '*')",
            )?;
            statement.exists([user, kind.name(), privilege.name(), database, table])
        })
    }

    /// Whether a user looks after the cluster.
    pub(super) fn is_operator(&self, user: &str) -> rusqlite::Result<bool> {
        Ok(self.may(user, Privilege::Operate, "", "")? || self.may(user, Privilege::Node, "", "")?)
    }

    /// Whether a user has any privilege on a table, or on a database or something in it where the table is empty.
    pub(super) fn sees(&self, user: &str, database: &str, table: &str) -> rusqlite::Result<bool> {
        if user == ROOT {
            return Ok(true);
        }
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM sb_grants WHERE user = ?1 AND kind IN ('DATABASE', 'TABLE') AND database IN (?2, '*')
                 AND (?3 = '' OR kind = 'TABLE' AND table_name IN (?3, '*'))",
            )?;
            statement.exists([user, database, table])
        })
    }

    /// Every user, in order.
    pub(super) fn users(&self) -> rusqlite::Result<Vec<String>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT name FROM sb_users ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// Adds a user with a password as it is stored; tells whether there was none of the name.
    pub(super) fn add_user(&self, name: &str, digest: &str) -> rusqlite::Result<bool> {
        let insert = "INSERT OR IGNORE INTO sb_users (name, password) VALUES (?1, ?2)";
        self.write(|transaction| Ok(transaction.execute(insert, [name, digest])? > 0))
    }

    /// Gives a user another password; tells whether there is such a user.
    pub(super) fn set_password(&self, name: &str, digest: &str) -> rusqlite::Result<bool> {
        let update = "UPDATE sb_users SET password = ?2 WHERE name = ?1";
        self.write(|transaction| Ok(transaction.execute(update, [name, digest])? > 0))
    }

    /// Removes a user and what it may do; tells whether there was one.
    pub(super) fn remove_user(&self, name: &str) -> rusqlite::Result<bool> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM sb_grants WHERE user = ?1", [name])?;
            Ok(transaction.execute("DELETE FROM sb_users WHERE name = ?1", [name])? > 0)
        })
    }

    /// Gives a user privileges.
    pub(super) fn grant(&self, user: &str, grants: &[Grant]) -> rusqlite::Result<()> {
        self.change_grants(user, grants, "INSERT OR IGNORE INTO sb_grants VALUES (?1, ?2, ?3, ?4, ?5)")
    }

    /// Takes exactly these privileges away: one on a table stays where one on all tables goes.
    pub(super) fn revoke(&self, user: &str, grants: &[Grant]) -> rusqlite::Result<()> {
        let delete = "DELETE FROM sb_grants
                      WHERE user = ?1 AND kind = ?2 AND privilege = ?3 AND database = ?4 AND table_name = ?5";
        self.change_grants(user, grants, delete)
    }

    fn change_grants(&self, user: &str, grants: &[Grant], sql: &str) -> rusqlite::Result<()> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            for grant in grants {
                statement.execute([user, grant.kind.name(), &grant.privilege, &grant.database, &grant.table])?;
            }
            Ok(())
        })
    }

    /// What a user was granted.
    pub(super) fn grants(&self, user: &str) -> rusqlite::Result<Vec<Grant>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, privilege, database, table_name FROM sb_grants WHERE user = ?1
                 ORDER BY kind, database, table_name, privilege",
            )?;
            let row = |row: &rusqlite::Row<'_>| {
                let kind: String = row.get(0)?;
                let kinds = [Kind::System, Kind::Catalog, Kind::Database];
                let kind = kinds.into_iter().find(|known| known.name() == kind).unwrap_or(Kind::Table);
                Ok(Grant { kind, privilege: row.get(1)?, database: row.get(2)?, table: row.get(3)? })
            };
            statement.query_map([user], row)?.collect()
        })
    }

    /// The user's password as stored, and nothing for a stranger.
    pub(super) fn password_digest(&self, user: &str) -> Option<String> {
        let digest = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT password FROM sb_users WHERE name = ?1")?;
            statement.query_row([user], |row| row.get(0)).optional()
        });
        digest.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_reaches_as_far_as_it_says_and_outlives_a_restart() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        assert!(store.add_user("u", "").expect("it writes"));
        assert!(!store.add_user("u", "").expect("it writes"), "the name is taken");
        let grant = |kind, privilege: &str, database: &str, table: &str| Grant {
            kind,
            privilege: privilege.to_owned(),
            database: database.to_owned(),
            table: table.to_owned(),
        };
        let everywhere = grant(Kind::Table, "SELECT", EVERY, EVERY);
        let grants = [
            grant(Kind::Table, "INSERT", "d", "t"),
            grant(Kind::Table, "DELETE", "d", EVERY),
            grant(Kind::Database, "CREATE TABLE", "d", ""),
            everywhere.clone(),
        ];
        store.grant("u", &grants).expect("it writes");
        drop(store);
        let store = Store::open(dir.path(), None).expect("the store opens again");
        let may = |privilege, database, table| store.may("u", privilege, database, table).expect("it reads");
        assert!(may(Privilege::Insert, "d", "t") && !may(Privilege::Insert, "d", "T"));
        assert!(!may(Privilege::Insert, "d", "s") && !may(Privilege::Insert, "e", "t"));
        assert!(may(Privilege::Delete, "d", "s") && !may(Privilege::Delete, "e", "s"));
        assert!(may(Privilege::CreateTable, "d", "") && !may(Privilege::CreateTable, "e", ""));
        assert!(may(Privilege::Select, "e", "s") && !may(Privilege::Drop, "d", "t") && !may(Privilege::Drop, "d", ""));
        assert!(!store.is_operator("u").expect("it reads") && store.is_operator("root").expect("it reads"));
        assert!(store.may("root", Privilege::Drop, "d", "t").expect("it reads"));
        assert!(!store.may("stranger", Privilege::Select, "d", "t").expect("it reads"));
        store.revoke("u", &[everywhere]).expect("it writes");
        assert!(!store.may("u", Privilege::Select, "d", "t").expect("it reads"));
        assert!(store.sees("u", "d", "t").expect("it reads") && !store.sees("u", "e", "").expect("it reads"));
        assert!(store.remove_user("u").expect("it writes") && !store.remove_user("u").expect("it writes"));
        assert!(!store.may("u", Privilege::Insert, "d", "t").expect("it reads"));
    }
}

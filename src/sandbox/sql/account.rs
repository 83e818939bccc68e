//! Users and grants: `CREATE USER`, `ALTER USER`, `DROP USER`, `SET PASSWORD`, `GRANT`, `REVOKE`, `SHOW GRANTS`.

use super::scope::Context;
use super::session::Table;
use super::token::{Token, Tokens};
use super::{Error, listing, password};
use crate::sandbox::store::Store;
use crate::sandbox::user::{EVERY, Grant, Kind, Privilege, ROOT};

/// `CREATE USER [IF NOT EXISTS] u …`, from the name on.
pub(super) fn create(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let if_not_exists = tokens.accept(&["IF", "NOT", "EXISTS"]);
    let name = user(tokens)?;
    let digest = authentication(tokens)?.unwrap_or_default();
    rest(tokens)?;
    context.allow(Privilege::Grant, "", "")?;
    if !store.add_user(&name, &digest)? && !if_not_exists {
        let detail = format!("Operation CREATE USER failed for '{name}'@'%' : user already exists");
        return Err(Error::analysis(detail));
    }
    Ok(())
}

/// `ALTER USER u IDENTIFIED BY …`, from the name on.
pub(super) fn alter(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let if_exists = tokens.accept(&["IF", "EXISTS"]);
    let name = user(tokens)?;
    let digest = authentication(tokens)?.ok_or_else(|| tokens.unexpected("IDENTIFIED"))?;
    tokens.end()?;
    change_password(store, context, &name, &digest, if_exists)
}

/// `DROP USER [IF EXISTS] u`, from the name on.
pub(super) fn drop(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let if_exists = tokens.accept(&["IF", "EXISTS"]);
    let name = user(tokens)?;
    tokens.end()?;
    context.allow(Privilege::Grant, "", "")?;
    if name == ROOT {
        return Err(Error::analysis("Operation DROP USER failed for 'root'@'%' : cannot drop root"));
    }
    if !store.remove_user(&name)? && !if_exists {
        return Err(unknown(&name));
    }
    Ok(())
}

/// `SET PASSWORD [FOR u] = PASSWORD('p') | 'p' | '*HEX'`, from PASSWORD on.
pub(super) fn set_password(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    tokens.expect("PASSWORD")?;
    let name = if tokens.accept(&["FOR"]) { user(tokens)? } else { context.user.to_owned() };
    tokens.expect_symbol('=')?;
    let digest = if tokens.accept(&["PASSWORD"]) {
        tokens.expect_symbol('(')?;
        let plain = tokens.text()?;
        tokens.expect_symbol(')')?;
        password::digest(&plain)
    } else {
        stored(&tokens.text()?)?
    };
    tokens.end()?;
    change_password(store, context, &name, &digest, false)
}

/// Everybody may change the own password.
fn change_password(
    store: &Store,
    context: &Context<'_>,
    name: &str,
    digest: &str,
    if_exists: bool,
) -> Result<(), Error> {
    if name != context.user {
        context.allow(Privilege::Grant, "", "")?;
    }
    if !store.set_password(name, digest)? && !if_exists {
        return Err(unknown(name));
    }
    Ok(())
}

/// `GRANT … ON … TO u` and `REVOKE … ON … FROM u`.
pub(super) fn change(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<(), Error> {
    let granting = tokens.accept(&["GRANT"]);
    if !granting {
        tokens.expect("REVOKE")?;
    }
    let wanted = privileges(tokens)?;
    if !tokens.accept(&["ON"]) {
        return Err(Error::unsupported("a role"));
    }
    let objects = objects(context, tokens)?;
    tokens.expect(if granting { "TO" } else { "FROM" })?;
    if tokens.is("ROLE") {
        return Err(Error::unsupported("a role"));
    }
    tokens.accept(&["USER"]);
    let mut names = vec![user(tokens)?];
    while tokens.accept_symbol(',') {
        names.push(user(tokens)?);
    }
    if tokens.accept(&["WITH", "GRANT", "OPTION"]) {
        return Err(Error::unsupported("WITH GRANT OPTION"));
    }
    tokens.end()?;
    let mut grants = Vec::new();
    for object in &objects {
        grants.extend(on(object, &wanted)?);
    }
    context.allow(Privilege::Grant, "", "")?;
    let known = store.users()?;
    for name in &names {
        if !known.contains(name) {
            return Err(unknown(name));
        }
    }
    for name in &names {
        if granting { store.grant(name, &grants)? } else { store.revoke(name, &grants)? }
    }
    Ok(())
}

/// `SHOW GRANTS [FOR u]`, from FOR on.
pub(super) fn show_grants(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    let name = if tokens.accept(&["FOR"]) { user(tokens)? } else { context.user.to_owned() };
    if name != context.user {
        context.allow(Privilege::Grant, "", "")?;
    }
    if store.password_digest(&name).is_none() {
        return Err(unknown(&name));
    }
    let identity = format!("'{name}'@'%'");
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    if name == ROOT {
        rows.push(vec![Some(identity.clone()), None, Some(format!("GRANT 'root' TO {identity}"))]);
    }
    let grants = store.grants(&name)?;
    // The privileges on one object stand next to each other, since they are sorted by it.
    for same in grants.chunk_by(|a, b| (a.kind, &a.database, &a.table) == (b.kind, &b.database, &b.table)) {
        let object = described(&same[0]);
        let list: Vec<&str> = same.iter().map(|grant| grant.privilege.as_str()).collect();
        let catalog = (same[0].kind != Kind::System).then(|| "default_catalog".to_owned());
        let text = format!("GRANT {} ON {object} TO USER {identity}", list.join(", "));
        rows.push(vec![Some(identity.clone()), catalog, Some(text)]);
    }
    listing::finish(tokens, Table::new(&["UserIdentity", "Catalog", "Grants"], rows))
}

/// `SHOW USERS`.
pub(super) fn show_users(store: &Store, context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Table, Error> {
    context.allow(Privilege::Grant, "", "")?;
    let rows = store.users()?.into_iter().map(|name| vec![Some(format!("'{name}'@'%'"))]);
    listing::finish(tokens, Table::new(&["User"], rows.collect()))
}

/// `SHOW [ALL] AUTHENTICATION [FOR u]`, from FOR on.
pub(super) fn show_authentication(
    store: &Store,
    context: &Context<'_>,
    tokens: &mut Tokens<'_>,
    all: bool,
) -> Result<Table, Error> {
    let one = if tokens.accept(&["FOR"]) { user(tokens)? } else { context.user.to_owned() };
    if all || one != context.user {
        context.allow(Privilege::Grant, "", "")?;
    }
    let names = if all { store.users()? } else { vec![one] };
    let row = |name: String| {
        let digest = store.password_digest(&name).ok_or_else(|| unknown(&name))?;
        let has = if digest.is_empty() { "No" } else { "Yes" };
        let plugin = "MYSQL_NATIVE_PASSWORD".to_owned();
        Ok(vec![Some(format!("'{name}'@'%'")), Some(has.to_owned()), Some(plugin), None])
    };
    let rows = names.into_iter().map(row).collect::<Result<Vec<_>, Error>>()?;
    listing::finish(tokens, Table::new(&["UserIdentity", "Password", "AuthPlugin", "UserForAuthPlugin"], rows))
}

/// What a grant is on, in words.
fn described(grant: &Grant) -> String {
    match (grant.kind, grant.database.as_str(), grant.table.as_str()) {
        (Kind::System, ..) => "SYSTEM".to_owned(),
        (Kind::Catalog, ..) => "CATALOG default_catalog".to_owned(),
        (Kind::Database, EVERY, _) => "ALL DATABASES".to_owned(),
        (Kind::Database, database, _) => format!("DATABASE {database}"),
        (Kind::Table, EVERY, _) => "ALL TABLES IN ALL DATABASES".to_owned(),
        (Kind::Table, database, EVERY) => format!("ALL TABLES IN DATABASE {database}"),
        (Kind::Table, database, table) => format!("TABLE {database}.{table}"),
    }
}

fn unknown(name: &str) -> Error {
    Error::analysis(format!("cannot find user '{name}'@'%'"))
}

/// `'u'`, `u`, `'u'@'%'`.
fn user(tokens: &mut Tokens<'_>) -> Result<String, Error> {
    let word = |tokens: &mut Tokens<'_>| match tokens.peek() {
        Some(Token::Text(_)) => tokens.text(),
        _ => tokens.name(),
    };
    let name = word(tokens)?;
    if name.is_empty() || name.contains(['@', '\0', '\'']) || name.chars().count() > 64 {
        return Err(Error::analysis(format!("invalid user name {name}")));
    }
    if tokens.accept_symbol('@') && !tokens.accept_symbol('%') {
        let host = word(tokens)?;
        if host != "%" {
            return Err(Error::unsupported(format!("the host '{host}' of a user: any other than '%'")));
        }
    }
    Ok(name)
}

/// The password as stored, if one is given.
fn authentication(tokens: &mut Tokens<'_>) -> Result<Option<String>, Error> {
    if !tokens.accept(&["IDENTIFIED"]) {
        return Ok(None);
    }
    if tokens.accept(&["BY", "PASSWORD"]) {
        return stored(&tokens.text()?).map(Some);
    }
    if tokens.accept(&["BY"]) {
        return Ok(Some(password::digest(&tokens.text()?)));
    }
    tokens.expect("WITH")?;
    let plugin = match tokens.peek() {
        Some(Token::Text(_)) => tokens.text()?,
        _ => tokens.name()?,
    };
    if !plugin.eq_ignore_ascii_case("mysql_native_password") {
        return Err(Error::unsupported(format!("the authentication plugin {plugin}")));
    }
    if tokens.accept(&["BY"]) {
        Ok(Some(password::digest(&tokens.text()?)))
    } else if tokens.accept(&["AS"]) {
        stored(&tokens.text()?).map(Some)
    } else {
        Ok(Some(String::new()))
    }
}

/// A password that is given as it is stored.
fn stored(text: &str) -> Result<String, Error> {
    let hex = text.strip_prefix('*').is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex || text.is_empty() {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Error::new(
        1064,
        "Getting analyzing error. Detail message: Password hash should be a 41-digit hexadecimal number.",
    ))
}

fn rest(tokens: &mut Tokens<'_>) -> Result<(), Error> {
    if tokens.is("DEFAULT") {
        return Err(Error::unsupported("DEFAULT ROLE"));
    }
    tokens.end()
}

/// The names of the privileges, in upper case; `ALL` for all there are.
fn privileges(tokens: &mut Tokens<'_>) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    let mut words: Vec<String> = Vec::new();
    loop {
        let at_end = tokens.is("ON") || tokens.is("TO") || tokens.is("FROM");
        if at_end || tokens.accept_symbol(',') {
            if words.is_empty() {
                return Err(tokens.unexpected("a privilege"));
            }
            all.push(std::mem::take(&mut words).join(" "));
            if at_end {
                break;
            }
            continue;
        }
        words.push(match tokens.take() {
            // A quoted one is the name of a role.
            Some(Token::Text(name)) => name,
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => return Err(tokens.unexpected("a privilege")),
        });
    }
    Ok(all.into_iter().map(|name| if name == "ALL PRIVILEGES" { "ALL".to_owned() } else { name }).collect())
}

/// What privileges are granted on.
enum Object {
    /// Named by its kind.
    Plain(Kind, String, String),
    /// `db.*` and `*.*` as MySQL has them: the tables, and what is around them.
    Wide(String),
}

fn objects(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Vec<Object>, Error> {
    let plain = |kind, database: &str, table: &str| Object::Plain(kind, database.to_owned(), table.to_owned());
    if tokens.accept(&["SYSTEM"]) {
        return Ok(vec![plain(Kind::System, "", "")]);
    }
    if tokens.accept(&["ALL", "CATALOGS"]) {
        return Ok(vec![plain(Kind::Catalog, EVERY, "")]);
    }
    if tokens.accept(&["CATALOG"]) {
        let name = tokens.name()?;
        if name != "default_catalog" {
            return Err(Error::unsupported("another catalog than default_catalog"));
        }
        return Ok(vec![plain(Kind::Catalog, EVERY, "")]);
    }
    if tokens.accept(&["ALL", "DATABASES"]) {
        return Ok(vec![plain(Kind::Database, EVERY, "")]);
    }
    if tokens.accept(&["ALL", "TABLES", "IN"]) {
        if tokens.accept(&["ALL", "DATABASES"]) {
            return Ok(vec![plain(Kind::Table, EVERY, EVERY)]);
        }
        tokens.expect("DATABASE")?;
        return Ok(vec![plain(Kind::Table, &tokens.name()?, EVERY)]);
    }
    let mut all = Vec::new();
    if tokens.accept(&["DATABASE"]) {
        loop {
            all.push(plain(Kind::Database, &tokens.qualified_name()?.1, ""));
            if !tokens.accept_symbol(',') {
                return Ok(all);
            }
        }
    }
    if let Some(kind) = ["VIEW", "MATERIALIZED", "FUNCTION", "GLOBAL", "USER", "RESOURCE", "STORAGE", "WAREHOUSE"]
        .iter()
        .find(|kind| tokens.is(kind) && !matches!(tokens.peek_at(1), Some(Token::Symbol('.'))))
    {
        return Err(Error::unsupported(format!("a privilege ON {kind}")));
    }
    tokens.accept(&["TABLE"]);
    loop {
        all.push(table_object(context, tokens)?);
        if !tokens.accept_symbol(',') {
            return Ok(all);
        }
    }
}

/// `db.t`, `t`, `db.*`, `*.*`, `*`.
fn table_object(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Object, Error> {
    if tokens.accept_symbol('*') {
        if tokens.accept_symbol('.') {
            tokens.expect_symbol('*')?;
        }
        return Ok(Object::Wide(EVERY.to_owned()));
    }
    let first = tokens.name()?;
    if !tokens.accept_symbol('.') {
        let database = context.database.ok_or_else(Error::no_database)?;
        return Ok(Object::Plain(Kind::Table, database.to_owned(), first));
    }
    if tokens.accept_symbol('*') {
        return Ok(Object::Wide(first));
    }
    let mut names = (first, tokens.name()?);
    if tokens.accept_symbol('.') {
        names = (names.1, tokens.name()?);
    }
    Ok(Object::Plain(Kind::Table, names.0, names.1))
}

/// The grants that these privileges on an object come to.
fn on(object: &Object, wanted: &[String]) -> Result<Vec<Grant>, Error> {
    let grant = |kind, privilege: &str, database: &str, table: &str| Grant {
        kind,
        privilege: privilege.to_owned(),
        database: database.to_owned(),
        table: table.to_owned(),
    };
    let mut grants = Vec::new();
    for privilege in wanted {
        let has = |kind: Kind| privilege == "ALL" || kind.privileges().contains(&privilege.as_str());
        let named = |kind: Kind| {
            let all = kind.privileges().iter();
            all.filter(|name| privilege == "ALL" || *name == privilege).copied().collect::<Vec<_>>()
        };
        let before = grants.len();
        match object {
            Object::Plain(kind, database, table) if has(*kind) => {
                grants.extend(named(*kind).into_iter().map(|name| grant(*kind, name, database, table)));
            }
            Object::Plain(..) => {}
            Object::Wide(database) => {
                let tables = named(Kind::Table).into_iter().map(|name| grant(Kind::Table, name, database, EVERY));
                grants.extend(tables);
                let around = named(Kind::Database).into_iter().map(|name| grant(Kind::Database, name, database, ""));
                grants.extend(around);
                if database == EVERY {
                    grants.extend(named(Kind::Catalog).into_iter().map(|name| grant(Kind::Catalog, name, EVERY, "")));
                    grants.extend(named(Kind::System).into_iter().map(|name| grant(Kind::System, name, "", "")));
                }
            }
        }
        if grants.len() == before {
            let kind = match object {
                Object::Plain(kind, ..) => kind.name(),
                Object::Wide(_) => Kind::Table.name(),
            };
            return Err(Error::analysis(format!("Invalid privilege {privilege} on {kind}")));
        }
    }
    Ok(grants)
}

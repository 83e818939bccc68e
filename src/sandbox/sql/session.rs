//! A session: statements in, answers out.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use sqlparser::ast::Statement;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Tokenizer;

use super::create::CreateTable;
use super::query::bind_query;
use super::scope::{BoundQuery, Context, Relation, Scope, Visible, is_system_database};
use super::token::{Token, Tokens};
use super::{Error, account, admin, alter, catalog, define, depth, dml, expression, insert, show, variables};
use crate::clock::{Clock as _, SystemClock};
use crate::sandbox::function::calendar::{MICROS_PER_SECOND, Moment};
use crate::sandbox::overview::Overview;
use crate::sandbox::sessions::Running;
use crate::sandbox::store::Store;
use crate::sandbox::tablet;
use crate::sandbox::types::{Column, SqlType};
use crate::sandbox::user::Privilege;
use crate::sandbox::zone::Zone;

/// How deep expressions may be nested before the parser gives up, which protects the stack.
const DEPTH_MAX: usize = 200;

/// What a statement answers.
#[derive(Debug)]
pub(in crate::sandbox) enum Answer {
    /// It is done, and changed so many rows.
    Done { rows: u64 },
    /// Its rows come from this query, which has yet to run.
    Query(BoundQuery),
    /// Its rows are here.
    Table(Table),
    /// The plan of a query.
    Explanation(String),
}

/// A small table of texts.
#[derive(Debug)]
pub(in crate::sandbox) struct Table {
    pub columns: Vec<(String, SqlType)>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A table whose columns are all texts.
    pub(in crate::sandbox) fn new(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        Self { columns: columns.iter().map(|name| ((*name).to_owned(), SqlType::TEXT)).collect(), rows }
    }
}

/// What one client has said about itself so far.
#[derive(Debug)]
pub(in crate::sandbox) struct Session {
    pub database: Option<String>,
    pub user: String,
    pub connection_id: u32,
    /// The statement that is being run, where others may stop it.
    pub running: Option<Arc<Running>>,
    overview: Arc<dyn Overview>,
    pub(super) variables: BTreeMap<String, String>,
    offset_seconds: i64,
}

impl Session {
    pub(in crate::sandbox) fn new(user: &str, connection_id: u32, overview: Arc<dyn Overview>) -> Self {
        Self {
            database: None,
            user: user.to_owned(),
            connection_id,
            running: None,
            overview,
            variables: BTreeMap::new(),
            offset_seconds: 0,
        }
    }

    /// How long a statement may take, by `query_timeout`.
    pub(in crate::sandbox) fn query_timeout(&self) -> Option<Duration> {
        let seconds = self.variables.get("query_timeout").and_then(|text| text.parse().ok());
        Some(Duration::from_secs(seconds.unwrap_or(variables::QUERY_TIMEOUT_SECONDS))).filter(|limit| !limit.is_zero())
    }

    /// Makes a database the current one.
    pub(in crate::sandbox) fn select_database(&mut self, store: &Store, name: &str) -> Result<(), Error> {
        let name = name.strip_prefix("default_catalog.").unwrap_or(name);
        if !is_system_database(name) && !store.has_database(name)? {
            return Err(Error::unknown_database(name));
        }
        self.context(store).allow_any(name, "")?;
        self.database = Some(name.to_owned());
        Ok(())
    }

    /// Runs a statement. A query is only prepared: its rows are read where they are wanted.
    pub(in crate::sandbox) fn execute(&mut self, store: &Store, text: &str) -> Result<Answer, Error> {
        depth::with_room(text, || self.execute_here(store, text))?
    }

    fn execute_here(&mut self, store: &Store, text: &str) -> Result<Answer, Error> {
        let mut tokens = Tokens::new(text)?;
        let Some(first) = tokens.peek().cloned() else {
            // What MySQL's tools hide from other servers, `/*!40101 SET … */`, is hidden from this one too.
            let hidden = text.contains("/*!");
            return if hidden { Ok(Answer::Done { rows: 0 }) } else { Err(Error::new(1065, "Query was empty")) };
        };
        let keyword = match first {
            Token::Word(word) => word.to_ascii_uppercase(),
            _ => String::from("SELECT"),
        };
        match keyword.as_str() {
            "SELECT" | "WITH" | "VALUES" => self.query(store, text).map(Answer::Query),
            "EXPLAIN" | "DESC" | "DESCRIBE" => self.explain(store, &mut tokens),
            "SHOW" => show::show(&self.context(store), &mut tokens),
            "INSERT" => self.insert(store, text),
            "DELETE" | "UPDATE" => dml::change(store, &self.context(store), text).map(|rows| Answer::Done { rows }),
            "CREATE" => self.create(store, &mut tokens),
            "DROP" => self.drop(store, &mut tokens),
            "TRUNCATE" => self.truncate(store, &mut tokens),
            "USE" => {
                tokens.take();
                let (catalog, name) = tokens.qualified_name()?;
                tokens.end()?;
                if catalog.is_some_and(|catalog| catalog != "default_catalog") {
                    return Err(Error::unsupported("another catalog than default_catalog"));
                }
                self.select_database(store, &name).map(|()| Answer::Done { rows: 0 })
            }
            "SET" => self.set(store, &mut tokens).map(|()| Answer::Done { rows: 0 }),
            // Every statement is a transaction of its own, and these do not change that, as in StarRocks before 4.0.
            "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => Ok(Answer::Done { rows: 0 }),
            "KILL" => self.kill(store, &mut tokens),
            "GRANT" | "REVOKE" => {
                account::change(store, &self.context(store), &mut tokens).map(|()| Answer::Done { rows: 0 })
            }
            "ALTER" => self.alter(store, &mut tokens),
            "ADMIN" => admin::admin(&self.context(store), &mut tokens),
            "ANALYZE" | "REFRESH" | "CANCEL" | "EXPORT" | "LOAD" | "BACKUP" | "RESTORE" | "SUBMIT" | "CALL"
            | "SYNC" => Err(Error::unsupported(format!("the statement {keyword}"))),
            _ => Err(tokens.unexpected("a statement")),
        }
    }

    /// The columns that a statement will answer with, as far as that can be told without running it. Its parameters
    /// are taken for NULLs.
    pub(in crate::sandbox) fn describe(&self, store: &Store, text: &str) -> Result<Vec<(String, SqlType)>, Error> {
        let keyword = super::leading_keyword(text)?;
        if !matches!(keyword.as_str(), "SELECT" | "WITH") {
            return Ok(Vec::new());
        }
        let count = super::placeholders(text)?.len();
        let with = |literal: &str| {
            let literals = vec![literal.to_owned(); count];
            self.query(store, &super::with_parameters(text, &literals)?)
        };
        // Where NULL is not allowed, a number is: LIMIT.
        depth::with_room(text, || Ok(with("NULL").or_else(|_| with("1"))?.columns))?
    }

    /// `KILL [CONNECTION | QUERY] id`: one's own, or anybody's for who looks after the cluster.
    fn kill(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.expect("KILL")?;
        let session_too = tokens.accept(&["CONNECTION"]) || !tokens.accept(&["QUERY"]);
        let id = tokens.integer()?;
        tokens.end()?;
        let found = u32::try_from(id).ok().and_then(|id| Some((id, store.sessions().user(id)?)));
        let Some((id, user)) = found else { return Err(Error::new(1094, format!("Unknown thread id: {id}"))) };
        if user != self.user {
            self.context(store).allow(Privilege::Operate, "", "")?;
        }
        store.sessions().kill(id, session_too);
        Ok(Answer::Done { rows: 0 })
    }

    /// Binds a query.
    pub(super) fn query(&self, store: &Store, text: &str) -> Result<BoundQuery, Error> {
        match parse(text)? {
            Statement::Query(query) => bind_query(&self.context(store), &[], None, &query),
            other => Err(Error::unsupported(format!("the statement {other}"))),
        }
    }

    fn explain(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.take();
        let _ = ["LOGICAL", "ANALYZE", "VERBOSE", "COSTS"].iter().any(|level| tokens.accept(&[level]));
        if tokens.is("SELECT") || tokens.is("WITH") || tokens.peek() == Some(&Token::Symbol('(')) {
            let query = self.query(store, &tokens.source()[tokens.offset()..])?;
            let outputs: Vec<String> = query.columns.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
            let plan = format!(
                "PLAN FRAGMENT 0\n OUTPUT EXPRS: {}\n\n  RESULT SINK\n\n  0:SQLITE\n     {}",
                outputs.join(" | "),
                query.sql
            );
            return Ok(Answer::Explanation(plan));
        }
        let (database, name) = tokens.qualified_name()?;
        tokens.end()?;
        let table = self.context(store).table(database.as_deref(), &name)?;
        self.context(store).allow_any(&table.database, &table.name)?;
        Ok(Answer::Table(show::describe(&table)))
    }

    pub(super) fn insert(&self, store: &Store, text: &str) -> Result<Answer, Error> {
        match parse(text)? {
            Statement::Insert(statement) => {
                let rows = insert::insert(store, &self.context(store), &statement)?;
                Ok(Answer::Done { rows })
            }
            other => Err(Error::unsupported(format!("the statement {other}"))),
        }
    }

    fn create(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.expect("CREATE")?;
        if tokens.accept(&["DATABASE"]) || tokens.accept(&["SCHEMA"]) {
            let if_not_exists = tokens.accept(&["IF", "NOT", "EXISTS"]);
            let (_, name) = tokens.qualified_name()?;
            if tokens.accept(&["PROPERTIES"]) {
                tokens.parenthesised()?;
            }
            tokens.end()?;
            super::create::check_name("database", &name)?;
            if is_system_database(&name) {
                return Err(Error::new(1007, format!("Can't create database '{name}'; database exists")));
            }
            self.context(store).allow(Privilege::CreateDatabase, "", "")?;
            catalog::create_database(store, &name, if_not_exists)?;
        } else if tokens.accept(&["TABLE"]) {
            if let Some(answer) = define::create_from(self, store, tokens)? {
                return Ok(answer);
            }
            let table = CreateTable::parse(tokens)?;
            let database = table.database.as_deref().or(self.database.as_deref()).ok_or_else(Error::no_database)?;
            self.context(store).allow(Privilege::CreateTable, database, "")?;
            let generated = self.generated(store, &table.columns)?;
            catalog::create_table(store, database, &table, &generated)?;
        } else if tokens.accept(&["USER"]) {
            account::create(store, &self.context(store), tokens)?;
        } else {
            let what = tokens.name().unwrap_or_default().to_uppercase();
            return Err(Error::unsupported(format!("CREATE {what}")));
        }
        Ok(Answer::Done { rows: 0 })
    }

    fn alter(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.expect("ALTER")?;
        if tokens.accept(&["TABLE"]) {
            alter::table(self, store, tokens)?;
        } else if tokens.accept(&["USER"]) {
            account::alter(store, &self.context(store), tokens)?;
        } else {
            let what = tokens.name().unwrap_or_default().to_uppercase();
            return Err(Error::unsupported(format!("ALTER {what}")));
        }
        Ok(Answer::Done { rows: 0 })
    }

    /// The SQLite expressions of the generated columns, by position.
    pub(super) fn generated(&self, store: &Store, columns: &[Column]) -> Result<Vec<Option<String>>, Error> {
        let visible = columns.iter().filter(|column| column.generated.is_none()).map(|column| Visible {
            name: column.name.clone(),
            ty: column.ty.clone(),
            sql_name: column.name.clone(),
            merged: false,
        });
        let relation =
            Relation { sql_name: String::new(), database: None, name: String::new(), columns: visible.collect() };
        let scope = Scope { relations: vec![relation], parent: None };
        let context = self.context(store);
        columns
            .iter()
            .map(|column| {
                let Some(text) = &column.generated else { return Ok(None) };
                let bound = expression::Binder::new(&context, &[], &scope).bind(&parse_expression(text)?)?;
                Ok(Some(super::coerce::cast(bound, &column.ty)?.sql))
            })
            .collect()
    }

    fn drop(&mut self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.expect("DROP")?;
        if tokens.accept(&["DATABASE"]) || tokens.accept(&["SCHEMA"]) {
            let if_exists = tokens.accept(&["IF", "EXISTS"]);
            let (_, name) = tokens.qualified_name()?;
            tokens.accept(&["FORCE"]);
            tokens.end()?;
            self.context(store).allow(Privilege::Drop, &name, "")?;
            catalog::drop_database(store, &name, if_exists)?;
            self.database.take_if(|current| *current == name);
        } else if tokens.accept(&["TABLE"]) {
            let if_exists = tokens.accept(&["IF", "EXISTS"]);
            let (database, name) = tokens.qualified_name()?;
            tokens.accept(&["FORCE"]);
            tokens.end()?;
            let database = database.as_deref().or(self.database.as_deref()).ok_or_else(Error::no_database)?;
            self.context(store).allow(Privilege::Drop, database, &name)?;
            catalog::drop_table(store, database, &name, if_exists)?;
        } else if tokens.accept(&["USER"]) {
            account::drop(store, &self.context(store), tokens)?;
        } else {
            let what = tokens.name().unwrap_or_default().to_uppercase();
            return Err(Error::unsupported(format!("DROP {what}")));
        }
        Ok(Answer::Done { rows: 0 })
    }

    fn truncate(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
        tokens.expect("TRUNCATE")?;
        tokens.expect("TABLE")?;
        let (database, name) = tokens.qualified_name()?;
        if tokens.is("PARTITION") {
            return Err(Error::unsupported("TRUNCATE TABLE … PARTITION"));
        }
        tokens.end()?;
        let table = self.context(store).table(database.as_deref(), &name)?;
        self.context(store).allow(Privilege::Delete, &table.database, &table.name)?;
        store.write(|transaction| {
            transaction.execute_batch(&format!("DELETE FROM {}", table.storage()))?;
            tablet::bump_version(transaction, table.id)
        })?;
        Ok(Answer::Done { rows: 0 })
    }

    /// `SET name = value, …`. Values that decide nothing here are kept, so that a client reads back what it set.
    fn set(&mut self, store: &Store, tokens: &mut Tokens<'_>) -> Result<(), Error> {
        tokens.expect("SET")?;
        if ["CATALOG", "ROLE", "WAREHOUSE"].iter().any(|word| tokens.is(word))
            || tokens.accept(&["SESSION", "TRANSACTION"])
            || tokens.accept(&["TRANSACTION"])
        {
            return Ok(());
        }
        if tokens.is("PASSWORD") {
            return account::set_password(store, &self.context(store), tokens);
        }
        loop {
            if ["NAMES", "CHARSET", "CHARACTER"].iter().any(|word| tokens.is(word)) {
                // Everything is UTF-8. Drivers name it among their variables, as in `SET autocommit = 1, NAMES utf8mb4`.
                while !matches!(tokens.peek(), None | Some(Token::Symbol(',' | ';'))) {
                    tokens.take();
                }
                if tokens.accept_symbol(',') {
                    continue;
                }
                return tokens.end();
            }
            let _ = tokens.accept(&["GLOBAL"]) || tokens.accept(&["SESSION"]) || tokens.accept(&["LOCAL"]);
            let at_signs = std::iter::from_fn(|| tokens.accept_symbol('@').then_some('@')).collect::<String>();
            let mut name = format!("{at_signs}{}", tokens.name()?);
            while tokens.accept_symbol('.') {
                name = format!("{name}.{}", tokens.name()?);
            }
            tokens.accept_symbol(':');
            tokens.expect_symbol('=')?;
            let value = self.set_value(store, tokens)?;
            self.set_variable(&variables::normal_name(&name), value)?;
            if !tokens.accept_symbol(',') {
                return tokens.end();
            }
        }
    }

    /// A word stands for itself, as in `SET sql_mode = ansi`; anything else is computed.
    fn set_value(&self, store: &Store, tokens: &mut Tokens<'_>) -> Result<String, Error> {
        let start = tokens.offset();
        let mut depth = 0;
        let mut count = 0;
        while let Some(token) = tokens.peek() {
            match token {
                Token::Symbol(',' | ';') if depth == 0 => break,
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth -= 1,
                _ => {}
            }
            count += 1;
            tokens.take();
        }
        let text = &tokens.source()[start..tokens.taken_end().max(start)];
        if count == 1 && !text.starts_with(['\'', '"', '@']) {
            return Ok(match text.to_ascii_lowercase().as_str() {
                "on" | "true" => "1".to_owned(),
                "off" | "false" => "0".to_owned(),
                _ => text.trim_matches('`').to_owned(),
            });
        }
        let query = self.query(store, &format!("SELECT CAST(({text}) AS VARCHAR)"))?;
        Ok(store
            .read(|connection| connection.query_row(&query.sql, [], |row| row.get::<_, Option<String>>(0)))?
            .unwrap_or_default())
    }

    fn set_variable(&mut self, name: &str, value: String) -> Result<(), Error> {
        variables::check_settable(name)?;
        if name == "query_timeout" && !value.parse::<u64>().is_ok_and(|seconds| (1..=259_200).contains(&seconds)) {
            return Err(Error::new(1064, "query_timeout should be between 1 and 259200".to_owned()));
        }
        if name == "time_zone" {
            let zone = Zone::parse(&value);
            self.offset_seconds = zone
                .map(Zone::offset_seconds)
                .ok_or_else(|| Error::new(1298, format!("Unknown or incorrect time zone: '{value}'")))?;
        }
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    pub(super) fn context<'a>(&'a self, store: &'a Store) -> Context<'a> {
        let utc_now = now();
        Context {
            store: Some(store),
            database: self.database.as_deref(),
            user: &self.user,
            connection_id: self.connection_id,
            overview: Some(&*self.overview),
            running: self.running.as_deref(),
            now: utc_now.add_micros(self.offset_seconds * MICROS_PER_SECOND).unwrap_or(utc_now),
            utc_now,
            offset_seconds: self.offset_seconds,
            variables: &self.variables,
            relations: Cell::new(0),
        }
    }
}

/// The current time in UTC, which is the sandbox's time zone unless a session sets another.
pub(super) fn now() -> Moment {
    let since = SystemClock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or_default();
    Moment::from_micros(micros).expect("the clock shows a year of four digits")
}

/// Parses exactly one statement.
pub(super) fn parse(text: &str) -> Result<Statement, Error> {
    let dialect = MySqlDialect {};
    let statements = parser(&dialect, text)?.parse_statements().map_err(syntax)?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => Ok(statement),
        (None, _) => Err(Error::new(1065, "Query was empty")),
        (Some(_), Some(_)) => {
            Err(Error::new(1064, "Getting syntax error. Detail message: only one statement at a time."))
        }
    }
}

/// Parses an expression that stands alone.
pub(super) fn parse_expression(text: &str) -> Result<sqlparser::ast::Expr, Error> {
    let dialect = MySqlDialect {};
    let mut parser = parser(&dialect, text)?;
    let expression = parser.parse_expr().map_err(syntax)?;
    let rest = parser.peek_token();
    match rest.token {
        sqlparser::tokenizer::Token::EOF => Ok(expression),
        other => Err(syntax(ParserError::ParserError(format!("Unexpected input '{other}'")))),
    }
}

/// A parser for a text that is not too deep for those who read its tree.
fn parser<'a>(dialect: &'a MySqlDialect, text: &str) -> Result<Parser<'a>, Error> {
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location().map_err(|fault| syntax(fault.into()))?;
    depth::check(&tokens)?;
    Ok(Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens))
}

fn syntax(fault: ParserError) -> Error {
    let detail = match fault {
        ParserError::TokenizerError(detail) | ParserError::ParserError(detail) => detail,
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    Error::new(1064, format!("Getting syntax error. Detail message: {detail}."))
}

/// What an expression of a load can know: the time at a place, and nothing of a session.
pub(in crate::sandbox) fn translate(
    expression: &str,
    columns: &[(String, SqlType)],
    zone: Zone,
) -> Result<String, Error> {
    depth::with_room(expression, || translate_here(expression, columns, zone))?
}

fn translate_here(expression: &str, columns: &[(String, SqlType)], zone: Zone) -> Result<String, Error> {
    let visible = columns.iter().map(|(name, ty)| Visible {
        name: name.clone(),
        ty: ty.clone(),
        sql_name: name.clone(),
        merged: false,
    });
    let relation =
        Relation { sql_name: String::new(), database: None, name: String::new(), columns: visible.collect() };
    let scope = Scope { relations: vec![relation], parent: None };
    let (variables, utc_now) = (BTreeMap::new(), now());
    let context = Context {
        store: None,
        database: None,
        user: "root",
        connection_id: 0,
        overview: None,
        running: None,
        now: utc_now.add_micros(zone.offset_seconds() * MICROS_PER_SECOND).unwrap_or(utc_now),
        utc_now,
        offset_seconds: zone.offset_seconds(),
        variables: &variables,
        relations: Cell::new(0),
    };
    let binder = expression::Binder::new(&context, &[], &scope);
    let bound = binder.bind(&parse_expression(expression)?)?;
    if binder.aggregated.get() {
        return Err(Error::analysis("an expression of a load cannot contain aggregations"));
    }
    Ok(bound.sql)
}

//! `CREATE TABLE`: from its words to a definition.

use std::fmt::Write as _;

use super::Error;
use super::keys::{self, FOREIGN_AGGREGATIONS, KeyClause};
use super::token::{Token, Tokens};
use crate::sandbox::types::{Aggregation, Column, Default, KeysType, SqlType, quote};

/// The longest table or column name, in characters.
const NAME_LENGTH_MAX: usize = 1024;

/// A `CREATE TABLE` statement, checked as far as that is possible without the catalogue.
#[derive(Debug)]
pub(super) struct CreateTable {
    pub if_not_exists: bool,
    pub database: Option<String>,
    pub name: String,
    pub keys: KeysType,
    pub columns: Vec<Column>,
    pub comment: String,
    pub ddl: String,
}

/// What follows the columns.
#[derive(Debug, std::default::Default)]
pub(super) struct Clauses {
    pub(super) keys: Option<KeyClause>,
    pub(super) comment: String,
    pub(super) partition: Option<String>,
    pub(super) distribution: Option<String>,
    pub(super) order: Option<Vec<String>>,
    pub(super) properties: Vec<(String, String)>,
}

impl CreateTable {
    /// Reads what follows `CREATE TABLE`.
    pub(super) fn parse(tokens: &mut Tokens<'_>) -> Result<Self, Error> {
        let if_not_exists = tokens.accept(&["IF", "NOT", "EXISTS"]);
        let (database, name) = tokens.qualified_name()?;
        check_name("table", &name)?;
        let (mut columns, said_null) = columns(tokens)?;
        let clauses = clauses(tokens)?;
        tokens.end()?;
        check_columns(&columns)?;
        let keys = keys::apply(&mut columns, clauses.keys.as_ref(), &said_null)?;
        check_mentioned(keys, &columns, &clauses)?;
        let ddl = render(&name, keys, &columns, &clauses);
        Ok(Self { if_not_exists, database, name, keys, columns, comment: clauses.comment, ddl })
    }
}

/// The `PARTITION BY` of a table, from what `SHOW CREATE TABLE` shows of it.
pub(in crate::sandbox) fn partition_clause(ddl: &str) -> Option<String> {
    clauses_of(ddl)?.partition
}

/// The comment and the properties of a table, from the same.
pub(in crate::sandbox) fn comment_and_properties(ddl: &str) -> Option<(String, Vec<(String, String)>)> {
    clauses_of(ddl).map(|clauses| (clauses.comment, clauses.properties))
}

/// What follows the columns of a table, from what `SHOW CREATE TABLE` shows of it.
pub(super) fn clauses_of(ddl: &str) -> Option<Clauses> {
    let mut tokens = Tokens::new(ddl).ok()?;
    tokens.accept(&["CREATE", "TABLE"]).then_some(())?;
    tokens.qualified_name().ok()?;
    columns(&mut tokens).ok()?;
    clauses(&mut tokens).ok()
}

/// Refuses names that StarRocks refuses.
pub(super) fn check_name(kind: &str, name: &str) -> Result<(), Error> {
    let length = name.chars().count();
    let forbidden: &[char] = if kind == "column" { &['\0', '=', '<', '>', '!', '*'] } else { &['\0'] };
    let blank = name.trim() != name && kind != "column";
    if length == 0 || length > NAME_LENGTH_MAX || blank || name.contains(forbidden) {
        let code = if kind == "column" { 1166 } else { 1103 };
        return Err(Error::new(code, format!("Incorrect {kind} name '{name}'")));
    }
    if kind == "column" && (name.eq_ignore_ascii_case("__op") || name.eq_ignore_ascii_case("__row")) {
        return Err(Error::new(1166, format!("Incorrect column name '{name}': it is reserved")));
    }
    Ok(())
}

/// How many columns a table may have on the server; SQLite stops at 2000, and says so.
const COLUMNS_MAX: usize = 10_000;

/// The columns, and the names of those that NULL was written behind.
pub(super) fn columns(tokens: &mut Tokens<'_>) -> Result<(Vec<Column>, Vec<String>), Error> {
    tokens.expect_symbol('(')?;
    let (mut columns, mut said_null) = (Vec::new(), Vec::new());
    loop {
        if tokens.is("INDEX") && !matches!(tokens.peek_at(2), Some(Token::Symbol(',' | ')'))) {
            skip_index(tokens)?;
        } else {
            if columns.len() == COLUMNS_MAX {
                return Err(Error::new(1117, "Too many columns"));
            }
            columns.push(column(tokens, &mut said_null)?);
        }
        if !tokens.accept_symbol(',') {
            break;
        }
    }
    tokens.expect_symbol(')')?;
    Ok((columns, said_null))
}

/// `INDEX name (column) USING BITMAP COMMENT 'c'`: nothing that a reader of the table would notice.
fn skip_index(tokens: &mut Tokens<'_>) -> Result<(), Error> {
    tokens.expect("INDEX")?;
    tokens.name()?;
    tokens.names()?;
    if tokens.accept(&["USING"]) {
        tokens.name()?;
        if tokens.peek() == Some(&Token::Symbol('(')) {
            tokens.parenthesised()?;
        }
    }
    if tokens.accept(&["COMMENT"]) {
        tokens.text()?;
    }
    Ok(())
}

/// Reads a column as it stands in CREATE TABLE and ADD COLUMN.
pub(super) fn column(tokens: &mut Tokens<'_>, said_null: &mut Vec<String>) -> Result<Column, Error> {
    let name = tokens.name()?;
    check_name("column", &name)?;
    let ty = tokens.sql_type()?;
    let mut column = Column {
        name,
        ty,
        nullable: true,
        key: false,
        aggregation: None,
        default: None,
        auto_increment: false,
        generated: None,
        comment: String::new(),
    };
    while column_option(tokens, &mut column, said_null)? {}
    Ok(column)
}

/// Takes one of the options behind a column's type, in any order.
fn column_option(tokens: &mut Tokens<'_>, column: &mut Column, said_null: &mut Vec<String>) -> Result<bool, Error> {
    if let Some(word) = FOREIGN_AGGREGATIONS.iter().find(|word| tokens.is(word)) {
        return Err(Error::unsupported(format!("column `{}` with the aggregation {word}", column.name)));
    }
    if let Some(aggregation) = Aggregation::ALL.into_iter().find(|aggregation| tokens.accept(&[aggregation.keyword()]))
    {
        column.aggregation = Some(aggregation);
    } else if tokens.accept(&["NOT", "NULL"]) {
        column.nullable = false;
    } else if tokens.accept(&["NULL"]) {
        column.nullable = true;
        said_null.push(column.name.clone());
    } else if tokens.accept(&["KEY"]) {
        column.key = true;
    } else if tokens.accept(&["DEFAULT"]) {
        column.default = default(tokens)?;
    } else if tokens.accept(&["AUTO_INCREMENT"]) {
        column.auto_increment = true;
        column.nullable = false;
    } else if tokens.accept(&["AS"]) {
        column.generated = Some(generated(tokens)?);
    } else if tokens.accept(&["COMMENT"]) {
        column.comment = tokens.text()?;
    } else if tokens.accept(&["CHARACTER", "SET"]) || tokens.accept(&["CHARSET"]) || tokens.accept(&["COLLATE"]) {
        tokens.name()?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn default(tokens: &mut Tokens<'_>) -> Result<Option<Default>, Error> {
    if tokens.accept(&["NULL"]) {
        return Ok(None);
    }
    if tokens.accept(&["CURRENT_TIMESTAMP"]) || tokens.accept(&["NOW"]) {
        if tokens.peek() == Some(&Token::Symbol('(')) {
            tokens.parenthesised()?;
        }
        return Ok(Some(Default::Expression("CURRENT_TIMESTAMP".to_owned())));
    }
    if tokens.peek() == Some(&Token::Symbol('(')) {
        let expression = tokens.parenthesised()?;
        return function_default(expression).map(Some);
    }
    let sign = if tokens.accept_symbol('-') { "-" } else { "" };
    match tokens.take() {
        Some(Token::Number(digits)) => Ok(Some(Default::Literal(format!("{sign}{digits}")))),
        Some(Token::Text(text)) if sign.is_empty() => Ok(Some(Default::Literal(text))),
        Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Ok(Some(Default::Literal("1".to_owned()))),
        Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Ok(Some(Default::Literal("0".to_owned()))),
        Some(Token::Word(word)) if tokens.peek() == Some(&Token::Symbol('(')) => {
            let arguments = tokens.parenthesised()?;
            function_default(&format!("{word}({arguments})")).map(Some)
        }
        _ => Err(tokens.unexpected("a default value")),
    }
}

fn function_default(expression: &str) -> Result<Default, Error> {
    let compact: String = expression.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    match compact.as_str() {
        "uuid()" | "uuid_numeric()" => Ok(Default::Expression(compact)),
        "now()" | "current_timestamp" | "current_timestamp()" => {
            Ok(Default::Expression("CURRENT_TIMESTAMP".to_owned()))
        }
        _ => Err(Error::analysis(format!("Default expr for function {expression} is not supported"))),
    }
}

/// The expression of a generated column: up to the comma or parenthesis that ends the column, or its comment.
fn generated(tokens: &mut Tokens<'_>) -> Result<String, Error> {
    let start = tokens.offset();
    let mut depth = 0;
    loop {
        match tokens.peek() {
            Some(Token::Symbol(',' | ')')) if depth == 0 => break,
            Some(Token::Word(word)) if depth == 0 && word.eq_ignore_ascii_case("COMMENT") => break,
            Some(Token::Symbol('(')) => depth += 1,
            Some(Token::Symbol(')')) => depth -= 1,
            Some(_) => {}
            None => return Err(tokens.unexpected("')'")),
        }
        tokens.take();
    }
    let expression = tokens.source()[start..tokens.taken_end().max(start)].trim();
    if expression.is_empty() { Err(tokens.unexpected("an expression")) } else { Ok(expression.to_owned()) }
}

pub(super) fn clauses(tokens: &mut Tokens<'_>) -> Result<Clauses, Error> {
    let mut clauses = Clauses::default();
    while !matches!(tokens.peek(), None | Some(Token::Symbol(';'))) {
        if tokens.accept(&["ENGINE"]) {
            tokens.expect_symbol('=')?;
            let engine = tokens.name()?;
            if !engine.eq_ignore_ascii_case("olap") {
                return Err(Error::unsupported(format!("ENGINE={engine}")));
            }
        } else if let Some(kind) = KeysType::ALL.into_iter().find(|kind| tokens.accept(&[kind.keyword(), "KEY"])) {
            clauses.keys = Some(KeyClause { kind, names: tokens.names()? });
        } else if tokens.accept(&["COMMENT"]) {
            clauses.comment = tokens.text()?;
        } else if tokens.is("PARTITION") {
            clauses.partition = Some(phrase(tokens, &["DISTRIBUTED", "ORDER", "PROPERTIES", "COMMENT"])?);
        } else if tokens.is("DISTRIBUTED") {
            clauses.distribution = Some(distribution(tokens)?);
        } else if tokens.accept(&["ORDER", "BY"]) {
            clauses.order = Some(tokens.names()?);
        } else if tokens.accept(&["ROLLUP"]) {
            // As an index, it is nothing that a reader of the table would notice, and SHOW CREATE TABLE leaves it out.
            tokens.parenthesised()?;
        } else if tokens.accept(&["PROPERTIES"]) {
            clauses.properties = properties(tokens)?;
        } else {
            return Err(tokens.unexpected("a clause of CREATE TABLE or the end of the statement"));
        }
    }
    Ok(clauses)
}

/// A clause as written, up to one of these keywords outside of parentheses, or the end. A bracket may end as a parenthesis:
/// that is how the partition from one day up to another is written, `[("2024-01-01"), ("2024-02-01"))`.
fn phrase(tokens: &mut Tokens<'_>, until: &[&str]) -> Result<String, Error> {
    let start = tokens.offset();
    let mut depth = 0;
    while let Some(token) = tokens.peek() {
        match token {
            Token::Symbol('(' | '[') => depth += 1,
            Token::Symbol(')' | ']') => depth -= 1,
            Token::Symbol(';') if depth == 0 => break,
            Token::Word(word) if depth == 0 && until.iter().any(|end| word.eq_ignore_ascii_case(end)) => break,
            _ => {}
        }
        tokens.take();
    }
    if depth != 0 {
        return Err(tokens.unexpected("')'"));
    }
    Ok(tokens.source()[start..tokens.taken_end()].to_owned())
}

fn distribution(tokens: &mut Tokens<'_>) -> Result<String, Error> {
    tokens.expect("DISTRIBUTED")?;
    tokens.expect("BY")?;
    let mut text = String::from("DISTRIBUTED BY ");
    if tokens.accept(&["RANDOM"]) {
        text.push_str("RANDOM");
    } else {
        tokens.expect("HASH")?;
        let names: Vec<String> = tokens.names()?.iter().map(|name| backticked(name)).collect();
        let _ = write!(text, "HASH({})", names.join(", "));
    }
    if tokens.accept(&["BUCKETS"]) {
        match tokens.integer()? {
            0 => return Err(Error::analysis("Number of hash buckets should be larger than zero")),
            buckets => {
                let _ = write!(text, " BUCKETS {buckets}");
            }
        }
    }
    Ok(text)
}

pub(super) fn properties(tokens: &mut Tokens<'_>) -> Result<Vec<(String, String)>, Error> {
    tokens.expect_symbol('(')?;
    let mut properties = Vec::new();
    loop {
        let name = tokens.text()?;
        tokens.expect_symbol('=')?;
        properties.push((name, tokens.text()?));
        if !tokens.accept_symbol(',') {
            break;
        }
    }
    tokens.expect_symbol(')')?;
    Ok(properties)
}

pub(super) fn check_columns(columns: &[Column]) -> Result<(), Error> {
    for (at, column) in columns.iter().enumerate() {
        if columns[..at].iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            return Err(Error::new(1060, format!("Duplicate column name '{}'", column.name)));
        }
        if column.auto_increment && column.ty != SqlType::BigInt {
            return Err(Error::analysis(format!("The AUTO_INCREMENT column '{}' must be BIGINT", column.name)));
        }
        if matches!(column.ty, SqlType::Other(_)) {
            return Err(Error::unsupported(format!("column `{}` {}", column.name, column.ty)));
        }
    }
    if columns.iter().filter(|column| column.auto_increment).count() > 1 {
        return Err(Error::analysis("More than one AUTO_INCREMENT column defined"));
    }
    if columns.iter().all(|column| column.generated.is_some()) {
        return Err(Error::analysis("a table needs a column that is not generated"));
    }
    Ok(())
}

/// Makes sure that the columns that the clauses name are there, and that rows with equal keys would meet.
pub(super) fn check_mentioned(keys: KeysType, columns: &[Column], clauses: &Clauses) -> Result<(), Error> {
    let find = |name: &str| {
        let found = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::analysis(format!("column({name}) doesn't exist")))
    };
    clauses.order.iter().flatten().try_for_each(|name| find(name).map(drop))?;
    let Some(distribution) = &clauses.distribution else { return Ok(()) };
    if !distribution.contains('(') {
        let replaces =
            |column: &Column| matches!(column.aggregation, Some(Aggregation::Replace | Aggregation::ReplaceIfNotNull));
        let word = keys.keyword();
        return match keys {
            KeysType::Unique | KeysType::Primary => {
                Err(Error::analysis(format!("{word} KEY must use hash distribution")))
            }
            KeysType::Aggregate if columns.iter().any(replaces) => {
                Err(Error::analysis(format!("{word} KEY with replace must use hash distribution")))
            }
            _ => Ok(()),
        };
    }
    let mut tokens = Tokens::new(distribution.trim_start_matches("DISTRIBUTED BY HASH"))?;
    for name in tokens.names()? {
        if !find(&name)?.key && keys.merges() {
            return Err(Error::analysis(format!("Distribution column[{name}] is not key column")));
        }
    }
    Ok(())
}

pub(super) fn render(name: &str, kind: KeysType, columns: &[Column], clauses: &Clauses) -> String {
    let lines: Vec<String> = columns.iter().map(|column| format!("  {}", render_column(column))).collect();
    let keys: Vec<String> = columns.iter().filter(|column| column.key).map(|column| backticked(&column.name)).collect();
    let mut ddl = format!("CREATE TABLE {} (\n{}\n) ENGINE=OLAP", backticked(name), lines.join(",\n"));
    if !keys.is_empty() {
        let _ = write!(ddl, "\n{} KEY({})", kind.keyword(), keys.join(", "));
    }
    if !clauses.comment.is_empty() {
        let _ = write!(ddl, "\nCOMMENT {}", quote(&clauses.comment));
    }
    if let Some(partition) = &clauses.partition {
        let _ = write!(ddl, "\n{partition}");
    }
    match &clauses.distribution {
        Some(distribution) => {
            let _ = write!(ddl, "\n{distribution}");
        }
        None if kind.merges() => {
            let _ = write!(ddl, "\nDISTRIBUTED BY HASH({})", keys.join(", "));
        }
        None => ddl.push_str("\nDISTRIBUTED BY RANDOM"),
    }
    if let Some(order) = &clauses.order {
        let order: Vec<String> = order.iter().map(|name| backticked(name)).collect();
        let _ = write!(ddl, "\nORDER BY({})", order.join(", "));
    }
    if !clauses.properties.is_empty() {
        let properties: Vec<String> =
            clauses.properties.iter().map(|(name, value)| format!("{} = {}", quote(name), quote(value))).collect();
        let _ = write!(ddl, "\nPROPERTIES (\n{}\n)", properties.join(",\n"));
    }
    ddl.push(';');
    ddl
}

fn render_column(column: &Column) -> String {
    let mut text = format!("{} {}", backticked(&column.name), column.ty);
    if let Some(aggregation) = column.aggregation {
        let _ = write!(text, " {}", aggregation.keyword());
    }
    text.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
    if column.auto_increment {
        text.push_str(" AUTO_INCREMENT");
    }
    match &column.default {
        Some(Default::Literal(value)) => {
            let _ = write!(text, " DEFAULT {}", quote(value));
        }
        Some(Default::Expression(expression)) if expression.contains('(') => {
            let _ = write!(text, " DEFAULT ({expression})");
        }
        Some(Default::Expression(expression)) => {
            let _ = write!(text, " DEFAULT {expression}");
        }
        None => {}
    }
    if let Some(expression) = &column.generated {
        let _ = write!(text, " AS {expression}");
    }
    let _ = write!(text, " COMMENT {}", quote(&column.comment));
    text
}

/// A name as StarRocks reads it back.
pub(super) fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CreateTable, Error> {
        let mut tokens = Tokens::new(text)?;
        assert!(tokens.accept(&["CREATE", "TABLE"]), "{text}");
        CreateTable::parse(&mut tokens)
    }

    #[test]
    fn tables_are_read_as_people_write_them() {
        for (text, keys) in [
            ("CREATE TABLE t (a INT)", 1),
            ("CREATE TABLE IF NOT EXISTS db.t (a INT, b INT, c INT, d INT) ENGINE=OLAP", 3),
            ("CREATE TABLE t (a VARCHAR(10), b INT) DUPLICATE KEY(a, `B`)", 2),
            ("CREATE TABLE t (a VARCHAR(10), b INT)", 1),
            (
                "CREATE TABLE t (a BIGINT NOT NULL AUTO_INCREMENT, `odd $ name` STRING NULL COMMENT 'it''s') COMMENT 'c'",
                2,
            ),
            (
                "CREATE TABLE t (a INT, d DATETIME DEFAULT CURRENT_TIMESTAMP, u VARCHAR(36) DEFAULT (uuid()), n INT DEFAULT '-1')",
                3,
            ),
            ("CREATE TABLE t (a INT, b DECIMAL(10,2) DEFAULT 1.50, c DOUBLE AS a * (b + 1) COMMENT 'g', e JSON)", 2),
            (
                "create table t (a date, b int) duplicate key (a) partition by range(a) (partition p1 values less than \
                 ('2024-01-01')) distributed by hash(a, b) buckets 4 order by (b) properties ('replication_num' = \"1\");",
                1,
            ),
            (
                "CREATE TABLE t (a INT, b DATE, c INT SUM NOT NULL DEFAULT '0', d JSON REPLACE_IF_NOT_NULL) AGGREGATE KEY(a, b)",
                2,
            ),
            (
                "CREATE TABLE t (a DATE, b INT) DUPLICATE KEY(a) PARTITION BY RANGE(a) (PARTITION p1 VALUES LESS THAN (\"2024-02-01\"), \
                 PARTITION p2 VALUES [(\"2024-02-01\"), (\"2024-03-01\")), PARTITION p3 VALUES LESS THAN MAXVALUE) \
                 DISTRIBUTED BY HASH(b) PROPERTIES (\"replication_num\" = \"1\")",
                1,
            ),
            (
                "CREATE TABLE t (a INT, b INT, c INT SUM) AGGREGATE KEY(a, b) DISTRIBUTED BY HASH(a) ROLLUP (r1 (a, c), r2 (b, c)) \
                 PROPERTIES ('replication_num' = '1')",
                2,
            ),
            ("CREATE TABLE t (a INT, b VARCHAR(9) MAX, c DECIMAL(9,2) MIN)", 1),
            ("CREATE TABLE t (a INT, b VARCHAR(9), c ARRAY<INT>) UNIQUE KEY(a, b) DISTRIBUTED BY HASH(b)", 2),
            ("CREATE TABLE t (a INT, b INT, c INT AS b + 1) PRIMARY KEY(a) ORDER BY (b)", 1),
            ("CREATE TABLE t (a DATE, b ARRAY<INT>) PARTITION BY date_trunc('day', a) DISTRIBUTED BY RANDOM", 1),
        ] {
            let table = parse(text).expect(text);
            assert_eq!(table.columns.iter().filter(|column| column.key).count(), keys, "{text}");
            let again = parse(&table.ddl).expect(&table.ddl);
            assert_eq!(again.ddl, table.ddl, "what SHOW CREATE TABLE shows is read back as the same table");
        }
    }

    #[test]
    fn tables_that_starrocks_refuses_are_refused() {
        for (text, word) in [
            ("CREATE TABLE t (a INT, A INT)", "Duplicate column name 'A'"),
            ("CREATE TABLE t (a FLOAT, b INT)", "key column 'a'"),
            ("CREATE TABLE t (a JSON)", "key column 'a'"),
            ("CREATE TABLE t (a INT, b INT) DUPLICATE KEY(b)", "first few columns"),
            ("CREATE TABLE t (a INT) DUPLICATE KEY(z)", "doesn't exist"),
            ("CREATE TABLE t (a INT NULL) PRIMARY KEY(a)", "primary key column[a] cannot be nullable"),
            ("CREATE TABLE t (a INT, b INT) PRIMARY KEY(b)", "first few columns"),
            ("CREATE TABLE t (a INT, b INT) AGGREGATE KEY(a)", "should specify aggregate type for non-key column[b]"),
            ("CREATE TABLE t (a INT, b INT SUM) UNIQUE KEY(a)", "UNIQUE_KEYS table should not specify aggregate type"),
            ("CREATE TABLE t (a INT SUM, b INT SUM) AGGREGATE KEY(a)", "aggregate function for key column 'a'"),
            ("CREATE TABLE t (a INT, b JSON MAX) AGGREGATE KEY(a)", "Invalid aggregate function 'MAX' for 'b'"),
            ("CREATE TABLE t (a INT, b VARCHAR(9) SUM) AGGREGATE KEY(a)", "Invalid aggregate function 'SUM' for 'b'"),
            ("CREATE TABLE t (a INT, b HLL HLL_UNION) AGGREGATE KEY(a)", "the aggregation HLL_UNION"),
            ("CREATE TABLE t (a INT, b INT) UNIQUE KEY(a) DISTRIBUTED BY RANDOM", "must use hash distribution"),
            ("CREATE TABLE t (a INT, b INT) PRIMARY KEY(a) DISTRIBUTED BY HASH(b)", "column[b] is not key column"),
            ("CREATE TABLE t (a INT, b INT AS a) PRIMARY KEY(a, b)", "generated column b cannot be a key"),
            ("CREATE TABLE t (a INT) DISTRIBUTED BY HASH(z)", "column(z) doesn't exist"),
            ("CREATE TABLE t (a INT) DISTRIBUTED BY HASH(a) BUCKETS 0", "larger than zero"),
            ("CREATE TABLE t (a INT) ENGINE=mysql", "ENGINE=mysql"),
            ("CREATE TABLE t (a INT,)", "syntax error"),
            ("CREATE TABLE t (a INT", "<EOF>"),
            ("CREATE TABLE t (a INTEGRE)", "expected a type"),
            ("CREATE TABLE t (a INT AUTO_INCREMENT)", "must be BIGINT"),
            ("CREATE TABLE t (a INT, `x=y` INT)", "Incorrect column name"),
            ("CREATE TABLE t (a INT) SURPRISE", "SURPRISE"),
            ("CREATE TABLE t (a INT, __op INT)", "reserved"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(word), "{text}: {error}");
        }
    }
}

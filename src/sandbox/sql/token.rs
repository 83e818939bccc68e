//! The words of a statement, and the few phrases that several statements share.

use std::ops::Range;

use super::Error;
use crate::sandbox::types::{STRING_BYTES, SqlType, VARCHAR_BYTES_MAX};

/// One word of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) enum Token {
    /// A bare word: a keyword or a name.
    Word(String),
    /// A name in backticks.
    Quoted(String),
    /// A text in single or double quotes, decoded.
    Text(String),
    /// A number, as written.
    Number(String),
    /// Anything else, one character each.
    Symbol(char),
}

/// The words of a statement and how far they have been read.
pub(in crate::sandbox) struct Tokens<'a> {
    text: &'a str,
    words: Vec<(Token, Range<usize>)>,
    next: usize,
    /// How many types are open around the next word.
    nesting: usize,
}

/// How deep types may be nested: far more than anybody needs, and far less than the stack has room for.
const TYPE_DEPTH_MAX: usize = 64;

/// How many words a statement may have. Each takes a hundred bytes and more until it is run.
const WORDS_MAX: usize = 500_000;

impl<'a> Tokens<'a> {
    /// Cuts a text into words.
    pub(in crate::sandbox) fn new(text: &'a str) -> Result<Self, Error> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some((token, end)) = next_token(text, &mut at)? {
            if tokens.len() == WORDS_MAX {
                return Err(Error::new(1064, "Statement exceeds maximum length limit"));
            }
            tokens.push((token, at..end));
            at = end;
        }
        Ok(Self { text, words: tokens, next: 0, nesting: 0 })
    }

    /// The next word, which stays.
    pub(in crate::sandbox) fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    /// The word after so many others, which stays.
    pub(in crate::sandbox) fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.words.get(self.next + ahead).map(|(token, _)| token)
    }

    /// Takes the next word.
    pub(in crate::sandbox) fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    /// Whether the next word is this keyword.
    pub(in crate::sandbox) fn is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Takes these keywords, if all of them come next.
    pub(in crate::sandbox) fn accept(&mut self, keywords: &[&str]) -> bool {
        let all = keywords.iter().enumerate().all(|(ahead, keyword)| {
            matches!(self.peek_at(ahead), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
        });
        self.next += if all { keywords.len() } else { 0 };
        all
    }

    /// Takes a keyword that must come next.
    pub(in crate::sandbox) fn expect(&mut self, keyword: &str) -> Result<(), Error> {
        if self.accept(&[keyword]) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    /// Takes this symbol, if it comes next.
    pub(in crate::sandbox) fn accept_symbol(&mut self, symbol: char) -> bool {
        let there = self.peek() == Some(&Token::Symbol(symbol));
        self.next += usize::from(there);
        there
    }

    /// Takes a symbol that must come next.
    pub(in crate::sandbox) fn expect_symbol(&mut self, symbol: char) -> Result<(), Error> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("'{symbol}'"))) }
    }

    /// Takes a name.
    pub(in crate::sandbox) fn name(&mut self) -> Result<String, Error> {
        match self.peek() {
            Some(Token::Word(_) | Token::Quoted(_)) => match self.take() {
                Some(Token::Word(name) | Token::Quoted(name)) => Ok(name),
                _ => unreachable!("it was peeked at"),
            },
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Takes `[[catalog.]database.]table`.
    pub(in crate::sandbox) fn qualified_name(&mut self) -> Result<(Option<String>, String), Error> {
        let mut names = vec![self.name()?];
        while names.len() < 3 && self.accept_symbol('.') {
            names.push(self.name()?);
        }
        let name = names.pop().unwrap_or_default();
        Ok((names.pop(), name))
    }

    /// Takes `(name, …)`.
    pub(in crate::sandbox) fn names(&mut self) -> Result<Vec<String>, Error> {
        self.expect_symbol('(')?;
        let mut names = vec![self.name()?];
        while self.accept_symbol(',') {
            names.push(self.name()?);
        }
        self.expect_symbol(')')?;
        Ok(names)
    }

    /// Takes a text.
    pub(in crate::sandbox) fn text(&mut self) -> Result<String, Error> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("a text in quotes")),
        }
    }

    /// Takes an unsigned integer.
    pub(in crate::sandbox) fn integer(&mut self) -> Result<u64, Error> {
        match self.peek() {
            Some(Token::Number(digits)) => match digits.parse() {
                Ok(number) => {
                    self.next += 1;
                    Ok(number)
                }
                Err(_) => Err(self.unexpected("an integer")),
            },
            _ => Err(self.unexpected("an integer")),
        }
    }

    /// Takes everything between a parenthesis that must come next and its partner, as written.
    pub(in crate::sandbox) fn parenthesised(&mut self) -> Result<&'a str, Error> {
        self.expect_symbol('(')?;
        let start = self.words.get(self.next).map_or(self.text.len(), |(_, range)| range.start);
        let mut depth = 1;
        loop {
            let at = self.words.get(self.next).map_or(self.text.len(), |(_, range)| range.start);
            match self.take() {
                Some(Token::Symbol('(')) => depth += 1,
                Some(Token::Symbol(')')) => depth -= 1,
                Some(_) => {}
                None => return Err(self.unexpected("')'")),
            }
            if depth == 0 {
                return Ok(self.text[start..at].trim_end());
            }
        }
    }

    /// Where the next word starts in the text.
    pub(in crate::sandbox) fn offset(&self) -> usize {
        self.words.get(self.next).map_or(self.text.len(), |(_, range)| range.start)
    }

    /// Where the last taken word ends in the text.
    pub(in crate::sandbox) fn taken_end(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.words[last].1.end)
    }

    /// The text, as given.
    pub(in crate::sandbox) fn source(&self) -> &'a str {
        self.text
    }

    /// Where every word that is this symbol starts.
    pub(super) fn places_of(&self, symbol: char) -> Vec<usize> {
        let wanted = Token::Symbol(symbol);
        self.words.iter().filter(|(token, _)| *token == wanted).map(|(_, range)| range.start).collect()
    }

    /// Makes sure that nothing but semicolons is left.
    pub(in crate::sandbox) fn end(&mut self) -> Result<(), Error> {
        while self.accept_symbol(';') {}
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// Says what was found in place of what could have been.
    pub(in crate::sandbox) fn unexpected(&self, expected: &str) -> Error {
        let offset = self.offset();
        let found = self.words.get(self.next).map_or("<EOF>", |(_, range)| &self.text[range.clone()]);
        Error::syntax(place(self.text, offset), format!("Unexpected input '{found}', expected {expected}"))
    }

    /// Takes a type.
    pub(in crate::sandbox) fn sql_type(&mut self) -> Result<SqlType, Error> {
        if self.nesting == TYPE_DEPTH_MAX {
            return Err(Error::analysis(format!("types are nested more than {TYPE_DEPTH_MAX} levels deep")));
        }
        self.nesting += 1;
        let ty = self.nested_type();
        self.nesting -= 1;
        ty
    }

    fn nested_type(&mut self) -> Result<SqlType, Error> {
        let before = self.next;
        let Some(Token::Word(word)) = self.take() else {
            self.next = before;
            return Err(self.unexpected("a type"));
        };
        let ty = match word.to_ascii_uppercase().as_str() {
            "BOOLEAN" | "BOOL" => SqlType::Boolean,
            "TINYINT" => self.display_width(SqlType::TinyInt)?,
            "SMALLINT" => self.display_width(SqlType::SmallInt)?,
            "INT" | "INTEGER" => self.display_width(SqlType::Int)?,
            "SIGNED" => {
                let _ = self.accept(&["INT"]) || self.accept(&["INTEGER"]);
                self.display_width(SqlType::Int)?
            }
            "BIGINT" => self.display_width(SqlType::BigInt)?,
            // Connectors cast to it; how wide a server makes it is unverified, so it is what holds every value.
            "UNSIGNED" => {
                let _ = self.accept(&["INT"]) || self.accept(&["INTEGER"]);
                SqlType::BigInt
            }
            "LARGEINT" => self.display_width(SqlType::LargeInt)?,
            "FLOAT" => SqlType::Float,
            "DOUBLE" => SqlType::Double,
            "DECIMAL" | "DECIMALV2" | "DECIMAL32" | "DECIMAL64" | "DECIMAL128" | "NUMERIC" | "NUMBER" => {
                self.decimal()?
            }
            "DATE" => SqlType::Date,
            "DATETIME" | "TIMESTAMP" => SqlType::DateTime,
            "CHAR" => SqlType::Char(self.length(1, 255)?),
            "VARCHAR" => SqlType::Varchar(self.length(1, VARCHAR_BYTES_MAX)?),
            "STRING" | "TEXT" => SqlType::Varchar(STRING_BYTES),
            "JSON" | "JSONB" => SqlType::Json,
            "VARBINARY" | "BINARY" => SqlType::Varbinary(self.length(VARCHAR_BYTES_MAX, VARCHAR_BYTES_MAX)?),
            "ARRAY" => {
                self.expect_symbol('<')?;
                let element = self.sql_type()?;
                self.expect_symbol('>')?;
                SqlType::Array(Box::new(element))
            }
            "MAP" => {
                self.expect_symbol('<')?;
                let key = self.sql_type()?;
                self.expect_symbol(',')?;
                let value = self.sql_type()?;
                self.expect_symbol('>')?;
                SqlType::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" => self.fields()?,
            "BITMAP" | "HLL" | "PERCENTILE" => SqlType::Other(word.to_ascii_lowercase()),
            _ => {
                self.next = before;
                return Err(self.unexpected("a type"));
            }
        };
        Ok(ty)
    }

    /// `INT(11)`: a width that says nothing.
    fn display_width(&mut self, ty: SqlType) -> Result<SqlType, Error> {
        if self.accept_symbol('(') {
            self.integer()?;
            self.expect_symbol(')')?;
        }
        Ok(ty)
    }

    fn decimal(&mut self) -> Result<SqlType, Error> {
        let (mut precision, mut scale) = (10, 0);
        if self.accept_symbol('(') {
            precision = self.integer()?;
            if self.accept_symbol(',') {
                scale = self.integer()?;
            }
            self.expect_symbol(')')?;
        }
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => Ok(SqlType::Decimal { precision, scale }),
            _ => Err(Error::analysis(format!(
                "DECIMAL({precision},{scale}) is impossible: the precision is 1 to 38, the scale 0 to the precision"
            ))),
        }
    }

    fn length(&mut self, default: u32, longest: u32) -> Result<u32, Error> {
        if !self.accept_symbol('(') {
            return Ok(default);
        }
        let length = if self.accept_symbol('*') { u64::from(STRING_BYTES.min(longest)) } else { self.integer()? };
        self.expect_symbol(')')?;
        match u32::try_from(length) {
            Ok(length) if (1..=longest).contains(&length) => Ok(length),
            _ => Err(Error::analysis(format!("length {length} is outside of 1 to {longest}"))),
        }
    }

    fn fields(&mut self) -> Result<SqlType, Error> {
        self.expect_symbol('<')?;
        let mut fields = Vec::new();
        loop {
            let name = self.name()?;
            self.accept_symbol(':');
            fields.push((name, self.sql_type()?));
            if !self.accept_symbol(',') {
                break;
            }
        }
        self.expect_symbol('>')?;
        Ok(SqlType::Struct(fields))
    }
}

/// Line and column of an offset, counted as StarRocks does: lines from 1, columns from 0.
pub(in crate::sandbox) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
    (line, column)
}

/// The word that starts at or after `at`, which moves to its start, and where it ends.
fn next_token(text: &str, at: &mut usize) -> Result<Option<(Token, usize)>, Error> {
    *at = skip_blank(text, *at)?;
    let start = *at;
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else { return Ok(None) };
    let token = match first {
        '`' => {
            let (name, length) = quoted(rest, '`', false).ok_or_else(|| unclosed(text, start))?;
            (Token::Quoted(name), start + length)
        }
        '\'' | '"' => {
            let (content, length) = quoted(rest, first, true).ok_or_else(|| unclosed(text, start))?;
            (Token::Text(content), start + length)
        }
        '0'..='9' => {
            let length = number_length(rest);
            (Token::Number(rest[..length].to_owned()), start + length)
        }
        '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => {
            let length = number_length(rest);
            (Token::Number(rest[..length].to_owned()), start + length)
        }
        _ if is_word(first) => {
            let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            (Token::Word(rest[..length].to_owned()), start + length)
        }
        _ => (Token::Symbol(first), start + first.len_utf8()),
    };
    Ok(Some(token))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn unclosed(text: &str, start: usize) -> Error {
    Error::syntax(place(text, start), "a quote is never closed")
}

/// Where the next thing starts that is neither white space nor a comment.
fn skip_blank(text: &str, mut at: usize) -> Result<usize, Error> {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with('#') || trimmed.starts_with("--") {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if let Some(comment) = trimmed.strip_prefix("/*") {
            match comment.find("*/") {
                Some(length) => at += length + 4,
                None => return Err(Error::syntax(place(text, at), "a comment is never closed")),
            }
        } else {
            return Ok(at);
        }
    }
}

/// Digits, a point with digits, an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(length + 1 + sign).map_or(0, |_| digits(length + 1 + sign));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

/// The content of a quoted piece at the start of the text, and the length of the piece.
fn quoted(text: &str, quote: char, backslash: bool) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
                content.push(quote);
            } else {
                return Some((content, at + quote.len_utf8()));
            }
        } else if c == '\\' && backslash {
            unescape(chars.next()?.1, &mut content);
        } else {
            content.push(c);
        }
    }
    None
}

/// What a backslash and this character stand for.
fn unescape(c: char, into: &mut String) {
    match c {
        'n' => into.push('\n'),
        't' => into.push('\t'),
        'r' => into.push('\r'),
        'b' => into.push('\u{8}'),
        '0' => into.push('\0'),
        'Z' => into.push('\u{1a}'),
        // These two stay escaped: LIKE reads them.
        '%' | '_' => {
            into.push('\\');
            into.push(c);
        }
        other => into.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_cut_into_words() {
        let mut tokens =
            Tokens::new("a.`b``c` 'it''s \\'x\\'' \"q\"\"\" 1.5e3 -- end\n/* c */ <=").expect("it is well formed");
        let all: Vec<Token> = std::iter::from_fn(|| tokens.take()).collect();
        assert_eq!(
            all,
            [
                Token::Word("a".into()),
                Token::Symbol('.'),
                Token::Quoted("b`c".into()),
                Token::Text("it's 'x'".into()),
                Token::Text("q\"".into()),
                Token::Number("1.5e3".into()),
                Token::Symbol('<'),
                Token::Symbol('='),
            ]
        );
    }

    #[test]
    fn a_place_is_named_by_line_and_column() {
        let error = Tokens::new("select\n 'abc").err().expect("the quote is open");
        assert!(error.message.contains("line 2, column 1"), "{error}");
    }
}

//! How deep a statement is: what the parser does not bound.
//!
//! The parser counts brackets, and `1 + 1 + 1 + …` has none, but a tree as deep as it is long. Whatever walks such a
//! tree, and be it to drop it, does so by calling itself, and a stack that is full ends the process.

use std::thread;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Error;

/// How many operators may stand one above the other: as many as SQLite takes.
const DEPTH_MAX: usize = 1000;
/// A statement up to this long finds room on any stack.
const SHORT_BYTES_MAX: usize = 300;
/// The stack of a longer one. Only what is used of it becomes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What is known of the part of a statement between two brackets, so far.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// The operators that bind weakly. The tree leans to their left, so each is above all others before it.
    weak: usize,
    /// The others since the last of those.
    strong: usize,
    strong_max: usize,
}

impl Level {
    fn depth(self) -> usize {
        self.weak + self.strong_max.max(self.strong)
    }
}

/// Refuses a statement whose tree may be too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), Error> {
    let (mut level, mut outer, mut above) = (Level::default(), Vec::new(), 0);
    let mut over = false;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) | Token::SemiColon => {}
            // Before their trees are made, each of which takes kilobytes.
            _ if over => {
                return Err(Error::new(1064, "Getting syntax error. Detail message: only one statement at a time."));
            }
            _ => {}
        }
        over |= token.token == Token::SemiColon;
        match &token.token {
            Token::Whitespace(_) | Token::Number(..) | Token::Period | Token::Placeholder(_) => {}
            Token::SingleQuotedString(_) | Token::DoubleQuotedString(_) | Token::HexStringLiteral(_) => {}
            Token::Comma | Token::SemiColon => level = Level::default(),
            Token::LParen | Token::LBracket => {
                above += level.depth() + 1;
                outer.push((std::mem::take(&mut level), above));
            }
            Token::RParen | Token::RBracket => {
                level = outer.pop().map(|(level, _)| level).unwrap_or_default();
                above = outer.last().map_or(0, |(_, above)| *above);
                // What is between the brackets may be called, cast or indexed.
                level.strong += 1;
            }
            Token::Word(word) => match word.keyword {
                Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS => {
                    level.weak += 1;
                    level.strong_max = level.strong_max.max(level.strong);
                    level.strong = 0;
                }
                Keyword::NoKeyword => {}
                // Keywords may be names too; the few that are counted in vain do no harm.
                _ => level.strong += 1,
            },
            _ => level.strong += 1,
        }
        if above + level.depth() > DEPTH_MAX {
            let detail = format!("more than {DEPTH_MAX} operators stand one above the other");
            return Err(Error::new(1064, format!("Getting syntax error. Detail message: {detail}.")));
        }
    }
    Ok(())
}

/// Does something with a statement where its tree has room.
pub(super) fn with_room<R: Send>(text: &str, work: impl FnOnce() -> R + Send) -> Result<R, Error> {
    if text.len() <= SHORT_BYTES_MAX {
        return Ok(work());
    }
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("statement".to_owned()).stack_size(STACK_BYTES);
        let running = spawned
            .spawn_scoped(scope, work)
            .map_err(|fault| Error::new(1064, format!("there is no thread for the statement: {fault}")))?;
        Ok(running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

//! The text of `--columns`: StarRocks' list of names and `name=expression` items (SR §2.3).
//!
//! Expressions are the server's to understand. What has to be known here is where an item ends and which names an
//! expression uses, and for that it is enough to tell strings, quoted names, words and brackets apart.

use std::ops::Range;

/// One item of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A name alone.
    Name(String),
    /// `name=expression`.
    Assign {
        /// The name.
        target: String,
        /// The name as it was written, backticks included.
        written: String,
        /// What follows the `=`.
        expression: String,
    },
}

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word, or a name in backticks (without them).
    Name(String),
    /// A string or a number.
    Literal,
    /// Any other character.
    Mark(char),
}

/// Splits the list into its items.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, String> {
    let tokens = tokens(text)?;
    let mut items = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (range, token) in &tokens {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| format!("a bracket too many after `{}`", &text[..range.start]))?;
            }
            Token::Mark(',') if depth == 0 => {
                items.push(item(&text[start..range.start])?);
                start = range.end;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a bracket is not closed".into());
    }
    items.push(item(&text[start..])?);
    Ok(items)
}

fn item(text: &str) -> Result<Item, String> {
    let text = text.trim();
    let tokens = tokens(text)?;
    let visible: Vec<_> = tokens.iter().filter(|(_, token)| !is_blank(token)).collect();
    match visible.as_slice() {
        [] => Err("an item is empty: is there a comma too many?".into()),
        [(_, Token::Name(name))] => Ok(Item::Name(name.clone())),
        [(written, Token::Name(target)), (sign, Token::Mark('=')), (first, next), ..] if *next != Token::Mark('=') => {
            let expression = text[first.start..].to_owned();
            debug_assert!(sign.end <= first.start);
            Ok(Item::Assign { target: target.clone(), written: text[written.clone()].to_owned(), expression })
        }
        // Headers hold names that are no words, such as `order-id` or `2024`. Without a `=` they cannot be anything else.
        _ if !text.contains(['=', '`', '\'', '"', '(']) => Ok(Item::Name(text.to_owned())),
        _ => Err(format!("`{text}` is neither a name nor name=expression")),
    }
}

/// The names that an expression uses as values, and where they stand in it. Functions are left out, and so are fields of a
/// STRUCT (`a.b` uses `a`) and variables.
pub(super) fn names(expression: &str) -> Vec<(Range<usize>, String)> {
    let tokens = tokens(expression).unwrap_or_default();
    let visible: Vec<_> = tokens.iter().filter(|(_, token)| !is_blank(token)).collect();
    let mut names = Vec::new();
    for (index, (range, token)) in visible.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        let before = index.checked_sub(1).map(|index| &visible[index].1);
        let after = visible.get(index + 1).map(|(_, token)| token);
        let is_value = !matches!(before, Some(Token::Mark('.' | '@'))) && after != Some(&Token::Mark('('));
        if is_value {
            names.push((range.clone(), name.clone()));
        }
    }
    names
}

/// The name that an expression consists of, if it is nothing but one.
pub(super) fn single_name(expression: &str) -> Option<String> {
    match parse(expression).ok()?.as_slice() {
        [Item::Name(name)] => names(expression).iter().any(|(_, other)| other == name).then(|| name.clone()),
        _ => None,
    }
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Mark(mark) if mark.is_whitespace())
}

fn tokens(text: &str) -> Result<Vec<(Range<usize>, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let (length, token) = match first {
            '\'' | '"' => (string_length(rest, first).ok_or_else(|| not_closed(rest))?, Token::Literal),
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| not_closed(rest))?;
                (end + 2, Token::Name(rest[1..=end].to_owned()))
            }
            _ if first.is_ascii_digit() => (word_length(rest, "."), Token::Literal),
            _ if is_word(first) => {
                let length = word_length(rest, "");
                (length, Token::Name(rest[..length].to_owned()))
            }
            _ => (first.len_utf8(), Token::Mark(first)),
        };
        tokens.push((start..start + length, token));
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn word_length(text: &str, more: &str) -> usize {
    text.find(|letter| !is_word(letter) && !more.contains(letter)).unwrap_or(text.len())
}

/// The length of the string that `text` starts with, quotes included. A doubled quote ends it and starts the next one, which
/// comes to the same.
fn string_length(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            _ if letter == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

fn not_closed(rest: &str) -> String {
    let shown: String = rest.chars().take(20).collect();
    format!("the quote before `{}` is not closed", &shown[1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Item {
        Item::Name(text.into())
    }

    fn assign(target: &str, expression: &str) -> Item {
        Item::Assign { target: target.trim_matches('`').into(), written: target.into(), expression: expression.into() }
    }

    #[test]
    fn lists_are_split_at_commas_outside_of_quotes_and_brackets() {
        for (text, items) in [
            ("a, b ,c", vec![name("a"), name("b"), name("c")]),
            ("`a,b`,order-id,2024", vec![name("a,b"), name("order-id"), name("2024")]),
            ("t=concat(a, ',', \"x,\\\"y\")", vec![assign("t", "concat(a, ',', \"x,\\\"y\")")]),
            ("a,`b c` = a+1", vec![name("a"), assign("`b c`", "a+1")]),
            ("t='it''s, so',u=if(a=1,[1,2],null)", vec![assign("t", "'it''s, so'"), assign("u", "if(a=1,[1,2],null)")]),
            ("größe,x=größe*2", vec![name("größe"), assign("x", "größe*2")]),
        ] {
            assert_eq!(parse(text).unwrap(), items, "{text}");
        }
    }

    #[test]
    fn lists_that_make_no_sense_say_where() {
        for (text, word) in [
            ("", "empty"),
            ("a,,b", "comma too many"),
            ("a,b=", "neither"),
            ("a=='x'", "neither"),
            ("t='x", "not closed"),
            ("t=f(a", "not closed"),
            ("t=f)", "bracket too many"),
            ("upper(a)", "neither"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn names_in_expressions_are_values_and_not_functions_strings_or_numbers() {
        for (expression, used) in [
            ("upper(a)", &["a"][..]),
            ("date(`date`) + 1e5", &["date"]),
            ("concat('a', b, \"c\")", &["b"]),
            ("s.x + @v", &["s"]),
            ("if (a > 0x1f, b, a)", &["a", "b", "a"]),
            ("'all text'", &[]),
        ] {
            let found: Vec<String> = names(expression).into_iter().map(|(_, name)| name).collect();
            assert_eq!(found, used, "{expression}");
        }
        assert_eq!(single_name(" `a b` "), Some("a b".into()));
        for more in ["a+b", "f(a)", "'a'", "1", ""] {
            assert_eq!(single_name(more), None, "{more}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c`'\"\\\\,=(). ä1]{0,24}") {
            let _ = parse(&text);
            for (range, _) in names(&text) {
                prop_assert!(!text[range].is_empty());
            }
        }

        #[test]
        fn what_is_joined_is_split_again(parts in prop::collection::vec("[a-z]{1,3}(=f\\('[a-z,]{0,3}',[a-z]\\))?", 1..6)) {
            prop_assert_eq!(parse(&parts.join(", ")).unwrap().len(), parts.len());
        }
    }
}

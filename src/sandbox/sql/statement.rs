//! What can be said of a statement from its words alone.

use super::Error;
use super::token::{Token, Tokens};

/// The first word, in upper case, and nothing for a statement that starts otherwise.
pub(in crate::sandbox) fn leading_keyword(text: &str) -> Result<String, Error> {
    Ok(match Tokens::new(text)?.peek() {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    })
}

/// Whether the text holds no more than one statement.
pub(in crate::sandbox) fn is_single(text: &str) -> Result<bool, Error> {
    let mut tokens = Tokens::new(text)?;
    while !matches!(tokens.peek(), None | Some(Token::Symbol(';'))) {
        tokens.take();
    }
    Ok(tokens.end().is_ok())
}

/// Where the parameters of a prepared statement stand.
pub(in crate::sandbox) fn placeholders(text: &str) -> Result<Vec<usize>, Error> {
    Ok(Tokens::new(text)?.places_of('?'))
}

/// The statement with these literals in place of its parameters.
pub(in crate::sandbox) fn with_parameters(text: &str, literals: &[String]) -> Result<String, Error> {
    let places = placeholders(text)?;
    if places.len() != literals.len() {
        let detail = format!("the statement has {} parameters, not {}", places.len(), literals.len());
        return Err(Error::analysis(detail));
    }
    let mut filled = String::with_capacity(text.len());
    let mut from = 0;
    for (place, literal) in places.into_iter().zip(literals) {
        filled.push_str(&text[from..place]);
        filled.push_str(literal);
        from = place + 1;
    }
    filled.push_str(&text[from..]);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_from_question_marks_in_texts() {
        let text = "SELECT '?', ? -- ?\n, `?`, ?";
        assert_eq!(placeholders(text).map(|places| places.len()), Ok(2));
        let filled = with_parameters(text, &["1".to_owned(), "'?'".to_owned()]).expect("there are two");
        assert_eq!(filled, "SELECT '?', 1 -- ?\n, `?`, '?'");
        assert!(with_parameters(text, &[]).is_err());
    }

    #[test]
    fn statements_are_counted() {
        for (text, single) in [("SELECT 1", true), ("SELECT ';';;", true), ("SELECT 1; SELECT 2", false), ("", true)] {
            assert_eq!(is_single(text), Ok(single), "{text}");
        }
    }
}

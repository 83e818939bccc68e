//! The `columns` header: a list of field names and of `name=expression`.

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// A field of the body, by position in CSV and by key in JSON.
    Field(String),
    /// A column computed from fields.
    Derived { name: String, expression: String },
}

/// Reads the list. The error is the message of the reply.
pub(super) fn parse(text: &str) -> Result<Vec<Mapping>, String> {
    let mut mappings = Vec::new();
    let mut start = 0;
    for end in top_level(text, |byte| byte == b',').chain(std::iter::once(text.len())) {
        mappings.push(entry(text[start..end].trim())?);
        start = end + 1;
    }
    Ok(mappings)
}

fn entry(text: &str) -> Result<Mapping, String> {
    let invalid = || format!("parse columns header failed, columns: {text}");
    let Some(at) = top_level(text, |byte| byte == b'=').next() else {
        return name(text).map(Mapping::Field).ok_or_else(invalid);
    };
    let expression = text[at + 1..].trim().to_owned();
    match name(text[..at].trim()) {
        Some(name) if !expression.is_empty() => Ok(Mapping::Derived { name, expression }),
        _ => Err(invalid()),
    }
}

fn name(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('`') {
        let name = quoted.strip_suffix('`')?;
        return (!name.is_empty()).then(|| name.replace("``", "`"));
    }
    let plain = !text.is_empty() && !text.contains(['(', ')', '\'', '"', '`']) && !text.contains(char::is_whitespace);
    plain.then(|| text.to_owned())
}

/// Where a byte stands outside quotes and parentheses.
fn top_level(text: &str, wanted: impl Fn(u8) -> bool) -> impl Iterator<Item = usize> {
    let (mut depth, mut quote) = (0_usize, None);
    text.bytes().enumerate().filter_map(move |(at, byte)| {
        if let Some(open) = quote {
            if byte == open {
                quote = None;
            }
            return None;
        }
        match byte {
            b'\'' | b'"' | b'`' => quote = Some(byte),
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => return (depth == 0 && wanted(byte)).then_some(at),
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Mapping {
        Mapping::Field(name.to_owned())
    }

    fn derived(name: &str, expression: &str) -> Mapping {
        Mapping::Derived { name: name.to_owned(), expression: expression.to_owned() }
    }

    #[test]
    fn names_and_expressions_are_told_apart() {
        for (text, mappings) in [
            ("a", vec![field("a")]),
            ("a, b ,c", vec![field("a"), field("b"), field("c")]),
            ("`a,b`,`c=d`", vec![field("a,b"), field("c=d")]),
            ("tmp, v = concat(tmp, ',')", vec![field("tmp"), derived("v", "concat(tmp, ',')")]),
            ("x, y=if(x = 1, 'a=b', x)", vec![field("x"), derived("y", "if(x = 1, 'a=b', x)")]),
        ] {
            assert_eq!(parse(text), Ok(mappings), "{text}");
        }
    }

    #[test]
    fn a_broken_list_is_refused() {
        for text in ["a,,b", "a,", "a b", "a=", "=1", "``"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! JSON paths, as `jsonpaths` and `json_root` write them: `$.a.b[0]`, `$."a.b"`.

use serde_json::value::RawValue;

use super::json;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A way from a row's object to one value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Reads a path; `None` when it is not one that the sandbox follows. Wildcards are not:
    /// the server takes `[*]` for an index that no array has, and whoever writes it means something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('[') {
                let end = tail.find(']')?;
                steps.push(Step::Index(tail[..end].trim().parse().ok()?));
                rest = &tail[end + 1..];
                continue;
            }
            let tail = rest.strip_prefix('.')?;
            let (key, after) = match tail.strip_prefix('"') {
                Some(tail) => tail.split_once('"')?,
                None => tail.split_at(tail.find(['.', '[']).unwrap_or(tail.len())),
            };
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
        Some(Self(steps))
    }

    /// Follows the path from a value's source text; `None` where it leads nowhere.
    pub(super) fn find<'a>(&self, source: &'a str) -> Option<&'a str> {
        let mut source = source.trim_ascii();
        for step in &self.0 {
            source = match step {
                Step::Key(key) => json::entries(source)?.into_iter().find(|(name, _)| name == key)?.1.get(),
                Step::Index(index) => {
                    let elements: Vec<&RawValue> = serde_json::from_str(source).ok()?;
                    elements.get(*index)?.get()
                }
            };
        }
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_the_value_it_names() {
        let row = r#"{"a": {"b": [10, {"c d": "x"}]}, "a.b": 2}"#;
        for (path, found) in [
            ("$.a.b[0]", Some("10")),
            ("$.a.b[1].\"c d\"", Some("\"x\"")),
            ("$.\"a.b\"", Some("2")),
            ("$.a.x", None),
            ("$.a.b[7]", None),
            ("$", Some(row)),
        ] {
            assert_eq!(Path::parse(path).expect(path).find(row), found, "{path}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for path in ["", "a", "$a", "$.", "$.a[", "$.a[x]", "$.a[*]", "$.a[*].b", "$.*", "$.\"a"] {
            assert_eq!(Path::parse(path), None, "{path}");
        }
    }
}

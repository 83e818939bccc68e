//! The service's configuration from its file and the environment. Everything that is wrong is named at once: file and line,
//! or variable, and what may have been meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Key as TomlKey, Table, TableLike, Value};

use super::env::Environment;
use super::option::{Key, Section};
use super::service::{Files, Jobs, Log, Server, ServiceConfig, TargetOptions, Token, Traces, Uploads, Watch};
use super::setting::Given;
use crate::failure::{Code, Failure};
use crate::near;

/// Sections of which there is one.
const SINGLE: [&str; 6] = [Server::NAME, Log::NAME, Traces::NAME, Jobs::NAME, Uploads::NAME, Files::NAME];

/// Sections of which there are several, each by a name.
const NAMED: [&str; 3] = [Watch::NAME, TargetOptions::NAME, Token::NAME];

/// What names one of several where it is not in the heading: `[[watch]]`.
const NAME_KEY: &str = "name";

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// File and line, or variable.
    pub place: String,
    /// What.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}: {}{}", wrong[0].place, wrong[0].what, more(wrong.len()))]
    Wrong {
        /// Everything that is wrong; never empty.
        wrong: Vec<Wrong>,
    },
}

fn more(wrong: usize) -> String {
    if wrong > 1 { format!(" (and {} more; `shipload config check` names them all)", wrong - 1) } else { String::new() }
}

impl Failure for ConfigError {
    fn code(&self) -> Code {
        Code::ConfigWrong
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => {
                "config/shipload.toml has every key with its default; name yours with --config".into()
            }
            Self::Wrong { wrong } => wrong[0].hint.clone(),
        })
    }
}

/// Reads the file, where there is one, puts the environment over it, and looks whether it fits together.
///
/// # Errors
/// When the file cannot be read, or something is wrong.
pub fn read(path: Option<&Path>, environment: &Environment) -> Result<ServiceConfig, ConfigError> {
    let wrong = |wrong| ConfigError::Wrong { wrong };
    let Some(path) = path else { return parse(Path::new("the defaults"), "", environment).map_err(wrong) };
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text, environment).map_err(wrong)
}

/// A section, whichever it is.
pub(super) trait AnySection {
    fn keys(&self) -> &'static [Key];
    fn set(&mut self, key: &str, given: &Given) -> Result<(), String>;
    fn shown(&self) -> Vec<(&'static str, String)>;
}

impl<S: Section> AnySection for S {
    fn keys(&self) -> &'static [Key] {
        S::KEYS
    }

    fn set(&mut self, key: &str, given: &Given) -> Result<(), String> {
        Section::set(self, key, given)
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        Section::shown(self)
    }
}

impl ServiceConfig {
    /// The section of this name, of which there is one.
    pub(super) fn single(&mut self, name: &str) -> Option<&mut dyn AnySection> {
        Some(match name {
            Server::NAME => &mut self.server,
            Log::NAME => &mut self.log,
            Traces::NAME => &mut self.traces,
            Jobs::NAME => &mut self.jobs,
            Uploads::NAME => &mut self.uploads,
            Files::NAME => &mut self.files,
            _ => return None,
        })
    }

    /// One of several of a kind; it is made where it is not there.
    fn named(&mut self, kind: &str, name: &str) -> Option<&mut dyn AnySection> {
        Some(match kind {
            Watch::NAME => self.watch.entry(name.to_owned()).or_insert_with(Watch::defaults),
            TargetOptions::NAME => self.targets.entry(name.to_owned()).or_insert_with(TargetOptions::defaults),
            Token::NAME => self.tokens.entry(name.to_owned()).or_insert_with(Token::defaults),
            _ => return None,
        })
    }

    /// Whether there is one of a kind by this name.
    fn has(&self, kind: &str, name: &str) -> bool {
        match kind {
            Watch::NAME => self.watch.contains_key(name),
            TargetOptions::NAME => self.targets.contains_key(name),
            _ => self.tokens.contains_key(name),
        }
    }

    /// Every section as it stands, under its heading: `server`, `targets.NAME`.
    fn sections(&mut self) -> Vec<(String, &mut dyn AnySection)> {
        let mut sections: Vec<(String, &mut dyn AnySection)> = vec![
            (Server::NAME.into(), &mut self.server),
            (Log::NAME.into(), &mut self.log),
            (Traces::NAME.into(), &mut self.traces),
            (Jobs::NAME.into(), &mut self.jobs),
            (Uploads::NAME.into(), &mut self.uploads),
            (Files::NAME.into(), &mut self.files),
        ];
        let of = |kind: &str, name: &str| format!("{kind}.{name}");
        sections.extend(self.watch.iter_mut().map(|(name, one)| (of(Watch::NAME, name), one as &mut dyn AnySection)));
        sections.extend(
            self.targets.iter_mut().map(|(name, one)| (of(TargetOptions::NAME, name), one as &mut dyn AnySection)),
        );
        sections.extend(self.tokens.iter_mut().map(|(name, one)| (of(Token::NAME, name), one as &mut dyn AnySection)));
        sections
    }

    /// The whole of it as TOML, secrets masked.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (heading, section) in self.clone().sections() {
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{gap}[{heading}]");
            for (key, value) in section.shown() {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }

    /// The keys in which two configurations differ: whether SIGHUP changes each.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(String, bool)> {
        let (mut one, mut other) = (self.clone(), other.clone());
        let flat = |config: &mut Self| -> BTreeMap<String, (String, bool)> {
            let mut flat = BTreeMap::new();
            for (heading, section) in config.sections() {
                let reloads = section.keys().iter().map(|key| key.reloads);
                for ((key, value), reloads) in section.shown().into_iter().zip(reloads) {
                    flat.insert(format!("{heading}.{key}"), (value, reloads));
                }
            }
            flat
        };
        let (before, after) = (flat(&mut one), flat(&mut other));
        let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
        let differs = |key: &&String| before.get(*key).map(|old| &old.0) != after.get(*key).map(|new| &new.0);
        let reloads = |key: &String| before.get(key).or(after.get(key)).is_some_and(|value| value.1);
        keys.filter(differs).map(|key| (key.clone(), reloads(key))).collect()
    }
}

/// What is being read, with the lines where keys stand.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    config: ServiceConfig,
    wrong: Vec<Wrong>,
    /// Where each key was set, by `section.key`.
    places: BTreeMap<String, String>,
}

pub(super) fn parse(path: &Path, text: &str, environment: &Environment) -> Result<ServiceConfig, Vec<Wrong>> {
    let config = ServiceConfig::default();
    let mut reading = Reading { path, text, config, wrong: Vec::new(), places: BTreeMap::new() };
    match Document::parse(text) {
        Ok(document) => reading.document(document.as_table()),
        Err(error) => {
            let what = error.message().lines().next().unwrap_or_default().to_owned();
            let place = reading.place(error.span().map_or(0, |span| span.start));
            let hint = "it has to be TOML 1.0: `key = \"value\"`".to_owned();
            return Err(vec![Wrong { place, what, hint }]);
        }
    }
    reading.environment(environment);
    if reading.wrong.is_empty() {
        for flaw in super::service_check::flaws(&reading.config) {
            let place = reading.places.get(&flaw.key).cloned().unwrap_or_else(|| reading.path.display().to_string());
            reading.wrong.push(Wrong { place, what: format!("{}: {}", flaw.key, flaw.what), hint: flaw.hint });
        }
    }
    if reading.wrong.is_empty() { Ok(reading.config) } else { Err(reading.wrong) }
}

impl Reading<'_> {
    fn place(&self, at: usize) -> String {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        format!("{}, line {line}", self.path.display())
    }

    fn at(&self, key: Option<&TomlKey>) -> String {
        self.place(key.and_then(TomlKey::span).map_or(0, |span| span.start))
    }

    fn wrong(&mut self, place: String, what: String, hint: String) {
        self.wrong.push(Wrong { place, what, hint });
    }

    fn document(&mut self, root: &dyn TableLike) {
        for (name, item) in root.iter() {
            let place = self.at(root.key(name));
            let single = SINGLE.contains(&name);
            if !single && !NAMED.contains(&name) {
                let hint = meant(name, SINGLE.iter().chain(&NAMED).copied());
                self.wrong(place, format!("there is no section [{name}]"), hint);
                continue;
            }
            if let Some(tables) = item.as_array_of_tables().filter(|_| !single) {
                tables.iter().for_each(|table| self.listed(name, table));
                continue;
            }
            let Some(table) = item.as_table_like() else {
                self.wrong(place, format!("`{name}` is a section"), format!("write [{name}], and its keys below it"));
                continue;
            };
            if single {
                self.section(name, None, table);
                continue;
            }
            for (one, item) in table.iter() {
                let place = self.at(table.key(one));
                match item.as_table_like() {
                    Some(table) if is_name(one) => self.section(name, Some(one), table),
                    Some(_) => self.wrong(
                        place,
                        format!("`{one}` is no name for one of the {name}"),
                        "use letters, digits, - and _".to_owned(),
                    ),
                    None => self.wrong(
                        place,
                        format!("[{name}] has keys only below a name"),
                        format!("write [{name}.NAME], and `{one} = …` below it"),
                    ),
                }
            }
        }
    }

    /// One of `[[kind]]`: its name is a key, and where that is left out, its table.
    fn listed(&mut self, kind: &str, table: &Table) {
        let place = self.place(table.span().map_or(0, |span| span.start));
        let name = table.get(NAME_KEY).or(table.get("table")).and_then(Item::as_str);
        let Some(name) = name.filter(|name| is_name(name)) else {
            let hint = format!("write {NAME_KEY} = \"…\" with letters, digits, - and _, or [{kind}.NAME]");
            return self.wrong(place, format!("one of [[{kind}]] has no name"), hint);
        };
        if self.config.has(kind, name) {
            let hint = format!("give one of them another {NAME_KEY}");
            return self.wrong(place, format!("two of [[{kind}]] are called `{name}`"), hint);
        }
        self.section(kind, Some(name), table);
    }

    fn section(&mut self, kind: &str, name: Option<&str>, table: &dyn TableLike) {
        let heading = name.map_or_else(|| kind.to_owned(), |name| format!("{kind}.{name}"));
        for (key, item) in table.iter() {
            let place = self.at(table.key(key));
            if key == NAME_KEY && name.is_some_and(|name| item.as_str() == Some(name)) {
                continue;
            }
            let section = match name {
                Some(name) => self.config.named(kind, name),
                None => self.config.single(kind),
            };
            let section = section.expect("the sections that are read are those there are");
            if !section.keys().iter().any(|known| known.name == key) {
                let hint = meant(key, section.keys().iter().map(|key| key.name));
                self.wrong(place, format!("there is no key `{key}` in [{heading}]"), hint);
                continue;
            }
            let takes = section.keys().iter().find(|known| known.name == key).map_or("", |key| key.takes);
            match section.set(key, &given(item)) {
                Ok(()) => {
                    self.places.insert(format!("{heading}.{key}"), place);
                }
                Err(what) => self.wrong(place, format!("{heading}.{key}: {what}"), format!("it takes {takes}")),
            }
        }
        if table.is_empty() {
            // A name without a key is one all the same.
            let _ = name.and_then(|name| self.config.named(kind, name));
        }
    }

    /// Puts the environment over what the file says.
    fn environment(&mut self, environment: &Environment) {
        for (variable, value) in environment.variables() {
            let place = format!("environment variable {variable}");
            let Some((heading, key)) = self.meant_by(variable) else {
                if !Environment::is_foreign(variable) {
                    let known = self.variables();
                    let hint = meant(variable, known.iter().map(String::as_str));
                    self.wrong(place, "the service does not know it".to_owned(), hint);
                }
                continue;
            };
            let mut sections = self.config.sections();
            let (_, section) = sections.iter_mut().find(|(one, _)| *one == heading).expect("it has just been found");
            let given = Given::One(value.to_owned());
            let takes = section.keys().iter().find(|known| known.name == key).map_or("", |key| key.takes);
            match section.set(&key, &given) {
                Ok(()) => {
                    self.places.insert(format!("{heading}.{key}"), place);
                }
                Err(what) => self.wrong(place, what, format!("it takes {takes}")),
            }
        }
    }

    fn meant_by(&mut self, variable: &str) -> Option<(String, String)> {
        for (heading, section) in self.config.sections() {
            for key in section.keys() {
                if super::env::variable(&heading, key.name) == variable {
                    return Some((heading, key.name.to_owned()));
                }
            }
        }
        None
    }

    fn variables(&mut self) -> Vec<String> {
        let sections = self.config.sections();
        let of = |(heading, section): &(String, &mut dyn AnySection)| {
            section.keys().iter().map(|key| super::env::variable(heading, key.name)).collect::<Vec<_>>()
        };
        sections.iter().flat_map(of).collect()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn meant<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = near::names(wanted, known.iter().copied());
    if near.is_empty() {
        "config/shipload.toml lists every section and key".to_owned()
    } else {
        format!("did you mean `{}`?", near.join("`, `"))
    }
}

fn given(item: &Item) -> Given {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) => Some(number.value().to_string()),
        _ => None,
    };
    match item {
        Item::Value(Value::Boolean(said)) => Given::Said(*said.value()),
        Item::Value(Value::Array(items)) => {
            items.iter().map(one).collect::<Option<Vec<_>>>().map_or(Given::Other, Given::Several)
        }
        Item::Value(value) => one(value).map_or(Given::Other, Given::One),
        _ => Given::Other,
    }
}

#[cfg(test)]
#[path = "service_file_tests.rs"]
mod tests;

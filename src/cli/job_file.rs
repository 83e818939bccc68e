//! Job files: several imports in one TOML file. A setting is a flag of `import` with `_` for `-`, and is read by the
//! same rules, so that there is no second list of them.
//!
//! ```toml
//! commit = "job"              # what stands here holds for every load that does not say otherwise
//!
//! [[load]]
//! sources = ["orders/*.parquet"]
//! to = "starrocks://loader@fe1:8030/shop/orders"
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table, Value};

use super::args::ImportArgs;
use crate::config::Commit;
use crate::config::setting::{self, Given, Unfit};
use crate::failure::{Code, Failure};
use crate::near;

/// The name of the table that is one import.
const LOAD: &str = "load";

/// The key of the inputs, which are no flag.
const SOURCES: &str = "sources";

/// Flags that a file does not take, and why.
const REFUSED: [(&str, &str); 6] = [
    ("password", "use SHIPLOAD_PASSWORD, or password_file"),
    ("credentials_directory", "systemd sets it in the environment"),
    ("dry_run", "`shipload plan` says of each load what it would do"),
    ("output", "say it on the command line"),
    ("part_of", "it is set for every load of a file"),
    ("help", "`shipload help run` has it"),
];

/// Settings that belong to one load, and not to the top.
const OF_ONE: [&str; 2] = [SOURCES, "job"];

/// The most loads in one file: beyond that it was made by a program, which can make several.
const LOADS_MAX: usize = 1000;

/// One import of a file.
#[derive(Debug)]
pub(super) struct FileLoad {
    pub(super) args: ImportArgs,
    /// The same as it would be typed.
    pub(super) arguments: Vec<String>,
}

/// What a file asks for.
#[derive(Debug)]
pub(super) struct JobFile {
    pub(super) loads: Vec<FileLoad>,
    /// Whether all of them are committed together.
    pub(super) together: bool,
}

/// Why a file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It cannot be read.
    #[error("the job file {} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Something in it is wrong.
    #[error("{}, line {line}: {what}", path.display())]
    Wrong { path: PathBuf, line: usize, what: String, hint: String },
}

impl Failure for Error {
    fn code(&self) -> Code {
        Code::JobFileWrong
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => "give the path of a TOML file with one [[load]] per import".to_owned(),
            Self::Wrong { hint, .. } => hint.clone(),
        })
    }
}

/// Reads a job file.
pub(super) fn read(path: &Path) -> Result<JobFile, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// A file that is being read.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    /// What may stand in it.
    known: Vec<setting::Setting>,
}

fn parse(path: &Path, text: &str) -> Result<JobFile, Error> {
    let reading = Reading { path, text, known: known() };
    let document = Document::parse(text).map_err(|error| {
        let what = error.message().lines().next().unwrap_or_default().to_owned();
        reading.wrong(error.span().map_or(0, |span| span.start), what, "it has to be TOML 1.0: `key = \"value\"`")
    })?;
    let root = document.as_table();
    let defaults = reading.settings(root, true)?;
    let loads = match root.get(LOAD) {
        Some(Item::ArrayOfTables(loads)) if !loads.is_empty() && loads.len() <= LOADS_MAX => loads,
        Some(Item::ArrayOfTables(_)) | None => {
            let what = format!("it has to have from 1 to {LOADS_MAX} tables [[load]]");
            return Err(reading.wrong(0, what, "write [[load]], and below it sources = […] and to = \"…\""));
        }
        Some(other) => {
            let at = other.span().map_or(0, |span| span.start);
            return Err(reading.wrong(at, "`load` is no list of tables".to_owned(), "write [[load]] for each import"));
        }
    };
    let loads = loads.iter().map(|table| reading.load(table, &defaults)).collect::<Result<Vec<_>, _>>()?;
    let together = defaults.iter().any(|setting| setting.key == "commit" && setting.arguments == ["--commit=job"]);
    Ok(JobFile { loads, together })
}

/// A setting of a file, as it would be typed.
struct Setting {
    key: String,
    arguments: Vec<String>,
    sources: Vec<String>,
}

impl Reading<'_> {
    fn wrong(&self, at: usize, what: String, hint: &str) -> Error {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        Error::Wrong { path: self.path.to_owned(), line, what, hint: hint.to_owned() }
    }

    /// The settings of a table.
    fn settings(&self, table: &Table, top: bool) -> Result<Vec<Setting>, Error> {
        let mut settings = Vec::new();
        for (key, item) in table {
            if top && key == LOAD {
                continue;
            }
            let at = table.key(key).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
            if top && OF_ONE.contains(&key) {
                let what = format!("`{key}` at the top would hold for every load");
                return Err(self.wrong(at, what, "put it below a [[load]]"));
            }
            if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
                return Err(self.wrong(at, format!("`{key}` does not stand in a job file"), instead));
            }
            let Item::Value(value) = item else {
                return Err(self.wrong(at, format!("`{key}` is a table"), "a setting is a value: `key = \"value\"`"));
            };
            settings.push(self.setting(key, value, at)?);
        }
        Ok(settings)
    }

    fn setting(&self, key: &str, value: &Value, at: usize) -> Result<Setting, Error> {
        let typed = |value: &Value| match value {
            Value::String(text) => Some(text.value().clone()),
            Value::Integer(number) => Some(number.value().to_string()),
            Value::Float(number) => Some(number.value().to_string()),
            _ => None,
        };
        let one_or_more = |value: &Value| match value {
            Value::Array(items) => items.iter().map(typed).collect::<Option<Vec<_>>>(),
            value => typed(value).map(|text| vec![text]),
        };
        let unfit = |wanted: &str| self.wrong(at, format!("`{key}` takes {wanted}"), "see `shipload help import`");
        if key == SOURCES {
            let sources = one_or_more(value).filter(|sources| !sources.is_empty());
            let sources = sources.ok_or_else(|| unfit("a list of texts: files, globs, folders"))?;
            return Ok(Setting { key: key.to_owned(), arguments: Vec::new(), sources });
        }
        let given = match value {
            Value::Boolean(said) => Given::Said(*said.value()),
            Value::Array(_) => one_or_more(value).map_or(Given::Other, Given::Several),
            value => typed(value).map_or(Given::Other, Given::One),
        };
        let arguments = setting::arguments(&self.known, key, given).map_err(|wrong| match wrong {
            Unfit::Takes(wanted) => unfit(wanted),
            Unfit::Unknown(near) => {
                let near: Vec<&str> = near.iter().map(String::as_str).chain(near::names(key, [SOURCES])).collect();
                let hint = if near.is_empty() {
                    "settings are the flags of `shipload import`, with _ for -".to_owned()
                } else {
                    format!("did you mean `{}`?", near.join("`, `"))
                };
                self.wrong(at, format!("there is no setting `{key}`"), &hint)
            }
        })?;
        Ok(Setting { key: key.to_owned(), arguments, sources: Vec::new() })
    }

    /// One import, with what the top says where it does not itself.
    fn load(&self, table: &Table, defaults: &[Setting]) -> Result<FileLoad, Error> {
        let at = table.span().map_or(0, |span| span.start);
        let own = self.settings(table, false)?;
        let whole = |setting: &&Setting| setting.key == "commit" && setting.arguments == ["--commit=job"];
        if defaults.iter().any(|setting| whole(&setting)) && own.iter().any(|setting| setting.key == "commit") {
            let what = "the file says that all loads are committed together".to_owned();
            return Err(self.wrong(at, what, "leave `commit` out of the load, or out of the top"));
        }
        let inherited = defaults.iter().filter(|default| own.iter().all(|setting| setting.key != default.key));
        let mut arguments = vec!["import".to_owned()];
        arguments.extend(inherited.chain(&own).flat_map(|setting| setting.arguments.iter().cloned()));
        arguments.push("--".to_owned());
        arguments.extend(own.iter().flat_map(|setting| setting.sources.iter().cloned()));
        let hint = "a load has to have `sources` and `to`; see `shipload help import`";
        let args = setting::typed(&arguments).map_err(|what| self.wrong(at, what, hint))?;
        Ok(FileLoad { args, arguments })
    }
}

impl FileLoad {
    /// Whether its rows become visible each load for itself, whatever the plan says.
    pub(super) fn reads_stdin(&self) -> bool {
        self.args.sources.iter().any(|source| source == "-")
    }

    /// Makes it one of several that are committed together.
    pub(super) fn part_of(&mut self, file: &Path) {
        self.args.commit = Commit::Job;
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        self.arguments.insert(1, format!("--part-of={}", file.display()));
    }
}

/// The settings that a file takes.
fn known() -> Vec<setting::Setting> {
    let refused = |setting: &setting::Setting| REFUSED.iter().any(|(refused, _)| *refused == setting.name);
    setting::settings().into_iter().filter(|setting| !refused(setting)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<JobFile, Error> {
        parse(Path::new("jobs.toml"), text)
    }

    const TWO: &str = r#"
commit = "job"
load_size = "8MiB"
map_host = ["a=b:1"]

[[load]]
sources = ["a.csv", "b.csv"]
to = "sandbox:d/a"
create_table = true

[[load]]
sources = "c.csv"
to = "sandbox:d/c"
load_size = 1048576
"#;

    #[test]
    fn what_the_top_says_holds_unless_a_load_says_otherwise() {
        let file = read(TWO).unwrap();
        let [first, second] = <[FileLoad; 2]>::try_from(file.loads).unwrap();
        assert!(file.together);
        assert_eq!(first.args.sources, ["a.csv", "b.csv"]);
        assert_eq!((first.args.load_size.0, second.args.load_size.0), (8 << 20, 1 << 20));
        assert!(first.args.create_table && !second.args.create_table);
        assert_eq!(second.args.target.map_host, ["a=b:1"]);
        assert_eq!(first.arguments[0], "import");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_a_way_out() {
        for (text, line, what, hint) in [
            ("[[load]]\nsources = [\"a\"]\nto = \"t\"\ncolums = \"a\"\n", 4, "no setting `colums`", "`columns`"),
            ("to = \"x\"\n", 1, "[[load]]", "[[load]]"),
            ("load = 7\n", 1, "no list", "[[load]]"),
            ("sources = [\"a\"]\n[[load]]\n", 1, "at the top", "below a [[load]]"),
            ("[[load]]\nto = \"t\"\n", 1, "SOURCE", "sources"),
            ("\n[[load]]\nsources = [\"a\"]\n", 2, "--to", "sources"),
            ("[[load]]\nsources = [\"a\"]\nto = \"t\"\npassword = \"x\"\n", 4, "does not stand", "SHIPLOAD_PASSWORD"),
            ("[[load]]\nsources = [\"a\"]\nto = \"t\"\nagain = 1\n", 4, "true or false", "help"),
            ("[[load]]\nsources = [\"a\"]\nto = [\"t\"]\n", 3, "a text or a number", "help"),
            ("[[load]]\nsources = [\"a\"]\nto = \"t\"\nparallel = 0\n", 1, "a number from 1", "help"),
            ("[[load]]\nsources = []\n", 2, "a list of texts", "help"),
            ("a = \n", 1, "", "TOML"),
            ("commit = \"job\"\n[[load]]\nsources = [\"a\"]\nto = \"t\"\ncommit = \"load\"\n", 2, "together", "leave"),
            ("[[load]]\nsources = [\"a\"]\nto = \"t\"\n[load.sub]\n", 4, "is a table", "value"),
        ] {
            let error = read(text).unwrap_err();
            let Error::Wrong { line: found, what: said, hint: told, .. } = &error else { panic!("{error}") };
            assert_eq!(*found, line, "{text}: {error}");
            assert!(said.contains(what) && told.contains(hint), "{text}: {error}; {told}");
        }
    }
}

//! [`Ask`]: what a request asks for, checked, and as the journal keeps it: an import without its secrets.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::roots;
use crate::config::service::Watch;
use crate::config::setting::{self, Given, Setting, Unfit};
use crate::config::{ImportArgs, ServiceConfig};
use crate::daemon::api::problem::Problem;
use crate::failure::Code;
use crate::model::{ByteCount, JobId};
use crate::near;

/// The settings of an import that a request may have. The others are the service's to say.
const TAKEN: [&str; 26] = [
    "format",
    "csv_delimiter",
    "csv_quote",
    "csv_escape",
    "csv_null",
    "csv_header",
    "no_csv_header",
    "columns",
    "where",
    "create_table",
    "load_size",
    "parallel",
    "memory",
    "max_rate",
    "max_requests",
    "max_rejects",
    "commit",
    "wire",
    "check",
    "compression",
    "job",
    "again",
    "set",
    "load_timeout",
    "deadline",
    "timezone",
];

/// Fields of a request that are no settings.
const FIELDS: [&str; 5] = ["sources", "target", "to", "database", "table"];

/// Sources of one request, at most.
const SOURCES_MAX: usize = 10_000;

/// Where the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::daemon) enum Kind {
    /// Files below the configured folders.
    Files,
    /// The body of a request.
    Upload,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::daemon) struct Ask {
    pub(in crate::daemon) kind: Kind,
    /// The configured target, or the address of one that is not.
    pub(in crate::daemon) target: String,
    pub(in crate::daemon) database: String,
    pub(in crate::daemon) table: String,
    /// Absolute paths without symbolic links; none for an upload.
    pub(in crate::daemon) sources: Vec<String>,
    /// Settings, as they would be typed.
    settings: Vec<String>,
}

impl Ask {
    /// Reads a request for a job.
    pub(in crate::daemon) fn of_files(config: &ServiceConfig, body: &[u8]) -> Result<Self, Problem> {
        let fields: BTreeMap<String, Value> = serde_json::from_slice(body).map_err(|error| {
            let hint = "send a JSON object: {\"sources\": [\"/srv/in/a.csv\"], \"database\": \"d\", \"table\": \"t\"}";
            Problem::new(Code::RequestWrong, format!("the body is no JSON object: {error}")).with_hint(hint)
        })?;
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(format!("`{name}` is no text"), "write it in quotes")),
        };
        let needed = |name: &str| {
            let given = text(name)?.filter(|text| !text.is_empty());
            given.ok_or_else(|| wrong(format!("`{name}` is missing"), "every job needs it"))
        };
        let target = chosen(config, text("target")?, text("to")?)?;
        let (database, table) = (needed("database")?, needed("table")?);
        allowed(config, &target, &database)?;
        let named = match fields.get("sources") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(str::to_owned);
                let texts: Option<Vec<String>> = items.iter().map(text).collect();
                texts.ok_or_else(|| wrong("`sources` is no list of texts", "write [\"/srv/in/a.csv\"]"))?
            }
            _ => return Err(wrong("`sources` is missing", "write a list of paths, patterns and folders")),
        };
        let given = fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str()));
        let given = given.map(|(name, value)| (name.clone(), given_of(value)));
        let settings = settings(given.collect())?;
        let sources = roots::resolve(&config.files.roots, &named)?;
        if sources.len() > SOURCES_MAX {
            let what = format!("{} files are more than one job takes ({SOURCES_MAX})", sources.len());
            return Err(wrong(what, "make several jobs of it"));
        }
        Self { kind: Kind::Files, target, database, table, sources, settings }.checked(config)
    }

    /// Reads what an upload says in its path, its query and its headers.
    pub(in crate::daemon) fn of_upload(
        config: &ServiceConfig,
        database: &str,
        table: &str,
        target: Option<String>,
        given: Vec<(String, String)>,
        job: &str,
    ) -> Result<Self, Problem> {
        let target = chosen(config, target, None)?;
        allowed(config, &target, database)?;
        let known = known();
        let mut several: Vec<(String, Given)> = Vec::new();
        for (name, value) in given {
            let flag = known.iter().any(|setting| setting.name == name && !setting.valued);
            let value = match value.as_str() {
                "true" | "" if flag => Given::Said(true),
                "false" if flag => Given::Said(false),
                _ => Given::One(value),
            };
            several.push((name, value));
        }
        if let Some((name, _)) = several.iter().find(|(name, _)| name == "job") {
            return Err(wrong(format!("`{name}` is not for uploads"), "send the header Idempotency-Key"));
        }
        let mut settings = settings(several)?;
        settings.push(format!("--job={job}"));
        let (database, table) = (database.to_owned(), table.to_owned());
        Self { kind: Kind::Upload, target, database, table, sources: Vec::new(), settings }.checked(config)
    }

    /// What a watched folder asks for with one of its files, whose content and name as a job are known.
    pub(in crate::daemon) fn of_watched(
        config: &ServiceConfig,
        watch: &Watch,
        path: &str,
        content: &str,
        job: &JobId,
    ) -> Result<Self, Problem> {
        let target = chosen(config, Some(watch.target.clone()).filter(|name| !name.is_empty()), None)?;
        let Watch { database, table, .. } = watch.clone();
        allowed(config, &target, &database)?;
        let given = watch.given().map_err(|what| wrong(what, "correct the settings of the watched folder"))?;
        let mut settings = settings(given)?;
        settings.extend([format!("--job={job}"), format!("--sha256={content}")]);
        let sources = roots::resolve(&config.files.roots, &[path.to_owned()])?;
        Self { kind: Kind::Files, target, database, table, sources, settings }.checked(config)
    }

    /// Whether it is an import, with memory that there is.
    fn checked(self, config: &ServiceConfig) -> Result<Self, Problem> {
        let args = self.import(config, Path::new("."), Path::new("."))?;
        let (memory, batches) = (args.memory, config.jobs.batch_memory);
        if let Err(error) = crate::loader::fits(memory, batches, args.load_size) {
            return Err(wrong(error.to_string(), "ask for more memory, or for a smaller load_size"));
        }
        let most = config.jobs.memory.0.saturating_sub(crate::config::PROGRAM_BYTES);
        if memory.0 > most {
            let most = ByteCount(most);
            return Err(wrong(format!("{memory} of memory are more than the service has ({most})"), "ask for less"));
        }
        args.reading.options().map_err(|error| Problem::of(&error).with_status(hyper::StatusCode::BAD_REQUEST))?;
        Ok(self)
    }

    /// The import as it would be typed, with this much memory where another process does it.
    pub(in crate::daemon) fn arguments(
        &self,
        config: &ServiceConfig,
        state: &Path,
        rejects: &Path,
        memory: Option<ByteCount>,
    ) -> Vec<String> {
        let address = config.targets.get(&self.target).map_or(self.target.as_str(), |target| &target.address);
        let place = format!("{}/{}", self.database, self.table);
        let to = if address == "sandbox:" { format!("sandbox:{place}") } else { format!("{address}/{place}") };
        let mut arguments = vec![
            "import".to_owned(),
            format!("--to={to}"),
            format!("--state-dir={}", state.display()),
            format!("--rejects={}", rejects.display()),
        ];
        let says = |flag: &str| self.settings.iter().any(|setting| setting.starts_with(flag));
        if !says("--load-size=") {
            arguments.push(format!("--load-size={}", config.jobs.load_size.0));
        }
        if memory.is_some() || !says("--memory=") {
            arguments.push(format!("--memory={}", memory.unwrap_or(config.jobs.job_memory).0));
        }
        let kept = self.settings.iter().filter(|setting| memory.is_none() || !setting.starts_with("--memory="));
        arguments.extend(kept.cloned());
        arguments.push("--".to_owned());
        match self.kind {
            Kind::Files => arguments.extend(self.sources.iter().cloned()),
            Kind::Upload => arguments.push("-".to_owned()),
        }
        arguments
    }

    /// The import that it is.
    pub(in crate::daemon) fn import(
        &self,
        config: &ServiceConfig,
        state: &Path,
        rejects: &Path,
    ) -> Result<ImportArgs, Problem> {
        let arguments = self.arguments(config, state, rejects, None);
        let mut args = setting::typed(&arguments).map_err(|what| wrong(what, "GET /openapi.json describes it"))?;
        if let Some(target) = config.targets.get(&self.target) {
            args.target.sandbox_dir.clone_from(&target.sandbox_dir);
        }
        // What the environment says is meant for the command line.
        (args.target.password, args.target.password_file) = (None, None);
        Ok(args)
    }

    /// The name that was given to the job, where one was.
    pub(in crate::daemon) fn job(&self) -> Option<&str> {
        self.settings.iter().rev().find_map(|setting| setting.strip_prefix("--job="))
    }
}

fn wrong(what: impl Into<String>, hint: &str) -> Problem {
    Problem::new(Code::RequestWrong, what).with_hint(hint)
}

/// The settings that a request may have.
pub(in crate::daemon) fn known() -> Vec<Setting> {
    let taken = |setting: &Setting| TAKEN.contains(&setting.name.as_str());
    setting::settings().into_iter().filter(taken).collect()
}

fn settings(given: Vec<(String, Given)>) -> Result<Vec<String>, Problem> {
    let known = known();
    let mut typed = Vec::new();
    for (name, value) in given {
        let arguments = setting::arguments(&known, &name, value).map_err(|unfit| match unfit {
            Unfit::Takes(wanted) => wrong(format!("`{name}` takes {wanted}"), "GET /openapi.json describes it"),
            Unfit::Unknown(near) => {
                let near: Vec<&str> = near.iter().map(String::as_str).chain(near::names(&name, FIELDS)).collect();
                let hint = if near.is_empty() {
                    "settings are the flags of `shipload import`, with _ for -; GET /openapi.json lists them".to_owned()
                } else {
                    format!("did you mean `{}`?", near.join("`, `"))
                };
                wrong(format!("there is no field `{name}`"), &hint)
            }
        })?;
        typed.extend(arguments);
    }
    Ok(typed)
}

fn given_of(value: &Value) -> Given {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Bool(said) => Given::Said(*said),
        Value::Array(items) => items.iter().map(one).collect::<Option<Vec<_>>>().map_or(Given::Other, Given::Several),
        value => one(value).map_or(Given::Other, Given::One),
    }
}

/// The target that is meant: a configured one, the only one there is, or an address where that is allowed.
fn chosen(config: &ServiceConfig, name: Option<String>, to: Option<String>) -> Result<String, Problem> {
    let unnamed = |what: String, hint: &str| Problem::new(Code::TargetUnnamed, what).with_hint(hint);
    match (name, to) {
        (Some(_), Some(_)) => Err(wrong("both `target` and `to` are given", "keep one of them")),
        (Some(name), None) if config.targets.contains_key(&name) => Ok(name),
        (Some(name), None) => {
            let near = near::names(&name, config.targets.keys().map(String::as_str));
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name one that has a section [targets.NAME]".to_owned(),
            };
            Err(unnamed(format!("there is no target `{name}`"), &hint))
        }
        (None, None) if config.targets.len() == 1 => Ok(config.targets.keys().next().cloned().unwrap_or_default()),
        (None, None) => Err(unnamed("no target is named".to_owned(), "say `target`: the name of a [targets.NAME]")),
        (None, Some(_)) if !config.jobs.any_target => Err(unnamed(
            "only configured targets may be loaded into".to_owned(),
            "say `target`, or set jobs.any_target",
        )),
        (None, Some(address)) => match address.parse::<crate::config::TargetUrl>() {
            Ok(url) if url.password_in_url() => Err(wrong("`to` has a password in it", "configure the target")),
            Ok(url) if url.database.is_none() => Ok(address.trim_end_matches('/').to_owned()),
            Ok(_) => Err(wrong("`to` names a database", "say `database` and `table` beside it")),
            Err(error) => Err(Problem::of(&error)),
        },
    }
}

fn allowed(config: &ServiceConfig, target: &str, database: &str) -> Result<(), Problem> {
    let databases = config.targets.get(target).map(|target| &target.databases);
    if databases.is_some_and(|databases| !databases.is_empty() && !databases.iter().any(|known| known == database)) {
        let what = format!("the database `{database}` of `{target}` is not one that may be loaded into");
        return Err(Problem::new(Code::TargetUnnamed, what).with_hint("add it to the target's `databases`"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;

//! Settings of an import by name, as job files and requests have them: each becomes the flag that would be typed, and is
//! read by the same rules.

use clap::builder::ArgAction;
use clap::{Args as _, Parser, Subcommand};

use super::ImportArgs;
use crate::near;

/// A flag of `import` under the name that it has where it is no flag.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// What it is for.
    pub help: String,
    /// Whether it takes a value.
    pub valued: bool,
    /// Whether it takes several.
    pub many: bool,
}

/// What was given for a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// True or false.
    Said(bool),
    /// A text, or a number as text.
    One(String),
    /// Several.
    Several(Vec<String>),
    /// Something else, which no setting takes.
    Other,
}

/// Why something is no setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is none of this name; these are near.
    Unknown(Vec<String>),
    /// It takes something else, which this names.
    Takes(&'static str),
}

/// Every setting, in the order of the flags.
#[must_use]
pub fn settings() -> Vec<Setting> {
    let command = ImportArgs::augment_args(clap::Command::new("import"));
    let setting = |arg: &clap::Arg| {
        let action = arg.get_action();
        Some(Setting {
            name: arg.get_long()?.replace('-', "_"),
            help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
            valued: matches!(action, ArgAction::Set | ArgAction::Append),
            many: matches!(action, ArgAction::Append),
        })
    };
    command.get_arguments().filter_map(setting).collect()
}

/// A setting as it would be typed. `known` are those that may be given here.
///
/// # Errors
/// When there is no such setting, or it takes something else.
pub fn arguments(known: &[Setting], name: &str, given: Given) -> Result<Vec<String>, Unfit> {
    let Some(setting) = known.iter().find(|setting| setting.name == name) else {
        let near = near::names(name, known.iter().map(|setting| setting.name.as_str()));
        return Err(Unfit::Unknown(near.into_iter().map(str::to_owned).collect()));
    };
    let flag = format!("--{}", name.replace('_', "-"));
    let with = |text: String| format!("{flag}={text}");
    match (setting.valued, setting.many, given) {
        (false, _, Given::Said(true)) => Ok(vec![flag]),
        (false, _, Given::Said(false)) => Ok(Vec::new()),
        (false, ..) => Err(Unfit::Takes("true or false")),
        (true, _, Given::One(text)) => Ok(vec![with(text)]),
        (true, true, Given::Several(texts)) => Ok(texts.into_iter().map(with).collect()),
        (true, true, _) => Err(Unfit::Takes("a text, or a list of texts")),
        (true, false, _) => Err(Unfit::Takes("a text or a number")),
    }
}

/// A command line that says `import`.
#[derive(Parser)]
#[command(name = "shipload")]
struct Typed {
    #[arg(long, global = true)]
    log: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Import(Box<ImportArgs>),
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// When it is not an import's, or a value is wrong; the text says which, on one line.
pub fn typed(arguments: &[String]) -> Result<ImportArgs, String> {
    let program = ["shipload".to_owned()];
    match Typed::try_parse_from(program.iter().chain(arguments)) {
        Ok(Typed { verb: Verb::Import(args), .. }) => Ok(*args),
        Err(error) => {
            let text = error.to_string();
            let lines: Vec<&str> = text.lines().take_while(|line| !line.starts_with("Usage")).map(str::trim).collect();
            Err(lines.join(" ").trim().trim_start_matches("error: ").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_flag_by_another_spelling() {
        let known = settings();
        let given = |name: &str, given| arguments(&known, name, given);
        assert_eq!(given("load_size", Given::One("8MiB".into())), Ok(vec!["--load-size=8MiB".into()]));
        assert_eq!(given("create_table", Given::Said(true)), Ok(vec!["--create-table".into()]));
        assert_eq!(given("create_table", Given::Said(false)), Ok(vec![]));
        assert_eq!(given("set", Given::Several(vec!["a=1".into(), "b=2".into()])).map(|typed| typed.len()), Ok(2));
        assert_eq!(given("loadsize", Given::Said(true)), Err(Unfit::Unknown(vec!["load_size".into()])));
        assert!(matches!(given("create_table", Given::One("1".into())), Err(Unfit::Takes(_))));
        assert!(matches!(given("load_size", Given::Several(vec![])), Err(Unfit::Takes(_))));
    }

    #[test]
    fn what_is_typed_is_an_import_or_says_why_not() {
        let line = |text: &str| typed(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(line("--log info import --to=sandbox:d/t -- a.csv").unwrap().sources, ["a.csv"]);
        let error = line("import --to=sandbox:d/t --parallel=0 -- a.csv").unwrap_err();
        assert!(error.contains("a number from 1") && !error.contains('\n') && !error.contains("Usage"), "{error}");
        assert!(line("status").is_err());
    }
}

//! [`Recipe`]: the command line of an import, as the journal keeps it so that the job can be begun again.
//!
//! It is the flags as they were typed and the folder they were typed in, so that every flag there is comes along. Passwords
//! are left out; they come from the environment, a file or the terminal each time.

use std::env;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ImportArgs;
use super::setting;

/// How to begin an import again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// The folder that relative paths start from.
    pub(crate) folder: PathBuf,
    /// The command line behind the program's name.
    arguments: Vec<String>,
    /// The folder of the sandbox, which may have come from the environment.
    sandbox_folder: PathBuf,
}

impl Recipe {
    /// The recipe of the import that this process was started for. None where it cannot be written down: without a folder to be
    /// in, or with arguments that are no text.
    pub(crate) fn of_this_process(args: &ImportArgs) -> Option<Self> {
        let arguments: Option<Vec<String>> = env::args_os().skip(1).map(|one| one.into_string().ok()).collect();
        Self::of(args, arguments?)
    }

    /// The recipe of an import that would be typed so, in the folder where this process is.
    pub(crate) fn of(args: &ImportArgs, arguments: Vec<String>) -> Option<Self> {
        Some(Self {
            folder: env::current_dir().ok().filter(|folder| folder.to_str().is_some())?,
            arguments: without_secrets(arguments),
            sandbox_folder: args.target.sandbox_dir.clone(),
        })
    }

    /// Reads back what [`text`](Self::text) wrote; none where another program wrote it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The recipe as the journal keeps it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and paths that are texts")
    }

    /// The flags, understood anew; none where this version no longer knows one.
    pub(crate) fn import(&self) -> Option<ImportArgs> {
        let mut args = setting::typed(&self.arguments).ok()?;
        args.target.sandbox_dir.clone_from(&self.sandbox_folder);
        Some(args)
    }

    /// The command line, to be typed again.
    pub(crate) fn command(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
        let quoted = |argument: &String| match argument.as_str() {
            text if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
            text => format!("'{}'", text.replace('\'', r"'\''")),
        };
        let arguments: Vec<String> = self.arguments.iter().map(quoted).collect();
        format!("shipload {}", arguments.join(" "))
    }
}

fn without_secrets(arguments: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.split_once('=').map_or((argument.as_str(), None), |(flag, value)| (flag, Some(value))) {
            ("--", None) => {
                // Sources stand behind it, however they look.
                kept.push(argument);
                kept.extend(arguments);
                break;
            }
            ("--password", None) => drop(arguments.next()),
            ("--password", Some(_)) => {}
            ("--to", Some(target)) => kept.push(format!("--to={}", without_password(target))),
            ("--to", None) => {
                kept.push(argument);
                kept.extend(arguments.next().map(|target| without_password(&target)));
            }
            _ => kept.push(argument),
        }
    }
    kept
}

/// A target with its user and without that one's password.
pub(crate) fn without_password(target: &str) -> String {
    let parts = || {
        let (scheme, rest) = target.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}@{hosts}{path}"))
    };
    parts().unwrap_or_else(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(line: &str) -> Recipe {
        let arguments = without_secrets(line.split(' ').map(str::to_owned).collect());
        Recipe { folder: "folder".into(), arguments, sandbox_folder: "sand".into() }
    }

    #[test]
    fn no_password_is_kept_however_it_was_given() {
        for line in [
            "import a.csv --to starrocks://ada:hush@fe1,fe2/db/t --password hush",
            "--log info import --password=hush --to=starrocks://ada:hu:sh@fe1,fe2/db/t a.csv",
            "import --to starrocks+https://ada:@fe1/db/t --password hush -- a.csv",
        ] {
            let text = recipe(line).text();
            assert!(!text.contains("hush") && !text.contains("hu:sh") && !text.contains("--password"), "{text}");
            assert!(text.contains("://ada@fe1"), "{text}");
            assert_eq!(recipe(line).import().unwrap().sources, ["a.csv"], "{text}");
        }
    }

    #[test]
    fn what_is_read_back_is_what_was_typed() {
        let recipe = recipe("import a.csv --to sandbox:db/t --max-rejects 7 -- --password b.csv");
        let read = Recipe::read(&recipe.text()).unwrap();
        assert_eq!(read, recipe);
        let args = read.import().unwrap();
        assert_eq!(args.sources, ["a.csv", "--password", "b.csv"]);
        assert_eq!(args.target.sandbox_dir, PathBuf::from("sand"));
        assert_eq!(Recipe::read("{}"), None);
    }

    #[test]
    fn a_command_can_be_typed_again() {
        let arguments = ["import", "it's.csv", "--to", "starrocks://u@fe/db/t"].map(str::to_owned).to_vec();
        let recipe = Recipe { arguments, ..recipe("import") };
        assert_eq!(recipe.command(), r"shipload import 'it'\''s.csv' --to starrocks://u@fe/db/t");
    }
}

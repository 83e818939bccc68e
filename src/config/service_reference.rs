//! The reference of the service's configuration: a file with every key, its default, and what it is for.

use std::fmt::Write as _;

use super::env::variable;
use super::option::{Key, Section};
use super::service::{Files, Jobs, Log, Server, TargetOptions, Token, Traces, Uploads, Watch};

const HEAD: &str = "\
# The configuration of `shipload serve`: every key with its default. Made from the program's own list by its tests.
#
# The environment comes before this file: each key names its variable. `shipload config check` says what is wrong with a
# file, `shipload config show` what comes of it. SIGHUP (`systemctl reload`) has it read again; keys marked \"needs a
# restart\" keep their value until then, and the log says so.
";

/// The reference, as it lies in `config/shipload.toml`.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    single::<Server>(&mut text);
    single::<Log>(&mut text);
    single::<Traces>(&mut text);
    single::<Jobs>(&mut text);
    single::<Uploads>(&mut text);
    single::<Files>(&mut text);
    named::<Watch>(&mut text, "orders");
    named::<TargetOptions>(&mut text, "warehouse");
    named::<Token>(&mut text, "nightly");
    text
}

fn single<S: Section>(text: &mut String) {
    about(text, S::ABOUT);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "[{}]", S::NAME);
    keys::<S>(text, S::NAME);
}

fn named<S: Section>(text: &mut String, example: &str) {
    about(text, S::ABOUT);
    let _ = writeln!(text, "#[{}.{example}]", S::NAME);
    keys::<S>(text, &format!("{}.{example}", S::NAME));
}

fn keys<S: Section>(text: &mut String, heading: &str) {
    for (key, (name, value)) in S::KEYS.iter().zip(S::defaults().shown()) {
        about(text, key.about);
        let _ = writeln!(text, "# {}\n#{name} = {value}", facts(key, heading));
    }
}

fn facts(key: &Key, heading: &str) -> String {
    let restart = if key.reloads { "" } else { " Needs a restart." };
    format!("Takes {}.{restart} {}", key.takes, variable(heading, key.name))
}

fn about(text: &mut String, lines: &[&str]) {
    text.push('\n');
    for line in lines {
        let _ = writeln!(text, "#{line}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_reference_file_is_what_the_program_knows() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/shipload.toml");
        let known = reference();
        let written = fs::read_to_string(&path).unwrap_or_default();
        if written != known {
            fs::write(&path, known).unwrap();
            panic!("config/shipload.toml was stale, and is written anew: commit it");
        }
    }
}

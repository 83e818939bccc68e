//! Reads our own source and holds it to its rules: who may import whom, a front page per folder, words in their one home.
//!
//! Each message gives the reason first and the place behind it.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the top: a module imports its own layer's `may_see_each_other` siblings or what stands above.
const LAYERS: &[Layer] = &[
    Layer { modules: &["model", "failure", "clock", "near"], strangers: false },
    Layer { modules: &["telemetry"], strangers: true },
    Layer {
        modules: &["source", "reader", "encoder", "compressor", "target", "journal", "governor", "sandbox"],
        strangers: true,
    },
    Layer { modules: &["planner", "pipeline", "dispatcher"], strangers: true },
    Layer { modules: &["loader"], strangers: true },
    Layer { modules: &["config"], strangers: true },
    Layer { modules: &["cli"], strangers: true },
];

/// What a face may import although it is no word and not the loader: the configuration sees every part, so that the
/// command line does not have to.
const CLI_SEES: &[&str] = &["model", "failure", "clock", "near", "telemetry", "loader", "config", "sandbox", "cli"];

/// The sandbox reads the protocol for itself, so that one misreading cannot hide in both.
const SANDBOX_SEES: &[&str] = &["failure", "clock", "near", "telemetry", "sandbox", "model"];

/// The words that the sandbox may use of the model: none of them says how the wire or the table looks.
const SANDBOX_WORDS: &[&str] = &["Secret", "ByteCount"];

/// What the reader takes of the source: an input that was opened.
const EXCEPTIONS: &[(&str, &str)] = &[("reader", "source")];

struct Layer {
    modules: &'static [&'static str],
    strangers: bool,
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let relative = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
                found.push((relative, text));
            }
        }
    }
    assert!(found.len() > 50, "the source is where it is looked for");
    found
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.trim_end_matches(".rs");
    (!["lib", "main"].contains(&name)).then(|| name.to_owned())
}

/// The modules that a text names by `crate::`, with their lines.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for part in code.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push((index + 1, name));
        }
    }
    found
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.modules.contains(&module))
}

fn may_import(from: &str, to: &str) -> bool {
    if from == to || EXCEPTIONS.contains(&(from, to)) {
        return true;
    }
    match from {
        "cli" => return CLI_SEES.contains(&to),
        "sandbox" => return SANDBOX_SEES.contains(&to),
        _ => {}
    }
    match (layer_of(from), layer_of(to)) {
        (Some(from), Some(to)) if from == to => !LAYERS[from].strangers,
        (Some(from), Some(to)) => to < from,
        _ => false,
    }
}

#[test]
fn imports_run_up_the_list_of_layers() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else { continue };
        let names = imports(&text).into_iter().filter(|(_, name)| layer_of(name).is_some());
        for (line, name) in names.filter(|(_, name)| !may_import(&module, name)) {
            wrong.push(format!("{}:{line}: `{module}` must not know `{name}`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "parts that know each other cannot be changed apart:\n{}", wrong.join("\n"));
}

#[test]
fn the_sandbox_shares_no_reading_of_the_protocol_with_the_client() {
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("src/sandbox")) {
        for (index, line) in text.lines().enumerate() {
            let Some(words) = line.trim().strip_prefix("use crate::model::") else { continue };
            let words = words.trim_end_matches(';').trim_matches(['{', '}']);
            let foreign = words.split(',').map(str::trim).filter(|word| !SANDBOX_WORDS.contains(word));
            wrong.extend(foreign.map(|word| format!("{}:{}: `{word}`", path.display(), index + 1)));
        }
    }
    assert!(wrong.is_empty(), "one misreading must not hide in both ends of the wire:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_front_page() {
    let mut bare = BTreeSet::new();
    for (path, text) in sources() {
        if !text.starts_with("//! ") {
            bare.insert(path.display().to_string());
        }
    }
    assert!(bare.is_empty(), "a newcomer reads the first line first; these files have none: {bare:?}");
}

/// A file beyond this has usually taken in a second idea.
const LINES_MAX: usize = 600;

#[test]
fn no_file_has_grown_a_second_idea() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "files beyond {LINES_MAX} lines are split by idea:\n{}", long.join("\n"));
}

#[test]
fn replies_of_the_server_are_read_in_one_place() {
    // Words of the server's replies that decide over rows. Whoever compares with one of them decides for itself.
    const WORDS: &[&str] = &["\"Publish Timeout\"", "\"Label Already Exists\"", "\"ExistingJobStatus\""];
    const HOMES: &[&str] = &["src/target/", "src/sandbox/"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let at_home = HOMES.iter().any(|home| path.to_str().unwrap().starts_with(home));
        if !at_home && WORDS.iter().any(|word| text.contains(word)) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "replies are understood in target/ alone, or they are understood twice: {wrong:?}");
}

//! Reads our own source and papers and holds them to their rules: who may import whom, a front page per folder, words in
//! their one home, and nothing on paper that the program does not know.
//!
//! Each message gives the reason first and the place behind it.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without ends it")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers, from the top: a module imports its own layer's `may_see_each_other` siblings or what stands above.
const LAYERS: &[Layer] = &[
    Layer { modules: &["model", "failure", "clock", "near", "simulated"], strangers: false },
    Layer { modules: &["telemetry"], strangers: true },
    Layer {
        modules: &["source", "reader", "encoder", "compressor", "target", "journal", "governor", "spool", "sandbox"],
        strangers: true,
    },
    Layer { modules: &["planner", "pipeline", "dispatcher"], strangers: true },
    Layer { modules: &["loader"], strangers: true },
    Layer { modules: &["config"], strangers: true },
    Layer { modules: &["daemon"], strangers: true },
    Layer { modules: &["cli"], strangers: true },
];

/// What a face may import although it is no word and not the loader: the configuration sees every part, so that the
/// command line does not have to.
const CLI_SEES: &[&str] =
    &["model", "failure", "clock", "near", "telemetry", "loader", "config", "sandbox", "daemon", "cli"];

/// The same for the service.
const DAEMON_SEES: &[&str] = &["model", "failure", "clock", "near", "telemetry", "loader", "config", "daemon"];

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
        "daemon" => return DAEMON_SEES.contains(&to),
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
    const HOMES: &[&str] = &["src/target/", "src/sandbox/", "src/loader/simulation/"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let at_home = HOMES.iter().any(|home| path.to_str().unwrap().starts_with(home));
        if !at_home && WORDS.iter().any(|word| text.contains(word)) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "replies are understood in target/ alone, or they are understood twice: {wrong:?}");
}

/// Everything that people read or run besides the source, with its text.
fn papers() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> =
        ["README.md", "docs", "examples/README.md", "config", "systemd", ".ci"].map(|name| root.join(name)).into();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// The words that start with this and go on with letters of these kinds.
fn words(text: &str, start: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<String> {
    let rest = |(at, _): (usize, &str)| {
        let before = text[..at].chars().next_back();
        let word: String = text[at + start.len()..].chars().take_while(|c| goes_on(*c)).collect();
        let whole = !before.is_some_and(|c| c == '-' || c == '_' || c.is_alphanumeric()) && !word.is_empty();
        whole.then(|| format!("{start}{word}"))
    };
    text.match_indices(start).filter_map(rest).collect()
}

fn flags(text: &str) -> BTreeSet<String> {
    words(text, "--", |c| c.is_ascii_lowercase() || c == '-')
}

fn variables(text: &str) -> BTreeSet<String> {
    words(text, "SHIPLOAD_", |c| c.is_ascii_uppercase() || c == '_')
}

fn help(verb: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_shipload")).args(verb.split(' ')).arg("--help").output().unwrap();
    assert!(output.status.success(), "{verb}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_flag_on_paper_is_one_of_the_program() {
    // Flags of cargo, curl, git, perf and valgrind stand in examples, too.
    const OTHERS: &[&str] = &[
        "--release",
        "--path",
        "--all",
        "--check",
        "--locked",
        "--all-targets",
        "--no-deps",
        "--location-trusted",
        "--test",
        "--lib",
        "--nocapture",
        "--bench",
        "--no-children",
        "--sort",
        "--stdio",
        "--percent-limit",
        "--tool",
        "--now",
        "--no-install-recommends",
    ];
    let verbs = [
        "import",
        "serve",
        "config show",
        "status",
        "sql",
        "schema",
        "explain",
        "sandbox",
        "cluster loads",
        "cluster metrics",
    ];
    let mut known: BTreeSet<String> = verbs.iter().flat_map(|verb| flags(&help(verb))).collect();
    known.extend(OTHERS.iter().map(ToString::to_string));
    let mut wrong = Vec::new();
    for (path, text) in papers() {
        let foreign =
            flags(&text).into_iter().filter(|flag| !known.contains(flag) && !flag.trim_matches('-').is_empty());
        wrong.extend(foreign.map(|flag| format!("{}: {flag}", path.display())));
    }
    assert!(wrong.is_empty(), "who types what a page says must not be refused:\n{}", wrong.join("\n"));
}

#[test]
fn the_configuration_file_names_every_variable_and_no_other() {
    let told: BTreeSet<String> =
        ["import", "sql", "serve", "sandbox"].iter().flat_map(|verb| variables(&help(verb))).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = variables(&fs::read_to_string(root.join("config/shipload.env")).unwrap());
    let unit = fs::read_to_string(root.join("systemd/shipload-import@.service")).unwrap();
    let missing: Vec<_> = told.difference(&listed).collect();
    assert!(missing.is_empty(), "config/shipload.env is where operators look; it lacks {missing:?}");
    let foreign: Vec<_> = listed.difference(&told).filter(|name| !unit.contains(name.as_str())).collect();
    assert!(foreign.is_empty(), "neither the program nor the unit reads {foreign:?}");
}

#[test]
fn every_error_page_shows_the_error_and_says_what_to_do() {
    let mut wrong = Vec::new();
    for (path, text) in papers().into_iter().filter(|(path, _)| path.starts_with("docs/errors")) {
        let code = path.file_stem().unwrap().to_str().unwrap();
        let what = text.lines().skip(1).find(|line| !line.is_empty());
        let explained = what.is_some_and(|line| !line.starts_with(['-', ' ', '#']));
        if !explained || !text.contains(&format!("error[{code}]: ")) || !text.to_lowercase().contains("what to do") {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "a page says what happened, shows it, and says what to do; these do not: {wrong:?}");
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for (path, text) in papers().into_iter().filter(|(path, _)| path.extension().is_some_and(|ending| ending == "md")) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.parent().unwrap());
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let local = !link.contains("://");
            if local && !folder.join(link.split('#').next().unwrap()).exists() {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let places = ["work", "root"].map(|name| format!("/{name}/"));
    let files = sources().into_iter().chain(papers());
    let named = files.filter(|(_, text)| places.iter().any(|place| text.contains(place.as_str())));
    let wrong: Vec<String> = named.map(|(path, _)| path.display().to_string()).collect();
    assert!(wrong.is_empty(), "paths of one machine mean nothing on another: {wrong:?}");
}

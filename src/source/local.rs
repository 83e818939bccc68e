//! Files, folders and patterns of this machine.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use tokio::runtime::Handle;

use super::{Error, Input, Opened, stream};
use crate::near;

/// A `*` stays within one folder and does not find hidden files, as in a shell.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Finds the inputs that `arguments` name: files, folders (with everything below), patterns, or `-`.
///
/// A pattern is a pattern only when no file has that very name. The order is that of the arguments, and byte-wise by path
/// within one of them. See the [module](super) for what folders leave out.
///
/// # Errors
/// When an argument finds nothing, a file cannot be looked at, or one is found twice.
pub fn list(arguments: &[String]) -> Result<Vec<Input>, Error> {
    #[cfg(test)]
    if let Some(inputs) = super::memory::list(arguments).filter(|inputs| !inputs.is_empty()) {
        return Ok(inputs);
    }
    if arguments.iter().any(|argument| argument == "-") {
        let [_] = arguments else { return Err(Error::StdinNotAlone) };
        return Ok(vec![Input { path: "-".into(), bytes: None, modified: None }]);
    }
    if arguments.is_empty() {
        return Err(Error::Missing { what: "no input is named".into(), near: Vec::new() });
    }
    let mut inputs = Vec::new();
    for argument in arguments {
        let mut found = expand(argument)?;
        found.sort_by(|a, b| a.path.as_os_str().as_encoded_bytes().cmp(b.path.as_os_str().as_encoded_bytes()));
        inputs.append(&mut found);
    }
    refuse_repeated(&inputs)?;
    Ok(inputs)
}

/// Opens an input at its start. `runtime` reads what is no file.
///
/// # Errors
/// When it cannot be opened, or its size or time is not the listed one.
pub fn open(input: &Input, runtime: &Handle) -> Result<Opened, Error> {
    #[cfg(test)]
    if let Some(opened) = super::memory::open(input) {
        return Ok(opened);
    }
    if input.is_stdin() {
        return Ok(Opened::Stream(Box::new(stream::stdin(runtime))));
    }
    if input.is_stream() {
        return Ok(Opened::Stream(Box::new(stream::pipe(runtime, input.path.clone()))));
    }
    let file = File::open(&input.path).map_err(|source| unreadable(&input.path, source))?;
    // The metadata of what was opened, not of what now has that name: nothing can slip in between.
    let metadata = file.metadata().map_err(|source| unreadable(&input.path, source))?;
    refuse_changed(input, &metadata)?;
    Ok(Opened::File(file))
}

/// Fails unless `metadata` says what the listing said.
pub(super) fn refuse_changed(input: &Input, metadata: &Metadata) -> Result<(), Error> {
    let changed = |what: String| Err(Error::Changed { path: input.path.clone(), what });
    if let Some(bytes) = input.bytes
        && bytes != metadata.len()
    {
        return changed(format!("it had {bytes} bytes and now has {}", metadata.len()));
    }
    // Not every file system has times; where there is none there was none.
    if input.modified != metadata.modified().ok() {
        return changed("it was written to".into());
    }
    Ok(())
}

/// What one argument stands for, in no order.
fn expand(argument: &str) -> Result<Vec<Input>, Error> {
    let path = Path::new(argument);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(source) if source.kind() == io::ErrorKind::NotFound && is_pattern(argument) => return matches(argument),
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
        Err(source) => return Err(unreadable(path, source)),
    };
    if !metadata.is_dir() {
        return Ok(vec![input(path.to_owned(), &metadata)]);
    }
    let mut found = Vec::new();
    walk(path, &mut Vec::new(), &mut found)?;
    if found.is_empty() {
        let what = format!("the folder {argument} has no files (names that begin with `.` or `_` are left out)");
        return Err(Error::Missing { what, near: Vec::new() });
    }
    Ok(found)
}

fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

/// The files that a pattern finds; folders it finds are walked.
fn matches(pattern: &str) -> Result<Vec<Input>, Error> {
    let paths = glob::glob_with(pattern, MATCHING)
        .map_err(|error| Error::Pattern { pattern: pattern.to_owned(), reason: error.msg.to_owned() })?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let path = error.path().to_owned();
            unreadable(&path, error.into())
        })?;
        let metadata = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            walk(&path, &mut Vec::new(), &mut found)?;
        } else {
            found.push(input(path, &metadata));
        }
    }
    if found.is_empty() {
        return Err(Error::Missing { what: format!("no file matches {pattern}"), near: Vec::new() });
    }
    Ok(found)
}

/// Collects the regular files below `folder`. `above` holds the folders on the way down, to notice a link that leads
/// back up and would go round for ever.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, found: &mut Vec<Input>) -> Result<(), Error> {
    let real = folder.canonicalize().map_err(|source| unreadable(folder, source))?;
    if above.contains(&real) {
        return Err(unreadable(folder, io::Error::other("a symbolic link in it leads back to a folder above it")));
    }
    above.push(real);
    let entries = fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".")
            || entry.file_name().as_encoded_bytes().starts_with(b"_")
        {
            continue;
        }
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            walk(&path, above, found)?;
        } else if metadata.is_file() {
            found.push(input(path, &metadata));
        }
    }
    above.pop();
    Ok(())
}

fn input(path: PathBuf, metadata: &Metadata) -> Input {
    if metadata.is_file() {
        Input { path, bytes: Some(metadata.len()), modified: metadata.modified().ok() }
    } else {
        Input { path, bytes: None, modified: None }
    }
}

/// Fails when two inputs are one file, however it was reached.
fn refuse_repeated(inputs: &[Input]) -> Result<(), Error> {
    let mut seen: HashMap<PathBuf, &Path> = HashMap::new();
    for input in inputs.iter().filter(|input| !input.is_stream()) {
        let real = input.path.canonicalize().map_err(|source| unreadable(&input.path, source))?;
        if let Some(first) = seen.insert(real, &input.path) {
            return Err(Error::Repeated { path: input.path.clone(), first: first.to_owned() });
        }
    }
    Ok(())
}

/// The error for a path that is not there: it names the first part of it that is not, and what may have been meant.
fn missing(path: &Path) -> Error {
    let gap = path.ancestors().filter(|part| !part.as_os_str().is_empty()).take_while(|part| !part.exists()).last();
    let gap = gap.unwrap_or(path);
    let what = if gap == path {
        format!("there is no file {}", path.display())
    } else {
        format!("there is no file {}: the folder {} does not exist", path.display(), gap.display())
    };
    let folder = gap.parent().unwrap_or(Path::new(""));
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names: Vec<String> = fs::read_dir(here)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let wanted = gap.file_name().unwrap_or_default().to_string_lossy();
    let near = near::names(&wanted, names.iter().map(String::as_str));
    Error::Missing { what, near: near.into_iter().map(|name| folder.join(name).display().to_string()).collect() }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::failure::{Code, Failure};

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    fn listed(folder: &TempDir, arguments: &[&str]) -> Result<Vec<String>, Error> {
        let arguments: Vec<String> =
            arguments.iter().map(|name| folder.path().join(name).to_str().unwrap().to_owned()).collect();
        let inputs = list(&arguments)?;
        let relative = |input: &Input| input.path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
        Ok(inputs.iter().map(relative).collect())
    }

    #[test]
    fn a_folder_gives_every_file_below_it_in_order_without_hidden_and_underscored_ones() {
        let folder = folder(&["d/b.csv", "d/a.csv", "d/b/x.bin", "d/.hidden", "d/_SUCCESS", "d/_tmp/y.csv", "d/B.csv"]);
        assert_eq!(listed(&folder, &["d"]).unwrap(), ["d/B.csv", "d/a.csv", "d/b.csv", "d/b/x.bin"]);
    }

    #[test]
    fn arguments_keep_their_order_and_patterns_stay_within_one_folder() {
        let folder = folder(&["z.csv", "b.csv", "a.csv", "sub/c.csv", ".d.csv"]);
        assert_eq!(listed(&folder, &["z.csv", "[ab].csv"]).unwrap(), ["z.csv", "a.csv", "b.csv"]);
        assert_eq!(listed(&folder, &["*.csv"]).unwrap(), ["a.csv", "b.csv", "z.csv"]);
        assert_eq!(listed(&folder, &["**/c.csv"]).unwrap(), ["sub/c.csv"]);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_pattern_is_that_file() {
        let folder = folder(&["a[1].csv", "a1.csv"]);
        assert_eq!(listed(&folder, &["a[1].csv"]).unwrap(), ["a[1].csv"]);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_may_have_been_meant() {
        let folder = folder(&["orders.csv", "data/x.csv", "empty/_SUCCESS"]);
        for (argument, message, hint) in [
            ("oders.csv", "there is no file", "orders.csv"),
            ("dat/x.csv", "does not exist", "data"),
            ("*.tsv", "no file matches", "check the path"),
            ("empty", "has no files", "check the path"),
        ] {
            let error = listed(&folder, &[argument]).unwrap_err();
            assert_eq!(error.code(), Code::InputMissing, "{argument}");
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.hint().unwrap().contains(hint), "{argument}");
        }
    }

    #[test]
    fn one_file_under_two_names_is_an_error() {
        let folder = folder(&["a.csv", "b.csv"]);
        for arguments in [&["a.csv", "a.csv"][..], &["a.csv", "./a.csv"], &["b.csv", "*.csv"]] {
            assert!(matches!(listed(&folder, arguments), Err(Error::Repeated { .. })), "{arguments:?}");
        }
    }

    #[test]
    fn standard_input_stands_alone() {
        let dash = "-".to_owned();
        assert!(list(std::slice::from_ref(&dash)).unwrap()[0].is_stdin());
        for others in ["-", "a.csv"] {
            assert!(matches!(list(&[dash.clone(), others.to_owned()]), Err(Error::StdinNotAlone)));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_back_up_is_an_error_and_not_an_endless_walk() {
        let folder = folder(&["d/a.csv"]);
        std::os::unix::fs::symlink(folder.path().join("d"), folder.path().join("d/again")).unwrap();
        assert_eq!(listed(&folder, &["d"]).unwrap_err().code(), Code::InputUnreadable);
    }

    #[test]
    fn a_file_that_changed_since_it_was_listed_is_not_opened() {
        let folder = folder(&["a.csv"]);
        let path = folder.path().join("a.csv");
        let inputs = list(&[path.to_str().unwrap().to_owned()]).unwrap();
        let runtime = Runtime::new().unwrap();
        let Opened::File(mut file) = open(&inputs[0], runtime.handle()).unwrap() else { panic!("a file") };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a.csv");
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        let error = open(&inputs[0], runtime.handle()).err().expect("it changed");
        assert!(error.to_string().contains("5 bytes and now has 9"), "{error}");
    }

    #[test]
    fn a_file_rewritten_at_the_same_size_has_changed_too() {
        let folder = folder(&["a.csv"]);
        let path = folder.path().join("a.csv");
        let mut inputs = list(&[path.to_str().unwrap().to_owned()]).unwrap();
        inputs[0].modified = Some(std::time::SystemTime::UNIX_EPOCH);
        let runtime = Runtime::new().unwrap();
        assert!(matches!(open(&inputs[0], runtime.handle()), Err(Error::Changed { .. })));
    }
}

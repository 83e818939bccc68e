//! Which files jobs may read: those below the configured folders, wherever symbolic links lead.

use std::path::{Path, PathBuf};

use crate::daemon::api::problem::Problem;
use crate::failure::Code;

/// The files that are meant, each by its path without symbolic links, so that nothing decides later what a link means.
pub(super) fn resolve(roots: &[PathBuf], named: &[String]) -> Result<Vec<String>, Problem> {
    if roots.is_empty() {
        return Err(outside("no folder is configured that jobs may read", "set files.roots"));
    }
    let real: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    for one in named {
        // Looked at before anything is opened: what is outside is not even told from what is not there.
        let start = fixed_part(one);
        if !start.is_absolute() || !below(&real, &existing(&start)) {
            return Err(not_below(one));
        }
    }
    let inputs = crate::loader::list(named).map_err(|error| Problem::of(&error))?;
    let mut found = Vec::with_capacity(inputs.len());
    for path in inputs {
        let resolved = path.canonicalize().map_err(|_| not_below(&path.display().to_string()))?;
        if !below(&real, &resolved) {
            return Err(not_below(&path.display().to_string()));
        }
        if !resolved.is_file() {
            let what = format!("{} is no file", path.display());
            return Err(Problem::new(Code::RequestWrong, what).with_hint("jobs read files; streams are uploaded"));
        }
        let text = resolved.into_os_string().into_string();
        found.push(text.map_err(|path| {
            Problem::new(Code::RequestWrong, format!("the path {} is no text", Path::new(&path).display()))
        })?);
    }
    Ok(found)
}

/// Whether files that were found once may still be read.
pub(super) fn still(roots: &[PathBuf], files: &[String]) -> Result<(), Problem> {
    let real: Vec<PathBuf> = roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let outside = files.iter().find(|file| !below(&real, &existing(Path::new(file.as_str()))));
    outside.map_or(Ok(()), |file| Err(not_below(file)))
}

fn outside(what: impl Into<String>, hint: &str) -> Problem {
    Problem::new(Code::PathOutside, what).with_hint(hint)
}

fn not_below(path: &str) -> Problem {
    outside(
        format!("{path} is not below a folder that jobs may read"),
        "put the file below one of files.roots, or add its folder there",
    )
}

fn below(roots: &[PathBuf], path: &Path) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

/// A path up to its first segment that is a pattern.
fn fixed_part(text: &str) -> PathBuf {
    let is_pattern = |segment: &std::path::Component<'_>| {
        segment.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
    };
    let path = Path::new(text);
    if path.exists() { path.to_owned() } else { path.components().take_while(|segment| !is_pattern(segment)).collect() }
}

/// Where a path leads as far as it exists; what does not exist cannot be a link. A `..` behind what does not exist leads
/// nowhere that is trusted.
fn existing(path: &Path) -> PathBuf {
    let mut known = path.to_owned();
    let mut behind = Vec::new();
    loop {
        if let Ok(real) = known.canonicalize() {
            let rest: PathBuf = behind.iter().rev().collect();
            let climbs = rest.components().any(|part| part == std::path::Component::ParentDir);
            return if climbs { PathBuf::new() } else { real.join(rest) };
        }
        let Some(last) = known.components().next_back().map(|part| part.as_os_str().to_owned()) else {
            return PathBuf::new();
        };
        behind.push(last);
        if !known.pop() {
            return PathBuf::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_below_a_root_are_found_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("in/sub")).unwrap();
        fs::create_dir_all(at("inside-not")).unwrap();
        for name in ["in/a.csv", "in/sub/b.csv", "secret.csv", "inside-not/c.csv"] {
            fs::write(at(name), "x").unwrap();
        }
        symlink(at("secret.csv"), at("in/link.csv")).unwrap();
        symlink(folder.path(), at("in/up")).unwrap();
        fs::create_dir(at("in/linked")).unwrap();
        symlink(at("secret.csv"), at("in/linked/x.csv")).unwrap();
        symlink(at("in/a.csv"), at("in/alias.csv")).unwrap();
        let roots = [at("in")];
        let text = |name: &str| at(name).display().to_string();
        let resolved = |name: &str| resolve(&roots, &[text(name)]);
        let real = |name: &str| at(name).canonicalize().unwrap().display().to_string();
        assert_eq!(resolved("in/a.csv").unwrap(), [real("in/a.csv")]);
        assert_eq!(resolved("in/alias.csv").unwrap(), [real("in/a.csv")], "the path is the one it leads to");
        assert_eq!(resolved("in/sub/../a.csv").unwrap(), [real("in/a.csv")]);
        assert_eq!(resolved("in/s*/*.csv").unwrap(), [real("in/sub/b.csv")]);
        for outside in [
            "in/../secret.csv",
            "in/link.csv",
            "in/up/secret.csv",
            "in/up/*.csv",
            "secret.csv",
            "inside-not/c.csv",
            "in/nothing/../../secret.csv",
            "in/*/secret.csv",
            "in/../*.csv",
            "in/linked",
        ] {
            let problem = resolved(outside).unwrap_err();
            assert_eq!(problem.code(), Code::PathOutside, "{outside}: {}", problem.detail());
        }
        assert_eq!(resolved("in/nothing.csv").unwrap_err().code(), Code::InputMissing);
        for wrong in ["a.csv", "-", "../secret.csv", ""] {
            assert_eq!(resolve(&roots, &[wrong.to_owned()]).unwrap_err().code(), Code::PathOutside, "{wrong}");
        }
        assert_eq!(resolve(&[], &[text("in/a.csv")]).unwrap_err().code(), Code::PathOutside);
        assert!(still(&roots, &[real("in/a.csv")]).is_ok() && still(&roots, &[real("secret.csv")]).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let problem = resolve(&[folder.path().to_owned()], &[pipe.display().to_string()]).unwrap_err();
        assert_eq!(problem.code(), Code::RequestWrong);
    }
}

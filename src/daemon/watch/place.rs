//! What lies in a watched folder, and where its files go.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::File;
use super::settle::{Mark, Seen};
use crate::config::service::Watch;

/// Files that are looked at, at most; the others' turn comes when these are put away.
const FILES_MAX: usize = 10_000;

/// What is put behind the name of a file that could not be loaded, for the file that says why.
const REASON: &str = ".reason.txt";

/// The files that lie there.
pub(super) fn list(watch: &Watch) -> Result<Vec<Seen>, String> {
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let paths = glob::glob_with(&watch.glob, options).map_err(|error| error.to_string())?;
    let away: Vec<&PathBuf> = [&watch.loaded_dir, &watch.failed_dir].into_iter().flatten().collect();
    let mut found = Vec::new();
    for path in paths.take(FILES_MAX) {
        let path = path.map_err(|error| error.to_string())?;
        let is_marker =
            !watch.marker.is_empty() && path.as_os_str().as_encoded_bytes().ends_with(watch.marker.as_bytes());
        if is_marker || away.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        // What is gone meanwhile, or no file, or a link that may lead anywhere, is passed over.
        let Some(mark) = Mark::of(&path) else { continue };
        let marked = !watch.marker.is_empty() && marker_of(&path, &watch.marker).exists();
        found.push(Seen { path, mark, marked });
    }
    Ok(found)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn marker_of(path: &Path, marker: &str) -> PathBuf {
    with_ending(path, marker)
}

/// Removes a file and its marker.
pub(super) fn delete(file: &File, marker: &str) -> io::Result<()> {
    still(file)?;
    fs::remove_file(&file.path)?;
    remove_marker(file, marker)
}

/// Moves a file into a folder, under a name that is free there; returns where it is now.
pub(super) fn put(file: &File, marker: &str, folder: &Path) -> io::Result<PathBuf> {
    still(file)?;
    fs::create_dir_all(folder)?;
    let place = free(folder, &file.path)?;
    match fs::rename(&file.path, &place) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            // Under a name that is not the file's until it is whole.
            let partial = with_ending(&place, ".part");
            fs::copy(&file.path, &partial)?;
            fs::rename(&partial, &place)?;
            fs::remove_file(&file.path)?;
        }
        moved => moved?,
    }
    remove_marker(file, marker)?;
    Ok(place)
}

/// The same, with the reason beside it: written first, so that no file lies there without one.
pub(super) fn put_with_reason(file: &File, marker: &str, folder: &Path, reason: &str) -> io::Result<()> {
    still(file)?;
    fs::create_dir_all(folder)?;
    let place = free(folder, &file.path)?;
    fs::write(with_ending(&place, REASON), reason)?;
    put(file, marker, folder).map(drop)
}

/// Whether it is the file that was loaded. Whoever has written to it meanwhile means other rows.
fn still(file: &File) -> io::Result<()> {
    if Mark::of(&file.path) == Some(file.mark) {
        Ok(())
    } else {
        Err(io::Error::other("it is not what it was any more"))
    }
}

fn free(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?;
    let place = folder.join(name);
    let mut number = 0_u32;
    let mut one = place.clone();
    while one.symlink_metadata().is_ok() {
        number += 1;
        one = with_ending(&place, &format!(".{number}"));
    }
    Ok(one)
}

fn remove_marker(file: &File, marker: &str) -> io::Result<()> {
    if marker.is_empty() {
        return Ok(());
    }
    match fs::remove_file(marker_of(&file.path, marker)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::option::Section as _;

    fn file(path: &Path) -> File {
        File { path: path.to_owned(), mark: Mark::of(path).unwrap() }
    }

    #[test]
    fn files_are_listed_and_markers_links_hidden_ones_and_those_put_away_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("in/sub/loaded")).unwrap();
        for name in ["in/a.csv", "in/b.csv", "in/b.csv.done", "in/.c.csv", "in/sub/d.csv", "in/sub/loaded/e.csv"] {
            fs::write(at(name), name).unwrap();
        }
        symlink(at("in/a.csv"), at("in/link.csv")).unwrap();
        let mut watch = Watch::defaults();
        watch.glob = at("in/**/*").display().to_string();
        (watch.marker, watch.loaded_dir) = (".done".into(), Some(at("in/sub/loaded")));
        let found: Vec<_> = list(&watch).unwrap().into_iter().map(|one| (one.path, one.marked)).collect();
        assert_eq!(found, [(at("in/a.csv"), false), (at("in/b.csv"), true), (at("in/sub/d.csv"), false)]);
    }

    #[test]
    fn a_file_takes_no_others_place_and_one_that_was_written_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("a.csv"), folder.path().join("away"));
        for number in ["", ".1", ".2"] {
            fs::write(&path, format!("rows{number}")).unwrap();
            fs::write(folder.path().join("a.csv.done"), "").unwrap();
            assert_eq!(put(&file(&path), ".done", &away).unwrap(), away.join(format!("a.csv{number}")));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the marker went as well");
        }
        fs::write(&path, "bad").unwrap();
        put_with_reason(&file(&path), "", &away, "why").unwrap();
        assert_eq!(fs::read_to_string(away.join("a.csv.3.reason.txt")).unwrap(), "why");
        assert_eq!(fs::read_to_string(away.join("a.csv.3")).unwrap(), "bad");

        fs::write(&path, "rows").unwrap();
        let before = file(&path);
        fs::write(&path, "more rows").unwrap();
        assert!(delete(&before, "").is_err() && put(&before, "", &away).is_err() && path.exists());
        delete(&file(&path), "").unwrap();
        assert!(!path.exists());
    }
}

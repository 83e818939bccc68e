//! Where a password comes from.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use crate::model::Secret;

/// The places a password may come from, first one first.
#[derive(Clone, Debug, Default)]
pub struct PasswordFrom {
    /// Given as it is, by the environment or a flag.
    pub value: Option<Secret<String>>,
    /// The first line of this file.
    pub file: Option<PathBuf>,
    /// The folder of systemd's credentials; one named `shipload-password` is taken.
    pub credentials: Option<PathBuf>,
}

/// The name of the systemd credential.
const CREDENTIAL: &str = "shipload-password";

impl PasswordFrom {
    /// Finds the password; none where no place has one.
    ///
    /// # Errors
    /// When a file that was named cannot be read.
    pub fn find(&self) -> Result<Option<Secret<String>>, Error> {
        if let Some(value) = &self.value {
            return Ok(Some(value.clone()));
        }
        if let Some(file) = &self.file {
            return first_line(file).map(Some);
        }
        let credential = self.credentials.as_ref().map(|folder| folder.join(CREDENTIAL));
        let found = credential.filter(|file| file.exists()).map(|file| first_line(&file)).transpose()?;
        // The unit sets an empty credential where there is no file for one.
        Ok(found.filter(|password| !password.expose().is_empty()))
    }
}

/// Asks on the terminal, without showing what is typed.
pub(super) fn ask(question: &str) -> Result<Secret<String>, Error> {
    let terminal = console::Term::stderr();
    let answer = terminal.write_str(question).and_then(|()| terminal.read_secure_line());
    answer.map(Secret::new).map_err(Error::Terminal)
}

fn first_line(path: &Path) -> Result<Secret<String>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::PasswordFile { path: path.to_owned(), source })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_comes_before_the_file_and_the_file_before_the_credential() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "from file\nrest\n").unwrap();
        fs::write(folder.path().join(CREDENTIAL), "from credential").unwrap();
        let mut from = PasswordFrom {
            value: Some(Secret::new("given".into())),
            file: Some(file),
            credentials: Some(folder.path().to_owned()),
        };
        let found = |from: &PasswordFrom| from.find().unwrap().map(|secret| secret.expose().clone());
        assert_eq!(found(&from).as_deref(), Some("given"));
        from.value = None;
        assert_eq!(found(&from).as_deref(), Some("from file"));
        from.file = None;
        assert_eq!(found(&from).as_deref(), Some("from credential"));
        fs::write(folder.path().join(CREDENTIAL), "\n").unwrap();
        assert_eq!(found(&from), None);
        from.credentials = None;
        assert_eq!(found(&from), None);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let from = PasswordFrom { file: Some("/nowhere/at/all".into()), ..PasswordFrom::default() };
        assert!(matches!(from.find(), Err(Error::PasswordFile { .. })));
    }
}

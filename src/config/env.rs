//! The environment of the service: `SHIPLOAD_SECTION_KEY` comes before the file.

use std::env;

/// Variables of the command line, which mean nothing to the service.
const OTHERS: [&str; 7] = [
    "SHIPLOAD_PASSWORD",
    "SHIPLOAD_PASSWORD_FILE",
    "SHIPLOAD_STATE_DIR",
    "SHIPLOAD_SANDBOX_DIR",
    "SHIPLOAD_SANDBOX_PASSWORD",
    "SHIPLOAD_LOG",
    "SHIPLOAD_CONFIG",
];

/// What those of tests begin with.
const TEST: &str = "SHIPLOAD_TEST_";

/// What all of ours begin with.
const PREFIX: &str = "SHIPLOAD_";

/// The variables that there are.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// That of this process. Variables that are no text are none of ours.
    #[must_use]
    pub fn of_this_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }

    /// Those of a test.
    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Each with its value.
    pub(super) fn variables(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Whether a variable belongs to somebody else.
    pub(super) fn is_foreign(name: &str) -> bool {
        OTHERS.contains(&name) || name.starts_with(TEST)
    }
}

/// The variable of a key: `targets.ware-house`, `address` is `SHIPLOAD_TARGETS_WARE_HOUSE_ADDRESS`.
#[must_use]
pub fn variable(heading: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}", heading.replace(['.', '-'], "_"), key).to_uppercase()
}

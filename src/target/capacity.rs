//! [`Capacity`]: what a server says of how many transactions it takes, asked before a job is planned.
//!
//! Each part is asked for by itself, and what the server does not tell, or not to this user, is left out: a plan goes on
//! without it. Settings of frontends are shown over the MySQL port alone (SR §8), and only to who may operate the system.

use std::time::Duration;

use tokio::time::timeout;

use super::Error;
use super::mysql::{self, Login};
use super::starrocks::StarRocks;

/// How long all questions together may take. A server that is well answers each within milliseconds.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// How long the MySQL port may take for a login. Often it cannot be reached from where loads can.
const LOGIN_WITHIN: Duration = Duration::from_secs(2);

const RUNNING_MAX: &str = "max_running_txn_num_per_db";

const PREPARED_FOR: &str = "prepared_transaction_default_timeout_second";

/// The first release with the transaction interface (SR §10).
const TRANSACTIONS_SINCE: (u32, u32) = (2, 4);

/// What is known of how much a server takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Its version.
    pub version: Option<String>,
    /// How many transactions may run in the target's database.
    pub transactions_max: Option<u64>,
    /// How many do.
    pub transactions_running: Option<u64>,
    /// How long a prepared transaction waits for its commit, unless its client says otherwise.
    pub prepared_for: Option<Duration>,
}

impl Capacity {
    /// Whether the server knows the transaction interface; none where its version does not tell.
    #[must_use]
    pub fn takes_transactions(&self) -> Option<bool> {
        let mut numbers = self.version.as_deref()?.trim_start_matches('v').split(['.', '-']).map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
        Some((major, minor) >= TRANSACTIONS_SINCE)
    }
}

impl StarRocks {
    pub(super) async fn ask_capacity(&self) -> Capacity {
        let version = async { timeout(ASK_WITHIN, self.version()).await.ok()?.ok() };
        let running = async {
            let transactions = timeout(ASK_WITHIN, self.cluster().transactions(0)).await.ok()?.ok()?;
            Some(transactions.len() as u64)
        };
        let settings = async { timeout(ASK_WITHIN, self.frontend_settings()).await.unwrap_or_default() };
        let (version, transactions_running, settings) = tokio::join!(version, running, settings);
        let setting = |wanted: &str| settings.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        Capacity {
            version,
            transactions_max: setting(RUNNING_MAX),
            transactions_running,
            prepared_for: setting(PREPARED_FOR).map(Duration::from_secs),
        }
    }

    /// The frontends' settings that matter to a plan, as far as they are told.
    async fn frontend_settings(&self) -> Vec<(String, u64)> {
        let mut login = self.login();
        login.connect_within = LOGIN_WITHIN;
        let statements = [RUNNING_MAX, PREPARED_FOR].map(|name| format!("ADMIN SHOW FRONTEND CONFIG LIKE '{name}'"));
        let Ok(rows) = mysql::rows(&login, &statements, &["Key", "Value"]).await else { return Vec::new() };
        let read = |row: Vec<String>| {
            let [name, value] = <[String; 2]>::try_from(row).ok()?;
            Some((name, value.trim().parse().ok()?))
        };
        rows.into_iter().filter_map(read).collect()
    }

    /// Looks whether the user gets in over the MySQL port.
    ///
    /// # Errors
    /// When it cannot be reached or refuses the user.
    pub async fn may_log_in(&self) -> Result<(), Error> {
        mysql::rows(&self.login(), &[], &[]).await.map(drop)
    }

    /// How to log in over the MySQL port.
    pub(super) fn login(&self) -> Login<'_> {
        let frontends = self.options.url.frontends.iter().map(|frontend| frontend.host.clone());
        Login {
            hosts: self.options.mysql_host.clone().map_or_else(|| frontends.collect(), |host| vec![host]),
            port: self.options.mysql_port,
            user: &self.options.url.user,
            password: &self.options.password,
            connect_within: self.options.connect_timeout,
            answer_within: self.options.query_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_tells_whether_there_are_transactions() {
        let of = |version: &str| Capacity { version: Some(version.into()), ..Capacity::default() }.takes_transactions();
        for (version, known) in [
            ("2.4.0", Some(true)),
            ("3.5.4-1a2b", Some(true)),
            ("v4.0.1", Some(true)),
            ("10.0-rc1", Some(true)),
            ("2.3.18", Some(false)),
            ("1.19", Some(false)),
            ("main-1a2b", None),
            ("3", None),
            ("", None),
        ] {
            assert_eq!(of(version), known, "{version}");
        }
        assert_eq!(Capacity::default().takes_transactions(), None);
    }
}

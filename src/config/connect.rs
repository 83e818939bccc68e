//! [`connect`]: a target by its address, ready to be loaded or asked.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Error, PasswordFrom, password};
#[cfg(feature = "sandbox")]
use crate::failure::{Code, Failure};
use crate::loader::Loader;
use crate::model::Secret;
#[cfg(feature = "sandbox")]
use crate::sandbox::{self, Sandbox};
use crate::target::cluster::Cluster;
use crate::target::{self, HostMap, QueryResult, StarRocks, Target as _, TargetUrl};
#[cfg(feature = "sandbox")]
use crate::target::{Address, Scheme};

/// How to reach a target, as the user said it.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// `starrocks://…` or `sandbox:db/table`.
    pub to: String,
    /// Where its password comes from.
    pub password: PasswordFrom,
    /// `host=address` entries.
    pub map_host: Vec<String>,
    /// Hosts that may be sent credentials besides the cluster's.
    pub allow_redirect: Vec<String>,
    /// The frontend's MySQL port.
    pub mysql_port: u16,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The server's timeout of one load.
    pub load_timeout: Duration,
    /// The time zone of the server's time functions.
    pub timezone: String,
    /// The folder of the sandbox, for `sandbox:` addresses.
    pub sandbox_folder: PathBuf,
}

/// A target that can be used.
pub struct Connected {
    target: Arc<StarRocks>,
    /// What reports call it, and what jobs are told apart by.
    address: String,
    /// The database and the table that it names; a query needs neither.
    place: (Option<String>, Option<String>),
    notices: Vec<String>,
    /// The sandbox's folder, where the target is one.
    sandbox_folder: Option<PathBuf>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<Sandbox>,
}

/// The user of a sandbox.
#[cfg(feature = "sandbox")]
const SANDBOX_USER: &str = "root";

impl ConnectOptions {
    /// Asks on the terminal for the password of a cluster's user, where there is somebody to ask and no password yet. An
    /// empty answer is the empty password.
    ///
    /// # Errors
    /// When a password file cannot be read, or the terminal.
    pub fn ask_password(&mut self) -> Result<(), Error> {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !terminal || self.password.find()?.is_some() {
            return Ok(());
        }
        let Some(user) = user_without_password(&self.to) else { return Ok(()) };
        self.password.value = Some(password::ask(&format!("password of {user} at {}: ", shown(&self.to)))?);
        Ok(())
    }
}

/// The user that an address names, where it is a cluster's and has no password in it. Addresses that cannot be read are
/// refused elsewhere.
fn user_without_password(to: &str) -> Option<String> {
    let url: TargetUrl = to.parse().ok()?;
    let authority = to.split_once("://")?.1.split('/').next()?;
    (authority.contains('@') && !url.password_in_url()).then_some(url.user)
}

/// Finds or starts a target. Nothing is sent to it yet.
///
/// # Errors
/// When the address or an option is wrong, or a sandbox cannot be started.
pub async fn connect(options: &ConnectOptions) -> Result<Connected, Error> {
    let password = options.password.find()?;
    match options.to.strip_prefix("sandbox:") {
        Some(path) => connect_sandbox(options, path, password).await,
        None => connect_cluster(options, password),
    }
}

/// An address for reports: without credentials, even where it cannot be read.
#[must_use]
pub fn shown(to: &str) -> String {
    to.parse::<TargetUrl>().map_or_else(|_| target::without_credentials(to), |url| url.to_string())
}

fn connect_cluster(options: &ConnectOptions, password: Option<Secret<String>>) -> Result<Connected, Error> {
    let url: TargetUrl = options.to.parse()?;
    let mut notices = Vec::new();
    if url.password_in_url() {
        notices
            .push("the password in --to ends in shell histories and process lists: use SHIPLOAD_PASSWORD".to_owned());
    }
    let password = password.or_else(|| url.password.clone()).unwrap_or_else(|| Secret::new(String::new()));
    let address = url.to_string();
    let (database, table) = (url.database.clone(), url.table.clone());
    let target = StarRocks::new(target_options(options, url, password, options.mysql_port)?)?;
    Ok(Connected {
        target: Arc::new(target),
        address,
        place: (database, table),
        notices,
        sandbox_folder: None,
        #[cfg(feature = "sandbox")]
        sandbox: None,
    })
}

#[cfg(feature = "sandbox")]
async fn connect_sandbox(
    options: &ConnectOptions,
    path: &str,
    password: Option<Secret<String>>,
) -> Result<Connected, Error> {
    let (database, table) = sandbox_path(path)?;
    let folder = options.sandbox_folder.clone();
    let (addresses, sandbox) = if let Some(addresses) = sandbox::running(&folder)? {
        (addresses, None)
    } else {
        let sandbox = Sandbox::start(sandbox::Options::new(folder.clone()).with_any_ports()).await?;
        (sandbox.addresses().clone(), Some(sandbox))
    };
    let frontend = addresses.frontend;
    let url = TargetUrl {
        frontends: vec![Address { scheme: Scheme::Http, host: frontend.ip().to_string(), port: frontend.port() }],
        user: SANDBOX_USER.to_owned(),
        password: None,
        database: database.clone(),
        table: table.clone(),
    };
    let reach = |password| {
        StarRocks::new(target_options(options, url.clone(), password, addresses.mysql.port())?).map_err(Error::from)
    };
    let mut target = reach(Secret::new(String::new()))?;
    // A password in the environment is most likely a cluster's. It is used where this sandbox was given one, and never
    // becomes the sandbox's own.
    if let Some(password) = password
        && target.sql("SELECT 1", None).await.is_err_and(|error| error.code() == Code::AccessDenied)
    {
        target = reach(password)?;
    }
    Ok(Connected {
        target: Arc::new(target),
        address: options.to.clone(),
        place: (database, table),
        notices: Vec::new(),
        sandbox_folder: Some(folder),
        sandbox,
    })
}

#[cfg(not(feature = "sandbox"))]
async fn connect_sandbox(_: &ConnectOptions, _: &str, _: Option<Secret<String>>) -> Result<Connected, Error> {
    Err(Error::NoSandbox)
}

#[cfg(feature = "sandbox")]
fn sandbox_path(path: &str) -> Result<(Option<String>, Option<String>), Error> {
    if path.is_empty() {
        return Ok((None, None));
    }
    let (database, table) = path.split_once('/').map_or((path, None), |(database, table)| (database, Some(table)));
    if database.is_empty() || table.is_some_and(|table| table.is_empty() || table.contains('/')) {
        return Err(no_table(&format!("sandbox:{path}"), "it is not of the form sandbox:database/table"));
    }
    Ok((Some(database.to_owned()), table.map(str::to_owned)))
}

fn no_table(address: &str, reason: &str) -> Error {
    target::Error::InvalidUrl { text: address.to_owned(), reason: reason.to_owned() }.into()
}

fn target_options(
    options: &ConnectOptions,
    url: TargetUrl,
    password: Secret<String>,
    mysql_port: u16,
) -> Result<target::Options, Error> {
    let map_host = options.map_host.iter().map(|entry| entry.parse::<HostMap>()).collect::<Result<_, _>>()?;
    Ok(target::Options {
        password,
        map_host,
        allow_redirect: options.allow_redirect.clone(),
        mysql_port,
        ca_file: options.ca_file.clone(),
        load_timeout: options.load_timeout,
        timezone: options.timezone.clone(),
        ..target::Options::new(url)
    })
}

impl Connected {
    /// A loader into its table.
    ///
    /// # Errors
    /// When the address names no table.
    pub fn loader(&self) -> Result<Loader, Error> {
        if self.place.1.is_none() {
            return Err(no_table(&self.address, "it names no table"));
        }
        Ok(Loader::new(Arc::<StarRocks>::clone(&self.target)).called(&self.address))
    }

    /// A loader into another table of the same cluster, and what that one goes by.
    ///
    /// # Errors
    /// When its certificates cannot be read any more.
    pub fn loader_into(
        &self,
        database: &str,
        table: &str,
        load_timeout: Duration,
        timezone: &str,
    ) -> Result<Loader, Error> {
        let target = self.target.into_table(database, table, load_timeout, timezone)?;
        let address = match &self.sandbox_folder {
            Some(_) => format!("sandbox:{database}/{table}"),
            None => target.address(),
        };
        Ok(Loader::new(Arc::new(target)).called(&address))
    }

    /// What tells its cluster from others: the frontends, or the sandbox's folder.
    #[must_use]
    pub fn cluster_name(&self) -> String {
        if let Some(folder) = &self.sandbox_folder {
            return folder.display().to_string();
        }
        let mut frontends = self.target.frontends();
        frontends.sort_unstable();
        frontends.join(",")
    }

    /// What a person should know about the way there.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Whether missing tables are created without being asked for: a sandbox is there to be played with.
    #[must_use]
    pub fn creates_tables(&self) -> bool {
        self.sandbox_folder.is_some()
    }

    /// Where the journal of its jobs belongs, if that is not with all the others.
    #[must_use]
    pub fn state_folder(&self) -> Option<PathBuf> {
        self.sandbox_folder.as_deref().map(|folder: &Path| folder.join("state"))
    }

    /// Reads `header=value` settings.
    ///
    /// # Errors
    /// When a name is not known, or is one that another option sets.
    pub fn headers(&self, settings: &[String]) -> Result<Vec<(String, String)>, Error> {
        Ok(settings.iter().map(|setting| target::parse_setting(setting)).collect::<Result<_, _>>()?)
    }

    /// Runs a query.
    ///
    /// # Errors
    /// When the target refuses it or cannot be reached.
    pub async fn sql(&self, query: &str) -> Result<QueryResult, target::Error> {
        self.target.sql(query, self.place.0.as_deref()).await
    }

    /// Looks whether the user gets in over the MySQL port, over which tables are made.
    ///
    /// # Errors
    /// When it cannot be reached or refuses the user.
    pub async fn may_log_in(&self) -> Result<(), target::Error> {
        self.target.may_log_in().await
    }

    /// The operator's view of it.
    #[must_use]
    pub fn cluster(&self) -> Cluster<'_> {
        self.target.cluster()
    }

    /// Stops what was started for it.
    pub async fn close(self) {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox {
            sandbox.drain().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_asked_for_where_the_address_names_a_user_and_none() {
        for (to, user) in [
            ("starrocks://ada@fe1,fe2/db/t", Some("ada")),
            ("starrocks+https://ada%40x@fe/db", Some("ada@x")),
            ("starrocks://ada:word@fe/db/t", None),
            ("starrocks://ada:@fe/db/t", None),
            ("starrocks://fe/db/t", None),
            ("starrocks://fe/db/a@b", None),
            ("sandbox:demo/airports", None),
            ("ada@fe", None),
        ] {
            assert_eq!(user_without_password(to).as_deref(), user, "{to}");
        }
    }
}

//! [`connect`]: a target by its address, ready to be loaded or asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Error, PasswordFrom};
use crate::loader::Loader;
use crate::model::Secret;
#[cfg(feature = "sandbox")]
use crate::sandbox::{self, Sandbox};
use crate::target::{self, HostMap, QueryResult, StarRocks, TargetUrl};
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
    database: Option<String>,
    /// The sandbox's folder, where the target is one.
    sandbox_folder: Option<PathBuf>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<Sandbox>,
}

/// The user of a sandbox.
const SANDBOX_USER: &str = "root";

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

fn connect_cluster(options: &ConnectOptions, password: Option<Secret<String>>) -> Result<Connected, Error> {
    let url: TargetUrl = options.to.parse()?;
    if url.password_in_url() {
        tracing::warn!("the password in --to ends in shell histories and process lists: use SHIPLOAD_PASSWORD");
    }
    let password = password.or_else(|| url.password.clone()).unwrap_or_else(|| Secret::new(String::new()));
    let address = url.to_string();
    let database = url.database.clone();
    let target = StarRocks::new(target_options(options, url, password, options.mysql_port)?)?;
    Ok(Connected {
        target: Arc::new(target),
        address,
        database,
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
        let password = password.clone();
        let sandbox =
            Sandbox::start(sandbox::Options { password, ..sandbox::Options::new(folder.clone()).with_any_ports() })
                .await?;
        (sandbox.addresses().clone(), Some(sandbox))
    };
    let frontend = addresses.frontend;
    let url = TargetUrl {
        frontends: vec![Address { scheme: Scheme::Http, host: frontend.ip().to_string(), port: frontend.port() }],
        user: SANDBOX_USER.to_owned(),
        password: None,
        database: Some(database.clone()),
        table,
    };
    let password = password.unwrap_or_else(|| Secret::new(String::new()));
    let target = StarRocks::new(target_options(options, url, password, addresses.mysql.port())?)?;
    Ok(Connected {
        target: Arc::new(target),
        address: options.to.clone(),
        database: Some(database),
        sandbox_folder: Some(folder),
        sandbox,
    })
}

#[cfg(not(feature = "sandbox"))]
async fn connect_sandbox(_: &ConnectOptions, _: &str, _: Option<Secret<String>>) -> Result<Connected, Error> {
    Err(Error::NoSandbox)
}

#[cfg(feature = "sandbox")]
fn sandbox_path(path: &str) -> Result<(String, Option<String>), Error> {
    let (database, table) = path.split_once('/').map_or((path, None), |(database, table)| (database, Some(table)));
    if database.is_empty() || table.is_some_and(|table| table.is_empty() || table.contains('/')) {
        return Err(Error::Value {
            what: format!("`sandbox:{path}` names no database and table"),
            hint: "write sandbox:DATABASE/TABLE, such as sandbox:demo/airports".to_owned(),
        });
    }
    Ok((database.to_owned(), table.map(str::to_owned)))
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
    #[must_use]
    pub fn loader(&self) -> Loader {
        Loader::new(Arc::<StarRocks>::clone(&self.target)).called(&self.address)
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
        self.target.sql(query, self.database.as_deref()).await
    }

    /// Stops what was started for it.
    pub async fn close(self) {
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox {
            sandbox.drain().await;
        }
    }
}

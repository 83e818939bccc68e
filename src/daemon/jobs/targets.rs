//! The configured targets, each connected once and shared by all jobs into it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::config::option::Section as _;
use crate::config::service::TargetOptions;
use crate::config::{self, ConnectOptions, Connected, PasswordFrom, ServiceConfig};

/// The limit of one load where no job says otherwise; none is sent over these connections by themselves.
const LOAD_TIMEOUT: Duration = Duration::from_mins(10);

#[derive(Default)]
pub(in crate::daemon) struct Targets {
    connected: Mutex<BTreeMap<String, (TargetOptions, Arc<Connected>)>>,
}

impl Targets {
    /// The target of this name, or at this address.
    pub(in crate::daemon) async fn get(
        &self,
        config: &ServiceConfig,
        name: &str,
    ) -> Result<Arc<Connected>, config::Error> {
        let options = match config.targets.get(name) {
            Some(options) => options.clone(),
            None => TargetOptions { address: name.to_owned(), ..TargetOptions::defaults() },
        };
        // Held while connecting: a sandbox must not be started twice.
        let mut held = self.connected.lock().await;
        if let Some((known, connected)) = held.get(name)
            && *known == options
        {
            return Ok(Arc::clone(connected));
        }
        let connected = Arc::new(config::connect(&connect_options(&options)).await?);
        for notice in connected.notices() {
            tracing::warn!("target {name}: {notice}");
        }
        // Jobs that have the former one keep it until they end. Addresses that are not configured are not remembered: there
        // is no end of them.
        if config.targets.contains_key(name) {
            held.insert(name.to_owned(), (options, Arc::clone(&connected)));
        }
        Ok(connected)
    }

    /// Stops what was started for them.
    pub(in crate::daemon) async fn close(&self) {
        let held = std::mem::take(&mut *self.connected.lock().await);
        for (_, (_, connected)) in held {
            if let Some(connected) = Arc::into_inner(connected) {
                connected.close().await;
            }
        }
    }
}

fn connect_options(options: &TargetOptions) -> ConnectOptions {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credential = folder.filter(|_| !options.credential.is_empty()).map(|folder| folder.join(&options.credential));
    ConnectOptions {
        to: options.address.clone(),
        password: PasswordFrom {
            value: options.password.clone(),
            file: options.password_file.clone().or(credential),
            credentials: None,
        },
        map_host: options.map_host.clone(),
        allow_redirect: options.allow_redirect.clone(),
        mysql_port: options.mysql_port,
        ca_file: options.ca_file.clone(),
        load_timeout: LOAD_TIMEOUT,
        timezone: "UTC".to_owned(),
        sandbox_folder: options.sandbox_dir.clone(),
    }
}

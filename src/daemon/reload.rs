//! SIGHUP: the configuration is read again, and what can be taken over is.

use std::path::Path;
use std::sync::Arc;

use super::service::Service;
use crate::config::env::Environment;
use crate::config::{self, ServiceConfig};
use crate::failure::{Failure as _, chain};

/// Reads the file again. A file with something wrong in it changes nothing.
pub(super) fn reload(service: &Arc<Service>, file: Option<&Path>) {
    let new = match config::read_service(file, &Environment::of_this_process()) {
        Ok(new) => new,
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            tracing::error!("the configuration stays what it was: {}; {hint}", chain(&error));
            return;
        }
    };
    let old = service.config();
    let differences = old.differences(&new);
    let (taken, kept): (Vec<_>, Vec<_>) = differences.into_iter().partition(|(_, reloads)| *reloads);
    let names = |keys: &[(String, bool)]| keys.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
    if !kept.is_empty() {
        tracing::warn!("these need a restart, and stay what they were: {}", names(&kept));
    }
    let new = with_fixed_of(new, &old);
    if !new.is_guarded() {
        // Its file may say that it listens on loopback only; until a restart it listens where it did.
        let listen = new.server.listen;
        tracing::error!("the configuration stays what it was: without tokens, anybody who reaches {listen} could load");
        return;
    }
    if let Err(error) = service.level.change(&new.log.level) {
        tracing::warn!("the log level stays what it was: {error}");
    }
    service.take_over(new);
    // Secrets are masked where they are compared, so that a new password alone does not show here.
    let taken = if taken.is_empty() { "nothing that is shown".to_owned() } else { names(&taken) };
    tracing::info!("the configuration was read again; changed: {taken}");
}

/// What needs a restart stays what it is.
fn with_fixed_of(new: ServiceConfig, old: &ServiceConfig) -> ServiceConfig {
    let mut new = new;
    new.server.listen = old.server.listen;
    new.server.tls_certificate.clone_from(&old.server.tls_certificate);
    new.server.tls_key.clone_from(&old.server.tls_key);
    new.server.tls_client_ca.clone_from(&old.server.tls_client_ca);
    new.log.format = old.log.format;
    new.traces.endpoint.clone_from(&old.traces.endpoint);
    new.jobs.state_dir.clone_from(&old.jobs.state_dir);
    new.jobs.rejects_dir.clone_from(&old.jobs.rejects_dir);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_needs_a_restart_is_kept() {
        let mut old = ServiceConfig::default();
        old.server.listen = "127.0.0.1:1".parse().unwrap();
        for key in ["a.pem", "b.pem", "c.pem"] {
            let path = Some(key.into());
            match key {
                "a.pem" => old.server.tls_certificate = path,
                "b.pem" => old.server.tls_key = path,
                _ => old.server.tls_client_ca = path,
            }
        }
        old.log.format = crate::config::service::LogFormat::Json;
        old.traces.endpoint = "http://collector".into();
        old.jobs.state_dir = Some("s".into());
        old.jobs.rejects_dir = Some("r".into());
        let fixed = |config: &ServiceConfig| {
            let differences = config.differences(&old);
            differences.into_iter().filter(|(_, reloads)| !reloads).map(|(key, _)| key).collect::<Vec<_>>()
        };
        let new = ServiceConfig::default();
        assert_eq!(fixed(&new).len(), 8, "all of them differ: {:?}", fixed(&new));
        assert_eq!(fixed(&with_fixed_of(new, &old)), Vec::<String>::new());
    }
}

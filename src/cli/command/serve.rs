//! `shipload serve`.

use std::path::Path;

use super::on_runtime;
use crate::cli::args::ServeArgs;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::env::Environment;
use crate::config::service::LogFormat;
use crate::config::{self, ServiceConfig};
use crate::daemon::{self, Start};
use crate::telemetry::{Form, Traces, setup};

pub(in crate::cli) fn run(args: ServeArgs) -> Exit {
    let config = match read(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return render::failure(&error, None),
    };
    let form = match config.log.format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    };
    let endpoint = Some(config.traces.endpoint.as_str()).filter(|endpoint| !endpoint.is_empty());
    let traces = match endpoint.map(Traces::to).transpose() {
        Ok(traces) => traces,
        Err(error) => {
            render::line(&format!("error: traces cannot be sent: {error}"));
            return Exit::Failed;
        }
    };
    let level = match setup::service(&config.log.level, form, render::line, traces.as_ref()) {
        Ok(level) => level,
        Err(error) => {
            render::line(&format!("error: the log cannot be set up: {error}"));
            return Exit::Failed;
        }
    };
    let file = args.config;
    let ready = Box::new(|address| render::result(&format!("shipload ready http={address}")));
    let exit = on_runtime(async {
        match daemon::serve(Start { config, file, level, ready }).await {
            Ok(()) => Exit::Success,
            Err(error) => render::failure(&error, None),
        }
    });
    if let Some(traces) = traces {
        traces.end();
    }
    exit
}

/// The configuration of a file, or without one that of the environment alone.
pub(super) fn read(file: Option<&Path>) -> Result<ServiceConfig, config::ConfigError> {
    config::read_service(file, &Environment::of_this_process())
}

//! The command line: what the user typed becomes a job, and what became of it is shown.
//!
//! stdout carries results, stderr progress and errors. Exit codes are in `exit.rs`.

mod args;
mod command;
mod exit;
mod render;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use exit::Exit;

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    // clap exits with 2 by itself where the command line is wrong, and with 0 after --help.
    let args = Args::parse();
    if let Err(error) = crate::telemetry::setup::log(&args.log) {
        render::line(&format!("error: --log {}: {error}", args.log));
        return Exit::Usage.into();
    }
    hush_caught_panics();
    match args.command {
        Command::Import(args) => command::import::run(*args),
        Command::Sql(args) => command::sql::run(args),
        Command::Schema(args) => command::schema::run(args),
        Command::Explain(args) => command::explain::run(&args),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => command::sandbox::run(args),
    }
    .into()
}

/// Damaged files make decoders panic. The reader catches that and tells it as an error, and nobody needs a stack trace.
fn hush_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::reader::panic_is_caught() {
            report(panic);
        }
    }));
}

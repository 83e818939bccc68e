//! The command line: what the user typed becomes a job, and what became of it is shown.
//!
//! stdout carries results, stderr progress and errors. Exit codes are in `exit.rs`.

mod args;
mod command;
mod exit;
mod job_file;
mod journal_args;
mod render;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::failure::Code;
use crate::telemetry::{panics, setup};
use args::{Args, Command};
use exit::Exit;

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return not_understood(&error),
    };
    // The service's log is as its configuration says.
    let own_log = matches!(args.command, Command::Serve(_));
    if !own_log && let Err(error) = setup::log(&args.log, render::line) {
        let wrong = format!("invalid value '{}' for '--log <DIRECTIVES>': {error}", args.log);
        return not_understood(&Args::command().error(ErrorKind::ValueValidation, wrong));
    }
    panics::hush_caught();
    match args.command {
        Command::Import(args) => command::import::run(*args),
        Command::Plan(args) => command::plan::run(&args),
        Command::Status(args) => command::status::run(&args),
        Command::Resume(args) => command::resume::run(&args),
        Command::Cancel(args) => command::cancel::run(&args),
        Command::Rejects(args) => command::rejects::run(&args),
        Command::Run(args) => command::run::run(&args),
        Command::Sql(args) => command::sql::run(args),
        Command::Cluster(args) => command::cluster::run(args),
        Command::Schema(args) => command::schema::run(args),
        Command::Serve(args) => command::serve::run(args),
        Command::Config(args) => command::config::run(&args),
        Command::Explain(args) => command::explain::run(&args),
        Command::Completions(args) => command::completions::run(&args),
        Command::Man(args) => command::man::run(&args),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => command::sandbox::run(args),
    }
    .into()
}

/// Says what is wrong with the command line; or shows the help or the version, which clap calls an error as well.
fn not_understood(error: &clap::Error) -> ExitCode {
    // There is nobody left to tell when this fails.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Success.into();
    }
    if asks_for_json(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())) {
        let message = error.to_string();
        let message = message.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        let report = render::stillborn("", Code::Usage, message, None);
        render::result(&render::report_json(&report));
    }
    Exit::Usage.into()
}

/// Whether a command line that cannot be understood asks for an import's report as JSON. A program that reads it gets
/// one in this case, too.
fn asks_for_json(arguments: impl Iterator<Item = String>) -> bool {
    let arguments: Vec<String> = arguments.collect();
    let said = |pair: &[String]| pair == ["--output", "json"];
    let output = arguments.windows(2).any(said) || arguments.iter().any(|argument| argument == "--output=json");
    output && arguments.iter().any(|argument| argument == "import" || argument == "plan")
}

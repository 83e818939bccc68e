//! `shipload completions SHELL`.

use clap::CommandFactory as _;

use crate::cli::args::{Args, CompletionsArgs};
use crate::cli::exit::Exit;
use crate::cli::render;

pub(in crate::cli) fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "shipload", &mut script);
    render::result(String::from_utf8_lossy(&script).trim_end());
    Exit::Success
}

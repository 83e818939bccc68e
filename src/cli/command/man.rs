//! `shipload man FOLDER`.

use std::fs;

use clap::CommandFactory as _;

use crate::cli::args::{Args, ManArgs};
use crate::cli::exit::Exit;
use crate::cli::render;

pub(in crate::cli) fn run(args: &ManArgs) -> Exit {
    let written =
        fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(Args::command(), &args.folder));
    match written {
        Ok(()) => {
            render::result(&format!("man {}/shipload.1", args.folder.display()));
            Exit::Success
        }
        Err(error) => {
            render::line(&format!("error: the pages cannot be written into {}: {error}", args.folder.display()));
            Exit::Failed
        }
    }
}

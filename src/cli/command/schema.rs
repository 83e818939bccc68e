//! `shipload schema SOURCE`.

use super::on_runtime;
use crate::cli::args::SchemaArgs;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config;

pub(in crate::cli) fn run(args: SchemaArgs) -> Exit {
    on_runtime(async move {
        let reading = match args.reading.options() {
            Ok(reading) => reading,
            Err(error) => return render::failure(&error, None),
        };
        match config::describe(&args.source, &reading, args.table.as_deref()) {
            Ok(described) => {
                render::note(&described.input);
                render::result(&described.ddl);
                Exit::Success
            }
            Err(error) => render::failure(&error, None),
        }
    })
}

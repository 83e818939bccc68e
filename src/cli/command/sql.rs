//! `shipload sql QUERY`.

use std::time::Duration;

use super::on_runtime;
use crate::cli::args::{SqlArgs, TableOutput};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config;

/// No load is sent by a query; the options ask for a timeout all the same.
const LOAD_TIMEOUT: Duration = Duration::from_mins(10);

pub(in crate::cli) fn run(args: SqlArgs) -> Exit {
    on_runtime(query(args))
}

async fn query(args: SqlArgs) -> Exit {
    let options = args.target.connect_options(LOAD_TIMEOUT, "UTC".to_owned());
    let connected = match config::connect(&options).await {
        Ok(connected) => connected,
        Err(error) => return render::failure(&error, None),
    };
    let exit = match connected.sql(&args.query).await {
        Ok(result) => {
            let text = match args.output {
                TableOutput::Text => render::table(&result),
                TableOutput::Json => render::json_rows(&result),
                TableOutput::Csv => render::csv_rows(&result),
            };
            render::result(text.trim_end_matches('\n'));
            Exit::Success
        }
        Err(error) => render::failure(&error, None),
    };
    connected.close().await;
    exit
}

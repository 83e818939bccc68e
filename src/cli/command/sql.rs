//! `shipload sql QUERY`.

use std::io::{self, Read as _};
use std::time::Duration;

use super::on_runtime;
use crate::cli::args::{SqlArgs, TableOutput};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::{self, ConnectOptions};

/// No load is sent by a query; the options ask for a timeout all the same.
const LOAD_TIMEOUT: Duration = Duration::from_mins(10);

pub(in crate::cli) fn run(args: SqlArgs) -> Exit {
    let mut options = args.target.connect_options(LOAD_TIMEOUT, "UTC".to_owned());
    let query = if args.query == "-" {
        let mut query = String::new();
        if let Err(error) = io::stdin().read_to_string(&mut query) {
            render::line(&format!("error: the query cannot be read from standard input: {error}"));
            return Exit::Usage;
        }
        query
    } else {
        if let Err(error) = options.ask_password() {
            return render::failure(&error, None);
        }
        args.query
    };
    on_runtime(ask(options, query, args.output))
}

async fn ask(options: ConnectOptions, query: String, output: TableOutput) -> Exit {
    let connected = match config::connect(&options).await {
        Ok(connected) => connected,
        Err(error) => return render::failure(&error, None),
    };
    for notice in connected.notices() {
        render::note(notice);
    }
    let exit = match connected.sql(&query).await {
        Ok(result) => {
            let text = match output {
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

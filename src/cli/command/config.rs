//! `shipload config check` and `shipload config show`.

use super::serve;
use crate::cli::args::{ConfigArgs, ConfigVerb};
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::ConfigError;

pub(in crate::cli) fn run(args: &ConfigArgs) -> Exit {
    let (ConfigVerb::Check { file } | ConfigVerb::Show { file }) = &args.verb;
    match (serve::read(file.config.as_deref()), &args.verb) {
        (Ok(_), ConfigVerb::Check { .. }) => render::result("the configuration is good"),
        (Ok(config), ConfigVerb::Show { .. }) => render::result(config.to_toml().trim_end()),
        (Err(error), _) => {
            if let ConfigError::Wrong { wrong } = &error {
                // The last line is the first one again, as an error with its code.
                for one in wrong.iter().skip(1) {
                    render::line(&format!("{}: {}; {}", one.place, one.what, one.hint));
                }
            }
            return render::failure(&error, None);
        }
    }
    Exit::Success
}

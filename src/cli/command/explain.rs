//! `shipload explain CODE`.

use crate::cli::args::ExplainArgs;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::failure::Code;

pub(in crate::cli) fn run(args: &ExplainArgs) -> Exit {
    let Some(wanted) = &args.code else {
        let lines: Vec<String> = Code::ALL.iter().map(|code| format!("{code}  {}", code.title())).collect();
        render::result(&lines.join("\n"));
        return Exit::Success;
    };
    let Some(code) = Code::named(wanted) else {
        render::line(&format!("error: there is no code `{wanted}`\n  hint: `shipload explain` lists them all"));
        return Exit::Usage;
    };
    render::result(code.page().trim_end());
    Exit::Success
}

//! `shipload sandbox`: the look-alike as a process of its own.

use super::{interrupted, on_runtime};
use crate::cli::args::SandboxArgs;
use crate::cli::exit::Exit;
use crate::cli::render;
use crate::model::Secret;
use crate::sandbox::{Options, Sandbox};

pub(in crate::cli) fn run(args: SandboxArgs) -> Exit {
    on_runtime(serve(args))
}

async fn serve(args: SandboxArgs) -> Exit {
    let options = Options {
        host: args.host,
        fe_port: args.fe_port,
        be_port: args.be_port,
        mysql_port: args.mysql_port,
        password: args.root_password.map(Secret::new),
        discard: args.discard,
        ..Options::new(args.sandbox_dir)
    };
    let sandbox = match Sandbox::start(options).await {
        Ok(sandbox) => sandbox,
        Err(error) => return render::failure(&error, None),
    };
    let addresses = sandbox.addresses();
    render::result(&format!(
        "sandbox ready fe=http://{} be=http://{} mysql={}",
        addresses.frontend, addresses.backend, addresses.mysql
    ));
    interrupted().await;
    render::line("stopping: finishing the loads that are under way; once more ends at once");
    tokio::select! {
        () = sandbox.drain() => Exit::Success,
        // Dropping the sandbox would wait for a load that is being written. What is not acknowledged leaves no trace.
        second = interrupted() => std::process::exit(second.exit().code().into()),
    }
}

//! `shipload sandbox`: the look-alike as a process of its own.

use std::time::Duration;

use super::{Signals, on_runtime};
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
        label_keep_max: args.label_keep_max,
        label_keep: Duration::from_secs(args.label_keep),
        backends: usize::try_from(args.backends).expect("clap has checked the range"),
        followers: usize::try_from(args.followers).expect("clap has checked the range"),
        advertise_host: args.advertise_host,
        dialect: args.dialect.parse().expect("clap has checked the names"),
        faults: args.faults,
        ..Options::new(args.sandbox_dir)
    };
    let sandbox = match Sandbox::start(options).await {
        Ok(sandbox) => sandbox,
        Err(error) => return render::failure(&error, None),
    };
    if let Some(recovery) = sandbox.recovery() {
        render::line(&recovery.to_string());
    }
    let addresses = sandbox.addresses();
    let mut ready = format!(
        "sandbox ready fe=http://{} be=http://{} mysql={}",
        addresses.frontend, addresses.backend, addresses.mysql
    );
    let followers = addresses.followers.iter().map(|address| ("follower", address));
    for (name, address) in followers.chain(addresses.more_backends.iter().map(|address| ("be", address))) {
        ready.extend([" ", name, "=http://", &address.to_string()]);
    }
    // From here on, and not only once it is waited for: whoever reads the line may interrupt.
    let mut signals = Signals::listen();
    render::result(&ready);
    signals.next().await;
    render::line("stopping: finishing the loads that are under way; once more ends at once");
    tokio::select! {
        () = sandbox.drain() => Exit::Success,
        // Dropping the sandbox would wait for a load that is being written. What is not acknowledged leaves no trace.
        second = signals.next() => std::process::exit(second.exit().code().into()),
    }
}

//! A sandbox in a process of its own, which ends when the test does, however the test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::cluster::Cluster;

/// A shell that starts the sandbox and waits for the end of its own standard input, a pipe whose other end only this
/// process holds. The kernel closes it whichever way this process dies, and then the shell ends the sandbox. It says
/// the sandbox's process first and then gives up its output, so that a sandbox that ends at once is seen to have ended.
const GUARD: &str = r#"
    remove=$1; shift
    "$@" </dev/null &
    child=$!
    echo "pid $child"
    exec >&-
    while read -r line; do :; done
    kill -9 "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    [ -z "$remove" ] || rm -rf "$remove"
"#;

/// A sandbox that runs.
pub(crate) struct Sandbox {
    pub(crate) cluster: Cluster,
    guard: Child,
    pid: String,
}

impl Sandbox {
    /// Starts one on this folder, with more arguments.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::guarded(folder, arguments, None)
    }

    /// Starts one on a folder that is removed with it. For those that nobody drops.
    pub(crate) fn forever(arguments: &[&str]) -> Self {
        let folder: PathBuf = tempfile::tempdir().unwrap().keep();
        Self::guarded(&folder, arguments, Some(&folder))
    }

    /// Starts one on ports that the arguments name, waiting for those of the one before to be free.
    pub(crate) fn start_on_ports(folder: &Path, arguments: &[&str]) -> Self {
        Self::guarded_with("exec", folder, arguments, None)
    }

    fn guarded(folder: &Path, arguments: &[&str], remove: Option<&Path>) -> Self {
        let any = ["--fe-port", "0", "--be-port", "0", "--mysql-port", "0"];
        Self::guarded_with("exec", folder, &[&any, arguments].concat(), remove)
    }

    /// Starts one under limits of its own, by the shell's `ulimit` and what follows it.
    pub(crate) fn start_limited(limit: &str, folder: &Path, arguments: &[&str]) -> Self {
        let any = ["--fe-port", "0", "--be-port", "0", "--mysql-port", "0"];
        Self::guarded_with(&format!("ulimit {limit}; exec"), folder, &[&any, arguments].concat(), None)
    }

    fn guarded_with(prelude: &str, folder: &Path, arguments: &[&str], remove: Option<&Path>) -> Self {
        let remove = remove.unwrap_or(Path::new("")).display().to_string();
        let mut command = Command::new("sh");
        let started = format!("{prelude} \"$@\"");
        command.args(["-c", GUARD, "guard", &remove, "sh", "-c", &started, "sandbox", env!("CARGO_BIN_EXE_shipload")]);
        command.args(["sandbox", "--sandbox-dir", "."]).args(arguments);
        for name in ["SHIPLOAD_SANDBOX_DIR", "SHIPLOAD_SANDBOX_PASSWORD", "SHIPLOAD_LOG"] {
            command.env_remove(name);
        }
        let mut guard =
            command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
        let mut pid = None;
        for line in BufReader::new(guard.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(told) = line.strip_prefix("pid ") {
                pid = Some(told.to_owned());
            } else if let Some(cluster) = Cluster::of_ready_line(&line) {
                // The shell's line may come behind the sandbox's in theory only: the sandbox opens a database first.
                return Self { cluster, guard, pid: pid.unwrap() };
            }
        }
        drop(guard.stdin.take());
        let _ = guard.wait();
        panic!("`shipload sandbox {}` did not start", arguments.join(" "));
    }

    /// The process.
    pub(crate) fn pid(&self) -> &str {
        &self.pid
    }

    /// `kill -9`. Dropping it then waits until the process is gone.
    pub(crate) fn kill(&self) {
        assert!(Command::new("kill").args(["-9", &self.pid]).status().unwrap().success());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

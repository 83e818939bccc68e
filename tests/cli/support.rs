//! A folder, a sandbox in a process of its own, and the program run in them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

/// A place of its own for one test: nothing of it outlives the test, and no two tests share anything.
pub(crate) struct World {
    folder: TempDir,
}

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and returns its path as an argument.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// The program, in this folder, with nothing of the surrounding environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shipload"));
        command.args(arguments).current_dir(self.path()).env("HOME", self.path());
        for name in
            ["SHIPLOAD_PASSWORD", "SHIPLOAD_STATE_DIR", "SHIPLOAD_SANDBOX_DIR", "SHIPLOAD_LOG", "XDG_STATE_HOME"]
        {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs the program with this text on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // The program may end before it has read everything; then writing fails, which is not the test's business.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let ran = Ran::of(child.wait_with_output().unwrap());
        writer.join().unwrap();
        ran
    }

    /// Loads with a JSON report.
    pub(crate) fn import(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["import", "--output", "json"], arguments].concat())
    }

    /// Asks the sandbox of this folder; one JSON object per row.
    pub(crate) fn rows(&self, database: &str, query: &str) -> Vec<Value> {
        let ran = self.run(&["sql", query, "--to", &format!("sandbox:{database}"), "--output", "json"]);
        assert_eq!(ran.code, 0, "{query}: {}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The tables of the database `demo`, which need not exist.
    pub(crate) fn tables(&self) -> Vec<Value> {
        self.rows("information_schema", "select table_name from information_schema.tables where table_schema = 'demo'")
    }

    /// Asks the sandbox of this folder for one value.
    pub(crate) fn value(&self, query: &str) -> Value {
        let row = self.rows("demo", query).into_iter().next().unwrap();
        row.as_object().unwrap().values().next().unwrap().clone()
    }

    /// Asks for one number; exact types come as text.
    pub(crate) fn number(&self, query: &str) -> f64 {
        match self.value(query) {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_f64().unwrap(),
        }
    }

    /// Starts a sandbox in a process of its own, with more arguments.
    pub(crate) fn sandbox(&self, arguments: &[&str]) -> Sandbox {
        let ports = ["--fe-port", "--be-port", "--mysql-port"].into_iter().filter(|port| !arguments.contains(port));
        let ports: Vec<&str> = ports.flat_map(|port| [port, "0"]).collect();
        let mut child =
            self.command(&[&["sandbox"], &ports[..], arguments].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let field = |name: &str| {
            let rest = ready.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("not ready: {ready}"));
            rest.split_whitespace().next().unwrap().trim_start_matches("http://").to_owned()
        };
        Sandbox { frontend: field("fe"), backend: field("be"), mysql: field("mysql"), child }
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The report on stdout.
    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no report ({error}): {self:?}"))
    }

    /// The report of a run that loaded everything.
    pub(crate) fn loaded(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.report()
    }

    /// Checks for an error with this exit code and error code, and these words; it fits on a screen.
    pub(crate) fn fails_with(&self, exit: i32, code: &str, words: &[&str]) {
        assert_eq!(self.code, exit, "{self:?}");
        let head = format!("error[{code}]: ");
        assert!(self.stderr.contains(&head), "`{head}` is missing: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {}", self.stderr);
        }
        assert!(self.stderr.contains("hint: "), "what to do next is missing: {}", self.stderr);
        assert!(self.stderr.lines().count() <= 24, "it does not fit on a screen: {}", self.stderr);
    }
}

/// A sandbox in a process of its own.
pub(crate) struct Sandbox {
    pub(crate) frontend: String,
    pub(crate) backend: String,
    pub(crate) mysql: String,
    child: Child,
}

impl Sandbox {
    /// The target that names it as a cluster.
    pub(crate) fn target(&self, path: &str) -> String {
        format!("starrocks://root@{}/{path}", self.frontend)
    }

    pub(crate) fn mysql_port(&self) -> String {
        self.mysql.rsplit(':').next().unwrap().to_owned()
    }

    /// Stops it where it stands, or lets it go on: `STOP` and `CONT`.
    #[allow(dead_code, reason = "the tests of the service share this file, and stop it")]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of the repository's examples.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A server that answers the request line of every connection and closes it.
pub(crate) fn answering_with(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut line) = (String::new(), String::new());
            let _ = head.read_line(&mut request);
            while head.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line != "\r\n" {
                line.clear();
            }
            let _ = stream.write_all(answer(&request).as_bytes());
        }
    });
    address
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

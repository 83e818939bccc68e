//! What systemd hears of the service and hands it, and whether its tools take the units.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::service::{Place, target, wait_for};
use crate::support::World;

/// A systemd that only listens.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(world: &World) -> Self {
        let path = world.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self { socket, path }
    }

    /// The next message, where there is one.
    fn hear(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits for a message with this in it; returns it.
    fn wait_for(&self, words: &str) -> String {
        wait_for(words, || self.hear().filter(|message| message.contains(words)))
    }
}

/// Waits until it says where it listens.
fn ready(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("shipload ready http=").unwrap_or_else(|| panic!("not ready: {line}")).to_owned()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn systemd_hears_that_it_is_ready_alive_reloading_and_stopping() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("", &target("lake", &sandbox));
    let manager = Manager::new(&place.world);
    let mut command = place.command(&["serve", "--config", "shipload.toml"]);
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "20000000");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let address = ready(&mut child);
    assert!(manager.wait_for("READY=1").contains(&format!("STATUS=listening on {address}")));
    manager.wait_for("STATUS=0 jobs running, 0 waiting");
    for _ in 0..2 {
        manager.wait_for("WATCHDOG=1");
    }
    // A reload that changes nothing because the file is wrong is over, too.
    for text in [None, Some("[serve]\n")] {
        if let Some(text) = text {
            place.world.file("shipload.toml", text);
        }
        signal(&child, "-HUP");
        let reloading = manager.wait_for("RELOADING=1");
        let micros = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
        manager.wait_for("READY=1");
    }
    signal(&child, "-TERM");
    assert!(manager.wait_for("STOPPING=1").contains("EXTEND_TIMEOUT_USEC=75000000"));
    manager.wait_for("STATUS=stopped");
    assert!(child.wait().unwrap().success());
}

/// The service on a socket that somebody else has made, as systemd hands it over: number 3, for this process.
fn activated(place: &Place, listener: TcpListener) -> Command {
    let program = place.command(&["serve", "--config", "shipload.toml"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::from(OwnedFd::from(listener)));
    command.current_dir(program.get_current_dir().unwrap());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_socket_that_systemd_holds_is_listened_on_and_callers_wait_there() {
    let place = Place::new();
    place.configure("", "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // This one is there before the service is.
    let mut early = TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut early, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut child = activated(&place, listener).spawn().unwrap();
    assert_eq!(ready(&mut child), address.to_string());
    let answer = crate::service::read_answer(early).of(200);
    assert_eq!(answer.text(), "{}");
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_open_socket_without_tokens_is_refused() {
    let place = Place::new();
    place.configure("", "");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let output = activated(&place, listener).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && log.contains("could load and cancel"), "{log}");
}

/// Whether one of systemd's tools is there. Where it is not, the test says so aloud instead of passing in silence.
fn has_tool() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !there {
        #[expect(clippy::print_stderr, reason = "whoever reads the log of a run sees what was not tested")]
        {
            eprintln!("NOT TESTED: systemd-analyze is not installed; the units were not looked at");
        }
    }
    there
}

/// The units with the program where it really is.
fn units(world: &World) -> Vec<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let folder = world.path().join("units");
    fs::create_dir_all(&folder).unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = fs::read_to_string(&entry).unwrap().replace("/usr/bin/shipload", env!("CARGO_BIN_EXE_shipload"));
        let path = folder.join(entry.file_name().unwrap());
        fs::write(&path, text).unwrap();
        found.push(path);
    }
    assert_eq!(found.len(), 4, "{found:?}");
    found
}

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    if !has_tool() {
        return;
    }
    let world = World::new();
    let units = units(&world);
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    // What the machine's own units have wrong is not ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("shipload")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
    for unit in units.iter().filter(|unit| unit.extension().is_some_and(|ending| ending == "service")) {
        // In tenths: at 20 it fails.
        let args = ["security", "--offline=true", "--threshold=20"];
        let rated = Command::new("systemd-analyze").args(args).arg(unit).output().unwrap();
        let said = String::from_utf8_lossy(&rated.stdout);
        let last = said.lines().last().unwrap_or_default();
        let rating = last.split(": ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        assert!(rated.status.success() && rating.is_some_and(|rating| rating < 2.0), "{last}");
    }
}

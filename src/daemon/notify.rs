//! [`Manager`]: the service manager, as `sd_notify(3)` reaches it: one datagram per message, to a socket that it names.
//!
//! Written here and not taken from a crate: it is a few lines over the standard library, and `sd-notify` would bring no more
//! than those. Sockets that systemd hands over are taken by `listenfd`, because making a socket of a number is `unsafe`.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long a manager may take to read what it was told. It is never worth more than that.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// The one that `NOTIFY_SOCKET` names; none where nobody wants to hear anything.
    pub(super) fn of_this_process() -> Option<Self> {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let reached = address(&name).and_then(Self::at);
        reached.inspect_err(|error| tracing::warn!("NOTIFY_SOCKET cannot be used: {error}")).ok()
    }

    fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    /// Tells it something: lines of `KEY=value`.
    pub(super) fn tell(&self, words: &str) -> io::Result<()> {
        self.socket.send_to_addr(words.as_bytes(), &self.address).map(drop)
    }
}

/// A path, or behind an `@` a name that is in no file system.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a path nor a name behind an @")),
    }
}

/// The time by which systemd tells whether a reload was begun before or after it asked for one.
pub(super) fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_message_is_a_datagram_to_a_path_or_to_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@shipload-test-{}", std::process::id());
        for place in [path.as_os_str(), OsStr::new(&name)] {
            let heard = UnixDatagram::bind_addr(&address(place).unwrap()).unwrap();
            Manager::at(address(place).unwrap()).unwrap().tell("READY=1").unwrap();
            let mut buffer = [0; 64];
            let length = heard.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
        assert!(address(OsStr::new("notify")).is_err() && address(OsStr::new("vsock:2:1")).is_err());
    }

    #[test]
    fn the_monotonic_clock_goes_on() {
        let before = monotonic_micros();
        assert!(before > 0 && monotonic_micros() >= before);
    }
}

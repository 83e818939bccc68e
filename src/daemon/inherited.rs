//! The socket that systemd listens on for the service, so that callers wait and are not refused while it is started again.

use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use super::Error;

/// The one that this process was started with (`LISTEN_FDS`), and where it listens; none where there is none.
pub(super) fn listener() -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() == 0 {
        return Ok(None);
    }
    let failed = |reason: String| Error::Inherited { reason };
    if sockets.len() > 1 {
        return Err(failed(format!("there are {} of them", sockets.len())));
    }
    let taken = sockets.take_tcp_listener(0).map_err(|error| failed(error.to_string()))?;
    let listener = taken.ok_or_else(|| failed("it is taken already".to_owned()))?;
    let opened = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
    let address = opened.map_err(|error| failed(error.to_string()))?;
    let listener = TcpListener::from_std(listener).map_err(|error| failed(error.to_string()))?;
    Ok(Some((listener, address)))
}

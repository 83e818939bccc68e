//! Connections: name, TCP, TLS.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Error;
use super::http::{Fault, Stage, innermost};
use super::url::{Address, Scheme};

/// Opens connections.
pub(super) struct Connector {
    within: Duration,
    tls: Option<TlsConnector>,
    /// A network that is not there.
    #[cfg(test)]
    pub(super) wire: Option<Arc<dyn super::simulated::Wire>>,
}

impl Connector {
    /// A connector that gives up after `within`; with TLS, where an address may need it.
    pub(super) fn new(within: Duration, tls: bool, ca_file: Option<&Path>) -> Result<Self, Error> {
        let tls = if tls { Some(TlsConnector::from(Arc::new(tls_config(ca_file)?))) } else { None };
        Ok(Self {
            within,
            tls,
            #[cfg(test)]
            wire: None,
        })
    }

    /// Connects; everything up to the end of the TLS handshake happens within the connector's time.
    pub(super) async fn connect(&self, address: &Address) -> Result<Stream, Fault> {
        let failed = |stage, reason| Fault { stage, reason };
        let connecting = async {
            let hosts = tokio::net::lookup_host((address.host.as_str(), address.port))
                .await
                .map_err(|error| failed(Stage::Resolve, innermost(&error)))?
                .collect::<Vec<_>>();
            let tcp = TcpStream::connect(hosts.as_slice())
                .await
                .map_err(|error| failed(Stage::Connect, innermost(&error)))?;
            // The head of a request and the first piece of its body are separate writes; neither should wait for an ACK.
            tcp.set_nodelay(true).map_err(|error| failed(Stage::Connect, innermost(&error)))?;
            match (&self.tls, address.scheme) {
                (_, Scheme::Http) => Ok(Stream::new(Box::new(tcp))),
                (None, Scheme::Https) => {
                    Err(failed(Stage::Connect, "TLS is set up only for starrocks+https:// targets".to_owned()))
                }
                (Some(tls), Scheme::Https) => {
                    let name = ServerName::try_from(address.host.clone())
                        .map_err(|error| failed(Stage::Connect, error.to_string()))?;
                    let stream = tls
                        .connect(name, tcp)
                        .await
                        .map_err(|error| failed(Stage::Connect, format!("TLS: {}", innermost(&error))))?;
                    Ok(Stream::new(Box::new(stream)))
                }
            }
        };
        timeout(self.within, connecting).await.unwrap_or_else(|_| {
            Err(failed(Stage::Connect, format!("no connection within {} s", self.within.as_secs())))
        })
    }
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    // The system's store holds what it holds: a certificate in it that cannot be read is not this program's to fix, and
    // one that is missing shows as a refused handshake.
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let unusable = |reason: String| Error::Certificates { path: path.display().to_string(), reason };
        let mut found = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(unusable("it holds no certificate".to_owned()));
        }
    }
    // The provider is named: the process may hold several, and rustls does not choose among them.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection that can still be read after a write on it has failed.
///
/// A node that rejects a load half-way answers and closes. The next write then fails, and hyper would report that and drop
/// the answer, which waits unread in the socket. Here a failed write pends instead: the read side of the same connection
/// brings the answer, or the end of the connection, and either one ends the exchange.
pub(super) struct Stream {
    socket: Box<dyn Socket>,
    write_failed: bool,
}

impl Stream {
    fn new(socket: Box<dyn Socket>) -> Self {
        Self { socket, write_failed: false }
    }

    fn hold<T>(&mut self, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(write, Poll::Ready(Err(_))) {
            self.write_failed = true;
            return Poll::Pending;
        }
        write
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let write = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.hold(write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let write = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.hold(write)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let flush = Pin::new(&mut self.socket).poll_flush(cx);
        self.hold(flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::TokioIo;

    use super::*;

    /// A socket that fails to write after its first bytes, and has an answer to read from then on.
    struct Closing {
        taken: usize,
        answer: &'static [u8],
        reader: Option<std::task::Waker>,
    }

    impl AsyncRead for Closing {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.taken < 100 {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            buf.put_slice(std::mem::take(&mut self.answer));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Closing {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.taken >= 100 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let taken = bytes.len().min(100);
            self.taken += taken;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_although_the_body_can_no_longer_be_written() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbusy";
        let stream = Stream::new(Box::new(Closing { taken: 0, answer, reader: None }));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(connection);
        let body = Full::new(bytes::Bytes::from(vec![b'x'; 8 << 20]));
        let request = hyper::Request::put("/").header("host", "node").body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "busy");
        driver.abort();
    }
}

//! TLS on the service's side, with certificates of callers where they are asked for.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::Error;
use crate::config::service::Server;

/// What speaks TLS; none where it is not configured.
pub(super) fn acceptor(server: &Server) -> Result<Option<TlsAcceptor>, Error> {
    let (Some(certificate), Some(key)) = (&server.tls_certificate, &server.tls_key) else { return Ok(None) };
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    // The provider is named: the process may hold several, and rustls does not choose among them.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for the default protocol versions");
    let builder = match &server.tls_client_ca {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for one in certificates(authority)? {
                roots.add(one).map_err(|error| unusable(authority, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(authority, error.to_string()))?)
        }
    };
    let config = builder.with_single_cert(chain, secret).map_err(|error| unusable(certificate, error.to_string()))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |error: rustls::pki_types::pem::Error| unusable(path, error.to_string());
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() { Err(unusable(path, "it holds no certificate".to_owned())) } else { Ok(found) }
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::Tls { path: path.to_owned(), reason }
}

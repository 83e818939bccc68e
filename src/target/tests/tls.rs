//! TLS to the frontend, and what must not follow it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::failure::{Code, Failure};

/// A node that speaks TLS with a certificate for `localhost`, and that certificate as PEM.
async fn secure(location: Option<String>) -> (Node, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let node = Node::start(move |peer| {
        let (acceptor, location) = (acceptor.clone(), location.clone());
        async move {
            let Ok(stream) = acceptor.accept(peer.stream).await else { return };
            let mut peer = Peer { stream, heads: peer.heads };
            peer.head().await;
            if let Some(location) = location {
                peer.redirect(&location).await;
            } else {
                peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
                peer.body(8).await;
                peer.answer("200 OK", &success(2, 8)).await;
            }
            peer.rest().await;
        }
    })
    .await;
    (node, pem(made.cert.der()))
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn over_tls(port: u16, pem: Option<&str>) -> (Result<StarRocks, Error>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&[port]);
    options.url = format!("starrocks+https://user@localhost:{port}/db/t").parse().unwrap();
    if let Some(pem) = pem {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        options.ca_file = Some(file);
    }
    (StarRocks::new(options), folder)
}

#[tokio::test]
async fn a_certificate_file_makes_a_private_authority_trusted() {
    let (node, pem) = secure(None).await;
    let (target, _folder) = over_tls(node.port, Some(&pem));
    assert_eq!(load(&target.unwrap()).await.unwrap().rows_loaded, Some(2));
}

#[tokio::test]
async fn an_authority_that_nobody_trusts_is_refused() {
    let (node, _) = secure(None).await;
    let (target, _folder) = over_tls(node.port, None);
    let error = load(&target.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetUnreachable);
    assert!(error.to_string().contains("TLS"), "{error}");
    assert!(node.heads().is_empty(), "no request without trust");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let plain = Node::answering("200 OK", success(2, 8)).await;
    let (node, pem) = secure(Some(format!("http://localhost:{}/x", plain.port))).await;
    let (target, _folder) = over_tls(node.port, Some(&pem));
    let error = load(&target.unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::RedirectRefused);
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert!(plain.heads().is_empty());
}

#[tokio::test]
async fn a_file_without_certificates_is_refused_at_once() {
    for pem in ["", "not a certificate", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        let (target, _folder) = over_tls(1, Some(pem));
        assert!(matches!(target, Err(Error::Certificates { .. })), "{pem}");
    }
}

//! TLS, and certificates of callers.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::service::Place;

fn pem(what: &str, der: &[u8]) -> String {
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", STANDARD.encode(der))
}

#[test]
fn callers_without_a_certificate_of_the_authority_get_nowhere() {
    let place = Place::new();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "the authority");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    place.world.file("ca.pem", pem("CERTIFICATE", authority.der()));
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("caller", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        place.world.file(&format!("{name}.pem"), pem("CERTIFICATE", certificate.der()));
        place.world.file(&format!("{name}.key"), pem("PRIVATE KEY", &key.serialize_der()));
    }
    // With the certificate of callers asked for, it may listen anywhere.
    let text = "[server]\nlisten = \"0.0.0.0:0\"\ntls_certificate = \"server.pem\"\ntls_key = \"server.key\"\n\
                tls_client_ca = \"ca.pem\"\n[jobs]\nstate_dir = \"state\"\n";
    place.world.file("shipload.toml", text);
    let service = place.start();
    let port = service.address.rsplit(':').next().unwrap();
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-o", "-", "--cacert", "ca.pem"])
            .args(arguments)
            .arg(format!("https://localhost:{port}/status"));
        curl.current_dir(place.world.path()).output().unwrap()
    };
    let known = curl(&["--cert", "caller.pem", "--key", "caller.key"]);
    assert!(String::from_utf8_lossy(&known.stdout).contains("\"version\""), "{known:?}");
    let unknown = curl(&[]);
    assert!(!unknown.status.success() && unknown.stdout.is_empty(), "{unknown:?}");
    let wrong = curl(&["--cert", "server.pem", "--key", "server.key"]);
    assert!(!wrong.status.success() && wrong.stdout.is_empty(), "a server's certificate is no caller's: {wrong:?}");
}

//! Who may do what: bearer tokens, and what a caller on the same machine has to show without one.
//!
//! Without tokens and certificates the service listens on loopback only, and whoever is on the machine may do everything. A
//! browser is on the machine, too, and does what any web page tells it; so a request from a page of elsewhere is refused, and
//! one whose `Host` is a name that somebody else's DNS may have pointed here.

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use sha2::{Digest as _, Sha256};

use super::api::problem::Problem;
use crate::config::ServiceConfig;
use crate::config::service::Access;
use crate::failure::Code;

/// Whether a request with these headers may do what takes this much access.
pub(super) fn check(config: &ServiceConfig, headers: &HeaderMap, needed: Access) -> Result<(), Problem> {
    if config.tokens.is_empty() {
        // With certificates, TLS has refused whoever has none.
        return if config.server.tls_client_ca.is_some() { Ok(()) } else { from_here(config, headers) };
    }
    let refused = |what: &str, hint: &str| Problem::new(Code::NotAllowed, what).with_hint(hint);
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let Some(shown) = shown else {
        return Err(refused("the request needs a token", "send Authorization: Bearer TOKEN").unauthenticated());
    };
    let digest = hex(&Sha256::digest(shown.as_bytes()));
    // All of them are looked at, each in the same time, so that the time tells nothing of any.
    let mut found = None;
    for token in config.tokens.values() {
        if same(digest.as_bytes(), token.sha256.to_ascii_lowercase().as_bytes()) {
            found = found.max(Some(token.access));
        }
    }
    match found {
        None => Err(refused("the token is not one of the service's", "check the token").unauthenticated()),
        Some(access) if access < needed => {
            let what = format!("the token has access `{}`, and this takes `{}`", access.word(), needed.word());
            Err(refused(&what, "use a token with more access").forbidden())
        }
        Some(_) => Ok(()),
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that depends on the lengths alone.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0 && one.len() == other.len()
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a request comes from a program of this machine, and not from a web page.
fn from_here(config: &ServiceConfig, headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |what: String| {
        let hint = "call the service by its address or localhost, add the name to server.hosts, or configure a token";
        Err(Problem::new(Code::NotAllowed, what).with_hint(hint).forbidden())
    };
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(HOST);
    if let Some(host) = host.filter(|host| !is_ours(config, host)) {
        return refused(format!("the service is not called `{host}`"));
    }
    match text(ORIGIN) {
        // The service's own page.
        Some(origin) if host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, rest)| rest == host)) => {
            Ok(())
        }
        Some(origin) => refused(format!("a page of {origin} may not use the service")),
        None => Ok(()),
    }
}

fn is_ours(config: &ServiceConfig, host: &str) -> bool {
    let port_apart = |host: &str| host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
    let name = if host.ends_with(']') { host.to_owned() } else { port_apart(host) };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let local = bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok();
    local || config.server.hosts.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::service::Token;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_token_opens_what_its_access_covers_and_nothing_else() {
        let mut config = ServiceConfig::default();
        let token = |text: &str, access| Token { sha256: hex(&Sha256::digest(text)).to_uppercase(), access };
        config.tokens.insert("look".into(), token("lookword", Access::Read));
        config.tokens.insert("all".into(), token("allword", Access::Admin));
        let status = |authorization: Option<&str>, needed| {
            let pairs: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
            check(&config, &headers(&pairs), needed).err().map(|problem| problem.status())
        };
        for (authorization, needed, expected) in [
            (None, Access::Read, Some(StatusCode::UNAUTHORIZED)),
            (Some("Bearer "), Access::Read, Some(StatusCode::UNAUTHORIZED)),
            (Some("Basic lookword"), Access::Read, Some(StatusCode::UNAUTHORIZED)),
            (Some("Bearer lookwor"), Access::Read, Some(StatusCode::UNAUTHORIZED)),
            (Some("Bearer lookword"), Access::Read, None),
            (Some("bearer  lookword"), Access::Load, Some(StatusCode::FORBIDDEN)),
            (Some("Bearer allword"), Access::Admin, None),
        ] {
            assert_eq!(status(authorization, needed), expected, "{authorization:?} {needed:?}");
        }
    }

    #[test]
    fn without_tokens_programs_of_this_machine_may_and_web_pages_may_not() {
        let mut config = ServiceConfig::default();
        config.server.hosts.push("loader.lan".into());
        let may = |pairs: &[(&'static str, &str)]| check(&config, &headers(pairs), Access::Admin).is_ok();
        for host in ["127.0.0.1:8070", "localhost", "[::1]:8070", "[::1]", "LOADER.lan:8070"] {
            assert!(may(&[("host", host)]), "{host}");
        }
        for host in ["evil.example", "evil.example:8070", "localhost.evil.example"] {
            assert!(!may(&[("host", host)]), "{host}");
        }
        assert!(may(&[]));
        assert!(may(&[("host", "localhost:8070"), ("origin", "http://localhost:8070")]));
        assert!(!may(&[("host", "localhost:8070"), ("origin", "http://evil.example")]));
        assert!(!may(&[("host", "localhost:8070"), ("origin", "null")]));
    }

    #[test]
    fn digests_are_compared_in_full() {
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab") && same(b"", b""));
    }
}

//! Where a redirect may lead: reading its `Location`, mapping the host, and deciding who may see credentials.
//!
//! A frontend names the node that will take the load, always as `http` and by the name that the node registered
//! (SR §1.3). The rules:
//!
//! - from `https` to `http` only where the user allows that very `host:port`;
//! - to the hosts of the frontends given, to hosts the user maps or allows by name, and to nodes the cluster lists;
//! - never anywhere else, because the credentials and the rows would go there.

use std::str::FromStr;

use hyper::Uri;

use super::Error;
use super::url::{Address, Scheme, split_host};

/// A node that is reached elsewhere than it says: `be1=10.0.0.5:18040`, `be1:8040=10.0.0.5:18040`, `be1=10.0.0.5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMap {
    /// The host as the cluster names it.
    pub host: String,
    /// Its port, where only that one is meant.
    pub port: Option<u16>,
    /// The host to connect to.
    pub to_host: String,
    /// The port to connect to; the same one where none is given.
    pub to_port: Option<u16>,
}

impl FromStr for HostMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: String| Error::InvalidHost { flag: "--map-host", text: text.to_owned(), reason };
        let (from, to) = text.split_once('=').ok_or_else(|| invalid("there is no `=` in it".to_owned()))?;
        let (host, port) = split_host(from.trim()).map_err(invalid)?;
        let (to_host, to_port) = split_host(to.trim()).map_err(invalid)?;
        Ok(Self { host, port, to_host, to_port })
    }
}

/// A host that redirects may lead to: `be1:8040`, `be1`, `*.svc.cluster.local`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed {
    host: String,
    port: Option<u16>,
}

impl Allowed {
    fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: String| Error::InvalidHost { flag: "--allow-redirect", text: text.to_owned(), reason };
        let trimmed = text.trim();
        if trimmed == "*" {
            return Ok(Self { host: "*".to_owned(), port: None });
        }
        let (star, plain) = match trimmed.strip_prefix("*.") {
            Some(suffix) => ("*.", suffix),
            None => ("", trimmed),
        };
        let (host, port) = split_host(plain).map_err(invalid)?;
        Ok(Self { host: format!("{star}{host}"), port })
    }

    fn covers(&self, address: &Address) -> bool {
        let host = match self.host.strip_prefix('*') {
            Some(suffix) => address.host.ends_with(suffix),
            None => self.host == address.host,
        };
        host && self.port.is_none_or(|port| port == address.port)
    }

    /// Whether it is this `host:port` and nothing wider.
    fn names(&self, address: &Address) -> bool {
        self.host == address.host && self.port == Some(address.port)
    }
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// The address to connect to.
    pub(super) address: Address,
    /// The address as the cluster names it.
    pub(super) named: Address,
    /// Path and query to ask for.
    pub(super) path: String,
    /// Whether the user's own words cover it; otherwise the cluster's list of nodes has to.
    pub(super) trusted: bool,
}

/// A redirect that is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) remedy: String,
}

/// The user's rules for redirects.
pub(super) struct Policy {
    frontends: Vec<String>,
    map: Vec<HostMap>,
    allowed: Vec<Allowed>,
}

impl Policy {
    pub(super) fn new(frontends: &[Address], map: Vec<HostMap>, allowed: &[String]) -> Result<Self, Error> {
        let allowed = allowed.iter().map(|text| Allowed::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { frontends: frontends.iter().map(|frontend| frontend.host.clone()).collect(), map, allowed })
    }

    /// Applies the host map.
    pub(super) fn mapped(&self, named: &Address) -> Address {
        let fits = |map: &&HostMap| map.host == named.host && map.port.is_none_or(|port| port == named.port);
        // An entry with a port says more than one without.
        let entry = self.map.iter().filter(fits).max_by_key(|map| map.port.is_some());
        match entry {
            Some(map) => {
                let (host, port) = (map.to_host.clone(), map.to_port.unwrap_or(named.port));
                Address { scheme: named.scheme, host, port }
            }
            None => named.clone(),
        }
    }

    /// Decides on a redirect, as far as that needs no question to the cluster.
    pub(super) fn judge(&self, from: &Address, location: &str) -> Result<Next, Refusal> {
        let (named, path) = read_location(location)?;
        let address = self.mapped(&named);
        let by_name = |address: &Address| self.allowed.iter().any(|allowed| allowed.names(address));
        if from.scheme == Scheme::Https && named.scheme == Scheme::Http && !by_name(&named) && !by_name(&address) {
            return Err(Refusal {
                reason: "it leads from https to http, where everyone on the way can read password and rows".to_owned(),
                remedy: format!("if that network is trusted, allow it by name: --allow-redirect {named}"),
            });
        }
        let covered = |address: &Address| self.allowed.iter().any(|allowed| allowed.covers(address));
        let trusted = address != named || self.frontends.contains(&named.host) || covered(&named);
        Ok(Next { address, named, path, trusted })
    }
}

/// Why a redirect to a host that nobody vouches for is not followed.
pub(super) fn foreign(named: &Address, listing: &str) -> Refusal {
    Refusal {
        reason: format!("{named} is neither one of the frontends given nor a node that the cluster lists{listing}"),
        remedy: format!(
            "if it belongs to the cluster: --allow-redirect {named}, or --map-host {named}=HOST:PORT where it is reached \
             elsewhere"
        ),
    }
}

/// Reads an absolute URL. What it may hold of credentials is left out.
pub(super) fn read_location(location: &str) -> Result<(Address, String), Refusal> {
    let unusable = |reason: &str| Refusal {
        reason: reason.to_owned(),
        remedy: "this is no answer of a StarRocks frontend: check the address, and what stands in between".to_owned(),
    };
    let uri: Uri = location.parse().map_err(|_| unusable("it is no URL"))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(_) => return Err(unusable("it is neither http nor https")),
        None => return Err(unusable("it is no absolute URL")),
    };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if host.is_empty() {
        return Err(unusable("it names no host"));
    }
    let port = uri.port_u16().unwrap_or(if scheme == Scheme::Http { 80 } else { 443 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok((Address { scheme, host, port }, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(scheme: Scheme, host: &str, port: u16) -> Address {
        Address { scheme, host: host.into(), port }
    }

    fn policy(map: &[&str], allowed: &[&str]) -> Policy {
        let frontends = [address(Scheme::Http, "fe1", 8030)];
        let map = map.iter().map(|text| text.parse().unwrap()).collect();
        let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>();
        Policy::new(&frontends, map, &allowed).unwrap()
    }

    #[test]
    fn only_what_the_user_named_is_trusted_without_a_question() {
        let from = address(Scheme::Http, "fe1", 8030);
        for (map, allowed, location, to, trusted) in [
            (vec![], vec![], "http://be1:8040/api/db/t/_stream_load?x=1", "be1:8040", false),
            (vec![], vec![], "http://FE1:8040/p", "fe1:8040", true),
            (vec![], vec!["be1"], "http://be1:8040/p", "be1:8040", true),
            (vec![], vec!["be1:8041"], "http://be1:8040/p", "be1:8040", false),
            (vec![], vec!["*.pod.local"], "http://be-0.pod.local:8040/p", "be-0.pod.local:8040", true),
            (vec![], vec!["*.pod.local"], "http://evilpod.local:8040/p", "evilpod.local:8040", false),
            (vec![], vec!["*"], "http://be9:8040/p", "be9:8040", true),
            (vec!["be1=10.0.0.5:18040"], vec![], "http://be1:8040/p", "10.0.0.5:18040", true),
            (vec!["be1=10.0.0.5", "be1:8040=10.0.0.6"], vec![], "http://be1:8040/p", "10.0.0.6:8040", true),
            (vec!["be1:1=10.0.0.5"], vec![], "http://be1:8040/p", "be1:8040", false),
            (vec![], vec!["[::1]:8040"], "http://[::1]:8040/p", "[::1]:8040", true),
            (vec![], vec![], "http://user:word@be1:8040/p", "be1:8040", false),
        ] {
            let next = policy(&map, &allowed).judge(&from, location).unwrap();
            assert_eq!(
                (next.address.to_string().as_str(), next.trusted),
                (to, trusted),
                "{location} with {map:?} {allowed:?}"
            );
        }
    }

    #[test]
    fn https_gives_way_to_http_only_for_a_host_and_port_allowed_by_name() {
        let from = address(Scheme::Https, "fe1", 8443);
        for (allowed, followed) in [
            (vec![], false),
            (vec!["*"], false),
            (vec!["be1"], false),
            (vec!["be1:8040"], true),
            (vec!["be1:8041"], false),
        ] {
            let judged = policy(&[], &allowed).judge(&from, "http://be1:8040/p");
            assert_eq!(judged.is_ok(), followed, "{allowed:?}");
        }
        assert!(policy(&[], &[]).judge(&from, "https://fe1:8443/p").unwrap().trusted);
        let refusal = policy(&[], &[]).judge(&from, "http://be1:8040/p").unwrap_err();
        assert!(refusal.remedy.contains("--allow-redirect be1:8040"), "{refusal:?}");
    }

    #[test]
    fn a_location_that_leads_nowhere_is_refused() {
        let from = address(Scheme::Http, "fe1", 8030);
        for location in ["/api/db/t/_stream_load", "ftp://be1/x", "", "be1:8040", "http://", "http:///x", "//be1/x"] {
            assert!(policy(&[], &[]).judge(&from, location).is_err(), "{location}");
        }
    }

    #[test]
    fn flags_that_mean_nothing_are_refused() {
        for text in ["be1", "=x", "be1=", "be1=10.0.0.5:99999"] {
            assert!(text.parse::<HostMap>().is_err(), "{text}");
        }
        assert!(Policy::new(&[], Vec::new(), &["be 1".to_owned()]).is_err());
    }
}

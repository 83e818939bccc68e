//! [`TargetUrl`]: where the table is, as users write it. [`Address`]: one HTTP address of it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Error;
use crate::model::Secret;

/// What stands in a path segment as itself; everything else is percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The user that a fresh StarRocks has.
const USER_DEFAULT: &str = "root";

/// Plain HTTP or HTTP over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 8030,
            Self::Https => 8443,
        }
    }

    /// The scheme as URLs write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One HTTP address. Shows itself as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Whether TLS is spoken there.
    pub scheme: Scheme,
    /// A name in lower case, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A target as users write it: `starrocks://user@fe1:8030,fe2:8030/database/table`.
///
/// Shows itself without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl {
    /// The frontends, in the order given; never empty.
    pub frontends: Vec<Address>,
    /// The user to log in as.
    pub user: String,
    /// The password, where the URL holds one. It is taken, but other ways keep it out of shell histories.
    pub password: Option<Secret<String>>,
    /// The database; none where a query needs none.
    pub database: Option<String>,
    /// The table; none where a query needs none.
    pub table: Option<String>,
}

impl TargetUrl {
    /// Whether the URL holds a password, which deserves a warning.
    #[must_use]
    pub fn password_in_url(&self) -> bool {
        self.password.is_some()
    }
}

impl FromStr for TargetUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|reason| Error::InvalidUrl { text: without_credentials(text), reason })
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.frontends.iter().any(|frontend| frontend.scheme == Scheme::Https);
        f.write_str(if tls { "starrocks+https://" } else { "starrocks://" })?;
        for (index, frontend) in self.frontends.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{frontend}")?;
        }
        for segment in [&self.database, &self.table].into_iter().flatten() {
            write!(f, "/{}", encode_segment(segment))?;
        }
        Ok(())
    }
}

/// Percent-encodes one path segment.
pub(super) fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Reads `host`, `host:port` or `[v6]:port`; the port is none where the text has none.
pub(super) fn split_host(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| format!("`{text}` has no closing bracket"))?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("`{host}` is no IPv6 address"));
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(format!("`{rest}` follows the bracket of `{text}`")),
        }
    } else if text.matches(':').count() > 1 {
        return Err(format!("write the IPv6 address `{text}` in brackets"));
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("`{host}` is no host name"));
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(format!("`{port}` is no port")),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn parse(text: &str) -> Result<TargetUrl, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it does not start with starrocks://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "starrocks" | "starrocks+http" => Scheme::Http,
        "starrocks+https" => Scheme::Https,
        other => return Err(format!("`{other}` is none of starrocks, starrocks+http and starrocks+https")),
    };
    if let Some(mark) = rest.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(format!(
            "it holds `{mark}`, which has no meaning here; in names and passwords write it as %{:02X}",
            mark as u32
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, password, hosts) = match authority.rsplit_once('@') {
        None => (USER_DEFAULT.to_owned(), None, authority),
        Some((login, hosts)) => {
            let (user, password) = parse_login(login)?;
            (user, password, hosts)
        }
    };
    let frontends = hosts
        .split(',')
        .map(|host| {
            let (host, port) = split_host(host.trim())?;
            Ok(Address { scheme, host, port: port.unwrap_or(scheme.port()) })
        })
        .collect::<Result<Vec<_>, String>>()?;
    let mut segments = parse_path(path)?.into_iter();
    Ok(TargetUrl { frontends, user, password, database: segments.next(), table: segments.next() })
}

fn parse_login(login: &str) -> Result<(String, Option<Secret<String>>), String> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decode(password)?))),
        None => (login, None),
    };
    let user = decode(user)?;
    // Basic authentication splits at the first colon, so such a name could never log in.
    if user.contains(':') {
        return Err("a user name cannot hold a colon".to_owned());
    }
    Ok((if user.is_empty() { USER_DEFAULT.to_owned() } else { user }, password))
}

fn parse_path(path: &str) -> Result<Vec<String>, String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let segments = path.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
    if segments.iter().any(String::is_empty) {
        return Err("the name of the database or the table is empty".to_owned());
    }
    if segments.len() > 2 {
        return Err("more than a database and a table follow the host".to_owned());
    }
    Ok(segments)
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "a percent-encoded part is no UTF-8")?;
    if decoded.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    Ok(decoded.into_owned())
}

/// The text without what stands before its last `@`: a mistyped URL still holds its password.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let Some((_, rest)) = text.rsplit_once('@') else { return text.to_owned() };
    match text.split_once("://") {
        Some((scheme, _)) if scheme.len() < text.len() - rest.len() => format!("{scheme}://***@{rest}"),
        _ => format!("***@{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_people_write_them() {
        for (text, user, hosts, database, table) in [
            ("starrocks://fe/db/t", "root", "fe:8030", Some("db"), Some("t")),
            ("starrocks://u@FE1:8031,fe2/db/t/", "u", "fe1:8031,fe2:8030", Some("db"), Some("t")),
            ("starrocks+https://u@fe/db", "u", "fe:8443", Some("db"), None),
            ("STARROCKS+HTTP://u@[::1]:8031,[fe80::1]", "u", "[::1]:8031,[fe80::1]:8030", None, None),
            ("starrocks://u%40x@fe/%C3%A4%2Fb/t%20t", "u@x", "fe:8030", Some("ä/b"), Some("t t")),
        ] {
            let url: TargetUrl = text.parse().unwrap();
            let shown = url.frontends.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            assert_eq!((url.user.as_str(), shown.as_str()), (user, hosts), "{text}");
            assert_eq!((url.database.as_deref(), url.table.as_deref()), (database, table), "{text}");
            assert!(!url.password_in_url(), "{text}");
            let again: TargetUrl = url.to_string().parse().unwrap();
            assert_eq!((again.frontends, again.table), (url.frontends, url.table), "{text}");
        }
    }

    #[test]
    fn urls_that_mean_nothing_are_refused_with_a_reason() {
        for (text, reason) in [
            ("fe:8030/db/t", "starrocks://"),
            ("mysql://fe/db/t", "mysql"),
            ("starrocks://", "host name"),
            ("starrocks:///db/t", "host name"),
            ("starrocks://fe:0/db/t", "port"),
            ("starrocks://fe:70000/db/t", "port"),
            ("starrocks://::1/db/t", "brackets"),
            ("starrocks://[::1/db/t", "bracket"),
            ("starrocks://[be]/db/t", "IPv6"),
            ("starrocks://fe/db//", "empty"),
            ("starrocks://fe/db/t/u", "more than"),
            ("starrocks://fe/db/t?x=1", "%3F"),
            ("starrocks://fe/%FF/t", "UTF-8"),
            ("starrocks://fe/a%0Ab/t", "control"),
            ("starrocks://a%3Ab@fe/db/t", "colon"),
        ] {
            let error = text.parse::<TargetUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_or_tells_a_password(before in ".*", password in "[a-z]{12}", after in ".*") {
            let _ = before.parse::<TargetUrl>();
            let text = format!("starrocks://u:{password}@{after}");
            let shown = match text.parse::<TargetUrl>() {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => error.to_string(),
            };
            proptest::prop_assert!(!shown.contains(&password));
        }
    }

    #[test]
    fn a_password_is_taken_and_never_shown() {
        let url: TargetUrl = "starrocks://u:s%3Acr@et@fe/db/t".parse().unwrap();
        assert_eq!(url.password.as_ref().unwrap().expose(), "s:cr@et");
        assert!(url.password_in_url());
        for shown in [url.to_string(), format!("{url:?}")] {
            assert!(!shown.contains("cr"), "{shown}");
        }
        for wrong in ["starrocks://u:secret@fe:x/db/t", "starrocks://u:sec/ret@fe/db", "http://u:secret@fe"] {
            let error = wrong.parse::<TargetUrl>().unwrap_err();
            assert!(!error.to_string().contains("ret"), "{error}");
        }
    }
}

//! `GET|POST /dashboard`: one page over the same API that every caller has.
//!
//! The page is for everybody, since there is nothing in it; what it shows it asks for itself, with a token where one is
//! needed. It holds everything it needs and may ask nobody but this service: a browser enforces both by the policy that comes
//! with it. Its one script is allowed by its digest, so that nothing that finds its way into the page can run.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest as _, Sha256};

use super::body::{self, Reply};

const PAGE: &str = include_str!("dashboard.html");

/// What the page may do.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = between(PAGE, "<script>", "</script>").expect("the page has a script");
    let digest = STANDARD.encode(Sha256::digest(script));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("it is ASCII")
});

pub(super) fn page() -> Reply {
    let mut reply = body::reply(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::api::routes::ROUTES;

    /// The paths that the page asks for.
    fn paths() -> Vec<&'static str> {
        let listed = between(PAGE, "const PATHS = {", "};").unwrap();
        listed.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn every_path_that_the_page_asks_for_is_a_route_that_may_be_looked_at() {
        let paths = paths();
        assert!(paths.len() >= 5, "{paths:?}");
        for path in paths {
            let found = ROUTES.iter().any(|route| route.path == path && route.method == hyper::Method::GET);
            assert!(found, "{path}");
        }
        let asks = PAGE.matches("fetch(").count();
        assert_eq!(asks, 1, "everything is asked for at one place, by the paths of the list");
    }

    #[test]
    fn the_page_refers_to_nothing_outside_itself() {
        for foreign in ["src=", "@import", "url(", "localStorage", "sessionStorage", "document.cookie", "innerHTML"] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        // The name of SVG's elements is no address: nobody fetches it.
        let rest = PAGE.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains("://"));
        assert_eq!(rest.matches("href=").count(), rest.matches("href=\"data:,\"").count());
        assert_eq!(PAGE.matches("<script").count(), 1, "the policy allows one");
    }
}

//! Every route: its method, its path, what it takes to use it, and who answers.

use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::config::service::Access;
use crate::failure::Code;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Health,
    Ready,
    Status,
    Metrics,
    Config,
    LogLevel,
    ProfileCpu,
    ProfileMemory,
    Errors,
    OpenApi,
    Dashboard,
    Nodes,
    ClusterStatus,
    Jobs,
    Submit,
    Job,
    Cancel,
    Resume,
    Report,
    Rejects,
    Events,
    Load,
}

/// A route.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments in braces stand for anything.
    pub(super) path: &'static str,
    /// None is for everybody.
    pub(super) access: Option<Access>,
    pub(super) endpoint: Endpoint,
}

const fn route(method: Method, path: &'static str, access: Option<Access>, endpoint: Endpoint) -> Route {
    Route { method, path, access, endpoint }
}

/// The routes that there are; `docs/openapi.json` has each of them.
pub(super) const ROUTES: &[Route] = &[
    route(Method::GET, "/health", None, Endpoint::Health),
    route(Method::POST, "/health", None, Endpoint::Health),
    route(Method::GET, "/ready", None, Endpoint::Ready),
    route(Method::GET, "/status", Some(Access::Read), Endpoint::Status),
    route(Method::GET, "/metrics", Some(Access::Read), Endpoint::Metrics),
    route(Method::GET, "/v1/metrics", Some(Access::Read), Endpoint::Metrics),
    route(Method::GET, "/config", Some(Access::Admin), Endpoint::Config),
    route(Method::POST, "/debug/log_level", Some(Access::Admin), Endpoint::LogLevel),
    route(Method::POST, "/debug/prof/cpu", Some(Access::Admin), Endpoint::ProfileCpu),
    route(Method::POST, "/debug/prof/mem", Some(Access::Admin), Endpoint::ProfileMemory),
    route(Method::GET, "/errors/{code}", None, Endpoint::Errors),
    route(Method::GET, "/openapi.json", None, Endpoint::OpenApi),
    route(Method::GET, "/dashboard", None, Endpoint::Dashboard),
    route(Method::POST, "/dashboard", None, Endpoint::Dashboard),
    route(Method::GET, "/v1/cluster/nodes", Some(Access::Read), Endpoint::Nodes),
    route(Method::GET, "/v1/cluster/status", Some(Access::Read), Endpoint::ClusterStatus),
    route(Method::GET, "/v1/jobs", Some(Access::Read), Endpoint::Jobs),
    route(Method::POST, "/v1/jobs", Some(Access::Load), Endpoint::Submit),
    route(Method::GET, "/v1/jobs/{id}", Some(Access::Read), Endpoint::Job),
    route(Method::POST, "/v1/jobs/{id}/cancel", Some(Access::Load), Endpoint::Cancel),
    route(Method::POST, "/v1/jobs/{id}/resume", Some(Access::Load), Endpoint::Resume),
    route(Method::GET, "/v1/jobs/{id}/report", Some(Access::Read), Endpoint::Report),
    route(Method::GET, "/v1/jobs/{id}/rejects", Some(Access::Read), Endpoint::Rejects),
    route(Method::GET, "/v1/events", Some(Access::Read), Endpoint::Events),
    route(Method::PUT, "/v1/load/{database}/{table}", Some(Access::Load), Endpoint::Load),
];

/// A route that a request has found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) route: &'static Route,
    pub(super) segments: Vec<String>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Finds the route of a request.
pub(super) fn find(method: &Method, path: &str) -> Result<Found, Problem> {
    let mut others = Vec::new();
    for route in ROUTES {
        let Some(segments) = matches(route.path, path) else { continue };
        // What answers to GET answers to HEAD; hyper leaves the body out.
        if route.method == *method || *method == Method::HEAD && route.method == Method::GET {
            return Ok(Found { route, segments });
        }
        others.push(route.method.as_str());
    }
    let problem = Problem::new(
        Code::NothingThere,
        if others.is_empty() {
            format!("there is nothing at {path}")
        } else {
            format!("{path} does not take {method}")
        },
    );
    Err(if others.is_empty() {
        problem.with_hint("GET /openapi.json lists every path")
    } else {
        let allowed = others.join(", ");
        problem
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_hint(&format!("it takes {allowed}"))
            .with_allow(allowed)
    })
}

/// The variable segments of a path that fits a pattern.
fn matches(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            let decoded = percent_decode_str(segment).decode_utf8().ok()?;
            if segment.is_empty() {
                return None;
            }
            found.push(decoded.into_owned());
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(found)
}

/// A method as metrics name it: callers may make up any.
pub(super) fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other_and_every_setting() {
        let document: serde_json::Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let mut described = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            described.extend(
                operations.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())),
            );
        }
        let mut routes: Vec<String> = ROUTES.iter().map(|route| format!("{route:?}")).collect();
        routes.sort();
        described.sort();
        assert_eq!(described, routes);
        let fields = &document["components"]["schemas"]["JobRequest"]["properties"];
        let parameters = document["paths"]["/v1/load/{database}/{table}"]["put"]["parameters"].as_array().unwrap();
        for setting in crate::daemon::jobs::ask::known() {
            assert!(fields[&setting.name].is_object(), "JobRequest lacks `{}`", setting.name);
            let parameter = parameters.iter().any(|parameter| parameter["name"] == setting.name.as_str());
            assert_eq!(parameter, setting.name != "job", "the parameters of uploads: `{}`", setting.name);
        }
    }

    #[test]
    fn a_path_finds_its_route_and_a_wrong_one_says_what_there_is() {
        let found = find(&Method::GET, "/errors/L20%3004").unwrap();
        assert_eq!((found.route.endpoint, found.segments), (Endpoint::Errors, vec!["L20004".to_owned()]));
        assert_eq!(find(&Method::HEAD, "/health").unwrap().route.endpoint, Endpoint::Health);
        for path in ["/", "/errors", "/errors/", "/errors/a/b", "/health/", "//health", "/errors/%ff"] {
            assert_eq!(find(&Method::GET, path).unwrap_err().status(), StatusCode::NOT_FOUND, "{path}");
        }
        let problem = find(&Method::DELETE, "/health").unwrap_err();
        assert_eq!(problem.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(problem.reply().headers()["allow"], "GET, POST");
    }
}

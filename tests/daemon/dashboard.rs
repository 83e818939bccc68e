//! The dashboard as it is served. How it looks in a browser is tried by `tests/dashboard/run`.

use crate::service::Place;

/// Every path that the page asks for: the texts of its one list.
fn paths(page: &str) -> Vec<&str> {
    let (_, rest) = page.split_once("const PATHS = {").unwrap();
    let (list, _) = rest.split_once("};").unwrap();
    list.split('"').skip(1).step_by(2).collect()
}

#[test]
fn the_page_is_for_everybody_and_asks_nobody_but_the_service() {
    let place = Place::new();
    let digest = "f".repeat(64);
    place.configure("", &format!("[tokens.one]\nsha256 = \"{digest}\"\n"));
    let service = place.start();
    for method in ["GET", "POST"] {
        let answer = service.ask(method, "/dashboard", &[], b"").of(200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = answer.header("content-security-policy").unwrap().to_owned();
        for rule in ["default-src 'none'", "connect-src 'self'", "script-src 'sha256-", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");
    }
    // What is shown is another matter.
    service.get("/v1/jobs").of(401);

    let page = service.get("/dashboard").text();
    let described = service.get("/openapi.json").of(200).json();
    let paths = paths(&page);
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        assert!(described["paths"][path]["get"].is_object(), "{path} is not in the description");
    }
    assert!(described["paths"]["/dashboard"]["post"].is_object());
    let foreign = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!foreign.contains("://"), "it refers to something outside itself");
}

//! The API is what its description says: every route, every status, every body.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::schema::misfits;
use crate::service::{Answer, Place, Service, csv, target};

/// Asks, and holds each answer against the description.
struct Caller<'a> {
    service: &'a Service,
    document: Value,
    seen: RefCell<BTreeSet<(String, String, u16)>>,
}

impl Caller<'_> {
    #[track_caller]
    fn ask(&self, status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.service.ask(method, path, headers, body).of(status);
        let bare = path.split('?').next().unwrap();
        let paths = self.document["paths"].as_object().unwrap();
        let template =
            paths.keys().find(|template| fits(template, bare)).unwrap_or_else(|| panic!("{path} is not there"));
        let operation = &paths[template][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {template} is not described");
        let mut response = &operation["responses"][status.to_string()];
        if let Some(pointer) = response["$ref"].as_str() {
            response = self.document.pointer(pointer.trim_start_matches('#')).unwrap();
        }
        assert!(response.is_object(), "{method} {template} is not said to answer {status}: {}", answer.text());
        let content = answer.header("content-type").unwrap().split(';').next().unwrap();
        let schema = &response["content"][content]["schema"];
        assert!(schema.is_object(), "{method} {template}, {status}: {content} is not described");
        if content.ends_with("json") {
            let wrong = misfits(&self.document, schema, &answer.json(), template);
            assert!(wrong.is_empty(), "{method} {path} {status}:\n{}\n{}", wrong.join("\n"), answer.text());
        }
        self.seen.borrow_mut().insert((method.to_lowercase(), template.clone(), status));
        answer
    }

    #[track_caller]
    fn get(&self, status: u16, path: &str) -> Answer {
        self.ask(status, "GET", path, &[], b"")
    }

    #[track_caller]
    fn post(&self, status: u16, path: &str, body: &Value) -> Answer {
        self.ask(status, "POST", path, &[], body.to_string().as_bytes())
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len() && wanted.iter().zip(given).all(|(one, other)| one.starts_with('{') || *one == other)
}

#[test]
fn every_route_answers_as_it_is_described() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    place.configure("body_bytes_max = \"2KiB\"", &target("lake", &sandbox));
    let service = place.start();
    let document = service.get("/openapi.json").of(200).json();
    let caller = Caller { service: &service, document, seen: RefCell::default() };

    for path in ["/health", "/ready", "/status", "/metrics", "/v1/metrics", "/config", "/openapi.json"] {
        caller.get(200, path);
    }
    caller.post(200, "/health", &json!({}));
    caller.get(200, "/dashboard");
    let memory = caller.post(200, "/debug/prof/mem", &json!({})).text();
    let resident = memory.lines().find_map(|line| line.strip_prefix("vmrss_bytes ")).unwrap();
    assert!(resident.parse::<u64>().unwrap() > 1 << 20, "{memory}");
    caller.post(501, "/debug/prof/mem?output=proto", &json!({}));
    // Where the feature is built in, samples are taken.
    let built_in = cfg!(feature = "profiling");
    for output in ["proto", "text", "flamegraph"] {
        let path = format!("/debug/prof/cpu?seconds=1&output={output}");
        let profile = caller.post(if built_in { 200 } else { 501 }, &path, &json!({}));
        assert!(!profile.body.is_empty());
    }
    caller.post(400, "/debug/prof/cpu?seconds=0", &json!({}));
    caller.post(400, "/debug/prof/cpu?output=music", &json!({}));
    caller.post(200, "/dashboard", &json!({}));
    caller.get(200, "/errors/L2004");
    caller.get(404, "/errors/L9999");
    caller.ask(200, "POST", "/debug/log_level", &[], b"info,shipload=debug");
    caller.ask(400, "POST", "/debug/log_level", &[], b"loud=x=y");
    caller.ask(413, "POST", "/debug/log_level", &[], &[b'x'; 4096]);
    caller.get(200, "/v1/cluster/nodes");
    let status = caller.get(200, "/v1/cluster/status").json();
    assert_eq!(status["targets"][0]["healthy"], true, "{status}");

    let file = place.rows("a.csv", 0, 1000);
    let job = json!({"sources": [file], "database": "demo", "table": "t", "create_table": true});
    let begun = caller.ask(202, "POST", "/v1/jobs", &[("Idempotency-Key", "one")], job.to_string().as_bytes());
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    caller.ask(200, "POST", "/v1/jobs", &[("Idempotency-Key", "one")], job.to_string().as_bytes());
    assert_eq!(service.end_of(&id), "finished", "{}", service.job(&id));
    caller.get(200, &format!("/v1/jobs/{id}"));
    caller.get(200, &format!("/v1/jobs/{id}/report"));
    caller.get(200, &format!("/v1/jobs/{id}/rejects"));
    caller.get(400, &format!("/v1/jobs/{id}/rejects?limit=0"));
    caller.get(400, "/v1/jobs?state=done");
    caller.post(400, "/v1/jobs", &json!({"sources": [file], "database": "", "table": "t"}));
    caller.post(409, &format!("/v1/jobs/{id}/cancel"), &json!({}));
    caller.post(409, &format!("/v1/jobs/{id}/resume"), &json!({}));
    for verb in ["report", "rejects"] {
        caller.get(404, &format!("/v1/jobs/nobody/{verb}"));
    }
    for verb in ["cancel", "resume"] {
        caller.post(404, &format!("/v1/jobs/nobody/{verb}"), &json!({}));
    }
    caller.get(404, "/v1/jobs/nobody");
    let list = caller.get(200, "/v1/jobs?state=finished&limit=1").json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    caller.get(400, "/v1/jobs?limit=x");
    caller.get(404, "/v1/jobs?after=nobody");

    let other = json!({"sources": [file], "database": "demo", "table": "u"});
    caller.ask(409, "POST", "/v1/jobs", &[("Idempotency-Key", "one")], other.to_string().as_bytes());
    caller.post(400, "/v1/jobs", &json!([]));
    caller.post(400, "/v1/jobs", &json!({"sources": [file], "database": "demo", "table": "t", "colums": "a"}));
    caller.post(403, "/v1/jobs", &json!({"sources": ["/etc/passwd"], "database": "demo", "table": "t"}));
    caller.post(404, "/v1/jobs", &json!({"sources": [file], "database": "demo", "table": "t", "target": "sea"}));
    caller.post(422, "/v1/jobs", &json!({"sources": [format!("{file}x")], "database": "demo", "table": "t"}));
    caller.post(413, "/v1/jobs", &json!({"sources": ["x".repeat(4096)], "database": "demo", "table": "t"}));
    let failed = service.begin(&json!({"sources": [file], "database": "demo", "table": "none"}));
    assert_eq!(service.end_of(&failed), "failed");
    caller.get(200, &format!("/v1/jobs/{failed}"));
    caller.get(200, &format!("/v1/jobs/{failed}/report"));
    caller.post(202, &format!("/v1/jobs/{failed}/resume"), &json!({}));
    assert_eq!(service.end_of(&failed), "failed");
    caller.post(202, &format!("/v1/jobs/{failed}/cancel"), &json!({}));
    assert_eq!(service.end_of(&failed), "cancelled");

    let load = "/v1/load/demo/t";
    let text = csv(1000, 50);
    let answer = caller.ask(200, "PUT", load, &[("Idempotency-Key", "u")], text.as_bytes());
    assert_eq!(answer.header("idempotency-key"), Some("u"));
    caller.ask(422, "PUT", "/v1/load/demo/other", &[("Idempotency-Key", "u")], text.as_bytes());
    caller.ask(400, "PUT", "/v1/load/demo/t?colour=red", &[], text.as_bytes());
    caller.ask(404, "PUT", "/v1/load/demo/t?target=sea", &[], text.as_bytes());
    let rejected = caller.ask(422, "PUT", load, &[("X-Shipload-No-Csv-Header", "true")], b"no,number\n");
    assert_eq!(rejected.json()["code"], "L2004", "{}", rejected.text());

    // Every operation that is described is there, and was asked.
    let seen = caller.seen.borrow();
    for (template, operations) in caller.document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let asked = seen.iter().any(|(m, t, _)| m == method && t == template);
            // Events do not end; they have a test of their own.
            assert!(asked || template == "/v1/events", "{method} {template} was not asked");
        }
    }
    assert_eq!(place.counts(&sandbox, "t"), (1050, 1050));
}

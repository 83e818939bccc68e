//! Requests: what is taken, what is refused, and what a caller is told.

use hyper::StatusCode;
use serde_json::json;

use super::*;
use crate::config::option::Section as _;
use crate::config::service::TargetOptions;

fn config(root: &Path) -> ServiceConfig {
    let mut config = ServiceConfig::default();
    config.files.roots.push(root.to_owned());
    let target = TargetOptions { address: "starrocks://loader@fe1:8030".into(), ..TargetOptions::defaults() };
    config.targets.insert("warehouse".into(), target);
    config
}

fn asked(config: &ServiceConfig, fields: &Value) -> Result<Ask, Problem> {
    Ask::of_files(config, fields.to_string().as_bytes())
}

#[test]
fn every_setting_of_an_import_is_the_requests_or_the_services_to_say() {
    const THE_SERVICES: [&str; 17] = [
        "to",
        "password",
        "password_file",
        "credentials_directory",
        "map_host",
        "allow_redirect",
        "mysql_port",
        "ca_file",
        "sandbox_dir",
        "rejects",
        "state_dir",
        "spool",
        "spool_size",
        "part_of",
        "output",
        "profile",
        // Watched folders say it of what they find.
        "sha256",
    ];
    for setting in setting::settings() {
        let name = setting.name.as_str();
        // A request that sends nothing is a plan, which is not the service's yet.
        let known = usize::from(TAKEN.contains(&name)) + usize::from(THE_SERVICES.contains(&name));
        assert!(known == 1 || name == "dry_run", "decide whether a request may say `{name}`");
    }
    assert_eq!(known().len(), TAKEN.len(), "each of them is a setting");
}

#[test]
fn a_request_becomes_an_import_with_the_services_own_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("a.csv");
    std::fs::write(&file, "1").unwrap();
    let config = config(folder.path());
    let fields = json!({
        "sources": [file], "database": "shop", "table": "orders",
        "columns": "a, b", "max_rejects": 5, "create_table": true, "set": ["partial_update=true"], "job": "nightly",
    });
    let ask = asked(&config, &fields).unwrap();
    assert_eq!((ask.target.as_str(), ask.job()), ("warehouse", Some("nightly")));
    let args = ask.import(&config, Path::new("/state"), Path::new("/rejects")).unwrap();
    assert_eq!(args.target.to, "starrocks://loader@fe1:8030/shop/orders");
    assert_eq!((args.load_size, args.memory), (config.jobs.load_size, config.jobs.job_memory));
    assert_eq!(args.state_dir.as_deref(), Some(Path::new("/state")));
    assert_eq!((args.columns.as_deref(), args.create_table), (Some("a, b"), true));
    let again: Ask = serde_json::from_str(&serde_json::to_string(&ask).unwrap()).unwrap();
    assert_eq!(again, ask);
}

#[test]
fn what_is_wrong_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "1").unwrap();
    let mut config = config(folder.path());
    config.targets.get_mut("warehouse").unwrap().databases.push("shop".into());
    let good = json!({"sources": [file], "database": "shop", "table": "orders"});
    assert!(asked(&config, &good).is_ok());
    for (name, value, code, words) in [
        ("colums", json!("a"), Code::RequestWrong, "no field `colums`"),
        ("sorces", json!("a"), Code::RequestWrong, "no field `sorces`"),
        ("password", json!("x"), Code::RequestWrong, "no field `password`"),
        ("rejects", json!("/etc"), Code::RequestWrong, "no field `rejects`"),
        ("dry_run", json!(true), Code::RequestWrong, "no field `dry_run`"),
        ("create_table", json!("yes"), Code::RequestWrong, "true or false"),
        ("parallel", json!(0), Code::RequestWrong, "a number from 1"),
        ("load_size", json!("1TiB"), Code::RequestWrong, "do not hold"),
        ("memory", json!("1TiB"), Code::RequestWrong, "more than the service has"),
        ("format", json!("docx"), Code::Usage, "docx"),
        ("database", json!(null), Code::RequestWrong, "`database` is missing"),
        ("database", json!("other"), Code::TargetUnnamed, "other"),
        ("table", json!(5), Code::RequestWrong, "no text"),
        ("sources", json!([]), Code::InputMissing, "no input"),
        ("sources", json!([1]), Code::RequestWrong, "no list of texts"),
        ("sources", json!("/etc/passwd"), Code::PathOutside, "/etc/passwd"),
        ("target", json!("warehose"), Code::TargetUnnamed, "`warehose`"),
        ("to", json!("starrocks://u@h"), Code::TargetUnnamed, "only configured"),
        ("job", json!("a b"), Code::RequestWrong, "job name"),
    ] {
        let mut fields = good.clone();
        fields[name] = value;
        let problem = asked(&config, &fields).unwrap_err();
        assert_eq!(problem.code(), code, "{fields}: {}", problem.detail());
        assert!(problem.detail().contains(words), "{fields}: {}", problem.detail());
    }
    assert_eq!(Ask::of_files(&config, b"[").unwrap_err().status(), StatusCode::BAD_REQUEST);
}

#[test]
fn any_target_is_one_without_a_password_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "1").unwrap();
    let mut config = config(folder.path());
    config.jobs.any_target = true;
    let to = |address: &str| asked(&config, &json!({"sources": [file], "database": "d", "table": "t", "to": address}));
    let ask = to("starrocks://me@fe9:8030").unwrap();
    assert!(ask.arguments(&config, Path::new("s"), Path::new("r"), None)[1].ends_with("me@fe9:8030/d/t"));
    for wrong in ["starrocks://me:word@fe9", "starrocks://me@fe9/d", "sandbox:", "nonsense"] {
        assert!(to(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_upload_has_its_key_as_its_name_and_flags_without_a_value() {
    let mut config = config(Path::new("/nowhere"));
    let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let upload = |config: &ServiceConfig, pairs: &[(&str, &str)], target: Option<&str>| {
        Ask::of_upload(config, "shop", "orders", target.map(str::to_owned), given(pairs), "k-1")
    };
    let ask = upload(&config, &[("format", "csv"), ("no_csv_header", ""), ("create_table", "false")], None).unwrap();
    assert_eq!(ask.job(), Some("k-1"));
    let args = ask.import(&config, Path::new("s"), Path::new("r")).unwrap();
    assert!(args.reading.no_csv_header && !args.create_table && args.sources == ["-"]);
    for (pairs, words) in [(&[("job", "x")], "not for uploads"), (&[("colour", "red")], "no field `colour`")] {
        let problem = upload(&config, pairs, None).unwrap_err();
        assert!(problem.detail().contains(words), "{}", problem.detail());
    }
    let second = TargetOptions { address: "sandbox:".into(), ..TargetOptions::defaults() };
    config.targets.insert("play".into(), second);
    assert_eq!(upload(&config, &[], None).unwrap_err().code(), Code::TargetUnnamed, "which one?");
    assert!(
        upload(&config, &[], Some("play")).unwrap().arguments(&config, Path::new("s"), Path::new("r"), None)[1]
            .ends_with("sandbox:shop/orders")
    );
}

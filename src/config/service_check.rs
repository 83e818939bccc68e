//! Whether a configuration fits together: what no single key can be blamed for by itself.

use super::service::{ServiceConfig, TargetOptions};
use crate::model::ByteCount;
use crate::target::TargetUrl;

/// Hex digits of a SHA-256.
const DIGEST_DIGITS: usize = 64;

/// What the program takes of the memory by itself: code, stacks, the journal, connections.
pub const PROGRAM_BYTES: u64 = 64 << 20;

/// What an input's head and the pieces behind it take at least.
const BATCH_BYTES_MIN: u64 = 16 << 20;

/// The smallest head that an ordinary request fits into; hyper takes no less either.
const HEAD_BYTES_MIN: u64 = 8 << 10;

impl ServiceConfig {
    /// Whether nobody but programs of this machine reaches the service without showing who they are.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        let server = &self.server;
        server.listen.ip().is_loopback() || !self.tokens.is_empty() || server.tls_client_ca.is_some()
    }
}

/// Something that does not fit.
pub(super) struct Flaw {
    /// `section.key`
    pub(super) key: String,
    pub(super) what: String,
    pub(super) hint: String,
}

pub(super) fn flaw(key: &str, what: impl Into<String>, hint: impl Into<String>) -> Flaw {
    Flaw { key: key.to_owned(), what: what.into(), hint: hint.into() }
}

/// Everything that does not fit.
pub(super) fn flaws(config: &ServiceConfig) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    server(config, &mut flaws);
    traces(&config.traces.endpoint, &mut flaws);
    jobs(config, &mut flaws);
    for (name, one) in &config.watch {
        super::service_watch::flaws(&format!("watch.{name}"), one, config, &mut flaws);
    }
    for (name, target) in &config.targets {
        targets(&format!("targets.{name}"), target, &mut flaws);
    }
    for (name, token) in &config.tokens {
        let digits = token.sha256.len() == DIGEST_DIGITS && token.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            let key = format!("tokens.{name}.sha256");
            flaws.push(flaw(&key, "it is no SHA-256 in hex", "`printf %s TOKEN | sha256sum` makes one"));
        }
    }
    if let Err(error) = crate::telemetry::setup::check(&config.log.level) {
        flaws.push(flaw("log.level", error, "it takes error, warn, info, debug, trace, or directives"));
    }
    flaws
}

fn traces(endpoint: &str, flaws: &mut Vec<Flaw>) {
    let mut wrong = |what: &str, hint: &str| flaws.push(flaw("traces.endpoint", what, hint));
    if endpoint.is_empty() {
    } else if !cfg!(feature = "otlp") {
        wrong("this shipload was built without traces", "leave it out, or build it with the feature `otlp`");
    } else if !endpoint.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/')) {
        wrong("it is no address of a collector", "write endpoint = \"http://127.0.0.1:4318\"");
    }
}

fn server(config: &ServiceConfig, flaws: &mut Vec<Flaw>) {
    let server = &config.server;
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => flaws.push(flaw("server.tls_certificate", "it comes without tls_key", "set both, or none")),
        (None, Some(_)) => flaws.push(flaw("server.tls_key", "it comes without tls_certificate", "set both, or none")),
        _ => {}
    }
    if server.tls_client_ca.is_some() && server.tls_certificate.is_none() {
        flaws.push(flaw("server.tls_client_ca", "it means nothing without TLS", "set tls_certificate and tls_key"));
    }
    if !config.is_guarded() {
        flaws.push(flaw(
            "server.listen",
            format!("anybody who reaches {} could load and cancel", server.listen),
            "listen on 127.0.0.1, or configure [tokens.NAME] or tls_client_ca",
        ));
    }
    for (key, number) in [("connections_max", server.connections_max), ("headers_max", server.headers_max)] {
        if number == 0 {
            flaws.push(flaw(&format!("server.{key}"), "with 0 nobody could say anything", "it takes at least 1"));
        }
    }
    if server.head_bytes_max.0 < HEAD_BYTES_MIN {
        let hint = format!("it takes at least {}", ByteCount(HEAD_BYTES_MIN));
        flaws.push(flaw("server.head_bytes_max", "an ordinary request would not fit", hint));
    }
    for (key, time) in [
        ("head_timeout", server.head_timeout),
        ("body_timeout", server.body_timeout),
        ("stall_timeout", server.stall_timeout),
    ] {
        if time.is_zero() {
            flaws.push(flaw(&format!("server.{key}"), "nobody is as fast as that", "it takes at least 1ms"));
        }
    }
}

fn jobs(config: &ServiceConfig, flaws: &mut Vec<Flaw>) {
    let jobs = &config.jobs;
    let left = ByteCount(jobs.memory.0.saturating_sub(PROGRAM_BYTES));
    if jobs.job_memory > left {
        let what = format!("{} do not hold one job of {}", jobs.memory, jobs.job_memory);
        let hint = format!("the program itself takes {}; raise memory, or lower job_memory", ByteCount(PROGRAM_BYTES));
        flaws.push(flaw("jobs.memory", what, hint));
    }
    if let Err(error) = crate::loader::fits(jobs.job_memory, jobs.batch_memory, jobs.load_size) {
        flaws.push(flaw("jobs.job_memory", error.to_string(), "raise job_memory, or lower load_size or batch_memory"));
    }
    if jobs.batch_memory.0 < BATCH_BYTES_MIN {
        let hint = format!("it takes at least {}", ByteCount(BATCH_BYTES_MIN));
        flaws.push(flaw("jobs.batch_memory", "the head of an input would not fit", hint));
    }
    for (key, number) in [("running_max", jobs.running_max), ("waiting_max", jobs.waiting_max)] {
        if number == 0 {
            flaws.push(flaw(&format!("jobs.{key}"), "with 0 nothing could ever run", "it takes at least 1"));
        }
    }
}

fn targets(heading: &str, target: &TargetOptions, flaws: &mut Vec<Flaw>) {
    let key = |name: &str| format!("{heading}.{name}");
    if target.address.is_empty() {
        flaws.push(flaw(&key("address"), "it is missing", "write address = \"starrocks://user@fe1:8030\""));
    } else if target.address != "sandbox:" {
        match target.address.parse::<TargetUrl>() {
            Ok(url) if url.table.is_some() || url.database.is_some() => flaws.push(flaw(
                &key("address"),
                "it names a database, which requests do",
                "write it without the path: starrocks://user@fe1:8030",
            )),
            Ok(url) if url.password_in_url() => flaws.push(flaw(
                &key("address"),
                "it has a password in it",
                "put that into password_file, or a credential",
            )),
            Ok(_) => {}
            Err(_) => flaws.push(flaw(
                &key("address"),
                "it is no address of a cluster",
                "write starrocks://user@fe1:8030,fe2:8030, or sandbox:",
            )),
        }
    }
    let ways = [target.password.is_some(), target.password_file.is_some(), !target.credential.is_empty()];
    if ways.iter().filter(|way| **way).count() > 1 {
        flaws.push(flaw(
            &key("password"),
            "there are several passwords",
            "keep one of password, password_file, credential",
        ));
    }
    if target.running_max == 0 {
        flaws.push(flaw(&key("running_max"), "with 0 nothing could ever run", "it takes at least 1"));
    }
}

//! The report of a job, for people and for programs.

use std::time::Duration;

use serde_json::Value;

use super::grouped;
use crate::clock::{Clock as _, SystemClock, rfc3339};
use crate::failure::Code;
use crate::model::report::{ErrorReport, SlowReport};
use crate::model::{ByteCount, JobState, LoadState, Relay, Report};
use crate::telemetry::{Progress, memory};

/// One JSON object on one line. What is not known, because the run ended before, is null.
pub(in crate::cli) fn json(report: &Report) -> String {
    let mut value = serde_json::to_value(report).expect("a report is plain values");
    for field in ["job", "target"] {
        if value[field] == "" {
            value[field] = Value::Null;
        }
    }
    value.to_string()
}

/// The report of a run that failed before there was a job.
pub(in crate::cli) fn stillborn(target: &str, code: Code, message: String, hint: Option<String>) -> Report {
    Report {
        bottleneck: Progress::default().bottleneck(Duration::ZERO),
        peak_memory_bytes: memory::peak_bytes(),
        error: Some(ErrorReport { code: code.to_string(), message, hint, label: None, commands: Vec::new() }),
        ..Report::new(target, rfc3339(SystemClock.now()))
    }
}

/// A few lines for people.
pub(in crate::cli) fn text(report: &Report, already: Option<&str>) -> String {
    if let Some(at) = already {
        return format!(
            "{}: already loaded on {at}: {} in {}; --again loads anew",
            report.job,
            counted(report.rows_loaded),
            report.target
        );
    }
    if report.rows_read == 0 && report.loads.is_empty() && report.error.is_some() {
        return nothing(report);
    }
    let mut lines = vec![headline(report), reading(report)];
    if report.rows_rejected > 0 {
        let folder = report.rejects.as_deref().unwrap_or("-");
        lines.push(format!("  rejected    {}, see {folder}", counted(report.rows_rejected)));
    }
    if report.rows_unselected > 0 {
        lines.push(format!("  unselected  {} left out by --where", counted(report.rows_unselected)));
    }
    lines.extend(loads(report));
    if report.parallel > 1 {
        lines.push(format!("  parallel    up to {} loads at once", report.parallel));
    }
    for SlowReport { reason, address, times } in &report.slowed {
        let times = if *times == 1 { "once".to_owned() } else { format!("{} times", grouped(*times)) };
        lines.push(format!("  slowed      {reason} at {address}, {times}"));
    }
    let commands = report.error.iter().flat_map(|error| &error.commands);
    lines.extend(commands.map(|command| format!("  settle      {command}")));
    if report.state == JobState::Finished {
        lines.push(format!("  bottleneck  {}", report.bottleneck));
    }
    lines.push(format!("  peak memory {}", ByteCount(report.peak_memory_bytes)));
    lines.join("\n")
}

/// A run that ended before a row was read: the error says the rest.
fn nothing(report: &Report) -> String {
    let job = if report.job.is_empty() { String::new() } else { format!("{}: ", report.job) };
    let how = if report.state == JobState::Interrupted { "interrupted" } else { "failed" };
    format!("{job}{how}; nothing was loaded into {}", report.target)
}

/// `1 row`, `2,000 rows`.
pub(super) fn counted(rows: u64) -> String {
    let word = if rows == 1 { "row" } else { "rows" };
    format!("{} {word}", grouped(rows))
}

fn headline(report: &Report) -> String {
    let rows = counted(report.rows_loaded);
    let are = if report.rows_loaded == 1 { "is" } else { "are" };
    let (job, target, seconds) = (&report.job, &report.target, report.elapsed_seconds);
    match report.state {
        JobState::Finished => format!("{job}: {rows} loaded into {target} in {seconds:.1} s{}", rate(report)),
        JobState::DryRun => {
            let would = report.rows_read - report.rows_rejected;
            format!("{job}: dry run, nothing was sent: {} would be loaded into {target}", counted(would))
        }
        JobState::AlreadyLoaded => format!("{job}: already loaded"),
        JobState::Rejected => format!("{job}: stopped at the reject limit; {rows} {are} loaded into {target}"),
        JobState::Failed => format!("{job}: failed; {rows} {are} loaded into {target}"),
        JobState::InDoubt => format!("{job}: in doubt; {rows} {are} known to be loaded into {target}"),
        JobState::Interrupted => format!("{job}: interrupted; {rows} {are} loaded into {target}"),
    }
}

/// Rates of runs that took long enough to have one.
fn rate(report: &Report) -> String {
    const SECONDS_MIN: f64 = 0.5;
    if report.elapsed_seconds < SECONDS_MIN {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "shown rounded")]
    let per_second = |count: u64| count as f64 / report.elapsed_seconds;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive rate, shown rounded")]
    let rows = per_second(report.rows_loaded) as u64;
    format!(" ({} rows/s, {:.1} MB/s read)", grouped(rows), per_second(report.bytes_read) / 1e6)
}

fn reading(report: &Report) -> String {
    let inputs = report.inputs.len();
    let word = if inputs == 1 { "input" } else { "inputs" };
    let all = |relay| inputs > 0 && report.inputs.iter().all(|input| input.relay == relay);
    let way = if all(Relay::Checked) {
        ", values checked where they stand and sent on as they are"
    } else if all(Relay::Unchecked) {
        ", sent on unchecked"
    } else {
        ""
    };
    format!("  read        {}, {} from {inputs} {word}{way}", counted(report.rows_read), ByteCount(report.bytes_read))
}

fn loads(report: &Report) -> Vec<String> {
    let count = |wanted: &[LoadState]| report.loads.iter().filter(|load| wanted.contains(&load.state)).count();
    let landed = count(&[LoadState::Visible, LoadState::Committed]);
    let mut lines = Vec::new();
    if landed > 0 {
        let earlier = report.loads.iter().filter(|load| load.attempts == 0 && load.state == LoadState::Visible).count();
        let note = if earlier > 0 { format!(", {earlier} of them by an earlier run") } else { String::new() };
        let word = if landed == 1 { "load" } else { "loads" };
        lines.push(format!("  sent        {} in {landed} {word}{note}", ByteCount(report.bytes_sent)));
    }
    for load in &report.loads {
        let state = match load.state {
            LoadState::InDoubt => "in doubt",
            LoadState::Disagreed => "loaded with other counts",
            LoadState::Prepared => "prepared and not committed; the next run ends it",
            LoadState::Sending => "not settled yet; the next run asks the server",
            LoadState::Visible | LoadState::Committed | LoadState::Aborted => continue,
        };
        lines.push(format!(
            "  {}  {state} ({}, {} lines {} to {})",
            load.label,
            counted(load.rows),
            load.input,
            load.from,
            load.to
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InputReport;

    fn report(state: JobState) -> Report {
        Report {
            job: "airports-1".into(),
            state,
            elapsed_seconds: 2.0,
            rows_read: 3376,
            rows_loaded: 3376,
            bytes_read: 210_365,
            inputs: vec![InputReport {
                path: "a.csv".into(),
                bytes: 210_365,
                rows: 3376,
                rejected: 0,
                relay: Relay::Checked,
            }],
            bottleneck: "none".into(),
            peak_memory_bytes: 1 << 20,
            ..Report::new("sandbox:demo/airports", "2026-11-21T08:15:00Z".into())
        }
    }

    #[test]
    fn a_finished_job_says_how_many_rows_went_where() {
        let text = text(&report(JobState::Finished), None);
        let first = "airports-1: 3,376 rows loaded into sandbox:demo/airports in 2.0 s (1,688 rows/s, 0.1 MB/s read)";
        assert!(text.starts_with(first), "{text}");
    }

    #[test]
    fn it_says_how_the_records_travelled_where_all_travelled_alike() {
        let mut of = report(JobState::Finished);
        for (relay, way) in [
            (Relay::None, "input\n"),
            (Relay::Checked, "input, values checked where they stand and sent on as they are\n"),
            (Relay::Unchecked, "input, sent on unchecked\n"),
        ] {
            of.inputs[0].relay = relay;
            assert!(text(&of, None).contains(way), "{}", text(&of, None));
        }
    }

    #[test]
    fn what_slowed_a_job_down_is_said_with_its_place() {
        let slow = |times| SlowReport { reason: "too many versions".into(), address: "be1:8040".into(), times };
        let text = text(&Report { parallel: 4, slowed: vec![slow(3), slow(1)], ..report(JobState::Finished) }, None);
        assert!(text.contains("\n  parallel    up to 4 loads at once\n"), "{text}");
        assert!(text.contains("\n  slowed      too many versions at be1:8040, 3 times\n"), "{text}");
        assert!(text.contains("at be1:8040, once\n"), "{text}");
    }

    #[test]
    fn a_run_that_read_nothing_says_no_more_than_that() {
        let failed = stillborn("sandbox:demo/airports", Code::InputMissing, "there is no file x".into(), None);
        assert_eq!(text(&failed, None), "failed; nothing was loaded into sandbox:demo/airports");
    }

    #[test]
    fn what_is_not_known_is_null_and_every_field_is_there() {
        let value = |report: &Report| serde_json::from_str::<Value>(&json(report)).unwrap();
        let stillborn = value(&stillborn("", Code::Usage, "no".into(), None));
        assert_eq!((&stillborn["job"], &stillborn["target"]), (&Value::Null, &Value::Null));
        for (field, _) in value(&report(JobState::Finished)).as_object().unwrap() {
            assert!(stillborn.get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn a_job_that_was_loaded_before_says_when_and_how_to_load_it_again() {
        let text = text(&report(JobState::AlreadyLoaded), Some("2026-11-21T08:15:00Z"));
        assert!(text.contains("already loaded on 2026-11-21T08:15:00Z: 3,376 rows"), "{text}");
        assert!(text.contains("--again"), "{text}");
    }
}

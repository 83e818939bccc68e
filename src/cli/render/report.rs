//! The report of a job, for people and for programs.

use super::grouped;
use crate::model::{ByteCount, JobState, LoadState, Report};

/// One JSON object on one line.
pub(in crate::cli) fn json(report: &Report) -> String {
    serde_json::to_string(report).expect("a report is plain values")
}

/// A few lines for people.
pub(in crate::cli) fn text(report: &Report, already: Option<&str>) -> String {
    if let Some(at) = already {
        return format!(
            "{}: already loaded on {at}: {} rows are in {}; --again loads them again",
            report.job,
            grouped(report.rows_loaded),
            report.target
        );
    }
    let mut lines = vec![headline(report), reading(report)];
    if report.rows_rejected > 0 {
        let folder = report.rejects.as_deref().unwrap_or("-");
        lines.push(format!("  rejected    {} rows, see {folder}", grouped(report.rows_rejected)));
    }
    if report.rows_unselected > 0 {
        lines.push(format!("  unselected  {} rows left out by --where", grouped(report.rows_unselected)));
    }
    lines.extend(loads(report));
    if report.state == JobState::Finished {
        lines.push(format!("  bottleneck  {}", report.bottleneck));
    }
    lines.push(format!("  peak memory {}", ByteCount(report.peak_memory_bytes)));
    lines.join("\n")
}

fn headline(report: &Report) -> String {
    let rows = grouped(report.rows_loaded);
    let (job, target, seconds) = (&report.job, &report.target, report.elapsed_seconds);
    match report.state {
        JobState::Finished => format!("{job}: {rows} rows loaded into {target} in {seconds:.1} s{}", rate(report)),
        JobState::DryRun => {
            let would = report.rows_read - report.rows_rejected;
            format!("{job}: dry run, nothing was sent: {} rows would be loaded into {target}", grouped(would))
        }
        JobState::AlreadyLoaded => format!("{job}: already loaded"),
        JobState::Rejected => format!("{job}: stopped at the reject limit; {rows} rows are loaded into {target}"),
        JobState::Failed => format!("{job}: failed; {rows} rows are loaded into {target}"),
        JobState::InDoubt => format!("{job}: in doubt; {rows} rows are known to be loaded into {target}"),
        JobState::Interrupted => format!("{job}: interrupted; {rows} rows are loaded into {target}"),
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
    format!("  read        {} rows, {} from {inputs} {word}", grouped(report.rows_read), ByteCount(report.bytes_read))
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
            LoadState::Sending => "not settled yet; the next run asks the server",
            LoadState::Visible | LoadState::Committed | LoadState::Aborted => continue,
        };
        lines.push(format!(
            "  {}  {state} ({} rows, {} lines {} to {})",
            load.label, load.rows, load.input, load.from, load.to
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
            target: "sandbox:demo/airports".into(),
            started_at: "2026-11-21T08:15:00Z".into(),
            elapsed_seconds: 2.0,
            rows_read: 3376,
            rows_loaded: 3376,
            rows_rejected: 0,
            rows_unselected: 0,
            bytes_read: 210_365,
            bytes_sent: 0,
            loads: Vec::new(),
            inputs: vec![InputReport { path: "a.csv".into(), bytes: 210_365, rows: 3376, rejected: 0 }],
            bottleneck: "none".into(),
            peak_memory_bytes: 1 << 20,
            rejects: None,
            error: None,
        }
    }

    #[test]
    fn a_finished_job_says_how_many_rows_went_where() {
        let text = text(&report(JobState::Finished), None);
        let first = "airports-1: 3,376 rows loaded into sandbox:demo/airports in 2.0 s (1,688 rows/s, 0.1 MB/s read)";
        assert!(text.starts_with(first), "{text}");
    }

    #[test]
    fn a_job_that_was_loaded_before_says_when_and_how_to_load_it_again() {
        let text = text(&report(JobState::AlreadyLoaded), Some("2026-11-21T08:15:00Z"));
        assert!(text.contains("already loaded on 2026-11-21T08:15:00Z: 3,376 rows"), "{text}");
        assert!(text.contains("--again"), "{text}");
    }
}

//! Where the time of a run went, for people.

use std::fmt::Write as _;

use crate::model::report::{PhaseReport, ProfileReport, StageReport};

/// A table of the parts, what the server says of itself, and what would help.
pub(in crate::cli) fn text(profile: &ProfileReport, bottleneck: &str, elapsed: f64) -> String {
    let mut out =
        format!("  {:<14}{:>7}{:>8}{:>10}{:>10}{:>12}", "stage", "threads", "busy", "starved", "blocked", "busy s");
    for stage in &profile.stages {
        let StageReport { stage, threads, busy_seconds, starved_seconds, blocked_seconds } = stage;
        #[expect(clippy::cast_precision_loss, reason = "a few threads")]
        let share = |seconds: &f64| seconds / (*threads).max(1) as f64 / elapsed.max(f64::EPSILON) * 100.0;
        let [busy, starved, blocked] = [busy_seconds, starved_seconds, blocked_seconds].map(share);
        let _ =
            write!(out, "\n  {stage:<14}{threads:>7}{busy:>6.0} %{starved:>8.0} %{blocked:>8.0} %{busy_seconds:>12.3}");
    }
    if !profile.server.is_empty() {
        let phases: Vec<String> = profile.server.iter().map(phase).collect();
        let _ = write!(out, "\n  server         {}", phases.join(", "));
    }
    let _ = write!(out, "\n  limit          {bottleneck}\n  would help     {}", profile.advice);
    out
}

/// `WriteDataTimeMs` as `WriteData 1.3 s`.
fn phase(report: &PhaseReport) -> String {
    let PhaseReport { phase, seconds } = report;
    format!("{} {seconds:.1} s", phase.trim_end_matches("TimeMs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_a_table_with_a_sentence_below() {
        let stage = |stage: &str, threads, busy_seconds, starved_seconds, blocked_seconds| StageReport {
            stage: stage.into(),
            threads,
            busy_seconds,
            starved_seconds,
            blocked_seconds,
        };
        let profile = ProfileReport {
            stages: vec![stage("reader", 1, 0.5, 0.25, 1.0), stage("workers", 2, 3.0, 1.0, 0.0)],
            server: vec![PhaseReport { phase: "WriteDataTimeMs".into(), seconds: 1.25 }],
            advice: "more backends".into(),
        };
        assert_eq!(
            text(&profile, "the target: it is slow", 2.0),
            "  \
  stage         threads    busy   starved   blocked      busy s
  reader              1    25 %      12 %      50 %       0.500
  workers             2    75 %      25 %       0 %       3.000
  server         WriteData 1.2 s
  limit          the target: it is slow
  would help     more backends"
        );
    }
}

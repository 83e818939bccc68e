//! Profiles: samples of what all threads do, with the feature `profiling`.
//!
//! `pprof` takes the samples by a signal and draws the picture. Its own protobuf wants a compiler of that at build time; what
//! [`wire`] writes is the same, in a page.

#[cfg(any(test, feature = "profiling"))]
mod wire;

#[cfg(feature = "profiling")]
pub(super) use sampling::cpu;

#[cfg(feature = "profiling")]
mod sampling {
    use std::time::Duration;

    use pprof::{ProfilerGuardBuilder, Report};

    use super::wire::{Call, Profile};
    use crate::daemon::api::profile::Form;

    /// The picture of a service that did nothing.
    const NOTHING: &str = r#"<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="400" height="40"><text x="10" y="25">no thread was at work</text></svg>
"#;

    /// Takes samples for some time.
    pub(in crate::daemon) async fn cpu(time: Duration, frequency: usize, form: Form) -> Result<Vec<u8>, String> {
        // On a thread that may wait; a guard belongs to the one that made it.
        let work = move || -> Result<Vec<u8>, pprof::Error> {
            let frequency = i32::try_from(frequency).unwrap_or(i32::MAX);
            // Unwinding through these can meet a lock that the interrupted thread holds.
            let builder = ProfilerGuardBuilder::default().frequency(frequency);
            let guard = builder.blocklist(&["libc", "libgcc", "pthread", "vdso"]).build()?;
            std::thread::sleep(time);
            let report = guard.report().build()?;
            drop(guard);
            written(&report, frequency, form)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn written(report: &Report, frequency: i32, form: Form) -> Result<Vec<u8>, pprof::Error> {
        match form {
            Form::Text => {
                let samples: isize = report.data.values().sum();
                let seconds = report.timing.duration.as_secs_f64();
                Ok(format!("{samples} samples in {seconds:.1} s, {frequency} a second\n{report:?}").into_bytes())
            }
            // The one who draws takes no picture of nothing.
            Form::Flamegraph if report.data.is_empty() => Ok(NOTHING.into()),
            Form::Flamegraph => {
                let mut picture = Vec::new();
                report.flamegraph(&mut picture)?;
                Ok(picture)
            }
            Form::Proto => {
                let mut profile = Profile::new(1_000_000_000 / u64::try_from(frequency).unwrap_or(1).max(1));
                for (frames, count) in &report.data {
                    let mut calls: Vec<Call> = frames
                        .frames
                        .iter()
                        .flatten()
                        .map(|symbol| Call {
                            function: symbol.name(),
                            file: symbol.filename().into_owned(),
                            line: u64::from(symbol.lineno()),
                        })
                        .collect();
                    if calls.is_empty() {
                        // The stack could not be walked; the time was spent all the same.
                        calls.push(Call { function: "unknown".to_owned(), file: String::new(), line: 0 });
                    }
                    profile.add(&calls, u64::try_from(*count).unwrap_or_default());
                }
                Ok(profile.bytes(report.timing.duration))
            }
        }
    }
}

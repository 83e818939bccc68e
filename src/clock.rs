//! [`Clock`]: the time and the passing of it, as a value that tests can turn by hand.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time and waits.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> SystemTime;

    /// A clock that never goes back.
    fn instant(&self) -> Instant;

    /// Waits.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clocks")]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock for tests: whoever sleeps on it turns it, and waits for nothing.
#[cfg(any(test, feature = "test-support"))]
#[derive(Clone, Debug)]
pub struct HandClock {
    start: Instant,
    passed: std::sync::Arc<std::sync::Mutex<Duration>>,
}

#[cfg(any(test, feature = "test-support"))]
impl HandClock {
    /// How far it was turned.
    ///
    /// # Panics
    /// When a test panicked while turning it.
    #[must_use]
    pub fn passed(&self) -> Duration {
        *self.passed.lock().expect("nobody panics while holding the time")
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Default for HandClock {
    fn default() -> Self {
        Self { start: SystemClock.instant(), passed: std::sync::Arc::default() }
    }
}

#[cfg(any(test, feature = "test-support"))]
impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.passed()
    }

    fn instant(&self) -> Instant {
        self.start + self.passed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        *self.passed.lock().expect("nobody panics while holding the time") += duration;
        // Others get their turn, as they would in a real wait.
        Box::pin(tokio::task::yield_now())
    }
}

/// Shows a time as RFC 3339 in UTC, to the second: `2026-11-21T08:15:00Z`.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date that lies this many days after 1970-01-01, found by counting eras of 400 years from 0000-03-01.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_EPOCH: u64 = 719_468;
    const ERA_DAYS: u64 = 146_097;
    let shifted = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (shifted / ERA_DAYS, shifted % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_248_900, "2026-11-21T08:15:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}

//! [`Pace`]: bytes and requests per second, where the user limits them.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Bytes are counted in units of this size: the limiter's numbers are 32 bits wide, and a finer grain buys nothing.
const UNIT_BYTES: u64 = 1024;

/// Makes senders wait so that a rate is kept; without limits it never waits.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    bytes: Option<Arc<DefaultDirectRateLimiter>>,
    requests: Option<Arc<DefaultDirectRateLimiter>>,
}

impl Pace {
    /// A pace of this many bytes and requests per second; none is no limit.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>, requests_per_second: Option<u32>) -> Self {
        let units = bytes_per_second.map(|bytes| (bytes / UNIT_BYTES).clamp(1, u64::from(u32::MAX)));
        let units = units.and_then(|units| u32::try_from(units).ok());
        // A burst of one keeps requests evenly apart.
        let one = NonZeroU32::MIN;
        Self {
            bytes: units.and_then(NonZeroU32::new).map(|rate| limiter(Quota::per_second(rate))),
            requests: requests_per_second
                .and_then(NonZeroU32::new)
                .map(|rate| limiter(Quota::per_second(rate).allow_burst(one))),
        }
    }

    /// Waits until one more request may start.
    pub async fn request(&self) {
        if let Some(limiter) = &self.requests {
            limiter.until_ready().await;
        }
    }

    /// Waits until `bytes` more may be sent.
    pub async fn send(&self, bytes: u64) {
        let Some(limiter) = &self.bytes else { return };
        for _ in 0..bytes.div_ceil(UNIT_BYTES) {
            limiter.until_ready().await;
        }
    }
}

fn limiter(quota: Quota) -> Arc<DefaultDirectRateLimiter> {
    Arc::new(RateLimiter::direct(quota))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_limits_nothing_waits() {
        let pace = Pace::new(None, None);
        pace.request().await;
        pace.send(u64::MAX).await;
    }

    #[tokio::test]
    async fn bytes_over_the_rate_take_their_time() {
        let pace = Pace::new(Some(100 * UNIT_BYTES), None);
        pace.send(100 * UNIT_BYTES).await;
        let limiter = pace.bytes.as_ref().unwrap();
        assert!(limiter.check().is_err(), "a whole second's bytes are used up");
    }
}

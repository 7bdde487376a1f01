//! Times of many requests.

use std::time::Duration;

/// Collected times.
#[derive(Default)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0
            .push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Time in milliseconds that `share` of the requests did not exceed. Sort first.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = (last as f64 * share).round() as usize;
        self.0
            .get(index)
            .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_times() {
        let mut times = Times::default();
        for milliseconds in (1..=101).rev() {
            times.add(Duration::from_millis(milliseconds));
        }
        times.sort();
        assert_eq!(times.percentile_ms(0.5), 51.0);
        assert_eq!(times.percentile_ms(0.99), 100.0);
        assert_eq!(times.percentile_ms(1.0), 101.0);
    }
}

use std::{fmt, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A moment in UTC, in microseconds since the Unix epoch; within the years 1 to 9999, which is what
/// RFC 3339 and protobuf can say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    const FIRST: i64 = -62_135_596_800_000_000;
    const LAST: i64 = 253_402_300_799_999_999;

    /// From microseconds since the epoch, saturating.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::FIRST {
            Self(Self::FIRST)
        } else if micros > Self::LAST {
            Self(Self::LAST)
        } else {
            Self(micros)
        }
    }

    /// From whole seconds since the epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Nanoseconds within the second.
    pub const fn subsec_nanos(self) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "below 1e9")]
        let nanos = (self.0.rem_euclid(1_000_000) * 1_000) as i32;
        nanos
    }

    /// Later by `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(by)))
    }

    /// Earlier by `by`, saturating.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros(by)))
    }

    /// RFC 3339 with nine fraction digits, as events carry it.
    #[must_use]
    pub fn to_rfc3339_nanos(self) -> String {
        let text = self.to_string();
        let Some(whole) = text.strip_suffix('Z') else {
            return text;
        };
        let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
        format!("{seconds}.{fraction:0<9}Z")
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 with as many fraction digits as needed.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;
    use std::time::Duration;

    #[test]
    fn shows_rfc_3339() {
        let moment = Timestamp::from_micros(1_700_000_000_250_000);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.25Z");
        assert_eq!(moment.to_rfc3339_nanos(), "2023-11-14T22:13:20.250000000Z");
        let whole = Timestamp::from_secs(1_700_000_000);
        assert_eq!(whole.to_rfc3339_nanos(), "2023-11-14T22:13:20.000000000Z");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            Timestamp::from_secs(5)
                .minus(Duration::from_secs(2))
                .as_secs(),
            3
        );
        assert_eq!(
            Timestamp::from_secs(2).since(Timestamp::from_secs(5)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_micros(i64::MAX)
                .plus(Duration::MAX)
                .to_string(),
            "9999-12-31T23:59:59.999999Z"
        );
        assert_eq!(
            Timestamp::EPOCH.minus(Duration::MAX).to_string(),
            "0001-01-01T00:00:00Z"
        );
    }
}

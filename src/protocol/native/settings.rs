//! What an end tells the other about itself (NATIVE section 1).

use core::num::NonZeroU32;
use core::time::Duration;

/// Length on the wire, in bytes.
pub(super) const SETTINGS_LEN: usize = 20;

/// What an end takes, and how long it waits. Each end tells the other its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    record_limit: u32,
    message_limit: u64,
    idle_ms: u32,
    /// Nothing is defined in this version; kept as it came, because it is signed.
    features: u32,
}

/// The settings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The limit for records is out of range.
    #[error(
        "record limit of {limit} bytes is not in {}..={}; choose one that is",
        Settings::MIN_RECORD_LIMIT,
        Settings::MAX_RECORD_LIMIT
    )]
    RecordLimit {
        /// The limit in bytes.
        limit: u32,
    },
}

impl Settings {
    /// The smallest limit for a record's body, in bytes.
    pub const MIN_RECORD_LIMIT: u32 = 16_384;
    /// The largest limit for a record's body, in bytes: what a header can announce.
    pub const MAX_RECORD_LIMIT: u32 = 16_777_199;
    /// Stands for no limit to messages, for an end that reads them in parts.
    pub const UNLIMITED: u64 = u64::MAX;

    /// Settings of an end that takes record bodies of `record_limit` bytes and messages of
    /// `message_limit` bytes, and waits without limit.
    ///
    /// # Errors
    ///
    /// [`SettingsError::RecordLimit`].
    pub const fn new(record_limit: u32, message_limit: u64) -> Result<Self, SettingsError> {
        let settings = Self {
            record_limit,
            message_limit,
            idle_ms: 0,
            features: 0,
        };
        settings.check()
    }

    /// Announces that this end gives a connection up after `idle` without a byte from the peer.
    /// Counted in whole milliseconds, at least one and at most `u32::MAX`.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle_ms = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX).max(1);
        self
    }

    /// Returns the longest record body that this end takes, in bytes before sealing.
    #[must_use]
    pub const fn record_limit(&self) -> u32 {
        self.record_limit
    }

    /// Returns the longest message that this end takes, in bytes.
    #[must_use]
    pub const fn message_limit(&self) -> u64 {
        self.message_limit
    }

    /// Returns after how long without a byte this end gives a connection up; `None` for never.
    #[must_use]
    pub fn idle_time(&self) -> Option<Duration> {
        NonZeroU32::new(self.idle_ms).map(|ms| Duration::from_millis(ms.get().into()))
    }

    pub(super) fn to_bytes(self) -> [u8; SETTINGS_LEN] {
        let mut bytes = [0; SETTINGS_LEN];
        let fields = [
            &self.record_limit.to_be_bytes()[..],
            &self.message_limit.to_be_bytes(),
            &self.idle_ms.to_be_bytes(),
            &self.features.to_be_bytes(),
        ];
        for (target, source) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *target = *source;
        }
        bytes
    }

    /// Takes what a peer sent.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(super) fn from_bytes(bytes: [u8; SETTINGS_LEN]) -> Result<Self, SettingsError> {
        let [
            a,
            b,
            c,
            d, //
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l, //
            m,
            n,
            o,
            p, //
            q,
            r,
            s,
            t,
        ] = bytes;
        let settings = Self {
            record_limit: u32::from_be_bytes([a, b, c, d]),
            message_limit: u64::from_be_bytes([e, f, g, h, i, j, k, l]),
            idle_ms: u32::from_be_bytes([m, n, o, p]),
            features: u32::from_be_bytes([q, r, s, t]),
        };
        settings.check()
    }

    const fn check(self) -> Result<Self, SettingsError> {
        let limit = self.record_limit;
        if limit < Self::MIN_RECORD_LIMIT || limit > Self::MAX_RECORD_LIMIT {
            return Err(SettingsError::RecordLimit { limit });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_records_are_checked_whoever_sets_them() {
        for (limit, good) in [
            (0, false),
            (16_383, false),
            (16_384, true),
            (16_777_199, true),
            (16_777_200, false),
            (u32::MAX, false),
        ] {
            let error = Err(SettingsError::RecordLimit { limit });
            let ours = Settings::new(limit, 0);
            assert_eq!(ours.is_ok(), good, "{limit}");
            let mut bytes = [0; SETTINGS_LEN];
            bytes[..4].copy_from_slice(&limit.to_be_bytes());
            assert_eq!(Settings::from_bytes(bytes), ours);
            assert!(good || ours == error);
        }
    }

    #[test]
    fn bytes_come_back_with_features_that_nobody_knows() {
        let bytes = core::array::from_fn(|index| match index {
            0 => 0,
            _ => 0xc0 + u8::try_from(index).unwrap(),
        });
        let settings = Settings::from_bytes(bytes).unwrap();
        assert_eq!(settings.to_bytes(), bytes);
        assert_eq!(settings.record_limit(), 0x00c1_c2c3);
        assert_eq!(settings.message_limit(), 0xc4c5_c6c7_c8c9_cacb);
    }

    #[test]
    fn idle_time_is_never_rounded_to_none() {
        let settings = Settings::new(20_000, 0).unwrap();
        assert_eq!(settings.idle_time(), None);
        for (time, told) in [
            (Duration::from_nanos(1), Duration::from_millis(1)),
            (Duration::from_secs(30), Duration::from_secs(30)),
            (Duration::MAX, Duration::from_millis(u32::MAX.into())),
        ] {
            assert_eq!(settings.idle(time).idle_time(), Some(told));
        }
    }
}

//! The settings of a node that have an effect here, by StarRocks' names.
//!
//! A server has some thousand settings; what a setting would change must exist for it to be one here, and every other name
//! is refused in the words for a setting that there is not. Changes are not kept over a restart, as on a server.
//!
//! Who obeys a setting asks for it each time, through its getter: a change is for what begins after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MEGABYTE: u64 = 1024 * 1024;

/// One setting.
#[derive(Debug)]
pub(in crate::sandbox) struct Setting {
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) kind: Kind,
    pub(in crate::sandbox) mutable: bool,
    pub(in crate::sandbox) comment: &'static str,
    value: AtomicU64,
}

/// What the value of a setting looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    Boolean,
    Int,
    Long,
}

/// Why a setting stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Refusal {
    Unknown,
    Immutable,
    Malformed(Kind),
}

impl Kind {
    /// The name of the type as `SHOW FRONTEND CONFIG` writes it.
    pub(in crate::sandbox) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
        }
    }

    /// Reads a value. Those that are less than nothing mean nothing to any setting here.
    fn parse(self, text: &str) -> Option<u64> {
        let text = text.trim();
        match self {
            Self::Boolean if text.eq_ignore_ascii_case("true") => Some(1),
            Self::Boolean if text.eq_ignore_ascii_case("false") => Some(0),
            Self::Boolean => None,
            Self::Int => text.parse::<i32>().ok().and_then(|value| value.try_into().ok()),
            Self::Long => text.parse::<i64>().ok().and_then(|value| value.try_into().ok()),
        }
    }
}

impl Setting {
    fn new(name: &'static str, kind: Kind, value: u64, comment: &'static str) -> Self {
        Self { name, kind, mutable: true, comment, value: AtomicU64::new(value) }
    }

    fn fixed(mut self) -> Self {
        self.mutable = false;
        self
    }

    /// The value as text.
    pub(in crate::sandbox) fn text(&self) -> String {
        match self.kind {
            Kind::Boolean => (self.number() != 0).to_string(),
            Kind::Int | Kind::Long => self.number().to_string(),
        }
    }

    fn number(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(self.number())
    }

    fn count(&self) -> usize {
        usize::try_from(self.number()).unwrap_or(usize::MAX)
    }
}

/// The settings of a node.
pub(in crate::sandbox) trait Settings {
    /// All of them, sorted by name.
    fn all(&self) -> Vec<&Setting>;

    /// Changes one.
    fn set(&self, name: &str, text: &str) -> Result<(), Refusal> {
        let all = self.all();
        let setting = all.iter().find(|setting| setting.name == name).ok_or(Refusal::Unknown)?;
        if !setting.mutable {
            return Err(Refusal::Immutable);
        }
        let value = setting.kind.parse(text).ok_or(Refusal::Malformed(setting.kind))?;
        setting.value.store(value, Ordering::Relaxed);
        Ok(())
    }
}

/// The settings of a frontend.
#[derive(Debug)]
pub(in crate::sandbox) struct FrontendSettings {
    empty_load_as_error: Setting,
    http_max_header_size: Setting,
    http_max_initial_line_length: Setting,
    label_keep_max_num: Setting,
    label_keep_max_second: Setting,
    max_running_txn_num_per_db: Setting,
    prepared_transaction_default_timeout_second: Setting,
    stream_load_default_timeout_second: Setting,
}

impl Default for FrontendSettings {
    fn default() -> Self {
        let (boolean, int) = (Kind::Boolean, Kind::Int);
        Self {
            empty_load_as_error: Setting::new("empty_load_as_error", boolean, 1, "whether a load of no rows fails"),
            http_max_header_size: Setting::new("http_max_header_size", int, 32_768, "bytes of all headers").fixed(),
            http_max_initial_line_length: Setting::new(
                "http_max_initial_line_length",
                int,
                4096,
                "bytes of the request line",
            )
            .fixed(),
            label_keep_max_num: Setting::new(
                "label_keep_max_num",
                int,
                1000,
                "finished loads that a database remembers",
            ),
            label_keep_max_second: Setting::new(
                "label_keep_max_second",
                int,
                259_200,
                "how long finished loads are remembered",
            ),
            max_running_txn_num_per_db: Setting::new(
                "max_running_txn_num_per_db",
                int,
                1000,
                "transactions that a database has under way",
            ),
            prepared_transaction_default_timeout_second: Setting::new(
                "prepared_transaction_default_timeout_second",
                int,
                86_400,
                "how long a prepared transaction waits for its end",
            ),
            stream_load_default_timeout_second: Setting::new(
                "stream_load_default_timeout_second",
                int,
                600,
                "how long a load may take that does not say",
            ),
        }
    }
}

impl Settings for FrontendSettings {
    fn all(&self) -> Vec<&Setting> {
        vec![
            &self.empty_load_as_error,
            &self.http_max_header_size,
            &self.http_max_initial_line_length,
            &self.label_keep_max_num,
            &self.label_keep_max_second,
            &self.max_running_txn_num_per_db,
            &self.prepared_transaction_default_timeout_second,
            &self.stream_load_default_timeout_second,
        ]
    }
}

impl FrontendSettings {
    /// The same, with other limits to what is remembered of loads.
    #[must_use]
    pub(in crate::sandbox) fn with_labels_kept(self, count: usize, age: Duration) -> Self {
        self.label_keep_max_num.value.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.label_keep_max_second.value.store(age.as_secs(), Ordering::Relaxed);
        self
    }

    /// Whether a load of no rows fails.
    pub(in crate::sandbox) fn empty_load_as_error(&self) -> bool {
        self.empty_load_as_error.number() != 0
    }

    /// The bytes of all headers of a request.
    pub(in crate::sandbox) fn header_bytes_max(&self) -> usize {
        self.http_max_header_size.count()
    }

    /// The bytes of a request line.
    pub(in crate::sandbox) fn line_bytes_max(&self) -> usize {
        self.http_max_initial_line_length.count()
    }

    /// How many finished loads a database remembers.
    pub(in crate::sandbox) fn labels_kept(&self) -> usize {
        self.label_keep_max_num.count()
    }

    /// How long a finished load is remembered.
    pub(in crate::sandbox) fn labels_kept_for(&self) -> Duration {
        self.label_keep_max_second.seconds()
    }

    /// How many transactions a database may have under way.
    pub(in crate::sandbox) fn running_max(&self) -> usize {
        self.max_running_txn_num_per_db.count()
    }

    /// How long a prepared transaction waits for its end.
    pub(in crate::sandbox) fn prepared_timeout(&self) -> Duration {
        self.prepared_transaction_default_timeout_second.seconds()
    }

    /// How long a load may take that does not say.
    pub(in crate::sandbox) fn load_timeout(&self) -> Duration {
        self.stream_load_default_timeout_second.seconds()
    }
}

/// The settings of a backend.
#[derive(Debug)]
pub(in crate::sandbox) struct BackendSettings {
    load_error_log_reserve_hours: Setting,
    streaming_load_max_batch_size_mb: Setting,
    streaming_load_max_mb: Setting,
}

impl Default for BackendSettings {
    fn default() -> Self {
        let long = Kind::Long;
        Self {
            load_error_log_reserve_hours: Setting::new(
                "load_error_log_reserve_hours",
                long,
                48,
                "how long filtered rows can be fetched",
            ),
            streaming_load_max_batch_size_mb: Setting::new(
                "streaming_load_max_batch_size_mb",
                long,
                100,
                "the longest JSON body",
            ),
            streaming_load_max_mb: Setting::new("streaming_load_max_mb", long, 102_400, "the longest body"),
        }
    }
}

impl Settings for BackendSettings {
    fn all(&self) -> Vec<&Setting> {
        vec![&self.load_error_log_reserve_hours, &self.streaming_load_max_batch_size_mb, &self.streaming_load_max_mb]
    }
}

impl BackendSettings {
    /// How long filtered rows can be fetched.
    pub(in crate::sandbox) fn error_logs_kept_for(&self) -> Duration {
        Duration::from_secs(self.load_error_log_reserve_hours.number().saturating_mul(3600))
    }

    /// The bytes of the longest JSON body.
    pub(in crate::sandbox) fn json_bytes_max(&self) -> u64 {
        self.streaming_load_max_batch_size_mb.number().saturating_mul(MEGABYTE)
    }

    /// The bytes of the longest body.
    pub(in crate::sandbox) fn body_bytes_max(&self) -> u64 {
        self.streaming_load_max_mb.number().saturating_mul(MEGABYTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_changed_by_its_name_and_others_are_refused() {
        let settings = FrontendSettings::default();
        assert_eq!(settings.set("label_keep_max_num", " 3 "), Ok(()));
        assert_eq!(settings.labels_kept(), 3);
        assert_eq!(settings.set("empty_load_as_error", "False"), Ok(()));
        assert!(!settings.empty_load_as_error());
        for (name, value, refusal) in [
            ("label_keep_max", "3", Refusal::Unknown),
            ("http_max_header_size", "1", Refusal::Immutable),
            ("label_keep_max_num", "many", Refusal::Malformed(Kind::Int)),
            ("label_keep_max_num", "-1", Refusal::Malformed(Kind::Int)),
            ("label_keep_max_num", "2147483648", Refusal::Malformed(Kind::Int)),
            ("empty_load_as_error", "1", Refusal::Malformed(Kind::Boolean)),
        ] {
            assert_eq!(settings.set(name, value), Err(refusal), "{name}={value}");
        }
        assert_eq!(settings.labels_kept(), 3);
    }

    #[test]
    fn sizes_do_not_overflow() {
        let settings = BackendSettings::default();
        assert_eq!((settings.body_bytes_max(), settings.json_bytes_max()), (100 << 30, 100 << 20));
        for name in ["streaming_load_max_mb", "load_error_log_reserve_hours"] {
            assert_eq!(settings.set(name, &i64::MAX.to_string()), Ok(()));
        }
        assert_eq!(settings.body_bytes_max(), u64::MAX);
        assert!(settings.error_logs_kept_for() > Duration::from_hours(48));
    }

    #[test]
    fn settings_are_listed_by_name() {
        for names in [FrontendSettings::default().all(), BackendSettings::default().all()]
            .map(|all| all.iter().map(|setting| setting.name).collect::<Vec<_>>())
        {
            assert!(names.is_sorted(), "{names:?}");
        }
    }
}

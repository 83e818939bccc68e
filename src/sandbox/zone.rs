//! [`Zone`]: the time zones that a session or a load may name.
//!
//! StarRocks knows the zones of the IANA database. Here are offsets, and by name the zones whose clocks have not been moved
//! for decades; for them today's offset holds at all times. Those with summer time are refused: half a year wrong would be
//! worse than not at all.

/// How far a clock on the wall is ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    offset_seconds: i64,
}

/// Names, and the minutes that their clocks are ahead.
const NAMED: [(&str, i64); 22] = [
    ("Asia/Bangkok", 7 * 60),
    ("Asia/Chongqing", 8 * 60),
    ("Asia/Dubai", 4 * 60),
    ("Asia/Ho_Chi_Minh", 7 * 60),
    ("Asia/Hong_Kong", 8 * 60),
    ("Asia/Jakarta", 7 * 60),
    ("Asia/Kolkata", 5 * 60 + 30),
    ("Asia/Manila", 8 * 60),
    ("Asia/Seoul", 9 * 60),
    ("Asia/Shanghai", 8 * 60),
    ("Asia/Singapore", 8 * 60),
    ("Asia/Taipei", 8 * 60),
    ("Asia/Tokyo", 9 * 60),
    // To StarRocks that is China's time.
    ("CST", 8 * 60),
    ("Etc/GMT", 0),
    ("Etc/UTC", 0),
    ("GMT", 0),
    ("PRC", 8 * 60),
    ("SYSTEM", 0),
    ("UCT", 0),
    ("UTC", 0),
    ("Z", 0),
];

impl Zone {
    pub(super) const UTC: Self = Self { offset_seconds: 0 };
    pub(super) const SHANGHAI: Self = Self { offset_seconds: 8 * 3600 };

    /// The zone of this name, or at this offset (`+08:00`, `-5:30`), which goes from -12:00 to +14:00.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let named = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, minutes)| *minutes);
        let minutes = named.or_else(|| offset_minutes(text))?;
        Some(Self { offset_seconds: minutes * 60 })
    }

    /// The seconds that its clocks are ahead of UTC.
    pub(super) fn offset_seconds(self) -> i64 {
        self.offset_seconds
    }
}

fn offset_minutes(text: &str) -> Option<i64> {
    let (ahead, clock) =
        text.strip_prefix('+').map(|clock| (true, clock)).or(text.strip_prefix('-').map(|c| (false, c)))?;
    let (hours, minutes) = clock.split_once(':')?;
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let plain = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    let total = hours * 60 + minutes;
    let longest = if ahead { 14 * 60 } else { 12 * 60 };
    (minutes < 60 && total <= longest).then_some(if ahead { total } else { -total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets_and_a_few_names() {
        for (text, seconds) in [
            ("UTC", 0),
            ("asia/shanghai", 28_800),
            ("Asia/Kolkata", 19_800),
            ("+08:00", 28_800),
            ("+8:00", 28_800),
            ("-05:30", -19_800),
            ("+14:00", 50_400),
            ("-12:00", -43_200),
        ] {
            assert_eq!(Zone::parse(text).map(Zone::offset_seconds), Some(seconds), "{text}");
        }
        let refused =
            ["", "+", "8", "+8", "08:00", "+14:01", "-12:01", "++8:00", "+8:0", "+08:60", "+ 8:00", "é", "Mars"];
        for text in refused.into_iter().chain(["Europe/Berlin", "America/New_York"]) {
            assert_eq!(Zone::parse(text), None, "{text}");
        }
        assert_eq!(Zone::parse("Asia/Shanghai"), Some(Zone::SHANGHAI));
        assert_eq!(Zone::parse("UTC"), Some(Zone::UTC));
    }
}

//! RFC 3339 timestamps in UTC with milliseconds, with the second cached.
//!
//! At 100 000 records per second all but one in 100 000 share the second of the record before, so only three digits are
//! written per record. Leap seconds do not exist in Unix time and are not invented here.

const NS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Formats instants, remembering the last second.
#[derive(Debug)]
pub(crate) struct Timestamp {
    second: u64,
    text: [u8; 24],
}

impl Default for Timestamp {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00.000Z" }
    }
}

impl Timestamp {
    /// `2026-11-24T00:26:08.123Z` for nanoseconds since 1970-01-01 UTC; the range of u64 ends in the year 2554.
    pub(crate) fn format(&mut self, unix_ns: u64) -> &[u8; 24] {
        let second = unix_ns / NS_PER_SECOND;
        if second != self.second {
            self.second = second;
            self.set_second();
        }
        self.digits(20, 3, unix_ns % NS_PER_SECOND / 1_000_000);
        &self.text
    }

    #[cold]
    fn set_second(&mut self) {
        let (year, month, day) = civil(self.second / SECONDS_PER_DAY);
        let time = self.second % SECONDS_PER_DAY;
        self.digits(0, 4, year);
        self.digits(5, 2, month);
        self.digits(8, 2, day);
        self.digits(11, 2, time / 3600);
        self.digits(14, 2, time / 60 % 60);
        self.digits(17, 2, time % 60);
    }

    fn digits(&mut self, at: usize, width: usize, mut value: u64) {
        for position in (at..at + width).rev() {
            self.text[position] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
}

/// Year, month and day of a day number since 1970-01-01 in the Gregorian calendar: Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>), for days after 1970 only. Years begin in March there, so that the
/// leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{NS_PER_SECOND, Timestamp};

    /// From `date -u -d @SECONDS +%FT%TZ`.
    const KNOWN: [(u64, &str); 7] = [
        (0, "1970-01-01T00:00:00"),
        (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"),
        (1_709_251_199, "2024-02-29T23:59:59"),
        (1_795_479_968, "2026-11-24T00:26:08"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (18_446_744_073, "2554-07-21T23:34:33"),
    ];

    #[test]
    fn known_seconds() {
        let mut stamp = Timestamp::default();
        for (second, text) in KNOWN {
            let formatted = String::from_utf8_lossy(stamp.format(second * NS_PER_SECOND)).into_owned();
            assert_eq!(formatted, format!("{text}.000Z"));
        }
    }

    #[test]
    fn milliseconds_are_cut_not_rounded_and_the_cached_second_is_kept() {
        let mut stamp = Timestamp::default();
        for (ns, millis) in [(999_999_999, "999"), (1_000_000, "001"), (999_999, "000")] {
            let text = stamp.format(1_795_479_968 * NS_PER_SECOND + ns);
            assert_eq!(text[..20], *b"2026-11-24T00:26:08.");
            assert_eq!(&text[20..23], millis.as_bytes());
        }
    }
}

//! `grpc-timeout`, the time a client gives a call: 1 to 8 digits and a unit (`PROTOCOL-HTTP2.md`, "Timeout").

/// Units in nanoseconds, the smallest first.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];
const MAX_DIGITS: usize = 8;
/// One more than 8 digits can say.
const TOO_MANY: u64 = 100_000_000;

/// Nanoseconds; at most `u64::MAX`, which is 585 years. `None` = malformed, which is no time limit.
pub fn parse(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let &(_, unit_ns) = UNITS.iter().find(|(name, _)| name == unit)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let count = digits
        .iter()
        .try_fold(0u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))?;
    Some(count.saturating_mul(unit_ns))
}

/// Appends a value in the finest unit that it fits, rounded up: who waits for the answer gives up first.
pub fn write(out: &mut Vec<u8>, timeout_ns: u64) {
    for (unit, unit_ns) in UNITS {
        let count = timeout_ns.div_ceil(unit_ns);
        if count < TOO_MANY {
            out.extend_from_slice(count.to_string().as_bytes());
            out.push(unit);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values() {
        for (value, timeout_ns) in [
            ("1n", Some(1)),
            ("20u", Some(20_000)),
            ("300m", Some(300_000_000)),
            ("5S", Some(5_000_000_000)),
            ("2M", Some(120_000_000_000)),
            ("1H", Some(3_600_000_000_000)),
            ("00000001S", Some(1_000_000_000)),
            ("0m", Some(0)),
            ("99999999H", Some(u64::MAX)),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("1h", None),
            ("123456789n", None),
            ("-1S", None),
            ("1.5S", None),
            ("1 S", None),
            (" 1S", None),
            ("1S ", None),
        ] {
            assert_eq!(parse(value.as_bytes()), timeout_ns, "{value}");
        }
    }

    #[test]
    fn written_finely_and_never_short() {
        for (timeout_ns, value) in [
            (0, "0n"),
            (99_999_999, "99999999n"),
            (100_000_000, "100000u"),
            (100_000_001, "100001u"),
            (30_000_000_000, "30000000u"),
            (100_000_000_000, "100000m"),
            (u64::MAX, "5124096H"),
        ] {
            let mut out = Vec::new();
            write(&mut out, timeout_ns);
            assert_eq!(std::str::from_utf8(&out).unwrap(), value);
            assert!(parse(&out).unwrap() >= timeout_ns);
        }
    }
}

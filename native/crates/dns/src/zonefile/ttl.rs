//! Times: seconds, or numbers with units (`1h30m`, `2w`).

/// In seconds.
pub(super) fn parse(text: &str) -> Result<u32, String> {
    let refuse = || format!("\"{text}\" is no time: a number of seconds, or numbers with w, d, h, m, s");
    let (mut total, mut number) = (0u64, None::<u64>);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let digit = u64::from(byte - b'0');
            number = Some(number.unwrap_or(0) * 10 + digit).filter(|&number| u32::try_from(number).is_ok());
            number.ok_or_else(refuse)?;
        } else {
            let unit = unit(byte).ok_or_else(refuse)?;
            total += number.take().ok_or_else(refuse)? * unit;
        }
    }
    if text.is_empty() || !text.as_bytes()[0].is_ascii_digit() {
        return Err(refuse());
    }
    u32::try_from(total + number.unwrap_or(0)).map_err(|_| refuse())
}

fn unit(byte: u8) -> Option<u64> {
    Some(match byte.to_ascii_lowercase() {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        b'w' => 604_800,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units() {
        for (text, seconds) in
            [("0", 0), ("3600", 3_600), ("1h30m", 5_400), ("2W", 1_209_600), ("4294967295", u32::MAX)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for text in ["", "h", "1x", "-1", "4294967296", "99999999999999999999", "IN"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

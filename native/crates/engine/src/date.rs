//! `Date` (RFC 9110 §6.6.1), made once per second and worker.

use std::cell::RefCell;
use std::time::SystemTime;

use trunkline_http::encode;

thread_local! {
    /// The text, and the second of the monotonic clock that it was made in.
    static TEXT: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

pub(crate) fn is_date(name: &str) -> bool {
    name.len() == "date".len() && name.eq_ignore_ascii_case("date")
}

/// Appends the line. `now_ns` is monotonic and says when a new text is due; the old one is at most a second late.
pub(crate) fn write(out: &mut Vec<u8>, now_ns: u64) {
    TEXT.with_borrow_mut(|(made, text)| {
        let second = now_ns / 1_000_000_000;
        if *made != second {
            (*made, *text) = (second, httpdate::fmt_http_date(SystemTime::now()));
        }
        encode::header(out, "Date", text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(now_ns: u64) -> String {
        let mut out = Vec::new();
        write(&mut out, now_ns);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_is_as_old_as_its_second() {
        let first = line(5_000_000_000);
        let stamp = first.strip_prefix("Date: ").unwrap().strip_suffix("\r\n").unwrap();
        let age = SystemTime::now().duration_since(httpdate::parse_http_date(stamp).unwrap()).unwrap();
        assert!(age.as_secs() < 60, "{first}");
        TEXT.with_borrow_mut(|(_, text)| *text = "kept".to_owned());
        assert_eq!(line(5_999_999_999), "Date: kept\r\n");
        assert!(line(6_000_000_000).ends_with(" GMT\r\n"));
    }

    #[test]
    fn names() {
        assert!(is_date("Date") && is_date("DATE"));
        assert!(!is_date("Dat") && !is_date("Host"));
    }
}

//! The checks that httparse leaves open: it accepts a bare LF as line end and skips bare LFs before a head. RFC 9112 §2.2 lets a
//! recipient do so; a proxy must not, because the next hop may read the same bytes differently.

use crate::error::Reason;

/// Where the head's first line starts: one empty line before a request is ignored (RFC 9112 §2.2).
/// `None` = more bytes are needed to tell.
pub(crate) fn skip_empty_line(buffer: &[u8]) -> Option<usize> {
    match buffer {
        [] | [b'\r'] => None,
        [b'\r', b'\n', ..] => Some(2),
        _ => Some(0),
    }
}

/// True if the line whose content ends at `end` (trailing white space aside) ends in CRLF.
pub(crate) fn ends_in_crlf(buffer: &[u8], end: usize) -> bool {
    let mut rest = buffer.get(end..).unwrap_or_default();
    while let [b' ' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    rest.starts_with(b"\r\n")
}

/// Byte offset of `part` within `buffer`; both borrow from the same allocation.
pub(crate) fn offset(buffer: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize)
}

/// Says what is wrong with header lines that httparse refused; `None` = the line at fault is not complete yet.
/// Runs only on refused messages.
#[cold]
pub(crate) fn diagnose_headers(lines: &[u8]) -> Option<Reason> {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        if !line.ends_with(b"\n") {
            return None;
        }
        // The end of the head: what httparse refused before it, we have no finer name for.
        if line == b"\r\n" {
            return Some(Reason::BadHeaderName);
        }
        if let Some(reason) = diagnose_line(line) {
            return Some(reason);
        }
    }
    None
}

fn diagnose_line(line: &[u8]) -> Option<Reason> {
    match line.strip_suffix(b"\r\n") {
        Some(content) if !content.contains(&b'\r') => diagnose_content(content),
        _ => Some(Reason::BadLineEnding),
    }
}

fn diagnose_content(content: &[u8]) -> Option<Reason> {
    if matches!(content.first(), Some(b' ' | b'\t')) {
        return Some(Reason::ObsFold);
    }
    let Some(colon) = content.iter().position(|&byte| byte == b':') else {
        return (!content.is_empty()).then_some(Reason::BadHeaderName);
    };
    let (name, value) = content.split_at(colon);
    if matches!(name.last(), Some(b' ' | b'\t')) {
        return Some(Reason::SpaceBeforeColon);
    }
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Some(Reason::BadHeaderName);
    }
    let bad = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7F;
    value.iter().any(bad).then_some(Reason::BadHeaderValue)
}

/// tchar of RFC 9110 §5.6.2.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

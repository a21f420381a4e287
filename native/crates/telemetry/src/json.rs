//! JSON strings (RFC 8259 §7) from arbitrary bytes.
//!
//! Peers choose most of what is logged. Valid UTF-8 passes, control characters, quotes and backslashes are escaped, and each
//! invalid sequence becomes U+FFFD, as `String::from_utf8_lossy` does: a line is always valid JSON and always one line.

/// Bytes that stand for themselves inside a JSON string and need no UTF-8 check.
static PLAIN: [bool; 256] = plain();

const fn plain() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        table[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    table
}

/// Appends `text` with quotes around it.
#[inline]
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text.iter().all(|&byte| PLAIN[usize::from(byte)]) {
        out.extend_from_slice(text);
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

#[cold]
fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        chunk.valid().bytes().for_each(|byte| escape_byte(out, byte));
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(br"\n"),
        b'\r' => out.extend_from_slice(br"\r"),
        b'\t' => out.extend_from_slice(br"\t"),
        0..0x20 | 0x7f => {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        }
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    fn written(text: &[u8]) -> String {
        let mut out = Vec::new();
        super::string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    /// The reverse of the escapes above, written from RFC 8259 and refusing everything else.
    fn parsed(json: &str) -> String {
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let (mut text, mut rest) = (String::new(), inner.chars());
        while let Some(character) = rest.next() {
            assert!(character >= ' ' && character != '"', "{json}");
            text.push(if character == '\\' { unescaped(&mut rest) } else { character });
        }
        text
    }

    fn unescaped(rest: &mut std::str::Chars<'_>) -> char {
        match rest.next().unwrap() {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = rest.take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
            }
            same => same,
        }
    }

    #[test]
    fn each_escape() {
        assert_eq!(written(b"/plain?a=b"), "\"/plain?a=b\"");
        assert_eq!(written(b"\"\\\n\r\t\x00\x1f\x7f"), r#""\"\\\n\r\t\u0000\u001f\u007f""#);
        assert_eq!(written("gr\u{fc}n".as_bytes()), "\"gr\u{fc}n\"");
        assert_eq!(written(b"a\xffb\xe2\x82"), "\"a\u{fffd}b\u{fffd}\"");
    }

    proptest! {
        #[test]
        fn any_bytes_survive_as_their_lossy_text(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(parsed(&written(&bytes)), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

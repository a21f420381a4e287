//! What a client says first, judged before any TLS: people type `http://` for a TLS port and `https://` for a plain one, and deserve
//! an answer that they can read.

/// RFC 8446 §5.1: `ContentType` handshake(22), then a legacy version 3.x.
const HANDSHAKE: u8 = 22;
const VERSION_MAJOR: u8 = 3;
const ALERT: u8 = 21;
const FATAL: u8 = 2;
/// RFC 8446 §6.2. What OpenSSL answers to a first record that is none; clients print "unexpected message".
pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
/// RFC 6066 §3.
pub(crate) const UNRECOGNIZED_NAME: u8 = 112;
/// A record with an alert that is not encrypted: header of 5 bytes, level, description.
pub const PLAIN_ALERT_BYTES: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    Tls,
    /// A method, or the beginning of one.
    PlainHttp,
    Unknown,
}

/// Judges the first bytes of a connection, one byte or more.
pub fn first_bytes(bytes: &[u8]) -> Greeting {
    match bytes {
        [HANDSHAKE] | [HANDSHAKE, VERSION_MAJOR, ..] => Greeting::Tls,
        _ if begins_with_a_method(bytes) => Greeting::PlainHttp,
        _ => Greeting::Unknown,
    }
}

/// Methods in use are upper-case letters and hyphens (RFC 9110 §16.1.2), the longest registered one has 17.
fn begins_with_a_method(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b' ');
    let method = &bytes[..end.unwrap_or(bytes.len())];
    let bounded = end.is_some() || bytes.len() <= 17;
    bounded
        && method.first().is_some_and(u8::is_ascii_uppercase)
        && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

/// What a plain port sends to a client that speaks TLS, before it closes.
pub fn plain_port_alert() -> [u8; PLAIN_ALERT_BYTES] {
    fatal_alert(UNEXPECTED_MESSAGE)
}

/// RFC 8446 §6, in a record that is not encrypted. The version is that of the first record of any client (§5.1).
pub(crate) fn fatal_alert(description: u8) -> [u8; PLAIN_ALERT_BYTES] {
    [ALERT, VERSION_MAJOR, 1, 0, 2, FATAL, description]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_told_apart_from_the_first_byte_on() {
        let hello = [22, 3, 1, 2, 0, 1];
        for length in 1..hello.len() {
            assert_eq!(first_bytes(&hello[..length]), Greeting::Tls);
        }
        for text in ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0", "P", "POST", "VERSION-CONTROL /x", "M-SEARCH *"]
        {
            assert_eq!(first_bytes(text.as_bytes()), Greeting::PlainHttp, "{text}");
        }
        for other in [
            &b""[..],
            b"\x80\x2e\x01",
            b"get / ",
            b"SSH-2.0-OpenSSH",
            b"\x16\x02",
            b" GET",
            b"-A ",
            &[b'A'; 18],
        ] {
            assert_eq!(first_bytes(other), Greeting::Unknown, "{other:?}");
        }
    }
}

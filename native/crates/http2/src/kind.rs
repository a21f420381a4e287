//! What a field's name means, and which fields make a message malformed (RFC 9113 §8.1.1, §8.2, §8.3). Found once per name: the
//! HPACK table keeps the answer beside its entries.

use trunkline_http::{Field, classify};

/// The pseudo-header fields of RFC 9113 §8.3 and RFC 8441 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
}

impl Pseudo {
    pub(crate) const COUNT: usize = 6;

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Method => ":method",
            Self::Scheme => ":scheme",
            Self::Authority => ":authority",
            Self::Path => ":path",
            Self::Protocol => ":protocol",
            Self::Status => ":status",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a message is malformed: a stream error of type `PROTOCOL_ERROR` (RFC 9113 §8.1.1).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Malformed { $($(#[$doc])* $variant,)* }

        impl Malformed {
            pub const ALL: &'static [Malformed] = &[$(Malformed::$variant,)*];

            /// The `snake_case` name used in logs and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// Upper case, no token, or empty (RFC 9113 §8.2.1).
    BadName = "bad_field_name",
    /// A control byte, or white space at an end (RFC 9113 §8.2.1, RFC 9110 §5.5).
    BadValue = "bad_field_value",
    /// `connection`, `transfer-encoding` and their like (RFC 9113 §8.2.2).
    ConnectionSpecific = "connection_specific_field",
    /// `te` with anything but `trailers` (RFC 9113 §8.2.2).
    BadTe = "bad_te",
    UnknownPseudo = "unknown_pseudo_header",
    RepeatedPseudo = "repeated_pseudo_header",
    /// After a field that is none (RFC 9113 §8.3).
    LatePseudo = "late_pseudo_header",
    MissingPseudo = "missing_pseudo_header",
    /// One of a response in a request, one that CONNECT must not have, `:protocol` where none was offered, any in trailers.
    MisplacedPseudo = "misplaced_pseudo_header",
    /// A pseudo-header field with a byte that is not visible ASCII.
    BadPseudo = "bad_pseudo_header",
    BadMethod = "bad_method",
    BadScheme = "bad_scheme",
    /// Empty, or neither `/…` nor the `*` of OPTIONS (RFC 9113 §8.3.1).
    BadPath = "bad_path",
    /// Not `host [":" port]`, or with userinfo (RFC 9113 §8.3.1).
    BadAuthority = "bad_authority",
    RepeatedHost = "repeated_host",
    HostMismatch = "host_mismatch",
    BadStatus = "bad_status",
    /// 1xx that ends the stream, or 101 (RFC 9113 §8.1, §8.6).
    BadInformational = "bad_informational",
    BadContentLength = "bad_content_length",
    /// More than one, and not the same.
    RepeatedContentLength = "repeated_content_length",
    /// The DATA frames add up to something else (RFC 9113 §8.1.1).
    LengthMismatch = "content_length_mismatch",
    /// A second head that does not end the stream (RFC 9113 §8.1).
    TrailersWithoutEnd = "trailers_without_end",
    DataBeforeHead = "data_before_head",
}

/// Bytes of a field name: tchar of RFC 9110 §5.6.2 without upper case.
static NAME_BYTE: [bool; 256] = {
    let bytes = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut table = [false; 256];
    let mut place = 0;
    while place < bytes.len() {
        table[bytes[place] as usize] = true;
        place += 1;
    }
    table
};

/// What a field means to this codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pseudo(Pseudo),
    Plain(Field),
    Cookie,
    Host,
    ContentLength,
    Te,
    Malformed(Malformed),
}

impl Kind {
    /// Of a name as it came.
    pub(crate) fn of(name: &[u8]) -> Self {
        if let [b':', ..] = name {
            return Self::of_pseudo(name);
        }
        let good = name.iter().fold(true, |good, &byte| good & NAME_BYTE[usize::from(byte)]);
        match std::str::from_utf8(name) {
            Ok(text) if good && !name.is_empty() => Self::of_field(text),
            _ => Self::Malformed(Malformed::BadName),
        }
    }

    fn of_pseudo(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Pseudo(Pseudo::Method),
            b":scheme" => Self::Pseudo(Pseudo::Scheme),
            b":authority" => Self::Pseudo(Pseudo::Authority),
            b":path" => Self::Pseudo(Pseudo::Path),
            b":protocol" => Self::Pseudo(Pseudo::Protocol),
            b":status" => Self::Pseudo(Pseudo::Status),
            _ => Self::Malformed(Malformed::UnknownPseudo),
        }
    }

    fn of_field(name: &str) -> Self {
        match (name, classify(name)) {
            ("cookie", _) => Self::Cookie,
            ("te", _) => Self::Te,
            ("content-length", _) => Self::ContentLength,
            ("connection" | "proxy-connection" | "keep-alive" | "transfer-encoding" | "upgrade", _) => {
                Self::Malformed(Malformed::ConnectionSpecific)
            }
            (_, Field::Host) => Self::Host,
            (_, field) => Self::Plain(field),
        }
    }

    /// The same with the value looked at.
    pub(crate) fn with_value(self, value: &[u8]) -> Self {
        let fine = match self {
            Self::Pseudo(_) => value.iter().fold(true, |fine, byte| fine & byte.is_ascii_graphic()),
            _ => is_field_value(value),
        };
        match self {
            Self::Malformed(_) => self,
            Self::Pseudo(_) if !fine => Self::Malformed(Malformed::BadPseudo),
            _ if !fine => Self::Malformed(Malformed::BadValue),
            Self::Te if !value.eq_ignore_ascii_case(b"trailers") => Self::Malformed(Malformed::BadTe),
            _ => self,
        }
    }

    /// What the rest of the program calls it.
    pub(crate) const fn field(self) -> Field {
        match self {
            Self::Plain(field) => field,
            Self::Host => Field::Host,
            Self::ContentLength => Field::Framing,
            Self::Te => Field::HopByHop,
            Self::Pseudo(_) | Self::Cookie | Self::Malformed(_) => Field::Other,
        }
    }
}

/// No control byte but HTAB, no white space at the ends. Without an early exit: the loop is then done 16 bytes at a time.
fn is_field_value(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7F;
    !value.iter().fold(false, |bad, &byte| bad | control(byte))
        && !blank(value.first())
        && !blank(value.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, kind) in [
            ("accept", Kind::Plain(Field::Other)),
            ("x-request-id", Kind::Plain(Field::RequestId)),
            ("te", Kind::Te),
            ("cookie", Kind::Cookie),
            (":path", Kind::Pseudo(Pseudo::Path)),
            (":query", Kind::Malformed(Malformed::UnknownPseudo)),
            ("", Kind::Malformed(Malformed::BadName)),
            ("Accept", Kind::Malformed(Malformed::BadName)),
            ("a b", Kind::Malformed(Malformed::BadName)),
            ("a:", Kind::Malformed(Malformed::BadName)),
            ("\u{e4}", Kind::Malformed(Malformed::BadName)),
            ("connection", Kind::Malformed(Malformed::ConnectionSpecific)),
            ("proxy-connection", Kind::Malformed(Malformed::ConnectionSpecific)),
            ("keep-alive", Kind::Malformed(Malformed::ConnectionSpecific)),
            ("transfer-encoding", Kind::Malformed(Malformed::ConnectionSpecific)),
            ("upgrade", Kind::Malformed(Malformed::ConnectionSpecific)),
        ] {
            assert_eq!(Kind::of(name.as_bytes()), kind, "{name}");
        }
    }

    #[test]
    fn values() {
        let plain = Kind::Plain(Field::Other);
        for good in [&b""[..], b"a b\tc", b"\xff\x80", b"-"] {
            assert_eq!(plain.with_value(good), plain, "{}", good.escape_ascii());
        }
        for bad in [&b" a"[..], b"a ", b"\ta", b"a\t", b"a\rb", b"a\nb", b"a\0b", b"\x7f", b"\x01"] {
            assert_eq!(plain.with_value(bad), Kind::Malformed(Malformed::BadValue), "{}", bad.escape_ascii());
        }
        assert_eq!(Kind::Te.with_value(b"trailers"), Kind::Te);
        assert_eq!(Kind::Te.with_value(b"gzip"), Kind::Malformed(Malformed::BadTe));
        let path = Kind::Pseudo(Pseudo::Path);
        assert_eq!(path.with_value(b"/a?b"), path);
        assert_eq!(path.with_value(b"/a b"), Kind::Malformed(Malformed::BadPseudo));
    }
}

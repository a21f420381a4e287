//! What a `content-type` says: gRPC itself, or gRPC-Web in one of its two forms.
//!
//! ```text
//!   application/grpc          [+codec] [;parameters]
//!   application/grpc-web      [+codec] [;parameters]      binary
//!   application/grpc-web-text [+codec] [;parameters]      base64
//! ```

/// How the bytes of a gRPC-Web body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Binary,
    /// In base64.
    Text,
}

/// What a body with a gRPC content type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Grpc,
    Web(Form),
}

impl Kind {
    const ALL: [Self; 3] = [Self::Web(Form::Text), Self::Web(Form::Binary), Self::Grpc];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Web(Form::Binary) => "application/grpc-web",
            Self::Web(Form::Text) => "application/grpc-web-text",
        }
    }
}

/// A `content-type` of gRPC or gRPC-Web.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType<'v> {
    pub kind: Kind,
    /// `+proto`, `+json` …, or empty.
    codec: &'v [u8],
}

impl<'v> ContentType<'v> {
    /// Reads the value of a `content-type` line; `None` = nothing of gRPC. Case does not matter (RFC 9110 §8.3.1).
    pub fn parse(value: &'v [u8]) -> Option<Self> {
        let media_type = value.split(|&byte| byte == b';').next()?.trim_ascii();
        Kind::ALL.into_iter().find_map(|kind| {
            let (name, codec) = media_type.split_at_checked(kind.media_type().len())?;
            let matches = name.eq_ignore_ascii_case(kind.media_type().as_bytes()) && is_codec(codec);
            matches.then_some(Self { kind, codec })
        })
    }

    /// Appends the value of a `content-type` line for the same messages in a body of another kind.
    pub fn write_as(&self, kind: Kind, out: &mut Vec<u8>) {
        out.extend_from_slice(kind.media_type().as_bytes());
        out.extend_from_slice(self.codec);
    }
}

impl Form {
    /// The form of the response that a client wants: the one it accepts, or else that of its request.
    pub fn of_response(accept: Option<&[u8]>, request: Self) -> Self {
        let accepted = accept.unwrap_or_default().split(|&byte| byte == b',').find_map(ContentType::parse);
        match accepted.map(|content_type| content_type.kind) {
            Some(Kind::Web(form)) => form,
            Some(Kind::Grpc) | None => request,
        }
    }
}

/// Empty, or a plus sign and a name of letters, digits, `.`, `-`, `_`.
fn is_codec(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b'+', name @ ..] => {
            let allowed = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !name.is_empty() && name.iter().all(allowed)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BINARY: Kind = Kind::Web(Form::Binary);
    const TEXT: Kind = Kind::Web(Form::Text);

    #[test]
    fn kinds() {
        for (value, kind) in [
            ("application/grpc", Some(Kind::Grpc)),
            ("application/grpc+proto", Some(Kind::Grpc)),
            ("Application/GRPC+json", Some(Kind::Grpc)),
            ("application/grpc;charset=utf-8", Some(Kind::Grpc)),
            ("application/grpc+proto ; a=b", Some(Kind::Grpc)),
            ("application/grpc-web", Some(BINARY)),
            ("application/grpc-web+proto", Some(BINARY)),
            ("application/grpc-web-text", Some(TEXT)),
            ("application/grpc-web-text+proto", Some(TEXT)),
            ("application/grpc-web-texts", None),
            ("application/grpc-webs", None),
            ("application/grpcs", None),
            ("application/grpc+", None),
            ("application/grpc+a b", None),
            ("application/grp", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(ContentType::parse(value.as_bytes()).map(|found| found.kind), kind, "{value}");
        }
    }

    #[test]
    fn keeps_the_codec() {
        for (value, kind, written) in [
            ("application/grpc-web-text+proto", Kind::Grpc, "application/grpc+proto"),
            ("application/grpc-web; a=b", Kind::Grpc, "application/grpc"),
            ("application/grpc+thrift", TEXT, "application/grpc-web-text+thrift"),
            ("application/grpc", BINARY, "application/grpc-web"),
        ] {
            let mut out = Vec::new();
            ContentType::parse(value.as_bytes()).unwrap().write_as(kind, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }

    #[test]
    fn form_of_the_response() {
        for (accept, request, form) in [
            (None, Form::Text, Form::Text),
            (Some("*/*"), Form::Binary, Form::Binary),
            (Some("application/grpc-web-text"), Form::Binary, Form::Text),
            (Some("text/html, application/grpc-web+proto;q=1"), Form::Text, Form::Binary),
        ] {
            assert_eq!(Form::of_response(accept.map(str::as_bytes), request), form, "{accept:?}");
        }
    }
}

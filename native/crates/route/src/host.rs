//! Host patterns: exact, wildcard, any.

/// A parsed host pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Host {
    Exact(Box<str>),
    /// The part behind `*.`.
    Wildcard(Box<str>),
    Any,
}

impl Host {
    /// The error says what a valid host looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        check(name)?;
        Ok(if wildcard { Self::Wildcard(name.into()) } else { Self::Exact(name.into()) })
    }

    /// Whether a request's host falls under the pattern.
    pub(crate) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == &**name,
            Self::Wildcard(suffix) => {
                let front = host.strip_suffix(&**suffix).and_then(|front| front.strip_suffix('.'));
                front.is_some_and(|label| !label.is_empty())
            }
            Self::Any => true,
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => out.write_str(name),
            Self::Wildcard(suffix) => write!(out, "*.{suffix}"),
            Self::Any => out.write_str("*"),
        }
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    let literal = name.starts_with('[') && name.ends_with(']');
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    match name {
        "" => Err("is empty; write `*` for any host"),
        _ if literal && name.len() > 2 => Ok(()),
        _ if name.contains('*') => Err("a wildcard is one `*.` in front of a domain"),
        _ if name.contains(':') => Err("is written without a port"),
        _ if name.bytes().any(|byte| byte.is_ascii_uppercase()) => Err("must be lower case"),
        _ if !name.bytes().all(allowed) => {
            Err("may hold letters, digits, `-`, `_` and `.`; other names in punycode")
        }
        _ if name.split('.').any(str::is_empty) => Err("has an empty label"),
        _ => Ok(()),
    }
}

/// The parts of `host` behind a dot with text in front, longest first, of at most `labels` labels.
pub(crate) fn suffixes(host: &str, labels: usize) -> impl Iterator<Item = &str> {
    let bytes = host.as_bytes();
    let from = memchr::memrchr_iter(b'.', bytes).take(labels).last().unwrap_or(bytes.len());
    memchr::memchr_iter(b'.', &bytes[from..])
        .map(move |dot| from + dot)
        .filter(|&dot| dot > 0)
        .map(|dot| &host[dot + 1..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Host, suffixes};

    #[test]
    fn patterns_and_hosts() {
        for (pattern, host, expected) in [
            ("a.example", "a.example", true),
            ("a.example", "b.a.example", false),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "badexample", false),
            ("[::1]", "[::1]", true),
            ("*", "", true),
        ] {
            assert_eq!(Host::parse(pattern).unwrap().matches(host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn hosts_that_no_request_can_have() {
        for text in [
            "",
            "A.example",
            "a.example:80",
            "a*.example",
            "*.",
            "*.*.example",
            "a..b",
            "a b",
            "gr\u{fc}n.example",
            "[]",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn suffixes_longest_first_and_not_longer_than_asked() {
        let of = |host, labels| suffixes(host, labels).collect::<Vec<_>>();
        assert_eq!(of("a.b.c.d", 9), ["b.c.d", "c.d", "d"]);
        assert_eq!(of("a.b.c.d", 2), ["c.d", "d"]);
        assert_eq!(of(".d", 9), [""; 0]);
        assert_eq!(of("d", 9), [""; 0]);
        assert_eq!(of("", 9), [""; 0]);
    }
}

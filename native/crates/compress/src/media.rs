//! Media types as patterns: `text/html`, `text/*`, `*+json`.

/// Streams whose pieces must arrive when they are sent, message by message, whatever a configuration lists: an encoder holds
/// back what it has not filled a block with, and the readers of gRPC find their frames by length.
const NEVER: [&str; 2] = ["text/event-stream", "application/grpc"];

#[derive(Debug, Default)]
pub(crate) struct MediaTypes {
    exact: Box<[String]>,
    /// `text/` of `text/*`.
    groups: Box<[String]>,
    /// `+json` of `*+json`.
    suffixes: Box<[String]>,
}

impl MediaTypes {
    /// # Errors
    /// Every pattern that is none, with its position.
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let (mut exact, mut groups, mut suffixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut errors = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let pattern = pattern.to_ascii_lowercase();
            match pattern.split_once('/') {
                Some((group, "*")) if is_name(group) => groups.push(format!("{group}/")),
                Some((group, subtype)) if is_name(group) && is_name(subtype) => exact.push(pattern),
                None if pattern.strip_prefix("*+").is_some_and(is_name) => {
                    suffixes.push(pattern.trim_start_matches('*').to_owned());
                }
                _ => errors
                    .push((index, format!("{pattern:?} is not a type such as text/html, text/* or *+json"))),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { exact: exact.into(), groups: groups.into(), suffixes: suffixes.into() })
    }

    /// Whether the value of a `Content-Type` is among them.
    pub(crate) fn contain(&self, content_type: &[u8]) -> bool {
        let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let begins = |text: &str| {
            essence.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
        };
        let ends = |text: &str| {
            let start = essence.len().checked_sub(text.len()).and_then(|at| essence.get(at..));
            start.is_some_and(|end| end.eq_ignore_ascii_case(text.as_bytes()))
        };
        // `application/grpc`, `application/grpc+proto`, `application/grpc-web-text`: nothing else begins like this.
        if NEVER.iter().any(|never| begins(never)) {
            return false;
        }
        self.exact.iter().any(|exact| essence.eq_ignore_ascii_case(exact.as_bytes()))
            || self.groups.iter().any(|group| begins(group))
            || self.suffixes.iter().any(|suffix| ends(suffix))
    }
}

/// RFC 6838 §4.2.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_match_by_essence() {
        let patterns = ["text/*", "application/JSON", "*+xml"].map(String::from);
        let types = MediaTypes::parse(&patterns).unwrap();
        let cases = [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            (" application/json ;x=y", true),
            ("application/jsonx", false),
            ("image/svg+xml", true),
            ("xml", false),
            ("image/png", false),
            ("text", false),
            ("", false),
            ("text/event-stream", false),
            ("text/event-stream;charset=utf-8", false),
            ("application/grpc+xml", false),
            ("application/grpc-web+xml", false),
        ];
        for (value, expected) in cases {
            assert_eq!(types.contain(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn every_pattern_that_is_none_is_told() {
        let patterns = ["text/html", "text", "*/*", "a b/c", "*+", "/x", "x/"].map(String::from);
        let errors = MediaTypes::parse(&patterns).unwrap_err();
        assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }
}

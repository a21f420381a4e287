//! Header, query and cookie predicates, compiled.

use regex::bytes::{Regex, RegexBuilder};

use crate::definition::{Predicate, Test};
use crate::path::{REGEX_BYTES, anchored};
use crate::{cookie, query};

/// A predicate ready to run.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: Box<str>,
    test: Compiled,
}

#[derive(Debug)]
enum Compiled {
    Present,
    Absent,
    Equals(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Regex(Regex),
}

impl Check {
    /// `name` is already in the form to look up. The error is that of a regular expression.
    pub(crate) fn compile(name: &str, predicate: &Predicate) -> Result<Self, String> {
        let bytes = |text: &String| text.as_bytes().into();
        let test = match &predicate.test {
            Test::Present => Compiled::Present,
            Test::Absent => Compiled::Absent,
            Test::Equals(text) => Compiled::Equals(bytes(text)),
            Test::Prefix(text) => Compiled::Prefix(bytes(text)),
            Test::Suffix(text) => Compiled::Suffix(bytes(text)),
            Test::Contains(text) => Compiled::Contains(bytes(text)),
            Test::Regex(pattern) => Compiled::Regex(anchored_bytes(pattern)?),
        };
        Ok(Self { name: name.into(), test })
    }

    /// For a header: `value` is what the lookup returned.
    pub(crate) fn holds(&self, value: Option<&[u8]>) -> bool {
        match value {
            None => matches!(self.test, Compiled::Absent),
            Some(value) => self.holds_for(value),
        }
    }

    /// For a query parameter: any of its values may do.
    pub(crate) fn holds_in(&self, query: Option<&str>) -> bool {
        let mut values = query::values(query, &self.name);
        match self.test {
            Compiled::Absent => values.next().is_none(),
            _ => values.any(|value| self.holds_for(&value)),
        }
    }

    /// For a cookie: any of its values may do. `cookies` is the value of the Cookie line.
    pub(crate) fn holds_among(&self, cookies: Option<&[u8]>) -> bool {
        let mut values = cookie::values(cookies, &self.name);
        match self.test {
            Compiled::Absent => values.next().is_none(),
            _ => values.any(|value| self.holds_for(value)),
        }
    }

    fn holds_for(&self, value: &[u8]) -> bool {
        match &self.test {
            Compiled::Present => true,
            Compiled::Absent => false,
            Compiled::Equals(wanted) => *value == **wanted,
            Compiled::Prefix(wanted) => value.starts_with(wanted),
            Compiled::Suffix(wanted) => value.ends_with(wanted),
            Compiled::Contains(wanted) => memchr::memmem::find(value, wanted).is_some(),
            Compiled::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Values need not be UTF-8, so the expression is compiled for bytes, after the check for text has found its errors.
fn anchored_bytes(pattern: &str) -> Result<Regex, String> {
    anchored(pattern)?;
    let whole = format!(r"\A(?:{pattern})\z");
    let built = RegexBuilder::new(&whole).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
    built.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Check;
    use crate::definition::{Predicate, Test};

    fn check(test: Test) -> Check {
        Check::compile("n", &Predicate { name: "n".into(), test }).unwrap()
    }

    #[test]
    fn each_test_on_header_values() {
        let text = |text: &str| text.to_owned();
        for (test, value, expected) in [
            (Test::Present, Some(&b""[..]), true),
            (Test::Present, None, false),
            (Test::Absent, None, true),
            (Test::Absent, Some(b""), false),
            (Test::Equals(text("v")), Some(b"v"), true),
            (Test::Equals(text("v")), Some(b"V"), false),
            (Test::Equals(text("")), None, false),
            (Test::Prefix(text("ab")), Some(b"abc"), true),
            (Test::Prefix(text("ab")), Some(b"xab"), false),
            (Test::Suffix(text("bc")), Some(b"abc"), true),
            (Test::Suffix(text("bc")), Some(b"abcd"), false),
            (Test::Contains(text("b")), Some(b"abc"), true),
            (Test::Contains(text("x")), Some(b"abc"), false),
            (Test::Regex(text("a|b+")), Some(b"bb"), true),
            (Test::Regex(text("a|b+")), Some(b"abb"), false),
            (Test::Regex(text(".*")), Some(b"\xff"), false),
        ] {
            assert_eq!(check(test.clone()).holds(value), expected, "{test:?} {value:?}");
        }
    }

    #[test]
    fn a_repeated_parameter_holds_with_any_value_and_is_absent_with_none() {
        let equals = check(Test::Equals("2 3".into()));
        assert!(equals.holds_in(Some("n=1&n=2+3")));
        assert!(!equals.holds_in(Some("n=1&m=2+3")));
        assert!(check(Test::Absent).holds_in(None));
        assert!(!check(Test::Absent).holds_in(Some("n")));
    }

    #[test]
    fn a_repeated_cookie_holds_with_any_value_and_is_absent_with_none() {
        let equals = check(Test::Equals("2".into()));
        assert!(equals.holds_among(Some(b"n=1; n=2")));
        assert!(!equals.holds_among(Some(b"n=1; m=2")));
        assert!(check(Test::Absent).holds_among(None));
        assert!(!check(Test::Absent).holds_among(Some(b"a=1; n=")));
    }

    #[test]
    fn a_group_cannot_be_broken_out_of() {
        let predicate = Predicate { name: "n".into(), test: Test::Regex("a)|(?:b".into()) };
        assert!(Check::compile("n", &predicate).is_err());
    }
}

//! Path patterns, parsed and checked.

use regex::{Regex, RegexBuilder};

use crate::definition::PathPattern;

/// A compiled expression may take 1 MB, a tenth of the regex crate's default: routes are many and configured by many hands.
pub(crate) const REGEX_BYTES: usize = 1 << 20;

/// A template or prefix may have so many segments: the walk recurses once per segment of the deepest pattern.
pub(crate) const MAX_SEGMENTS: usize = 128;

/// A parsed path pattern.
#[derive(Debug)]
pub(crate) enum Path {
    Exact(Box<str>),
    Prefix(Box<str>),
    Template(Box<[Segment]>),
    Regex(Regex),
}

/// One segment of a template; the text is the literal or the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    Param(Box<str>),
    Rest(Box<str>),
}

/// Why a pattern is refused: by our rules, or by the regex parser.
#[derive(Debug)]
pub(crate) enum Refused {
    Path(&'static str),
    Regex(String),
}

impl Path {
    pub(crate) fn parse(pattern: &PathPattern) -> Result<Self, Refused> {
        match pattern {
            PathPattern::Exact(path) => literal(path).map(Self::Exact),
            PathPattern::Prefix(path) => literal(path).map(Self::Prefix),
            PathPattern::Template(path) => template(path).map(Self::Template),
            PathPattern::Regex(regex) => anchored(regex).map(Self::Regex).map_err(Refused::Regex),
        }
    }

    /// Whether a request's path falls under the pattern. The trie gives the same answers for all routes together.
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == &**exact,
            Self::Prefix(prefix) => {
                let below = path.strip_prefix(&**prefix);
                **prefix == *"/"
                    || below
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/'))
            }
            Self::Template(segments) => captures(segments, path, |_, _| {}),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Matches a template, giving each parameter's name and value to `take`.
pub(crate) fn captures<'t, 'r>(
    segments: &'t [Segment],
    path: &'r str,
    mut take: impl FnMut(&'t str, &'r str),
) -> bool {
    let mut remaining = path.strip_prefix('/');
    for segment in segments {
        let Some(rest) = remaining else { return false };
        let (text, after) = split(rest);
        match segment {
            Segment::Literal(literal) if text == &**literal => {}
            Segment::Param(name) if !text.is_empty() => take(name, text),
            Segment::Rest(name) if !rest.is_empty() => {
                take(name, rest);
                return true;
            }
            _ => return false,
        }
        remaining = after;
    }
    remaining.is_none()
}

/// The first segment and what follows its slash, if there is one.
#[inline]
pub(crate) fn split(rest: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'/', rest.as_bytes()) {
        Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
        None => (rest, None),
    }
}

/// Compiles an expression for whole texts.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, String> {
    let build =
        |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
    let whole = format!(r"\A(?:{pattern})\z");
    // Alone first: `a)|(b` must not pass because of the group around it.
    build(pattern).and_then(|_| build(&whole)).map_err(|error| error.to_string())
}

fn literal(path: &str) -> Result<Box<str>, Refused> {
    check(path).map(|()| path.into()).map_err(Refused::Path)
}

fn check(path: &str) -> Result<(), &'static str> {
    let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'?' && byte != b'#';
    match path {
        _ if !path.starts_with('/') => Err("must start with `/`"),
        _ if !path.bytes().all(visible) => {
            Err("holds a character that a request's path cannot have; percent-encode it")
        }
        _ if path.split('/').any(|segment| segment == "." || segment == "..") => {
            Err("dot segments are removed before routing")
        }
        _ if path.split('/').count() > MAX_SEGMENTS => Err("has more than 128 segments"),
        _ => Ok(()),
    }
}

fn template(path: &str) -> Result<Box<[Segment]>, Refused> {
    check(path).map_err(Refused::Path)?;
    let segments: Result<Box<[Segment]>, _> = path[1..].split('/').map(segment).collect();
    let segments = segments.map_err(Refused::Path)?;
    let misplaced = segments.iter().rev().skip(1).any(|segment| matches!(segment, Segment::Rest(_)));
    if misplaced {
        return Err(Refused::Path("`{*name}` takes all that remains and must come last"));
    }
    let names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
    let repeated = (1..names.len()).any(|at| names[..at].contains(&names[at]));
    if repeated { Err(Refused::Path("has two parameters of the same name")) } else { Ok(segments) }
}

impl Segment {
    /// The parameter's name, if it is one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Param(name) | Self::Rest(name) => Some(name),
        }
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let named = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    match inner {
        None if text.contains(['{', '}']) => Err("a parameter is a whole segment, `/{name}/`"),
        None => Ok(Segment::Literal(text.into())),
        Some(name) => match name.strip_prefix('*') {
            Some(rest) if named(rest) => Ok(Segment::Rest(rest.into())),
            None if named(name) => Ok(Segment::Param(name.into())),
            _ => Err("a parameter's name has letters, digits, `_` and `-`"),
        },
    }
}

//! Path parameters of a match.

use smallvec::SmallVec;

use crate::path::{Path, captures};

/// Names and values in the order of the pattern. Values are slices of the request's path, still percent-encoded.
/// Up to eight need no allocation, except for regular expressions, whose crate allocates its capture groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params<'r>(SmallVec<[(&'r str, &'r str); 8]>);

impl<'r> Params<'r> {
    pub(crate) fn of(pattern: &'r Path, path: &'r str) -> Self {
        let mut params = SmallVec::new();
        match pattern {
            Path::Exact(_) | Path::Prefix(_) => {}
            Path::Template(segments) => {
                captures(segments, path, |name, value| params.push((name, value)));
            }
            Path::Regex(regex) => {
                if let Some(groups) = regex.captures(path) {
                    let named = regex.capture_names().flatten();
                    params.extend(named.filter_map(|name| Some((name, groups.name(name)?.as_str()))));
                }
            }
        }
        Self(params)
    }

    /// The value of the parameter of that name.
    pub fn get(&self, name: &str) -> Option<&'r str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.0.iter().copied()
    }

    /// All names and values as one slice.
    pub fn as_slice(&self) -> &[(&'r str, &'r str)] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the pattern has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

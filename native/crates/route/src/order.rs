//! The order of routes. This file is the rule; everything else only sorts and compares by it.
//!
//! Of all routes whose conditions hold, the one with the least [`Rank`] is taken. Fields and variants are in order of
//! importance, so the derived comparison is the documented one (`docs/concepts/routing.md`).

use std::cmp::Reverse;

use crate::host::Host;
use crate::path::{Path, Segment};

/// A route's place on one of its hosts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    priority: Reverse<i32>,
    host: HostRank,
    path: PathRank,
    predicates: Reverse<usize>,
    declared: usize,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Exact,
    Wildcard { suffix_bytes: Reverse<usize> },
    Any,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Template { literals: Reverse<usize>, has_rest: bool },
    Prefix { bytes: Reverse<usize> },
    Regex { declared: usize },
}

impl Rank {
    /// `predicates`: the conditions on method (counted once), headers, query and cookies.
    pub(crate) fn new(priority: i32, host: &Host, path: &Path, predicates: usize, declared: usize) -> Self {
        Self {
            priority: Reverse(priority),
            host: HostRank::of(host),
            path: PathRank::of(path, declared),
            predicates: Reverse(predicates),
            declared,
        }
    }
}

impl HostRank {
    fn of(host: &Host) -> Self {
        match host {
            Host::Exact(_) => Self::Exact,
            Host::Wildcard(suffix) => Self::Wildcard { suffix_bytes: Reverse(suffix.len()) },
            Host::Any => Self::Any,
        }
    }
}

impl PathRank {
    fn of(path: &Path, declared: usize) -> Self {
        match path {
            Path::Exact(_) => Self::Exact,
            Path::Template(segments) => Self::Template {
                literals: Reverse(
                    segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count(),
                ),
                has_rest: matches!(segments.last(), Some(Segment::Rest(_))),
            },
            Path::Prefix(prefix) => Self::Prefix { bytes: Reverse(prefix.len()) },
            Path::Regex(_) => Self::Regex { declared },
        }
    }
}

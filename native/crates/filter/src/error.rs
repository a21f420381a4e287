//! What can be wrong with a plan's filters. All of it is found at compile time and reported at once.

use std::fmt::Display;

/// One mistake in a plan. Values of secrets are never part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A filter of a route's chain: `filters[2] rate_limit.key: …`, counted from 0.
    #[error("route {route:?}: filters[{position}] {filter}.{key}: {problem}")]
    Filter { route: String, position: usize, filter: &'static str, key: String, problem: String },
    /// A route's rewrite.
    #[error("route {route:?}: rewrite.{key}: {problem}")]
    Rewrite { route: String, key: String, problem: String },
    #[error("consumer {name:?}: {problem}")]
    Consumer { name: String, problem: String },
}

/// Where the compiler stands, so that a check needs to name only the key.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) route: &'a str,
    /// Position in the chain and type of the filter; `None` for a rewrite.
    pub(crate) filter: Option<(usize, &'static str)>,
    pub(crate) errors: &'a mut Vec<Error>,
}

impl Site<'_> {
    pub(crate) fn error(&mut self, key: impl Display, problem: impl Display) {
        let (route, key, problem) = (self.route.to_owned(), key.to_string(), problem.to_string());
        self.errors.push(match self.filter {
            Some((position, filter)) => Error::Filter { route, position, filter, key, problem },
            None => Error::Rewrite { route, key, problem },
        });
    }

    /// The value, or `None` after noting the error.
    pub(crate) fn take<T, E: Display>(&mut self, key: impl Display, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.error(key, problem)).ok()
    }
}

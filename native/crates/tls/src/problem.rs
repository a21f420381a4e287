//! What is wrong with a plan, by the key it is wrong at. All of it is found at compile time and reported at once. A warning is of something
//! that was left out, so that the plan can be served without it.

use std::fmt::Display;
use std::path::Path;

/// One mistake. Keys of secrets never show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Problem {
    /// Below the `tls` table: `certificates[0].key`, `client_auth.ca`.
    pub path: String,
    /// Names the file, if it is about one.
    pub message: String,
}

/// Collects problems; `None` stands for what could not be made.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub(crate) fn add(&mut self, path: impl Display, message: impl Display) {
        self.found.push(Problem { path: path.to_string(), message: message.to_string() });
    }

    pub(crate) fn warn(&mut self, path: impl Display, message: impl Display) {
        self.warnings.push(Problem { path: path.to_string(), message: message.to_string() });
    }

    /// So far; they are no longer here then.
    pub(crate) fn take_warnings(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.warnings)
    }

    /// Notes a problem and gives the `None` that stands for what could not be made.
    pub(crate) fn fail<T>(&mut self, path: impl Display, message: impl Display) -> Option<T> {
        self.add(path, message);
        None
    }

    /// The value, or `None` after noting the error.
    pub(crate) fn take<T>(&mut self, path: impl Display, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.add(path, error)).ok()
    }

    /// The same, with the file's name before the message.
    pub(crate) fn take_file<T>(
        &mut self,
        path: impl Display,
        file: &Path,
        result: Result<T, impl Display>,
    ) -> Option<T> {
        self.take(path, result.map_err(|error| format!("{}: {error}", file.display())))
    }

    /// The value if there was no problem.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(self.found),
        }
    }
}

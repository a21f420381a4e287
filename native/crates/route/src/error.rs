//! Everything that [`crate::Router::compile`] can refuse, each with its place.

/// One mistake in the list of routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route `{name}`: {fault}")]
pub struct Error {
    /// Index in the list that was compiled.
    pub route: usize,
    /// The field of [`crate::Route`] at fault: `hosts[1]`, `methods[0]`, `path`, `headers[2]`, `query[0]`, `cookies[0]`.
    pub key: String,
    /// The route's name.
    pub name: String,
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A host that no request can have.
    #[error("host `{host}`: {why}")]
    Host { host: String, why: &'static str },
    /// A method that is not a token (RFC 9110 §5.6.2).
    #[error("method `{0}` is not a token")]
    Method(String),
    /// A path that no request can have, or a malformed template.
    #[error("path `{path}`: {why}")]
    Path { path: String, why: &'static str },
    /// A header or cookie predicate without a usable name.
    #[error("predicate name `{name}`: {why}")]
    Predicate { name: String, why: &'static str },
    /// A regular expression that does not parse or compiles to more than the size limit; `why` in the parser's words.
    #[error("regular expression `{pattern}`: {why}")]
    Regex { pattern: String, why: String },
    /// Two routes with the same host, path, methods, predicates and priority: this, the second, could never be chosen.
    #[error("can never be told from `{other}` on host `{host}`: same path, methods, predicates and priority")]
    Same { other: String, host: String },
}

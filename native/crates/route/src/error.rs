//! Everything that [`crate::Router::compile`] can refuse. Each error names the route and what is wrong with it.

/// Why a route cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A host that no request can have.
    #[error("route `{route}`: host `{host}`: {why}")]
    Host {
        /// The route's name.
        route: String,
        /// As configured.
        host: String,
        /// What a valid one looks like.
        why: &'static str,
    },
    /// A method that is not a token (RFC 9110 §5.6.2).
    #[error("route `{route}`: method `{method}` is not a token")]
    Method {
        /// The route's name.
        route: String,
        /// As configured.
        method: String,
    },
    /// A path that no request can have, or a malformed template.
    #[error("route `{route}`: path `{path}`: {why}")]
    Path {
        /// The route's name.
        route: String,
        /// As configured.
        path: String,
        /// What a valid one looks like.
        why: &'static str,
    },
    /// A header or query predicate without a usable name.
    #[error("route `{route}`: predicate name `{name}`: {why}")]
    Predicate {
        /// The route's name.
        route: String,
        /// As configured.
        name: String,
        /// What a valid one looks like.
        why: &'static str,
    },
    /// A regular expression that does not parse or compiles to more than the size limit.
    #[error("route `{route}`: regular expression `{pattern}`: {why}")]
    Regex {
        /// The route's name.
        route: String,
        /// As configured.
        pattern: String,
        /// The parser's words.
        why: String,
    },
    /// Two routes with the same host, path, methods, predicates and priority: the second could never be chosen.
    #[error(
        "route `{route}` can never be told from `{other}` on host `{host}`: same path, methods, predicates and priority"
    )]
    Same {
        /// The later route's name.
        route: String,
        /// The earlier route's name.
        other: String,
        /// The host they share.
        host: String,
    },
}

//! What a route is, as the configuration states it.

/// One route. Every condition must hold; an empty list of hosts or methods holds for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Shown in errors, logs and explanations.
    pub name: String,
    /// Exact (`shop.example.com`), wildcard (`*.example.com`: one label or more in front, not the bare domain), `*` or none at all for any.
    pub hosts: Vec<String>,
    /// Case-sensitive method tokens. `GET` does not stand for `HEAD`.
    pub methods: Vec<String>,
    /// The path condition.
    pub path: PathPattern,
    /// Header conditions; of a repeated header the value that the lookup returns counts.
    pub headers: Vec<Predicate>,
    /// Query conditions; of a repeated parameter any value may satisfy one.
    pub query: Vec<Predicate>,
    /// Cookie conditions; of a cookie that came twice any value may satisfy one.
    pub cookies: Vec<Predicate>,
    /// Higher wins over everything else.
    pub priority: i32,
}

impl Default for Route {
    /// Matches every request.
    fn default() -> Self {
        Self {
            name: String::new(),
            hosts: Vec::new(),
            methods: Vec::new(),
            path: PathPattern::Prefix("/".to_owned()),
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            priority: 0,
        }
    }
}

/// A condition on the path, in the form the HTTP layer gives it: percent-encoded, dot segments removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Byte for byte.
    Exact(String),
    /// The same path or one below it: `/api` takes `/api` and `/api/x`, not `/apix`; `/api/` only what is below; `/` everything.
    Prefix(String),
    /// Segments, of which `{name}` takes one that is not empty and a final `{*name}` all that remains, at least one character.
    Template(String),
    /// A regular expression for the whole path (crate `regex`: linear time, no look-around). Named groups become parameters.
    Regex(String),
}

/// A condition on one header, query parameter or cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Predicate {
    /// Header name in any case; query name decoded; cookie name as it is.
    pub name: String,
    /// What must hold for its value.
    pub test: Test,
}

/// A condition on a value. Everything but `Absent` needs the value to be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    /// There, even if empty.
    Present,
    /// Not there.
    Absent,
    /// The same bytes.
    Equals(String),
    /// Starts with.
    Prefix(String),
    /// Ends with.
    Suffix(String),
    /// Holds somewhere.
    Contains(String),
    /// A regular expression for the whole value.
    Regex(String),
}

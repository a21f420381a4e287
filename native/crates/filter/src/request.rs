//! What the filters see of a request.

use std::net::IpAddr;

use trunkline_http::{RequestHead, find};

use crate::Reason;

/// One request, as the engine has parsed, normalised and routed it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub head: &'a RequestHead<'a, 'a>,
    /// Normalised (`trunkline_http::normalise`): no dot segments, unreserved bytes decoded, the rest percent-encoded.
    pub path: &'a str,
    /// Without the port, lower case.
    pub host: &'a str,
    /// Path parameters of the route: name and the slice of `path`, still percent-encoded.
    pub params: &'a [(&'a str, &'a str)],
    /// The true client, after trusted proxies were seen through.
    pub client: IpAddr,
    /// Whether the client's connection is TLS.
    pub secure: bool,
}

impl<'a> Request<'a> {
    pub(crate) fn header(&self, name: &str) -> Option<&'a [u8]> {
        find(self.head.headers, name)
    }

    /// A header that carries a credential: if it came twice, we might check one and the upstream believe the other.
    pub(crate) fn credential(&self, name: &str) -> Result<Option<&'a [u8]>, Reason> {
        let mut lines = self.head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        match (lines.next(), lines.next()) {
            (_, Some(_)) => Err(Reason::CredentialsRepeated),
            (line, None) => Ok(line.map(|header| header.value)),
        }
    }

    pub(crate) fn param(&self, name: &str) -> Option<&'a str> {
        self.params.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

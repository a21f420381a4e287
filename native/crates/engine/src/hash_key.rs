//! What a hashing scheduler hashes: a part of the request, named in the configuration.

use std::net::IpAddr;

use smallvec::SmallVec;
use trunkline_http::{RequestHead, find};

/// Bytes to hash; long ones spill to the heap.
pub(crate) type Key = SmallVec<[u8; 40]>;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HashKey {
    Ip,
    Path,
    Uri,
    Header(String),
    Query(String),
    Cookie(String),
}

impl HashKey {
    /// Reads `ip`, `path`, `uri`, `header:NAME`, `query:NAME` or `cookie:NAME`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => match text {
                "ip" => Some(Self::Ip),
                "path" => Some(Self::Path),
                "uri" => Some(Self::Uri),
                _ => None,
            },
            Some((_, "")) => None,
            Some(("header", name)) => Some(Self::Header(name.to_owned())),
            Some(("query", name)) => Some(Self::Query(name.to_owned())),
            Some(("cookie", name)) => Some(Self::Cookie(name.to_owned())),
            Some(_) => None,
        }
    }

    /// The key of a request; empty if it lacks the part.
    pub(crate) fn of(&self, head: &RequestHead<'_, '_>, client: IpAddr) -> Key {
        match self {
            Self::Ip => match client {
                IpAddr::V4(address) => Key::from_slice(&address.octets()),
                IpAddr::V6(address) => Key::from_slice(&address.octets()),
            },
            Self::Path => Key::from_slice(head.path.as_bytes()),
            Self::Uri => Key::from_slice(head.target.as_bytes()),
            Self::Header(name) => Key::from_slice(find(head.headers, name).unwrap_or_default()),
            Self::Query(name) => Key::from_slice(query_value(head.query.unwrap_or(""), name).as_bytes()),
            Self::Cookie(name) => Key::from_slice(cookie(head, name)),
        }
    }
}

fn query_value<'q>(query: &'q str, name: &str) -> &'q str {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

fn cookie<'b>(head: &RequestHead<'b, '_>, name: &str) -> &'b [u8] {
    let pairs = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("cookie"));
    pairs
        .flat_map(|header| header.value.split(|&byte| byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes()))
        .find_map(|rest| rest.strip_prefix(b"="))
        .unwrap_or_default()
}

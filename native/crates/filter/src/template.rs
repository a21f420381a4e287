//! Text with places that a request fills in: `/v2/users/{id}`, `{query.page}`, `{header.X-Tenant}`, `{client_ip}`, `{host}`,
//! `{method}`, `{path}`, `{scheme}`, `{consumer}`, `{request_id}`, `{upstream_status}`. Any other name is a path parameter; `{{` and `}}` are braces.
//!
//! What a client sent can never mean more than a value: in a path it stays inside its segments, in a query inside its
//! parameter, in a header inside its line (control bytes are percent-encoded there). A value that is absent is empty.

use std::fmt::Write as _;

use smallvec::SmallVec;

use crate::edits::{NO_STATUS, Value};
use crate::percent::{decode, decode_query, encode, recode_path};
use crate::{Request, query};

/// Everything a template may refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) consumer: &'a str,
    pub(crate) request_id: &'a str,
}

/// Where the rendered text will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header's value, or a host.
    Header,
    /// A header's value in a response.
    Response,
    Path,
    /// A query parameter's value.
    Query,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    place: Place,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Param(String),
    Query(String),
    Header(String),
    ClientIp,
    Host,
    Method,
    Path,
    Scheme,
    Consumer,
    RequestId,
    /// Known when the response comes; see [`Template::render_line`].
    UpstreamStatus,
}

impl Template {
    /// # Errors
    /// A brace without its partner, an empty name, or literal text that cannot stand in that place.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let (name, after) = placeholder(brace)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::from_name(name, place)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let template = Self { place, parts: parts.into() };
        template.check_literals()?;
        Ok(template)
    }

    /// The whole text if nothing in it depends on the request.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] if self.place != Place::Query => Some(text),
            _ => None,
        }
    }

    pub(crate) fn render(&self, facts: &Facts<'_>, put: &mut impl FnMut(&[u8])) {
        for part in &*self.parts {
            self.render_part(part, facts, put);
        }
    }

    /// Renders the value of a header line; in a response the status of the upstream is filled in later.
    pub(crate) fn render_line(&self, facts: &Facts<'_>, value: &mut Value<'_>) {
        for part in &*self.parts {
            match part {
                Part::UpstreamStatus => value.put_status(),
                part => self.render_part(part, facts, &mut |bytes| value.put(bytes)),
            }
        }
    }

    fn render_part(&self, part: &Part, facts: &Facts<'_>, put: &mut impl FnMut(&[u8])) {
        let request = facts.request;
        match part {
            Part::Text(text) if self.place == Place::Query => encode(text.bytes(), put),
            Part::Text(text) => put(text.as_bytes()),
            Part::Param(name) => self.put_path(request.param(name).unwrap_or_default(), put),
            Part::Path => self.put_path(request.path, put),
            Part::Query(name) => {
                let value = request.head.query.and_then(|all| query::find(all, name)).unwrap_or_default();
                self.put_plain(decode_query(value.as_bytes()), put);
            }
            Part::Header(name) => self.put_bytes(request.header(name).unwrap_or_default(), put),
            Part::ClientIp => self.put_client(request, put),
            Part::Host => self.put_bytes(request.host.as_bytes(), put),
            Part::Method => self.put_bytes(request.head.method.as_bytes(), put),
            Part::Scheme => put(if request.secure { b"https" } else { b"http" }),
            Part::Consumer => self.put_bytes(facts.consumer.as_bytes(), put),
            Part::RequestId => self.put_bytes(facts.request_id.as_bytes(), put),
            Part::UpstreamStatus => put(NO_STATUS),
        }
    }

    /// A piece of the request's path: still encoded, slashes mean segments.
    fn put_path(&self, encoded: &str, put: &mut impl FnMut(&[u8])) {
        match self.place {
            Place::Path => recode_path(encoded.as_bytes(), put),
            Place::Header | Place::Response | Place::Query => self.put_plain(decode(encoded.as_bytes()), put),
        }
    }

    fn put_client(&self, request: &Request<'_>, put: &mut impl FnMut(&[u8])) {
        let mut text = Fixed::default();
        // 46 bytes hold every address, so this cannot fail; a failure would only leave the value empty.
        if write!(text, "{}", request.client.to_canonical()).is_ok() {
            self.put_bytes(&text.0, put);
        }
    }

    fn put_bytes(&self, bytes: &[u8], put: &mut impl FnMut(&[u8])) {
        self.put_plain(bytes.iter().copied(), put);
    }

    fn put_plain(&self, bytes: impl Iterator<Item = u8>, put: &mut impl FnMut(&[u8])) {
        match self.place {
            Place::Path | Place::Query => encode(bytes, put),
            Place::Header | Place::Response => bytes.for_each(|byte| put_in_header(byte, put)),
        }
    }

    fn check_literals(&self) -> Result<(), String> {
        let allowed = |byte: u8| match self.place {
            Place::Header | Place::Response => byte == b'\t' || !byte.is_ascii_control(),
            Place::Path => byte == b'%' || crate::percent::is_path_byte(byte),
            Place::Query => true,
        };
        let mut texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => text.bytes().find(|byte| !allowed(*byte)),
            _ => None,
        });
        match texts.next() {
            Some(byte) => Err(format!("{:?} cannot stand here", char::from(byte))),
            None => Ok(()),
        }
    }
}

impl Part {
    fn from_name(name: &str, place: Place) -> Result<Self, String> {
        let named = |name: &str| match name {
            "" => Err("a placeholder needs a name".to_owned()),
            name => Ok(name.to_owned()),
        };
        Ok(match name {
            "client_ip" => Self::ClientIp,
            "host" => Self::Host,
            "method" => Self::Method,
            "path" => Self::Path,
            "scheme" => Self::Scheme,
            "consumer" => Self::Consumer,
            "request_id" => Self::RequestId,
            "upstream_status" if place == Place::Response => Self::UpstreamStatus,
            "upstream_status" => return Err("{upstream_status}: only a response has one".to_owned()),
            name => match name.split_once('.') {
                Some(("query", name)) => Self::Query(named(name)?),
                Some(("header", name)) => Self::Header(named(name)?),
                Some(_) => {
                    return Err(format!("{{{name}}}: only `query.` and `header.` take a name after a dot"));
                }
                None => Self::Param(named(name)?),
            },
        })
    }
}

/// Splits `{name}rest` into the name and the rest.
fn placeholder(text: &str) -> Result<(&str, &str), String> {
    let inner = text.strip_prefix('{').ok_or("a `}` without `{`; write `}}` for the character")?;
    match inner.split_once('}') {
        Some((name, rest)) if !name.contains('{') => Ok((name, rest)),
        _ => Err("a `{` without `}`; write `{{` for the character".to_owned()),
    }
}

fn put_in_header(byte: u8, put: &mut impl FnMut(&[u8])) {
    if byte.is_ascii_control() && byte != b'\t' {
        encode(std::iter::once(byte), put);
    } else {
        put(&[byte]);
    }
}

/// Text of an address, on the stack.
#[derive(Default)]
struct Fixed(SmallVec<[u8; 46]>);

impl std::fmt::Write for Fixed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

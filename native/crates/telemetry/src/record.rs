//! One access-log record and its JSON form.
//!
//! The field order below is the order in the line. Optional text that is empty and optional times that are absent are left
//! out, which takes a third off the line of a plain request (320 against 450 bytes). `docs/concepts/access-log.md` is the reader's side of this table.

use std::io::Write;
use std::net::IpAddr;

use crate::json;
use crate::timestamp::Timestamp;

/// What is known of one finished request. All text is borrowed; byte slices may hold anything a peer sent.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Wall clock at the end of the request, nanoseconds since 1970-01-01 UTC.
    pub time_unix_ns: u64,
    /// The peer, or what a trusted proxy said it was.
    pub client: IpAddr,
    /// The listener that took the connection.
    pub listener: &'a str,
    /// Request method.
    pub method: &'a [u8],
    /// Host without port, lower case.
    pub host: &'a [u8],
    /// Request target as received: path and query.
    pub path: &'a [u8],
    /// The status sent to the client; 0 if none was.
    pub status: u16,
    /// Request body bytes received.
    pub request_bytes: u64,
    /// Response body bytes sent.
    pub response_bytes: u64,
    /// From the first byte of the request to the last of the response.
    pub duration_ns: u64,
    /// From choosing a server to the last byte of its response.
    pub upstream_ns: Option<u64>,
    /// From choosing a server to its response head.
    pub first_byte_ns: Option<u64>,
    /// Tries after the first.
    pub retries: u32,
    /// The matched route.
    pub route: &'a str,
    /// The pool of the route.
    pub pool: &'a str,
    /// The server that answered, `address:port`.
    pub server: &'a str,
    /// The authenticated consumer.
    pub consumer: &'a str,
    /// Why trunkline itself refused or broke off; empty if the response is the server's.
    pub reason: &'a str,
    /// More about the reason, for example the routes that came close to a 404.
    pub detail: &'a str,
    /// The request's id, ours or taken over.
    pub request_id: &'a [u8],
    /// `User-Agent` header.
    pub user_agent: &'a [u8],
}

impl Default for Record<'_> {
    fn default() -> Self {
        Self {
            time_unix_ns: 0,
            client: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            listener: "",
            method: b"",
            host: b"",
            path: b"",
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            duration_ns: 0,
            upstream_ns: None,
            first_byte_ns: None,
            retries: 0,
            route: "",
            pool: "",
            server: "",
            consumer: "",
            reason: "",
            detail: "",
            request_id: b"",
            user_agent: b"",
        }
    }
}

impl Record<'_> {
    /// Whether the client got an error or trunkline gave a reason: records that sampling can be told to keep.
    #[inline]
    pub fn is_error(&self) -> bool {
        self.status >= 400 || self.status == 0 || !self.reason.is_empty()
    }

    /// Appends one JSON object and a newline. `weight` is how many requests the record stands for.
    pub(crate) fn write(&self, out: &mut Vec<u8>, stamp: &mut Timestamp, weight: u32) {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(stamp.format(self.time_unix_ns));
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, self.client);
        out.push(b'"');
        self.write_request(out);
        self.write_outcome(out);
        if weight > 1 {
            number(out, b",\"weight\":", u64::from(weight));
        }
        out.extend_from_slice(b"}\n");
    }

    #[inline]
    fn write_request(&self, out: &mut Vec<u8>) {
        optional(out, b",\"listener\":", self.listener.as_bytes());
        text(out, b",\"method\":", self.method);
        text(out, b",\"host\":", self.host);
        text(out, b",\"path\":", self.path);
        number(out, b",\"status\":", u64::from(self.status));
        number(out, b",\"request_bytes\":", self.request_bytes);
        number(out, b",\"response_bytes\":", self.response_bytes);
        number(out, b",\"duration_us\":", self.duration_ns / 1000);
    }

    #[inline]
    fn write_outcome(&self, out: &mut Vec<u8>) {
        time(out, b",\"upstream_us\":", self.upstream_ns);
        time(out, b",\"first_byte_us\":", self.first_byte_ns);
        if self.retries > 0 {
            number(out, b",\"retries\":", u64::from(self.retries));
        }
        optional(out, b",\"route\":", self.route.as_bytes());
        optional(out, b",\"pool\":", self.pool.as_bytes());
        optional(out, b",\"server\":", self.server.as_bytes());
        optional(out, b",\"consumer\":", self.consumer.as_bytes());
        optional(out, b",\"reason\":", self.reason.as_bytes());
        optional(out, b",\"detail\":", self.detail.as_bytes());
        optional(out, b",\"request_id\":", self.request_id);
        optional(out, b",\"user_agent\":", self.user_agent);
    }
}

#[inline]
fn text(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(key);
    json::string(out, value);
}

#[inline]
fn optional(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if !value.is_empty() {
        text(out, key, value);
    }
}

#[inline]
fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[inline]
fn time(out: &mut Vec<u8>, key: &[u8], ns: Option<u64>) {
    if let Some(ns) = ns {
        number(out, key, ns / 1000);
    }
}

/// IPv4 by hand: the formatting machinery of `Display` takes five times as long (49 against 10 ns).
fn address(out: &mut Vec<u8>, client: IpAddr) {
    match client {
        IpAddr::V4(v4) => {
            for (position, octet) in v4.octets().into_iter().enumerate() {
                if position > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing to a Vec has no failure to report.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Record;
    use crate::timestamp::Timestamp;

    fn line(record: &Record<'_>, weight: u32) -> String {
        let mut out = Vec::new();
        record.write(&mut out, &mut Timestamp::default(), weight);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_least_record() {
        let record =
            Record { method: b"GET", host: b"a.example", path: b"/", status: 204, ..Record::default() };
        assert_eq!(
            line(&record, 1),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"client\":\"0.0.0.0\",\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/\",\
             \"status\":204,\"request_bytes\":0,\"response_bytes\":0,\"duration_us\":0}\n"
        );
    }

    #[test]
    fn every_optional_field_in_its_place() {
        let record = Record {
            time_unix_ns: 1_795_479_968_123_456_789,
            client: "2001:db8::1".parse().unwrap(),
            listener: "front",
            status: 503,
            request_bytes: 1,
            response_bytes: 22,
            duration_ns: 1_234_567,
            upstream_ns: Some(1_000_999),
            first_byte_ns: Some(0),
            retries: 2,
            route: "r",
            pool: "p",
            server: "127.0.0.1:9100",
            consumer: "c",
            reason: "no_server",
            detail: "d",
            request_id: b"id",
            user_agent: b"curl/8\"",
            ..Record::default()
        };
        assert_eq!(
            line(&record, 10),
            "{\"time\":\"2026-11-24T00:26:08.123Z\",\"client\":\"2001:db8::1\",\"listener\":\"front\",\"method\":\"\",\"host\":\"\",\
             \"path\":\"\",\"status\":503,\"request_bytes\":1,\"response_bytes\":22,\"duration_us\":1234,\"upstream_us\":1000,\
             \"first_byte_us\":0,\"retries\":2,\"route\":\"r\",\"pool\":\"p\",\"server\":\"127.0.0.1:9100\",\"consumer\":\"c\",\
             \"reason\":\"no_server\",\"detail\":\"d\",\"request_id\":\"id\",\"user_agent\":\"curl/8\\\"\",\"weight\":10}\n"
        );
    }

    #[test]
    fn what_counts_as_an_error() {
        let of = |status, reason| Record { status, reason, ..Record::default() }.is_error();
        assert!(!of(200, "") && !of(399, ""));
        assert!(of(400, "") && of(502, "") && of(0, "") && of(200, "client_gone"));
    }
}

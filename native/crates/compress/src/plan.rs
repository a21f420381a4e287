//! What the control plane asks for, as JSON. Unknown fields are refused.

use serde::Deserialize;

use crate::Coding;

/// Compression of a route's responses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// Best first: what is taken of those that a client likes equally well.
    pub codings: Vec<Coding>,
    /// `text/html`, `text/*`, or `*+json` for every type with that suffix.
    pub types: Vec<String>,
    /// Smaller responses stay as they are, if their length is known.
    pub min_bytes: u64,
    pub levels: Levels,
}

/// How hard the encoders try. A worker serves all its connections with one thread, so the ranges end where a stream takes more
/// than 7 MB of memory or a megabyte more than 20 ms (measured on JSON; brotli at 9: 39 MB and 70 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Levels {
    /// 1 to 9.
    pub gzip: u32,
    /// 1 to 6.
    pub br: u32,
    /// 1 to 8.
    pub zstd: u32,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            codings: Coding::ALL.to_vec(),
            types: TYPES.map(String::from).to_vec(),
            min_bytes: 512, // as Caddy: below, the coding's own overhead and the lost reuse cost more than a packet's part
            levels: Levels::default(),
        }
    }
}

impl Default for Levels {
    /// One megabyte of JSON takes 7, 7 and 2 ms. Brotli at 4 has three times the memory of 3 and makes pages 1 % smaller.
    fn default() -> Self {
        Self { gzip: 5, br: 3, zstd: 3 }
    }
}

/// Texts; what else is on the web is compressed already, WebAssembly and old font formats excepted.
const TYPES: [&str; 16] = [
    "text/*",
    "application/json",
    "application/x-ndjson",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/wasm",
    "application/graphql",
    "application/x-www-form-urlencoded",
    "application/vnd.ms-fontobject",
    "font/ttf",
    "font/otf",
    "image/svg+xml",
    "image/x-icon",
    "*+json",
    "*+xml",
];

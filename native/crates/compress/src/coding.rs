//! The content codings that can be made here (IANA's registry of HTTP content codings).

use serde::Deserialize;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Coding {
    /// RFC 8878; with a window of 8 MB at most (RFC 9659), ours has 256 KB.
    #[serde(rename = "zstd")]
    Zstd,
    /// RFC 7932.
    #[serde(rename = "br")]
    Brotli,
    /// RFC 1952.
    #[serde(rename = "gzip")]
    Gzip,
}

impl Coding {
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Whether a coding of `Accept-Encoding` means this one. RFC 9110 §8.4.1.3: `x-gzip` is `gzip`.
    pub(crate) fn is_named(self, name: &[u8]) -> bool {
        let alias = self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip");
        alias || name.eq_ignore_ascii_case(self.name().as_bytes())
    }
}

//! What compressing changes in a response's head (RFC 9110 §8.4, §8.8.3, §12.5.5, §14.3).
//!
//! | line | becomes |
//! |---|---|
//! | `Content-Encoding` | the coding |
//! | `Content-Length` | gone: the new one is known at the end |
//! | `Accept-Ranges`, digests (RFC 9530 and older) | gone: they speak of other bytes |
//! | `ETag: "x"` | `W/"x"`: the bytes differ, what they mean does not |
//! | `Vary` | one line, with `Accept-Encoding` among its members |

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::Coding;

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// As it came.
    Untouched,
    /// Plain, and a cache is told that other clients get it compressed.
    Vary,
    /// The body goes through an encoder.
    Encode(Coding),
}

impl Decision {
    /// The coding of the body.
    pub const fn coding(self) -> Option<Coding> {
        match self {
            Self::Encode(coding) => Some(coding),
            Self::Untouched | Self::Vary => None,
        }
    }

    /// Whether a line of the server's head goes out as it came; what does not is replaced by [`Decision::lines`].
    pub fn keeps(self, name: &str) -> bool {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match self {
            Self::Untouched => true,
            Self::Vary => !is("vary"),
            Self::Encode(_) => match name.len() {
                4 => !is("vary") && !is("etag"),
                6 => !is("digest"),
                11 => !is("content-md5") && !is("repr-digest"),
                13 => !is("accept-ranges"),
                14 => !is("content-length") && !is("content-digest"),
                16 => !is("content-encoding"),
                _ => true,
            },
        }
    }

    /// A line that the configuration adds: an encoded body has no strong tag, whoever says it.
    pub fn revised<'v>(self, name: &str, value: &'v [u8]) -> Cow<'v, [u8]> {
        match self {
            Self::Encode(_) if name.eq_ignore_ascii_case("etag") => Cow::Owned(weak(value).to_vec()),
            _ => Cow::Borrowed(value),
        }
    }

    /// Puts name and value of each line that stands in place of those that are not kept.
    pub fn lines<'h>(
        self,
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
        mut put: impl FnMut(&str, &[u8]),
    ) {
        if self == Self::Untouched {
            return;
        }
        put("Vary", &vary(values(headers.clone(), "vary")));
        let Self::Encode(coding) = self else { return };
        put("Content-Encoding", coding.name().as_bytes());
        if let Some(tag) = values(headers, "etag").next() {
            put("ETag", &weak(tag));
        }
    }
}

type Text = SmallVec<[u8; 128]>;

fn values<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    wanted: &'static str,
) -> impl Iterator<Item = &'h [u8]> {
    headers.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

/// All values in one, with `Accept-Encoding` if nothing among them says as much: caches have been seen to read one line only.
fn vary<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Text {
    let mut joined = Text::new();
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        append(&mut joined, line);
    }
    let mut members = joined.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    if !members.any(|member| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding")) {
        append(&mut joined, b"Accept-Encoding");
    }
    joined
}

fn append(list: &mut Text, member: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member);
}

/// RFC 9110 §8.8.3.3: a strong tag would say that both codings have the same bytes.
fn weak(tag: &[u8]) -> Text {
    let mut weak = Text::new();
    if !tag.starts_with(b"W/") {
        weak.extend_from_slice(b"W/");
    }
    weak.extend_from_slice(tag);
    weak
}

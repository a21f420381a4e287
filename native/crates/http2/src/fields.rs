//! A field list: one reused buffer for text, one for values, and an entry per field. What the decoder finds goes in here; what is
//! wrong with it is remembered, so that the block can be decoded to its end.
//!
//! ```text
//!   text    GET http example.test /path accept user-agent …    pseudo-header values and names: ASCII once checked
//!   values  */* curl/8.5 …                                     may hold obs-text
//!   lines   (name in text, value in values, what it means)
//! ```

use trunkline_http::{Header, content_length};

use crate::kind::{Kind, Malformed, Pseudo};
use crate::limits::Limits;

/// Added to each field's length (RFC 9113 §6.5.2).
const OVERHEAD: usize = 32;

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    fn between(start: usize, end: usize) -> Self {
        Self { start: start as u32, length: (end - start) as u32 }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.length as usize).unwrap_or_default()
    }

    fn of_text(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start + self.length as usize).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Line {
    name: Span,
    value: Span,
    kind: Kind,
}

/// Where the field being decoded starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) text: usize,
    pub(crate) values: usize,
}

/// The fields of one head or of trailers.
#[derive(Debug)]
pub struct Fields {
    pub(crate) text: Vec<u8>,
    pub(crate) values: Vec<u8>,
    lines: Vec<Line>,
    pseudo: [Option<Span>; Pseudo::COUNT],
    content_length: Option<u64>,
    host: Option<Span>,
    cookies: usize,
    regular_seen: bool,
    malformed: Option<Malformed>,
    list_bytes: usize,
    ends_stream: bool,
    limits: Limits,
}

impl Fields {
    pub fn new(limits: &Limits) -> Self {
        Self {
            text: Vec::new(),
            values: Vec::new(),
            lines: Vec::new(),
            pseudo: [None; Pseudo::COUNT],
            content_length: None,
            host: None,
            cookies: 0,
            regular_seen: false,
            malformed: None,
            list_bytes: 0,
            ends_stream: false,
            limits: *limits,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
        self.lines.clear();
        self.pseudo = [None; Pseudo::COUNT];
        self.content_length = None;
        self.host = None;
        self.cookies = 0;
        self.regular_seen = false;
        self.malformed = None;
        self.list_bytes = 0;
    }

    //--- what the decoder does ---

    pub(crate) fn mark(&self) -> Mark {
        Mark { text: self.text.len(), values: self.values.len() }
    }

    pub(crate) fn name_from(&self, mark: Mark) -> &[u8] {
        self.text.get(mark.text..).unwrap_or_default()
    }

    pub(crate) fn value_from(&self, mark: Mark) -> &[u8] {
        self.values.get(mark.values..).unwrap_or_default()
    }

    /// Name and value of the field decoded since `mark`.
    pub(crate) fn last_from(&self, mark: Mark, name_kind: Kind) -> (&[u8], &[u8]) {
        match name_kind {
            Kind::Pseudo(pseudo) => (pseudo.name().as_bytes(), self.name_from(mark)),
            _ => (self.name_from(mark), self.value_from(mark)),
        }
    }

    /// A field that is in a table.
    #[inline]
    pub(crate) fn push(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let mark = self.mark();
        if let Kind::Pseudo(_) = kind {
            self.text.extend_from_slice(value);
        } else {
            self.text.extend_from_slice(name);
            self.values.extend_from_slice(value);
        }
        self.commit(kind, mark);
    }

    /// Takes in what was decoded since `mark`; a field that is refused, or that is too much, leaves nothing behind.
    #[inline]
    pub(crate) fn commit(&mut self, kind: Kind, mark: Mark) {
        let text = Span::between(mark.text, self.text.len());
        let value = Span::between(mark.values, self.values.len());
        self.list_bytes += text.length as usize + value.length as usize + OVERHEAD;
        let taken = if let Kind::Pseudo(pseudo) = kind {
            self.list_bytes += pseudo.name().len();
            self.pseudo_field(pseudo, text)
        } else {
            self.regular_seen = true;
            self.line(Line { name: text, value, kind })
        };
        if self.is_too_large() || taken.is_err() {
            self.malformed = self.malformed.or(taken.err());
            self.text.truncate(mark.text);
            self.values.truncate(mark.values);
        }
    }

    /// Before all others, and once each (RFC 9113 §8.3).
    fn pseudo_field(&mut self, pseudo: Pseudo, value: Span) -> Result<(), Malformed> {
        if self.regular_seen {
            return Err(Malformed::LatePseudo);
        }
        let earlier = self.pseudo[pseudo as usize].replace(value);
        if earlier.is_some() { Err(Malformed::RepeatedPseudo) } else { Ok(()) }
    }

    #[inline]
    fn line(&mut self, line: Line) -> Result<(), Malformed> {
        match line.kind {
            Kind::Malformed(malformed) => return Err(malformed),
            Kind::ContentLength => {
                let length =
                    content_length(line.value.of(&self.values)).ok_or(Malformed::BadContentLength)?;
                // The same once more says nothing new (RFC 9110 §8.6); it is sent on once.
                let before = self.content_length.replace(length);
                if before.is_some_and(|before| before != length) {
                    return Err(Malformed::RepeatedContentLength);
                }
            }
            Kind::Host => {
                let before = self.host.replace(line.value);
                if before.is_some() {
                    return Err(Malformed::RepeatedHost);
                }
            }
            Kind::Cookie => self.cookies += 1,
            _ => {}
        }
        if !self.is_too_large() {
            self.lines.push(line);
        }
        Ok(())
    }

    /// One `cookie` field of all of them (RFC 9113 §8.2.3), in the place of the first.
    pub(crate) fn join_cookies(&mut self) {
        if self.cookies < 2 {
            return;
        }
        let start = self.values.len();
        for line in self.lines.iter().filter(|line| line.kind == Kind::Cookie) {
            if self.values.len() > start {
                self.values.extend_from_slice(b"; ");
            }
            let value = line.value.start as usize..(line.value.start + line.value.length) as usize;
            self.values.extend_from_within(value);
        }
        let joined = Span::between(start, self.values.len());
        let mut first = true;
        self.lines.retain_mut(|line| {
            line.kind != Kind::Cookie || {
                line.value = joined;
                std::mem::take(&mut first)
            }
        });
        self.cookies = 1;
    }

    //--- what was found ---

    /// Over the limits it was made with; what is in it is not all.
    pub fn is_too_large(&self) -> bool {
        self.list_bytes > self.limits.header_list_bytes as usize || self.lines.len() > self.limits.headers
    }

    /// As RFC 9113 §6.5.2 counts it, what was left out included.
    pub const fn list_bytes(&self) -> usize {
        self.list_bytes
    }

    /// The first thing that is wrong with a field by itself.
    pub const fn malformed(&self) -> Option<Malformed> {
        self.malformed
    }

    /// The head came with `END_STREAM`: no body, no trailers.
    pub const fn ends_stream(&self) -> bool {
        self.ends_stream
    }

    pub(crate) fn set_ends_stream(&mut self, ends_stream: bool) {
        self.ends_stream = ends_stream;
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn method(&self) -> Option<&str> {
        self.pseudo(Pseudo::Method)
    }

    pub fn scheme(&self) -> Option<&str> {
        self.pseudo(Pseudo::Scheme)
    }

    pub fn authority(&self) -> Option<&str> {
        self.pseudo(Pseudo::Authority)
    }

    /// Path and query.
    pub fn path(&self) -> Option<&str> {
        self.pseudo(Pseudo::Path)
    }

    /// Of an extended CONNECT (RFC 8441 §4).
    pub fn protocol(&self) -> Option<&str> {
        self.pseudo(Pseudo::Protocol)
    }

    /// Three digits, 100 to 599.
    pub fn status(&self) -> Option<u16> {
        let digits = self.pseudo(Pseudo::Status)?;
        let status = digits.parse().ok().filter(|status| (100..=599).contains(status));
        status.filter(|_| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
    }

    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The value of `host`.
    pub fn host(&self) -> Option<&[u8]> {
        self.host.map(|span| span.of(&self.values))
    }

    /// The fields in their order, pseudo-header fields left out.
    pub fn lines(&self) -> impl Iterator<Item = Header<'_>> {
        let text = self.text();
        self.lines.iter().map(move |line| Header {
            name: line.name.of_text(text),
            value: line.value.of(&self.values),
            field: line.kind.field(),
        })
    }

    pub(crate) fn has(&self, pseudo: Pseudo) -> bool {
        self.pseudo[pseudo as usize].is_some()
    }

    pub(crate) fn has_any_pseudo(&self) -> bool {
        self.pseudo.iter().any(Option::is_some)
    }

    /// Names and pseudo-header values that were not refused are ASCII.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    fn pseudo(&self, pseudo: Pseudo) -> Option<&str> {
        let bytes = self.pseudo[pseudo as usize]?.of(&self.text);
        std::str::from_utf8(bytes).ok()
    }

    /// Gives back room that one long list has taken.
    pub(crate) fn shrink(&mut self) {
        self.clear();
        self.text.shrink_to_fit();
        self.values.shrink_to_fit();
        self.lines.shrink_to_fit();
    }
}

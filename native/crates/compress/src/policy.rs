//! Whether a response is compressed. A response stays as it is if one of these holds (RFC 9110 §7.7 for the first):
//!
//! | what | why |
//! |---|---|
//! | `Cache-Control: no-transform` | it forbids what we would do |
//! | a `Content-Encoding` already | the server chose |
//! | status 1xx, 204, 205, 206, 304, or a `Content-Range` | no body, or a part of one whose offsets would be wrong |
//! | a type that is not listed, or none | it would not become smaller, or must not wait |
//! | fewer bytes than the least | not worth it |
//!
//! What remains differs by `Accept-Encoding` and says so in `Vary`, also to a client that gets it plain.

use crate::head::Decision;
use crate::media::MediaTypes;
use crate::plan::Compression;
use crate::{Coding, Error, Levels, accept};

/// A route's compression, compiled; immutable.
#[derive(Debug)]
pub struct Policy {
    codings: Box<[Coding]>,
    types: MediaTypes,
    min_bytes: u64,
    levels: Levels,
}

impl Policy {
    /// # Errors
    /// Everything that is wrong with the plan, by key.
    pub fn compile(plan: &Compression) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut error =
            |key: String, problem: &str| errors.push(Error::Plan { key, problem: problem.to_owned() });
        if plan.codings.is_empty() {
            error("codings".to_owned(), "must name at least one of zstd, br, gzip");
        }
        for (index, coding) in plan.codings.iter().enumerate() {
            if plan.codings.iter().take(index).any(|earlier| earlier == coding) {
                error(format!("codings[{index}]"), "stands above already");
            }
        }
        let Levels { gzip, br, zstd } = plan.levels;
        for (name, valid, range) in [
            ("gzip", (1..=9).contains(&gzip), "must be 1 to 9"),
            ("br", (1..=6).contains(&br), "must be 1 to 6"),
            ("zstd", (1..=8).contains(&zstd), "must be 1 to 8"),
        ] {
            if !valid {
                error(format!("levels.{name}"), range);
            }
        }
        let types = MediaTypes::parse(&plan.types).unwrap_or_else(|wrong| {
            for (index, problem) in wrong {
                error(format!("types[{index}]"), &problem);
            }
            MediaTypes::default()
        });
        let policy = Self {
            codings: plan.codings.clone().into(),
            types,
            min_bytes: plan.min_bytes,
            levels: plan.levels,
        };
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }

    pub const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The coding for a request with these values of `Accept-Encoding`; a byte that is kept until the response comes.
    pub fn accepts<'h>(&self, lines: impl IntoIterator<Item = &'h [u8], IntoIter: Clone>) -> Option<Coding> {
        accept::best(lines, &self.codings)
    }

    /// What becomes of a response. `length` is that of the body, if it is known; `headers` are name and value of its lines.
    /// The response to HEAD gets the same head as that to GET (RFC 9110 §9.3.2).
    pub fn decide<'h>(
        &self,
        accepted: Option<Coding>,
        status: u16,
        length: Option<u64>,
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    ) -> Decision {
        let bodiless = status < 200 || matches!(status, 204..=206 | 304);
        if bodiless || length.is_some_and(|length| length < self.min_bytes) || !self.is_fit(headers) {
            return Decision::Untouched;
        }
        accepted.map_or(Decision::Vary, Decision::Encode)
    }

    fn is_fit<'h>(&self, headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> bool {
        let mut is_listed = false;
        for (name, value) in headers {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            match name.len() {
                12 if is("content-type") => is_listed = self.types.contain(value),
                13 if is("content-range") => return false,
                13 if is("cache-control") && forbids_transforming(value) => return false,
                16 if is("content-encoding") && !value.eq_ignore_ascii_case(b"identity") => return false,
                _ => {}
            }
        }
        is_listed
    }
}

fn forbids_transforming(cache_control: &[u8]) -> bool {
    let mut directives = cache_control.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    directives.any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

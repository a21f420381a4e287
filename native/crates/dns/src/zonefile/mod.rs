//! Master files (RFC 1035 §5): text in, a zone out, or the place of what is wrong.

mod fields;
mod generate;
mod lexer;
mod name;
mod ttl;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::base::iana::{Class, Rtype};

use fields::Fault;
use lexer::{Lexer, Token};

use crate::rtype::SOA;
use crate::zone::{Builder, Zone};

/// A file that includes another that includes …
const MAX_DEPTH: usize = 16;
/// RFC 3597 §5: any data as `\# length hexadecimal`.
const GENERIC: &str = "\\#";

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// 0 = the file as a whole.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file.display(), self.what),
            line => write!(out, "{}:{line}: {}", self.file.display(), self.what),
        }
    }
}

impl std::error::Error for Problem {}

/// Loads the zone with that apex. `read` gives the text of a file; those that are included are relative to the one that does so.
///
/// # Errors
/// The first thing that is wrong.
pub fn load(
    file: &Path,
    apex: &[u8],
    read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
) -> Result<Zone, Problem> {
    let mut loader =
        Loader { builder: Builder::new(apex), read, owner: None, default_ttl: None, last_ttl: None };
    loader.file(file, apex.to_vec(), 0)?;
    let whole =
        |error: crate::zone::Error| Problem { file: file.to_owned(), line: 0, what: error.to_string() };
    loader.builder.build().map_err(whole)
}

struct Loader<'l> {
    builder: Builder,
    read: &'l mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    /// Of the last record.
    owner: Option<Vec<u8>>,
    /// By `$TTL` (RFC 2308 §4).
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Loader<'_> {
    fn file(&mut self, file: &Path, mut origin: Vec<u8>, depth: usize) -> Result<(), Problem> {
        let problem = |line, what| Problem { file: file.to_owned(), line, what };
        let bytes = (self.read)(file).map_err(|error| problem(0, format!("cannot be read: {error}")))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count();
            problem(line, "there are bytes that are not UTF-8; write them as \\DDD".to_owned())
        })?;
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let start = lexer.entry(&mut tokens).map_err(|what| problem(lexer.line(), what.to_owned()))?;
            let (Some(start), Some(first)) = (start, tokens.first()) else { return Ok(()) };
            let at_line = |fault: Fault| problem(start.line, fault.0);
            let directive = first.text.starts_with('$') && !start.indented && !first.quoted;
            match (directive, first.text.to_ascii_uppercase().as_str(), &tokens[1..]) {
                (false, ..) => self.record(&tokens, start.indented, &origin).map_err(at_line)?,
                (_, "$ORIGIN", [given]) => {
                    origin = name::absolute(given.text, &origin).map_err(|what| problem(start.line, what))?;
                }
                (_, "$TTL", [given]) => {
                    self.default_ttl = Some(ttl::parse(given.text).map_err(Fault).map_err(at_line)?);
                }
                (_, "$INCLUDE", [path]) => {
                    self.include(file, path.text, origin.clone(), depth)
                        .map_err(|what| what.at(file, start.line))?;
                }
                (_, "$INCLUDE", [path, given]) => {
                    let inner =
                        name::absolute(given.text, &origin).map_err(|what| problem(start.line, what))?;
                    self.include(file, path.text, inner, depth).map_err(|what| what.at(file, start.line))?;
                }
                (_, "$GENERATE", [range, rest @ ..]) => {
                    self.generate(range.text, rest, &origin).map_err(at_line)?;
                }
                (_, word, _) => {
                    let what = format!(
                        "{word} is none of $ORIGIN name, $TTL time, $INCLUDE file [name], $GENERATE range record"
                    );
                    return Err(problem(start.line, what));
                }
            }
        }
    }

    fn include(&mut self, file: &Path, path: &str, origin: Vec<u8>, depth: usize) -> Result<(), Included> {
        if depth >= MAX_DEPTH {
            return Err(Included::Here(format!("files include each other more than {MAX_DEPTH} deep")));
        }
        let inner = file.parent().unwrap_or_else(|| Path::new("")).join(path);
        let owner = self.owner.clone();
        self.file(&inner, origin, depth + 1).map_err(Included::There)?;
        self.owner = owner;
        Ok(())
    }

    fn generate(&mut self, range: &str, record: &[Token<'_>], origin: &[u8]) -> Result<(), Fault> {
        for number in generate::range(range).map_err(Fault)? {
            let texts: Result<Vec<_>, _> =
                record.iter().map(|token| generate::fill(token.text, number)).collect();
            let texts = texts.map_err(Fault)?;
            let tokens: Vec<_> =
                texts.iter().zip(record).map(|(text, token)| Token { text, quoted: token.quoted }).collect();
            self.record(&tokens, false, origin)?;
        }
        Ok(())
    }

    fn record(&mut self, tokens: &[Token<'_>], indented: bool, origin: &[u8]) -> Result<(), Fault> {
        let rest = match tokens {
            _ if indented => tokens,
            [owner, rest @ ..] => {
                self.owner = Some(name::absolute(owner.text, origin).map_err(Fault)?);
                rest
            }
            [] => return Ok(()),
        };
        let owner = self.owner.clone().ok_or_else(|| Fault("the first record has no name".to_owned()))?;
        let (ttl, rtype, fields) = head(rest)?;
        let data = data(rtype, fields, origin)?;
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl).or_else(|| minimum(rtype, &data));
        let ttl =
            ttl.ok_or_else(|| Fault("there is no TTL: give one, or begin the file with $TTL".to_owned()))?;
        self.last_ttl = Some(ttl);
        self.builder.add(&owner, rtype, ttl, &data).map_err(|error| Fault(error.to_string()))
    }
}

/// A problem of an included file has its place already.
enum Included {
    Here(String),
    There(Problem),
}

impl Included {
    fn at(self, file: &Path, line: usize) -> Problem {
        match self {
            Self::Here(what) => Problem { file: file.to_owned(), line, what },
            Self::There(problem) => problem,
        }
    }
}

/// `[TTL] [class] type`, the first two in any order (RFC 1035 §5.1); what is behind is the data.
fn head<'f, 't>(mut tokens: &'f [Token<'t>]) -> Result<(Option<u32>, u16, &'f [Token<'t>]), Fault> {
    let (mut ttl, mut class) = (None, None);
    while let [token, rest @ ..] = tokens {
        tokens = rest;
        if let (None, Ok(given)) = (ttl, ttl::parse(token.text)) {
            ttl = Some(given);
        } else if let (None, Ok(given)) = (class, Class::from_str(token.text)) {
            class = Some(given);
        } else if let Ok(rtype) = Rtype::from_str(token.text) {
            return match class {
                None | Some(Class::IN) => Ok((ttl, rtype.to_int(), rest)),
                Some(other) => Err(Fault(format!("the class is {other}; only IN is served"))),
            };
        } else {
            return Err(Fault(format!("\"{}\" is neither a TTL nor a class nor a type", token.text)));
        }
    }
    Err(Fault("there is no type".to_owned()))
}

fn data(rtype: u16, tokens: &[Token<'_>], origin: &[u8]) -> Result<Vec<u8>, Fault> {
    match tokens {
        [marker, length, hex @ ..] if marker.text == GENERIC && !marker.quoted => generic(length.text, hex),
        _ if rtype == SOA => soa(tokens, origin),
        _ => fields::data(rtype, tokens, origin),
    }
}

/// Times in a SOA may have units, which is custom though no standard.
fn soa(tokens: &[Token<'_>], origin: &[u8]) -> Result<Vec<u8>, Fault> {
    let seconds: Vec<String> = tokens
        .iter()
        .map(|token| ttl::parse(token.text).map_or_else(|_| token.text.to_owned(), |ttl| ttl.to_string()))
        .collect();
    let is_time = |index: usize| (3..7).contains(&index);
    let plain: Vec<_> = tokens
        .iter()
        .zip(&seconds)
        .enumerate()
        .map(
            |(index, (token, seconds))| {
                if is_time(index) { Token { text: seconds, quoted: false } } else { *token }
            },
        )
        .collect();
    fields::data(SOA, &plain, origin)
}

fn generic(length: &str, hex: &[Token<'_>]) -> Result<Vec<u8>, Fault> {
    let digits: Vec<u8> = hex.iter().flat_map(|token| token.text.bytes()).collect();
    let pairs = digits.chunks(2).map(|pair| {
        std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    let data: Option<Vec<u8>> = pairs.collect();
    let data = data.ok_or_else(|| Fault("behind \\# come a length and hexadecimal digits".to_owned()))?;
    if length.parse() == Ok(data.len()) {
        Ok(data)
    } else {
        Err(Fault(format!("the data has {} bytes, and \\# says {length}", data.len())))
    }
}

/// A SOA without a TTL has its last number (RFC 1035 §5.2 as it was read before RFC 2308).
fn minimum(rtype: u16, data: &[u8]) -> Option<u32> {
    let last = data.last_chunk::<4>().filter(|_| rtype == SOA)?;
    Some(u32::from_be_bytes(*last))
}

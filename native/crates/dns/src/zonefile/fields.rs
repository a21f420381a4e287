//! A record's data out of its words, by the scanners of the `domain` crate: this is where they get words and names from.

use std::fmt;
use std::iter::Peekable;
use std::slice::Iter;

use domain::base::CharStr;
use domain::base::iana::Rtype;
use domain::base::name::Name;
use domain::base::rdata::ComposeRecordData;
use domain::base::scan::{ConvertSymbols, EntrySymbol, Scanner, ScannerError, Symbol, Symbols};
use domain::dep::octseq::str::Str;
use domain::rdata::ZoneRecordData;

use super::lexer::Token;
use super::name::absolute;

/// The data in wire form, its names uncompressed; those without a dot at their end are below the origin.
pub(super) fn data(rtype: u16, tokens: &[Token<'_>], origin: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut fields = Fields { tokens: tokens.iter().peekable(), origin };
    let data = ZoneRecordData::<Vec<u8>, Name<Vec<u8>>>::scan(Rtype::from_int(rtype), &mut fields)?;
    if fields.continues() {
        return Err(Fault::trailing_tokens());
    }
    let mut wire = Vec::new();
    data.compose_rdata(&mut wire).map_err(|_| Fault::short_buf())?;
    Ok(wire)
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ScannerError for Fault {
    fn custom(message: &'static str) -> Self {
        Self(message.to_owned())
    }

    fn end_of_entry() -> Self {
        Self("there is less data than the type has".to_owned())
    }

    fn short_buf() -> Self {
        Self("the data is longer than 65535 bytes".to_owned())
    }

    fn trailing_tokens() -> Self {
        Self("there is more data than the type has".to_owned())
    }
}

struct Fields<'f, 't> {
    tokens: Peekable<Iter<'f, Token<'t>>>,
    origin: &'f [u8],
}

impl<'t> Fields<'_, 't> {
    fn next(&mut self) -> Result<Token<'t>, Fault> {
        self.tokens.next().copied().ok_or_else(Fault::end_of_entry)
    }
}

fn symbols(token: Token<'_>) -> impl Iterator<Item = Symbol> {
    Symbols::new(token.text.chars())
}

fn octet(symbol: Symbol) -> Result<u8, Fault> {
    symbol.into_octet().map_err(|_| Fault("there is a sign that is no byte; write it as \\DDD".to_owned()))
}

fn octets(token: Token<'_>) -> Result<Vec<u8>, Fault> {
    symbols(token).map(octet).collect()
}

impl Scanner for Fields<'_, '_> {
    type Octets = Vec<u8>;
    type OctetsBuilder = Vec<u8>;
    type Name = Name<Vec<u8>>;
    type Error = Fault;

    fn has_space(&self) -> bool {
        false
    }

    fn continues(&mut self) -> bool {
        self.tokens.peek().is_some()
    }

    fn scan_symbols<F: FnMut(Symbol) -> Result<(), Fault>>(&mut self, op: F) -> Result<(), Fault> {
        symbols(self.next()?).try_for_each(op)
    }

    fn scan_entry_symbols<F>(&mut self, mut op: F) -> Result<(), Fault>
    where
        F: FnMut(EntrySymbol) -> Result<(), Fault>,
    {
        for token in self.tokens.by_ref() {
            symbols(*token).try_for_each(|symbol| op(symbol.into()))?;
            op(EntrySymbol::EndOfToken)?;
        }
        Ok(())
    }

    fn convert_token<C: ConvertSymbols<Symbol, Fault>>(&mut self, mut convert: C) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        for symbol in symbols(self.next()?) {
            out.extend_from_slice(convert.process_symbol(symbol)?.unwrap_or_default());
        }
        out.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(out)
    }

    fn convert_entry<C>(&mut self, mut convert: C) -> Result<Vec<u8>, Fault>
    where
        C: ConvertSymbols<EntrySymbol, Fault>,
    {
        let mut out = Vec::new();
        for token in self.tokens.by_ref() {
            for symbol in symbols(*token) {
                out.extend_from_slice(convert.process_symbol(symbol.into())?.unwrap_or_default());
            }
        }
        out.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(out)
    }

    fn scan_octets(&mut self) -> Result<Vec<u8>, Fault> {
        octets(self.next()?)
    }

    /// `key="value"` without its quotes; escapes inside are still to be read (RFC 9460 appendix A).
    fn scan_svcb_octets(&mut self) -> Result<Vec<u8>, Fault> {
        let token = self.next()?;
        let plain = match token.text.split_once("=\"") {
            Some((key, value)) => format!("{key}={}", value.strip_suffix('"').unwrap_or(value)),
            None => token.text.to_owned(),
        };
        octets(Token { text: &plain, quoted: false })
    }

    fn scan_ascii_str<F, T>(&mut self, op: F) -> Result<T, Fault>
    where
        F: FnOnce(&str) -> Result<T, Fault>,
    {
        op(self.next()?.text)
    }

    fn scan_name(&mut self) -> Result<Self::Name, Fault> {
        let wire = absolute(self.next()?.text, self.origin).map_err(Fault)?;
        Name::from_octets(wire).map_err(|_| Fault::custom("there is no domain name"))
    }

    fn scan_charstr(&mut self) -> Result<CharStr<Vec<u8>>, Fault> {
        let text = octets(self.next()?)?;
        CharStr::from_octets(text).map_err(|_| Fault::custom("a text is longer than 255 bytes"))
    }

    fn scan_string(&mut self) -> Result<Str<Vec<u8>>, Fault> {
        Str::from_utf8(octets(self.next()?)?).map_err(|_| Fault::custom("a text is not UTF-8"))
    }

    fn scan_charstr_entry(&mut self) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        loop {
            let text = self.scan_charstr()?;
            text.compose(&mut out).map_err(|_| Fault::short_buf())?;
            if !self.continues() {
                return Ok(out);
            }
        }
    }

    fn scan_opt_unknown_marker(&mut self) -> Result<bool, Fault> {
        let marked = self.tokens.peek().is_some_and(|token| token.text == super::GENERIC && !token.quoted);
        if marked {
            self.tokens.next();
        }
        Ok(marked)
    }

    fn octets_builder(&mut self) -> Result<Vec<u8>, Fault> {
        Ok(Vec::new())
    }
}

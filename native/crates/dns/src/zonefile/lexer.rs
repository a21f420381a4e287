//! The words of a master file (RFC 1035 §5.1): quotes, escapes, comments, and parentheses that make several lines one entry.

/// A word, as it is written; escapes are still in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// It stood in quotes, which are no part of it.
    pub(super) quoted: bool,
}

/// Where an entry begins, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) line: usize,
    /// It begins with a blank: its owner is the one before it.
    pub(super) indented: bool,
}

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line that is being read.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Reads the words of the next entry that has any; `None` = the text is over.
    ///
    /// # Errors
    /// What is not closed.
    pub(super) fn entry(&mut self, tokens: &mut Vec<Token<'t>>) -> Result<Option<Start>, &'static str> {
        tokens.clear();
        let mut start = Start { line: self.line, indented: self.is_blank() };
        let mut depth = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 && !tokens.is_empty() {
                        return Ok(Some(start));
                    }
                    if depth == 0 {
                        start = Start { line: self.line, indented: self.is_blank() };
                    }
                }
                b';' => self.at = self.find(b'\n'),
                b'(' => {
                    depth += 1;
                    self.at += 1;
                }
                b')' => {
                    depth =
                        usize::checked_sub(depth, 1).ok_or("a parenthesis is closed that was not opened")?;
                    self.at += 1;
                }
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.word()?),
            }
        }
        if depth > 0 {
            return Err("a parenthesis is not closed");
        }
        Ok((!tokens.is_empty()).then_some(start))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_blank(&self) -> bool {
        matches!(self.peek(), Some(b' ' | b'\t'))
    }

    fn find(&self, wanted: u8) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        memchr::memchr(wanted, rest).map_or(self.text.len(), |offset| self.at + offset)
    }

    fn quoted(&mut self) -> Result<Token<'t>, &'static str> {
        let from = self.at + 1;
        let to = self.closing_quote()?;
        self.at = to + 1;
        Ok(Token { text: self.text.get(from..to).unwrap_or_default(), quoted: true })
    }

    /// Where the quote that is open here ends.
    fn closing_quote(&self) -> Result<usize, &'static str> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(at),
                Some(b'\\') => at += 2,
                None | Some(b'\n') => return Err("a quote is not closed"),
                Some(_) => at += 1,
            }
        }
    }

    /// A word without quotes around it; inside there may be some (`alpn="h2,h3"`, RFC 9460 §2.1).
    fn word(&mut self) -> Result<Token<'t>, &'static str> {
        let from = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' => self.at += 2,
                b'"' => self.at = self.closing_quote()? + 1,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        let text = self.text.get(from..self.at).ok_or("an escape is cut off")?;
        Ok(Token { text, quoted: false })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(usize, bool, Vec<String>)> {
        let (mut lexer, mut tokens, mut found) = (Lexer::new(text), Vec::new(), Vec::new());
        while let Some(start) = lexer.entry(&mut tokens).expect(text) {
            let words = tokens.iter().map(|token| token.text.to_owned()).collect();
            found.push((start.line, start.indented, words));
        }
        found
    }

    #[test]
    fn words_of_entries() {
        let text = "; nothing\n\na  IN (\n  1 ; one\n  \"b ; c\" )\n\tTXT \\\"x\\;y k=\"v w\"\r\nlast";
        let expected = [
            (3, false, vec!["a", "IN", "1", "b ; c"]),
            (6, true, vec!["TXT", "\\\"x\\;y", "k=\"v w\""]),
            (7, false, vec!["last"]),
        ];
        let expected = expected.map(|(line, indented, words)| {
            (line, indented, words.into_iter().map(str::to_owned).collect::<Vec<_>>())
        });
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn what_is_not_closed() {
        for text in ["a (\nb", "a )", "a \"b\n\"", "a k=\"v"] {
            let mut lexer = Lexer::new(text);
            assert!(lexer.entry(&mut Vec::new()).is_err(), "{text}");
        }
    }
}

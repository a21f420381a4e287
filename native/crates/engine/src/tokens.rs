//! Answers to HTTP-01 challenges (RFC 8555 §8.3), set by the control plane while an issuer looks; every listener gives them, before any
//! route.

use std::collections::HashMap;

use arc_swap::ArcSwap;
use trunkline_filter::Refusal;

const FOLDER: &str = "/.well-known/acme-challenge/";

/// Key authorizations by token.
#[derive(Default)]
pub(crate) struct Tokens(ArcSwap<HashMap<String, String>>);

impl Tokens {
    pub(crate) fn replace(&self, tokens: HashMap<String, String>) {
        self.0.store(tokens.into());
    }

    /// The answer to a request for `path`, if it is one for a token of ours.
    pub(crate) fn answer(&self, method: &str, path: &str) -> Option<Refusal> {
        let token = path.strip_prefix(FOLDER).filter(|_| matches!(method, "GET" | "HEAD"))?;
        self.0.load().get(token).map(|text| Refusal::text(text.clone().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_tokens_that_are_set_are_answered() {
        let tokens = Tokens::default();
        let path = "/.well-known/acme-challenge/abc";
        assert!(tokens.answer("GET", path).is_none());
        tokens.replace(HashMap::from([("abc".to_owned(), "abc.key".to_owned())]));
        let mut body = Vec::new();
        tokens.answer("GET", path).unwrap().write_body(&mut body);
        assert_eq!(body, b"abc.key");
        for (method, other) in [("POST", path), ("GET", "/.well-known/acme-challenge/"), ("GET", "/abc")] {
            assert!(tokens.answer(method, other).is_none(), "{method} {other}");
        }
    }
}

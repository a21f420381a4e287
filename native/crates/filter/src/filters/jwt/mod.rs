//! Bearer tokens (RFC 6750) that are signed JWTs (RFC 7519): the signature first, by a key and an algorithm that the plan names and
//! never by what the token says alone (RFC 8725 §3.1), then the claims. Tokens without `exp` are refused. A token that has
//! passed is remembered by its SHA-256 until it expires, which makes the usual request a hash and a lookup.

mod claims;
mod keys;
mod token_cache;

use std::sync::Arc;

use crate::clock::WallClock;
use crate::digest::Digest;
use crate::environment::Environment;
use crate::error::Site;
use crate::exchange::Exchange;
use crate::plan;
use crate::{Reason, Request, Verdict};
use claims::Rules;
use keys::Keys;
use token_cache::TokenCache;

const HEADER: &str = "authorization";

#[derive(Debug)]
pub(crate) struct Jwt {
    keys: Keys,
    rules: Rules,
    forward: bool,
    wall: Arc<WallClock>,
    cache: TokenCache,
}

impl Jwt {
    pub(crate) fn compile(
        plan: &plan::Jwt,
        site: &mut Site<'_>,
        environment: &Environment<'_>,
    ) -> Option<Self> {
        Some(Self {
            keys: Keys::compile(plan, site)?,
            rules: Rules::new(plan),
            forward: plan.forward,
            wall: Arc::clone(environment.wall()),
            cache: TokenCache::new(),
        })
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange, now_ns: u64) -> Verdict {
        let unix_s = self.wall.unix_s(now_ns);
        let checked = token(request).and_then(|token| self.check(token, unix_s, exchange));
        if let Err(reason) = checked {
            return refuse(reason, exchange);
        }
        if !self.forward {
            exchange.upstream.remove(HEADER);
        }
        Verdict::Continue
    }

    /// Verifies anew, leaving the cache alone.
    pub(crate) fn explain(
        &self,
        request: &Request<'_>,
        exchange: &mut Exchange,
        now_ns: u64,
    ) -> (Verdict, String) {
        let verified = token(request)
            .and_then(|token| self.keys.verify(token))
            .and_then(|claims| self.rules.check(&claims, self.wall.unix_s(now_ns)));
        match verified {
            Ok(verified) => {
                exchange.set_consumer(&verified.consumer);
                (Verdict::Continue, format!("consumer {}", verified.consumer))
            }
            Err(reason) => (refuse(reason, exchange), description(reason).to_owned()),
        }
    }

    fn check(&self, token: &[u8], unix_s: u64, exchange: &mut Exchange) -> Result<(), Reason> {
        let digest = Digest::of(token);
        let known = self.cache.read(&digest, |verified| {
            exchange.set_consumer(&verified.consumer);
            verified.expires_s
        });
        match known {
            Some(expires_s) if unix_s < expires_s => Ok(()),
            Some(_) => Err(Reason::JwtExpired),
            None => {
                let verified = self.rules.check(&self.keys.verify(token)?, unix_s)?;
                exchange.set_consumer(&verified.consumer);
                self.cache.insert(digest, verified);
                Ok(())
            }
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1).
fn token<'a>(request: &Request<'a>) -> Result<&'a [u8], Reason> {
    let value = request.credential(HEADER)?.ok_or(Reason::JwtMissing)?;
    let scheme = value.get(..7).ok_or(Reason::JwtMissing)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Reason::JwtMissing);
    }
    Ok(value.get(7..).unwrap_or_default().trim_ascii())
}

/// Whoever sent no token is told the scheme only; a bad token is named as such (RFC 6750 §3.1).
#[cold]
fn refuse(reason: Reason, exchange: &mut Exchange) -> Verdict {
    if reason.status() == 401 {
        exchange.response.append_with("www-authenticate", |value| {
            value.put(b"Bearer realm=\"api\"");
            if reason != Reason::JwtMissing {
                value.put(b", error=\"invalid_token\", error_description=\"");
                value.put(description(reason).as_bytes());
                value.put(b"\"");
            }
        });
    }
    reason.into()
}

const fn description(reason: Reason) -> &'static str {
    match reason {
        Reason::JwtMissing => "there is no bearer token",
        Reason::CredentialsRepeated => "there are several Authorization fields",
        Reason::JwtUnsupported => "the algorithm is not accepted here",
        Reason::JwtKeyUnknown => "no key fits the token",
        Reason::JwtSignature => "the signature is wrong",
        Reason::JwtExpired => "the token has expired",
        Reason::JwtNotYetValid => "the token is not valid yet",
        Reason::JwtIssuer => "the issuer is not accepted here",
        Reason::JwtAudience => "the token is for another audience",
        Reason::JwtConsumer => "the token names nobody",
        _ => "the token is malformed",
    }
}

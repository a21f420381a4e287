//! What a token says, and whether that is enough (RFC 7519 §4.1).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Reason, plan};

/// The registered claims that are checked; the rest is kept for the one that names the consumer.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// Seconds since 1970, possibly with a fraction (`NumericDate`, RFC 7519 §2).
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
    leeway_s: f64,
    consumer_claim: Option<String>,
}

/// What is left of a token that has passed.
#[derive(Debug)]
pub(super) struct Verified {
    /// Empty if the token names nobody and need not.
    pub(super) consumer: Box<str>,
    /// `exp` plus leeway.
    pub(super) expires_s: u64,
}

impl Rules {
    pub(super) fn new(plan: &plan::Jwt) -> Self {
        Self {
            issuer: plan.issuer.clone(),
            audience: plan.audience.clone(),
            leeway_s: plan.leeway_s as f64,
            consumer_claim: plan.consumer_claim.clone(),
        }
    }

    pub(super) fn check(&self, claims: &Claims, unix_s: u64) -> Result<Verified, Reason> {
        let now = unix_s as f64;
        let expires = claims.exp.ok_or(Reason::JwtExpired)? + self.leeway_s;
        if now >= expires {
            return Err(Reason::JwtExpired);
        }
        if claims.nbf.is_some_and(|from| now + self.leeway_s < from) {
            return Err(Reason::JwtNotYetValid);
        }
        if self.issuer.is_some() && claims.iss != self.issuer {
            return Err(Reason::JwtIssuer);
        }
        if self.audience.as_deref().is_some_and(|wanted| !claims.is_for(wanted)) {
            return Err(Reason::JwtAudience);
        }
        Ok(Verified { consumer: self.consumer(claims)?.into(), expires_s: expires.ceil() as u64 })
    }

    /// A claim that was asked for by name must be there; `sub` may be missing.
    fn consumer<'c>(&self, claims: &'c Claims) -> Result<&'c str, Reason> {
        let name = self.consumer_claim.as_deref().unwrap_or("sub");
        let found = match name {
            "iss" => claims.iss.as_deref(),
            name => claims.others.get(name).and_then(Value::as_str),
        };
        match found {
            Some(consumer) => Ok(consumer),
            None if self.consumer_claim.is_none() => Ok(""),
            None => Err(Reason::JwtConsumer),
        }
    }
}

impl Claims {
    fn is_for(&self, wanted: &str) -> bool {
        match &self.aud {
            None => false,
            Some(Audience::One(audience)) => audience == wanted,
            Some(Audience::Many(audiences)) => audiences.iter().any(|audience| audience == wanted),
        }
    }
}

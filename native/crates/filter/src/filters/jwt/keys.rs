//! The keys of a plan, each bound to one algorithm, and the check of a signature with them.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::claims::Claims;
use crate::error::Site;
use crate::{Reason, plan};

/// RFC 7518 §3.2: a key of at least the size of the hash.
const MIN_SECRET_BYTES: usize = 32;

const SHORT_SECRET: &str = "HS256 needs at least 32 bytes (RFC 7518 §3.2)";

/// An uncompressed point on P-256 (SEC 1 §2.3.3).
const P256_POINT_BYTES: usize = 65;

#[derive(Debug)]
pub(super) struct Keys {
    algorithms: Vec<Algorithm>,
    keys: Vec<Key>,
}

/// `Debug` of a [`DecodingKey`] hides the key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    public_or_secret: DecodingKey,
    /// Holds the one algorithm that this key is for; claims are checked elsewhere, with a clock that can be tested.
    validation: Validation,
}

impl Keys {
    pub(super) fn compile(plan: &plan::Jwt, site: &mut Site<'_>) -> Option<Self> {
        let before = site.errors.len();
        let algorithms = compile_algorithms(&plan.algorithms, site);
        let mut keys = Self { algorithms, keys: Vec::new() };
        if let Some(secret) = &plan.secret {
            keys.add_secret(secret, site);
        }
        if let Some(pem) = &plan.public_key {
            keys.add_pem(pem, site);
        }
        if let Some(jwks) = &plan.jwks {
            keys.add_set(jwks, site);
        }
        if keys.keys.is_empty() && site.errors.len() == before {
            site.error("secret", "give one of secret, public_key, jwks");
        }
        (site.errors.len() == before).then_some(keys)
    }

    /// The claims of a token whose signature is right.
    pub(super) fn verify(&self, token: &[u8]) -> Result<Claims, Reason> {
        let header = decode_header(token).map_err(|_| Reason::JwtMalformed)?;
        if !self.algorithms.contains(&header.alg) || header.crit.is_some() {
            return Err(Reason::JwtUnsupported);
        }
        let mut refusal = Reason::JwtKeyUnknown;
        for key in self.keys.iter().filter(|key| key.fits(header.alg, header.kid.as_deref())) {
            match decode::<Claims>(token, &key.public_or_secret, &key.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => refusal = reason(&error),
            }
        }
        Err(refusal)
    }

    fn add_secret(&mut self, secret: &str, site: &mut Site<'_>) {
        if secret.len() < MIN_SECRET_BYTES {
            site.error("secret", SHORT_SECRET);
        } else {
            self.add(Algorithm::HS256, DecodingKey::from_secret(secret.as_bytes()), "secret", site);
        }
    }

    fn add_pem(&mut self, pem: &str, site: &mut Site<'_>) {
        let pem = pem.as_bytes();
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            self.add(Algorithm::RS256, key, "public_key", site);
        } else if let Some(key) = DecodingKey::from_ec_pem(pem).ok().filter(is_p256) {
            self.add(Algorithm::ES256, key, "public_key", site);
        } else {
            site.error("public_key", "this is not the PEM of an RSA or P-256 public key");
        }
    }

    /// Keys for other uses and algorithms are passed over, as RFC 7517 §5 asks.
    fn add_set(&mut self, text: &str, site: &mut Site<'_>) {
        let set: JwkSet = match serde_json::from_str(text) {
            Ok(set) => set,
            Err(error) => {
                // The category only: serde's message may quote the document, which can hold a secret key.
                let (line, column) = (error.line(), error.column());
                return site.error("jwks", format!("this is not a JWK set (line {line}, column {column})"));
            }
        };
        let before = self.keys.len();
        for (position, jwk) in set.keys.iter().enumerate() {
            match self.usable(jwk) {
                Some(key) if is_short(&key, jwk) => {
                    site.error("jwks", format!("keys[{position}]: {SHORT_SECRET}"));
                    return;
                }
                Some(key) => self.keys.push(key),
                None => {}
            }
        }
        if self.keys.len() == before {
            site.error("jwks", "no key in it is for signatures with one of the algorithms");
        }
    }

    fn usable(&self, jwk: &Jwk) -> Option<Key> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
            _ => return None,
        };
        let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let declared = jwk.common.key_algorithm.map(|name| name.to_string());
        let agrees = declared.is_none_or(|name| name.parse() == Ok(algorithm));
        if !for_signatures || !agrees || !self.algorithms.contains(&algorithm) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Key::new(jwk.common.key_id.clone(), algorithm, key))
    }

    fn add(&mut self, algorithm: Algorithm, key: DecodingKey, name: &str, site: &mut Site<'_>) {
        if self.algorithms.contains(&algorithm) {
            self.keys.push(Key::new(None, algorithm, key));
        } else {
            site.error(name, format!("this key is for {algorithm:?}, which is not among the algorithms"));
        }
    }
}

impl Key {
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        Self { id, public_or_secret: key, validation: signature_only(algorithm) }
    }

    /// A key without id serves every token; a token without one may be checked by every key of its algorithm.
    fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        let same_id = match (&self.id, id) {
            (Some(own), Some(asked)) => own == asked,
            _ => true,
        };
        same_id && self.validation.algorithms.contains(&algorithm)
    }
}

fn compile_algorithms(names: &[String], site: &mut Site<'_>) -> Vec<Algorithm> {
    if names.is_empty() {
        site.error("algorithms", "name at least one of HS256, RS256, ES256");
    }
    let parse = |(index, name): (usize, &String)| {
        let known = match name.as_str() {
            "HS256" => Ok(Algorithm::HS256),
            "RS256" => Ok(Algorithm::RS256),
            "ES256" => Ok(Algorithm::ES256),
            _ => Err(format!("{name:?} is none of HS256, RS256, ES256")),
        };
        site.take(format!("algorithms[{index}]"), known)
    };
    names.iter().enumerate().filter_map(parse).collect()
}

fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn is_short(key: &Key, jwk: &Jwk) -> bool {
    let is_secret = matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let bytes = key.public_or_secret.try_get_as_bytes();
    is_secret && bytes.is_ok_and(|secret| secret.len() < MIN_SECRET_BYTES)
}

fn is_p256(key: &DecodingKey) -> bool {
    key.try_get_as_bytes().is_ok_and(|point| point.len() == P256_POINT_BYTES)
}

fn reason(error: &jsonwebtoken::errors::Error) -> Reason {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::Base64(_) => Reason::JwtMalformed,
        _ => Reason::JwtSignature,
    }
}

//! Why a request was answered here and not by the upstream: a closed set, because every one is a metric label, a word in the
//! access log and a value of `X-Trunkline-Reason`. This file is the only place that names them.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $text:literal,)*) => {
        /// Why a request was answered by the gateway itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason; `reason as usize` is its index here.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in logs, metrics and bodies: `snake_case`, never changed once released.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The status it is answered with, unless a filter's own settings say otherwise.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

reasons! {
    /// The client's address is denied, or not among the allowed.
    IpDenied = 403 "ip_denied",
    /// Not a refusal: a CORS preflight, answered here.
    CorsPreflight = 204 "cors_preflight",
    /// A preflight asked for an origin, method or header that is not allowed.
    CorsRefused = 403 "cors_refused",
    ApiKeyMissing = 401 "api_key_missing",
    ApiKeyUnknown = 401 "api_key_unknown",
    /// The consumer is known but not one of those this route admits.
    ConsumerForbidden = 403 "consumer_forbidden",
    /// A credential header came twice: the upstream might believe the other one.
    CredentialsRepeated = 400 "credentials_repeated",
    JwtMissing = 401 "jwt_missing",
    /// Not a signed JWT, or a claim of the wrong type.
    JwtMalformed = 401 "jwt_malformed",
    /// The token's algorithm is not on the list, or it has critical extensions (RFC 7515 §4.1.11).
    JwtUnsupported = 401 "jwt_unsupported",
    /// No key of that id and algorithm.
    JwtKeyUnknown = 401 "jwt_key_unknown",
    JwtSignature = 401 "jwt_signature",
    /// `exp` has passed, or is missing.
    JwtExpired = 401 "jwt_expired",
    /// `nbf` is still to come.
    JwtNotYetValid = 401 "jwt_not_yet_valid",
    JwtIssuer = 401 "jwt_issuer",
    JwtAudience = 401 "jwt_audience",
    /// The claim that should name the consumer is missing or not a string.
    JwtConsumer = 401 "jwt_consumer",
    RateLimited = 429 "rate_limited",
    BreakerOpen = 503 "breaker_open",
    /// Not a refusal: the client was sent elsewhere.
    Redirected = 302 "redirected",
    /// Not a refusal: the configuration's own answer.
    Responded = 200 "responded",
    Maintenance = 503 "maintenance",
    BodyTooLarge = 413 "body_too_large",
    HeadTooLarge = 431 "head_too_large",
    /// What the client sent would make an upstream path with dot segments or a host that is none.
    RewriteUnsafe = 400 "rewrite_unsafe",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_snake_case_and_indexed() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            let code = reason.as_str();
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert_eq!(Reason::ALL.iter().filter(|other| other.as_str() == code).count(), 1);
        }
    }
}
